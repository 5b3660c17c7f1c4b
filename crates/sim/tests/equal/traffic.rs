//! What is sent: mostly such that it has a chance, answers and errors about what arrived among it.

use std::net::{IpAddr, SocketAddr};

use engine::{PortId, ROUTER_MAC};
use proptest::prelude::*;
use sim::{icmp_error, reference::Picture};
use wire::{FlowProto, Frame, Mac, Packet, TcpFlags, build, nat64};

use crate::topology::{self, Declaration, HOSTS, Topology, UPLINK, UPLINK_MAC, host_mac};

/// One step of a case.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Something new.
    New { from: u8, to: u8, kind: u8, ports: (u8, u8), size: u16, ttl: u8, whims: u8 },
    /// The answer to something that arrived.
    Answer { which: u8, flags: u8 },
    /// What was sent before, once more.
    Again { which: u8, flags: u8 },
    /// An ICMP error about something that arrived, by its receiver or by a router before it.
    Error { which: u8, kind: u8, by: u8 },
    /// To the sender of something that arrived, from somebody else or another port.
    Knock { which: u8, from: u8, kind: u8, port: u8 },
    /// So many seconds pass.
    Wait(u64),
    /// Something is declared.
    Change(Declaration),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let n = any::<u8>;
    let size = prop_oneof![12 => 0..64_u16, 1 => 1340..1520_u16, 1 => 8900..9100_u16];
    let ttl = prop_oneof![12 => Just(64_u8), 1 => 0..4_u8];
    let seconds = proptest::sample::select(vec![
        1, 10, 29, 30, 31, 59, 60, 61, 119, 120, 121, 170, 180, 239, 240, 299, 300, 349, 350, 600, 7439,
        432_000,
    ]);
    prop_oneof![
        30 => (n(), n(), n(), (n(), n()), size, ttl, n())
            .prop_map(|(from, to, kind, ports, size, ttl, whims)| Step::New { from, to, kind, ports, size, ttl, whims }),
        28 => (n(), n()).prop_map(|(which, flags)| Step::Answer { which, flags }),
        14 => (n(), n()).prop_map(|(which, flags)| Step::Again { which, flags }),
        8 => (n(), n(), n()).prop_map(|(which, kind, by)| Step::Error { which, kind, by }),
        10 => (n(), n(), n(), n()).prop_map(|(which, from, kind, port)| Step::Knock { which, from, kind, port }),
        8 => seconds.prop_map(Step::Wait),
        3 => topology::declaration().prop_map(Step::Change),
    ]
}

/// What was sent and what arrived so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Past {
    pub(crate) sent: Vec<(PortId, Frame)>,
    pub(crate) arrived: Vec<(PortId, Frame)>,
}

const PORTS: [u16; 5] = [53, 80, 500, 5000, 5001];
const FLAGS: [TcpFlags; 6] = [
    TcpFlags::SYN,
    TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0),
    TcpFlags::ACK,
    TcpFlags(TcpFlags::FIN.0 | TcpFlags::ACK.0),
    TcpFlags::RST,
    TcpFlags(TcpFlags::RST.0 | TcpFlags::ACK.0),
];

fn pick<T: Clone>(from: &[T], which: u8) -> T {
    from[usize::from(which) % from.len()].clone()
}

impl Past {
    /// The frame of a step that sends one, and the port that it comes from.
    pub(crate) fn frame(&self, topology: &Topology, step: &Step) -> Option<(PortId, Frame)> {
        match *step {
            Step::New { from, to, kind, ports, size, ttl, whims } => {
                Some(new(topology, from, to, kind, ports, size, ttl, whims))
            }
            Step::Answer { which, flags } => {
                self.recent(&self.arrived, which).and_then(|it| answer(topology, it, flags))
            }
            Step::Again { which, flags } => self.recent(&self.sent, which).map(|it| again(it, flags)),
            Step::Error { which, kind, by } => {
                self.recent(&self.arrived, which).and_then(|it| error(topology, it, kind, by))
            }
            Step::Knock { which, from, kind, port } => {
                self.recent(&self.arrived, which).and_then(|it| knock(topology, it, from, kind, port))
            }
            Step::Wait(_) | Step::Change(_) => None,
        }
    }

