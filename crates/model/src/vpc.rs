//! VPCs.

use std::iter;
use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::cidr_pool::{self, PREFIX_LENGTHS};
use crate::fault::{Dependency, Fault};
use crate::id::{
    self, DhcpOptionsId, NetworkAclId, RouteTableAssociationId, RouteTableId, SecurityGroupId,
    VpcCidrAssociationId, VpcId,
};
use crate::quota::Quota;
use crate::region::Region;
use crate::route_table::RouteTable;
use crate::security_group::SecurityGroup;
use crate::tag::{self, Tags};

mod cidr;
mod default;
mod dns;
mod ipv6;

pub use dns::VpcAttribute;

pub use ipv6::free_ipv6_block;

/// A network of its own: addresses of one VPC mean nothing in another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    /// Its id.
    pub id: VpcId,
    /// Its primary CIDR block, without host bits.
    pub cidr: Ipv4Net,
    /// The association of the primary CIDR block.
    pub cidr_association: VpcCidrAssociationId,
    /// The CIDR blocks that it was given later, oldest first.
    pub secondary_cidrs: Vec<CidrAssociation>,
    /// The route table of subnets that have none of their own.
    pub main_route_table: RouteTableId,
    /// The association with the main route table.
    pub main_association: RouteTableAssociationId,
    /// The group of interfaces that are given none.
    pub default_security_group: SecurityGroupId,
    /// Its IPv6 CIDR blocks, oldest first.
    #[serde(default)]
    pub ipv6: Vec<VpcIpv6CidrBlock>,
    /// Its tags.
    pub tags: Tags,
    /// The network ACL of subnets that were given no other.
    #[serde(default = "id::none")]
    pub default_network_acl: NetworkAclId,
    /// Whether it is where instances are launched for which no subnet is named.
    #[serde(default)]
    pub is_default: bool,
    /// What DHCP says in it besides addresses; nothing if there is none.
    #[serde(default = "from_before_there_were_option_sets")]
    pub dhcp_options: Option<DhcpOptionsId>,
    /// Whether its resolver answers.
    #[serde(default = "on")]
    pub enable_dns_support: bool,
    /// Whether its instances have public DNS names, and its resolver knows their private ones.
    #[serde(default)]
    pub enable_dns_hostnames: bool,
}

/// An IPv6 CIDR block of a VPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcIpv6CidrBlock {
    /// What ties it to the VPC.
    pub association: VpcCidrAssociationId,
    /// A /56, without host bits.
    pub cidr: Ipv6Net,
}

/// What ties a CIDR block to a VPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CidrAssociation {
    /// Its id.
    pub id: VpcCidrAssociationId,
    /// The CIDR block, without host bits.
    pub cidr: Ipv4Net,
}

impl Vpc {
    /// Its CIDR blocks, the primary first.
    pub fn cidrs(&self) -> impl Iterator<Item = Ipv4Net> {
        self.cidr_associations().map(|association| association.cidr)
    }

    /// What ties its CIDR blocks to it, the primary first.
    pub fn cidr_associations(&self) -> impl Iterator<Item = CidrAssociation> {
        let primary = CidrAssociation { id: self.cidr_association, cidr: self.cidr };
        iter::once(primary).chain(self.secondary_cidrs.iter().copied())
    }

    /// Its CIDR blocks of both families.
    pub(crate) fn all_cidrs(&self) -> impl Iterator<Item = IpNet> {
        self.cidrs().map(IpNet::from).chain(self.ipv6.iter().map(|block| block.cidr.into()))
    }

    /// Whether all of `cidr` lies in one of its CIDR blocks.
    pub(crate) fn contains(&self, cidr: IpNet) -> bool {
        self.all_cidrs().any(|own| own.contains(&cidr))
    }

    /// Where the VPC's resolver answers: the second address above that of its primary CIDR block.
    pub fn dns(&self) -> Ipv4Addr {
        cidr_pool::at(self.cidr, 2)
    }
}

impl Region {
    pub(crate) fn vpc(&self, id: VpcId) -> Result<&Vpc, Fault> {
        self.vpcs.get(&id).ok_or(Fault::VpcNotFound(id))
    }

    pub(crate) fn create_vpc(&mut self, cidr: Ipv4Net, tags: Tags) -> Result<VpcId, Fault> {
        if !PREFIX_LENGTHS.contains(&cidr.prefix_len()) || !is_usable(cidr.network()) {
            return Err(Fault::VpcRange(cidr.into()));
        }
        tag::check(&tags)?;
        self.quotas.allow(Quota::Vpcs, self.vpcs.len() + 1)?;

        Ok(self.insert_vpc(cidr.trunc(), tags))
    }

    fn insert_vpc(&mut self, cidr: Ipv4Net, tags: Tags) -> VpcId {
        let id = self.draw();
        let table = RouteTable::new(self.draw(), id, iter::once(cidr.into()), Tags::new());
        let group = SecurityGroup::default_of(id, self);
        let vpc = Vpc {
            id,
            cidr,
            cidr_association: self.draw(),
            secondary_cidrs: Vec::new(),
            main_route_table: table.id,
            main_association: self.draw(),
            default_security_group: group.id,
            ipv6: Vec::new(),
            tags,
            default_network_acl: self.insert_default_network_acl(id),
            is_default: false,
            dhcp_options: Some(self.default_dhcp_options()),
            enable_dns_support: true,
            enable_dns_hostnames: false,
        };
        self.route_tables.insert(table.id, table);
        self.security_groups.insert(group.id, group);
        self.vpcs.insert(id, vpc);
        id
    }

