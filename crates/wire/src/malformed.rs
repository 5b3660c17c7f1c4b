//! Why bytes are not a packet.

/// What is wrong with a frame that cannot be parsed. Each is a reason to drop it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    thiserror::Error,
    serde::Serialize,
    serde::Deserialize,
)]
pub enum Malformed {
    /// Shorter than an Ethernet header.
    #[error("shorter than an Ethernet header")]
    TruncatedEthernet,
    /// The frame's ethertype is not the one that was to be parsed.
    #[error("another ethertype")]
    WrongEthertype,
    /// Shorter than its IPv4 header.
    #[error("shorter than its IPv4 header")]
    TruncatedIpv4,
    /// The version field is not 4.
    #[error("the IP version is not 4")]
    BadIpv4Version,
    /// The header length is below five words (RFC 791 section 3.1).
    #[error("the IPv4 header length is below 20 bytes")]
    BadIpv4HeaderLength,
    /// The total length is below the header length, or more than the frame holds.
    #[error("the IPv4 total length does not fit the header or the frame")]
    BadIpv4TotalLength,
    /// The header checksum is wrong.
    #[error("the IPv4 header checksum is wrong")]
    BadIpv4Checksum,
    /// Shorter than an IPv6 header.
    #[error("shorter than an IPv6 header")]
    TruncatedIpv6,
    /// The version field of an IPv6 frame is not 6.
    #[error("the IP version is not 6")]
    BadIpv6Version,
    /// The payload length is more than the frame holds.
    #[error("the IPv6 payload length does not fit the frame")]
    BadIpv6PayloadLength,
    /// Shorter than its IPv6 extension headers.
    #[error("shorter than its IPv6 extension headers")]
    TruncatedIpv6Extension,
    /// Hop-by-hop options that do not come first, two fragment headers, or more than eight extension headers
    /// (RFC 8200 section 4.1).
    #[error("impossible IPv6 extension headers")]
    BadIpv6Extension,
    /// A jumbogram (RFC 2675), which Ethernet does not carry.
    #[error("a jumbogram")]
    Jumbogram,
    /// A fragment without data, one that ends beyond 65,535 bytes, one before the last whose length is not a
    /// multiple of eight (RFC 791), or one that would overwrite a TCP header (RFC 1858).
    #[error("an impossible fragment")]
    BadFragment,
    /// The packet, or the first fragment of one, ends within its TCP, UDP or ICMP header.
    #[error("shorter than its transport header")]
    TruncatedTransport,
    /// The TCP data offset is below five words or beyond the packet.
    #[error("the TCP header length does not fit the packet")]
    BadTcpHeaderLength,
    /// The UDP length is below eight or beyond the packet.
    #[error("the UDP length does not fit the packet")]
    BadUdpLength,
    /// The ICMP or ICMPv6 checksum is wrong.
    #[error("the ICMP checksum is wrong")]
    BadIcmpChecksum,
    /// Shorter than an ARP packet for IPv4 over Ethernet.
    #[error("shorter than an ARP packet")]
    TruncatedArp,
    /// Not IPv4 over Ethernet, or neither request nor reply (RFC 826).
    #[error("not an ARP request or reply for IPv4 over Ethernet")]
    BadArp,
    /// A neighbour discovery message that RFC 4861 says to discard: hop limit not 255, a code, lengths or
    /// addresses that cannot be.
    #[error("not a valid neighbour discovery message")]
    BadNeighborDiscovery,
}

impl Malformed {
    /// Every reason, in declaration order, so that each can have its counter and its line in the docs.
    pub const ALL: [Malformed; 21] = [
        Malformed::TruncatedEthernet,
        Malformed::WrongEthertype,
        Malformed::TruncatedIpv4,
        Malformed::BadIpv4Version,
        Malformed::BadIpv4HeaderLength,
        Malformed::BadIpv4TotalLength,
        Malformed::BadIpv4Checksum,
        Malformed::TruncatedIpv6,
        Malformed::BadIpv6Version,
        Malformed::BadIpv6PayloadLength,
        Malformed::TruncatedIpv6Extension,
        Malformed::BadIpv6Extension,
        Malformed::Jumbogram,
        Malformed::BadFragment,
        Malformed::TruncatedTransport,
        Malformed::BadTcpHeaderLength,
        Malformed::BadUdpLength,
        Malformed::BadIcmpChecksum,
        Malformed::TruncatedArp,
        Malformed::BadArp,
        Malformed::BadNeighborDiscovery,
    ];

    /// The reason's name, as counters and logs use it.
    pub fn name(self) -> &'static str {
        match self {
            Malformed::TruncatedEthernet => "TruncatedEthernet",
            Malformed::WrongEthertype => "WrongEthertype",
            Malformed::TruncatedIpv4 => "TruncatedIpv4",
            Malformed::BadIpv4Version => "BadIpv4Version",
            Malformed::BadIpv4HeaderLength => "BadIpv4HeaderLength",
            Malformed::BadIpv4TotalLength => "BadIpv4TotalLength",
            Malformed::BadIpv4Checksum => "BadIpv4Checksum",
            Malformed::TruncatedIpv6 => "TruncatedIpv6",
            Malformed::BadIpv6Version => "BadIpv6Version",
            Malformed::BadIpv6PayloadLength => "BadIpv6PayloadLength",
            Malformed::TruncatedIpv6Extension => "TruncatedIpv6Extension",
            Malformed::BadIpv6Extension => "BadIpv6Extension",
            Malformed::Jumbogram => "Jumbogram",
            Malformed::BadFragment => "BadFragment",
            Malformed::TruncatedTransport => "TruncatedTransport",
            Malformed::BadTcpHeaderLength => "BadTcpHeaderLength",
            Malformed::BadUdpLength => "BadUdpLength",
            Malformed::BadIcmpChecksum => "BadIcmpChecksum",
            Malformed::TruncatedArp => "TruncatedArp",
            Malformed::BadArp => "BadArp",
            Malformed::BadNeighborDiscovery => "BadNeighborDiscovery",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_variants() {
        for reason in Malformed::ALL {
            assert_eq!(reason.name(), format!("{reason:?}"));
        }
        assert!(Malformed::ALL.is_sorted() && Malformed::ALL[20] as usize == 20);
    }
}
