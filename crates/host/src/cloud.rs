//! What a region's instances need of this machine: a namespace each, and a veth pair for each interface.

use model::{InstanceId, InstanceState, InterfaceId, Region};
use wire::Mac;

use crate::plan::{End, NamespacePlan, Plan, Veth};

/// MTU of an instance's interface in bytes (EC2 user guide, "Network maximum transmission unit").
const INSTANCE_MTU: u32 = 9001;

/// The namespaces of one lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// `rw-<lab>-`.
    prefix: String,
}

impl Names {
    /// The names of the lab called `lab`.
    pub fn of(lab: &str) -> Names {
        Names { prefix: format!("rw-{lab}-") }
    }

    /// Where the fabric's ports stand. It has no addresses and forwards nothing itself.
    pub fn fabric(&self) -> String {
        self.of_member("fabric")
    }

    /// Where the servers of link-local services listen.
    pub fn services(&self) -> String {
        self.of_member("services")
    }

    /// Where the segments' bridges stand, and where the relay runs.
    pub fn segments(&self) -> String {
        self.of_member("segments")
    }

    /// The namespace of a host of the world.
    pub fn of_host(&self, name: &str) -> String {
        self.of_member(name)
    }

    /// The namespace of an instance.
    pub fn of_instance(&self, instance: InstanceId) -> String {
        self.of_member(&instance.to_string())
    }

    fn of_member(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// The name of an interface's port in the fabric: the last twelve digits of its id, to fit into 15 bytes.
pub fn port_link(interface: InterfaceId) -> String {
    let id = interface.to_string();
    let digits = id.len().saturating_sub(12);
    format!("eni{}", id.get(digits..).unwrap_or_default())
}

/// Adds the instances of `region` that run, or are about to. `forwarding` says which guests forward IPv4.
pub fn add_instances(
    plan: &mut Plan,
    names: &Names,
    region: &Region,
    forwarding: impl Fn(InstanceId) -> bool,
) {
    for instance in region.instances().values() {
        if matches!(instance.state, InstanceState::Stopped | InstanceState::Terminated) {
            continue;
        }
        let namespace = names.of_instance(instance.id);
        let guest = NamespacePlan {
            forwarding: forwarding(instance.id),
            leave_addresses: true,
            ..NamespacePlan::default()
        };
        plan.namespaces.insert(namespace.clone(), guest);
        for interface in instance.interfaces.iter().filter_map(|id| region.interfaces().get(id)) {
            let index = interface.attachment.as_ref().map_or(0, |attachment| attachment.device_index);
            plan.veths.push(Veth {
                a: End { namespace: names.fabric(), link: port_link(interface.id), mac: None, bridge: None },
                b: End {
                    namespace: namespace.clone(),
                    link: format!("eth{index}"),
                    mac: Some(Mac(interface.mac.0)),
                    bridge: None,
                },
                mtu: INSTANCE_MTU,
            });
        }
    }
}
