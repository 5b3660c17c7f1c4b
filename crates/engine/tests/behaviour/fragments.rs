//! Later fragments follow their first.

use engine::DropReason;
use wire::{Frame, Packet, build, fragment};

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
fn what_comes_before_its_first_is_dropped() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let mut parts = cut(&nat.by_router(whole(build::udp(nat.ip, OFFICE, 5, 7, &[7; 2500]))));
    let last = parts.pop().unwrap();
    assert_eq!(lab.dropped(nat.port, last.clone()), DropReason::FragmentWithoutFirst);
    let middle = parts.pop().unwrap();
    lab.one(nat.port, parts.pop().unwrap());
    // After the first any order will do.
    lab.one(nat.port, last);
    lab.one(nat.port, middle);
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
    assert_eq!(lab.dropped(network.test.port, other_port), DropReason::FragmentWithoutFirst);
    let other_mac = network.test.by_router(parts[1].clone());
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
    assert_eq!(lab.dropped(nat.port, parts[1].clone()), DropReason::FragmentWithoutFirst);
}

#[test]
fn other_tables_ask_for_a_new_first() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let parts = cut(&nat.by_router(whole(build::udp(nat.ip, OFFICE, 5, 7, &[7; 1500]))));
    lab.one(nat.port, parts[0].clone());
    lab.engine.load(network.cloud.tables(2));
    assert_eq!(lab.dropped(nat.port, parts[1].clone()), DropReason::FragmentWithoutFirst);
}
