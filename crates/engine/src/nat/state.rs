//! As much of a session's state as its lifetime depends on.

use wire::TcpFlags;

use super::behaviour::Behaviour;
use super::endpoints::Protocol;

/// The two sides of a NAT gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Where addresses are translated.
    Inside,
    /// Where the gateway's addresses stand for them.
    Outside,
}

/// A session's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Tcp(TcpState),
    Udp,
    Icmp,
}

/// A TCP connection as it looks from the middle (after RFC 6146 section 3.5.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TcpState {
    /// One side has sent a SYN.
    Opening { by: Side },
    /// Both have, with ACK or by crossing each other (simultaneous open).
    Established,
    /// One side has sent a FIN; the other may go on for as long as it likes.
    HalfClosed { by: Side },
    /// Both have.
    Closed,
    /// Somebody has sent a RST. It may have been forged: the inside brings the connection back by going on.
    Reset,
}

impl State {
    /// The state after the first packet.
    pub(super) fn first(protocol: Protocol, by: Side) -> State {
        match protocol {
            Protocol::Tcp => State::Tcp(TcpState::Opening { by }),
            Protocol::Udp => State::Udp,
            Protocol::Icmp => State::Icmp,
        }
    }

    /// The state after one more packet, and whether the session's lifetime begins anew.
    pub(super) fn next(self, from: Side, flags: Option<TcpFlags>, inbound_refresh: bool) -> (State, bool) {
        match self {
            State::Tcp(tcp) => {
                let (tcp, refresh) = tcp.next(from, flags.unwrap_or_default());
                (State::Tcp(tcp), refresh)
            }
            State::Udp | State::Icmp => (self, from == Side::Inside || inbound_refresh),
        }
    }

    /// How long the session may be idle, in seconds.
    pub(super) fn idle(self, behaviour: &Behaviour) -> u64 {
        match self {
            State::Tcp(TcpState::Established | TcpState::HalfClosed { .. }) => behaviour.tcp_established,
            State::Tcp(TcpState::Opening { .. } | TcpState::Closed | TcpState::Reset) => {
                behaviour.tcp_transitory
            }
            State::Udp => behaviour.udp,
            State::Icmp => behaviour.icmp,
        }
    }

    /// Whether both ends know that it is over.
    pub(super) fn is_over(self) -> bool {
        matches!(self, State::Tcp(TcpState::Closed | TcpState::Reset))
    }

    /// Whether it is a TCP connection that is not over.
    pub(super) fn is_active_tcp(self) -> bool {
        matches!(self, State::Tcp(_)) && !self.is_over()
    }
}

impl TcpState {
    fn next(self, from: Side, flags: TcpFlags) -> (TcpState, bool) {
        use TcpState::{Closed, Established, HalfClosed, Opening, Reset};
        let [syn, ack, fin, reset] =
            [TcpFlags::SYN, TcpFlags::ACK, TcpFlags::FIN, TcpFlags::RST].map(|flag| flags.contains(flag));
        match self {
            // A reset begins the last four minutes and does not prolong them (RFC 7857 section 2.2 and 7).
            Closed | Reset if reset => (self, false),
            _ if reset => (Reset, true),
            // A tuple may be used again while it waits (RFC 5382 REQ-2); from outside only if the inside agrees.
            Closed | Reset if syn && !ack => (Opening { by: from }, from == Side::Inside),
            Opening { by } if from != by && syn => (Established, true),
            Opening { .. } => (self, from == Side::Inside),
            Established if fin => (HalfClosed { by: from }, true),
            HalfClosed { by } if fin && from != by => (Closed, true),
            Established | HalfClosed { .. } => (self, true),
            Closed => (Closed, false),
            Reset if from == Side::Inside => (Established, true),
            Reset => (Reset, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: TcpFlags = TcpFlags::SYN;
    const ACK: TcpFlags = TcpFlags::ACK;
    const FIN: TcpFlags = TcpFlags(TcpFlags::FIN.0 | TcpFlags::ACK.0);
    const RST: TcpFlags = TcpFlags::RST;
    const SYN_ACK: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0);

    /// The state after these segments, and whether the last one refreshed.
    fn after(first: Side, segments: &[(Side, TcpFlags)]) -> (TcpState, bool) {
        let begin = (TcpState::Opening { by: first }, true);
        segments.iter().fold(begin, |(state, _), &(from, flags)| state.next(from, flags))
    }

    use Side::{Inside, Outside};

    #[test]
    fn t2_handshake_half_close_and_close() {
        let open = [(Outside, SYN_ACK), (Inside, ACK)];
        assert_eq!(after(Inside, &open), (TcpState::Established, true));
        let half = [&open[..], &[(Inside, FIN), (Outside, ACK), (Outside, ACK)]].concat();
        assert_eq!(after(Inside, &half), (TcpState::HalfClosed { by: Inside }, true));
        let again = [&half[..], &[(Inside, FIN)]].concat();
        assert_eq!(after(Inside, &again), (TcpState::HalfClosed { by: Inside }, true), "sent once more");
        let closed = [&half[..], &[(Outside, FIN)]].concat();
        assert_eq!(after(Inside, &closed), (TcpState::Closed, true));
        let late = [&closed[..], &[(Inside, ACK)]].concat();
        assert_eq!(after(Inside, &late), (TcpState::Closed, false));
    }

    #[test]
    fn t2_syns_may_cross() {
        assert_eq!(after(Inside, &[(Outside, SYN)]), (TcpState::Established, true));
        assert_eq!(after(Outside, &[(Inside, SYN_ACK)]), (TcpState::Established, true));
        assert_eq!(after(Inside, &[(Inside, SYN)]), (TcpState::Opening { by: Inside }, true), "sent again");
        assert_eq!(after(Inside, &[(Outside, ACK)]), (TcpState::Opening { by: Inside }, false));
        assert_eq!(after(Outside, &[(Outside, SYN)]), (TcpState::Opening { by: Outside }, false));
    }

    #[test]
    fn t2_a_tuple_in_time_wait_opens_anew() {
        let closed = [(Outside, SYN_ACK), (Inside, FIN), (Outside, FIN)];
        let with = |more: &[(Side, TcpFlags)]| after(Inside, &[&closed[..], more].concat());
        assert_eq!(with(&[(Inside, SYN)]), (TcpState::Opening { by: Inside }, true));
        assert_eq!(with(&[(Outside, SYN)]), (TcpState::Opening { by: Outside }, false));
        assert_eq!(with(&[(Outside, SYN), (Inside, SYN_ACK)]), (TcpState::Established, true));
    }

    #[test]
    fn n2_n8_a_reset_is_believed_slowly_and_refreshes_nothing() {
        let reset = [(Outside, SYN_ACK), (Outside, RST)];
        let with = |more: &[(Side, TcpFlags)]| after(Inside, &[&reset[..], more].concat());
        assert_eq!(with(&[]), (TcpState::Reset, true));
        assert_eq!(with(&[(Inside, RST)]), (TcpState::Reset, false));
        assert_eq!(with(&[(Outside, ACK)]), (TcpState::Reset, false), "nobody outside keeps it alive");
        assert_eq!(with(&[(Outside, ACK), (Inside, ACK)]), (TcpState::Established, true));
        assert_eq!(after(Inside, &[(Outside, RST)]), (TcpState::Reset, true), "refused");
    }
}
