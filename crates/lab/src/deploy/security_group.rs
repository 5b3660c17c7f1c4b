//! Security groups: one resource of a template, several changes of the region.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use model::{Applied, Change, Direction, Peer, Permission, Protocol, SecurityGroupId, SecurityGroupRuleId};

use super::ipv6::cidr6;
use super::resources::{Properties, cidr};
use super::update::Revision;
use super::{Maker, PhysicalId};
use crate::error::{LabError, Place};
use crate::template::Resource;
use crate::yaml::{Fields, Node};

const INGRESS: &[&str] = &[
    "IpProtocol",
    "FromPort",
    "ToPort",
    "CidrIp",
    "CidrIpv6",
    "SourcePrefixListId",
    "SourceSecurityGroupId",
    "Description",
];
const EGRESS: &[&str] = &[
    "IpProtocol",
    "FromPort",
    "ToPort",
    "CidrIp",
    "CidrIpv6",
    "DestinationPrefixListId",
    "DestinationSecurityGroupId",
    "Description",
];
const SOURCES: &[&str] = &["CidrIp", "CidrIpv6", "SourcePrefixListId", "SourceSecurityGroupId"];
const DESTINATIONS: &[&str] =
    &["CidrIp", "CidrIpv6", "DestinationPrefixListId", "DestinationSecurityGroupId"];

impl Maker<'_> {
    pub(super) fn security_group(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let (resource, fields) = (properties.resource, &properties.fields);
        let name = match fields.optional("GroupName") {
            Some(node) => node.text("`GroupName`")?.to_owned(),
            None => self.free_name(resource),
        };
        let change = Change::CreateSecurityGroup {
            vpc: fields.required("VpcId")?.value("the id of a VPC")?,
            name,
            description: fields.required("GroupDescription")?.text("`GroupDescription`")?.to_owned(),
            tags: properties.tags()?,
        };
        let Applied::SecurityGroup(group) = self.apply(properties, &resource.place, change)? else {
            unreachable!("CreateSecurityGroup gives a security group")
        };
        for (node, rule) in rules(fields, "SecurityGroupIngress")? {
            self.authorize(properties, &node.place, group, Direction::Ingress, rule)?;
        }
        if fields.optional("SecurityGroupEgress").is_some() {
            self.revoke_default_egress(properties, group)?;
        }
        for (node, rule) in rules(fields, "SecurityGroupEgress")? {
            self.authorize(properties, &node.place, group, Direction::Egress, rule)?;
        }
        Ok(PhysicalId::SecurityGroup(group))
    }

    /// The rules that came and those that went. Rules of other resources, and others' rules, stay.
    pub(super) fn update_security_group(
        &mut self,
        group: SecurityGroupId,
        revision: &Revision<'_>,
    ) -> Result<(), LabError> {
        for (key, direction) in
            [("SecurityGroupIngress", Direction::Ingress), ("SecurityGroupEgress", Direction::Egress)]
        {
            if !revision.changes(key) {
                continue;
            }
            let (old, new) = (rules(&revision.old.fields, key)?, rules(&revision.new.fields, key)?);
            let egress = direction == Direction::Egress;
            let listed = |fields: &Fields<'_>| fields.optional("SecurityGroupEgress").is_some();
            if egress && !listed(&revision.old.fields) {
                self.revoke_default_egress(&revision.new, group)?;
            }
            for (node, rule) in old.iter().filter(|(_, rule)| !new.iter().any(|(_, kept)| kept == rule)) {
                self.revoke(&revision.new, &node.place, group, direction, rule)?;
            }
            for (node, rule) in new.iter().filter(|(_, rule)| !old.iter().any(|(_, kept)| kept == rule)) {
                self.authorize(&revision.new, &node.place, group, direction, rule.clone())?;
            }
            if egress && !listed(&revision.new.fields) {
                self.authorize_default_egress(&revision.new, group)?;
            }
        }
        Ok(())
    }

    /// `AWS::EC2::SecurityGroupIngress` and `AWS::EC2::SecurityGroupEgress`.
    pub(super) fn security_group_rule(
        &mut self,
        properties: &Properties<'_>,
        direction: Direction,
    ) -> Result<PhysicalId, LabError> {
        let node = properties.fields.required("GroupId")?;
        let group = node.value("the id of a security group")?;
        let rule = permission(&properties.fields, peers(direction))?;
        let change = Change::AuthorizeSecurityGroup { group, direction, rule };
        match self.apply(properties, &node.place, change)? {
            Applied::SecurityGroupRule(rule) => Ok(PhysicalId::SecurityGroupRule { group, rule }),
            _ => unreachable!("AuthorizeSecurityGroup gives a rule"),
        }
    }

    pub(super) fn update_security_group_rule(
        &mut self,
        (group, rule): (SecurityGroupId, SecurityGroupRuleId),
        new: &Properties<'_>,
    ) -> Result<(), LabError> {
        let description = new.fields.optional("Description").map(|node| node.text("`Description`"));
        let description = description.transpose()?.map(str::to_owned);
        let change = Change::UpdateSecurityGroupRuleDescription { group, rule, description };
        self.apply(new, &new.resource.place, change).map(drop)
    }

    /// The stack's and the resource's name, with a number where another group, such as the one that this is to
    /// replace, has that.
    fn free_name(&self, resource: &Resource) -> String {
        let groups = self.cloud.region().security_groups();
        let taken = |name: &str| groups.values().any(|group| group.name == name);
        let first = format!("{}-{}", self.stack, resource.logical);
        let mut numbered = (2_u32..).map(|number| format!("{first}-{number}"));
        match taken(&first) {
            true => numbered.find(|name| !taken(name)).unwrap_or(first),
            false => first,
        }
    }

    fn revoke(
        &mut self,
        properties: &Properties<'_>,
        place: &Place,
        group: SecurityGroupId,
        direction: Direction,
        rule: &Permission,
    ) -> Result<(), LabError> {
        let own = self.cloud.region().security_groups().get(&group);
        let found = own.and_then(|own| own.rule_like(direction, rule.clone()).ok().flatten());
        // Somebody else may have revoked it.
        let Some(found) = found.map(|rule| rule.id) else { return Ok(()) };
        let change = Change::RevokeSecurityGroupRule { group, rule: found };
        self.apply(properties, place, change).map(drop)
    }

    fn authorize(
        &mut self,
        properties: &Properties<'_>,
        place: &Place,
        group: SecurityGroupId,
        direction: Direction,
        rule: Permission,
    ) -> Result<(), LabError> {
        let change = Change::AuthorizeSecurityGroup { group, direction, rule };
        self.apply(properties, place, change).map(drop)
    }

    /// A template's egress rules stand in place of the rules that let everything out, as CloudFormation has it.
    fn revoke_default_egress(
        &mut self,
        properties: &Properties<'_>,
        group: SecurityGroupId,
    ) -> Result<(), LabError> {
        EVERYWHERE.into_iter().try_for_each(|peer| {
            self.revoke(properties, &properties.resource.place, group, Direction::Egress, &everything(peer))
        })
    }

    /// As EC2 makes a group: for IPv6 only where the VPC has that.
    fn authorize_default_egress(
        &mut self,
        properties: &Properties<'_>,
        group: SecurityGroupId,
    ) -> Result<(), LabError> {
        let region = self.cloud.region();
        let vpc = region.security_groups().get(&group).and_then(|group| region.vpcs().get(&group.vpc));
        let families = if vpc.is_some_and(|vpc| !vpc.ipv6.is_empty()) { 2 } else { 1 };
        EVERYWHERE.into_iter().take(families).try_for_each(|peer| {
            let place = &properties.resource.place;
            self.authorize(properties, place, group, Direction::Egress, everything(peer))
        })
    }
}

