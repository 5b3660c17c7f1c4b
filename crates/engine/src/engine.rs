//! The engine: frames in, frames out; what it remembers between them, and what it counts.

use std::collections::BTreeMap;
use std::mem;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wire::{Ethertype, Frame, Mac, Packet, TcpFlags, Transport, fragment, icmp_error};

use crate::fabric::{Gateway, InterfaceKey, PortId, Time};
use crate::flow::{Cached, FlowTable, Place, Sessions};
use crate::fragment::FragmentTable;
use crate::nat::{self, NatTable};
use crate::pipeline::{self, Decision, View};
use crate::service::{arp, nd};
use crate::tables::Tables;
use crate::trace::{Step, Trace, Untraced};
use crate::verdict::{DropReason, Ethernet, Forward, Verdict};

/// Connections tracked at most. EC2 publishes no figure for its own limit; this bounds memory to some 300 MB.
const CONNECTIONS: usize = 1 << 20;
/// Seconds between two router advertisements on a link (RFC 4861 section 6.2.1: MaxRtrAdvInterval).
const ADVERTISE: u64 = 600;

/// Where an imagined gateway is: who explains takes it that the real one answers.
const IMAGINED_GATEWAY: Mac = Mac([0x0a, 0x52, 0x57, 0x00, 0x00, 0x03]);

/// Forwards, answers and drops packets, and remembers connections.
#[derive(Debug)]
pub struct Engine {
    core: Core,
    counters: Counters,
    /// When the routers advertise themselves next.
    advertise: Time,
}

/// What was counted since the engine was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// By the port that a frame came from or left by.
    pub ports: BTreeMap<PortId, PortCounters>,
    /// Connections tracked now.
    pub connections: usize,
    /// By the NAT gateway's interface.
    pub nat_gateways: BTreeMap<InterfaceKey, nat::Counters>,
}

/// What was counted at one port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortCounters {
    /// Frames that came from the port.
    pub received: u64,
    /// Frames that left by the port.
    pub sent: u64,
    /// Frames that came from the port and were dropped, by reason.
    pub drops: BTreeMap<DropReason, u64>,
}

/// What became of an imagined packet, and why.
#[derive(Debug, Clone)]
pub struct Explained {
    /// Every decision, in order.
    pub steps: Vec<Step>,
    /// What left, by which port. Empty if the packet was dropped; a reply leaves by the port that it came from.
    pub sent: Vec<(PortId, Frame)>,
    /// Why it was dropped, if it was.
    pub dropped: Option<DropReason>,
}

impl Engine {
    /// An engine with these tables and no connections. `seed` keeps its hash tables from being attacked, and the ports
    /// of its NAT gateways from being guessed.
    pub fn new(tables: Arc<Tables>, seed: u64) -> Engine {
        let mut nat = NatTable::new(CONNECTIONS, seed);
        nat.load(&tables.translations());
        let flows = FlowTable::new(CONNECTIONS, seed);
        let core = Core { tables, flows, nat, fragments: FragmentTable::default(), gateway: None, lost: 0 };
        Engine { core, counters: Counters::default(), advertise: Time(0) }
    }

    /// An engine of these tables without connections, to try packets on.
    pub fn imagine(tables: Arc<Tables>) -> Engine {
        let mut engine = Engine::new(tables, 0);
        engine.core.gateway = Some(IMAGINED_GATEWAY);
        engine
    }

    /// Swaps the tables. Tracked connections go on, as EC2's do, but for those of interfaces that left their port;
    /// every cached verdict is asked anew.
    pub fn load(&mut self, tables: Arc<Tables>) {
        let changed = self.core.tables.ports_changed(&tables);
        if !changed.is_empty() {
            self.core.flows.forget_ports(&changed);
        }
        if self.core.gateway_address() != Core::gateway_of(&tables) {
            self.core.gateway = None;
        }
        self.core.nat.load(&tables.translations());
        self.core.tables = tables;
        self.core.fragments.clear();
    }

    /// The tables in force.
    pub fn tables(&self) -> &Arc<Tables> {
        &self.core.tables
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        Counters {
            connections: self.core.flows.len(),
            nat_gateways: self.core.nat.counters(),
            ..self.counters.clone()
        }
    }