    /// Mostly one of the last few.
    fn recent<'a>(&self, of: &'a [(PortId, Frame)], which: u8) -> Option<&'a (PortId, Frame)> {
        let back = if which % 4 == 3 { usize::from(which) / 4 } else { usize::from(which) / 4 % 3 };
        of.len().checked_sub(1 + back % of.len().max(1)).map(|at| &of[at])
    }
}

/// Everywhere that something can be sent to.
fn destinations(topology: &Topology) -> Vec<IpAddr> {
    let machines = topology.machines.iter().flat_map(|machine| machine.addresses.clone());
    let hosts = HOSTS.iter().cycle().take(12).copied();
    let embed = |address: IpAddr| match address {
        IpAddr::V4(v4) => nat64::embed(nat64::WELL_KNOWN_PREFIX, 96, v4).map(IpAddr::V6),
        IpAddr::V6(_) => None,
    };
    let behind_nat64 = HOSTS.iter().cycle().take(6).copied().chain(topology.public()).filter_map(embed);
    let inside = ["10.0.1.10", "10.0.2.4"].map(|text| embed(text.parse().unwrap()).unwrap());
    let odd = [
        "10.0.1.1",
        "10.0.0.1",
        "10.0.0.4",
        "10.0.2.4",
        "10.0.9.9",
        "198.51.100.77",
        "203.0.113.250",
        "8.8.8.8",
        "fe80:ec2::1",
        "2001:db8:100:1::77",
        "10.0.0.2",
    ];
    let odd = odd.map(|text| text.parse().unwrap());
    let all = machines.chain(hosts).chain(behind_nat64).chain(inside).chain(topology.public());
    all.chain(odd).collect()
}

#[expect(clippy::too_many_arguments, reason = "a packet has so many parts")]
fn new(
    topology: &Topology,
    from: u8,
    to: u8,
    kind: u8,
    (sport, dport): (u8, u8),
    size: u16,
    ttl: u8,
    whims: u8,
) -> (PortId, Frame) {
    let (sport, dport) = (pick(&PORTS, sport), pick(&PORTS, dport));
    let from_host = from % 5 == 4;
    let mut all = destinations(topology);
    if from_host && !whims.is_multiple_of(4) {
        all = topology.public();
        all.extend(
            topology
                .machines
                .iter()
                .flat_map(|machine| machine.addresses.iter().copied())
                .filter(IpAddr::is_ipv6),
        );
    }
    let dst = pick(&all, to);
    let size = if dst.to_string().starts_with("64:ff9b") { size.min(64) } else { size };
    let (port, src, macs) = if from_host {
        let same: Vec<_> = (0..HOSTS.len()).filter(|&n| HOSTS[n].is_ipv4() == dst.is_ipv4()).collect();
        let host = pick(&same, from / 5);
        let src = if whims == 7 { pick(&destinations(topology), sport as u8) } else { HOSTS[host] };
        (UPLINK, src, (host_mac(host), UPLINK_MAC))
    } else {
        let machine = pick(&topology.machines, from / 5);
        let own: Vec<_> =
            machine.addresses.iter().filter(|own| own.is_ipv4() == dst.is_ipv4()).copied().collect();
        let src = match (own.is_empty(), whims) {
            (false, 16..) => own[0],
            (false, 8..16) => pick(&own, whims),
            _ => pick(&destinations(topology), whims.wrapping_mul(37) ^ from),
        };
        let neighbor =
            topology.machines.iter().find(|other| other.addresses.contains(&dst) && other.vpc == machine.vpc);
        let router = match (neighbor, whims % 8) {
            (Some(neighbor), 1 | 2) => neighbor.mac,
            _ => ROUTER_MAC,
        };
        let own_mac = if whims == 3 { pick(&topology.machines, sport as u8).mac } else { machine.mac };
        (machine.port, src, (own_mac, router))
    };
    // One family: else the packet would have no source.
    let src = if src.is_ipv4() == dst.is_ipv4() {
        src
    } else {
        pick(&HOSTS[if dst.is_ipv4() { 0..1 } else { 3..4 }], 0)
    };
    let payload = vec![0x5a; usize::from(size)];
    let frame = match kind % 12 {
        0..4 => build::udp(src, dst, sport, dport, &payload),
        4..8 => build::tcp(
            src,
            dst,
            sport,
            dport,
            if kind < 200 { TcpFlags::SYN } else { pick(&FLAGS, kind) },
            &payload,
        ),
        8 | 9 => build::echo(src, dst, true, sport, 1, &payload),
        10 => build::ip(src, dst, 47, &payload),
        _ => build::icmp_error(src, dst, if dst.is_ipv4() { 13 } else { 100 }, 0, &[0; 12]),
    };
    let mut frame = frame.with_macs(macs.0, macs.1).with_ttl(ttl).with_dont_fragment(whims.is_multiple_of(2));
    if whims % 16 == 5 && dst.is_ipv4() && frame.bytes[23] == 17 {
        // Without a checksum (RFC 768).
        frame.bytes[40..42].fill(0);
    }
    (port, frame)
}

