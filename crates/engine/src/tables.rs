//! The desired world compiled into immutable answers: which interface, which route, which rule.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ahash::RandomState;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use model::{
    DhcpConfiguration, EgressOnlyInternetGatewayId, InstanceId, InternetGatewayId, NatGatewayId, Region,
    RouteTableId, SecurityGroupId, SubnetId, VpcPeeringConnectionId,
};
use prefix_trie::PrefixMap;
use wire::Mac;

use crate::fabric::{Fabric, InterfaceKey, PortId, Services, Uplink};
use crate::filter::network_acl::Acl;
use crate::filter::security_group::Rules;
use crate::flow::IdleTimeouts;
use crate::nat;

mod compile;
mod prefixes;

pub(crate) use self::prefixes::Prefixes;

/// The MAC address of every subnet's router, and of all that it answers ARP for.
pub const ROUTER_MAC: Mac = Mac([0x0a, 0x52, 0x57, 0x00, 0x00, 0x01]);
/// The link-local address of every subnet's router (VPC user guide, "Subnet CIDR blocks").
pub const ROUTER_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0xec2, 0, 0, 0, 0, 0, 1);

/// Immutable answers for one generation of the world.
#[derive(Debug)]
pub struct Tables {
    pub(crate) generation: u64,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) vpcs: Vec<Vpc>,
    pub(crate) subnets: Vec<Subnet>,
    pub(crate) route_tables: Vec<RouteTable>,
    pub(crate) nat_gateways: Vec<NatGateway>,
    pub(crate) services: Option<Services>,
    pub(crate) uplink: Option<Uplink>,
    /// Whether any interface has a flow log.
    pub(crate) keeps_flow_logs: bool,
    acls: Vec<Acl>,
    ports: HashMap<PortId, usize, RandomState>,
    /// Public address -> the interface and private address behind it.
    public: BTreeMap<Ipv4Addr, (usize, Ipv4Addr)>,
    /// IPv6 address -> the interface that has it, of VPCs that lead to the internet.
    global: BTreeMap<Ipv6Addr, usize>,
    /// Prefixes of IPv6 addresses, alike.
    global_prefixes: Prefixes<usize>,
    by_key: BTreeMap<InterfaceKey, usize>,
}

/// What stands on a port.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Attached<'a> {
    Interface(usize, &'a Interface),
    Services,
    Uplink(&'a Uplink),
}

#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) key: InterfaceKey,
    pub(crate) instance: Option<InstanceId>,
    pub(crate) port: Option<PortId>,
    pub(crate) mac: Mac,
    pub(crate) subnet: usize,
    /// Its address -> the public address mapped to it, if there is one. IPv6 addresses are public themselves.
    pub(crate) addresses: BTreeMap<IpAddr, Option<Ipv4Addr>>,
    /// The blocks of addresses that are its own as a whole. They have no public addresses but their own.
    pub(crate) prefixes: Prefixes<()>,
    pub(crate) primary: Ipv4Addr,
    pub(crate) source_dest_check: bool,
    pub(crate) groups: Vec<SecurityGroupId>,
    pub(crate) egress: Rules,
    pub(crate) ingress: Rules,
    pub(crate) idle: IdleTimeouts,
    pub(crate) host_name: String,
    /// The NAT gateway whose interface this is.
    pub(crate) nat_gateway: Option<usize>,
    /// Its key, if there is a flow log that is about its traffic.
    pub(crate) logged: Option<Arc<InterfaceKey>>,
}

#[derive(Debug)]
pub(crate) struct Vpc {
    pub(crate) cidrs: Vec<IpNet>,
    pub(crate) dns: Ipv4Addr,
    /// Whether the resolver answers.
    pub(crate) dns_support: bool,
    /// What DHCP says besides addresses.
    pub(crate) dhcp: DhcpConfiguration,
    pub(crate) internet_gateway: Option<InternetGatewayId>,
    /// The route table for what comes in by the internet gateway, if it has one of its own.
    pub(crate) edge: Option<usize>,
    addresses: HashMap<IpAddr, usize, RandomState>,
    /// Block of addresses -> the interface that it is a prefix of.
    prefixes: Prefixes<usize>,
}

