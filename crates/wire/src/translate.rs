//! Translation between IPv4 and IPv6 (RFC 7915), with addresses that somebody else has chosen.

mod header;
mod icmp;

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::checksum::{self, Change};
use crate::ip::{
    DESTINATION_OPTIONS, FRAGMENT, FRAGMENT_LEN, HOP_BY_HOP, ICMP, ICMPV6, IPV4_LEN, IPV6_LEN, IpHeader,
    ROUTING, UDP, Upper,
};
use crate::rewrite::{fix_checksum, is_partial};
use crate::{ETHERNET_LEN, Frame, Packet, Rewrite, Transport, Untranslatable};

/// IPv6's smallest MTU (RFC 8200 section 5), and the longest ICMPv6 error (RFC 4443 section 2.4).
pub(crate) const IPV6_MINIMUM_MTU: usize = 1280;

/// New addresses of the other family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Translation {
    ToV4 { src: Ipv4Addr, dst: Ipv4Addr },
    ToV6 { src: Ipv6Addr, dst: Ipv6Addr },
}

/// A translation that was found possible.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    translation: Translation,
    /// For an ICMP error: the translation of what it quotes, and its new first eight bytes without a checksum.
    error: Option<(Translation, icmp::Head)>,
}

impl Translation {
    /// The sum of the new addresses.
    fn addresses(self) -> u16 {
        match self {
            Translation::ToV4 { src, dst } => checksum::addresses(src.into(), dst.into()),
            Translation::ToV6 { src, dst } => checksum::addresses(src.into(), dst.into()),
        }
    }

    /// The pseudo header of the new family's ICMP: none in IPv4.
    fn icmp_pseudo_header(self, len: usize) -> u16 {
        match self {
            Translation::ToV4 { .. } => 0,
            Translation::ToV6 { src, dst } => checksum::pseudo_header(src.into(), dst.into(), ICMPV6, len),
        }
    }

    /// See [`Rewrite::path_mtu`].
    pub(crate) fn path_mtu(self, ip: &IpHeader, mtu: u16) -> u16 {
        let mtu = usize::from(mtu) + ip.len();
        let of_sender = match self {
            Translation::ToV4 { .. } => (mtu - IPV4_LEN).max(IPV6_MINIMUM_MTU),
            Translation::ToV6 { .. } => {
                let fragment = if ip.fragment.is_some() || !ip.dont_fragment { FRAGMENT_LEN } else { 0 };
                mtu.saturating_sub(IPV6_LEN + fragment)
            }
        };
        of_sender.min(0xffff) as u16
    }
}

/// See [`crate::nat64::icmp_error`].
pub(crate) fn icmp_error_kind(kind: u8, code: u8, to_v6: bool) -> Option<(u8, u8)> {
    let head = [kind, code, 0, 0, 0, 0, 0, 0];
    let translated = if to_v6 { icmp::to_v6(head, usize::MAX) } else { icmp::to_v4(head) };
    translated.map(|head| (head[0], head[1]))
}

/// Finds out whether a packet, and what it quotes, can be translated.
pub(crate) fn plan(
    translation: Translation,
    quoted: Option<Translation>,
    frame: &Frame,
    packet: &Packet,
) -> Result<Plan, Untranslatable> {
    let ip = packet.ip();
    header_possible(translation, ip)?;
    let message = frame.bytes.get(packet.transport_offset()..packet.end()).unwrap_or_default();
    match packet.transport() {
        Transport::Udp { .. } if matches!(translation, Translation::ToV6 { .. }) => {
            let no_checksum = message.get(6..8) == Some(&[0, 0]) && !is_partial(frame, packet);
            if no_checksum && ip.part().is_some() {
                return Err(Untranslatable::NoUdpChecksum);
            }
        }
        Transport::Icmp { .. } => {
            if !packet.is_icmp_error() {
                return Err(Untranslatable::Icmp);
            }
            let (Some(inner), Some(quoted)) = (packet.quoted(), quoted) else {
                return Err(Untranslatable::Quote);
            };
            // No error is about an error, so none is translated within one (RFC 7915 section 4.3).
            if matches!(inner.transport(), Transport::Icmp { .. })
                || header_possible(quoted, inner.ip()).is_err()
            {
                return Err(Untranslatable::Quote);
            }
            let head = message.first_chunk::<8>().ok_or(Untranslatable::Icmp)?;
            let head = match translation {
                Translation::ToV4 { .. } => icmp::to_v4(*head),
                Translation::ToV6 { .. } => icmp::to_v6(*head, inner.ip().total_len()),
            };
            return Ok(Plan { translation, error: Some((quoted, head.ok_or(Untranslatable::Icmp)?)) });
        }
        _ => {}
    }
    Ok(Plan { translation, error: None })
}

