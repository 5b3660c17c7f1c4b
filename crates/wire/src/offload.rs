//! What a frame leaves to the kernel: the header of `PACKET_VNET_HDR`.

use crate::ip::{IpHeader, Upper};
use crate::{ETHERNET_LEN, Ethertype};

/// `struct virtio_net_hdr`, which precedes each frame on a packet socket with `PACKET_VNET_HDR`: a checksum
/// that is still to be completed, and how a frame larger than the link's MTU is to be cut (virtio 1.3
/// section 5.1.6, `linux/virtio_net.h`). Offsets count from the start of the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// `VIRTIO_NET_HDR_F_…`: 1 is `NEEDS_CSUM`, 2 is `DATA_VALID`.
    pub flags: u8,
    /// `VIRTIO_NET_HDR_GSO_…`: 0 none, 1 TCP over IPv4, 3 UDP fragments, 4 TCP over IPv6, 5 UDP datagrams;
    /// 0x80 is added for TCP with ECN.
    pub gso_type: u8,
    /// A hint: length of the headers.
    pub hdr_len: u16,
    /// Bytes of payload in each segment.
    pub gso_size: u16,
    /// Where the sum begins.
    pub csum_start: u16,
    /// Where, counted from `csum_start`, the checksum is stored.
    pub csum_offset: u16,
}

/// Offload fields that Linux would refuse, or by which a sender could change a header after it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum BadOffload {
    /// `hdr_len` is more than the frame.
    #[error("the offload's header length is more than the frame")]
    HeaderLength,
    /// The checksum lies outside the frame.
    #[error("the offload's checksum lies outside the frame")]
    ChecksumOutside,
    /// The checksum would be stored over something that is not the checksum of this packet, or the packet is
    /// a fragment.
    #[error("the offload's checksum is not where the packet has one")]
    ChecksumPlace,
    /// Not a GSO type that Linux knows.
    #[error("an unknown segmentation type")]
    GsoType,
    /// GSO without a segment size, or with the one that Linux keeps for itself.
    #[error("an impossible segment size")]
    GsoSize,
    /// GSO without a checksum for the kernel to complete in each segment (virtio demands it).
    #[error("segmentation without a checksum to complete")]
    GsoWithoutChecksum,
    /// The GSO type is not for this packet's protocol.
    #[error("the segmentation type is for another protocol")]
    GsoProtocol,
    /// More UDP segments than Linux sends at once.
    #[error("too many segments")]
    GsoSegments,
}

const NEEDS_CSUM: u8 = 1;
const GSO_TCPV4: u8 = 1;
const GSO_UDP: u8 = 3;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;
/// `GSO_BY_FRAGS`: a size with a meaning of its own inside Linux.
const GSO_BY_FRAGS: u16 = 0xffff;
/// `UDP_MAX_SEGMENTS`.
const UDP_MAX_SEGMENTS: usize = 128;

impl Offload {
    /// Length of the header on a packet socket.
    pub const LEN: usize = 10;

    /// From the bytes before a frame; their order is the machine's own (legacy virtio).
    pub fn from_bytes(bytes: [u8; Offload::LEN]) -> Offload {
        let [flags, gso_type, a, b, c, d, e, f, g, h] = bytes;
        Offload {
            flags,
            gso_type,
            hdr_len: u16::from_ne_bytes([a, b]),
            gso_size: u16::from_ne_bytes([c, d]),
            csum_start: u16::from_ne_bytes([e, f]),
            csum_offset: u16::from_ne_bytes([g, h]),
        }
    }

    /// The bytes to put before a frame.
    pub fn to_bytes(self) -> [u8; Offload::LEN] {
        let [a, b] = self.hdr_len.to_ne_bytes();
        let [c, d] = self.gso_size.to_ne_bytes();
        let [e, f] = self.csum_start.to_ne_bytes();
        let [g, h] = self.csum_offset.to_ne_bytes();
        [self.flags, self.gso_type, a, b, c, d, e, f, g, h]
    }

    /// Whether a checksum is still to be completed (`VIRTIO_NET_HDR_F_NEEDS_CSUM`).
    pub fn needs_csum(&self) -> bool {
        self.flags & NEEDS_CSUM != 0
    }

    /// Whether the frame is to be cut into segments.
    pub fn is_gso(&self) -> bool {
        self.gso_type != 0
    }

    /// Whether the frame is several UDP datagrams in one (`UDP_SEGMENT`).
    pub(crate) fn is_udp_segments(&self) -> bool {
        self.gso_type == GSO_UDP_L4
    }

    /// Whether the frame is one UDP datagram to be cut into IP fragments (UFO).
    pub(crate) fn is_udp_fragments(&self) -> bool {
        self.gso_type == GSO_UDP
    }

