//! The sessions of NAT gateways, in lists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use engine::Time;
use model::{NatGateway, NatGatewayAddressStatus, NatGatewayId, NatGatewayState, NatProfile, Region};
use wire::{FlowKey, FlowProto, TcpFlags};

use super::opens;

#[derive(Debug, Clone, Default)]
pub(super) struct Nat {
    sessions: Vec<Session>,
    mappings: Vec<Mapping>,
    /// Ports that rest, and until when.
    resting: Vec<(NatGatewayId, Protocol, SocketAddrV4, Time)>,
    /// The address that a host inside is known by, as long as it has sessions.
    pairs: Vec<(NatGatewayId, IpAddr, Ipv4Addr)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
    Icmp,
}

/// What a session is between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    gateway: NatGatewayId,
    protocol: Protocol,
    inside: SocketAddr,
    external: SocketAddrV4,
    remote: SocketAddrV4,
}

#[derive(Debug, Clone)]
struct Session {
    ends: Ends,
    profile: NatProfile,
    /// Whether the inside has sent on it, other than a RST.
    contacted: bool,
    tcp: Tcp,
    deadline: Time,
}

/// An endpoint-independent mapping, which goes with its last session.
#[derive(Debug, Clone)]
struct Mapping {
    gateway: NatGatewayId,
    protocol: Protocol,
    inside: SocketAddr,
    external: SocketAddrV4,
    /// The latest deadline that any of its sessions had.
    until: Time,
    /// When its last session ended.
    ended: Time,
    rests: bool,
}

/// What the two sides of a TCP connection have sent: the inside's, the outside's.
#[derive(Debug, Clone, Copy, Default)]
struct Tcp {
    syn: [bool; 2],
    fin: [bool; 2],
    reset: bool,
}

/// A packet passed a gateway.
#[derive(Debug, Clone)]
pub(super) struct Crossing {
    pub(super) ends: Ends,
    pub(super) profile: NatProfile,
    /// From inside.
    pub(super) outbound: bool,
}

/// What a packet looks like on the other side.
#[derive(Debug, Clone)]
pub(super) struct Passed {
    pub(super) key: FlowKey,
    pub(super) crossing: Crossing,
}

/// Why it does not pass.
#[derive(Debug, Clone)]
pub(super) enum Refused {
    /// Neither side is told.
    Silence,
    /// The inside gets a RST.
    Reset,
    /// From outside, and nobody has asked for it.
    Unsolicited,
    /// What the engine has chosen may not be chosen.
    Wrong(String),
}

/// 64:ff9b::/96.
const PREFIX: [u8; 12] = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];

pub(super) fn embed(address: Ipv4Addr) -> Ipv6Addr {
    let mut bytes = [0; 16];
    bytes[..12].copy_from_slice(&PREFIX);
    bytes[12..].copy_from_slice(&address.octets());
    bytes.into()
}

pub(super) fn extract(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(address) => {
            let bytes = address.octets();
            (bytes[..12] == PREFIX).then(|| Ipv4Addr::new(bytes[12], bytes[13], bytes[14], bytes[15]))
        }
    }
}

impl Nat {
    /// Ends what is over.
    pub(super) fn forget(&mut self, now: Time) {
        for session in self.sessions.iter().filter(|session| session.deadline <= now) {
            if let Some(mapping) = self.mappings.iter_mut().find(|mapping| mapping.is_of(&session.ends)) {
                mapping.ended = mapping.ended.max(session.deadline);
            }
        }
        self.sessions.retain(|session| session.deadline > now);
        self.settle();
        self.resting.retain(|(.., until)| *until > now);
    }

    /// Mappings and pairs go with their last session.
    fn settle(&mut self) {
        let sessions = &self.sessions;
        let lives = |mapping: &Mapping| sessions.iter().any(|session| mapping.is_of(&session.ends));
        for mapping in self.mappings.iter().filter(|mapping| mapping.rests && !lives(mapping)) {
            let until = mapping.ended.after(120);
            self.resting.push((mapping.gateway, mapping.protocol, mapping.external, until));
        }
        self.mappings.retain(lives);
        self.pairs.retain(|(gateway, host, _)| {
            let of =
                |session: &Session| (session.ends.gateway, session.ends.inside.ip()) == (*gateway, *host);
            sessions.iter().any(of)
        });
    }

    pub(super) fn reload(&mut self, region: &Region) {
        let has = |id: &NatGatewayId, address: Ipv4Addr| {
            region.nat_gateways().get(id).is_some_and(|gateway| {
                gateway.state == NatGatewayState::Available
                    && gateway.addresses.iter().any(|own| own.private_ip == address)
            })
        };
        self.sessions.retain(|session| has(&session.ends.gateway, *session.ends.external.ip()));
        self.settle();
        self.resting.retain(|(gateway, _, external, _)| has(gateway, *external.ip()));
    }

