//! IPv6 between instances, by the internet gateway, and by the egress-only one.

use engine::{DropReason, Engine, Step, Time};
use model::{Change, Direction, Peer, Protocol, RouteVia, SecurityGroupId};
use std::net::Ipv6Addr;
use wire::{Frame, build, icmp_error};

use crate::gateways::{ACK, Gateways, SYN, SYN_ACK, parsed, quote};
use crate::lab::{OFFICE6, UPLINK, from_office, ip6, to_office};

fn everyone() -> Peer {
    Peer::Cidr6("::/0".parse().unwrap())
}

/// The network whose web server everybody may ask, and whose private subnet has an egress-only gateway.
fn network() -> (Gateways, SecurityGroupId) {
    let mut net = Gateways::new("aws");
    let open = net.cloud.region.interfaces()[&net.web.key.interface].groups[0];
    net.cloud.allow(open, Direction::Ingress, Protocol::All, None, everyone());
    net.cloud.route(net.public_table, "::/0", net.igw);
    let egress_only = RouteVia::EgressOnlyInternetGateway(net.cloud.egress_only(net.vpc));
    net.cloud.route(net.private_table, "::/0", egress_only);
    (net, open)
}

#[test]
fn between_instances() {
    let (net, _) = network();
    let (a, web) = (&net.a, &net.web);
    let mut lab = net.lab();
    for (question, answer) in [
        (build::udp(net.a6, net.web6, 5, 53, b"?"), build::udp(net.web6, net.a6, 53, 5, b"!")),
        (build::tcp(net.a6, net.web6, 5, 80, SYN, b""), build::tcp(net.web6, net.a6, 80, 5, SYN_ACK, b"")),
        (build::echo(net.a6, net.web6, true, 7, 1, b""), build::echo(net.web6, net.a6, false, 7, 1, b"")),
    ] {
        for _ in 0..2 {
            let expected = (web.port, web.handed(question.clone()));
            assert_eq!(lab.one(a.port, a.by_router(question.clone())), expected);
            let expected = (a.port, a.handed(answer.clone()));
            assert_eq!(lab.one(web.port, web.by_router(answer.clone())), expected);
        }
    }
    let unasked = web.by_router(build::udp(net.web6, net.a6, 9, 9, b""));
    assert_eq!(lab.dropped(web.port, unasked), DropReason::SecurityGroupIngress);
    let nobody = a.by_router(build::udp(net.a6, ip6("2001:db8:0:101::99"), 9, 9, b""));
    assert_eq!(lab.dropped(a.port, nobody), DropReason::NoSuchAddress);
    for router in ["fe80:ec2::1", "2001:db8:0:101::1"] {
        let frame = a.by_router(build::echo(net.a6, ip6(router), true, 7, 1, b""));
        assert_eq!(lab.dropped(a.port, frame), DropReason::ForTheRouter);
    }
}

#[test]
fn everybody_sends_under_their_own_address() {
    let (net, _) = network();
    let (a, b) = (&net.a, &net.b);
    let mut lab = net.lab();
    let from = |src: Ipv6Addr| build::udp(src, net.b6, 5, 7, b"");
    assert_eq!(lab.dropped(a.port, a.by_neighbor(b, from(net.web6))), DropReason::SourceCheck);
    for martian in ["::", "::1", "ff02::1", "fe80::1234", "::ffff:10.0.1.10"] {
        let frame = a.by_neighbor(b, from(ip6(martian)));
        assert_eq!(lab.dropped(a.port, frame), DropReason::MartianSource, "{martian}");
    }
    let group = build::udp(net.a6, ip6("ff02::fb"), 5353, 5353, b"");
    assert_eq!(lab.dropped(a.port, a.by_router(group)), DropReason::Multicast);
    let service = a.by_router(build::tcp(net.a6, ip6("fd00:ec2::254"), 5, 80, SYN, b""));
    assert_eq!(lab.dropped(a.port, service), DropReason::NoSuchService);
    let not_its_own = build::udp(net.a6, ip6("2001:db8:0:101::99"), 5, 7, b"");
    assert_eq!(lab.dropped(a.port, a.by_neighbor(b, not_its_own)), DropReason::DestinationCheck);
}

