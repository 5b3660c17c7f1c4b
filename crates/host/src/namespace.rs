//! Network namespaces that outlive the process which made them.
//!
//! A namespace is pinned as `ip netns add` pins it (ip-netns(8)): a bind mount of the namespace's file over
//! an empty file in `/run/netns`. So `ip netns` lists ours, and both can delete what the other made.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{FlockOperation, XattrFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags};
use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

/// Where namespaces are pinned: the directory of `ip netns`.
pub const DIRECTORY: &str = "/run/netns";

/// `NSFS_MAGIC` of linux/magic.h: the file system that namespace files live on.
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// Extended attributes of [`DIRECTORY`]: made, or mounted, by us.
const DIRECTORY_MARK: &str = "trusted.ringwall.directory";
const MOUNT_MARK: &str = "trusted.ringwall.mount";

/// Why a namespace could not be made, opened, entered or deleted.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// The name cannot be that of a file in [`DIRECTORY`].
    #[error("{0:?} cannot name a network namespace")]
    BadName(String),
    /// A namespace of this name is pinned already.
    #[error("network namespace {0} exists already")]
    Exists(String),
    /// No namespace of this name is pinned.
    #[error("there is no network namespace {0}")]
    Missing(String),
    /// There is a file of this name, but no namespace is mounted on it.
    #[error("{} is no network namespace", .0.display())]
    NotPinned(PathBuf),
    /// The kernel refused something.
    #[error("{doing} {}: {source}", path.display())]
    System {
        /// What was tried, such as "mount".
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl NamespaceError {
    fn system(doing: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::System { doing, path: path.to_owned(), source: source.into() }
    }
}

/// A pinned network namespace, held open: while this value lives, so does the namespace, even unpinned.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    path: PathBuf,
    fd: OwnedFd,
    inode: u64,
}

impl Namespace {
    /// Makes and pins a new namespace.
    ///
    /// # Errors
    /// `BadName`, `Exists`, or `System` (needs `CAP_SYS_ADMIN`).
    pub fn create(name: &str) -> Result<Self, NamespaceError> {
        Self::create_with(name, || Ok(()))
    }

    /// Makes a new namespace, runs `prepare` in it, and pins it only then: a pinned namespace is a prepared
    /// one, wherever a crash falls.
    ///
    /// # Errors
    /// As [`Namespace::create`]; an error of `prepare` is a `System` error.
    pub fn create_with(
        name: &str,
        prepare: impl FnOnce() -> io::Result<()> + Send,
    ) -> Result<Self, NamespaceError> {
        let path = pin_path(name)?;
        let lock = prepare_directory()?;
        if is_pinned(&path) {
            return Err(NamespaceError::Exists(name.to_owned()));
        }
        // A file without a mount is what a crash between the two leaves: it is used again.
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o444)
            .open(&path)
            .map_err(|e| NamespaceError::system("create", &path, e))?;
        drop(lock);
        let made = on_a_thread(|| {
            // SAFETY: unsharing the network namespace changes neither the file table nor memory; only this
            // thread, which ends here, has the new namespace.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
                .map_err(|e| NamespaceError::system("make a namespace for", &path, e))?;
            prepare().map_err(|e| NamespaceError::system("prepare", &path, e))?;
            rustix::mount::mount_bind("/proc/thread-self/ns/net", &path)
                .map_err(|e| NamespaceError::system("mount", &path, e))
        })
        .map_err(|e| NamespaceError::system("start a thread for", &path, e))
        .flatten();
        if let Err(error) = made {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Self::open(name)
    }

