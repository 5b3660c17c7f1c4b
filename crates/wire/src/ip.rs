//! IP headers of either family, extension headers included.

use std::net::{IpAddr, Ipv6Addr};

use smoltcp::wire::Ipv4Packet;

use crate::{Fragment, Malformed, checksum};

pub(crate) const HOP_BY_HOP: u8 = 0;
pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ROUTING: u8 = 43;
pub(crate) const FRAGMENT: u8 = 44;
pub(crate) const ICMPV6: u8 = 58;
pub(crate) const DESTINATION_OPTIONS: u8 = 60;

/// Length of an IPv6 header without extension headers.
pub(crate) const IPV6_LEN: usize = 40;
/// Length of an IPv4 header without options.
pub(crate) const IPV4_LEN: usize = 20;
/// Length of an IPv6 fragment header.
pub(crate) const FRAGMENT_LEN: usize = 8;

/// More extension headers than any honest packet has: each kind is to occur once, destination options twice
/// (RFC 8200 section 4.1).
const MOST_EXTENSIONS: usize = 8;

/// What an IP header says, up to the transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IpHeader {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    /// Type of service, traffic class.
    pub(crate) traffic_class: u8,
    /// Time to live, hop limit.
    pub(crate) hop_limit: u8,
    /// What follows all of the header; in a fragment after the first, what its fragment header names.
    pub(crate) protocol: u8,
    /// Length with options and extension headers.
    pub(crate) len: u16,
    /// Length of the packet as the header says, this header included.
    pub(crate) total_len: u32,
    /// IPv4: if it is a fragment. IPv6: if there is a fragment header, which may say that this is all of it
    /// (an atomic fragment, RFC 6946).
    pub(crate) fragment: Option<Fragment>,
    /// Whether DF is set; always so in IPv6.
    pub(crate) dont_fragment: bool,
    /// Whether a source route is not yet at its end.
    pub(crate) source_route: bool,
    /// Whether extension headers follow the fragment header.
    pub(crate) extensions_in_fragment: bool,
}

/// What follows an IP header, as far as we know its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upper {
    Tcp,
    Udp,
    /// ICMP in IPv4, ICMPv6 in IPv6.
    Icmp,
    Other,
}

impl IpHeader {
    /// An IPv4 header that is wholly there and right. The packet itself may end early.
    pub(crate) fn v4(bytes: &[u8]) -> Result<IpHeader, Malformed> {
        if bytes.len() < IPV4_LEN {
            return Err(Malformed::TruncatedIpv4);
        }
        let ip = Ipv4Packet::new_unchecked(bytes);
        let len = usize::from(ip.header_len());
        if ip.version() != 4 {
            return Err(Malformed::BadIpv4Version);
        } else if len < IPV4_LEN {
            return Err(Malformed::BadIpv4HeaderLength);
        } else if bytes.len() < len {
            return Err(Malformed::TruncatedIpv4);
        } else if checksum::sum(&bytes[..len]) != 0xffff {
            return Err(Malformed::BadIpv4Checksum);
        } else if usize::from(ip.total_len()) < len {
            return Err(Malformed::BadIpv4TotalLength);
        }
        let (id, offset, more) = (ip.ident().into(), ip.frag_offset(), ip.more_frags());
        Ok(IpHeader {
            src: ip.src_addr().into(),
            dst: ip.dst_addr().into(),
            traffic_class: bytes[1],
            hop_limit: ip.hop_limit(),
            protocol: ip.next_header().into(),
            len: len as u16,
            total_len: ip.total_len().into(),
            fragment: (offset != 0 || more).then_some(Fragment { id, offset, more }),
            dont_fragment: ip.dont_frag(),
            source_route: source_route(&bytes[IPV4_LEN..len]),
            extensions_in_fragment: false,
        })
    }

