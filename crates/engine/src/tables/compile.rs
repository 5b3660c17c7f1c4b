//! From regions to tables.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use model::{
    InterfaceId, NatGateway as NatGatewayModel, NatGatewayAddressStatus, NatGatewayState, NatProfile,
    NetworkAclId, NetworkInterface, Region, RouteState, RouteTarget, SubnetId, VpcId,
};
use prefix_trie::PrefixMap;
use wire::Mac;

use super::{Interface, NatGateway, Prefixes, RouteTable, Subnet, Tables, Target, Vpc, seeded};
use crate::fabric::{Fabric, InterfaceKey};
use crate::filter::network_acl::Acl;
use crate::filter::security_group::Groups;
use crate::flow::IdleTimeouts;
use crate::nat;

/// Where a region's things are in the tables. They are numbered before anything names them: routes, gateways and
/// addresses lead to each other.
struct Numbers {
    interfaces: BTreeMap<InterfaceId, usize>,
    vpcs: BTreeMap<VpcId, usize>,
    subnets: BTreeMap<SubnetId, usize>,
    nat_gateways: BTreeMap<model::NatGatewayId, usize>,
    route_tables: BTreeMap<model::RouteTableId, usize>,
    acls: BTreeMap<NetworkAclId, usize>,
}

impl Tables {
    pub(super) fn add(&mut self, region: &Region, fabric: &Fabric, seed: u64) {
        let numbers = Numbers {
            interfaces: numbered(region.interfaces().keys(), self.interfaces.len()),
            vpcs: numbered(region.vpcs().keys(), self.vpcs.len()),
            subnets: numbered(region.subnets().keys(), self.subnets.len()),
            nat_gateways: numbered(translating(region).map(|gateway| &gateway.id), self.nat_gateways.len()),
            route_tables: numbered(region.route_tables().keys(), self.route_tables.len()),
            acls: numbered(region.network_acls().keys(), self.acls.len()),
        };
        for vpc in region.vpcs().values() {
            let internet_gateway = region.internet_gateway_of(vpc.id);
            let edge = internet_gateway.and_then(|gateway| region.gateway_route_table(gateway));
            let v6 = vpc.ipv6.iter().map(|block| IpNet::V6(block.cidr));
            self.vpcs.push(Vpc {
                cidrs: vpc.cidrs().map(IpNet::V4).chain(v6).collect(),
                dns: vpc.dns(),
                dns_support: vpc.enable_dns_support,
                dhcp: region.dhcp_configuration_of(vpc.id).cloned().unwrap_or_default(),
                internet_gateway,
                edge: edge.map(|table| numbers.route_tables[&table.id]),
                addresses: HashMap::with_hasher(seeded(seed)),
                prefixes: Prefixes::default(),
            });
        }
        self.acls.extend(region.network_acls().values().map(Acl::compile));
        self.route_tables.extend(region.route_tables().values().map(|table| routes(region, table, &numbers)));
        for subnet in region.subnets().values() {
            self.subnets.push(Subnet {
                id: subnet.id,
                vpc: numbers.vpcs[&subnet.vpc],
                cidr: subnet.cidr,
                cidr6: subnet.ipv6.as_ref().map(|block| block.cidr),
                router: subnet.router(),
                table: numbers.route_tables[&region.route_table_of(subnet).id],
                acl: numbers.acls[&region.network_acl_of(subnet).id],
                by_mac: BTreeMap::new(),
            });
        }
        for gateway in translating(region) {
            let interface = numbers.interfaces[&gateway.interface];
            let key = InterfaceKey { region: region.key().clone(), interface: gateway.interface };
            self.nat_gateways.push(NatGateway {
                id: gateway.id,
                interface,
                translation: translation(key, gateway),
            });
        }
        let groups = Groups::compile(region);
        for interface in region.interfaces().values() {
            self.add_interface(region, interface, fabric, (&numbers, &groups));
        }
    }

