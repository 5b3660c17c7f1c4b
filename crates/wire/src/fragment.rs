//! Cutting packets that are too long for a link (RFC 791 section 3.2).

use smoltcp::wire::{Ipv4Packet, UdpPacket};

use crate::{ETHERNET_LEN, Frame, Packet, build};

/// Every link carries this much (RFC 791): enough for the longest header and eight bytes of data.
const SMALLEST_MTU: usize = 68;

/// Cuts the packet of a frame into fragments that fit an MTU (in bytes, IP header included), in order. The
/// caller has seen that DF is not set. A checksum that was left to the kernel is completed first, since it
/// covers the whole datagram. A fragment can be cut again. A frame of several UDP datagrams (GSO) becomes
/// those datagrams, each cut if need be; one of TCP segments becomes one datagram. IPv6 is cut by its senders
/// alone (RFC 8200 section 5): nothing comes of such a packet, nor of one that is not the frame's.
pub fn split(frame: &Frame, packet: &Packet, mtu: usize) -> Vec<Frame> {
    let mtu = mtu.max(SMALLEST_MTU);
    if frame.bytes.len() < packet.end() || packet.src().is_ipv6() {
        return Vec::new();
    }
    let mut whole = Frame { offload: frame.offload, bytes: frame.bytes[..packet.end()].to_vec() };
    if frame.offload.is_udp_segments() {
        return datagrams(&whole, packet).iter().flat_map(|datagram| cut(datagram, packet, mtu)).collect();
    }
    whole.finish_checksum();
    cut(&whole, packet, mtu)
}

/// The UDP datagrams of a GSO frame.
fn datagrams(frame: &Frame, packet: &Packet) -> Vec<Frame> {
    let (headers, payload) = frame.bytes.split_at(packet.payload_offset());
    // As they are now: the frame may have been edited since it was parsed.
    let ip = Ipv4Packet::new_unchecked(&headers[ETHERNET_LEN..]);
    let (src, dst) = (ip.src_addr(), ip.dst_addr());
    let segments = payload.chunks(usize::from(frame.offload.gso_size).max(1));
    let one = |(number, segment): (usize, &[u8])| {
        let mut datagram = Frame::new([headers, segment].concat());
        let (before, transport) = datagram.bytes.split_at_mut(packet.transport_offset());
        let mut ip = Ipv4Packet::new_unchecked(&mut before[ETHERNET_LEN..]);
        let id = ip.ident().wrapping_add(number as u16);
        ip.set_ident(id);
        ip.set_total_len((packet.transport_offset() - ETHERNET_LEN + transport.len()) as u16);
        ip.fill_checksum();
        let len = transport.len() as u16;
        let mut udp = UdpPacket::new_unchecked(transport);
        udp.set_len(len);
        udp.fill_checksum(&src.into(), &dst.into());
        datagram
    };
    segments.enumerate().map(one).collect()
}

/// The fragments of a complete packet that ends where its frame ends; `packet` says where its headers are.
fn cut(frame: &Frame, packet: &Packet, mtu: usize) -> Vec<Frame> {
    if frame.bytes.len() - ETHERNET_LEN <= mtu {
        return vec![Frame::new(frame.bytes.clone())];
    }
    let (headers, data) = frame.bytes.split_at(packet.transport_offset());
    let step = (mtu - (headers.len() - ETHERNET_LEN)) & !7;
    let (base, more) = packet.fragment().map_or((0, false), |fragment| (fragment.offset, fragment.more));
    let count = data.len().div_ceil(step);
    let one = |(number, part): (usize, &[u8])| {
        let mut fragment = Frame::new([headers, part].concat());
        if number > 0 {
            blank_options(&mut fragment.bytes[ETHERNET_LEN + 20..headers.len()]);
        }
        let mut ip = Ipv4Packet::new_unchecked(&mut fragment.bytes[ETHERNET_LEN..]);
        ip.set_total_len((headers.len() - ETHERNET_LEN + part.len()) as u16);
        ip.set_frag_offset(base + (number * step) as u16);
        ip.set_more_frags(more || number + 1 < count);
        build::fill_ipv4_checksum(&mut fragment);
        fragment
    };
    data.chunks(step).enumerate().map(one).collect()
}

