//! NAT gateways on a packet's way: what they change, and what they answer.

use std::net::IpAddr;

use engine::ROUTER_LINK_LOCAL;
use model::{NatGateway, NetworkInterface};
use wire::{FlowKey, FlowProto, icmp_error, tcp_reset};

use super::nat::{Refused, embed, extract};
use super::walk::{Arrival, End, Walk};
use super::{Family, flags, opens};

impl<'a> Walk<'a> {
    /// From inside through a NAT gateway, and on from its subnet.
    pub(super) fn leave_by_gateway(&mut self, gateway: &'a NatGateway) -> Result<Arrival, End> {
        let eni = &self.region.interfaces()[&gateway.interface];
        // What passes here is tracked whatever the rules say.
        let mut all = self.region.interfaces().values();
        if let Some(sender) = all.find(|interface| self.port_of(interface) == Some(self.from)) {
            self.notes.sender = Some(sender.connection_tracking);
        }
        let speaker = self.speaker(eni);
        self.hop(speaker)?;
        let key = self.look.key;
        if let Some(quoted) = self.look.quoted {
            let (quoted, near) =
                self.past.nat.quoted(gateway.id, &quoted, false).ok_or(Family::NatGateway)?;
            let far = extract(key.dst).ok_or(Family::NatGateway)?;
            self.error(near, far.into(), quoted)?;
        } else {
            let learned = self.learned.iter().find(|(id, from, _)| (*id, *from) == (gateway.id, key));
            let opening = opens(flags(self.packet));
            let passed = self.past.nat.outbound(gateway, &key, opening, learned.map(|(.., to)| to)).map_err(
                |refused| match (refused, tcp_reset(self.frame, self.packet)) {
                    (Refused::Wrong(words), _) => End::Wrong(words),
                    (Refused::Reset, Some(reset)) => End::Answered(Box::new(reset)),
                    _ => End::Dropped(Family::NatGateway),
                },
            )?;
            self.look.key = passed.key;
            self.notes.crossings.push(passed.crossing);
        }
        self.route(eni)
    }

    /// From outside to a NAT gateway, and on to whoever is meant.
    pub(super) fn enter_gateway(&mut self, gateway: &'a NatGateway) -> Result<Arrival, End> {
        let eni = &self.region.interfaces()[&gateway.interface];
        let key = self.look.key;
        let came_to = self.packet.dst();
        if let Some(quoted) = self.look.quoted {
            let (quoted, near) = self.past.nat.quoted(gateway.id, &quoted, true).ok_or(Family::NatGateway)?;
            self.hop(came_to)?;
            let far = match (near, key.src) {
                (IpAddr::V6(_), IpAddr::V4(src)) => embed(src).into(),
                (_, src) => src,
            };
            self.error(far, near, quoted)?;
        } else {
            let opening = opens(flags(self.packet));
            let passed = self.past.nat.inbound(gateway, &key, opening).map_err(|refused| match refused {
                Refused::Unsolicited => End::Unsolicited,
                _ => End::Dropped(Family::NatGateway),
            })?;
            self.hop(came_to)?;
            self.look.key = passed.key;
            self.notes.crossings.push(passed.crossing);
        }
        self.route(eni)
    }

    /// An ICMP error gets these addresses, and quotes this. In the other family it has another type and code.
    fn error(&mut self, src: IpAddr, dst: IpAddr, quoted: FlowKey) -> Result<(), End> {
        let to_v6 = src.is_ipv6();
        if let FlowProto::Icmp { kind, code } = self.look.key.proto
            && to_v6 != self.look.key.src.is_ipv6()
        {
            let other = if to_v6 { to_icmpv6(kind, code) } else { to_icmp(kind, code) };
            let (kind, code) = other.ok_or(Family::NatGateway)?;
            self.look.key.proto = FlowProto::Icmp { kind, code };
        }
        self.look.key = FlowKey { src, dst, proto: self.look.key.proto };
        self.look.quoted = Some(quoted);
        Ok(())
    }

    /// A NAT gateway is a router on the way.
    fn hop(&mut self, speaker: IpAddr) -> Result<(), End> {
        if self.packet.ttl() > self.look.hops + 1 {
            self.look.hops += 1;
            return Ok(());
        }
        let answer = icmp_error::time_exceeded(self.frame, self.packet, speaker);
        Err(answer.map_or(End::Dropped(Family::Hops), |answer| End::Answered(Box::new(answer))))
    }

    /// As whom a NAT gateway speaks to the packet's sender.
    pub(super) fn speaker(&self, eni: &NetworkInterface) -> IpAddr {
        if self.packet.src().is_ipv4() { eni.private_ip.into() } else { ROUTER_LINK_LOCAL.into() }
    }
}

/// RFC 7915 section 4.2.
fn to_icmpv6(kind: u8, code: u8) -> Option<(u8, u8)> {
    match (kind, code) {
        (3, 0 | 1 | 5..=8 | 11 | 12) => Some((1, 0)),
        (3, 2) => Some((4, 1)),
        (3, 3) => Some((1, 4)),
        (3, 4) => Some((2, 0)),
        (3, 9 | 10 | 13 | 15) => Some((1, 1)),
        (11, code) => Some((3, code)),
        (12, 0 | 2) => Some((4, 0)),
        _ => None,
    }
}

/// RFC 7915 section 5.2.
fn to_icmp(kind: u8, code: u8) -> Option<(u8, u8)> {
    match (kind, code) {
        (1, 0 | 2 | 3) => Some((3, 1)),
        (1, 1) => Some((3, 10)),
        (1, 4) => Some((3, 3)),
        (2, _) => Some((3, 4)),
        (3, code) => Some((11, code)),
        (4, 0) => Some((12, 0)),
        (4, 1) => Some((3, 2)),
        _ => None,
    }
}
