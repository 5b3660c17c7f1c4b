//! One VPC with a NAT gateway, hosts behind it and hosts on the internet, around a running engine.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use engine::{DropReason, Engine, InterfaceKey, PortId, ROUTER_MAC, Tables, Time};
use model::{
    InterfaceId, NatGatewayId, NatProfile, RouteTableId, RouteVia, SecurityGroupId, SubnetId, VpcId,
};
use wire::{FlowProto, Frame, Mac, Packet, TcpFlags, build};

use crate::cloud::Cloud;
use crate::sound;

const UPLINK: PortId = PortId(1000);
const UPLINK_MAC: Mac = Mac([0x0a, 0, 0, 0, 9, 0]);
/// The hosts on the internet: two on one network, one on another.
const OUTSIDE: [Ipv4Addr; 3] =
    [Ipv4Addr::new(198, 51, 100, 8), Ipv4Addr::new(198, 51, 100, 9), Ipv4Addr::new(192, 0, 2, 7)];

/// A host of the network, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Behind the NAT gateway, at 10.0.1.10 and on.
    Inside(usize),
    /// On the internet: 198.51.100.8, 198.51.100.9, 192.0.2.7.
    Outside(usize),
}

/// What a network has.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How its NAT gateway behaves.
    pub profile: NatProfile,
    /// How many Elastic IP addresses it has, 203.0.113.1 and on.
    pub elastic_ips: u8,
    /// How many hosts are inside.
    pub hosts: u8,
    /// MTU of the uplink, in bytes.
    pub mtu: u16,
    /// The VPC's CIDR block; host n inside has the 266 + n-th address.
    pub cidr: &'static str,
    /// Of the engine.
    pub seed: u64,
}

/// A running network.
#[derive(Debug)]
pub struct Network {
    /// What is declared. [`Network::reload`] puts a change of it in force.
    pub cloud: Cloud,
    /// What runs.
    pub engine: Engine,
    /// The engine's clock.
    pub now: Time,
    /// The VPC.
    pub vpc: VpcId,
    /// The NAT gateway.
    pub gateway: NatGatewayId,
    /// Its Elastic IP addresses.
    pub public: Vec<Ipv4Addr>,
    /// Its primary private address.
    pub private: Ipv4Addr,
    /// The subnet of the hosts inside, and its route table.
    pub inside: (SubnetId, RouteTableId),
    /// The subnet of the gateway, and its route table.
    pub edge: (SubnetId, RouteTableId),
    /// Lets everything through.
    pub group: SecurityGroupId,
    hosts: Vec<Inside>,
    generation: u64,
}

#[derive(Debug, Clone)]
struct Inside {
    interface: InterfaceId,
    mac: Mac,
    address: Ipv4Addr,
    ipv6: Ipv6Addr,
}

/// A frame that arrived at a host.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Whom it arrived at.
    pub at: Host,
    /// The frame.
    pub frame: Frame,
    /// What it says.
    pub packet: Packet,
}

/// A packet's two ends and its kind: what most tests look at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Source address and port, or an echo request's identifier.
    pub src: SocketAddr,
    /// Destination address and port, or an echo reply's identifier.
    pub dst: SocketAddr,
}

impl Plan {
    /// One Elastic IP address, three hosts, an MTU of 1500.
    pub fn new(profile: NatProfile) -> Plan {
        Plan { profile, elastic_ips: 1, hosts: 3, mtu: 1500, cidr: "10.0.0.0/16", seed: 7 }
    }
}

impl Network {
    /// A network as [`Plan::new`] has it.
    pub fn new(profile: NatProfile) -> Network {
        Network::of(Plan::new(profile))
    }

