//! VPCs.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::cidr_pool::{self, PREFIX_LENGTHS};
use crate::fault::Fault;
use crate::id::{RouteTableId, SecurityGroupId, VpcId};
use crate::region::Region;
use crate::route_table::RouteTable;
use crate::security_group::SecurityGroup;
use crate::tag::{self, Tags};

/// A network of its own: addresses of one VPC mean nothing in another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    /// Its id.
    pub id: VpcId,
    /// All its addresses, without host bits.
    pub cidr: Ipv4Net,
    /// The route table of subnets that have none of their own.
    pub main_route_table: RouteTableId,
    /// The group of interfaces that are given none.
    pub default_security_group: SecurityGroupId,
    /// Its tags.
    pub tags: Tags,
}

impl Vpc {
    /// Where the VPC's resolver answers: the second address above the network's.
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
            return Err(Fault::VpcRange(cidr));
        }
        tag::check(&tags)?;

        let cidr = cidr.trunc();
        let id = self.draw();
        let table = RouteTable::new(self.draw(), id, cidr, Tags::new());
        let group = SecurityGroup::default_of(id, self);
        let vpc = Vpc { id, cidr, main_route_table: table.id, default_security_group: group.id, tags };
        self.route_tables.insert(table.id, table);
        self.security_groups.insert(group.id, group);
        self.vpcs.insert(id, vpc);
        Ok(id)
    }
}

/// Whether hosts can have addresses of this network. EC2 allows public ones.
fn is_usable(network: Ipv4Addr) -> bool {
    let first = network.octets()[0];
    (1..224).contains(&first) && !network.is_loopback() && !network.is_link_local()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{cidr, region, tags};
    use crate::{Applied, Change, Direction, Fault, Peer, Protocol, RouteTarget};

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
        assert_eq!((table.vpc, routes), (id, vec![(vpc.cidr, RouteTarget::Local)]));

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
            assert_eq!((fault.code(), fault), ("InvalidVpc.Range", Fault::VpcRange(cidr(text))));
        }
    }
}
