//! VPC peering connections (Amazon VPC Peering Guide), within one account and region.

use std::fmt;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::cidr_pool;
use crate::fault::Fault;
use crate::id::{VpcId, VpcPeeringConnectionId};
use crate::quota::Quota;
use crate::region::Region;
use crate::tag::{self, Tags};
use crate::vpc::Vpc;

/// What joins two VPCs, and no others: it is not transitive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcPeeringConnection {
    /// Its id.
    pub id: VpcPeeringConnectionId,
    /// The VPC that asked.
    pub requester: VpcId,
    /// The VPC that was asked.
    pub accepter: VpcId,
    /// How far it is.
    pub status: PeeringStatus,
    /// When the wish ends if nobody accepts it, in seconds since 1970.
    pub expires: u64,
    /// Since when it has this status, in seconds since 1970.
    pub since: u64,
    /// Its tags.
    pub tags: Tags,
}

/// How far a VPC peering connection is (Amazon VPC Peering Guide, "VPC peering connection lifecycle").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeeringStatus {
    /// It waits to be accepted.
    PendingAcceptance,
    /// The VPCs are joined.
    Active,
    /// It was rejected.
    Rejected,
    /// Nobody accepted it in time.
    Expired,
    /// The VPCs cannot be joined: their IPv4 addresses overlap. IPv6 addresses of a region's VPCs never do.
    Failed,
    /// It was deleted.
    Deleted,
}

const SECONDS_PER_HOUR: u64 = 3600;
/// How long a wish can be accepted.
const ACCEPTABLE: u64 = 168 * SECONDS_PER_HOUR;

impl VpcPeeringConnection {
    /// Whether this VPC is at one of its ends.
    pub fn joins(&self, vpc: VpcId) -> bool {
        self.requester == vpc || self.accepter == vpc
    }

    /// The VPC at the other end.
    pub fn other_end(&self, vpc: VpcId) -> VpcId {
        if self.requester == vpc { self.accepter } else { self.requester }
    }

    /// Until when it is shown once it joins nothing any more, in seconds since 1970.
    pub fn shown_until(&self) -> Option<u64> {
        let hours = match self.status {
            PeeringStatus::PendingAcceptance | PeeringStatus::Active => return None,
            PeeringStatus::Rejected | PeeringStatus::Failed | PeeringStatus::Deleted => 2,
            PeeringStatus::Expired => 48,
        };
        Some(self.since + hours * SECONDS_PER_HOUR)
    }

    /// Whether it joins its VPCs, or may yet.
    pub(crate) fn stands(&self) -> bool {
        self.shown_until().is_none()
    }
}

impl Region {
    /// The VPC peering connections that join a VPC to another, or may yet.
    pub(crate) fn standing_peerings(&self, vpc: VpcId) -> impl Iterator<Item = &VpcPeeringConnection> {
        let all = self.vpc_peering_connections.values();
        all.filter(move |connection| connection.joins(vpc) && connection.stands())
    }

    /// What joins a VPC to one with some of these addresses, or may yet.
    pub(crate) fn peering_with(&self, vpc: VpcId, cidr: Ipv4Net) -> Option<VpcPeeringConnectionId> {
        let has = |other: &Vpc| other.cidrs().any(|own| cidr_pool::overlap(own, cidr));
        let mut standing = self.standing_peerings(vpc);
        standing.find(|it| self.vpcs.get(&it.other_end(vpc)).is_some_and(has)).map(|it| it.id)
    }

    pub(crate) fn create_vpc_peering_connection(
        &mut self,
        requester: VpcId,
        accepter: VpcId,
        time: u64,
        tags: Tags,
    ) -> Result<VpcPeeringConnectionId, Fault> {
        let (from, to) = (self.vpc(requester)?, self.vpc(accepter)?);
        tag::check(&tags)?;
        if self.standing_peerings(requester).any(|other| other.joins(accepter) && requester != accepter) {
            return Err(Fault::VpcPeeringConnectionAlreadyExists(requester, accepter));
        }
        let overlap = from.cidrs().any(|a| to.cidrs().any(|b| cidr_pool::overlap(a, b)));
        let status = if overlap { PeeringStatus::Failed } else { PeeringStatus::PendingAcceptance };
        if !overlap {
            self.peerings_allow(requester)?;
            self.peerings_allow(accepter)?;
            let asked = self
                .standing_peerings(requester)
                .filter(|it| it.requester == requester && it.status == PeeringStatus::PendingAcceptance);
            self.quotas.allow(Quota::OutstandingPeerings, asked.count() + 1)?;
        }

        let id = self.draw();
        let expires = time.saturating_add(ACCEPTABLE);
        let connection = VpcPeeringConnection { id, requester, accepter, status, expires, since: time, tags };
        self.vpc_peering_connections.insert(id, connection);
        Ok(id)
    }