    /// An IPv6 header whose extension headers are wholly there. The packet itself may end early.
    pub(crate) fn v6(bytes: &[u8]) -> Result<IpHeader, Malformed> {
        let Some(fixed) = bytes.first_chunk::<IPV6_LEN>() else { return Err(Malformed::TruncatedIpv6) };
        if fixed[0] >> 4 != 6 {
            return Err(Malformed::BadIpv6Version);
        }
        let address = |at: usize| Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|n| fixed[at + n]));
        let payload_len = usize::from(checksum::load(fixed, 4));
        let protocol = fixed[6];
        if payload_len == 0 && protocol == HOP_BY_HOP {
            return Err(Malformed::Jumbogram);
        }
        let total_len = IPV6_LEN + payload_len;
        let mut header = IpHeader {
            src: address(8).into(),
            dst: address(24).into(),
            traffic_class: fixed[0] << 4 | fixed[1] >> 4,
            hop_limit: fixed[7],
            protocol,
            len: IPV6_LEN as u16,
            total_len: total_len as u32,
            fragment: None,
            dont_fragment: true,
            source_route: false,
            extensions_in_fragment: false,
        };
        header.walk(&bytes[..total_len.min(bytes.len())])?;
        Ok(header)
    }

    pub(crate) fn is_v6(&self) -> bool {
        self.src.is_ipv6()
    }

    /// Where TTL or hop limit is, if the header begins at `at`.
    pub(crate) fn hop_limit_at(&self, at: usize) -> usize {
        if self.is_v6() { at + 7 } else { at + 8 }
    }

    /// Where the source is, if the header begins at `at`.
    pub(crate) fn src_at(&self, at: usize) -> usize {
        if self.is_v6() { at + 8 } else { at + 12 }
    }

    /// Where the destination is, if the header begins at `at`.
    pub(crate) fn dst_at(&self, at: usize) -> usize {
        if self.is_v6() { at + 24 } else { at + 16 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len.into()
    }

    pub(crate) fn total_len(&self) -> usize {
        self.total_len as usize
    }

    /// The place in the datagram, unless the packet is all of it.
    pub(crate) fn part(&self) -> Option<Fragment> {
        self.fragment.filter(|fragment| fragment.offset != 0 || fragment.more)
    }

    pub(crate) fn upper(&self) -> Upper {
        match (self.protocol, self.is_v6()) {
            (TCP, _) => Upper::Tcp,
            (UDP, _) => Upper::Udp,
            (ICMP, false) | (ICMPV6, true) => Upper::Icmp,
            _ => Upper::Other,
        }
    }

    /// Whether the fragment, if it is one, is one that a sender can have made (RFC 791, RFC 1858, RFC 8200
    /// section 4.5).
    pub(crate) fn check_fragment(&self) -> Result<(), Malformed> {
        let Some(Fragment { offset, more, .. }) = self.part() else { return Ok(()) };
        let offset = usize::from(offset);
        let data = self.total_len() - self.len();
        // The length field of the whole: in IPv4 it counts the header, in IPv6 only extension headers.
        let uncounted = if self.is_v6() { IPV6_LEN + FRAGMENT_LEN } else { 0 };
        let impossible = data == 0
            || more && !data.is_multiple_of(8)
            || offset + data + self.len() - uncounted > 0xffff
            || offset == 8 && self.protocol == TCP;
        if impossible { Err(Malformed::BadFragment) } else { Ok(()) }
    }

    /// Walks the extension headers of an IPv6 packet.
    fn walk(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        for number in 0..=MOST_EXTENSIONS {
            let (kind, rest) = (self.protocol, &bytes[self.len()..]);
            if !matches!(kind, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS) {
                return Ok(());
            }
            // Hop-by-hop options come first or not at all; a fragment is not cut again.
            if kind == HOP_BY_HOP && number > 0 || kind == FRAGMENT && self.fragment.is_some() {
                return Err(Malformed::BadIpv6Extension);
            }
            let Some(&[next, units, a, b, c, d, e, f]) = rest.first_chunk::<8>() else {
                return Err(Malformed::TruncatedIpv6Extension);
            };
            let len = if kind == FRAGMENT { FRAGMENT_LEN } else { (usize::from(units) + 1) * 8 };
            if len > rest.len() {
                return Err(Malformed::TruncatedIpv6Extension);
            }
            self.protocol = next;
            self.len += len as u16;
            match kind {
                FRAGMENT => {
                    let place = u16::from_be_bytes([a, b]);
                    let id = u32::from_be_bytes([c, d, e, f]);
                    self.fragment = Some(Fragment { id, offset: place & !7, more: place & 1 != 0 });
                    if place & !7 != 0 {
                        return Ok(());
                    }
                }
                _ => {
                    self.extensions_in_fragment |= self.fragment.is_some();
                    // Segments left.
                    self.source_route |= kind == ROUTING && b != 0;
                }
            }
        }
        Err(Malformed::BadIpv6Extension)
    }
}

