//! Everything that a verdict depends on, and the one place that changes it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use wire::{ETHERNET_LEN, Ethertype, Fragment, Frame, Mac, Packet, Rewrite, TcpFlags, Transport, fragment};

use crate::fabric::{Gateway, PortId, Time};
use crate::flow::{Cached, FlowTable, Place, Sessions};
use crate::flow_log::{Counted, FlowLog};
use crate::fragment::{First, FragmentTable};
use crate::nat::{NatTable, Standing};
use crate::pipeline::{self, Crossing, Decision, View};
use crate::service::allowance::Allowance;
use crate::service::arp;
use crate::tables::{Attached, Tables};
use crate::trace::{Step, Trace};
use crate::verdict::{DropReason, Ethernet, Forward, Verdict};

/// Tables, connections, sessions, fragments, and what was used of the services.
#[derive(Debug, Clone)]
pub(super) struct Core {
    pub(super) tables: Arc<Tables>,
    pub(super) flows: FlowTable,
    pub(super) nat: NatTable,
    pub(super) fragments: FragmentTable,
    allowance: Allowance,
    pub(super) flow_log: FlowLog,
    /// The MAC address of the uplink's gateway, where it had to be asked for and has been heard.
    pub(super) gateway: Option<Mac>,
}

/// Takes each frame that leaves, with the port that it leaves by.
type Output<'a> = &'a mut dyn FnMut(PortId, &Frame);

impl Core {
    /// `capacity` is that of connections, and of NAT gateways' sessions.
    pub(super) fn new(tables: Arc<Tables>, capacity: usize, seed: u64) -> Core {
        let mut nat = NatTable::new(capacity, seed);
        nat.load(&tables.translations());
        let flows = FlowTable::new(capacity, seed);
        let (fragments, allowance) = (FragmentTable::default(), Allowance::default());
        let flow_log = FlowLog::new(seed);
        Core { tables, flows, nat, fragments, allowance, flow_log, gateway: None }
    }

    /// Swaps the tables.
    pub(super) fn load(&mut self, tables: Arc<Tables>) {
        let changed = self.tables.ports_changed(&tables);
        if !changed.is_empty() {
            self.flows.forget_ports(&changed);
        }
        if self.gateway_address() != gateway_of(&tables) {
            self.gateway = None;
        }
        self.nat.load(&tables.translations());
        self.tables = tables;
        self.fragments.clear();
    }

    /// The uplink's gateway's address, where its MAC address has to be asked for.
    pub(super) fn gateway_address(&self) -> Option<Ipv4Addr> {
        gateway_of(&self.tables)
    }

    /// Sends to the gateway at this MAC address from now on.
    pub(super) fn gateway_is_at(&mut self, mac: Mac) {
        if self.gateway.replace(mac).is_some_and(|old| old != mac) {
            self.flows.forget_verdicts();
            self.fragments.clear();
        }
    }

    /// Takes one frame from a port.
    pub(super) fn process(
        &mut self,
        now: Time,
        port: PortId,
        frame: &mut Frame,
        trace: &mut impl Trace,
        send: Output<'_>,
    ) -> Result<(), DropReason> {
        frame.offload.validate(&frame.bytes).map_err(|_| DropReason::BadOffload)?;
        match Ethertype::of(&frame.bytes).map_err(DropReason::Malformed)? {
            Ethertype::Arp => {
                if let Some(mac) = arp::heard_gateway(&self.tables, port, frame) {
                    self.gateway_is_at(mac);
                }
                act(arp::answer(&self.tables, port, frame), port, send)
            }
            Ethertype::Ipv4 | Ethertype::Ipv6 => self.ip(now, port, frame, trace, send),
            Ethertype::Vlan => Err(DropReason::VlanTagged),
            Ethertype::Other(_) => Err(DropReason::UnsupportedProtocol),
        }
    }

