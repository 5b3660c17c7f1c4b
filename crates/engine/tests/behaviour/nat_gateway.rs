//! A NAT gateway on a packet's road.

use engine::{DropReason, Engine, ROUTER_MAC, Step, Time};
use model::{Applied, Change, Direction, NatGatewayState, Peer, Protocol, RouteVia, Tags};
use wire::{Frame, build, icmp_error};

use crate::gateways::{
    ACK, ELASTIC, Gateways, SYN, SYN_ACK, WEB_ELASTIC, far_router, parsed, quote, source_port,
};
use crate::lab::{Lab, Machine, OFFICE, UPLINK, from_office, ip, to_office, udp};

const PROFILES: [&str; 2] = ["aws", "rfc"];

#[test]
fn out_and_back() {
    for profile in PROFILES {
        let net = Gateways::new(profile);
        let mut lab = net.lab();
        let a = &net.a;
        type Build = fn(std::net::Ipv4Addr, std::net::Ipv4Addr, u16, bool) -> Frame;
        let tcp: Build = |src, dst, port, out| match out {
            true => build::tcp(src, dst, port, 443, SYN, b"there"),
            false => build::tcp(src, dst, 443, port, SYN_ACK, b"back"),
        };
        let datagram: Build = |src, dst, port, out| match out {
            true => build::udp(src, dst, port, 53, b"there"),
            false => build::udp(src, dst, 53, port, b"back"),
        };
        let echo: Build = |src, dst, port, out| build::echo(src, dst, out, port, 1, b"echo");
        for packet in [tcp, datagram, echo] {
            for _ in 0..2 {
                let (port, left) = lab.one(a.port, a.by_router(packet(a.ip, OFFICE, 5000, true)));
                let external = source_port(&left);
                assert!(external >= 1024);
                let expected = to_office(packet(ELASTIC, OFFICE, external, true).with_ttl(63));
                assert_eq!((port, left), (UPLINK, expected), "{profile}");
                let back = from_office(packet(OFFICE, ELASTIC, external, false));
                let expected = a.handed(packet(OFFICE, a.ip, 5000, false).with_ttl(63));
                assert_eq!(lab.one(UPLINK, back), (a.port, expected), "{profile}");
            }
        }
        assert_eq!(lab.connections(), 3, "{profile}");
    }
}

#[test]
fn two_hosts_with_one_port_are_told_apart() {
    for profile in PROFILES {
        let net = Gateways::new(profile);
        let mut lab = net.lab();
        let ports = [&net.a, &net.b].map(|host| net.connect(&mut lab, host, 5000));
        assert_ne!(ports[0], ports[1]);
        for (host, external) in [&net.a, &net.b].into_iter().zip(ports) {
            let back = from_office(build::tcp(OFFICE, ELASTIC, 443, external, ACK, b"x"));
            let expected = host.handed(build::tcp(OFFICE, host.ip, 443, 5000, ACK, b"x").with_ttl(63));
            assert_eq!(lab.one(UPLINK, back), (host.port, expected));
        }
    }
}

#[test]
fn it_is_a_hop_with_an_address() {
    let net = Gateways::new("aws");
    let mut lab = net.lab();
    let a = &net.a;
    let probe = a.by_router(udp(a.ip, OFFICE).with_ttl(1));
    let expected = icmp_error::time_exceeded(&probe, &parsed(&probe), net.nat.ip).unwrap();
    assert_eq!(lab.one(a.port, probe), (a.port, expected));
    assert_eq!(lab.connections(), 0);
    // From outside it is known by its Elastic IP address, to those whose packet it would let in.
    let (_, left) = lab.one(a.port, a.by_router(udp(a.ip, OFFICE).with_ttl(2)));
    assert_eq!(parsed(&left).ttl(), 1);
    let back = from_office(build::udp(OFFICE, ELASTIC, 33434, source_port(&left), b"").with_ttl(1));
    let expected = icmp_error::time_exceeded(&back, &parsed(&back), ELASTIC).unwrap();
    assert_eq!(lab.one(UPLINK, back), (UPLINK, expected));
    let unasked = from_office(build::udp(OFFICE, ELASTIC, 33434, 4242, b"").with_ttl(1));
    assert_eq!(lab.dropped(UPLINK, unasked), DropReason::NatUnsolicited);
    let counted = net.counted(&lab);
    assert_eq!(counted.packets_dropped, 3);
    assert_eq!((counted.in_from_source.packets, counted.out_to_destination.packets), (2, 1));
    // Nobody is told of an error, or of a fragment that is no first.
    let error = a.by_router(build::icmp_error(a.ip, OFFICE, 3, 3, quote(&left)).with_ttl(1));
    assert_eq!(lab.dropped(a.port, error), DropReason::TtlExceeded);
}

