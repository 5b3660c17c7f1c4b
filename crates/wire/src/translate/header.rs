//! IP headers in the other family (RFC 7915 sections 4.1 and 5.1).

use smoltcp::wire::Ipv4Packet;

use crate::ip::{FRAGMENT, FRAGMENT_LEN, ICMP, ICMPV6, IPV4_LEN, IPV6_LEN, IpHeader};
use crate::translate::Translation;

/// No longer than this, an IPv4 packet that was IPv6 may be fragmented: its sender has no way to send less.
const LONGEST_WITHOUT_DF: usize = 1260;

/// The header, in the other family, for `len` bytes that begin with `message`. `longest` is the length of the
/// longest packet that the old header will stand before (see [`crate::Packet::mtu_len`]).
pub(super) fn emit(
    translation: Translation,
    ip: &IpHeader,
    hops: u8,
    len: usize,
    longest: usize,
    message: &[u8],
) -> Vec<u8> {
    let hop_limit = ip.hop_limit.saturating_sub(hops);
    match translation {
        Translation::ToV4 { src, dst } => {
            let protocol = if ip.protocol == ICMPV6 { ICMP } else { ip.protocol };
            let dont_fragment = longest.saturating_sub(ip.len()) + IPV4_LEN > LONGEST_WITHOUT_DF;
            let mut header = vec![0; IPV4_LEN];
            let mut new = Ipv4Packet::new_unchecked(&mut header[..]);
            new.set_version(4);
            new.set_header_len(IPV4_LEN as u8);
            new.set_total_len((IPV4_LEN + len) as u16);
            match ip.fragment {
                Some(fragment) => {
                    new.set_ident(fragment.id as u16);
                    new.set_frag_offset(fragment.offset);
                    new.set_more_frags(fragment.more);
                }
                None => {
                    new.set_dont_frag(dont_fragment);
                    new.set_ident(if dont_fragment { 0 } else { identification(message) });
                }
            }
            new.set_hop_limit(hop_limit);
            new.set_next_header(protocol.into());
            new.set_src_addr(src);
            new.set_dst_addr(dst);
            header[1] = ip.traffic_class;
            Ipv4Packet::new_unchecked(&mut header[..]).fill_checksum();
            header
        }
        Translation::ToV6 { src, dst } => {
            let protocol = if ip.protocol == ICMP { ICMPV6 } else { ip.protocol };
            let fragment_len = if ip.fragment.is_some() { FRAGMENT_LEN } else { 0 };
            let next_header = if ip.fragment.is_some() { FRAGMENT } else { protocol };
            let mut header = Vec::with_capacity(IPV6_LEN + fragment_len);
            header.extend([0x60 | ip.traffic_class >> 4, ip.traffic_class << 4, 0, 0]);
            header.extend(((fragment_len + len) as u16).to_be_bytes());
            header.extend([next_header, hop_limit]);
            header.extend(src.octets());
            header.extend(dst.octets());
            if let Some(fragment) = ip.fragment {
                header.extend([protocol, 0]);
                header.extend((fragment.offset | u16::from(fragment.more)).to_be_bytes());
                header.extend(fragment.id.to_be_bytes());
            }
            header
        }
    }
}

/// An identification for a packet that may be fragmented. There is no counter here, so it is made of the packet
/// (FNV-1a): of two packets under way at once that have the same, most are one and the same packet twice.
fn identification(message: &[u8]) -> u16 {
    let hash = message
        .iter()
        .fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    (hash >> 16 ^ hash) as u16
}
