//! The road of a packet through a VPC, top to bottom.
//!
//! `decide` is pure: it reads the tables and the connections and returns a verdict, with claims for what has to be
//! stored if the verdict is to forward. The order is that of the AWS VPC user guide: source check, security group,
//! network ACL, route table, gateway, network ACL, security group. A NAT gateway is no special case: the packet
//! arrives in its subnet, changes its addresses, and takes another turn. Each step sees the packet as it looks at
//! that point of its road.

use std::net::IpAddr;

use model::VpcPeeringConnectionId;
use wire::{FlowProto, Frame, Mac, Packet, Rewrite, TcpFlags, Transport, icmp_error};

use crate::fabric::{PortId, Time};
use crate::filter::security_group::{self, Party};
use crate::filter::source_check;
use crate::flow::{Claim, FlowTable, IdleTimeouts, Tracking};
use crate::flow_log::{Flow, TrafficPath};
use crate::nat::{NatTable, Side, Standing};
use crate::service::{dhcp4, dhcp6, link_local, nd};
use crate::tables::{Attached, Interface, NatGateway, ROUTER_LINK_LOCAL, ROUTER_MAC, Tables, Target};
use crate::trace::{Direction, Step, Trace};
use crate::translate::nat_gateway::Refused;
use crate::translate::{internet_gateway, nat_gateway};
use crate::verdict::{DropReason, Forward, Verdict};

mod hop;
mod internet;
mod logged;
mod services;

pub(crate) use self::hop::Hop;

/// MTU inside a VPC, in bytes (EC2 user guide, "Network maximum transmission unit").
pub const VPC_MTU: u16 = 9001;
/// Route tables that one packet may be led through: NAT gateways whose routes lead to each other end here.
const TURNS: u8 = 8;
/// Where packets arrive that are refused: no link has the index 0.
const NOWHERE: PortId = PortId(0);

/// A verdict, and what it needs stored.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    /// What is to be stored; none for what needs nothing remembered. There is one for a packet that is dropped, if it
    /// had left by a NAT gateway and another one's filter, or the same one's, refuses it.
    pub(crate) claim: Option<Claim>,
    /// How it passes each NAT gateway on its way.
    pub(crate) crossings: Vec<Crossing>,
    /// The NAT gateway that refused it.
    pub(crate) refused: Option<Refused>,
    /// Where it is seen by a flow log.
    pub(crate) logged: Vec<Flow>,
}

/// How a packet passes a NAT gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crossing {
    /// Which of the tables' gateways.
    pub(crate) gateway: usize,
    pub(crate) from: Side,
    /// None for an ICMP error.
    pub(crate) standing: Option<Standing>,
}

/// What a decision may look at.
pub(crate) struct View<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) flows: &'a FlowTable,
    pub(crate) nat: &'a NatTable,
    /// Where the uplink's gateway is, once it has been heard.
    pub(crate) gateway: Option<Mac>,
    pub(crate) now: Time,
}

/// Decides what happens to one well-formed packet that is no later fragment.
pub(crate) fn decide(
    view: &View<'_>,
    port: PortId,
    frame: &Frame,
    packet: &Packet,
    trace: &mut impl Trace,
) -> Decision {
    let hop = Hop::first(packet);
    let mut walk = Walk {
        view,
        port,
        frame,
        packet,
        trace,
        opening: opens(packet),
        sender_tracks: Tracking::Idle(IdleTimeouts::DEFAULT),
        came_across: None,
        crossings: Vec::new(),
        refused: None,
        logged: Vec::new(),
        leaving: None,
        sent: None,
        narrowest: (VPC_MTU, hop.key.dst),
        turns: 0,
    };
    let road = match view.tables.attached(port) {
        Some(Attached::Interface(index, interface)) => walk.leave_interface(index, interface, hop),
        Some(Attached::Uplink(uplink)) => walk.arrive_from_internet(uplink, hop),
        Some(Attached::Services) => walk.answer_by_service(hop),
        None => Err(DropReason::UnknownPort.into()),
    };
    let Walk { crossings, refused, logged, sent, .. } = walk;
    let (verdict, claim) = match road {
        Ok((forward, claim)) => (Verdict::Forward(Box::new(forward)), claim),
        Err(End(verdict)) => (verdict, sent),
    };
    Decision { verdict, claim, crossings, refused, logged }
}

