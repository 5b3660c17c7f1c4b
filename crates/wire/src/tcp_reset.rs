//! Answering a TCP segment with a reset.

use std::net::IpAddr;

use crate::{Frame, Packet, TcpFlags, Transport, build, checksum};

/// The reset that a host without the segment's connection answers it with (RFC 9293 section 3.5.2), back by the
/// way it came: addresses, ports and Ethernet addresses swapped. None for a reset, for what is no whole TCP
/// segment, and for one that is to or from more than one host.
pub fn tcp_reset(original: &Frame, packet: &Packet) -> Option<Frame> {
    let Transport::Tcp { src, dst, flags } = packet.transport() else { return None };
    let header = packet.transport_offset();
    if flags.contains(TcpFlags::RST)
        || packet.fragment().is_some()
        || original.bytes.len() < packet.end()
        || packet.eth_dst().is_multicast()
        || [packet.src(), packet.dst()].into_iter().any(is_group_or_nobody)
    {
        return None;
    }
    let number = |at: usize| {
        u32::from(checksum::load(&original.bytes, header + at)) << 16
            | u32::from(checksum::load(&original.bytes, header + at + 2))
    };
    let (sequence, acknowledged) = (number(4), number(8));
    let (numbers, answer) = if flags.contains(TcpFlags::ACK) {
        ((acknowledged, 0), TcpFlags::RST)
    } else {
        // SYN and FIN have a sequence number of their own.
        let controls =
            [TcpFlags::SYN, TcpFlags::FIN].into_iter().filter(|flag| flags.contains(*flag)).count();
        let len = packet.payload(&original.bytes).len() + controls;
        ((0, sequence.wrapping_add(len as u32)), TcpFlags::RST | TcpFlags::ACK)
    };
    let reset = build::segment(packet.dst(), packet.src(), (dst, src), numbers, 0, answer, b"");
    Some(reset.with_macs(packet.eth_dst(), packet.eth_src()))
}

fn is_group_or_nobody(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    address.is_multicast() || address.is_unspecified() || is_broadcast
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::Mac;

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const A6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    const B6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
    const MAC_A: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const MAC_B: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn answer(frame: &Frame) -> Option<Frame> {
        tcp_reset(frame, &Packet::parse(&frame.bytes).unwrap())
    }

    fn there(a: impl Into<IpAddr>, b: impl Into<IpAddr>, numbers: (u32, u32), flags: TcpFlags) -> Frame {
        build::segment(a, b, (5, 7), numbers, 9, flags, b"data").with_macs(MAC_A, MAC_B)
    }

    fn back(a: impl Into<IpAddr>, b: impl Into<IpAddr>, numbers: (u32, u32), flags: TcpFlags) -> Frame {
        build::segment(b, a, (7, 5), numbers, 0, flags, b"").with_macs(MAC_B, MAC_A)
    }

    #[test]
    fn an_acknowledged_number_is_the_reset_s_own() {
        let numbers = (100, 0x8000_0001);
        let flags = TcpFlags::ACK | TcpFlags::PSH;
        assert_eq!(answer(&there(A, B, numbers, flags)), Some(back(A, B, (0x8000_0001, 0), TcpFlags::RST)));
        assert_eq!(
            answer(&there(A6, B6, numbers, flags)),
            Some(back(A6, B6, (0x8000_0001, 0), TcpFlags::RST))
        );
    }

    #[test]
    fn else_the_segment_is_acknowledged_with_its_syn_and_fin() {
        let reset = TcpFlags::RST | TcpFlags::ACK;
        let sent = |flags| answer(&there(A, B, (u32::MAX, 77), flags));
        assert_eq!(sent(TcpFlags(0)), Some(back(A, B, (0, 3), reset)));
        assert_eq!(sent(TcpFlags::SYN), Some(back(A, B, (0, 4), reset)));
        assert_eq!(sent(TcpFlags::SYN | TcpFlags::FIN), Some(back(A, B, (0, 5), reset)));
    }

    #[test]
    fn none_for_resets_and_what_is_no_segment_of_one_host() {
        assert_eq!(answer(&there(A, B, (1, 2), TcpFlags::RST | TcpFlags::ACK)), None);
        assert_eq!(answer(&build::udp(A, B, 5, 7, b"x")), None);
        assert_eq!(answer(&there(A, Ipv4Addr::BROADCAST, (1, 2), TcpFlags::SYN)), None);
        assert_eq!(answer(&there(A, B, (1, 2), TcpFlags::SYN).with_macs(MAC_A, Mac::BROADCAST)), None);
    }
}
