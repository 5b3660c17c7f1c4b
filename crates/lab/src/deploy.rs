//! Making a template's resources: each becomes changes of a `model::Region`, in the order of their needs.
//!
//! Nothing is made on the machine here, so a template that is refused half-way leaves only a `Region` to throw away.

mod dhcp_options;
mod flow_log;
mod instance;
mod ipv6;
mod key_pair;
mod nat_gateway;
mod network_acl;
mod network_interface;
mod physical;
mod plain;
mod remove;
mod resources;
mod security_group;
mod stack;
mod update;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use model::{Applied, Change, Fault, ImageId, InstanceId, Region};
use serde::{Deserialize, Serialize};

use crate::error::{LabError, Place, TemplateFault, WorldFault};
use crate::file::Lab;
use crate::template::expression::{Expression, Target};
use crate::template::{Resource, Template};
use crate::world::check::not_in_itself;
use crate::world::{Member, TunnelEnd};
use crate::yaml::{Key, Node};
pub use physical::PhysicalId;
pub use stack::{Deed, Done, Stack};

/// A lab whose template stands in a region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// What each logical id of the template has become.
    pub physical: BTreeMap<String, PhysicalId>,
    /// The template's outputs.
    pub outputs: BTreeMap<String, String>,
    /// The public address at which end `a` of each tunnel, by name, dials end `b`.
    pub tunnel_remotes: BTreeMap<String, Ipv4Addr>,
}

impl Deployment {
    /// The instance with this logical id.
    pub fn instance(&self, logical: &str) -> Option<InstanceId> {
        match self.physical.get(logical)? {
            PhysicalId::Instance(id) => Some(*id),
            _ => None,
        }
    }

    /// The logical id of an instance.
    pub fn logical_id(&self, instance: InstanceId) -> Option<&str> {
        let mut all = self.physical.iter();
        all.find(|(_, id)| **id == PhysicalId::Instance(instance)).map(|(logical, _)| logical.as_str())
    }
}

/// Where a template's resources are made: a region in memory, or a transaction of a store.
pub trait Cloud {
    /// The region with all changes so far.
    fn region(&self) -> &Region;

    /// Makes one change.
    ///
    /// # Errors
    /// The region's refusal.
    fn apply(&mut self, change: Change) -> Result<Applied, Fault>;

    /// Looks at all other regions, which share the pools of public addresses with this one.
    fn each_other_region(&self, _look: &mut dyn FnMut(&Region)) {}

    /// When it is, in seconds since 1970.
    fn time(&self) -> u64 {
        0
    }
}

impl Cloud for Region {
    fn region(&self) -> &Region {
        self
    }

    fn apply(&mut self, change: Change) -> Result<Applied, Fault> {
        Region::apply(self, change)
    }
}

/// Makes all resources of the lab's template in `cloud`, whose region should be new.
///
/// # Errors
/// The first thing that is wrong, with its place: a circle of resources, a value that is none, EC2's refusal, and
/// what the world asks of the cloud in vain.
pub fn deploy(lab: &Lab, cloud: &mut dyn Cloud) -> Result<Deployment, LabError> {
    let (template, stack) = (&lab.template, lab.name.as_str());
    let mut maker = Maker { lab, template, stack, cloud, done: Deployment::default() };
    maker.deploy().map_err(|error| template.masked(error))?;
    Ok(maker.done)
}

struct Maker<'l> {
    /// What images there are, and which addresses.
    lab: &'l Lab,
    template: &'l Template,
    /// What names begin with that the template leaves out.
    stack: &'l str,
    cloud: &'l mut dyn Cloud,
    done: Deployment,
}

