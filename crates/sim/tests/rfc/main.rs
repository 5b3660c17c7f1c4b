//! What the RFCs ask of a NAT, one scenario for each requirement and behaviour profile, on whole engines.
//!
//! A row's tests are `<row>::aws` and `<row>::rfc`. Where a profile does not do what a row asks for, the scenario
//! asserts what it does instead, and the reason stands beside it. The table of all rows is in docs/nat-gateways.md.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod checklist;
mod nat64;
mod page;
mod rfc4787;
mod rfc5382;
mod rfc5508;
mod rfc6888;
mod rfc7857;

use sim::Host;

const A: Host = Host::Inside(0);
const B: Host = Host::Inside(1);
const C: Host = Host::Inside(2);
/// On the internet: X and Y are neighbours, Z is far from them.
const X: Host = Host::Outside(0);
const Y: Host = Host::Outside(1);
const Z: Host = Host::Outside(2);
