//! Whatever comes, from wherever, in whatever order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use engine::{DropReason, Engine, METADATA, PortId, ROUTER_MAC, Time, service_address};
use model::{Direction, Peer, Protocol, RouteVia};
use proptest::prelude::*;
use wire::{FlowProto, Frame, Mac, Offload, Packet, TcpFlags, arp, build, fragment, nd};

use crate::gateways::{ELASTIC, Gateways, WEB_ELASTIC};
use crate::lab::{
    Cloud, Lab, Machine, NAT_PUBLIC, OFFICE, OFFICE_MAC, OFFICE6, Reference, SERVICES, SERVICES_MAC, UPLINK,
    UPLINK_MAC, WEB_PUBLIC, ip, ip6,
};

/// A failure prints its smallest input; no file of seeds is kept.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

/// What packets are made of.
pub(crate) struct Parts {
    /// Ports with the Ethernet and IP addresses of what stands there.
    pub(crate) ports: Vec<(PortId, Mac, Vec<IpAddr>)>,
    pub(crate) macs: Vec<Mac>,
    pub(crate) addresses: Vec<IpAddr>,
}

/// What came and what left so far: port and frame of each.
pub(crate) type Past = Vec<((PortId, Frame), (PortId, Frame))>;

/// One packet to be: numbers to choose its parts by, mostly such that it has a chance.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Something new, something that was sent before, or the answer to something that arrived; and which.
    relation: (u8, usize),
    port: usize,
    kind: u8,
    /// Ethernet source and destination, IP source and destination; the first two mostly as they should be.
    choices: [(u8, usize); 4],
    ports: (u16, u16),
    flags: u8,
    len: usize,
    dont_fragment: bool,
    partial: bool,
    ttl: u8,
    /// Seconds until the next.
    pause: u64,
}

pub(crate) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..=most)
}

fn step() -> impl Strategy<Value = Step> {
    let port = || proptest::sample::select(vec![1u16, 2, 22, 53, 67, 68, 80, 1194, 33434]);
    let flags = [2u8, 18, 16, 17, 4, 24, 0];
    let len = prop_oneof![6 => 0..64usize, 1 => 1400..1600usize, 1 => 8900..9100usize];
    let pause = prop_oneof![8 => Just(0u64), 2 => 1..40u64, 1 => 100..200u64];
    let ttl = prop_oneof![9 => Just(64u8), 1 => 0..4u8];
    let choice = || (0..10u8, 0..64usize);
    (
        (0..64usize, 0..12u8, (0..10u8, 0..6usize)),
        [choice(), choice(), choice(), choice()],
        (port(), port()),
        proptest::sample::select(flags.to_vec()),
        len,
        (any::<(bool, bool)>(), ttl),
        pause,
    )
        .prop_map(
            |((port, kind, relation), choices, ports, flags, len, ((dont_fragment, partial), ttl), pause)| {
                Step { relation, port, kind, choices, ports, flags, len, dont_fragment, partial, ttl, pause }
            },
        )
}

impl Step {
    /// The frame, and where it comes from.
    pub(crate) fn frame(&self, parts: &Parts, past: &Past) -> (PortId, Frame) {
        let (relation, back) = self.relation;
        let related = past.iter().rev().nth(back).filter(|_| relation > 3);
        let Some((came, left)) = related else { return self.fresh(parts) };
        let (port, frame) = if relation < 7 { came } else { left };
        let Ok(packet) = Packet::parse(&frame.bytes) else { return self.fresh(parts) };
        let (key, macs) = match relation < 7 {
            true => (packet.flow_key(), (packet.eth_src(), packet.eth_dst())),
            false => (packet.flow_key().reversed(), (packet.eth_dst(), packet.eth_src())),
        };
        let (src, dst, data) = (key.src, key.dst, vec![7; self.len]);
        let packet = match key.proto {
            FlowProto::Tcp { src: sport, dst: dport } => {
                build::tcp(src, dst, sport, dport, TcpFlags(self.flags), &data)
            }
            FlowProto::Udp { src: sport, dst: dport } => build::udp(src, dst, sport, dport, &data),
            FlowProto::Echo { id, request } => build::echo(src, dst, request, id, 1, &data),
            FlowProto::Icmp { kind, code } => build::icmp_error(src, dst, kind, code, &data),
            FlowProto::Other(_) => build::ip(src, dst, 47, &data),
        };
        // At times an error instead of an answer.
        let packet = match relation {
            9 if self.kind > 8 => build::icmp_error(src, dst, 3, 3, &frame.bytes[14..]),
            _ => packet,
        };
        (*port, self.finish(packet, macs))
    }

