//! How much one account can have in one region.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::fault::Fault;

mod named;

pub use named::BadQuota;

/// How many there can be of each (VPC User Guide, "Amazon VPC quotas"; EC2 User Guide, "Amazon EC2 service quotas").
/// The default is what a new AWS account has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quotas {
    /// VPCs.
    pub vpcs: usize,
    /// CIDR blocks of a VPC, the primary one included.
    pub cidrs_per_vpc: usize,
    /// Subnets of a VPC.
    pub subnets_per_vpc: usize,
    /// Route tables of a VPC, the main one included.
    pub route_tables_per_vpc: usize,
    /// Routes of a table, without the local ones. IPv4 and IPv6 are counted apart; a prefix list counts with the
    /// most entries it can have.
    pub routes_per_table: usize,
    /// Internet gateways, attached or not.
    pub internet_gateways: usize,
    /// Security groups of all VPCs, the default ones included.
    pub security_groups: usize,
    /// Rules of a security group for each direction. IPv4 and IPv6 are counted apart; a prefix list counts with the
    /// most entries it can have.
    pub rules_per_group: usize,
    /// Security groups of an interface.
    pub groups_per_interface: usize,
    /// Elastic IP addresses.
    pub addresses: usize,
    /// Network interfaces of all VPCs.
    pub interfaces: usize,
    /// Interfaces of an instance whose type is not known. EC2 has a number for each; this is its largest.
    pub interfaces_per_instance: usize,
    /// Private IPv4 addresses of an interface, the primary included, and as many IPv6 addresses, as long as no instance
    /// of a known type has it. EC2 has a number for each; this is its largest.
    pub addresses_per_interface: usize,
    /// IPv6 CIDR blocks of a VPC.
    pub ipv6_cidrs_per_vpc: usize,
    /// Egress-only internet gateways.
    pub egress_only_internet_gateways: usize,
    /// Managed prefix lists.
    pub prefix_lists: usize,
    /// The most entries that a prefix list can be made for.
    pub entries_per_prefix_list: usize,
    /// NAT gateways of an availability zone that neither failed nor were deleted.
    pub nat_gateways_per_zone: usize,
    /// Elastic IP addresses of a NAT gateway; EC2 gives no more than 8.
    pub addresses_per_nat_gateway: usize,
    /// Private addresses of a NAT gateway.
    pub private_addresses_per_nat_gateway: usize,
    /// Network ACLs of a VPC, the default one included.
    pub network_acls_per_vpc: usize,
    /// Rules of a network ACL for each direction; EC2 gives no more than 40.
    pub rules_per_network_acl: usize,
    /// VPC peering connections of a VPC that are active.
    pub active_peerings_per_vpc: usize,
    /// VPC peering connections that a VPC asked for and that are not accepted yet.
    pub outstanding_peerings: usize,
    /// DHCP option sets, without the default one. EC2 does not tell its number.
    pub dhcp_options: usize,
}

