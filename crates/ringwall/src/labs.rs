//! Where labs keep their state on this machine, and which labs there are.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

use crate::Failure;

/// The directory of all labs of this machine.
const LABS: &str = "/var/lib/ringwall/labs";

const SOCKET: &str = "control.sock";
const LOCK: &str = "lock";
const LOG: &str = "daemon.log";
const SOURCE: &str = "source";
const MACHINES: &str = "machines";

/// How long a daemon may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The directory of one lab. Its lock is held as long as a daemon or a machine's first stage lives.
#[derive(Debug, Clone)]
pub(crate) struct LabDir {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// A name that names no lab, or not just one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FindError {
    /// Nothing is up.
    #[error("no lab is up")]
    None,
    /// No lab of that name.
    #[error("no lab `{name}` is up; {}", if known.is_empty() { "none is".to_owned() } else { format!("there is {}", known.join(", ")) })]
    Unknown {
        /// As asked.
        name: String,
        /// Those that are.
        known: Vec<String>,
    },
    /// Several are up.
    #[error("several labs are up, name one of them: {}", .0.join(", "))]
    Ambiguous(Vec<String>),
}

/// A lab's directory, locked: nobody else brings this lab up or takes it down.
#[derive(Debug)]
pub(crate) struct Locked {
    file: File,
}

impl LabDir {
    /// The directory of the lab called `name`, which need not exist.
    pub(crate) fn named(name: &str) -> LabDir {
        LabDir { name: name.to_owned(), path: Path::new(LABS).join(name) }
    }

    /// The lab called `name`, or the only one there is.
    pub(crate) fn find(name: Option<&str>) -> Result<LabDir, FindError> {
        let known = known();
        match (name, known.as_slice()) {
            (Some(name), _) if known.iter().any(|lab| lab == name) => Ok(LabDir::named(name)),
            (Some(name), _) => Err(FindError::Unknown { name: name.to_owned(), known }),
            (None, []) => Err(FindError::None),
            (None, [only]) => Ok(LabDir::named(only)),
            (None, _) => Err(FindError::Ambiguous(known)),
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    /// The directories of all machines.
    pub(crate) fn machines(&self) -> impl Iterator<Item = PathBuf> {
        let entries = std::fs::read_dir(self.path.join(MACHINES)).into_iter().flatten().flatten();
        entries.map(|entry| entry.path())
    }

    /// A machine's own directory.
    pub(crate) fn machine(&self, name: &str) -> PathBuf {
        self.path.join(MACHINES).join(name)
    }

    /// What the lab was made from: the file's path and all that was read.
    pub(crate) fn source(&self) -> PathBuf {
        self.path.join(SOURCE)
    }

    /// Makes the directory and everything above it, for root's eyes only.
    pub(crate) fn create(&self) -> Result<(), Failure> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.path).map_err(Failure::file(&self.path))
    }

    /// Locks the directory; none if a daemon has it.
    pub(crate) fn lock(&self) -> Result<Option<Locked>, Failure> {
        let path = self.path.join(LOCK);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(Failure::file(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // Somebody who took the lab down meanwhile has removed the file: that lock is nobody's.
            Ok(()) if !is_at(&file, &path) => {
                Err(Failure::Refused(format!("lab `{}` has just gone", self.name)))
            }
            Ok(()) => Ok(Some(Locked { file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(Failure::File { path, source: error.into() }),
        }
    }

    /// Locks the directory when the daemon has ended; ends it by force if it takes too long.
    ///
    /// Calls `tell` until it says that the daemon knows: one that has just begun does not listen yet.
    pub(crate) fn lock_when_free(&self, mut tell: impl FnMut() -> bool) -> Result<Locked, Failure> {
        let mut deadline = Instant::now() + PATIENCE;
        let mut told = false;
        let mut forced = false;
        loop {
            if let Some(locked) = self.lock()? {
                return Ok(locked);
            }
            told = told || tell();
            if Instant::now() > deadline {
                if forced {
                    return Err(Failure::Refused(format!("lab `{}` is busy: its lock is held", self.name)));
                }
                self.kill_daemon()?;
                forced = true;
                deadline = Instant::now() + PATIENCE;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Removes the directory, and those above it that hold nothing else.
    pub(crate) fn remove(&self) -> Result<(), Failure> {
        std::fs::remove_dir_all(&self.path).map_err(Failure::file(&self.path))?;
        for above in self.path.ancestors().skip(1).take(2) {
            // Another lab may stand there.
            if std::fs::remove_dir(above).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// The lock's file names its holder: only while the lock is held is that process surely ours.
    fn kill_daemon(&self) -> Result<(), Failure> {
        let path = self.path.join(LOCK);
        let text = std::fs::read_to_string(&path).map_err(Failure::file(&path))?;
        if let Some(pid) = text.trim().parse().ok().and_then(Pid::from_raw) {
            // It may have ended by itself meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
        Ok(())
    }
}

impl Locked {
    /// Takes over a lock that another process handed down.
    pub(crate) fn adopt(file: File) -> Locked {
        Locked { file }
    }

    /// Writes down who holds it.
    pub(crate) fn sign(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "{}", std::process::id())
    }

    /// The lock's open file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// Reads a file, or nothing if it is not there.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>, Failure> {
    let mut text = String::new();
    match File::open(path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::File { path: path.to_owned(), source: error }),
    }
}

/// Whether the path still names this file.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

fn known() -> Vec<String> {
    let entries = std::fs::read_dir(LABS).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}