/// What stands at a port and receives this frame: its Ethernet address there, and its router's.
fn receiver(topology: &Topology, port: PortId, packet: &Packet) -> Option<(Mac, Mac)> {
    if port == UPLINK {
        return Some((packet.eth_dst(), UPLINK_MAC));
    }
    let machine = topology.machines.iter().find(|machine| machine.port == port)?;
    Some((machine.mac, packet.eth_src()))
}

fn answer(topology: &Topology, (port, frame): &(PortId, Frame), flags: u8) -> Option<(PortId, Frame)> {
    let packet = Packet::parse(&frame.bytes).ok()?;
    let key = packet.flow_key().reversed();
    let frame = match key.proto {
        FlowProto::Udp { src, dst } => build::udp(key.src, key.dst, src, dst, b"answer"),
        FlowProto::Tcp { src, dst } => build::tcp(key.src, key.dst, src, dst, answering(&packet, flags), b""),
        FlowProto::Echo { id, request } => build::echo(key.src, key.dst, request, id, 1, b"answer"),
        FlowProto::Icmp { .. } => return None,
        FlowProto::Other(number) => build::ip(key.src, key.dst, number, b"answer"),
    };
    let (own, router) = receiver(topology, *port, &packet)?;
    Some((*port, frame.with_macs(own, router)))
}

/// Mostly what TCP would answer.
fn answering(packet: &Packet, flags: u8) -> TcpFlags {
    match packet.transport() {
        wire::Transport::Tcp { flags: asked, .. } if flags < 200 => match asked {
            TcpFlags::SYN => FLAGS[1],
            _ if flags < 40 => FLAGS[3],
            _ => TcpFlags::ACK,
        },
        _ => pick(&FLAGS, flags),
    }
}

fn again((port, frame): &(PortId, Frame), flags: u8) -> (PortId, Frame) {
    let Ok(packet) = Packet::parse(&frame.bytes) else { return (*port, frame.clone()) };
    let key = packet.flow_key();
    let FlowProto::Tcp { src, dst } = key.proto else { return (*port, frame.clone()) };
    let flags = match flags {
        0..60 => TcpFlags::SYN,
        60..180 => TcpFlags::ACK,
        _ => pick(&FLAGS, flags),
    };
    let segment = build::tcp(key.src, key.dst, src, dst, flags, b"");
    (*port, segment.with_macs(packet.eth_src(), packet.eth_dst()))
}

