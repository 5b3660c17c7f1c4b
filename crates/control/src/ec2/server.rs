//! HTTP/1.1 on a socket, around a handler that knows none.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;
use tracing::debug;

use super::http::{HttpRequest, HttpResponse};

/// Many times the longest request: user data of 16 KiB.
const MOST_BODY: usize = 1024 * 1024;
/// What one client may take from the others.
const LIMITS: Limits = Limits { connections: 512, patience: Duration::from_secs(30) };
/// How many requests are carried out at the same time. Those that change something mostly wait for the disk, and
/// share its flush.
const MOST_AT_ONCE: usize = 64;
/// How long to wait when no connection can be accepted, as when there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a server does not serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The listener cannot be used.
    #[error("cannot listen: {0}")]
    Listener(#[source] io::Error),
    /// No thread or no event queue for it.
    #[error("cannot start the server: {0}")]
    Start(#[source] io::Error),
}

/// A server that runs until it is dropped. Requests under way are then still answered.
#[derive(Debug)]
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    address: SocketAddr,
}

type Handler = dyn Fn(&HttpRequest) -> HttpResponse + Send + Sync;

/// How much is had at once, and waited for.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Most open connections; more wait in the kernel's queue until one of these ends.
    connections: usize,
    /// For how long the head of a request is waited for, then its body, and then that the client takes the answer. An
    /// idle connection is one whose next head does not come.
    patience: Duration,
}

/// Serves `handler` on `listener`, on threads of its own.
///
/// # Errors
/// [`ServeError`]
pub fn serve(
    listener: std::net::TcpListener,
    handler: impl Fn(&HttpRequest) -> HttpResponse + Send + Sync + 'static,
) -> Result<Server, ServeError> {
    serve_within(LIMITS, listener, handler)
}

fn serve_within(
    limits: Limits,
    listener: std::net::TcpListener,
    handler: impl Fn(&HttpRequest) -> HttpResponse + Send + Sync + 'static,
) -> Result<Server, ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MOST_AT_ONCE)
        .thread_name("api-request")
        .build()
        .map_err(ServeError::Start)?;
    let address = listener.local_addr().map_err(ServeError::Listener)?;
    listener.set_nonblocking(true).map_err(ServeError::Listener)?;
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener).map_err(ServeError::Listener)?
    };
    let (stop, stopped) = oneshot::channel();
    let handler: Arc<Handler> = Arc::new(handler);
    let thread = std::thread::Builder::new()
        .name("api".to_owned())
        .spawn(move || runtime.block_on(accept(limits, listener, handler, stopped)))
        .map_err(ServeError::Start)?;
    Ok(Server { stop: Some(stop), thread: Some(thread), address })
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the API's server has panicked");
        }
    }
}

async fn accept(
    limits: Limits,
    listener: TcpListener,
    handler: Arc<Handler>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    let (closing, closed) = tokio::sync::watch::channel(());
    loop {
        let accepted = tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept(), if connections.len() < limits.connections => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(converse(limits.patience, stream, Arc::clone(&handler), closed.clone()));
            }
            Err(error) => {
                debug!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    drop(closing);
    while connections.join_next().await.is_some() {}
}

async fn converse(
    patience: Duration,
    stream: TcpStream,
    handler: Arc<Handler>,
    mut closing: tokio::sync::watch::Receiver<()>,
) {
    // Answers are one write each: nothing is won by waiting for more.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "no TCP_NODELAY");
    }
    let not_taken = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, not_taken) {
        debug!(%error, "no TCP_USER_TIMEOUT");
    }
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(patience).serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| respond(patience, Arc::clone(&handler), request)),
        );
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = closing.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended");
    }
}

async fn respond(
    patience: Duration,
    handler: Arc<Handler>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = match timeout(patience, Limited::new(body, MOST_BODY).collect()).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Ok(status(StatusCode::PAYLOAD_TOO_LARGE)),
        Err(_) => return Ok(status(StatusCode::REQUEST_TIMEOUT)),
    };
    let headers = head.headers.iter();
    let request = HttpRequest {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: body.to_bytes().into(),
    };
    // It waits for the disk.
    Ok(match spawn_blocking(move || handler(&request)).await {
        Ok(response) => written(response),
        Err(_) => status(StatusCode::INTERNAL_SERVER_ERROR),
    })
}

fn written(response: HttpResponse) -> Response<Full<Bytes>> {
    let mut written = Response::new(Full::from(response.body));
    *written.status_mut() =
        StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            written.headers_mut().insert(name, value);
        }
    }
    written
}

fn status(code: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = code;
    response
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);

    fn start(limits: Limits) -> Server {
        let answer = |_: &HttpRequest| HttpResponse::empty(200);
        serve_within(limits, TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), answer).unwrap()
    }

    fn send(server: &Server, text: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        BufReader::new(stream)
    }

    fn status_line(connection: &mut BufReader<TcpStream>) -> io::Result<String> {
        let mut line = String::new();
        connection.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    #[test]
    fn who_never_ends_a_request_is_let_go() {
        let server = start(Limits { connections: 9, patience: SHORT });
        for beginning in ["", "POST / HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
            let mut connection = send(&server, beginning);
            let mut rest = Vec::new();
            connection.read_to_end(&mut rest).unwrap();
            assert!(!String::from_utf8(rest).unwrap().contains("200 OK"));
        }
        let mut connection = send(&server, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
        assert_eq!(status_line(&mut connection).unwrap(), "HTTP/1.1 408 Request Timeout");
        connection.read_to_end(&mut Vec::new()).unwrap();
    }

    #[test]
    fn too_many_connections_wait() {
        let server = start(Limits { connections: 2, patience: Duration::from_secs(60) });
        let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut first = send(&server, request);
        let mut second = send(&server, request);
        for open in [&mut first, &mut second] {
            assert_eq!(status_line(open).unwrap(), "HTTP/1.1 200 OK");
        }
        let mut third = send(&server, request);
        third.get_ref().set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(status_line(&mut third).unwrap_err().kind(), ErrorKind::WouldBlock);
        third.get_ref().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        drop(first);
        assert_eq!(status_line(&mut third).unwrap(), "HTTP/1.1 200 OK");
    }
}
