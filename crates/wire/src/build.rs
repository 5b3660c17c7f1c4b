//! Frames from values: for explanations, services and tests. Ethernet addresses are zero until
//! [`Frame::with_macs`]; TTL is 64, DF is set, all checksums are complete.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::wire::{Ipv4Packet, UdpPacket};

use crate::ip::{ICMP, ICMPV6, TCP, UDP};
use crate::{ETHERNET_LEN, Frame, Mac, Offload, Packet, TcpFlags, Transport, checksum};

/// What an IPv4 packet holds after a header without options.
const LONGEST_PAYLOAD: usize = 0xffff - 20;

/// Any Ethernet frame.
pub fn ethernet(src: Mac, dst: Mac, ethertype: u16, payload: &[u8]) -> Frame {
    let mut bytes = Vec::with_capacity(ETHERNET_LEN + payload.len());
    bytes.extend(dst.0);
    bytes.extend(src.0);
    bytes.extend(ethertype.to_be_bytes());
    bytes.extend(payload);
    Frame::new(bytes)
}

/// An IP packet of any protocol, of the family of its destination. A payload that does not fit (above 65,515
/// bytes for IPv4, 65,535 for IPv6) is cut; a source of the other family becomes the unspecified address.
pub fn ip(src: impl Into<IpAddr>, dst: impl Into<IpAddr>, protocol: u8, payload: &[u8]) -> Frame {
    match pair(src, dst) {
        Pair::V4(src, dst) => ipv4(src, dst, protocol, payload),
        Pair::V6(src, dst) => ipv6(src, dst, protocol, payload),
    }
}

/// A UDP datagram.
pub fn udp(
    src: impl Into<IpAddr>,
    dst: impl Into<IpAddr>,
    src_port: u16,
    dst_port: u16,
    payload: &[u8],
) -> Frame {
    let payload = &payload[..payload.len().min(LONGEST_PAYLOAD - 8)];
    let mut datagram = vec![0; 8];
    datagram.extend(payload);
    let len = datagram.len() as u16;
    let mut header = UdpPacket::new_unchecked(&mut datagram[..]);
    header.set_src_port(src_port);
    header.set_dst_port(dst_port);
    header.set_len(len);
    summed(src, dst, UDP, datagram, 6)
}

/// A TCP segment without options, sequence and acknowledgement numbers zero, with a full window.
pub fn tcp(
    src: impl Into<IpAddr>,
    dst: impl Into<IpAddr>,
    src_port: u16,
    dst_port: u16,
    flags: TcpFlags,
    payload: &[u8],
) -> Frame {
    segment(src, dst, (src_port, dst_port), (0, 0), 0xffff, flags, payload)
}

/// An ICMP or ICMPv6 echo request or reply.
pub fn echo(
    src: impl Into<IpAddr>,
    dst: impl Into<IpAddr>,
    request: bool,
    id: u16,
    seq: u16,
    payload: &[u8],
) -> Frame {
    let dst = dst.into();
    let [a, b] = id.to_be_bytes();
    let [c, d] = seq.to_be_bytes();
    let kind = match (dst, request) {
        (IpAddr::V4(_), true) => 8,
        (IpAddr::V4(_), false) => 0,
        (IpAddr::V6(_), true) => 128,
        (IpAddr::V6(_), false) => 129,
    };
    icmp(src, dst, kind, 0, [a, b, c, d], payload)
}

/// An ICMP or ICMPv6 error about a packet, of which it quotes these bytes, from the IP header on.
pub fn icmp_error(src: impl Into<IpAddr>, dst: impl Into<IpAddr>, kind: u8, code: u8, quote: &[u8]) -> Frame {
    icmp(src, dst, kind, code, [0; 4], quote)
}

pub(crate) fn icmp(
    src: impl Into<IpAddr>,
    dst: impl Into<IpAddr>,
    kind: u8,
    code: u8,
    rest_of_header: [u8; 4],
    data: &[u8],
) -> Frame {
    let dst = dst.into();
    let data = &data[..data.len().min(LONGEST_PAYLOAD - 8)];
    let mut message = vec![kind, code, 0, 0];
    message.extend(rest_of_header);
    message.extend(data);
    if dst.is_ipv6() {
        return summed(src, dst, ICMPV6, message, 2);
    }
    let sum = !checksum::sum(&message);
    checksum::store(&mut message, 2, sum);
    ip(src, dst, ICMP, &message)
}

