//! The one buffer type.

use crate::offload::Offload;
use crate::{ETHERNET_LEN, Malformed, checksum};

/// One owned Ethernet frame (no preamble, no FCS) with what the kernel still has to do to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Work left to the kernel: checksum and segmentation.
    pub offload: Offload,
    /// The frame from the destination address on.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// A frame that is complete as it is: nothing is left to the kernel.
    pub fn new(bytes: Vec<u8>) -> Frame {
        Frame { offload: Offload::default(), bytes }
    }

    /// Does what the offload leaves to the kernel about the checksum, as Linux' `skb_checksum_help` does:
    /// sums from `csum_start` to the end of the frame and stores the complement. The frame must not be a
    /// GSO one, and not be padded. Leaves a frame alone whose checksum is complete or whose fields point
    /// outside.
    pub fn finish_checksum(&mut self) {
        if !self.offload.needs_csum() {
            return;
        }
        let start = usize::from(self.offload.csum_start);
        let field = start + usize::from(self.offload.csum_offset);
        if field + 2 > self.bytes.len() {
            return;
        }
        let sum = !checksum::sum(&self.bytes[start..]);
        // Zero would mean "no checksum" in UDP (RFC 768); the other zero verifies everywhere.
        checksum::store(&mut self.bytes, field, if sum == 0 { 0xffff } else { sum });
        self.offload.finish();
    }
}

/// What an Ethernet frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ethertype {
    /// IPv4, 0x0800.
    Ipv4,
    /// ARP, 0x0806.
    Arp,
    /// IPv6, 0x86dd.
    Ipv6,
    /// A customer or service tag, 0x8100 or 0x88a8.
    Vlan,
    /// Anything else; below 0x0600 it is an IEEE 802.3 length.
    Other(u16),
}

impl Ethertype {
    /// The ethertype of a frame.
    ///
    /// # Errors
    ///
    /// [`Malformed::TruncatedEthernet`] if the frame is shorter than an Ethernet header.
    pub fn of(frame: &[u8]) -> Result<Ethertype, Malformed> {
        if frame.len() < ETHERNET_LEN {
            return Err(Malformed::TruncatedEthernet);
        }
        Ok(match u16::from_be_bytes([frame[12], frame[13]]) {
            0x0800 => Ethertype::Ipv4,
            0x0806 => Ethertype::Arp,
            0x86dd => Ethertype::Ipv6,
            0x8100 | 0x88a8 => Ethertype::Vlan,
            other => Ethertype::Other(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ethertypes() {
        let mut frame = [0; 14];
        for (bytes, ethertype) in [
            ([0x08, 0x00], Ethertype::Ipv4),
            ([0x08, 0x06], Ethertype::Arp),
            ([0x86, 0xdd], Ethertype::Ipv6),
            ([0x81, 0x00], Ethertype::Vlan),
            ([0x88, 0xa8], Ethertype::Vlan),
            ([0x88, 0xcc], Ethertype::Other(0x88cc)),
        ] {
            frame[12..].copy_from_slice(&bytes);
            assert_eq!(Ethertype::of(&frame), Ok(ethertype));
        }
        assert_eq!(Ethertype::of(&frame[..13]), Err(Malformed::TruncatedEthernet));
    }

    #[test]
    fn a_checksum_outside_the_frame_is_left_alone() {
        let mut frame = Frame::new(vec![1; 40]);
        frame.offload = Offload { flags: 1, csum_start: 34, csum_offset: 6, ..Offload::default() };
        let before = frame.clone();
        frame.finish_checksum();
        assert_eq!(frame, before);
    }
}
