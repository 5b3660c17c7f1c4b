//! Tracked connections: one record a connection, one key at each end, one lifetime, one place that frees it.
//!
//! A key is (port, the packet as the port's owner sends it). EC2 tracks connections per network interface, so a
//! packet that leaves port A and arrives at port B is tracked at both: A may receive its answers and B may send them.
//! Where answers take another way than the questions did, each end is simply looked up on its own.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

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
    /// Whether the packet is a TCP SYN, which begins anew on ports whose connection was closed.
    pub(crate) opening: bool,
}

/// A verdict that holds as long as the tables and the frame's Ethernet addresses are the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cached {
    pub(crate) generation: u64,
    pub(crate) ethernet: Ethernet,
    pub(crate) forward: Forward,
    /// The end that the packet arrives at.
    pub(crate) receiver: EndKey,
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
    /// Every key is held by one record; the record is there as long as the key is.
    ends: HashMap<EndKey, Place, RandomState>,
    /// When to look at a record again: its deadline may have moved by then.
    wakeups: BinaryHeap<Reverse<(Time, usize, u64)>>,
    next_serial: u64,
    capacity: usize,
}

#[derive(Debug, Clone)]
struct Flow {
    /// Tells the record from an earlier one at the same index.
    serial: u64,
    /// Who sent the first packet, and who received it.
    ends: [End; 2],
    state: State,
    deadline: Time,
}

#[derive(Debug, Clone)]
struct End {
    key: EndKey,
    /// Whether the key leads to this record: another may have had it first.
    held: bool,
    cached: Option<Cached>,
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

/// A record is looked at this often at least, in seconds: a connection that closes lives shorter from then on.
const LOOK_AGAIN: u64 = 60;

impl FlowTable {
    pub(crate) fn new(capacity: usize, seed: u64) -> FlowTable {
        let hasher = RandomState::with_seeds(seed, !seed, seed.rotate_left(17), seed.rotate_left(41));
        FlowTable {
            flows: Slab::new(),
            ends: HashMap::with_hasher(hasher),
            wakeups: BinaryHeap::new(),
            next_serial: 0,
            capacity,
        }
    }

    /// The connection that the owner of `end.0` takes part in and would send `end.1` on. To a packet that opens a
    /// connection, one that was closed is none.
    pub(crate) fn find(&self, end: &EndKey, opening: bool) -> Option<Place> {
        let place = *self.ends.get(end)?;
        (!opening || self.flows[place.flow].state != State::Closing).then_some(place)
    }

    /// The key at the connection's other end.
    pub(crate) fn other_end(&self, place: Place) -> EndKey {
        self.flows[place.flow].ends[1 - place.end].key
    }

    /// The verdict stored for packets sent from this end, if the receiver still tracks the connection.
    pub(crate) fn cached(&self, place: Place, generation: u64, ethernet: Ethernet) -> Option<Cached> {
        let cached = self.flows[place.flow].ends[place.end].cached?;
        let in_force = cached.generation == generation && cached.ethernet == ethernet;
        let tracked = in_force
            && (self.holds_other_end(place, &cached.receiver) || self.ends.contains_key(&cached.receiver));
        tracked.then_some(cached)
    }

    /// Whether there is room for what `claim` needs stored.
    pub(crate) fn admits(&self, claim: &Claim) -> Result<(), DropReason> {
        let is_new = |end| self.find(end, claim.opening).is_none();
        if (is_new(&claim.sender) || is_new(&claim.receiver)) && self.flows.len() >= self.capacity {
            return Err(DropReason::FlowTableFull);
        }
        Ok(())
    }

    /// Stores what a forwarded packet claimed: a new record if there is an end that no record holds yet. Says where
    /// the sender's end is.
    pub(crate) fn commit(&mut self, claim: &Claim, now: Time) -> Place {
        let keys = [claim.sender, claim.receiver];
        for key in keys {
            if let Some(&place) = self.ends.get(&key)
                && self.find(&key, claim.opening).is_none()
            {
                self.forget(place.flow);
            }
        }
        let held = keys.map(|key| !self.ends.contains_key(&key));
        if held.contains(&true) {
            let state = State::first(&claim.sender.1.proto);
            let serial = self.next_serial;
            self.next_serial += 1;
            let deadline = now.after(state.idle());
            let [sender, receiver] = [0, 1].map(|end| End { key: keys[end], held: held[end], cached: None });
            let flow = self.flows.insert(Flow { serial, ends: [sender, receiver], state, deadline });
            for (end, key) in keys.into_iter().enumerate() {
                self.ends.entry(key).or_insert(Place { flow, end });
            }
            self.wake(flow, serial, deadline, now);
        }
        self.ends[&claim.sender]
    }