    /// Takes one frame from a port; calls `send` for each frame that leaves, which may have edited `frame` itself.
    pub fn receive(
        &mut self,
        now: Time,
        port: PortId,
        frame: &mut Frame,
        send: &mut dyn FnMut(PortId, &Frame),
    ) {
        let Engine { core, counters, .. } = self;
        counters.at(port).received += 1;
        let mut counted = |to: PortId, frame: &Frame| {
            counters.at(to).sent += 1;
            send(to, frame);
        };
        let processed = core.process(now, port, frame, &mut Untraced, &mut counted);
        let lost = mem::take(&mut core.lost);
        if let Err(reason) = processed {
            self.count_drop(port, reason);
        }
        self.count_drops(port, DropReason::FragmentWithoutFirst, lost);
    }

    /// As [`Engine::receive`], with every decision kept.
    pub fn explain(&mut self, now: Time, port: PortId, mut frame: Frame) -> Explained {
        let mut steps = Vec::new();
        let mut sent = Vec::new();
        let mut keep = |to: PortId, frame: &Frame| sent.push((to, frame.clone()));
        let dropped = self.core.process(now, port, &mut frame, &mut steps, &mut keep).err();
        steps.extend(dropped.map(Step::Dropped));
        Explained { steps, sent, dropped }
    }

    /// Counts a frame that was dropped before the engine saw it, or that could not be sent.
    pub fn count_drop(&mut self, port: PortId, reason: DropReason) {
        self.count_drops(port, reason, 1);
    }

    /// The ARP request that finds the uplink's gateway, and the uplink's port, if there is one to be found and anybody
    /// behind the uplink whom it could answer. To be sent often until [`Engine::gateway_is_known`], then now and then:
    /// the gateway may move.
    pub fn ask_gateway(&self) -> Option<(PortId, Frame)> {
        let uplink = self.core.tables.uplink()?;
        let gateway = self.core.gateway_address()?;
        let asker = self.core.tables.any_public()?;
        Some((uplink.port, wire::arp::request(uplink.mac, asker, gateway)))
    }

    /// Whether the uplink's gateway has been heard.
    pub fn gateway_is_known(&self) -> bool {
        self.core.gateway.is_some()
    }

    /// Lets go of what has been idle too long, and has the routers of IPv6 subnets advertise themselves when it is time.
    /// Call it about once a second.
    pub fn tick(&mut self, now: Time, send: &mut dyn FnMut(PortId, &Frame)) {
        self.core.flows.expire(now);
        self.core.nat.expire(now);
        for (port, count) in self.core.fragments.expire(now) {
            self.count_drops(port, DropReason::FragmentWithoutFirst, count);
        }
        if now >= self.advertise {
            self.advertise = now.after(ADVERTISE);
            for interface in &self.core.tables.interfaces {
                if let Some(port) = interface.port
                    && let Some(frame) = nd::router_advertisement(&self.core.tables, interface)
                {
                    self.counters.at(port).sent += 1;
                    send(port, &frame);
                }
            }
        }
    }

    fn count_drops(&mut self, port: PortId, reason: DropReason, count: usize) {
        if count > 0 {
            *self.counters.at(port).drops.entry(reason).or_default() += count as u64;
        }
    }
}

impl Counters {
    fn at(&mut self, port: PortId) -> &mut PortCounters {
        self.ports.entry(port).or_default()
    }
}

/// Everything that a verdict depends on.
#[derive(Debug)]
struct Core {
    tables: Arc<Tables>,
    flows: FlowTable,
    nat: NatTable,
    fragments: FragmentTable,
    /// The MAC address of the uplink's gateway, where it had to be asked for and has been heard.
    gateway: Option<Mac>,
    /// Fragments that have waited in vain, until they are counted.
    lost: usize,
}

/// Takes each frame that leaves, with the port that it leaves by.
type Output<'a> = &'a mut dyn FnMut(PortId, &Frame);

impl Core {
    fn process(
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
        let ethernet = Ethernet { src: packet.eth_src(), dst: packet.eth_dst() };
        let Some(part) = packet.fragment() else {
            return self.forward(now, port, frame, &packet, ethernet, trace, send).map(drop);
        };
        if part.offset > 0 {
            let Some(forward) = self.fragments.later(port, &packet, part, ethernet, now) else {
                self.fragments.wait(port, &packet, part, frame, now)?;
                trace.note(|| Step::Waits);
                return Ok(());
            };
            edit(frame, &packet, &forward)?;
            emit(frame, &forward, send);
            return Ok(());
        }
        let forwarded = self.forward(now, port, frame, &packet, ethernet, trace, send);
        let Ok(Some(forward)) = forwarded else {
            // Nobody follows a first fragment that went nowhere.
            self.lost += self.fragments.refused(port, &packet, part);
            return forwarded.map(drop);
        };
        for mut frame in self.fragments.first(port, &packet, part, ethernet, forward, now) {
            let sent = Packet::parse(&frame.bytes).map_err(DropReason::Malformed).and_then(|packet| {
                let between = Ethernet { src: packet.eth_src(), dst: packet.eth_dst() };
                if between == ethernet {
                    edit(&mut frame, &packet, &forward)
                } else {
                    Err(DropReason::SpoofedMac)
                }
            });
            match sent {
                Ok(()) => emit(&frame, &forward, send),
                Err(_) => self.lost += 1,
            }
        }
        Ok(())
    }