#[test]
fn it_says_what_is_too_big() {
    let net = Gateways::new("aws");
    let mut lab = net.lab();
    let a = &net.a;
    let big = a.by_router(build::udp(a.ip, OFFICE, 5, 7, &[7; 1473]));
    let expected = icmp_error::too_big(&big, &parsed(&big), net.nat.ip, 1500).unwrap();
    assert_eq!(lab.one(a.port, big.clone()), (a.port, expected.clone()));
    assert_eq!(lab.connections(), 0);
    assert_eq!(net.counted(&lab).packets_dropped, 1);
    // On a known connection it is the same.
    lab.one(a.port, a.by_router(build::udp(a.ip, OFFICE, 5, 7, b"")));
    assert_eq!(lab.one(a.port, big), (a.port, expected));
    assert_eq!(net.counted(&lab).packets_dropped, 2);
    let fits = a.by_router(build::udp(a.ip, OFFICE, 5, 7, &[7; 1472]));
    assert_eq!(lab.one(a.port, fits).0, UPLINK);
}

#[test]
fn an_idle_connection_ends_with_a_reset_to_the_inside_alone() {
    let net = Gateways::new("aws");
    let mut lab = net.lab();
    let a = &net.a;
    let external = net.connect(&mut lab, a, 5000);
    let more = || a.by_router(build::tcp(a.ip, OFFICE, 5000, 443, ACK, b"more"));
    lab.wait(349);
    assert_eq!(lab.one(a.port, more()).0, UPLINK);
    lab.wait(350);
    // The far end is told nothing, neither by itself nor when it speaks.
    let far = from_office(build::tcp(OFFICE, ELASTIC, 443, external, ACK, b"late"));
    assert_eq!(lab.dropped(UPLINK, far.clone()), DropReason::NatUnsolicited);
    let reset = wire::tcp_reset(&more(), &parsed(&more())).unwrap();
    assert_eq!(lab.one(a.port, more()), (a.port, reset.clone()));
    assert_eq!(lab.one(a.port, more()), (a.port, reset), "each time");
    assert_eq!(lab.dropped(UPLINK, far), DropReason::NatUnsolicited);
    assert_eq!(net.counted(&lab).idle_timeouts, 1);
    net.connect(&mut lab, a, 5000);
}

#[test]
fn an_idle_connection_lives_for_two_hours_by_the_rfcs() {
    let net = Gateways::new("rfc");
    let mut lab = net.lab();
    let a = &net.a;
    net.connect(&mut lab, a, 5000);
    let more = || a.by_router(build::tcp(a.ip, OFFICE, 5000, 443, ACK, b"more"));
    lab.wait(7439);
    assert_eq!(lab.one(a.port, more()).0, UPLINK);
    lab.wait(7440);
    assert_eq!(lab.dropped(a.port, more()), DropReason::NatNoSession);
}

