//! IPv6 hosts that talk to IPv4 ones through a NAT gateway, by addresses in 64:ff9b::/96.

use engine::DropReason;
use model::RouteVia;
use std::net::{Ipv4Addr, Ipv6Addr};
use wire::{Frame, build, fragment, nat64};

use crate::gateways::{ACK, ELASTIC, Gateways, SYN, SYN_ACK, far_router, parsed, source_port};
use crate::ipv6::two_parts;
use crate::lab::{OFFICE, UPLINK, from_office, ip6, to_office};

fn embedded(address: Ipv4Addr) -> Ipv6Addr {
    nat64::embed(nat64::WELL_KNOWN_PREFIX, 96, address).unwrap()
}

fn network(profile: &str) -> Gateways {
    let mut net = Gateways::new(profile);
    net.cloud.route(net.private_table, "64:ff9b::/96", RouteVia::NatGateway(net.nat.id));
    net
}

#[test]
fn out_and_back() {
    for profile in ["aws", "rfc"] {
        let net = network(profile);
        let a = &net.a;
        let mut lab = net.lab();
        let office = embedded(OFFICE);
        type Pair = (Frame, fn(u16) -> Frame, Frame);
        let pairs: [Pair; 3] = [
            (
                build::tcp(net.a6, office, 5000, 443, SYN, b"there"),
                |port| build::tcp(OFFICE, ELASTIC, 443, port, SYN_ACK, b"back"),
                build::tcp(office, net.a6, 443, 5000, SYN_ACK, b"back"),
            ),
            (
                build::udp(net.a6, office, 5000, 53, b"there"),
                |port| build::udp(OFFICE, ELASTIC, 53, port, b"back"),
                build::udp(office, net.a6, 53, 5000, b"back"),
            ),
            (
                build::echo(net.a6, office, true, 77, 1, b"there"),
                |id| build::echo(OFFICE, ELASTIC, false, id, 1, b"back"),
                build::echo(office, net.a6, false, 77, 1, b"back"),
            ),
        ];
        for (question, answer, expected) in pairs {
            for _ in 0..2 {
                let (port, left) = lab.one(a.port, a.by_router(question.clone()));
                let packet = parsed(&left);
                assert_eq!((port, packet.src(), packet.dst()), (UPLINK, ELASTIC.into(), OFFICE.into()));
                assert_eq!((packet.ttl(), packet.verify_icmp(&left)), (63, Ok(())));
                assert_eq!(packet.payload(&left.bytes), b"there");
                let back = from_office(answer(source_port(&left)));
                let expected = (a.port, a.handed(expected.clone().with_ttl(63)));
                assert_eq!(lab.one(UPLINK, back), expected, "{profile}");
            }
        }
        assert_eq!(lab.connections(), 3);
    }
}

#[test]
fn the_other_familys_checksum_is_right() {
    let net = network("aws");
    let a = &net.a;
    let mut lab = net.lab();
    let (_, left) = lab.one(a.port, a.by_router(build::udp(net.a6, embedded(OFFICE), 5000, 53, b"there")));
    let expected = build::udp(ELASTIC, OFFICE, source_port(&left), 53, b"there").with_ttl(63);
    // Identification and DF aside, which RFC 7915 section 5.1 chooses.
    assert_eq!(left.bytes[34..], expected.bytes[34..]);
    assert_eq!(left.bytes[26..34], expected.bytes[26..34]);
}

#[test]
fn errors_in_both_directions() {
    for profile in ["aws", "rfc"] {
        let net = network(profile);
        let a = &net.a;
        let mut lab = net.lab();
        let question = build::udp(net.a6, embedded(OFFICE), 5000, 53, b"there");
        let (_, left) = lab.one(a.port, a.by_router(question.clone()));
        for ((kind, code), (kind6, code6)) in
            [((11, 0), (3, 0)), ((3, 1), (1, 0)), ((3, 3), (1, 4)), ((3, 13), (1, 1))]
        {
            let error = build::icmp_error(far_router(), ELASTIC, kind, code, &left.bytes[14..]);
            let (port, heard) = lab.one(UPLINK, from_office(error));
            let packet = parsed(&heard);
            assert_eq!((port, packet.src()), (a.port, embedded(far_router()).into()), "{profile}");
            assert_eq!((packet.dst(), packet.verify_icmp(&heard)), (net.a6.into(), Ok(())));
            assert_eq!(heard.bytes[54..56], [kind6, code6]);
            assert_eq!(packet.quoted().unwrap().flow_key(), parsed(&question).flow_key());
        }
        let answer = build::udp(OFFICE, ELASTIC, 53, source_port(&left), b"back");
        let (_, arrived) = lab.one(UPLINK, from_office(answer.clone()));
        let error = build::icmp_error(net.a6, embedded(OFFICE), 1, 4, &arrived.bytes[14..]);
        let (port, heard) = lab.one(a.port, a.by_router(error));
        let packet = parsed(&heard);
        assert_eq!((port, packet.src(), packet.dst()), (UPLINK, ELASTIC.into(), OFFICE.into()));
        assert_eq!(heard.bytes[34..36], [3, 3]);
        assert_eq!(packet.verify_icmp(&heard), Ok(()));
        assert_eq!(packet.quoted().unwrap().flow_key(), parsed(&answer).flow_key());
    }
}

