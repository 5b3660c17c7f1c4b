//! RFC 4787: UDP.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use engine::DropReason;
use model::NatProfile;
use sim::{Host, Network, Plan, icmp_error, ipv4_part, udp};
use wire::{Frame, build};

use crate::checklist::checklist;
use crate::{A, B, X, Y, Z};

checklist! { "RFC 4787":
    /// endpoint-independent mapping, also when two hosts use one source port
    u1 Must { aws: Met(mapping_is_endpoint_independent), rfc: Met(mapping_is_endpoint_independent), }
    /// paired pooling: one external address for all of a host's sessions
    u2 Recommended { aws: Met(pooling_is_paired), rfc: Met(pooling_is_paired), }
    /// no port overloading: one external endpoint never serves two internal ones
    u3 MustNot { aws: Met(no_endpoint_is_shared), rfc: Met(no_endpoint_is_shared), }
    /// ports 0 to 1023 become such, others become others
    u3a Recommended {
        aws: Deviates(low_ports_become_high, "EC2's gateway uses ports 1024 to 65535 alone"),
        rfc: Met(low_ports_stay_low),
    }
    /// port parity is preserved
    u4 Recommended {
        aws: Deviates(parity_is_chance, "ports are chosen at random; RFC 7857 section 8 allows that"),
        rfc: Deviates(parity_is_chance, "ports are chosen at random; RFC 7857 section 8 allows that"),
    }
    /// a mapping lives 120 s at least without packets, 300 s by default
    u5 MustNot { aws: Met(idle_for_350_s), rfc: Met(idle_for_300_s), }
    /// packets from inside keep a mapping; those from outside may
    u6 Must { aws: Met(both_sides_refresh), rfc: Met(only_the_inside_refreshes), }
    /// an external network with addresses of the internal one
    u7 Must {
        aws: DoesNotApply(a_vpc_owns_its_addresses, "asked of NATs whose external address is configured dynamically"),
        rfc: DoesNotApply(a_vpc_owns_its_addresses, "asked of NATs whose external address is configured dynamically"),
    }
    /// filtering is endpoint-independent or address-dependent
    u8 Recommended {
        aws: Deviates(filtering_is_by_address_and_port, "EC2's gateway lets in nothing but replies"),
        rfc: Met(filtering_is_by_address),
    }
    /// hairpinning, and the receiver sees the sender's external endpoint (9a)
    u9 Must { aws: Met(hairpinning), rfc: Met(hairpinning), }
    /// application level gateways for UDP are off
    u10 Should { aws: Met(payloads_are_nobodys_business), rfc: Met(payloads_are_nobodys_business), }
    /// mapping and filtering are the same at 0, 50 and 99 % of the ports in use
    u11 Must { aws: Met(deterministic_under_load), rfc: Met(deterministic_under_load), }
    /// no ICMP message ends a mapping, whoever sends it (12a); errors reach the inside (12b)
    u12 MustNot { aws: Met(errors_end_nothing), rfc: Met(errors_end_nothing), }
    /// too big: with DF an ICMP error with the MTU comes back, without it is cut (13a)
    u13 Must { aws: Met(too_big), rfc: Met(too_big), }
    /// fragments pass, also out of order (14a), and a flood of them hurts nobody else
    u14 Must { aws: Met(fragments), rfc: Met(fragments), }
}

fn mapping_is_endpoint_independent(profile: NatProfile) {
    let mut net = Network::new(profile);
    assert_one_endpoint_each(&mut net, 5000);
}

/// Two hosts on one source port each have one endpoint towards all of four remote endpoints, and not the same.
fn assert_one_endpoint_each(net: &mut Network, port: u16) {
    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    for to in [(X, 53), (X, 54), (Y, 53), (Z, 9)] {
        for (n, host) in [A, B].into_iter().enumerate() {
            let frame = udp(net.at(host, port), net.at(to.0, to.1));
            seen[n].insert(net.pass_to(host, frame, to.0));
        }
    }
    assert_eq!(seen.each_ref().map(BTreeSet::len), [1, 1], "{seen:?}");
    assert!(seen[0].is_disjoint(&seen[1]), "{seen:?}");
}

