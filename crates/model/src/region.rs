//! The state of one account in one region.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::address::Address;
use crate::dhcp_options::DhcpOptions;
use crate::egress_only_internet_gateway::EgressOnlyInternetGateway;
use crate::flow_log::FlowLog;
use crate::id::{
    AllocationId, DhcpOptionsId, Digits, EgressOnlyInternetGatewayId, FlowLogId, ImageId, InstanceId,
    InterfaceId, InternetGatewayId, KeyPairId, NatGatewayId, NetworkAclId, PrefixListId, RouteTableId,
    SecurityGroupId, SubnetCidrReservationId, SubnetId, VpcId, VpcPeeringConnectionId,
};
use crate::image::Image;
use crate::instance::Instance;
use crate::interface::{NetworkInterface, host_name};
use crate::internet_gateway::InternetGateway;
use crate::key_pair::KeyPair;
use crate::nat_gateway::NatGateway;
use crate::network_acl::NetworkAcl;
use crate::peering::VpcPeeringConnection;
use crate::prefix_list::PrefixList;
use crate::quota::Quotas;
use crate::route_table::RouteTable;
use crate::security_group::SecurityGroup;
use crate::subnet::{Subnet, SubnetCidrReservation};
use crate::vpc::Vpc;

/// An AWS account: twelve digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub String);

/// A region's name, such as "eu-west-1".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegionName(pub String);

/// Tells the regions of all accounts apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RegionKey {
    /// Who owns it.
    pub account: AccountId,
    /// Which of the account's regions.
    pub region: RegionName,
}

/// Everything that one account has in one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Region {
    pub(crate) key: RegionKey,
    seed: u64,
    /// How many ids were drawn.
    drawn: u64,
    pub(crate) generation: u64,
    pub(crate) quotas: Quotas,
    pub(crate) vpcs: BTreeMap<VpcId, Vpc>,
    pub(crate) subnets: BTreeMap<SubnetId, Subnet>,
    pub(crate) route_tables: BTreeMap<RouteTableId, RouteTable>,
    pub(crate) internet_gateways: BTreeMap<InternetGatewayId, InternetGateway>,
    pub(crate) security_groups: BTreeMap<SecurityGroupId, SecurityGroup>,
    pub(crate) addresses: BTreeMap<AllocationId, Address>,
    pub(crate) interfaces: BTreeMap<InterfaceId, NetworkInterface>,
    pub(crate) key_pairs: BTreeMap<KeyPairId, KeyPair>,
    pub(crate) instances: BTreeMap<InstanceId, Instance>,
    #[serde(default)]
    pub(crate) egress_only_internet_gateways:
        BTreeMap<EgressOnlyInternetGatewayId, EgressOnlyInternetGateway>,
    #[serde(default)]
    pub(crate) prefix_lists: BTreeMap<PrefixListId, PrefixList>,
    #[serde(default)]
    pub(crate) nat_gateways: BTreeMap<NatGatewayId, NatGateway>,
    #[serde(default)]
    pub(crate) network_acls: BTreeMap<NetworkAclId, NetworkAcl>,
    #[serde(default)]
    pub(crate) vpc_peering_connections: BTreeMap<VpcPeeringConnectionId, VpcPeeringConnection>,
    #[serde(default)]
    pub(crate) dhcp_options: BTreeMap<DhcpOptionsId, DhcpOptions>,
    #[serde(default)]
    pub(crate) flow_logs: BTreeMap<FlowLogId, FlowLog>,
    #[serde(default)]
    pub(crate) subnet_cidr_reservations: BTreeMap<SubnetCidrReservationId, SubnetCidrReservation>,
    #[serde(default)]
    pub(crate) images: BTreeMap<ImageId, Image>,
}

impl Region {
    /// A region with nothing in it, not even a default VPC. The same changes applied to regions of the same `seed`
    /// make the same ids. It holds what EC2 lets a new account have.
    pub fn new(key: RegionKey, seed: u64) -> Region {
        Region::with_quotas(key, seed, Quotas::default())
    }

