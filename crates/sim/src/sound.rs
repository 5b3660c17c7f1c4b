//! What holds for every frame that leaves a cloud: its lengths fit and its checksums are right, summed up anew.

use std::net::IpAddr;

use wire::{Frame, Packet};

/// What is wrong with an IP frame, if anything is.
///
/// # Errors
///
/// In words.
pub fn check(frame: &Frame) -> Result<(), String> {
    let packet = Packet::parse(&frame.bytes).map_err(|malformed| format!("malformed: {malformed}"))?;
    let message = &frame.bytes[packet.transport_offset()..packet.ip_offset() + packet.total_len()];
    if packet.src().is_ipv4() && sum(&frame.bytes[packet.ip_offset()..packet.transport_offset()]) != 0xffff {
        return Err("wrong IPv4 header checksum".to_owned());
    }
    // Only a whole packet, whose checksum is complete, can be summed up.
    if packet.fragment().is_some() || frame.offload.needs_csum() {
        return Ok(());
    }
    let pseudo = pseudo_header(packet.src(), packet.dst(), packet.protocol(), message.len());
    let right = match packet.protocol() {
        17 if message[6..8] == [0, 0] => packet.src().is_ipv4(),
        6 | 17 | 58 => fold(u64::from(pseudo) + u64::from(sum(message))) == 0xffff,
        1 => sum(message) == 0xffff,
        _ => true,
    };
    if right { Ok(()) } else { Err(format!("wrong checksum of protocol {}", packet.protocol())) }
}

/// The ones' complement sum (RFC 1071), not complemented.
pub fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0)));
    fold(words.sum())
}

/// The sum of the pseudo header (RFC 768, RFC 8200 section 8.1).
pub fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> u16 {
    let mut bytes = Vec::new();
    for address in [src, dst] {
        match address {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    fold(u64::from(sum(&bytes)) + u64::from(protocol) + len as u64)
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}
