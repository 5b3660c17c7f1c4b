//! Security groups and network ACLs, by asking every rule.

use std::net::IpAddr;

use ipnet::IpNet;
use model::{
    AclEntry, Across, Direction, NetworkInterface, Peer, PeeringStatus, Protocol, Region, Rule, Subnet,
    VpcPeeringConnectionId,
};
use wire::{FlowKey, FlowProto};

use super::protocol;
use super::walk::has;

/// Whether the network ACL of a subnet lets a packet through: the first rule that is about it decides.
pub(super) fn acl_allows(region: &Region, subnet: &Subnet, direction: Direction, key: &FlowKey) -> bool {
    let acl = &region.network_acls()[&subnet.network_acl.acl];
    let (entries, peer) = match direction {
        Direction::Ingress => (&acl.ingress, key.src),
        Direction::Egress => (&acl.egress, key.dst),
    };
    let mut numbers: Vec<_> = entries.keys().collect();
    numbers.sort();
    let first = numbers.into_iter().find(|number| is_about(&entries[number], peer, key));
    first.is_some_and(|number| entries[number].allow)
}

fn is_about(entry: &AclEntry, peer: IpAddr, key: &FlowKey) -> bool {
    let (number, detail) = protocol(key);
    let right_protocol = entry.protocol.number().is_none_or(|own| own == number);
    let right_detail = match (entry.ports, entry.icmp, detail) {
        (None, None, _) => true,
        (Some((from, to)), None, Some((port, _))) => (from..=to).contains(&port),
        (Some(range), None, None) => range == (0, 65_535),
        (_, Some((kind, code)), Some((own_kind, own_code))) => {
            (kind == -1 || kind == own_kind as i16) && (code == -1 || code == own_code as i16)
        }
        (_, Some((kind, _)), None) => kind == -1,
    };
    right_protocol && right_detail && entry.cidr.contains(&peer)
}

/// What the groups of an interface say of a packet with this peer, which is straight across a peering connection or not:
/// nothing, or whether its connection is tracked.
pub(super) fn groups_allow(
    region: &Region,
    interface: &NetworkInterface,
    direction: Direction,
    (peer, across): (IpAddr, Option<VpcPeeringConnectionId>),
    key: &FlowKey,
) -> Option<bool> {
    let rules = || {
        let groups = interface.groups.iter().map(|id| &region.security_groups()[id]);
        groups.flat_map(|group| group.rules())
    };
    let (number, detail) = protocol(key);
    let allows = |rule: &Rule| rule.direction == direction && covers(rule, number, detail);
    let there = |rule: &Rule| rule.across.is_none_or(|of| joins(region, of) && across == Some(of.connection));
    if !rules().any(|rule| allows(rule) && there(rule) && is_peer(region, rule.peer, peer)) {
        return None;
    }
    let is_tcp_or_udp = matches!(key.proto, FlowProto::Tcp { .. } | FlowProto::Udp { .. });
    let for_everyone = rules().any(|rule| allows(rule) && is_everyone(rule.peer, peer));
    let whatever_answers = rules()
        .any(|rule| rule.direction != direction && covers_all(rule, number) && is_everyone(rule.peer, peer));
    Some(!(is_tcp_or_udp && for_everyone && whatever_answers))
}

fn covers(rule: &Rule, number: u8, detail: Option<(u16, u16)>) -> bool {
    let is_icmp = matches!(rule.protocol, Protocol::Icmp | Protocol::Icmpv6);
    let right = match (rule.ports, detail) {
        (None, _) => true,
        (Some((kind, code)), Some((own_kind, own_code))) if is_icmp => {
            (kind == -1 || kind == i32::from(own_kind)) && (code == -1 || code == i32::from(own_code))
        }
        (Some((from, to)), Some((port, _))) => (from..=to).contains(&i32::from(port)),
        (Some(_), None) => false,
    };
    rule.protocol.number().is_none_or(|own| own == number) && right
}

fn covers_all(rule: &Rule, number: u8) -> bool {
    rule.protocol.number().is_none_or(|own| own == number)
        && matches!(rule.ports, None | Some((0, 65_535) | (-1, _)))
}

fn joins(region: &Region, across: Across) -> bool {
    let connection = region.vpc_peering_connections().get(&across.connection);
    connection.is_some_and(|connection| connection.status == PeeringStatus::Active)
}

fn is_everyone(peer: Peer, address: IpAddr) -> bool {
    match peer {
        Peer::Cidr(cidr) => cidr.prefix_len() == 0 && address.is_ipv4(),
        Peer::Cidr6(cidr) => cidr.prefix_len() == 0 && address.is_ipv6(),
        Peer::Group(_) | Peer::PrefixList(_) => false,
    }
}

fn is_peer(region: &Region, peer: Peer, address: IpAddr) -> bool {
    match peer {
        Peer::Cidr(cidr) => IpNet::V4(cidr).contains(&address),
        Peer::Cidr6(cidr) => IpNet::V6(cidr).contains(&address),
        Peer::Group(group) => region
            .interfaces()
            .values()
            .any(|interface| interface.groups.contains(&group) && has(interface, address)),
        Peer::PrefixList(list) => {
            region.prefix_lists()[&list].entries.iter().any(|entry| entry.cidr.contains(&address))
        }
    }
}
