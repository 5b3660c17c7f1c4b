//! Whatever SDKs can ask: requests that are formed as EC2 describes them, of any actions in any order, with values of
//! the right kind and ids of what is there. What is missing is learnt from the refusal, and the request sent again.

mod value;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use control::ec2::reference::{Action, Parameter, Standing};
use model::{Change, Fault, InstanceState, NatGatewayState, Region};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

use crate::api::{Answer, Endpoint};
use crate::invariants;
use value::{Dice, Known, value};

const CASES: u32 = 50;
const CALLS: usize = 200;
/// Most parameters that are learnt of for one call.
const LESSONS: usize = 8;

#[test]
fn shaped_requests_keep_the_rules() {
    let actions = control::ec2::actions();
    // What makes something is asked for more often, else little is ever there.
    let weighted = actions.iter().enumerate().flat_map(|(at, action)| vec![at; weight(action.name)]);
    let weighted: Vec<usize> = weighted.collect();
    let calls = prop::collection::vec((prop::sample::select(weighted), any::<u64>()), CALLS);
    let (asked, done) = (Cell::new(0_usize), Cell::new(0_usize));
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&calls, |calls| {
        let api = Endpoint::new();
        let mut known = foundation(&api);
        for (at, seed) in calls {
            let fine = ask(&api, &actions[at], &mut Dice(seed), &mut known)?;
            asked.set(asked.get() + 1);
            done.set(done.get() + usize::from(fine));
        }
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, calls)) => {
            let calls: Vec<_> = calls.iter().map(|(at, seed)| (actions[*at].name, seed)).collect();
            panic!("{reason}\nafter {calls:?}");
        }
        Err(aborted) => panic!("{aborted}"),
    }
    assert!(asked.get() >= CASES as usize * CALLS);
    // Else the requests are too bad, or too tame, to be worth anything.
    assert!((asked.get() / 6..asked.get() * 9 / 10).contains(&done.get()), "{done:?} of {asked:?} were done");
}

/// Something of most kinds, so that there is something to ask about from the beginning.
fn foundation(api: &Endpoint) -> Known {
    let mut known = Known::default();
    let mut fine = |action: &str, form: &str| {
        let answer = api.fine(action, form);
        known.learn(&answer);
        answer
    };
    let six = "CidrBlock=10.0.0.0/16&AmazonProvidedIpv6CidrBlock=true";
    let vpc = fine("CreateVpc", six).one("vpcId");
    fine("CreateVpc", "CidrBlock=10.2.0.0/16");
    let cidrs = "CidrBlock=10.0.1.0/24&Ipv6CidrBlock=2001:db8:0:1::/64";
    let subnet = fine("CreateSubnet", &format!("VpcId={vpc}&{cidrs}")).one("subnetId");
    let gateway = fine("CreateInternetGateway", "").one("internetGatewayId");
    fine("AttachInternetGateway", &format!("VpcId={vpc}&InternetGatewayId={gateway}"));
    fine("CreateNetworkInterface", &format!("SubnetId={subnet}"));
    let launch = format!("ImageId={}&MinCount=2&MaxCount=2&InstanceType=t3.micro", crate::AMI);
    fine("RunInstances", &format!("{launch}&SubnetId={subnet}"));
    fine("AllocateAddress", "");
    fine("CreateManagedPrefixList", "PrefixListName=x&AddressFamily=IPv4&MaxEntries=3");
    fine("CreateNatGateway", &format!("SubnetId={subnet}&ConnectivityType=private"));
    for describe in ["DescribeRouteTables", "DescribeNetworkAcls", "DescribeSecurityGroups", "DescribeVpcs"] {
        fine(describe, "");
    }
    fine("DescribeSecurityGroupRules", "");
    settle(api);
    known
}

fn weight(action: &str) -> usize {
    let rare =
        ["Delete", "Terminate", "Describe", "Get", "Release", "Detach", "Disassociate", "Stop", "Revoke"];
    if rare.iter().any(|verb| action.starts_with(verb)) { 1 } else { 4 }
}

