//! The world around the cloud, as the lab file declares it: segments, the hosts on them, the tunnels between them.
//!
//! These are the declarations that both sides read: the plan makes links and namespaces from them, and the
//! explanation walks over them. So everything is resolved and checked here, and nothing is looked up twice.

pub(crate) mod check;
mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::{Ipv4Net, Ipv6Net};

use crate::error::Place;

/// The name of the segment that is the internet. It always exists, and no site declares it.
pub const INTERNET: &str = "internet";

/// Where the IPv6 CIDR blocks of VPCs come from if nothing else is asked for: what RFC 3849 keeps for documentation.
pub const POOL6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32);

/// Prefix length of an IPv6 CIDR block of the pool: that of a VPC's.
const BLOCK: u8 = 56;

/// Whether VPCs' IPv6 CIDR blocks can come from a network.
pub fn is_pool6(network: Ipv6Net) -> bool {
    let first = network.network();
    network.prefix_len() <= BLOCK
        && network == network.trunc()
        && !first.is_unspecified()
        && !first.is_multicast()
}

/// Names that the lab's own namespaces bear (`rw-<lab>-fabric` and so on), so no host can have them.
pub const RESERVED_NAMES: [&str; 4] = ["fabric", "segments", "services", INTERNET];

/// Everything outside the cloud, and what guests do inside it beside their user data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    /// The addresses that the cloud hands out on the internet.
    pub internet: Internet,
    /// All segments by name; names are unique over all sites. [`INTERNET`] is one of them.
    pub segments: BTreeMap<String, Segment>,
    /// All hosts, routers and firewalls by name; names are unique over all sites.
    pub hosts: BTreeMap<String, Host>,
    /// What instances run, by the logical id of the instance in the template.
    pub guests: BTreeMap<String, Guest>,
    /// Tunnels by name.
    pub tunnels: BTreeMap<String, Tunnel>,
}

impl World {
    /// An internet with nobody on it, and nothing else.
    pub(crate) fn empty(pool: Ipv4Net, pool6: Ipv6Net) -> World {
        let place = Place::whole(&Arc::from("-"));
        let internet = Segment { name: INTERNET.to_owned(), site: None, prefix: None, place };
        World {
            internet: Internet { pool, pool6, elastic_ips: BTreeMap::new(), resolver: None },
            segments: BTreeMap::from([(INTERNET.to_owned(), internet)]),
            hosts: BTreeMap::new(),
            guests: BTreeMap::new(),
            tunnels: BTreeMap::new(),
        }
    }

    /// The host that has this address on an interface, and that interface.
    ///
    /// Tunnel addresses are not looked at: they belong to the [`Tunnel`].
    pub fn host_with_address(&self, address: Ipv4Addr) -> Option<(&Host, &Interface)> {
        self.hosts.values().find_map(|host| {
            host.interfaces.values().find(|i| i.address.addr() == address).map(|i| (host, i))
        })
    }

    /// The host that has this address on this segment, and its interface there.
    pub fn neighbor(&self, segment: &str, address: IpAddr) -> Option<(&Host, &Interface)> {
        self.hosts.values().find_map(|host| {
            let mut interfaces = host.interfaces.values();
            let found = interfaces.find(|i| i.segment == segment && i.addresses().any(|own| own == address));
            found.map(|interface| (host, interface))
        })
    }

    /// The tunnels that end on this member, each with this member's end first and the other end second.
    pub fn tunnels_of<'w>(
        &'w self,
        member: &'w Member,
    ) -> impl Iterator<Item = (&'w Tunnel, &'w TunnelEnd, &'w TunnelEnd)> {
        self.tunnels.values().flat_map(move |tunnel| {
            let ends = [(tunnel, &tunnel.a, &tunnel.b), (tunnel, &tunnel.b, &tunnel.a)];
            ends.into_iter().filter(move |(_, own, _)| own.on == *member)
        })
    }
}

/// The lab's public addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Internet {
    /// The pool from which Elastic IPs come. No host outside may have an address in it.
    pub pool: Ipv4Net,
    /// The pool from which the IPv6 CIDR blocks of VPCs come, each a /56.
    pub pool6: Ipv6Net,
    /// Elastic IPs asked for by the logical id of an `AWS::EC2::EIP`; the others get the lowest free address.
    pub elastic_ips: BTreeMap<String, ElasticIp>,
    /// Who the VPCs' resolver asks for names that it does not know.
    pub resolver: Option<Resolver>,
}

/// A DNS server on the internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    /// The address of a host's interface on the internet.
    pub address: Ipv4Addr,
    /// Where the lab file names it.
    pub place: Place,
}

/// One asked-for Elastic IP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElasticIp {
    /// The address, out of the pool.
    pub address: Ipv4Addr,
    /// Where the lab file asks for it.
    pub place: Place,
}

/// One layer 2 network of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its name, unique over all sites.
    pub name: String,
    /// The site that declares it; `None` for the internet.
    pub site: Option<String>,
    /// The network that its hosts are in; `None` for the internet, where each host has a /32.
    pub prefix: Option<Ipv4Net>,
    /// Where it is declared (for the internet: the `internet:` section).
    pub place: Place,
}

/// What a host is called in its site. Only [`HostKind::Host`] does not forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostKind {
    /// Under `hosts:`.
    Host,
    /// Under `routers:`.
    Router,
    /// Under `firewalls:`.
    Firewall,
}

impl fmt::Display for HostKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Router => "router",
            Self::Firewall => "firewall",
        })
    }
}

