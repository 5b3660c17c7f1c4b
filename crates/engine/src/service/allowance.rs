//! How much of the link-local services one interface may use (EC2 user guide, "Link-local service traffic limits").
//!
//! It is counted before the packets meet those of others: who floods the services keeps nobody else from them.

use std::collections::BTreeMap;

use crate::fabric::{PortId, Time};

/// Packets a second and interface, to all services together.
pub const SERVICE_PACKETS: u32 = 1024;
const A_SECOND: u64 = 1_000_000_000;

/// What was used in the second that runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowance {
    began: Time,
    used: BTreeMap<PortId, u32>,
}

impl Allowance {
    /// Whether one more packet from this port may go to a service now.
    pub(crate) fn admits(&mut self, port: PortId, now: Time) -> bool {
        if now.0.saturating_sub(self.began.0) >= A_SECOND {
            self.began = now;
            self.used.clear();
        }
        let used = self.used.entry(port).or_default();
        let admitted = *used < SERVICE_PACKETS;
        *used += u32::from(admitted);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_has_its_own_second() {
        let mut allowance = Allowance::default();
        let [a, b] = [PortId(1), PortId(2)];
        let start = Time(0).after(7);
        let late = Time(start.0 + A_SECOND - 1);
        assert!(allowance.admits(a, start));
        assert_eq!((0..1030).filter(|_| allowance.admits(a, late)).count(), 1023);
        assert!(allowance.admits(b, late));
        assert!(allowance.admits(a, start.after(1)));
    }
}
