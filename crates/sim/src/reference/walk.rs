//! The way of one packet, in the order of the VPC user guide.

use std::net::{IpAddr, Ipv4Addr};

use engine::{Fabric, PortId, ROUTER_LINK_LOCAL, ROUTER_MAC, Time, Uplink};
use model::{
    ConnectionTracking, Destination, Direction, NatGateway, NatGatewayState, NetworkInterface, Region, Route,
    RouteState, RouteTable, RouteTarget, Subnet, VpcId, VpcPeeringConnectionId,
};
use wire::{FlowKey, Frame, Mac, Packet, icmp_error};

use super::filter::{acl_allows, groups_allow};
use super::nat::Crossing;
use super::{Family, Learned, Picture, Reference, Tracks, World, flags, never_a_sender, opens};

/// Why a packet does not leave.
pub(super) enum End {
    Dropped(Family),
    Answered(Box<Frame>),
    /// A NAT gateway has refused it from outside.
    Unsolicited,
    /// What was learned of the engine may not be.
    Wrong(String),
}

/// Where a packet leaves.
pub(super) struct Arrival {
    pub(super) port: PortId,
    pub(super) picture: Picture,
    pub(super) mtu: usize,
    /// How the receiver tracks its connection.
    pub(super) tracks: Tracks,
}

/// What is to be remembered of a packet that leaves.
#[derive(Default, Clone)]
pub(super) struct Notes {
    /// How the sender tracks its connection.
    pub(super) sender: Tracks,
    /// The NAT gateways that it passed; none for ICMP errors.
    pub(super) crossings: Vec<Crossing>,
}

pub(super) struct Walk<'a> {
    pub(super) region: &'a Region,
    fabric: &'a Fabric,
    pub(super) past: &'a Reference,
    now: Time,
    pub(super) from: PortId,
    pub(super) frame: &'a Frame,
    pub(super) packet: &'a Packet,
    pub(super) learned: &'a [Learned],
    /// How the packet looks at this point of its way.
    pub(super) look: Picture,
    /// The peering connection that the packet has come by, straight from whoever its source is.
    came_across: Option<VpcPeeringConnectionId>,
    /// The narrowest link so far, and who speaks for it.
    narrowest: (usize, IpAddr),
    turns: u8,
    pub(super) notes: Notes,
}

impl From<Family> for End {
    fn from(family: Family) -> End {
        End::Dropped(family)
    }
}

/// Of others than interfaces.
const DEFAULT_TIMES: ConnectionTracking =
    ConnectionTracking { tcp_established: 432_000, udp_stream: 180, udp: 30 };

