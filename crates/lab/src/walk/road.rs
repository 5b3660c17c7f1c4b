//! The walk itself: from machine to machine, through segments, tunnels and the cloud's fabric.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use engine::{Engine, PortId, ROUTER_MAC, Step, Time};
use wire::{ETHERNET_LEN, FlowKey, FlowProto, Frame, Mac, Packet, TcpFlags, arp, build};

use crate::deploy::PhysicalId;
use crate::walk::connections::Connections;
use crate::walk::machine::{FIRST_LINK, Forwarding, Leg, Link, Machine};
use crate::walk::{Explanation, Outcome, Proto, Question, Scene, Stop, TRACEROUTE_PORTS, Unanswerable, Way};
use crate::world::{INTERNET, Member, Tunnel};

/// A packet that meets more machines than this goes round in circles.
const LONGEST_WAY: usize = 64;
/// Tunnels within tunnels, at most.
const DEEPEST_TUNNEL: usize = 4;

/// ICMP types and codes (RFC 792).
const TIME_EXCEEDED: (u8, u8) = (11, 0);
const PORT_UNREACHABLE: (u8, u8) = (3, 3);

/// An imagined packet: its header, and that of the packet it quotes if it is an ICMP error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) key: FlowKey,
    pub(crate) quoted: Option<FlowKey>,
}

impl Probe {
    /// Where it comes from.
    fn src(&self) -> Ipv4Addr {
        v4(self.key.src)
    }

    /// Where it goes.
    fn dst(&self) -> Ipv4Addr {
        v4(self.key.dst)
    }
}

/// An address of an imagined packet: only IPv4 is asked about.
fn v4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

/// Answers a question about the lab as it stands.
pub fn explain(scene: &Scene<'_>, question: &Question) -> Result<Explanation, Unanswerable> {
    let from = scene.member(&question.from)?;
    let sender = Machine::of(scene, &from).ok_or_else(|| Unanswerable::NoAddress(question.from.clone()))?;
    let destination = match question.to.parse::<Ipv4Addr>() {
        Ok(address) => address,
        Err(_) => {
            let to = scene.member(&question.to)?;
            let address = Machine::of(scene, &to).and_then(|machine| machine.address());
            address.ok_or_else(|| Unanswerable::NoAddress(question.to.clone()))?
        }
    };
    let source = match sender.route(destination) {
        Some((leg, _)) => leg.address.addr(),
        None => return Err(Unanswerable::NoRoute(question.from.clone(), destination)),
    };
    let key = question.key(source, destination);

    let mut walker = Walker::new(scene);
    let (there, arrival) = walker.walk(Point::Machine(from.clone(), None), Probe { key, quoted: None }, 0);
    let expiring = there.forwarded.iter();
    let mut traceroute: Vec<_> = expiring.map(|hop| walker.time_exceeded(hop, &from, key)).collect();
    let mut back = None;
    if let Some((at, probe)) = arrival {
        let answer = answer(question, probe.key);
        let (way, returned) = walker.walk(at.sends(), answer, 0);
        let heard = returned.filter(|(to, _)| *to == Recipient::Machine(from.clone()));
        traceroute.push(heard.map(|(_, probe)| probe.src()));
        back = Some(way.way);
    }
    let notes = notes(scene, &from, &there.way, back.as_ref());
    Ok(Explanation { packet: key.to_string(), there: there.way, back, traceroute, notes })
}

/// What the destination sends back.
fn answer(question: &Question, key: FlowKey) -> Probe {
    let closed = question.proto == Proto::Udp && TRACEROUTE_PORTS.contains(&question.port);
    if closed { error(key.dst, key, PORT_UNREACHABLE) } else { Probe { key: key.reversed(), quoted: None } }
}

fn error(from: IpAddr, about: FlowKey, (kind, code): (u8, u8)) -> Probe {
    let key = FlowKey { src: from, dst: about.src, proto: FlowProto::Icmp { kind, code } };
    Probe { key, quoted: Some(about) }
}

