//! The rules of security groups.

mod modify;
mod peer_group;
mod permission;
mod revoke;

use ipnet::{Ipv4Net, Ipv6Net};
use model::{
    Applied, Change, Direction, Fault, Peer, PrefixListId, Region, Rule, SecurityGroup, SecurityGroupId,
    SecurityGroupRuleId, TaggedResource, VpcId, VpcPeeringConnectionId,
};
use serde::{Deserialize, Serialize};

use super::tag::{Tag, TagSpecification, tag_set, tags_for};
use super::{Action, Describe};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;
use crate::store::ClientToken;

pub(super) use modify::ModifySecurityGroupRules;
pub(super) use peer_group::ShownPeerGroup;
use permission::{IpPermission, LIMITS};
pub(super) use revoke::{
    RevokeSecurityGroupEgress, RevokeSecurityGroupIngress, UpdateSecurityGroupRuleDescriptionsEgress,
    UpdateSecurityGroupRuleDescriptionsIngress,
};

#[derive(Deserialize)]
pub(super) struct AuthorizeSecurityGroupIngress(Authorize);

#[derive(Deserialize)]
pub(super) struct AuthorizeSecurityGroupEgress(Authorize);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Authorize {
    group_id: SecurityGroupId,
    #[serde(default)]
    ip_permissions: Vec<IpPermission>,
    ip_protocol: Option<String>,
    from_port: Option<i32>,
    to_port: Option<i32>,
    cidr_ip: Option<Ipv4Net>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthorizeAnswer {
    r#return: bool,
    security_group_rule_set: Vec<ShownRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeSecurityGroupRules {
    #[serde(default)]
    security_group_rule_id: Vec<SecurityGroupRuleId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownRule {
    security_group_rule_id: SecurityGroupRuleId,
    security_group_rule_arn: String,
    group_id: SecurityGroupId,
    group_owner_id: String,
    is_egress: bool,
    ip_protocol: String,
    from_port: i32,
    to_port: i32,
    cidr_ipv4: Option<Ipv4Net>,
    cidr_ipv6: Option<Ipv6Net>,
    prefix_list_id: Option<PrefixListId>,
    referenced_group_info: Option<ReferencedGroup>,
    description: Option<String>,
    tag_set: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReferencedGroup {
    group_id: SecurityGroupId,
    user_id: String,
    vpc_id: Option<VpcId>,
    vpc_peering_connection_id: Option<VpcPeeringConnectionId>,
    peering_status: Option<String>,
}

/// Whom a rule is about, where an answer has a member for each kind.
struct ShownPeer {
    cidr_ipv4: Option<Ipv4Net>,
    cidr_ipv6: Option<Ipv6Net>,
    prefix_list: Option<PrefixListId>,
    group: Option<SecurityGroupId>,
}

const FILTERS: &Names =
    &[("group-id", "groupId"), ("security-group-rule-id", "securityGroupRuleId"), ("tag-key", "tagSet.key")];

impl Action for AuthorizeSecurityGroupIngress {
    const LIMITS: &'static [Limit] = LIMITS;
    type Answer = AuthorizeAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<AuthorizeAnswer, Error> {
        self.0.run(call, Direction::Ingress)
    }
}

impl Action for AuthorizeSecurityGroupEgress {
    const LIMITS: &'static [Limit] = LIMITS;
    type Answer = AuthorizeAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<AuthorizeAnswer, Error> {
        self.0.run(call, Direction::Egress)
    }
}

impl Authorize {
    fn run(self, call: &Call<'_>, direction: Direction) -> Result<AuthorizeAnswer, Error> {
        let group = self.group_id;
        let flat = IpPermission::flat(self.ip_protocol, self.from_port, self.to_port, self.cidr_ip);
        let claims = permission::claims(&self.ip_permissions);
        let permissions = permission::all(self.ip_permissions, flat, &call.key.account)?;
        let tags = tags_for("security-group-rule", self.tag_specification)?;
        call.commit(move |transaction| {
            let mut made = Vec::new();
            for rule in permissions {
                let change = Change::AuthorizeSecurityGroup { group, direction, rule };
                let Applied::SecurityGroupRule(id) = transaction.apply(change)? else {
                    return Err(Error::Unexpected);
                };
                made.push(id);
            }
            if !tags.is_empty() {
                let resources = made.iter().copied().map(TaggedResource::SecurityGroupRule).collect();
                transaction.apply(Change::CreateTags { resources, tags })?;
            }
            let region = transaction.region();
            claims.iter().try_for_each(|claim| claim.check(region, group))?;
            let group = region.security_groups().get(&group).ok_or(Error::Unexpected)?;
            let new = group.rules().filter(|rule| made.contains(&rule.id));
            let security_group_rule_set = new.map(|rule| shown(region, group, rule)).collect();
            Ok(AuthorizeAnswer { r#return: true, security_group_rule_set })
        })
    }
}

impl Describe for DescribeSecurityGroupRules {
    const SET: &'static str = "securityGroupRuleSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownRule;

    fn by_id(&self) -> bool {
        !self.security_group_rule_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownRule)>, Error> {
        let region = call.region();
        let groups = region.security_groups().values();
        let mut rules: Vec<_> =
            groups.flat_map(|group| group.rules().map(move |rule| (group, rule))).collect();
        if self.by_id() {
            let asked = &self.security_group_rule_id;
            let there = |id: &SecurityGroupRuleId| rules.iter().any(|(_, rule)| rule.id == *id);
            if let Some(missing) = asked.iter().find(|id| !there(id)) {
                return Err(Fault::SecurityGroupRuleNotFound(*missing).into());
            }
            rules.retain(|(_, rule)| asked.contains(&rule.id));
        }
        rules.sort_by_key(|(_, rule)| rule.id);
        Ok(rules
            .into_iter()
            .map(|(group, rule)| (rule.id.to_string(), shown(&region, group, rule)))
            .collect())
    }
}

fn shown(region: &Region, group: &SecurityGroup, rule: &Rule) -> ShownRule {
    let key = region.key();
    let (from_port, to_port) = rule.ports.unwrap_or((-1, -1));
    let peer = ShownPeer::of(rule.peer);
    ShownRule {
        security_group_rule_id: rule.id,
        security_group_rule_arn: format!(
            "arn:aws:ec2:{}:{}:security-group-rule/{}",
            key.region.0, key.account.0, rule.id
        ),
        group_id: group.id,
        group_owner_id: key.account.0.clone(),
        is_egress: rule.direction == Direction::Egress,
        ip_protocol: rule.protocol.to_string(),
        from_port,
        to_port,
        cidr_ipv4: peer.cidr_ipv4,
        cidr_ipv6: peer.cidr_ipv6,
        prefix_list_id: peer.prefix_list,
        referenced_group_info: peer.group.map(|group_id| ReferencedGroup {
            group_id,
            user_id: key.account.0.clone(),
            vpc_id: peer_group::vpc_of(region, rule),
            vpc_peering_connection_id: rule.across.map(|across| across.connection),
            peering_status: peer_group::status_of(region, rule).map(|status| status.to_string()),
        }),
        description: rule.description.clone(),
        tag_set: tag_set(&rule.tags),
    }
}

impl ShownPeer {
    fn of(peer: Peer) -> ShownPeer {
        let mut shown = ShownPeer { cidr_ipv4: None, cidr_ipv6: None, prefix_list: None, group: None };
        match peer {
            Peer::Cidr(cidr) => shown.cidr_ipv4 = Some(cidr),
            Peer::Cidr6(cidr) => shown.cidr_ipv6 = Some(cidr),
            Peer::PrefixList(list) => shown.prefix_list = Some(list),
            Peer::Group(group) => shown.group = Some(group),
        }
        shown
    }
}
