//! The road of a packet through a VPC, top to bottom.
//!
//! `decide` is pure: it reads the tables and the connections and returns a verdict, with a claim for what has to be
//! stored if the verdict is to forward. The order is that of the AWS VPC user guide: source check, security group,
//! route table, gateway, security group. Each step sees the packet as it looks at that point of its road.

use std::net::{IpAddr, Ipv4Addr};

use wire::{FlowKey, FlowProto, Frame, Mac, Packet, Rewrite, TcpFlags, Transport};

use crate::fabric::{Gateway, PortId, Uplink};
use crate::filter::{security_group, source_check};
use crate::flow::{Claim, FlowTable};
use crate::route;
use crate::service::{dhcp4, link_local};
use crate::tables::{Attached, Interface, ROUTER_MAC, Tables, Target};
use crate::trace::{Direction, Step, Trace};
use crate::translate::internet_gateway;
use crate::verdict::{DropReason, Forward, Verdict};

/// MTU inside a VPC, in bytes (EC2 user guide, "Network maximum transmission unit").
pub const VPC_MTU: u16 = 9001;
/// MTU at an internet gateway, in bytes (same page).
const INTERNET_GATEWAY_MTU: u16 = 1500;

/// A verdict, and what it needs stored.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    pub(crate) claim: Option<Claim>,
}

/// The packet as it looks at one point of its road, and the edits that made it look so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hop {
    /// The packet.
    pub(crate) key: FlowKey,
    /// The packet that it quotes, if it is an ICMP error.
    pub(crate) quoted: Option<FlowKey>,
    /// Whether it is a TCP SYN, which opens a connection.
    pub(crate) opening: bool,
    /// Edits so far.
    pub(crate) rewrite: Rewrite,
    /// Edits of the quoted packet so far.
    pub(crate) rewrite_quoted: Rewrite,
}

/// What a decision may look at.
pub(crate) struct View<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) flows: &'a FlowTable,
    /// Where the uplink's gateway is, once it has been heard.
    pub(crate) gateway: Option<Mac>,
}

/// Decides what happens to one well-formed IPv4 packet that is no later fragment.
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
        opening: opens(packet),
        rewrite: Rewrite::default(),
        rewrite_quoted: Rewrite::default(),
    };
    let road = match view.tables.attached(port) {
        Some(Attached::Interface(index, interface)) => {
            if let Some(verdict) = for_the_vpc(view, interface, frame, packet) {
                return Decision { verdict, claim: None };
            }
            from_interface(view, (index, interface, port), packet, hop, trace)
        }
        Some(Attached::Uplink(uplink)) => from_internet(view, uplink, packet, hop, trace),
        Some(Attached::Services) => from_services(view, port, hop, trace),
        None => Err(DropReason::UnknownPort),
    };
    match road {
        Ok((forward, claim)) => Decision { verdict: Verdict::Forward(forward), claim },
        Err(reason) => Decision { verdict: Verdict::Drop(reason), claim: None },
    }
}

/// Whether a packet opens a TCP connection.
pub(crate) fn opens(packet: &Packet) -> bool {
    match packet.transport() {
        Transport::Tcp { flags, .. } => flags.contains(TcpFlags::SYN) && !flags.contains(TcpFlags::ACK),
        _ => false,
    }
}

type Road = Result<(Forward, Option<Claim>), DropReason>;
type Sender<'a> = (usize, &'a Interface, PortId);

/// What the VPC answers itself, before any check of the sender's address: DHCP clients have none yet.
fn for_the_vpc(view: &View<'_>, interface: &Interface, frame: &Frame, packet: &Packet) -> Option<Verdict> {
    if packet.eth_src() != interface.mac {
        return Some(Verdict::Drop(DropReason::SpoofedMac));
    }
    let FlowProto::Udp { src, dst } = packet.flow_key().proto else { return None };
    if src == dhcp4::SERVER_PORT && dst == dhcp4::CLIENT_PORT {
        return Some(Verdict::Drop(DropReason::RogueDhcpServer));
    }
    let subnet = view.tables.subnet_of(interface);
    let for_us = v4(packet.dst()).is_broadcast() || packet.dst() == subnet.router;
    (dst == dhcp4::SERVER_PORT && for_us).then(|| dhcp4::answer(view.tables, interface, frame, packet))
}

