//! The one edit.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::checksum::{self, Change};
use crate::{Frame, Mac, Packet, Transport, Untranslatable};

/// A whole edit of a frame as one value: everything that forwarding may do to it. The default does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rewrite {
    /// New Ethernet source.
    pub eth_src: Option<Mac>,
    /// New Ethernet destination.
    pub eth_dst: Option<Mac>,
    /// New source address.
    pub src: Option<IpAddr>,
    /// New destination address.
    pub dst: Option<IpAddr>,
    /// New source port of TCP or UDP, or identifier of an echo request (RFC 5508 section 3.1).
    pub src_port: Option<u16>,
    /// New destination port of TCP or UDP, or identifier of an echo reply.
    pub dst_port: Option<u16>,
    /// By how much TTL or hop limit is lowered; it stops at zero.
    pub hops: u8,
}

impl Rewrite {
    /// This edit and then the later one, as one edit.
    pub fn then(self, later: Rewrite) -> Rewrite {
        Rewrite {
            eth_src: later.eth_src.or(self.eth_src),
            eth_dst: later.eth_dst.or(self.eth_dst),
            src: later.src.or(self.src),
            dst: later.dst.or(self.dst),
            src_port: later.src_port.or(self.src_port),
            dst_port: later.dst_port.or(self.dst_port),
            hops: self.hops.saturating_add(later.hops),
        }
    }

    /// Edits the frame that the packet was parsed from, in place, with every checksum kept right (RFC
    /// 1624): that of IPv4, and of TCP, UDP and ICMP echo where their header is in this frame (so not in a
    /// fragment after the first). A UDP checksum of zero, which means none, stays zero. A checksum that is
    /// left to the kernel changes with the addresses only: its field holds the sum of the pseudo header.
    pub fn apply(&self, frame: &mut Frame, packet: &Packet) -> Result<(), Untranslatable> {
        if frame.bytes.len() < packet.end() {
            return Ok(());
        }
        if let Some(mac) = self.eth_dst {
            frame.bytes[..6].copy_from_slice(&mac.0);
        }
        if let Some(mac) = self.eth_src {
            frame.bytes[6..12].copy_from_slice(&mac.0);
        }
        let start = packet.transport_offset();
        let partial = checksum_field(packet.transport())
            .is_some_and(|field| frame.offload.completes(start, start + field));
        let bytes = &mut frame.bytes[..packet.end()];
        self.edit(bytes, packet.ip_offset(), start, packet.transport(), partial);
        Ok(())
    }

    /// Edits an ICMP error as [`Rewrite::apply`] does, and the packet that it quotes by `quoted`: its
    /// addresses and ports, its IPv4 checksum and, as far as the quote reaches, its TCP, UDP or ICMP
    /// checksum; then makes the checksum of the error fit (RFC 5508 REQ-4 and 5). `quoted` is said in the
    /// direction of the quoted packet. A packet without a quote is edited by `self` alone.
    pub fn apply_quoted(
        &self,
        frame: &mut Frame,
        packet: &Packet,
        quoted: &Rewrite,
    ) -> Result<(), Untranslatable> {
        self.apply(frame, packet)?;
        let Some(inner) = packet.quoted() else { return Ok(()) };
        if frame.bytes.len() < packet.end() {
            return Ok(());
        }
        let data = packet.payload_offset()..packet.end();
        let before = checksum::sum(&frame.bytes[data.clone()]);
        let bytes = &mut frame.bytes[..inner.end()];
        quoted.edit(bytes, inner.ip_offset(), inner.transport_offset(), inner.transport(), false);
        let change = Change::between(before, checksum::sum(&frame.bytes[data]));
        let field = packet.transport_offset() + 2;
        if !frame.offload.completes(packet.transport_offset(), field) {
            let old = checksum::load(&frame.bytes, field);
            checksum::store(&mut frame.bytes, field, change.of_checksum(old));
        }
        Ok(())
    }