/// A TCP segment with ports, sequence and acknowledgement number, window, and no options.
pub(crate) fn segment(
    src: impl Into<IpAddr>,
    dst: impl Into<IpAddr>,
    (src_port, dst_port): (u16, u16),
    (seq, ack): (u32, u32),
    window: u16,
    flags: TcpFlags,
    payload: &[u8],
) -> Frame {
    let payload = &payload[..payload.len().min(LONGEST_PAYLOAD - 20)];
    let mut segment = Vec::with_capacity(20 + payload.len());
    segment.extend(src_port.to_be_bytes());
    segment.extend(dst_port.to_be_bytes());
    segment.extend(seq.to_be_bytes());
    segment.extend(ack.to_be_bytes());
    segment.extend([5 << 4, flags.0]);
    segment.extend(window.to_be_bytes());
    segment.extend([0; 4]);
    segment.extend(payload);
    summed(src, dst, TCP, segment, 16)
}

/// A packet whose protocol has a checksum over the pseudo header at an offset of its header.
fn summed(
    src: impl Into<IpAddr>,
    dst: impl Into<IpAddr>,
    protocol: u8,
    mut payload: Vec<u8>,
    field: usize,
) -> Frame {
    let (src, dst) = pair(src, dst).addresses();
    let pseudo = checksum::pseudo_header(src, dst, protocol, payload.len());
    let sum = !checksum::add(checksum::sum(&payload), pseudo);
    // Zero would mean "no checksum" in UDP (RFC 768).
    checksum::store(&mut payload, field, if sum == 0 && protocol == UDP { 0xffff } else { sum });
    ip(src, dst, protocol, &payload)
}

/// Two addresses of one family.
enum Pair {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Pair {
    fn addresses(self) -> (IpAddr, IpAddr) {
        match self {
            Pair::V4(src, dst) => (src.into(), dst.into()),
            Pair::V6(src, dst) => (src.into(), dst.into()),
        }
    }
}

fn pair(src: impl Into<IpAddr>, dst: impl Into<IpAddr>) -> Pair {
    match (src.into(), dst.into()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => Pair::V4(src, dst),
        (IpAddr::V6(src), IpAddr::V6(dst)) => Pair::V6(src, dst),
        (IpAddr::V6(_), IpAddr::V4(dst)) => Pair::V4(Ipv4Addr::UNSPECIFIED, dst),
        (IpAddr::V4(_), IpAddr::V6(dst)) => Pair::V6(Ipv6Addr::UNSPECIFIED, dst),
    }
}

fn ipv4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, payload: &[u8]) -> Frame {
    let payload = &payload[..payload.len().min(LONGEST_PAYLOAD)];
    let mut header = [0; 20];
    let mut ip = Ipv4Packet::new_unchecked(&mut header[..]);
    ip.set_version(4);
    ip.set_header_len(20);
    ip.set_total_len((20 + payload.len()) as u16);
    ip.set_dont_frag(true);
    ip.set_hop_limit(64);
    ip.set_next_header(protocol.into());
    ip.set_src_addr(src);
    ip.set_dst_addr(dst);
    let mut frame = ethernet(Mac::default(), Mac::default(), 0x0800, &header);
    frame.bytes.extend(payload);
    fill_ipv4_checksum(&mut frame);
    frame
}

fn ipv6(src: Ipv6Addr, dst: Ipv6Addr, protocol: u8, payload: &[u8]) -> Frame {
    let payload = &payload[..payload.len().min(0xffff)];
    let mut header = vec![0x60, 0, 0, 0];
    header.extend((payload.len() as u16).to_be_bytes());
    header.extend([protocol, 64]);
    header.extend(src.octets());
    header.extend(dst.octets());
    let mut frame = ethernet(Mac::default(), Mac::default(), 0x86dd, &header);
    frame.bytes.extend(payload);
    frame
}

/// Makes the IPv4 header checksum right after an edit of the header. The frame must be an IPv4 one with a
/// header that fits.
pub(crate) fn fill_ipv4_checksum(frame: &mut Frame) {
    Ipv4Packet::new_unchecked(&mut frame.bytes[ETHERNET_LEN..]).fill_checksum();
}

