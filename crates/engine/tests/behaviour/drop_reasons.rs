//! Every reason for dropping a packet has a packet that provokes it.

use std::collections::{BTreeMap, BTreeSet};

use engine::{DropReason, Gateway, METADATA, PortId, RESOLVER, ROUTER_MAC, SERVICE_PACKETS, Step};
use model::{Direction, RouteVia};
use wire::{Frame, Mac, Malformed, Offload, Packet, TcpFlags, arp, build, fragment, nd};

use crate::gateways::{ELASTIC, Gateways};
use crate::lab::{
    Lab, NAT_PUBLIC, OFFICE, OFFICE6, Reference, SERVICES, SERVICES_MAC, UPLINK, UPLINK_MAC, from_office, ip,
    ip6, udp,
};

#[test]
fn every_reason_has_its_packet() {
    let malformed = DropReason::Malformed(Malformed::TruncatedEthernet);
    for &reason in DropReason::ALL.iter().chain([&malformed]) {
        let Some((mut lab, port, frame)) = provoke(reason) else { continue };
        assert_eq!(lab.dropped(port, frame.clone()), reason);
        let explained = lab.engine.explain(lab.now, port, frame);
        assert_eq!((explained.dropped, explained.sent), (Some(reason), vec![]));
        assert_eq!(explained.steps.last(), Some(&Step::Dropped(reason)));
    }
}

#[test]
fn reasons_have_names_of_their_own() {
    let malformed = Malformed::ALL.map(DropReason::Malformed);
    let all: Vec<_> = DropReason::ALL.iter().chain(&malformed).collect();
    let labels: BTreeSet<_> = all.iter().map(|reason| reason.label()).collect();
    assert_eq!(labels.len(), all.len());
    for &&reason in &all {
        assert!(!reason.meaning().is_empty());
        assert_eq!(reason.to_string().parse(), Ok(reason));
        let json = serde_json::to_string(&[(reason, 1)].into_iter().collect::<BTreeMap<_, _>>()).unwrap();
        assert_eq!(json, format!("{{\"{reason}\":1}}"), "it can be a key");
        let back: BTreeMap<DropReason, u64> = serde_json::from_str(&json).unwrap();
        assert_eq!(back.keys().next(), Some(&reason));
    }
}

