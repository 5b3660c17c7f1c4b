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
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tracing::debug;

use crate::seats::Seats;
use crate::{Directory, ServeError, Server};
use identity::{Identity, InstanceKey};
use token::Tokens;

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
    Server::start("metadata", move |stopped| {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        Ok(Rc::new(Service::new(directory, limits)).accept(listener, stopped))
    })
}

/// What all connections of one server share. Lives on the server's thread.
struct Service {
    directory: Arc<dyn Directory>,
    limits: Limits,
    tokens: RefCell<Tokens>,
    open: Rc<Seats<InstanceKey>>,
}

impl Service {
    fn new(directory: Arc<dyn Directory>, limits: Limits) -> Self {
        let open = Seats::new(limits.connections, usize::MAX);
        Service { directory, limits, tokens: RefCell::default(), open }
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
        let Some(seat) = self.open.take(identity.key()) else {
            debug!(%peer, "closed: too many connections of this instance");
            return;
        };
        let service = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let _seat = seat;
            if let Err(error) = connection::run(&service, stream, peer).await {
                debug!(%peer, %error, "connection ended");
            }
        });
    }
}