fn pooling_is_paired(profile: NatProfile) {
    let mut net = Network::of(Plan { elastic_ips: 4, hosts: 12, ..Plan::new(profile) });
    let mut used = BTreeSet::new();
    for host in 0..12 {
        let host = Host::Inside(host);
        let addresses: BTreeSet<_> =
            (0..200).map(|n| net.pass_to(host, udp(net.at(host, 5000 + n), net.at(X, 53)), X).ip()).collect();
        assert_eq!(addresses.len(), 1, "{host:?}");
        used.extend(addresses);
    }
    assert_eq!(used.len(), 4, "and no address lies idle");
}

fn no_endpoint_is_shared(profile: NatProfile) {
    let mut net = Network::new(profile);
    let mut endpoints = BTreeSet::new();
    for n in 0..2000 {
        for (host, to) in [(A, X), (B, Y)] {
            let external = net.pass_to(host, udp(net.at(host, 2000 + n), net.at(to, 53)), to);
            assert!(endpoints.insert(external), "{external} has two owners");
        }
    }
}

fn external_ports(profile: NatProfile, ports: impl Iterator<Item = u16>) -> Vec<u16> {
    let mut net = Network::new(profile);
    ports.map(|port| net.pass_to(A, udp(net.at(A, port), net.at(X, 53)), X).port()).collect()
}

fn low_ports_stay_low(profile: NatProfile) {
    assert!(external_ports(profile, 1..=1023).into_iter().all(|port| (1..1024).contains(&port)));
    assert!(external_ports(profile, 1024..3000).into_iter().all(|port| port >= 1024));
}

fn low_ports_become_high(profile: NatProfile) {
    assert!(external_ports(profile, 1..=3000).into_iter().all(|port| port >= 1024));
}

fn parity_is_chance(profile: NatProfile) {
    let odd = external_ports(profile, (5001..5201).step_by(2)).into_iter().filter(|port| port % 2 == 1);
    assert!((25..75).contains(&odd.count()), "some 50 of 100");
}

/// A mapping that was made at second 0 lets the peer in just before `seconds`, and not then.
fn idle_for(profile: NatProfile, seconds: u64) {
    for (wait, alive) in [(seconds - 1, true), (seconds, false)] {
        let mut net = Network::new(profile);
        let (a, x) = (net.at(A, 5000), net.at(X, 53));
        let external = net.pass_to(A, udp(a, x), X);
        net.wait(wait);
        assert_eq!(net.passes(X, udp(x, external)), alive, "after {wait} s");
    }
}

fn idle_for_350_s(profile: NatProfile) {
    idle_for(profile, 350);
}

fn idle_for_300_s(profile: NatProfile) {
    idle_for(profile, 300);
}

/// Whether a mapping is there after 20 times 250 s, in each of which that host sends a packet.
fn kept_by(profile: NatProfile, host: Host) -> bool {
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 5000), net.at(X, 53));
    let external = net.pass_to(A, udp(a, x), X);
    for _ in 0..20 {
        net.wait(250);
        net.send(host, if host == A { udp(a, x) } else { udp(x, external) });
    }
    net.wait(250);
    net.passes(X, udp(x, external))
}

fn both_sides_refresh(profile: NatProfile) {
    assert!(kept_by(profile, A), "though nobody has ever answered");
    assert!(kept_by(profile, X));
}

fn only_the_inside_refreshes(profile: NatProfile) {
    assert!(kept_by(profile, A), "though nobody has ever answered");
    assert!(!kept_by(profile, X));
}

fn a_vpc_owns_its_addresses(profile: NatProfile) {
    // X has an address of the VPC's block: the local route wins, and nobody out there speaks as one of ours.
    let mut net = Network::of(Plan { cidr: "198.51.0.0/16", ..Plan::new(profile) });
    let frame = udp(net.at(A, 5000), net.at(X, 53));
    assert_eq!(net.dropped(A, frame), DropReason::NoSuchAddress);
    let external = net.pass_to(A, udp(net.at(A, 5000), net.at(Z, 53)), Z);
    let frame = udp(net.at(X, 53), external);
    assert_eq!(net.dropped(X, frame), DropReason::MartianSource);
}

