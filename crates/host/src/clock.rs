//! The clock that idle times and waiting run by: real time, which can be run faster, stopped, and set forward.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::Time;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The last moment that a clock can be set to, in nanoseconds: some 292 years after the machine's start. Beyond it
/// deadlines could not be told from each other.
const LAST: u64 = u64::MAX / 2;

/// A clock that never runs back.
#[derive(Debug)]
pub struct Clock {
    course: Mutex<Course>,
}

/// How many seconds pass on a clock in a second: from 0, where it stands still, to 3600.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Rate(u32);

/// What a clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What has passed on it since it was made.
    pub elapsed: Duration,
    /// What has really passed since.
    pub real: Duration,
    /// How fast it runs.
    pub rate: Rate,
}

/// Something that is no [`Rate`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no rate: a whole number from 0 (the clock stands still) to 3600 (an hour a second)")]
pub struct BadRate(String);

/// A clock cannot be set forward so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the clock cannot be set more than some 290 years ahead")]
pub struct TooFar;

impl Clock {
    /// A clock that shows the time since the machine's start, and runs at `rate` from now on.
    pub fn new(rate: Rate) -> Clock {
        let real = monotonic();
        Clock { course: Mutex::new(Course { made: real, since: real, shown: real, rate, begun: real }) }
    }

    /// The moment that it shows.
    pub fn now(&self) -> Time {
        Time(self.course().at(monotonic()))
    }

    /// Sets it forward.
    ///
    /// # Errors
    /// [`TooFar`]; then it goes on as before.
    pub fn advance(&self, by: Duration) -> Result<(), TooFar> {
        self.course().advance(monotonic(), by)
    }

    /// Has it run at another rate from now on.
    pub fn set_rate(&self, rate: Rate) {
        self.course().set_rate(monotonic(), rate);
    }

    /// What it shows, beside what has really passed.
    pub fn reading(&self) -> Reading {
        self.course().reading(monotonic())
    }

    /// How long it really takes until it shows `moment`, if it goes on as it does; none if it stands still.
    pub fn real_until(&self, moment: Time) -> Option<Duration> {
        self.course().real_until(monotonic(), moment.0)
    }

    /// A thread that panicked has left it whole: every change is one assignment.
    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rate {
    /// As real time runs.
    pub const REAL: Rate = Rate(1);
    /// The fastest.
    const MOST: u32 = 3600;
}

impl TryFrom<u32> for Rate {
    type Error = BadRate;

