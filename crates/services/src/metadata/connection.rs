//! One connection: HTTP/1.1 on it, and the IP TTL its answers leave with.
//!
//! The answer to a token request must not travel further than the instance's hop limit; every other answer
//! travels as far as it likes. The TTL is a property of the socket and also marks what the kernel sends again
//! later, so it is changed only while nothing is on its way: all that was answered before has been given
//! to the kernel and acknowledged by the client. Otherwise a token lost to its hop limit would be sent again
//! with the TTL of the next, pipelined answer, and arrive.

use std::cell::Cell;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Service;
use super::answer::{answer, is_token_put};
use super::identity::Identity;

/// The IP TTL of all answers but a token's: Linux' default, whatever the namespace's is.
const PLAIN_TTL: u8 = 64;

/// How often an unacknowledged connection is looked at. Nothing tells when the last byte is acknowledged.
const ACKNOWLEDGED_POLL: Duration = Duration::from_millis(2);

const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 64;

/// Why a connection ended before its client wanted it to.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    /// Not HTTP, not in time, or the socket failed.
    #[error(transparent)]
    Http(#[from] hyper::Error),
    /// The peer address has no owner any more.
    #[error("nobody has this address any more")]
    Unknown,
    /// An earlier answer was not acknowledged in time.
    #[error("an earlier answer was not acknowledged")]
    Unacknowledged,
    /// The socket refused its TTL.
    #[error("cannot set up the socket: {0}")]
    Socket(#[from] io::Error),
    /// It lasted too long.
    #[error("the connection's time is over")]
    Lifetime,
}

/// Serves a connection until its client or a limit ends it.
pub(super) async fn run(service: &Service, stream: TcpStream, peer: Ipv4Addr) -> Result<(), ConnectionError> {
    let limits = service.limits;
    let line = Rc::new(Line::new(stream)?);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.patience)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS)
            .half_close(true)
            .serve_connection(
                TokioIo::new(LineIo(Rc::clone(&line))),
                service_fn(|request| respond(service, &line, peer, request)),
            )
    );
    if let Ok(ended) = timeout(limits.lifetime, connection.as_mut()).await {
        return Ok(ended?);
    }
    connection.as_mut().graceful_shutdown();
    Ok(timeout(limits.patience, connection).await.map_err(|_| ConnectionError::Lifetime)??)
}

async fn respond(
    service: &Service,
    line: &Line,
    peer: Ipv4Addr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, ConnectionError> {
    // Asked again for each request: an instance's address or user may have changed on a kept connection.
    let caller = service.directory.caller(peer).ok_or(ConnectionError::Unknown)?;
    let identity = Identity::of(&caller).ok_or(ConnectionError::Unknown)?;
    let ttl = if is_token_put(&request) { identity.hop_limit() } else { PLAIN_TTL };
    timeout(service.limits.patience, line.set_ttl(ttl))
        .await
        .map_err(|_| ConnectionError::Unacknowledged)??;
    Ok(answer(&request, &identity, &mut service.tokens.borrow_mut(), Instant::now()))
}

/// A connection's socket, and what must be known to change its TTL safely.
struct Line {
    stream: TcpStream,
    ttl: Cell<u8>,
    /// Whether the HTTP layer has begun to write something that the kernel has not taken whole.
    unsent: Cell<bool>,
}

impl Line {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_ttl(PLAIN_TTL.into())?;
        Ok(Line { stream, ttl: Cell::new(PLAIN_TTL), unsent: Cell::new(false) })
    }

    /// From the next answer on, packets leave with this TTL. If it differs from the one in force, this waits
    /// until all earlier answers have arrived.
    async fn set_ttl(&self, ttl: u8) -> io::Result<()> {
        if self.ttl.get() == ttl {
            return Ok(());
        }
        while self.unsent.get() || self.unacknowledged()? > 0 {
            sleep(ACKNOWLEDGED_POLL).await;
        }
        self.stream.set_ttl(ttl.into())?;
        self.ttl.set(ttl);
        Ok(())
    }

    /// Bytes the kernel has taken and the client has not acknowledged (SIOCOUTQ, tcp(7)).
    fn unacknowledged(&self) -> io::Result<libc::c_int> {
        let mut bytes = 0;
        // SAFETY: the descriptor is open, and TIOCOUTQ (the same number as SIOCOUTQ) writes one int.
        let result = unsafe { libc::ioctl(self.stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(bytes) }
    }
}

/// The line as the HTTP layer sees it.
struct LineIo(Rc<Line>);

impl AsyncRead for LineIo {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.stream.poll_read_ready(context))?;
            match self.0.stream.try_read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(|bytes| buffer.advance(bytes))),
            }
        }
    }
}

