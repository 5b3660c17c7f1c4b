//! DHCPv6 (RFC 8415) as a VPC answers it: the addresses belong to the interface, so there is nothing to allocate, and
//! the port that a message came from says whose they are.

use std::net::{IpAddr, Ipv6Addr};

use model::{DhcpConfiguration, NameServer};
use wire::{Frame, Packet, build};

use crate::service::link_local::RESOLVER6;
use crate::tables::{Interface, ROUTER_LINK_LOCAL, ROUTER_MAC, Tables};
use crate::verdict::{DropReason, Verdict};

mod message;

use message::{Message, Options};

pub(crate) const SERVER_PORT: u16 = 547;
pub(crate) const CLIENT_PORT: u16 = 546;
/// All_DHCP_Relay_Agents_and_Servers (RFC 8415 section 7.1).
pub(crate) const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// Seconds (VPC user guide, "DHCP option sets": ipv6-address-preferred-lease-time).
const PREFERRED: u32 = 140;
/// Seconds.
const VALID: u32 = 450;

/// Message types of RFC 8415 section 7.3.
const SOLICIT: u8 = 1;
const ADVERTISE: u8 = 2;
const REQUEST: u8 = 3;
const CONFIRM: u8 = 4;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
const REPLY: u8 = 7;
const RELEASE: u8 = 8;
const DECLINE: u8 = 9;
const INFORMATION_REQUEST: u8 = 11;

/// Option codes of RFC 8415 section 21, RFC 3646 and RFC 5908.
const CLIENT_ID: u16 = 1;
const SERVER_ID: u16 = 2;
const IA_NA: u16 = 3;
const IA_ADDR: u16 = 5;
const PREFERENCE: u16 = 7;
const STATUS_CODE: u16 = 13;
const RAPID_COMMIT: u16 = 14;
const DNS_SERVERS: u16 = 23;
const IA_PD: u16 = 25;
const NTP_SERVERS: u16 = 56;
/// Suboption code of RFC 5908 section 4.1.
const NTP_SERVER_ADDRESS: u16 = 1;

/// Status codes of RFC 8415 section 21.13.
const SUCCESS: u16 = 0;
const NO_ADDRS_AVAIL: u16 = 2;
const NOT_ON_LINK: u16 = 4;
const NO_PREFIX_AVAIL: u16 = 6;

/// Answers one message to port 547 from `interface`.
pub(crate) fn answer(tables: &Tables, interface: &Interface, frame: &Frame, packet: &Packet) -> Verdict {
    let bad = Verdict::Drop(DropReason::BadDhcp);
    let IpAddr::V6(client) = packet.src() else { return bad };
    let Some(request) = Message::parse(packet.payload(&frame.bytes)) else { return bad };
    if !(SOLICIT..=INFORMATION_REQUEST).contains(&request.kind) {
        return bad;
    }
    let vpc = tables.vpc_of(interface);
    match reply(&vpc.dhcp, interface, vpc.dns_support, &request) {
        Some(reply) => {
            let frame = build::udp(ROUTER_LINK_LOCAL, client, SERVER_PORT, CLIENT_PORT, &reply.to_bytes());
            Verdict::Reply(Box::new(frame.with_macs(ROUTER_MAC, interface.mac)))
        }
        // RFC 8415 sections 16.2 to 16.12: what is for another server, or says too little, is discarded.
        None => Verdict::Consumed,
    }
}

