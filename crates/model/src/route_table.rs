//! Route tables, their routes, and which subnet uses which.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue};
use crate::id::{
    InstanceId, InterfaceId, InternetGatewayId, RouteTableAssociationId, RouteTableId, SubnetId, VpcId,
};
use crate::instance::InstanceState;
use crate::region::Region;
use crate::subnet::Subnet;
use crate::tag::{self, Tags};

/// What the routers of some subnets of a VPC go by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// Its id.
    pub id: RouteTableId,
    /// The VPC it is for.
    pub vpc: VpcId,
    /// The subnets that use it explicitly.
    pub associations: BTreeMap<RouteTableAssociationId, SubnetId>,
    /// Its tags.
    pub tags: Tags,
    /// At most one for each destination.
    routes: BTreeMap<Ipv4Net, Route>,
}

/// A way to some addresses. The longest matching prefix wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to, without host bits.
    pub destination: Ipv4Net,
    /// By what.
    pub target: RouteTarget,
    /// How it came to be.
    pub origin: RouteOrigin,
}

/// What packets are handed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RouteTarget {
    /// The VPC itself.
    Local,
    /// An internet gateway.
    InternetGateway(InternetGatewayId),
    /// The interface that an instance had when the route was made.
    Instance {
        /// The instance that was asked for.
        instance: InstanceId,
        /// Its interface.
        interface: InterfaceId,
    },
    /// A network interface.
    Interface(InterfaceId),
}

/// What a route can be asked to lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteVia {
    /// An internet gateway that is attached to the table's VPC.
    InternetGateway(InternetGatewayId),
    /// An instance with one interface, in the table's VPC.
    Instance(InstanceId),
    /// A network interface in the table's VPC.
    Interface(InterfaceId),
}

/// How a route came to be, as EC2 shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteOrigin {
    /// With its table.
    CreateRouteTable,
    /// By asking for it.
    CreateRoute,
}

/// Whether a route leads anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteState {
    /// Its target stands.
    Active,
    /// Its target is gone, detached or stopped: packets are dropped.
    Blackhole,
}

impl RouteTable {
    /// Its routes, in the order of their destinations.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.values()
    }

    /// A table with the local route only.
    pub(crate) fn new(id: RouteTableId, vpc: VpcId, cidr: Ipv4Net, tags: Tags) -> RouteTable {
        let local =
            Route { destination: cidr, target: RouteTarget::Local, origin: RouteOrigin::CreateRouteTable };
        RouteTable { id, vpc, associations: BTreeMap::new(), tags, routes: BTreeMap::from([(cidr, local)]) }
    }
}

impl Region {
    /// The route table that a subnet of this region uses: its own, or its VPC's main one.
    pub fn route_table_of(&self, subnet: &Subnet) -> &RouteTable {
        self.own_route_table(subnet.id)
            .unwrap_or_else(|| &self.route_tables[&self.vpcs[&subnet.vpc].main_route_table])
    }

    /// Whether a route of this region leads anywhere.
    pub fn route_state(&self, route: &Route) -> RouteState {
        let stands = match route.target {
            RouteTarget::Local => true,
            RouteTarget::InternetGateway(id) => {
                self.internet_gateways.get(&id).is_some_and(|gateway| gateway.vpc.is_some())
            }
            RouteTarget::Instance { interface, .. } | RouteTarget::Interface(interface) => {
                self.is_up(interface)
            }
        };
        if stands { RouteState::Active } else { RouteState::Blackhole }
    }

    pub(crate) fn create_route_table(&mut self, vpc: VpcId, tags: Tags) -> Result<RouteTableId, Fault> {
        let cidr = self.vpc(vpc)?.cidr;
        tag::check(&tags)?;

        let id = self.draw();
        self.route_tables.insert(id, RouteTable::new(id, vpc, cidr, tags));
        Ok(id)
    }

    pub(crate) fn create_route(
        &mut self,
        table: RouteTableId,
        destination: Ipv4Net,
        via: RouteVia,
    ) -> Result<(), Fault> {
        let destination = destination.trunc();
        let in_table = self.route_table(table)?;
        if in_table.routes.contains_key(&destination) {
            return Err(Fault::RouteAlreadyExists(destination));
        }
        if RESERVED.contains(&destination) {
            return Err(InvalidValue::RouteReserved(destination).into());
        }
        if self.vpc(in_table.vpc)?.cidr.contains(&destination) {
            if matches!(via, RouteVia::InternetGateway(_)) {
                return Err(InvalidValue::RouteInsideVpc(destination).into());
            }
            if !self.subnets_of(in_table.vpc).any(|subnet| subnet.cidr == destination) {
                return Err(InvalidValue::RouteNotToSubnet(destination).into());
            }
        }
        let target = self.route_target(in_table, via)?;

        let route = Route { destination, target, origin: RouteOrigin::CreateRoute };
        if let Some(table) = self.route_tables.get_mut(&table) {
            table.routes.insert(destination, route);
        }
        Ok(())
    }