    /// Edits a packet that begins at `ip`; `bytes` ends where it ends, which in a quote may be early.
    fn edit(&self, bytes: &mut [u8], ip: usize, start: usize, transport: Transport, partial: bool) {
        let mut addresses = Change::default();
        if let Some(IpAddr::V4(src)) = self.src {
            addresses = addresses.and(Change::write(bytes, ip + 12, &src.octets()));
        }
        if let Some(IpAddr::V4(dst)) = self.dst {
            addresses = addresses.and(Change::write(bytes, ip + 16, &dst.octets()));
        }
        let (ttl, protocol) = (bytes[ip + 8].saturating_sub(self.hops), bytes[ip + 9]);
        let header = addresses.and(Change::write(bytes, ip + 8, &[ttl, protocol]));
        let old = checksum::load(bytes, ip + 10);
        checksum::store(bytes, ip + 10, header.of_checksum(old));

        let mut ports = Change::default();
        for (port, at) in self.ports(start, transport).into_iter().flatten() {
            ports = ports.and(Change::write(bytes, at, &port.to_be_bytes()));
        }

        let Some(field) = checksum_field(transport).map(|field| start + field) else { return };
        if field + 2 > bytes.len() {
            return;
        }
        let is_udp = matches!(transport, Transport::Udp { .. });
        let is_icmp = matches!(transport, Transport::Echo { .. } | Transport::Icmp { .. });
        let pseudo_header = if is_icmp { Change::default() } else { addresses };
        let old = checksum::load(bytes, field);
        let new = if partial {
            pseudo_header.of_sum(old)
        } else if is_udp && old == 0 {
            0
        } else {
            match pseudo_header.and(ports).of_checksum(old) {
                0 if is_udp => 0xffff,
                // An echo reply of nothing but zeros: the one message whose sum is the other zero.
                0 if is_icmp && is_zero_but(bytes, start, field) => 0xffff,
                checksum => checksum,
            }
        };
        checksum::store(bytes, field, new);
    }

    /// The 16-bit fields to write for the two ports, each with its place.
    fn ports(&self, start: usize, transport: Transport) -> [Option<(u16, usize)>; 2] {
        let at = |port: Option<u16>, offset: usize| port.map(|port| (port, start + offset));
        match transport {
            Transport::Tcp { .. } | Transport::Udp { .. } => [at(self.src_port, 0), at(self.dst_port, 2)],
            Transport::Echo { request: true, .. } => [at(self.src_port, 4), None],
            Transport::Echo { request: false, .. } => [None, at(self.dst_port, 4)],
            Transport::Icmp { .. } | Transport::Other | Transport::Fragment => [None, None],
        }
    }
}

/// Whether all bytes from `start` on are zero, the 16-bit field aside.
fn is_zero_but(bytes: &[u8], start: usize, field: usize) -> bool {
    bytes[start..field].iter().chain(&bytes[field + 2..]).all(|byte| *byte == 0)
}