#[test]
fn by_the_internet_gateway_both_ways() {
    let (mut net, open) = network();
    let web = net.web.clone();
    let mut lab = net.lab();
    let out = build::tcp(net.web6, OFFICE6, 5, 443, SYN, b"");
    assert_eq!(lab.one(web.port, web.by_router(out.clone())), (UPLINK, to_office(out)));
    let question = || build::tcp(OFFICE6, net.web6, 5, 80, SYN, b"");
    assert_eq!(lab.one(UPLINK, from_office(question())), (web.port, web.handed(question())));
    let stranger = from_office(build::tcp(OFFICE6, ip6("2001:db8:0:102::99"), 5, 80, SYN, b""));
    assert_eq!(lab.dropped(UPLINK, stranger), DropReason::UnknownPublicAddress);
    let ours = from_office(build::tcp(net.a6, net.web6, 5, 80, SYN, b""));
    assert_eq!(lab.dropped(UPLINK, ours), DropReason::MartianSource);
    net.cloud.revoke_all(open, Direction::Ingress);
    lab.engine.load(net.cloud.tables(2));
    let other = from_office(build::tcp(OFFICE6, net.web6, 6, 80, SYN, b""));
    assert_eq!(lab.dropped(UPLINK, other), DropReason::SecurityGroupIngress);
}

#[test]
fn by_the_egress_only_gateway_out_and_answers_in() {
    let (mut net, _) = network();
    // Whatever the rules let in, the gateway does not.
    net.cloud.allow(net.inside, Direction::Ingress, Protocol::All, None, everyone());
    let a = &net.a;
    let mut lab = net.lab();
    let reason = DropReason::EgressOnly;
    for (question, answer) in [
        (build::udp(net.a6, OFFICE6, 5, 53, b"?"), build::udp(OFFICE6, net.a6, 53, 5, b"!")),
        (build::tcp(net.a6, OFFICE6, 5, 80, SYN, b""), build::tcp(OFFICE6, net.a6, 80, 5, SYN_ACK, b"")),
        (build::echo(net.a6, OFFICE6, true, 7, 1, b""), build::echo(OFFICE6, net.a6, false, 7, 1, b"")),
    ] {
        assert_eq!(lab.dropped(UPLINK, from_office(answer.clone())), reason, "nobody has asked");
        let expected = (UPLINK, to_office(question.clone()));
        assert_eq!(lab.one(a.port, a.by_router(question)), expected);
        for _ in 0..2 {
            let expected = (a.port, a.handed(answer.clone()));
            assert_eq!(lab.one(UPLINK, from_office(answer.clone())), expected);
        }
    }
    for unasked in [
        build::tcp(OFFICE6, net.a6, 5, 22, SYN, b""),
        build::tcp(OFFICE6, net.a6, 80, 6, ACK, b""),
        build::echo(OFFICE6, net.a6, true, 7, 1, b""),
    ] {
        assert_eq!(lab.dropped(UPLINK, from_office(unasked)), reason);
    }
    // Errors about what was asked come in, others do not.
    let sent = build::udp(net.a6, OFFICE6, 5, 53, b"?");
    let router = ip6("2001:db8:ffff::1");
    for (kind, code) in [(2, 0), (1, 4), (3, 0)] {
        let error = build::icmp_error(router, net.a6, kind, code, quote(&sent));
        assert_eq!(lab.one(UPLINK, from_office(error.clone())), (a.port, a.handed(error)), "{kind}");
    }
    let never = build::icmp_error(router, net.a6, 2, 0, quote(&build::udp(net.a6, OFFICE6, 6, 53, b"?")));
    assert_eq!(lab.dropped(UPLINK, from_office(never)), reason);
    // What it has forgotten it does not let in.
    lab.wait(200);
    assert_eq!(lab.dropped(UPLINK, from_office(build::udp(OFFICE6, net.a6, 53, 5, b"!"))), reason);
}

#[test]
fn what_passes_the_egress_only_gateway_is_tracked_whatever_the_rules_say() {
    let (mut net, _) = network();
    net.cloud.allow(net.inside, Direction::Ingress, Protocol::All, None, everyone());
    let a = net.a.clone();
    let mut lab = net.lab();
    lab.one(a.port, a.by_router(build::tcp(net.a6, OFFICE6, 5, 80, SYN, b"")));
    net.cloud.revoke_all(net.inside, Direction::Ingress);
    net.cloud.revoke_all(net.inside, Direction::Egress);
    lab.engine.load(net.cloud.tables(2));
    let answer = from_office(build::tcp(OFFICE6, net.a6, 80, 5, SYN_ACK, b""));
    assert_eq!(lab.one(UPLINK, answer).0, a.port);
    lab.one(a.port, a.by_router(build::tcp(net.a6, OFFICE6, 5, 80, ACK, b"")));
}

