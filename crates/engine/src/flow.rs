//! Tracked connections: one record a connection, one key at each end, one lifetime, one place that frees it.
//!
//! A key is (port, the packet as the port's owner sends it). EC2 tracks connections per network interface, so a
//! packet that leaves port A and arrives at port B is tracked at both: A may receive its answers and B may send them.
//! Where answers take another way than the questions did, each end is simply looked up on its own.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use ahash::RandomState;
use slab::Slab;
use wire::{FlowKey, FlowProto, TcpFlags};

use crate::fabric::{PortId, Time};
use crate::verdict::{DropReason, Ethernet, Forward};

/// One end of a connection: the port, and the connection's key as the port's owner sends it.
pub(crate) type EndKey = (PortId, FlowKey);

/// What a packet needs stored if it is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The sender's end.
    pub(crate) sender: EndKey,
    /// The receiver's end.
    pub(crate) receiver: EndKey,
}

/// A verdict that holds as long as the tables and the frame's Ethernet addresses are the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cached {
    pub(crate) generation: u64,
    pub(crate) ethernet: Ethernet,
    pub(crate) forward: Forward,
}

/// Where a key was found: the record, and which of its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    flow: usize,
    end: usize,
}

/// All tracked connections.
#[derive(Debug, Clone)]
pub(crate) struct FlowTable {
    flows: Slab<Flow>,
    ends: HashMap<EndKey, Place, RandomState>,
    /// When to look at a record again: its deadline may have moved on by then.
    wakeups: BinaryHeap<Reverse<(Time, usize, u64)>>,
    next_serial: u64,
    capacity: usize,
}

#[derive(Debug, Clone)]
struct Flow {
    serial: u64,
    ends: [Option<End>; 2],
    state: State,
    deadline: Time,
}

#[derive(Debug, Clone)]
struct End {
    key: EndKey,
    cached: Option<Cached>,
}

impl Flow {
    fn advance(&mut self, answer: bool, flags: Option<TcpFlags>, now: Time) {
        self.state = match (self.state, flags) {
            (_, Some(flags)) if flags.contains(TcpFlags::RST) || flags.contains(TcpFlags::FIN) => State::Closing,
            (State::Opening, Some(flags)) if answer && flags.contains(TcpFlags::ACK) => State::Established,
            (State::Single, _) if answer => State::Stream,
            (state, _) => state,
        };
        self.deadline = now.after(self.state.idle());
    }
}

/// As much of a connection's state as its idle time depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// TCP before both ends have spoken.
    Opening,
    /// TCP after both ends have spoken.
    Established,
    /// TCP after a FIN or RST.
    Closing,
    /// UDP seen in one direction.
    Single,
    /// UDP seen in both.
    Stream,
    /// Anything else.
    Other,
}

impl State {
    /// Idle time in seconds. EC2 user guide, "Security group connection tracking": TCP established 432,000 s, UDP 30 s,
    /// UDP stream 180 s. The others are not published; they follow Linux and RFC 5508 section 3.2.
    fn idle(self) -> u64 {
        match self {
            State::Opening => 120,
            State::Established => 432_000,
            State::Closing => 120,
            State::Single => 30,
            State::Stream => 180,
            State::Other => 60,
        }
    }
}

impl FlowTable {
    pub(crate) fn new(capacity: usize, seed: u64) -> FlowTable {
        FlowTable {
            flows: Slab::new(),
            ends: HashMap::with_hasher(RandomState::with_seeds(seed, !seed, seed.rotate_left(17), seed.rotate_left(41))),
            wakeups: BinaryHeap::new(),
            next_serial: 0,
            capacity,
        }
    }

    /// Whether the owner of `end.0` takes part in the connection that it would send `end.1` on.
    pub(crate) fn tracks(&self, end: &EndKey) -> bool {
        self.ends.contains_key(end)
    }

    pub(crate) fn find(&self, end: &EndKey) -> Option<Place> {
        self.ends.get(end).copied()
    }

    /// The key at the connection's other end.
    pub(crate) fn other_end(&self, place: Place) -> Option<EndKey> {
        self.flows[place.flow].ends[1 - place.end].as_ref().map(|end| end.key)
    }

