//! What is asked of a region about IPv6, prefix lists and the route tables of gateways.

use std::net::Ipv6Addr;

use ipnet::{IpNet, Ipv6Net};
use model::{
    AddressFamily, Change, ConnectionTracking, Destination, Direction, InterfaceAttribute, Ipv6Addresses,
    Peer, Permission, PrefixListEntry, Protocol, Region, SubnetIpv6Attribute, Tags, VpcAttribute,
};

use super::{
    EIGW, GROUP, IGW, INTERFACE, PREFIX_LIST, SUBNET, Step, TABLE, VPC, attachment, id, net, one, via,
};

pub(super) fn change(region: &Region, (kind, [a, b, c, d]): Step) -> Change {
    match kind {
        100 => {
            Change::AssociateVpcIpv6CidrBlock { vpc: one(region.vpcs(), a, VPC), cidr: net6(b % 4, c, 56) }
        }
        101 => {
            let blocks = region.vpcs().values().flat_map(|vpc| &vpc.ipv6);
            let association = blocks.map(|block| block.association).nth(usize::from(a % 4));
            Change::DisassociateVpcCidrBlock {
                association: association.unwrap_or_else(|| id("vpc-cidr-assoc-00000000")),
            }
        }
        102..=104 => {
            let subnet = one(region.subnets(), a, SUBNET);
            let vpc = region.subnets().get(&subnet).map(|subnet| subnet.vpc);
            let blocks = region.vpcs().values().filter(|own| Some(own.id) == vpc).flat_map(|vpc| &vpc.ipv6);
            let block = blocks.map(|block| block.cidr).next_back().filter(|_| d > 16);
            let near = block.map(|block| {
                let address = u128::from(block.network()) | (u128::from(c % 8) << 64);
                Ipv6Net::new_assert(Ipv6Addr::from(address), 64)
            });
            Change::AssociateSubnetCidrBlock { subnet, cidr: near.unwrap_or_else(|| net6(b % 4, c % 8, 64)) }
        }
        105 => {
            let association = one(region.subnets(), a, SUBNET);
            let block = region.subnets().get(&association).and_then(|subnet| subnet.ipv6);
            Change::DisassociateSubnetCidrBlock {
                association: block
                    .map_or_else(|| id("subnet-cidr-assoc-00000000"), |block| block.association),
            }
        }
        106 if b % 8 == 1 => Change::ModifyVpcAttribute {
            vpc: one(region.vpcs(), a, VPC),
            attribute: match d & 1 {
                0 => VpcAttribute::EnableDnsSupport(c & 1 == 0),
                _ => VpcAttribute::EnableDnsHostnames(c & 1 == 0),
            },
        },
        106 => Change::ModifySubnetIpv6Attribute {
            subnet: one(region.subnets(), a, SUBNET),
            attribute: match b % 4 {
                0 => SubnetIpv6Attribute::EnableDns64(c & 1 == 0),
                _ => SubnetIpv6Attribute::AssignAddressOnCreation(c & 1 == 0),
            },
        },
        107 | 108 => Change::AssignIpv6Addresses {
            interface: one(region.interfaces(), a, INTERFACE),
            addresses: match b % 3 {
                0 => Ipv6Addresses::Count(u32::from(c % 4)),
                _ => Ipv6Addresses::These(vec![Ipv6Addr::from(
                    u128::from(net6(c % 4, d % 8, 64).network()) + u128::from(b % 16),
                )]),
            },
        },
        109 => {
            let interface = one(region.interfaces(), a, INTERFACE);
            let own = region.interfaces().get(&interface).and_then(|own| own.ipv6_addresses.first());
            let address = own.copied().filter(|_| b > 8).unwrap_or(Ipv6Addr::LOCALHOST);
            Change::UnassignIpv6Addresses { interface, addresses: vec![address] }
        }
        110 => Change::CreateEgressOnlyInternetGateway { vpc: one(region.vpcs(), a, VPC), tags: Tags::new() },
        111 => Change::DeleteEgressOnlyInternetGateway {
            gateway: one(region.egress_only_internet_gateways(), a, EIGW),
        },
        112 => Change::AssociateGatewayRouteTable {
            table: one(region.route_tables(), a, TABLE),
            gateway: one(region.internet_gateways(), b, IGW),
        },
        113 => Change::CreateRoute {
            table: one(region.route_tables(), a, TABLE),
            destination: match b % 4 {
                0 => net6(0, 0, 0).into(),
                1 => net6(c % 4, d % 8, 64).into(),
                _ => Destination::PrefixList(one(region.prefix_lists(), c, PREFIX_LIST)),
            },
            target: via(region, c, d),
        },
        114 => Change::CreateManagedPrefixList {
            name: ["office", ""][usize::from(a == 0)].to_owned(),
            family: if b & 1 == 0 { AddressFamily::Ipv4 } else { AddressFamily::Ipv6 },
            max_entries: u32::from(c % 32),
            entries: vec![entry(b, d)],
            tags: Tags::new(),
        },
        115 => prefix_list_change(region, a, b, c, d),
        116 => Change::AuthorizeSecurityGroup {
            group: one(region.security_groups(), a, GROUP),
            direction: if b & 1 == 0 { Direction::Ingress } else { Direction::Egress },
            rule: Permission {
                protocol: if b & 2 == 0 { Protocol::Icmpv6 } else { Protocol::All },
                ports: (b & 4 == 0).then_some((i32::from(d) - 1, -1)),
                peer: match c % 2 {
                    0 => Peer::PrefixList(one(region.prefix_lists(), d, PREFIX_LIST)),
                    _ => Peer::Cidr6(net6(d % 4, d, 64)),
                },
                description: None,
            },
        },
        _ => Change::ModifyNetworkInterfaceAttribute {
            interface: one(region.interfaces(), a, INTERFACE),
            attribute: match b % 2 {
                0 => InterfaceAttribute::ConnectionTracking(ConnectionTracking {
                    tcp_established: u32::from(c) * 2,
                    udp_stream: u32::from(d),
                    udp: u32::from(d % 64),
                }),
                _ => InterfaceAttribute::DeleteOnTermination {
                    attachment: attachment(region, a),
                    delete: c & 1 == 0,
                },
            },
        },
    }
}

