//! Times as the API writes them.

use std::time::{SystemTime, UNIX_EPOCH};

use model::DateTime;
use serde::{Serialize, Serializer};

/// Days from 1 March of the year 0, as if the Gregorian calendar had been there.
const FROM_MARCH_0000_TO_1970: u64 = 719_468;

/// A moment, in seconds since 1970. Serialised as ISO 8601 in UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timestamp(pub(super) u64);

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    // A clock before 1970 is as good as one that stands there.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Seconds since 1970 in ISO 8601's basic form: `20261123T093000Z`.
pub(super) fn basic(seconds: u64) -> String {
    format!("{}Z", DateTime(seconds)).replace(['-', ':'], "")
}

/// Seconds since 1970, from what [`basic`] writes and nothing else.
pub(super) fn parse_basic(text: &str) -> Option<u64> {
    let number = |at: std::ops::Range<usize>| text.get(at)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let (hour, minute, second) = (number(9..11)?, number(11..13)?, number(13..15)?);
    let seconds = days(year, month, day)? * 86400 + hour * 3600 + minute * 60 + second;
    // So a thirtieth of February, a letter or a leap second is no time.
    (basic(seconds) == text).then_some(seconds)
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}.000Z", DateTime(self.0)))
    }
}

/// Days since 1970, from year, month and day of the Gregorian calendar. Years are counted from March, so that a leap
/// day is a year's last.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let from_march = (month + 9) % 12;
    let year = if from_march < 10 { year } else { year.checked_sub(1)? };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * from_march + 2) / 5 + day;
    days.checked_sub(FROM_MARCH_0000_TO_1970 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_there_and_back() {
        for seconds in (0..4_300_000_000).step_by(86_399 * 7) {
            assert_eq!(parse_basic(&basic(seconds)), Some(seconds));
        }
        assert_eq!(basic(951_827_696), "20000229T123456Z");
        for text in ["", "20260230T000000Z", "20260101T240000Z", "20260101T000060Z", "19691231T000000Z"] {
            assert_eq!(parse_basic(text), None, "{text}");
        }
        for text in
            ["20260101T000000", "20260101 000000Z", "+0260101T000000Z", "20260001T000000Z", "2026é101T0000"]
        {
            assert_eq!(parse_basic(text), None, "{text}");
        }
    }
}
