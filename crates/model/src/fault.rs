//! Why a change was refused: EC2's error codes, with its words.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use thiserror::Error;

use crate::id::{
    AllocationId, AssociationId, InstanceId, InterfaceId, InternetGatewayId, RouteTableId, SecurityGroupId,
    SecurityGroupRuleId, SubnetId, VpcId,
};
use crate::rule::Permission;

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
    VpcRange(Ipv4Net),
    /// `InvalidSubnet.Range`
    #[error("The CIDR '{0}' is invalid.")]
    SubnetRange(Ipv4Net),
    /// `InvalidSubnet.Conflict`
    #[error("The CIDR '{0}' conflicts with another subnet")]
    SubnetConflict(Ipv4Net),
    /// `InsufficientFreeAddressesInSubnet`
    #[error(
        "There are not enough free addresses in subnet '{0}' to satisfy the requested number of instances."
    )]
    InsufficientFreeAddresses(SubnetId),
    /// `InvalidIPAddress.InUse`
    #[error("Address {0} is in use.")]
    AddressInUse(Ipv4Addr),
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
    RouteAlreadyExists(Ipv4Net),
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
        /// The state that it cannot go to from where it is.
        wanted: crate::InstanceState,
    },
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
}

/// What is wrong with a value that EC2 answers `InvalidParameterValue` to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidValue {
    /// A private address outside its subnet.
    #[error("Address {0} does not fall within the subnet's address range")]
    AddressOutsideSubnet(Ipv4Addr),
    /// One of the five addresses that EC2 keeps.
    #[error("Address {0} is in subnet's reserved address range")]
    AddressReserved(Ipv4Addr),
    /// The interface does not have this private address.
    #[error(
        "Value ({address}) for parameter privateIpAddress is invalid. {interface} does not have this address."
    )]
    AddressNotOfInterface {
        /// The interface.
        interface: InterfaceId,
        /// The address that was asked for.
        address: Ipv4Addr,
    },
    /// A zone that is not one of the region.
    #[error(
        "Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in the \
         following availability zones: {}.", known.join(", ")
    )]
    AvailabilityZone {
        /// As asked.
        zone: String,
        /// The region's zones.
        known: Vec<String>,
    },
    /// The VPC has an internet gateway already.
    #[error("Network {0} already has an internet gateway attached")]
    NetworkHasGateway(VpcId),
    /// A route table and a subnet of different VPCs.
    #[error("Route table {table} and subnet {subnet} belong to different networks")]
    TableAndSubnetApart {
        /// The table.
        table: RouteTableId,
        /// The subnet.
        subnet: SubnetId,
    },
    /// A route to a gateway that is not attached to the table's VPC.
    #[error("route table {table} and network gateway {gateway} belong to different networks")]
    TableAndGatewayApart {
        /// The table.
        table: RouteTableId,
        /// The gateway.
        gateway: InternetGatewayId,
    },
    /// A route to an interface of another VPC.
    #[error("route table {table} and interface {interface} belong to different networks")]
    TableAndInterfaceApart {
        /// The table.
        table: RouteTableId,
        /// The interface.
        interface: InterfaceId,
    },
    /// A route inside the VPC that does not lead to an interface.
    #[error(
        "The destination CIDR block {0} is equal to or more specific than one of this VPC's CIDR blocks. This \
         route can target only an interface or an instance."
    )]
    RouteInsideVpc(Ipv4Net),
    /// A route inside the VPC whose destination is not a whole subnet.
    #[error(
        "The destination CIDR block {0} is more specific than one of this VPC's CIDR blocks and does not match \
         a subnet's CIDR block."
    )]
    RouteNotToSubnet(Ipv4Net),
    /// A route to addresses that EC2 uses itself.
    #[error("The destination CIDR block {0} is reserved for use by AWS services.")]
    RouteReserved(Ipv4Net),
    /// A group name that EC2 uses itself.
    #[error("Cannot use reserved security group name: {0}")]
    GroupNameReserved(String),
    /// A group name in the form of an id.
    #[error("Group names may not be in the format sg-*.")]
    GroupNameLikeId(String),
    /// A group name that is too long or has other characters.
    #[error(
        "Invalid security group name. Valid names are non-empty strings less than 256 characters from the \
         following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{{}}!$*"
    )]
    GroupName(String),
    /// A group's or rule's description that is too long or has other characters.
    #[error(
        "Invalid security group description. Valid descriptions are strings less than 256 characters from the \
         following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{{}}!$*"
    )]
    GroupDescription(String),
    /// A group that is named twice.
    #[error("The same security group may not be specified multiple times: {0}")]
    GroupRepeated(SecurityGroupId),
    /// A TCP or UDP rule without ports.
    #[error("Must specify both from and to ports with TCP/UDP.")]
    PortsMissing,
    /// Not a range of ports.
    #[error("Invalid TCP/UDP port range ({0}:{1})")]
    PortRange(i32, i32),
    /// Not an ICMP type.
    #[error("ICMP type ({0}) out of range")]
    IcmpType(i32),
    /// Not an ICMP code, or a code where any type is meant.
    #[error("ICMP code ({0}) out of range")]
    IcmpCode(i32),
    /// More user data than the 16 KiB that an instance can have.
    #[error("User data is limited to 16384 bytes")]
    UserDataTooLarge,
    /// A hop limit that is not 1 to 64.
    #[error(
        "Value ({0}) for parameter HttpPutResponseHopLimit is invalid. Specify a number between 1 and 64."
    )]
    HopLimit(u8),
    /// An address that cannot be a public one.
    #[error("Value ({0}) for parameter address is invalid. Not a unicast address.")]
    PublicAddress(Ipv4Addr),
    /// A tag key that EC2 keeps.
    #[error("Tag keys starting with 'aws:' are reserved for internal use")]
    ReservedTagKey,
    /// A tag key that is empty or longer than 128 characters.
    #[error(
        "Value ({0}) for parameter Key is invalid. Tag keys must be between 1 and 128 characters in length."
    )]
    TagKey(String),
    /// A tag value that is longer than 256 characters.
    #[error(
        "Value ({0}) for parameter Value is invalid. Tag values must be at most 256 characters in length."
    )]
    TagValue(String),
}

