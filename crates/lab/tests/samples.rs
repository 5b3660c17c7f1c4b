//! The labs that ship with the project: they deploy, and their plans are those of the network they describe.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may end")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use host::plan::Plan;
use lab::deploy::{Deployment, PhysicalId, deploy};
use lab::file::Lab;
use lab::plan::{interface_mac, internet_neighbors, relay_links, uplink_mac, world_plan};
use lab::programs::{host_machines, programs, requirements};
use lab::world::{Member, NextHop};
use model::Region;

fn up(name: &str) -> (Lab, Region, Deployment) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs/ucs-test").join(name);
    let lab = Lab::load(&path).unwrap();
    let mut region = Region::new(lab.region.clone(), 1);
    let deployment = deploy(&lab, &mut region).unwrap();
    (lab, region, deployment)
}

fn both() -> [(Lab, Region, Deployment); 2] {
    [up("before-table.yaml"), up("before-detour.yaml")]
}

#[test]
fn both_have_the_reference_network_s_addresses() {
    for (lab, region, deployment) in both() {
        let address = |logical: &str| {
            let instance = &region.instances()[&deployment.instance(logical).unwrap()];
            let interface = &region.interfaces()[&instance.interfaces[0]];
            let public = region.public_address_of(interface.id, interface.private_ip);
            (interface.private_ip.to_string(), public.map(|a| a.to_string()), interface.source_dest_check)
        };
        assert_eq!(address("NatInstance"), ("10.210.216.13".into(), Some("203.0.113.13".into()), false));
        assert_eq!(address("TestMachine"), ("10.210.7.14".into(), None, true));
        assert_eq!(deployment.tunnel_remotes["transit"].to_string(), "203.0.113.13");
        let nat = deployment.instance("NatInstance").unwrap();
        assert_eq!(deployment.logical_id(nat), Some("NatInstance"));
        assert_eq!(lab.region.to_string(), "000000000000/eu-west-1");
    }
}

#[test]
fn the_table_leads_to_the_nat_instance_and_the_detour_does_not() {
    let default_of_test_machine = |(_, region, deployment): (Lab, Region, Deployment)| {
        let instance = &region.instances()[&deployment.instance("TestMachine").unwrap()];
        let subnet = region.interfaces()[&instance.interfaces[0]].subnet;
        let table = region.route_table_of(&region.subnets()[&subnet]);
        let route =
            table.routes().find(|r| r.destination.cidr().is_some_and(|cidr| cidr.prefix_len() == 0)).unwrap();
        format!("{:?}", route.target)
    };
    let table = default_of_test_machine(up("before-table.yaml"));
    assert!(table.starts_with("Instance"), "{table}");
    let detour = default_of_test_machine(up("before-detour.yaml"));
    assert!(detour.starts_with("InternetGateway"), "{detour}");
}

#[test]
fn after_the_change_a_nat_gateway_and_an_egress_only_gateway_lead_out() {
    let (lab, region, deployment) = up("after.yaml");
    let interface = |logical: &str| {
        let instance = &region.instances()[&deployment.instance(logical).unwrap()];
        &region.interfaces()[&instance.interfaces[0]]
    };
    let test = interface("TestMachine");
    let table = region.route_table_of(&region.subnets()[&test.subnet]);
    let defaults =
        table.routes().filter(|route| route.destination.cidr().is_some_and(|c| c.prefix_len() == 0));
    let targets: Vec<_> = defaults.map(|route| format!("{:?}", route.target)).collect();
    assert!(targets.iter().any(|target| target.starts_with("NatGateway")), "{targets:?}");
    assert!(targets.iter().any(|target| target.starts_with("EgressOnlyInternetGateway")), "{targets:?}");
    assert_eq!(test.ipv6_addresses, ["2001:db8:ec2::4".parse::<std::net::Ipv6Addr>().unwrap()]);
    assert!(interface("NatInstance").ipv6_addresses.is_empty());

    let neighbors = internet_neighbors(&lab);
    let [v4, v6] = ["192.0.2.80", "2001:db8:80::80"].map(|address| neighbors[&address.parse().unwrap()]);
    assert_eq!(v4, v6);
    let plan = world_plan(&lab);
    assert_sound(&plan);
    let speaking: Vec<_> =
        plan.namespaces.iter().filter(|(_, plan)| plan.ipv6()).map(|(name, _)| name).collect();
    assert_eq!(speaking, ["rw-after-origin"]);
    let routes: Vec<_> = plan.namespaces["rw-after-origin"].routes.iter().map(ToString::to_string).collect();
    assert_eq!(routes, ["0.0.0.0/0 dev eth0", "::/0 dev eth0"]);
}

