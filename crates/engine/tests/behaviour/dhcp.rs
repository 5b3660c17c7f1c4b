//! DHCP as RFC 2131 has it, for an address that belongs to the interface.

use std::net::{IpAddr, Ipv4Addr};

use engine::{DropReason, ROUTER_MAC};
use smoltcp::wire::{DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress};
use wire::{Frame, Mac, Packet, Transport, build};

use crate::lab::{Lab, Machine, Reference, ip};

const NOWHERE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 210, 0, 1);

fn message(machine: &Machine, message_type: DhcpMessageType) -> DhcpRepr<'static> {
    DhcpRepr {
        message_type,
        transaction_id: 0x1234_5678,
        secs: 3,
        client_hardware_address: EthernetAddress(machine.mac.0),
        client_ip: NOWHERE,
        your_ip: NOWHERE,
        server_ip: NOWHERE,
        router: None,
        subnet_mask: None,
        relay_agent_ip: NOWHERE,
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: None,
        parameter_request_list: Some(&[1, 3, 6, 12, 15, 26, 28]),
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    }
}

fn payload(repr: &DhcpRepr<'_>) -> Vec<u8> {
    let mut bytes = vec![0; repr.buffer_len()];
    repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).unwrap();
    bytes
}

/// As a client without an address sends it.
fn broadcast(machine: &Machine, repr: &DhcpRepr<'_>) -> Frame {
    let dst = Ipv4Addr::BROADCAST;
    build::udp(repr.client_ip, dst, 68, 67, &payload(repr)).with_macs(machine.mac, Mac::BROADCAST)
}

fn unicast(machine: &Machine, repr: &DhcpRepr<'_>) -> Frame {
    machine.by_router(build::udp(machine.ip, ROUTER, 68, 67, &payload(repr)))
}

struct Answer {
    frame: Frame,
    packet: Packet,
    bytes: Vec<u8>,
}

impl Answer {
    fn kind(&self) -> DhcpMessageType {
        self.with(|repr| repr.message_type)
    }

