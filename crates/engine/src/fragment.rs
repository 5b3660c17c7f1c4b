//! Later fragments follow their first: it alone has ports. Those that overtake it wait for it (RFC 4787 REQ-14).
//!
//! All is bounded for each port: whoever floods the fabric with fragments loses their own.

use std::collections::BTreeMap;
use std::mem;
use std::net::IpAddr;

use wire::{Fragment, Frame, Packet};

use crate::fabric::{PortId, Time};
use crate::flow_log::Flow;
use crate::nat::Side;
use crate::verdict::{DropReason, Ethernet, Forward};

/// Datagrams under way from one port at most; the oldest goes first.
const DATAGRAMS: usize = 1024;
/// Bytes that wait for first fragments at one port at most.
const WAITING: usize = 256 * 1024;
/// How long a datagram is remembered, in seconds (RFC 791 section 3.2 suggests 15).
const LIFETIME: u64 = 15;

/// What is known of the datagrams of all ports.
#[derive(Debug, Clone, Default)]
pub(crate) struct FragmentTable {
    ports: BTreeMap<PortId, Datagrams>,
    /// Fragments that have waited in vain, until they are counted.
    lost: BTreeMap<PortId, usize>,
}

/// How the first fragment of a datagram left.
#[derive(Debug, Clone)]
pub(crate) struct First {
    /// Between whom.
    pub(crate) ethernet: Ethernet,
    pub(crate) forward: Forward,
    /// The NAT gateways on its way, as the tables number them, and from which side it came.
    pub(crate) gateways: Vec<(usize, Side)>,
    /// Where flow logs see it.
    pub(crate) logged: Vec<Flow>,
}

/// Which datagram of a port a fragment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    src: IpAddr,
    dst: IpAddr,
    /// IPv4 numbers the datagrams of each protocol apart (RFC 791 section 3.2), IPv6 does not (RFC 8200 section 4.5).
    protocol: Option<u8>,
    id: u32,
}

#[derive(Debug, Clone, Default)]
struct Datagrams {
    known: BTreeMap<Name, Datagram>,
    /// Oldest first: serial -> name.
    order: BTreeMap<u64, Name>,
    next: u64,
    /// Bytes that wait.
    waiting: usize,
}

#[derive(Debug, Clone)]
struct Datagram {
    serial: u64,
    deadline: Time,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// The first fragment left like this.
    Left(First),
    /// The first fragment did not leave.
    Refused,
    /// Fragments that came before it.
    Waiting(Vec<(Ethernet, Frame)>),
}

impl FragmentTable {
    /// Remembers how the first fragment left, none if it did not; gives those that have waited for it and follow it
    /// now.
    pub(crate) fn first(
        &mut self,
        port: PortId,
        packet: &Packet,
        fragment: Fragment,
        first: Option<First>,
        now: Time,
    ) -> Vec<Frame> {
        let datagrams = self.ports.entry(port).or_default();
        let name = Name::of(packet, fragment);
        let in_time = datagrams.known.get(&name).is_some_and(|datagram| datagram.deadline > now);
        let waited = datagrams.remove(&name);
        let count = waited.len();
        let follows = |ethernet| in_time && first.as_ref().is_some_and(|first| first.ethernet == ethernet);
        let following: Vec<_> =
            waited.into_iter().filter(|(ethernet, _)| follows(*ethernet)).map(|(_, frame)| frame).collect();
        let lost =
            count - following.len() + datagrams.add(name, first.map_or(State::Refused, State::Left), now);
        self.lose(port, lost);
        following
    }

    /// What a later fragment follows; none if it waits for its first.
    ///
    /// # Errors
    /// [`DropReason::FragmentWithoutFirst`] if the first did not leave, or went between others, or if too much waits at
    /// this port already.
    pub(crate) fn later(
        &mut self,
        port: PortId,
        packet: &Packet,
        fragment: Fragment,
        frame: &Frame,
        now: Time,
    ) -> Result<Option<First>, DropReason> {
        let ethernet = Ethernet::of(packet);
        let datagrams = self.ports.entry(port).or_default();
        let name = Name::of(packet, fragment);
        let mut lost = 0;
        if datagrams.known.get(&name).is_some_and(|datagram| datagram.deadline <= now) {
            lost += datagrams.remove(&name).len();
        }
        let has_room = datagrams.waiting + frame.bytes.len() <= WAITING;
        let found = match datagrams.known.get_mut(&name).map(|datagram| &mut datagram.state) {
            Some(State::Left(first)) if first.ethernet == ethernet => Ok(Some(first.clone())),
            Some(State::Left(_) | State::Refused) => Err(DropReason::FragmentWithoutFirst),
            _ if !has_room => Err(DropReason::FragmentWithoutFirst),
            Some(State::Waiting(frames)) => {
                frames.push((ethernet, frame.clone()));
                datagrams.waiting += frame.bytes.len();
                Ok(None)
            }
            None => {
                lost += datagrams.add(name, State::Waiting(vec![(ethernet, frame.clone())]), now);
                datagrams.waiting += frame.bytes.len();
                Ok(None)
            }
        };
        self.lose(port, lost);
        found
    }

