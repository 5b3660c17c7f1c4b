//! What a daemon's threads share: the store, the lab's declarations, the fabric, and what the cloud looks like now.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use control::ec2::{Console, Consoles, Deliveries};
use control::store::Store;
use engine::{FlowRecords, Tables};
use host::clock::{Clock, Rate};
use host::cloud::Names;
use host::fabric::{Counted, Fabric, FabricError};
use host::image::Images;
use host::machine;
use lab::deploy::Deployment;
use lab::file::Lab;
use model::{FlowLogId, InstanceId, Region};
use services::{Caller, Directory};

use super::agent::{Machines, Now};
use super::flow_logs::DeliveryError;
use super::rounds::Rounds;
use crate::labs::LabDir;

/// One daemon's cloud, and the world around it.
pub(super) struct Cloud {
    pub(super) dir: LabDir,
    pub(super) names: Names,
    /// The world's declarations; empty where only the API was asked for.
    pub(super) lab: Lab,
    pub(super) deployment: Deployment,
    pub(super) store: Arc<Store>,
    /// The root file systems of the images that were registered.
    pub(super) images: Images,
    /// What the fabric and the agent wait by.
    pub(super) clock: Arc<Clock>,
    pub(super) rounds: Rounds,
    /// Who is asked, from this machine, for names that the cloud does not know.
    pub(super) resolver: Option<IpAddr>,
    /// Started once its namespace stands, and again where that was made anew.
    fabric: RwLock<Option<Fabric>>,
    /// Where the EC2 API listens, once it does.
    pub(super) endpoint: OnceLock<SocketAddr>,
    /// Whether it answers signed requests only.
    pub(super) signed: bool,
    now: RwLock<Now>,
    machines: RwLock<Machines>,
    /// The flow logs whose last files could not be written, and why.
    undelivered: RwLock<BTreeMap<FlowLogId, String>>,
    stopping: AtomicBool,
}

impl Cloud {
    pub(super) fn new(
        dir: LabDir,
        lab: Lab,
        deployment: Deployment,
        store: Arc<Store>,
        rate: Rate,
        resolver: Option<IpAddr>,
        signed: bool,
    ) -> Cloud {
        let tables = Arc::new(Tables::compile([], &engine::Fabric::default(), 0, 0));
        let images = Images::new(dir.images());
        Cloud {
            images,
            dir,
            names: Names::of(&lab.name),
            lab,
            deployment,
            store,
            clock: Arc::new(Clock::new(rate)),
            rounds: Rounds::default(),
            resolver,
            fabric: RwLock::default(),
            endpoint: OnceLock::new(),
            signed,
            now: RwLock::new(Now { regions: Vec::new(), tables, ports: Default::default() }),
            machines: RwLock::default(),
            undelivered: RwLock::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// All regions as they were last committed.
    pub(super) fn regions(&self) -> Vec<Arc<Region>> {
        self.store.regions().iter().map(|key| self.store.region(key)).collect()
    }

    /// What the fabric decides by.
    pub(super) fn now(&self) -> Now {
        // A thread that panicked has not replaced it.
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has the fabric decide by this.
    pub(super) fn set_now(&self, now: Now) -> Result<(), FabricError> {
        if let Some(fabric) = self.fabric.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            fabric.load(Arc::clone(&now.tables))?;
        }
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(())
    }

    /// How the machines were when they were last looked after.
    pub(super) fn machines(&self) -> Machines {
        self.machines.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_machines(&self, machines: Machines) {
        *self.machines.write().unwrap_or_else(PoisonError::into_inner) = machines;
    }

    /// Has this fabric forward from now on, or none.
    pub(super) fn set_fabric(&self, fabric: Option<Fabric>) {
        *self.fabric.write().unwrap_or_else(PoisonError::into_inner) = fabric;
    }

    /// Has everything that waits by the clock look at it now.
    pub(super) fn expire(&self) -> Result<(), FabricError> {
        let fabric = self.fabric.read().unwrap_or_else(PoisonError::into_inner);
        fabric.as_ref().map_or(Ok(()), Fabric::expire)
    }

    /// What the fabric has counted.
    pub(super) fn counters(&self) -> Counted {
        let fabric = self.fabric.read().unwrap_or_else(PoisonError::into_inner);
        fabric.as_ref().and_then(|fabric| fabric.counters().ok()).unwrap_or_default()
    }

    /// What the fabric has counted for flow logs since this was asked last.
    pub(super) fn take_flow_records(&self) -> FlowRecords {
        let fabric = self.fabric.read().unwrap_or_else(PoisonError::into_inner);
        fabric.as_ref().and_then(|fabric| fabric.take_flow_records().ok()).unwrap_or_default()
    }

    /// Notes what became of a flow log's files. Trouble is told when it begins, and when it ends.
    pub(super) fn note_delivery(&self, log: FlowLogId, delivered: Result<(), DeliveryError>) {
        let mut undelivered = self.undelivered.write().unwrap_or_else(PoisonError::into_inner);
        match delivered {
            Ok(()) => {
                if undelivered.remove(&log).is_some() {
                    tracing::info!(%log, "the flow log is written again");
                }
            }
            Err(error) => {
                if undelivered.insert(log, error.to_string()).is_none() {
                    tracing::error!(%log, %error, "the flow log cannot be written");
                }
            }
        }
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// Knows a caller of a link-local service by the address that the engine gave its port.
impl Directory for Cloud {
    fn caller(&self, peer: Ipv4Addr) -> Option<Caller> {
        let now = self.now();
        let key = now.tables.interface_at(engine::service_port(peer)?)?;
        let region = now.regions.iter().find(|region| *region.key() == key.region)?;
        Some(Caller { region: Arc::clone(region), interface: key.interface })
    }

    fn regions(&self) -> Vec<Arc<Region>> {
        self.now().regions
    }
}

impl Deliveries for Cloud {
    fn trouble(&self, log: FlowLogId) -> Option<String> {
        self.undelivered.read().unwrap_or_else(PoisonError::into_inner).get(&log).cloned()
    }
}

impl Consoles for Cloud {
    fn console(&self, instance: InstanceId, most: u64) -> io::Result<Option<Console>> {
        let console = machine::console(&self.dir.machine(&instance.to_string()), most)?;
        Ok(console.map(|(output, written)| Console { output, written }))
    }
}