impl<'a> Walk<'a> {
    pub(super) fn new(
        world: World<'a>,
        past: &'a Reference,
        now: Time,
        from: PortId,
        frame: &'a Frame,
        packet: &'a Packet,
        learned: &'a [Learned],
    ) -> Walk<'a> {
        let look = Picture {
            macs: (packet.eth_src(), packet.eth_dst()),
            key: packet.flow_key(),
            quoted: packet.quoted().map(|quoted| quoted.flow_key()),
            hops: 0,
        };
        let notes = Notes { sender: Some(DEFAULT_TIMES), crossings: Vec::new() };
        let narrowest = (9001, packet.dst());
        let World { region, fabric } = world;
        Walk {
            region,
            fabric,
            past,
            now,
            from,
            frame,
            packet,
            learned,
            look,
            came_across: None,
            narrowest,
            turns: 0,
            notes,
        }
    }

    pub(super) fn go(&mut self) -> Result<Arrival, End> {
        if let Some(uplink) = self.fabric.uplink.as_ref().filter(|uplink| uplink.port == self.from) {
            return self.in_from_internet(uplink);
        }
        let region = self.region;
        let mut interfaces = region.interfaces().values();
        let sender = interfaces.find(|interface| self.port_of(interface) == Some(self.from));
        self.leave_interface(sender.ok_or(Family::Source)?)
    }

    fn leave_interface(&mut self, sender: &'a NetworkInterface) -> Result<Arrival, End> {
        let (src, dst) = (self.look.key.src, self.look.key.dst);
        if self.packet.eth_src() != Mac(sender.mac.0) || never_a_sender(src) {
            return Err(Family::Source.into());
        }
        if sender.source_dest_check && !has(sender, src) {
            return Err(Family::Source.into());
        }
        let subnet = &self.region.subnets()[&sender.subnet];
        self.narrowest.1 = if src.is_ipv4() { subnet.router().into() } else { ROUTER_LINK_LOCAL.into() };
        let by_router = self.packet.eth_dst() == ROUTER_MAC;
        if by_router && dst == self.region.vpcs()[&sender.vpc].dns() {
            return Err(Family::Route.into());
        }
        self.notes.sender = self.pass_groups(sender, self.from, Direction::Egress)?;
        if by_router {
            return self.route(sender);
        }
        // A frame for a neighbour's address: no route table is asked.
        let mut all = self.region.interfaces().values();
        let neighbor = all.find(|other| {
            other.subnet == sender.subnet
                && Mac(other.mac.0) == self.packet.eth_dst()
                && other.id != sender.id
        });
        self.deliver(Some(subnet), neighbor.ok_or(Family::Route)?)
    }

    /// On by the route table of an interface's subnet.
    pub(super) fn route(&mut self, at: &'a NetworkInterface) -> Result<Arrival, End> {
        self.turns += 1;
        if self.turns > 8 {
            return Err(Family::Route.into());
        }
        self.look.macs.0 = ROUTER_MAC;
        let subnet = &self.region.subnets()[&at.subnet];
        let dst = self.look.key.dst;
        if is_router(subnet, dst) {
            return Err(Family::Route.into());
        }
        let target = self.best_route(self.region.route_table_of(subnet), dst)?;
        match target {
            RouteTarget::Local => self.local(at, at.vpc, dst),
            RouteTarget::Interface(id) | RouteTarget::Instance { interface: id, .. } => {
                let receiver = self.region.interfaces().get(&id).ok_or(Family::Route)?;
                self.hand_over(at, receiver)
            }
            RouteTarget::Peering(id) => {
                let vpc = self.region.vpc_peering_connections()[&id].other_end(at.vpc);
                let owner = self.owner(vpc, dst).ok_or(Family::Route)?;
                if self.gateway_at(owner).is_some() {
                    return Err(Family::Route.into());
                }
                self.came_across = Some(id).filter(|_| has(at, self.look.key.src));
                self.hand_over(at, owner)
            }
            RouteTarget::NatGateway(id) => {
                let gateway = &self.region.nat_gateways()[&id];
                self.cross(Some(subnet), &self.region.subnets()[&gateway.subnet])?;
                self.leave_by_gateway(gateway)
            }
            RouteTarget::InternetGateway(_) => {
                self.leave_subnet(subnet)?;
                let owner = self.owner(at.vpc, self.look.key.src).ok_or(Family::Internet)?;
                if let IpAddr::V4(private) = self.look.key.src {
                    let public = self.region.public_address_of(owner.id, private).ok_or(Family::Internet)?;
                    self.look.key.src = public.into();
                    if let Some(quoted) = &mut self.look.quoted
                        && quoted.dst == IpAddr::V4(private)
                    {
                        quoted.dst = public.into();
                    }
                }
                self.out_to_internet(at)
            }
            RouteTarget::EgressOnlyInternetGateway(_) => {
                self.leave_subnet(subnet)?;
                self.owner(at.vpc, self.look.key.src).ok_or(Family::Internet)?;
                self.notes.sender = Some(at.connection_tracking);
                self.out_to_internet(at)
            }
        }
    }

    fn local(&mut self, at: &'a NetworkInterface, vpc: VpcId, dst: IpAddr) -> Result<Arrival, End> {
        let owner = self.owner(vpc, dst).ok_or(Family::Route)?;
        self.hand_over(at, owner)
    }

    fn hand_over(&mut self, from: &'a NetworkInterface, to: &'a NetworkInterface) -> Result<Arrival, End> {
        if from.id == to.id {
            return Err(Family::Route.into());
        }
        self.deliver(Some(&self.region.subnets()[&from.subnet]), to)
    }

    /// Network ACLs, destination check, security groups, port.
    fn deliver(&mut self, from: Option<&Subnet>, to: &'a NetworkInterface) -> Result<Arrival, End> {
        self.cross(from, &self.region.subnets()[&to.subnet])?;
        if let Some(gateway) = self.gateway_at(to) {
            return self.enter_gateway(gateway);
        }
        if to.source_dest_check && !has(to, self.look.key.dst) {
            return Err(Family::Destination.into());
        }
        let port = self.port_of(to).ok_or(Family::Route)?;
        let tracks = self.pass_groups(to, port, Direction::Ingress)?;
        self.look.macs.1 = Mac(to.mac.0);
        self.leave(port, tracks)
    }

    /// Out to the internet, which may lead back to an address of ours.
    fn out_to_internet(&mut self, at: &NetworkInterface) -> Result<Arrival, End> {
        self.narrow(1500, at);
        let dst = self.look.key.dst;
        if let Some((owner, private)) = self.behind(dst) {
            return self.enter_vpc(owner, private);
        }
        let uplink = self.fabric.uplink.as_ref().ok_or(Family::Internet)?;
        let mac = *uplink.neighbors.get(&dst).ok_or(Family::Internet)?;
        self.narrow(uplink.mtu.into(), at);
        self.look.macs = (uplink.mac, mac);
        self.leave(uplink.port, Some(DEFAULT_TIMES))
    }

    fn in_from_internet(&mut self, uplink: &Uplink) -> Result<Arrival, End> {
        if self.packet.eth_dst() != uplink.mac {
            return Err(Family::Internet.into());
        }
        let (src, dst) = (self.look.key.src, self.look.key.dst);
        let (owner, private) = self.behind(dst).ok_or(Family::Internet)?;
        let vpc = &self.region.vpcs()[&owner.vpc];
        let inside = match src {
            IpAddr::V4(src) => vpc.cidrs().any(|cidr| cidr.contains(&src)),
            IpAddr::V6(src) => vpc.ipv6.iter().any(|block| block.cidr.contains(&src)),
        };
        if inside || self.behind(src).is_some() || never_a_sender(src) {
            return Err(Family::Source.into());
        }
        self.look.macs.0 = ROUTER_MAC;
        self.enter_vpc(owner, private)
    }

    fn enter_vpc(&mut self, owner: &'a NetworkInterface, private: IpAddr) -> Result<Arrival, End> {
        let key = self.look.key;
        if key.dst.is_ipv6() {
            let subnet = &self.region.subnets()[&owner.subnet];
            let back = self.best_route(self.region.route_table_of(subnet), key.src);
            if let Ok(RouteTarget::EgressOnlyInternetGateway(_)) = back {
                return self.answer_by_egress_only(owner);
            }
        }
        let gateway = self.region.internet_gateway_of(owner.vpc).ok_or(Family::Internet)?;
        if private != key.dst {
            self.look.key.dst = private;
            if let Some(quoted) = &mut self.look.quoted
                && quoted.src == key.dst
            {
                quoted.src = private;
            }
        }
        // A route table of the gateway's own may lead packets by a middlebox.
        let Some(table) = self.region.gateway_route_table(gateway) else { return self.deliver(None, owner) };
        match self.best_route(table, private)? {
            RouteTarget::Local => self.deliver(None, owner),
            RouteTarget::Interface(id) | RouteTarget::Instance { interface: id, .. } => {
                self.deliver(None, self.region.interfaces().get(&id).ok_or(Family::Route)?)
            }
            _ => Err(Family::Route.into()),
        }
    }

    /// An egress-only internet gateway lets in what answers a connection that has left by it.
    fn answer_by_egress_only(&mut self, owner: &'a NetworkInterface) -> Result<Arrival, End> {
        let back = self.look.quoted.map_or(self.look.key, FlowKey::reversed);
        let opening = opens(flags(self.packet));
        let known = |port, key| self.past.connections.tracked(port, key, opening, self.now);
        let by_owner = self.port_of(owner).is_some_and(|port| known(port, back.reversed()));
        if known(self.from, back) || by_owner {
            return self.deliver(None, owner);
        }
        Err(Family::Internet.into())
    }

    fn narrow(&mut self, mtu: usize, at: &NetworkInterface) {
        if mtu < self.narrowest.0 {
            self.narrowest.0 = mtu;
            if self.gateway_at(at).is_some() {
                self.narrowest.1 = self.speaker(at);
            }
        }
    }

    fn leave(&mut self, port: PortId, tracks: Tracks) -> Result<Arrival, End> {
        let (mtu, router) = self.narrowest;
        let same_family = self.packet.src().is_ipv6() == self.look.key.src.is_ipv6();
        if same_family && self.packet.total_len() > mtu && self.packet.dont_fragment() {
            let answer = icmp_error::too_big(self.frame, self.packet, router, mtu as u16);
            return Err(answer.map_or(End::Dropped(Family::Length), |answer| End::Answered(Box::new(answer))));
        }
        Ok(Arrival { port, picture: self.look, mtu, tracks })
    }

    fn cross(&self, from: Option<&Subnet>, to: &Subnet) -> Result<(), End> {
        if from.is_some_and(|from| from.id == to.id) {
            return Ok(());
        }
        if let Some(from) = from {
            self.leave_subnet(from)?;
        }
        let allows = acl_allows(self.region, to, Direction::Ingress, &self.look.key);
        if allows { Ok(()) } else { Err(Family::NetworkAcl.into()) }
    }

    fn leave_subnet(&self, from: &Subnet) -> Result<(), End> {
        let allows = acl_allows(self.region, from, Direction::Egress, &self.look.key);
        if allows { Ok(()) } else { Err(Family::NetworkAcl.into()) }
    }

    /// Security groups are asked about what belongs to no connection that the interface tracks. An error belongs to the
    /// connection that it quotes.
    fn pass_groups(
        &self,
        interface: &NetworkInterface,
        port: PortId,
        direction: Direction,
    ) -> Result<Tracks, End> {
        let Picture { key, quoted, .. } = self.look;
        let (own, peer) = match direction {
            Direction::Egress => {
                (quoted.map_or(key, FlowKey::reversed), (key.dst, self.peering_towards(interface, key.dst)))
            }
            Direction::Ingress => (quoted.unwrap_or(key.reversed()), (key.src, self.came_across)),
        };
        let times = Some(interface.connection_tracking);
        if self.past.connections.tracked(port, own, opens(flags(self.packet)), self.now) {
            return Ok(times);
        }
        let tracked = groups_allow(self.region, interface, direction, peer, &key);
        match tracked {
            None => Err(Family::SecurityGroup.into()),
            Some(tracked) => Ok(times.filter(|_| tracked)),
        }
    }

    /// The peering connection that the sender's next step leads by.
    fn peering_towards(&self, from: &NetworkInterface, dst: IpAddr) -> Option<VpcPeeringConnectionId> {
        if self.packet.eth_dst() != ROUTER_MAC {
            return None;
        }
        let table = self.region.route_table_of(&self.region.subnets()[&from.subnet]);
        match self.best_route(table, dst) {
            Ok(RouteTarget::Peering(id)) => Some(id),
            _ => None,
        }
    }

    /// The longest prefix; among routes to the same, one to a block beats one to a prefix list.
    fn best_route(&self, table: &'a RouteTable, dst: IpAddr) -> Result<RouteTarget, End> {
        let mut best: Option<(u8, bool, &Route)> = None;
        for route in table.routes() {
            let (cidrs, is_block): (Vec<_>, bool) = match route.destination {
                Destination::PrefixList(list) => {
                    let list = self.region.prefix_lists().get(&list);
                    (list.into_iter().flat_map(|list| &list.entries).map(|entry| entry.cidr).collect(), false)
                }
                block => (block.cidr().into_iter().collect(), true),
            };
            for cidr in cidrs.into_iter().filter(|cidr| cidr.contains(&dst)) {
                let rank = (cidr.prefix_len(), is_block);
                if best.is_none_or(|(len, block, _)| rank > (len, block)) {
                    best = Some((rank.0, rank.1, route));
                }
            }
        }
        let (.., route) = best.ok_or(Family::Route)?;
        let stands = match route.target {
            RouteTarget::NatGateway(id) => self.region.nat_gateways().get(&id).is_some_and(translates),
            _ => self.region.route_state(route) == RouteState::Active,
        };
        if stands { Ok(route.target) } else { Err(Family::Route.into()) }
    }

    /// Who in a VPC has an address.
    fn owner(&self, vpc: VpcId, address: IpAddr) -> Option<&'a NetworkInterface> {
        self.region.interfaces().values().find(|interface| interface.vpc == vpc && has(interface, address))
    }

    /// Who has a public address, and which private one is behind it. Those of IPv6 are public where the VPC has a gateway
    /// for them.
    fn behind(&self, public: IpAddr) -> Option<(&'a NetworkInterface, IpAddr)> {
        let region = self.region;
        region.interfaces().values().find_map(|interface| {
            let internet = region.internet_gateway_of(interface.vpc).is_some();
            match public {
                IpAddr::V4(public) => {
                    let is_behind =
                        |private: &Ipv4Addr| region.public_address_of(interface.id, *private) == Some(public);
                    let private = interface.addresses().find(is_behind).filter(|_| internet)?;
                    Some((interface, private.into()))
                }
                IpAddr::V6(_) => {
                    let egress_only = region.egress_only_internet_gateway_of(interface.vpc).is_some();
                    let reached = internet || egress_only;
                    (reached && has(interface, public)).then_some((interface, public))
                }
            }
        })
    }

    fn gateway_at(&self, interface: &NetworkInterface) -> Option<&'a NatGateway> {
        let mut gateways = self.region.nat_gateways().values();
        gateways.find(|gateway| gateway.interface == interface.id && translates(gateway))
    }

    pub(super) fn port_of(&self, interface: &NetworkInterface) -> Option<PortId> {
        let mut ports = self.fabric.interfaces.iter();
        ports.find(|(key, _)| key.interface == interface.id).map(|(_, port)| *port)
    }
}

fn translates(gateway: &NatGateway) -> bool {
    gateway.state == NatGatewayState::Available
}

pub(super) fn has(interface: &NetworkInterface, address: IpAddr) -> bool {
    let alone = match address {
        IpAddr::V4(address) => interface.addresses().any(|own| own == address),
        IpAddr::V6(address) => interface.ipv6_addresses.contains(&address),
    };
    alone || interface.prefixes.iter().any(|prefix| prefix.contains(&address))
}

fn is_router(subnet: &Subnet, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => subnet.router() == address,
        IpAddr::V6(address) => {
            let first = subnet.ipv6.as_ref().map(|block| u128::from(block.cidr.network()) + 1);
            address == ROUTER_LINK_LOCAL || first == Some(u128::from(address))
        }
    }
}
