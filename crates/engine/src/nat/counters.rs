//! What a gateway counts, by the names of CloudWatch's NAT gateway metrics.

use serde::{Deserialize, Serialize};

use super::state::{Side, State, TcpState};

/// What was counted at one gateway since it was made (VPC user guide, "NAT gateway metrics and dimensions"). CloudWatch
/// shows differences per minute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// ActiveConnectionCount: TCP connections now that nobody has closed.
    pub active_connections: u64,
    /// ConnectionAttemptCount: TCP connections whose first SYN passed.
    pub connection_attempts: u64,
    /// ConnectionEstablishedCount: TCP connections whose both ends have sent a SYN.
    pub connections_established: u64,
    /// ErrorPortAllocation: packets that found no port.
    pub port_allocation_errors: u64,
    /// IdleTimeoutCount: sessions that ended idle, without being closed.
    pub idle_timeouts: u64,
    /// PacketsDropCount.
    pub packets_dropped: u64,
    /// BytesInFromSource, PacketsInFromSource: what the VPC sent to the gateway.
    pub in_from_source: Traffic,
    /// BytesOutToDestination, PacketsOutToDestination: what the gateway sent on.
    pub out_to_destination: Traffic,
    /// BytesInFromDestination, PacketsInFromDestination: what came back to the gateway.
    pub in_from_destination: Traffic,
    /// BytesOutToSource, PacketsOutToSource: what the gateway sent back into the VPC.
    pub out_to_source: Traffic,
}

/// Packets and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes, from the IP header on.
    pub bytes: u64,
}

impl Counters {
    /// A packet came in, and went out translated if `passed`.
    pub(super) fn packet(&mut self, from: Side, bytes: usize, passed: bool) {
        let (arrived, left) = match from {
            Side::Inside => (&mut self.in_from_source, &mut self.out_to_destination),
            Side::Outside => (&mut self.in_from_destination, &mut self.out_to_source),
        };
        arrived.add(bytes);
        if passed {
            left.add(bytes);
        } else {
            self.packets_dropped += 1;
        }
    }

    /// A session began.
    pub(super) fn opened(&mut self, state: State) {
        if state.is_active_tcp() {
            self.active_connections += 1;
            self.connection_attempts += 1;
        }
    }

    /// A session's state changed.
    pub(super) fn changed(&mut self, from: State, to: State) {
        match (from.is_active_tcp(), to.is_active_tcp()) {
            (false, true) => {
                self.active_connections += 1;
                self.connection_attempts += u64::from(matches!(to, State::Tcp(TcpState::Opening { .. })));
            }
            (true, false) => self.active_connections -= 1,
            _ => {}
        }
        let opening = matches!(from, State::Tcp(TcpState::Opening { .. }));
        if opening && to == State::Tcp(TcpState::Established) {
            self.connections_established += 1;
        }
    }

    /// A session ended.
    pub(super) fn ended(&mut self, state: State) {
        self.active_connections -= u64::from(state.is_active_tcp());
    }
}

impl Traffic {
    fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}
