//! Any sequence of packets, waits and drains against a model that keeps sessions in a list and looks at all of them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::nat::behaviour::Behaviour;
use crate::nat::endpoints::Protocol;
use crate::nat::state::State;

const HOSTS: [&str; 3] = ["10.0.1.5", "10.0.1.6", "10.0.1.7"];
const INSIDE_PORTS: [u16; 3] = [500, 2000, 2001];
const REMOTES: [&str; 4] = ["198.51.100.7:80", "198.51.100.7:81", "198.51.100.8:80", "198.51.100.9:9"];
const ADDRESSES: [Ipv4Addr; 2] = [EXTERNAL, SECOND];
const FLAGS: [TcpFlags; 5] = [SYN, SYN_ACK, ACK, FIN, RST];

#[derive(Debug, Clone)]
enum Operation {
    Out {
        host: usize,
        port: usize,
        remote: usize,
        kind: Kind,
        dropped: bool,
    },
    /// To the external endpoint of a session, or to one where perhaps nobody is.
    In {
        session: usize,
        other: Option<u16>,
        remote: Option<usize>,
        kind: Kind,
    },
    Wait(u64),
    Drain(usize, bool),
}

#[derive(Debug, Clone)]
struct Naive {
    protocol: Protocol,
    inside: SocketAddr,
    external: SocketAddrV4,
    remote: SocketAddrV4,
    subscriber: PortId,
    contacted: bool,
    state: State,
    deadline: Time,
    serial: usize,
}

/// What the table should hold.
struct Oracle {
    behaviour: Behaviour,
    capacity: usize,
    accepts: [bool; 2],
    sessions: Vec<Naive>,
    /// Until when the inside keeps an endpoint's mapping.
    until: Vec<(Protocol, SocketAddr, Time)>,
    resting: Vec<(Time, Protocol, SocketAddrV4)>,
    pairs: Vec<(IpAddr, Ipv4Addr)>,
    made: usize,
}

impl Oracle {
    fn expire(&mut self, now: Time) {
        while let Some(first) =
            (0..self.sessions.len()).min_by_key(|&at| (self.sessions[at].deadline, self.sessions[at].serial))
            && self.sessions[first].deadline <= now
        {
            let gone = self.sessions.remove(first);
            let same_mapping = |s: &&Naive| (s.protocol, s.inside) == (gone.protocol, gone.inside);
            if !self.sessions.iter().any(|session| same_mapping(&session)) {
                self.until.retain(|entry| (entry.0, entry.1) != (gone.protocol, gone.inside));
                if self.behaviour.freed_ports_rest && gone.protocol != Protocol::Tcp {
                    self.resting.push((gone.deadline.after(120), gone.protocol, gone.external));
                }
            }
            if !self.sessions.iter().any(|session| session.inside.ip() == gone.inside.ip()) {
                self.pairs.retain(|(host, _)| *host != gone.inside.ip());
            }
        }
        self.resting.retain(|(until, ..)| *until > now);
    }

    fn find(&self, wanted: impl Fn(&Naive) -> bool) -> Option<usize> {
        self.sessions.iter().position(wanted)
    }

    fn independent(&self, protocol: Protocol) -> bool {
        protocol != Protocol::Tcp || self.behaviour.tcp == Mapping::EndpointIndependent
    }

    fn accepting(&self) -> Vec<Ipv4Addr> {
        (0..2).filter(|&index| self.accepts[index]).map(|index| ADDRESSES[index]).collect()
    }

    fn admit(&self, subscriber: PortId) -> Result<(), Refusal> {
        let held = self.sessions.iter().filter(|session| session.subscriber == subscriber).count();
        if self.sessions.len() >= self.capacity {
            Err(Refusal::TableFull)
        } else if self.behaviour.per_subscriber.is_some_and(|limit| held >= limit as usize) {
            Err(Refusal::SubscriberLimit)
        } else {
            Ok(())
        }
    }

    fn has_room(&self, protocol: Protocol, address: Ipv4Addr, remote: SocketAddrV4) -> bool {
        let same = |s: &&Naive| (s.protocol, *s.external.ip(), s.remote) == (protocol, address, remote);
        let held = self.sessions.iter().filter(same).count();
        self.behaviour.per_destination.is_none_or(|limit| held < limit as usize)
    }

