//! What time brings, without anybody asking for it.

use crate::change::Change;
use crate::peering::PeeringStatus;
use crate::region::Region;
use crate::tag::TaggedResource;

/// A change that is to be made at its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// What it is about.
    pub resource: TaggedResource,
    /// When, in seconds since 1970.
    pub at: u64,
    /// The change.
    pub change: Change,
}

impl Region {
    /// All changes that time will bring as things are, whenever they are due. A change whose time comes is made at
    /// `now`, in seconds since 1970; to know whether it has come is the caller's.
    pub fn due(&self, now: u64) -> Vec<Due> {
        let mut all = Vec::new();
        for gateway in self.nat_gateways.values() {
            let (gateway, drain_end, shown_until) =
                (gateway.id, gateway.next_drain_end(), gateway.shown_until());
            let resource = TaggedResource::NatGateway(gateway);
            if let Some(at) = shown_until {
                all.push(Due { resource, at, change: Change::ForgetNatGateway { gateway } });
            } else if let Some(at) = drain_end {
                all.push(Due { resource, at, change: Change::EndNatGatewayDrain { gateway, time: at } });
            }
        }
        for connection in self.vpc_peering_connections.values() {
            let (id, expires, shown_until) = (connection.id, connection.expires, connection.shown_until());
            let resource = TaggedResource::VpcPeeringConnection(id);
            if let Some(at) = shown_until {
                all.push(Due { resource, at, change: Change::ForgetVpcPeeringConnection { connection: id } });
            } else if connection.status == PeeringStatus::PendingAcceptance {
                let change = Change::ExpireVpcPeeringConnection { connection: id, time: now };
                all.push(Due { resource, at: expires, change });
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, cidr};
    use crate::{Applied, NatGatewayState, SecondaryAddresses, Tags};

    fn only(network: &Network, now: u64) -> Due {
        let mut due = network.region.due(now);
        assert_eq!(due.len(), 1);
        due.remove(0)
    }

    #[test]
    fn a_nat_gateway_drains_and_is_forgotten() {
        let mut network = Network::new();
        let private = crate::NewNatGateway {
            connectivity: crate::Connectivity::Private,
            secondary: SecondaryAddresses::Count(1),
            ..crate::NewNatGateway::new(network.subnet)
        };
        let Applied::NatGateway(gateway) = network.apply(Change::CreateNatGateway(private)) else { panic!() };
        network.apply(Change::SetNatGatewayState { gateway, state: NatGatewayState::Available });
        assert_eq!(network.region.due(0), []);
        let addresses = vec![network.region.nat_gateways()[&gateway].addresses[1].private_ip];
        let unassign =
            Change::UnassignPrivateNatGatewayAddress { gateway, addresses, max_drain: 350, time: 1000 };
        network.apply(unassign);
        let due = only(&network, 0);
        assert_eq!((due.at, due.resource), (1350, TaggedResource::NatGateway(gateway)));
        network.apply(due.change);
        assert_eq!(network.region.nat_gateways()[&gateway].addresses.len(), 1);

        network.apply(Change::DeleteNatGateway { gateway, time: 2000 });
        assert_eq!(network.region.due(0), [], "first its interface goes");
        network.apply(Change::SetNatGatewayState { gateway, state: NatGatewayState::Deleted });
        let due = only(&network, 0);
        assert_eq!(due.at, 5600);
        network.apply(due.change);
        assert_eq!(network.region.due(0), []);
    }

    #[test]
    fn a_deleting_gateway_drains_no_more() {
        let mut network = Network::new();
        network.internet_gateway();
        let (gateway, _) = network.nat_gateway();
        network.apply(Change::SetNatGatewayState { gateway, state: NatGatewayState::Available });
        let second = network.allocation(2);
        let (allocations, private_ips) = (vec![second], vec![]);
        network.apply(Change::AssociateNatGatewayAddress { gateway, allocations, private_ips });
        let own = network.region.nat_gateways()[&gateway].addresses[1].association;
        let associations = own.into_iter().collect();
        let time = 1000;
        network.apply(Change::DisassociateNatGatewayAddress { gateway, associations, max_drain: 1, time });
        network.apply(Change::DeleteNatGateway { gateway, time });
        assert_eq!(network.region.due(0), []);
    }

    #[test]
    fn a_wish_expires_and_is_forgotten() {
        let mut network = Network::new();
        let create = Change::CreateVpc { cidr: cidr("10.7.0.0/16"), tags: Tags::new() };
        let Applied::Vpc(accepter) = network.apply(create) else { panic!() };
        let (requester, tags) = (network.vpc, Tags::new());
        network.apply(Change::CreateVpcPeeringConnection { requester, accepter, time: 1000, tags });
        let due = only(&network, 700_000);
        assert_eq!(due.at, 1000 + 168 * 3600);
        network.apply(due.change);
        let due = only(&network, 700_001);
        assert_eq!(due.at, 700_000 + 48 * 3600);
        network.apply(due.change);
        assert_eq!(network.region.due(0), []);
    }
}
