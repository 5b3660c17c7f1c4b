//! Plans on the real kernel, in namespaces of these tests' own. Needs root.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "also in helpers of tests")]

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use host::kernel::{Kernel, Linux, Observed, ObservedNamespace};
use host::ledger::{Ledger, Made};
use host::namespace::{self, Namespace, NamespaceError};
use host::plan::{End, NamespacePlan, Plan, Route, Veth};
use host::reconcile::{diff, reconcile};
use host::step::Step;
use host::teardown::{TornDown, teardown};
use wire::Mac;

/// A lab of its own names, torn down at the end of the test, passed or failed.
struct Lab {
    prefix: String,
    root: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        assert!(rustix::process::geteuid().is_root(), "this test needs root");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("rw-hosttest-{}-{number}", std::process::id());
        Self { prefix, root: tempfile::tempdir().unwrap() }
    }

    fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn linux(&self) -> Linux {
        Linux::open(Ledger::open(&self.state()).unwrap()).unwrap()
    }

    fn tear_down(&self) -> TornDown {
        teardown(&self.state()).unwrap()
    }

    /// What is left of the lab on this machine.
    fn remains(&self) -> Vec<PathBuf> {
        let pins = fs::read_dir(namespace::DIRECTORY).into_iter().flatten().flatten().map(|e| e.path());
        let ours = pins.filter(|path| path.to_string_lossy().contains(&format!("{}-", self.prefix)));
        ours.chain(Some(self.state()).filter(|state| state.exists())).collect()
    }

    fn end(&self, namespace: &str, link: &str, mac: Option<u8>, bridge: Option<&str>) -> End {
        End {
            namespace: self.name(namespace),
            link: link.to_owned(),
            mac: mac.map(|last| Mac([2, 0, 0, 0, 0, last])),
            bridge: bridge.map(ToOwned::to_owned),
        }
    }

    /// host - bridge of the switch - router; and a guest at the router.
    fn plan(&self) -> Plan {
        let address = |link: &str, address: &str| (link.to_owned(), address.parse().unwrap());
        let switch = NamespacePlan { bridges: ["lan".to_owned()].into(), ..NamespacePlan::default() };
        let router = NamespacePlan {
            forwarding: true,
            addresses: [address("eth0", "192.0.2.1/24"), address("eth1", "198.51.100.1/24")].into(),
            ..NamespacePlan::default()
        };
        let host = NamespacePlan {
            addresses: [address("eth0", "192.0.2.10/24"), address("eth0", "192.0.2.11/24")].into(),
            routes: [
                route("0.0.0.0/0", Some([192, 0, 2, 1]), None),
                route("203.0.113.0/24", None, Some("eth0")),
            ]
            .into(),
            neighbors: [("eth0".to_owned(), Ipv4Addr::new(192, 0, 2, 99), Mac([2, 0, 0, 0, 0, 99]))].into(),
            ..NamespacePlan::default()
        };
        let guest = NamespacePlan { leave_addresses: true, ..NamespacePlan::default() };
        let namespaces = [("switch", switch), ("router", router), ("host", host), ("guest", guest)];
        let veth = |a, b, mtu| Veth { a, b, mtu };
        Plan {
            namespaces: namespaces.map(|(name, plan)| (self.name(name), plan)).into(),
            veths: vec![
                veth(
                    self.end("host", "eth0", Some(1), None),
                    self.end("switch", "p1", None, Some("lan")),
                    1500,
                ),
                veth(
                    self.end("switch", "p2", None, Some("lan")),
                    self.end("router", "eth0", Some(3), None),
                    1500,
                ),
                veth(
                    self.end("router", "eth1", Some(4), None),
                    self.end("guest", "eth0", Some(5), None),
                    9001,
                ),
            ],
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(errors) = teardown(&self.state()) {
            eprintln!("left behind: {errors:?}");
        }
    }
}