    fn add_interface(
        &mut self,
        region: &Region,
        interface: &NetworkInterface,
        fabric: &Fabric,
        (numbers, groups): (&Numbers, &Groups),
    ) {
        let index = self.interfaces.len();
        let key = InterfaceKey { region: region.key().clone(), interface: interface.id };
        let port = fabric.interfaces.get(&key).copied();
        let subnet = numbers.subnets[&interface.subnet];
        let vpc = &mut self.vpcs[self.subnets[subnet].vpc];
        let egress_only = region.egress_only_internet_gateway_of(interface.vpc);
        let mac = Mac(interface.mac.0);
        let v4 = interface.addresses();
        let v4 = v4.map(|private| (IpAddr::V4(private), region.public_address_of(interface.id, private)));
        let v6 = interface.ipv6_addresses.iter().map(|&address| (IpAddr::V6(address), None));
        let addresses: BTreeMap<_, _> = v4.chain(v6).collect();
        self.subnets[subnet].by_mac.insert(mac, index);
        for (&address, &public) in &addresses {
            vpc.addresses.insert(address, index);
            match (address, public) {
                (IpAddr::V4(private), Some(public)) if vpc.internet_gateway.is_some() => {
                    self.public.insert(public, (index, private));
                }
                (IpAddr::V6(global), _) if vpc.internet_gateway.is_some() || egress_only.is_some() => {
                    self.global.insert(global, index);
                }
                _ => {}
            }
        }
        for &prefix in &interface.prefixes {
            vpc.prefixes.insert(prefix, index);
            if prefix.addr().is_ipv6() && (vpc.internet_gateway.is_some() || egress_only.is_some()) {
                self.global_prefixes.insert(prefix, index);
            }
        }
        if let Some(port) = port {
            self.ports.insert(port, index);
        }
        self.by_key.insert(key.clone(), index);
        let mut gateways = translating(region).filter(|gateway| gateway.interface == interface.id);
        let tracking = &interface.connection_tracking;
        let logged = region.flow_logs_of(interface).next().map(|_| Arc::new(key.clone()));
        self.keeps_flow_logs |= logged.is_some();
        let [egress, ingress] = groups.of(interface);
        self.interfaces.push(Interface {
            key,
            instance: interface.attachment.as_ref().map(|attachment| attachment.instance),
            port,
            mac,
            subnet,
            primary: interface.private_ip,
            addresses,
            prefixes: interface.prefixes.iter().map(|&prefix| (prefix, ())).collect(),
            source_dest_check: interface.source_dest_check,
            groups: interface.groups.clone(),
            egress,
            ingress,
            idle: IdleTimeouts {
                tcp_established: tracking.tcp_established,
                udp_stream: tracking.udp_stream,
                udp: tracking.udp,
            },
            host_name: interface.host_name(),
            nat_gateway: gateways.next().map(|gateway| numbers.nat_gateways[&gateway.id]),
            logged,
        });
    }
}

fn numbered<'a, Id: Copy + Ord + 'a>(ids: impl Iterator<Item = &'a Id>, first: usize) -> BTreeMap<Id, usize> {
    ids.enumerate().map(|(n, &id)| (id, first + n)).collect()
}

/// The NAT gateways that translate.
fn translating(region: &Region) -> impl Iterator<Item = &NatGatewayModel> {
    region.nat_gateways().values().filter(|gateway| gateway.state == NatGatewayState::Available)
}

fn translation(key: InterfaceKey, gateway: &NatGatewayModel) -> nat::Gateway {
    let behaviour = match gateway.profile {
        NatProfile::Aws => nat::Behaviour::aws(),
        NatProfile::Rfc => nat::Behaviour::rfc(),
    };
    let addresses = gateway.addresses.iter().map(|address| nat::Address {
        address: address.private_ip,
        accepts_new: matches!(address.status, NatGatewayAddressStatus::Succeeded),
    });
    nat::Gateway { key, behaviour, addresses: addresses.collect() }
}

fn routes(region: &Region, table: &model::RouteTable, numbers: &Numbers) -> RouteTable {
    let mut compiled = RouteTable { id: table.id, v4: PrefixMap::new(), v6: PrefixMap::new() };
    for (to, route) in region.resolved_routes(table) {
        let target = target(region, table, route, numbers);
        match to {
            IpNet::V4(to) => _ = compiled.v4.insert(to, target),
            IpNet::V6(to) => _ = compiled.v6.insert(to, target),
        }
    }
    compiled
}

fn target(region: &Region, table: &model::RouteTable, route: &model::Route, numbers: &Numbers) -> Target {
    let gone = || Target::Blackhole(route.target.to_string());
    if region.route_state(route) == RouteState::Blackhole {
        return gone();
    }
    match &route.target {
        RouteTarget::Local => Target::Local,
        RouteTarget::InternetGateway(id) => Target::InternetGateway(*id),
        RouteTarget::EgressOnlyInternetGateway(id) => Target::EgressOnlyInternetGateway(*id),
        RouteTarget::Instance { interface, .. } | RouteTarget::Interface(interface) => {
            let index = numbers.interfaces.get(interface);
            index.map_or_else(gone, |&index| Target::Interface(index, route.target.to_string()))
        }
        RouteTarget::NatGateway(id) => {
            numbers.nat_gateways.get(id).map_or_else(gone, |&index| Target::NatGateway(index, *id))
        }
        RouteTarget::Peering(id) => {
            let peering = region.vpc_peering_connections().get(id);
            let other = peering.map(|peering| peering.other_end(table.vpc));
            other.and_then(|vpc| numbers.vpcs.get(&vpc)).map_or_else(gone, |&vpc| Target::Peering(*id, vpc))
        }
    }
}