    /// A network. IPv6 hosts have 2001:db8:100:1::a and on; their gateway is reached by 64:ff9b::/96.
    pub fn of(plan: Plan) -> Network {
        let neighbors = OUTSIDE.iter().enumerate();
        let neighbors: Vec<_> = neighbors.map(|(n, &ip)| (IpAddr::V4(ip), outside_mac(n))).collect();
        let mut cloud = Cloud::new(UPLINK, UPLINK_MAC, plan.mtu, &neighbors);
        let block: ipnet::Ipv4Net = plan.cidr.parse().unwrap();
        let address = |n: u32| Ipv4Addr::from(u32::from(block.network()) + n);
        let vpc = cloud.vpc(plan.cidr, Some("2001:db8:100::/56"));
        let igw = cloud.internet_gateway(vpc);
        let edge = cloud.subnet(vpc, &format!("{}/24", address(0)), Some("2001:db8:100::/64"));
        let inside = cloud.subnet(vpc, &format!("{}/24", address(256)), Some("2001:db8:100:1::/64"));
        let group = cloud.open_group(vpc);
        let public: Vec<_> = (1..=plan.elastic_ips).map(|n| Ipv4Addr::new(203, 0, 113, n)).collect();
        let private = address(4);
        let gateway = cloud.nat_gateway(edge.0, plan.profile, private, &public);
        cloud.route(edge.1, "0.0.0.0/0", RouteVia::InternetGateway(igw));
        cloud.route(inside.1, "0.0.0.0/0", RouteVia::NatGateway(gateway));
        cloud.route(inside.1, "64:ff9b::/96", RouteVia::NatGateway(gateway));
        let hosts = (0..u32::from(plan.hosts)).map(|n| {
            let address = address(256 + 10 + n);
            let ipv6 = Ipv6Addr::from(0x2001_0db8_0100_0001_0000_0000_0000_000a_u128 + u128::from(n));
            let (interface, mac) = cloud.interface(PortId(1 + n), inside.0, address, Some(ipv6), &[group]);
            Inside { interface, mac, address, ipv6 }
        });
        let hosts = hosts.collect();
        let tables = Arc::new(Tables::compile([&cloud.region], &cloud.fabric, 1, plan.seed));
        let engine = Engine::new(tables, plan.seed);
        Network {
            cloud,
            engine,
            now: Time(0),
            vpc,
            gateway,
            public,
            private,
            inside,
            edge,
            group,
            hosts,
            generation: 1,
        }
    }

    /// Puts what the cloud has become in force.
    pub fn reload(&mut self) {
        self.generation += 1;
        let tables = Tables::compile([&self.cloud.region], &self.cloud.fabric, self.generation, 7);
        self.engine.load(Arc::new(tables));
    }

    /// The host's IPv4 address with a port.
    pub fn at(&self, host: Host, port: u16) -> SocketAddr {
        let address = match host {
            Host::Inside(n) => self.hosts[n].address,
            Host::Outside(n) => OUTSIDE[n],
        };
        (address, port).into()
    }

    /// The IPv6 address with a port: an own one inside, outside the one that a NAT64 has for it.
    pub fn at6(&self, host: Host, port: u16) -> SocketAddr {
        let address = match host {
            Host::Inside(n) => self.hosts[n].ipv6,
            Host::Outside(n) => nat64(OUTSIDE[n]),
        };
        (address, port).into()
    }

    /// The interface of a host inside.
    pub fn interface(&self, host: usize) -> InterfaceId {
        self.hosts[host].interface
    }

    /// The name of the gateway's interface.
    pub fn gateway_key(&self) -> InterfaceKey {
        self.cloud.key(self.cloud.region.nat_gateways()[&self.gateway].interface)
    }

    /// What the gateway has counted.
    pub fn counters(&self) -> engine::nat::Counters {
        self.engine.counters().nat_gateways[&self.gateway_key()].clone()
    }