    /// Forwards a packet that is no later fragment, and says how; or answers it.
    #[expect(clippy::too_many_arguments, reason = "one frame, and what was read from it")]
    fn forward(
        &mut self,
        now: Time,
        port: PortId,
        frame: &mut Frame,
        packet: &Packet,
        ethernet: Ethernet,
        trace: &mut impl Trace,
        send: Output<'_>,
    ) -> Result<Option<Forward>, DropReason> {
        // What is over is not found any more, to the tick.
        self.nat.expire(now);
        let length = packet.mtu_len(&frame.offload);
        let stand = self.stand(now, port, frame, packet, ethernet, trace)?;
        let ended = match self.leave(now, frame, packet, ethernet, &stand, trace) {
            Ok(forward) => {
                emit(frame, &forward, send);
                return Ok(Some(forward));
            }
            Err(ended) => ended,
        };
        if let Stand::Decided(decision) = &stand {
            self.count_refusal(decision, length);
        }
        act(ended, port, send).map(|()| None)
    }

    /// Edits a packet that is forwarded and stores what it needs remembered; or says how it ends instead. A packet that
    /// is not forwarded leaves nothing behind.
    fn leave(
        &mut self,
        now: Time,
        frame: &mut Frame,
        packet: &Packet,
        ethernet: Ethernet,
        stand: &Stand,
        trace: &mut impl Trace,
    ) -> Result<Forward, Verdict> {
        let forward = match stand {
            Stand::Known(_, cached) => cached.forward,
            Stand::Decided(decision) => match &decision.verdict {
                Verdict::Forward(forward) => *forward,
                Verdict::Reply(reply) => return Err(Verdict::Reply(reply.clone())),
                Verdict::Consumed => return Err(Verdict::Consumed),
                Verdict::Drop(reason) => return Err(Verdict::Drop(*reason)),
            },
        };
        let length = packet.mtu_len(&frame.offload);
        if length > usize::from(forward.mtu) && packet.dont_fragment() {
            trace.note(|| Step::TooBig { mtu: forward.mtu });
            let error = icmp_error::too_big(frame, packet, forward.router, forward.mtu);
            let refusal = Verdict::Drop(DropReason::TooBig);
            return Err(error.map_or(refusal, |error| Verdict::Reply(Box::new(error))));
        }
        let flags = match packet.transport() {
            Transport::Tcp { flags, .. } => Some(flags),
            _ => None,
        };
        edit(frame, packet, &forward).map_err(Verdict::Drop)?;
        match stand {
            Stand::Known(place, cached) => {
                for (session, from) in cached.sessions.into_iter().flatten() {
                    self.nat.touch(session, from, flags, length, now);
                }
                self.flows.touch(*place, &cached.receiver, flags, now);
            }
            Stand::Decided(decision) => {
                let sessions = self.settle(now, decision, flags, length).map_err(Verdict::Drop)?;
                if let Some(flow) = &decision.claim {
                    let place = self.flows.commit(flow, now);
                    if let Some(sessions) = sessions {
                        let generation = self.tables.generation;
                        let receiver = flow.receiver;
                        self.flows
                            .remember(place, Cached { generation, ethernet, forward, receiver, sessions });
                    }
                    self.flows.touch(place, &flow.receiver, flags, now);
                }
            }
        }
        Ok(forward)
    }