/// Asks one thing, and again with what was missing; tells whether it was done.
fn ask(api: &Endpoint, action: &Action, dice: &mut Dice, known: &mut Known) -> Result<bool, TestCaseError> {
    let mut form = choose(action, dice, known);
    for _ in 0..LESSONS {
        let text: Vec<_> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let text = text.join("&");
        let before = api.region();
        let answer = api.ask(action.name, &text, &[]);
        let after = api.region();
        known.learn(&answer);
        if answer.status == 200 {
            prop_assert_eq!(answer.all("requestId").len(), 1, "{} {}", action.name, text);
            if !Arc::ptr_eq(&after, &before) {
                invariants::check(&after).map_err(|error| error_of(action, &text, &error))?;
            }
            if dice.one_in(4) {
                settle(api);
            }
            return Ok(true);
        }
        prop_assert!((400..500).contains(&answer.status), "{} {text}: {answer:?}", action.name);
        prop_assert!(!answer.one("Code").is_empty() && !answer.one("Message").is_empty());
        let untouched = Arc::ptr_eq(&after, &before) || after == before;
        prop_assert!(untouched, "{} {text} was refused and changed something", action.name);
        let Some((name, value)) = lesson(&answer, action, dice, known) else { return Ok(false) };
        if form.insert(name, value).is_some() {
            return Ok(false);
        }
    }
    Ok(false)
}

fn error_of(action: &Action, form: &str, error: &TestCaseError) -> TestCaseError {
    TestCaseError::fail(format!("{} {form}: {error}", action.name))
}

/// Some of the action's parameters: a few of those at the top, and most of what is below these.
fn choose(action: &Action, dice: &mut Dice, known: &Known) -> BTreeMap<String, String> {
    let mut form = BTreeMap::new();
    let mut at_the_top: BTreeMap<&str, Vec<&Parameter>> = BTreeMap::new();
    for parameter in &action.parameters {
        let top = parameter.name.split('.').next().unwrap_or_default();
        at_the_top.entry(top).or_default().push(parameter);
    }
    // What is refused whatever its value is tried seldom: that much is known.
    let (few, rarely) = (at_the_top.len().div_ceil(2) as u64, 40);
    for below in at_the_top.values() {
        let refused = below.iter().all(|parameter| parameter.standing == Standing::Refused);
        if !dice.one_in(if refused { rarely } else { few }) {
            continue;
        }
        for index in 1..=1 + u8::from(dice.one_in(4)) {
            for parameter in below {
                let skipped = below.len() > 1 && dice.one_in(3);
                let refused = parameter.standing == Standing::Refused && !dice.one_in(rarely);
                if !skipped && !refused {
                    form.insert(indexed(&parameter.name, index), value(action, parameter, dice, known));
                }
            }
        }
    }
    if dice.one_in(20) {
        form.insert("DryRun".to_owned(), "true".to_owned());
    }
    form
}

/// What a refusal says is missing, with a value.
fn lesson(answer: &Answer, action: &Action, dice: &mut Dice, known: &Known) -> Option<(String, String)> {
    let message = answer.one("Message");
    let missing = message.strip_prefix("The request must contain the parameter ")?;
    // One of several, as it may be.
    let missing = missing.split([',', ' ']).next()?;
    let general = missing.split('.').map(|part| if part.parse::<u32>().is_ok() { "N" } else { part });
    let general = general.collect::<Vec<_>>().join(".");
    let found = action.parameters.iter().find(|parameter| {
        parameter.name == general
            || parameter.name.strip_prefix(&general).is_some_and(|rest| rest.starts_with(".N"))
            || parameter.name.strip_prefix(&general).is_some_and(|rest| rest == ".Value")
    })?;
    let name = if found.name == general { missing.to_owned() } else { indexed(&found.name, 1) };
    Some((name, value(action, found, dice, known)))
}

fn indexed(name: &str, index: u8) -> String {
    let part = |part: &str| if part == "N" { index.to_string() } else { part.to_owned() };
    name.split('.').map(part).collect::<Vec<_>>().join(".")
}

/// What the daemon does: what is on its way arrives.
fn settle(api: &Endpoint) {
    for key in api.store.regions() {
        for change in arrivals(&api.store.region(&key)) {
            api.store.commit::<_, Fault>(&key, move |transaction| transaction.apply(change)).unwrap();
        }
    }
}

fn arrivals(region: &Region) -> Vec<Change> {
    let instances = region.instances().values().filter_map(|instance| {
        let state = match instance.state {
            InstanceState::Pending => InstanceState::Running,
            InstanceState::Stopping => InstanceState::Stopped,
            InstanceState::ShuttingDown => InstanceState::Terminated,
            _ => return None,
        };
        Some(Change::SetInstanceState { instance: instance.id, state })
    });
    let gateways = region.nat_gateways().values().filter_map(|gateway| {
        let state = match gateway.state {
            NatGatewayState::Pending => NatGatewayState::Available,
            NatGatewayState::Deleting => NatGatewayState::Deleted,
            _ => return None,
        };
        Some(Change::SetNatGatewayState { gateway: gateway.id, state })
    });
    instances.chain(gateways).collect()
}
