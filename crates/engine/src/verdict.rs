//! The end of a packet's road, and the one list of reasons for dropping it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;
use wire::{Frame, Mac, Malformed, Packet, Rewrite};

use crate::fabric::PortId;
use crate::pipeline::VPC_MTU;

/// What is to be done with a packet.
#[derive(Debug)]
pub enum Verdict {
    /// Edit it and send it out of a port.
    Forward(Box<Forward>),
    /// Answer with this frame, to the port that the packet came from.
    Reply(Box<Frame>),
    /// It was for the VPC itself, which has nothing to answer.
    Consumed,
    /// Drop it, and count why.
    Drop(DropReason),
}

/// How a packet leaves the fabric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// The port to leave by.
    pub port: PortId,
    /// Edits of the packet itself.
    pub rewrite: Rewrite,
    /// Edits of the packet that an ICMP error quotes.
    pub quoted: Rewrite,
    /// Largest IP packet that the way out carries, in bytes of the packet as it leaves.
    pub mtu: u16,
}

impl Forward {
    /// The longest packet of this one's sender that leaves whole, in bytes. It depends on the packet where its family
    /// changes.
    pub(crate) fn path_mtu(&self, packet: &Packet) -> u16 {
        self.rewrite.path_mtu(packet, self.mtu).min(VPC_MTU)
    }
}

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $label:literal,)+) => {
        /// Why a packet was dropped. The label is the metric's label and the name in every listing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DropReason {
            $($(#[doc = $doc])+ $name,)+
            /// The bytes are not a well-formed packet; the parser's reason says where they fail.
            Malformed(Malformed),
        }

        impl DropReason {
            /// Every reason but the parser's own.
            pub const ALL: &[DropReason] = &[$(DropReason::$name,)+];

            /// The reason's name in metrics and listings.
            pub fn label(self) -> &'static str {
                match self {
                    $(DropReason::$name => $label,)+
                    DropReason::Malformed(reason) => reason.name(),
                }
            }

            /// One sentence for people.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(DropReason::$name => concat!($($doc),+).trim_ascii(),)+
                    DropReason::Malformed(_) => "the bytes are not a well-formed packet",
                }
            }
        }
    };
}

