//! Addresses that come to NAT gateways, and those that go once their connections had time to end.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use crate::address_pool::AddressPool;
use crate::fault::{Fault, InvalidValue};
use crate::id::{AllocationId, AssociationId, NatGatewayId};
use crate::interface::{SecondaryAddresses, once_each};
use crate::nat_gateway::{
    Connectivity, NatGateway, NatGatewayAddress, NatGatewayAddressStatus, NatGatewayState,
};
use crate::quota::Quota;
use crate::region::Region;

/// How long connections of an address that goes may last, in seconds.
const DRAIN: RangeInclusive<u32> = 1..=4000;

impl NatGateway {
    /// When the next of its addresses goes, in seconds since 1970. Those of a gateway that is being taken away go with
    /// it.
    pub fn next_drain_end(&self) -> Option<u64> {
        if self.state != NatGatewayState::Available {
            return None;
        }
        self.addresses.iter().filter_map(NatGatewayAddress::until).min()
    }
}

impl NatGatewayAddress {
    /// When it goes, in seconds since 1970.
    fn until(&self) -> Option<u64> {
        match self.status {
            NatGatewayAddressStatus::Succeeded => None,
            NatGatewayAddressStatus::Disassociating { until } => Some(until),
        }
    }
}

impl Region {
    pub(crate) fn associate_nat_gateway_address(
        &mut self,
        id: NatGatewayId,
        allocations: &[AllocationId],
        private_ips: Vec<Ipv4Addr>,
    ) -> Result<(), Fault> {
        let gateway = self.settled_gateway(id, Connectivity::Public)?;
        if allocations.is_empty() {
            return Err(InvalidValue::NoAddresses.into());
        }
        self.allocations_fit(allocations, gateway.addresses.len())?;
        for &allocation in allocations {
            let association =
                self.addresses.get(&allocation).and_then(|address| address.association.as_ref());
            if let Some(association) = association {
                return Err(Fault::AddressAlreadyAssociated { allocation, association: association.id });
            }
        }
        if !private_ips.is_empty() && private_ips.len() != allocations.len() {
            return Err(Fault::AllocationsAndAddressesDiffer);
        }
        if self.internet_gateway_of(gateway.vpc).is_none() {
            return Err(Fault::GatewayNotAttached(gateway.vpc));
        }
        let private_ips = match private_ips.as_slice() {
            [] => SecondaryAddresses::Count(u32::try_from(allocations.len()).unwrap_or(u32::MAX)),
            _ => SecondaryAddresses::These(private_ips),
        };
        let private_ips = self.free_addresses(gateway, private_ips)?;

        self.add_addresses(id, &private_ips, allocations);
        Ok(())
    }

    pub(crate) fn assign_private_nat_gateway_address(
        &mut self,
        id: NatGatewayId,
        addresses: SecondaryAddresses,
    ) -> Result<Vec<Ipv4Addr>, Fault> {
        let gateway = self.settled_gateway(id, Connectivity::Private)?;
        let more = addresses.count();
        if more == 0 {
            return Err(InvalidValue::NoAddresses.into());
        }
        let count = gateway.addresses.len().saturating_add(more);
        self.gateway_quota(Quota::PrivateAddressesPerNatGateway, count)?;
        let private_ips = self.free_addresses(gateway, addresses)?;

        self.add_addresses(id, &private_ips, &[]);
        Ok(private_ips)
    }

    pub(crate) fn disassociate_nat_gateway_address(
        &mut self,
        gateway: NatGatewayId,
        associations: &[AssociationId],
        max_drain: u32,
        time: u64,
    ) -> Result<(), Fault> {
        let own = &self.settled_gateway(gateway, Connectivity::Public)?.addresses;
        let mut leaving = Vec::new();
        for &association in associations {
            let address = own.iter().find(|address| address.association == Some(association));
            leaving.push(
                address.ok_or(InvalidValue::NatGatewayAssociation { gateway, association })?.private_ip,
            );
        }
        self.drain(gateway, &leaving, max_drain, time)
    }

    pub(crate) fn unassign_private_nat_gateway_address(
        &mut self,
        gateway: NatGatewayId,
        addresses: &[Ipv4Addr],
        max_drain: u32,
        time: u64,
    ) -> Result<(), Fault> {
        let own = &self.settled_gateway(gateway, Connectivity::Private)?.addresses;
        for &address in addresses {
            if !own.iter().any(|own| own.private_ip == address) {
                return Err(InvalidValue::NatGatewayAddress { gateway, address }.into());
            }
        }
        self.drain(gateway, addresses, max_drain, time)
    }

