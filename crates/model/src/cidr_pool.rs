//! Which addresses of a CIDR block can be given out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Prefix lengths that a VPC or subnet can have (VPC User Guide, "VPC CIDR blocks").
pub(crate) const PREFIX_LENGTHS: RangeInclusive<u8> = 16..=28;

/// The address `offset` above the network address.
pub(crate) fn at(cidr: Ipv4Net, offset: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(cidr.network()).wrapping_add(offset))
}

/// The addresses that EC2 keeps for itself: network, router, DNS, future use, and the last; of IPv6 alike the first
/// four and the last (VPC User Guide, "Subnet CIDR blocks").
pub(crate) fn reserved(cidr: IpNet) -> [IpAddr; 5] {
    match cidr {
        IpNet::V4(cidr) => reserved4(cidr).map(IpAddr::V4),
        IpNet::V6(cidr) => {
            [at6(cidr, 0), at6(cidr, 1), at6(cidr, 2), at6(cidr, 3), cidr.broadcast()].map(IpAddr::V6)
        }
    }
}

/// Those of IPv4.
pub(crate) fn reserved4(cidr: Ipv4Net) -> [Ipv4Addr; 5] {
    [at(cidr, 0), at(cidr, 1), at(cidr, 2), at(cidr, 3), cidr.broadcast()]
}

fn at6(cidr: Ipv6Net, offset: u128) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(cidr.network()).wrapping_add(offset))
}

/// Whether two blocks have an address in common.
pub(crate) fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}
