//! Times as EC2 writes them.

use std::time::{SystemTime, UNIX_EPOCH};

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
    let (year, month, day) = date(seconds / 86400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
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

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (days, seconds) = (self.0 / 86400, self.0 % 86400);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Year, month and day of the Gregorian calendar, from days since 1970. Years are counted from March, so that a
/// leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days + FROM_MARCH_0000_TO_1970;
    let (eras, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let day_of_month = day - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (eras * 400 + year + u64::from(month <= 2), month, day_of_month)
}

/// Days since 1970, from year, month and day: the reverse of [`date`].
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

    #[test]
    fn iso_8601() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696, "2000-02-29T12:34:56.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_709_251_200, "2024-03-01T00:00:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (1_795_391_999, "2026-11-22T23:59:59.000Z"),
        ] {
            assert_eq!(Timestamp(seconds).to_string(), text);
        }
    }
}
