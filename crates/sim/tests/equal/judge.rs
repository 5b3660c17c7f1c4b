//! One case: the engine, its copies, and the reference model side by side.

use std::fmt::Write;
use std::sync::Arc;

use engine::{Engine, PortId, Step as Told, Tables, Time};
use model::{Change, PeeringStatus};
use sim::reference::{Expected, Family, Picture, Reference, World};
use sim::sound;
use wire::{Frame, Packet};

use crate::topology::{Declaration, Topology, UPLINK};
use crate::traffic::{Past, Step, is_translation, told};

/// How many packets met which end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) packets: usize,
    pub(crate) forwarded: usize,
    pub(crate) answered: usize,
    pub(crate) dropped: usize,
    pub(crate) translated: usize,
}

pub(crate) struct Judge {
    topology: Topology,
    now: Time,
    generation: u64,
    engine: Engine,
    /// It gets new tables before each packet, so that no verdict is cached, and never sees what is dropped.
    forgetful: Engine,
    reference: Reference,
    past: Past,
    story: Vec<Chapter>,
    tally: Tally,
}

/// What is told of a failure.
enum Chapter {
    Declared(Box<Change>),
    Waited(u64),
    Sent(PortId, Frame, Vec<(PortId, Frame)>),
}

type Sent = Vec<(PortId, Frame)>;

impl Tally {
    pub(crate) fn and(self, more: Tally) -> Tally {
        Tally {
            packets: self.packets + more.packets,
            forwarded: self.forwarded + more.forwarded,
            answered: self.answered + more.answered,
            dropped: self.dropped + more.dropped,
            translated: self.translated + more.translated,
        }
    }
}

impl Judge {
    pub(crate) fn new(declarations: &[Declaration]) -> Judge {
        let mut topology = Topology::new();
        let declared = declarations.iter().filter_map(|declaration| topology.declare(declaration));
        let story = declared.map(|change| Chapter::Declared(Box::new(change))).collect();
        let tables = Arc::new(Tables::compile([&topology.region], &topology.fabric, 1, 7));
        let engines = [(); 2].map(|()| Engine::new(tables.clone(), 7));
        let [engine, forgetful] = engines;
        Judge {
            topology,
            now: Time(0),
            generation: 1,
            engine,
            forgetful,
            reference: Reference::default(),
            past: Past::default(),
            story,
            tally: Tally::default(),
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    pub(crate) fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Wait(seconds) => {
                self.story.push(Chapter::Waited(*seconds));
                self.now = self.now.after(*seconds);
                // Sometimes somebody tidies up before the next packet.
                if seconds % 2 == 0 {
                    self.engine.tick(self.now, &mut |_, _| {});
                    self.reference.tick(self.now);
                }
                Ok(())
            }
            Step::Change(declaration) => {
                if let Some(change) = self.topology.declare(declaration) {
                    self.story.push(Chapter::Declared(Box::new(change)));
                    let tables = self.tables();
                    self.engine.load(tables);
                    self.reference.reload(&self.topology.region);
                }
                Ok(())
            }
            packet => match self.past.frame(&self.topology, packet) {
                Some((port, frame)) => self.packet(port, frame),
                None => Ok(()),
            },
        }
    }