#[test]
fn errors_from_outside_come_to_who_is_meant() {
    for profile in PROFILES {
        let net = Gateways::new(profile);
        let mut lab = net.lab();
        let a = &net.a;
        for probe in [
            udp(a.ip, OFFICE).with_ttl(3),
            build::tcp(a.ip, OFFICE, 5000, 443, SYN, b"").with_ttl(3),
            build::echo(a.ip, OFFICE, true, 77, 1, b"ping").with_ttl(3),
        ] {
            let (_, left) = lab.one(a.port, a.by_router(probe.clone()));
            let connections = lab.connections();
            for (kind, code) in [(11, 0), (3, 1), (3, 4)] {
                let error = build::icmp_error(far_router(), ELASTIC, kind, code, quote(&left));
                // What it quotes has passed the gateway: it is one hop older.
                let quoted = probe.clone().with_ttl(2);
                let expected = build::icmp_error(far_router(), a.ip, kind, code, quote(&quoted));
                let expected = a.handed(expected.with_ttl(63));
                assert_eq!(lab.one(UPLINK, from_office(error)), (a.port, expected), "{profile}");
            }
            assert_eq!(lab.connections(), connections);
        }
        let never = build::icmp_error(far_router(), ELASTIC, 3, 1, quote(&udp(ELASTIC, OFFICE)));
        assert_eq!(lab.dropped(UPLINK, from_office(never)), DropReason::NatUnsolicited);
    }
}

#[test]
fn errors_from_inside_speak_for_the_gateway() {
    for profile in PROFILES {
        let net = Gateways::new(profile);
        let mut lab = net.lab();
        let a = &net.a;
        let (_, left) = lab.one(a.port, a.by_router(build::udp(a.ip, OFFICE, 5000, 53, b"?")));
        let answer = build::udp(OFFICE, ELASTIC, 53, source_port(&left), b"!");
        let (_, arrived) = lab.one(UPLINK, from_office(answer.clone()));
        let error = a.by_router(build::icmp_error(a.ip, OFFICE, 3, 3, quote(&arrived)));
        let quoted = answer.with_ttl(63);
        let expected = build::icmp_error(ELASTIC, OFFICE, 3, 3, quote(&quoted)).with_ttl(63);
        assert_eq!(lab.one(a.port, error), (UPLINK, to_office(expected)), "{profile}");
        let never = build::udp(OFFICE, a.ip, 53, 5001, b"!");
        let error = a.by_router(build::icmp_error(a.ip, OFFICE, 3, 3, quote(&never)));
        assert_eq!(lab.dropped(a.port, error), DropReason::NatNoSession);
    }
}

#[test]
fn its_own_addresses_answer_nothing() {
    let net = Gateways::new("aws");
    let mut lab = net.lab();
    let (a, web) = (&net.a, &net.web);
    let ping = |src, dst| build::echo(src, dst, true, 7, 1, b"");
    let reason = DropReason::NatUnsolicited;
    assert_eq!(lab.dropped(a.port, a.by_router(ping(a.ip, net.nat.ip))), reason);
    assert_eq!(lab.dropped(UPLINK, from_office(ping(OFFICE, ELASTIC))), reason);
    assert_eq!(lab.dropped(web.port, web.by_router(ping(web.ip, ELASTIC))), reason);
    let by_mac = ping(web.ip, net.nat.ip).with_macs(web.mac, net.nat.mac);
    assert_eq!(lab.dropped(web.port, by_mac), reason);
    // A MAC address is no way to use it either: its subnet's router is.
    let through = build::udp(web.ip, OFFICE, 5, 7, b"").with_macs(web.mac, net.nat.mac);
    assert_eq!(lab.dropped(web.port, through), reason);
    for unsolicited in [
        build::tcp(OFFICE, ELASTIC, 443, 4000, SYN, b""),
        build::tcp(OFFICE, ELASTIC, 443, 4000, ACK, b""),
        build::udp(OFFICE, ELASTIC, 53, 4000, b""),
        build::echo(OFFICE, ELASTIC, false, 7, 1, b""),
    ] {
        assert_eq!(lab.dropped(UPLINK, from_office(unsolicited)), reason);
    }
    let gre = build::ip(OFFICE, ELASTIC, 47, b"gre");
    assert_eq!(lab.dropped(UPLINK, from_office(gre)), DropReason::NatProtocol);
    let gre = a.by_router(build::ip(a.ip, OFFICE, 47, b"gre"));
    assert_eq!(lab.dropped(a.port, gre), DropReason::NatProtocol);
}

