//! What images are made of.

use std::fmt;
use std::io;
use std::path::Path;

use model::ImageId;

/// Whoever runs machines for instances, and keeps the root file systems of images for them. Those that no image has and
/// no instance runs are removed by nobody but them.
pub trait RootFileSystems: Send + Sync {
    /// Makes a root file system of what is at `location` on the machine. It is on disk when this returns, and gone with
    /// the last who has it, unless it is kept.
    ///
    /// # Errors
    /// [`NoRootFileSystem`]
    fn unpack(&self, location: &Path) -> Result<Box<dyn RootFileSystem>, NoRootFileSystem>;
}

/// A root file system that no image has yet.
pub trait RootFileSystem: Send + Sync {
    /// Makes it that of an image, for good.
    ///
    /// # Errors
    /// It cannot be kept.
    fn keep_as(&self, image: ImageId) -> io::Result<()>;
}

/// Why there is no root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoRootFileSystem {
    /// None can be made of what is there: a sentence.
    Unfit(String),
    /// None can be kept: what went wrong.
    NotKept(String),
}

impl fmt::Debug for dyn RootFileSystems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootFileSystems")
    }
}
