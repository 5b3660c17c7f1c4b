//! Later fragments follow their first.

use engine::DropReason;
use wire::{Frame, Packet, build, fragment};

use crate::any_packets::with_header_checksum;
use crate::lab::{NAT_PUBLIC, OFFICE, Reference, UPLINK, to_office};

fn cut(whole: &Frame) -> Vec<Frame> {
    let packet = Packet::parse(&whole.bytes).unwrap();
    fragment::split(whole, &packet, 1000)
}

fn whole(frame: Frame) -> Frame {
    frame.with_dont_fragment(false)
}

#[test]
fn in_order_they_take_the_way_of_the_first() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let datagram = whole(build::udp(nat.ip, OFFICE, 5, 7, &[7; 2500]));
    let expected = cut(&to_office(whole(build::udp(NAT_PUBLIC, OFFICE, 5, 7, &[7; 2500]))));
    let parts = cut(&nat.by_router(datagram));
    assert_eq!(parts.len(), 3);
    for (part, expected) in parts.into_iter().zip(expected) {
        assert_eq!(lab.one(nat.port, part), (UPLINK, expected));
    }
    assert_eq!(lab.connections(), 1);
}

#[test]
fn what_comes_before_its_first_waits_for_it() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let expected = cut(&to_office(whole(build::udp(NAT_PUBLIC, OFFICE, 5, 7, &[7; 2500]))));
    let parts = cut(&nat.by_router(whole(build::udp(nat.ip, OFFICE, 5, 7, &[7; 2500]))));
    lab.consumed(nat.port, parts[2].clone());
    lab.consumed(nat.port, parts[1].clone());
    assert_eq!(lab.connections(), 0);
    let sent = lab.send(nat.port, parts[0].clone());
    let order = [0, 2, 1].map(|part| (UPLINK, expected[part].clone()));
    assert_eq!(sent, order, "in the order in which they came");
    // After the first any order will do.
    assert_eq!(lab.one(nat.port, parts[2].clone()), order[1]);
    assert_eq!(lab.drops(nat.port, DropReason::FragmentWithoutFirst), 0);
}

#[test]
fn who_waits_in_vain_is_counted_after_fifteen_seconds() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let parts = cut(&nat.by_router(whole(build::udp(nat.ip, OFFICE, 5, 7, &[7; 2500]))));
    lab.consumed(nat.port, parts[1].clone());
    lab.consumed(nat.port, parts[2].clone());
    lab.wait(14);
    assert_eq!(lab.drops(nat.port, DropReason::FragmentWithoutFirst), 0);
    lab.wait(1);
    assert_eq!(lab.drops(nat.port, DropReason::FragmentWithoutFirst), 2);
    lab.one(nat.port, parts[0].clone());
}

#[test]
fn what_waited_for_a_first_that_is_dropped_is_dropped_too() {
    let network = Reference::new();
    let (nat, test) = (&network.nat, &network.test);
    let mut lab = network.lab();
    let parts = cut(&nat.by_router(whole(build::udp(nat.ip, test.ip, 5, 7, &[7; 1500]))));
    lab.consumed(nat.port, parts[1].clone());
    assert_eq!(lab.send(nat.port, parts[0].clone()), []);
    assert_eq!(lab.drops(nat.port, DropReason::SecurityGroupIngress), 1);
    assert_eq!(lab.drops(nat.port, DropReason::FragmentWithoutFirst), 1);
    assert_eq!(lab.connections(), 0);
}

#[test]
fn what_could_not_follow_does_not_wait() {
    let network = Reference::new();
    let (nat, test) = (&network.nat, &network.test);
    let mut lab = network.lab();
    let parts = cut(&nat.by_router(whole(build::udp(nat.ip, OFFICE, 5, 7, &[7; 1500]))));
    assert_eq!(lab.dropped(test.port, parts[1].clone()), DropReason::SpoofedMac);
    assert_eq!(lab.dropped(engine::PortId(77), parts[1].clone()), DropReason::UnknownPort);
    assert_eq!(lab.dropped(nat.port, parts[1].clone().with_ttl(0)), DropReason::TtlZero);
}

#[test]
fn a_later_fragment_that_must_not_be_cut_is_not() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let datagram = nat.by_router(whole(build::udp(nat.ip, OFFICE, 5, 7, &[7; 4000])));
    let packet = Packet::parse(&datagram.bytes).unwrap();
    let parts = fragment::split(&datagram, &packet, 2000);
    assert_eq!(lab.send(nat.port, parts[0].clone()).len(), 2);
    assert_eq!(lab.send(nat.port, parts[1].clone()).len(), 2);
    assert_eq!(lab.dropped(nat.port, parts[1].clone().with_dont_fragment(true)), DropReason::TooBig);
}

