//! What the VPC itself answers, and the way to what ordinary servers answer for it.

pub(crate) mod allowance;
pub(crate) mod arp;
pub(crate) mod dhcp4;
pub(crate) mod dhcp6;
pub(crate) mod link_local;
pub(crate) mod nd;
