//! One Linux machine's effects: namespaces, links, packet sockets and machines; what was made, and its end.

pub mod clock;
pub mod cloud;
pub mod fabric;
pub mod holder;
pub mod image;
pub mod kernel;
pub mod ledger;
pub mod machine;
pub mod namespace;
pub mod packet_socket;
pub mod plan;
mod process;
pub mod reconcile;
pub mod relay;
pub mod step;
pub mod teardown;
pub mod uplink;
