//! The internet checksum (RFC 1071) and its incremental update (RFC 1624).

use std::net::IpAddr;

use smoltcp::wire::checksum;

/// The one's complement sum of the bytes, not complemented, as if they began at an even offset.
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    // The library's 32-bit accumulator holds 64 KiB and no more.
    bytes.chunks(0xfffe).fold(0, |sum, chunk| add(sum, checksum::data(chunk)))
}

/// The sum of the pseudo header of TCP, UDP and ICMPv6 (RFC 9293 section 3.1, RFC 8200 section 8.1), not
/// complemented.
pub(crate) fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> u16 {
    let (high, low) = ((len >> 16) as u16, len as u16);
    add(addresses(src, dst), add(add(high, low), protocol.into()))
}

/// The sum of two addresses.
pub(crate) fn addresses(src: IpAddr, dst: IpAddr) -> u16 {
    let one = |address: IpAddr| match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    };
    add(one(src), one(dst))
}

/// One's complement addition.
pub(crate) fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

/// Stores a 16-bit field in network byte order; the caller has checked the bounds.
pub(crate) fn store(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Reads a 16-bit field in network byte order; the caller has checked the bounds.
pub(crate) fn load(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// What an edit changes a sum by: `~m + m'` of RFC 1624, over all edited words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change(u16);

impl Change {
    /// From one sum over a range to another over the same range.
    pub(crate) fn between(old: u16, new: u16) -> Change {
        // An edit that changes nothing is the other zero, so that it leaves every checksum as it is.
        if old == new { Change(0) } else { Change(add(!old, new)) }
    }

    /// Writes bytes over a field at an even offset of what is summed and says what that changes. A field that
    /// is not wholly there (a quoted packet may be cut) is left alone.
    pub(crate) fn write(bytes: &mut [u8], at: usize, value: &[u8]) -> Change {
        let Some(field) = bytes.get_mut(at..at + value.len()) else { return Change(0) };
        let change = Change::between(sum(field), sum(value));
        field.copy_from_slice(value);
        change
    }

    /// Both changes.
    pub(crate) fn and(self, other: Change) -> Change {
        Change(add(self.0, other.0))
    }

    /// The checksum after the change (RFC 1624 equation 3).
    pub(crate) fn of_checksum(self, old: u16) -> u16 {
        !self.of_sum(!old)
    }

    /// The sum, not complemented, after the change.
    pub(crate) fn of_sum(self, old: u16) -> u16 {
        if self.0 == 0 { old } else { add(old, self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1624() {
        // Section 4: HC 0xdd2f, m 0x5555, m' 0x3285 gives 0x0000.
        assert_eq!(Change::between(0x5555, 0x3285).of_checksum(0xdd2f), 0);
    }

    #[test]
    fn more_than_the_library_sums_at_once() {
        assert_eq!(sum(&[0xff; 300_000]), 0xffff);
        assert_eq!(sum(&vec![0; 300_000]), 0);
    }

    #[test]
    fn no_change_leaves_both_zeros_alone() {
        assert_eq!(Change::between(7, 7).of_checksum(0xffff), 0xffff);
        assert_eq!(Change::between(7, 7).of_checksum(0), 0);
    }

    #[test]
    fn a_field_that_is_cut_is_left_alone() {
        let mut bytes = [1, 2, 3];
        assert_eq!(Change::write(&mut bytes, 2, &[9, 9]), Change(0));
        assert_eq!(bytes, [1, 2, 3]);
    }
}
