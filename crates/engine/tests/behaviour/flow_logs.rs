//! What flow logs tell: who is seen at which interface, what the rules say, and how much it was.

use std::collections::BTreeMap;

use engine::{Direction as Way, Engine, METADATA, Time};
use model::{
    Change, Direction, FlowLogResource, LogFormat, NewFlowLog, Protocol, RouteVia, Tags, TrafficType,
};
use wire::{Frame, Offload, TcpFlags, build, fragment};

use crate::gateways::{ACK, ELASTIC, Gateways, SYN, SYN_ACK, far_router, parsed, quote, source_port};
use crate::lab::{Cloud, Lab, OFFICE, UPLINK, from_office, ip, udp};

const FIN: TcpFlags = TcpFlags(TcpFlags::FIN.0 | TcpFlags::ACK.0);

fn log(cloud: &mut Cloud, resource: FlowLogResource) {
    cloud.apply(Change::CreateFlowLog(NewFlowLog {
        resource,
        traffic: TrafficType::All,
        interval: 60,
        format: LogFormat::default(),
        destination: "arn:aws:s3:::flows".parse().unwrap(),
        hive_compatible: false,
        per_hour: false,
        time: 0,
        tags: Tags::new(),
    }));
}

/// The network with a log of everything in it.
fn logged() -> Gateways {
    let mut net = Gateways::new("aws");
    let vpc = FlowLogResource::Vpc(net.vpc);
    log(&mut net.cloud, vpc);
    net
}

