//! RFC 5508: ICMP.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use engine::DropReason;
use model::NatProfile;
use sim::{Arrival, Host, Network, Plan, echo, icmp_error, reply, sound, udp, with_options};
use wire::{Frame, Malformed, build};

use crate::checklist::checklist;
use crate::rfc4787::fill;
use crate::{A, B, X, Y, Z};

checklist! { "RFC 5508":
    /// queries from inside pass, and one identifier serves all destinations (1a)
    i1 Must { aws: Met(queries), rfc: Met(queries), }
    /// a query's mapping lives 60 s at least
    i2 MustNot { aws: Met(idle_for_350_s), rfc: Met(idle_for_60_s), }
    /// errors: wrong ICMP checksum or quoted IP checksum (3a) drop; quoted options (3b), transport checksums (3c) and extensions (3d) are no matter
    i3 Must { aws: Met(validation), rfc: Met(validation), }
    /// an error from outside: the quote is translated, type and code stay; without a mapping it is dropped
    i4 Must { aws: Met(errors_from_outside), rfc: Met(errors_from_outside), }
    /// an error from inside likewise, from the gateway's address (5c)
    i5 Must { aws: Met(errors_from_inside), rfc: Met(errors_from_inside), }
    /// no error refreshes or ends a mapping
    i6 MustNot { aws: Met(errors_refresh_nothing), rfc: Met(errors_refresh_nothing), }
    /// hairpinned errors (7a)
    i7 Must { aws: Met(hairpinned_errors), rfc: Met(hairpinned_errors), }
    /// ICMP 3/13 where resources ran out
    i8 Should {
        aws: Deviates(silence_when_ports_run_out, "EC2's gateway is silent, and counts ErrorPortAllocation"),
        rfc: Met(prohibited_when_ports_run_out),
    }
    /// a policy may keep errors from being sent: to the outside there are none
    i9 May { aws: Met(the_outside_hears_nothing), rfc: Met(the_outside_hears_nothing), }
    /// time exceeded and fragmentation needed are sent where a router sends them
    i10 Must { aws: Met(a_hop_on_the_way), rfc: Met(a_hop_on_the_way), }
    /// any other message may be dropped
    i11 May { aws: Met(other_messages_are_dropped), rfc: Met(other_messages_are_dropped), }
}

fn queries(profile: NatProfile) {
    let mut net = Network::new(profile);
    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    for to in [X, Y, Z] {
        for (n, host) in [A, B].into_iter().enumerate() {
            let (a, x) = (net.at(host, 77), net.at(to, 0).ip());
            let external = net.pass_to(host, echo(a, x), to);
            let answer = net.pass(to, reply(x, external));
            assert_eq!((answer.at, answer.seen().dst, answer.payload()), (host, a, &b"data"[..]));
            seen[n].insert(external);
        }
    }
    assert_eq!(seen.each_ref().map(BTreeSet::len), [1, 1], "{seen:?}");
    assert!(seen[0].is_disjoint(&seen[1]), "{seen:?}");
}

fn idle_for(profile: NatProfile, seconds: u64) {
    for (wait, alive) in [(seconds - 1, true), (seconds, false)] {
        let mut net = Network::new(profile);
        let (a, x) = (net.at(A, 77), net.at(X, 0).ip());
        let external = net.pass_to(A, echo(a, x), X);
        net.wait(wait);
        assert_eq!(net.passes(X, reply(x, external)), alive, "after {wait} s");
    }
}

fn idle_for_60_s(profile: NatProfile) {
    idle_for(profile, 60);
}

fn idle_for_350_s(profile: NatProfile) {
    idle_for(profile, 350);
}

/// The bytes of an ICMP message summed up anew.
fn resum(mut frame: Frame) -> Frame {
    frame.bytes[36..38].fill(0);
    let sum = !sound::sum(&frame.bytes[34..]);
    frame.bytes[36..38].copy_from_slice(&sum.to_be_bytes());
    frame
}

