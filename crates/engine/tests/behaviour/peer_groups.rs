//! Rules about groups of a peer VPC: they know the members across the connection, and in no other way.

use std::net::IpAddr;

use engine::{DropReason, Engine, PortId, Time};
use model::{
    Change, Direction, InterfaceAttribute, Peer, Protocol, RouteTableId, RouteVia, SecurityGroupId, SubnetId,
    VpcId, VpcPeeringConnectionId,
};
use wire::{Frame, TcpFlags, build};

use crate::lab::{Cloud, Lab, Machine, OFFICE6, ip6};

/// Two VPCs that are joined. In the far one a friend, who is a member of the group that the near one's rule is about, and
/// a stranger, who is not.
struct Joined {
    cloud: Cloud,
    near: Side,
    far: Side,
    peering: VpcPeeringConnectionId,
    web: Machine,
    web_group: SecurityGroupId,
    friend: Machine,
    friends: SecurityGroupId,
    stranger: Machine,
}

struct Side {
    vpc: VpcId,
    subnet: SubnetId,
    table: RouteTableId,
}

const WEB6: &str = "2001:db8:1:1::10";
const FRIEND6: &str = "2001:db8:2:1::10";
const STRANGER6: &str = "2001:db8:2:1::11";

fn side(cloud: &mut Cloud, net: u8) -> Side {
    let vpc = cloud.vpc(&format!("10.{net}.0.0/16"));
    let subnet = cloud.subnet(vpc, &format!("10.{net}.1.0/24"));
    Side { vpc, subnet, table: cloud.table(vpc, subnet) }
}

impl Joined {
    fn new() -> Joined {
        let mut cloud = Cloud::new("000000000000", "eu-west-1");
        let (near, far) = (side(&mut cloud, 1), side(&mut cloud, 2));
        cloud.ipv6(near.vpc, "2001:db8:1::/56", &[(near.subnet, "2001:db8:1:1::/64")]);
        cloud.ipv6(far.vpc, "2001:db8:2::/56", &[(far.subnet, "2001:db8:2:1::/64")]);
        let peering = cloud.peering(near.vpc, far.vpc);
        for (table, others, others6) in
            [(near.table, "10.2.0.0/16", "2001:db8:2::/56"), (far.table, "10.1.0.0/16", "2001:db8:1::/56")]
        {
            cloud.route(table, others, RouteVia::Peering(peering));
            cloud.route(table, others6, RouteVia::Peering(peering));
        }
        let web_group = cloud.group(near.vpc, "web", &[]);
        let friends = cloud.group(far.vpc, "friends", &[]);
        let strangers = cloud.group(far.vpc, "strangers", &[]);
        cloud.allow(web_group, Direction::Ingress, Protocol::All, None, Peer::Group(friends));
        let web = cloud.machine(1, near.subnet, "10.1.1.10", &[web_group], true);
        let friend = cloud.machine(2, far.subnet, "10.2.1.10", &[friends], true);
        let stranger = cloud.machine(3, far.subnet, "10.2.1.11", &[strangers], false);
        for (machine, address) in [(&web, WEB6), (&friend, FRIEND6), (&stranger, STRANGER6)] {
            cloud.ipv6_address(machine, address);
        }
        Joined { cloud, near, far, peering, web, web_group, friend, friends, stranger }
    }

    fn to_web(&self, from: &Machine) -> Frame {
        from.by_router(ping(from.ip.into(), self.web.ip.into()))
    }

    fn to_web6(&self, from: &Machine, address: &str) -> Frame {
        from.by_router(ping(ip6(address).into(), ip6(WEB6).into()))
    }
}

fn ping(from: IpAddr, to: IpAddr) -> Frame {
    build::echo(from, to, true, 7, 1, b"")
}

fn reaches(lab: &mut Lab, from: PortId, frame: Frame, port: PortId) {
    assert_eq!(lab.one(from, frame).0, port);
}

