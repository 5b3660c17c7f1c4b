//! Flow logs: what the fabric has counted becomes files, whenever a log's window ends.
//!
//! A window is as long as the log's aggregation interval, on the daemon's clock. Records say when packets came by the
//! calendar, and so do the names of files.

mod bucket;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::{Flow, FlowRecords, InterfaceKey, Seen, Tables, Time};
use host::clock::Clock;
use model::{
    FlowLog, FlowLogId, InterfaceKind, NetworkInterface, NewFlowLog, Region, RegionKey, TrafficType, zone_id,
};

use self::record::{About, Record};
use super::RandomError;

/// Flows that a window holds at most; those of more interfaces than have room are skipped.
const FLOWS: usize = 1 << 17;

/// The windows of all flow logs.
#[derive(Default)]
pub(super) struct FlowLogs {
    windows: BTreeMap<(RegionKey, FlowLogId), Window>,
}

/// What a flow log has of the interval that goes on.
struct Window {
    log: NewFlowLog,
    /// When it ends.
    due: Time,
    /// When it began, in seconds since 1970.
    begun: u64,
    interfaces: BTreeMap<Arc<InterfaceKey>, Interface>,
    /// How many flows all of them have.
    held: usize,
}

/// What a window has of one interface.
struct Interface {
    about: About,
    flows: BTreeMap<Flow, Seen>,
    /// Whether there was any traffic, also of the kind that the log is not about.
    seen: bool,
    /// Whether some of it was not counted.
    skipped: bool,
}

