//! The road of a packet through a VPC, top to bottom.
//!
//! `decide` is pure: it reads the tables and the connections and returns a verdict, with claims for what has to be
//! stored if the verdict is to forward. The order is that of the AWS VPC user guide: source check, security group,
//! network ACL, route table, gateway, network ACL, security group. A NAT gateway is no special case: the packet
//! arrives in its subnet, changes its addresses, and takes another turn. Each step sees the packet as it looks at
//! that point of its road.

use std::net::IpAddr;

use wire::{FlowKey, FlowProto, Frame, Mac, Packet, Rewrite, TcpFlags, Transport};

use crate::fabric::{Gateway, PortId, Time, Uplink};
use crate::filter::{security_group, source_check};
use crate::flow::{Claim, FlowTable, IdleTimeouts, Tracking};
use crate::nat::{NatTable, Side, Standing};
use crate::service::{dhcp4, dhcp6, link_local, nd};
use crate::tables::{Attached, Interface, NatGateway, ROUTER_LINK_LOCAL, ROUTER_MAC, Tables, Target};
use crate::trace::{Direction, Step, Trace};
use crate::translate::nat_gateway::Refused;
use crate::translate::{internet_gateway, nat_gateway};
use crate::verdict::{DropReason, Forward, Verdict};

/// MTU inside a VPC, in bytes (EC2 user guide, "Network maximum transmission unit").
pub const VPC_MTU: u16 = 9001;
/// MTU at an internet gateway, in bytes (same page).
const INTERNET_GATEWAY_MTU: u16 = 1500;
/// Route tables that one packet may be led through: NAT gateways whose routes lead to each other end here.
const TURNS: u8 = 8;

/// A verdict, and what it needs stored.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    /// What is to be stored; none for what needs nothing remembered.
    pub(crate) claim: Option<Claim>,
    /// How it passes each NAT gateway on its way.
    pub(crate) crossings: Vec<Crossing>,
    /// The NAT gateway that refused it.
    pub(crate) refused: Option<Refused>,
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

/// The packet as it looks at one point of its road, and the edits that made it look so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hop {
    /// The packet.
    pub(crate) key: FlowKey,
    /// The packet that it quotes, if it is an ICMP error.
    pub(crate) quoted: Option<FlowKey>,
    /// Edits so far.
    pub(crate) rewrite: Rewrite,
    /// Edits of the quoted packet so far.
    pub(crate) rewrite_quoted: Rewrite,
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
    let hop = Hop {
        key: packet.flow_key(),
        quoted: packet.quoted().map(|quoted| quoted.flow_key()),
        rewrite: Rewrite::default(),
        rewrite_quoted: Rewrite::default(),
    };
    let mut walk = Walk {
        view,
        port,
        frame,
        packet,
        trace,
        opening: opens(packet),
        sender_tracks: Tracking::Idle(IdleTimeouts::DEFAULT),
        crossings: Vec::new(),
        refused: None,
        narrowest: (VPC_MTU, hop.key.dst),
        turns: 0,
    };
    let road = match view.tables.attached(port) {
        Some(Attached::Interface(index, interface)) => walk.from_interface(index, interface, hop),
        Some(Attached::Uplink(uplink)) => walk.from_internet(uplink, hop),
        Some(Attached::Services) => walk.from_services(hop),
        None => Err(DropReason::UnknownPort.into()),
    };
    let Walk { crossings, refused, .. } = walk;
    let (verdict, claim) = match road {
        Ok((forward, claim)) => (Verdict::Forward(forward), claim),
        Err(End(verdict)) => (verdict, None),
    };
    Decision { verdict, claim, crossings, refused }
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
    pub(crate) crossings: Vec<Crossing>,
    pub(crate) refused: Option<Refused>,
    /// The smallest MTU so far, in bytes of the packet as its sender sent it, and who answers what exceeds it.
    narrowest: (u16, IpAddr),
    turns: u8,
}

