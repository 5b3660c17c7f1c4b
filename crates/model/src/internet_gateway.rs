//! Internet gateways.

use serde::{Deserialize, Serialize};

use crate::fault::{Dependency, Fault, InvalidValue};
use crate::id::{InternetGatewayId, VpcId};
use crate::quota::Quota;
use crate::region::Region;
use crate::tag::{self, Tags};

/// The way of a VPC to the internet. It translates one to one between Elastic IP addresses and private ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternetGateway {
    /// Its id.
    pub id: InternetGatewayId,
    /// The VPC it is attached to.
    pub vpc: Option<VpcId>,
    /// Its tags.
    pub tags: Tags,
}

impl Region {
    /// The internet gateway that is attached to a VPC.
    pub fn internet_gateway_of(&self, vpc: VpcId) -> Option<InternetGatewayId> {
        self.internet_gateways.values().find(|gateway| gateway.vpc == Some(vpc)).map(|gateway| gateway.id)
    }

    pub(crate) fn create_internet_gateway(&mut self, tags: Tags) -> Result<InternetGatewayId, Fault> {
        tag::check(&tags)?;
        self.quotas.allow(Quota::InternetGateways, self.internet_gateways.len() + 1)?;

        let id = self.draw();
        self.internet_gateways.insert(id, InternetGateway { id, vpc: None, tags });
        Ok(id)
    }

    pub(crate) fn attach_internet_gateway(&mut self, id: InternetGatewayId, vpc: VpcId) -> Result<(), Fault> {
        self.vpc(vpc)?;
        let taken = self.internet_gateway_of(vpc).is_some();
        let gateway = self.internet_gateways.get_mut(&id).ok_or(Fault::InternetGatewayNotFound(id))?;
        if let Some(vpc) = gateway.vpc {
            return Err(Fault::GatewayAlreadyAttached { gateway: id, vpc });
        }
        if taken {
            return Err(InvalidValue::NetworkHasGateway(vpc).into());
        }

        gateway.vpc = Some(vpc);
        Ok(())
    }

    pub(crate) fn detach_internet_gateway(&mut self, id: InternetGatewayId, vpc: VpcId) -> Result<(), Fault> {
        self.vpc(vpc)?;
        let public = self.has_public_addresses(vpc);
        let gateway = self.internet_gateways.get_mut(&id).ok_or(Fault::InternetGatewayNotFound(id))?;
        if gateway.vpc != Some(vpc) {
            return Err(Fault::GatewayNotAttachedTo { gateway: id, vpc });
        }
        if public {
            return Err(Dependency::PublicAddresses(vpc).into());
        }

        gateway.vpc = None;
        self.untie_gateway(id);
        Ok(())
    }

    pub(crate) fn delete_internet_gateway(&mut self, id: InternetGatewayId) -> Result<(), Fault> {
        let gateway = self.internet_gateways.get(&id).ok_or(Fault::InternetGatewayNotFound(id))?;
        if gateway.vpc.is_some() {
            return Err(Dependency::InternetGateway(id).into());
        }

        self.internet_gateways.remove(&id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, tags};
    use crate::{Applied, Change};

    #[test]
    fn one_to_one() {
        let mut network = Network::new();
        assert_eq!(network.region.internet_gateway_of(network.vpc), None);
        let igw = network.internet_gateway();
        assert_eq!(network.region.internet_gateway_of(network.vpc), Some(igw));

        let again = network.refused(Change::AttachInternetGateway { igw, vpc: network.vpc });
        assert_eq!(again.code(), "Resource.AlreadyAssociated");
        assert_eq!(
            again.to_string(),
            format!("resource {igw} is already attached to network {}", network.vpc)
        );

        let Applied::InternetGateway(other) =
            network.apply(Change::CreateInternetGateway { tags: tags("x") })
        else {
            panic!()
        };
        let second = network.refused(Change::AttachInternetGateway { igw: other, vpc: network.vpc });
        assert_eq!(second.code(), "InvalidParameterValue");

        let nowhere = "igw-00000000".parse().unwrap();
        let unknown = network.refused(Change::AttachInternetGateway { igw: nowhere, vpc: network.vpc });
        assert_eq!(unknown.code(), "InvalidInternetGatewayID.NotFound");
    }

    #[test]
    fn what_is_in_use_stays() {
        let mut network = Network::new();
        let igw = network.internet_gateway();
        let (_, interface) = network.instance();
        let (allocation, association) = network.elastic_ip(13, interface);
        let detach = Change::DetachInternetGateway { igw, vpc: network.vpc };
        let mapped = network.refused(detach.clone());
        assert_eq!(
            (mapped.code(), mapped),
            ("DependencyViolation", Dependency::PublicAddresses(network.vpc).into())
        );
        network.apply(Change::DisassociateAddress { association });
        assert_eq!(network.refused(Change::DeleteInternetGateway { igw }).code(), "DependencyViolation");
        let elsewhere = network.refused(Change::DetachInternetGateway { igw, vpc: network.other });
        assert_eq!(elsewhere.code(), "Gateway.NotAttached");
        assert_eq!(
            elsewhere.to_string(),
            format!("resource {igw} is not attached to network {}", network.other)
        );

        network.apply(detach.clone());
        assert_eq!(network.refused(detach).code(), "Gateway.NotAttached");
        let unreachable = Change::AssociateAddress { allocation, interface, private_ip: None };
        assert_eq!(network.refused(unreachable), Fault::GatewayNotAttached(network.vpc));
        network.apply(Change::DeleteInternetGateway { igw });
        assert_eq!(
            network.refused(Change::DeleteInternetGateway { igw }),
            Fault::InternetGatewayNotFound(igw)
        );
    }

    #[test]
    fn five_at_most() {
        let mut network = Network::new();
        for _ in 0..5 {
            network.apply(Change::CreateInternetGateway { tags: tags("x") });
        }
        let fault = network.refused(Change::CreateInternetGateway { tags: tags("x") });
        assert_eq!(fault.code(), "InternetGatewayLimitExceeded");
    }
}
