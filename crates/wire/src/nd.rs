//! Neighbour discovery and router advertisements (RFC 4861, RFC 4862).

use std::net::{IpAddr, Ipv6Addr};

use crate::{Frame, Mac, Malformed, Packet, Transport, build};

/// All nodes of the link, `ff02::1`.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// No router has sent this packet on (RFC 4861 section 11.2).
const HOP_LIMIT: u8 = 255;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;

/// Options (RFC 4861 section 4.6).
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;
const PREFIX_INFORMATION: u8 = 3;
const MTU: u8 = 5;

/// A message, as far as forwarding looks at it. Whom it is from and for, the packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Which routers are there?
    RouterSolicitation {
        /// The asker's Ethernet address, if it says it.
        mac: Option<Mac>,
    },
    /// A router is here.
    RouterAdvertisement(RouterAdvertisement),
    /// Who has the target address?
    NeighborSolicitation {
        /// The address that is looked for.
        target: Ipv6Addr,
        /// The asker's Ethernet address; none if it asks whether its own address is taken (RFC 4862 section
        /// 5.4.2).
        mac: Option<Mac>,
    },
    /// The sender has the target address.
    NeighborAdvertisement(NeighborAdvertisement),
}

/// Where a target address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighborAdvertisement {
    /// The address.
    pub target: Ipv6Addr,
    /// The target's Ethernet address.
    pub mac: Option<Mac>,
    /// R: the target is a router.
    pub router: bool,
    /// S: this answers a solicitation.
    pub solicited: bool,
    /// O: what neighbours remember is to be replaced.
    pub overrides: bool,
}

/// What a router tells the hosts of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterAdvertisement {
    /// The router's Ethernet address, if it says it.
    pub mac: Option<Mac>,
    /// Hop limit for hosts to send with; zero says nothing.
    pub hop_limit: u8,
    /// M: addresses come by DHCPv6.
    pub managed: bool,
    /// O: other configuration comes by DHCPv6.
    pub other: bool,
    /// For how long the router is a default router, in seconds; zero: it is none.
    pub lifetime: u16,
    /// The link's MTU in bytes, if the router says it.
    pub mtu: Option<u32>,
    /// The link's prefixes.
    pub prefixes: Vec<Prefix>,
}

/// A prefix information option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The prefix.
    pub prefix: Ipv6Addr,
    /// Its length in bits.
    pub len: u8,
    /// L: its addresses are on the link.
    pub on_link: bool,
    /// A: hosts may make themselves addresses of it (RFC 4862).
    pub autonomous: bool,
    /// For how long it is on the link, in seconds; all ones: for ever.
    pub valid: u32,
    /// For how long addresses made of it are preferred, in seconds.
    pub preferred: u32,
}

/// Parses a packet as a neighbour discovery message. None if it is something else; redirects are.
///
/// # Errors
///
/// [`Malformed::BadIcmpChecksum`] or [`Malformed::BadNeighborDiscovery`] for what RFC 4861 (sections 6.1 and 7.1)
/// says to discard.
pub fn parse(frame: &Frame, packet: &Packet) -> Result<Option<Message>, Malformed> {
    let (Transport::Icmp { kind, code }, IpAddr::V6(src), IpAddr::V6(dst)) =
        (packet.transport(), packet.src(), packet.dst())
    else {
        return Ok(None);
    };
    if !(ROUTER_SOLICITATION..=NEIGHBOR_ADVERTISEMENT).contains(&kind) {
        return Ok(None);
    }
    packet.verify_icmp(frame)?;
    let message = frame.bytes.get(packet.transport_offset()..packet.end()).unwrap_or_default();
    let parsed = match (packet.ttl(), code, packet.fragment()) {
        (HOP_LIMIT, 0, None) => parse_message(kind, message, src, dst),
        _ => None,
    };
    parsed.map(Some).ok_or(Malformed::BadNeighborDiscovery)
}

/// The answer to a neighbour solicitation: the address that it looks for is at `mac`. `packet` is the solicitation's.
/// None if it is not one of IPv6.
pub fn answer(packet: &Packet, target: Ipv6Addr, mac: Mac, router: bool) -> Option<Frame> {
    let IpAddr::V6(asker) = packet.src() else { return None };
    // Who has no address yet hears it with all others (RFC 4861 section 7.2.4).
    let (to, to_mac, solicited) = match asker.is_unspecified() {
        true => (ALL_NODES, multicast_mac(ALL_NODES), false),
        false => (asker, packet.eth_src(), true),
    };
    let advertisement = NeighborAdvertisement { target, mac: Some(mac), router, solicited, overrides: true };
    Some(advertise_neighbor(&advertisement, target, to).with_macs(mac, to_mac))
}