    /// The external endpoints that a new session may have: one of these, or none.
    fn allowed(
        &self,
        protocol: Protocol,
        inside: SocketAddr,
        remote: SocketAddrV4,
    ) -> BTreeSet<SocketAddrV4> {
        let mine = self.find(|s| (s.protocol, s.inside) == (protocol, inside));
        if let Some(mine) = mine.filter(|_| self.independent(protocol)) {
            let external = self.sessions[mine].external;
            return self.has_room(protocol, *external.ip(), remote).then_some(external).into_iter().collect();
        }
        let low = inside.port() < 1024 && protocol != Protocol::Icmp;
        let range = match &self.behaviour.low_ports {
            Some(range) if low => range.clone(),
            _ => self.behaviour.ports.clone(),
        };
        let free_at = |address: Ipv4Addr| -> BTreeSet<SocketAddrV4> {
            if !self.has_room(protocol, address, remote) {
                return BTreeSet::new();
            }
            let is_free = |external: &SocketAddrV4| {
                let holds = |s: &Naive| {
                    (s.protocol, s.external) == (protocol, *external)
                        && (self.independent(protocol) || s.remote == remote)
                };
                let rests =
                    |entry: &(Time, Protocol, SocketAddrV4)| (entry.1, entry.2) == (protocol, *external);
                self.find(holds).is_none() && !self.resting.iter().any(rests)
            };
            range.clone().map(|port| SocketAddrV4::new(address, port)).filter(is_free).collect()
        };
        let accepting = self.accepting();
        let paired = self.pairs.iter().find(|(host, _)| *host == inside.ip()).map(|(_, address)| *address);
        if let Some(paired) = paired.filter(|paired| accepting.contains(paired)) {
            let own = free_at(paired);
            if !own.is_empty() {
                return own;
            }
        }
        accepting.into_iter().flat_map(free_at).collect()
    }

    fn insert(&mut self, session: Naive, from: Side, now: Time) {
        let accepting = self.accepting();
        let address = *session.external.ip();
        match self.pairs.iter_mut().find(|(host, _)| *host == session.inside.ip()) {
            Some(pair) if !accepting.contains(&pair.1) => pair.1 = address,
            Some(_) => {}
            None => self.pairs.push((session.inside.ip(), address)),
        }
        let full = now.after(session.state.idle(&self.behaviour));
        let until = self.until.iter().find(|entry| (entry.0, entry.1) == (session.protocol, session.inside));
        let deadline = match until {
            Some((.., until)) if from == Side::Outside && !self.behaviour.inbound_refresh => full.min(*until),
            _ => full,
        };
        self.made += 1;
        self.sessions.push(Naive { deadline, serial: self.made, ..session });
        self.touch(self.sessions.len() - 1, from, None, now);
    }

    /// `flags` are none for what insertion has done already.
    fn touch(&mut self, at: usize, from: Side, kind: Option<Kind>, now: Time) {
        let session = &mut self.sessions[at];
        if let Some(kind) = kind {
            let (state, refresh) = session.state.next(from, flags(kind), self.behaviour.inbound_refresh);
            session.state = state;
            if refresh {
                session.deadline = now.after(state.idle(&self.behaviour));
            }
            session.contacted |= from == Side::Inside && kind != Kind::Tcp(RST);
        }
        let (protocol, inside, deadline) = (session.protocol, session.inside, session.deadline);
        match self.until.iter_mut().find(|entry| (entry.0, entry.1) == (protocol, inside)) {
            Some(entry) => entry.2 = entry.2.max(deadline),
            None => self.until.push((protocol, inside, deadline)),
        }
    }
}

fn protocol(kind: Kind) -> Protocol {
    match kind {
        Kind::Tcp(_) => Protocol::Tcp,
        Kind::Udp => Protocol::Udp,
        Kind::Echo => Protocol::Icmp,
    }
}

fn remote(index: usize, kind: Kind) -> SocketAddrV4 {
    let mut remote = v4(REMOTES[index]);
    if kind == Kind::Echo {
        remote.set_port(0);
    }
    remote
}

struct Both {
    world: World,
    oracle: Oracle,
}

impl Both {
    fn run(&mut self, operation: &Operation) {
        match *operation {
            Operation::Out { host, port, remote: to, kind, dropped } => {
                let inside = SocketAddr::new(HOSTS[host].parse().unwrap(), INSIDE_PORTS[port]);
                self.out(inside, PortId(host as u32), remote(to, kind), kind, dropped);
            }
            Operation::In { session, other, remote: from, kind } => {
                let known = self.oracle.sessions.iter().filter(|s| s.protocol == protocol(kind));
                let known: Vec<_> = known.map(|session| (session.external, session.remote)).collect();
                let picked = (!known.is_empty()).then(|| known[session % known.len()]);
                let anywhere = (SocketAddrV4::new(EXTERNAL, 2000), remote(0, kind));
                let (mut external, its_remote) = picked.unwrap_or(anywhere);
                external.set_port(other.unwrap_or(external.port()));
                let from = from.map_or(its_remote, |index| remote(index, kind));
                self.back(external, from, kind);
            }
            Operation::Wait(nanoseconds) => {
                self.world.now = Time(self.world.now.0 + nanoseconds);
                self.world.table.expire(self.world.now);
                self.oracle.expire(self.world.now);
            }
            Operation::Drain(index, accepts_new) => {
                self.oracle.accepts[index] = accepts_new;
                let behaviour = self.oracle.behaviour.clone();
                let address = |index: usize| {
                    let accepts_new = self.oracle.accepts[index];
                    Address { address: ADDRESSES[index], accepts_new }
                };
                let addresses = vec![address(0), address(1)];
                self.world.table.load(&[Gateway { key: interface(1), behaviour, addresses }]);
            }
        }
        self.compare();
    }

