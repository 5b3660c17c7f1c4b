//! Later fragments follow their first: it alone has ports. Those that overtake it wait for it (RFC 4787 REQ-14).
//!
//! All is bounded for each port: whoever floods the fabric with fragments loses their own.

use std::collections::BTreeMap;
use std::net::IpAddr;

use wire::{Fragment, Frame, Packet};

use crate::fabric::{PortId, Time};
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
}

/// Which datagram of a port a fragment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
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
    /// How the first fragment left, and between whom.
    Followed { ethernet: Ethernet, forward: Forward },
    /// Fragments that came before it.
    Waiting(Vec<Frame>),
}

impl FragmentTable {
    /// Remembers how the first fragment left; gives those that have waited for it.
    pub(crate) fn first(
        &mut self,
        port: PortId,
        packet: &Packet,
        fragment: Fragment,
        ethernet: Ethernet,
        forward: Forward,
        now: Time,
    ) -> Vec<Frame> {
        let datagrams = self.ports.entry(port).or_default();
        let name = Name::of(packet, fragment);
        let waited = datagrams.remove(&name);
        datagrams.add(name, State::Followed { ethernet, forward }, now);
        waited
    }

    /// How a later fragment leaves: as its first did. None if it is not known yet.
    pub(crate) fn later(
        &self,
        port: PortId,
        packet: &Packet,
        fragment: Fragment,
        ethernet: Ethernet,
        now: Time,
    ) -> Option<Forward> {
        let datagram = self.ports.get(&port)?.known.get(&Name::of(packet, fragment))?;
        match datagram.state {
            State::Followed { ethernet: first, forward } if datagram.deadline > now && first == ethernet => {
                Some(forward)
            }
            _ => None,
        }
    }

    /// Lets a fragment wait for its first.
    ///
    /// # Errors
    /// [`DropReason::FragmentWithoutFirst`] if the first went between others, or too much waits at this port already.
    pub(crate) fn wait(
        &mut self,
        port: PortId,
        packet: &Packet,
        fragment: Fragment,
        frame: &Frame,
        now: Time,
    ) -> Result<(), DropReason> {
        let datagrams = self.ports.entry(port).or_default();
        let name = Name::of(packet, fragment);
        if datagrams.waiting + frame.bytes.len() > WAITING {
            return Err(DropReason::FragmentWithoutFirst);
        }
        if datagrams.known.get(&name).is_some_and(|datagram| datagram.deadline <= now) {
            datagrams.remove(&name);
        }
        if !datagrams.known.contains_key(&name) {
            datagrams.add(name, State::Waiting(Vec::new()), now);
        }
        match datagrams.known.get_mut(&name).map(|datagram| &mut datagram.state) {
            Some(State::Waiting(frames)) => {
                datagrams.waiting += frame.bytes.len();
                frames.push(frame.clone());
                Ok(())
            }
            _ => Err(DropReason::FragmentWithoutFirst),
        }
    }

    /// The first fragment was dropped: so are those that have waited for it. Says how many.
    pub(crate) fn refused(&mut self, port: PortId, packet: &Packet, fragment: Fragment) -> usize {
        let datagrams = self.ports.get_mut(&port);
        datagrams.map_or(0, |datagrams| datagrams.remove(&Name::of(packet, fragment)).len())
    }

    /// Forgets datagrams that are too old; says how many fragments have waited in vain, at which port.
    pub(crate) fn expire(&mut self, now: Time) -> Vec<(PortId, usize)> {
        let mut lost = Vec::new();
        self.ports.retain(|&port, datagrams| {
            let count = datagrams.expire(now);
            if count > 0 {
                lost.push((port, count));
            }
            !datagrams.known.is_empty()
        });
        lost
    }

    /// Forgets all: they were decided with other tables.
    pub(crate) fn clear(&mut self) {
        self.ports.clear();
    }
}

impl Datagrams {
    fn add(&mut self, name: Name, state: State, now: Time) {
        self.known.insert(name, Datagram { serial: self.next, deadline: now.after(LIFETIME), state });
        self.order.insert(self.next, name);
        self.next += 1;
        if self.known.len() > DATAGRAMS
            && let Some((_, &oldest)) = self.order.first_key_value()
        {
            self.remove(&oldest);
        }
    }

