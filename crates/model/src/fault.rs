//! Why a change was refused: EC2's error codes, with its words.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

use crate::id::{
    AllocationId, AssociationId, AttachmentId, DhcpOptionsId, EgressOnlyInternetGatewayId, FlowLogId,
    ImageId, InstanceId, InterfaceId, InternetGatewayId, NatGatewayId, NetworkAclAssociationId, NetworkAclId,
    PrefixListId, RouteTableAssociationId, RouteTableId, SecurityGroupId, SecurityGroupRuleId,
    SubnetCidrAssociationId, SubnetCidrReservationId, SubnetId, VpcCidrAssociationId, VpcId,
    VpcPeeringConnectionId,
};
use crate::peering::PeeringStatus;
use crate::quota::Quota;
use crate::route_table::Destination;
use crate::rule::Permission;

mod code;
mod invalid_value;

pub use invalid_value::InvalidValue;

/// A refused change: one variant for each code and kind of resource ("Error codes for the Amazon EC2 API").
/// Its text is EC2's message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// `InvalidVpcID.NotFound`
    #[error("The vpc ID '{0}' does not exist")]
    VpcNotFound(VpcId),
    /// `InvalidSubnetID.NotFound`
    #[error("The subnet ID '{0}' does not exist")]
    SubnetNotFound(SubnetId),
    /// `InvalidRouteTableID.NotFound`
    #[error("The routeTable ID '{0}' does not exist")]
    RouteTableNotFound(RouteTableId),
    /// `InvalidInternetGatewayID.NotFound`
    #[error("The internetGateway ID '{0}' does not exist")]
    InternetGatewayNotFound(InternetGatewayId),
    /// `InvalidGatewayID.NotFound`: a route's gateway.
    #[error("The gateway ID '{0}' does not exist")]
    GatewayNotFound(InternetGatewayId),
    /// `InvalidGroup.NotFound`
    #[error("The security group '{0}' does not exist")]
    SecurityGroupNotFound(SecurityGroupId),
    /// `InvalidGroup.NotFound`: a rule refers to a group of another VPC.
    #[error("You have specified two resources that belong to different networks.")]
    SecurityGroupElsewhere(SecurityGroupId),
    /// `InvalidSecurityGroupRuleId.NotFound`
    #[error("The security group rule ID '{0}' does not exist")]
    SecurityGroupRuleNotFound(SecurityGroupRuleId),
    /// `InvalidNetworkInterfaceID.NotFound`
    #[error("The networkInterface ID '{0}' does not exist")]
    InterfaceNotFound(InterfaceId),
    /// `InvalidInstanceID.NotFound`
    #[error("The instance ID '{0}' does not exist")]
    InstanceNotFound(InstanceId),
    /// `InvalidAllocationID.NotFound`
    #[error("The allocation ID '{0}' does not exist")]
    AllocationNotFound(AllocationId),
    /// `InvalidVpc.Range`
    #[error("The CIDR '{0}' is invalid.")]
    VpcRange(IpNet),
    /// `InvalidSubnet.Range`
    #[error("The CIDR '{0}' is invalid.")]
    SubnetRange(IpNet),
    /// `InvalidSubnet.Conflict`
    #[error("The CIDR '{0}' conflicts with another subnet")]
    SubnetConflict(IpNet),
    /// `InsufficientFreeAddressesInSubnet`
    #[error(
        "There are not enough free addresses in subnet '{0}' to satisfy the requested number of instances."
    )]
    InsufficientFreeAddresses(SubnetId),
    /// `InvalidIPAddress.InUse`
    #[error("Address {0} is in use.")]
    AddressInUse(IpAddr),
    /// `Resource.AlreadyAssociated`: the gateway has a VPC already.
    #[error("resource {gateway} is already attached to network {vpc}")]
    GatewayAlreadyAttached {
        /// The gateway.
        gateway: InternetGatewayId,
        /// Its VPC.
        vpc: VpcId,
    },
    /// `Resource.AlreadyAssociated`: the subnet has an explicit route table already.
    #[error("the specified association for route table {table} conflicts with an existing association")]
    SubnetAlreadyAssociated {
        /// The table that was asked for.
        table: RouteTableId,
        /// The subnet.
        subnet: SubnetId,
    },
    /// `Resource.AlreadyAssociated`: the Elastic IP address is in use elsewhere.
    #[error("resource {allocation} is already associated with associate-id {association}")]
    AddressAlreadyAssociated {
        /// The address.
        allocation: AllocationId,
        /// What it is used for.
        association: AssociationId,
    },
    /// `Resource.AlreadyAssociated`: the private address has an Elastic IP address already.
    #[error("resource {interface} is already associated with associate-id {association}")]
    InterfaceAlreadyAssociated {
        /// The interface.
        interface: InterfaceId,
        /// The association of its private address.
        association: AssociationId,
    },
    /// `Gateway.NotAttached`: a public address in a VPC without a way to the internet.
    #[error("Network {0} is not attached to any internet gateway")]
    GatewayNotAttached(VpcId),
    /// `RouteAlreadyExists`
    #[error("The route identified by {0} already exists.")]
    RouteAlreadyExists(Destination),
    /// `InvalidInstanceID`: a route to an instance whose interfaces are not one.
    #[error(
        "There are multiple interfaces attached to instance '{0}'. Please specify an interface ID for the \
         operation instead."
    )]
    NotOneInterface(InstanceId),
    /// `IncorrectInstanceState`
    #[error("The instance '{instance}' is not in a state from which it can be {wanted}.")]
    IncorrectInstanceState {
        /// The instance.
        instance: InstanceId,
        /// What was asked of it, such as "started".
        wanted: &'static str,
    },
    /// `IncorrectInstanceState`: what can be changed only while the machine does not run.
    #[error("The instance '{0}' is not in the 'stopped' state.")]
    InstanceNotStopped(InstanceId),
    /// `IncorrectState`: interfaces come and go only while an instance is running or stopped.
    #[error("Instance '{0}' is not in the 'running' or 'stopped' state.")]
    InstanceNotSettled(InstanceId),
    /// `InvalidGroup.Duplicate`
    #[error("The security group '{name}' already exists for VPC '{vpc}'")]
    SecurityGroupDuplicate {
        /// The group's name.
        name: String,
        /// The VPC that has it.
        vpc: VpcId,
    },
    /// `InvalidPermission.Duplicate`
    #[error("the specified rule \"{0}\" already exists")]
    PermissionDuplicate(Permission),
    /// `InvalidParameter`: resources that must be in one VPC are not.
    #[error("Security group {group} and subnet {subnet} belong to different networks.")]
    GroupAndSubnetApart {
        /// The group.
        group: SecurityGroupId,
        /// The subnet.
        subnet: SubnetId,
    },
    /// `TagLimitExceeded`
    #[error("The maximum number of tags for a resource has been reached.")]
    TagLimitExceeded,
    /// `InvalidParameterValue`
    #[error(transparent)]
    InvalidParameterValue(#[from] InvalidValue),
    /// `InvalidVpcCidrBlockAssociationID.NotFound`
    #[error("The vpc CIDR block association ID '{0}' does not exist")]
    CidrAssociationNotFound(VpcCidrAssociationId),
    /// `InvalidAssociationID.NotFound`: of a route table.
    #[error("The association ID '{0}' does not exist")]
    RouteTableAssociationNotFound(RouteTableAssociationId),
    /// `InvalidAssociationID.NotFound`: of an Elastic IP address.
    #[error("The association ID '{0}' does not exist")]
    AddressAssociationNotFound(AssociationId),
    /// `InvalidAttachmentID.NotFound`
    #[error("The attachment ID '{0}' does not exist")]
    AttachmentNotFound(AttachmentId),
    /// `InvalidRoute.NotFound`
    #[error("no route with destination-cidr-block {destination} in route table {table}")]
    RouteNotFound {
        /// The table.
        table: RouteTableId,
        /// Where the route should lead.
        destination: Destination,
    },
    /// `InvalidKeyPair.NotFound`: by name or id.
    #[error("The key pair '{0}' does not exist")]
    KeyPairNotFound(String),
    /// `InvalidKeyPair.Duplicate`
    #[error("The key pair '{0}' already exists")]
    KeyPairDuplicate(String),
    /// `InvalidID`: no resource that can have tags has an id like this.
    #[error("The ID '{0}' is not valid")]
    InvalidId(String),
    /// `InvalidVpc.Range`: a VPC's new CIDR block would not go with its primary one.
    #[error(
        "The CIDR '{0}' is restricted. Use a CIDR from the same private address range as the current VPC CIDR, or use \
         a publicly-routable CIDR."
    )]
    CidrRestricted(Ipv4Net),
    /// `InvalidVpc.Range`: a VPC's new CIDR block overlaps with one that it has.
    #[error("The CIDR '{0}' conflicts with another CIDR of the VPC.")]
    CidrConflict(IpNet),
    /// `InvalidVpc.Range`: a VPC's new CIDR block would swallow a route.
    #[error(
        "The CIDR '{cidr}' is the same as or larger than the destination of a route in route table {table}."
    )]
    CidrCoversRoute {
        /// The CIDR block that was asked for.
        cidr: IpNet,
        /// The table with the route.
        table: RouteTableId,
    },
    /// `InvalidCidrBlock.InUse`
    #[error("The vpc {vpc} currently has a subnet within CIDR block {cidr}")]
    CidrInUse {
        /// The VPC.
        vpc: VpcId,
        /// Its CIDR block.
        cidr: IpNet,
    },
    /// `Gateway.NotAttached`: not to this VPC.
    #[error("resource {gateway} is not attached to network {vpc}")]
    GatewayNotAttachedTo {
        /// The gateway.
        gateway: InternetGatewayId,
        /// The VPC.
        vpc: VpcId,
    },
    /// `InvalidNetworkInterface.InUse`: it is attached elsewhere.
    #[error("Interface: [{0}] in use.")]
    InterfaceInUse(InterfaceId),
    /// `InvalidParameterCombination`: an instance and an interface in different availability zones.
    #[error(
        "You may not attach a network interface to an instance if they are not in the same availability zone"
    )]
    ZonesApart,
    /// `InvalidParameterCombination`: an instance's interfaces in different VPCs.
    #[error("The network interfaces of a launch must be in the same VPC")]
    NetworksApart,
    /// `InvalidParameterCombination`: what only one instance can have was asked for several.
    #[error(
        "A network interface or private address may not be specified when launching more than one instance"
    )]
    OneForSeveral,
    /// `InvalidParameterCombination`: a public address was asked for, or declined, for one of several interfaces.
    #[error(
        "The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces."
    )]
    PublicIpForSeveral,
    /// `CannotDelete`
    #[error("the specified group: \"{0}\" name: \"default\" cannot be deleted by a user")]
    DefaultGroup(SecurityGroupId),
    /// `UnsupportedOperation`: local routes stay as they are.
    #[error("The target of local route {0} cannot be replaced.")]
    LocalRoute(Destination),
    /// `DependencyViolation`
    #[error(transparent)]
    DependencyViolation(#[from] Dependency),
    /// `OperationNotPermitted`
    #[error(transparent)]
    OperationNotPermitted(#[from] NotPermitted),
    /// `VpcLimitExceeded` and its like.
    #[error(transparent)]
    LimitExceeded(Quota),
    /// `AttachmentLimitExceeded`
    #[error("Interface count {count} exceeds the limit for {instance_type}")]
    InterfaceCount {
        /// How many there would be.
        count: usize,
        /// The instance's.
        instance_type: String,
    },
    /// `InvalidSubnetCidrBlockAssociationID.NotFound`
    #[error("The subnet CIDR block association ID '{0}' does not exist")]
    SubnetCidrAssociationNotFound(SubnetCidrAssociationId),
    /// `InvalidCidrBlock.InUse`: a subnet's IPv6 CIDR block that interfaces have addresses of, or new ones are to get.
    #[error("The subnet {subnet} currently uses CIDR block {cidr}")]
    SubnetCidrInUse {
        /// The subnet.
        subnet: SubnetId,
        /// Its CIDR block.
        cidr: IpNet,
    },
    /// `InvalidParameterCombination`: a machine of this type knows IPv4 only.
    #[error("IPv6 is not supported for the instance type '{0}'.")]
    Ipv6NotSupported(String),
    /// `InvalidGatewayID.NotFound`
    #[error("The eigw ID '{0}' does not exist")]
    EgressOnlyInternetGatewayNotFound(EgressOnlyInternetGatewayId),
    /// `Resource.AlreadyAssociated`: the gateway has a route table already.
    #[error("the specified association for route table {table} conflicts with an existing association")]
    GatewayAlreadyAssociated {
        /// The table that was asked for.
        table: RouteTableId,
        /// The gateway.
        gateway: InternetGatewayId,
    },
    /// `InvalidPrefixListID.NotFound`
    #[error("The prefix list ID '{0}' does not exist")]
    PrefixListNotFound(PrefixListId),
    /// `PrefixListVersionMismatch`: somebody else changed the list meanwhile.
    #[error("The prefix list {list} has version {version}, not the version that was specified.")]
    PrefixListVersionMismatch {
        /// The list.
        list: PrefixListId,
        /// The version it has.
        version: u64,
    },
    /// `InvalidPrefixListVersion.NotFound`
    #[error("The prefix list {list} has no version {version}.")]
    PrefixListVersionNotFound {
        /// The list.
        list: PrefixListId,
        /// The version that was asked for.
        version: u64,
    },
    /// `InvalidParameterCombination`
    #[error("The entries and the maximum number of entries of a prefix list cannot be modified together.")]
    PrefixListEntriesAndSize,
    /// `NatGatewayNotFound`
    #[error("NAT gateway {0} was not found")]
    NatGatewayNotFound(NatGatewayId),
    /// `InvalidNatGatewayID.NotFound`: a route's NAT gateway.
    #[error("The natGateway ID '{0}' does not exist")]
    RouteNatGatewayNotFound(NatGatewayId),
    /// `IncorrectState`: what only another NAT gateway can do.
    #[error("NAT gateway {0} is not in a state for this operation.")]
    IncorrectNatGatewayState(NatGatewayId),
    /// `IncorrectState`: a NAT gateway's addresses stay as they are while some of them are on their way out.
    #[error("NAT gateway {0} has addresses that are being disassociated.")]
    NatGatewayDraining(NatGatewayId),
    /// `MissingParameter`: a public NAT gateway without an Elastic IP address.
    #[error("The request must contain the parameter AllocationId")]
    AllocationMissing,
    /// `InvalidParameterCombination`: a private NAT gateway with an Elastic IP address.
    #[error("The parameter AllocationId cannot be used with a private NAT gateway")]
    AllocationOfPrivate,
    /// `InvalidParameterCombination`: Elastic IP addresses without private ones, or the other way round.
    #[error("The number of secondary private IP addresses must be that of secondary allocation IDs")]
    AllocationsAndAddressesDiffer,
    /// `UnsupportedOperation`: what only a NAT gateway of the other connectivity type can do.
    #[error("This operation is not supported for NAT gateway {0} with its connectivity type.")]
    WrongConnectivity(NatGatewayId),
    /// `AuthFailure`: what belongs to a gateway is for the gateway to manage.
    #[error("You do not have permission to access the specified resource.")]
    RequesterManaged(InterfaceId),
    /// `InvalidNetworkAclID.NotFound`
    #[error("The networkAcl ID '{0}' does not exist")]
    NetworkAclNotFound(NetworkAclId),
    /// `InvalidAssociationID.NotFound`: of a network ACL.
    #[error("The association ID '{0}' does not exist")]
    NetworkAclAssociationNotFound(NetworkAclAssociationId),
    /// `NetworkAclEntryAlreadyExists`
    #[error("The network acl entry identified by {0} already exists.")]
    NetworkAclEntryAlreadyExists(u16),
    /// `InvalidNetworkAclEntry.NotFound`
    #[error("The network acl entry identified by {0} does not exist.")]
    NetworkAclEntryNotFound(u16),
    /// `InvalidVpcPeeringConnectionID.NotFound`
    #[error("The vpcPeeringConnection ID '{0}' does not exist")]
    VpcPeeringConnectionNotFound(VpcPeeringConnectionId),
    /// `VpcPeeringConnectionAlreadyExists`
    #[error("A VPC peering connection between the VPCs {0} and {1} already exists.")]
    VpcPeeringConnectionAlreadyExists(VpcId, VpcId),
    /// `InvalidStateTransition`
    #[error("Invalid state transition for {connection}, attempted to transition from {from} to {to}")]
    InvalidStateTransition {
        /// The VPC peering connection.
        connection: VpcPeeringConnectionId,
        /// Its status.
        from: PeeringStatus,
        /// What it should be.
        to: PeeringStatus,
    },
    /// `InvalidVpc.Range`: a VPC's new CIDR block overlaps with one of a VPC that it is joined to.
    #[error("The CIDR '{cidr}' conflicts with a CIDR of VPC peering connection {connection}.")]
    CidrOfPeer {
        /// The CIDR block that was asked for.
        cidr: Ipv4Net,
        /// What joins the two.
        connection: VpcPeeringConnectionId,
    },
    /// `DefaultVpcAlreadyExists`
    #[error("A Default VPC already exists for this account in this region.")]
    DefaultVpcAlreadyExists,
    /// `DefaultVpcDoesNotExist`
    #[error("No default VPC exists for this account in this region.")]
    DefaultVpcDoesNotExist,
    /// `DefaultSubnetAlreadyExistsInAvailabilityZone`
    #[error("'{0}' is already the default subnet in its availability zone.")]
    DefaultSubnetAlreadyExists(SubnetId),
    /// `InvalidDhcpOptionID.NotFound`
    #[error("The dhcpOption ID '{0}' does not exist")]
    DhcpOptionsNotFound(DhcpOptionsId),
    /// `InvalidFlowLogId.NotFound`
    #[error("These flow log ids in the input list are not found: [TotalCount: 1] {0}")]
    FlowLogNotFound(FlowLogId),
    /// `FlowLogAlreadyExists`
    #[error("There is an existing Flow Log with the same configuration and log destination.")]
    FlowLogAlreadyExists,
    /// `FlowLogsLimitExceeded`
    #[error("The maximum number of flow logs for this resource has been reached.")]
    FlowLogsLimitExceeded,
    /// `InvalidSubnetCidrReservationID.NotFound`
    #[error("The subnet CIDR reservation ID '{0}' does not exist")]
    SubnetCidrReservationNotFound(SubnetCidrReservationId),
    /// `InsufficientCidrBlocks`
    #[error("The specified subnet does not have enough free cidr blocks to satisfy the request.")]
    InsufficientCidrBlocks(SubnetId),
    /// `InvalidIPAddress.InUse`: somebody has an address of the prefix.
    #[error("Prefix {0} is in use.")]
    PrefixInUse(IpNet),
    /// `InvalidParameterCombination`: interfaces of a machine of this type have no prefixes.
    #[error("Prefix delegation is not supported for the instance type '{0}'.")]
    PrefixesNotSupported(String),
    /// `InvalidAMIID.NotFound`
    #[error("The image id '[{0}]' does not exist")]
    ImageNotFound(ImageId),
    /// `InvalidAMIName.Malformed`
    #[error(
        "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, and ()[] ./-'@_ only"
    )]
    ImageNameMalformed(String),
    /// `InvalidAMIName.Duplicate`
    #[error("AMI name {name} is already in use by AMI {image}")]
    ImageNameDuplicate {
        /// The name.
        name: String,
        /// Whose it is.
        image: ImageId,
    },
}