    /// Forgets datagrams that are too old.
    pub(crate) fn expire(&mut self, now: Time) {
        let mut ports = mem::take(&mut self.ports);
        for (&port, datagrams) in &mut ports {
            let lost = datagrams.expire(now);
            self.lose(port, lost);
        }
        ports.retain(|_, datagrams| !datagrams.known.is_empty());
        self.ports = ports;
    }

    /// Forgets all: they were decided with other tables.
    pub(crate) fn clear(&mut self) {
        for (port, mut datagrams) in mem::take(&mut self.ports) {
            self.lose(port, datagrams.expire(Time(u64::MAX)));
        }
    }

    /// How many fragments have waited in vain since this was asked last, at which port.
    pub(crate) fn take_lost(&mut self) -> BTreeMap<PortId, usize> {
        mem::take(&mut self.lost)
    }

    /// Takes note of fragments that have waited in vain.
    pub(crate) fn lose(&mut self, port: PortId, count: usize) {
        if count > 0 {
            *self.lost.entry(port).or_default() += count;
        }
    }
}

impl Datagrams {
    /// Remembers a datagram; says how many fragments have waited in vain for the one that makes room for it.
    fn add(&mut self, name: Name, state: State, now: Time) -> usize {
        self.known.insert(name, Datagram { serial: self.next, deadline: now.after(LIFETIME), state });
        self.order.insert(self.next, name);
        self.next += 1;
        match self.order.first_key_value() {
            Some((_, &oldest)) if self.known.len() > DATAGRAMS => self.remove(&oldest).len(),
            _ => 0,
        }
    }

    /// Forgets a datagram; gives what has waited.
    fn remove(&mut self, name: &Name) -> Vec<(Ethernet, Frame)> {
        let Some(datagram) = self.known.remove(name) else { return Vec::new() };
        self.order.remove(&datagram.serial);
        let State::Waiting(frames) = datagram.state else { return Vec::new() };
        self.waiting -= frames.iter().map(|(_, frame)| frame.bytes.len()).sum::<usize>();
        frames
    }

    fn expire(&mut self, now: Time) -> usize {
        let mut lost = 0;
        while let Some((_, &oldest)) = self.order.first_key_value()
            && self.known.get(&oldest).is_some_and(|datagram| datagram.deadline <= now)
        {
            lost += self.remove(&oldest).len();
        }
        lost
    }
}

