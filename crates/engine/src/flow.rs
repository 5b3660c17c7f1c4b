//! Tracked connections: one record a connection, one key at each end, one lifetime, one place that frees it.
//!
//! A key is (port, the packet as the port's owner sends it). EC2 tracks connections per network interface, so a
//! packet that leaves port A and arrives at port B is tracked at both: A may receive its answers and B may send them.
//! Each end has its own state and times, by what its owner has seen; they share a record because they mostly see the
//! same. Where answers take another way than the questions did, each end is simply looked up on its own.
//!
//! A record is also where verdicts are kept. An end whose interface does not track the connection (its rules let
//! everything through both ways) has a key for that, and nothing is let in because of it.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use ahash::RandomState;
use slab::Slab;
use wire::{FlowKey, FlowProto, TcpFlags};

use crate::fabric::{PortId, Time};
use crate::flow_log::Flow as LoggedFlow;
use crate::nat::{SessionId, Side};
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
    /// How long each end tracks the connection: the sender's, the receiver's.
    pub(crate) tracking: [Tracking; 2],
}

/// Whether an end tracks a connection, and how long it does when nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracking {
    /// It does not: the rules are asked about each packet.
    Untracked,
    /// It does.
    Idle(IdleTimeouts),
}

/// How long a connection is tracked while nothing is sent, in seconds (EC2 user guide, "Security group connection
/// tracking").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdleTimeouts {
    /// TCP after both ends have spoken.
    pub(crate) tcp_established: u32,
    /// UDP seen in both directions.
    pub(crate) udp_stream: u32,
    /// UDP seen in one direction.
    pub(crate) udp: u32,
}

impl IdleTimeouts {
    /// Those of an interface for which nothing else was asked.
    pub(crate) const DEFAULT: IdleTimeouts =
        IdleTimeouts { tcp_established: 432_000, udp_stream: 180, udp: 30 };
}

/// A verdict that holds as long as the tables and the frame's Ethernet addresses are the same, and the sessions of the
/// NAT gateways on its way go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cached {
    pub(crate) generation: u64,
    pub(crate) ethernet: Ethernet,
    pub(crate) forward: Forward,
    /// The end that the packet arrives at.
    pub(crate) receiver: EndKey,
    /// The NAT gateways' sessions.
    pub(crate) sessions: Sessions,
}

/// The sessions that a packet passes, and from which side. A way through more gateways is decided anew each time.
pub(crate) type Sessions = [Option<(SessionId, Side)>; 2];

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
}

#[derive(Debug, Clone)]
struct End {
    key: EndKey,
    /// Whether the key leads to this record: another may have had it first.
    held: bool,
    tracking: Tracking,
    /// Whether its owner sent the first packet that it saw.
    begun_here: bool,
    state: State,
    /// When it saw the last packet.
    last: Time,
    cached: Option<Cached>,
    /// Where flow logs see the packets that the verdict is about.
    logged: Option<Box<[LoggedFlow]>>,
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
/// How long the verdicts of a connection that an end does not track are kept, in seconds.
const UNTRACKED: u64 = 60;

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
    pub(crate) fn find(&self, end: &EndKey, opening: bool, now: Time) -> Option<Place> {
        let place = *self.ends.get(end)?;
        self.end(place).is_known(opening, now).then_some(place)
    }

    /// Whether the owner of `end.0` tracks the connection on which it would send `end.1`.
    pub(crate) fn tracks(&self, end: &EndKey, opening: bool, now: Time) -> bool {
        let place = self.find(end, opening, now);
        place.is_some_and(|place| self.end(place).tracking != Tracking::Untracked)
    }

    /// The key at the connection's other end.
    pub(crate) fn other_end(&self, place: Place) -> EndKey {
        self.flows[place.flow].ends[1 - place.end].key
    }

