//! The rules that hold in every region.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use model::{
    AddressFamily, Connectivity, Destination, InstanceState, InterfaceKind, NatGatewayAddressStatus,
    NatGatewayState, NetworkLimits, NewFlowLog, Peer, PeeringStatus, Region, Route, RouteState, RouteTarget,
    Rule, SecurityGroup, SecurityGroupId, Vpc, VpcId,
};
use proptest::prelude::*;

pub(crate) fn check(region: &Region) -> Result<(), TestCaseError> {
    ids_are_unique(region)?;
    vpcs_hold_together(region)?;
    subnets_do_not_overlap(region)?;
    route_tables_hold_together(region)?;
    ipv6_blocks_hold_together(region)?;
    prefix_lists_hold_together(region)?;
    groups_hold_together(region)?;
    interfaces_hold_together(region)?;
    prefixes_hold_together(region)?;
    instances_hold_together(region)?;
    addresses_hold_together(region)?;
    nat_gateways_hold_together(region)?;
    network_acls_hold_together(region)?;
    peerings_hold_together(region)?;
    dhcp_options_hold_together(region)?;
    flow_logs_differ(region)?;
    quotas_hold(region)
}

/// Unique even without their prefixes.
fn ids_are_unique(region: &Region) -> Result<(), TestCaseError> {
    let mut ids: Vec<String> = region.tagged().map(|(resource, _)| resource.to_string()).collect();
    for vpc in region.vpcs().values() {
        ids.push(vpc.main_association.to_string());
        ids.extend(vpc.cidr_associations().map(|association| association.id.to_string()));
        ids.extend(vpc.ipv6.iter().map(|block| block.association.to_string()));
    }
    ids.extend(region.subnets().values().map(|subnet| subnet.network_acl.id.to_string()));
    for table in region.route_tables().values() {
        ids.extend(table.associations.keys().map(ToString::to_string));
        ids.extend(table.gateway_associations.keys().map(ToString::to_string));
    }
    for subnet in region.subnets().values() {
        ids.extend(subnet.ipv6.map(|block| block.association.to_string()));
    }
    for address in region.addresses().values() {
        ids.extend(address.association.as_ref().map(|association| association.id.to_string()));
    }
    for interface in region.interfaces().values() {
        ids.extend(interface.attachment.as_ref().map(|attachment| attachment.id.to_string()));
    }
    let reservations: BTreeSet<_> =
        region.instances().values().map(|instance| instance.reservation).collect();
    ids.extend(reservations.iter().map(ToString::to_string));
    let digits: BTreeSet<_> = ids.iter().filter_map(|id| id.rsplit('-').next()).collect();
    prop_assert_eq!(digits.len(), ids.len());
    Ok(())
}

fn dhcp_options_hold_together(region: &Region) -> Result<(), TestCaseError> {
    let sets = region.dhcp_options();
    prop_assert!(sets.values().filter(|options| options.is_default).count() <= 1);
    for vpc in region.vpcs().values() {
        prop_assert!(vpc.dhcp_options.is_none_or(|options| sets.contains_key(&options)));
        prop_assert_eq!(vpc.dhcp_options.is_some(), region.dhcp_configuration_of(vpc.id).is_some());
    }
    Ok(())
}

fn flow_logs_differ(region: &Region) -> Result<(), TestCaseError> {
    let logs: Vec<_> = region.flow_logs().values().map(|log| &log.wanted).collect();
    for log in &logs {
        let siblings: Vec<_> = logs.iter().filter(|other| other.resource == log.resource).collect();
        prop_assert!(siblings.len() <= 2);
        let same =
            |other: &&&&NewFlowLog| other.traffic == log.traffic && other.destination == log.destination;
        prop_assert_eq!(siblings.iter().filter(same).count(), 1);
    }
    Ok(())
}

