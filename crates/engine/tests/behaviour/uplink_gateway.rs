//! Whoever is not on the uplink's segment is reached through its gateway, whose MAC address may have to be found.

use std::net::Ipv4Addr;

use engine::{DropReason, Engine, Gateway};
use wire::{Frame, Mac, arp};

use crate::lab::{
    Lab, NAT_PUBLIC, OFFICE, OFFICE_MAC, Reference, UPLINK, UPLINK_MAC, WEB_PUBLIC, ip, to_office, udp,
};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const GATEWAY_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const OTHER_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);
const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 200);

fn network(gateway: Gateway) -> Reference {
    let mut network = Reference::new();
    network.cloud.fabric.uplink.as_mut().unwrap().gateway = Some(gateway);
    network
}

/// What a packet from the NAT instance to far away leaves as.
fn leaves(network: &Reference, lab: &mut Lab) -> (Mac, Frame) {
    let (port, frame) = lab.one(network.nat.port, network.nat.by_router(udp(network.nat.ip, FAR)));
    assert_eq!(port, UPLINK);
    (Mac(frame.bytes[..6].try_into().unwrap()), frame)
}

/// The gateway says where it is, in answer to `asker`.
fn answer(mac: Mac, asker: Ipv4Addr) -> Frame {
    let asked = arp::parse(&arp::request(UPLINK_MAC, asker, GATEWAY).bytes).unwrap();
    arp::reply(mac, &asked)
}

#[test]
fn a_known_one_needs_no_asking_and_neighbors_need_none() {
    let network = network(Gateway::Mac(GATEWAY_MAC));
    let mut lab = network.lab();
    assert_eq!(lab.engine.ask_gateway(), None);
    let (mac, frame) = leaves(&network, &mut lab);
    assert_eq!((mac, frame), (GATEWAY_MAC, udp(NAT_PUBLIC, FAR).with_macs(UPLINK_MAC, GATEWAY_MAC)));
    let near = lab.one(network.nat.port, network.nat.by_router(udp(network.nat.ip, OFFICE)));
    assert_eq!(near, (UPLINK, to_office(udp(NAT_PUBLIC, OFFICE))));
}

#[test]
fn it_is_asked_for_and_heard() {
    let network = network(Gateway::Address(GATEWAY));
    let mut lab = network.lab();
    let asked = lab.engine.ask_gateway().unwrap();
    assert_eq!(asked, (UPLINK, arp::request(UPLINK_MAC, NAT_PUBLIC, GATEWAY)));
    assert!(!lab.engine.gateway_is_known());
    let frame = network.nat.by_router(udp(network.nat.ip, FAR));
    assert_eq!(lab.dropped(network.nat.port, frame), DropReason::GatewayUnresolved);
    lab.consumed(UPLINK, answer(GATEWAY_MAC, NAT_PUBLIC));
    assert!(lab.engine.gateway_is_known());
    assert_eq!(leaves(&network, &mut lab).0, GATEWAY_MAC);
}

#[test]
fn its_own_question_tells_where_it_is_and_is_answered() {
    let network = network(Gateway::Address(GATEWAY));
    let mut lab = network.lab();
    let question = arp::request(GATEWAY_MAC, GATEWAY, WEB_PUBLIC);
    let reply = arp::reply(UPLINK_MAC, &arp::parse(&question.bytes).unwrap());
    assert_eq!(lab.one(UPLINK, question), (UPLINK, reply));
    assert_eq!(leaves(&network, &mut lab).0, GATEWAY_MAC);
}

#[test]
fn where_it_moves_known_connections_follow() {
    let network = network(Gateway::Address(GATEWAY));
    let mut lab = network.lab();
    lab.consumed(UPLINK, answer(GATEWAY_MAC, NAT_PUBLIC));
    for _ in 0..2 {
        assert_eq!(leaves(&network, &mut lab).0, GATEWAY_MAC);
    }
    lab.consumed(UPLINK, arp::request(OTHER_MAC, GATEWAY, GATEWAY));
    assert_eq!(leaves(&network, &mut lab).0, OTHER_MAC);
    assert_eq!(lab.connections(), 1);
}

#[test]
fn nobody_else_is_believed() {
    let network = network(Gateway::Address(GATEWAY));
    let mut lab = network.lab();
    lab.consumed(UPLINK, arp::request(OFFICE_MAC, OFFICE, GATEWAY));
    lab.consumed(UPLINK, answer(Mac::BROADCAST, NAT_PUBLIC));
    lab.consumed(UPLINK, answer(UPLINK_MAC, NAT_PUBLIC));
    // An instance, source check off or not, speaks at another port.
    lab.send(network.nat.port, arp::request(network.nat.mac, GATEWAY, ip("10.210.128.1")));
    assert!(!lab.engine.gateway_is_known());
}

#[test]
fn another_gateway_is_asked_for_anew_and_the_same_is_not() {
    let mut network = network(Gateway::Address(GATEWAY));
    let mut lab = network.lab();
    lab.consumed(UPLINK, answer(GATEWAY_MAC, NAT_PUBLIC));
    lab.engine.load(network.cloud.tables(2));
    assert!(lab.engine.gateway_is_known());
    network.cloud.fabric.uplink.as_mut().unwrap().gateway = Some(Gateway::Address(ip("203.0.113.2")));
    lab.engine.load(network.cloud.tables(3));
    assert!(!lab.engine.gateway_is_known());
}

#[test]
fn explaining_takes_it_that_the_gateway_answers() {
    let network = network(Gateway::Address(GATEWAY));
    let lab = network.lab();
    let mut imagined = Engine::imagine(std::sync::Arc::clone(lab.engine.tables()));
    let frame = network.nat.by_router(udp(network.nat.ip, FAR));
    let explained = imagined.explain(lab.now, network.nat.port, frame);
    assert_eq!((explained.dropped, explained.sent.len()), (None, 1));
}
