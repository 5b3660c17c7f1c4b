//! Packet sockets on the two ends of a veth pair.

#![allow(clippy::unwrap_used, reason = "a failed test panics, in what it calls as well")]

mod scratch;

use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use host::packet_socket::PacketSocket;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};
use scratch::Scratch;
use wire::{Frame, Mac, Offload, TcpFlags, build};

const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// What came in, by value.
#[derive(Debug, PartialEq, Eq)]
struct Arrival {
    port: u32,
    tagged: bool,
    truncated: bool,
    frame: Frame,
}

struct Pair {
    namespace: Scratch,
    socket: PacketSocket,
    left: u32,
    right: u32,
}

impl Pair {
    fn new(name: &str) -> Pair {
        let namespace = Scratch::new(name);
        namespace
            .run(|| std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"))
            .unwrap()
            .unwrap();
        namespace.ip("link add left type veth peer name right");
        for link in ["left", "right"] {
            namespace.ip(&format!("link set {link} mtu 9001 up"));
        }
        let socket = namespace.run(PacketSocket::open).unwrap().unwrap();
        let mut pair = Pair { namespace, socket, left: 0, right: 0 };
        (pair.left, pair.right) = (pair.index("left"), pair.index("right"));
        pair
    }

    fn index(&self, link: &str) -> u32 {
        let socket = || socket(AddressFamily::INET, SocketType::DGRAM, None);
        self.namespace.run(|| name_to_index(socket()?, link)).unwrap().unwrap()
    }

    /// The next frames, at least `count` unless a second passes.
    fn arrivals(&mut self, count: usize) -> Vec<Arrival> {
        self.arrivals_within(count, Duration::from_secs(1))
    }

    fn arrivals_within(&mut self, count: usize, time: Duration) -> Vec<Arrival> {
        let until = Instant::now() + time;
        let mut all = Vec::new();
        while all.len() < count {
            let left = until.saturating_duration_since(Instant::now());
            let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
            if rustix::event::poll(&mut fds, Some(&Timespec::try_from(left).unwrap())).unwrap() == 0 {
                break;
            }
            self.socket
                .split()
                .0
                .receive(&mut |r| {
                    let frame = std::mem::take(r.frame);
                    all.push(Arrival { port: r.port, tagged: r.tagged, truncated: r.truncated, frame });
                })
                .unwrap();
        }
        all
    }

    /// That a frame sent at the left arrives at the right as it is, and nothing else does.
    fn carries(&mut self, frame: Frame) {
        self.socket.split().1.send(self.left, &frame).unwrap();
        let expected = Arrival { port: self.right, tagged: false, truncated: false, frame };
        let arrivals = self.arrivals(1);
        // Not assert_eq: 64 KiB of bytes tell nobody anything.
        assert!(arrivals == [expected], "{:?}", arrivals.first().map(|arrival| arrival.frame.offload));
    }
}

#[test]
fn frames_arrive_whole_at_the_other_end_only() {
    let mut pair = Pair::new("frames");
    pair.carries(build::udp(A, B, 1000, 53, b"question"));
    pair.carries(build::ethernet(Mac([2, 0, 0, 0, 0, 1]), Mac::BROADCAST, 0x0806, &[0; 46]));
    pair.carries(build::ethernet(Mac([2, 0, 0, 0, 0, 1]), Mac::BROADCAST, 0x86dd, &[0x60; 60]));
    pair.carries(build::udp(A, B, 1000, 53, &[7; 8900]));
    assert_eq!(pair.socket.split().0.kernel_drops().unwrap(), 0);
}

#[test]
fn a_segment_far_beyond_the_mtu_stays_whole_with_its_offload() {
    let mut pair = Pair::new("gso");
    let mut frame = build::tcp(A, B, 1000, 80, TcpFlags(0x18), &[9; 65_000]).with_partial_checksum();
    frame.offload = Offload { gso_type: 1, hdr_len: 54, gso_size: 1448, ..frame.offload };
    assert!(frame.offload.needs_csum() && frame.bytes.len() > 65_000);
    pair.carries(frame);
}

#[test]
fn a_tagged_frame_is_seen_once_and_as_tagged() {
    let mut pair = Pair::new("vlan");
    let plain = build::udp(A, B, 1000, 53, b"question");
    let mut tagged = plain.clone();
    tagged.bytes.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
    // Stamps are switched on by a kernel worker, a little after the sockets are open.
    std::thread::sleep(Duration::from_millis(100));
    for frame in [&plain, &tagged, &plain, &tagged, &tagged, &plain] {
        pair.socket.split().1.send(pair.left, frame).unwrap();
    }
    let arrivals = pair.arrivals(6);
    assert_eq!(arrivals.iter().filter(|arrival| arrival.tagged).count(), 3);
    assert_eq!(arrivals.len(), 6);
    assert!(arrivals.iter().all(|arrival| arrival.frame == plain && arrival.port == pair.right));
    assert_eq!(pair.arrivals(1), []);
}

#[test]
fn a_flood_on_one_link_costs_other_links_nothing() {
    let mut pair = Pair::new("flood");
    pair.namespace.ip("link add near type veth peer name far");
    for link in ["near", "far"] {
        pair.namespace.ip(&format!("link set {link} up"));
    }
    let (near, far) = (pair.index("near"), pair.index("far"));
    let frame = build::udp(A, B, 1000, 53, b"question");
    const FLOOD: usize = 50_000;
    for _ in 0..FLOOD {
        pair.socket.split().1.send(pair.left, &frame).unwrap();
    }
    pair.socket.split().1.send(near, &frame).unwrap();
    let arrivals = pair.arrivals(FLOOD + 1);
    let dropped = pair.socket.split().0.kernel_drops().unwrap();
    assert!(dropped > 0);
    assert_eq!(arrivals.len() + dropped as usize, FLOOD + 1);
    assert_eq!(arrivals.iter().filter(|arrival| arrival.port == far).count(), 1);
}

#[test]
fn what_the_kernel_refuses_is_an_error() {
    let mut pair = Pair::new("refused");
    let frame = build::udp(A, B, 1000, 53, b"question");
    let offload = Offload { flags: 1, csum_start: 5000, csum_offset: 6, ..Offload::default() };
    let refused = pair.socket.split().1.send(pair.left, &Frame { offload, ..frame.clone() }).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(22));
    assert_eq!(pair.socket.split().1.send(9999, &frame).unwrap_err().raw_os_error(), Some(6));
    let short = pair.socket.split().1.send(pair.left, &Frame::new(vec![0; 13])).unwrap_err();
    assert_eq!(short.kind(), io::ErrorKind::InvalidInput);
    pair.carries(frame);
}
