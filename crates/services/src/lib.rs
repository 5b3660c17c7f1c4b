//! What instances talk to: ordinary servers on real sockets in a namespace of their own.
//!
//! A server here never believes a packet about who sent it. The engine gives each interface a source
//! address of its own on the way to a service, and a [`Directory`] turns that address back into the
//! interface.

mod directory;
pub mod dns;
pub mod metadata;
mod seats;
mod server;

pub use directory::{Caller, Directory};
pub use server::{ServeError, Server};