    fn fresh(&self, parts: &Parts) -> (PortId, Frame) {
        fn pick<T: Clone>(from: &[T], at: usize) -> T {
            from[at % from.len()].clone()
        }
        let (port, mac, own) = pick(&parts.ports, self.port);
        let [eth_src, eth_dst, src, dst] = self.choices;
        let eth_src = if eth_src.0 < 9 { mac } else { pick(&parts.macs, eth_src.1) };
        let usual = if port == UPLINK { UPLINK_MAC } else { ROUTER_MAC };
        let eth_dst = if eth_dst.0 < 7 { usual } else { pick(&parts.macs, eth_dst.1) };
        let dst = pick(&parts.addresses, dst.1);
        let own = own.iter().find(|own| own.is_ipv4() == dst.is_ipv4()).copied().unwrap_or(own[0]);
        let src = if src.0 < 8 { own } else { pick(&parts.addresses, src.1) };
        let (sport, dport) = self.ports;
        let data = vec![7; self.len];
        let quote = || build::udp(dst, src, dport, sport, &data[..self.len.min(64)]);
        let packet = match self.kind {
            0..4 => build::tcp(src, dst, sport, dport, TcpFlags(self.flags), &data),
            4..7 => build::udp(src, dst, sport, dport, &data),
            7 => build::echo(src, dst, self.flags & 1 == 0, sport, dport, &data),
            8 => build::icmp_error(src, dst, 3, 3, &quote().bytes[14..]),
            9 => build::icmp_error(src, dst, 13, 0, &data),
            10 => build::ip(src, dst, 47, &data),
            _ => match (src, dst) {
                (IpAddr::V4(src), IpAddr::V4(dst)) => return (port, arp::request(eth_src, src, dst)),
                (_, IpAddr::V6(dst)) => {
                    return (port, nd::solicit_neighbor(dst, Ipv6Addr::UNSPECIFIED, eth_src));
                }
                _ => build::ip(src, dst, 47, &data),
            },
        };
        (port, self.finish(packet, (eth_src, eth_dst)))
    }

    fn finish(&self, packet: Frame, (eth_src, eth_dst): (Mac, Mac)) -> Frame {
        let packet = packet.with_dont_fragment(self.dont_fragment).with_ttl(self.ttl);
        let packet = if self.partial { packet.with_partial_checksum() } else { packet };
        packet.with_macs(eth_src, eth_dst)
    }
}

/// A cloud, what packets for it are made of, and conversations to go on with.
struct World {
    cloud: Cloud,
    parts: Parts,
    begin: Vec<(PortId, Frame)>,
}

impl World {
    fn new(number: usize) -> World {
        match number {
            0 => World::reference(),
            1 => World::gateways("aws"),
            _ => World::gateways("rfc"),
        }
    }