fn from_interface(
    view: &View<'_>,
    (index, interface, port): Sender<'_>,
    packet: &Packet,
    hop: Hop,
    trace: &mut impl Trace,
) -> Road {
    trace.note(|| Step::From { interface: interface.key.clone(), instance: interface.instance });
    if source_check::martian(hop.src()) {
        return Err(DropReason::MartianSource);
    }
    source_check::check(interface, Direction::Egress, hop.src(), trace)?;
    possible_destination(packet)?;

    let subnet = view.tables.subnet_of(interface);
    // The VPC's own services stand outside every security group (VPC user guide, "Security groups").
    if packet.eth_dst() == ROUTER_MAC {
        if hop.dst().is_link_local() {
            return to_service(view, port, hop, trace);
        }
        if hop.dst() == view.tables.vpc_of(interface).dns {
            return Err(DropReason::NoSuchService);
        }
    }
    pass_groups(view, interface, port, Direction::Egress, &hop, trace)?;
    if packet.eth_dst() != ROUTER_MAC {
        let neighbor = subnet.by_mac.get(&packet.eth_dst()).copied().filter(|&neighbor| neighbor != index);
        let neighbor = neighbor.ok_or(DropReason::UnknownMac)?;
        trace.note(|| Step::Direct { subnet: subnet.id });
        let hop = hop.edited(Rewrite { eth_src: Some(interface.mac), ..Rewrite::default() });
        return deliver(view, (port, packet.flow_key()), neighbor, hop, trace);
    }

    if hop.dst() == subnet.router {
        return Err(DropReason::ForTheRouter);
    }
    let found = route::lookup(subnet, hop.dst());
    trace.note(|| Step::Route {
        table: subnet.table,
        subnet: subnet.id,
        matched: found.map(|(prefix, target)| (prefix, target.name())),
    });
    let sent = (port, packet.flow_key());
    let hop = hop.edited(Rewrite { eth_src: Some(ROUTER_MAC), ..Rewrite::default() });
    match found.map(|(_, target)| target) {
        None => Err(DropReason::NoRoute),
        Some(Target::Blackhole(_)) => Err(DropReason::Blackhole),
        Some(Target::Local) => {
            let vpc = view.tables.vpc_of(interface);
            let owner = *vpc.addresses.get(&hop.dst()).ok_or(DropReason::NoSuchAddress)?;
            if owner == index {
                return Err(DropReason::RouteLeadsBack);
            }
            deliver(view, sent, owner, hop, trace)
        }
        Some(Target::Interface(target, _)) if *target == index => Err(DropReason::RouteLeadsBack),
        Some(Target::Interface(target, _)) => deliver(view, sent, *target, hop, trace),
        Some(Target::InternetGateway(gateway)) => {
            let hop = internet_gateway::outbound(interface, *gateway, hop, trace)?;
            to_internet(view, sent, hop, trace)
        }
    }
}

fn possible_destination(packet: &Packet) -> Result<(), DropReason> {
    if packet.dst().is_multicast() {
        return Err(DropReason::Multicast);
    }
    if v4(packet.dst()).is_broadcast() || packet.eth_dst() == Mac::BROADCAST {
        return Err(DropReason::Broadcast);
    }
    Ok(())
}