    /// Keeps a verdict for the next packets from this end.
    pub(crate) fn remember(&mut self, place: Place, cached: Cached) {
        self.flows[place.flow].ends[place.end].cached = Some(cached);
    }

    /// A packet was forwarded from this end to `receiver`: moves the connection's state and lifetime on.
    pub(crate) fn touch(&mut self, place: Place, receiver: &EndKey, flags: Option<TcpFlags>, now: Time) {
        self.flows[place.flow].advance(place.end == 1, flags, now);
        // Questions and answers may travel on different ways; then the receiver's side lives in another record.
        if !self.holds_other_end(place, receiver)
            && let Some(&other) = self.ends.get(receiver).filter(|other| other.flow != place.flow)
        {
            self.flows[other.flow].advance(other.end == 0, flags, now);
        }
    }

    /// Forgets the connections of ports that are not what they were.
    pub(crate) fn forget_ports(&mut self, ports: &BTreeSet<PortId>) {
        let concerned = |flow: &Flow| flow.ends.iter().any(|end| ports.contains(&end.key.0));
        let flows: Vec<_> =
            self.flows.iter().filter(|(_, flow)| concerned(flow)).map(|(index, _)| index).collect();
        for flow in flows {
            self.forget(flow);
        }
    }

    /// Forgets every connection that has been idle too long.
    pub(crate) fn expire(&mut self, now: Time) {
        while let Some(Reverse((due, index, serial))) = self.wakeups.peek().copied() {
            if due > now {
                break;
            }
            self.wakeups.pop();
            let Some(flow) = self.flows.get(index).filter(|flow| flow.serial == serial) else { continue };
            if flow.deadline <= now {
                self.forget(index);
            } else {
                self.wake(index, serial, flow.deadline, now);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether one record holds this end and `receiver` as its other.
    fn holds_other_end(&self, place: Place, receiver: &EndKey) -> bool {
        let other = &self.flows[place.flow].ends[1 - place.end];
        other.held && other.key == *receiver
    }

    fn forget(&mut self, index: usize) {
        let flow = self.flows.remove(index);
        for end in flow.ends.into_iter().filter(|end| end.held) {
            self.ends.remove(&end.key);
        }
    }

    fn wake(&mut self, flow: usize, serial: u64, deadline: Time, now: Time) {
        self.wakeups.push(Reverse((deadline.min(now.after(LOOK_AGAIN)), flow, serial)));
    }
}

impl Flow {
    fn advance(&mut self, answer: bool, flags: Option<TcpFlags>, now: Time) {
        self.state = match (self.state, flags) {
            (_, Some(flags)) if flags.contains(TcpFlags::RST) || flags.contains(TcpFlags::FIN) => {
                State::Closing
            }
            (State::Opening, Some(flags)) if answer && flags.contains(TcpFlags::ACK) => State::Established,
            (State::Single, _) if answer => State::Stream,
            (state, _) => state,
        };
        self.deadline = now.after(self.state.idle());
    }
}

impl State {
    /// The state after the first packet.
    fn first(proto: &FlowProto) -> State {
        match proto {
            FlowProto::Tcp { .. } => State::Opening,
            FlowProto::Udp { .. } => State::Single,
            FlowProto::Echo { .. } | FlowProto::Icmp { .. } | FlowProto::Other(_) => State::Other,
        }
    }

    /// Idle time in seconds. EC2 user guide, "Security group connection tracking": TCP established 432,000, UDP 30,
    /// UDP stream 180, other protocols 600. TCP before and after is not published; it follows Linux.
    fn idle(self) -> u64 {
        match self {
            State::Opening | State::Closing => 120,
            State::Established => 432_000,
            State::Single => 30,
            State::Stream => 180,
            State::Other => 600,
        }
    }
}
