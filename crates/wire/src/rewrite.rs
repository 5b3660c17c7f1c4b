//! The one edit.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::checksum::{self, Change};
use crate::ip::IpHeader;
use crate::translate::Translation;
use crate::{Frame, Mac, Packet, Transport, Untranslatable, translate};

/// A whole edit of a frame as one value: everything that forwarding may do to it. The default does nothing.
///
/// New addresses of the other family make it a translation between IPv4 and IPv6 (RFC 7915), an edit like any
/// other but for three things: a packet may be [untranslatable](Rewrite::possible), its length changes
/// ([`Rewrite::path_mtu`]), and the edited frame has to be parsed anew.
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

    /// Whether the edit can be done to a packet, and `quoted` to what it quotes if it is an ICMP error. An edit
    /// that keeps the packet's family always can.
    ///
    /// # Errors
    ///
    /// Why it cannot, as [`Untranslatable`].
    pub fn possible(&self, frame: &Frame, packet: &Packet, quoted: &Rewrite) -> Result<(), Untranslatable> {
        self.plan(frame, packet, quoted).map(|_| ())
    }

    /// The longest packet of the sender that leaves, edited, by a way out of this MTU: what to compare
    /// [`Packet::mtu_len`] with, and what to tell a sender whose packet is too long. Other than `mtu` if the edit
    /// changes the family and so the length of the header. In bytes, IP header included.
    ///
    /// An IPv6 sender is never told less than 1280, below which it would not go; what is no longer than that may be
    /// cut after the translation (RFC 7915 section 5.1). An IPv4 packet that may be cut is to be cut to this
    /// length before it is translated (section 4).
    pub fn path_mtu(&self, packet: &Packet, mtu: u16) -> u16 {
        match self.translation(packet.ip()) {
            Ok(Some(translation)) => translation.path_mtu(packet.ip(), mtu),
            _ => mtu,
        }
    }

    /// Edits the frame that the packet was parsed from, with every checksum kept right (RFC 1624): that of
    /// IPv4, and of TCP, UDP, ICMP echo and ICMPv6 where their header is in this frame (so not in a fragment
    /// after the first). A UDP checksum of zero, which means none, stays zero, unless IPv6 demands one. A
    /// checksum that is left to the kernel changes with the addresses only: its field holds the sum of the
    /// pseudo header.
    ///
    /// # Errors
    ///
    /// As [`Rewrite::possible`] without an edit of the quoted packet; the frame is as it was.
    pub fn apply(&self, frame: &mut Frame, packet: &Packet) -> Result<(), Untranslatable> {
        self.apply_quoted(frame, packet, &Rewrite::default())
    }

    /// Edits an ICMP error as [`Rewrite::apply`] does, and the packet that it quotes by `quoted`: its
    /// addresses and ports, its IPv4 checksum and, as far as the quote reaches, its TCP, UDP or ICMP
    /// checksum; then makes the checksum of the error fit (RFC 5508 REQ-4 and 5). `quoted` is said in the
    /// direction of the quoted packet. A packet without a quote is edited by `self` alone.
    ///
    /// # Errors
    ///
    /// As [`Rewrite::possible`]; the frame is as it was.
    pub fn apply_quoted(
        &self,
        frame: &mut Frame,
        packet: &Packet,
        quoted: &Rewrite,
    ) -> Result<(), Untranslatable> {
        if frame.bytes.len() < packet.end() {
            return Ok(());
        }
        let translation = self.plan(frame, packet, quoted)?;
        if let Some(mac) = self.eth_dst {
            frame.bytes[..6].copy_from_slice(&mac.0);
        }
        if let Some(mac) = self.eth_src {
            frame.bytes[6..12].copy_from_slice(&mac.0);
        }
        if let Some(plan) = translation {
            translate::apply(self, &plan, quoted, frame, packet);
            return Ok(());
        }
        let start = packet.transport_offset();
        let partial = is_partial(frame, packet);
        let bytes = &mut frame.bytes[..packet.end()];
        self.edit(bytes, packet.ip_offset(), packet.ip(), packet.transport(), partial);

        let Some(inner) = packet.quoted() else { return Ok(()) };
        let data = packet.payload_offset()..packet.end();
        let before = checksum::sum(&frame.bytes[data.clone()]);
        let bytes = &mut frame.bytes[..inner.end()];
        quoted.edit(bytes, inner.ip_offset(), inner.ip(), inner.transport(), false);
        let change = Change::between(before, checksum::sum(&frame.bytes[data]));
        if !partial {
            let old = checksum::load(&frame.bytes, start + 2);
            checksum::store(&mut frame.bytes, start + 2, change.of_checksum(old));
        }
        Ok(())
    }

    /// The translation that the edit is, if it is one that can be done.
    fn plan(
        &self,
        frame: &Frame,
        packet: &Packet,
        quoted: &Rewrite,
    ) -> Result<Option<translate::Plan>, Untranslatable> {
        let outer = self.translation(packet.ip())?;
        let inner = match packet.quoted() {
            Some(inner) => quoted.translation(inner.ip())?,
            None => None,
        };
        match (outer, packet.quoted()) {
            (None, _) if inner.is_some() => Err(Untranslatable::MixedFamilies),
            (None, _) => Ok(None),
            (Some(_), Some(_)) if inner.is_none() => Err(Untranslatable::MixedFamilies),
            (Some(outer), _) => translate::plan(outer, inner, frame, packet).map(Some),
        }
    }

    /// The addresses of the other family that a packet gets, if it gets such.
    fn translation(&self, ip: &IpHeader) -> Result<Option<Translation>, Untranslatable> {
        let (src, dst) = (self.src.unwrap_or(ip.src), self.dst.unwrap_or(ip.dst));
        match (src, dst, ip.is_v6()) {
            (IpAddr::V4(_), IpAddr::V4(_), false) | (IpAddr::V6(_), IpAddr::V6(_), true) => Ok(None),
            (IpAddr::V4(src), IpAddr::V4(dst), true) => Ok(Some(Translation::ToV4 { src, dst })),
            (IpAddr::V6(src), IpAddr::V6(dst), false) => Ok(Some(Translation::ToV6 { src, dst })),
            _ => Err(Untranslatable::MixedFamilies),
        }
    }

    /// Edits a packet that begins at `at` and keeps its family; `bytes` ends where it ends, which in a quote may be
    /// early.
    fn edit(&self, bytes: &mut [u8], at: usize, ip: &IpHeader, transport: Transport, partial: bool) {
        let hop_limit = ip.hop_limit_at(at);
        let lower = bytes[hop_limit].saturating_sub(self.hops);
        let src = write_address(bytes, ip.src_at(at), self.src);
        let dst = write_address(bytes, ip.dst_at(at), self.dst);
        let pseudo_header = if ip.is_v6() {
            bytes[hop_limit] = lower;
            // With a source route, the last of its addresses is the one that counts (RFC 8200 section 8.1).
            if ip.source_route { src } else { src.and(dst) }
        } else {
            let protocol = bytes[hop_limit + 1];
            let header = src.and(dst).and(Change::write(bytes, hop_limit, &[lower, protocol]));
            let old = checksum::load(bytes, at + 10);
            checksum::store(bytes, at + 10, header.of_checksum(old));
            match transport {
                Transport::Echo { .. } | Transport::Icmp { .. } => Change::default(),
                _ => src.and(dst),
            }
        };
        let start = at + ip.len();
        let ports = self.write_ports(&mut bytes[start..], transport);
        fix_checksum(&mut bytes[start..], transport, partial, pseudo_header, ports);
    }

    /// Writes the ports of a transport header; what of it is not there is left alone.
    pub(crate) fn write_ports(&self, header: &mut [u8], transport: Transport) -> Change {
        let places = match transport {
            Transport::Tcp { .. } | Transport::Udp { .. } => [(self.src_port, 0), (self.dst_port, 2)],
            Transport::Echo { request: true, .. } => [(self.src_port, 4), (None, 0)],
            Transport::Echo { request: false, .. } => [(self.dst_port, 4), (None, 0)],
            Transport::Icmp { .. } | Transport::Other | Transport::Fragment => [(None, 0); 2],
        };
        places.into_iter().fold(Change::default(), |changes, (port, at)| match port {
            Some(port) => changes.and(Change::write(header, at, &port.to_be_bytes())),
            None => changes,
        })
    }
}

