//! What a resource has become, and what `Ref` and `Fn::GetAtt` give of it.

use std::net::Ipv4Addr;

use model::{
    AllocationId, AssociationId, AttachmentId, Destination, DhcpOptionsId, EgressOnlyInternetGatewayId,
    FlowLogId, InstanceId, InterfaceId, InternetGatewayId, KeyPairId, NatGatewayId, NetworkAclAssociationId,
    NetworkAclId, PrefixListId, Region, RouteTableAssociationId, RouteTableId, SecurityGroupId,
    SecurityGroupRuleId, SubnetCidrAssociationId, SubnetId, VpcCidrAssociationId, VpcId,
    VpcPeeringConnectionId,
};
use serde::{Deserialize, Serialize};

/// A resource's physical id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PhysicalId {
    /// `AWS::EC2::EIP`
    Address {
        /// Its allocation.
        allocation: AllocationId,
        /// The address.
        public_ip: Ipv4Addr,
    },
    /// `AWS::EC2::EIPAssociation`
    AddressAssociation(AssociationId),
    /// `AWS::EC2::Instance`
    Instance(InstanceId),
    /// `AWS::EC2::InternetGateway`
    InternetGateway(InternetGatewayId),
    /// `AWS::EC2::Route`: EC2 has no id for a route.
    Route {
        /// Its table.
        table: RouteTableId,
        /// Its destination.
        destination: Destination,
    },
    /// `AWS::EC2::RouteTable`
    RouteTable(RouteTableId),
    /// `AWS::EC2::SecurityGroup`
    SecurityGroup(SecurityGroupId),
    /// `AWS::EC2::Subnet`
    Subnet(SubnetId),
    /// `AWS::EC2::SubnetRouteTableAssociation` or `AWS::EC2::GatewayRouteTableAssociation`
    RouteTableAssociation(RouteTableAssociationId),
    /// `AWS::EC2::VPC`
    Vpc(VpcId),
    /// `AWS::EC2::VPCGatewayAttachment`: EC2 has no id for it.
    GatewayAttachment(VpcId),
    /// `AWS::EC2::NatGateway`
    NatGateway(NatGatewayId),
    /// `AWS::EC2::NetworkAcl`
    NetworkAcl(NetworkAclId),
    /// `AWS::EC2::NetworkAclEntry`: EC2 has no id for it.
    NetworkAclEntry {
        /// Its network ACL.
        acl: NetworkAclId,
        /// Whether it is about packets from the subnet.
        egress: bool,
        /// Its number.
        number: u16,
    },
    /// `AWS::EC2::SubnetNetworkAclAssociation`
    NetworkAclAssociation(NetworkAclAssociationId),
    /// `AWS::EC2::VPCPeeringConnection`
    VpcPeeringConnection(VpcPeeringConnectionId),
    /// `AWS::EC2::EgressOnlyInternetGateway`
    EgressOnlyInternetGateway(EgressOnlyInternetGatewayId),
    /// `AWS::EC2::PrefixList`
    PrefixList(PrefixListId),
    /// `AWS::EC2::SubnetCidrBlock`
    SubnetCidrAssociation(SubnetCidrAssociationId),
    /// `AWS::EC2::VPCCidrBlock`
    VpcCidrAssociation(VpcCidrAssociationId),
    /// `AWS::EC2::NetworkInterface`
    Interface(InterfaceId),
    /// `AWS::EC2::NetworkInterfaceAttachment`
    InterfaceAttachment(AttachmentId),
    /// `AWS::EC2::SecurityGroupIngress` or `AWS::EC2::SecurityGroupEgress`
    SecurityGroupRule {
        /// Its group.
        group: SecurityGroupId,
        /// Its id.
        rule: SecurityGroupRuleId,
    },
    /// `AWS::EC2::DHCPOptions`
    DhcpOptions(DhcpOptionsId),
    /// `AWS::EC2::VPCDHCPOptionsAssociation`: EC2 has no id for it.
    DhcpOptionsAssociation {
        /// The option set, if not none.
        options: Option<DhcpOptionsId>,
        /// The VPC.
        vpc: VpcId,
    },
    /// `AWS::EC2::KeyPair`
    KeyPair {
        /// Its id.
        id: KeyPairId,
        /// Its name.
        name: String,
    },
    /// `AWS::EC2::FlowLog`
    FlowLog(FlowLogId),
}