fn prefix_list_change(region: &Region, a: u8, b: u8, c: u8, d: u8) -> Change {
    let list = one(region.prefix_lists(), a, PREFIX_LIST);
    let now = region.prefix_lists().get(&list);
    let version = now.map_or(1, |list| list.version);
    let family = now.map_or(0, |list| u8::from(list.family == AddressFamily::Ipv6));
    let first = now.and_then(|list| list.entries.first()).map(|entry| entry.cidr);
    match b % 5 {
        0 => Change::DeleteManagedPrefixList { list },
        1 => Change::RestoreManagedPrefixListVersion {
            list,
            current_version: version,
            version: u64::from(c % 4),
        },
        2 => Change::ModifyManagedPrefixList {
            list,
            current_version: None,
            name: (d & 1 == 0).then(|| "renamed".to_owned()),
            max_entries: Some(u32::from(c % 80)),
            add: Vec::new(),
            remove: Vec::new(),
        },
        _ => Change::ModifyManagedPrefixList {
            list,
            current_version: (d > 8).then_some(version + u64::from(d < 24)),
            name: None,
            max_entries: None,
            add: vec![entry(family, c)],
            remove: first.filter(|_| c & 1 == 0).into_iter().collect(),
        },
    }
}

fn entry(family: u8, c: u8) -> PrefixListEntry {
    let cidr = if family & 1 == 0 { IpNet::V4(net(10, c % 4, c, 24)) } else { net6(c % 4, c % 8, 64).into() };
    PrefixListEntry { cidr, description: (c & 1 == 0).then(|| "one".to_owned()) }
}

/// 2001:db8:0:`block``part`::9/`prefix`
fn net6(block: u8, part: u8, prefix: u8) -> Ipv6Net {
    let fourth = u16::from_be_bytes([block, part]);
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 0, fourth, 0, 0, 0, 9), prefix)
}
