//! What a Linux machine's connection tracking remembers of imagined packets, as far as masquerading needs it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use wire::FlowKey;

use crate::walk::probe::Probe;
use crate::world::Member;

/// Every machine's connections: as they came, and as they left.
#[derive(Debug, Default)]
pub(crate) struct Connections(BTreeMap<Member, Vec<(FlowKey, FlowKey)>>);

impl Connections {
    /// An arriving packet as the machine sees it: answers to a masqueraded connection get their old destination back.
    pub(crate) fn untranslate(&self, at: &Member, probe: Probe) -> Probe {
        for &(original, translated) in self.of(at) {
            if probe.key == translated.reversed() {
                return Probe { key: original.reversed(), ..probe };
            }
            if probe.quoted == Some(translated) && probe.key.dst == translated.src {
                let key = FlowKey { dst: original.src, ..probe.key };
                return Probe { key, quoted: Some(original) };
            }
        }
        probe
    }

    /// A leaving packet as it is sent. `source` is the new source if a rule masquerades this connection.
    pub(crate) fn translate(&mut self, at: &Member, probe: Probe, source: Option<IpAddr>) -> Probe {
        // Errors belong to the connection they quote, which is the other machine's business on this way.
        if probe.quoted.is_some() {
            return probe;
        }
        let known = self.0.entry(at.clone()).or_default();
        if let Some((_, translated)) = known.iter().find(|(original, _)| *original == probe.key) {
            return Probe { key: *translated, ..probe };
        }
        if known.iter().any(|(original, _)| *original == probe.key.reversed()) {
            return probe;
        }
        let translated = FlowKey { src: source.unwrap_or(probe.key.src), ..probe.key };
        known.push((probe.key, translated));
        Probe { key: translated, ..probe }
    }

    fn of(&self, at: &Member) -> &[(FlowKey, FlowKey)] {
        self.0.get(at).map_or(&[], Vec::as_slice)
    }
}
