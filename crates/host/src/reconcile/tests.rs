use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use wire::Mac;

use super::*;
use crate::kernel::Pretend;

fn end(namespace: &str, link: &str, mac: Option<u8>, bridge: Option<&str>) -> End {
    End {
        namespace: namespace.to_owned(),
        link: link.to_owned(),
        mac: mac.map(|last| Mac([2, 0, 0, 0, 0, last])),
        bridge: bridge.map(ToOwned::to_owned),
    }
}

fn route(destination: &str, via: Option<[u8; 4]>, link: Option<&str>) -> Route {
    Route {
        destination: destination.parse().unwrap(),
        via: via.map(|via| Ipv4Addr::from(via).into()),
        link: link.map(ToOwned::to_owned),
    }
}

/// A router with a bridge and an address, a host behind it, and a guest on the fabric.
fn plan() -> Plan {
    let router = NamespacePlan {
        forwarding: true,
        bridges: ["lan".to_owned()].into(),
        addresses: [("lan".to_owned(), "192.0.2.1/24".parse().unwrap())].into(),
        ..NamespacePlan::default()
    };
    let host = NamespacePlan {
        addresses: [("eth0".to_owned(), "192.0.2.10/24".parse().unwrap())].into(),
        routes: [route("0.0.0.0/0", Some([192, 0, 2, 1]), None), route("203.0.113.0/24", None, Some("eth0"))]
            .into(),
        neighbors: [("eth0".to_owned(), Ipv4Addr::new(192, 0, 2, 9), Mac([2, 0, 0, 0, 0, 9]))].into(),
        ..NamespacePlan::default()
    };
    let guest = NamespacePlan { leave_addresses: true, ..NamespacePlan::default() };
    let fabric = NamespacePlan::default();
    Plan {
        namespaces: [("router", router), ("host", host), ("guest", guest), ("fabric", fabric)]
            .map(|(name, plan)| (name.to_owned(), plan))
            .into(),
        veths: vec![
            Veth {
                a: end("host", "eth0", Some(1), None),
                b: end("router", "p1", None, Some("lan")),
                mtu: 1500,
            },
            Veth { a: end("fabric", "eni1", None, None), b: end("guest", "eth0", Some(2), None), mtu: 9001 },
        ],
    }
}

fn run(plan: &Plan, kernel: &mut Pretend) -> Vec<Step> {
    let before = kernel.asked.len();
    let mut told = Vec::new();
    reconcile(plan, kernel, &mut |step| told.push(step.clone())).unwrap();
    assert_eq!(kernel.asked[before..], told);
    told
}

#[test]
fn a_second_run_has_nothing_to_do() {
    let mut kernel = Pretend::default();
    assert!(!run(&plan(), &mut kernel).is_empty());
    assert_eq!(run(&plan(), &mut kernel), []);
    let links = &kernel.namespaces["router"].links;
    assert_eq!(links["p1"].bridge.as_deref(), Some("lan"));
    assert!(kernel.namespaces.values().all(|namespace| namespace.links.values().all(|link| link.up)));
}

#[test]
fn steps_read_as_plain_words_in_an_order_that_works() {
    let steps = diff(&plan(), &Observed::default());
    let words: Vec<String> = steps.iter().map(ToString::to_string).collect();
    let expected = [
        "create namespace fabric",
        "set lo in fabric up",
        "create namespace guest",
        "set lo in guest up",
        "create namespace host",
        "set lo in host up",
        "create namespace router",
        "set lo in router up",
        "create bridge lan in router",
        "create veth eth0 in host <-> p1 in router",
        "make p1 in router a port of lan",
        "set p1 in router up",
        "create veth eth0 in guest <-> eni1 in fabric",
        "set eni1 in fabric up",
        "add address 192.0.2.10/24 to eth0 in host",
        "add route 203.0.113.0/24 dev eth0 in host",
        "add route 0.0.0.0/0 via 192.0.2.1 in host",
        "set neighbor 192.0.2.9 on eth0 in host to 02:00:00:00:00:09",
        "add address 192.0.2.1/24 to lan in router",
    ];
    assert_eq!(words, expected);
}

#[test]
fn a_crash_after_any_step_is_continued() {
    let mut whole = Pretend::default();
    let steps = run(&plan(), &mut whole);
    for done in 0..steps.len() {
        let mut kernel = Pretend::default();
        for step in &steps[..done] {
            kernel.perform(step).unwrap();
        }
        run(&plan(), &mut kernel);
        assert_eq!(without_indices(kernel), without_indices(whole.clone()), "after {done} steps");
    }
}