    /// Lets seconds pass, with the ticks of a running engine at their end.
    pub fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(seconds);
        self.engine.tick(self.now, &mut |_, _| {});
    }

    /// What arrives where when a host sends a frame to its router. Every frame must be sound.
    pub fn send(&mut self, from: Host, frame: Frame) -> Vec<Arrival> {
        let (port, mut frame) = match from {
            Host::Inside(n) => (PortId(1 + n as u32), frame.with_macs(self.hosts[n].mac, ROUTER_MAC)),
            Host::Outside(n) => (UPLINK, frame.with_macs(outside_mac(n), UPLINK_MAC)),
        };
        let mut sent = Vec::new();
        self.engine.receive(self.now, port, &mut frame, &mut |to, frame| sent.push((to, frame.clone())));
        sent.into_iter().map(|(port, frame)| self.arrival(port, frame)).collect()
    }

    /// The one frame that arrives.
    pub fn pass(&mut self, from: Host, frame: Frame) -> Arrival {
        let mut arrivals = self.send(from, frame.clone());
        if arrivals.len() != 1 {
            panic!("{from:?}: {frame} becomes {arrivals:?}; {:?}", self.engine.counters().ports);
        }
        arrivals.remove(0)
    }

    /// Who sent the frame, as the one whom it arrives at sees it.
    pub fn pass_to(&mut self, from: Host, frame: Frame, to: Host) -> SocketAddr {
        let arrival = self.pass(from, frame);
        assert_eq!(arrival.at, to, "{arrival:?}");
        arrival.seen().src
    }

    /// What the engine answers the sender itself.
    pub fn answer(&mut self, from: Host, frame: Frame) -> Arrival {
        let arrival = self.pass(from, frame);
        assert_eq!(arrival.at, from, "{arrival:?}");
        arrival
    }

    /// Why the frame is dropped: nothing leaves, and it is counted once.
    pub fn dropped(&mut self, from: Host, frame: Frame) -> DropReason {
        let port = match from {
            Host::Inside(n) => PortId(1 + n as u32),
            Host::Outside(_) => UPLINK,
        };
        let drops = |engine: &Engine| {
            engine.counters().ports.get(&port).map(|port| port.drops.clone()).unwrap_or_default()
        };
        let (shown, before) = (frame.to_string(), drops(&self.engine));
        let arrivals = self.send(from, frame);
        assert!(arrivals.is_empty(), "{shown} becomes {arrivals:?}");
        let after = drops(&self.engine);
        let grown = after.iter().filter(|(reason, count)| before.get(reason).unwrap_or(&0) < count);
        let grown: Vec<_> = grown.map(|(reason, _)| *reason).collect();
        assert_eq!(grown.len(), 1, "{shown}: {grown:?}");
        grown[0]
    }

    /// Whether the frame gets anywhere but back to its sender.
    pub fn passes(&mut self, from: Host, frame: Frame) -> bool {
        self.send(from, frame).iter().any(|arrival| arrival.at != from)
    }

    fn arrival(&self, port: PortId, frame: Frame) -> Arrival {
        if let Err(wrong) = sound::check(&frame) {
            panic!("{wrong}: {frame}");
        }
        let packet = Packet::parse(&frame.bytes).unwrap();
        let at = if port == UPLINK {
            Host::Outside((0..OUTSIDE.len()).find(|&n| outside_mac(n) == packet.eth_dst()).unwrap())
        } else {
            let n = port.0 as usize - 1;
            assert_eq!(packet.eth_dst(), self.hosts[n].mac, "{frame}");
            Host::Inside(n)
        };
        Arrival { at, frame, packet }
    }
}

impl Arrival {
    /// Its two ends.
    pub fn seen(&self) -> Seen {
        Seen::of(&self.packet.flow_key())
    }

    /// The two ends of the packet that it quotes.
    pub fn quoted(&self) -> Option<Seen> {
        self.packet.quoted().map(|quoted| Seen::of(&quoted.flow_key()))
    }

    /// Type and code of an ICMP message that is no echo.
    pub fn icmp(&self) -> Option<(u8, u8)> {
        match self.packet.flow_key().proto {
            FlowProto::Icmp { kind, code } => Some((kind, code)),
            _ => None,
        }
    }

