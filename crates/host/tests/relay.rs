//! Two namespaces, and a third between them that relays.

#![allow(clippy::unwrap_used, reason = "a failed test panics, in what it calls as well")]

mod scratch;

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use host::relay::{Relay, RelayError, RelayLink};
use scratch::Scratch;

const DELAY: Duration = Duration::from_millis(15);
const NEAR: &str = "198.51.100.1:7000";
const FAR: &str = "198.51.100.2:7000";

struct Path {
    near: Scratch,
    far: Scratch,
    middle: Scratch,
}

impl Path {
    /// near:eth0 - middle:near0, middle:far0 - far:eth0.
    fn new(name: &str) -> Path {
        let scratch = |end: &str| Scratch::new(&format!("{name}-{end}"));
        let path = Path { near: scratch("near"), far: scratch("far"), middle: scratch("middle") };
        for (end, link, address) in
            [(&path.near, "near0", "198.51.100.1/24"), (&path.far, "far0", "198.51.100.2/24")]
        {
            path.middle.ip(&format!("link add dev {link} type veth peer name eth0 netns {}", end.name()));
            path.middle.ip(&format!("link set {link} up"));
            end.ip(&format!("address add {address} dev eth0"));
            end.ip("link set eth0 up");
        }
        path
    }

    fn relay(&self) -> Relay {
        let link = RelayLink { a: "near0".to_owned(), b: "far0".to_owned(), delay: DELAY };
        Relay::start(&self.middle, vec![link]).unwrap()
    }
}

fn bind(namespace: &Scratch, address: &str) -> UdpSocket {
    let socket = namespace.run(|| UdpSocket::bind(address)).unwrap().unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket
}

#[test]
fn an_answer_takes_twice_the_delay() {
    let path = Path::new("rtt");
    let relay = path.relay();
    let (near, far) = (bind(&path.near, NEAR), bind(&path.far, FAR));
    let mut buffer = [0; 16];
    // The first exchange resolves addresses as well.
    for _ in 0..5 {
        let start = Instant::now();
        near.send_to(b"ping", FAR).unwrap();
        let (length, from) = far.recv_from(&mut buffer).unwrap();
        assert!(start.elapsed() >= DELAY);
        far.send_to(&buffer[..length], from).unwrap();
        let (_, from) = near.recv_from(&mut buffer).unwrap();
        assert_eq!(from, FAR.parse::<SocketAddr>().unwrap());
        assert!(start.elapsed() >= 2 * DELAY);
    }
    assert_eq!(relay.dropped(), 0);
}

#[test]
fn frames_keep_their_order() {
    let path = Path::new("order");
    let _relay = path.relay();
    let (near, far) = (bind(&path.near, NEAR), bind(&path.far, FAR));
    near.send_to(b"resolve", FAR).unwrap();
    far.recv_from(&mut [0; 16]).unwrap();
    let mut received = Vec::new();
    // In rounds, since the receiver's own buffer is small.
    for round in 0..10_u32 {
        for number in round * 100..(round + 1) * 100 {
            near.send_to(&number.to_be_bytes(), FAR).unwrap();
        }
        for _ in 0..100 {
            let mut buffer = [0; 4];
            far.recv_from(&mut buffer).unwrap();
            received.push(u32::from_be_bytes(buffer));
        }
    }
    assert_eq!(received, (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_stream_passes_unharmed() {
    use std::io::{Read, Write};
    let path = Path::new("tcp");
    let relay = path.relay();
    let listener = path.far.run(|| TcpListener::bind(FAR)).unwrap().unwrap();
    let sent: Vec<u8> = (0..4_000_000_u32).map(|at| (at / 7) as u8).collect();
    let mut received = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = path.near.run(|| TcpStream::connect(FAR)).unwrap().unwrap();
            stream.write_all(&sent).unwrap();
        });
        listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
    });
    assert!(received == sent);
    assert_eq!(relay.dropped(), 0);
}

#[test]
fn nothing_passes_once_it_is_dropped() {
    let path = Path::new("drop");
    let relay = path.relay();
    let (near, far) = (bind(&path.near, NEAR), bind(&path.far, FAR));
    near.send_to(b"resolve", FAR).unwrap();
    far.recv_from(&mut [0; 16]).unwrap();
    drop(relay);
    near.send_to(b"lost", FAR).unwrap();
    far.set_read_timeout(Some(4 * DELAY)).unwrap();
    assert!(far.recv_from(&mut [0; 16]).is_err());
}

#[test]
fn a_link_that_is_not_there_is_named() {
    let middle = Scratch::new("nolink");
    let link = RelayLink { a: "lo".to_owned(), b: "absent0".to_owned(), delay: DELAY };
    let error = Relay::start(&middle, vec![link]).unwrap_err();
    assert!(matches!(&error, RelayError::Link { link, .. } if link == "absent0"), "{error}");
}
