//! The single deeds by which a machine's network is brought to its plan.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::IpNet;
use wire::Mac;

use crate::plan::{Route, Veth};

/// One deed. Each is whole or did nothing, and may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Kill what runs in a namespace and delete it.
    DeleteNamespace {
        /// Its name.
        name: String,
    },
    /// Delete a link; of a veth pair both ends go. One that is gone already is no error.
    DeleteLink {
        /// Where.
        namespace: String,
        /// Its name.
        link: String,
    },
    /// Make and pin a namespace with our kernel parameters set.
    CreateNamespace {
        /// Its name.
        name: String,
        /// Whether it forwards IPv4.
        forwarding: bool,
        /// Whether its links speak IPv6.
        ipv6: bool,
    },
    /// Set kernel parameters, in order.
    SetSysctls {
        /// Where.
        namespace: String,
        /// Paths below `/proc/sys/net`, and values.
        values: Vec<(String, String)>,
    },
    /// Make a bridge, up and without spanning tree.
    CreateBridge {
        /// Where.
        namespace: String,
        /// Its name.
        bridge: String,
    },
    /// Make a veth pair, both ends in place with their MACs and MTU, and the first up. (The kernel sets no
    /// second end up before it has the first.) Bridges are joined later.
    CreateVeth {
        /// The pair.
        veth: Veth,
    },
    /// Set a link's hardware address.
    SetMac {
        /// Where.
        namespace: String,
        /// The link.
        link: String,
        /// The address.
        mac: Mac,
    },
    /// Set a link's MTU.
    SetMtu {
        /// Where.
        namespace: String,
        /// The link.
        link: String,
        /// Bytes.
        mtu: u32,
    },
    /// Make a link a port of a bridge, or of none.
    SetBridge {
        /// Where.
        namespace: String,
        /// The link.
        link: String,
        /// The bridge.
        bridge: Option<String>,
    },
    /// Set a link up.
    SetUp {
        /// Where.
        namespace: String,
        /// The link.
        link: String,
    },
    /// Remove an address.
    DeleteAddress {
        /// Where.
        namespace: String,
        /// The link.
        link: String,
        /// The address and its prefix length.
        address: IpNet,
    },
    /// Add an address.
    AddAddress {
        /// Where.
        namespace: String,
        /// The link.
        link: String,
        /// The address and its prefix length.
        address: IpNet,
    },
    /// Remove a route of ours.
    DeleteRoute {
        /// Where.
        namespace: String,
        /// The route, its link known.
        route: Route,
    },
    /// Add a route, in place of another one to the same destination.
    AddRoute {
        /// Where.
        namespace: String,
        /// The route.
        route: Route,
    },
    /// Remove a permanent neighbour entry.
    DeleteNeighbor {
        /// Where.
        namespace: String,
        /// The link.
        link: String,
        /// The neighbour.
        address: Ipv4Addr,
    },
    /// Set a permanent neighbour entry.
    SetNeighbor {
        /// Where.
        namespace: String,
        /// The link.
        link: String,
        /// The neighbour.
        address: Ipv4Addr,
        /// Its hardware address.
        mac: Mac,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeleteNamespace { name } => write!(f, "delete namespace {name}"),
            Self::DeleteLink { namespace, link } => write!(f, "delete link {link} in {namespace}"),
            Self::CreateNamespace { name, .. } => write!(f, "create namespace {name}"),
            Self::SetSysctls { namespace, values } => {
                write!(f, "set in {namespace}:")?;
                values.iter().try_for_each(|(path, value)| write!(f, " {}={value}", path.replace('/', ".")))
            }
            Self::CreateBridge { namespace, bridge } => write!(f, "create bridge {bridge} in {namespace}"),
            Self::CreateVeth { veth } => write!(f, "create veth {veth}"),
            Self::SetMac { namespace, link, mac } => write!(f, "set MAC of {link} in {namespace} to {mac}"),
            Self::SetMtu { namespace, link, mtu } => write!(f, "set MTU of {link} in {namespace} to {mtu}"),
            Self::SetBridge { namespace, link, bridge: Some(bridge) } => {
                write!(f, "make {link} in {namespace} a port of {bridge}")
            }
            Self::SetBridge { namespace, link, bridge: None } => {
                write!(f, "take {link} in {namespace} off its bridge")
            }
            Self::SetUp { namespace, link } => write!(f, "set {link} in {namespace} up"),
            Self::DeleteAddress { namespace, link, address } => {
                write!(f, "remove address {address} from {link} in {namespace}")
            }
            Self::AddAddress { namespace, link, address } => {
                write!(f, "add address {address} to {link} in {namespace}")
            }
            Self::DeleteRoute { namespace, route } => write!(f, "remove route {route} in {namespace}"),
            Self::AddRoute { namespace, route } => write!(f, "add route {route} in {namespace}"),
            Self::DeleteNeighbor { namespace, link, address } => {
                write!(f, "remove neighbor {address} on {link} in {namespace}")
            }
            Self::SetNeighbor { namespace, link, address, mac } => {
                write!(f, "set neighbor {address} on {link} in {namespace} to {mac}")
            }
        }
    }
}
