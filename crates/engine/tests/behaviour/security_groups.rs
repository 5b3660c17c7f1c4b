//! Security groups allow, sum up, and know connections.

use engine::DropReason;
use model::{Change, ConnectionTracking, Direction, InterfaceAttribute, Peer, Protocol};
use wire::{TcpFlags, build};

use crate::gateways::{ACK, Gateways, SYN, SYN_ACK};
use crate::lab::{NAT_PUBLIC, OFFICE, Reference, from_office, ip, udp};

#[test]
fn rules_are_about_protocol_port_and_peer() {
    let network = Reference::new();
    let (nat, test, neighbor) = (&network.nat, &network.test, &network.neighbor);
    let mut lab = network.lab();
    for (packet, passes) in [
        (build::udp(nat.ip, test.ip, 5, 33434, b""), true),
        (build::udp(nat.ip, test.ip, 5, 33534, b""), true),
        (build::udp(nat.ip, test.ip, 5, 33433, b""), false),
        (build::udp(nat.ip, test.ip, 33434, 33535, b""), false),
        (build::tcp(nat.ip, test.ip, 5, 22, TcpFlags::SYN, b""), true),
        (build::tcp(nat.ip, test.ip, 5, 33434, TcpFlags::SYN, b""), false),
        (build::echo(nat.ip, test.ip, true, 7, 1, b""), true),
        (build::ip(nat.ip, test.ip, 47, b"any"), false),
    ] {
        let frame = nat.by_router(packet);
        match passes {
            true => assert_eq!(lab.one(nat.port, frame).0, test.port),
            false => assert_eq!(lab.dropped(nat.port, frame), DropReason::SecurityGroupIngress),
        }
    }
    let frame = neighbor.by_neighbor(test, udp(neighbor.ip, test.ip));
    assert_eq!(lab.dropped(neighbor.port, frame), DropReason::SecurityGroupIngress, "another peer");
}

#[test]
fn answers_pass_without_a_rule_and_questions_do_not() {
    let network = Reference::new();
    let (test, neighbor) = (&network.test, &network.neighbor);
    let mut lab = network.lab();
    let question = test.by_neighbor(neighbor, build::udp(test.ip, neighbor.ip, 40000, 53, b"?"));
    let answer = neighbor.by_neighbor(test, build::udp(neighbor.ip, test.ip, 53, 40000, b"!"));
    let unasked = neighbor.by_neighbor(test, build::udp(neighbor.ip, test.ip, 53, 40001, b"!"));
    assert_eq!(lab.dropped(neighbor.port, answer.clone()), DropReason::SecurityGroupIngress);
    lab.one(test.port, question);
    assert_eq!(lab.one(neighbor.port, answer).0, test.port);
    assert_eq!(lab.dropped(neighbor.port, unasked), DropReason::SecurityGroupIngress);
    assert_eq!(lab.connections(), 1, "both directions are one connection");
}

#[test]
fn a_reply_is_tracked_where_a_request_is_not() {
    let network = Reference::new();
    let (test, neighbor) = (&network.test, &network.neighbor);
    let mut lab = network.lab();
    lab.one(test.port, test.by_neighbor(neighbor, build::echo(test.ip, neighbor.ip, true, 7, 1, b"")));
    let reply = build::echo(neighbor.ip, test.ip, false, 7, 1, b"");
    assert_eq!(lab.one(neighbor.port, neighbor.by_neighbor(test, reply)).0, test.port);
    for refused in [
        build::echo(neighbor.ip, test.ip, true, 7, 1, b""),
        build::echo(neighbor.ip, test.ip, false, 8, 1, b""),
    ] {
        let frame = neighbor.by_neighbor(test, refused);
        assert_eq!(lab.dropped(neighbor.port, frame), DropReason::SecurityGroupIngress);
    }
}

