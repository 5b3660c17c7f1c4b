//! Security groups: the sum of an interface's groups' rules, allow only.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use model::{
    NetworkInterface, Peer, PrefixListId, Protocol, Region, Rule, SecurityGroupId, VpcPeeringConnectionId,
};
use wire::FlowProto;

use crate::tables::{Interface, Prefixes};
use crate::trace::{Direction, Step, Trace};
use crate::verdict::DropReason;

/// The rules of a region's groups, those about what leaves first. Interfaces share them: a group of thousands may have
/// rules about its own members.
pub(crate) struct Groups(BTreeMap<SecurityGroupId, [Arc<[Compiled]>; 2]>);

/// All rules of one interface in one direction.
#[derive(Debug, Default)]
pub(crate) struct Rules(Vec<Arc<[Compiled]>>);

#[derive(Debug)]
struct Compiled {
    group: SecurityGroupId,
    rule: Rule,
    peer: PeerSet,
}

#[derive(Debug)]
enum PeerSet {
    Cidr(IpNet),
    /// Who is in a referenced group.
    Members(SecurityGroupId, Arc<Members>),
    /// The same of a peer VPC's group: what talks to them across this peering connection, and in no other way.
    MembersAcross(VpcPeeringConnectionId, SecurityGroupId, Arc<Members>),
    PrefixList(PrefixListId, Vec<IpNet>),
}

/// The private addresses of a group's members, and their prefixes.
#[derive(Debug, Default)]
struct Members {
    addresses: BTreeSet<IpAddr>,
    prefixes: Prefixes<()>,
}

/// Whom a packet is from, or for, as an interface's groups look at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Party {
    /// Its address.
    pub(crate) address: IpAddr,
    /// The peering connection between it and the interface, if there is nothing else.
    pub(crate) across: Option<VpcPeeringConnectionId>,
}

/// What the groups say of a packet that they allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Whether its connection is tracked.
    pub(crate) tracked: bool,
}

impl Groups {
    /// The rules of all groups that are not stale, references resolved to their members' private addresses.
    pub(crate) fn compile(region: &Region) -> Groups {
        let mut members: BTreeMap<SecurityGroupId, Members> = BTreeMap::new();
        for interface in region.interfaces().values() {
            for &group in &interface.groups {
                members.entry(group).or_default().add(interface);
            }
        }
        let members = members.into_iter().map(|(group, members)| (group, Arc::new(members))).collect();
        let groups = region.security_groups().values();
        let compiled = groups.map(|group| {
            let rules = |direction| {
                let rules =
                    group.rules().filter(|rule| rule.direction == direction && !region.is_stale(rule));
                let compile = |rule: &Rule| Compiled {
                    group: group.id,
                    rule: rule.clone(),
                    peer: PeerSet::of(region, rule, &members),
                };
                rules.map(compile).collect()
            };
            (group.id, [model::Direction::Egress, model::Direction::Ingress].map(rules))
        });
        Groups(compiled.collect())
    }

    /// Those of an interface: what leaves it, and what comes to it.
    pub(crate) fn of(&self, interface: &NetworkInterface) -> [Rules; 2] {
        let groups = || interface.groups.iter().filter_map(|id| self.0.get(id));
        [0, 1].map(|direction| Rules(groups().map(|group| Arc::clone(&group[direction])).collect()))
    }
}

impl Rules {
    fn all(&self) -> impl Iterator<Item = &Compiled> {
        self.0.iter().flat_map(|group| group.iter())
    }

    fn allowing(&self, peer: Party, proto: &FlowProto) -> Option<&Compiled> {
        self.all().find(|rule| rule.peer.contains(peer) && rule.covers(peer.address, proto))
    }

    /// Whether packets of this kind may go to, or come from, everywhere.
    fn allows_everyone(&self, peer: IpAddr, proto: &FlowProto) -> bool {
        self.all().any(|rule| rule.peer.is_everyone(peer) && rule.covers(peer, proto))
    }

    /// Whether all TCP, or all UDP, may go to, or come from, everywhere.
    fn allows_all(&self, peer: IpAddr, protocol: u8) -> bool {
        self.all().any(|rule| rule.peer.is_everyone(peer) && rule.rule.covers(protocol, None))
    }
}

