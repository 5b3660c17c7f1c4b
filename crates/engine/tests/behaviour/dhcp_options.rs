//! What a VPC's DHCP option set makes of DHCP's answers of both families.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::{Applied, Change, DhcpConfiguration, DhcpOptionsId, Ipv6Addresses, NameServer, Tags};
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress};
use wire::{Frame, Mac, Packet, build};

use crate::lab::{Lab, Machine, Reference};

fn corp() -> DhcpConfiguration {
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x53);
    DhcpConfiguration {
        domain_name: Some("corp.example".to_owned()),
        domain_name_servers: vec![
            NameServer::Address([10, 9, 0, 53].into()),
            NameServer::Amazon,
            NameServer::Address(v6.into()),
        ],
        ntp_servers: vec![[10, 9, 0, 123].into(), Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x123).into()],
        netbios_name_servers: vec![[10, 9, 0, 137].into()],
        netbios_node_type: Some(2),
        ipv6_address_preferred_lease_time: Some(1000),
    }
}

fn associate(network: &mut Reference, options: Option<DhcpOptionsId>) {
    let vpc = network.vpc;
    network.cloud.apply(Change::AssociateDhcpOptions { options, vpc });
}

fn with_corp() -> Reference {
    let mut network = Reference::new();
    let create = Change::CreateDhcpOptions { configuration: corp(), tags: Tags::new() };
    let Applied::DhcpOptions(options) = network.cloud.apply(create) else { panic!() };
    associate(&mut network, Some(options));
    network
}

/// The options of the answer to a request for the machine's own address.
fn renewed(lab: &mut Lab, machine: &Machine) -> BTreeMap<u8, Vec<u8>> {
    let nowhere = Ipv4Addr::UNSPECIFIED;
    let request = DhcpRepr {
        message_type: DhcpMessageType::Request,
        transaction_id: 7,
        secs: 0,
        client_hardware_address: EthernetAddress(machine.mac.0),
        client_ip: machine.ip,
        your_ip: nowhere,
        server_ip: nowhere,
        router: None,
        subnet_mask: None,
        relay_agent_ip: nowhere,
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: None,
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut bytes = vec![0; request.buffer_len()];
    request.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).unwrap();
    let frame = build::udp(machine.ip, Ipv4Addr::BROADCAST, 68, 67, &bytes);
    let answer = payload(lab, machine, frame.with_macs(machine.mac, Mac::BROADCAST));
    let answer = DhcpPacket::new_checked(&answer[..]).unwrap();
    answer.options().map(|option| (option.kind, option.data.to_vec())).collect()
}

/// The options of the answer to a Solicit with Rapid Commit (RFC 8415), those of its IA_NA as 0x100 plus their codes.
fn solicited(lab: &mut Lab, machine: &Machine) -> BTreeMap<u16, Vec<u8>> {
    let client_id = [&[0, 1, 0, 10, 0, 3, 0, 1][..], &machine.mac.0].concat();
    let association = [0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let solicit = [&[1, 0, 0, 7][..], &client_id, &association, &[0, 14, 0, 0]].concat();
    let (own, servers) =
        (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7), "ff02::1:2".parse::<Ipv6Addr>().unwrap());
    let frame = build::udp(own, servers, 546, 547, &solicit);
    let answer = payload(lab, machine, frame.with_macs(machine.mac, Mac([0x33, 0x33, 0, 1, 0, 2])));
    assert_eq!((answer[0], &answer[1..4]), (7, &[0, 0, 7][..]));
    let mut options = options6(&answer[4..]);
    let inner = options6(&options[&3][12..]);
    options.extend(inner.into_iter().map(|(code, data)| (code + 0x100, data)));
    options
}

fn options6(mut bytes: &[u8]) -> BTreeMap<u16, Vec<u8>> {
    let mut options = BTreeMap::new();
    while let [a, b, c, d, rest @ ..] = bytes {
        let (data, rest) = rest.split_at(u16::from_be_bytes([*c, *d]).into());
        options.insert(u16::from_be_bytes([*a, *b]), data.to_vec());
        bytes = rest;
    }
    options
}

