//! What can go wrong with the store.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use model::{Fault, RegionKey};
use rusqlite::ffi;

/// Why there is no store, or nothing was stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The directory is missing, or is none.
    #[error("the state directory {path} cannot be used: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// The state is another daemon's as long as that runs.
    #[error("another daemon is using the state directory {0}")]
    Locked(PathBuf),
    /// The directory or a file in it cannot be written.
    #[error("{path} cannot be written: {source}")]
    NotWritable {
        /// The directory or file.
        path: PathBuf,
        /// What the system or SQLite says.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The file is something else.
    #[error("{0} is not a state file of Ringwall")]
    NotAStateFile(PathBuf),
    /// The file was written by a newer version of Ringwall.
    #[error(
        "the state file {path} has schema version {found}, and this version of Ringwall knows up to {known}: it \
         was written by a newer one"
    )]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// The file does not hold what was written to it.
    #[error("the state file {path} is damaged: {damage}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// How that shows.
        damage: Box<Damage>,
    },
    /// There is no space on the disk. Writing works again when there is.
    #[error("no space is left on the disk for {0}")]
    Full(PathBuf),
    /// The disk refuses to read or write.
    #[error("{path} cannot be read or written: {source}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: Arc<rusqlite::Error>,
    },
    /// A change that was made a moment ago is refused when it is made again.
    #[error("the same changes do not have the same outcome: {0}")]
    NotDeterministic(#[source] Fault),
    /// A change or an answer has no JSON form.
    #[error("what is to be stored has no JSON form: {0}")]
    Encode(#[source] Arc<serde_json::Error>),
    /// The writer's thread could not be started.
    #[error("no thread for the store: {0}")]
    Thread(#[source] Arc<io::Error>),
    /// The store takes no requests any more.
    #[error("the store is closed")]
    Closed,
}

/// How it shows that a state file is damaged.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Damage {
    /// SQLite refuses it.
    #[error("{0}")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    /// SQLite's check of the whole file finds fault with it.
    #[error("{0}")]
    Check(String),
    /// The snapshot of a region cannot be read.
    #[error("the snapshot of region {region} cannot be read: {source}")]
    Snapshot {
        /// The region.
        region: RegionKey,
        /// What is wrong with it.
        source: Arc<serde_json::Error>,
    },
    /// An entry of the log cannot be read.
    #[error("entry {entry} of the log cannot be read: {source}")]
    Entry {
        /// The entry's number.
        entry: i64,
        /// What is wrong with it.
        source: Arc<serde_json::Error>,
    },
    /// An entry of the log is of a region without a snapshot.
    #[error("entry {entry} of the log is of region {region}, which has no snapshot")]
    Stray {
        /// The entry's number.
        entry: i64,
        /// The region.
        region: RegionKey,
    },
    /// The answer to a client token cannot be read.
    #[error("the answer to a client token cannot be read: {source}")]
    Answer {
        /// What is wrong with it.
        source: Arc<serde_json::Error>,
    },
    /// A document that is kept with a region cannot be read.
    #[error("a document cannot be read: {source}")]
    Document {
        /// What is wrong with it.
        source: Arc<serde_json::Error>,
    },
    /// A change that was made once is refused when it is made again.
    #[error("entry {entry} of the log does not follow from what is before it: {fault}")]
    Refused {
        /// The entry's number.
        entry: i64,
        /// The refusal.
        fault: Fault,
    },
    /// Something else came of a change when it was made again.
    #[error("entry {entry} of the log does not follow from what is before it: something else comes of it")]
    Diverged {
        /// The entry's number.
        entry: i64,
    },
}

/// Why nothing was committed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError<E = Fault> {
    /// The request was refused.
    #[error("{0}")]
    Refused(E),
    /// EC2's IdempotentParameterMismatch: the client token came with other parameters before.
    #[error("the client token was used before with other parameters")]
    IdempotentParameterMismatch,
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StoreError {
    /// By what SQLite says of the file.
    pub(super) fn sqlite(path: PathBuf, error: rusqlite::Error) -> StoreError {
        let source = Arc::new(error);
        let Some(failure) = source.sqlite_error() else { return StoreError::Disk { path, source } };
        match (failure.extended_code & 0xff, failure.extended_code) {
            // The second: no room for the index of the write-ahead log.
            (ffi::SQLITE_FULL, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full(path),
            (ffi::SQLITE_READONLY | ffi::SQLITE_PERM | ffi::SQLITE_CANTOPEN, _) => {
                StoreError::NotWritable { path, source }
            }
            (ffi::SQLITE_NOTADB, _) => StoreError::NotAStateFile(path),
            (ffi::SQLITE_CORRUPT, _) => {
                StoreError::Corrupt { path, damage: Box::new(Damage::Sqlite(source)) }
            }
            _ => StoreError::Disk { path, source },
        }
    }
}