/// Where in its header a transport protocol keeps its checksum.
fn checksum_field(transport: Transport) -> Option<usize> {
    match transport {
        Transport::Tcp { .. } => Some(16),
        Transport::Udp { .. } => Some(6),
        Transport::Echo { .. } | Transport::Icmp { .. } => Some(2),
        Transport::Other | Transport::Fragment => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{TcpFlags, build};

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const PUBLIC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 13);

    fn snat() -> Rewrite {
        Rewrite { src: Some(PUBLIC.into()), src_port: Some(40_000), ..Rewrite::default() }
    }

    fn applied(rewrite: Rewrite, frame: &Frame) -> Frame {
        let mut edited = frame.clone();
        rewrite.apply(&mut edited, &Packet::parse(&frame.bytes).unwrap()).unwrap();
        edited
    }

    #[test]
    fn the_last_write_wins() {
        let first =
            Rewrite { src: Some(A.into()), dst: Some(B.into()), src_port: Some(1), ..Rewrite::default() };
        let both = first.then(snat());
        assert_eq!(both, Rewrite { dst: Some(B.into()), ..snat() });
        assert_eq!(first.then(Rewrite::default()), first);
    }

    #[test]
    fn an_edit_makes_the_frame_that_would_have_been_built() {
        let udp = build::udp(A, B, 5, 7, b"data");
        assert_eq!(applied(snat(), &udp), build::udp(PUBLIC, B, 40_000, 7, b"data"));
        let tcp = build::tcp(A, B, 5, 7, TcpFlags::SYN, b"odd");
        assert_eq!(applied(snat(), &tcp), build::tcp(PUBLIC, B, 40_000, 7, TcpFlags::SYN, b"odd"));
        let gre = build::ip(A, B, 47, b"gre");
        assert_eq!(applied(snat(), &gre), build::ip(PUBLIC, B, 47, b"gre"));
    }

    #[test]
    fn a_query_has_its_id_as_source_port_and_a_reply_as_destination_port() {
        let request = build::echo(A, B, true, 5, 1, b"x");
        assert_eq!(applied(snat(), &request), build::echo(PUBLIC, B, true, 40_000, 1, b"x"));
        let reply = build::echo(B, PUBLIC, false, 40_000, 1, b"x");
        let back = Rewrite { dst: Some(A.into()), dst_port: Some(5), ..Rewrite::default() };
        assert_eq!(applied(back, &reply), build::echo(B, A, false, 5, 1, b"x"));
        let other = Rewrite { src_port: Some(9), ..Rewrite::default() };
        assert_eq!(applied(other, &reply), reply);
    }

    #[test]
    fn ethernet_addresses() {
        let (from, to) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let edit = Rewrite { eth_src: Some(from), eth_dst: Some(to), ..Rewrite::default() };
        let frame = build::udp(A, B, 5, 7, b"data");
        assert_eq!(applied(edit, &frame), frame.with_macs(from, to));
    }

    #[test]
    fn no_udp_checksum_stays_none() {
        let mut frame = build::udp(A, B, 5, 7, b"data");
        frame.bytes[40..42].fill(0);
        assert_eq!(applied(snat(), &frame).bytes[40..42], [0, 0]);
    }

    #[test]
    fn a_udp_checksum_that_becomes_zero_is_sent_as_ones() {
        let frame = build::udp(A, B, 5, 7, &[0, 0]);
        // The port that makes the sum all ones, so that its complement is zero.
        let checksum = u16::from_be_bytes([frame.bytes[40], frame.bytes[41]]);
        let edit = Rewrite { src_port: Some(5 + checksum), ..Rewrite::default() };
        assert_eq!(applied(edit, &frame).bytes[40..42], [0xff, 0xff]);
    }

    #[test]
    fn a_partial_checksum_does_not_know_ports() {
        let frame = build::tcp(A, B, 5, 7, TcpFlags::ACK, b"data").with_partial_checksum();
        let ports = Rewrite { src_port: Some(9), dst_port: Some(8), ..Rewrite::default() };
        assert_eq!(applied(ports, &frame).bytes[50..52], frame.bytes[50..52]);
        let edited = applied(snat(), &frame);
        assert_eq!(edited, build::tcp(PUBLIC, B, 40_000, 7, TcpFlags::ACK, b"data").with_partial_checksum());
    }

    #[test]
    fn the_checksum_around_a_tunnelled_partial_one_is_complete() {
        let mut frame = build::udp(A, B, 4789, 4789, &[0; 90]);
        frame.offload.flags = 1;
        (frame.offload.csum_start, frame.offload.csum_offset) = (76, 16);
        let mut expected = build::udp(PUBLIC, B, 40_000, 4789, &[0; 90]);
        expected.offload = frame.offload;
        assert_eq!(applied(snat(), &frame), expected);
    }

    #[test]
    fn a_later_fragment_has_no_ports() {
        let mut frame = build::ip(A, B, 17, &[0xaa; 64]);
        frame.bytes[20..22].copy_from_slice(&[0, 9]);
        build::fill_ipv4_checksum(&mut frame);
        let edited = applied(snat(), &frame);
        assert_eq!(edited.bytes[34..], [0xaa; 64]);
        let packet = Packet::parse(&edited.bytes).unwrap();
        assert_eq!((packet.src(), packet.transport()), (PUBLIC.into(), Transport::Fragment));
    }

    #[test]
    fn a_quote_is_edited_with_the_error() {
        let sent = build::udp(PUBLIC, B, 40_000, 7, &[3; 32]);
        let original = build::udp(A, B, 5, 7, &[3; 32]);
        let error = build::icmp_error(B, PUBLIC, 3, 3, &sent.bytes[14..]);
        let mut edited = error.clone();
        let outer = Rewrite { dst: Some(A.into()), ..Rewrite::default() };
        let inner = Rewrite { src: Some(A.into()), src_port: Some(5), ..Rewrite::default() };
        outer.apply_quoted(&mut edited, &Packet::parse(&error.bytes).unwrap(), &inner).unwrap();
        assert_eq!(edited, build::icmp_error(B, A, 3, 3, &original.bytes[14..]));
    }

    #[test]
    fn a_shorter_frame_is_left_alone() {
        let frame = build::udp(A, B, 5, 7, b"data");
        let packet = Packet::parse(&frame.bytes).unwrap();
        let mut cut = Frame::new(frame.bytes[..30].to_vec());
        assert_eq!(snat().apply(&mut cut, &packet), Ok(()));
        assert_eq!(snat().apply_quoted(&mut cut, &packet, &snat()), Ok(()));
        assert_eq!(cut.bytes, frame.bytes[..30]);
    }
}
