//! A NAT gateway's fragments, counters and ports.

use std::collections::BTreeSet;

use engine::nat::Traffic;
use engine::{DropReason, PortId};
use wire::{Frame, Offload, TcpFlags, build, fragment, icmp_error};

use crate::gateways::{ACK, ELASTIC, Gateways, parsed, source_port};
use crate::lab::{OFFICE, UPLINK, from_office, ip, to_office, udp};

const PROFILES: [&str; 2] = ["aws", "rfc"];

/// A datagram that may be cut, in two parts.
fn two_parts(frame: Frame) -> Vec<Frame> {
    let frame = frame.with_dont_fragment(false);
    fragment::split(&frame, &parsed(&frame), 1000)
}

#[test]
fn fragments_of_udp_pass_and_others_by_profile() {
    for profile in PROFILES {
        let net = Gateways::new(profile);
        let mut lab = net.lab();
        let a = &net.a;
        let parts = two_parts(a.by_router(build::udp(a.ip, OFFICE, 5000, 53, &[7; 1400])));
        // In any order.
        lab.consumed(a.port, parts[1].clone());
        let sent = lab.send(a.port, parts[0].clone());
        let external = source_port(&sent[0].1);
        let expected =
            two_parts(to_office(build::udp(ELASTIC, OFFICE, external, 53, &[7; 1400]).with_ttl(63)));
        assert_eq!(sent, expected.map_to(UPLINK), "{profile}");
        let parts = two_parts(from_office(build::udp(OFFICE, ELASTIC, 53, external, &[7; 1400])));
        let expected = two_parts(a.handed(build::udp(OFFICE, a.ip, 53, 5000, &[7; 1400]).with_ttl(63)));
        let sent: Vec<_> = parts.iter().flat_map(|part| lab.send(UPLINK, part.clone())).collect();
        assert_eq!(sent, expected.map_to(a.port), "{profile}");
        let counted = net.counted(&lab);
        let both = Traffic { packets: 2, bytes: 1448 };
        let directions = [
            counted.in_from_source,
            counted.out_to_destination,
            counted.in_from_destination,
            counted.out_to_source,
        ];
        assert_eq!(directions, [both; 4], "{profile}");

        net.connect(&mut lab, a, 6000);
        let segment = build::tcp(a.ip, OFFICE, 6000, 443, ACK, &[7; 1400]);
        let ping = build::echo(a.ip, OFFICE, true, 7, 1, &[7; 1400]);
        for datagram in [segment, ping] {
            let parts = two_parts(a.by_router(datagram));
            match profile {
                "rfc" => assert!(parts.into_iter().all(|part| lab.one(a.port, part).0 == UPLINK)),
                _ => {
                    assert_eq!(lab.dropped(a.port, parts[0].clone()), DropReason::NatFragment);
                    assert_eq!(lab.dropped(a.port, parts[1].clone()), DropReason::FragmentWithoutFirst);
                }
            }
        }
    }
}

#[test]
fn a_later_fragment_ages_too() {
    let net = Gateways::new("aws");
    let mut lab = net.lab();
    let a = &net.a;
    let parts = two_parts(a.by_router(build::udp(a.ip, OFFICE, 5000, 53, &[7; 1400])));
    lab.one(a.port, parts[0].clone());
    assert_eq!(lab.dropped(a.port, parts[1].clone().with_ttl(1)), DropReason::TtlExceeded);
    assert_eq!(parsed(&lab.one(a.port, parts[1].clone().with_ttl(2)).1).ttl(), 1);
    assert_eq!(net.counted(&lab).packets_dropped, 1);
}

