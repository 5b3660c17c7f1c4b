//! What stands on which port of the fabric: the engine's only knowledge of the machine below it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use model::{InterfaceId, RegionKey};
use serde::{Deserialize, Serialize};
use wire::Mac;

/// One port of the fabric: the Linux interface index of the link in the fabric's namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortId(pub u32);

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {}", self.0)
    }
}

/// A moment on the engine's clock: nanoseconds since any fixed start, never running backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time(pub u64);

impl Time {
    /// The moment `seconds` later.
    pub fn after(self, seconds: u64) -> Time {
        Time(self.0.saturating_add(seconds.saturating_mul(1_000_000_000)))
    }
}

/// A network interface among all accounts and regions that share the fabric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InterfaceKey {
    /// Account and region that the interface belongs to.
    pub region: RegionKey,
    /// The interface within it.
    pub interface: InterfaceId,
}

/// Everything that stands on the fabric's ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fabric {
    /// The ports of network interfaces. An interface without a port exists, but nothing can be delivered to it.
    pub interfaces: BTreeMap<InterfaceKey, PortId>,
    /// Where the servers of link-local services stand (metadata).
    pub services: Option<Services>,
    /// The way to the internet.
    pub uplink: Option<Uplink>,
}

/// The port behind which ordinary servers answer at link-local addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    /// The fabric's port.
    pub port: PortId,
    /// MAC address of the servers' interface.
    pub mac: Mac,
}

/// The port that leads to the internet segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// The fabric's port.
    pub port: PortId,
    /// Our own MAC address there: it answers ARP for associated public addresses.
    pub mac: Mac,
    /// Largest IP packet that leaves, in bytes (AWS: 1500 at an internet gateway).
    pub mtu: u16,
    /// Who else is on the segment.
    pub neighbors: BTreeMap<IpAddr, Mac>,
    /// Who forwards to everybody else, if anybody does.
    pub gateway: Option<Gateway>,
}

/// The next hop for whoever is not on the uplink's segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gateway {
    /// It has this MAC address.
    Mac(Mac),
    /// It has this address; its MAC address is found by ARP ([`crate::Engine::ask_gateway`]).
    Address(Ipv4Addr),
}
