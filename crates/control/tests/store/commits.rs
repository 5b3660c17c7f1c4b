//! What callers see as long as nothing fails.

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use control::store::{CommitError, Options, Store, Woken};
use model::{AccountId, Change, Fault, RegionKey};
use tempfile::tempdir;

use crate::cloud::{key, names, open, options, pair, pair_once, pairs, table, token, vpc};

#[test]
fn what_is_committed_is_there_the_next_time() {
    let dir = tempdir().unwrap();
    let store = open(dir.path());
    assert!(store.regions().is_empty());
    assert!(store.region(&key()).vpcs().is_empty());

    let vpc = vpc(&store);
    let other = RegionKey { account: AccountId("111111111111".into()), ..key() };
    let change = Change::CreateVpc { cidr: "10.0.0.0/16".parse().unwrap(), tags: Default::default() };
    store.commit(&other, move |transaction| transaction.apply(change)).unwrap();
    pair(&store, vpc, "pair").unwrap();
    let (before, before_other) = (store.region(&key()), store.region(&other));
    drop(store);

    // From the log of a killed store it is the same: see `kill` and `damage`.
    let store = open(dir.path());
    assert_eq!(store.regions(), [key(), other.clone()]);
    assert_eq!(store.region(&key()), before);
    assert_eq!(store.region(&other), before_other);
    assert!(before.vpcs().keys().ne(before_other.vpcs().keys()), "regions share no ids");
    pair(&store, vpc, "another").unwrap();
    assert_eq!(pairs(&store.region(&key())), ["another", "pair"]);
}

#[test]
fn the_log_is_replayed_or_folded_into_snapshots() {
    let dir = tempdir().unwrap();
    let log = |dir: &std::path::Path| -> u32 {
        let file = rusqlite::Connection::open(dir.join("state.db")).unwrap();
        file.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap()
    };
    let store = Store::open(dir.path(), options(4)).unwrap();
    let vpc = vpc(&store);
    for n in 0..9 {
        pair(&store, vpc, &n.to_string()).unwrap();
    }
    let before = store.region(&key());
    // Answered when the snapshots are done.
    store.commit(&key(), |_| Ok::<_, ()>(())).unwrap();
    // A copy of a running store's file is what a killed one leaves.
    let copy = copied(dir.path());
    assert_eq!(*open(copy.path()).region(&key()), *before);
    drop(store);
    assert_eq!(log(dir.path()), 0);
    assert_eq!(*open(dir.path()).region(&key()), *before);
}

#[test]
fn a_request_is_whole_or_not_at_all() {
    let dir = tempdir().unwrap();
    let store = Arc::new(open(dir.path()));
    let vpc = vpc(&store);
    let before = store.region(&key());
    let refused = store.commit(&key(), move |transaction| {
        table(transaction, vpc, "half").unwrap();
        assert_eq!(names(transaction.region()).len(), 1);
        transaction.apply(Change::CreateVpc { cidr: "10.0.0.0/8".parse().unwrap(), tags: Default::default() })
    });
    assert!(matches!(refused, Err(CommitError::Refused(fault)) if fault.code() == "InvalidVpc.Range"));
    assert_eq!(store.region(&key()), before);

    // In one batch with others, too: the writer is kept busy until all are in its queue.
    let (release, released) = channel::<()>();
    let commit = |name: &'static str, refuse: bool| {
        let store = Arc::clone(&store);
        std::thread::spawn(move || {
            let done: Result<(), CommitError<&str>> = store.commit(&key(), move |transaction| {
                table(transaction, vpc, name).unwrap();
                table(transaction, vpc, name).unwrap();
                if refuse { Err("no") } else { Ok(()) }
            });
            assert_eq!(done.is_err(), refuse, "{done:?}");
        })
    };
    let busy = std::thread::spawn({
        let store = Arc::clone(&store);
        move || store.commit(&key(), move |_| released.recv())
    });
    std::thread::sleep(Duration::from_millis(50));
    let mut waiting = Vec::new();
    for (name, refuse) in [("a", false), ("b", true), ("c", false), ("d", true), ("e", false)] {
        waiting.push(commit(name, refuse));
        std::thread::sleep(Duration::from_millis(20));
    }
    release.send(()).unwrap();
    busy.join().unwrap().unwrap();
    waiting.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(pairs(&store.region(&key())), ["a", "c", "e"]);
    let copy = copied(dir.path());
    assert_eq!(open(copy.path()).region(&key()), store.region(&key()));
}

#[test]
fn many_callers_at_once() {
    let dir = tempdir().unwrap();
    let store = open(dir.path());
    let vpc = vpc(&store);
    let start = Barrier::new(16);
    std::thread::scope(|scope| {
        for caller in 0..16 {
            let (store, start) = (&store, &start);
            scope.spawn(move || {
                start.wait();
                for n in 0..20 {
                    let name = format!("{caller}-{n}");
                    let ids = pair(store, vpc, &name).unwrap();
                    let region = store.region(&key());
                    assert!(ids.iter().all(|id| region.route_tables()[id].tags["Name"] == name));
                }
            });
        }
    });
    assert_eq!(pairs(&store.region(&key())).len(), 320);
}

