//! Egress-only internet gateways.

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue};
use crate::id::{EgressOnlyInternetGatewayId, VpcId};
use crate::quota::Quota;
use crate::region::Region;
use crate::tag::{self, Tags};

/// The way of a VPC to the internet for IPv6 that nobody out there can open: connections begin inside only. It
/// translates nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressOnlyInternetGateway {
    /// Its id.
    pub id: EgressOnlyInternetGatewayId,
    /// The VPC it is attached to, all its life.
    pub vpc: VpcId,
    /// Its tags.
    pub tags: Tags,
}

impl Region {
    /// The egress-only internet gateway of a VPC.
    pub fn egress_only_internet_gateway_of(&self, vpc: VpcId) -> Option<EgressOnlyInternetGatewayId> {
        let mut all = self.egress_only_internet_gateways.values();
        all.find(|gateway| gateway.vpc == vpc).map(|gateway| gateway.id)
    }

    pub(crate) fn create_egress_only_internet_gateway(
        &mut self,
        vpc: VpcId,
        tags: Tags,
    ) -> Result<EgressOnlyInternetGatewayId, Fault> {
        self.vpc(vpc)?;
        if self.egress_only_internet_gateway_of(vpc).is_some() {
            return Err(InvalidValue::NetworkHasEgressOnlyGateway(vpc).into());
        }
        tag::check(&tags)?;
        let count = self.egress_only_internet_gateways.len() + 1;
        self.quotas.allow(Quota::EgressOnlyInternetGateways, count)?;

        let id = self.draw();
        self.egress_only_internet_gateways.insert(id, EgressOnlyInternetGateway { id, vpc, tags });
        Ok(id)
    }

    pub(crate) fn delete_egress_only_internet_gateway(
        &mut self,
        id: EgressOnlyInternetGatewayId,
    ) -> Result<(), Fault> {
        let gone = self.egress_only_internet_gateways.remove(&id);
        gone.map(|_| ()).ok_or(Fault::EgressOnlyInternetGatewayNotFound(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, tags};
    use crate::{Applied, Change};

    #[test]
    fn a_vpc_has_one_until_it_is_deleted() {
        let mut network = Network::new();
        let create = |vpc| Change::CreateEgressOnlyInternetGateway { vpc, tags: tags("eigw") };
        let Applied::EgressOnlyInternetGateway(gateway) = network.apply(create(network.vpc)) else {
            panic!()
        };
        assert_eq!(network.region.egress_only_internet_gateway_of(network.vpc), Some(gateway));
        assert_eq!(network.refused(create(network.vpc)).code(), "InvalidParameterValue");
        network.apply(create(network.other));
        let nowhere = "vpc-00000000".parse().unwrap();
        assert_eq!(network.refused(create(nowhere)), Fault::VpcNotFound(nowhere));

        let subnet = network.subnet;
        network.apply(Change::DeleteSubnet { subnet });
        let delete_vpc = Change::DeleteVpc { vpc: network.vpc };
        assert_eq!(network.refused(delete_vpc.clone()).code(), "DependencyViolation");
        network.apply(Change::DeleteEgressOnlyInternetGateway { gateway });
        let again = network.refused(Change::DeleteEgressOnlyInternetGateway { gateway });
        assert_eq!(again.code(), "InvalidGatewayID.NotFound");
        network.apply(delete_vpc);
    }
}
