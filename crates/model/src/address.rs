//! Elastic IP addresses, and what they have in common with other public ones.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue};
use crate::id::{AllocationId, AssociationId, InterfaceId, VpcId};
use crate::quota::Quota;
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
        if let Some((address, _)) = self.address_of(interface, private_ip) {
            return Some(address.public_ip);
        }
        let interface = self.interfaces.get(&interface)?;
        interface.public_ip.filter(|_| interface.private_ip == private_ip)
    }

    /// The interface and its private address that a public address is mapped to, if it is one of this region and is mapped.
    pub fn behind_public_address(&self, public_ip: Ipv4Addr) -> Option<(InterfaceId, Ipv4Addr)> {
        if let Some(elastic) = self.addresses.values().find(|address| address.public_ip == public_ip) {
            return elastic.association.as_ref().map(|to| (to.interface, to.private_ip));
        }
        let mut interfaces = self.interfaces.values();
        let interface = interfaces.find(|interface| interface.public_ip == Some(public_ip))?;
        Some((interface.id, interface.private_ip))
    }

    /// All public addresses: Elastic IP addresses, and those that interfaces have without one.
    pub fn public_addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        let elastic = self.addresses.values().map(|address| address.public_ip);
        elastic.chain(self.interfaces.values().filter_map(|interface| interface.public_ip))
    }

    pub(crate) fn allocate_address(
        &mut self,
        public_ip: Ipv4Addr,
        tags: Tags,
    ) -> Result<AllocationId, Fault> {
        self.can_be_public(public_ip)?;
        tag::check(&tags)?;
        self.quotas.allow(Quota::Addresses, self.addresses.len() + 1)?;

        let id = self.draw();
        self.addresses.insert(id, Address { allocation: id, public_ip, association: None, tags });
        Ok(id)
    }

    pub(crate) fn associate_address(
        &mut self,
        allocation: AllocationId,
        interface: InterfaceId,
        private_ip: Option<Ipv4Addr>,
        allow_reassociation: bool,
    ) -> Result<AssociationId, Fault> {
        let address = self.addresses.get(&allocation).ok_or(Fault::AllocationNotFound(allocation))?;
        let on = self.own_interface(interface)?;
        let private_ip = private_ip.unwrap_or(on.private_ip);
        if !on.addresses().any(|address| address == private_ip) {
            return Err(InvalidValue::AddressNotOfInterface { interface, address: private_ip.into() }.into());
        }
        if let Some(association) = &address.association {
            self.own_interface(association.interface)?;
            if (association.interface, association.private_ip) == (interface, private_ip) {
                return Ok(association.id);
            }
            if !allow_reassociation {
                return Err(Fault::AddressAlreadyAssociated { allocation, association: association.id });
            }
        }
        let before = self.address_of(interface, private_ip);
        if let Some((_, association)) = before
            && !allow_reassociation
        {
            return Err(Fault::InterfaceAlreadyAssociated { interface, association: association.id });
        }
        if self.internet_gateway_of(on.vpc).is_none() {
            return Err(Fault::GatewayNotAttached(on.vpc));
        }

        let before = before.map(|(address, _)| address.allocation);
        // EC2 takes its own address back where an Elastic IP address comes.
        if private_ip == on.private_ip {
            self.release_public_address(interface);
        }
        if let Some(address) = before.and_then(|before| self.addresses.get_mut(&before)) {
            address.association = None;
        }
        Ok(self.map_address(allocation, interface, private_ip))
    }

    /// Maps an Elastic IP address to a private one that has none.
    pub(crate) fn map_address(
        &mut self,
        allocation: AllocationId,
        interface: InterfaceId,
        private_ip: Ipv4Addr,
    ) -> AssociationId {
        let id = self.draw();
        if let Some(address) = self.addresses.get_mut(&allocation) {
            address.association = Some(AddressAssociation { id, interface, private_ip });
        }
        id
    }

    pub(crate) fn disassociate_address(&mut self, id: AssociationId) -> Result<(), Fault> {
        let mut mapped = self.addresses.values().filter_map(|address| address.association.as_ref());
        let to = mapped.find(|to| to.id == id).ok_or(Fault::AddressAssociationNotFound(id))?;
        let (interface, private_ip) = (self.own_interface(to.interface)?.id, to.private_ip);

        self.unmap(interface, |address| address == private_ip);
        Ok(())
    }

    pub(crate) fn release_address(&mut self, allocation: AllocationId) -> Result<(), Fault> {
        let address = self.addresses.get(&allocation).ok_or(Fault::AllocationNotFound(allocation))?;
        if address.association.is_some() {
            return Err(Fault::AddressInUse(address.public_ip.into()));
        }

        self.addresses.remove(&allocation);
        Ok(())
    }

    /// Whether any interface of the VPC has a public address.
    pub(crate) fn has_public_addresses(&self, vpc: VpcId) -> bool {
        let mut inside = self.interfaces.values().filter(|interface| interface.vpc == vpc);
        inside.any(|interface| interface.public_ip.is_some() || self.has_elastic_ip(interface.id))
    }

    /// Whether any private address of an interface has an Elastic IP address.
    pub(crate) fn has_elastic_ip(&self, interface: InterfaceId) -> bool {
        let mut mapped = self.addresses.values().filter_map(|address| address.association.as_ref());
        mapped.any(|to| to.interface == interface)
    }

    /// Whether somebody can have this public address.
    pub(crate) fn can_be_public(&self, public_ip: Ipv4Addr) -> Result<(), Fault> {
        if public_ip.is_unspecified()
            || public_ip.is_multicast()
            || public_ip.is_broadcast()
            || public_ip.is_loopback()
        {
            return Err(InvalidValue::PublicAddress(public_ip).into());
        }
        if self.public_addresses().any(|taken| taken == public_ip) {
            return Err(Fault::AddressInUse(public_ip.into()));
        }
        Ok(())
    }

    /// Takes the public addresses from those private addresses of an interface that are chosen.
    pub(crate) fn unmap(&mut self, interface: InterfaceId, chosen: impl Fn(Ipv4Addr) -> bool) {
        for address in self.addresses.values_mut() {
            let to = address.association.as_ref();
            if to.is_some_and(|to| to.interface == interface && chosen(to.private_ip)) {
                address.association = None;
            }
        }
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

    #[test]
    fn five_at_most() {
        let mut network = Network::new();
        for last in 0..5 {
            allocate(&mut network, last);
        }
        let sixth = Change::AllocateAddress { public_ip: Ipv4Addr::new(203, 0, 113, 6), tags: tags("x") };
        assert_eq!(network.refused(sixth).code(), "AddressLimitExceeded");
    }

    #[test]
    fn mappings_move_if_they_may() {
        let mut network = Network::new();
        network.internet_gateway();
        let ((_, interface), (_, other)) = (network.instance(), network.instance());
        let (first, second) = (network.elastic_ip(13, interface), network.elastic_ip(14, other));
        let again =
            |allocation, interface| Change::ReassociateAddress { allocation, interface, private_ip: None };
        assert_eq!(network.apply(again(first.0, interface)), Applied::AddressAssociation(first.1));

        let Applied::AddressAssociation(moved) = network.apply(again(first.0, other)) else { panic!() };
        assert!(moved != first.1 && moved != second.1);
        let address = &network.region.addresses()[&first.0];
        assert_eq!(address.association.as_ref().unwrap().interface, other);
        assert_eq!(network.region.addresses()[&second.0].association, None, "it made way");
        let private_ip = network.region.interfaces()[&interface].private_ip;
        assert_eq!(network.region.public_address_of(interface, private_ip), None);
    }

    #[test]
    fn an_address_is_given_back() {
        let mut network = Network::new();
        network.internet_gateway();
        let (_, interface) = network.instance();
        let (allocation, association) = network.elastic_ip(13, interface);
        let release = Change::ReleaseAddress { allocation };
        let fault = network.refused(release.clone());
        assert_eq!(
            (fault.code(), fault.to_string()),
            ("InvalidIPAddress.InUse", "Address 203.0.113.13 is in use.".into())
        );
        network.apply(Change::DisassociateAddress { association });
        let again = network.refused(Change::DisassociateAddress { association });
        assert_eq!(again.code(), "InvalidAssociationID.NotFound");
        network.apply(release.clone());
        assert_eq!(network.refused(release), Fault::AllocationNotFound(allocation));
        allocate(&mut network, 13);
    }
}
