//! The secondary CIDR blocks of a VPC.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};

use crate::cidr_pool::{self, PREFIX_LENGTHS};
use crate::fault::{Fault, NotPermitted};
use crate::id::{VpcCidrAssociationId, VpcId};
use crate::quota::Quota;
use crate::region::Region;
use crate::vpc::{CidrAssociation, Vpc, is_usable};

impl Region {
    pub(crate) fn associate_vpc_cidr_block(
        &mut self,
        id: VpcId,
        cidr: Ipv4Net,
    ) -> Result<VpcCidrAssociationId, Fault> {
        let vpc = self.vpc(id)?;
        if !PREFIX_LENGTHS.contains(&cidr.prefix_len()) || !is_usable(cidr.network()) {
            return Err(Fault::VpcRange(cidr.into()));
        }
        let cidr = cidr.trunc();
        if vpc.cidrs().any(|own| cidr_pool::overlap(own, cidr)) {
            return Err(Fault::CidrConflict(cidr.into()));
        }
        if !goes_with(vpc, cidr) {
            return Err(Fault::CidrRestricted(cidr));
        }
        if let Some(connection) = self.peering_with(id, cidr) {
            return Err(Fault::CidrOfPeer { cidr, connection });
        }
        self.check_covers_no_route(id, cidr.into())?;
        self.quotas.allow(Quota::CidrsPerVpc, vpc.cidrs().count() + 1)?;

        let association = self.draw();
        if let Some(vpc) = self.vpcs.get_mut(&id) {
            vpc.secondary_cidrs.push(CidrAssociation { id: association, cidr });
        }
        self.add_local_routes(id, cidr.into());
        Ok(association)
    }

    pub(crate) fn disassociate_vpc_cidr_block(&mut self, id: VpcCidrAssociationId) -> Result<(), Fault> {
        if self.vpcs.values().any(|vpc| vpc.ipv6.iter().any(|block| block.association == id)) {
            return self.disassociate_vpc_ipv6_cidr_block(id);
        }
        let vpc =
            self.vpcs.values().find(|vpc| vpc.cidr_associations().any(|association| association.id == id));
        let vpc = vpc.ok_or(Fault::CidrAssociationNotFound(id))?;
        let at = vpc.secondary_cidrs.iter().position(|association| association.id == id);
        let at = at.ok_or(NotPermitted::PrimaryCidr(id))?;
        let (vpc, cidr) = (vpc.id, vpc.secondary_cidrs[at].cidr);
        if self.subnets_of(vpc).any(|subnet| cidr.contains(&subnet.cidr)) {
            return Err(Fault::CidrInUse { vpc, cidr: cidr.into() });
        }

        if let Some(vpc) = self.vpcs.get_mut(&vpc) {
            vpc.secondary_cidrs.remove(at);
        }
        self.remove_local_routes(vpc, cidr.into());
        Ok(())
    }

    /// Whether a VPC's new CIDR block would swallow the destination of a route.
    pub(super) fn check_covers_no_route(&self, vpc: VpcId, cidr: IpNet) -> Result<(), Fault> {
        let mut tables = self.route_tables.values().filter(|table| table.vpc == vpc);
        let covered = tables.find(|table| {
            let mut destinations = table.routes().flat_map(|route| self.cidrs_of(route.destination));
            destinations.any(|destination| cidr.contains(&destination))
        });
        covered.map_or(Ok(()), |table| Err(Fault::CidrCoversRoute { cidr, table: table.id }))
    }

    pub(super) fn add_local_routes(&mut self, vpc: VpcId, cidr: IpNet) {
        for table in self.route_tables.values_mut().filter(|table| table.vpc == vpc) {
            table.add_local(cidr);
        }
    }

    pub(super) fn remove_local_routes(&mut self, vpc: VpcId, cidr: IpNet) {
        for table in self.route_tables.values_mut().filter(|table| table.vpc == vpc) {
            table.remove_local(cidr);
        }
    }
}

/// Whether a VPC can have this secondary CIDR block (VPC User Guide, "IPv4 CIDR block association restrictions").
fn goes_with(vpc: &Vpc, cidr: Ipv4Net) -> bool {
    let (Some(range), Some(primary)) = (private_range(cidr), private_range(vpc.cidr)) else {
        // One of the two is public: it goes with everything else but the private ranges of a public VPC.
        return private_range(cidr).is_none() && !SERVICES.contains(&cidr);
    };
    range == primary
        && !DEFAULT_VPCS.contains(&cidr)
        && !(LOWEST.contains(&cidr) && vpc.cidrs().any(|own| LOW.contains(&own)))
}

/// The range of RFC 1918 that a CIDR block is of.
fn private_range(cidr: Ipv4Net) -> Option<Ipv4Net> {
    PRIVATE.into_iter().find(|range| range.contains(&cidr))
}

const PRIVATE: [Ipv4Net; 3] = [net(10, 0, 8), net(172, 16, 12), net(192, 168, 16)];
const LOWEST: Ipv4Net = net(10, 0, 16);
const LOW: Ipv4Net = net(10, 0, 15);
const DEFAULT_VPCS: Ipv4Net = net(172, 31, 16);
/// What AWS's own services use.
const SERVICES: Ipv4Net = net(198, 19, 16);

