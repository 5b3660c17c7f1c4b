//! Later fragments follow their first: it alone has ports (RFC 4787 REQ-14).

use std::collections::BTreeMap;
use std::net::IpAddr;

use wire::{Fragment, Packet};

use crate::fabric::{PortId, Time};
use crate::verdict::{Ethernet, Forward};

/// Datagrams under way at most; the oldest goes first.
const CAPACITY: usize = 4096;
/// How long a first fragment is remembered, in seconds (RFC 791 section 3.2 suggests 15).
const LIFETIME: u64 = 15;

/// Which datagram a fragment belongs to, on which port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Datagram {
    port: PortId,
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
    id: u32,
}

/// How a first fragment left.
#[derive(Debug, Clone, Copy)]
struct First {
    serial: u64,
    deadline: Time,
    ethernet: Ethernet,
    forward: Forward,
}

/// Verdicts of first fragments, for those that follow.
#[derive(Debug, Clone, Default)]
pub(crate) struct FragmentTable {
    verdicts: BTreeMap<Datagram, First>,
    /// Insertion order, for the oldest: serial -> datagram.
    order: BTreeMap<u64, Datagram>,
    next: u64,
}

impl FragmentTable {
    /// Remembers how the first fragment left.
    pub(crate) fn first(
        &mut self,
        port: PortId,
        packet: &Packet,
        fragment: Fragment,
        ethernet: Ethernet,
        forward: Forward,
        now: Time,
    ) {
        let datagram = Datagram::of(port, packet, fragment);
        let first = First { serial: self.next, deadline: now.after(LIFETIME), ethernet, forward };
        if let Some(earlier) = self.verdicts.insert(datagram, first) {
            self.order.remove(&earlier.serial);
        }
        self.order.insert(self.next, datagram);
        self.next += 1;
        if self.verdicts.len() > CAPACITY
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.verdicts.remove(&oldest);
        }
    }

    /// How a later fragment leaves: as its first did.
    pub(crate) fn later(
        &self,
        port: PortId,
        packet: &Packet,
        fragment: Fragment,
        ethernet: Ethernet,
        now: Time,
    ) -> Option<Forward> {
        let first = self.verdicts.get(&Datagram::of(port, packet, fragment))?;
        (first.deadline > now && first.ethernet == ethernet).then_some(first.forward)
    }

    /// Forgets datagrams that are too old.
    pub(crate) fn expire(&mut self, now: Time) {
        while let Some((&serial, datagram)) = self.order.first_key_value() {
            match self.verdicts.get(datagram) {
                Some(first) if first.deadline > now => break,
                _ => {
                    let datagram = *datagram;
                    self.order.remove(&serial);
                    self.verdicts.remove(&datagram);
                }
            }
        }
    }

    /// Forgets all: they were decided with other tables.
    pub(crate) fn clear(&mut self) {
        self.verdicts.clear();
        self.order.clear();
    }
}

impl Datagram {
    fn of(port: PortId, packet: &Packet, fragment: Fragment) -> Datagram {
        Datagram { port, src: packet.src(), dst: packet.dst(), protocol: packet.protocol(), id: fragment.id }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use wire::{Frame, Mac, Rewrite, build, fragment};

    use super::*;

    const ETHERNET: Ethernet = Ethernet { src: Mac([1; 6]), dst: Mac([2; 6]) };

    /// The first and the last fragment of a datagram with this number.
    fn datagram(number: u16) -> [(Packet, Fragment); 2] {
        let [high, low] = number.to_be_bytes();
        let src = Ipv4Addr::new(10, 0, high, low);
        let frame = build::udp(src, Ipv4Addr::new(10, 1, 0, 1), 5, 7, &[7; 100]).with_dont_fragment(false);
        let packet = |frame: &Frame| Packet::parse(&frame.bytes).unwrap();
        let parts = fragment::split(&frame, &packet(&frame), 80);
        [&parts[0], &parts[1]].map(|part| (packet(part), packet(part).fragment().unwrap()))
    }

    fn first(table: &mut FragmentTable, number: u16, out: u32, now: Time) {
        let [(packet, fragment), _] = datagram(number);
        let edit = Rewrite::default();
        let forward = Forward { port: PortId(out), rewrite: edit, quoted: edit, mtu: 1500 };
        table.first(PortId(1), &packet, fragment, ETHERNET, forward, now);
    }

    fn later(table: &FragmentTable, number: u16, now: Time) -> Option<PortId> {
        let [_, (packet, fragment)] = datagram(number);
        table.later(PortId(1), &packet, fragment, ETHERNET, now).map(|forward| forward.port)
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut table = FragmentTable::default();
        for number in 0..CAPACITY as u16 + 2 {
            first(&mut table, number, 2, Time(0));
        }
        assert_eq!((table.verdicts.len(), table.order.len()), (CAPACITY, CAPACITY));
        assert_eq!([0, 1, 2].map(|number| later(&table, number, Time(0)).is_some()), [false, false, true]);
    }

    #[test]
    fn the_last_first_counts() {
        let mut table = FragmentTable::default();
        first(&mut table, 1, 2, Time(0));
        first(&mut table, 1, 3, Time(0).after(10));
        assert_eq!(later(&table, 1, Time(0).after(20)), Some(PortId(3)));
        table.expire(Time(0).after(20));
        assert_eq!((table.verdicts.len(), table.order.len()), (1, 1));
        assert_eq!(later(&table, 1, Time(0).after(25)), None, "even before anybody tidied up");
        table.expire(Time(0).after(25));
        assert_eq!((table.verdicts.len(), table.order.len()), (0, 0));
    }
}
