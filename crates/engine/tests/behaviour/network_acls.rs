//! Network ACLs: numbered rules at a subnet's border, which remember nothing.

use engine::{DropReason, Engine, METADATA, Step, Time};
use model::{Change, Direction, Peer, Protocol};
use wire::build;

use crate::gateways::{ACK, ELASTIC, Gateways, SYN, SYN_ACK, source_port};
use crate::lab::{OFFICE, SERVICES, UPLINK, from_office, udp};

const IN: Direction = Direction::Ingress;
const OUT: Direction = Direction::Egress;
const ALL: (Protocol, Option<(u16, u16)>, &str, bool) = (Protocol::All, None, "0.0.0.0/0", true);

#[test]
fn only_the_border_is_watched() {
    let mut net = Gateways::new("aws");
    net.cloud.network_acl(net.vpc, net.private);
    let mut lab = net.lab();
    let (a, b, web) = (&net.a, &net.b, &net.web);
    assert_eq!(lab.one(a.port, a.by_neighbor(b, udp(a.ip, b.ip))).0, b.port);
    assert_eq!(lab.one(a.port, a.by_router(udp(a.ip, b.ip))).0, b.port, "by the router is no border either");
    assert_eq!(lab.dropped(a.port, a.by_router(udp(a.ip, web.ip))), DropReason::NetworkAclEgress);
    assert_eq!(lab.dropped(a.port, a.by_router(udp(a.ip, OFFICE))), DropReason::NetworkAclEgress);
    assert_eq!(lab.dropped(web.port, web.by_router(udp(web.ip, a.ip))), DropReason::NetworkAclIngress);
    // The VPC's own services stand on neither side of it.
    let metadata = a.by_router(build::tcp(a.ip, METADATA, 5, 80, SYN, b""));
    assert_eq!(lab.one(a.port, metadata).0, SERVICES);
}

#[test]
fn the_lowest_number_decides() {
    let mut net = Gateways::new("aws");
    let acl = net.cloud.network_acl(net.vpc, net.private);
    net.cloud.acl_entry(acl, OUT, 200, ALL);
    net.cloud.acl_entry(acl, OUT, 100, (Protocol::Tcp, Some((80, 90)), "10.0.2.80/32", false));
    net.cloud.acl_entry(acl, OUT, 50, (Protocol::Tcp, Some((85, 85)), "10.0.2.0/24", true));
    let mut lab = net.lab();
    let (a, web) = (&net.a, &net.web);
    for (port, passes) in
        [(79, true), (80, false), (84, false), (85, true), (86, false), (90, false), (91, true)]
    {
        let frame = a.by_router(build::tcp(a.ip, web.ip, 5, port, SYN, b""));
        match passes {
            true => assert_eq!(lab.one(a.port, frame).0, web.port, "{port}"),
            false => assert_eq!(lab.dropped(a.port, frame), DropReason::NetworkAclEgress, "{port}"),
        }
    }
    let frame = a.by_router(build::udp(a.ip, web.ip, 5, 80, b""));
    assert_eq!(lab.one(a.port, frame).0, web.port, "another protocol");
}

#[test]
fn answers_need_a_rule_of_their_own() {
    let mut net = Gateways::new("aws");
    let acl = net.cloud.network_acl(net.vpc, net.private);
    net.cloud.acl_entry(acl, OUT, 100, (Protocol::Tcp, Some((443, 443)), "0.0.0.0/0", true));
    let mut lab = net.lab();
    let (a, web) = (net.a.clone(), net.web.clone());
    let question = a.by_router(build::tcp(a.ip, web.ip, 5000, 443, SYN, b""));
    let answer = web.by_router(build::tcp(web.ip, a.ip, 443, 5000, SYN_ACK, b""));
    lab.one(a.port, question.clone());
    assert_eq!(lab.dropped(web.port, answer.clone()), DropReason::NetworkAclIngress);
    net.cloud.acl_entry(acl, IN, 100, (Protocol::Tcp, Some((1024, 65535)), "0.0.0.0/0", true));
    lab.engine.load(net.cloud.tables(2));
    assert_eq!(lab.one(web.port, answer.clone()).0, a.port);
    // A connection that everybody knows ends where a rule does.
    let direction = OUT;
    net.cloud.apply(Change::DeleteNetworkAclEntry { acl, direction, number: 100 });
    lab.engine.load(net.cloud.tables(3));
    let more = a.by_router(build::tcp(a.ip, web.ip, 5000, 443, ACK, b""));
    assert_eq!(lab.dropped(a.port, more), DropReason::NetworkAclEgress);
    assert_eq!(lab.one(web.port, answer).0, a.port, "the other direction has its own");
}

