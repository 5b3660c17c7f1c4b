//! The external ports of endpoint-independent mappings: each belongs to one inside endpoint, or is free, or rests.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use ahash::RandomState;

use super::draw::Draw;
use super::endpoints::Protocol;
use crate::fabric::Time;

/// How long a freed port rests, in seconds (RFC 6888 REQ-8).
const REST: u64 = 120;

/// Which pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PoolKey {
    pub(super) gateway: usize,
    pub(super) protocol: Protocol,
    pub(super) address: Ipv4Addr,
    /// The range's first and last port.
    first: u16,
    last: u16,
}

/// A free port, and where in its pool it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Free {
    pub(super) pool: PoolKey,
    pub(super) port: u16,
    place: usize,
}

/// All pools. One that nobody has taken from yet is not there: all its ports are free.
#[derive(Debug, Clone)]
pub(super) struct Pools {
    free: HashMap<PoolKey, Vec<u16>, RandomState>,
    /// Freed ports, in the order in which they can be had again.
    resting: VecDeque<(Time, PoolKey, u16)>,
}

impl Pools {
    pub(super) fn new(hasher: RandomState) -> Pools {
        Pools { free: HashMap::with_hasher(hasher), resting: VecDeque::new() }
    }

    /// Any free port of the pool, each as likely as the others, in constant time.
    pub(super) fn pick(&self, pool: PoolKey, draw: &Draw) -> Option<Free> {
        let (place, port) = match self.free.get(&pool) {
            Some(ports) if ports.is_empty() => return None,
            Some(ports) => {
                let place = draw.below(ports.len(), 0);
                (place, ports[place])
            }
            None => {
                let place = draw.below(pool.len(), 0);
                (place, pool.ports().nth(place)?)
            }
        };
        Some(Free { pool, port, place })
    }

    /// Takes a port that was picked. False if somebody else has taken it since.
    pub(super) fn take(&mut self, picked: Free) -> bool {
        let ports = self.free.entry(picked.pool).or_insert_with(|| picked.pool.ports().collect());
        let stands = ports.get(picked.place) == Some(&picked.port);
        if stands {
            ports.swap_remove(picked.place);
        }
        stands
    }

    /// Gives a port back that was freed at `then`: at once, or after its rest. Moments never run backwards.
    pub(super) fn give(&mut self, pool: PoolKey, port: u16, rests: bool, then: Time) {
        if rests {
            self.resting.push_back((then.after(REST), pool, port));
        } else if let Some(ports) = self.free.get_mut(&pool) {
            ports.push(port);
        }
    }

    /// Ends the rest of the ports that have rested long enough.
    pub(super) fn expire(&mut self, now: Time) {
        while let Some(&(until, pool, port)) = self.resting.front()
            && until <= now
        {
            self.resting.pop_front();
            if let Some(ports) = self.free.get_mut(&pool) {
                ports.push(port);
            }
        }
    }

    /// Forgets pools, with what is taken from them.
    pub(super) fn forget(&mut self, mut gone: impl FnMut(&PoolKey) -> bool) {
        self.free.retain(|pool, _| !gone(pool));
        self.resting.retain(|(_, pool, _)| !gone(pool));
    }

    /// How many ports are neither free nor at rest.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        let away: usize = self.free.iter().map(|(pool, ports)| pool.len() - ports.len()).sum();
        away - self.resting.len()
    }
}

impl PoolKey {
    pub(super) fn new(
        gateway: usize,
        protocol: Protocol,
        address: Ipv4Addr,
        range: &RangeInclusive<u16>,
    ) -> PoolKey {
        PoolKey { gateway, protocol, address, first: *range.start(), last: *range.end() }
    }

    fn ports(&self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    fn len(&self) -> usize {
        self.ports().len()
    }
}