    /// The verdict stored for packets sent from this end.
    pub(crate) fn cached(&self, place: Place, generation: u64, ethernet: Ethernet) -> Option<Forward> {
        let cached = self.flows[place.flow].ends[place.end].as_ref()?.cached?;
        (cached.generation == generation && cached.ethernet == ethernet).then_some(cached.forward)
    }

    /// Whether a SYN on this connection starts a new one, because the old one was closed.
    pub(crate) fn reopens(&self, place: Place, key: &FlowKey, flags: Option<TcpFlags>) -> bool {
        matches!(key.proto, FlowProto::Tcp { .. })
            && self.flows[place.flow].state == State::Closing
            && flags.is_some_and(|flags| flags.contains(TcpFlags::SYN) && !flags.contains(TcpFlags::ACK))
    }

    /// Whether `claim` can be stored: no other connection holds one of its keys with another partner.
    pub(crate) fn admits(&self, claim: &Claim) -> Result<(), DropReason> {
        let new = self.find(&claim.sender).is_none() || self.find(&claim.receiver).is_none();
        if new && self.flows.len() >= self.capacity {
            return Err(DropReason::FlowTableFull);
        }
        Ok(())
    }

    /// Stores what a forwarded packet claimed: a new record holding whichever ends no record holds yet.
    pub(crate) fn commit(&mut self, claim: &Claim, now: Time) -> Place {
        let unheld = [claim.sender, claim.receiver].map(|key| (!self.ends.contains_key(&key)).then_some(key));
        if unheld.iter().any(Option::is_some) {
            let state = match claim.sender.1.proto {
                FlowProto::Tcp { .. } => State::Opening,
                FlowProto::Udp { .. } => State::Single,
                FlowProto::Echo { .. } | FlowProto::Icmp { .. } | FlowProto::Other(_) => State::Other,
            };
            let serial = self.next_serial;
            self.next_serial += 1;
            let deadline = now.after(state.idle());
            let ends = unheld.map(|key| key.map(|key| End { key, cached: None }));
            let flow = self.flows.insert(Flow { serial, ends, state, deadline });
            for (end, key) in unheld.into_iter().enumerate() {
                if let Some(key) = key {
                    self.ends.insert(key, Place { flow, end });
                }
            }
            self.wakeups.push(Reverse((deadline, flow, serial)));
        }
        self.ends[&claim.sender]
    }

    /// Keeps a verdict for the next packets from this end.
    pub(crate) fn remember(&mut self, place: Place, cached: Cached) {
        if let Some(end) = &mut self.flows[place.flow].ends[place.end] {
            end.cached = Some(cached);
        }
    }

    /// A packet with this key was forwarded from this end to `to`: moves the connection's state and lifetime on.
    pub(crate) fn touch(&mut self, place: Place, key: &FlowKey, to: PortId, flags: Option<TcpFlags>, now: Time) {
        self.flows[place.flow].advance(place.end == 1, flags, now);
        // Questions and answers may travel on different ways; then the receiver's side lives in another record.
        if self.other_end(place).is_none_or(|(port, _)| port != to)
            && let Some(receiver) = self.find(&(to, key.reversed())).filter(|receiver| receiver.flow != place.flow)
        {
            self.flows[receiver.flow].advance(receiver.end == 0, flags, now);
        }
    }

    /// Forgets one connection, whichever of its keys is given.
    pub(crate) fn forget(&mut self, place: Place) {
        let flow = self.flows.remove(place.flow);
        for end in flow.ends.into_iter().flatten() {
            self.ends.remove(&end.key);
        }
    }

    /// Forgets every connection that has been idle too long.
    pub(crate) fn expire(&mut self, now: Time) {
        while let Some(Reverse((due, flow, serial))) = self.wakeups.peek().copied() {
            if due > now {
                break;
            }
            self.wakeups.pop();
            let Some(deadline) = self.flows.get(flow).filter(|f| f.serial == serial).map(|f| f.deadline) else {
                continue;
            };
            if deadline <= now {
                self.forget(Place { flow, end: 0 });
            } else {
                self.wakeups.push(Reverse((deadline, flow, serial)));
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }
}