/// Beyond the internet gateway: either another public address of ours, or somebody on the internet segment.
fn to_internet(view: &View<'_>, sent: (PortId, FlowKey), hop: Hop, trace: &mut impl Trace) -> Road {
    if let Some((owner, private)) = view.tables.behind_public(hop.dst()) {
        let hop = internet_gateway::inbound(view.tables, owner, private, hop, trace);
        let (forward, claim) = deliver(view, sent, owner, hop, trace)?;
        return Ok((Forward { mtu: INTERNET_GATEWAY_MTU, ..forward }, claim));
    }
    let uplink = view.tables.uplink.as_ref().ok_or(DropReason::NoUplink)?;
    let mac = match (uplink.neighbors.get(&hop.dst()).copied(), uplink.gateway) {
        (Some(mac), _) | (None, Some(Gateway::Mac(mac))) => mac,
        (None, Some(Gateway::Address(_))) => view.gateway.ok_or(DropReason::GatewayUnresolved)?,
        (None, None) => return Err(DropReason::NoInternetHost),
    };
    trace.note(|| Step::ToInternet { destination: hop.dst() });
    let hop = hop.edited(Rewrite { eth_src: Some(uplink.mac), eth_dst: Some(mac), ..Rewrite::default() });
    leave(view, sent, uplink.port, uplink.mtu, hop)
}

fn from_internet(
    view: &View<'_>,
    uplink: &Uplink,
    packet: &Packet,
    hop: Hop,
    trace: &mut impl Trace,
) -> Road {
    if packet.eth_dst() != uplink.mac {
        return Err(DropReason::NotForUs);
    }
    trace.note(|| Step::FromInternet { source: hop.src() });
    let (owner, private) = view.tables.behind_public(hop.dst()).ok_or(DropReason::UnknownPublicAddress)?;
    // Nobody out there has an address of ours: rules that trust the VPC's addresses must not trust a stranger.
    let vpc = view.tables.vpc_of(&view.tables.interfaces[owner]);
    let ours = vpc.cidrs.iter().any(|cidr| cidr.contains(&hop.src()))
        || view.tables.behind_public(hop.src()).is_some();
    if ours || source_check::martian(hop.src()) {
        return Err(DropReason::MartianSource);
    }
    let sent = (uplink.port, packet.flow_key());
    let hop = internet_gateway::inbound(view.tables, owner, private, hop, trace)
        .edited(Rewrite { eth_src: Some(ROUTER_MAC), ..Rewrite::default() });
    deliver(view, sent, owner, hop, trace)
}

/// Hands the packet to an interface of the VPC: destination check, security groups, port.
fn deliver(view: &View<'_>, sent: (PortId, FlowKey), owner: usize, hop: Hop, trace: &mut impl Trace) -> Road {
    let receiver = &view.tables.interfaces[owner];
    source_check::check(receiver, Direction::Ingress, hop.dst(), trace)?;
    let port = receiver.port.ok_or(DropReason::NoPort)?;
    pass_groups(view, receiver, port, Direction::Ingress, &hop, trace)?;
    trace.note(|| Step::Deliver { interface: receiver.key.clone(), instance: receiver.instance });
    let hop = hop.edited(Rewrite { eth_dst: Some(receiver.mac), ..Rewrite::default() });
    leave(view, sent, port, VPC_MTU, hop)
}

/// Security groups, unless the packet belongs to (or quotes) a connection that the interface tracks.
fn pass_groups(
    view: &View<'_>,
    interface: &Interface,
    port: PortId,
    direction: Direction,
    hop: &Hop,
    trace: &mut impl Trace,
) -> Result<(), DropReason> {
    // The key under which the interface itself sends on this connection.
    let (own, peer) = match (direction, hop.quoted) {
        (Direction::Egress, None) => (hop.key, hop.dst()),
        (Direction::Ingress, None) => (hop.key.reversed(), hop.src()),
        // An error that the interface sends quotes what it received, one that it receives quotes what it sent.
        (Direction::Egress, Some(quoted)) => (quoted.reversed(), hop.dst()),
        (Direction::Ingress, Some(quoted)) => (quoted, hop.src()),
    };
    if view.flows.find(&(port, own), hop.opening).is_some() {
        trace.note(|| Step::Tracked { direction });
        return Ok(());
    }
    security_group::check(interface, direction, peer, &hop.key.proto, trace)
}

