//! The reference model: what a VPC does to a packet, as the VPC user guide says it, small, slow, and on its own.
//!
//! It works on a [`Region`] with linear scans, without compiled tables, hash maps, caches or cached verdicts, and keeps
//! its connections in lists. It knows nothing of how the engine is built; both read packets with `wire`. Where
//! behaviour is a matter of chance (a NAT gateway's ports) it is told what came of it, and checks that it may.

mod filter;
mod gateway;
mod nat;
mod picture;
mod tracking;
mod walk;

use std::net::IpAddr;

use engine::{DropReason, Fabric, PortId, Time};
use model::{ConnectionTracking, NatGatewayId, Region};
use wire::{FlowKey, FlowProto, Frame, Packet, TcpFlags, Transport};

use nat::Nat;
pub use picture::Picture;
use tracking::Connections;
use walk::{End, Walk};

/// What the verdict on a packet depends on beside the past.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// The resources.
    pub region: &'a Region,
    /// What stands on which port.
    pub fabric: &'a Fabric,
}

/// The past: connections that security groups track, and sessions of NAT gateways.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    connections: Connections,
    nat: Nat,
}

/// What is to become of a packet.
#[derive(Debug, Clone)]
pub enum Expected {
    /// It is dropped, for a reason of this family.
    Dropped(Family),
    /// Its sender gets exactly this frame.
    Answered(Box<Frame>),
    /// It leaves.
    Forwarded {
        /// By this port.
        port: PortId,
        /// Looking like this.
        picture: Box<Picture>,
        /// In pieces no longer than this, in bytes from the IP header on.
        mtu: usize,
    },
}

/// What kind of thing is wrong with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Its source.
    Source,
    /// Its destination is not the receiver's.
    Destination,
    /// Nothing leads to its destination.
    Route,
    /// It does not get through an internet gateway, or an egress-only one.
    Internet,
    /// A network ACL.
    NetworkAcl,
    /// A security group.
    SecurityGroup,
    /// A NAT gateway.
    NatGateway,
    /// Its time to live.
    Hops,
    /// Its length.
    Length,
    /// Its bytes.
    Bytes,
}

/// What a NAT gateway has made of a packet, in the order of its way: what chance has decided can be read off it.
pub type Learned = (NatGatewayId, FlowKey, FlowKey);

impl Family {
    /// The family of a reason; none for those that the model has no packets for.
    pub fn of(reason: DropReason) -> Option<Family> {
        use DropReason as R;
        Some(match reason {
            R::SpoofedMac | R::SourceCheck | R::MartianSource => Family::Source,
            R::DestinationCheck => Family::Destination,
            R::UnknownMac
            | R::ForTheRouter
            | R::NoSuchService
            | R::NoRoute
            | R::Blackhole
            | R::RouteLeadsBack
            | R::NoSuchAddress
            | R::NoPort
            | R::RoutingLoop
            | R::NatFromAfar => Family::Route,
            R::NoPublicAddress
            | R::UnknownPublicAddress
            | R::NoInternetHost
            | R::NoUplink
            | R::NotForUs
            | R::EgressOnly => Family::Internet,
            R::NetworkAclEgress | R::NetworkAclIngress => Family::NetworkAcl,
            R::SecurityGroupEgress | R::SecurityGroupIngress => Family::SecurityGroup,
            R::NatProtocol
            | R::NatNoSession
            | R::NatUnsolicited
            | R::NatPortsExhausted
            | R::NatFragment
            | R::Untranslatable
            | R::FlowConflict => Family::NatGateway,
            R::TtlZero | R::TtlExceeded => Family::Hops,
            R::TooBig => Family::Length,
            R::BadQuote | R::Malformed(_) => Family::Bytes,
            _ => return None,
        })
    }
}

