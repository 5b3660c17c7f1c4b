//! Subnet CIDR reservations: addresses that are given out only as whoever reserved them says.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue};
use crate::id::{SubnetCidrReservationId, SubnetId};
use crate::region::Region;
use crate::tag::{self, Tags};

/// A part of a subnet that no interface gets addresses of unless it asks for them (VPC User Guide, "Subnet CIDR
/// reservations"). Who had some before keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetCidrReservation {
    /// Its id.
    pub id: SubnetCidrReservationId,
    /// The subnet.
    pub subnet: SubnetId,
    /// A part of the subnet's CIDR block of its family, without host bits.
    pub cidr: IpNet,
    /// What it is for.
    pub reservation_type: ReservationType,
    /// In words.
    pub description: String,
    /// Its tags.
    pub tags: Tags,
}

/// What addresses are reserved for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReservationType {
    /// Interfaces that ask for any prefix.
    Prefix,
    /// Interfaces that ask for an address, or a prefix, by name.
    Explicit,
}

impl Region {
    pub(crate) fn create_subnet_cidr_reservation(
        &mut self,
        subnet: SubnetId,
        cidr: IpNet,
        reservation_type: ReservationType,
        description: String,
        tags: Tags,
    ) -> Result<SubnetCidrReservationId, Fault> {
        let cidr = cidr.trunc();
        if !self.subnet(subnet)?.cidrs().any(|own| own.contains(&cidr)) {
            return Err(InvalidValue::ReservationOutsideSubnet { subnet, cidr }.into());
        }
        let overlaps = |other: IpNet| other.contains(&cidr) || cidr.contains(&other);
        if self.cidr_reservations_of(subnet).any(|other| overlaps(other.cidr)) {
            return Err(InvalidValue::ReservationOverlap(cidr).into());
        }
        tag::check(&tags)?;

        let id = self.draw();
        let reservation = SubnetCidrReservation { id, subnet, cidr, reservation_type, description, tags };
        self.subnet_cidr_reservations.insert(id, reservation);
        Ok(id)
    }

    pub(crate) fn delete_subnet_cidr_reservation(
        &mut self,
        id: SubnetCidrReservationId,
    ) -> Result<(), Fault> {
        let gone = self.subnet_cidr_reservations.remove(&id);
        gone.map(|_| ()).ok_or(Fault::SubnetCidrReservationNotFound(id))
    }

    pub(crate) fn cidr_reservations_of(
        &self,
        subnet: SubnetId,
    ) -> impl Iterator<Item = &SubnetCidrReservation> {
        self.subnet_cidr_reservations.values().filter(move |reservation| reservation.subnet == subnet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, tags};
    use crate::{Applied, Change, NewInterface, SecondaryAddresses};

    fn reserve(network: &Network, cidr: &str, reservation_type: ReservationType) -> Change {
        Change::CreateSubnetCidrReservation {
            subnet: network.subnet,
            cidr: cidr.parse().unwrap(),
            reservation_type,
            description: "for a test".to_owned(),
            tags: tags("reserved"),
        }
    }

    #[test]
    fn reservations_are_parts_of_the_subnet_and_apart() {
        let mut network = Network::with_ipv6();
        let explicit = ReservationType::Explicit;
        let made = network.apply(reserve(&network, "10.0.1.70/27", explicit));
        let Applied::SubnetCidrReservation(reservation) = made else { panic!() };
        assert_eq!(network.region.subnet_cidr_reservations()[&reservation].cidr.to_string(), "10.0.1.64/27");
        network.apply(reserve(&network, "2001:db8:0:101::/72", explicit));
        for cidr in ["10.0.1.80/28", "10.0.1.0/24", "2001:db8:0:101::9/128"] {
            let fault = network.refused(reserve(&network, cidr, explicit));
            let cidr = cidr.parse().unwrap();
            assert_eq!(fault, InvalidValue::ReservationOverlap(cidr).into());
        }
        for cidr in ["10.0.2.0/28", "10.0.0.0/16", "2001:db8:0:102::/80"] {
            let fault = network.refused(reserve(&network, cidr, explicit));
            assert_eq!(fault.code(), "InvalidParameterValue");
            assert!(fault.to_string().starts_with("Reservation CIDR"), "{fault}");
        }
        let association = network.region.subnets()[&network.subnet].ipv6.unwrap().association;
        let disassociate = network.refused(Change::DisassociateSubnetCidrBlock { association });
        assert_eq!(disassociate.code(), "InvalidCidrBlock.InUse");

        network.apply(Change::DeleteSubnetCidrReservation { reservation });
        let again = network.refused(Change::DeleteSubnetCidrReservation { reservation });
        assert_eq!(again.code(), "InvalidSubnetCidrReservationID.NotFound");
        network.apply(reserve(&network, "10.0.1.0/24", explicit));
        let mut elsewhere = reserve(&network, "10.0.1.0/24", explicit);
        if let Change::CreateSubnetCidrReservation { subnet, .. } = &mut elsewhere {
            *subnet = "subnet-00000000".parse().unwrap();
        }
        assert_eq!(network.refused(elsewhere).code(), "InvalidSubnetID.NotFound");
        network.apply(Change::DeleteSubnet { subnet: network.subnet });
        assert!(network.region.subnet_cidr_reservations().is_empty());
    }

    #[test]
    fn reserved_addresses_must_be_named() {
        let mut network = Network::new();
        let (_, early) = network.instance();
        network.apply(reserve(&network, "10.0.1.0/25", ReservationType::Explicit));
        network.apply(reserve(&network, "10.0.1.192/26", ReservationType::Prefix));
        assert_eq!(network.region.interfaces()[&early].private_ip.to_string(), "10.0.1.4", "it was there");
        let (_, later) = network.instance();
        assert_eq!(network.region.interfaces()[&later].private_ip.to_string(), "10.0.1.128");

        let named = NewInterface {
            private_ip: Some("10.0.1.9".parse().unwrap()),
            secondary: SecondaryAddresses::Count(50),
            ..NewInterface::new(network.subnet)
        };
        let many = Change::CreateNetworkInterface(named.clone());
        assert_eq!(network.refused(many).code(), "PrivateIpAddressLimitExceeded");
        let secondary = SecondaryAddresses::Count(49);
        network.apply(Change::CreateNetworkInterface(NewInterface { secondary, ..named }));
        let rest =
            NewInterface { secondary: SecondaryAddresses::Count(14), ..NewInterface::new(network.subnet) };
        let fault = network.refused(Change::CreateNetworkInterface(rest));
        assert_eq!(fault, Fault::InsufficientFreeAddresses(network.subnet));
    }
}
