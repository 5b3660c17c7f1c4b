//! IPv6 CIDR blocks for VPCs: one pool for all regions.

use std::collections::BTreeSet;

use ipnet::Ipv6Net;
use model::Region;

use super::error::Error;
use crate::store::Transaction;

/// Prefix length of a VPC's block.
const PREFIX_LENGTH: u8 = 56;

/// Where IPv6 CIDR blocks of VPCs come from; none can be had without a network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool6(pub(super) Option<Ipv6Net>);

impl Pool6 {
    /// The lowest block that no VPC of any region has.
    pub(super) fn find(self, transaction: &Transaction<'_>) -> Result<Ipv6Net, Error> {
        let none = Error::InsufficientAddressCapacity("There are no IPv6 addresses: no pool is configured.");
        let mut taken = BTreeSet::new();
        taken.extend(blocks(transaction.region()));
        transaction.each_other_region(|region| taken.extend(blocks(region)));
        let mut all = self.0.ok_or(none)?.subnets(PREFIX_LENGTH).into_iter().flatten();
        let free = all.find(|block| !taken.contains(block));
        free.ok_or(Error::InsufficientAddressCapacity("All IPv6 CIDR blocks of the pool are taken."))
    }
}

fn blocks(region: &Region) -> impl Iterator<Item = Ipv6Net> {
    region.vpcs().values().flat_map(|vpc| &vpc.ipv6).map(|block| block.cidr)
}