/// A quota that a change would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Quota {
    /// `VpcLimitExceeded`
    #[error("The maximum number of VPCs has been reached.")]
    Vpcs,
    /// `CidrLimitExceeded`
    #[error("This network has met its maximum number of allowed CIDRs.")]
    CidrsPerVpc,
    /// `SubnetLimitExceeded`
    #[error("The maximum number of subnets has been reached.")]
    SubnetsPerVpc,
    /// `RouteTableLimitExceeded`
    #[error("The maximum number of route tables has been reached.")]
    RouteTablesPerVpc,
    /// `RouteLimitExceeded`
    #[error("The maximum number of routes has been reached.")]
    RoutesPerTable,
    /// `InternetGatewayLimitExceeded`
    #[error("The maximum number of internet gateways has been reached.")]
    InternetGateways,
    /// `SecurityGroupLimitExceeded`
    #[error("The maximum number of security groups has been reached.")]
    SecurityGroups,
    /// `RulesPerSecurityGroupLimitExceeded`
    #[error("The maximum number of rules per security group has been reached.")]
    RulesPerGroup,
    /// `SecurityGroupsPerInterfaceLimitExceeded`
    #[error("The maximum number of security groups per interface has been reached.")]
    GroupsPerInterface,
    /// `AddressLimitExceeded`
    #[error("The maximum number of addresses has been reached.")]
    Addresses,
    /// `NetworkInterfaceLimitExceeded`
    #[error("The maximum number of network interfaces has been reached.")]
    Interfaces,
    /// `PrivateIpAddressLimitExceeded`
    #[error("Number of private addresses will exceed limit.")]
    AddressesPerInterface,
    /// `CidrLimitExceeded`
    #[error("This network has met its maximum number of allowed IPv6 CIDRs.")]
    Ipv6CidrsPerVpc,
    /// `EgressOnlyInternetGatewayLimitExceeded`
    #[error("The maximum number of egress-only internet gateways has been reached.")]
    EgressOnlyInternetGateways,
    /// `PrefixListLimitExceeded`
    #[error("The maximum number of prefix lists has been reached.")]
    PrefixLists,
    /// `PrefixListMaxEntriesExceeded`
    #[error("The maximum number of entries of a prefix list has been reached.")]
    EntriesPerPrefixList,
    /// `NatGatewayLimitExceeded`
    #[error("Performing this operation would exceed the limit of NAT gateways in this availability zone.")]
    NatGatewaysPerZone,
    /// `AddressLimitExceeded`
    #[error("The maximum number of Elastic IP addresses per NAT gateway has been reached.")]
    AddressesPerNatGateway,
    /// `PrivateIpAddressLimitExceeded`
    #[error("The maximum number of private addresses per NAT gateway has been reached.")]
    PrivateAddressesPerNatGateway,
    /// `NetworkAclLimitExceeded`
    #[error("The maximum number of network ACLs has been reached.")]
    NetworkAclsPerVpc,
    /// `NetworkAclEntryLimitExceeded`
    #[error("The maximum number of network ACL entries has been reached.")]
    RulesPerNetworkAcl,
    /// `ActiveVpcPeeringConnectionPerVpcLimitExceeded`
    #[error("The maximum number of active VPC peering connections per VPC has been reached.")]
    ActivePeeringsPerVpc,
    /// `OutstandingVpcPeeringConnectionLimitExceeded`
    #[error("The maximum number of outstanding VPC peering connection requests has been reached.")]
    OutstandingPeerings,
    /// `DhcpOptionsLimitExceeded`
    #[error("The maximum number of DHCP option sets has been reached.")]
    DhcpOptions,
}

impl Default for Quotas {
    fn default() -> Self {
        Quotas {
            vpcs: 5,
            cidrs_per_vpc: 5,
            subnets_per_vpc: 200,
            route_tables_per_vpc: 200,
            routes_per_table: 50,
            internet_gateways: 5,
            security_groups: 2500,
            rules_per_group: 60,
            groups_per_interface: 5,
            addresses: 5,
            interfaces: 5000,
            interfaces_per_instance: 15,
            addresses_per_interface: 50,
            ipv6_cidrs_per_vpc: 5,
            egress_only_internet_gateways: 5,
            prefix_lists: 100,
            entries_per_prefix_list: 1000,
            nat_gateways_per_zone: 5,
            addresses_per_nat_gateway: 2,
            private_addresses_per_nat_gateway: 8,
            network_acls_per_vpc: 200,
            rules_per_network_acl: 20,
            active_peerings_per_vpc: 50,
            outstanding_peerings: 25,
            dhcp_options: 100,
        }
    }
}

impl Quotas {
    /// Whether there can be `count` of what the quota is for.
    pub(crate) fn allow(&self, quota: Quota, count: usize) -> Result<(), Fault> {
        if count <= self.most(quota) { Ok(()) } else { Err(Fault::LimitExceeded(quota)) }
    }

