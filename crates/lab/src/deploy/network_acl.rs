//! Network ACLs, their rules, and which subnet has which.

use ipnet::{IpNet, Ipv6Net};
use model::{AclEntry, Applied, Change, Direction, NetworkAclId, SubnetId};

use super::resources::{Properties, cidr};
use super::{Maker, PhysicalId};
use crate::error::{LabError, Wrong};
use crate::yaml::{Fields, Node};

const PEERS: &[&str] = &["CidrBlock", "Ipv6CidrBlock"];
const PORT_RANGE: &[&str] = &["From", "To"];
const ICMP: &[&str] = &["Code", "Type"];

impl Maker<'_> {
    pub(super) fn network_acl(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let node = properties.fields.required("VpcId")?;
        let change =
            Change::CreateNetworkAcl { vpc: node.value("the id of a VPC")?, tags: properties.tags()? };
        match self.apply(properties, &node.place, change)? {
            Applied::NetworkAcl(id) => Ok(PhysicalId::NetworkAcl(id)),
            _ => unreachable!("CreateNetworkAcl gives a network ACL"),
        }
    }

    pub(super) fn network_acl_entry(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let fields = &properties.fields;
        let acl: NetworkAclId = fields.required("NetworkAclId")?.value("the id of a network ACL")?;
        let egress = fields.optional("Egress").map_or(Ok(false), Node::boolean)?;
        let node = fields.required("RuleNumber")?;
        let number = node.value("a number from 1 to 32766")?;
        let direction = if egress { Direction::Egress } else { Direction::Ingress };
        let change = Change::CreateNetworkAclEntry { acl, direction, number, entry: entry(fields)? };
        self.apply(properties, &node.place, change)?;
        Ok(PhysicalId::NetworkAclEntry { acl, egress, number })
    }

    pub(super) fn update_network_acl_entry(
        &mut self,
        (acl, egress, number): (NetworkAclId, bool, u16),
        new: &Properties<'_>,
    ) -> Result<(), LabError> {
        let direction = if egress { Direction::Egress } else { Direction::Ingress };
        let change = Change::ReplaceNetworkAclEntry { acl, direction, number, entry: entry(&new.fields)? };
        self.apply(new, &new.resource.place, change).map(drop)
    }

    /// EC2 has no action for it but to replace the association that the subnet has.
    pub(super) fn network_acl_association(
        &mut self,
        properties: &Properties<'_>,
    ) -> Result<PhysicalId, LabError> {
        let fields = &properties.fields;
        let acl = fields.required("NetworkAclId")?.value("the id of a network ACL")?;
        let node = fields.required("SubnetId")?;
        let subnet: SubnetId = node.value("the id of a subnet")?;
        let subnet = self.cloud.region().subnets().get(&subnet).ok_or_else(|| {
            let value = subnet.to_string();
            node.error(Wrong::Value { value, expected: "the id of a subnet that exists" })
        })?;
        let association = subnet.network_acl.id;
        let change = Change::ReplaceNetworkAclAssociation { association, acl };
        match self.apply(properties, &node.place, change)? {
            Applied::NetworkAclAssociation(id) => Ok(PhysicalId::NetworkAclAssociation(id)),
            _ => unreachable!("ReplaceNetworkAclAssociation gives an association"),
        }
    }
}

fn entry(fields: &Fields<'_>) -> Result<AclEntry, LabError> {
    let cidr = match fields.one_of(PEERS)? {
        ("CidrBlock", node) => IpNet::V4(cidr(node)?),
        (_, node) => IpNet::V6(node.value::<Ipv6Net>("an IPv6 network such as 2001:db8::/32")?),
    };
    let action = fields.required("RuleAction")?;
    let allow = match action.text("`RuleAction`")? {
        "allow" => true,
        "deny" => false,
        other => {
            let value = other.to_owned();
            return Err(action.error(Wrong::Value { value, expected: "allow or deny" }));
        }
    };
    let ports = fields.optional("PortRange").map(|node| {
        let range = Fields::of(node, "`PortRange`", PORT_RANGE)?;
        Ok((range.required("From")?.value("a port")?, range.required("To")?.value("a port")?))
    });
    let icmp = fields.optional("Icmp").map(|node| {
        let icmp = Fields::of(node, "`Icmp`", ICMP)?;
        let number = |key| icmp.required(key)?.value("a number of ICMP, -1 for any");
        Ok((number("Type")?, number("Code")?))
    });
    Ok(AclEntry {
        protocol: fields.required("Protocol")?.value("a protocol's number, -1 for all")?,
        cidr,
        ports: ports.transpose()?,
        icmp: icmp.transpose()?,
        allow,
    })
}
