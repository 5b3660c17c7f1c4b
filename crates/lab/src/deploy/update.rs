//! Changing what resources have become, where EC2 can: else they are made anew.

use model::{
    AllocationId, Applied, AssociationId, Change, RouteTableAssociationId, SubnetId, SubnetIpv6Attribute,
    TaggedResource, VpcAttribute, VpcId,
};

use super::ipv6::cidr6;
use super::resources::{Properties, route_target};
use super::{Maker, PhysicalId};
use crate::error::LabError;
use crate::template::ResourceType;
use crate::yaml::{Fields, Node};

/// A resource's properties before and from now on.
pub(super) struct Revision<'r> {
    pub(super) old: Properties<'r>,
    pub(super) new: Properties<'r>,
    /// The properties that differ.
    pub(super) changed: Vec<String>,
}

impl Revision<'_> {
    /// Whether this property differs.
    pub(super) fn changes(&self, key: &str) -> bool {
        self.changed.iter().any(|changed| changed == key)
    }

    /// Whether all that differs can be changed.
    pub(super) fn possible(&self) -> bool {
        let can = updatable(self.new.resource.kind);
        self.changed.iter().all(|key| can.contains(&key.as_str())) && self.stays_possible()
    }

    /// EC2 gives what is launched or made without groups those of its VPC, but takes no empty list of them later; and
    /// a NAT gateway's secondary addresses belong together.
    fn stays_possible(&self) -> bool {
        let lacks = |key| self.changes(key) && self.new.fields.optional(key).is_none();
        match self.new.resource.kind {
            ResourceType::Instance => !lacks("SecurityGroupIds"),
            ResourceType::NetworkInterface => !lacks("GroupSet"),
            ResourceType::NatGateway => {
                let own = |fields: &Fields<'_>| {
                    fields.optional("SecondaryPrivateIpAddresses").is_some()
                        || fields.optional("SecondaryPrivateIpAddressCount").is_some()
                };
                !self.changes("SecondaryAllocationIds") || !own(&self.new.fields)
            }
            _ => true,
        }
    }
}

/// The properties that EC2 can change of a resource that stands.
fn updatable(kind: ResourceType) -> &'static [&'static str] {
    match kind {
        ResourceType::Eip => &["InstanceId", "Tags"],
        ResourceType::EipAssociation => {
            &["AllocationId", "InstanceId", "NetworkInterfaceId", "PrivateIpAddress"]
        }
        ResourceType::Instance => {
            &["DisableApiTermination", "MetadataOptions", "SecurityGroupIds", "SourceDestCheck", "Tags"]
        }
        ResourceType::Route => &[
            "GatewayId",
            "InstanceId",
            "NetworkInterfaceId",
            "EgressOnlyInternetGatewayId",
            "NatGatewayId",
            "VpcPeeringConnectionId",
        ],
        ResourceType::SecurityGroup => &["SecurityGroupIngress", "SecurityGroupEgress", "Tags"],
        ResourceType::Subnet => {
            &["MapPublicIpOnLaunch", "Ipv6CidrBlock", "AssignIpv6AddressOnCreation", "EnableDns64", "Tags"]
        }
        ResourceType::Vpc => &["EnableDnsSupport", "EnableDnsHostnames", "InstanceTenancy", "Tags"],
        ResourceType::SubnetRouteTableAssociation | ResourceType::GatewayRouteTableAssociation => {
            &["RouteTableId"]
        }
        ResourceType::NatGateway => &["MaxDrainDurationSeconds", "SecondaryAllocationIds", "Tags"],
        ResourceType::NetworkAclEntry => {
            &["CidrBlock", "Icmp", "Ipv6CidrBlock", "PortRange", "Protocol", "RuleAction"]
        }
        ResourceType::PrefixList => &["PrefixListName", "MaxEntries", "Entries", "Tags"],
        ResourceType::NetworkInterface => &["Description", "GroupSet", "SourceDestCheck", "Tags"],
        ResourceType::NetworkInterfaceAttachment => &["DeleteOnTermination"],
        ResourceType::SecurityGroupIngress | ResourceType::SecurityGroupEgress => &["Description"],
        ResourceType::VpcDhcpOptionsAssociation => &["DhcpOptionsId"],
        ResourceType::DhcpOptions
        | ResourceType::EgressOnlyInternetGateway
        | ResourceType::FlowLog
        | ResourceType::InternetGateway
        | ResourceType::KeyPair
        | ResourceType::NetworkAcl
        | ResourceType::RouteTable
        | ResourceType::VpcPeeringConnection => &["Tags"],
        ResourceType::SubnetCidrBlock
        | ResourceType::SubnetNetworkAclAssociation
        | ResourceType::VpcCidrBlock
        | ResourceType::VpcGatewayAttachment => &[],
    }
}