    pub(crate) fn accept_vpc_peering_connection(
        &mut self,
        id: VpcPeeringConnectionId,
        time: u64,
    ) -> Result<(), Fault> {
        let connection = self.vpc_peering_connection(id)?;
        let (requester, accepter) = (connection.requester, connection.accepter);
        if connection.status == PeeringStatus::PendingAcceptance && connection.expires <= time {
            return Err(transition(id, PeeringStatus::Expired, PeeringStatus::Active));
        }
        self.peerings_allow(requester)?;
        self.peerings_allow(accepter)?;
        self.turn_peering(id, &[PeeringStatus::PendingAcceptance], PeeringStatus::Active, time)
    }

    pub(crate) fn reject_vpc_peering_connection(
        &mut self,
        id: VpcPeeringConnectionId,
        time: u64,
    ) -> Result<(), Fault> {
        self.turn_peering(id, &[PeeringStatus::PendingAcceptance], PeeringStatus::Rejected, time)
    }

    pub(crate) fn delete_vpc_peering_connection(
        &mut self,
        id: VpcPeeringConnectionId,
        time: u64,
    ) -> Result<(), Fault> {
        let from = [PeeringStatus::PendingAcceptance, PeeringStatus::Active];
        self.turn_peering(id, &from, PeeringStatus::Deleted, time)
    }

    pub(crate) fn expire_vpc_peering_connection(
        &mut self,
        id: VpcPeeringConnectionId,
        time: u64,
    ) -> Result<(), Fault> {
        self.turn_peering(id, &[PeeringStatus::PendingAcceptance], PeeringStatus::Expired, time)
    }

    pub(crate) fn forget_vpc_peering_connection(&mut self, id: VpcPeeringConnectionId) -> Result<(), Fault> {
        let connection = self.vpc_peering_connection(id)?;
        if connection.stands() {
            return Err(transition(id, connection.status, PeeringStatus::Deleted));
        }

        self.vpc_peering_connections.remove(&id);
        Ok(())
    }

    fn turn_peering(
        &mut self,
        id: VpcPeeringConnectionId,
        from: &[PeeringStatus],
        to: PeeringStatus,
        time: u64,
    ) -> Result<(), Fault> {
        let connection = self.vpc_peering_connections.get_mut(&id);
        let connection = connection.ok_or(Fault::VpcPeeringConnectionNotFound(id))?;
        if !from.contains(&connection.status) {
            return Err(transition(id, connection.status, to));
        }

        (connection.status, connection.since) = (to, time);
        Ok(())
    }

    /// Whether a VPC can be joined to one more.
    fn peerings_allow(&self, vpc: VpcId) -> Result<(), Fault> {
        let active = self.standing_peerings(vpc).filter(|it| it.status == PeeringStatus::Active).count();
        self.quotas.allow(Quota::ActivePeeringsPerVpc, active + 1)
    }

    fn vpc_peering_connection(&self, id: VpcPeeringConnectionId) -> Result<&VpcPeeringConnection, Fault> {
        self.vpc_peering_connections.get(&id).ok_or(Fault::VpcPeeringConnectionNotFound(id))
    }
}

fn transition(connection: VpcPeeringConnectionId, from: PeeringStatus, to: PeeringStatus) -> Fault {
    Fault::InvalidStateTransition { connection, from, to }
}