fn error(topology: &Topology, (port, frame): &(PortId, Frame), kind: u8, by: u8) -> Option<(PortId, Frame)> {
    let packet = Packet::parse(&frame.bytes).ok()?;
    if packet.is_icmp_error() || packet.total_len() > 128 {
        return None;
    }
    let v6 = packet.src().is_ipv6();
    let (kind, code) = match v6 {
        false => pick(&[(3, 3), (3, 1), (11, 0), (3, 13), (12, 0)], kind),
        true => pick(&[(1, 4), (1, 0), (3, 0), (1, 1)], kind),
    };
    let from = match (*port == UPLINK, by % 4, v6) {
        (true, 0, false) => HOSTS[2],
        (true, 0, true) => "2001:db8:eeee::1".parse().ok()?,
        _ => packet.dst(),
    };
    let error = icmp_error(from, kind, code, frame);
    let (own, router) = receiver(topology, *port, &packet)?;
    Some((*port, error.with_macs(own, router)))
}

fn knock(
    topology: &Topology,
    (_, frame): &(PortId, Frame),
    from: u8,
    kind: u8,
    port: u8,
) -> Option<(PortId, Frame)> {
    let key = Packet::parse(&frame.bytes).ok()?.flow_key();
    let to: SocketAddr = match key.proto {
        FlowProto::Tcp { src, .. } | FlowProto::Udp { src, .. } => (key.src, src).into(),
        FlowProto::Echo { id, .. } => (key.src, id).into(),
        _ => return None,
    };
    let sport = pick(&PORTS, port);
    let (at, src, macs) = if from.is_multiple_of(3) {
        let same: Vec<_> = (0..HOSTS.len()).filter(|&n| HOSTS[n].is_ipv4() == to.is_ipv4()).collect();
        let host = pick(&same, from / 3);
        (UPLINK, HOSTS[host], (host_mac(host), UPLINK_MAC))
    } else {
        let machine = pick(&topology.machines, from / 3);
        let src = *machine.addresses.iter().find(|own| own.is_ipv4() == to.is_ipv4())?;
        (machine.port, src, (machine.mac, ROUTER_MAC))
    };
    let frame = match (key.proto, kind % 4) {
        (FlowProto::Tcp { .. }, 0..3) => build::tcp(src, to.ip(), sport, to.port(), TcpFlags::SYN, b""),
        (FlowProto::Udp { .. }, 0..3) => build::udp(src, to.ip(), sport, to.port(), b"knock"),
        _ => build::echo(src, to.ip(), kind.is_multiple_of(2), to.port(), 1, b"knock"),
    };
    Some((at, frame.with_macs(macs.0, macs.1)))
}

/// A frame in words.
pub(crate) fn told(frame: &Frame) -> String {
    match Packet::parse(&frame.bytes) {
        Ok(packet) => format!("{frame}, ttl {}, {} > {}", packet.ttl(), packet.eth_src(), packet.eth_dst()),
        Err(malformed) => format!("{malformed}: {:02x?}", frame.bytes),
    }
}

/// A packet in the other family cannot be told byte by byte: what it must be all the same.
pub(crate) fn is_translation(picture: &Picture, came: &Frame, left: &Frame) -> Result<(), String> {
    let (Ok(before), Ok(after)) = (Packet::parse(&came.bytes), Packet::parse(&left.bytes)) else {
        return Err("not packets".to_owned());
    };
    let seen = (after.flow_key(), after.quoted().map(|quoted| quoted.flow_key()), after.ttl());
    let wanted = (picture.key, picture.quoted, before.ttl() - picture.hops);
    if seen != wanted || (after.eth_src(), after.eth_dst()) != picture.macs {
        return Err(format!("{seen:?} and not {wanted:?}"));
    }
    let payload = picture.quoted.is_some() || before.payload(&came.bytes) == after.payload(&left.bytes);
    if payload { Ok(()) } else { Err("another payload".to_owned()) }
}
