//! What one machine's network should be: namespaces, the links in them, addresses and routes. Pure data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use wire::Mac;

/// All namespaces of a lab and the veth pairs between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The namespaces by the name they are pinned under.
    pub namespaces: BTreeMap<String, NamespacePlan>,
    /// The veth pairs; both ends must be in `namespaces`.
    pub veths: Vec<Veth>,
}

/// What one namespace holds beside the ends of veth pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespacePlan {
    /// Whether it forwards IPv4 packets (`net.ipv4.ip_forward`).
    pub forwarding: bool,
    /// Bridges (without spanning tree, so a port forwards at once).
    pub bridges: BTreeSet<String>,
    /// Addresses with their prefix lengths: (link, address). Where one is of IPv6, the links speak IPv6.
    pub addresses: BTreeSet<(String, IpNet)>,
    /// Links that others make there, and that are left alone.
    pub foreign: BTreeSet<String>,
    /// Routes of the main table.
    pub routes: BTreeSet<Route>,
    /// Permanent IPv4 neighbour entries: (link, address, hardware address).
    pub neighbors: BTreeSet<(String, Ipv4Addr, Mac)>,
    /// A guest lives in it: once the namespace and its links are made, addresses, routes, link states and
    /// kernel parameters are the guest's own and are not corrected.
    pub leave_addresses: bool,
}

/// A route of either family. Ordered so that routes of a link come before those that need a gateway to be reachable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The gateway; without one the destination is on the link.
    pub via: Option<IpAddr>,
    /// Where it leads; host bits do not count.
    pub destination: IpNet,
    /// The link; without one the kernel finds it from the gateway.
    pub link: Option<String>,
}

/// A pair of virtual Ethernet links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Veth {
    /// One end.
    pub a: End,
    /// The other.
    pub b: End,
    /// The MTU of both ends in bytes.
    pub mtu: u32,
}

/// One end of a veth pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The namespace it stands in.
    pub namespace: String,
    /// Its name there, at most 15 bytes.
    pub link: String,
    /// Its hardware address; without one the kernel's choice stays.
    pub mac: Option<Mac>,
    /// The bridge of the same namespace that it is a port of.
    pub bridge: Option<String>,
}

impl NamespacePlan {
    /// Whether its links speak IPv6.
    pub fn ipv6(&self) -> bool {
        self.addresses.iter().any(|(_, address)| matches!(address, IpNet::V6(_)))
    }
}

impl Plan {
    /// Both ends of all veth pairs, with the MTU.
    pub fn ends(&self) -> impl Iterator<Item = (&End, u32)> {
        self.veths.iter().flat_map(|veth| [(&veth.a, veth.mtu), (&veth.b, veth.mtu)])
    }

    /// The names of the links (bridges and veth ends) planned in `namespace`.
    pub fn links(&self, namespace: &str) -> BTreeSet<&str> {
        let ends =
            self.ends().filter(|(end, _)| end.namespace == namespace).map(|(end, _)| end.link.as_str());
        let bridges = self.namespaces.get(namespace).into_iter().flat_map(|plan| &plan.bridges);
        ends.chain(bridges.map(String::as_str)).collect()
    }
}

impl fmt::Display for Veth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <-> {}", self.a, self.b)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.link, self.namespace)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.destination)?;
        if let Some(via) = self.via {
            write!(f, " via {via}")?;
        }
        match &self.link {
            Some(link) => write!(f, " dev {link}"),
            None => Ok(()),
        }
    }
}
