//! Makes the machine match what is wanted, again and again: a restart, a crash and a change are the same code path.
//!
//! What is wanted are the regions in the store and the lab's world. Each round plans the whole network of it, compares
//! it with what the kernel has, compiles the tables, and looks after each machine. Nothing is ever told what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use control::store::{CommitError, StoreError, Watch, Woken};
use engine::{Fabric as Ports, InterfaceKey, PortId, Services, Tables, Uplink};
use host::cloud;
use host::kernel::Linux;
use host::machine::{self, MachineError, MachineSpec, MachineStatus};
use host::namespace::{Namespace, NamespaceError};
use host::plan::{End, NamespacePlan, Plan, Route, Veth};
use host::reconcile::{ReconcileError, reconcile};
use host::step::Step;
use ipnet::Ipv4Net;
use lab::world::Member;
use lab::{plan, programs};
use model::{Change, Instance, InstanceId, InstanceState, Region, RegionKey, StateReason, TaggedResource};
use wire::Mac;

use super::ages::Ages;
use super::cloud::Cloud;
use super::flow_logs::FlowLogs;
use super::random;
use super::servers::Servers;
use super::uplink::{self, Way};
use crate::labs::Locked;

/// The servers' end of the link between them and the fabric, and the fabric's.
const SERVICES_LINK: &str = "eth0";
const SERVICES_PORT: &str = "services0";
const SERVICES_MAC: Mac = Mac([0x0a, 0x52, 0x57, 0x00, 0x00, 0x02]);
/// The addresses under which the servers see the fabric's ports (RFC 6598).
const CALLERS: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::new(100, 64, 0, 0), 10);
/// An instance's first interface, the one that it configures itself.
const FIRST_LINK: &str = "eth0";
/// MTU inside a VPC, also towards its services.
const VPC_MTU: u32 = 9001;
/// MTU at an internet gateway (EC2 user guide, "Network maximum transmission unit").
const INTERNET_MTU: u16 = 1500;

/// How long a machine may take to end in order.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// For how many seconds a terminated instance is still described (EC2 user guide, "Terminate your instance").
const TERMINATED_IS_SHOWN: u64 = 3600;
/// How soon to look again while machines are on their way, and when nothing is known to happen.
const BUSY: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_secs(2);
/// How soon it is noticed that the daemon is to stop.
const NOTICE: Duration = Duration::from_millis(50);

