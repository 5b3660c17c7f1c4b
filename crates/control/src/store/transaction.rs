//! What one request does to a region.

use std::collections::BTreeMap;

use model::{Applied, Change, Fault, Region, RegionKey};
use serde_json::Value;

use super::error::StoreError;
use super::file::StateFile;
use super::writer::Others;

/// A client's name for one request, by which it can ask again without having it done twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientToken {
    /// The action: the same token may be used for another one.
    pub action: String,
    /// The token, as the client made it up.
    pub token: String,
    /// Stands for the request's other parameters: any text that is the same if they are, such as a hash.
    pub parameters: String,
}

/// A region's working copy, to decide on and to change. Nobody else sees it; it becomes the region's state once
/// it is on disk.
#[derive(Debug)]
pub struct Transaction<'a> {
    region: &'a mut Region,
    others: Others<'a>,
    file: &'a StateFile,
    /// Seconds since 1970.
    now: i64,
    done: Done,
}

/// What was done in a transaction.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// In order.
    pub(super) changes: Vec<Change>,
    /// What came of each.
    pub(super) applied: Vec<Applied>,
    /// The answer to be remembered.
    pub(super) answer: Option<(ClientToken, Value)>,
    /// What is to be kept with the region, by name; none is to be kept no longer.
    pub(super) documents: BTreeMap<String, Option<Value>>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(
        region: &'a mut Region,
        others: Others<'a>,
        file: &'a StateFile,
        now: i64,
    ) -> Transaction<'a> {
        Transaction { region, others, file, now, done: Done::default() }
    }

    /// The region with all changes so far.
    pub fn region(&self) -> &Region {
        self.region
    }

    /// Looks at all other regions. Nobody changes them before this transaction is over.
    pub fn each_other_region(&self, look: impl FnMut(&Region)) {
        self.others.each(self.key(), look);
    }

    /// Makes one change. Whoever goes on after a refusal has only what was not refused.
    ///
    /// # Errors
    /// The region's refusal.
    pub fn apply(&mut self, change: Change) -> Result<Applied, Fault> {
        let applied = self.region.apply(change.clone())?;
        self.done.changes.push(change);
        self.done.applied.push(applied.clone());
        Ok(applied)
    }

    /// When it is, in seconds since 1970, for what the changes say of it.
    pub fn time(&self) -> u64 {
        u64::try_from(self.now).unwrap_or_default()
    }

    /// What was kept with the region under this name, by this transaction or one before it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn document(&self, name: &str) -> Result<Option<Value>, StoreError> {
        match self.done.documents.get(name) {
            Some(own) => Ok(own.clone()),
            None => self.file.document(self.key(), name),
        }
    }

    /// Keeps a document with the region under this name, in the place of the one before, or none any more. It is on
    /// disk when the changes are, or neither is.
    pub fn keep(&mut self, name: &str, document: Option<Value>) {
        self.done.documents.insert(name.to_owned(), document);
    }

    /// What the token was answered before; inside, None if it came with other parameters.
    pub(super) fn answered(&self, token: &ClientToken) -> Result<Option<Option<Value>>, StoreError> {
        self.file.answered(self.key(), token, self.now)
    }

    /// Has `answer` be given when the token comes again.
    pub(super) fn remember(&mut self, token: ClientToken, answer: Value) {
        self.done.answer = Some((token, answer));
    }

    pub(super) fn into_done(self) -> Done {
        self.done
    }

    fn key(&self) -> &RegionKey {
        self.region.key()
    }
}
