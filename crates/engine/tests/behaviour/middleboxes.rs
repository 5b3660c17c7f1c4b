//! Route tables of internet gateways: what comes in goes by a middlebox first; and routes by prefix lists.

use engine::{DropReason, Step, Time};
use model::{Change, Destination, Protocol, RouteTableId, RouteVia, Tags};
use wire::{Frame, build};

use crate::gateways::{ACK, ELASTIC, Gateways, SYN, SYN_ACK, WEB_ELASTIC, source_port};
use crate::lab::{Machine, OFFICE, UPLINK, from_office, to_office, udp};

/// What comes for the public subnet goes by a middlebox in a subnet of its own, and what goes out too.
fn with_middlebox() -> (Gateways, Machine, RouteTableId) {
    let mut net = Gateways::new("aws");
    let RouteVia::InternetGateway(gateway) = net.igw else { panic!() };
    let subnet = net.cloud.subnet(net.vpc, "10.0.9.0/24");
    let group = net.cloud.group(net.vpc, "middle", &[(Protocol::All, None, "0.0.0.0/0")]);
    let middlebox = net.cloud.machine(20, subnet, "10.0.9.9", &[group], false);
    let table = net.cloud.table(net.vpc, subnet);
    net.cloud.route(table, "0.0.0.0/0", net.igw);
    let change = Change::CreateRouteTable { vpc: net.vpc, tags: Tags::new() };
    let model::Applied::RouteTable(edge) = net.cloud.apply(change) else { panic!() };
    net.cloud.apply(Change::AssociateGatewayRouteTable { table: edge, gateway });
    let by = RouteVia::Interface(middlebox.key.interface);
    net.cloud.route(edge, "10.0.2.0/24", by);
    let destination = "0.0.0.0/0".parse().unwrap();
    net.cloud.apply(Change::ReplaceRoute { table: net.public_table, destination, target: by });
    (net, middlebox, edge)
}

/// The frame as the middlebox sends it on.
fn sent_on(middlebox: &Machine, frame: Frame) -> Frame {
    middlebox.by_router(frame)
}

#[test]
fn what_comes_in_goes_by_the_middlebox() {
    let (net, middlebox, edge) = with_middlebox();
    let web = &net.web;
    let mut lab = net.lab();
    let syn = from_office(build::tcp(OFFICE, WEB_ELASTIC, 5, 80, SYN, b""));
    let explained = lab.engine.explain(Time(0), UPLINK, syn.clone());
    let by_edge = |step: &Step| matches!(step, Step::EdgeRoute { table, .. } if *table == edge);
    assert!(explained.steps.iter().any(by_edge), "{:?}", explained.steps);
    let (port, arrived) = lab.one(UPLINK, syn);
    let translated = build::tcp(OFFICE, web.ip, 5, 80, SYN, b"");
    assert_eq!((port, &arrived), (middlebox.port, &middlebox.handed(translated.clone())));
    assert_eq!(lab.one(middlebox.port, sent_on(&middlebox, arrived)), (web.port, web.handed(translated)));
    // Back the same way: the address of the server is translated though the middlebox sends it.
    let answer = build::tcp(web.ip, OFFICE, 80, 5, SYN_ACK, b"");
    let (port, arrived) = lab.one(web.port, web.by_router(answer));
    assert_eq!(port, middlebox.port);
    let expected = to_office(build::tcp(WEB_ELASTIC, OFFICE, 80, 5, SYN_ACK, b""));
    assert_eq!(lab.one(middlebox.port, sent_on(&middlebox, arrived)), (UPLINK, expected));
}

