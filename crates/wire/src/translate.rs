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