    /// A packet from inside; `learned` is what the engine has made of it.
    pub(super) fn outbound(
        &self,
        gateway: &NatGateway,
        key: &FlowKey,
        opening: bool,
        learned: Option<&FlowKey>,
    ) -> Result<Passed, Refused> {
        let (protocol, from, to) = match key.proto {
            FlowProto::Tcp { src, dst } => (Protocol::Tcp, src, dst),
            FlowProto::Udp { src, dst } => (Protocol::Udp, src, dst),
            FlowProto::Echo { id, request: true } => (Protocol::Icmp, id, 0),
            _ => return Err(Refused::Silence),
        };
        let remote = SocketAddrV4::new(extract(key.dst).ok_or(Refused::Silence)?, to);
        let inside = SocketAddr::new(key.src, from);
        let known = self.sessions.iter().find(|session| {
            let ends = &session.ends;
            (ends.gateway, ends.protocol, ends.inside, ends.remote) == (gateway.id, protocol, inside, remote)
        });
        let ends = match known {
            Some(session) => session.ends,
            None if protocol == Protocol::Tcp && !opening => {
                let is_aws = gateway.profile == NatProfile::Aws;
                return Err(if is_aws { Refused::Reset } else { Refused::Silence });
            }
            None => {
                let learned = learned.ok_or_else(|| Refused::Wrong("refused without need".to_owned()))?;
                let external = near(learned).ok_or_else(|| Refused::Wrong(format!("{learned}")))?;
                let ends = Ends { gateway: gateway.id, protocol, inside, external, remote };
                self.may_choose(gateway, &ends).map_err(Refused::Wrong)?;
                ends
            }
        };
        let crossing = Crossing { ends, profile: gateway.profile, outbound: true };
        Ok(Passed { key: ends.outside(true), crossing })
    }

    /// A packet from outside, to one of the gateway's addresses.
    pub(super) fn inbound(
        &self,
        gateway: &NatGateway,
        key: &FlowKey,
        opening: bool,
    ) -> Result<Passed, Refused> {
        let (protocol, from, to) = match key.proto {
            FlowProto::Tcp { src, dst } => (Protocol::Tcp, src, dst),
            FlowProto::Udp { src, dst } => (Protocol::Udp, src, dst),
            FlowProto::Echo { id, request: false } => (Protocol::Icmp, 0, id),
            FlowProto::Echo { request: true, .. } => return Err(Refused::Unsolicited),
            _ => return Err(Refused::Silence),
        };
        let (IpAddr::V4(src), IpAddr::V4(dst)) = (key.src, key.dst) else { return Err(Refused::Silence) };
        let (external, remote) = (SocketAddrV4::new(dst, to), SocketAddrV4::new(src, from));
        let of_external =
            |ends: &Ends| (ends.gateway, ends.protocol, ends.external) == (gateway.id, protocol, external);
        let known =
            self.sessions.iter().find(|session| of_external(&session.ends) && session.ends.remote == remote);
        let ends = match known {
            Some(session) => session.ends,
            None => {
                // The filter of profile rfc is address-dependent: whom the inside has sent to.
                let may_begin = match protocol {
                    Protocol::Tcp => opening,
                    Protocol::Udp => true,
                    Protocol::Icmp => false,
                };
                let contacted = |session: &&Session| {
                    of_external(&session.ends) && session.contacted && session.ends.remote.ip() == remote.ip()
                };
                let filter = may_begin && gateway.profile == NatProfile::Rfc;
                let one = self.sessions.iter().find(contacted).filter(|_| filter);
                Ends { remote, ..one.ok_or(Refused::Unsolicited)?.ends }
            }
        };
        let crossing = Crossing { ends, profile: gateway.profile, outbound: false };
        Ok(Passed { key: ends.inside(false), crossing })
    }

    /// What an ICMP error quotes, on the other side, and the near end's address there. `sent` says that the gateway has
    /// sent the quoted packet out: the error comes from outside.
    pub(super) fn quoted(
        &self,
        gateway: NatGatewayId,
        quoted: &FlowKey,
        sent: bool,
    ) -> Option<(FlowKey, IpAddr)> {
        let seen = |ends: &Ends| if sent { ends.outside(true) } else { ends.inside(false) };
        let mut ends = self.sessions.iter().map(|session| session.ends);
        let ends = ends.find(|ends| ends.gateway == gateway && seen(ends) == *quoted)?;
        Some(match sent {
            true => (ends.inside(true), ends.inside.ip()),
            false => (ends.outside(false), (*ends.external.ip()).into()),
        })
    }