#[test]
fn an_edge_route_table_is_not_for_what_the_egress_only_gateway_lets_in() {
    let (mut net, _) = network();
    let RouteVia::InternetGateway(gateway) = net.igw else { panic!() };
    let change = Change::CreateRouteTable { vpc: net.vpc, tags: model::Tags::new() };
    let model::Applied::RouteTable(edge) = net.cloud.apply(change) else { panic!() };
    net.cloud.apply(Change::AssociateGatewayRouteTable { table: edge, gateway });
    let by = RouteVia::Interface(net.web.key.interface);
    net.cloud.route(edge, "2001:db8:0:101::/64", by);
    let a = &net.a;
    let mut lab = net.lab();
    lab.one(a.port, a.by_router(build::udp(net.a6, OFFICE6, 5, 53, b"?")));
    let answer = from_office(build::udp(OFFICE6, net.a6, 53, 5, b"!"));
    let explained = lab.engine.explain(Time(0), UPLINK, answer.clone());
    let by_edge = |step: &Step| matches!(step, Step::EdgeRoute { .. } | Step::InternetGateway { .. });
    assert!(!explained.steps.iter().any(by_edge), "{:?}", explained.steps);
    assert_eq!(lab.one(UPLINK, answer).0, a.port);
}

#[test]
fn without_a_gateway_nothing_comes_in() {
    let (mut net, _) = network();
    let vpc = net.cloud.vpc("10.7.0.0/16");
    let subnet = net.cloud.subnet(vpc, "10.7.1.0/24");
    net.cloud.ipv6(vpc, "2001:db8:0:700::/56", &[(subnet, "2001:db8:0:701::/64")]);
    let group = net.cloud.group(vpc, "all", &[]);
    net.cloud.allow(group, Direction::Ingress, Protocol::All, None, everyone());
    let lone = net.cloud.machine(20, subnet, "10.7.1.10", &[group], true);
    let lone6 = net.cloud.ipv6_address(&lone, "2001:db8:0:701::10");
    let web = &net.web;
    let mut lab = net.lab();
    let from_web = web.by_router(build::udp(net.web6, lone6, 5, 7, b""));
    assert_eq!(lab.dropped(web.port, from_web), DropReason::NoInternetHost);
    let outside = from_office(build::udp(OFFICE6, lone6, 5, 7, b""));
    assert_eq!(lab.dropped(UPLINK, outside), DropReason::UnknownPublicAddress);
}

#[test]
fn two_vpcs_meet_on_the_internet() {
    let (mut net, _) = network();
    let vpc = net.cloud.vpc("10.7.0.0/16");
    let subnet = net.cloud.subnet(vpc, "10.7.1.0/24");
    net.cloud.ipv6(vpc, "2001:db8:0:700::/56", &[(subnet, "2001:db8:0:701::/64")]);
    let table = net.cloud.table(vpc, subnet);
    let egress_only = net.cloud.egress_only(vpc);
    net.cloud.route(table, "::/0", RouteVia::EgressOnlyInternetGateway(egress_only));
    let group = net.cloud.group(vpc, "all", &[]);
    net.cloud.allow(group, Direction::Ingress, Protocol::All, None, everyone());
    let guest = net.cloud.machine(20, subnet, "10.7.1.10", &[group], true);
    let guest6 = net.cloud.ipv6_address(&guest, "2001:db8:0:701::10");
    let web = &net.web;
    let mut lab = net.lab();
    let unasked = web.by_router(build::udp(net.web6, guest6, 80, 5, b"!"));
    assert_eq!(lab.dropped(web.port, unasked.clone()), DropReason::EgressOnly);
    let question = build::udp(guest6, net.web6, 5, 80, b"?");
    assert_eq!(lab.one(guest.port, guest.by_router(question.clone())), (web.port, web.handed(question)));
    assert_eq!(lab.one(web.port, unasked).0, guest.port);
}

