//! Gateways and addresses come and go.

use super::*;

fn with(world: &mut World, addresses: &[(Ipv4Addr, bool)]) {
    let address = |&(address, accepts_new)| Address { address, accepts_new };
    let addresses = addresses.iter().map(address).collect();
    world.table.load(&[Gateway { key: interface(1), behaviour: Behaviour::aws(), addresses }]);
}

#[test]
fn an_address_that_drains_keeps_what_it_has_and_takes_nothing_new() {
    let mut world = World::new(gateway(Behaviour::aws(), &[SECOND]));
    let old = world.connect(A, REMOTE);
    let mapped = world.out(UDP, A, REMOTE).unwrap();
    with(&mut world, &[(EXTERNAL, true), (SECOND, false)]);
    assert_eq!(world.out(Kind::Tcp(ACK), A, REMOTE).unwrap(), old);
    assert_eq!(world.back(Kind::Tcp(ACK), REMOTE, old), Ok(end(A)));
    assert_eq!(world.out(UDP, A, "198.51.100.8:1").unwrap(), mapped, "U1: an endpoint stays what it is");
    for port in 81..99 {
        let new = world.out(Kind::Tcp(SYN), A, &format!("198.51.100.7:{port}")).unwrap();
        assert_eq!(*new.ip(), EXTERNAL);
    }
    with(&mut world, &[(EXTERNAL, true)]);
    check(&world.table);
    assert_eq!(world.table.len(), 18);
    assert_eq!(why(world.out(Kind::Tcp(ACK), A, REMOTE)), (Refusal::NoSession, Answer::Reset));
    assert_eq!(world.back(Kind::Tcp(ACK), REMOTE, old), Err(Refusal::Unsolicited));
    assert_eq!(*world.out(UDP, A, REMOTE).unwrap().ip(), EXTERNAL);
}

#[test]
fn a_gateway_takes_its_sessions_along() {
    let other = |behaviour| Gateway { key: interface(2), ..gateway(behaviour, &[EXTERNAL]) };
    let first = gateway(Behaviour::rfc(), &[EXTERNAL]);
    let mut world = World::new(first.clone());
    world.table.load(&[first, other(Behaviour::aws())]);
    world.out(UDP, A, REMOTE).unwrap();
    world.out(Kind::Tcp(SYN), A, REMOTE).unwrap();
    world.key = interface(2);
    let kept = world.out(Kind::Tcp(SYN), A, REMOTE).unwrap();
    world.table.load(&[other(Behaviour::aws())]);
    check(&world.table);
    assert_eq!((world.table.len(), world.back(Kind::Tcp(SYN_ACK), REMOTE, kept)), (1, Ok(end(A))));
    // One that behaves otherwise is another one.
    world.table.load(&[other(Behaviour::rfc())]);
    check(&world.table);
    assert!(world.table.is_empty());
    assert_eq!(world.counters(), Counters::default());
    world.key = interface(1);
    assert_eq!(why(world.out(UDP, A, REMOTE)), (Refusal::NoGateway, Answer::Silence));
    // Nothing wakes up that is not there any more.
    world.wait(10_000);
    check(&world.table);
}

#[test]
fn gateways_do_not_see_each_other() {
    let first = gateway(Behaviour::aws(), &[EXTERNAL]);
    let mut world = World::new(first.clone());
    world.table.load(&[first, Gateway { key: interface(2), ..gateway(Behaviour::aws(), &[EXTERNAL]) }]);
    let external = world.out(UDP, A, REMOTE).unwrap();
    world.key = interface(2);
    assert_eq!(world.back(UDP, REMOTE, external), Err(Refusal::Unsolicited));
}

#[test]
fn a_session_is_not_taken_for_a_later_one() {
    let mut world = World::aws();
    let sent = key(UDP, end(A), end(REMOTE), Side::Inside);
    let claim = |world: &World| match world.table.outbound(&world.key, PortId(1), &sent, Facts::default()) {
        Ok(Translation { standing: Standing::New(claim), .. }) => claim,
        other => panic!("{other:?}"),
    };
    let first = claim(&world);
    let old = world.table.commit(&first, world.now).unwrap();
    assert_eq!(world.table.commit(&first, world.now), Some(old), "twice is once");
    world.wait(350);
    let new = world.table.commit(&claim(&world), world.now).unwrap();
    assert!(!world.table.contains(old) && world.table.contains(new));
    assert!(!world.table.touch(old, Side::Inside, None, 1, world.now));
}

#[test]
fn a_claim_that_came_too_late_is_nothing() {
    let behaviour = Behaviour { ports: 4000..=4000, ..Behaviour::aws() };
    for kind in [UDP, Kind::Tcp(SYN)] {
        let mut world = World::new(gateway(behaviour.clone(), &[EXTERNAL]));
        let [first, second] = [A, B].map(|from| {
            let sent = key(kind, end(from), end(REMOTE), Side::Inside);
            match world.table.outbound(&world.key, PortId(1), &sent, facts(kind)).unwrap().standing {
                Standing::New(claim) => claim,
                Standing::Known(_) => panic!("known"),
            }
        });
        assert!(world.table.commit(&first, world.now).is_some());
        assert_eq!(world.table.commit(&second, world.now), None);
        assert_eq!(world.table.len(), 1);
        check(&world.table);
    }
}
