//! The order in which a template's resources can be made.

use std::collections::BTreeMap;

use super::{Resource, ResourceType, Template};
use crate::error::{LabError, TemplateFault};

/// How far the walk has come with a resource.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// It is on the path from the start to here.
    OnPath,
    /// It and all that it needs are in the order.
    Done,
}

impl Template {
    /// The resources that attach interfaces to the instance with this logical id.
    pub(crate) fn attachments_of(&self, instance: &str) -> impl Iterator<Item = &Resource> {
        self.resources().iter().filter(move |resource| resource.attaches_to() == Some(instance))
    }

    /// All resources, each after what it depends on, else in the order of the file. A circle is refused
    /// with its names.
    pub(crate) fn in_order(&self) -> Result<Vec<&Resource>, LabError> {
        let mut walk = Walk { template: self, marks: BTreeMap::new(), path: Vec::new(), order: Vec::new() };
        for resource in self.resources() {
            walk.visit(resource)?;
        }
        Ok(walk.order)
    }
}

impl Resource {
    /// The logical id of the instance that this attaches an interface to.
    fn attaches_to(&self) -> Option<&str> {
        self.referred("InstanceId")
    }

    /// The logical id of the interface that this attaches.
    fn attached(&self) -> Option<&str> {
        self.referred("NetworkInterfaceId")
    }

    fn referred(&self, key: &str) -> Option<&str> {
        if self.kind != ResourceType::NetworkInterfaceAttachment {
            return None;
        }
        self.properties.field(key)?.targets().first().map(|(target, _)| target.logical())
    }
}

struct Walk<'t> {
    template: &'t Template,
    marks: BTreeMap<&'t str, Mark>,
    path: Vec<&'t str>,
    order: Vec<&'t Resource>,
}

impl<'t> Walk<'t> {
    fn visit(&mut self, resource: &'t Resource) -> Result<(), LabError> {
        let logical = resource.logical.as_str();
        match self.marks.get(logical) {
            Some(Mark::Done) => return Ok(()),
            Some(Mark::OnPath) => return Err(self.cycle(resource)),
            None => {}
        }
        self.marks.insert(logical, Mark::OnPath);
        self.path.push(logical);
        let attached = self.template.attachments_of(logical).filter_map(Resource::attached);
        for dependency in resource.dependencies().chain(attached) {
            if let Some(dependency) = self.template.resource(dependency) {
                self.visit(dependency)?;
            }
        }
        self.path.pop();
        self.marks.insert(logical, Mark::Done);
        self.order.push(resource);
        Ok(())
    }

    /// The part of the path that leads from the resource back to it.
    fn cycle(&self, resource: &Resource) -> LabError {
        let circle = self.path.iter().skip_while(|logical| **logical != resource.logical);
        let mut names: Vec<String> = circle.map(|&logical| logical.to_owned()).collect();
        names.push(resource.logical.clone());
        resource.place.error(TemplateFault::Cycle(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::tests::setting;

    fn template(resources: &str) -> Template {
        let text = format!("Resources:\n{resources}");
        Template::parse("t.yaml", &text, &setting()).unwrap()
    }

    fn subnet(logical: &str, cidr: &str) -> String {
        format!("  {logical}: {{Type: AWS::EC2::Subnet, Properties: {{CidrBlock: {cidr}}}}}\n")
    }

    #[test]
    fn needed_first_else_as_in_the_file() {
        let file = subnet("A", "!Ref D")
            + &subnet("B", "1")
            + &subnet("C", "!Sub \"${B.CidrBlock}\"")
            + &subnet("D", "!GetAtt C.VpcId");
        let template = template(&file);
        let order: Vec<_> = template.in_order().unwrap().iter().map(|r| r.logical.as_str()).collect();
        assert_eq!(order, ["B", "C", "D", "A"]);
    }

    #[test]
    fn a_circle_is_named() {
        let file = subnet("A", "!Ref B") + &subnet("B", "!Ref C") + &subnet("C", "!Ref B");
        let error = template(&file).in_order().unwrap_err().to_string();
        assert_eq!(error, "t.yaml:3:3: the resources depend on each other in a circle: B -> C -> B");
        let itself = template(&subnet("A", "!Ref A")).in_order().unwrap_err().to_string();
        assert_eq!(itself, "t.yaml:2:3: the resources depend on each other in a circle: A -> A");
    }
}
