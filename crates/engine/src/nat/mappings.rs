//! Endpoint-independent mappings: one external endpoint for each inside endpoint, whomever it talks to.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use ahash::RandomState;
use slab::Slab;

use super::endpoints::Protocol;
use super::pools::{Free, PoolKey, Pools};
use super::tally::Tally;
use crate::fabric::{PortId, Time};

/// An inside endpoint of one gateway.
pub(super) type InsideEnd = (usize, Protocol, SocketAddr);
/// An external endpoint of one gateway.
pub(super) type ExternalEnd = (usize, Protocol, SocketAddrV4);

#[derive(Debug, Clone)]
pub(super) struct Mapping {
    pub(super) gateway: usize,
    pub(super) protocol: Protocol,
    pub(super) inside: SocketAddr,
    pub(super) external: SocketAddrV4,
    /// The interface that it is counted for.
    pub(super) subscriber: PortId,
    /// Until when the inside's own packets keep it: what others may add ends no later.
    pub(super) until: Time,
    pool: PoolKey,
    sessions: u32,
}

/// All mappings with their ports.
#[derive(Debug, Clone)]
pub(super) struct Mappings {
    records: Slab<Mapping>,
    by_inside: HashMap<InsideEnd, usize, RandomState>,
    by_external: HashMap<ExternalEnd, usize, RandomState>,
    /// The addresses that the inside has sent to through a mapping, by their sessions.
    contacts: Tally<(usize, Ipv4Addr)>,
    pub(super) pools: Pools,
}

impl Mappings {
    pub(super) fn new(hasher: &RandomState) -> Mappings {
        Mappings {
            records: Slab::new(),
            by_inside: HashMap::with_hasher(hasher.clone()),
            by_external: HashMap::with_hasher(hasher.clone()),
            contacts: Tally::new(hasher.clone()),
            pools: Pools::new(hasher.clone()),
        }
    }

    pub(super) fn of_inside(&self, end: &InsideEnd) -> Option<(usize, &Mapping)> {
        let index = *self.by_inside.get(end)?;
        Some((index, &self.records[index]))
    }

    pub(super) fn of_external(&self, end: &ExternalEnd) -> Option<(usize, &Mapping)> {
        let index = *self.by_external.get(end)?;
        Some((index, &self.records[index]))
    }

    pub(super) fn get(&self, index: usize) -> Option<&Mapping> {
        self.records.get(index)
    }

    /// Whether a live session of the mapping has sent to this address.
    pub(super) fn has_contacted(&self, index: usize, address: Ipv4Addr) -> bool {
        self.contacts.count(&(index, address)) > 0
    }

    pub(super) fn add_contact(&mut self, index: usize, address: Ipv4Addr) {
        self.contacts.add((index, address));
    }

    pub(super) fn remove_contact(&mut self, index: usize, address: Ipv4Addr) {
        self.contacts.remove(&(index, address));
    }

    /// A new mapping, without sessions yet. None if the inside endpoint has one or the port is gone.
    pub(super) fn make(
        &mut self,
        (gateway, protocol, inside): InsideEnd,
        free: Free,
        subscriber: PortId,
    ) -> Option<usize> {
        if self.by_inside.contains_key(&(gateway, protocol, inside)) || !self.pools.take(free) {
            return None;
        }
        let external = SocketAddrV4::new(free.pool.address, free.port);
        let (until, pool) = (Time::default(), free.pool);
        let mapping = Mapping { gateway, protocol, inside, external, subscriber, until, pool, sessions: 0 };
        let index = self.records.insert(mapping);
        self.by_inside.insert((gateway, protocol, inside), index);
        self.by_external.insert((gateway, protocol, external), index);
        Some(index)
    }

    /// One more session.
    pub(super) fn join(&mut self, index: usize) {
        self.records[index].sessions += 1;
    }

    /// The inside's packets keep the mapping until then.
    pub(super) fn prolong(&mut self, index: usize, until: Time) {
        let mapping = &mut self.records[index];
        mapping.until = mapping.until.max(until);
    }

    /// One session less, which ended at `then`: the last one takes the mapping along and frees its port.
    pub(super) fn leave(&mut self, index: usize, rests: bool, then: Time) {
        self.records[index].sessions -= 1;
        if self.records[index].sessions > 0 {
            return;
        }
        let mapping = self.records.remove(index);
        self.by_inside.remove(&(mapping.gateway, mapping.protocol, mapping.inside));
        self.by_external.remove(&(mapping.gateway, mapping.protocol, mapping.external));
        self.pools.give(mapping.pool, mapping.external.port(), rests, then);
    }

    /// What holds between any two calls: as many ports are taken as there are mappings.
    #[cfg(test)]
    pub(super) fn check(&self, contacts: usize) {
        assert_eq!(self.records.len(), self.by_inside.len());
        assert_eq!(self.records.len(), self.by_external.len());
        assert_eq!(self.records.len(), self.pools.taken());
        assert_eq!(self.contacts.total(), contacts);
        for (index, mapping) in &self.records {
            assert_eq!(self.by_inside[&(mapping.gateway, mapping.protocol, mapping.inside)], index);
            assert_eq!(self.by_external[&(mapping.gateway, mapping.protocol, mapping.external)], index);
        }
    }

    /// How many sessions the mappings have together.
    #[cfg(test)]
    pub(super) fn sessions(&self) -> usize {
        self.records.iter().map(|(_, mapping)| mapping.sessions as usize).sum()
    }
}
