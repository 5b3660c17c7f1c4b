//! The engine: frames in, frames out; what it remembers between them, and what it counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wire::{Frame, Mac};

use crate::fabric::{InterfaceKey, PortId, Time};
use crate::flow_log::FlowRecords;
use crate::nat;
use crate::service::nd;
use crate::tables::Tables;
use crate::trace::{Step, Untraced};
use crate::verdict::DropReason;

mod core;

use self::core::Core;

/// Connections tracked at most. EC2 publishes no figure for its own limit; this bounds memory to some 300 MB.
const CONNECTIONS: usize = 1 << 20;
/// Seconds between two router advertisements on a link (RFC 4861 section 6.2.1: MaxRtrAdvInterval).
const ADVERTISE: u64 = 600;

/// Where an imagined gateway is: who explains takes it that the real one answers.
const IMAGINED_GATEWAY: Mac = Mac([0x0a, 0x52, 0x57, 0x00, 0x00, 0x03]);

/// Forwards, answers and drops packets, and remembers connections.
#[derive(Debug, Clone)]
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
        let core = Core::new(tables, CONNECTIONS, seed);
        Engine { core, counters: Counters::default(), advertise: Time(0) }
    }

    /// An engine of these tables without connections, to try packets on.
    pub fn imagine(tables: Arc<Tables>) -> Engine {
        let mut engine = Engine::new(tables, 0);
        engine.core.gateway_is_at(IMAGINED_GATEWAY);
        engine
    }

    /// Swaps the tables. Tracked connections go on, as EC2's do, but for those of interfaces that left their port;
    /// every cached verdict is asked anew.
    pub fn load(&mut self, tables: Arc<Tables>) {
        self.core.load(tables);
        self.count_lost();
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
        if let Err(reason) = processed {
            self.count_drop(port, reason);
        }
        self.count_lost();
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
        self.core.fragments.expire(now);
        self.count_lost();
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

    /// Whether any interface has a flow log: then somebody should say what day it is.
    pub fn keeps_flow_logs(&self) -> bool {
        self.core.tables.keeps_flow_logs
    }

    /// Says what day it is, for flow logs alone: in seconds since 1970.
    pub fn set_date(&mut self, seconds: u64) {
        self.core.flow_log.date = seconds;
    }

    /// What was counted for flow logs since this was asked last.
    pub fn take_flow_records(&mut self) -> FlowRecords {
        self.core.flow_log.take()
    }

    /// Counts the fragments that have waited in vain.
    fn count_lost(&mut self) {
        for (port, count) in self.core.fragments.take_lost() {
            self.count_drops(port, DropReason::FragmentWithoutFirst, count);
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
