//! Tracked connections: how long they live, how they end, and begin anew.

use engine::DropReason;
use model::{Direction, Peer, Protocol};
use wire::{Frame, TcpFlags, build};

use crate::lab::{Lab, Reference};

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const FIN: TcpFlags = TcpFlags::FIN;
const RST: TcpFlags = TcpFlags::RST;

/// The test machine talks to its neighbour; the neighbour may only answer.
struct Pair {
    network: Reference,
    lab: Lab,
}

impl Pair {
    fn new() -> Pair {
        let network = Reference::new();
        let lab = network.lab();
        Pair { network, lab }
    }

    fn question(&self, flags: TcpFlags) -> Frame {
        let (test, neighbor) = (&self.network.test, &self.network.neighbor);
        test.by_neighbor(neighbor, build::tcp(test.ip, neighbor.ip, 5, 80, flags, b""))
    }

    fn answer(&self, flags: TcpFlags) -> Frame {
        let (test, neighbor) = (&self.network.test, &self.network.neighbor);
        neighbor.by_neighbor(test, build::tcp(neighbor.ip, test.ip, 80, 5, flags, b""))
    }

    fn ask(&mut self, flags: TcpFlags) {
        let frame = self.question(flags);
        assert_eq!(self.lab.one(self.network.test.port, frame).0, self.network.neighbor.port);
    }

    fn reply(&mut self, flags: TcpFlags) {
        let frame = self.answer(flags);
        assert_eq!(self.lab.one(self.network.neighbor.port, frame).0, self.network.test.port);
    }

    fn refused(&mut self, flags: TcpFlags) {
        let frame = self.answer(flags);
        let reason = self.lab.dropped(self.network.neighbor.port, frame);
        assert_eq!(reason, DropReason::SecurityGroupIngress);
    }
}

#[test]
fn an_established_connection_may_be_idle_for_five_days() {
    let mut pair = Pair::new();
    pair.ask(SYN);
    pair.reply(SYN | ACK);
    pair.ask(ACK);
    pair.lab.wait(431_999);
    pair.reply(ACK);
    pair.lab.wait(431_999);
    assert_eq!(pair.lab.connections(), 1);
    pair.lab.wait(1);
    assert_eq!(pair.lab.connections(), 0);
    pair.refused(ACK);
}

#[test]
fn a_connection_that_nobody_answered_lives_two_minutes() {
    let mut pair = Pair::new();
    pair.ask(SYN);
    pair.lab.wait(119);
    pair.ask(SYN);
    pair.lab.wait(119);
    pair.reply(SYN | ACK);
    let mut pair = Pair::new();
    pair.ask(SYN);
    pair.lab.wait(120);
    pair.refused(SYN | ACK);
}

#[test]
fn a_connection_that_closes_after_a_long_life_is_soon_forgotten() {
    for end in [FIN | ACK, RST] {
        let mut pair = Pair::new();
        pair.ask(SYN);
        pair.reply(SYN | ACK);
        // Its deadline is days away when somebody looks.
        for _ in 0..10 {
            pair.lab.wait(100);
        }
        pair.ask(end);
        pair.reply(ACK);
        for _ in 0..4 {
            assert_eq!(pair.lab.connections(), 1);
            pair.lab.wait(29);
        }
        for _ in 0..3 {
            pair.lab.wait(29);
        }
        assert_eq!(pair.lab.connections(), 0, "{end}");
    }
}

#[test]
fn udp_lives_longer_once_answered() {
    let mut pair = Pair::new();
    let (test, neighbor) = (pair.network.test.clone(), pair.network.neighbor.clone());
    let question = test.by_neighbor(&neighbor, build::udp(test.ip, neighbor.ip, 5, 53, b"?"));
    let answer = neighbor.by_neighbor(&test, build::udp(neighbor.ip, test.ip, 53, 5, b"!"));
    pair.lab.one(test.port, question.clone());
    pair.lab.wait(29);
    pair.lab.one(test.port, question.clone());
    pair.lab.wait(30);
    assert_eq!(pair.lab.connections(), 0);
    pair.lab.one(test.port, question);
    pair.lab.one(neighbor.port, answer.clone());
    pair.lab.wait(179);
    pair.lab.one(neighbor.port, answer);
    pair.lab.wait(179);
    assert_eq!(pair.lab.connections(), 1);
    pair.lab.wait(1);
    assert_eq!(pair.lab.connections(), 0);
}

