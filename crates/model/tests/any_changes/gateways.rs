//! What is asked of a region's NAT gateways, network ACLs, peering connections, default VPC and DHCP option sets, its flow
//! logs, and of rules that are there.

use std::net::Ipv4Addr;

use model::{
    AclEntry, AllocationId, Change, Connectivity, DhcpConfiguration, Direction, FlowLogResource, LogFormat,
    NameServer, NatGateway, NatGatewayState, NewFlowLog, NewNatGateway, Peer, Permission, Protocol, Region,
    SecondaryAddresses, Tags, TrafficType,
};

use crate::steps::{ALLOCATION, INTERFACE, SUBNET, Step, VPC, id, net, one};

pub(crate) const NAT: &str = "nat-00000000";
pub(crate) const PEERING: &str = "pcx-00000000";
const DHCP_OPTIONS: &str = "dopt-00000000";
const ACL: &str = "acl-00000000";
const FLOW_LOG: &str = "fl-00000000";

/// A public and a private NAT gateway, both available, for the other steps to find something.
pub(crate) const FIRST: [Step; 7] = [
    (15, [1, 0, 0, 1]),
    (15, [2, 0, 0, 1]),
    (15, [3, 0, 0, 1]),
    (163, [1, 4, 20, 2]),
    (163, [1, 1, 20, 2]),
    (175, [1, 0, 0, 0]),
    (175, [2, 0, 0, 0]),
];

pub(crate) fn change(region: &Region, step: Step) -> Change {
    match step.0 {
        163..=178 => nat(region, step),
        179..=186 => acl(region, step),
        195..=197 => dhcp(region, step),
        198 => modify_rule(region, step),
        199..=201 => flow_log(region, step),
        _ => peering(region, step),
    }
}

fn modify_rule(region: &Region, (_, [a, b, c, d]): Step) -> Change {
    let groups: Vec<_> = region.security_groups().values().collect();
    let group = groups.get(usize::from(a) % groups.len().max(1));
    let rule = group.and_then(|group| group.rules().nth(usize::from(b % 4)));
    Change::ModifySecurityGroupRule {
        group: group.map_or_else(|| id("sg-00000000"), |group| group.id),
        rule: rule.map_or_else(|| id("sgr-00000000"), |rule| rule.id),
        permission: Permission {
            protocol: Protocol::from([1, 6, 17, 50][usize::from(c % 4)]),
            ports: Some((i32::from(d), i32::from(d))),
            peer: rule.map_or(Peer::Cidr(net(10, 0, d, 24)), |rule| match rule.peer {
                Peer::Cidr(_) if d & 1 == 0 => Peer::Cidr(net(10, 0, d, 24)),
                other => other,
            }),
            description: None,
        },
    }
}

fn dhcp(region: &Region, (kind, [a, b, c, d]): Step) -> Change {
    let options = one(region.dhcp_options(), a, DHCP_OPTIONS);
    match kind {
        195 => Change::CreateDhcpOptions {
            configuration: DhcpConfiguration {
                domain_name: (b & 1 == 0).then(|| "corp.example".to_owned()),
                domain_name_servers: vec![NameServer::Amazon; usize::from(c % 6)],
                netbios_node_type: (d & 1 == 0).then_some(d % 16),
                ..DhcpConfiguration::default()
            },
            tags: Tags::new(),
        },
        196 => Change::AssociateDhcpOptions {
            options: (c > 32).then_some(options),
            vpc: one(region.vpcs(), b, VPC),
        },
        _ => Change::DeleteDhcpOptions { options },
    }
}

fn flow_log(region: &Region, (kind, [a, b, c, d]): Step) -> Change {
    if kind == 201 {
        return Change::DeleteFlowLog { flow_log: one(region.flow_logs(), a, FLOW_LOG) };
    }
    Change::CreateFlowLog(NewFlowLog {
        resource: match b % 3 {
            0 => FlowLogResource::Vpc(one(region.vpcs(), a, VPC)),
            1 => FlowLogResource::Subnet(one(region.subnets(), a, SUBNET)),
            _ => FlowLogResource::Interface(one(region.interfaces(), a, INTERFACE)),
        },
        traffic: [TrafficType::Accept, TrafficType::Reject, TrafficType::All][usize::from(c % 3)],
        interval: 60,
        format: LogFormat::default(),
        destination: id(["arn:aws:s3:::flows", "arn:aws:s3:::others/a/"][usize::from(d & 1)]),
        hive_compatible: false,
        per_hour: false,
        time: 0,
        tags: Tags::new(),
    })
}

