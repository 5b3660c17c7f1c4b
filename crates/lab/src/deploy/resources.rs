//! From each resource's properties to changes of the region. One method a resource type.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use model::{
    AllocationId, Applied, Change, Destination, Direction, InstanceId, InterfaceId, RouteVia, Tags,
    VpcAttribute,
};

use super::ipv6::cidr6;
use super::{Maker, PhysicalId};
use crate::error::{LabError, Place, TemplateFault, Wrong};
use crate::template::{Resource, ResourceType};
use crate::yaml::{Fields, Node};

const ROUTE_TARGETS: &[&str] = &[
    "GatewayId",
    "InstanceId",
    "NetworkInterfaceId",
    "EgressOnlyInternetGatewayId",
    "NatGatewayId",
    "VpcPeeringConnectionId",
];
const ROUTE_DESTINATIONS: &[&str] =
    &["DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId"];
const ADDRESS_TARGETS: &[&str] = &["InstanceId", "NetworkInterfaceId"];

/// A resource with its properties resolved.
pub(super) struct Properties<'r> {
    pub(super) resource: &'r Resource,
    pub(super) fields: Fields<'r>,
}

impl Properties<'_> {
    pub(super) fn tags(&self) -> Result<Tags, LabError> {
        let mut tags = Tags::new();
        for node in self.fields.items("Tags")? {
            let tag = Fields::of(node, "a tag", &["Key", "Value"])?;
            let key = tag.required("Key")?.text("`Key`")?.to_owned();
            let value = tag.required("Value")?.text("`Value`")?.to_owned();
            if tags.contains_key(&key) {
                let first = self.fields.required("Tags")?.place.line;
                return Err(node.error(Wrong::DuplicateKey { key, first }));
            }
            tags.insert(key, value);
        }
        Ok(tags)
    }

    pub(super) fn optional_address(&self, key: &'static str) -> Result<Option<Ipv4Addr>, LabError> {
        self.fields.optional(key).map(Node::ipv4).transpose()
    }
}