/// Whether the checksum of the packet's own transport header is left to the kernel.
pub(crate) fn is_partial(frame: &Frame, packet: &Packet) -> bool {
    let start = packet.transport_offset();
    checksum_field(packet.transport()).is_some_and(|field| frame.offload.completes(start, start + field))
}

/// Makes the checksum of a transport header fit changes of the pseudo header and of the rest.
pub(crate) fn fix_checksum(
    bytes: &mut [u8],
    transport: Transport,
    partial: bool,
    pseudo_header: Change,
    rest: Change,
) {
    let Some(field) = checksum_field(transport).filter(|field| field + 2 <= bytes.len()) else { return };
    let is_udp = matches!(transport, Transport::Udp { .. });
    let is_icmp = matches!(transport, Transport::Echo { .. } | Transport::Icmp { .. });
    let old = checksum::load(bytes, field);
    let new = if partial {
        pseudo_header.of_sum(old)
    } else if is_udp && old == 0 {
        0
    } else {
        match pseudo_header.and(rest).of_checksum(old) {
            0 if is_udp => 0xffff,
            // An echo reply of nothing but zeros: the one message whose sum is the other zero.
            0 if is_icmp && is_zero_but(bytes, field) => 0xffff,
            checksum => checksum,
        }
    };
    checksum::store(bytes, field, new);
}

