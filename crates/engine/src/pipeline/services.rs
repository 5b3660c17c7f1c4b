//! Between an interface and the servers of link-local services.

use wire::Rewrite;

use super::{Hop, Road, View, Walk};
use crate::flow::{IdleTimeouts, Tracking};
use crate::service::link_local;
use crate::tables::{Attached, ROUTER_MAC, Vpc};
use crate::trace::{Step, Trace};
use crate::verdict::DropReason;

impl<T: Trace> Walk<'_, T> {
    /// To a server at a link-local address, under a source address that stands for the asking port.
    pub(super) fn ask_service(&mut self, vpc: &Vpc, hop: Hop) -> Road {
        let services = self.view.tables.services.as_ref().ok_or(DropReason::NoSuchService)?;
        let server = link_local::served(&hop.key, vpc).ok_or(DropReason::NoSuchService)?;
        self.trace.note(|| Step::Service { address: hop.key.dst });
        let sent = (self.port, hop.key);
        let source = link_local::service_address(self.port).ok_or(DropReason::NoSuchService)?;
        let hop = hop.edited(Rewrite {
            eth_src: Some(ROUTER_MAC),
            eth_dst: Some(services.mac),
            src: Some(source.into()),
            dst: Some(server.into()),
            ..Rewrite::default()
        });
        let View { flows, now, .. } = *self.view;
        let receiver = (services.port, hop.key.reversed());
        let taken = flows.find(&receiver, self.opening, now).map(|place| flows.other_end(place));
        if taken.is_some_and(|other| other != sent) {
            return Err(DropReason::FlowConflict.into());
        }
        self.leave(services.port, Tracking::Idle(IdleTimeouts::DEFAULT), hop)
    }

    /// A server's answer goes back to the port that its question came from, between the same addresses.
    pub(super) fn answer_by_service(&mut self, hop: Hop) -> Road {
        let View { tables, flows, now, .. } = *self.view;
        let place = flows.find(&(self.port, hop.key), self.opening, now).ok_or(DropReason::NoFlow)?;
        let (asker, question) = flows.other_end(place);
        let Some(Attached::Interface(_, interface)) = tables.attached(asker) else {
            return Err(DropReason::NoPort.into());
        };
        self.trace.note(|| Step::Deliver { interface: interface.key.clone(), instance: interface.instance });
        let hop = hop.edited(Rewrite {
            eth_src: Some(ROUTER_MAC),
            eth_dst: Some(interface.mac),
            src: Some(question.dst),
            dst: Some(question.src),
            ..Rewrite::default()
        });
        self.leave(asker, Tracking::Idle(interface.idle), hop)
    }
}