#[test]
fn counters_say_what_was_sent() {
    let net = Gateways::new("aws");
    let mut lab = net.lab();
    let a = &net.a;
    let external = net.connect(&mut lab, a, 5000);
    lab.one(UPLINK, from_office(build::tcp(OFFICE, ELASTIC, 443, external, ACK, &[7; 100])));
    let unsolicited = from_office(build::tcp(OFFICE, ELASTIC, 443, 4000, ACK, b""));
    lab.dropped(UPLINK, unsolicited);
    lab.dropped(a.port, a.by_router(build::ip(a.ip, OFFICE, 47, b"gre")));
    let counted = net.counted(&lab);
    assert_eq!(counted.in_from_source, Traffic { packets: 3, bytes: 40 + 40 + 23 });
    assert_eq!(counted.out_to_destination, Traffic { packets: 2, bytes: 80 });
    assert_eq!(counted.in_from_destination, Traffic { packets: 3, bytes: 40 + 140 + 40 });
    assert_eq!(counted.out_to_source, Traffic { packets: 2, bytes: 180 });
    assert_eq!(counted.packets_dropped, 2);
    assert_eq!((counted.active_connections, counted.connections_established), (1, 1));
    let reset = build::tcp(a.ip, OFFICE, 5000, 443, TcpFlags::RST, b"");
    lab.one(a.port, a.by_router(reset));
    assert_eq!(net.counted(&lab).active_connections, 0);
}

#[test]
fn a_gso_frame_counts_with_all_its_bytes() {
    let net = Gateways::new("aws");
    let mut lab = net.lab();
    let a = &net.a;
    net.connect(&mut lab, a, 5000);
    let before = net.counted(&lab).out_to_destination.bytes;
    let frame = a.by_router(build::tcp(a.ip, OFFICE, 5000, 443, ACK, &[7; 30_000])).with_partial_checksum();
    let offload = Offload { gso_type: 1, gso_size: 1400, ..frame.offload };
    let (port, left) = lab.one(a.port, Frame { offload, ..frame });
    assert_eq!((port, left.offload), (UPLINK, offload));
    assert_eq!(net.counted(&lab).out_to_destination.bytes - before, 30_040);
}

#[test]
fn ports_run_out_and_nothing_leaves_untranslated() {
    let net = Gateways::new("rfc");
    let mut lab = net.lab();
    let a = &net.a;
    // One interface may have so many (RFC 6888 REQ-4).
    let mut ports = BTreeSet::new();
    for number in 0..32_256u32 {
        let host = ip("198.51.100.8");
        let datagram = build::udp(a.ip, host, 1024 + (number % 64_000) as u16, 53, b"");
        let (out, left) = lab.one(a.port, a.by_router(datagram));
        let packet = parsed(&left);
        assert_eq!((out, packet.src()), (UPLINK, ELASTIC.into()));
        assert!(ports.insert(source_port(&left)));
    }
    let surplus = a.by_router(build::udp(a.ip, OFFICE, 60_000, 53, b""));
    let expected = icmp_error::destination_unreachable(&surplus, &parsed(&surplus), net.nat.ip, 13);
    let connections = lab.connections();
    assert_eq!(lab.one(a.port, surplus), (a.port, expected.unwrap()));
    assert_eq!(lab.connections(), connections);
    // Nobody else suffers.
    lab.one(net.b.port, net.b.by_router(udp(net.b.ip, OFFICE)));
}

#[test]
fn the_surplus_is_counted_and_silent_at_aws() {
    let net = Gateways::new("aws");
    let mut lab = net.lab();
    let a = &net.a;
    for number in 0..55_000u32 {
        let (host, port) = if number < 50_000 { (a, number) } else { (&net.b, number - 50_000) };
        let datagram = build::udp(host.ip, OFFICE, 1024 + port as u16, 53, b"");
        assert_eq!(lab.one(host.port, host.by_router(datagram)).0, UPLINK);
    }
    for surplus in 0..3 {
        let datagram = a.by_router(build::udp(a.ip, OFFICE, 60_000 + surplus, 53, b""));
        assert_eq!(lab.dropped(a.port, datagram), DropReason::NatPortsExhausted);
    }
    assert_eq!(net.counted(&lab).port_allocation_errors, 3);
    let elsewhere = a.by_router(build::udp(a.ip, OFFICE, 60_000, 54, b""));
    assert_eq!(lab.one(a.port, elsewhere).0, UPLINK, "another destination has ports of its own");
}

trait MapTo {
    fn map_to(self, port: PortId) -> Vec<(PortId, Frame)>;
}

impl MapTo for Vec<Frame> {
    fn map_to(self, port: PortId) -> Vec<(PortId, Frame)> {
        self.into_iter().map(|frame| (port, frame)).collect()
    }
}
