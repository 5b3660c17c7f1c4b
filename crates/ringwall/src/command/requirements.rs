//! What the machine must have for a lab to run, checked before anything is made.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::Command;

use lab::file::Lab;

use crate::Failure;

/// Any of these serves as a DHCP client.
const DHCP_CLIENTS: [&str; 3] = ["dhclient", "dhcpcd", "udhcpc"];

/// Where programs of machines are looked for.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What programs make tunnels with.
const TUN: &str = "/dev/net/tun";

/// OpenVPN 2.7 removed tunnels without TLS.
const OPENVPN_BELOW: (u32, u32) = (2, 7);

/// Says everything that is missing at once.
pub(crate) fn check(lab: &Lab) -> Result<(), Failure> {
    let mut missing: Vec<_> = lab::programs::requirements(lab).into_iter().filter_map(missing).collect();
    if !lab.world.tunnels.is_empty() {
        missing.extend(tun());
    }
    if missing.is_empty() { Ok(()) } else { Err(Failure::Missing(missing)) }
}

fn missing(program: &str) -> Option<String> {
    if program == "dhclient" {
        let any = DHCP_CLIENTS.iter().any(|client| find(client).is_some());
        return (!any).then(|| "a DHCP client (package isc-dhcp-client)".to_owned());
    }
    let Some(path) = find(program) else { return Some(format!("the program `{program}`")) };
    if program != "openvpn" {
        return None;
    }
    match openvpn_version(&path) {
        Some(version) if version < OPENVPN_BELOW => None,
        Some((major, minor)) => {
            Some(format!("OpenVPN below 2.7 (there is {major}.{minor}, which carries no tunnel without TLS)"))
        }
        None => Some("an OpenVPN that tells its version".to_owned()),
    }
}

/// Opening it makes nothing.
fn tun() -> Option<String> {
    let error = OpenOptions::new().read(true).write(true).open(TUN).err()?;
    let remedy = match error.kind() {
        std::io::ErrorKind::PermissionDenied => "; root can grant it: chmod 0666 /dev/net/tun",
        _ => "",
    };
    Some(format!("access to {TUN} for its tunnels ({error}{remedy})"))
}

fn find(program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    PATH.iter().map(|dir| PathBuf::from(dir).join(program)).find(|path| path.is_file())
}

/// `openvpn --version` begins with "OpenVPN 2.6.14 …", and ends with exit code 1 in old versions.
fn openvpn_version(path: &PathBuf) -> Option<(u32, u32)> {
    let output = Command::new(path).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    parse_version(&text)
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let version = text.strip_prefix("OpenVPN ")?.split_whitespace().next()?;
    let mut numbers = version.split(['.', '_', '-']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openvpn_versions_are_read_and_compared() {
        assert_eq!(parse_version("OpenVPN 2.6.14 x86_64-pc-linux-gnu [SSL (OpenSSL)]"), Some((2, 6)));
        assert_eq!(parse_version("OpenVPN 2.7_beta1 x86_64"), Some((2, 7)));
        assert!(parse_version("OpenVPN 2.7.0 x").unwrap() >= OPENVPN_BELOW);
        assert_eq!(parse_version("no such thing"), None);
    }

    #[test]
    fn a_program_is_found_where_machines_look() {
        assert!(find("sh").is_some());
        assert!(find("/bin/sh").is_some());
        assert!(find("no-such-program-here").is_none());
    }
}