impl Reference {
    /// What becomes of a whole and well-formed packet of UDP, TCP, ICMP or a protocol without ports, and takes note of it.
    ///
    /// # Errors
    /// In words, if what was learned may not be.
    pub fn packet(
        &mut self,
        world: World<'_>,
        now: Time,
        port: PortId,
        frame: &Frame,
        learned: &[Learned],
    ) -> Result<Expected, String> {
        let Ok(packet) = Packet::parse(&frame.bytes) else { return Ok(Expected::Dropped(Family::Bytes)) };
        if packet.ttl() == 0 {
            return Ok(Expected::Dropped(Family::Hops));
        }
        self.nat.forget(now);
        if packet.is_icmp_error() && packet.quoted().is_none() {
            return Ok(Expected::Dropped(Family::Bytes));
        }
        let mut walk = Walk::new(world, self, now, port, frame, &packet, learned);
        let ended = walk.go();
        let notes = walk.notes;
        let arrival = match ended {
            Err(End::Wrong(words)) => return Err(words),
            Err(End::Answered(frame)) => return Ok(Expected::Answered(frame)),
            Err(End::Dropped(family)) => return Ok(Expected::Dropped(family)),
            // It was sent, if it had left by a NAT gateway before (RFC 4787 REQ-9).
            Err(End::Unsolicited) => {
                if notes.crossings.iter().any(|crossing| crossing.outbound) {
                    for crossing in &notes.crossings {
                        self.nat.pass(crossing, &flags(&packet), now);
                    }
                    let sent = packet.flow_key();
                    self.connections.see(port, sent, true, notes.sender, &flags(&packet), now);
                }
                return Ok(Expected::Dropped(Family::NatGateway));
            }
            Ok(arrival) => arrival,
        };
        if packet.quoted().is_none() {
            for crossing in &notes.crossings {
                self.nat.pass(crossing, &flags(&packet), now);
            }
            let (sent, arrived) = (packet.flow_key(), arrival.picture.key.reversed());
            self.connections.see(port, sent, true, notes.sender, &flags(&packet), now);
            if (port, sent) != (arrival.port, arrived) {
                self.connections.see(arrival.port, arrived, false, arrival.tracks, &flags(&packet), now);
            }
        }
        let (port, picture) = (arrival.port, Box::new(arrival.picture));
        Ok(Expected::Forwarded { port, picture, mtu: arrival.mtu })
    }

    /// Nobody sends anything at this moment.
    pub fn tick(&mut self, now: Time) {
        self.nat.forget(now);
    }

    /// The world has changed: sessions of addresses that no gateway has any more are over.
    pub fn reload(&mut self, region: &Region) {
        self.nat.reload(region);
    }

    /// TCP connections through a NAT gateway that nobody has closed.
    pub fn active_connections(&self, gateway: NatGatewayId) -> u64 {
        self.nat.active_connections(gateway)
    }

    /// External endpoints of endpoint-independent mappings that are alive, with their gateway: no two are the same.
    ///
    /// # Errors
    /// In words, if two are.
    pub fn ports_are_apart(&self) -> Result<(), String> {
        self.nat.ports_are_apart()
    }
}

/// How an interface tracks a connection: not at all, or for how long.
type Tracks = Option<ConnectionTracking>;

fn flags(packet: &Packet) -> Option<TcpFlags> {
    match packet.transport() {
        Transport::Tcp { flags, .. } => Some(flags),
        _ => None,
    }
}

/// Whether these are the flags of a TCP SYN.
fn opens(flags: Option<TcpFlags>) -> bool {
    flags.is_some_and(|flags| flags.contains(TcpFlags::SYN) && !flags.contains(TcpFlags::ACK))
}

/// The IP protocol number and the destination port twice, or ICMP type and code.
fn protocol(key: &FlowKey) -> (u8, Option<(u16, u16)>) {
    let v6 = key.src.is_ipv6();
    match key.proto {
        FlowProto::Tcp { dst, .. } => (6, Some((dst, dst))),
        FlowProto::Udp { dst, .. } => (17, Some((dst, dst))),
        FlowProto::Echo { request: true, .. } => {
            if v6 {
                (58, Some((128, 0)))
            } else {
                (1, Some((8, 0)))
            }
        }
        FlowProto::Echo { request: false, .. } => {
            if v6 {
                (58, Some((129, 0)))
            } else {
                (1, Some((0, 0)))
            }
        }
        FlowProto::Icmp { kind, code } => (if v6 { 58 } else { 1 }, Some((kind.into(), code.into()))),
        FlowProto::Other(number) => (number, None),
    }
}

/// Addresses that never send beyond their link (RFC 6890).
fn never_a_sender(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.is_unspecified() || a.is_loopback() || a.is_multicast() || a.is_broadcast(),
        IpAddr::V6(a) => {
            a.is_unspecified()
                || a.is_loopback()
                || a.is_multicast()
                || a.is_unicast_link_local()
                || a.to_ipv4_mapped().is_some()
        }
    }
}
