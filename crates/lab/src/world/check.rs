//! What the declarations of a world must satisfy together. What needs the template as well is asked in
//! the lab file; what needs the region, when it is deployed.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::{Host, INTERNET, Masquerade, Member, NextHop, Route, TunnelEnd, World};
use crate::error::{LabError, Place, WorldFault};

/// The one interface that an instance has.
const GUEST_INTERFACE: &str = "eth0";

impl World {
    /// Checks a world that has been read.
    pub(crate) fn check(&self) -> Result<(), LabError> {
        addresses(self)?;
        resolver(self)?;
        tunnels(self)?;
        for host in self.hosts.values() {
            own_networks(host)?;
            next_hops(self, host)?;
            let member = Member::Host(host.name.clone());
            devices(self, &member, host.interfaces.keys().map(String::as_str), &host.masquerade)?;
        }
        for guest in self.guests.values() {
            let member = Member::Instance(guest.instance.clone());
            devices(self, &member, [GUEST_INTERFACE].into_iter(), &guest.masquerade)?;
        }
        Ok(())
    }
}

/// No address twice on a segment, and none of the cloud's outside.
fn addresses(world: &World) -> Result<(), LabError> {
    let mut seen: BTreeMap<(&str, IpAddr), &str> = BTreeMap::new();
    let pools = [IpNet::from(world.internet.pool), IpNet::from(world.internet.pool6)];
    let interfaces = world.hosts.values().flat_map(|host| host.interfaces.values().map(move |i| (host, i)));
    for (host, interface) in interfaces {
        for address in interface.addresses() {
            if interface.segment == INTERNET
                && let Some(&pool) = pools.iter().find(|pool| pool.contains(&address))
            {
                return Err(interface.place.error(WorldFault::AddressInPool { address, pool }));
            }
            if let Some(other) = seen.insert((&interface.segment, address), &host.name) {
                let by = format!("`{other}`");
                return Err(interface.place.error(WorldFault::AddressTaken { address, by }));
            }
        }
    }
    Ok(())
}

/// Somebody must be there to be asked.
fn resolver(world: &World) -> Result<(), LabError> {
    match &world.internet.resolver {
        Some(resolver) if world.neighbor(INTERNET, resolver.address.into()).is_none() => {
            Err(resolver.place.error(WorldFault::NobodysResolver(resolver.address)))
        }
        _ => Ok(()),
    }
}

/// A host's own segments must differ, or it could not tell where a neighbor is.
fn own_networks(host: &Host) -> Result<(), LabError> {
    let interfaces: Vec<_> = host.interfaces.values().collect();
    for (at, interface) in interfaces.iter().enumerate() {
        for other in &interfaces[..at] {
            let (ours, theirs) = (&interface.address, &other.address);
            if ours.contains(&theirs.network()) || theirs.contains(&ours.network()) {
                let named = |i: &super::Interface| format!("`{}` ({})", i.name, i.address.trunc());
                let (first, second) = (named(other), named(interface));
                return Err(interface.place.error(WorldFault::Overlap { first, second }));
            }
        }
    }
    Ok(())
}

/// Each next hop is somebody, and each destination has one next hop.
fn next_hops(world: &World, host: &Host) -> Result<(), LabError> {
    let mut seen: BTreeMap<IpNet, &Place> = BTreeMap::new();
    let routes6 = host.routes6.iter().map(|route| (route.destination, &route.place));
    for (destination, place) in routes6 {
        if let Some(first) = seen.insert(destination.into(), place) {
            return Err(route_twice(place, &host.name, destination.into(), first));
        }
    }
    for Route { destination, next, place } in &host.routes {
        if let Some(first) = seen.insert((*destination).into(), place) {
            return Err(route_twice(place, &host.name, (*destination).into(), first));
        }
        if let NextHop::Gateway { address, interface } = next
            && let Some(own) = host.interfaces.get(interface)
            && world.neighbor(&own.segment, (*address).into()).is_none()
        {
            let why = format!("is nobody's address on segment `{}`", own.segment);
            return Err(place.error(WorldFault::RouteToNowhere { next: address.to_string(), why }));
        }
    }
    for (_, own, _) in world.tunnels_of(&Member::Host(host.name.clone())) {
        for destination in &own.routes {
            if let Some(first) = seen.insert((*destination).into(), &own.place) {
                return Err(route_twice(&own.place, &host.name, (*destination).into(), first));
            }
        }
    }
    Ok(())
}

