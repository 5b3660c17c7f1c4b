//! Between a VPC and the internet: by an internet gateway, or by an egress-only one.

use std::net::IpAddr;

use wire::Rewrite;

use super::{End, Hop, Road, Walk};
use crate::fabric::{Gateway, Uplink};
use crate::filter::source_check;
use crate::flow::{IdleTimeouts, Tracking};
use crate::service::nd;
use crate::tables::{Interface, ROUTER_MAC, Target};
use crate::trace::{Step, Trace};
use crate::translate::internet_gateway;
use crate::verdict::DropReason;

/// MTU at an internet gateway, in bytes (EC2 user guide, "Network maximum transmission unit").
const MTU: u16 = 1500;

impl<T: Trace> Walk<'_, T> {
    /// Beyond the gateway: either another public address of ours, or somebody on the internet segment.
    pub(super) fn leave_to_internet(&mut self, sender: &Interface, hop: Hop) -> Road {
        let tables = self.view.tables;
        self.narrow(MTU, sender);
        if let Some((owner, private)) = tables.behind_public(hop.key.dst) {
            return self.enter_vpc(owner, private, hop);
        }
        let uplink = tables.uplink.as_ref().ok_or(DropReason::NoUplink)?;
        let mac = match (uplink.neighbors.get(&hop.key.dst).copied(), uplink.gateway) {
            (Some(mac), _) | (None, Some(Gateway::Mac(mac))) => mac,
            (None, Some(Gateway::Address(_))) => self.view.gateway.ok_or(DropReason::GatewayUnresolved)?,
            (None, None) => return Err(DropReason::NoInternetHost.into()),
        };
        self.trace.note(|| Step::ToInternet { destination: hop.key.dst });
        self.narrow(uplink.mtu, sender);
        let hop = hop.edited(Rewrite { eth_src: Some(uplink.mac), eth_dst: Some(mac), ..Rewrite::default() });
        self.leave(uplink.port, Tracking::Idle(IdleTimeouts::DEFAULT), hop)
    }

    pub(super) fn arrive_from_internet(&mut self, uplink: &Uplink, hop: Hop) -> Road {
        if let Some(verdict) = nd::on_uplink(self.view.tables, uplink, self.frame, self.packet) {
            return Err(End(verdict));
        }
        if self.packet.eth_dst() != uplink.mac {
            // A segment carries broadcasts and multicasts to everybody.
            super::possible_destination(self.packet)?;
            return Err(DropReason::NotForUs.into());
        }
        self.trace.note(|| Step::FromInternet { source: hop.key.src });
        let tables = self.view.tables;
        let found = tables.behind_public(hop.key.dst);
        let (owner, private) = found.ok_or(DropReason::UnknownPublicAddress)?;
        // Nobody out there has an address of ours: rules that trust the VPC's addresses must not trust a stranger.
        let vpc = tables.vpc_of(&tables.interfaces[owner]);
        let ours = vpc.contains(hop.key.src) || tables.behind_public(hop.key.src).is_some();
        if ours || source_check::martian(hop.key.src) {
            return Err(DropReason::MartianSource.into());
        }
        let hop = hop.edited(Rewrite { eth_src: Some(ROUTER_MAC), ..Rewrite::default() });
        self.enter_vpc(owner, private, hop)
    }

    /// In by the gateway that the address speaks through: for IPv6 its subnet's route table says which.
    fn enter_vpc(&mut self, owner: usize, private: IpAddr, hop: Hop) -> Road {
        let tables = self.view.tables;
        let receiver = &tables.interfaces[owner];
        let way_out = tables.table_of(tables.subnet_of(receiver)).lookup(hop.key.src);
        if let (IpAddr::V6(_), Some((_, Target::EgressOnlyInternetGateway(gateway)))) = (private, way_out) {
            self.trace.note(|| Step::EgressOnlyInternetGateway { gateway: *gateway });
            self.answers(receiver, &hop)?;
            return self.deliver(None, owner, hop);
        }
        let vpc = tables.vpc_of(receiver);
        let gateway = vpc.internet_gateway.ok_or(DropReason::UnknownPublicAddress)?;
        let hop = internet_gateway::inbound(gateway, private, hop, self.trace);
        let Some(edge) = vpc.edge else { return self.deliver(None, owner, hop) };
        let table = &tables.route_tables[edge];
        let found = table.lookup(hop.key.dst);
        self.trace.note(|| Step::EdgeRoute {
            table: table.id,
            matched: found.map(|(prefix, target)| (prefix, target.name())),
        });
        match found.map(|(_, target)| target) {
            Some(Target::Interface(middlebox, _)) => self.deliver(None, *middlebox, hop),
            Some(Target::Local) => self.deliver(None, owner, hop),
            Some(Target::Blackhole(_)) => Err(DropReason::Blackhole.into()),
            _ => Err(DropReason::NoRoute.into()),
        }
    }

    /// Whether the packet belongs to a connection that has left by the port that it came from, or is an error about
    /// one. The interface tracks whatever it sends by this gateway.
    fn answers(&self, receiver: &Interface, hop: &Hop) -> Result<(), DropReason> {
        let key = hop.quoted.map_or(hop.key, |quoted| quoted.reversed());
        let tracks = |port, key| self.view.flows.tracks(&(port, key), self.opening, self.view.now);
        let by_owner = receiver.port.is_some_and(|port| tracks(port, key.reversed()));
        (by_owner || tracks(self.port, key)).then_some(()).ok_or(DropReason::EgressOnly)
    }
}
