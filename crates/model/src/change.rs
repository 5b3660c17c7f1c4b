//! What can be asked of a region, and what comes of it.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::id::{
    AllocationId, AssociationId, ImageId, InstanceId, InterfaceId, InternetGatewayId,
    RouteTableAssociationId, RouteTableId, SecurityGroupId, SecurityGroupRuleId, SubnetId, VpcId,
};
use crate::instance::{InstanceState, MetadataOptions};
use crate::route_table::RouteVia;
use crate::rule::{Direction, Permission};
use crate::tag::Tags;

/// A change of a region's state. Named as EC2's actions are, where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A VPC, with its main route table and default security group. Gives [`Applied::Vpc`].
    CreateVpc {
        /// /16 to /28; host bits are cleared.
        cidr: Ipv4Net,
        /// Its tags.
        tags: Tags,
    },
    /// A subnet. Gives [`Applied::Subnet`].
    CreateSubnet {
        /// The VPC it is a part of.
        vpc: VpcId,
        /// /16 to /28 inside the VPC's; host bits are cleared.
        cidr: Ipv4Net,
        /// Such as "eu-west-1b"; the region's first if none is asked for.
        availability_zone: Option<String>,
        /// Its tags.
        tags: Tags,
    },
    /// An internet gateway that is attached to nothing. Gives [`Applied::InternetGateway`].
    CreateInternetGateway {
        /// Its tags.
        tags: Tags,
    },
    /// Attaches an internet gateway to a VPC. Gives [`Applied::Nothing`].
    AttachInternetGateway {
        /// The gateway.
        igw: InternetGatewayId,
        /// The VPC.
        vpc: VpcId,
    },
    /// A route table with the local route. Gives [`Applied::RouteTable`].
    CreateRouteTable {
        /// The VPC it is for.
        vpc: VpcId,
        /// Its tags.
        tags: Tags,
    },
    /// A route. Gives [`Applied::Nothing`].
    CreateRoute {
        /// The table that gets it.
        table: RouteTableId,
        /// Where to; host bits are cleared.
        destination: Ipv4Net,
        /// By what.
        target: RouteVia,
    },
    /// Gives a subnet its own route table. Gives [`Applied::RouteTableAssociation`].
    AssociateRouteTable {
        /// The table.
        table: RouteTableId,
        /// The subnet.
        subnet: SubnetId,
    },
    /// A security group that lets everything out and nothing in. Gives [`Applied::SecurityGroup`].
    CreateSecurityGroup {
        /// The VPC it is for.
        vpc: VpcId,
        /// Unlike that of any other group of the VPC.
        name: String,
        /// In words.
        description: String,
        /// Its tags.
        tags: Tags,
    },
    /// A rule of a security group: EC2's AuthorizeSecurityGroupIngress and AuthorizeSecurityGroupEgress. Gives
    /// [`Applied::SecurityGroupRule`].
    AuthorizeSecurityGroup {
        /// The group that gets it.
        group: SecurityGroupId,
        /// Whether it lets in or out.
        direction: Direction,
        /// What it lets through.
        rule: Permission,
    },
    /// Takes a rule from a security group: EC2's RevokeSecurityGroupIngress and RevokeSecurityGroupEgress. Gives
    /// [`Applied::Nothing`].
    RevokeSecurityGroupRule {
        /// The group that has it.
        group: SecurityGroupId,
        /// The rule.
        rule: SecurityGroupRuleId,
    },
    /// An Elastic IP address. Gives [`Applied::Address`].
    AllocateAddress {
        /// Which: the region has no pool of its own.
        public_ip: Ipv4Addr,
        /// Its tags.
        tags: Tags,
    },
    /// Maps an Elastic IP address to a private one. Asking again for what already is changes nothing. Gives
    /// [`Applied::AddressAssociation`].
    AssociateAddress {
        /// The Elastic IP address.
        allocation: AllocationId,
        /// The interface that has the private address.
        interface: InterfaceId,
        /// The private address; the interface's primary one if none is asked for.
        private_ip: Option<Ipv4Addr>,
    },
    /// An instance with one network interface, in state pending. Gives [`Applied::Instance`].
    RunInstance {
        /// What it runs. Not looked up: images are the caller's.
        image: ImageId,
        /// Such as "t3.micro". Not looked up.
        instance_type: String,
        /// Where its interface is.
        subnet: SubnetId,
        /// The interface's address; the lowest free one if none is asked for.
        private_ip: Option<Ipv4Addr>,
        /// The interface's security groups in order; the VPC's default group if there are none.
        groups: Vec<SecurityGroupId>,
        /// Whether the interface is confined to its own addresses.
        source_dest_check: bool,
        /// At most 16 KiB, as the instance is to get it.
        user_data: Option<Vec<u8>>,
        /// How the metadata service answers it.
        metadata: MetadataOptions,
        /// Its tags.
        tags: Tags,
    },
    /// What happened to an instance's machine. Gives [`Applied::Nothing`].
    SetInstanceState {
        /// The instance.
        instance: InstanceId,
        /// Its state from now on.
        state: InstanceState,
    },
}

/// What a change made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// A VPC.
    Vpc(VpcId),
    /// A subnet.
    Subnet(SubnetId),
    /// An internet gateway.
    InternetGateway(InternetGatewayId),
    /// A route table.
    RouteTable(RouteTableId),
    /// The association of a route table with a subnet.
    RouteTableAssociation(RouteTableAssociationId),
    /// A security group.
    SecurityGroup(SecurityGroupId),
    /// A rule of a security group.
    SecurityGroupRule(SecurityGroupRuleId),
    /// An Elastic IP address.
    Address(AllocationId),
    /// The association of an Elastic IP address with a private one.
    AddressAssociation(AssociationId),
    /// An instance.
    Instance(InstanceId),
    /// Nothing that has an id.
    Nothing,
}
