//! RFC 7857: updates of RFC 4787, 5382 and 5508.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use engine::DropReason;
use model::NatProfile;
use sim::{Host, Network, Plan, echo, icmp_error, ipv4_part, reply, tcp, udp};
use wire::build;

use crate::checklist::checklist;
use crate::rfc5382::{
    ACK, FIN, RST, SYN, SYN_ACK, establish, idle, ports_are_shared_towards_different_destinations,
};
use crate::{A, B, X, Y};

checklist! { "RFC 7857":
    /// idle times of connections that open and that close, each configurable, 4 min by default
    n1 Recommended {
        aws: Deviates(one_time_of_350_s, "EC2's gateway has one time for all, which nobody can set"),
        rfc: Deviates(one_time_of_240_s, "both are 4 min, and fixed with the profile (RFC 4787 REQ-11)"),
    }
    /// a reset is translated, and the session is kept for 4 min
    n2 Should { aws: Met(resets_are_believed_slowly), rfc: Met(resets_are_believed_slowly), }
    /// ports may be shared by endpoint-dependent mappings that know both ends
    n3 May { aws: Met(ports_are_shared_towards_different_destinations), rfc: Met(udp_and_tcp_do_not_share), }
    /// paired pooling, and another address where the first has no port left
    n4 Should { aws: Met(another_address_when_one_is_full), rfc: Met(another_address_when_one_is_full), }
    /// mappings of different protocols have nothing to do with each other
    n5 Should { aws: Met(protocols_are_apart), rfc: Met(protocols_are_apart), }
    /// a mapping of UDP opens nothing for TCP, nor the other way round
    n6 Should { aws: Met(no_protocol_opens_another), rfc: Met(no_protocol_opens_another), }
    /// whether packets from outside refresh is configurable: by the profile
    n7 Should {
        aws: Deviates(the_outside_refreshes, "any packet of a session keeps EC2's from ending"),
        rfc: Met(the_outside_does_not_refresh),
    }
    /// resets and ICMP errors from inside do not refresh
    n8 ShouldNot { aws: Met(refusals_do_not_refresh), rfc: Met(refusals_do_not_refresh), }
    /// port parity may be off
    n9 May { aws: Met(parity_is_off), rfc: Met(parity_is_off), }
    /// ports are chosen at random (RFC 6056)
    n10 Should { aws: Met(ports_are_random), rfc: Met(ports_are_random), }
    /// identifications are unique (RFC 6864)
    n11 Should {
        aws: Deviates(identifications_stay, "packets keep theirs, so that fragments pass without being put together; as Linux does"),
        rfc: Deviates(identifications_stay, "packets keep theirs, so that fragments pass without being put together; as Linux does"),
    }
    /// a query's mapping may go with its last session
    n12 May { aws: Met(mappings_go_with_sessions), rfc: Met(mappings_go_with_sessions), }
    /// hairpinned queries
    n13 Must {
        aws: Deviates(nobody_is_pinged, "EC2's gateway answers no ping at its addresses, and passes none"),
        rfc: Deviates(nobody_is_pinged, "an identifier says who asks and not who is asked; errors are hairpinned (I7)"),
    }
}

fn one_time_of_240_s(profile: NatProfile) {
    assert_eq!([idle(profile, false, None), idle(profile, true, Some(FIN))], [240, 240]);
}

fn one_time_of_350_s(profile: NatProfile) {
    let times = [idle(profile, false, None), idle(profile, true, Some(FIN)), idle(profile, true, None)];
    assert_eq!(times, [350, 350, 350]);
}

fn transitory(profile: NatProfile) -> u64 {
    if profile == NatProfile::Aws { 350 } else { 240 }
}

fn resets_are_believed_slowly(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 5000), net.at(X, 80));
    let external = establish(&mut net, 5000, X, 80);
    let arrival = net.pass(X, tcp(x, external, RST));
    assert_eq!((arrival.at, arrival.seen().dst), (A, a));
    // It may have been forged: the inside goes on.
    net.wait(transitory(profile) - 1);
    assert_eq!(net.pass_to(A, tcp(a, x, ACK), X), external);
    net.wait(300);
    assert!(net.passes(X, tcp(x, external, ACK)));
    // And if it does not, the session ends.
    net.pass(X, tcp(x, external, RST));
    net.wait(transitory(profile));
    assert_eq!(net.dropped(X, tcp(x, external, ACK)), DropReason::NatUnsolicited);
}

