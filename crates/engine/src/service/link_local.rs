//! Link-local services: ordinary servers that know their caller by a source address that stands for its port.
//!
//! The address is 100.64.0.0/10 (RFC 6598) plus the port's number. It never leaves the way between fabric and
//! servers, so it cannot meet an address of a VPC.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::{FlowKey, FlowProto};

use crate::fabric::PortId;
use crate::tables::Vpc;

/// Where instance metadata answers (EC2 user guide, "Instance metadata").
pub const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The resolver's link-local address (VPC user guide, "Amazon DNS server"). Its server sees all questions arrive here,
/// whichever of the resolver's addresses they were sent to.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);
/// The resolver's IPv6 address (same page).
pub(crate) const RESOLVER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253);
/// The time service (EC2 user guide, "Set the time").
const TIME: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 123);

const BASE: u32 = u32::from_be_bytes([100, 64, 0, 0]);
const COUNT: u32 = 1 << 22;

/// The source address under which the servers see requests from `port`; none for a port number of 2²² or more.
pub fn service_address(port: PortId) -> Option<Ipv4Addr> {
    (port.0 < COUNT).then(|| Ipv4Addr::from(BASE + port.0))
}

/// The port that a source address stands for.
pub fn service_port(address: Ipv4Addr) -> Option<PortId> {
    u32::from(address).checked_sub(BASE).filter(|&number| number < COUNT).map(PortId)
}

/// Whether ARP for this address is answered on every link.
pub(crate) fn on_link(address: Ipv4Addr) -> bool {
    [METADATA, RESOLVER, TIME].contains(&address)
}

/// Whether packets for this address are for the VPC's services and nobody else: 169.254.0.0/16 and fd00:ec2::/32 (VPC
/// user guide, "Routing considerations").
pub(crate) fn is_service(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.segments()[..2] == [0xfd00, 0xec2],
    }
}

/// Where the server stands that answers this to somebody in `vpc`, if there is one.
pub(crate) fn served(key: &FlowKey, vpc: &Vpc) -> Option<Ipv4Addr> {
    match key.proto {
        FlowProto::Tcp { dst: 80, .. } if key.dst == METADATA => Some(METADATA),
        FlowProto::Tcp { dst: 53, .. } | FlowProto::Udp { dst: 53, .. } => {
            let asked = key.dst == RESOLVER || key.dst == RESOLVER6 || key.dst == vpc.dns;
            (asked && vpc.dns_support).then_some(RESOLVER)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_known_by_its_address() {
        for number in [0, 1, 300, COUNT - 1] {
            let address = service_address(PortId(number)).unwrap();
            assert_eq!(service_port(address), Some(PortId(number)));
        }
        assert_eq!(service_address(PortId(300)), Some(Ipv4Addr::new(100, 64, 1, 44)));
        assert_eq!(service_address(PortId(COUNT)), None);
        assert_eq!(service_port(Ipv4Addr::new(100, 128, 0, 0)), None);
        assert_eq!(service_port(Ipv4Addr::new(10, 0, 0, 1)), None);
    }
}
