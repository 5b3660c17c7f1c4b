//! RFC 6146, 6052, 6147 and 7915: NAT64.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use engine::DropReason;
use model::NatProfile;
use sim::{Host, Network, echo, icmp_error, reply, tcp, udp};
use wire::{FlowProto, Frame, Packet, build};

use crate::checklist::checklist;
use crate::rfc5382::{ACK, SYN, SYN_ACK};
use crate::{A, B, X, Y, Z};

checklist! { "NAT64":
    /// RFC 6052: prefixes of 32 to 96 bits
    s1 Must {
        aws: Deviates(only_the_well_known_prefix, "EC2 routes 64:ff9b::/96 to NAT gateways, and no other prefix"),
        rfc: Deviates(only_the_well_known_prefix, "EC2 routes 64:ff9b::/96 to NAT gateways, and no other prefix"),
    }
    /// RFC 6146 section 4: idle times of UDP 120 s at least, of TCP 7440 s and 240 s, of ICMP 60 s
    s2 Must {
        aws: Deviates(idle_for_350_s, "EC2's gateway ends every connection after 350 s"),
        rfc: Met(idle_as_for_ipv4),
    }
    /// RFC 6146 section 3.5: endpoint-independent mapping
    s3 Must {
        aws: Deviates(mapping_of_tcp_hangs_on_the_destination, "as T1; UDP and ICMP are mapped so"),
        rfc: Met(mapping_is_endpoint_independent),
    }
    /// RFC 7915: headers, checksums, ICMP types and MTUs are translated
    s4 Must { aws: Met(translation), rfc: Met(translation), }
    /// RFC 6146 section 3.8: hairpinning by the prefix
    s5 Must { aws: Met(hairpinning), rfc: Met(hairpinning), }
    /// RFC 6052 section 3.1: the well-known prefix carries no private addresses
    s6 MustNot {
        aws: Deviates(private_addresses_are_reached, "EC2 reaches the VPC and what is behind it by the same prefix"),
        rfc: Deviates(private_addresses_are_reached, "EC2 reaches the VPC and what is behind it by the same prefix"),
    }
    /// RFC 6147: AAAA records are made only where there are none
    s7 Should {
        aws: DoesNotApply(names_are_nobodys_business_here, "asked of the resolver; a NAT gateway translates what it is sent"),
        rfc: DoesNotApply(names_are_nobodys_business_here, "asked of the resolver; a NAT gateway translates what it is sent"),
    }
    /// VPC user guide: every NAT gateway translates IPv6, without being asked to
    s8 Must { aws: Met(always_on), rfc: Met(always_on), }
}

fn only_the_well_known_prefix(profile: NatProfile) {
    let mut net = Network::new(profile);
    let a = net.at6(A, 5000);
    net.pass_to(A, udp(a, net.at6(X, 53)), X);
    // Another prefix has no way to the gateway, and would not be understood there.
    let other: IpAddr = "2001:db8:64::c633:6408".parse().unwrap();
    assert_eq!(net.dropped(A, udp(a, (other, 53).into())), DropReason::NoRoute);
}

/// Whether answers still pass after so many seconds: UDP, TCP before and after both ends have spoken, ICMP.
fn alive_after(profile: NatProfile, seconds: u64) -> [bool; 4] {
    let mut net = Network::new(profile);
    let x = net.at(X, 80);
    let [a, b] = [net.at6(A, 5000), net.at6(A, 5001)];
    let to = net.at6(X, 80);
    let of_udp = net.pass_to(A, udp(a, to), X);
    let opening = net.pass_to(A, tcp(a, to, SYN), X);
    let established = net.pass_to(A, tcp(b, to, SYN), X);
    net.pass(X, tcp(x, established, SYN_ACK));
    net.pass_to(A, tcp(b, to, ACK), X);
    let of_icmp = net.pass_to(A, echo(a, to.ip()), X);
    net.wait(seconds);
    [udp(x, of_udp), tcp(x, opening, SYN_ACK), tcp(x, established, ACK), reply(x.ip(), of_icmp)]
        .map(|frame| net.passes(X, frame))
}

fn idle_as_for_ipv4(profile: NatProfile) {
    assert_eq!(alive_after(profile, 59), [true; 4]);
    assert_eq!(alive_after(profile, 60), [true, true, true, false]);
    assert_eq!(alive_after(profile, 239), [true, true, true, false]);
    assert_eq!(alive_after(profile, 240), [true, false, true, false]);
    assert_eq!(alive_after(profile, 299), [true, false, true, false]);
    assert_eq!(alive_after(profile, 300), [false, false, true, false]);
    assert_eq!(alive_after(profile, 7439), [false, false, true, false]);
    assert_eq!(alive_after(profile, 7440), [false; 4]);
}