    /// Begins beside the table, through the gateway, between two public addresses, with a service.
    fn reference() -> World {
        let network = Reference::new();
        let (nat, test, neighbor) = (&network.nat, &network.test, &network.neighbor);
        let syn = |src, dst, dport| build::tcp(src, dst, 5, dport, TcpFlags::SYN, b"");
        let begin = vec![
            (test.port, test.by_neighbor(neighbor, syn(test.ip, neighbor.ip, 80))),
            (test.port, test.by_router(build::udp(test.ip, OFFICE, 5, 53, b"?"))),
            (nat.port, nat.by_router(syn(nat.ip, OFFICE, 443))),
            (nat.port, nat.by_router(syn(nat.ip, WEB_PUBLIC, 80))),
            (test.port, test.by_router(syn(test.ip, METADATA, 80))),
        ];
        let machines = [nat, test, neighbor, &network.web].map(|machine| (machine.clone(), None));
        let addresses = ["10.210.0.1", "10.210.0.2"].map(ip);
        World::made_of(network.cloud, &machines, &[NAT_PUBLIC, WEB_PUBLIC, addresses[0], addresses[1]], begin)
    }

    /// Begins through the NAT gateway in both families, through the egress-only gateway, and by the internet gateway.
    fn gateways(profile: &str) -> World {
        let mut net = Gateways::new(profile);
        let egress_only = RouteVia::EgressOnlyInternetGateway(net.cloud.egress_only(net.vpc));
        net.cloud.route(net.private_table, "::/0", egress_only);
        net.cloud.route(net.private_table, "64:ff9b::/96", RouteVia::NatGateway(net.nat.id));
        net.cloud.route(net.public_table, "::/0", net.igw);
        let everyone = Peer::Cidr6("::/0".parse().unwrap());
        net.cloud.allow(net.inside, Direction::Ingress, Protocol::Udp, Some((53, 80)), everyone);
        let a = &net.a;
        let far = ip6("64:ff9b::c633:6408");
        let begin = vec![
            (a.port, a.by_router(build::tcp(a.ip, OFFICE, 5, 443, TcpFlags::SYN, b""))),
            (a.port, a.by_router(build::udp(a.ip, OFFICE, 5, 53, b"?"))),
            (a.port, a.by_router(build::tcp(a.ip, WEB_ELASTIC, 5, 80, TcpFlags::SYN, b""))),
            (a.port, a.by_router(build::udp(net.a6, far, 5, 53, b"?"))),
            (a.port, a.by_router(build::tcp(net.a6, OFFICE6, 5, 80, TcpFlags::SYN, b""))),
            (net.web.port, net.web.by_router(build::udp(net.web6, OFFICE6, 5, 53, b"?"))),
        ];
        let machines = [(&net.a, net.a6), (&net.b, net.b6), (&net.web, net.web6)];
        let machines = machines.map(|(machine, own)| (machine.clone(), Some(own)));
        let addresses = [ELASTIC, WEB_ELASTIC, net.nat.ip];
        let mut world = World::made_of(net.cloud, &machines, &addresses, begin);
        let more = [far, OFFICE6, ip6("fe80:ec2::1"), ip6("64:ff9b::a00:250")];
        world.parts.addresses.extend(more.map(IpAddr::V6));
        world.parts.macs.push(net.nat.mac);
        world
    }

    fn made_of(
        cloud: Cloud,
        machines: &[(Machine, Option<Ipv6Addr>)],
        addresses: &[Ipv4Addr],
        begin: Vec<(PortId, Frame)>,
    ) -> World {
        let own = |(machine, v6): &(Machine, Option<Ipv6Addr>)| {
            [IpAddr::V4(machine.ip)].into_iter().chain(v6.map(IpAddr::V6)).collect::<Vec<_>>()
        };
        let mut ports: Vec<_> =
            machines.iter().map(|machine| (machine.0.port, machine.0.mac, own(machine))).collect();
        ports.push((UPLINK, OFFICE_MAC, vec![OFFICE.into(), OFFICE6.into()]));
        ports.push((SERVICES, SERVICES_MAC, vec![METADATA.into()]));
        let mut macs: Vec<_> = machines.iter().map(|(machine, _)| machine.mac).collect();
        macs.extend([ROUTER_MAC, UPLINK_MAC, Mac::BROADCAST, Mac([2; 6])]);
        let mut all: Vec<_> = machines.iter().flat_map(own).collect();
        all.extend(machines.iter().filter_map(|(machine, _)| service_address(machine.port)).map(IpAddr::V4));
        all.extend(addresses.iter().copied().map(IpAddr::V4));
        all.extend([OFFICE, OFFICE, METADATA, METADATA, ip("0.0.0.0"), Ipv4Addr::BROADCAST].map(IpAddr::V4));
        all.push(ip("224.0.0.1").into());
        World { cloud, parts: Parts { ports, macs, addresses: all }, begin }
    }