fn vpcs_hold_together(region: &Region) -> Result<(), TestCaseError> {
    for vpc in region.vpcs().values() {
        prop_assert_eq!(region.route_tables()[&vpc.main_route_table].vpc, vpc.id);
        prop_assert_eq!(region.security_groups()[&vpc.default_security_group].vpc, vpc.id);
        let cidrs: Vec<_> = vpc.cidrs().collect();
        prop_assert_eq!(cidrs[0], vpc.cidr);
        for (at, a) in cidrs.iter().enumerate() {
            prop_assert_eq!(*a, a.trunc());
            prop_assert!(cidrs[..at].iter().all(|b| !a.contains(b) && !b.contains(a)), "{:?}", cidrs);
        }
    }
    let attached: Vec<_> = region.internet_gateways().values().filter_map(|igw| igw.vpc).collect();
    prop_assert_eq!(attached.iter().collect::<BTreeSet<_>>().len(), attached.len());
    prop_assert!(attached.iter().all(|vpc| region.vpcs().contains_key(vpc)));
    let names: BTreeSet<_> = region.key_pairs().values().map(|key_pair| &key_pair.name).collect();
    prop_assert_eq!(names.len(), region.key_pairs().len());
    Ok(())
}

fn subnets_do_not_overlap(region: &Region) -> Result<(), TestCaseError> {
    let subnets: Vec<_> = region.subnets().values().collect();
    for (at, subnet) in subnets.iter().enumerate() {
        prop_assert_eq!(subnet.cidr, subnet.cidr.trunc());
        prop_assert!(region.vpcs()[&subnet.vpc].cidrs().any(|cidr| cidr.contains(&subnet.cidr)));
        for other in subnets[..at].iter().filter(|other| other.vpc == subnet.vpc) {
            let (a, b) = (subnet.cidr, other.cidr);
            prop_assert!(!a.contains(&b.network()) && !b.contains(&a.network()), "{} and {}", a, b);
        }
    }
    Ok(())
}

fn route_tables_hold_together(region: &Region) -> Result<(), TestCaseError> {
    let (mut associated, mut gateways) = (BTreeSet::new(), BTreeSet::new());
    for table in region.route_tables().values() {
        let vpc = &region.vpcs()[&table.vpc];
        for subnet in table.associations.values() {
            prop_assert!(associated.insert(*subnet), "{} has two tables", subnet);
            prop_assert_eq!(region.subnets()[subnet].vpc, table.vpc);
            prop_assert_eq!(region.route_table_of(&region.subnets()[subnet]).id, table.id);
        }
        let locals: BTreeSet<Destination> = vpc
            .cidrs()
            .map(Destination::from)
            .chain(vpc.ipv6.iter().map(|block| block.cidr.into()))
            .collect();
        let mut destinations = BTreeSet::new();
        for route in table.routes() {
            prop_assert_eq!(route.vpc, table.vpc);
            prop_assert!(route.destination.cidr().is_none_or(|cidr| cidr == cidr.trunc()));
            prop_assert!(destinations.insert(route.destination));
            let of_vpc = locals.contains(&route.destination);
            prop_assert_eq!(route.target == RouteTarget::Local, of_vpc);
            let active = region.route_state(route) == RouteState::Active;
            match route.target {
                RouteTarget::Local => prop_assert!(active),
                RouteTarget::InternetGateway(igw) => {
                    let vpc_of_igw = region.internet_gateways().get(&igw).and_then(|igw| igw.vpc);
                    prop_assert_eq!(active, vpc_of_igw == Some(table.vpc));
                    prop_assert!(leaves(vpc, region, route));
                }
                RouteTarget::EgressOnlyInternetGateway(gateway) => {
                    let gateway = region.egress_only_internet_gateways().get(&gateway);
                    prop_assert_eq!(active, gateway.is_some_and(|gateway| gateway.vpc == table.vpc));
                    prop_assert!(!matches!(route.destination, Destination::V4(_)));
                    prop_assert!(leaves(vpc, region, route));
                }
                RouteTarget::NatGateway(id) => {
                    let gateway = region.nat_gateways().get(&id);
                    prop_assert!(gateway.is_none_or(|gateway| gateway.vpc == table.vpc));
                    prop_assert_eq!(active, gateway.is_some_and(model::NatGateway::stands));
                }
                RouteTarget::Peering(id) => {
                    let connection = region.vpc_peering_connections().get(&id);
                    prop_assert!(connection.is_none_or(|connection| connection.joins(table.vpc)));
                    let joins = connection.is_some_and(|it| it.status == PeeringStatus::Active);
                    prop_assert_eq!(active, joins);
                    prop_assert!(leaves(vpc, region, route));
                }
                RouteTarget::Instance { interface, .. } | RouteTarget::Interface(interface) => {
                    let interface = region.interfaces().get(&interface);
                    prop_assert!(interface.is_none_or(|interface| interface.vpc == table.vpc));
                    prop_assert!(
                        !active || interface.is_some_and(|interface| interface.attachment.is_some())
                    );
                }
            }
        }
        prop_assert!(destinations.is_superset(&locals), "the local routes are there");
        let resolved = region.resolved_routes(table);
        for destination in destinations {
            if let Some(cidr) = destination.cidr() {
                prop_assert_eq!(resolved[&cidr].destination, destination, "a CIDR block beats a prefix list");
            }
        }
        for gateway in table.gateway_associations.values() {
            prop_assert!(gateways.insert(*gateway), "{} has two tables", gateway);
            prop_assert_eq!(region.internet_gateways()[gateway].vpc, Some(table.vpc));
            prop_assert_eq!(region.gateway_route_table(*gateway).map(|found| found.id), Some(table.id));
            for route in table.routes() {
                let inward = matches!(
                    route.target,
                    RouteTarget::Local | RouteTarget::Interface(_) | RouteTarget::Instance { .. }
                );
                prop_assert!(inward && route.destination.cidr().is_some(), "{:?}", route);
            }
        }
    }
    Ok(())
}

