//! How a packet goes on, and with which port. Everything here looks and changes nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use wire::{FlowKey, FlowProto};

use super::behaviour::{Behaviour, Filtering, Gateway, Mapping, Tells};
use super::endpoints::{InsideKey, OutsideKey, Protocol};
use super::pools::PoolKey;
use super::state::Side;
use super::table::{NatTable, Running};
use super::translation::{
    Answer, Claim, ClaimedPort, Facts, Quote, Refusal, Refused, Standing, Translation, rewrite,
};
use crate::fabric::{InterfaceKey, PortId};

/// Which of a round's random numbers chooses the address; those from 0 on choose ports.
const ADDRESS: u64 = u64::MAX;
/// How many ports are tried by chance before they are tried in order. With 55,000 of 64,512 taken all of them miss
/// once in 25,000 times.
const TRIES: u64 = 64;

impl NatTable {
    /// A packet from inside that the network interface at `subscriber` has sent to the gateway: how it goes on.
    pub fn outbound(
        &self,
        gateway: &InterfaceKey,
        subscriber: PortId,
        key: &FlowKey,
        facts: Facts,
    ) -> Result<Translation, Refused> {
        let Some((index, running)) = self.running(gateway) else {
            return Err(Refused { refusal: Refusal::NoGateway, answer: Answer::Silence });
        };
        let behaviour = &running.gateway.behaviour;
        self.go_out(index, &running.gateway, subscriber, key, facts)
            .map_err(|refusal| Refused { refusal, answer: behaviour.answer(refusal, &key.proto) })
    }

    /// A packet that came to one of the gateway's addresses from outside: how it goes on. Its sender is told nothing,
    /// whatever becomes of it (RFC 5382 REQ-4a).
    pub fn inbound(
        &self,
        gateway: &InterfaceKey,
        key: &FlowKey,
        facts: Facts,
    ) -> Result<Translation, Refusal> {
        let (index, running) = self.running(gateway).ok_or(Refusal::NoGateway)?;
        let behaviour = &running.gateway.behaviour;
        let outside = OutsideKey::of(index, key)?;
        behaviour.take_fragment(outside.protocol, facts)?;
        let (inside, standing) = match self.sessions.of_outside(&outside) {
            Some((id, session)) => (session.inside_key(), Standing::Known(id)),
            None => {
                let claim = self.claim_from_outside(behaviour, &outside, facts)?;
                (claim.inside_key(), Standing::New(claim))
            }
        };
        let translated = inside.packet(Side::Outside);
        Ok(Translation { key: translated, rewrite: rewrite(key, &translated), standing })
    }

    /// An ICMP error from outside quotes a packet that one of the gateway's addresses has sent: who sent it inside.
    /// Whoever the error comes from, a router on the way may be its sender (RFC 4787 REQ-12a).
    pub fn quoted_outbound(&self, gateway: &InterfaceKey, quoted: &FlowKey) -> Option<Quote> {
        let (index, _) = self.running(gateway)?;
        let outside = OutsideKey::of(index, &quoted.reversed()).ok()?;
        let (id, session) = self.sessions.of_outside(&outside)?;
        let key = session.inside_key().packet(Side::Inside);
        Some(Quote { session: id, key, rewrite: rewrite(quoted, &key), near: session.inside.ip() })
    }

    /// An ICMP error from inside quotes a packet that the gateway has let in: how it looked outside.
    pub fn quoted_inbound(&self, gateway: &InterfaceKey, quoted: &FlowKey) -> Option<Quote> {
        let (index, _) = self.running(gateway)?;
        let inside = InsideKey::of(index, &quoted.reversed()).ok()?;
        let (id, session) = self.sessions.of_inside(&inside)?;
        let key = session.outside_key().packet(Side::Outside);
        let near = IpAddr::V4(*session.external.ip());
        Some(Quote { session: id, key, rewrite: rewrite(quoted, &key), near })
    }

    fn running(&self, gateway: &InterfaceKey) -> Option<(usize, &Running)> {
        let index = *self.indices.get(gateway)?;
        Some((index, &self.gateways[index]))
    }

    fn go_out(
        &self,
        index: usize,
        gateway: &Gateway,
        subscriber: PortId,
        key: &FlowKey,
        facts: Facts,
    ) -> Result<Translation, Refusal> {
        let inside = InsideKey::of(index, key)?;
        gateway.behaviour.take_fragment(inside.protocol, facts)?;
        let (outside, standing) = match self.sessions.of_inside(&inside) {
            Some((id, session)) => (session.outside_key(), Standing::Known(id)),
            None => {
                let claim = self.claim_from_inside(gateway, &inside, subscriber, facts)?;
                (claim.outside_key(), Standing::New(claim))
            }
        };
        let translated = outside.packet(Side::Inside);
        Ok(Translation { key: translated, rewrite: rewrite(key, &translated), standing })
    }

    fn claim_from_inside(
        &self,
        gateway: &Gateway,
        inside: &InsideKey,
        subscriber: PortId,
        facts: Facts,
    ) -> Result<Claim, Refusal> {
        let behaviour = &gateway.behaviour;
        if inside.protocol == Protocol::Tcp && !facts.opening {
            return Err(Refusal::NoSession);
        }
        self.admit(behaviour, inside.gateway, subscriber)?;
        let (external, port) = match behaviour.mapping(inside.protocol) {
            Mapping::EndpointIndependent => self.mapped_port(gateway, inside),
            Mapping::AddressAndPortDependent => self.shared_port(gateway, inside),
        }
        .ok_or(Refusal::PortsExhausted)?;
        let InsideKey { gateway, protocol, inside, remote } = *inside;
        Ok(Claim { gateway, protocol, inside, external, remote, by: Side::Inside, subscriber, port })
    }

