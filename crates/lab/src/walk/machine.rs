//! A Linux machine as the lab file declares it: which way a packet leaves it, and under which address.

use std::net::IpAddr;
use std::time::Duration;

use engine::{PortId, ROUTER_LINK_LOCAL};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use wire::Mac;

use crate::walk::Scene;
use crate::world::{Host, Masquerade, Member, NextHop, Tunnel, TunnelEnd};

/// The link of an instance's first network interface.
pub(crate) const FIRST_LINK: &str = "eth0";

/// What a machine does with packets that are not for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forwarding {
    On,
    Off,
    /// The cloud would let it, and the lab file says nothing: the guest alone knows.
    Undeclared,
}

/// One machine, host or guest.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    forwarding: Forwarding,
    forwarding6: Forwarding,
    legs: Vec<Leg<'a>>,
    routes: Vec<Route<'a>>,
    masquerade: &'a [Masquerade],
}

/// One link of a machine.
#[derive(Debug)]
pub(crate) struct Leg<'a> {
    pub(crate) device: &'a str,
    pub(crate) link: Link<'a>,
    /// Of either family, each with the prefix length of the network that it connects to.
    addresses: Vec<IpNet>,
}

/// What a link is attached to.
#[derive(Debug)]
pub(crate) enum Link<'a> {
    Segment { name: &'a str, mac: Mac, delay: Duration },
    Fabric { port: PortId, mac: Mac },
    Tunnel { tunnel: &'a Tunnel, own: &'a TunnelEnd },
}

#[derive(Debug)]
struct Route<'a> {
    destination: IpNet,
    device: &'a str,
    gateway: Option<IpAddr>,
}

impl Leg<'_> {
    /// The address that the machine sends from by this leg to `destination`: the one with the longest common prefix
    /// (RFC 6724 section 5, rule 8). Of several Linux takes the one that it got last, and a VPC's DHCPv6 gives them in
    /// order.
    pub(crate) fn source(&self, destination: IpAddr) -> Option<IpAddr> {
        let same_family = self.addresses.iter().map(IpNet::addr);
        let same_family = same_family.filter(|own| own.is_ipv4() == destination.is_ipv4());
        same_family.max_by_key(|own| (common_prefix(*own, destination), *own))
    }
}

/// How many bits two addresses begin with in common. A leg has one IPv4 address, and no choice.
fn common_prefix(one: IpAddr, other: IpAddr) -> u32 {
    match (one, other) {
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => 0,
    }
}

impl<'a> Machine<'a> {
    /// The machine that a member of the lab is; none if it has no place in the network.
    pub(crate) fn of(scene: &Scene<'a>, member: &Member) -> Option<Machine<'a>> {
        match member {
            Member::Host(name) => Some(Machine::host(scene, scene.lab.world.hosts.get(name)?, member)),
            Member::Instance(logical) => Machine::instance(scene, logical, member),
        }
    }

    fn host(scene: &Scene<'a>, host: &'a Host, member: &Member) -> Machine<'a> {
        let legs = host.interfaces.values().map(|interface| {
            let (name, delay) = (&interface.segment, interface.delay);
            let link = Link::Segment { name, mac: scene.mac_of(host, interface), delay };
            let address6 = interface.address6.map(|address| IpNet::from(IpAddr::V6(address)));
            let addresses = [IpNet::V4(interface.address)].into_iter().chain(address6).collect();
            Leg { device: &interface.name, link, addresses }
        });
        let routes = host.routes.iter().map(|route| Route {
            destination: route.destination.into(),
            device: route.next.interface(),
            gateway: match &route.next {
                NextHop::Gateway { address, .. } => Some(IpAddr::V4(*address)),
                NextHop::OnLink { .. } => None,
            },
        });
        let routes6 = host.routes6.iter().map(|route| Route {
            destination: route.destination.into(),
            device: &route.interface,
            gateway: None,
        });
        let machine = Machine {
            forwarding: if host.forward { Forwarding::On } else { Forwarding::Off },
            // What a lab file declares as forwarding is IPv4's.
            forwarding6: Forwarding::Off,
            legs: legs.collect(),
            routes: routes.chain(routes6).collect(),
            masquerade: &host.masquerade,
        };
        machine.with_tunnels(scene, member)
    }

