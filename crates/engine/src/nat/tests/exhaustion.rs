//! Running out: exactly the surplus fails, and what is there goes on (RFC 4787 REQ-11, RFC 6888 REQ-11).

use super::*;

/// One of many inside endpoints.
fn inside(number: u32) -> SocketAddr {
    let [_, high, middle, low] = number.to_be_bytes();
    SocketAddr::new([10, 1 + high, middle, low].into(), 5000)
}

/// How many of the inside endpoints up to `tries` get through to a destination.
fn passed(world: &mut World, kind: Kind, tries: u32, to: &str) -> u32 {
    let mut passed = 0;
    for number in 0..tries {
        match world.send_out(PortId(number), kind, inside(number), end(to)) {
            Ok(_) => passed += 1,
            Err(refused) => assert_eq!(refused.refusal, Refusal::PortsExhausted),
        }
    }
    passed
}

#[test]
fn aws_55_000_connections_for_each_address_and_destination() {
    let mut world = World::new(gateway(Behaviour::aws(), &[EXTERNAL, SECOND]));
    assert_eq!(passed(&mut world, Kind::Tcp(SYN), 110_500, REMOTE), 110_000);
    assert_eq!(passed(&mut world, Kind::Tcp(SYN), 100, "198.51.100.7:81"), 100, "another port");
    assert_eq!(passed(&mut world, Kind::Tcp(SYN), 100, "198.51.100.8:80"), 100, "another address");
    assert_eq!(passed(&mut world, UDP, 100, REMOTE), 100, "another protocol");
    assert_eq!(world.table.len(), 110_300);
    check(&world.table);
    // One ends, and one fits in again.
    let first = inside(0);
    world.send_out(PortId(0), Kind::Tcp(RST), first, end(REMOTE)).unwrap();
    world.wait(350);
    assert!(world.table.is_empty());
    assert_eq!(passed(&mut world, Kind::Tcp(SYN), 1, REMOTE), 1);
}

#[test]
fn aws_55_000_of_udp_too() {
    let mut world = World::aws();
    assert_eq!(passed(&mut world, UDP, 55_100, REMOTE), 55_000);
    // Their ports are their own: 9,512 are left for all other destinations.
    let more = (60_000..70_000).filter(|&number| {
        world.send_out(PortId(number), UDP, inside(number), end("198.51.100.8:80")).is_ok()
    });
    assert_eq!(more.count(), 9_512);
    check(&world.table);
}

#[test]
fn u11_rfc_has_a_port_for_each_endpoint_and_behaves_so_to_the_last() {
    for kind in [UDP, Kind::Tcp(SYN)] {
        let mut world = World::rfc();
        assert_eq!(passed(&mut world, kind, 65_000, REMOTE), 64_512);
        let first = world.send_out(PortId(0), kind, inside(0), end(REMOTE)).unwrap();
        let again = world.send_out(PortId(0), kind, inside(0), end("198.51.100.9:9")).unwrap();
        assert_eq!(first, again, "U1 at full use");
        assert_eq!(world.back(kind, "198.51.100.9:1", first), Ok(inside(0)), "U8 at full use");
        assert_eq!(world.back(kind, "198.51.100.10:1", first), Err(Refusal::Unsolicited));
        check(&world.table);
    }
}

#[test]
fn n4_a_host_takes_another_address_when_its_own_is_full() {
    let behaviour = Behaviour { ports: 4000..=4002, ..Behaviour::rfc() };
    let mut world = World::new(gateway(behaviour, &[EXTERNAL, SECOND]));
    let addresses: Vec<_> =
        (5000..5006).map(|port| *world.out(UDP, &format!("10.0.1.5:{port}"), REMOTE).unwrap().ip()).collect();
    assert!(addresses[..3].iter().all(|address| *address == addresses[0]));
    assert!(addresses[3..].iter().all(|address| *address != addresses[0]));
    assert!(world.out(UDP, "10.0.1.5:5006", REMOTE).is_err());
}

#[test]
fn c4_nobody_takes_all() {
    let behaviour = Behaviour { per_subscriber: Some(3), ..Behaviour::rfc() };
    let mut world = World::new(gateway(behaviour, &[EXTERNAL]));
    let mut send = |subscriber, number| world.send_out(PortId(subscriber), UDP, inside(number), end(REMOTE));
    assert!((0..3).all(|number| send(1, number).is_ok()));
    assert_eq!(why(send(1, 3)), (Refusal::SubscriberLimit, Answer::Prohibited));
    assert!(send(1, 0).is_ok(), "C11: what is there goes on");
    assert!(send(2, 3).is_ok(), "whatever address it claims, an interface has its own share");
    world.wait(300);
    assert!(world.send_out(PortId(1), UDP, inside(3), end(REMOTE)).is_ok());
    check(&world.table);
}

#[test]
fn c5_a_full_table_takes_no_more() {
    let mut table = NatTable::new(2, 7);
    table.load(&[gateway(Behaviour::rfc(), &[EXTERNAL])]);
    let mut world = World { table, now: Time(0), key: interface(1) };
    world.out(UDP, A, REMOTE).unwrap();
    world.out(UDP, B, REMOTE).unwrap();
    assert_eq!(why(world.out(UDP, A, "198.51.100.8:1")), (Refusal::TableFull, Answer::Prohibited));
    world.out(UDP, A, REMOTE).unwrap();
}

#[test]
fn c15_where_a_port_is_cannot_be_told_from_the_last() {
    let mut world = World::aws();
    for kind in [UDP, Kind::Tcp(SYN), ECHO] {
        let mut port = |n| world.send_out(PortId(1), kind, inside(n), end(REMOTE)).unwrap().port();
        let ports: Vec<_> = (0..200).map(&mut port).collect();
        let near = ports.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 64).count();
        assert!(near < 10, "{near} of 199 stand next to the one before");
    }
}
