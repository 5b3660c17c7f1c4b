//! What is asked of a region.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::Ipv4Net;
use model::{
    Change, Destination, Direction, InstanceAttribute, InstanceState, InterfaceAttribute, InterfaceSource,
    Ipv6Addresses, Launch, LaunchInterface, MetadataOptions, NewInterface, Peer, Permission, Protocol,
    Region, RouteOrigin, RouteTableId, RouteVia, SecondaryAddresses, SubnetId, TaggedResource, Tags,
};
use proptest::prelude::*;

mod ipv6;
use crate::{gateways, prefixes};

/// One change to be: which, and numbers to choose its parts by, mostly among what the region has by then.
pub(crate) type Step = (u8, [u8; 4]);

pub(crate) fn step() -> impl Strategy<Value = Step> {
    (
        prop_oneof![3 => 0..19u8, 1 => 19..41u8, 2 => 41..65u8, 2 => 100..118u8, 2 => 163..202u8, 1 => 202..210u8],
        any::<[u8; 4]>(),
    )
}

/// A VPC with two subnets, an internet gateway and an instance, for the other steps to find something.
pub(crate) const FIRST: [Step; 8] = [
    (0, [0, 0, 0, 1]),
    (1, [1, 0, 1, 1]),
    (1, [1, 0, 2, 1]),
    (5, [0, 0, 0, 1]),
    (6, [1, 1, 0, 1]),
    (17, [1, 1, 0, 2]),
    (100, [1, 1, 0, 0]),
    (102, [1, 1, 1, 1]),
];

/// The change that a step asks of this region.
pub(crate) fn change(region: &Region, step: Step) -> Change {
    match step.0 {
        0..=18 => creation(region, step),
        19..=40 => alteration(region, step),
        41..=64 => life(region, step),
        100..=117 => ipv6::change(region, step),
        202..=209 => prefixes::change(region, step),
        _ => gateways::change(region, step),
    }
}

fn creation(region: &Region, (kind, [a, b, c, d]): Step) -> Change {
    let tags = if d == 0 { Tags::from([("aws:x".to_owned(), String::new())]) } else { Tags::new() };
    match kind {
        0 => Change::CreateVpc { cidr: net(10, 2 + a % 3, 0, [16, 16, 20, 15][usize::from(b % 4)]), tags },
        1..=4 => Change::CreateSubnet {
            vpc: one(region.vpcs(), a, VPC),
            cidr: net(10, 2 + b % 3, c, [20, 24, 24, 27, 28, 29][usize::from(d % 6)]),
            availability_zone: (d & 1 == 0).then(|| "eu-west-1b".to_owned()),
            tags,
        },
        5 => Change::CreateInternetGateway { tags },
        6 => Change::AttachInternetGateway {
            igw: one(region.internet_gateways(), a, IGW),
            vpc: one(region.vpcs(), b, VPC),
        },
        7 => Change::CreateRouteTable { vpc: one(region.vpcs(), a, VPC), tags },
        8 | 9 => Change::CreateRoute {
            table: one(region.route_tables(), a, TABLE),
            destination: destination(region, b, c, d),
            target: via(region, c, d),
        },
        10 => Change::AssociateRouteTable {
            table: one(region.route_tables(), a, TABLE),
            subnet: one(region.subnets(), b, SUBNET),
        },
        11 => Change::CreateSecurityGroup {
            vpc: one(region.vpcs(), a, VPC),
            name: ["web", "db", "default", "vpn", ""][usize::from(b % 5)].to_owned(),
            description: "made by a test".to_owned(),
            tags,
        },
        12 | 13 => Change::AuthorizeSecurityGroup {
            group: one(region.security_groups(), a, GROUP),
            direction: if b & 1 == 0 { Direction::Ingress } else { Direction::Egress },
            rule: Permission {
                protocol: Protocol::from([1, 6, 17, 50][usize::from(b / 2 % 4)]),
                ports: (b & 64 == 0).then_some((i32::from(d) - 2, i32::from(c))),
                peer: match c % 2 {
                    0 => Peer::Group(one(region.security_groups(), d, GROUP)),
                    _ => Peer::Cidr(net(10, d % 4, d, 16)),
                },
                description: None,
            },
        },
        14 => {
            let group = one(region.security_groups(), a, GROUP);
            let rules = region.security_groups().get(&group).into_iter().flat_map(|group| group.rules());
            let rule = rules.map(|rule| rule.id).nth(usize::from(b % 4));
            Change::RevokeSecurityGroupRule { group, rule: rule.unwrap_or_else(|| id("sgr-00000000")) }
        }
        15 => Change::AllocateAddress { public_ip: Ipv4Addr::new(203, 0, 113, a % 16), tags },
        16 => Change::AssociateAddress {
            allocation: one(region.addresses(), a, ALLOCATION),
            interface: one(region.interfaces(), b, INTERFACE),
            private_ip: (c < 32).then_some(Ipv4Addr::new(10, 0, c, d)),
        },
        17 => {
            let subnet = one(region.subnets(), a, SUBNET);
            let interface = NewInterface {
                private_ip: match (b % 3, region.subnets().get(&subnet)) {
                    (0, Some(subnet)) => subnet.cidr.hosts().nth(usize::from(c % 16)),
                    _ => None,
                },
                groups: if d & 1 == 0 { vec![] } else { vec![one(region.security_groups(), c, GROUP)] },
                source_dest_check: d & 2 == 0,
                ..NewInterface::new(subnet)
            };
            Change::RunInstances(Launch {
                user_data: (d & 4 == 0).then(|| b"#!/bin/sh\n".to_vec()),
                metadata: MetadataOptions { hop_limit: 1 + d % 65, tokens_required: d & 8 == 0 },
                tags,
                ..Launch::new(id(IMAGE), "t3.micro".to_owned(), interface)
            })
        }
        _ => Change::AssociateVpcCidrBlock {
            vpc: one(region.vpcs(), a, VPC),
            cidr: match b % 4 {
                0 => net(100, 64, c, 20),
                1 => net(192, 168, c, 24),
                _ => net(10, c % 5, d, 24),
            },
        },
    }
}

