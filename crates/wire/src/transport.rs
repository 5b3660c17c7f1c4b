//! The headers of TCP, UDP and ICMP, as far as forwarding looks at them.

use std::fmt;
use std::ops::BitOr;

use smoltcp::wire::{TcpPacket, UdpPacket};

use crate::Malformed;
use crate::ip::Upper;

/// What follows the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
        /// Flags; none in a [`Quoted`](crate::Quoted) packet that was cut before them.
        flags: TcpFlags,
    },
    /// UDP.
    Udp {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
    },
    /// ICMP echo (types 8 and 0), ICMPv6 echo (128 and 129).
    Echo {
        /// Whether it is a request, not a reply.
        request: bool,
        /// Identifier.
        id: u16,
    },
    /// Any other ICMP or ICMPv6 message.
    Icmp {
        /// Type: what it means depends on the packet's family.
        kind: u8,
        /// ICMP code.
        code: u8,
    },
    /// A protocol whose header is not looked at.
    Other,
    /// A fragment after the first: whatever the protocol, its header is not here.
    Fragment,
}

/// The flags of a TCP segment, as its fourteenth byte has them. Displayed as tcpdump does: `S.` is SYN and
/// ACK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: TcpFlags = TcpFlags(1);
    /// Synchronize sequence numbers.
    pub const SYN: TcpFlags = TcpFlags(2);
    /// Reset the connection.
    pub const RST: TcpFlags = TcpFlags(4);
    /// Push.
    pub const PSH: TcpFlags = TcpFlags(8);
    /// The acknowledgement field counts.
    pub const ACK: TcpFlags = TcpFlags(16);

    /// Whether all of the given flags are set.
    pub fn contains(self, flags: TcpFlags) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl BitOr for TcpFlags {
    type Output = TcpFlags;

    fn bitor(self, other: TcpFlags) -> TcpFlags {
        TcpFlags(self.0 | other.0)
    }
}

impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("none");
        }
        let letters = [(1, 'F'), (2, 'S'), (4, 'R'), (8, 'P'), (16, '.'), (32, 'U'), (64, 'E'), (128, 'W')];
        letters.iter().filter(|(bit, _)| self.0 & bit != 0).try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}

/// The transport header at the start of a packet or of its first fragment, and its length.
pub(crate) fn parse(
    upper: Upper,
    is_v6: bool,
    payload: &[u8],
    whole: bool,
) -> Result<(Transport, usize), Malformed> {
    let at_least = |len: usize| if payload.len() < len { Err(Malformed::TruncatedTransport) } else { Ok(()) };
    match upper {
        Upper::Tcp => {
            at_least(20)?;
            let tcp = TcpPacket::new_unchecked(payload);
            let header = usize::from(tcp.header_len());
            if header < 20 || header > payload.len() {
                return Err(Malformed::BadTcpHeaderLength);
            }
            let flags = TcpFlags(payload[13]);
            Ok((Transport::Tcp { src: tcp.src_port(), dst: tcp.dst_port(), flags }, header))
        }
        Upper::Udp => {
            at_least(8)?;
            let udp = UdpPacket::new_unchecked(payload);
            let len = usize::from(udp.len());
            // The first fragment holds less than the datagram's length.
            if len < 8 || whole && len > payload.len() {
                return Err(Malformed::BadUdpLength);
            }
            Ok((Transport::Udp { src: udp.src_port(), dst: udp.dst_port() }, 8))
        }
        Upper::Icmp => at_least(8).map(|()| (icmp(payload, is_v6), 8)),
        Upper::Other => Ok((Transport::Other, 0)),
    }
}

/// The transport of an ICMP or ICMPv6 message of at least eight bytes.
pub(crate) fn icmp(message: &[u8], is_v6: bool) -> Transport {
    let id = u16::from_be_bytes([message[4], message[5]]);
    match (is_v6, message[0]) {
        (false, 8) | (true, 128) => Transport::Echo { request: true, id },
        (false, 0) | (true, 129) => Transport::Echo { request: false, id },
        (_, kind) => Transport::Icmp { kind, code: message[1] },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_flags_as_tcpdump_writes_them() {
        assert_eq!((TcpFlags::SYN | TcpFlags::ACK).to_string(), "S.");
        assert_eq!(TcpFlags(0xff).to_string(), "FSRP.UEW");
        assert_eq!(TcpFlags(0).to_string(), "none");
        assert!((TcpFlags::SYN | TcpFlags::ACK).contains(TcpFlags::SYN));
        assert!(!TcpFlags::SYN.contains(TcpFlags::SYN | TcpFlags::ACK));
    }
}