#[derive(Debug)]
pub(crate) struct Subnet {
    pub(crate) id: SubnetId,
    pub(crate) vpc: usize,
    pub(crate) cidr: Ipv4Net,
    pub(crate) cidr6: Option<Ipv6Net>,
    pub(crate) router: Ipv4Addr,
    pub(crate) table: usize,
    pub(crate) acl: usize,
    pub(crate) by_mac: BTreeMap<Mac, usize>,
}

#[derive(Debug)]
pub(crate) struct RouteTable {
    pub(crate) id: RouteTableId,
    pub(crate) v4: PrefixMap<Ipv4Net, Target>,
    pub(crate) v6: PrefixMap<Ipv6Net, Target>,
}

#[derive(Debug)]
pub(crate) struct NatGateway {
    pub(crate) id: NatGatewayId,
    /// Its interface.
    pub(crate) interface: usize,
    pub(crate) translation: nat::Gateway,
}

/// Where a route leads, resolved to what stands there.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Local,
    Interface(usize, String),
    InternetGateway(InternetGatewayId),
    EgressOnlyInternetGateway(EgressOnlyInternetGatewayId),
    NatGateway(usize, NatGatewayId),
    /// The other VPC.
    Peering(VpcPeeringConnectionId, usize),
    Blackhole(String),
}

impl Target {
    pub(crate) fn name(&self) -> String {
        match self {
            Target::Local => "local".to_owned(),
            Target::Interface(_, name) => name.clone(),
            Target::InternetGateway(id) => id.to_string(),
            Target::EgressOnlyInternetGateway(id) => id.to_string(),
            Target::NatGateway(_, id) => id.to_string(),
            Target::Peering(id, _) => id.to_string(),
            Target::Blackhole(name) => format!("{name} (blackhole)"),
        }
    }
}

impl RouteTable {
    /// The longest route that covers `destination` (RFC 4632 section 5.1).
    pub(crate) fn lookup(&self, destination: IpAddr) -> Option<(IpNet, &Target)> {
        match destination {
            IpAddr::V4(to) => self.v4.get_lpm(&to.into()).map(|(prefix, target)| (IpNet::V4(prefix), target)),
            IpAddr::V6(to) => self.v6.get_lpm(&to.into()).map(|(prefix, target)| (IpNet::V6(prefix), target)),
        }
    }
}

impl Interface {
    /// Whether an address is its own, alone or by a prefix.
    pub(crate) fn owns(&self, address: IpAddr) -> bool {
        self.addresses.contains_key(&address) || self.prefixes.contains(address)
    }
}

impl Subnet {
    /// The router's address, as those in the subnet who speak the family of `to` see it.
    pub(crate) fn router_towards(&self, to: IpAddr) -> IpAddr {
        match to {
            IpAddr::V4(_) => self.router.into(),
            IpAddr::V6(_) => ROUTER_LINK_LOCAL.into(),
        }
    }

    /// Whether the address is one of the router's own: the link-local ones, and the first of the subnet.
    pub(crate) fn is_router(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => address == self.router,
            IpAddr::V6(address) => {
                let first = self.cidr6.map(|cidr| Ipv6Addr::from(u128::from(cidr.network()) + 1));
                address == ROUTER_LINK_LOCAL || Some(address) == first
            }
        }
    }
}

impl Vpc {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.cidrs.iter().any(|cidr| cidr.contains(&address))
    }

    /// The interface that has an address, alone or by a prefix.
    pub(crate) fn owner(&self, address: IpAddr) -> Option<usize> {
        let alone = self.addresses.get(&address).copied();
        alone.or_else(|| self.prefixes.get(address).copied())
    }
}

