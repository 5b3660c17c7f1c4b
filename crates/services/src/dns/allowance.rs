//! How much of the resolver one interface may use: 1,024 packets a second (VPC User Guide, "DNS quotas").

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const A_SECOND: Duration = Duration::from_secs(1);
const PACKETS: u32 = 1024;

/// Counts the questions that were dropped because their sender had asked too many.
#[derive(Debug, Default)]
pub struct Surplus(Mutex<BTreeMap<Ipv4Addr, u64>>);

impl Surplus {
    /// How many there were since it was made, by the senders' addresses as the server sees them.
    pub fn counted(&self) -> BTreeMap<Ipv4Addr, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn count(&self, peer: Ipv4Addr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(peer).or_default() += 1;
    }
}

/// What was used in the second that runs.
#[derive(Debug)]
pub(super) struct Allowance {
    began: Instant,
    used: BTreeMap<Ipv4Addr, u32>,
    surplus: Arc<Surplus>,
}

impl Allowance {
    pub(super) fn new(surplus: Arc<Surplus>, now: Instant) -> Allowance {
        Allowance { began: now, used: BTreeMap::new(), surplus }
    }

    /// Whether one more question may be asked now; counted if not.
    pub(super) fn admits(&mut self, peer: Ipv4Addr, now: Instant) -> bool {
        if now.duration_since(self.began) >= A_SECOND {
            self.began = now;
            self.used.clear();
        }
        let used = self.used.entry(peer).or_default();
        let admitted = *used < PACKETS;
        if admitted {
            *used += 1;
        } else {
            self.surplus.count(peer);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_its_own_second() {
        let surplus = Arc::new(Surplus::default());
        let start = Instant::now();
        let mut allowance = Allowance::new(Arc::clone(&surplus), start);
        let [a, b] = [1, 2].map(|port| Ipv4Addr::new(100, 64, 0, port));
        let late = start + Duration::from_millis(999);
        assert_eq!((0..1030).filter(|_| allowance.admits(a, late)).count(), 1024);
        assert!(allowance.admits(b, late));
        assert!(allowance.admits(a, start + A_SECOND));
        assert_eq!(surplus.counted(), BTreeMap::from([(a, 6)]));
    }
}