/// Who of X, X on another port, Y and Z gets in through a mapping that A has made by a packet to X.
fn let_in(net: &mut Network, port: u16) -> Vec<SocketAddr> {
    let (a, x) = (net.at(A, port), net.at(X, 53));
    let external = net.pass_to(A, udp(a, x), X);
    let strangers = [(X, 53), (X, 54), (Y, 53), (Z, 53)];
    let got_in = strangers.into_iter().filter(|&(host, from)| {
        let frame = udp(net.at(host, from), external);
        net.passes(host, frame)
    });
    got_in.collect::<Vec<_>>().into_iter().map(|(host, port)| net.at(host, port)).collect()
}

fn filtering_is_by_address(profile: NatProfile) {
    let mut net = Network::new(profile);
    assert_eq!(let_in(&mut net, 5000), [net.at(X, 53), net.at(X, 54)]);
}

fn filtering_is_by_address_and_port(profile: NatProfile) {
    let mut net = Network::new(profile);
    assert_eq!(let_in(&mut net, 5000), [net.at(X, 53)]);
}

fn hairpinning(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, b, x) = (net.at(A, 5000), net.at(B, 6000), net.at(X, 53));
    let a_outside = net.pass_to(A, udp(a, x), X);
    let b_outside = net.pass_to(B, udp(b, x), X);
    // B's filter does not know A; A's packet makes A's filter know B.
    assert_eq!(net.dropped(A, udp(a, b_outside)), DropReason::NatUnsolicited);
    let arrival = net.pass(B, udp(b, a_outside));
    assert_eq!((arrival.at, arrival.seen().src, arrival.seen().dst), (A, b_outside, a));
    let arrival = net.pass(A, udp(a, b_outside));
    assert_eq!((arrival.at, arrival.seen().src, arrival.seen().dst), (B, a_outside, b));
    assert_eq!(arrival.packet.ttl(), 62, "out of the gateway, and into it");
}

fn payloads_are_nobodys_business(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 5060), net.at(X, 5060));
    let invite = format!("INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP {a}\r\nContact: <sip:{a}>\r\n");
    let frame = build::udp(a.ip(), x.ip(), a.port(), x.port(), invite.as_bytes());
    let arrival = net.pass(A, frame);
    assert_eq!(arrival.payload(), invite.as_bytes());
    let back =
        build::udp(x.ip(), arrival.seen().src.ip(), 5060, arrival.seen().src.port(), invite.as_bytes());
    assert_eq!(net.pass(X, back).payload(), invite.as_bytes());
}

fn deterministic_under_load(profile: NatProfile) {
    let mut net = Network::of(Plan { hosts: 5, ..Plan::new(profile) });
    let ports = 64_512;
    let filtering: Vec<_> = [0, ports / 2, ports * 99 / 100]
        .into_iter()
        .enumerate()
        .scan(0, |used, (round, wanted)| {
            fill(&mut net, *used..wanted);
            *used = wanted;
            assert_one_endpoint_each(&mut net, 5000 + round as u16);
            Some(let_in(&mut net, 6000 + round as u16))
        })
        .collect();
    assert!(filtering.iter().all(|got_in| *got_in == filtering[0]), "{filtering:?}");
}

/// Hosts from the third on take so many UDP ports more.
pub(crate) fn fill(net: &mut Network, which: std::ops::Range<usize>) {
    for n in which {
        let host = Host::Inside(2 + n / 30_000);
        // To remote ports in turn: EC2 has a limit for each.
        let frame = udp(net.at(host, 1024 + (n % 30_000) as u16), net.at(Z, 1000 + (n % 10) as u16));
        assert!(net.passes(host, frame), "the {n}th port");
    }
}

