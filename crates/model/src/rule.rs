//! The rules of security groups: what one of them allows.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::fault::InvalidValue;
use crate::id::{PrefixListId, SecurityGroupId, SecurityGroupRuleId, VpcId, VpcPeeringConnectionId};
use crate::tag::Tags;

/// What one rule of a security group allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its id.
    pub id: SecurityGroupRuleId,
    /// Whether it is about packets in or out.
    pub direction: Direction,
    /// Of which protocol.
    pub protocol: Protocol,
    /// EC2's FromPort and ToPort: for TCP and UDP the first and last destination port, for ICMP the type and code,
    /// -1 for any. None for all other protocols.
    pub ports: Option<(i32, i32)>,
    /// With whom.
    pub peer: Peer,
    /// Where the peer is, if it is a group of a peer VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub across: Option<Across>,
    /// In words.
    pub description: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

/// Where the group of a peer VPC is that a rule refers to. It says so also when group or connection are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Across {
    /// The group's VPC.
    pub vpc: VpcId,
    /// What joined the VPCs when the rule was made.
    pub connection: VpcPeeringConnectionId,
}

/// What a rule is asked to allow: EC2's IpPermission with one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// Of which protocol.
    pub protocol: Protocol,
    /// As in [`Rule::ports`]. None means any type and code for ICMP, and is refused for TCP and UDP. Other protocols
    /// have no ports: what is given is ignored, as EC2 does.
    pub ports: Option<(i32, i32)>,
    /// With whom. Host bits are cleared.
    pub peer: Peer,
    /// In words.
    pub description: Option<String>,
}

/// The way of a connection's first packet, seen from the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Direction {
    /// To the interface.
    Ingress,
    /// From the interface.
    Egress,
}

/// The IP protocol that a rule is about. Prints and parses as EC2's IpProtocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    /// Every protocol: "-1".
    All,
    /// "tcp"
    Tcp,
    /// "udp"
    Udp,
    /// "icmp", for IPv4.
    Icmp,
    /// Any other, by its number.
    Number(u8),
    /// "icmpv6", for IPv6.
    Icmpv6,
}

/// A text that is not a protocol.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Invalid value '{0}' for IP protocol. Unknown protocol.")]
pub struct BadProtocol(pub String);

/// Whom a rule allows to talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Peer {
    /// IPv4 addresses.
    Cidr(Ipv4Net),
    /// The private addresses, and the IPv6 addresses, of a group's members.
    Group(SecurityGroupId),
    /// IPv6 addresses.
    Cidr6(Ipv6Net),
    /// The entries of a managed prefix list.
    PrefixList(PrefixListId),
}

/// Every IPv4 address.
pub(crate) const EVERYWHERE: Peer = Peer::Cidr(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0));
/// Every IPv6 address.
pub(crate) const EVERYWHERE6: Peer = Peer::Cidr6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0));
/// "Any" where EC2 takes a number.
const ANY: i32 = -1;

impl Rule {
    /// Whether the rule is about packets of this protocol with these ports: the destination port twice, or ICMP type
    /// and code. None if a packet has none, or they cannot be known: then only a rule about all of them covers it.
    /// Direction and peer are not looked at.
    pub fn covers(&self, protocol: u8, ports: Option<(u16, u16)>) -> bool {
        if self.protocol.number().is_some_and(|number| number != protocol) {
            return false;
        }
        let Some((from, to)) = self.ports else { return true };
        let Some((first, second)) = ports.map(|(first, second)| (i32::from(first), i32::from(second))) else {
            return (from, to) == (0, i32::from(u16::MAX)) || from == ANY;
        };
        match self.protocol {
            Protocol::Icmp | Protocol::Icmpv6 => {
                (from == ANY || from == first) && (to == ANY || to == second)
            }
            _ => from <= first && second <= to,
        }
    }
}

impl Protocol {
    /// Its IP protocol number (IANA, "Protocol Numbers"); none for all.
    pub fn number(self) -> Option<u8> {
        match self {
            Protocol::All => None,
            Protocol::Icmp => Some(1),
            Protocol::Tcp => Some(6),
            Protocol::Udp => Some(17),
            Protocol::Icmpv6 => Some(58),
            Protocol::Number(number) => Some(number),
        }
    }
}

