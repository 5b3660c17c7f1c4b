//! ARP for IPv4 over Ethernet (RFC 826).

use std::net::Ipv4Addr;

use smoltcp::wire::{ArpHardware, ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetProtocol};

use crate::{ETHERNET_LEN, Ethertype, Frame, Mac, Malformed, build};

/// Length of an ARP packet for IPv4 over Ethernet.
const LEN: usize = 28;

/// An ARP packet. The target's hardware address is left out: a request does not know it and a reply goes to
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// What is asked or said.
    pub operation: Operation,
    /// The sender's Ethernet address, as the packet says (the frame may say another).
    pub sender_mac: Mac,
    /// The sender's IPv4 address; unspecified in a probe (RFC 5227).
    pub sender_ip: Ipv4Addr,
    /// In a request the address that is looked for, in a reply the asker's.
    pub target_ip: Ipv4Addr,
}

/// Request or reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
}

/// Parses an ARP frame.
///
/// # Errors
///
/// [`Malformed::WrongEthertype`], [`Malformed::TruncatedEthernet`], [`Malformed::TruncatedArp`] or
/// [`Malformed::BadArp`].
pub fn parse(frame: &[u8]) -> Result<Arp, Malformed> {
    if Ethertype::of(frame)? != Ethertype::Arp {
        return Err(Malformed::WrongEthertype);
    }
    let bytes = &frame[ETHERNET_LEN..];
    if bytes.len() < LEN {
        return Err(Malformed::TruncatedArp);
    }
    let packet = ArpPacket::new_unchecked(bytes);
    let is_ipv4_over_ethernet = packet.hardware_type() == ArpHardware::Ethernet
        && packet.protocol_type() == EthernetProtocol::Ipv4
        && (packet.hardware_len(), packet.protocol_len()) == (6, 4);
    if !is_ipv4_over_ethernet {
        return Err(Malformed::BadArp);
    }
    match ArpRepr::parse(&packet) {
        Ok(ArpRepr::EthernetIpv4 {
            operation: operation @ (ArpOperation::Request | ArpOperation::Reply),
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        }) => Ok(Arp {
            operation: if operation == ArpOperation::Request { Operation::Request } else { Operation::Reply },
            sender_mac: Mac(source_hardware_addr.0),
            sender_ip: source_protocol_addr,
            target_ip: target_protocol_addr,
        }),
        _ => Err(Malformed::BadArp),
    }
}

/// The reply to a request: the address that it looks for is at `mac`.
pub fn reply(mac: Mac, request: &Arp) -> Frame {
    emit(
        mac,
        request.sender_mac,
        &ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: EthernetAddress(mac.0),
            source_protocol_addr: request.target_ip,
            target_hardware_addr: EthernetAddress(request.sender_mac.0),
            target_protocol_addr: request.sender_ip,
        },
    )
}

/// A request, to all of the link, for the Ethernet address of `target_ip`.
pub fn request(sender_mac: Mac, sender_ip: Ipv4Addr, target_ip: Ipv4Addr) -> Frame {
    emit(
        sender_mac,
        Mac::BROADCAST,
        &ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: EthernetAddress(sender_mac.0),
            source_protocol_addr: sender_ip,
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: target_ip,
        },
    )
}

fn emit(src: Mac, dst: Mac, repr: &ArpRepr) -> Frame {
    let mut bytes = [0; LEN];
    repr.emit(&mut ArpPacket::new_unchecked(&mut bytes[..]));
    build::ethernet(src, dst, 0x0806, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const MAC_A: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const MAC_B: Mac = Mac([2, 0, 0, 0, 0, 2]);

    #[test]
    fn question_and_answer() {
        let question = request(MAC_A, A, B);
        assert_eq!(question.bytes[..6], [0xff; 6]);
        let asked = parse(&question.bytes).unwrap();
        let expected = Arp { operation: Operation::Request, sender_mac: MAC_A, sender_ip: A, target_ip: B };
        assert_eq!(asked, expected);
        let answer = reply(MAC_B, &asked);
        assert_eq!((&answer.bytes[..6], &answer.bytes[6..12]), (&MAC_A.0[..], &MAC_B.0[..]));
        let expected = Arp { operation: Operation::Reply, sender_mac: MAC_B, sender_ip: B, target_ip: A };
        assert_eq!(parse(&answer.bytes), Ok(expected));
    }

    #[test]
    fn faults_by_name() {
        let good = request(MAC_A, A, B).bytes;
        assert_eq!(parse(&good[..41]), Err(Malformed::TruncatedArp));
        assert_eq!(parse(&good[..3]), Err(Malformed::TruncatedEthernet));
        for (at, fault) in [
            (13, Malformed::WrongEthertype),
            (15, Malformed::BadArp),
            (16, Malformed::BadArp),
            (18, Malformed::BadArp),
            (19, Malformed::BadArp),
            (21, Malformed::BadArp),
        ] {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert_eq!(parse(&bad), Err(fault), "byte {at}");
        }
    }
}
