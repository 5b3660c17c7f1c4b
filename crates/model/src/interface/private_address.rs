//! The secondary private addresses of interfaces.

use std::net::Ipv4Addr;

use crate::address_pool::{self, AddressPool};
use crate::fault::{Fault, InvalidValue};
use crate::id::InterfaceId;
use crate::interface::SecondaryAddresses;
use crate::prefix_list::AddressFamily;
use crate::quota::Quota;
use crate::region::Region;

impl Region {
    pub(crate) fn assign_private_ip_addresses(
        &mut self,
        id: InterfaceId,
        addresses: SecondaryAddresses,
        allow_reassignment: bool,
    ) -> Result<Vec<Ipv4Addr>, Fault> {
        let interface = self.own_interface(id)?;
        let subnet = self.subnet(interface.subnet)?;
        let own = interface.slots(AddressFamily::Ipv4);
        self.quotas.allow(Quota::AddressesPerInterface, own.saturating_add(addresses.count()))?;
        self.allow_more_addresses(id, (addresses.count(), 0))?;
        let mut pool = AddressPool::of(self);
        let mut moved = Vec::new();
        let assigned = match addresses {
            SecondaryAddresses::Count(count) => {
                (0..count).map(|_| pool.take(subnet, None)).collect::<Result<Vec<_>, _>>()?
            }
            SecondaryAddresses::These(these) => {
                once_each(&these)?;
                for &address in &these {
                    address_pool::can_have(subnet, address)?;
                    let before = self.interface_by_address(interface.vpc, address);
                    match before.filter(|_| allow_reassignment) {
                        Some(before) if before.id == id && before.private_ip == address => {
                            return Err(InvalidValue::AddressPrimary { interface: id, address }.into());
                        }
                        Some(before) if before.secondary_ips.contains(&address) => {
                            self.own_interface(before.id)?;
                            moved.push((before.id, address));
                        }
                        _ => {
                            pool.take(subnet, Some(address))?;
                        }
                    }
                }
                these
            }
        };

        for (from, address) in moved {
            self.take_private_ip(from, address);
            for public in self.addresses.values_mut() {
                if let Some(to) = &mut public.association
                    && (to.interface, to.private_ip) == (from, address)
                {
                    to.interface = id;
                }
            }
        }
        if let Some(interface) = self.interfaces.get_mut(&id) {
            interface.secondary_ips.extend(&assigned);
        }
        Ok(assigned)
    }

    pub(crate) fn unassign_private_ip_addresses(
        &mut self,
        id: InterfaceId,
        addresses: Vec<Ipv4Addr>,
    ) -> Result<(), Fault> {
        let interface = self.own_interface(id)?;
        for &address in &addresses {
            if address == interface.private_ip {
                return Err(InvalidValue::AddressPrimary { interface: id, address }.into());
            }
            if !interface.secondary_ips.contains(&address) {
                return Err(
                    InvalidValue::AddressNotOfInterface { interface: id, address: address.into() }.into()
                );
            }
        }

        self.drop_private_ips(id, &addresses);
        Ok(())
    }

    /// Takes secondary private addresses, and the public ones mapped to them, from an interface.
    pub(crate) fn drop_private_ips(&mut self, id: InterfaceId, addresses: &[Ipv4Addr]) {
        self.unmap(id, |address| addresses.contains(&address));
        for &address in addresses {
            self.take_private_ip(id, address);
        }
    }

    fn take_private_ip(&mut self, from: InterfaceId, address: Ipv4Addr) {
        if let Some(interface) = self.interfaces.get_mut(&from) {
            interface.secondary_ips.retain(|&own| own != address);
        }
    }
}

pub(crate) fn once_each(addresses: &[Ipv4Addr]) -> Result<(), InvalidValue> {
    for (at, address) in addresses.iter().enumerate() {
        if addresses[..at].contains(address) {
            return Err(InvalidValue::AddressRepeated((*address).into()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Network;
    use crate::{Applied, Change};

    fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 1, last)
    }

    fn these(interface: InterfaceId, lasts: &[u8], allow_reassignment: bool) -> Change {
        let addresses = SecondaryAddresses::These(lasts.iter().map(|&last| ip(last)).collect());
        Change::AssignPrivateIpAddresses { interface, addresses, allow_reassignment }
    }

    fn secondary(network: &Network, interface: InterfaceId) -> Vec<Ipv4Addr> {
        network.region.interfaces()[&interface].secondary_ips.clone()
    }

    #[test]
    fn addresses_come_and_go_with_their_public_ones() {
        let mut network = Network::new();
        network.internet_gateway();
        let (_, interface) = network.instance();
        let two = SecondaryAddresses::Count(2);
        let two = Change::AssignPrivateIpAddresses { interface, addresses: two, allow_reassignment: false };
        assert_eq!(network.apply(two), Applied::PrivateAddresses(vec![ip(5), ip(6)]));
        network.apply(these(interface, &[20], false));
        assert_eq!(secondary(&network, interface), [ip(5), ip(6), ip(20)]);

        let (allocation, association) = network.elastic_ip(13, interface);
        network.apply(Change::DisassociateAddress { association });
        network.apply(Change::AssociateAddress { allocation, interface, private_ip: Some(ip(20)) });
        let unassign = |lasts: &[u8]| Change::UnassignPrivateIpAddresses {
            interface,
            addresses: lasts.iter().map(|&last| ip(last)).collect(),
        };
        network.apply(unassign(&[20, 5]));
        assert_eq!(secondary(&network, interface), [ip(6)]);
        assert_eq!(network.region.addresses()[&allocation].association, None);
        for wrong in [4, 20] {
            assert_eq!(network.refused(unassign(&[6, wrong])).code(), "InvalidParameterValue");
        }
    }

    #[test]
    fn addresses_move_if_they_may() {
        let mut network = Network::new();
        network.internet_gateway();
        let ((_, from), (_, to)) = (network.instance(), network.instance());
        network.apply(these(from, &[20], false));
        let (allocation, association) = network.elastic_ip(13, from);
        network.apply(Change::DisassociateAddress { association });
        network.apply(Change::AssociateAddress { allocation, interface: from, private_ip: Some(ip(20)) });

        assert_eq!(network.refused(these(to, &[20], false)).code(), "InvalidIPAddress.InUse");
        let primary = network.region.interfaces()[&from].private_ip.octets()[3];
        assert_eq!(network.refused(these(to, &[primary], true)).code(), "InvalidIPAddress.InUse");
        assert_eq!(network.refused(these(to, &[20, 20], true)).code(), "InvalidParameterValue");
        assert_eq!(network.refused(these(to, &[3], true)).code(), "InvalidParameterValue");
        let own = network.region.interfaces()[&to].private_ip.octets()[3];
        assert_eq!(network.refused(these(to, &[own], true)).code(), "InvalidParameterValue");

        network.apply(these(to, &[20, 21], true));
        network.apply(these(to, &[20], true));
        assert!(secondary(&network, from).is_empty());
        assert_eq!(secondary(&network, to), [ip(21), ip(20)]);
        let public = network.region.public_address_of(to, ip(20));
        assert_eq!(public, Some(Ipv4Addr::new(203, 0, 113, 13)), "the public address came along");
    }
}