impl From<u8> for Protocol {
    fn from(number: u8) -> Protocol {
        match number {
            1 => Protocol::Icmp,
            6 => Protocol::Tcp,
            17 => Protocol::Udp,
            58 => Protocol::Icmpv6,
            other => Protocol::Number(other),
        }
    }
}

impl Permission {
    pub(crate) fn all(peer: Peer) -> Permission {
        Permission { protocol: Protocol::All, ports: None, peer, description: None }
    }

    pub(crate) fn into_rule(self, id: SecurityGroupRuleId, direction: Direction) -> Rule {
        let Permission { protocol, ports, peer, description } = self;
        Rule { id, direction, protocol, ports, peer, across: None, description, tags: Tags::new() }
    }

    /// The same permission in the one form that EC2 keeps it in, or why there is none.
    pub(crate) fn canonical(self) -> Result<Permission, InvalidValue> {
        let protocol = self.protocol.number().map_or(Protocol::All, Protocol::from);
        let ports = match (protocol, self.ports) {
            (Protocol::All | Protocol::Number(_), _) => None,
            (Protocol::Tcp | Protocol::Udp, None) => return Err(InvalidValue::PortsMissing),
            (Protocol::Tcp | Protocol::Udp, Some((from, to))) => Some(port_range(from, to)?),
            (Protocol::Icmp | Protocol::Icmpv6, None) => Some((ANY, ANY)),
            (Protocol::Icmp | Protocol::Icmpv6, Some((kind, code))) => Some(icmp(kind, code)?),
        };
        let peer = match self.peer {
            Peer::Cidr(cidr) => Peer::Cidr(cidr.trunc()),
            Peer::Cidr6(cidr) => Peer::Cidr6(cidr.trunc()),
            other @ (Peer::Group(_) | Peer::PrefixList(_)) => other,
        };
        match self.description {
            Some(description) if !is_plain(&description) => Err(InvalidValue::GroupDescription(description)),
            description => Ok(Permission { protocol, ports, peer, description }),
        }
    }
}

fn port_range(from: i32, to: i32) -> Result<(i32, i32), InvalidValue> {
    let ports = 0..=i32::from(u16::MAX);
    if from <= to && ports.contains(&from) && ports.contains(&to) {
        Ok((from, to))
    } else {
        Err(InvalidValue::PortRange(from, to))
    }
}

fn icmp(kind: i32, code: i32) -> Result<(i32, i32), InvalidValue> {
    let numbers = ANY..=i32::from(u8::MAX);
    if !numbers.contains(&kind) {
        return Err(InvalidValue::IcmpType(kind));
    }
    if !numbers.contains(&code) || (kind == ANY && code != ANY) {
        return Err(InvalidValue::IcmpCode(code));
    }
    Ok((kind, code))
}

/// Whether EC2 takes this as a name or description.
pub(crate) fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ". _-:/()#,@[]+=&;{}!$*".contains(c);
    text.len() < 256 && text.chars().all(plain)
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Peer::Cidr(cidr) => write!(f, "peer: {cidr}, ")?,
            Peer::Group(group) => write!(f, "peer: {group}, ")?,
            Peer::Cidr6(cidr) => write!(f, "peer: {cidr}, ")?,
            Peer::PrefixList(list) => write!(f, "peer: {list}, ")?,
        }
        match self.protocol {
            Protocol::All => f.write_str("ALL, ")?,
            protocol => write!(f, "{}, ", protocol.to_string().to_uppercase())?,
        }
        match (self.protocol, self.ports) {
            (Protocol::Icmp | Protocol::Icmpv6, Some((kind, code))) => {
                write!(f, "type: {kind}, code: {code}, ")?
            }
            (_, Some((from, to))) => write!(f, "from port: {from}, to port: {to}, ")?,
            (_, None) => {}
        }
        f.write_str("ALLOW")
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Protocol::All => f.pad("-1"),
            Protocol::Tcp => f.pad("tcp"),
            Protocol::Udp => f.pad("udp"),
            Protocol::Icmp => f.pad("icmp"),
            Protocol::Icmpv6 => f.pad("icmpv6"),
            Protocol::Number(number) => number.fmt(f),
        }
    }
}

impl FromStr for Protocol {
    type Err = BadProtocol;