#[test]
fn members_are_let_in_across_the_connection_and_others_are_not() {
    let net = Joined::new();
    let mut lab = net.cloud.lab();
    let (friend, stranger, web) = (&net.friend, &net.stranger, &net.web);
    reaches(&mut lab, friend.port, net.to_web(friend), web.port);
    reaches(&mut lab, friend.port, net.to_web6(friend, FRIEND6), web.port);
    for refused in [net.to_web(stranger), net.to_web6(stranger, STRANGER6)] {
        assert_eq!(lab.dropped(stranger.port, refused), DropReason::SecurityGroupIngress);
    }
    let unasked = web.by_router(ping(web.ip.into(), friend.ip.into()));
    assert_eq!(lab.dropped(web.port, unasked), DropReason::SecurityGroupIngress, "not the other way round");

    let mut engine = Engine::imagine(net.cloud.tables(1));
    let explained = engine.explain(Time(0), friend.port, net.to_web(friend));
    let words: Vec<_> = explained.steps.iter().map(ToString::to_string).collect();
    let across = format!("all traffic from members of {} across {}", net.friends, net.peering);
    assert!(words.iter().any(|step| step.contains(&across)), "{words:?}");
}

#[test]
fn what_leaves_is_asked_where_it_goes() {
    let mut net = Joined::new();
    net.cloud.revoke_all(net.web_group, Direction::Egress);
    let (group, friends) = (net.web_group, Peer::Group(net.friends));
    net.cloud.allow(group, Direction::Egress, Protocol::Tcp, Some((22, 22)), friends);
    let everyone = Peer::Cidr("0.0.0.0/0".parse().unwrap());
    net.cloud.allow(net.friends, Direction::Ingress, Protocol::All, None, everyone);
    let (web, friend) = (&net.web, &net.friend);
    let ssh = |to, port| web.by_router(build::tcp(web.ip, to, 5, port, TcpFlags::SYN, b""));
    let mut lab = net.cloud.lab();
    reaches(&mut lab, web.port, ssh(friend.ip, 22), friend.port);
    for refused in [ssh(friend.ip, 23), ssh(net.stranger.ip, 22)] {
        assert_eq!(lab.dropped(web.port, refused), DropReason::SecurityGroupEgress);
    }
    // To the same address by another way.
    let gateway = net.cloud.internet_gateway(net.near.vpc);
    net.cloud.route(net.near.table, "10.2.1.10/32", RouteVia::InternetGateway(gateway));
    lab.engine.load(net.cloud.tables(2));
    let other_port = net.web.by_router(build::tcp(net.web.ip, net.friend.ip, 6, 22, TcpFlags::SYN, b""));
    assert_eq!(lab.dropped(net.web.port, other_port), DropReason::SecurityGroupEgress);
}

#[test]
fn whoever_comes_in_another_way_is_nobody() {
    let mut net = Joined::new();
    // By a middlebox of the far VPC, which sends on what a member has sent.
    let mut lab = net.cloud.lab();
    let passed_on = net.stranger.by_router(ping(net.friend.ip.into(), net.web.ip.into()));
    assert_eq!(lab.dropped(net.stranger.port, passed_on), DropReason::SecurityGroupIngress);

    // By the internet.
    for side in [&net.near, &net.far] {
        let gateway = net.cloud.internet_gateway(side.vpc);
        net.cloud.route(side.table, "::/0", RouteVia::InternetGateway(gateway));
    }
    let destination = "2001:db8:1::/56".parse().unwrap();
    net.cloud.apply(Change::DeleteRoute { table: net.far.table, destination });
    lab.engine.load(net.cloud.tables(2));
    let by_internet = net.to_web6(&net.friend, FRIEND6);
    assert_eq!(lab.dropped(net.friend.port, by_internet), DropReason::SecurityGroupIngress);
    let outside = net.friend.by_router(ping(ip6(FRIEND6).into(), OFFICE6.into()));
    assert_eq!(lab.one(net.friend.port, outside).0, crate::lab::UPLINK, "it does lead there");
}

