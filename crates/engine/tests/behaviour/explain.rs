//! Explaining is deciding, with the steps kept.

use engine::{Direction, Engine, Step, Time};
use wire::{TcpFlags, build};

use crate::lab::{NAT_PUBLIC, OFFICE, Reference, UPLINK, to_office, udp};

#[test]
fn the_way_out_step_by_step() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut engine = Engine::imagine(network.cloud.tables(1));
    let explained = engine.explain(Time(0), nat.port, nat.by_router(udp(nat.ip, OFFICE)));
    assert_eq!(explained.dropped, None);
    assert_eq!(explained.sent, [(UPLINK, to_office(udp(NAT_PUBLIC, OFFICE)))]);
    let [from, group, route, acl, gateway, out] = &explained.steps[..] else {
        panic!("{:?}", explained.steps)
    };
    assert_eq!(from, &Step::From { interface: nat.key.clone(), instance: Some(nat.instance) });
    assert!(matches!(group, Step::SecurityGroup { direction: Direction::Egress, allowed_by: Some(_), .. }));
    let words = route.to_string();
    assert!(words.contains("0.0.0.0/0") && words.contains(&network.igw.to_string()), "{words}");
    assert!(matches!(
        acl,
        Step::NetworkAcl { direction: Direction::Egress, rule: Some(100), allowed: true, .. }
    ));
    let (gateway_id, direction) = (network.igw, Direction::Egress);
    let expected =
        Step::InternetGateway { gateway: gateway_id, direction, from: nat.ip.into(), to: NAT_PUBLIC.into() };
    assert_eq!(gateway, &expected);
    assert_eq!(out, &Step::ToInternet { destination: OFFICE.into() });
}

#[test]
fn the_way_through_a_nat_instance() {
    let network = Reference::new();
    let test = &network.test;
    let mut engine = Engine::imagine(network.cloud.tables(1));
    let explained = engine.explain(Time(0), test.port, test.by_router(udp(test.ip, OFFICE)));
    let words: Vec<_> = explained.steps.iter().map(ToString::to_string).collect();
    assert!(words[2].contains(&network.nat.instance.to_string()), "{words:?}");
    assert!(words[3].contains("outbound: rule 100 allows it"), "{words:?}");
    assert!(words[4].contains("inbound: rule 100 allows it"), "{words:?}");
    assert!(words[5].contains("check is off"), "{words:?}");
    assert!(matches!(explained.steps.last(), Some(Step::Deliver { .. })));
}

#[test]
fn an_answer_is_explained_by_its_question() {
    let network = Reference::new();
    let (nat, test) = (&network.nat, &network.test);
    let mut engine = Engine::imagine(network.cloud.tables(1));
    let question = build::tcp(nat.ip, test.ip, 5, 22, TcpFlags::SYN, b"");
    engine.explain(Time(0), nat.port, nat.by_router(question));
    let answer = build::tcp(test.ip, nat.ip, 22, 5, TcpFlags::SYN | TcpFlags::ACK, b"");
    let explained = engine.explain(Time(0), test.port, test.by_router(answer));
    let tracked = |direction| explained.steps.contains(&Step::Tracked { direction });
    assert!(tracked(Direction::Egress) && tracked(Direction::Ingress), "{:?}", explained.steps);
}

#[test]
fn a_known_connection_is_explained_too() {
    let network = Reference::new();
    let (nat, test) = (&network.nat, &network.test);
    let mut lab = network.lab();
    let frame = nat.by_router(udp(nat.ip, test.ip));
    lab.one(nat.port, frame.clone());
    let explained = lab.engine.explain(Time(0), nat.port, frame);
    assert!(explained.steps.contains(&Step::Tracked { direction: Direction::Ingress }), "{explained:?}");
}

#[test]
fn steps_survive_the_wire() {
    let network = Reference::new();
    let mut engine = Engine::imagine(network.cloud.tables(1));
    for machine in [&network.nat, &network.test, &network.web] {
        let explained = engine.explain(Time(0), machine.port, machine.by_router(udp(machine.ip, OFFICE)));
        let text = serde_json::to_string(&explained.steps).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Step>>(&text).unwrap(), explained.steps);
    }
}
