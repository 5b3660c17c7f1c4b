//! Network interfaces.

mod connection_tracking;
mod shown;

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use model::{
    Applied, AttachmentId, Change, Fault, InstanceId, InterfaceId, NewInterface, NewPrefixes,
    SecondaryAddresses, SecurityGroupId, SubnetId,
};
use serde::{Deserialize, Serialize};

use super::ipv6_address::{NewIpv6Address, new_addresses};
use super::prefix::{
    NewIpv4Prefix, NewIpv6Prefix, ShownIpv4Prefix, assign_prefixes, ipv4_prefixes, new_prefixes, shown_ipv4,
    unassign_prefixes,
};
use super::tag::{TagSpecification, tags_for};
use super::{Action, DONE, Describe, Done, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;
use crate::ec2::time::now;
use crate::store::ClientToken;

pub(super) use connection_tracking::ConnectionTrackingSpecification;
use shown::FILTERS;
pub(super) use shown::{ShownAttachment, ShownInterface, shown_interface};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateNetworkInterface {
    subnet_id: SubnetId,
    #[serde(default)]
    description: String,
    #[serde(default)]
    security_group_id: Vec<SecurityGroupId>,
    private_ip_address: Option<Ipv4Addr>,
    #[serde(default)]
    private_ip_addresses: Vec<NewAddress>,
    secondary_private_ip_address_count: Option<u32>,
    ipv6_address_count: Option<u32>,
    #[serde(default)]
    ipv6_addresses: Vec<NewIpv6Address>,
    ipv4_prefix_count: Option<u32>,
    #[serde(default)]
    ipv4_prefix: Vec<NewIpv4Prefix>,
    ipv6_prefix_count: Option<u32>,
    #[serde(default)]
    ipv6_prefix: Vec<NewIpv6Prefix>,
    connection_tracking_specification: Option<ConnectionTrackingSpecification>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

/// A private address that an interface is to have.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NewAddress {
    private_ip_address: Ipv4Addr,
    #[serde(default)]
    primary: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateNetworkInterfaceAnswer {
    client_token: Option<String>,
    network_interface: ShownInterface,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeNetworkInterfaces {
    #[serde(default)]
    network_interface_id: Vec<InterfaceId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteNetworkInterface {
    network_interface_id: InterfaceId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AttachNetworkInterface {
    network_interface_id: InterfaceId,
    instance_id: InstanceId,
    device_index: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttachNetworkInterfaceAnswer {
    attachment_id: AttachmentId,
    network_card_index: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DetachNetworkInterface {
    attachment_id: AttachmentId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssignPrivateIpAddresses {
    network_interface_id: InterfaceId,
    #[serde(default)]
    private_ip_address: Vec<Ipv4Addr>,
    secondary_private_ip_address_count: Option<u32>,
    #[serde(default)]
    allow_reassignment: bool,
    #[serde(default)]
    ipv4_prefix: Vec<Ipv4Net>,
    ipv4_prefix_count: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AssignPrivateIpAddressesAnswer {
    r#return: bool,
    network_interface_id: InterfaceId,
    assigned_private_ip_addresses_set: Vec<AssignedAddress>,
    assigned_ipv4_prefix_set: Vec<ShownIpv4Prefix>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AssignedAddress {
    private_ip_address: Ipv4Addr,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UnassignPrivateIpAddresses {
    network_interface_id: InterfaceId,
    #[serde(default)]
    private_ip_address: Vec<Ipv4Addr>,
    #[serde(default)]
    ipv4_prefix: Vec<Ipv4Net>,
}

impl Action for CreateNetworkInterface {
    const LIMITS: &'static [Limit] = &[
        ("EnablePrimaryIpv6", &["false"]),
        ("InterfaceType", &["interface"]),
        ("Ipv6Addresses.N.IsPrimaryIpv6", &["false"]),
        ("Operator", &[]),
    ];
    const TAKES_TOKEN: bool = true;
    type Answer = CreateNetworkInterfaceAnswer;

    fn run(self, call: &Call<'_>, token: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let (private_ip, secondary) = addresses(
            self.private_ip_address,
            self.private_ip_addresses,
            self.secondary_private_ip_address_count,
        )?;
        let ipv6 = new_addresses(self.ipv6_address_count, self.ipv6_addresses)?;
        let prefixes = new_prefixes(
            (self.ipv4_prefix_count, self.ipv4_prefix),
            (self.ipv6_prefix_count, self.ipv6_prefix),
            [secondary.is_some(), ipv6.is_some()],
        )?;
        let new = NewInterface {
            private_ip,
            secondary: secondary.unwrap_or(SecondaryAddresses::Count(0)),
            groups: self.security_group_id,
            description: self.description,
            tags: tags_for("network-interface", self.tag_specification)?,
            ipv6,
            prefixes,
            connection_tracking: ConnectionTrackingSpecification::of_new(
                self.connection_tracking_specification,
            ),
            ..NewInterface::new(self.subnet_id)
        };
        let client_token = token.as_ref().map(|token| token.token.clone());
        let id = call.commit_once(token, move |transaction| {
            match transaction.apply(Change::CreateNetworkInterface(new))? {
                Applied::Interface(id) => Ok(id),
                _ => Err(Error::Unexpected),
            }
        })?;
        let region = call.region();
        // It may be gone already when a token comes again.
        let interface = region.interfaces().get(&id).ok_or(Fault::InterfaceNotFound(id))?;
        let network_interface = shown_interface(&region, interface);
        Ok(CreateNetworkInterfaceAnswer { client_token, network_interface })
    }
}

impl Describe for DescribeNetworkInterfaces {
    const LIMITS: &'static [Limit] = &[("IncludeManagedResources", &["false", "true"])];
    const SET: &'static str = "networkInterfaceSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownInterface;

    fn by_id(&self) -> bool {
        !self.network_interface_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownInterface)>, Error> {
        let region = call.region();
        let interfaces = pick(&self.network_interface_id, region.interfaces(), Fault::InterfaceNotFound)?;
        let shown = |interface: &model::NetworkInterface| {
            (interface.id.to_string(), shown_interface(&region, interface))
        };
        Ok(interfaces.into_iter().map(shown).collect())
    }
}

impl Action for DeleteNetworkInterface {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        call.apply(Change::DeleteNetworkInterface { interface: self.network_interface_id })?;
        Ok(DONE)
    }
}

impl Action for AttachNetworkInterface {
    const LIMITS: &'static [Limit] =
        &[("EnaQueueCount", &[]), ("EnaSrdSpecification", &[]), ("NetworkCardIndex", &["0"])];
    type Answer = AttachNetworkInterfaceAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let attach = Change::AttachNetworkInterface {
            interface: self.network_interface_id,
            instance: self.instance_id,
            device_index: self.device_index,
            time: now(),
        };
        match call.apply(attach)? {
            Applied::Attachment(attachment_id) => {
                Ok(AttachNetworkInterfaceAnswer { attachment_id, network_card_index: 0 })
            }
            _ => Err(Error::Unexpected),
        }
    }
}

impl Action for DetachNetworkInterface {
    /// With force or without: the machine is not asked.
    const LIMITS: &'static [Limit] = &[("Force", &["false", "true"])];
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        call.apply(Change::DetachNetworkInterface { attachment: self.attachment_id })?;
        Ok(DONE)
    }
}

impl Action for AssignPrivateIpAddresses {
    type Answer = AssignPrivateIpAddressesAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let interface = self.network_interface_id;
        let prefixes = ipv4_prefixes(self.ipv4_prefix_count, self.ipv4_prefix)?;
        let addresses = match (self.secondary_private_ip_address_count, self.private_ip_address) {
            (Some(count), these) if these.is_empty() => SecondaryAddresses::Count(count),
            (Some(_), _) => {
                return Err(Error::Combination("Give private addresses or how many, not both."));
            }
            (None, these) if these.is_empty() && prefixes == NewPrefixes::default() => {
                return Err(Error::MissingParameter("PrivateIpAddress".to_owned()));
            }
            (None, these) => SecondaryAddresses::These(these),
        };
        let assign = Change::AssignPrivateIpAddresses {
            interface,
            addresses,
            allow_reassignment: self.allow_reassignment,
        };
        call.commit(move |transaction| {
            let Applied::PrivateAddresses(assigned) = transaction.apply(assign)? else {
                return Err(Error::Unexpected);
            };
            let assigned = assigned.into_iter();
            Ok(AssignPrivateIpAddressesAnswer {
                r#return: true,
                network_interface_id: interface,
                assigned_private_ip_addresses_set: assigned
                    .map(|private_ip_address| AssignedAddress { private_ip_address })
                    .collect(),
                assigned_ipv4_prefix_set: shown_ipv4(assign_prefixes(transaction, interface, prefixes)?),
            })
        })
    }
}

impl Action for UnassignPrivateIpAddresses {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let (interface, addresses) = (self.network_interface_id, self.private_ip_address);
        if addresses.is_empty() && self.ipv4_prefix.is_empty() {
            return Err(Error::MissingParameter("PrivateIpAddress".to_owned()));
        }
        let prefixes: Vec<_> = self.ipv4_prefix.into_iter().map(IpNet::V4).collect();
        call.commit(move |transaction| {
            transaction.apply(Change::UnassignPrivateIpAddresses { interface, addresses })?;
            unassign_prefixes(transaction, interface, &prefixes)?;
            Ok(DONE)
        })
    }
}

/// The addresses of a new interface, of the three ways to ask for them: the primary one, and others if any are asked for.
pub(super) fn addresses(
    primary: Option<Ipv4Addr>,
    list: Vec<NewAddress>,
    count: Option<u32>,
) -> Result<(Option<Ipv4Addr>, Option<SecondaryAddresses>), Error> {
    let (listed, secondary): (Vec<_>, Vec<_>) = list.into_iter().partition(|address| address.primary);
    let mut primaries = primary.into_iter().chain(listed.iter().map(|address| address.private_ip_address));
    let primary = primaries.next();
    if primaries.any(|other| Some(other) != primary) {
        return Err(Error::Combination("Only one primary private IP address can be specified."));
    }
    let secondary: Vec<_> = secondary.iter().map(|address| address.private_ip_address).collect();
    match count {
        None | Some(0) if secondary.is_empty() => Ok((primary, None)),
        None => Ok((primary, Some(SecondaryAddresses::These(secondary)))),
        Some(count) if secondary.is_empty() => Ok((primary, Some(SecondaryAddresses::Count(count)))),
        Some(_) => Err(Error::Combination("Give secondary private addresses or how many, not both.")),
    }
}
