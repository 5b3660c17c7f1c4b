//! Running a program inside a machine, on the caller's terminal.

use std::env;
use std::ffi::OsString;
use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open};
use rustix::thread::{ThreadNameSpaceType, UnshareFlags};

use super::children::{End, PATH, handle};

/// Why a program did not run in a machine.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// No program was named.
    #[error("no command to run")]
    NoCommand,
    /// The machine has no such program.
    #[error("{}: command not found in the machine", .0.display())]
    NotFound(OsString),
    /// The machine has such a file, but may not execute it.
    #[error("{}: cannot be executed: {source}", program.display())]
    NotExecutable {
        /// The program's name.
        program: OsString,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The machine's namespaces could not be entered; perhaps it has just stopped.
    #[error("enter the machine: {0}")]
    Enter(io::Error),
    /// The program could not be started or waited for.
    #[error("run a command in the machine: {0}")]
    Run(io::Error),
}

impl ExecError {
    /// The exit code by which a shell would say it: 127 not found, 126 not executable, else 125 as docker(1)
    /// and env(1) say "it is my own fault".
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::NotFound(_) => 127,
            Self::NotExecutable { .. } => 126,
            Self::NoCommand | Self::Enter(_) | Self::Run(_) => 125,
        }
    }
}

/// The program to forward SIGTERM to; 0 as long as there is none.
static CHILD: AtomicI32 = AtomicI32::new(0);
static TERMINATE: AtomicBool = AtomicBool::new(false);

/// Runs a program in the mount, PID, UTS and network namespaces of a machine's init, with the caller's standard
/// streams, and waits for it. Returns its exit code, 128 + n if signal n ended it.
///
/// From then on the calling process ignores SIGINT and SIGQUIT, which a terminal sends to the program as well,
/// and passes SIGTERM on to the program: call it only where nothing else follows, and once.
///
/// # Errors
/// [`ExecError`].
pub fn exec(init: Pid, argv: &[OsString]) -> Result<i32, ExecError> {
    let (program, arguments) = argv.split_first().ok_or(ExecError::NoCommand)?;
    let pidfd = pidfd_open(init, PidfdFlags::empty()).map_err(|e| ExecError::Enter(e.into()))?;
    // Handlers do not survive the exec, while an ignored signal would be ignored by the program too.
    for (signal, handler) in
        [(libc::SIGINT, ignore as extern "C" fn(i32)), (libc::SIGQUIT, ignore), (libc::SIGTERM, forward)]
    {
        handle(signal, handler).map_err(ExecError::Run)?;
    }
    // A thread of its own: the others stay where they are.
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("exec".to_owned()).spawn_scoped(scope, || {
            enter(&pidfd).map_err(|e| ExecError::Enter(e.into()))?;
            let child = spawn(program, arguments)?;
            CHILD.store(child.as_raw_nonzero().get(), Ordering::SeqCst);
            if TERMINATE.load(Ordering::SeqCst) {
                forward(libc::SIGTERM);
            }
            wait(child)
        });
        let thread = thread.map_err(ExecError::Run)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn enter(pidfd: &rustix::fd::OwnedFd) -> Result<(), Errno> {
    use std::os::fd::AsFd;
    // A thread that shares its root and working directory with others cannot change its mount namespace.
    // SAFETY: the flag leaves the file table alone.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }?;
    let all = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::NETWORK;
    rustix::thread::move_into_thread_name_spaces(pidfd.as_fd(), all)
}

fn spawn(program: &OsString, arguments: &[OsString]) -> Result<Pid, ExecError> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").env_clear().envs([("PATH", PATH), ("HOME", "/root")]);
    for name in ["TERM", "LANG"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    match command.spawn() {
        Ok(child) => Ok(Pid::from_child(&child)),
        Err(source) => Err(match source.kind() {
            io::ErrorKind::NotFound => ExecError::NotFound(program.clone()),
            io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory => {
                ExecError::NotExecutable { program: program.clone(), source }
            }
            _ if source.raw_os_error() == Some(libc::ENOEXEC) => {
                ExecError::NotExecutable { program: program.clone(), source }
            }
            _ => ExecError::Run(source),
        }),
    }
}

fn wait(child: Pid) -> Result<i32, ExecError> {
    loop {
        match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                return Ok(match End::of(status) {
                    End::Code(code) => code,
                    End::Signal(signal) => 128 + signal,
                });
            }
            Ok(None) | Err(Errno::INTR) => {}
            Err(error) => return Err(ExecError::Run(error.into())),
        }
    }
}

extern "C" fn ignore(_: i32) {}

extern "C" fn forward(signal: i32) {
    TERMINATE.store(true, Ordering::SeqCst);
    let child = CHILD.load(Ordering::SeqCst);
    if child > 0 {
        // SAFETY: kill(2) is async-signal-safe and succeeds: the child is reaped by nobody but us, and a zombie
        // may be signalled.
        unsafe { libc::kill(child, signal) };
    }
}
