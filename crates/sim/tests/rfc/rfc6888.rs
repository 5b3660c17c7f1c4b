//! RFC 6888: NATs for many subscribers. A subscriber is a network interface.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use engine::DropReason;
use model::{Change, NatProfile, RouteVia};
use sim::{Host, Network, Plan, echo, tcp, udp};
use wire::build;

use crate::checklist::{Level, Stand, checklist, rows};
use crate::rfc5382::{SYN, establish};
use crate::rfc7857::ports_are_random;
use crate::{A, B, C, X, Y, Z};

/// Sessions of one interface in profile rfc.
const LIMIT: usize = 32_256;

checklist! { "RFC 6888":
    /// the RFCs of each protocol are obeyed
    c1 Must {
        aws: Deviates(some_musts_are_not_kept, "see T1, T5, T7 and T8"),
        rfc: Met(every_must_is_kept),
    }
    /// paired pooling by default, over all protocols
    c2 Must { aws: Met(pooling_is_paired), rfc: Met(pooling_is_paired), }
    /// the external addresses need not be one block
    c3 Must { aws: Met(any_addresses_will_do), rfc: Met(any_addresses_will_do), }
    /// ports of a subscriber are limited
    c4 Must {
        aws: Deviates(no_limit_but_the_destination_s, "EC2 limits connections by destination, to 55,000"),
        rfc: Met(ports_of_a_subscriber_are_limited),
    }
    /// memory of a subscriber is limited
    c5 Should {
        aws: Deviates(no_limit_of_sessions, "as C4"),
        rfc: Met(sessions_of_a_subscriber_are_limited),
    }
    /// destinations can be exempt from translation: by routes
    c6 Must { aws: Met(routes_decide_what_is_translated), rfc: Met(routes_decide_what_is_translated), }
    /// filtering is endpoint-independent
    c7 Recommended {
        aws: Deviates(strangers_stay_out, "EC2's gateway lets in nothing but replies"),
        rfc: Deviates(strangers_stay_out, "address-dependent: RFC 4787 REQ-8 recommends it where more is filtered"),
    }
    /// a freed port rests for 120 s
    c8 ShouldNot {
        aws: DoesNotApply(freed_ports_are_used_at_once, "exempt: filtering is address- and port-dependent"),
        rfc: Met(freed_ports_rest),
    }
    /// a Port Control Protocol server
    c9 Must {
        aws: Deviates(nobody_speaks_pcp, "EC2 has none"),
        rfc: Deviates(nobody_speaks_pcp, "EC2 has none, and no client in an EC2 instance looks for one"),
    }
    /// it can be managed
    c10 Should { aws: Met(counters_are_true), rfc: Met(counters_are_true), }
    /// where resources ran out: no mapping ends, and an ICMP error says so
    c11 Should {
        aws: Deviates(what_is_there_goes_on, "no mapping ends, but EC2's gateway is silent, as in I8"),
        rfc: Met(what_is_there_goes_on),
    }
    /// destinations are not logged
    c12 ShouldNot { aws: Met(destinations_are_not_counted), rfc: Met(destinations_are_not_counted), }
    /// all ports are used
    c13 Should { aws: Met(every_port_is_used), rfc: Met(every_port_is_used), }
    /// little is logged
    c14 Should { aws: Met(counters_do_not_grow), rfc: Met(counters_do_not_grow), }
    /// ports are hard to guess
    c15 Should { aws: Met(ports_are_random), rfc: Met(ports_are_random), }
}

fn is_must(level: Level) -> bool {
    matches!(level, Level::Must | Level::MustNot)
}

/// The rows of RFC 4787, 5382 and 5508 that ask with MUST and are not met.
fn not_kept(profile: NatProfile) -> Vec<&'static str> {
    let of_protocols = rows().filter(|row| ["RFC 4787", "RFC 5382", "RFC 5508"].contains(&row.rfc));
    let musts = of_protocols.filter(|row| is_must(row.level));
    let entries =
        musts.map(|row| (row.id, if profile == NatProfile::Aws { &row.aws } else { &row.rfc_profile }));
    let not_kept = entries.filter(|(_, entry)| match entry.stand {
        Stand::Met => entry.run().is_err(),
        Stand::Deviates(_) => true,
        Stand::DoesNotApply(_) => false,
    });
    not_kept.map(|(id, _)| id).collect()
}

fn every_must_is_kept(profile: NatProfile) {
    assert_eq!(not_kept(profile), Vec::<&str>::new());
}

fn some_musts_are_not_kept(profile: NatProfile) {
    assert_eq!(not_kept(profile), ["t1", "t5", "t7", "t8"]);
}

fn pooling_is_paired(profile: NatProfile) {
    let mut net = Network::of(Plan { elastic_ips: 4, hosts: 8, ..Plan::new(profile) });
    for host in (0..8).map(Host::Inside) {
        let mut addresses = BTreeSet::new();
        for n in 0..50 {
            let (a, x) = (net.at(host, 5000 + n), net.at(X, 80));
            for frame in [udp(a, x), tcp(a, x, SYN), echo(a, x.ip())] {
                addresses.insert(net.pass_to(host, frame, X).ip());
            }
        }
        assert_eq!(addresses.len(), 1, "{host:?}");
    }
}

