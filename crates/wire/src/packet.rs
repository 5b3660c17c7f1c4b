//! A frame, parsed once.

use std::net::IpAddr;

use smoltcp::wire::EthernetFrame;

use crate::ip::{IpHeader, Upper};
use crate::transport::{self, Transport};
use crate::{ETHERNET_LEN, Ethertype, FlowKey, Frame, Mac, Malformed, Offload, Quoted, checksum};

/// What an IPv4 or IPv6 frame says in its headers, and where they are. A value of its own: it does not borrow
/// the frame. After an edit of the frame that keeps its family it still knows where things are, and what they
/// were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    eth_src: Mac,
    eth_dst: Mac,
    ip: IpHeader,
    payload_offset: u16,
    transport: Transport,
    quoted: Option<Quoted>,
}

/// A packet's place in the datagram that it is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Identification, the same in all fragments of one datagram.
    pub id: u32,
    /// Where this part begins, in bytes.
    pub offset: u16,
    /// Whether more parts follow.
    pub more: bool,
}

impl Packet {
    /// Parses an IPv4 or IPv6 frame. Bytes after the IP packet (padding) are allowed and ignored; IPv4 options
    /// and IPv6 extension headers are allowed. The IPv4 header checksum is verified; for ICMP see
    /// [`Packet::verify_icmp`]; those of TCP and UDP are the receiver's business.
    ///
    /// # Errors
    ///
    /// What is wrong with the frame, as [`Malformed`]; [`Malformed::WrongEthertype`] if it is neither.
    pub fn parse(frame: &[u8]) -> Result<Packet, Malformed> {
        let (ip, too_long) = match Ethertype::of(frame)? {
            Ethertype::Ipv4 => (IpHeader::v4(&frame[ETHERNET_LEN..])?, Malformed::BadIpv4TotalLength),
            Ethertype::Ipv6 => (IpHeader::v6(&frame[ETHERNET_LEN..])?, Malformed::BadIpv6PayloadLength),
            _ => return Err(Malformed::WrongEthertype),
        };
        let (start, end) = (ETHERNET_LEN + ip.len(), ETHERNET_LEN + ip.total_len());
        let payload = frame.get(start..end).ok_or(too_long)?;
        ip.check_fragment()?;
        let whole = ip.part().is_none();
        let (transport, transport_header) = match ip.part() {
            Some(part) if part.offset > 0 => (Transport::Fragment, 0),
            _ => transport::parse(ip.upper(), ip.is_v6(), payload, whole)?,
        };
        let quoted = match transport {
            Transport::Icmp { kind, .. } if whole && is_error(kind, ip.is_v6()) => {
                Quoted::parse(frame, start + 8, end, ip.is_v6())
            }
            _ => None,
        };
        let ethernet = EthernetFrame::new_unchecked(frame);
        Ok(Packet {
            eth_src: Mac(ethernet.src_addr().0),
            eth_dst: Mac(ethernet.dst_addr().0),
            ip,
            payload_offset: (start + transport_header) as u16,
            transport,
            quoted,
        })
    }

    /// Ethernet source.
    pub fn eth_src(&self) -> Mac {
        self.eth_src
    }

    /// Ethernet destination.
    pub fn eth_dst(&self) -> Mac {
        self.eth_dst
    }

    /// IP source.
    pub fn src(&self) -> IpAddr {
        self.ip.src
    }

    /// IP destination.
    pub fn dst(&self) -> IpAddr {
        self.ip.dst
    }

    /// IP protocol number of the transport protocol, behind all extension headers. In an IPv6 fragment after the
    /// first it may be that of an extension header, which is in the first.
    pub fn protocol(&self) -> u8 {
        self.ip.protocol
    }

    /// Time to live, or hop limit.
    pub fn ttl(&self) -> u8 {
        self.ip.hop_limit
    }

    /// Whether routers must not fragment the packet: DF is set, or it is IPv6.
    pub fn dont_fragment(&self) -> bool {
        self.ip.dont_fragment
    }

    /// Length of the IP packet in bytes: headers and payload, without Ethernet header and padding.
    pub fn total_len(&self) -> usize {
        self.ip.total_len()
    }

