//! RFC 4787, and what RFC 6888 and 7857 add for UDP.

use super::*;

const D1: &str = "198.51.100.7:53";
const D2: &str = "198.51.100.8:99";

fn both() -> [World; 2] {
    [World::aws(), World::rfc()]
}

#[test]
fn u1_one_endpoint_is_seen_as_one_by_all() {
    for mut world in both() {
        let seen = ["198.51.100.7:1", "198.51.100.7:2", "198.51.100.8:1", "198.51.100.8:2"].map(|to| {
            let other = world.out(UDP, B, to).unwrap();
            (world.out(UDP, A, to).unwrap(), other)
        });
        assert!(seen.iter().all(|pair| *pair == seen[0]), "{seen:?}");
        assert_ne!(seen[0].0, seen[0].1);
        check(&world.table);
    }
}

#[test]
fn u2_n4_a_host_keeps_to_one_address() {
    let addresses = [1, 2, 3, 4].map(|last| Ipv4Addr::new(10, 0, 0, last));
    for behaviour in [Behaviour::aws(), Behaviour::rfc()] {
        let mut world = World::new(gateway(behaviour, &addresses));
        let mut used = std::collections::BTreeSet::new();
        for host in 1..=40 {
            let mut send = |port: u16| {
                let kind = [UDP, Kind::Tcp(SYN), ECHO][usize::from(port) % 3];
                *world.out(kind, &format!("10.0.1.{host}:{port}"), REMOTE).unwrap().ip()
            };
            let first = send(2000);
            assert!((2001..2020).all(|port| send(port) == first));
            used.insert(first);
        }
        assert_eq!(used.len(), 4, "hosts spread over the addresses");
    }
}

#[test]
fn u3_nobody_shares_a_port() {
    for mut world in both() {
        let [first, second] = [world.out(UDP, A, D1), world.out(UDP, B, D2)].map(Result::unwrap);
        assert_ne!(first.port(), second.port());
    }
}

#[test]
fn u3a_ports_keep_to_their_range() {
    let mut world = World::rfc();
    for port in [1, 500, 1023] {
        assert!(world.out(UDP, &format!("10.0.1.5:{port}"), D1).unwrap().port() < 1024);
        assert!(world.out(Kind::Tcp(SYN), &format!("10.0.1.5:{port}"), D1).unwrap().port() < 1024);
    }
    assert!(world.out(UDP, "10.0.1.5:1024", D1).unwrap().port() >= 1024);
    assert!(World::aws().out(UDP, "10.0.1.5:500", D1).unwrap().port() >= 1024, "a documented deviation");
}

#[test]
fn u5_a_mapping_lives_its_time_to_the_nanosecond() {
    for (mut world, idle) in [(World::aws(), 350), (World::rfc(), 300)] {
        let external = world.out(UDP, A, D1).unwrap();
        let over = world.now.after(idle);
        world.table.expire(Time(over.0 - 1));
        assert_eq!(world.table.len(), 1);
        world.table.expire(over);
        assert_eq!(world.back(UDP, D1, external), Err(Refusal::Unsolicited));
        assert_eq!(world.counters().idle_timeouts, 1);
        check(&world.table);
    }
}

#[test]
fn u6_what_leaves_refreshes_without_any_answer() {
    for mut world in both() {
        let external = world.out(UDP, A, D1).unwrap();
        for _ in 0..20 {
            world.wait(60);
            assert_eq!(world.out(UDP, A, D1).unwrap(), external);
        }
    }
}

#[test]
fn u6a_n7_what_comes_in_refreshes_by_profile() {
    for (mut world, lives) in [(World::aws(), true), (World::rfc(), false)] {
        let external = world.out(UDP, A, D1).unwrap();
        world.wait(200);
        world.back(UDP, D1, external).unwrap();
        world.wait(200);
        assert_eq!(world.back(UDP, D1, external).is_ok(), lives);
    }
}

#[test]
fn u6_n7_nobody_outside_keeps_a_mapping_alive() {
    let open = Behaviour { filtering: Filtering::EndpointIndependent, ..Behaviour::rfc() };
    for behaviour in [Behaviour::rfc(), open] {
        let mut world = World::new(gateway(behaviour, &[EXTERNAL]));
        let external = world.out(UDP, A, D1).unwrap();
        // From ever new ports, which the filter lets in: each makes a session, and none lasts longer than ours.
        for port in 1000..1030 {
            world.back(UDP, &format!("198.51.100.7:{port}"), external).unwrap();
            world.wait(9);
        }
        assert!(world.table.len() > 1);
        world.wait(30);
        assert!(world.table.is_empty());
        check(&world.table);
    }
    // What the filter drops changes nothing at all.
    let mut world = World::aws();
    let external = world.out(UDP, A, D1).unwrap();
    world.wait(349);
    assert_eq!(world.back(UDP, D2, external), Err(Refusal::Unsolicited));
    world.wait(1);
    assert!(world.table.is_empty());
}

