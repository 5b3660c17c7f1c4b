//! Making NAT gateways.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::address_pool::AddressPool;
use crate::fault::{Fault, InvalidValue};
use crate::id::{AllocationId, InterfaceId, NatGatewayId, SubnetId};
use crate::interface::{InterfaceKind, Ipv6Addresses, NewInterface, PlannedInterface, SecondaryAddresses};
use crate::nat_gateway::{
    Connectivity, NatGateway, NatGatewayAddress, NatGatewayAddressStatus, NatGatewayFailure, NatGatewayState,
    NatProfile,
};
use crate::quota::Quota;
use crate::region::Region;
use crate::tag::{self, Tags};

/// A NAT gateway to be. The tag `ringwall:nat-profile`, "aws" or "rfc", says how it translates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewNatGateway {
    /// Where it is.
    pub subnet: SubnetId,
    /// Whether it has public addresses.
    pub connectivity: Connectivity,
    /// Its Elastic IP addresses, the primary first: one or more if it is public, none if it is private.
    pub allocations: Vec<AllocationId>,
    /// Its primary private address; the lowest free one of the subnet if none is asked for.
    pub private_ip: Option<Ipv4Addr>,
    /// Its other private addresses. If it is public, as many as it has secondary Elastic IP addresses, or a count of 0
    /// for free ones.
    pub secondary: SecondaryAddresses,
    /// When, in seconds since 1970.
    pub time: u64,
    /// Its tags.
    pub tags: Tags,
}

/// Of Elastic IP addresses and of private ones, whatever the quotas are (VPC User Guide, "NAT gateway basics").
const MOST: usize = 8;

impl NewNatGateway {
    /// A public one at second 0, without the Elastic IP address that it needs.
    pub fn new(subnet: SubnetId) -> NewNatGateway {
        NewNatGateway {
            subnet,
            connectivity: Connectivity::Public,
            allocations: Vec::new(),
            private_ip: None,
            secondary: SecondaryAddresses::Count(0),
            time: 0,
            tags: Tags::new(),
        }
    }
}

impl Region {
    pub(crate) fn create_nat_gateway(&mut self, new: NewNatGateway) -> Result<NatGatewayId, Fault> {
        let subnet = self.subnet(new.subnet)?;
        let (vpc, zone) = (subnet.vpc, subnet.availability_zone.as_str());
        let secondary = self.secondary_addresses(&new)?;
        tag::check(&new.tags)?;
        let profile = NatProfile::of(&new.tags)?;
        let in_zone = self.nat_gateways.values().filter(|other| {
            other.has_interface()
                && self.subnets.get(&other.subnet).is_some_and(|subnet| subnet.availability_zone == zone)
        });
        self.quotas.allow(Quota::NatGatewaysPerZone, in_zone.count() + 1)?;
        self.quotas.allow(Quota::Interfaces, self.interfaces.len() + 1)?;
        // What EC2 finds out only when the gateway is there already makes it fail.
        let found = match self.plan_gateway_interface(new.subnet, new.private_ip, secondary) {
            Err(Fault::InsufficientFreeAddresses(_)) => Err(NatGatewayFailure::InsufficientFreeAddresses),
            other => Ok(other?),
        };
        let found = match self.cannot_use(&new) {
            Some(failure) => Err(failure),
            None => found,
        };

        let (id, interface) = (self.draw(), self.draw());
        let (state, addresses) = match found {
            Ok(planned) => {
                let addresses = self.insert_gateway_interface(id, interface, planned, &new.allocations);
                (NatGatewayState::Pending, addresses)
            }
            Err(failure) => (NatGatewayState::Failed(failure), Vec::new()),
        };
        let delete_time = matches!(state, NatGatewayState::Failed(_)).then_some(new.time);
        let gateway = NatGateway {
            id,
            vpc,
            subnet: new.subnet,
            interface,
            connectivity: new.connectivity,
            profile,
            state,
            addresses,
            create_time: new.time,
            delete_time,
            tags: new.tags,
        };
        self.nat_gateways.insert(id, gateway);
        Ok(id)
    }

