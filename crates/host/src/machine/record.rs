//! What a machine leaves in its state directory on the host.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use super::MachineStatus;

pub(super) const SPEC: &str = "spec.json";
pub(super) const CONSOLE: &str = "console.log";
pub(super) const STATUS: &str = "status.json";
pub(super) const PID: &str = "pid";
/// Its presence says that user data has been begun, and is never begun again.
pub(super) const USER_DATA_DONE: &str = "user-data.done";

/// The state directory, held open: its path may be hidden inside the machine, or be read-only there.
#[derive(Debug)]
pub(super) struct StateDir(OwnedFd);

impl StateDir {
    pub(super) fn open(path: &Path) -> io::Result<StateDir> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(StateDir(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Puts a file in place, whole or not at all.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let temporary = format!(".{name}.new");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
        let mut file = fs::File::from(openat(&self.0, temporary.as_str(), flags, Mode::RUSR | Mode::WUSR)?);
        io::Write::write_all(&mut file, content)?;
        file.sync_data()?;
        Ok(renameat(&self.0, temporary.as_str(), &self.0, name)?)
    }

    pub(super) fn write_status(&self, status: &MachineStatus) -> io::Result<()> {
        self.write(STATUS, &serde_json::to_vec(status)?)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }
}

/// Which process is the machine's init. The start time tells it from a later one with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProcessRecord {
    pid: i32,
    start_time: u64,
}

impl ProcessRecord {
    /// The record of a process that is alive.
    pub(super) fn of(pid: Pid) -> Option<ProcessRecord> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        Some(ProcessRecord { pid: pid.as_raw_nonzero().get(), start_time: start_time(&stat)? })
    }

    /// The process, if it is still the same and alive.
    pub(super) fn process(self) -> Option<Pid> {
        let pid = Pid::from_raw(self.pid)?;
        (ProcessRecord::of(pid)? == self).then_some(pid)
    }
}

/// The start time in `/proc/PID/stat` (field 22 of proc_pid_stat(5)); `None` for a process that has ended.
fn start_time(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    if state == "Z" || state == "X" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_a_hostile_program_name() {
        let stat = "77 (a) Z 1 (b)) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9";
        assert_eq!(start_time(stat), Some(4242));
        assert_eq!(start_time(&stat.replace(") S", ") Z")), None);
        assert_eq!(start_time("77 (a"), None);
    }

    #[test]
    fn a_record_knows_its_own_process_and_no_other() {
        let own = ProcessRecord::of(rustix::process::getpid()).unwrap();
        assert_eq!(own.process(), Some(rustix::process::getpid()));
        assert_eq!(ProcessRecord { start_time: own.start_time + 1, ..own }.process(), None);
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        state.write_status(&MachineStatus::Starting).unwrap();
        state.write_status(&MachineStatus::Stopped).unwrap();
        assert!(state.has(STATUS) && !state.has(PID));
        assert_eq!(fs::read_to_string(dir.path().join(STATUS)).unwrap(), r#"{"state":"stopped"}"#);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
