//! IPv6 CIDR blocks for VPCs: one pool for all regions.

use std::collections::BTreeSet;

use ipnet::Ipv6Net;
use model::free_ipv6_block;

use super::error::Error;
use crate::store::Transaction;

/// Where IPv6 CIDR blocks of VPCs come from; none can be had without a network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool6(pub(super) Option<Ipv6Net>);

impl Pool6 {
    /// The lowest block that no VPC of any region has.
    pub(super) fn find(self, transaction: &Transaction<'_>) -> Result<Ipv6Net, Error> {
        let none = Error::InsufficientAddressCapacity("There are no IPv6 addresses: no pool is configured.");
        let pool = self.0.ok_or(none)?;
        let mut taken: BTreeSet<_> = transaction.region().ipv6_blocks().collect();
        transaction.each_other_region(|region| taken.extend(region.ipv6_blocks()));
        free_ipv6_block(pool, &taken)
            .ok_or(Error::InsufficientAddressCapacity("All IPv6 CIDR blocks of the pool are taken."))
    }
}
