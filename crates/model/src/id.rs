//! Resource ids: a prefix for the kind, a hyphen, and hexadecimal digits (EC2 User Guide, "Resource IDs").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A text that is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Invalid id: \"{text}\" (expecting \"{prefix}-...\")")]
pub struct BadId {
    /// As given.
    pub text: String,
    /// What ids of this kind begin with.
    pub prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Digits);

        impl $name {
            /// What ids of this kind begin with, before the hyphen.
            pub const PREFIX: &'static str = $prefix;
        }

        impl From<Digits> for $name {
            fn from(digits: Digits) -> Self {
                Self(digits)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&format!("{}-{}", Self::PREFIX, self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let digits = text.strip_prefix(concat!($prefix, "-")).and_then(Digits::parse);
                digits.map(Self).ok_or_else(|| BadId { text: text.to_owned(), prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// Id of a VPC.
    VpcId = "vpc";
    /// Id of the association of a CIDR block with a VPC.
    VpcCidrAssociationId = "vpc-cidr-assoc";
    /// Id of a subnet.
    SubnetId = "subnet";
    /// Id of a route table.
    RouteTableId = "rtb";
    /// Id of the association of a route table with a subnet, or of a VPC with its main one.
    RouteTableAssociationId = "rtbassoc";
    /// Id of an internet gateway.
    InternetGatewayId = "igw";
    /// Id of a security group.
    SecurityGroupId = "sg";
    /// Id of one rule of a security group.
    SecurityGroupRuleId = "sgr";
    /// Id of a network interface.
    InterfaceId = "eni";
    /// Id of the attachment of a network interface to an instance.
    AttachmentId = "eni-attach";
    /// Id of an Elastic IP address.
    AllocationId = "eipalloc";
    /// Id of the association of an Elastic IP address with a private address.
    AssociationId = "eipassoc";
    /// Id of an instance.
    InstanceId = "i";
    /// Id of the launch that made an instance.
    ReservationId = "r";
    /// Id of a machine image.
    ImageId = "ami";
    /// Id of a key pair.
    KeyPairId = "key";
    /// Id of a managed prefix list.
    PrefixListId = "pl";
    /// Id of an egress-only internet gateway.
    EgressOnlyInternetGatewayId = "eigw";
    /// Id of the association of an IPv6 CIDR block with a subnet.
    SubnetCidrAssociationId = "subnet-cidr-assoc";
    /// Id of a reservation of a subnet's addresses.
    SubnetCidrReservationId = "scr";
    /// Id of a DHCP option set.
    DhcpOptionsId = "dopt";
    /// Id of a NAT gateway.
    NatGatewayId = "nat";
    /// Id of a network ACL.
    NetworkAclId = "acl";
    /// Id of the association of a network ACL with a subnet.
    NetworkAclAssociationId = "aclassoc";
    /// Id of a VPC peering connection.
    VpcPeeringConnectionId = "pcx";
    /// Id of a flow log.
    FlowLogId = "fl";
}

impl InterfaceId {
    /// The number that the digits stand for.
    pub(crate) fn number(self) -> u128 {
        self.0.number()
    }
}

/// The digits of an id: 17, or 8 in ids from before 2016. In the order of their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digits {
    /// What is above 64 bits. In halves, since a whole `u128` would make ids, and all that holds them, twice as large.
    high: u8,
    low: u64,
    short: bool,
}

impl Digits {
    /// The `count`th id of a region. Different counts give different ids, and look unrelated.
    pub(crate) fn draw(seed: u64, count: u64) -> Digits {
        let low = mix(seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        Digits { high: 0, low, short: false }
    }

    fn parse(text: &str) -> Option<Digits> {
        let short = match text.len() {
            8 => true,
            17 => false,
            _ => return None,
        };
        if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let number = u128::from_str_radix(text, 16).ok()?;
        Some(Digits { high: (number >> 64) as u8, low: number as u64, short })
    }

    fn number(self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number();
        if self.short { write!(f, "{number:08x}") } else { write!(f, "{number:017x}") }
    }
}

/// The id of nothing, for what an older state does not know.
pub(crate) fn none<Id: From<Digits>>() -> Id {
    Digits { high: 0, low: 0, short: false }.into()
}

/// A one-to-one mixing function: the finaliser of SplitMix64.
pub(crate) fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_what_they_print() {
        for text in ["vpc-0123456789abcdef0", "vpc-fffffffffffffffff", "vpc-1a2b3c4d", "vpc-00000001"] {
            assert_eq!(text.parse::<VpcId>().unwrap().to_string(), text);
        }
        let attachment: AttachmentId = "eni-attach-0123456789abcdef0".parse().unwrap();
        assert_eq!(attachment.to_string(), "eni-attach-0123456789abcdef0");
        assert_ne!(
            "i-00000001".parse::<InstanceId>().unwrap(),
            "i-00000000000000001".parse().unwrap(),
            "the same number in both forms is not the same id"
        );
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "vpc",
            "vpc-",
            "vpc-1",
            "subnet-0123456789abcdef0",
            "vpc-0123456789ABCDEF0",
            "vpc-0123456789abcdef01",
            "vpc-+123456789abcdef0",
            "vpc-0123456789abcdeg0",
            "vpc0123456789abcdef0",
        ] {
            let fault = text.parse::<VpcId>().unwrap_err();
            assert_eq!((fault.text.as_str(), fault.prefix), (text, "vpc"));
        }
        assert!("eni-attach-0123456789abcdef0".parse::<InterfaceId>().is_err());
    }

    #[test]
    fn ids_are_strings_to_serde() {
        let id: SubnetId = "subnet-0123456789abcdef0".parse().unwrap();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, "\"subnet-0123456789abcdef0\"");
        assert_eq!(serde_json::from_str::<SubnetId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<SubnetId>("\"subnet-x\"").is_err());
    }

    #[test]
    fn drawn_ids_differ_and_repeat_with_the_seed() {
        let draw = |seed| {
            (0..10_000).map(|count| Digits::draw(seed, count)).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(draw(1).len(), 10_000);
        assert_eq!(draw(1), draw(1));
        assert!(draw(1).is_disjoint(&draw(2)));
        assert_eq!(Digits::draw(3, 5).to_string().len(), 17);
    }
}
