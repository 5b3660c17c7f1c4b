//! Network ACLs (VPC User Guide, "Control subnet traffic with network access control lists").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fault::{Dependency, Fault, InvalidValue};
use crate::id::{self, NetworkAclAssociationId, NetworkAclId, SubnetId, VpcId};
use crate::prefix_list::AddressFamily;
use crate::quota::Quota;
use crate::region::Region;
use crate::rule::Direction;
use crate::subnet::Subnet;
use crate::tag::{self, Tags};

mod entry;

pub use entry::AclEntry;

/// What filters each packet that crosses the border of a subnet, whatever came before it. The rule with the lowest
/// number that is about the packet decides; if there is none, it is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAcl {
    /// Its id.
    pub id: NetworkAclId,
    /// The VPC it is for.
    pub vpc: VpcId,
    /// Whether it came with its VPC.
    pub is_default: bool,
    /// About packets to the subnet, by number.
    pub ingress: BTreeMap<u16, AclEntry>,
    /// About packets from the subnet, by number.
    pub egress: BTreeMap<u16, AclEntry>,
    /// Its tags.
    pub tags: Tags,
}

/// What ties a network ACL to a subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAclAssociation {
    /// Its id.
    pub id: NetworkAclAssociationId,
    /// The network ACL.
    pub acl: NetworkAclId,
}

/// The number of the rule that lets all IPv4 packets through in a network ACL that comes with a VPC.
const FIRST: u16 = 100;
/// The same for IPv6, once the VPC has IPv6 addresses.
const FIRST_IPV6: u16 = 101;

impl NetworkAcl {
    /// Its rules for one direction, by number.
    pub fn entries(&self, direction: Direction) -> &BTreeMap<u16, AclEntry> {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    fn entries_mut(&mut self, direction: Direction) -> &mut BTreeMap<u16, AclEntry> {
        match direction {
            Direction::Ingress => &mut self.ingress,
            Direction::Egress => &mut self.egress,
        }
    }

    fn new(id: NetworkAclId, vpc: VpcId, tags: Tags) -> NetworkAcl {
        NetworkAcl { id, vpc, is_default: false, ingress: BTreeMap::new(), egress: BTreeMap::new(), tags }
    }
}

impl Region {
    /// The network ACL of a subnet of this region.
    pub fn network_acl_of(&self, subnet: &Subnet) -> &NetworkAcl {
        &self.network_acls[&subnet.network_acl.acl]
    }

    /// The subnets that have a network ACL.
    pub fn subnets_of_acl(&self, acl: NetworkAclId) -> impl Iterator<Item = &Subnet> {
        self.subnets.values().filter(move |subnet| subnet.network_acl.acl == acl)
    }

    /// The network ACL that a VPC comes with: it lets everything through.
    pub(crate) fn insert_default_network_acl(&mut self, vpc: VpcId) -> NetworkAclId {
        let id = self.draw();
        let mut acl = NetworkAcl { is_default: true, ..NetworkAcl::new(id, vpc, Tags::new()) };
        let everything = AclEntry::allow_all(AddressFamily::Ipv4);
        acl.ingress.insert(FIRST, everything);
        acl.egress.insert(FIRST, everything);
        self.network_acls.insert(id, acl);
        id
    }

    /// Lets IPv6 through in the network ACL that a VPC came with. Where a direction's rules were changed they stay as
    /// they are (VPC User Guide, "Default network ACL").
    pub(crate) fn let_ipv6_through(&mut self, vpc: VpcId) {
        let untouched = BTreeMap::from([(FIRST, AclEntry::allow_all(AddressFamily::Ipv4))]);
        let Some(acl) = self.network_acls.values_mut().find(|acl| acl.vpc == vpc && acl.is_default) else {
            return;
        };
        for entries in [&mut acl.ingress, &mut acl.egress] {
            if *entries == untouched {
                entries.insert(FIRST_IPV6, AclEntry::allow_all(AddressFamily::Ipv6));
            }
        }
    }

    /// Gives VPCs and subnets of a state from before there were network ACLs what they would have come with.
    pub(crate) fn complete_network_acls(&mut self) {
        let without = |vpc: &&crate::Vpc| !self.network_acls.contains_key(&vpc.default_network_acl);
        for id in self.vpcs.values().filter(without).map(|vpc| vpc.id).collect::<Vec<_>>() {
            let acl = self.insert_default_network_acl(id);
            if let Some(vpc) = self.vpcs.get_mut(&id) {
                vpc.default_network_acl = acl;
            }
        }
        let without = |subnet: &&Subnet| !self.network_acls.contains_key(&subnet.network_acl.acl);
        for id in self.subnets.values().filter(without).map(|subnet| subnet.id).collect::<Vec<_>>() {
            let association = self.draw();
            if let Some(subnet) = self.subnets.get_mut(&id)
                && let Some(vpc) = self.vpcs.get(&subnet.vpc)
            {
                subnet.network_acl = NetworkAclAssociation { id: association, acl: vpc.default_network_acl };
            }
        }
    }

    pub(crate) fn network_acl(&self, id: NetworkAclId) -> Result<&NetworkAcl, Fault> {
        self.network_acls.get(&id).ok_or(Fault::NetworkAclNotFound(id))
    }

