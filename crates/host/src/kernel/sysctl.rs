//! Kernel parameters of a namespace. A new namespace inherits many of them from the machine, where every
//! distribution and administrator has their own, so all that bear on forwarding are set here.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Of the whole namespace, after `ip_forward`.
const NAMESPACE: [(&str, &str); 8] = [
    // A traceroute run twice needs all its answers; both limits of RFC 1812 4.3.2.8 are off.
    ("ipv4/icmp_ratelimit", "0"),
    ("ipv4/icmp_msgs_per_sec", "1000000"),
    ("ipv4/icmp_msgs_burst", "1000000"),
    ("ipv4/icmp_errors_use_inbound_ifaddr", "0"),
    ("ipv6/icmp/ratelimit", "0"),
    // Docker's br_netfilter would have bridged frames meet iptables.
    ("bridge/bridge-nf-call-arptables", "0"),
    ("bridge/bridge-nf-call-iptables", "0"),
    ("bridge/bridge-nf-call-ip6tables", "0"),
];

/// Of `all`, `default` and each link; `ipv4/conf/LINK/` precedes.
const LINK: [(&str, &str); 9] = [
    ("rp_filter", "0"),
    ("accept_redirects", "0"),
    ("secure_redirects", "0"),
    ("send_redirects", "0"),
    ("accept_source_route", "0"),
    // Only for addresses of the link that was asked on: segments do not leak into each other.
    ("arp_ignore", "1"),
    ("arp_announce", "0"),
    ("arp_filter", "0"),
    ("proxy_arp", "0"),
];

/// The same under `ipv6/conf/LINK/`, where IPv6 is spoken: a host has the addresses and routes that it was given, at
/// once. In order: enabling comes last, since links begin to configure themselves then.
const LINK6: [(&str, &str); 5] = [
    ("accept_ra", "0"),
    ("accept_redirects", "0"),
    ("accept_dad", "0"),
    ("forwarding", "0"),
    ("disable_ipv6", "0"),
];

/// All parameters and their values in a namespace with these links. Paths are below `/proc/sys/net`. In order:
/// setting `ip_forward` changes some of the others.
pub(crate) fn wanted<'a>(
    forwarding: bool,
    ipv6: bool,
    links: impl IntoIterator<Item = &'a str>,
) -> Vec<(String, &'static str)> {
    let forward = if forwarding { "1" } else { "0" };
    let mut all = vec![("ipv4/ip_forward".to_owned(), forward)];
    all.extend(NAMESPACE.map(|(path, value)| (path.to_owned(), value)));
    for link in ["all", "default"].into_iter().chain(links) {
        all.push((format!("ipv4/conf/{link}/forwarding"), forward));
        all.extend(LINK.map(|(name, value)| (format!("ipv4/conf/{link}/{name}"), value)));
        match ipv6 {
            true => all.extend(LINK6.map(|(name, value)| (format!("ipv6/conf/{link}/{name}"), value))),
            false => all.push((format!("ipv6/conf/{link}/disable_ipv6"), "1")),
        }
    }
    all
}

/// Reads those of `wanted` that this kernel has in the calling thread's network namespace.
///
/// # Errors
/// The path and why it could not be read.
pub(crate) fn read<'a>(
    wanted: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, String>, (String, io::Error)> {
    let mut values = BTreeMap::new();
    for path in wanted {
        match fs::read_to_string(file(path)) {
            Ok(value) => {
                values.insert(path.to_owned(), value.trim().to_owned());
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err((path.to_owned(), e)),
        }
    }
    Ok(values)
}

/// Sets parameters in the calling thread's network namespace, each only if it differs. Those that this kernel
/// has not are passed over.
///
/// # Errors
/// The path and why it could not be written.
pub(crate) fn set<'a>(
    values: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(), (String, io::Error)> {
    for (path, value) in values {
        let file = file(path);
        match fs::read_to_string(&file) {
            Ok(now) if now.trim() == value => continue,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            _ => fs::write(&file, value).map_err(|e| (path.to_owned(), e))?,
        }
    }
    Ok(())
}

/// `/proc/sys/net` shows the namespace of the thread that looks.
fn file(path: &str) -> PathBuf {
    Path::new("/proc/sys/net").join(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_and_the_two_templates_are_covered() {
        let wanted = wanted(true, false, ["eth0"]);
        assert_eq!(wanted[0], ("ipv4/ip_forward".to_owned(), "1"));
        for link in ["all", "default", "eth0"] {
            for (name, value) in [("rp_filter", "0"), ("forwarding", "1"), ("send_redirects", "0")] {
                assert!(wanted.contains(&(format!("ipv4/conf/{link}/{name}"), value)), "{link} {name}");
            }
            assert!(wanted.contains(&(format!("ipv6/conf/{link}/disable_ipv6"), "1")));
        }
    }

    #[test]
    fn ipv6_is_spoken_where_it_is_planned() {
        let wanted = wanted(true, true, ["eth0"]);
        for link in ["all", "default", "eth0"] {
            for (name, value) in [("disable_ipv6", "0"), ("accept_ra", "0"), ("forwarding", "0")] {
                assert!(wanted.contains(&(format!("ipv6/conf/{link}/{name}"), value)), "{link} {name}");
            }
        }
    }

    #[test]
    fn what_the_kernel_has_not_is_passed_over() {
        assert_eq!(read(["ipv4/no_such_parameter"]).unwrap(), BTreeMap::new());
        set([("ipv4/no_such_parameter", "1")]).unwrap();
    }
}
