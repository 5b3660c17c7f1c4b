//! Security groups.

use std::mem;

use serde::{Deserialize, Serialize};

use crate::fault::{Dependency, Fault, InvalidValue};
use crate::id::{SecurityGroupId, SecurityGroupRuleId, VpcId};
use crate::prefix_list::AddressFamily;
use crate::quota::Quota;
use crate::region::Region;
use crate::rule::{Direction, EVERYWHERE, EVERYWHERE6, Peer, Permission, Rule, is_plain};
use crate::tag::{self, Tags};

mod reference;

/// A set of rules that interfaces are members of. What no rule of any of its groups allows, an interface neither
/// sends nor receives, except answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Its id.
    pub id: SecurityGroupId,
    /// The VPC it is for.
    pub vpc: VpcId,
    /// Unlike that of any other group of the VPC.
    pub name: String,
    /// In words.
    pub description: String,
    /// Its tags.
    pub tags: Tags,
    rules: Vec<Rule>,
}

const NAME_OF_DEFAULT: &str = "default";

impl SecurityGroup {
    /// Its rules for both directions, oldest first.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// The rule that allows just this, in whichever of its forms that is asked.
    ///
    /// # Errors
    /// What is wrong with the permission.
    pub fn rule_like(
        &self,
        direction: Direction,
        permission: Permission,
    ) -> Result<Option<&Rule>, InvalidValue> {
        Ok(self.rule_of(direction, &permission.canonical()?))
    }

    fn rule_of(&self, direction: Direction, canonical: &Permission) -> Option<&Rule> {
        let Permission { protocol, ports, peer, .. } = *canonical;
        self.rules.iter().find(|rule| {
            (rule.direction, rule.protocol, rule.ports, rule.peer) == (direction, protocol, ports, peer)
        })
    }

    /// The group that a VPC comes with (VPC User Guide, "Default security groups for your VPCs").
    pub(crate) fn default_of(vpc: VpcId, region: &mut Region) -> SecurityGroup {
        let mut group = SecurityGroup {
            id: region.draw(),
            vpc,
            name: NAME_OF_DEFAULT.to_owned(),
            description: "default VPC security group".to_owned(),
            tags: Tags::new(),
            rules: Vec::new(),
        };
        let members = Permission::all(Peer::Group(group.id));
        group.rules.push(members.into_rule(region.draw(), Direction::Ingress));
        group.rules.push(Permission::all(EVERYWHERE).into_rule(region.draw(), Direction::Egress));
        group
    }
}

impl Region {
    pub(crate) fn security_group(&self, id: SecurityGroupId) -> Result<&SecurityGroup, Fault> {
        self.security_groups.get(&id).ok_or(Fault::SecurityGroupNotFound(id))
    }

    pub(crate) fn create_security_group(
        &mut self,
        vpc: VpcId,
        name: String,
        description: String,
        tags: Tags,
    ) -> Result<SecurityGroupId, Fault> {
        self.vpc(vpc)?;
        if name.eq_ignore_ascii_case(NAME_OF_DEFAULT) {
            return Err(InvalidValue::GroupNameReserved(name).into());
        }
        if name.starts_with("sg-") {
            return Err(InvalidValue::GroupNameLikeId(name).into());
        }
        if name.is_empty() || !is_plain(&name) {
            return Err(InvalidValue::GroupName(name).into());
        }
        if description.is_empty() || !is_plain(&description) {
            return Err(InvalidValue::GroupDescription(description).into());
        }
        if self.security_groups.values().any(|group| group.vpc == vpc && group.name == name) {
            return Err(Fault::SecurityGroupDuplicate { name, vpc });
        }
        tag::check(&tags)?;
        self.quotas.allow(Quota::SecurityGroups, self.security_groups.len() + 1)?;

        let id = self.draw();
        let mut rules = vec![Permission::all(EVERYWHERE).into_rule(self.draw(), Direction::Egress)];
        if !self.vpc(vpc)?.ipv6.is_empty() {
            rules.push(Permission::all(EVERYWHERE6).into_rule(self.draw(), Direction::Egress));
        }
        self.security_groups.insert(id, SecurityGroup { id, vpc, name, description, tags, rules });
        Ok(id)
    }