/// Whether all that a route leads to lies outside the VPC.
fn leaves(vpc: &Vpc, region: &Region, route: &Route) -> bool {
    let of_list = match route.destination {
        Destination::PrefixList(list) => region.prefix_lists()[&list].entries.as_slice(),
        _ => &[],
    };
    let mut cidrs = of_list.iter().map(|entry| entry.cidr).chain(route.destination.cidr());
    cidrs.all(|cidr| match cidr {
        IpNet::V4(cidr) => !vpc.cidrs().any(|own| own.contains(&cidr)),
        IpNet::V6(cidr) => !vpc.ipv6.iter().any(|own| own.cidr.contains(&cidr)),
    })
}

fn ipv6_blocks_hold_together(region: &Region) -> Result<(), TestCaseError> {
    let (mut blocks, mut parts) = (BTreeSet::new(), BTreeSet::new());
    for block in region.vpcs().values().flat_map(|vpc| &vpc.ipv6) {
        prop_assert_eq!((block.cidr.prefix_len(), block.cidr), (56, block.cidr.trunc()));
        prop_assert!(blocks.insert(block.cidr), "{} is in two VPCs", block.cidr);
    }
    for subnet in region.subnets().values() {
        let Some(block) = subnet.ipv6 else {
            prop_assert!(!subnet.assign_ipv6_address_on_creation && !subnet.enable_dns64);
            continue;
        };
        let vpc = &region.vpcs()[&subnet.vpc];
        prop_assert_eq!((block.cidr.prefix_len(), block.cidr), (64, block.cidr.trunc()));
        prop_assert!(vpc.ipv6.iter().any(|own| own.cidr.contains(&block.cidr)));
        prop_assert!(parts.insert(block.cidr), "{} is in two subnets", block.cidr);
    }
    let gateways: Vec<_> = region.egress_only_internet_gateways().values().map(|own| own.vpc).collect();
    prop_assert_eq!(gateways.iter().collect::<BTreeSet<_>>().len(), gateways.len());
    prop_assert!(gateways.iter().all(|vpc| region.vpcs().contains_key(vpc)));
    Ok(())
}

fn prefix_lists_hold_together(region: &Region) -> Result<(), TestCaseError> {
    for list in region.prefix_lists().values() {
        prop_assert!(list.entries.len() <= list.max_entries as usize);
        let cidrs: BTreeSet<_> = list.entries.iter().map(|entry| entry.cidr).collect();
        prop_assert_eq!(cidrs.len(), list.entries.len());
        prop_assert!(
            cidrs.iter().all(|cidr| AddressFamily::of(*cidr) == list.family && *cidr == cidr.trunc())
        );
        prop_assert_eq!(list.entries_of(list.version), Some(list.entries.as_slice()));
    }
    Ok(())
}