    fn out(
        &mut self,
        inside: SocketAddr,
        subscriber: PortId,
        remote: SocketAddrV4,
        kind: Kind,
        dropped: bool,
    ) {
        let Both { world, oracle } = self;
        let sent = key(kind, inside, SocketAddr::V4(remote), Side::Inside);
        let found = world.table.outbound(&world.key, subscriber, &sent, facts(kind));
        assert_eq!(
            found,
            world.table.outbound(&world.key, subscriber, &sent, facts(kind)),
            "looking changes nothing"
        );
        let protocol = protocol(kind);
        let known = oracle.find(|s| (s.protocol, s.inside, s.remote) == (protocol, inside, remote));
        if known.is_none() {
            let refusal = if protocol == Protocol::Tcp && kind != Kind::Tcp(SYN) {
                Some(Refusal::NoSession)
            } else if let Err(refusal) = oracle.admit(subscriber) {
                Some(refusal)
            } else {
                let none = oracle.allowed(protocol, inside, remote).is_empty();
                none.then_some(Refusal::PortsExhausted)
            };
            assert_eq!(found.err().map(|refused| refused.refusal), refusal);
        }
        let Ok(found) = found else { return };
        let external = match found.key.proto {
            FlowProto::Tcp { src, .. } | FlowProto::Udp { src, .. } | FlowProto::Echo { id: src, .. } => src,
            FlowProto::Icmp { .. } | FlowProto::Other(_) => panic!("another protocol"),
        };
        let IpAddr::V4(address) = found.key.src else { panic!("not IPv4") };
        let external = SocketAddrV4::new(address, external);
        if dropped {
            return;
        }
        match known {
            Some(at) => {
                assert_eq!(oracle.sessions[at].external, external);
                assert!(matches!(found.standing, Standing::Known(_)));
            }
            None => {
                assert!(oracle.allowed(protocol, inside, remote).contains(&external));
                let state = State::first(protocol, Side::Inside);
                let deadline = world.now;
                let session = Naive {
                    protocol,
                    inside,
                    external,
                    remote,
                    subscriber,
                    contacted: true,
                    state,
                    deadline,
                    serial: 0,
                };
                oracle.insert(session, Side::Inside, world.now);
            }
        }
        let at = known.unwrap_or(oracle.sessions.len() - 1);
        oracle.touch(at, Side::Inside, Some(kind), world.now);
        world.forward(found.standing, Side::Inside, kind);
    }

    fn back(&mut self, external: SocketAddrV4, remote: SocketAddrV4, kind: Kind) {
        let Both { world, oracle } = self;
        let received = key(kind, SocketAddr::V4(remote), SocketAddr::V4(external), Side::Outside);
        let found = world.table.inbound(&world.key, &received, facts(kind));
        let protocol = protocol(kind);
        let known = oracle.find(|s| (s.protocol, s.external, s.remote) == (protocol, external, remote));
        let expected = match known {
            Some(at) => Ok(oracle.sessions[at].inside),
            None => {
                let opens = kind == Kind::Udp || kind == Kind::Tcp(SYN);
                let same = |s: &Naive| (s.protocol, s.external) == (protocol, external);
                let passes = |s: &Naive| match oracle.behaviour.filtering {
                    Filtering::EndpointIndependent => same(s),
                    Filtering::AddressDependent => same(s) && s.contacted && s.remote.ip() == remote.ip(),
                    Filtering::AddressAndPortDependent => false,
                };
                match oracle.find(passes).filter(|_| opens && oracle.independent(protocol)) {
                    None => Err(Refusal::Unsolicited),
                    Some(at) => {
                        // The mapping's first session says whose it is.
                        let subscriber = oracle.sessions[at].subscriber;
                        oracle.admit(subscriber).map(|()| oracle.sessions[at].inside)
                    }
                }
            }
        };
        assert_eq!(found.map(|found| found.key.dst), expected.map(|inside| inside.ip()));
        let (Ok(found), Ok(inside)) = (found, expected) else { return };
        assert_eq!(found.key, key(kind, SocketAddr::V4(remote), inside, Side::Outside));
        if known.is_none() {
            let host = oracle.find(|s| (s.protocol, s.inside) == (protocol, inside)).unwrap();
            let subscriber = oracle.sessions[host].subscriber;
            let state = State::first(protocol, Side::Outside);
            let deadline = world.now;
            let session = Naive {
                protocol,
                inside,
                external,
                remote,
                subscriber,
                contacted: false,
                state,
                deadline,
                serial: 0,
            };
            oracle.insert(session, Side::Outside, world.now);
        }
        let at = known.unwrap_or(oracle.sessions.len() - 1);
        oracle.touch(at, Side::Outside, Some(kind), world.now);
        world.forward(found.standing, Side::Outside, kind);
    }

