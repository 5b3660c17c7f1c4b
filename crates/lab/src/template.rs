//! The cloud's part of a lab: a CloudFormation template, read as far as we can carry it out on packets.
//!
//! Sections, resource types, properties, attributes and functions are those of the AWS CloudFormation User
//! Guide's template reference. What is not listed here is refused by name and line, never skipped.

pub(crate) mod expression;
mod list_function;
mod order;
mod resource_type;

use crate::error::{LabError, Place, TemplateFault, Wrong};
use crate::yaml::{Fields, Key, Node};
use expression::{Expression, Target};
pub use resource_type::ResourceType;

const SECTIONS: &[&str] = &["AWSTemplateFormatVersion", "Description", "Metadata", "Resources", "Outputs"];
const RESOURCE: &[&str] = &["Type", "Properties", "DependsOn", "Metadata"];
const OUTPUT: &[&str] = &["Description", "Value"];

/// The only version of the format there is.
const FORMAT_VERSION: &str = "2010-09-09";

/// A template whose every function, reference, type and property is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    resources: Vec<Resource>,
    outputs: Vec<(Key, Expression)>,
}

/// One resource of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its logical id.
    pub logical: String,
    /// Its type.
    pub kind: ResourceType,
    /// Where it is declared.
    pub place: Place,
    pub(crate) properties: Expression,
    depends_on: Vec<(String, Place)>,
}

impl Template {
    /// The resource with this logical id.
    pub fn resource(&self, logical: &str) -> Option<&Resource> {
        self.resources.iter().find(|r| r.logical == logical)
    }

    /// All resources in the order of the file.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    pub(crate) fn outputs(&self) -> &[(Key, Expression)] {
        &self.outputs
    }

    /// Reads a template. Its references are known to lead to resources that have such an attribute.
    pub(crate) fn read(root: &Node) -> Result<Self, LabError> {
        let sections = root.map("the template")?;
        if let Some((key, _)) = sections.iter().find(|(k, _)| !SECTIONS.contains(&k.name.as_str())) {
            let section = key.name.clone();
            return Err(key.place.error(TemplateFault::Section { section, known: SECTIONS }));
        }
        let fields = Fields::of(root, "the template", SECTIONS)?;
        if let Some(version) = fields.optional("AWSTemplateFormatVersion")
            && version.text("AWSTemplateFormatVersion")? != FORMAT_VERSION
        {
            let value = version.text("AWSTemplateFormatVersion")?.to_owned();
            return Err(version.error(Wrong::Value { value, expected: "2010-09-09" }));
        }
        let mut template = Self { resources: Vec::new(), outputs: Vec::new() };
        for (key, node) in fields.required("Resources")?.map("`Resources`")? {
            template.resources.push(Resource::read(key, node)?);
        }
        for (key, node) in fields.entries("Outputs")? {
            let output = Fields::of(node, format!("output `{}`", key.name), OUTPUT)?;
            template.outputs.push((key.clone(), Expression::read(output.required("Value")?)?));
        }
        template.check_references()?;
        Ok(template)
    }

    fn check_references(&self) -> Result<(), LabError> {
        for resource in &self.resources {
            for (logical, place) in &resource.depends_on {
                self.referred(logical, place)?;
            }
            self.check_targets(&resource.properties)?;
        }
        self.outputs.iter().try_for_each(|(_, value)| self.check_targets(value))
    }

    fn check_targets(&self, expression: &Expression) -> Result<(), LabError> {
        expression.targets().into_iter().try_for_each(|(target, place)| {
            let Some(logical) = target.logical() else { return Ok(()) };
            let resource = self.referred(logical, place)?;
            let Target::Attribute(_, attribute) = target else { return Ok(()) };
            let known = resource.kind.attributes();
            if known.contains(&attribute.as_str()) {
                return Ok(());
            }
            let (logical, attribute) = (logical.to_owned(), attribute.clone());
            let kind = resource.kind.name();
            Err(place.error(TemplateFault::Attribute { logical, kind, attribute, known }))
        })
    }

    fn referred(&self, logical: &str, place: &Place) -> Result<&Resource, LabError> {
        self.resource(logical).ok_or_else(|| place.error(TemplateFault::UnknownResource(logical.to_owned())))
    }
}

