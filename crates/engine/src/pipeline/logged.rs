//! At which interfaces with a flow log a packet is seen, and what their rules say.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Hop, Walk};
use crate::fabric::InterfaceKey;
use crate::flow_log::{Flow, TrafficPath};
use crate::tables::Interface;
use crate::trace::Direction;

impl<T> Walk<'_, T> {
    /// The packet is about to leave an interface. What is for the VPC's router is not logged (VPC user guide, "Flow log
    /// limitations"); what is for its services does not come here.
    pub(crate) fn depart(&mut self, interface: usize, hop: &Hop) {
        self.leaving = None;
        let tables = self.view.tables;
        let interface = &tables.interfaces[interface];
        if let Some(key) = &interface.logged
            && !tables.subnet_of(interface).is_router(hop.key.dst)
        {
            self.leaving = Some(self.logged.len());
            self.logged.push(flow(key, interface, Direction::Egress, hop));
        }
    }

    /// The rules of the interface that it leaves, or of its subnet, refuse it.
    pub(super) fn refuse_departure(&mut self) {
        if let Some(flow) = self.leaving.and_then(|at| self.logged.get_mut(at)) {
            flow.accepted = false;
        }
    }

    /// It leaves the interface by this way.
    pub(super) fn go_by(&mut self, path: TrafficPath) {
        if let Some(flow) = self.leaving.and_then(|at| self.logged.get_mut(at)) {
            flow.path = Some(path);
        }
    }

    /// The packet arrives at an interface, whose rules, or whose subnet's, let it pass or refuse it.
    pub(super) fn arrive(&mut self, interface: usize, hop: &Hop, accepted: bool) {
        let interface = &self.view.tables.interfaces[interface];
        if let Some(key) = &interface.logged {
            let flow = flow(key, interface, Direction::Ingress, hop);
            self.logged.push(Flow { accepted, ..flow });
        }
    }
}

fn flow(key: &Arc<InterfaceKey>, interface: &Interface, direction: Direction, hop: &Hop) -> Flow {
    let packets_own = match direction {
        Direction::Egress => hop.key.src,
        Direction::Ingress => hop.key.dst,
    };
    let own = match packets_own {
        IpAddr::V4(_) => interface.primary.into(),
        // It has no primary one among those, and maybe none.
        address if interface.owns(address) => address,
        address => *interface.addresses.keys().find(|own| own.is_ipv6()).unwrap_or(&address),
    };
    Flow::new(Arc::clone(key), own, direction, &hop.key)
}
