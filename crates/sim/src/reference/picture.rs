//! How a packet looks when it leaves.

use std::net::IpAddr;

use wire::{FlowKey, FlowProto, Frame, Mac, Packet};

use crate::sound;

/// What is changed about a packet on its way. All else stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Ethernet source and destination.
    pub macs: (Mac, Mac),
    /// Addresses, ports, identifier.
    pub key: FlowKey,
    /// Those of the packet that it quotes.
    pub quoted: Option<FlowKey>,
    /// By how much its time to live was lowered.
    pub hops: u8,
}

impl Picture {
    /// The bytes, if the packet is still of the family that it came as.
    pub fn paint(&self, came: &Frame) -> Option<Frame> {
        let packet = Packet::parse(&came.bytes).ok()?;
        if packet.src().is_ipv6() != self.key.src.is_ipv6() {
            return None;
        }
        let mut frame = came.clone().with_macs(self.macs.0, self.macs.1);
        if let (Some(quoted), Some(key)) = (packet.quoted(), self.quoted) {
            let end = packet.ip_offset() + packet.total_len();
            let at = quoted.transport_offset() - quoted.ip_offset();
            paint(&mut frame.bytes[quoted.ip_offset()..end], at, &key, 0);
        }
        let at = packet.transport_offset() - packet.ip_offset();
        let end = packet.ip_offset() + packet.total_len();
        paint(&mut frame.bytes[packet.ip_offset()..end], at, &self.key, self.hops);
        Some(frame)
    }
}

/// Writes a key into the bytes of a whole packet whose transport header is at `at`, and sums it up anew.
fn paint(bytes: &mut [u8], at: usize, key: &FlowKey, hops: u8) {
    match (key.src, key.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            bytes[8] -= hops;
            bytes[12..16].copy_from_slice(&src.octets());
            bytes[16..20].copy_from_slice(&dst.octets());
            bytes[10..12].fill(0);
            let sum = !sound::sum(&bytes[..at]);
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            bytes[7] -= hops;
            bytes[8..24].copy_from_slice(&src.octets());
            bytes[24..40].copy_from_slice(&dst.octets());
        }
        _ => return,
    }
    let message = &mut bytes[at..];
    let (protocol, field) = match key.proto {
        FlowProto::Tcp { src, dst } => {
            message[..2].copy_from_slice(&src.to_be_bytes());
            message[2..4].copy_from_slice(&dst.to_be_bytes());
            (6, 16)
        }
        FlowProto::Udp { src, dst } => {
            message[..2].copy_from_slice(&src.to_be_bytes());
            message[2..4].copy_from_slice(&dst.to_be_bytes());
            (17, 6)
        }
        FlowProto::Echo { id, .. } => {
            message[4..6].copy_from_slice(&id.to_be_bytes());
            (if key.src.is_ipv6() { 58 } else { 1 }, 2)
        }
        FlowProto::Icmp { .. } => (if key.src.is_ipv6() { 58 } else { 1 }, 2),
        FlowProto::Other(_) => return,
    };
    if protocol == 17 && key.src.is_ipv4() && message[6..8] == [0, 0] {
        return;
    }
    message[field..field + 2].fill(0);
    let pseudo =
        if protocol == 1 { 0 } else { sound::pseudo_header(key.src, key.dst, protocol, message.len()) };
    let sum = u32::from(sound::sum(message)) + u32::from(pseudo);
    let sum = !((sum & 0xffff) as u16 + (sum >> 16) as u16);
    let sum = if sum == 0 && protocol == 17 { 0xffff } else { sum };
    message[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}