/// Whether a packet opens a TCP connection.
pub(crate) fn opens(packet: &Packet) -> bool {
    match packet.transport() {
        Transport::Tcp { flags, .. } => flags.contains(TcpFlags::SYN) && !flags.contains(TcpFlags::ACK),
        _ => false,
    }
}

/// Where a packet's road ends other than out of a port.
#[derive(Debug)]
pub(crate) struct End(Verdict);

pub(crate) type Road = Result<(Forward, Option<Claim>), End>;

/// One packet on its road.
pub(crate) struct Walk<'a, T> {
    pub(crate) view: &'a View<'a>,
    /// The port that it came from.
    pub(crate) port: PortId,
    pub(crate) frame: &'a Frame,
    pub(crate) packet: &'a Packet,
    pub(crate) trace: &'a mut T,
    /// Whether it is a TCP SYN, which opens a connection.
    pub(crate) opening: bool,
    sender_tracks: Tracking,
    /// The peering connection that it has come by, straight from the interface that has its source address.
    came_across: Option<VpcPeeringConnectionId>,
    pub(crate) crossings: Vec<Crossing>,
    pub(crate) refused: Option<Refused>,
    /// Where it is seen by a flow log, and which of these places it is about to leave.
    logged: Vec<Flow>,
    leaving: Option<usize>,
    /// What a packet that is refused in the end needs stored of its way out.
    sent: Option<Claim>,
    /// The smallest MTU so far, in bytes, and who answers what exceeds it.
    narrowest: (u16, IpAddr),
    turns: u8,
}

