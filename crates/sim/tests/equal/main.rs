//! The decisive test: on any topology, with any rules, whatever is sent in whatever order, the engine does what the
//! reference model does, to the byte; its explanation says the same; what is dropped leaves nothing behind; and a cache
//! of verdicts changes nothing.
//!
//! 100,000 packets by default; `RINGWALL_SIM_PACKETS` asks for more. A failure prints the least topology and packets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod judge;
mod skeleton;
mod topology;
mod traffic;

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use judge::Judge;

/// Steps of one case at most.
const STEPS: usize = 80;

#[test]
#[expect(clippy::disallowed_methods, reason = "a longer run is asked for from outside")]
fn the_engine_does_what_the_reference_model_does() {
    let packets =
        std::env::var("RINGWALL_SIM_PACKETS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    // Half as many steps on average, and some of them send nothing.
    let cases = packets / (STEPS as u32 * 3 / 10) + 1;
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    };
    let strategy = (
        proptest::collection::vec(topology::declaration(), 0..24),
        proptest::collection::vec(traffic::step(), 1..=STEPS),
    );
    let tally = Cell::new(judge::Tally::default());
    let outcome = TestRunner::new(config).run(&strategy, |(declarations, steps)| {
        let mut judge = Judge::new(&declarations);
        let outcome = steps.iter().try_for_each(|step| judge.step(step)).and_then(|()| judge.end());
        outcome.map_err(|words| TestCaseError::fail(format!("{words}\n\n{}", judge.story())))?;
        tally.set(tally.get().and(judge.tally()));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let judge::Tally { packets: sent, forwarded, answered, dropped, translated } = tally.get();
    println!(
        "{sent} packets: {forwarded} forwarded, {translated} of them by NAT gateways, {answered} answered, {dropped} dropped"
    );
    assert!(sent >= packets as usize);
    assert!([forwarded, answered * 100, dropped, translated * 5].iter().all(|&part| part > sent / 10));
}