fn reply(
    says: &DhcpConfiguration,
    interface: &Interface,
    dns_support: bool,
    request: &Message,
) -> Option<Message> {
    let asked = &request.options;
    let for_us = asked.get(SERVER_ID).map(|named| named == server_id());
    let rapid = request.kind == SOLICIT && asked.get(RAPID_COMMIT).is_some();
    let kind = match (request.kind, for_us) {
        (SOLICIT, None) if rapid => REPLY,
        (SOLICIT, None) => ADVERTISE,
        (REQUEST | RENEW | RELEASE | DECLINE, Some(true)) => REPLY,
        (CONFIRM | REBIND, None) => REPLY,
        (INFORMATION_REQUEST, None | Some(true)) => REPLY,
        _ => return None,
    };
    let mut options = Options::default();
    match asked.get(CLIENT_ID) {
        Some(client) => options.push(CLIENT_ID, client.to_vec()),
        None if request.kind == INFORMATION_REQUEST => {}
        None => return None,
    }
    options.push(SERVER_ID, server_id());
    if rapid {
        options.push(RAPID_COMMIT, Vec::new());
    }
    if kind == ADVERTISE {
        // There is no better server to wait for (RFC 8415 section 18.2.1).
        options.push(PREFERENCE, vec![u8::MAX]);
    }
    match request.kind {
        SOLICIT | REQUEST | RENEW | REBIND => {
            for association in asked.all(IA_NA) {
                options.push(IA_NA, leased(says, interface, request.kind, association)?);
            }
            for association in asked.all(IA_PD) {
                options.push(IA_PD, refused_prefix(association)?);
            }
        }
        CONFIRM => {
            let named = addresses(asked)?;
            if named.is_empty() {
                return None;
            }
            let fits = named.iter().all(|&own| interface.addresses.contains_key(&own.into()));
            let (code, words) = match fits {
                true => (SUCCESS, "all addresses are on the link"),
                false => (NOT_ON_LINK, "not an address of this interface"),
            };
            options.push(STATUS_CODE, status(code, words));
        }
        // The addresses are the interface's whatever the client thinks of them.
        RELEASE | DECLINE => options.push(STATUS_CODE, status(SUCCESS, "noted")),
        _ => {}
    }
    let name_servers = says.domain_name_servers.iter().filter_map(|server| match server {
        NameServer::Amazon => dns_support.then_some(RESOLVER6),
        NameServer::Address(IpAddr::V6(address)) => Some(*address),
        NameServer::Address(IpAddr::V4(_)) => None,
    });
    let name_servers: Vec<u8> = name_servers.flat_map(|server| server.octets()).collect();
    if !name_servers.is_empty() {
        options.push(DNS_SERVERS, name_servers);
    }
    let ntp_servers = says.ntp_servers.iter().filter_map(|server| match server {
        IpAddr::V6(address) => Some(ntp_server(*address)),
        IpAddr::V4(_) => None,
    });
    let ntp_servers: Vec<u8> = ntp_servers.flatten().collect();
    if !ntp_servers.is_empty() {
        options.push(NTP_SERVERS, ntp_servers);
    }
    Some(Message { kind, transaction: request.transaction, options })
}

/// An identity association with the interface's addresses in it. Others that the client thinks it has get no more time
/// (RFC 8415 sections 18.3.4 and 18.3.5).
fn leased(says: &DhcpConfiguration, interface: &Interface, kind: u8, asked: &[u8]) -> Option<Vec<u8>> {
    let mut options = Options::default();
    let preferred = says.ipv6_address_preferred_lease_time.unwrap_or(PREFERRED);
    let lease = |address: Ipv6Addr, preferred: u32, valid: u32| {
        [&address.octets()[..], &preferred.to_be_bytes(), &valid.to_be_bytes()].concat()
    };
    for address in interface.addresses.keys() {
        if let IpAddr::V6(address) = address {
            options.push(IA_ADDR, lease(*address, preferred, preferred.max(VALID)));
        }
    }
    if matches!(kind, RENEW | REBIND) {
        for address in addresses_in(asked)? {
            if !interface.addresses.contains_key(&address.into()) {
                options.push(IA_ADDR, lease(address, 0, 0));
            }
        }
    }
    if options.is_empty() {
        options.push(STATUS_CODE, status(NO_ADDRS_AVAIL, "the interface has no IPv6 address"));
    }
    let [t1, t2] = [preferred / 2, preferred / 5 * 4].map(u32::to_be_bytes);
    Some([asked.get(..4)?, &t1, &t2, &options.to_bytes()].concat())
}

fn ntp_server(address: Ipv6Addr) -> Vec<u8> {
    let mut suboptions = Options::default();
    suboptions.push(NTP_SERVER_ADDRESS, address.octets().to_vec());
    suboptions.to_bytes()
}

fn refused_prefix(asked: &[u8]) -> Option<Vec<u8>> {
    let mut options = Options::default();
    options.push(STATUS_CODE, status(NO_PREFIX_AVAIL, "no prefixes are delegated"));
    Some([asked.get(..4)?, &[0; 8], &options.to_bytes()].concat())
}

/// All addresses that a client names; none if it names them badly.
fn addresses(asked: &Options) -> Option<Vec<Ipv6Addr>> {
    let named = asked.all(IA_NA).map(addresses_in).collect::<Option<Vec<_>>>()?;
    Some(named.concat())
}

/// Those that one identity association names.
fn addresses_in(association: &[u8]) -> Option<Vec<Ipv6Addr>> {
    let options = Options::parse(association.get(12..)?)?;
    options.all(IA_ADDR).map(|address| Some(Ipv6Addr::from(*address.first_chunk::<16>()?))).collect()
}

fn status(code: u16, words: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], words.as_bytes()].concat()
}

/// DUID-LL of the router (RFC 8415 section 11.4): the same on all links and after each restart.
fn server_id() -> Vec<u8> {
    [&[0, 3, 0, 1], &ROUTER_MAC.0[..]].concat()
}