#[test]
fn who_may_answer_depends_on_the_profile() {
    for (profile, stranger_may) in [("aws", false), ("rfc", true)] {
        let net = Gateways::new(profile);
        let mut lab = net.lab();
        let a = &net.a;
        let (_, left) = lab.one(a.port, a.by_router(build::udp(a.ip, OFFICE, 5000, 53, b"?")));
        let from_other_port = from_office(build::udp(OFFICE, ELASTIC, 54, source_port(&left), b"!"));
        match stranger_may {
            // The group of the interface has not been asked for that port: it lets in what it tracks.
            true => {
                assert_eq!(
                    lab.dropped(UPLINK, from_other_port),
                    DropReason::SecurityGroupIngress,
                    "{profile}"
                );
            }
            false => {
                assert_eq!(lab.dropped(UPLINK, from_other_port), DropReason::NatUnsolicited, "{profile}")
            }
        }
    }
}

#[test]
fn two_hosts_behind_one_gateway_meet_by_its_elastic_address() {
    for profile in PROFILES {
        let mut net = Gateways::new(profile);
        let from_gateway = Peer::Cidr("203.0.113.5/32".parse().unwrap());
        net.cloud.allow(net.inside, Direction::Ingress, Protocol::All, None, from_gateway);
        let mut lab = net.lab();
        let (a, b) = (&net.a, &net.b);
        let external = |lab: &mut Lab, host: &Machine| {
            source_port(&lab.one(host.port, host.by_router(build::udp(host.ip, OFFICE, 5000, 53, b"?"))).1)
        };
        let (of_a, of_b) = (external(&mut lab, a), external(&mut lab, b));
        let to_b = || a.by_router(build::udp(a.ip, ELASTIC, 5000, of_b, b"hi"));
        // Each has to send first: the filter is no other for neighbours (RFC 4787 REQ-9).
        assert_eq!(lab.send(a.port, to_b()), []);
        assert_eq!(lab.drops(a.port, DropReason::NatUnsolicited), 1, "{profile}");
        let to_a = b.by_router(build::udp(b.ip, ELASTIC, 5000, of_a, b"hello"));
        let expected = build::udp(ELASTIC, a.ip, of_b, 5000, b"hello").with_ttl(62);
        assert_eq!(lab.one(b.port, to_a), (a.port, a.handed(expected)), "{profile}");
        let expected = build::udp(ELASTIC, b.ip, of_a, 5000, b"hi").with_ttl(62);
        assert_eq!(lab.one(a.port, to_b()), (b.port, b.handed(expected)), "{profile}");
        // Twice there, once of them refused; once back.
        let counted = net.counted(&lab);
        assert_eq!(counted.in_from_source.packets, 5);
        assert_eq!((counted.in_from_destination.packets, counted.out_to_source.packets), (3, 2));
        assert_eq!(counted.packets_dropped, 1);
    }
}

#[test]
fn two_with_elastic_addresses_of_their_own_meet() {
    let net = Gateways::new("aws");
    let mut lab = net.lab();
    let (a, web) = (&net.a, &net.web);
    let (port, arrived) = lab.one(a.port, a.by_router(build::tcp(a.ip, WEB_ELASTIC, 5, 80, SYN, b"")));
    let external = source_port(&arrived);
    let expected = build::tcp(ELASTIC, web.ip, external, 80, SYN, b"").with_ttl(63);
    assert_eq!((port, arrived), (web.port, web.handed(expected)));
    let answer = web.by_router(build::tcp(web.ip, ELASTIC, 80, external, SYN_ACK, b""));
    let expected = build::tcp(WEB_ELASTIC, a.ip, 80, 5, SYN_ACK, b"").with_ttl(63);
    assert_eq!(lab.one(web.port, answer), (a.port, a.handed(expected)));
}

