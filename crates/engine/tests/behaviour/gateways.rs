//! A network with gateways of every kind: a private subnet behind a NAT gateway in a public one, IPv6 in both.

use std::net::{Ipv4Addr, Ipv6Addr};

use engine::nat::Counters;
use model::{Protocol, RouteTableId, RouteVia, SecurityGroupId, SubnetId, VpcId};
use wire::{FlowProto, Frame, Packet, TcpFlags, build};

use crate::lab::{Cloud, Lab, Machine, NatBox, OFFICE, UPLINK, from_office, ip};

pub(crate) const SYN: TcpFlags = TcpFlags::SYN;
pub(crate) const ACK: TcpFlags = TcpFlags::ACK;
pub(crate) const SYN_ACK: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0);

/// The NAT gateway's Elastic IP address.
pub(crate) const ELASTIC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
/// The web server's.
pub(crate) const WEB_ELASTIC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 80);

pub(crate) struct Gateways {
    pub(crate) cloud: Cloud,
    pub(crate) vpc: VpcId,
    pub(crate) igw: RouteVia,
    pub(crate) private: SubnetId,
    pub(crate) public: SubnetId,
    pub(crate) private_table: RouteTableId,
    pub(crate) public_table: RouteTableId,
    /// Lets in what comes from the VPC; both machines' group.
    pub(crate) inside: SecurityGroupId,
    /// Two hosts behind the NAT gateway.
    pub(crate) a: Machine,
    pub(crate) b: Machine,
    /// In the public subnet, with an Elastic IP address of its own; everybody may come.
    pub(crate) web: Machine,
    pub(crate) nat: NatBox,
    pub(crate) a6: Ipv6Addr,
    pub(crate) b6: Ipv6Addr,
    pub(crate) web6: Ipv6Addr,
}

impl Gateways {
    pub(crate) fn new(profile: &str) -> Gateways {
        let mut cloud = Cloud::new("000000000000", "eu-west-1");
        let vpc = cloud.vpc("10.0.0.0/16");
        let igw = RouteVia::InternetGateway(cloud.internet_gateway(vpc));
        let private = cloud.subnet(vpc, "10.0.1.0/24");
        let public = cloud.subnet(vpc, "10.0.2.0/24");
        let blocks = [(private, "2001:db8:0:101::/64"), (public, "2001:db8:0:102::/64")];
        cloud.ipv6(vpc, "2001:db8:0:100::/56", &blocks);
        let private_table = cloud.table(vpc, private);
        let public_table = cloud.table(vpc, public);
        let inside = cloud.group(vpc, "inside", &[(Protocol::All, None, "10.0.0.0/16")]);
        let open = cloud.group(vpc, "open", &[(Protocol::All, None, "0.0.0.0/0")]);
        let a = cloud.machine(1, private, "10.0.1.10", &[inside], true);
        let b = cloud.machine(2, private, "10.0.1.11", &[inside], true);
        let web = cloud.machine(3, public, "10.0.2.80", &[open], true);
        cloud.elastic_ip(&web, "203.0.113.80");
        let nat = cloud.nat_gateway(public, "10.0.2.5", Some("203.0.113.5"), profile);
        cloud.route(private_table, "0.0.0.0/0", RouteVia::NatGateway(nat.id));
        cloud.route(public_table, "0.0.0.0/0", igw);
        let a6 = cloud.ipv6_address(&a, "2001:db8:0:101::10");
        let b6 = cloud.ipv6_address(&b, "2001:db8:0:101::11");
        let web6 = cloud.ipv6_address(&web, "2001:db8:0:102::80");
        Gateways {
            cloud,
            vpc,
            igw,
            private,
            public,
            private_table,
            public_table,
            inside,
            a,
            b,
            web,
            nat,
            a6,
            b6,
            web6,
        }
    }

    pub(crate) fn lab(&self) -> Lab {
        self.cloud.lab()
    }

    /// What the NAT gateway has counted.
    pub(crate) fn counted(&self, lab: &Lab) -> Counters {
        lab.engine.counters().nat_gateways[&self.nat.key].clone()
    }

    /// A TCP connection from a host's port to the office's 443: the port that the gateway gave it.
    pub(crate) fn connect(&self, lab: &mut Lab, host: &Machine, port: u16) -> u16 {
        let syn = build::tcp(host.ip, OFFICE, port, 443, SYN, b"");
        let (out, left) = lab.one(host.port, host.by_router(syn));
        assert_eq!(out, UPLINK);
        let external = source_port(&left);
        let answer = build::tcp(OFFICE, ELASTIC, 443, external, SYN_ACK, b"");
        assert_eq!(lab.one(UPLINK, from_office(answer)).0, host.port);
        lab.one(host.port, host.by_router(build::tcp(host.ip, OFFICE, port, 443, ACK, b"")));
        external
    }
}

pub(crate) fn parsed(frame: &Frame) -> Packet {
    Packet::parse(&frame.bytes).unwrap_or_else(|malformed| panic!("{malformed:?}: {frame}"))
}

/// The source port of TCP or UDP, or an echo's identifier.
pub(crate) fn source_port(frame: &Frame) -> u16 {
    match parsed(frame).flow_key().proto {
        FlowProto::Tcp { src, .. } | FlowProto::Udp { src, .. } => src,
        FlowProto::Echo { id, .. } => id,
        other => panic!("{other:?}"),
    }
}

/// What an ICMP error about a packet quotes.
pub(crate) fn quote(frame: &Frame) -> &[u8] {
    &frame.bytes[14..]
}

/// A router on the internet.
pub(crate) fn far_router() -> Ipv4Addr {
    ip("192.0.2.1")
}