/// Each record: whose, which way, what the rules say, srcaddr > dstaddr (pkt-srcaddr > pkt-dstaddr) protocol and
/// ports, packets/bytes, flags, path.
fn taken(net: &Gateways, lab: &mut Lab) -> Vec<String> {
    let names: BTreeMap<_, _> =
        [(&net.a.key, "a"), (&net.b.key, "b"), (&net.web.key, "web"), (&net.nat.key, "nat")].into();
    let records = lab.engine.take_flow_records();
    assert!(records.skipped.is_empty());
    let line = |(flow, seen): &(engine::Flow, engine::Seen)| {
        let way = if flow.direction == Way::Egress { "out" } else { "in" };
        let verdict = if flow.accepted { "ACCEPT" } else { "REJECT" };
        let path = flow.path.map_or_else(|| "-".to_owned(), |path| (path as u8).to_string());
        let (name, ports) = (names[&*flow.interface], format!("{}>{}", flow.src_port, flow.dst_port));
        format!(
            "{name} {way} {verdict} {}>{} ({}>{}) {} {ports} {}/{} {} {path}",
            flow.srcaddr(),
            flow.dstaddr(),
            flow.src,
            flow.dst,
            flow.protocol,
            seen.packets,
            seen.bytes,
            seen.tcp_flags
        )
    };
    let mut lines: Vec<_> = records.flows.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn a_connection_is_seen_at_both_ends_with_its_flags() {
    let net = logged();
    let mut lab = net.lab();
    let (a, web) = (&net.a, &net.web);
    let there = |flags, payload: &[u8]| a.by_router(build::tcp(a.ip, web.ip, 5000, 80, flags, payload));
    let back = |flags, payload: &[u8]| web.by_router(build::tcp(web.ip, a.ip, 80, 5000, flags, payload));
    for (date, port, frame) in [
        (100, a.port, there(SYN, b"")),
        (101, web.port, back(SYN_ACK, b"")),
        (102, a.port, there(ACK, &[7; 100])),
        (103, web.port, back(ACK, &[7; 1000])),
        (104, a.port, there(FIN, b"")),
    ] {
        lab.engine.set_date(date);
        lab.one(port, frame);
    }
    let times = lab.engine.clone().take_flow_records();
    let times = |way| {
        let seen = times.flows.iter().filter(|(flow, _)| flow.direction == way);
        seen.map(|(_, seen)| (seen.first, seen.last)).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(times(Way::Egress), [(100, 104), (101, 103)].into());
    assert_eq!(times(Way::Ingress), times(Way::Egress));
    assert_eq!(
        taken(&net, &mut lab),
        [
            "a in ACCEPT 10.0.2.80>10.0.1.10 (10.0.2.80>10.0.1.10) 6 80>5000 2/1080 18 -",
            "a out ACCEPT 10.0.1.10>10.0.2.80 (10.0.1.10>10.0.2.80) 6 5000>80 3/220 3 1",
            "web in ACCEPT 10.0.1.10>10.0.2.80 (10.0.1.10>10.0.2.80) 6 5000>80 3/220 3 -",
            "web out ACCEPT 10.0.2.80>10.0.1.10 (10.0.2.80>10.0.1.10) 6 80>5000 2/1080 18 1",
        ]
    );
    assert!(taken(&net, &mut lab).is_empty());
    // What is known already is counted as well.
    lab.one(a.port, there(ACK, b""));
    assert_eq!(taken(&net, &mut lab).len(), 2);
}

#[test]
fn nothing_is_counted_without_a_log_and_everything_once_there_is_one() {
    let mut net = Gateways::new("aws");
    let mut lab = net.lab();
    let (a, web) = (net.a.clone(), net.web.clone());
    let send = |lab: &mut Lab| lab.one(a.port, a.by_router(udp(a.ip, web.ip)));
    send(&mut lab);
    assert!(!lab.engine.keeps_flow_logs());
    assert!(taken(&net, &mut lab).is_empty());
    let public = FlowLogResource::Subnet(net.public);
    log(&mut net.cloud, public);
    lab.engine.load(net.cloud.tables(2));
    assert!(lab.engine.keeps_flow_logs());
    for _ in 0..3 {
        send(&mut lab);
    }
    let expected = ["web in ACCEPT 10.0.1.10>10.0.2.80 (10.0.1.10>10.0.2.80) 17 40000>33434 3/99 0 -"];
    assert_eq!(taken(&net, &mut lab), expected);
    let flow_log = *net.cloud.region.flow_logs().keys().next().unwrap();
    net.cloud.apply(Change::DeleteFlowLog { flow_log });
    lab.engine.load(net.cloud.tables(3));
    send(&mut lab);
    assert!(taken(&net, &mut lab).is_empty());
}

#[test]
fn who_refuses_is_who_tells() {
    let mut net = logged();
    let outside = |lab: &mut Lab, net: &Gateways| {
        lab.dropped(net.web.port, net.web.by_router(udp(net.web.ip, net.a.ip)));
    };
    // The receiver's security group: it lets in what comes from the VPC, and b is asked to let nothing in.
    net.cloud.revoke_all(net.inside, Direction::Ingress);
    let mut lab = net.lab();
    outside(&mut lab, &net);
    let sent = "web out ACCEPT 10.0.2.80>10.0.1.10 (10.0.2.80>10.0.1.10) 17 40000>33434 1/33 0 1";
    let refused = "a in REJECT 10.0.2.80>10.0.1.10 (10.0.2.80>10.0.1.10) 17 40000>33434 1/33 0 -";
    assert_eq!(taken(&net, &mut lab), [refused, sent]);
    // The network ACL of the receiver's subnet.
    let acl = net.cloud.network_acl(net.vpc, net.private);
    lab.engine.load(net.cloud.tables(2));
    outside(&mut lab, &net);
    assert_eq!(taken(&net, &mut lab), [refused, sent]);
    // That of the sender's.
    let (a, web) = (&net.a, &net.web);
    lab.dropped(a.port, a.by_router(udp(a.ip, web.ip)));
    let refused = ["a out REJECT 10.0.1.10>10.0.2.80 (10.0.1.10>10.0.2.80) 17 40000>33434 1/33 0 1"];
    assert_eq!(taken(&net, &mut lab), refused);
    // The sender's security group.
    let all = (Protocol::All, None, "0.0.0.0/0", true);
    net.cloud.acl_entry(acl, Direction::Egress, 1, all);
    net.cloud.revoke_all(net.inside, Direction::Egress);
    lab.engine.load(net.cloud.tables(3));
    let (a, web) = (&net.a, &net.web);
    lab.dropped(a.port, a.by_router(udp(a.ip, web.ip)));
    let refused = ["a out REJECT 10.0.1.10>10.0.2.80 (10.0.1.10>10.0.2.80) 17 40000>33434 1/33 0 -"];
    assert_eq!(taken(&net, &mut lab), refused);
}

#[test]
fn what_no_rule_refuses_was_accepted() {
    let net = logged();
    let mut lab = net.lab();
    let (a, web) = (&net.a, &net.web);
    lab.dropped(a.port, a.by_router(udp(a.ip, ip("10.0.1.77"))));
    let expected = ["a out ACCEPT 10.0.1.10>10.0.1.77 (10.0.1.10>10.0.1.77) 17 40000>33434 1/33 0 1"];
    assert_eq!(taken(&net, &mut lab), expected, "nobody has the address");
    // It never was the interface's.
    lab.dropped(a.port, a.by_router(udp(web.ip, OFFICE)));
    assert!(taken(&net, &mut lab).is_empty());
}

#[test]
fn through_a_nat_gateway_it_is_seen_four_times() {
    let net = logged();
    let mut lab = net.lab();
    let a = &net.a;
    let (_, left) = lab.one(a.port, a.by_router(build::udp(a.ip, OFFICE, 5000, 53, b"four")));
    lab.one(a.port, a.by_router(build::udp(a.ip, OFFICE, 5000, 53, b"four")));
    let port = source_port(&left);
    lab.one(UPLINK, from_office(build::udp(OFFICE, ELASTIC, 53, port, b"")));
    assert_eq!(
        taken(&net, &mut lab),
        [
            "a in ACCEPT 198.51.100.8>10.0.1.10 (198.51.100.8>10.0.1.10) 17 53>5000 1/28 0 -".to_owned(),
            "a out ACCEPT 10.0.1.10>198.51.100.8 (10.0.1.10>198.51.100.8) 17 5000>53 2/64 0 1".to_owned(),
            "nat in ACCEPT 10.0.1.10>10.0.2.5 (10.0.1.10>198.51.100.8) 17 5000>53 2/64 0 -".to_owned(),
            format!("nat in ACCEPT 198.51.100.8>10.0.2.5 (198.51.100.8>10.0.2.5) 17 53>{port} 1/28 0 -"),
            "nat out ACCEPT 10.0.2.5>10.0.1.10 (198.51.100.8>10.0.1.10) 17 53>5000 1/28 0 1".to_owned(),
            format!("nat out ACCEPT 10.0.2.5>198.51.100.8 (10.0.2.5>198.51.100.8) 17 {port}>53 2/64 0 8"),
        ]
    );
    // Nobody has asked for this: it is accepted by all rules, and goes nowhere.
    lab.dropped(UPLINK, from_office(build::udp(OFFICE, ELASTIC, 53, 999, b"")));
    let expected = ["nat in ACCEPT 198.51.100.8>10.0.2.5 (198.51.100.8>10.0.2.5) 17 53>999 1/28 0 -"];
    assert_eq!(taken(&net, &mut lab), expected);
}

#[test]
fn a_network_acl_at_the_nat_gateway_is_told_there() {
    let mut net = logged();
    let acl = net.cloud.network_acl(net.vpc, net.public);
    let mut lab = net.lab();
    let send = |lab: &mut Lab, net: &Gateways| {
        lab.dropped(net.a.port, net.a.by_router(udp(net.a.ip, OFFICE)));
    };
    send(&mut lab, &net);
    let sent = "a out ACCEPT 10.0.1.10>198.51.100.8 (10.0.1.10>198.51.100.8) 17 40000>33434 1/33 0 1";
    assert_eq!(
        taken(&net, &mut lab),
        [sent, "nat in REJECT 10.0.1.10>10.0.2.5 (10.0.1.10>198.51.100.8) 17 40000>33434 1/33 0 -"]
    );
    net.cloud.acl_entry(acl, Direction::Ingress, 1, (Protocol::All, None, "0.0.0.0/0", true));
    lab.engine.load(net.cloud.tables(2));
    send(&mut lab, &net);
    let lines = taken(&net, &mut lab);
    assert_eq!(
        lines[..2],
        [sent, "nat in ACCEPT 10.0.1.10>10.0.2.5 (10.0.1.10>198.51.100.8) 17 40000>33434 1/33 0 -"]
    );
    assert!(lines[2].starts_with("nat out REJECT 10.0.2.5>198.51.100.8"), "{lines:?}");
}

#[test]
fn icmp_has_no_ports_and_errors_are_packets_too() {
    let net = logged();
    let mut lab = net.lab();
    let (a, web) = (&net.a, &net.web);
    for id in [1, 2] {
        lab.one(a.port, a.by_router(build::echo(a.ip, web.ip, true, id, 1, &[7; 56])));
    }
    assert_eq!(
        taken(&net, &mut lab),
        [
            "a out ACCEPT 10.0.1.10>10.0.2.80 (10.0.1.10>10.0.2.80) 1 0>0 2/168 0 1",
            "web in ACCEPT 10.0.1.10>10.0.2.80 (10.0.1.10>10.0.2.80) 1 0>0 2/168 0 -",
        ]
    );
    let (_, left) = lab.one(web.port, web.by_router(udp(web.ip, OFFICE)));
    taken(&net, &mut lab);
    let error = build::icmp_error(far_router(), parsed(&left).src(), 3, 1, quote(&left));
    lab.one(UPLINK, from_office(error));
    let expected = ["web in ACCEPT 192.0.2.1>10.0.2.80 (192.0.2.1>10.0.2.80) 1 0>0 1/61 0 -"];
    assert_eq!(taken(&net, &mut lab), expected);
}

#[test]
fn the_vpc_s_own_services_are_not_told_of() {
    let net = logged();
    let mut lab = net.lab();
    let a = &net.a;
    lab.one(a.port, a.by_router(build::tcp(a.ip, METADATA, 5, 80, SYN, b"")));
    lab.one(a.port, a.by_router(build::udp(a.ip, ip("10.0.0.2"), 5, 53, b"")));
    lab.dropped(a.port, a.by_router(build::udp(a.ip, ip("169.254.169.123"), 5, 123, b"")));
    lab.dropped(a.port, a.by_router(build::echo(a.ip, ip("10.0.1.1"), true, 1, 1, b"")));
    assert!(taken(&net, &mut lab).is_empty());
    // Other servers are nobody's but their own.
    lab.one(a.port, a.by_router(build::udp(a.ip, OFFICE, 5, 53, b"")));
    assert_eq!(taken(&net, &mut lab).len(), 3);
}

#[test]
fn a_frame_that_is_cut_counts_as_what_it_becomes() {
    let net = logged();
    let mut lab = net.lab();
    let (a, b) = (&net.a, &net.b);
    let mut big = build::tcp(a.ip, b.ip, 5, 7, ACK, &[7; 3000]).with_partial_checksum();
    big.offload = Offload { gso_type: 1, gso_size: 1448, ..big.offload };
    lab.one(a.port, a.by_neighbor(b, big));
    let whole = build::udp(a.ip, b.ip, 5, 7, &[7; 2500]).with_dont_fragment(false);
    for part in fragment::split(&whole, &parsed(&whole), 1000) {
        lab.one(a.port, a.by_neighbor(b, part));
    }
    assert_eq!(
        taken(&net, &mut lab),
        [
            "a out ACCEPT 10.0.1.10>10.0.1.11 (10.0.1.10>10.0.1.11) 17 5>7 3/2568 0 1",
            "a out ACCEPT 10.0.1.10>10.0.1.11 (10.0.1.10>10.0.1.11) 6 5>7 3/3120 0 1",
            "b in ACCEPT 10.0.1.10>10.0.1.11 (10.0.1.10>10.0.1.11) 17 5>7 3/2568 0 -",
            "b in ACCEPT 10.0.1.10>10.0.1.11 (10.0.1.10>10.0.1.11) 6 5>7 3/3120 0 -",
        ]
    );
}

#[test]
fn ipv6_and_its_translation() {
    let mut net = logged();
    net.cloud.route(net.private_table, "64:ff9b::/96", RouteVia::NatGateway(net.nat.id));
    let mut lab = net.lab();
    let a = &net.a;
    let office = wire::nat64::embed(wire::nat64::WELL_KNOWN_PREFIX, 96, OFFICE).unwrap();
    let frame: Frame = build::udp(net.a6, office, 5000, 53, b"four");
    let (_, left) = lab.one(a.port, a.by_router(frame));
    let port = source_port(&left);
    assert_eq!(
        taken(&net, &mut lab),
        [
            "a out ACCEPT 2001:db8:0:101::10>64:ff9b::c633:6408 (2001:db8:0:101::10>64:ff9b::c633:6408) 17 5000>53 \
             1/52 0 1"
                .to_owned(),
            "nat in ACCEPT 2001:db8:0:101::10>64:ff9b::c633:6408 (2001:db8:0:101::10>64:ff9b::c633:6408) 17 5000>53 \
             1/52 0 -"
                .to_owned(),
            format!("nat out ACCEPT 10.0.2.5>198.51.100.8 (10.0.2.5>198.51.100.8) 17 {port}>53 1/32 0 8"),
        ]
    );
}

#[test]
fn an_imagined_packet_is_not_counted() {
    let net = logged();
    let mut lab = net.lab();
    let a = &net.a;
    let mut imagined = Engine::imagine(lab.engine.tables().clone());
    imagined.explain(Time(0), a.port, a.by_router(udp(a.ip, OFFICE)));
    assert!(taken(&net, &mut lab).is_empty());
}