fn alteration(region: &Region, (kind, [a, b, c, d]): Step) -> Change {
    match kind {
        19 => Change::DeleteVpc { vpc: one(region.vpcs(), a, VPC) },
        20 => Change::DisassociateVpcCidrBlock {
            association: region
                .vpcs()
                .values()
                .flat_map(|vpc| vpc.cidr_associations())
                .map(|association| association.id)
                .nth(usize::from(a % 16))
                .unwrap_or_else(|| id("vpc-cidr-assoc-00000000")),
        },
        21 => Change::DeleteSubnet { subnet: one(region.subnets(), a, SUBNET) },
        22 => {
            let igw = one(region.internet_gateways(), a, IGW);
            let own = region.internet_gateways().get(&igw).and_then(|igw| igw.vpc).filter(|_| b % 4 != 0);
            Change::DetachInternetGateway { igw, vpc: own.unwrap_or_else(|| one(region.vpcs(), c, VPC)) }
        }
        23 => Change::DeleteInternetGateway { igw: one(region.internet_gateways(), a, IGW) },
        24 => Change::DeleteRouteTable { table: one(region.route_tables(), a, TABLE) },
        25 => {
            let (table, destination) = made_route(region, a, b);
            Change::ReplaceRoute { table, destination, target: via(region, c, d) }
        }
        26 => {
            let (table, destination) = made_route(region, a, b);
            Change::DeleteRoute { table, destination }
        }
        27 | 28 => {
            let mains = region.vpcs().values().map(|vpc| vpc.main_association);
            let owns = region.route_tables().values().flat_map(|table| table.associations.keys().copied());
            let all: Vec<_> = owns.chain(mains).collect();
            let association = all.get(usize::from(a) % all.len().max(1)).copied();
            let association = association.unwrap_or_else(|| id("rtbassoc-00000000"));
            match kind {
                27 => Change::DisassociateRouteTable { association },
                _ => Change::ReplaceRouteTableAssociation {
                    association,
                    table: one(region.route_tables(), b, TABLE),
                },
            }
        }
        29 => Change::DeleteSecurityGroup { group: one(region.security_groups(), a, GROUP) },
        30 => {
            let group = one(region.security_groups(), a, GROUP);
            let rules = region.security_groups().get(&group).into_iter().flat_map(|group| group.rules());
            let rule =
                rules.map(|rule| rule.id).nth(usize::from(b % 4)).unwrap_or_else(|| id("sgr-00000000"));
            let description = (c % 3 > 0).then(|| ["plain", "not plain: \n"][usize::from(c % 2)].to_owned());
            Change::UpdateSecurityGroupRuleDescription { group, rule, description }
        }
        31 => Change::ReassociateAddress {
            allocation: one(region.addresses(), a, ALLOCATION),
            interface: one(region.interfaces(), b, INTERFACE),
            private_ip: own_address(region, b, c),
        },
        32 => {
            let mut mapped = region.addresses().values().filter_map(|address| address.association.as_ref());
            let association = mapped.nth(usize::from(a % 4)).map(|association| association.id);
            Change::DisassociateAddress {
                association: association.unwrap_or_else(|| id("eipassoc-00000000")),
            }
        }
        33 => Change::ReleaseAddress { allocation: one(region.addresses(), a, ALLOCATION) },
        34..=36 => {
            Change::CreateNetworkInterface(new_interface(region, one(region.subnets(), a, SUBNET), b, c, d))
        }
        37 => Change::DeleteNetworkInterface { interface: one(region.interfaces(), a, INTERFACE) },
        38 => Change::ModifyNetworkInterfaceAttribute {
            interface: one(region.interfaces(), a, INTERFACE),
            attribute: match b % 4 {
                0 => InterfaceAttribute::Groups(vec![one(region.security_groups(), c, GROUP)]),
                1 => InterfaceAttribute::SourceDestCheck(c & 1 == 0),
                2 => InterfaceAttribute::Description("d".repeat(usize::from(c) + usize::from(d))),
                _ => InterfaceAttribute::DeleteOnTermination {
                    attachment: attachment(region, a),
                    delete: c & 1 == 0,
                },
            },
        },
        39 => Change::AssignPrivateIpAddresses {
            interface: one(region.interfaces(), a, INTERFACE),
            addresses: match b % 3 {
                0 => SecondaryAddresses::Count(u32::from(c % 5)),
                1 => SecondaryAddresses::These(own_address(region, c, d).into_iter().collect()),
                _ => {
                    let near = region.interfaces().get(&one(region.interfaces(), a, INTERFACE));
                    let near = near.map_or(Ipv4Addr::LOCALHOST, |interface| interface.private_ip);
                    SecondaryAddresses::These(vec![Ipv4Addr::from(u32::from(near) ^ u32::from(c % 32))])
                }
            },
            allow_reassignment: d & 1 == 0,
        },
        _ => Change::UnassignPrivateIpAddresses {
            interface: one(region.interfaces(), a, INTERFACE),
            addresses: own_address(region, if d < 200 { a } else { b }, c).into_iter().collect(),
        },
    }
}