    /// Opens a pinned namespace.
    ///
    /// # Errors
    /// `BadName`, `Missing`, `NotPinned`, `System`.
    pub fn open(name: &str) -> Result<Self, NamespaceError> {
        let path = pin_path(name)?;
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(NamespaceError::Missing(name.to_owned()));
            }
            Err(e) => return Err(NamespaceError::system("open", &path, e)),
        };
        if !is_namespace(&file) {
            return Err(NamespaceError::NotPinned(path));
        }
        let inode = file.metadata().map_err(|e| NamespaceError::system("stat", &path, e))?.ino();
        Ok(Self { name: name.to_owned(), path, fd: file.into(), inode })
    }

    /// Opens the namespace with this inode number, if anything leads to it: this thread, a pin, or a process.
    pub(crate) fn of_inode(inode: u64) -> Option<Self> {
        let entries = |dir: &str| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let pins = entries(DIRECTORY);
        let processes = entries("/proc").map(|process| process.join("ns/net"));
        let paths = [PathBuf::from("/proc/thread-self/ns/net")].into_iter().chain(pins).chain(processes);
        paths.into_iter().find_map(|path| {
            // One that cannot be opened is none of ours.
            let file = File::open(&path).ok().filter(is_namespace)?;
            let found = file.metadata().is_ok_and(|metadata| metadata.ino() == inode);
            found.then(|| Self { name: path.display().to_string(), path, fd: file.into(), inode })
        })
    }

    /// Removes the pin, and after the last one the directory, if it was ours. The namespace itself dies with its
    /// last process and open file. One that is not there is no error.
    ///
    /// # Errors
    /// `BadName`, `System`.
    pub fn delete(name: &str) -> Result<(), NamespaceError> {
        let path = pin_path(name)?;
        unmount_all(&path).map_err(|e| NamespaceError::system("unmount", &path, e))?;
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(NamespaceError::system("remove", &path, e)),
            _ => release_directory(owned()).map(|_| ()),
        }
    }

    /// The name it is pinned under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is pinned.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open namespace file, for setns(2) and `IFLA_NET_NS_FD`.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The namespace's inode number: its identity, as in `/proc/PID/ns/net`.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Runs `f` on a fresh thread inside the namespace and waits for it. The caller's thread stays where it is.
    /// A panic in `f` goes on in the caller.
    ///
    /// # Errors
    /// `System`, if the thread could not start or enter.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T, NamespaceError> {
        on_a_thread(|| {
            self.enter()?;
            Ok(f())
        })
        .map_err(|e| NamespaceError::system("start a thread for", &self.path, e))
        .flatten()
    }

    /// Moves the calling thread into the namespace, for good.
    ///
    /// # Errors
    /// `System` (needs `CAP_SYS_ADMIN`).
    pub fn enter(&self) -> Result<(), NamespaceError> {
        rustix::thread::move_into_link_name_space(self.fd(), Some(LinkNameSpaceType::Network))
            .map_err(|e| NamespaceError::system("enter", &self.path, e))
    }

    /// The processes that are in the namespace, whoever started them.
    pub fn processes(&self) -> Vec<Pid> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
            .filter(|pid| self.holds(*pid))
            .collect()
    }

    /// Whether this process (its first thread) is in the namespace now.
    pub fn holds(&self, pid: Pid) -> bool {
        let path = format!("/proc/{}/ns/net", pid.as_raw_nonzero());
        fs::metadata(path).is_ok_and(|file| file.ino() == self.inode)
    }
}

/// Whether there is a file of this name, pinned or not: a crash leaves one between its making and the mount on it, and
/// between the unmounting and its removal.
pub(crate) fn is_left(name: &str) -> bool {
    pin_path(name).is_ok_and(|path| path.exists())
}

/// What of [`DIRECTORY`] is for us to remove in the end: it was made by us (this lab or another one), or
/// [`Namespace::create`] would make it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owned {
    /// The directory itself.
    pub directory: bool,
    /// The mount on it that `ip netns` wants.
    pub mount: bool,
}

/// Who [`DIRECTORY`] belongs to.
pub fn owned() -> Owned {
    let path = Path::new(DIRECTORY);
    Owned {
        directory: !path.is_dir() || is_marked(path, DIRECTORY_MARK),
        mount: !is_mount_point(path) || is_marked(path, MOUNT_MARK),
    }
}

/// Removes what is owned of [`DIRECTORY`], but only if no namespace is pinned there. Returns whether that was so.
///
/// # Errors
/// `System`.
pub fn release_directory(owned: Owned) -> Result<bool, NamespaceError> {
    let path = Path::new(DIRECTORY);
    let Some(_lock) = lock_directory()? else { return Ok(true) };
    if fs::read_dir(path).map_err(|e| NamespaceError::system("read", path, e))?.next().is_some() {
        return Ok(false);
    }
    if owned.mount && is_mount_point(path) {
        rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
            .map_err(|e| NamespaceError::system("unmount", path, e))?;
        // Gone with the directory, if that goes too.
        let _ = rustix::fs::removexattr(path, MOUNT_MARK);
    }
    if owned.directory && !is_mount_point(path) {
        fs::remove_dir(path).map_err(|e| NamespaceError::system("remove", path, e))?;
    }
    Ok(true)
}