const fn net(a: u8, b: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, cidr, region, tags};
    use crate::{Applied, Change, RouteTarget, RouteVia};

    fn associate(vpc: VpcId, text: &str) -> Change {
        Change::AssociateVpcCidrBlock { vpc, cidr: cidr(text) }
    }

    fn associated(network: &mut Network, text: &str) -> VpcCidrAssociationId {
        match network.apply(associate(network.vpc, text)) {
            Applied::VpcCidrAssociation(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn locals(network: &Network) -> Vec<Vec<String>> {
        let tables = network.region.route_tables().values().filter(|table| table.vpc == network.vpc);
        let local = |table: &crate::RouteTable| {
            let local = table.routes().filter(|route| route.target == RouteTarget::Local);
            local.map(|route| route.destination.to_string()).collect()
        };
        tables.map(local).collect()
    }

    #[test]
    fn a_block_comes_with_local_routes_and_subnets() {
        let mut network = Network::new();
        network.route_table();
        let association = associated(&mut network, "10.2.0.9/16");
        let vpc = network.region.vpcs()[&network.vpc].clone();
        assert_eq!(vpc.cidrs().collect::<Vec<_>>(), [cidr("10.0.0.0/16"), cidr("10.2.0.0/16")]);
        assert_eq!(vpc.dns(), Ipv4Addr::new(10, 0, 0, 2));
        network.route_table();
        assert_eq!(locals(&network), vec![vec!["10.0.0.0/16", "10.2.0.0/16"]; 3]);

        let create = Change::CreateSubnet {
            vpc: network.vpc,
            cidr: cidr("10.2.1.0/24"),
            availability_zone: None,
            tags: tags("second"),
        };
        let Applied::Subnet(subnet) = network.apply(create) else { panic!() };
        let disassociate = Change::DisassociateVpcCidrBlock { association };
        let fault = network.refused(disassociate.clone());
        assert_eq!(
            (fault.code(), fault),
            (
                "InvalidCidrBlock.InUse",
                Fault::CidrInUse { vpc: network.vpc, cidr: cidr("10.2.0.0/16").into() }
            )
        );
        network.apply(Change::DeleteSubnet { subnet });
        network.apply(disassociate.clone());
        assert_eq!(locals(&network), vec![vec!["10.0.0.0/16"]; 3]);
        assert_eq!(network.refused(disassociate).code(), "InvalidVpcCidrBlockAssociationID.NotFound");
        let primary = Change::DisassociateVpcCidrBlock { association: vpc.cidr_association };
        assert_eq!(network.refused(primary).code(), "OperationNotPermitted");
    }

    #[test]
    fn a_block_overlaps_nothing_and_swallows_no_route() {
        let mut network = Network::new();
        let table = network.route_table();
        let (_, interface) = network.instance();
        let (destination, target) = (cidr("10.2.4.0/24").into(), RouteVia::Interface(interface));
        network.apply(Change::CreateRoute { table, destination, target });
        for (text, code) in [
            ("10.0.0.0/16", "InvalidVpc.Range"),
            ("10.0.128.0/17", "InvalidVpc.Range"),
            ("10.2.0.0/15", "InvalidVpc.Range"),
            ("10.3.0.0/29", "InvalidVpc.Range"),
            ("169.254.0.0/16", "InvalidVpc.Range"),
        ] {
            assert_eq!(network.refused(associate(network.vpc, text)).code(), code, "{text}");
        }
        for covering in ["10.2.0.0/16", "10.2.4.0/24"] {
            let fault = network.refused(associate(network.vpc, covering));
            assert_eq!(fault, Fault::CidrCoversRoute { cidr: cidr(covering).into(), table });
        }
        associated(&mut network, "10.2.4.0/25");
        for third in ["10.3.0.0/16", "10.4.0.0/16", "100.64.0.0/16"] {
            associated(&mut network, third);
        }
        assert_eq!(network.refused(associate(network.vpc, "10.5.0.0/16")).code(), "CidrLimitExceeded");
    }

    #[test]
    fn ranges_that_go_together() {
        for (primary, second, together) in [
            ("10.5.0.0/16", "10.6.0.0/16", true),
            ("10.5.0.0/16", "10.0.0.0/16", true),
            ("10.1.0.0/16", "10.0.0.0/24", false),
            ("10.5.0.0/16", "172.16.0.0/16", false),
            ("10.5.0.0/16", "192.168.0.0/16", false),
            ("10.5.0.0/16", "198.19.0.0/16", false),
            ("10.5.0.0/16", "198.18.0.0/16", true),
            ("10.5.0.0/16", "100.64.0.0/16", true),
            ("10.5.0.0/16", "8.8.0.0/16", true),
            ("172.16.0.0/16", "172.17.0.0/16", true),
            ("172.16.0.0/16", "172.31.0.0/20", false),
            ("172.16.0.0/16", "10.0.0.0/16", false),
            ("192.168.0.0/20", "192.168.16.0/20", true),
            ("192.168.0.0/20", "172.16.0.0/16", false),
            ("198.19.0.0/20", "100.64.0.0/16", true),
            ("198.19.0.0/20", "10.5.0.0/16", false),
            ("100.64.0.0/16", "8.8.0.0/16", true),
            ("100.64.0.0/16", "10.5.0.0/16", false),
            ("8.8.0.0/16", "198.19.0.0/16", false),
        ] {
            let mut region = region();
            let create = Change::CreateVpc { cidr: cidr(primary), tags: tags("x") };
            let Ok(Applied::Vpc(vpc)) = region.apply(create) else { panic!() };
            let answer = region.apply(associate(vpc, second));
            match answer {
                Ok(_) => assert!(together, "{second} with {primary}"),
                Err(fault) => {
                    assert_eq!((together, fault), (false, Fault::CidrRestricted(cidr(second))));
                }
            }
        }
    }
}
