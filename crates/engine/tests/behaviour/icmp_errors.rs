//! ICMP errors belong to the connection they quote, and are translated with it (RFC 5508).

use engine::DropReason;
use wire::{Frame, TcpFlags, build};

use crate::lab::{NAT_PUBLIC, OFFICE, Reference, UPLINK, WEB_PUBLIC, from_office, ip, to_office, udp};

fn quote(frame: &Frame) -> &[u8] {
    &frame.bytes[14..]
}

#[test]
fn an_error_from_outside_is_translated_inside_and_out() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let probe = udp(nat.ip, OFFICE).with_ttl(3);
    let (_, outside) = lab.one(nat.port, nat.by_router(probe.clone()));
    let router = ip("192.0.2.1");
    for (kind, code) in [(11, 0), (3, 3), (12, 0)] {
        let error = from_office(build::icmp_error(router, NAT_PUBLIC, kind, code, quote(&outside)));
        let expected = build::icmp_error(router, nat.ip, kind, code, quote(&probe));
        assert_eq!(lab.one(UPLINK, error), (nat.port, nat.handed(expected)), "{kind}/{code}");
    }
    assert_eq!(lab.connections(), 1, "an error opens nothing");
}

#[test]
fn an_error_from_inside_is_translated_inside_and_out() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let tunnel = build::udp(OFFICE, NAT_PUBLIC, 1194, 1194, b"tunnel");
    let (_, inside) = lab.one(UPLINK, from_office(tunnel.clone()));
    let error = nat.by_router(build::icmp_error(nat.ip, OFFICE, 3, 3, quote(&inside)));
    let expected = to_office(build::icmp_error(NAT_PUBLIC, OFFICE, 3, 3, quote(&tunnel)));
    assert_eq!(lab.one(nat.port, error), (UPLINK, expected));
}

#[test]
fn an_error_between_two_public_addresses_is_translated_twice() {
    let network = Reference::new();
    let (nat, web) = (&network.nat, &network.web);
    let mut lab = network.lab();
    let request = build::tcp(nat.ip, WEB_PUBLIC, 5, 80, TcpFlags::SYN, b"");
    let (_, arrived) = lab.one(nat.port, nat.by_router(request.clone()));
    let error = web.by_router(build::icmp_error(web.ip, NAT_PUBLIC, 3, 3, quote(&arrived)));
    let expected = build::icmp_error(WEB_PUBLIC, nat.ip, 3, 3, quote(&request));
    assert_eq!(lab.one(web.port, error), (nat.port, nat.handed(expected)));
}

#[test]
fn an_error_about_nothing_known_needs_a_rule() {
    let network = Reference::new();
    let (test, neighbor) = (&network.test, &network.neighbor);
    let mut lab = network.lab();
    let error = |port| {
        let never_sent = build::udp(test.ip, neighbor.ip, port, 53, b"");
        neighbor.by_neighbor(test, build::icmp_error(neighbor.ip, test.ip, 3, 3, quote(&never_sent)))
    };
    lab.one(test.port, test.by_neighbor(neighbor, build::udp(test.ip, neighbor.ip, 1, 53, b"")));
    assert_eq!(lab.one(neighbor.port, error(1)).0, test.port);
    assert_eq!(lab.dropped(neighbor.port, error(2)), DropReason::SecurityGroupIngress);
    // The NAT instance may send ICMP to the test machine by rule, whatever it quotes.
    let nat = &network.nat;
    let by_rule = build::icmp_error(nat.ip, test.ip, 3, 3, quote(&udp(test.ip, OFFICE)));
    assert_eq!(lab.one(nat.port, nat.by_router(by_rule)).0, test.port);
    assert_eq!(lab.connections(), 1);
}

#[test]
fn an_error_by_a_router_on_the_way_passes() {
    let network = Reference::new();
    let (nat, test) = (&network.nat, &network.test);
    let mut lab = network.lab();
    let probe = udp(test.ip, OFFICE).with_ttl(1);
    let (_, arrived) = lab.one(test.port, test.by_router(probe));
    let error = build::icmp_error(nat.ip, test.ip, 11, 0, quote(&arrived));
    assert_eq!(lab.one(nat.port, nat.by_router(error.clone())), (test.port, test.handed(error)));
}

#[test]
fn a_bad_quote_is_dropped() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let probe = udp(nat.ip, OFFICE);
    let (_, outside) = lab.one(nat.port, nat.by_router(probe));
    let mut short = quote(&outside)[..24].to_vec();
    let error = |quote: &[u8]| from_office(build::icmp_error(OFFICE, NAT_PUBLIC, 3, 3, quote));
    assert_eq!(lab.dropped(UPLINK, error(&short)), DropReason::BadQuote);
    short.extend([0; 8]);
    short[10] ^= 1;
    assert_eq!(lab.dropped(UPLINK, error(&short)), DropReason::BadQuote, "a wrong header checksum inside");
    let mut corrupt = error(quote(&outside));
    *corrupt.bytes.last_mut().unwrap() ^= 1;
    assert_eq!(lab.dropped(UPLINK, corrupt).label(), "BadIcmpChecksum");
}

#[test]
fn an_error_about_a_closed_connection_still_passes() {
    let network = Reference::new();
    let (test, neighbor) = (&network.test, &network.neighbor);
    let mut lab = network.lab();
    let reset = build::tcp(test.ip, neighbor.ip, 5, 80, TcpFlags::RST, b"");
    lab.one(test.port, test.by_neighbor(neighbor, reset.clone()));
    let error = build::icmp_error(neighbor.ip, test.ip, 3, 3, quote(&reset));
    assert_eq!(lab.one(neighbor.port, neighbor.by_neighbor(test, error)).0, test.port);
}

#[test]
fn a_machine_that_may_send_nothing_may_still_say_what_went_wrong() {
    let mut network = Reference::new();
    network.cloud.revoke_all(network.test_group, model::Direction::Egress);
    let (nat, test) = (&network.nat, &network.test);
    let mut lab = network.lab();
    let (_, probe) = lab.one(nat.port, nat.by_router(udp(nat.ip, test.ip)));
    let error = |quoted| test.by_router(build::icmp_error(test.ip, nat.ip, 3, 3, quote(quoted)));
    assert_eq!(lab.one(test.port, error(&probe)).0, nat.port);
    let never_came = build::udp(nat.ip, test.ip, 5, 33434, b"");
    assert_eq!(lab.dropped(test.port, error(&never_came)), DropReason::SecurityGroupEgress);
}
