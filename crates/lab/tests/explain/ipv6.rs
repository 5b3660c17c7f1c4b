//! `labs/ipv6.yaml`, and the reference network after its change.

use lab::walk::{Explanation, Outcome, Proto, Question, Unanswerable, Way};

use crate::standing::{Standing, decisions, samples, why};

const ALL: [Proto; 3] = [Proto::Udp, Proto::Tcp, Proto::Icmp];
const ROUTER: &str = "fe80:ec2::1";
const NAT64_ORIGIN: &str = "64:ff9b::c000:250";

fn six() -> Standing {
    Standing::sample("ipv6.yaml")
}

fn hops(explanation: &Explanation) -> Vec<String> {
    let shown = |hop: &Option<_>| hop.as_ref().map_or("*".to_owned(), ToString::to_string);
    explanation.traceroute.iter().map(shown).collect()
}

/// Each stop of a way with the packet that came there.
fn packets(way: &Way) -> Vec<(&str, &str)> {
    way.stops.iter().map(|stop| (stop.at.as_str(), stop.packet.as_str())).collect()
}

#[test]
fn out_by_the_egress_only_gateway_and_nobody_in() {
    let after = Standing::sample("ucs-test/after.yaml");
    let (test, origin) = ("2001:db8:ec2::4", "2001:db8:80::80");
    for proto in ALL {
        let out = after.ask("test", origin, proto, 33434).unwrap();
        assert!(out.answered(), "{:?} {:?}", out.there.outcome, out.back);
        assert_eq!(hops(&out), [origin], "the gateway is no hop");
        assert!(out.notes[0].contains("DHCPv6"), "{:?}", out.notes);
        let inward = after.ask("origin", test, proto, 22).unwrap();
        let (at, reason) = why(&inward);
        assert!(at == "the cloud" && reason.starts_with("EgressOnly: "), "{at} {reason}");
    }
}

#[test]
fn by_the_internet_gateway_both_ways_with_the_links_delay() {
    let six = six();
    let (web, origin) = ("2001:db8:6:1::10", "3fff::80");
    for (from, to) in [("origin", web), ("web", origin), ("origin", "3fff::8")] {
        for proto in ALL {
            let explanation = six.ask(from, to, proto, 33434).unwrap();
            assert!(explanation.answered(), "{from} {to} {:?}", explanation.there.outcome);
            assert_eq!(hops(&explanation), [to]);
            assert_eq!(explanation.there.delay.as_millis(), 2);
            assert_eq!(explanation.back.unwrap().delay.as_millis(), 2);
        }
    }
    let told = decisions(&six.ask("web", origin, Proto::Icmp, 0).unwrap()).join("\n");
    for part in ["via fe80:ec2::1 on eth0", "::/0 -> Gateway", "2001:db8:6:1::10 is public itself"] {
        assert!(told.contains(part), "{part} is missing in\n{told}");
    }
}

#[test]
fn beyond_nat64_the_packet_is_ipv4_until_it_is_back() {
    let six = six();
    for proto in ALL {
        let explanation = six.ask("inner", NAT64_ORIGIN, proto, 33434).unwrap();
        assert!(explanation.answered(), "{proto:?} {:?}", explanation.back);
        assert_eq!(hops(&explanation), [ROUTER, NAT64_ORIGIN], "{proto:?}");
        let back = explanation.back.as_ref().unwrap();
        for way in [&explanation.there, back] {
            assert_eq!(way.stops.iter().filter(|stop| stop.visible).count(), 1, "the NAT gateway");
        }
        let (at, seen) = packets(&explanation.there).pop().unwrap();
        assert!(at == "origin" && seen.contains("203.0.113.30") && seen.contains("192.0.2.80"), "{seen}");
        let (at, seen) = packets(back).pop().unwrap();
        assert!(at == "inner" && seen.contains("2001:db8:6:3::31") && seen.contains(NAT64_ORIGIN), "{seen}");
    }
    // What is not there, or not reached by IPv4, is said as of IPv4.
    let nobody = six.ask("inner", "64:ff9b::192.0.2.99", Proto::Icmp, 0).unwrap();
    assert!(why(&nobody).1.starts_with("NoInternetHost: "), "{:?}", why(&nobody));
    assert_eq!(hops(&nobody), [ROUTER]);
    let not_led = six.ask("web", NAT64_ORIGIN, Proto::Icmp, 0).unwrap();
    assert!(why(&not_led).1.starts_with("NoInternetHost: "), "{:?}", why(&not_led));
    assert_eq!(hops(&not_led), [""; 0]);
}

#[test]
fn routers_of_ipv4_are_hops_of_ipv6() {
    let office = "64:ff9b::c0a8:52";
    for proto in ALL {
        let explanation = six().ask("inner", office, proto, 33434).unwrap();
        assert!(explanation.answered(), "{proto:?} {:?}", explanation.back);
        assert_eq!(hops(&explanation), [ROUTER, "64:ff9b::a00:10d", "64:ff9b::a09:2", office], "{proto:?}");
        let inside: Vec<_> = explanation.there.stops.iter().filter(|stop| stop.depth == 1).collect();
        assert!(inside.len() > 1 && inside.iter().all(|stop| stop.packet.starts_with("udp ")), "{inside:?}");
    }
}

