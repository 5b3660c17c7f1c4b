//! What is asked of a region about prefixes of interfaces and reservations of subnets, and what must come of it.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use model::{
    Applied, Change, InterfaceId, Ipv6Addresses, NewPrefixes, Region, ReservationType, SecondaryAddresses,
    Tags,
};
use proptest::prelude::*;

use crate::steps::{SUBNET, Step, id, one};

const INTERFACE: &str = "eni-00000000";

pub(crate) fn change(region: &Region, (kind, [a, b, c, d]): Step) -> Change {
    match kind {
        202 | 203 => {
            let subnet = one(region.subnets(), a, SUBNET);
            Change::CreateSubnetCidrReservation {
                subnet,
                cidr: block_of(region, subnet, b, c, d % 8),
                reservation_type: [ReservationType::Prefix, ReservationType::Explicit]
                    [usize::from(b / 2 % 2)],
                description: String::new(),
                tags: Tags::new(),
            }
        }
        204 => Change::DeleteSubnetCidrReservation {
            reservation: one(region.subnet_cidr_reservations(), a, "scr-00000000"),
        },
        205..=207 => {
            let interface = one(region.interfaces(), a, INTERFACE);
            let subnet = region.interfaces().get(&interface).map_or_else(|| id(SUBNET), |own| own.subnet);
            let prefixes = match d % 3 {
                0 => NewPrefixes { these: vec![block_of(region, subnet, b, c, 4)], ..NewPrefixes::default() },
                _ => NewPrefixes {
                    ipv4_count: u32::from(b % 4),
                    ipv6_count: u32::from(c % 3 == 0),
                    ..NewPrefixes::default()
                },
            };
            Change::AssignPrefixes { interface, prefixes }
        }
        _ => {
            let interface = one(region.interfaces(), a, INTERFACE);
            let own = region.interfaces().get(&interface).and_then(|own| own.prefixes.first());
            let prefix = own.copied().unwrap_or(IpNet::V4(Ipv4Net::default()));
            Change::UnassignPrefixes { interface, prefixes: vec![prefix] }
        }
    }
}

/// What is chosen for somebody is never reserved for somebody else.
pub(crate) fn choices_are_free(
    before: &Region,
    change: &Change,
    applied: &Applied,
) -> Result<(), TestCaseError> {
    let (interface, chosen): (InterfaceId, Vec<IpNet>) = match (change, applied) {
        (
            Change::AssignPrivateIpAddresses { interface, addresses: SecondaryAddresses::Count(_), .. },
            Applied::PrivateAddresses(chosen),
        ) => (*interface, chosen.iter().map(|&address| Ipv4Net::from(address).into()).collect()),
        (
            Change::AssignIpv6Addresses { interface, addresses: Ipv6Addresses::Count(_) },
            Applied::Ipv6Addresses(chosen),
        ) => (*interface, chosen.iter().map(|&address| Ipv6Net::from(address).into()).collect()),
        (Change::AssignPrefixes { interface, prefixes }, Applied::Prefixes(chosen))
            if prefixes.these.is_empty() =>
        {
            (*interface, chosen.clone())
        }
        _ => return Ok(()),
    };
    let subnet = before.interfaces()[&interface].subnet;
    let are_prefixes = matches!(change, Change::AssignPrefixes { .. });
    for reservation in before.subnet_cidr_reservations().values().filter(|own| own.subnet == subnet) {
        for one in &chosen {
            let inside = reservation.cidr.contains(one) || one.contains(&reservation.cidr);
            let for_it = are_prefixes && reservation.reservation_type == ReservationType::Prefix;
            prop_assert!(!inside || for_it, "{} is reserved by {}", one, reservation.id);
        }
    }
    Ok(())
}

/// A block at some place of a subnet's CIDR block of either family, `16 << size` addresses of IPv4.
fn block_of(region: &Region, subnet: model::SubnetId, family: u8, place: u8, size: u8) -> IpNet {
    let Some(subnet) = region.subnets().get(&subnet) else { return IpNet::V4(Ipv4Net::default()) };
    match subnet.ipv6.filter(|_| family & 1 == 0) {
        Some(block) => {
            let address = u128::from(block.cidr.network()) | (u128::from(place % 8) << 48);
            Ipv6Net::new_assert(address.into(), 76 + size).trunc().into()
        }
        None => {
            let address = u32::from(subnet.cidr.network()) | (u32::from(place) & !15);
            Ipv4Net::new_assert(address.into(), 24 + size).trunc().into()
        }
    }
}
