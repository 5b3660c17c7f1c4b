//! The default VPC.

use model::{Applied, Change, Region, SubnetId, VpcId};
use serde::{Deserialize, Serialize};

use super::Action;
use super::subnet::{self, ShownSubnet};
use super::vpc::{self, ShownVpc};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::query::Limit;
use crate::store::ClientToken;

#[derive(Deserialize)]
pub(super) struct CreateDefaultVpc {}

#[derive(Serialize)]
pub(super) struct CreateDefaultVpcAnswer {
    vpc: ShownVpc,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateDefaultSubnet {
    availability_zone: String,
}

#[derive(Serialize)]
pub(super) struct CreateDefaultSubnetAnswer {
    subnet: ShownSubnet,
}

impl Action for CreateDefaultVpc {
    type Answer = CreateDefaultVpcAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        call.commit(|transaction| {
            let applied = transaction.apply(Change::CreateDefaultVpc)?;
            let Applied::Vpc(id) = applied else { return Err(Error::Unexpected) };
            let region = transaction.region();
            let made = region.vpcs().get(&id).ok_or(Error::Unexpected)?;
            Ok(CreateDefaultVpcAnswer { vpc: vpc::pending(region, made) })
        })
    }
}

impl Action for CreateDefaultSubnet {
    const LIMITS: &'static [Limit] = &[("AvailabilityZoneId", &[]), ("Ipv6Native", &["false"])];
    type Answer = CreateDefaultSubnetAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let create = Change::CreateDefaultSubnet { availability_zone: self.availability_zone };
        call.commit(move |transaction| {
            let Applied::Subnet(id) = transaction.apply(create)? else { return Err(Error::Unexpected) };
            let region = transaction.region();
            let made = region.subnets().get(&id).ok_or(Error::Unexpected)?;
            Ok(CreateDefaultSubnetAnswer { subnet: subnet::shown(region, made) })
        })
    }
}

/// Where something is for which no VPC is named.
pub(super) fn vpc_or_default(asked: Option<VpcId>, region: &Region) -> Result<VpcId, Error> {
    asked.or_else(|| region.default_vpc().map(|vpc| vpc.id)).ok_or(Error::VpcIdNotSpecified)
}

/// Where instances are launched for which no subnet is named: in the default VPC's first availability zone that has a
/// default subnet.
pub(super) fn subnet_or_default(asked: Option<SubnetId>, region: &Region) -> Result<SubnetId, Error> {
    if let Some(asked) = asked {
        return Ok(asked);
    }
    let vpc = region.default_vpc().ok_or(Error::VpcIdNotSpecified)?.id;
    let mut zones = region.key().region.availability_zones();
    let subnet = zones.find_map(|zone| region.default_subnet(&zone));
    subnet.map(|subnet| subnet.id).ok_or(Error::NoDefaultSubnet(vpc))
}