    /// The verdict stored for packets sent from this end, as long as both ends know the connection, and as one that is
    /// not closed if the packet opens one.
    pub(crate) fn cached(
        &self,
        place: Place,
        generation: u64,
        ethernet: Ethernet,
        opening: bool,
        now: Time,
    ) -> Option<Cached> {
        let cached = self.end(place).cached?;
        let in_force = cached.generation == generation && cached.ethernet == ethernet;
        let known = |at: Place| self.end(at).is_known(opening, now);
        let receiver = || match self.holds_other_end(place, &cached.receiver) {
            true => Some(Place { end: 1 - place.end, ..place }),
            false => self.ends.get(&cached.receiver).copied(),
        };
        (in_force && known(place) && receiver().is_some_and(known)).then_some(cached)
    }

    /// Whether there is room for what `claim` needs stored.
    pub(crate) fn admits(&self, claim: &Claim, now: Time) -> Result<(), DropReason> {
        let is_new = |end| self.find(end, claim.opening, now).is_none();
        if (is_new(&claim.sender) || is_new(&claim.receiver)) && self.flows.len() >= self.capacity {
            return Err(DropReason::FlowTableFull);
        }
        Ok(())
    }

    /// Stores what a forwarded packet claimed: a new record if there is an end that no record holds yet. Says where
    /// the sender's end is.
    pub(crate) fn commit(&mut self, claim: &Claim, now: Time) -> Place {
        let keys = [claim.sender, claim.receiver];
        let state = State::first(&claim.sender.1.proto);
        let begun = |end: usize, held| End {
            key: keys[end],
            held,
            tracking: claim.tracking[end],
            begun_here: end == 0,
            state,
            last: now,
            cached: None,
            logged: None,
        };
        for (n, key) in keys.iter().enumerate() {
            let Some(&place) = self.ends.get(key) else { continue };
            let ends = &mut self.flows[place.flow].ends;
            let same_pair = ends[1 - place.end].key == keys[1 - n];
            let end = &mut ends[place.end];
            let known = end.is_known(claim.opening, now);
            if known && (end.tracking != Tracking::Untracked || claim.tracking[n] == Tracking::Untracked) {
                // What was decided last counts.
                end.tracking = claim.tracking[n];
            } else if known || same_pair {
                *end = begun(n, true);
            } else {
                self.release(place);
            }
        }
        // Who sends to itself has one end.
        let is_free = |key| !self.ends.contains_key(key);
        let held = [is_free(&keys[0]), is_free(&keys[1]) && keys[0] != keys[1]];
        if held.contains(&true) {
            let serial = self.next_serial;
            self.next_serial += 1;
            let flow = Flow { serial, ends: [0, 1].map(|end| begun(end, held[end])) };
            let deadline = flow.ends_at();
            let flow = self.flows.insert(flow);
            for (end, key) in keys.into_iter().enumerate() {
                self.ends.entry(key).or_insert(Place { flow, end });
            }
            self.wake(flow, serial, deadline, now);
        }
        self.ends[&claim.sender]
    }

    /// Keeps a verdict for the next packets from this end, and where flow logs see them.
    pub(crate) fn remember(&mut self, place: Place, cached: Cached, logged: &[LoggedFlow]) {
        let end = &mut self.flows[place.flow].ends[place.end];
        end.cached = Some(cached);
        end.logged = (!logged.is_empty()).then(|| logged.into());
    }

    /// Where flow logs see the packets that the verdict kept for this end is about, if any does.
    pub(crate) fn logged(&self, place: Place) -> Option<&[LoggedFlow]> {
        self.end(place).logged.as_deref()
    }

    /// Has every verdict asked anew.
    pub(crate) fn forget_verdicts(&mut self) {
        for end in self.flows.iter_mut().flat_map(|(_, flow)| &mut flow.ends) {
            end.cached = None;
        }
    }

