//! Files that are not as a store left them: each is refused in clear words, or what was lost in a power cut is
//! the end of the log and nothing else.

use std::path::Path;

use control::store::{Damage, Options, Store, StoreError};
use proptest::prelude::*;
use tempfile::tempdir;

use crate::cloud::{key, open, pair, pairs, vpc};
use crate::commits::copied;

#[test]
fn a_directory_that_is_missing_or_taken() {
    let dir = tempdir().unwrap();
    let missing = dir.path().join("missing");
    let error = refused(&missing);
    assert!(matches!(&error, StoreError::Directory { path, .. } if *path == missing), "{error}");

    let store = open(dir.path());
    let error = refused(dir.path());
    assert!(matches!(&error, StoreError::Locked(path) if path == dir.path()), "{error}");
    assert!(error.to_string().starts_with("another daemon is using the state directory"));
    // The refused one has not disturbed the first.
    vpc(&store);
    drop(store);
    drop(open(dir.path()));
}

#[test]
fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().unwrap();
    let store = open(dir.path());
    vpc(&store);
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", file.path().display());
    }
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let dir = tempdir().unwrap();
    vpc(&open(dir.path()));
    run(dir.path(), "PRAGMA user_version = 3");
    let before = std::fs::read(dir.path().join("state.db")).unwrap();
    let error = refused(dir.path());
    assert!(matches!(error, StoreError::NewerVersion { found: 3, known: 2, .. }), "{error}");
    assert!(error.to_string().contains("written by a newer one"));
    assert!(std::fs::read(dir.path().join("state.db")).unwrap() == before);
}

#[test]
fn a_file_of_version_1_is_converted() {
    let dir = tempdir().unwrap();
    let vpc = vpc(&open(dir.path()));
    run(dir.path(), "DROP TABLE document; PRAGMA user_version = 1");
    for _ in 0..2 {
        let store = open(dir.path());
        assert!(store.region(&key()).vpcs().contains_key(&vpc));
        let kept = store.commit(&key(), |transaction| {
            let before = transaction.document("x")?;
            transaction.keep("x", Some(1.into()));
            Ok::<_, StoreError>(before)
        });
        drop(kept.unwrap());
    }
}

#[test]
fn a_file_of_something_else() {
    let dir = tempdir().unwrap();
    run(dir.path(), "CREATE TABLE song (title TEXT)");
    let error = refused(dir.path());
    assert!(matches!(error, StoreError::NotAStateFile(_)), "{error}");

    std::fs::write(dir.path().join("state.db"), "Dear diary, ".repeat(1000)).unwrap();
    let error = refused(dir.path());
    assert!(matches!(error, StoreError::NotAStateFile(_)), "{error}");
}

#[test]
fn a_log_that_does_not_fit() {
    let dir = tempdir().unwrap();
    let store = open(dir.path());
    let vpc = vpc(&store);
    for name in ["a", "b", "c"] {
        pair(&store, vpc, name).unwrap();
    }
    let damaged = |sql: &str| {
        let copy = copied(dir.path());
        run(copy.path(), sql);
        match refused(copy.path()) {
            StoreError::Corrupt { damage, .. } => *damage,
            other => panic!("{sql}: {other}"),
        }
    };
    assert!(matches!(damaged("DELETE FROM log WHERE entry = 3"), Damage::Diverged { entry: 4 }));
    assert!(matches!(damaged("DELETE FROM log WHERE entry = 1"), Damage::Refused { entry: 2, .. }));
    assert!(matches!(
        damaged("UPDATE log SET changes = '[]' WHERE entry = 3"),
        Damage::Diverged { entry: 3 }
    ));
    assert!(matches!(
        damaged("UPDATE log SET changes = '[' WHERE entry = 3"),
        Damage::Entry { entry: 3, .. }
    ));
    assert!(matches!(damaged("UPDATE region SET state = '{}'"), Damage::Snapshot { .. }));
    assert!(matches!(damaged("DELETE FROM region"), Damage::Stray { entry: 1, .. }));
    let words = damaged("DELETE FROM log WHERE entry = 1").to_string();
    assert!(words.starts_with("entry 2 of the log does not follow from what is before it: "), "{words}");
}

#[test]
fn a_damaged_database_is_refused_or_whole() {
    let dir = tempdir().unwrap();
    let store = open(dir.path());
    let vpc = vpc(&store);
    for n in 0..100 {
        pair(&store, vpc, &n.to_string()).unwrap();
    }
    let whole = store.region(&key());
    drop(store);
    let path = dir.path().join("state.db");
    let good = std::fs::read(&path).unwrap();
    // A page of zeros in each place, and the file's end missing.
    let mut found = 0;
    for page in 0..good.len() / 4096 {
        let mut bad = good.clone();
        bad[page * 4096..][..4096].fill(0);
        std::fs::write(&path, bad).unwrap();
        found += usize::from(is_refused_or(dir.path(), &whole));
        std::fs::write(&path, &good[..page * 4096]).unwrap();
        if page > 0 {
            found += usize::from(is_refused_or(dir.path(), &whole));
        }
    }
    assert!(found > good.len() / 4096, "{found} of {} pages", good.len() / 4096);
}

#[test]
fn a_torn_log_loses_its_end_only() {
    let dir = tempdir().unwrap();
    let store = open(dir.path());
    let vpc = vpc(&store);
    let all: Vec<_> = (100..120).map(|n| n.to_string()).collect();
    for name in &all {
        pair(&store, vpc, name).unwrap();
    }
    let file = std::fs::read(dir.path().join("state.db")).unwrap();
    let log = std::fs::read(dir.path().join("state.db-wal")).unwrap();
    let cases = ProptestConfig::with_cases(100);
    proptest!(cases, |(cut in 0..=log.len(), garbage in proptest::collection::vec(any::<u8>(), 0..200))| {
        let copy = tempdir().unwrap();
        let mut torn = log.clone();
        // What the disk had not written yet is cut off, or is something else.
        if garbage.is_empty() {
            torn.truncate(cut);
        } else {
            torn.splice(cut..(cut + garbage.len()).min(log.len()), garbage);
        }
        std::fs::write(copy.path().join("state.db"), &file).unwrap();
        std::fs::write(copy.path().join("state.db-wal"), torn).unwrap();
        let store = open(copy.path());
        let found = pairs(&store.region(&key()));
        prop_assert_eq!(&found[..], &all[..found.len()]);
        if cut == log.len() {
            prop_assert_eq!(found.len(), all.len());
        }
        let vpc = self::vpc(&store);
        pair(&store, vpc, "after").unwrap();
        drop(store);
        prop_assert_eq!(pairs(&open(copy.path()).region(&key())).len(), found.len() + 1);
    });
}

fn refused(dir: &Path) -> StoreError {
    Store::open(dir, Options::default()).unwrap_err()
}

/// Whether the store is refused; if not, it has to be as it was.
fn is_refused_or(dir: &Path, whole: &model::Region) -> bool {
    match Store::open(dir, Options::default()) {
        Ok(store) => {
            assert_eq!(*store.region(&key()), *whole);
            false
        }
        Err(StoreError::Corrupt { .. } | StoreError::NotAStateFile(_)) => true,
        Err(other) => panic!("{other}"),
    }
}

fn run(dir: &Path, sql: &str) {
    rusqlite::Connection::open(dir.join("state.db")).unwrap().execute_batch(sql).unwrap();
}