    /// Both hold the same sessions, no two of them share a 5-tuple, and mapping is as the profile says.
    fn compare(&self) {
        check(&self.world.table);
        let mut table: Vec<_> = self
            .world
            .table
            .sessions
            .iter()
            .map(|s| (s.protocol, s.inside, s.external, s.remote, s.deadline, s.contacted))
            .collect();
        let mut oracle: Vec<_> = self
            .oracle
            .sessions
            .iter()
            .map(|s| (s.protocol, s.inside, s.external, s.remote, s.deadline, s.contacted))
            .collect();
        table.sort();
        oracle.sort();
        assert_eq!(table, oracle);
        let outside: BTreeSet<_> = table.iter().map(|s| (s.0, s.2, s.3)).collect();
        assert_eq!(outside.len(), table.len(), "two sessions with one external 5-tuple");
        for (n, one) in table.iter().enumerate().filter(|(_, s)| self.oracle.independent(s.0)) {
            for other in table[..n].iter().filter(|other| other.0 == one.0) {
                assert_eq!(one.1 == other.1, one.2 == other.2, "an inside endpoint is one external endpoint");
            }
        }
        let active = self.oracle.sessions.iter().filter(|s| s.state.is_active_tcp()).count();
        assert_eq!(self.world.counters().active_connections, active as u64);
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => (0..FLAGS.len()).prop_map(|flags| Kind::Tcp(FLAGS[flags])),
        2 => Just(Kind::Tcp(SYN)),
        4 => Just(Kind::Udp),
        1 => Just(Kind::Echo),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    const SECOND: u64 = 1_000_000_000;
    let idle = [59, 60, 119, 120, 239, 240, 299, 300, 349, 350, 7440];
    prop_oneof![
        10 => (0..3usize, 0..3usize, 0..4usize, kind(), prop::bool::weighted(0.1))
            .prop_map(|(host, port, remote, kind, dropped)| Operation::Out { host, port, remote, kind, dropped }),
        6 => (any::<usize>(), prop::option::weighted(0.2, 1998..2006u16), prop::option::of(0..4usize), kind())
            .prop_map(|(session, other, remote, kind)| Operation::In { session, other, remote, kind }),
        2 => (0..100 * SECOND).prop_map(Operation::Wait),
        2 => (0..idle.len(), 0..2u64).prop_map(move |(n, less)| Operation::Wait(idle[n] * SECOND - less)),
        1 => (0..2usize, any::<bool>()).prop_map(|(index, accepts)| Operation::Drain(index, accepts)),
    ]
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    let aws = Behaviour { ports: 2000..=2003, per_destination: Some(3), ..Behaviour::aws() };
    let rfc = Behaviour {
        ports: 2000..=2003,
        low_ports: Some(998..=999),
        per_subscriber: Some(9),
        ..Behaviour::rfc()
    };
    let open = Behaviour { filtering: Filtering::EndpointIndependent, ..rfc.clone() };
    let refreshed = Behaviour { inbound_refresh: true, ..rfc.clone() };
    prop_oneof![3 => Just(aws), 3 => Just(rfc), 1 => Just(open), 1 => Just(refreshed)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_table_is_a_list_of_sessions(
        behaviour in behaviour(),
        capacity in prop_oneof![Just(6usize), Just(1000)],
        seed: u64,
        operations in prop::collection::vec(operation(), 1..150),
    ) {
        let mut table = NatTable::new(capacity, seed);
        table.load(&[gateway(behaviour.clone(), &ADDRESSES)]);
        let world = World { table, now: Time(1), key: interface(1) };
        let oracle = Oracle {
            behaviour,
            capacity,
            accepts: [true; 2],
            sessions: Vec::new(),
            until: Vec::new(),
            resting: Vec::new(),
            pairs: Vec::new(),
            made: 0,
        };
        let mut both = Both { world, oracle };
        for operation in &operations {
            both.run(operation);
        }
        both.run(&Operation::Wait(20_000 * 1_000_000_000));
        prop_assert!(both.world.table.is_empty());
    }
}