#[test]
fn the_path_is_wider_by_the_difference_of_the_headers() {
    let net = network("aws");
    let a = &net.a;
    let mut lab = net.lab();
    let of = |len: usize| a.by_router(build::udp(net.a6, embedded(OFFICE), 5, 7, &vec![7; len - 48]));
    let (port, left) = lab.one(a.port, of(1520));
    assert_eq!((port, parsed(&left).total_len()), (UPLINK, 1500));
    let (port, told) = lab.one(a.port, of(1521));
    assert_eq!((port, parsed(&told).src()), (a.port, ip6("fe80:ec2::1").into()));
    assert_eq!(told.bytes[54..62], [&[2, 0], &told.bytes[56..58], &1520u32.to_be_bytes()[..]].concat()[..]);
    // "Fragmentation needed" from farther away says so to who speaks IPv6 (RFC 7915 section 4.2).
    let mut narrow = build::icmp_error(far_router(), ELASTIC, 3, 4, &left.bytes[14..]);
    narrow.bytes[40..42].copy_from_slice(&1400u16.to_be_bytes());
    let sum = u16::from_be_bytes([narrow.bytes[36], narrow.bytes[37]]);
    let (sum, carry) = (!sum).overflowing_add(1400);
    narrow.bytes[36..38].copy_from_slice(&(!(sum + u16::from(carry))).to_be_bytes());
    let (_, heard) = lab.one(UPLINK, from_office(narrow));
    assert_eq!(heard.bytes[54..56], [2, 0]);
    assert_eq!(heard.bytes[58..62], 1420u32.to_be_bytes());
}

#[test]
fn what_grows_too_long_is_cut_before() {
    // Within the VPC, to a server that answers with packets as long as its link.
    let mut net = network("aws");
    let private = net.cloud.nat_gateway(net.public, "10.0.2.6", None, "aws");
    let destination = "64:ff9b::/96".parse().unwrap();
    let (table, target) = (net.private_table, RouteVia::NatGateway(private.id));
    net.cloud.apply(model::Change::ReplaceRoute { table, destination, target });
    let (a, web) = (&net.a, &net.web);
    let mut lab = net.lab();
    let (port, asked) = lab.one(a.port, a.by_router(build::udp(net.a6, embedded(web.ip), 5, 53, b"?")));
    assert_eq!(port, web.port);
    let answer = |len: usize| {
        web.by_router(build::udp(web.ip, private.ip, 53, source_port(&asked), &vec![7; len - 28]))
    };
    assert_eq!(parsed(&lab.one(web.port, answer(8981)).1).total_len(), 9001);
    let told = lab.one(web.port, answer(8982));
    assert_eq!(
        (told.0, &told.1.bytes[34..36], &told.1.bytes[40..42]),
        (web.port, &[3u8, 4][..], &8981u16.to_be_bytes()[..])
    );
    // What may be cut gets a fragment header, which others of its connection do not have.
    let sent = lab.send(web.port, answer(8981).with_dont_fragment(false));
    assert_eq!(sent.len(), 2);
    let sent = lab.send(web.port, answer(9001).with_dont_fragment(false));
    assert_eq!(sent.len(), 2);
    let mut data = Vec::new();
    for (port, part) in sent {
        let packet = parsed(&part);
        assert_eq!((port, packet.src(), packet.dst()), (a.port, embedded(web.ip).into(), net.a6.into()));
        assert!(packet.total_len() <= 9001 && packet.fragment().is_some(), "{part}");
        data.extend_from_slice(&part.bytes[62..]);
    }
    let whole = build::udp(embedded(web.ip), net.a6, 53, 5, &[7; 9001 - 28]);
    assert_eq!(data, whole.bytes[54..]);
}