    pub(crate) fn create_network_acl(&mut self, vpc: VpcId, tags: Tags) -> Result<NetworkAclId, Fault> {
        self.vpc(vpc)?;
        tag::check(&tags)?;
        let own = self.network_acls.values().filter(|acl| acl.vpc == vpc).count();
        self.quotas.allow(Quota::NetworkAclsPerVpc, own + 1)?;

        let id = self.draw();
        self.network_acls.insert(id, NetworkAcl::new(id, vpc, tags));
        Ok(id)
    }

    pub(crate) fn delete_network_acl(&mut self, id: NetworkAclId) -> Result<(), Fault> {
        if self.network_acl(id)?.is_default {
            return Err(InvalidValue::DefaultNetworkAcl(id).into());
        }
        if self.subnets_of_acl(id).next().is_some() {
            return Err(Dependency::NetworkAcl(id).into());
        }

        self.network_acls.remove(&id);
        Ok(())
    }

    pub(crate) fn replace_network_acl_association(
        &mut self,
        association: NetworkAclAssociationId,
        acl: NetworkAclId,
    ) -> Result<NetworkAclAssociationId, Fault> {
        let subnet = self.subnet_of_acl_association(association)?;
        if self.network_acl(acl)?.vpc != self.subnet(subnet)?.vpc {
            return Err(InvalidValue::AclAndSubnetApart { acl, subnet }.into());
        }

        let id = self.draw();
        if let Some(subnet) = self.subnets.get_mut(&subnet) {
            subnet.network_acl = NetworkAclAssociation { id, acl };
        }
        Ok(id)
    }

    fn subnet_of_acl_association(&self, association: NetworkAclAssociationId) -> Result<SubnetId, Fault> {
        let mut subnets = self.subnets.values();
        let subnet = subnets.find(|subnet| subnet.network_acl.id == association);
        subnet.map(|subnet| subnet.id).ok_or(Fault::NetworkAclAssociationNotFound(association))
    }
}

impl Default for NetworkAclAssociation {
    /// With nothing, for a subnet from before there were network ACLs.
    fn default() -> Self {
        NetworkAclAssociation { id: id::none(), acl: id::none() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, tags};
    use crate::{Applied, Change};

    fn acl(network: &mut Network, vpc: VpcId) -> NetworkAclId {
        match network.apply(Change::CreateNetworkAcl { vpc, tags: tags("acl") }) {
            Applied::NetworkAcl(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn association(network: &Network) -> NetworkAclAssociation {
        network.region.subnets()[&network.subnet].network_acl
    }

    #[test]
    fn a_vpc_comes_with_one_that_lets_everything_through() {
        let network = Network::new();
        let subnet = &network.region.subnets()[&network.subnet];
        let default = network.region.network_acl_of(subnet);
        assert_eq!(default.id, network.region.vpcs()[&network.vpc].default_network_acl);
        assert!(default.is_default && default.vpc == network.vpc);
        for direction in [Direction::Ingress, Direction::Egress] {
            let entries: Vec<_> = default.entries(direction).iter().collect();
            assert_eq!(entries, [(&100, &AclEntry::allow_all(AddressFamily::Ipv4))]);
        }
    }

    #[test]
    fn a_subnet_changes_its_acl() {
        let mut network = Network::new();
        let (vpc, other) = (network.vpc, network.other);
        let (own, foreign) = (acl(&mut network, vpc), acl(&mut network, other));
        let first = association(&network);
        let replace = |association: NetworkAclAssociation, acl| Change::ReplaceNetworkAclAssociation {
            association: association.id,
            acl,
        };
        assert_eq!(network.refused(replace(first, foreign)).code(), "InvalidParameterValue");
        let Applied::NetworkAclAssociation(id) = network.apply(replace(first, own)) else { panic!() };
        assert_eq!(association(&network), NetworkAclAssociation { id, acl: own });
        let fault = network.refused(replace(first, own));
        assert_eq!(fault, Fault::NetworkAclAssociationNotFound(first.id));

        let delete = Change::DeleteNetworkAcl { acl: own };
        let fault = network.refused(delete.clone());
        assert_eq!((fault.code(), fault), ("DependencyViolation", Dependency::NetworkAcl(own).into()));
        network.apply(replace(association(&network), first.acl));
        assert_eq!(network.refused(Change::DeleteVpc { vpc: other }).code(), "DependencyViolation");
        network.apply(delete.clone());
        assert_eq!(network.refused(delete).code(), "InvalidNetworkAclID.NotFound");
        let fault = network.refused(Change::DeleteNetworkAcl { acl: first.acl });
        assert_eq!(fault, InvalidValue::DefaultNetworkAcl(first.acl).into());
    }

    #[test]
    fn an_older_state_gets_them() {
        let mut network = Network::new();
        let vpc = network.vpc;
        let mut old: serde_json::Value = serde_json::to_value(&network.region).unwrap();
        let object = old.as_object_mut().unwrap();
        object.remove("network_acls");
        for kind in ["vpcs", "subnets"] {
            for resource in object[kind].as_object_mut().unwrap().values_mut() {
                resource.as_object_mut().unwrap().remove("default_network_acl");
                resource.as_object_mut().unwrap().remove("network_acl");
            }
        }
        network.region = serde_json::from_value(old).unwrap();
        let subnet = &network.region.subnets()[&network.subnet];
        assert!(network.region.network_acl_of(subnet).is_default);
        assert_eq!(network.region.network_acls().len(), 2);
        acl(&mut network, vpc);
        let stored = serde_json::to_string(&network.region).unwrap();
        assert_eq!(serde_json::from_str::<Region>(&stored).unwrap(), network.region, "once is enough");
    }
}