fn errors_end_nothing(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x, router) = (net.at(A, 5000), net.at(X, 53), net.at(Z, 0).ip());
    let question = udp(a, x);
    let sent = net.pass(A, question.clone());
    for (from, kind, code) in [(x.ip(), 3, 3), (router, 11, 0), (router, 3, 1), (x.ip(), 3, 2)] {
        let error = icmp_error(from, kind, code, &sent.frame);
        let told = net.pass(X, error);
        assert_eq!((told.at, told.icmp(), told.packet.src()), (A, Some((kind, code)), from));
        let quoted = told.quoted().unwrap();
        assert_eq!((quoted.src, quoted.dst), (a, x));
        let again = net.pass_to(A, question.clone(), X);
        assert_eq!(again, sent.seen().src);
        assert!(net.passes(X, udp(x, again)));
    }
}

fn too_big(profile: NatProfile) {
    let mut net = Network::of(Plan { mtu: 1400, ..Plan::new(profile) });
    let (a, x) = (net.at(A, 5000), net.at(X, 53));
    let big =
        |dont_fragment| build::udp(a.ip(), x.ip(), 5000, 53, &[7; 1473]).with_dont_fragment(dont_fragment);
    let error = net.answer(A, big(true));
    assert_eq!((error.icmp(), error.frame.bytes[38..42].to_vec()), (Some((3, 4)), vec![0, 0, 0x05, 0x78]));
    assert_eq!(error.quoted().map(|quoted| (quoted.src, quoted.dst)), Some((a, x)));
    assert_eq!(net.counters().out_to_destination.packets, 0, "it made no mapping");
    let parts = net.send(A, big(false));
    assert!(parts.len() == 2 && parts.iter().all(|part| part.at == X && part.packet.total_len() <= 1400));
    let payload: usize = parts.iter().map(|part| part.packet.total_len() - 20).sum();
    assert_eq!(payload, 8 + 1473);
}

/// Three parts of one datagram of 60 bytes.
fn parts(whole: &Frame, id: u16) -> [Frame; 3] {
    [(0, 24, true), (24, 24, true), (48, 20, false)]
        .map(|(offset, len, more)| ipv4_part(whole, id, offset, len, more))
}

fn fragments(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 5000), net.at(X, 53));
    let datagram =
        |from: SocketAddr, to: SocketAddr| build::udp(from.ip(), to.ip(), from.port(), to.port(), &[9; 60]);
    let external = net.pass_to(A, udp(a, x), X);
    for (id, order) in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]].into_iter().enumerate() {
        let id = id as u16;
        let out = parts(&datagram(a, x), id);
        let left: Vec<_> = order.into_iter().flat_map(|n| net.send(A, out[n].clone())).collect();
        let expected = parts(&datagram(external, x), id).map(|part| part.with_ttl(63));
        assert_same(&left, X, &expected);
        let back = parts(&datagram(x, external), id);
        let came: Vec<_> = order.into_iter().flat_map(|n| net.send(X, back[n].clone())).collect();
        assert_same(&came, A, &parts(&datagram(x, a), id).map(|part| part.with_ttl(63)));
    }
    // Parts that nobody ever completes, from B and from outside, and A's traffic goes on.
    for n in 0..10_000_u16 {
        let [_, second, _] = parts(&datagram(net.at(B, 7000), x), n);
        assert!(net.send(B, second).is_empty());
        let [_, second, _] = parts(&datagram(net.at(Y, 7000), external), n);
        assert!(net.send(Y, second).is_empty());
        if n % 500 == 0 {
            let [first, middle, last] = parts(&datagram(a, x), 100 + n);
            let left = [last, middle, first].map(|part| net.send(A, part).len());
            assert_eq!(left, [0, 0, 3], "after {n} of each");
        }
    }
}

/// Whether these IP packets arrived, in any order.
fn assert_same(arrived: &[sim::Arrival], at: Host, expected: &[Frame]) {
    assert!(arrived.iter().all(|arrival| arrival.at == at), "{arrived:?}");
    let ip = |frame: &Frame| frame.bytes[14..].to_vec();
    let arrived: BTreeSet<_> = arrived.iter().map(|arrival| ip(&arrival.frame)).collect();
    assert_eq!(arrived, expected.iter().map(ip).collect());
}
