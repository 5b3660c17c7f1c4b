//! The translation of NAT gateways: network address and port translation (RFC 3022) as pure data structures.
//!
//! - [`NatTable::load`] gives it the gateways: their addresses and their [`Behaviour`], which is a property of the
//!   gateway and not of its load (RFC 4787 REQ-11).
//! - [`NatTable::outbound`] and [`NatTable::inbound`] look at one packet and change nothing: they say how it goes on,
//!   by a session that is there or by a [`Claim`]; or why it does not.
//! - [`NatTable::commit`] stores what a packet claimed, once it is sure that it is forwarded, and
//!   [`NatTable::touch`] moves the session's state and lifetime on.
//! - [`NatTable::expire`] comes before all of these, with the same time: what is over is not found any more.
//! - ICMP errors belong to the session that they quote: [`NatTable::quoted_outbound`] and
//!   [`NatTable::quoted_inbound`] translate the quote, and no error refreshes, makes or ends anything (RFC 5508 REQ-6).
//!
//! A *mapping* leads from an inside endpoint to an external one (endpoint-independent mapping only); a *session* is
//! what passes between an inside endpoint and one remote endpoint. A mapping goes with its last session.

mod behaviour;
mod counters;
mod draw;
mod endpoints;
mod look;
mod mappings;
mod pairs;
mod pools;
mod sessions;
mod state;
mod table;
mod tally;
mod translation;

pub use behaviour::{Address, Behaviour, Filtering, Gateway, Mapping, Tells};
pub use counters::{Counters, Traffic};
pub use sessions::SessionId;
pub use state::Side;
pub use table::NatTable;
pub use translation::{Answer, Claim, Facts, Quote, Refusal, Refused, Standing, Translation};

#[cfg(test)]
mod tests;