#[test]
fn fragments_are_translated() {
    let net = network("aws");
    let a = &net.a;
    let mut lab = net.lab();
    let datagram = a.by_router(build::udp(net.a6, embedded(OFFICE), 5000, 53, &[7; 1000]));
    let parts = two_parts(&datagram, 0x0001_2345);
    lab.consumed(a.port, parts[1].clone());
    let sent = lab.send(a.port, parts[0].clone());
    assert_eq!(sent.len(), 2);
    let places: Vec<_> = sent.iter().map(|(_, part)| parsed(part).fragment().unwrap()).collect();
    assert_eq!((places[0].offset, places[0].more, places[1].offset, places[1].more), (0, true, 504, false));
    assert_eq!((places[0].id, places[1].id), (0x2345, 0x2345), "its low half (RFC 7915 section 5.1.1)");
    let external = source_port(&sent[0].1);
    let whole = to_office(build::udp(ELASTIC, OFFICE, external, 53, &[7; 1000]));
    let data = [&sent[0].1.bytes[34..], &sent[1].1.bytes[34..]].concat();
    assert_eq!(data, whole.bytes[34..]);
    // And back.
    let answer = from_office(build::udp(OFFICE, ELASTIC, 53, external, &[9; 1000]).with_dont_fragment(false));
    let mut parts = fragment::split(&answer, &parsed(&answer), 600);
    parts.reverse();
    lab.consumed(UPLINK, parts[0].clone());
    let sent = lab.send(UPLINK, parts[1].clone());
    let data = [&sent[0].1.bytes[62..], &sent[1].1.bytes[62..]].concat();
    assert_eq!(data, build::udp(embedded(OFFICE), net.a6, 53, 5000, &[9; 1000]).bytes[54..]);
    assert!(sent.iter().all(|(port, part)| *port == a.port && parsed(part).ttl() == 63));
}

#[test]
fn what_has_no_counterpart_is_dropped_and_leaves_nothing() {
    let net = network("aws");
    let a = &net.a;
    let mut lab = net.lab();
    let office = embedded(OFFICE);
    let udp = build::udp(net.a6, office, 5000, 53, b"there");
    let routed = build::ip(net.a6, office, 43, &[&[17, 0, 4, 1, 0, 0, 0, 0], &udp.bytes[54..]].concat());
    assert_eq!(lab.dropped(a.port, a.by_router(routed.clone())), DropReason::Untranslatable);
    let elsewhere = a.by_router(build::udp(net.a6, ip6("64:ff9b::"), 5, 7, b""));
    assert_ne!(lab.dropped(a.port, elsewhere), DropReason::Untranslatable, "0.0.0.0 is an address too");
    assert_eq!(lab.engine.counters().connections, 0);
    // On a known connection too, and it is counted the same.
    lab.one(a.port, a.by_router(udp));
    assert_eq!(lab.dropped(a.port, a.by_router(routed)), DropReason::Untranslatable);
    let gre = a.by_router(build::ip(net.a6, office, 47, b"gre"));
    assert_eq!(lab.dropped(a.port, gre), DropReason::NatProtocol);
    let stray = a.by_router(build::tcp(net.a6, office, 9, 443, ACK, b""));
    let reset = wire::tcp_reset(&stray, &parsed(&stray)).unwrap();
    assert_eq!(lab.one(a.port, stray), (a.port, reset));
    let mut other = Gateways::new("aws");
    other.cloud.route(other.private_table, "2001:db8:ffff::/48", RouteVia::NatGateway(other.nat.id));
    let not_embedded = a.by_router(build::udp(net.a6, ip6("2001:db8:ffff::8"), 5, 7, b""));
    assert_eq!(other.lab().dropped(a.port, not_embedded), DropReason::Untranslatable);
}

#[test]
fn it_is_a_hop_for_ipv6_too() {
    let net = network("aws");
    let a = &net.a;
    let mut lab = net.lab();
    let probe = a.by_router(build::udp(net.a6, embedded(OFFICE), 5, 33434, b"").with_ttl(1));
    let (port, told) = lab.one(a.port, probe);
    assert_eq!((port, parsed(&told).src()), (a.port, ip6("fe80:ec2::1").into()));
    assert_eq!(told.bytes[54..56], [3, 0]);
}

#[test]
fn a_way_out_too_narrow_for_ipv6_is_passed_in_pieces() {
    let mut net = network("aws");
    net.cloud.fabric.uplink.as_mut().unwrap().mtu = 1000;
    let a = &net.a;
    let mut lab = net.lab();
    let of = |len: usize| a.by_router(build::udp(net.a6, embedded(OFFICE), 5, 7, &vec![7; len - 48]));
    // No IPv6 sender goes below 1280 bytes (RFC 8200 section 5): the translator cuts.
    for _ in 0..2 {
        let sent = lab.send(a.port, of(1280));
        assert_eq!(sent.len(), 2);
        for (port, part) in &sent {
            assert!(*port == UPLINK && parsed(part).total_len() <= 1000, "{part}");
        }
        let data = [&sent[0].1.bytes[34..], &sent[1].1.bytes[34..]].concat();
        let whole = build::udp(ELASTIC, OFFICE, source_port(&sent[0].1), 7, &[7; 1280 - 48]);
        assert_eq!(data, whole.bytes[34..]);
    }
    let (port, told) = lab.one(a.port, of(1281));
    assert_eq!((port, &told.bytes[58..62]), (a.port, &1280u32.to_be_bytes()[..]));
}