    pub(crate) fn associate_route_table(
        &mut self,
        table: RouteTableId,
        subnet: SubnetId,
    ) -> Result<RouteTableAssociationId, Fault> {
        if self.route_table(table)?.vpc != self.subnet(subnet)?.vpc {
            return Err(InvalidValue::TableAndSubnetApart { table, subnet }.into());
        }
        if self.own_route_table(subnet).is_some() {
            return Err(Fault::SubnetAlreadyAssociated { table, subnet });
        }

        let id = self.draw();
        if let Some(table) = self.route_tables.get_mut(&table) {
            table.associations.insert(id, subnet);
        }
        Ok(id)
    }

    fn route_table(&self, id: RouteTableId) -> Result<&RouteTable, Fault> {
        self.route_tables.get(&id).ok_or(Fault::RouteTableNotFound(id))
    }

    fn own_route_table(&self, subnet: SubnetId) -> Option<&RouteTable> {
        self.route_tables.values().find(|table| table.associations.values().any(|&id| id == subnet))
    }

    fn route_target(&self, table: &RouteTable, via: RouteVia) -> Result<RouteTarget, Fault> {
        let (target, interface) = match via {
            RouteVia::InternetGateway(id) => {
                let gateway = self.internet_gateways.get(&id).ok_or(Fault::GatewayNotFound(id))?;
                if gateway.vpc != Some(table.vpc) {
                    return Err(InvalidValue::TableAndGatewayApart { table: table.id, gateway: id }.into());
                }
                return Ok(RouteTarget::InternetGateway(id));
            }
            RouteVia::Interface(id) => (RouteTarget::Interface(id), id),
            RouteVia::Instance(id) => {
                let &[interface] = self.instance(id)?.interfaces.as_slice() else {
                    return Err(Fault::NotOneInterface(id));
                };
                (RouteTarget::Instance { instance: id, interface }, interface)
            }
        };
        if self.interface(interface)?.vpc != table.vpc {
            return Err(InvalidValue::TableAndInterfaceApart { table: table.id, interface }.into());
        }
        Ok(target)
    }

    /// Whether a machine can stand behind the interface.
    fn is_up(&self, interface: InterfaceId) -> bool {
        let attachment = self.interfaces.get(&interface).and_then(|interface| interface.attachment.as_ref());
        let instance = attachment.and_then(|attachment| self.instances.get(&attachment.instance));
        instance
            .is_some_and(|instance| matches!(instance.state, InstanceState::Pending | InstanceState::Running))
    }
}

/// Addresses of AWS services that no route can lead to (VPC User Guide, "Routing considerations").
const RESERVED: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 168, 0), 22);

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteTarget::Local => f.pad("local"),
            RouteTarget::InternetGateway(id) => id.fmt(f),
            RouteTarget::Instance { instance, .. } => instance.fmt(f),
            RouteTarget::Interface(id) => id.fmt(f),
        }
    }
}