    /// As [`Region::new`], with other quotas.
    pub fn with_quotas(key: RegionKey, seed: u64, quotas: Quotas) -> Region {
        Region {
            key,
            seed,
            drawn: 0,
            generation: 0,
            quotas,
            vpcs: BTreeMap::new(),
            subnets: BTreeMap::new(),
            route_tables: BTreeMap::new(),
            internet_gateways: BTreeMap::new(),
            security_groups: BTreeMap::new(),
            addresses: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            key_pairs: BTreeMap::new(),
            instances: BTreeMap::new(),
            egress_only_internet_gateways: BTreeMap::new(),
            prefix_lists: BTreeMap::new(),
            nat_gateways: BTreeMap::new(),
            network_acls: BTreeMap::new(),
            vpc_peering_connections: BTreeMap::new(),
            dhcp_options: BTreeMap::new(),
            flow_logs: BTreeMap::new(),
            subnet_cidr_reservations: BTreeMap::new(),
            images: BTreeMap::new(),
        }
    }

    /// Whose region this is, and which.
    pub fn key(&self) -> &RegionKey {
        &self.key
    }

    /// Grows with each change that was not refused.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How much there can be.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// All VPCs.
    pub fn vpcs(&self) -> &BTreeMap<VpcId, Vpc> {
        &self.vpcs
    }

    /// The subnets of all VPCs.
    pub fn subnets(&self) -> &BTreeMap<SubnetId, Subnet> {
        &self.subnets
    }

    /// The route tables of all VPCs.
    pub fn route_tables(&self) -> &BTreeMap<RouteTableId, RouteTable> {
        &self.route_tables
    }

    /// All internet gateways, attached or not.
    pub fn internet_gateways(&self) -> &BTreeMap<InternetGatewayId, InternetGateway> {
        &self.internet_gateways
    }

    /// The security groups of all VPCs.
    pub fn security_groups(&self) -> &BTreeMap<SecurityGroupId, SecurityGroup> {
        &self.security_groups
    }

    /// All Elastic IP addresses, associated or not.
    pub fn addresses(&self) -> &BTreeMap<AllocationId, Address> {
        &self.addresses
    }

    /// The network interfaces of all VPCs.
    pub fn interfaces(&self) -> &BTreeMap<InterfaceId, NetworkInterface> {
        &self.interfaces
    }

    /// All key pairs.
    pub fn key_pairs(&self) -> &BTreeMap<KeyPairId, KeyPair> {
        &self.key_pairs
    }

    /// All instances, terminated ones that are not forgotten among them.
    pub fn instances(&self) -> &BTreeMap<InstanceId, Instance> {
        &self.instances
    }

    /// The egress-only internet gateways of all VPCs.
    pub fn egress_only_internet_gateways(
        &self,
    ) -> &BTreeMap<EgressOnlyInternetGatewayId, EgressOnlyInternetGateway> {
        &self.egress_only_internet_gateways
    }

    /// All managed prefix lists.
    pub fn prefix_lists(&self) -> &BTreeMap<PrefixListId, PrefixList> {
        &self.prefix_lists
    }

    /// All NAT gateways, deleted and failed ones that are not forgotten among them.
    pub fn nat_gateways(&self) -> &BTreeMap<NatGatewayId, NatGateway> {
        &self.nat_gateways
    }

    /// The network ACLs of all VPCs.
    pub fn network_acls(&self) -> &BTreeMap<NetworkAclId, NetworkAcl> {
        &self.network_acls
    }

    /// All VPC peering connections, ended ones that are not forgotten among them.
    pub fn vpc_peering_connections(&self) -> &BTreeMap<VpcPeeringConnectionId, VpcPeeringConnection> {
        &self.vpc_peering_connections
    }

    /// All DHCP option sets.
    pub fn dhcp_options(&self) -> &BTreeMap<DhcpOptionsId, DhcpOptions> {
        &self.dhcp_options
    }

    /// All flow logs.
    pub fn flow_logs(&self) -> &BTreeMap<FlowLogId, FlowLog> {
        &self.flow_logs
    }

    /// The reservations of the addresses of all subnets.
    pub fn subnet_cidr_reservations(&self) -> &BTreeMap<SubnetCidrReservationId, SubnetCidrReservation> {
        &self.subnet_cidr_reservations
    }

    /// All images that were registered, and not deregistered since.
    pub fn images(&self) -> &BTreeMap<ImageId, Image> {
        &self.images
    }

    /// The name that a private address has in the VPC's DNS: "ip-10-0-0-4.eu-west-1.compute.internal".
    pub fn private_dns_name(&self, address: Ipv4Addr) -> String {
        format!("{}.{}", host_name(address), self.key.region.domain())
    }

