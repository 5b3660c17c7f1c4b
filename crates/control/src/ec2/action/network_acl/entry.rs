//! The rules of network ACLs.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use model::{AclEntry, BadProtocol, Change, Direction, NetworkAclId, Protocol};
use serde::{Deserialize, Serialize};

use crate::ec2::Call;
use crate::ec2::action::{Action, DONE, Done};
use crate::ec2::error::Error;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(transparent)]
pub(in crate::ec2::action) struct CreateNetworkAclEntry(NewEntry);

#[derive(Deserialize)]
#[serde(transparent)]
pub(in crate::ec2::action) struct ReplaceNetworkAclEntry(NewEntry);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ec2::action) struct DeleteNetworkAclEntry {
    network_acl_id: NetworkAclId,
    egress: bool,
    rule_number: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NewEntry {
    network_acl_id: NetworkAclId,
    egress: bool,
    rule_number: u16,
    protocol: String,
    rule_action: RuleAction,
    cidr_block: Option<Ipv4Net>,
    ipv6_cidr_block: Option<Ipv6Net>,
    port_range: Option<NewPortRange>,
    icmp: Option<NewIcmp>,
}

#[derive(Deserialize, Serialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum RuleAction {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NewPortRange {
    from: u16,
    to: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NewIcmp {
    r#type: i16,
    code: i16,
}

/// A rule, as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownEntry {
    rule_number: u16,
    /// By its number.
    protocol: String,
    rule_action: RuleAction,
    egress: bool,
    cidr_block: Option<Ipv4Net>,
    ipv6_cidr_block: Option<Ipv6Net>,
    port_range: Option<ShownPortRange>,
    icmp_type_code: Option<ShownIcmp>,
}

#[derive(Serialize)]
struct ShownPortRange {
    from: u16,
    to: u16,
}

#[derive(Serialize)]
struct ShownIcmp {
    code: i16,
    r#type: i16,
}

impl Action for CreateNetworkAclEntry {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let (acl, direction, number) = (self.0.network_acl_id, way(self.0.egress), self.0.rule_number);
        call.apply(Change::CreateNetworkAclEntry { acl, direction, number, entry: self.0.entry()? })?;
        Ok(DONE)
    }
}

impl Action for ReplaceNetworkAclEntry {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let (acl, direction, number) = (self.0.network_acl_id, way(self.0.egress), self.0.rule_number);
        call.apply(Change::ReplaceNetworkAclEntry { acl, direction, number, entry: self.0.entry()? })?;
        Ok(DONE)
    }
}

impl Action for DeleteNetworkAclEntry {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let (acl, direction, number) = (self.network_acl_id, way(self.egress), self.rule_number);
        call.apply(Change::DeleteNetworkAclEntry { acl, direction, number })?;
        Ok(DONE)
    }
}

impl NewEntry {
    fn entry(self) -> Result<AclEntry, Error> {
        let protocol: Protocol = self.protocol.parse().map_err(|error: BadProtocol| Error::InvalidValue {
            value: self.protocol,
            name: "Protocol".to_owned(),
            reason: error.to_string(),
        })?;
        let cidr = match (self.cidr_block, self.ipv6_cidr_block) {
            (Some(cidr), None) => IpNet::V4(cidr),
            (None, Some(cidr)) => IpNet::V6(cidr),
            (None, None) => return Err(Error::MissingParameter("CidrBlock or Ipv6CidrBlock".to_owned())),
            (Some(_), Some(_)) => {
                return Err(Error::Combination("Give CidrBlock or Ipv6CidrBlock, not both."));
            }
        };
        Ok(AclEntry {
            protocol,
            cidr,
            ports: self.port_range.map(|range| (range.from, range.to)),
            icmp: self.icmp.map(|icmp| (icmp.r#type, icmp.code)),
            allow: self.rule_action == RuleAction::Allow,
        })
    }
}

impl ShownEntry {
    /// A rule for one direction, as it is shown.
    pub(super) fn of(direction: Direction, number: u16, entry: &AclEntry) -> ShownEntry {
        let (cidr_block, ipv6_cidr_block) = match entry.cidr {
            IpNet::V4(cidr) => (Some(cidr), None),
            IpNet::V6(cidr) => (None, Some(cidr)),
        };
        ShownEntry {
            rule_number: number,
            protocol: entry.protocol.number().map_or_else(|| "-1".to_owned(), |number| number.to_string()),
            rule_action: if entry.allow { RuleAction::Allow } else { RuleAction::Deny },
            egress: direction == Direction::Egress,
            cidr_block,
            ipv6_cidr_block,
            port_range: entry.ports.map(|(from, to)| ShownPortRange { from, to }),
            icmp_type_code: entry.icmp.map(|(r#type, code)| ShownIcmp { code, r#type }),
        }
    }
}

fn way(egress: bool) -> Direction {
    if egress { Direction::Egress } else { Direction::Ingress }
}
