//! What comes of a change.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::id::{
    AllocationId, AssociationId, AttachmentId, DhcpOptionsId, EgressOnlyInternetGatewayId, FlowLogId,
    ImageId, InstanceId, InterfaceId, InternetGatewayId, KeyPairId, NatGatewayId, NetworkAclAssociationId,
    NetworkAclId, PrefixListId, ReservationId, RouteTableAssociationId, RouteTableId, SecurityGroupId,
    SecurityGroupRuleId, SubnetCidrAssociationId, SubnetCidrReservationId, SubnetId, VpcCidrAssociationId,
    VpcId, VpcPeeringConnectionId,
};
use crate::instance::InstanceState;

/// What a change made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Applied {
    /// A VPC.
    Vpc(VpcId),
    /// A subnet.
    Subnet(SubnetId),
    /// An internet gateway.
    InternetGateway(InternetGatewayId),
    /// A route table.
    RouteTable(RouteTableId),
    /// The association of a CIDR block with a VPC.
    VpcCidrAssociation(VpcCidrAssociationId),
    /// The association of a route table with a subnet, or of a VPC with its main one.
    RouteTableAssociation(RouteTableAssociationId),
    /// A security group.
    SecurityGroup(SecurityGroupId),
    /// A rule of a security group.
    SecurityGroupRule(SecurityGroupRuleId),
    /// An Elastic IP address.
    Address(AllocationId),
    /// The association of an Elastic IP address with a private one.
    AddressAssociation(AssociationId),
    /// A network interface.
    Interface(InterfaceId),
    /// The attachment of an interface to an instance.
    Attachment(AttachmentId),
    /// Private addresses of an interface, in the order they were given.
    PrivateAddresses(Vec<Ipv4Addr>),
    /// A key pair.
    KeyPair(KeyPairId),
    /// The instances of one launch, in the order of their launch index.
    Instances {
        /// The launch.
        reservation: ReservationId,
        /// What it made.
        instances: Vec<InstanceId>,
    },
    /// An instance's new state.
    InstanceState {
        /// Its state before; the same if there was nothing to do.
        previous: InstanceState,
        /// Its state now.
        current: InstanceState,
    },
    /// Nothing that has an id.
    Nothing,
    /// The association of an IPv6 CIDR block with a subnet.
    SubnetCidrAssociation(SubnetCidrAssociationId),
    /// IPv6 addresses of an interface, in the order they were given.
    Ipv6Addresses(Vec<Ipv6Addr>),
    /// An egress-only internet gateway.
    EgressOnlyInternetGateway(EgressOnlyInternetGatewayId),
    /// A managed prefix list.
    PrefixList(PrefixListId),
    /// A NAT gateway.
    NatGateway(NatGatewayId),
    /// A network ACL.
    NetworkAcl(NetworkAclId),
    /// The association of a network ACL with a subnet.
    NetworkAclAssociation(NetworkAclAssociationId),
    /// A VPC peering connection.
    VpcPeeringConnection(VpcPeeringConnectionId),
    /// A DHCP option set.
    DhcpOptions(DhcpOptionsId),
    /// A flow log.
    FlowLog(FlowLogId),
    /// A reservation of a subnet's addresses.
    SubnetCidrReservation(SubnetCidrReservationId),
    /// Prefixes of an interface, in the order they were given.
    Prefixes(Vec<IpNet>),
    /// A machine image.
    Image(ImageId),
}
