//! What all servers have in common: a thread with an event loop, from when it is asked for until nobody wants it.

use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tracing::warn;

/// Why a service could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its sockets could not be taken over, or its thread not go where it belongs.
    #[error("the {0} service cannot use its sockets: {1}")]
    Sockets(&'static str, #[source] io::Error),
    /// The event loop could not be made.
    #[error("the {0} service cannot make its event loop: {1}")]
    EventLoop(&'static str, #[source] io::Error),
    /// The thread could not be started.
    #[error("the {0} service cannot start its thread: {1}")]
    Thread(&'static str, #[source] io::Error),
}

/// A running service. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Closes what the service listens on and every connection, and returns when they are closed.
    pub fn stop(self) {
        drop(self);
    }

    /// Starts a thread, and has `make` make the service there, inside of the event loop. The service ends when what
    /// `make` was given resolves.
    ///
    /// # Errors
    /// [`ServeError`]; `Sockets` is what `make` failed with.
    pub(crate) fn start<M, F>(name: &'static str, make: M) -> Result<Server, ServeError>
    where
        M: FnOnce(oneshot::Receiver<()>) -> io::Result<F> + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| ServeError::EventLoop(name, error))?;
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let on_the_thread = move || {
            let made = {
                let _inside = runtime.enter();
                make(stopped)
            };
            // Whoever starts it waits for the word.
            match made {
                Ok(service) => {
                    let _ = tell.send(Ok(()));
                    LocalSet::new().block_on(&runtime, service);
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(on_the_thread);
        let thread = thread.map_err(|error| ServeError::Thread(name, error))?;
        let server = Server { name, stop: Some(stop), thread: Some(thread) };
        match told.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into())) {
            Ok(()) => Ok(server),
            Err(error) => Err(ServeError::Sockets(name, error)),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Dropping the sender is the signal.
        self.stop.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            warn!("the {} service's thread ended in a panic", self.name);
        }
    }
}