/// A neighbour advertisement. Ethernet addresses are zero until [`Frame::with_macs`].
pub fn advertise_neighbor(advertisement: &NeighborAdvertisement, from: Ipv6Addr, to: Ipv6Addr) -> Frame {
    let NeighborAdvertisement { target, mac, router, solicited, overrides } = *advertisement;
    let flags = u8::from(router) << 7 | u8::from(solicited) << 6 | u8::from(overrides) << 5;
    let mut data = target.octets().to_vec();
    push_link_layer(&mut data, TARGET_LINK_LAYER, mac);
    emit(from, to, NEIGHBOR_ADVERTISEMENT, [flags, 0, 0, 0], &data)
}

/// A router advertisement, from a link-local address. It leaves the times of neighbour unreachability detection
/// to the hosts. Ethernet addresses are zero until [`Frame::with_macs`].
pub fn advertise_router(advertisement: &RouterAdvertisement, from: Ipv6Addr, to: Ipv6Addr) -> Frame {
    let RouterAdvertisement { mac, hop_limit, managed, other, lifetime, mtu, prefixes } = advertisement;
    let flags = u8::from(*managed) << 7 | u8::from(*other) << 6;
    let [high, low] = lifetime.to_be_bytes();
    // Reachable time and retransmission timer: unspecified.
    let mut data = vec![0; 8];
    push_link_layer(&mut data, SOURCE_LINK_LAYER, *mac);
    if let Some(mtu) = mtu {
        data.extend([MTU, 1, 0, 0]);
        data.extend(mtu.to_be_bytes());
    }
    for prefix in prefixes {
        let flags = u8::from(prefix.on_link) << 7 | u8::from(prefix.autonomous) << 6;
        data.extend([PREFIX_INFORMATION, 4, prefix.len, flags]);
        data.extend(prefix.valid.to_be_bytes());
        data.extend(prefix.preferred.to_be_bytes());
        data.extend([0; 4]);
        data.extend(prefix.prefix.octets());
    }
    emit(from, to, ROUTER_ADVERTISEMENT, [*hop_limit, flags, high, low], &data)
}

/// A neighbour solicitation, to all who may have the target; without `mac` from one who asks whether its own
/// address is taken.
pub fn solicit_neighbor(target: Ipv6Addr, from: Ipv6Addr, mac: Mac) -> Frame {
    let mut data = target.octets().to_vec();
    push_link_layer(&mut data, SOURCE_LINK_LAYER, (!from.is_unspecified()).then_some(mac));
    let to = solicited_node(target);
    emit(from, to, NEIGHBOR_SOLICITATION, [0; 4], &data).with_macs(mac, multicast_mac(to))
}

/// A router solicitation, to all routers.
pub fn solicit_router(from: Ipv6Addr, mac: Mac) -> Frame {
    const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    let mut data = Vec::new();
    push_link_layer(&mut data, SOURCE_LINK_LAYER, (!from.is_unspecified()).then_some(mac));
    emit(from, ALL_ROUTERS, ROUTER_SOLICITATION, [0; 4], &data).with_macs(mac, multicast_mac(ALL_ROUTERS))
}

/// The group that everybody with this address is in (RFC 4291 section 2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from(b) << 8 | u16::from(c))
}

/// The Ethernet address of an IPv6 group (RFC 2464 section 7).
pub fn multicast_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    Mac([0x33, 0x33, a, b, c, d])
}