fn life(region: &Region, (kind, [a, b, c, d]): Step) -> Change {
    let instance = one(region.instances(), a, INSTANCE);
    let time = u64::from(d);
    match kind {
        41 | 42 => {
            let mut free = region.interfaces().values().filter(|interface| interface.attachment.is_none());
            let interface = free.nth(usize::from(b % 4)).map(|interface| interface.id);
            let interface = interface.unwrap_or_else(|| one(region.interfaces(), b, INTERFACE));
            Change::AttachNetworkInterface { interface, instance, device_index: u32::from(c % 4), time }
        }
        43 => {
            let attachments =
                region.interfaces().values().filter_map(|interface| interface.attachment.as_ref());
            let mut later = attachments.filter(|attachment| attachment.device_index > 0);
            let attachment = later.nth(usize::from(b % 4)).map(|attachment| attachment.id);
            Change::DetachNetworkInterface {
                attachment: attachment.unwrap_or_else(|| self::attachment(region, a)),
            }
        }
        44 if d & 3 == 0 => Change::RegisterImage {
            name: ["small", "large", ""][usize::from(a % 3)].to_owned(),
            description: None,
            location: "/srv/image.tar".to_owned(),
            architecture: "x86_64".to_owned(),
            time,
            tags: Tags::new(),
        },
        45 if d & 3 == 0 => Change::DeregisterImage { image: one(region.images(), a, "ami-00000000") },
        44 => Change::ImportKeyPair {
            name: ["me", "you", ""][usize::from(a % 3)].to_owned(),
            public_key: "ssh-ed25519 AAAA".to_owned(),
            fingerprint: "aa:bb".to_owned(),
            time,
            tags: Tags::new(),
        },
        45 => Change::DeleteKeyPair { key_pair: one(region.key_pairs(), a, "key-00000000") },
        46..=48 => Change::RunInstances(launch(region, a, b, c, d)),
        49 => Change::StartInstance { instance, time },
        50 => Change::StopInstance { instance, time },
        51 => Change::RebootInstance { instance },
        52 => Change::TerminateInstance { instance, time },
        53 => Change::ModifyInstanceAttribute {
            instance,
            attribute: match b % 5 {
                0 => InstanceAttribute::SourceDestCheck(c & 1 == 0),
                1 => InstanceAttribute::Groups(vec![one(region.security_groups(), c, GROUP)]),
                2 => InstanceAttribute::UserData((c & 1 == 0).then(|| vec![d; 3])),
                3 => InstanceAttribute::InstanceType("t3.large".to_owned()),
                _ => InstanceAttribute::DisableApiTermination(c.is_multiple_of(8)),
            },
        },
        54 => Change::ModifyInstanceMetadataOptions {
            instance,
            hop_limit: (b & 1 == 0).then_some(c % 70),
            tokens_required: (b & 2 == 0).then_some(d & 1 == 0),
        },
        55 if b & 1 == 0 => Change::FailInstance { instance, time },
        55 => Change::ForgetInstance { instance },
        56 => Change::CreateTags {
            resources: resources(region, a, b),
            tags: (0..c % 20).map(|n| (format!("{}", n ^ d), String::new())).collect(),
        },
        57 => Change::DeleteTags {
            resources: resources(region, a, b),
            tags: (0..c % 4).map(|n| (n.to_string(), (d & 1 == 0).then(String::new))).collect(),
        },
        63 => {
            let mut waiting = region.interfaces().keys().filter(|id| region.awaits_public_address(**id));
            let interface = waiting.nth(usize::from(b % 4)).copied();
            Change::AssignPublicAddress {
                interface: interface.unwrap_or_else(|| one(region.interfaces(), b, INTERFACE)),
                public_ip: Ipv4Addr::new(203, 0, 113, c % 16),
            }
        }
        64 => Change::ModifySubnetAttribute {
            subnet: one(region.subnets(), a, SUBNET),
            map_public_ip_on_launch: b % 4 > 0,
        },
        _ => Change::SetInstanceState {
            instance,
            state: [
                InstanceState::Running,
                InstanceState::Running,
                InstanceState::Stopped,
                InstanceState::Terminated,
                InstanceState::Terminated,
                InstanceState::Pending,
                InstanceState::Stopping,
                InstanceState::ShuttingDown,
            ][usize::from(b % 8)],
        },
    }
}