/// Every address, of IPv4 and of IPv6.
const EVERYWHERE: [Peer; 2] = [
    Peer::Cidr(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
    Peer::Cidr6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
];

fn everything(peer: Peer) -> Permission {
    Permission { protocol: Protocol::All, ports: None, peer, description: None }
}

/// The rules that a group lists under a key, each with its place.
fn rules<'n>(fields: &Fields<'n>, key: &'static str) -> Result<Vec<(&'n Node, Permission)>, LabError> {
    let read = |node: &'n Node| {
        let (what, known, peers) = match key {
            "SecurityGroupIngress" => ("an ingress rule", INGRESS, SOURCES),
            _ => ("an egress rule", EGRESS, DESTINATIONS),
        };
        Ok((node, permission(&Fields::of(node, what, known)?, peers)?))
    };
    fields.items(key)?.iter().map(read).collect()
}

fn peers(direction: Direction) -> &'static [&'static str] {
    match direction {
        Direction::Ingress => SOURCES,
        Direction::Egress => DESTINATIONS,
    }
}

/// One rule; `peers` are the properties of which one says who the peer is.
fn permission(fields: &Fields<'_>, peers: &'static [&'static str]) -> Result<Permission, LabError> {
    let peer = match fields.one_of(peers)? {
        ("CidrIp", node) => Peer::Cidr(cidr(node)?),
        ("CidrIpv6", node) => Peer::Cidr6(cidr6(node)?),
        ("SourcePrefixListId" | "DestinationPrefixListId", node) => {
            Peer::PrefixList(node.value("the id of a prefix list")?)
        }
        (_, node) => Peer::Group(node.value("the id of a security group")?),
    };
    let ports = match (fields.optional("FromPort"), fields.optional("ToPort")) {
        (None, None) => None,
        _ => {
            let port = |key| fields.required(key)?.value::<i32>("a port, or a type or code of ICMP");
            Some((port("FromPort")?, port("ToPort")?))
        }
    };
    let description = fields.optional("Description");
    Ok(Permission {
        protocol: fields
            .required("IpProtocol")?
            .value("a protocol: tcp, udp, icmp, icmpv6, -1 or a number")?,
        ports,
        peer,
        description: description.map(|node| node.text("`Description`").map(str::to_owned)).transpose()?,
    })
}
