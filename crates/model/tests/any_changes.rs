//! Whatever is asked of a region, in whatever order, its rules hold.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use model::{
    AccountId, Change, Direction, InstanceState, MetadataOptions, Peer, Permission, Protocol, Region,
    RegionKey, RegionName, RouteTarget, RouteVia, Tags,
};
use proptest::prelude::*;

/// One change to be: which, and numbers to choose its parts by, mostly among what the region has by then.
type Step = (u8, [u8; 4]);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec((0..20u8, any::<[u8; 4]>()), 200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn rules_hold(steps in steps()) {
        let mut region = new_region();
        let (mut changes, mut refused) = (Vec::new(), 0);
        for step in steps {
            let change = change(&region, step);
            changes.push(change.clone());
            let before = region.clone();
            match region.apply(change.clone()) {
                Ok(_) => prop_assert!(region.generation() > before.generation()),
                Err(fault) => {
                    refused += 1;
                    prop_assert!(region == before, "{change:?} was refused ({fault}) and yet changed something");
                    prop_assert!(!fault.code().is_empty() && !fault.to_string().is_empty());
                }
            }
            check(&region)?;
        }
        // Else the steps are too good or too bad to be worth anything.
        prop_assert!((5..195).contains(&refused), "{refused} of 200 refused");

        let mut again = new_region();
        for change in changes {
            let _ = again.apply(change);
        }
        let stored = serde_json::to_string(&region).unwrap();
        prop_assert_eq!(&serde_json::to_string(&again).unwrap(), &stored, "the same changes make the same region");
        prop_assert_eq!(serde_json::from_str::<Region>(&stored).unwrap(), region);
    }
}

fn new_region() -> Region {
    let key = RegionKey { account: AccountId("000000000000".into()), region: RegionName("eu-west-1".into()) };
    Region::new(key, 42)
}

fn check(region: &Region) -> Result<(), TestCaseError> {
    ids_are_unique(region)?;
    subnets_do_not_overlap(region)?;
    route_tables_hold_together(region)?;
    interfaces_hold_together(region)?;
    addresses_hold_together(region)?;

    let mut names = BTreeSet::new();
    for group in region.security_groups().values() {
        prop_assert!(names.insert((group.vpc, &group.name)), "{} twice", group.name);
        for rule in group.rules() {
            if let Peer::Group(peer) = rule.peer {
                prop_assert_eq!(region.security_groups()[&peer].vpc, group.vpc);
            }
        }
    }
    let attached: Vec<_> = region.internet_gateways().values().filter_map(|igw| igw.vpc).collect();
    prop_assert_eq!(attached.iter().collect::<BTreeSet<_>>().len(), attached.len());
    prop_assert!(attached.iter().all(|vpc| region.vpcs().contains_key(vpc)));
    Ok(())
}

/// Unique even without their prefixes.
fn ids_are_unique(region: &Region) -> Result<(), TestCaseError> {
    let mut ids: Vec<String> = Vec::new();
    ids.extend(region.vpcs().keys().map(ToString::to_string));
    ids.extend(region.subnets().keys().map(ToString::to_string));
    ids.extend(region.internet_gateways().keys().map(ToString::to_string));
    for table in region.route_tables().values() {
        ids.push(table.id.to_string());
        ids.extend(table.associations.keys().map(ToString::to_string));
    }
    for group in region.security_groups().values() {
        ids.push(group.id.to_string());
        ids.extend(group.rules().map(|rule| rule.id.to_string()));
    }
    for address in region.addresses().values() {
        ids.push(address.allocation.to_string());
        ids.extend(address.association.as_ref().map(|association| association.id.to_string()));
    }
    for interface in region.interfaces().values() {
        ids.push(interface.id.to_string());
        ids.extend(interface.attachment.as_ref().map(|attachment| attachment.id.to_string()));
    }
    for instance in region.instances().values() {
        ids.extend([instance.id.to_string(), instance.reservation.to_string()]);
    }
    let digits: BTreeSet<_> = ids.iter().filter_map(|id| id.rsplit('-').next()).collect();
    prop_assert_eq!(digits.len(), ids.len());
    Ok(())
}

