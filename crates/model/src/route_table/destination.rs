//! Where routes lead.

use std::fmt;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::id::PrefixListId;

/// Where a route leads: its key in the table. It is one string, in print and to serde.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// IPv4 addresses.
    V4(Ipv4Net),
    /// IPv6 addresses.
    V6(Ipv6Net),
    /// The entries of a managed prefix list.
    PrefixList(PrefixListId),
}

/// A text that is no destination.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("neither a CIDR block nor the id of a prefix list: \"{0}\"")]
pub struct BadDestination(pub String);

impl Destination {
    /// The CIDR block, if it is one.
    pub fn cidr(self) -> Option<IpNet> {
        match self {
            Destination::V4(cidr) => Some(cidr.into()),
            Destination::V6(cidr) => Some(cidr.into()),
            Destination::PrefixList(_) => None,
        }
    }

    /// The same without host bits.
    pub(crate) fn trunc(self) -> Destination {
        match self {
            Destination::V4(cidr) => Destination::V4(cidr.trunc()),
            Destination::V6(cidr) => Destination::V6(cidr.trunc()),
            list @ Destination::PrefixList(_) => list,
        }
    }
}

impl From<Ipv4Net> for Destination {
    fn from(cidr: Ipv4Net) -> Self {
        Destination::V4(cidr)
    }
}

impl From<Ipv6Net> for Destination {
    fn from(cidr: Ipv6Net) -> Self {
        Destination::V6(cidr)
    }
}

impl From<IpNet> for Destination {
    fn from(cidr: IpNet) -> Self {
        match cidr {
            IpNet::V4(cidr) => Destination::V4(cidr),
            IpNet::V6(cidr) => Destination::V6(cidr),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::V4(cidr) => f.pad(&cidr.to_string()),
            Destination::V6(cidr) => f.pad(&cidr.to_string()),
            Destination::PrefixList(list) => list.fmt(f),
        }
    }
}

impl FromStr for Destination {
    type Err = BadDestination;

    fn from_str(text: &str) -> Result<Self, BadDestination> {
        let cidr = || text.parse::<IpNet>().ok().map(Destination::from);
        let list = || text.parse().ok().map(Destination::PrefixList);
        cidr().or_else(list).ok_or_else(|| BadDestination(text.to_owned()))
    }
}

impl Serialize for Destination {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_read_what_they_print() {
        for text in ["0.0.0.0/0", "10.0.0.0/16", "::/0", "2001:db8::/56", "pl-0123456789abcdef0"] {
            let destination: Destination = text.parse().unwrap();
            assert_eq!(destination.to_string(), text);
            let json = serde_json::to_string(&destination).unwrap();
            assert_eq!(serde_json::from_str::<Destination>(&json).unwrap(), destination);
        }
        for text in ["", "10.0.0.0", "eigw-00000000", "10.0.0.0/33", "::/129"] {
            assert_eq!(text.parse::<Destination>(), Err(BadDestination(text.to_owned())));
        }
        let v4: Destination = "10.0.0.9/8".parse().unwrap();
        assert_eq!(v4.trunc().to_string(), "10.0.0.0/8");
    }
}
