//! The name of a flow.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::transport::Transport;

/// What names the packets of one flow in one direction. The key of an ICMP error is that of the message
/// itself, `Icmp { kind, code }`; the flow that it is about is
/// [`Quoted::flow_key`](crate::Quoted::flow_key).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FlowKey {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Protocol, and what it has as ports.
    pub proto: FlowProto,
}

/// The protocol of a flow with its ports, or what takes their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FlowProto {
    /// TCP.
    Tcp {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
    },
    /// UDP.
    Udp {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
    },
    /// ICMP or ICMPv6 echo, whose identifier does the work of a port (RFC 5508 section 3.1).
    Echo {
        /// Identifier.
        id: u16,
        /// Whether this is the direction of the requests.
        request: bool,
    },
    /// Any other message of ICMP, or of ICMPv6 if the addresses are IPv6.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
    /// A protocol without ports that we know of, by its IP protocol number. TCP, UDP, ICMP and ICMPv6 (6, 17, 1,
    /// 58) stand here only for fragments after the first, whose ports are not there.
    Other(u8),
}

impl FlowKey {
    pub(crate) fn new(src: IpAddr, dst: IpAddr, protocol: u8, transport: Transport) -> FlowKey {
        let proto = match transport {
            Transport::Tcp { src, dst, .. } => FlowProto::Tcp { src, dst },
            Transport::Udp { src, dst } => FlowProto::Udp { src, dst },
            Transport::Echo { request, id } => FlowProto::Echo { id, request },
            Transport::Icmp { kind, code } => FlowProto::Icmp { kind, code },
            Transport::Other | Transport::Fragment => FlowProto::Other(protocol),
        };
        FlowKey { src, dst, proto }
    }

    /// The key of the answers: addresses and ports swapped, request and reply of an echo exchanged. Other
    /// ICMP messages and protocols without ports keep what they have.
    pub fn reversed(self) -> FlowKey {
        let proto = match self.proto {
            FlowProto::Tcp { src, dst } => FlowProto::Tcp { src: dst, dst: src },
            FlowProto::Udp { src, dst } => FlowProto::Udp { src: dst, dst: src },
            FlowProto::Echo { id, request } => FlowProto::Echo { id, request: !request },
            same @ (FlowProto::Icmp { .. } | FlowProto::Other(_)) => same,
        };
        FlowKey { src: self.dst, dst: self.src, proto }
    }
}

impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FlowKey { src, dst, proto } = self;
        let (from, to) =
            (|port: &u16| SocketAddr::new(*src, *port), |port: &u16| SocketAddr::new(*dst, *port));
        let six = if src.is_ipv6() { "6" } else { "" };
        match proto {
            FlowProto::Tcp { src, dst } => write!(f, "tcp {} > {}", from(src), to(dst)),
            FlowProto::Udp { src, dst } => write!(f, "udp {} > {}", from(src), to(dst)),
            FlowProto::Echo { id, request: true } => write!(f, "echo request {src} > {dst} id {id}"),
            FlowProto::Echo { id, request: false } => write!(f, "echo reply {src} > {dst} id {id}"),
            FlowProto::Icmp { kind, code } => write!(f, "icmp{six} {kind}/{code} {src} > {dst}"),
            FlowProto::Other(protocol) => write!(f, "ip-proto-{protocol} {src} > {dst}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn reversed_is_the_way_back() {
        let there = FlowKey { src: A, dst: B, proto: FlowProto::Udp { src: 5, dst: 7 } };
        assert_eq!(there.reversed(), FlowKey { src: B, dst: A, proto: FlowProto::Udp { src: 7, dst: 5 } });
        let ping = FlowKey { src: A, dst: B, proto: FlowProto::Echo { id: 9, request: true } };
        assert_eq!(ping.reversed().proto, FlowProto::Echo { id: 9, request: false });
    }

    #[test]
    fn text() {
        let key = |proto| FlowKey { src: A, dst: B, proto }.to_string();
        assert_eq!(key(FlowProto::Udp { src: 5, dst: 7 }), "udp 10.0.0.1:5 > 10.0.0.2:7");
        assert_eq!(key(FlowProto::Tcp { src: 5, dst: 7 }), "tcp 10.0.0.1:5 > 10.0.0.2:7");
        assert_eq!(key(FlowProto::Echo { id: 3, request: true }), "echo request 10.0.0.1 > 10.0.0.2 id 3");
        assert_eq!(key(FlowProto::Icmp { kind: 3, code: 4 }), "icmp 3/4 10.0.0.1 > 10.0.0.2");
        let six = |text: &str| text.parse::<IpAddr>().unwrap();
        let key6 = |proto| FlowKey { src: six("2001:db8::1"), dst: six("2001:db8::2"), proto }.to_string();
        assert_eq!(key6(FlowProto::Tcp { src: 5, dst: 7 }), "tcp [2001:db8::1]:5 > [2001:db8::2]:7");
        assert_eq!(key6(FlowProto::Icmp { kind: 2, code: 0 }), "icmp6 2/0 2001:db8::1 > 2001:db8::2");
        assert_eq!(key(FlowProto::Other(47)), "ip-proto-47 10.0.0.1 > 10.0.0.2");
    }
}
