//! Tests of the whole table: the requirements of the RFCs by name, and any sequence of packets against a naive model.

mod exhaustion;
mod icmp;
mod load;
mod naive;
mod tcp;
mod udp;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use model::{AccountId, RegionKey, RegionName};
use wire::{FlowKey, FlowProto, TcpFlags};

use super::*;
use crate::fabric::{InterfaceKey, PortId, Time};

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const RST: TcpFlags = TcpFlags::RST;
const SYN_ACK: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0);
const FIN: TcpFlags = TcpFlags(TcpFlags::FIN.0 | TcpFlags::ACK.0);

const A: &str = "10.0.1.5:5000";
const B: &str = "10.0.1.6:5000";
const REMOTE: &str = "198.51.100.7:80";
const EXTERNAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);

/// One gateway and a clock.
struct World {
    table: NatTable,
    now: Time,
    key: InterfaceKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp(TcpFlags),
    Udp,
    Echo,
}

const UDP: Kind = Kind::Udp;
const ECHO: Kind = Kind::Echo;

fn interface(number: u32) -> InterfaceKey {
    let region =
        RegionKey { account: AccountId("000000000000".into()), region: RegionName("eu-west-1".into()) };
    InterfaceKey { region, interface: format!("eni-{number:017x}").parse().unwrap() }
}

fn gateway(behaviour: Behaviour, addresses: &[Ipv4Addr]) -> Gateway {
    let accepting = |&address: &Ipv4Addr| Address { address, accepts_new: true };
    Gateway { key: interface(1), behaviour, addresses: addresses.iter().map(accepting).collect() }
}

fn end(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn v4(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

/// The key of a packet; the port of an echo is the identifier, on the inside's or gateway's end.
fn key(kind: Kind, from: SocketAddr, to: SocketAddr, side: Side) -> FlowKey {
    let proto = match (kind, side) {
        (Kind::Tcp(_), _) => FlowProto::Tcp { src: from.port(), dst: to.port() },
        (Kind::Udp, _) => FlowProto::Udp { src: from.port(), dst: to.port() },
        (Kind::Echo, Side::Inside) => FlowProto::Echo { id: from.port(), request: true },
        (Kind::Echo, Side::Outside) => FlowProto::Echo { id: to.port(), request: false },
    };
    FlowKey { src: from.ip(), dst: to.ip(), proto }
}

fn facts(kind: Kind) -> Facts {
    Facts { opening: kind == Kind::Tcp(SYN), fragment: false }
}

fn flags(kind: Kind) -> Option<TcpFlags> {
    match kind {
        Kind::Tcp(flags) => Some(flags),
        Kind::Udp | Kind::Echo => None,
    }
}

impl World {
    fn new(gateway: Gateway) -> World {
        let mut table = NatTable::new(1 << 20, 7);
        table.load(std::slice::from_ref(&gateway));
        World { table, now: Time(1), key: gateway.key }
    }

    fn aws() -> World {
        World::new(gateway(Behaviour::aws(), &[EXTERNAL]))
    }

    fn rfc() -> World {
        World::new(gateway(Behaviour::rfc(), &[EXTERNAL]))
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(seconds);
        self.table.expire(self.now);
    }

    /// Sends from inside and forwards. Says which external endpoint the remote sees.
    fn out(&mut self, kind: Kind, from: &str, to: &str) -> Result<SocketAddrV4, Refused> {
        self.send_out(PortId(1), kind, end(from), end(to))
    }

    fn send_out(
        &mut self,
        subscriber: PortId,
        kind: Kind,
        from: SocketAddr,
        to: SocketAddr,
    ) -> Result<SocketAddrV4, Refused> {
        let key = key(kind, from, to, Side::Inside);
        let found = self.table.outbound(&self.key, subscriber, &key, facts(kind))?;
        self.forward(found.standing, Side::Inside, kind);
        let port = match found.key.proto {
            FlowProto::Tcp { src, .. } | FlowProto::Udp { src, .. } => src,
            FlowProto::Echo { id, .. } => id,
            FlowProto::Icmp { .. } | FlowProto::Other(_) => panic!("translated to another protocol"),
        };
        let SocketAddr::V4(external) = SocketAddr::new(found.key.src, port) else { panic!("not IPv4") };
        Ok(external)
    }

    /// Sends from outside and forwards. Says who inside gets it.
    fn back(&mut self, kind: Kind, from: &str, to: SocketAddrV4) -> Result<SocketAddr, Refusal> {
        let key = key(kind, end(from), SocketAddr::V4(to), Side::Outside);
        let found = self.table.inbound(&self.key, &key, facts(kind))?;
        self.forward(found.standing, Side::Outside, kind);
        let port = match found.key.proto {
            FlowProto::Tcp { dst, .. } | FlowProto::Udp { dst, .. } => dst,
            FlowProto::Echo { id, .. } => id,
            FlowProto::Icmp { .. } | FlowProto::Other(_) => panic!("translated to another protocol"),
        };
        Ok(SocketAddr::new(found.key.dst, port))
    }

    fn forward(&mut self, standing: Standing, from: Side, kind: Kind) {
        let id = match standing {
            Standing::Known(id) => id,
            Standing::New(claim) => self.table.commit(&claim, self.now).unwrap(),
        };
        assert!(self.table.touch(id, from, flags(kind), 100, self.now));
    }

    /// A TCP connection with both SYNs.
    fn connect(&mut self, from: &str, to: &str) -> SocketAddrV4 {
        let external = self.out(Kind::Tcp(SYN), from, to).unwrap();
        self.back(Kind::Tcp(SYN_ACK), to, external).unwrap();
        assert_eq!(self.out(Kind::Tcp(ACK), from, to).unwrap(), external);
        external
    }

    fn counters(&self) -> Counters {
        self.table.counters()[&self.key].clone()
    }
}

/// Why a packet was refused that had to be.
fn why<T: std::fmt::Debug>(result: Result<T, Refused>) -> (Refusal, Answer) {
    let refused = result.unwrap_err();
    (refused.refusal, refused.answer)
}

/// What holds between any two calls: everything that is held is held by a live session.
fn check(table: &NatTable) {
    table.sessions.check();
    let sessions: Vec<_> = table.sessions.iter().collect();
    let mapped = sessions.iter().filter(|session| session.mapping.is_some());
    let contacts = mapped.clone().filter(|session| session.contacted).count();
    table.mappings.check(contacts);
    assert_eq!(table.mappings.sessions(), mapped.count());
    assert_eq!(table.destinations.total(), sessions.len());
    assert_eq!(table.subscribers.total(), sessions.len());
    assert_eq!(table.pairs.total(), sessions.len());
}