/// Translates a frame, which ends at the end of its packet afterwards.
pub(crate) fn apply(edit: &Rewrite, plan: &Plan, quoted: &Rewrite, frame: &mut Frame, packet: &Packet) {
    let (ip, start) = (packet.ip(), packet.transport_offset());
    let partial = is_partial(frame, packet);
    let mut message = frame.bytes[start..packet.end()].to_vec();
    match (plan.error, packet.quoted()) {
        (Some((translation, head)), Some(inner)) => {
            let bytes = &frame.bytes[inner.transport_offset()..inner.end()];
            let mut body = bytes.to_vec();
            let claimed = inner.ip().total_len() - inner.ip().len();
            translate_message(quoted, translation, inner.ip(), inner.transport(), &mut body, false, claimed);
            let len = inner.ip().total_len();
            let header = header::emit(translation, inner.ip(), quoted.hops, claimed, len, &body);
            message = error(plan.translation, ip, &message, head, &[header, body].concat());
        }
        _ => {
            let len = message.len();
            translate_message(edit, plan.translation, ip, packet.transport(), &mut message, partial, len);
        }
    }
    let longest = packet.mtu_len(&frame.offload);
    let header = header::emit(plan.translation, ip, edit.hops, message.len(), longest, &message);
    let ethertype: [u8; 2] = match plan.translation {
        Translation::ToV4 { .. } => [0x08, 0x00],
        Translation::ToV6 { .. } => [0x86, 0xdd],
    };
    frame.offload.header_moved(start, ETHERNET_LEN + header.len());
    frame.bytes = [&frame.bytes[..ETHERNET_LEN - 2], &ethertype, &header, &message].concat();
}

/// Whether a header can be said in the other family.
fn header_possible(translation: Translation, ip: &IpHeader) -> Result<(), Untranslatable> {
    const IGMP: u8 = 2;
    const NUMBERS_OF_EXTENSIONS: [u8; 4] = [HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS];
    let is_wrong_icmp = ip.upper() != Upper::Icmp && matches!(ip.protocol, ICMP | ICMPV6);
    if ip.source_route {
        Err(Untranslatable::SourceRoute)
    } else if ip.extensions_in_fragment
        || is_wrong_icmp
        || ip.protocol == IGMP
        || NUMBERS_OF_EXTENSIONS.contains(&ip.protocol)
    {
        Err(Untranslatable::Protocol)
    } else if ip.upper() == Upper::Icmp && ip.part().is_some() {
        Err(Untranslatable::FragmentedIcmp)
    } else if matches!(translation, Translation::ToV4 { .. }) && ip.total_len() - ip.len() + IPV4_LEN > 0xffff
    {
        Err(Untranslatable::TooLong)
    } else {
        Ok(())
    }
}

/// Edits and translates what follows a header; `claimed` is its length by the header, of which a quote may have
/// less.
fn translate_message(
    edit: &Rewrite,
    translation: Translation,
    ip: &IpHeader,
    transport: Transport,
    message: &mut [u8],
    partial: bool,
    claimed: usize,
) {
    let ports = edit.write_ports(message, transport);
    let addresses = checksum::addresses(ip.src, ip.dst);
    let is_udp = matches!(transport, Transport::Udp { .. });
    let is_whole = ip.part().is_none() && message.len() == claimed;
    if is_udp && is_whole && !partial && message.get(6..8) == Some(&[0, 0]) {
        sum_udp(translation, message);
        return;
    }
    match transport {
        Transport::Tcp { .. } | Transport::Udp { .. } => {
            let pseudo_header = Change::between(addresses, translation.addresses());
            fix_checksum(message, transport, partial, pseudo_header, ports);
        }
        Transport::Echo { request, .. } => {
            let kind = match (translation, request) {
                (Translation::ToV4 { .. }, true) => 8,
                (Translation::ToV4 { .. }, false) => 0,
                (Translation::ToV6 { .. }, true) => 128,
                (Translation::ToV6 { .. }, false) => 129,
            };
            let code = message.get(1).copied().unwrap_or(0);
            let kind = Change::write(message, 0, &[kind, code]);
            let before = match ip.is_v6() {
                true => checksum::pseudo_header(ip.src, ip.dst, ICMPV6, claimed),
                false => 0,
            };
            let pseudo_header = Change::between(before, translation.icmp_pseudo_header(claimed));
            fix_checksum(message, transport, partial, pseudo_header, ports.and(kind));
        }
        Transport::Icmp { .. } | Transport::Other | Transport::Fragment => {}
    }
}

