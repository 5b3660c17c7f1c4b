//! Neighbour discovery and router advertisements, answered by the VPC.

use engine::{DropReason, ROUTER_LINK_LOCAL, ROUTER_MAC, Time};
use std::net::Ipv6Addr;
use wire::nd::{self, ALL_NODES, NeighborAdvertisement, Prefix, RouterAdvertisement};
use wire::{Frame, Mac, build};

use crate::gateways::{Gateways, parsed};
use crate::lab::{OFFICE_MAC, OFFICE6, Reference, UPLINK, UPLINK_MAC, ip6};

const NOBODY: Ipv6Addr = Ipv6Addr::UNSPECIFIED;

/// The answer to a solicitation.
fn answer(target: Ipv6Addr, mac: Mac, router: bool) -> NeighborAdvertisement {
    NeighborAdvertisement { target, mac: Some(mac), router, solicited: true, overrides: true }
}

#[test]
fn who_has_which_address() {
    let net = Gateways::new("aws");
    let (a, b) = (&net.a, &net.b);
    let mut lab = net.lab();
    let link_local = ip6("fe80::1234");
    for (target, mac, router) in [
        (ROUTER_LINK_LOCAL, ROUTER_MAC, true),
        (ip6("2001:db8:0:101::1"), ROUTER_MAC, true),
        (net.b6, b.mac, false),
    ] {
        for asker in [net.a6, link_local] {
            let expected = nd::advertise_neighbor(&answer(target, mac, router), target, asker);
            let question = nd::solicit_neighbor(target, asker, a.mac);
            assert_eq!(lab.one(a.port, question), (a.port, expected.with_macs(mac, a.mac)), "{target}");
        }
        // Asked straight, as hosts do to see whether it is still there.
        let question = nd::solicit_neighbor(target, net.a6, a.mac);
        let straight = build::ip(net.a6, target, 58, &question.bytes[54..]).with_ttl(255);
        let sum = checksum(net.a6, target, &question.bytes[54..]);
        let mut straight = straight.with_macs(a.mac, mac);
        straight.bytes[56..58].copy_from_slice(&sum.to_be_bytes());
        let expected = nd::advertise_neighbor(&answer(target, mac, router), target, net.a6);
        assert_eq!(lab.one(a.port, straight), (a.port, expected.with_macs(mac, a.mac)), "{target}");
    }
}