/// A machine's tunnel devices have names of their own, and what it masquerades leaves by something it has.
fn devices<'w>(
    world: &'w World,
    member: &'w Member,
    interfaces: impl Iterator<Item = &'w str>,
    masquerade: &[Masquerade],
) -> Result<(), LabError> {
    let mut devices: Vec<&str> = interfaces.collect();
    for (_, own, _) in world.tunnels_of(member) {
        devices.push(&own.device);
    }
    match masquerade.iter().find(|rule| !devices.contains(&rule.out.as_str())) {
        None => Ok(()),
        Some(rule) => Err(rule.place.error(WorldFault::UnknownInterface {
            host: member.name().to_owned(),
            interface: rule.out.clone(),
            known: devices.iter().map(|&d| d.to_owned()).collect(),
        })),
    }
}

fn tunnels(world: &World) -> Result<(), LabError> {
    let mut devices: BTreeMap<(&Member, &str), &str> = BTreeMap::new();
    let mut ports: BTreeMap<(&Member, u16), &str> = BTreeMap::new();
    for tunnel in world.tunnels.values() {
        let (a, b) = (&tunnel.a, &tunnel.b);
        if a.on == b.on {
            return Err(tunnel.place.error(WorldFault::TunnelToItself(a.on.name().to_owned())));
        }
        if a.address == b.address {
            let by = "the other end".to_owned();
            return Err(b.place.error(WorldFault::AddressTaken { address: b.address.into(), by }));
        }
        for end in [a, b] {
            end_is_free(world, end)?;
            if let Some(other) = devices.insert((&end.on, &end.device), &tunnel.name) {
                let by = format!("tunnel `{other}`");
                return Err(end.place.error(WorldFault::NameTaken { name: end.device.clone(), by }));
            }
        }
        if let Some(other) = ports.insert((&b.on, tunnel.port), &tunnel.name) {
            let (member, other) = (b.on.name().to_owned(), other.to_owned());
            return Err(tunnel.place.error(WorldFault::PortTaken { member, port: tunnel.port, other }));
        }
        if let Member::Host(name) = &b.on {
            let host = world.hosts.get(name);
            let Some(remote) = host.and_then(Host::internet_address) else {
                let needed = "an interface on the internet";
                return Err(b.place.error(WorldFault::NotDialable(name.clone(), needed)));
            };
            not_in_itself(a, remote)?;
        }
    }
    Ok(())
}

/// The end's device and address are not those of an interface of its machine.
fn end_is_free(world: &World, end: &TunnelEnd) -> Result<(), LabError> {
    let interfaces = match &end.on {
        Member::Instance(_) if end.device == GUEST_INTERFACE => {
            let (name, by) = (end.device.clone(), "the instance's interface".to_owned());
            return Err(end.place.error(WorldFault::NameTaken { name, by }));
        }
        Member::Instance(_) => return Ok(()),
        Member::Host(name) => world.hosts.get(name).map(|host| &host.interfaces),
    };
    for interface in interfaces.into_iter().flatten().map(|(_, interface)| interface) {
        if interface.name == end.device {
            let by = format!("an interface, at {}", interface.place);
            return Err(end.place.error(WorldFault::NameTaken { name: end.device.clone(), by }));
        }
        if interface.address.addr() == end.address {
            let by = format!("its own `{}`", interface.name);
            return Err(end.place.error(WorldFault::AddressTaken { address: end.address.into(), by }));
        }
    }
    Ok(())
}

/// The dialling end's routes must leave the way to the dialled address alone.
pub(crate) fn not_in_itself(a: &TunnelEnd, remote: Ipv4Addr) -> Result<(), LabError> {
    match a.routes.iter().find(|route| route.contains(&remote)) {
        Some(&route) => Err(a.place.error(WorldFault::TunnelInItself { route, remote })),
        None => Ok(()),
    }
}

fn route_twice(place: &Place, host: &str, destination: IpNet, first: &Place) -> LabError {
    let (host, first) = (host.to_owned(), first.clone());
    place.error(WorldFault::RouteTwice { host, destination, first })
}