    pub(crate) fn end_nat_gateway_drain(&mut self, id: NatGatewayId, time: u64) -> Result<(), Fault> {
        let gateway = self.nat_gateway_mut(id)?;
        // What a gateway has that is being taken away goes with it.
        if gateway.state != NatGatewayState::Available {
            return Err(Fault::IncorrectNatGatewayState(id));
        }
        let interface = gateway.interface;
        let over = |address: &NatGatewayAddress| address.until().is_some_and(|until| until <= time);
        let gone: Vec<_> = gateway.addresses.extract_if(.., |address| over(address)).collect();
        let gone: Vec<_> = gone.into_iter().map(|address| address.private_ip).collect();

        self.drop_private_ips(interface, &gone);
        Ok(())
    }

    /// Lets addresses of a gateway take no new connections from now on.
    fn drain(
        &mut self,
        id: NatGatewayId,
        leaving: &[Ipv4Addr],
        max_drain: u32,
        time: u64,
    ) -> Result<(), Fault> {
        if leaving.is_empty() {
            return Err(InvalidValue::NoAddresses.into());
        }
        once_each(leaving)?;
        if !DRAIN.contains(&max_drain) {
            return Err(InvalidValue::MaxDrain(max_drain).into());
        }
        let gateway = self.nat_gateway_mut(id)?;
        if gateway.addresses.iter().any(|address| address.primary && leaving.contains(&address.private_ip)) {
            return Err(InvalidValue::NatGatewayPrimary(id).into());
        }

        let until = time.saturating_add(max_drain.into());
        for address in gateway.addresses.iter_mut().filter(|address| leaving.contains(&address.private_ip)) {
            address.status = NatGatewayAddressStatus::Disassociating { until };
        }
        Ok(())
    }

    /// A gateway whose addresses can change.
    fn settled_gateway(&self, id: NatGatewayId, connectivity: Connectivity) -> Result<&NatGateway, Fault> {
        let gateway = self.nat_gateway(id)?;
        if gateway.state != NatGatewayState::Available {
            return Err(Fault::IncorrectNatGatewayState(id));
        }
        if gateway.connectivity != connectivity {
            return Err(Fault::WrongConnectivity(id));
        }
        if gateway.next_drain_end().is_some() {
            return Err(Fault::NatGatewayDraining(id));
        }
        Ok(gateway)
    }

    fn free_addresses(
        &self,
        gateway: &NatGateway,
        asked: SecondaryAddresses,
    ) -> Result<Vec<Ipv4Addr>, Fault> {
        let subnet = self.subnet(gateway.subnet)?;
        let mut pool = AddressPool::of(self);
        match asked {
            SecondaryAddresses::Count(count) => (0..count).map(|_| pool.take(subnet, None)).collect(),
            SecondaryAddresses::These(these) => {
                these.into_iter().map(|address| pool.take(subnet, Some(address))).collect()
            }
        }
    }

