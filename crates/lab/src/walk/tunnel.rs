//! Through a tunnel: the way of the packet that carries the other.

use wire::{FlowKey, FlowProto};

use crate::walk::machine::Machine;
use crate::walk::probe::Probe;
use crate::walk::road::{Point, Walker};
use crate::walk::{Outcome, Stop};
use crate::world::Tunnel;

/// Tunnels within tunnels, at most.
const DEEPEST: usize = 4;

impl Walker<'_> {
    /// Carries a packet through a tunnel: the outer packet's way, one level deeper.
    pub(crate) fn through(
        &mut self,
        tunnel: &Tunnel,
        dials: bool,
        depth: usize,
        stops: &mut Vec<Stop>,
    ) -> Result<(), Outcome> {
        if depth > DEEPEST {
            return Err(Outcome::dropped(&tunnel.name, "tunnels within tunnels without end"));
        }
        if !dials && !self.dialled.contains_key(&tunnel.name) {
            // The answering end sends to whoever dialled it: that packet's way comes first, unseen.
            self.through(tunnel, true, depth, &mut Vec::new())?;
        }
        let (from, key) = if dials {
            let unreachable = || Outcome::dropped(&tunnel.name, "its far end has no public address");
            let remotes = &self.scene.deployment.tunnel_remotes;
            let remote = (*remotes.get(&tunnel.name).ok_or_else(unreachable)?).into();
            let dialler = Machine::of(self.scene, &tunnel.a.on).ok_or_else(unreachable)?;
            let (leg, _) = dialler.route(remote).ok_or_else(unreachable)?;
            let src = leg.source(remote).ok_or_else(unreachable)?;
            let proto = FlowProto::Udp { src: tunnel.port, dst: tunnel.port };
            (&tunnel.a.on, FlowKey { src, dst: remote, proto })
        } else {
            (&tunnel.b.on, self.dialled[&tunnel.name].reversed())
        };
        let (walked, arrival) = self.walk(Point::Machine(from.clone(), None), Probe::plain(key), depth);
        self.delay += walked.way.delay;
        stops.extend(walked.way.stops);
        let Some((_, arrived)) = arrival else { return Err(walked.way.outcome) };
        if dials {
            self.dialled.insert(tunnel.name.clone(), arrived.key);
        }
        Ok(())
    }
}
