//! What the engine does to packets, one file a behaviour.

#[cfg(test)]
mod any_packets;
#[cfg(test)]
mod arp;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod dhcp;
#[cfg(test)]
mod dhcp6;
#[cfg(test)]
mod dhcp_options;
#[cfg(test)]
mod drop_reasons;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod flow_logs;
#[cfg(test)]
mod fragments;
#[cfg(test)]
mod gateways;
#[cfg(test)]
mod icmp_errors;
#[cfg(test)]
mod internet_gateway;
#[cfg(test)]
mod ipv6;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod metadata;
#[cfg(test)]
mod middleboxes;
#[cfg(test)]
mod mtu;
#[cfg(test)]
mod nat64;
#[cfg(test)]
mod nat_gateway;
#[cfg(test)]
mod nat_gateway_limits;
#[cfg(test)]
mod neighbor_discovery;
#[cfg(test)]
mod network_acls;
#[cfg(test)]
mod odd_packets;
#[cfg(test)]
mod peer_groups;
#[cfg(test)]
mod peering;
#[cfg(test)]
mod prefixes;
#[cfg(test)]
mod resolver;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod security_groups;
#[cfg(test)]
mod spoofing;
#[cfg(test)]
mod uplink_gateway;