fn subnets_do_not_overlap(region: &Region) -> Result<(), TestCaseError> {
    let subnets: Vec<_> = region.subnets().values().collect();
    for (at, subnet) in subnets.iter().enumerate() {
        prop_assert_eq!(subnet.cidr, subnet.cidr.trunc());
        prop_assert!(region.vpcs()[&subnet.vpc].cidr.contains(&subnet.cidr));
        for other in subnets[..at].iter().filter(|other| other.vpc == subnet.vpc) {
            let (a, b) = (subnet.cidr, other.cidr);
            prop_assert!(!a.contains(&b.network()) && !b.contains(&a.network()), "{} and {}", a, b);
        }
    }
    Ok(())
}

fn route_tables_hold_together(region: &Region) -> Result<(), TestCaseError> {
    for vpc in region.vpcs().values() {
        prop_assert_eq!(region.route_tables()[&vpc.main_route_table].vpc, vpc.id);
    }
    let mut associated = BTreeSet::new();
    for table in region.route_tables().values() {
        let cidr = region.vpcs()[&table.vpc].cidr;
        for subnet in table.associations.values() {
            prop_assert!(associated.insert(*subnet), "{} has two tables", subnet);
            prop_assert_eq!(region.subnets()[subnet].vpc, table.vpc);
            prop_assert_eq!(region.route_table_of(&region.subnets()[subnet]).id, table.id);
        }
        let mut destinations = BTreeSet::new();
        for route in table.routes() {
            prop_assert_eq!(route.destination, route.destination.trunc());
            prop_assert!(destinations.insert(route.destination));
            prop_assert_eq!(route.target == RouteTarget::Local, route.destination == cidr);
            match route.target {
                RouteTarget::Local => {}
                RouteTarget::InternetGateway(igw) => {
                    prop_assert_eq!(region.internet_gateways()[&igw].vpc, Some(table.vpc));
                    prop_assert!(!cidr.contains(&route.destination));
                }
                RouteTarget::Instance { interface, .. } | RouteTarget::Interface(interface) => {
                    prop_assert_eq!(region.interfaces()[&interface].vpc, table.vpc);
                }
            }
        }
        prop_assert!(destinations.contains(&cidr), "the local route is there");
    }
    Ok(())
}

fn interfaces_hold_together(region: &Region) -> Result<(), TestCaseError> {
    let (mut addresses, mut macs) = (BTreeSet::new(), BTreeSet::new());
    for interface in region.interfaces().values() {
        let subnet = &region.subnets()[&interface.subnet];
        prop_assert_eq!(subnet.vpc, interface.vpc);
        prop_assert!(macs.insert(interface.mac));
        for address in interface.addresses() {
            prop_assert!(addresses.insert((interface.vpc, address)), "{} twice", address);
            prop_assert!(subnet.cidr.contains(&address) && !subnet.reserved().contains(&address));
            prop_assert_eq!(
                region.interface_by_address(interface.vpc, address).map(|found| found.id),
                Some(interface.id)
            );
        }
        prop_assert!(!interface.groups.is_empty());
        for group in &interface.groups {
            prop_assert_eq!(region.security_groups()[group].vpc, interface.vpc);
        }
        if let Some(attachment) = &interface.attachment {
            prop_assert!(region.instances()[&attachment.instance].interfaces.contains(&interface.id));
        }
    }
    for instance in region.instances().values() {
        for (index, id) in instance.interfaces.iter().enumerate() {
            let attachment = region.interfaces()[id].attachment.as_ref();
            let attachment =
                attachment.map(|attachment| (attachment.instance, attachment.device_index as usize));
            prop_assert_eq!(attachment, Some((instance.id, index)));
        }
    }
    Ok(())
}