    fn ip(
        &mut self,
        now: Time,
        port: PortId,
        frame: &mut Frame,
        trace: &mut impl Trace,
        send: Output<'_>,
    ) -> Result<(), DropReason> {
        let packet = Packet::parse(&frame.bytes).map_err(DropReason::Malformed)?;
        if packet.ttl() == 0 {
            return Err(DropReason::TtlZero);
        }
        // What is over is not found any more, to the tick.
        self.nat.expire(now);
        let Some(part) = packet.fragment() else {
            if let Some((place, cached)) = self.known(now, port, frame, &packet, trace) {
                self.admit(now, port, &cached.forward)?;
                return self.forward_as_known(now, frame, &packet, place, &cached, send);
            }
            return self.forward(now, port, frame, &packet, trace, send).map(drop);
        };
        if part.offset > 0 {
            return self.later_fragment(now, port, frame, &packet, part, trace, send);
        }
        let left = self.forward(now, port, frame, &packet, trace, send);
        let first = left.as_ref().ok().cloned().flatten();
        for mut waited in self.fragments.first(port, &packet, part, first.clone(), now) {
            let Some(first) = &first else { break };
            let Ok(packet) = Packet::parse(&waited.bytes) else { continue };
            let admitted = self.admit(now, port, &first.forward);
            if admitted.and_then(|()| self.follow(&mut waited, &packet, first, send)).is_err() {
                self.fragments.lose(port, 1);
            }
        }
        left.map(drop)
    }

    /// The verdict on an earlier packet, if it is the verdict on this one too.
    fn known(
        &self,
        now: Time,
        port: PortId,
        frame: &Frame,
        packet: &Packet,
        trace: &impl Trace,
    ) -> Option<(Place, Cached)> {
        // An ICMP error's own key says nothing: it belongs to the connection that it quotes.
        if trace.is_kept() || packet.is_icmp_error() {
            return None;
        }
        let opening = pipeline::opens(packet);
        let place = self.flows.find(&(port, packet.flow_key()), opening, now)?;
        let cached = self.flows.cached(place, self.tables.generation, Ethernet::of(packet), opening, now)?;
        let rewrite = &cached.forward.rewrite;
        let holds = packet.ttl() > rewrite.hops
            && packet.mtu_len(&frame.offload) <= usize::from(cached.forward.path_mtu(packet))
            && rewrite.possible(frame, packet, &Rewrite::default()).is_ok()
            && cached.sessions.iter().flatten().all(|(session, _)| self.nat.contains(*session));
        holds.then_some((place, cached))
    }

    fn forward_as_known(
        &mut self,
        now: Time,
        frame: &mut Frame,
        packet: &Packet,
        place: Place,
        cached: &Cached,
        send: Output<'_>,
    ) -> Result<(), DropReason> {
        if let Some(flows) = self.flows.logged(place) {
            self.flow_log.count(flows, Counted::new(packet, &frame.offload));
        }
        let pieces = edit(frame, packet, &cached.forward)?;
        let flags = tcp_flags(packet);
        for (session, from) in cached.sessions.into_iter().flatten() {
            self.nat.touch(session, from, flags, packet.total_len(), now);
        }
        self.flows.touch(place, &cached.receiver, flags, now);
        emit(frame, pieces, cached.forward.port, send);
        Ok(())
    }

    /// Whether whoever asks a link-local service has some of its allowance left.
    fn admit(&mut self, now: Time, port: PortId, forward: &Forward) -> Result<(), DropReason> {
        let asks = self.tables.services.as_ref().is_some_and(|services| services.port == forward.port);
        if asks && !self.allowance.admits(port, now) {
            return Err(DropReason::LinkLocalAllowance);
        }
        Ok(())
    }

