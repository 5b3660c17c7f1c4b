//! Security groups: the sum of an interface's groups' rules, allow only.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use model::{NetworkInterface, Peer, Protocol, Region, Rule, SecurityGroupId};
use wire::FlowProto;

use crate::tables::Interface;
use crate::trace::{Direction, Step, Trace};
use crate::verdict::DropReason;

/// All rules of one interface in one direction.
#[derive(Debug, Default)]
pub(crate) struct Rules(Vec<Compiled>);

#[derive(Debug)]
struct Compiled {
    group: SecurityGroupId,
    rule: Rule,
    peer: PeerSet,
}

#[derive(Debug)]
enum PeerSet {
    Cidr(Ipv4Net),
    /// The private addresses of a referenced group's members.
    Members(SecurityGroupId, BTreeSet<Ipv4Addr>),
}

impl Rules {
    /// The rules of all groups of `interface`, references resolved to their members' private addresses.
    pub(crate) fn compile(
        region: &Region,
        interface: &NetworkInterface,
        direction: model::Direction,
    ) -> Rules {
        let groups = interface.groups.iter().filter_map(|id| region.security_groups().get(id));
        let rules = groups.flat_map(|group| {
            group.rules().filter(move |rule| rule.direction == direction).filter_map(|rule| {
                let peer = match rule.peer {
                    Peer::Cidr(cidr) => PeerSet::Cidr(cidr),
                    Peer::Group(id) => PeerSet::Members(id, members(region, id)),
                    // Packets are IPv4: these allow none of them.
                    Peer::Cidr6(_) | Peer::PrefixList(_) => return None,
                };
                Some(Compiled { group: group.id, rule: rule.clone(), peer })
            })
        });
        Rules(rules.collect())
    }

    fn allowing(&self, peer: Ipv4Addr, proto: &FlowProto) -> Option<&Compiled> {
        self.0.iter().find(|rule| rule.peer.contains(peer) && covers(&rule.rule, proto))
    }
}

/// Asks the groups of `interface` about a packet to or from `peer`.
pub(crate) fn check(
    interface: &Interface,
    direction: Direction,
    peer: Ipv4Addr,
    proto: &FlowProto,
    trace: &mut impl Trace,
) -> Result<(), DropReason> {
    let (rules, refusal) = match direction {
        Direction::Egress => (&interface.egress, DropReason::SecurityGroupEgress),
        Direction::Ingress => (&interface.ingress, DropReason::SecurityGroupIngress),
    };
    let allowing = rules.allowing(peer, proto);
    trace.note(|| Step::SecurityGroup {
        direction,
        allowed_by: allowing.map(|rule| (rule.group, rule.words())),
        groups: interface.groups.clone(),
    });
    allowing.map(|_| ()).ok_or(refusal)
}

impl PeerSet {
    fn contains(&self, address: Ipv4Addr) -> bool {
        match self {
            PeerSet::Cidr(cidr) => cidr.contains(&address),
            PeerSet::Members(_, members) => members.contains(&address),
        }
    }
}

impl Compiled {
    fn words(&self) -> String {
        let what = match (self.rule.protocol, self.rule.ports) {
            (Protocol::All, _) => "all traffic".to_owned(),
            (protocol, None) => protocol.to_string(),
            (protocol, Some((from, to))) if from == to => format!("{protocol} {from}"),
            (protocol, Some((from, to))) => format!("{protocol} {from}-{to}"),
        };
        let side = match self.rule.direction {
            model::Direction::Ingress => "from",
            model::Direction::Egress => "to",
        };
        match &self.peer {
            PeerSet::Cidr(cidr) => format!("{what} {side} {cidr}"),
            PeerSet::Members(group, _) => format!("{what} {side} members of {group}"),
        }
    }
}

fn members(region: &Region, group: SecurityGroupId) -> BTreeSet<Ipv4Addr> {
    let member = |interface: &&NetworkInterface| interface.groups.contains(&group);
    region.interfaces().values().filter(member).flat_map(NetworkInterface::addresses).collect()
}

/// Whether a rule is about packets of this kind: protocol, and destination port or ICMP type and code.
fn covers(rule: &Rule, proto: &FlowProto) -> bool {
    let (protocol, detail) = match *proto {
        FlowProto::Tcp { dst, .. } => (6, Some((dst, dst))),
        FlowProto::Udp { dst, .. } => (17, Some((dst, dst))),
        FlowProto::Echo { request, .. } => (1, Some((if request { 8 } else { 0 }, 0))),
        FlowProto::Icmp { kind, code } => (1, Some((kind.into(), code.into()))),
        FlowProto::Other(protocol) => (protocol, None),
    };
    rule.covers(protocol, detail)
}