fn launch(region: &Region, a: u8, b: u8, c: u8, d: u8) -> Launch {
    let subnet = one(region.subnets(), a, SUBNET);
    let mut interfaces = vec![LaunchInterface {
        device_index: u32::from(b == 0),
        delete_on_termination: b & 1 == 0,
        source: match c % 4 {
            0 => InterfaceSource::Existing(one(region.interfaces(), d, INTERFACE)),
            n => InterfaceSource::New {
                interface: new_interface(region, subnet, b, c, d),
                associate_public_ip: (n < 3).then_some(d & 4 == 0),
            },
        },
    }];
    if b.is_multiple_of(4) {
        interfaces.push(LaunchInterface {
            device_index: u32::from(b % 3),
            delete_on_termination: true,
            source: NewInterface::new(subnet).into(),
        });
    }
    Launch {
        count: u32::from(d % 4),
        interfaces,
        key_name: (c & 16 == 0).then(|| "me".to_owned()),
        disable_api_termination: d.is_multiple_of(16),
        time: u64::from(d),
        ..Launch::new(id(IMAGE), "t3.micro".to_owned(), NewInterface::new(subnet))
    }
}

fn new_interface(region: &Region, subnet: SubnetId, b: u8, c: u8, d: u8) -> NewInterface {
    let at = |offset: u8| region.subnets().get(&subnet)?.cidr.hosts().nth(usize::from(offset % 24));
    NewInterface {
        private_ip: if b % 4 == 1 { at(c) } else { None },
        secondary: match b % 5 {
            0 => SecondaryAddresses::Count(u32::from(c % 3)),
            1 => SecondaryAddresses::These(at(d).into_iter().collect()),
            _ => SecondaryAddresses::Count(0),
        },
        groups: if d & 1 == 0 { vec![] } else { vec![one(region.security_groups(), c, GROUP)] },
        ipv6: (d % 8 == 3).then(|| Ipv6Addresses::Count(u32::from(c % 3))),
        ..NewInterface::new(subnet)
    }
}

