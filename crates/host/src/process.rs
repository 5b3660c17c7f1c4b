//! Processes on record: known again after a restart of whoever started them.

use std::fs;

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

/// Which process it was. The start time tells it from a later one with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessRecord {
    pid: i32,
    start_time: u64,
}

impl ProcessRecord {
    /// The record of a process that is alive.
    pub(crate) fn of(pid: Pid) -> Option<ProcessRecord> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        Some(ProcessRecord { pid: pid.as_raw_nonzero().get(), start_time: start_time(&stat)? })
    }

    /// The process, if it is still the same and alive.
    pub(crate) fn process(self) -> Option<Pid> {
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
}