/// A packet that is to be dropped for the reason, in the network that does so.
fn provoke(reason: DropReason) -> Option<(Lab, PortId, Frame)> {
    let mut network = Reference::new();
    let (nat, test, neighbor) = (network.nat.clone(), network.test.clone(), network.neighbor.clone());
    let plain = |network: &Reference, port, frame| Some((network.lab(), port, frame));
    let to_office = udp(test.ip, OFFICE);
    let outward = udp(nat.ip, OFFICE);
    let big = build::udp(nat.ip, OFFICE, 5, 7, &[7; 2000]);
    match reason {
        DropReason::UnknownPort => plain(&network, PortId(77), test.by_router(to_office)),
        DropReason::VlanTagged => {
            plain(&network, test.port, build::ethernet(test.mac, ROUTER_MAC, 0x8100, &[0; 50]))
        }
        DropReason::BadOffload => {
            let mut frame = test.by_router(to_office);
            frame.offload = Offload { flags: 1, csum_start: 9000, ..Offload::default() };
            plain(&network, test.port, frame)
        }
        DropReason::UnsupportedProtocol => {
            plain(&network, test.port, build::ethernet(test.mac, ROUTER_MAC, 0x88b5, &[0x60; 40]))
        }
        DropReason::SpoofedMac => plain(&network, test.port, neighbor.by_router(to_office)),
        DropReason::SourceCheck => plain(&network, test.port, test.by_router(udp(neighbor.ip, OFFICE))),
        DropReason::DestinationCheck => plain(&network, test.port, test.by_neighbor(&neighbor, to_office)),
        DropReason::SpoofedArp => {
            plain(&network, test.port, arp::request(test.mac, neighbor.ip, ip("10.210.0.1")))
        }
        DropReason::MartianSource => plain(&network, nat.port, nat.by_router(udp(ip("0.0.0.0"), OFFICE))),
        DropReason::Broadcast => {
            let frame = udp(test.ip, ip("255.255.255.255")).with_macs(test.mac, Mac::BROADCAST);
            plain(&network, test.port, frame)
        }
        DropReason::Multicast => plain(&network, test.port, test.by_router(udp(test.ip, ip("224.0.0.1")))),
        DropReason::UnknownMac => plain(&network, test.port, test.by_neighbor(&nat, to_office)),
        DropReason::RogueDhcpServer => {
            plain(&network, test.port, test.by_router(build::udp(test.ip, neighbor.ip, 67, 68, b"")))
        }
        DropReason::BadDhcp => {
            plain(&network, test.port, test.by_router(build::udp(test.ip, ip("10.210.0.1"), 68, 67, b"")))
        }
        DropReason::ForTheRouter => {
            plain(&network, test.port, test.by_router(udp(test.ip, ip("10.210.0.1"))))
        }
        DropReason::LinkLocalAllowance => {
            let (mut lab, question) =
                (network.lab(), test.by_router(build::udp(test.ip, RESOLVER, 5, 53, b"")));
            for _ in 0..SERVICE_PACKETS {
                lab.one(test.port, question.clone());
            }
            Some((lab, test.port, question))
        }
        DropReason::NoSuchService => plain(&network, test.port, test.by_router(udp(test.ip, METADATA))),
        DropReason::SecurityGroupEgress => {
            network.cloud.revoke_all(network.test_group, Direction::Egress);
            plain(&network, test.port, test.by_router(to_office))
        }
        DropReason::SecurityGroupIngress => {
            plain(&network, neighbor.port, neighbor.by_neighbor(&test, udp(neighbor.ip, test.ip)))
        }
        DropReason::NoRoute => {
            // A VPC whose main table has the local route only.
            let vpc = network.cloud.vpc("10.99.0.0/16");
            let subnet = network.cloud.subnet(vpc, "10.99.0.0/24");
            let lone = network.cloud.machine(20, subnet, "10.99.0.4", &[], true);
            plain(&network, lone.port, lone.by_router(udp(lone.ip, OFFICE)))
        }
        DropReason::Blackhole => {
            network.cloud.stop(nat.instance);
            plain(&network, test.port, test.by_router(to_office))
        }
        DropReason::RouteLeadsBack => {
            let there = RouteVia::Instance(nat.instance);
            network.cloud.route(network.gateway_table, "192.0.2.0/24", there);
            plain(&network, nat.port, nat.by_router(udp(nat.ip, ip("192.0.2.1"))))
        }
        DropReason::NoSuchAddress => {
            plain(&network, test.port, test.by_router(udp(test.ip, ip("10.210.7.99"))))
        }
        DropReason::NoPort => {
            network.cloud.fabric.interfaces.remove(&neighbor.key);
            plain(&network, test.port, test.by_neighbor(&neighbor, udp(test.ip, neighbor.ip)))
        }
        DropReason::NoPublicAddress => plain(&network, nat.port, nat.by_router(to_office)),
        DropReason::UnknownPublicAddress => {
            plain(&network, UPLINK, from_office(udp(OFFICE, ip("203.0.113.99"))))
        }
        DropReason::NoInternetHost => {
            plain(&network, nat.port, nat.by_router(udp(nat.ip, ip("198.51.100.200"))))
        }
        DropReason::GatewayUnresolved => {
            let uplink = network.cloud.fabric.uplink.as_mut().unwrap();
            uplink.gateway = Some(Gateway::Address(ip("203.0.113.1")));
            plain(&network, nat.port, nat.by_router(udp(nat.ip, ip("198.51.100.200"))))
        }
        DropReason::NoUplink => {
            network.cloud.fabric.uplink = None;
            plain(&network, nat.port, nat.by_router(outward))
        }
        DropReason::NotForUs => {
            let frame =
                from_office(udp(OFFICE, NAT_PUBLIC)).with_macs(UPLINK_MAC, Mac([0x0a, 0, 0, 0, 0, 9]));
            plain(&network, UPLINK, frame)
        }
        DropReason::BadQuote => {
            plain(&network, nat.port, nat.by_router(build::icmp_error(nat.ip, OFFICE, 3, 3, b"short")))
        }
        DropReason::NoFlow => {
            let answer = build::tcp(METADATA, ip("100.64.0.2"), 80, 5, TcpFlags::ACK, b"");
            plain(&network, SERVICES, answer.with_macs(SERVICES_MAC, ROUTER_MAC))
        }
        DropReason::FlowConflict => {
            let mut lab = network.lab();
            let ask = |src| nat.by_router(build::tcp(src, METADATA, 5, 80, TcpFlags::SYN, b""));
            lab.one(nat.port, ask(test.ip));
            Some((lab, nat.port, ask(neighbor.ip)))
        }
        DropReason::FragmentWithoutFirst => {
            let whole = nat.by_router(big.with_dont_fragment(false));
            let packet = Packet::parse(&whole.bytes).unwrap();
            let mut lab = network.lab();
            let mut parts = fragment::split(&whole, &packet, 1000);
            let refused = nat.by_neighbor(&test, parts.remove(0));
            assert_eq!(lab.dropped(nat.port, refused), DropReason::UnknownMac);
            Some((lab, nat.port, parts.remove(0)))
        }
        DropReason::TooBig => {
            let error = build::icmp_error(nat.ip, OFFICE, 3, 3, &big.bytes[14..]);
            plain(&network, nat.port, nat.by_router(error))
        }
        DropReason::Malformed(_) => plain(&network, test.port, Frame::new(vec![0; 3])),
        // The host's: it counts them itself. A full table takes a million connections: see the table's own tests.
        DropReason::Oversized | DropReason::SendFailed | DropReason::FlowTableFull => None,
        DropReason::NetworkAclEgress => {
            network.cloud.network_acl(network.vpc, network.test_subnet);
            plain(&network, test.port, test.by_router(to_office))
        }
        DropReason::NetworkAclIngress => {
            network.cloud.network_acl(network.vpc, network.test_subnet);
            plain(&network, nat.port, nat.by_router(udp(nat.ip, test.ip)))
        }
        DropReason::TtlZero => plain(&network, test.port, test.by_router(to_office.with_ttl(0))),
        DropReason::SpoofedNeighbor
        | DropReason::RogueRouter
        | DropReason::EgressOnly
        | DropReason::TtlExceeded
        | DropReason::RoutingLoop
        | DropReason::NatProtocol
        | DropReason::NatFragment
        | DropReason::NatNoSession
        | DropReason::NatUnsolicited
        | DropReason::NatPortsExhausted
        | DropReason::NatFromAfar
        | DropReason::Untranslatable => Some(provoke_at_gateways(reason)),
    }
}

