//! What holds for every packet: total parsing, edits that keep checksums right and can be undone, fragments
//! that fit together.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use wire::{
    FlowKey, FlowProto, Frame, Mac, Offload, Packet, Rewrite, TcpFlags, Transport, build, fragment, show,
};

/// A few values of each byte, so that special ones (zero, ones) are met often.
fn address() -> impl Strategy<Value = Ipv4Addr> {
    let byte = || prop_oneof![Just(0), Just(0xff), any::<u8>()];
    (byte(), byte(), byte(), byte()).prop_map(|(a, b, c, d)| Ipv4Addr::new(a, b, c, d))
}

fn word() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), Just(0xffff), any::<u16>()]
}

fn payload(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..most), (0..most).prop_map(|len| vec![0; len])]
}

/// TCP, UDP (also without checksum), echo and another protocol.
fn frame(most: usize) -> impl Strategy<Value = Frame> {
    (0..6, address(), address(), word(), word(), payload(most)).prop_map(
        |(kind, a, b, m, n, data)| match kind {
            0 => build::tcp(a, b, m, n, TcpFlags(n as u8), &data),
            1 => build::udp(a, b, m, n, &data),
            2 => {
                let mut frame = build::udp(a, b, m, n, &data);
                frame.bytes[40..42].fill(0);
                frame
            }
            3 => build::echo(a, b, true, m, n, &data),
            4 => build::echo(a, b, false, m, n, &data),
            _ => build::ip(a, b, 47, &data),
        },
    )
}

fn icmp_error() -> impl Strategy<Value = Frame> {
    (frame(64), address(), 20..200usize, prop_oneof![Just(3u8), Just(11), Just(12)]).prop_map(
        |(about, from, len, kind)| {
            let quote = &about.bytes[14..];
            build::icmp_error(from, Ipv4Addr::new(10, 0, 0, 1), kind, 1, &quote[..len.min(quote.len())])
        },
    )
}

fn rewrite() -> impl Strategy<Value = Rewrite> {
    let mac = || proptest::option::of(any::<[u8; 6]>().prop_map(Mac));
    let port = || proptest::option::of(word());
    let address = || proptest::option::of(address());
    (mac(), mac(), address(), address(), port(), port(), 0..3u8).prop_map(
        |(eth_src, eth_dst, src, dst, src_port, dst_port, hops)| Rewrite {
            eth_src,
            eth_dst,
            src: src.map(IpAddr::from),
            dst: dst.map(IpAddr::from),
            src_port,
            dst_port,
            hops,
        },
    )
}

fn flow() -> impl Strategy<Value = FlowKey> {
    let proto = prop_oneof![
        (word(), word()).prop_map(|(src, dst)| FlowProto::Tcp { src, dst }),
        (word(), word()).prop_map(|(src, dst)| FlowProto::Udp { src, dst }),
        (word(), any::<bool>()).prop_map(|(id, request)| FlowProto::Echo { id, request }),
        any::<(u8, u8)>().prop_map(|(kind, code)| FlowProto::Icmp { kind, code }),
        any::<u8>().prop_map(FlowProto::Other),
    ];
    (address(), address(), proto).prop_map(|(src, dst, proto)| FlowKey {
        src: src.into(),
        dst: dst.into(),
        proto,
    })
}

/// The one's complement sum, written in the plainest way: the oracle.
fn sum(bytes: &[u8]) -> u64 {
    let words =
        bytes.chunks(2).map(|word| u64::from(word[0]) << 8 | word.get(1).map_or(0, |low| u64::from(*low)));
    words.sum()
}

