//! What is wrong with a value that EC2 answers `InvalidParameterValue` to.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use thiserror::Error;

use crate::id::{
    AllocationId, AssociationId, EgressOnlyInternetGatewayId, InstanceId, InterfaceId, InternetGatewayId,
    NatGatewayId, NetworkAclId, RouteTableAssociationId, RouteTableId, SecurityGroupId, SecurityGroupRuleId,
    SubnetId, VpcId, VpcPeeringConnectionId,
};
use crate::prefix_list::AddressFamily;
use crate::route_table::Destination;

/// What is wrong with a value that EC2 answers `InvalidParameterValue` to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidValue {
    /// A private address outside its subnet.
    #[error("Address {0} does not fall within the subnet's address range")]
    AddressOutsideSubnet(IpAddr),
    /// One of the five addresses that EC2 keeps.
    #[error("Address {0} is in subnet's reserved address range")]
    AddressReserved(IpAddr),
    /// The interface does not have this private address.
    #[error(
        "Value ({address}) for parameter privateIpAddress is invalid. {interface} does not have this address."
    )]
    AddressNotOfInterface {
        /// The interface.
        interface: InterfaceId,
        /// The address that was asked for.
        address: IpAddr,
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
    /// A description of an image that is too long.
    #[error("Value ({0}) for parameter Description is invalid. It has more than 255 characters.")]
    ImageDescription(String),
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
    RouteInsideVpc(Destination),
    /// A route inside the VPC whose destination is not a whole subnet.
    #[error(
        "The destination CIDR block {0} is more specific than one of this VPC's CIDR blocks and does not match \
         a subnet's CIDR block."
    )]
    RouteNotToSubnet(Destination),
    /// A route to addresses that EC2 uses itself.
    #[error("The destination CIDR block {0} is reserved for use by AWS services.")]
    RouteReserved(Destination),
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
    /// The association of a VPC with its main route table, where only one with a subnet will do.
    #[error("cannot disassociate the main route table association {0}")]
    MainAssociation(RouteTableAssociationId),
    /// A route table of another VPC than the one whose main table it is to be.
    #[error("Route table {table} and network {vpc} belong to different networks")]
    TableAndVpcApart {
        /// The table.
        table: RouteTableId,
        /// The VPC.
        vpc: VpcId,
    },
    /// A local route, which cannot be deleted.
    #[error("cannot remove local route {destination} in route table {table}")]
    RouteLocal {
        /// The table.
        table: RouteTableId,
        /// Where the route leads.
        destination: Destination,
    },
    /// A route that is to be replaced and is not there.
    #[error("There is no route defined for '{0}' in the route table. Use CreateRoute instead.")]
    RouteMissing(Destination),
    /// An interface that cannot be deleted while it is attached.
    #[error("Network interface '{0}' is currently in use.")]
    InterfaceInUse(InterfaceId),
    /// A device index that another interface of the instance has.
    #[error("Instance '{instance}' already has an interface attached at device index '{device_index}'.")]
    DeviceIndexInUse {
        /// The instance.
        instance: InstanceId,
        /// The device index that was asked for.
        device_index: u32,
    },
    /// A launch with two interfaces of the same device index.
    #[error("Each network interface requires a unique device index.")]
    DeviceIndexRepeated,
    /// A launch without an interface of device index 0.
    #[error("The launch request must include a network interface at device index 0.")]
    NoPrimaryInterface,
    /// A launch of no instance.
    #[error("Value (0) for parameter maxCount is invalid. It must be at least 1.")]
    NoInstances,
    /// An interface without a security group.
    #[error("You must specify at least one security group.")]
    NoGroups,
    /// A primary address where only a secondary one will do.
    #[error("{interface} has {address} as its primary address, which it keeps.")]
    AddressPrimary {
        /// The interface.
        interface: InterfaceId,
        /// The address.
        address: Ipv4Addr,
    },
    /// A private address that is named twice.
    #[error("The same private address may not be specified multiple times: {0}")]
    AddressRepeated(IpAddr),
    /// An interface's description that is longer than 255 characters.
    #[error("Value for parameter description is invalid. It must be at most 255 characters in length.")]
    InterfaceDescription,
    /// A key pair's name that is empty, longer than 255 characters, or has others than ASCII.
    #[error("Value ({0}) for parameter keyName is invalid. Up to 255 ASCII characters are allowed.")]
    KeyName(String),
    /// IPv6 addresses for an interface, or an attribute about them, in a subnet that has none.
    #[error("The subnet '{0}' does not have an IPv6 CIDR block.")]
    SubnetWithoutIpv6(SubnetId),
    /// DNS names for a VPC that has no resolver.
    #[error("DNS hostnames cannot be enabled for the VPC '{0}': DNS support is not.")]
    HostnamesWithoutDns(VpcId),
    /// A second IPv6 CIDR block for a subnet.
    #[error("The subnet '{0}' already has an IPv6 CIDR block.")]
    SubnetHasIpv6(SubnetId),
    /// A time after which connections of an interface are forgotten that EC2 does not allow.
    #[error(
        "Value ({value}) for parameter {parameter} is invalid. Specify a number between {least} and {most}."
    )]
    TrackingTimeout {
        /// EC2's name for the time.
        parameter: &'static str,
        /// As asked, in seconds.
        value: u32,
        /// The shortest, in seconds.
        least: u32,
        /// The longest, in seconds.
        most: u32,
    },
    /// The VPC has an egress-only internet gateway already.
    #[error("Network {0} already has an egress-only internet gateway attached")]
    NetworkHasEgressOnlyGateway(VpcId),
    /// A route to an egress-only internet gateway of another VPC.
    #[error("route table {table} and network gateway {gateway} belong to different networks")]
    TableAndEgressOnlyGatewayApart {
        /// The table.
        table: RouteTableId,
        /// The gateway.
        gateway: EgressOnlyInternetGatewayId,
    },
    /// A route for IPv4 to an egress-only internet gateway.
    #[error(
        "The destination {0} cannot be routed to an egress-only internet gateway, which is for IPv6 only."
    )]
    RouteNotIpv6(Destination),
    /// A route that a gateway's route table cannot have.
    #[error(
        "The route to {destination} cannot be in route table {table}, which is associated with a gateway: only whole \
         subnets of the VPC, and only by an interface or an instance."
    )]
    GatewayRoute {
        /// The table.
        table: RouteTableId,
        /// Where the route leads.
        destination: Destination,
    },
    /// A prefix list's name that is empty, longer than 255 characters, or AWS's.
    #[error(
        "Value ({0}) for parameter PrefixListName is invalid. Up to 255 characters that do not begin with \
         com.amazonaws are allowed."
    )]
    PrefixListName(String),
    /// A size that a prefix list cannot have.
    #[error("Value ({0}) for parameter MaxEntries is invalid.")]
    PrefixListMaxEntries(u32),
    /// More entries than a prefix list was made for.
    #[error("The prefix list cannot have more than {0} entries.")]
    PrefixListFull(u32),
    /// An entry of another address family than the prefix list's.
    #[error("The CIDR {cidr} is not of the prefix list's address family {family}.")]
    EntryFamily {
        /// The entry.
        cidr: IpNet,
        /// The list's family.
        family: AddressFamily,
    },
    /// An entry that is there already, or named twice.
    #[error("The prefix list already has an entry for {0}.")]
    EntryRepeated(IpNet),
    /// An entry that is not there.
    #[error("The prefix list has no entry for {0}.")]
    EntryMissing(IpNet),
    /// An entry's description that is longer than 255 characters.
    #[error("Value for parameter Description is invalid. It must be at most 255 characters in length.")]
    EntryDescription,
    /// Entries that are to be changed, or an old version to be restored, without saying of which version.
    #[error("The current version of the prefix list must be specified.")]
    PrefixListVersionNeeded,
    /// A route to a NAT gateway of another VPC.
    #[error("route table {table} and NAT gateway {gateway} belong to different networks")]
    TableAndNatGatewayApart {
        /// The table.
        table: RouteTableId,
        /// The gateway.
        gateway: NatGatewayId,
    },
    /// A route to a VPC peering connection of other VPCs.
    #[error("route table {table} and VPC peering connection {connection} belong to different networks")]
    TableAndPeeringApart {
        /// The table.
        table: RouteTableId,
        /// The connection.
        connection: VpcPeeringConnectionId,
    },
    /// A behaviour that NAT gateways do not have.
    #[error("Value ({0}) for tag ringwall:nat-profile is invalid. Use aws or rfc.")]
    NatProfile(String),
    /// An Elastic IP address that is named twice.
    #[error("The same Elastic IP address may not be specified multiple times: {0}")]
    AllocationRepeated(AllocationId),
    /// A time for connections to end that is not 1 to 4000 s.
    #[error(
        "Value ({0}) for parameter MaxDrainDurationSeconds is invalid. Specify a number between 1 and 4000."
    )]
    MaxDrain(u32),
    /// A NAT gateway's first address, which it keeps.
    #[error("The primary IP address of NAT gateway {0} cannot be removed.")]
    NatGatewayPrimary(NatGatewayId),
    /// An association that is not one of the NAT gateway's.
    #[error("The association {association} is not of NAT gateway {gateway}.")]
    NatGatewayAssociation {
        /// The gateway.
        gateway: NatGatewayId,
        /// The association.
        association: AssociationId,
    },
    /// An address that is not one of the NAT gateway's.
    #[error("The address {address} is not of NAT gateway {gateway}.")]
    NatGatewayAddress {
        /// The gateway.
        gateway: NatGatewayId,
        /// The address.
        address: Ipv4Addr,
    },
    /// Nothing where something must be named.
    #[error("At least one address must be specified.")]
    NoAddresses,
    /// A rule number that EC2 keeps, or 0.
    #[error("Value ({0}) for parameter ruleNumber is invalid. Specify a number between 1 and 32766.")]
    AclRuleNumber(u16),
    /// An ICMP rule without type and code.
    #[error("Must specify both ICMP type and code.")]
    IcmpMissing,
    /// The network ACL that a VPC came with, which it keeps.
    #[error("cannot delete default network ACL {0}")]
    DefaultNetworkAcl(NetworkAclId),
    /// A network ACL and a subnet of different VPCs.
    #[error("Network ACL {acl} and subnet {subnet} belong to different networks")]
    AclAndSubnetApart {
        /// The network ACL.
        acl: NetworkAclId,
        /// The subnet.
        subnet: SubnetId,
    },
    /// A DHCP option that nobody can be told.
    #[error("Value ({value}) for parameter {key} is invalid.")]
    DhcpOption {
        /// EC2's name of the option.
        key: &'static str,
        /// As asked.
        value: String,
    },
    /// More servers than DHCP tells of.
    #[error("The number of values for parameter {0} is invalid. Specify at most 4.")]
    DhcpServers(&'static str),
    /// A rule that was about peers of another kind.
    #[error(
        "The type of security group rule {0} cannot be changed: give the same kind of source or destination."
    )]
    RuleKind(SecurityGroupRuleId),
    /// A reservation outside its subnet.
    #[error("Reservation CIDR {cidr} is not within the CIDR blocks of subnet {subnet}")]
    ReservationOutsideSubnet {
        /// The subnet.
        subnet: SubnetId,
        /// As asked.
        cidr: IpNet,
    },
    /// A reservation of what is reserved.
    #[error("Reservation CIDR {0} has overlap with existing reserved CIDR block")]
    ReservationOverlap(IpNet),
    /// A block of addresses that no interface can have as a prefix.
    #[error(
        "Value ({0}) for parameter prefix is invalid. Expecting a /28 block of IPv4 or a /80 block of IPv6."
    )]
    Prefix(IpNet),
    /// A prefix outside its subnet.
    #[error("Prefix {0} does not fall within the subnet's address range")]
    PrefixOutsideSubnet(IpNet),
    /// A prefix with one of the addresses that EC2 keeps.
    #[error("Prefix {0} is in subnet's reserved address range")]
    PrefixReserved(IpNet),
    /// The interface does not have this prefix.
    #[error("Value ({prefix}) for parameter prefix is invalid. {interface} does not have this prefix.")]
    PrefixNotOfInterface {
        /// The interface.
        interface: InterfaceId,
        /// The prefix that was asked for.
        prefix: IpNet,
    },
}
