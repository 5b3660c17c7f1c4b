//! The IPv6 CIDR blocks of a VPC.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use ipnet::{IpNet, Ipv6Net};

use crate::fault::Fault;
use crate::id::{VpcCidrAssociationId, VpcId};
use crate::quota::Quota;
use crate::region::Region;
use crate::vpc::VpcIpv6CidrBlock;

/// Prefix length of a VPC's IPv6 CIDR block (VPC User Guide, "VPC CIDR blocks").
const PREFIX_LENGTH: u8 = 56;

/// The lowest block of `pool` that a VPC can have and that is not taken.
pub fn free_ipv6_block(pool: Ipv6Net, taken: &BTreeSet<Ipv6Net>) -> Option<Ipv6Net> {
    pool.subnets(PREFIX_LENGTH).into_iter().flatten().find(|block| !taken.contains(block))
}

impl Region {
    /// The IPv6 CIDR blocks of all VPCs.
    pub fn ipv6_blocks(&self) -> impl Iterator<Item = Ipv6Net> {
        self.vpcs.values().flat_map(|vpc| &vpc.ipv6).map(|block| block.cidr)
    }

    pub(crate) fn associate_vpc_ipv6_cidr_block(
        &mut self,
        id: VpcId,
        cidr: Ipv6Net,
    ) -> Result<VpcCidrAssociationId, Fault> {
        let vpc = self.vpc(id)?;
        if cidr.prefix_len() != PREFIX_LENGTH || UNUSABLE.iter().any(|unusable| unusable.contains(&cidr)) {
            return Err(Fault::VpcRange(cidr.into()));
        }
        let cidr = cidr.trunc();
        // Unlike IPv4 addresses these are the same for everybody.
        if self.ipv6_blocks().any(|block| block == cidr) {
            return Err(Fault::CidrConflict(cidr.into()));
        }
        self.check_covers_no_route(id, cidr.into())?;
        self.quotas.allow(Quota::Ipv6CidrsPerVpc, vpc.ipv6.len() + 1)?;

        let first = vpc.ipv6.is_empty();
        let association = self.draw();
        if let Some(vpc) = self.vpcs.get_mut(&id) {
            vpc.ipv6.push(VpcIpv6CidrBlock { association, cidr });
        }
        self.add_local_routes(id, IpNet::V6(cidr));
        if first {
            self.let_ipv6_out(id);
            self.let_ipv6_through(id);
        }
        Ok(association)
    }

    pub(super) fn disassociate_vpc_ipv6_cidr_block(&mut self, id: VpcCidrAssociationId) -> Result<(), Fault> {
        let mut blocks = self.vpcs.values().flat_map(|vpc| vpc.ipv6.iter().map(move |block| (vpc.id, block)));
        let found = blocks.find(|(_, block)| block.association == id);
        let (vpc, cidr) =
            found.map(|(vpc, block)| (vpc, block.cidr)).ok_or(Fault::CidrAssociationNotFound(id))?;
        if self.subnets_of(vpc).any(|subnet| subnet.ipv6.is_some_and(|block| cidr.contains(&block.cidr))) {
            return Err(Fault::CidrInUse { vpc, cidr: cidr.into() });
        }

        if let Some(vpc) = self.vpcs.get_mut(&vpc) {
            vpc.ipv6.retain(|block| block.association != id);
        }
        self.remove_local_routes(vpc, IpNet::V6(cidr));
        Ok(())
    }
}

/// What no VPC can have: loopback and its like (RFC 4291 section 2.5), NAT64 (RFC 6052), AWS's services, link-local,
/// multicast.
const UNUSABLE: [Ipv6Net; 5] =
    [net(0, 0, 8), net(0x64, 0xff9b, 32), net(0xfd00, 0xec2, 32), net(0xfe80, 0, 10), net(0xff00, 0, 8)];

