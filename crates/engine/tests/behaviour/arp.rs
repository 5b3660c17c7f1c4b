//! The VPC answers ARP itself, and only for what is on the asker's link.

use engine::{DropReason, METADATA, PortId, ROUTER_MAC, service_address};
use wire::arp;

use crate::lab::{OFFICE, OFFICE_MAC, Reference, SERVICES, SERVICES_MAC, UPLINK, UPLINK_MAC, WEB_PUBLIC, ip};

#[test]
fn an_instance_hears_of_what_is_on_its_link() {
    let network = Reference::new();
    let test = &network.test;
    let mut lab = network.lab();
    for (target, mac) in [
        ("10.210.0.1", ROUTER_MAC),
        ("10.210.0.2", ROUTER_MAC),
        ("169.254.169.254", ROUTER_MAC),
        ("169.254.169.253", ROUTER_MAC),
        ("169.254.169.123", ROUTER_MAC),
        ("10.210.7.15", network.neighbor.mac),
    ] {
        for sender in [test.ip, ip("0.0.0.0")] {
            let frame = arp::request(test.mac, sender, ip(target));
            let reply = arp::reply(mac, &arp::parse(&frame.bytes).unwrap());
            assert_eq!(lab.one(test.port, frame), (test.port, reply), "{target}");
        }
    }
}

#[test]
fn nobody_answers_for_the_rest() {
    let network = Reference::new();
    let test = &network.test;
    let mut lab = network.lab();
    for target in [
        "10.210.7.14",     // its own
        "10.210.216.13",   // in another subnet
        "10.210.128.1",    // another subnet's router
        "10.210.0.3",      // reserved
        "10.210.7.99",     // nobody
        "10.210.127.255",  // the last
        "169.254.169.250", // no service
        "203.0.113.20",    // public
        "198.51.100.8",
    ] {
        lab.consumed(test.port, arp::request(test.mac, test.ip, ip(target)));
    }
    // Who asks for it is not told about the other subnet's resolver address either.
    let nat = &network.nat;
    lab.consumed(nat.port, arp::request(nat.mac, nat.ip, ip("10.210.0.2")));
}

#[test]
fn announcements_and_replies_change_nothing() {
    let network = Reference::new();
    let (test, neighbor) = (&network.test, &network.neighbor);
    let mut lab = network.lab();
    lab.consumed(test.port, arp::request(test.mac, test.ip, test.ip));
    let asked = arp::parse(&arp::request(neighbor.mac, neighbor.ip, test.ip).bytes).unwrap();
    lab.consumed(test.port, arp::reply(test.mac, &asked));
}

#[test]
fn a_sender_speaks_for_itself() {
    let network = Reference::new();
    let (test, neighbor) = (&network.test, &network.neighbor);
    let mut lab = network.lab();
    let router = ip("10.210.0.1");
    let stolen_ip = arp::request(test.mac, neighbor.ip, router);
    assert_eq!(lab.dropped(test.port, stolen_ip), DropReason::SpoofedArp);
    let stolen_mac = arp::request(neighbor.mac, test.ip, router);
    assert_eq!(lab.dropped(test.port, stolen_mac.clone()), DropReason::SpoofedMac);
    let only_inside = stolen_mac.with_macs(test.mac, wire::Mac::BROADCAST);
    assert_eq!(lab.dropped(test.port, only_inside), DropReason::SpoofedMac);
    let only_outside = arp::request(test.mac, test.ip, router).with_macs(neighbor.mac, wire::Mac::BROADCAST);
    assert_eq!(lab.dropped(test.port, only_outside), DropReason::SpoofedMac);
    assert_eq!(lab.dropped(PortId(77), arp::request(test.mac, test.ip, router)), DropReason::UnknownPort);
    // Whose check is off may speak for others.
    let nat = &network.nat;
    let frame = arp::request(nat.mac, ip("10.211.0.1"), ip("10.210.128.1"));
    assert_eq!(lab.one(nat.port, frame).0, nat.port);
}

#[test]
fn the_uplink_answers_for_associated_public_addresses() {
    let network = Reference::new();
    let mut lab = network.lab();
    let frame = arp::request(OFFICE_MAC, OFFICE, WEB_PUBLIC);
    let reply = arp::reply(UPLINK_MAC, &arp::parse(&frame.bytes).unwrap());
    assert_eq!(lab.one(UPLINK, frame), (UPLINK, reply));
    lab.consumed(UPLINK, arp::request(OFFICE_MAC, OFFICE, ip("203.0.113.99")));
    lab.consumed(UPLINK, arp::request(OFFICE_MAC, OFFICE, network.test.ip));
}

#[test]
fn the_services_find_every_asker_at_the_router() {
    let network = Reference::new();
    let mut lab = network.lab();
    let asker = service_address(network.test.port).unwrap();
    let frame = arp::request(SERVICES_MAC, METADATA, asker);
    let reply = arp::reply(ROUTER_MAC, &arp::parse(&frame.bytes).unwrap());
    assert_eq!(lab.one(SERVICES, frame), (SERVICES, reply));
    lab.consumed(SERVICES, arp::request(SERVICES_MAC, METADATA, network.test.ip));
}

#[test]
fn malformed_arp_is_counted() {
    let network = Reference::new();
    let mut lab = network.lab();
    let mut frame = arp::request(network.test.mac, network.test.ip, ip("10.210.0.1"));
    frame.bytes.truncate(30);
    assert_eq!(lab.dropped(network.test.port, frame).label(), "TruncatedArp");
}
