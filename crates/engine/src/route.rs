//! Where to? The subnet's route table, longest prefix first (RFC 4632 section 5.1).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::tables::{Subnet, Target};

/// The longest route of the subnet's table that covers `destination`.
pub(crate) fn lookup(subnet: &Subnet, destination: Ipv4Addr) -> Option<(Ipv4Net, &Target)> {
    subnet.routes.get_lpm(&Ipv4Net::from(destination))
}
