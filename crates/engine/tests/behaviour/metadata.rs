//! Link-local services: the server knows its caller by the port that a request came from.

use engine::{DropReason, METADATA, ROUTER_MAC, service_address};
use model::Direction;
use wire::{Frame, TcpFlags, build};

use crate::lab::{Machine, Reference, SERVICES, SERVICES_MAC, ip};

const SYN: TcpFlags = TcpFlags::SYN;

fn ask(src: std::net::Ipv4Addr, sport: u16, flags: TcpFlags) -> Frame {
    build::tcp(src, METADATA, sport, 80, flags, b"")
}

/// The server's answer to the request from a port.
fn answer(asker: &Machine, dport: u16) -> Frame {
    let address = service_address(asker.port).unwrap();
    build::tcp(METADATA, address, 80, dport, SYN | TcpFlags::ACK, b"").with_macs(SERVICES_MAC, ROUTER_MAC)
}

#[test]
fn a_request_and_its_answer() {
    let network = Reference::new();
    let test = &network.test;
    let mut lab = network.lab();
    let address = service_address(test.port).unwrap();
    let expected = build::tcp(address, METADATA, 5, 80, SYN, b"").with_macs(ROUTER_MAC, SERVICES_MAC);
    assert_eq!(lab.one(test.port, test.by_router(ask(test.ip, 5, SYN))), (SERVICES, expected));
    let expected = build::tcp(METADATA, test.ip, 80, 5, SYN | TcpFlags::ACK, b"").with_ttl(1);
    let answered = lab.one(SERVICES, answer(test, 5).with_ttl(1));
    assert_eq!(answered, (test.port, test.handed(expected)), "the hop limit is the server's");
    assert_eq!(lab.connections(), 1);
}

#[test]
fn no_security_group_is_asked() {
    let mut network = Reference::new();
    network.cloud.revoke_all(network.test_group, Direction::Egress);
    let test = &network.test;
    let mut lab = network.lab();
    assert_eq!(lab.one(test.port, test.by_router(ask(test.ip, 5, SYN))).0, SERVICES);
}

#[test]
fn through_the_nat_instance_it_is_the_nat_instance_who_asks() {
    // Without a route to the metadata service the request follows the detour. The NAT instance masquerades it.
    let mut network = Reference::new();
    let (group, subnet) = (network.open, network.test_subnet);
    let detour = network.cloud.machine(20, subnet, "10.210.100.1", &[group], false);
    let test = &network.test;
    let mut lab = network.lab();
    let frame = test.by_neighbor(&detour, ask(test.ip, 5, SYN));
    assert_eq!(lab.one(test.port, frame.clone()), (detour.port, frame));
    let (port, seen) = lab.one(detour.port, detour.by_router(ask(detour.ip, 6, SYN)));
    let address = service_address(detour.port).unwrap();
    let expected = build::tcp(address, METADATA, 6, 80, SYN, b"").with_macs(ROUTER_MAC, SERVICES_MAC);
    assert_eq!((port, seen), (SERVICES, expected));
    assert_eq!(lab.one(SERVICES, answer(&detour, 6)).0, detour.port);
    // Back under the service's own address, from the NAT instance's MAC.
    let back = detour.by_neighbor(test, build::tcp(METADATA, test.ip, 80, 5, SYN | TcpFlags::ACK, b""));
    assert_eq!(lab.one(detour.port, back.clone()), (test.port, back));
}

#[test]
fn two_senders_behind_one_port_do_not_share_a_connection() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let (a, b) = (ip("10.210.7.14"), ip("10.210.7.15"));
    lab.one(nat.port, nat.by_router(ask(a, 5, SYN)));
    assert_eq!(lab.dropped(nat.port, nat.by_router(ask(b, 5, SYN))), DropReason::FlowConflict);
    lab.one(nat.port, nat.by_router(ask(b, 6, SYN)));
    let back = |dst, dport| nat.handed(build::tcp(METADATA, dst, 80, dport, SYN | TcpFlags::ACK, b""));
    assert_eq!(lab.one(SERVICES, answer(nat, 5)), (nat.port, back(a, 5)));
    assert_eq!(lab.one(SERVICES, answer(nat, 6)), (nat.port, back(b, 6)));
    // Once the first has closed, the second may begin.
    lab.one(nat.port, nat.by_router(ask(a, 5, TcpFlags::RST)));
    assert_eq!(lab.dropped(nat.port, nat.by_router(ask(b, 5, TcpFlags::ACK))), DropReason::FlowConflict);
    lab.one(nat.port, nat.by_router(ask(b, 5, SYN)));
    assert_eq!(lab.one(SERVICES, answer(nat, 5)), (nat.port, back(b, 5)));
    assert_eq!(lab.connections(), 3, "at its sender's end the first is remembered, as closed");
}

