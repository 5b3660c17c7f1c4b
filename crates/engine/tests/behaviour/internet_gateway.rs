//! The internet gateway: one private address for one public, both ways, checksums kept.

use engine::DropReason;
use wire::{Mac, TcpFlags, build};

use crate::lab::{
    NAT_PUBLIC, OFFICE, Reference, UPLINK, UPLINK_MAC, WEB_PUBLIC, from_office, ip, to_office, udp,
};

#[test]
fn out_and_back() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    let out = nat.by_router(build::tcp(nat.ip, OFFICE, 5, 443, TcpFlags::SYN, b"")).with_partial_checksum();
    let expected =
        to_office(build::tcp(NAT_PUBLIC, OFFICE, 5, 443, TcpFlags::SYN, b"")).with_partial_checksum();
    assert_eq!(lab.one(nat.port, out), (UPLINK, expected));
    let flags = TcpFlags::SYN | TcpFlags::ACK;
    let back = from_office(build::tcp(OFFICE, NAT_PUBLIC, 443, 5, flags, b""));
    let expected = nat.handed(build::tcp(OFFICE, nat.ip, 443, 5, flags, b""));
    assert_eq!(lab.one(UPLINK, back), (nat.port, expected));
    assert_eq!(lab.connections(), 1);
}

#[test]
fn in_and_back() {
    let network = Reference::new();
    let web = &network.web;
    let mut lab = network.lab();
    let request = from_office(build::tcp(OFFICE, WEB_PUBLIC, 5, 80, TcpFlags::SYN, b""));
    let expected = web.handed(build::tcp(OFFICE, web.ip, 5, 80, TcpFlags::SYN, b""));
    assert_eq!(lab.one(UPLINK, request), (web.port, expected));
    let flags = TcpFlags::SYN | TcpFlags::ACK;
    let answer = web.by_router(build::tcp(web.ip, OFFICE, 80, 5, flags, b""));
    let expected = to_office(build::tcp(WEB_PUBLIC, OFFICE, 80, 5, flags, b""));
    assert_eq!(lab.one(web.port, answer), (UPLINK, expected));
}

#[test]
fn two_public_addresses_meet_at_the_gateway() {
    let network = Reference::new();
    let (nat, web) = (&network.nat, &network.web);
    let mut lab = network.lab();
    let request = nat.by_router(build::tcp(nat.ip, WEB_PUBLIC, 5, 80, TcpFlags::SYN, b""));
    let expected = web.handed(build::tcp(NAT_PUBLIC, web.ip, 5, 80, TcpFlags::SYN, b""));
    assert_eq!(lab.one(nat.port, request), (web.port, expected));
    let flags = TcpFlags::SYN | TcpFlags::ACK;
    let answer = web.by_router(build::tcp(web.ip, NAT_PUBLIC, 80, 5, flags, b""));
    let expected = nat.handed(build::tcp(WEB_PUBLIC, nat.ip, 80, 5, flags, b""));
    assert_eq!(lab.one(web.port, answer), (nat.port, expected));
    assert_eq!(lab.connections(), 1);
}

#[test]
fn an_instance_reaches_itself_under_its_public_address() {
    let network = Reference::new();
    let web = &network.web;
    let mut lab = network.lab();
    for (sport, dport) in [(5, 80), (80, 80)] {
        let request = web.by_router(build::tcp(web.ip, WEB_PUBLIC, sport, dport, TcpFlags::SYN, b""));
        let expected = web.handed(build::tcp(WEB_PUBLIC, web.ip, sport, dport, TcpFlags::SYN, b""));
        for _ in 0..2 {
            assert_eq!(lab.one(web.port, request.clone()), (web.port, expected.clone()));
        }
    }
    assert_eq!(lab.connections(), 2, "also the one whose both ends have the same key");
    lab.wait(200);
    assert_eq!(lab.connections(), 0);
}

#[test]
fn only_the_private_address_that_has_a_public_one_leaves() {
    let network = Reference::new();
    let nat = &network.nat;
    let mut lab = network.lab();
    // Forwarded without masquerading: the gateway does not know the sender.
    let frame = nat.by_router(udp(network.test.ip, OFFICE));
    assert_eq!(lab.dropped(nat.port, frame), DropReason::NoPublicAddress);
    let frame = nat.by_router(udp(nat.ip, ip("198.51.100.200")));
    assert_eq!(lab.dropped(nat.port, frame), DropReason::NoInternetHost);
}

#[test]
fn strangers_cannot_pose_as_insiders() {
    let network = Reference::new();
    let mut lab = network.lab();
    for source in [network.test.ip, ip("10.210.99.99"), WEB_PUBLIC, ip("127.0.0.1")] {
        let frame = from_office(build::udp(source, NAT_PUBLIC, 1194, 1194, b""));
        assert_eq!(lab.dropped(UPLINK, frame), DropReason::MartianSource, "{source}");
    }
}

#[test]
fn an_address_moves_to_another_interface() {
    // The same tables but for the association: connections through the old one stay, packets do not.
    let network = Reference::new();
    let mut lab = network.lab();
    let request = from_office(build::tcp(OFFICE, WEB_PUBLIC, 5, 80, TcpFlags::SYN, b""));
    lab.one(UPLINK, request.clone());
    let mut other = Reference::new();
    other.cloud.fabric.interfaces.remove(&network.web.key);
    lab.engine.load(other.cloud.tables(2));
    assert_eq!(lab.connections(), 0, "what left its port took its connections along");
    assert_eq!(lab.dropped(UPLINK, request), DropReason::NoPort);
}

#[test]
fn what_the_internet_segment_carries_to_everybody_is_called_so() {
    let mut lab = Reference::new().lab();
    let all = "255.255.255.255";
    for (to, mac, reason) in [
        (all, Mac::BROADCAST, DropReason::Broadcast),
        ("224.0.0.1", Mac([1, 0, 0x5e, 0, 0, 1]), DropReason::Multicast),
        ("203.0.113.13", Mac::BROADCAST, DropReason::Broadcast),
        ("203.0.113.13", Mac([0x0a, 0, 0, 0, 0, 9]), DropReason::NotForUs),
    ] {
        let frame = from_office(udp(OFFICE, ip(to))).with_macs(UPLINK_MAC, mac);
        assert_eq!(lab.dropped(UPLINK, frame), reason, "{to} {mac}");
    }
}