fn resources(region: &Region, a: u8, b: u8) -> Vec<TaggedResource> {
    let all: Vec<_> = region.tagged().map(|(resource, _)| resource).collect();
    let chosen = [a, b].into_iter().filter_map(|n| all.get(usize::from(n) % all.len().max(1)).copied());
    let gone = (a == 0).then(|| TaggedResource::Subnet(id(SUBNET)));
    chosen.chain(gone).collect()
}

fn destination(region: &Region, b: u8, c: u8, d: u8) -> Destination {
    let cidr = match b % 4 {
        0 => net(0, 0, 0, 0),
        1 => net(10, 2 + c % 3, d, 24),
        2 => net(192, 168, c, d % 33),
        _ => region.subnets().values().nth(usize::from(c) % 8).map_or(net(169, 254, 169, 24), |s| s.cidr),
    };
    cidr.into()
}

/// The table and destination of a route that there is, seldom a local one.
fn made_route(region: &Region, choice: u8, local: u8) -> (RouteTableId, Destination) {
    let all = region.route_tables().values().flat_map(|table| table.routes().map(|route| (table.id, route)));
    let found: Vec<_> = all
        .filter(|(_, route)| local.is_multiple_of(8) || route.origin == RouteOrigin::CreateRoute)
        .map(|(table, route)| (table, route.destination))
        .collect();
    found
        .get(usize::from(choice) % found.len().max(1))
        .copied()
        .unwrap_or((id(TABLE), net(0, 0, 0, 0).into()))
}

fn via(region: &Region, c: u8, d: u8) -> RouteVia {
    match c % 6 {
        3 => RouteVia::NatGateway(one(region.nat_gateways(), d, gateways::NAT)),
        4 => RouteVia::Peering(one(region.vpc_peering_connections(), d, gateways::PEERING)),
        0 => RouteVia::InternetGateway(one(region.internet_gateways(), d, IGW)),
        1 => RouteVia::Interface(one(region.interfaces(), d, INTERFACE)),
        2 => RouteVia::EgressOnlyInternetGateway(one(region.egress_only_internet_gateways(), d, EIGW)),
        _ => RouteVia::Instance(one(region.instances(), d, INSTANCE)),
    }
}

/// One of an interface's addresses.
fn own_address(region: &Region, interface: u8, choice: u8) -> Option<Ipv4Addr> {
    let interface = region.interfaces().get(&one(region.interfaces(), interface, INTERFACE))?;
    interface.addresses().nth(usize::from(choice % 3))
}

fn attachment(region: &Region, interface: u8) -> model::AttachmentId {
    let interface = region.interfaces().get(&one(region.interfaces(), interface, INTERFACE));
    let attachment = interface.and_then(|interface| interface.attachment.as_ref());
    attachment.map_or_else(|| id("eni-attach-00000000"), |attachment| attachment.id)
}

const IMAGE: &str = "ami-00000000000000001";
pub(crate) const VPC: &str = "vpc-00000000";
pub(crate) const SUBNET: &str = "subnet-00000000";
const IGW: &str = "igw-00000000";
const EIGW: &str = "eigw-00000000";
const PREFIX_LIST: &str = "pl-00000000";
const TABLE: &str = "rtb-00000000";
const GROUP: &str = "sg-00000000";
pub(crate) const INTERFACE: &str = "eni-00000000";
const INSTANCE: &str = "i-00000000";
pub(crate) const ALLOCATION: &str = "eipalloc-00000000";

/// One of the ids there are, or, seldom, one that there is not.
pub(crate) fn one<Id, T>(all: &BTreeMap<Id, T>, choice: u8, missing: &str) -> Id
where
    Id: Copy + FromStr<Err: std::fmt::Debug>,
{
    if choice == 0 || all.is_empty() {
        return id(missing);
    }
    all.keys().nth(usize::from(choice) % all.len()).copied().unwrap_or_else(|| id(missing))
}

#[expect(clippy::expect_used, reason = "the texts are this file's")]
pub(crate) fn id<Id: FromStr<Err: std::fmt::Debug>>(text: &str) -> Id {
    text.parse().expect("an id")
}

pub(crate) fn net(a: u8, b: u8, c: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 7), prefix)
}
