//! Rules about other groups: of the same VPC, or of a peer VPC (Amazon VPC Peering Guide, "Update your security groups to
//! reference peer security groups").

use super::SecurityGroup;
use crate::fault::Fault;
use crate::id::{SecurityGroupId, VpcId};
use crate::peering::PeeringStatus;
use crate::region::Region;
use crate::rule::{Across, Peer, Rule};

impl Region {
    /// How far the peering connection is that a rule refers to a group across: deleted, if nobody remembers it.
    pub fn reference_status(&self, across: Across) -> PeeringStatus {
        let connection = self.vpc_peering_connections.get(&across.connection);
        connection.map_or(PeeringStatus::Deleted, |connection| connection.status)
    }

    /// Whether a rule allows nothing, since the peering connection that it refers to a group across joins nothing any
    /// more, or that group is gone.
    pub fn is_stale(&self, rule: &Rule) -> bool {
        let there = |group| self.security_groups.contains_key(&group);
        match (rule.across, rule.peer) {
            (Some(across), Peer::Group(group)) => {
                !there(group) || self.reference_status(across) != PeeringStatus::Active
            }
            _ => false,
        }
    }

    /// The rules that refer to a group across peering connections that are active, and the VPCs that these rules are of.
    pub fn references_across(&self, group: SecurityGroupId) -> impl Iterator<Item = (VpcId, Across)> {
        let groups = self.security_groups.values();
        let rules = groups.flat_map(|group| group.rules.iter().map(move |rule| (group.vpc, rule)));
        let referring =
            rules.filter(move |(_, rule)| rule.peer == Peer::Group(group) && !self.is_stale(rule));
        referring.filter_map(|(vpc, rule)| rule.across.map(|across| (vpc, across)))
    }

