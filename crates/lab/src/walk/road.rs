//! The walk itself: from machine to machine, through segments, tunnels and the cloud's fabric.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use engine::{Engine, PortId, ROUTER_MAC};
use wire::{FlowKey, Mac};

use crate::walk::connections::Connections;
use crate::walk::hop::Hop;
use crate::walk::machine::{Forwarding, Leg, Link, Machine};
use crate::walk::probe::Probe;
use crate::walk::{Explanation, Outcome, Question, Scene, Stop, Unanswerable, Way};
use crate::world::{INTERNET, Member};

/// A packet that meets more machines than this goes round in circles.
const LONGEST_WAY: usize = 64;

/// Answers a question about the lab as it stands.
pub fn explain(scene: &Scene<'_>, question: &Question) -> Result<Explanation, Unanswerable> {
    let from = scene.member(&question.from)?;
    let sender = Machine::of(scene, &from).ok_or_else(|| Unanswerable::NoAddress(question.from.clone()))?;
    let destination = destination(scene, question)?;
    let source = sender.route(destination).and_then(|(leg, _)| leg.source(destination));
    let source = source.ok_or_else(|| Unanswerable::NoRoute(question.from.clone(), destination))?;
    let key = question.key(source, destination);

    let mut walker = Walker::new(scene);
    let (there, arrival) = walker.walk(Point::Machine(from.clone(), None), Probe::plain(key), 0);
    let expiring = there.forwarded.iter();
    let mut traceroute: Vec<_> = expiring.map(|hop| walker.time_exceeded(hop, &from, key)).collect();
    let mut back = None;
    if let Some((at, probe)) = arrival {
        let (way, returned) = walker.walk(at.sends(), Probe::answer(question, probe.key), 0);
        let heard = returned.filter(|(to, _)| *to == Recipient::Machine(from.clone()));
        traceroute.push(heard.map(|(_, probe)| probe.src()));
        back = Some(way.way);
    }
    let notes = notes(scene, &from, source, &there.way, back.as_ref());
    Ok(Explanation { packet: key.to_string(), there: there.way, back, traceroute, notes })
}

/// The address that is asked about: a literal, or that of the family asked for of whoever has the name.
fn destination(scene: &Scene<'_>, question: &Question) -> Result<IpAddr, Unanswerable> {
    match question.to.parse() {
        Ok(IpAddr::V4(address)) if question.ipv6 => return Err(Unanswerable::NotIpv6(address)),
        Ok(IpAddr::V6(address)) if address.is_unicast_link_local() => {
            return Err(Unanswerable::LinkLocal(address));
        }
        Ok(address) => return Ok(address),
        Err(_) => {}
    }
    let to = scene.member(&question.to)?;
    let address = Machine::of(scene, &to).and_then(|machine| machine.address(question.ipv6));
    address.ok_or_else(|| match question.ipv6 {
        true => Unanswerable::NoIpv6Address(question.to.clone()),
        false => Unanswerable::NoAddress(question.to.clone()),
    })
}

