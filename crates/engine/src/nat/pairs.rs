//! Paired pooling: the address that a host inside is known by (RFC 4787 REQ-2, RFC 7857 section 4).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use ahash::RandomState;

/// The external address of each host that has sessions.
#[derive(Debug, Clone)]
pub(super) struct Pairs {
    pairs: HashMap<(usize, IpAddr), Pair, RandomState>,
}

#[derive(Debug, Clone, Copy)]
struct Pair {
    address: Ipv4Addr,
    sessions: u32,
}

impl Pairs {
    pub(super) fn new(hasher: RandomState) -> Pairs {
        Pairs { pairs: HashMap::with_hasher(hasher) }
    }

    pub(super) fn of(&self, gateway: usize, host: IpAddr) -> Option<Ipv4Addr> {
        Some(self.pairs.get(&(gateway, host))?.address)
    }

    /// One more session, at this address. The pair stays as it is, unless its address is not `in_use` any more.
    pub(super) fn join(
        &mut self,
        gateway: usize,
        host: IpAddr,
        address: Ipv4Addr,
        in_use: impl Fn(Ipv4Addr) -> bool,
    ) {
        let pair = self.pairs.entry((gateway, host)).or_insert(Pair { address, sessions: 0 });
        pair.sessions += 1;
        if !in_use(pair.address) {
            pair.address = address;
        }
    }

    /// One session less.
    pub(super) fn leave(&mut self, gateway: usize, host: IpAddr) {
        if let Some(pair) = self.pairs.get_mut(&(gateway, host)) {
            pair.sessions -= 1;
            if pair.sessions == 0 {
                self.pairs.remove(&(gateway, host));
            }
        }
    }

    #[cfg(test)]
    pub(super) fn total(&self) -> usize {
        self.pairs.values().map(|pair| pair.sessions as usize).sum()
    }
}