/// To a server at a link-local address, under a source address that stands for the asking port.
fn to_service(view: &View<'_>, port: PortId, hop: Hop, trace: &mut impl Trace) -> Road {
    let services = view.tables.services.as_ref().ok_or(DropReason::NoSuchService)?;
    if !link_local::served(&hop.key) {
        return Err(DropReason::NoSuchService);
    }
    trace.note(|| Step::Service { address: hop.dst() });
    let sent = (port, hop.key);
    let source = link_local::service_address(port).ok_or(DropReason::NoSuchService)?;
    let hop = hop.edited(Rewrite {
        eth_src: Some(ROUTER_MAC),
        eth_dst: Some(services.mac),
        src: Some(source.into()),
        ..Rewrite::default()
    });
    let receiver = (services.port, hop.key.reversed());
    let taken = view.flows.find(&receiver, hop.opening).map(|place| view.flows.other_end(place));
    if taken.is_some_and(|other| other != sent) {
        return Err(DropReason::FlowConflict);
    }
    leave(view, sent, services.port, VPC_MTU, hop)
}

/// A server's answer goes back to the port, and under the destination, that its question came from.
fn from_services(view: &View<'_>, port: PortId, hop: Hop, trace: &mut impl Trace) -> Road {
    let sent = (port, hop.key);
    let place = view.flows.find(&sent, hop.opening).ok_or(DropReason::NoFlow)?;
    let (asker, question) = view.flows.other_end(place);
    let Some(Attached::Interface(_, interface)) = view.tables.attached(asker) else {
        return Err(DropReason::NoPort);
    };
    trace.note(|| Step::Deliver { interface: interface.key.clone(), instance: interface.instance });
    let hop = hop.edited(Rewrite {
        eth_src: Some(ROUTER_MAC),
        eth_dst: Some(interface.mac),
        dst: Some(question.src),
        ..Rewrite::default()
    });
    leave(view, sent, asker, VPC_MTU, hop)
}

fn leave(view: &View<'_>, sent: (PortId, FlowKey), port: PortId, mtu: u16, hop: Hop) -> Road {
    let forward = Forward { port, rewrite: hop.rewrite, quoted: hop.rewrite_quoted, mtu };
    // ICMP errors belong to the connection they quote and open none (RFC 5508 REQ-6).
    if hop.quoted.is_some() {
        return Ok((forward, None));
    }
    let claim = Claim { sender: sent, receiver: (port, hop.key.reversed()), opening: hop.opening };
    view.flows.admits(&claim)?;
    Ok((forward, Some(claim)))
}

impl Hop {
    /// Where the packet comes from.
    pub(crate) fn src(&self) -> Ipv4Addr {
        v4(self.key.src)
    }

    /// Where the packet goes.
    pub(crate) fn dst(&self) -> Ipv4Addr {
        v4(self.key.dst)
    }

    /// The packet after one more edit.
    pub(crate) fn edited(mut self, edit: Rewrite) -> Hop {
        self.key.src = edit.src.unwrap_or(self.key.src);
        self.key.dst = edit.dst.unwrap_or(self.key.dst);
        self.rewrite = self.rewrite.then(edit);
        self
    }

    /// The packet after an edit of what it quotes, if it quotes anything.
    pub(crate) fn edited_quoted(mut self, edit: Rewrite) -> Hop {
        if let Some(quoted) = &mut self.quoted {
            quoted.src = edit.src.unwrap_or(quoted.src);
            quoted.dst = edit.dst.unwrap_or(quoted.dst);
            self.rewrite_quoted = self.rewrite_quoted.then(edit);
        }
        self
    }
}

/// An address of a packet on the way. IPv6 frames are dropped before they come here; the address that would
/// stand for one of theirs never sends and has no owner.
pub(crate) fn v4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}
