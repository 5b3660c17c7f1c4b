//! Internet gateway: 1:1 translation between an interface's private address and its public one (Basic NAT, RFC 3022
//! section 2.1). It keeps no state: the association is the whole truth, also for what ICMP errors quote. IPv6
//! addresses are public already.

use std::net::IpAddr;

use model::InternetGatewayId;
use wire::Rewrite;

use crate::pipeline::Hop;
use crate::tables::{Interface, Tables};
use crate::trace::{Direction, Step, Trace};
use crate::verdict::DropReason;

/// Out: the source becomes public, whoever of the VPC sends it: what a middlebox hands on is still its owner's. An ICMP
/// error quotes a packet that came to the private address.
pub(crate) fn outbound(
    tables: &Tables,
    sender: &Interface,
    gateway: InternetGatewayId,
    hop: Hop,
    trace: &mut impl Trace,
) -> Result<Hop, DropReason> {
    let private = hop.key.src;
    let owner = tables.vpc_of(sender).owner(private).ok_or(DropReason::NoPublicAddress)?;
    let public = match (private, tables.interfaces[owner].addresses.get(&private)) {
        (IpAddr::V4(_), Some(&Some(public))) => public.into(),
        (IpAddr::V6(_), _) => private,
        _ => return Err(DropReason::NoPublicAddress),
    };
    trace.note(|| Step::InternetGateway { gateway, direction: Direction::Egress, from: private, to: public });
    if public == private {
        return Ok(hop);
    }
    let hop = hop.edited(Rewrite { src: Some(public), ..Rewrite::default() });
    Ok(match hop.quoted {
        Some(quoted) if quoted.dst == private => {
            hop.edited_quoted(Rewrite { dst: Some(public), ..Rewrite::default() })
        }
        _ => hop,
    })
}

/// In: the destination becomes private. An ICMP error quotes a packet that left under the public address.
pub(crate) fn inbound(gateway: InternetGatewayId, private: IpAddr, hop: Hop, trace: &mut impl Trace) -> Hop {
    let public = hop.key.dst;
    trace.note(|| Step::InternetGateway {
        gateway,
        direction: Direction::Ingress,
        from: public,
        to: private,
    });
    if public == private {
        return hop;
    }
    let hop = hop.edited(Rewrite { dst: Some(private), ..Rewrite::default() });
    match hop.quoted {
        Some(quoted) if quoted.src == public => {
            hop.edited_quoted(Rewrite { src: Some(private), ..Rewrite::default() })
        }
        _ => hop,
    }
}
