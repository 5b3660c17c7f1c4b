//! RFC 5382: TCP.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use engine::DropReason;
use model::NatProfile;
use sim::{Host, Network, icmp_error, tcp};
use wire::{FlowProto, TcpFlags, build};

use crate::checklist::checklist;
use crate::{A, B, X, Y, Z};

pub(crate) const SYN: TcpFlags = TcpFlags::SYN;
pub(crate) const ACK: TcpFlags = TcpFlags::ACK;
pub(crate) const SYN_ACK: TcpFlags = TcpFlags(SYN.0 | ACK.0);
pub(crate) const FIN: TcpFlags = TcpFlags(TcpFlags::FIN.0 | ACK.0);
pub(crate) const RST: TcpFlags = TcpFlags::RST;

checklist! { "RFC 5382":
    /// endpoint-independent mapping
    t1 Must {
        aws: Deviates(mapping_hangs_on_the_destination, "EC2's 55,000 connections to each unique destination need ports that are shared"),
        rfc: Met(mapping_is_endpoint_independent),
    }
    /// all valid sequences: SYN again, SYNs that cross, half-close, a tuple used anew
    t2 Must { aws: Met(sequences), rfc: Met(sequences), }
    /// filtering is endpoint-independent or address-dependent
    t3 Recommended {
        aws: Deviates(filtering_is_by_address_and_port, "EC2's gateway lets in nothing but replies"),
        rfc: Met(filtering_is_by_address),
    }
    /// an unsolicited SYN is not answered for 6 s, or not at all (4a)
    t4 MustNot { aws: Met(unsolicited_syns_are_met_with_silence), rfc: Met(unsolicited_syns_are_met_with_silence), }
    /// idle times: 2 h 4 min when established, else 4 min
    t5 MustNot {
        aws: Deviates(idle_for_350_s, "EC2's gateway ends every connection after 350 s"),
        rfc: Met(idle_for_7440_and_240_s),
    }
    /// application level gateways are off
    t6 Recommended { aws: Met(payloads_are_nobodys_business), rfc: Met(payloads_are_nobodys_business), }
    /// no port overloading
    t7 MustNot {
        aws: Deviates(ports_are_shared_towards_different_destinations, "as T1; RFC 7857 section 3 allows it to endpoint-dependent mappings"),
        rfc: Met(no_port_is_shared),
    }
    /// hairpinning, and the receiver sees the sender's external endpoint
    t8 Must {
        aws: Deviates(no_hairpinning, "nobody can know the port that EC2's gateway takes for the next destination"),
        rfc: Met(hairpinning),
    }
    /// ICMP destination unreachable is translated
    t9 Should { aws: Met(unreachable_is_translated), rfc: Met(unreachable_is_translated), }
    /// no ICMP message ends a connection
    t10 MustNot { aws: Met(errors_end_nothing), rfc: Met(errors_end_nothing), }
}

/// A connection that A opens and its peer accepts; gives A's external endpoint.
pub(crate) fn establish(net: &mut Network, from: u16, peer: Host, to: u16) -> SocketAddr {
    let (a, x) = (net.at(A, from), net.at(peer, to));
    let external = net.pass_to(A, tcp(a, x, SYN), peer);
    let arrival = net.pass(peer, tcp(x, external, SYN_ACK));
    assert_eq!((arrival.at, arrival.seen().dst), (A, a));
    assert_eq!(net.pass_to(A, tcp(a, x, ACK), peer), external);
    external
}

fn endpoints(profile: NatProfile) -> BTreeSet<SocketAddr> {
    let mut net = Network::new(profile);
    let a = net.at(A, 5000);
    let to = [(X, 80), (X, 81), (Y, 80), (Z, 80)];
    to.into_iter().map(|(host, port)| net.pass_to(A, tcp(a, net.at(host, port), SYN), host)).collect()
}

fn mapping_is_endpoint_independent(profile: NatProfile) {
    assert_eq!(endpoints(profile).len(), 1);
}

fn mapping_hangs_on_the_destination(profile: NatProfile) {
    assert_eq!(endpoints(profile).len(), 4);
}

