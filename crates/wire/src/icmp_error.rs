//! ICMP errors of our own.

use std::net::{IpAddr, Ipv4Addr};

use crate::{ETHERNET_LEN, Frame, Packet, Transport, build};

/// An ICMP error is at most this long (RFC 1812 section 4.3.2.3).
const LONGEST: usize = 576;

/// "Fragmentation needed and DF set" (RFC 792, RFC 1191) about a packet that does not fit a link of this
/// MTU, back to its sender by the way it came: Ethernet addresses swapped. `from` is the address of the
/// router that says so. None where RFC 1812 section 4.3.2.7 forbids an error: about an ICMP error, a
/// fragment after the first, to or from more than one host.
pub fn fragmentation_needed(original: &Frame, packet: &Packet, from: Ipv4Addr, mtu: u16) -> Option<Frame> {
    let one_host = |address: IpAddr| match address {
        IpAddr::V4(address) => {
            !address.is_multicast()
                && !address.is_broadcast()
                && !address.is_unspecified()
                && !address.is_loopback()
        }
        IpAddr::V6(_) => false,
    };
    let about_error_or_part = match packet.transport() {
        // 4, 5: source quench and redirect count as errors too (RFC 1122 section 3.2.2).
        Transport::Icmp { kind, .. } => matches!(kind, 3 | 4 | 5 | 11 | 12),
        Transport::Fragment => true,
        _ => false,
    };
    if about_error_or_part
        || !one_host(packet.src())
        || !one_host(packet.dst())
        || packet.eth_dst().is_multicast()
        || original.bytes.len() < packet.end()
    {
        return None;
    }
    let longest_quote = LONGEST - 28;
    let quote = &original.bytes[ETHERNET_LEN..packet.end().min(ETHERNET_LEN + longest_quote)];
    let [high, low] = mtu.to_be_bytes();
    let mut error = build::icmp(from, packet.src(), 3, 4, [0, 0, high, low], quote);
    // Precedence "internetwork control" (RFC 1812 section 4.3.2.5).
    error.bytes[ETHERNET_LEN + 1] = 0xc0;
    build::fill_ipv4_checksum(&mut error);
    Some(error.with_macs(packet.eth_dst(), packet.eth_src()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FlowProto, Mac};

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const MAC_A: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const MAC_B: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn about(frame: &Frame) -> Option<Frame> {
        fragmentation_needed(frame, &Packet::parse(&frame.bytes).unwrap(), ROUTER, 1400)
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
}
