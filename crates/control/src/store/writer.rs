//! The thread that writes.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use model::{Region, RegionKey};

use super::error::StoreError;
use super::file::StateFile;
use super::transaction::{Done, Transaction};
use super::watch::Generation;
use super::working::{Spare, Working};
use super::{Committed, Options};

/// How many requests share one flush at most: the first of them waits for the last.
const BATCH: usize = 256;

/// A request.
pub(super) struct Job {
    /// Of which region.
    pub(super) key: RegionKey,
    /// What it does, and whether that is to be kept; and how it is answered.
    pub(super) work: Work,
}

pub(super) type Work = Box<dyn FnOnce(&mut Transaction<'_>) -> (bool, Answer) + Send>;

/// Ends the caller's wait, by how the disk took it.
pub(super) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// All that the writing thread has.
pub(super) struct Writer {
    file: StateFile,
    options: Options,
    /// The log's entries of each region that has any.
    logged: BTreeMap<RegionKey, usize>,
    spares: BTreeMap<RegionKey, Spare>,
    committed: Arc<Committed>,
    generation: Arc<Generation>,
}

/// The regions that a transaction is not about, as they are at its turn.
#[derive(Debug)]
pub(super) struct Others<'a> {
    /// Those that this batch may have changed.
    batch: &'a BTreeMap<RegionKey, Working>,
    committed: &'a Committed,
}

impl Others<'_> {
    pub(super) fn each(&self, own: &RegionKey, mut look: impl FnMut(&Region)) {
        self.batch.values().for_each(|working| look(&working.region));
        let committed = self.committed.read().unwrap_or_else(PoisonError::into_inner);
        for (key, region) in committed.iter() {
            if key != own && !self.batch.contains_key(key) {
                look(region);
            }
        }
    }
}

impl Writer {
    pub(super) fn new(
        file: StateFile,
        options: Options,
        logged: BTreeMap<RegionKey, usize>,
        committed: Arc<Committed>,
        generation: Arc<Generation>,
    ) -> Writer {
        Writer { file, options, logged, spares: BTreeMap::new(), committed, generation }
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(job) = queue.recv() {
            let mut jobs = VecDeque::from([job]);
            jobs.extend(queue.try_iter().take(BATCH - 1));
            while !jobs.is_empty() {
                self.batch(&mut jobs);
            }
            if self.logged.values().sum::<usize>() >= self.options.snapshot_after {
                self.fold();
            }
        }
        self.fold();
    }

    /// Does requests until there are no more, or the disk fails: then none of those is done, and the others are
    /// for the next batch. Answers come last: even a refusal may rest on what another request of the batch did.
    fn batch(&mut self, jobs: &mut VecDeque<Job>) {
        let now = now();
        let mut working = BTreeMap::new();
        let mut answers = Vec::new();
        let mut outcome = Ok(());
        while outcome.is_ok()
            && let Some(job) = jobs.pop_front()
        {
            let mut region = working.remove(&job.key).unwrap_or_else(|| self.working(job.key.clone()));
            let (done, answer) = self.work(&mut region, &working, job.work, now);
            working.insert(job.key, region);
            outcome = done;
            answers.push(answer);
        }
        let outcome = outcome.and_then(|()| self.file.commit());
        match &outcome {
            Ok(()) => self.publish(working),
            Err(error) => {
                tracing::warn!(%error, requests = answers.len(), "not stored");
                self.file.roll_back();
            }
        }
        for answer in answers {
            answer(outcome.clone());
        }
    }

    fn working(&mut self, key: RegionKey) -> Working {
        let spare = self.spares.remove(&key);
        let committed = self.committed.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let new = committed.is_none();
        let base = committed
            .unwrap_or_else(|| Arc::new(Region::with_quotas(key, seed(), self.options.quotas.clone())));
        Working::new(base, new, spare)
    }

    fn work(
        &self,
        working: &mut Working,
        batch: &BTreeMap<RegionKey, Working>,
        work: Work,
        now: i64,
    ) -> (Result<(), StoreError>, Answer) {
        let others = Others { batch, committed: &self.committed };
        let mut transaction = Transaction::new(&mut working.region, others, &self.file, now);
        let (accepted, answer) = work(&mut transaction);
        let done = transaction.into_done();
        let outcome = if accepted {
            self.write(working, done, now)
        } else if done.changes.is_empty() {
            Ok(())
        } else {
            working.restore()
        };
        (outcome, answer)
    }

    fn write(&self, working: &mut Working, done: Done, now: i64) -> Result<(), StoreError> {
        if let Some((token, answer)) = &done.answer {
            self.file.begin()?;
            let expires = now.saturating_add_unsigned(self.options.tokens_last.as_secs());
            self.file.put_answer(working.region.key(), token, answer, expires)?;
        }
        for (name, document) in &done.documents {
            self.file.begin()?;
            self.file.put_document(working.region.key(), name, document.as_ref())?;
        }
        if !done.changes.is_empty() {
            self.file.begin()?;
            if working.new && working.entries == 0 {
                self.file.put_region(&working.base)?;
            }
            self.file.append(&working.region, &done)?;
            working.changes.extend(done.changes);
            working.entries += 1;
        }
        Ok(())
    }

    /// Shows what is on disk now.
    fn publish(&mut self, working: BTreeMap<RegionKey, Working>) {
        let mut changed = false;
        let mut committed = self.committed.write().unwrap_or_else(PoisonError::into_inner);
        for (key, working) in working {
            if working.entries > 0 {
                *self.logged.entry(key.clone()).or_default() += working.entries;
                let (region, spare) = working.finish();
                committed.insert(key.clone(), region);
                self.spares.insert(key, spare);
                changed = true;
            } else if !working.new {
                self.spares.insert(key, working.unchanged());
            }
        }
        drop(committed);
        if changed {
            self.generation.advance();
        }
    }

    /// Puts snapshots in the place of the log. The log is as good, only longer, so failing is no harm; it is tried
    /// again when the log has grown as much again.
    fn fold(&mut self) {
        if self.logged.is_empty() {
            return;
        }
        let committed = self.committed.read().unwrap_or_else(PoisonError::into_inner).clone();
        let regions = self.logged.keys().filter_map(|key| committed.get(key)).map(Arc::as_ref);
        match self.file.fold(regions, now()) {
            Ok(()) => self.logged.clear(),
            Err(error) => {
                tracing::warn!(%error, "no snapshot");
                self.logged.values_mut().for_each(|entries| *entries = 0);
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.generation.close();
    }
}

/// A number unlike that of any other region: that of Rust's hash maps, which are seeded by the system.
fn seed() -> u64 {
    RandomState::new().hash_one("region")
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().try_into().unwrap_or(i64::MAX)
}
