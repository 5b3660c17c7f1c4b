//! Translation between the families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use wire::nat64::{self, WELL_KNOWN_PREFIX};
use wire::{Frame, Offload, Packet, Rewrite, Untranslatable, fragment};

use crate::packets::{
    config, extensions, frame_of, icmp_error_of, recomputed, transport_offset, v4, v6, with_extensions, word,
};

fn parsed(frame: &Frame) -> Packet {
    Packet::parse(&frame.bytes).unwrap()
}

fn to(src: impl Into<IpAddr>, dst: impl Into<IpAddr>) -> Rewrite {
    Rewrite { src: Some(src.into()), dst: Some(dst.into()), ..Rewrite::default() }
}

fn translated(frame: &Frame, edit: &Rewrite) -> Result<Frame, Untranslatable> {
    let mut edited = frame.clone();
    edit.apply(&mut edited, &parsed(frame))?;
    Ok(edited)
}

/// Without what IPv4 has and IPv6 has not: identification and DF.
fn blank(frame: &Frame) -> Frame {
    let mut frame = frame.clone();
    frame.bytes[18..22].fill(0);
    recomputed(&frame)
}

fn has_no_udp_checksum(frame: &Frame) -> bool {
    let start = transport_offset(frame);
    parsed(frame).protocol() == 17 && frame.bytes[start + 6..start + 8] == [0, 0]
}

fn embedded(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => nat64::embed(WELL_KNOWN_PREFIX, 96, address).unwrap(),
        IpAddr::V6(address) => address,
    }
}

