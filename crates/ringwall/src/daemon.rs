//! A daemon: the EC2 endpoint, the fabric and the services of one cloud, with or without a lab's world around it.

mod agent;
mod ages;
mod clock;
mod cloud;
mod control;
mod flow_logs;
mod gateways;
mod images;
mod report;
mod rounds;
mod servers;
mod stacks;
pub(crate) mod uplink;

use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::control::ec2::{self, Api, Credentials, Image, Settings};
use ::control::store::{CommitError, Options, Store, StoreError, Transaction};
use host::clock::Rate;
use host::kernel::{KernelError, Linux};
use host::ledger::{Ledger, LedgerError};
use host::uplink::{Uplink, UplinkError, Wanted};
use lab::deploy::{self, Deployment, deploy};
use lab::error::LabError;
use lab::file::Lab;
use model::{Applied, Change, Fault, Quotas, Region};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::flags::DaemonFlags;
use crate::labs::{LabDir, Locked};
use crate::{Failure, Outcome};

use agent::{Agent, AgentError};
use cloud::Cloud;
use flow_logs::FlowLogs;
use servers::Servers;

/// How long a daemon that failed waits for somebody to hear why.
const LAST_WORDS: Duration = Duration::from_secs(30);
/// How long all machines of a lab may take to start.
const BOOT: Duration = Duration::from_secs(120);
/// Between two looks at machines that are starting.
const GLANCE: Duration = Duration::from_millis(20);