    /// Whether the checksum to be completed is the one at this offset, of a header that begins at `start`. It
    /// may be another: a packet inside a tunnel.
    pub(crate) fn completes(&self, start: usize, field: usize) -> bool {
        self.needs_csum()
            && usize::from(self.csum_start) == start
            && start + usize::from(self.csum_offset) == field
    }

    /// The frame has become one of the other family, whose transport header is at another offset.
    pub(crate) fn header_moved(&mut self, from: usize, to: usize) {
        let moved = |at: u16| (usize::from(at) + to).saturating_sub(from) as u16;
        if self.needs_csum() {
            self.csum_start = moved(self.csum_start);
        }
        if self.hdr_len != 0 {
            self.hdr_len = moved(self.hdr_len);
        }
        let ecn = self.gso_type & GSO_ECN;
        self.gso_type = match self.gso_type & !GSO_ECN {
            GSO_TCPV4 => GSO_TCPV6 | ecn,
            GSO_TCPV6 => GSO_TCPV4 | ecn,
            _ => self.gso_type,
        };
    }

    /// The checksum has been completed.
    pub(crate) fn finish(&mut self) {
        self.flags &= !NEEDS_CSUM;
        (self.csum_start, self.csum_offset) = (0, 0);
    }

    /// Whether a frame may be passed on with these fields: what Linux' `virtio_net_hdr_to_skb` and packet
    /// sockets would refuse is refused here, and so is a checksum whose completion would write over
    /// anything but the packet's own TCP or UDP checksum or the payload, because that would change ports or
    /// quoted headers after they were decided upon.
    ///
    /// # Errors
    ///
    /// What is wrong, as [`BadOffload`].
    pub fn validate(&self, frame: &[u8]) -> Result<(), BadOffload> {
        if usize::from(self.hdr_len) > frame.len() {
            return Err(BadOffload::HeaderLength);
        }
        if !self.needs_csum() && !self.is_gso() {
            return Ok(());
        }
        let place = Place::of(frame);
        if self.needs_csum() {
            self.validate_checksum(frame, place)?;
        }
        if self.is_gso() { self.validate_gso(frame, place) } else { Ok(()) }
    }

    fn validate_checksum(&self, frame: &[u8], place: Place) -> Result<(), BadOffload> {
        let (start, offset) = (usize::from(self.csum_start), usize::from(self.csum_offset));
        if start + offset + 2 > frame.len() {
            return Err(BadOffload::ChecksumOutside);
        }
        let right = match place {
            Place::Ip { fragment: true, .. } | Place::Broken => false,
            Place::Ip { transport, upper: Upper::Tcp, .. } => start == transport && offset == 16,
            // Beyond the UDP header: the packet inside a tunnel, whose outer checksum is complete.
            Place::Ip { transport, upper: Upper::Udp, .. } => {
                start == transport && offset == 6 || start >= transport + 8
            }
            // Linux completes ICMP itself; a later write here could only change what was decided upon.
            Place::Ip { upper: Upper::Icmp, .. } => false,
            Place::Ip { transport, .. } => start >= transport,
            Place::Other => start >= ETHERNET_LEN,
        };
        if right { Ok(()) } else { Err(BadOffload::ChecksumPlace) }
    }

    fn validate_gso(&self, frame: &[u8], place: Place) -> Result<(), BadOffload> {
        let kind = self.gso_type & !GSO_ECN;
        if !matches!(kind, GSO_TCPV4 | GSO_UDP | GSO_TCPV6 | GSO_UDP_L4)
            || kind == GSO_UDP_L4 && kind != self.gso_type
        {
            return Err(BadOffload::GsoType);
        }
        if matches!(self.gso_size, 0 | GSO_BY_FRAGS) {
            return Err(BadOffload::GsoSize);
        }
        if !self.needs_csum() {
            return Err(BadOffload::GsoWithoutChecksum);
        }
        let (transport, header) = match (kind, place) {
            (GSO_TCPV4, Place::Ip { is_v6: false, transport, upper: Upper::Tcp, .. }) => (transport, 20),
            (GSO_TCPV6, Place::Ip { is_v6: true, transport, upper: Upper::Tcp, .. }) => (transport, 20),
            (GSO_UDP | GSO_UDP_L4, Place::Ip { transport, upper: Upper::Udp, .. }) => (transport, 8),
            _ => return Err(BadOffload::GsoProtocol),
        };
        if usize::from(self.csum_start) != transport {
            return Err(BadOffload::ChecksumPlace);
        }
        let payload = frame.len().checked_sub(transport + header).ok_or(BadOffload::ChecksumOutside)?;
        if kind == GSO_UDP_L4 && payload > usize::from(self.gso_size) * UDP_MAX_SEGMENTS {
            return Err(BadOffload::GsoSegments);
        }
        Ok(())
    }
}