/// Unmounts everything mounted on `path`, however often; nothing mounted or no file is no error.
pub(crate) fn unmount_all(path: &Path) -> io::Result<()> {
    loop {
        match rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Whether something is mounted exactly on `path` in this mount namespace.
pub(crate) fn is_mount_point(path: &Path) -> bool {
    mount_points().any(|mounted| mounted == path)
}

/// All mount points of this mount namespace (proc_pid_mountinfo(5), field 5).
pub(crate) fn mount_points() -> impl Iterator<Item = PathBuf> {
    let table = fs::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
    let points: Vec<PathBuf> = table.lines().filter_map(|l| l.split(' ').nth(4)).map(unescape).collect();
    points.into_iter()
}

/// Undoes the octal escapes of mountinfo (`\040` for a space).
fn unescape(field: &str) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = tail.get(..3).filter(|_| first == b'\\').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsStr::from_bytes(&bytes))
}

fn pin_path(name: &str) -> Result<PathBuf, NamespaceError> {
    if name.is_empty() || name == "." || name == ".." || name.len() > 255 || name.contains(['/', '\0']) {
        return Err(NamespaceError::BadName(name.to_owned()));
    }
    Ok(Path::new(DIRECTORY).join(name))
}

fn is_namespace(file: &File) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(|t| t == NSFS_MAGIC))
}

fn is_pinned(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| is_namespace(&file))
}

/// Makes [`DIRECTORY`] what `ip netns` makes of it, a shared mount point of its own, and locks it. A plain
/// directory would do for us, but the first later `ip netns add` would then mount a copy over it, and our pins
/// below it could be neither seen nor removed.
fn prepare_directory() -> Result<File, NamespaceError> {
    let path = Path::new(DIRECTORY);
    let lock = loop {
        match fs::DirBuilder::new().mode(0o755).create(path) {
            Ok(()) => mark(path, DIRECTORY_MARK),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(NamespaceError::system("create", path, e)),
        }
        // None: another lab has just removed it.
        if let Some(lock) = lock_directory()? {
            break lock;
        }
    };
    let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    match rustix::mount::mount_change(path, shared) {
        Ok(()) => {}
        Err(Errno::INVAL) => {
            rustix::mount::mount_bind_recursive(path, path)
                .and_then(|()| rustix::mount::mount_change(path, shared))
                .map_err(|e| NamespaceError::system("mount", path, e))?;
            mark(path, MOUNT_MARK);
        }
        Err(e) => return Err(NamespaceError::system("share", path, e)),
    }
    Ok(lock)
}

/// Opens [`DIRECTORY`] and takes the lock that `ip netns add` takes too, while it is made and removed; none if
/// it is not there.
fn lock_directory() -> Result<Option<File>, NamespaceError> {
    let path = Path::new(DIRECTORY);
    let lock = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|e| NamespaceError::system("open", path, e))?,
    };
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)
        .map_err(|e| NamespaceError::system("lock", path, e))?;
    // It may have been removed, or made anew, while we waited.
    let locked = lock.metadata().map_err(|e| NamespaceError::system("stat", path, e))?;
    let there = fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (locked.dev(), locked.ino()));
    if there { Ok(Some(lock)) } else { Ok(None) }
}

/// Says on the directory that it is ours: the lab that made it may end before another one that uses it too,
/// and then the last has to remove it. Best effort: without it, an empty directory stays in that case. An ordinary
/// user may not set it and needs none: there the whole of `/run` is one lab's.
fn mark(path: &Path, mark: &str) {
    if let Err(error) = rustix::fs::setxattr(path, mark, b"1", XattrFlags::empty()) {
        tracing::debug!(%error, mark, "cannot mark {}", path.display());
    }
}

fn is_marked(path: &Path, mark: &str) -> bool {
    rustix::fs::getxattr(path, mark, &mut [0; 8][..]).is_ok()
}

/// Runs `f` on a thread of its own, since a thread that changed its namespace is not to be used again.
fn on_a_thread<T: Send>(f: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("namespace".to_owned()).spawn_scoped(scope, f)?;
        Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_file_name() {
        for name in ["", ".", "..", "a/b", "/etc", "a\0b"] {
            assert!(matches!(pin_path(name), Err(NamespaceError::BadName(_))), "{name:?}");
        }
        assert_eq!(pin_path("rw-x-dmz").unwrap(), Path::new("/run/netns/rw-x-dmz"));
    }

    #[test]
    fn mountinfo_escapes_are_undone() {
        assert_eq!(unescape(r"/a\040b\134c"), Path::new(r"/a b\c"));
        assert_eq!(unescape(r"/a\9"), Path::new(r"/a\9"));
    }

    #[test]
    fn the_root_is_a_mount_point() {
        assert!(is_mount_point(Path::new("/")));
        assert!(!is_mount_point(Path::new("/no/such/place")));
    }
}
