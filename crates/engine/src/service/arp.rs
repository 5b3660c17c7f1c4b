//! ARP (RFC 826), answered by the VPC: no request ever reaches another instance.

use wire::Frame;
use wire::arp::{self, Operation};

use crate::fabric::PortId;
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
            let own = unknown
                || !interface.source_dest_check
                || interface.addresses.contains_key(&request.sender_ip);
            if request.sender_mac != interface.mac || frame.bytes.get(6..12) != Some(&interface.mac.0[..]) {
                return Verdict::Drop(DropReason::SpoofedMac);
            }
            if !own {
                return Verdict::Drop(DropReason::SpoofedArp);
            }
            asked_by_instance(tables, interface, &request)
        }
        Some(Attached::Services) => link_local::service_port(request.target_ip).map(|_| ROUTER_MAC),
        Some(Attached::Uplink(uplink)) => tables.behind_public(request.target_ip).map(|_| uplink.mac),
    };
    match target {
        Some(mac) if request.operation == Operation::Request => {
            Verdict::Reply(Box::new(arp::reply(mac, &request)))
        }
        // Answers and announcements change nothing: the VPC knows who has which address.
        _ => Verdict::Consumed,
    }
}

fn asked_by_instance(tables: &Tables, interface: &Interface, request: &arp::Arp) -> Option<wire::Mac> {
    let subnet = tables.subnet_of(interface);
    let vpc = tables.vpc_of(interface);
    let target = request.target_ip;
    // A client that probes for its own address (RFC 5227) must hear nothing.
    if interface.addresses.contains_key(&target) {
        return None;
    }
    if target == subnet.router
        || link_local::on_link(target)
        || (target == vpc.dns && subnet.cidr.contains(&target))
    {
        return Some(ROUTER_MAC);
    }
    let neighbor = &tables.interfaces[*vpc.addresses.get(&target)?];
    (neighbor.subnet == interface.subnet).then_some(neighbor.mac)
}