fn udp_and_tcp_do_not_share(profile: NatProfile) {
    let mut net = Network::new(profile);
    for protocol in [udp, |from, to| tcp(from, to, SYN)] {
        let of = |net: &mut Network, host, to| -> BTreeSet<SocketAddr> {
            let ends = (0..1000).map(|n| (net.at(host, 2000 + n), net.at(to, 80))).collect::<Vec<_>>();
            ends.into_iter().map(|(a, x)| net.pass_to(host, protocol(a, x), to)).collect()
        };
        let (of_a, of_b) = (of(&mut net, A, X), of(&mut net, B, Y));
        assert!((of_a.len(), of_b.len()) == (1000, 1000) && of_a.is_disjoint(&of_b));
    }
}

/// Five hosts behind two addresses need 80 % of the ports of each: however they are paired, one of them has to be given
/// some of both.
fn another_address_when_one_is_full(profile: NatProfile) {
    let mut net = Network::of(Plan { elastic_ips: 2, hosts: 5, ..Plan::new(profile) });
    let mut split = 0;
    for host in (0..5).map(Host::Inside) {
        let mut addresses = BTreeSet::new();
        let mut first = None;
        for n in 0..25_000 {
            let frame = udp(net.at(host, 10_000 + n), net.at(X, 1000 + n % 10));
            let address = net.pass_to(host, frame, X).ip();
            addresses.insert(address);
            // Once it has had to take another, it may as well keep to that.
            first.get_or_insert(address);
        }
        split += usize::from(addresses.len() == 2);
    }
    assert_eq!(split, 1);
}

fn protocols_are_apart(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 5000), net.at(X, 53));
    let of_udp = net.pass_to(A, udp(a, x), X);
    let of_tcp = net.pass_to(A, tcp(a, x, SYN), X);
    let of_icmp = net.pass_to(A, echo(a, x.ip()), X);
    net.wait(200);
    // TCP and ICMP go on, and UDP is as old as it was.
    net.send(A, tcp(a, x, SYN));
    net.send(A, echo(a, x.ip()));
    net.wait(150);
    assert!(!net.passes(X, udp(x, of_udp)));
    assert!(net.passes(X, tcp(x, of_tcp, SYN_ACK)));
    assert_eq!(net.passes(X, reply(x.ip(), of_icmp)), profile == NatProfile::Aws, "60 s or 350 s");
}

fn no_protocol_opens_another(profile: NatProfile) {
    let mut net = Network::new(profile);
    let x = net.at(X, 53);
    for port in 5000..5020 {
        let a = net.at(A, port);
        let of_udp = net.pass_to(A, udp(a, x), X);
        assert_eq!(net.dropped(X, tcp(x, of_udp, SYN)), DropReason::NatUnsolicited);
        let other = net.at(A, port + 100);
        let of_tcp = net.pass_to(A, tcp(other, x, SYN), X);
        if of_tcp.port() != of_udp.port() {
            assert_eq!(net.dropped(X, udp(x, of_tcp)), DropReason::NatUnsolicited);
        }
        assert_eq!(net.dropped(X, reply(x.ip(), of_udp)), DropReason::NatUnsolicited);
    }
}

/// Whether a UDP session is there after X alone has spoken for ten minutes.
fn kept_by_outside(profile: NatProfile) -> bool {
    let mut net = Network::new(profile);
    let x = net.at(X, 53);
    let external = net.pass_to(A, udp(net.at(A, 5000), x), X);
    for _ in 0..10 {
        net.wait(60);
        net.send(X, udp(x, external));
    }
    net.passes(X, udp(x, external))
}

fn the_outside_refreshes(profile: NatProfile) {
    assert!(kept_by_outside(profile));
}

fn the_outside_does_not_refresh(profile: NatProfile) {
    assert!(!kept_by_outside(profile));
    // Nor do new sessions that begin outside, where the filter lets them.
    let mut net = Network::new(profile);
    let external = net.pass_to(A, udp(net.at(A, 5000), net.at(X, 53)), X);
    for n in 1..5 {
        net.wait(60);
        assert!(net.passes(X, udp(net.at(X, 1000 + n), external)), "after {n} min");
    }
    net.wait(60);
    assert!(!net.passes(X, udp(net.at(X, 2000), external)));
}