#[test]
fn a_syn_after_the_end_begins_anew() {
    let mut pair = Pair::new();
    pair.ask(SYN);
    pair.reply(SYN | ACK);
    pair.ask(RST);
    pair.refused(SYN);
    pair.reply(ACK);
    pair.ask(SYN);
    pair.reply(SYN | ACK);
    pair.lab.wait(1000);
    pair.reply(ACK);
    assert_eq!(pair.lab.connections(), 1);
}

#[test]
fn a_syn_that_is_refused_leaves_what_there_was() {
    let mut pair = Pair::new();
    pair.ask(SYN);
    pair.reply(SYN | ACK);
    pair.reply(FIN | ACK);
    // The other side may not begin; the old connection still ends in good order.
    pair.refused(SYN);
    pair.ask(FIN | ACK);
    pair.reply(ACK);
    assert_eq!(pair.lab.connections(), 1);
}

#[test]
fn a_syn_anew_asks_the_rules_anew() {
    let mut network = Reference::new();
    // Not from everywhere, so that the neighbour tracks it.
    network.cloud.revoke_all(network.open, Direction::Ingress);
    let from = Peer::Cidr("10.210.0.0/16".parse().unwrap());
    network.cloud.allow(network.open, Direction::Ingress, Protocol::All, None, from);
    let lab = network.lab();
    let mut pair = Pair { network, lab };
    pair.ask(SYN);
    pair.reply(SYN | ACK);
    pair.network.cloud.revoke_all(pair.network.open, Direction::Ingress);
    pair.lab.engine.load(pair.network.cloud.tables(2));
    pair.ask(ACK);
    pair.ask(FIN | ACK);
    let frame = pair.question(SYN);
    assert_eq!(pair.lab.dropped(pair.network.test.port, frame), DropReason::SecurityGroupIngress);
    pair.ask(ACK);
}

#[test]
fn a_connection_that_is_not_tracked_ends_with_its_rule() {
    let mut pair = Pair::new();
    pair.ask(SYN);
    pair.reply(SYN | ACK);
    pair.ask(ACK);
    // The neighbour lets everybody in and out; the test machine does not, and tracks.
    pair.network.cloud.revoke_all(pair.network.open, Direction::Ingress);
    pair.lab.engine.load(pair.network.cloud.tables(2));
    let frame = pair.question(ACK);
    assert_eq!(pair.lab.dropped(pair.network.test.port, frame), DropReason::SecurityGroupIngress);
    pair.reply(ACK);
}

#[test]
fn each_way_there_and_back_is_tracked_where_it_passes() {
    // The question takes the way through the NAT instance, the answer comes straight: the reference network's hop 6
    // the other way around.
    let network = Reference::new();
    let mut lab = network.lab();
    let (nat, test) = (&network.nat, &network.test);
    let question = build::tcp(test.ip, nat.ip, 5, 80, SYN, b"");
    lab.one(test.port, test.by_router(question));
    let forwarded = nat.by_router(build::tcp(test.ip, network.neighbor.ip, 5, 80, SYN, b""));
    assert_eq!(lab.one(nat.port, forwarded).0, network.neighbor.port);
    let neighbor = &network.neighbor;
    let straight = neighbor.by_neighbor(test, build::tcp(neighbor.ip, test.ip, 80, 5, SYN | ACK, b""));
    // The test machine sent nothing to that address itself.
    assert_eq!(lab.dropped(neighbor.port, straight), DropReason::SecurityGroupIngress);
    let around = neighbor.by_router(build::tcp(neighbor.ip, nat.ip, 80, 5, SYN | ACK, b""));
    assert_eq!(lab.one(neighbor.port, around).0, nat.port);
}