    fn most(&self, quota: Quota) -> usize {
        match quota {
            Quota::Vpcs => self.vpcs,
            Quota::CidrsPerVpc => self.cidrs_per_vpc,
            Quota::SubnetsPerVpc => self.subnets_per_vpc,
            Quota::RouteTablesPerVpc => self.route_tables_per_vpc,
            Quota::RoutesPerTable => self.routes_per_table,
            Quota::InternetGateways => self.internet_gateways,
            Quota::SecurityGroups => self.security_groups,
            Quota::RulesPerGroup => self.rules_per_group,
            Quota::GroupsPerInterface => self.groups_per_interface,
            Quota::Addresses => self.addresses,
            Quota::Interfaces => self.interfaces,
            Quota::AddressesPerInterface => self.addresses_per_interface,
            Quota::Ipv6CidrsPerVpc => self.ipv6_cidrs_per_vpc,
            Quota::EgressOnlyInternetGateways => self.egress_only_internet_gateways,
            Quota::PrefixLists => self.prefix_lists,
            Quota::EntriesPerPrefixList => self.entries_per_prefix_list,
            Quota::NatGatewaysPerZone => self.nat_gateways_per_zone,
            Quota::AddressesPerNatGateway => self.addresses_per_nat_gateway,
            Quota::PrivateAddressesPerNatGateway => self.private_addresses_per_nat_gateway,
            Quota::NetworkAclsPerVpc => self.network_acls_per_vpc,
            Quota::RulesPerNetworkAcl => self.rules_per_network_acl,
            Quota::ActivePeeringsPerVpc => self.active_peerings_per_vpc,
            Quota::OutstandingPeerings => self.outstanding_peerings,
            Quota::DhcpOptions => self.dhcp_options,
        }
    }
}

impl Quota {
    /// EC2's error code.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Quota::Vpcs => "VpcLimitExceeded",
            Quota::CidrsPerVpc => "CidrLimitExceeded",
            Quota::SubnetsPerVpc => "SubnetLimitExceeded",
            Quota::RouteTablesPerVpc => "RouteTableLimitExceeded",
            Quota::RoutesPerTable => "RouteLimitExceeded",
            Quota::InternetGateways => "InternetGatewayLimitExceeded",
            Quota::SecurityGroups => "SecurityGroupLimitExceeded",
            Quota::RulesPerGroup => "RulesPerSecurityGroupLimitExceeded",
            Quota::GroupsPerInterface => "SecurityGroupsPerInterfaceLimitExceeded",
            Quota::Addresses | Quota::AddressesPerNatGateway => "AddressLimitExceeded",
            Quota::Interfaces => "NetworkInterfaceLimitExceeded",
            Quota::AddressesPerInterface | Quota::PrivateAddressesPerNatGateway => {
                "PrivateIpAddressLimitExceeded"
            }
            Quota::Ipv6CidrsPerVpc => "CidrLimitExceeded",
            Quota::EgressOnlyInternetGateways => "EgressOnlyInternetGatewayLimitExceeded",
            Quota::PrefixLists => "PrefixListLimitExceeded",
            Quota::EntriesPerPrefixList => "PrefixListMaxEntriesExceeded",
            Quota::NatGatewaysPerZone => "NatGatewayLimitExceeded",
            Quota::NetworkAclsPerVpc => "NetworkAclLimitExceeded",
            Quota::RulesPerNetworkAcl => "NetworkAclEntryLimitExceeded",
            Quota::ActivePeeringsPerVpc => "ActiveVpcPeeringConnectionPerVpcLimitExceeded",
            Quota::OutstandingPeerings => "OutstandingVpcPeeringConnectionLimitExceeded",
            Quota::DhcpOptions => "DhcpOptionsLimitExceeded",
        }
    }
}