#[test]
fn what_is_deleted_is_made_again() {
    let mut whole = Pretend::default();
    run(&plan(), &mut whole);
    let delete = |link: &str, namespace: &str| Step::DeleteLink {
        namespace: namespace.to_owned(),
        link: link.to_owned(),
    };
    let damages = [
        delete("eth0", "host"),
        delete("eth0", "guest"),
        delete("lan", "router"),
        Step::DeleteNamespace { name: "router".to_owned() },
        Step::DeleteNamespace { name: "guest".to_owned() },
        Step::SetBridge { namespace: "router".to_owned(), link: "p1".to_owned(), bridge: None },
        Step::SetMtu { namespace: "host".to_owned(), link: "eth0".to_owned(), mtu: 576 },
        Step::SetMac { namespace: "host".to_owned(), link: "eth0".to_owned(), mac: Mac([2; 6]) },
        Step::DeleteAddress {
            namespace: "host".to_owned(),
            link: "eth0".to_owned(),
            address: "192.0.2.10/24".parse().unwrap(),
        },
        Step::AddAddress {
            namespace: "host".to_owned(),
            link: "eth0".to_owned(),
            address: "192.0.2.11/24".parse().unwrap(),
        },
        Step::DeleteRoute {
            namespace: "host".to_owned(),
            route: route("0.0.0.0/0", Some([192, 0, 2, 1]), None),
        },
        Step::AddRoute { namespace: "host".to_owned(), route: route("198.51.100.0/24", None, Some("eth0")) },
        Step::DeleteNeighbor {
            namespace: "host".to_owned(),
            link: "eth0".to_owned(),
            address: Ipv4Addr::new(192, 0, 2, 9),
        },
        Step::SetNeighbor {
            namespace: "host".to_owned(),
            link: "eth0".to_owned(),
            address: Ipv4Addr::new(192, 0, 2, 8),
            mac: Mac([2; 6]),
        },
        Step::SetSysctls {
            namespace: "host".to_owned(),
            values: vec![("ipv4/conf/all/rp_filter".to_owned(), "1".to_owned())],
        },
    ];
    for damage in damages {
        let mut kernel = whole.clone();
        kernel.perform(&damage).unwrap();
        assert!(!run(&plan(), &mut kernel).is_empty(), "{damage}");
        assert_eq!(without_indices(kernel), without_indices(whole.clone()), "{damage}");
    }
}

#[test]
fn a_guest_is_left_alone() {
    let mut kernel = Pretend::default();
    run(&plan(), &mut kernel);
    let guest = kernel.namespaces.get_mut("guest").unwrap();
    guest.sysctls.insert("ipv4/ip_forward".to_owned(), "1".to_owned());
    guest.addresses.insert(("eth0".to_owned(), "10.210.1.4/24".parse().unwrap()));
    guest.links.get_mut("eth0").unwrap().up = false;
    guest.links.get_mut("eth0").unwrap().mtu = 1400;
    for name in ["tun0", "veth9"] {
        let mut link = guest.links["lo"].clone();
        link.kind = if name == "tun0" { LinkKind::Other } else { LinkKind::Veth };
        guest.links.insert(name.to_owned(), link);
    }
    assert_eq!(run(&plan(), &mut kernel), []);
}

#[test]
fn a_tunnel_and_its_routes_are_left_alone() {
    let mut kernel = Pretend::default();
    run(&plan(), &mut kernel);
    let host = kernel.namespaces.get_mut("host").unwrap();
    let tunnel = host.links["lo"].clone();
    host.links.insert("tun0".to_owned(), tunnel);
    host.addresses.insert(("tun0".to_owned(), "10.8.0.2/32".parse().unwrap()));
    host.routes.insert(crate::kernel::ObservedRoute {
        route: route("10.210.0.0/16", None, Some("tun0")),
        ours: false,
    });
    assert_eq!(run(&plan(), &mut kernel), []);
}

#[test]
fn what_left_the_plan_goes() {
    let mut kernel = Pretend::default();
    run(&plan(), &mut kernel);
    let mut smaller = plan();
    smaller.namespaces.remove("guest");
    smaller.veths.pop();
    let steps: Vec<String> = run(&smaller, &mut kernel).iter().map(ToString::to_string).collect();
    assert_eq!(steps, ["delete link eni1 in fabric", "delete namespace guest"]);
}

#[test]
fn a_link_of_another_kind_makes_room() {
    let mut kernel = Pretend::default();
    kernel
        .perform(&Step::CreateNamespace { name: "host".to_owned(), forwarding: false, ipv6: false })
        .unwrap();
    kernel.perform(&Step::CreateBridge { namespace: "host".to_owned(), bridge: "eth0".to_owned() }).unwrap();
    run(&plan(), &mut kernel);
    assert_eq!(kernel.namespaces["host"].links["eth0"].kind, LinkKind::Veth);
}

/// A kernel that forgets every address at once.
struct Forgetful(Pretend);

impl Kernel for Forgetful {
    fn observe(&mut self, plan: &Plan) -> Result<Observed, KernelError> {
        self.0.observe(plan)
    }

    fn perform(&mut self, step: &Step) -> Result<(), KernelError> {
        self.0.perform(step)?;
        self.0.namespaces.values_mut().for_each(|namespace| namespace.addresses.clear());
        Ok(())
    }
}

#[test]
fn work_that_does_not_last_is_an_error_that_says_what() {
    let error = reconcile(&plan(), &mut Forgetful(Pretend::default()), &mut |_| {}).unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with("still to do after 3 rounds: add address 192.0.2.10/24"), "{said}");
}

#[test]
fn a_failing_step_is_named() {
    let mut plan = plan();
    plan.veths[0].b.namespace = "nowhere".to_owned();
    let error = reconcile(&plan, &mut Pretend::default(), &mut |_| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot create veth eth0 in host <-> p1 in nowhere: there is no network namespace nowhere"
    );
}

fn without_indices(kernel: Pretend) -> BTreeMap<String, crate::kernel::ObservedNamespace> {
    let mut namespaces = kernel.namespaces;
    for link in namespaces.values_mut().flat_map(|namespace| namespace.links.values_mut()) {
        link.index = 0;
    }
    namespaces
}
