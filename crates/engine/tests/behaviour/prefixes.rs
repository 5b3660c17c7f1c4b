//! Prefixes of interfaces: every address of one is the interface's, and none beside it.

use engine::{DropReason, Engine, Time};
use model::{Applied, Change, Direction, NewPrefixes, Peer, Protocol};
use wire::nd::{self, NeighborAdvertisement};
use wire::{arp, build};

use crate::gateways::{ELASTIC, Gateways, SYN, SYN_ACK, source_port};
use crate::lab::{
    Machine, OFFICE, OFFICE_MAC, OFFICE6, UPLINK, UPLINK_MAC, from_office, ip, ip6, to_office, udp,
};

/// The network whose machine b has 10.0.1.32/28 and 2001:db8:0:101:7::/80; both ways to the internet for IPv6.
fn network() -> Gateways {
    let mut net = Gateways::new("aws");
    assign(&mut net, |net| &net.b, &["10.0.1.32/28", "2001:db8:0:101:7::/80"]);
    let (inside, igw) = (net.inside, net.igw);
    net.cloud.allow(inside, Direction::Ingress, Protocol::All, None, Peer::Cidr6("::/0".parse().unwrap()));
    net.cloud.route(net.private_table, "::/0", igw);
    net
}

fn assign(net: &mut Gateways, machine: fn(&Gateways) -> &Machine, prefixes: &[&str]) {
    let interface = machine(net).key.interface;
    let these: Vec<_> = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
    let prefixes = NewPrefixes { these: these.clone(), ..NewPrefixes::default() };
    let assigned = net.cloud.apply(Change::AssignPrefixes { interface, prefixes });
    assert_eq!(assigned, Applied::Prefixes(these));
}

#[test]
fn every_address_of_a_prefix_is_the_interfaces() {
    let net = network();
    let (a, b, web) = (&net.a, &net.b, &net.web);
    let mut lab = net.lab();
    for address in ["10.0.1.32", "10.0.1.40", "10.0.1.47"].map(ip) {
        let question = udp(web.ip, address);
        assert_eq!(lab.one(web.port, web.by_router(question.clone())), (b.port, b.handed(question)));
        let answer = build::echo(address, a.ip, true, 7, 1, b"");
        assert_eq!(lab.one(b.port, b.by_neighbor(a, answer.clone())).1, answer.with_macs(b.mac, a.mac));
        let asked = arp::request(a.mac, a.ip, address);
        let heard = arp::reply(b.mac, &arp::parse(&asked.bytes).unwrap());
        assert_eq!(lab.one(a.port, asked), (a.port, heard));
        // Its own: a probe hears nothing, and it may speak as it.
        lab.consumed(b.port, arp::request(b.mac, ip("0.0.0.0"), address));
        assert_eq!(lab.one(b.port, arp::request(b.mac, address, a.ip)).0, b.port);
    }
    for address in ["2001:db8:0:101:7::", "2001:db8:0:101:7:ffff:ffff:ffff"].map(ip6) {
        let question = build::udp(net.web6, address, 5, 7, b"?");
        assert_eq!(lab.one(web.port, web.by_router(question.clone())), (b.port, b.handed(question)));
        let answer = build::udp(address, net.a6, 7, 9, b"!");
        assert_eq!(lab.one(b.port, b.by_neighbor(a, answer)).0, a.port);
        let heard = NeighborAdvertisement {
            target: address,
            mac: Some(b.mac),
            router: false,
            solicited: true,
            overrides: true,
        };
        let heard = nd::advertise_neighbor(&heard, address, net.a6).with_macs(b.mac, a.mac);
        assert_eq!(lab.one(a.port, nd::solicit_neighbor(address, net.a6, a.mac)), (a.port, heard));
        lab.consumed(b.port, nd::solicit_neighbor(address, ip6("::"), b.mac));
    }
}

