//! Security groups: the sum of an interface's groups' rules, allow only.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use model::{
    NetworkInterface, Peer, PrefixListId, Protocol, Region, Rule, SecurityGroupId, VpcPeeringConnectionId,
};
use wire::FlowProto;

use crate::tables::{Interface, Prefixes};
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
    Cidr(IpNet),
    /// Who is in a referenced group.
    Members(SecurityGroupId, Members),
    /// The same of a peer VPC's group: what talks to them across this peering connection, and in no other way.
    MembersAcross(VpcPeeringConnectionId, SecurityGroupId, Members),
    PrefixList(PrefixListId, Vec<IpNet>),
}

/// The private addresses of a group's members, and their prefixes.
#[derive(Debug)]
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

impl Rules {
    /// The rules of all groups of `interface` that are not stale, references resolved to their members' private
    /// addresses.
    pub(crate) fn compile(
        region: &Region,
        interface: &NetworkInterface,
        direction: model::Direction,
    ) -> Rules {
        let groups = interface.groups.iter().filter_map(|id| region.security_groups().get(id));
        let rules = groups.flat_map(|group| {
            let rules = group.rules().filter(move |rule| rule.direction == direction);
            rules.filter(|rule| !region.is_stale(rule)).map(|rule| Compiled {
                group: group.id,
                rule: rule.clone(),
                peer: PeerSet::of(region, rule),
            })
        });
        Rules(rules.collect())
    }

    fn allowing(&self, peer: Party, proto: &FlowProto) -> Option<&Compiled> {
        self.0.iter().find(|rule| rule.peer.contains(peer) && rule.covers(peer.address, proto))
    }

    /// Whether packets of this kind may go to, or come from, everywhere.
    fn allows_everyone(&self, peer: IpAddr, proto: &FlowProto) -> bool {
        self.0.iter().any(|rule| rule.peer.is_everyone(peer) && rule.covers(peer, proto))
    }

    /// Whether all TCP, or all UDP, may go to, or come from, everywhere.
    fn allows_all(&self, peer: IpAddr, protocol: u8) -> bool {
        self.0.iter().any(|rule| rule.peer.is_everyone(peer) && rule.rule.covers(protocol, None))
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
    fn of(region: &Region, rule: &Rule) -> PeerSet {
        match (rule.peer, rule.across) {
            (Peer::Cidr(cidr), _) => PeerSet::Cidr(cidr.into()),
            (Peer::Cidr6(cidr), _) => PeerSet::Cidr(cidr.into()),
            (Peer::Group(id), None) => PeerSet::Members(id, members(region, id)),
            (Peer::Group(id), Some(across)) => {
                PeerSet::MembersAcross(across.connection, id, members(region, id))
            }
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

fn members(region: &Region, group: SecurityGroupId) -> Members {
    let member = |interface: &&NetworkInterface| interface.groups.contains(&group);
    let members = region.interfaces().values().filter(member);
    let addresses = members.clone().flat_map(|interface| {
        let v4 = interface.addresses().map(IpAddr::V4);
        v4.chain(interface.ipv6_addresses.iter().copied().map(IpAddr::V6))
    });
    let prefixes = members.flat_map(|interface| &interface.prefixes).map(|&prefix| (prefix, ()));
    Members { addresses: addresses.collect(), prefixes: prefixes.collect() }
}

fn prefixes(region: &Region, list: PrefixListId) -> Vec<IpNet> {
    let list = region.prefix_lists().get(&list);
    list.into_iter().flat_map(|list| &list.entries).map(|entry| entry.cidr).collect()
}
