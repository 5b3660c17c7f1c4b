//! Groups that rules are about, as requests and answers have them.

use model::{Peer, PeeringStatus, Region, Rule, SecurityGroupId, VpcId, VpcPeeringConnectionId};
use serde::{Deserialize, Serialize};

use crate::ec2::error::Error;

/// A group in a request. What it says beside the id must be so: EC2 shows it, and clients give back what they were shown.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PeerGroup {
    pub(super) group_id: SecurityGroupId,
    pub(super) user_id: Option<String>,
    pub(super) description: Option<String>,
    vpc_id: Option<VpcId>,
    vpc_peering_connection_id: Option<VpcPeeringConnectionId>,
    peering_status: Option<String>,
}

/// What a request says of a group.
pub(super) struct Claim {
    peer: SecurityGroupId,
    vpc: Option<VpcId>,
    connection: Option<VpcPeeringConnectionId>,
    status: Option<String>,
}

/// A group in an answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::ec2::action) struct ShownPeerGroup {
    user_id: String,
    group_id: SecurityGroupId,
    vpc_id: Option<VpcId>,
    vpc_peering_connection_id: Option<VpcPeeringConnectionId>,
    peering_status: Option<String>,
    description: Option<String>,
}

impl PeerGroup {
    pub(super) fn claim(&self) -> Claim {
        Claim {
            peer: self.group_id,
            vpc: self.vpc_id,
            connection: self.vpc_peering_connection_id,
            status: self.peering_status.clone(),
        }
    }
}

impl Claim {
    /// Whether it is so for the rules that a group has.
    pub(super) fn check(&self, region: &Region, group: SecurityGroupId) -> Result<(), Error> {
        let rules = region.security_groups().get(&group).into_iter().flat_map(|group| group.rules());
        let mut rules = rules.filter(|rule| rule.peer == Peer::Group(self.peer));
        let Some(rule) = rules.next() else { return Ok(()) };
        let (vpc, across) = (vpc_of(region, rule), rule.across);
        let wrong = |name: &str, value: String| {
            let reason = format!("That is not so of {}.", self.peer);
            Err(Error::InvalidValue { value, name: name.to_owned(), reason })
        };
        if let Some(claimed) = self.vpc.filter(|claimed| Some(*claimed) != vpc) {
            return wrong("VpcId", claimed.to_string());
        }
        let connection = across.map(|across| across.connection);
        if let Some(claimed) = self.connection.filter(|claimed| Some(*claimed) != connection) {
            return wrong("VpcPeeringConnectionId", claimed.to_string());
        }
        let status = status_of(region, rule).map(|status| status.to_string());
        match &self.status {
            Some(claimed) if Some(claimed) != status.as_ref() => wrong("PeeringStatus", claimed.clone()),
            _ => Ok(()),
        }
    }
}

impl ShownPeerGroup {
    /// The group that a rule is about, if it is about one. EC2 says where it is only of a peer VPC's.
    pub(in crate::ec2::action) fn of(region: &Region, rule: &Rule) -> Option<ShownPeerGroup> {
        let Peer::Group(group_id) = rule.peer else { return None };
        Some(ShownPeerGroup {
            user_id: region.key().account.0.clone(),
            group_id,
            vpc_id: rule.across.map(|across| across.vpc),
            vpc_peering_connection_id: rule.across.map(|across| across.connection),
            peering_status: status_of(region, rule).map(|status| status.to_string()),
            description: rule.description.clone(),
        })
    }
}

/// The VPC of the group that a rule is about, also if the group is gone.
pub(super) fn vpc_of(region: &Region, rule: &Rule) -> Option<VpcId> {
    match (rule.across, rule.peer) {
        (Some(across), _) => Some(across.vpc),
        (None, Peer::Group(group)) => region.security_groups().get(&group).map(|group| group.vpc),
        (None, _) => None,
    }
}

/// How far the peering connection is that a rule refers to a group across.
pub(super) fn status_of(region: &Region, rule: &Rule) -> Option<PeeringStatus> {
    rule.across.map(|across| region.reference_status(across))
}