/// Whether IPv4 options hold a source route that has not reached its end (RFC 791 section 3.1).
fn source_route(mut options: &[u8]) -> bool {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const LOOSE: u8 = 131;
    const STRICT: u8 = 137;
    loop {
        let len = match *options {
            [] | [END, ..] => return false,
            [NO_OPERATION, ..] => 1,
            [_] => return false,
            [LOOSE | STRICT, len, pointer, ..] if pointer <= len => return true,
            [_, len, ..] => usize::from(len).max(2),
        };
        let Some(rest) = options.get(len..) else { return false };
        options = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FlowProto, Frame, Packet, Transport, build};

    const A: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    const B: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

    /// A frame of IPv6 with this chain of extension headers, each with its own first byte to come, before a UDP
    /// header.
    fn chain(first: u8, extensions: &[&[u8]]) -> Frame {
        let udp = build::udp(A, B, 5, 7, &[0; 8]);
        build::ip(A, B, first, &[&extensions.concat(), &udp.bytes[54..]].concat())
    }

    fn parse(frame: &Frame) -> Result<Packet, Malformed> {
        Packet::parse(&frame.bytes)
    }

    #[test]
    fn fields_of_ipv6() {
        let mut frame = build::udp(A, B, 5, 7, b"hello").with_ttl(9);
        frame.bytes[14..16].copy_from_slice(&[0x6a, 0xb0]);
        frame.bytes.extend([0xee; 20]);
        let packet = parse(&frame).unwrap();
        assert_eq!((packet.src(), packet.dst(), packet.ttl()), (A.into(), B.into(), 9));
        assert_eq!((packet.protocol(), packet.total_len(), packet.transport_offset()), (UDP, 53, 54));
        assert_eq!((packet.ip().traffic_class, packet.dont_fragment()), (0xab, true));
        assert_eq!(packet.payload(&frame.bytes), b"hello");
        assert_eq!(packet.flow_key().proto, FlowProto::Udp { src: 5, dst: 7 });
    }

    #[test]
    fn extension_headers_are_walked() {
        let options = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
        let long = |next: u8| [vec![next, 1], vec![0; 14]].concat();
        let frame = chain(0, &[&options(60), &long(43), &[60, 0, 0, 0, 0, 0, 0, 0], &options(17)]);
        let packet = parse(&frame).unwrap();
        assert_eq!((packet.protocol(), packet.transport_offset()), (UDP, 54 + 40));
        assert_eq!(packet.transport(), Transport::Udp { src: 5, dst: 7 });
        assert!(!packet.ip().source_route);
        for protocol in [50, 51, 59] {
            let packet = parse(&chain(60, &[&options(protocol)])).unwrap();
            assert_eq!((packet.protocol(), packet.transport()), (protocol, Transport::Other));
        }
        let routed = parse(&chain(43, &[&[17, 0, 4, 1, 0, 0, 0, 0]])).unwrap();
        assert!(routed.ip().source_route);
    }

    #[test]
    fn impossible_extension_headers() {
        let options = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
        let bad = |first, extensions: &[&[u8]]| parse(&chain(first, extensions)).unwrap_err();
        assert_eq!(bad(60, &[&options(0), &options(17)]), Malformed::BadIpv6Extension, "hop-by-hop second");
        let atomic = |next: u8| [next, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(bad(44, &[&atomic(44), &atomic(17)]), Malformed::BadIpv6Extension, "two fragment headers");
        let (more, last) = (options(60), options(17));
        let chain_of = |len: usize| chain(60, &[&vec![&more[..]; len - 1][..], &[&last]].concat());
        assert!(parse(&chain_of(8)).is_ok());
        assert_eq!(parse(&chain_of(9)), Err(Malformed::BadIpv6Extension));
        assert_eq!(bad(60, &[&[17, 9, 0, 0, 0, 0, 0, 0]]), Malformed::TruncatedIpv6Extension);
    }

    #[test]
    fn faults_of_ipv6_by_name() {
        let good = build::udp(A, B, 5, 7, b"hello").bytes;
        let parse = |edit: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = good.clone();
            edit(&mut bytes);
            Packet::parse(&bytes).unwrap_err()
        };
        assert_eq!(parse(&|bytes| bytes.truncate(53)), Malformed::TruncatedIpv6);
        assert_eq!(parse(&|bytes| bytes[14] = 0x45), Malformed::BadIpv6Version);
        assert_eq!(parse(&|bytes| bytes[19] += 1), Malformed::BadIpv6PayloadLength);
        assert_eq!(parse(&|bytes| bytes[19] = 7), Malformed::TruncatedTransport);
        assert_eq!(parse(&|bytes| bytes[19] = 9), Malformed::BadUdpLength);
        let jumbo = build::ip(A, B, 0, &[]);
        assert_eq!(Packet::parse(&jumbo.bytes), Err(Malformed::Jumbogram));
        assert!(Packet::parse(&build::ip(A, B, 59, &[]).bytes).is_ok(), "a packet of nothing");
    }

    #[test]
    fn fragments_of_ipv6() {
        let fragment = |place: u16, next: u8, data: &[u8]| {
            let [high, low] = place.to_be_bytes();
            build::ip(A, B, 44, &[&[next, 0, high, low, 0xab, 0, 0, 1], data].concat())
        };
        let udp = build::udp(A, B, 5, 7, &[0; 8]).bytes[54..].to_vec();
        let first = parse(&fragment(1, 17, &udp)).unwrap();
        assert_eq!(first.transport(), Transport::Udp { src: 5, dst: 7 });
        assert_eq!(first.fragment(), Some(Fragment { id: 0xab00_0001, offset: 0, more: true }));
        let later = parse(&fragment(16, 17, &[0; 5])).unwrap();
        assert_eq!((later.transport(), later.protocol()), (Transport::Fragment, UDP));
        assert_eq!(later.fragment(), Some(Fragment { id: 0xab00_0001, offset: 16, more: false }));
        let whole = parse(&fragment(0, 17, &udp)).unwrap();
        assert_eq!(whole.fragment(), None, "an atomic fragment is all of it");
        let bad = |place, next, data: &[u8]| parse(&fragment(place, next, data));
        assert_eq!(bad(17, 17, &[0; 5]), Err(Malformed::BadFragment), "not by eight");
        assert_eq!(bad(16, 17, &[]), Err(Malformed::BadFragment), "no data");
        assert_eq!(bad(0xfff8, 17, &[0; 8]), Err(Malformed::BadFragment), "ends beyond 64 KiB");
        assert!(bad(0xfff8, 17, &[0; 7]).is_ok());
        assert_eq!(bad(8, 6, &[0; 16]), Err(Malformed::BadFragment), "overwrites TCP flags");
        assert_eq!(bad(1, 6, &[0; 16]), Err(Malformed::TruncatedTransport), "tiny first fragment");
    }

    #[test]
    fn a_source_route_of_ipv4() {
        assert!(source_route(&[1, 131, 7, 4, 10, 0, 0, 1]));
        assert!(!source_route(&[131, 7, 8, 10, 0, 0, 1, 0]), "at its end");
        assert!(!source_route(&[68, 8, 5, 0, 0, 0, 0, 0]) && !source_route(&[7]) && !source_route(&[]));
    }
}