    /// The bytes after the transport header.
    pub fn payload(&self) -> &[u8] {
        self.packet.payload(&self.frame.bytes)
    }
}

impl Seen {
    fn of(key: &wire::FlowKey) -> Seen {
        let (src, dst) = match key.proto {
            FlowProto::Tcp { src, dst } | FlowProto::Udp { src, dst } => (src, dst),
            FlowProto::Echo { id, request: true } => (id, 0),
            FlowProto::Echo { id, request: false } => (0, id),
            FlowProto::Icmp { .. } | FlowProto::Other(_) => (0, 0),
        };
        Seen { src: (key.src, src).into(), dst: (key.dst, dst).into() }
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.src, self.dst)
    }
}

fn outside_mac(n: usize) -> Mac {
    Mac([0x0a, 0, 0, 0, 8, n as u8])
}

/// The address that a NAT64 has for an IPv4 one (RFC 6052 section 2.1).
pub(crate) fn nat64(address: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = address.octets().map(u16::from);
    Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a << 8 | b, c << 8 | d)
}

/// A UDP datagram of four bytes.
pub fn udp(from: SocketAddr, to: SocketAddr) -> Frame {
    build::udp(from.ip(), to.ip(), from.port(), to.port(), b"data")
}

/// A TCP segment without data.
pub fn tcp(from: SocketAddr, to: SocketAddr, flags: TcpFlags) -> Frame {
    build::tcp(from.ip(), to.ip(), from.port(), to.port(), flags, b"")
}

/// An echo request whose identifier is the sender's port.
pub fn echo(from: SocketAddr, to: IpAddr) -> Frame {
    build::echo(from.ip(), to, true, from.port(), 1, b"data")
}

/// The answer to an echo request whose identifier is the destination's port.
pub fn reply(from: IpAddr, to: SocketAddr) -> Frame {
    build::echo(from, to.ip(), false, to.port(), 1, b"data")
}

/// An ICMP error about a packet, of which it quotes 28 bytes and more.
pub fn icmp_error(from: IpAddr, kind: u8, code: u8, about: &Frame) -> Frame {
    let packet = Packet::parse(&about.bytes).unwrap();
    let end = (packet.ip_offset() + packet.total_len()).min(packet.ip_offset() + 128);
    build::icmp_error(from, packet.src(), kind, code, &about.bytes[packet.ip_offset()..end])
}

/// A part of an IPv4 datagram: the bytes of its payload from `offset` on.
pub fn ipv4_part(whole: &Frame, id: u16, offset: usize, len: usize, more: bool) -> Frame {
    let packet = Packet::parse(&whole.bytes).unwrap();
    let start = packet.transport_offset() + offset;
    let mut part = build::ip(packet.src(), packet.dst(), packet.protocol(), &whole.bytes[start..start + len]);
    part.bytes[18..20].copy_from_slice(&id.to_be_bytes());
    let word = (offset / 8) as u16 | if more { 0x2000 } else { 0 };
    part.bytes[20..22].copy_from_slice(&word.to_be_bytes());
    ipv4_sum(&mut part);
    part
}

/// The IPv4 packet with four bytes of options (no operation).
pub fn with_options(frame: &Frame) -> Frame {
    let mut frame = frame.clone();
    frame.bytes.splice(34..34, [1, 1, 1, 1]);
    frame.bytes[14] = 0x46;
    let length = u16::from_be_bytes([frame.bytes[16], frame.bytes[17]]) + 4;
    frame.bytes[16..18].copy_from_slice(&length.to_be_bytes());
    ipv4_sum(&mut frame);
    frame
}

fn ipv4_sum(frame: &mut Frame) {
    frame.bytes[24..26].fill(0);
    let header = usize::from(frame.bytes[14] & 15) * 4;
    let sum = !sound::sum(&frame.bytes[14..14 + header]);
    frame.bytes[24..26].copy_from_slice(&sum.to_be_bytes());
}