fn route(destination: &str, via: Option<[u8; 4]>, link: Option<&str>) -> Route {
    Route {
        destination: destination.parse().unwrap(),
        via: via.map(|via| Ipv4Addr::from(via).into()),
        link: link.map(ToOwned::to_owned),
    }
}

fn run(plan: &Plan, kernel: &mut Linux) -> (Observed, Vec<Step>) {
    let mut steps = Vec::new();
    let observed = reconcile(plan, kernel, &mut |step| steps.push(step.clone())).unwrap();
    (observed, steps)
}

/// Whether a datagram from one namespace arrives in another.
fn reaches(from: &str, to: &str, address: Ipv4Addr) -> bool {
    let receiver = Namespace::open(to).unwrap().run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).unwrap();
    let receiver = receiver.unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let port = receiver.local_addr().unwrap().port();
    let sender = Namespace::open(from).unwrap().run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).unwrap();
    let sent = sender.unwrap().send_to(b"hello", (address, port));
    sent.is_ok() && receiver.recv(&mut [0; 16]).is_ok_and(|length| length == 5)
}

#[test]
fn a_plan_stands_carries_packets_and_needs_no_second_run() {
    let lab = Lab::new();
    let mut kernel = lab.linux();
    let (observed, steps) = run(&lab.plan(), &mut kernel);
    assert!(steps.len() > 15, "{steps:?}");
    assert_eq!(run(&lab.plan(), &mut kernel).1, []);
    // A restart knows nothing but the plan and the ledger.
    drop(kernel);
    assert_eq!(run(&lab.plan(), &mut lab.linux()).1, []);

    assert!(reaches(&lab.name("host"), &lab.name("router"), Ipv4Addr::new(192, 0, 2, 1)));
    assert!(reaches(&lab.name("host"), &lab.name("router"), Ipv4Addr::new(198, 51, 100, 1)));

    let guest = &observed.namespaces[&lab.name("guest")].links["eth0"];
    assert_eq!((guest.mac, guest.mtu, guest.up), (Some(Mac([2, 0, 0, 0, 0, 5])), 9001, true));
    assert_eq!(guest.peer, Some((lab.name("router"), "eth1".to_owned())));
}

#[test]
fn both_ends_of_a_pair_may_be_in_one_namespace() {
    let lab = Lab::new();
    let mut plan = Plan::default();
    plan.namespaces.insert(lab.name("one"), NamespacePlan::default());
    let (a, b) = (lab.end("one", "left", Some(1), None), lab.end("one", "right", Some(2), None));
    plan.veths.push(Veth { a, b, mtu: 1500 });
    let mut kernel = lab.linux();
    let (observed, _) = run(&plan, &mut kernel);
    let left = &observed.namespaces[&lab.name("one")].links["left"];
    assert_eq!(left.peer, Some((lab.name("one"), "right".to_owned())));
    assert_eq!(run(&plan, &mut kernel).1, []);
}

#[test]
fn kernel_parameters_do_not_come_from_the_machine() {
    let lab = Lab::new();
    run(&lab.plan(), &mut lab.linux());
    for (name, links, forwarding) in
        [("router", ["eth0", "eth1"], "1"), ("host", ["eth0", "lo"], "0"), ("guest", ["eth0", "lo"], "0")]
    {
        let read = |path: String| {
            let namespace = Namespace::open(&lab.name(name)).unwrap();
            let value = namespace.run(|| fs::read_to_string(format!("/proc/sys/net/{path}"))).unwrap();
            value.unwrap_or_else(|e| panic!("{path}: {e}")).trim().to_owned()
        };
        assert_eq!(read("ipv4/ip_forward".to_owned()), forwarding, "{name}");
        assert_eq!(read("ipv4/icmp_ratelimit".to_owned()), "0", "{name}");
        for link in ["all", "default"].into_iter().chain(links) {
            for parameter in ["rp_filter", "accept_redirects", "send_redirects", "secure_redirects"] {
                let path = format!("ipv4/conf/{link}/{parameter}");
                assert_eq!(read(path.clone()), "0", "{name} {path}");
            }
            if Path::new("/proc/sys/net/ipv6").exists() {
                assert_eq!(read(format!("ipv6/conf/{link}/disable_ipv6")), "1", "{name} {link}");
            }
        }
    }
}