impl Resource {
    fn read(key: &Key, node: &Node) -> Result<Self, LabError> {
        let logical = key.name.clone();
        if logical.is_empty() || !logical.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(key.place.error(TemplateFault::LogicalId(logical)));
        }
        let fields = Fields::of(node, format!("resource `{logical}`"), RESOURCE)?;
        let type_node = fields.required("Type")?;
        let name = type_node.text("`Type`")?;
        let Some(kind) = ResourceType::named(name) else {
            let (name, known) = (name.to_owned(), ResourceType::names());
            return Err(type_node.error(TemplateFault::ResourceType { logical, name, known }));
        };
        let properties = match fields.optional("Properties") {
            None => Expression::nothing(&key.place),
            Some(node) => {
                for (key, _) in node.map("`Properties`")? {
                    if !kind.properties().contains(&key.name.as_str()) {
                        let (property, known) = (key.name.clone(), kind.properties());
                        let kind = kind.name();
                        return Err(key.place.error(TemplateFault::Property { property, kind, known }));
                    }
                }
                Expression::read(node)?
            }
        };
        let depends_on = match fields.optional("DependsOn") {
            None => Vec::new(),
            Some(node) => read_depends_on(node)?,
        };
        Ok(Self { logical, kind, place: key.place.clone(), properties, depends_on })
    }

    /// The logical ids that must stand before this one, by reference or by `DependsOn`.
    fn dependencies(&self) -> impl Iterator<Item = &str> {
        let referred = self.properties.targets().into_iter().filter_map(|(target, _)| target.logical());
        self.depends_on.iter().map(|(logical, _)| logical.as_str()).chain(referred)
    }
}

fn read_depends_on(node: &Node) -> Result<Vec<(String, Place)>, LabError> {
    let one = |node: &Node| Ok((node.text("`DependsOn`")?.to_owned(), node.place.clone()));
    match &node.kind {
        crate::yaml::Kind::List(_) => node.list("`DependsOn`")?.iter().map(one).collect(),
        _ => Ok(vec![one(node)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn read(text: &str) -> Result<Template, String> {
        let root = Node::parse(&Arc::from("t.yaml"), text).unwrap();
        Template::read(&root).map_err(|e| e.to_string())
    }

    #[test]
    fn refuses_by_name_and_line() {
        let cases = [
            (
                "Parameters: {}\nResources: {}",
                "t.yaml:1:1: the section `Parameters` is not supported (supported: \
                 AWSTemplateFormatVersion, Description, Metadata, Resources, Outputs)",
            ),
            ("Outputs: {}", "t.yaml:1:1: the template lacks `Resources`"),
            (
                "Resources:\n  A-b: {Type: AWS::EC2::VPC}",
                "t.yaml:2:3: the logical id `A-b` is not alphanumeric",
            ),
            (
                "Resources:\n  A:\n    Type: AWS::EC2::VPC\n    Properties: {InstanceTenancy: default}",
                "t.yaml:4:18: property `InstanceTenancy` of AWS::EC2::VPC is not supported \
                 (supported: CidrBlock, EnableDnsSupport, EnableDnsHostnames, Tags)",
            ),
            (
                "Resources:\n  A:\n    Type: AWS::EC2::VPC\n    DependsOn: B",
                "t.yaml:4:16: no resource is called `B`",
            ),
            (
                "Resources:\n  A:\n    Type: AWS::EC2::InternetGateway\n    DeletionPolicy: Retain",
                "t.yaml:4:5: unknown key `DeletionPolicy` in resource `A` \
                 (known: Type, Properties, DependsOn, Metadata)",
            ),
            (
                "Resources:\n  A: {Type: AWS::EC2::VPC}\nOutputs:\n  O: {Value: !GetAtt A.Foo}",
                "t.yaml:4:14: `A`, AWS::EC2::VPC, has no attribute `Foo` \
                 (it has: CidrBlock, DefaultNetworkAcl, DefaultSecurityGroup, Ipv6CidrBlocks, VpcId)",
            ),
            (
                "Resources:\n  A: {Type: AWS::EC2::VPC, Properties: {CidrBlock: !Join [a, [b]]}}",
                "t.yaml:2:52: the function `!Join` is not supported \
                 (supported: Ref, Fn::GetAtt, Fn::Sub, Fn::Base64, Fn::Select, Fn::Cidr)",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).unwrap_err(), expected, "{text}");
        }
        let unknown = read("Resources:\n  A:\n    Type: AWS::EC2::VPNGateway").unwrap_err();
        let start = "t.yaml:3:11: resource type `AWS::EC2::VPNGateway` of `A` is not supported (supported: ";
        assert!(unknown.starts_with(start), "{unknown}");
    }
}