/// Why a round failed. The next one tries again.
#[derive(Debug, thiserror::Error)]
pub(super) enum AgentError {
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error(transparent)]
    Machine(#[from] MachineError),
    #[error(transparent)]
    Fabric(#[from] host::fabric::FabricError),
    #[error(transparent)]
    Relay(#[from] host::relay::RelayError),
    #[error(transparent)]
    Serve(#[from] services::ServeError),
    #[error("a service cannot listen on {0}: {1}")]
    ServiceAddress(std::net::SocketAddrV4, std::io::Error),
    #[error("there is no link {0} in the fabric")]
    NoPort(String),
    #[error("the uplink: {0}")]
    Uplink(#[from] host::uplink::UplinkError),
    #[error(transparent)]
    Random(#[from] super::RandomError),
    #[error("an instance's state could not be written down: {0}")]
    Store(#[from] CommitError),
    #[error("an instance could not be forgotten: {0}")]
    Clean(std::io::Error),
}

impl From<StoreError> for AgentError {
    fn from(error: StoreError) -> AgentError {
        AgentError::Store(error.into())
    }
}

/// What the cloud looks like now, and what stands on which port.
#[derive(Debug, Clone)]
pub(super) struct Now {
    pub(super) regions: Vec<Arc<Region>>,
    pub(super) tables: Arc<Tables>,
    /// Every port of the fabric by the name of its link.
    pub(super) ports: BTreeMap<String, PortId>,
}

/// How the machines are that should run.
#[derive(Debug, Clone, Default)]
pub(super) struct Machines {
    /// Whether some are on their way.
    pub(super) coming: bool,
    /// What is wrong with others, each in one sentence that names it.
    pub(super) trouble: Vec<String>,
}

/// How one machine is.
pub(super) enum Condition {
    /// As it should be.
    Settled,
    /// On its way.
    Coming,
    /// It could not be set up.
    Failed(String),
}

/// Makes one daemon's machine match.
pub(super) struct Agent {
    pub(super) cloud: Arc<Cloud>,
    pub(super) kernel: Linux,
    pub(super) lock: Locked,
    pub(super) watch: Watch,
    /// Counts compilations: each has tables of its own generation.
    pub(super) compiled: u64,
    /// The namespaces and names of links that were made, until their machine is told.
    pub(super) remade: BTreeSet<(String, String)>,
    /// How often each machine was to be rebooted when this agent started it last. One that fails is not tried again
    /// until it is asked for once more, by a reboot, a stop and a start, or a new daemon, or its links are made anew.
    pub(super) started: BTreeMap<String, u64>,
    pub(super) servers: Servers,
    /// How long terminated instances are still to be shown.
    pub(super) terminated: Ages<(RegionKey, InstanceId)>,
    /// When what time brings to a region's resources comes.
    pub(super) due: Ages<(RegionKey, TaggedResource, u64)>,
    pub(super) flow_logs: FlowLogs,
    /// The way out, where it does not lead to a lab's internet.
    pub(super) way_out: Option<Way>,
}

impl Agent {
    /// Works until the store is closed.
    pub(super) fn run(mut self) {
        let mut trouble = String::new();
        loop {
            let cloud = Arc::clone(&self.cloud);
            let (limit, found) = match cloud.rounds.during(|| self.round()) {
                Ok(machines) if machines.coming => (BUSY, machines.trouble.join("; ")),
                Ok(machines) => (IDLE, machines.trouble.join("; ")),
                Err(error) => {
                    let found = error.to_string();
                    self.cloud.set_machines(Machines { coming: false, trouble: vec![found.clone()] });
                    (IDLE, found)
                }
            };
            // What stays is told once.
            if found != trouble {
                if !found.is_empty() {
                    tracing::error!("what stands is not what is wanted: {found}");
                }
                trouble = found;
            }
            let clock = &cloud.clock;
            let next = [self.terminated.next(clock), self.due.next(clock), self.flow_logs.next(clock)];
            let limit = next.into_iter().flatten().fold(limit, Duration::min);
            if !self.wait(limit) {
                self.end_flow_logs();
                return;
            }
        }
    }

    /// Waits for a change, or for as long as given; false if it is time to stop.
    fn wait(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.watch.wait(left.min(NOTICE)) {
                Woken::Closed => return false,
                _ if self.cloud.is_stopping() => return false,
                Woken::Changed => return true,
                _ if self.cloud.rounds.are_asked_for() => return true,
                Woken::TimedOut if left.is_zero() => return true,
                Woken::TimedOut => {}
            }
        }
    }

    /// One round; says how the machines are. An error is one of what they all stand on.
    pub(super) fn round(&mut self) -> Result<Machines, AgentError> {
        let regions = self.cloud.regions();
        let ports = self.network(&regions)?;
        self.servers.stop_strays(&self.cloud)?;
        self.load(regions.clone(), ports)?;
        self.servers.start(&self.cloud)?;
        // One machine's trouble holds up no other.
        let mut machines = Machines::default();
        for spec in
            programs::host_machines(&self.cloud.lab, &self.cloud.deployment, &self.cloud.dir.machine(""))
        {
            machines.note(&spec.name, self.keep_running(&spec));
        }
        for region in &regions {
            let gateways = self.look_after_gateways(region);
            machines.note(&region.key().to_string(), gateways);
            for instance in region.instances().values() {
                machines.note(&called(instance), self.look_after(region, instance));
            }
        }
        self.keep_flow_logs(&regions);
        if let Err(error) = self.cloud.sweep_images(&regions) {
            machines.trouble.push(format!("an image's files could not be removed: {error}"));
        }
        self.cloud.set_machines(machines.clone());
        Ok(machines)
    }

    /// Writes the flow logs whose windows are over.
    fn keep_flow_logs(&mut self, regions: &[Arc<Region>]) {
        if self.flow_logs.is_idle() && regions.iter().all(|region| region.flow_logs().is_empty()) {
            return;
        }
        let cloud = &self.cloud;
        let take = || cloud.take_flow_records();
        let when = (cloud.clock.now(), seconds());
        let done = self.flow_logs.round(regions, &cloud.now().tables, when, &cloud.dir.path, take);
        done.into_iter().for_each(|(log, delivered)| cloud.note_delivery(log, delivered));
    }

    /// Writes all flow logs, as far as they are.
    fn end_flow_logs(&mut self) {
        let cloud = &self.cloud;
        let done = self.flow_logs.end(seconds(), &cloud.dir.path, &cloud.take_flow_records());
        done.into_iter().for_each(|(log, delivered)| cloud.note_delivery(log, delivered));
    }

    /// Brings the network about; gives the number of each link in the fabric's namespace.
    fn network(&mut self, regions: &[Arc<Region>]) -> Result<BTreeMap<String, PortId>, AgentError> {
        let mut whole = whole_plan(&self.cloud, regions);
        let fabric = self.cloud.names.fabric();
        if self.way_out.is_some() {
            uplink::take_place(&mut whole, &self.cloud.names);
        }
        let remade = &mut self.remade;
        let mut note = |step: &Step| {
            if let Step::CreateVeth { veth } = step {
                remade.extend([&veth.a, &veth.b].map(|end| (end.namespace.clone(), end.link.clone())));
            }
        };
        let mut observed = reconcile(&whole, &mut self.kernel, &mut note)?;
        if let Some(way) = &mut self.way_out {
            let there = observed.namespaces.get(&fabric);
            let standing = there.is_some_and(|there| there.links.contains_key(plan::UPLINK));
            if way.ensure(&mut self.kernel, standing, self.compiled == 0)? {
                observed = reconcile(&whole, &mut self.kernel, &mut note)?;
            }
        }
        let fabric = observed.namespaces.get(&fabric);
        let links = fabric.into_iter().flat_map(|namespace| &namespace.links);
        Ok(links.map(|(name, link)| (name.clone(), PortId(link.index))).collect())
    }

    /// Has the fabric decide by what is wanted now.
    fn load(&mut self, regions: Vec<Arc<Region>>, ports: BTreeMap<String, PortId>) -> Result<(), AgentError> {
        let same = |now: &Now| {
            let generations = |regions: &[Arc<Region>]| -> Vec<(RegionKey, u64)> {
                regions.iter().map(|region| (region.key().clone(), region.generation())).collect()
            };
            now.ports == ports && generations(&now.regions) == generations(&regions)
        };
        if self.compiled > 0 && same(&self.cloud.now()) {
            return Ok(());
        }
        self.compiled += 1;
        let tables = Arc::new(compile(&self.cloud, &regions, &ports, self.way_out.as_ref(), self.compiled)?);
        self.cloud.set_now(Now { regions, tables, ports })?;
        Ok(())
    }

    fn look_after(&mut self, region: &Region, instance: &Instance) -> Result<Condition, AgentError> {
        let spec = instance_machine(&self.cloud, region, instance);
        match instance.state {
            InstanceState::Pending => {
                match self.keep_running(&spec)? {
                    Condition::Settled => self.set_state(region, instance, InstanceState::Running)?,
                    Condition::Coming => {}
                    Condition::Failed(_) => self.fail(region, instance)?,
                }
                Ok(Condition::Coming)
            }
            InstanceState::Running => {
                // Nobody but a machine that starts asks for the address of a link that is made anew.
                let first_link = (spec.namespace.clone(), FIRST_LINK.to_owned());
                if self.remade.contains(&first_link)
                    || machine::started_as(&spec.state_dir)
                        .is_some_and(|started| started.reboots < spec.reboots)
                {
                    self.end(&spec)?;
                }
                let condition = self.keep_running(&spec)?;
                match (&condition, instance.impaired_since) {
                    (Condition::Settled, Some(_)) => {
                        self.set_state(region, instance, InstanceState::Running)?;
                    }
                    (Condition::Failed(_), None) => self.fail(region, instance)?,
                    _ => {}
                }
                Ok(condition)
            }
            InstanceState::Stopping => {
                self.end(&spec)?;
                self.started.remove(&spec.name);
                self.set_state(region, instance, InstanceState::Stopped)?;
                Ok(Condition::Coming)
            }
            InstanceState::ShuttingDown => {
                self.end(&spec)?;
                self.clean_up(&spec)?;
                self.set_state(region, instance, InstanceState::Terminated)?;
                Ok(Condition::Coming)
            }
            InstanceState::Terminated => {
                // A stack is taken away in one step, whether the machines have ended or not.
                if spec.state_dir.exists() {
                    machine::kill(&spec.state_dir)?;
                    if !matches!(machine::status(&spec.state_dir), Some(MachineStatus::Failed { .. })) {
                        self.clean_up(&spec)?;
                    }
                }
                let key = (region.key().clone(), instance.id);
                let since = instance.state_time;
                if self.terminated.reached(&self.cloud.clock, key.clone(), since, TERMINATED_IS_SHOWN) {
                    self.clean_up(&spec)?;
                    self.apply(region, Change::ForgetInstance { instance: instance.id })?;
                    self.terminated.forget(&key);
                }
                Ok(self.stillborn(&spec, instance))
            }
            InstanceState::Stopped => Ok(self.stillborn(&spec, instance)),
        }
    }

    /// What is wrong with an instance that does not run any more because its machine could not be set up: trouble only
    /// where a lab's template wants it.
    fn stillborn(&self, spec: &MachineSpec, instance: &Instance) -> Condition {
        match machine::status(&spec.state_dir) {
            Some(MachineStatus::Failed { message })
                if instance.state_reason == Some(StateReason::InternalError)
                    && self.cloud.deployment.logical_id(instance.id).is_some() =>
            {
                Condition::Failed(message)
            }
            _ => Condition::Settled,
        }
    }

    /// Starts a machine that should run and does not, but only once where it fails.
    fn keep_running(&mut self, spec: &MachineSpec) -> Result<Condition, AgentError> {
        let namespace = Namespace::open(&spec.namespace)?;
        // Perhaps it failed because what it stood on was taken away.
        if self.remade.iter().any(|(namespace, _)| *namespace == spec.namespace) {
            self.started.remove(&spec.name);
        }
        let alive = machine::pid(&spec.state_dir, &namespace).is_some();
        match machine::status(&spec.state_dir) {
            Some(MachineStatus::Failed { message })
                if self.started.get(&spec.name) == Some(&spec.reboots) =>
            {
                return Ok(Condition::Failed(message));
            }
            Some(MachineStatus::Failed { .. }) => {}
            Some(MachineStatus::Running { ipv6, .. }) if alive => {
                // It got its first IPv6 address while it ran.
                if spec.dhcp6.is_some() && !ipv6 {
                    machine::begin_ipv6(spec, &namespace)?;
                }
                return Ok(Condition::Settled);
            }
            _ if alive => return Ok(Condition::Coming),
            _ => {}
        }
        // One whose namespace has lost its name still runs, where nothing reaches it.
        machine::kill(&spec.state_dir)?;
        self.started.insert(spec.name.clone(), spec.reboots);
        self.remade.retain(|(namespace, _)| *namespace != spec.namespace);
        match machine::start(spec, Some(self.lock.file().as_fd())) {
            Err(MachineError::Init { message, .. }) => return Ok(Condition::Failed(message)),
            started => started?,
        }
        Ok(Condition::Coming)
    }

    /// Removes what a machine has left.
    fn clean_up(&mut self, spec: &MachineSpec) -> Result<(), AgentError> {
        self.started.remove(&spec.name);
        match fs::remove_dir_all(&spec.state_dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(AgentError::Clean(error)),
            _ => Ok(()),
        }
    }

    fn end(&self, spec: &MachineSpec) -> Result<(), AgentError> {
        match Namespace::open(&spec.namespace) {
            Ok(namespace) => Ok(machine::stop(&spec.state_dir, &namespace, LAST_WORDS)?),
            Err(NamespaceError::Missing { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn set_state(
        &mut self,
        region: &Region,
        instance: &Instance,
        state: InstanceState,
    ) -> Result<(), AgentError> {
        if state == InstanceState::Terminated {
            // Before anybody sees it, and sets the clock forward.
            let key = (region.key().clone(), instance.id);
            self.terminated.begin(&self.cloud.clock, key, TERMINATED_IS_SHOWN);
        }
        self.apply(region, Change::SetInstanceState { instance: instance.id, state })
    }

    fn fail(&self, region: &Region, instance: &Instance) -> Result<(), AgentError> {
        self.apply(region, Change::FailInstance { instance: instance.id, time: seconds() })
    }

    fn apply(&self, region: &Region, change: Change) -> Result<(), AgentError> {
        self.cloud.store.commit(region.key(), move |transaction| transaction.apply(change).map(drop))?;
        Ok(())
    }
}

impl Machines {
    fn note(&mut self, name: &str, found: Result<Condition, AgentError>) {
        match found {
            Ok(Condition::Settled) => {}
            Ok(Condition::Coming) => self.coming = true,
            Ok(Condition::Failed(message)) => {
                self.trouble.push(format!("machine {name} could not be set up: {message}"));
            }
            Err(error) => self.trouble.push(format!("machine {name}: {error}")),
        }
    }
}

/// What people call an instance.
fn called(instance: &Instance) -> String {
    instance.name().map_or_else(|| instance.id.to_string(), |name| format!("{} ({name})", instance.id))
}

/// Since 1970.
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The world, the instances, and the servers of link-local services.
fn whole_plan(cloud: &Cloud, regions: &[Arc<Region>]) -> Plan {
    let mut plan = plan::world_plan(&cloud.lab);
    for region in regions {
        cloud::add_instances(&mut plan, &cloud.names, region, |instance| {
            let guest = cloud.deployment.logical_id(instance).and_then(|id| cloud.lab.world.guests.get(id));
            guest.is_some_and(|guest| guest.forward)
        });
    }
    let servers = NamespacePlan {
        addresses: [engine::METADATA, engine::RESOLVER]
            .map(|address| (SERVICES_LINK.to_owned(), Ipv4Net::from(address).into()))
            .into(),
        routes: [Route { via: None, destination: CALLERS.into(), link: Some(SERVICES_LINK.to_owned()) }]
            .into(),
        ..NamespacePlan::default()
    };
    plan.namespaces.insert(cloud.names.services(), servers);
    let end = |namespace, link: &str, mac| End { namespace, link: link.to_owned(), mac, bridge: None };
    plan.veths.push(Veth {
        a: end(cloud.names.fabric(), SERVICES_PORT, None),
        b: end(cloud.names.services(), SERVICES_LINK, Some(SERVICES_MAC)),
        mtu: VPC_MTU,
    });
    plan
}

fn compile(
    cloud: &Cloud,
    regions: &[Arc<Region>],
    ports: &BTreeMap<String, PortId>,
    way_out: Option<&Way>,
    generation: u64,
) -> Result<Tables, AgentError> {
    let port = |link: &str| ports.get(link).copied().ok_or_else(|| AgentError::NoPort(link.to_owned()));
    let mut interfaces = BTreeMap::new();
    for region in regions {
        // An interface without a port exists, and nothing can be delivered to it: its instance does not run.
        for &interface in region.interfaces().keys() {
            if let Some(&port) = ports.get(&cloud::port_link(interface)) {
                interfaces.insert(InterfaceKey { region: region.key().clone(), interface }, port);
            }
        }
    }
    let fabric = Ports {
        interfaces,
        services: Some(Services { port: port(SERVICES_PORT)?, mac: SERVICES_MAC }),
        uplink: match way_out {
            Some(way) => ports.get(plan::UPLINK).map(|port| way.at(*port)),
            None => Some(Uplink {
                port: port(plan::UPLINK)?,
                mac: plan::uplink_mac(&cloud.lab),
                mtu: INTERNET_MTU,
                neighbors: plan::internet_neighbors(&cloud.lab),
                gateway: None,
            }),
        },
    };
    Ok(Tables::compile(regions.iter().map(Arc::as_ref), &fabric, generation, random()?))
}

fn instance_machine(cloud: &Cloud, region: &Region, instance: &Instance) -> MachineSpec {
    let logical = cloud.deployment.logical_id(instance.id).unwrap_or_default();
    let programs = programs::programs(&cloud.lab, &cloud.deployment, &Member::Instance(logical.to_owned()));
    let interface = instance.interfaces.first().and_then(|id| region.interfaces().get(id));
    let speaks_ipv6 = interface.is_some_and(|interface| !interface.ipv6_addresses.is_empty());
    let id = instance.id.to_string();
    MachineSpec {
        hostname: interface.map_or_else(|| id.clone(), |interface| interface.host_name()),
        namespace: cloud.names.of_instance(instance.id),
        state_dir: cloud.dir.machine(&id),
        root: cloud.root(instance.image),
        files: cloud.lab.image(instance.image).map(|image| image.files).unwrap_or_default(),
        reboots: instance.reboots,
        dhcp: Some(FIRST_LINK.to_owned()),
        dhcp6: speaks_ipv6.then(|| FIRST_LINK.to_owned()),
        commands: programs.commands,
        processes: programs.processes,
        user_data: instance.user_data.clone(),
        name: id,
    }
}