fn parse_message(kind: u8, message: &[u8], src: Ipv6Addr, dst: Ipv6Addr) -> Option<Message> {
    let (head, rest) = message.split_first_chunk::<8>()?;
    match kind {
        ROUTER_SOLICITATION => {
            let mac = link_layer(&options(rest)?, SOURCE_LINK_LAYER)?;
            (mac.is_none() || !src.is_unspecified()).then_some(Message::RouterSolicitation { mac })
        }
        ROUTER_ADVERTISEMENT if src.is_unicast_link_local() => {
            let options = options(rest.get(8..)?)?;
            let mut advertisement = RouterAdvertisement {
                mac: link_layer(&options, SOURCE_LINK_LAYER)?,
                hop_limit: head[4],
                managed: head[5] & 0x80 != 0,
                other: head[5] & 0x40 != 0,
                lifetime: u16::from_be_bytes([head[6], head[7]]),
                mtu: None,
                prefixes: Vec::new(),
            };
            for option in options {
                match option {
                    [MTU, 1, _, _, mtu @ ..] => {
                        advertisement.mtu = Some(u32::from_be_bytes(mtu.try_into().ok()?));
                    }
                    [PREFIX_INFORMATION, 4, ..] => advertisement.prefixes.push(prefix(option)?),
                    _ => {}
                }
            }
            Some(Message::RouterAdvertisement(advertisement))
        }
        NEIGHBOR_SOLICITATION => {
            let (target, rest) = rest.split_first_chunk::<16>()?;
            let target = Ipv6Addr::from(*target);
            let mac = link_layer(&options(rest)?, SOURCE_LINK_LAYER)?;
            // RFC 4861 section 7.1.1: whether an address is taken is asked of its group, and by nobody.
            let probe = src.is_unspecified();
            let valid = !target.is_multicast() && (!probe || dst == solicited_node(target) && mac.is_none());
            valid.then_some(Message::NeighborSolicitation { target, mac })
        }
        NEIGHBOR_ADVERTISEMENT => {
            let (target, rest) = rest.split_first_chunk::<16>()?;
            let target = Ipv6Addr::from(*target);
            let mac = link_layer(&options(rest)?, TARGET_LINK_LAYER)?;
            let [router, solicited, overrides] = [0x80, 0x40, 0x20].map(|flag| head[4] & flag != 0);
            let answers_all = dst.is_multicast() && solicited;
            (!target.is_multicast() && !answers_all).then_some(Message::NeighborAdvertisement(
                NeighborAdvertisement { target, mac, router, solicited, overrides },
            ))
        }
        _ => None,
    }
}

/// The options, each with its type and length. None if one has no length or does not fit (RFC 4861 section 4.6).
fn options(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut options = Vec::new();
    while !bytes.is_empty() {
        let len = usize::from(*bytes.get(1)?) * 8;
        let (option, rest) = bytes.split_at_checked(len).filter(|(option, _)| !option.is_empty())?;
        options.push(option);
        bytes = rest;
    }
    Some(options)
}

/// The Ethernet address in the first option of a kind. None if it is not an Ethernet address.
fn link_layer(options: &[&[u8]], kind: u8) -> Option<Option<Mac>> {
    match options.iter().find(|option| option[0] == kind) {
        None => Some(None),
        Some(&&[_, 1, a, b, c, d, e, f]) => Some(Some(Mac([a, b, c, d, e, f]))),
        Some(_) => None,
    }
}

fn prefix(option: &[u8]) -> Option<Prefix> {
    let number = |at: usize| option.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let address: [u8; 16] = option.get(16..32)?.try_into().ok()?;
    Some(Prefix {
        prefix: address.into(),
        len: option[2],
        on_link: option[3] & 0x80 != 0,
        autonomous: option[3] & 0x40 != 0,
        valid: number(4)?,
        preferred: number(8)?,
    })
}

fn push_link_layer(data: &mut Vec<u8>, kind: u8, mac: Option<Mac>) {
    if let Some(mac) = mac {
        data.extend([kind, 1]);
        data.extend(mac.0);
    }
}