    pub(crate) fn authorize_security_group(
        &mut self,
        id: SecurityGroupId,
        direction: Direction,
        permission: Permission,
    ) -> Result<SecurityGroupRuleId, Fault> {
        let group = self.security_group(id)?;
        let permission = permission.canonical()?;
        if group.rule_of(direction, &permission).is_some() {
            return Err(Fault::PermissionDuplicate(permission));
        }
        let across = self.check_peer(group, permission.peer)?;

        let same_way = group.rules.iter().filter(|rule| rule.direction == direction).map(|rule| rule.peer);
        self.allow_rules(same_way.chain([permission.peer]))?;

        let rule = Rule { across, ..permission.into_rule(self.draw(), direction) };
        let rule_id = rule.id;
        if let Some(group) = self.security_groups.get_mut(&id) {
            group.rules.push(rule);
        }
        Ok(rule_id)
    }

    pub(crate) fn revoke_security_group_rule(
        &mut self,
        id: SecurityGroupId,
        rule: SecurityGroupRuleId,
    ) -> Result<(), Fault> {
        let group = self.security_groups.get_mut(&id).ok_or(Fault::SecurityGroupNotFound(id))?;
        let at = group.rules.iter().position(|other| other.id == rule);
        let at = at.ok_or(Fault::SecurityGroupRuleNotFound(rule))?;

        group.rules.remove(at);
        Ok(())
    }

    pub(crate) fn modify_security_group_rule(
        &mut self,
        id: SecurityGroupId,
        rule_id: SecurityGroupRuleId,
        permission: Permission,
    ) -> Result<(), Fault> {
        let group = self.security_group(id)?;
        let rule = group.rules.iter().find(|rule| rule.id == rule_id);
        let rule = rule.ok_or(Fault::SecurityGroupRuleNotFound(rule_id))?;
        let permission = permission.canonical()?;
        if mem::discriminant(&rule.peer) != mem::discriminant(&permission.peer) {
            return Err(InvalidValue::RuleKind(rule_id).into());
        }
        let across = self.check_peer(group, permission.peer)?;
        if group.rule_of(rule.direction, &permission).is_some_and(|other| other.id != rule_id) {
            return Err(Fault::PermissionDuplicate(permission));
        }
        // Prefix lists count by their size, and the new one may be larger.
        let others =
            group.rules.iter().filter(|other| other.direction == rule.direction && other.id != rule_id);
        self.allow_rules(others.map(|other| other.peer).chain([permission.peer]))?;

        let tags = rule.tags.clone();
        let modified = Rule { across, tags, ..permission.into_rule(rule_id, rule.direction) };
        if let Some(rule) = self.rule_mut(rule_id) {
            *rule = modified;
        }
        Ok(())
    }

    pub(crate) fn update_security_group_rule_description(
        &mut self,
        id: SecurityGroupId,
        rule_id: SecurityGroupRuleId,
        description: Option<String>,
    ) -> Result<(), Fault> {
        let group = self.security_groups.get_mut(&id).ok_or(Fault::SecurityGroupNotFound(id))?;
        let rule = group.rules.iter_mut().find(|rule| rule.id == rule_id);
        let rule = rule.ok_or(Fault::SecurityGroupRuleNotFound(rule_id))?;
        if let Some(description) = description.as_ref().filter(|description| !is_plain(description)) {
            return Err(InvalidValue::GroupDescription(description.clone()).into());
        }

        rule.description = description;
        Ok(())
    }

    pub(crate) fn delete_security_group(&mut self, id: SecurityGroupId) -> Result<(), Fault> {
        let group = self.security_group(id)?;
        if self.vpc(group.vpc)?.default_security_group == id {
            return Err(Fault::DefaultGroup(id));
        }
        // Rules of peer VPCs do not hold it: they become stale.
        let mut others =
            self.security_groups.values().filter(|other| other.id != id && other.vpc == group.vpc);
        let referred_to = others.any(|other| other.rules.iter().any(|rule| rule.peer == Peer::Group(id)));
        if referred_to || self.interfaces.values().any(|interface| interface.groups.contains(&id)) {
            return Err(Dependency::SecurityGroup(id).into());
        }

        self.security_groups.remove(&id);
        Ok(())
    }