fn validation(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 5000), net.at(X, 53));
    let sent = net.pass(A, udp(a, x));
    let error = icmp_error(x.ip(), 3, 3, &sent.frame);
    let mut wrong = error.clone();
    wrong.bytes[37] ^= 1;
    assert_eq!(net.dropped(X, wrong), DropReason::Malformed(Malformed::BadIcmpChecksum));
    let mut wrong = error.clone();
    wrong.bytes[42 + 10] ^= 1;
    assert_eq!(net.dropped(X, resum(wrong)), DropReason::BadQuote);
    let mut corrupt = error.clone();
    corrupt.bytes[42 + 26] ^= 1;
    assert_told(&net.pass(X, resum(corrupt)), a, x);
    let optional = icmp_error(x.ip(), 3, 3, &with_options(&sent.frame));
    assert_told(&net.pass(X, optional), a, x);
    // RFC 4884: the quote is padded to 128 bytes, and an extension follows.
    let extension = b"\x20\x00\x12\x34\x00\x08\x01\x01\x00\x01\x81\x40";
    let quote = &sent.frame.bytes[14..];
    let padded = [quote, &vec![0; 128 - quote.len()], extension].concat();
    let mut extended = build::icmp_error(x.ip(), sent.packet.src(), 11, 0, &padded);
    extended.bytes[39] = 32;
    let told = net.pass(X, resum(extended));
    assert_told(&told, a, x);
    assert!(told.frame.bytes.ends_with(extension), "as it came");
}

/// A was told of a packet that it had sent to X.
fn assert_told(told: &Arrival, a: SocketAddr, x: SocketAddr) {
    let quoted = told.quoted().unwrap();
    assert_eq!((told.at, told.packet.dst(), quoted.src, quoted.dst), (A, a.ip(), a, x));
}

fn errors_from_outside(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x, router) = (net.at(A, 5000), net.at(X, 53), net.at(Z, 0).ip());
    for (frame, back) in [(udp(a, x), true), (echo(net.at(A, 77), x.ip()), false)] {
        let sent = net.pass(A, frame.clone());
        let told = net.pass(Z, icmp_error(router, 11, 0, &sent.frame));
        assert_eq!((told.at, told.icmp(), told.packet.src()), (A, Some((11, 0)), router));
        // To the bit, A's own packet as it was after the gateway.
        let end = 42 + frame.bytes.len() - 14;
        assert_eq!(told.frame.bytes[42..end], frame.with_ttl(63).bytes[14..]);
        // An error about what nobody has sent.
        let mut other = sent.frame.clone();
        other.bytes[34 + if back { 1 } else { 5 }] ^= 1;
        let error = icmp_error(x.ip(), 3, 3, &other);
        assert_eq!(net.dropped(X, error), DropReason::NatUnsolicited);
    }
}

fn errors_from_inside(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 5000), net.at(X, 53));
    let external = net.pass_to(A, udp(a, x), X);
    let answer = net.pass(X, udp(x, external));
    let told = net.pass(A, icmp_error(a.ip(), 3, 3, &answer.frame));
    assert_eq!((told.at, told.icmp(), told.packet.src()), (X, Some((3, 3)), external.ip()));
    let quoted = told.quoted().unwrap();
    assert_eq!((quoted.src, quoted.dst), (x, external));
    // A router inside, behind A, would have another source: what leaves has the gateway's all the same.
    let stray = icmp_error(a.ip(), 3, 3, &udp(net.at(Y, 53), a));
    assert_eq!(net.dropped(A, stray), DropReason::NatNoSession);
}

fn errors_refresh_nothing(profile: NatProfile) {
    let idle = if profile == NatProfile::Aws { 350 } else { 300 };
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 5000), net.at(X, 53));
    let sent = net.pass(A, udp(a, x));
    let external = sent.seen().src;
    let answer = net.pass(X, udp(x, external));
    net.wait(idle - 10);
    net.pass(X, icmp_error(x.ip(), 3, 3, &sent.frame));
    net.pass(A, icmp_error(a.ip(), 3, 3, &answer.frame));
    net.wait(9);
    assert_eq!(net.counters().idle_timeouts, 0);
    net.wait(1);
    assert_eq!(net.counters().idle_timeouts, 1);
    assert!(!net.passes(X, udp(x, external)));
}