#[test]
fn what_leaves_is_asked_too() {
    let mut network = Reference::new();
    network.cloud.revoke_all(network.test_group, Direction::Egress);
    let everywhere = Peer::Cidr("10.210.7.15/32".parse().unwrap());
    let (group, https) = (network.test_group, Some((443, 443)));
    network.cloud.allow(group, Direction::Egress, Protocol::Tcp, https, everywhere);
    let (test, neighbor) = (&network.test, &network.neighbor);
    let mut lab = network.lab();
    let send =
        |port| test.by_neighbor(neighbor, build::tcp(test.ip, neighbor.ip, 5, port, TcpFlags::SYN, b""));
    assert_eq!(lab.one(test.port, send(443)).0, neighbor.port);
    assert_eq!(lab.dropped(test.port, send(80)), DropReason::SecurityGroupEgress);
    let elsewhere = test.by_router(build::tcp(test.ip, OFFICE, 5, 443, TcpFlags::SYN, b""));
    assert_eq!(lab.dropped(test.port, elsewhere), DropReason::SecurityGroupEgress);
    // An answer needs no rule.
    lab.one(network.nat.port, network.nat.by_router(udp(network.nat.ip, test.ip)));
    let answer = build::udp(test.ip, network.nat.ip, 33434, 40000, b"");
    assert_eq!(lab.one(test.port, test.by_router(answer)).0, network.nat.port);
}

#[test]
fn a_group_stands_for_its_members_private_addresses() {
    let mut network = Reference::new();
    let vpc = network.vpc;
    let members = network.cloud.group(vpc, "members", &[]);
    let guarded = network.cloud.group(vpc, "guarded", &[]);
    network.cloud.allow(guarded, Direction::Ingress, Protocol::All, None, Peer::Group(members));
    let subnet = network.test_subnet;
    let member = network.cloud.machine(20, subnet, "10.210.100.1", &[network.open, members], true);
    let receiver = network.cloud.machine(21, subnet, "10.210.100.2", &[guarded], true);
    let mut lab = network.lab();
    let frame = member.by_neighbor(&receiver, udp(member.ip, receiver.ip));
    assert_eq!(lab.one(member.port, frame).0, receiver.port);
    let stranger = &network.neighbor;
    let frame = stranger.by_neighbor(&receiver, udp(stranger.ip, receiver.ip));
    assert_eq!(lab.dropped(stranger.port, frame), DropReason::SecurityGroupIngress);
}

#[test]
fn the_default_group_lets_its_members_in() {
    let mut network = Reference::new();
    let subnet = network.test_subnet;
    let a = network.cloud.machine(20, subnet, "10.210.100.1", &[], true);
    let b = network.cloud.machine(21, subnet, "10.210.100.2", &[], true);
    let mut lab = network.lab();
    assert_eq!(lab.one(a.port, a.by_neighbor(&b, udp(a.ip, b.ip))).0, b.port);
    let stranger = &network.neighbor;
    let frame = stranger.by_neighbor(&b, udp(stranger.ip, b.ip));
    assert_eq!(lab.dropped(stranger.port, frame), DropReason::SecurityGroupIngress);
}

#[test]
fn a_tracked_connection_outlives_the_rule_that_allowed_it() {
    let mut network = Reference::new();
    let mut lab = network.lab();
    let (nat, test) = (network.nat.clone(), network.test.clone());
    let send = |port| nat.by_router(build::udp(nat.ip, test.ip, port, 33434, b""));
    lab.one(nat.port, send(1));
    network.cloud.revoke_all(network.test_group, Direction::Ingress);
    lab.engine.load(network.cloud.tables(2));
    assert_eq!(lab.one(nat.port, send(1)).0, test.port, "EC2 does not interrupt tracked connections");
    assert_eq!(lab.dropped(nat.port, send(2)), DropReason::SecurityGroupIngress);
    lab.wait(31);
    assert_eq!(lab.connections(), 0);
    assert_eq!(lab.dropped(nat.port, send(1)), DropReason::SecurityGroupIngress);
}

