//! Where labs keep their state on this machine, which labs there are, and how to get at their namespaces.

mod register;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use host::holder;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::Failure;

/// The directory of root's labs.
const LABS: &str = "/var/lib/ringwall/labs";
/// The directory of an ordinary user's labs, below where programs keep their state (XDG Base Directory Specification).
const USER_LABS: &str = "ringwall/labs";

const SOCKET: &str = "control.sock";
const LOCK: &str = "lock";
const LOG: &str = "daemon.log";
const SOURCE: &str = "source";
const MACHINES: &str = "machines";
const IMAGES: &str = "images";

/// How long a daemon may take to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one that was killed may still hold what it held.
const DEATH: Duration = Duration::from_secs(2);
/// Between two looks at one that is ending.
const GLANCE: Duration = Duration::from_millis(20);

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
    #[error("no lab is up{}", roots())]
    None,
    /// No lab of that name.
    #[error("no lab `{name}` is up; {}{}", if known.is_empty() { "none is".to_owned() } else { format!("there is {}", known.join(", ")) }, roots())]
    Unknown {
        /// As asked.
        name: String,
        /// Those that are.
        known: Vec<String>,
    },
    /// No lab's directory.
    #[error("no lab keeps its state in {}", .0.display())]
    NoState(PathBuf),
    /// There is no place for an ordinary user's labs.
    #[error("there is no place for labs: neither XDG_STATE_HOME nor HOME names a directory")]
    Homeless,
    /// Several are up.
    #[error("several labs are up, name one of them: {}", .0.join(", "))]
    Ambiguous(Vec<String>),
    /// Several of that name are up.
    #[error("several labs are called `{name}`, name one of them by its directory: {}", shown(directories))]
    Namesakes {
        /// As asked.
        name: String,
        /// Theirs.
        directories: Vec<PathBuf>,
    },
}

/// The lab's namespaces, which nobody else makes or ends meanwhile.
#[derive(Debug)]
pub(crate) struct Gate {
    directory: File,
}

/// A lab's directory, locked: nobody else brings this lab up or takes it down.
#[derive(Debug)]
pub(crate) struct Locked {
    file: File,
}

impl LabDir {
    /// The directory of the lab called `name`, which need not exist.
    pub(crate) fn named(name: &str) -> Result<LabDir, FindError> {
        Ok(LabDir { name: name.to_owned(), path: labs()?.join(name) })
    }

    /// The lab called `name`, or that of the directory `name` if it has a slash, or the only one there is.
    pub(crate) fn find(name: Option<&str>) -> Result<LabDir, FindError> {
        let mut known = register::known(&labs()?);
        let called = |lab: &LabDir| match name {
            None => true,
            Some(path) if path.contains('/') => register::same(&lab.path, Path::new(path)),
            Some(name) => lab.name == name,
        };
        let mut found: Vec<_> = known.extract_if(.., |lab| called(lab)).collect();
        match (name, found.len()) {
            (_, 1) => Ok(found.remove(0)),
            (None, 0) => Err(FindError::None),
            (Some(path), 0) if path.contains('/') => Err(FindError::NoState(path.into())),
            (Some(name), 0) => Err(FindError::Unknown { name: name.to_owned(), known: names(&known) }),
            (None, _) => Err(FindError::Ambiguous(names(&found))),
            (Some(name), _) => {
                let directories = found.into_iter().map(|lab| lab.path).collect();
                Err(FindError::Namesakes { name: name.to_owned(), directories })
            }
        }
    }

    /// Another lab of the same name, where there can be only one: all of root's share the machine's namespaces.
    pub(crate) fn namesake(&self) -> Result<Option<LabDir>, FindError> {
        if !geteuid().is_root() || holder::is_inside() {
            return Ok(None);
        }
        let mut known = register::known(&labs()?).into_iter();
        Ok(known.find(|lab| lab.name == self.name && !register::same(&lab.path, &self.path)))
    }

    /// Lets the lab be found by its name, wherever its directory is.
    pub(crate) fn register(&self) -> Result<(), Failure> {
        let labs = labs()?;
        let above = LabDir { name: String::new(), path: labs.clone() };
        above.create()?;
        register::add(&labs, self).map_err(Failure::file(&labs))
    }

