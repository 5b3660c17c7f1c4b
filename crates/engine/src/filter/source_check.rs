//! Source/destination check: an interface sends only as itself and receives only for itself, unless the check is off.

use std::net::IpAddr;

use crate::tables::Interface;
use crate::trace::{Direction, Step, Trace};
use crate::verdict::DropReason;

/// Checks the address that the interface uses as its own: the source of what it sends, the destination of what it gets.
pub(crate) fn check(
    interface: &Interface,
    direction: Direction,
    address: IpAddr,
    trace: &mut impl Trace,
) -> Result<(), DropReason> {
    if interface.owns(address) {
        return Ok(());
    }
    let enforced = interface.source_dest_check;
    trace.note(|| Step::SourceDestinationCheck { direction, address, enforced });
    match (enforced, direction) {
        (false, _) => Ok(()),
        (true, Direction::Egress) => Err(DropReason::SourceCheck),
        (true, Direction::Ingress) => Err(DropReason::DestinationCheck),
    }
}

/// Addresses that never send beyond their link (RFC 1122 section 3.2.1.3, RFC 6890, RFC 4291 section 2.5).
pub(crate) fn martian(source: IpAddr) -> bool {
    match source {
        IpAddr::V4(source) => {
            source.is_unspecified() || source.is_loopback() || source.is_multicast() || source.is_broadcast()
        }
        IpAddr::V6(source) => {
            source.is_unspecified()
                || source.is_loopback()
                || source.is_multicast()
                || source.is_unicast_link_local()
                || source.to_ipv4_mapped().is_some()
        }
    }
}
