//! Lets others wait until the agent has looked at everything once more.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The agent's rounds, as far as somebody waits for them.
#[derive(Default)]
pub(super) struct Rounds {
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Default)]
struct State {
    /// How often a round was asked for.
    asked: u64,
    /// How many of these had been asked for when the last whole round began.
    done: u64,
}

impl Rounds {
    /// Asks for a round and waits for its end; false if that takes longer than `patience`.
    pub(super) fn await_one(&self, patience: Duration) -> bool {
        let mut state = self.state();
        state.asked += 1;
        let mine = state.asked;
        let waited = self.done.wait_timeout_while(state, patience, |state| state.done < mine);
        waited.unwrap_or_else(PoisonError::into_inner).0.done >= mine
    }

    /// Whether somebody waits for a round that has not begun.
    pub(super) fn are_asked_for(&self) -> bool {
        let state = self.state();
        state.asked > state.done
    }

    /// Does a round, for all who have asked until now.
    pub(super) fn during<T>(&self, round: impl FnOnce() -> T) -> T {
        let asked = self.state().asked;
        let result = round();
        self.state().done = asked;
        self.done.notify_all();
        result
    }

    /// A thread that panicked leaves whole numbers behind.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn who_asks_during_a_round_waits_for_the_next() {
        let rounds = Arc::new(Rounds::default());
        let asking = Arc::clone(&rounds);
        let asker = rounds.during(|| {
            let asker = thread::spawn(move || asking.await_one(LONG));
            while !rounds.are_asked_for() {
                thread::yield_now();
            }
            asker
        });
        assert!(rounds.are_asked_for(), "that round began too early");
        rounds.during(|| ());
        assert!(asker.join().unwrap());
        assert!(!rounds.are_asked_for());
    }

    #[test]
    fn patience_ends() {
        assert!(!Rounds::default().await_one(Duration::ZERO));
    }
}