impl<T: Trace> Walk<'_, T> {
    fn from_interface(&mut self, index: usize, interface: &Interface, hop: Hop) -> Road {
        if self.packet.eth_src() != interface.mac {
            return Err(DropReason::SpoofedMac.into());
        }
        if let Some(verdict) = self.for_the_vpc(interface) {
            return Err(End(verdict));
        }
        self.trace.note(|| Step::From { interface: interface.key.clone(), instance: interface.instance });
        if self.packet.ttl() == 0 {
            return Err(DropReason::TtlZero.into());
        }
        if source_check::martian(hop.key.src) {
            return Err(DropReason::MartianSource.into());
        }
        source_check::check(interface, Direction::Egress, hop.key.src, self.trace)?;
        possible_destination(self.packet)?;

        let subnet = self.view.tables.subnet_of(interface);
        self.narrowest.1 = subnet.router_towards(hop.key.src);
        // The VPC's own services stand outside every security group (VPC user guide, "Security groups").
        if self.packet.eth_dst() == ROUTER_MAC {
            if link_local::is_service(hop.key.dst) {
                return self.to_service(hop);
            }
            if hop.key.dst == self.view.tables.vpc_of(interface).dns {
                return Err(DropReason::NoSuchService.into());
            }
        }
        self.sender_tracks = self.pass_groups(interface, self.port, Direction::Egress, &hop)?;
        if self.packet.eth_dst() != ROUTER_MAC {
            let neighbor = subnet.by_mac.get(&self.packet.eth_dst()).copied();
            let neighbor = neighbor.filter(|&neighbor| neighbor != index).ok_or(DropReason::UnknownMac)?;
            self.trace.note(|| Step::Direct { subnet: subnet.id });
            let hop = hop.edited(Rewrite { eth_src: Some(interface.mac), ..Rewrite::default() });
            return self.deliver(Some(interface.subnet), neighbor, hop);
        }
        self.route(index, hop.edited(Rewrite { eth_src: Some(ROUTER_MAC), ..Rewrite::default() }))
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
                (dst == dhcp6::SERVER_PORT && for_us).then(|| dhcp6::answer(interface, self.frame, packet))
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
                let owner = tables.vpc_of(interface).addresses.get(&hop.key.dst);
                let owner = *owner.ok_or(DropReason::NoSuchAddress)?;
                self.hand_over(sender, owner, hop)
            }
            Some(Target::Interface(target, _)) => self.hand_over(sender, *target, hop),
            Some(Target::Peering(peering, vpc)) => {
                let owner = tables.vpcs[*vpc].addresses.get(&hop.key.dst);
                self.trace.note(|| Step::Peering { peering: *peering });
                let owner = *owner.ok_or(DropReason::NoSuchAddress)?;
                // Whoever comes by peering cannot use the other VPC's gateways (VPC peering guide, "Limitations").
                if tables.interfaces[owner].nat_gateway.is_some() {
                    return Err(DropReason::NatFromAfar.into());
                }
                self.hand_over(sender, owner, hop)
            }
            Some(Target::NatGateway(gateway, _)) => {
                let eni = tables.nat_gateways[*gateway].interface;
                self.cross(Some(interface.subnet), tables.interfaces[eni].subnet, &hop)?;
                nat_gateway::outbound(self, *gateway, hop)
            }
            Some(Target::InternetGateway(gateway)) => {
                self.leave_subnet(interface.subnet, &hop)?;
                let hop = internet_gateway::outbound(interface, *gateway, hop, self.trace)?;
                self.to_internet(interface, hop)
            }
            Some(Target::EgressOnlyInternetGateway(gateway)) => {
                self.leave_subnet(interface.subnet, &hop)?;
                if !interface.addresses.contains_key(&hop.key.src) {
                    return Err(DropReason::NoPublicAddress.into());
                }
                self.trace.note(|| Step::EgressOnlyInternetGateway { gateway: *gateway });
                self.sender_tracks = Tracking::Idle(interface.idle);
                self.to_internet(interface, hop)
            }
        }
    }

    fn hand_over(&mut self, sender: usize, receiver: usize, hop: Hop) -> Road {
        if sender == receiver {
            return Err(DropReason::RouteLeadsBack.into());
        }
        self.deliver(Some(self.view.tables.interfaces[sender].subnet), receiver, hop)
    }

    /// Beyond the gateway: either another public address of ours, or somebody on the internet segment.
    fn to_internet(&mut self, sender: &Interface, hop: Hop) -> Road {
        let tables = self.view.tables;
        self.narrow(INTERNET_GATEWAY_MTU, sender);
        if let Some((owner, private)) = tables.behind_public(hop.key.dst) {
            return self.into_vpc(owner, private, hop);
        }
        let uplink = tables.uplink.as_ref().ok_or(DropReason::NoUplink)?;
        let mac = match (uplink.neighbors.get(&hop.key.dst).copied(), uplink.gateway) {
            (Some(mac), _) | (None, Some(Gateway::Mac(mac))) => mac,
            (None, Some(Gateway::Address(_))) => self.view.gateway.ok_or(DropReason::GatewayUnresolved)?,
            (None, None) => return Err(DropReason::NoInternetHost.into()),
        };
        self.trace.note(|| Step::ToInternet { destination: hop.key.dst });
        self.narrow(uplink.mtu, sender);
        let hop = hop.edited(Rewrite { eth_src: Some(uplink.mac), eth_dst: Some(mac), ..Rewrite::default() });
        self.leave(uplink.port, Tracking::Idle(IdleTimeouts::DEFAULT), hop)
    }

    fn from_internet(&mut self, uplink: &Uplink, hop: Hop) -> Road {
        if let Some(verdict) = nd::on_uplink(self.view.tables, uplink, self.frame, self.packet) {
            return Err(End(verdict));
        }
        if self.packet.eth_dst() != uplink.mac {
            // A segment carries broadcasts and multicasts to everybody.
            possible_destination(self.packet)?;
            return Err(DropReason::NotForUs.into());
        }
        self.trace.note(|| Step::FromInternet { source: hop.key.src });
        let tables = self.view.tables;
        let found = tables.behind_public(hop.key.dst);
        let (owner, private) = found.ok_or(DropReason::UnknownPublicAddress)?;
        // Nobody out there has an address of ours: rules that trust the VPC's addresses must not trust a stranger.
        let vpc = tables.vpc_of(&tables.interfaces[owner]);
        let ours = vpc.contains(hop.key.src) || tables.behind_public(hop.key.src).is_some();
        if ours || source_check::martian(hop.key.src) {
            return Err(DropReason::MartianSource.into());
        }
        let hop = hop.edited(Rewrite { eth_src: Some(ROUTER_MAC), ..Rewrite::default() });
        self.into_vpc(owner, private, hop)
    }

    /// In by the internet gateway, or as an answer by the egress-only one.
    fn into_vpc(&mut self, owner: usize, private: IpAddr, hop: Hop) -> Road {
        let tables = self.view.tables;
        let receiver = &tables.interfaces[owner];
        if hop.key.dst.is_ipv6() {
            self.admitted_by_gateway(receiver, &hop)?;
        }
        let hop = internet_gateway::inbound(tables, receiver, private, hop, self.trace);
        let Some(edge) = tables.vpc_of(receiver).edge else { return self.deliver(None, owner, hop) };
        let table = &tables.route_tables[edge];
        let found = table.lookup(hop.key.dst);
        self.trace.note(|| Step::EdgeRoute {
            table: table.id,
            matched: found.map(|(prefix, target)| (prefix, target.name())),
        });
        match found.map(|(_, target)| target) {
            Some(Target::Interface(middlebox, _)) => self.deliver(None, *middlebox, hop),
            Some(Target::Local) => self.deliver(None, owner, hop),
            Some(Target::Blackhole(_)) => Err(DropReason::Blackhole.into()),
            _ => Err(DropReason::NoRoute.into()),
        }
    }

    /// Which gateway an IPv6 address of the VPC speaks through is said by its subnet's route table. The egress-only one
    /// lets in nothing but answers.
    fn admitted_by_gateway(&mut self, receiver: &Interface, hop: &Hop) -> Result<(), DropReason> {
        let tables = self.view.tables;
        match tables.table_of(tables.subnet_of(receiver)).lookup(hop.key.src).map(|(_, target)| target) {
            Some(Target::EgressOnlyInternetGateway(gateway)) => {
                self.trace.note(|| Step::EgressOnlyInternetGateway { gateway: *gateway });
                // The gateway's connections are those that have left by the port that this came from.
                let known = match hop.quoted {
                    None => self.knows(self.port, hop.key),
                    Some(quoted) => self.knows(self.port, quoted.reversed()),
                };
                if known { Ok(()) } else { Err(DropReason::EgressOnly) }
            }
            // An answer may come in by whichever gateway there is; a question needs the internet gateway.
            _ if tables.vpc_of(receiver).internet_gateway.is_some() => Ok(()),
            _ => Err(DropReason::UnknownPublicAddress),
        }
    }

    /// Hands the packet to an interface of a VPC: network ACLs, destination check, security groups, port.
    fn deliver(&mut self, from: Option<usize>, owner: usize, hop: Hop) -> Road {
        let receiver = &self.view.tables.interfaces[owner];
        self.cross(from, receiver.subnet, &hop)?;
        if let Some(gateway) = receiver.nat_gateway {
            return nat_gateway::inbound(self, gateway, hop);
        }
        source_check::check(receiver, Direction::Ingress, hop.key.dst, self.trace)?;
        let port = receiver.port.ok_or(DropReason::NoPort)?;
        let tracking = self.pass_groups(receiver, port, Direction::Ingress, &hop)?;
        self.trace.note(|| Step::Deliver { interface: receiver.key.clone(), instance: receiver.instance });
        let hop = hop.edited(Rewrite { eth_dst: Some(receiver.mac), ..Rewrite::default() });
        self.leave(port, tracking, hop)
    }

    /// Network ACLs, where the packet crosses the border of a subnet. `from` is none for what comes in by a gateway.
    fn cross(&mut self, from: Option<usize>, to: usize, hop: &Hop) -> Result<(), DropReason> {
        if from == Some(to) {
            return Ok(());
        }
        if let Some(from) = from {
            self.leave_subnet(from, hop)?;
        }
        let subnet = &self.view.tables.subnets[to];
        self.view.tables.acl_of(subnet).check(subnet.id, Direction::Ingress, &hop.key, self.trace)
    }

    fn leave_subnet(&mut self, from: usize, hop: &Hop) -> Result<(), DropReason> {
        let subnet = &self.view.tables.subnets[from];
        self.view.tables.acl_of(subnet).check(subnet.id, Direction::Egress, &hop.key, self.trace)
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

    /// To a server at a link-local address, under a source address that stands for the asking port.
    fn to_service(&mut self, hop: Hop) -> Road {
        let services = self.view.tables.services.as_ref().ok_or(DropReason::NoSuchService)?;
        if !link_local::served(&hop.key) {
            return Err(DropReason::NoSuchService.into());
        }
        self.trace.note(|| Step::Service { address: hop.key.dst });
        let sent = (self.port, hop.key);
        let source = link_local::service_address(self.port).ok_or(DropReason::NoSuchService)?;
        let hop = hop.edited(Rewrite {
            eth_src: Some(ROUTER_MAC),
            eth_dst: Some(services.mac),
            src: Some(source.into()),
            ..Rewrite::default()
        });
        let View { flows, now, .. } = *self.view;
        let receiver = (services.port, hop.key.reversed());
        let taken = flows.find(&receiver, self.opening, now).map(|place| flows.other_end(place));
        if taken.is_some_and(|other| other != sent) {
            return Err(DropReason::FlowConflict.into());
        }
        self.leave(services.port, Tracking::Idle(IdleTimeouts::DEFAULT), hop)
    }

    /// A server's answer goes back to the port, and under the destination, that its question came from.
    fn from_services(&mut self, hop: Hop) -> Road {
        let View { tables, flows, now, .. } = *self.view;
        let place = flows.find(&(self.port, hop.key), self.opening, now).ok_or(DropReason::NoFlow)?;
        let (asker, question) = flows.other_end(place);
        let Some(Attached::Interface(_, interface)) = tables.attached(asker) else {
            return Err(DropReason::NoPort.into());
        };
        self.trace.note(|| Step::Deliver { interface: interface.key.clone(), instance: interface.instance });
        let hop = hop.edited(Rewrite {
            eth_src: Some(ROUTER_MAC),
            eth_dst: Some(interface.mac),
            dst: Some(question.src),
            ..Rewrite::default()
        });
        self.leave(asker, Tracking::Idle(interface.idle), hop)
    }

    fn leave(&mut self, port: PortId, receiver_tracks: Tracking, hop: Hop) -> Road {
        let (mtu, router) = self.narrowest;
        let mtu = hop.rewrite.path_mtu(self.packet, mtu);
        let forward = Forward { port, rewrite: hop.rewrite, quoted: hop.rewrite_quoted, mtu, router };
        // ICMP errors belong to the connection they quote and open none (RFC 5508 REQ-6).
        if hop.quoted.is_some() {
            return Ok((forward, None));
        }
        let flow = Claim {
            sender: (self.port, self.packet.flow_key()),
            receiver: (port, hop.key.reversed()),
            opening: self.opening,
            tracking: [self.sender_tracks, receiver_tracks],
        };
        self.view.flows.admits(&flow, self.view.now)?;
        Ok((forward, Some(flow)))
    }

    fn knows(&self, port: PortId, key: FlowKey) -> bool {
        self.view.flows.find(&(port, key), self.opening, self.view.now).is_some()
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

impl Hop {
    /// The packet after one more edit, which changes no ports.
    pub(crate) fn edited(mut self, edit: Rewrite) -> Hop {
        self.key.src = edit.src.unwrap_or(self.key.src);
        self.key.dst = edit.dst.unwrap_or(self.key.dst);
        self.rewrite = self.rewrite.then(edit);
        self
    }

    /// The packet after an edit, which changes no ports, of what it quotes, if it quotes anything.
    pub(crate) fn edited_quoted(mut self, edit: Rewrite) -> Hop {
        if let Some(quoted) = &mut self.quoted {
            quoted.src = edit.src.unwrap_or(quoted.src);
            quoted.dst = edit.dst.unwrap_or(quoted.dst);
            self.rewrite_quoted = self.rewrite_quoted.then(edit);
        }
        self
    }

    /// The packet after an edit that makes it `key`.
    pub(crate) fn translated(mut self, key: FlowKey, edit: Rewrite) -> Hop {
        self.key = key;
        self.rewrite = self.rewrite.then(edit);
        self
    }

    /// The packet after an edit that makes what it quotes `key`.
    pub(crate) fn translated_quote(mut self, key: FlowKey, edit: Rewrite) -> Hop {
        self.quoted = Some(key);
        self.rewrite_quoted = self.rewrite_quoted.then(edit);
        self
    }
}
