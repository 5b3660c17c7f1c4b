//! ARP (RFC 826), answered by the VPC: no request ever reaches another instance.

use wire::arp::{self, Operation};
use wire::{Frame, Mac};

use crate::fabric::{Gateway, PortId, Uplink};
use crate::service::link_local;
use crate::tables::{Attached, Interface, ROUTER_MAC, Tables};
use crate::verdict::{DropReason, Verdict};

/// Answers one ARP frame from `port`.
pub(crate) fn answer(tables: &Tables, port: PortId, frame: &Frame) -> Verdict {
    let request = match arp::parse(&frame.bytes) {
        Ok(request) => request,
        Err(malformed) => return Verdict::Drop(DropReason::Malformed(malformed)),
    };
    let target = match tables.attached(port) {
        None => return Verdict::Drop(DropReason::UnknownPort),
        Some(Attached::Interface(_, interface)) => {
            let unknown = request.sender_ip.is_unspecified();
            let own = unknown || !interface.source_dest_check || interface.owns(request.sender_ip.into());
            if request.sender_mac != interface.mac || frame.bytes.get(6..12) != Some(&interface.mac.0[..]) {
                return Verdict::Drop(DropReason::SpoofedMac);
            }
            if !own {
                return Verdict::Drop(DropReason::SpoofedArp);
            }
            asked_by_instance(tables, interface, &request)
        }
        Some(Attached::Services) => link_local::service_port(request.target_ip).map(|_| ROUTER_MAC),
        Some(Attached::Uplink(uplink)) => tables.behind_public(request.target_ip.into()).map(|_| uplink.mac),
    };
    match target {
        Some(mac) if request.operation == Operation::Request => {
            Verdict::Reply(Box::new(arp::reply(mac, &request)))
        }
        // Answers and announcements change nothing: the VPC knows who has which address.
        _ => Verdict::Consumed,
    }
}

/// The MAC address of the uplink's gateway, if it is the gateway that speaks in this frame: in an answer, a question or
/// an announcement (RFC 826 has all of them believed).
pub(crate) fn heard_gateway(tables: &Tables, port: PortId, frame: &Frame) -> Option<Mac> {
    let Some(Attached::Uplink(Uplink { gateway: Some(Gateway::Address(address)), mac, .. })) =
        tables.attached(port)
    else {
        return None;
    };
    let spoken = arp::parse(&frame.bytes).ok().filter(|spoken| spoken.sender_ip == *address)?;
    (!spoken.sender_mac.is_multicast() && spoken.sender_mac != *mac).then_some(spoken.sender_mac)
}

fn asked_by_instance(tables: &Tables, interface: &Interface, request: &arp::Arp) -> Option<Mac> {
    let subnet = tables.subnet_of(interface);
    let vpc = tables.vpc_of(interface);
    let target = request.target_ip;
    // A client that probes for its own address (RFC 5227) must hear nothing.
    if interface.owns(target.into()) {
        return None;
    }
    if target == subnet.router
        || link_local::on_link(target)
        || (target == vpc.dns && subnet.cidr.contains(&target))
    {
        return Some(ROUTER_MAC);
    }
    let neighbor = &tables.interfaces[vpc.owner(target.into())?];
    (neighbor.subnet == interface.subnet).then_some(neighbor.mac)
}