fn idle_for_350_s(profile: NatProfile) {
    assert_eq!(alive_after(profile, 349), [true; 4]);
    assert_eq!(alive_after(profile, 350), [false; 4]);
}

/// How many external endpoints one inside endpoint has towards three remote ones: UDP, TCP, ICMP.
fn endpoints(profile: NatProfile) -> [usize; 3] {
    let mut net = Network::new(profile);
    let a = net.at6(A, 5000);
    let protocols: [fn(SocketAddr, SocketAddr) -> Frame; 3] =
        [udp, |from, to| tcp(from, to, SYN), |from, to| echo(from, to.ip())];
    protocols.map(|frame| {
        let seen: BTreeSet<_> =
            [X, Y, Z].into_iter().map(|to| net.pass_to(A, frame(a, net.at6(to, 80)), to)).collect();
        seen.len()
    })
}

fn mapping_is_endpoint_independent(profile: NatProfile) {
    assert_eq!(endpoints(profile), [1, 1, 1]);
}

fn mapping_of_tcp_hangs_on_the_destination(profile: NatProfile) {
    assert_eq!(endpoints(profile), [1, 3, 1]);
}

fn translation(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x, to) = (net.at6(A, 5000), net.at(X, 53), net.at6(X, 53));
    let sent = net.pass(A, udp(a, to));
    let external = sent.seen().src;
    // To the bit the datagram that a host of IPv4 sends (but for DF, which short packets do not get; RFC 7915 section 5.1).
    let expected = udp(external, x).with_ttl(63);
    assert_same_but_for_id_and_df(&sent.frame, &expected);
    // A checksum of zero means none in IPv4, and does not exist in IPv6.
    let mut unsummed = udp(x, external);
    unsummed.bytes[40..42].fill(0);
    let arrival = net.pass(X, unsummed);
    assert_eq!(arrival.frame.bytes[54..], udp(to, a).bytes[54..]);
    assert_eq!((arrival.at, arrival.packet.ttl(), arrival.seen().src, arrival.seen().dst), (A, 63, to, a));
    // Echo, both ways: 128 and 8, 0 and 129.
    let ping = net.pass(A, echo(net.at6(A, 9), to.ip()));
    assert_eq!(ping.frame.bytes[34], 8);
    let pong = net.pass(X, reply(x.ip(), ping.seen().src));
    assert_eq!((pong.frame.bytes[54], pong.seen().dst, pong.payload()), (129, net.at6(A, 9), &b"data"[..]));
    errors_are_translated(&mut net, &sent.frame, a, to);
    // IPv6 headers are 20 bytes longer: 1520 bytes fit an MTU of 1500.
    let fits = build::udp(a.ip(), to.ip(), 5000, 53, &vec![0; 1520 - 48]);
    assert_eq!(net.pass(A, fits).packet.total_len(), 1500);
    let big = build::udp(a.ip(), to.ip(), 5000, 53, &vec![0; 1521 - 48]);
    let told = net.answer(A, big);
    assert_eq!(
        (told.icmp(), told.frame.bytes[58..62].to_vec()),
        (Some((2, 0)), 1520_u32.to_be_bytes().to_vec())
    );
    fragments_are_translated(&mut net, external, a);
}

/// Type, code and MTU of errors about a packet that A has sent (RFC 7915 section 4.2).
fn errors_are_translated(net: &mut Network, about: &Frame, a: SocketAddr, to: SocketAddr) {
    let router = net.at(Z, 0).ip();
    for ((kind, code), expected) in [
        ((3, 0), (1, 0)),
        ((3, 1), (1, 0)),
        ((3, 3), (1, 4)),
        ((3, 2), (4, 1)),
        ((3, 10), (1, 1)),
        ((3, 13), (1, 1)),
        ((11, 0), (3, 0)),
    ] {
        let told = net.pass(Z, icmp_error(router, kind, code, about));
        assert_eq!((told.at, told.icmp(), told.packet.src()), (A, Some(expected), net.at6(Z, 0).ip()));
        let quoted = told.quoted().unwrap();
        assert_eq!((quoted.src, quoted.dst), (a, to));
    }
    let mut too_big = icmp_error(router, 3, 4, about);
    too_big.bytes[40..42].copy_from_slice(&1400_u16.to_be_bytes());
    let change = u32::from(u16::from_be_bytes([too_big.bytes[36], too_big.bytes[37]])) + (0xffff - 1400);
    too_big.bytes[36..38].copy_from_slice(&((change & 0xffff) as u16 + (change >> 16) as u16).to_be_bytes());
    let told = net.pass(Z, too_big);
    assert_eq!(
        (told.icmp(), told.frame.bytes[58..62].to_vec()),
        (Some((2, 0)), 1420_u32.to_be_bytes().to_vec())
    );
}

