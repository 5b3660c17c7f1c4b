//! An imagined packet, as headers and as a frame.

use std::net::IpAddr;

use wire::{ETHERNET_LEN, FlowKey, FlowProto, Frame, TcpFlags, build};

use crate::walk::{Proto, Question, TRACEROUTE_PORTS};

/// Its header, and that of the packet it quotes if it is an ICMP error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) key: FlowKey,
    pub(crate) quoted: Option<FlowKey>,
}

impl Probe {
    /// A packet that is no ICMP error.
    pub(crate) fn plain(key: FlowKey) -> Probe {
        Probe { key, quoted: None }
    }

    /// What the destination of this packet sends back.
    pub(crate) fn answer(question: &Question, key: FlowKey) -> Probe {
        let closed = question.proto == Proto::Udp && TRACEROUTE_PORTS.contains(&question.port);
        if closed { Probe::port_unreachable(key) } else { Probe::plain(key.reversed()) }
    }

    /// Says that this packet has expired on its way (RFC 792, RFC 4443 section 3.3).
    pub(crate) fn time_exceeded(from: IpAddr, about: FlowKey) -> Probe {
        let (kind, code) = if about.src.is_ipv6() { (3, 0) } else { (11, 0) };
        Probe::error(from, about, FlowProto::Icmp { kind, code })
    }

    /// Says that nobody listens (RFC 792, RFC 4443 section 3.1).
    fn port_unreachable(about: FlowKey) -> Probe {
        let (kind, code) = if about.src.is_ipv6() { (1, 4) } else { (3, 3) };
        Probe::error(about.dst, about, FlowProto::Icmp { kind, code })
    }

    fn error(from: IpAddr, about: FlowKey, proto: FlowProto) -> Probe {
        Probe { key: FlowKey { src: from, dst: about.src, proto }, quoted: Some(about) }
    }

    /// Where it comes from.
    pub(crate) fn src(&self) -> IpAddr {
        self.key.src
    }

    /// Where it goes.
    pub(crate) fn dst(&self) -> IpAddr {
        self.key.dst
    }

    /// The packet itself; Ethernet addresses are zero.
    pub(crate) fn frame(&self) -> Frame {
        let FlowKey { src, dst, proto } = self.key;
        match (proto, self.quoted) {
            (FlowProto::Icmp { kind, code }, Some(quoted)) => {
                let inner = Probe::plain(quoted).frame();
                build::icmp_error(src, dst, kind, code, inner.bytes.get(ETHERNET_LEN..).unwrap_or_default())
            }
            (FlowProto::Tcp { src: sport, dst: dport }, _) => {
                build::tcp(src, dst, sport, dport, TcpFlags::SYN, b"")
            }
            (FlowProto::Udp { src: sport, dst: dport }, _) => build::udp(src, dst, sport, dport, b"explain"),
            (FlowProto::Echo { id, request }, _) => build::echo(src, dst, request, id, 1, b"explain"),
            (FlowProto::Icmp { kind, code }, None) => build::icmp_error(src, dst, kind, code, b""),
            (FlowProto::Other(protocol), _) => build::ip(src, dst, protocol, b"explain"),
        }
    }
}
