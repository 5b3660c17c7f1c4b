//! The server around the API.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use control::ec2::{HttpRequest, HttpResponse, Server, serve};

fn start(handler: impl Fn(&HttpRequest) -> HttpResponse + Send + Sync + 'static) -> Server {
    serve(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), handler).unwrap()
}

fn echo(request: &HttpRequest) -> HttpResponse {
    let body =
        [request.method.as_bytes(), b" ", request.path.as_bytes(), b"?", request.query.as_bytes(), b" "];
    let body = [body.concat(), request.body.clone()].concat();
    HttpResponse { status: 202, headers: vec![("content-type".into(), "text/plain".into())], body }
}

fn connect(server: &Server) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    BufReader::new(stream)
}

fn post(connection: &mut BufReader<TcpStream>, target: &str, body: &[u8]) {
    let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    let _ = connection.get_mut().write_all(&[head.as_bytes(), body].concat());
}

/// Status and body of the next answer.
fn answer(connection: &mut BufReader<TcpStream>) -> (String, String) {
    let (mut status, mut length) = (String::new(), 0);
    connection.read_line(&mut status).unwrap();
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    (status.trim().to_owned(), String::from_utf8(body).unwrap())
}

#[test]
fn requests_on_one_connection() {
    let server = start(echo);
    let mut connection = connect(&server);
    post(&mut connection, "/a?b=c", b"body");
    post(&mut connection, "/", b"");
    assert_eq!(answer(&mut connection), ("HTTP/1.1 202 Accepted".into(), "POST /a?b=c body".into()));
    assert_eq!(answer(&mut connection).1, "POST /? ");
}

#[test]
fn a_body_that_is_too_long() {
    let server = start(echo);
    let mut connection = connect(&server);
    post(&mut connection, "/", &vec![b'x'; 1024 * 1024 + 1]);
    assert_eq!(answer(&mut connection).0, "HTTP/1.1 413 Payload Too Large");
    let mut connection = connect(&server);
    post(&mut connection, "/", &vec![b'x'; 1024 * 1024]);
    assert_eq!(answer(&mut connection).0, "HTTP/1.1 202 Accepted");
}

#[test]
fn a_handler_that_panics_is_one_answer() {
    let server = start(|request| if request.path == "/bad" { panic!("on purpose") } else { echo(request) });
    let mut connection = connect(&server);
    post(&mut connection, "/bad", b"");
    post(&mut connection, "/", b"");
    assert_eq!(answer(&mut connection).0, "HTTP/1.1 500 Internal Server Error");
    assert_eq!(answer(&mut connection).0, "HTTP/1.1 202 Accepted");
}

/// A request that is being carried out when the server goes is still answered, idle connections are closed, and new
/// ones are not accepted.
#[test]
fn an_end_with_requests_under_way() {
    let (started, start_seen) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let server = start(move |request| {
        if request.path == "/slow" {
            started.send(()).unwrap();
            gone.lock().unwrap().recv().unwrap();
        }
        echo(request)
    });
    let address = server.address();
    let (mut slow, mut idle) = (connect(&server), connect(&server));
    post(&mut idle, "/", b"");
    answer(&mut idle);
    post(&mut slow, "/slow", b"");
    start_seen.recv().unwrap();
    let ending = std::thread::spawn(move || drop(server));
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    go.send(()).unwrap();
    assert_eq!(answer(&mut slow).1, "POST /slow? ");
    ending.join().unwrap();
    assert!(TcpStream::connect(address).is_err());
}