const fn net(first: u16, second: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, cidr6};
    use crate::{AclEntry, Applied, Change, Direction, Peer, RouteTarget, RouteVia};

    fn associate(vpc: VpcId, text: &str) -> Change {
        Change::AssociateVpcIpv6CidrBlock { vpc, cidr: cidr6(text) }
    }

    #[test]
    fn a_block_comes_with_local_routes_and_lets_groups_out() {
        let mut network = Network::new();
        let (table, plain) = (network.route_table(), network.security_group("plain"));
        let Applied::VpcCidrAssociation(association) =
            network.apply(associate(network.vpc, "2001:db8:0:1ff::/56"))
        else {
            panic!()
        };
        let vpc = network.region.vpcs()[&network.vpc].clone();
        let cidr = cidr6("2001:db8:0:100::/56");
        assert_eq!(vpc.ipv6, [VpcIpv6CidrBlock { association, cidr }]);
        for table in [table, network.route_table()] {
            let mut routes = network.region.route_tables()[&table].routes();
            assert!(routes.any(|r| r.destination == cidr.into() && r.target == RouteTarget::Local));
        }
        let everyone = Peer::Cidr6(cidr6("::/0"));
        for group in [plain, vpc.default_security_group, network.security_group("later")] {
            let mut rules = network.region.security_groups()[&group].rules();
            assert!(rules.any(|rule| rule.peer == everyone && rule.direction == Direction::Egress));
        }

        let disassociate = Change::DisassociateVpcCidrBlock { association };
        let subnet = network.subnet;
        network.apply(Change::AssociateSubnetCidrBlock { subnet, cidr: cidr6("2001:db8:0:100::/64") });
        assert_eq!(network.refused(disassociate.clone()).code(), "InvalidCidrBlock.InUse");
        network.apply(Change::DeleteSubnet { subnet });
        network.apply(disassociate.clone());
        assert!(network.region.route_tables()[&table].routes().all(|r| r.destination != cidr.into()));
        assert_eq!(network.refused(disassociate).code(), "InvalidVpcCidrBlockAssociationID.NotFound");
    }

    #[test]
    fn the_default_acl_lets_ipv6_through_unless_it_was_changed() {
        let mut network = Network::new();
        let acl = network.region.vpcs()[&network.vpc].default_network_acl;
        let number = 100;
        network.apply(Change::DeleteNetworkAclEntry { acl, direction: Direction::Egress, number });
        network.apply(associate(network.vpc, "2001:db8:0:100::/56"));
        network.apply(associate(network.vpc, "2001:db8:0:200::/56"));
        let acl = &network.region.network_acls()[&acl];
        let ingress: Vec<(u16, AclEntry)> =
            acl.ingress.iter().map(|(number, entry)| (*number, *entry)).collect();
        let last = AclEntry { cidr: "::/0".parse().unwrap(), ..ingress[0].1 };
        assert_eq!(ingress[1..], [(101, last)]);
        assert_eq!(acl.egress.len(), 0);
    }

    #[test]
    fn a_group_that_was_changed_is_not_let_out() {
        let mut network = Network::new();
        let group = network.security_group("strict");
        let rule = network.region.security_groups()[&group].rules().next().unwrap().id;
        network.apply(Change::RevokeSecurityGroupRule { group, rule });
        network.apply(associate(network.vpc, "2001:db8:0:100::/56"));
        assert_eq!(network.region.security_groups()[&group].rules().count(), 0);
    }

    #[test]
    fn blocks_of_a_region_are_apart() {
        let mut network = Network::new();
        let table = network.route_table();
        let (_, interface) = network.instance();
        let destination = cidr6("2001:db8:0:201::/64").into();
        network.apply(Change::CreateRoute { table, destination, target: RouteVia::Interface(interface) });
        network.apply(associate(network.other, "2001:db8:0:100::/56"));
        for text in [
            "2001:db8:0:100::/56",
            "2001:db8:0:200::/56",
            "2001:db8::/55",
            "2001:db8::/64",
            "fe80::/56",
            "ff00::/56",
            "fd00:ec2::/56",
            "64:ff9b::/56",
            "::/56",
        ] {
            assert_eq!(network.refused(associate(network.vpc, text)).code(), "InvalidVpc.Range", "{text}");
        }
        for n in 3..8 {
            network.apply(associate(network.vpc, &format!("2001:db8:0:{n}00::/56")));
        }
        let sixth = network.refused(associate(network.vpc, "2001:db8:0:900::/56"));
        assert_eq!(sixth.code(), "CidrLimitExceeded");
    }
}
