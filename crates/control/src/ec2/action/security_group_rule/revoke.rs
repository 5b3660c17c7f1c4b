//! Taking rules from security groups, and describing them anew: those that are there, by id or by what they allow.

use ipnet::{Ipv4Net, Ipv6Net};
use model::{Change, Direction, Fault, Permission, PrefixListId, Rule, SecurityGroupId, SecurityGroupRuleId};
use serde::{Deserialize, Serialize};

use super::ShownPeer;
use super::permission::{self, IpPermission, LIMITS};
use crate::ec2::Call;
use crate::ec2::action::{Action, DONE, Done};
use crate::ec2::error::Error;
use crate::ec2::query::Limit;
use crate::store::{ClientToken, Transaction};

#[derive(Deserialize)]
pub(in crate::ec2::action) struct RevokeSecurityGroupIngress(Revoke);

#[derive(Deserialize)]
pub(in crate::ec2::action) struct RevokeSecurityGroupEgress(Revoke);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Revoke {
    group_id: SecurityGroupId,
    #[serde(default)]
    security_group_rule_id: Vec<SecurityGroupRuleId>,
    #[serde(default)]
    ip_permissions: Vec<IpPermission>,
    ip_protocol: Option<String>,
    from_port: Option<i32>,
    to_port: Option<i32>,
    cidr_ip: Option<Ipv4Net>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::ec2::action) struct RevokeAnswer {
    r#return: bool,
    revoked_security_group_rule_set: Vec<RevokedRule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RevokedRule {
    security_group_rule_id: SecurityGroupRuleId,
    group_id: SecurityGroupId,
    is_egress: bool,
    ip_protocol: String,
    from_port: i32,
    to_port: i32,
    cidr_ipv4: Option<Ipv4Net>,
    cidr_ipv6: Option<Ipv6Net>,
    prefix_list_id: Option<PrefixListId>,
    referenced_group_id: Option<SecurityGroupId>,
    description: Option<String>,
}

#[derive(Deserialize)]
pub(in crate::ec2::action) struct UpdateSecurityGroupRuleDescriptionsIngress(UpdateDescriptions);

#[derive(Deserialize)]
pub(in crate::ec2::action) struct UpdateSecurityGroupRuleDescriptionsEgress(UpdateDescriptions);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateDescriptions {
    group_id: SecurityGroupId,
    #[serde(default)]
    ip_permissions: Vec<IpPermission>,
    #[serde(default)]
    security_group_rule_description: Vec<RuleDescription>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RuleDescription {
    security_group_rule_id: SecurityGroupRuleId,
    description: Option<String>,
}

impl Action for RevokeSecurityGroupIngress {
    const LIMITS: &'static [Limit] = LIMITS;
    type Answer = RevokeAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<RevokeAnswer, Error> {
        self.0.run(call, Direction::Ingress)
    }
}

impl Action for RevokeSecurityGroupEgress {
    const LIMITS: &'static [Limit] = LIMITS;
    type Answer = RevokeAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<RevokeAnswer, Error> {
        self.0.run(call, Direction::Egress)
    }
}

impl Action for UpdateSecurityGroupRuleDescriptionsIngress {
    const LIMITS: &'static [Limit] = LIMITS;
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        self.0.run(call, Direction::Ingress)
    }
}

impl Action for UpdateSecurityGroupRuleDescriptionsEgress {
    const LIMITS: &'static [Limit] = LIMITS;
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        self.0.run(call, Direction::Egress)
    }
}

impl Revoke {
    fn run(self, call: &Call<'_>, direction: Direction) -> Result<RevokeAnswer, Error> {
        let group = self.group_id;
        let mut ids = self.security_group_rule_id;
        let flat = IpPermission::flat(self.ip_protocol, self.from_port, self.to_port, self.cidr_ip);
        let by_id = !ids.is_empty() && self.ip_permissions.is_empty() && flat.is_none();
        let claims = permission::claims(&self.ip_permissions);
        let permissions =
            if by_id { Vec::new() } else { permission::all(self.ip_permissions, flat, &call.key.account)? };
        call.commit(move |transaction| {
            claims.iter().try_for_each(|claim| claim.check(transaction.region(), group))?;
            for permission in permissions {
                ids.push(rule_like(transaction, group, direction, permission)?);
            }
            let mut revoked = Vec::new();
            for id in ids {
                revoked.push(RevokedRule::of(group, &rule(transaction, group, direction, id)?));
                transaction.apply(Change::RevokeSecurityGroupRule { group, rule: id })?;
            }
            Ok(RevokeAnswer { r#return: true, revoked_security_group_rule_set: revoked })
        })
    }
}

impl UpdateDescriptions {
    fn run(self, call: &Call<'_>, direction: Direction) -> Result<Done, Error> {
        let group = self.group_id;
        let by_id = self.security_group_rule_description;
        let claims = permission::claims(&self.ip_permissions);
        let permissions = if by_id.is_empty() || !self.ip_permissions.is_empty() {
            permission::all(self.ip_permissions, None, &call.key.account)?
        } else {
            Vec::new()
        };
        call.commit(move |transaction| {
            claims.iter().try_for_each(|claim| claim.check(transaction.region(), group))?;
            let mut updates: Vec<_> =
                by_id.into_iter().map(|update| (update.security_group_rule_id, update.description)).collect();
            for permission in permissions {
                let description = permission.description.clone();
                updates.push((rule_like(transaction, group, direction, permission)?, description));
            }
            for (id, description) in updates {
                rule(transaction, group, direction, id)?;
                let change = Change::UpdateSecurityGroupRuleDescription { group, rule: id, description };
                transaction.apply(change)?;
            }
            Ok(DONE)
        })
    }
}

/// A group's rule for a direction.
fn rule(
    transaction: &Transaction<'_>,
    group: SecurityGroupId,
    direction: Direction,
    id: SecurityGroupRuleId,
) -> Result<Rule, Error> {
    let region = transaction.region();
    let group = region.security_groups().get(&group).ok_or(Fault::SecurityGroupNotFound(group))?;
    let mut rules = group.rules().filter(|rule| rule.direction == direction);
    let rule = rules.find(|rule| rule.id == id).ok_or(Fault::SecurityGroupRuleNotFound(id))?;
    Ok(rule.clone())
}

/// The rule of a group that allows just this.
fn rule_like(
    transaction: &Transaction<'_>,
    group: SecurityGroupId,
    direction: Direction,
    permission: Permission,
) -> Result<SecurityGroupRuleId, Error> {
    let id = permission.to_string();
    let missing = || Error::NotFound { code: "InvalidPermission.NotFound", kind: "specified rule", id };
    let groups = transaction.region().security_groups();
    let group = groups.get(&group).ok_or(Fault::SecurityGroupNotFound(group))?;
    let rule = group.rule_like(direction, permission).map_err(Fault::from)?;
    rule.map(|rule| rule.id).ok_or_else(missing)
}

impl RevokedRule {
    fn of(group_id: SecurityGroupId, rule: &Rule) -> RevokedRule {
        let (from_port, to_port) = rule.ports.unwrap_or((-1, -1));
        let peer = ShownPeer::of(rule.peer);
        RevokedRule {
            security_group_rule_id: rule.id,
            group_id,
            is_egress: rule.direction == Direction::Egress,
            ip_protocol: rule.protocol.to_string(),
            from_port,
            to_port,
            cidr_ipv4: peer.cidr_ipv4,
            cidr_ipv6: peer.cidr_ipv6,
            prefix_list_id: peer.prefix_list,
            referenced_group_id: peer.group,
            description: rule.description.clone(),
        }
    }
}
