//! Brings a lab up, step by step; every step can fail, and none is half done afterwards: what was made is on the list.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use engine::{Engine, Fabric as Ports, InterfaceKey, METADATA, PortId, Services, Tables, Uplink};
use host::cloud::{self, Names};
use host::fabric::{Fabric, FabricError};
use host::kernel::{KernelError, Linux, Observed};
use host::ledger::{Ledger, LedgerError};
use host::machine::{self, MachineError, MachineSpec, MachineStatus};
use host::namespace::{Namespace, NamespaceError};
use host::plan::{End, NamespacePlan, Plan, Route, Veth};
use host::reconcile::{ReconcileError, reconcile};
use host::relay::{Relay, RelayError};
use ipnet::Ipv4Net;
use lab::deploy::{Deployment, deploy};
use lab::file::Lab;
use lab::plan;
use lab::programs;
use lab::world::Member;
use model::{Change, InstanceState, InterfaceId, Region};
use services::metadata::{self, Caller, Directory, ServeError};
use wire::Mac;

use super::standing::Standing;
use crate::labs::{LabDir, Locked};

/// The servers' end of the link between them and the fabric, and the fabric's.
const SERVICES_LINK: &str = "eth0";
const SERVICES_PORT: &str = "services0";
const SERVICES_MAC: Mac = Mac([0x0a, 0x52, 0x57, 0x00, 0x00, 0x02]);
/// The addresses under which the servers see the fabric's ports (RFC 6598).
const CALLERS: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10);
/// MTU inside a VPC, also towards its services.
const VPC_MTU: u32 = 9001;

/// MTU at an internet gateway (EC2 user guide, "Network maximum transmission unit").
const INTERNET_MTU: u16 = 1500;

/// How long all machines of a lab may take to start.
const BOOT: Duration = Duration::from_secs(120);

