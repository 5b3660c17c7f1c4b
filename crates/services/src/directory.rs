//! Who asks.

use std::net::Ipv4Addr;
use std::sync::Arc;

/// Tells who stands behind a peer address, and what there is beside.
pub trait Directory: Send + Sync {
    /// The caller whose port was given `peer` as its source address, or `None` if no port has it now.
    /// Called on the server's thread for each connection and each request; must not block.
    fn caller(&self, peer: Ipv4Addr) -> Option<Caller>;

    /// All regions as they are now. Called on the server's thread; must not block.
    fn regions(&self) -> Vec<Arc<model::Region>>;
}

/// The owner of a port, and the state of its region as it is now.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The region the interface belongs to.
    pub region: Arc<model::Region>,
    /// The interface whose port the connection came from.
    pub interface: model::InterfaceId,
}
