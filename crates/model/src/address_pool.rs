//! The free addresses of subnets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::cidr_pool;
use crate::fault::{Fault, InvalidValue};
use crate::id::SubnetId;
use crate::interface::prefix_length;
use crate::prefix_list::AddressFamily;
use crate::region::Region;
use crate::subnet::{ReservationType, Subnet};

/// Hands out the addresses that one change needs, none of them twice. The region does not change by it.
pub(crate) struct AddressPool<'a> {
    region: &'a Region,
    blocks: BTreeMap<(SubnetId, AddressFamily), Block>,
}

/// A subnet's CIDR block and what of it is given out. Addresses of either family are numbers here.
struct Block {
    cidr: IpNet,
    addresses: BTreeSet<u128>,
    /// Those of interfaces: first address -> last address. No two overlap.
    prefixes: BTreeMap<u128, u128>,
    /// Those of reservations, alike.
    reserved: BTreeMap<u128, u128>,
    /// The reservations that prefixes come of.
    for_prefixes: Vec<IpNet>,
}

impl<'a> AddressPool<'a> {
    pub(crate) fn of(region: &'a Region) -> AddressPool<'a> {
        AddressPool { region, blocks: BTreeMap::new() }
    }

    /// An address of the subnet: as asked, or the lowest one that is neither taken nor reserved.
    pub(crate) fn take(&mut self, subnet: &Subnet, asked: Option<Ipv4Addr>) -> Result<Ipv4Addr, Fault> {
        let taken = self.take_address(subnet, AddressFamily::Ipv4, asked.map(IpAddr::V4))?;
        // A block of this family has no others.
        Ok(Ipv4Addr::from(taken as u32))
    }

    /// An IPv6 address of the subnet: as asked, or the lowest one that is neither taken nor reserved.
    pub(crate) fn take6(&mut self, subnet: &Subnet, asked: Option<Ipv6Addr>) -> Result<Ipv6Addr, Fault> {
        self.take_address(subnet, AddressFamily::Ipv6, asked.map(IpAddr::V6)).map(Ipv6Addr::from)
    }

    /// A prefix of the subnet that nobody has an address of. If none is asked for: of the reservations for prefixes, or
    /// else the lowest one that no reservation has a part of.
    pub(crate) fn take_prefix(
        &mut self,
        subnet: &Subnet,
        family: AddressFamily,
        asked: Option<IpNet>,
    ) -> Result<IpNet, Fault> {
        let block = self.block(subnet, family)?;
        let prefix = match asked {
            Some(prefix) => {
                can_be_prefix(block.cidr, prefix)?;
                if !block.is_free(prefix) {
                    return Err(Fault::PrefixInUse(prefix));
                }
                prefix
            }
            None => block.lowest_free_prefix(family).ok_or(Fault::InsufficientCidrBlocks(subnet.id))?,
        };
        let (first, last) = bounds(prefix);
        block.prefixes.insert(first, last);
        Ok(prefix)
    }

    fn take_address(
        &mut self,
        subnet: &Subnet,
        family: AddressFamily,
        asked: Option<IpAddr>,
    ) -> Result<u128, Fault> {
        let block = self.block(subnet, family)?;
        let address = match asked {
            Some(address) => {
                can_be_address(block.cidr, address)?;
                let number = number(address);
                if block.addresses.contains(&number) || end_of(&block.prefixes, number).is_some() {
                    return Err(Fault::AddressInUse(address));
                }
                number
            }
            None => block.lowest_free().ok_or(Fault::InsufficientFreeAddresses(subnet.id))?,
        };
        block.addresses.insert(address);
        Ok(address)
    }

    fn block(&mut self, subnet: &Subnet, family: AddressFamily) -> Result<&mut Block, Fault> {
        let cidr = match family {
            AddressFamily::Ipv4 => subnet.cidr.into(),
            AddressFamily::Ipv6 => subnet.ipv6.ok_or(InvalidValue::SubnetWithoutIpv6(subnet.id))?.cidr.into(),
        };
        let region = self.region;
        let new = || Block::of(region, subnet.id, cidr);
        Ok(self.blocks.entry((subnet.id, family)).or_insert_with(new))
    }
}

impl Block {
    fn of(region: &Region, subnet: SubnetId, cidr: IpNet) -> Block {
        let mut block = Block {
            cidr,
            addresses: BTreeSet::new(),
            prefixes: BTreeMap::new(),
            reserved: BTreeMap::new(),
            for_prefixes: Vec::new(),
        };
        for interface in region.interfaces.values().filter(|interface| interface.subnet == subnet) {
            block.addresses.extend(match cidr {
                IpNet::V4(_) => interface.addresses().map(|own| number(own.into())).collect::<Vec<_>>(),
                IpNet::V6(_) => interface.ipv6_addresses.iter().map(|&own| number(own.into())).collect(),
            });
            let inside = interface.prefixes.iter().filter(|prefix| cidr.contains(*prefix));
            block.prefixes.extend(inside.map(|&prefix| bounds(prefix)));
        }
        for reservation in region.cidr_reservations_of(subnet) {
            if cidr.contains(&reservation.cidr) {
                block.reserved.extend([bounds(reservation.cidr)]);
                if reservation.reservation_type == ReservationType::Prefix {
                    block.for_prefixes.push(reservation.cidr);
                }
            }
        }
        block.for_prefixes.sort();
        block
    }

