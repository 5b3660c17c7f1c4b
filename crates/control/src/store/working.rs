//! A region's copy that requests are tried on.

use std::sync::Arc;

use model::{Change, Region};

use super::error::StoreError;

/// A region while a batch is made.
#[derive(Debug)]
pub(super) struct Working {
    /// Without any change of this batch.
    pub(super) base: Arc<Region>,
    /// Whether the file does not have it yet.
    pub(super) new: bool,
    /// With all accepted changes of this batch.
    pub(super) region: Region,
    /// The accepted changes.
    pub(super) changes: Vec<Change>,
    /// How many entries of the log they are in.
    pub(super) entries: usize,
}

/// The state before the last commit, and what was changed then: caught up, it is the next working copy. Copying a
/// region of thousands of resources for each commit takes longer than the disk does.
pub(super) struct Spare {
    region: Arc<Region>,
    missing: Vec<Change>,
}

impl Working {
    pub(super) fn new(base: Arc<Region>, new: bool, spare: Option<Spare>) -> Working {
        let region = spare.and_then(|spare| spare.caught_up(&base));
        let region = region.unwrap_or_else(|| Region::clone(&base));
        Working { base, new, region, changes: Vec::new(), entries: 0 }
    }

    /// Undoes the changes of a request that was refused after it had made some.
    pub(super) fn restore(&mut self) -> Result<(), StoreError> {
        self.region = Region::clone(&self.base);
        for change in &self.changes {
            self.region.apply(change.clone()).map_err(StoreError::NotDeterministic)?;
        }
        Ok(())
    }

    /// For the next batch, if this one has changed nothing.
    pub(super) fn unchanged(self) -> Spare {
        Spare { region: Arc::new(self.region), missing: Vec::new() }
    }

    /// The new state, and the old one for the next batch.
    pub(super) fn finish(self) -> (Arc<Region>, Spare) {
        (Arc::new(self.region), Spare { region: self.base, missing: self.changes })
    }
}

impl Spare {
    /// None if somebody still reads the old state.
    fn caught_up(self, base: &Region) -> Option<Region> {
        let mut region = Arc::into_inner(self.region)?;
        for change in self.missing {
            region.apply(change).ok()?;
        }
        debug_assert!(region == *base, "a region's changes have another outcome the second time");
        Some(region)
    }
}