    /// Decides about a packet that is no later fragment, and does it. Says how it left, if it was forwarded. A packet
    /// that is not leaves nothing behind, but for its way out by a NAT gateway to one that refuses it.
    fn forward(
        &mut self,
        now: Time,
        port: PortId,
        frame: &mut Frame,
        packet: &Packet,
        trace: &mut impl Trace,
        send: Output<'_>,
    ) -> Result<Option<First>, DropReason> {
        if packet.is_icmp_error() {
            // RFC 5508 REQ-3: an error is looked at before what it quotes is believed.
            packet.verify_icmp(frame).map_err(DropReason::Malformed)?;
            packet.quoted().ok_or(DropReason::BadQuote)?;
        }
        let view =
            View { tables: &self.tables, flows: &self.flows, nat: &self.nat, gateway: self.gateway, now };
        let decision = pipeline::decide(&view, port, frame, packet, trace);
        if !decision.logged.is_empty() {
            self.flow_log.count(&decision.logged, Counted::new(packet, &frame.offload));
        }
        match &decision.verdict {
            Verdict::Forward(forward) => {
                self.admit(now, port, forward)?;
                let settled = match edit(frame, packet, forward) {
                    Ok(pieces) => self.settle(now, packet, &decision, Some(forward)).map(|()| pieces),
                    Err(reason) => Err(reason),
                };
                if settled.is_err() {
                    self.count_refusal(&decision, &decision.crossings, packet.total_len());
                }
                emit(frame, settled?, forward.port, send);
                let gateways = decision.crossings.iter().map(|crossing| (crossing.gateway, crossing.from));
                let (ethernet, gateways) = (Ethernet::of(packet), gateways.collect());
                let logged = decision.logged;
                return Ok(Some(First { ethernet, forward: **forward, gateways, logged }));
            }
            // The packet has left, as far as its sender and the gateways on its way out know.
            Verdict::Drop(reason) if decision.claim.is_some() => {
                self.settle(now, packet, &decision, None)?;
                self.count_refusal(&decision, &[], packet.total_len());
                return Err(*reason);
            }
            _ => self.count_refusal(&decision, &decision.crossings, packet.total_len()),
        }
        act(decision.verdict, port, send).map(|()| None)
    }

    /// Stores what a packet claimed, and the verdict for the next ones if it is forwarded.
    fn settle(
        &mut self,
        now: Time,
        packet: &Packet,
        decision: &Decision,
        forward: Option<&Forward>,
    ) -> Result<(), DropReason> {
        let (flags, length) = (tcp_flags(packet), packet.total_len());
        let mut sessions = Vec::new();
        for crossing in &decision.crossings {
            let session = match &crossing.standing {
                Some(Standing::Known(session)) => *session,
                // Two gateways' claims of one packet may exclude each other only if it meets itself.
                Some(Standing::New(claim)) => self.nat.commit(claim, now).ok_or(DropReason::FlowConflict)?,
                None => {
                    let key = &self.tables.nat_gateways[crossing.gateway].translation.key;
                    self.nat.count_passed(key, crossing.from, length);
                    continue;
                }
            };
            self.nat.touch(session, crossing.from, flags, length, now);
            sessions.push((session, crossing.from));
        }
        let Some(flow) = &decision.claim else { return Ok(()) };
        let place = self.flows.commit(flow, now);
        let sessions: Option<Sessions> = match sessions[..] {
            [] => Some([None; 2]),
            [one] => Some([Some(one), None]),
            [one, two] => Some([Some(one), Some(two)]),
            // Too many to be kept with a verdict.
            _ => None,
        };
        if let Some((forward, sessions)) = forward.zip(sessions) {
            let (generation, ethernet) = (self.tables.generation, Ethernet::of(packet));
            let cached =
                Cached { generation, ethernet, forward: *forward, receiver: flow.receiver, sessions };
            self.flows.remember(place, cached, &decision.logged);
        }
        self.flows.touch(place, &flow.receiver, flags, now);
        Ok(())
    }

    /// Counts a packet that did not get through, at the gateway that refused it and at those that it had passed.
    fn count_refusal(&mut self, decision: &Decision, passed: &[Crossing], length: usize) {
        let passed = passed.iter().map(|crossing| (crossing.gateway, crossing.from, None));
        let refused = decision.refused.map(|refused| (refused.gateway, refused.from, refused.refusal));
        for (gateway, from, refusal) in passed.chain(refused) {
            let key = &self.tables.nat_gateways[gateway].translation.key;
            self.nat.count_drop(key, from, refusal, length);
        }
    }

    /// Lets a later fragment follow its first, or wait for it.
    #[expect(clippy::too_many_arguments, reason = "one frame, and what was read from it")]
    fn later_fragment(
        &mut self,
        now: Time,
        port: PortId,
        frame: &mut Frame,
        packet: &Packet,
        part: Fragment,
        trace: &mut impl Trace,
        send: Output<'_>,
    ) -> Result<(), DropReason> {
        match self.tables.attached(port).ok_or(DropReason::UnknownPort)? {
            Attached::Interface(_, interface) if interface.mac != packet.eth_src() => {
                return Err(DropReason::SpoofedMac);
            }
            _ => {}
        }
        match self.fragments.later(port, packet, part, frame, now)? {
            Some(first) => {
                self.admit(now, port, &first.forward)?;
                self.follow(frame, packet, &first, send)
            }
            None => {
                trace.note(|| Step::Waits);
                Ok(())
            }
        }
    }