fn fragments_are_translated(net: &mut Network, external: SocketAddr, a: SocketAddr) {
    let x = net.at(X, 53);
    let whole = build::udp(x.ip(), external.ip(), 53, external.port(), &[5; 40]);
    let first = net.pass(X, sim::ipv4_part(&whole, 77, 0, 24, true));
    let last = net.pass(X, sim::ipv4_part(&whole, 77, 24, 24, false));
    let parts = [&first, &last].map(|part| part.packet.fragment().unwrap());
    assert_eq!(parts.map(|part| (part.id, part.offset, part.more)), [(77, 0, true), (77, 24, false)]);
    assert_eq!([first.packet.dst(), last.packet.dst()], [a.ip(); 2]);
}

fn assert_same_but_for_id_and_df(frame: &Frame, expected: &Frame) {
    let [frame, expected] = [frame, expected].map(|frame| {
        let packet = Packet::parse(&frame.bytes).unwrap();
        (
            packet.flow_key(),
            packet.ttl(),
            packet.total_len(),
            frame.bytes[packet.transport_offset()..].to_vec(),
        )
    });
    assert_eq!(frame, expected);
}

fn hairpinning(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, b) = (net.at6(A, 5000), net.at(B, 6000));
    let a_outside = net.pass_to(A, udp(a, net.at6(X, 53)), X);
    let b_outside = net.pass_to(B, udp(b, net.at(X, 53)), X);
    let by_prefix = |end: SocketAddr| match end.ip() {
        IpAddr::V4(address) => {
            let embedded = wire::nat64::embed(wire::nat64::WELL_KNOWN_PREFIX, 96, address).unwrap();
            SocketAddr::new(embedded.into(), end.port())
        }
        IpAddr::V6(_) => end,
    };
    // B speaks IPv4, A IPv6; to each the other looks like a host outside.
    assert_eq!(net.dropped(A, udp(a, by_prefix(b_outside))), DropReason::NatUnsolicited);
    let arrival = net.pass(B, udp(b, a_outside));
    assert_eq!((arrival.at, arrival.seen().src, arrival.seen().dst), (A, by_prefix(b_outside), a));
    let arrival = net.pass(A, udp(a, by_prefix(b_outside)));
    assert_eq!((arrival.at, arrival.seen().src, arrival.seen().dst), (B, a_outside, b));
}

fn private_addresses_are_reached(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, b) = (net.at6(A, 5000), net.at(B, 53));
    let IpAddr::V4(address) = b.ip() else { panic!("{b}") };
    let by_prefix = wire::nat64::embed(wire::nat64::WELL_KNOWN_PREFIX, 96, address).unwrap();
    let seen = net.pass_to(A, udp(a, (by_prefix, 53).into()), B);
    assert_eq!(seen.ip(), net.private, "from the gateway's private address");
    let arrival = net.pass(B, udp(b, seen));
    assert_eq!((arrival.at, arrival.seen().src, arrival.seen().dst), (A, (by_prefix, 53).into(), a));
}

fn names_are_nobodys_business_here(profile: NatProfile) {
    // An answer with an A record alone comes through as it was.
    let mut net = Network::new(profile);
    let (a, x) = (net.at6(A, 5000), net.at(X, 53));
    let external = net.pass_to(A, udp(a, net.at6(X, 53)), X);
    let answer = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01x\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc6\x33\x64\x08";
    let arrival = net.pass(X, build::udp(x.ip(), external.ip(), 53, external.port(), answer));
    assert_eq!((arrival.at, arrival.payload()), (A, &answer[..]));
}

fn always_on(profile: NatProfile) {
    let mut net = Network::new(profile);
    for host in [A, B] {
        let arrival = net.pass(host, tcp(net.at6(host, 5000), net.at6(X, 443), SYN));
        assert_eq!((arrival.at, arrival.seen().src.ip()), (Host::Outside(0), net.public[0].into()));
        assert!(matches!(arrival.packet.flow_key().proto, FlowProto::Tcp { dst: 443, .. }));
    }
}