impl<T: Trace> Walk<'_, T> {
    fn leave_interface(&mut self, index: usize, interface: &Interface, hop: Hop) -> Road {
        if self.packet.eth_src() != interface.mac {
            return Err(DropReason::SpoofedMac.into());
        }
        if let Some(verdict) = self.for_the_vpc(interface) {
            return Err(End(verdict));
        }
        self.trace.note(|| Step::From { interface: interface.key.clone(), instance: interface.instance });
        if source_check::martian(hop.key.src) {
            return Err(DropReason::MartianSource.into());
        }
        source_check::check(interface, Direction::Egress, hop.key.src, self.trace)?;
        possible_destination(self.packet)?;

        let subnet = self.view.tables.subnet_of(interface);
        self.narrowest.1 = subnet.router_towards(hop.key.src);
        // The VPC's own services stand outside every security group (VPC user guide, "Security groups").
        if self.packet.eth_dst() == ROUTER_MAC {
            let vpc = self.view.tables.vpc_of(interface);
            if link_local::is_service(hop.key.dst) || hop.key.dst == vpc.dns {
                return self.ask_service(vpc, hop);
            }
        }
        self.depart(index, &hop);
        let passed = self.pass_groups(interface, self.port, Direction::Egress, &hop);
        self.sender_tracks = passed.inspect_err(|_| self.refuse_departure())?;
        if self.packet.eth_dst() != ROUTER_MAC {
            let neighbor = subnet.by_mac.get(&self.packet.eth_dst()).copied();
            let neighbor = neighbor.filter(|&neighbor| neighbor != index).ok_or(DropReason::UnknownMac)?;
            self.trace.note(|| Step::Direct { subnet: subnet.id });
            self.go_by(TrafficPath::SameVpc);
            let hop = hop.edited(Rewrite { eth_src: Some(interface.mac), ..Rewrite::default() });
            return self.deliver(Some(interface.subnet), neighbor, hop);
        }
        self.route(index, hop)
    }

    /// What the VPC answers itself, before any check of the sender's address: who asks may have none yet.
    fn for_the_vpc(&self, interface: &Interface) -> Option<Verdict> {
        let (tables, packet) = (self.view.tables, self.packet);
        let (src, dst) = match packet.flow_key().proto {
            FlowProto::Udp { src, dst } => (src, dst),
            FlowProto::Icmp { .. } if packet.dst().is_ipv6() => {
                return nd::answer(tables, interface, self.frame, packet);
            }
            _ => return None,
        };
        let subnet = tables.subnet_of(interface);
        match packet.dst() {
            IpAddr::V4(to) => {
                if (src, dst) == (dhcp4::SERVER_PORT, dhcp4::CLIENT_PORT) {
                    return Some(Verdict::Drop(DropReason::RogueDhcpServer));
                }
                let for_us = to.is_broadcast() || to == subnet.router;
                (dst == dhcp4::SERVER_PORT && for_us)
                    .then(|| dhcp4::answer(tables, interface, self.frame, packet))
            }
            IpAddr::V6(to) => {
                if (src, dst) == (dhcp6::SERVER_PORT, dhcp6::CLIENT_PORT) {
                    return Some(Verdict::Drop(DropReason::RogueDhcpServer));
                }
                let for_us = to == dhcp6::ALL_SERVERS || subnet.is_router(packet.dst());
                (dst == dhcp6::SERVER_PORT && for_us)
                    .then(|| dhcp6::answer(tables, interface, self.frame, packet))
            }
        }
    }

    /// On from an interface, the sender's or a NAT gateway's, as the route table of its subnet says.
    pub(crate) fn route(&mut self, sender: usize, hop: Hop) -> Road {
        let tables = self.view.tables;
        self.turns += 1;
        if self.turns > TURNS {
            return Err(DropReason::RoutingLoop.into());
        }
        let hop = hop.edited(Rewrite { eth_src: Some(ROUTER_MAC), ..Rewrite::default() });
        let interface = &tables.interfaces[sender];
        let subnet = tables.subnet_of(interface);
        if subnet.is_router(hop.key.dst) {
            return Err(DropReason::ForTheRouter.into());
        }
        let table = tables.table_of(subnet);
        let found = table.lookup(hop.key.dst);
        self.trace.note(|| Step::Route {
            table: table.id,
            subnet: subnet.id,
            matched: found.map(|(prefix, target)| (prefix, target.name())),
        });
        match found.map(|(_, target)| target) {
            None => Err(DropReason::NoRoute.into()),
            Some(Target::Blackhole(_)) => Err(DropReason::Blackhole.into()),
            Some(Target::Local) => {
                self.go_by(TrafficPath::SameVpc);
                let owner = tables.vpc_of(interface).owner(hop.key.dst);
                let owner = owner.ok_or(DropReason::NoSuchAddress)?;
                self.hand_over(sender, owner, hop)
            }
            Some(Target::Interface(target, _)) => {
                self.go_by(TrafficPath::SameVpc);
                self.hand_over(sender, *target, hop)
            }
            Some(Target::Peering(peering, vpc)) => {
                self.go_by(TrafficPath::Peering);
                let owner = tables.vpcs[*vpc].owner(hop.key.dst);
                self.trace.note(|| Step::Peering { peering: *peering });
                let owner = owner.ok_or(DropReason::NoSuchAddress)?;
                // Whoever comes by peering cannot use the other VPC's gateways (VPC peering guide, "Limitations").
                if tables.interfaces[owner].nat_gateway.is_some() {
                    return Err(DropReason::NatFromAfar.into());
                }
                // What a middlebox passes on is nobody's in the peer VPC (VPC peering guide, "Update your security groups
                // to reference peer security groups").
                self.came_across = interface.owns(hop.key.src).then_some(*peering);
                self.hand_over(sender, owner, hop)
            }
            Some(Target::NatGateway(gateway, _)) => {
                let eni = tables.nat_gateways[*gateway].interface;
                self.go_by(TrafficPath::SameVpc);
                self.cross(Some(interface.subnet), eni, &hop)?;
                self.arrive(eni, &hop, true);
                nat_gateway::outbound(self, *gateway, hop)
            }
            Some(Target::InternetGateway(gateway)) => {
                self.go_by(TrafficPath::InternetGateway);
                self.leave_subnet(interface.subnet, &hop)?;
                let hop = internet_gateway::outbound(tables, interface, *gateway, hop, self.trace)?;
                self.leave_to_internet(interface, hop)
            }
            Some(Target::EgressOnlyInternetGateway(gateway)) => {
                self.go_by(TrafficPath::InternetGateway);
                self.leave_subnet(interface.subnet, &hop)?;
                if tables.vpc_of(interface).owner(hop.key.src).is_none() {
                    return Err(DropReason::NoPublicAddress.into());
                }
                self.trace.note(|| Step::EgressOnlyInternetGateway { gateway: *gateway });
                self.track_sender();
                self.leave_to_internet(interface, hop)
            }
        }
    }

    fn hand_over(&mut self, sender: usize, receiver: usize, hop: Hop) -> Road {
        if sender == receiver {
            return Err(DropReason::RouteLeadsBack.into());
        }
        self.deliver(Some(self.view.tables.interfaces[sender].subnet), receiver, hop)
    }

    /// Hands the packet to an interface of a VPC: network ACLs, destination check, security groups, port.
    fn deliver(&mut self, from: Option<usize>, owner: usize, hop: Hop) -> Road {
        let receiver = &self.view.tables.interfaces[owner];
        self.cross(from, owner, &hop)?;
        if let Some(gateway) = receiver.nat_gateway {
            self.arrive(owner, &hop, true);
            return nat_gateway::inbound(self, gateway, hop);
        }
        source_check::check(receiver, Direction::Ingress, hop.key.dst, self.trace)?;
        let port = receiver.port.ok_or(DropReason::NoPort)?;
        let passed = self.pass_groups(receiver, port, Direction::Ingress, &hop);
        self.arrive(owner, &hop, passed.is_ok());
        let tracking = passed?;
        self.trace.note(|| Step::Deliver { interface: receiver.key.clone(), instance: receiver.instance });
        let hop = hop.edited(Rewrite { eth_dst: Some(receiver.mac), ..Rewrite::default() });
        self.leave(port, tracking, hop)
    }

    /// The peering connection that the sender's route leads to.
    fn peering_ahead(&self, sender: &Interface, hop: &Hop) -> Option<VpcPeeringConnectionId> {
        let tables = self.view.tables;
        let table = tables.table_of(tables.subnet_of(sender));
        let by_router = self.packet.eth_dst() == ROUTER_MAC;
        match table.lookup(hop.key.dst).filter(|_| by_router) {
            Some((_, Target::Peering(peering, _))) => Some(*peering),
            _ => None,
        }
    }

    /// Network ACLs, where the packet crosses the border of a subnet, on its way to an interface. `from` is none for
    /// what comes in by a gateway.
    fn cross(&mut self, from: Option<usize>, receiver: usize, hop: &Hop) -> Result<(), DropReason> {
        let to = self.view.tables.interfaces[receiver].subnet;
        if from == Some(to) {
            return Ok(());
        }
        if let Some(from) = from {
            self.leave_subnet(from, hop)?;
        }
        let subnet = &self.view.tables.subnets[to];
        let checked =
            self.view.tables.acl_of(subnet).check(subnet.id, Direction::Ingress, &hop.key, self.trace);
        checked.inspect_err(|_| self.arrive(receiver, hop, false))
    }

    fn leave_subnet(&mut self, from: usize, hop: &Hop) -> Result<(), DropReason> {
        let subnet = &self.view.tables.subnets[from];
        let checked =
            self.view.tables.acl_of(subnet).check(subnet.id, Direction::Egress, &hop.key, self.trace);
        checked.inspect_err(|_| self.refuse_departure())
    }

    /// Security groups, unless the packet belongs to (or quotes) a connection that the interface tracks. Says how the
    /// interface tracks it from now on.
    fn pass_groups(
        &mut self,
        interface: &Interface,
        port: PortId,
        direction: Direction,
        hop: &Hop,
    ) -> Result<Tracking, DropReason> {
        // The key under which the interface itself sends on this connection.
        let (own, peer) = match (direction, hop.quoted) {
            (Direction::Egress, None) => (hop.key, hop.key.dst),
            (Direction::Ingress, None) => (hop.key.reversed(), hop.key.src),
            // An error that the interface sends quotes what it received, one that it receives quotes what it sent.
            (Direction::Egress, Some(quoted)) => (quoted.reversed(), hop.key.dst),
            (Direction::Ingress, Some(quoted)) => (quoted, hop.key.src),
        };
        if self.view.flows.tracks(&(port, own), self.opening, self.view.now) {
            self.trace.note(|| Step::Tracked { direction });
            return Ok(Tracking::Idle(interface.idle));
        }
        let across = match direction {
            Direction::Egress => self.peering_ahead(interface, hop),
            Direction::Ingress => self.came_across,
        };
        let peer = Party { address: peer, across };
        let allowed = security_group::check(interface, direction, peer, &hop.key.proto, self.trace)?;
        Ok(if allowed.tracked { Tracking::Idle(interface.idle) } else { Tracking::Untracked })
    }

    /// Connections through a NAT gateway or an egress-only one are tracked whatever the rules say (EC2 user guide,
    /// "Automatically tracked connections").
    pub(crate) fn track_sender(&mut self) {
        if let Some(Attached::Interface(_, interface)) = self.view.tables.attached(self.port) {
            self.sender_tracks = Tracking::Idle(interface.idle);
        }
    }

    /// The packet left by a NAT gateway and is refused by one. Its sender has sent it all the same: two endpoints behind
    /// NAT gateways that filter reach each other only if the packets that they send first, which are refused, open the
    /// way for the other's (RFC 4787 REQ-9, RFC 5128 section 3.3).
    pub(crate) fn keep_way_out(&mut self, hop: &Hop) {
        let claim = Claim {
            sender: (self.port, self.packet.flow_key()),
            receiver: (NOWHERE, hop.key.reversed()),
            opening: self.opening,
            tracking: [self.sender_tracks, Tracking::Idle(IdleTimeouts::DEFAULT)],
        };
        let is_out = self.crossings.iter().any(|crossing| crossing.from == Side::Inside);
        let admitted = self.view.flows.admits(&claim, self.view.now).is_ok();
        let possible = hop.rewrite.possible(self.frame, self.packet, &hop.rewrite_quoted).is_ok();
        self.sent = (is_out && admitted && possible).then_some(claim);
    }

    /// The way out from here carries packets of `mtu` bytes at most; the router that `at` stands at says so.
    fn narrow(&mut self, mtu: u16, at: &Interface) {
        if mtu < self.narrowest.0 {
            self.narrowest.0 = mtu;
            if let Some(gateway) = at.nat_gateway {
                self.narrowest.1 = self.address_towards_sender(&self.view.tables.nat_gateways[gateway]);
            }
        }
    }

    /// As whom a NAT gateway speaks to the sender of the packet. It has no IPv6 address of its own: who speaks IPv6
    /// hears their router.
    pub(crate) fn address_towards_sender(&self, gateway: &NatGateway) -> IpAddr {
        match self.packet.src() {
            IpAddr::V4(_) => self.view.tables.interfaces[gateway.interface].primary.into(),
            IpAddr::V6(_) => ROUTER_LINK_LOCAL.into(),
        }
    }

    /// Out of a port, if the packet fits.
    fn leave(&mut self, port: PortId, receiver_tracks: Tracking, hop: Hop) -> Road {
        let (mtu, router) = self.narrowest;
        let forward = Forward { port, rewrite: hop.rewrite, quoted: hop.rewrite_quoted, mtu };
        let possible = forward.rewrite.possible(self.frame, self.packet, &forward.quoted);
        possible.map_err(|_| DropReason::Untranslatable)?;
        let mtu = forward.path_mtu(self.packet);
        if self.packet.mtu_len(&self.frame.offload) > usize::from(mtu) && self.packet.dont_fragment() {
            self.trace.note(|| Step::TooBig { mtu });
            let error = icmp_error::too_big(self.frame, self.packet, router, mtu);
            return Err(End::reply(error.ok_or(DropReason::TooBig)?));
        }
        // ICMP errors belong to the connection they quote and open none (RFC 5508 REQ-6).
        if hop.quoted.is_some() {
            return Ok((forward, None));
        }
        let claim = Claim {
            sender: (self.port, self.packet.flow_key()),
            receiver: (port, hop.key.reversed()),
            opening: self.opening,
            tracking: [self.sender_tracks, receiver_tracks],
        };
        self.view.flows.admits(&claim, self.view.now)?;
        Ok((forward, Some(claim)))
    }
}

fn possible_destination(packet: &Packet) -> Result<(), DropReason> {
    let broadcast = match packet.dst() {
        to if to.is_multicast() => return Err(DropReason::Multicast),
        IpAddr::V4(to) => to.is_broadcast(),
        IpAddr::V6(_) => false,
    };
    if broadcast || packet.eth_dst() == Mac::BROADCAST {
        return Err(DropReason::Broadcast);
    }
    Ok(())
}

impl From<DropReason> for End {
    fn from(reason: DropReason) -> End {
        End(Verdict::Drop(reason))
    }
}

impl End {
    /// The packet ends with this answer to whoever sent it.
    pub(crate) fn reply(frame: Frame) -> End {
        End(Verdict::Reply(Box::new(frame)))
    }
}