fn notes(scene: &Scene<'_>, from: &Member, source: IpAddr, there: &Way, back: Option<&Way>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Member::Instance(_) = from {
        let given = match source {
            IpAddr::V4(_) => "the routes that DHCP gave it",
            IpAddr::V6(_) => "the addresses that DHCPv6 gave it and the routes of router advertisements",
        };
        notes.push(format!("{} is taken to use {given}; its guest may have set others", scene.name(from)));
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
pub(crate) enum Point {
    /// On a machine, come in by this device, or sent by the machine itself.
    Machine(Member, Option<String>),
    /// At a port of the cloud's fabric, in a frame from one MAC address to another.
    Fabric { port: PortId, src: Mac, dst: Mac },
}

/// Who a packet was delivered to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recipient {
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
pub(crate) enum Next {
    Go(Point, Probe),
    Delivered(Recipient, Probe),
    End(Outcome),
}

/// A way, with the hops on it that would have let the packet expire.
pub(crate) struct Walked {
    pub(crate) way: Way,
    forwarded: Vec<Hop>,
}

pub(crate) struct Walker<'a> {
    pub(crate) scene: &'a Scene<'a>,
    pub(crate) engine: Engine,
    connections: Connections,
    /// How the answering end of a tunnel sees the dialling end's packets.
    pub(crate) dialled: BTreeMap<String, FlowKey>,
    pub(crate) delay: Duration,
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
    pub(crate) fn walk(
        &mut self,
        start: Point,
        probe: Probe,
        depth: usize,
    ) -> (Walked, Option<(Recipient, Probe)>) {
        let before = std::mem::take(&mut self.delay);
        let mut stops = Vec::new();
        let mut forwarded = Vec::new();
        let (mut point, mut probe) = (start, probe);
        let mut delivered = None;
        let outcome = loop {
            if stops.len() >= LONGEST_WAY {
                break Outcome::dropped("the network", "goes round in circles");
            }
            let next = match point {
                Point::Machine(member, device) => {
                    self.at_machine(&member, device.as_deref(), probe, depth, &mut stops, &mut forwarded)
                }
                Point::Fabric { port, src, dst } => {
                    let frame = probe.frame().with_macs(src, dst);
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
            return Next::End(Outcome::dropped(&at, "the instance has no running interface"));
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
            match machine.forwarding(probe.dst()) {
                Forwarding::On => stop.visible = depth == 0,
                Forwarding::Off => {
                    stops.push(stop);
                    let why = format!("came in by {device} for {}, and it does not forward", probe.dst());
                    return Next::End(Outcome::dropped(&at, why));
                }
                Forwarding::Undeclared => {
                    stops.push(stop);
                    let what = if probe.dst().is_ipv6() { "IPv6" } else { "packets" };
                    let why = format!(
                        "its source/destination check is off, so its guest may forward {what}; \
                         the lab file declares nothing about it"
                    );
                    return Next::End(Outcome::Unknown { at, why });
                }
            }
            forwarded.push(Hop::Machine(member.clone(), arrived));
        }
        let Some((leg, gateway)) = machine.route(probe.dst()) else {
            stops.push(stop);
            return Next::End(Outcome::dropped(&at, format!("has no route to {}", probe.dst())));
        };
        stop.decisions.push(match gateway {
            Some(gateway) => format!("route to {}: via {gateway} on {}", probe.dst(), leg.device),
            None => format!("route to {}: directly on {}", probe.dst(), leg.device),
        });
        let source = machine.masquerades(probe.src(), leg.device).then(|| leg.source(probe.dst())).flatten();
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
        gateway: Option<IpAddr>,
        probe: Probe,
        depth: usize,
        stops: &mut Vec<Stop>,
    ) -> Next {
        let next_hop = gateway.unwrap_or(probe.dst());
        // Whoever asks for a neighbor's Ethernet address has an address of its family.
        let Some(own) = leg.source(next_hop) else {
            return Next::End(Outcome::dropped(at, format!("has no address on {} to send from", leg.device)));
        };
        match leg.link {
            Link::Segment { name, mac, delay } => {
                self.delay += delay;
                if let Some((host, interface)) = self.scene.lab.world.neighbor(name, next_hop) {
                    self.delay += interface.delay;
                    let to = Point::Machine(Member::Host(host.name.clone()), Some(interface.name.clone()));
                    return Next::Go(to, probe);
                }
                if name == INTERNET
                    && let Some(uplink) = self.scene.tables.uplink().map(|uplink| uplink.port)
                    && let Some(dst) = self.resolve(uplink, mac, own, next_hop)
                {
                    return Next::Go(Point::Fabric { port: uplink, src: mac, dst }, probe);
                }
                let why = format!("nobody on segment {name} has the address {next_hop}");
                Next::End(Outcome::dropped(at, why))
            }
            Link::Fabric { port, mac } => match self.resolve(port, mac, own, next_hop) {
                Some(dst) => Next::Go(Point::Fabric { port, src: mac, dst }, probe),
                None => {
                    let why = format!("nobody in its subnet has the address {next_hop}");
                    Next::End(Outcome::dropped(at, why))
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
}
