//! A hop: who takes one from a packet's TTL or hop limit, and answers when none is left.

use std::net::IpAddr;

use engine::{PortId, Time};
use wire::{FlowKey, Frame};

use crate::walk::machine::Machine;
use crate::walk::probe::Probe;
use crate::walk::road::{Next, Point, Recipient, Walker};
use crate::world::Member;

/// One hop on the way of a packet.
#[derive(Debug)]
pub(crate) enum Hop {
    /// A machine, and the packet as it came there.
    Machine(Member, Probe),
    /// A NAT gateway: the packet that ends there came into the fabric at this port.
    NatGateway(PortId, Frame),
}

impl Walker<'_> {
    /// The address under which `to` hears that what it sent has expired at a hop, if it hears it.
    pub(crate) fn time_exceeded(&mut self, at: &Hop, to: &Member, sent: FlowKey) -> Option<IpAddr> {
        let (point, report) = match at {
            Hop::Machine(member, about) => {
                let reporter = Machine::of(self.scene, member)?;
                let (leg, _) = reporter.route(about.src())?;
                let report = Probe::time_exceeded(leg.source(about.src())?, about.key);
                (Point::Machine(member.clone(), None), report)
            }
            Hop::NatGateway(port, frame) => {
                let explained = self.engine.explain(Time(0), *port, frame.clone());
                let (out, report) = explained.sent.into_iter().next()?;
                match self.beyond_fabric("the cloud", out, &report) {
                    Next::Go(point, probe) => (point, probe),
                    Next::Delivered(..) | Next::End(_) => return None,
                }
            }
        };
        let (_, heard) = self.walk(point, report, 0);
        let to = Recipient::Machine(to.clone());
        heard.filter(|(who, heard)| *who == to && heard.quoted == Some(sent)).map(|(_, heard)| heard.src())
    }
}
