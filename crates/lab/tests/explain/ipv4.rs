//! The reference network, which speaks IPv4.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use engine::Tables;
use lab::walk::{Outcome, Proto, Unanswerable};
use model::{Applied, Change, NatGatewayState, NewNatGateway, RouteTable, RouteTarget, RouteVia, Tags};

use crate::standing::{Standing, decisions, samples, why};

const SIX_HOPS: [&str; 6] =
    ["192.168.0.240", "192.168.0.250", "192.168.250.250", "192.168.5.27", "10.211.0.1", "10.210.7.14"];

fn reference() -> PathBuf {
    samples().join("ucs-test")
}

fn reference_lab(name: &str) -> Standing {
    Standing::load(&reference().join(name))
}

#[test]
fn the_traceroute_of_the_reference_network_has_six_hops() {
    for sample in ["before-table.yaml", "before-detour.yaml"] {
        let explanation = reference_lab(sample).ask("notebook", "test", Proto::Udp, 33434).unwrap();
        let hops: Vec<Option<IpAddr>> = SIX_HOPS.iter().map(|hop| Some(hop.parse().unwrap())).collect();
        assert_eq!(explanation.traceroute, hops, "{sample}");
        assert!(explanation.answered());
        assert_eq!(
            explanation.there.delay + explanation.back.unwrap().delay,
            std::time::Duration::from_millis(31)
        );
    }
}

#[test]
fn every_decision_on_the_way_is_told_also_inside_the_tunnel() {
    let explanation = reference_lab("before-table.yaml").ask("notebook", "test", Proto::Tcp, 22).unwrap();
    let told = decisions(&explanation).join("\n");
    for part in [
        "masquerades: source 192.168.0.82 becomes 10.211.0.2",
        "masquerades: source 192.168.5.27 becomes 198.51.100.8",
        "destination 203.0.113.13 becomes 10.210.216.13",
        "allows udp 1194 from 198.51.100.8/32",
        "masquerades: source 10.211.0.2 becomes 10.210.216.13",
        "10.210.0.0/16 -> local",
        "allows tcp 22 from 10.210.216.13/32",
    ] {
        assert!(told.contains(part), "{part} is missing in\n{told}");
    }
    // On the way back the tunnel's answer is decided on too.
    let back = explanation.back.unwrap();
    let cloud: Vec<_> = back.stops.iter().filter(|stop| stop.at == "the cloud").collect();
    assert_eq!(cloud.len(), 2);
    assert!(cloud.iter().all(|stop| stop.decisions.len() > 2), "{cloud:?}");
}

#[test]
fn a_port_that_no_rule_allows_is_named_with_its_groups() {
    let explanation = reference_lab("before-table.yaml").ask("notebook", "test", Proto::Tcp, 80).unwrap();
    assert!(why(&explanation).1.starts_with("SecurityGroupIngress"), "{:?}", why(&explanation));
    assert!(decisions(&explanation).iter().any(|words| words.contains("no rule of TestGroup")));
    assert!(!explanation.answered());
    assert_eq!(explanation.traceroute.len(), 5, "the hops before it answer still");
}

#[test]
fn without_a_public_address_the_internet_gateway_has_nothing_to_say() {
    let explanation = reference_lab("before-detour.yaml").ask("test", "origin", Proto::Tcp, 80).unwrap();
    assert!(why(&explanation).1.starts_with("NoPublicAddress"), "{:?}", why(&explanation));
}

#[test]
fn a_nat_gateway_is_a_hop() {
    let mut standing = reference_lab("before-table.yaml");
    let region = &mut standing.region;
    let public_ip = "203.0.113.99".parse().unwrap();
    let Applied::Address(allocation) =
        region.apply(Change::AllocateAddress { public_ip, tags: Tags::new() }).unwrap()
    else {
        panic!()
    };
    let gateway_subnet =
        region.subnets().values().find(|subnet| subnet.cidr.to_string() == "10.210.128.0/17");
    let subnet = gateway_subnet.unwrap().id;
    let private_ip = Some("10.210.128.99".parse().unwrap());
    let new = NewNatGateway { allocations: vec![allocation], private_ip, ..NewNatGateway::new(subnet) };
    let Applied::NatGateway(gateway) = region.apply(Change::CreateNatGateway(new)).unwrap() else { panic!() };
    region.apply(Change::SetNatGatewayState { gateway, state: NatGatewayState::Available }).unwrap();
    let by_instance = |table: &&RouteTable| {
        table.routes().any(|route| matches!(route.target, RouteTarget::Instance { .. }))
    };
    let table = region.route_tables().values().find(by_instance).unwrap().id;
    let (destination, target) = ("0.0.0.0/0".parse().unwrap(), RouteVia::NatGateway(gateway));
    region.apply(Change::ReplaceRoute { table, destination, target }).unwrap();
    standing.tables = Arc::new(Tables::compile([&standing.region], &standing.fabric, 2, 0));

    for proto in [Proto::Udp, Proto::Tcp, Proto::Icmp] {
        let explanation = standing.ask("test", "origin", proto, 80).unwrap();
        assert!(explanation.answered(), "{:?} {:?}", explanation.there, explanation.back);
        let hops: Vec<_> = explanation.traceroute.iter().map(|hop| hop.unwrap().to_string()).collect();
        assert_eq!(hops, ["10.210.128.99", "192.0.2.80"], "{proto:?}");
        for way in [&explanation.there, explanation.back.as_ref().unwrap()] {
            let visible: Vec<_> = way.stops.iter().filter(|stop| stop.visible).map(|stop| &stop.at).collect();
            assert_eq!(visible, [&gateway.to_string()]);
        }
    }
}