    /// The lowest address that neither EC2 keeps, nor anybody has, nor a reservation.
    fn lowest_free(&self) -> Option<u128> {
        let (first, last) = bounds(self.cidr);
        let mut address = first + 4;
        while address < last {
            let behind = end_of(&self.prefixes, address).or_else(|| end_of(&self.reserved, address));
            match behind {
                Some(end) => address = end.checked_add(1)?,
                None if self.addresses.contains(&address) => address += 1,
                None => return Some(address),
            }
        }
        None
    }

    fn lowest_free_prefix(&self, family: AddressFamily) -> Option<IpNet> {
        let mut reserved = self.for_prefixes.iter().flat_map(|&cidr| prefixes_of(cidr, family));
        reserved.find(|&prefix| can_be_prefix(self.cidr, prefix).is_ok() && self.is_free(prefix)).or_else(
            || {
                prefixes_of(self.cidr, family).find(|&prefix| {
                    can_be_prefix(self.cidr, prefix).is_ok()
                        && self.is_free(prefix)
                        && !meets(&self.reserved, bounds(prefix))
                })
            },
        )
    }

    /// Whether nobody has an address of a prefix.
    fn is_free(&self, prefix: IpNet) -> bool {
        let (first, last) = bounds(prefix);
        self.addresses.range(first..=last).next().is_none() && !meets(&self.prefixes, (first, last))
    }
}

/// Whether an interface of the subnet can have the address, if no other has it.
pub(crate) fn can_have(subnet: &Subnet, address: Ipv4Addr) -> Result<(), InvalidValue> {
    can_be_address(subnet.cidr.into(), address.into())
}

fn can_be_address(cidr: IpNet, address: IpAddr) -> Result<(), InvalidValue> {
    if !cidr.contains(&address) {
        return Err(InvalidValue::AddressOutsideSubnet(address));
    }
    if cidr_pool::reserved(cidr).contains(&address) {
        return Err(InvalidValue::AddressReserved(address));
    }
    Ok(())
}

/// Whether an interface of a subnet can have the prefix, if nobody has an address of it.
fn can_be_prefix(cidr: IpNet, prefix: IpNet) -> Result<(), InvalidValue> {
    if prefix != prefix.trunc() || prefix.prefix_len() != prefix_length(AddressFamily::of(prefix)) {
        return Err(InvalidValue::Prefix(prefix));
    }
    if !cidr.contains(&prefix) {
        return Err(InvalidValue::PrefixOutsideSubnet(prefix));
    }
    if cidr_pool::reserved(cidr).iter().any(|address| prefix.contains(address)) {
        return Err(InvalidValue::PrefixReserved(prefix));
    }
    Ok(())
}

/// All blocks of a prefix's size in a CIDR block; none if it is smaller.
fn prefixes_of(cidr: IpNet, family: AddressFamily) -> impl Iterator<Item = IpNet> {
    cidr.subnets(prefix_length(family)).into_iter().flatten()
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// The first and the last address.
fn bounds(cidr: IpNet) -> (u128, u128) {
    (number(cidr.network()), number(cidr.broadcast()))
}

/// The last address of the range that an address is in.
fn end_of(ranges: &BTreeMap<u128, u128>, address: u128) -> Option<u128> {
    ranges.range(..=address).next_back().map(|(_, &last)| last).filter(|&last| address <= last)
}

/// Whether any of the ranges has an address of another one.
fn meets(ranges: &BTreeMap<u128, u128>, (first, last): (u128, u128)) -> bool {
    ranges.range(..=last).next_back().is_some_and(|(_, &end)| first <= end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(cidr: &str) -> Block {
        Block {
            cidr: cidr.parse().unwrap(),
            addresses: BTreeSet::new(),
            prefixes: BTreeMap::new(),
            reserved: BTreeMap::new(),
            for_prefixes: Vec::new(),
        }
    }

    fn ranges(cidrs: &[&str]) -> BTreeMap<u128, u128> {
        cidrs.iter().map(|cidr| bounds(cidr.parse().unwrap())).collect()
    }

    fn all(mut block: Block) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(address) = block.lowest_free() {
            block.addresses.insert(address);
            all.push(address as u8);
        }
        all
    }

    #[test]
    fn the_smallest_subnet_has_eleven_addresses() {
        assert_eq!(all(block("10.0.0.16/28")), (20..=30).collect::<Vec<_>>());
        assert_eq!(all(block("255.255.255.240/28")), (244..=254).collect::<Vec<_>>());
    }

    #[test]
    fn prefixes_and_reservations_are_passed_over() {
        let mut crowded = block("10.0.0.0/26");
        crowded.reserved = ranges(&["10.0.0.8/30", "10.0.0.32/27"]);
        crowded.prefixes = ranges(&["10.0.0.16/28"]);
        crowded.addresses = [u128::from(0x0a00_0005_u32)].into();
        assert_eq!(all(crowded), [4, 6, 7, 12, 13, 14, 15]);

        let mut v6 = block("2001:db8::/64");
        v6.prefixes = ranges(&["2001:db8::/80", "2001:db8:0:0:1::/80"]);
        assert_eq!(v6.lowest_free().map(Ipv6Addr::from), "2001:db8:0:0:2::".parse().ok());
        let mut end = block("ffff:ffff:ffff:ffff::/64");
        end.reserved = ranges(&["ffff:ffff:ffff:ffff::/64"]);
        assert_eq!(end.lowest_free(), None);
    }

    #[test]
    fn any_prefix_is_of_a_reservation_for_prefixes_first() {
        let mut block = block("10.0.0.0/25");
        block.reserved = ranges(&["10.0.0.16/28", "10.0.0.64/27"]);
        block.for_prefixes = vec!["10.0.0.64/27".parse().unwrap()];
        block.addresses = [u128::from(0x0a00_0045_u32)].into();
        let mut taken = Vec::new();
        while let Some(prefix) = block.lowest_free_prefix(AddressFamily::Ipv4) {
            block.prefixes.extend([bounds(prefix)]);
            taken.push(prefix.to_string());
        }
        // 10.0.0.0 and 10.0.0.112 have addresses that EC2 keeps, 10.0.0.64 has somebody's, 10.0.0.16 is reserved.
        assert_eq!(taken, ["10.0.0.80/28", "10.0.0.32/28", "10.0.0.48/28", "10.0.0.96/28"]);
    }
}
