//! Waiting for a change of any region.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tells that something has changed since it was last asked, not what: whoever is woken looks at the whole state.
/// So nothing is missed by coming late, and many changes in between wake once.
#[derive(Debug)]
pub struct Watch {
    generation: Arc<Generation>,
    seen: u64,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Something has changed since the last time.
    Changed,
    /// Nothing has, for as long as was asked.
    TimedOut,
    /// The store is closed: nothing will.
    Closed,
}

/// Counts commits.
#[derive(Debug, Default)]
pub(super) struct Generation {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    closed: bool,
}

impl Watch {
    /// What was committed before is not seen as a change.
    pub(super) fn new(generation: Arc<Generation>) -> Watch {
        let seen = generation.lock().count;
        Watch { generation, seen }
    }

    /// Waits until something has changed since the last [`Woken::Changed`] (at first: since the watch was made),
    /// but no longer than `limit`.
    pub fn wait(&mut self, limit: Duration) -> Woken {
        let unchanged = |state: &mut State| state.count == self.seen && !state.closed;
        let state = self.generation.lock();
        let waited = self.generation.moved.wait_timeout_while(state, limit, unchanged);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.count != self.seen {
            self.seen = state.count;
            Woken::Changed
        } else if state.closed {
            Woken::Closed
        } else {
            Woken::TimedOut
        }
    }
}

impl Generation {
    pub(super) fn advance(&self) {
        self.lock().count += 1;
        self.moved.notify_all();
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.moved.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_once_for_what_has_happened() {
        let generation = Arc::new(Generation::default());
        generation.advance();
        let mut watch = Watch::new(Arc::clone(&generation));
        assert_eq!(watch.wait(Duration::ZERO), Woken::TimedOut);
        generation.advance();
        generation.advance();
        assert_eq!(watch.wait(Duration::ZERO), Woken::Changed);
        assert_eq!(watch.wait(Duration::ZERO), Woken::TimedOut);

        let waiting = std::thread::spawn(move || (watch.wait(Duration::from_secs(60)), watch));
        generation.advance();
        let (woken, mut watch) = waiting.join().unwrap();
        assert_eq!(woken, Woken::Changed);

        generation.advance();
        generation.close();
        assert_eq!(watch.wait(Duration::from_secs(60)), Woken::Changed);
        assert_eq!(watch.wait(Duration::from_secs(60)), Woken::Closed);
    }
}
