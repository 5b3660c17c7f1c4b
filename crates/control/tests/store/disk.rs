//! A disk that is full or not writable: a file system in memory, in a mount namespace of the test's own.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use control::store::{CommitError, Options, Store, StoreError, Woken};
use model::VpcId;
use rustix::mount::{MountFlags, mount, mount_remount};
use tempfile::tempdir;

use crate::cloud::{key, open, options, pair, pair_once, pairs, table, vpc};
use crate::commits::copied;

/// Where the process in the namespace may mount.
const DIR: &str = "STORE_DISK_DIR";

#[test]
fn full_disk() {
    in_mount_namespace("disk::inside::full_disk");
}

#[test]
fn full_disk_at_first() {
    in_mount_namespace("disk::inside::full_disk_at_first");
}

#[test]
fn not_writable() {
    in_mount_namespace("disk::inside::not_writable");
}

fn in_mount_namespace(test: &str) {
    let dir = tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let run = command
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(DIR, dir.path())
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(!stderr.starts_with("unshare: "), "needs root, or user namespaces for ordinary users: {stderr}");
    assert!(run.status.success() && stdout.contains("1 passed"), "{stdout}{stderr}");
}

mod inside {
    use super::*;

    #[test]
    #[ignore = "runs in a mount namespace, started by the test of the same name"]
    fn full_disk() {
        let Some(dir) = small_disk() else { return };
        let opened = Store::open(&dir, options(10)).unwrap();
        let store = &opened;
        let vpc = vpc(store);
        for n in 0..30 {
            pair(store, vpc, &format!("before-{n}")).unwrap();
        }
        let filler = fill(&dir);

        // Many callers at once, until nobody gets through any more, with a little more space each time.
        let (mut kept, mut failed) = (Vec::new(), Vec::new());
        for pages in 0..20 {
            spare(&filler, pages);
            let tried = std::thread::scope(|scope| {
                let callers: Vec<_> =
                    (0..8).map(|caller| scope.spawn(move || until_full(store, vpc, pages, caller))).collect();
                callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect::<Vec<_>>()
            });
            for (name, done) in tried {
                if done { kept.push(name) } else { failed.push(name) }
            }
            let there = pairs(&store.region(&key()));
            assert_eq!(there.len(), 30 + kept.len());
            assert!(kept.iter().all(|name| there.contains(name)));
            on_disk(store, &dir);
        }
        let before = store.region(&key());

        // Reading goes on, refusals are the disk's word or the request's, and nothing changes.
        let mut watch = store.watch();
        let big = "x".repeat(250);
        for _ in 0..3 {
            let big = big.clone();
            let error: Result<(), CommitError> = store.commit(&key(), move |transaction| {
                for _ in 0..2000 {
                    table(transaction, vpc, &big)?;
                }
                Ok(())
            });
            assert!(matches!(error, Err(CommitError::Store(StoreError::Full(_)))), "{error:?}");
        }
        assert_eq!(watch.wait(Duration::ZERO), Woken::TimedOut);
        assert_eq!(store.region(&key()), before);
        on_disk(store, &dir);

        // A restart on the full disk starts, or says why not.
        drop(opened);
        match Store::open(&dir, options(10)) {
            Ok(store) => assert_eq!(store.region(&key()), before),
            Err(StoreError::Full(_)) => {}
            Err(other) => panic!("{other}"),
        }

        // With space again, all is well, and what failed can be asked for again.
        std::fs::remove_file(&filler).unwrap();
        let store = Store::open(&dir, options(10)).unwrap();
        for name in &failed {
            pair_once(&store, vpc, name).unwrap();
        }
        let after = store.region(&key());
        drop(store);
        let store = Store::open(&dir, options(10)).unwrap();
        assert_eq!(store.region(&key()), after);
        assert_eq!(pairs(&after).len(), 30 + kept.len() + failed.len());
    }

    #[test]
    #[ignore = "runs in a mount namespace, started by the test of the same name"]
    fn full_disk_at_first() {
        let Some(dir) = small_disk() else { return };
        let filler = fill(&dir);
        let error = Store::open(&dir, Options::default()).unwrap_err();
        assert!(matches!(error, StoreError::Full(_)), "{error}");
        assert!(error.to_string().starts_with("no space is left on the disk for "), "{error}");
        std::fs::remove_file(filler).unwrap();
        vpc(&open(&dir));
    }

    #[test]
    #[ignore = "runs in a mount namespace, started by the test of the same name"]
    fn not_writable() {
        let Some(dir) = small_disk() else { return };
        let read_only = |yes| {
            let flags = if yes { MountFlags::RDONLY } else { MountFlags::empty() };
            mount_remount(&dir, flags, "").unwrap();
        };
        read_only(true);
        let error = Store::open(&dir, Options::default()).unwrap_err();
        assert!(matches!(error, StoreError::NotWritable { .. }), "{error}");
        read_only(false);
        let store = open(&dir);
        let vpc = vpc(&store);
        pair(&store, vpc, "pair").unwrap();
        let before = store.region(&key());
        drop(store);

        read_only(true);
        let error = Store::open(&dir, Options::default()).unwrap_err();
        assert!(matches!(error, StoreError::NotWritable { .. }), "{error}");
        read_only(false);
        assert_eq!(open(&dir).region(&key()), before);
    }

    /// A file system of eight MiB; None outside of the namespace.
    fn small_disk() -> Option<PathBuf> {
        let dir = PathBuf::from(std::env::var_os(DIR)?);
        mount("tmpfs", &dir, "tmpfs", MountFlags::empty(), c"size=8m").unwrap();
        Some(dir)
    }

    /// Commits until there is no space. Gives the names that were tried, and whether they were done.
    fn until_full(store: &Store, vpc: VpcId, round: u64, caller: usize) -> Vec<(String, bool)> {
        let mut tried = Vec::new();
        for n in 0.. {
            let name = format!("full-{round}-{caller}-{n}");
            let done = match pair_once(store, vpc, &name) {
                Ok(_) => true,
                Err(CommitError::Store(StoreError::Full(_))) => false,
                Err(other) => panic!("{other}"),
            };
            tried.push((name, done));
            if !done {
                break;
            }
        }
        tried
    }

    /// A kill now would bring back what the store shows.
    fn on_disk(store: &Store, dir: &Path) {
        // Answered when a snapshot that was due has been tried.
        store.commit(&key(), |_| Ok::<_, ()>(())).unwrap();
        let copy = copied(dir);
        assert_eq!(open(copy.path()).region(&key()), store.region(&key()));
    }

    /// Takes all space there is.
    fn fill(dir: &Path) -> PathBuf {
        let path = dir.join("filler");
        let mut filler = File::create(&path).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
        path
    }

    /// Gives some of it back.
    fn spare(filler: &Path, pages: u64) {
        let filler = File::options().write(true).open(filler).unwrap();
        let length = filler.metadata().unwrap().len();
        filler.set_len(length.saturating_sub(pages * 4096)).unwrap();
    }
}