    fn with<T>(&self, look: impl FnOnce(&DhcpRepr<'_>) -> T) -> T {
        let message = DhcpPacket::new_checked(&self.bytes[..]).unwrap();
        look(&DhcpRepr::parse(&message).unwrap())
    }

    fn option(&self, kind: u8) -> Option<Vec<u8>> {
        let message = DhcpPacket::new_checked(&self.bytes[..]).unwrap();
        let found = message.options().find(|option: &DhcpOption<'_>| option.kind == kind);
        found.map(|option| option.data.to_vec())
    }

    /// Where it was sent: Ethernet and IP.
    fn to(&self) -> (Mac, Ipv4Addr) {
        let IpAddr::V4(dst) = self.packet.dst() else { panic!("DHCP over {}", self.packet.dst()) };
        (self.packet.eth_dst(), dst)
    }
}

fn answer(lab: &mut Lab, machine: &Machine, frame: Frame) -> Answer {
    let (port, frame) = lab.one(machine.port, frame);
    assert_eq!(port, machine.port);
    let packet = Packet::parse(&frame.bytes).unwrap();
    assert_eq!((packet.eth_src(), packet.src()), (ROUTER_MAC, ROUTER.into()));
    assert_eq!(packet.transport(), Transport::Udp { src: 67, dst: 68 });
    let bytes = packet.payload(&frame.bytes).to_vec();
    let answer = Answer { frame, packet, bytes };
    answer.with(|repr| {
        assert_eq!(repr.transaction_id, 0x1234_5678);
        assert_eq!(repr.client_hardware_address.0, machine.mac.0);
        assert_eq!(repr.server_identifier, Some(ROUTER));
    });
    answer
}

#[test]
fn discover_and_offer() {
    let network = Reference::new();
    let test = &network.test;
    let mut lab = network.lab();
    let frame = broadcast(test, &message(test, DhcpMessageType::Discover));
    let offer = answer(&mut lab, test, frame);
    assert_eq!(offer.kind(), DhcpMessageType::Offer);
    assert_eq!(offer.to(), (test.mac, test.ip), "who does not ask for a broadcast gets none");
    offer.with(|repr| {
        assert_eq!((repr.your_ip, repr.client_ip, repr.broadcast), (test.ip, NOWHERE, false));
        assert_eq!((repr.router, repr.lease_duration), (Some(ROUTER), Some(3600)));
        assert_eq!(repr.subnet_mask, Some(ip("255.255.128.0")));
        assert_eq!((repr.renew_duration, repr.rebind_duration), (None, None));
    });
    for (kind, value) in [
        (6, &[10, 210, 0, 2][..]),
        (12, b"ip-10-210-7-14"),
        (15, b"eu-west-1.compute.internal"),
        (26, &9001u16.to_be_bytes()),
        (28, &[10, 210, 127, 255]),
    ] {
        assert_eq!(offer.option(kind).as_deref(), Some(value), "option {kind}");
    }
    assert_eq!(offer.option(121), None, "AWS sends no classless routes");
    assert_eq!(lab.connections(), 0);
    assert!(offer.frame.offload == wire::Offload::default());
}

#[test]
fn the_broadcast_flag_is_honoured() {
    let network = Reference::new();
    let test = &network.test;
    let mut lab = network.lab();
    let discover = DhcpRepr { broadcast: true, ..message(test, DhcpMessageType::Discover) };
    let offer = answer(&mut lab, test, broadcast(test, &discover));
    assert_eq!(offer.to(), (Mac::BROADCAST, Ipv4Addr::BROADCAST));
    offer.with(|repr| assert!(repr.broadcast));
}

#[test]
fn selecting() {
    let network = Reference::new();
    let test = &network.test;
    let mut lab = network.lab();
    let request = DhcpRepr {
        requested_ip: Some(test.ip),
        server_identifier: Some(ROUTER),
        ..message(test, DhcpMessageType::Request)
    };
    let ack = answer(&mut lab, test, broadcast(test, &request));
    assert_eq!((ack.kind(), ack.to()), (DhcpMessageType::Ack, (test.mac, test.ip)));
    ack.with(|repr| assert_eq!((repr.your_ip, repr.lease_duration), (test.ip, Some(3600))));
    let elsewhere = DhcpRepr { server_identifier: Some(ip("10.210.0.9")), ..request };
    assert_eq!(lab.dropped(test.port, broadcast(test, &elsewhere)), DropReason::BadDhcp);
}

#[test]
fn init_reboot_with_another_address_is_refused() {
    let network = Reference::new();
    let test = &network.test;
    let mut lab = network.lab();
    let right = DhcpRepr { requested_ip: Some(test.ip), ..message(test, DhcpMessageType::Request) };
    assert_eq!(answer(&mut lab, test, broadcast(test, &right)).kind(), DhcpMessageType::Ack);
    let wrong = DhcpRepr { requested_ip: Some(ip("10.0.0.7")), ..right };
    let nak = answer(&mut lab, test, broadcast(test, &wrong));
    assert_eq!((nak.kind(), nak.to()), (DhcpMessageType::Nak, (Mac::BROADCAST, Ipv4Addr::BROADCAST)));
    nak.with(|repr| {
        assert_eq!((repr.your_ip, repr.router, repr.lease_duration), (NOWHERE, None, None));
    });
    assert_eq!(nak.option(6), None);
}

#[test]
fn renewing_and_rebinding() {
    let network = Reference::new();
    let test = &network.test;
    let mut lab = network.lab();
    // RFC 2131 section 4.1: the address that the client has comes before its broadcast flag.
    for flag in [false, true] {
        let renew =
            DhcpRepr { client_ip: test.ip, broadcast: flag, ..message(test, DhcpMessageType::Request) };
        for frame in [unicast(test, &renew), broadcast(test, &renew)] {
            let ack = answer(&mut lab, test, frame);
            assert_eq!((ack.kind(), ack.to()), (DhcpMessageType::Ack, (test.mac, test.ip)));
            ack.with(|repr| {
                assert_eq!((repr.client_ip, repr.your_ip), (test.ip, test.ip));
                assert_eq!(repr.lease_duration, Some(3600));
            });
        }
    }
    let wrong = DhcpRepr { client_ip: ip("10.210.7.77"), ..message(test, DhcpMessageType::Request) };
    let nak = answer(&mut lab, test, broadcast(test, &wrong));
    assert_eq!((nak.kind(), nak.to()), (DhcpMessageType::Nak, (Mac::BROADCAST, Ipv4Addr::BROADCAST)));
    nak.with(|repr| assert_eq!(repr.client_ip, NOWHERE));
}

#[test]
fn inform_gets_no_lease() {
    let network = Reference::new();
    let test = &network.test;
    let mut lab = network.lab();
    let inform = DhcpRepr { client_ip: test.ip, ..message(test, DhcpMessageType::Inform) };
    let ack = answer(&mut lab, test, unicast(test, &inform));
    assert_eq!((ack.kind(), ack.to()), (DhcpMessageType::Ack, (test.mac, test.ip)));
    ack.with(|repr| {
        assert_eq!((repr.your_ip, repr.lease_duration), (NOWHERE, None));
        assert_eq!(repr.router, Some(ROUTER));
    });
}

#[test]
fn release_and_decline_are_taken_without_effect() {
    let network = Reference::new();
    let test = &network.test;
    let mut lab = network.lab();
    for kind in [DhcpMessageType::Release, DhcpMessageType::Decline] {
        let repr = DhcpRepr { client_ip: test.ip, ..message(test, kind) };
        lab.consumed(test.port, unicast(test, &repr));
    }
    let again = broadcast(test, &message(test, DhcpMessageType::Discover));
    assert_eq!(answer(&mut lab, test, again).kind(), DhcpMessageType::Offer);
}

#[test]
fn any_client_identifier_will_do() {
    let network = Reference::new();
    let test = &network.test;
    let mut lab = network.lab();
    for id in [&[0, b'm', b'y', b'n', b'a', b'm', b'e'][..], &[0xff; 19], &[1]] {
        let options = [DhcpOption { kind: 61, data: id }, DhcpOption { kind: 224, data: b"unknown" }];
        let discover = DhcpRepr { additional_options: &options, ..message(test, DhcpMessageType::Discover) };
        let offer = answer(&mut lab, test, broadcast(test, &discover));
        assert_eq!(offer.kind(), DhcpMessageType::Offer);
    }
}

#[test]
fn what_is_no_clients_message_is_dropped() {
    let network = Reference::new();
    let (test, neighbor) = (&network.test, &network.neighbor);
    let mut lab = network.lab();
    let good = message(test, DhcpMessageType::Discover);
    let foreign = DhcpRepr { client_hardware_address: EthernetAddress(neighbor.mac.0), ..good.clone() };
    let relayed = DhcpRepr { relay_agent_ip: test.ip, ..good.clone() };
    let server = message(test, DhcpMessageType::Offer);
    for repr in [foreign, relayed, server] {
        assert_eq!(lab.dropped(test.port, broadcast(test, &repr)), DropReason::BadDhcp);
    }
    let bytes = payload(&good);
    let frame = |bytes: &[u8]| {
        build::udp(NOWHERE, Ipv4Addr::BROADCAST, 68, 67, bytes).with_macs(test.mac, Mac::BROADCAST)
    };
    for len in 0..243 {
        assert_eq!(lab.dropped(test.port, frame(&bytes[..len])), DropReason::BadDhcp, "{len}");
    }
    for at in [0, 1, 2, 236, 242] {
        let mut bad = bytes.clone();
        bad[at] ^= 0x40;
        assert_eq!(lab.dropped(test.port, frame(&bad)), DropReason::BadDhcp, "byte {at}");
    }
    let stolen = frame(&bytes).with_macs(neighbor.mac, Mac::BROADCAST);
    assert_eq!(lab.dropped(test.port, stolen), DropReason::SpoofedMac);
}

#[test]
fn another_machines_port_67_is_not_ours() {
    let network = Reference::new();
    let (test, neighbor) = (&network.test, &network.neighbor);
    let mut lab = network.lab();
    let frame = test.by_neighbor(neighbor, build::udp(test.ip, neighbor.ip, 68, 67, b"anything"));
    assert_eq!(lab.one(test.port, frame.clone()), (neighbor.port, frame));
}

#[test]
fn a_vpc_without_dns_support_names_no_resolver() {
    let mut network = Reference::new();
    let attribute = model::VpcAttribute::EnableDnsSupport(false);
    network.cloud.apply(model::Change::ModifyVpcAttribute { vpc: network.vpc, attribute });
    let test = &network.test;
    let mut lab = network.lab();
    let offer = answer(&mut lab, test, broadcast(test, &message(test, DhcpMessageType::Discover)));
    assert_eq!(offer.option(6), None);
    assert_eq!(offer.option(15).as_deref(), Some(&b"eu-west-1.compute.internal"[..]));
}