/// Why a lab could not be brought up.
#[derive(Debug, thiserror::Error)]
pub(super) enum BringUpError {
    #[error(transparent)]
    Lab(#[from] lab::error::LabError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error(transparent)]
    Fabric(#[from] FabricError),
    #[error(transparent)]
    Relay(#[from] RelayError),
    #[error(transparent)]
    Machine(#[from] MachineError),
    #[error("machine {name} could not be set up: {message}")]
    MachineFailed { name: String, message: String },
    #[error("machine {0} did not start in time; its console says why")]
    MachineLate(String),
    #[error("the metadata service cannot listen: {0}")]
    MetadataAddress(io::Error),
    #[error(transparent)]
    Metadata(#[from] ServeError),
    #[error("there is no link {0} in the fabric")]
    NoPort(String),
    #[error("the machine gives no random numbers: {0}")]
    Random(io::Error),
    #[error("the model refused: {0}")]
    Model(#[from] model::Fault),
}

/// Brings up the lab of `file` in `dir`, telling `progress` what is done.
pub(super) fn bring_up(
    file: &Path,
    dir: &LabDir,
    lock: &Locked,
    progress: &dyn Fn(String),
) -> Result<Standing, BringUpError> {
    let mut lab = Lab::load(file)?;
    lab.name.clone_from(&dir.name);
    let names = Names::of(&lab.name);
    let mut region = Region::new(lab.region.clone(), random()?);
    let deployment = deploy(&lab, &mut region)?;
    progress(format!("cloud: {} resources in {}", deployment.physical.len(), region.key()));

    let (plan, interfaces) = whole_plan(&lab, &deployment, &region, &names);
    let mut kernel = Linux::open(Ledger::open(&dir.path)?)?;
    let observed = reconcile(&plan, &mut kernel, &mut |_| {})?;
    drop(kernel);
    progress(format!("network: {} namespaces, {} links", plan.namespaces.len(), plan.veths.len()));

    let fabric_namespace = Namespace::open(&names.fabric())?;
    let ports = ports(&observed, &names);
    let tables = tables(&lab, &region, &ports, &interfaces)?;
    let fabric = Fabric::start(&fabric_namespace, Engine::new(Arc::clone(&tables), random()?))?;
    let relay =
        Relay::start(&Namespace::open(&plan::segments_namespace(&lab.name))?, plan::relay_links(&lab))?;

    let mut specs = programs::host_machines(&lab, &deployment, &dir.machine(""));
    specs.extend(instance_machines(&lab, &deployment, &region, &names, dir));
    let booted: Vec<_> = region.instances().keys().copied().collect();
    for instance in booted {
        region.apply(Change::SetInstanceState { instance, state: InstanceState::Running })?;
    }
    let region = Arc::new(region);
    let metadata = serve_metadata(&names, &region, &tables)?;
    for spec in &specs {
        machine::start(spec, Some(lock.file().as_fd()))?;
    }
    progress(format!("machines: {} started", specs.len()));
    wait_for(&specs)?;
    progress("machines: all running".to_owned());
    Ok(Standing {
        lab,
        deployment,
        region,
        tables,
        names,
        dir: dir.clone(),
        ports,
        fabric,
        _relay: relay,
        _metadata: metadata,
    })
}

/// The world, the instances, and the servers of link-local services.
fn whole_plan(
    lab: &Lab,
    deployment: &Deployment,
    region: &Region,
    names: &Names,
) -> (Plan, BTreeMap<String, InterfaceKey>) {
    let mut plan = plan::world_plan(lab);
    let forwards = |instance| {
        let guest = deployment.logical_id(instance).and_then(|logical| lab.world.guests.get(logical));
        guest.is_some_and(|guest| guest.forward)
    };
    let interfaces = cloud::add_instances(&mut plan, names, region, forwards);
    let servers = NamespacePlan {
        addresses: [(SERVICES_LINK.to_owned(), Ipv4Net::from(METADATA))].into(),
        routes: [Route { via: None, destination: CALLERS, link: Some(SERVICES_LINK.to_owned()) }].into(),
        ..NamespacePlan::default()
    };
    plan.namespaces.insert(names.services(), servers);
    let end = |namespace, link: &str, mac| End { namespace, link: link.to_owned(), mac, bridge: None };
    plan.veths.push(Veth {
        a: end(names.fabric(), SERVICES_PORT, None),
        b: end(names.services(), SERVICES_LINK, Some(SERVICES_MAC)),
        mtu: VPC_MTU,
    });
    (plan, interfaces)
}

/// The number of each link in the fabric's namespace.
fn ports(observed: &Observed, names: &Names) -> BTreeMap<String, PortId> {
    let links = observed.namespaces.get(&names.fabric()).into_iter().flat_map(|namespace| &namespace.links);
    links.map(|(name, link)| (name.clone(), PortId(link.index))).collect()
}

fn tables(
    lab: &Lab,
    region: &Region,
    ports: &BTreeMap<String, PortId>,
    interfaces: &BTreeMap<String, InterfaceKey>,
) -> Result<Arc<Tables>, BringUpError> {
    let port = |link: &str| ports.get(link).copied().ok_or_else(|| BringUpError::NoPort(link.to_owned()));
    let attached = interfaces.iter().map(|(link, key)| Ok((key.clone(), port(link)?)));
    let fabric = Ports {
        interfaces: attached.collect::<Result<_, BringUpError>>()?,
        services: Some(Services { port: port(SERVICES_PORT)?, mac: SERVICES_MAC }),
        uplink: Some(Uplink {
            port: port(plan::UPLINK)?,
            mac: plan::uplink_mac(lab),
            mtu: INTERNET_MTU,
            neighbors: plan::internet_neighbors(lab),
        }),
    };
    Ok(Arc::new(Tables::compile([region], &fabric, 1, random()?)))
}

fn instance_machines(
    lab: &Lab,
    deployment: &Deployment,
    region: &Region,
    names: &Names,
    dir: &LabDir,
) -> Vec<MachineSpec> {
    let machine = |instance: &model::Instance| {
        let logical = deployment.logical_id(instance.id).unwrap_or_default();
        let programs = programs::programs(lab, deployment, &Member::Instance(logical.to_owned()));
        let interface = instance.interfaces.first().and_then(|id| region.interfaces().get(id));
        let id = instance.id.to_string();
        MachineSpec {
            hostname: interface.map_or_else(|| id.clone(), |interface| interface.host_name()),
            namespace: names.of_instance(instance.id),
            state_dir: dir.machine(&id),
            files: lab.image(instance.image).map(|image| image.files).unwrap_or_default(),
            dhcp: Some("eth0".to_owned()),
            commands: programs.commands,
            processes: programs.processes,
            user_data: instance.user_data.clone(),
            name: id,
        }
    };
    region.instances().values().map(machine).collect()
}

/// Waits until every machine has set itself up.
fn wait_for(specs: &[MachineSpec]) -> Result<(), BringUpError> {
    let deadline = Instant::now() + BOOT;
    for spec in specs {
        loop {
            match machine::status(&spec.state_dir) {
                Some(MachineStatus::Running { .. }) => break,
                Some(MachineStatus::Failed { message }) => {
                    return Err(BringUpError::MachineFailed { name: spec.name.clone(), message });
                }
                _ if Instant::now() > deadline => return Err(BringUpError::MachineLate(spec.name.clone())),
                _ => thread::sleep(Duration::from_millis(20)),
            }
        }
    }
    Ok(())
}

fn serve_metadata(
    names: &Names,
    region: &Arc<Region>,
    tables: &Arc<Tables>,
) -> Result<metadata::Server, BringUpError> {
    let address = SocketAddrV4::new(METADATA, 80);
    let listener = Namespace::open(&names.services())?.run(|| TcpListener::bind(address))?;
    let callers = Callers { region: Arc::clone(region), tables: Arc::clone(tables) };
    Ok(metadata::serve(listener.map_err(BringUpError::MetadataAddress)?, Arc::new(callers))?)
}

/// Knows a caller by the address that the engine gave its port.
struct Callers {
    region: Arc<Region>,
    tables: Arc<Tables>,
}

impl Directory for Callers {
    fn caller(&self, peer: Ipv4Addr) -> Option<Caller> {
        let interface: InterfaceId = self.tables.interface_at(engine::service_port(peer)?)?.interface;
        Some(Caller { region: Arc::clone(&self.region), interface })
    }
}

fn random() -> Result<u64, BringUpError> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| BringUpError::Random(error.into()))?;
    Ok(u64::from_ne_bytes(bytes))
}
