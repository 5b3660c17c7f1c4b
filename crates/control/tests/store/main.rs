//! The store keeps what it says it has, and nothing else, whatever happens to it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod cloud;
mod commits;
mod damage;
mod disk;
mod kill;
