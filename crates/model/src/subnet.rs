//! Subnets.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use crate::cidr_pool::{self, PREFIX_LENGTHS};
use crate::fault::{Dependency, Fault, InvalidValue};
use crate::id::{SubnetId, VpcId};
use crate::network_acl::NetworkAclAssociation;
use crate::quota::Quota;
use crate::region::Region;
use crate::tag::{self, Tags};

mod ipv6;
mod reservation;

pub use ipv6::{SubnetIpv6Attribute, SubnetIpv6CidrBlock};
pub use reservation::{ReservationType, SubnetCidrReservation};

/// A part of a VPC that shares a route table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its id.
    pub id: SubnetId,
    /// The VPC it is a part of.
    pub vpc: VpcId,
    /// Its addresses, without host bits.
    pub cidr: Ipv4Net,
    /// Such as "eu-west-1b".
    pub availability_zone: String,
    /// Whether instances that are launched in it get a public address if they do not say otherwise.
    #[serde(default)] // Older snapshots lack it.
    pub map_public_ip_on_launch: bool,
    /// Its IPv6 addresses.
    #[serde(default)]
    pub ipv6: Option<SubnetIpv6CidrBlock>,
    /// Whether new interfaces get an IPv6 address if they do not say otherwise.
    #[serde(default)]
    pub assign_ipv6_address_on_creation: bool,
    /// Whether its resolver makes IPv6 addresses for names that have none (RFC 6147).
    #[serde(default)]
    pub enable_dns64: bool,
    /// Its tags.
    pub tags: Tags,
    /// Whether it is the default VPC's for its availability zone.
    #[serde(default)]
    pub default_for_az: bool,
    /// What filters the packets that cross its border.
    #[serde(default)]
    pub network_acl: NetworkAclAssociation,
}

impl Subnet {
    /// The address of the subnet's router: the first above the network's.
    pub fn router(&self) -> Ipv4Addr {
        cidr_pool::at(self.cidr, 1)
    }

    /// The five addresses that no interface can have (VPC User Guide, "Subnet CIDR blocks").
    pub fn reserved(&self) -> [Ipv4Addr; 5] {
        cidr_pool::reserved4(self.cidr)
    }

    /// Its CIDR blocks of both families.
    pub(crate) fn cidrs(&self) -> impl Iterator<Item = IpNet> {
        std::iter::once(self.cidr.into()).chain(self.ipv6.map(|block| block.cidr.into()))
    }
}

impl Region {
    pub(crate) fn subnet(&self, id: SubnetId) -> Result<&Subnet, Fault> {
        self.subnets.get(&id).ok_or(Fault::SubnetNotFound(id))
    }

    pub(crate) fn create_subnet(
        &mut self,
        vpc: VpcId,
        cidr: Ipv4Net,
        availability_zone: Option<String>,
        tags: Tags,
    ) -> Result<SubnetId, Fault> {
        let cidr = cidr.trunc();
        if !PREFIX_LENGTHS.contains(&cidr.prefix_len()) || !self.vpc(vpc)?.contains(cidr.into()) {
            return Err(Fault::SubnetRange(cidr.into()));
        }
        if self.subnets_of(vpc).any(|subnet| cidr_pool::overlap(subnet.cidr, cidr)) {
            return Err(Fault::SubnetConflict(cidr.into()));
        }
        let availability_zone = self.availability_zone(availability_zone)?;
        tag::check(&tags)?;
        self.quotas.allow(Quota::SubnetsPerVpc, self.subnets_of(vpc).count() + 1)?;

        let acl = self.vpc(vpc)?.default_network_acl;
        let id = self.draw();
        let network_acl = NetworkAclAssociation { id: self.draw(), acl };
        let subnet = Subnet {
            id,
            vpc,
            cidr,
            availability_zone,
            map_public_ip_on_launch: false,
            ipv6: None,
            assign_ipv6_address_on_creation: false,
            enable_dns64: false,
            tags,
            default_for_az: false,
            network_acl,
        };
        self.subnets.insert(id, subnet);
        Ok(id)
    }

    pub(crate) fn modify_subnet_attribute(
        &mut self,
        id: SubnetId,
        map_public_ip_on_launch: bool,
    ) -> Result<(), Fault> {
        let subnet = self.subnets.get_mut(&id).ok_or(Fault::SubnetNotFound(id))?;

        subnet.map_public_ip_on_launch = map_public_ip_on_launch;
        Ok(())
    }

    pub(crate) fn subnets_of(&self, vpc: VpcId) -> impl Iterator<Item = &Subnet> {
        self.subnets.values().filter(move |subnet| subnet.vpc == vpc)
    }