/// The checksum of an ICMPv6 message (RFC 4443 section 2.3), whose own field is not looked at.
fn checksum(src: Ipv6Addr, dst: Ipv6Addr, message: &[u8]) -> u16 {
    let mut bytes = [&src.octets()[..], &dst.octets(), &(message.len() as u32).to_be_bytes()].concat();
    bytes.extend([0, 0, 0, 58]);
    let start = bytes.len();
    bytes.extend(message);
    bytes[start + 2..start + 4].fill(0);
    let mut sum: u32 = bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[test]
fn nobody_answers_for_an_address_of_ones_own_or_of_nobody() {
    let net = Gateways::new("aws");
    let a = &net.a;
    let mut lab = net.lab();
    // Duplicate address detection of what DHCPv6 gave, and of the link-local address.
    for target in [net.a6, ip6("fe80::4f3:fcff:fe19:736b")] {
        lab.consumed(a.port, nd::solicit_neighbor(target, NOBODY, a.mac));
    }
    for target in [net.a6, net.web6, OFFICE6, ip6("2001:db8:0:101::99")] {
        lab.consumed(a.port, nd::solicit_neighbor(target, net.a6, a.mac));
    }
    // Whoever wants the neighbour's address hears that it is taken.
    let expected = NeighborAdvertisement { solicited: false, ..answer(net.b6, net.b.mac, false) };
    let expected = nd::advertise_neighbor(&expected, net.b6, ALL_NODES);
    let everybody = nd::multicast_mac(ALL_NODES);
    let heard = lab.one(a.port, nd::solicit_neighbor(net.b6, NOBODY, a.mac));
    assert_eq!(heard, (a.port, expected.with_macs(net.b.mac, everybody)));
}

#[test]
fn nobody_speaks_for_others() {
    let net = Gateways::new("aws");
    let (a, b) = (&net.a, &net.b);
    let mut lab = net.lab();
    let asked = nd::solicit_neighbor(net.b6, net.a6, b.mac).with_macs(a.mac, Mac([0x33; 6]));
    assert_eq!(lab.dropped(a.port, asked.clone()), DropReason::SpoofedNeighbor);
    assert_eq!(lab.dropped(a.port, asked.with_macs(b.mac, Mac([0x33; 6]))), DropReason::SpoofedMac);
    let announce = |target| {
        let words = NeighborAdvertisement { solicited: false, ..answer(target, a.mac, false) };
        nd::advertise_neighbor(&words, net.a6, ALL_NODES).with_macs(a.mac, nd::multicast_mac(ALL_NODES))
    };
    assert_eq!(lab.dropped(a.port, announce(net.b6)), DropReason::SpoofedNeighbor);
    lab.consumed(a.port, announce(net.a6));
    let rogue = nd::advertise_router(&router(), ip6("fe80::1"), ALL_NODES);
    assert_eq!(lab.dropped(a.port, rogue.with_macs(a.mac, b.mac)), DropReason::RogueRouter);
    let redirect = build::icmp_error(ip6("fe80::1"), net.b6, 137, 0, &[0; 32]).with_ttl(255);
    assert_eq!(lab.dropped(a.port, redirect.with_macs(a.mac, b.mac)), DropReason::RogueRouter);
    let routed = nd::solicit_neighbor(net.b6, net.a6, a.mac).with_ttl(254);
    assert_eq!(lab.dropped(a.port, routed).label(), "BadNeighborDiscovery");
}

/// What a subnet's router says of itself.
fn router() -> RouterAdvertisement {
    RouterAdvertisement {
        mac: Some(ROUTER_MAC),
        hop_limit: 64,
        managed: true,
        other: true,
        lifetime: 1800,
        mtu: Some(9001),
        prefixes: vec![Prefix {
            prefix: ip6("2001:db8:0:101::"),
            len: 64,
            on_link: true,
            autonomous: false,
            valid: 2_592_000,
            preferred: 2_592_000,
        }],
    }
}

#[test]
fn the_router_advertises_itself_when_asked() {
    let net = Gateways::new("aws");
    let a = &net.a;
    let mut lab = net.lab();
    let expected = nd::advertise_router(&router(), ROUTER_LINK_LOCAL, ALL_NODES).with_macs(ROUTER_MAC, a.mac);
    for asker in [NOBODY, ip6("fe80::1234")] {
        assert_eq!(lab.one(a.port, nd::solicit_router(asker, a.mac)), (a.port, expected.clone()));
    }
    // As bytes (RFC 4861 section 4.2): type, code; hop limit, M and O, lifetime; MTU; prefix with L alone.
    assert_eq!(expected.bytes[54..56], [134, 0]);
    assert_eq!(expected.bytes[58..62], [64, 0xc0, 0x07, 0x08]);
    let options = &expected.bytes[70..];
    assert_eq!(options[..8], [[1, 1].as_slice(), &ROUTER_MAC.0].concat()[..]);
    assert_eq!(options[8..16], [5, 1, 0, 0, 0, 0, 0x23, 0x29]);
    assert_eq!(options[16..20], [3, 4, 64, 0x80]);
    assert_eq!(parsed(&expected).ttl(), 255);
    // Without IPv6 there is no router.
    let plain = Reference::new();
    plain.lab().consumed(plain.test.port, nd::solicit_router(NOBODY, plain.test.mac));
}

#[test]
fn the_router_advertises_itself_every_ten_minutes() {
    let net = Gateways::new("aws");
    let mut lab = net.lab();
    let mut heard = |seconds| {
        let mut sent: Vec<(engine::PortId, Frame)> = Vec::new();
        lab.engine.tick(Time(0).after(seconds), &mut |port, frame: &Frame| sent.push((port, frame.clone())));
        sent
    };
    let first = heard(1);
    let ports: Vec<_> = first.iter().map(|(port, _)| *port).collect();
    let mut expected = [net.a.port, net.b.port, net.web.port];
    expected.sort();
    let mut sorted = ports.clone();
    sorted.sort();
    assert_eq!(sorted, expected);
    let to_a = nd::advertise_router(&router(), ROUTER_LINK_LOCAL, ALL_NODES).with_macs(ROUTER_MAC, net.a.mac);
    assert!(first.contains(&(net.a.port, to_a)));
    assert_eq!(heard(600), []);
    assert_eq!(heard(601).len(), 3);
    let counters = lab.engine.counters();
    assert_eq!(counters.ports[&net.a.port].sent, 2);
}

#[test]
fn addresses_that_lead_to_the_internet_are_answered_for_outside() {
    let mut net = Gateways::new("aws");
    let mut lab = net.lab();
    let ask = |target| nd::solicit_neighbor(target, OFFICE6, OFFICE_MAC);
    let answers = |target| {
        let advertised = nd::advertise_neighbor(&answer(target, UPLINK_MAC, false), target, OFFICE6);
        (UPLINK, advertised.with_macs(UPLINK_MAC, OFFICE_MAC))
    };
    assert_eq!(lab.one(UPLINK, ask(net.web6)), answers(net.web6));
    lab.consumed(UPLINK, ask(OFFICE6));
    lab.consumed(UPLINK, ask(ip6("2001:db8:0:102::99")));
    // Others' advertisements are none of our business.
    let other = nd::advertise_router(&router(), ip6("fe80::1"), ALL_NODES);
    lab.consumed(UPLINK, other.with_macs(OFFICE_MAC, nd::multicast_mac(ALL_NODES)));
    // A VPC without a gateway is not on the internet, whatever addresses it has.
    let vpc = net.cloud.vpc("10.7.0.0/16");
    let subnet = net.cloud.subnet(vpc, "10.7.1.0/24");
    net.cloud.ipv6(vpc, "2001:db8:0:700::/56", &[(subnet, "2001:db8:0:701::/64")]);
    let lone = net.cloud.machine(20, subnet, "10.7.1.10", &[], true);
    let lone6 = net.cloud.ipv6_address(&lone, "2001:db8:0:701::10");
    lab.engine.load(net.cloud.tables(2));
    lab.consumed(UPLINK, ask(lone6));
    net.cloud.egress_only(vpc);
    lab.engine.load(net.cloud.tables(3));
    assert_eq!(lab.one(UPLINK, ask(lone6)), answers(lone6));
}
