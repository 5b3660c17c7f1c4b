//! NAT gateways, as they are shown.

use std::net::Ipv4Addr;

use model::{
    AllocationId, AssociationId, Connectivity, InterfaceId, NatGateway, NatGatewayAddress,
    NatGatewayAddressStatus, NatGatewayId, NatGatewayState, SubnetId, VpcId,
};
use serde::Serialize;

use crate::ec2::action::tag::{Tag, tag_set};
use crate::ec2::filter::Names;
use crate::ec2::time::Timestamp;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::ec2::action) struct ShownNatGateway {
    nat_gateway_id: NatGatewayId,
    vpc_id: VpcId,
    subnet_id: SubnetId,
    state: String,
    failure_code: Option<&'static str>,
    failure_message: Option<String>,
    create_time: Timestamp,
    delete_time: Option<Timestamp>,
    connectivity_type: String,
    availability_mode: &'static str,
    nat_gateway_address_set: Vec<ShownNatGatewayAddress>,
    tag_set: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownNatGatewayAddress {
    network_interface_id: InterfaceId,
    private_ip: Ipv4Addr,
    allocation_id: Option<AllocationId>,
    association_id: Option<AssociationId>,
    public_ip: Option<Ipv4Addr>,
    is_primary: bool,
    status: &'static str,
}

pub(super) const FILTERS: &Names = &[
    ("nat-gateway-id", "natGatewayId"),
    ("state", "state"),
    ("subnet-id", "subnetId"),
    ("tag-key", "tagSet.key"),
    ("vpc-id", "vpcId"),
];

/// A NAT gateway, as it is shown.
pub(super) fn shown_nat_gateway(gateway: &NatGateway) -> ShownNatGateway {
    let failure = match gateway.state {
        NatGatewayState::Failed(failure) => Some(failure),
        _ => None,
    };
    ShownNatGateway {
        nat_gateway_id: gateway.id,
        vpc_id: gateway.vpc,
        subnet_id: gateway.subnet,
        state: gateway.state.to_string(),
        failure_code: failure.map(|failure| failure.code()),
        failure_message: failure.map(|failure| failure.to_string()),
        create_time: Timestamp(gateway.create_time),
        delete_time: gateway.delete_time.map(Timestamp),
        connectivity_type: gateway.connectivity.to_string(),
        availability_mode: "zonal",
        nat_gateway_address_set: shown_addresses(gateway),
        tag_set: tag_set(&gateway.tags),
    }
}

/// A NAT gateway's addresses, as they are shown.
pub(super) fn shown_addresses(gateway: &NatGateway) -> Vec<ShownNatGatewayAddress> {
    let shown = |address: &NatGatewayAddress| ShownNatGatewayAddress {
        network_interface_id: gateway.interface,
        private_ip: address.private_ip,
        allocation_id: address.allocation,
        association_id: address.association,
        public_ip: address.public_ip,
        is_primary: address.primary,
        status: match (address.status, gateway.connectivity) {
            (NatGatewayAddressStatus::Succeeded, _) => "succeeded",
            (NatGatewayAddressStatus::Disassociating { .. }, Connectivity::Public) => "disassociating",
            (NatGatewayAddressStatus::Disassociating { .. }, Connectivity::Private) => "unassigning",
        },
    };
    gateway.addresses.iter().map(shown).collect()
}
