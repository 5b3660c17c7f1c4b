//! The list of requirements, and how its scenarios are run: each once, for its own test and for the page.

use std::panic;
use std::sync::OnceLock;

use model::NatProfile;

/// One requirement.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) rfc: &'static str,
    pub(crate) level: Level,
    /// What is asked for.
    pub(crate) text: &'static str,
    pub(crate) aws: Entry,
    pub(crate) rfc_profile: Entry,
}

/// How a profile stands to a requirement.
pub(crate) struct Entry {
    profile: NatProfile,
    pub(crate) stand: Stand,
    scenario: fn(NatProfile),
    /// What came of the scenario: nothing if it is as the stand says, else how it failed.
    outcome: OnceLock<Result<(), String>>,
}

/// What the scenario shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    /// The requirement is met.
    Met,
    /// It is not, on purpose.
    Deviates(&'static str),
    /// It asks nothing of a gateway of this profile.
    DoesNotApply(&'static str),
}

/// How much a requirement is one (RFC 2119).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Must,
    MustNot,
    Should,
    ShouldNot,
    Recommended,
    May,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Must => "MUST",
            Level::MustNot => "MUST NOT",
            Level::Should => "SHOULD",
            Level::ShouldNot => "SHOULD NOT",
            Level::Recommended => "RECOMMENDED",
            Level::May => "MAY",
        }
    }
}

impl Entry {
    pub(crate) const fn new(profile: NatProfile, stand: Stand, scenario: fn(NatProfile)) -> Entry {
        Entry { profile, stand, scenario, outcome: OnceLock::new() }
    }

    /// Runs the scenario, unless it has been run.
    pub(crate) fn run(&self) -> &Result<(), String> {
        self.outcome.get_or_init(|| {
            let (scenario, profile) = (self.scenario, self.profile);
            panic::catch_unwind(|| scenario(profile)).map_err(|payload| {
                let text = payload.downcast_ref::<String>().cloned();
                text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_default()
            })
        })
    }

    /// The test of the row.
    pub(crate) fn check(&self) {
        if let Err(failure) = self.run() {
            panic!("{failure}");
        }
    }
}

/// Rows of one RFC, each a module with a test for each profile.
macro_rules! checklist {
    ($rfc:literal: $(
        $(#[doc = $text:literal])+
        $id:ident $level:ident {
            aws: $aws:ident($aws_scenario:path $(, $aws_reason:literal)?),
            rfc: $own:ident($own_scenario:path $(, $own_reason:literal)?),
        }
    )+) => {
        pub(crate) static ROWS: &[&$crate::checklist::Row] = &[$(&$id::ROW,)+];

        $(mod $id {
            use model::NatProfile;

            use super::*;
            use $crate::checklist::{Entry, Level, Row, Stand};

            pub(crate) static ROW: Row = Row {
                id: stringify!($id),
                rfc: $rfc,
                level: Level::$level,
                text: concat!($($text),+),
                aws: Entry::new(NatProfile::Aws, Stand::$aws$(($aws_reason))?, $aws_scenario),
                rfc_profile: Entry::new(NatProfile::Rfc, Stand::$own$(($own_reason))?, $own_scenario),
            };

            #[test]
            fn aws() {
                ROW.aws.check();
            }

            #[test]
            fn rfc() {
                ROW.rfc_profile.check();
            }
        })+
    };
}

pub(crate) use checklist;

/// All rows.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    let lists = [
        crate::rfc4787::ROWS,
        crate::rfc5382::ROWS,
        crate::rfc5508::ROWS,
        crate::rfc7857::ROWS,
        crate::rfc6888::ROWS,
        crate::nat64::ROWS,
    ];
    lists.into_iter().flatten().copied()
}