    fn from_str(text: &str) -> Result<Self, BadProtocol> {
        match text.to_ascii_lowercase().as_str() {
            "-1" | "all" => Ok(Protocol::All),
            "tcp" => Ok(Protocol::Tcp),
            "udp" => Ok(Protocol::Udp),
            "icmp" => Ok(Protocol::Icmp),
            "icmpv6" => Ok(Protocol::Icmpv6),
            number => number.parse().map(u8::into).map_err(|_| BadProtocol(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::cidr;

    fn permission(protocol: &str, ports: Option<(i32, i32)>, peer: &str) -> Permission {
        Permission {
            protocol: protocol.parse().unwrap(),
            ports,
            peer: Peer::Cidr(cidr(peer)),
            description: None,
        }
    }

    fn rule(protocol: &str, ports: Option<(i32, i32)>) -> Rule {
        let canonical = permission(protocol, ports, "0.0.0.0/0").canonical().unwrap();
        canonical.into_rule("sgr-00000000".parse().unwrap(), Direction::Ingress)
    }

    #[test]
    fn protocols_are_called_by_name_or_number() {
        for (text, protocol, printed) in [
            ("-1", Protocol::All, "-1"),
            ("TCP", Protocol::Tcp, "tcp"),
            ("17", Protocol::Udp, "udp"),
            ("1", Protocol::Icmp, "icmp"),
            ("50", Protocol::Number(50), "50"),
            ("icmpv6", Protocol::Icmpv6, "icmpv6"),
            ("58", Protocol::Icmpv6, "icmpv6"),
        ] {
            assert_eq!(text.parse(), Ok(protocol));
            assert_eq!(protocol.to_string(), printed);
        }
        for text in ["", "-2", "256", "sctpx"] {
            assert_eq!(text.parse::<Protocol>(), Err(BadProtocol(text.to_owned())));
        }
    }

    #[test]
    fn rules_cover_ports() {
        let web = rule("tcp", Some((80, 443)));
        for (port, covered) in [(79, false), (80, true), (443, true), (444, false)] {
            assert_eq!(web.covers(6, Some((port, port))), covered, "{port}");
        }
        assert!(!web.covers(17, Some((80, 80))) && !web.covers(6, None));
        assert!(rule("tcp", Some((0, 65535))).covers(6, None));
        assert!(rule("-1", Some((80, 80))).covers(6, Some((1, 1))), "without a protocol there are no ports");
        assert!(rule("-1", None).covers(47, None));
        assert!(rule("47", None).covers(47, None) && !rule("47", None).covers(6, Some((1, 1))));
    }

    #[test]
    fn rules_cover_icmp_types_and_codes() {
        let (any, echo, needed) =
            (rule("icmp", None), rule("icmp", Some((8, -1))), rule("icmp", Some((3, 4))));
        assert!(any.covers(1, Some((8, 0))) && any.covers(1, None) && !any.covers(6, Some((8, 0))));
        assert!(
            echo.covers(1, Some((8, 0))) && echo.covers(1, Some((8, 9))) && !echo.covers(1, Some((0, 0)))
        );
        let unreachable = rule("58", Some((1, -1)));
        assert!(unreachable.covers(58, Some((1, 4))) && !unreachable.covers(58, Some((2, 0))));
        assert!(rule("icmpv6", None).covers(58, Some((128, 0))) && !any.covers(58, Some((8, 0))));
        assert!(needed.covers(1, Some((3, 4))) && !needed.covers(1, Some((3, 1))) && !needed.covers(1, None));
    }

    #[test]
    fn permissions_have_one_form() {
        let numbered =
            Permission { protocol: Protocol::Number(6), ..permission("tcp", Some((1, 2)), "10.0.0.9/8") };
        let canonical = numbered.canonical().unwrap();
        assert_eq!((canonical.protocol, canonical.peer), (Protocol::Tcp, Peer::Cidr(cidr("10.0.0.0/8"))));
        for (protocol, ports, wrong) in [
            ("tcp", None, InvalidValue::PortsMissing),
            ("udp", Some((2, 1)), InvalidValue::PortRange(2, 1)),
            ("tcp", Some((-1, -1)), InvalidValue::PortRange(-1, -1)),
            ("tcp", Some((0, 65536)), InvalidValue::PortRange(0, 65536)),
            ("icmp", Some((256, 0)), InvalidValue::IcmpType(256)),
            ("icmp", Some((3, -2)), InvalidValue::IcmpCode(-2)),
            ("icmp", Some((-1, 3)), InvalidValue::IcmpCode(3)),
        ] {
            assert_eq!(permission(protocol, ports, "0.0.0.0/0").canonical(), Err(wrong));
        }
    }
}
