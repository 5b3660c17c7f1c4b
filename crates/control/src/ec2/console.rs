//! What the machines behind instances have written.

use std::fmt;
use std::io;
use std::time::SystemTime;

use model::InstanceId;

/// Whoever runs machines for instances, and keeps what they write.
pub trait Consoles: Send + Sync {
    /// The last of what an instance has written, at most so many bytes. None if it never ran.
    ///
    /// # Errors
    /// It cannot be read.
    fn console(&self, instance: InstanceId, most: u64) -> io::Result<Option<Console>>;
}

impl fmt::Debug for dyn Consoles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Consoles")
    }
}

/// What an instance has written on its console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Console {
    /// The end of it.
    pub output: Vec<u8>,
    /// When it wrote last.
    pub written: SystemTime,
}
