//! Without root: one small process for each state directory that owns a user and a mount namespace.
//!
//! In the user namespace the user is root over the network namespaces made there; in the mount namespace `/run` is a
//! file system of its own, so that namespaces can be pinned under `/run/netns` as they are for root. Whoever wants to
//! work on the lab enters both. The network namespace stays the machine's: it serves the API, and cannot be altered.

mod groups;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change};
use rustix::process::{Pid, PidfdFlags, Signal, getgid, getpid, getuid, pidfd_open, pidfd_send_signal};
use rustix::thread::{ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces, unshare_unsafe};
use serde::{Deserialize, Serialize};

use crate::process::ProcessRecord;

/// The file in the state directory that says who the holder is.
pub const FILE_NAME: &str = "holder.json";

/// Where the holder's `/run` is built from what the machine has there.
const RUN: &str = "/run";
/// What the machine has in `/run`, as seen from inside.
const MACHINES_RUN: &str = "/run/.machine";
/// What of it is our own instead: the directory of `ip netns`.
const OWN: [&str; 1] = ["netns"];

/// How long a killed holder may take to end.
const LAST_WORDS: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Why there is no holder, or it cannot be entered.
#[derive(Debug, thiserror::Error)]
pub enum HolderError {
    /// The holder could not make its namespaces.
    #[error("the namespaces of {} could not be made: {message}", dir.display())]
    NotReady {
        /// The state directory.
        dir: PathBuf,
        /// What the holder said.
        message: String,
    },
    /// Its program could not be started.
    #[error("start the process that holds the namespaces: {0}")]
    Spawn(io::Error),
    /// Nobody holds the namespaces.
    #[error("nobody holds the namespaces of {}", .0.display())]
    Missing(PathBuf),
    /// Its namespaces cannot be entered.
    #[error("enter the namespaces of process {}: {source}", pid.as_raw_nonzero())]
    Enter {
        /// Whose.
        pid: Pid,
        /// The kernel's answer.
        source: io::Error,
    },
    /// It cannot be ended.
    #[error("end process {}, which holds the namespaces: {source}", pid.as_raw_nonzero())]
    End {
        /// The holder.
        pid: Pid,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Why a holder is not ready.
#[derive(Debug, thiserror::Error)]
enum HoldError {
    #[error(
        "this machine does not let you make a user namespace ({0}): run as root, or have it allowed \
         (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, \
         kernel.apparmor_restrict_unprivileged_userns)"
    )]
    NotAllowed(io::Error),
    #[error("{doing} {}: {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
}

/// Who holds which namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    process: ProcessRecord,
    namespaces: Namespaces,
}

/// The inode numbers of a process's namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Namespaces {
    user: u64,
    mount: u64,
}

/// The running holder of `dir`.
pub fn find(dir: &Path) -> Option<Pid> {
    let record = read(dir)?;
    let pid = record.process.process()?;
    (Namespaces::of(pid) == Some(record.namespaces)).then_some(pid)
}

/// Whether the caller is in the namespaces of some holder.
pub fn is_inside() -> bool {
    Path::new(MACHINES_RUN).is_dir()
}

/// Whether the caller is in the namespaces that are those of `dir`.
pub fn holds_us(dir: &Path) -> bool {
    read(dir).is_some_and(|record| Namespaces::of(getpid()) == Some(record.namespaces))
}

/// Starts a holder with new namespaces: the hidden subcommand `holder DIR` of the calling program, see [`main`]. Not
/// to be called while [`find`] finds one.
///
/// The holder keeps a copy of `gate` until it is on record: whoever gets that lock (of flock(2)) knows that no holder is
/// on its way.
///
/// # Errors
/// `Spawn`, `NotReady`.
pub fn start(dir: &Path, gate: BorrowedFd<'_>) -> Result<(), HolderError> {
    spawn(dir, &[], gate)
}

/// Moves the calling thread, which must be the program's only one, into the namespaces of the holder of `dir`.
///
/// # Errors
/// `Missing`, `Enter`.
pub fn enter(dir: &Path) -> Result<(), HolderError> {
    move_to(find(dir).ok_or_else(|| HolderError::Missing(dir.to_owned()))?)
}

