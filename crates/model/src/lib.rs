//! The desired world: the nouns of a VPC and their rules, as EC2 has them.
//!
//! A [`Region`] holds the resources of one account in one region. A [`Change`] alters it through
//! [`Region::apply`], or is refused with the [`Fault`] that EC2 would answer, and then nothing has changed.
//! There is one file for each resource, with its fields and its rules.

mod address;
mod address_pool;
mod applied;
mod apply;
mod change;
mod cidr_pool;
mod date_time;
mod dhcp_options;
mod due;
mod egress_only_internet_gateway;
mod fault;
#[cfg(test)]
mod fixture;
mod flow_log;
mod id;
mod image;
mod instance;
mod interface;
mod internet_gateway;
mod key_pair;
mod mac;
mod nat_gateway;
mod network_acl;
mod peering;
mod prefix_list;
mod quota;
mod region;
mod route_table;
mod rule;
mod security_group;
mod subnet;
mod tag;
mod user_data;
mod vpc;

pub use address::{Address, AddressAssociation};
pub use applied::Applied;
pub use change::Change;
pub use date_time::DateTime;
pub use dhcp_options::{DhcpConfiguration, DhcpOptions, NameServer};
pub use due::Due;
pub use egress_only_internet_gateway::EgressOnlyInternetGateway;
pub use fault::{Dependency, Fault, InvalidValue, NotPermitted};
pub use flow_log::{
    BadLogDestination, BadLogFormat, FlowLog, FlowLogResource, LogDestination, LogField, LogFormat,
    NewFlowLog, TrafficType,
};
pub use id::{
    AllocationId, AssociationId, AttachmentId, BadId, DhcpOptionsId, EgressOnlyInternetGatewayId, FlowLogId,
    ImageId, InstanceId, InterfaceId, InternetGatewayId, KeyPairId, NatGatewayId, NetworkAclAssociationId,
    NetworkAclId, PrefixListId, ReservationId, RouteTableAssociationId, RouteTableId, SecurityGroupId,
    SecurityGroupRuleId, SubnetCidrAssociationId, SubnetCidrReservationId, SubnetId, VpcCidrAssociationId,
    VpcId, VpcPeeringConnectionId,
};
pub use image::Image;
pub use instance::{
    Instance, InstanceAttribute, InstanceState, InterfaceSource, Launch, LaunchInterface, MetadataOptions,
    NetworkLimits, StateReason,
};
pub use interface::{
    Attachment, ConnectionTracking, InterfaceAttribute, InterfaceKind, Ipv6Addresses, NetworkInterface,
    NewInterface, NewPrefixes, SecondaryAddresses, knows_ipv6,
};
pub use internet_gateway::InternetGateway;
pub use key_pair::{KeyPair, PublicKey};
pub use mac::{BadMacAddress, MacAddress};
pub use nat_gateway::{
    Connectivity, NatGateway, NatGatewayAddress, NatGatewayAddressStatus, NatGatewayFailure, NatGatewayState,
    NatProfile, NewNatGateway,
};
pub use network_acl::{AclEntry, NetworkAcl, NetworkAclAssociation};
pub use peering::{PeeringStatus, VpcPeeringConnection};
pub use prefix_list::{AddressFamily, PrefixList, PrefixListEntry, PrefixListState, PrefixListUser};
pub use quota::{BadQuota, Quota, Quotas};
pub use region::{AccountId, Region, RegionKey, RegionName, zone_id};
pub use route_table::{
    BadDestination, Destination, Route, RouteOrigin, RouteState, RouteTable, RouteTarget, RouteVia,
};
pub use rule::{Across, BadProtocol, Direction, Peer, Permission, Protocol, Rule};
pub use security_group::SecurityGroup;
pub use subnet::{ReservationType, Subnet, SubnetCidrReservation, SubnetIpv6Attribute, SubnetIpv6CidrBlock};
pub use tag::{TaggedResource, Tags};
pub use vpc::{CidrAssociation, Vpc, VpcAttribute, VpcIpv6CidrBlock, free_ipv6_block};
