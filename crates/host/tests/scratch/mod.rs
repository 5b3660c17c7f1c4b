//! A network namespace of a test's own.

use std::ops::Deref;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use host::namespace::{self, Namespace};
use rustix::process::{Signal, geteuid, kill_process};

/// Taken to make or delete one: the directory of pins goes with the last.
static PINS: Mutex<()> = Mutex::new(());

/// Deleted when the test ends, however it ends.
pub(crate) struct Scratch(Namespace);

impl Scratch {
    /// Makes one, named after the test process.
    pub(crate) fn new(name: &str) -> Scratch {
        assert!(geteuid().is_root(), "this test needs root");
        let _pins = PINS.lock().unwrap_or_else(PoisonError::into_inner);
        Scratch(Namespace::create(&format!("rw-hosttest-{}-{name}", std::process::id())).unwrap())
    }

    /// Runs `ip` in it.
    pub(crate) fn ip(&self, arguments: &str) {
        let status = self.0.run(|| Command::new("ip").args(arguments.split(' ')).status().unwrap()).unwrap();
        assert!(status.success(), "ip {arguments}");
    }
}

impl Deref for Scratch {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for pid in self.0.processes() {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _pins = PINS.lock().unwrap_or_else(PoisonError::into_inner);
        let deleted =
            Namespace::delete(self.0.name()).and_then(|()| namespace::release_directory(namespace::owned()));
        assert!(deleted.is_ok() || thread::panicking(), "{deleted:?}");
    }
}