fn notes(scene: &Scene<'_>, from: &Member, there: &Way, back: Option<&Way>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Member::Instance(_) = from {
        let name = scene.name(from);
        notes.push(format!(
            "{name} is taken to use the routes that DHCP gave it; its guest may have set others"
        ));
    }
    let guests: BTreeSet<_> =
        scene.instances().map(|(logical, instance)| instance.name().unwrap_or(logical)).collect();
    let stops = there.stops.iter().chain(back.into_iter().flat_map(|way| &way.stops));
    let met: BTreeSet<_> = stops.map(|stop| stop.at.as_str()).filter(|at| guests.contains(at)).collect();
    for guest in met {
        notes.push(format!("{guest} may filter packets with a firewall of its own"));
    }
    notes
}

/// Where a packet is.
#[derive(Debug, Clone)]
enum Point {
    /// On a machine, come in by this device, or sent by the machine itself.
    Machine(Member, Option<String>),
    /// At a port of the cloud's fabric, in a frame from one MAC address to another.
    Fabric { port: PortId, src: Mac, dst: Mac },
}

/// Who a packet was delivered to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Recipient {
    Machine(Member),
    /// The servers of link-local services, behind this port and MAC address.
    Service(PortId, Mac),
}

impl Recipient {
    /// Where its own packets begin.
    fn sends(self) -> Point {
        match self {
            Recipient::Machine(member) => Point::Machine(member, None),
            Recipient::Service(port, mac) => Point::Fabric { port, src: mac, dst: ROUTER_MAC },
        }
    }
}

/// Where a packet goes next, or how its way ends.
enum Next {
    Go(Point, Probe),
    Delivered(Recipient, Probe),
    End(Outcome),
}

/// A way, with the hops on it that would have let the packet expire.
struct Walked {
    way: Way,
    forwarded: Vec<Hop>,
}

/// Who takes one from the TTL.
enum Hop {
    /// A machine, and the packet as it came there.
    Machine(Member, Probe),
    /// A NAT gateway: the packet that ends there came into the fabric at this port.
    NatGateway(PortId, Frame),
}

struct Walker<'a> {
    scene: &'a Scene<'a>,
    engine: Engine,
    connections: Connections,
    /// How the answering end of a tunnel sees the dialling end's packets.
    dialled: BTreeMap<String, FlowKey>,
    delay: Duration,
}

