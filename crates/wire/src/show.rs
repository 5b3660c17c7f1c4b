//! A frame on one line, as `tcpdump -n` would have it.

use std::fmt;
use std::net::IpAddr;

use crate::{Ethertype, Frame, Mac, Packet, Quoted, Transport, arp};

/// Shows any bytes as a frame on one line: `IP 10.0.0.1.5 > 10.0.0.2.7: UDP, length 5`. What cannot be
/// parsed is shown as malformed, with the reason.
pub fn show(frame: &[u8]) -> impl fmt::Display {
    Shown(frame)
}

struct Shown<'a>(&'a [u8]);

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.bytes).fmt(f)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = self.0;
        let shown = match Ethertype::of(frame) {
            Ok(Ethertype::Ipv4 | Ethertype::Ipv6) => {
                Packet::parse(frame).map(|packet| show_packet(f, frame, &packet))
            }
            Ok(Ethertype::Arp) => arp::parse(frame).map(|arp| show_arp(f, &arp)),
            Ok(Ethertype::Vlan) => Ok(show_other(f, frame, "802.1Q")),
            Ok(Ethertype::Other(ethertype)) => {
                Ok(show_other(f, frame, &format!("ethertype 0x{ethertype:04x}")))
            }
            Err(malformed) => Err(malformed),
        };
        shown.unwrap_or_else(|reason| write!(f, "malformed ({reason}), length {}", frame.len()))
    }
}

fn show_packet(f: &mut fmt::Formatter<'_>, frame: &[u8], packet: &Packet) -> fmt::Result {
    let (src, dst, len) = (packet.src(), packet.dst(), packet.payload(frame).len());
    let (ip, icmp) = if src.is_ipv6() { ("IP6", "ICMP6,") } else { ("IP", "ICMP") };
    match packet.transport() {
        Transport::Tcp { src: from, dst: to, flags } => {
            write!(f, "{ip} {src}.{from} > {dst}.{to}: Flags [{flags}], length {len}")?;
        }
        Transport::Udp { src: from, dst: to } => {
            write!(f, "{ip} {src}.{from} > {dst}.{to}: UDP, length {len}")?;
        }
        Transport::Echo { request, id } => {
            let what = if request { "request" } else { "reply" };
            write!(f, "{ip} {src} > {dst}: {icmp} echo {what}, id {id}, length {}", len + 8)?;
        }
        Transport::Icmp { kind, code } => {
            write!(f, "{ip} {src} > {dst}: {icmp} ")?;
            match (src, packet.quoted()) {
                (IpAddr::V4(_), Some(quoted)) => show_icmp(f, src, kind, code, quoted)?,
                (IpAddr::V6(_), Some(quoted)) => show_icmp6(f, src, kind, code, quoted)?,
                (IpAddr::V6(_), None) => show_nd(f, kind, code)?,
                (IpAddr::V4(_), None) => write!(f, "type {kind} code {code}")?,
            }
            write!(f, ", length {}", len + 8)?;
        }
        Transport::Other | Transport::Fragment => {
            write!(f, "{ip} {src} > {dst}: ip-proto-{}, length {len}", packet.protocol())?;
        }
    }
    match packet.fragment() {
        Some(part) => {
            let more = if part.more { "+" } else { "" };
            write!(f, " (frag {}:{}{more})", part.id, part.offset)
        }
        None => Ok(()),
    }
}

fn show_icmp(f: &mut fmt::Formatter<'_>, src: IpAddr, kind: u8, code: u8, quoted: &Quoted) -> fmt::Result {
    let about = quoted.dst();
    match (kind, code) {
        (3, 0) => write!(f, "net {about} unreachable"),
        (3, 1) => write!(f, "host {about} unreachable"),
        (3, 2) => write!(f, "{about} protocol {} unreachable", quoted.protocol()),
        (3, 3) => show_port(f, quoted),
        (3, 4) => write!(f, "{about} unreachable - need to frag"),
        (11, 0) => write!(f, "time exceeded in-transit"),
        _ => write!(f, "type {kind} code {code} from {src}"),
    }?;
    write!(f, " ({})", quoted.flow_key())
}

fn show_icmp6(f: &mut fmt::Formatter<'_>, src: IpAddr, kind: u8, code: u8, quoted: &Quoted) -> fmt::Result {
    let about = quoted.dst();
    match (kind, code) {
        (1, 0) => write!(f, "destination unreachable, unreachable route {about}"),
        (1, 1) => write!(f, "destination unreachable, unreachable prohibited {about}"),
        (1, 3) => write!(f, "destination unreachable, unreachable address {about}"),
        (1, 4) => f.write_str("destination unreachable, ").and_then(|()| show_port(f, quoted)),
        (2, _) => write!(f, "packet too big"),
        (3, 0) => write!(f, "time exceeded in-transit"),
        _ => write!(f, "type {kind} code {code} from {src}"),
    }?;
    write!(f, " ({})", quoted.flow_key())
}