/// The same in the network with gateways of every kind.
fn provoke_at_gateways(reason: DropReason) -> (Lab, PortId, Frame) {
    let mut net = Gateways::new("aws");
    let a = net.a.clone();
    let from_a = |net: &Gateways, frame| (net.lab(), a.port, a.by_router(frame));
    let group = nd::multicast_mac(nd::ALL_NODES);
    match reason {
        DropReason::SpoofedNeighbor => {
            let frame = nd::solicit_neighbor(net.b6, net.a6, net.b.mac);
            (net.lab(), a.port, frame.with_macs(a.mac, group))
        }
        DropReason::RogueRouter => {
            let redirect = build::icmp_error(ip6("fe80::1"), nd::ALL_NODES, 137, 0, &[0; 32]);
            (net.lab(), a.port, redirect.with_macs(a.mac, group))
        }
        DropReason::EgressOnly => {
            let gateway = RouteVia::EgressOnlyInternetGateway(net.cloud.egress_only(net.vpc));
            net.cloud.route(net.private_table, "::/0", gateway);
            (net.lab(), UPLINK, from_office(build::udp(OFFICE6, net.a6, 53, 5, b"")))
        }
        DropReason::TtlExceeded => {
            let error = build::icmp_error(a.ip, OFFICE, 3, 3, &udp(OFFICE, a.ip).bytes[14..]);
            from_a(&net, error.with_ttl(1))
        }
        DropReason::RoutingLoop => {
            net.cloud.route(net.public_table, "192.0.2.0/24", RouteVia::NatGateway(net.nat.id));
            from_a(&net, udp(a.ip, ip("192.0.2.9")))
        }
        DropReason::NatProtocol => from_a(&net, build::ip(a.ip, OFFICE, 47, b"gre")),
        DropReason::NatFragment => {
            let ping = build::echo(a.ip, OFFICE, true, 7, 1, &[7; 1400]).with_dont_fragment(false);
            let packet = Packet::parse(&ping.bytes).unwrap();
            from_a(&net, fragment::split(&ping, &packet, 1000).remove(0))
        }
        DropReason::NatNoSession => {
            from_a(&net, build::icmp_error(a.ip, OFFICE, 3, 3, &udp(OFFICE, a.ip).bytes[14..]))
        }
        DropReason::NatUnsolicited => (net.lab(), UPLINK, from_office(udp(OFFICE, ELASTIC))),
        DropReason::NatPortsExhausted => {
            let mut lab = net.lab();
            let datagram = |port: u16| a.by_router(build::udp(a.ip, OFFICE, port, 53, b""));
            for port in 0..55_000 {
                lab.one(a.port, datagram(port));
            }
            (lab, a.port, datagram(55_000))
        }
        DropReason::NatFromAfar => {
            let vpc = net.cloud.vpc("10.9.0.0/16");
            let subnet = net.cloud.subnet(vpc, "10.9.1.0/24");
            let table = net.cloud.table(vpc, subnet);
            let far = net.cloud.machine(20, subnet, "10.9.1.10", &[], true);
            let peering = net.cloud.peering(vpc, net.vpc);
            net.cloud.route(table, "10.0.0.0/16", RouteVia::Peering(peering));
            (net.lab(), far.port, far.by_router(udp(far.ip, net.nat.ip)))
        }
        DropReason::Untranslatable => {
            net.cloud.route(net.private_table, "2001:db8:ffff::/48", RouteVia::NatGateway(net.nat.id));
            from_a(&net, build::udp(net.a6, OFFICE6, 5, 7, b""))
        }
        other => panic!("{other} is provoked elsewhere"),
    }
}