#[test]
fn the_nat_gateway_behind_a_middlebox_too() {
    let (net, middlebox, _) = with_middlebox();
    let (a, mut lab) = (&net.a, net.lab());
    let (port, frame) = lab.one(a.port, a.by_router(build::udp(a.ip, OFFICE, 5, 53, b"?")));
    assert_eq!(port, middlebox.port);
    let (port, left) = lab.one(middlebox.port, sent_on(&middlebox, frame));
    let external = source_port(&left);
    let expected = build::udp(ELASTIC, OFFICE, external, 53, b"?").with_ttl(63);
    assert_eq!((port, left), (UPLINK, to_office(expected)));
    let answer = from_office(build::udp(OFFICE, ELASTIC, 53, external, b"!"));
    let (port, frame) = lab.one(UPLINK, answer);
    assert_eq!(port, middlebox.port);
    let expected = a.handed(build::udp(OFFICE, a.ip, 53, 5, b"!").with_ttl(63));
    assert_eq!(lab.one(middlebox.port, sent_on(&middlebox, frame)), (a.port, expected));
}

#[test]
fn a_middlebox_that_is_gone_drops_what_comes_in() {
    let (mut net, middlebox, edge) = with_middlebox();
    net.cloud.stop(middlebox.instance);
    let mut lab = net.lab();
    let syn = || from_office(build::tcp(OFFICE, WEB_ELASTIC, 5, 80, SYN, b""));
    assert_eq!(lab.dropped(UPLINK, syn()), DropReason::Blackhole);
    net.cloud.apply(Change::DeleteRoute { table: edge, destination: "10.0.2.0/24".parse().unwrap() });
    lab.engine.load(net.cloud.tables(2));
    assert_eq!(lab.one(UPLINK, syn()).0, net.web.port, "by the local route");
}

#[test]
fn a_middlebox_in_the_subnet_that_it_guards_gets_its_own_packets_back() {
    let (mut net, _, _) = with_middlebox();
    let group = net.cloud.region.interfaces()[&net.web.key.interface].groups[0];
    let inside = net.cloud.machine(21, net.public, "10.0.2.9", &[group], false);
    let destination = "0.0.0.0/0".parse().unwrap();
    let target = RouteVia::Interface(inside.key.interface);
    net.cloud.apply(Change::ReplaceRoute { table: net.public_table, destination, target });
    let mut lab = net.lab();
    let (port, frame) = lab.one(net.web.port, net.web.by_router(udp(net.web.ip, OFFICE)));
    assert_eq!(port, inside.port);
    assert_eq!(lab.dropped(inside.port, inside.by_router(frame)), DropReason::RouteLeadsBack);
}

#[test]
fn a_prefix_list_is_many_routes_and_yields_to_one() {
    let mut net = Gateways::new("aws");
    let list = net.cloud.prefix_list(&["198.51.100.0/24", "192.0.2.0/24"]);
    let (table, target) = (net.private_table, RouteVia::Instance(net.web.instance));
    net.cloud.apply(Change::CreateRoute { table, destination: Destination::PrefixList(list), target });
    let mut lab = net.lab();
    let a = &net.a;
    // Longer than the default route: by the list to the web server, which takes only what is for itself.
    let packet = || a.by_router(build::tcp(a.ip, OFFICE, 5, 80, ACK, b""));
    assert_eq!(lab.dropped(a.port, packet()), DropReason::DestinationCheck);
    // As long as the list's entry: a route to a block of addresses wins.
    net.cloud.route(net.private_table, "198.51.100.0/24", RouteVia::NatGateway(net.nat.id));
    lab.engine.load(net.cloud.tables(2));
    assert_eq!(lab.one(a.port, a.by_router(udp(a.ip, OFFICE))).0, UPLINK);
    let (current_version, add) = (Some(1), vec![]);
    let remove = vec!["192.0.2.0/24".parse().unwrap()];
    let far = || a.by_router(udp(a.ip, "192.0.2.9".parse().unwrap()));
    assert_eq!(lab.dropped(a.port, far()), DropReason::DestinationCheck);
    net.cloud.apply(Change::ModifyManagedPrefixList {
        list,
        current_version,
        name: None,
        max_entries: None,
        add,
        remove,
    });
    lab.engine.load(net.cloud.tables(3));
    assert_eq!(lab.dropped(a.port, far()), DropReason::NoInternetHost, "by the default route now");
}