#[test]
fn with_a_route_table_the_test_machine_reaches_the_internet_through_the_nat_instance() {
    let explanation = reference_lab("before-table.yaml").ask("test", "origin", Proto::Icmp, 0).unwrap();
    assert!(explanation.answered(), "{:?}", explanation.there.outcome);
    let hops: Vec<_> = explanation.traceroute.iter().map(|hop| hop.unwrap().to_string()).collect();
    assert_eq!(hops, ["10.210.216.13", "192.0.2.80"]);
}

#[test]
fn a_nat_instance_in_the_subnet_that_it_serves_is_told_in_words() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["before-table.yaml", "table.cfn.yaml"] {
        let text = std::fs::read_to_string(reference().join(name)).unwrap();
        let one_subnet =
            text.replace("PrivateIpAddress: 10.210.216.13", "PrivateIpAddress: 10.210.21.13").replace(
                "SubnetId: !Ref GatewaySubnet\n      PrivateIp",
                "SubnetId: !Ref TestSubnet\n      PrivateIp",
            );
        std::fs::write(dir.path().join(name), one_subnet).unwrap();
    }
    let explanation =
        Standing::load(&dir.path().join("before-table.yaml")).ask("test", "origin", Proto::Tcp, 80).unwrap();
    let (at, why) = why(&explanation);
    assert_eq!(at, "the cloud");
    assert!(why.starts_with("RouteLeadsBack") && why.contains("another subnet"), "{why}");
}

#[test]
fn what_a_guest_does_on_its_own_is_not_guessed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(reference().join("table.cfn.yaml"), dir.path().join("table.cfn.yaml")).unwrap();
    let text = std::fs::read_to_string(reference().join("before-table.yaml")).unwrap();
    let (before, rest) = text.split_once("guests:").unwrap();
    let (_, after) = rest.split_once("sites:").unwrap();
    std::fs::write(dir.path().join("lab.yaml"), format!("{before}sites:{after}")).unwrap();
    let explanation =
        Standing::load(&dir.path().join("lab.yaml")).ask("test", "origin", Proto::Tcp, 80).unwrap();
    assert!(matches!(&explanation.there.outcome, Outcome::Unknown { at, .. } if at == "nat"));
    assert!(explanation.notes.iter().any(|note| note.contains("routes that DHCP gave")));
}

#[test]
fn the_metadata_service_answers_over_its_own_port() {
    let explanation =
        reference_lab("before-table.yaml").ask("test", "169.254.169.254", Proto::Tcp, 80).unwrap();
    assert!(explanation.answered(), "{explanation:?}");
    assert!(decisions(&explanation).iter().any(|words| words.contains("knows the caller by its port")));
}

#[test]
fn questions_that_cannot_be_answered_say_why() {
    let standing = reference_lab("before-table.yaml");
    let unknown = standing.ask("nobody", "test", Proto::Udp, 1).unwrap_err();
    assert!(
        matches!(&unknown, Unanswerable::NoSuchName { name, known } if name == "nobody" && known.contains(&"dmz".to_owned()))
    );
    let nowhere = standing.ask("notebook", "no-such-host", Proto::Udp, 1).unwrap_err();
    assert!(matches!(nowhere, Unanswerable::NoSuchName { .. }));
    let no_route = standing.ask("lerberg", "192.0.2.80", Proto::Udp, 1).unwrap_err();
    assert!(matches!(no_route, Unanswerable::NoRoute(..)), "{no_route:?}");
}

#[test]
fn words_that_are_a_key_pairs_name_stay_words() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(reference().join("before-table.yaml"), dir.path().join("before-table.yaml")).unwrap();
    let text = std::fs::read_to_string(reference().join("table.cfn.yaml")).unwrap();
    let key = "  Key:\n    Type: AWS::EC2::KeyPair\n    Properties: {KeyName: route, PublicKeyMaterial: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2jGX5l2zF4PCIbVNlqvR1Jr0G7Yw4oYp5WzHcQv0aB}\n";
    let with_key = text.replace("\nResources:\n", &format!("\nResources:\n{key}"));
    assert_ne!(with_key, text);
    std::fs::write(dir.path().join("table.cfn.yaml"), with_key).unwrap();
    let standing = Standing::load(&dir.path().join("before-table.yaml"));
    let told = decisions(&standing.ask("test", "origin", Proto::Icmp, 0).unwrap()).join("\n");
    assert!(told.contains("route table") && !told.contains("[route]"), "{told}");
}
