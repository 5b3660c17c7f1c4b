//! What a NAT gateway is and how it behaves.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use super::endpoints::Protocol;
use crate::fabric::InterfaceKey;

/// One NAT gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// The gateway's network interface, which tells it from all others.
    pub key: InterfaceKey,
    /// How it behaves, from its making to its end.
    pub behaviour: Behaviour,
    /// The private addresses of its interface that it translates to.
    pub addresses: Vec<Address>,
}

/// An address that a gateway translates to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub address: Ipv4Addr,
    /// Whether new connections may use it. An address that drains only keeps what it has.
    pub accepts_new: bool,
}

/// How a gateway behaves, in the terms of RFC 4787, 5382 and 5508.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// How TCP is mapped; UDP and ICMP are mapped endpoint-independently (RFC 4787 REQ-1, RFC 5508 REQ-1a).
    pub tcp: Mapping,
    /// What is let in.
    pub filtering: Filtering,
    /// External ports and ICMP identifiers.
    pub ports: RangeInclusive<u16>,
    /// External ports for inside ports 0 to 1023, where these keep to their range (RFC 4787 REQ-3a).
    pub low_ports: Option<RangeInclusive<u16>>,
    /// Sessions at most of one protocol between one address and one remote address and port.
    pub per_destination: Option<u32>,
    /// Sessions at most that one network interface may hold; each external port is held by a session, so this bounds
    /// ports and memory (RFC 6888 REQ-4 and 5).
    pub per_subscriber: Option<u32>,
    /// Whether a port of UDP or an ICMP identifier rests before another endpoint gets it (RFC 6888 REQ-8). TCP, whose
    /// sessions are tracked, is exempt there.
    pub freed_ports_rest: bool,
    /// Idle time of UDP, in seconds.
    pub udp: u64,
    /// Idle time of established TCP, in seconds.
    pub tcp_established: u64,
    /// Idle time of TCP that is being opened or was closed, in seconds.
    pub tcp_transitory: u64,
    /// Idle time of an ICMP query, in seconds.
    pub icmp: u64,
    /// Whether packets from outside keep UDP and ICMP sessions alive (RFC 4787 REQ-6, RFC 7857 section 5).
    pub inbound_refresh: bool,
    /// Whether fragments of TCP and ICMP pass; those of UDP do.
    pub all_fragments: bool,
    /// What the inside is told of a packet that is not translated.
    pub tells: Tells,
}

/// How endpoints inside get external ones (RFC 4787 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    /// One for each inside endpoint, whomever it talks to; nobody else has it.
    EndpointIndependent,
    /// One for each inside and remote endpoint; many may share it towards different remote endpoints.
    AddressAndPortDependent,
}

/// Who may send to a mapping from outside (RFC 4787 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filtering {
    /// Everybody.
    EndpointIndependent,
    /// The addresses that the inside has sent to.
    AddressDependent,
    /// The addresses and ports that the inside has sent to.
    AddressAndPortDependent,
}

/// What the inside is told of a packet that is not translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    /// A TCP reset for a segment of no session.
    Reset,
    /// ICMP 3/13 where ports or memory ran out (RFC 5508 REQ-8).
    Prohibited,
}

impl Behaviour {
    /// What EC2's users expect (VPC user guide, "NAT gateway basics", "Troubleshoot NAT gateways"): ports 1024 to
    /// 65535, 55,000 connections per address and unique destination, 350 s of idleness, then a reset to the inside;
    /// fragments of UDP only. UDP is kinder than EC2's: mapped endpoint-independently.
    pub fn aws() -> Behaviour {
        Behaviour {
            tcp: Mapping::AddressAndPortDependent,
            filtering: Filtering::AddressAndPortDependent,
            ports: 1024..=65535,
            low_ports: None,
            per_destination: Some(55_000),
            per_subscriber: None,
            freed_ports_rest: false,
            udp: 350,
            tcp_established: 350,
            tcp_transitory: 350,
            icmp: 350,
            inbound_refresh: true,
            all_fragments: false,
            tells: Tells::Reset,
        }
    }

    /// What the RFCs ask for: RFC 4787 (UDP), 5382 (TCP), 5508 (ICMP), as 7857 updates them, and 6888.
    ///
    /// An address has 64,512 ports for UDP, each for one inside endpoint, and each rests 120 s: were every endpoint
    /// used once, some 150 new ones a second would use them all up (64,512 / (300 s + 120 s)).
    pub fn rfc() -> Behaviour {
        Behaviour {
            tcp: Mapping::EndpointIndependent,
            filtering: Filtering::AddressDependent,
            ports: 1024..=65535,
            low_ports: Some(1..=1023),
            per_destination: None,
            per_subscriber: Some(32_256),
            freed_ports_rest: true,
            udp: 300,
            tcp_established: 7440,
            tcp_transitory: 240,
            icmp: 60,
            inbound_refresh: false,
            all_fragments: true,
            tells: Tells::Prohibited,
        }
    }

    pub(super) fn mapping(&self, protocol: Protocol) -> Mapping {
        match protocol {
            Protocol::Tcp => self.tcp,
            Protocol::Udp | Protocol::Icmp => Mapping::EndpointIndependent,
        }
    }

    /// The external ports for an inside port.
    pub(super) fn range(&self, protocol: Protocol, port: u16) -> &RangeInclusive<u16> {
        match &self.low_ports {
            Some(low) if port < 1024 && protocol != Protocol::Icmp => low,
            _ => &self.ports,
        }
    }

    pub(super) fn rests(&self, protocol: Protocol) -> bool {
        self.freed_ports_rest && protocol != Protocol::Tcp
    }
}

impl Gateway {
    /// The addresses that new connections may use.
    pub(super) fn accepting(&self) -> impl Iterator<Item = Ipv4Addr> + Clone {
        self.addresses.iter().filter(|candidate| candidate.accepts_new).map(|candidate| candidate.address)
    }
}
