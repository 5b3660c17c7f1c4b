//! MAC addresses of network interfaces.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::id::{InterfaceId, mix};

/// A MAC address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

/// A text that is not six hexadecimal pairs with colons between.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a MAC address: \"{0}\"")]
pub struct BadMacAddress(pub String);

impl MacAddress {
    /// The address that an interface has all its life, made from its id: locally administered, 02 or 06 in front
    /// as in EC2.
    pub(crate) fn of(interface: InterfaceId) -> MacAddress {
        let number = interface.number();
        let [first, rest @ .., _, _] = mix((number as u64) ^ ((number >> 64) as u64)).to_be_bytes();
        let [a, b, c, d, e] = rest;
        MacAddress([0x02 | (first & 0x04), a, b, c, d, e])
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        f.pad(&format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"))
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddress {
    type Err = BadMacAddress;

    fn from_str(text: &str) -> Result<Self, BadMacAddress> {
        let bad = || BadMacAddress(text.to_owned());
        let mut bytes = [0; 6];
        let mut pairs = text.split(':');
        for byte in &mut bytes {
            let pair =
                pairs.next().filter(|pair| pair.len() == 2 && !pair.starts_with('+')).ok_or_else(bad)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        if pairs.next().is_some() { Err(bad()) } else { Ok(MacAddress(bytes)) }
    }
}

impl Serialize for MacAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_has_a_unicast_locally_administered_address_of_its_own() {
        let of = |id: &str| MacAddress::of(id.parse().unwrap());
        let mac = of("eni-0123456789abcdef0");
        assert!(matches!(mac.0[0], 0x02 | 0x06), "{mac}");
        assert_eq!(mac, of("eni-0123456789abcdef0"));
        assert_ne!(mac, of("eni-0123456789abcdef1"));
    }

    #[test]
    fn addresses_read_what_they_print() {
        let mac = MacAddress([2, 0x0a, 0xff, 0, 1, 9]);
        assert_eq!(mac.to_string(), "02:0a:ff:00:01:09");
        assert_eq!(mac.to_string().parse(), Ok(mac));
        for text in ["", "02:0a:ff:00:01", "02:0a:ff:00:01:09:00", "2:0a:ff:00:01:09", "02:0a:ff:00:01:+9"] {
            assert_eq!(text.parse::<MacAddress>(), Err(BadMacAddress(text.to_owned())));
        }
    }
}
