//! Whatever is asked of a region, in whatever order, its rules hold.

mod gateways;
mod prefixes;
mod rules;
mod steps;

use model::{AccountId, Applied, Change, Region, RegionKey, RegionName};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

const STEPS: usize = 300;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn rules_hold(steps in proptest::collection::vec(steps::step(), STEPS)) {
        let mut region = new_region();
        let (mut changes, mut refused) = (Vec::new(), 0);
        for step in steps::FIRST.into_iter().chain(gateways::FIRST).chain(steps) {
            let change = steps::change(&region, step);
            prop_assert_eq!(&stored::<Change>(&change), &change);
            changes.push(change.clone());
            let before = region.clone();
            match region.apply(change.clone()) {
                Ok(applied) => {
                    prop_assert!(region.generation() > before.generation());
                    prop_assert_eq!(&stored::<Applied>(&applied), &applied);
                    prefixes::choices_are_free(&before, &change, &applied)?;
                }
                Err(fault) => {
                    refused += 1;
                    prop_assert!(region == before, "{change:?} was refused ({fault}) and yet changed something");
                    prop_assert!(!fault.code().is_empty() && !fault.to_string().is_empty());
                }
            }
            rules::check(&region)?;
        }
        // Else the steps are too good or too bad to be worth anything.
        prop_assert!((10..STEPS - 30).contains(&refused), "{refused} of {STEPS} refused");

        let mut again = new_region();
        for change in changes {
            let _ = again.apply(change);
        }
        prop_assert_eq!(&again, &region, "the same changes make the same region");
        prop_assert_eq!(&stored::<Region>(&region), &region);
    }
}

fn new_region() -> Region {
    let key = RegionKey { account: AccountId("000000000000".into()), region: RegionName("eu-west-1".into()) };
    Region::new(key, 42)
}

/// What is read back of what was written.
#[expect(clippy::unwrap_used, reason = "a failure is the test's")]
fn stored<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}
