//! The end of a lab: everything on its ledger goes, after a clean stop as after a crash at any point.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

use crate::ledger::{FILE_NAME, Ledger, LedgerError, Made};
use crate::namespace::{self, Namespace, NamespaceError, Owned};
use crate::uplink::{self, UplinkError};

/// How long killed processes may take to end. One that writes to a hung disk may take longer than any bound.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something that could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum TeardownError {
    /// Without its list nothing is touched: nothing is ever guessed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A namespace's pin, or the directory of pins, stays.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// Something in the machine's own namespace stays.
    #[error("the uplink: {0}")]
    Uplink(#[from] UplinkError),
    /// A process could not be killed.
    #[error("killing process {pid} in namespace {namespace}: {source}")]
    Kill {
        /// Where.
        namespace: String,
        /// Which.
        pid: i32,
        /// Why.
        source: io::Error,
    },
    /// Processes did not end in time, or one is the caller itself; their namespace stays pinned.
    #[error("namespace {namespace} still has processes {pids:?}")]
    StillRunning {
        /// Where.
        namespace: String,
        /// Which.
        pids: Vec<i32>,
    },
    /// Something is mounted inside a directory of ours, so its content may be someone else's.
    #[error("not removing {}: something is mounted on {}", tree.display(), mount.display())]
    MountInside {
        /// The directory.
        tree: PathBuf,
        /// The mount point.
        mount: PathBuf,
    },
    /// A mount stays.
    #[error("unmounting {}: {source}", path.display())]
    Unmount {
        /// The mount point.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or directory stays.
    #[error("removing {}: {source}", path.display())]
    Remove {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a teardown did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TornDown {
    /// The namespaces that were there.
    pub namespaces: Vec<String>,
    /// How many processes were killed in them.
    pub processes: usize,
    /// Directories that we made and that others now use: they are not empty.
    pub left: Vec<PathBuf>,
}

/// Removes everything on the ledger in `dir`, the ledger itself last. Tries all of it, whatever fails; then a
/// second call may do the rest. Nothing to do is success.
///
/// Processes that others started in our namespaces die too. Whoever still holds one of them open (a socket, a
/// [`Namespace`]) keeps it alive without a name: drop these first. The kernel takes a namespace's links down in
/// its own time; nothing that has a name or a process remains when this returns.
///
/// # Errors
/// All that could not be removed.
pub fn teardown(dir: &Path) -> Result<TornDown, Vec<TeardownError>> {
    let dir = std::path::absolute(dir)
        .map_err(|source| vec![TeardownError::Remove { path: dir.to_owned(), source }])?;
    let made = Ledger::read(&dir).map_err(|e| vec![e.into()])?;
    let mut work = Work { done: TornDown::default(), errors: Vec::new() };
    // First: its own list names a link in a namespace of ours.
    work.errors.extend(uplink::undo(&dir).err().map(TeardownError::from));

    work.namespaces(made.iter().filter_map(|made| match made {
        Made::Namespace { name } => Some(name.as_str()),
        _ => None,
    }));
    for made in made.iter().rev() {
        work.paths(made, &dir);
    }
    let owned =
        Owned { directory: made.contains(&Made::NetnsDirectory), mount: made.contains(&Made::NetnsMount) };
    if owned.directory || owned.mount {
        match namespace::release_directory(owned) {
            Ok(true) => {}
            Ok(false) => work.done.left.push(PathBuf::from(namespace::DIRECTORY)),
            Err(e) => work.errors.push(e.into()),
        }
    }
    // The list goes only when nothing on it is left, or a second call could not finish.
    if work.errors.is_empty() {
        work.state_directory(&made, &dir);
    }
    if work.errors.is_empty() { Ok(work.done) } else { Err(work.errors) }
}

/// Kills what runs in a namespace and removes its pin. A missing one is no error.
pub(crate) fn delete_namespace(name: &str) -> Result<(), Vec<TeardownError>> {
    let mut work = Work { done: TornDown::default(), errors: Vec::new() };
    work.namespaces([name]);
    if work.errors.is_empty() { Ok(()) } else { Err(work.errors) }
}

struct Work {
    done: TornDown,
    errors: Vec<TeardownError>,
}

impl Work {
    fn namespaces<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let mut open = Vec::new();
        for name in names {
            match Namespace::open(name) {
                Ok(namespace) => open.push(namespace),
                // Not made, or not yet mounted, when the crash came.
                Err(NamespaceError::Missing(_)) => {}
                Err(NamespaceError::NotPinned(_)) => self.try_to(Namespace::delete(name)),
                Err(e) => self.errors.push(e.into()),
            }
        }
        self.kill(&open);
        for namespace in open {
            let mut pids: Vec<i32> = namespace.processes().into_iter().map(Pid::as_raw_pid).collect();
            if pids.is_empty() {
                self.done.namespaces.push(namespace.name().to_owned());
                self.try_to(Namespace::delete(namespace.name()));
            } else {
                // Unpinned, they could not be found again.
                pids.sort_unstable();
                let namespace = namespace.name().to_owned();
                self.errors.push(TeardownError::StillRunning { namespace, pids });
            }
        }
    }

    /// Kills all processes of the namespaces and waits for them, again and again: they may fork meanwhile.
    fn kill(&mut self, namespaces: &[Namespace]) {
        let deadline = Instant::now() + PATIENCE;
        let mut killed = BTreeSet::new();
        loop {
            let mut dying = Vec::new();
            for namespace in namespaces {
                for pid in namespace.processes() {
                    // The handle first, the check second: so the number cannot mean another process.
                    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
                    if pid == getpid() || !namespace.holds(pid) {
                        continue;
                    }
                    match pidfd_send_signal(&handle, Signal::KILL) {
                        Ok(()) => {
                            killed.insert(pid.as_raw_pid());
                            dying.push(handle);
                        }
                        Err(rustix::io::Errno::SRCH) => {}
                        Err(e) => {
                            let (namespace, pid) = (namespace.name().to_owned(), pid.as_raw_pid());
                            self.errors.push(TeardownError::Kill { namespace, pid, source: e.into() });
                        }
                    }
                }
            }
            for handle in &dying {
                let left = deadline.saturating_duration_since(Instant::now());
                let left = Timespec::try_from(left).ok();
                // Whatever it answers, the next round looks again.
                let _ = poll(&mut [PollFd::new(handle, PollFlags::IN)], left.as_ref());
            }
            if dying.is_empty() || Instant::now() >= deadline {
                break;
            }
        }
        self.done.processes += killed.len();
    }

    /// Mounts, files and directories beside the state directory and those above it.
    fn paths(&mut self, made: &Made, dir: &Path) {
        match made {
            Made::Mount { path } => {
                if let Err(source) = namespace::unmount_all(path) {
                    self.errors.push(TeardownError::Unmount { path: path.clone(), source });
                }
            }
            Made::File { path } => self.remove(path, fs::remove_file(path)),
            Made::Directory { path } if !dir.starts_with(path) => self.remove(path, fs::remove_dir(path)),
            Made::Tree { path } if !dir.starts_with(path) => self.remove_tree(path),
            _ => {}
        }
    }

    fn state_directory(&mut self, made: &[Made], dir: &Path) {
        if made.contains(&Made::Tree { path: dir.to_owned() }) {
            if let Err(e) = no_mounts_inside(dir) {
                self.errors.push(e);
                return;
            }
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.file_name() != FILE_NAME {
                    let path = entry.path();
                    let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                    let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                    self.remove(&path, removed);
                }
            }
            if !self.errors.is_empty() {
                return;
            }
        }
        let list = dir.join(FILE_NAME);
        self.remove(&list, fs::remove_file(&list));
        let empty = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
        // Empty without an entry: made by a run that crashed before it could list even this.
        if made.contains(&Made::Tree { path: dir.to_owned() }) || (made.is_empty() && empty) {
            self.remove(dir, fs::remove_dir(dir));
        }
        for made in made.iter().rev() {
            if let Made::Directory { path } = made
                && dir.starts_with(path)
            {
                self.remove(path, fs::remove_dir(path));
            }
        }
    }

    fn remove_tree(&mut self, path: &Path) {
        match no_mounts_inside(path) {
            Ok(()) => self.remove(path, fs::remove_dir_all(path)),
            Err(e) => self.errors.push(e),
        }
    }

    fn remove(&mut self, path: &Path, removed: io::Result<()>) {
        match removed {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => self.done.left.push(path.to_owned()),
            Err(source) => self.errors.push(TeardownError::Remove { path: path.to_owned(), source }),
            Ok(()) => {}
        }
    }

    fn try_to(&mut self, done: Result<(), NamespaceError>) {
        if let Err(e) = done {
            self.errors.push(e.into());
        }
    }
}

fn no_mounts_inside(tree: &Path) -> Result<(), TeardownError> {
    match namespace::mount_points().find(|mount| mount.starts_with(tree)) {
        Some(mount) => Err(TeardownError::MountInside { tree: tree.to_owned(), mount }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A temporary directory of its own, and the state directory in it.
    fn state() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("labs/x");
        (root, state)
    }

    #[test]
    fn everything_listed_goes_and_again_is_no_error() {
        let (root, state) = state();
        let mut ledger = Ledger::open(&state).unwrap();
        let path = |name: &str| root.path().join(name);
        for made in [
            Made::Directory { path: path("directory") },
            Made::File { path: path("directory/file") },
            Made::Tree { path: path("tree") },
            Made::File { path: path("never made") },
            Made::Namespace { name: format!("rw-hosttest-{}-never", std::process::id()) },
        ] {
            ledger.record(&made).unwrap();
        }
        fs::create_dir(path("directory")).unwrap();
        fs::write(path("directory/file"), "").unwrap();
        fs::create_dir_all(path("tree/deep")).unwrap();
        fs::write(state.join("console.log"), "hello").unwrap();
        fs::create_dir(state.join("machine")).unwrap();

        assert_eq!(teardown(&state).unwrap(), TornDown::default());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        assert_eq!(teardown(&state).unwrap(), TornDown::default());
    }

    #[test]
    fn what_others_put_there_stays() {
        let (_root, state) = state();
        let parent = state.parent().unwrap().to_owned();
        drop(Ledger::open(&state).unwrap());
        fs::write(parent.join("another lab"), "").unwrap();
        assert_eq!(teardown(&state).unwrap().left, std::slice::from_ref(&parent));
        assert!(!state.exists() && parent.join("another lab").exists());
    }

    #[test]
    fn a_state_directory_that_was_there_stays() {
        let (root, _) = state();
        fs::write(root.path().join("precious"), "").unwrap();
        drop(Ledger::open(root.path()).unwrap());
        assert_eq!(teardown(root.path()).unwrap(), TornDown::default());
        let names: Vec<_> = fs::read_dir(root.path()).unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["precious"]);
    }

    #[test]
    fn a_crash_before_the_first_entry_leaves_nothing_either() {
        let (root, state) = state();
        fs::create_dir_all(&state).unwrap();
        teardown(&state).unwrap();
        assert!(!state.exists());
        drop(root);
    }

    #[test]
    fn an_error_keeps_the_list_for_the_next_try() {
        let (root, state) = state();
        let stuck = root.path().join("stuck");
        let mut ledger = Ledger::open(&state).unwrap();
        ledger.record(&Made::File { path: stuck.clone() }).unwrap();
        ledger.record(&Made::File { path: root.path().join("file") }).unwrap();
        fs::create_dir(&stuck).unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        // Listed as a file, but a directory: cannot be unlinked. All else goes nevertheless.
        let errors = teardown(&state).unwrap_err();
        assert!(matches!(&errors[..], [TeardownError::Remove { path, .. }] if *path == stuck), "{errors:?}");
        assert!(!root.path().join("file").exists());
        fs::remove_dir(&stuck).unwrap();
        teardown(&state).unwrap();
        assert!(!state.exists());
    }

    #[test]
    fn a_broken_list_touches_nothing() {
        let (_root, state) = state();
        fs::create_dir_all(&state).unwrap();
        fs::write(state.join(FILE_NAME), "nonsense\n").unwrap();
        assert!(matches!(teardown(&state).unwrap_err()[..], [TeardownError::Ledger(_)]));
        assert!(state.join(FILE_NAME).exists());
    }
}