    /// Whether a new session may have this external endpoint.
    fn may_choose(&self, gateway: &NatGateway, ends: &Ends) -> Result<(), String> {
        let shown = format!("{ends:?}");
        let accepting = |address: Ipv4Addr| {
            gateway
                .addresses
                .iter()
                .any(|own| own.private_ip == address && own.status == NatGatewayAddressStatus::Succeeded)
        };
        if !accepting(*ends.external.ip()) {
            return Err(format!("not an address for new connections: {shown}"));
        }
        let shares = gateway.profile == NatProfile::Aws && ends.protocol == Protocol::Tcp;
        let mapping = self.mappings.iter().find(|mapping| {
            (mapping.gateway, mapping.protocol, mapping.inside) == (ends.gateway, ends.protocol, ends.inside)
        });
        if let Some(mapping) = mapping.filter(|_| !shares) {
            let same = mapping.external == ends.external;
            return if same { Ok(()) } else { Err(format!("the mapping is {mapping:?}: {shown}")) };
        }
        let paired = self.pairs.iter().find(|(of, host, _)| (*of, *host) == (gateway.id, ends.inside.ip()));
        if paired.is_some_and(|(.., address)| accepting(*address) && address != ends.external.ip()) {
            return Err(format!("the host is paired with {paired:?}: {shown}"));
        }
        let low = gateway.profile == NatProfile::Rfc
            && ends.protocol != Protocol::Icmp
            && ends.inside.port() < 1024;
        if low != (ends.external.port() < 1024) || ends.external.port() == 0 {
            return Err(format!("not a port of its range: {shown}"));
        }
        let same = |gateway, protocol, external| {
            (gateway, protocol, external) == (ends.gateway, ends.protocol, ends.external)
        };
        let taken = match shares {
            true => self.sessions.iter().map(|session| &session.ends).any(|other| {
                same(other.gateway, other.protocol, other.external) && other.remote == ends.remote
            }),
            false => self.mappings.iter().any(|own| same(own.gateway, own.protocol, own.external)),
        };
        if taken {
            return Err(format!("the port is taken: {shown}"));
        }
        let mut resting = self.resting.iter();
        if resting.any(|(gateway, protocol, external, _)| same(*gateway, *protocol, *external)) {
            return Err(format!("the port rests: {shown}"));
        }
        Ok(())
    }

    /// A packet passed: its session begins, or goes on.
    pub(super) fn pass(&mut self, crossing: &Crossing, flags: &Option<TcpFlags>, now: Time) {
        let Crossing { ends, profile, outbound } = *crossing;
        let known = self.sessions.iter().position(|session| session.ends == ends);
        let at = known.unwrap_or_else(|| {
            self.begin(crossing, now);
            self.sessions.len() - 1
        });
        let session = &mut self.sessions[at];
        let refresh = match ends.protocol {
            Protocol::Tcp => session.tcp.segment(usize::from(!outbound), flags.unwrap_or_default()),
            _ => outbound || profile == NatProfile::Aws,
        };
        if refresh {
            session.deadline = now.after(session.idle());
        }
        session.contacted |= outbound && !flags.is_some_and(|flags| flags.contains(TcpFlags::RST));
        let deadline = session.deadline;
        if let Some(mapping) = self.mappings.iter_mut().find(|mapping| mapping.is_of(&ends)) {
            mapping.until = mapping.until.max(deadline);
        }
    }

    fn begin(&mut self, crossing: &Crossing, now: Time) {
        let Crossing { ends, profile, outbound } = *crossing;
        let mut tcp = Tcp::default();
        tcp.syn[usize::from(!outbound)] = true;
        let mut session = Session { ends, profile, contacted: outbound, tcp, deadline: now };
        session.deadline = now.after(session.idle());
        let is_aws = profile == NatProfile::Aws;
        let mapping = self.mappings.iter().position(|mapping| mapping.is_of(&ends));
        match mapping {
            // What strangers begin keeps a mapping no longer than its owner does.
            Some(at) if !outbound && !is_aws => {
                session.deadline = session.deadline.min(self.mappings[at].until);
            }
            None if !(is_aws && ends.protocol == Protocol::Tcp) => {
                let Ends { gateway, protocol, inside, external, .. } = ends;
                let rests = !is_aws && protocol != Protocol::Tcp;
                let (until, ended) = (session.deadline, now);
                self.mappings.push(Mapping { gateway, protocol, inside, external, until, ended, rests });
            }
            _ => {}
        }
        // A host that was given another address than its own has lost that one.
        let (host, address) = ((ends.gateway, ends.inside.ip()), *ends.external.ip());
        match self.pairs.iter_mut().find(|(gateway, of, _)| (*gateway, *of) == host) {
            Some((.., paired)) if mapping.is_none() => *paired = address,
            Some(_) => {}
            None => self.pairs.push((host.0, host.1, address)),
        }
        self.sessions.push(session);
    }