    fn claim_from_outside(
        &self,
        behaviour: &Behaviour,
        outside: &OutsideKey,
        facts: Facts,
    ) -> Result<Claim, Refusal> {
        let OutsideKey { gateway, protocol, external, remote } = *outside;
        let opens = match protocol {
            Protocol::Tcp => facts.opening,
            Protocol::Udp => true,
            Protocol::Icmp => false,
        };
        let found = self.mappings.of_external(&(gateway, protocol, external));
        let (index, mapping) = found.filter(|_| opens).ok_or(Refusal::Unsolicited)?;
        let passes = match behaviour.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => self.mappings.has_contacted(index, *remote.ip()),
            // Whom the inside has sent to has a session.
            Filtering::AddressAndPortDependent => false,
        };
        if !passes {
            return Err(Refusal::Unsolicited);
        }
        let subscriber = mapping.subscriber;
        self.admit(behaviour, gateway, subscriber)?;
        let port = ClaimedPort::Mapped(index);
        let inside = mapping.inside;
        Ok(Claim { gateway, protocol, inside, external, remote, by: Side::Outside, subscriber, port })
    }

    /// Whether there is room for one more session of this interface.
    fn admit(&self, behaviour: &Behaviour, gateway: usize, subscriber: PortId) -> Result<(), Refusal> {
        if self.sessions.len() >= self.capacity {
            return Err(Refusal::TableFull);
        }
        let held = self.subscribers.count(&(gateway, subscriber));
        if behaviour.per_subscriber.is_some_and(|limit| held >= limit) {
            return Err(Refusal::SubscriberLimit);
        }
        Ok(())
    }

    fn mapped_port(&self, gateway: &Gateway, key: &InsideKey) -> Option<(SocketAddrV4, ClaimedPort)> {
        if let Some((index, mapping)) = self.mappings.of_inside(&(key.gateway, key.protocol, key.inside)) {
            let address = *mapping.external.ip();
            let room = self.has_room(&gateway.behaviour, key, address);
            return room.then_some((mapping.external, ClaimedPort::Mapped(index)));
        }
        let range = gateway.behaviour.range(key.protocol, key.inside.port());
        let free = self
            .candidates(gateway, key)
            .filter(|&address| self.has_room(&gateway.behaviour, key, address))
            .map(|address| PoolKey::new(key.gateway, key.protocol, address, range))
            .find_map(|pool| self.mappings.pools.pick(pool, &self.draw))?;
        Some((SocketAddrV4::new(free.pool.address, free.port), ClaimedPort::Unmapped(free)))
    }

    fn shared_port(&self, gateway: &Gateway, key: &InsideKey) -> Option<(SocketAddrV4, ClaimedPort)> {
        let range = gateway.behaviour.range(key.protocol, key.inside.port());
        let (first, len) = (*range.start(), range.len());
        // An offset into a range of ports is less than 65,536.
        let endpoint = |address, offset: usize| SocketAddrV4::new(address, first + (offset % len) as u16);
        let is_free = |&external: &SocketAddrV4| {
            let InsideKey { gateway, protocol, remote, .. } = *key;
            self.sessions.of_outside(&OutsideKey { gateway, protocol, external, remote }).is_none()
        };
        let external = self
            .candidates(gateway, key)
            .filter(|&address| self.has_room(&gateway.behaviour, key, address))
            .find_map(|address| {
                let by_chance = (0..TRIES).map(|which| self.draw.below(len, which));
                let start = self.draw.below(len, TRIES);
                let in_order = (0..len).map(|step| start + step);
                by_chance.chain(in_order).map(|offset| endpoint(address, offset)).find(is_free)
            })?;
        Some((external, ClaimedPort::Shared))
    }

    /// Whether one more session may go from this address to the destination.
    fn has_room(&self, behaviour: &Behaviour, key: &InsideKey, address: Ipv4Addr) -> bool {
        let held = self.destinations.count(&(key.gateway, key.protocol, address, key.remote));
        behaviour.per_destination.is_none_or(|limit| held < limit)
    }

    /// The addresses for a new connection: first the host's own, if it has one, then the others.
    fn candidates(&self, gateway: &Gateway, key: &InsideKey) -> impl Iterator<Item = Ipv4Addr> {
        let accepting = gateway.accepting();
        let count = accepting.clone().count();
        let paired = self.pairs.of(key.gateway, key.inside.ip());
        let paired = paired.and_then(|paired| accepting.clone().position(|address| address == paired));
        let first = paired.unwrap_or_else(|| self.draw.below(count, ADDRESS));
        accepting.clone().cycle().skip(first).take(count)
    }
}

impl Behaviour {
    fn take_fragment(&self, protocol: Protocol, facts: Facts) -> Result<(), Refusal> {
        let taken = !facts.fragment || self.all_fragments || protocol == Protocol::Udp;
        taken.then_some(()).ok_or(Refusal::Fragment)
    }

    fn answer(&self, refusal: Refusal, proto: &FlowProto) -> Answer {
        match (self.tells, refusal) {
            (Tells::Reset, Refusal::NoSession) if matches!(proto, FlowProto::Tcp { .. }) => Answer::Reset,
            (Tells::Prohibited, Refusal::PortsExhausted | Refusal::SubscriberLimit | Refusal::TableFull) => {
                Answer::Prohibited
            }
            _ => Answer::Silence,
        }
    }
}