#[test]
fn a_host_speaks_ipv6_as_far_as_the_plan_says() {
    if !Path::new("/proc/sys/net/ipv6").exists() {
        return;
    }
    let lab = Lab::new();
    let mut plan = lab.plan();
    let without = plan.clone();
    for (name, address) in [("host", "2001:db8::10/128"), ("router", "2001:db8::1/128")] {
        let namespace = plan.namespaces.get_mut(&lab.name(name)).unwrap();
        namespace.addresses.insert(("eth0".to_owned(), address.parse().unwrap()));
        namespace.routes.insert(route("::/0", None, Some("eth0")));
    }
    let mut kernel = lab.linux();
    let (whole, _) = run(&plan, &mut kernel);
    assert_eq!(run(&plan, &mut kernel).1, []);
    let host = lab.name("host");
    let says = |path: &str| {
        let read = || fs::read_to_string(format!("/proc/sys/net/ipv6/conf/eth0/{path}"));
        Namespace::open(&host).unwrap().run(read).unwrap().unwrap().trim().to_owned()
    };
    assert_eq!((says("disable_ipv6"), says("accept_ra")), ("0".to_owned(), "0".to_owned()));
    // At once: nobody waits until an address has been found to be free.
    let socket = |name: &str| {
        let bind = || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0));
        Namespace::open(&lab.name(name)).unwrap().run(bind).unwrap().unwrap()
    };
    let (sender, receiver) = (socket("host"), socket("router"));
    receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let to = (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), receiver.local_addr().unwrap().port());
    sender.send_to(b"hello", to).unwrap();
    let (_, from) = receiver.recv_from(&mut [0; 16]).unwrap();
    assert_eq!(from.ip().to_string(), "2001:db8::10");

    let (eth0, address) = ("eth0".to_owned(), "2001:db8::10/128".parse().unwrap());
    for damage in [
        Step::DeleteAddress { namespace: host.clone(), link: eth0.clone(), address },
        Step::DeleteRoute { namespace: host.clone(), route: route("::/0", None, Some("eth0")) },
        Step::AddRoute { namespace: host.clone(), route: route("2001:db8:1::/48", None, Some("eth0")) },
    ] {
        kernel.perform(&damage).unwrap();
        assert_eq!(run(&plan, &mut kernel).0, whole, "{damage}");
    }
    // And back, when the plan has no IPv6 any more.
    let (plain, _) = run(&without, &mut kernel);
    assert!(plain.namespaces[&host].addresses.iter().all(|(_, address)| address.addr().is_ipv4()));
    assert_eq!(says("disable_ipv6"), "1");
}

