//! The kernel's side of a plan: what is there, and one deed at a time.

mod linux;
pub(crate) mod netlink;
mod netns;
mod pretend;
pub(crate) mod sysctl;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;

use ipnet::IpNet;
use wire::Mac;

pub use self::linux::Linux;
pub use self::pretend::Pretend;
use crate::ledger::LedgerError;
use crate::namespace::NamespaceError;
use crate::plan::{Plan, Route};
use crate::step::Step;
use crate::teardown::TeardownError;

/// Something that holds namespaces and links: Linux, or a pretence of it for tests.
pub trait Kernel {
    /// What is there of what the plan names.
    ///
    /// # Errors
    /// See [`KernelError`].
    fn observe(&mut self, plan: &Plan) -> Result<Observed, KernelError>;

    /// Does one step.
    ///
    /// # Errors
    /// See [`KernelError`].
    fn perform(&mut self, step: &Step) -> Result<(), KernelError>;
}

/// Why the kernel could not be asked or did not do it.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Making, opening or entering a namespace failed.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// A namespace of a planned name is there, and not on the list of what was made.
    #[error(
        "there is a namespace {0} already, which was made by somebody else (`ip netns delete {0}` removes it)"
    )]
    Foreign(String),
    /// The ledger could not be written, so the thing was not made.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A namespace could not be removed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Teardown(Vec<TeardownError>),
    /// There is no such link.
    #[error("there is no link {link} in {namespace}")]
    NoLink {
        /// Where.
        namespace: String,
        /// Which.
        link: String,
    },
    /// The kernel refused a netlink request.
    #[error("{doing} in {namespace}: {source}")]
    Netlink {
        /// What was asked.
        doing: &'static str,
        /// Where.
        namespace: String,
        /// The answer.
        source: Box<rtnetlink::Error>,
    },
    /// A kernel parameter could not be read or written.
    #[error("kernel parameter net/{path} in {namespace}: {source}")]
    Sysctl {
        /// Where.
        namespace: String,
        /// The path below `/proc/sys/net`.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// No netlink socket, or no thread or timer for it.
    #[error("opening netlink: {0}")]
    Socket(#[source] io::Error),
}

/// What is there of what a plan names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Those of the plan's namespaces that exist.
    pub namespaces: BTreeMap<String, ObservedNamespace>,
    /// Namespaces that we made and that the plan no longer has.
    pub strays: BTreeSet<String>,
}

/// One existing namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedNamespace {
    /// Its links by name.
    pub links: BTreeMap<String, ObservedLink>,
    /// Addresses but IPv6's link-local ones, which links give themselves: (link, address with its prefix length).
    pub addresses: BTreeSet<(String, IpNet)>,
    /// Unicast routes of the main tables.
    pub routes: BTreeSet<ObservedRoute>,
    /// Permanent IPv4 neighbour entries.
    pub neighbors: BTreeSet<(String, Ipv4Addr, Mac)>,
    /// Kernel parameters that we set, as far as this kernel has them: path below `/proc/sys/net` and value.
    pub sysctls: BTreeMap<String, String>,
}

/// One existing link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedLink {
    /// The kernel's interface index in its namespace.
    pub index: u32,
    /// What it is.
    pub kind: LinkKind,
    /// Its hardware address, if it is an Ethernet link.
    pub mac: Option<Mac>,
    /// Bytes.
    pub mtu: u32,
    /// Whether it is set up.
    pub up: bool,
    /// The bridge it is a port of.
    pub bridge: Option<String>,
    /// A veth's other end, (namespace, link), if the plan has a pair between these namespaces.
    pub peer: Option<(String, String)>,
}

/// What a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// A bridge.
    Bridge,
    /// An end of a veth pair.
    Veth,
    /// The loopback, or one that others made: a tunnel, say.
    Other,
}

/// One existing route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObservedRoute {
    /// Destination, gateway and link.
    pub route: Route,
    /// Whether we made it (by its protocol number).
    pub ours: bool,
}
