//! Explain: the way of a packet through the world and the cloud, there and back.
//!
//! Outside, hosts do what the lab file declares, as Linux would. Inside, nothing is modelled a second time: the
//! packet goes through the engine that forwards real ones, which keeps its trace. What a guest does on its own is
//! named as possible, never guessed.

mod connections;
mod fabric;
mod hop;
mod machine;
mod probe;
mod road;
mod tunnel;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use engine::{InterfaceKey, PortId, Tables};
use model::{Instance, InterfaceId, Region};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use wire::{FlowKey, FlowProto, Mac};

use crate::deploy::Deployment;
use crate::file::Lab;
use crate::world::{Host, Interface, Member};

pub use road::explain;

/// The first destination port of `traceroute`, and the default of `explain`.
pub const TRACEROUTE_PORT: u16 = 33434;
/// Ports that a traceroute with 30 hops and 3 probes each uses at most: nobody listens there.
const TRACEROUTE_PORTS: std::ops::RangeInclusive<u16> = 33434..=33534;

/// The lab that a question is about.
#[derive(Debug, Clone)]
pub struct Scene<'a> {
    /// Its declarations.
    pub lab: &'a Lab,
    /// What the template's resources became.
    pub deployment: &'a Deployment,
    /// The cloud's state.
    pub region: &'a Region,
    /// What the running engine decides by.
    pub tables: Arc<Tables>,
}

/// A transport protocol to ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proto {
    /// TCP: a connection is opened.
    Tcp,
    /// UDP: a datagram is sent.
    Udp,
    /// ICMP echo, of ICMPv6 in IPv6.
    Icmp,
}

/// Can `from` reach `to`, and how?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// A host's name, an instance's id, Name tag or logical id.
    pub from: String,
    /// The same, or an address of either family.
    pub to: String,
    /// Whether a name in `to` means its bearer's IPv6 address, not the IPv4 address.
    pub ipv6: bool,
    /// Destination port; ignored for ICMP.
    pub port: u16,
    /// The protocol.
    pub proto: Proto,
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The packet that was asked about.
    pub packet: String,
    /// Its way.
    pub there: Way,
    /// The way of the answer, if the packet arrives.
    pub back: Option<Way>,
    /// What a traceroute shows: the address of each hop, or none where the hop's answer does not arrive.
    /// The destination is the last, if it is reached.
    pub traceroute: Vec<Option<IpAddr>>,
    /// What could not be known.
    pub notes: Vec<String>,
}

/// One packet's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Where it came by, in order.
    pub stops: Vec<Stop>,
    /// How it ended.
    pub outcome: Outcome,
    /// The sum of the delays of the links it crossed.
    pub delay: Duration,
}

/// One machine, or the cloud's fabric, on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// 0 for the packet itself, 1 for the packet of a tunnel that carries it, and so on.
    pub depth: usize,
    /// Who.
    pub at: String,
    /// The packet as it arrived here.
    pub packet: String,
    /// What was decided here, in order.
    pub decisions: Vec<String>,
    /// Whether the machine takes one from the TTL or hop limit: a traceroute stops here.
    pub visible: bool,
}

/// How a packet's way ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was handed to a machine that has its destination address.
    Delivered {
        /// Who.
        at: String,
    },
    /// It was dropped.
    Dropped {
        /// By whom.
        at: String,
        /// Why, in words.
        why: String,
    },
    /// It reached a guest that may do anything with it.
    Unknown {
        /// Which.
        at: String,
        /// What it depends on, in words.
        why: String,
    },
}

/// A question that cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unanswerable {
    /// Nobody has this name.
    #[error("nobody in the lab is called `{name}`; there are {}", known.join(", "))]
    NoSuchName {
        /// As asked.
        name: String,
        /// Who there is.
        known: Vec<String>,
    },
    /// Several instances have this Name tag.
    #[error("`{name}` is ambiguous: {}", ids.join(", "))]
    Ambiguous {
        /// As asked.
        name: String,
        /// Their ids.
        ids: Vec<String>,
    },
    /// The machine has no address to send from, or to.
    #[error("`{0}` has no address")]
    NoAddress(String),
    /// The machine has no IPv6 address.
    #[error("`{0}` has no IPv6 address")]
    NoIpv6Address(String),
    /// IPv6 was asked about, and an IPv4 address given.
    #[error("{0} is an IPv4 address")]
    NotIpv6(Ipv4Addr),
    /// Every link has such addresses (RFC 4007 section 4).
    #[error("{0} is a link-local address: without its link it leads nowhere")]
    LinkLocal(Ipv6Addr),
    /// The machine has no route to send by.
    #[error("`{0}` has no route to {1}")]
    NoRoute(String, IpAddr),
}

