//! The cloud's control: durable state, and the EC2 Query API over it.

pub mod ec2;
pub mod store;
mod sts;