impl PhysicalId {
    /// What `Ref` gives, as each type's page in the CloudFormation template reference has it.
    pub fn reference(&self) -> String {
        match self {
            Self::Address { public_ip, .. } => public_ip.to_string(),
            Self::AddressAssociation(id) => id.to_string(),
            Self::Instance(id) => id.to_string(),
            Self::InternetGateway(id) => id.to_string(),
            Self::Route { table, destination } => format!("{table}|{destination}"),
            Self::RouteTable(id) => id.to_string(),
            Self::SecurityGroup(id) => id.to_string(),
            Self::Subnet(id) => id.to_string(),
            Self::RouteTableAssociation(id) => id.to_string(),
            Self::Vpc(id) => id.to_string(),
            Self::GatewayAttachment(vpc) => format!("IGW|{vpc}"),
            Self::NatGateway(id) => id.to_string(),
            Self::NetworkAcl(id) => id.to_string(),
            Self::NetworkAclEntry { acl, egress, number } => format!("{acl}|{egress}|{number}"),
            Self::NetworkAclAssociation(id) => id.to_string(),
            Self::VpcPeeringConnection(id) => id.to_string(),
            Self::EgressOnlyInternetGateway(id) => id.to_string(),
            Self::PrefixList(id) => id.to_string(),
            Self::SubnetCidrAssociation(id) => id.to_string(),
            Self::VpcCidrAssociation(id) => id.to_string(),
            Self::Interface(id) => id.to_string(),
            Self::InterfaceAttachment(id) => id.to_string(),
            Self::SecurityGroupRule { rule, .. } => rule.to_string(),
            Self::DhcpOptions(id) => id.to_string(),
            Self::DhcpOptionsAssociation { options: Some(options), vpc } => format!("{options}|{vpc}"),
            Self::DhcpOptionsAssociation { options: None, vpc } => format!("default|{vpc}"),
            Self::KeyPair { name, .. } => name.clone(),
            Self::FlowLog(id) => id.to_string(),
        }
    }

    /// What `Fn::GetAtt` gives, items of a list with commas between; `None` if the attribute has no value now.
    pub(super) fn attribute(&self, region: &Region, attribute: &str) -> Option<String> {
        match (self, attribute) {
            (Self::Address { allocation, .. }, "AllocationId") => Some(allocation.to_string()),
            (Self::Instance(id), _) => instance_attribute(*id, region, attribute),
            (Self::Route { destination, .. }, "CidrBlock") => Some(destination.to_string()),
            (Self::SecurityGroup(id), "VpcId") => Some(region.security_groups().get(id)?.vpc.to_string()),
            (Self::Subnet(id), _) if attribute != "SubnetId" => {
                let subnet = region.subnets().get(id)?;
                match attribute {
                    "AvailabilityZone" => Some(subnet.availability_zone.clone()),
                    "CidrBlock" => Some(subnet.cidr.to_string()),
                    "VpcId" => Some(subnet.vpc.to_string()),
                    "Ipv6CidrBlocks" => subnet.ipv6.map(|block| block.cidr.to_string()),
                    _ => None,
                }
            }
            (Self::Vpc(id), "CidrBlock") => Some(region.vpcs().get(id)?.cidr.to_string()),
            (Self::Vpc(id), "Ipv6CidrBlocks") => {
                let blocks: Vec<_> =
                    region.vpcs().get(id)?.ipv6.iter().map(|block| block.cidr.to_string()).collect();
                (!blocks.is_empty()).then(|| blocks.join(","))
            }
            (Self::PrefixList(id), "Version") => Some(region.prefix_lists().get(id)?.version.to_string()),
            (Self::Vpc(id), "DefaultSecurityGroup") => {
                Some(region.vpcs().get(id)?.default_security_group.to_string())
            }
            (Self::Vpc(id), "DefaultNetworkAcl") => {
                Some(region.vpcs().get(id)?.default_network_acl.to_string())
            }
            (Self::NatGateway(id), "EniId") => Some(region.nat_gateways().get(id)?.interface.to_string()),
            (Self::Interface(id), _) if attribute != "Id" => interface_attribute(*id, region, attribute),
            (Self::KeyPair { id, .. }, "KeyPairId") => Some(id.to_string()),
            (Self::KeyPair { id, .. }, "KeyFingerprint") => {
                Some(region.key_pairs().get(id)?.fingerprint.clone())
            }
            (Self::GatewayAttachment(_), "AttachmentType") => Some("IGW".to_owned()),
            // The template has been checked: what is left are the names of the id itself.
            _ => Some(self.reference()),
        }
    }
}

fn interface_attribute(id: InterfaceId, region: &Region, attribute: &str) -> Option<String> {
    let interface = region.interfaces().get(&id)?;
    match attribute {
        "PrimaryIpv6Address" => interface.ipv6_addresses.first().map(ToString::to_string),
        "PrimaryPrivateIpAddress" => Some(interface.private_ip.to_string()),
        "SecondaryPrivateIpAddresses" => {
            let addresses: Vec<_> = interface.secondary_ips.iter().map(ToString::to_string).collect();
            Some(addresses.join(","))
        }
        "VpcId" => Some(interface.vpc.to_string()),
        _ => None,
    }
}

fn instance_attribute(id: InstanceId, region: &Region, attribute: &str) -> Option<String> {
    let instance = region.instances().get(&id)?;
    let interface = region.interfaces().get(instance.interfaces.first()?)?;
    let subnet = region.subnets().get(&interface.subnet)?;
    match attribute {
        "AvailabilityZone" => Some(subnet.availability_zone.clone()),
        "InstanceId" => Some(id.to_string()),
        "PrivateDnsName" => Some(region.private_dns_name(interface.private_ip)),
        "PrivateIp" => Some(interface.private_ip.to_string()),
        "PublicDnsName" => {
            let public_ip = region.public_address_of(interface.id, interface.private_ip);
            Some(public_ip.and_then(|ip| region.public_dns_name(interface.id, ip)).unwrap_or_default())
        }
        "PublicIp" => region.public_address_of(interface.id, interface.private_ip).map(|a| a.to_string()),
        "VpcId" => Some(interface.vpc.to_string()),
        _ => None,
    }
}