    /// The Elastic IP addresses exist, are named once, and are not too many for a gateway that has them all.
    pub(super) fn allocations_fit(&self, new: &[AllocationId], before: usize) -> Result<(), Fault> {
        for (at, &allocation) in new.iter().enumerate() {
            if !self.addresses.contains_key(&allocation) {
                return Err(Fault::AllocationNotFound(allocation));
            }
            if new[..at].contains(&allocation) {
                return Err(InvalidValue::AllocationRepeated(allocation).into());
            }
        }
        self.gateway_quota(Quota::AddressesPerNatGateway, before + new.len())
    }

    /// Whether a gateway can have so many addresses.
    pub(super) fn gateway_quota(&self, quota: Quota, count: usize) -> Result<(), Fault> {
        if count > MOST {
            return Err(Fault::LimitExceeded(quota));
        }
        self.quotas.allow(quota, count)
    }

    /// A private address of a gateway's interface and what it is mapped to.
    pub(super) fn gateway_address(
        &mut self,
        interface: InterfaceId,
        private_ip: Ipv4Addr,
        allocation: Option<AllocationId>,
        primary: bool,
    ) -> NatGatewayAddress {
        let association = allocation.map(|allocation| self.map_address(allocation, interface, private_ip));
        let public = allocation.and_then(|allocation| self.addresses.get(&allocation));
        NatGatewayAddress {
            private_ip,
            allocation,
            association,
            public_ip: public.map(|address| address.public_ip),
            status: NatGatewayAddressStatus::Succeeded,
            primary,
        }
    }

    /// Which private addresses beyond the primary are asked for, if they go with the Elastic IP addresses.
    fn secondary_addresses(&self, new: &NewNatGateway) -> Result<SecondaryAddresses, Fault> {
        match new.connectivity {
            Connectivity::Public => {
                if new.allocations.is_empty() {
                    return Err(Fault::AllocationMissing);
                }
                self.allocations_fit(&new.allocations, 0)?;
                let more = new.allocations.len() - 1;
                match &new.secondary {
                    SecondaryAddresses::Count(0) => {
                        Ok(SecondaryAddresses::Count(u32::try_from(more).unwrap_or(u32::MAX)))
                    }
                    SecondaryAddresses::These(these) if these.len() == more => Ok(new.secondary.clone()),
                    _ => Err(Fault::AllocationsAndAddressesDiffer),
                }
            }
            Connectivity::Private => {
                if !new.allocations.is_empty() {
                    return Err(Fault::AllocationOfPrivate);
                }
                let count = new.secondary.count().saturating_add(1);
                self.gateway_quota(Quota::PrivateAddressesPerNatGateway, count)?;
                Ok(new.secondary.clone())
            }
        }
    }

    /// What is in the way of a gateway that is asked for properly.
    fn cannot_use(&self, new: &NewNatGateway) -> Option<NatGatewayFailure> {
        let vpc = self.subnets.get(&new.subnet)?.vpc;
        if new.connectivity == Connectivity::Public && self.internet_gateway_of(vpc).is_none() {
            return Some(NatGatewayFailure::GatewayNotAttached(vpc));
        }
        let associated =
            |id: &AllocationId| self.addresses.get(id).is_some_and(|address| address.association.is_some());
        let taken = new.allocations.iter().copied().find(associated);
        taken.map(NatGatewayFailure::AddressAlreadyAssociated)
    }

    fn plan_gateway_interface(
        &self,
        subnet: SubnetId,
        private_ip: Option<Ipv4Addr>,
        secondary: SecondaryAddresses,
    ) -> Result<PlannedInterface, Fault> {
        // It translates IPv6 too, and has no address of it.
        let ipv6 = Some(Ipv6Addresses::Count(0));
        let new = NewInterface {
            private_ip,
            secondary,
            ipv6,
            source_dest_check: false,
            ..NewInterface::new(subnet)
        };
        self.plan_interface(new, &mut AddressPool::of(self))
    }

