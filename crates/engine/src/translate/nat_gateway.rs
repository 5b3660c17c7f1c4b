//! A NAT gateway on a packet's road: it stands in its subnet with an address of its own, is a hop of its own, and
//! changes addresses and ports as [`nat`](crate::nat) says. Then the packet takes another turn, from its subnet.

use std::net::IpAddr;

use wire::{FlowKey, FlowProto, Rewrite, icmp_error, nat64, tcp_reset};

use crate::nat::{Answer, Facts, Quote, Refusal, Side, Translation};
use crate::pipeline::{Crossing, End, Hop, Road, Walk};
use crate::tables::NatGateway;
use crate::trace::{Direction, Step, Trace};
use crate::verdict::DropReason;

/// RFC 792 and RFC 1812 section 5.2.7.1: communication administratively prohibited.
const PROHIBITED: u8 = 13;
/// The same of ICMPv6 (RFC 4443 section 3.1).
const PROHIBITED_V6: u8 = 1;

/// Out: the source becomes an address of the gateway.
pub(crate) fn outbound<T: Trace>(walk: &mut Walk<'_, T>, index: usize, hop: Hop) -> Road {
    let gateway = &walk.view.tables.nat_gateways[index];
    let came = hop.key;
    // What passes here is tracked by its sender whatever its rules say.
    walk.track_sender();
    let hop = pass(walk, index, Side::Inside, hop)?;
    let hop = match hop.quoted {
        None => {
            let looked = walk.view.nat.outbound(&gateway.translation.key, walk.port, &hop.key, facts(walk));
            let found = looked.map_err(|refused| {
                refuse(walk, index, Side::Inside, Some(refused.refusal));
                answer(walk, gateway, refused.answer).unwrap_or_else(|| reason(refused.refusal).into())
            })?;
            translated(walk, index, Side::Inside, hop, &found)
        }
        // An error about what the gateway has let in: it comes from the gateway now (RFC 5508 REQ-5).
        Some(quoted) => {
            let quote = walk.view.nat.quoted_inbound(&gateway.translation.key, &quoted);
            let far = quote.and_then(|quote| quote.far(hop.key.dst));
            let Some((quote, far)) = quote.zip(far) else {
                refuse(walk, index, Side::Inside, None);
                return Err(DropReason::NatNoSession.into());
            };
            error(walk, index, Side::Inside, hop, (quote.near, far), &quote)?
        }
    };
    walk.trace.note(|| Step::NatGateway {
        gateway: gateway.id,
        direction: Direction::Egress,
        from: came,
        to: hop.key,
    });
    walk.depart(gateway.interface, &hop);
    walk.route(gateway.interface, hop)
}

/// In: the destination becomes whoever has asked.
pub(crate) fn inbound<T: Trace>(walk: &mut Walk<'_, T>, index: usize, hop: Hop) -> Road {
    let gateway = &walk.view.tables.nat_gateways[index];
    let came = hop.key;
    let hop = match hop.quoted {
        None => {
            let looked = walk.view.nat.inbound(&gateway.translation.key, &hop.key, facts(walk));
            let found = looked.map_err(|refusal| {
                refuse(walk, index, Side::Outside, Some(refusal));
                if refusal == Refusal::Unsolicited {
                    walk.keep_way_out(&hop);
                }
                reason(refusal)
            })?;
            let hop = pass(walk, index, Side::Outside, hop)?;
            translated(walk, index, Side::Outside, hop, &found)
        }
        // An error about what the gateway has sent (RFC 5508 REQ-4).
        Some(quoted) => {
            let quote = walk.view.nat.quoted_outbound(&gateway.translation.key, &quoted);
            let far = quote.and_then(|quote| quote.far(hop.key.src));
            let Some((quote, far)) = quote.zip(far) else {
                refuse(walk, index, Side::Outside, None);
                return Err(DropReason::NatUnsolicited.into());
            };
            let hop = pass(walk, index, Side::Outside, hop)?;
            error(walk, index, Side::Outside, hop, (far, quote.near), &quote)?
        }
    };
    walk.trace.note(|| Step::NatGateway {
        gateway: gateway.id,
        direction: Direction::Ingress,
        from: came,
        to: hop.key,
    });
    walk.depart(gateway.interface, &hop);
    walk.route(gateway.interface, hop)
}

