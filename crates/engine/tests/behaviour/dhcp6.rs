//! DHCPv6 as RFC 8415 has it, for addresses that belong to the interface.

use std::net::Ipv6Addr;

use engine::{DropReason, ROUTER_LINK_LOCAL, ROUTER_MAC};
use wire::{Frame, Mac, Transport, build};

use crate::gateways::{Gateways, parsed};
use crate::lab::{Lab, Machine, ip6};

const ALL_SERVERS: &str = "ff02::1:2";
const CLIENT_ID: u16 = 1;
const SERVER_ID: u16 = 2;
const IA_NA: u16 = 3;
const IA_ADDR: u16 = 5;
const STATUS: u16 = 13;
const RAPID_COMMIT: u16 = 14;
const IA_PD: u16 = 25;

type Options = Vec<(u16, Vec<u8>)>;

fn bytes(options: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let option = |(code, data): &(u16, Vec<u8>)| {
        [&code.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat()
    };
    options.iter().flat_map(option).collect()
}

fn parse(mut bytes: &[u8]) -> Options {
    let mut options = Vec::new();
    while let [a, b, c, d, rest @ ..] = bytes {
        let len = usize::from(u16::from_be_bytes([*c, *d]));
        options.push((u16::from_be_bytes([*a, *b]), rest[..len].to_vec()));
        bytes = &rest[len..];
    }
    options
}

fn get(options: &Options, code: u16) -> Option<Vec<u8>> {
    options.iter().find(|(own, _)| *own == code).map(|(_, data)| data.clone())
}

fn link_local() -> Ipv6Addr {
    ip6("fe80::1234")
}

fn client() -> (u16, Vec<u8>) {
    (CLIENT_ID, vec![0, 4, 9, 9, 9, 9])
}

fn server() -> (u16, Vec<u8>) {
    (SERVER_ID, [&[0, 3, 0, 1], &ROUTER_MAC.0[..]].concat())
}

/// An identity association that names these addresses.
fn association(addresses: &[Ipv6Addr]) -> (u16, Vec<u8>) {
    let named: Vec<_> =
        addresses.iter().map(|own| (IA_ADDR, [&own.octets()[..], &[0; 8]].concat())).collect();
    (IA_NA, [&[0, 0, 0, 7][..], &[0; 8], &bytes(&named)[..]].concat())
}

fn message(machine: &Machine, kind: u8, options: &[(u16, Vec<u8>)]) -> Frame {
    let payload = [&[kind, 1, 2, 3], &bytes(options)[..]].concat();
    let to = ip6(ALL_SERVERS);
    build::udp(link_local(), to, 546, 547, &payload).with_macs(machine.mac, wire::nd::multicast_mac(to))
}

/// The reply's kind and options.
fn ask(lab: &mut Lab, machine: &Machine, kind: u8, options: &[(u16, Vec<u8>)]) -> (u8, Options) {
    let (port, frame) = lab.one(machine.port, message(machine, kind, options));
    let packet = parsed(&frame);
    assert_eq!((port, packet.eth_src(), packet.eth_dst()), (machine.port, ROUTER_MAC, machine.mac));
    assert_eq!((packet.src(), packet.dst()), (ROUTER_LINK_LOCAL.into(), link_local().into()));
    assert_eq!(packet.transport(), Transport::Udp { src: 547, dst: 546 });
    let payload = packet.payload(&frame.bytes);
    assert_eq!(payload[1..4], [1, 2, 3], "the transaction");
    let options = parse(&payload[4..]);
    assert_eq!(get(&options, SERVER_ID), Some(server().1));
    assert_eq!(get(&options, CLIENT_ID), Some(client().1));
    (payload[0], options)
}

/// Addresses in an identity association with their preferred and valid lifetimes.
fn leases(association: &[u8]) -> Vec<(Ipv6Addr, u32, u32)> {
    let lease = |data: &[u8]| {
        let number = |at: usize| u32::from_be_bytes(data[at..at + 4].try_into().unwrap());
        let address: [u8; 16] = data[..16].try_into().unwrap();
        (address.into(), number(16), number(20))
    };
    let options = parse(&association[12..]);
    options.iter().filter(|(code, _)| *code == IA_ADDR).map(|(_, data)| lease(data)).collect()
}

#[test]
fn an_address_is_leased_in_four_messages_or_in_two() {
    let net = Gateways::new("aws");
    let a = &net.a;
    let mut lab = net.lab();
    let lease = vec![(net.a6, 140, 450)];
    let (kind, options) = ask(&mut lab, a, 1, &[client(), association(&[])]);
    assert_eq!(kind, 2, "advertise");
    assert_eq!(get(&options, 7), Some(vec![255]), "there is no better server to wait for");
    let offered = get(&options, IA_NA).unwrap();
    assert_eq!((&offered[..4], leases(&offered)), (&[0, 0, 0, 7][..], lease.clone()));
    assert_eq!(offered[4..12], [0, 0, 0, 70, 0, 0, 0, 112], "T1 and T2");
    assert_eq!(get(&options, RAPID_COMMIT), None);
    let (kind, options) = ask(&mut lab, a, 3, &[client(), server(), association(&[net.a6])]);
    assert_eq!((kind, leases(&get(&options, IA_NA).unwrap())), (7, lease.clone()));
    assert_eq!(get(&options, 23), Some(ip6("fd00:ec2::253").octets().to_vec()));
    let (kind, options) = ask(&mut lab, a, 1, &[client(), (RAPID_COMMIT, vec![]), association(&[])]);
    assert_eq!((kind, get(&options, RAPID_COMMIT)), (7, Some(vec![])));
    assert_eq!(leases(&get(&options, IA_NA).unwrap()), lease);
    assert_eq!(lab.connections(), 0);
}

#[test]
fn a_lease_is_renewed_as_long_as_it_is_the_interfaces() {
    let mut net = Gateways::new("aws");
    let a = net.a.clone();
    let mut lab = net.lab();
    let both = [(5, vec![client(), server()]), (6, vec![client()])];
    for (kind, mut options) in both.clone() {
        options.push(association(&[net.a6]));
        let (kind, options) = ask(&mut lab, &a, kind, &options);
        assert_eq!((kind, leases(&get(&options, IA_NA).unwrap())), (7, vec![(net.a6, 140, 450)]));
    }
    let (interface, addresses) = (a.key.interface, vec![net.a6]);
    net.cloud.apply(model::Change::UnassignIpv6Addresses { interface, addresses });
    let new = net.cloud.ipv6_address(&a, "2001:db8:0:101::77");
    lab.engine.load(net.cloud.tables(2));
    for (kind, mut options) in both {
        options.push(association(&[net.a6]));
        let (_, options) = ask(&mut lab, &a, kind, &options);
        assert_eq!(leases(&get(&options, IA_NA).unwrap()), [(new, 140, 450), (net.a6, 0, 0)]);
    }
}

#[test]
fn is_this_still_my_link() {
    let net = Gateways::new("aws");
    let a = &net.a;
    let mut lab = net.lab();
    for (address, code) in [(net.a6, 0), (net.b6, 4)] {
        let (kind, options) = ask(&mut lab, a, 4, &[client(), association(&[address])]);
        assert_eq!((kind, get(&options, STATUS).unwrap()[..2].to_vec()), (7, vec![0, code]));
    }
    // About nothing there is nothing to say (RFC 8415 section 18.3.3).
    lab.consumed(a.port, message(a, 4, &[client(), association(&[])]));
}

#[test]
fn what_is_given_back_is_noted_and_information_given() {
    let net = Gateways::new("aws");
    let a = &net.a;
    let mut lab = net.lab();
    for kind in [8, 9] {
        let (reply, options) = ask(&mut lab, a, kind, &[client(), server(), association(&[net.a6])]);
        assert_eq!((reply, get(&options, STATUS).unwrap()[..2].to_vec()), (7, vec![0, 0]));
    }
    let (kind, options) = ask(&mut lab, a, 11, &[client()]);
    assert_eq!((kind, get(&options, IA_NA)), (7, None));
    assert!(get(&options, 23).is_some());
}

#[test]
fn there_are_no_prefixes_and_perhaps_no_addresses() {
    let mut net = Gateways::new("aws");
    let bare = net.cloud.machine(20, net.private, "10.0.1.20", &[], true);
    let mut lab = net.lab();
    let prefix = (IA_PD, vec![0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0]);
    let (_, options) = ask(&mut lab, &bare, 1, &[client(), association(&[]), prefix]);
    let status = |association: Vec<u8>| get(&parse(&association[12..]), STATUS).unwrap()[..2].to_vec();
    assert_eq!(status(get(&options, IA_NA).unwrap()), [0, 2], "NoAddrsAvail");
    assert_eq!(leases(&get(&options, IA_NA).unwrap()), []);
    assert_eq!(status(get(&options, IA_PD).unwrap()), [0, 6], "NoPrefixAvail");
    assert_eq!(get(&options, IA_PD).unwrap()[..4], [0, 0, 0, 9]);
}

#[test]
fn messages_for_others_and_half_ones_are_left_alone() {
    let net = Gateways::new("aws");
    let a = &net.a;
    let mut lab = net.lab();
    let other = (SERVER_ID, vec![0, 3, 0, 1, 9, 9, 9, 9, 9, 9]);
    lab.consumed(a.port, message(a, 3, &[client(), other.clone(), association(&[])]));
    lab.consumed(a.port, message(a, 1, &[client(), other, association(&[])]));
    lab.consumed(a.port, message(a, 3, &[client(), association(&[])]));
    lab.consumed(a.port, message(a, 1, &[association(&[])]));
    lab.consumed(a.port, message(a, 1, &[client(), (IA_NA, vec![1, 2])]));
    assert_eq!(lab.dropped(a.port, message(a, 12, &[client()])), DropReason::BadDhcp);
    let cut = build::udp(link_local(), ip6(ALL_SERVERS), 546, 547, &[1, 2, 3]);
    assert_eq!(lab.dropped(a.port, cut.with_macs(a.mac, Mac([0x33; 6]))), DropReason::BadDhcp);
    let rogue = build::udp(net.a6, net.b6, 547, 546, b"");
    assert_eq!(lab.dropped(a.port, a.by_neighbor(&net.b, rogue)), DropReason::RogueDhcpServer);
}
