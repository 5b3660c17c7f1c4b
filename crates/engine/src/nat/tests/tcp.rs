//! RFC 5382, and what RFC 7857 adds for TCP.

use super::*;

#[test]
fn t1_mapping_by_profile() {
    let mut world = World::rfc();
    let seen = ["198.51.100.7:1", "198.51.100.7:2", "198.51.100.8:1"].map(|to| {
        let other = world.out(Kind::Tcp(SYN), B, to).unwrap();
        (world.out(Kind::Tcp(SYN), A, to).unwrap(), other)
    });
    assert!(seen.iter().all(|pair| *pair == seen[0]));
    let mut world = World::aws();
    let ports: std::collections::BTreeSet<u16> = (1..100)
        .map(|port| world.out(Kind::Tcp(SYN), A, &format!("198.51.100.7:{port}")).unwrap().port())
        .collect();
    assert!(ports.len() > 90, "a documented deviation: each destination has its own port");
    check(&world.table);
}

#[test]
fn t2_simultaneous_open() {
    for mut world in [World::aws(), World::rfc()] {
        let external = world.out(Kind::Tcp(SYN), A, REMOTE).unwrap();
        assert_eq!(world.back(Kind::Tcp(SYN), REMOTE, external), Ok(end(A)));
        world.out(Kind::Tcp(SYN_ACK), A, REMOTE).unwrap();
        assert_eq!(world.counters().connections_established, 1);
    }
}

#[test]
fn t2_a_tuple_in_time_wait_is_used_again() {
    for mut world in [World::aws(), World::rfc()] {
        let external = world.connect(A, REMOTE);
        world.out(Kind::Tcp(FIN), A, REMOTE).unwrap();
        world.back(Kind::Tcp(FIN), REMOTE, external).unwrap();
        assert_eq!(world.counters().active_connections, 0);
        world.wait(100);
        assert_eq!(world.connect(A, REMOTE), external);
        let counters = world.counters();
        assert_eq!((counters.active_connections, counters.connection_attempts), (1, 2));
        assert_eq!((counters.connections_established, world.table.len()), (2, 1));
    }
}

#[test]
fn t2_half_closed_goes_on() {
    let mut world = World::rfc();
    let external = world.connect(A, REMOTE);
    world.out(Kind::Tcp(FIN), A, REMOTE).unwrap();
    world.wait(7000);
    assert_eq!(world.back(Kind::Tcp(ACK), REMOTE, external), Ok(end(A)));
}

#[test]
fn t3_filtering() {
    for (mut world, passes) in [(World::aws(), false), (World::rfc(), true)] {
        let external = world.out(Kind::Tcp(SYN), A, REMOTE).unwrap();
        assert_eq!(world.back(Kind::Tcp(SYN), "198.51.100.7:9", external).is_ok(), passes);
        assert_eq!(world.back(Kind::Tcp(ACK), "198.51.100.7:10", external), Err(Refusal::Unsolicited));
        assert_eq!(world.back(Kind::Tcp(SYN), "198.51.100.8:9", external), Err(Refusal::Unsolicited));
    }
}

#[test]
fn t3_a_connection_from_outside_is_established_by_the_inside() {
    let mut world = World::rfc();
    let external = world.out(Kind::Tcp(SYN), A, REMOTE).unwrap();
    world.back(Kind::Tcp(SYN), "198.51.100.7:9", external).unwrap();
    assert_eq!(world.out(Kind::Tcp(SYN_ACK), A, "198.51.100.7:9").unwrap(), external);
    world.wait(7439);
    assert_eq!((world.table.len(), world.back(Kind::Tcp(ACK), "198.51.100.7:9", external)), (1, Ok(end(A))));
    check(&world.table);
}

#[test]
fn t4_an_unsolicited_syn_gets_no_answer_and_leaves_nothing() {
    for mut world in [World::aws(), World::rfc()] {
        let anywhere = SocketAddrV4::new(EXTERNAL, 5000);
        assert_eq!(world.back(Kind::Tcp(SYN), REMOTE, anywhere), Err(Refusal::Unsolicited));
        assert!(world.table.is_empty());
        // Our own SYN comes late: the far end's next try crosses it.
        let external = world.out(Kind::Tcp(SYN), A, REMOTE).unwrap();
        assert_eq!(world.back(Kind::Tcp(SYN), REMOTE, external), Ok(end(A)));
    }
}

#[test]
fn t5_idle_times() {
    let times = [(World::aws(), 350, 350, 350), (World::rfc(), 240, 7440, 240)];
    for (mut world, opening, established, closed) in times {
        let lives = |world: &mut World, seconds: u64| {
            world.wait(seconds - 1);
            let before = world.table.len();
            world.wait(1);
            (before, world.table.len()) == (1, 0)
        };
        world.out(Kind::Tcp(SYN), A, REMOTE).unwrap();
        assert!(lives(&mut world, opening));
        world.connect(A, REMOTE);
        assert!(lives(&mut world, established));
        let external = world.connect(A, REMOTE);
        world.out(Kind::Tcp(FIN), A, REMOTE).unwrap();
        world.back(Kind::Tcp(FIN), REMOTE, external).unwrap();
        assert!(lives(&mut world, closed));
        assert_eq!(world.counters().idle_timeouts, 2, "a closed connection does not end idle");
        check(&world.table);
    }
}

