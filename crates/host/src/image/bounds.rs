//! How much an image may hold.

use super::ImageError;

/// Most bytes of all files. As much as fits beside other things on a disk of today, and less than fills it at once.
pub(super) const MOST_BYTES: u64 = 8 << 30;
/// Most files, directories and links: several times what a distribution with a desktop has.
pub(super) const MOST_FILES: u64 = 1_000_000;

/// How much more there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes: u64,
    pub(super) files: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { bytes: MOST_BYTES, files: MOST_FILES }
    }
}

impl Bounds {
    /// One more file of so many bytes.
    pub(super) fn take(&mut self, bytes: u64) -> Result<(), ImageError> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(ImageError::TooLarge)?;
        self.files = self.files.checked_sub(1).ok_or(ImageError::TooLarge)?;
        Ok(())
    }
}
