//! The IPv6 CIDR block of a subnet, and what comes with it.

use ipnet::{IpNet, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue};
use crate::id::{SubnetCidrAssociationId, SubnetId};
use crate::interface::NetworkInterface;
use crate::region::Region;

/// The IPv6 addresses of a subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetIpv6CidrBlock {
    /// What ties them to the subnet.
    pub association: SubnetCidrAssociationId,
    /// A /64, without host bits.
    pub cidr: Ipv6Net,
}

/// One thing about a subnet's IPv6 addresses, and what it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubnetIpv6Attribute {
    /// Whether new interfaces get an IPv6 address if they do not say otherwise.
    AssignAddressOnCreation(bool),
    /// Whether its resolver makes IPv6 addresses for names that have none.
    EnableDns64(bool),
}

/// Prefix length of a subnet's IPv6 CIDR block (VPC User Guide, "Subnet sizing").
const PREFIX_LENGTH: u8 = 64;

impl Region {
    pub(crate) fn associate_subnet_cidr_block(
        &mut self,
        id: SubnetId,
        cidr: Ipv6Net,
    ) -> Result<SubnetCidrAssociationId, Fault> {
        let subnet = self.subnet(id)?;
        let cidr = cidr.trunc();
        if subnet.ipv6.is_some() {
            return Err(InvalidValue::SubnetHasIpv6(id).into());
        }
        if cidr.prefix_len() != PREFIX_LENGTH || !self.vpc(subnet.vpc)?.contains(cidr.into()) {
            return Err(Fault::SubnetRange(cidr.into()));
        }
        let taken = |block: super::SubnetIpv6CidrBlock| block.cidr == cidr;
        if self.subnets_of(subnet.vpc).any(|subnet| subnet.ipv6.is_some_and(taken)) {
            return Err(Fault::SubnetConflict(cidr.into()));
        }

        let association = self.draw();
        self.subnet_mut(id)?.ipv6 = Some(SubnetIpv6CidrBlock { association, cidr });
        Ok(association)
    }

    pub(crate) fn disassociate_subnet_cidr_block(
        &mut self,
        association: SubnetCidrAssociationId,
    ) -> Result<(), Fault> {
        let mut found = self.subnets.values().filter_map(|subnet| Some((subnet, subnet.ipv6?)));
        let found = found.find(|(_, block)| block.association == association);
        let (subnet, block) = found.ok_or(Fault::SubnetCidrAssociationNotFound(association))?;
        let id = subnet.id;
        let mut inside = self.interfaces.values().filter(|interface| interface.subnet == id);
        if subnet.assign_ipv6_address_on_creation
            || subnet.enable_dns64
            || inside.any(NetworkInterface::has_ipv6)
            || self.cidr_reservations_of(id).any(|reservation| matches!(reservation.cidr, IpNet::V6(_)))
        {
            return Err(Fault::SubnetCidrInUse { subnet: id, cidr: block.cidr.into() });
        }

        self.subnet_mut(id)?.ipv6 = None;
        Ok(())
    }

    pub(crate) fn modify_subnet_ipv6_attribute(
        &mut self,
        id: SubnetId,
        attribute: SubnetIpv6Attribute,
    ) -> Result<(), Fault> {
        let subnet = self.subnet_mut(id)?;
        let (SubnetIpv6Attribute::AssignAddressOnCreation(on) | SubnetIpv6Attribute::EnableDns64(on)) =
            attribute;
        if on && subnet.ipv6.is_none() {
            return Err(InvalidValue::SubnetWithoutIpv6(id).into());
        }

        match attribute {
            SubnetIpv6Attribute::AssignAddressOnCreation(on) => subnet.assign_ipv6_address_on_creation = on,
            SubnetIpv6Attribute::EnableDns64(on) => subnet.enable_dns64 = on,
        }
        Ok(())
    }

    fn subnet_mut(&mut self, id: SubnetId) -> Result<&mut super::Subnet, Fault> {
        self.subnets.get_mut(&id).ok_or(Fault::SubnetNotFound(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, cidr, cidr6, tags};
    use crate::{Applied, Change, NewInterface};

    fn associate(subnet: SubnetId, text: &str) -> Change {
        Change::AssociateSubnetCidrBlock { subnet, cidr: cidr6(text) }
    }

    #[test]
    fn a_subnet_has_a_part_of_its_vpc() {
        let mut network = Network::with_ipv6();
        let subnet = network.subnet;
        let second = Change::CreateSubnet {
            vpc: network.vpc,
            cidr: cidr("10.0.2.0/24"),
            availability_zone: None,
            tags: tags("second"),
        };
        let Applied::Subnet(second) = network.apply(second) else { panic!() };
        assert_eq!(network.refused(associate(subnet, "2001:db8:0:103::/64")).code(), "InvalidParameterValue");
        for (text, code) in [
            ("2001:db8:0:101::/64", "InvalidSubnet.Conflict"),
            ("2001:db8:0:200::/64", "InvalidSubnet.Range"),
            ("2001:db8:0:100::/56", "InvalidSubnet.Range"),
            ("2001:db8:0:102::/65", "InvalidSubnet.Range"),
        ] {
            assert_eq!(network.refused(associate(second, text)).code(), code, "{text}");
        }
        network.apply(associate(second, "2001:db8:0:102::9/64"));
        let block = network.region.subnets()[&second].ipv6.unwrap();
        assert_eq!(block.cidr, cidr6("2001:db8:0:102::/64"));
        let association = block.association;
        network.apply(Change::DisassociateSubnetCidrBlock { association });
        let again = network.refused(Change::DisassociateSubnetCidrBlock { association });
        assert_eq!(again, Fault::SubnetCidrAssociationNotFound(association));
    }

    #[test]
    fn interfaces_and_attributes_hold_the_block() {
        let mut network = Network::with_ipv6();
        let subnet = network.subnet;
        let association = network.region.subnets()[&subnet].ipv6.unwrap().association;
        let disassociate = Change::DisassociateSubnetCidrBlock { association };
        let on_creation = |on| Change::ModifySubnetIpv6Attribute {
            subnet,
            attribute: SubnetIpv6Attribute::AssignAddressOnCreation(on),
        };
        network.apply(on_creation(true));
        assert_eq!(network.refused(disassociate.clone()).code(), "InvalidCidrBlock.InUse");
        let create = Change::CreateNetworkInterface(NewInterface::new(subnet));
        let Applied::Interface(interface) = network.apply(create) else { panic!() };
        assert_eq!(network.region.interfaces()[&interface].ipv6_addresses.len(), 1);
        network.apply(on_creation(false));
        assert_eq!(network.refused(disassociate.clone()).code(), "InvalidCidrBlock.InUse");
        network.apply(Change::DeleteNetworkInterface { interface });
        network.apply(disassociate);

        assert_eq!(network.refused(on_creation(true)), InvalidValue::SubnetWithoutIpv6(subnet).into());
        let attribute = SubnetIpv6Attribute::EnableDns64(true);
        let dns64 = network.refused(Change::ModifySubnetIpv6Attribute { subnet, attribute });
        assert_eq!(dns64.code(), "InvalidParameterValue");
        network.apply(on_creation(false));
    }
}