fn payload(lab: &mut Lab, machine: &Machine, frame: Frame) -> Vec<u8> {
    let (port, frame) = lab.one(machine.port, frame);
    assert_eq!(port, machine.port);
    let packet = Packet::parse(&frame.bytes).unwrap();
    packet.payload(&frame.bytes).to_vec()
}

#[test]
fn an_option_set_is_told() {
    let network = with_corp();
    let told = renewed(&mut network.cloud.lab(), &network.test);
    for (kind, value) in [
        (6, &[10, 9, 0, 53, 10, 210, 0, 2][..]),
        (15, b"corp.example"),
        (42, &[10, 9, 0, 123]),
        (44, &[10, 9, 0, 137]),
        (46, &[2]),
    ] {
        assert_eq!(told[&kind], value, "option {kind}");
    }
}

#[test]
fn without_an_option_set_only_addresses_are_told() {
    let mut network = Reference::new();
    associate(&mut network, None);
    let told = renewed(&mut network.cloud.lab(), &network.test);
    let codes: Vec<u8> = told.keys().copied().collect();
    assert_eq!(codes, [1, 3, 12, 26, 28, 51, 53, 54]);
}

#[test]
fn ipv6_servers_and_lease_times_are_told() {
    let mut network = with_corp();
    let (vpc, subnet, interface) = (network.vpc, network.test_subnet, network.test.key.interface);
    let [cidr, part] = ["2001:db8:0:100::/56", "2001:db8:0:100::/64"].map(|text| text.parse().unwrap());
    network.cloud.apply(Change::AssociateVpcIpv6CidrBlock { vpc, cidr });
    network.cloud.apply(Change::AssociateSubnetCidrBlock { subnet, cidr: part });
    network.cloud.apply(Change::AssignIpv6Addresses { interface, addresses: Ipv6Addresses::Count(1) });
    let bytes = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
    let address = network.cloud.region.interfaces()[&interface].ipv6_addresses[0].octets();

    let told = solicited(&mut network.cloud.lab(), &network.test);
    assert_eq!(told[&23], [bytes("fd00:ec2::253"), bytes("2001:db8::53")].concat());
    assert_eq!(told[&56], [&[0, 1, 0, 16][..], &bytes("fd00:ec2::123")].concat());
    let lease =
        |preferred: u32, valid: u32| [&address[..], &preferred.to_be_bytes(), &valid.to_be_bytes()].concat();
    assert_eq!(told[&0x105], lease(1000, 1000));

    associate(&mut network, None);
    let told = solicited(&mut network.cloud.lab(), &network.test);
    assert!(!told.contains_key(&23) && !told.contains_key(&56));
    assert_eq!(told[&0x105], lease(140, 450));
}

#[test]
fn the_longest_answer_is_short_enough() {
    let mut network = Reference::new();
    let four: [IpAddr; 4] = [1, 2, 3, 4].map(|last| [10, 9, 0, last].into());
    let configuration = DhcpConfiguration {
        domain_name: Some("x".repeat(190)),
        domain_name_servers: four.map(NameServer::Address).to_vec(),
        ntp_servers: four.to_vec(),
        netbios_name_servers: [1, 2, 3, 4].map(|last| Ipv4Addr::new(10, 9, 0, last)).to_vec(),
        ..corp()
    };
    let Applied::DhcpOptions(options) =
        network.cloud.apply(Change::CreateDhcpOptions { configuration, tags: Tags::new() })
    else {
        panic!()
    };
    associate(&mut network, Some(options));
    let mut lab = network.cloud.lab();
    let told = renewed(&mut lab, &network.test);
    assert_eq!((told[&15].len(), told[&44].len()), (190, 16));
    let options: usize = told.values().map(|data| data.len() + 2).sum();
    assert!(20 + 8 + 240 + options < 576, "{options} octets of options");
}