fn refusals_do_not_refresh(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 5000), net.at(X, 80));
    let external = establish(&mut net, 5000, X, 80);
    assert_eq!(net.pass_to(A, tcp(a, x, RST), X), external);
    net.wait(transitory(profile) - 1);
    // Whatever X sends on, and A refuses.
    for _ in 0..3 {
        assert!(net.passes(X, tcp(x, external, ACK)));
        assert_eq!(net.pass_to(A, tcp(a, x, RST), X), external);
    }
    net.wait(1);
    assert_eq!(net.dropped(X, tcp(x, external, ACK)), DropReason::NatUnsolicited);
    // The same of UDP, which is refused by ICMP.
    let idle = if profile == NatProfile::Aws { 350 } else { 300 };
    let (a, x) = (net.at(A, 5001), net.at(X, 53));
    let external = net.pass_to(A, udp(a, x), X);
    let answer = net.pass(X, udp(x, external));
    net.wait(idle - 1);
    net.pass(A, icmp_error(a.ip(), 3, 3, &answer.frame));
    net.wait(1);
    assert_eq!(net.dropped(X, udp(x, external)), DropReason::NatUnsolicited);
}

fn parity_is_off(profile: NatProfile) {
    let mut net = Network::new(profile);
    let ports = (0..200).map(|n| net.pass_to(A, udp(net.at(A, 5000 + n), net.at(X, 53)), X).port() ^ n);
    assert!((60..140).contains(&ports.filter(|port| port % 2 == 1).count()));
}

/// The ports of a thousand connections to one destination.
fn drawn(profile: NatProfile, seed: u64) -> Vec<u16> {
    let mut net = Network::of(Plan { seed, ..Plan::new(profile) });
    (0..1000).map(|n| net.pass_to(A, tcp(net.at(A, 5000 + n), net.at(X, 80), SYN), X).port()).collect()
}

pub(crate) fn ports_are_random(profile: NatProfile) {
    let ports = drawn(profile, 7);
    assert_ne!(ports, drawn(profile, 8), "they hang on a secret");
    assert!(ports.iter().all(|&port| port >= 1024));
    // Sixteen parts of the range get some 62 each; and who follows whom says nothing.
    let parts = (0..16).map(|part| ports.iter().filter(|&&port| (port - 1024) / 4032 == part).count());
    assert!(parts.clone().all(|count| (25..110).contains(&count)), "{:?}", parts.collect::<Vec<_>>());
    let rising = ports.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!((400..600).contains(&rising), "{rising}");
    let near = ports.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 64).count();
    assert!(near < 20, "{near}");
}

fn identifications_stay(profile: NatProfile) {
    let mut net = Network::new(profile);
    let x = net.at(X, 53);
    for host in [A, B] {
        let a = net.at(host, 5000);
        let whole = build::udp(a.ip(), x.ip(), 5000, 53, &[1; 24]);
        let first = net.pass(host, ipv4_part(&whole, 77, 0, 24, true));
        assert_eq!(first.packet.fragment().unwrap().id, 77);
        let last = net.pass(host, ipv4_part(&whole, 77, 24, 8, false));
        assert_eq!((last.packet.fragment().unwrap().id, last.packet.src()), (77, first.packet.src()));
    }
}

fn mappings_go_with_sessions(profile: NatProfile) {
    let mut net = Network::new(profile);
    let a = net.at(A, 77);
    let external = net.pass_to(A, echo(a, net.at(X, 0).ip()), X);
    net.wait(30);
    assert_eq!(net.pass_to(A, echo(a, net.at(Y, 0).ip()), Y), external);
    let idle = if profile == NatProfile::Aws { 350 } else { 60 };
    // The session with Y keeps the mapping beyond the end of that with X.
    net.wait(idle - 1);
    assert_eq!(net.pass_to(A, echo(a, net.at(X, 0).ip()), X), external);
    net.wait(idle);
    assert_ne!(net.pass_to(A, echo(a, net.at(X, 0).ip()), X), external, "one of 64,511 others");
}

fn nobody_is_pinged(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, b, x) = (net.at(A, 77), net.at(B, 78), net.at(X, 0).ip());
    let of_a = net.pass_to(A, echo(a, x), X);
    net.pass_to(B, echo(b, x), X);
    for id in [78, of_a.port()] {
        let query = echo(net.at(B, id), of_a.ip());
        assert_eq!(net.dropped(B, query), DropReason::NatUnsolicited);
    }
    let query = echo(net.at(B, 5), net.private.into());
    assert_eq!(net.dropped(B, query), DropReason::NatUnsolicited, "nor at its private address");
}