/// What a flow log's files could not be written because of.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    #[error(transparent)]
    Write(#[from] io::Error),
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// What became of a flow log's last window.
pub(super) type Delivery = (FlowLogId, Result<(), DeliveryError>);

impl FlowLogs {
    /// Begins and ends windows. `take` gives what the fabric has counted; what is written goes below `root`.
    pub(super) fn round(
        &mut self,
        regions: &[Arc<Region>],
        tables: &Tables,
        (now, date): (Time, u64),
        root: &Path,
        take: impl FnOnce() -> FlowRecords,
    ) -> Vec<Delivery> {
        let logs =
            regions.iter().flat_map(|region| region.flow_logs().values().map(move |log| (region, log)));
        let wanted: BTreeMap<_, _> =
            logs.map(|(region, log)| ((region.key().clone(), log.id), (region, log))).collect();
        for (key, window) in &mut self.windows {
            if let Some((region, log)) = wanted.get(key) {
                window.look(region, log, tables);
            }
        }
        let is_over = |key: &_, window: &Window| window.due <= now || !wanted.contains_key(key);
        let over = self.windows.iter().filter(|(key, window)| is_over(key, window));
        let over: Vec<_> = over.map(|(key, _)| key.clone()).collect();
        let new: Vec<_> = wanted.keys().filter(|key| !self.windows.contains_key(*key)).cloned().collect();
        if over.is_empty() && new.is_empty() {
            return Vec::new();
        }
        // What was seen before a window begins belongs to those that end, or to nobody.
        self.distribute(&take());
        let mut deliveries = Vec::new();
        for key in over {
            let Some(old) = self.windows.remove(&key) else { continue };
            let delivered = old.write(root, &key, date);
            if let Some((region, log)) = wanted.get(&key) {
                let mut next = Window::new(log, old.due, now, date);
                next.look(region, log, tables);
                if delivered.is_err() {
                    next.interfaces.values_mut().for_each(|interface| interface.skipped = true);
                }
                self.windows.insert(key.clone(), next);
            }
            deliveries.push((key.1, delivered));
        }
        for key in new {
            let (region, log) = wanted[&key];
            let mut window = Window::new(log, now, now, date);
            window.look(region, log, tables);
            self.windows.insert(key, window);
        }
        deliveries
    }

    /// Whether no window goes on.
    pub(super) fn is_idle(&self) -> bool {
        self.windows.is_empty()
    }

    /// Ends all windows, before their time.
    pub(super) fn end(&mut self, date: u64, root: &Path, records: &FlowRecords) -> Vec<Delivery> {
        self.distribute(records);
        let windows = std::mem::take(&mut self.windows);
        windows.into_iter().map(|(key, window)| (key.1, window.write(root, &key, date))).collect()
    }

    /// How long it really takes until the next window ends; none if there is none, or the clock stands still.
    pub(super) fn next(&self, clock: &Clock) -> Option<Duration> {
        self.windows.values().map(|window| window.due).min().and_then(|due| clock.real_until(due))
    }

    fn distribute(&mut self, records: &FlowRecords) {
        for window in self.windows.values_mut() {
            for (flow, seen) in &records.flows {
                window.add(flow, seen);
            }
            for key in &records.skipped {
                if let Some(interface) = window.interfaces.get_mut(key) {
                    interface.skipped = true;
                }
            }
        }
    }
}

impl Window {
    /// One that follows another that ended when it was due, as closely as it can.
    fn new(log: &FlowLog, before: Time, now: Time, date: u64) -> Window {
        let interval = u64::from(log.wanted.interval);
        let due = before.after(interval);
        let due = if due > now { due } else { now.after(interval) };
        Window { log: log.wanted.clone(), due, begun: date, interfaces: BTreeMap::new(), held: 0 }
    }

    /// Looks which interfaces there are, and what is to be said of them. Those that go stay until it ends.
    fn look(&mut self, region: &Region, log: &FlowLog, tables: &Tables) {
        for interface in region.interfaces().values().filter(|interface| log.covers(interface)) {
            let key = InterfaceKey { region: region.key().clone(), interface: interface.id };
            let is_up = interface.kind == InterfaceKind::NatGateway || tables.port_of(&key).is_some();
            let about = about(region, interface);
            match self.interfaces.get_mut(&key) {
                Some(known) => known.about = about,
                None if is_up => {
                    let new = Interface { about, flows: BTreeMap::new(), seen: false, skipped: false };
                    self.interfaces.insert(Arc::new(key), new);
                }
                None => {}
            }
        }
    }

    fn add(&mut self, flow: &Flow, seen: &Seen) {
        let Some(interface) = self.interfaces.get_mut(&flow.interface) else { return };
        interface.seen = true;
        let is_wanted = match self.log.traffic {
            TrafficType::Accept => flow.accepted,
            TrafficType::Reject => !flow.accepted,
            TrafficType::All => true,
        };
        if !is_wanted {
            return;
        }
        if let Some(known) = interface.flows.get_mut(flow) {
            known.add(seen);
        } else if self.held < FLOWS {
            interface.flows.insert(flow.clone(), *seen);
            self.held += 1;
        } else {
            interface.skipped = true;
        }
    }

    fn write(
        &self,
        root: &Path,
        (region, id): &(RegionKey, FlowLogId),
        date: u64,
    ) -> Result<(), DeliveryError> {
        let span = (self.begun, date);
        let mut records: Vec<(u64, String)> = Vec::new();
        for (key, interface) in &self.interfaces {
            let mut tell = |record: Record<'_>| {
                let line = record::line(&self.log.format, key, &interface.about, span, &record);
                records.push((record.end(span), line));
            };
            interface.flows.iter().for_each(|(flow, seen)| tell(Record::Flow(flow, seen)));
            if interface.skipped {
                tell(Record::SkipData);
            } else if !interface.seen {
                tell(Record::NoData);
            }
        }
        bucket::write(root, region, *id, &self.log, records)
    }
}

fn about(region: &Region, interface: &NetworkInterface) -> About {
    let zone = region.subnets().get(&interface.subnet).map(|subnet| zone_id(&subnet.availability_zone));
    About {
        vpc: interface.vpc,
        subnet: interface.subnet,
        instance: interface.attachment.as_ref().map(|attachment| attachment.instance),
        zone: zone.unwrap_or_default(),
    }
}