    /// Whether one direction of a group can have rules about these peers: IPv4 and IPv6 are counted apart, a group
    /// counts for both, a prefix list with the most entries that it can have.
    pub(crate) fn allow_rules(&self, peers: impl Iterator<Item = Peer>) -> Result<(), Fault> {
        let (mut v4, mut v6) = (0, 0);
        for peer in peers {
            match peer {
                Peer::Cidr(_) => v4 += 1,
                Peer::Cidr6(_) => v6 += 1,
                Peer::Group(_) => (v4, v6) = (v4 + 1, v6 + 1),
                Peer::PrefixList(list) => {
                    let list = self.prefix_list(list)?;
                    match list.family {
                        AddressFamily::Ipv4 => v4 += list.max_entries as usize,
                        AddressFamily::Ipv6 => v6 += list.max_entries as usize,
                    }
                }
            }
        }
        self.quotas.allow(Quota::RulesPerGroup, v4.max(v6))
    }

    /// Gives the groups of a VPC that has got IPv6 the rule that lets it out, where nobody changed the rules that
    /// they let out by (VPC User Guide, "Security groups for your VPC").
    pub(crate) fn let_ipv6_out(&mut self, vpc: VpcId) {
        let untouched = |group: &&SecurityGroup| {
            let out = group.rules.iter().filter(|rule| rule.direction == Direction::Egress);
            let to_everywhere = group.rule_of(Direction::Egress, &Permission::all(EVERYWHERE));
            group.vpc == vpc && to_everywhere.is_some() && out.count() == 1
        };
        let groups: Vec<_> = self.security_groups.values().filter(untouched).map(|group| group.id).collect();
        for group in groups {
            let rule = Permission::all(EVERYWHERE6).into_rule(self.draw(), Direction::Egress);
            if let Some(group) = self.security_groups.get_mut(&group) {
                group.rules.push(rule);
            }
        }
    }

    /// A rule of any group.
    pub(crate) fn rule(&self, id: SecurityGroupRuleId) -> Option<&Rule> {
        self.security_groups.values().flat_map(|group| &group.rules).find(|rule| rule.id == id)
    }