    /// Forwards a later fragment as its first was.
    fn follow(
        &mut self,
        frame: &mut Frame,
        packet: &Packet,
        first: &First,
        send: Output<'_>,
    ) -> Result<(), DropReason> {
        if !first.logged.is_empty() {
            self.flow_log.count(&first.logged, Counted::new(packet, &frame.offload));
        }
        let forward = &first.forward;
        let too_big =
            packet.mtu_len(&frame.offload) > usize::from(forward.path_mtu(packet)) && packet.dont_fragment();
        let left = if packet.ttl() <= forward.rewrite.hops {
            Err(DropReason::TtlExceeded)
        } else if too_big {
            Err(DropReason::TooBig)
        } else {
            edit(frame, packet, forward)
        };
        for &(gateway, from) in &first.gateways {
            let key = &self.tables.nat_gateways[gateway].translation.key;
            match left {
                Ok(_) => self.nat.count_passed(key, from, packet.total_len()),
                Err(_) => self.nat.count_drop(key, from, None, packet.total_len()),
            }
        }
        emit(frame, left?, forward.port, send);
        Ok(())
    }
}

/// The uplink's gateway's address, where its MAC address has to be asked for.
fn gateway_of(tables: &Tables) -> Option<Ipv4Addr> {
    match tables.uplink()?.gateway? {
        Gateway::Address(address) => Some(address),
        Gateway::Mac(_) => None,
    }
}

fn tcp_flags(packet: &Packet) -> Option<TcpFlags> {
    match packet.transport() {
        Transport::Tcp { flags, .. } => Some(flags),
        _ => None,
    }
}

/// Edits a packet. Gives the pieces that it leaves in, if it is too big and may be cut; else the frame itself leaves.
/// Where the family changes, IPv4 is what is cut (RFC 7915 sections 4 and 5.1).
fn edit(frame: &mut Frame, packet: &Packet, forward: &Forward) -> Result<Option<Vec<Frame>>, DropReason> {
    let (mtu, link_mtu) = (usize::from(forward.path_mtu(packet)), usize::from(forward.mtu));
    let apply = |frame: &mut Frame, packet: &Packet| {
        let edited = forward.rewrite.apply_quoted(frame, packet, &forward.quoted);
        edited.map_err(|_| DropReason::Untranslatable)
    };
    let parse = |frame: &Frame| Packet::parse(&frame.bytes).map_err(DropReason::Malformed);
    let too_big = packet.mtu_len(&frame.offload) > mtu;
    let same_family = forward.rewrite.dst.is_none_or(|dst| dst.is_ipv4() == packet.dst().is_ipv4());
    if too_big && !same_family {
        let mut pieces = fragment::split(frame, packet, mtu);
        for piece in &mut pieces {
            let packet = parse(piece)?;
            apply(piece, &packet)?;
        }
        return Ok(Some(pieces));
    }
    apply(frame, packet)?;
    if too_big {
        return Ok(Some(fragment::split(frame, packet, mtu)));
    }
    if !same_family && frame.bytes.len() - ETHERNET_LEN > link_mtu {
        let packet = parse(frame)?;
        if packet.mtu_len(&frame.offload) > link_mtu {
            return Ok(Some(fragment::split(frame, &packet, link_mtu)));
        }
    }
    Ok(None)
}

/// Sends an edited frame, or the pieces that it was cut into.
fn emit(frame: &Frame, pieces: Option<Vec<Frame>>, port: PortId, send: Output<'_>) {
    match pieces {
        None => send(port, frame),
        Some(pieces) => pieces.iter().for_each(|piece| send(port, piece)),
    }
}

fn act(verdict: Verdict, port: PortId, send: Output<'_>) -> Result<(), DropReason> {
    match verdict {
        Verdict::Reply(reply) => {
            send(port, &reply);
            Ok(())
        }
        // Forwarding is the caller's: it has the frame.
        Verdict::Consumed | Verdict::Forward(_) => Ok(()),
        Verdict::Drop(reason) => Err(reason),
    }
}
