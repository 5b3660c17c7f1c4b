//! The VPC's resolver (VPC User Guide, "Amazon DNS server"): the names that Amazon gives, by the state of the caller's
//! region, and everything else by somebody who is asked for it.
//!
//! Who asks is known by the port that the question came from, as for instance metadata. Names mean what they mean in
//! the asker's VPC.

mod dns64;
mod message;
mod names;
mod resolver;
mod upstream;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::debug;

use crate::seats::Seats;
use crate::{Directory, ServeError, Server};
use message::Transport;
use resolver::Resolver;

/// A server that is asked what the cloud does not know.
pub struct Upstream {
    /// Where it answers, over UDP and TCP.
    pub server: SocketAddr,
    /// Called first of all on the server's thread, to take it to the network in which `server` is to be found.
    pub enter: Box<dyn FnOnce() -> io::Result<()> + Send>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Answers questions on `udp` and `tcp`, which the caller has bound (to 169.254.169.253:53) in the namespace that the
/// service lives in, until the returned [`Server`] is stopped. Runs on a thread of its own. Without an `upstream` what is not known here
/// is answered with SERVFAIL, and so is one question too many while others wait for their answers.
///
/// # Errors
/// [`ServeError`] if the sockets, the upstream's network, the event loop or the thread cannot be had.
pub fn serve(
    udp: std::net::UdpSocket,
    tcp: std::net::TcpListener,
    directory: Arc<dyn Directory>,
    upstream: Option<Upstream>,
) -> Result<Server, ServeError> {
    Server::start("resolver", move |stopped| {
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        let (udp, tcp) = (UdpSocket::from_std(udp)?, TcpListener::from_std(tcp)?);
        let server = match upstream {
            Some(Upstream { server, enter }) => {
                enter()?;
                Some(server)
            }
            None => None,
        };
        let service = Service {
            resolver: Resolver::new(Arc::clone(&directory), server),
            directory,
            questions: Seats::new(QUESTIONS, ALL_QUESTIONS),
            connections: Seats::new(CONNECTIONS, ALL_CONNECTIONS),
        };
        Ok(Rc::new(service).run(udp, tcp, stopped))
    })
}

/// Questions of one interface, and of all, that wait for an answer at once; each may hold a socket open.
const QUESTIONS: usize = 128;
const ALL_QUESTIONS: usize = 1024;
/// Connections that are open at once.
const CONNECTIONS: usize = 16;
const ALL_CONNECTIONS: usize = 512;
/// How long a client may be silent on a connection, and have one whatever it does (RFC 7766 section 6.2.3).
const SILENCE: Duration = Duration::from_secs(10);
const LIFETIME: Duration = Duration::from_secs(60);
/// How long the service waits after a failure that does not go away by trying at once.
const PAUSE: Duration = Duration::from_millis(100);

/// What all questions share. Lives on the server's thread.
struct Service {
    directory: Arc<dyn Directory>,
    resolver: Resolver,
    questions: Rc<Seats<Ipv4Addr>>,
    connections: Rc<Seats<Ipv4Addr>>,
}

impl Service {
    async fn run(self: Rc<Self>, udp: UdpSocket, tcp: TcpListener, mut stopped: oneshot::Receiver<()>) {
        let udp = Rc::new(udp);
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            let failure = tokio::select! {
                _ = &mut stopped => return,
                received = udp.recv_from(&mut buffer) => match received {
                    Ok((length, peer)) => {
                        self.datagram(&udp, &buffer[..length], peer);
                        continue;
                    }
                    Err(error) => error,
                },
                accepted = tcp.accept() => match accepted {
                    Ok((stream, peer)) => {
                        self.connection(stream, peer);
                        continue;
                    }
                    Err(error) => error,
                },
            };
            debug!(error = %failure, "cannot receive");
            tokio::select! {
                _ = &mut stopped => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    fn datagram(self: &Rc<Self>, udp: &Rc<UdpSocket>, bytes: &[u8], peer: SocketAddr) {
        let Some(who) = caller_address(peer) else { return };
        let Some(seat) = self.questions.take(who) else {
            // If this cannot be sent at once either, it is lost like any datagram.
            if let Some(answer) = resolver::decline(bytes) {
                drop(udp.try_send_to(&answer, peer));
            }
            return;
        };
        let (service, udp, bytes) = (Rc::clone(self), Rc::clone(udp), bytes.to_vec());
        tokio::task::spawn_local(async move {
            let _seat = seat;
            if let Some(answer) = service.answer(who, &bytes, Transport::Udp).await
                && let Err(error) = udp.send_to(&answer, peer).await
            {
                debug!(%peer, %error, "cannot answer");
            }
        });
    }

    fn connection(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        let Some(who) = caller_address(peer) else { return };
        let Some(seat) = self.connections.take(who) else {
            debug!(%peer, "closed: too many connections of this interface");
            return;
        };
        let service = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let _seat = seat;
            match timeout(LIFETIME, service.converse(stream, who)).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(error)) => debug!(%peer, %error, "connection ended"),
            }
        });
    }

    /// Answers one question after the other (RFC 1035 section 4.2.2), until the client has no more.
    async fn converse(&self, mut stream: TcpStream, who: Ipv4Addr) -> io::Result<()> {
        loop {
            let Ok(question) = timeout(SILENCE, read(&mut stream)).await else { return Ok(()) };
            let Some(question) = question? else { return Ok(()) };
            let Some(answer) = self.answer(who, &question, Transport::Tcp).await else { return Ok(()) };
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await?;
        }
    }

    async fn answer(&self, who: Ipv4Addr, bytes: &[u8], over: Transport) -> Option<Vec<u8>> {
        // Asked each time: an interface may leave its port.
        let caller = self.directory.caller(who)?;
        self.resolver.answer(&caller, bytes, over).await
    }
}

/// The next question; none if the client has closed.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 2];
    match stream.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes).await?;
    Ok(Some(bytes))
}

fn caller_address(peer: SocketAddr) -> Option<Ipv4Addr> {
    match peer.ip().to_canonical() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}
