//! What runs on the machines of a lab: masquerading rules, tunnels, declared programs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;

use host::cloud::Names;
use host::machine::MachineSpec;
use ipnet::Ipv4Net;

use crate::deploy::Deployment;
use crate::file::Lab;
use crate::template::ResourceType;
use crate::world::{Masquerade, Member, Tunnel, TunnelEnd};

/// The machine's own resolver cannot be reached from a lab: a host that asked it would wait for nothing.
const NO_RESOLVER: [&str; 2] = ["/etc/resolv.conf", "# There is no name server in this lab.\n"];

/// Seconds between the packets that tell `b` where `a` is, and keep translations on the way alive.
const PING_SECONDS: u32 = 2;

/// What one machine runs beside what its image and user data do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Programs {
    /// Whether its namespace forwards IPv4.
    pub forward: bool,
    /// Set-up commands in order.
    pub commands: Vec<Vec<String>>,
    /// Long running programs.
    pub processes: Vec<Vec<String>>,
}

/// The machines of the world's hosts. `directory` holds a directory for each of them, by name.
pub fn host_machines(lab: &Lab, deployment: &Deployment, directory: &Path) -> Vec<MachineSpec> {
    let machine = |name: &String| {
        let programs = programs(lab, deployment, &Member::Host(name.clone()));
        MachineSpec {
            name: name.clone(),
            hostname: name.clone(),
            namespace: Names::of(&lab.name).of_host(name),
            state_dir: directory.join(name),
            files: BTreeMap::from([NO_RESOLVER.map(str::to_owned).into()]),
            root: None,
            reboots: 0,
            dhcp: None,
            dhcp6: None,
            commands: programs.commands,
            processes: programs.processes,
            user_data: None,
        }
    };
    lab.world.hosts.keys().map(machine).collect()
}

/// What a host, or an instance beside its image and user data, runs.
pub fn programs(lab: &Lab, deployment: &Deployment, member: &Member) -> Programs {
    let (forward, masquerade, run) = match member {
        Member::Host(name) => match lab.world.hosts.get(name) {
            Some(host) => (host.forward, host.masquerade.as_slice(), host.run.as_slice()),
            None => (false, [].as_slice(), [].as_slice()),
        },
        Member::Instance(logical) => match lab.world.guests.get(logical) {
            Some(guest) => (guest.forward, guest.masquerade.as_slice(), guest.run.as_slice()),
            None => (false, [].as_slice(), [].as_slice()),
        },
    };
    let tunnels = lab.world.tunnels_of(member).filter_map(|(tunnel, own, peer)| {
        let dialled = deployment.tunnel_remotes.get(&tunnel.name)?;
        Some(openvpn(tunnel, own, peer, *dialled))
    });
    Programs {
        forward,
        commands: masquerade.iter().map(iptables).collect(),
        processes: tunnels.chain(run.iter().cloned()).collect(),
    }
}

/// The programs that the machine must have for this lab to run. Any DHCP client that `host` knows will do for
/// `dhclient`.
pub fn requirements(lab: &Lab) -> BTreeSet<&str> {
    let (hosts, guests) = (lab.world.hosts.values(), lab.world.guests.values());
    let members = hosts
        .map(|host| (&host.masquerade, &host.run))
        .chain(guests.map(|guest| (&guest.masquerade, &guest.run)));
    let mut needed = BTreeSet::new();
    for (masquerade, run) in members {
        needed.extend(run.iter().filter_map(|command| command.first().map(String::as_str)));
        if !masquerade.is_empty() {
            needed.insert("iptables");
        }
    }
    if !lab.world.tunnels.is_empty() {
        needed.insert("openvpn");
    }
    if lab.template.resources().iter().any(|resource| resource.kind == ResourceType::Instance) {
        needed.insert("dhclient");
    }
    needed
}

fn iptables(rule: &Masquerade) -> Vec<String> {
    let mut command = words("iptables -t nat -A POSTROUTING");
    if let Some(from) = rule.from {
        command.extend(["-s".to_owned(), from.to_string()]);
    }
    command.extend(["-o".to_owned(), rule.out.clone()]);
    command.extend(words("-j MASQUERADE"));
    command
}

/// One end of a tunnel: OpenVPN 2.6, point to point, without TLS and encryption, as the labs' networks have it.
/// `b` names no remote: it learns `a`'s address, as translated on the way, from the packets that come.
fn openvpn(tunnel: &Tunnel, own: &TunnelEnd, peer: &TunnelEnd, dialled: Ipv4Addr) -> Vec<String> {
    let (device, port) = (&own.device, tunnel.port);
    let mut command = words(&format!(
        "openvpn --dev {device} --dev-type tun --proto udp4 --ifconfig {} {} --cipher none --auth none \
         --ping {PING_SECONDS}",
        own.address, peer.address
    ));
    if *own == tunnel.a {
        command.extend(words(&format!("--remote {dialled} {port} --nobind")));
    } else {
        command.extend(words(&format!("--port {port} --float")));
    }
    for route in &own.routes {
        command.extend(words(&format!("--route {} {}", Ipv4Net::network(route), route.netmask())));
    }
    command
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