fn emit(from: Ipv6Addr, to: Ipv6Addr, kind: u8, rest_of_header: [u8; 4], data: &[u8]) -> Frame {
    build::icmp(from, to, kind, 0, rest_of_header, data).with_ttl(HOP_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum;
    use crate::ip::ICMPV6;

    const HOST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x12, 0x3456);
    const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0xec2, 0, 0, 0, 0, 0, 1);
    const MAC_A: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const MAC_B: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn read(frame: &Frame) -> Result<Option<Message>, Malformed> {
        parse(frame, &Packet::parse(&frame.bytes).unwrap())
    }

    fn advertisement() -> RouterAdvertisement {
        RouterAdvertisement {
            mac: Some(MAC_B),
            hop_limit: 64,
            managed: true,
            other: true,
            lifetime: 1800,
            mtu: Some(9001),
            prefixes: vec![Prefix {
                prefix: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
                len: 64,
                on_link: true,
                autonomous: false,
                valid: u32::MAX,
                preferred: 1800,
            }],
        }
    }

    /// The frame with a byte of its ICMPv6 message changed and the checksum right again.
    fn changed(frame: &Frame, at: usize, value: u8) -> Frame {
        let mut frame = frame.clone();
        frame.bytes[54 + at] = value;
        checksum::store(&mut frame.bytes, 56, 0);
        let packet = Packet::parse(&frame.bytes).unwrap();
        let message = &frame.bytes[54..];
        let pseudo = checksum::pseudo_header(packet.src(), packet.dst(), ICMPV6, message.len());
        let sum = !checksum::add(checksum::sum(message), pseudo);
        checksum::store(&mut frame.bytes, 56, sum);
        frame
    }

    #[test]
    fn question_and_answer() {
        let question = solicit_neighbor(ROUTER, HOST, MAC_A);
        let packet = Packet::parse(&question.bytes).unwrap();
        assert_eq!(packet.dst(), IpAddr::from("ff02::1:ff00:1".parse::<Ipv6Addr>().unwrap()));
        assert_eq!(packet.eth_dst(), Mac([0x33, 0x33, 0xff, 0, 0, 1]));
        let asked = Message::NeighborSolicitation { target: ROUTER, mac: Some(MAC_A) };
        assert_eq!(read(&question), Ok(Some(asked)));
        let reply = answer(&packet, ROUTER, MAC_B, true).unwrap();
        let said = NeighborAdvertisement {
            target: ROUTER,
            mac: Some(MAC_B),
            router: true,
            solicited: true,
            overrides: true,
        };
        assert_eq!(read(&reply), Ok(Some(Message::NeighborAdvertisement(said))));
        let packet = Packet::parse(&reply.bytes).unwrap();
        assert_eq!((packet.dst(), packet.eth_dst(), packet.ttl()), (HOST.into(), MAC_A, 255));
    }

    #[test]
    fn who_has_no_address_yet_is_answered_with_all() {
        let probe = solicit_neighbor(HOST, Ipv6Addr::UNSPECIFIED, MAC_A);
        assert_eq!(read(&probe), Ok(Some(Message::NeighborSolicitation { target: HOST, mac: None })));
        let reply = answer(&Packet::parse(&probe.bytes).unwrap(), HOST, MAC_B, false).unwrap();
        let packet = Packet::parse(&reply.bytes).unwrap();
        assert_eq!((packet.dst(), packet.eth_dst()), (ALL_NODES.into(), Mac([0x33, 0x33, 0, 0, 0, 1])));
        let Ok(Some(Message::NeighborAdvertisement(said))) = read(&reply) else { panic!("{reply}") };
        assert!(!said.solicited && !said.router);
    }

    #[test]
    fn a_router_tells_what_it_has() {
        let frame = advertise_router(&advertisement(), ROUTER, ALL_NODES);
        assert_eq!(read(&frame), Ok(Some(Message::RouterAdvertisement(advertisement()))));
        let solicitation = solicit_router(ROUTER, MAC_A);
        assert_eq!(read(&solicitation), Ok(Some(Message::RouterSolicitation { mac: Some(MAC_A) })));
        let early = solicit_router(Ipv6Addr::UNSPECIFIED, MAC_A);
        assert_eq!(read(&early), Ok(Some(Message::RouterSolicitation { mac: None })));
    }

    #[test]
    fn what_the_rfc_says_to_discard() {
        let bad = Err(Malformed::BadNeighborDiscovery);
        let solicitation = solicit_neighbor(HOST, ROUTER, MAC_A);
        assert_eq!(read(&solicitation.clone().with_ttl(254)), bad);
        assert_eq!(read(&changed(&solicitation, 1, 1)), bad, "code");
        assert_eq!(read(&changed(&solicitation, 8, 0xff)), bad, "a group as target");
        assert_eq!(read(&changed(&solicitation, 25, 0)), bad, "an option without length");
        assert_eq!(read(&changed(&solicitation, 25, 2)), bad, "an option that does not fit");
        let mut corrupt = solicitation.clone();
        corrupt.bytes[70] ^= 1;
        assert_eq!(read(&corrupt), Err(Malformed::BadIcmpChecksum));
        let mut data = HOST.octets().to_vec();
        push_link_layer(&mut data, SOURCE_LINK_LAYER, Some(MAC_A));
        let probe = |to, data: &[u8]| emit(Ipv6Addr::UNSPECIFIED, to, NEIGHBOR_SOLICITATION, [0; 4], data);
        assert_eq!(read(&probe(solicited_node(HOST), &data)), bad, "nobody's Ethernet address");
        assert_eq!(read(&probe(HOST, &data[..16])), bad, "nobody asks one host");
        assert_eq!(read(&probe(solicited_node(HOST), &data[..12])), bad, "cut");
        let global = advertise_router(&advertisement(), HOST, ALL_NODES);
        assert_eq!(read(&global), bad, "a router that is not of the link");
        let said = NeighborAdvertisement {
            target: HOST,
            mac: None,
            router: false,
            solicited: true,
            overrides: false,
        };
        assert_eq!(read(&advertise_neighbor(&said, HOST, ALL_NODES)), bad, "answers all");
    }

    #[test]
    fn other_packets_are_none() {
        assert_eq!(read(&build::echo(HOST, ROUTER, true, 1, 1, b"x")), Ok(None));
        assert_eq!(read(&build::udp(HOST, ROUTER, 1, 1, b"x")), Ok(None));
    }
}
