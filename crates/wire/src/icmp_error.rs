//! ICMP and ICMPv6 errors of our own, each back to the packet's sender by the way it came: Ethernet addresses
//! swapped. `from` is the address of the router that says so, of the packet's family.
//!
//! There is none where one is forbidden (RFC 1812 section 4.3.2.7, RFC 4443 section 2.4): about an ICMP error or
//! a redirect, about a fragment that may be of one, to or from more than one host.

use std::net::IpAddr;

use crate::ip::IPV6_LEN;
use crate::{ETHERNET_LEN, Frame, Packet, Transport, build};

/// An ICMP error is at most this long (RFC 1812 section 4.3.2.3).
const LONGEST: usize = 576;
/// An ICMPv6 error is at most this long (RFC 4443 section 2.4).
const LONGEST_V6: usize = 1280;

/// "Fragmentation needed and DF set" (RFC 792, RFC 1191) or "packet too big" (RFC 4443 section 3.2) about a packet
/// that does not fit a link of this MTU.
pub fn too_big(original: &Frame, packet: &Packet, from: impl Into<IpAddr>, mtu: u16) -> Option<Frame> {
    let [high, low] = mtu.to_be_bytes();
    error(original, packet, from.into(), Kind { v4: (3, 4), v6: (2, 0), rest: [0, 0, high, low] })
}

/// "Time to live exceeded in transit" (RFC 792), "hop limit exceeded in transit" (RFC 4443 section 3.3).
pub fn time_exceeded(original: &Frame, packet: &Packet, from: impl Into<IpAddr>) -> Option<Frame> {
    error(original, packet, from.into(), Kind { v4: (11, 0), v6: (3, 0), rest: [0; 4] })
}

/// "Destination unreachable", with a code of the packet's family (RFC 792 and RFC 1812 section 5.2.7.1, RFC 4443
/// section 3.1).
pub fn destination_unreachable(
    original: &Frame,
    packet: &Packet,
    from: impl Into<IpAddr>,
    code: u8,
) -> Option<Frame> {
    error(original, packet, from.into(), Kind { v4: (3, code), v6: (1, code), rest: [0; 4] })
}

/// Type and code for each family, and the second word.
struct Kind {
    v4: (u8, u8),
    v6: (u8, u8),
    rest: [u8; 4],
}

fn error(original: &Frame, packet: &Packet, from: IpAddr, kind: Kind) -> Option<Frame> {
    let is_v6 = packet.src().is_ipv6();
    if forbidden(packet, is_v6 && kind.v6.0 == 2)
        || from.is_ipv6() != is_v6
        || original.bytes.len() < packet.end()
    {
        return None;
    }
    let longest_quote = if is_v6 { LONGEST_V6 - IPV6_LEN - 8 } else { LONGEST - 28 };
    let quote = &original.bytes[ETHERNET_LEN..packet.end().min(ETHERNET_LEN + longest_quote)];
    let (number, code) = if is_v6 { kind.v6 } else { kind.v4 };
    let mut error = build::icmp(from, packet.src(), number, code, kind.rest, quote);
    if !is_v6 {
        // Precedence "internetwork control" (RFC 1812 section 4.3.2.5).
        error.bytes[ETHERNET_LEN + 1] = 0xc0;
        build::fill_ipv4_checksum(&mut error);
    }
    Some(error.with_macs(packet.eth_dst(), packet.eth_src()))
}

/// Whether no error may be sent about a packet. "Packet too big" may be about one for a group: path MTU discovery
/// needs it.
fn forbidden(packet: &Packet, too_big_v6: bool) -> bool {
    // 4, 5: source quench and redirect count as errors too (RFC 1122 section 3.2.2).
    let about_error = match (packet.transport(), packet.src()) {
        (Transport::Icmp { kind, .. }, IpAddr::V4(_)) => matches!(kind, 3 | 4 | 5 | 11 | 12),
        (Transport::Icmp { kind, .. }, IpAddr::V6(_)) => kind < 128 || kind == 137,
        (Transport::Fragment, IpAddr::V4(_)) => true,
        (Transport::Fragment, IpAddr::V6(_)) => packet.protocol() == crate::ip::ICMPV6,
        _ => false,
    };
    let for_group = !is_one_host(packet.dst()) || packet.eth_dst().is_multicast();
    about_error || !is_one_host(packet.src()) || for_group && !too_big_v6
}

