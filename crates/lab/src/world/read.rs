//! From the lab file's tree to the world's declarations. Every name is resolved here; what the declarations
//! together must satisfy is asked in `check`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::{
    ElasticIp, Guest, Host, HostKind, INTERNET, Interface, Internet, Masquerade, Member, NextHop, POOL6,
    RESERVED_NAMES, Resolver, Route, Route6, Segment, Tunnel, TunnelEnd, World,
};
use crate::error::{LabError, Place, WorldFault, Wrong};
use crate::scalar::{LONGEST_NAME, is_link_name, is_name};
use crate::yaml::{Fields, Key, Node};

const SITE: &[&str] = &["segments", "hosts", "routers", "firewalls"];
const HOST: &[&str] = &["interfaces", "routes", "masquerade", "run"];
const INTERFACE: &[&str] = &["segment", "address", "address6", "delay"];
const MASQUERADE: &[&str] = &["from", "out"];
const GUEST: &[&str] = &["forward", "masquerade", "run"];
const TUNNEL: &[&str] = &["tunnel", "port"];
const ENDS: &[&str] = &["a", "b"];
const TUNNEL_END: &[&str] = &["on", "device", "address", "routes"];

/// OpenVPN's own port.
const DEFAULT_PORT: u16 = 1194;

impl World {
    /// Reads the sections `internet`, `guests`, `sites` and `tunnels` of the lab file.
    pub(crate) fn read(lab: &Fields<'_>) -> Result<Self, LabError> {
        let (internet, place) = read_internet(lab.required("internet")?)?;
        let mut reader = Reader { segments: BTreeMap::new(), hosts: BTreeMap::new() };
        let open = Segment { name: INTERNET.to_owned(), site: None, prefix: None, place };
        reader.segments.insert(INTERNET.to_owned(), open);

        let sites = lab.entries("sites")?;
        for (site, node) in sites {
            name(site)?;
            reader.segments_of(site, &Fields::of(node, format!("site `{}`", site.name), SITE)?)?;
        }
        for (site, node) in sites {
            reader.hosts_of(site, &Fields::of(node, format!("site `{}`", site.name), SITE)?)?;
        }

        let mut guests = BTreeMap::new();
        for (key, node) in lab.entries("guests")? {
            guests.insert(key.name.clone(), read_guest(key, node)?);
        }
        let mut tunnels = BTreeMap::new();
        for (key, node) in lab.entries("tunnels")? {
            name(key)?;
            tunnels.insert(key.name.clone(), reader.tunnel(key, node)?);
        }
        Ok(Self { internet, segments: reader.segments, hosts: reader.hosts, guests, tunnels })
    }
}

/// What has been read so far: names are unique over all sites.
struct Reader {
    segments: BTreeMap<String, Segment>,
    hosts: BTreeMap<String, Host>,
}

impl Reader {
    fn segments_of(&mut self, site: &Key, fields: &Fields<'_>) -> Result<(), LabError> {
        for (key, node) in fields.entries("segments")? {
            free_name(key)?;
            if let Some(first) = self.segments.get(&key.name) {
                return Err(taken(key, "a segment", &first.place));
            }
            let prefix = node.unicast_net()?;
            if prefix.prefix_len() > 30 {
                let value = prefix.to_string();
                let expected = "a network with room for two hosts (/30 or shorter)";
                return Err(node.error(Wrong::Value { value, expected }));
            }
            let (name, site) = (key.name.clone(), Some(site.name.clone()));
            let segment = Segment { name, site, prefix: Some(prefix), place: key.place.clone() };
            self.segments.insert(key.name.clone(), segment);
        }
        Ok(())
    }

    fn hosts_of(&mut self, site: &Key, fields: &Fields<'_>) -> Result<(), LabError> {
        let kinds =
            [("hosts", HostKind::Host), ("routers", HostKind::Router), ("firewalls", HostKind::Firewall)];
        for (section, kind) in kinds {
            for (key, node) in fields.entries(section)? {
                free_name(key)?;
                if let Some(first) = self.hosts.get(&key.name) {
                    return Err(taken(key, &format!("a {}", first.kind), &first.place));
                }
                let host = self.host(&site.name, kind, key, node)?;
                self.hosts.insert(key.name.clone(), host);
            }
        }
        Ok(())
    }

