//! Explain on the sample labs: the same walk as in a lab that is up.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ipv4;
mod ipv6;
mod standing;