    /// The length to compare with a link's MTU: for a GSO frame the length of the longest packet that it will
    /// be cut into, else the total length. In bytes, IP header included.
    pub fn mtu_len(&self, offload: &Offload) -> usize {
        if !offload.is_gso() {
            return self.total_len();
        }
        // UFO counts the UDP header as a part of what it cuts.
        let udp_fragments = offload.is_udp_fragments();
        let headers = if udp_fragments { self.transport_offset() } else { self.payload_offset() };
        let segment = headers - ETHERNET_LEN + usize::from(offload.gso_size);
        segment.min(self.total_len())
    }

    /// How many packets the frame is once the kernel has cut it, and how many bytes they have together, IP headers
    /// included.
    pub fn segments(&self, offload: &Offload) -> (u64, u64) {
        let total = self.total_len();
        if !offload.is_gso() || offload.gso_size == 0 {
            return (1, total as u64);
        }
        let segment = usize::from(offload.gso_size);
        // As long as the headers are, so much is repeated.
        let headers =
            if offload.is_udp_fragments() { self.transport_offset() } else { self.payload_offset() };
        let headers = headers - ETHERNET_LEN;
        let count = total.saturating_sub(headers).div_ceil(segment).max(1);
        (count as u64, (total + (count - 1) * headers) as u64)
    }

    /// Where in the frame the IP header begins.
    pub fn ip_offset(&self) -> usize {
        ETHERNET_LEN
    }

    /// Where in the frame the header of the transport protocol begins (in a fragment after the first: the
    /// data).
    pub fn transport_offset(&self) -> usize {
        ETHERNET_LEN + self.ip.len()
    }

    /// What follows the IP header.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The place in the datagram, if the packet is a fragment, the first included.
    pub fn fragment(&self) -> Option<Fragment> {
        self.ip.part()
    }

    /// The key of the packet's flow. Fragments after the first have [`FlowProto::Other`](crate::FlowProto).
    pub fn flow_key(&self) -> FlowKey {
        FlowKey::new(self.ip.src, self.ip.dst, self.ip.protocol, self.transport)
    }

    /// Whether this is an ICMP error about another packet: types 3, 11 and 12 of ICMP (RFC 792), 1 to 4 of
    /// ICMPv6 (RFC 4443).
    pub fn is_icmp_error(&self) -> bool {
        match self.transport {
            Transport::Icmp { kind, .. } => is_error(kind, self.ip.is_v6()),
            _ => false,
        }
    }

    /// The packet that an ICMP error is about. None if this is no such error, if it is a fragment, or if what
    /// it quotes is shorter than RFC 792 asks for or has a wrong header checksum (which is a reason to drop the
    /// error, RFC 5508 REQ-3).
    pub fn quoted(&self) -> Option<&Quoted> {
        self.quoted.as_ref()
    }

    /// The bytes after the transport header (TCP options and ICMP's first eight bytes count as header); of a
    /// UDP datagram as many as its length field says. Empty if the frame is not the one that was parsed.
    pub fn payload<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let mut end = self.end();
        if let (Transport::Udp { .. }, Some(&[high, low])) =
            (self.transport, frame.get(self.transport_offset() + 4..self.transport_offset() + 6))
        {
            end = end.min(self.transport_offset() + usize::from(u16::from_be_bytes([high, low])));
        }
        frame.get(self.payload_offset()..end).unwrap_or_default()
    }

    /// Verifies the checksum of an ICMP or ICMPv6 packet (RFC 5508 REQ-3), if it is whole and its checksum is
    /// not left to the kernel. Other packets pass, and ICMPv6 with a source route: its checksum is over the last
    /// address of the route.
    ///
    /// # Errors
    ///
    /// [`Malformed::BadIcmpChecksum`].
    pub fn verify_icmp(&self, frame: &Frame) -> Result<(), Malformed> {
        let is_whole_icmp = self.ip.upper() == Upper::Icmp && self.fragment().is_none();
        let message = frame.bytes.get(self.transport_offset()..self.end());
        let Some(message) = message.filter(|_| is_whole_icmp && !frame.offload.needs_csum()) else {
            return Ok(());
        };
        let pseudo_header = match self.ip.is_v6() {
            true if self.ip.source_route => return Ok(()),
            true => checksum::pseudo_header(self.ip.src, self.ip.dst, self.ip.protocol, message.len()),
            false => 0,
        };
        if checksum::add(checksum::sum(message), pseudo_header) == 0xffff {
            Ok(())
        } else {
            Err(Malformed::BadIcmpChecksum)
        }
    }

    pub(crate) fn ip(&self) -> &IpHeader {
        &self.ip
    }

    pub(crate) fn payload_offset(&self) -> usize {
        self.payload_offset.into()
    }

    /// Where in the frame the IP packet ends and the padding begins.
    pub(crate) fn end(&self) -> usize {
        ETHERNET_LEN + self.total_len()
    }
}