    pub(crate) fn rule_mut(&mut self, id: SecurityGroupRuleId) -> Option<&mut Rule> {
        self.security_groups.values_mut().flat_map(|group| &mut group.rules).find(|rule| rule.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, tags};
    use crate::{Applied, Change, Protocol};

    #[test]
    fn a_rule_is_given_once_and_can_be_taken() {
        let mut network = Network::new();
        let group = network.security_group("web");
        let authorize =
            |rule: Permission| Change::AuthorizeSecurityGroup { group, direction: Direction::Ingress, rule };
        let ssh =
            Permission { protocol: Protocol::Tcp, ports: Some((22, 22)), ..Permission::all(EVERYWHERE) };
        let Applied::SecurityGroupRule(rule) = network.apply(authorize(ssh.clone())) else { panic!() };
        let again = network.refused(authorize(Permission { description: Some("ssh".into()), ..ssh.clone() }));
        assert_eq!(again.code(), "InvalidPermission.Duplicate");
        assert_eq!(
            again.to_string(),
            "the specified rule \"peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW\" already exists"
        );
        network.apply(Change::AuthorizeSecurityGroup {
            group,
            direction: Direction::Egress,
            rule: ssh.clone(),
        });
        network.apply(Change::RevokeSecurityGroupRule { group, rule });
        let fault = network.refused(Change::RevokeSecurityGroupRule { group, rule });
        assert_eq!(fault.code(), "InvalidSecurityGroupRuleId.NotFound");
        network.apply(authorize(ssh));
    }

    #[test]
    fn references_stay_in_the_vpc_where_nothing_joins_it_to_another() {
        let mut network = Network::new();
        let (group, friend) = (network.security_group("web"), network.security_group("db"));
        let stranger = network.other_group();
        let to = |peer| Change::AuthorizeSecurityGroup {
            group,
            direction: Direction::Egress,
            rule: Permission::all(Peer::Group(peer)),
        };
        network.apply(to(friend));
        network.apply(to(group));
        assert_eq!(network.refused(to(stranger)), Fault::SecurityGroupElsewhere(stranger));
        let nobody = "sg-00000000".parse().unwrap();
        assert_eq!(network.refused(to(nobody)), Fault::SecurityGroupNotFound(nobody));
    }

    #[test]
    fn names_are_unique_in_the_vpc_and_plain() {
        let mut network = Network::new();
        let create = |name: &str, description: &str| Change::CreateSecurityGroup {
            vpc: network.vpc,
            name: name.to_owned(),
            description: description.to_owned(),
            tags: tags("x"),
        };
        let changes = [
            (create("default", "d"), "InvalidParameterValue"),
            (create("sg-1", "d"), "InvalidParameterValue"),
            (create("", "d"), "InvalidParameterValue"),
            (create("wéb", "d"), "InvalidParameterValue"),
            (create("web", ""), "InvalidParameterValue"),
            (create("web", &"d".repeat(256)), "InvalidParameterValue"),
            (create("web2", "a b\n"), "InvalidParameterValue"),
        ];
        let duplicate = create("web", "d");
        for (change, code) in changes {
            assert_eq!(network.refused(change).code(), code);
        }
        network.apply(duplicate.clone());
        assert_eq!(network.refused(duplicate).code(), "InvalidGroup.Duplicate");
    }

    #[test]
    fn a_group_that_is_needed_stays() {
        let mut network = Network::new();
        let (group, friend) = (network.security_group("web"), network.security_group("db"));
        let delete = |group| Change::DeleteSecurityGroup { group };
        let default = network.region.vpcs()[&network.vpc].default_security_group;
        assert_eq!(network.refused(delete(default)).code(), "CannotDelete");

        let itself = Change::AuthorizeSecurityGroup {
            group,
            direction: Direction::Ingress,
            rule: Permission::all(Peer::Group(group)),
        };
        network.apply(itself);
        let from_friend = Change::AuthorizeSecurityGroup {
            group: friend,
            direction: Direction::Ingress,
            rule: Permission::all(Peer::Group(group)),
        };
        let Applied::SecurityGroupRule(rule) = network.apply(from_friend) else { panic!() };
        let fault = network.refused(delete(group));
        assert_eq!(
            (fault.code(), fault.to_string()),
            ("DependencyViolation", format!("resource {group} has a dependent object"))
        );
        network.apply(Change::RevokeSecurityGroupRule { group: friend, rule });

        let interface = network.interface(&[group]);
        assert_eq!(network.refused(delete(group)).code(), "DependencyViolation");
        network.apply(Change::DeleteNetworkInterface { interface });
        network.apply(delete(group));
        assert_eq!(network.refused(delete(group)).code(), "InvalidGroup.NotFound");
    }

    #[test]
    fn sixty_rules_each_way_described_anew() {
        let mut network = Network::new();
        let group = network.security_group("web");
        let port = |port| Change::AuthorizeSecurityGroup {
            group,
            direction: Direction::Ingress,
            rule: Permission {
                protocol: Protocol::Tcp,
                ports: Some((port, port)),
                ..Permission::all(EVERYWHERE)
            },
        };
        let rules: Vec<_> = (0..60).map(|n| network.apply(port(n))).collect();
        assert_eq!(network.refused(port(60)).code(), "RulesPerSecurityGroupLimitExceeded");

        let v6 = Permission { protocol: Protocol::Icmpv6, ports: None, ..Permission::all(EVERYWHERE6) };
        network.apply(Change::AuthorizeSecurityGroup { group, direction: Direction::Ingress, rule: v6 });
        let member = Permission::all(Peer::Group(group));
        let both = Change::AuthorizeSecurityGroup { group, direction: Direction::Ingress, rule: member };
        assert_eq!(network.refused(both).code(), "RulesPerSecurityGroupLimitExceeded");

        let Applied::SecurityGroupRule(rule) = rules[7] else { panic!() };
        let describe = |description: Option<&str>| Change::UpdateSecurityGroupRuleDescription {
            group,
            rule,
            description: description.map(str::to_owned),
        };
        network.apply(describe(Some("seven")));
        assert_eq!(network.region.rule(rule).unwrap().description.as_deref(), Some("seven"));
        assert_eq!(network.refused(describe(Some("é"))).code(), "InvalidParameterValue");
        network.apply(describe(None));
        assert_eq!(network.region.rule(rule).unwrap().description, None);
    }
}
