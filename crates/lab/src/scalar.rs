//! Reading single values: addresses, networks, numbers, delays, names.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use ipnet::{Ipv4Net, Ipv6Net};

use crate::error::{LabError, Wrong};
use crate::world::is_pool6;
use crate::yaml::Node;

/// The longest name of a lab and of anything in its world: namespaces are called `rw-<lab>-<host>`.
pub(crate) const LONGEST_NAME: usize = 31;

/// The longest delay of a link: more than light needs to the moon and back.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

impl Node {
    /// A value that must be read as `T`; `expected` says what it is.
    pub(crate) fn value<T: FromStr>(&self, expected: &'static str) -> Result<T, LabError> {
        let text = self.text("this")?;
        text.parse().map_err(|_| self.not(text, expected))
    }

    /// An IPv4 address in dotted decimal form.
    pub(crate) fn ipv4(&self) -> Result<Ipv4Addr, LabError> {
        self.value("an IPv4 address")
    }

    /// An IPv4 network whose host bits are zero.
    pub(crate) fn net(&self) -> Result<Ipv4Net, LabError> {
        let net: Ipv4Net = self.value("an IPv4 network such as 192.0.2.0/24")?;
        if net.addr() == net.network() {
            return Ok(net);
        }
        Err(self.not(&net.to_string(), "a network: bits beyond its length are set"))
    }

    /// A network that hosts can live in: not loopback, link-local, multicast or reserved.
    pub(crate) fn unicast_net(&self) -> Result<Ipv4Net, LabError> {
        let net = self.net()?;
        if is_unicast(net.network()) && is_unicast(net.broadcast()) && net.prefix_len() >= 4 {
            return Ok(net);
        }
        Err(self.not(&net.to_string(), "a network of ordinary unicast addresses"))
    }

    /// A network that the IPv6 CIDR blocks of VPCs can come from.
    pub(crate) fn pool6(&self) -> Result<Ipv6Net, LabError> {
        let expected = "an IPv6 network of unicast addresses, a /56 or larger";
        let net: Ipv6Net = self.value(expected)?;
        if is_pool6(net) { Ok(net) } else { Err(self.not(&net.to_string(), expected)) }
    }

    /// An IPv6 address that a host on the internet can have.
    pub(crate) fn unicast6(&self) -> Result<Ipv6Addr, LabError> {
        let expected = "an ordinary IPv6 unicast address";
        let address: Ipv6Addr = self.value(expected)?;
        let special = address.is_unspecified() || address.is_loopback() || address.to_ipv4().is_some();
        if special || address.is_multicast() || address.is_unicast_link_local() {
            return Err(self.not(&address.to_string(), expected));
        }
        Ok(address)
    }

    /// An IPv6 network whose host bits are zero.
    pub(crate) fn net6(&self) -> Result<Ipv6Net, LabError> {
        let net: Ipv6Net = self.value("an IPv6 network such as 2001:db8::/32")?;
        if net == net.trunc() {
            return Ok(net);
        }
        Err(self.not(&net.to_string(), "a network: bits beyond its length are set"))
    }

    /// An address that a host can have.
    pub(crate) fn unicast(&self) -> Result<Ipv4Addr, LabError> {
        let address = self.ipv4()?;
        if is_unicast(address) {
            return Ok(address);
        }
        Err(self.not(&address.to_string(), "an ordinary unicast address"))
    }

    /// `true` or `false`, also quoted, as CloudFormation takes them.
    pub(crate) fn boolean(&self) -> Result<bool, LabError> {
        self.value("true or false")
    }

    /// A link's delay: a decimal number and `s`, `ms` or `us`.
    pub(crate) fn delay(&self) -> Result<Duration, LabError> {
        let text = self.text("this")?;
        let delay = parse_duration(text)
            .ok_or_else(|| self.not(text, "a delay such as 15.5ms (with s, ms or us)"))?;
        if delay > LONGEST_DELAY {
            return Err(self.not(text, "a delay of 10 s at most"));
        }
        Ok(delay)
    }

    /// A program and its arguments.
    pub(crate) fn command(&self) -> Result<Vec<String>, LabError> {
        let words = self.list("a program to run")?;
        if words.is_empty() {
            return Err(self.error(crate::error::WorldFault::EmptyCommand));
        }
        words.iter().map(|word| word.text("a program's argument").map(str::to_owned)).collect()
    }

    fn not(&self, value: &str, expected: &'static str) -> LabError {
        self.error(Wrong::Value { value: value.to_owned(), expected })
    }
}

/// Whether `text` is a name of a lab, site, segment, host or tunnel: `[a-z][a-z0-9-]*`, at most `longest`.
pub(crate) fn is_name(text: &str, longest: usize) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    text.len() <= longest
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.bytes().all(allowed)
}

/// Whether Linux takes `text` as the name of a link and nothing else gives it a meaning.
pub(crate) fn is_link_name(text: &str) -> bool {
    is_name(text, 15) && !matches!(text, "lo" | "default" | "all")
}

fn is_unicast(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first != 0 && first < 224 && !address.is_loopback() && !address.is_link_local()
}

/// A decimal number with a unit, exactly.
fn parse_duration(text: &str) -> Option<Duration> {
    let units = [("ms", 6), ("us", 3), ("s", 9)];
    let (number, digits) = units.iter().find_map(|(unit, d)| Some((text.strip_suffix(unit)?, *d)))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let decimal = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !decimal(whole) || !decimal(fraction) || fraction.len() > digits {
        return None;
    }
    let nanoseconds = format!("{whole}{fraction:0<digits$}").parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact() {
        assert_eq!(parse_duration("15.5ms"), Some(Duration::from_micros(15_500)));
        assert_eq!(parse_duration("2s"), Some(Duration::from_secs(2)));
        assert_eq!(parse_duration("300us"), Some(Duration::from_micros(300)));
        for bad in ["", "ms", "15", "-1ms", "1.5.5ms", "1.0000001ms", "1 ms", ".5s", "99999999999999999999s"]
        {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_stay_plain() {
        assert!(is_name("before-table", 31) && is_name("a", 31));
        for bad in ["", "A", "1a", "a_b", "a-", "-a", "a.b", "a/b"] {
            assert!(!is_name(bad, 31), "{bad}");
        }
        assert!(is_link_name("eth0") && !is_link_name("lo") && !is_link_name("a234567890123456"));
    }
}
