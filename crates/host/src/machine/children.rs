//! The processes of a machine, as its init sees them: those it started, and the orphans it inherits.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus};

/// Where programs are looked for, in machines.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long processes may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// A handler may do little more than write to a descriptor: this one's number.
static WAKE: AtomicI32 = AtomicI32::new(-1);
static TERMINATE: AtomicBool = AtomicBool::new(false);
static REVISE: AtomicBool = AtomicBool::new(false);

/// What init waits for.
#[derive(Debug)]
pub(super) enum Event {
    /// A process ended that [`Children::start`] started.
    Ended { pid: Pid, program: String, end: End },
    /// The time is over.
    Timeout,
    /// The machine shall stop.
    Terminate,
    /// The machine shall be something else than it was started as.
    Revise,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With an exit code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Code(code) => write!(f, "ended with exit code {code}"),
            End::Signal(signal) => write!(f, "was ended by signal {signal}"),
        }
    }
}

impl End {
    pub(super) fn of(status: WaitStatus) -> End {
        match status.terminating_signal() {
            Some(signal) => End::Signal(signal),
            None => End::Code(status.exit_status().unwrap_or(0)),
        }
    }
}

/// All processes under init.
#[derive(Debug)]
pub(super) struct Children {
    wake: OwnedFd,
    started: HashMap<Pid, String>,
}

impl Children {
    /// Makes the calling process, the only thread of an init, listen to SIGTERM, SIGHUP and SIGCHLD.
    pub(super) fn new() -> io::Result<Children> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        WAKE.store(wake.as_raw_fd(), Ordering::Relaxed);
        handle(libc::SIGTERM, on_signal)?;
        handle(libc::SIGHUP, on_signal)?;
        handle(libc::SIGCHLD, on_signal)?;
        Ok(Children { wake, started: HashMap::new() })
    }

    /// Starts a program with the machine's environment, its output on the console.
    pub(super) fn start(&mut self, command: &[String]) -> io::Result<Pid> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let child = Command::new(program)
            .args(arguments)
            .current_dir("/")
            .env_clear()
            .envs([("PATH", PATH), ("HOME", "/root")])
            .stdin(Stdio::null())
            .spawn()?;
        let pid = Pid::from_child(&child);
        self.started.insert(pid, command.join(" "));
        Ok(pid)
    }

    /// Waits for the next event, reaping orphans meanwhile.
    pub(super) fn next(&mut self, until: Option<Instant>) -> io::Result<Event> {
        loop {
            if TERMINATE.load(Ordering::Relaxed) {
                return Ok(Event::Terminate);
            }
            if REVISE.swap(false, Ordering::Relaxed) {
                return Ok(Event::Revise);
            }
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if let Some(program) = self.started.remove(&pid) {
                        return Ok(Event::Ended { pid, program, end: End::of(status) });
                    }
                    continue;
                }
                Ok(None) | Err(Errno::CHILD | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(Event::Timeout);
            }
            self.sleep(left)?;
        }
    }

    /// Ends every other process of the PID namespace: politely, then not.
    pub(super) fn end_all(&mut self) {
        signal_all(libc::SIGTERM);
        let until = Instant::now() + GRACE;
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some(_)) | Err(Errno::INTR) => continue,
                Ok(None) => {}
                Err(_) => break,
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.sleep(Some(left)).is_err() {
                break;
            }
        }
        signal_all(libc::SIGKILL);
        while let Ok(Some(_)) | Err(Errno::INTR) = rustix::process::wait(WaitOptions::empty()) {}
    }

    fn sleep(&self, at_most: Option<Duration>) -> io::Result<()> {
        let timeout = at_most.and_then(|time| Timespec::try_from(time).ok());
        let mut fds = [PollFd::new(&self.wake, PollFlags::IN)];
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
        Ok(())
    }
}

/// Installs a signal handler. It lasts until the process executes another program; interrupted calls fail.
pub(super) fn handle(signal: i32, handler: extern "C" fn(i32)) -> io::Result<()> {
    // SAFETY: a sigaction of zeros has no flags, an empty mask and the default action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    // SAFETY: the handlers of this crate do only what signal-safety(7) allows.
    let result = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

extern "C" fn on_signal(signal: i32) {
    match signal {
        libc::SIGTERM => TERMINATE.store(true, Ordering::Relaxed),
        libc::SIGHUP => REVISE.store(true, Ordering::Relaxed),
        _ => {}
    }
    let one = 1_u64.to_ne_bytes();
    // SAFETY: write(2) is async-signal-safe; errno, which it may set, is put back for the code that was
    // interrupted.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        libc::write(WAKE.load(Ordering::Relaxed), one.as_ptr().cast(), one.len());
        *errno = before;
    }
}

/// To every process of the PID namespace but init, which is never a target of its own signal to all.
fn signal_all(signal: i32) {
    // SAFETY: a call without pointers. Only ever made by the init of a PID namespace.
    unsafe { libc::kill(-1, signal) };
}