#[test]
fn damage_is_repaired() {
    let lab = Lab::new();
    let plan = lab.plan();
    let mut kernel = lab.linux();
    let (whole, _) = run(&plan, &mut kernel);
    let (host, switch) = (lab.name("host"), lab.name("switch"));
    let address = |address: &str| address.parse().unwrap();
    let damages = [
        Step::DeleteLink { namespace: host.clone(), link: "eth0".to_owned() },
        Step::DeleteLink { namespace: switch.clone(), link: "lan".to_owned() },
        Step::DeleteLink { namespace: lab.name("guest"), link: "eth0".to_owned() },
        Step::SetBridge { namespace: switch.clone(), link: "p1".to_owned(), bridge: None },
        Step::SetMtu { namespace: host.clone(), link: "eth0".to_owned(), mtu: 1400 },
        Step::SetMac { namespace: host.clone(), link: "eth0".to_owned(), mac: Mac([2, 0, 0, 0, 0, 77]) },
        // The primary address; the kernel may drop the other of the subnet with it.
        Step::DeleteAddress {
            namespace: host.clone(),
            link: "eth0".to_owned(),
            address: address("192.0.2.10/24"),
        },
        Step::AddAddress {
            namespace: host.clone(),
            link: "eth0".to_owned(),
            address: address("203.0.113.5/24"),
        },
        Step::DeleteRoute {
            namespace: host.clone(),
            route: route("0.0.0.0/0", Some([192, 0, 2, 1]), Some("eth0")),
        },
        Step::AddRoute { namespace: host.clone(), route: route("0.0.0.0/0", Some([192, 0, 2, 7]), None) },
        Step::AddRoute {
            namespace: host.clone(),
            route: route("198.51.100.128/25", Some([192, 0, 2, 1]), None),
        },
        Step::DeleteNeighbor {
            namespace: host.clone(),
            link: "eth0".to_owned(),
            address: Ipv4Addr::new(192, 0, 2, 99),
        },
        Step::SetNeighbor {
            namespace: host.clone(),
            link: "eth0".to_owned(),
            address: Ipv4Addr::new(192, 0, 2, 98),
            mac: Mac([2, 0, 0, 0, 0, 98]),
        },
        Step::SetSysctls {
            namespace: host.clone(),
            values: vec![
                ("ipv4/conf/eth0/rp_filter".to_owned(), "1".to_owned()),
                ("ipv4/ip_forward".to_owned(), "1".to_owned()),
            ],
        },
        Step::CreateBridge { namespace: host.clone(), bridge: "br9".to_owned() },
        Step::DeleteNamespace { name: lab.name("router") },
        Step::DeleteNamespace { name: switch.clone() },
    ];
    for damage in damages {
        kernel.perform(&damage).unwrap();
        assert!(!diff(&plan, &kernel.observe(&plan).unwrap()).is_empty(), "no damage done: {damage}");
        let (repaired, _) = run(&plan, &mut kernel);
        assert_eq!(shape(repaired), shape(whole.clone()), "{damage}");
    }
    assert!(reaches(&host, &lab.name("router"), Ipv4Addr::new(198, 51, 100, 1)));
}

/// What was observed, without the kernel's own choices: indices, and MACs of links that have none planned.
fn shape(observed: Observed) -> BTreeMap<String, ObservedNamespace> {
    let mut namespaces = observed.namespaces;
    for link in namespaces.values_mut().flat_map(|namespace| namespace.links.values_mut()) {
        link.index = 0;
        link.mac = link.mac.filter(|mac| mac.0[..5] == [2, 0, 0, 0, 0]);
    }
    namespaces
}

#[test]
fn a_pin_that_somebody_removed_is_replaced_although_the_namespace_lives() {
    let lab = Lab::new();
    let plan = lab.plan();
    let mut kernel = lab.linux();
    run(&plan, &mut kernel);
    let old = Namespace::open(&lab.name("guest")).unwrap();
    Namespace::delete(&lab.name("guest")).unwrap();
    let (_, steps) = run(&plan, &mut kernel);
    assert!(steps.iter().any(|step| matches!(step, Step::CreateNamespace { .. })), "{steps:?}");
    assert_ne!(Namespace::open(&lab.name("guest")).unwrap().inode(), old.inode());
}

#[test]
fn a_namespace_of_somebody_else_is_refused_and_stays() {
    let lab = Lab::new();
    let foreign = Namespace::create(&lab.name("router")).unwrap();
    let refused = reconcile(&lab.plan(), &mut lab.linux(), &mut |_| {}).unwrap_err();
    assert!(refused.to_string().contains("made by somebody else"), "{refused}");
    lab.tear_down();
    assert!(foreign.path().exists());
    Namespace::delete(foreign.name()).unwrap();
}

#[test]
fn what_a_guest_does_at_home_is_its_own() {
    let lab = Lab::new();
    let mut kernel = lab.linux();
    run(&lab.plan(), &mut kernel);
    let namespace = lab.name("guest");
    let link = "eth0".to_owned();
    for step in [
        Step::AddAddress {
            namespace: namespace.clone(),
            link: link.clone(),
            address: "198.51.100.4/24".parse().unwrap(),
        },
        Step::SetMtu { namespace: namespace.clone(), link, mtu: 1300 },
        Step::SetSysctls { namespace, values: vec![("ipv4/ip_forward".to_owned(), "1".to_owned())] },
    ] {
        kernel.perform(&step).unwrap();
        assert_eq!(run(&lab.plan(), &mut kernel).1, [], "{step}");
    }
}

