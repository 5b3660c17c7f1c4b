//! The VPC's resolver: one server behind all of its addresses, which knows its caller by the port.

use std::net::{IpAddr, Ipv6Addr};

use engine::{DropReason, RESOLVER, ROUTER_MAC, service_address};
use model::{Change, Direction, VpcAttribute};
use wire::{FlowKey, Frame, Mac, Packet, TcpFlags, build};

use crate::lab::{Lab, Machine, Reference, SERVICES, SERVICES_MAC, ip};

const RESOLVER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253);
const OWN6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 0x14);

/// The reference network whose test machine has an IPv6 address too.
fn with_ipv6() -> Reference {
    let mut network = Reference::new();
    let (vpc, subnet, interface) = (network.vpc, network.test_subnet, network.test.key.interface);
    let cidr = "2001:db8::/56".parse().unwrap();
    network.cloud.apply(Change::AssociateVpcIpv6CidrBlock { vpc, cidr });
    let cidr = "2001:db8:0:1::/64".parse().unwrap();
    network.cloud.apply(Change::AssociateSubnetCidrBlock { subnet, cidr });
    let addresses = model::Ipv6Addresses::These(vec![OWN6]);
    network.cloud.apply(Change::AssignIpv6Addresses { interface, addresses });
    network
}

/// What of a frame does not depend on the family that it was translated from.
fn looks(frame: &Frame) -> (Mac, Mac, FlowKey, Vec<u8>) {
    let packet = Packet::parse(&frame.bytes).unwrap();
    (packet.eth_src(), packet.eth_dst(), packet.flow_key(), packet.payload(&frame.bytes).to_vec())
}

/// A question goes to the server under the asker's own address, and its answer comes back between the addresses that
/// the asker sees.
fn is_answered(lab: &mut Lab, asker: &Machine, from: IpAddr, to: IpAddr, source: u16) {
    let seen = service_address(asker.port).unwrap();
    let question = asker.by_router(build::udp(from, to, source, 53, b"question"));
    let expected = build::udp(seen, RESOLVER, source, 53, b"question").with_macs(ROUTER_MAC, SERVICES_MAC);
    let (port, arrived) = lab.one(asker.port, question);
    assert_eq!((port, looks(&arrived)), (SERVICES, looks(&expected)), "{to}");
    let answer = build::udp(RESOLVER, seen, 53, source, b"answer").with_macs(SERVICES_MAC, ROUTER_MAC);
    let (port, arrived) = lab.one(SERVICES, answer);
    let expected = asker.handed(build::udp(to, from, 53, source, b"answer"));
    assert_eq!((port, looks(&arrived)), (asker.port, looks(&expected)), "{to}");
}

fn tcp(asker: &Machine, to: &str) -> Frame {
    asker.by_router(build::tcp(asker.ip, ip(to), 5, 53, TcpFlags::SYN, b""))
}

#[test]
fn it_is_asked_at_three_addresses() {
    let network = with_ipv6();
    let test = &network.test;
    let mut lab = network.lab();
    is_answered(&mut lab, test, test.ip.into(), ip("10.210.0.2").into(), 5);
    is_answered(&mut lab, test, test.ip.into(), RESOLVER.into(), 6);
    is_answered(&mut lab, test, OWN6.into(), RESOLVER6.into(), 7);
    // From anywhere in the VPC, the first subnet or not.
    is_answered(&mut lab, &network.web, network.web.ip.into(), ip("10.210.0.2").into(), 5);
    assert_eq!(lab.connections(), 4);
}

#[test]
fn it_is_asked_over_tcp() {
    let network = Reference::new();
    let mut lab = network.lab();
    for (port, to) in [(&network.test, "10.210.0.2"), (&network.web, "169.254.169.253")] {
        assert_eq!(lab.one(port.port, tcp(port, to)).0, SERVICES);
    }
}

#[test]
fn two_questions_from_one_port_to_two_of_its_addresses_are_not_mixed() {
    let network = Reference::new();
    let test = &network.test;
    let mut lab = network.lab();
    is_answered(&mut lab, test, test.ip.into(), ip("10.210.0.2").into(), 5);
    let second = test.by_router(build::udp(test.ip, RESOLVER, 5, 53, b"question"));
    assert_eq!(lab.dropped(test.port, second), DropReason::FlowConflict);
}

#[test]
fn no_security_group_is_asked() {
    let mut network = Reference::new();
    network.cloud.revoke_all(network.test_group, Direction::Egress);
    let test = &network.test;
    is_answered(&mut network.lab(), test, test.ip.into(), RESOLVER.into(), 5);
}

#[test]
fn without_dns_support_nobody_answers() {
    let mut network = with_ipv6();
    let attribute = VpcAttribute::EnableDnsSupport(false);
    network.cloud.apply(Change::ModifyVpcAttribute { vpc: network.vpc, attribute });
    let test = &network.test;
    let mut lab = network.lab();
    for to in ["10.210.0.2", "169.254.169.253"] {
        let question = test.by_router(build::udp(test.ip, ip(to), 5, 53, b"question"));
        assert_eq!(lab.dropped(test.port, question), DropReason::NoSuchService, "{to}");
        assert_eq!(lab.dropped(test.port, tcp(test, to)), DropReason::NoSuchService, "{to}");
    }
    let question = test.by_router(build::udp(OWN6, RESOLVER6, 5, 53, b"question"));
    assert_eq!(lab.dropped(test.port, question), DropReason::NoSuchService);
}