fn show_port(f: &mut fmt::Formatter<'_>, quoted: &Quoted) -> fmt::Result {
    let about = quoted.dst();
    match quoted.transport() {
        Transport::Udp { dst, .. } => write!(f, "{about} udp port {dst} unreachable"),
        Transport::Tcp { dst, .. } => write!(f, "{about} tcp port {dst} unreachable"),
        _ => write!(f, "{about} port unreachable"),
    }
}

fn show_nd(f: &mut fmt::Formatter<'_>, kind: u8, code: u8) -> fmt::Result {
    match kind {
        133 => f.write_str("router solicitation"),
        134 => f.write_str("router advertisement"),
        135 => f.write_str("neighbor solicitation"),
        136 => f.write_str("neighbor advertisement"),
        137 => f.write_str("redirect"),
        _ => write!(f, "type {kind} code {code}"),
    }
}

fn show_arp(f: &mut fmt::Formatter<'_>, arp: &arp::Arp) -> fmt::Result {
    match arp.operation {
        arp::Operation::Request => write!(f, "ARP, Request who-has {} tell {}", arp.target_ip, arp.sender_ip),
        arp::Operation::Reply => write!(f, "ARP, Reply {} is-at {}", arp.sender_ip, arp.sender_mac),
    }
}

/// A frame that was seen to have an Ethernet header.
fn show_other(f: &mut fmt::Formatter<'_>, frame: &[u8], what: &str) -> fmt::Result {
    let mac = |at: usize| Mac([0, 1, 2, 3, 4, 5].map(|n| frame[at + n]));
    write!(f, "{} > {}, {what}, length {}", mac(6), mac(0), frame.len())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::{TcpFlags, build, nd};

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    #[test]
    fn lines() {
        let udp = build::udp(A, B, 5, 7, b"hello");
        assert_eq!(udp.to_string(), "IP 10.0.0.1.5 > 10.0.0.2.7: UDP, length 5");
        let tcp = build::tcp(A, B, 5, 7, TcpFlags::SYN, b"");
        assert_eq!(tcp.to_string(), "IP 10.0.0.1.5 > 10.0.0.2.7: Flags [S], length 0");
        let ping = build::echo(A, B, true, 3, 1, b"x");
        assert_eq!(ping.to_string(), "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 3, length 9");
        let error = build::icmp_error(B, A, 3, 3, &udp.bytes[14..]);
        let line = "IP 10.0.0.2 > 10.0.0.1: ICMP 10.0.0.2 udp port 7 unreachable \
                    (udp 10.0.0.1:5 > 10.0.0.2:7), length 41";
        assert_eq!(error.to_string(), line);
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let arp = arp::request(mac, A, B);
        assert_eq!(arp.to_string(), "ARP, Request who-has 10.0.0.2 tell 10.0.0.1");
        let reply = arp::reply(mac, &arp::parse(&arp.bytes).unwrap());
        assert_eq!(reply.to_string(), "ARP, Reply 10.0.0.2 is-at 02:00:00:00:00:01");
        let other = build::ethernet(mac, Mac::BROADCAST, 0x88cc, b"");
        let line = "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype 0x88cc, length 14";
        assert_eq!(other.to_string(), line);
        assert_eq!(show(b"").to_string(), "malformed (shorter than an Ethernet header), length 0");
    }

    #[test]
    fn lines_of_ipv6() {
        let [a, b] = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse::<Ipv6Addr>().unwrap());
        let udp = build::udp(a, b, 5, 7, b"hello");
        assert_eq!(udp.to_string(), "IP6 2001:db8::1.5 > 2001:db8::2.7: UDP, length 5");
        let ping = build::echo(a, b, true, 3, 1, b"x");
        assert_eq!(ping.to_string(), "IP6 2001:db8::1 > 2001:db8::2: ICMP6, echo request, id 3, length 9");
        let error = build::icmp_error(b, a, 1, 4, &udp.bytes[14..]);
        let line = "IP6 2001:db8::2 > 2001:db8::1: ICMP6, destination unreachable, 2001:db8::2 udp port 7 \
                    unreachable (udp [2001:db8::1]:5 > [2001:db8::2]:7), length 61";
        assert_eq!(error.to_string(), line);
        let solicitation = nd::solicit_neighbor(b, a, Mac([2, 0, 0, 0, 0, 1]));
        let line = "IP6 2001:db8::1 > ff02::1:ff00:2: ICMP6, neighbor solicitation, length 32";
        assert_eq!(solicitation.to_string(), line);
        let part = build::ip(a, b, 44, &[&[17, 0, 0, 9, 0, 1, 0, 0], &[0; 16][..]].concat());
        let line = "IP6 2001:db8::1 > 2001:db8::2: ip-proto-17, length 16 (frag 65536:8+)";
        assert_eq!(part.to_string(), line);
    }
}