/// Both VPCs beyond have the same addresses.
#[test]
fn the_same_address_across_another_connection_is_another() {
    let mut net = Joined::new();
    let vpc = net.cloud.vpc("10.2.0.0/16");
    let subnet = net.cloud.subnet(vpc, "10.2.1.0/24");
    let table = net.cloud.table(vpc, subnet);
    let group = net.cloud.group(vpc, "friends", &[]);
    let double = net.cloud.machine(4, subnet, "10.2.1.10", &[group], true);
    let peering = net.cloud.peering(vpc, net.near.vpc);
    net.cloud.route(table, "10.1.0.0/16", RouteVia::Peering(peering));
    let mut lab = net.cloud.lab();
    assert_eq!(lab.dropped(double.port, net.to_web(&double)), DropReason::SecurityGroupIngress);
    reaches(&mut lab, net.friend.port, net.to_web(&net.friend), net.web.port);
}

#[test]
fn a_stale_rule_lets_nobody_in() {
    let mut net = Joined::new();
    let mut lab = net.cloud.lab();
    reaches(&mut lab, net.friend.port, net.to_web(&net.friend), net.web.port);
    net.cloud.apply(Change::DeleteVpcPeeringConnection { connection: net.peering, time: 1 });
    lab.engine.load(net.cloud.tables(2));
    assert_eq!(lab.dropped(net.friend.port, net.to_web(&net.friend)), DropReason::Blackhole);

    // The VPCs are joined anew: the road is open, the rule stays what it was.
    let again = net.cloud.peering(net.near.vpc, net.far.vpc);
    for (table, to) in [(net.near.table, "10.2.0.0/16"), (net.far.table, "10.1.0.0/16")] {
        let (destination, target) = (to.parse().unwrap(), RouteVia::Peering(again));
        net.cloud.apply(Change::ReplaceRoute { table, destination, target });
    }
    lab.engine.load(net.cloud.tables(3));
    let anew = net.friend.by_router(build::echo(net.friend.ip, net.web.ip, true, 8, 1, b""));
    assert_eq!(lab.dropped(net.friend.port, anew.clone()), DropReason::SecurityGroupIngress);
    let rules = net.cloud.region.security_groups()[&net.web_group].rules();
    let stale = rules.filter(|rule| net.cloud.region.is_stale(rule)).map(|rule| rule.id).next().unwrap();
    net.cloud.apply(Change::RevokeSecurityGroupRule { group: net.web_group, rule: stale });
    let (group, friends) = (net.web_group, Peer::Group(net.friends));
    net.cloud.allow(group, Direction::Ingress, Protocol::All, None, friends);
    lab.engine.load(net.cloud.tables(4));
    reaches(&mut lab, net.friend.port, anew, net.web.port);
}

#[test]
fn a_connection_outlives_the_membership() {
    let mut net = Joined::new();
    let mut lab = net.cloud.lab();
    let (friend, web) = (net.friend.ip, net.web.ip);
    let segment = |port, flags| net.friend.by_router(build::tcp(friend, web, port, 22, flags, b""));
    let answer = net.web.by_router(build::tcp(web, friend, 22, 5, TcpFlags(0x12), b""));
    reaches(&mut lab, net.friend.port, segment(5, TcpFlags::SYN), net.web.port);
    reaches(&mut lab, net.web.port, answer, net.friend.port);
    let groups = net.cloud.group(net.far.vpc, "others", &[]);
    net.cloud.apply(Change::ModifyNetworkInterfaceAttribute {
        interface: net.friend.key.interface,
        attribute: InterfaceAttribute::Groups(vec![groups]),
    });
    net.cloud.apply(Change::DeleteSecurityGroup { group: net.friends });
    lab.engine.load(net.cloud.tables(2));
    reaches(&mut lab, net.friend.port, segment(5, TcpFlags::ACK), net.web.port);
    assert_eq!(lab.dropped(net.friend.port, segment(6, TcpFlags::SYN)), DropReason::SecurityGroupIngress);
}