    /// Stores what a packet claimed of the NAT gateways on its way. None if they are too many to be kept with a verdict.
    fn settle(
        &mut self,
        now: Time,
        decision: &Decision,
        flags: Option<TcpFlags>,
        length: usize,
    ) -> Result<Option<Sessions>, DropReason> {
        let mut sessions = Vec::new();
        for crossing in &decision.crossings {
            let session = match &crossing.standing {
                Some(nat::Standing::Known(session)) => *session,
                // Two gateways' claims of one packet may exclude each other only if it meets itself.
                Some(nat::Standing::New(claim)) => {
                    self.nat.commit(claim, now).ok_or(DropReason::FlowConflict)?
                }
                None => {
                    let key = &self.tables.nat_gateways[crossing.gateway].translation.key;
                    self.nat.count_error(key, crossing.from, length);
                    continue;
                }
            };
            self.nat.touch(session, crossing.from, flags, length, now);
            sessions.push((session, crossing.from));
        }
        Ok(match sessions[..] {
            [] => Some([None; 2]),
            [one] => Some([Some(one), None]),
            [one, two] => Some([Some(one), Some(two)]),
            _ => None,
        })
    }

    /// Counts a packet that did not get through, at the gateway that refused it or that it had passed.
    fn count_refusal(&mut self, decision: &Decision, length: usize) {
        let passed = decision.crossings.iter().map(|crossing| (crossing.gateway, crossing.from, None));
        let refused = decision.refused.map(|refused| (refused.gateway, refused.from, Some(refused.refusal)));
        for (gateway, from, refusal) in passed.chain(refused) {
            let key = &self.tables.nat_gateways[gateway].translation.key;
            self.nat.count_drop(key, from, refusal, length);
        }
    }

    /// The verdict on a packet, from what is known if it can be, and how the packet stands to what is known.
    fn stand(
        &self,
        now: Time,
        port: PortId,
        frame: &Frame,
        packet: &Packet,
        ethernet: Ethernet,
        trace: &mut impl Trace,
    ) -> Result<Stand, DropReason> {
        // An ICMP error's own key says nothing: it belongs to the connection that it quotes.
        if !trace.is_kept()
            && packet.quoted().is_none()
            && packet.fragment().is_none()
            && let Some(place) = self.flows.find(&(port, packet.flow_key()), pipeline::opens(packet), now)
            && let Some(cached) = self.flows.cached(place, self.tables.generation, ethernet, now)
            && packet.ttl() > cached.forward.rewrite.hops
            && cached.sessions.iter().flatten().all(|(session, _)| self.nat.contains(*session))
        {
            return Ok(Stand::Known(place, cached));
        }
        if packet.is_icmp_error() {
            // RFC 5508 REQ-3: an error is looked at before what it quotes is believed.
            packet.verify_icmp(frame).map_err(DropReason::Malformed)?;
            packet.quoted().ok_or(DropReason::BadQuote)?;
        }
        let view =
            View { tables: &self.tables, flows: &self.flows, nat: &self.nat, gateway: self.gateway, now };
        Ok(Stand::Decided(pipeline::decide(&view, port, frame, packet, trace)))
    }

    /// The gateway's address, where its MAC address has to be asked for.
    fn gateway_address(&self) -> Option<Ipv4Addr> {
        Core::gateway_of(&self.tables)
    }

    fn gateway_of(tables: &Tables) -> Option<Ipv4Addr> {
        match tables.uplink()?.gateway? {
            Gateway::Address(address) => Some(address),
            Gateway::Mac(_) => None,
        }
    }

    /// Sends to the gateway at this MAC address from now on.
    fn gateway_is_at(&mut self, mac: Mac) {
        if self.gateway.replace(mac).is_some_and(|old| old != mac) {
            self.flows.forget_verdicts();
            self.fragments.clear();
        }
    }
}

/// How a packet stands to the connections that are known.
enum Stand {
    /// It travels on one whose verdict is known.
    Known(Place, Cached),
    /// It was decided anew.
    Decided(Decision),
}

fn edit(frame: &mut Frame, packet: &Packet, forward: &Forward) -> Result<(), DropReason> {
    let edited = forward.rewrite.apply_quoted(frame, packet, &forward.quoted);
    edited.map_err(|_| DropReason::Untranslatable)
}

/// Sends a frame that was edited, in pieces if it is too big and may be cut.
fn emit(frame: &Frame, forward: &Forward, send: Output<'_>) {
    let too_big = Packet::parse(&frame.bytes)
        .ok()
        .filter(|packet| packet.mtu_len(&frame.offload) > usize::from(forward.mtu) && packet.src().is_ipv4());
    match too_big {
        None => send(forward.port, frame),
        Some(packet) => {
            for piece in fragment::split(frame, &packet, usize::from(forward.mtu)) {
                send(forward.port, &piece);
            }
        }
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
