//! IPv6 CIDR blocks for VPCs: one pool for all regions.

use std::collections::BTreeSet;

use ipnet::Ipv6Net;

use super::Call;
use super::error::Error;

/// Prefix length of a VPC's block.
const PREFIX_LENGTH: u8 = 56;

/// The lowest block of the pool that no VPC of any region has. Whoever takes it holds `Api::taking_blocks` until then.
pub(super) fn free_block(call: &Call<'_>) -> Result<Ipv6Net, Error> {
    let none = Error::InsufficientAddressCapacity("There are no IPv6 addresses: no pool is configured.");
    let pool = call.settings().pool6.ok_or(none)?;
    let store = &call.api.store;
    let mut taken: BTreeSet<Ipv6Net> = BTreeSet::new();
    for key in store.regions() {
        let region = store.region(&key);
        taken.extend(region.vpcs().values().flat_map(|vpc| &vpc.ipv6).map(|block| block.cidr));
    }
    let mut blocks = pool.subnets(PREFIX_LENGTH).into_iter().flatten();
    let free = blocks.find(|block| !taken.contains(block));
    free.ok_or(Error::InsufficientAddressCapacity("All IPv6 CIDR blocks of the pool are taken."))
}