    fn add_addresses(&mut self, id: NatGatewayId, private_ips: &[Ipv4Addr], allocations: &[AllocationId]) {
        let Some(interface) = self.nat_gateways.get(&id).map(|gateway| gateway.interface) else { return };
        for (at, &private_ip) in private_ips.iter().enumerate() {
            let address = self.gateway_address(interface, private_ip, allocations.get(at).copied(), false);
            if let Some(interface) = self.interfaces.get_mut(&interface) {
                interface.secondary_ips.push(private_ip);
            }
            if let Some(gateway) = self.nat_gateways.get_mut(&id) {
                gateway.addresses.push(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Network;
    use crate::{Applied, Change, InterfaceId, NewNatGateway, Quotas};

    fn private_ips(network: &Network, id: NatGatewayId) -> Vec<u8> {
        let own = &network.region.nat_gateways()[&id].addresses;
        own.iter().map(|address| address.private_ip.octets()[3]).collect()
    }

    fn interface_ips(network: &Network, interface: InterfaceId) -> Vec<u8> {
        network.region.interfaces()[&interface].addresses().map(|ip| ip.octets()[3]).collect()
    }

    fn available(network: &mut Network, id: NatGatewayId) {
        network.apply(Change::SetNatGatewayState { gateway: id, state: NatGatewayState::Available });
    }

    #[test]
    fn public_addresses_come_and_drain() {
        let mut network = Network::new();
        network.internet_gateway();
        network.region.quotas = Quotas { addresses_per_nat_gateway: 4, ..Quotas::default() };
        let (gateway, primary) = network.nat_gateway();
        let (second, third) = (network.allocation(2), network.allocation(3));
        let associate = |allocations: &[AllocationId], lasts: &[u8]| Change::AssociateNatGatewayAddress {
            gateway,
            allocations: allocations.to_vec(),
            private_ips: lasts.iter().map(|&last| Ipv4Addr::new(10, 0, 1, last)).collect(),
        };
        assert_eq!(network.refused(associate(&[second], &[])).code(), "IncorrectState");
        available(&mut network, gateway);
        for (change, code) in [
            (associate(&[], &[]), "InvalidParameterValue"),
            (associate(&[primary], &[]), "Resource.AlreadyAssociated"),
            (associate(&[second, third], &[9]), "InvalidParameterCombination"),
            (associate(&[second], &[4]), "InvalidIPAddress.InUse"),
            (
                Change::AssignPrivateNatGatewayAddress { gateway, addresses: SecondaryAddresses::Count(1) },
                "UnsupportedOperation",
            ),
        ] {
            assert_eq!(network.refused(change).code(), code);
        }
        network.apply(associate(&[second, third], &[20, 21]));
        assert_eq!(private_ips(&network, gateway), [4, 20, 21]);
        let own = network.region.nat_gateways()[&gateway].clone();
        assert_eq!(interface_ips(&network, own.interface), [4, 20, 21]);

        let ids: Vec<_> = own.addresses.iter().map(|address| address.association.unwrap()).collect();
        let disassociate =
            |associations: &[AssociationId], max_drain| Change::DisassociateNatGatewayAddress {
                gateway,
                associations: associations.to_vec(),
                max_drain,
                time: 1000,
            };
        let nobody = "eipassoc-00000000".parse().unwrap();
        for wrong in [
            disassociate(&[ids[0]], 350),
            disassociate(&[nobody], 350),
            disassociate(&[], 350),
            disassociate(&[ids[1], ids[1]], 350),
            disassociate(&[ids[1]], 0),
            disassociate(&[ids[1]], 4001),
        ] {
            assert_eq!(network.refused(wrong).code(), "InvalidParameterValue");
        }
        network.apply(disassociate(&[ids[1]], 350));
        assert_eq!(network.refused(disassociate(&[ids[2]], 350)), Fault::NatGatewayDraining(gateway));
        assert_eq!(network.region.nat_gateways()[&gateway].next_drain_end(), Some(1350));
        network.apply(Change::EndNatGatewayDrain { gateway, time: 1349 });
        assert_eq!(private_ips(&network, gateway), [4, 20, 21]);
        assert_eq!(
            network.refused(Change::ReleaseAddress { allocation: second }).code(),
            "InvalidIPAddress.InUse"
        );
        network.apply(Change::EndNatGatewayDrain { gateway, time: 1350 });
        assert_eq!(private_ips(&network, gateway), [4, 21]);
        assert_eq!(interface_ips(&network, own.interface), [4, 21]);
        network.apply(Change::ReleaseAddress { allocation: second });
    }

    #[test]
    fn private_addresses_come_and_drain() {
        let mut network = Network::new();
        let new = NewNatGateway { connectivity: Connectivity::Private, ..NewNatGateway::new(network.subnet) };
        let Applied::NatGateway(gateway) = network.apply(Change::CreateNatGateway(new)) else { panic!() };
        available(&mut network, gateway);
        let assign = |count| Change::AssignPrivateNatGatewayAddress {
            gateway,
            addresses: SecondaryAddresses::Count(count),
        };
        assert_eq!(network.refused(assign(0)).code(), "InvalidParameterValue");
        assert_eq!(network.refused(assign(8)).code(), "PrivateIpAddressLimitExceeded");
        let Applied::PrivateAddresses(given) = network.apply(assign(2)) else { panic!() };
        let unassign = |addresses: &[Ipv4Addr]| Change::UnassignPrivateNatGatewayAddress {
            gateway,
            addresses: addresses.to_vec(),
            max_drain: 1,
            time: 10,
        };
        let stranger = Ipv4Addr::new(10, 0, 1, 77);
        assert_eq!(network.refused(unassign(&[stranger])).code(), "InvalidParameterValue");
        network.apply(unassign(&given));
        assert_eq!(network.refused(assign(1)).code(), "IncorrectState");
        network.apply(Change::EndNatGatewayDrain { gateway, time: 11 });
        assert_eq!(private_ips(&network, gateway), [4]);
    }
}