/// Turns the options that only the first fragment has (copied flag clear, RFC 791 section 3.1) into padding.
fn blank_options(mut options: &mut [u8]) {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const COPIED: u8 = 0x80;
    loop {
        let len = match *options {
            [] | [END, ..] => return,
            [NO_OPERATION, ..] => 1,
            [_, len, ..] => usize::from(len).max(2),
            [_] => return,
        };
        let Some((option, rest)) = options.split_at_mut_checked(len) else { return };
        if option[0] & COPIED == 0 {
            option.fill(NO_OPERATION);
        }
        options = rest;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{Fragment, Offload, Transport};

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn parsed(frame: &Frame) -> Packet {
        Packet::parse(&frame.bytes).unwrap()
    }

    #[test]
    fn a_packet_that_fits_stays_one() {
        let frame = build::udp(A, B, 5, 7, &[1; 100]).with_dont_fragment(false);
        assert_eq!(split(&frame, &parsed(&frame), 128), [frame]);
    }

    #[test]
    fn fragments_in_order() {
        let frame = build::udp(A, B, 5, 7, &[1; 3000]).with_dont_fragment(false);
        let parts = split(&frame, &parsed(&frame), 1500);
        let places: Vec<_> = parts.iter().map(|part| parsed(part).fragment().unwrap()).collect();
        let place = |offset, more| Fragment { id: 0, offset, more };
        assert_eq!(places, [place(0, true), place(1480, true), place(2960, false)]);
        assert_eq!(parsed(&parts[0]).transport(), Transport::Udp { src: 5, dst: 7 });
        assert_eq!(parsed(&parts[1]).transport(), Transport::Fragment);
    }

    #[test]
    fn a_fragment_is_cut_again() {
        let frame = build::udp(A, B, 5, 7, &[1; 3000]).with_dont_fragment(false);
        let middle = &split(&frame, &parsed(&frame), 1500)[1];
        let parts = split(middle, &parsed(middle), 1000);
        let places: Vec<_> = parts.iter().map(|part| parsed(part).fragment().unwrap()).collect();
        let place = |offset| Fragment { id: 0, offset, more: true };
        assert_eq!(places, [place(1480), place(1480 + 976)]);
    }

    #[test]
    fn a_partial_checksum_is_completed_over_the_whole() {
        let frame = build::udp(A, B, 5, 7, &[1; 3000]).with_dont_fragment(false);
        let mut partial = frame.clone().with_partial_checksum();
        partial.bytes.extend([0xee; 9]);
        assert_eq!(split(&partial, &parsed(&partial), 1500), split(&frame, &parsed(&frame), 1500));
    }

    #[test]
    fn datagrams_of_an_edited_gso_frame_have_their_new_addresses_summed() {
        let edit = crate::Rewrite { src: Some(Ipv4Addr::new(203, 0, 113, 13).into()), ..Default::default() };
        let mut frame = build::udp(A, B, 5, 7, &[1; 2400]).with_dont_fragment(false).with_partial_checksum();
        frame.offload = Offload { gso_type: 5, gso_size: 1200, ..frame.offload };
        let packet = parsed(&frame);
        edit.apply(&mut frame, &packet).unwrap();
        let expected = build::udp(Ipv4Addr::new(203, 0, 113, 13), B, 5, 7, &[1; 1200]);
        assert_eq!(split(&frame, &packet, 1500)[0], expected.with_dont_fragment(false));
    }

    #[test]
    fn datagrams_of_a_gso_frame_stay_datagrams() {
        let payload: Vec<u8> = (0..2500).map(|n| n as u8).collect();
        let mut frame = build::udp(A, B, 5, 7, &payload).with_dont_fragment(false).with_partial_checksum();
        frame.offload = Offload { gso_type: 5, gso_size: 1200, ..frame.offload };
        let parts = split(&frame, &parsed(&frame), 1500);
        let expected: Vec<_> = payload
            .chunks(1200)
            .zip(0..)
            .map(|(segment, id)| {
                let mut datagram = build::udp(A, B, 5, 7, segment).with_dont_fragment(false);
                datagram.bytes[19] = id;
                build::fill_ipv4_checksum(&mut datagram);
                datagram
            })
            .collect();
        assert_eq!(parts, expected);
        assert_eq!(split(&frame, &parsed(&frame), 1000).len(), 2 + 2 + 1);
    }

    #[test]
    fn options_of_later_fragments() {
        let mut options = [1, 7, 3, 4, 0x94, 4, 0, 0, 7, 3, 9, 0];
        blank_options(&mut options);
        assert_eq!(options, [1, 1, 1, 1, 0x94, 4, 0, 0, 1, 1, 1, 0]);
        let mut cut = [7, 9, 1];
        blank_options(&mut cut);
        assert_eq!(cut, [7, 9, 1]);
    }
}
