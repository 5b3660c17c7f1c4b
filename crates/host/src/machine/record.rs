//! What a machine leaves in its state directory on the host.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat};

use super::{MachineSpec, MachineStatus};

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

    pub(super) fn read_spec(&self) -> io::Result<MachineSpec> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = fs::File::from(openat(&self.0, SPEC, flags, Mode::empty())?);
        Ok(serde_json::from_reader(file)?)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