/// Gives a UDP datagram the checksum that IPv4 did without; IPv4 does without one also hereafter.
fn sum_udp(translation: Translation, datagram: &mut [u8]) {
    let Translation::ToV6 { src, dst } = translation else { return };
    // What follows the datagram within its packet is not summed.
    let len = usize::from(checksum::load(datagram, 4)).clamp(8, datagram.len());
    let pseudo_header = checksum::pseudo_header(src.into(), dst.into(), UDP, len);
    let sum = !checksum::add(checksum::sum(&datagram[..len]), pseudo_header);
    checksum::store(datagram, 6, if sum == 0 { 0xffff } else { sum });
}

/// An ICMP error with a new head and a new quote. Extensions (RFC 4884) are left out. Its checksum is wrong by as
/// much as the old one was.
fn error(translation: Translation, ip: &IpHeader, old: &[u8], head: icmp::Head, quote: &[u8]) -> Vec<u8> {
    let longest_quote = match translation {
        Translation::ToV4 { .. } => usize::MAX,
        Translation::ToV6 { .. } => IPV6_MINIMUM_MTU - IPV6_LEN - head.len(),
    };
    let new = [&head, &quote[..quote.len().min(longest_quote)]].concat();
    let before = match ip.is_v6() {
        true => checksum::pseudo_header(ip.src, ip.dst, ICMPV6, old.len()),
        false => 0,
    };
    let was = checksum::add(checksum::sum(old), before);
    let is = checksum::add(checksum::sum(&new), translation.icmp_pseudo_header(new.len()));
    let sum = if was == 0xffff { !is } else { checksum::add(was, !is) };
    let mut new = new;
    checksum::store(&mut new, 2, sum);
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TcpFlags, build, fragment};

    const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const B: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
    const A6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    const B6: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0xc633, 0x6402);

    fn to_v4() -> Rewrite {
        Rewrite { src: Some(A.into()), dst: Some(B.into()), ..Rewrite::default() }
    }

    fn to_v6() -> Rewrite {
        Rewrite { src: Some(A6.into()), dst: Some(B6.into()), ..Rewrite::default() }
    }

    fn parsed(frame: &Frame) -> Packet {
        Packet::parse(&frame.bytes).unwrap()
    }

    fn applied(edit: Rewrite, frame: &Frame) -> Result<Frame, Untranslatable> {
        let mut edited = frame.clone();
        edit.apply(&mut edited, &parsed(frame))?;
        Ok(edited)
    }

    #[test]
    fn the_packet_of_the_other_family() {
        let edit = Rewrite { src_port: Some(40_000), hops: 1, ..to_v4() };
        let tcp = build::tcp(A6, B6, 5, 7, TcpFlags::SYN, &[1; 1400]);
        let expected = build::tcp(A, B, 40_000, 7, TcpFlags::SYN, &[1; 1400]).with_ttl(63);
        assert_eq!(applied(edit, &tcp), Ok(expected));
        let ping = build::echo(A, B, false, 5, 1, b"odd");
        assert_eq!(applied(to_v6(), &ping), Ok(build::echo(A6, B6, false, 5, 1, b"odd")));
        let gre = build::ip(A, B, 47, b"gre");
        assert_eq!(applied(to_v6(), &gre), Ok(build::ip(A6, B6, 47, b"gre")));
    }

    #[test]
    fn short_packets_may_be_cut_and_differ_in_identification() {
        let short = |data: &[u8]| {
            let frame = applied(to_v4(), &build::udp(A6, B6, 5, 7, data)).unwrap();
            (parsed(&frame).dont_fragment(), checksum::load(&frame.bytes, 18))
        };
        assert!(!short(&[0; 1232]).0);
        assert_eq!(short(&[0; 1233]), (true, 0));
        assert_ne!(short(b"one").1, short(b"two").1);
        let mut gso = build::udp(A6, B6, 5, 7, &[0; 4000]).with_partial_checksum();
        (gso.offload.gso_type, gso.offload.gso_size) = (5, 1200);
        assert!(!parsed(&applied(to_v4(), &gso).unwrap()).dont_fragment(), "no segment is long");
    }

    #[test]
    fn traffic_class_and_options() {
        let mut frame = build::udp(A, B, 5, 7, b"x");
        frame.bytes[15] = 0xb8;
        frame.bytes[14] = 0x46;
        frame.bytes.splice(34..34, [1, 1, 1, 0]);
        frame.bytes[17] += 4;
        checksum::store(&mut frame.bytes, 24, 0);
        let sum = !checksum::sum(&frame.bytes[14..38]);
        checksum::store(&mut frame.bytes, 24, sum);
        let six = applied(to_v6(), &frame).unwrap();
        let mut expected = build::udp(A6, B6, 5, 7, b"x");
        expected.bytes[14..16].copy_from_slice(&[0x6b, 0x80]);
        assert_eq!(six, expected);
        assert_eq!(applied(to_v4(), &six).unwrap().bytes[15], 0xb8);
    }

    #[test]
    fn a_datagram_without_checksum_gets_one() {
        let mut frame = build::udp(A, B, 5, 7, b"data");
        frame.bytes[40..42].fill(0);
        assert_eq!(applied(to_v6(), &frame), Ok(build::udp(A6, B6, 5, 7, b"data")));
        let mut long = build::udp(A, B, 5, 7, &[1; 600]).with_dont_fragment(false);
        long.bytes[40..42].fill(0);
        let parts = fragment::split(&long, &parsed(&long), 500);
        assert_eq!(applied(to_v6(), &parts[0]), Err(Untranslatable::NoUdpChecksum));
    }

    #[test]
    fn segmentation_goes_on() {
        let mut frame = build::tcp(A6, B6, 5, 7, TcpFlags::ACK, &[0; 9000]).with_partial_checksum();
        (frame.offload.gso_type, frame.offload.gso_size) = (4, 1400);
        let four = applied(to_v4(), &frame).unwrap();
        let mut expected = build::tcp(A, B, 5, 7, TcpFlags::ACK, &[0; 9000]).with_partial_checksum();
        (expected.offload.gso_type, expected.offload.gso_size) = (1, 1400);
        assert_eq!(four, expected);
        assert_eq!(four.offload.validate(&four.bytes), Ok(()));
        assert_eq!(applied(to_v6(), &four), Ok(frame));
    }

    #[test]
    fn an_error_and_what_it_quotes() {
        let router = Ipv4Addr::new(203, 0, 113, 9);
        let router6 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0xcb00, 0x7109);
        // What left as `sent` was `original` before.
        let original = build::udp(A6, B6, 5, 7, &[3; 1400]);
        let sent = build::udp(A, B, 40_000, 7, &[3; 1400]);
        let error = build::icmp(router, A, 3, 4, [0, 0, 0x05, 0x78], &sent.bytes[14..14 + 548]);
        let outer = Rewrite { src: Some(router6.into()), dst: Some(A6.into()), ..Rewrite::default() };
        let inner = Rewrite { src_port: Some(5), ..to_v6() };
        let mut edited = error.clone();
        outer.apply_quoted(&mut edited, &parsed(&error), &inner).unwrap();
        let expected = build::icmp(router6, A6, 2, 0, [0, 0, 0x05, 0x8c], &original.bytes[14..14 + 568]);
        assert_eq!(edited, expected);
        // And an error of an IPv6 host about an answer.
        let original = build::udp(A, B, 7, 40_000, b"answer");
        let sent = build::udp(A6, B6, 7, 5, b"answer");
        let error = build::icmp_error(B6, A6, 1, 4, &sent.bytes[14..]);
        let inner = Rewrite { dst_port: Some(40_000), ..to_v4() };
        let mut edited = error.clone();
        to_v4().apply_quoted(&mut edited, &parsed(&error), &inner).unwrap();
        let quote = &edited.bytes[42..];
        assert_eq!((edited.bytes[34], edited.bytes[35]), (3, 3));
        // The identification and DF of what was sent are not known.
        assert_eq!(quote[20..], original.bytes[34..]);
        assert_eq!(parsed(&edited).quoted().unwrap().flow_key(), parsed(&original).flow_key());
    }

    #[test]
    fn a_long_quote_is_cut_to_what_ipv6_allows() {
        let sent = build::udp(A, B, 5, 7, &[3; 1400]);
        let error = build::icmp_error(B, A, 3, 3, &sent.bytes[14..]);
        let mut edited = error.clone();
        to_v6().apply_quoted(&mut edited, &parsed(&error), &to_v6()).unwrap();
        let packet = parsed(&edited);
        assert_eq!((packet.total_len(), packet.verify_icmp(&edited)), (1280, Ok(())));
    }

    #[test]
    fn what_cannot_be_translated() {
        let fault = |edit: Rewrite, frame: &Frame| applied(edit, frame).unwrap_err();
        let half = Rewrite { src: Some(A.into()), ..Rewrite::default() };
        assert_eq!(fault(half, &build::udp(A6, B6, 5, 7, b"x")), Untranslatable::MixedFamilies);
        let inside = build::udp(A, B, 5, 7, b"x");
        let error = build::icmp_error(B, A, 3, 3, &inside.bytes[14..]);
        assert_eq!(fault(to_v6(), &error), Untranslatable::MixedFamilies, "what it quotes stays");
        assert_eq!(fault(to_v6(), &build::icmp_error(B, A, 3, 3, b"x")), Untranslatable::Quote);
        let nested = build::icmp_error(B, A, 3, 3, &error.bytes[14..]);
        let possible = to_v6().possible(&nested, &parsed(&nested), &to_v6());
        assert_eq!(possible, Err(Untranslatable::Quote));
        assert_eq!(fault(to_v6(), &build::icmp_error(B, A, 13, 0, &[0; 12])), Untranslatable::Icmp);
        assert_eq!(fault(to_v4(), &build::icmp_error(A6, B6, 135, 0, &[0; 16])), Untranslatable::Icmp);
        for protocol in [0, 2, 43, 44, 58, 60] {
            assert_eq!(fault(to_v6(), &build::ip(A, B, protocol, &[0; 8])), Untranslatable::Protocol);
        }
        assert_eq!(fault(to_v4(), &build::ip(A6, B6, 1, &[0; 8])), Untranslatable::Protocol);
        let options = [17, 0, 0, 1, 0, 0, 0, 9, 60, 0, 0, 0, 0, 0, 0, 0];
        let part = build::ip(
            A6,
            B6,
            44,
            &[&[60][..], &options[1..8], &[17], &options[9..], &[0, 5, 0, 7, 0, 99, 0, 0]].concat(),
        );
        assert_eq!(fault(to_v4(), &part), Untranslatable::Protocol, "options in the fragment");
        let routed = build::ip(A6, B6, 43, &[59, 0, 4, 1, 0, 0, 0, 0]);
        assert_eq!(fault(to_v4(), &routed), Untranslatable::SourceRoute);
        let ping = build::echo(A, B, true, 1, 1, &[0; 900]).with_dont_fragment(false);
        let parts = fragment::split(&ping, &parsed(&ping), 500);
        assert!(parts.iter().all(|part| fault(to_v6(), part) == Untranslatable::FragmentedIcmp));
        let longest = build::ip(A6, B6, 47, &[0; 0xffff]);
        assert_eq!(fault(to_v4(), &longest), Untranslatable::TooLong);
    }

    #[test]
    fn the_mtu_that_the_sender_has_to_know() {
        let mtu = |edit: Rewrite, frame: &Frame, mtu| edit.path_mtu(&parsed(frame), mtu);
        let (four, six) = (build::udp(A, B, 5, 7, b"x"), build::udp(A6, B6, 5, 7, b"x"));
        assert_eq!(mtu(to_v4(), &six, 1500), 1520);
        assert_eq!(mtu(to_v4(), &six, 600), 1280, "cut afterwards");
        assert_eq!(mtu(to_v6(), &four, 1500), 1480);
        assert_eq!(mtu(to_v6(), &four.clone().with_dont_fragment(false), 1500), 1472);
        assert_eq!(mtu(Rewrite::default(), &four, 1500), 1500);
        assert_eq!(mtu(to_v4(), &build::ip(A6, B6, 44, &[17, 0, 0, 8, 0, 0, 0, 1, 0]), 1500), 1528);
    }
}