fn groups_hold_together(region: &Region) -> Result<(), TestCaseError> {
    let mut names = BTreeSet::new();
    for group in region.security_groups().values() {
        prop_assert!(region.vpcs().contains_key(&group.vpc));
        prop_assert!(names.insert((group.vpc, &group.name)), "{} twice", group.name);
        for rule in group.rules() {
            prop_assert!(rule.across.is_none() || matches!(rule.peer, Peer::Group(_)));
            if let Peer::Group(peer) = rule.peer {
                reference_holds(region, group, rule, peer)?;
            }
            if let Peer::PrefixList(peer) = rule.peer {
                prop_assert!(region.prefix_lists().contains_key(&peer));
            }
        }
    }
    Ok(())
}

/// A group of the same VPC is there; one of a peer VPC may be gone, or what joins the VPCs.
fn reference_holds(
    region: &Region,
    group: &SecurityGroup,
    rule: &Rule,
    peer: SecurityGroupId,
) -> Result<(), TestCaseError> {
    let there = region.security_groups().get(&peer).map(|peer| peer.vpc);
    let Some(across) = rule.across else {
        prop_assert_eq!(there, Some(group.vpc));
        prop_assert!(!region.is_stale(rule));
        return Ok(());
    };
    prop_assert!(across.vpc != group.vpc && there.is_none_or(|vpc| vpc == across.vpc));
    let connection = region.vpc_peering_connections().get(&across.connection);
    prop_assert!(connection.is_none_or(|it| it.joins(group.vpc) && it.joins(across.vpc)));
    let active = connection.is_some_and(|it| it.status == PeeringStatus::Active);
    prop_assert_eq!(region.is_stale(rule), there.is_none() || !active);
    let referring = region.references_across(peer).any(|found| found == (group.vpc, across));
    prop_assert!(region.is_stale(rule) || referring);
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
        for &address in &interface.ipv6_addresses {
            let block = subnet.ipv6.map(|block| block.cidr);
            prop_assert!(block.is_some_and(|cidr| cidr.contains(&address)));
            let low = u128::from(address) as u64;
            prop_assert!((4..u64::MAX).contains(&low), "{} is reserved", address);
            let found = region.interface_by_address(interface.vpc, address);
            prop_assert_eq!(found.map(|found| found.id), Some(interface.id));
        }
        let own = interface.kind == InterfaceKind::Interface;
        prop_assert_eq!(interface.groups.is_empty(), !own);
        prop_assert!(own || interface.attachment.is_none());
        for group in &interface.groups {
            prop_assert_eq!(region.security_groups()[group].vpc, interface.vpc);
        }
        if let Some(attachment) = &interface.attachment {
            prop_assert!(region.instances()[&attachment.instance].interfaces.contains(&interface.id));
        }
    }
    Ok(())
}

fn prefixes_hold_together(region: &Region) -> Result<(), TestCaseError> {
    let overlap = |one: &IpNet, other: &IpNet| one.contains(other) || other.contains(one);
    let reservations: Vec<_> = region.subnet_cidr_reservations().values().collect();
    for (at, reservation) in reservations.iter().enumerate() {
        let subnet = &region.subnets()[&reservation.subnet];
        let v6 = subnet.ipv6.map(|block| IpNet::V6(block.cidr));
        prop_assert!(
            [Some(subnet.cidr.into()), v6]
                .into_iter()
                .flatten()
                .any(|own: IpNet| own.contains(&reservation.cidr))
        );
        let mut others = reservations[..at].iter().filter(|other| other.subnet == reservation.subnet);
        prop_assert!(!others.any(|other| overlap(&other.cidr, &reservation.cidr)));
    }
    let mut seen: Vec<(VpcId, IpNet)> = Vec::new();
    for interface in region.interfaces().values() {
        let subnet = &region.subnets()[&interface.subnet];
        for &prefix in &interface.prefixes {
            let (home, length) = match prefix {
                IpNet::V4(_) => (Some(IpNet::V4(subnet.cidr)), 28),
                IpNet::V6(_) => (subnet.ipv6.map(|block| IpNet::V6(block.cidr)), 80),
            };
            prop_assert!(home.is_some_and(|home| home.contains(&prefix)) && prefix.prefix_len() == length);
            prop_assert!(!subnet.reserved().iter().any(|&kept| prefix.contains(&IpAddr::V4(kept))));
            prop_assert!(!seen.contains(&(interface.vpc, prefix)), "{} twice", prefix);
            seen.push((interface.vpc, prefix));
            let found = region.interface_by_address(interface.vpc, prefix.broadcast());
            prop_assert_eq!(found.map(|found| found.id), Some(interface.id));
            let mut others = region.interfaces().values().filter(|other| other.vpc == interface.vpc);
            let taken = others.find(|other| {
                other.addresses().any(|own| prefix.contains(&IpAddr::V4(own)))
                    || other.ipv6_addresses.iter().any(|&own| prefix.contains(&IpAddr::V6(own)))
            });
            prop_assert!(taken.is_none(), "{} has an address twice", prefix);
        }
    }
    Ok(())
}