/// As much of a frame as its offload is about.
#[derive(Clone, Copy)]
enum Place {
    Ip {
        is_v6: bool,
        transport: usize,
        upper: Upper,
        fragment: bool,
    },
    /// An IP packet whose header is not wholly there, or wrong.
    Broken,
    Other,
}

impl Place {
    fn of(frame: &[u8]) -> Place {
        let header = match Ethertype::of(frame) {
            Ok(Ethertype::Ipv4) => IpHeader::v4(&frame[ETHERNET_LEN..]),
            Ok(Ethertype::Ipv6) => IpHeader::v6(&frame[ETHERNET_LEN..]),
            _ => return Place::Other,
        };
        match header {
            Ok(ip) => Place::Ip {
                is_v6: ip.is_v6(),
                transport: ETHERNET_LEN + ip.len(),
                upper: ip.upper(),
                fragment: ip.part().is_some(),
            },
            Err(_) => Place::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{Frame, TcpFlags, build};

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn tcp() -> Frame {
        build::tcp(A, B, 1, 2, TcpFlags::ACK, &[0; 3000])
    }

    fn udp() -> Frame {
        build::udp(A, B, 1, 2, &[0; 3000])
    }

    fn check(frame: &Frame, flags: u8, gso: (u8, u16), start: u16, offset: u16) -> Result<(), BadOffload> {
        let (gso_type, gso_size) = gso;
        Offload { flags, gso_type, hdr_len: 0, gso_size, csum_start: start, csum_offset: offset }
            .validate(&frame.bytes)
    }

    #[test]
    fn bytes_and_back() {
        let offload =
            Offload { flags: 1, gso_type: 5, hdr_len: 42, gso_size: 1400, csum_start: 34, csum_offset: 6 };
        assert_eq!(Offload::from_bytes(offload.to_bytes()), offload);
        assert_eq!(offload.to_bytes()[2..4], 42u16.to_ne_bytes());
    }

    #[test]
    fn accepts_what_linux_sends() {
        let none = (0, 0);
        assert_eq!(check(&udp(), 0, none, 0, 0), Ok(()));
        assert_eq!(check(&udp(), 2, none, 0, 0), Ok(()), "DATA_VALID");
        assert_eq!(check(&tcp(), 1, none, 34, 16), Ok(()));
        assert_eq!(check(&udp(), 1, none, 34, 6), Ok(()));
        assert_eq!(check(&tcp(), 1, (1, 1448), 34, 16), Ok(()));
        assert_eq!(check(&tcp(), 1, (0x81, 1448), 34, 16), Ok(()), "with ECN");
        assert_eq!(check(&udp(), 1, (5, 1400), 34, 6), Ok(()));
        assert_eq!(check(&udp(), 1, (3, 1480), 34, 6), Ok(()));
        assert_eq!(check(&udp(), 1, none, 34 + 8 + 8 + 14 + 20, 16), Ok(()), "TCP in VXLAN");
        assert_eq!(check(&build::ip(A, B, 132, &[0; 40]), 1, none, 34, 8), Ok(()), "SCTP");
    }

    #[test]
    fn refuses_checksums_out_of_place() {
        let none = (0, 0);
        let udp = udp();
        let end = udp.bytes.len() as u16;
        for (start, offset) in [(end - 1, 0), (end - 7, 6), (34, end), (0xffff, 0xffff)] {
            assert_eq!(check(&udp, 1, none, start, offset), Err(BadOffload::ChecksumOutside));
        }
        for (start, offset) in [(0, 0), (14, 12), (34, 0), (34, 2), (34, 8), (40, 0), (41, 6)] {
            assert_eq!(
                check(&udp, 1, none, start, offset),
                Err(BadOffload::ChecksumPlace),
                "{start} {offset}"
            );
        }
        assert_eq!(check(&tcp(), 1, none, 34, 6), Err(BadOffload::ChecksumPlace));
        let ping = build::echo(A, B, true, 1, 1, &[0; 64]);
        assert_eq!(check(&ping, 1, none, 34, 2), Err(BadOffload::ChecksumPlace));
        assert_eq!(check(&ping, 1, none, 60, 2), Err(BadOffload::ChecksumPlace));
        let mut fragment = udp.clone();
        fragment.bytes[20] |= 0x20;
        assert_eq!(check(&fragment, 1, none, 34, 6), Err(BadOffload::ChecksumPlace));
        let truncated = Frame::new(udp.bytes[..33].to_vec());
        assert_eq!(check(&truncated, 1, none, 14, 10), Err(BadOffload::ChecksumPlace));
    }

    #[test]
    fn refuses_impossible_segmentation() {
        let (tcp, udp) = (tcp(), udp());
        for gso_type in [2, 6, 7, 0x20, 0x41, 0x80, 0x85] {
            assert_eq!(check(&udp, 1, (gso_type, 1400), 34, 6), Err(BadOffload::GsoType), "{gso_type:#x}");
        }
        assert_eq!(check(&tcp, 1, (1, 0), 34, 16), Err(BadOffload::GsoSize));
        assert_eq!(check(&tcp, 1, (1, 0xffff), 34, 16), Err(BadOffload::GsoSize));
        assert_eq!(check(&tcp, 0, (1, 1448), 34, 16), Err(BadOffload::GsoWithoutChecksum));
        assert_eq!(check(&udp, 0, (5, 1400), 34, 6), Err(BadOffload::GsoWithoutChecksum));
        assert_eq!(check(&udp, 1, (1, 1400), 34, 6), Err(BadOffload::GsoProtocol));
        assert_eq!(check(&tcp, 1, (5, 1400), 34, 16), Err(BadOffload::GsoProtocol));
        assert_eq!(check(&tcp, 1, (4, 1400), 34, 16), Err(BadOffload::GsoProtocol), "TCP over IPv6");
        assert_eq!(check(&udp, 1, (5, 1400), 60, 16), Err(BadOffload::ChecksumPlace), "inside a tunnel");
        assert_eq!(check(&udp, 1, (5, 20), 34, 6), Err(BadOffload::GsoSegments));
    }

    #[test]
    fn refuses_a_header_longer_than_the_frame() {
        let frame = udp();
        let offload = Offload { hdr_len: frame.bytes.len() as u16 + 1, ..Offload::default() };
        assert_eq!(offload.validate(&frame.bytes), Err(BadOffload::HeaderLength));
        let offload = Offload { hdr_len: frame.bytes.len() as u16, ..Offload::default() };
        assert_eq!(offload.validate(&frame.bytes), Ok(()));
    }

    #[test]
    fn ipv6_as_strictly() {
        let [a, b] = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse::<std::net::Ipv6Addr>().unwrap());
        let (tcp, udp) =
            (build::tcp(a, b, 1, 2, TcpFlags::ACK, &[0; 3000]), build::udp(a, b, 1, 2, &[0; 3000]));
        let none = (0, 0);
        assert_eq!(check(&tcp, 1, none, 54, 16), Ok(()));
        assert_eq!(check(&tcp, 1, (4, 1428), 54, 16), Ok(()));
        assert_eq!(check(&tcp, 1, (0x84, 1428), 54, 16), Ok(()), "with ECN");
        assert_eq!(check(&udp, 1, (5, 1400), 54, 6), Ok(()));
        assert_eq!(check(&udp, 1, none, 54 + 8 + 8 + 14 + 20, 16), Ok(()), "TCP in VXLAN");
        for (start, offset) in [(14, 10), (34, 16), (54, 6), (54, 0), (60, 10)] {
            assert_eq!(
                check(&tcp, 1, none, start, offset),
                Err(BadOffload::ChecksumPlace),
                "{start} {offset}"
            );
        }
        assert_eq!(check(&tcp, 1, (1, 1428), 54, 16), Err(BadOffload::GsoProtocol), "TCP over IPv4");
        assert_eq!(check(&udp, 1, (4, 1428), 54, 6), Err(BadOffload::GsoProtocol));
        let ping = build::echo(a, b, true, 1, 1, &[0; 64]);
        assert_eq!(check(&ping, 1, none, 54, 2), Err(BadOffload::ChecksumPlace));
        let part = build::ip(a, b, 44, &[&[6, 0, 0, 9, 0, 0, 0, 1], &[0; 64][..]].concat());
        assert_eq!(check(&part, 1, none, 62, 16), Err(BadOffload::ChecksumPlace));
    }

    #[test]
    fn a_header_of_another_length() {
        let gso = |gso_type, csum_start, hdr_len| Offload {
            flags: 1,
            gso_type,
            hdr_len,
            gso_size: 1400,
            csum_start,
            csum_offset: 16,
        };
        let mut offload = gso(0x81, 34, 54);
        offload.header_moved(34, 54);
        assert_eq!(offload, gso(0x84, 54, 74));
        offload.header_moved(54, 34);
        assert_eq!(offload, gso(0x81, 34, 54));
        let mut udp = gso(5, 34, 0);
        udp.header_moved(34, 54);
        assert_eq!(udp, gso(5, 54, 0));
    }
}
