//! Which addresses of a CIDR block can be given out.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnet::{Ipv4Net, Ipv6Net};

/// Prefix lengths that a VPC or subnet can have (VPC User Guide, "VPC CIDR blocks").
pub(crate) const PREFIX_LENGTHS: RangeInclusive<u8> = 16..=28;

/// The address `offset` above the network address.
pub(crate) fn at(cidr: Ipv4Net, offset: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(cidr.network()).wrapping_add(offset))
}

/// The addresses that EC2 keeps for itself: network, router, DNS, future use, and the last
/// (VPC User Guide, "Subnet CIDR blocks").
pub(crate) fn reserved(cidr: Ipv4Net) -> [Ipv4Addr; 5] {
    [at(cidr, 0), at(cidr, 1), at(cidr, 2), at(cidr, 3), cidr.broadcast()]
}

/// The lowest address that is neither reserved nor taken.
pub(crate) fn lowest_free(cidr: Ipv4Net, taken: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
    let usable = u32::from(at(cidr, 4))..u32::from(cidr.broadcast());
    usable.map(Ipv4Addr::from).find(|address| !taken.contains(address))
}

/// The IPv6 addresses that EC2 keeps for itself: the first four and the last (VPC User Guide, "Subnet CIDR blocks").
pub(crate) fn reserved6(cidr: Ipv6Net) -> [Ipv6Addr; 5] {
    [at6(cidr, 0), at6(cidr, 1), at6(cidr, 2), at6(cidr, 3), cidr.broadcast()]
}

/// The lowest IPv6 address that is neither reserved nor taken.
pub(crate) fn lowest_free6(cidr: Ipv6Net, taken: &BTreeSet<Ipv6Addr>) -> Option<Ipv6Addr> {
    let usable = u128::from(at6(cidr, 4))..u128::from(cidr.broadcast());
    usable.map(Ipv6Addr::from).find(|address| !taken.contains(address))
}

fn at6(cidr: Ipv6Net, offset: u128) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(cidr.network()).wrapping_add(offset))
}

/// Whether two blocks have an address in common.
pub(crate) fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_subnet_has_eleven_addresses() {
        let cidr: Ipv4Net = "10.0.0.16/28".parse().unwrap();
        let mut taken = BTreeSet::new();
        while let Some(address) = lowest_free(cidr, &taken) {
            assert!(!reserved(cidr).contains(&address) && cidr.contains(&address));
            taken.insert(address);
        }
        assert_eq!(taken.len(), 11);
        assert_eq!(taken.first().unwrap().to_string(), "10.0.0.20");
        assert_eq!(taken.last().unwrap().to_string(), "10.0.0.30");
    }

    #[test]
    fn the_end_of_the_address_space() {
        let cidr: Ipv4Net = "255.255.255.240/28".parse().unwrap();
        assert_eq!(lowest_free(cidr, &BTreeSet::new()), Some(Ipv4Addr::new(255, 255, 255, 244)));
        assert_eq!(reserved(cidr)[4], Ipv4Addr::BROADCAST);
    }
}
