//! A lab's daemon: brings the lab up, runs its fabric and services, and answers the other commands.

mod bring_up;
mod control;
mod standing;

use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::flags::DaemonFlags;
use crate::labs::{LabDir, Locked};
use crate::{Failure, Outcome};

use standing::Standing;

/// How long a daemon that failed waits for somebody to hear why.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// What the daemon's threads share.
#[derive(Default)]
struct Shared {
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Default)]
struct Stage {
    /// What was done on the way up, in order.
    progress: Vec<String>,
    end: Option<Result<Arc<Standing>, String>>,
    stop: bool,
}

/// Runs the daemon until it is told to stop. What it made stays: whoever told it takes it down by the list.
pub(crate) fn run(flags: &DaemonFlags) -> Outcome {
    raise_file_limit();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    // SAFETY: the parent opened this file for us and told us its number; nobody else here knows it.
    let lock = File::from(unsafe { OwnedFd::from_raw_fd(flags.lock_fd) });
    let dir = LabDir { name: flags.name.clone(), path: flags.dir.clone() };
    let mut lock = Locked::adopt(lock);
    lock.sign().map_err(Failure::file(&dir.path))?;
    let socket = dir.socket();
    let listener = UnixListener::bind(&socket).map_err(Failure::file(&socket))?;
    let shared = Arc::new(Shared::default());
    let answering = Arc::clone(&shared);
    let named = std::thread::Builder::new().name("control".to_owned());
    named.spawn(move || control::serve(&listener, &answering)).map_err(Failure::file(&socket))?;

    match bring_up::bring_up(&flags.file, &dir, &lock, &|words| shared.progress(words)) {
        Ok(standing) => {
            shared.end(Ok(Arc::new(standing)));
            shared.wait_for_stop(None);
            Ok(0)
        }
        Err(error) => {
            tracing::error!(%error, "the lab could not be brought up");
            for error in host::teardown::teardown(&dir.path).err().unwrap_or_default() {
                tracing::error!(%error, "something could not be removed");
            }
            shared.end(Err(error.to_string()));
            shared.wait_for_stop(Some(LAST_WORDS));
            Ok(1)
        }
    }
}

/// Every machine, port and connection to a service holds a file open.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // A lab of few machines does with what there is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

impl Shared {
    fn progress(&self, words: String) {
        tracing::info!("{words}");
        self.stage().progress.push(words);
        self.changed.notify_all();
    }

    fn end(&self, end: Result<Arc<Standing>, String>) {
        self.stage().end = Some(end);
        self.changed.notify_all();
    }

    fn stop(&self) {
        self.stage().stop = true;
        self.changed.notify_all();
    }

    /// Waits until somebody says stop, or for as long as given.
    fn wait_for_stop(&self, patience: Option<Duration>) {
        let stage = self.stage();
        match patience {
            None => drop(self.changed.wait_while(stage, |stage| !stage.stop)),
            Some(patience) => drop(self.changed.wait_timeout_while(stage, patience, |stage| !stage.stop)),
        }
    }

    /// Waits for more progress than `seen` lines or for the end; returns the new lines and the end.
    fn follow(&self, seen: usize) -> (Vec<String>, Option<Result<Arc<Standing>, String>>) {
        let quiet = |stage: &mut Stage| stage.progress.len() == seen && stage.end.is_none();
        let stage = self.changed.wait_while(self.stage(), quiet).unwrap_or_else(PoisonError::into_inner);
        (stage.progress[seen..].to_vec(), stage.end.clone())
    }

    fn standing(&self) -> Option<Arc<Standing>> {
        self.stage().end.as_ref().and_then(|end| end.as_ref().ok()).cloned()
    }

    /// A thread that panicked leaves whole lines and a whole end behind.
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