impl Tables {
    /// Compiles all regions that share the fabric. `generation` must differ from that of every earlier compilation.
    /// `seed` keeps hash tables from being attacked.
    pub fn compile<'a>(
        regions: impl IntoIterator<Item = &'a Region>,
        fabric: &Fabric,
        generation: u64,
        seed: u64,
    ) -> Tables {
        let mut tables = Tables {
            generation,
            interfaces: Vec::new(),
            vpcs: Vec::new(),
            subnets: Vec::new(),
            route_tables: Vec::new(),
            nat_gateways: Vec::new(),
            acls: Vec::new(),
            services: fabric.services.clone(),
            uplink: fabric.uplink.clone(),
            keeps_flow_logs: false,
            ports: HashMap::with_hasher(seeded(seed)),
            public: BTreeMap::new(),
            global: BTreeMap::new(),
            global_prefixes: Prefixes::default(),
            by_key: BTreeMap::new(),
        };
        for region in regions {
            tables.add(region, fabric, seed);
        }
        tables
    }

    /// The port that an interface stands on.
    pub fn port_of(&self, key: &InterfaceKey) -> Option<PortId> {
        self.by_key.get(key).and_then(|&index| self.interfaces[index].port)
    }

    /// The interface that stands on a port.
    pub fn interface_at(&self, port: PortId) -> Option<&InterfaceKey> {
        self.ports.get(&port).map(|&index| &self.interfaces[index].key)
    }

    /// The MAC address of the interface on a port.
    pub fn mac_at(&self, port: PortId) -> Option<Mac> {
        self.ports.get(&port).map(|&index| self.interfaces[index].mac)
    }

    /// The port that leads to the internet.
    pub fn uplink(&self) -> Option<&Uplink> {
        self.uplink.as_ref()
    }

    /// The ports that another interface, or none, stands on in `later`.
    pub(crate) fn ports_changed(&self, later: &Tables) -> BTreeSet<PortId> {
        let ports = self.ports.keys().copied();
        ports.filter(|&port| self.interface_at(port) != later.interface_at(port)).collect()
    }

    /// The port behind which the servers of link-local services stand.
    pub fn services(&self) -> Option<&Services> {
        self.services.as_ref()
    }

    pub(crate) fn attached(&self, port: PortId) -> Option<Attached<'_>> {
        if let Some(&index) = self.ports.get(&port) {
            return Some(Attached::Interface(index, &self.interfaces[index]));
        }
        if let Some(uplink) = self.uplink.as_ref().filter(|uplink| uplink.port == port) {
            return Some(Attached::Uplink(uplink));
        }
        self.services.as_ref().filter(|services| services.port == port).map(|_| Attached::Services)
    }

    pub(crate) fn subnet_of(&self, interface: &Interface) -> &Subnet {
        &self.subnets[interface.subnet]
    }

    pub(crate) fn vpc_of(&self, interface: &Interface) -> &Vpc {
        &self.vpcs[self.subnets[interface.subnet].vpc]
    }

    pub(crate) fn table_of(&self, subnet: &Subnet) -> &RouteTable {
        &self.route_tables[subnet.table]
    }

    pub(crate) fn acl_of(&self, subnet: &Subnet) -> &Acl {
        &self.acls[subnet.acl]
    }

    /// Some public address that packets can reach.
    pub(crate) fn any_public(&self) -> Option<Ipv4Addr> {
        self.public.keys().next().copied()
    }

    /// What all NAT gateways translate, and how.
    pub(crate) fn translations(&self) -> Vec<nat::Gateway> {
        self.nat_gateways.iter().map(|gateway| gateway.translation.clone()).collect()
    }

    /// The interface and private address behind a public one, if packets can reach it. An IPv6 address is behind
    /// itself.
    pub(crate) fn behind_public(&self, address: IpAddr) -> Option<(usize, IpAddr)> {
        match address {
            IpAddr::V4(public) => self.public.get(&public).map(|&(owner, private)| (owner, private.into())),
            IpAddr::V6(global) => {
                let alone = self.global.get(&global);
                alone.or_else(|| self.global_prefixes.get(address)).map(|&owner| (owner, address))
            }
        }
    }
}

fn seeded(seed: u64) -> RandomState {
    RandomState::with_seeds(seed, seed.rotate_left(13), !seed, seed.rotate_left(37))
}