#[test]
fn icmp_by_type_and_code() {
    let mut net = Gateways::new("aws");
    let acl = net.cloud.network_acl(net.vpc, net.private);
    net.cloud.acl_entry(acl, OUT, 100, (Protocol::Icmp, Some((8, u16::MAX)), "0.0.0.0/0", true));
    net.cloud.acl_entry(acl, OUT, 110, (Protocol::Udp, Some((0, 65535)), "0.0.0.0/0", true));
    net.cloud.acl_entry(acl, IN, 100, (Protocol::Icmp, Some((0, 0)), "0.0.0.0/0", true));
    net.cloud.acl_entry(acl, IN, 110, (Protocol::Icmp, Some((3, 3)), "0.0.0.0/0", true));
    let mut lab = net.lab();
    let (a, web) = (&net.a, &net.web);
    let echo = |src, dst, request| build::echo(src, dst, request, 7, 1, b"");
    lab.one(a.port, a.by_router(echo(a.ip, web.ip, true)));
    assert_eq!(lab.one(web.port, web.by_router(echo(web.ip, a.ip, false))).0, a.port);
    assert_eq!(lab.dropped(web.port, web.by_router(echo(web.ip, a.ip, true))), DropReason::NetworkAclIngress);
    let (_, sent) = lab.one(a.port, a.by_router(udp(a.ip, web.ip)));
    let error = |code| web.by_router(build::icmp_error(web.ip, a.ip, 3, code, &sent.bytes[14..]));
    assert_eq!(lab.one(web.port, error(3)).0, a.port);
    assert_eq!(lab.dropped(web.port, error(1)), DropReason::NetworkAclIngress);
}

#[test]
fn each_family_has_its_rules() {
    let mut net = Gateways::new("aws");
    let acl = net.cloud.network_acl(net.vpc, net.private);
    net.cloud.allow(net.inside, IN, Protocol::All, None, Peer::Cidr6("::/0".parse().unwrap()));
    net.cloud.acl_entry(acl, OUT, 100, ALL);
    let mut lab = net.lab();
    let (a, web) = (&net.a, &net.web);
    let ping = || a.by_router(build::echo(net.a6, net.web6, true, 7, 1, b""));
    assert_eq!(lab.dropped(a.port, ping()), DropReason::NetworkAclEgress);
    net.cloud.acl_entry(acl, OUT, 101, (Protocol::Icmpv6, Some((128, 0)), "2001:db8:0:102::/64", true));
    let open = net.cloud.region.interfaces()[&web.key.interface].groups[0];
    net.cloud.allow(open, IN, Protocol::Icmpv6, Some((-1, -1)), Peer::Cidr6("::/0".parse().unwrap()));
    lab.engine.load(net.cloud.tables(2));
    assert_eq!(lab.one(a.port, ping()).0, web.port);
    let other = a.by_router(build::udp(net.a6, net.web6, 5, 7, b""));
    assert_eq!(lab.dropped(a.port, other), DropReason::NetworkAclEgress);
}

#[test]
fn a_nat_gateway_has_a_border_on_both_its_sides() {
    let net = Gateways::new("aws");
    let a = &net.a;
    let mut engine = Engine::imagine(net.cloud.tables(1));
    let there = engine.explain(Time(0), a.port, a.by_router(udp(a.ip, OFFICE)));
    let external = source_port(&there.sent[0].1);
    let back =
        engine.explain(Time(0), UPLINK, from_office(build::udp(OFFICE, ELASTIC, 33434, external, b"")));
    let borders = |steps: &[Step]| {
        let border = |step: &Step| match step {
            Step::NetworkAcl { subnet, direction, .. } => Some((*subnet, *direction)),
            _ => None,
        };
        steps.iter().filter_map(border).collect::<Vec<_>>()
    };
    let (inward, outward) = (engine::Direction::Ingress, engine::Direction::Egress);
    let [private, public] = [net.private, net.public];
    assert_eq!(borders(&there.steps), [(private, outward), (public, inward), (public, outward)]);
    assert_eq!(borders(&back.steps), [(public, inward), (public, outward), (private, inward)]);
}

#[test]
fn the_gateways_subnet_sees_both_faces_of_a_packet() {
    let mut net = Gateways::new("aws");
    let acl = net.cloud.network_acl(net.vpc, net.public);
    net.cloud.acl_entry(acl, IN, 100, (Protocol::All, None, "10.0.1.0/24", true));
    net.cloud.acl_entry(acl, OUT, 100, (Protocol::Udp, Some((53, 53)), "198.51.100.0/24", true));
    let a = net.a.clone();
    let mut lab = net.lab();
    let question = |port| a.by_router(build::udp(a.ip, OFFICE, 5, port, b"?"));
    let (_, left) = lab.one(a.port, question(53));
    assert_eq!(lab.dropped(a.port, question(54)), DropReason::NetworkAclEgress);
    let counted = net.counted(&lab);
    assert_eq!(
        (counted.in_from_source.packets, counted.packets_dropped),
        (2, 1),
        "it had come to the gateway"
    );
    let answer = || from_office(build::udp(OFFICE, ELASTIC, 53, source_port(&left), b"!"));
    assert_eq!(lab.dropped(UPLINK, answer()), DropReason::NetworkAclIngress);
    net.cloud.acl_entry(acl, IN, 110, (Protocol::Udp, Some((1024, 65535)), "198.51.100.0/24", true));
    lab.engine.load(net.cloud.tables(2));
    assert_eq!(lab.dropped(UPLINK, answer()), DropReason::NetworkAclEgress, "towards the private subnet");
    net.cloud.acl_entry(acl, OUT, 110, (Protocol::Udp, Some((5, 5)), "10.0.1.0/24", true));
    lab.engine.load(net.cloud.tables(3));
    assert_eq!(lab.one(UPLINK, answer()).0, a.port);
}
