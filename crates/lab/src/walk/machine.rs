//! A Linux machine as the lab file declares it: which way a packet leaves it, and under which address.

use std::net::Ipv4Addr;

use engine::PortId;
use ipnet::Ipv4Net;
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
    pub(crate) forwarding: Forwarding,
    legs: Vec<Leg<'a>>,
    routes: Vec<Route>,
    masquerade: &'a [Masquerade],
}

/// One link of a machine.
#[derive(Debug)]
pub(crate) struct Leg<'a> {
    pub(crate) device: &'a str,
    pub(crate) address: Ipv4Net,
    pub(crate) link: Link<'a>,
}

/// What a link is attached to.
#[derive(Debug)]
pub(crate) enum Link<'a> {
    Segment { name: &'a str, mac: Mac },
    Fabric { port: PortId, mac: Mac },
    Tunnel { tunnel: &'a Tunnel, own: &'a TunnelEnd },
}

#[derive(Debug)]
struct Route {
    destination: Ipv4Net,
    device: String,
    gateway: Option<Ipv4Addr>,
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
        let legs = host.interfaces.values().map(|interface| Leg {
            device: &interface.name,
            address: interface.address,
            link: Link::Segment { name: &interface.segment, mac: scene.mac_of(host, interface) },
        });
        let routes = host.routes.iter().map(|route| match &route.next {
            NextHop::Gateway { address, interface } => {
                Route { destination: route.destination, device: interface.clone(), gateway: Some(*address) }
            }
            NextHop::OnLink { interface } => {
                Route { destination: route.destination, device: interface.clone(), gateway: None }
            }
        });
        let forwarding = if host.forward { Forwarding::On } else { Forwarding::Off };
        Machine { forwarding, legs: legs.collect(), routes: routes.collect(), masquerade: &host.masquerade }
            .with_tunnels(scene, member)
    }

    /// An instance with what DHCP gives it, and what the lab file declares about its guest.
    fn instance(scene: &Scene<'a>, logical: &str, member: &Member) -> Option<Machine<'a>> {
        let region = scene.region;
        let instance = scene.instance(logical)?;
        let guest = scene.lab.world.guests.get(logical);
        let interface = region.interfaces().get(instance.interfaces.first()?)?;
        let subnet = region.subnets().get(&interface.subnet)?;
        let port = scene.port_of(interface.id)?;
        let address = Ipv4Net::new(interface.private_ip, subnet.cidr.prefix_len()).ok()?;
        let leg = Leg { device: FIRST_LINK, address, link: Link::Fabric { port, mac: Mac(interface.mac.0) } };
        let default = Route {
            destination: Ipv4Net::default(),
            device: FIRST_LINK.to_owned(),
            gateway: Some(subnet.router()),
        };
        let forwarding = match guest {
            Some(guest) if guest.forward => Forwarding::On,
            _ if interface.source_dest_check => Forwarding::Off,
            _ => Forwarding::Undeclared,
        };
        let masquerade = guest.map_or(&[][..], |guest| &guest.masquerade);
        Some(
            Machine { forwarding, legs: vec![leg], routes: vec![default], masquerade }
                .with_tunnels(scene, member),
        )
    }

    /// Whether the machine has this address itself.
    pub(crate) fn owns(&self, address: Ipv4Addr) -> bool {
        self.legs.iter().any(|leg| leg.address.addr() == address)
    }

    /// The address that the machine is known by: its first leg's.
    pub(crate) fn address(&self) -> Option<Ipv4Addr> {
        self.legs.first().map(|leg| leg.address.addr())
    }

    /// The leg that a packet to `destination` leaves by, and the gateway it is handed to: the longest prefix of the
    /// connected networks and the declared routes.
    pub(crate) fn route(&self, destination: Ipv4Addr) -> Option<(&Leg<'a>, Option<Ipv4Addr>)> {
        let connected = self.legs.iter().map(|leg| (leg.address.trunc(), leg.device, None));
        let declared =
            self.routes.iter().map(|route| (route.destination, route.device.as_str(), route.gateway));
        // The first of equal length wins, as connected networks do over static routes.
        let mut best: Option<(Ipv4Net, &str, Option<Ipv4Addr>)> = None;
        for candidate in connected.chain(declared).filter(|(prefix, ..)| prefix.contains(&destination)) {
            if best.is_none_or(|(prefix, ..)| candidate.0.prefix_len() > prefix.prefix_len()) {
                best = Some(candidate);
            }
        }
        let (_, device, gateway) = best?;
        Some((self.legs.iter().find(|leg| leg.device == device)?, gateway))
    }

    /// Whether a new connection from `source` that leaves by `device` is masqueraded.
    pub(crate) fn masquerades(&self, source: Ipv4Addr, device: &str) -> bool {
        self.masquerade.iter().any(|rule| rule.matches(source, device))
    }

    fn with_tunnels(mut self, scene: &Scene<'a>, member: &Member) -> Machine<'a> {
        for tunnel in scene.lab.world.tunnels.values() {
            for (own, peer) in [(&tunnel.a, &tunnel.b), (&tunnel.b, &tunnel.a)] {
                if own.on != *member {
                    continue;
                }
                self.legs.push(Leg {
                    device: &own.device,
                    address: Ipv4Net::from(own.address),
                    link: Link::Tunnel { tunnel, own },
                });
                let over = [Ipv4Net::from(peer.address)].into_iter().chain(own.routes.iter().copied());
                self.routes.extend(over.map(|destination| Route {
                    destination,
                    device: own.device.clone(),
                    gateway: None,
                }));
            }
        }
        self
    }
}