#[test]
fn nats_has_a_gateway_of_each_profile() {
    let (_, region, _) = up("../nats.yaml");
    let profiles: BTreeSet<_> = region.nat_gateways().values().map(|g| format!("{:?}", g.profile)).collect();
    assert_eq!(profiles, ["Aws".to_owned(), "Rfc".to_owned()].into());
}

#[test]
fn the_detour_s_image_reads_the_included_file() {
    let (lab, region, deployment) = up("before-detour.yaml");
    let instance = &region.instances()[&deployment.instance("TestMachine").unwrap()];
    let image = lab.image(instance.image).unwrap();
    let conf = &image.files["/etc/dhcp/dhclient.conf"];
    assert!(conf.ends_with("include \"/etc/dhcp/dhclient.conf.local\";\n"), "{conf}");
    assert_eq!(image.files["/etc/dhcp/dhclient.conf.local"], "");
    let nat = &region.instances()[&deployment.instance("NatInstance").unwrap()];
    assert!(lab.image(nat.image).unwrap().files.is_empty());
}

#[test]
fn the_world_is_what_the_file_says() {
    let (lab, ..) = up("before-table.yaml");
    let dmz = &lab.world.hosts["dmz"];
    assert!(dmz.forward && !lab.world.hosts["notebook"].forward);
    assert_eq!(dmz.interfaces["eth2"].address.to_string(), "198.51.100.8/32");
    assert_eq!(dmz.interfaces["eth0"].address.to_string(), "192.168.250.250/24");
    assert_eq!(dmz.interfaces["eth2"].delay, Duration::from_micros(15_500));
    let vpc = dmz.route_to("10.210.7.14".parse().unwrap()).unwrap();
    let gateway = NextHop::Gateway { address: "192.168.5.27".parse().unwrap(), interface: "eth1".into() };
    assert_eq!(vpc.next, gateway);
    let out = dmz.route_to("203.0.113.13".parse().unwrap()).unwrap();
    assert_eq!(out.next, NextHop::OnLink { interface: "eth2".into() });
    assert!(dmz.masquerade[0].matches("192.168.5.27".parse().unwrap(), "eth2"));
    let (neighbor, _) = lab.world.neighbor("lan", "192.168.0.240".parse().unwrap()).unwrap();
    assert_eq!(neighbor.name, "lerberg");
}

/// Every link of the plan has a name of its own in its namespace, and every namespace is planned.
fn assert_sound(plan: &Plan) {
    let mut links = BTreeSet::new();
    for end in plan.veths.iter().flat_map(|veth| [&veth.a, &veth.b]) {
        assert!(end.link.len() <= 15, "{}", end.link);
        assert!(links.insert((&end.namespace, &end.link)), "{} twice in {}", end.link, end.namespace);
        let namespace = &plan.namespaces[&end.namespace];
        assert!(end.bridge.as_ref().is_none_or(|bridge| namespace.bridges.contains(bridge)));
    }
}

#[test]
fn the_plan_wires_hosts_to_segments() {
    for (lab, ..) in both() {
        let plan = world_plan(&lab);
        assert_sound(&plan);
        let name = |rest: &str| format!("rw-{}-{rest}", lab.name);
        let segments = &plan.namespaces[&name("segments")];
        assert_eq!(
            segments.bridges.iter().collect::<Vec<_>>(),
            ["br-dmz-lan", "br-internet", "br-lan", "br-transfer"]
        );
        assert!(plan.namespaces[&name("dmz")].forwarding && !plan.namespaces[&name("notebook")].forwarding);
        let routes: Vec<_> = plan.namespaces[&name("dmz")].routes.iter().map(ToString::to_string).collect();
        assert!(routes.contains(&"0.0.0.0/0 dev eth2".to_owned()), "{routes:?}");
        assert!(routes.contains(&"192.168.0.0/24 via 192.168.250.1 dev eth0".to_owned()), "{routes:?}");
        // Nine interfaces, one of them with a delay, and the uplink.
        assert_eq!(plan.veths.len(), 9 + 1 + 1);

        let [relay] = relay_links(&lab).try_into().unwrap();
        assert_eq!(relay.delay, Duration::from_micros(15_500));
        for link in [&relay.a, &relay.b] {
            let mut ends = plan.veths.iter().flat_map(|veth| [&veth.a, &veth.b]);
            let end = ends.find(|end| end.link == *link).unwrap();
            assert_eq!((&end.namespace, &end.bridge), (&name("segments"), &None));
        }
        assert_eq!(plan, world_plan(&lab), "the same each time");
    }
}

