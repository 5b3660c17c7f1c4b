//! The two ends of a session, read from a packet's key and written back into one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use wire::{FlowKey, FlowProto, nat64};

use super::state::Side;
use super::translation::Refusal;

/// The protocols that are translated; ICMP stands for the queries of RFC 5508, whose identifier is the inside's and
/// the external port, while the remote's is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Protocol {
    Tcp,
    Udp,
    Icmp,
}

/// A packet or a session as it looks inside: what is inside, and whom it talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct InsideKey {
    pub(super) gateway: usize,
    pub(super) protocol: Protocol,
    pub(super) inside: SocketAddr,
    pub(super) remote: SocketAddrV4,
}

/// A packet or a session as it looks outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct OutsideKey {
    pub(super) gateway: usize,
    pub(super) protocol: Protocol,
    pub(super) external: SocketAddrV4,
    pub(super) remote: SocketAddrV4,
}

impl InsideKey {
    /// Reads the key of a packet that leaves the inside.
    pub(super) fn of(gateway: usize, key: &FlowKey) -> Result<InsideKey, Refusal> {
        let (protocol, port, remote_port) = match key.proto {
            FlowProto::Tcp { src, dst } => (Protocol::Tcp, src, dst),
            FlowProto::Udp { src, dst } => (Protocol::Udp, src, dst),
            FlowProto::Echo { id, request: true } => (Protocol::Icmp, id, 0),
            // Nobody outside may ask, so there is nothing to answer.
            FlowProto::Echo { request: false, .. } => return Err(Refusal::NoSession),
            FlowProto::Icmp { .. } | FlowProto::Other(_) => return Err(Refusal::Protocol),
        };
        let remote = match key.dst {
            IpAddr::V4(address) => address,
            IpAddr::V6(address) => embedded(address).ok_or(Refusal::NotTranslatable)?,
        };
        let remote = SocketAddrV4::new(remote, remote_port);
        Ok(InsideKey { gateway, protocol, inside: SocketAddr::new(key.src, port), remote })
    }

    /// The key, read from a side, of a packet between these ends.
    pub(super) fn packet(&self, from: Side) -> FlowKey {
        // An inside of the other family knows the remote by its NAT64 address; with this prefix everyone has one.
        let address = *self.remote.ip();
        let embedded = match self.inside {
            SocketAddr::V4(_) => None,
            SocketAddr::V6(_) => embed(address),
        };
        let remote = embedded.map_or(IpAddr::V4(address), IpAddr::V6);
        packet(self.protocol, from, (self.inside.ip(), self.inside.port()), (remote, self.remote.port()))
    }
}

impl OutsideKey {
    /// Reads the key of a packet that comes from outside.
    pub(super) fn of(gateway: usize, key: &FlowKey) -> Result<OutsideKey, Refusal> {
        let (protocol, remote_port, port) = match key.proto {
            FlowProto::Tcp { src, dst } => (Protocol::Tcp, src, dst),
            FlowProto::Udp { src, dst } => (Protocol::Udp, src, dst),
            FlowProto::Echo { id, request: false } => (Protocol::Icmp, 0, id),
            // The gateway's own address answers nothing, and the inside is asked by nobody outside.
            FlowProto::Echo { request: true, .. } => return Err(Refusal::Unsolicited),
            FlowProto::Icmp { .. } | FlowProto::Other(_) => return Err(Refusal::Protocol),
        };
        let (IpAddr::V4(remote), IpAddr::V4(external)) = (key.src, key.dst) else {
            return Err(Refusal::NotTranslatable);
        };
        let remote = SocketAddrV4::new(remote, remote_port);
        Ok(OutsideKey { gateway, protocol, external: SocketAddrV4::new(external, port), remote })
    }

    /// The key, read from a side, of a packet between these ends.
    pub(super) fn packet(&self, from: Side) -> FlowKey {
        let end = |end: SocketAddrV4| (IpAddr::V4(*end.ip()), end.port());
        packet(self.protocol, from, end(self.external), end(self.remote))
    }
}

/// The key of a packet between the near and the remote end, sent by the near one if it comes from inside.
fn packet(protocol: Protocol, from: Side, near: (IpAddr, u16), remote: (IpAddr, u16)) -> FlowKey {
    let ((src, src_port), (dst, dst_port)) = match from {
        Side::Inside => (near, remote),
        Side::Outside => (remote, near),
    };
    let proto = match protocol {
        Protocol::Tcp => FlowProto::Tcp { src: src_port, dst: dst_port },
        Protocol::Udp => FlowProto::Udp { src: src_port, dst: dst_port },
        Protocol::Icmp => FlowProto::Echo { id: near.1, request: from == Side::Inside },
    };
    FlowKey { src, dst, proto }
}

/// Length of the well-known prefix of NAT64, 64:ff9b::/96 (RFC 6052 section 2.1), the only one that EC2 has.
const PREFIX_LEN: u8 = 96;

pub(super) fn embed(address: Ipv4Addr) -> Option<Ipv6Addr> {
    nat64::embed(nat64::WELL_KNOWN_PREFIX, PREFIX_LEN, address)
}

pub(super) fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    nat64::extract(nat64::WELL_KNOWN_PREFIX, PREFIX_LEN, address)
}
