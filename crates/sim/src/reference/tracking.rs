//! Connections that the security groups of an interface track: each interface on its own (EC2 user guide, "Security
//! group connection tracking").

use engine::{PortId, Time};
use model::ConnectionTracking;
use wire::{FlowKey, FlowProto, TcpFlags};

use super::{Tracks, opens};

#[derive(Debug, Clone, Default)]
pub(super) struct Connections(Vec<Connection>);

#[derive(Debug, Clone)]
struct Connection {
    port: PortId,
    /// As the port's owner sends on it.
    key: FlowKey,
    /// Whether the owner sent the first packet.
    begun_here: bool,
    phase: Phase,
    times: ConnectionTracking,
    last: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    TcpOpening,
    TcpEstablished,
    TcpClosing,
    UdpSingle,
    UdpStream,
    Other,
}

impl Connections {
    /// Whether the owner of a port tracks the connection on which it sends packets of this key. One that was closed is
    /// none to a SYN.
    pub(super) fn tracked(&self, port: PortId, key: FlowKey, opening: bool, now: Time) -> bool {
        self.0.iter().any(|connection| connection.is(port, key, opening, now))
    }

    /// A packet was forwarded on a connection, by the owner of the port or to it.
    pub(super) fn see(
        &mut self,
        port: PortId,
        key: FlowKey,
        by_owner: bool,
        tracks: Tracks,
        flags: &Option<TcpFlags>,
        now: Time,
    ) {
        let opening = opens(*flags);
        let over = |connection: &Connection| {
            (connection.port, connection.key) == (port, key) && !connection.is(port, key, opening, now)
        };
        self.0.retain(|connection| !over(connection));
        let Some(times) = tracks else {
            self.0.retain(|connection| (connection.port, connection.key) != (port, key));
            return;
        };
        let known = self.0.iter_mut().position(|connection| (connection.port, connection.key) == (port, key));
        let at = known.unwrap_or_else(|| {
            let phase = Phase::first(&key.proto);
            self.0.push(Connection { port, key, begun_here: by_owner, phase, times, last: now });
            self.0.len() - 1
        });
        let connection = &mut self.0[at];
        connection.times = times;
        connection.last = now;
        let answer = by_owner != connection.begun_here;
        connection.phase = connection.phase.after(answer, *flags);
    }
}

impl Connection {
    fn is(&self, port: PortId, key: FlowKey, opening: bool, now: Time) -> bool {
        let idle = match self.phase {
            Phase::TcpEstablished => self.times.tcp_established.into(),
            // Not published; as Linux has it.
            Phase::TcpOpening | Phase::TcpClosing => 120,
            Phase::UdpSingle => self.times.udp.into(),
            Phase::UdpStream => self.times.udp_stream.into(),
            Phase::Other => 600,
        };
        let alive = now < self.last.after(idle) && !(opening && self.phase == Phase::TcpClosing);
        (self.port, self.key) == (port, key) && alive
    }
}

impl Phase {
    fn first(proto: &FlowProto) -> Phase {
        match proto {
            FlowProto::Tcp { .. } => Phase::TcpOpening,
            FlowProto::Udp { .. } => Phase::UdpSingle,
            _ => Phase::Other,
        }
    }

    fn after(self, answer: bool, flags: Option<TcpFlags>) -> Phase {
        let has = |flag| flags.is_some_and(|flags| flags.contains(flag));
        match self {
            Phase::Other => Phase::Other,
            Phase::UdpSingle if answer => Phase::UdpStream,
            Phase::UdpSingle | Phase::UdpStream => self,
            _ if has(TcpFlags::RST) || has(TcpFlags::FIN) => Phase::TcpClosing,
            Phase::TcpOpening if answer && has(TcpFlags::ACK) => Phase::TcpEstablished,
            other => other,
        }
    }
}
