//! What happens a while after something else, where that is long enough for a daemon to end meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine::Time;
use host::clock::Clock;

/// When things come of age on the daemon's clock. What has passed before this daemon saw a thing counts as real time
/// does: only that is written down.
pub(super) struct Ages<K> {
    due: BTreeMap<K, Time>,
}

impl<K> Default for Ages<K> {
    fn default() -> Self {
        Ages { due: BTreeMap::new() }
    }
}

impl<K: Ord> Ages<K> {
    /// Something begins now, and is to become `age` seconds old.
    pub(super) fn begin(&mut self, clock: &Clock, key: K, age: u64) {
        self.due.insert(key, clock.now().after(age));
    }

    /// Whether something that began at `since`, in seconds since 1970, is `age` seconds old.
    pub(super) fn reached(&mut self, clock: &Clock, key: K, since: u64, age: u64) -> bool {
        let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let left = age.saturating_sub(passed.saturating_sub(since));
        let now = clock.now();
        *self.due.entry(key).or_insert_with(|| now.after(left)) <= now
    }

    /// Forgets something that is no more.
    pub(super) fn forget(&mut self, key: &K) {
        self.due.remove(key);
    }

    /// How long it really takes until the next comes of age; none if nothing does.
    pub(super) fn next(&self, clock: &Clock) -> Option<Duration> {
        let now = clock.now();
        self.due.values().filter(|due| **due > now).min().and_then(|due| clock.real_until(*due))
    }
}

#[cfg(test)]
mod tests {
    use host::clock::Rate;

    use super::*;

    #[test]
    fn the_clock_and_the_time_before_count() {
        let clock = Clock::new(Rate::try_from(0).unwrap());
        let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut ages = Ages::default();
        // The wall clock may go on by a second between two lines.
        assert!(ages.reached(&clock, "old", today - 100, 100));
        assert!(!ages.reached(&clock, "young", today, 100));
        assert!(!ages.reached(&clock, "middle", today - 50, 100));
        assert_eq!(ages.next(&clock), None, "the clock stands still");
        clock.advance(Duration::from_secs(60)).unwrap();
        assert!(ages.reached(&clock, "middle", today - 50, 100));
        assert!(!ages.reached(&clock, "young", today, 100));
        clock.advance(Duration::from_secs(40)).unwrap();
        assert!(ages.reached(&clock, "young", today, 100) && ages.reached(&clock, "young", today, 100));
        ages.forget(&"young");
        assert!(!ages.reached(&clock, "young", today + 9, 100), "another one of that name");
    }

    #[test]
    fn an_advance_before_it_began_does_not_count() {
        let clock = Clock::new(Rate::REAL);
        clock.advance(Duration::from_secs(7200)).unwrap();
        let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut ages = Ages::default();
        assert!(!ages.reached(&clock, 1, today, 3600));
        assert!(ages.next(&clock).unwrap() > Duration::from_secs(3000));
        ages.begin(&clock, 2, 3600);
        clock.advance(Duration::from_secs(3600)).unwrap();
        assert!(ages.reached(&clock, 2, today, 3600));
    }
}
