//! The table of all NAT gateways, and what changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use ahash::RandomState;
use slab::Slab;
use wire::TcpFlags;

use super::behaviour::Gateway;
use super::counters::Counters;
use super::draw::Draw;
use super::endpoints::Protocol;
use super::mappings::Mappings;
use super::pairs::Pairs;
use super::sessions::{Session, SessionId, Sessions};
use super::state::{Side, State};
use super::tally::Tally;
use super::translation::{Claim, ClaimedPort, Refusal};
use crate::fabric::{InterfaceKey, PortId, Time};

/// Every session of every gateway.
#[derive(Debug, Clone)]
pub struct NatTable {
    pub(super) indices: BTreeMap<InterfaceKey, usize>,
    pub(super) gateways: Slab<Running>,
    pub(super) sessions: Sessions,
    pub(super) mappings: Mappings,
    /// Sessions of an external address with a remote endpoint.
    pub(super) destinations: Tally<Destination>,
    /// Sessions of a network interface at a gateway.
    pub(super) subscribers: Tally<(usize, PortId)>,
    pub(super) pairs: Pairs,
    pub(super) draw: Draw,
    pub(super) capacity: usize,
}

/// What the limit of connections counts: the gateway, the protocol, its address, and the remote endpoint.
type Destination = (usize, Protocol, Ipv4Addr, SocketAddrV4);

#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) gateway: Gateway,
    counters: Counters,
}

impl NatTable {
    /// A table without gateways, for `capacity` sessions. `seed` is secret: ports are chosen by it.
    pub fn new(capacity: usize, seed: u64) -> NatTable {
        let hasher = RandomState::with_seeds(seed, !seed, seed.rotate_left(17), seed.rotate_left(41));
        NatTable {
            indices: BTreeMap::new(),
            gateways: Slab::new(),
            sessions: Sessions::new(&hasher),
            mappings: Mappings::new(&hasher),
            destinations: Tally::new(hasher.clone()),
            subscribers: Tally::new(hasher.clone()),
            pairs: Pairs::new(hasher),
            draw: Draw::new(seed),
            capacity,
        }
    }

    /// Takes these gateways for all there are. Sessions stay, but for those of gateways and addresses that are gone.
    pub fn load(&mut self, gateways: &[Gateway]) {
        let before = self.addresses();
        let mut earlier = std::mem::take(&mut self.indices);
        for gateway in gateways {
            // A gateway that behaves otherwise is another one.
            let same = |index: &usize| self.gateways[*index].gateway.behaviour == gateway.behaviour;
            let index = match earlier.get(&gateway.key).copied().filter(same) {
                Some(index) => {
                    earlier.remove(&gateway.key);
                    self.gateways[index].gateway = gateway.clone();
                    index
                }
                None => {
                    let counters = Counters::default();
                    self.gateways.insert(Running { gateway: gateway.clone(), counters })
                }
            };
            self.indices.insert(gateway.key.clone(), index);
        }
        let gone: BTreeSet<_> = before.difference(&self.addresses()).copied().collect();
        if !gone.is_empty() {
            let ended =
                self.sessions.extract(|session| gone.contains(&(session.gateway, *session.external.ip())));
            for session in ended {
                self.release(&session, Time::default());
            }
            self.mappings.pools.forget(|pool| gone.contains(&(pool.gateway, pool.address)));
        }
        for index in earlier.into_values() {
            self.gateways.remove(index);
        }
    }

    /// Stores what a forwarded packet claimed. None if it cannot be had any more, because something else was stored
    /// since the claim was made; then the packet must not be forwarded.
    pub fn commit(&mut self, claim: &Claim, now: Time) -> Option<SessionId> {
        let (inside, outside) = (claim.inside_key(), claim.outside_key());
        match (self.sessions.of_inside(&inside), self.sessions.of_outside(&outside)) {
            (None, None) => {}
            // A packet that its sender has sent to itself claims one session from both sides.
            (Some((id, _)), Some((same, _))) if id == same => return Some(id),
            _ => return None,
        }
        let mapping = match claim.port {
            ClaimedPort::Shared => None,
            ClaimedPort::Mapped(index) => {
                let mapping = self.mappings.get(index)?;
                if (mapping.inside, mapping.external) != (claim.inside, claim.external) {
                    return None;
                }
                Some(index)
            }
            ClaimedPort::Unmapped(free) => {
                let end = (claim.gateway, claim.protocol, claim.inside);
                Some(self.mappings.make(end, free, claim.subscriber)?)
            }
        };
        self.draw.advance();
        Some(self.open(claim, mapping, now))
    }

