//! The instance metadata service (EC2 User Guide, "Use the Instance Metadata Service to access instance
//! metadata"): versions 1 and 2 of its protocol, over the state of the caller's region.
//!
//! The caller is whoever owns the port the connection came from. So a request that was routed through a
//! NAT instance is answered with the NAT instance's identity, as in EC2.

mod answer;
mod connection;
mod identity;
mod identity_document;
mod token;
mod tree;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tracing::{debug, warn};

use identity::{Identity, InstanceKey};
use token::Tokens;

/// Tells who stands behind a peer address.
pub trait Directory: Send + Sync {
    /// The caller whose port was given `peer` as its source address, or `None` if no port has it now.
    /// Called on the server's thread for each connection and each request; must not block.
    fn caller(&self, peer: Ipv4Addr) -> Option<Caller>;
}

/// The owner of a port, and the state of its region as it is now.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The region the interface belongs to.
    pub region: Arc<model::Region>,
    /// The interface whose port the connection came from.
    pub interface: model::InterfaceId,
}

/// Why the metadata service could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener could not be taken over.
    #[error("the metadata service cannot use its listener: {0}")]
    Listener(#[source] io::Error),
    /// The event loop could not be made.
    #[error("the metadata service cannot make its event loop: {0}")]
    EventLoop(#[source] io::Error),
    /// The thread could not be started.
    #[error("the metadata service cannot start its thread: {0}")]
    Thread(#[source] io::Error),
}

/// A running metadata service. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Closes the listener and every connection, and returns when they are closed.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Dropping the sender is the signal.
        self.stop.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            warn!("the metadata service's thread ended in a panic");
        }
    }
}

/// Serves instance metadata on `listener`, which the caller has bound (to 169.254.169.254:80) in the
/// namespace the service lives in, until the returned [`Server`] is stopped. Runs on a thread of its own.
///
/// Tokens are kept in memory only: after a restart clients are answered 401 and ask for a new one.
///
/// # Errors
/// [`ServeError`] if the listener, the event loop or the thread cannot be had.
pub fn serve(listener: std::net::TcpListener, directory: Arc<dyn Directory>) -> Result<Server, ServeError> {
    start(listener, directory, Limits::default())
}

/// What one instance may cost the service.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Connections open at once per instance; more are closed at once. A NAT instance shares this among all
    /// machines that reach the service through it.
    connections: usize,
    /// How long a client may take for the head of a request, be idle between two, or leave an answer
    /// unacknowledged that must be delivered before the next.
    patience: Duration,
    /// How long a connection may last whatever it does.
    lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: 32, patience: Duration::from_secs(10), lifetime: Duration::from_secs(60) }
    }
}

/// How long the service waits before it accepts again after accepting failed: such failures (no file
/// descriptors, no memory) do not go away by trying at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

fn start(
    listener: std::net::TcpListener,
    directory: Arc<dyn Directory>,
    limits: Limits,
) -> Result<Server, ServeError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ServeError::EventLoop)?;
    listener.set_nonblocking(true).map_err(ServeError::Listener)?;
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener).map_err(ServeError::Listener)?
    };
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("metadata".into())
        .spawn(move || {
            let service = Rc::new(Service::new(directory, limits));
            LocalSet::new().block_on(&runtime, service.accept(listener, stopped));
        })
        .map_err(ServeError::Thread)?;
    Ok(Server { stop: Some(stop), thread: Some(thread) })
}

/// What all connections of one server share. Lives on the server's thread.
struct Service {
    directory: Arc<dyn Directory>,
    limits: Limits,
    tokens: RefCell<Tokens>,
    /// Open connections of each instance that has any.
    open: RefCell<BTreeMap<InstanceKey, usize>>,
}

impl Service {
    fn new(directory: Arc<dyn Directory>, limits: Limits) -> Self {
        Service { directory, limits, tokens: RefCell::default(), open: RefCell::default() }
    }

    async fn accept(self: Rc<Self>, listener: TcpListener, mut stopped: oneshot::Receiver<()>) {
        loop {
            let accepted = tokio::select! {
                _ = &mut stopped => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(error) => {
                    debug!(%error, "cannot accept a connection");
                    tokio::select! {
                        _ = &mut stopped => return,
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    }
                }
            }
        }
    }

    /// Starts to serve a connection, or closes it if nobody known stands behind it or too many are open.
    fn admit(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        let IpAddr::V4(peer) = peer.ip().to_canonical() else {
            debug!(%peer, "closed: not an IPv4 peer");
            return;
        };
        let caller = self.directory.caller(peer);
        let Some(identity) = caller.as_ref().and_then(Identity::of) else {
            debug!(%peer, "closed: nobody has this address");
            return;
        };
        let Some(place) = Place::take(self, identity.key()) else {
            debug!(%peer, "closed: too many connections of this instance");
            return;
        };
        tokio::task::spawn_local(async move {
            if let Err(error) = connection::run(&place.service, stream, peer).await {
                debug!(%peer, %error, "connection ended");
            }
        });
    }
}

/// One of the connections an instance may have; given back when dropped.
struct Place {
    service: Rc<Service>,
    instance: InstanceKey,
}

impl Place {
    fn take(service: &Rc<Service>, instance: InstanceKey) -> Option<Self> {
        let mut open = service.open.borrow_mut();
        let count = open.entry(instance.clone()).or_default();
        if *count >= service.limits.connections {
            return None;
        }
        *count += 1;
        Some(Place { service: Rc::clone(service), instance })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.service.open.borrow_mut();
        if let Some(count) = open.get_mut(&self.instance) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.instance);
            }
        }
    }
}
