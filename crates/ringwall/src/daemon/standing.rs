//! A lab that stands: what its daemon holds while it runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use engine::{InterfaceKey, PortId, Tables};
use host::cloud::Names;
use host::fabric::Fabric;
use host::machine::{self, MachineStatus};
use host::namespace::Namespace;
use host::relay::Relay;
use lab::deploy::Deployment;
use lab::file::Lab;
use lab::walk::{self, Explanation, Question, Scene, Unanswerable};
use model::{Instance, Region};
use services::metadata::Server;

use crate::labs::LabDir;
use crate::protocol::{HostStatus, InstanceStatus, MachineReport, Status};

/// Everything that runs for one lab. Dropping it stops what runs in the daemon; machines go on.
pub(super) struct Standing {
    pub(super) lab: Lab,
    pub(super) deployment: Deployment,
    pub(super) region: Arc<Region>,
    pub(super) tables: Arc<Tables>,
    pub(super) names: Names,
    pub(super) dir: LabDir,
    /// Every port of the fabric by the name of its link.
    pub(super) ports: BTreeMap<String, PortId>,
    pub(super) fabric: Fabric,
    pub(super) _relay: Relay,
    pub(super) _metadata: Server,
}

impl Standing {
    pub(super) fn status(&self) -> Status {
        let counters = self.fabric.counters().unwrap_or_default();
        let links: BTreeMap<_, _> = self.ports.iter().map(|(link, port)| (*port, link)).collect();
        let drops = counters.ports.iter().filter(|(_, counted)| !counted.drops.is_empty());
        let drops = drops.map(|(port, counted)| {
            let link = links.get(port).map_or_else(|| port.to_string(), |link| (*link).clone());
            (self.owner_of(*port).unwrap_or(link), counted.drops.clone())
        });
        Status {
            name: self.lab.name.clone(),
            region: self.region.key().to_string(),
            instances: self.region.instances().values().map(|instance| self.instance(instance)).collect(),
            hosts: self.hosts(),
            connections: counters.connections,
            drops: drops.collect(),
        }
    }

    pub(super) fn explain(&self, question: &Question) -> Result<Explanation, Unanswerable> {
        let scene = Scene {
            lab: &self.lab,
            deployment: &self.deployment,
            region: &self.region,
            tables: Arc::clone(&self.tables),
        };
        walk::explain(&scene, question)
    }

    fn instance(&self, instance: &Instance) -> InstanceStatus {
        let interface = instance.interfaces.first().and_then(|id| self.region.interfaces().get(id));
        let public = interface.and_then(|i| self.region.public_address_of(i.id, i.private_ip));
        let id = instance.id.to_string();
        InstanceStatus {
            logical: self.deployment.logical_id(instance.id).unwrap_or_default().to_owned(),
            name: instance.name().map(str::to_owned),
            state: instance.state.to_string(),
            private_ip: interface.map(|interface| interface.private_ip),
            public_ip: public,
            mac: interface.map(|interface| interface.mac.to_string()),
            port: interface.map(|interface| host::cloud::port_link(interface.id)),
            machine: report(self.names.of_instance(instance.id), &self.dir.machine(&id)),
            id,
        }
    }

    fn hosts(&self) -> Vec<HostStatus> {
        let hosts = self.lab.world.hosts.values().map(|host| HostStatus {
            name: host.name.clone(),
            kind: host.kind.to_string(),
            addresses: host.interfaces.values().map(|interface| interface.address.addr()).collect(),
            machine: report(lab::plan::namespace(&self.lab.name, &host.name), &self.dir.machine(&host.name)),
        });
        hosts.collect()
    }

    /// What people call the instance on a port.
    fn owner_of(&self, port: PortId) -> Option<String> {
        let InterfaceKey { interface, .. } = self.tables.interface_at(port)?;
        let mut instances = self.region.instances().values();
        let owner = instances.find(|instance| instance.interfaces.contains(interface))?;
        Some(owner.name().map_or_else(|| owner.id.to_string(), str::to_owned))
    }
}

fn report(namespace: String, state_dir: &Path) -> MachineReport {
    let alive =
        Namespace::open(&namespace).ok().and_then(|namespace| machine::pid(state_dir, &namespace)).is_some();
    let (state, failures) = match machine::status(state_dir) {
        _ if !alive => ("gone", Vec::new()),
        None | Some(MachineStatus::Starting) => ("starting", Vec::new()),
        Some(MachineStatus::Running { failures, .. }) => ("running", failures),
        Some(MachineStatus::Failed { message }) => ("failed", vec![message]),
        Some(MachineStatus::Stopped) => ("stopped", Vec::new()),
    };
    MachineReport { namespace, state_dir: state_dir.to_owned(), state: state.to_owned(), failures }
}
