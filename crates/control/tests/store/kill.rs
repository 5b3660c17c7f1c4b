//! `kill -9` at any moment.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use control::store::{CommitError, Store};
use serde_json::Value;
use tempfile::tempdir;

use crate::cloud::{key, open, options, pair_once, pairs, table, vpc};

/// Where the killed process has its store, and the prefix of its names.
const DIR: &str = "STORE_KILL_DIR";
const ROUND: &str = "STORE_KILL_ROUND";

const KILLS: u64 = 20;

/// Both of a pair ask with the same tokens.
const PAIRS_OF_CALLERS: usize = 4;

#[test]
fn nothing_acknowledged_is_lost_nothing_is_half_made_nothing_is_done_twice() {
    let dir = tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    for round in 0..KILLS {
        let latest = killed_at_work(dir.path(), round);
        acknowledged.extend(latest.clone());

        // Those under way may be there or not, but whole.
        let store = open(dir.path());
        let vpc = vpc(&store);
        let region = store.region(&key());
        let there = pairs(&region);
        assert!(there.iter().all(|name| !name.contains("refused")), "{there:?}");
        for (name, answer) in &acknowledged {
            let table = answer[0].as_str().unwrap().parse().unwrap();
            assert_eq!(region.route_tables()[&table].tags["Name"], *name);
        }
        // Their clients ask again, and get the answer they had or missed; nothing is made.
        let generation = region.generation();
        for name in there.iter().filter(|name| name.starts_with(&format!("{round}-"))) {
            let answer = pair_once(&store, vpc, name).unwrap();
            assert!(latest.get(name).is_none_or(|before| *before == answer), "{name}");
        }
        assert_eq!(store.region(&key()).generation(), generation, "a token was answered twice");
        // Those whose change is not there have no answer either, but are made now.
        for caller in 0..PAIRS_OF_CALLERS {
            let name =
                (0..).map(|n| format!("{round}-{caller}-{n}")).find(|name| !there.contains(name)).unwrap();
            pair_once(&store, vpc, &name).unwrap();
            assert!(pairs(&store.region(&key())).contains(&name), "{name} has an answer without its change");
        }
    }
    assert!(acknowledged.len() > 100, "only {} commits in all rounds", acknowledged.len());
}

/// Runs [`worker`] in a process of its own for a while. Gives what it acknowledged.
fn killed_at_work(dir: &Path, round: u64) -> BTreeMap<String, Value> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::worker", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    std::thread::sleep(Duration::from_micros(RandomState::new().hash_one(round) % 200_000));
    child.kill().unwrap();
    child.wait().unwrap();
    let text = reader.join().unwrap().unwrap();
    assert!(!text.contains("panicked"), "{text}");
    let mut acknowledged = BTreeMap::new();
    for line in text.split_inclusive('\n').filter(|line| line.starts_with("done ") && line.ends_with('\n')) {
        let (name, answer) = line["done ".len()..].split_once(' ').unwrap();
        let answer: Value = serde_json::from_str(answer).unwrap();
        let before = acknowledged.insert(name.to_owned(), answer.clone());
        assert!(before.is_none_or(|before| before == answer), "{name} was answered in two ways");
    }
    acknowledged
}

/// Writes until it is killed: pairs of callers ask with the same tokens, others are refused half-way.
#[test]
#[ignore = "runs in a process of its own, started by the test above"]
fn worker() {
    let (Some(dir), Ok(round)) = (std::env::var_os(DIR), std::env::var(ROUND)) else { return };
    let store = Store::open(dir.as_ref(), options(40)).unwrap();
    let vpc = vpc(&store);
    std::thread::scope(|scope| {
        for caller in 0..2 * PAIRS_OF_CALLERS {
            let (store, round) = (&store, &round);
            scope.spawn(move || {
                for n in 0.. {
                    let name = format!("{round}-{}-{n}", caller / 2);
                    let answer = pair_once(store, vpc, &name).unwrap();
                    let line = format!("done {name} {answer}\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                    let refused = format!("{name}-refused");
                    let refused: Result<(), CommitError<_>> = store.commit(&key(), move |transaction| {
                        table(transaction, vpc, &refused).unwrap();
                        Err("half-way")
                    });
                    assert!(matches!(refused, Err(CommitError::Refused(_))));
                }
            });
        }
    });
}