#[test]
fn what_left_the_plan_goes_with_its_processes() {
    let lab = Lab::new();
    let mut kernel = lab.linux();
    run(&lab.plan(), &mut kernel);
    let mut sleeper = sleeper(&lab.name("guest"));
    let mut smaller = lab.plan();
    smaller.namespaces.remove(&lab.name("guest"));
    smaller.veths.pop();
    smaller.namespaces.get_mut(&lab.name("router")).unwrap().addresses.pop_last();
    let (observed, _) = run(&smaller, &mut kernel);
    assert!(sleeper.wait().unwrap().code().is_none(), "not killed");
    assert!(!observed.namespaces[&lab.name("router")].links.contains_key("eth1"));
    assert!(matches!(Namespace::open(&lab.name("guest")), Err(NamespaceError::Missing(_))));
}

#[test]
fn teardown_leaves_nothing_whatever_runs_there() {
    let lab = Lab::new();
    run(&lab.plan(), &mut lab.linux());
    // One that forks on and on, and one that has left its parent.
    let name = lab.name("host");
    let mut forking = shell(&name, "trap '' TERM; while :; do (sleep 0.01; sleep 0.01) & sleep 0.002; done");
    let mut orphan = shell(&name, "setsid sleep 1000 & echo");
    orphan.wait().unwrap();
    let namespace = Namespace::open(&name).unwrap();
    wait_until(|| namespace.processes().len() >= 3);
    drop(namespace);

    let done = lab.tear_down();
    forking.wait().unwrap();
    assert_eq!(done.namespaces.len(), 4, "{done:?}");
    assert!(done.processes >= 3, "{done:?}");
    assert_eq!(lab.remains(), Vec::<PathBuf>::new());
    assert_eq!(lab.tear_down(), TornDown::default());
}

#[test]
fn teardown_works_after_a_crash_at_any_step() {
    let lab = Lab::new();
    let mut steps = Vec::new();
    reconcile(&lab.plan(), &mut lab.linux(), &mut |step| steps.push(step.clone())).unwrap();
    lab.tear_down();
    for done in 0..steps.len() {
        let mut kernel = lab.linux();
        kernel.observe(&lab.plan()).unwrap();
        for step in &steps[..done] {
            kernel.perform(step).unwrap();
        }
        drop(kernel);
        lab.tear_down();
        assert_eq!(lab.remains(), Vec::<PathBuf>::new(), "after {done} steps");
    }
}

#[test]
fn a_pin_without_a_mount_is_what_a_crash_leaves() {
    let lab = Lab::new();
    let name = lab.name("host");
    // The first thing made and the ledger's entry for it come from an ordinary start.
    run(&lab.plan(), &mut lab.linux());
    Namespace::delete(&name).unwrap();
    fs::write(Path::new(namespace::DIRECTORY).join(&name), "").unwrap();
    assert!(matches!(Namespace::open(&name), Err(NamespaceError::NotPinned(_))));
    run(&lab.plan(), &mut lab.linux());
    assert!(matches!(Namespace::create(&name), Err(NamespaceError::Exists(_))));
    Namespace::delete(&name).unwrap();
    fs::write(Path::new(namespace::DIRECTORY).join(&name), "").unwrap();
    lab.tear_down();
    assert_eq!(lab.remains(), Vec::<PathBuf>::new());
}