fn addresses_hold_together(region: &Region) -> Result<(), TestCaseError> {
    let (mut public, mut private) = (BTreeSet::new(), BTreeSet::new());
    for address in region.addresses().values() {
        prop_assert!(public.insert(address.public_ip));
        let Some(association) = &address.association else { continue };
        let (interface, private_ip) = (association.interface, association.private_ip);
        prop_assert!(private.insert((interface, private_ip)), "{} has two public addresses", private_ip);
        prop_assert!(region.interfaces()[&interface].addresses().any(|own| own == private_ip));
        prop_assert_eq!(region.public_address_of(interface, private_ip), Some(address.public_ip));
    }
    Ok(())
}

/// The change that a step asks of this region.
fn change(region: &Region, (kind, [a, b, c, d]): Step) -> Change {
    let tags = if d == 0 { Tags::from([("aws:x".to_owned(), String::new())]) } else { Tags::new() };
    match kind {
        0 => Change::CreateVpc { cidr: net(10, a % 3, 0, [16, 16, 20, 15][usize::from(b % 4)]), tags },
        1..=4 => Change::CreateSubnet {
            vpc: one(region.vpcs(), a, VPC),
            cidr: net(10, b % 3, c, [20, 24, 24, 27, 28, 29][usize::from(d % 6)]),
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
            destination: match b % 4 {
                0 => net(0, 0, 0, 0),
                1 => net(10, c % 3, d, 24),
                2 => net(192, 168, c, d % 33),
                _ => region
                    .subnets()
                    .values()
                    .nth(usize::from(c) % 8)
                    .map_or(net(169, 254, 169, 24), |s| s.cidr),
            },
            target: match c % 3 {
                0 => RouteVia::InternetGateway(one(region.internet_gateways(), d, IGW)),
                1 => RouteVia::Interface(one(region.interfaces(), d, INTERFACE)),
                _ => RouteVia::Instance(one(region.instances(), d, INSTANCE)),
            },
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
        17 | 18 => Change::RunInstance {
            image: id("ami-00000000000000001"),
            instance_type: "t3.micro".to_owned(),
            subnet: one(region.subnets(), a, SUBNET),
            private_ip: match (b % 3, region.subnets().get(&one(region.subnets(), a, SUBNET))) {
                (0, Some(subnet)) => subnet.cidr.hosts().nth(usize::from(c % 16)),
                _ => None,
            },
            groups: if d & 1 == 0 { vec![] } else { vec![one(region.security_groups(), c, GROUP)] },
            source_dest_check: d & 2 == 0,
            user_data: (d & 4 == 0).then(|| b"#!/bin/sh\n".to_vec()),
            metadata: MetadataOptions { hop_limit: 1 + d % 65, tokens_required: d & 8 == 0 },
            tags,
        },
        _ => Change::SetInstanceState {
            instance: one(region.instances(), a, INSTANCE),
            state: [
                InstanceState::Pending,
                InstanceState::Running,
                InstanceState::Stopping,
                InstanceState::Stopped,
            ][usize::from(b % 4)],
        },
    }
}

const VPC: &str = "vpc-00000000";
const SUBNET: &str = "subnet-00000000";
const IGW: &str = "igw-00000000";
const TABLE: &str = "rtb-00000000";
const GROUP: &str = "sg-00000000";
const INTERFACE: &str = "eni-00000000";
const INSTANCE: &str = "i-00000000";
const ALLOCATION: &str = "eipalloc-00000000";

/// One of the ids there are, or, seldom, one that there is not.
fn one<Id, T>(all: &std::collections::BTreeMap<Id, T>, choice: u8, missing: &str) -> Id
where
    Id: Copy + std::str::FromStr<Err: std::fmt::Debug>,
{
    if choice == 0 || all.is_empty() {
        return id(missing);
    }
    all.keys().nth(usize::from(choice) % all.len()).copied().unwrap_or_else(|| id(missing))
}

#[expect(clippy::expect_used, reason = "the texts are this file's")]
fn id<Id: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> Id {
    text.parse().expect("an id")
}

fn net(a: u8, b: u8, c: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 7), prefix)
}