/// Complement of the folded sum.
fn complement(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The frame with all checksums computed anew (no options); a UDP checksum of zero stays.
fn recomputed(frame: &Frame) -> Frame {
    let mut frame = frame.clone();
    let bytes = &mut frame.bytes;
    bytes[24..26].fill(0);
    let header = complement(sum(&bytes[14..34]));
    bytes[24..26].copy_from_slice(&header.to_be_bytes());
    let protocol = u64::from(bytes[23]);
    let pseudo = sum(&bytes[26..34]) + protocol + (bytes.len() - 34) as u64;
    let (field, pseudo) = match protocol {
        6 => (50, pseudo),
        17 if bytes[40..42] == [0, 0] => return frame,
        17 => (40, pseudo),
        1 => (36, 0),
        _ => return frame,
    };
    bytes[field..field + 2].fill(0);
    let checksum = match complement(sum(&bytes[34..]) + pseudo) {
        0 if protocol == 17 => 0xffff,
        checksum => checksum,
    };
    bytes[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    frame
}

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

/// A failure prints its smallest input; no file of seeds is kept.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn any_bytes_are_parsed_shown_and_validated_without_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ethertype in prop_oneof![Just([8u8, 0]), Just([8, 6]), any::<[u8; 2]>()],
        right_checksum in any::<bool>(),
        header in any::<[u8; 10]>(),
    ) {
        let mut frame = Frame { offload: Offload::from_bytes(header), bytes };
        if frame.bytes.len() >= 34 {
            frame.bytes[12..14].copy_from_slice(&ethertype);
            frame.bytes[14] = 0x40 | frame.bytes[14] & 7;
            let end = 14 + usize::from(frame.bytes[14] & 15) * 4;
            // With a wrong checksum nothing behind the check would ever be met.
            if right_checksum && end > 26 && end <= frame.bytes.len() {
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
            let edit = Rewrite { src: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), src_port: Some(1), ..Rewrite::default() };
            edit.apply_quoted(&mut frame.clone(), &packet, &edit).unwrap();
            let _ = fragment::split(&frame, &packet, 68);
            let _ = wire::icmp_error::too_big(&frame, &packet, Ipv4Addr::LOCALHOST, 68);
        }
        frame.finish_checksum();
    }

    #[test]
    fn an_edit_is_as_good_as_computing_anew(frame in frame(100), edit in rewrite()) {
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
    fn a_partial_checksum_finishes_right_after_an_edit(frame in frame(100), edit in rewrite()) {
        let mut edited = frame.with_partial_checksum();
        let packet = Packet::parse(&edited.bytes).unwrap();
        edit.apply(&mut edited, &packet).unwrap();
        edited.finish_checksum();
        let mut expected = recomputed(&edited);
        // The kernel sends the other zero for TCP too.
        if edited.bytes.get(50..52) == Some(&[0xff, 0xff]) && packet.protocol() == 6 {
            expected.bytes[50..52].fill(0xff);
        }
        prop_assert_eq!(edited, expected);
    }

    #[test]
    fn edits_compose(frame in frame(40), first in rewrite(), later in rewrite()) {
        let packet = Packet::parse(&frame.bytes).unwrap();
        let (mut by_turns, mut at_once) = (frame.clone(), frame);
        first.apply(&mut by_turns, &packet).unwrap();
        later.apply(&mut by_turns, &packet).unwrap();
        first.then(later).apply(&mut at_once, &packet).unwrap();
        prop_assert_eq!(by_turns, at_once);
    }

    #[test]
    fn an_edited_error_is_right_outside_and_inside(
        error in icmp_error(),
        outer in rewrite(),
        inner in rewrite(),
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
            let whole = Frame::new([&[0; 14], &edited.bytes[42..]].concat());
            let was_whole = usize::from(error.bytes[44]) << 8 | usize::from(error.bytes[45]);
            if was_whole == error.bytes.len() - 42 {
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
    ) {
        for len in 0..frame.bytes.len() {
            prop_assert!(Packet::parse(&frame.bytes[..len]).is_err(), "{len}");
            prop_assert!(!show(&frame.bytes[..len]).to_string().is_empty());
        }
        let mut padded = frame.bytes.clone();
        padded.extend(vec![0xee; padding]);
        prop_assert_eq!(Packet::parse(&padded), Packet::parse(&frame.bytes));
    }

    #[test]
    fn fragments_fit_and_make_the_whole(frame in frame(20_000), mtu in 68..9001usize) {
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
