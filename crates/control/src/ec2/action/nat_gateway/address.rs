//! The addresses of NAT gateways.

use std::net::Ipv4Addr;

use model::{AllocationId, AssociationId, Change, Fault, NatGatewayId};
use serde::{Deserialize, Serialize};

use super::either;
use super::shown::{ShownNatGatewayAddress, shown_addresses};
use crate::ec2::Call;
use crate::ec2::action::Action;
use crate::ec2::error::Error;
use crate::ec2::query::Limit;
use crate::ec2::time::now;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ec2::action) struct AssociateNatGatewayAddress {
    nat_gateway_id: NatGatewayId,
    allocation_id: Vec<AllocationId>,
    #[serde(default)]
    private_ip_address: Vec<Ipv4Addr>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ec2::action) struct DisassociateNatGatewayAddress {
    nat_gateway_id: NatGatewayId,
    association_id: Vec<AssociationId>,
    max_drain_duration_seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ec2::action) struct AssignPrivateNatGatewayAddress {
    nat_gateway_id: NatGatewayId,
    #[serde(default)]
    private_ip_address: Vec<Ipv4Addr>,
    private_ip_address_count: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ec2::action) struct UnassignPrivateNatGatewayAddress {
    nat_gateway_id: NatGatewayId,
    private_ip_address: Vec<Ipv4Addr>,
    max_drain_duration_seconds: Option<u32>,
}

/// A NAT gateway's addresses after a change.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::ec2::action) struct NatGatewayAddresses {
    nat_gateway_id: NatGatewayId,
    nat_gateway_address_set: Vec<ShownNatGatewayAddress>,
}

/// How long connections of an address that goes may last if nothing is said, in seconds ("Amazon EC2 API Reference",
/// "DisassociateNatGatewayAddress").
const DEFAULT_DRAIN: u32 = 350;

impl Action for AssociateNatGatewayAddress {
    const LIMITS: &'static [Limit] = &[("AvailabilityZone", &[]), ("AvailabilityZoneId", &[])];
    type Answer = NatGatewayAddresses;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let (allocations, private_ips) = (self.allocation_id, self.private_ip_address);
        let gateway = self.nat_gateway_id;
        changed(call, gateway, Change::AssociateNatGatewayAddress { gateway, allocations, private_ips })
    }
}

impl Action for DisassociateNatGatewayAddress {
    type Answer = NatGatewayAddresses;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let change = Change::DisassociateNatGatewayAddress {
            gateway: self.nat_gateway_id,
            associations: self.association_id,
            max_drain: self.max_drain_duration_seconds.unwrap_or(DEFAULT_DRAIN),
            time: now(),
        };
        changed(call, self.nat_gateway_id, change)
    }
}

impl Action for AssignPrivateNatGatewayAddress {
    type Answer = NatGatewayAddresses;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let gateway = self.nat_gateway_id;
        let addresses = either(self.private_ip_address, self.private_ip_address_count)?;
        changed(call, gateway, Change::AssignPrivateNatGatewayAddress { gateway, addresses })
    }
}

impl Action for UnassignPrivateNatGatewayAddress {
    type Answer = NatGatewayAddresses;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let change = Change::UnassignPrivateNatGatewayAddress {
            gateway: self.nat_gateway_id,
            addresses: self.private_ip_address,
            max_drain: self.max_drain_duration_seconds.unwrap_or(DEFAULT_DRAIN),
            time: now(),
        };
        changed(call, self.nat_gateway_id, change)
    }
}

fn changed(call: &Call<'_>, id: NatGatewayId, change: Change) -> Result<NatGatewayAddresses, Error> {
    call.commit(move |transaction| {
        transaction.apply(change)?;
        let gateway = transaction.region().nat_gateways().get(&id).ok_or(Fault::NatGatewayNotFound(id))?;
        Ok(NatGatewayAddresses { nat_gateway_id: id, nat_gateway_address_set: shown_addresses(gateway) })
    })
}
