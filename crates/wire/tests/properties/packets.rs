//! Packets, edits, and the plainest way to sum: what the properties are stated with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use wire::{FlowKey, FlowProto, Frame, Mac, Packet, Rewrite, TcpFlags, build};

/// A failure prints its smallest input; no file of seeds is kept.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

/// Special bytes (zero, ones) are met often.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), Just(0xff), any::<u8>()]
}

pub(crate) fn v4() -> impl Strategy<Value = Ipv4Addr> {
    [byte(), byte(), byte(), byte()].prop_map(Ipv4Addr::from)
}

pub(crate) fn v6() -> impl Strategy<Value = Ipv6Addr> {
    prop_oneof![
        any::<[u8; 16]>().prop_map(Ipv6Addr::from),
        v4().prop_map(|address| wire::nat64::embed(wire::nat64::WELL_KNOWN_PREFIX, 96, address).unwrap()),
        Just(Ipv6Addr::UNSPECIFIED),
    ]
}

pub(crate) fn address(is_v6: bool) -> BoxedStrategy<IpAddr> {
    if is_v6 { v6().prop_map(IpAddr::from).boxed() } else { v4().prop_map(IpAddr::from).boxed() }
}

pub(crate) fn word() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), Just(0xffff), any::<u16>()]
}

fn payload(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..most), (0..most).prop_map(|len| vec![0; len])]
}

/// TCP, UDP (also without checksum), echo and another protocol.
pub(crate) fn frame_of(is_v6: bool, most: usize) -> impl Strategy<Value = Frame> {
    (0..6, address(is_v6), address(is_v6), word(), word(), payload(most)).prop_map(
        |(kind, a, b, m, n, data)| match kind {
            0 => build::tcp(a, b, m, n, TcpFlags(n as u8), &data),
            1 => build::udp(a, b, m, n, &data),
            2 => {
                let mut frame = build::udp(a, b, m, n, &data);
                let field = transport_offset(&frame) + 6;
                frame.bytes[field..field + 2].fill(0);
                frame
            }
            3 => build::echo(a, b, true, m, n, &data),
            4 => build::echo(a, b, false, m, n, &data),
            _ => build::ip(a, b, 47, &data),
        },
    )
}

pub(crate) fn frame(most: usize) -> impl Strategy<Value = Frame> {
    any::<bool>().prop_flat_map(move |is_v6| frame_of(is_v6, most))
}

/// Extension headers before what a frame of IPv6 has, with the chain's numbers and lengths right.
pub(crate) fn with_extensions(frame: &Frame, extensions: &[(u8, u8)]) -> Frame {
    let mut bytes = frame.bytes[..54].to_vec();
    let (mut next, protocol) = (20, frame.bytes[20]);
    for &(kind, units) in extensions {
        bytes[next] = kind;
        next = bytes.len();
        // The fragment header of all of a datagram is eight zeros; options of zeros are padding.
        let len = if kind == 44 { 8 } else { (usize::from(units) + 1) * 8 };
        bytes.extend(vec![0; len]);
        bytes[next + 1] = if kind == 44 { 0 } else { units };
    }
    bytes[next] = protocol;
    bytes.extend(&frame.bytes[54..]);
    let len = (bytes.len() - 54) as u16;
    bytes[18..20].copy_from_slice(&len.to_be_bytes());
    Frame { offload: frame.offload, bytes }
}

pub(crate) fn extensions() -> impl Strategy<Value = Vec<(u8, u8)>> {
    let kind = prop_oneof![Just(43u8), Just(60), Just(60)];
    (any::<bool>(), proptest::collection::vec((kind, 0..4u8), 0..4), any::<bool>()).prop_map(
        |(hop_by_hop, mut chain, atomic)| {
            if hop_by_hop {
                chain.insert(0, (0, 1));
            }
            if atomic {
                chain.push((44, 0));
            }
            chain
        },
    )
}