fn instances_hold_together(region: &Region) -> Result<(), TestCaseError> {
    for instance in region.instances().values() {
        prop_assert_eq!(instance.interfaces.is_empty(), instance.state == InstanceState::Terminated);
        let mut indexes = Vec::new();
        let mut zones = BTreeSet::new();
        for id in &instance.interfaces {
            let interface = &region.interfaces()[id];
            let attachment = interface.attachment.as_ref();
            prop_assert_eq!(attachment.map(|attachment| attachment.instance), Some(instance.id));
            indexes.extend(attachment.map(|attachment| attachment.device_index));
            zones.insert(&region.subnets()[&interface.subnet].availability_zone);
        }
        prop_assert!(indexes.first().is_none_or(|first| *first == 0));
        prop_assert!(indexes.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", indexes);
        prop_assert!(zones.len() < 2);
        if let Some(limits) = NetworkLimits::of(&instance.instance_type) {
            prop_assert!(instance.interfaces.len() <= limits.interfaces);
            for interface in instance.interfaces.iter().map(|id| &region.interfaces()[id]) {
                prop_assert!(interface.addresses().count() <= limits.addresses);
                prop_assert!(interface.ipv6_addresses.len() <= limits.addresses);
            }
        }
        prop_assert!((1..=64).contains(&instance.metadata.hop_limit));
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
        let on = &region.interfaces()[&interface];
        prop_assert!(on.addresses().any(|own| own == private_ip));
        prop_assert!(region.internet_gateway_of(on.vpc).is_some());
        prop_assert_eq!(region.public_address_of(interface, private_ip), Some(address.public_ip));
    }
    for interface in region.interfaces().values() {
        let Some(public_ip) = interface.public_ip else { continue };
        prop_assert!(public.insert(public_ip), "{} twice", public_ip);
        prop_assert!(private.insert((interface.id, interface.private_ip)), "beside an Elastic IP address");
        prop_assert!(interface.associate_public_ip && !region.awaits_public_address(interface.id));
        let instance =
            interface.attachment.as_ref().map(|attachment| &region.instances()[&attachment.instance]);
        let stands = |state| matches!(state, InstanceState::Stopped | InstanceState::Terminated);
        prop_assert!(instance.is_some_and(|instance| !stands(instance.state)));
        prop_assert_eq!(region.public_address_of(interface.id, interface.private_ip), Some(public_ip));
    }
    prop_assert_eq!(region.public_addresses().collect::<BTreeSet<_>>(), public);
    Ok(())
}

fn nat_gateways_hold_together(region: &Region) -> Result<(), TestCaseError> {
    let mut interfaces = BTreeSet::new();
    for gateway in region.nat_gateways().values() {
        let there = region.interfaces().get(&gateway.interface);
        let up = gateway.stands() || gateway.state == NatGatewayState::Deleting;
        prop_assert_eq!(there.is_some(), up, "{}", gateway.state);
        prop_assert_eq!(gateway.shown_until().is_some(), !up);
        let Some(interface) = there else { continue };
        prop_assert!(interfaces.insert(interface.id));
        prop_assert_eq!(interface.kind, InterfaceKind::NatGateway);
        prop_assert_eq!((interface.subnet, interface.vpc), (gateway.subnet, gateway.vpc));
        let own: Vec<_> = gateway.addresses.iter().map(|address| address.private_ip).collect();
        prop_assert_eq!(interface.addresses().collect::<Vec<_>>(), own);
        prop_assert!((1..=8).contains(&gateway.addresses.len()));
        for (at, address) in gateway.addresses.iter().enumerate() {
            prop_assert_eq!(address.primary, at == 0);
            let public = region.public_address_of(interface.id, address.private_ip);
            prop_assert_eq!(public, address.public_ip);
            prop_assert_eq!(public.is_some(), gateway.connectivity == Connectivity::Public);
            let mapped = address.allocation.and_then(|id| region.addresses()[&id].association.clone());
            prop_assert_eq!(mapped.map(|mapped| mapped.id), address.association);
            prop_assert!(at > 0 || address.status == NatGatewayAddressStatus::Succeeded);
        }
    }
    let kinds = region.interfaces().values().filter(|it| it.kind == InterfaceKind::NatGateway);
    prop_assert_eq!(kinds.count(), interfaces.len(), "each has its gateway");
    Ok(())
}

fn network_acls_hold_together(region: &Region) -> Result<(), TestCaseError> {
    for vpc in region.vpcs().values() {
        let defaults = region.network_acls().values().filter(|acl| acl.vpc == vpc.id && acl.is_default);
        prop_assert_eq!(defaults.map(|acl| acl.id).collect::<Vec<_>>(), vec![vpc.default_network_acl]);
    }
    for acl in region.network_acls().values() {
        prop_assert!(region.vpcs().contains_key(&acl.vpc));
        for entries in [&acl.ingress, &acl.egress] {
            prop_assert!(entries.len() <= region.quotas().rules_per_network_acl);
            for (number, entry) in entries {
                prop_assert!((1..=32_766).contains(number));
                prop_assert_eq!(entry.cidr, entry.cidr.trunc());
                prop_assert!(entry.ports.is_none_or(|(from, to)| from <= to));
            }
        }
    }
    for subnet in region.subnets().values() {
        prop_assert_eq!(region.network_acl_of(subnet).vpc, subnet.vpc);
    }
    Ok(())
}

fn peerings_hold_together(region: &Region) -> Result<(), TestCaseError> {
    let mut pairs = BTreeSet::new();
    for connection in region.vpc_peering_connections().values() {
        let (a, b) = (connection.requester, connection.accepter);
        if connection.shown_until().is_some() {
            continue;
        }
        prop_assert!(a != b && pairs.insert((a.min(b), a.max(b))), "{} and {} are joined twice", a, b);
        for one in region.vpcs()[&a].cidrs() {
            for other in region.vpcs()[&b].cidrs() {
                prop_assert!(!one.contains(&other) && !other.contains(&one), "{} and {}", one, other);
            }
        }
    }
    prop_assert!(region.vpcs().values().filter(|vpc| vpc.is_default).count() < 2);
    let zones: Vec<_> = region.subnets().values().filter(|subnet| subnet.default_for_az).collect();
    let different: BTreeSet<_> = zones.iter().map(|subnet| &subnet.availability_zone).collect();
    prop_assert_eq!(different.len(), zones.len());
    prop_assert!(zones.iter().all(|subnet| region.vpcs()[&subnet.vpc].is_default));
    Ok(())
}

fn quotas_hold(region: &Region) -> Result<(), TestCaseError> {
    let quotas = region.quotas();
    prop_assert!(region.vpcs().len() <= quotas.vpcs);
    prop_assert!(region.vpcs().values().all(|vpc| vpc.cidrs().count() <= quotas.cidrs_per_vpc));
    prop_assert!(region.internet_gateways().len() <= quotas.internet_gateways);
    prop_assert!(region.addresses().len() <= quotas.addresses);
    prop_assert!(region.interfaces().len() <= quotas.interfaces);
    for (_, tags) in region.tagged() {
        prop_assert!(tags.len() <= 50 && tags.keys().all(|key| !key.starts_with("aws:")));
    }
    Ok(())
}
