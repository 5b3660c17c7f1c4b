//! The DNS attributes of a VPC, and the names that come with them (VPC User Guide, "DNS attributes for your VPC").

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue};
use crate::id::{InterfaceId, VpcId};
use crate::region::{Region, RegionName};
use crate::vpc::Vpc;

/// One thing about a VPC's DNS, and what it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VpcAttribute {
    /// Whether the VPC has a resolver.
    EnableDnsSupport(bool),
    /// Whether instances have public names, and the resolver knows private ones.
    EnableDnsHostnames(bool),
}

impl Vpc {
    /// Whether its resolver knows the names that Amazon gives: it takes both attributes.
    pub fn has_dns_names(&self) -> bool {
        self.enable_dns_support && self.enable_dns_hostnames
    }
}

impl Region {
    /// The public name that goes with the public address of an interface: "ec2-203-0-113-13.eu-west-1.compute.amazonaws.com".
    /// None where the interface's VPC gives no such names.
    pub fn public_dns_name(&self, interface: InterfaceId, public_ip: Ipv4Addr) -> Option<String> {
        let vpc = self.vpcs.get(&self.interfaces.get(&interface)?.vpc)?;
        let [a, b, c, d] = public_ip.octets();
        vpc.has_dns_names().then(|| format!("ec2-{a}-{b}-{c}-{d}.{}", self.key.region.public_domain()))
    }

    pub(crate) fn modify_vpc_attribute(&mut self, id: VpcId, attribute: VpcAttribute) -> Result<(), Fault> {
        let vpc = self.vpcs.get_mut(&id).ok_or(Fault::VpcNotFound(id))?;
        match attribute {
            VpcAttribute::EnableDnsHostnames(true) if !vpc.enable_dns_support => {
                return Err(InvalidValue::HostnamesWithoutDns(id).into());
            }
            VpcAttribute::EnableDnsHostnames(on) => vpc.enable_dns_hostnames = on,
            VpcAttribute::EnableDnsSupport(on) => vpc.enable_dns_support = on,
        }
        Ok(())
    }
}

impl RegionName {
    /// The domain of private DNS names (VPC User Guide, "DNS hostnames").
    pub fn domain(&self) -> String {
        match self.0.as_str() {
            "us-east-1" => "ec2.internal".to_owned(),
            name => format!("{name}.compute.internal"),
        }
    }

    /// The domain of public DNS names (same page).
    pub fn public_domain(&self) -> String {
        match self.0.as_str() {
            "us-east-1" => "compute-1.amazonaws.com".to_owned(),
            name => format!("{name}.compute.amazonaws.com"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Network;
    use crate::{Applied, Change};

    #[test]
    fn names_take_both_attributes() {
        let mut network = Network::new();
        let (_, interface) = network.instance();
        let (vpc, address) = (network.vpc, Ipv4Addr::new(203, 0, 113, 13));
        let modify = |attribute| Change::ModifyVpcAttribute { vpc, attribute };
        let name = |network: &Network| network.region.public_dns_name(interface, address);
        assert_eq!(name(&network), None);
        network.apply(modify(VpcAttribute::EnableDnsHostnames(true)));
        assert_eq!(name(&network).as_deref(), Some("ec2-203-0-113-13.eu-west-1.compute.amazonaws.com"));
        network.apply(modify(VpcAttribute::EnableDnsSupport(false)));
        assert_eq!(name(&network), None);
        network.apply(modify(VpcAttribute::EnableDnsHostnames(false)));
        let refused = network.refused(modify(VpcAttribute::EnableDnsHostnames(true)));
        assert_eq!(refused, InvalidValue::HostnamesWithoutDns(vpc).into());
    }

    #[test]
    fn only_the_default_vpc_has_names_from_the_start() {
        let mut network = Network::new();
        let plain = &network.region.vpcs()[&network.vpc];
        assert_eq!((plain.enable_dns_support, plain.enable_dns_hostnames), (true, false));
        let Applied::Vpc(default) = network.apply(Change::CreateDefaultVpc) else { panic!() };
        assert!(network.region.vpcs()[&default].has_dns_names());
    }

    #[test]
    fn us_east_1_has_domains_of_its_own() {
        let first = RegionName("us-east-1".into());
        assert_eq!(
            (first.domain(), first.public_domain()),
            ("ec2.internal".into(), "compute-1.amazonaws.com".into())
        );
    }

    /// What was written before VPCs had attributes has a resolver that nobody could reach, and no names.
    #[test]
    fn a_vpc_without_attributes_is_read() {
        let network = Network::new();
        let mut old = serde_json::to_value(&network.region).unwrap();
        for vpc in old["vpcs"].as_object_mut().unwrap().values_mut() {
            for name in ["enable_dns_support", "enable_dns_hostnames"] {
                assert!(vpc.as_object_mut().unwrap().remove(name).is_some(), "{name}");
            }
        }
        assert_eq!(serde_json::from_value::<Region>(old).unwrap(), network.region);
    }
}
