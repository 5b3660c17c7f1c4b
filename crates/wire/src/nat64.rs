//! IPv4 addresses within IPv6 addresses (RFC 6052).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::translate;

/// The well-known prefix 64:ff9b::/96 (RFC 6052 section 2.1), without its length.
pub const WELL_KNOWN_PREFIX: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);

/// Bits 64 to 71 are zero in every address (RFC 6052 section 2.2): this byte is left out.
const RESERVED: usize = 8;

/// The IPv6 address that stands for an IPv4 address behind a prefix; bits of `prefix` beyond its length are not
/// looked at. None unless the length is one of RFC 6052: 32, 40, 48, 56, 64 or 96.
pub fn embed(prefix: Ipv6Addr, len: u8, address: Ipv4Addr) -> Option<Ipv6Addr> {
    let places = places(len)?;
    let mut bytes = [0; 16];
    let kept = usize::from(len) / 8;
    bytes[..kept].copy_from_slice(&prefix.octets()[..kept]);
    for (place, byte) in places.into_iter().zip(address.octets()) {
        bytes[place] = byte;
    }
    Some(bytes.into())
}

/// The IPv4 address that an IPv6 address stands for. None if it is not behind the prefix, if the length is none of RFC
/// 6052, or if the reserved byte is not zero.
pub fn extract(prefix: Ipv6Addr, len: u8, address: Ipv6Addr) -> Option<Ipv4Addr> {
    let places = places(len)?;
    let (bytes, kept) = (address.octets(), usize::from(len) / 8);
    let is_behind = bytes[..kept] == prefix.octets()[..kept];
    (is_behind && bytes[RESERVED] == 0).then(|| Ipv4Addr::from(places.map(|place| bytes[place])))
}

/// Type and code of an ICMP error in the other family (RFC 7915 sections 4.2 and 5.2). None if there is no such error.
pub fn icmp_error(kind: u8, code: u8, to_v6: bool) -> Option<(u8, u8)> {
    translate::icmp_error_kind(kind, code, to_v6)
}

/// Where the bytes of the IPv4 address are.
fn places(len: u8) -> Option<[usize; 4]> {
    if !matches!(len, 32 | 40 | 48 | 56 | 64 | 96) {
        return None;
    }
    let first = usize::from(len) / 8;
    Some([0, 1, 2, 3].map(|n| {
        let place = first + n;
        if first <= RESERVED && place >= RESERVED { place + 1 } else { place }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_6052() {
        // Section 2.4, tables 1 and 2.
        let address = Ipv4Addr::new(192, 0, 2, 33);
        for (prefix, len, text) in [
            ("2001:db8::", 32, "2001:db8:c000:221::"),
            ("2001:db8:100::", 40, "2001:db8:1c0:2:21::"),
            ("2001:db8:122::", 48, "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::", 56, "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::", 64, "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::", 96, "2001:db8:122:344::192.0.2.33"),
            ("64:ff9b::", 96, "64:ff9b::192.0.2.33"),
        ] {
            let prefix: Ipv6Addr = prefix.parse().unwrap();
            assert_eq!(embed(prefix, len, address), Some(text.parse().unwrap()), "{text}");
            assert_eq!(extract(prefix, len, text.parse().unwrap()), Some(address), "{text}");
        }
    }

    #[test]
    fn no_other_addresses() {
        let address = "64:ff9b::192.0.2.33".parse().unwrap();
        assert_eq!(extract(WELL_KNOWN_PREFIX, 80, address), None);
        assert_eq!(embed(WELL_KNOWN_PREFIX, 128, Ipv4Addr::LOCALHOST), None);
        assert_eq!(extract(WELL_KNOWN_PREFIX, 96, "64:ff9b:1::192.0.2.33".parse().unwrap()), None);
        let reserved = "2001:db8:122:344:ffc0:2:2100::".parse().unwrap();
        assert_eq!(extract("2001:db8:122:344::".parse().unwrap(), 64, reserved), None);
    }
}
