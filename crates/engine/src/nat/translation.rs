//! What the table says about one packet.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};

use thiserror::Error;
use wire::{FlowKey, FlowProto, Rewrite};

use super::endpoints::{InsideKey, OutsideKey, Protocol, embed, embedded};
use super::pools::Free;
use super::sessions::SessionId;
use super::state::Side;
use crate::fabric::PortId;

/// What a verdict hangs on beside the packet's key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether the packet is a TCP SYN without ACK.
    pub opening: bool,
    /// Whether the packet is a fragment, the first of its datagram; later ones go its way.
    pub fragment: bool,
}

/// How a packet goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Translation {
    /// The packet on the gateway's other side.
    pub key: FlowKey,
    /// The edit that makes it so.
    pub rewrite: Rewrite,
    /// The session that it belongs to.
    pub standing: Standing,
}

/// How a packet stands to the sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It belongs to this one.
    Known(SessionId),
    /// It makes one, if it is forwarded.
    New(Claim),
}

/// What a packet needs stored if it is forwarded: a session, and perhaps a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub(super) gateway: usize,
    pub(super) protocol: Protocol,
    pub(super) inside: SocketAddr,
    pub(super) external: SocketAddrV4,
    pub(super) remote: SocketAddrV4,
    /// Who sent the packet.
    pub(super) by: Side,
    /// The interface that the session is counted for.
    pub(super) subscriber: PortId,
    pub(super) port: ClaimedPort,
}

/// Where a claim has its external port from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClaimedPort {
    /// It is shared, and free towards the remote.
    Shared,
    /// A mapping that is there.
    Mapped(usize),
    /// A mapping to be made.
    Unmapped(Free),
}

/// The packet that an ICMP error quotes, on the gateway's other side (RFC 5508 REQ-4 and 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// The session that it belongs to.
    pub session: SessionId,
    /// The quoted packet, in its own direction.
    pub key: FlowKey,
    /// The edit of the quoted packet.
    pub rewrite: Rewrite,
    /// The near end's address there: the error's new destination if it came from outside (REQ-4), its new source if it
    /// came from inside (REQ-5c).
    pub near: IpAddr,
}

/// Why a packet is not translated. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum Refusal {
    /// There is no such gateway.
    #[error("no such NAT gateway")]
    NoGateway,
    /// Only TCP, UDP and ICMP echo are translated.
    #[error("the protocol is not one that a NAT gateway translates")]
    Protocol,
    /// IPv6 that is not for an address in 64:ff9b::/96 (RFC 6052).
    #[error("no IPv4 address stands in the IPv6 destination")]
    NotTranslatable,
    /// A fragment, which this gateway takes of UDP only.
    #[error("the NAT gateway takes fragments of UDP only")]
    Fragment,
    /// A segment from inside that belongs to no connection and opens none, or an answer to no question.
    #[error("no connection that the packet belongs to")]
    NoSession,
    /// Every port of every address that takes new connections is taken, as far as this destination is concerned.
    #[error("no port is left for this destination")]
    PortsExhausted,
    /// The sender's interface has as many sessions as it may.
    #[error("the network interface has as many connections as it may")]
    SubscriberLimit,
    /// The table is full.
    #[error("the table of connections is full")]
    TableFull,
    /// From outside, and nobody inside has asked for it.
    #[error("nobody inside has asked for it")]
    Unsolicited,
}

/// A packet from inside that is not translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{refusal}")]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// What its sender is told.
    pub answer: Answer,
}

/// What the sender inside is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    Silence,
    /// A TCP reset.
    Reset,
    /// ICMP 3/13, "communication administratively prohibited" (RFC 5508 REQ-8).
    Prohibited,
}

impl Quote {
    /// The error's other address, that of its sender if it came from outside, as it looks on the gateway's other side:
    /// routers out there may have sent it, and to an inside that speaks IPv6 they have addresses of NAT64. None for an
    /// IPv6 address that stands for no IPv4 one.
    pub fn far(&self, address: IpAddr) -> Option<IpAddr> {
        match (address, self.near) {
            (IpAddr::V4(address), IpAddr::V6(_)) => embed(address).map(IpAddr::V6),
            (IpAddr::V6(address), IpAddr::V4(_)) => embedded(address).map(IpAddr::V4),
            _ => Some(address),
        }
    }
}

impl Claim {
    pub(super) fn inside_key(&self) -> InsideKey {
        let Claim { gateway, protocol, inside, remote, .. } = *self;
        InsideKey { gateway, protocol, inside, remote }
    }

    pub(super) fn outside_key(&self) -> OutsideKey {
        let Claim { gateway, protocol, external, remote, .. } = *self;
        OutsideKey { gateway, protocol, external, remote }
    }
}

/// The edit that makes one packet of another of the same protocol.
pub(super) fn rewrite(from: &FlowKey, to: &FlowKey) -> Rewrite {
    let new = |from: IpAddr, to: IpAddr| (from != to).then_some(to);
    let [(src_port, dst_port), (new_src_port, new_dst_port)] = [from, to].map(|key| ports(&key.proto));
    Rewrite {
        src: new(from.src, to.src),
        dst: new(from.dst, to.dst),
        src_port: new_src_port.filter(|_| new_src_port != src_port),
        dst_port: new_dst_port.filter(|_| new_dst_port != dst_port),
        ..Rewrite::default()
    }
}

/// The ports, by the side that [`Rewrite`] has an echo's identifier on.
fn ports(proto: &FlowProto) -> (Option<u16>, Option<u16>) {
    match *proto {
        FlowProto::Tcp { src, dst } | FlowProto::Udp { src, dst } => (Some(src), Some(dst)),
        FlowProto::Echo { id, request: true } => (Some(id), None),
        FlowProto::Echo { id, request: false } => (None, Some(id)),
        FlowProto::Icmp { .. } | FlowProto::Other(_) => (None, None),
    }
}
