//! What holds for every packet: total parsing, edits that keep checksums right and can be undone, fragments
//! that fit together, translation there and back.

#[cfg(test)]
mod packets;
#[cfg(test)]
mod translation;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use wire::{Frame, Offload, Packet, Rewrite, Transport, fragment, nd, show};

use crate::packets::{
    complement, config, extensions, flow, frame, frame_of, icmp_error, icmp_error_of, recomputed, rewrite_of,
    sum, with_extensions,
};

/// The edit that puts back what the packet had.
fn inverse(edit: &Rewrite, packet: &Packet) -> Rewrite {
    let (src_port, dst_port) = match packet.transport() {
        Transport::Tcp { src, dst, .. } | Transport::Udp { src, dst } => (src, dst),
        Transport::Echo { id, .. } => (id, id),
        _ => (0, 0),
    };
    Rewrite {
        eth_src: edit.eth_src.map(|_| packet.eth_src()),
        eth_dst: edit.eth_dst.map(|_| packet.eth_dst()),
        src: edit.src.map(|_| packet.src()),
        dst: edit.dst.map(|_| packet.dst()),
        src_port: edit.src_port.map(|_| src_port),
        dst_port: edit.dst_port.map(|_| dst_port),
        hops: 0,
    }
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn any_bytes_are_parsed_shown_and_validated_without_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ethertype in prop_oneof![Just([8u8, 0]), Just([8, 6]), Just([0x86, 0xdd]), any::<[u8; 2]>()],
        right in any::<bool>(),
        header in any::<[u8; 10]>(),
        next in prop_oneof![Just(0u8), Just(43), Just(44), Just(58), Just(60), any::<u8>()],
    ) {
        let mut frame = Frame { offload: Offload::from_bytes(header), bytes };
        if frame.bytes.len() >= 34 {
            frame.bytes[12..14].copy_from_slice(&ethertype);
            frame.bytes[14] = if ethertype == [0x86, 0xdd] { 0x60 } else { 0x40 | frame.bytes[14] & 7 };
            let end = 14 + usize::from(frame.bytes[14] & 15) * 4;
            // With a wrong checksum or length nothing behind the check would ever be met.
            if right && ethertype == [0x86, 0xdd] {
                frame.bytes[18] = 0;
                frame.bytes[19] = frame.bytes.len().saturating_sub(54) as u8;
                frame.bytes[20] = next;
            } else if right && end > 26 && end <= frame.bytes.len() {
                frame.bytes[16] = 0;
                frame.bytes[24..26].fill(0);
                let checksum = complement(sum(&frame.bytes[14..end]));
                frame.bytes[24..26].copy_from_slice(&checksum.to_be_bytes());
            }
        }
        prop_assert!(!show(&frame.bytes).to_string().is_empty());
        let _ = wire::arp::parse(&frame.bytes);
        let _ = frame.offload.validate(&frame.bytes);
        if let Ok(packet) = Packet::parse(&frame.bytes) {
            let _ = packet.verify_icmp(&frame);
            let _ = packet.mtu_len(&frame.offload);
            let _ = nd::parse(&frame, &packet);
            let localhosts: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            for to in localhosts {
                let edit = Rewrite { src: Some(to), dst: Some(to), src_port: Some(1), ..Rewrite::default() };
                let mut edited = frame.clone();
                let possible = edit.possible(&frame, &packet, &edit);
                prop_assert_eq!(edit.apply_quoted(&mut edited, &packet, &edit), possible);
                prop_assert!(possible.is_ok() || edited == frame);
                if possible.is_ok() {
                    let after = Packet::parse(&edited.bytes).unwrap();
                    prop_assert_eq!((after.src(), after.dst()), (to, to));
                }
                prop_assert!(edit.path_mtu(&packet, 1500) >= 1280);
                let _ = wire::icmp_error::too_big(&frame, &packet, to, 68);
            }
            let _ = fragment::split(&frame, &packet, 68);
            let _ = wire::tcp_reset(&frame, &packet);
        }
        frame.finish_checksum();
    }

    #[test]
    fn an_edit_is_as_good_as_computing_anew(
        (frame, edit) in any::<bool>().prop_flat_map(|is_v6| (frame_of(is_v6, 100), rewrite_of(is_v6))),
        extensions in extensions(),
    ) {
        let is_v6 = frame.bytes[14] >> 4 == 6;
        let frame = if is_v6 { with_extensions(&frame, &extensions) } else { frame };
        let packet = Packet::parse(&frame.bytes).unwrap();
        let mut edited = frame.clone();
        edit.apply(&mut edited, &packet).unwrap();
        prop_assert_eq!(&edited, &recomputed(&edited));
        let after = Packet::parse(&edited.bytes).unwrap();
        prop_assert_eq!(after.src(), edit.src.unwrap_or(packet.src()));
        prop_assert_eq!(after.dst(), edit.dst.unwrap_or(packet.dst()));
        prop_assert_eq!(after.payload(&edited.bytes), packet.payload(&frame.bytes));
        inverse(&edit, &packet).apply(&mut edited, &packet).unwrap();
        prop_assert_eq!(edited.with_ttl(packet.ttl()), frame);
    }

    #[test]
    fn a_partial_checksum_finishes_right_after_an_edit(
        (frame, edit) in any::<bool>().prop_flat_map(|is_v6| (frame_of(is_v6, 100), rewrite_of(is_v6))),
    ) {
        let mut edited = frame.with_partial_checksum();
        let packet = Packet::parse(&edited.bytes).unwrap();
        edit.apply(&mut edited, &packet).unwrap();
        edited.finish_checksum();
        let mut expected = recomputed(&edited);
        // The kernel sends the other zero for TCP too.
        let field = packet.transport_offset() + 16;
        if edited.bytes.get(field..field + 2) == Some(&[0xff, 0xff]) && packet.protocol() == 6 {
            expected.bytes[field..field + 2].fill(0xff);
        }
        prop_assert_eq!(edited, expected);
    }

    #[test]
    fn edits_compose(
        (frame, first, later) in any::<bool>().prop_flat_map(|is_v6| {
            (frame_of(is_v6, 40), rewrite_of(is_v6), rewrite_of(is_v6))
        }),
    ) {
        let packet = Packet::parse(&frame.bytes).unwrap();
        let (mut by_turns, mut at_once) = (frame.clone(), frame);
        first.apply(&mut by_turns, &packet).unwrap();
        later.apply(&mut by_turns, &packet).unwrap();
        first.then(later).apply(&mut at_once, &packet).unwrap();
        prop_assert_eq!(by_turns, at_once);
    }

    #[test]
    fn an_edited_error_is_right_outside_and_inside(
        (error, outer, inner) in any::<bool>().prop_flat_map(|is_v6| {
            (icmp_error_of(is_v6), rewrite_of(is_v6), rewrite_of(is_v6))
        }),
    ) {
        let packet = Packet::parse(&error.bytes).unwrap();
        let mut edited = error.clone();
        outer.apply_quoted(&mut edited, &packet, &inner).unwrap();
        let after = Packet::parse(&edited.bytes).unwrap();
        prop_assert_eq!(after.verify_icmp(&edited), Ok(()));
        if let Some(quoted) = packet.quoted() {
            // That it parses says that its header checksum is right.
            let changed = after.quoted().unwrap();
            prop_assert_eq!(changed.src(), inner.src.unwrap_or(quoted.src()));
            prop_assert_eq!(changed.dst(), inner.dst.unwrap_or(quoted.dst()));
            let whole = Frame::new([&edited.bytes[..14], &edited.bytes[quoted.ip_offset()..]].concat());
            if Packet::parse(&whole.bytes).is_ok() {
                prop_assert_eq!(&whole, &recomputed(&whole));
            }
        } else {
            prop_assert_eq!(after.quoted(), None);
        }
    }

    #[test]
    fn there_and_back_is_the_same_flow(key in flow()) {
        prop_assert_eq!(key.reversed().reversed(), key);
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn every_truncation_is_parsed_without_panic(
        frame in prop_oneof![frame(40), icmp_error()],
        padding in 0..20usize,
        extensions in extensions(),
    ) {
        let is_v6 = frame.bytes[14] >> 4 == 6;
        let frame = if is_v6 { with_extensions(&frame, &extensions) } else { frame };
        for len in 0..frame.bytes.len() {
            prop_assert!(Packet::parse(&frame.bytes[..len]).is_err(), "{len}");
            prop_assert!(!show(&frame.bytes[..len]).to_string().is_empty());
        }
        let mut padded = frame.bytes.clone();
        padded.extend(vec![0xee; padding]);
        prop_assert_eq!(Packet::parse(&padded), Packet::parse(&frame.bytes));
    }

    #[test]
    fn fragments_fit_and_make_the_whole(frame in frame_of(false, 20_000), mtu in 68..9001usize) {
        let frame = frame.with_dont_fragment(false);
        let packet = Packet::parse(&frame.bytes).unwrap();
        let mut data = Vec::<u8>::new();
        let parts = fragment::split(&frame, &packet, mtu);
        for (number, part) in parts.iter().enumerate() {
            let parsed = Packet::parse(&part.bytes).unwrap();
            prop_assert!(parsed.total_len() <= mtu);
            if let Some(place) = parsed.fragment() {
                prop_assert_eq!(usize::from(place.offset), data.len());
                prop_assert_eq!(place.more, number + 1 < parts.len());
            }
            data.extend(&part.bytes[34..]);
        }
        prop_assert_eq!(&data, &frame.bytes[34..]);
        prop_assert_eq!(parts.len() == 1, packet.total_len() <= mtu);
    }
}