#[test]
fn t5_after_its_end_a_connection_is_unknown() {
    for (mut world, answer) in [(World::aws(), Answer::Reset), (World::rfc(), Answer::Silence)] {
        let external = world.connect(A, REMOTE);
        world.wait(7440);
        assert_eq!(why(world.out(Kind::Tcp(ACK), A, REMOTE)), (Refusal::NoSession, answer));
        assert_eq!(world.back(Kind::Tcp(ACK), REMOTE, external), Err(Refusal::Unsolicited));
        assert!(world.table.is_empty());
    }
}

#[test]
fn t7_overloading_by_profile() {
    let one = |behaviour| World::new(gateway(Behaviour { ports: 4000..=4000, ..behaviour }, &[EXTERNAL]));
    let mut world = one(Behaviour::rfc());
    world.out(Kind::Tcp(SYN), A, REMOTE).unwrap();
    assert_eq!(why(world.out(Kind::Tcp(SYN), B, "198.51.100.8:80")).0, Refusal::PortsExhausted);
    // N3: overlapping ports only with endpoint-dependent mapping.
    let mut world = one(Behaviour::aws());
    let external = world.out(Kind::Tcp(SYN), A, REMOTE).unwrap();
    assert_eq!(world.out(Kind::Tcp(SYN), B, "198.51.100.8:80").unwrap(), external);
    assert_eq!(why(world.out(Kind::Tcp(SYN), B, REMOTE)), (Refusal::PortsExhausted, Answer::Silence));
    assert_eq!(world.back(Kind::Tcp(SYN_ACK), REMOTE, external), Ok(end(A)));
    assert_eq!(world.back(Kind::Tcp(SYN_ACK), "198.51.100.8:80", external), Ok(end(B)));
    check(&world.table);
}

#[test]
fn t8_hairpin() {
    let open = Behaviour { filtering: Filtering::EndpointIndependent, ..Behaviour::rfc() };
    let mut world = World::new(gateway(open, &[EXTERNAL]));
    let b = world.out(Kind::Tcp(SYN), B, REMOTE).unwrap();
    let a = world.out(Kind::Tcp(SYN), A, &b.to_string()).unwrap();
    assert_eq!(world.back(Kind::Tcp(SYN), &a.to_string(), b), Ok(end(B)));
    assert_eq!(world.out(Kind::Tcp(SYN_ACK), B, &a.to_string()).unwrap(), b);
    assert_eq!(world.back(Kind::Tcp(SYN_ACK), &b.to_string(), a), Ok(end(A)));
}

#[test]
fn n2_a_reset_connection_stays_four_minutes() {
    let mut world = World::rfc();
    let external = world.connect(A, REMOTE);
    world.wait(7000);
    world.back(Kind::Tcp(RST), REMOTE, external).unwrap();
    world.wait(239);
    assert_eq!(world.table.len(), 1);
    // It was forged: the inside goes on.
    world.out(Kind::Tcp(ACK), A, REMOTE).unwrap();
    world.wait(7439);
    assert_eq!(world.back(Kind::Tcp(ACK), REMOTE, external), Ok(end(A)));
    world.back(Kind::Tcp(RST), REMOTE, external).unwrap();
    world.wait(240);
    assert!(world.table.is_empty());
    check(&world.table);
}

#[test]
fn n8_resets_from_inside_refresh_nothing() {
    let mut world = World::rfc();
    let external = world.connect(A, REMOTE);
    world.out(Kind::Tcp(RST), A, REMOTE).unwrap();
    for _ in 0..23 {
        world.wait(10);
        // An attacker provokes resets.
        world.back(Kind::Tcp(ACK), REMOTE, external).unwrap();
        world.out(Kind::Tcp(RST), A, REMOTE).unwrap();
    }
    world.wait(10);
    assert!(world.table.is_empty());
}

#[test]
fn counters_by_cloudwatch_names() {
    let mut world = World::aws();
    let external = world.connect(A, REMOTE);
    world.out(Kind::Tcp(SYN), B, REMOTE).unwrap();
    world.table.count_drop(&world.key, Side::Inside, Some(Refusal::PortsExhausted), 60);
    world.table.count_drop(&world.key, Side::Outside, None, 60);
    world.table.count_passed(&world.key, Side::Outside, 56);
    let traffic = |packets, bytes| Traffic { packets, bytes };
    let expected = Counters {
        active_connections: 2,
        connection_attempts: 2,
        connections_established: 1,
        port_allocation_errors: 1,
        idle_timeouts: 0,
        packets_dropped: 2,
        in_from_source: traffic(4, 360),
        out_to_destination: traffic(3, 300),
        in_from_destination: traffic(3, 216),
        out_to_source: traffic(2, 156),
    };
    assert_eq!(world.counters(), expected);
    world.back(Kind::Tcp(RST), REMOTE, external).unwrap();
    assert_eq!(world.counters().active_connections, 1);
    world.wait(350);
    assert_eq!((world.counters().active_connections, world.counters().idle_timeouts), (0, 1));
}
