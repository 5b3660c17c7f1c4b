//! Route tables, and who uses which.

use ipnet::{Ipv4Net, Ipv6Net};
use model::{
    Applied, Change, Destination, EgressOnlyInternetGatewayId, Fault, InstanceId, InterfaceId,
    InternetGatewayId, NatGatewayId, PrefixListId, Region, Route, RouteOrigin, RouteState, RouteTable,
    RouteTableAssociationId, RouteTableId, RouteTarget, SubnetId, VpcId, VpcPeeringConnectionId,
};
use serde::{Deserialize, Serialize};

use super::tag::{Tag, TagSpecification, tag_set, tags_for};
use super::{Action, DONE, Describe, Done, StateOf, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateRouteTable {
    vpc_id: VpcId,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateRouteTableAnswer {
    client_token: Option<String>,
    route_table: ShownRouteTable,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeRouteTables {
    #[serde(default)]
    route_table_id: Vec<RouteTableId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteRouteTable {
    route_table_id: RouteTableId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssociateRouteTable {
    route_table_id: RouteTableId,
    subnet_id: Option<SubnetId>,
    gateway_id: Option<InternetGatewayId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AssociateRouteTableAnswer {
    association_id: RouteTableAssociationId,
    association_state: StateOf,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReplaceRouteTableAssociation {
    association_id: RouteTableAssociationId,
    route_table_id: RouteTableId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplaceRouteTableAssociationAnswer {
    new_association_id: RouteTableAssociationId,
    association_state: StateOf,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DisassociateRouteTable {
    association_id: RouteTableAssociationId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownRouteTable {
    route_table_id: RouteTableId,
    vpc_id: VpcId,
    owner_id: String,
    route_set: Vec<ShownRoute>,
    association_set: Vec<ShownAssociation>,
    propagating_vgw_set: Vec<()>,
    tag_set: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownRoute {
    destination_cidr_block: Option<Ipv4Net>,
    destination_ipv6_cidr_block: Option<Ipv6Net>,
    destination_prefix_list_id: Option<PrefixListId>,
    gateway_id: Option<String>,
    egress_only_internet_gateway_id: Option<EgressOnlyInternetGatewayId>,
    instance_id: Option<InstanceId>,
    instance_owner_id: Option<String>,
    network_interface_id: Option<InterfaceId>,
    nat_gateway_id: Option<NatGatewayId>,
    vpc_peering_connection_id: Option<VpcPeeringConnectionId>,
    origin: &'static str,
    state: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownAssociation {
    route_table_association_id: RouteTableAssociationId,
    route_table_id: RouteTableId,
    subnet_id: Option<SubnetId>,
    gateway_id: Option<InternetGatewayId>,
    main: bool,
    association_state: StateOf,
}

const FILTERS: &Names = &[
    ("association.gateway-id", "associationSet.gatewayId"),
    ("association.main", "associationSet.main"),
    ("association.route-table-association-id", "associationSet.routeTableAssociationId"),
    ("association.route-table-id", "associationSet.routeTableId"),
    ("association.subnet-id", "associationSet.subnetId"),
    ("owner-id", "ownerId"),
    ("route-table-id", "routeTableId"),
    ("route.destination-cidr-block", "routeSet.destinationCidrBlock"),
    ("route.destination-ipv6-cidr-block", "routeSet.destinationIpv6CidrBlock"),
    ("route.destination-prefix-list-id", "routeSet.destinationPrefixListId"),
    ("route.egress-only-internet-gateway-id", "routeSet.egressOnlyInternetGatewayId"),
    ("route.gateway-id", "routeSet.gatewayId"),
    ("route.instance-id", "routeSet.instanceId"),
    ("route.nat-gateway-id", "routeSet.natGatewayId"),
    ("route.origin", "routeSet.origin"),
    ("route.state", "routeSet.state"),
    ("route.transit-gateway-id", "routeSet.transitGatewayId"),
    ("route.vpc-peering-connection-id", "routeSet.vpcPeeringConnectionId"),
    ("tag-key", "tagSet.key"),
    ("vpc-id", "vpcId"),
];

const ASSOCIATED: StateOf = StateOf { state: "associated" };

impl Action for CreateRouteTable {
    const TAKES_TOKEN: bool = true;
    type Answer = CreateRouteTableAnswer;

    fn run(self, call: &Call<'_>, token: Option<ClientToken>) -> Result<CreateRouteTableAnswer, Error> {
        let tags = tags_for("route-table", self.tag_specification)?;
        let client_token = token.as_ref().map(|token| token.token.clone());
        let id = call.commit_once(token, move |transaction| {
            match transaction.apply(Change::CreateRouteTable { vpc: self.vpc_id, tags })? {
                Applied::RouteTable(id) => Ok(id),
                _ => Err(Error::Unexpected),
            }
        })?;
        let region = call.region();
        // It may be gone already when a token comes again.
        let table = region.route_tables().get(&id).ok_or(Fault::RouteTableNotFound(id))?;
        Ok(CreateRouteTableAnswer { client_token, route_table: shown(&region, table) })
    }
}

impl Describe for DescribeRouteTables {
    const SET: &'static str = "routeTableSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownRouteTable;

    fn by_id(&self) -> bool {
        !self.route_table_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownRouteTable)>, Error> {
        let region = call.region();
        let tables = pick(&self.route_table_id, region.route_tables(), Fault::RouteTableNotFound)?;
        Ok(tables.into_iter().map(|table| (table.id.to_string(), shown(&region, table))).collect())
    }
}

impl Action for DeleteRouteTable {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        call.apply(Change::DeleteRouteTable { table: self.route_table_id })?;
        Ok(DONE)
    }
}

impl Action for AssociateRouteTable {
    const LIMITS: &'static [Limit] = &[("PublicIpv4Pool", &[])];
    type Answer = AssociateRouteTableAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let table = self.route_table_id;
        let change = match (self.subnet_id, self.gateway_id) {
            (Some(subnet), None) => Change::AssociateRouteTable { table, subnet },
            (None, Some(gateway)) => Change::AssociateGatewayRouteTable { table, gateway },
            (Some(_), Some(_)) => return Err(Error::Combination("Give a subnet or a gateway, not both.")),
            (None, None) => return Err(Error::MissingParameter("SubnetId".to_owned())),
        };
        match call.apply(change)? {
            Applied::RouteTableAssociation(association_id) => {
                Ok(AssociateRouteTableAnswer { association_id, association_state: ASSOCIATED })
            }
            _ => Err(Error::Unexpected),
        }
    }
}

impl Action for ReplaceRouteTableAssociation {
    type Answer = ReplaceRouteTableAssociationAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let change = Change::ReplaceRouteTableAssociation {
            association: self.association_id,
            table: self.route_table_id,
        };
        match call.apply(change)? {
            Applied::RouteTableAssociation(new_association_id) => {
                Ok(ReplaceRouteTableAssociationAnswer { new_association_id, association_state: ASSOCIATED })
            }
            _ => Err(Error::Unexpected),
        }
    }
}

impl Action for DisassociateRouteTable {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        call.apply(Change::DisassociateRouteTable { association: self.association_id })?;
        Ok(DONE)
    }
}

fn shown(region: &Region, table: &RouteTable) -> ShownRouteTable {
    let association = |id, subnet_id, gateway_id: Option<InternetGatewayId>| ShownAssociation {
        route_table_association_id: id,
        route_table_id: table.id,
        subnet_id,
        gateway_id,
        main: subnet_id.is_none() && gateway_id.is_none(),
        association_state: ASSOCIATED,
    };
    let main = region.vpcs().get(&table.vpc).filter(|vpc| vpc.main_route_table == table.id);
    let main = main.map(|vpc| association(vpc.main_association, None, None));
    let subnets = table.associations.iter().map(|(id, subnet)| association(*id, Some(*subnet), None));
    let gateways =
        table.gateway_associations.iter().map(|(id, gateway)| association(*id, None, Some(*gateway)));
    ShownRouteTable {
        route_table_id: table.id,
        vpc_id: table.vpc,
        owner_id: region.key().account.0.clone(),
        route_set: table.routes().map(|route| shown_route(region, route)).collect(),
        association_set: main.into_iter().chain(subnets).chain(gateways).collect(),
        propagating_vgw_set: Vec::new(),
        tag_set: tag_set(&table.tags),
    }
}

fn shown_route(region: &Region, route: &Route) -> ShownRoute {
    let mut shown = ShownRoute {
        destination_cidr_block: None,
        destination_ipv6_cidr_block: None,
        destination_prefix_list_id: None,
        gateway_id: None,
        egress_only_internet_gateway_id: None,
        instance_id: None,
        instance_owner_id: None,
        network_interface_id: None,
        nat_gateway_id: None,
        vpc_peering_connection_id: None,
        origin: match route.origin {
            RouteOrigin::CreateRouteTable => "CreateRouteTable",
            RouteOrigin::CreateRoute => "CreateRoute",
        },
        state: match region.route_state(route) {
            RouteState::Active => "active",
            RouteState::Blackhole => "blackhole",
        },
    };
    match route.destination {
        Destination::V4(cidr) => shown.destination_cidr_block = Some(cidr),
        Destination::V6(cidr) => shown.destination_ipv6_cidr_block = Some(cidr),
        Destination::PrefixList(list) => shown.destination_prefix_list_id = Some(list),
    }
    match route.target {
        RouteTarget::Local => shown.gateway_id = Some("local".to_owned()),
        RouteTarget::InternetGateway(gateway) => shown.gateway_id = Some(gateway.to_string()),
        RouteTarget::Instance { instance, interface } => {
            (shown.instance_id, shown.network_interface_id) = (Some(instance), Some(interface));
        }
        RouteTarget::Interface(interface) => {
            let attachment = region.interfaces().get(&interface).and_then(|there| there.attachment.as_ref());
            shown.instance_id = attachment.map(|attachment| attachment.instance);
            shown.network_interface_id = Some(interface);
        }
        RouteTarget::EgressOnlyInternetGateway(gateway) => {
            shown.egress_only_internet_gateway_id = Some(gateway);
        }
        RouteTarget::NatGateway(gateway) => shown.nat_gateway_id = Some(gateway),
        RouteTarget::Peering(connection) => shown.vpc_peering_connection_id = Some(connection),
    }
    shown.instance_owner_id = shown.instance_id.map(|_| region.key().account.0.clone());
    shown
}
