//! NAT gateways and VPC peering connections.

use std::net::Ipv4Addr;

use model::{
    AllocationId, Applied, Change, Connectivity, NatGatewayId, NatGatewayState, NewNatGateway, PeeringStatus,
    SecondaryAddresses,
};

use super::resources::Properties;
use super::update::Revision;
use super::{Maker, PhysicalId};
use crate::error::{LabError, Place, TemplateFault, Wrong};
use crate::yaml::{Fields, Node};

const CONNECTIVITY: &str = "public or private";
/// For how many seconds connections of an address that goes may last, if nothing is said.
const DRAIN: u32 = 350;

impl Maker<'_> {
    pub(super) fn nat_gateway(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let fields = &properties.fields;
        let connectivity = match fields.optional("ConnectivityType") {
            None => Connectivity::Public,
            Some(node) => match node.text("`ConnectivityType`")? {
                "public" => Connectivity::Public,
                "private" => Connectivity::Private,
                other => {
                    let value = other.to_owned();
                    return Err(node.error(Wrong::Value { value, expected: CONNECTIVITY }));
                }
            },
        };
        // It says how addresses go in an update of the stack.
        if let Some(node) = fields.optional("MaxDrainDurationSeconds") {
            drain(node)?;
        }
        let subnet = fields.required("SubnetId")?;
        let first = fields.optional("AllocationId");
        let place = first.unwrap_or(subnet).place.clone();
        let more = fields.items("SecondaryAllocationIds")?;
        let allocations: Result<Vec<AllocationId>, _> = first
            .into_iter()
            .chain(more)
            .map(|node| node.value("the allocation id of an Elastic IP"))
            .collect();
        let new = NewNatGateway {
            subnet: subnet.value("the id of a subnet")?,
            connectivity,
            allocations: allocations?,
            private_ip: properties.optional_address("PrivateIpAddress")?,
            secondary: secondary(fields)?,
            time: self.cloud.time(),
            tags: properties.tags()?,
        };
        let Applied::NatGateway(id) = self.apply(properties, &place, Change::CreateNatGateway(new))? else {
            unreachable!("CreateNatGateway gives a NAT gateway")
        };
        let made = self.cloud.region().nat_gateways().get(&id);
        if let Some(NatGatewayState::Failed(failure)) = made.map(|gateway| gateway.state) {
            return Err(failed(properties, &place, failure.code(), failure.to_string()));
        }
        Ok(PhysicalId::NatGateway(id))
    }

    /// Its secondary Elastic IP addresses; those that go are drained first.
    pub(super) fn update_nat_gateway(
        &mut self,
        gateway: NatGatewayId,
        revision: &Revision<'_>,
    ) -> Result<(), LabError> {
        const KEY: &str = "SecondaryAllocationIds";
        let fields = &revision.new.fields;
        let max_drain = fields.optional("MaxDrainDurationSeconds").map_or(Ok(DRAIN), drain)?;
        if !revision.changes(KEY) {
            return Ok(());
        }
        let (old, new) = (allocations(&revision.old.fields)?, allocations(fields)?);
        let place = &fields.optional(KEY).map_or(&revision.new.resource.place, |node| &node.place).clone();
        let more: Vec<_> = new.iter().filter(|id| !old.contains(id)).copied().collect();
        if !more.is_empty() {
            let change =
                Change::AssociateNatGatewayAddress { gateway, allocations: more, private_ips: Vec::new() };
            self.apply(&revision.new, place, change)?;
        }
        let own = self.cloud.region().nat_gateways().get(&gateway).into_iter().flat_map(|own| &own.addresses);
        let leaving = own
            .filter(|address| address.allocation.is_some_and(|id| old.contains(&id) && !new.contains(&id)));
        let associations: Vec<_> = leaving.filter_map(|address| address.association).collect();
        if !associations.is_empty() {
            let time = self.cloud.time();
            let change = Change::DisassociateNatGatewayAddress { gateway, associations, max_drain, time };
            self.apply(&revision.new, place, change)?;
        }
        Ok(())
    }

    /// CloudFormation accepts for the owner of both ends.
    pub(super) fn peering(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let fields = &properties.fields;
        let own = self.cloud.region().key().clone();
        for (property, own) in [("PeerOwnerId", &own.account.0), ("PeerRegion", &own.region.0)] {
            if let Some(node) = fields.optional(property)
                && node.text("this")? != own
            {
                let value = node.text("this")?.to_owned();
                let why = "peering is within one account and region";
                return Err(node.error(TemplateFault::PropertyValue { property, value, why }));
            }
        }
        let node = fields.required("PeerVpcId")?;
        let create = Change::CreateVpcPeeringConnection {
            requester: fields.required("VpcId")?.value("the id of a VPC")?,
            accepter: node.value("the id of a VPC")?,
            time: self.cloud.time(),
            tags: properties.tags()?,
        };
        let Applied::VpcPeeringConnection(connection) = self.apply(properties, &node.place, create)? else {
            unreachable!("CreateVpcPeeringConnection gives a connection")
        };
        let made = self.cloud.region().vpc_peering_connections().get(&connection);
        if made.is_some_and(|made| made.status == PeeringStatus::Failed) {
            let message = "the VPCs' addresses overlap".to_owned();
            return Err(failed(properties, &node.place, "failed", message));
        }
        let accept = Change::AcceptVpcPeeringConnection { connection, time: self.cloud.time() };
        self.apply(properties, &node.place, accept)?;
        Ok(PhysicalId::VpcPeeringConnection(connection))
    }
}

fn allocations(fields: &Fields<'_>) -> Result<Vec<AllocationId>, LabError> {
    let ids = fields.items("SecondaryAllocationIds")?.iter();
    ids.map(|node| node.value("the allocation id of an Elastic IP")).collect()
}

fn drain(node: &Node) -> Result<u32, LabError> {
    const EXPECTED: &str = "a number of seconds from 1 to 4000";
    match node.value(EXPECTED)? {
        seconds @ 1..=4000 => Ok(seconds),
        other => Err(node.error(Wrong::Value { value: other.to_string(), expected: EXPECTED })),
    }
}

fn secondary(fields: &Fields<'_>) -> Result<SecondaryAddresses, LabError> {
    let these = fields.items("SecondaryPrivateIpAddresses")?;
    let count = fields.optional("SecondaryPrivateIpAddressCount");
    match count {
        Some(node) if these.is_empty() => Ok(SecondaryAddresses::Count(node.value("a number of addresses")?)),
        Some(node) => {
            let (property, value) = ("SecondaryPrivateIpAddressCount", node.text("this")?.to_owned());
            let why = "the addresses are named";
            Err(node.error(TemplateFault::PropertyValue { property, value, why }))
        }
        None if these.is_empty() => Ok(SecondaryAddresses::Count(0)),
        None => {
            let these: Result<Vec<Ipv4Addr>, _> = these.iter().map(Node::ipv4).collect();
            Ok(SecondaryAddresses::These(these?))
        }
    }
}

/// What EC2 makes, only to say that it cannot be used.
fn failed(properties: &Properties<'_>, place: &Place, code: &'static str, message: String) -> LabError {
    let logical = properties.resource.logical.clone();
    place.error(TemplateFault::Refused { logical, code, message })
}