    /// An instance with what DHCP and router advertisements give it, and what the lab file declares about its guest.
    fn instance(scene: &Scene<'a>, logical: &str, member: &Member) -> Option<Machine<'a>> {
        let region = scene.region;
        let instance = scene.instance(logical)?;
        let guest = scene.lab.world.guests.get(logical);
        let interface = region.interfaces().get(instance.interfaces.first()?)?;
        let subnet = region.subnets().get(&interface.subnet)?;
        let port = scene.port_of(interface.id)?;
        let mut addresses = vec![IpNet::new(interface.private_ip.into(), subnet.cidr.prefix_len()).ok()?];
        let via = |destination, gateway| Route { destination, device: FIRST_LINK, gateway };
        let mut routes = vec![via(Ipv4Net::default().into(), Some(subnet.router().into()))];
        // A machine listens to routers only if it has addresses to ask for by DHCPv6.
        if let Some(block) = subnet.ipv6.as_ref().filter(|_| !interface.ipv6_addresses.is_empty()) {
            addresses.extend(interface.ipv6_addresses.iter().map(|own| IpNet::from(IpAddr::V6(*own))));
            routes.push(via(block.cidr.into(), None));
            routes.push(via(Ipv6Net::default().into(), Some(ROUTER_LINK_LOCAL.into())));
        }
        let link = Link::Fabric { port, mac: Mac(interface.mac.0) };
        let undeclared = match interface.source_dest_check {
            true => Forwarding::Off,
            false => Forwarding::Undeclared,
        };
        let machine = Machine {
            forwarding: if guest.is_some_and(|guest| guest.forward) { Forwarding::On } else { undeclared },
            forwarding6: undeclared,
            legs: vec![Leg { device: FIRST_LINK, link, addresses }],
            routes,
            masquerade: guest.map_or(&[][..], |guest| &guest.masquerade),
        };
        Some(machine.with_tunnels(scene, member))
    }

    /// What it does with packets for `destination`, which is not its own.
    pub(crate) fn forwarding(&self, destination: IpAddr) -> Forwarding {
        if destination.is_ipv4() { self.forwarding } else { self.forwarding6 }
    }

    /// Whether the machine has this address itself.
    pub(crate) fn owns(&self, address: IpAddr) -> bool {
        self.addresses().any(|own| own.addr() == address)
    }

    /// The address that the machine is known by in a family: the first.
    pub(crate) fn address(&self, ipv6: bool) -> Option<IpAddr> {
        self.addresses().map(IpNet::addr).find(|own| own.is_ipv6() == ipv6)
    }

    /// The leg that a packet to `destination` leaves by, and the gateway it is handed to: the longest prefix of the
    /// connected networks and the declared routes.
    pub(crate) fn route(&self, destination: IpAddr) -> Option<(&Leg<'a>, Option<IpAddr>)> {
        let connected = self
            .legs
            .iter()
            .flat_map(|leg| leg.addresses.iter().map(|address| (address.trunc(), leg.device, None)));
        let declared = self.routes.iter().map(|route| (route.destination, route.device, route.gateway));
        // The first of equal length wins, as connected networks do over static routes.
        let mut best: Option<(IpNet, &str, Option<IpAddr>)> = None;
        for candidate in connected.chain(declared).filter(|(prefix, ..)| prefix.contains(&destination)) {
            if best.is_none_or(|(prefix, ..)| candidate.0.prefix_len() > prefix.prefix_len()) {
                best = Some(candidate);
            }
        }
        let (_, device, gateway) = best?;
        Some((self.legs.iter().find(|leg| leg.device == device)?, gateway))
    }

    /// Whether a new connection from `source` that leaves by `device` is masqueraded. The rules are for IPv4.
    pub(crate) fn masquerades(&self, source: IpAddr, device: &str) -> bool {
        let IpAddr::V4(source) = source else { return false };
        self.masquerade.iter().any(|rule| rule.matches(source, device))
    }

    fn addresses(&self) -> impl Iterator<Item = &IpNet> {
        self.legs.iter().flat_map(|leg| &leg.addresses)
    }

    fn with_tunnels(mut self, scene: &Scene<'a>, member: &Member) -> Machine<'a> {
        for tunnel in scene.lab.world.tunnels.values() {
            for (own, peer) in [(&tunnel.a, &tunnel.b), (&tunnel.b, &tunnel.a)] {
                if own.on != *member {
                    continue;
                }
                self.legs.push(Leg {
                    device: &own.device,
                    link: Link::Tunnel { tunnel, own },
                    addresses: vec![IpNet::from(IpAddr::V4(own.address))],
                });
                let over = [Ipv4Net::from(peer.address)].into_iter().chain(own.routes.iter().copied());
                self.routes.extend(over.map(|destination| Route {
                    destination: destination.into(),
                    device: &own.device,
                    gateway: None,
                }));
            }
        }
        self
    }
}
