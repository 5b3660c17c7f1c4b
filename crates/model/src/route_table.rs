//! Route tables, their routes, and which subnet uses which.

use std::collections::BTreeMap;
use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::fault::{Dependency, Fault};
use crate::id::{
    EgressOnlyInternetGatewayId, InstanceId, InterfaceId, InternetGatewayId, NatGatewayId,
    RouteTableAssociationId, RouteTableId, SubnetId, VpcId, VpcPeeringConnectionId,
};
use crate::instance::InstanceState;
use crate::nat_gateway::NatGateway;
use crate::peering::PeeringStatus;
use crate::quota::Quota;
use crate::region::Region;
use crate::subnet::Subnet;
use crate::tag::{self, Tags};

mod association;
mod destination;
mod gateway;
mod route;

pub use destination::{BadDestination, Destination};

/// What the routers of some subnets of a VPC go by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// Its id.
    pub id: RouteTableId,
    /// The VPC it is for.
    pub vpc: VpcId,
    /// The subnets that use it explicitly.
    pub associations: BTreeMap<RouteTableAssociationId, SubnetId>,
    /// The internet gateways whose packets into the VPC go by it.
    #[serde(default)]
    pub gateway_associations: BTreeMap<RouteTableAssociationId, InternetGatewayId>,
    /// Its tags.
    pub tags: Tags,
    /// At most one for each destination.
    routes: BTreeMap<Destination, Route>,
}

/// A way to some addresses. The longest matching prefix wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The VPC of its table.
    pub vpc: VpcId,
    /// Where to, without host bits.
    pub destination: Destination,
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
    /// An egress-only internet gateway.
    EgressOnlyInternetGateway(EgressOnlyInternetGatewayId),
    /// A NAT gateway.
    NatGateway(NatGatewayId),
    /// A VPC peering connection: the VPC at its other end.
    Peering(VpcPeeringConnectionId),
}

/// What a route can be asked to lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteVia {
    /// An internet gateway that is attached to the table's VPC.
    InternetGateway(InternetGatewayId),
    /// An instance with one interface, in the table's VPC.
    Instance(InstanceId),
    /// A network interface in the table's VPC.
    Interface(InterfaceId),
    /// An egress-only internet gateway of the table's VPC, for IPv6.
    EgressOnlyInternetGateway(EgressOnlyInternetGatewayId),
    /// A NAT gateway in the table's VPC.
    NatGateway(NatGatewayId),
    /// A VPC peering connection of the table's VPC.
    Peering(VpcPeeringConnectionId),
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

    /// A table with the local routes only.
    pub(crate) fn new(
        id: RouteTableId,
        vpc: VpcId,
        cidrs: impl Iterator<Item = IpNet>,
        tags: Tags,
    ) -> RouteTable {
        let (associations, gateway_associations) = (BTreeMap::new(), BTreeMap::new());
        let routes = BTreeMap::new();
        let mut table = RouteTable { id, vpc, associations, gateway_associations, tags, routes };
        cidrs.for_each(|cidr| table.add_local(cidr));
        table
    }

    /// Routes a CIDR block of the VPC to the VPC.
    pub(crate) fn add_local(&mut self, cidr: IpNet) {
        self.insert(cidr.into(), RouteTarget::Local, RouteOrigin::CreateRouteTable);
    }

    /// What [`RouteTable::add_local`] did, undone.
    pub(crate) fn remove_local(&mut self, cidr: IpNet) {
        self.routes.remove(&cidr.into());
    }

    fn insert(&mut self, destination: Destination, target: RouteTarget, origin: RouteOrigin) {
        self.routes.insert(destination, Route { vpc: self.vpc, destination, target, origin });
    }
}

impl Region {
    /// The route table that a subnet of this region uses: its own, or its VPC's main one.
    pub fn route_table_of(&self, subnet: &Subnet) -> &RouteTable {
        self.own_route_table(subnet.id)
            .unwrap_or_else(|| &self.route_tables[&self.vpcs[&subnet.vpc].main_route_table])
    }

    /// The routes of a table by CIDR block: prefix lists as their entries, but where a table has a route to the very
    /// same block that one (VPC User Guide, "Route priority and prefix lists"). The longest matching prefix wins.
    pub fn resolved_routes<'a>(&'a self, table: &'a RouteTable) -> BTreeMap<IpNet, &'a Route> {
        // Prefix lists are the last destinations: from the last to the first, what wins overwrites.
        let routes = table.routes.values().rev();
        routes.flat_map(|route| self.cidrs_of(route.destination).map(move |cidr| (cidr, route))).collect()
    }

    /// Whether a route of this region leads anywhere.
    pub fn route_state(&self, route: &Route) -> RouteState {
        let stands = match route.target {
            RouteTarget::Local => true,
            RouteTarget::InternetGateway(id) => {
                self.internet_gateways.get(&id).is_some_and(|gateway| gateway.vpc == Some(route.vpc))
            }
            RouteTarget::Instance { interface, .. } | RouteTarget::Interface(interface) => {
                self.is_up(interface)
            }
            RouteTarget::EgressOnlyInternetGateway(id) => {
                self.egress_only_internet_gateways.contains_key(&id)
            }
            RouteTarget::NatGateway(id) => self.nat_gateways.get(&id).is_some_and(NatGateway::stands),
            RouteTarget::Peering(id) => self
                .vpc_peering_connections
                .get(&id)
                .is_some_and(|connection| connection.status == PeeringStatus::Active),
        };
        if stands { RouteState::Active } else { RouteState::Blackhole }
    }

    pub(crate) fn route_table(&self, id: RouteTableId) -> Result<&RouteTable, Fault> {
        self.route_tables.get(&id).ok_or(Fault::RouteTableNotFound(id))
    }

    pub(crate) fn create_route_table(&mut self, vpc: VpcId, tags: Tags) -> Result<RouteTableId, Fault> {
        self.vpc(vpc)?;
        tag::check(&tags)?;
        let tables = self.route_tables.values().filter(|table| table.vpc == vpc).count();
        self.quotas.allow(Quota::RouteTablesPerVpc, tables + 1)?;

        let id = self.draw();
        let table = RouteTable::new(id, vpc, self.vpc(vpc)?.all_cidrs(), tags);
        self.route_tables.insert(id, table);
        Ok(id)
    }

    pub(crate) fn delete_route_table(&mut self, id: RouteTableId) -> Result<(), Fault> {
        let table = self.route_table(id)?;
        let associated = !table.associations.is_empty() || !table.gateway_associations.is_empty();
        if associated || self.vpc(table.vpc)?.main_route_table == id {
            return Err(Dependency::RouteTable(id).into());
        }

        self.route_tables.remove(&id);
        Ok(())
    }

    /// Whether a machine can stand behind the interface.
    fn is_up(&self, interface: InterfaceId) -> bool {
        let attachment = self.interfaces.get(&interface).and_then(|interface| interface.attachment.as_ref());
        let instance = attachment.and_then(|attachment| self.instances.get(&attachment.instance));
        instance
            .is_some_and(|instance| matches!(instance.state, InstanceState::Pending | InstanceState::Running))
    }
}

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteTarget::Local => f.pad("local"),
            RouteTarget::InternetGateway(id) => id.fmt(f),
            RouteTarget::Instance { instance, .. } => instance.fmt(f),
            RouteTarget::Interface(id) => id.fmt(f),
            RouteTarget::EgressOnlyInternetGateway(id) => id.fmt(f),
            RouteTarget::NatGateway(id) => id.fmt(f),
            RouteTarget::Peering(id) => id.fmt(f),
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
