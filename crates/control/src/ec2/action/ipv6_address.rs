//! The IPv6 addresses of network interfaces.

use std::net::Ipv6Addr;

use model::{Applied, Change, InterfaceId, Ipv6Addresses};
use serde::{Deserialize, Serialize};

use super::Action;
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::query::Limit;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssignIpv6Addresses {
    network_interface_id: InterfaceId,
    ipv6_address_count: Option<u32>,
    #[serde(default)]
    ipv6_addresses: Vec<Ipv6Addr>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AssignAnswer {
    network_interface_id: InterfaceId,
    assigned_ipv6_addresses: Vec<Ipv6Addr>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UnassignIpv6Addresses {
    network_interface_id: InterfaceId,
    ipv6_addresses: Vec<Ipv6Addr>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UnassignAnswer {
    network_interface_id: InterfaceId,
    unassigned_ipv6_addresses: Vec<Ipv6Addr>,
}

/// An IPv6 address that an interface is to have.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NewIpv6Address {
    ipv6_address: Ipv6Addr,
}

impl Action for AssignIpv6Addresses {
    const LIMITS: &'static [Limit] = &[("Ipv6Prefix", &[]), ("Ipv6PrefixCount", &["0"])];
    type Answer = AssignAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<AssignAnswer, Error> {
        let interface = self.network_interface_id;
        let addresses = one_way(self.ipv6_address_count, self.ipv6_addresses)?;
        let addresses = addresses.ok_or_else(|| Error::MissingParameter("Ipv6AddressCount".to_owned()))?;
        match call.apply(Change::AssignIpv6Addresses { interface, addresses })? {
            Applied::Ipv6Addresses(assigned_ipv6_addresses) => {
                Ok(AssignAnswer { network_interface_id: interface, assigned_ipv6_addresses })
            }
            _ => Err(Error::Unexpected),
        }
    }
}

impl Action for UnassignIpv6Addresses {
    const LIMITS: &'static [Limit] = &[("Ipv6Prefix", &[])];
    type Answer = UnassignAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<UnassignAnswer, Error> {
        let (interface, addresses) = (self.network_interface_id, self.ipv6_addresses);
        call.apply(Change::UnassignIpv6Addresses { interface, addresses: addresses.clone() })?;
        Ok(UnassignAnswer { network_interface_id: interface, unassigned_ipv6_addresses: addresses })
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