impl AsyncWrite for LineIo {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.unsent.set(true);
        loop {
            ready!(self.0.stream.poll_write_ready(context))?;
            match self.0.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// Called when everything written so far has been taken by [`Self::poll_write`].
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.unsent.set(false);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(&self.0.stream, rustix::net::Shutdown::Write).map_err(Into::into))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Read, Write};

    use super::*;

    use crate::metadata::Limits;
    use crate::{Caller, Directory};

    const SOON: Duration = Duration::from_millis(100);
    const LATE: Duration = Duration::from_secs(60);

    struct Nobody;

    impl Directory for Nobody {
        fn regions(&self) -> Vec<std::sync::Arc<model::Region>> {
            Vec::new()
        }

        fn caller(&self, _: Ipv4Addr) -> Option<Caller> {
            None
        }
    }

    /// How the service ends a connection on which the client has sent `sent` and stays.
    async fn end(patience: Duration, lifetime: Duration, sent: &[u8]) -> Result<(), ConnectionError> {
        let service =
            Service::new(std::sync::Arc::new(Nobody), Limits { connections: 1, patience, lifetime });
        let (line, mut client) = line();
        client.write_all(sent).unwrap();
        timeout(10 * SOON, super::run(&service, line.stream, Ipv4Addr::LOCALHOST)).await.unwrap()
    }

    /// A line and its client.
    fn line() -> (Line, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        (Line::new(TcpStream::from_std(accepted).unwrap()).unwrap(), client)
    }

    fn run(test: impl AsyncFnOnce()) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test());
    }

    #[test]
    fn idle_and_slow_clients_are_not_waited_for() {
        run(async || {
            for sent in ["", "GET / HTTP/1.1\r\nHost:"] {
                let ended = end(SOON, LATE, sent.as_bytes()).await;
                assert!(
                    matches!(&ended, Err(ConnectionError::Http(error)) if error.is_timeout()),
                    "{ended:?}"
                );
            }
        });
    }

    #[test]
    fn no_connection_lasts_for_ever() {
        run(async || assert!(end(LATE, SOON, b"").await.is_ok()));
    }

    #[test]
    fn a_request_of_nobody_ends_the_connection() {
        run(async || {
            let ended = end(LATE, LATE, b"GET / HTTP/1.1\r\n\r\n").await;
            assert!(matches!(&ended, Err(ConnectionError::Http(error)) if error.is_user()), "{ended:?}");
        });
    }

    #[test]
    fn the_ttl_is_in_force_when_set() {
        run(async || {
            let (line, _client) = line();
            assert_eq!(line.stream.ttl().unwrap(), 64);
            for ttl in [1, 64, 3] {
                line.set_ttl(ttl).await.unwrap();
                assert_eq!(line.stream.ttl().unwrap(), u32::from(ttl));
            }
        });
    }

    #[test]
    fn the_ttl_waits_for_what_is_on_its_way() {
        run(async || {
            let (line, mut client) = line();
            // More than both socket buffers hold, so some of it stays unacknowledged.
            line.stream.writable().await.unwrap();
            while line.stream.try_write(&[0; 65536]).is_ok() {}
            assert!(timeout(SOON, line.set_ttl(1)).await.is_err());
            assert_eq!(line.stream.ttl().unwrap(), 64);

            client.set_read_timeout(Some(SOON)).unwrap();
            while client.read(&mut [0; 65536]).is_ok() {}
            timeout(SOON, line.set_ttl(1)).await.unwrap().unwrap();
            assert_eq!(line.stream.ttl().unwrap(), 1);
        });
    }

    #[test]
    fn the_ttl_waits_for_what_is_not_yet_sent() {
        run(async || {
            let (line, _client) = line();
            let line = Rc::new(line);
            let mut io = LineIo(Rc::clone(&line));
            // Half of an answer is written and arrives; the other half is still to be written.
            poll_fn(|context| Pin::new(&mut io).poll_write(context, b"half")).await.unwrap();
            assert!(timeout(SOON, line.set_ttl(1)).await.is_err());
            poll_fn(|context| Pin::new(&mut io).poll_flush(context)).await.unwrap();
            timeout(SOON, line.set_ttl(1)).await.unwrap().unwrap();
        });
    }
}