#[test]
fn too_big_for_the_way_out() {
    let (net, _) = network();
    let mut lab = net.lab();
    for (host, own) in [(&net.a, net.a6), (&net.web, net.web6)] {
        let big = host.by_router(build::udp(own, OFFICE6, 5, 7, &[7; 1500 - 48 + 1]));
        let expected = icmp_error::too_big(&big, &parsed(&big), ip6("fe80:ec2::1"), 1500).unwrap();
        assert_eq!(lab.one(host.port, big), (host.port, expected));
        let fits = host.by_router(build::udp(own, OFFICE6, 5, 7, &[7; 1500 - 48]));
        assert_eq!(lab.one(host.port, fits).0, UPLINK);
    }
    let jumbo = net.a.by_router(build::udp(net.a6, net.web6, 5, 7, &[7; 9001 - 48]));
    assert_eq!(lab.one(net.a.port, jumbo).0, net.web.port);
}

/// A datagram in two parts, as its sender cuts it (RFC 8200 section 4.5).
pub(crate) fn two_parts(whole: &Frame, id: u32) -> Vec<Frame> {
    let packet = parsed(whole);
    let (std::net::IpAddr::V6(src), std::net::IpAddr::V6(dst)) = (packet.src(), packet.dst()) else {
        panic!()
    };
    let payload = &whole.bytes[54..];
    let cut = payload.len() / 16 * 8;
    let part = |offset: usize, data: &[u8], more: bool| {
        let place = (offset as u16) | u16::from(more);
        let header = [&[packet.protocol(), 0], &place.to_be_bytes()[..], &id.to_be_bytes()].concat();
        let frame = build::ip(src, dst, 44, &[&header, data].concat());
        frame.with_ttl(packet.ttl()).with_macs(packet.eth_src(), packet.eth_dst())
    };
    vec![part(0, &payload[..cut], true), part(cut, &payload[cut..], false)]
}

#[test]
fn fragments_follow_their_first() {
    let (net, _) = network();
    let (a, web) = (&net.a, &net.web);
    let mut lab = net.lab();
    let datagram = build::udp(net.a6, net.web6, 5, 53, &[7; 1000]);
    let parts = two_parts(&a.by_router(datagram.clone()), 77);
    let expected = two_parts(&web.handed(datagram), 77);
    lab.consumed(a.port, parts[1].clone());
    let sent = lab.send(a.port, parts[0].clone());
    assert_eq!(sent, expected.into_iter().map(|part| (web.port, part)).collect::<Vec<_>>());
    // Not from outside unless its first may.
    let parts = two_parts(&from_office(build::udp(OFFICE6, net.a6, 53, 5, &[7; 1000])), 78);
    assert_eq!(lab.dropped(UPLINK, parts[0].clone()), DropReason::EgressOnly);
    assert_eq!(lab.dropped(UPLINK, parts[1].clone()), DropReason::FragmentWithoutFirst);
}

#[test]
fn extension_headers_do_not_hide_ports() {
    let (mut net, open) = network();
    net.cloud.revoke_all(open, Direction::Ingress);
    net.cloud.allow(open, Direction::Ingress, Protocol::Udp, Some((53, 53)), everyone());
    let (a, web) = (&net.a, &net.web);
    let mut lab = net.lab();
    let padding = [17, 0, 1, 4, 0, 0, 0, 0];
    for (first, extensions) in
        [(60u8, padding.to_vec()), (0, [&[60, 0, 1, 4, 0, 0, 0, 0], &padding[..]].concat())]
    {
        let with = |port: u16| {
            let udp = build::udp(net.a6, net.web6, 5, port, b"data");
            build::ip(net.a6, net.web6, first, &[&extensions, &udp.bytes[54..]].concat())
        };
        assert_eq!(lab.one(a.port, a.by_router(with(53))), (web.port, web.handed(with(53))));
        assert_eq!(lab.dropped(a.port, a.by_router(with(54))), DropReason::SecurityGroupIngress);
    }
}

#[test]
fn each_gateway_is_explained() {
    let (net, _) = network();
    for (host, own, words) in [(&net.a, net.a6, "eigw-"), (&net.web, net.web6, "igw-")] {
        let mut engine = Engine::imagine(net.cloud.tables(1));
        let packet = host.by_router(build::udp(own, OFFICE6, 5, 7, b""));
        let explained = engine.explain(Time(0), host.port, packet);
        let gateway = explained.steps.iter().filter(|step| {
            matches!(step, Step::EgressOnlyInternetGateway { .. } | Step::InternetGateway { .. })
        });
        let gateways: Vec<_> = gateway.map(ToString::to_string).collect();
        assert!(gateways.len() == 1 && gateways[0].starts_with(words), "{gateways:?}");
    }
}