    /// Forgets a datagram; gives what has waited.
    fn remove(&mut self, name: &Name) -> Vec<Frame> {
        let Some(datagram) = self.known.remove(name) else { return Vec::new() };
        self.order.remove(&datagram.serial);
        let State::Waiting(frames) = datagram.state else { return Vec::new() };
        self.waiting -= frames.iter().map(|frame| frame.bytes.len()).sum::<usize>();
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
        Name { src: packet.src(), dst: packet.dst(), protocol: packet.protocol(), id: fragment.id }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use wire::{Mac, Rewrite, build, fragment};

    use super::*;

    const ETHERNET: Ethernet = Ethernet { src: Mac([1; 6]), dst: Mac([2; 6]) };
    const PORT: PortId = PortId(1);

    /// The first and the last fragment of a datagram with this number.
    fn datagram(number: u16) -> [(Frame, Packet, Fragment); 2] {
        let [high, low] = number.to_be_bytes();
        let src = Ipv4Addr::new(10, 0, high, low);
        let frame = build::udp(src, Ipv4Addr::new(10, 1, 0, 1), 5, 7, &[7; 100]).with_dont_fragment(false);
        let packet = |frame: &Frame| Packet::parse(&frame.bytes).unwrap();
        let parts = fragment::split(&frame, &packet(&frame), 80);
        [&parts[0], &parts[1]].map(|part| (part.clone(), packet(part), packet(part).fragment().unwrap()))
    }

    fn first(table: &mut FragmentTable, number: u16, out: u32, now: Time) -> Vec<Frame> {
        let [(_, packet, fragment), _] = datagram(number);
        let edit = Rewrite::default();
        let forward =
            Forward { port: PortId(out), rewrite: edit, quoted: edit, mtu: 1500, router: packet.dst() };
        table.first(PORT, &packet, fragment, ETHERNET, forward, now)
    }

    fn later(table: &FragmentTable, number: u16, now: Time) -> Option<PortId> {
        let [_, (_, packet, fragment)] = datagram(number);
        table.later(PORT, &packet, fragment, ETHERNET, now).map(|forward| forward.port)
    }

    fn wait(table: &mut FragmentTable, number: u16, now: Time) -> Result<(), DropReason> {
        let [_, (frame, packet, fragment)] = datagram(number);
        table.wait(PORT, &packet, fragment, &frame, now)
    }

    fn held(table: &FragmentTable) -> (usize, usize, usize) {
        let datagrams = &table.ports[&PORT];
        (datagrams.known.len(), datagrams.order.len(), datagrams.waiting)
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut table = FragmentTable::default();
        for number in 0..DATAGRAMS as u16 + 2 {
            first(&mut table, number, 2, Time(0));
        }
        assert_eq!(held(&table), (DATAGRAMS, DATAGRAMS, 0));
        assert_eq!([0, 1, 2].map(|number| later(&table, number, Time(0)).is_some()), [false, false, true]);
    }

    #[test]
    fn the_last_first_counts() {
        let mut table = FragmentTable::default();
        first(&mut table, 1, 2, Time(0));
        first(&mut table, 1, 3, Time(0).after(10));
        assert_eq!(later(&table, 1, Time(0).after(20)), Some(PortId(3)));
        table.expire(Time(0).after(20));
        assert_eq!(held(&table), (1, 1, 0));
        assert_eq!(later(&table, 1, Time(0).after(25)), None, "even before anybody tidied up");
        assert_eq!(table.expire(Time(0).after(25)), []);
        assert!(table.ports.is_empty());
    }

    #[test]
    fn what_overtakes_its_first_waits_for_it() {
        let mut table = FragmentTable::default();
        let [_, (frame, ..)] = datagram(1);
        assert_eq!(wait(&mut table, 1, Time(0)), Ok(()));
        assert_eq!(held(&table), (1, 1, frame.bytes.len()));
        assert_eq!(first(&mut table, 1, 2, Time(0)), [frame]);
        assert_eq!((held(&table), later(&table, 1, Time(0))), ((1, 1, 0), Some(PortId(2))));
        // Nobody waits for a first that has gone by, however it went.
        assert_eq!(wait(&mut table, 1, Time(0)), Err(DropReason::FragmentWithoutFirst));
    }

    #[test]
    fn who_waits_in_vain_is_counted() {
        let mut table = FragmentTable::default();
        wait(&mut table, 1, Time(0)).unwrap();
        wait(&mut table, 1, Time(0)).unwrap();
        wait(&mut table, 2, Time(0)).unwrap();
        let [(_, packet, fragment), _] = datagram(2);
        assert_eq!(table.refused(PORT, &packet, fragment), 1);
        assert_eq!(table.expire(Time(0).after(15)), [(PORT, 2)]);
        assert!(table.ports.is_empty());
    }

    #[test]
    fn not_more_waits_than_there_is_room_for() {
        let mut table = FragmentTable::default();
        let [_, (frame, ..)] = datagram(0);
        let room = WAITING / frame.bytes.len();
        let outcome: Vec<_> =
            (0..room + 5).map(|n| wait(&mut table, n as u16 % 500, Time(0)).is_ok()).collect();
        assert_eq!(outcome.iter().filter(|waits| **waits).count(), room);
        assert_eq!(held(&table).2, room * frame.bytes.len());
        assert!(wait(&mut table, 1, Time(0).after(20)).is_err(), "until they are tidied up");
        table.expire(Time(0).after(20));
        assert_eq!(wait(&mut table, 1, Time(0).after(20)), Ok(()));
    }
}
