//! What is changed in the machine's own network namespace, on disk before it is.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{UplinkError, Wanted};

/// The list's file in the state directory.
const FILE_NAME: &str = "uplink.json";
/// The namespace of the calling thread.
const HERE: &str = "/proc/thread-self/ns/net";
/// Says which start of the machine this is (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What one way out changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) boot: String,
    /// The inode of the machine's own namespace.
    pub(super) namespace: u64,
    /// The fabric's namespace, and the link in it.
    pub(super) fabric: String,
    pub(super) port: String,
    /// In the machine's own namespace.
    pub(super) link: Option<String>,
    pub(super) table: Option<String>,
    /// Paths below `/proc/sys/net`, and the values to go back to.
    pub(super) sysctls: Vec<(String, String)>,
}

impl Record {
    /// Of a way out that changes nothing yet.
    pub(super) fn of(wanted: &Wanted) -> Result<Record, UplinkError> {
        let here = fs::metadata(HERE).map_err(error(Path::new(HERE)))?;
        Ok(Record {
            boot: boot().map_err(error(Path::new(BOOT_ID)))?,
            namespace: here.ino(),
            fabric: wanted.fabric.clone(),
            port: wanted.port.clone(),
            link: None,
            table: None,
            sysctls: Vec::new(),
        })
    }

    /// Writes it down; on disk when this returns.
    pub(super) fn write(&self, dir: &Path) -> Result<(), UplinkError> {
        let path = path(dir);
        let draft = path.with_extension("new");
        let written = serde_json::to_vec(self).map_err(io::Error::from).and_then(|json| {
            let mut file = File::create(&draft)?;
            file.write_all(&json)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(dir)?.sync_all()
        });
        written.map_err(error(&path))
    }

    /// What is written down in `dir`, if anything is.
    pub(super) fn read(dir: &Path) -> Result<Option<Record>, UplinkError> {
        let path = path(dir);
        match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json).map(Some).map_err(|e| error(&path)(e.into())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(error(&path)(e)),
        }
    }

    pub(super) fn remove(dir: &Path) -> Result<(), UplinkError> {
        let path = path(dir);
        fs::remove_file(&path).map_err(error(&path))
    }

    pub(super) fn is_of_this_boot(&self) -> bool {
        boot().is_ok_and(|boot| boot == self.boot)
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE_NAME)
}

fn boot() -> io::Result<String> {
    Ok(fs::read_to_string(BOOT_ID)?.trim().to_owned())
}

fn error(path: &Path) -> impl FnOnce(io::Error) -> UplinkError {
    let path = path.to_owned();
    move |source| UplinkError::Record { path, source }
}