    /// A packet was forwarded from this end to `receiver`: moves the state and lifetime of both on.
    pub(crate) fn touch(&mut self, place: Place, receiver: &EndKey, flags: Option<TcpFlags>, now: Time) {
        self.flows[place.flow].ends[place.end].advance(true, flags, now);
        // Questions and answers may travel on different ways; then the receiver's side lives in another record.
        let other = match self.holds_other_end(place, receiver) {
            true => Some(Place { end: 1 - place.end, ..place }),
            false => self.ends.get(receiver).copied().filter(|other| *other != place),
        };
        if let Some(other) = other {
            self.flows[other.flow].ends[other.end].advance(false, flags, now);
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
            let deadline = flow.ends_at();
            if deadline <= now {
                self.forget(index);
            } else {
                self.wake(index, serial, deadline, now);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }

    fn end(&self, place: Place) -> &End {
        &self.flows[place.flow].ends[place.end]
    }

    /// Whether one record holds this end and `receiver` as its other.
    fn holds_other_end(&self, place: Place, receiver: &EndKey) -> bool {
        let other = &self.flows[place.flow].ends[1 - place.end];
        other.held && other.key == *receiver
    }

    /// An end lets go of its key: the connection is over for it, while the other end may still know it.
    fn release(&mut self, place: Place) {
        let flow = &mut self.flows[place.flow];
        flow.ends[place.end].held = false;
        self.ends.remove(&flow.ends[place.end].key);
        if flow.ends.iter().all(|end| !end.held) {
            self.flows.remove(place.flow);
        }
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
    /// When no end that it holds knows the connection any more.
    fn ends_at(&self) -> Time {
        let held = self.ends.iter().filter(|end| end.held);
        held.map(End::until).max().unwrap_or_default()
    }
}

impl End {
    /// The owner has sent a packet, or got one.
    fn advance(&mut self, by_owner: bool, flags: Option<TcpFlags>, now: Time) {
        let answer = by_owner != self.begun_here;
        self.state = match (self.state, flags) {
            (_, Some(flags)) if flags.contains(TcpFlags::RST) || flags.contains(TcpFlags::FIN) => {
                State::Closing
            }
            (State::Opening, Some(flags)) if answer && flags.contains(TcpFlags::ACK) => State::Established,
            (State::Single, _) if answer => State::Stream,
            (state, _) => state,
        };
        self.last = now;
    }

    /// Until when it tracks the connection, or a verdict for it is kept.
    fn until(&self) -> Time {
        self.last.after(match self.tracking {
            Tracking::Untracked => self.state.idle(&IdleTimeouts::DEFAULT).min(UNTRACKED),
            Tracking::Idle(timeouts) => self.state.idle(&timeouts),
        })
    }

    /// Whether a packet that opens a connection, or one that does not, belongs to this.
    fn is_known(&self, opening: bool, now: Time) -> bool {
        self.until() > now && !(opening && self.state == State::Closing)
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

    /// Idle time in seconds. EC2 user guide, "Security group connection tracking": other protocols 600. TCP before and
    /// after is not published; it follows Linux.
    fn idle(self, timeouts: &IdleTimeouts) -> u64 {
        match self {
            State::Opening | State::Closing => 120,
            State::Established => timeouts.tcp_established.into(),
            State::Single => timeouts.udp.into(),
            State::Stream => timeouts.udp_stream.into(),
            State::Other => 600,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;
    use wire::{Mac, Rewrite};

    use super::*;

    const SHORT: IdleTimeouts = IdleTimeouts { tcp_established: 60, udp_stream: 60, udp: 30 };
    const TRACKED: Tracking = Tracking::Idle(IdleTimeouts::DEFAULT);
    const SYN: Option<TcpFlags> = Some(TcpFlags::SYN);
    const RST: Option<TcpFlags> = Some(TcpFlags::RST);

    fn end(port: u32, sport: u16, dport: u16) -> EndKey {
        let address = |last| Ipv4Addr::new(10, 0, 0, last);
        let (src, dst) = (address(sport as u8).into(), address(dport as u8).into());
        (PortId(port), FlowKey { src, dst, proto: FlowProto::Tcp { src: sport, dst: dport } })
    }

    fn claim(sender: EndKey, receiver: EndKey) -> Claim {
        Claim { sender, receiver, opening: true, tracking: [TRACKED; 2] }
    }

    fn verdict(receiver: EndKey) -> Cached {
        let ethernet = Ethernet { src: Mac([1; 6]), dst: Mac([2; 6]) };
        let edit = Rewrite::default();
        let forward = Forward { port: receiver.0, rewrite: edit, quoted: edit, mtu: 9001 };
        Cached { generation: 1, ethernet, forward, receiver, sessions: [None; 2] }
    }

    /// What holds between any two calls.
    fn check(table: &FlowTable) {
        for (key, place) in &table.ends {
            let end = &table.flows[place.flow].ends[place.end];
            assert!(end.held && end.key == *key);
        }
        for (index, flow) in &table.flows {
            assert!(flow.ends.iter().any(|end| end.held), "a record that nothing leads to");
            for end in flow.ends.iter().filter(|end| end.held) {
                assert_eq!(table.ends[&end.key].flow, index);
            }
            let wakes =
                |wakeup: &&Reverse<(Time, usize, u64)>| (wakeup.0.1, wakeup.0.2) == (index, flow.serial);
            assert_eq!(table.wakeups.iter().filter(wakes).count(), 1);
        }
    }

    #[test]
    fn one_record_two_keys() {
        let mut table = FlowTable::new(10, 1);
        let (a, b) = (end(1, 5, 80), end(2, 80, 5));
        let place = table.commit(&claim(a, b), Time(0));
        assert_eq!((table.len(), table.other_end(place)), (1, b));
        let back = table.find(&b, false, Time(0)).unwrap();
        assert_eq!(table.other_end(back), a);
        assert_eq!(
            table.commit(&Claim { sender: b, receiver: a, opening: false, tracking: [TRACKED; 2] }, Time(0)),
            back
        );
        assert_eq!(table.len(), 1);
        table.expire(Time(0).after(120));
        assert_eq!((table.len(), table.ends.len(), table.wakeups.len()), (0, 0, 0));
    }

    #[test]
    fn a_record_is_not_taken_for_an_earlier_one_at_its_index() {
        let mut table = FlowTable::new(10, 1);
        let (a, b, c, d) = (end(1, 5, 80), end(2, 80, 5), end(1, 6, 80), end(2, 80, 6));
        let old = table.commit(&claim(a, b), Time(0));
        table.forget_ports(&BTreeSet::from([PortId(2)]));
        let new = table.commit(&claim(c, d), Time(0).after(50));
        assert_eq!(old, new, "the index is used again");
        table.expire(Time(0).after(130));
        assert_eq!(
            (table.len(), table.wakeups.len()),
            (1, 1),
            "the earlier one's wakeup is not the new one's"
        );
        assert_eq!(table.find(&a, false, Time(0)), None);
        check(&table);
    }

    #[test]
    fn an_end_that_another_record_holds_stays_there() {
        let mut table = FlowTable::new(10, 1);
        let (a, b, c) = (end(1, 5, 80), end(2, 80, 5), end(3, 80, 5));
        let first = table.commit(&claim(a, b), Time(0));
        let place = table.commit(&claim(a, c), Time(0));
        assert_eq!((place, table.len()), (first, 2));
        let third = table.find(&c, false, Time(0)).unwrap();
        assert_eq!(table.other_end(third), a, "who asks is known all the same");
        table.remember(place, verdict(c), &[]);
        assert!(table.cached(place, 1, verdict(c).ethernet, false, Time(0)).is_some());
        // Packets to c keep its record alive, packets from c that of a.
        table.touch(place, &c, SYN, Time(0).after(100));
        table.expire(Time(0).after(130));
        check(&table);
        assert_eq!(table.len(), 2);
        table.touch(third, &a, SYN, Time(0).after(140));
        table.forget_ports(&BTreeSet::from([PortId(3)]));
        assert_eq!((table.len(), table.find(&a, false, Time(0))), (1, Some(first)));
        assert!(
            table.cached(first, 1, verdict(c).ethernet, false, Time(0)).is_none(),
            "nobody tracks it there any more"
        );
        check(&table);
    }

    #[test]
    fn both_ends_may_have_the_same_key() {
        let mut table = FlowTable::new(10, 1);
        let a = end(1, 80, 80);
        let place = table.commit(&claim(a, a), Time(0));
        table.remember(place, verdict(a), &[]);
        assert!(table.cached(place, 1, verdict(a).ethernet, false, Time(0)).is_some());
        table.touch(place, &a, RST, Time(0));
        check(&table);
        table.commit(&claim(a, a), Time(0));
        check(&table);
        table.expire(Time(0).after(1000));
        assert_eq!((table.len(), table.ends.len()), (0, 0));
    }

    #[test]
    fn what_begins_anew_takes_the_place_of_what_was_closed() {
        let mut table = FlowTable::new(10, 1);
        let (a, b, c) = (end(1, 5, 80), end(2, 80, 5), end(3, 80, 5));
        let place = table.commit(&claim(a, b), Time(0));
        table.commit(&claim(a, c), Time(0));
        table.touch(place, &b, RST, Time(0));
        assert_eq!((table.find(&a, true, Time(0)), table.find(&b, true, Time(0))), (None, None));
        assert!(table.find(&a, false, Time(0)).is_some() && table.find(&c, true, Time(0)).is_some());
        // That of c is not closed, and b knows nothing of what begins.
        let place = table.commit(&claim(a, c), Time(0));
        check(&table);
        assert_eq!((table.len(), table.other_end(place), table.find(&b, true, Time(0))), (3, c, None));
        assert!(table.find(&b, false, Time(0)).is_some());
        let place = table.commit(&claim(b, a), Time(0));
        assert_eq!((table.len(), table.other_end(place)), (3, a), "nothing holds the first record any more");
        check(&table);
    }

    #[test]
    fn a_full_table_takes_what_it_knows_and_nothing_new() {
        let mut table = FlowTable::new(1, 1);
        let (a, b, c) = (end(1, 5, 80), end(2, 80, 5), end(3, 80, 5));
        assert_eq!(table.admits(&claim(a, b), Time(0)), Ok(()));
        table.commit(&claim(a, b), Time(0));
        assert_eq!(table.admits(&claim(a, b), Time(0)), Ok(()));
        assert_eq!(table.admits(&claim(b, a), Time(0)), Ok(()));
        assert_eq!(table.admits(&claim(a, c), Time(0)), Err(DropReason::FlowTableFull));
    }

    #[test]
    fn a_verdict_is_for_one_generation_and_one_pair_of_addresses() {
        let mut table = FlowTable::new(10, 1);
        let (a, b) = (end(1, 5, 80), end(2, 80, 5));
        let place = table.commit(&claim(a, b), Time(0));
        let Cached { ethernet, .. } = verdict(b);
        assert!(table.cached(place, 1, ethernet, false, Time(0)).is_none());
        table.remember(place, verdict(b), &[]);
        assert!(table.cached(place, 1, ethernet, false, Time(0)).is_some());
        assert!(table.cached(place, 2, ethernet, false, Time(0)).is_none());
        assert!(table.cached(place, 1, Ethernet { src: ethernet.dst, ..ethernet }, false, Time(0)).is_none());
        let back = table.find(&b, false, Time(0)).unwrap();
        assert!(table.cached(back, 1, ethernet, false, Time(0)).is_none(), "the answers have their own");
    }

    #[test]
    fn an_end_that_does_not_track_holds_verdicts_and_admits_nothing() {
        let mut table = FlowTable::new(10, 1);
        let (a, b) = (end(1, 5, 80), end(2, 80, 5));
        let half = Claim { tracking: [TRACKED, Tracking::Untracked], ..claim(a, b) };
        let place = table.commit(&half, Time(0));
        table.remember(place, verdict(b), &[]);
        assert!(table.tracks(&a, false, Time(0)) && !table.tracks(&b, false, Time(0)));
        assert!(table.cached(place, 1, verdict(b).ethernet, false, Time(0).after(59)).is_some());
        assert!(table.cached(place, 1, verdict(b).ethernet, false, Time(0).after(60)).is_none());
        assert!(table.tracks(&a, false, Time(0).after(119)) && !table.tracks(&a, false, Time(0).after(120)));
        // The rules are asked anew, and what they say now counts.
        table.commit(&claim(a, b), Time(0));
        assert!(table.tracks(&b, false, Time(0)));
    }

    #[test]
    fn each_end_has_its_own_idle_time() {
        let mut table = FlowTable::new(10, 1);
        let (a, b) = (end(1, 5, 80), end(2, 80, 5));
        let short = IdleTimeouts { tcp_established: 60, ..IdleTimeouts::DEFAULT };
        let place =
            table.commit(&Claim { tracking: [Tracking::Idle(short), TRACKED], ..claim(a, b) }, Time(0));
        let back = table.find(&b, false, Time(0)).unwrap();
        table.touch(place, &b, SYN, Time(0));
        table.touch(back, &a, Some(TcpFlags::ACK), Time(0));
        let later = Time(0).after(60);
        table.expire(later);
        assert!(!table.tracks(&a, false, later) && table.tracks(&b, false, later));
        assert!(table.tracks(&a, false, Time(later.0 - 1)));
        check(&table);
    }

    #[test]
    fn an_end_that_begins_to_track_or_to_know_again_begins_anew() {
        let udp = |(port, key): EndKey| {
            let proto = match key.proto {
                FlowProto::Tcp { src, dst } => FlowProto::Udp { src, dst },
                other => other,
            };
            (port, FlowKey { proto, ..key })
        };
        let (a, b) = (udp(end(1, 5, 80)), udp(end(2, 80, 5)));
        let both = |tracking| Claim { sender: a, receiver: b, opening: false, tracking };
        let answer = Claim { sender: b, receiver: a, ..both([TRACKED; 2]) };
        for first in [[Tracking::Untracked, TRACKED], [Tracking::Idle(SHORT), TRACKED]] {
            let mut table = FlowTable::new(10, 1);
            let place = table.commit(&both(first), Time(0));
            table.touch(place, &b, None, Time(0));
            let back = table.find(&b, false, Time(0)).unwrap();
            table.touch(back, &a, None, Time(0));
            // One of them has seen both ways, and knows it; the other begins.
            let then = Time(0).after(60);
            let place = table.commit(&answer, then);
            table.touch(place, &a, None, then);
            assert!(table.tracks(&a, false, then.after(29)) && !table.tracks(&a, false, then.after(30)));
            assert!(table.tracks(&b, false, then.after(179)));
            assert_eq!(table.len(), 1);
            check(&table);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn keys_and_records_hold_together(
            steps in proptest::collection::vec((0..6u8, 0..6usize, 0..6usize, 0..150u64), 1..80),
        ) {
            let keys = [1u32, 2, 3].map(|port| [end(port, 5, 80), end(port, 80, 5)]).concat();
            let (mut table, mut now) = (FlowTable::new(8, 1), Time(0));
            for (kind, a, b, pause) in steps {
                let opening = kind % 2 == 0;
                let claim = Claim { sender: keys[a], receiver: keys[b], opening, tracking: [TRACKED; 2] };
                let flags = if kind == 4 { RST } else { Some(TcpFlags::ACK) };
                match kind {
                    0..=4 if table.admits(&claim, now).is_ok() => {
                        let place = table.commit(&claim, now);
                        table.remember(place, verdict(claim.receiver), &[]);
                        table.touch(place, &claim.receiver, flags, now);
                        prop_assert!(table.cached(place, 1, verdict(claim.receiver).ethernet, false, now).is_some());
                    }
                    5 if pause > 140 => table.forget_ports(&BTreeSet::from([keys[a].0])),
                    _ => {
                        now = now.after(pause);
                        table.expire(now);
                    }
                }
                // Forgotten records leave their wakeup behind until it is due.
                let stale = |table: &FlowTable| table.wakeups.len() - table.flows.len();
                prop_assert!(stale(&table) < 80);
                check(&table);
            }
            table.expire(now.after(500_000));
            prop_assert_eq!((table.len(), table.ends.len(), table.wakeups.len()), (0, 0, 0));
        }
    }
}
