//! NAT gateways.

mod address;
mod shown;

use std::net::Ipv4Addr;

use model::{
    AllocationId, Applied, Change, Connectivity, Fault, NatGatewayId, NewNatGateway, SecondaryAddresses,
    SubnetId,
};
use serde::{Deserialize, Serialize};

use super::tag::{TagSpecification, tags_for};
use super::{Action, Describe, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;
use crate::ec2::time::now;
use crate::store::ClientToken;

pub(super) use address::{
    AssignPrivateNatGatewayAddress, AssociateNatGatewayAddress, DisassociateNatGatewayAddress,
    UnassignPrivateNatGatewayAddress,
};
use shown::{FILTERS, ShownNatGateway, shown_nat_gateway};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateNatGateway {
    subnet_id: SubnetId,
    connectivity_type: Option<ConnectivityType>,
    allocation_id: Option<AllocationId>,
    private_ip_address: Option<Ipv4Addr>,
    #[serde(default)]
    secondary_allocation_id: Vec<AllocationId>,
    #[serde(default)]
    secondary_private_ip_address: Vec<Ipv4Addr>,
    secondary_private_ip_address_count: Option<u32>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum ConnectivityType {
    Public,
    Private,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateNatGatewayAnswer {
    client_token: Option<String>,
    nat_gateway: ShownNatGateway,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeNatGateways {
    #[serde(default)]
    nat_gateway_id: Vec<NatGatewayId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteNatGateway {
    nat_gateway_id: NatGatewayId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteNatGatewayAnswer {
    nat_gateway_id: NatGatewayId,
}

impl Action for CreateNatGateway {
    const LIMITS: &'static [Limit] =
        &[("AvailabilityMode", &["zonal"]), ("AvailabilityZoneAddress", &[]), ("VpcId", &[])];
    const TAKES_TOKEN: bool = true;
    type Answer = CreateNatGatewayAnswer;

    fn run(self, call: &Call<'_>, token: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let secondary = either(self.secondary_private_ip_address, self.secondary_private_ip_address_count)?;
        if self.allocation_id.is_none() && !self.secondary_allocation_id.is_empty() {
            return Err(Error::MissingParameter("AllocationId".to_owned()));
        }
        let new = NewNatGateway {
            subnet: self.subnet_id,
            connectivity: match self.connectivity_type {
                Some(ConnectivityType::Private) => Connectivity::Private,
                Some(ConnectivityType::Public) | None => Connectivity::Public,
            },
            allocations: self.allocation_id.into_iter().chain(self.secondary_allocation_id).collect(),
            private_ip: self.private_ip_address,
            secondary,
            time: now(),
            tags: tags_for("natgateway", self.tag_specification)?,
        };
        let client_token = token.as_ref().map(|token| token.token.clone());
        let id: NatGatewayId = call.commit_once(token, move |transaction| {
            match transaction.apply(Change::CreateNatGateway(new))? {
                Applied::NatGateway(id) => Ok(id),
                _ => Err(Error::Unexpected),
            }
        })?;
        let region = call.region();
        let gateway = region.nat_gateways().get(&id).ok_or(Fault::NatGatewayNotFound(id))?;
        let nat_gateway = shown_nat_gateway(gateway);
        Ok(CreateNatGatewayAnswer { client_token, nat_gateway })
    }
}

impl Describe for DescribeNatGateways {
    const SET: &'static str = "natGatewaySet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownNatGateway;

    fn by_id(&self) -> bool {
        !self.nat_gateway_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownNatGateway)>, Error> {
        let region = call.region();
        let gateways = pick(&self.nat_gateway_id, region.nat_gateways(), Fault::NatGatewayNotFound)?;
        let shown = gateways.into_iter().map(|it| (it.id.to_string(), shown_nat_gateway(it)));
        Ok(shown.collect())
    }
}

impl Action for DeleteNatGateway {
    type Answer = DeleteNatGatewayAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        call.apply(Change::DeleteNatGateway { gateway: self.nat_gateway_id, time: now() })?;
        Ok(DeleteNatGatewayAnswer { nat_gateway_id: self.nat_gateway_id })
    }
}

/// Private addresses by themselves, or by how many.
fn either(these: Vec<Ipv4Addr>, count: Option<u32>) -> Result<SecondaryAddresses, Error> {
    match (these.is_empty(), count) {
        (true, count) => Ok(SecondaryAddresses::Count(count.unwrap_or(0))),
        (false, None) => Ok(SecondaryAddresses::These(these)),
        (false, Some(_)) => Err(Error::Combination("Give private addresses or how many, not both.")),
    }
}