/// After the death of the holder of `dir`: enters its namespaces through `other`, a process that lives in them, and
/// starts a new holder there. The caller is inside then, as after [`enter`]. Says whether `other` is there indeed. The
/// `gate` is as for [`start`].
///
/// # Errors
/// `Enter`, `Spawn`, `NotReady`.
pub fn replace(dir: &Path, other: Pid, gate: BorrowedFd<'_>) -> Result<bool, HolderError> {
    if read(dir).is_none_or(|record| Namespaces::of(other) != Some(record.namespaces)) {
        return Ok(false);
    }
    move_to(other)?;
    spawn(dir, &["--inside"], gate)?;
    Ok(true)
}

/// Ends the holder of `dir`, if it runs. What its namespaces held goes with the last process in them.
///
/// # Errors
/// `End`.
pub fn end(dir: &Path) -> Result<(), HolderError> {
    let Some(pid) = find(dir) else { return Ok(()) };
    let failed = |error: rustix::io::Errno| HolderError::End { pid, source: error.into() };
    let holder = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        opened => opened.map_err(failed)?,
    };
    // The number may have become another's a moment ago; from here on it is fixed.
    if find(dir) != Some(pid) {
        return Ok(());
    }
    match pidfd_send_signal(&holder, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => return Err(failed(error)),
    }
    poll(&mut [PollFd::new(&holder, PollFlags::IN)], Some(&LAST_WORDS)).map(drop).map_err(failed)
}

/// The holder's whole life: makes the namespaces, unless it was started `inside` them, says on its standard output
/// what went wrong or nothing, and waits to be ended. Call it while there is one thread only.
pub fn main(dir: &Path, inside: bool) -> ExitCode {
    // SAFETY: nothing in this process has opened a descriptor yet.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    let _ = rustix::thread::set_name(c"ringwall-holder");
    let ready = if inside { Ok(()) } else { make() }.and_then(|()| record(dir));
    if let Err(error) = ready {
        let _ = write!(io::stdout(), "{error}");
        return ExitCode::FAILURE;
    }
    // This opens the gate, and ends our output, which whoever started us waits for.
    if let Ok(null) = File::open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(null.as_fd());
        let _ = rustix::stdio::dup2_stdout(null.as_fd());
    }
    loop {
        std::thread::park();
    }
}

impl Namespaces {
    fn of(pid: Pid) -> Option<Namespaces> {
        let inode = |kind: &str| {
            let path = format!("/proc/{}/ns/{kind}", pid.as_raw_nonzero());
            fs::metadata(path).ok().map(|file| file.ino())
        };
        Some(Namespaces { user: inode("user")?, mount: inode("mnt")? })
    }
}

fn read(dir: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(dir.join(FILE_NAME)).ok()?).ok()
}

fn spawn(dir: &Path, flags: &[&str], gate: BorrowedFd<'_>) -> Result<(), HolderError> {
    let arguments: [OsString; 2] = ["holder".into(), dir.into()];
    let mut command = Command::new("/proc/self/exe");
    command.arg0("ringwall").args(arguments).args(flags).current_dir("/").env_clear();
    let gate = gate.try_clone_to_owned().map_err(HolderError::Spawn)?;
    command.stdin(gate).stdout(Stdio::piped()).stderr(Stdio::null());
    // SAFETY: setsid is async-signal-safe and touches no memory of ours.
    unsafe { command.pre_exec(|| rustix::process::setsid().map(drop).map_err(Into::into)) };
    let mut child = command.spawn().map_err(HolderError::Spawn)?;
    let mut message = String::new();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_string(&mut message).map_err(HolderError::Spawn)?;
    }
    if message.is_empty() && find(dir).is_some() {
        return Ok(());
    }
    let ended = child.try_wait().ok().flatten().map(|status| format!("their holder ended ({status})"));
    let message = Some(message).filter(|message| !message.is_empty()).or(ended).unwrap_or_default();
    Err(HolderError::NotReady { dir: dir.to_owned(), message })
}

fn move_to(pid: Pid) -> Result<(), HolderError> {
    let both = ThreadNameSpaceType::USER | ThreadNameSpaceType::MOUNT;
    pidfd_open(pid, PidfdFlags::empty())
        .and_then(|process| move_into_thread_name_spaces(process.as_fd(), both))
        .map_err(io::Error::from)
        .and_then(|()| groups::pretend())
        .map_err(|source| HolderError::Enter { pid, source })
}