    /// An id that no resource of the region has or had.
    pub(crate) fn draw<Id: From<Digits>>(&mut self) -> Id {
        self.drawn += 1;
        Digits::draw(self.seed, self.drawn).into()
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Region::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut region = Region::deserialize(deserializer)?;
        region.complete_network_acls();
        region.complete_dhcp_options();
        Ok(region)
    }
}

impl RegionName {
    /// The region's availability zones.
    pub fn availability_zones(&self) -> impl Iterator<Item = String> {
        ('a'..='f').map(move |letter| format!("{self}{letter}"))
    }
}

/// The id of an availability zone: "euw1-az2" of "eu-west-1b". In AWS each account has its own order of letters;
/// here every account has the same.
pub fn zone_id(zone: &str) -> String {
    let letter = zone.chars().next_back().unwrap_or('a');
    let number = u32::from(letter).saturating_sub(u32::from('a')) + 1;
    let mut short = String::new();
    for (at, part) in zone.trim_end_matches(letter).split('-').enumerate() {
        short.push_str(match part {
            "northeast" => "ne",
            "northwest" => "nw",
            "southeast" => "se",
            "southwest" => "sw",
            "north" | "south" | "east" | "west" | "central" | "gov" => &part[..1],
            _ if at == 0 => part.get(..2).unwrap_or(part),
            _ => part,
        });
    }
    format!("{short}-az{number}")
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for RegionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for RegionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Network;

    #[test]
    fn names() {
        let key =
            RegionKey { account: AccountId("000000000000".into()), region: RegionName("eu-west-1".into()) };
        assert_eq!(key.to_string(), "000000000000/eu-west-1");
        let region = Region::new(key, 1);
        let address = Ipv4Addr::new(10, 210, 7, 14);
        assert_eq!(region.private_dns_name(address), "ip-10-210-7-14.eu-west-1.compute.internal");
        assert_eq!(RegionName("eu-west-1".into()).availability_zones().next().unwrap(), "eu-west-1a");
        for (zone, id) in [
            ("eu-west-1a", "euw1-az1"),
            ("us-east-1f", "use1-az6"),
            ("ap-southeast-2c", "apse2-az3"),
            ("ca-central-1b", "cac1-az2"),
        ] {
            assert_eq!(zone_id(zone), id);
        }
    }

    #[test]
    fn snapshots_from_before_public_addresses_are_read() {
        let mut network = Network::new();
        network.instance();
        let mut snapshot = serde_json::to_value(&network.region).unwrap();
        for (all, members) in [
            ("subnets", &["map_public_ip_on_launch"][..]),
            ("interfaces", &["associate_public_ip", "public_ip"]),
            ("instances", &["client_token"]),
        ] {
            for resource in snapshot[all].as_object_mut().unwrap().values_mut() {
                for member in members {
                    assert!(resource.as_object_mut().unwrap().remove(*member).is_some(), "{member}");
                }
            }
        }
        assert_eq!(serde_json::from_value::<Region>(snapshot).unwrap(), network.region);
    }

    /// What the first version wrote has none of these members.
    #[test]
    fn a_region_without_ipv6_is_read() {
        let mut network = Network::new();
        network.route_table();
        network.instance();
        let mut old = serde_json::to_value(&network.region).unwrap();
        let members = old.as_object_mut().unwrap();
        for (all, without) in [
            ("vpcs", ["ipv6"].as_slice()),
            ("subnets", &["ipv6", "assign_ipv6_address_on_creation", "enable_dns64"]),
            ("route_tables", &["gateway_associations"]),
            ("interfaces", &["ipv6_addresses", "connection_tracking", "prefixes"]),
        ] {
            for resource in members[all].as_object_mut().unwrap().values_mut() {
                for name in without {
                    assert!(resource.as_object_mut().unwrap().remove(*name).is_some(), "{all} {name}");
                }
            }
        }
        for name in ["egress_only_internet_gateways", "prefix_lists", "subnet_cidr_reservations"] {
            assert!(members.remove(name).is_some(), "{name}");
        }
        for name in
            ["ipv6_cidrs_per_vpc", "egress_only_internet_gateways", "prefix_lists", "entries_per_prefix_list"]
        {
            assert!(members["quotas"].as_object_mut().unwrap().remove(name).is_some(), "{name}");
        }
        assert_eq!(serde_json::from_value::<Region>(old).unwrap(), network.region);
    }
}