impl Maker<'_> {
    /// Makes the lab's own template.
    fn deploy(&mut self) -> Result<(), LabError> {
        self.check_parameters()?;
        for resource in self.template.in_order()? {
            let physical = self.make(resource, &self.resolved(resource)?)?;
            self.done.physical.insert(resource.logical.clone(), physical);
        }
        self.done.outputs = self.outputs()?;
        self.check_names()?;
        self.dial_tunnels()
    }

    /// Whether what parameters name is there.
    fn check_parameters(&self) -> Result<(), LabError> {
        let image = |id: &str| id.parse().is_ok_and(|id| self.has_image(id));
        self.template.check_parameters(self.cloud.region(), &image)
    }

    /// Whether instances can run an image: one of the lab file's, or one that was registered.
    fn has_image(&self, image: ImageId) -> bool {
        self.lab.image(image).is_some() || self.cloud.region().images().contains_key(&image)
    }

    /// A resource's properties. All that they refer to stands.
    fn resolved(&self, resource: &Resource) -> Result<Node, LabError> {
        resource.properties.resolve(&|target, place| self.get(target, place))
    }

    /// The outputs, once all resources stand.
    fn outputs(&self) -> Result<BTreeMap<String, String>, LabError> {
        let output = |(key, value): &(Key, Expression)| {
            let value = value.resolve(&|target, place| self.get(target, place))?;
            Ok((key.name.clone(), value.text("an output's value")?.to_owned()))
        };
        self.template.outputs().iter().map(output).collect()
    }

    /// The text that a function gets.
    fn get(&self, target: &Target, place: &Place) -> Result<String, LabError> {
        let physical = |logical: &String| {
            let unknown = || place.error(TemplateFault::UnknownResource(logical.clone()));
            self.done.physical.get(logical).ok_or_else(unknown)
        };
        match target {
            Target::Reference(logical) => Ok(physical(logical)?.reference()),
            Target::Attribute(logical, attribute) => {
                physical(logical)?.attribute(self.cloud.region(), attribute).ok_or_else(|| {
                    let (logical, attribute) = (logical.clone(), attribute.clone());
                    place.error(TemplateFault::AttributeUnset { logical, attribute })
                })
            }
        }
    }

    /// The address of a new Elastic IP: the one that the lab file asks for, else a free one.
    fn elastic_ip(&self, resource: &Resource) -> Result<Ipv4Addr, LabError> {
        let asked = self.lab.world.internet.elastic_ips.get(&resource.logical);
        // Other stacks have logical ids of their own.
        match asked.filter(|_| std::ptr::eq(self.template, &self.lab.template)) {
            Some(asked) => Ok(asked.address),
            None => self.free_address(resource),
        }
    }

    /// The lowest public address that nobody has or will ask for.
    fn free_address(&self, resource: &Resource) -> Result<Ipv4Addr, LabError> {
        let internet = &self.lab.world.internet;
        let asked = internet.elastic_ips.values().map(|elastic_ip| elastic_ip.address);
        let mut taken: BTreeSet<Ipv4Addr> = asked.chain(self.cloud.region().public_addresses()).collect();
        self.cloud.each_other_region(&mut |region| taken.extend(region.public_addresses()));
        let pool = internet.pool;
        let free = pool.hosts().find(|address| !taken.contains(address));
        free.ok_or_else(|| resource.place.error(WorldFault::PoolExhausted { pool }))
    }

    /// Name tags of instances and names of hosts must differ, and say which instance is meant.
    fn check_names(&self) -> Result<(), LabError> {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for resource in self.lab.template.resources() {
            let instance = self.done.instance(&resource.logical);
            let instance = instance.and_then(|id| self.cloud.region().instances().get(&id));
            let Some(name) = instance.and_then(|instance| instance.name()) else { continue };
            let by = match (self.lab.world.hosts.get(name), seen.insert(name, &resource.logical)) {
                (Some(host), _) => format!("a {}, at {}", host.kind, host.place),
                (None, Some(other)) => format!("instance `{other}`"),
                (None, None) => continue,
            };
            return Err(resource.place.error(WorldFault::NameTaken { name: name.to_owned(), by }));
        }
        Ok(())
    }

    /// Where end `a` of each tunnel dials.
    fn dial_tunnels(&mut self) -> Result<(), LabError> {
        for tunnel in self.lab.world.tunnels.values() {
            let remote = self.public_address(&tunnel.b)?;
            not_in_itself(&tunnel.a, remote)?;
            self.done.tunnel_remotes.insert(tunnel.name.clone(), remote);
        }
        Ok(())
    }

    fn public_address(&self, end: &TunnelEnd) -> Result<Ipv4Addr, LabError> {
        let (address, needed) = match &end.on {
            Member::Host(name) => {
                let host = self.lab.world.hosts.get(name);
                (host.and_then(|host| host.internet_address()), "an interface on the internet")
            }
            Member::Instance(logical) => (self.elastic_ip_of(logical), "an Elastic IP"),
        };
        address.ok_or_else(|| end.place.error(WorldFault::NotDialable(end.on.name().to_owned(), needed)))
    }

    /// That of an instance's first interface. Its other public address, if it has one, would not last.
    fn elastic_ip_of(&self, logical: &str) -> Option<Ipv4Addr> {
        let region = self.cloud.region();
        let first = region.instances().get(&self.done.instance(logical)?)?.interfaces.first()?;
        let private_ip = region.interfaces().get(first)?.private_ip;
        let mut mapped = region.addresses().values().filter(|address| {
            address
                .association
                .as_ref()
                .is_some_and(|to| (to.interface, to.private_ip) == (*first, private_ip))
        });
        mapped.next().map(|address| address.public_ip)
    }
}
