//! 9001 bytes inside, 1500 through the internet gateway.

use engine::{DropReason, Time};
use wire::{Frame, Offload, Packet, TcpFlags, build, icmp_error};

use crate::lab::{NAT_PUBLIC, OFFICE, Reference, UPLINK, WEB_PUBLIC, ip, to_office};

fn gso(frame: Frame, gso_type: u8, gso_size: u16) -> Frame {
    let mut frame = frame.with_partial_checksum();
    frame.offload = Offload { gso_type, gso_size, ..frame.offload };
    frame
}

/// The subnet's router says that a frame is too big for the way out.
fn fragmentation_needed(frame: &Frame) -> Frame {
    let packet = Packet::parse(&frame.bytes).unwrap();
    icmp_error::too_big(frame, &packet, ip("10.210.128.1"), 1500).unwrap()
}

#[test]
fn a_packet_that_must_not_be_cut_is_answered_by_the_router() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let frame = nat.by_router(build::udp(nat.ip, OFFICE, 5, 7, &[7; 1473]));
    let (port, answer) = lab.one(nat.port, frame.clone());
    assert_eq!((port, &answer), (nat.port, &fragmentation_needed(&frame)));
    let parsed = Packet::parse(&answer.bytes).unwrap();
    assert_eq!((parsed.src(), parsed.dst()), (ip("10.210.128.1").into(), nat.ip.into()));
    assert_eq!(answer.bytes[40..42], 1500u16.to_be_bytes());
    assert_eq!(lab.connections(), 0, "it did not leave");
    let explained = lab.engine.explain(Time(0), nat.port, frame);
    assert!(explained.steps.last().unwrap().to_string().contains("1500"), "{:?}", explained.steps);
    // One byte less fits.
    let fits = nat.by_router(build::udp(nat.ip, OFFICE, 5, 7, &[7; 1472]));
    assert_eq!(lab.one(nat.port, fits).0, UPLINK);
    // The same on a known connection.
    let big = nat.by_router(build::udp(nat.ip, OFFICE, 5, 7, &[7; 1473]));
    assert_eq!(lab.one(nat.port, big.clone()), (nat.port, fragmentation_needed(&big)));
}

#[test]
fn a_packet_that_is_too_big_keeps_no_connection_alive() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    lab.one(nat.port, nat.by_router(build::udp(nat.ip, OFFICE, 5, 7, b"")));
    lab.wait(20);
    lab.one(nat.port, nat.by_router(build::udp(nat.ip, OFFICE, 5, 7, &[7; 1473])));
    lab.wait(20);
    assert_eq!(lab.connections(), 0);
}

#[test]
fn a_packet_that_may_be_cut_is_cut() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let frame = nat.by_router(build::udp(nat.ip, OFFICE, 5, 7, &[7; 4000]).with_dont_fragment(false));
    let expected = to_office(build::udp(NAT_PUBLIC, OFFICE, 5, 7, &[7; 4000]).with_dont_fragment(false));
    let packet = Packet::parse(&expected.bytes).unwrap();
    let expected = wire::fragment::split(&expected, &packet, 1500);
    let sent = lab.send(nat.port, frame.with_partial_checksum());
    assert_eq!(sent, expected.into_iter().map(|part| (UPLINK, part)).collect::<Vec<_>>());
}

#[test]
fn nine_thousand_and_one_bytes_inside() {
    let network = Reference::new();
    let (nat, neighbor) = (&network.nat, &network.neighbor);
    let mut lab = network.lab();
    let frame = nat.by_router(build::udp(nat.ip, neighbor.ip, 5, 7, &[7; 9001 - 28]));
    assert_eq!(lab.one(nat.port, frame).0, neighbor.port);
    let frame = nat.by_router(build::udp(nat.ip, neighbor.ip, 5, 7, &[7; 9002 - 28]));
    assert_eq!(lab.one(nat.port, frame).0, nat.port);
}

#[test]
fn between_two_public_addresses_it_is_the_gateways() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let frame = nat.by_router(build::tcp(nat.ip, WEB_PUBLIC, 5, 80, TcpFlags::ACK, &[7; 1461]));
    assert_eq!(lab.one(nat.port, frame.clone()), (nat.port, fragmentation_needed(&frame)));
}

#[test]
fn a_gso_frame_is_measured_by_its_segments_and_stays_whole() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let segment = |src| build::tcp(src, OFFICE, 5, 443, TcpFlags::ACK, &[7; 30000]);
    let frame = gso(nat.by_router(segment(nat.ip)), 1, 1460);
    let expected = gso(to_office(segment(NAT_PUBLIC)), 1, 1460);
    assert_eq!(lab.one(nat.port, frame), (UPLINK, expected), "the offload header is passed on unchanged");
    let frame = gso(nat.by_router(segment(nat.ip)), 1, 1461);
    assert_eq!(lab.one(nat.port, frame.clone()), (nat.port, fragmentation_needed(&frame)));
}

#[test]
fn a_gso_frame_that_may_be_cut_is_cut() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let datagrams = |src| build::udp(src, OFFICE, 5, 7, &[7; 4000]).with_dont_fragment(false);
    let sent = lab.send(nat.port, gso(nat.by_router(datagrams(nat.ip)), 5, 2000));
    assert_eq!(sent.len(), 4);
    let first = build::udp(NAT_PUBLIC, OFFICE, 5, 7, &[7; 2000]).with_dont_fragment(false);
    let packet = Packet::parse(&first.bytes).unwrap();
    assert_eq!(sent[0].1, to_office(wire::fragment::split(&first, &packet, 1500).remove(0)));
    for (_, part) in sent {
        assert!(Packet::parse(&part.bytes).unwrap().total_len() <= 1500);
    }
}

#[test]
fn what_no_router_answers_is_dropped() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let quote = &build::udp(OFFICE, nat.ip, 7, 5, &[7; 1600]).bytes[14..];
    let error = nat.by_router(build::icmp_error(nat.ip, OFFICE, 3, 3, quote));
    assert_eq!(lab.dropped(nat.port, error), DropReason::TooBig);
}
