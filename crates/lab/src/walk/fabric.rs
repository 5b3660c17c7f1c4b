//! In the cloud: the engine that forwards real packets forwards the imagined one.

use std::net::IpAddr;

use engine::{PortId, Step, Time};
use wire::nd::{self, Message, NeighborAdvertisement};
use wire::{FlowKey, Frame, Mac, Packet, arp};

use crate::deploy::PhysicalId;
use crate::walk::hop::Hop;
use crate::walk::machine::FIRST_LINK;
use crate::walk::probe::Probe;
use crate::walk::road::{Next, Point, Recipient, Walker};
use crate::walk::{Outcome, Stop};
use crate::world::{INTERNET, Member};

impl Walker<'_> {
    /// Into the fabric by a port, and out of it.
    pub(crate) fn at_fabric(
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
            return Next::End(Outcome::dropped(&at, format!("{reason}: {}", reason.meaning())));
        }
        match explained.sent.into_iter().next() {
            Some((out, sent)) => self.beyond_fabric(&at, out, &sent),
            None => Next::End(Outcome::dropped(&at, "the VPC keeps it for itself")),
        }
    }

    /// On from the fabric, which has sent a frame out of a port.
    pub(crate) fn beyond_fabric(&mut self, at: &str, out: PortId, sent: &Frame) -> Next {
        let Ok(packet) = Packet::parse(&sent.bytes) else {
            return Next::End(Outcome::dropped(at, "what left is no IP packet"));
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
                None => {
                    Next::End(Outcome::dropped(at, format!("{} is attached to no instance", key.interface)))
                }
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
            None => Next::End(Outcome::dropped(at, format!("nobody is known behind {out}"))),
        }
    }

    /// Asks by ARP or neighbor discovery on a port of the fabric, as the kernel of the machine there would.
    pub(crate) fn resolve(&mut self, port: PortId, mac: Mac, own: IpAddr, wanted: IpAddr) -> Option<Mac> {
        let question = match (own, wanted) {
            (IpAddr::V4(own), IpAddr::V4(wanted)) => arp::request(mac, own, wanted),
            (IpAddr::V6(own), IpAddr::V6(wanted)) => nd::solicit_neighbor(wanted, own, mac),
            _ => return None,
        };
        let (_, reply) = self.engine.explain(Time(0), port, question).sent.into_iter().next()?;
        if wanted.is_ipv4() {
            return arp::parse(&reply.bytes).ok().map(|reply| reply.sender_mac);
        }
        match nd::parse(&reply, &Packet::parse(&reply.bytes).ok()?) {
            Ok(Some(Message::NeighborAdvertisement(NeighborAdvertisement { mac, .. }))) => mac,
            _ => None,
        }
    }

    /// The words with the names that people gave to the ids in them.
    fn with_names(&self, words: String) -> String {
        let named = |words: String, (name, id): (&String, &PhysicalId)| match id {
            // These are known by addresses, which stay as they are.
            PhysicalId::Address { .. } | PhysicalId::Route { .. } | PhysicalId::GatewayAttachment(_) => words,
            // No step speaks of it, and its name may be any word.
            PhysicalId::KeyPair { .. } => words,
            _ => {
                let id = id.reference();
                if *name == id { words } else { words.replace(&id, &format!("{name} [{id}]")) }
            }
        };
        self.scene.deployment.physical.iter().fold(words, named)
    }
}