impl Name {
    fn of(packet: &Packet, fragment: Fragment) -> Name {
        let protocol = packet.src().is_ipv4().then(|| packet.protocol());
        Name { src: packet.src(), dst: packet.dst(), protocol, id: fragment.id }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use wire::{Mac, Rewrite, build, fragment};

    use super::*;

    const MACS: [Mac; 2] = [Mac([1; 6]), Mac([2; 6])];
    const PORT: PortId = PortId(1);
    const LOST: DropReason = DropReason::FragmentWithoutFirst;

    /// The first and the last fragment of a datagram with this number.
    fn datagram(number: u16) -> [(Frame, Packet, Fragment); 2] {
        let [high, low] = number.to_be_bytes();
        let src = Ipv4Addr::new(10, 0, high, low);
        let frame = build::udp(src, Ipv4Addr::new(10, 1, 0, 1), 5, 7, &[7; 100]).with_dont_fragment(false);
        let frame = frame.with_macs(MACS[0], MACS[1]);
        let packet = |frame: &Frame| Packet::parse(&frame.bytes).unwrap();
        let parts = fragment::split(&frame, &packet(&frame), 80);
        [&parts[0], &parts[1]].map(|part| (part.clone(), packet(part), packet(part).fragment().unwrap()))
    }

    fn left(out: u32) -> Option<First> {
        let edit = Rewrite::default();
        let forward = Forward { port: PortId(out), rewrite: edit, quoted: edit, mtu: 1500 };
        let ethernet = Ethernet { src: MACS[0], dst: MACS[1] };
        Some(First { ethernet, forward, gateways: Vec::new(), logged: Vec::new() })
    }

    fn first(table: &mut FragmentTable, number: u16, first: Option<First>, now: Time) -> Vec<Frame> {
        let [(_, packet, fragment), _] = datagram(number);
        table.first(PORT, &packet, fragment, first, now)
    }

    /// The port that a later fragment leaves by; none if it waits.
    fn later(table: &mut FragmentTable, number: u16, now: Time) -> Result<Option<PortId>, DropReason> {
        let [_, (frame, packet, fragment)] = datagram(number);
        let found = table.later(PORT, &packet, fragment, &frame, now)?;
        Ok(found.map(|first| first.forward.port))
    }

    fn held(table: &FragmentTable) -> (usize, usize, usize) {
        let datagrams = &table.ports[&PORT];
        (datagrams.known.len(), datagrams.order.len(), datagrams.waiting)
    }

    fn lost(table: &mut FragmentTable) -> usize {
        table.take_lost().values().sum()
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut table = FragmentTable::default();
        assert_eq!(later(&mut table, 5000, Time(0)), Ok(None));
        for number in 0..DATAGRAMS as u16 + 1 {
            first(&mut table, number, left(2), Time(0));
        }
        assert_eq!(held(&table), (DATAGRAMS, DATAGRAMS, 0));
        assert_eq!(lost(&mut table), 1, "who waited longest");
        assert_eq!(later(&mut table, 1, Time(0)), Ok(Some(PortId(2))));
        assert_eq!(later(&mut table, 0, Time(0)), Ok(None));
    }

    #[test]
    fn the_last_first_counts() {
        let mut table = FragmentTable::default();
        first(&mut table, 1, left(2), Time(0));
        first(&mut table, 1, left(3), Time(0).after(10));
        table.expire(Time(0).after(20));
        assert_eq!(held(&table), (1, 1, 0));
        assert_eq!(later(&mut table, 1, Time(0).after(20)), Ok(Some(PortId(3))));
        assert_eq!(later(&mut table, 1, Time(0).after(25)), Ok(None), "even before anybody tidied up");
        table.expire(Time(0).after(40));
        assert!(table.ports.is_empty());
        assert_eq!(table.take_lost(), [(PORT, 1)].into());
    }

    #[test]
    fn what_overtakes_its_first_waits_for_it() {
        let mut table = FragmentTable::default();
        let [_, (frame, ..)] = datagram(1);
        assert_eq!(later(&mut table, 1, Time(0)), Ok(None));
        assert_eq!(held(&table), (1, 1, frame.bytes.len()));
        assert_eq!(first(&mut table, 1, left(2), Time(0)), [frame]);
        assert_eq!(held(&table), (1, 1, 0));
        assert_eq!(later(&mut table, 1, Time(0)), Ok(Some(PortId(2))));
        assert_eq!(lost(&mut table), 0);
    }

    #[test]
    fn a_first_that_did_not_leave_takes_the_others_along() {
        let mut table = FragmentTable::default();
        later(&mut table, 1, Time(0)).unwrap();
        assert_eq!(first(&mut table, 1, None, Time(0)), []);
        assert_eq!(lost(&mut table), 1);
        assert_eq!(later(&mut table, 1, Time(0).after(14)), Err(LOST));
        assert_eq!(later(&mut table, 1, Time(0).after(15)), Ok(None));
    }

    #[test]
    fn only_between_the_same_two() {
        let mut table = FragmentTable::default();
        let [_, (frame, _, fragment)] = datagram(1);
        let other = frame.with_macs(MACS[1], MACS[0]);
        let packet = Packet::parse(&other.bytes).unwrap();
        assert!(table.later(PORT, &packet, fragment, &other, Time(0)).unwrap().is_none());
        assert_eq!(first(&mut table, 1, left(2), Time(0)), []);
        assert_eq!(lost(&mut table), 1);
        assert_eq!(table.later(PORT, &packet, fragment, &other, Time(0)).unwrap_err(), LOST);
    }

    #[test]
    fn who_waits_in_vain_is_counted() {
        let mut table = FragmentTable::default();
        for number in [1, 1, 2] {
            later(&mut table, number, Time(0)).unwrap();
        }
        table.expire(Time(0).after(14));
        assert_eq!(lost(&mut table), 0);
        // Too late, even before anybody tidied up.
        assert_eq!(first(&mut table, 2, left(2), Time(0).after(15)), []);
        assert_eq!(lost(&mut table), 1);
        table.expire(Time(0).after(15));
        assert_eq!(lost(&mut table), 2);
        later(&mut table, 1, Time(0).after(15)).unwrap();
        table.clear();
        assert_eq!(lost(&mut table), 1);
        assert!(table.ports.is_empty());
    }

    #[test]
    fn not_more_waits_than_there_is_room_for() {
        let mut table = FragmentTable::default();
        let [_, (frame, ..)] = datagram(0);
        let room = WAITING / frame.bytes.len();
        let outcome: Vec<_> =
            (0..room + 5).map(|n| later(&mut table, n as u16 % 500, Time(0)).is_ok()).collect();
        assert_eq!(outcome.iter().filter(|waits| **waits).count(), room);
        assert_eq!(held(&table).2, room * frame.bytes.len());
        assert_eq!(later(&mut table, 1000, Time(0).after(20)), Err(LOST), "until they are tidied up");
        table.expire(Time(0).after(20));
        assert_eq!(later(&mut table, 1000, Time(0).after(20)), Ok(None));
    }
}