    /// Whether the directory may become, or is, a lab's: it is not there yet, or empty, or has been one.
    pub(crate) fn is_free(&self) -> bool {
        let own = [LOCK, holder::FILE_NAME].iter().any(|name| self.path.join(name).exists());
        own || std::fs::read_dir(&self.path).map_or(true, |mut entries| entries.next().is_none())
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

    /// Where the root file systems of images are kept.
    pub(crate) fn images(&self) -> PathBuf {
        self.path.join(IMAGES)
    }

    /// What the lab was made from: the file's path and all that was read.
    pub(crate) fn source(&self) -> PathBuf {
        self.path.join(SOURCE)
    }

    /// What the lab's template has become, once that is stored.
    pub(crate) fn deployment(&self) -> PathBuf {
        self.path.join("deployment.json")
    }

    /// From inside one lab's namespaces no other lab's can be entered.
    pub(crate) fn check_inside(&self) -> Result<(), Failure> {
        match holder::is_inside() && !holder::holds_us(&self.path) {
            true => Err(Failure::Inside(self.name.clone())),
            false => Ok(()),
        }
    }

    /// Makes the directory and everything above it, for its owner's eyes only.
    pub(crate) fn create(&self) -> Result<(), Failure> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.path).map_err(Failure::file(&self.path))
    }

    /// Enters the namespaces that the lab stands in, which an ordinary user has to make first if `or_make`. Root needs
    /// none: there, this does nothing. To be called while the program has one thread; the user is root afterwards.
    ///
    /// While the answer is held, nobody else makes or ends these namespaces.
    pub(crate) fn enter(&self, or_make: bool) -> Result<Option<Gate>, Failure> {
        self.check_inside()?;
        if geteuid().is_root() {
            return Ok(None);
        }
        let gate = self.gate()?;
        if holder::find(&self.path).is_some() {
            holder::enter(&self.path)?;
        } else if self.enter_through_daemon(&gate)? {
            tracing::debug!("the process that held the namespaces had died");
        } else if or_make {
            // They can be entered no more. What runs in them would be in the way of what is made anew.
            for machine in self.machines() {
                host::machine::kill(&machine)?;
            }
            holder::start(&self.path, gate.directory.as_fd())?;
            holder::enter(&self.path)?;
        } else {
            return Err(Failure::NoNamespaces(self.name.clone()));
        }
        Ok(Some(gate))
    }

    /// Enters the namespaces where the daemon still lives in them; says whether one does. One that was killed may take
    /// a moment to be dead, as may a new one to put its name to the lock.
    fn enter_through_daemon(&self, gate: &Gate) -> Result<bool, Failure> {
        let deadline = Instant::now() + PATIENCE;
        while let Some(signed) = self.signed()? {
            if let Some(daemon) = signed
                && holder::replace(&self.path, daemon, gate.directory.as_fd())?
            {
                return Ok(true);
            }
            if Instant::now() > deadline {
                return Err(Failure::NoNamespaces(self.name.clone()));
            }
            std::thread::sleep(GLANCE);
        }
        Ok(false)
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

    /// Locks the directory if the daemon, which does not answer, is just dying; none if it goes on.
    pub(crate) fn lock_after_death(&self) -> Result<Option<Locked>, Failure> {
        let deadline = Instant::now() + DEATH;
        loop {
            match self.lock()? {
                None if Instant::now() < deadline => std::thread::sleep(GLANCE),
                lock => return Ok(lock),
            }
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
            std::thread::sleep(GLANCE);
        }
    }

    /// Empties the directory, but for the lock and what holds the namespaces, which are in use.
    pub(crate) fn clear(&self) -> Result<(), Failure> {
        let in_use = [LOCK, holder::FILE_NAME];
        for entry in std::fs::read_dir(&self.path).map_err(Failure::file(&self.path))? {
            let entry = entry.map_err(Failure::file(&self.path))?;
            let path = entry.path();
            if in_use.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            let directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed =
                if directory { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.map_err(Failure::file(&path))?;
        }
        Ok(())
    }

    /// Removes the directory, and those above it that hold nothing else; an ordinary user's namespaces go with it.
    pub(crate) fn remove(&self) -> Result<(), Failure> {
        let _gate = self.gate()?;
        holder::end(&self.path)?;
        std::fs::remove_dir_all(&self.path).map_err(Failure::file(&self.path))?;
        let labs = labs()?;
        register::forget(&labs, self);
        for above in labs.ancestors().take(2) {
            // Another lab may stand there.
            if std::fs::remove_dir(above).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn kill_daemon(&self) -> Result<(), Failure> {
        if let Some(daemon) = self.signed()?.flatten() {
            // It may have ended by itself meanwhile.
            let _ = kill_process(daemon, Signal::KILL);
        }
        Ok(())
    }

    /// If the lock is held, by whom according to its signature: only then is that process surely ours.
    fn signed(&self) -> Result<Option<Option<Pid>>, Failure> {
        let path = self.path.join(LOCK);
        if !path.exists() || self.lock()?.is_some() {
            return Ok(None);
        }
        Ok(Some(read_if_there(&path)?.and_then(|text| text.trim().parse().ok()).and_then(Pid::from_raw)))
    }

    /// Waits for the right to make, enter or end the lab's namespaces.
    fn gate(&self) -> Result<Gate, Failure> {
        let gate = File::open(&self.path).map_err(Failure::file(&self.path))?;
        flock(&gate, FlockOperation::LockExclusive)
            .map_err(|error| Failure::file(&self.path)(error.into()))?;
        match is_at(&gate, &self.path) {
            true => Ok(Gate { directory: gate }),
            false => Err(Failure::Refused(format!("lab `{}` has just gone", self.name))),
        }
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

/// The directory of the user's labs. In a shell inside a lab the user is root, and has the same labs as outside.
fn labs() -> Result<PathBuf, FindError> {
    if geteuid().is_root() && !holder::is_inside() {
        return Ok(PathBuf::from(LABS));
    }
    // A relative path is to be ignored, says the specification.
    let named =
        |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = named("XDG_STATE_HOME").or_else(|| named("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join(USER_LABS)).ok_or(FindError::Homeless)
}

/// What an ordinary user who looks for a lab should know: root's labs are not theirs.
fn roots() -> &'static str {
    let above = Path::new(LABS).parent();
    if !geteuid().is_root() && above.is_some_and(Path::exists) {
        return "; root has labs on this machine, which root alone sees: sudo ringwall lab status";
    }
    ""
}

/// What labs are called by somebody who has to choose: those of one name by their directories.
fn names(labs: &[LabDir]) -> Vec<String> {
    let alone = |lab: &LabDir| labs.iter().filter(|other| other.name == lab.name).count() == 1;
    let name = |lab: &LabDir| if alone(lab) { lab.name.clone() } else { lab.path.display().to_string() };
    labs.iter().map(name).collect()
}

fn shown(directories: &[PathBuf]) -> String {
    directories.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