impl Frame {
    /// The same frame with these Ethernet addresses. Bytes shorter than that stay as they are.
    #[must_use]
    pub fn with_macs(mut self, src: Mac, dst: Mac) -> Frame {
        if let Some(addresses) = self.bytes.first_chunk_mut::<12>() {
            addresses[..6].copy_from_slice(&dst.0);
            addresses[6..].copy_from_slice(&src.0);
        }
        self
    }

    /// The same frame with this TTL or hop limit, if it is a packet.
    #[must_use]
    pub fn with_ttl(mut self, ttl: u8) -> Frame {
        if let Ok(packet) = Packet::parse(&self.bytes)
            && packet.src().is_ipv6()
        {
            self.bytes[ETHERNET_LEN + 7] = ttl;
            return self;
        }
        self.with_ipv4(|ip| ip.set_hop_limit(ttl))
    }

    /// The same frame with the DF flag set or not, if it is an IPv4 packet.
    #[must_use]
    pub fn with_dont_fragment(self, dont_fragment: bool) -> Frame {
        self.with_ipv4(|ip| ip.set_dont_frag(dont_fragment))
    }

    /// The same frame as a Linux sender with checksum offload hands it over: the field holds the sum of the
    /// pseudo header and the offload says where it is. Other frames than TCP and UDP stay as they are.
    #[must_use]
    pub fn with_partial_checksum(mut self) -> Frame {
        let Ok(packet) = Packet::parse(&self.bytes) else { return self };
        let csum_offset = match packet.transport() {
            Transport::Tcp { .. } => 16,
            Transport::Udp { .. } => 6,
            _ => return self,
        };
        let start = packet.transport_offset();
        let len = packet.end() - start;
        let sum = checksum::pseudo_header(packet.src(), packet.dst(), packet.protocol(), len);
        checksum::store(&mut self.bytes, start + csum_offset, sum);
        let (csum_start, csum_offset) = (start as u16, csum_offset as u16);
        self.offload = Offload { flags: 1, csum_start, csum_offset, ..Offload::default() };
        self
    }

    fn with_ipv4(mut self, edit: impl FnOnce(&mut Ipv4Packet<&mut [u8]>)) -> Frame {
        if Packet::parse(&self.bytes).is_ok_and(|packet| packet.src().is_ipv4()) {
            edit(&mut Ipv4Packet::new_unchecked(&mut self.bytes[ETHERNET_LEN..]));
            fill_ipv4_checksum(&mut self);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    #[test]
    fn checksums_are_complete() {
        for frame in [udp(A, B, 5, 7, b"odd"), tcp(A, B, 5, 7, TcpFlags::SYN, b"even")] {
            let packet = Packet::parse(&frame.bytes).unwrap();
            let segment = &frame.bytes[34..];
            let pseudo = checksum::pseudo_header(A.into(), B.into(), packet.protocol(), segment.len());
            assert_eq!(checksum::add(checksum::sum(segment), pseudo), 0xffff);
        }
        let ping = echo(A, B, true, 1, 2, b"odd");
        assert_eq!(Packet::parse(&ping.bytes).unwrap().verify_icmp(&ping), Ok(()));
    }

    #[test]
    fn a_partial_checksum_finishes_as_the_complete_one() {
        for frame in [udp(A, B, 5, 7, b"odd"), tcp(A, B, 5, 7, TcpFlags::SYN, b"even")] {
            let mut partial = frame.clone().with_partial_checksum();
            assert_ne!(partial, frame);
            assert_eq!(partial.offload.validate(&partial.bytes), Ok(()));
            partial.finish_checksum();
            assert_eq!(partial, frame);
        }
    }

    #[test]
    fn edits_keep_the_header_checksum() {
        let frame = udp(A, B, 5, 7, b"x").with_ttl(3).with_dont_fragment(false);
        let packet = Packet::parse(&frame.bytes).unwrap();
        assert_eq!((packet.ttl(), packet.dont_fragment()), (3, false));
    }

    #[test]
    fn a_payload_that_does_not_fit_is_cut() {
        let frame = udp(A, B, 5, 7, &vec![0; 70_000]);
        assert_eq!(Packet::parse(&frame.bytes).unwrap().total_len(), 0xffff);
    }
}