    pub(crate) fn delete_subnet(&mut self, id: SubnetId) -> Result<(), Fault> {
        self.subnet(id)?;
        if self.interfaces.values().any(|interface| interface.subnet == id) {
            return Err(Dependency::Subnet(id).into());
        }

        for table in self.route_tables.values_mut() {
            table.associations.retain(|_, subnet| *subnet != id);
        }
        self.subnet_cidr_reservations.retain(|_, reservation| reservation.subnet != id);
        self.subnets.remove(&id);
        Ok(())
    }

    fn availability_zone(&self, asked: Option<String>) -> Result<String, Fault> {
        let mut known = self.key.region.availability_zones();
        match asked {
            None => Ok(known.next().unwrap_or_default()),
            Some(zone) if known.any(|known| known == zone) => Ok(zone),
            Some(zone) => {
                let known = self.key.region.availability_zones().collect();
                Err(InvalidValue::AvailabilityZone { zone, known }.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, cidr, tags};
    use crate::{Applied, Change};

    fn subnet(network: &Network, text: &str, zone: Option<&str>) -> Change {
        Change::CreateSubnet {
            vpc: network.vpc,
            cidr: cidr(text),
            availability_zone: zone.map(str::to_owned),
            tags: tags("x"),
        }
    }

    #[test]
    fn a_subnet_lies_inside_its_vpc_and_beside_the_others() {
        // 10.0.0.0/16 with 10.0.1.0/24.
        let mut network = Network::new();
        for (text, code) in [
            ("10.1.0.0/24", "InvalidSubnet.Range"),
            ("10.0.0.0/15", "InvalidSubnet.Range"),
            ("10.0.2.0/29", "InvalidSubnet.Range"),
            ("10.0.1.0/24", "InvalidSubnet.Conflict"),
            ("10.0.1.16/28", "InvalidSubnet.Conflict"),
            ("10.0.0.0/16", "InvalidSubnet.Conflict"),
        ] {
            assert_eq!(network.refused(subnet(&network, text, None)).code(), code, "{text}");
        }
        let Applied::Subnet(id) = network.apply(subnet(&network, "10.0.2.77/24", None)) else { panic!() };
        let made = &network.region.subnets()[&id];
        assert_eq!(made.cidr, cidr("10.0.2.0/24"));
        assert_eq!(made.router().to_string(), "10.0.2.1");
        assert_eq!(made.reserved().map(|address| address.octets()[3]), [0, 1, 2, 3, 255]);
    }

    #[test]
    fn zones_are_the_regions() {
        let mut network = Network::new();
        let Applied::Subnet(id) = network.apply(subnet(&network, "10.0.2.0/24", Some("eu-west-1b"))) else {
            panic!()
        };
        assert_eq!(network.region.subnets()[&id].availability_zone, "eu-west-1b");
        assert_eq!(network.region.subnets()[&network.subnet].availability_zone, "eu-west-1a");
        let fault = network.refused(subnet(&network, "10.0.3.0/24", Some("eu-west-2a")));
        assert!(
            fault.to_string().contains("following availability zones: eu-west-1a, eu-west-1b,"),
            "{fault}"
        );
    }

    #[test]
    fn no_vpc() {
        let mut network = Network::new();
        let vpc = "vpc-00000000000000000".parse().unwrap();
        let create =
            Change::CreateSubnet { vpc, cidr: cidr("10.0.2.0/24"), availability_zone: None, tags: tags("x") };
        let fault = network.refused(create);
        assert_eq!(fault, Fault::VpcNotFound(vpc));
        assert_eq!(fault.to_string(), "The vpc ID 'vpc-00000000000000000' does not exist");
    }

    #[test]
    fn a_subnet_without_interfaces_goes() {
        let mut network = Network::new();
        let (subnet, table) = (network.subnet, network.route_table());
        network.apply(Change::AssociateRouteTable { table, subnet });
        let interface = network.interface(&[]);
        let delete = Change::DeleteSubnet { subnet };
        let fault = network.refused(delete.clone());
        assert_eq!((fault.code(), fault), ("DependencyViolation", Dependency::Subnet(subnet).into()));
        network.apply(Change::DeleteNetworkInterface { interface });
        network.apply(delete.clone());
        assert!(network.region.route_tables()[&table].associations.is_empty());
        assert_eq!(network.refused(delete), Fault::SubnetNotFound(subnet));
    }

    #[test]
    fn two_hundred_at_most() {
        let mut network = Network::new();
        for n in 2..=200 {
            network.apply(subnet(&network, &format!("10.0.{n}.0/24"), None));
        }
        let fault = network.refused(subnet(&network, "10.0.201.0/24", None));
        assert_eq!(fault.code(), "SubnetLimitExceeded");
    }
}