    pub(super) fn active_connections(&self, gateway: NatGatewayId) -> u64 {
        let active = |session: &&Session| {
            session.ends.gateway == gateway
                && session.ends.protocol == Protocol::Tcp
                && !session.tcp.is_over()
        };
        self.sessions.iter().filter(active).count() as u64
    }

    pub(super) fn ports_are_apart(&self) -> Result<(), String> {
        for (n, one) in self.mappings.iter().enumerate() {
            let same = |other: &&Mapping| {
                (one.gateway, one.protocol, one.external) == (other.gateway, other.protocol, other.external)
            };
            if let Some(other) = self.mappings[..n].iter().find(same) {
                return Err(format!("{one:?} and {other:?}"));
            }
        }
        Ok(())
    }
}

/// The near end of a packet that a gateway has sent out.
fn near(key: &FlowKey) -> Option<SocketAddrV4> {
    let port = match key.proto {
        FlowProto::Tcp { src, .. } | FlowProto::Udp { src, .. } => src,
        FlowProto::Echo { id, request: true } => id,
        _ => return None,
    };
    match key.src {
        IpAddr::V4(address) => Some(SocketAddrV4::new(address, port)),
        IpAddr::V6(_) => None,
    }
}

impl Mapping {
    fn is_of(&self, ends: &Ends) -> bool {
        (self.gateway, self.protocol, self.inside, self.external)
            == (ends.gateway, ends.protocol, ends.inside, ends.external)
    }
}

impl Ends {
    /// The key of a packet of the session as it looks inside.
    fn inside(&self, outbound: bool) -> FlowKey {
        let remote = match self.inside {
            SocketAddr::V4(_) => IpAddr::V4(*self.remote.ip()),
            SocketAddr::V6(_) => IpAddr::V6(embed(*self.remote.ip())),
        };
        self.key(outbound, self.inside, remote)
    }

    /// The same outside.
    fn outside(&self, outbound: bool) -> FlowKey {
        self.key(outbound, self.external.into(), (*self.remote.ip()).into())
    }

    fn key(&self, outbound: bool, near: SocketAddr, far: IpAddr) -> FlowKey {
        let (there, back) = (near.port(), self.remote.port());
        let proto = match self.protocol {
            Protocol::Tcp => FlowProto::Tcp { src: there, dst: back },
            Protocol::Udp => FlowProto::Udp { src: there, dst: back },
            Protocol::Icmp => FlowProto::Echo { id: there, request: true },
        };
        let key = FlowKey { src: near.ip(), dst: far, proto };
        if outbound { key } else { key.reversed() }
    }
}

impl Session {
    /// Seconds without packets that it lives for.
    fn idle(&self) -> u64 {
        match (self.profile, self.ends.protocol) {
            (NatProfile::Aws, _) => 350,
            (NatProfile::Rfc, Protocol::Udp) => 300,
            (NatProfile::Rfc, Protocol::Icmp) => 60,
            (NatProfile::Rfc, Protocol::Tcp) if self.tcp.is_established() => 7440,
            (NatProfile::Rfc, Protocol::Tcp) => 240,
        }
    }
}

impl Tcp {
    fn is_over(&self) -> bool {
        self.reset || self.fin == [true; 2]
    }

    fn is_established(&self) -> bool {
        self.syn == [true; 2] && !self.is_over()
    }

    /// One more segment, of the inside (0) or the outside (1). Says whether the session's time begins anew.
    fn segment(&mut self, by: usize, flags: TcpFlags) -> bool {
        let has = |flag| flags.contains(flag);
        if has(TcpFlags::RST) {
            // The first begins the last minutes.
            let first = !self.is_over();
            self.reset |= first;
            return first;
        }
        if self.is_over() && opens(Some(flags)) {
            *self = Tcp::default();
            self.syn[by] = true;
            return by == 0;
        }
        if self.reset {
            if by == 0 {
                // It was forged: the inside goes on.
                *self = Tcp { syn: [true; 2], ..Tcp::default() };
            }
            return by == 0;
        }
        if self.is_over() {
            return false;
        }
        if self.syn != [true; 2] {
            let first = !self.syn[by] && has(TcpFlags::SYN);
            self.syn[by] |= first;
            return first || by == 0;
        }
        self.fin[by] |= has(TcpFlags::FIN);
        true
    }
}