/// Whether an ICMP type, or ICMPv6 type, is an error that quotes the packet that it is about.
fn is_error(kind: u8, is_v6: bool) -> bool {
    if is_v6 { matches!(kind, 1..=4) } else { matches!(kind, 3 | 11 | 12) }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{FlowProto, build};

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    /// Changes bytes of a UDP frame's IPv4 header and makes its checksum right again.
    fn edited(payload: &[u8], edit: impl Fn(&mut [u8])) -> Vec<u8> {
        let mut frame = build::udp(A, B, 5, 7, payload);
        edit(&mut frame.bytes[14..]);
        let header = usize::from(frame.bytes[14] & 15) * 4;
        checksum::store(&mut frame.bytes, 24, 0);
        let sum = !checksum::sum(&frame.bytes[14..14 + header.max(20)]);
        checksum::store(&mut frame.bytes, 24, sum);
        frame.bytes
    }

    #[test]
    fn segments_repeat_their_headers() {
        let tcp = build::tcp(A, B, 1, 2, crate::TcpFlags::ACK, &[0; 3000]).bytes;
        let udp = build::udp(A, B, 1, 2, &[0; 3000]).bytes;
        for (frame, gso_type, gso_size, expected) in [
            (&tcp, 0, 0, (1, 3040)),
            (&tcp, 1, 1000, (3, 3000 + 3 * 40)),
            (&tcp, 1, 4000, (1, 3040)),
            (&udp, 5, 1400, (3, 3000 + 3 * 28)),
            // The UDP header is in the first fragment alone.
            (&udp, 3, 1480, (3, 3008 + 3 * 20)),
        ] {
            let offload = Offload { gso_type, gso_size, ..Offload::default() };
            assert_eq!(Packet::parse(frame).unwrap().segments(&offload), expected);
        }
    }

    #[test]
    fn fields_of_a_datagram() {
        let (from, to) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let mut frame = build::udp(A, B, 5, 7, b"hello").with_macs(from, to).with_ttl(9).bytes;
        frame.extend([0xee; 20]);
        let packet = Packet::parse(&frame).unwrap();
        assert_eq!((packet.eth_src(), packet.eth_dst()), (from, to));
        assert_eq!(
            (packet.src(), packet.dst(), packet.protocol(), packet.ttl()),
            (A.into(), B.into(), 17, 9)
        );
        assert_eq!((packet.ip_offset(), packet.transport_offset(), packet.total_len()), (14, 34, 33));
        assert_eq!(packet.transport(), Transport::Udp { src: 5, dst: 7 });
        assert_eq!(packet.payload(&frame), b"hello");
        assert_eq!((packet.fragment(), packet.quoted()), (None, None));
        assert!(packet.dont_fragment());
    }

    #[test]
    fn a_packet_is_small() {
        assert!(size_of::<Packet>() <= 192, "{}", size_of::<Packet>());
    }

    #[test]
    fn options_move_the_transport_header() {
        let frame = edited(&[0; 8], |ip| {
            ip[0] = 0x46; // One word of options: the UDP header's first half is taken for it.
            ip.copy_within(20..28, 24);
            ip[20..24].copy_from_slice(&[1; 4]);
            ip[28..30].copy_from_slice(&12u16.to_be_bytes());
            ip[28..32].copy_from_slice(&[0, 12, 0, 0]);
        });
        let packet = Packet::parse(&frame).unwrap();
        assert_eq!(packet.transport_offset(), 38);
        assert_eq!(packet.transport(), Transport::Udp { src: 5, dst: 7 });
    }

    #[test]
    fn each_fault_by_name() {
        let parse = |bytes: &[u8]| Packet::parse(bytes).unwrap_err();
        let good = build::udp(A, B, 5, 7, &[0; 16]).bytes;
        assert_eq!(parse(&good[..13]), Malformed::TruncatedEthernet);
        assert_eq!(parse(&good[..33]), Malformed::TruncatedIpv4);
        assert_eq!(parse(&good[..40]), Malformed::BadIpv4TotalLength);
        let mut other = good.clone();
        other[13] = 6;
        assert_eq!(parse(&other), Malformed::WrongEthertype);
        let mut corrupt = good.clone();
        corrupt[30] ^= 1;
        assert_eq!(parse(&corrupt), Malformed::BadIpv4Checksum);
        let data = [0; 16];
        assert_eq!(parse(&edited(&data, |ip| ip[0] = 0x65)), Malformed::BadIpv4Version);
        assert_eq!(parse(&edited(&data, |ip| ip[0] = 0x44)), Malformed::BadIpv4HeaderLength);
        assert_eq!(parse(&edited(&data, |ip| ip[3] = 19)), Malformed::BadIpv4TotalLength);
        assert_eq!(parse(&edited(&data, |ip| ip[3] = 27)), Malformed::TruncatedTransport);
        assert_eq!(parse(&edited(&data, |ip| ip[25] = 7)), Malformed::BadUdpLength);
        assert_eq!(parse(&edited(&data, |ip| ip[25] = 25)), Malformed::BadUdpLength);
        let tcp = |offset: u8| {
            move |ip: &mut [u8]| {
                ip[9] = 6;
                ip[32] = offset << 4;
            }
        };
        assert_eq!(parse(&edited(&data, tcp(4))), Malformed::BadTcpHeaderLength);
        assert_eq!(parse(&edited(&data, tcp(7))), Malformed::BadTcpHeaderLength);
        assert!(Packet::parse(&edited(&data, tcp(6))).is_ok());
    }

    #[test]
    fn impossible_fragments() {
        let fragment = |flags: u16, protocol: u8, total: u8| {
            edited(&[0; 60], |ip| {
                ip[6..8].copy_from_slice(&flags.to_be_bytes());
                ip[9] = protocol;
                ip[3] = total;
            })
        };
        let parse = |bytes: Vec<u8>| Packet::parse(&bytes);
        assert_eq!(parse(fragment(0x2000, 17, 45)), Err(Malformed::BadFragment), "not by eight");
        assert_eq!(parse(fragment(5, 17, 20)), Err(Malformed::BadFragment), "no data");
        assert_eq!(parse(fragment(0x1fff, 17, 60)), Err(Malformed::BadFragment), "ends beyond 64 KiB");
        assert_eq!(parse(fragment(1, 6, 60)), Err(Malformed::BadFragment), "overwrites TCP flags");
        assert_eq!(parse(fragment(0x2000, 6, 36)), Err(Malformed::TruncatedTransport), "tiny first fragment");
        let later = parse(fragment(5, 17, 60)).unwrap();
        assert_eq!(later.transport(), Transport::Fragment);
        assert_eq!(later.flow_key().proto, FlowProto::Other(17));
        assert_eq!(later.fragment(), Some(Fragment { id: 0, offset: 40, more: false }));
        let first = parse(fragment(0x2000, 17, 60)).unwrap();
        assert_eq!(first.transport(), Transport::Udp { src: 5, dst: 7 });
        assert_eq!(first.fragment(), Some(Fragment { id: 0, offset: 0, more: true }));
    }

    #[test]
    fn echo_and_its_checksum() {
        let mut frame = build::echo(A, B, true, 77, 1, b"abc");
        let packet = Packet::parse(&frame.bytes).unwrap();
        assert_eq!(packet.transport(), Transport::Echo { request: true, id: 77 });
        assert_eq!(packet.verify_icmp(&frame), Ok(()));
        frame.bytes[43] ^= 1;
        assert_eq!(packet.verify_icmp(&frame), Err(Malformed::BadIcmpChecksum));
    }

    #[test]
    fn the_length_that_meets_an_mtu() {
        let frame = build::udp(A, B, 5, 7, &[0; 4000]);
        let packet = Packet::parse(&frame.bytes).unwrap();
        let gso = |gso_type, gso_size| Offload { gso_type, gso_size, ..Offload::default() };
        assert_eq!(packet.mtu_len(&Offload::default()), 4028);
        assert_eq!(packet.mtu_len(&gso(5, 1400)), 1428);
        assert_eq!(packet.mtu_len(&gso(3, 1480)), 1500);
        assert_eq!(packet.mtu_len(&gso(5, 9000)), 4028, "less than one segment");
    }
}