#[test]
fn a_private_gateway_reaches_the_vpc_and_not_the_internet() {
    let mut net = Gateways::new("aws");
    let private = net.cloud.nat_gateway(net.public, "10.0.2.6", None, "aws");
    let destination = "0.0.0.0/0".parse().unwrap();
    let (table, target) = (net.private_table, RouteVia::NatGateway(private.id));
    net.cloud.apply(Change::ReplaceRoute { table, destination, target });
    // More specific than local: to the web server by the gateway too.
    net.cloud.route(net.private_table, "10.0.2.0/24", RouteVia::NatGateway(private.id));
    let mut lab = net.lab();
    let (a, web) = (&net.a, &net.web);
    assert_eq!(lab.dropped(a.port, a.by_router(udp(a.ip, OFFICE))), DropReason::NoPublicAddress);
    let (port, arrived) = lab.one(a.port, a.by_router(build::udp(a.ip, web.ip, 5, 53, b"?")));
    let external = source_port(&arrived);
    let expected = build::udp(private.ip, web.ip, external, 53, b"?").with_ttl(63);
    assert_eq!((port, arrived), (web.port, web.handed(expected)));
    for mac in [ROUTER_MAC, private.mac] {
        let answer = build::udp(web.ip, private.ip, 53, external, b"!").with_macs(web.mac, mac);
        let expected = a.handed(build::udp(web.ip, a.ip, 53, 5, b"!").with_ttl(63));
        assert_eq!(lab.one(web.port, answer), (a.port, expected));
    }
}

#[test]
fn a_private_gateway_before_a_public_one() {
    let mut net = Gateways::new("aws");
    let middle = net.cloud.subnet(net.vpc, "10.0.3.0/24");
    let table = net.cloud.table(net.vpc, middle);
    net.cloud.route(table, "0.0.0.0/0", RouteVia::NatGateway(net.nat.id));
    let first = net.cloud.nat_gateway(middle, "10.0.3.5", None, "aws");
    let destination = "0.0.0.0/0".parse().unwrap();
    let (table, target) = (net.private_table, RouteVia::NatGateway(first.id));
    net.cloud.apply(Change::ReplaceRoute { table, destination, target });
    let mut lab = net.lab();
    let a = &net.a;
    for _ in 0..2 {
        let (_, left) = lab.one(a.port, a.by_router(build::udp(a.ip, OFFICE, 5, 53, b"?")));
        let external = source_port(&left);
        assert_eq!(left, to_office(build::udp(ELASTIC, OFFICE, external, 53, b"?").with_ttl(62)));
        let answer = from_office(build::udp(OFFICE, ELASTIC, 53, external, b"!"));
        let expected = a.handed(build::udp(OFFICE, a.ip, 53, 5, b"!").with_ttl(62));
        assert_eq!(lab.one(UPLINK, answer), (a.port, expected));
        let error = build::icmp_error(far_router(), ELASTIC, 11, 0, quote(&left));
        let quoted = build::udp(a.ip, OFFICE, 5, 53, b"?").with_ttl(62);
        let expected = build::icmp_error(far_router(), a.ip, 11, 0, quote(&quoted)).with_ttl(62);
        assert_eq!(lab.one(UPLINK, from_office(error)), (a.port, a.handed(expected)));
    }
    for (ttl, hop) in [(1, first.ip), (2, net.nat.ip)] {
        let probe = a.by_router(udp(a.ip, OFFICE).with_ttl(ttl));
        let expected = icmp_error::time_exceeded(&probe, &parsed(&probe), hop).unwrap();
        assert_eq!(lab.one(a.port, probe), (a.port, expected));
    }
}

#[test]
fn gateways_that_lead_to_each_other_are_a_loop() {
    let mut net = Gateways::new("aws");
    let middle = net.cloud.subnet(net.vpc, "10.0.3.0/24");
    let table = net.cloud.table(net.vpc, middle);
    let other = net.cloud.nat_gateway(middle, "10.0.3.5", None, "aws");
    net.cloud.route(table, "192.0.2.0/24", RouteVia::NatGateway(net.nat.id));
    net.cloud.route(net.public_table, "192.0.2.0/24", RouteVia::NatGateway(other.id));
    let mut lab = net.lab();
    let packet = net.a.by_router(udp(net.a.ip, ip("192.0.2.9")));
    assert_eq!(lab.dropped(net.a.port, packet), DropReason::RoutingLoop);
    assert_eq!(lab.engine.counters().nat_gateways[&other.key].active_connections, 0);
}

