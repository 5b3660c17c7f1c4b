//! DHCP (RFC 2131) as a VPC answers it: the address belongs to the interface, so there is nothing to allocate,
//! and the port that a message came from says whose it is.

use std::net::{IpAddr, Ipv4Addr};

use model::NameServer;
use smoltcp::wire::{
    ArpHardware, DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpFlags, DhcpMessageType, DhcpOpCode, DhcpOption,
    DhcpPacket, DhcpRepr, EthernetAddress,
};
use wire::{Frame, Mac, Packet, build};

use crate::pipeline::VPC_MTU;
use crate::tables::{Interface, ROUTER_MAC, Tables};
use crate::verdict::{DropReason, Verdict};

pub(crate) const SERVER_PORT: u16 = DHCP_SERVER_PORT;
pub(crate) const CLIENT_PORT: u16 = DHCP_CLIENT_PORT;

/// Seconds (VPC user guide, "DHCP option sets").
const LEASE: u32 = 3600;

/// RFC 2131 section 3: what the options begin with.
const MAGIC_NUMBER: u32 = 0x6382_5363;

/// Option codes of RFC 2132.
const REQUESTED_IP: u8 = 50;
const MESSAGE_TYPE: u8 = 53;
const SERVER_IDENTIFIER: u8 = 54;
const DNS_SERVERS: u8 = 6;
const HOST_NAME: u8 = 12;
const DOMAIN_NAME: u8 = 15;
const INTERFACE_MTU: u8 = 26;
const BROADCAST: u8 = 28;
const NTP_SERVERS: u8 = 42;
const NETBIOS_NAME_SERVERS: u8 = 44;
const NETBIOS_NODE_TYPE: u8 = 46;

/// As much of a client's message as its answer depends on. Who asks is known by the port, not by the client
/// identifier: what that says does not matter.
struct Request {
    kind: DhcpMessageType,
    transaction_id: u32,
    client_ip: Ipv4Addr,
    requested_ip: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
    broadcast: bool,
}

/// Answers one message to port 67 from `interface`.
pub(crate) fn answer(tables: &Tables, interface: &Interface, frame: &Frame, packet: &Packet) -> Verdict {
    let bad = Verdict::Drop(DropReason::BadDhcp);
    let Some(request) = parse(packet.payload(&frame.bytes), interface.mac) else { return bad };
    let router = tables.subnet_of(interface).router;
    if request.server.is_some_and(|server| server != router) {
        // Another server was chosen (RFC 2131 section 4.3.2).
        return bad;
    }
    // SELECTING and INIT-REBOOT name the address in the option, RENEWING and REBINDING in the header.
    let wanted = request.requested_ip.unwrap_or(request.client_ip);
    let kind = match request.kind {
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

/// A client's own message: of the interface's hardware address, and not through a relay.
fn parse(payload: &[u8], mac: Mac) -> Option<Request> {
    let message = DhcpPacket::new_checked(payload).ok()?;
    let well_formed = message.opcode() == DhcpOpCode::Request
        && message.magic_number() == MAGIC_NUMBER
        && (message.hardware_type(), message.hardware_len()) == (ArpHardware::Ethernet, 6);
    if !well_formed
        || message.client_hardware_address().0 != mac.0
        || !message.relay_agent_ip().is_unspecified()
    {
        return None;
    }
    let option = |kind: u8| message.options().find(|option| option.kind == kind).map(|option| option.data);
    let address = |kind: u8| option(kind).and_then(|data| <[u8; 4]>::try_from(data).ok()).map(Ipv4Addr::from);
    let &[kind] = option(MESSAGE_TYPE)? else { return None };
    Some(Request {
        kind: kind.into(),
        transaction_id: message.transaction_id(),
        client_ip: message.client_ip(),
        requested_ip: address(REQUESTED_IP),
        server: address(SERVER_IDENTIFIER),
        broadcast: message.flags().contains(DhcpFlags::BROADCAST),
    })
}

fn reply(tables: &Tables, interface: &Interface, request: &Request, kind: DhcpMessageType) -> Option<Frame> {
    let subnet = tables.subnet_of(interface);
    let vpc = tables.vpc_of(interface);
    let says = &vpc.dhcp;
    let name_servers = says.domain_name_servers.iter().filter_map(|server| match server {
        NameServer::Amazon => vpc.dns_support.then_some(vpc.dns),
        NameServer::Address(IpAddr::V4(address)) => Some(*address),
        NameServer::Address(IpAddr::V6(_)) => None,
    });
    let ntp_servers = says.ntp_servers.iter().filter_map(|server| match server {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    });
    let (name_servers, ntp_servers) = (octets(name_servers), octets(ntp_servers));
    let netbios_name_servers = octets(says.netbios_name_servers.iter().copied());
    let node_type = says.netbios_node_type;
    let mtu = VPC_MTU.to_be_bytes();
    let broadcast = subnet.cidr.broadcast().octets();
    let mut options = vec![
        DhcpOption { kind: DNS_SERVERS, data: &name_servers },
        DhcpOption { kind: HOST_NAME, data: interface.host_name.as_bytes() },
        DhcpOption { kind: DOMAIN_NAME, data: says.domain_name.as_deref().unwrap_or_default().as_bytes() },
        DhcpOption { kind: INTERFACE_MTU, data: &mtu },
        DhcpOption { kind: BROADCAST, data: &broadcast },
        DhcpOption { kind: NTP_SERVERS, data: &ntp_servers },
        DhcpOption { kind: NETBIOS_NAME_SERVERS, data: &netbios_name_servers },
        DhcpOption { kind: NETBIOS_NODE_TYPE, data: node_type.as_slice() },
    ];
    options.retain(|option| !option.data.is_empty());
    let refused = kind == DhcpMessageType::Nak;
    let informed = request.kind == DhcpMessageType::Inform;
    let leased = !refused && !informed;
    let answer = DhcpRepr {
        message_type: kind,
        transaction_id: request.transaction_id,
        secs: 0,
        client_hardware_address: EthernetAddress(interface.mac.0),
        // As RFC 2131 table 3 has it: an offer and a refusal leave it zero.
        client_ip: if kind == DhcpMessageType::Ack { request.client_ip } else { Ipv4Addr::UNSPECIFIED },
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

    // RFC 2131 section 4.1: who has an address hears there; who has none, or asks for it, by broadcast.
    let (mac, address) = if refused {
        (Mac::BROADCAST, Ipv4Addr::BROADCAST)
    } else if !request.client_ip.is_unspecified() {
        (interface.mac, request.client_ip)
    } else if request.broadcast {
        (Mac::BROADCAST, Ipv4Addr::BROADCAST)
    } else {
        (interface.mac, interface.primary)
    };
    Some(build::udp(subnet.router, address, SERVER_PORT, CLIENT_PORT, &payload).with_macs(ROUTER_MAC, mac))
}

fn octets(addresses: impl Iterator<Item = Ipv4Addr>) -> Vec<u8> {
    addresses.flat_map(|address| address.octets()).collect()
}
