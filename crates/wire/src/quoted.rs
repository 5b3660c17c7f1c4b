//! The packet inside an ICMP error.

use std::net::IpAddr;

use smoltcp::wire::{TcpPacket, UdpPacket};

use crate::FlowKey;
use crate::ip::{IpHeader, Upper};
use crate::transport::{self, TcpFlags, Transport};

/// The start of a packet that an ICMP error quotes: its IP header and at least eight bytes more (RFC 792; for
/// ICMPv6, which quotes as much as fits, the same is asked). The offsets count from the start of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    ip: IpHeader,
    transport: Transport,
    ip_offset: u16,
    end: u32,
}

impl Quoted {
    /// Parses what an ICMP error has between two offsets of its frame. None if the IP header is cut or wrong
    /// (RFC 5508 REQ-3a), or if the first eight bytes of a TCP, UDP or ICMP header are not there.
    pub(crate) fn parse(frame: &[u8], start: usize, end: usize, is_v6: bool) -> Option<Quoted> {
        let bytes = frame.get(start..end)?;
        let ip = if is_v6 { IpHeader::v6(bytes) } else { IpHeader::v4(bytes) }.ok()?;
        // What follows the packet may be padding and extensions (RFC 4884), which are not its bytes.
        let len = bytes.len().min(ip.total_len());
        let transport = match ip.part() {
            Some(part) if part.offset > 0 => Transport::Fragment,
            _ => quoted_transport(&ip, bytes.get(ip.len()..len)?)?,
        };
        Some(Quoted { ip, transport, ip_offset: start as u16, end: (start + len) as u32 })
    }

    /// IP source: who sent what the error is about.
    pub fn src(&self) -> IpAddr {
        self.ip.src
    }

    /// IP destination.
    pub fn dst(&self) -> IpAddr {
        self.ip.dst
    }

    /// IP protocol number.
    pub fn protocol(&self) -> u8 {
        self.ip.protocol
    }

    /// Ports, or what takes their place.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Where in the frame the quoted IP header begins.
    pub fn ip_offset(&self) -> usize {
        self.ip_offset.into()
    }

    /// Where in the frame the quoted transport header begins.
    pub fn transport_offset(&self) -> usize {
        self.ip_offset() + self.ip.len()
    }

    /// The key of the quoted packet, in the direction in which that packet was sent: the error itself goes
    /// the other way.
    pub fn flow_key(&self) -> FlowKey {
        FlowKey::new(self.ip.src, self.ip.dst, self.ip.protocol, self.transport)
    }

    /// Where in the frame the quoted packet's bytes end.
    pub(crate) fn end(&self) -> usize {
        self.end as usize
    }

    pub(crate) fn ip(&self) -> &IpHeader {
        &self.ip
    }
}

fn quoted_transport(ip: &IpHeader, bytes: &[u8]) -> Option<Transport> {
    if ip.upper() != Upper::Other && bytes.len() < 8 {
        return None;
    }
    Some(match ip.upper() {
        Upper::Tcp => {
            let tcp = TcpPacket::new_unchecked(bytes);
            let flags = TcpFlags(bytes.get(13).copied().unwrap_or(0));
            Transport::Tcp { src: tcp.src_port(), dst: tcp.dst_port(), flags }
        }
        Upper::Udp => {
            let udp = UdpPacket::new_unchecked(bytes);
            Transport::Udp { src: udp.src_port(), dst: udp.dst_port() }
        }
        Upper::Icmp => transport::icmp(bytes, ip.is_v6()),
        Upper::Other => Transport::Other,
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{FlowProto, Frame, Packet, build};

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    fn quoted(quote: &[u8]) -> Option<Quoted> {
        let error = build::icmp_error(ROUTER, A, 11, 0, quote);
        Packet::parse(&error.bytes).unwrap().quoted().copied()
    }

    fn ip(frame: &Frame) -> &[u8] {
        &frame.bytes[14..]
    }

    #[test]
    fn the_flow_inside_an_error() {
        let udp = build::udp(A, B, 5, 7, &[0; 100]);
        let error = build::icmp_error(ROUTER, A, 3, 3, &ip(&udp)[..28]);
        let packet = Packet::parse(&error.bytes).unwrap();
        assert_eq!(packet.flow_key().proto, FlowProto::Icmp { kind: 3, code: 3 });
        let inside = packet.quoted().unwrap();
        assert_eq!(inside.flow_key(), Packet::parse(&udp.bytes).unwrap().flow_key());
        assert_eq!((inside.ip_offset(), inside.transport_offset()), (42, 62));
        let ping = build::echo(A, B, true, 9, 1, &[]);
        assert_eq!(quoted(ip(&ping)).unwrap().flow_key().proto, FlowProto::Echo { id: 9, request: true });
    }

    #[test]
    fn eight_bytes_of_tcp_are_enough_and_seven_are_not() {
        let tcp = build::tcp(A, B, 5, 7, TcpFlags::SYN, &[]);
        let cut = |len: usize| quoted(&ip(&tcp)[..len]).map(|quoted| quoted.transport());
        assert_eq!(cut(28), Some(Transport::Tcp { src: 5, dst: 7, flags: TcpFlags(0) }));
        assert_eq!(cut(40), Some(Transport::Tcp { src: 5, dst: 7, flags: TcpFlags::SYN }));
        assert_eq!(cut(27), None);
        assert_eq!(cut(19), None);
    }

    #[test]
    fn a_wrong_checksum_inside_is_no_quote() {
        let mut udp = build::udp(A, B, 5, 7, &[]);
        udp.bytes[26] ^= 1;
        assert_eq!(quoted(ip(&udp)), None);
    }

    #[test]
    fn only_errors_quote() {
        let udp = build::udp(A, B, 5, 7, &[]);
        let redirect = build::icmp_error(ROUTER, A, 5, 1, ip(&udp));
        assert_eq!(Packet::parse(&redirect.bytes).unwrap().quoted(), None);
    }
}