    /// A packet of this session was forwarded: moves its state and lifetime on, and counts it. `flags` are those of
    /// TCP, `bytes` its length from the IP header on. False if the session is over.
    pub fn touch(
        &mut self,
        id: SessionId,
        from: Side,
        flags: Option<TcpFlags>,
        bytes: usize,
        now: Time,
    ) -> bool {
        let Some(session) = self.sessions.get(id) else { return false };
        let Running { gateway, counters } = &mut self.gateways[session.gateway];
        counters.packet(from, bytes, true);
        let behaviour = &gateway.behaviour;
        let (state, refresh) = session.state.next(from, flags, behaviour.inbound_refresh);
        counters.changed(session.state, state);
        let deadline = if refresh { now.after(state.idle(behaviour)) } else { session.deadline };
        let meant = from == Side::Inside && !flags.is_some_and(|flags| flags.contains(TcpFlags::RST));
        let contacted = session.contacted || meant;
        if let Some(mapping) = session.mapping {
            if contacted && !session.contacted {
                self.mappings.add_contact(mapping, *session.remote.ip());
            }
            self.mappings.prolong(mapping, deadline);
        }
        self.sessions.advance(id, state, contacted, deadline);
        true
    }

    /// Whether a session goes on.
    pub fn contains(&self, id: SessionId) -> bool {
        self.sessions.get(id).is_some()
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends every session that has been idle too long, and the rest of ports that have rested long enough. Takes
    /// constant time if there are none: call it with the time of every packet, before the packet is looked at.
    pub fn expire(&mut self, now: Time) {
        while let Some(session) = self.sessions.pop_expired(now) {
            if !session.state.is_over() {
                self.gateways[session.gateway].counters.idle_timeouts += 1;
            }
            self.release(&session, session.deadline);
        }
        self.mappings.pools.expire(now);
    }

    /// Counts a packet of `bytes` that was not translated, or was translated and then dropped for another reason.
    pub fn count_drop(&mut self, gateway: &InterfaceKey, from: Side, refusal: Option<Refusal>, bytes: usize) {
        let Some(&index) = self.indices.get(gateway) else { return };
        let counters = &mut self.gateways[index].counters;
        counters.packet(from, bytes, false);
        if refusal == Some(Refusal::PortsExhausted) {
            counters.port_allocation_errors += 1;
        }
    }

    /// Counts a packet of `bytes` that was translated without touching a session: an ICMP error, a later fragment.
    pub fn count_passed(&mut self, gateway: &InterfaceKey, from: Side, bytes: usize) {
        let Some(&index) = self.indices.get(gateway) else { return };
        self.gateways[index].counters.packet(from, bytes, true);
    }

    /// What each gateway has counted.
    pub fn counters(&self) -> BTreeMap<InterfaceKey, Counters> {
        let counters = |index: &usize| self.gateways[*index].counters.clone();
        self.indices.iter().map(|(key, index)| (key.clone(), counters(index))).collect()
    }

    /// The addresses of the gateways that are in force.
    fn addresses(&self) -> BTreeSet<(usize, Ipv4Addr)> {
        let of = |&index: &usize| {
            let addresses = self.gateways[index].gateway.addresses.iter();
            addresses.map(move |address| (index, address.address))
        };
        self.indices.values().flat_map(of).collect()
    }

    /// The one place where a session begins: everything that it holds.
    fn open(&mut self, claim: &Claim, mapping: Option<usize>, now: Time) -> SessionId {
        let Running { gateway, counters } = &mut self.gateways[claim.gateway];
        let state = State::first(claim.protocol, claim.by);
        let full = now.after(state.idle(&gateway.behaviour));
        let contacted = claim.by == Side::Inside;
        // What comes from outside does not keep a mapping longer than the inside does (RFC 7857 section 5).
        let bounded = mapping.and_then(|mapping| self.mappings.get(mapping)).map(|mapping| mapping.until);
        let deadline = match bounded {
            Some(until) if !contacted && !gateway.behaviour.inbound_refresh => full.min(until),
            _ => full,
        };
        counters.opened(state);
        if let Some(mapping) = mapping {
            self.mappings.join(mapping);
            self.mappings.prolong(mapping, deadline);
            if contacted {
                self.mappings.add_contact(mapping, *claim.remote.ip());
            }
        }
        let address = *claim.external.ip();
        self.pairs.join(claim.gateway, claim.inside.ip(), address, |paired| {
            gateway.accepting().any(|accepting| accepting == paired)
        });
        self.destinations.add((claim.gateway, claim.protocol, address, claim.remote));
        self.subscribers.add((claim.gateway, claim.subscriber));
        let Claim { gateway, protocol, inside, external, remote, subscriber, .. } = *claim;
        self.sessions.insert(Session {
            gateway,
            protocol,
            inside,
            external,
            remote,
            subscriber,
            mapping,
            contacted,
            state,
            deadline,
        })
    }

    /// The one place where a session, which is no longer among the others, gives back all that it held.
    fn release(&mut self, session: &Session, then: Time) {
        let &Session { gateway, protocol, external, remote, .. } = session;
        let running = &mut self.gateways[gateway];
        running.counters.ended(session.state);
        if let Some(mapping) = session.mapping {
            if session.contacted {
                self.mappings.remove_contact(mapping, *remote.ip());
            }
            self.mappings.leave(mapping, running.gateway.behaviour.rests(protocol), then);
        }
        self.pairs.leave(gateway, session.inside.ip());
        self.destinations.remove(&(gateway, protocol, *external.ip(), remote));
        self.subscribers.remove(&(gateway, session.subscriber));
    }
}
