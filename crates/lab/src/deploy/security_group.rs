//! Security groups: one resource of a template, several changes of the region.

use model::{Applied, Change, Direction, Peer, Permission, SecurityGroupId};

use super::ipv6::cidr6;
use super::resources::{Properties, cidr};
use super::{Maker, PhysicalId};
use crate::error::LabError;
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
            None => format!("{}-{}", self.lab.name, resource.logical),
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
        for node in fields.items("SecurityGroupIngress")? {
            let rule = permission(&Fields::of(node, "an ingress rule", INGRESS)?, SOURCES)?;
            self.authorize(properties, node, group, Direction::Ingress, rule)?;
        }
        if fields.optional("SecurityGroupEgress").is_some() {
            self.revoke_default_egress(properties, group)?;
        }
        for node in fields.items("SecurityGroupEgress")? {
            let rule = permission(&Fields::of(node, "an egress rule", EGRESS)?, DESTINATIONS)?;
            self.authorize(properties, node, group, Direction::Egress, rule)?;
        }
        Ok(PhysicalId::SecurityGroup(group))
    }

    fn authorize(
        &mut self,
        properties: &Properties<'_>,
        node: &Node,
        group: SecurityGroupId,
        direction: Direction,
        rule: Permission,
    ) -> Result<(), LabError> {
        let change = Change::AuthorizeSecurityGroup { group, direction, rule };
        self.apply(properties, &node.place, change).map(|_| ())
    }

    /// A template's egress rules stand in place of the rule that lets everything out, as CloudFormation has it.
    fn revoke_default_egress(
        &mut self,
        properties: &Properties<'_>,
        group: SecurityGroupId,
    ) -> Result<(), LabError> {
        let rules =
            self.cloud.region().security_groups().get(&group).into_iter().flat_map(|group| group.rules());
        let outward: Vec<_> =
            rules.filter(|rule| rule.direction == Direction::Egress).map(|rule| rule.id).collect();
        outward.into_iter().try_for_each(|rule| {
            let change = Change::RevokeSecurityGroupRule { group, rule };
            self.apply(properties, &properties.resource.place, change).map(|_| ())
        })
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