fn any_addresses_will_do(profile: NatProfile) {
    let mut net = Network::of(Plan { hosts: 12, ..Plan::new(profile) });
    let more = ["203.0.113.77".parse().unwrap(), "192.0.2.200".parse().unwrap()];
    for public in more {
        let allocations = vec![net.cloud.elastic_ip(public)];
        let gateway = net.gateway;
        net.cloud.apply(Change::AssociateNatGatewayAddress { gateway, allocations, private_ips: Vec::new() });
    }
    net.reload();
    let seen: BTreeSet<_> = (0..12)
        .map(Host::Inside)
        .map(|host| net.pass_to(host, udp(net.at(host, 5000), net.at(X, 53)), X).ip())
        .collect();
    assert_eq!(seen, [net.public[0], more[0], more[1]].map(Into::into).into());
}

fn ports_of_a_subscriber_are_limited(profile: NatProfile) {
    let mut net = Network::new(profile);
    let x = net.at(X, 53);
    for n in 0..LIMIT {
        assert!(net.passes(A, udp(net.at(A, 1024 + n as u16), x)), "{n}");
    }
    let told = net.answer(A, udp(net.at(A, 65_000), x));
    assert_eq!(told.icmp(), Some((3, 13)));
    let told = net.answer(A, echo(net.at(A, 9), x.ip()));
    assert_eq!(told.icmp(), Some((3, 13)), "whatever the protocol");
    net.pass_to(B, udp(net.at(B, 65_000), x), X);
}

fn no_limit_but_the_destination_s(profile: NatProfile) {
    let mut net = Network::new(profile);
    let open = |net: &mut Network, to: Host, count: u16| {
        (0..count).filter(|n| net.passes(A, tcp(net.at(A, 1024 + n), net.at(to, 80), SYN))).count()
    };
    assert_eq!(open(&mut net, X, 55_100), 55_000);
    assert_eq!(net.counters().port_allocation_errors, 100);
    assert_eq!(open(&mut net, Y, 1000), 1000, "other destinations know nothing of it");
    assert!(!net.passes(B, tcp(net.at(B, 5000), net.at(X, 80), SYN)));
    assert!(net.passes(B, tcp(net.at(B, 5000), net.at(X, 81), SYN)), "another port is another destination");
}

/// How many sessions one UDP socket of A may have.
fn sessions_of_a_socket(net: &mut Network) -> usize {
    let a = net.at(A, 5000);
    (0..LIMIT as u16 + 100).filter(|n| net.passes(A, udp(a, net.at(X, 1000 + n)))).count()
}

fn sessions_of_a_subscriber_are_limited(profile: NatProfile) {
    let mut net = Network::new(profile);
    assert_eq!(sessions_of_a_socket(&mut net), LIMIT);
    net.pass_to(B, udp(net.at(B, 5000), net.at(Y, 53)), Y);
}

fn no_limit_of_sessions(profile: NatProfile) {
    assert_eq!(sessions_of_a_socket(&mut Network::new(profile)), LIMIT + 100);
}

fn routes_decide_what_is_translated(profile: NatProfile) {
    let mut net = Network::new(profile);
    // A has an address of its own, with which it goes to Y.
    let allocation = net.cloud.elastic_ip("203.0.113.99".parse().unwrap());
    let interface = net.interface(0);
    net.cloud.apply(Change::AssociateAddress { allocation, interface, private_ip: None });
    let igw = net.cloud.region.internet_gateway_of(net.vpc).unwrap();
    let table = net.inside.1;
    net.cloud.route(table, &format!("{}/32", net.at(Y, 0).ip()), RouteVia::InternetGateway(igw));
    net.reload();
    let a = net.at(A, 5000);
    assert_eq!(
        net.pass_to(A, udp(a, net.at(Y, 53)), Y),
        SocketAddr::new("203.0.113.99".parse().unwrap(), 5000)
    );
    assert_eq!(net.pass_to(A, udp(a, net.at(X, 53)), X).ip(), net.public[0]);
    // What stays in the VPC is not translated either.
    assert_eq!(net.pass_to(A, udp(a, net.at(B, 53)), B), a);
}

fn strangers_stay_out(profile: NatProfile) {
    let mut net = Network::new(profile);
    let external = net.pass_to(A, udp(net.at(A, 5000), net.at(X, 53)), X);
    let frame = udp(net.at(Z, 53), external);
    assert_eq!(net.dropped(Z, frame), DropReason::NatUnsolicited);
}

/// Three hosts take each UDP port once, then all is idle until the mappings end.
fn used_up(profile: NatProfile, idle: u64) -> Network {
    let mut net = Network::new(profile);
    assert_eq!(take_all(&mut net), 64_512);
    net.wait(idle);
    net
}