proptest! {
    #![proptest_config(config(700))]

    #[test]
    fn ipv4_there_and_back(frame in frame_of(false, 300), src in v6(), dst in v6()) {
        let packet = parsed(&frame);
        let there = translated(&frame, &to(src, dst)).unwrap();
        let (after, expected) = (parsed(&there), recomputed(&there));
        prop_assert_eq!(&there, &expected, "all checksums are right");
        prop_assert_eq!((after.src(), after.dst()), (src.into(), dst.into()));
        prop_assert_eq!(after.payload(&there.bytes), packet.payload(&frame.bytes));
        prop_assert_eq!(after.total_len(), packet.total_len() + 20);
        prop_assert!(!has_no_udp_checksum(&there), "IPv6 demands one");
        if !has_no_udp_checksum(&frame) {
            let back = translated(&there, &to(packet.src(), packet.dst())).unwrap();
            prop_assert_eq!(blank(&back), blank(&frame));
        }
    }

    #[test]
    fn ipv6_there_and_back(
        frame in frame_of(true, 1300),
        extensions in extensions(),
        src in v4(),
        dst in v4(),
        ports in (word(), word()),
    ) {
        let packet = parsed(&frame);
        let edit = Rewrite { src_port: Some(ports.0), dst_port: Some(ports.1), hops: 1, ..to(src, dst) };
        let there = translated(&with_extensions(&frame, &extensions), &edit).unwrap();
        let (after, expected) = (parsed(&there), recomputed(&there));
        prop_assert_eq!(&there, &expected, "all checksums are right");
        prop_assert_eq!((after.src(), after.dst()), (src.into(), dst.into()));
        prop_assert_eq!(after.payload(&there.bytes), packet.payload(&frame.bytes));
        prop_assert_eq!((after.total_len(), after.ttl()), (packet.total_len() - 20, 63));
        let atomic = extensions.contains(&(44, 0));
        prop_assert_eq!(after.dont_fragment(), after.total_len() > 1260 && !atomic);

        if !has_no_udp_checksum(&frame) {
            let plain = translated(&frame, &to(src, dst)).unwrap();
            prop_assert_eq!(translated(&plain, &to(packet.src(), packet.dst())), Ok(frame));
        }
    }

    #[test]
    fn a_partial_checksum_is_still_right_in_the_other_family(
        frame in any::<bool>().prop_flat_map(|is_v6| frame_of(is_v6, 100)),
        (a, b) in (v4(), v4()),
        (c, d) in (v6(), v6()),
        ports in (word(), word()),
    ) {
        // What would have no checksum gets one.
        let is_v6 = parsed(&frame).src().is_ipv6();
        let edit = if is_v6 { to(a, b) } else { to(c, d) };
        let edit = Rewrite { src_port: Some(ports.0), dst_port: Some(ports.1), ..edit };
        let partial = frame.clone().with_partial_checksum();
        let mut late = translated(&partial, &edit).unwrap();
        prop_assert_eq!(late.offload.validate(&late.bytes), Ok(()));
        late.finish_checksum();
        if !has_no_udp_checksum(&frame) {
            let mut early = translated(&frame, &edit).unwrap();
            // The kernel sends the other zero for TCP too.
            let field = transport_offset(&early) + 16;
            if parsed(&early).protocol() == 6 && late.bytes[field..field + 2] == [0xff, 0xff] {
                early.bytes[field..field + 2].fill(0xff);
            }
            prop_assert_eq!(blank_if_v4(&late), blank_if_v4(&early));
        }
    }

    #[test]
    fn an_error_is_right_outside_and_inside_in_the_other_family(
        error in any::<bool>().prop_flat_map(icmp_error_of),
        (a, b, c, d) in (v4(), v4(), v4(), v4()),
        ports in (word(), word()),
    ) {
        let packet = parsed(&error);
        let is_v6 = packet.src().is_ipv6();
        let four = |address: Ipv4Addr| if is_v6 { IpAddr::V4(address) } else { embedded(address.into()).into() };
        let (outer, inner) = (to(four(a), four(b)), to(four(c), four(d)));
        let inner = Rewrite { src_port: Some(ports.0), dst_port: Some(ports.1), ..inner };
        let mut edited = error.clone();
        let done = outer.apply_quoted(&mut edited, &packet, &inner);
        prop_assert_eq!(done, outer.possible(&error, &packet, &inner));
        if done.is_err() {
            prop_assert_eq!(&edited, &error);
            return Ok(());
        }
        let after = parsed(&edited);
        prop_assert_eq!(after.verify_icmp(&edited), Ok(()));
        prop_assert!(after.is_icmp_error());
        prop_assert_eq!((after.src(), after.dst()), (four(a), four(b)));
        let quoted = after.quoted().unwrap();
        prop_assert_eq!((quoted.src(), quoted.dst()), (four(c), four(d)));
        let whole = Frame::new([&edited.bytes[..14], &edited.bytes[quoted.ip_offset()..]].concat());
        if Packet::parse(&whole.bytes).is_ok() {
            prop_assert_eq!(&whole, &recomputed(&whole));
        }
    }

    #[test]
    fn a_corrupt_packet_stays_corrupt(
        frame in any::<bool>().prop_flat_map(|is_v6| prop_oneof![frame_of(is_v6, 100), icmp_error_of(is_v6)]),
        place in any::<prop::sample::Index>(),
        flip in 1..=255u8,
    ) {
        let start = transport_offset(&frame);
        let (a, b): (IpAddr, IpAddr) = match parsed(&frame).src() {
            IpAddr::V4(_) => (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::UNSPECIFIED.into()),
            IpAddr::V6(_) => (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::BROADCAST.into()),
        };
        let mut corrupt = frame.clone();
        // Behind what is looked at: the data of a datagram, the sequence number of an echo.
        let Some(len) = frame.bytes.len().checked_sub(start + 8).filter(|len| *len > 0) else { return Ok(()) };
        corrupt.bytes[start + 8 + place.index(len)] ^= flip;
        let Ok(packet) = Packet::parse(&corrupt.bytes) else { return Ok(()) };
        if has_no_udp_checksum(&frame) || !matches!(packet.protocol(), 6 | 17 | 1 | 58) {
            return Ok(());
        }
        let mut edited = corrupt.clone();
        if to(a, b).apply_quoted(&mut edited, &packet, &to(a, b)).is_ok() {
            prop_assert_ne!(&edited, &recomputed(&edited));
        }
    }

    #[test]
    fn fragments_translated_fit_together(
        frame in frame_of(false, 3000),
        mtu in 600..1500u16,
        src in v6(),
        dst in v6(),
    ) {
        let frame = frame.with_dont_fragment(false);
        let packet = parsed(&frame);
        let edit = to(src, dst);
        let parts = fragment::split(&frame, &packet, edit.path_mtu(&packet, mtu).into());
        let mut data = Vec::<u8>::new();
        for (number, part) in parts.iter().enumerate() {
            let six = match translated(part, &edit) {
                Ok(six) => six,
                Err(reason) => {
                    let expected = match packet.protocol() {
                        1 => Untranslatable::FragmentedIcmp,
                        _ => Untranslatable::NoUdpChecksum,
                    };
                    prop_assert_eq!(reason, expected);
                    return Ok(());
                }
            };
            let after = parsed(&six);
            prop_assert!(after.total_len() <= usize::from(mtu));
            prop_assert_eq!(after.fragment().is_some(), parts.len() > 1);
            if let Some(place) = after.fragment() {
                prop_assert_eq!(usize::from(place.offset), data.len());
                prop_assert_eq!(place.more, number + 1 < parts.len());
            }
            data.extend(&six.bytes[after.transport_offset()..]);
            let back = translated(&six, &to(packet.src(), packet.dst())).unwrap();
            if parts.len() > 1 && !(number == 0 && has_no_udp_checksum(part)) {
                prop_assert_eq!(&back, part);
            }
        }
        let whole = recomputed(&translated(&frame, &edit).unwrap());
        prop_assert_eq!(&data[8.min(data.len())..], &whole.bytes[54 + 8.min(data.len())..]);
    }
}

fn blank_if_v4(frame: &Frame) -> Frame {
    let mut frame = frame.clone();
    if frame.bytes[14] >> 4 == 4 {
        // The identification is made of the bytes, which are not yet final while the checksum is partial.
        frame.bytes[18..20].fill(0);
        frame = recomputed(&frame);
    }
    Frame { offload: Offload::default(), ..frame }
}