    /// Much later nothing is left of all this.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        self.now = self.now.after(1_000_000);
        self.engine.tick(self.now, &mut |_, _| {});
        self.reference.tick(self.now);
        let connections = self.engine.counters().connections;
        if connections > 0 {
            return Err(format!("{connections} connections are tracked for ever"));
        }
        self.counts()
    }

    fn tables(&mut self) -> Arc<Tables> {
        self.generation += 1;
        Arc::new(Tables::compile([&self.topology.region], &self.topology.fabric, self.generation, 7))
    }

    fn packet(&mut self, port: PortId, frame: Frame) -> Result<(), String> {
        self.tally.packets += 1;
        let connections = self.engine.counters().connections;
        let explained = self.engine.clone().explain(self.now, port, frame.clone());
        let sent = receive(&mut self.engine, self.now, port, &frame);
        self.past.sent.push((port, frame.clone()));
        self.past.arrived.extend(sent.iter().cloned());
        self.story.push(Chapter::Sent(port, frame.clone(), sent.clone()));
        if sent != explained.sent {
            return Err(format!("explained otherwise: {:?}", explained.steps));
        }
        for (_, frame) in &sent {
            sound::check(frame)?;
        }
        let learned: Vec<_> = explained
            .steps
            .iter()
            .filter_map(|step| match step {
                Told::NatGateway { gateway, direction: engine::Direction::Egress, from, to } => {
                    Some((*gateway, *from, *to))
                }
                _ => None,
            })
            .collect();
        let world = World { region: &self.topology.region, fabric: &self.topology.fabric };
        let expected = self.reference.packet(world, self.now, port, &frame, &learned)?;
        let steps = || explained.steps.iter().map(|step| format!("\n    {step}")).collect::<String>();
        self.compare(port, &frame, &expected, &sent, explained.dropped)
            .map_err(|words| format!("{words}\n  the engine:{}", steps()))?;
        self.reference.ports_are_apart()?;
        self.no_leak(port, &frame, &sent)?;
        self.counts()?;
        let way_out = explained.dropped == Some(engine::DropReason::NatUnsolicited) && !learned.is_empty();
        if explained.dropped.is_some() && !way_out {
            let now = self.engine.counters().connections;
            return if now == connections {
                Ok(())
            } else {
                Err("a dropped packet left a connection".to_owned())
            };
        }
        let tables = self.tables();
        self.forgetful.load(tables);
        let again = receive(&mut self.forgetful, self.now, port, &frame);
        if again != sent {
            return Err(format!("without cached verdicts and dropped packets: {again:?}, and not {sent:?}"));
        }
        Ok(())
    }

    fn compare(
        &mut self,
        port: PortId,
        frame: &Frame,
        expected: &Expected,
        sent: &Sent,
        dropped: Option<engine::DropReason>,
    ) -> Result<(), String> {
        match (expected, dropped) {
            (Expected::Dropped(family), Some(reason))
                if Family::of(reason) == Some(*family) && sent.is_empty() =>
            {
                self.tally.dropped += 1;
                Ok(())
            }
            (Expected::Answered(answer), None) if *sent == [(port, (**answer).clone())] => {
                self.tally.answered += 1;
                Ok(())
            }
            (Expected::Forwarded { port: to, picture, mtu }, None)
                if sent.iter().all(|(port, _)| port == to) =>
            {
                self.tally.forwarded += 1;
                self.tally.translated += usize::from(picture.hops > 0);
                looks_like(picture, frame, sent, *mtu)
            }
            _ => Err(format!("expected {expected:?}\n  got {dropped:?} {sent:?}")),
        }
    }

    /// From one VPC into another a packet goes by peering or to a public address.
    fn no_leak(&self, from: PortId, frame: &Frame, sent: &Sent) -> Result<(), String> {
        let vpc = |port: PortId| {
            self.topology.machines.iter().find(|machine| machine.port == port).map(|machine| machine.vpc)
        };
        let Ok(packet) = Packet::parse(&frame.bytes) else { return Ok(()) };
        for (to, _) in sent.iter().filter(|(to, _)| *to != UPLINK) {
            let (Some(one), Some(other)) = (vpc(from), vpc(*to)) else { continue };
            let peered = self.topology.region.vpc_peering_connections().values().any(|connection| {
                connection.status == PeeringStatus::Active && connection.joins(one) && connection.joins(other)
            });
            let public = packet.dst().is_ipv6() || self.topology.public().contains(&packet.dst());
            if one != other && !peered && !public {
                return Err(format!("leaks from {one} into {other}"));
            }
        }
        Ok(())
    }

    /// As many connections are counted as the model knows.
    fn counts(&self) -> Result<(), String> {
        let counters = self.engine.counters().nat_gateways;
        for gateway in self.topology.region.nat_gateways().values() {
            let own = counters.iter().find(|(key, _)| key.interface == gateway.interface);
            let counted = own.map_or(0, |(_, counters)| counters.active_connections);
            let known = self.reference.active_connections(gateway.id);
            if counted != known {
                return Err(format!("{} counts {counted} TCP connections and not {known}", gateway.id));
            }
        }
        Ok(())
    }

    /// The case in words.
    pub(crate) fn story(&self) -> String {
        let mut story = String::from("machines:\n");
        for machine in &self.topology.machines {
            let _ = writeln!(
                story,
                "  {} {} {} {:?}",
                machine.port, machine.interface, machine.mac, machine.addresses
            );
        }
        for chapter in &self.story {
            let _ = match chapter {
                Chapter::Declared(change) => writeln!(story, "declared: {change:?}"),
                Chapter::Waited(seconds) => writeln!(story, "{seconds} s later"),
                Chapter::Sent(port, frame, sent) => {
                    let became: String =
                        sent.iter().map(|(port, frame)| format!("\n    {port}: {}", told(frame))).collect();
                    writeln!(story, "{port}: {}{became}", told(frame))
                }
            };
        }
        story
    }
}

fn receive(engine: &mut Engine, now: Time, port: PortId, frame: &Frame) -> Sent {
    let mut sent = Vec::new();
    engine.receive(now, port, &mut frame.clone(), &mut |to, frame| sent.push((to, frame.clone())));
    sent
}

/// Whether what left is what was expected, whole or cut.
fn looks_like(picture: &Picture, came: &Frame, sent: &Sent, mtu: usize) -> Result<(), String> {
    let Some(whole) = picture.paint(came) else {
        return match &sent[..] {
            [(_, left)] => is_translation(picture, came, left),
            _ => Err(format!("{} frames", sent.len())),
        };
    };
    let length = |frame: &Frame| Packet::parse(&frame.bytes).map_or(0, |packet| packet.total_len());
    if length(&whole) <= mtu {
        let same = matches!(&sent[..], [(_, left)] if *left == whole);
        return if same { Ok(()) } else { Err(format!("expected {whole:?}\n  got {sent:?}")) };
    }
    let mut data = whole.bytes[..34].to_vec();
    for (_, part) in sent {
        let packet = Packet::parse(&part.bytes).map_err(|malformed| malformed.to_string())?;
        let fragment = packet.fragment().ok_or("not a fragment")?;
        if length(part) > mtu
            || usize::from(fragment.offset) != data.len() - 34
            || part.bytes[..14] != whole.bytes[..14]
        {
            return Err(format!("not the next part within {mtu} bytes: {part}"));
        }
        data.extend(&part.bytes[34..]);
    }
    let same = data == whole.bytes[..14 + length(&whole)] && sent.len() > 1;
    if same { Ok(()) } else { Err("the parts are not the whole".to_owned()) }
}
