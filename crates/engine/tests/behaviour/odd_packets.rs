//! Packets that lie or are broken: each is dropped, and counted once.

use engine::{DropReason, PortId};
use wire::{Frame, build, fragment};

use crate::any_packets::with_header_checksum;
use crate::gateways::{ELASTIC, Gateways, SYN, far_router, parsed, quote};
use crate::lab::{Lab, OFFICE, OFFICE6, UPLINK, from_office, udp};

fn all_drops(lab: &Lab, port: PortId) -> u64 {
    lab.engine.counters().ports.get(&port).map_or(0, |port| port.drops.values().sum())
}

/// Whole packets of every kind, each from where it may come.
fn packets(net: &Gateways, lab: &mut Lab) -> Vec<(PortId, Frame)> {
    let a = &net.a;
    let (_, left) = lab.one(a.port, a.by_router(udp(a.ip, OFFICE)));
    let first = build::udp(a.ip, OFFICE, 5, 53, &[7; 1000]).with_dont_fragment(false);
    let first = fragment::split(&first, &parsed(&first), 600).remove(0);
    vec![
        (a.port, a.by_router(build::tcp(a.ip, OFFICE, 5, 443, SYN, b"data"))),
        (a.port, a.by_router(build::udp(a.ip, OFFICE, 5, 53, b"data"))),
        (a.port, a.by_router(build::echo(a.ip, OFFICE, true, 5, 1, b"data"))),
        (a.port, a.by_router(first)),
        (a.port, a.by_neighbor(&net.b, build::tcp(net.a6, net.b6, 5, 443, SYN, b"data"))),
        (a.port, wire::nd::solicit_neighbor(net.b6, net.a6, a.mac)),
        (UPLINK, from_office(build::icmp_error(far_router(), ELASTIC, 11, 0, quote(&left)))),
    ]
}

#[test]
fn cut_short_at_every_byte() {
    let net = Gateways::new("aws");
    let mut lab = net.lab();
    for (port, frame) in packets(&net, &mut lab) {
        for len in 0..frame.bytes.len() {
            let connections = lab.connections();
            let dropped = all_drops(&lab, port);
            let cut = Frame::new(frame.bytes[..len].to_vec());
            assert_eq!(lab.send(port, cut), [], "{frame} at {len}");
            assert_eq!(
                (all_drops(&lab, port), lab.connections()),
                (dropped + 1, connections),
                "{frame} at {len}"
            );
        }
    }
}

#[test]
fn tags_within_tags() {
    let net = Gateways::new("aws");
    let a = &net.a;
    let mut lab = net.lab();
    let plain = a.by_router(udp(a.ip, OFFICE));
    let mut tagged = plain.bytes[12..].to_vec();
    for _ in 0..4 {
        tagged = [&[0x81, 0, 0, 7], &tagged[..]].concat();
        let frame = Frame::new([&plain.bytes[..12], &tagged].concat());
        assert_eq!(lab.dropped(a.port, frame), DropReason::VlanTagged);
    }
    let service = Frame::new([&plain.bytes[..12], &[0x88, 0xa8, 0, 7], &plain.bytes[12..]].concat());
    assert_eq!(lab.dropped(a.port, service), DropReason::VlanTagged);
}

#[test]
fn no_time_to_live() {
    let net = Gateways::new("aws");
    let mut lab = net.lab();
    for (port, frame) in packets(&net, &mut lab) {
        assert_eq!(lab.dropped(port, frame.with_ttl(0)), DropReason::TtlZero);
    }
}

#[test]
fn lengths_that_lie() {
    let net = Gateways::new("aws");
    let a = &net.a;
    let mut lab = net.lab();
    let v4 = a.by_router(build::udp(a.ip, OFFICE, 5, 53, &[7; 64]));
    let v6 = a.by_router(build::udp(net.a6, OFFICE6, 5, 53, &[7; 64]));
    // Total length, header length, UDP length; payload length, UDP length.
    for (frame, at, values) in [
        (&v4, 16, [0u16, 19, 27, 93, 0xffff]),
        (&v4, 38, [0, 7, 73, 1000, 0xffff]),
        (&v6, 18, [0, 7, 71, 73, 0xffff]),
        (&v6, 58, [1, 7, 73, 1000, 0xffff]),
    ] {
        for value in values {
            let mut lying = frame.clone();
            lying.bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
            let reason = lab.dropped(a.port, with_header_checksum(lying));
            assert!(matches!(reason, DropReason::Malformed(_)), "{at} {value}: {reason}");
        }
    }
    for first in [0x40u8, 0x44, 0x4f, 0x65] {
        let mut lying = v4.clone();
        lying.bytes[14] = first;
        let reason = lab.dropped(a.port, with_header_checksum(lying));
        assert!(matches!(reason, DropReason::Malformed(_)), "{first:x}: {reason}");
    }
}
