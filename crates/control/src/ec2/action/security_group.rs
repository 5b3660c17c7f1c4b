//! Security groups.

use ipnet::{Ipv4Net, Ipv6Net};
use model::{
    Applied, Change, Direction, Fault, Peer, PrefixListId, Region, Rule, SecurityGroup, SecurityGroupId,
    VpcId,
};
use serde::{Deserialize, Serialize};

use super::default_vpc::vpc_or_default;
use super::security_group_rule::ShownPeerGroup;
use super::tag::{Tag, TagSpecification, tag_set, tags_for};
use super::{Action, Describe, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateSecurityGroup {
    group_name: String,
    group_description: String,
    vpc_id: Option<VpcId>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateSecurityGroupAnswer {
    r#return: bool,
    group_id: SecurityGroupId,
    security_group_arn: String,
    tag_set: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeSecurityGroups {
    #[serde(default)]
    group_id: Vec<SecurityGroupId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteSecurityGroup {
    group_id: SecurityGroupId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteSecurityGroupAnswer {
    r#return: bool,
    group_id: SecurityGroupId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownSecurityGroup {
    owner_id: String,
    group_id: SecurityGroupId,
    security_group_arn: String,
    group_name: String,
    group_description: String,
    vpc_id: VpcId,
    ip_permissions: Vec<ShownPermission>,
    ip_permissions_egress: Vec<ShownPermission>,
    tag_set: Vec<Tag>,
}

/// The rules about one protocol and its ports.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownPermission {
    ip_protocol: String,
    from_port: Option<i32>,
    to_port: Option<i32>,
    groups: Vec<ShownPeerGroup>,
    ip_ranges: Vec<ShownRange>,
    ipv6_ranges: Vec<ShownIpv6Range>,
    prefix_list_ids: Vec<ShownPrefixList>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownRange {
    cidr_ip: Ipv4Net,
    description: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownIpv6Range {
    cidr_ipv6: Ipv6Net,
    description: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownPrefixList {
    prefix_list_id: PrefixListId,
    description: Option<String>,
}

/// A group that something is a member of, as it is shown there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Membership {
    group_id: SecurityGroupId,
    group_name: String,
}

const FILTERS: &Names = &[
    ("description", "groupDescription"),
    ("egress.ip-permission.cidr", "ipPermissionsEgress.ipRanges.cidrIp"),
    ("egress.ip-permission.from-port", "ipPermissionsEgress.fromPort"),
    ("egress.ip-permission.group-id", "ipPermissionsEgress.groups.groupId"),
    ("egress.ip-permission.ipv6-cidr", "ipPermissionsEgress.ipv6Ranges.cidrIpv6"),
    ("egress.ip-permission.prefix-list-id", "ipPermissionsEgress.prefixListIds.prefixListId"),
    ("egress.ip-permission.protocol", "ipPermissionsEgress.ipProtocol"),
    ("egress.ip-permission.to-port", "ipPermissionsEgress.toPort"),
    ("egress.ip-permission.user-id", "ipPermissionsEgress.groups.userId"),
    ("group-id", "groupId"),
    ("group-name", "groupName"),
    ("ip-permission.cidr", "ipPermissions.ipRanges.cidrIp"),
    ("ip-permission.from-port", "ipPermissions.fromPort"),
    ("ip-permission.group-id", "ipPermissions.groups.groupId"),
    ("ip-permission.ipv6-cidr", "ipPermissions.ipv6Ranges.cidrIpv6"),
    ("ip-permission.prefix-list-id", "ipPermissions.prefixListIds.prefixListId"),
    ("ip-permission.protocol", "ipPermissions.ipProtocol"),
    ("ip-permission.to-port", "ipPermissions.toPort"),
    ("ip-permission.user-id", "ipPermissions.groups.userId"),
    ("owner-id", "ownerId"),
    ("tag-key", "tagSet.key"),
    ("vpc-id", "vpcId"),
];

/// Groups of a default VPC can be called by their names; there is none.
const BY_NAME: &[Limit] = &[("GroupName", &[])];

impl Action for CreateSecurityGroup {
    type Answer = CreateSecurityGroupAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let create = Change::CreateSecurityGroup {
            vpc: vpc_or_default(self.vpc_id, &call.region())?,
            name: self.group_name,
            description: self.group_description,
            tags: tags_for("security-group", self.tag_specification)?,
        };
        call.commit(move |transaction| {
            let Applied::SecurityGroup(group_id) = transaction.apply(create)? else {
                return Err(Error::Unexpected);
            };
            let region = transaction.region();
            let group = region.security_groups().get(&group_id).ok_or(Error::Unexpected)?;
            Ok(CreateSecurityGroupAnswer {
                r#return: true,
                group_id,
                security_group_arn: arn(region, group_id),
                tag_set: tag_set(&group.tags),
            })
        })
    }
}

impl Describe for DescribeSecurityGroups {
    const LIMITS: &'static [Limit] = BY_NAME;
    const SET: &'static str = "securityGroupInfo";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownSecurityGroup;

    fn by_id(&self) -> bool {
        !self.group_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownSecurityGroup)>, Error> {
        let region = call.region();
        let groups = pick(&self.group_id, region.security_groups(), Fault::SecurityGroupNotFound)?;
        Ok(groups.into_iter().map(|group| (group.id.to_string(), shown(&region, group))).collect())
    }
}

impl Action for DeleteSecurityGroup {
    const LIMITS: &'static [Limit] = BY_NAME;
    type Answer = DeleteSecurityGroupAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        call.apply(Change::DeleteSecurityGroup { group: self.group_id })?;
        Ok(DeleteSecurityGroupAnswer { r#return: true, group_id: self.group_id })
    }
}

/// Groups with their names.
pub(super) fn memberships(region: &Region, groups: &[SecurityGroupId]) -> Vec<Membership> {
    let groups = groups.iter().filter_map(|id| region.security_groups().get(id));
    groups.map(|group| Membership { group_id: group.id, group_name: group.name.clone() }).collect()
}

fn arn(region: &Region, group: SecurityGroupId) -> String {
    let key = region.key();
    format!("arn:aws:ec2:{}:{}:security-group/{group}", key.region.0, key.account.0)
}

fn shown(region: &Region, group: &SecurityGroup) -> ShownSecurityGroup {
    ShownSecurityGroup {
        owner_id: region.key().account.0.clone(),
        group_id: group.id,
        security_group_arn: arn(region, group.id),
        group_name: group.name.clone(),
        group_description: group.description.clone(),
        vpc_id: group.vpc,
        ip_permissions: permissions(region, group, Direction::Ingress),
        ip_permissions_egress: permissions(region, group, Direction::Egress),
        tag_set: tag_set(&group.tags),
    }
}

/// Rules are shown together if they differ only in their peers.
fn permissions(region: &Region, group: &SecurityGroup, direction: Direction) -> Vec<ShownPermission> {
    let mut permissions: Vec<(&Rule, ShownPermission)> = Vec::new();
    for rule in group.rules().filter(|rule| rule.direction == direction) {
        let alike = |(first, _): &(&Rule, _)| (first.protocol, first.ports) == (rule.protocol, rule.ports);
        let at = permissions.iter().position(alike).unwrap_or_else(|| {
            permissions.push((rule, without_peers(rule)));
            permissions.len() - 1
        });
        let (_, permission) = &mut permissions[at];
        let description = rule.description.clone();
        match rule.peer {
            Peer::Cidr(cidr_ip) => permission.ip_ranges.push(ShownRange { cidr_ip, description }),
            Peer::Group(_) => permission.groups.extend(ShownPeerGroup::of(region, rule)),
            Peer::Cidr6(cidr_ipv6) => permission.ipv6_ranges.push(ShownIpv6Range { cidr_ipv6, description }),
            Peer::PrefixList(prefix_list_id) => {
                permission.prefix_list_ids.push(ShownPrefixList { prefix_list_id, description });
            }
        }
    }
    permissions.into_iter().map(|(_, permission)| permission).collect()
}

fn without_peers(rule: &Rule) -> ShownPermission {
    ShownPermission {
        ip_protocol: rule.protocol.to_string(),
        from_port: rule.ports.map(|(from, _)| from),
        to_port: rule.ports.map(|(_, to)| to),
        groups: Vec::new(),
        ip_ranges: Vec::new(),
        ipv6_ranges: Vec::new(),
        prefix_list_ids: Vec::new(),
    }
}