impl Maker<'_> {
    /// Makes one resource of its resolved properties.
    pub(super) fn make(&mut self, resource: &Resource, node: &Node) -> Result<PhysicalId, LabError> {
        let what = format!("{} `{}`", resource.kind.name(), resource.logical);
        let fields = Fields::of(node, what, resource.kind.properties())?;
        let properties = Properties { resource, fields };
        match resource.kind {
            ResourceType::Eip => self.eip(&properties),
            ResourceType::EipAssociation => self.eip_association(&properties),
            ResourceType::Instance => self.instance(&properties),
            ResourceType::InternetGateway => self.internet_gateway(&properties),
            ResourceType::Route => self.route(&properties),
            ResourceType::RouteTable => self.route_table(&properties),
            ResourceType::SecurityGroup => self.security_group(&properties),
            ResourceType::Subnet => self.subnet(&properties),
            ResourceType::SubnetRouteTableAssociation => self.route_table_association(&properties),
            ResourceType::Vpc => self.vpc(&properties),
            ResourceType::VpcGatewayAttachment => self.gateway_attachment(&properties),
            ResourceType::NatGateway => self.nat_gateway(&properties),
            ResourceType::NetworkAcl => self.network_acl(&properties),
            ResourceType::NetworkAclEntry => self.network_acl_entry(&properties),
            ResourceType::SubnetNetworkAclAssociation => self.network_acl_association(&properties),
            ResourceType::VpcPeeringConnection => self.peering(&properties),
            ResourceType::EgressOnlyInternetGateway => self.egress_only_internet_gateway(&properties),
            ResourceType::GatewayRouteTableAssociation => self.gateway_route_table(&properties),
            ResourceType::PrefixList => self.prefix_list(&properties),
            ResourceType::SubnetCidrBlock => self.subnet_cidr_block(&properties),
            ResourceType::VpcCidrBlock => self.vpc_cidr_block(&properties),
            ResourceType::DhcpOptions => self.dhcp_options(&properties),
            ResourceType::VpcDhcpOptionsAssociation => self.dhcp_options_association(&properties),
            ResourceType::KeyPair => self.key_pair(&properties),
            ResourceType::NetworkInterface => self.network_interface(&properties),
            ResourceType::NetworkInterfaceAttachment => self.interface_attachment(&properties),
            ResourceType::SecurityGroupEgress => self.security_group_rule(&properties, Direction::Egress),
            ResourceType::SecurityGroupIngress => self.security_group_rule(&properties, Direction::Ingress),
            ResourceType::FlowLog => self.flow_log(&properties),
        }
    }

    /// Applies a change. A refusal is the resource's, at `place`: the property that it is most likely about.
    pub(super) fn apply(
        &mut self,
        properties: &Properties<'_>,
        place: &Place,
        change: Change,
    ) -> Result<Applied, LabError> {
        self.cloud.apply(change).map_err(|fault| {
            let logical = properties.resource.logical.clone();
            place.error(TemplateFault::Refused { logical, code: fault.code(), message: fault.to_string() })
        })
    }

    /// Applies a change that makes something with an id.
    pub(super) fn create(
        &mut self,
        properties: &Properties<'_>,
        place: &Place,
        change: Change,
    ) -> Result<PhysicalId, LabError> {
        Ok(match self.apply(properties, place, change)? {
            Applied::Vpc(id) => PhysicalId::Vpc(id),
            Applied::Subnet(id) => PhysicalId::Subnet(id),
            Applied::InternetGateway(id) => PhysicalId::InternetGateway(id),
            Applied::RouteTable(id) => PhysicalId::RouteTable(id),
            Applied::RouteTableAssociation(id) => PhysicalId::RouteTableAssociation(id),
            Applied::SecurityGroup(id) => PhysicalId::SecurityGroup(id),
            Applied::AddressAssociation(id) => PhysicalId::AddressAssociation(id),
            Applied::EgressOnlyInternetGateway(id) => PhysicalId::EgressOnlyInternetGateway(id),
            Applied::PrefixList(id) => PhysicalId::PrefixList(id),
            Applied::SubnetCidrAssociation(id) => PhysicalId::SubnetCidrAssociation(id),
            Applied::VpcCidrAssociation(id) => PhysicalId::VpcCidrAssociation(id),
            applied => {
                unreachable!("none of the changes given here gives {applied:?}")
            }
        })
    }

    fn vpc(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let node = properties.fields.required("CidrBlock")?;
        if let Some(tenancy) = properties.fields.optional("InstanceTenancy")
            && tenancy.text("`InstanceTenancy`")? != "default"
        {
            let (property, value) = ("InstanceTenancy", tenancy.text("`InstanceTenancy`")?.to_owned());
            return Err(tenancy.error(TemplateFault::PropertyValue {
                property,
                value,
                why: "only default is",
            }));
        }
        let change = Change::CreateVpc { cidr: cidr(node)?, tags: properties.tags()? };
        let made = self.create(properties, &node.place, change)?;
        if let PhysicalId::Vpc(vpc) = made {
            let attributes = [
                ("EnableDnsSupport", VpcAttribute::EnableDnsSupport as fn(bool) -> _),
                ("EnableDnsHostnames", VpcAttribute::EnableDnsHostnames),
            ];
            for (name, attribute) in attributes {
                if let Some(node) = properties.fields.optional(name) {
                    let change = Change::ModifyVpcAttribute { vpc, attribute: attribute(node.boolean()?) };
                    self.apply(properties, &node.place, change)?;
                }
            }
        }
        Ok(made)
    }

    fn subnet(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let fields = &properties.fields;
        let node = fields.required("CidrBlock")?;
        let zone = fields.optional("AvailabilityZone");
        let zone = zone.map(|zone| zone.text("`AvailabilityZone`").map(str::to_owned)).transpose()?;
        let change = Change::CreateSubnet {
            vpc: fields.required("VpcId")?.value("the id of a VPC")?,
            cidr: cidr(node)?,
            availability_zone: zone,
            tags: properties.tags()?,
        };
        let made = self.create(properties, &node.place, change)?;
        if let PhysicalId::Subnet(subnet) = made {
            if let Some(node) = fields.optional("MapPublicIpOnLaunch") {
                let map_public_ip_on_launch = node.boolean()?;
                let change = Change::ModifySubnetAttribute { subnet, map_public_ip_on_launch };
                self.apply(properties, &node.place, change)?;
            }
            self.subnet_ipv6(properties, subnet)?;
        }
        Ok(made)
    }

    fn internet_gateway(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let change = Change::CreateInternetGateway { tags: properties.tags()? };
        self.create(properties, &properties.resource.place, change)
    }

    fn gateway_attachment(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let fields = &properties.fields;
        let gateway = fields.required("InternetGatewayId")?;
        let vpc = fields.required("VpcId")?.value("the id of a VPC")?;
        let igw = gateway.value("the id of an internet gateway")?;
        self.apply(properties, &gateway.place, Change::AttachInternetGateway { igw, vpc })?;
        Ok(PhysicalId::GatewayAttachment(vpc))
    }

    fn route_table(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let node = properties.fields.required("VpcId")?;
        let change =
            Change::CreateRouteTable { vpc: node.value("the id of a VPC")?, tags: properties.tags()? };
        self.create(properties, &node.place, change)
    }

    fn route_table_association(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let node = properties.fields.required("SubnetId")?;
        let table = properties.fields.required("RouteTableId")?.value("the id of a route table")?;
        let change = Change::AssociateRouteTable { table, subnet: node.value("the id of a subnet")? };
        self.create(properties, &node.place, change)
    }

    fn route(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let fields = &properties.fields;
        let table = fields.required("RouteTableId")?.value("the id of a route table")?;
        let (destination, node) = match fields.one_of(ROUTE_DESTINATIONS)? {
            ("DestinationCidrBlock", node) => (cidr(node)?.trunc().into(), node),
            ("DestinationIpv6CidrBlock", node) => (cidr6(node)?.trunc().into(), node),
            (_, node) => (Destination::PrefixList(node.value("the id of a prefix list")?), node),
        };
        let (target, _) = route_target(fields)?;
        self.apply(properties, &node.place, Change::CreateRoute { table, destination, target })?;
        Ok(PhysicalId::Route { table, destination })
    }

    fn eip(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let fields = &properties.fields;
        if let Some(node) = fields.optional("Domain")
            && node.text("`Domain`")? != "vpc"
        {
            let (property, value) = ("Domain", node.text("`Domain`")?.to_owned());
            return Err(node.error(TemplateFault::PropertyValue { property, value, why: "only vpc is" }));
        }
        let public_ip = self.elastic_ip(properties.resource)?;
        let place = &properties.resource.place;
        let change = Change::AllocateAddress { public_ip, tags: properties.tags()? };
        let Applied::Address(allocation) = self.apply(properties, place, change)? else {
            unreachable!("AllocateAddress gives an address")
        };
        if let Some(node) = fields.optional("InstanceId") {
            let interface = self.primary_interface(properties, node)?;
            let change = Change::AssociateAddress { allocation, interface, private_ip: None };
            self.apply(properties, &node.place, change)?;
        }
        Ok(PhysicalId::Address { allocation, public_ip })
    }

    fn eip_association(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let (allocation, interface, private_ip, node) = self.address_target(properties)?;
        let change = Change::AssociateAddress { allocation, interface, private_ip };
        self.create(properties, &node.place, change)
    }

    /// Which Elastic IP is to be mapped to which private address, and where that is said.
    pub(super) fn address_target<'n>(
        &self,
        properties: &Properties<'n>,
    ) -> Result<(AllocationId, InterfaceId, Option<Ipv4Addr>, &'n Node), LabError> {
        let fields = &properties.fields;
        let (interface, node) = match fields.one_of(ADDRESS_TARGETS)? {
            ("InstanceId", node) => (self.primary_interface(properties, node)?, node),
            (_, node) => (node.value::<InterfaceId>("the id of a network interface")?, node),
        };
        let allocation = fields.required("AllocationId")?.value("the allocation id of an Elastic IP")?;
        Ok((allocation, interface, properties.optional_address("PrivateIpAddress")?, node))
    }

    /// The interface that an instance has from its launch.
    pub(super) fn primary_interface(
        &self,
        properties: &Properties<'_>,
        node: &Node,
    ) -> Result<InterfaceId, LabError> {
        let id: InstanceId = node.value("the id of an instance")?;
        let instance = self.cloud.region().instances().get(&id);
        instance.and_then(|instance| instance.interfaces.first().copied()).ok_or_else(|| {
            let fault = model::Fault::InstanceNotFound(id);
            let (logical, code) = (properties.resource.logical.clone(), fault.code());
            node.error(TemplateFault::Refused { logical, code, message: fault.to_string() })
        })
    }
}

/// What a route leads to, and where that is said.
pub(super) fn route_target<'n>(fields: &Fields<'n>) -> Result<(RouteVia, &'n Node), LabError> {
    let (key, node) = fields.one_of(ROUTE_TARGETS)?;
    let target = match key {
        "GatewayId" => RouteVia::InternetGateway(node.value("the id of an internet gateway")?),
        "EgressOnlyInternetGatewayId" => {
            RouteVia::EgressOnlyInternetGateway(node.value("the id of an egress-only internet gateway")?)
        }
        "InstanceId" => RouteVia::Instance(node.value("the id of an instance")?),
        "NatGatewayId" => RouteVia::NatGateway(node.value("the id of a NAT gateway")?),
        "VpcPeeringConnectionId" => RouteVia::Peering(node.value("the id of a VPC peering connection")?),
        _ => RouteVia::Interface(node.value("the id of a network interface")?),
    };
    Ok((target, node))
}

/// A network as EC2 takes it: it clears the host bits itself.
pub(super) fn cidr(node: &Node) -> Result<Ipv4Net, LabError> {
    node.value("an IPv4 network such as 10.0.0.0/16")
}