    fn host(&self, site: &str, kind: HostKind, key: &Key, node: &Node) -> Result<Host, LabError> {
        let fields = Fields::of(node, format!("{kind} `{}`", key.name), HOST)?;
        let mut interfaces = BTreeMap::new();
        for (name, node) in fields.required("interfaces")?.map("`interfaces`")? {
            interfaces.insert(name.name.clone(), self.interface(name, node)?);
        }
        let (mut routes, mut routes6) = (Vec::new(), Vec::new());
        for (destination, node) in fields.entries("routes")? {
            match destination.name.contains(':') {
                true => routes6.push(read_route6(&interfaces, destination, node)?),
                false => routes.push(read_route(&interfaces, destination, node)?),
            }
        }
        Ok(Host {
            name: key.name.clone(),
            site: site.to_owned(),
            kind,
            forward: kind != HostKind::Host,
            interfaces,
            routes,
            routes6,
            masquerade: read_masquerade(&fields)?,
            run: read_run(&fields)?,
            place: key.place.clone(),
        })
    }

    fn interface(&self, key: &Key, node: &Node) -> Result<Interface, LabError> {
        link_name(&key.name, &key.place)?;
        let fields = Fields::of(node, format!("interface `{}`", key.name), INTERFACE)?;
        let segment_node = fields.required("segment")?;
        let segment = segment_node.text("`segment`")?;
        let Some(found) = self.segments.get(segment) else {
            let known = self.segments.keys().cloned().collect();
            let segment = segment.to_owned();
            return Err(segment_node.error(WorldFault::UnknownSegment { segment, known }));
        };
        let address_node = fields.required("address")?;
        let address = address_node.unicast()?;
        let address = match found.prefix {
            None => Ipv4Net::from(address),
            Some(prefix) => within(prefix, address).ok_or_else(|| {
                let segment = segment.to_owned();
                address_node.error(WorldFault::AddressOutside { address, segment, prefix })
            })?,
        };
        let address6 = match fields.optional("address6") {
            Some(node) if found.prefix.is_some() => {
                return Err(node.error(WorldFault::Ipv6Inside(segment.to_owned())));
            }
            node => node.map(Node::unicast6).transpose()?,
        };
        let delay = fields.optional("delay").map_or(Ok(Duration::ZERO), Node::delay)?;
        let (name, segment) = (key.name.clone(), segment.to_owned());
        Ok(Interface { name, segment, address, address6, delay, place: key.place.clone() })
    }

    fn tunnel(&self, key: &Key, node: &Node) -> Result<Tunnel, LabError> {
        let what = format!("tunnel `{}`", key.name);
        let fields = Fields::of(node, what.clone(), TUNNEL)?;
        let ends = Fields::of(fields.required("tunnel")?, what, ENDS)?;
        let port = match fields.optional("port") {
            None => DEFAULT_PORT,
            Some(node) => node.value::<std::num::NonZeroU16>("a UDP port")?.get(),
        };
        Ok(Tunnel {
            name: key.name.clone(),
            a: self.tunnel_end(ends.required("a")?)?,
            b: self.tunnel_end(ends.required("b")?)?,
            port,
            place: key.place.clone(),
        })
    }

    fn tunnel_end(&self, node: &Node) -> Result<TunnelEnd, LabError> {
        let fields = Fields::of(node, "a tunnel's end", TUNNEL_END)?;
        let on = fields.required("on")?.text("`on`")?.to_owned();
        // Whether the template has such an instance is asked when both are read.
        let on = if self.hosts.contains_key(&on) { Member::Host(on) } else { Member::Instance(on) };
        let device = fields.required("device")?;
        link_name(device.text("`device`")?, &device.place)?;
        let routes: Result<Vec<_>, _> = fields.items("routes")?.iter().map(destination).collect();
        Ok(TunnelEnd {
            on,
            device: device.text("`device`")?.to_owned(),
            address: fields.required("address")?.unicast()?,
            routes: routes?,
            place: node.place.clone(),
        })
    }
}

fn read_internet(node: &Node) -> Result<(Internet, Place), LabError> {
    let fields = Fields::of(node, "`internet`", &["pool", "pool6", "elastic_ips", "resolver"])?;
    let pool = fields.required("pool")?.unicast_net()?;
    let pool6 = fields.optional("pool6").map_or(Ok(POOL6), Node::pool6)?;
    let mut elastic_ips: BTreeMap<String, ElasticIp> = BTreeMap::new();
    for (key, node) in fields.entries("elastic_ips")? {
        let address = node.unicast()?;
        if !pool.contains(&address) {
            return Err(node.error(WorldFault::OutsidePool { address, pool }));
        }
        if let Some((other, _)) = elastic_ips.iter().find(|(_, e)| e.address == address) {
            let by = format!("Elastic IP `{other}`");
            return Err(node.error(WorldFault::AddressTaken { address: address.into(), by }));
        }
        elastic_ips.insert(key.name.clone(), ElasticIp { address, place: key.place.clone() });
    }
    let resolver = fields.optional("resolver");
    let resolver = resolver.map(|node| Ok(Resolver { address: node.unicast()?, place: node.place.clone() }));
    Ok((Internet { pool, pool6, elastic_ips, resolver: resolver.transpose()? }, node.place.clone()))
}

