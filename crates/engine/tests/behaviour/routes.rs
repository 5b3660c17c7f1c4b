//! The subnet's route table decides by the destination alone; a neighbour's MAC address goes past it.

use engine::{DropReason, Time};
use model::RouteVia;
use wire::build;

use crate::lab::{OFFICE, Reference, ip, udp};

#[test]
fn the_local_route_joins_subnets() {
    let network = Reference::new();
    let mut lab = network.lab();
    let packet = udp(network.nat.ip, network.test.ip);
    let sent = lab.one(network.nat.port, network.nat.by_router(packet.clone()));
    assert_eq!(sent, (network.test.port, network.test.handed(packet)), "the router is invisible: same TTL");
}

#[test]
fn the_default_route_leads_to_the_nat_instance() {
    let network = Reference::new();
    let mut lab = network.lab();
    let packet = udp(network.test.ip, OFFICE);
    let sent = lab.one(network.test.port, network.test.by_router(packet.clone()));
    assert_eq!(sent, (network.nat.port, network.nat.handed(packet)));
}

#[test]
fn a_neighbor_is_reached_without_the_route_table() {
    let network = Reference::new();
    let mut lab = network.lab();
    let (test, neighbor) = (&network.test, &network.neighbor);
    let frame = test.by_neighbor(neighbor, udp(test.ip, neighbor.ip));
    assert_eq!(lab.one(test.port, frame.clone()), (neighbor.port, frame));
}

#[test]
fn the_detour_through_a_neighbor() {
    // One subnet for all, its default route to the internet gateway: the machine names the NAT instance itself.
    let mut network = Reference::new();
    let group = network.open;
    let detour = network.cloud.machine(20, network.test_subnet, "10.210.100.1", &[group], false);
    let mut lab = network.lab();
    let frame = network.test.by_neighbor(&detour, udp(network.test.ip, OFFICE));
    assert_eq!(lab.one(network.test.port, frame.clone()), (detour.port, frame));
    // Its neighbours elsewhere are not on the link.
    let frame = network.test.by_neighbor(&network.nat, udp(network.test.ip, OFFICE));
    assert_eq!(lab.dropped(network.test.port, frame), DropReason::UnknownMac);
}

#[test]
fn a_nat_instance_in_the_subnet_it_serves_gets_its_own_packets_back() {
    let mut network = Reference::new();
    let group = network.open;
    let inside = network.cloud.machine(20, network.test_subnet, "10.210.100.1", &[group], false);
    network.cloud.route(network.test_table, "198.51.100.0/24", RouteVia::Instance(inside.instance));
    let mut lab = network.lab();
    let there = lab.one(network.test.port, network.test.by_router(udp(network.test.ip, OFFICE)));
    assert_eq!(there.0, inside.port);
    let back = inside.by_router(udp(inside.ip, OFFICE));
    assert_eq!(lab.dropped(inside.port, back.clone()), DropReason::RouteLeadsBack);
    let explained = lab.engine.explain(Time(0), inside.port, back);
    assert!(explained.steps.last().unwrap().to_string().contains("another subnet"));
}

#[test]
fn the_longest_prefix_wins() {
    let mut network = Reference::new();
    let (group, subnet) = (network.open, network.test_subnet);
    let wide = network.cloud.machine(20, subnet, "10.210.100.1", &[group], false);
    let narrow = network.cloud.machine(21, subnet, "10.210.100.2", &[group], false);
    network.cloud.route(network.gateway_table, "198.51.0.0/16", RouteVia::Instance(wide.instance));
    network.cloud.route(network.gateway_table, "198.51.100.0/24", RouteVia::Interface(narrow.key.interface));
    let mut lab = network.lab();
    for (to, port) in [(OFFICE, narrow.port), (ip("198.51.101.1"), wide.port)] {
        let frame = network.web.by_router(udp(network.web.ip, to));
        assert_eq!(lab.one(network.web.port, frame).0, port, "{to}");
    }
}

#[test]
fn a_route_to_a_stopped_instance_is_a_black_hole() {
    let mut network = Reference::new();
    network.cloud.stop(network.nat.instance);
    let mut lab = network.lab();
    let frame = network.test.by_router(udp(network.test.ip, OFFICE));
    assert_eq!(lab.dropped(network.test.port, frame), DropReason::Blackhole);
}

#[test]
fn nobody_talks_to_itself_through_the_router() {
    let network = Reference::new();
    let mut lab = network.lab();
    let own = udp(network.test.ip, network.test.ip);
    let frame = network.test.by_router(own.clone());
    assert_eq!(lab.dropped(network.test.port, frame), DropReason::RouteLeadsBack);
    let frame = network.test.by_neighbor(&network.test, own);
    assert_eq!(lab.dropped(network.test.port, frame), DropReason::UnknownMac);
}

#[test]
fn six_hops_of_the_reference_network() {
    // Hop 6: the NAT instance's masqueraded probe, and the test machine's answer, which leaves by the VPC router.
    let network = Reference::new();
    let mut lab = network.lab();
    let probe = udp(network.nat.ip, network.test.ip).with_ttl(1);
    let (_, arrived) = lab.one(network.nat.port, network.nat.by_router(probe.clone()));
    let quote = &arrived.bytes[14..];
    let unreachable = build::icmp_error(network.test.ip, network.nat.ip, 3, 3, quote);
    let sent = lab.one(network.test.port, network.test.by_router(unreachable.clone()));
    assert_eq!(sent, (network.nat.port, network.nat.handed(unreachable)));
}