    /// Whether a group's rule can be about a peer, and where that is if it is in a peer VPC.
    pub(super) fn check_peer(&self, group: &SecurityGroup, peer: Peer) -> Result<Option<Across>, Fault> {
        let Peer::Group(peer) = peer else { return Ok(None) };
        let vpc = self.security_group(peer)?.vpc;
        if vpc == group.vpc {
            return Ok(None);
        }
        let mut peerings = self.standing_peerings(group.vpc);
        let active = peerings.find(|it| it.joins(vpc) && it.status == PeeringStatus::Active);
        let connection = active.ok_or(Fault::SecurityGroupElsewhere(peer))?.id;
        Ok(Some(Across { vpc, connection }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, cidr, tags};
    use crate::{Applied, Change, Direction, Permission, VpcPeeringConnectionId};

    /// A network, a VPC that its own asks to be joined to, and the connection.
    fn asked_peer() -> (Network, VpcId, VpcPeeringConnectionId) {
        let mut network = Network::new();
        let create = Change::CreateVpc { cidr: cidr("10.7.0.0/16"), tags: tags("peer") };
        let Applied::Vpc(peer) = network.apply(create) else { panic!() };
        let connection = ask(&mut network, peer);
        (network, peer, connection)
    }

    fn ask(network: &mut Network, peer: VpcId) -> VpcPeeringConnectionId {
        let (requester, accepter) = (network.vpc, peer);
        let create = Change::CreateVpcPeeringConnection { requester, accepter, time: 0, tags: tags("pcx") };
        let Applied::VpcPeeringConnection(connection) = network.apply(create) else { panic!() };
        connection
    }

    fn group(network: &mut Network, vpc: VpcId, name: &str) -> SecurityGroupId {
        let (name, description) = (name.to_owned(), "d".to_owned());
        let create = Change::CreateSecurityGroup { vpc, name, description, tags: tags("g") };
        let Applied::SecurityGroup(group) = network.apply(create) else { panic!() };
        group
    }

    fn from(group: SecurityGroupId, peer: SecurityGroupId) -> Change {
        let rule = Permission::all(Peer::Group(peer));
        Change::AuthorizeSecurityGroup { group, direction: Direction::Ingress, rule }
    }

    fn only_reference(network: &Network, group: SecurityGroupId) -> Rule {
        let rules = network.region.security_groups()[&group].rules();
        let mut references = rules.filter(|rule| matches!(rule.peer, Peer::Group(_)));
        let reference = references.next().unwrap().clone();
        assert!(references.next().is_none());
        reference
    }

    #[test]
    fn a_group_of_a_vpc_that_is_joined_can_be_referred_to() {
        let (mut network, peer, connection) = asked_peer();
        let (own, far) = (network.security_group("web"), group(&mut network, peer, "db"));
        assert_eq!(network.refused(from(own, far)), Fault::SecurityGroupElsewhere(far), "not accepted yet");
        network.apply(Change::AcceptVpcPeeringConnection { connection, time: 1 });
        network.apply(from(own, far));
        network.apply(from(far, own));
        assert_eq!(network.refused(from(own, far)).code(), "InvalidPermission.Duplicate");

        let rule = only_reference(&network, own);
        assert_eq!(rule.across, Some(Across { vpc: peer, connection }));
        assert!(!network.region.is_stale(&rule));
        let across = Across { vpc: network.vpc, connection };
        let referring: Vec<_> = network.region.references_across(own).collect();
        assert_eq!(referring, [(peer, across)], "the other way round");

        let stranger = network.other_group();
        assert_eq!(network.refused(from(own, stranger)), Fault::SecurityGroupElsewhere(stranger));
        let modify = |peer| Change::ModifySecurityGroupRule {
            group: own,
            rule: rule.id,
            permission: Permission::all(Peer::Group(peer)),
        };
        assert_eq!(network.refused(modify(stranger)), Fault::SecurityGroupElsewhere(stranger));
        network.apply(modify(own));
        assert_eq!(only_reference(&network, own).across, None);
        network.apply(modify(far));
        assert_eq!(only_reference(&network, own).across, Some(Across { vpc: peer, connection }));
    }

    #[test]
    fn a_rule_is_stale_once_the_connection_is_gone() {
        let (mut network, peer, connection) = asked_peer();
        network.apply(Change::AcceptVpcPeeringConnection { connection, time: 1 });
        let (own, far) = (network.security_group("web"), group(&mut network, peer, "db"));
        network.apply(from(own, far));
        network.apply(Change::DeleteVpcPeeringConnection { connection, time: 2 });
        let rule = only_reference(&network, own);
        assert!(network.region.is_stale(&rule));
        assert_eq!(network.region.references_across(far).count(), 0);
        network.apply(Change::ForgetVpcPeeringConnection { connection });
        assert_eq!(network.region.reference_status(rule.across.unwrap()), PeeringStatus::Deleted);

        // Another connection does not bring it back; a new rule in its place holds.
        let again = ask(&mut network, peer);
        network.apply(Change::AcceptVpcPeeringConnection { connection: again, time: 3 });
        assert!(network.region.is_stale(&rule));
        assert_eq!(network.refused(from(own, far)).code(), "InvalidPermission.Duplicate");
        network.apply(Change::RevokeSecurityGroupRule { group: own, rule: rule.id });
        network.apply(from(own, far));
        assert!(!network.region.is_stale(&only_reference(&network, own)));
    }

    #[test]
    fn a_group_that_only_a_peer_refers_to_can_go() {
        let (mut network, peer, connection) = asked_peer();
        network.apply(Change::AcceptVpcPeeringConnection { connection, time: 1 });
        let (own, far) = (network.security_group("web"), group(&mut network, peer, "db"));
        network.apply(from(own, far));
        network.apply(Change::DeleteSecurityGroup { group: far });
        let rule = only_reference(&network, own);
        assert!(network.region.is_stale(&rule));
        assert_eq!(network.region.reference_status(rule.across.unwrap()), PeeringStatus::Active);
    }

    /// What earlier versions wrote has no such member.
    #[test]
    fn a_rule_without_it_is_read() {
        let mut network = Network::new();
        let own = network.security_group("web");
        network.apply(from(own, own));
        let rule = only_reference(&network, own);
        let old = serde_json::to_value(&rule).unwrap();
        assert!(old.get("across").is_none());
        assert_eq!(serde_json::from_value::<Rule>(old).unwrap(), rule);
    }
}
