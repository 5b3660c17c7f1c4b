//! ICMP errors in the other family (RFC 7915 sections 4.2 and 5.2).

use crate::translate::IPV6_MINIMUM_MTU;

/// The first eight bytes of an ICMP error, with a checksum of zero.
pub(super) type Head = [u8; 8];

/// By how much an IPv6 header is longer than an IPv4 header, in bytes.
const LONGER: usize = 20;

/// MTUs of the networks of old (RFC 1191 section 7), for routers that do not say theirs.
const PLATEAUS: [usize; 11] = [65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68];

/// An ICMP error as an ICMPv6 one; `quoted_len` is the total length of the packet that it is about. None if there is
/// no such error.
pub(super) fn to_v6(head: Head, quoted_len: usize) -> Option<Head> {
    let [kind, code, _, _, pointer, _, high, low] = head;
    let (kind, code, rest) = match (kind, code) {
        // No route; the precedence of code 14 has no counterpart.
        (3, 0 | 1 | 5..=8 | 11 | 12) => (1, 0, 0),
        // Unrecognized next header, at the place of that field.
        (3, 2) => (4, 1, 6),
        (3, 3) => (1, 4, 0),
        (3, 4) => {
            let told = usize::from(u16::from_be_bytes([high, low]));
            let mtu = match told {
                0 => PLATEAUS.into_iter().find(|plateau| *plateau < quoted_len).unwrap_or(68),
                told => told,
            };
            // A host does not believe less (RFC 8201 section 4); what it sends then may be cut behind us.
            (2, 0, (mtu + LONGER).max(IPV6_MINIMUM_MTU) as u32)
        }
        (3, 9 | 10 | 13 | 15) => (1, 1, 0),
        (11, code) => (3, code, 0),
        (12, 0 | 2) => (4, 0, pointer_to_v6(pointer)?),
        _ => return None,
    };
    Some(compose(kind, code, rest))
}

/// An ICMPv6 error as an ICMP one. None if there is no such error.
pub(super) fn to_v4(head: Head) -> Option<Head> {
    let [kind, code, _, _, a, b, c, d] = head;
    let word = u32::from_be_bytes([a, b, c, d]);
    let (kind, code, rest) = match (kind, code) {
        (1, 0 | 2 | 3) => (3, 1, 0),
        (1, 1) => (3, 10, 0),
        (1, 4) => (3, 3, 0),
        (2, _) => (3, 4, word.saturating_sub(LONGER as u32).clamp(68, 0xffff)),
        (3, code) => (11, code, 0),
        (4, 0) => (12, 0, u32::from(pointer_to_v4(word)?) << 24),
        (4, 1) => (3, 2, 0),
        _ => return None,
    };
    Some(compose(kind, code, rest))
}

fn compose(kind: u8, code: u8, rest: u32) -> Head {
    let [a, b, c, d] = rest.to_be_bytes();
    [kind, code, 0, 0, a, b, c, d]
}

/// RFC 7915 figure 3.
fn pointer_to_v6(pointer: u8) -> Option<u32> {
    Some(match pointer {
        0 | 1 => pointer.into(),
        2 | 3 => 4,
        8 => 7,
        9 => 6,
        12..=15 => 8,
        16..=19 => 24,
        _ => return None,
    })
}

/// RFC 7915 figure 6.
fn pointer_to_v4(pointer: u32) -> Option<u8> {
    Some(match pointer {
        0 => 0,
        1 => 1,
        4 | 5 => 2,
        6 => 9,
        7 => 8,
        8..=23 => 12,
        24..=39 => 16,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_ipv4_in_ipv6() {
        let to = |kind, code, rest: [u8; 4]| {
            let [a, b, c, d] = rest;
            to_v6([kind, code, 9, 9, a, b, c, d], 1500).map(|head| {
                let rest = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
                (head[0], head[1], rest)
            })
        };
        for code in [0, 1, 5, 6, 7, 8, 11, 12] {
            assert_eq!(to(3, code, [0; 4]), Some((1, 0, 0)), "{code}");
        }
        assert_eq!(to(3, 2, [0; 4]), Some((4, 1, 6)));
        assert_eq!(to(3, 3, [0; 4]), Some((1, 4, 0)));
        assert_eq!(to(3, 4, [0, 0, 0x05, 0x78]), Some((2, 0, 1420)));
        assert_eq!(to(3, 4, [0, 0, 0x02, 0x40]), Some((2, 0, 1280)), "a host believes no less");
        assert_eq!(to(3, 4, [0; 4]), Some((2, 0, 1512)), "the plateau below 1500");
        for code in [9, 10, 13, 15] {
            assert_eq!(to(3, code, [0; 4]), Some((1, 1, 0)), "{code}");
        }
        assert_eq!(to(11, 0, [0; 4]), Some((3, 0, 0)));
        assert_eq!(to(11, 1, [0; 4]), Some((3, 1, 0)));
        let pointers = [(0, 0), (1, 1), (2, 4), (3, 4), (8, 7), (9, 6), (12, 8), (15, 8), (16, 24), (19, 24)];
        for (old, new) in pointers {
            assert_eq!(to(12, 0, [old, 0, 0, 0]), Some((4, 0, new)), "{old}");
        }
        for pointer in [4, 5, 6, 7, 10, 11, 20] {
            assert_eq!(to(12, 0, [pointer, 0, 0, 0]), None, "{pointer}");
        }
        for (kind, code) in [(3, 14), (3, 16), (4, 0), (5, 1), (12, 1), (13, 0)] {
            assert_eq!(to(kind, code, [0; 4]), None, "{kind} {code}");
        }
    }

    #[test]
    fn errors_of_ipv6_in_ipv4() {
        let to = |kind, code, word: u32| {
            let [a, b, c, d] = word.to_be_bytes();
            to_v4([kind, code, 9, 9, a, b, c, d]).map(|head| (head[0], head[1], head[4], head[6..8].to_vec()))
        };
        let plain = |kind, code| Some((kind, code, 0, vec![0, 0]));
        for (code, new) in [(0, 1), (2, 1), (3, 1), (1, 10), (4, 3)] {
            assert_eq!(to(1, code, 0), plain(3, new), "{code}");
        }
        assert_eq!(to(2, 0, 1420), Some((3, 4, 0, vec![0x05, 0x78])));
        assert_eq!(to(2, 0, u32::MAX), Some((3, 4, 0, vec![0xff, 0xff])));
        assert_eq!(to(2, 0, 0), Some((3, 4, 0, vec![0, 68])));
        assert_eq!(to(3, 0, 0), plain(11, 0));
        assert_eq!(to(4, 1, 40), plain(3, 2));
        let pointers =
            [(0, 0), (1, 1), (4, 2), (5, 2), (6, 9), (7, 8), (8, 12), (23, 12), (24, 16), (39, 16)];
        for (old, new) in pointers {
            assert_eq!(to(4, 0, old), Some((12, 0, new, vec![0, 0])), "{old}");
        }
        for (kind, code, word) in
            [(1, 5, 0), (1, 6, 0), (4, 2, 0), (4, 0, 2), (4, 0, 40), (5, 0, 0), (137, 0, 0)]
        {
            assert_eq!(to(kind, code, word), None, "{kind} {code} {word}");
        }
    }
}