#[test]
fn the_nat_instance_takes_the_tunnel_from_one_address() {
    let network = Reference::new();
    let mut lab = network.lab();
    let tunnel = |from| from_office(build::udp(from, NAT_PUBLIC, 1194, 1194, b"tunnel"));
    assert_eq!(lab.one(crate::lab::UPLINK, tunnel(OFFICE)).0, network.nat.port);
    let stranger = tunnel(ip("198.51.100.9"));
    assert_eq!(lab.dropped(crate::lab::UPLINK, stranger), DropReason::SecurityGroupIngress);
}

#[test]
fn what_everybody_may_begin_and_anything_may_answer_is_not_tracked() {
    // Whom the server lets in and out; whether its answers outlive the rule that lets them out.
    for (from, to, tracked) in [
        ("0.0.0.0/0", "0.0.0.0/0", false),
        ("10.0.0.0/16", "0.0.0.0/0", true),
        ("0.0.0.0/0", "10.0.0.0/16", true),
    ] {
        for ping in [false, true] {
            let mut net = Gateways::new("aws");
            let group = net.cloud.group(net.vpc, "server", &[]);
            net.cloud.revoke_all(group, Direction::Egress);
            for (direction, peer) in [(Direction::Ingress, from), (Direction::Egress, to)] {
                let peer = Peer::Cidr(peer.parse().unwrap());
                net.cloud.allow(group, direction, Protocol::All, None, peer);
            }
            let server = net.cloud.machine(20, net.public, "10.0.2.20", &[group], true);
            let a = net.a.clone();
            let mut lab = net.lab();
            let (question, answer) = match ping {
                false => (
                    build::tcp(a.ip, server.ip, 5, 80, SYN, b""),
                    build::tcp(server.ip, a.ip, 80, 5, SYN_ACK, b""),
                ),
                true => (
                    build::echo(a.ip, server.ip, true, 7, 1, b""),
                    build::echo(server.ip, a.ip, false, 7, 1, b""),
                ),
            };
            let (question, answer) = (a.by_router(question), server.by_router(answer));
            assert_eq!(lab.one(a.port, question).0, server.port);
            assert_eq!(lab.one(server.port, answer.clone()).0, a.port);
            net.cloud.revoke_all(group, Direction::Egress);
            lab.engine.load(net.cloud.tables(2));
            // ICMP is always tracked (EC2 user guide, "Untracked connections").
            match tracked || ping {
                true => assert_eq!(lab.one(server.port, answer).0, a.port, "{from} {to}"),
                false => assert_eq!(lab.dropped(server.port, answer), DropReason::SecurityGroupEgress),
            }
        }
    }
}

#[test]
fn an_interface_may_forget_sooner() {
    let mut net = Gateways::new("aws");
    let interface = net.a.key.interface;
    let times = ConnectionTracking { tcp_established: 60, udp_stream: 60, udp: 45 };
    let attribute = InterfaceAttribute::ConnectionTracking(times);
    net.cloud.apply(Change::ModifyNetworkInterfaceAttribute { interface, attribute });
    net.cloud.revoke_all(net.inside, Direction::Ingress);
    let (a, web) = (&net.a, &net.web);
    let reason = DropReason::SecurityGroupIngress;
    let mut lab = net.lab();
    let tcp = |flags| a.by_router(build::tcp(a.ip, web.ip, 5, 80, flags, b""));
    let tcp_back = |flags| web.by_router(build::tcp(web.ip, a.ip, 80, 5, flags, b""));
    let datagram = a.by_router(build::udp(a.ip, web.ip, 5, 53, b"?"));
    let answer = web.by_router(build::udp(web.ip, a.ip, 53, 5, b"!"));
    for (wait, passes) in [(59, true), (60, false)] {
        lab.one(a.port, tcp(SYN));
        lab.one(web.port, tcp_back(SYN_ACK));
        lab.wait(wait);
        match passes {
            true => assert_eq!(lab.one(web.port, tcp_back(ACK)).0, a.port),
            false => assert_eq!(lab.dropped(web.port, tcp_back(ACK)), reason),
        }
        lab.wait(100);
    }
    for (wait, passes) in [(44, true), (45, false)] {
        lab.one(a.port, datagram.clone());
        lab.wait(wait);
        match passes {
            true => assert_eq!(lab.one(web.port, answer.clone()).0, a.port),
            false => assert_eq!(lab.dropped(web.port, answer.clone()), reason),
        }
        lab.wait(100);
    }
    lab.one(a.port, datagram);
    lab.one(web.port, answer.clone());
    lab.wait(60);
    assert_eq!(lab.dropped(web.port, answer), reason);
}