fn read_guest(key: &Key, node: &Node) -> Result<Guest, LabError> {
    let fields = Fields::of(node, format!("guest `{}`", key.name), GUEST)?;
    Ok(Guest {
        instance: key.name.clone(),
        forward: fields.optional("forward").map_or(Ok(false), Node::boolean)?,
        masquerade: read_masquerade(&fields)?,
        run: read_run(&fields)?,
        place: key.place.clone(),
    })
}

fn read_masquerade(fields: &Fields<'_>) -> Result<Vec<Masquerade>, LabError> {
    let read = |node: &Node| {
        let fields = Fields::of(node, "`masquerade`", MASQUERADE)?;
        let from = fields.optional("from").map(Node::net).transpose()?;
        let out = fields.required("out")?.text("`out`")?.to_owned();
        Ok(Masquerade { from, out, place: node.place.clone() })
    };
    fields.items("masquerade")?.iter().map(read).collect()
}

fn read_run(fields: &Fields<'_>) -> Result<Vec<Vec<String>>, LabError> {
    fields.items("run")?.iter().map(Node::command).collect()
}

/// One route: the value is a neighbor's address or an own interface.
fn read_route(interfaces: &BTreeMap<String, Interface>, key: &Key, node: &Node) -> Result<Route, LabError> {
    let destination = destination(&key.as_node())?;
    let text = node.text("a route's next hop")?;
    let nowhere = |why: String| node.error(WorldFault::RouteToNowhere { next: text.to_owned(), why });
    let next = match text.parse::<Ipv4Addr>() {
        Err(_) if interfaces.contains_key(text) => NextHop::OnLink { interface: text.to_owned() },
        Err(_) => return Err(nowhere("is neither an address nor an interface of this host".to_owned())),
        Ok(address) => {
            let on = interfaces.values().find(|i| within(i.address, address).is_some());
            let interface = on.ok_or_else(|| nowhere("is on no segment of this host".to_owned()))?;
            if interface.address.addr() == address {
                return Err(nowhere("is this host itself".to_owned()));
            }
            NextHop::Gateway { address, interface: interface.name.clone() }
        }
    };
    Ok(Route { destination, next, place: key.place.clone() })
}

/// One IPv6 route: the value is an own interface, since the internet's hosts have no router.
fn read_route6(interfaces: &BTreeMap<String, Interface>, key: &Key, node: &Node) -> Result<Route6, LabError> {
    let destination = key.as_node().net6()?;
    let interface = node.text("a route's interface")?.to_owned();
    if interfaces.get(&interface).is_none_or(|interface| interface.address6.is_none()) {
        let why = "is no interface of this host with an `address6`".to_owned();
        return Err(node.error(WorldFault::RouteToNowhere { next: interface, why }));
    }
    Ok(Route6 { destination, interface, place: key.place.clone() })
}

fn destination(node: &Node) -> Result<Ipv4Net, LabError> {
    if node.text("a route's destination")? == "default" { Ok(Ipv4Net::default()) } else { node.net() }
}

/// The address with the network's length, if it is a host's there.
fn within(net: Ipv4Net, address: Ipv4Addr) -> Option<Ipv4Net> {
    let fits = net.contains(&address) && address != net.network() && address != net.broadcast();
    if fits { Ipv4Net::new(address, net.prefix_len()).ok() } else { None }
}

/// A name of a host or segment, which the lab itself must not use.
fn free_name(key: &Key) -> Result<(), LabError> {
    name(key)?;
    if RESERVED_NAMES.contains(&key.name.as_str()) {
        return Err(key.place.error(WorldFault::NameReserved(key.name.clone())));
    }
    Ok(())
}

fn name(key: &Key) -> Result<(), LabError> {
    if is_name(&key.name, LONGEST_NAME) {
        return Ok(());
    }
    let expected = "a name: lower case letters, digits and hyphens, a letter first, 31 at most";
    Err(key.place.error(Wrong::Value { value: key.name.clone(), expected }))
}

fn link_name(text: &str, place: &Place) -> Result<(), LabError> {
    if is_link_name(text) {
        return Ok(());
    }
    let expected = "a link's name: lower case letters, digits and hyphens, 15 at most, not lo";
    Err(place.error(Wrong::Value { value: text.to_owned(), expected }))
}

fn taken(key: &Key, by: &str, first: &Place) -> LabError {
    let by = format!("{by}, at {first}");
    key.place.error(WorldFault::NameTaken { name: key.name.clone(), by })
}