/// One machine outside the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name, unique over all sites and different from every instance's Name tag.
    pub name: String,
    /// The site that it stands in.
    pub site: String,
    /// What the site calls it.
    pub kind: HostKind,
    /// Whether it forwards IPv4: routers and firewalls do.
    pub forward: bool,
    /// Its interfaces by name. Tunnel devices are not among them.
    pub interfaces: BTreeMap<String, Interface>,
    /// Its routes beside those to its own segments, in the order of the file. Those over a tunnel
    /// stand in the [`TunnelEnd`].
    pub routes: Vec<Route>,
    /// Its IPv6 routes, in the order of the file; each leads to everybody on the internet's segment.
    pub routes6: Vec<Route6>,
    /// What it masquerades when forwarding, in order; the first that matches counts.
    pub masquerade: Vec<Masquerade>,
    /// Long running programs, each with its arguments.
    pub run: Vec<Vec<String>>,
    /// Where it is declared.
    pub place: Place,
}

impl Host {
    /// The declared route that Linux takes to `destination`: the longest prefix. Connected segments and
    /// tunnels are not looked at.
    pub fn route_to(&self, destination: Ipv4Addr) -> Option<&Route> {
        let matching = self.routes.iter().filter(|r| r.destination.contains(&destination));
        matching.max_by_key(|r| r.destination.prefix_len())
    }

    /// The interface whose segment holds `address`, if any: it is reached there without a next hop.
    pub fn connected(&self, address: Ipv4Addr) -> Option<&Interface> {
        let holding = self.interfaces.values().filter(|i| i.address.contains(&address));
        holding.max_by_key(|i| i.address.prefix_len())
    }

    /// Its address on the internet, if it has a leg there.
    pub fn internet_address(&self) -> Option<Ipv4Addr> {
        self.interfaces.values().find(|i| i.segment == INTERNET).map(|i| i.address.addr())
    }
}

/// One leg of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name in the host, such as `eth0`.
    pub name: String,
    /// The segment that it is on.
    pub segment: String,
    /// Its address with the segment's length; /32 on the internet.
    pub address: Ipv4Net,
    /// Its IPv6 address, which only an interface on the internet can have.
    pub address6: Option<Ipv6Addr>,
    /// How long each frame takes between this interface and its segment, one way.
    pub delay: Duration,
    /// Where it is declared.
    pub place: Place,
}

impl Interface {
    /// Its addresses of either family.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        std::iter::once(self.address.addr().into()).chain(self.address6.map(IpAddr::V6))
    }
}

/// One route of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What it leads to; `default` is `0.0.0.0/0`.
    pub destination: Ipv4Net,
    /// Whereto.
    pub next: NextHop,
    /// Where it is declared.
    pub place: Place,
}

/// One IPv6 route of a host: the destination itself is asked for by neighbor discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route6 {
    /// What it leads to.
    pub destination: Ipv6Net,
    /// The own interface, which has an IPv6 address.
    pub interface: String,
    /// Where it is declared.
    pub place: Place,
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextHop {
    /// To a neighbor on the segment of an own interface.
    Gateway {
        /// The neighbor's address.
        address: Ipv4Addr,
        /// The own interface on the neighbor's segment.
        interface: String,
    },
    /// Out of an own interface: the destination itself is asked for there by ARP.
    OnLink {
        /// The own interface.
        interface: String,
    },
}

impl NextHop {
    /// The own interface that the route leaves by.
    pub fn interface(&self) -> &str {
        match self {
            Self::Gateway { interface, .. } | Self::OnLink { interface } => interface,
        }
    }
}

/// One masquerading rule: forwarded connections that leave by `out` get that interface's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masquerade {
    /// Only packets from here; `None`: all.
    pub from: Option<Ipv4Net>,
    /// The interface or tunnel device that they leave by.
    pub out: String,
    /// Where it is declared.
    pub place: Place,
}

impl Masquerade {
    /// Whether a packet from `source` that leaves by `out` gets a new source address.
    pub fn matches(&self, source: Ipv4Addr, out: &str) -> bool {
        self.out == out && self.from.is_none_or(|from| from.contains(&source))
    }
}

/// What an instance does beside its user data, declared in the lab file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The logical id of the instance in the template.
    pub instance: String,
    /// Whether it forwards IPv4.
    pub forward: bool,
    /// What it masquerades when forwarding, in order; the first that matches counts.
    pub masquerade: Vec<Masquerade>,
    /// Long running programs, each with its arguments.
    pub run: Vec<Vec<String>>,
    /// Where it is declared.
    pub place: Place,
}

/// Who a tunnel ends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// A host of the world, by name.
    Host(String),
    /// An instance of the template, by logical id.
    Instance(String),
}

impl Member {
    /// The name as the lab file writes it.
    pub fn name(&self) -> &str {
        match self {
            Self::Host(name) | Self::Instance(name) => name,
        }
    }
}

/// A point-to-point tunnel: `a` dials, `b` answers at its public address. Real OpenVPN over UDP, unencrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// Its name.
    pub name: String,
    /// The end that dials.
    pub a: TunnelEnd,
    /// The end that answers, on [`Tunnel::port`].
    pub b: TunnelEnd,
    /// The UDP port that `b` listens on.
    pub port: u16,
    /// Where it is declared.
    pub place: Place,
}

/// One end of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelEnd {
    /// The machine.
    pub on: Member,
    /// The tunnel device there, such as `tun0`.
    pub device: String,
    /// This end's own address; the other end's is the peer.
    pub address: Ipv4Addr,
    /// What this end routes into the tunnel, beside the peer.
    pub routes: Vec<Ipv4Net>,
    /// Where it is declared.
    pub place: Place,
}
