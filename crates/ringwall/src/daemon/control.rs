//! Answers the other commands on the lab's control socket.

use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;

use super::{Shared, clock, report, stacks};
use crate::protocol::{Answer, Conversation, ProtocolError, Request};

/// Accepts clients for ever, each on a thread of its own.
pub(super) fn serve(listener: &UnixListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        let shared = Arc::clone(shared);
        let served = client.and_then(|client| {
            thread::Builder::new().name("client".to_owned()).spawn(move || converse(client, &shared))
        });
        if let Err(error) = served {
            tracing::warn!(%error, "cannot serve a client");
        }
    }
}

fn converse(client: UnixStream, shared: &Shared) {
    let spoken = Conversation::over(client).and_then(|mut client| {
        loop {
            let request = client.hear()?;
            answer(&mut client, shared, request)?;
        }
    });
    match spoken {
        Ok(()) | Err(ProtocolError::Closed) => {}
        Err(error) => tracing::debug!(%error, "a client is gone"),
    }
}

fn answer(client: &mut Conversation, shared: &Shared, request: Request) -> Result<(), ProtocolError> {
    match request {
        Request::Follow => follow(client, shared),
        Request::Stop => {
            // First: whoever asked may not wait for the answer.
            shared.stop();
            client.say(&Answer::Stopping)
        }
        Request::Status => client.say(&match shared.cloud() {
            Some(cloud) => Answer::Status(report::status(&cloud)),
            None => not_up(),
        }),
        Request::Explain(question) => client.say(&match shared.cloud() {
            Some(cloud) => match report::explain(&cloud, &question) {
                Ok(explanation) => Answer::Explanation(explanation),
                Err(unanswerable) => Answer::Refused(unanswerable.to_string()),
            },
            None => not_up(),
        }),
        Request::Apply(request) => client.say(&match shared.cloud() {
            Some(cloud) => match stacks::apply(&cloud, request) {
                Ok(report) => Answer::Applied(report),
                Err(error) => Answer::Refused(error.to_string()),
            },
            None => not_up(),
        }),
        Request::Clock(change) => client.say(&match shared.cloud() {
            Some(cloud) => match clock::change(&cloud, change) {
                Ok(status) => Answer::Clock(status),
                Err(error) => Answer::Refused(error.to_string()),
            },
            None => not_up(),
        }),
    }
}

fn follow(client: &mut Conversation, shared: &Shared) -> Result<(), ProtocolError> {
    let mut seen = 0;
    loop {
        let (lines, end) = shared.follow(seen);
        seen += lines.len();
        for line in lines {
            client.say(&Answer::Progress(line))?;
        }
        if let Some(end) = end {
            return client.say(&outcome(shared, end));
        }
    }
}

/// How the rise has ended, as it looks now: what was wrong may be well again, and the other way round.
fn outcome(shared: &Shared, end: Result<(), String>) -> Answer {
    let Some(cloud) = shared.cloud() else {
        return Answer::Refused(end.err().unwrap_or_else(|| "the lab is going down".to_owned()));
    };
    let machines = cloud.machines();
    match end {
        Err(why) if machines.coming => Answer::Refused(why),
        _ if !machines.trouble.is_empty() => Answer::Refused(machines.trouble.join("; ")),
        _ => Answer::Status(report::status(&cloud)),
    }
}

fn not_up() -> Answer {
    Answer::Refused("the lab is not up yet".to_owned())
}