fn sequences(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 5000), net.at(X, 80));
    // SYN, lost and sent again.
    let external = net.pass_to(A, tcp(a, x, SYN), X);
    net.wait(3);
    assert_eq!(net.pass_to(A, tcp(a, x, SYN), X), external);
    let there = |net: &mut Network, flags| net.pass_to(A, tcp(a, x, flags), X);
    let back = |net: &mut Network, flags| {
        let arrival = net.pass(X, tcp(x, external, flags));
        assert_eq!((arrival.at, arrival.seen().dst), (A, a));
    };
    back(&mut net, SYN_ACK);
    back(&mut net, SYN_ACK);
    assert_eq!(there(&mut net, ACK), external);
    // One side has nothing more to say; the other goes on for as long as an established connection may be idle.
    assert_eq!(there(&mut net, FIN), external);
    for _ in 0..5 {
        net.wait(340);
        back(&mut net, ACK);
        assert_eq!(there(&mut net, ACK), external);
    }
    back(&mut net, FIN);
    assert_eq!(there(&mut net, ACK), external);
    // The tuple is used anew while it waits.
    net.wait(60);
    assert_eq!(there(&mut net, SYN), external);
    back(&mut net, SYN_ACK);
    assert_eq!(there(&mut net, ACK), external);
    net.wait(340);
    back(&mut net, ACK);

    // Simultaneous open: both SYNs cross.
    let (a, x) = (net.at(A, 6000), net.at(X, 8080));
    let external = net.pass_to(A, tcp(a, x, SYN), X);
    let arrival = net.pass(X, tcp(x, external, SYN));
    assert_eq!((arrival.at, arrival.seen().dst), (A, a));
    assert_eq!(net.pass_to(A, tcp(a, x, SYN_ACK), X), external);
    assert!(net.passes(X, tcp(x, external, SYN_ACK)));
    net.wait(340);
    assert_eq!(net.pass_to(A, tcp(a, x, ACK), X), external, "it is established");
    assert_eq!(net.counters().active_connections, 2);
}

/// Who of X on another port and Y may open a connection through a mapping that A has made by one to X.
fn let_in(profile: NatProfile) -> [bool; 2] {
    let mut net = Network::new(profile);
    let external = establish(&mut net, 5000, X, 80);
    [(X, 4000), (Y, 80)].map(|(host, port)| {
        let syn = tcp(net.at(host, port), external, SYN);
        net.passes(host, syn)
    })
}

fn filtering_is_by_address(profile: NatProfile) {
    assert_eq!(let_in(profile), [true, false]);
}

fn filtering_is_by_address_and_port(profile: NatProfile) {
    assert_eq!(let_in(profile), [false, false]);
}

fn unsolicited_syns_are_met_with_silence(profile: NatProfile) {
    let mut net = Network::new(profile);
    let mapped = establish(&mut net, 5000, X, 80);
    let unmapped = SocketAddr::new(mapped.ip(), mapped.port() ^ 1);
    for external in [mapped, unmapped] {
        let syn = tcp(net.at(Y, 80), external, SYN);
        assert_eq!(net.dropped(Y, syn), DropReason::NatUnsolicited);
    }
    // The first tick has routers advertise themselves.
    net.wait(1);
    let before = net.engine.counters().ports;
    for _ in 0..30 {
        net.wait(1);
    }
    assert_eq!(net.engine.counters().ports, before, "nothing was sent to anybody");
    // The SYN that comes from inside later is the first of its connection.
    let (a, y) = (net.at(A, 5000), net.at(Y, 80));
    let external = net.pass_to(A, tcp(a, y, SYN), Y);
    assert!(net.passes(Y, tcp(y, external, SYN_ACK)));
}

/// How many seconds a connection may be idle after these segments of A, which X has answered or not.
pub(crate) fn idle(profile: NatProfile, answered: bool, last: Option<TcpFlags>) -> u64 {
    let alive_after = |seconds| {
        let mut net = Network::new(profile);
        let (a, x) = (net.at(A, 5000), net.at(X, 80));
        let external = match answered {
            true => establish(&mut net, a.port(), X, 80),
            false => net.pass_to(A, tcp(a, x, SYN), X),
        };
        if let Some(flags) = last {
            net.send(A, tcp(a, x, flags));
            net.send(X, tcp(x, external, flags));
        }
        net.wait(seconds);
        net.passes(X, tcp(x, external, SYN_ACK))
    };
    let times = [240, 350, 7440];
    let found = times.into_iter().find(|&time| alive_after(time - 1) && !alive_after(time));
    found.unwrap_or_default()
}

fn idle_for_7440_and_240_s(profile: NatProfile) {
    assert_eq!([idle(profile, true, None), idle(profile, false, None)], [7440, 240]);
    assert_eq!(idle(profile, true, Some(FIN)), 240);
}

fn idle_for_350_s(profile: NatProfile) {
    assert_eq!([idle(profile, true, None), idle(profile, false, None)], [350, 350]);
    assert_eq!(idle(profile, true, Some(FIN)), 350);
    // Then the inside hears of it by a reset, and the outside does not.
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 5000), net.at(X, 80));
    let external = establish(&mut net, a.port(), X, 80);
    net.wait(350);
    assert_eq!(net.counters().idle_timeouts, 1);
    let reset = net.answer(A, tcp(a, x, ACK));
    assert_eq!((reset.seen().src, reset.seen().dst), (x, a));
    assert!(matches!(reset.packet.transport(), wire::Transport::Tcp { flags, .. } if flags.contains(RST)));
    assert_eq!(net.dropped(X, tcp(x, external, ACK)), DropReason::NatUnsolicited);
}