fn nat(region: &Region, (kind, [a, b, c, d]): Step) -> Change {
    let gateway = one(region.nat_gateways(), a, NAT);
    let there = region.nat_gateways().get(&gateway);
    let time = u64::from(d) * 100;
    match kind {
        163..=165 => Change::CreateNatGateway(NewNatGateway {
            connectivity: if b & 1 == 0 { Connectivity::Public } else { Connectivity::Private },
            allocations: match b % 8 {
                0 => vec![one(region.addresses(), c, ALLOCATION); 2],
                2 => free(region, c, 2),
                n if n & 1 == 0 => free(region, c, 1),
                7 => free(region, c, 1),
                _ => Vec::new(),
            },
            private_ip: (c < 16).then(|| Ipv4Addr::new(10, 2, c, d)),
            secondary: SecondaryAddresses::Count(u32::from(d % 16 == 0) * u32::from(d)),
            time,
            tags: match d % 8 {
                0 => Tags::from([("ringwall:nat-profile".to_owned(), "rfc".to_owned())]),
                1 => Tags::from([("ringwall:nat-profile".to_owned(), "other".to_owned())]),
                _ => Tags::new(),
            },
            ..NewNatGateway::new(one(region.subnets(), a, SUBNET))
        }),
        166 => Change::DeleteNatGateway { gateway, time },
        167 | 168 => Change::AssociateNatGatewayAddress {
            gateway,
            allocations: if b % 8 == 0 {
                vec![one(region.addresses(), c, ALLOCATION)]
            } else {
                free(region, c, 1)
            },
            private_ips: Vec::new(),
        },
        169 | 170 => Change::DisassociateNatGatewayAddress {
            gateway,
            associations: there
                .into_iter()
                .flat_map(|gateway| gateway.addresses.iter().filter_map(|address| address.association))
                .skip(usize::from(b % 4 != 0))
                .collect(),
            max_drain: u32::from(c) * 16,
            time,
        },
        171 => Change::AssignPrivateNatGatewayAddress {
            gateway,
            addresses: match b % 4 {
                0 => SecondaryAddresses::These(vec![Ipv4Addr::new(10, 2, c, d)]),
                _ => SecondaryAddresses::Count(u32::from(c % 5)),
            },
        },
        172 => Change::UnassignPrivateNatGatewayAddress {
            gateway,
            addresses: there
                .into_iter()
                .flat_map(|gateway| gateway.addresses.iter().map(|address| address.private_ip))
                .skip(usize::from(b % 4 != 0))
                .collect(),
            max_drain: u32::from(c) * 16,
            time,
        },
        173 => Change::EndNatGatewayDrain {
            gateway,
            time: there.and_then(NatGateway::next_drain_end).unwrap_or(time),
        },
        174 => Change::ForgetNatGateway { gateway },
        _ => Change::SetNatGatewayState {
            gateway,
            state: match there.map(|gateway| gateway.state) {
                Some(NatGatewayState::Deleting) if b % 4 > 0 => NatGatewayState::Deleted,
                _ => [NatGatewayState::Available, NatGatewayState::Deleted, NatGatewayState::Pending]
                    [usize::from(b) % 5 / 2],
            },
        },
    }
}

/// Elastic IP addresses that are mapped to nothing.
fn free(region: &Region, choice: u8, count: usize) -> Vec<AllocationId> {
    let free: Vec<_> = region.addresses().values().filter(|address| address.association.is_none()).collect();
    let chosen = free.iter().cycle().skip(usize::from(choice)).take(count.min(free.len()));
    chosen.map(|address| address.allocation).collect()
}

fn acl(region: &Region, (kind, [a, b, c, d]): Step) -> Change {
    let acl = one(region.network_acls(), a, ACL);
    let direction = if b & 1 == 0 { Direction::Ingress } else { Direction::Egress };
    let number = u16::from(c % 32);
    let entry = AclEntry {
        protocol: match d % 5 {
            0 => Protocol::All,
            n => Protocol::from([6, 17, 1, 50][usize::from(n) - 1]),
        },
        cidr: if b & 2 == 0 {
            net(10, c, d, 20).into()
        } else {
            "2001:db8::1/64".parse().unwrap_or_default()
        },
        ports: (b & 4 == 0).then_some((u16::from(c), u16::from(d) + 100)),
        icmp: (b & 8 == 0).then_some((i16::from(c) - 1, -1)),
        allow: b & 16 == 0,
    };
    match kind {
        179 => Change::CreateNetworkAcl { vpc: one(region.vpcs(), a, VPC), tags: Tags::new() },
        180 => Change::DeleteNetworkAcl { acl },
        181..=183 => Change::CreateNetworkAclEntry { acl, direction, number, entry },
        184 => Change::ReplaceNetworkAclEntry {
            acl,
            direction,
            number: if d & 8 == 0 { 100 } else { number },
            entry,
        },
        185 => {
            Change::DeleteNetworkAclEntry { acl, direction, number: if d & 8 == 0 { 100 } else { number } }
        }
        _ => {
            let association = region.subnets().get(&one(region.subnets(), b, SUBNET));
            let association = association.map(|subnet| subnet.network_acl.id);
            let association = association.unwrap_or_else(|| id("aclassoc-00000000"));
            Change::ReplaceNetworkAclAssociation { association, acl }
        }
    }
}

fn peering(region: &Region, (kind, [a, b, c, d]): Step) -> Change {
    let connection = one(region.vpc_peering_connections(), a, PEERING);
    let time = u64::from(c) * if d % 4 == 0 { 10_000 } else { 1 };
    match kind {
        187 | 188 => Change::CreateVpcPeeringConnection {
            requester: one(region.vpcs(), a, VPC),
            accepter: one(region.vpcs(), b, VPC),
            time: u64::from(c),
            tags: Tags::new(),
        },
        189 => Change::AcceptVpcPeeringConnection { connection, time },
        190 => Change::RejectVpcPeeringConnection { connection, time },
        191 => Change::DeleteVpcPeeringConnection { connection, time },
        192 if d & 1 == 0 => Change::ExpireVpcPeeringConnection { connection, time },
        192 => Change::ForgetVpcPeeringConnection { connection },
        193 if a % 8 == 0 => Change::CreateDefaultVpc,
        _ => Change::CreateDefaultSubnet {
            availability_zone: format!("eu-west-1{}", char::from(b'a' + b % 8)),
        },
    }
}
