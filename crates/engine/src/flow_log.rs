//! What flow logs are made of: for each flow at an interface how much of it passed, or was refused (VPC user guide,
//! "Flow log records").
//!
//! The walk of a packet says at which interfaces with a flow log it is seen, and what their rules say ([`Flow`]). Here
//! that is counted until somebody takes it. The table is bounded: what does not fit is told as skipped.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ahash::RandomState;
use wire::{FlowKey, FlowProto, Offload, Packet, TcpFlags, Transport};

use crate::fabric::InterfaceKey;
use crate::trace::Direction;

/// Flows that are counted at most until somebody takes them: some 20 MB.
const FLOWS: usize = 1 << 17;

/// One flow as one interface sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// The interface.
    pub interface: Arc<InterfaceKey>,
    /// Whether the interface sends it or gets it.
    pub direction: Direction,
    /// Whether security groups and network ACLs let it pass.
    pub accepted: bool,
    /// How it leaves; none for what the interface gets, and for what has no way.
    pub path: Option<TrafficPath>,
    /// The interface's own address: the primary private one, or an IPv6 address.
    pub own: IpAddr,
    /// The packets' source.
    pub src: IpAddr,
    /// The packets' destination.
    pub dst: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// Source port; 0 where there are none.
    pub src_port: u16,
    /// Destination port; 0 where there are none.
    pub dst_port: u16,
}

/// By which way a packet leaves an interface; its number is that of the field `traffic-path`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrafficPath {
    /// To something in the same VPC, be it a gateway with an interface.
    SameVpc = 1,
    /// By a VPC peering connection within the region.
    Peering = 4,
    /// By an internet gateway.
    InternetGateway = 8,
}

/// What was seen of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Packets; of a frame that the kernel will cut, those that it becomes.
    pub packets: u64,
    /// Their bytes, from the IP header on.
    pub bytes: u64,
    /// When the first came, in seconds since 1970.
    pub first: u64,
    /// When the last came, in seconds since 1970.
    pub last: u64,
    /// All TCP flags that flow logs tell of: FIN 1, SYN 2, RST 4, and 16 (ACK) together with SYN alone.
    pub tcp_flags: u8,
}

/// What was counted since it was taken last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowRecords {
    /// Each flow, in no order.
    pub flows: Vec<(Flow, Seen)>,
    /// The interfaces of which something was not counted, because there was no room.
    pub skipped: BTreeSet<Arc<InterfaceKey>>,
}

/// The flows that are being counted.
#[derive(Debug, Clone)]
pub(crate) struct FlowLog {
    flows: HashMap<Flow, Seen, RandomState>,
    skipped: BTreeSet<Arc<InterfaceKey>>,
    capacity: usize,
    /// Seconds since 1970.
    pub(crate) date: u64,
}

/// One frame, as far as it is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    packets: u64,
    bytes: u64,
    is_ipv6: bool,
    tcp_flags: u8,
}

impl Flow {
    /// What the field `srcaddr` says: of what an interface sends, its own address.
    pub fn srcaddr(&self) -> IpAddr {
        if self.direction == Direction::Egress { self.own } else { self.src }
    }

    /// What the field `dstaddr` says: of what an interface gets, its own address.
    pub fn dstaddr(&self) -> IpAddr {
        if self.direction == Direction::Ingress { self.own } else { self.dst }
    }

    /// A flow that passes an interface with this address.
    pub(crate) fn new(
        interface: Arc<InterfaceKey>,
        own: IpAddr,
        direction: Direction,
        key: &FlowKey,
    ) -> Flow {
        let icmp = if key.src.is_ipv6() { 58 } else { 1 };
        let (protocol, src_port, dst_port) = match key.proto {
            FlowProto::Tcp { src, dst } => (6, src, dst),
            FlowProto::Udp { src, dst } => (17, src, dst),
            FlowProto::Echo { .. } | FlowProto::Icmp { .. } => (icmp, 0, 0),
            FlowProto::Other(protocol) => (protocol, 0, 0),
        };
        let (src, dst) = (key.src, key.dst);
        Flow { interface, direction, accepted: true, path: None, own, src, dst, protocol, src_port, dst_port }
    }
}

impl Seen {
    /// Adds what was seen of the same flow at another time.
    pub fn add(&mut self, other: &Seen) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.tcp_flags |= other.tcp_flags;
    }
}

impl Counted {
    pub(crate) fn new(packet: &Packet, offload: &Offload) -> Counted {
        let (packets, bytes) = packet.segments(offload);
        Counted { packets, bytes, is_ipv6: packet.src().is_ipv6(), tcp_flags: tcp_flags(packet) }
    }