impl Maker<'_> {
    /// Changes what differs. Some associations get a new id by that.
    pub(super) fn update(
        &mut self,
        physical: &PhysicalId,
        revision: &Revision<'_>,
    ) -> Result<PhysicalId, LabError> {
        if revision.changes("Tags")
            && let Some(resource) = tagged(physical)
        {
            self.retag(resource, revision)?;
        }
        match physical {
            PhysicalId::Vpc(id) => self.update_vpc(*id, revision)?,
            PhysicalId::Subnet(id) => self.update_subnet(*id, revision)?,
            PhysicalId::SecurityGroup(id) => self.update_security_group(*id, revision)?,
            PhysicalId::SecurityGroupRule { group, rule } => {
                self.update_security_group_rule((*group, *rule), &revision.new)?;
            }
            PhysicalId::Instance(id) => self.update_instance(*id, revision)?,
            PhysicalId::Interface(id) => self.update_network_interface(*id, revision)?,
            PhysicalId::InterfaceAttachment(id) => self.delete_on_termination(*id, &revision.new)?,
            PhysicalId::NatGateway(id) => self.update_nat_gateway(*id, revision)?,
            PhysicalId::NetworkAclEntry { acl, egress, number } => {
                self.update_network_acl_entry((*acl, *egress, *number), &revision.new)?;
            }
            PhysicalId::PrefixList(id) => self.update_prefix_list(*id, revision)?,
            PhysicalId::Route { table, destination } => {
                let (target, node) = route_target(&revision.new.fields)?;
                let change = Change::ReplaceRoute { table: *table, destination: *destination, target };
                self.apply(&revision.new, &node.place, change)?;
            }
            PhysicalId::DhcpOptionsAssociation { .. } => return self.dhcp_options_association(&revision.new),
            PhysicalId::Address { allocation, .. } => self.update_address(*allocation, revision)?,
            PhysicalId::AddressAssociation(id) => return self.update_address_association(*id, revision),
            PhysicalId::RouteTableAssociation(id) => {
                return self.update_route_table_association(*id, revision);
            }
            _ => {}
        }
        Ok(physical.clone())
    }

    fn retag(&mut self, resource: TaggedResource, revision: &Revision<'_>) -> Result<(), LabError> {
        let (old, new) = (revision.old.tags()?, revision.new.tags()?);
        let place = &revision.new.resource.place;
        let gone = old.keys().filter(|key| !new.contains_key(*key));
        let gone: std::collections::BTreeMap<_, _> = gone.map(|key| (key.clone(), None)).collect();
        if !gone.is_empty() {
            let change = Change::DeleteTags { resources: vec![resource], tags: gone };
            self.apply(&revision.new, place, change)?;
        }
        if !new.is_empty() {
            let change = Change::CreateTags { resources: vec![resource], tags: new };
            self.apply(&revision.new, place, change)?;
        }
        Ok(())
    }

    /// Names can be turned on only where there is a resolver, so that comes first if it is turned on, else last.
    fn update_vpc(&mut self, vpc: VpcId, revision: &Revision<'_>) -> Result<(), LabError> {
        let fields = &revision.new.fields;
        let support = fields.optional("EnableDnsSupport").map_or(Ok(true), Node::boolean)?;
        let hostnames = fields.optional("EnableDnsHostnames").map_or(Ok(false), Node::boolean)?;
        let mut attributes = vec![];
        if revision.changes("EnableDnsSupport") {
            attributes.push(VpcAttribute::EnableDnsSupport(support));
        }
        if revision.changes("EnableDnsHostnames") {
            attributes.push(VpcAttribute::EnableDnsHostnames(hostnames));
        }
        if !support {
            attributes.reverse();
        }
        for attribute in attributes {
            let change = Change::ModifyVpcAttribute { vpc, attribute };
            self.apply(&revision.new, &revision.new.resource.place, change)?;
        }
        Ok(())
    }

    fn update_subnet(&mut self, subnet: SubnetId, revision: &Revision<'_>) -> Result<(), LabError> {
        let (fields, place) = (&revision.new.fields, &revision.new.resource.place);
        let truth = |key| fields.optional(key).map_or(Ok(false), Node::boolean);
        if revision.changes("MapPublicIpOnLaunch") {
            let map_public_ip_on_launch = truth("MapPublicIpOnLaunch")?;
            let change = Change::ModifySubnetAttribute { subnet, map_public_ip_on_launch };
            self.apply(&revision.new, place, change)?;
        }
        if revision.changes("Ipv6CidrBlock") {
            let own = self.cloud.region().subnets().get(&subnet).and_then(|subnet| subnet.ipv6);
            if let Some(block) = own {
                let change = Change::DisassociateSubnetCidrBlock { association: block.association };
                self.apply(&revision.new, place, change)?;
            }
            if let Some(node) = fields.optional("Ipv6CidrBlock") {
                let change = Change::AssociateSubnetCidrBlock { subnet, cidr: cidr6(node)? };
                self.apply(&revision.new, &node.place, change)?;
            }
        }
        for (key, attribute) in [
            ("AssignIpv6AddressOnCreation", SubnetIpv6Attribute::AssignAddressOnCreation as fn(bool) -> _),
            ("EnableDns64", SubnetIpv6Attribute::EnableDns64),
        ] {
            if revision.changes(key) {
                let attribute = attribute(truth(key)?);
                let change = Change::ModifySubnetIpv6Attribute { subnet, attribute };
                self.apply(&revision.new, place, change)?;
            }
        }
        Ok(())
    }

    fn update_address(&mut self, allocation: AllocationId, revision: &Revision<'_>) -> Result<(), LabError> {
        if !revision.changes("InstanceId") {
            return Ok(());
        }
        let change = match revision.new.fields.optional("InstanceId") {
            Some(node) => {
                let interface = self.primary_interface(&revision.new, node)?;
                Change::ReassociateAddress { allocation, interface, private_ip: None }
            }
            None => {
                let address = self.cloud.region().addresses().get(&allocation);
                let association = address.and_then(|address| address.association.as_ref());
                let Some(association) = association.map(|own| own.id) else { return Ok(()) };
                Change::DisassociateAddress { association }
            }
        };
        self.apply(&revision.new, &revision.new.resource.place, change).map(drop)
    }

    /// What the address, or the private address, was mapped to before is not any more.
    fn update_address_association(
        &mut self,
        association: AssociationId,
        revision: &Revision<'_>,
    ) -> Result<PhysicalId, LabError> {
        let (allocation, interface, private_ip, node) = self.address_target(&revision.new)?;
        let change = Change::ReassociateAddress { allocation, interface, private_ip };
        let new = self.create(&revision.new, &node.place, change)?;
        let mut addresses = self.cloud.region().addresses().values();
        let stays = addresses.any(|own| own.association.as_ref().is_some_and(|own| own.id == association));
        if stays && new != PhysicalId::AddressAssociation(association) {
            let change = Change::DisassociateAddress { association };
            self.apply(&revision.new, &node.place, change)?;
        }
        Ok(new)
    }

    fn update_route_table_association(
        &mut self,
        association: RouteTableAssociationId,
        revision: &Revision<'_>,
    ) -> Result<PhysicalId, LabError> {
        let node = revision.new.fields.required("RouteTableId")?;
        let table = node.value("the id of a route table")?;
        let change = Change::ReplaceRouteTableAssociation { association, table };
        match self.apply(&revision.new, &node.place, change)? {
            Applied::RouteTableAssociation(id) => Ok(PhysicalId::RouteTableAssociation(id)),
            _ => unreachable!("ReplaceRouteTableAssociation gives an association"),
        }
    }
}