    fn insert_gateway_interface(
        &mut self,
        gateway: NatGatewayId,
        id: InterfaceId,
        planned: PlannedInterface,
        allocations: &[AllocationId],
    ) -> Vec<NatGatewayAddress> {
        self.insert_interface(id, planned, None, false);
        let Some(interface) = self.interfaces.get_mut(&id) else { return Vec::new() };
        interface.kind = InterfaceKind::NatGateway;
        interface.description = format!("Interface for NAT Gateway {gateway}");
        // A NAT gateway has no security groups.
        interface.groups.clear();
        let own: Vec<_> = interface.addresses().collect();
        let addresses = own.into_iter().enumerate().map(|(at, private_ip)| {
            self.gateway_address(id, private_ip, allocations.get(at).copied(), at == 0)
        });
        addresses.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Network;
    use crate::{Applied, Change, Quotas};

    fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 1, last)
    }

    fn made(network: &mut Network, new: NewNatGateway) -> NatGateway {
        match network.apply(Change::CreateNatGateway(new)) {
            Applied::NatGateway(id) => network.region.nat_gateways()[&id].clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses_go_with_each_other() {
        let mut network = Network::new();
        network.internet_gateway();
        let (first, second, third) = (network.allocation(1), network.allocation(2), network.allocation(3));
        let public = NewNatGateway {
            allocations: vec![first, second],
            private_ip: Some(ip(9)),
            ..NewNatGateway::new(network.subnet)
        };
        let these = |lasts: &[u8]| SecondaryAddresses::These(lasts.iter().map(|&last| ip(last)).collect());
        for (allocations, secondary, code) in [
            (vec![], SecondaryAddresses::Count(0), "MissingParameter"),
            (vec![first, first], SecondaryAddresses::Count(0), "InvalidParameterValue"),
            (vec![first, second], SecondaryAddresses::Count(1), "InvalidParameterCombination"),
            (vec![first, second], these(&[7, 8]), "InvalidParameterCombination"),
            (vec![first, second], these(&[9]), "InvalidIPAddress.InUse"),
            (vec![first, second], these(&[3]), "InvalidParameterValue"),
            (vec![first, second, third], these(&[7, 8]), "AddressLimitExceeded"),
            (vec!["eipalloc-00000000".parse().unwrap()], these(&[]), "InvalidAllocationID.NotFound"),
        ] {
            let new = NewNatGateway { allocations, secondary, ..public.clone() };
            assert_eq!(network.refused(Change::CreateNatGateway(new)).code(), code);
        }
        let gateway = made(&mut network, NewNatGateway { secondary: these(&[7]), ..public });
        let own: Vec<_> =
            gateway.addresses.iter().map(|it| (it.private_ip, it.allocation, it.primary)).collect();
        assert_eq!(own, [(ip(9), Some(first), true), (ip(7), Some(second), false)]);
        for address in &gateway.addresses {
            let public = network.region.public_address_of(gateway.interface, address.private_ip);
            assert_eq!((public.is_some(), public), (true, address.public_ip));
        }
    }

    #[test]
    fn a_private_gateway_needs_no_way_out() {
        let mut network = Network::new();
        let allocation = network.allocation(1);
        let private =
            NewNatGateway { connectivity: Connectivity::Private, ..NewNatGateway::new(network.subnet) };
        let with_public = NewNatGateway { allocations: vec![allocation], ..private.clone() };
        let fault = network.refused(Change::CreateNatGateway(with_public));
        assert_eq!(fault.code(), "InvalidParameterCombination");
        let many = NewNatGateway { secondary: SecondaryAddresses::Count(8), ..private.clone() };
        let fault = network.refused(Change::CreateNatGateway(many));
        assert_eq!(fault.code(), "PrivateIpAddressLimitExceeded");
        let gateway =
            made(&mut network, NewNatGateway { secondary: SecondaryAddresses::Count(7), ..private });
        assert_eq!((gateway.state, gateway.addresses.len()), (NatGatewayState::Pending, 8));
        assert!(gateway.addresses.iter().all(|address| address.association.is_none()));
    }

    #[test]
    fn five_for_each_zone_and_eight_addresses_whatever_the_quota() {
        let mut network = Network::new();
        network.internet_gateway();
        network.region.quotas = Quotas { addresses: 20, addresses_per_nat_gateway: 20, ..Quotas::default() };
        let nine = (0..9).map(|last| network.allocation(last)).collect();
        let many = NewNatGateway { allocations: nine, ..NewNatGateway::new(network.subnet) };
        let fault = network.refused(Change::CreateNatGateway(many));
        assert_eq!(fault, Fault::LimitExceeded(Quota::AddressesPerNatGateway));
        let private =
            NewNatGateway { connectivity: Connectivity::Private, ..NewNatGateway::new(network.subnet) };
        for _ in 0..5 {
            made(&mut network, private.clone());
        }
        let fault = network.refused(Change::CreateNatGateway(private));
        assert_eq!(fault.code(), "NatGatewayLimitExceeded");
    }
}