/// Makes the user namespace, with the user as its root, and the mount namespace.
fn make() -> Result<(), HoldError> {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    // SAFETY: the flags leave the file table alone.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS) }
        .map_err(|error| HoldError::NotAllowed(error.into()))?;
    // In this order (user_namespaces(7)): a group may be mapped only by who has given up setting others.
    fs::write("/proc/self/setgroups", "deny")
        .and_then(|()| fs::write("/proc/self/gid_map", format!("0 {group} 1")))
        .and_then(|()| fs::write("/proc/self/uid_map", format!("0 {user} 1")))
        .map_err(HoldError::NotAllowed)?;
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM)
        .map_err(|error| HoldError::NotAllowed(error.into()))?;
    cover_run()
}

/// Gives us a `/run` of our own, in which all that the machine has there is found under its name, but for [`OWN`].
fn cover_run() -> Result<(), HoldError> {
    let failed = |doing: &'static str, path: &str| {
        let path = PathBuf::from(path);
        move |source: io::Error| HoldError::File { doing, path, source }
    };
    // Opened before it is covered: later its name means the cover.
    let machines = rustix::fs::open(RUN, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| failed("open", RUN)(error.into()))?;
    let entries: Vec<_> = fs::read_dir(RUN).map_err(failed("read", RUN))?.flatten().collect();
    mount("tmpfs", RUN, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(c"mode=0755"))
        .map_err(|error| failed("mount", RUN)(error.into()))?;
    fs::create_dir(MACHINES_RUN).map_err(failed("create", MACHINES_RUN))?;
    mount_bind_recursive(format!("/proc/self/fd/{}", machines.as_raw_fd()), MACHINES_RUN)
        .map_err(|error| failed("mount", MACHINES_RUN)(error.into()))?;
    for entry in
        entries.iter().map(fs::DirEntry::file_name).filter(|entry| OWN.iter().all(|own| entry != own))
    {
        let (from, to) = (Path::new(MACHINES_RUN).join(&entry), Path::new(RUN).join(&entry));
        symlink(from, to).map_err(failed("link into", RUN))?;
    }
    Ok(())
}

/// Writes down who we are, whole or not at all: whoever looks for the holder reads it at any moment.
fn record(dir: &Path) -> Result<(), HoldError> {
    let (path, draft) = (dir.join(FILE_NAME), dir.join("holder.json.new"));
    let own = getpid();
    let written = (|| {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let record = Record {
            process: ProcessRecord::of(own).ok_or_else(gone)?,
            namespaces: Namespaces::of(own).ok_or_else(gone)?,
        };
        fs::write(&draft, serde_json::to_vec(&record)?)?;
        fs::rename(&draft, &path)
    })();
    written.map_err(|source| HoldError::File { doing: "write", path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(change: impl FnOnce(&mut Record)) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        record(dir.path()).unwrap();
        let mut on_record = read(dir.path()).unwrap();
        change(&mut on_record);
        fs::write(dir.path().join(FILE_NAME), serde_json::to_vec(&on_record).unwrap()).unwrap();
        dir
    }

    fn gate(dir: &Path) -> File {
        File::open(dir).unwrap()
    }

    #[test]
    fn a_holder_is_found_only_while_it_is_the_one_on_record() {
        assert_eq!(find(recorded(|_| ()).path()), Some(getpid()));
        // A process of the same number in other namespaces has nothing to do with us.
        assert_eq!(find(recorded(|record| record.namespaces.mount += 1).path()), None);
        assert_eq!(find(Path::new("/no/such/place")), None);
    }

    #[test]
    fn nobody_is_entered_or_ended_without_a_record() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(enter(dir.path()), Err(HolderError::Missing(_))));
        assert!(!replace(dir.path(), getpid(), gate(dir.path()).as_fd()).unwrap());
        end(dir.path()).unwrap();
    }

    #[test]
    fn only_a_process_inside_is_a_way_in() {
        let dir = recorded(|record| record.namespaces.user += 1);
        assert!(!replace(dir.path(), getpid(), gate(dir.path()).as_fd()).unwrap());
    }
}