/// What can have tags.
fn tagged(physical: &PhysicalId) -> Option<TaggedResource> {
    Some(match physical {
        PhysicalId::Address { allocation, .. } => TaggedResource::Address(*allocation),
        PhysicalId::DhcpOptions(id) => TaggedResource::DhcpOptions(*id),
        PhysicalId::EgressOnlyInternetGateway(id) => TaggedResource::EgressOnlyInternetGateway(*id),
        PhysicalId::FlowLog(id) => TaggedResource::FlowLog(*id),
        PhysicalId::Instance(id) => TaggedResource::Instance(*id),
        PhysicalId::Interface(id) => TaggedResource::Interface(*id),
        PhysicalId::InternetGateway(id) => TaggedResource::InternetGateway(*id),
        PhysicalId::KeyPair { id, .. } => TaggedResource::KeyPair(*id),
        PhysicalId::NatGateway(id) => TaggedResource::NatGateway(*id),
        PhysicalId::NetworkAcl(id) => TaggedResource::NetworkAcl(*id),
        PhysicalId::PrefixList(id) => TaggedResource::PrefixList(*id),
        PhysicalId::RouteTable(id) => TaggedResource::RouteTable(*id),
        PhysicalId::SecurityGroup(id) => TaggedResource::SecurityGroup(*id),
        PhysicalId::Subnet(id) => TaggedResource::Subnet(*id),
        PhysicalId::Vpc(id) => TaggedResource::Vpc(*id),
        PhysicalId::VpcPeeringConnection(id) => TaggedResource::VpcPeeringConnection(*id),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row a type: its properties, those that can be changed in italics, and its attributes.
    fn table() -> String {
        let mut rows: Vec<_> = ResourceType::ALL.into_iter().map(row).collect();
        rows.sort();
        format!("| Type | Properties | `Fn::GetAtt` |\n| --- | --- | --- |\n{}", rows.concat())
    }

    fn row(kind: ResourceType) -> String {
        let can = updatable(kind);
        let shown = |key: &&str| if can.contains(key) { format!("*{key}*") } else { (*key).to_owned() };
        let properties: Vec<_> = kind.properties().iter().map(shown).collect();
        let name = kind.name().trim_start_matches("AWS::EC2::");
        format!("| `{name}` | {} | {} |\n", properties.join(", "), kind.attributes().join(", "))
    }

    #[test]
    fn what_can_be_changed_is_a_property() {
        for kind in ResourceType::ALL {
            for key in updatable(kind) {
                assert!(kind.properties().contains(key), "{} has no {key}", kind.name());
            }
        }
    }

    #[test]
    fn the_page_lists_what_there_is() {
        let page = include_str!("../../../../docs/templates.md");
        let table = table();
        assert!(page.contains(&table), "docs/templates.md must have this table:\n{table}");
    }
}
