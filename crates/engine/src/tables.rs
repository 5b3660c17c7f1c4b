//! The desired world compiled into immutable answers: which interface, which route, which rule.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

use ahash::RandomState;
use ipnet::{IpNet, Ipv4Net};
use model::{
    InstanceId, InternetGatewayId, Region, RouteState, RouteTableId, RouteTarget, SecurityGroupId, SubnetId,
    VpcId,
};
use prefix_trie::PrefixMap;
use wire::Mac;

use crate::fabric::{Fabric, InterfaceKey, PortId, Services, Uplink};
use crate::filter::security_group::Rules;

/// The MAC address of every subnet's router, and of all that it answers ARP for.
pub const ROUTER_MAC: Mac = Mac([0x0a, 0x52, 0x57, 0x00, 0x00, 0x01]);

/// Immutable answers for one generation of the world.
#[derive(Debug)]
pub struct Tables {
    pub(crate) generation: u64,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) vpcs: Vec<Vpc>,
    pub(crate) subnets: Vec<Subnet>,
    pub(crate) services: Option<Services>,
    pub(crate) uplink: Option<Uplink>,
    ports: HashMap<PortId, usize, RandomState>,
    /// Public address -> the interface and private address behind it.
    public: BTreeMap<Ipv4Addr, (usize, Ipv4Addr)>,
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
    /// Private address -> its public address, if it has one.
    pub(crate) addresses: BTreeMap<Ipv4Addr, Option<Ipv4Addr>>,
    pub(crate) primary: Ipv4Addr,
    pub(crate) source_dest_check: bool,
    pub(crate) groups: Vec<SecurityGroupId>,
    pub(crate) egress: Rules,
    pub(crate) ingress: Rules,
    pub(crate) host_name: String,
}

#[derive(Debug)]
pub(crate) struct Vpc {
    pub(crate) cidrs: Vec<Ipv4Net>,
    pub(crate) dns: Ipv4Addr,
    pub(crate) domain: String,
    pub(crate) internet_gateway: Option<InternetGatewayId>,
    pub(crate) addresses: HashMap<Ipv4Addr, usize, RandomState>,
}

#[derive(Debug)]
pub(crate) struct Subnet {
    pub(crate) id: SubnetId,
    pub(crate) vpc: usize,
    pub(crate) cidr: Ipv4Net,
    pub(crate) router: Ipv4Addr,
    pub(crate) table: RouteTableId,
    pub(crate) routes: PrefixMap<Ipv4Net, Target>,
    pub(crate) by_mac: BTreeMap<Mac, usize>,
}

/// Where a route leads, resolved to what stands there.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Local,
    Interface(usize, String),
    InternetGateway(InternetGatewayId),
    Blackhole(String),
}

impl Target {
    pub(crate) fn name(&self) -> String {
        match self {
            Target::Local => "local".to_owned(),
            Target::Interface(_, name) => name.clone(),
            Target::InternetGateway(id) => id.to_string(),
            Target::Blackhole(name) => format!("{name} (blackhole)"),
        }
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
            services: fabric.services.clone(),
            uplink: fabric.uplink.clone(),
            ports: HashMap::with_hasher(seeded(seed)),
            public: BTreeMap::new(),
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

    /// The interface and private address behind a public one, if packets can reach it.
    pub(crate) fn behind_public(&self, address: Ipv4Addr) -> Option<(usize, Ipv4Addr)> {
        self.public.get(&address).copied()
    }

    /// Some public address that packets can reach.
    pub(crate) fn any_public(&self) -> Option<Ipv4Addr> {
        self.public.keys().next().copied()
    }

    fn add(&mut self, region: &Region, fabric: &Fabric, seed: u64) {
        let mut vpcs: BTreeMap<VpcId, usize> = BTreeMap::new();
        for vpc in region.vpcs().values() {
            vpcs.insert(vpc.id, self.vpcs.len());
            self.vpcs.push(Vpc {
                cidrs: vpc.cidrs().collect(),
                dns: vpc.dns(),
                domain: region.key().region.domain(),
                internet_gateway: region.internet_gateway_of(vpc.id),
                addresses: HashMap::with_hasher(seeded(seed)),
            });
        }

        // Interfaces are numbered before anything names them: routes and addresses lead to each other.
        let first = self.interfaces.len();
        let numbers: BTreeMap<_, _> =
            region.interfaces().keys().enumerate().map(|(n, &id)| (id, first + n)).collect();

        let mut subnets: BTreeMap<SubnetId, usize> = BTreeMap::new();
        for subnet in region.subnets().values() {
            let table = region.route_table_of(subnet);
            let mut routes = PrefixMap::new();
            for (destination, route) in region.resolved_routes(table) {
                let IpNet::V4(destination) = destination else { continue };
                let name = route.target.to_string();
                let target = match (&route.target, region.route_state(route)) {
                    (_, RouteState::Blackhole) => Target::Blackhole(name),
                    (RouteTarget::Local, _) => Target::Local,
                    (RouteTarget::InternetGateway(id), _) => Target::InternetGateway(*id),
                    (RouteTarget::EgressOnlyInternetGateway(_), _) => Target::Blackhole(name),
                    // There is no way through these yet.
                    (RouteTarget::NatGateway(_) | RouteTarget::Peering(_), _) => Target::Blackhole(name),
                    (RouteTarget::Instance { interface, .. } | RouteTarget::Interface(interface), _) => {
                        match numbers.get(interface) {
                            Some(&index) => Target::Interface(index, name),
                            None => Target::Blackhole(name),
                        }
                    }
                };
                routes.insert(destination, target);
            }
            subnets.insert(subnet.id, self.subnets.len());
            self.subnets.push(Subnet {
                id: subnet.id,
                vpc: vpcs[&subnet.vpc],
                cidr: subnet.cidr,
                router: subnet.router(),
                table: table.id,
                routes,
                by_mac: BTreeMap::new(),
            });
        }

        for interface in region.interfaces().values() {
            let index = self.interfaces.len();
            let key = InterfaceKey { region: region.key().clone(), interface: interface.id };
            let port = fabric.interfaces.get(&key).copied();
            let subnet = subnets[&interface.subnet];
            let vpc = self.subnets[subnet].vpc;
            let mac = Mac(interface.mac.0);
            let addresses: BTreeMap<_, _> = interface
                .addresses()
                .map(|private| (private, region.public_address_of(interface.id, private)))
                .collect();
            self.subnets[subnet].by_mac.insert(mac, index);
            for (&private, &public) in &addresses {
                self.vpcs[vpc].addresses.insert(private, index);
                if let Some(public) = public.filter(|_| self.vpcs[vpc].internet_gateway.is_some()) {
                    self.public.insert(public, (index, private));
                }
            }
            if let Some(port) = port {
                self.ports.insert(port, index);
            }
            self.by_key.insert(key.clone(), index);
            self.interfaces.push(Interface {
                key,
                instance: interface.attachment.as_ref().map(|attachment| attachment.instance),
                port,
                mac,
                subnet,
                primary: interface.private_ip,
                addresses,
                source_dest_check: interface.source_dest_check,
                groups: interface.groups.clone(),
                egress: Rules::compile(region, interface, model::Direction::Egress),
                ingress: Rules::compile(region, interface, model::Direction::Ingress),
                host_name: interface.host_name(),
            });
        }
    }
}

fn seeded(seed: u64) -> RandomState {
    RandomState::with_seeds(seed, seed.rotate_left(13), !seed, seed.rotate_left(37))
}