impl fmt::Display for PeeringStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PeeringStatus::PendingAcceptance => "pending-acceptance",
            PeeringStatus::Active => "active",
            PeeringStatus::Rejected => "rejected",
            PeeringStatus::Expired => "expired",
            PeeringStatus::Failed => "failed",
            PeeringStatus::Deleted => "deleted",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, cidr, tags};
    use crate::{Applied, Change, RouteState, RouteVia};

    /// The network with one more VPC, whose addresses are others.
    fn network() -> (Network, VpcId) {
        let mut network = Network::new();
        let create = Change::CreateVpc { cidr: cidr("10.7.0.0/16"), tags: tags("peer") };
        let Applied::Vpc(peer) = network.apply(create) else { panic!() };
        (network, peer)
    }

    fn create(requester: VpcId, accepter: VpcId) -> Change {
        Change::CreateVpcPeeringConnection { requester, accepter, time: 1000, tags: tags("pcx") }
    }

    fn created(network: &mut Network, change: Change) -> VpcPeeringConnectionId {
        match network.apply(change) {
            Applied::VpcPeeringConnection(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn status(network: &Network, id: VpcPeeringConnectionId) -> PeeringStatus {
        network.region.vpc_peering_connections()[&id].status
    }

    #[test]
    fn two_vpcs_are_joined_and_parted() {
        let (mut network, peer) = network();
        let vpc = network.vpc;
        let connection = created(&mut network, create(vpc, peer));
        assert_eq!(network.refused(create(peer, vpc)).code(), "VpcPeeringConnectionAlreadyExists");

        let table = network.route_table();
        let destination = cidr("10.7.0.0/16").into();
        let target = RouteVia::Peering(connection);
        network.apply(Change::CreateRoute { table, destination, target });
        let state = |network: &Network| {
            let route =
                network.region.route_tables()[&table].routes().find(|it| it.destination == destination);
            network.region.route_state(route.unwrap())
        };
        assert_eq!(state(&network), RouteState::Blackhole, "until it is accepted");
        network.apply(Change::AcceptVpcPeeringConnection { connection, time: 1001 });
        assert_eq!(state(&network), RouteState::Active);
        let again = network.refused(Change::AcceptVpcPeeringConnection { connection, time: 1002 });
        assert_eq!(again.code(), "InvalidStateTransition");
        let foreign = Change::CreateRoute { table: network.other_table(), destination, target };
        assert_eq!(network.refused(foreign).code(), "InvalidParameterValue");
        assert_eq!(network.refused(Change::DeleteVpc { vpc: peer }).code(), "DependencyViolation");
        let overlapping = Change::AssociateVpcCidrBlock { vpc, cidr: cidr("10.7.9.0/24") };
        let fault = network.refused(overlapping.clone());
        assert_eq!(fault, Fault::CidrOfPeer { cidr: cidr("10.7.9.0/24"), connection });

        network.apply(Change::DeleteVpcPeeringConnection { connection, time: 2000 });
        assert_eq!(state(&network), RouteState::Blackhole);
        assert_eq!(status(&network, connection).to_string(), "deleted");
        network.apply(overlapping);
        network.apply(Change::DeleteVpc { vpc: peer });
        let again = Change::DeleteVpcPeeringConnection { connection, time: 2001 };
        assert_eq!(network.refused(again).code(), "InvalidStateTransition");
        let shown = network.region.vpc_peering_connections()[&connection].shown_until();
        assert_eq!(shown, Some(2000 + 7200));
        network.apply(Change::ForgetVpcPeeringConnection { connection });
        let gone = network.refused(Change::ForgetVpcPeeringConnection { connection });
        assert_eq!(gone.code(), "InvalidVpcPeeringConnectionID.NotFound");
    }

    #[test]
    fn a_wish_ends() {
        let (mut network, peer) = network();
        let vpc = network.vpc;
        let rejected = created(&mut network, create(vpc, peer));
        let forget = Change::ForgetVpcPeeringConnection { connection: rejected };
        assert_eq!(network.refused(forget).code(), "InvalidStateTransition");
        network.apply(Change::RejectVpcPeeringConnection { connection: rejected, time: 1001 });
        let late = created(&mut network, create(vpc, peer));
        let end = 1000 + 168 * 3600;
        let accept = Change::AcceptVpcPeeringConnection { connection: late, time: end };
        assert_eq!(network.refused(accept).code(), "InvalidStateTransition");
        network.apply(Change::ExpireVpcPeeringConnection { connection: late, time: end });
        let again = Change::ExpireVpcPeeringConnection { connection: rejected, time: end };
        assert_eq!(network.refused(again).code(), "InvalidStateTransition");
        assert_eq!(status(&network, late), PeeringStatus::Expired);
    }

    #[test]
    fn overlapping_vpcs_fail() {
        let mut network = Network::new();
        let (vpc, other) = (network.vpc, network.other);
        for accepter in [vpc, other] {
            let connection = created(&mut network, create(vpc, accepter));
            assert_eq!(status(&network, connection), PeeringStatus::Failed);
            let accept = Change::AcceptVpcPeeringConnection { connection, time: 1001 };
            assert_eq!(network.refused(accept).code(), "InvalidStateTransition");
        }
    }
}
