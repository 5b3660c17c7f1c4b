//! Stacks: templates that are applied again and again to a cloud that remembers what they have become.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use model::{Applied, Change, Fault, InstanceState, InterfaceAttribute, NatGatewayState, Region};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::remove::remove;
use super::resources::Properties;
use super::update::Revision;
use super::{Cloud, Deployment, Maker, PhysicalId, plain};
use crate::error::{LabError, Place, TemplateFault};
use crate::file::Lab;
use crate::template::{Resource, Setting, Template};
use crate::yaml::{Fields, Node};

/// A stack that stands: what its template has become, and what that was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// The UUID at the end of its id.
    pub uuid: String,
    /// Its parameters' values.
    pub parameters: BTreeMap<String, String>,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// Each after all that it needs.
    resources: Vec<Standing>,
}

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Standing {
    logical: String,
    /// Its type's name.
    kind: String,
    physical: PhysicalId,
    /// All functions carried out.
    properties: Value,
}

/// What was done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deed {
    /// It was made.
    Created,
    /// It was changed where it stands.
    Updated,
    /// Another one was made in its place.
    Replaced,
    /// It was taken away.
    Deleted,
}

/// What was done to one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What.
    pub deed: Deed,
    /// The resource's logical id.
    pub logical: String,
    /// Its type's name.
    pub kind: String,
    /// Its id, as `Ref` gives it.
    pub physical: String,
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Replaced => "replaced",
            Self::Deleted => "deleted",
        })
    }
}

impl Stack {
    /// Brings a stack to what its template says now: makes what is missing, changes what can be changed, replaces what
    /// cannot, and takes away what is left. `before` is the stack as it stands, if it does; `lab` has the images and
    /// the pools. Gives the stack as it is then, and what was done, in order.
    ///
    /// # Errors
    /// The first thing that is refused, with its place; half of the changes may be made in `cloud` then.
    pub fn apply(
        before: Option<&Stack>,
        lab: &Lab,
        template: &Template,
        setting: &Setting,
        cloud: &mut dyn Cloud,
    ) -> Result<(Stack, Vec<Done>), LabError> {
        let done = Deployment::default();
        let maker = Maker { lab, template, stack: &setting.stack, cloud, done };
        let mut change =
            StackChange { maker, standing: Vec::new(), leaving: BTreeSet::new(), done: Vec::new() };
        let outputs = change.carry_out(before).map_err(|error| template.masked(error))?;
        let StackChange { standing: resources, done, .. } = change;
        let (uuid, parameters) = (setting.uuid.clone(), template.parameters());
        Ok((Stack { uuid, parameters, outputs, resources }, done))
    }

    /// Takes all of it away; `name` is what errors call it. Gives what was done, in order.
    ///
    /// # Errors
    /// What is refused, and nothing else that is taken away helps; half of the changes may be made in `cloud` then.
    pub fn delete(&self, name: &str, cloud: &mut dyn Cloud) -> Result<Vec<Done>, LabError> {
        remove_all(name, self.resources.iter().rev().collect(), cloud)
    }

    /// How many resources it has.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether it has no resources.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// Whether some of it is still on its way.
    pub fn is_coming(&self, region: &Region) -> bool {
        self.resources.iter().any(|own| match &own.physical {
            PhysicalId::Instance(id) => {
                region.instances().get(id).is_some_and(|own| own.state == InstanceState::Pending)
            }
            PhysicalId::NatGateway(id) => {
                region.nat_gateways().get(id).is_some_and(|own| own.state == NatGatewayState::Pending)
            }
            _ => false,
        })
    }

    /// What of it does not run, each in a sentence.
    pub fn trouble(&self, region: &Region) -> Vec<String> {
        let instances = self.resources.iter().filter_map(|own| match &own.physical {
            PhysicalId::Instance(id) => Some((own, region.instances().get(id)?)),
            _ => None,
        });
        let failed = instances.filter(|(_, instance)| {
            instance.impaired_since.is_some()
                || instance.state_reason == Some(model::StateReason::InternalError)
        });
        failed
            .map(|(own, instance)| format!("{}, {}, could not be set up", own.logical, instance.id))
            .collect()
    }
}

/// A stack while it is changed.
struct StackChange<'l> {
    maker: Maker<'l>,
    standing: Vec<Standing>,
    /// The logical ids of those before that were replaced and still stand.
    leaving: BTreeSet<String>,
    done: Vec<Done>,
}