    fn try_from(rate: u32) -> Result<Rate, BadRate> {
        if rate <= Rate::MOST { Ok(Rate(rate)) } else { Err(BadRate(rate.to_string())) }
    }
}

impl From<Rate> for u32 {
    fn from(rate: Rate) -> u32 {
        rate.0
    }
}

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Rate, BadRate> {
        let rate: u32 = text.parse().map_err(|_| BadRate(text.to_owned()))?;
        Rate::try_from(rate).map_err(|_| BadRate(text.to_owned()))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A clock's course since its last change, in nanoseconds of real time and of its own.
#[derive(Debug, Clone, Copy)]
struct Course {
    /// When it was made, and what it showed then.
    made: u64,
    begun: u64,
    /// When it was changed last, and what it showed then.
    since: u64,
    shown: u64,
    rate: Rate,
}

impl Course {
    fn at(&self, real: u64) -> u64 {
        let passed = real.saturating_sub(self.since).saturating_mul(u64::from(self.rate.0));
        self.shown.saturating_add(passed)
    }

    fn advance(&mut self, real: u64, by: Duration) -> Result<(), TooFar> {
        let by = u64::try_from(by.as_nanos()).map_err(|_| TooFar)?;
        let shown = self.at(real).checked_add(by).filter(|shown| *shown <= LAST).ok_or(TooFar)?;
        *self = Course { since: real.max(self.since), shown, ..*self };
        Ok(())
    }

    fn set_rate(&mut self, real: u64, rate: Rate) {
        *self = Course { since: real.max(self.since), shown: self.at(real), rate, ..*self };
    }

    fn reading(&self, real: u64) -> Reading {
        Reading {
            elapsed: Duration::from_nanos(self.at(real) - self.begun),
            real: Duration::from_nanos(real.saturating_sub(self.made)),
            rate: self.rate,
        }
    }

    fn real_until(&self, real: u64, moment: u64) -> Option<Duration> {
        let left = moment.saturating_sub(self.at(real));
        match u64::from(self.rate.0) {
            _ if left == 0 => Some(Duration::ZERO),
            0 => None,
            rate => Some(Duration::from_nanos(left.div_ceil(rate))),
        }
    }
}

fn monotonic() -> u64 {
    let clock = clock_gettime(ClockId::Monotonic);
    // The monotonic clock starts at boot and does not run backwards: both parts are never negative.
    clock.tv_sec.unsigned_abs() * 1_000_000_000 + clock.tv_nsec.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn course() -> Course {
        Course { made: 7, begun: 7, since: 7, shown: 7, rate: Rate::REAL }
    }

    fn rate(rate: u32) -> Rate {
        Rate::try_from(rate).unwrap()
    }

    #[test]
    fn what_passes_is_what_really_passes_times_the_rate_and_what_it_was_set_forward() {
        let mut course = course();
        assert_eq!(course.at(7 + SECOND), 7 + SECOND);
        course.set_rate(7 + SECOND, rate(60));
        course.advance(7 + 2 * SECOND, Duration::from_secs(350)).unwrap();
        course.set_rate(7 + 2 * SECOND, rate(0));
        assert_eq!(course.at(7 + 9 * SECOND), 7 + (1 + 60 + 350) * SECOND);
        let reading = course.reading(7 + 9 * SECOND);
        assert_eq!((reading.elapsed.as_secs(), reading.real.as_secs(), reading.rate), (411, 9, rate(0)));
    }

    #[test]
    fn it_never_runs_back_whatever_is_done_to_it() {
        // A small deterministic walk over all that can be done, real time standing still now and then.
        let (mut course, mut real, mut last, mut expected) = (course(), 7, 7, 7);
        let mut seed = 1_u64;
        for _ in 0..10_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let amount = seed >> 40;
            match (seed >> 33) % 4 {
                0 => course.set_rate(real, rate(u32::try_from(amount % 3601).unwrap())),
                1 => {
                    course.advance(real, Duration::from_nanos(amount)).unwrap();
                    expected += amount;
                }
                2 => {
                    real += amount;
                    expected += amount * u64::from(course.rate.0);
                }
                _ => {}
            }
            assert!(course.at(real) >= last);
            last = course.at(real);
            assert_eq!(last, expected);
        }
    }

    #[test]
    fn a_moment_comes_when_it_was_foretold() {
        let mut course = course();
        course.set_rate(7, rate(60));
        let moment = 7 + 100 * SECOND + 1;
        let wait = u64::try_from(course.real_until(7, moment).unwrap().as_nanos()).unwrap();
        assert!(course.at(7 + wait) >= moment && course.at(7 + wait - 1) < moment);
        assert_eq!(course.real_until(7 + wait, moment), Some(Duration::ZERO));
        course.set_rate(7, rate(0));
        assert_eq!((course.real_until(7, moment), course.real_until(7, 7)), (None, Some(Duration::ZERO)));
    }

    #[test]
    fn too_far_is_refused_and_changes_nothing() {
        let mut course = course();
        let before = course.at(9);
        for by in [Duration::MAX, Duration::from_nanos(LAST), Duration::from_nanos(u64::MAX)] {
            assert_eq!(course.advance(9, by), Err(TooFar));
        }
        assert_eq!(course.at(9), before);
        course.advance(9, Duration::from_nanos(LAST - before)).unwrap();
        assert_eq!(course.at(9), LAST);
    }

    #[test]
    fn rates_are_whole_numbers_within_bounds() {
        assert_eq!("60".parse(), Ok(rate(60)));
        assert_eq!(["0", "3600"].map(|text| text.parse::<Rate>().is_ok()), [true, true]);
        for text in ["-1", "3601", "1.5", "fast", "", "4294967296"] {
            assert_eq!(text.parse::<Rate>(), Err(BadRate(text.to_owned())));
        }
        assert!(serde_json::from_str::<Rate>("3601").is_err());
    }
}