    pub(crate) fn delete_vpc(&mut self, id: VpcId) -> Result<(), Fault> {
        let vpc = self.vpc(id)?;
        let (main, default) = (vpc.main_route_table, vpc.default_security_group);
        let default_acl = vpc.default_network_acl;
        let in_use = self.subnets_of(id).next().is_some()
            || self.internet_gateway_of(id).is_some()
            || self.egress_only_internet_gateway_of(id).is_some()
            || self.route_tables.values().any(|table| table.vpc == id && table.id != main)
            || self.security_groups.values().any(|group| group.vpc == id && group.id != default)
            || self.network_acls.values().any(|acl| acl.vpc == id && acl.id != default_acl)
            || self.standing_peerings(id).next().is_some();
        if in_use {
            return Err(Dependency::Vpc(id).into());
        }

        self.route_tables.remove(&main);
        self.security_groups.remove(&default);
        self.network_acls.remove(&default_acl);
        self.vpcs.remove(&id);
        Ok(())
    }
}

/// An id that no option set has, unlike none at all: the region completes it.
#[expect(clippy::unnecessary_wraps, reason = "serde asks for the member's type")]
fn from_before_there_were_option_sets() -> Option<DhcpOptionsId> {
    Some(id::none())
}

/// What older snapshots do not say.
fn on() -> bool {
    true
}

/// Whether hosts can have addresses of this network. EC2 allows public ones.
pub(crate) fn is_usable(network: Ipv4Addr) -> bool {
    let first = network.octets()[0];
    (1..224).contains(&first) && !network.is_loopback() && !network.is_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, cidr, region, tags};
    use crate::{Applied, Change, Direction, Peer, Protocol, Quotas, RouteTarget};

    #[test]
    fn a_vpc_comes_with_a_route_table_and_a_group() {
        let mut region = region();
        let create = Change::CreateVpc { cidr: cidr("100.68.0.18/18"), tags: tags("lab") };
        let Ok(Applied::Vpc(id)) = region.apply(create) else { panic!() };
        let vpc = &region.vpcs()[&id];
        assert_eq!((vpc.cidr, vpc.dns()), (cidr("100.68.0.0/18"), "100.68.0.2".parse().unwrap()));
        assert_eq!(vpc.tags, tags("lab"));

        let table = &region.route_tables()[&vpc.main_route_table];
        let routes: Vec<_> = table.routes().map(|route| (route.destination, route.target)).collect();
        assert_eq!((table.vpc, routes), (id, vec![(vpc.cidr.into(), RouteTarget::Local)]));

        let group = &region.security_groups()[&vpc.default_security_group];
        let rules: Vec<_> = group.rules().map(|rule| (rule.direction, rule.protocol, rule.peer)).collect();
        let expected = [
            (Direction::Ingress, Protocol::All, Peer::Group(group.id)),
            (Direction::Egress, Protocol::All, Peer::Cidr(cidr("0.0.0.0/0"))),
        ];
        assert_eq!((group.name.as_str(), rules), ("default", expected.to_vec()));
    }

    #[test]
    fn sixteen_to_twenty_eight() {
        let mut region = region();
        for text in ["10.0.0.0/16", "10.0.0.0/28", "8.8.0.0/16"] {
            region.apply(Change::CreateVpc { cidr: cidr(text), tags: tags("x") }).unwrap();
        }
        for text in [
            "10.0.0.0/15",
            "10.0.0.0/29",
            "0.0.0.0/0",
            "127.0.0.0/16",
            "169.254.0.0/16",
            "224.0.0.0/16",
            "0.1.0.0/16",
        ] {
            let fault = region.apply(Change::CreateVpc { cidr: cidr(text), tags: tags("x") }).unwrap_err();
            assert_eq!((fault.code(), fault), ("InvalidVpc.Range", Fault::VpcRange(cidr(text).into())));
        }
    }

    #[test]
    fn a_vpc_that_is_empty_goes() {
        let mut network = Network::new();
        let (vpc, delete) = (network.vpc, Change::DeleteVpc { vpc: network.vpc });
        let in_the_way = |network: &mut Network, remove: Change| {
            let fault = network.refused(delete.clone());
            assert_eq!((fault.code(), fault), ("DependencyViolation", Dependency::Vpc(vpc).into()));
            network.apply(remove);
        };
        let subnet = network.subnet;
        in_the_way(&mut network, Change::DeleteSubnet { subnet });
        let igw = network.internet_gateway();
        in_the_way(&mut network, Change::DetachInternetGateway { igw, vpc });
        let group = network.security_group("web");
        in_the_way(&mut network, Change::DeleteSecurityGroup { group });
        let table = network.route_table();
        in_the_way(&mut network, Change::DeleteRouteTable { table });

        network.apply(delete.clone());
        assert_eq!(network.refused(delete), Fault::VpcNotFound(vpc));
        assert_eq!((network.region.route_tables().len(), network.region.security_groups().len()), (1, 1));
    }

    #[test]
    fn five_at_most_or_as_many_as_the_quota() {
        let create = || Change::CreateVpc { cidr: cidr("10.0.0.0/16"), tags: tags("x") };
        let mut region = region();
        for _ in 0..5 {
            region.apply(create()).unwrap();
        }
        assert_eq!(region.apply(create()).unwrap_err().code(), "VpcLimitExceeded");
        let mut larger =
            Region::with_quotas(region.key().clone(), 1, Quotas { vpcs: 6, ..Quotas::default() });
        for _ in 0..6 {
            larger.apply(create()).unwrap();
        }
        assert_eq!(larger.apply(create()), Err(Fault::LimitExceeded(Quota::Vpcs)));
    }
}