    /// Its bytes as it looks in a flow: where its family has changed, its header is 20 bytes longer, or shorter
    /// (RFC 7915 sections 4.1 and 5.1).
    fn bytes(&self, flow: &Flow) -> u64 {
        match (self.is_ipv6, flow.src.is_ipv6()) {
            (false, true) => self.bytes + 20 * self.packets,
            (true, false) => self.bytes.saturating_sub(20 * self.packets),
            _ => self.bytes,
        }
    }
}

impl FlowLog {
    pub(crate) fn new(seed: u64) -> FlowLog {
        FlowLog::with_capacity(seed, FLOWS)
    }

    fn with_capacity(seed: u64, capacity: usize) -> FlowLog {
        let hasher = RandomState::with_seeds(!seed, seed.rotate_left(7), seed, seed.rotate_left(29));
        FlowLog { flows: HashMap::with_hasher(hasher), skipped: BTreeSet::new(), capacity, date: 0 }
    }

    /// Counts a frame wherever it was seen.
    pub(crate) fn count(&mut self, flows: &[Flow], counted: Counted) {
        for flow in flows {
            let seen = Seen {
                packets: counted.packets,
                bytes: counted.bytes(flow),
                first: self.date,
                last: self.date,
                tcp_flags: counted.tcp_flags,
            };
            if let Some(known) = self.flows.get_mut(flow) {
                known.add(&seen);
            } else if self.flows.len() < self.capacity {
                self.flows.insert(flow.clone(), seen);
            } else {
                self.skipped.insert(Arc::clone(&flow.interface));
            }
        }
    }

    /// Gives all that was counted, and begins anew.
    pub(crate) fn take(&mut self) -> FlowRecords {
        FlowRecords { flows: self.flows.drain().collect(), skipped: std::mem::take(&mut self.skipped) }
    }
}

/// The flags that flow logs tell of.
fn tcp_flags(packet: &Packet) -> u8 {
    let Transport::Tcp { flags, .. } = packet.transport() else { return 0 };
    let told = [(TcpFlags::FIN, 1), (TcpFlags::SYN, 2), (TcpFlags::RST, 4)];
    let told = told.into_iter().filter(|(flag, _)| flags.contains(*flag)).fold(0, |all, (_, bit)| all | bit);
    let answers = flags.contains(TcpFlags::SYN) && flags.contains(TcpFlags::ACK);
    if answers { told | 16 } else { told }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use model::{AccountId, RegionKey, RegionName};

    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn flow(port: u16) -> Flow {
        let key = FlowKey { src: A.into(), dst: B.into(), proto: FlowProto::Udp { src: port, dst: 53 } };
        let region = RegionKey { account: AccountId("a".to_owned()), region: RegionName("r".to_owned()) };
        let interface = InterfaceKey { region, interface: "eni-00000001".parse().unwrap() };
        Flow::new(Arc::new(interface), A.into(), Direction::Egress, &key)
    }

    fn counted(packets: u64, tcp_flags: u8) -> Counted {
        Counted { packets, bytes: 100 * packets, is_ipv6: false, tcp_flags }
    }

    #[test]
    fn a_flow_is_summed_up_until_it_is_taken() {
        let mut log = FlowLog::new(1);
        for (date, packets, flags) in [(7, 1, 2), (8, 3, 0), (9, 1, 1)] {
            log.date = date;
            log.count(&[flow(1)], counted(packets, flags));
        }
        let taken = log.take();
        assert_eq!(
            taken.flows,
            [(flow(1), Seen { packets: 5, bytes: 500, first: 7, last: 9, tcp_flags: 3 })]
        );
        assert_eq!(log.take(), FlowRecords::default());
    }

    #[test]
    fn surplus_is_told() {
        let mut log = FlowLog::with_capacity(1, 2);
        for port in [1, 2, 3, 1] {
            log.count(&[flow(port)], counted(1, 0));
        }
        let taken = log.take();
        assert_eq!(taken.flows.iter().map(|(_, seen)| seen.packets).sum::<u64>(), 3);
        assert_eq!(taken.skipped, BTreeSet::from([flow(1).interface]));
        log.count(&[flow(3)], counted(1, 0));
        assert_eq!((log.flows.len(), log.skipped.len()), (1, 0), "there is room again");
    }

    #[test]
    fn flags_that_are_told() {
        for (flags, told) in [
            (TcpFlags::SYN, 2),
            (TcpFlags::SYN | TcpFlags::ACK, 18),
            (TcpFlags::ACK, 0),
            (TcpFlags::FIN | TcpFlags::ACK, 1),
            (TcpFlags::RST | TcpFlags::ACK, 4),
        ] {
            let frame = wire::build::tcp(A, B, 1, 2, flags, b"");
            assert_eq!(tcp_flags(&Packet::parse(&frame.bytes).unwrap()), told);
        }
    }
}