impl StackChange<'_> {
    fn carry_out(&mut self, before: Option<&Stack>) -> Result<BTreeMap<String, String>, LabError> {
        self.maker.check_parameters()?;
        let before = before.map(|stack| stack.resources.as_slice()).unwrap_or_default();
        let template = self.maker.template;
        for resource in template.in_order()? {
            let old = before.iter().find(|old| old.logical == resource.logical);
            self.turn(resource, old)?;
        }
        let leaves = |old: &&Standing| {
            template.resource(&old.logical).is_none() || self.leaving.contains(&old.logical)
        };
        let leaving = before.iter().rev().filter(leaves).collect();
        let removed = remove_all(self.maker.stack, leaving, self.maker.cloud)?;
        // Of those that were replaced it is told already.
        self.done.extend(removed.into_iter().filter(|done| template.resource(&done.logical).is_none()));
        self.maker.outputs()
    }

    /// Makes a resource what the template says.
    fn turn(&mut self, resource: &Resource, old: Option<&Standing>) -> Result<(), LabError> {
        let node = self.maker.resolved(resource)?;
        let properties = plain::kept(&node);
        let kind = resource.kind.name();
        let (deed, physical) = match old {
            None => (Some(Deed::Created), self.maker.make(resource, &node)?),
            Some(old) if old.kind != kind => {
                let (logical, was) = (resource.logical.clone(), old.kind.clone());
                return Err(resource.place.error(TemplateFault::TypeChanged { logical, was, is: kind }));
            }
            Some(old) if old.properties == properties => (None, old.physical.clone()),
            Some(old) => self.revise(resource, &node, old, &properties)?,
        };
        if let Some(deed) = deed {
            self.note(deed, &resource.logical, kind, &physical);
        }
        self.maker.done.physical.insert(resource.logical.clone(), physical.clone());
        let (logical, kind) = (resource.logical.clone(), kind.to_owned());
        self.standing.push(Standing { logical, kind, physical, properties });
        Ok(())
    }

    /// Changes a resource where it stands, or makes another one in its place: beside it if that can be, and after it
    /// where it is in the way.
    fn revise(
        &mut self,
        resource: &Resource,
        node: &Node,
        old: &Standing,
        properties: &Value,
    ) -> Result<(Option<Deed>, PhysicalId), LabError> {
        let old_node = plain::read(&old.properties, &resource.place);
        let of = |node| Fields::of(node, resource.kind.name(), resource.kind.properties());
        let revision = Revision {
            old: Properties { resource, fields: of(&old_node)? },
            new: Properties { resource, fields: of(node)? },
            changed: plain::differing(&old.properties, properties),
        };
        if revision.possible() {
            return Ok((Some(Deed::Updated), self.maker.update(&old.physical, &revision)?));
        }
        match self.try_make(resource, node) {
            Ok(()) => drop(self.leaving.insert(old.logical.clone())),
            // What is wrong with the new one is more to the point than why the old one cannot go.
            Err(error) => {
                let removed = self.spare_interfaces(&old.physical);
                let removed = removed.and_then(|()| remove(self.maker.cloud, &old.physical));
                removed.map_err(|_| error)?;
            }
        }
        Ok((Some(Deed::Replaced), self.maker.make(resource, node)?))
    }

    /// Has an instance that goes leave behind the interfaces that are resources of their own: they are for the one that
    /// takes its place.
    fn spare_interfaces(&mut self, physical: &PhysicalId) -> Result<(), Fault> {
        let PhysicalId::Instance(instance) = physical else { return Ok(()) };
        let own = self.maker.done.physical.values().filter_map(|physical| match physical {
            PhysicalId::Interface(interface) => self.maker.cloud.region().interfaces().get(interface),
            _ => None,
        });
        let tied = own.filter_map(|own| Some((own.id, own.attachment.as_ref()?)));
        let tied: Vec<_> =
            tied.filter(|(_, tie)| tie.instance == *instance).map(|(id, tie)| (id, tie.id)).collect();
        for (interface, attachment) in tied {
            let attribute = InterfaceAttribute::DeleteOnTermination { attachment, delete: false };
            self.maker.cloud.apply(Change::ModifyNetworkInterfaceAttribute { interface, attribute })?;
        }
        Ok(())
    }

    /// Whether a resource could be made now.
    fn try_make(&self, resource: &Resource, node: &Node) -> Result<(), LabError> {
        let Maker { lab, template, stack, ref cloud, ref done } = self.maker;
        let mut scratch = Scratch { region: cloud.region().clone(), outside: &**cloud };
        let mut maker = Maker { lab, template, stack, cloud: &mut scratch, done: done.clone() };
        maker.make(resource, node).map(drop)
    }

    fn note(&mut self, deed: Deed, logical: &str, kind: &str, physical: &PhysicalId) {
        let (logical, kind) = (logical.to_owned(), kind.to_owned());
        self.done.push(Done { deed, logical, kind, physical: physical.reference() });
    }
}

/// A copy of a region, to try things on.
struct Scratch<'c> {
    region: Region,
    outside: &'c dyn Cloud,
}

impl Cloud for Scratch<'_> {
    fn region(&self) -> &Region {
        &self.region
    }

    fn apply(&mut self, change: Change) -> Result<Applied, Fault> {
        self.region.apply(change)
    }

    fn each_other_region(&self, look: &mut dyn FnMut(&Region)) {
        self.outside.each_other_region(look);
    }

    fn time(&self) -> u64 {
        self.outside.time()
    }
}

/// Takes resources away, in this order if that can be. What is refused is tried again after the others: a template
/// need not say all that its resources stand on.
fn remove_all(
    stack: &str,
    mut leaving: Vec<&Standing>,
    cloud: &mut dyn Cloud,
) -> Result<Vec<Done>, LabError> {
    let mut done = Vec::new();
    while !leaving.is_empty() {
        let mut refused = Vec::new();
        let mut first = None;
        let count = leaving.len();
        for standing in leaving {
            match remove(cloud, &standing.physical) {
                Ok(()) => {
                    let (logical, kind) = (standing.logical.clone(), standing.kind.clone());
                    let physical = standing.physical.reference();
                    done.push(Done { deed: Deed::Deleted, logical, kind, physical });
                }
                Err(fault) => {
                    first.get_or_insert((standing, fault));
                    refused.push(standing);
                }
            }
        }
        if let Some((standing, fault)) = first
            && refused.len() == count
        {
            let place = Place::whole(&Arc::from(format!("stack {stack}")));
            let (logical, code, message) = (standing.logical.clone(), fault.code(), fault.to_string());
            return Err(place.error(TemplateFault::Refused { logical, code, message }));
        }
        leaving = refused;
    }
    Ok(done)
}