#[test]
fn an_address_that_drains_keeps_what_it_has() {
    let mut net = Gateways::new("aws");
    let change = Change::AllocateAddress { public_ip: ip("203.0.113.6"), tags: Tags::new() };
    let Applied::Address(allocation) = net.cloud.apply(change) else { panic!() };
    let (gateway, allocations, private_ips) = (net.nat.id, vec![allocation], vec![ip("10.0.2.7")]);
    net.cloud.apply(Change::AssociateNatGatewayAddress { gateway, allocations, private_ips });
    let mut lab = net.lab();
    let a = &net.a;
    let send = |lab: &mut Lab, host: &Machine, port| {
        let (_, left) = lab.one(host.port, host.by_router(build::udp(host.ip, OFFICE, port, 53, b"?")));
        (parsed(&left).src(), source_port(&left))
    };
    let first = send(&mut lab, a, 1);
    let host = [&net.a, &net.b].into_iter().find(|host| send(&mut lab, host, 2).0 == ip("203.0.113.6"));
    // Whether anybody has the second address is up to chance; seed 7 gives it to one of them.
    let host = host.unwrap_or_else(|| panic!("{first:?}"));
    let old = send(&mut lab, host, 2);
    let associations = net.cloud.region.nat_gateways()[&gateway].addresses[1].association;
    let associations = associations.into_iter().collect();
    let drain = Change::DisassociateNatGatewayAddress { gateway, associations, max_drain: 350, time: 0 };
    net.cloud.apply(drain);
    lab.engine.load(net.cloud.tables(2));
    assert_eq!(send(&mut lab, host, 2), old, "the old one goes on");
    assert_eq!(send(&mut lab, host, 3).0, ELASTIC, "a new one goes by the other address");
    net.cloud.apply(Change::EndNatGatewayDrain { gateway, time: 400 });
    lab.engine.load(net.cloud.tables(3));
    assert_eq!(send(&mut lab, host, 2).0, ELASTIC, "begun anew");
    let late = from_office(build::udp(OFFICE, ip("203.0.113.6"), 53, old.1, b"!"));
    assert_eq!(lab.dropped(UPLINK, late), DropReason::UnknownPublicAddress);
}

#[test]
fn other_tables_keep_sessions_and_no_gateway_keeps_none() {
    let mut net = Gateways::new("aws");
    let mut lab = net.lab();
    let a = net.a.clone();
    let external = net.connect(&mut lab, &a, 5000);
    lab.engine.load(net.cloud.tables(2));
    let back = from_office(build::tcp(OFFICE, ELASTIC, 443, external, ACK, b"x"));
    assert_eq!(lab.one(UPLINK, back.clone()).0, a.port);
    let more = a.by_router(build::tcp(a.ip, OFFICE, 5000, 443, ACK, b"x"));
    assert_eq!(source_port(&lab.one(a.port, more.clone()).1), external);
    net.cloud.apply(Change::DeleteNatGateway { gateway: net.nat.id, time: 5 });
    lab.engine.load(net.cloud.tables(3));
    assert_eq!(lab.dropped(a.port, more.clone()), DropReason::Blackhole);
    assert_eq!(lab.dropped(UPLINK, back), DropReason::NoPort, "its interface is there a little longer");
    let state = NatGatewayState::Deleted;
    net.cloud.apply(Change::SetNatGatewayState { gateway: net.nat.id, state });
    lab.engine.load(net.cloud.tables(4));
    assert_eq!(lab.dropped(a.port, more), DropReason::Blackhole);
    assert_eq!(lab.engine.counters().nat_gateways.len(), 0);
}

