//! How many records share something.

use std::collections::HashMap;
use std::hash::Hash;

use ahash::RandomState;

/// A count for each key; a key that nothing shares any more takes no memory.
#[derive(Debug, Clone)]
pub(super) struct Tally<K> {
    counts: HashMap<K, u32, RandomState>,
}

impl<K: Eq + Hash> Tally<K> {
    pub(super) fn new(hasher: RandomState) -> Tally<K> {
        Tally { counts: HashMap::with_hasher(hasher) }
    }

    pub(super) fn count(&self, key: &K) -> u32 {
        self.counts.get(key).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, key: K) {
        *self.counts.entry(key).or_default() += 1;
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some(count) = self.counts.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(key);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn total(&self) -> usize {
        self.counts.values().map(|&count| count as usize).sum()
    }
}
