//! What happens to a packet in a virtual private cloud.
//!
//! The contract, in one screen:
//!
//! - [`Tables::compile`] turns the desired world (`model::Region`s) and what stands on which port ([`Fabric`])
//!   into immutable answers. [`Engine::load`] swaps them; connections stay, cached verdicts do not.
//! - [`Engine::receive`] takes one frame from one port at one moment and calls `send` for each frame that leaves.
//!   It never blocks, never panics on any bytes, and reads no clock: time is an argument.
//! - [`Engine::ask_gateway`] gives the ARP request that finds the uplink's gateway; whoever has a wire sends it.
//! - [`Engine::tick`] lets go of connections and fragments that have been idle too long, and has routers advertise
//!   themselves.
//! - [`Engine::take_flow_records`] gives what was counted for flow logs, of interfaces that have one.
//! - [`Engine::explain`] is `receive` with its [`Step`]s kept. Explain on [`Engine::imagine`]'s copy, which has the
//!   same tables and no connections, and nothing in the running engine changes.
//!
//! The walk of a packet is [`pipeline`]: pure, it returns claims; nothing is stored unless the verdict is to forward.

mod engine;
pub mod fabric;
mod filter;
mod flow;
pub mod flow_log;
mod fragment;
pub mod nat;
pub mod pipeline;
mod service;
pub mod tables;
pub mod trace;
mod translate;
pub mod verdict;

pub use engine::{Counters, Engine, Explained, PortCounters};
pub use fabric::{Fabric, Gateway, InterfaceKey, PortId, Services, Time, Uplink};
pub use flow_log::{Flow, FlowRecords, Seen, TrafficPath};
pub use service::allowance::SERVICE_PACKETS;
pub use service::link_local::{METADATA, RESOLVER, service_address, service_port};
pub use tables::{ROUTER_LINK_LOCAL, ROUTER_MAC, Tables};
pub use trace::{Direction, Step};
pub use verdict::{DropReason, Verdict};