#[test]
fn it_is_explained() {
    let net = Gateways::new("aws");
    let a = &net.a;
    let mut engine = Engine::imagine(net.cloud.tables(1));
    let explained = engine.explain(Time(0), a.port, a.by_router(udp(a.ip, OFFICE)));
    let (out, left) = explained.sent[0].clone();
    assert_eq!(out, UPLINK);
    let kinds: Vec<_> = explained.steps.iter().map(|step| step.to_string()).collect();
    let at =
        |word: &str| kinds.iter().position(|kind| kind.contains(word)).unwrap_or_else(|| panic!("{kinds:?}"));
    let order = ["leaves i-", "security groups, outbound", "0.0.0.0/0 -> nat-", "outbound: rule 100"];
    let order = order.into_iter().chain(["inbound: rule 100", "leaves as", "0.0.0.0/0 -> igw-", "becomes"]);
    let places: Vec<_> = order.map(at).collect();
    assert!(places.is_sorted(), "{kinds:?}");
    let back = from_office(build::udp(OFFICE, ELASTIC, 33434, source_port(&left), b""));
    let explained = engine.explain(Time(0), UPLINK, back);
    let inside = |step: &Step| matches!(step, Step::NatGateway { to, .. } if to.dst == a.ip);
    assert!(explained.steps.iter().any(inside), "{:?}", explained.steps);
    assert!(matches!(explained.steps.last(), Some(Step::Deliver { .. })));
    let expired = engine.explain(Time(0), a.port, a.by_router(udp(a.ip, OFFICE).with_ttl(1)));
    assert_eq!(expired.steps.last(), Some(&Step::TimeExceeded { by: net.nat.ip.into() }));
    let stray = a.by_router(build::tcp(a.ip, OFFICE, 9, 443, ACK, b""));
    let stray = engine.explain(Time(0), a.port, stray);
    assert_eq!(stray.steps.last(), Some(&Step::Reset { gateway: net.nat.id }));
}

#[test]
fn two_vpcs_with_one_cidr_behind_two_gateways() {
    let mut net = Gateways::new("aws");
    let vpc = net.cloud.vpc("10.0.0.0/16");
    let igw = RouteVia::InternetGateway(net.cloud.internet_gateway(vpc));
    let (private, public) = (net.cloud.subnet(vpc, "10.0.1.0/24"), net.cloud.subnet(vpc, "10.0.2.0/24"));
    let (private_table, public_table) = (net.cloud.table(vpc, private), net.cloud.table(vpc, public));
    let twin = net.cloud.machine(20, private, "10.0.1.10", &[], true);
    let nat = net.cloud.nat_gateway(public, "10.0.2.5", Some("203.0.113.6"), "aws");
    net.cloud.route(private_table, "0.0.0.0/0", RouteVia::NatGateway(nat.id));
    net.cloud.route(public_table, "0.0.0.0/0", igw);
    let mut lab = net.lab();
    for (host, elastic) in [(&net.a, ELASTIC), (&twin, ip("203.0.113.6"))] {
        let (_, left) = lab.one(host.port, host.by_router(build::udp(host.ip, OFFICE, 5, 53, b"?")));
        assert_eq!(parsed(&left).src(), elastic);
        let back = from_office(build::udp(OFFICE, elastic, 53, source_port(&left), b"!"));
        let expected = host.handed(build::udp(OFFICE, host.ip, 53, 5, b"!").with_ttl(63));
        assert_eq!(lab.one(UPLINK, back), (host.port, expected));
    }
}

#[test]
fn what_was_tracked_through_it_is_tracked_whatever_the_rules_say() {
    let mut net = Gateways::new("aws");
    // Everything in and out: not tracked by itself.
    let open = net.cloud.group(net.vpc, "wide", &[(Protocol::All, None, "0.0.0.0/0")]);
    let host = net.cloud.machine(20, net.private, "10.0.1.20", &[open], true);
    let mut lab = net.lab();
    let external = net.connect(&mut lab, &host, 5000);
    net.cloud.revoke_all(open, Direction::Ingress);
    net.cloud.revoke_all(open, Direction::Egress);
    lab.engine.load(net.cloud.tables(2));
    let more = host.by_router(build::tcp(host.ip, OFFICE, 5000, 443, ACK, b"x"));
    assert_eq!(lab.one(host.port, more).0, UPLINK);
    let back = from_office(build::tcp(OFFICE, ELASTIC, 443, external, ACK, b"x"));
    assert_eq!(lab.one(UPLINK, back).0, host.port);
}
