//! Routes.

use ipnet::{Ipv4Net, Ipv6Net};
use model::{
    Change, Destination, EgressOnlyInternetGatewayId, InstanceId, InterfaceId, InternetGatewayId,
    NatGatewayId, PrefixListId, RouteTableId, RouteVia, VpcPeeringConnectionId,
};
use serde::Deserialize;

use super::{Action, DONE, Done};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::query::Limit;
use crate::store::ClientToken;

#[derive(Deserialize)]
pub(super) struct CreateRoute(Route);

#[derive(Deserialize)]
pub(super) struct ReplaceRoute(Route);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Route {
    route_table_id: RouteTableId,
    destination_cidr_block: Option<Ipv4Net>,
    destination_ipv6_cidr_block: Option<Ipv6Net>,
    destination_prefix_list_id: Option<PrefixListId>,
    gateway_id: Option<String>,
    egress_only_internet_gateway_id: Option<EgressOnlyInternetGatewayId>,
    instance_id: Option<InstanceId>,
    network_interface_id: Option<InterfaceId>,
    nat_gateway_id: Option<NatGatewayId>,
    vpc_peering_connection_id: Option<VpcPeeringConnectionId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteRoute {
    route_table_id: RouteTableId,
    destination_cidr_block: Option<Ipv4Net>,
    destination_ipv6_cidr_block: Option<Ipv6Net>,
    destination_prefix_list_id: Option<PrefixListId>,
}

const LIMITS: &[Limit] = &[
    ("CarrierGatewayId", &[]),
    ("CoreNetworkArn", &[]),
    ("LocalGatewayId", &[]),
    ("LocalTarget", &["false"]),
    ("OdbNetworkArn", &[]),
    ("TransitGatewayId", &[]),
    ("VpcEndpointId", &[]),
];

impl Action for CreateRoute {
    const LIMITS: &'static [Limit] = LIMITS;
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let (table, destination, target) = self.0.parts()?;
        call.apply(Change::CreateRoute { table, destination, target })?;
        Ok(DONE)
    }
}

impl Action for ReplaceRoute {
    const LIMITS: &'static [Limit] = LIMITS;
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let (table, destination, target) = self.0.parts()?;
        call.apply(Change::ReplaceRoute { table, destination, target })?;
        Ok(DONE)
    }
}

impl Action for DeleteRoute {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let destination = destination(
            self.destination_cidr_block,
            self.destination_ipv6_cidr_block,
            self.destination_prefix_list_id,
        )?;
        call.apply(Change::DeleteRoute { table: self.route_table_id, destination })?;
        Ok(DONE)
    }
}

impl Route {
    fn parts(self) -> Result<(RouteTableId, Destination, RouteVia), Error> {
        let destination = destination(
            self.destination_cidr_block,
            self.destination_ipv6_cidr_block,
            self.destination_prefix_list_id,
        )?;
        let targets = [
            self.gateway_id.as_deref().map(via_gateway).transpose()?,
            self.egress_only_internet_gateway_id.map(RouteVia::EgressOnlyInternetGateway),
            self.instance_id.map(RouteVia::Instance),
            self.network_interface_id.map(RouteVia::Interface),
            self.nat_gateway_id.map(RouteVia::NatGateway),
            self.vpc_peering_connection_id.map(RouteVia::Peering),
        ];
        let mut targets = targets.into_iter().flatten();
        let missing = || {
            Error::MissingParameter(
                "GatewayId, NatGatewayId, InstanceId, NetworkInterfaceId or VpcPeeringConnectionId"
                    .to_owned(),
            )
        };
        let target = targets.next().ok_or_else(missing)?;
        if targets.next().is_some() {
            return Err(Error::Combination("Only one target of the route may be given."));
        }
        Ok((self.route_table_id, destination, target))
    }
}

/// The one destination that a route is given.
fn destination(
    v4: Option<Ipv4Net>,
    v6: Option<Ipv6Net>,
    list: Option<PrefixListId>,
) -> Result<Destination, Error> {
    let given = [v4.map(Destination::V4), v6.map(Destination::V6), list.map(Destination::PrefixList)];
    let mut given = given.into_iter().flatten();
    let destination =
        given.next().ok_or_else(|| Error::MissingParameter("DestinationCidrBlock".to_owned()))?;
    match given.next() {
        None => Ok(destination),
        Some(_) => Err(Error::Combination("Only one destination of the route may be given.")),
    }
}

/// Gateways of all kinds can be given as GatewayId: EC2 does not insist on the parameters that some have of their own.
fn via_gateway(id: &str) -> Result<RouteVia, Error> {
    const OTHERS: [&str; 3] = ["vgw-", "cagw-", "vpce-"];
    if id == "local" || OTHERS.iter().any(|prefix| id.starts_with(prefix)) {
        return Err(Error::Unsupported("Routes cannot lead to gateways of this kind."));
    }
    let egress_only = id.parse().ok().map(RouteVia::EgressOnlyInternetGateway);
    let nat = || id.parse().ok().map(RouteVia::NatGateway);
    let gateway = || id.parse::<InternetGatewayId>().ok().map(RouteVia::InternetGateway);
    egress_only.or_else(nat).or_else(gateway).ok_or_else(|| Error::NotFound {
        code: "InvalidGatewayID.NotFound",
        kind: "gateway ID",
        id: id.to_owned(),
    })
}
