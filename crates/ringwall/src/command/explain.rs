//! `ringwall explain`: the way of a packet, asked of the lab's daemon.

use std::net::Ipv6Addr;

use lab::walk::{Proto, Question, TRACEROUTE_PORT};

use super::lab::refused;
use crate::flags::{ExplainFlags, ProtoFlag};
use crate::labs::LabDir;
use crate::protocol::{Answer, Conversation, Request};
use crate::{Failure, Outcome, show};

/// What the shell gets when the packet does not arrive, or its answer does not.
const UNREACHABLE: u8 = 2;

/// Asks and shows the answer.
pub(crate) fn explain(flags: &ExplainFlags) -> Outcome {
    let dir = LabDir::find(flags.lab.as_deref())?;
    let (to, port) = destination(&flags.to)?;
    let proto = match flags.proto {
        ProtoFlag::Tcp => Proto::Tcp,
        ProtoFlag::Udp => Proto::Udp,
        ProtoFlag::Icmp => Proto::Icmp,
    };
    let question = Question { from: flags.from.clone(), to, ipv6: flags.ipv6, port, proto };
    let answer = match Conversation::open(&dir.socket())?.ask(&Request::Explain(question))? {
        Answer::Explanation(answer) => answer,
        other => return Err(refused(other)),
    };
    match (flags.json, flags.hops) {
        (true, _) => show::json(&answer)?,
        (_, true) => show::hops(&answer)?,
        _ => show::explanation(&answer)?,
    }
    Ok(if answer.answered() { 0 } else { UNREACHABLE })
}

/// The destination and its port. The colons of an IPv6 address begin no port, unless it is in brackets.
fn destination(to: &str) -> Result<(String, u16), Failure> {
    let (to, port) = match to.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if address.parse::<Ipv6Addr>().is_ok() => match rest.strip_prefix(':') {
            None if rest.is_empty() => (address, None),
            None => return Err(Failure::Refused(format!("`{rest}` after `[{address}]` is no port"))),
            Some(port) => (address, Some(port)),
        },
        _ if to.parse::<Ipv6Addr>().is_ok() => (to, None),
        _ => to.rsplit_once(':').map_or((to, None), |(to, port)| (to, Some(port))),
    };
    let port = match port {
        None => TRACEROUTE_PORT,
        Some(port) => {
            port.parse().map_err(|_| Failure::Refused(format!("`{port}` is no port: 0 to 65535")))?
        }
    };
    Ok((to.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_what_follows_the_address() {
        for (text, to, port) in [
            ("test", "test", TRACEROUTE_PORT),
            ("test:22", "test", 22),
            ("192.0.2.80:443", "192.0.2.80", 443),
            ("2001:db8::80", "2001:db8::80", TRACEROUTE_PORT),
            ("64:ff9b::192.0.2.80", "64:ff9b::192.0.2.80", TRACEROUTE_PORT),
            ("[2001:db8::80]", "2001:db8::80", TRACEROUTE_PORT),
            ("[2001:db8::80]:22", "2001:db8::80", 22),
        ] {
            assert_eq!(destination(text).ok(), Some((to.to_owned(), port)), "{text}");
        }
        for text in ["test:", "test:65536", "[2001:db8::80]:", "[2001:db8::80]22", "[test]:x"] {
            assert!(matches!(destination(text), Err(Failure::Refused(_))), "{text}");
        }
    }
}
