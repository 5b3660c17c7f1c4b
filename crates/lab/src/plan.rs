//! What the world needs of one Linux machine's network: pure data for `host` to bring about.
//!
//! Every host has a namespace `rw-<lab>-<host>`. One namespace, `rw-<lab>-segments`, holds a bridge for each
//! segment; each interface is a veth pair from its host to its segment's bridge. A delay makes that two pairs with
//! a relay between them:
//!
//! ```text
//!   host          segments
//!   eth0 ─────── h…            (port of the bridge)
//!   eth2 ─────── d… ~relay~ e… ─────── p…   (port of the bridge)
//! ```
//!
//! The cloud's uplink is a pair like the others, from the bridge of the internet to the fabric's namespace.

use std::collections::BTreeMap;
use std::net::IpAddr;

use host::cloud::Names;
use host::plan::{End, NamespacePlan, Plan, Route, Veth};
use host::relay::RelayLink;
use ipnet::IpNet;
use wire::Mac;

use crate::file::Lab;
use crate::world::{Host, INTERNET, Interface, NextHop};

/// The name of the uplink's end in the fabric's namespace.
pub const UPLINK: &str = "uplink0";

/// The MTU of everything outside the cloud, in bytes.
pub const WORLD_MTU: u32 = 1500;

/// The namespaces and links of the world, and the uplink. The cloud's own come on top.
pub fn world_plan(lab: &Lab) -> Plan {
    let bridges = lab.world.segments.keys().map(|segment| bridge(segment)).collect();
    let segments = NamespacePlan { bridges, ..NamespacePlan::default() };
    let mut plan = Plan {
        namespaces: BTreeMap::from([
            (Names::of(&lab.name).segments(), segments),
            (Names::of(&lab.name).fabric(), NamespacePlan::default()),
        ]),
        veths: vec![uplink(lab)],
    };
    for host in lab.world.hosts.values() {
        plan.namespaces.insert(Names::of(&lab.name).of_host(&host.name), host_plan(host));
        for interface in host.interfaces.values() {
            plan.veths.extend(link(lab, host, interface));
        }
    }
    plan
}

/// The pairs of links that the relay in the segments' namespace joins.
pub fn relay_links(lab: &Lab) -> Vec<RelayLink> {
    let interfaces = lab.world.hosts.values().flat_map(|h| h.interfaces.values().map(move |i| (h, i)));
    interfaces
        .filter(|(_, interface)| !interface.delay.is_zero())
        .map(|(host, interface)| RelayLink {
            a: link_name('d', lab, host, interface),
            b: link_name('e', lab, host, interface),
            delay: interface.delay,
        })
        .collect()
}

/// Who is on the internet beside the cloud: where the uplink sends packets to.
pub fn internet_neighbors(lab: &Lab) -> BTreeMap<IpAddr, Mac> {
    let interfaces = lab.world.hosts.values().flat_map(|h| h.interfaces.values().map(move |i| (h, i)));
    interfaces
        .filter(|(_, interface)| interface.segment == INTERNET)
        .flat_map(|(host, interface)| {
            let mac = interface_mac(lab, host, interface);
            interface.addresses().map(move |address| (address, mac))
        })
        .collect()
}

/// The hardware address of the uplink's end in the fabric's namespace.
pub fn uplink_mac(lab: &Lab) -> Mac {
    mac(&[&lab.name, "fabric", UPLINK])
}

/// The hardware address of this machine's end, where it is the machine that the uplink leads to.
pub fn machine_mac(lab: &Lab) -> Mac {
    mac(&[&lab.name, "", UPLINK])
}

/// The hardware address of a host's interface.
pub fn interface_mac(lab: &Lab, host: &Host, interface: &Interface) -> Mac {
    mac(&[&lab.name, &host.name, &interface.name])
}

fn uplink(lab: &Lab) -> Veth {
    let fabric = End {
        namespace: Names::of(&lab.name).fabric(),
        link: UPLINK.to_owned(),
        mac: Some(uplink_mac(lab)),
        bridge: None,
    };
    let port = End {
        namespace: Names::of(&lab.name).segments(),
        link: UPLINK.to_owned(),
        mac: None,
        bridge: Some(bridge(INTERNET)),
    };
    Veth { a: fabric, b: port, mtu: WORLD_MTU }
}

fn host_plan(host: &Host) -> NamespacePlan {
    let addresses = host.interfaces.values().flat_map(|interface| {
        let own =
            [Some(IpNet::from(interface.address)), interface.address6.map(|a| IpNet::from(IpAddr::V6(a)))];
        own.into_iter().flatten().map(|address| (interface.name.clone(), address))
    });
    let routes = host.routes.iter().map(|route| {
        let via = match &route.next {
            NextHop::Gateway { address, .. } => Some((*address).into()),
            NextHop::OnLink { .. } => None,
        };
        Route { via, destination: route.destination.into(), link: Some(route.next.interface().to_owned()) }
    });
    let routes6 = host.routes6.iter().map(|route| Route {
        via: None,
        destination: route.destination.into(),
        link: Some(route.interface.clone()),
    });
    NamespacePlan {
        forwarding: host.forward,
        addresses: addresses.collect(),
        routes: routes.chain(routes6).collect(),
        ..NamespacePlan::default()
    }
}

/// The one or two veth pairs from a host's interface to its segment's bridge.
fn link(lab: &Lab, host: &Host, interface: &Interface) -> Vec<Veth> {
    let own = End {
        namespace: Names::of(&lab.name).of_host(&host.name),
        link: interface.name.clone(),
        mac: Some(interface_mac(lab, host, interface)),
        bridge: None,
    };
    let end = |prefix, bridge| End {
        namespace: Names::of(&lab.name).segments(),
        link: link_name(prefix, lab, host, interface),
        mac: None,
        bridge,
    };
    let port = Some(bridge(&interface.segment));
    if interface.delay.is_zero() {
        return vec![Veth { a: own, b: end('h', port), mtu: WORLD_MTU }];
    }
    vec![
        Veth { a: own, b: end('d', None), mtu: WORLD_MTU },
        Veth { a: end('e', None), b: end('p', port), mtu: WORLD_MTU },
    ]
}

/// A segment's bridge: by name where Linux' 15 bytes allow it.
fn bridge(segment: &str) -> String {
    if segment.len() <= 12 {
        return format!("br-{segment}");
    }
    format!("b{:011x}", hash(&[segment]) >> 20)
}

/// The name of a link in the segments' namespace: host and interface together are too long for it.
fn link_name(prefix: char, lab: &Lab, host: &Host, interface: &Interface) -> String {
    format!("{prefix}{:011x}", hash(&[&lab.name, &host.name, &interface.name]) >> 20)
}

/// A locally administered unicast address, the same for the same names.
fn mac(names: &[&str]) -> Mac {
    let [a, b, c, d, e, ..] = hash(names).to_be_bytes();
    Mac([0x0a, a, b, c, d, e])
}

/// FNV-1a over the names, mixed once more so that the high bits depend on all of them. Not std's hasher: what it
/// gives may differ from release to release, and a lab that is up must keep its links.
fn hash(names: &[&str]) -> u64 {
    let bytes = names.iter().flat_map(|name| name.bytes().chain([b'/']));
    let fnv = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}