/// An error of a family about a packet of that family, which it may quote too short.
pub(crate) fn icmp_error_of(is_v6: bool) -> impl Strategy<Value = Frame> {
    let kind = if is_v6 {
        prop_oneof![Just(1u8), Just(2), Just(3), Just(4)]
    } else {
        prop_oneof![Just(3u8), Just(3), Just(11), Just(12)]
    };
    (frame_of(is_v6, 64), address(is_v6), address(is_v6), 20..200usize, kind, 0..5u8).prop_map(
        |(about, from, to, len, kind, code)| {
            let quote = &about.bytes[14..];
            build::icmp_error(from, to, kind, code, &quote[..len.min(quote.len())])
        },
    )
}

pub(crate) fn icmp_error() -> impl Strategy<Value = Frame> {
    any::<bool>().prop_flat_map(icmp_error_of)
}

/// An edit that keeps the family, if the packet is of this one.
pub(crate) fn rewrite_of(is_v6: bool) -> impl Strategy<Value = Rewrite> {
    let mac = || proptest::option::of(any::<[u8; 6]>().prop_map(Mac));
    let port = || proptest::option::of(word());
    let address = || proptest::option::of(address(is_v6));
    (mac(), mac(), address(), address(), port(), port(), 0..3u8).prop_map(
        |(eth_src, eth_dst, src, dst, src_port, dst_port, hops)| Rewrite {
            eth_src,
            eth_dst,
            src,
            dst,
            src_port,
            dst_port,
            hops,
        },
    )
}

pub(crate) fn flow() -> impl Strategy<Value = FlowKey> {
    let proto = prop_oneof![
        (word(), word()).prop_map(|(src, dst)| FlowProto::Tcp { src, dst }),
        (word(), word()).prop_map(|(src, dst)| FlowProto::Udp { src, dst }),
        (word(), any::<bool>()).prop_map(|(id, request)| FlowProto::Echo { id, request }),
        any::<(u8, u8)>().prop_map(|(kind, code)| FlowProto::Icmp { kind, code }),
        any::<u8>().prop_map(FlowProto::Other),
    ];
    let addresses = any::<bool>().prop_flat_map(|is_v6| (address(is_v6), address(is_v6)));
    (addresses, proto).prop_map(|((src, dst), proto)| FlowKey { src, dst, proto })
}

/// The one's complement sum, written in the plainest way: the oracle.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let words =
        bytes.chunks(2).map(|word| u64::from(word[0]) << 8 | word.get(1).map_or(0, |low| u64::from(*low)));
    words.sum()
}

/// Complement of the folded sum.
pub(crate) fn complement(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

pub(crate) fn transport_offset(frame: &Frame) -> usize {
    Packet::parse(&frame.bytes).unwrap().transport_offset()
}

/// The frame with all checksums computed anew (no padding); a UDP checksum of zero stays.
pub(crate) fn recomputed(frame: &Frame) -> Frame {
    let mut frame = frame.clone();
    if frame.bytes[14] >> 4 == 4 {
        let end = 14 + usize::from(frame.bytes[14] & 15) * 4;
        frame.bytes[24..26].fill(0);
        let header = complement(sum(&frame.bytes[14..end]));
        frame.bytes[24..26].copy_from_slice(&header.to_be_bytes());
    }
    let packet = Packet::parse(&frame.bytes).unwrap();
    let (start, protocol) = (packet.transport_offset(), packet.protocol());
    let addresses = if packet.src().is_ipv6() { 22..54 } else { 26..34 };
    let bytes = &mut frame.bytes;
    let pseudo = sum(&bytes[addresses]) + u64::from(protocol) + (bytes.len() - start) as u64;
    let (field, pseudo) = match (protocol, packet.src()) {
        (6, _) => (start + 16, pseudo),
        (17, _) if bytes[start + 6..start + 8] == [0, 0] => return frame,
        (17, _) => (start + 6, pseudo),
        (1, IpAddr::V4(_)) => (start + 2, 0),
        (58, IpAddr::V6(_)) => (start + 2, pseudo),
        _ => return frame,
    };
    bytes[field..field + 2].fill(0);
    let checksum = match complement(sum(&bytes[start..]) + pseudo) {
        0 if protocol == 17 => 0xffff,
        checksum => checksum,
    };
    bytes[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    frame
}
