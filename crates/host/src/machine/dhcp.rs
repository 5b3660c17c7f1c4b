//! The image's own DHCP client, whichever it has.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;

use super::children::PATH;

/// The command line of the image's DHCP client for an interface, or `None` without a client. Each goes to the
/// background once it has a lease.
pub(super) fn client(interface: &str) -> Option<Vec<String>> {
    let words = |line: String| Some(line.split(' ').map(str::to_owned).collect());
    if has("dhclient") {
        // These are Debian's names, the only ones that its AppArmor profile lets dhclient write.
        return words(format!(
            "dhclient -4 -pf /run/dhclient.{interface}.pid -lf {}/dhclient.{interface}.leases {interface}",
            leases()
        ));
    }
    if has("dhcpcd") {
        return words(format!("dhcpcd -4 -w {interface}"));
    }
    if has("udhcpc") {
        return words(format!("udhcpc -p /run/udhcpc.{interface}.pid -i {interface}"));
    }
    None
}

/// The command line of the image's DHCPv6 client (RFC 8415) for an interface, or `None` without one. It goes to the
/// background once it has a lease.
pub(super) fn client6(interface: &str) -> Option<Vec<String>> {
    // The names are Debian's, as above.
    let line = format!(
        "dhclient -6 -pf /run/dhclient6.{interface}.pid -lf {}/dhclient6.{interface}.leases {interface}",
        leases()
    );
    has("dhclient").then(|| line.split(' ').map(str::to_owned).collect())
}

/// The interface's IPv4 address, if it has one (netdevice(7), `SIOCGIFADDR`).
pub(super) fn address(interface: &str) -> io::Result<Ipv4Addr> {
    let socket =
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).or_else(|_| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
    // SAFETY: integers and pointers: zeros are a value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if interface.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: SIOCGIFADDR reads the name and writes an address into `request`.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFADDR, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so the union holds an address, of IPv4 since the socket is.
    let address =
        unsafe { (&raw const request.ifr_ifru.ifru_addr).cast::<libc::sockaddr_in>().read_unaligned() };
    Ok(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)))
}

/// Where dhclient keeps its leases.
fn leases() -> &'static str {
    let kept = ["/var/lib/dhcp", "/var/lib/dhclient"].into_iter().find(|path| Path::new(path).is_dir());
    kept.unwrap_or("/run")
}

fn has(program: &str) -> bool {
    PATH.split(':').any(|directory| Path::new(directory).join(program).is_file())
}
