//! The prefixes of interfaces, and what each leads to.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// Block of addresses -> what it leads to. Unlike routes, no block has a part of another, so that the one that begins
/// last before an address is the only one that can have it.
#[derive(Debug)]
pub(crate) struct Prefixes<T>(BTreeMap<IpAddr, (IpAddr, T)>);

impl<T> Prefixes<T> {
    pub(crate) fn insert(&mut self, prefix: IpNet, value: T) {
        self.0.insert(prefix.network(), (prefix.broadcast(), value));
    }

    /// What the block leads to that has an address.
    pub(crate) fn get(&self, address: IpAddr) -> Option<&T> {
        let (_, (last, value)) = self.0.range(..=address).next_back()?;
        (address <= *last).then_some(value)
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.get(address).is_some()
    }
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Prefixes(BTreeMap::new())
    }
}

impl<T> FromIterator<(IpNet, T)> for Prefixes<T> {
    fn from_iter<I: IntoIterator<Item = (IpNet, T)>>(all: I) -> Self {
        let mut prefixes = Prefixes::default();
        for (prefix, value) in all {
            prefixes.insert(prefix, value);
        }
        prefixes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_the_block_around_it() {
        let blocks = ["10.0.0.16/28", "10.0.0.48/28", "2001:db8:0:0:1::/80", "::/80"];
        let prefixes: Prefixes<usize> =
            blocks.iter().enumerate().map(|(n, block)| (block.parse().unwrap(), n)).collect();
        for (address, found) in [
            ("10.0.0.15", None),
            ("10.0.0.16", Some(0)),
            ("10.0.0.31", Some(0)),
            ("10.0.0.32", None),
            ("10.0.0.63", Some(1)),
            ("255.255.255.255", None),
            ("::10.0.0.16", Some(3)),
            ("2001:db8:0:0:1:ffff:ffff:ffff", Some(2)),
            ("2001:db8:0:0:2::", None),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(prefixes.get(address).copied(), found, "{address}");
            assert_eq!(prefixes.contains(address), found.is_some());
        }
    }
}