drop_reasons! {
    /// The frame came from a port that nothing is known about.
    UnknownPort = "UnknownPort",
    /// The frame carried an 802.1Q tag: instances have no VLANs.
    VlanTagged = "VlanTagged",
    /// The frame was longer than the receive buffer.
    Oversized = "Oversized",
    /// The frame's offload fields do not fit its bytes.
    BadOffload = "BadOffload",
    /// The frame is neither IPv4 nor IPv6 nor ARP.
    UnsupportedProtocol = "UnsupportedProtocol",
    /// The frame's source MAC address is not the interface's own.
    SpoofedMac = "SpoofedMac",
    /// The packet's source is not an address of the interface, whose source/destination check is on.
    SourceCheck = "SourceCheck",
    /// The packet's destination is not an address of the interface that the route names, whose source/destination check is on.
    DestinationCheck = "DestinationCheck",
    /// An ARP packet named a sender that the interface does not own.
    SpoofedArp = "SpoofedArp",
    /// The source address can never be a sender (unspecified, loopback, multicast, broadcast), or not out there: a
    /// packet from the internet names a sender inside.
    MartianSource = "MartianSource",
    /// Broadcast does not work in a VPC.
    Broadcast = "Broadcast",
    /// Multicast does not work in a VPC.
    Multicast = "Multicast",
    /// The frame is for a MAC address that nobody else in the subnet has.
    UnknownMac = "UnknownMac",
    /// An instance played DHCP server.
    RogueDhcpServer = "RogueDhcpServer",
    /// A DHCP message that is none, or names another server.
    BadDhcp = "BadDhcp",
    /// The VPC router takes no packets for itself.
    ForTheRouter = "ForTheRouter",
    /// No service answers at this link-local or resolver address and port.
    NoSuchService = "NoSuchService",
    /// The interface has sent more than 1,024 packets to link-local services (DNS, metadata) within a second; what EC2
    /// counts as `linklocal_allowance_exceeded`.
    LinkLocalAllowance = "LinkLocalAllowance",
    /// No outbound rule of the sender's security groups allows the packet.
    SecurityGroupEgress = "SecurityGroupEgress",
    /// No inbound rule of the receiver's security groups allows the packet.
    SecurityGroupIngress = "SecurityGroupIngress",
    /// No route of the subnet's route table covers the destination.
    NoRoute = "NoRoute",
    /// The route's target is gone.
    Blackhole = "Blackhole",
    /// The route leads back to the port that the packet came from: a route table looks at the destination alone, so
    /// it sends its target's own packets back to it. Put the target into another subnet, whose table has another route.
    RouteLeadsBack = "RouteLeadsBack",
    /// Nobody in the VPC has the destination address.
    NoSuchAddress = "NoSuchAddress",
    /// The receiving interface stands on no port (its instance does not run).
    NoPort = "NoPort",
    /// The packet's source has no public address, so the internet gateway cannot translate.
    NoPublicAddress = "NoPublicAddress",
    /// The public address belongs to nobody here.
    UnknownPublicAddress = "UnknownPublicAddress",
    /// Nobody on the internet segment has the destination address.
    NoInternetHost = "NoInternetHost",
    /// The uplink's gateway has not answered ARP yet.
    GatewayUnresolved = "GatewayUnresolved",
    /// There is no uplink to the internet.
    NoUplink = "NoUplink",
    /// The frame on the internet segment is for somebody else: its bridge floods what is for an address that it has not
    /// learnt.
    NotForUs = "NotForUs",
    /// An ICMP error that does not quote a packet, or not a well-formed one.
    BadQuote = "BadQuote",
    /// An answer of a link-local service that belongs to no request.
    NoFlow = "NoFlow",
    /// Two senders behind one interface use one port towards a link-local service.
    FlowConflict = "FlowConflict",
    /// A fragment whose first fragment was dropped, or was not seen in time.
    FragmentWithoutFirst = "FragmentWithoutFirst",
    /// The table of connections is full.
    FlowTableFull = "FlowTableFull",
    /// The packet exceeds the way out, must not be cut, and is one that no router answers (an ICMP error, a fragment).
    TooBig = "TooBig",
    /// No outbound rule of the subnet's network ACL allows the packet, or one that comes first denies it.
    NetworkAclEgress = "NetworkAclEgress",
    /// No inbound rule of the subnet's network ACL allows the packet, or one that comes first denies it.
    NetworkAclIngress = "NetworkAclIngress",
    /// The packet's time to live is zero.
    TtlZero = "TtlZero",
    /// The packet's time to live ended at a NAT gateway, and it is one that no router answers.
    TtlExceeded = "TtlExceeded",
    /// NAT gateways lead the packet to each other without end.
    RoutingLoop = "RoutingLoop",
    /// A neighbour message named an address or MAC address that the interface does not own.
    SpoofedNeighbor = "SpoofedNeighbor",
    /// An instance played router.
    RogueRouter = "RogueRouter",
    /// From outside, by an egress-only internet gateway, on no connection that was begun inside.
    EgressOnly = "EgressOnly",
    /// A NAT gateway translates TCP, UDP and ICMP queries, and nothing else.
    NatProtocol = "NatProtocol",
    /// A NAT gateway of this behaviour takes no fragments of TCP and ICMP.
    NatFragment = "NatFragment",
    /// The NAT gateway knows no connection that the packet belongs to.
    NatNoSession = "NatNoSession",
    /// Nobody inside has asked for this: the NAT gateway has no mapping for it, or its filter refuses the sender.
    NatUnsolicited = "NatUnsolicited",
    /// All ports towards this destination are in use at the NAT gateway.
    NatPortsExhausted = "NatPortsExhausted",
    /// A NAT gateway is not for packets that came by peering.
    NatFromAfar = "NatFromAfar",
    /// The packet has no form in the other family (RFC 7915).
    Untranslatable = "Untranslatable",
    /// The machine's kernel refused to send the frame.
    SendFailed = "SendFailed",
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl FromStr for DropReason {
    type Err = UnknownReason;

    fn from_str(label: &str) -> Result<DropReason, UnknownReason> {
        let malformed = Malformed::ALL.iter().map(|&reason| DropReason::Malformed(reason));
        let mut all = DropReason::ALL.iter().copied().chain(malformed);
        all.find(|reason| reason.label() == label).ok_or(UnknownReason)
    }
}

/// A text that is not the label of a [`DropReason`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a reason for dropping packets")]
pub struct UnknownReason;

// As its label: reasons are keys of JSON objects.
impl Serialize for DropReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

impl<'de> Deserialize<'de> for DropReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DropReason, D::Error> {
        let label = Cow::<'_, str>::deserialize(deserializer)?;
        label.parse().map_err(de::Error::custom)
    }
}

/// The Ethernet addresses that a cached verdict was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ethernet {
    pub(crate) src: Mac,
    pub(crate) dst: Mac,
}

impl Ethernet {
    pub(crate) fn of(packet: &Packet) -> Ethernet {
        Ethernet { src: packet.eth_src(), dst: packet.eth_dst() }
    }
}