impl<'a> Scene<'a> {
    /// Who is called `name`: a host, or an instance by id, Name tag or logical id.
    pub fn member(&self, name: &str) -> Result<Member, Unanswerable> {
        if self.lab.world.hosts.contains_key(name) {
            return Ok(Member::Host(name.to_owned()));
        }
        let called = |logical: &str, instance: &Instance| {
            logical == name || instance.id.to_string() == name || instance.name() == Some(name)
        };
        let found: Vec<_> =
            self.instances().filter(|(logical, instance)| called(logical, instance)).collect();
        match found[..] {
            [(logical, _)] => Ok(Member::Instance(logical.to_owned())),
            [] => Err(Unanswerable::NoSuchName { name: name.to_owned(), known: self.known_names() }),
            _ => Err(Unanswerable::Ambiguous {
                name: name.to_owned(),
                ids: found.iter().map(|(_, instance)| instance.id.to_string()).collect(),
            }),
        }
    }

    /// What a member is called.
    pub fn name(&self, member: &Member) -> String {
        match member {
            Member::Host(name) => name.clone(),
            Member::Instance(logical) => {
                self.instance(logical).and_then(|instance| instance.name()).unwrap_or(logical).to_owned()
            }
        }
    }

    fn instance(&self, logical: &str) -> Option<&'a Instance> {
        self.region.instances().get(&self.deployment.instance(logical)?)
    }

    /// All instances with the template's logical ids.
    fn instances(&self) -> impl Iterator<Item = (&'a str, &'a Instance)> {
        let named = |instance: &'a Instance| Some((self.deployment.logical_id(instance.id)?, instance));
        self.region.instances().values().filter_map(named)
    }

    fn known_names(&self) -> Vec<String> {
        let instances =
            self.instances().map(|(logical, instance)| instance.name().unwrap_or(logical).to_owned());
        self.lab.world.hosts.keys().cloned().chain(instances).collect()
    }

    fn mac_of(&self, host: &Host, interface: &Interface) -> Mac {
        crate::plan::interface_mac(self.lab, host, interface)
    }

    fn port_of(&self, interface: InterfaceId) -> Option<PortId> {
        self.tables.port_of(&InterfaceKey { region: self.region.key().clone(), interface })
    }
}

impl Outcome {
    fn dropped(at: &str, why: impl Into<String>) -> Outcome {
        Outcome::Dropped { at: at.to_owned(), why: why.into() }
    }
}

impl Explanation {
    /// Whether the packet arrives, and its answer too.
    pub fn answered(&self) -> bool {
        let arrives = |way: &Way| matches!(way.outcome, Outcome::Delivered { .. });
        arrives(&self.there) && self.back.as_ref().is_some_and(arrives)
    }
}

impl Question {
    fn key(&self, src: IpAddr, dst: IpAddr) -> FlowKey {
        let proto = match self.proto {
            Proto::Tcp => FlowProto::Tcp { src: EPHEMERAL_PORT, dst: self.port },
            Proto::Udp => FlowProto::Udp { src: EPHEMERAL_PORT, dst: self.port },
            Proto::Icmp => FlowProto::Echo { id: EPHEMERAL_PORT, request: true },
        };
        FlowKey { src, dst, proto }
    }
}

/// A port that the imagined client may have got from its kernel.
const EPHEMERAL_PORT: u16 = 45000;

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Delivered { at } => write!(f, "arrives at {at}"),
            Outcome::Dropped { at, why } => write!(f, "ends at {at}: {why}"),
            Outcome::Unknown { at, why } => write!(f, "cannot be known at {at}: {why}"),
        }
    }
}