impl<'a> Walker<'a> {
    fn new(scene: &'a Scene<'a>) -> Walker<'a> {
        Walker {
            scene,
            engine: Engine::imagine(scene.tables.clone()),
            connections: Connections::default(),
            dialled: BTreeMap::new(),
            delay: Duration::ZERO,
        }
    }

    /// Walks a packet to its end; returns where it was delivered, and as what, if it was.
    fn walk(&mut self, start: Point, probe: Probe, depth: usize) -> (Walked, Option<(Recipient, Probe)>) {
        let before = std::mem::take(&mut self.delay);
        let mut stops = Vec::new();
        let mut forwarded = Vec::new();
        let (mut point, mut probe) = (start, probe);
        let mut delivered = None;
        let outcome = loop {
            if stops.len() >= LONGEST_WAY {
                break self.dropped("the network", "goes round in circles".to_owned());
            }
            let next = match point {
                Point::Machine(member, device) => {
                    self.at_machine(&member, device.as_deref(), probe, depth, &mut stops, &mut forwarded)
                }
                Point::Fabric { port, src, dst } => {
                    let frame = frame(probe).with_macs(src, dst);
                    self.at_fabric(port, &frame, probe, depth, &mut stops, &mut forwarded)
                }
            };
            match next {
                Next::Go(to, with) => (point, probe) = (to, with),
                Next::Delivered(recipient, probe) => {
                    let at = match &recipient {
                        Recipient::Machine(member) => self.scene.name(member),
                        Recipient::Service(..) => "the cloud's own service".to_owned(),
                    };
                    delivered = Some((recipient, probe));
                    break Outcome::Delivered { at };
                }
                Next::End(outcome) => break outcome,
            }
        };
        let delay = std::mem::replace(&mut self.delay, before);
        (Walked { way: Way { stops, outcome, delay }, forwarded }, delivered)
    }

    fn at_machine(
        &mut self,
        member: &Member,
        device: Option<&str>,
        arrived: Probe,
        depth: usize,
        stops: &mut Vec<Stop>,
        forwarded: &mut Vec<Hop>,
    ) -> Next {
        let at = self.scene.name(member);
        let Some(machine) = Machine::of(self.scene, member) else {
            return Next::End(self.dropped(&at, "the instance has no running interface".to_owned()));
        };
        let mut stop = Stop {
            depth,
            at: at.clone(),
            packet: arrived.key.to_string(),
            decisions: Vec::new(),
            visible: false,
        };
        let probe = self.connections.untranslate(member, arrived);
        if probe != arrived {
            stop.decisions.push(format!(
                "belongs to a connection it masqueraded: destination {} becomes {}",
                arrived.dst(),
                probe.dst()
            ));
        }
        if machine.owns(probe.dst()) {
            stop.decisions.push("has the destination address".to_owned());
            stops.push(stop);
            return Next::Delivered(Recipient::Machine(member.clone()), probe);
        }
        if let Some(device) = device {
            match machine.forwarding {
                Forwarding::On => stop.visible = depth == 0,
                Forwarding::Off => {
                    stops.push(stop);
                    let why = format!("came in by {device} for {}, and it does not forward", probe.dst());
                    return Next::End(self.dropped(&at, why));
                }
                Forwarding::Undeclared => {
                    stops.push(stop);
                    let why = "its source/destination check is off, so its guest may forward packets; \
                               the lab file declares nothing about it"
                        .to_owned();
                    return Next::End(Outcome::Unknown { at, why });
                }
            }
            forwarded.push(Hop::Machine(member.clone(), arrived));
        }
        let Some((leg, gateway)) = machine.route(probe.dst()) else {
            stops.push(stop);
            return Next::End(self.dropped(&at, format!("has no route to {}", probe.dst())));
        };
        stop.decisions.push(match gateway {
            Some(gateway) => format!("route to {}: via {gateway} on {}", probe.dst(), leg.device),
            None => format!("route to {}: directly on {}", probe.dst(), leg.device),
        });
        let source = machine.masquerades(probe.src(), leg.device).then(|| leg.address.addr());
        let sent = self.connections.translate(member, probe, source);
        if sent.src() != probe.src() {
            stop.decisions.push(format!("masquerades: source {} becomes {}", probe.src(), sent.src()));
        }
        stops.push(stop);
        self.leave(&at, leg, gateway, sent, depth, stops)
    }

    fn leave(
        &mut self,
        at: &str,
        leg: &Leg<'_>,
        gateway: Option<Ipv4Addr>,
        probe: Probe,
        depth: usize,
        stops: &mut Vec<Stop>,
    ) -> Next {
        let next_hop = gateway.unwrap_or(probe.dst());
        match leg.link {
            Link::Segment { name, mac } => {
                self.delay += self.delay_of(name, leg.address.addr());
                if let Some((host, interface)) = self.scene.lab.world.neighbor(name, next_hop) {
                    self.delay += interface.delay;
                    let to = Point::Machine(Member::Host(host.name.clone()), Some(interface.name.clone()));
                    return Next::Go(to, probe);
                }
                if name == INTERNET
                    && let Some(uplink) = self.scene.tables.uplink().map(|uplink| uplink.port)
                    && let Some(dst) = self.resolve(uplink, mac, leg.address.addr(), next_hop)
                {
                    return Next::Go(Point::Fabric { port: uplink, src: mac, dst }, probe);
                }
                Next::End(self.dropped(at, format!("nobody on segment {name} has the address {next_hop}")))
            }
            Link::Fabric { port, mac } => match self.resolve(port, mac, leg.address.addr(), next_hop) {
                Some(dst) => Next::Go(Point::Fabric { port, src: mac, dst }, probe),
                None => {
                    Next::End(self.dropped(at, format!("nobody in its subnet has the address {next_hop}")))
                }
            },
            Link::Tunnel { tunnel, own } => {
                let dials = own.on == tunnel.a.on;
                match self.through(tunnel, dials, depth + 1, stops) {
                    Ok(()) => {
                        let far = if dials { &tunnel.b } else { &tunnel.a };
                        Next::Go(Point::Machine(far.on.clone(), Some(far.device.clone())), probe)
                    }
                    Err(outcome) => Next::End(outcome),
                }
            }
        }
    }

    fn at_fabric(
        &mut self,
        port: PortId,
        frame: &Frame,
        probe: Probe,
        depth: usize,
        stops: &mut Vec<Stop>,
        forwarded: &mut Vec<Hop>,
    ) -> Next {
        let explained = self.engine.explain(Time(0), port, frame.clone());
        let stop = |at: &str, packet: FlowKey, visible: bool| {
            let (at, packet) = (at.to_owned(), packet.to_string());
            Stop { depth, at, packet, decisions: Vec::new(), visible }
        };
        let mut at = "the cloud".to_owned();
        let mut current = stop(&at, probe.key, false);
        let mut ttl = 0;
        for step in &explained.steps {
            // A NAT gateway is a hop of its own.
            if let Step::NatGateway { gateway, from, .. } = step {
                at = self.with_names(gateway.to_string());
                stops.push(std::mem::replace(&mut current, stop(&at, *from, depth == 0)));
                ttl += 1;
                forwarded.push(Hop::NatGateway(port, frame.clone().with_ttl(ttl)));
            }
            current.decisions.push(self.with_names(step.to_string()));
        }
        stops.push(current);
        if let Some(reason) = explained.dropped {
            return Next::End(self.dropped(&at, format!("{reason}: {}", reason.meaning())));
        }
        match explained.sent.into_iter().next() {
            Some((out, sent)) => self.beyond_fabric(&at, out, &sent),
            None => Next::End(self.dropped(&at, "the VPC keeps it for itself".to_owned())),
        }
    }

    /// On from the fabric, which has sent a frame out of a port.
    fn beyond_fabric(&mut self, at: &str, out: PortId, sent: &Frame) -> Next {
        let Ok(packet) = Packet::parse(&sent.bytes) else {
            return Next::End(self.dropped(at, "what left is no IP packet".to_owned()));
        };
        let probe = Probe { key: packet.flow_key(), quoted: packet.quoted().map(|quoted| quoted.flow_key()) };
        let tables = &self.scene.tables;
        if let Some(key) = tables.interface_at(out) {
            let owner =
                self.scene.instances().find(|(_, instance)| instance.interfaces.contains(&key.interface));
            return match owner {
                Some((logical, _)) => {
                    let device = Some(FIRST_LINK.to_owned());
                    Next::Go(Point::Machine(Member::Instance(logical.to_owned()), device), probe)
                }
                None => Next::End(self.dropped(at, format!("{} is attached to no instance", key.interface))),
            };
        }
        if tables.uplink().is_some_and(|uplink| uplink.port == out)
            && let Some((host, interface)) = self.scene.lab.world.neighbor(INTERNET, probe.dst())
        {
            self.delay += interface.delay;
            return Next::Go(
                Point::Machine(Member::Host(host.name.clone()), Some(interface.name.clone())),
                probe,
            );
        }
        if tables.uplink().is_some_and(|uplink| uplink.port == out && uplink.gateway.is_some()) {
            let why = "it leaves by the uplink, and what is beyond is not Ringwall's".to_owned();
            return Next::End(Outcome::Unknown { at: "the internet".to_owned(), why });
        }
        match tables.services().filter(|services| services.port == out) {
            Some(services) => Next::Delivered(Recipient::Service(services.port, services.mac), probe),
            None => Next::End(self.dropped(at, format!("nobody is known behind {out}"))),
        }
    }

    /// Carries a packet through a tunnel: the outer packet's way, one level deeper.
    fn through(
        &mut self,
        tunnel: &Tunnel,
        dials: bool,
        depth: usize,
        stops: &mut Vec<Stop>,
    ) -> Result<(), Outcome> {
        if depth > DEEPEST_TUNNEL {
            return Err(self.dropped(&tunnel.name, "tunnels within tunnels without end".to_owned()));
        }
        if !dials && !self.dialled.contains_key(&tunnel.name) {
            // The answering end sends to whoever dialled it: that packet's way comes first, unseen.
            self.through(tunnel, true, depth, &mut Vec::new())?;
        }
        let (from, key) = if dials {
            let unreachable =
                |walker: &Self| walker.dropped(&tunnel.name, "its far end has no public address".to_owned());
            let remote =
                *self.scene.deployment.tunnel_remotes.get(&tunnel.name).ok_or_else(|| unreachable(self))?;
            let dialler = Machine::of(self.scene, &tunnel.a.on).ok_or_else(|| unreachable(self))?;
            let (leg, _) = dialler.route(remote).ok_or_else(|| unreachable(self))?;
            let proto = FlowProto::Udp { src: tunnel.port, dst: tunnel.port };
            (&tunnel.a.on, FlowKey { src: leg.address.addr().into(), dst: remote.into(), proto })
        } else {
            (&tunnel.b.on, self.dialled[&tunnel.name].reversed())
        };
        let (walked, arrival) =
            self.walk(Point::Machine(from.clone(), None), Probe { key, quoted: None }, depth);
        self.delay += walked.way.delay;
        stops.extend(walked.way.stops);
        let Some((_, arrived)) = arrival else { return Err(walked.way.outcome) };
        if dials {
            self.dialled.insert(tunnel.name.clone(), arrived.key);
        }
        Ok(())
    }

    /// Asks by ARP on a port of the fabric, as the kernel of the machine there would.
    fn resolve(&mut self, port: PortId, mac: Mac, own: Ipv4Addr, wanted: Ipv4Addr) -> Option<Mac> {
        let request = arp::request(mac, own, wanted);
        let (_, reply) = self.engine.explain(Time(0), port, request).sent.into_iter().next()?;
        arp::parse(&reply.bytes).ok().map(|reply| reply.sender_mac)
    }

    /// The address under which `to` hears that what it sent has expired at a hop, if it hears it.
    fn time_exceeded(&mut self, at: &Hop, to: &Member, sent: FlowKey) -> Option<Ipv4Addr> {
        let (point, report) = match at {
            Hop::Machine(member, about) => {
                let reporter = Machine::of(self.scene, member)?;
                let (leg, _) = reporter.route(about.src())?;
                let report = error(leg.address.addr().into(), about.key, TIME_EXCEEDED);
                (Point::Machine(member.clone(), None), report)
            }
            Hop::NatGateway(port, frame) => {
                let explained = self.engine.explain(Time(0), *port, frame.clone());
                let (out, report) = explained.sent.into_iter().next()?;
                match self.beyond_fabric("the cloud", out, &report) {
                    Next::Go(point, probe) => (point, probe),
                    Next::Delivered(..) | Next::End(_) => return None,
                }
            }
        };
        let (_, heard) = self.walk(point, report, 0);
        let to = Recipient::Machine(to.clone());
        heard.filter(|(who, heard)| *who == to && heard.quoted == Some(sent)).map(|(_, heard)| heard.src())
    }

    fn delay_of(&self, segment: &str, address: Ipv4Addr) -> Duration {
        self.scene
            .lab
            .world
            .neighbor(segment, address)
            .map_or(Duration::ZERO, |(_, interface)| interface.delay)
    }

    fn dropped(&self, at: &str, why: String) -> Outcome {
        Outcome::Dropped { at: at.to_owned(), why }
    }

    /// The words with the names that people gave to the ids in them.
    fn with_names(&self, words: String) -> String {
        let named = |words: String, (name, id): (&String, &PhysicalId)| match id {
            // These are known by addresses, which stay as they are.
            PhysicalId::Address { .. } | PhysicalId::Route { .. } | PhysicalId::GatewayAttachment(_) => words,
            _ => {
                let id = id.reference();
                if *name == id { words } else { words.replace(&id, &format!("{name} [{id}]")) }
            }
        };
        self.scene.deployment.physical.iter().fold(words, named)
    }
}

fn frame(probe: Probe) -> Frame {
    let FlowKey { src, dst, proto } = probe.key;
    match (proto, probe.quoted) {
        (FlowProto::Icmp { kind, code }, Some(quoted)) => {
            let inner = frame(Probe { key: quoted, quoted: None });
            build::icmp_error(src, dst, kind, code, inner.bytes.get(ETHERNET_LEN..).unwrap_or_default())
        }
        (FlowProto::Tcp { src: sport, dst: dport }, _) => {
            build::tcp(src, dst, sport, dport, TcpFlags::SYN, b"")
        }
        (FlowProto::Udp { src: sport, dst: dport }, _) => build::udp(src, dst, sport, dport, b"explain"),
        (FlowProto::Echo { id, request }, _) => build::echo(src, dst, request, id, 1, b"explain"),
        (FlowProto::Icmp { kind, code }, None) => build::icmp_error(src, dst, kind, code, b""),
        (FlowProto::Other(protocol), _) => build::ip(src, dst, protocol, b"explain"),
    }
}
