//! The prefixes of network interfaces, as they are asked for and shown.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use model::{AddressFamily, Applied, Change, InterfaceId, NetworkInterface, NewPrefixes};
use serde::{Deserialize, Serialize};

use crate::ec2::error::Error;
use crate::store::Transaction;

/// An IPv4 prefix that an interface is to have.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NewIpv4Prefix {
    ipv4_prefix: Ipv4Net,
}

/// An IPv6 prefix that an interface is to have.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NewIpv6Prefix {
    ipv6_prefix: Ipv6Net,
}

/// An IPv4 prefix, as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownIpv4Prefix {
    ipv4_prefix: IpNet,
}

/// An IPv6 prefix, as it is shown with its interface.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownIpv6Prefix {
    ipv6_prefix: IpNet,
}

/// The prefixes of a new interface: of each family so many, or these. EC2 gives them to one that asks for no addresses
/// of the family besides, but for its primary one.
pub(super) fn new_prefixes(
    v4: (Option<u32>, Vec<NewIpv4Prefix>),
    v6: (Option<u32>, Vec<NewIpv6Prefix>),
    asks_for_addresses: [bool; 2],
) -> Result<NewPrefixes, Error> {
    let v4 = ipv4_prefixes(v4.0, v4.1.into_iter().map(|prefix| prefix.ipv4_prefix).collect())?;
    let v6 = ipv6_prefixes(v6.0, v6.1.into_iter().map(|prefix| prefix.ipv6_prefix).collect())?;
    for (prefixes, asks_for_addresses) in [&v4, &v6].into_iter().zip(asks_for_addresses) {
        if asks_for_addresses && *prefixes != NewPrefixes::default() {
            return Err(Error::Combination(
                "Give addresses, or how many, or prefixes, or how many, and only one of them.",
            ));
        }
    }
    let these = v4.these.into_iter().chain(v6.these).collect();
    Ok(NewPrefixes { ipv4_count: v4.ipv4_count, ipv6_count: v6.ipv6_count, these })
}

/// So many IPv4 prefixes, or these.
pub(super) fn ipv4_prefixes(count: Option<u32>, these: Vec<Ipv4Net>) -> Result<NewPrefixes, Error> {
    let these = either(count, these.into_iter().map(IpNet::V4).collect())?;
    Ok(NewPrefixes { ipv4_count: count.unwrap_or_default(), ipv6_count: 0, these })
}

/// So many IPv6 prefixes, or these.
pub(super) fn ipv6_prefixes(count: Option<u32>, these: Vec<Ipv6Net>) -> Result<NewPrefixes, Error> {
    let these = either(count, these.into_iter().map(IpNet::V6).collect())?;
    Ok(NewPrefixes { ipv4_count: 0, ipv6_count: count.unwrap_or_default(), these })
}

/// Gives an interface prefixes, if any are asked for.
pub(super) fn assign_prefixes(
    transaction: &mut Transaction<'_>,
    interface: InterfaceId,
    prefixes: NewPrefixes,
) -> Result<Vec<IpNet>, Error> {
    if prefixes == NewPrefixes::default() {
        return Ok(Vec::new());
    }
    match transaction.apply(Change::AssignPrefixes { interface, prefixes })? {
        Applied::Prefixes(assigned) => Ok(assigned),
        _ => Err(Error::Unexpected),
    }
}

/// Takes prefixes from an interface, if any are named.
pub(super) fn unassign_prefixes(
    transaction: &mut Transaction<'_>,
    interface: InterfaceId,
    prefixes: &[IpNet],
) -> Result<(), Error> {
    if !prefixes.is_empty() {
        transaction.apply(Change::UnassignPrefixes { interface, prefixes: prefixes.to_vec() })?;
    }
    Ok(())
}

/// IPv4 prefixes, as they are shown.
pub(super) fn shown_ipv4(prefixes: impl IntoIterator<Item = IpNet>) -> Vec<ShownIpv4Prefix> {
    prefixes.into_iter().map(|ipv4_prefix| ShownIpv4Prefix { ipv4_prefix }).collect()
}

/// The IPv6 prefixes of an interface, as they are shown.
pub(super) fn shown_ipv6(interface: &NetworkInterface) -> Vec<ShownIpv6Prefix> {
    let prefixes = interface.prefixes_of(AddressFamily::Ipv6);
    prefixes.map(|ipv6_prefix| ShownIpv6Prefix { ipv6_prefix }).collect()
}

fn either(count: Option<u32>, these: Vec<IpNet>) -> Result<Vec<IpNet>, Error> {
    if count.is_some_and(|count| count > 0) && !these.is_empty() {
        return Err(Error::Combination("Give prefixes or how many, not both."));
    }
    Ok(these)
}