impl fmt::Display for RouteState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            RouteState::Active => "active",
            RouteState::Blackhole => "blackhole",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, cidr, tags};
    use crate::{Applied, Change};

    fn route(table: RouteTableId, destination: &str, target: RouteVia) -> Change {
        Change::CreateRoute { table, destination: cidr(destination), target }
    }

    fn new_table(network: &mut Network) -> RouteTableId {
        match network.apply(Change::CreateRouteTable { vpc: network.vpc, tags: tags("private") }) {
            Applied::RouteTable(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn target(network: &Network, table: RouteTableId, destination: &str) -> Route {
        network.region.route_tables()[&table].routes[&cidr(destination)].clone()
    }

    #[test]
    fn routes_lead_to_what_stands_in_the_vpc() {
        let mut network = Network::new();
        let table = new_table(&mut network);
        let igw = network.internet_gateway();
        let (instance, interface) = network.instance();

        network.apply(route(table, "0.0.0.7/0", RouteVia::InternetGateway(igw)));
        network.apply(route(table, "192.0.2.1/24", RouteVia::Instance(instance)));
        network.apply(route(table, "198.51.100.0/24", RouteVia::Interface(interface)));
        assert_eq!(target(&network, table, "0.0.0.0/0").target.to_string(), igw.to_string());
        let to_instance = target(&network, table, "192.0.2.0/24");
        assert_eq!(to_instance.target, RouteTarget::Instance { instance, interface });
        assert_eq!(to_instance.target.to_string(), instance.to_string());
        assert_eq!(to_instance.origin, RouteOrigin::CreateRoute);
        assert_eq!(target(&network, table, "198.51.100.0/24").target.to_string(), interface.to_string());
        assert_eq!(target(&network, table, "10.0.0.0/16").target.to_string(), "local");

        let twice = network.refused(route(table, "192.0.2.0/24", RouteVia::Interface(interface)));
        assert_eq!(twice, Fault::RouteAlreadyExists(cidr("192.0.2.0/24")));
        let local = network.refused(route(table, "10.0.0.0/16", RouteVia::Interface(interface)));
        assert_eq!(local.code(), "RouteAlreadyExists");
    }

    #[test]
    fn routes_to_nowhere_are_refused() {
        let mut network = Network::new();
        let table = new_table(&mut network);
        let igw = |text: &str| RouteVia::InternetGateway(text.parse().unwrap());
        let missing: [(RouteVia, &str); 3] = [
            (igw("igw-00000000"), "InvalidGatewayID.NotFound"),
            (RouteVia::Instance("i-00000000".parse().unwrap()), "InvalidInstanceID.NotFound"),
            (RouteVia::Interface("eni-00000000".parse().unwrap()), "InvalidNetworkInterfaceID.NotFound"),
        ];
        for (via, code) in missing {
            assert_eq!(network.refused(route(table, "0.0.0.0/0", via)).code(), code);
        }
        let Applied::InternetGateway(loose) =
            network.apply(Change::CreateInternetGateway { tags: tags("x") })
        else {
            panic!()
        };
        let fault = network.refused(route(table, "0.0.0.0/0", RouteVia::InternetGateway(loose)));
        assert_eq!(fault, InvalidValue::TableAndGatewayApart { table, gateway: loose }.into());

        let (instance, _) = network.instance();
        let elsewhere = network.other_table();
        let fault = network.refused(route(elsewhere, "0.0.0.0/0", RouteVia::Instance(instance)));
        assert_eq!(fault.code(), "InvalidParameterValue");
        let nowhere = "rtb-00000000".parse().unwrap();
        let fault = network.refused(route(nowhere, "0.0.0.0/0", RouteVia::Instance(instance)));
        assert_eq!(fault.code(), "InvalidRouteTableID.NotFound");
    }

    #[test]
    fn inside_the_vpc_only_a_whole_subnet_to_an_interface() {
        let mut network = Network::new();
        let table = new_table(&mut network);
        let igw = network.internet_gateway();
        let (_, interface) = network.instance();
        let via = RouteVia::Interface(interface);
        let fault = network.refused(route(table, "10.0.1.0/24", RouteVia::InternetGateway(igw)));
        assert_eq!(fault, InvalidValue::RouteInsideVpc(cidr("10.0.1.0/24")).into());
        for part in ["10.0.1.0/25", "10.0.0.0/17", "10.0.9.0/24"] {
            let fault = network.refused(route(table, part, via));
            assert_eq!(fault, InvalidValue::RouteNotToSubnet(cidr(part)).into());
        }
        network.apply(route(table, "10.0.1.0/24", via));
        network.apply(route(table, "10.0.0.0/8", via));
        for reserved in ["169.254.168.0/22", "169.254.169.254/32"] {
            let fault = network.refused(route(table, reserved, via));
            assert_eq!(fault, InvalidValue::RouteReserved(cidr(reserved)).into());
        }
        network.apply(route(table, "169.254.0.0/16", via));
    }

    #[test]
    fn a_subnet_has_one_table() {
        let mut network = Network::new();
        let (table, other) = (new_table(&mut network), new_table(&mut network));
        let subnet = network.region.subnets()[&network.subnet].clone();
        let main = network.region.vpcs()[&network.vpc].main_route_table;
        assert_eq!(network.region.route_table_of(&subnet).id, main);
        network.apply(Change::AssociateRouteTable { table, subnet: subnet.id });
        assert_eq!(network.region.route_table_of(&subnet).id, table);
        for table in [table, other] {
            let fault = network.refused(Change::AssociateRouteTable { table, subnet: subnet.id });
            assert_eq!(fault, Fault::SubnetAlreadyAssociated { table, subnet: subnet.id });
        }
        let table = network.other_table();
        let fault = network.refused(Change::AssociateRouteTable { table, subnet: subnet.id });
        assert_eq!(fault.code(), "InvalidParameterValue");
    }

    #[test]
    fn a_route_to_a_stopped_instance_is_a_black_hole() {
        let mut network = Network::new();
        let table = new_table(&mut network);
        let (instance, _) = network.instance();
        network.apply(route(table, "0.0.0.0/0", RouteVia::Instance(instance)));
        let route = target(&network, table, "0.0.0.0/0");
        assert_eq!(network.region.route_state(&route), RouteState::Active);
        for state in [InstanceState::Running, InstanceState::Stopping] {
            network.apply(Change::SetInstanceState { instance, state });
        }
        assert_eq!(network.region.route_state(&route), RouteState::Blackhole);
        let local = target(&network, table, "10.0.0.0/16");
        assert_eq!(network.region.route_state(&local).to_string(), "active");
    }
}
