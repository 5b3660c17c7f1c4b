//! Rules about security groups across VPC peering connections: which there are, and which are left over.

use std::collections::BTreeSet;

use model::{Direction, Fault, Region, SecurityGroup, SecurityGroupId, VpcId, VpcPeeringConnectionId};
use serde::{Deserialize, Serialize};

use super::security_group_rule::ShownPeerGroup;
use super::{Action, Describe};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeSecurityGroupReferences {
    group_id: Vec<SecurityGroupId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeSecurityGroupReferencesAnswer {
    security_group_reference_set: Vec<ShownReference>,
}

/// A peer VPC some of whose rules are about a group.
#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
struct ShownReference {
    group_id: SecurityGroupId,
    referencing_vpc_id: VpcId,
    vpc_peering_connection_id: VpcPeeringConnectionId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeStaleSecurityGroups {
    vpc_id: VpcId,
}

/// A group that has stale rules, with these alone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StaleGroup {
    group_id: SecurityGroupId,
    group_name: String,
    description: String,
    vpc_id: VpcId,
    stale_ip_permissions: Vec<StalePermission>,
    stale_ip_permissions_egress: Vec<StalePermission>,
}

/// Only rules about groups become stale.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StalePermission {
    ip_protocol: String,
    from_port: Option<i32>,
    to_port: Option<i32>,
    groups: Vec<ShownPeerGroup>,
    ip_ranges: Vec<()>,
    prefix_list_ids: Vec<()>,
}

impl Action for DescribeSecurityGroupReferences {
    type Answer = DescribeSecurityGroupReferencesAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let region = call.region();
        let mut references = BTreeSet::new();
        for group_id in self.group_id {
            if !region.security_groups().contains_key(&group_id) {
                return Err(Fault::SecurityGroupNotFound(group_id).into());
            }
            references.extend(region.references_across(group_id).map(|(vpc, across)| ShownReference {
                group_id,
                referencing_vpc_id: vpc,
                vpc_peering_connection_id: across.connection,
            }));
        }
        let security_group_reference_set = references.into_iter().collect();
        Ok(DescribeSecurityGroupReferencesAnswer { security_group_reference_set })
    }
}

impl Describe for DescribeStaleSecurityGroups {
    const SET: &'static str = "staleSecurityGroupSet";
    const FILTERS: &'static Names = &[];
    type Shown = StaleGroup;

    fn by_id(&self) -> bool {
        false
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, StaleGroup)>, Error> {
        let region = call.region();
        region.vpcs().get(&self.vpc_id).ok_or(Fault::VpcNotFound(self.vpc_id))?;
        let groups = region.security_groups().values();
        let stale = groups
            .filter(|group| group.vpc == self.vpc_id && group.rules().any(|rule| region.is_stale(rule)));
        Ok(stale.map(|group| (group.id.to_string(), shown(&region, group))).collect())
    }
}

fn shown(region: &Region, group: &SecurityGroup) -> StaleGroup {
    StaleGroup {
        group_id: group.id,
        group_name: group.name.clone(),
        description: group.description.clone(),
        vpc_id: group.vpc,
        stale_ip_permissions: permissions(region, group, Direction::Ingress),
        stale_ip_permissions_egress: permissions(region, group, Direction::Egress),
    }
}

fn permissions(region: &Region, group: &SecurityGroup, direction: Direction) -> Vec<StalePermission> {
    let stale = group.rules().filter(|rule| rule.direction == direction && region.is_stale(rule));
    let permissions = stale.map(|rule| StalePermission {
        ip_protocol: rule.protocol.to_string(),
        from_port: rule.ports.map(|(from, _)| from),
        to_port: rule.ports.map(|(_, to)| to),
        groups: ShownPeerGroup::of(region, rule).into_iter().collect(),
        ip_ranges: Vec::new(),
        prefix_list_ids: Vec::new(),
    });
    permissions.collect()
}