#[test]
fn a_connection_that_turns_to_the_service_on_its_way_is_answered() {
    // The route to the service is added while the request is under way through a neighbour.
    let mut network = Reference::new();
    let (group, subnet) = (network.open, network.test_subnet);
    let detour = network.cloud.machine(20, subnet, "10.210.100.1", &[group], false);
    let test = &network.test;
    let mut lab = network.lab();
    lab.one(test.port, test.by_neighbor(&detour, ask(test.ip, 5, SYN)));
    assert_eq!(lab.one(test.port, test.by_router(ask(test.ip, 5, SYN))).0, SERVICES);
    assert_eq!(lab.one(SERVICES, answer(test, 5)).0, test.port);
    lab.wait(119);
    lab.one(test.port, test.by_router(ask(test.ip, 5, SYN)));
    lab.wait(119);
    assert_eq!(lab.one(SERVICES, answer(test, 5)).0, test.port, "both records live as long as packets pass");
}

#[test]
fn the_services_only_answer() {
    let network = Reference::new();
    let mut lab = network.lab();
    assert_eq!(lab.dropped(SERVICES, answer(&network.test, 5)), DropReason::NoFlow);
}

#[test]
fn nobody_else_is_at_home() {
    let network = Reference::new();
    let test = &network.test;
    let mut lab = network.lab();
    for packet in [
        build::tcp(test.ip, METADATA, 5, 443, SYN, b""),
        build::udp(test.ip, METADATA, 5, 80, b""),
        build::echo(test.ip, METADATA, true, 5, 1, b""),
        build::udp(test.ip, ip("169.254.169.253"), 5, 54, b""),
        build::udp(test.ip, ip("169.254.169.123"), 5, 123, b""),
        build::tcp(test.ip, ip("169.254.1.1"), 5, 80, SYN, b""),
        build::udp(test.ip, METADATA, 5, 53, b""),
        build::udp(test.ip, ip("10.210.0.2"), 5, 54, b""),
        build::echo(test.ip, ip("10.210.0.2"), true, 5, 1, b""),
    ] {
        assert_eq!(lab.dropped(test.port, test.by_router(packet)), DropReason::NoSuchService);
    }
}

#[test]
fn an_asker_that_went_away_hears_nothing() {
    let mut network = Reference::new();
    let test = network.test.clone();
    let mut lab = network.lab();
    lab.one(test.port, test.by_router(ask(test.ip, 5, SYN)));
    network.cloud.fabric.interfaces.remove(&test.key);
    lab.engine.load(network.cloud.tables(2));
    assert_eq!(lab.dropped(SERVICES, answer(&test, 5)), DropReason::NoFlow);
}

#[test]
fn who_asks_too_much_keeps_nobody_else_from_it() {
    let network = Reference::new();
    let (test, neighbor) = (&network.test, &network.neighbor);
    let mut lab = network.lab();
    // Of one connection and of others: all count together.
    for _ in 0..1000 {
        lab.one(test.port, test.by_router(ask(test.ip, 5, SYN)));
    }
    for port in 6..30 {
        lab.one(test.port, test.by_router(ask(test.ip, port, SYN)));
    }
    for port in [5, 40] {
        let packet = test.by_router(ask(test.ip, port, SYN));
        assert_eq!(lab.dropped(test.port, packet), DropReason::LinkLocalAllowance);
    }
    assert_eq!(lab.connections(), 25, "what is dropped leaves nothing behind");
    assert_eq!(lab.one(neighbor.port, neighbor.by_router(ask(neighbor.ip, 5, SYN))).0, SERVICES);
    assert_eq!(lab.one(SERVICES, answer(test, 5)).0, test.port, "answers are not counted");
    lab.wait(1);
    assert_eq!(lab.one(test.port, test.by_router(ask(test.ip, 40, SYN))).0, SERVICES);
}
