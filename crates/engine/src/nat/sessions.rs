//! Sessions: one record each, a key on each side, one lifetime.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{SocketAddr, SocketAddrV4};

use ahash::RandomState;
use slab::Slab;

use super::endpoints::{InsideKey, OutsideKey, Protocol};
use super::state::State;
use crate::fabric::{PortId, Time};

/// Names a session; a later one never has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    index: usize,
    serial: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) gateway: usize,
    pub(super) protocol: Protocol,
    pub(super) inside: SocketAddr,
    pub(super) external: SocketAddrV4,
    pub(super) remote: SocketAddrV4,
    /// The interface that it is counted for.
    pub(super) subscriber: PortId,
    /// Its mapping, if it is mapped endpoint-independently.
    pub(super) mapping: Option<usize>,
    /// Whether the inside has sent on it, and meant it.
    pub(super) contacted: bool,
    pub(super) state: State,
    /// When it is over if nothing more happens.
    pub(super) deadline: Time,
}

/// All sessions.
#[derive(Debug, Clone)]
pub(super) struct Sessions {
    records: Slab<Record>,
    by_inside: HashMap<InsideKey, usize, RandomState>,
    by_outside: HashMap<OutsideKey, usize, RandomState>,
    /// When to look at a record: no later than its deadline, which may have moved on by then.
    wakeups: BinaryHeap<Reverse<(Time, usize, u64)>>,
    next_serial: u64,
}

#[derive(Debug, Clone)]
struct Record {
    serial: u64,
    session: Session,
    /// The earliest wakeup of this record; any other is void.
    wake: Time,
}

impl Sessions {
    pub(super) fn new(hasher: &RandomState) -> Sessions {
        Sessions {
            records: Slab::new(),
            by_inside: HashMap::with_hasher(hasher.clone()),
            by_outside: HashMap::with_hasher(hasher.clone()),
            wakeups: BinaryHeap::new(),
            next_serial: 0,
        }
    }

    pub(super) fn of_inside(&self, key: &InsideKey) -> Option<(SessionId, &Session)> {
        Some(self.at(*self.by_inside.get(key)?))
    }

    pub(super) fn of_outside(&self, key: &OutsideKey) -> Option<(SessionId, &Session)> {
        Some(self.at(*self.by_outside.get(key)?))
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Session> {
        let record = self.records.get(id.index).filter(|record| record.serial == id.serial)?;
        Some(&record.session)
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Stores a session whose keys nobody has.
    pub(super) fn insert(&mut self, session: Session) -> SessionId {
        let (serial, wake) = (self.next_serial, session.deadline);
        self.next_serial += 1;
        let (inside, outside) = (session.inside_key(), session.outside_key());
        let index = self.records.insert(Record { serial, session, wake });
        self.by_inside.insert(inside, index);
        self.by_outside.insert(outside, index);
        self.wakeups.push(Reverse((wake, index, serial)));
        SessionId { index, serial }
    }

    /// Moves a session on.
    pub(super) fn advance(&mut self, id: SessionId, state: State, contacted: bool, deadline: Time) {
        let Some(record) = self.records.get_mut(id.index).filter(|record| record.serial == id.serial) else {
            return;
        };
        record.session.state = state;
        record.session.contacted = contacted;
        record.session.deadline = deadline;
        if deadline < record.wake {
            record.wake = deadline;
            self.wakeups.push(Reverse((deadline, id.index, id.serial)));
        }
    }

    /// Takes out the session that is over first, if one is.
    pub(super) fn pop_expired(&mut self, now: Time) -> Option<Session> {
        while let Some(&Reverse((due, index, serial))) = self.wakeups.peek()
            && due <= now
        {
            self.wakeups.pop();
            let Some(record) = self.records.get_mut(index) else { continue };
            if record.serial != serial || record.wake != due {
                continue;
            }
            if record.session.deadline > due {
                // Put back even if that is over too: they end in the order of their deadlines.
                record.wake = record.session.deadline;
                self.wakeups.push(Reverse((record.wake, index, serial)));
                continue;
            }
            return Some(self.remove(index));
        }
        None
    }

    /// Takes out every session for which this holds.
    pub(super) fn extract(&mut self, mut gone: impl FnMut(&Session) -> bool) -> Vec<Session> {
        let concerned = self.records.iter().filter(|(_, record)| gone(&record.session));
        let indices: Vec<_> = concerned.map(|(index, _)| index).collect();
        indices.into_iter().map(|index| self.remove(index)).collect()
    }

    fn at(&self, index: usize) -> (SessionId, &Session) {
        let record = &self.records[index];
        (SessionId { index, serial: record.serial }, &record.session)
    }

    fn remove(&mut self, index: usize) -> Session {
        let session = self.records.remove(index).session;
        self.by_inside.remove(&session.inside_key());
        self.by_outside.remove(&session.outside_key());
        session
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.records.iter().map(|(_, record)| &record.session)
    }

    /// What holds between any two calls.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert_eq!(self.records.len(), self.by_inside.len());
        assert_eq!(self.records.len(), self.by_outside.len());
        let wakeups: std::collections::BTreeSet<_> = self.wakeups.iter().map(|wakeup| wakeup.0).collect();
        for (index, Record { serial, session, wake }) in &self.records {
            assert_eq!(self.by_inside[&session.inside_key()], index);
            assert_eq!(self.by_outside[&session.outside_key()], index);
            assert!(*wake <= session.deadline);
            assert!(wakeups.contains(&(*wake, index, *serial)));
        }
    }
}

impl Session {
    pub(super) fn inside_key(&self) -> InsideKey {
        let Session { gateway, protocol, inside, remote, .. } = *self;
        InsideKey { gateway, protocol, inside, remote }
    }

    pub(super) fn outside_key(&self) -> OutsideKey {
        let Session { gateway, protocol, external, remote, .. } = *self;
        OutsideKey { gateway, protocol, external, remote }
    }
}
