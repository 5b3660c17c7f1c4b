//! The desired world: the nouns of a VPC and their rules, as EC2 has them.
//!
//! A [`Region`] holds the resources of one account in one region. A [`Change`] alters it through
//! [`Region::apply`], or is refused with the [`Fault`] that EC2 would answer, and then nothing has changed.
//! There is one file for each resource, with its fields and its rules.

mod address;
mod change;
mod cidr_pool;
mod fault;
#[cfg(test)]
mod fixture;
mod id;
mod instance;
mod interface;
mod internet_gateway;
mod mac;
mod region;
mod route_table;
mod rule;
mod security_group;
mod subnet;
mod tag;
mod vpc;

pub use address::{Address, AddressAssociation};
pub use change::{Applied, Change};
pub use fault::{Fault, InvalidValue};
pub use id::{
    AllocationId, AssociationId, AttachmentId, BadId, ImageId, InstanceId, InterfaceId, InternetGatewayId,
    ReservationId, RouteTableAssociationId, RouteTableId, SecurityGroupId, SecurityGroupRuleId, SubnetId,
    VpcId,
};
pub use instance::{Instance, InstanceState, MetadataOptions};
pub use interface::{Attachment, NetworkInterface};
pub use internet_gateway::InternetGateway;
pub use mac::{BadMacAddress, MacAddress};
pub use region::{AccountId, Region, RegionKey, RegionName};
pub use route_table::{Route, RouteOrigin, RouteState, RouteTable, RouteTarget, RouteVia};
pub use rule::{BadProtocol, Direction, Peer, Permission, Protocol, Rule};
pub use security_group::SecurityGroup;
pub use subnet::Subnet;
pub use tag::Tags;
pub use vpc::Vpc;
