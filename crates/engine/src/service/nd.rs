//! Neighbor discovery (RFC 4861), answered by the VPC: no solicitation ever reaches another instance, and the router
//! advertises itself as EC2's does: addresses come by DHCPv6, everybody else is beyond the router.

use std::net::Ipv6Addr;

use wire::nd::{self, ALL_NODES, Message, NeighborAdvertisement, Prefix, RouterAdvertisement};
use wire::{FlowProto, Frame, Mac, Packet};

use crate::fabric::Uplink;
use crate::pipeline::VPC_MTU;
use crate::tables::{Interface, ROUTER_LINK_LOCAL, ROUTER_MAC, Tables};
use crate::verdict::{DropReason, Verdict};

/// Seconds that hosts keep the router for (RFC 4861 section 6.2.1, AdvDefaultLifetime).
const ROUTER_LIFETIME: u16 = 1800;
/// Seconds that hosts keep the prefix for (RFC 4861 section 6.2.1).
const PREFIX_LIFETIME: u32 = 2_592_000;
/// RFC 4861 section 4.5.
const REDIRECT: u8 = 137;

/// Answers an ICMPv6 message of an instance; none if it is for somebody else.
pub(crate) fn answer(
    tables: &Tables,
    interface: &Interface,
    frame: &Frame,
    packet: &Packet,
) -> Option<Verdict> {
    if matches!(packet.flow_key().proto, FlowProto::Icmp { kind: REDIRECT, .. }) {
        return Some(Verdict::Drop(DropReason::RogueRouter));
    }
    let message = match nd::parse(frame, packet) {
        Ok(message) => message?,
        Err(malformed) => return Some(Verdict::Drop(DropReason::Malformed(malformed))),
    };
    Some(match message {
        Message::NeighborSolicitation { mac: Some(mac), .. } if mac != interface.mac => {
            Verdict::Drop(DropReason::SpoofedNeighbor)
        }
        Message::NeighborSolicitation { target, .. } => match owner(tables, interface, target) {
            Some(mac) => advertise(packet, target, mac, mac == ROUTER_MAC),
            None => Verdict::Consumed,
        },
        Message::RouterSolicitation { .. } => match router_advertisement(tables, interface) {
            Some(frame) => Verdict::Reply(Box::new(frame)),
            None => Verdict::Consumed,
        },
        // Announcements change nothing: the VPC knows who has which address.
        Message::NeighborAdvertisement(NeighborAdvertisement { target, .. }) => {
            let own = interface.owns(target.into()) || target.is_unicast_link_local();
            if own { Verdict::Consumed } else { Verdict::Drop(DropReason::SpoofedNeighbor) }
        }
        Message::RouterAdvertisement(_) => Verdict::Drop(DropReason::RogueRouter),
    })
}

/// Answers a solicitation on the internet segment for an address of ours; none if the packet is something else.
pub(crate) fn on_uplink(tables: &Tables, uplink: &Uplink, frame: &Frame, packet: &Packet) -> Option<Verdict> {
    match nd::parse(frame, packet) {
        Ok(Some(Message::NeighborSolicitation { target, .. }))
            if tables.behind_public(target.into()).is_some() =>
        {
            Some(advertise(packet, target, uplink.mac, false))
        }
        Ok(Some(_)) => Some(Verdict::Consumed),
        Ok(None) => None,
        Err(malformed) => Some(Verdict::Drop(DropReason::Malformed(malformed))),
    }
}

/// What the router tells everybody on the interface's link; none where the subnet has no IPv6.
pub(crate) fn router_advertisement(tables: &Tables, interface: &Interface) -> Option<Frame> {
    let prefix = tables.subnet_of(interface).cidr6?;
    let advertisement = RouterAdvertisement {
        mac: Some(ROUTER_MAC),
        hop_limit: 64,
        managed: true,
        other: true,
        lifetime: ROUTER_LIFETIME,
        mtu: Some(VPC_MTU.into()),
        prefixes: vec![Prefix {
            prefix: prefix.network(),
            len: prefix.prefix_len(),
            on_link: true,
            autonomous: false,
            valid: PREFIX_LIFETIME,
            preferred: PREFIX_LIFETIME,
        }],
    };
    let frame = nd::advertise_router(&advertisement, ROUTER_LINK_LOCAL, ALL_NODES);
    // Unicast on the link whoever it is for: the port has one owner.
    Some(frame.with_macs(ROUTER_MAC, interface.mac))
}

/// Whose address this is, as seen from the interface; none for its own, so that it can detect duplicates.
fn owner(tables: &Tables, interface: &Interface, target: Ipv6Addr) -> Option<Mac> {
    let subnet = tables.subnet_of(interface);
    if interface.owns(target.into()) {
        return None;
    }
    if subnet.is_router(target.into()) {
        return Some(ROUTER_MAC);
    }
    let neighbor = &tables.interfaces[tables.vpc_of(interface).owner(target.into())?];
    (neighbor.subnet == interface.subnet).then_some(neighbor.mac)
}

fn advertise(solicitation: &Packet, target: Ipv6Addr, mac: Mac, router: bool) -> Verdict {
    match nd::answer(solicitation, target, mac, router) {
        Some(frame) => Verdict::Reply(Box::new(frame)),
        None => Verdict::Consumed,
    }
}
