//! Why an edit cannot be done.

/// Why a packet cannot be edited as a [`Rewrite`](crate::Rewrite) says: all but the first are packets that a
/// translator between IPv4 and IPv6 does not translate (RFC 7915). Each is a reason to drop the packet.
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
pub enum Untranslatable {
    /// The packet would have one IPv4 and one IPv6 address, or an ICMP error would quote a packet of the
    /// other family.
    #[error("the packet would have addresses of both families")]
    MixedFamilies,
    /// The packet still has hops of a source route before it (RFC 7915 sections 4.1 and 5.1).
    #[error("the packet is source routed")]
    SourceRoute,
    /// Extension headers after the fragment header (RFC 7915 section 5.1.1), or a protocol that has another
    /// meaning or none in the other family: IGMP, ICMP of the wrong family, the numbers of extension headers.
    #[error("the protocol has no counterpart in the other family")]
    Protocol,
    /// An ICMP message without a counterpart (RFC 7915 sections 4.2 and 5.2).
    #[error("the ICMP message has no counterpart in the other family")]
    Icmp,
    /// A fragment of an ICMP message, whose checksum covers what is not there (RFC 7915 sections 1.2 and
    /// 4.2).
    #[error("a fragment of an ICMP message")]
    FragmentedIcmp,
    /// The first fragment of a UDP datagram without a checksum, which IPv6 demands (RFC 7915 section 4.5).
    #[error("a fragment of a UDP datagram without a checksum")]
    NoUdpChecksum,
    /// An ICMP error that quotes no packet, or one that cannot be translated (RFC 7915 sections 4.3 and
    /// 5.3).
    #[error("the ICMP error quotes a packet that cannot be translated")]
    Quote,
    /// The packet would be longer than IPv4 can say.
    #[error("the packet would be too long for IPv4")]
    TooLong,
}

impl Untranslatable {
    /// Every reason, in declaration order, so that each can have its counter and its line in the docs.
    pub const ALL: [Untranslatable; 8] = [
        Untranslatable::MixedFamilies,
        Untranslatable::SourceRoute,
        Untranslatable::Protocol,
        Untranslatable::Icmp,
        Untranslatable::FragmentedIcmp,
        Untranslatable::NoUdpChecksum,
        Untranslatable::Quote,
        Untranslatable::TooLong,
    ];

    /// The reason's name, as counters and logs use it.
    pub fn name(self) -> &'static str {
        match self {
            Untranslatable::MixedFamilies => "MixedFamilies",
            Untranslatable::SourceRoute => "SourceRoute",
            Untranslatable::Protocol => "UntranslatableProtocol",
            Untranslatable::Icmp => "UntranslatableIcmp",
            Untranslatable::FragmentedIcmp => "FragmentedIcmp",
            Untranslatable::NoUdpChecksum => "NoUdpChecksum",
            Untranslatable::Quote => "UntranslatableQuote",
            Untranslatable::TooLong => "TooLongForIpv4",
        }
    }
}
