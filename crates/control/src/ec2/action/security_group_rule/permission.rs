//! Permissions as requests give them: one protocol, many peers.

use ipnet::{Ipv4Net, Ipv6Net};
use model::{AccountId, Peer, Permission, PrefixListId, Protocol};
use serde::Deserialize;

use super::peer_group::{Claim, PeerGroup};
use crate::ec2::error::Error;
use crate::ec2::query::Limit;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct IpPermission {
    ip_protocol: String,
    from_port: Option<i32>,
    to_port: Option<i32>,
    #[serde(default)]
    ip_ranges: Vec<IpRange>,
    #[serde(default)]
    ipv6_ranges: Vec<Ipv6Range>,
    #[serde(default)]
    prefix_list_ids: Vec<PeerPrefixList>,
    #[serde(default)]
    groups: Vec<PeerGroup>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IpRange {
    cidr_ip: Ipv4Net,
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ipv6Range {
    cidr_ipv6: Ipv6Net,
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PeerPrefixList {
    prefix_list_id: PrefixListId,
    description: Option<String>,
}

/// Parameters about rules that are not carried out: groups by name, which only a default VPC has.
pub(super) const LIMITS: &[Limit] = &[
    ("GroupName", &[]),
    ("IpPermissions.N.Groups.N.GroupName", &[]),
    ("SourceSecurityGroupName", &[]),
    ("SourceSecurityGroupOwnerId", &[]),
];

impl IpPermission {
    /// The one permission that a request's own parameters make.
    pub(super) fn flat(
        ip_protocol: Option<String>,
        from_port: Option<i32>,
        to_port: Option<i32>,
        cidr_ip: Option<Ipv4Net>,
    ) -> Option<IpPermission> {
        let ip_ranges = cidr_ip.into_iter().map(|cidr_ip| IpRange { cidr_ip, description: None }).collect();
        ip_protocol.map(|ip_protocol| IpPermission {
            ip_protocol,
            from_port,
            to_port,
            ip_ranges,
            ipv6_ranges: Vec::new(),
            prefix_list_ids: Vec::new(),
            groups: Vec::new(),
        })
    }

    fn permissions(self, account: &AccountId) -> Result<Vec<Permission>, Error> {
        let invalid = |name: &str, value: &str, reason: String| Error::InvalidValue {
            value: value.to_owned(),
            name: name.to_owned(),
            reason,
        };
        let protocol: Protocol = (self.ip_protocol.parse()).map_err(|error: model::BadProtocol| {
            invalid("IpProtocol", &self.ip_protocol, error.to_string())
        })?;
        let ports = self.from_port.zip(self.to_port);
        let permission = |peer, description| Permission { protocol, ports, peer, description };
        let mut permissions = Vec::new();
        for range in self.ip_ranges {
            permissions.push(permission(Peer::Cidr(range.cidr_ip), range.description));
        }
        for range in self.ipv6_ranges {
            permissions.push(permission(Peer::Cidr6(range.cidr_ipv6), range.description));
        }
        for list in self.prefix_list_ids {
            permissions.push(permission(Peer::PrefixList(list.prefix_list_id), list.description));
        }
        for group in self.groups {
            if let Some(stranger) = group.user_id.filter(|user| *user != account.0) {
                return Err(invalid(
                    "UserId",
                    &stranger,
                    "Groups of other accounts cannot be peers.".to_owned(),
                ));
            }
            permissions.push(permission(Peer::Group(group.group_id), group.description));
        }
        if permissions.is_empty() {
            return Err(Error::MissingParameter("CidrIp or GroupId".to_owned()));
        }
        Ok(permissions)
    }
}

/// What a request says of the groups that its permissions are about.
pub(super) fn claims(list: &[IpPermission]) -> Vec<Claim> {
    list.iter().flat_map(|permission| &permission.groups).map(PeerGroup::claim).collect()
}

/// One permission for each peer of all those that a request has.
pub(super) fn all(
    list: Vec<IpPermission>,
    flat: Option<IpPermission>,
    account: &AccountId,
) -> Result<Vec<Permission>, Error> {
    if !list.is_empty() && flat.is_some() {
        return Err(Error::Combination("Give IpPermissions or IpProtocol, not both."));
    }
    let mut permissions = Vec::new();
    for permission in list.into_iter().chain(flat) {
        permissions.extend(permission.permissions(account)?);
    }
    if permissions.is_empty() {
        return Err(Error::MissingParameter("IpPermissions".to_owned()));
    }
    Ok(permissions)
}