/// Asks the groups of `interface` about a packet to or from `peer`.
pub(crate) fn check(
    interface: &Interface,
    direction: Direction,
    peer: Party,
    proto: &FlowProto,
    trace: &mut impl Trace,
) -> Result<Allowed, DropReason> {
    let (rules, other_way, refusal) = match direction {
        Direction::Egress => (&interface.egress, &interface.ingress, DropReason::SecurityGroupEgress),
        Direction::Ingress => (&interface.ingress, &interface.egress, DropReason::SecurityGroupIngress),
    };
    let allowing = rules.allowing(peer, proto);
    trace.note(|| Step::SecurityGroup {
        direction,
        allowed_by: allowing.map(|rule| (rule.group, rule.words())),
        groups: interface.groups.clone(),
    });
    allowing.ok_or(refusal)?;
    // EC2 user guide, "Untracked connections": TCP and UDP that everyone may begin, and that anything may answer.
    let peer = peer.address;
    let untracked = match proto {
        FlowProto::Tcp { .. } => other_way.allows_all(peer, 6) && rules.allows_everyone(peer, proto),
        FlowProto::Udp { .. } => other_way.allows_all(peer, 17) && rules.allows_everyone(peer, proto),
        FlowProto::Echo { .. } | FlowProto::Icmp { .. } | FlowProto::Other(_) => false,
    };
    Ok(Allowed { tracked: !untracked })
}

impl PeerSet {
    fn of(region: &Region, rule: &Rule, members: &BTreeMap<SecurityGroupId, Arc<Members>>) -> PeerSet {
        let members = |group| members.get(&group).cloned().unwrap_or_default();
        match (rule.peer, rule.across) {
            (Peer::Cidr(cidr), _) => PeerSet::Cidr(cidr.into()),
            (Peer::Cidr6(cidr), _) => PeerSet::Cidr(cidr.into()),
            (Peer::Group(id), None) => PeerSet::Members(id, members(id)),
            (Peer::Group(id), Some(across)) => PeerSet::MembersAcross(across.connection, id, members(id)),
            (Peer::PrefixList(id), _) => PeerSet::PrefixList(id, prefixes(region, id)),
        }
    }

    fn contains(&self, peer: Party) -> bool {
        match self {
            PeerSet::Cidr(cidr) => cidr.contains(&peer.address),
            PeerSet::Members(_, members) => members.contains(peer.address),
            PeerSet::MembersAcross(connection, _, members) => {
                peer.across == Some(*connection) && members.contains(peer.address)
            }
            PeerSet::PrefixList(_, prefixes) => prefixes.iter().any(|prefix| prefix.contains(&peer.address)),
        }
    }

    /// Whether every address of the peer's family is meant.
    fn is_everyone(&self, peer: IpAddr) -> bool {
        matches!(self, PeerSet::Cidr(cidr) if cidr.prefix_len() == 0 && cidr.contains(&peer))
    }
}

impl Members {
    fn add(&mut self, interface: &NetworkInterface) {
        self.addresses.extend(interface.addresses().map(IpAddr::V4));
        self.addresses.extend(interface.ipv6_addresses.iter().copied().map(IpAddr::V6));
        for &prefix in &interface.prefixes {
            self.prefixes.insert(prefix, ());
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address) || self.prefixes.contains(address)
    }
}

impl Compiled {
    fn covers(&self, peer: IpAddr, proto: &FlowProto) -> bool {
        let (protocol, detail) = super::protocol_and_detail(peer, proto);
        self.rule.covers(protocol, detail)
    }

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
            PeerSet::MembersAcross(connection, group, _) => {
                format!("{what} {side} members of {group} across {connection}")
            }
            PeerSet::PrefixList(list, _) => format!("{what} {side} {list}"),
        }
    }
}

fn prefixes(region: &Region, list: PrefixListId) -> Vec<IpNet> {
    let list = region.prefix_lists().get(&list);
    list.into_iter().flat_map(|list| &list.entries).map(|entry| entry.cidr).collect()
}
