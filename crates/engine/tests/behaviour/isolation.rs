//! VPCs with the same addresses, regions and accounts with the same ids: no packet crosses.

use std::net::IpAddr;
use std::sync::Arc;

use engine::{
    DropReason, Engine, Fabric, METADATA, PortId, ROUTER_MAC, Tables, Time, service_address, service_port,
};
use model::{Protocol, RouteVia};
use proptest::prelude::*;
use wire::{Mac, Packet, TcpFlags, arp, build};

use crate::any_packets::{Parts, Past, config, steps};
use crate::lab::{
    Cloud, Lab, Machine, OFFICE, OFFICE_MAC, SERVICES, SERVICES_MAC, UPLINK, from_office, ip, udp,
};

/// A VPC 10.0.0.0/16 with two machines that let everything in, 10.0.0.4 and 10.0.0.5.
fn vpc(cloud: &mut Cloud, first_port: u32) -> [Machine; 2] {
    let vpc = cloud.vpc("10.0.0.0/16");
    let subnet = cloud.subnet(vpc, "10.0.0.0/24");
    let table = cloud.table(vpc, subnet);
    let igw = cloud.internet_gateway(vpc);
    cloud.route(table, "0.0.0.0/0", RouteVia::InternetGateway(igw));
    let group = cloud.group(vpc, "open", &[(Protocol::All, None, "0.0.0.0/0")]);
    [
        cloud.machine(first_port, subnet, "10.0.0.4", &[group], false),
        cloud.machine(first_port + 1, subnet, "10.0.0.5", &[group], false),
    ]
}

/// Two VPCs of one region, and one of another account whose ids are those of the first.
fn three() -> (Lab, [[Machine; 2]; 3], Arc<Tables>) {
    let mut one = Cloud::new("000000000000", "eu-west-1");
    let mut other = Cloud::new("111111111111", "us-east-1");
    let machines = [vpc(&mut one, 1), vpc(&mut one, 11), vpc(&mut other, 21)];
    let mut fabric: Fabric = one.fabric.clone();
    fabric.interfaces.extend(other.fabric.interfaces.clone());
    let tables = Arc::new(Tables::compile([&one.region, &other.region], &fabric, 1, 7));
    (Lab { engine: Engine::new(tables.clone(), 7), now: Time(0) }, machines, tables)
}

#[test]
fn the_same_ids_in_two_accounts_are_two_interfaces() {
    let (_, machines, tables) = three();
    let ([a, _], [b, _]) = (&machines[0], &machines[2]);
    assert_eq!((a.mac, a.key.interface), (b.mac, b.key.interface), "the hard case");
    assert_eq!(tables.port_of(&a.key), Some(PortId(1)));
    assert_eq!(tables.port_of(&b.key), Some(PortId(21)));
    assert_eq!(tables.interface_at(PortId(21)), Some(&b.key));
}

#[test]
fn the_same_address_is_another_machine_in_each_vpc() {
    let (mut lab, machines, _) = three();
    for _ in 0..2 {
        for [a, b] in &machines {
            let packet = build::tcp(a.ip, b.ip, 5, 80, TcpFlags::SYN, b"");
            let sent = lab.one(a.port, a.by_router(packet.clone()));
            assert_eq!(sent, (b.port, b.handed(packet.clone())));
            assert_eq!(lab.one(a.port, a.by_neighbor(b, packet)).0, b.port);
            let question = arp::request(a.mac, a.ip, b.ip);
            let answer = arp::reply(b.mac, &arp::parse(&question.bytes).unwrap());
            assert_eq!(lab.one(a.port, question), (a.port, answer));
        }
    }
    assert_eq!(lab.connections(), 3);
}

#[test]
fn a_mac_of_another_vpc_is_nobody() {
    let (mut lab, machines, _) = three();
    let ([a, _], [_, c]) = (&machines[0], &machines[1]);
    let frame = a.by_neighbor(c, udp(a.ip, c.ip));
    assert_eq!(lab.dropped(a.port, frame), DropReason::UnknownMac);
}

#[test]
fn metadata_tells_the_same_addresses_apart() {
    let (mut lab, machines, _) = three();
    let request =
        |machine: &Machine| machine.by_router(build::tcp(machine.ip, METADATA, 5, 80, TcpFlags::SYN, b""));
    for [a, _] in &machines {
        lab.one(a.port, request(a));
    }
    for [a, _] in &machines {
        let to = service_address(a.port).unwrap();
        let answer = build::tcp(METADATA, to, 80, 5, TcpFlags::ACK, b"").with_macs(SERVICES_MAC, ROUTER_MAC);
        let expected = a.handed(build::tcp(METADATA, a.ip, 80, 5, TcpFlags::ACK, b""));
        assert_eq!(lab.one(SERVICES, answer), (a.port, expected));
    }
}

#[test]
fn each_regions_resolver_domain_is_its_own() {
    let mut other = Cloud::new("111111111111", "us-east-1");
    let [machine, _] = vpc(&mut other, 1);
    let mut lab = other.lab();
    let frame = from_office(udp(OFFICE, ip("203.0.113.1")));
    assert_eq!(lab.dropped(UPLINK, frame), DropReason::UnknownPublicAddress);
    lab.consumed(machine.port, arp::request(machine.mac, machine.ip, ip("10.0.1.1")));
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn no_packet_crosses(steps in steps(60)) {
        let (mut lab, machines, _) = three();
        let parts = Parts {
            ports: machines.iter().flatten().map(|machine| (machine.port, machine.mac, vec![machine.ip.into()])).collect(),
            macs: machines.iter().flatten().map(|machine| machine.mac)
                .chain([ROUTER_MAC, OFFICE_MAC, Mac::BROADCAST]).collect(),
            addresses: [ip("10.0.0.4"), ip("10.0.0.5"), ip("10.0.0.1"), OFFICE, METADATA].map(IpAddr::V4).to_vec(),
        };
        let vpc_of = |port: PortId| machines.iter().position(|vpc| vpc.iter().any(|one| one.port == port));
        let mut past: Past = machines.iter().map(|[a, b]| {
            let frame = a.by_router(udp(a.ip, b.ip));
            ((a.port, frame.clone()), lab.one(a.port, frame))
        }).collect();
        for step in steps {
            let (port, frame) = step.frame(&parts, &past);
            for sent in lab.send(port, frame.clone()) {
                if let Some(to) = vpc_of(sent.0) {
                    let asker = match Packet::parse(&frame.bytes).map(|packet| packet.dst()) {
                        Ok(IpAddr::V4(dst)) => service_port(dst),
                        _ => None,
                    };
                    let from = if port == SERVICES { asker.and_then(vpc_of) } else { vpc_of(port) };
                    prop_assert_eq!(Some(to), from);
                }
                past.push(((port, frame.clone()), sent));
            }
        }
    }
}