/// A packet that a gateway has not let pass, to be counted there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Which of the tables' gateways.
    pub(crate) gateway: usize,
    pub(crate) from: Side,
    /// None if it is no matter of translation.
    pub(crate) refusal: Option<Refusal>,
}

/// The gateway is a router: the packet's time to live goes down by one, and ends here if none is left.
fn pass<T: Trace>(walk: &mut Walk<'_, T>, index: usize, from: Side, hop: Hop) -> Result<Hop, End> {
    if walk.packet.ttl() > hop.rewrite.hops + 1 {
        return Ok(hop.edited(Rewrite { hops: 1, ..Rewrite::default() }));
    }
    refuse(walk, index, from, None);
    // Outside it is known by the address that the packet was sent to.
    let by = match from {
        Side::Inside => walk.address_towards_sender(&walk.view.tables.nat_gateways[index]),
        Side::Outside => walk.packet.dst(),
    };
    let answer = icmp_error::time_exceeded(walk.frame, walk.packet, by).ok_or(DropReason::TtlExceeded)?;
    walk.trace.note(|| Step::TimeExceeded { by });
    Err(End::reply(answer))
}

fn facts<T>(walk: &Walk<'_, T>) -> Facts {
    Facts { opening: walk.opening, fragment: walk.packet.fragment().is_some() }
}

fn translated<T>(walk: &mut Walk<'_, T>, gateway: usize, from: Side, hop: Hop, found: &Translation) -> Hop {
    walk.crossings.push(Crossing { gateway, from, standing: Some(found.standing) });
    hop.translated(found.key, found.rewrite)
}

/// An ICMP error, which gets these addresses, belongs to a session, and neither makes nor prolongs one (RFC 5508
/// REQ-6).
fn error<T>(
    walk: &mut Walk<'_, T>,
    gateway: usize,
    from: Side,
    hop: Hop,
    (src, dst): (IpAddr, IpAddr),
    quote: &Quote,
) -> Result<Hop, DropReason> {
    let new = |from: IpAddr, to: IpAddr| (from != to).then_some(to);
    let edit = Rewrite { src: new(hop.key.src, src), dst: new(hop.key.dst, dst), ..Rewrite::default() };
    let proto = match hop.key.proto {
        FlowProto::Icmp { kind, code } if src.is_ipv6() != hop.key.src.is_ipv6() => {
            let Some((kind, code)) = nat64::icmp_error(kind, code, src.is_ipv6()) else {
                refuse(walk, gateway, from, None);
                return Err(DropReason::Untranslatable);
            };
            FlowProto::Icmp { kind, code }
        }
        same => same,
    };
    walk.crossings.push(Crossing { gateway, from, standing: None });
    let hop = hop.translated(FlowKey { src, dst, proto }, edit);
    Ok(hop.translated_quote(quote.key, quote.rewrite))
}

fn refuse<T>(walk: &mut Walk<'_, T>, gateway: usize, from: Side, refusal: Option<Refusal>) {
    walk.refused = Some(Refused { gateway, from, refusal });
}

fn answer<T: Trace>(walk: &mut Walk<'_, T>, gateway: &NatGateway, answer: Answer) -> Option<End> {
    let frame = match answer {
        Answer::Silence => return None,
        Answer::Reset => {
            let reset = tcp_reset(walk.frame, walk.packet)?;
            walk.trace.note(|| Step::Reset { gateway: gateway.id });
            reset
        }
        Answer::Prohibited => {
            let by = walk.address_towards_sender(gateway);
            let code = if by.is_ipv4() { PROHIBITED } else { PROHIBITED_V6 };
            let answer = icmp_error::destination_unreachable(walk.frame, walk.packet, by, code)?;
            walk.trace.note(|| Step::Prohibited { by });
            answer
        }
    };
    Some(End::reply(frame))
}

fn reason(refusal: Refusal) -> DropReason {
    match refusal {
        Refusal::NoGateway => DropReason::Blackhole,
        Refusal::Protocol => DropReason::NatProtocol,
        Refusal::NotTranslatable => DropReason::Untranslatable,
        Refusal::Fragment => DropReason::NatFragment,
        Refusal::NoSession => DropReason::NatNoSession,
        Refusal::PortsExhausted | Refusal::SubscriberLimit => DropReason::NatPortsExhausted,
        Refusal::TableFull => DropReason::FlowTableFull,
        Refusal::Unsolicited => DropReason::NatUnsolicited,
    }
}