/// How many of 64,512 new endpoints get a port.
fn take_all(net: &mut Network) -> usize {
    let mut taken = 0;
    for host in [A, B, C] {
        for n in 0..21_504 {
            taken += usize::from(net.passes(host, udp(net.at(host, 1024 + n), net.at(X, 1000 + n % 10))));
        }
    }
    taken
}

fn freed_ports_rest(profile: NatProfile) {
    let mut net = used_up(profile, 300);
    net.wait(119);
    assert_eq!(take_all(&mut net), 0);
    net.wait(1);
    assert_eq!(take_all(&mut net), 64_512);
}

fn freed_ports_are_used_at_once(profile: NatProfile) {
    let mut net = used_up(profile, 350);
    assert_eq!(take_all(&mut net), 64_512);
}

fn nobody_speaks_pcp(profile: NatProfile) {
    let mut net = Network::new(profile);
    let a = net.at(A, 5350);
    let mut map = vec![2, 1, 0, 0, 0, 0, 14, 16];
    map.resize(60, 0);
    for server in [net.private.into(), net.public[0].into(), "10.0.1.1".parse::<std::net::IpAddr>().unwrap()]
    {
        let request = build::udp(a.ip(), server, 5350, 5351, &map);
        let reason = net.dropped(A, request);
        assert!(matches!(reason, DropReason::NatUnsolicited | DropReason::ForTheRouter), "{reason}");
    }
}

fn counters_are_true(profile: NatProfile) {
    let mut net = Network::new(profile);
    let (a, x) = (net.at(A, 5000), net.at(X, 80));
    let external = establish(&mut net, 5000, X, 80);
    let payload = [7; 100];
    let mut capture = [(2, 80), (1, 40), (2, 80), (1, 40)];
    for _ in 0..5 {
        net.pass(A, build::tcp(a.ip(), x.ip(), 5000, 80, crate::rfc5382::ACK, &payload));
        net.pass(
            X,
            build::tcp(x.ip(), external.ip(), 80, external.port(), crate::rfc5382::ACK, &payload[..50]),
        );
        for (n, bytes) in [(0, 140), (1, 90), (2, 140), (3, 90)] {
            capture[n] = (capture[n].0 + 1, capture[n].1 + bytes);
        }
    }
    // A stranger's packet came to the gateway, and went no further.
    net.dropped(Y, tcp(net.at(Y, 80), external, SYN));
    capture[1] = (capture[1].0 + 1, capture[1].1 + 40);
    let counters = net.counters();
    let counted = [
        counters.in_from_source,
        counters.in_from_destination,
        counters.out_to_destination,
        counters.out_to_source,
    ];
    assert_eq!(counted.map(|traffic| (traffic.packets, traffic.bytes)), capture);
    let connections =
        (counters.active_connections, counters.connection_attempts, counters.connections_established);
    assert_eq!((connections, counters.packets_dropped), ((1, 1, 1), 1));
}

fn what_is_there_goes_on(profile: NatProfile) {
    let mut net = Network::new(profile);
    assert_eq!(take_all(&mut net), 64_512);
    let frame = udp(net.at(A, 60_000), net.at(X, 53));
    match profile {
        NatProfile::Aws => assert_eq!(net.dropped(A, frame), DropReason::NatPortsExhausted),
        NatProfile::Rfc => assert_eq!(net.answer(A, frame).icmp(), Some((3, 13))),
    }
    assert_eq!(take_all(&mut net), 64_512, "every one of them goes on");
}

fn destinations_are_not_counted(profile: NatProfile) {
    let mut net = Network::new(profile);
    for to in [X, Y, Z] {
        net.pass_to(A, udp(net.at(A, 5000), net.at(to, 53)), to);
    }
    let counters = serde_json::to_string(&net.counters()).unwrap();
    assert!([X, Y, Z].iter().all(|&to| !counters.contains(&net.at(to, 0).ip().to_string())), "{counters}");
}

fn every_port_is_used(profile: NatProfile) {
    let mut net = Network::new(profile);
    let mut ports = BTreeSet::new();
    for host in [A, B, C] {
        for n in 0..21_504 {
            let frame = udp(net.at(host, 1024 + n), net.at(X, 1000 + n % 10));
            ports.insert(net.pass_to(host, frame, X).port());
        }
    }
    assert_eq!((ports.len(), ports.first(), ports.last()), (64_512, Some(&1024), Some(&65_535)));
}

fn counters_do_not_grow(profile: NatProfile) {
    let mut net = Network::new(profile);
    let fields = |net: &Network| serde_json::to_value(net.counters()).unwrap().as_object().unwrap().len();
    let before = fields(&net);
    for n in 0..1000 {
        net.pass_to(A, udp(net.at(A, 5000 + n), net.at(X, 53)), X);
    }
    assert_eq!((fields(&net), net.counters().in_from_source.packets), (before, 1000));
}
