//! An interface sends as itself and receives for itself, unless its source/destination check is off.

use engine::DropReason;
use wire::{Mac, build};

use crate::lab::{OFFICE, Reference, ip, udp};

#[test]
fn the_mac_address_is_always_checked() {
    let network = Reference::new();
    for machine in [&network.test, &network.nat] {
        let mut lab = network.lab();
        let frame = machine.by_router(udp(machine.ip, OFFICE)).with_macs(network.web.mac, engine::ROUTER_MAC);
        assert_eq!(lab.dropped(machine.port, frame), DropReason::SpoofedMac);
    }
}

#[test]
fn a_known_connection_does_not_excuse_another_mac() {
    let network = Reference::new();
    let test = &network.test;
    let mut lab = network.lab();
    let packet = udp(test.ip, OFFICE);
    lab.one(test.port, test.by_router(packet.clone()));
    lab.one(test.port, test.by_router(packet.clone()));
    let frame = packet.clone().with_macs(network.neighbor.mac, engine::ROUTER_MAC);
    assert_eq!(lab.dropped(test.port, frame), DropReason::SpoofedMac);
    let frame = packet.with_macs(test.mac, network.neighbor.mac);
    assert_eq!(lab.dropped(test.port, frame), DropReason::DestinationCheck, "nor is the old way taken");
}

#[test]
fn the_source_is_checked_unless_the_check_is_off() {
    let network = Reference::new();
    let mut lab = network.lab();
    let test = &network.test;
    let frame = test.by_router(udp(network.neighbor.ip, OFFICE));
    assert_eq!(lab.dropped(test.port, frame), DropReason::SourceCheck);
    let nat = &network.nat;
    let answer = build::echo(OFFICE, network.neighbor.ip, false, 1, 1, b"");
    assert_eq!(lab.one(nat.port, nat.by_router(answer)).0, network.neighbor.port);
}

#[test]
fn the_destination_is_checked_unless_the_check_is_off() {
    let mut network = Reference::new();
    let (group, subnet) = (network.open, network.test_subnet);
    let checked = network.cloud.machine(20, subnet, "10.210.100.1", &[group], true);
    network.cloud.route(network.test_table, "192.0.2.0/24", model::RouteVia::Instance(checked.instance));
    let mut lab = network.lab();
    let test = &network.test;
    let frame = test.by_router(udp(test.ip, ip("192.0.2.1")));
    assert_eq!(lab.dropped(test.port, frame), DropReason::DestinationCheck);
    let frame = test.by_neighbor(&checked, udp(test.ip, OFFICE));
    assert_eq!(lab.dropped(test.port, frame), DropReason::DestinationCheck);
}

#[test]
fn some_addresses_never_send() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    for source in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
        let frame = nat.by_router(udp(ip(source), OFFICE));
        assert_eq!(lab.dropped(nat.port, frame), DropReason::MartianSource, "{source}");
    }
}

#[test]
fn broadcast_and_multicast_go_nowhere() {
    let network = Reference::new();
    let test = &network.test;
    let mut lab = network.lab();
    let all = udp(test.ip, ip("255.255.255.255")).with_macs(test.mac, Mac::BROADCAST);
    assert_eq!(lab.dropped(test.port, all), DropReason::Broadcast);
    let subnet = udp(test.ip, ip("10.210.127.255")).with_macs(test.mac, Mac::BROADCAST);
    assert_eq!(lab.dropped(test.port, subnet), DropReason::Broadcast);
    let group = udp(test.ip, ip("224.0.0.251")).with_macs(test.mac, Mac([1, 0, 0x5e, 0, 0, 0xfb]));
    assert_eq!(lab.dropped(test.port, group), DropReason::Multicast);
    let mac_only = udp(test.ip, OFFICE).with_macs(test.mac, Mac([1, 0, 0x5e, 0, 0, 0xfb]));
    assert_eq!(lab.dropped(test.port, mac_only), DropReason::UnknownMac);
}

#[test]
fn an_instance_is_no_dhcp_server() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let offer = nat.by_router(build::udp(nat.ip, network.test.ip, 67, 68, b"offer"));
    assert_eq!(lab.dropped(nat.port, offer), DropReason::RogueDhcpServer);
}