#[test]
fn what_is_beside_a_prefix_is_not() {
    let net = network();
    let (a, b) = (&net.a, &net.b);
    let mut lab = net.lab();
    for address in ["10.0.1.31", "10.0.1.48"].map(ip) {
        assert_eq!(lab.dropped(b.port, b.by_neighbor(a, udp(address, a.ip))), DropReason::SourceCheck);
        assert_eq!(lab.dropped(a.port, a.by_router(udp(a.ip, address))), DropReason::NoSuchAddress);
        assert_eq!(lab.dropped(a.port, a.by_neighbor(b, udp(a.ip, address))), DropReason::DestinationCheck);
        assert_eq!(lab.dropped(b.port, arp::request(b.mac, address, a.ip)), DropReason::SpoofedArp);
        lab.consumed(a.port, arp::request(a.mac, a.ip, address));
    }
    for address in ["2001:db8:0:101:6:ffff:ffff:ffff", "2001:db8:0:101:8::"].map(ip6) {
        let there = build::udp(address, net.a6, 5, 7, b"");
        assert_eq!(lab.dropped(b.port, b.by_neighbor(a, there)), DropReason::SourceCheck);
        let back = build::udp(net.a6, address, 5, 7, b"");
        assert_eq!(lab.dropped(a.port, a.by_router(back)), DropReason::NoSuchAddress);
        lab.consumed(a.port, nd::solicit_neighbor(address, net.a6, a.mac));
    }
    // Nor has another one a part of it.
    let stolen = a.by_router(udp(ip("10.0.1.40"), net.web.ip));
    assert_eq!(lab.dropped(a.port, stolen), DropReason::SourceCheck);
}

#[test]
fn a_prefix_comes_and_goes() {
    let mut net = network();
    let before = net.cloud.tables(1);
    let (interface, prefix) = (net.b.key.interface, "10.0.1.32/28".parse().unwrap());
    net.cloud.apply(Change::UnassignPrefixes { interface, prefixes: vec![prefix] });
    let mut lab = crate::lab::Lab { engine: Engine::new(before, 7), now: Time(0) };
    let (a, b) = (&net.a, &net.b);
    let question = a.by_router(udp(a.ip, ip("10.0.1.40")));
    for _ in 0..2 {
        assert_eq!(lab.one(a.port, question.clone()).0, b.port);
    }
    lab.engine.load(net.cloud.tables(2));
    assert_eq!(lab.dropped(a.port, question), DropReason::NoSuchAddress);
}

#[test]
fn group_members_are_known_by_their_prefixes() {
    let mut net = network();
    let members = net.inside;
    let guarded = net.cloud.group(net.vpc, "guarded", &[]);
    net.cloud.allow(guarded, Direction::Ingress, Protocol::All, None, Peer::Group(members));
    let guarded = net.cloud.machine(20, net.public, "10.0.2.20", &[guarded], true);
    assign(&mut net, |net| &net.web, &["10.0.2.32/28"]);
    let (b, web) = (&net.b, &net.web);
    let mut lab = net.lab();
    let friend = b.by_router(udp(ip("10.0.1.40"), guarded.ip));
    assert_eq!(lab.one(b.port, friend).0, guarded.port);
    let stranger = web.by_neighbor(&guarded, udp(ip("10.0.2.40"), guarded.ip));
    assert_eq!(lab.dropped(web.port, stranger), DropReason::SecurityGroupIngress);
}

#[test]
fn to_and_from_the_internet() {
    let mut net = network();
    assign(&mut net, |net| &net.web, &["10.0.2.32/28"]);
    let (b, web) = (&net.b, &net.web);
    let mut lab = net.lab();
    // IPv4 by the NAT gateway; without one there is no public address for it.
    let there = build::tcp(ip("10.0.1.40"), OFFICE, 5, 443, SYN, b"");
    let (port, left) = lab.one(b.port, b.by_router(there));
    assert_eq!(port, UPLINK);
    let back = build::tcp(OFFICE, ELASTIC, 443, source_port(&left), SYN_ACK, b"");
    let expected = build::tcp(OFFICE, ip("10.0.1.40"), 443, 5, SYN_ACK, b"").with_ttl(63);
    assert_eq!(lab.one(UPLINK, from_office(back)), (b.port, b.handed(expected)));
    let there = web.by_router(udp(ip("10.0.2.40"), OFFICE));
    assert_eq!(lab.dropped(web.port, there), DropReason::NoPublicAddress);
    // IPv6 addresses are public themselves.
    let own = ip6("2001:db8:0:101:7::40");
    let there = build::udp(own, OFFICE6, 5, 7, b"");
    assert_eq!(lab.one(b.port, b.by_router(there.clone())), (UPLINK, to_office(there)));
    let unasked = build::udp(OFFICE6, own, 9, 9, b"");
    assert_eq!(lab.one(UPLINK, from_office(unasked.clone())), (b.port, b.handed(unasked)));
    let asked = nd::solicit_neighbor(own, OFFICE6, OFFICE_MAC);
    assert_eq!(lab.one(UPLINK, asked).1.bytes[6..12], UPLINK_MAC.0);
    let beside = from_office(build::udp(OFFICE6, ip6("2001:db8:0:101:8::40"), 9, 9, b""));
    assert_eq!(lab.dropped(UPLINK, beside), DropReason::UnknownPublicAddress);
}
