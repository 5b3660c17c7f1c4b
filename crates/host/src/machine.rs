//! Machines: a cloud instance, or a host of the world around, made of namespaces and a small init.
//!
//! A machine has a network namespace (pinned, made by others), and a mount, a PID and a UTS namespace that
//! live as long as its init, which is PID 1 in them. It sees the host's files, or those of an image, read-only, but for
//! `/etc`, `/run`, `/tmp`, `/var/log` and what DHCP clients write, which are its own and empty at each start. It is
//! no child of whoever started it, and outlives it. Its user root is the host's: the walls keep accidents in, not
//! attackers.

mod children;
mod dhcp;
mod exec;
mod files;
mod init;
mod mounts;
mod record;
mod spec;

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::namespace::{Namespace, NamespaceError};
use crate::process::ProcessRecord;
use record::StateDir;

use init::SetUpError;

pub use exec::{ExecError, exec};
pub use init::init_main;
pub use spec::{Dhcp, MachineSpec, MachineStatus};

/// Why a machine did not start or stop.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// Its network namespace is not there.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// It runs already, or a part of it still does.
    #[error("machine {name} runs already, as process {}", pid.as_raw_nonzero())]
    Running {
        /// Its name.
        name: String,
        /// Its init.
        pid: Pid,
    },
    /// Its state directory or a file in it could not be written.
    #[error("write {}: {source}", path.display())]
    State {
        /// Which one.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Our own program could not be started once more.
    #[error("start the init of machine {name}: {source}")]
    Spawn {
        /// The machine's name.
        name: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The namespaces could not be made.
    #[error("machine {name}: {message} ({status}; its console is {})", console.display())]
    Init {
        /// The machine's name.
        name: String,
        /// What its init said.
        message: String,
        /// How it ended.
        status: ExitStatus,
        /// Where the rest of what it said stands.
        console: PathBuf,
    },
    /// Its init did not even end when killed.
    #[error("process {} does not end", .0.as_raw_nonzero())]
    Undying(Pid),
    /// The kernel refused a signal.
    #[error("signal process {}: {source}", pid.as_raw_nonzero())]
    Signal {
        /// The machine's init.
        pid: Pid,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Starts a machine: runs the hidden subcommand `machine-init` of the calling program (see [`init_main`]),
/// and returns when the machine's init is on record. It then goes on to set itself up: see [`status`].
///
/// The first stage holds a copy of `lock`, and so does init until it is on record: whoever gets the lock
/// (of flock(2)) knows that no machine is on its way.
///
/// # Errors
/// [`MachineError`]; nothing runs then.
pub fn start(spec: &MachineSpec, lock: Option<BorrowedFd<'_>>) -> Result<(), MachineError> {
    let namespace = Namespace::open(&spec.namespace)?;
    if let Some(pid) = pid(&spec.state_dir, &namespace) {
        return Err(MachineError::Running { name: spec.name.clone(), pid });
    }
    let spec_path = spec.state_dir.join(record::SPEC);
    let console_path = spec.state_dir.join(record::CONSOLE);
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| MachineError::State { path, source }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&spec.state_dir).map_err(at(&spec.state_dir))?;
    let state = StateDir::open(&spec.state_dir).map_err(at(&spec.state_dir))?;
    let json = serde_json::to_vec_pretty(spec).map_err(|e| at(&spec_path)(e.into()))?;
    state.write(record::SPEC, &json).map_err(at(&spec_path))?;
    state.write_status(&MachineStatus::Starting).map_err(at(&spec.state_dir.join(record::STATUS)))?;
    let console = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&console_path)
        .map_err(at(&console_path))?;
    let spawn_failed = |source| MachineError::Spawn { name: spec.name.clone(), source };
    let stdin = match lock {
        Some(lock) => Stdio::from(lock.try_clone_to_owned().map_err(spawn_failed)?),
        None => Stdio::null(),
    };
    let exit = Command::new("/proc/self/exe")
        .arg0("ringwall")
        .arg("machine-init")
        .arg(&spec_path)
        .current_dir("/")
        .env_clear()
        .stdin(stdin)
        .stdout(console.try_clone().map_err(spawn_failed)?)
        .stderr(console)
        .status()
        .map_err(spawn_failed)?;
    if exit.success() {
        return Ok(());
    }
    let message = match status(&spec.state_dir) {
        Some(MachineStatus::Failed { message }) => message,
        _ => "its first stage failed".to_owned(),
    };
    // Whoever looks later shall see it too.
    let failed = MachineStatus::Failed { message: message.clone() };
    state.write_status(&failed).map_err(at(&spec.state_dir.join(record::STATUS)))?;
    Err(MachineError::Init { name: spec.name.clone(), message, status: exit, console: console_path })
}

/// Tells a machine that runs that it shall speak IPv6, where it was not started so. It does soon, and says so in its
/// [`status`]. Nothing to tell is no error.
///
/// # Errors
/// `State`, `Signal`.
pub fn begin_ipv6(spec: &MachineSpec, namespace: &Namespace) -> Result<(), MachineError> {
    let Some((init, pidfd)) = opened(&spec.state_dir, namespace)? else { return Ok(()) };
    let path = spec.state_dir.join(record::SPEC);
    let at = |source| MachineError::State { path: path.clone(), source };
    let state = StateDir::open(&spec.state_dir).map_err(at)?;
    let json = serde_json::to_vec_pretty(spec).map_err(|e| at(e.into()))?;
    state.write(record::SPEC, &json).map_err(at)?;
    match pidfd_send_signal(&pidfd, Signal::HUP) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(MachineError::Signal { pid: init, source: error.into() }),
    }
}