/// Why a daemon could not bring its cloud up.
#[derive(Debug, thiserror::Error)]
enum DaemonError {
    #[error(transparent)]
    Lab(#[from] LabError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the template could not be stored: {0}")]
    Deploy(CommitError<LabError>),
    #[error("what the template has become cannot be written down: {0}")]
    Deployment(io::Error),
    #[error("the quotas could not be stored: {0}")]
    Quotas(CommitError<Fault>),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error(transparent)]
    Uplink(#[from] UplinkError),
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    #[error(transparent)]
    Api(#[from] ec2::ServeError),
    #[error("no thread for the agent: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// The machine gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the machine gives no random numbers: {0}")]
struct RandomError(io::Error);

/// How a daemon is to start.
pub(crate) struct Start {
    /// How fast its clock runs.
    pub(crate) rate: Rate,
    /// Where its cloud leads to, if anywhere.
    pub(crate) uplink: Option<Wanted>,
    /// Who is asked, from this machine, for names outside of the cloud.
    pub(crate) resolver: Option<IpAddr>,
    /// Whose requests it answers; anybody's if there are none.
    pub(crate) credentials: Option<Credentials>,
}

/// What the daemon's threads share about its rise and end.
#[derive(Default)]
struct Shared {
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Default)]
struct Stage {
    /// What was done on the way up, in order.
    progress: Vec<String>,
    /// Once it answers, whatever its machines do.
    cloud: Option<Arc<Cloud>>,
    /// Once nothing more is to be waited for.
    end: Option<Result<(), String>>,
    stop: bool,
}

/// A daemon that is up. Dropping it ends what runs in this process; machines, namespaces and the store's file stay.
struct Daemon {
    cloud: Arc<Cloud>,
    agent: JoinHandle<()>,
    _api: ec2::Server,
}

/// Runs a lab's daemon until it is told to stop. What it made stays: whoever told it takes it down by the list.
pub(crate) fn run(flags: &DaemonFlags) -> Outcome {
    // SAFETY: the parent opened this file for us and told us its number; nobody else here knows it.
    let lock = Locked::adopt(File::from(unsafe { OwnedFd::from_raw_fd(flags.lock_fd) }));
    let dir = LabDir { name: flags.name.clone(), path: flags.dir.clone() };
    let credentials = flags.credentials_fd.map(|fd| {
        // SAFETY: as for the lock. It is closed here: no machine is to inherit it.
        let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        Credentials::read(&mut file, Path::new("the credentials"))
    });
    let credentials = credentials.transpose()?;
    let listener = first_free(flags.listen).map_err(Failure::file(&dir.path));
    let start = Start { rate: flags.clock_rate, uplink: None, resolver: None, credentials };
    live(dir, lock, listener?, start, LAST_WORDS, |dir| Ok(Lab::load_as(&flags.file, Some(&dir.name))?))
}

/// Runs the daemon of a cloud that has no world around it, in the foreground.
pub(crate) fn serve(dir: LabDir, lock: Locked, lab: Lab, listener: TcpListener, start: Start) -> Outcome {
    // Its words are on the terminal already.
    live(dir, lock, listener, start, Duration::ZERO, |_| Ok(lab))
}

fn live(
    dir: LabDir,
    mut lock: Locked,
    listener: TcpListener,
    start: Start,
    last_words: Duration,
    lab: impl FnOnce(&LabDir) -> Result<Lab, DaemonError>,
) -> Outcome {
    raise_file_limit();
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).init();
    lock.sign().map_err(Failure::file(&dir.path))?;
    // The agent's is gone when it ends; this one tells that the process lives, also while it says why it failed.
    let _held = lock.file().try_clone().map_err(Failure::file(&dir.path))?;
    let socket = dir.socket();
    // A daemon that was killed left its own; the lock says that it is dead.
    let _ = std::fs::remove_file(&socket);
    let control = UnixListener::bind(&socket).map_err(Failure::file(&socket))?;
    let shared = Arc::new(Shared::default());
    let answering = Arc::clone(&shared);
    let named = std::thread::Builder::new().name("control".to_owned());
    named.spawn(move || control::serve(&control, &answering)).map_err(Failure::file(&socket))?;

    stop_on_signals(&shared).map_err(Failure::file(&dir.path))?;

    let fresh = !dir.deployment().exists();
    match lab(&dir).and_then(|lab| rise(&dir, lab, lock, listener, start, &|words| shared.progress(words))) {
        Ok(daemon) => {
            shared.up(&daemon.cloud);
            shared.end(await_machines(&daemon.cloud, &shared));
            shared.wait_for_stop(None);
            daemon.end(&shared);
            undo_uplink(&dir);
            Ok(0)
        }
        Err(error) => {
            tracing::error!(%error, "the cloud could not be brought up");
            undo_uplink(&dir);
            // What stood before, and was acknowledged, is not taken away because a restart failed.
            if fresh {
                for error in host::teardown::teardown(&dir.path).err().unwrap_or_default() {
                    tracing::error!(%error, "something could not be removed");
                }
            }
            shared.end(Err(error.to_string()));
            shared.wait_for_stop(Some(last_words));
            Ok(1)
        }
    }
}

/// The machine's own namespace is as it was when the daemon is gone; all else stays.
fn undo_uplink(dir: &LabDir) {
    if let Err(error) = host::uplink::undo(&dir.path) {
        tracing::error!(%error, "the uplink could not be undone; `ringwall lab down {}` tries again", dir.name);
    }
}

fn rise(
    dir: &LabDir,
    lab: Lab,
    lock: Locked,
    listener: TcpListener,
    start: Start,
    progress: &dyn Fn(String),
) -> Result<Daemon, DaemonError> {
    // What a daemon that was killed left in the machine's own namespace is in the way of the next, if not of the machine.
    host::uplink::undo(&dir.path)?;
    let uplink = start.uplink.map(|wanted| Uplink::plan(&dir.path, wanted)).transpose()?;
    let options = Options { quotas: lab.quotas.clone(), ..Options::default() };
    let store = Arc::new(Store::open(&dir.path, options)?);
    set_quotas(&store, &lab.quotas)?;
    let deployment = deployment(dir, &lab, &store)?;
    let key = lab.region.clone();
    let Start { rate, uplink: _, resolver, credentials } = start;
    let cloud = Cloud::new(dir.clone(), lab, deployment, store, rate, resolver, credentials.is_some());
    let cloud = Arc::new(cloud);
    let watch = cloud.store.watch();
    let kernel = Linux::open(Ledger::open(&dir.path)?)?;
    let mut agent = Agent {
        cloud: Arc::clone(&cloud),
        kernel,
        lock,
        watch,
        compiled: 0,
        remade: Default::default(),
        started: Default::default(),
        servers: Servers::default(),
        terminated: Default::default(),
        due: Default::default(),
        flow_logs: FlowLogs::default(),
        way_out: uplink.map(uplink::Way::new),
    };
    progress(format!("cloud: {} resources in {key}", cloud.deployment.physical.len()));

    // The first round makes the namespaces that everything else stands in.
    agent.round()?;
    progress(format!("network: {} ports", cloud.now().ports.len()));

    let api = Api::new(Arc::clone(&cloud.store), settings(&cloud, credentials));
    let address =
        listener.local_addr().map_err(|error| DaemonError::Listen(([0, 0, 0, 0], 0).into(), error))?;
    let api = ec2::serve(listener, move |request| api.handle(request))?;
    let _ = cloud.endpoint.set(address);
    progress(format!("EC2 endpoint: http://{address}"));
    let named = std::thread::Builder::new().name("agent".to_owned());
    let agent = named.spawn(move || agent.run()).map_err(DaemonError::Thread)?;
    Ok(Daemon { cloud, agent, _api: api })
}

/// Waits until every machine runs or has failed, which holds up nothing else.
fn await_machines(cloud: &Cloud, shared: &Shared) -> Result<(), String> {
    let deadline = Instant::now() + BOOT;
    loop {
        let machines = cloud.machines();
        if !machines.coming {
            if machines.trouble.is_empty() {
                shared.progress("machines: all running".to_owned());
                return Ok(());
            }
            return Err(machines.trouble.join("; "));
        }
        if Instant::now() > deadline {
            return Err("the machines did not start in time".to_owned());
        }
        if shared.wait_for_stop(Some(GLANCE)) {
            return Err("it was told to stop".to_owned());
        }
    }
}

impl Daemon {
    /// Ends in order: when nobody holds the store any more it folds its log into snapshots.
    fn end(self, shared: &Shared) {
        self.cloud.stop();
        shared.stage().cloud = None;
        if self.agent.join().is_err() {
            tracing::error!("the agent has panicked");
        }
    }
}

/// Has the daemon stop on SIGTERM and SIGINT.
fn stop_on_signals(shared: &Arc<Shared>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let shared = Arc::clone(shared);
    let named = std::thread::Builder::new().name("signals".to_owned());
    named.spawn(move || signals.forever().for_each(|_| shared.stop())).map(drop)
}

/// Has the regions that stand hold as much as this daemon was started for.
fn set_quotas(store: &Store, quotas: &Quotas) -> Result<(), DaemonError> {
    let others = store.regions().into_iter().filter(|key| store.region(key).quotas() != quotas);
    for key in others {
        let change = Change::SetQuotas { quotas: quotas.clone() };
        store.commit(&key, move |transaction| transaction.apply(change)).map_err(DaemonError::Quotas)?;
    }
    Ok(())
}

/// What the template has become: made now in a new state directory, read where it was made before.
fn deployment(dir: &LabDir, lab: &Lab, store: &Store) -> Result<Deployment, DaemonError> {
    let path = dir.deployment();
    match std::fs::read(&path) {
        Ok(json) => {
            return serde_json::from_slice(&json).map_err(|error| DaemonError::Deployment(error.into()));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(DaemonError::Deployment(error)),
    }
    let template = lab.clone();
    let made = store.commit(&lab.region, move |transaction| deploy(&template, &mut InStore(transaction)));
    let deployment = made.map_err(DaemonError::Deploy)?;
    // Last: a start that finds the state but not this was not finished, and begins anew.
    write_whole(
        &path,
        &serde_json::to_vec(&deployment).map_err(|error| DaemonError::Deployment(error.into()))?,
    )
    .map_err(DaemonError::Deployment)?;
    Ok(deployment)
}

/// A store's transaction as the place where a template is deployed.
struct InStore<'a, 'b>(&'a mut Transaction<'b>);

impl deploy::Cloud for InStore<'_, '_> {
    fn region(&self) -> &Region {
        self.0.region()
    }

    fn apply(&mut self, change: Change) -> Result<Applied, Fault> {
        self.0.apply(change)
    }

    fn each_other_region(&self, look: &mut dyn FnMut(&Region)) {
        self.0.each_other_region(look);
    }

    fn time(&self) -> u64 {
        self.0.time()
    }
}

fn settings(cloud: &Arc<Cloud>, credentials: Option<Credentials>) -> Settings {
    let lab = &cloud.lab;
    let host = lab::file::HOST_IMAGE.parse().ok();
    let ids = host.into_iter().chain(lab.images.keys().copied());
    let images = ids.map(|id| Image {
        id,
        name: if Some(id) == host { "host".to_owned() } else { id.to_string() },
        description: "the root file system of the machine that Ringwall runs on".to_owned(),
        architecture: std::env::consts::ARCH.replace("aarch64", "arm64"),
        created: 0,
    });
    Settings {
        pool: Some(lab.world.internet.pool),
        pool6: Some(lab.world.internet.pool6),
        images: images.collect(),
        home: lab.region.clone(),
        credentials,
        consoles: Some(Arc::<Cloud>::clone(cloud)),
        deliveries: Some(Arc::<Cloud>::clone(cloud)),
        root_file_systems: Some(Arc::<Cloud>::clone(cloud)),
    }
}

/// The address, or with a port that is taken the next free one.
fn first_free(address: SocketAddr) -> io::Result<TcpListener> {
    let mut last = None;
    for port in (address.port()..=u16::MAX).take(100) {
        match TcpListener::bind(SocketAddr::new(address.ip(), port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = Some(error),
            bound => return bound,
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    std::fs::write(&draft, content)?;
    File::open(&draft)?.sync_all()?;
    std::fs::rename(draft, path)
}

/// Every machine, port and connection to a service holds a file open.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // A lab of few machines does with what there is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

fn random() -> Result<u64, RandomError> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| RandomError(error.into()))?;
    Ok(u64::from_ne_bytes(bytes))
}

impl Shared {
    fn progress(&self, words: String) {
        tracing::info!("{words}");
        self.stage().progress.push(words);
        self.changed.notify_all();
    }

    fn up(&self, cloud: &Arc<Cloud>) {
        self.stage().cloud = Some(Arc::clone(cloud));
    }

    fn end(&self, end: Result<(), String>) {
        self.stage().end = Some(end);
        self.changed.notify_all();
    }

    fn stop(&self) {
        self.stage().stop = true;
        self.changed.notify_all();
    }

    /// Waits until somebody says stop, or for as long as given; says whether somebody did.
    fn wait_for_stop(&self, patience: Option<Duration>) -> bool {
        let stage = self.stage();
        let stage = match patience {
            None => {
                self.changed.wait_while(stage, |stage| !stage.stop).unwrap_or_else(PoisonError::into_inner)
            }
            Some(patience) => {
                let waited = self.changed.wait_timeout_while(stage, patience, |stage| !stage.stop);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        stage.stop
    }

    /// Waits for more progress than `seen` lines or for the end; returns the new lines and the end.
    fn follow(&self, seen: usize) -> (Vec<String>, Option<Result<(), String>>) {
        let quiet = |stage: &mut Stage| stage.progress.len() == seen && stage.end.is_none();
        let stage = self.changed.wait_while(self.stage(), quiet).unwrap_or_else(PoisonError::into_inner);
        (stage.progress[seen..].to_vec(), stage.end.clone())
    }

    fn cloud(&self) -> Option<Arc<Cloud>> {
        self.stage().cloud.clone()
    }

    /// A thread that panicked leaves whole lines and a whole end behind.
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
