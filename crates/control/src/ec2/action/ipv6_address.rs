//! The IPv6 addresses of network interfaces.

use std::net::Ipv6Addr;

use ipnet::{IpNet, Ipv6Net};
use model::{Applied, Change, InterfaceId, Ipv6Addresses, NewPrefixes};
use serde::{Deserialize, Serialize};

use super::Action;
use super::prefix::{assign_prefixes, ipv6_prefixes, unassign_prefixes};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssignIpv6Addresses {
    network_interface_id: InterfaceId,
    ipv6_address_count: Option<u32>,
    #[serde(default)]
    ipv6_addresses: Vec<Ipv6Addr>,
    #[serde(default)]
    ipv6_prefix: Vec<Ipv6Net>,
    ipv6_prefix_count: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AssignAnswer {
    network_interface_id: InterfaceId,
    assigned_ipv6_addresses: Vec<Ipv6Addr>,
    assigned_ipv6_prefix_set: Vec<IpNet>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UnassignIpv6Addresses {
    network_interface_id: InterfaceId,
    #[serde(default)]
    ipv6_addresses: Vec<Ipv6Addr>,
    #[serde(default)]
    ipv6_prefix: Vec<Ipv6Net>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UnassignAnswer {
    network_interface_id: InterfaceId,
    unassigned_ipv6_addresses: Vec<Ipv6Addr>,
    unassigned_ipv6_prefix_set: Vec<IpNet>,
}

/// An IPv6 address that an interface is to have.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NewIpv6Address {
    ipv6_address: Ipv6Addr,
}

impl Action for AssignIpv6Addresses {
    type Answer = AssignAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<AssignAnswer, Error> {
        let interface = self.network_interface_id;
        let addresses = one_way(self.ipv6_address_count, self.ipv6_addresses)?;
        let prefixes = ipv6_prefixes(self.ipv6_prefix_count, self.ipv6_prefix)?;
        if addresses.is_none() && prefixes == NewPrefixes::default() {
            return Err(Error::MissingParameter("Ipv6AddressCount".to_owned()));
        }
        let addresses = addresses.unwrap_or(Ipv6Addresses::Count(0));
        call.commit(move |transaction| {
            let assign = Change::AssignIpv6Addresses { interface, addresses };
            let Applied::Ipv6Addresses(assigned_ipv6_addresses) = transaction.apply(assign)? else {
                return Err(Error::Unexpected);
            };
            Ok(AssignAnswer {
                network_interface_id: interface,
                assigned_ipv6_addresses,
                assigned_ipv6_prefix_set: assign_prefixes(transaction, interface, prefixes)?,
            })
        })
    }
}

impl Action for UnassignIpv6Addresses {
    type Answer = UnassignAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<UnassignAnswer, Error> {
        let (interface, addresses) = (self.network_interface_id, self.ipv6_addresses);
        if addresses.is_empty() && self.ipv6_prefix.is_empty() {
            return Err(Error::MissingParameter("Ipv6Addresses".to_owned()));
        }
        let prefixes: Vec<_> = self.ipv6_prefix.into_iter().map(IpNet::V6).collect();
        call.commit(move |transaction| {
            transaction.apply(Change::UnassignIpv6Addresses { interface, addresses: addresses.clone() })?;
            unassign_prefixes(transaction, interface, &prefixes)?;
            Ok(UnassignAnswer {
                network_interface_id: interface,
                unassigned_ipv6_addresses: addresses,
                unassigned_ipv6_prefix_set: prefixes,
            })
        })
    }
}

/// The IPv6 addresses of a new interface, of the two ways to ask for them; none leaves it to the subnet.
pub(super) fn new_addresses(
    count: Option<u32>,
    list: Vec<NewIpv6Address>,
) -> Result<Option<Ipv6Addresses>, Error> {
    one_way(count, list.into_iter().map(|address| address.ipv6_address).collect())
}

fn one_way(count: Option<u32>, these: Vec<Ipv6Addr>) -> Result<Option<Ipv6Addresses>, Error> {
    match (count, these) {
        (None, these) if these.is_empty() => Ok(None),
        (None, these) => Ok(Some(Ipv6Addresses::These(these))),
        (Some(count), these) if these.is_empty() => Ok(Some(Ipv6Addresses::Count(count))),
        (Some(_), _) => Err(Error::Combination("Give IPv6 addresses or how many, not both.")),
    }
}