fn is_one_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            !address.is_multicast()
                && !address.is_broadcast()
                && !address.is_unspecified()
                && !address.is_loopback()
        }
        IpAddr::V6(address) => !address.is_multicast() && !address.is_unspecified() && !address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::{FlowProto, Mac};

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const A6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    const B6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
    const ROUTER6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0xec2, 0, 0, 0, 0, 0, 1);
    const MAC_A: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const MAC_B: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn about(frame: &Frame) -> Option<Frame> {
        let packet = Packet::parse(&frame.bytes).unwrap();
        let router: IpAddr = if packet.src().is_ipv6() { ROUTER6.into() } else { ROUTER.into() };
        too_big(frame, &packet, router, 1400)
    }

    #[test]
    fn tells_the_sender_the_mtu() {
        let original = build::udp(A, B, 5, 7, &[0; 1500]).with_macs(MAC_A, MAC_B);
        let error = about(&original).unwrap();
        let packet = Packet::parse(&error.bytes).unwrap();
        assert_eq!((packet.eth_src(), packet.eth_dst()), (MAC_B, MAC_A));
        assert_eq!((packet.src(), packet.dst(), packet.total_len()), (ROUTER.into(), A.into(), 576));
        assert_eq!(packet.flow_key().proto, FlowProto::Icmp { kind: 3, code: 4 });
        assert_eq!(packet.verify_icmp(&error), Ok(()));
        assert_eq!(error.bytes[38..42], [0, 0, 0x05, 0x78]);
        let quoted = packet.quoted().unwrap();
        assert_eq!(quoted.flow_key(), Packet::parse(&original.bytes).unwrap().flow_key());
    }

    #[test]
    fn tells_a_sender_of_ipv6_the_mtu() {
        let original = build::udp(A6, B6, 5, 7, &[0; 1500]).with_macs(MAC_A, MAC_B);
        let error = about(&original).unwrap();
        let packet = Packet::parse(&error.bytes).unwrap();
        assert_eq!((packet.eth_src(), packet.eth_dst()), (MAC_B, MAC_A));
        assert_eq!((packet.src(), packet.dst(), packet.total_len()), (ROUTER6.into(), A6.into(), 1280));
        assert_eq!(packet.flow_key().proto, FlowProto::Icmp { kind: 2, code: 0 });
        assert_eq!(packet.verify_icmp(&error), Ok(()));
        assert_eq!(error.bytes[58..62], [0, 0, 0x05, 0x78]);
        let quoted = packet.quoted().unwrap();
        assert_eq!(quoted.flow_key(), Packet::parse(&original.bytes).unwrap().flow_key());
    }

    #[test]
    fn expired_and_unreachable_in_both_families() {
        let kind = |error: Option<Frame>| {
            let error = error.unwrap();
            let packet = Packet::parse(&error.bytes).unwrap();
            assert_eq!(packet.verify_icmp(&error), Ok(()));
            assert!(packet.quoted().is_some());
            match packet.transport() {
                Transport::Icmp { kind, code } => (kind, code),
                other => panic!("{other:?}"),
            }
        };
        let (four, six) = (build::udp(A, B, 5, 7, b"x"), build::udp(A6, B6, 5, 7, b"x"));
        let (v4, v6) = (Packet::parse(&four.bytes).unwrap(), Packet::parse(&six.bytes).unwrap());
        assert_eq!(kind(time_exceeded(&four, &v4, ROUTER)), (11, 0));
        assert_eq!(kind(time_exceeded(&six, &v6, ROUTER6)), (3, 0));
        assert_eq!(kind(destination_unreachable(&four, &v4, ROUTER, 13)), (3, 13));
        assert_eq!(kind(destination_unreachable(&six, &v6, ROUTER6, 1)), (1, 1));
        assert_eq!(time_exceeded(&six, &v6, ROUTER), None, "a router of the other family");
    }

    #[test]
    fn a_short_packet_is_quoted_whole_without_its_padding() {
        let mut original = build::udp(A, B, 5, 7, b"x");
        original.bytes.extend([0; 17]);
        let error = about(&original).unwrap();
        assert_eq!(error.bytes.len(), 14 + 28 + 29);
    }

    #[test]
    fn no_error_about_what_must_not_have_one() {
        let ping = build::echo(A, B, true, 1, 1, &[0; 100]);
        assert!(about(&ping).is_some());
        assert_eq!(about(&build::icmp_error(A, B, 3, 3, &ping.bytes[14..])), None);
        assert_eq!(about(&build::udp(A, Ipv4Addr::new(224, 0, 0, 1), 5, 7, b"x")), None);
        assert_eq!(about(&build::udp(Ipv4Addr::UNSPECIFIED, B, 5, 7, b"x")), None);
        assert_eq!(about(&build::udp(A, B, 5, 7, b"x").with_macs(MAC_A, Mac::BROADCAST)), None);
        let mut later = build::ip(A, B, 17, &[0; 64]);
        later.bytes[21] = 9;
        build::fill_ipv4_checksum(&mut later);
        assert_eq!(about(&later), None);
    }

    #[test]
    fn no_error_about_what_must_not_have_one_in_ipv6() {
        let ping = build::echo(A6, B6, true, 1, 1, &[0; 100]);
        assert!(about(&ping).is_some());
        for kind in [1, 2, 3, 4, 100, 137] {
            assert_eq!(about(&build::icmp_error(A6, B6, kind, 0, &ping.bytes[14..])), None, "{kind}");
        }
        assert_eq!(about(&build::udp(Ipv6Addr::UNSPECIFIED, B6, 5, 7, b"x")), None);
        let group = build::udp(A6, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), 5, 7, b"x");
        assert!(about(&group).is_some(), "too big may be about a group");
        assert_eq!(time_exceeded(&group, &Packet::parse(&group.bytes).unwrap(), ROUTER6), None);
        let fragment =
            |protocol: u8| build::ip(A6, B6, 44, &[&[protocol, 0, 0, 8, 0, 0, 0, 9], &[0; 64][..]].concat());
        assert!(about(&fragment(17)).is_some(), "of a datagram that is no error");
        assert_eq!(about(&fragment(58)), None);
    }
}