fn hairpinned_errors(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, b, x) = (net.at(A, 5000), net.at(B, 6000), net.at(X, 53));
    let [a_outside, b_outside] = [(A, a), (B, b)].map(|(host, end)| net.pass_to(host, udp(end, x), X));
    net.dropped(A, udp(a, b_outside));
    let question = udp(b, a_outside);
    let arrival = net.pass(B, question.clone());
    let told = net.pass(A, icmp_error(a.ip(), 3, 3, &arrival.frame));
    assert_eq!((told.at, told.icmp()), (B, Some((3, 3))));
    assert_eq!((told.packet.src(), told.packet.dst()), (a_outside.ip(), b.ip()));
    let quoted = told.quoted().unwrap();
    assert_eq!((quoted.src, quoted.dst), (b, a_outside));
}

/// A network all of whose ports for UDP are taken.
fn exhausted(profile: NatProfile) -> Network {
    let mut net = Network::of(Plan { hosts: 5, ..Plan::new(profile) });
    fill(&mut net, 0..64_512);
    net
}

fn prohibited_when_ports_run_out(profile: NatProfile) {
    let mut net = exhausted(profile);
    let (a, x) = (net.at(A, 5000), net.at(X, 53));
    let told = net.answer(A, udp(a, x));
    assert_eq!((told.icmp(), told.packet.src()), (Some((3, 13)), net.private.into()));
    let quoted = told.quoted().unwrap();
    assert_eq!((quoted.src, quoted.dst), (a, x));
    assert_eq!(net.counters().port_allocation_errors, 1);
}

fn silence_when_ports_run_out(profile: NatProfile) {
    let mut net = exhausted(profile);
    let frame = udp(net.at(A, 5000), net.at(X, 53));
    assert_eq!(net.dropped(A, frame), DropReason::NatPortsExhausted);
    assert_eq!(net.counters().port_allocation_errors, 1);
}

fn the_outside_hears_nothing(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 5000), net.at(X, 53));
    let external = net.pass_to(A, udp(a, x), X);
    let unmapped = SocketAddr::new(external.ip(), external.port() ^ 1);
    assert_eq!(net.dropped(X, udp(x, unmapped)), DropReason::NatUnsolicited);
    assert_eq!(net.dropped(Y, udp(net.at(Y, 53), external)), DropReason::NatUnsolicited);
    let ping = echo(net.at(X, 9), external.ip());
    assert_eq!(net.dropped(X, ping), DropReason::NatUnsolicited);
}

fn a_hop_on_the_way(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 33434), net.at(X, 33434));
    let told = net.answer(A, udp(a, x).with_ttl(1));
    assert_eq!((told.icmp(), told.packet.src()), (Some((11, 0)), net.private.into()));
    assert_eq!(net.pass(A, udp(a, x).with_ttl(2)).packet.ttl(), 1);
    let big = build::udp(a.ip(), x.ip(), 5000, 53, &[0; 1473]);
    let told = net.answer(A, big);
    assert_eq!((told.icmp(), told.packet.src()), (Some((3, 4)), net.private.into()));
}

fn other_messages_are_dropped(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 0).ip(), net.at(X, 0).ip());
    for kind in [13, 15, 17, 5, 10] {
        let mut frame = build::icmp_error(a, x, kind, 0, &[0; 12]);
        frame = resum(frame);
        assert_eq!(net.dropped(A, frame), DropReason::NatProtocol, "type {kind}");
    }
    let at = net.public[0];
    let timestamp = resum(build::icmp_error(x, at, 13, 0, &[0; 12]));
    assert_eq!(net.dropped(Host::Outside(0), timestamp), DropReason::NatProtocol);
}
