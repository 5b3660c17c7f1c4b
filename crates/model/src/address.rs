//! Elastic IP addresses.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue};
use crate::id::{AllocationId, AssociationId, InterfaceId};
use crate::region::Region;
use crate::tag::{self, Tags};

/// An Elastic IP address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Its id.
    pub allocation: AllocationId,
    /// The address.
    pub public_ip: Ipv4Addr,
    /// What it is mapped to.
    pub association: Option<AddressAssociation>,
    /// Its tags.
    pub tags: Tags,
}

/// What an Elastic IP address is mapped to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressAssociation {
    /// Its id.
    pub id: AssociationId,
    /// The interface that has the private address.
    pub interface: InterfaceId,
    /// The private address.
    pub private_ip: Ipv4Addr,
}

impl Region {
    /// The public address that a private address of an interface is mapped to.
    pub fn public_address_of(&self, interface: InterfaceId, private_ip: Ipv4Addr) -> Option<Ipv4Addr> {
        self.address_of(interface, private_ip).map(|(address, _)| address.public_ip)
    }

    pub(crate) fn allocate_address(
        &mut self,
        public_ip: Ipv4Addr,
        tags: Tags,
    ) -> Result<AllocationId, Fault> {
        if public_ip.is_unspecified()
            || public_ip.is_multicast()
            || public_ip.is_broadcast()
            || public_ip.is_loopback()
        {
            return Err(InvalidValue::PublicAddress(public_ip).into());
        }
        if self.addresses.values().any(|address| address.public_ip == public_ip) {
            return Err(Fault::AddressInUse(public_ip));
        }
        tag::check(&tags)?;

        let id = self.draw();
        self.addresses.insert(id, Address { allocation: id, public_ip, association: None, tags });
        Ok(id)
    }

    pub(crate) fn associate_address(
        &mut self,
        allocation: AllocationId,
        interface: InterfaceId,
        private_ip: Option<Ipv4Addr>,
    ) -> Result<AssociationId, Fault> {
        let address = self.addresses.get(&allocation).ok_or(Fault::AllocationNotFound(allocation))?;
        let on = self.interface(interface)?;
        let private_ip = private_ip.unwrap_or(on.private_ip);
        if !on.addresses().any(|address| address == private_ip) {
            return Err(InvalidValue::AddressNotOfInterface { interface, address: private_ip }.into());
        }
        if let Some(association) = &address.association {
            if (association.interface, association.private_ip) == (interface, private_ip) {
                return Ok(association.id);
            }
            return Err(Fault::AddressAlreadyAssociated { allocation, association: association.id });
        }
        if let Some((_, association)) = self.address_of(interface, private_ip) {
            return Err(Fault::InterfaceAlreadyAssociated { interface, association: association.id });
        }
        if self.internet_gateway_of(on.vpc).is_none() {
            return Err(Fault::GatewayNotAttached(on.vpc));
        }

        let id = self.draw();
        if let Some(address) = self.addresses.get_mut(&allocation) {
            address.association = Some(AddressAssociation { id, interface, private_ip });
        }
        Ok(id)
    }

    fn address_of(
        &self,
        interface: InterfaceId,
        private_ip: Ipv4Addr,
    ) -> Option<(&Address, &AddressAssociation)> {
        let mapped =
            self.addresses.values().filter_map(|address| Some((address, address.association.as_ref()?)));
        mapped.into_iter().find(|(_, to)| (to.interface, to.private_ip) == (interface, private_ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, tags};
    use crate::{Applied, Change};

    fn allocate(network: &mut Network, last: u8) -> AllocationId {
        let public_ip = Ipv4Addr::new(203, 0, 113, last);
        match network.apply(Change::AllocateAddress { public_ip, tags: tags("x") }) {
            Applied::Address(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn associate(allocation: AllocationId, interface: InterfaceId) -> Change {
        Change::AssociateAddress { allocation, interface, private_ip: None }
    }

    #[test]
    fn an_address_is_allocated_once() {
        let mut network = Network::new();
        allocate(&mut network, 13);
        let again = Change::AllocateAddress { public_ip: Ipv4Addr::new(203, 0, 113, 13), tags: tags("x") };
        assert_eq!(network.refused(again).code(), "InvalidIPAddress.InUse");
        let nowhere = Change::AllocateAddress { public_ip: Ipv4Addr::BROADCAST, tags: tags("x") };
        assert_eq!(network.refused(nowhere).code(), "InvalidParameterValue");
    }

    #[test]
    fn one_public_for_one_private_address() {
        let mut network = Network::new();
        let ((_, interface), (_, other)) = (network.instance(), network.instance());
        let (first, second) = (allocate(&mut network, 13), allocate(&mut network, 14));
        let early = network.refused(associate(first, interface));
        assert_eq!(early, Fault::GatewayNotAttached(network.vpc));
        network.internet_gateway();

        let associated = network.apply(associate(first, interface));
        assert_eq!(network.apply(associate(first, interface)), associated, "asking again changes nothing");
        let private_ip = network.region.interfaces()[&interface].private_ip;
        let public = network.region.public_address_of(interface, private_ip);
        assert_eq!(public, Some(Ipv4Addr::new(203, 0, 113, 13)));
        assert_eq!(network.region.public_address_of(other, private_ip), None);

        for (allocation, interface) in [(first, other), (second, interface)] {
            let fault = network.refused(associate(allocation, interface));
            assert_eq!(fault.code(), "Resource.AlreadyAssociated");
        }
        let wrong = Some(Ipv4Addr::new(10, 0, 1, 200));
        let fault = network.refused(Change::AssociateAddress {
            allocation: second,
            interface: other,
            private_ip: wrong,
        });
        assert_eq!(fault.code(), "InvalidParameterValue");
        let nobody = "eipalloc-00000000".parse().unwrap();
        assert_eq!(network.refused(associate(nobody, other)).code(), "InvalidAllocationID.NotFound");
        let nothing = "eni-00000000".parse().unwrap();
        assert_eq!(network.refused(associate(second, nothing)).code(), "InvalidNetworkInterfaceID.NotFound");
    }
}