#[test]
fn groups_acls_and_peering_are_asked() {
    let six = six();
    let ask = |from, to| six.ask(from, to, Proto::Tcp, 22).unwrap();
    let far = ask("web", "2001:db8:6:101::10");
    assert!(far.answered() && decisions(&far).iter().any(|words| words.starts_with("through Peering")));
    for (from, to, reason) in [
        ("web", "2001:db8:6:1::11", "SecurityGroupIngress"),
        ("origin", "2001:db8:6:2::10", "NetworkAclIngress"),
        ("far", "3fff::80", "NoRoute"),
        ("web", "2001:db8:6:3::99", "NoSuchAddress"),
    ] {
        let explanation = ask(from, to);
        assert!(why(&explanation).1.starts_with(reason), "{from} {to} {:?}", why(&explanation));
    }
    // A network ACL forgets: the question leaves, the answer does not come in.
    let guarded = ask("guarded", "3fff::80");
    assert!(matches!(&guarded.there.outcome, Outcome::Delivered { at } if at == "origin"));
    let back = guarded.back.as_ref().unwrap();
    assert!(matches!(&back.outcome, Outcome::Dropped { why, .. } if why.starts_with("NetworkAclIngress")));
    assert!(!guarded.answered());
    assert_eq!(hops(&guarded), ["*"]);
}

#[test]
fn nobody_answers_for_an_address_that_nobody_has() {
    let six = six();
    for (from, to, at, words) in [
        ("web", "2001:db8:6:1::99", "web", "nobody in its subnet has the address 2001:db8:6:1::99"),
        ("origin", "3fff::99", "origin", "nobody on segment internet has the address 3fff::99"),
        ("origin", "2001:db8:6:101::10", "origin", "nobody on segment internet"),
    ] {
        let explanation = six.ask(from, to, Proto::Icmp, 0).unwrap();
        let (who, why) = why(&explanation);
        assert!(who == at && why.starts_with(words), "{who}: {why}");
    }
    // Who has no IPv6, or no route to it.
    for (from, to) in [("old", "3fff::80"), ("notebook", "3fff::80"), ("narrow", "3fff::80")] {
        let refused = six.ask(from, to, Proto::Icmp, 0).unwrap_err();
        assert_eq!(refused, Unanswerable::NoRoute(from.to_owned(), to.parse().unwrap()));
    }
}

#[test]
fn the_source_is_the_address_that_is_nearest_to_the_destination() {
    let six = six();
    for (to, source) in [
        ("3fff::80", "2001:db8:6:3::31"),
        ("2001:db8:6:1::10", "2001:db8:6:3::31"),
        ("2001:db8:6:3::30", "2001:db8:6:3::30"),
        ("2001:db8:6:3::32", "2001:db8:6:3::31"),
    ] {
        let packet = six.ask("inner", to, Proto::Icmp, 0).unwrap().packet;
        assert!(packet.starts_with(&format!("echo request {source} > ")), "{to}: {packet}");
    }
}

#[test]
fn a_guest_that_may_forward_ipv6_is_not_guessed() {
    let told = |standing: &Standing| {
        let explanation = standing.ask("inner", "3fff:b0::1", Proto::Icmp, 0).unwrap();
        let Outcome::Unknown { at, why } = &explanation.there.outcome else { panic!("{explanation:?}") };
        assert!(at == "box" && why.contains("may forward IPv6"), "{at}: {why}");
    };
    // What a lab file declares about forwarding is about IPv4.
    told(&six());
    let directory = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(samples().join("ipv6.yaml")).unwrap();
    let undeclared = text.replace("guests:\n  Box: {forward: true}\n", "");
    assert_ne!(undeclared, text);
    std::fs::write(directory.path().join("lab.yaml"), undeclared).unwrap();
    told(&Standing::load(&directory.path().join("lab.yaml")));
}

#[test]
fn the_resolver_is_asked_by_ipv6_and_answers_so() {
    let explanation = six().ask("inner", "fd00:ec2::253", Proto::Udp, 53).unwrap();
    assert!(explanation.answered(), "{:?}", explanation.there.outcome);
    let (_, seen) = packets(explanation.back.as_ref().unwrap()).pop().unwrap();
    assert_eq!(seen, "udp [fd00:ec2::253]:53 > [2001:db8:6:3::31]:45000");
}

#[test]
fn a_name_is_its_ipv4_address_unless_ipv6_is_asked_for() {
    let six = six();
    let ask = |to: &str, ipv6| {
        let question =
            Question { from: "web".to_owned(), to: to.to_owned(), ipv6, port: 0, proto: Proto::Icmp };
        six.answer(&question).map(|explanation| explanation.packet)
    };
    let to = |to: &str, ipv6| ask(to, ipv6).unwrap().split(' ').nth(4).unwrap().to_owned();
    assert_eq!(to("box", true), "2001:db8:6:1::13");
    assert_eq!(to("origin", true), "3fff::80");
    assert_eq!(to("dmz", true), "3fff::8");
    assert_eq!(to("3fff::80", true), "3fff::80");
    assert_eq!(to("3fff::80", false), "3fff::80");
    assert_eq!(to("origin", false), "192.0.2.80");
    assert_eq!(to("inner", false), "10.0.3.10");
    assert_eq!(ask("old", true), Err(Unanswerable::NoIpv6Address("old".to_owned())));
    assert_eq!(ask("notebook", true), Err(Unanswerable::NoIpv6Address("notebook".to_owned())));
    assert_eq!(ask("192.0.2.80", true), Err(Unanswerable::NotIpv6("192.0.2.80".parse().unwrap())));
    assert_eq!(ask("fe80::1", false), Err(Unanswerable::LinkLocal("fe80::1".parse().unwrap())));
    assert!(matches!(ask("nobody", true), Err(Unanswerable::NoSuchName { .. })));
}