#[test]
fn a_flood_at_one_port_is_its_own_affair() {
    let network = Reference::new();
    let (nat, test, neighbor) = (&network.nat, &network.test, &network.neighbor);
    let mut lab = network.lab();
    let other = cut(&test.by_neighbor(neighbor, whole(build::udp(test.ip, neighbor.ip, 5, 7, &[7; 1500]))));
    lab.consumed(test.port, other[1].clone());
    let mut part = cut(&nat.by_router(whole(build::udp(nat.ip, OFFICE, 5, 7, &[7; 1500])))).remove(1);
    for number in 0..10_000u16 {
        part.bytes[18..20].copy_from_slice(&number.to_be_bytes());
        assert_eq!(lab.send(nat.port, with_header_checksum(part.clone())), []);
    }
    let lost = lab.drops(nat.port, DropReason::FragmentWithoutFirst);
    assert!(lost > 8000, "only so many wait: {lost}");
    assert_eq!(lab.send(test.port, other[0].clone()).len(), 2, "with the one that has waited");
    assert_eq!(lab.drops(test.port, DropReason::FragmentWithoutFirst), 0);
    lab.wait(15);
    assert_eq!(lab.drops(nat.port, DropReason::FragmentWithoutFirst), 10_000, "each is counted once");
    assert_eq!(lab.connections(), 1);
}

#[test]
fn a_dropped_first_takes_the_others_along() {
    let network = Reference::new();
    let (nat, test) = (&network.nat, &network.test);
    let mut lab = network.lab();
    let parts = cut(&nat.by_router(whole(build::udp(nat.ip, test.ip, 5, 7, &[7; 1500]))));
    assert_eq!(lab.dropped(nat.port, parts[0].clone()), DropReason::SecurityGroupIngress);
    assert_eq!(lab.dropped(nat.port, parts[1].clone()), DropReason::FragmentWithoutFirst);
}

#[test]
fn fragments_of_a_tracked_flow_are_a_part_of_it() {
    let network = Reference::new();
    let (test, neighbor) = (&network.test, &network.neighbor);
    let mut lab = network.lab();
    lab.one(test.port, test.by_neighbor(neighbor, build::udp(test.ip, neighbor.ip, 5, 53, b"?")));
    let answer = whole(build::udp(neighbor.ip, test.ip, 53, 5, &[7; 1500]));
    for part in cut(&neighbor.by_neighbor(test, answer)) {
        assert_eq!(lab.one(neighbor.port, part.clone()), (test.port, part));
    }
    assert_eq!(lab.connections(), 1);
    let ping = whole(build::echo(test.ip, neighbor.ip, true, 9, 1, &[7; 1500]));
    for part in cut(&test.by_neighbor(neighbor, ping)) {
        assert_eq!(lab.one(test.port, part.clone()), (neighbor.port, part));
    }
}

#[test]
fn only_the_sender_of_the_first_is_followed() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let parts = cut(&nat.by_router(whole(build::udp(nat.ip, OFFICE, 5, 7, &[7; 1500]))));
    lab.one(nat.port, parts[0].clone());
    let other_port = network.test.by_router(parts[1].clone());
    lab.consumed(network.test.port, other_port);
    let other_mac = nat.by_neighbor(&network.web, parts[1].clone());
    assert_eq!(lab.dropped(nat.port, other_mac), DropReason::FragmentWithoutFirst);
    lab.one(nat.port, parts[1].clone());
}

#[test]
fn a_first_is_remembered_for_fifteen_seconds() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let parts = cut(&nat.by_router(whole(build::udp(nat.ip, OFFICE, 5, 7, &[7; 1500]))));
    lab.one(nat.port, parts[0].clone());
    lab.wait(14);
    lab.one(nat.port, parts[1].clone());
    lab.wait(1);
    lab.consumed(nat.port, parts[1].clone());
}

#[test]
fn other_tables_ask_for_a_new_first() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let parts = cut(&nat.by_router(whole(build::udp(nat.ip, OFFICE, 5, 7, &[7; 1500]))));
    lab.one(nat.port, parts[0].clone());
    lab.engine.load(network.cloud.tables(2));
    lab.consumed(nat.port, parts[1].clone());
    lab.engine.load(network.cloud.tables(3));
    assert_eq!(lab.drops(nat.port, DropReason::FragmentWithoutFirst), 1);
}