#[test]
fn a_prefix_list_stands_for_its_entries() {
    let mut net = Gateways::new("aws");
    let list = net.cloud.prefix_list(&["10.0.1.10/32", "192.0.2.0/24"]);
    let guarded = net.cloud.group(net.vpc, "guarded", &[]);
    net.cloud.allow(guarded, Direction::Ingress, Protocol::Udp, Some((53, 53)), Peer::PrefixList(list));
    let server = net.cloud.machine(20, net.public, "10.0.2.20", &[guarded], true);
    let (a, b) = (net.a.clone(), net.b.clone());
    let mut lab = net.lab();
    let ask = |host: &crate::lab::Machine| host.by_router(build::udp(host.ip, server.ip, 5, 53, b"?"));
    assert_eq!(lab.one(a.port, ask(&a)).0, server.port);
    assert_eq!(lab.dropped(b.port, ask(&b)), DropReason::SecurityGroupIngress);
    net.cloud.apply(Change::ModifyManagedPrefixList {
        list,
        current_version: Some(1),
        name: None,
        max_entries: None,
        add: vec![model::PrefixListEntry { cidr: "10.0.1.11/32".parse().unwrap(), description: None }],
        remove: vec![],
    });
    lab.engine.load(net.cloud.tables(2));
    assert_eq!(lab.one(b.port, ask(&b)).0, server.port);
}

#[test]
fn each_family_has_its_rules() {
    let mut net = Gateways::new("aws");
    let web = net.web.clone();
    let a = net.a.clone();
    let mut lab = net.lab();
    let ping = a.by_router(build::echo(net.a6, net.web6, true, 7, 1, b""));
    assert_eq!(lab.dropped(a.port, ping.clone()), DropReason::SecurityGroupIngress);
    let open = net.cloud.region.interfaces()[&web.key.interface].groups[0];
    // ICMP of IPv4 is not ICMPv6.
    let everyone = Peer::Cidr6("::/0".parse().unwrap());
    net.cloud.allow(open, Direction::Ingress, Protocol::Tcp, Some((80, 80)), everyone);
    lab.engine.load(net.cloud.tables(2));
    assert_eq!(lab.dropped(a.port, ping.clone()), DropReason::SecurityGroupIngress);
    let syn = a.by_router(build::tcp(net.a6, net.web6, 5, 80, SYN, b""));
    assert_eq!(lab.one(a.port, syn).0, web.port);
    net.cloud.allow(open, Direction::Ingress, Protocol::Icmpv6, Some((128, -1)), everyone);
    lab.engine.load(net.cloud.tables(3));
    assert_eq!(lab.one(a.port, ping).0, web.port);
    let reply = web.by_router(build::echo(net.web6, net.a6, false, 7, 1, b""));
    assert_eq!(lab.one(web.port, reply).0, a.port, "an answer");
    // A group stands for its members' IPv6 addresses too.
    net.cloud.allow(net.inside, Direction::Ingress, Protocol::All, None, Peer::Group(open));
    lab.engine.load(net.cloud.tables(4));
    let question = web.by_router(build::udp(net.web6, net.a6, 5, 53, b"?"));
    assert_eq!(lab.one(web.port, question).0, a.port);
}