#[test]
fn a_pin_without_a_mount_goes_when_nobody_plans_it_any_more() {
    let lab = Lab::new();
    let name = lab.name("guest");
    run(&lab.plan(), &mut lab.linux());
    Namespace::delete(&name).unwrap();
    let pin = Path::new(namespace::DIRECTORY).join(&name);
    fs::write(&pin, "").unwrap();
    let mut smaller = lab.plan();
    smaller.namespaces.remove(&name);
    smaller.veths.pop();
    smaller.namespaces.get_mut(&lab.name("router")).unwrap().addresses.pop_last();
    run(&smaller, &mut lab.linux());
    assert!(!pin.exists());
    assert_eq!(run(&smaller, &mut lab.linux()).1, []);
    lab.tear_down();
}

#[test]
fn ip_netns_sees_ours_and_we_survive_its_deeds() {
    let lab = Lab::new();
    run(&lab.plan(), &mut lab.linux());
    let netns = |arguments: &[&str]| {
        let output = Command::new("ip").arg("netns").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(netns(&["list"]).contains(&lab.name("router")));
    assert!(netns(&["exec", &lab.name("host"), "cat", "/proc/net/dev"]).contains("eth0"));
    // One that others add mounts nothing over ours, and ours can be deleted by either.
    let foreign = lab.name("foreign");
    netns(&["add", &foreign]);
    netns(&["delete", &lab.name("guest")]);
    let done = lab.tear_down();
    assert_eq!(done.namespaces.len(), 3);
    assert!(Namespace::open(&foreign).is_ok());
    netns(&["delete", &foreign]);
    assert_eq!(lab.remains(), Vec::<PathBuf>::new());
}

#[test]
fn the_last_lab_removes_what_the_first_made_for_both() {
    let (first, second) = (Lab::new(), Lab::new());
    let owned = namespace::owned();
    for lab in [&first, &second] {
        run(&lab.plan(), &mut lab.linux());
    }
    // Other tests use the directory meanwhile, so what can be asked for is that each has it on its list.
    for lab in [&first, &second] {
        let made = Ledger::read(&lab.state()).unwrap();
        assert_eq!(made.contains(&Made::NetnsDirectory), owned.directory);
        assert_eq!(made.contains(&Made::NetnsMount), owned.mount);
    }
}

#[test]
fn a_namespace_does_not_change_its_callers() {
    let lab = Lab::new();
    run(&lab.plan(), &mut lab.linux());
    let link = || fs::read_link("/proc/thread-self/ns/net").unwrap();
    let before = link();
    let namespace = Namespace::open(&lab.name("host")).unwrap();
    let inside = namespace.run(link).unwrap();
    assert_eq!(inside, Path::new(&format!("net:[{}]", namespace.inode())));
    assert_eq!(link(), before);
    assert_eq!(namespace.processes(), []);
}

#[test]
fn many_instances_come_up_in_seconds() {
    let lab = Lab::new();
    let mut plan = Plan::default();
    plan.namespaces.insert(lab.name("fabric"), NamespacePlan::default());
    for number in 0..100 {
        let name = format!("i{number}");
        let guest = NamespacePlan { leave_addresses: true, ..NamespacePlan::default() };
        plan.namespaces.insert(lab.name(&name), guest);
        let (a, b) =
            (lab.end("fabric", &format!("eni{number:012x}"), None, None), lab.end(&name, "eth0", None, None));
        plan.veths.push(Veth { a, b, mtu: 9001 });
    }
    let mut kernel = lab.linux();
    let start = Instant::now();
    run(&plan, &mut kernel);
    let up = start.elapsed();
    assert_eq!(run(&plan, &mut kernel).1, []);
    drop(kernel);
    let start = Instant::now();
    assert_eq!(lab.tear_down().namespaces.len(), 101);
    eprintln!("up in {up:?}, down in {:?}", start.elapsed());
}

/// A shell in a namespace.
fn shell(namespace: &str, script: &str) -> std::process::Child {
    let namespace = Namespace::open(namespace).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    namespace.run(|| command.spawn()).unwrap().unwrap()
}

fn sleeper(namespace: &str) -> std::process::Child {
    shell(namespace, "exec sleep 1000")
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::sleep(Duration::from_millis(10));
    }
}
