//! Durable state: every region in one SQLite file, `state.db`.
//!
//! The durable form is a log of the [`Change`](model::Change)s that were made, over a snapshot of each region.
//! One thread writes: it takes all requests that wait, applies each, writes what they changed in one SQLite
//! transaction, and answers when that is on disk. So an answer is never given for what a crash can undo, and
//! many callers share the wait for one disk flush.

mod error;
mod file;
mod transaction;
mod watch;
mod working;
mod writer;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use model::{Quotas, Region, RegionKey};
use serde_json::Value;

pub use self::error::{CommitError, Damage, StoreError};
pub use self::transaction::{ClientToken, Transaction};
pub use self::watch::{Watch, Woken};

use self::file::StateFile;
use self::watch::Generation;
use self::writer::{Answer, Job, Writer};

/// What can be chosen about a [`Store`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many entries the log may have before snapshots take their place: a restart replays at most about so
    /// many.
    pub snapshot_after: usize,
    /// For how long the answer to a client token is kept.
    pub tokens_last: Duration,
    /// What there can be in a region that is written to for the first time. It keeps them.
    pub quotas: Quotas,
}

/// The regions of all accounts, on disk. Dropping it waits for requests under way and folds the log into
/// snapshots; being killed instead loses nothing, and makes the next start replay the log.
#[derive(Debug)]
pub struct Store {
    /// None only while it is dropped: the writer ends when nobody can ask any more.
    jobs: Option<Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    committed: Arc<Committed>,
    generation: Arc<Generation>,
    /// Those of a new region.
    quotas: Quotas,
}

/// The last committed state of each region.
type Committed = RwLock<BTreeMap<RegionKey, Arc<Region>>>;

impl Store {
    /// Opens the state that the directory `dir` holds, or begins it. The directory must exist; the file in it is
    /// made readable by its owner only.
    ///
    /// # Errors
    /// One variant for each thing that can be wrong with the directory or the file; see [`StoreError`]. Nothing
    /// is changed then.
    pub fn open(dir: &Path, options: Options) -> Result<Store, StoreError> {
        let (file, loaded) = StateFile::open(dir)?;
        let committed = Arc::new(RwLock::new(loaded.regions));
        let generation = Arc::new(Generation::default());
        let quotas = options.quotas.clone();
        let (jobs, queue) = channel();
        let writer =
            Writer::new(file, options, loaded.logged, Arc::clone(&committed), Arc::clone(&generation));
        let writer = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(|error| StoreError::Thread(Arc::new(error)))?;
        Ok(Store { jobs: Some(jobs), writer: Some(writer), committed, generation, quotas })
    }

    /// Which regions there are: those that anything was ever written to.
    pub fn regions(&self) -> Vec<RegionKey> {
        self.committed.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// The last committed state of a region; an empty one if nothing was ever written to it. It never waits for
    /// the disk, and what it gives does not change.
    pub fn region(&self, key: &RegionKey) -> Arc<Region> {
        let region = self.committed.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        region.unwrap_or_else(|| Arc::new(Region::with_quotas(key.clone(), 0, self.quotas.clone())))
    }

    /// Makes changes to one region, all or none, and returns when they are on disk. The store's [`region`] shows
    /// them by then. `change` runs on the writer's thread, so it should only decide and apply, and cannot commit
    /// itself.
    ///
    /// A panic in `change` changes nothing, and goes on in the caller.
    ///
    /// [`region`]: Store::region
    ///
    /// # Errors
    /// [`CommitError::Refused`] with what `change` refused, or [`CommitError::Store`]. Nothing has changed then.
    pub fn commit<R, E>(
        &self,
        key: &RegionKey,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<R, E> + Send + 'static,
    ) -> Result<R, CommitError<E>>
    where
        R: Send + 'static,
        E: Send + 'static,
    {
        let (sender, receiver) = sync_channel(1);
        let work = Box::new(move |transaction: &mut Transaction<'_>| {
            // The working copy of a change that panicked is thrown away.
            let result = catch_unwind(AssertUnwindSafe(|| change(transaction)));
            let accepted = matches!(result, Ok(Ok(_)));
            let answer: Answer = Box::new(move |disk| {
                // Nobody waits any more only if the caller's thread is gone.
                let _ = sender.send(disk.map(|()| result));
            });
            (accepted, answer)
        });
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.send(Job { key: key.clone(), work }).map_err(|_| StoreError::Closed)?;
        match receiver.recv().map_err(|_| StoreError::Closed)?? {
            Ok(result) => result.map_err(CommitError::Refused),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// [`commit`](Store::commit), at most once for each client token: asked again with the same token and
    /// parameters, it gives the answer of the first time and changes nothing. A refused request leaves its token
    /// unused (EC2 API Reference, "Ensuring idempotency in Amazon EC2 API requests").
    ///
    /// # Errors
    /// Those of [`commit`](Store::commit), and [`CommitError::IdempotentParameterMismatch`] if the token came
    /// with other parameters before.
    pub fn commit_once<E: Send + 'static>(
        &self,
        key: &RegionKey,
        token: ClientToken,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<Value, E> + Send + 'static,
    ) -> Result<Value, CommitError<E>> {
        let once = self.commit(key, move |transaction| {
            if let Some(answer) = transaction.answered(&token)? {
                return answer.ok_or(CommitError::IdempotentParameterMismatch);
            }
            let answer = change(transaction).map_err(CommitError::Refused)?;
            transaction.remember(token, answer.clone());
            Ok(answer)
        });
        once.map_err(|error| match error {
            CommitError::Refused(refused) => refused,
            CommitError::IdempotentParameterMismatch => CommitError::IdempotentParameterMismatch,
            CommitError::Store(error) => CommitError::Store(error),
        })
    }

    /// Tells when something has changed, in any region.
    pub fn watch(&self) -> Watch {
        Watch::new(Arc::clone(&self.generation))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer has panicked");
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        let tokens_last = Duration::from_secs(24 * 60 * 60);
        Options { snapshot_after: 1000, tokens_last, quotas: Quotas::default() }
    }
}