fn payloads_are_nobodys_business(profile: NatProfile) {
    let mut net = Network::new(profile);
    let a = net.at(A, 5000);
    let external = establish(&mut net, a.port(), X, 21);
    let command = b"PORT 10,0,1,10,19,136\r\n";
    let x = net.at(X, 21);
    let arrival = net.pass(A, build::tcp(a.ip(), x.ip(), 5000, 21, ACK, command));
    assert_eq!(arrival.payload(), command);
    // And nobody may come in for it.
    let syn = tcp(net.at(Y, 20), SocketAddr::new(external.ip(), 5000), SYN);
    assert_eq!(net.dropped(Y, syn), DropReason::NatUnsolicited);
}

/// The external endpoints of 2000 connections of A with X and as many of B with Y: which both have.
fn shared(net: &mut Network) -> Vec<(SocketAddr, [u16; 2])> {
    let mut of = |host, to| -> std::collections::BTreeMap<SocketAddr, u16> {
        (0..2000)
            .map(|n| (net.pass_to(host, tcp(net.at(host, 2000 + n), net.at(to, 80), SYN), to), 2000 + n))
            .collect()
    };
    let (of_a, of_b) = (of(A, X), of(B, Y));
    assert_eq!(
        (of_a.len(), of_b.len()),
        (2000, 2000),
        "no two connections with one destination share a port"
    );
    of_a.iter().filter_map(|(end, a)| Some((*end, [*a, *of_b.get(end)?]))).collect()
}

fn no_port_is_shared(profile: NatProfile) {
    assert_eq!(shared(&mut Network::new(profile)), []);
}

pub(crate) fn ports_are_shared_towards_different_destinations(profile: NatProfile) {
    let mut net = Network::new(profile);
    let shared = shared(&mut net);
    assert!(shared.len() > 10, "some 62 by chance: {}", shared.len());
    for (end, [of_a, of_b]) in shared {
        let answer = tcp(net.at(X, 80), end, SYN_ACK);
        let arrival = net.pass(X, answer);
        assert_eq!((arrival.at, arrival.seen().dst), (A, net.at(A, of_a)));
        let answer = tcp(net.at(Y, 80), end, SYN_ACK);
        let arrival = net.pass(Y, answer);
        assert_eq!((arrival.at, arrival.seen().dst), (B, net.at(B, of_b)));
    }
}

fn hairpinning(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, b) = (net.at(A, 5000), net.at(B, 6000));
    let a_outside = establish(&mut net, a.port(), X, 80);
    let x = net.at(X, 80);
    let b_outside = net.pass_to(B, tcp(b, x, SYN), X);
    assert_eq!(net.dropped(A, tcp(a, b_outside, SYN)), DropReason::NatUnsolicited);
    let arrival = net.pass(B, tcp(b, a_outside, SYN));
    assert_eq!((arrival.at, arrival.seen().src, arrival.seen().dst), (A, b_outside, a));
    let arrival = net.pass(A, tcp(a, b_outside, SYN_ACK));
    assert_eq!((arrival.at, arrival.seen().src, arrival.seen().dst), (B, a_outside, b));
    let arrival = net.pass(B, tcp(b, a_outside, ACK));
    assert_eq!((arrival.at, arrival.seen().src), (A, b_outside));
}

fn no_hairpinning(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, b, x) = (net.at(A, 5000), net.at(B, 6000), net.at(X, 80));
    let a_outside = establish(&mut net, a.port(), X, 80);
    let b_outside = net.pass_to(B, tcp(b, x, SYN), X);
    for _ in 0..3 {
        assert_eq!(net.dropped(A, tcp(a, b_outside, SYN)), DropReason::NatUnsolicited);
        assert_eq!(net.dropped(B, tcp(b, a_outside, SYN)), DropReason::NatUnsolicited);
    }
}

fn unreachable_is_translated(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 5000), net.at(X, 80));
    let sent = net.pass(A, tcp(a, x, SYN));
    for code in [0, 1, 2, 3, 4, 9, 10, 13] {
        let error = icmp_error(x.ip(), 3, code, &sent.frame);
        let told = net.pass(X, error);
        assert_eq!((told.at, told.icmp(), told.packet.src()), (A, Some((3, code)), x.ip()));
        let quoted = told.quoted().unwrap();
        assert_eq!((quoted.src, quoted.dst, told.packet.dst()), (a, x, a.ip()));
    }
}

fn errors_end_nothing(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 5000), net.at(X, 80));
    let external = establish(&mut net, a.port(), X, 80);
    let sent = net.pass(A, tcp(a, x, ACK));
    for (kind, code) in [(3, 3), (3, 1), (3, 2), (11, 0), (12, 0), (3, 13)] {
        let error = icmp_error(x.ip(), kind, code, &sent.frame);
        net.pass(X, error);
        let arrival = net.pass(X, tcp(x, external, ACK));
        assert_eq!(arrival.packet.flow_key().proto, FlowProto::Tcp { src: 80, dst: 5000 });
        assert_eq!(net.pass_to(A, tcp(a, x, ACK), X), external);
    }
    assert_eq!(net.counters().active_connections, 1);
}