/// What still needs a resource that was to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Dependency {
    /// A VPC that has subnets, an internet gateway, or route tables or security groups beyond those it came with.
    #[error("The vpc '{0}' has dependencies and cannot be deleted.")]
    Vpc(VpcId),
    /// A subnet with network interfaces.
    #[error("The subnet '{0}' has dependencies and cannot be deleted.")]
    Subnet(SubnetId),
    /// An internet gateway that is attached.
    #[error("The internetGateway '{0}' has dependencies and cannot be deleted.")]
    InternetGateway(InternetGatewayId),
    /// A VPC whose interfaces have public addresses.
    #[error(
        "Network {0} has some mapped public address(es). Please unmap those public address(es) before detaching the \
         gateway."
    )]
    PublicAddresses(VpcId),
    /// A route table that subnets use, or the main one.
    #[error("The routeTable '{0}' has dependencies and cannot be deleted.")]
    RouteTable(RouteTableId),
    /// A security group with members, or that rules of other groups refer to.
    #[error("resource {0} has a dependent object")]
    SecurityGroup(SecurityGroupId),
    /// A prefix list that routes or rules refer to.
    #[error("The prefix list '{0}' is referenced and cannot be deleted.")]
    PrefixList(PrefixListId),
    /// A network ACL that subnets have.
    #[error("The networkAcl '{0}' has dependencies and cannot be deleted.")]
    NetworkAcl(NetworkAclId),
    /// A DHCP option set that VPCs have.
    #[error("The dhcpOptions '{0}' has dependencies and cannot be deleted.")]
    DhcpOptions(DhcpOptionsId),
}

/// What nobody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotPermitted {
    /// Disassociating a VPC's first CIDR block.
    #[error(
        "The vpc CIDR block with association ID {0} may not be disassociated. It is the primary IPv4 CIDR block of the \
         VPC"
    )]
    PrimaryCidr(VpcCidrAssociationId),
    /// Detaching an instance's first interface.
    #[error("The network interface at device index 0 and networkCard index 0 cannot be detached.")]
    PrimaryInterface,
    /// Giving a public address to an interface that does not wait for one.
    #[error("The network interface '{0}' does not get a public IP address.")]
    PublicAddress(InterfaceId),
    /// Terminating a protected instance.
    #[error(
        "The instance '{0}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try \
         again."
    )]
    TerminationProtected(InstanceId),
    /// Another behaviour for a NAT gateway than it was made with.
    #[error(
        "The tag 'ringwall:nat-profile' of NAT gateway {0} stays as it was when the gateway was created."
    )]
    NatProfile(NatGatewayId),
}
