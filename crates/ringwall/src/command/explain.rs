//! `ringwall explain`: the way of a packet, asked of the lab's daemon.

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
    let question = Question { from: flags.from.clone(), to, port, proto };
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

fn destination(to: &str) -> Result<(String, u16), Failure> {
    match to.rsplit_once(':') {
        None => Ok((to.to_owned(), TRACEROUTE_PORT)),
        Some((to, port)) => match port.parse() {
            Ok(port) => Ok((to.to_owned(), port)),
            Err(_) => Err(Failure::Refused(format!("`{port}` is no port: 0 to 65535"))),
        },
    }
}