fn write_address(bytes: &mut [u8], at: usize, address: Option<IpAddr>) -> Change {
    match address {
        Some(IpAddr::V4(address)) => Change::write(bytes, at, &address.octets()),
        Some(IpAddr::V6(address)) => Change::write(bytes, at, &address.octets()),
        None => Change::default(),
    }
}

/// Whether all bytes are zero, the 16-bit field aside.
fn is_zero_but(bytes: &[u8], field: usize) -> bool {
    bytes[..field].iter().chain(&bytes[field + 2..]).all(|byte| *byte == 0)
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
    use std::net::{Ipv4Addr, Ipv6Addr};

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

    #[test]
    fn ipv6_is_edited_alike() {
        let [a, b, c] =
            ["2001:db8::1", "2001:db8::2", "2001:db8:1::3"].map(|text| text.parse::<Ipv6Addr>().unwrap());
        let edit = Rewrite { src: Some(c.into()), src_port: Some(40_000), hops: 1, ..Rewrite::default() };
        let udp = build::udp(a, b, 5, 7, b"data");
        assert_eq!(applied(edit, &udp), build::udp(c, b, 40_000, 7, b"data").with_ttl(63));
        let ping = build::echo(a, b, true, 5, 1, b"odd");
        assert_eq!(applied(edit, &ping), build::echo(c, b, true, 40_000, 1, b"odd").with_ttl(63));
        let tcp = build::tcp(a, b, 5, 7, TcpFlags::SYN, b"odd").with_partial_checksum();
        let expected = build::tcp(c, b, 40_000, 7, TcpFlags::SYN, b"odd").with_partial_checksum();
        assert_eq!(applied(edit, &tcp), expected.with_ttl(63));
        let error = build::icmp_error(b, c, 1, 4, &applied(edit, &udp).bytes[14..]);
        let outer = Rewrite { dst: Some(a.into()), ..Rewrite::default() };
        let inner = Rewrite { src: Some(a.into()), src_port: Some(5), ..Rewrite::default() };
        let mut edited = error.clone();
        outer.apply_quoted(&mut edited, &Packet::parse(&error.bytes).unwrap(), &inner).unwrap();
        assert_eq!(edited, build::icmp_error(b, a, 1, 4, &udp.with_ttl(63).bytes[14..]));
    }

    #[test]
    fn hops_add_up_and_stop_at_zero() {
        let hop = |hops| Rewrite { hops, ..Rewrite::default() };
        assert_eq!(hop(1).then(hop(2)), hop(3));
        assert_eq!(hop(200).then(hop(200)), hop(255));
        let frame = build::udp(A, B, 5, 7, b"data");
        assert_eq!(applied(hop(3), &frame), frame.clone().with_ttl(61));
        assert_eq!(applied(hop(255), &frame), frame.with_ttl(0));
    }

    #[test]
    fn with_a_source_route_the_destination_is_not_summed() {
        let [a, b] = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse::<Ipv6Addr>().unwrap());
        let udp = build::udp(a, b, 5, 7, b"data");
        let routed = build::ip(a, b, 43, &[&[17, 0, 4, 1, 0, 0, 0, 0], &udp.bytes[54..]].concat());
        let edited = applied(Rewrite { dst: Some(a.into()), ..Rewrite::default() }, &routed);
        assert_eq!(edited.bytes[54..], routed.bytes[54..]);
    }
}
