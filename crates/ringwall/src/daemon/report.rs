//! What a daemon tells about its cloud: what stands, and which way a packet takes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use engine::{InterfaceKey, PortId};
use host::machine::{self, MachineStatus};
use host::namespace::Namespace;
use lab::deploy::{Deployment, PhysicalId};
use lab::walk::{self, Explanation, Question, Scene, Unanswerable};
use lab::world::Interface;
use model::{Instance, InstanceState, Region, StateReason};

use super::agent::Now;
use super::cloud::Cloud;
use crate::protocol::{HostStatus, InstanceStatus, MachineReport, Status};

/// What stands in a cloud and around it.
pub(super) fn status(cloud: &Cloud) -> Status {
    let now = cloud.now();
    let counted = cloud.counters();
    let counters = counted.engine;
    let links: BTreeMap<_, _> = now.ports.iter().map(|(link, port)| (*port, link)).collect();
    let dropped = counters.ports.iter().filter(|(_, counted)| !counted.drops.is_empty());
    let drops = dropped.map(|(port, counted)| {
        let link = links.get(port).map_or_else(|| port.to_string(), |link| (*link).clone());
        (owner_of(&now, *port).unwrap_or(link), counted.drops.clone())
    });
    // What was committed last, not what the fabric has already heard of.
    let regions = cloud.regions();
    let instances = regions.iter().flat_map(|region| region.instances().values().map(move |i| (region, i)));
    // One whose machine could not be set up is gone too, but somebody may want to know why.
    let standing = instances.filter(|(_, instance)| {
        instance.state != InstanceState::Terminated
            || instance.state_reason == Some(StateReason::InternalError)
    });
    Status {
        name: cloud.lab.name.clone(),
        region: cloud.lab.region.to_string(),
        endpoint: cloud.endpoint.get().copied(),
        signed: cloud.signed,
        instances: standing.map(|(region, instance)| instance_status(cloud, region, instance)).collect(),
        hosts: hosts(cloud),
        connections: counters.connections,
        overload: counted.overload,
        drops: drops.collect(),
    }
}

/// The way of a packet, asked of the engine's own tables.
pub(super) fn explain(cloud: &Cloud, question: &Question) -> Result<Explanation, Unanswerable> {
    let now = cloud.now();
    let empty = Arc::new(Region::new(cloud.lab.region.clone(), 0));
    let region = now.regions.iter().find(|region| *region.key() == cloud.lab.region).unwrap_or(&empty);
    let deployment = with_instances(&cloud.deployment, region);
    let scene = Scene { lab: &cloud.lab, deployment: &deployment, region, tables: Arc::clone(&now.tables) };
    walk::explain(&scene, question)
}

/// The template's resources, and the instances that the API has made since, which are called by their Name tags, or
/// by their ids where a tag is missing or taken.
fn with_instances(deployment: &Deployment, region: &Region) -> Deployment {
    let mut all = deployment.clone();
    for instance in
        region.instances().values().filter(|instance| deployment.logical_id(instance.id).is_none())
    {
        let id = instance.id.to_string();
        let name = instance.name().filter(|name| !all.physical.contains_key(*name)).unwrap_or(&id);
        all.physical.insert(name.to_owned(), PhysicalId::Instance(instance.id));
    }
    all
}

fn instance_status(cloud: &Cloud, region: &Region, instance: &Instance) -> InstanceStatus {
    let interface = instance.interfaces.first().and_then(|id| region.interfaces().get(id));
    let public = interface.and_then(|i| region.public_address_of(i.id, i.private_ip));
    let id = instance.id.to_string();
    InstanceStatus {
        logical: cloud.deployment.logical_id(instance.id).unwrap_or_default().to_owned(),
        name: instance.name().map(str::to_owned),
        state: instance.state.to_string(),
        private_ip: interface.map(|interface| interface.private_ip),
        public_ip: public,
        ipv6: interface.map(|interface| interface.ipv6_addresses.clone()).unwrap_or_default(),
        mac: interface.map(|interface| interface.mac.to_string()),
        port: interface.map(|interface| host::cloud::port_link(interface.id)),
        machine: report(cloud.names.of_instance(instance.id), &cloud.dir.machine(&id)),
        id,
    }
}

fn hosts(cloud: &Cloud) -> Vec<HostStatus> {
    let hosts = cloud.lab.world.hosts.values().map(|host| HostStatus {
        name: host.name.clone(),
        kind: host.kind.to_string(),
        addresses: host.interfaces.values().flat_map(Interface::addresses).collect(),
        machine: report(cloud.names.of_host(&host.name), &cloud.dir.machine(&host.name)),
    });
    hosts.collect()
}

/// What people call the instance on a port.
fn owner_of(now: &Now, port: PortId) -> Option<String> {
    let InterfaceKey { region, interface } = now.tables.interface_at(port)?;
    let region = now.regions.iter().find(|known| known.key() == region)?;
    let owner = region.instances().values().find(|instance| instance.interfaces.contains(interface))?;
    Some(owner.name().map_or_else(|| owner.id.to_string(), str::to_owned))
}

fn report(namespace: String, state_dir: &Path) -> MachineReport {
    let alive =
        Namespace::open(&namespace).ok().and_then(|namespace| machine::pid(state_dir, &namespace)).is_some();
    let (state, failures) = match machine::status(state_dir) {
        Some(MachineStatus::Stopped) => ("stopped", Vec::new()),
        Some(MachineStatus::Failed { message }) => ("failed", vec![message]),
        _ if !alive => ("gone", Vec::new()),
        None | Some(MachineStatus::Starting) => ("starting", Vec::new()),
        Some(MachineStatus::Running { failures, .. }) => ("running", failures),
    };
    MachineReport { namespace, state_dir: state_dir.to_owned(), state: state.to_owned(), failures }
}