#[test]
fn the_uplink_knows_who_is_on_the_internet() {
    let (lab, ..) = up("before-table.yaml");
    let neighbors = internet_neighbors(&lab);
    let addresses: Vec<_> = neighbors.keys().map(ToString::to_string).collect();
    assert_eq!(addresses, ["192.0.2.80", "198.51.100.8"]);
    let dmz = &lab.world.hosts["dmz"];
    let mac = interface_mac(&lab, dmz, &dmz.interfaces["eth2"]);
    assert_eq!(neighbors[&"198.51.100.8".parse().unwrap()], mac);
    assert_eq!(mac.0[0] & 3, 2, "locally administered, unicast");
    let plan = world_plan(&lab);
    assert!(plan.veths.iter().any(|veth| veth.b.link != "eth2" && veth.a.mac == Some(mac)));
    assert!(plan.veths.iter().any(|veth| veth.a.link == "uplink0" && veth.a.mac == Some(uplink_mac(&lab))));
}

#[test]
fn programs_are_the_network_s_own() {
    let (lab, _, deployment) = up("before-table.yaml");
    let lines = |commands: &[Vec<String>]| commands.iter().map(|c| c.join(" ")).collect::<Vec<_>>();

    let nat = programs(&lab, &deployment, &Member::Instance("NatInstance".into()));
    assert!(nat.forward);
    assert_eq!(
        lines(&nat.commands),
        [
            "iptables -t nat -A POSTROUTING -s 10.210.0.0/16 -o eth0 -j MASQUERADE",
            "iptables -t nat -A POSTROUTING -s 10.211.0.0/24 -o eth0 -j MASQUERADE"
        ]
    );
    assert_eq!(
        lines(&nat.processes),
        ["openvpn --dev tun0 --dev-type tun --proto udp4 --ifconfig 10.211.0.1 10.211.0.2 --cipher none \
          --auth none --ping 2 --port 1194 --float"]
    );
    let test = programs(&lab, &deployment, &Member::Instance("TestMachine".into()));
    assert_eq!(test, lab::programs::Programs::default());

    let machines = host_machines(&lab, &deployment, Path::new("/var/lib/x"));
    let vpn = machines.iter().find(|machine| machine.name == "ec2-vpn").unwrap();
    assert_eq!(vpn.namespace, "rw-before-table-ec2-vpn");
    assert_eq!(vpn.state_dir, PathBuf::from("/var/lib/x/ec2-vpn"));
    assert_eq!(lines(&vpn.commands), ["iptables -t nat -A POSTROUTING -o tun0 -j MASQUERADE"]);
    assert_eq!(
        lines(&vpn.processes),
        ["openvpn --dev tun0 --dev-type tun --proto udp4 --ifconfig 10.211.0.2 10.211.0.1 --cipher none \
          --auth none --ping 2 --remote 203.0.113.13 1194 --nobind --route 10.210.0.0 255.255.0.0"]
    );
    let needed: Vec<_> = requirements(&lab).into_iter().collect();
    assert_eq!(needed, ["dhclient", "iptables", "openvpn", "python3"]);
}

#[test]
fn resources_are_known_by_their_logical_ids() {
    let (_, region, deployment) = up("before-table.yaml");
    let PhysicalId::Vpc(vpc) = deployment.physical["Vpc"] else { panic!("a VPC") };
    assert_eq!(region.vpcs()[&vpc].cidr.to_string(), "10.210.0.0/16");
    assert_eq!(deployment.physical["NatAddress"].reference(), "203.0.113.13");
    assert_eq!(region.security_groups().len(), 3, "the default group and two of the template");
}
