//! The free addresses of subnets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::cidr_pool;
use crate::fault::{Fault, InvalidValue};
use crate::id::SubnetId;
use crate::interface::NetworkInterface;
use crate::region::Region;
use crate::subnet::Subnet;

/// Hands out the addresses that one change needs, none of them twice. The region does not change by it.
pub(crate) struct AddressPool<'a> {
    region: &'a Region,
    taken: BTreeMap<SubnetId, BTreeSet<Ipv4Addr>>,
    taken6: BTreeMap<SubnetId, BTreeSet<Ipv6Addr>>,
}

impl<'a> AddressPool<'a> {
    pub(crate) fn of(region: &'a Region) -> AddressPool<'a> {
        AddressPool { region, taken: BTreeMap::new(), taken6: BTreeMap::new() }
    }

    /// An address of the subnet: as asked, or the lowest free one.
    pub(crate) fn take(&mut self, subnet: &Subnet, asked: Option<Ipv4Addr>) -> Result<Ipv4Addr, Fault> {
        let region = self.region;
        let taken = self.taken.entry(subnet.id).or_insert_with(|| {
            let inside = region.interfaces.values().filter(|interface| interface.subnet == subnet.id);
            inside.flat_map(NetworkInterface::addresses).collect()
        });
        let address = match asked {
            Some(address) => {
                can_have(subnet, address)?;
                if taken.contains(&address) {
                    return Err(Fault::AddressInUse(address.into()));
                }
                address
            }
            None => cidr_pool::lowest_free(subnet.cidr, taken)
                .ok_or(Fault::InsufficientFreeAddresses(subnet.id))?,
        };
        taken.insert(address);
        Ok(address)
    }

    /// An IPv6 address of the subnet: as asked, or the lowest free one.
    pub(crate) fn take6(&mut self, subnet: &Subnet, asked: Option<Ipv6Addr>) -> Result<Ipv6Addr, Fault> {
        let region = self.region;
        let block = subnet.ipv6.ok_or(InvalidValue::SubnetWithoutIpv6(subnet.id))?;
        let taken = self.taken6.entry(subnet.id).or_insert_with(|| {
            let inside = region.interfaces.values().filter(|interface| interface.subnet == subnet.id);
            inside.flat_map(|interface| interface.ipv6_addresses.iter().copied()).collect()
        });
        let address = match asked {
            Some(address) if !block.cidr.contains(&address) => {
                return Err(InvalidValue::AddressOutsideSubnet(address.into()).into());
            }
            Some(address) if cidr_pool::reserved6(block.cidr).contains(&address) => {
                return Err(InvalidValue::AddressReserved(address.into()).into());
            }
            Some(address) if taken.contains(&address) => return Err(Fault::AddressInUse(address.into())),
            Some(address) => address,
            None => cidr_pool::lowest_free6(block.cidr, taken)
                .ok_or(Fault::InsufficientFreeAddresses(subnet.id))?,
        };
        taken.insert(address);
        Ok(address)
    }
}

/// Whether an interface of the subnet can have the address, if no other has it.
pub(crate) fn can_have(subnet: &Subnet, address: Ipv4Addr) -> Result<(), InvalidValue> {
    if !subnet.cidr.contains(&address) {
        return Err(InvalidValue::AddressOutsideSubnet(address.into()));
    }
    if subnet.reserved().contains(&address) {
        return Err(InvalidValue::AddressReserved(address.into()));
    }
    Ok(())
}
