//! DHCP (RFC 2131) as a VPC answers it: the address belongs to the interface, so there is nothing to allocate,
//! and the port that a message came from says whose it is.

use std::net::Ipv4Addr;

use smoltcp::wire::{DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr};
use wire::{Frame, Mac, Packet, build};

use crate::pipeline::VPC_MTU;
use crate::tables::{Interface, ROUTER_MAC, Tables};
use crate::verdict::{DropReason, Verdict};

pub(crate) const SERVER_PORT: u16 = DHCP_SERVER_PORT;
pub(crate) const CLIENT_PORT: u16 = DHCP_CLIENT_PORT;

/// Seconds (VPC user guide, "DHCP option sets").
const LEASE: u32 = 3600;

/// Option codes of RFC 2132 that smoltcp does not name.
const DNS_SERVERS: u8 = 6;
const HOST_NAME: u8 = 12;
const DOMAIN_NAME: u8 = 15;
const INTERFACE_MTU: u8 = 26;
const BROADCAST: u8 = 28;

/// Answers one message to port 67 from `interface`.
pub(crate) fn answer(tables: &Tables, interface: &Interface, frame: &Frame, packet: &Packet) -> Verdict {
    let bad = Verdict::Drop(DropReason::BadDhcp);
    let payload = packet.payload(&frame.bytes);
    let Ok(message) = DhcpPacket::new_checked(payload) else { return bad };
    let Ok(request) = DhcpRepr::parse(&message) else { return bad };
    if request.client_hardware_address.0 != interface.mac.0 {
        return bad;
    }
    let router = tables.subnet_of(interface).router;
    if request.server_identifier.is_some_and(|server| server != router) {
        // Another server was chosen (RFC 2131 section 4.3.2).
        return bad;
    }
    let wanted = request.requested_ip.unwrap_or(request.client_ip);
    let kind = match request.message_type {
        DhcpMessageType::Discover => DhcpMessageType::Offer,
        DhcpMessageType::Request if wanted == interface.primary => DhcpMessageType::Ack,
        DhcpMessageType::Request => DhcpMessageType::Nak,
        DhcpMessageType::Inform => DhcpMessageType::Ack,
        // The address is the interface's whatever the client thinks of it.
        DhcpMessageType::Release | DhcpMessageType::Decline => return Verdict::Consumed,
        _ => return bad,
    };
    match reply(tables, interface, &request, kind) {
        Some(frame) => Verdict::Reply(Box::new(frame)),
        None => bad,
    }
}

fn reply(
    tables: &Tables,
    interface: &Interface,
    request: &DhcpRepr<'_>,
    kind: DhcpMessageType,
) -> Option<Frame> {
    let subnet = tables.subnet_of(interface);
    let vpc = tables.vpc_of(interface);
    let dns = vpc.dns.octets();
    let mtu = VPC_MTU.to_be_bytes();
    let broadcast = subnet.cidr.broadcast().octets();
    let options = [
        DhcpOption { kind: DNS_SERVERS, data: &dns },
        DhcpOption { kind: HOST_NAME, data: interface.host_name.as_bytes() },
        DhcpOption { kind: DOMAIN_NAME, data: vpc.domain.as_bytes() },
        DhcpOption { kind: INTERFACE_MTU, data: &mtu },
        DhcpOption { kind: BROADCAST, data: &broadcast },
    ];
    let refused = kind == DhcpMessageType::Nak;
    let informed = request.message_type == DhcpMessageType::Inform;
    let leased = !refused && !informed;
    let answer = DhcpRepr {
        message_type: kind,
        transaction_id: request.transaction_id,
        secs: 0,
        client_hardware_address: request.client_hardware_address,
        client_ip: if refused { Ipv4Addr::UNSPECIFIED } else { request.client_ip },
        your_ip: if leased { interface.primary } else { Ipv4Addr::UNSPECIFIED },
        server_ip: Ipv4Addr::UNSPECIFIED,
        router: (!refused).then_some(subnet.router),
        subnet_mask: (!refused).then(|| subnet.cidr.netmask()),
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: request.broadcast,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(subnet.router),
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: leased.then_some(LEASE),
        renew_duration: None,
        rebind_duration: None,
        additional_options: if refused { &[] } else { &options },
    };
    let mut payload = vec![0; answer.buffer_len()];
    answer.emit(&mut DhcpPacket::new_unchecked(&mut payload[..])).ok()?;

    // Who has no address yet, or asks for it, hears by broadcast (RFC 2131 section 4.1).
    let (mac, address) = if refused || request.broadcast {
        (Mac::BROADCAST, Ipv4Addr::BROADCAST)
    } else if !request.client_ip.is_unspecified() {
        (interface.mac, request.client_ip)
    } else {
        (interface.mac, interface.primary)
    };
    Some(build::udp(subnet.router, address, SERVER_PORT, CLIENT_PORT, &payload).with_macs(ROUTER_MAC, mac))
}
