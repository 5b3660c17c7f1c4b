//! Routes.

use ipnet::Ipv4Net;
use model::{Change, InstanceId, InterfaceId, InternetGatewayId, RouteTableId, RouteVia};
use serde::Deserialize;

use super::{Action, DONE, Done};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::query::Limit;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateRoute {
    route_table_id: RouteTableId,
    destination_cidr_block: Ipv4Net,
    gateway_id: Option<String>,
    instance_id: Option<InstanceId>,
    network_interface_id: Option<InterfaceId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReplaceRoute {
    route_table_id: RouteTableId,
    destination_cidr_block: Ipv4Net,
    gateway_id: Option<String>,
    instance_id: Option<InstanceId>,
    network_interface_id: Option<InterfaceId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteRoute {
    route_table_id: RouteTableId,
    destination_cidr_block: Ipv4Net,
}

const LIMITS: &[Limit] = &[
    ("CarrierGatewayId", &[]),
    ("CoreNetworkArn", &[]),
    ("DestinationIpv6CidrBlock", &[]),
    ("DestinationPrefixListId", &[]),
    ("EgressOnlyInternetGatewayId", &[]),
    ("LocalGatewayId", &[]),
    ("LocalTarget", &["false"]),
    ("NatGatewayId", &[]),
    ("OdbNetworkArn", &[]),
    ("TransitGatewayId", &[]),
    ("VpcEndpointId", &[]),
    ("VpcPeeringConnectionId", &[]),
];

impl Action for CreateRoute {
    const LIMITS: &'static [Limit] = LIMITS;
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        call.apply(Change::CreateRoute {
            table: self.route_table_id,
            destination: self.destination_cidr_block.into(),
            target: via(self.gateway_id, self.instance_id, self.network_interface_id)?,
        })?;
        Ok(DONE)
    }
}

impl Action for ReplaceRoute {
    const LIMITS: &'static [Limit] = LIMITS;
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        call.apply(Change::ReplaceRoute {
            table: self.route_table_id,
            destination: self.destination_cidr_block.into(),
            target: via(self.gateway_id, self.instance_id, self.network_interface_id)?,
        })?;
        Ok(DONE)
    }
}

impl Action for DeleteRoute {
    const LIMITS: &'static [Limit] = &[("DestinationIpv6CidrBlock", &[]), ("DestinationPrefixListId", &[])];
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let (table, destination) = (self.route_table_id, self.destination_cidr_block.into());
        call.apply(Change::DeleteRoute { table, destination })?;
        Ok(DONE)
    }
}

/// The one target that a route is given.
fn via(
    gateway: Option<String>,
    instance: Option<InstanceId>,
    interface: Option<InterfaceId>,
) -> Result<RouteVia, Error> {
    match (gateway, instance, interface) {
        (Some(gateway), None, None) => via_gateway(&gateway),
        (None, Some(instance), None) => Ok(RouteVia::Instance(instance)),
        (None, None, Some(interface)) => Ok(RouteVia::Interface(interface)),
        (None, None, None) => {
            Err(Error::MissingParameter("GatewayId, InstanceId or NetworkInterfaceId".to_owned()))
        }
        _ => {
            Err(Error::Combination("Only one of GatewayId, InstanceId and NetworkInterfaceId may be given."))
        }
    }
}

/// A gateway is one of many kinds, all given as GatewayId.
fn via_gateway(id: &str) -> Result<RouteVia, Error> {
    const OTHERS: [&str; 5] = ["vgw-", "eigw-", "nat-", "cagw-", "vpce-"];
    if id == "local" || OTHERS.iter().any(|prefix| id.starts_with(prefix)) {
        return Err(Error::Unsupported(
            "Routes can lead to internet gateways, interfaces and instances only.",
        ));
    }
    let gateway: InternetGatewayId = id.parse().map_err(|_| Error::NotFound {
        code: "InvalidGatewayID.NotFound",
        kind: "gateway ID",
        id: id.to_owned(),
    })?;
    Ok(RouteVia::InternetGateway(gateway))
}