#[test]
fn u8_filtering() {
    let open = Behaviour { filtering: Filtering::EndpointIndependent, ..Behaviour::rfc() };
    let passes = [
        (Behaviour::aws(), [true, false, false]),
        (Behaviour::rfc(), [true, true, false]),
        (open, [true, true, true]),
    ];
    for (behaviour, expected) in passes {
        let mut world = World::new(gateway(behaviour, &[EXTERNAL]));
        let external = world.out(UDP, A, D1).unwrap();
        let passed = [D1, "198.51.100.7:54", D2].map(|from| world.back(UDP, from, external) == Ok(end(A)));
        assert_eq!(passed, expected);
    }
}

#[test]
fn u8_the_filter_opens_by_what_the_inside_sends_alone() {
    let mut world = World::rfc();
    let external = world.out(UDP, A, D1).unwrap();
    world.wait(200);
    // Makes a session of its own, and the mapping goes on by another destination.
    world.back(UDP, "198.51.100.7:54", external).unwrap();
    world.out(UDP, A, D2).unwrap();
    world.wait(100);
    assert_eq!(world.back(UDP, "198.51.100.7:55", external), Err(Refusal::Unsolicited));
    assert_eq!(world.back(UDP, "198.51.100.8:55", external), Ok(end(A)));
}

#[test]
fn u9_hairpin_with_the_external_source() {
    for mut world in both() {
        let [a, b] = [world.out(UDP, A, D1), world.out(UDP, B, D1)].map(Result::unwrap);
        let (to_a, to_b) = (a.to_string(), b.to_string());
        // Each has to send first: the filter is no other for neighbours.
        assert_eq!(world.out(UDP, A, &to_b).unwrap(), a);
        assert_eq!(world.back(UDP, &to_a, b), Err(Refusal::Unsolicited));
        assert_eq!(world.out(UDP, B, &to_a).unwrap(), b);
        let key = key(UDP, SocketAddr::V4(b), SocketAddr::V4(a), Side::Outside);
        let found = world.table.inbound(&world.key, &key, Facts::default()).unwrap();
        assert_eq!((found.key.src, found.key.dst), (EXTERNAL.into(), end(A).ip()), "U9a");
        assert_eq!(found.key.proto, FlowProto::Udp { src: b.port(), dst: 5000 });
        assert_eq!(world.back(UDP, &to_a, b), Ok(end(B)));
    }
}

#[test]
fn u14_fragments_by_profile() {
    let fragment = Facts { opening: true, fragment: true };
    for (world, all) in [(World::aws(), false), (World::rfc(), true)] {
        let passes = [Kind::Tcp(SYN), UDP, ECHO].map(|kind| {
            let key = key(kind, end(A), end(REMOTE), Side::Inside);
            let out = world.table.outbound(&world.key, PortId(1), &key, fragment);
            if let Err(refused) = out {
                assert_eq!((refused.refusal, refused.answer), (Refusal::Fragment, Answer::Silence));
            }
            out.is_ok()
        });
        assert_eq!(passes, [all, true, all]);
    }
}

#[test]
fn n5_n6_a_mapping_of_udp_opens_no_tcp() {
    let open = Behaviour { filtering: Filtering::EndpointIndependent, ..Behaviour::rfc() };
    let mut world = World::new(gateway(open, &[EXTERNAL]));
    let external = world.out(UDP, A, D1).unwrap();
    assert_eq!(world.back(Kind::Tcp(SYN), D1, external), Err(Refusal::Unsolicited));
}

#[test]
fn c8_a_freed_port_rests() {
    let behaviour = Behaviour { ports: 4000..=4000, ..Behaviour::rfc() };
    let mut world = World::new(gateway(behaviour.clone(), &[EXTERNAL]));
    world.out(UDP, A, D1).unwrap();
    world.wait(300);
    assert_eq!(why(world.out(UDP, B, D1)), (Refusal::PortsExhausted, Answer::Prohibited));
    world.wait(119);
    assert!(world.out(UDP, B, D1).is_err());
    world.wait(1);
    assert_eq!(world.out(UDP, B, D1).unwrap().port(), 4000);
    check(&world.table);
    // Exceptions: TCP, whose sessions are tracked, and what is filtered by address and port.
    let mut world = World::new(gateway(behaviour, &[EXTERNAL]));
    world.out(Kind::Tcp(SYN), A, D1).unwrap();
    world.wait(240);
    world.out(Kind::Tcp(SYN), B, D1).unwrap();
    let mut world = World::new(gateway(Behaviour { ports: 4000..=4000, ..Behaviour::aws() }, &[EXTERNAL]));
    world.out(UDP, A, D1).unwrap();
    world.wait(350);
    world.out(UDP, B, D1).unwrap();
}

#[test]
fn c8_the_rest_begins_with_the_last_session_however_late_it_is_noticed() {
    let mut world = World::new(gateway(Behaviour { ports: 4000..=4000, ..Behaviour::rfc() }, &[EXTERNAL]));
    world.out(UDP, A, D1).unwrap();
    world.wait(50);
    world.out(UDP, A, D2).unwrap();
    world.wait(50);
    // Over at 400 s; the other at 350 s.
    world.out(UDP, A, D1).unwrap();
    world.wait(350);
    assert!(world.table.is_empty());
    world.wait(69);
    assert_eq!(why(world.out(UDP, B, D1)).0, Refusal::PortsExhausted, "519 s");
    world.wait(1);
    assert!(world.out(UDP, B, D1).is_ok(), "520 s");
}