impl Fault {
    /// EC2's error code.
    pub fn code(&self) -> &'static str {
        match self {
            Fault::VpcNotFound(_) => "InvalidVpcID.NotFound",
            Fault::SubnetNotFound(_) => "InvalidSubnetID.NotFound",
            Fault::RouteTableNotFound(_) => "InvalidRouteTableID.NotFound",
            Fault::InternetGatewayNotFound(_) => "InvalidInternetGatewayID.NotFound",
            Fault::GatewayNotFound(_) => "InvalidGatewayID.NotFound",
            Fault::SecurityGroupNotFound(_) | Fault::SecurityGroupElsewhere(_) => "InvalidGroup.NotFound",
            Fault::SecurityGroupRuleNotFound(_) => "InvalidSecurityGroupRuleId.NotFound",
            Fault::InterfaceNotFound(_) => "InvalidNetworkInterfaceID.NotFound",
            Fault::InstanceNotFound(_) => "InvalidInstanceID.NotFound",
            Fault::AllocationNotFound(_) => "InvalidAllocationID.NotFound",
            Fault::VpcRange(_) => "InvalidVpc.Range",
            Fault::SubnetRange(_) => "InvalidSubnet.Range",
            Fault::SubnetConflict(_) => "InvalidSubnet.Conflict",
            Fault::InsufficientFreeAddresses(_) => "InsufficientFreeAddressesInSubnet",
            Fault::AddressInUse(_) => "InvalidIPAddress.InUse",
            Fault::GatewayAlreadyAttached { .. }
            | Fault::SubnetAlreadyAssociated { .. }
            | Fault::AddressAlreadyAssociated { .. }
            | Fault::InterfaceAlreadyAssociated { .. } => "Resource.AlreadyAssociated",
            Fault::GatewayNotAttached(_) => "Gateway.NotAttached",
            Fault::RouteAlreadyExists(_) => "RouteAlreadyExists",
            Fault::NotOneInterface(_) => "InvalidInstanceID",
            Fault::IncorrectInstanceState { .. } => "IncorrectInstanceState",
            Fault::SecurityGroupDuplicate { .. } => "InvalidGroup.Duplicate",
            Fault::PermissionDuplicate(_) => "InvalidPermission.Duplicate",
            Fault::GroupAndSubnetApart { .. } => "InvalidParameter",
            Fault::TagLimitExceeded => "TagLimitExceeded",
            Fault::InvalidParameterValue(_) => "InvalidParameterValue",
        }
    }
}