/// How far the machine with this state directory has come; `None` if it was never started.
pub fn status(state_dir: &Path) -> Option<MachineStatus> {
    serde_json::from_slice(&fs::read(state_dir.join(record::STATUS)).ok()?).ok()
}

/// The last of what the machine with this state directory has written on its console, at most `most` bytes, and when
/// it wrote last; `None` if it was never started.
///
/// # Errors
/// It cannot be read.
pub fn console(state_dir: &Path, most: u64) -> io::Result<Option<(Vec<u8>, SystemTime)>> {
    let mut file = match fs::File::open(state_dir.join(record::CONSOLE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let about = file.metadata()?;
    file.seek(SeekFrom::Start(about.len().saturating_sub(most)))?;
    let mut output = Vec::new();
    file.take(most).read_to_end(&mut output)?;
    Ok(Some((output, about.modified()?)))
}

/// What the machine with this state directory was last started as; `None` if it was never started.
pub fn started_as(state_dir: &Path) -> Option<MachineSpec> {
    serde_json::from_slice(&fs::read(state_dir.join(record::SPEC)).ok()?).ok()
}

/// The init of the machine with this state directory, as the caller's PID namespace numbers it, if it is
/// alive: the process on record, started at the same time, and in the machine's network namespace.
pub fn pid(state_dir: &Path, namespace: &Namespace) -> Option<Pid> {
    let record: ProcessRecord = serde_json::from_slice(&fs::read(state_dir.join(record::PID)).ok()?).ok()?;
    record.process().filter(|pid| namespace.holds(*pid))
}

/// Stops a machine in order: its init ends all its processes, then itself. After `patience` it is killed, which
/// ends all its processes too. Nothing to stop is no error.
///
/// # Errors
/// `Signal`, `Undying`.
pub fn stop(state_dir: &Path, namespace: &Namespace, patience: Duration) -> Result<(), MachineError> {
    let Some((init, pidfd)) = opened(state_dir, namespace)? else { return Ok(()) };
    let refused = |e: rustix::io::Errno| MachineError::Signal { pid: init, source: e.into() };
    for (signal, patience) in [(Signal::TERM, patience), (Signal::KILL, Duration::from_secs(10))] {
        match pidfd_send_signal(&pidfd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(refused(error)),
        }
        if ended_within(pidfd.as_fd(), patience) {
            return Ok(());
        }
    }
    Err(MachineError::Undying(init))
}

/// A machine's init that is alive, held so that nobody else can get its number.
fn opened(state_dir: &Path, namespace: &Namespace) -> Result<Option<(Pid, OwnedFd)>, MachineError> {
    let Some(init) = pid(state_dir, namespace) else { return Ok(None) };
    let pidfd = match pidfd_open(init, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(error) => return Err(MachineError::Signal { pid: init, source: error.into() }),
        Ok(pidfd) => pidfd,
    };
    // The descriptor may be of a process that got the number a moment ago; from here on it is fixed.
    Ok((pid(state_dir, namespace) == Some(init)).then_some((init, pidfd)))
}

/// Kills the init of the machine with this state directory, wherever it is now: its namespace's name may be gone.
/// All its processes end with it. Nothing to end is no error.
///
/// # Errors
/// `Signal`, `Undying`.
pub fn kill(state_dir: &Path) -> Result<(), MachineError> {
    let on_record = || {
        let record = fs::read(state_dir.join(record::PID)).ok()?;
        serde_json::from_slice::<ProcessRecord>(&record).ok()?.process()
    };
    let Some(init) = on_record() else { return Ok(()) };
    let refused = |e: rustix::io::Errno| MachineError::Signal { pid: init, source: e.into() };
    let pidfd = match pidfd_open(init, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        opened => opened.map_err(refused)?,
    };
    if on_record() != Some(init) {
        return Ok(());
    }
    match pidfd_send_signal(&pidfd, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => return Err(refused(error)),
    }
    if ended_within(pidfd.as_fd(), Duration::from_secs(10)) {
        Ok(())
    } else {
        Err(MachineError::Undying(init))
    }
}

/// Whether the process ends in that time.
fn ended_within(pidfd: BorrowedFd<'_>, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).ok();
        match rustix::event::poll(&mut [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(_) if left.is_zero() => return false,
            Err(_) => {}
        }
    }
}
