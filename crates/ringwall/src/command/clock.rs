//! `ringwall clock`: what a lab's clock shows, and changing it.

use std::time::Duration;

use super::lab::refused;
use crate::flags::{ClockCommand, ClockFlags};
use crate::labs::LabDir;
use crate::protocol::{Answer, ClockChange, ClockStatus, Conversation, Request};
use crate::{Failure, Outcome, show};

/// The units of time, in milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Changes the clock and shows it.
pub(crate) fn clock(flags: &ClockFlags) -> Outcome {
    let dir = LabDir::find(flags.lab.as_deref())?;
    let change = match flags.command {
        None => ClockChange::None,
        Some(ClockCommand::Advance { by }) => ClockChange::Advance(by),
        Some(ClockCommand::Rate { rate }) => ClockChange::Rate(rate),
    };
    let status = ask(&dir, change)?;
    if flags.json {
        show::json(&status)?
    } else {
        show::clock(&status)?
    }
    Ok(0)
}

/// Has a lab's daemon change its clock.
pub(super) fn ask(dir: &LabDir, change: ClockChange) -> Result<ClockStatus, Failure> {
    match Conversation::open(&dir.socket())?.ask(&Request::Clock(change))? {
        Answer::Clock(status) => Ok(status),
        other => Err(refused(other)),
    }
}

/// Reads a span of time: a whole number and a unit.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let milliseconds = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, milliseconds)| milliseconds);
    match (number.parse::<u64>(), milliseconds) {
        (Ok(number), Some(unit)) => number
            .checked_mul(*unit)
            .map(Duration::from_millis)
            .ok_or_else(|| format!("`{text}` is longer than anything lasts")),
        _ => Err("a whole number with its unit is expected, such as 350s, 1500ms, 5m, 2h, 1d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_number_and_a_unit() {
        for (text, milliseconds) in [
            ("350s", 350_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("15ms", 15),
            ("1d", 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "350", "s", "-5s", "+5s", "1.5h", "5 m", "5M", "1h30m", "99999999999999999999s"] {
            assert!(duration(text).unwrap_err().contains("350s"), "{text}");
        }
        assert!(duration("18446744073709551615d").unwrap_err().contains("longer"));
    }
}
