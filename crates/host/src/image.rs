//! The root file systems of machine images, which a cloud keeps for the machines that run them.
//!
//! Each is a directory that has the image's id for a name. It is made beside its place and renamed, so what has the name
//! of an image is whole; what has another one is of a daemon that was killed.

mod archive;
mod bounds;
mod directory;
mod root;

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use model::ImageId;

use bounds::Bounds;

/// Why no image can be made of something.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Its path begins nowhere.
    #[error("It is no absolute path.")]
    Relative,
    /// It is not there, or may not be read.
    #[error("{} cannot be read: {source}.", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// It is neither a directory nor a file.
    #[error("It is neither a directory nor an archive.")]
    Neither,
    /// The archive is none, or damaged.
    #[error("The archive cannot be unpacked: {0}.")]
    Archive(io::Error),
    /// There is too much of it.
    #[error("It has more than {} GiB, or more than {} files.", bounds::MOST_BYTES >> 30, bounds::MOST_FILES)]
    TooLarge,
    /// No machine could run on it.
    #[error("It is no root file system for this machine: {0}.")]
    NoRoot(String),
    /// It cannot be kept: the fault of whoever keeps it.
    #[error("write {}: {source}", path.display())]
    Keep {
        /// What was being written.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Where a cloud keeps the root file systems of its images.
#[derive(Debug)]
pub struct Images {
    directory: PathBuf,
    turn: Arc<Turn>,
}

/// A root file system that no image has yet. What nobody keeps is gone when this is dropped.
#[derive(Debug)]
pub struct Draft {
    directory: PathBuf,
    _turn: Taken,
}

/// The name of the one root file system that is being made.
const DRAFT: &str = "new";

impl Images {
    /// They are kept in `directory`, which is made when there is one.
    pub fn new(directory: PathBuf) -> Images {
        Images { directory, turn: Arc::default() }
    }

    /// Where the root file system of an image is, if there is one.
    pub fn root(&self, image: ImageId) -> PathBuf {
        self.directory.join(image.to_string())
    }

    /// Makes a root file system of what is at `location`, an absolute path: a copy of a directory, which stays on one
    /// file system, or an archive of tar(1), plain or compressed by gzip, xz or zstd. Everything becomes the caller's
    /// own, and what is special is left out: devices, set-user-ID bits. Waits while another one is made. It is on disk
    /// when this returns.
    ///
    /// # Errors
    /// [`ImageError`]; nothing is left of it then.
    pub fn unpack(&self, location: &Path) -> Result<Draft, ImageError> {
        self.unpack_within(location, Bounds::default())
    }

    fn unpack_within(&self, location: &Path, bounds: Bounds) -> Result<Draft, ImageError> {
        if !location.is_absolute() {
            return Err(ImageError::Relative);
        }
        let about = fs::metadata(location).map_err(unreadable(location))?;
        let draft = Draft { directory: self.directory.join(DRAFT), _turn: Taken::wait_for(&self.turn) };
        let root = draft.directory.as_path();
        // A daemon that was killed may have left its own.
        remove(root).map_err(kept(root))?;
        let make = |path: &Path, mode| DirBuilder::new().recursive(true).mode(mode).create(path);
        // Nobody else has to do with it.
        make(&self.directory, 0o700).map_err(kept(&self.directory))?;
        make(root, 0o755).map_err(kept(root))?;
        if about.is_dir() {
            directory::copy(location, root, bounds)?;
        } else if about.is_file() {
            archive::unpack(location, root, bounds)?;
        } else {
            return Err(ImageError::Neither);
        }
        root::complete(root)?;
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).map_err(kept(root))?;
        let file_system = File::open(root).map_err(kept(root))?;
        rustix::fs::syncfs(&file_system).map_err(|error| kept(root)(error.into()))?;
        Ok(draft)
    }

    /// Removes the root file systems that nobody wants; `wanted` is asked for the images whose ones stay. Does nothing
    /// while one is being made.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn sweep(&self, wanted: impl FnOnce() -> BTreeSet<ImageId>) -> io::Result<()> {
        let Some(_turn) = Taken::at_once(&self.turn) else { return Ok(()) };
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?.collect::<Result<Vec<_>, _>>()?,
        };
        if entries.is_empty() {
            return Ok(());
        }
        let wanted: BTreeSet<String> = wanted().iter().map(ImageId::to_string).collect();
        let stays =
            |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(|name| wanted.contains(name));
        entries.iter().filter(|entry| !stays(entry)).try_for_each(|entry| remove(&entry.path()))
    }
}

impl Draft {
    /// Makes it the root file system of an image that has none, for good.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub fn keep_as(&self, image: ImageId) -> io::Result<()> {
        fs::rename(&self.directory, self.directory.with_file_name(image.to_string()))?;
        self.directory.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.directory) {
            tracing::error!(%error, "a root file system that no image has could not be removed");
        }
    }
}

/// Whether somebody makes a root file system, or removes some. It goes from thread to thread, as no guard of a mutex does.
#[derive(Debug, Default)]
struct Turn {
    taken: Mutex<bool>,
    free: Condvar,
}

#[derive(Debug)]
struct Taken(Arc<Turn>);

impl Taken {
    fn wait_for(turn: &Arc<Turn>) -> Taken {
        let free = turn.free.wait_while(turn.lock(), |taken| *taken);
        *free.unwrap_or_else(PoisonError::into_inner) = true;
        Taken(Arc::clone(turn))
    }

    fn at_once(turn: &Arc<Turn>) -> Option<Taken> {
        let mut taken = turn.lock();
        if *taken {
            return None;
        }
        *taken = true;
        Some(Taken(Arc::clone(turn)))
    }
}

impl Turn {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        *self.0.lock() = false;
        self.0.free.notify_one();
    }
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> ImageError {
    move |source| ImageError::Unreadable { path: path.to_owned(), source }
}

fn kept(path: &Path) -> impl Fn(io::Error) -> ImageError {
    move |source| ImageError::Keep { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
