//! Peering joins two VPCs, and nothing beyond them.

use engine::{DropReason, Step, Time};
use model::{Change, Protocol, RouteVia, SubnetId, VpcId};
use wire::build;

use crate::gateways::Gateways;
use crate::lab::{Cloud, Machine, OFFICE, udp};

/// A VPC with one subnet, whose machine lets everybody in.
fn vpc(cloud: &mut Cloud, port: u32, net: u8) -> (VpcId, SubnetId, model::RouteTableId, Machine) {
    let vpc = cloud.vpc(&format!("10.{net}.0.0/16"));
    let subnet = cloud.subnet(vpc, &format!("10.{net}.1.0/24"));
    let table = cloud.table(vpc, subnet);
    let group = cloud.group(vpc, "all", &[(Protocol::All, None, "0.0.0.0/0")]);
    let machine = cloud.machine(port, subnet, &format!("10.{net}.1.10"), &[group], true);
    (vpc, subnet, table, machine)
}

#[test]
fn there_and_back_and_not_beyond() {
    let mut cloud = Cloud::new("000000000000", "eu-west-1");
    let (one, _, table_one, a) = vpc(&mut cloud, 1, 1);
    let (two, _, table_two, b) = vpc(&mut cloud, 2, 2);
    let (three, _, table_three, c) = vpc(&mut cloud, 3, 3);
    let near = cloud.peering(one, two);
    let far = cloud.peering(two, three);
    cloud.route(table_one, "10.2.0.0/16", RouteVia::Peering(near));
    let mut lab = cloud.lab();
    let question = || a.by_router(build::udp(a.ip, b.ip, 5, 53, b"?"));
    let answer = || b.by_router(build::udp(b.ip, a.ip, 53, 5, b"!"));
    assert_eq!(lab.one(a.port, question()), (b.port, b.handed(build::udp(a.ip, b.ip, 5, 53, b"?"))));
    assert_eq!(lab.dropped(b.port, answer()), DropReason::NoRoute, "each side has a route table of its own");
    cloud.route(table_two, "10.1.0.0/16", RouteVia::Peering(near));
    cloud.route(table_two, "10.3.0.0/16", RouteVia::Peering(far));
    cloud.route(table_three, "10.2.0.0/16", RouteVia::Peering(far));
    lab.engine.load(cloud.tables(2));
    assert_eq!(lab.one(b.port, answer()), (a.port, a.handed(build::udp(b.ip, a.ip, 53, 5, b"!"))));
    let explained = lab.engine.explain(Time(0), a.port, question());
    assert!(explained.steps.contains(&Step::Peering { peering: near }), "{:?}", explained.steps);

    // Not transitive: what is beyond the neighbour is nobody's address there.
    cloud.route(table_one, "10.3.0.0/16", RouteVia::Peering(near));
    cloud.route(table_three, "10.1.0.0/16", RouteVia::Peering(far));
    lab.engine.load(cloud.tables(3));
    assert_eq!(lab.dropped(a.port, a.by_router(udp(a.ip, c.ip))), DropReason::NoSuchAddress);
    assert_eq!(lab.dropped(c.port, c.by_router(udp(c.ip, a.ip))), DropReason::NoSuchAddress);
    assert_eq!(lab.one(c.port, c.by_router(udp(c.ip, b.ip))).0, b.port);

    cloud.apply(Change::DeleteVpcPeeringConnection { connection: near, time: 5 });
    lab.engine.load(cloud.tables(4));
    assert_eq!(lab.dropped(a.port, question()), DropReason::Blackhole);
}

#[test]
fn the_neighbours_gateways_are_its_own() {
    let mut net = Gateways::new("aws");
    let (other, _, table, c) = vpc(&mut net.cloud, 20, 9);
    let peering = net.cloud.peering(other, net.vpc);
    net.cloud.route(table, "10.0.0.0/16", RouteVia::Peering(peering));
    net.cloud.route(table, "0.0.0.0/0", RouteVia::Peering(peering));
    net.cloud.route(net.private_table, "10.9.0.0/16", RouteVia::Peering(peering));
    let mut lab = net.lab();
    assert_eq!(lab.dropped(c.port, c.by_router(udp(c.ip, OFFICE))), DropReason::NoSuchAddress);
    assert_eq!(lab.dropped(c.port, c.by_router(udp(c.ip, net.nat.ip))), DropReason::NatFromAfar);
    assert_eq!(lab.one(c.port, c.by_router(udp(c.ip, net.web.ip))).0, net.web.port);
    // Both borders are watched.
    let acl = net.cloud.network_acl(net.vpc, net.public);
    lab.engine.load(net.cloud.tables(2));
    assert_eq!(lab.dropped(c.port, c.by_router(udp(c.ip, net.web.ip))), DropReason::NetworkAclIngress);
    let everything = (Protocol::All, None, "10.9.0.0/16", true);
    net.cloud.acl_entry(acl, model::Direction::Ingress, 1, everything);
    lab.engine.load(net.cloud.tables(3));
    assert_eq!(lab.one(c.port, c.by_router(udp(c.ip, net.web.ip))).0, net.web.port);
}