#[test]
fn a_token_is_answered_once_and_for_all() {
    let dir = tempdir().unwrap();
    let store = open(dir.path());
    let vpc = vpc(&store);
    let first = pair_once(&store, vpc, "token").unwrap();
    assert_eq!(pair_once(&store, vpc, "token").unwrap(), first);
    let mismatch = store.commit_once(&key(), token("token", "other parameters"), |_| Err("not asked"));
    assert!(matches!(mismatch, Err(CommitError::IdempotentParameterMismatch)));
    drop(store);

    let store = open(dir.path());
    assert_eq!(pair_once(&store, vpc, "token").unwrap(), first);
    assert_eq!(pairs(&store.region(&key())), ["token"]);

    // A refusal leaves the token unused, and both callers of one moment get one answer.
    let refused = store.commit_once(&key(), token("again", "a pair"), |_| Err("refused"));
    assert!(matches!(refused, Err(CommitError::Refused("refused"))));
    let answers = std::thread::scope(|scope| {
        let asking: Vec<_> =
            (0..8).map(|_| scope.spawn(|| pair_once(&store, vpc, "again").unwrap())).collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(pairs(&store.region(&key())), ["again", "token"]);

    // Tokens of another action or region are others.
    let other = RegionKey { account: AccountId("111111111111".into()), ..key() };
    let answer = || Ok::<_, String>(serde_json::json!("another"));
    let mut elsewhere = token("token", "x");
    assert_eq!(store.commit_once(&other, elsewhere.clone(), move |_| answer()).unwrap(), "another");
    elsewhere.action = "CreateSubnet".to_owned();
    assert_eq!(store.commit_once(&key(), elsewhere, move |_| answer()).unwrap(), "another");
}

#[test]
fn a_token_does_not_last_for_ever() {
    let dir = tempdir().unwrap();
    let options = Options { tokens_last: Duration::ZERO, ..Options::default() };
    let store = Store::open(dir.path(), options).unwrap();
    let vpc = vpc(&store);
    let first = pair_once(&store, vpc, "token").unwrap();
    assert_ne!(pair_once(&store, vpc, "token").unwrap(), first);
    drop(store);
    let file = rusqlite::Connection::open(dir.path().join("state.db")).unwrap();
    let left: u32 = file.query_row("SELECT count(*) FROM token", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn a_watch_wakes_for_what_is_on_disk() {
    let dir = tempdir().unwrap();
    let store = open(dir.path());
    let vpc = vpc(&store);
    let mut watch = store.watch();
    assert_eq!(watch.wait(Duration::ZERO), Woken::TimedOut);
    let waiting = std::thread::spawn(move || (watch.wait(Duration::from_secs(60)), watch));
    pair(&store, vpc, "pair").unwrap();
    let (woken, mut watch) = waiting.join().unwrap();
    assert_eq!(woken, Woken::Changed);

    // What is refused, or only looks, wakes nobody.
    store.commit(&key(), |transaction| Ok::<_, ()>(transaction.region().generation())).unwrap();
    store.commit(&key(), |_| Err::<(), _>("no")).unwrap_err();
    assert_eq!(watch.wait(Duration::ZERO), Woken::TimedOut);
    drop(store);
    let start = Instant::now();
    assert_eq!(watch.wait(Duration::from_secs(60)), Woken::Closed);
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_panic_is_the_callers_alone() {
    let dir = tempdir().unwrap();
    let store = open(dir.path());
    let vpc = vpc(&store);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.commit(&key(), move |transaction| -> Result<(), ()> {
            table(transaction, vpc, "half").unwrap();
            std::panic::resume_unwind(Box::new("in the middle"))
        })
    }));
    assert_eq!(*panicked.unwrap_err().downcast::<&str>().unwrap(), "in the middle");
    pair(&store, vpc, "pair").unwrap();
    assert_eq!(pairs(&store.region(&key())), ["pair"]);
}

/// The files of a store that runs, as they would be found if it were killed now. It must be idle.
pub(crate) fn copied(dir: &std::path::Path) -> tempfile::TempDir {
    let copy = tempdir().unwrap();
    for file in ["state.db", "state.db-wal"] {
        std::fs::copy(dir.join(file), copy.path().join(file)).unwrap();
    }
    copy
}

#[test]
fn a_document_is_kept_with_its_changes_or_not_at_all() {
    let dir = tempdir().unwrap();
    let read = |store: &Store| {
        let read = store.commit(&key(), |transaction| transaction.document("stack/web"));
        read.unwrap()
    };
    {
        let store = open(dir.path());
        let vpc = vpc(&store);
        assert_eq!(read(&store), None);
        let kept = store.commit(&key(), move |transaction| {
            transaction.keep("stack/web", Some("one".into()));
            assert_eq!(transaction.document("stack/web").unwrap(), Some("one".into()));
            table(transaction, vpc, "a")
        });
        kept.unwrap();
        let refused = store.commit(&key(), move |transaction| {
            table(transaction, vpc, "b")?;
            transaction.keep("stack/web", Some("two".into()));
            transaction.apply(Change::DeleteVpc { vpc })
        });
        assert!(matches!(refused, Err(CommitError::Refused(_))), "{refused:?}");
        assert_eq!(read(&store), Some("one".into()));
    }
    let store = open(dir.path());
    assert_eq!(read(&store), Some("one".into()));
    assert_eq!(store.region(&key()).route_tables().len(), 2, "the main one and a");
    let gone = store.commit(&key(), |transaction| {
        transaction.keep("stack/web", None);
        Ok::<_, Fault>(())
    });
    gone.unwrap();
    assert_eq!(read(&store), None);
}
