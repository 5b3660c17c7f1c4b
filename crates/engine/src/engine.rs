//! The engine: frames in, frames out; what it remembers between them, and what it counts.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wire::{Ethertype, Frame, Mac, Packet, Transport, fragment, icmp_error};

use crate::fabric::{Gateway, PortId, Time};
use crate::flow::{Cached, Claim, EndKey, FlowTable, Place};
use crate::fragment::FragmentTable;
use crate::pipeline::{self, Decision, View};
use crate::service::arp;
use crate::tables::{Attached, Tables};
use crate::trace::{Step, Trace, Untraced};
use crate::verdict::{DropReason, Ethernet, Verdict};

/// Connections tracked at most. EC2 publishes no figure for its own limit; this bounds memory to some 300 MB.
const CONNECTIONS: usize = 1 << 20;

/// Where an imagined gateway is: who explains takes it that the real one answers.
const IMAGINED_GATEWAY: Mac = Mac([0x0a, 0x52, 0x57, 0x00, 0x00, 0x03]);

/// Forwards, answers and drops packets, and remembers connections.
#[derive(Debug)]
pub struct Engine {
    core: Core,
    counters: Counters,
}

/// What was counted since the engine was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// By the port that a frame came from or left by.
    pub ports: BTreeMap<PortId, PortCounters>,
    /// Connections tracked now.
    pub connections: usize,
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
    /// An engine with these tables and no connections. `seed` keeps its hash tables from being attacked.
    pub fn new(tables: Arc<Tables>, seed: u64) -> Engine {
        let flows = FlowTable::new(CONNECTIONS, seed);
        Engine {
            core: Core { tables, flows, fragments: FragmentTable::default(), gateway: None },
            counters: Counters::default(),
        }
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
        self.core.tables = tables;
        self.core.fragments.clear();
    }

    /// The tables in force.
    pub fn tables(&self) -> &Arc<Tables> {
        &self.core.tables
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        Counters { connections: self.core.flows.len(), ..self.counters.clone() }
    }

    /// Takes one frame from a port; calls `send` for each frame that leaves, which may have edited `frame` itself.
    pub fn receive(
        &mut self,
        now: Time,
        port: PortId,
        frame: &mut Frame,
        send: &mut dyn FnMut(PortId, &Frame),
    ) {
        let Engine { core, counters } = self;
        counters.at(port).received += 1;
        let mut counted = |to: PortId, frame: &Frame| {
            counters.at(to).sent += 1;
            send(to, frame);
        };
        if let Err(reason) = core.process(now, port, frame, &mut Untraced, &mut counted) {
            self.count_drop(port, reason);
        }
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
        *self.counters.at(port).drops.entry(reason).or_default() += 1;
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

    /// Lets go of what has been idle too long. Call it about once a second.
    pub fn expire(&mut self, now: Time) {
        self.core.flows.expire(now);
        self.core.fragments.expire(now);
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
    fragments: FragmentTable,
    /// The MAC address of the uplink's gateway, where it had to be asked for and has been heard.
    gateway: Option<Mac>,
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
            Ethertype::Ipv4 => self.ipv4(now, port, frame, trace, send),
            Ethertype::Vlan => Err(DropReason::VlanTagged),
            Ethertype::Ipv6 | Ethertype::Other(_) => Err(DropReason::UnsupportedProtocol),
        }
    }

    fn ipv4(
        &mut self,
        now: Time,
        port: PortId,
        frame: &mut Frame,
        trace: &mut impl Trace,
        send: Output<'_>,
    ) -> Result<(), DropReason> {
        let packet = Packet::parse(&frame.bytes).map_err(DropReason::Malformed)?;
        let ethernet = Ethernet { src: packet.eth_src(), dst: packet.eth_dst() };
        let (forward, standing) = match self.stand(now, port, frame, &packet, ethernet, trace)? {
            (Verdict::Forward(forward), standing) => (forward, standing),
            (verdict, _) => return act(verdict, port, send),
        };
        if packet.mtu_len(&frame.offload) > usize::from(forward.mtu) && packet.dont_fragment() {
            trace.note(|| Step::TooBig { mtu: forward.mtu });
            let error = self.fragmentation_needed(port, frame, &packet, forward.mtu);
            return act(error.map_or(Verdict::Drop(DropReason::TooBig), Verdict::Reply), port, send);
        }

        // From here on the packet leaves: what it needs remembered is stored.
        let flags = match packet.transport() {
            Transport::Tcp { flags, .. } => Some(flags),
            _ => None,
        };
        match standing {
            Standing::Stateless => {}
            Standing::Known(place, receiver) => self.flows.touch(place, &receiver, flags, now),
            Standing::New(claim) => {
                let Claim { receiver, .. } = claim;
                let place = self.flows.commit(&claim, now);
                let generation = self.tables.generation;
                self.flows.remember(place, Cached { generation, ethernet, forward, receiver });
                self.flows.touch(place, &receiver, flags, now);
            }
        }
        if let Some(fragment) = packet.fragment().filter(|fragment| fragment.offset == 0) {
            self.fragments.first(port, &packet, fragment, ethernet, forward, now);
        }

        let edited = forward.rewrite.apply_quoted(frame, &packet, &forward.quoted);
        edited.map_err(|_| DropReason::UnsupportedProtocol)?;
        if packet.mtu_len(&frame.offload) > usize::from(forward.mtu) {
            for piece in fragment::split(frame, &packet, usize::from(forward.mtu)) {
                send(forward.port, &piece);
            }
        } else {
            send(forward.port, frame);
        }
        Ok(())
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
    ) -> Result<(Verdict, Standing), DropReason> {
        let fragment = packet.fragment();
        if let Some(fragment) = fragment.filter(|fragment| fragment.offset > 0) {
            let forward = self.fragments.later(port, packet, fragment, ethernet, now);
            let forward = forward.ok_or(DropReason::FragmentWithoutFirst)?;
            return Ok((Verdict::Forward(forward), Standing::Stateless));
        }
        // An ICMP error's own key says nothing: it belongs to the connection that it quotes.
        if !trace.is_kept()
            && packet.quoted().is_none()
            && fragment.is_none()
            && let Some(place) = self.flows.find(&(port, packet.flow_key()), pipeline::opens(packet))
            && let Some(cached) = self.flows.cached(place, self.tables.generation, ethernet)
        {
            return Ok((Verdict::Forward(cached.forward), Standing::Known(place, cached.receiver)));
        }
        if packet.is_icmp_error() {
            // RFC 5508 REQ-3: an error is looked at before what it quotes is believed.
            packet.verify_icmp(frame).map_err(DropReason::Malformed)?;
            packet.quoted().ok_or(DropReason::BadQuote)?;
        }
        let view = View { tables: &self.tables, flows: &self.flows, gateway: self.gateway };
        let Decision { verdict, claim } = pipeline::decide(&view, port, frame, packet, trace);
        Ok((verdict, claim.map_or(Standing::Stateless, Standing::New)))
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

    /// The router's answer to a packet that exceeds the way out and must not be cut.
    fn fragmentation_needed(
        &self,
        port: PortId,
        frame: &Frame,
        packet: &Packet,
        mtu: u16,
    ) -> Option<Box<Frame>> {
        let router = match self.tables.attached(port) {
            Some(Attached::Interface(_, interface)) => self.tables.subnet_of(interface).router,
            _ => pipeline::v4(packet.dst()),
        };
        icmp_error::too_big(frame, packet, router, mtu).map(Box::new)
    }
}

/// How a packet that is forwarded stands to the connections that are known.
enum Standing {
    /// It needs nothing remembered: an ICMP error, a fragment after the first.
    Stateless,
    /// It travels on a connection whose verdict is known, to this end.
    Known(Place, EndKey),
    /// It claims these.
    New(Claim),
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
