//! The judge of the engine: whole clouds in memory, with a clock that jumps.
//!
//! Nothing but tests uses this crate. [`Cloud`] declares resources, [`Network`] is one VPC with a NAT gateway between
//! hosts inside and hosts on the internet, [`sound`] says whether a frame that left is one that may leave, and
//! [`reference`](mod@reference) is a second implementation of what a VPC does to a packet.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a crate of tests: it fails by panicking")]

mod cloud;
mod network;
pub mod reference;
pub mod sound;

pub use cloud::Cloud;
pub use network::{
    Arrival, Host, Network, Plan, Seen, echo, icmp_error, ipv4_part, reply, tcp, udp, with_options,
};