    fn begin(&self, lab: &mut Lab) -> Past {
        self.begin
            .iter()
            .map(|(port, frame)| ((*port, frame.clone()), lab.one(*port, frame.clone())))
            .collect()
    }
}

fn drops(lab: &Lab) -> u64 {
    lab.engine.counters().ports.values().flat_map(|port| port.drops.values()).sum()
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn with_cached_verdicts_and_without_all_is_the_same(number in 0..3usize, steps in steps(60)) {
        let world = World::new(number);
        let (mut cached, mut asked) = (world.cloud.lab(), world.cloud.lab());
        let mut past = world.begin(&mut cached);
        world.begin(&mut asked);
        for (step, generation) in steps.into_iter().zip(2..) {
            let (port, frame) = step.frame(&world.parts, &past);
            asked.engine.load(world.cloud.tables(generation));
            let sent = cached.send(port, frame.clone());
            prop_assert_eq!(&sent, &asked.send(port, frame.clone()));
            past.extend(sent.into_iter().map(|sent| ((port, frame.clone()), sent)));
            prop_assert_eq!(cached.engine.counters(), asked.engine.counters());
            cached.wait(step.pause);
            asked.wait(step.pause);
        }
    }

    #[test]
    fn what_is_dropped_leaves_nothing_and_what_passes_is_right(number in 0..3usize, steps in steps(60)) {
        let world = World::new(number);
        let mut lab = world.cloud.lab();
        let mut past = world.begin(&mut lab);
        for step in steps {
            let (port, frame) = step.frame(&world.parts, &past);
            let (connections, dropped) = (lab.connections(), drops(&lab));
            let refused = lab.drops(port, DropReason::NatUnsolicited);
            let sent = lab.send(port, frame.clone());
            if drops(&lab) > dropped {
                prop_assert_eq!(&sent, &[]);
                // Who leaves by a NAT gateway to one that refuses it has left all the same.
                if lab.drops(port, DropReason::NatUnsolicited) == refused {
                    prop_assert_eq!(lab.connections(), connections);
                }
            }
            for out in sent {
                prop_assert_eq!(out.1.offload.validate(&out.1.bytes), Ok(()));
                if let Ok(packet) = Packet::parse(&out.1.bytes) {
                    prop_assert_eq!(packet.verify_icmp(&out.1), Ok(()));
                    prop_assert!(packet.ttl() > 0 && packet.total_len() <= 9001);
                    if out.0 == UPLINK && packet.src().is_ipv4() {
                        let public = lab.engine.tables().uplink().is_some()
                            && [NAT_PUBLIC, WEB_PUBLIC, ELASTIC, WEB_ELASTIC].map(IpAddr::V4).contains(&packet.src());
                        prop_assert!(public, "untranslated: {}", out.1);
                    }
                }
                past.push(((port, frame.clone()), out));
            }
            lab.wait(step.pause);
        }
        lab.wait(500_000);
        prop_assert_eq!(lab.connections(), 0);
        for counters in lab.engine.counters().nat_gateways.values() {
            prop_assert_eq!(counters.active_connections, 0);
        }
    }

    #[test]
    fn explaining_a_first_packet_is_deciding_it(number in 0..3usize, steps in steps(30)) {
        let world = World::new(number);
        let tables = world.cloud.tables(1);
        for step in steps {
            let (port, frame) = step.fresh(&world.parts);
            let explained = Engine::imagine(tables.clone()).explain(Time(0), port, frame.clone());
            let mut lab = Lab { engine: Engine::new(tables.clone(), 0), now: Time(0) };
            prop_assert_eq!(&explained.sent, &lab.send(port, frame));
            let counted: Vec<_> =
                lab.engine.counters().ports[&port].drops.keys().copied().collect();
            prop_assert_eq!(explained.dropped.into_iter().collect::<Vec<_>>(), counted);
        }
    }

    #[test]
    fn no_bytes_are_too_strange(
        number in 0..3usize,
        steps in steps(40),
        edits in proptest::collection::vec((0..120usize, any::<u8>()), 40),
        cuts in proptest::collection::vec(0..160usize, 40),
        offload in any::<[u8; 10]>(),
        strange in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let world = World::new(number);
        let (mut lab, mut past) = (world.cloud.lab(), Past::new());
        for ((step, edit), cut) in steps.into_iter().zip(edits).zip(cuts) {
            let (port, frame) = step.frame(&world.parts, &past);
            let mut mutated = frame.clone();
            if let Some(byte) = mutated.bytes.get_mut(edit.0) {
                *byte = edit.1;
            }
            mutated = with_header_checksum(mutated);
            past.extend(lab.send(port, mutated.clone()).into_iter().map(|sent| ((port, frame.clone()), sent)));
            mutated.bytes.truncate(cut);
            lab.send(port, mutated.clone());
            lab.send(port, Frame { offload: Offload::from_bytes(offload), ..mutated });
            lab.send(port, Frame { offload: Offload::from_bytes(offload), bytes: strange.clone() });
            if let Ok(packet) = Packet::parse(&frame.bytes) {
                for piece in fragment::split(&frame, &packet, 576) {
                    lab.send(port, piece);
                }
            }
            lab.send(PortId(77), frame);
            lab.wait(step.pause);
        }
        prop_assert!(drops(&lab) > 0, "the unknown port's at least");
    }

    #[test]
    fn no_dhcp6_message_is_too_strange(
        kind in 0..14u8,
        options in proptest::collection::vec((0..26u16, proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
        cut in 0..200usize,
    ) {
        let net = Gateways::new("aws");
        let mut message = vec![kind, 1, 2, 3];
        for (code, data) in options {
            message.extend([&code.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), &data].concat());
        }
        message.truncate(cut);
        let frame = build::udp(ip6("fe80::1"), ip6("ff02::1:2"), 546, 547, &message);
        net.lab().send(net.a.port, net.a.by_router(frame));
    }

    #[test]
    fn no_dhcp_message_is_too_strange(
        message in proptest::collection::vec(any::<u8>(), 0..320),
        good in any::<[bool; 2]>(),
    ) {
        let network = Reference::new();
        let test = &network.test;
        let mut message = message;
        if good[0] && message.len() > 244 {
            message[..4].copy_from_slice(&[1, 1, 6, 0]);
            message[24..28].fill(0);
            message[28..34].copy_from_slice(&test.mac.0);
            message[236..240].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
            if good[1] {
                message[240..243].copy_from_slice(&[53, 1, 3]);
            }
        }
        let frame = build::udp(test.ip, Ipv4Addr::BROADCAST, 68, 67, &message);
        network.lab().send(test.port, frame.with_macs(test.mac, Mac::BROADCAST));
    }
}

/// The frame with a right IPv4 header checksum, or nothing behind the check would ever be met.
pub(crate) fn with_header_checksum(mut frame: Frame) -> Frame {
    let Some(&first) = frame.bytes.get(14) else { return frame };
    let end = 14 + usize::from(first & 15) * 4;
    if frame.bytes.get(12..14) != Some(&[8, 0]) || end < 34 || end > frame.bytes.len() {
        return frame;
    }
    frame.bytes[24..26].fill(0);
    let words = frame.bytes[14..end].chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    frame.bytes[24..26].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    frame
}
