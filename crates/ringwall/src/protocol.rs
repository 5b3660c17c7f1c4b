//! What a lab's daemon and the other commands say to each other: one JSON value a line, over a Unix socket.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use engine::DropReason;
use host::clock::Rate;
use lab::deploy::Done;
use lab::walk::{Explanation, Question};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a client asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Request {
    /// How far are you? Answered by any number of [`Answer::Progress`] and one other answer, once all is up.
    Follow,
    /// What stands now?
    Status,
    /// Which way does a packet take?
    Explain(Question),
    /// Change the clock, and tell me what it shows.
    Clock(ClockChange),
    /// Change a stack, or take it away.
    Apply(StackRequest),
    /// Stop, and leave the taking down to me.
    Stop,
}

/// What the daemon answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// Something was done on the way up.
    Progress(String),
    /// The lab stands.
    Status(Status),
    /// The way of a packet.
    Explanation(Explanation),
    /// What the clock shows, after all that waited for it has looked at it.
    Clock(ClockStatus),
    /// What became of the stack.
    Applied(StackReport),
    /// It will stop.
    Stopping,
    /// It cannot be done, and why.
    Refused(String),
}

/// What is to become of a stack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StackRequest {
    pub(crate) stack: String,
    /// The cloud's own if none is named.
    pub(crate) account: Option<String>,
    pub(crate) region: Option<String>,
    /// None to take it away.
    pub(crate) template: Option<TemplateText>,
    pub(crate) parameters: BTreeMap<String, String>,
}

/// A template as it was read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TemplateText {
    /// What errors call it.
    pub(crate) file: String,
    pub(crate) text: String,
}

/// What became of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StackReport {
    pub(crate) stack: String,
    /// Account and region.
    pub(crate) region: String,
    /// What was done, in order; nothing if the stack was as it should be.
    pub(crate) done: Vec<Done>,
    pub(crate) outputs: BTreeMap<String, String>,
    /// What of it does not run, each in a sentence.
    pub(crate) trouble: Vec<String>,
}

/// What is to be done to the daemon's clock.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum ClockChange {
    /// Nothing.
    None,
    /// Set it forward.
    Advance(Duration),
    /// Have it run at this rate.
    Rate(Rate),
}

/// What the daemon's clock shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClockStatus {
    pub(crate) lab: String,
    pub(crate) rate: Rate,
    /// Seconds that have passed on it since the daemon began.
    pub(crate) seconds: f64,
    /// Seconds that have really passed since.
    pub(crate) real_seconds: f64,
}

/// What stands in a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) name: String,
    pub(crate) region: String,
    /// Where the EC2 API listens.
    pub(crate) endpoint: Option<SocketAddr>,
    /// Whether it answers signed requests only.
    pub(crate) signed: bool,
    pub(crate) instances: Vec<InstanceStatus>,
    pub(crate) hosts: Vec<HostStatus>,
    /// Connections that the fabric tracks.
    pub(crate) connections: usize,
    /// Frames that the kernel dropped because the fabric did not fetch them in time.
    pub(crate) overload: u64,
    /// Dropped packets by where they came from.
    pub(crate) drops: BTreeMap<String, BTreeMap<DropReason, u64>>,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InstanceStatus {
    pub(crate) id: String,
    pub(crate) logical: String,
    pub(crate) name: Option<String>,
    pub(crate) state: String,
    pub(crate) private_ip: Option<Ipv4Addr>,
    pub(crate) public_ip: Option<Ipv4Addr>,
    pub(crate) ipv6: Vec<Ipv6Addr>,
    pub(crate) mac: Option<String>,
    /// The name of the port in the fabric's namespace.
    pub(crate) port: Option<String>,
    pub(crate) machine: MachineReport,
}

/// One host of the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostStatus {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) machine: MachineReport,
}

/// A machine's pinned namespace, its state directory, and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MachineReport {
    pub(crate) namespace: String,
    pub(crate) state_dir: std::path::PathBuf,
    pub(crate) state: String,
    pub(crate) failures: Vec<String>,
}

/// A conversation that went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProtocolError {
    /// Nobody answers at the socket.
    #[error(
        "the lab's daemon does not answer ({0}); the same `lab up` or `serve` starts it again, `ringwall lab down` removes what it left"
    )]
    Unreachable(io::Error),
    /// The connection broke.
    #[error("the connection to the lab's daemon broke: {0}")]
    Broken(#[from] io::Error),
    /// What came is not what was asked for.
    #[error("the lab's daemon speaks another language: {0}")]
    Unintelligible(#[from] serde_json::Error),
    /// It hung up.
    #[error("the lab's daemon hung up")]
    Closed,
}

/// One end of a conversation.
#[derive(Debug)]
pub(crate) struct Conversation {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Conversation {
    /// Speaks to the daemon at `socket`.
    pub(crate) fn open(socket: &Path) -> Result<Conversation, ProtocolError> {
        Conversation::over(UnixStream::connect(socket).map_err(ProtocolError::Unreachable)?)
    }

    /// Speaks over a connection.
    pub(crate) fn over(stream: UnixStream) -> Result<Conversation, ProtocolError> {
        Ok(Conversation { reader: BufReader::new(stream.try_clone()?), writer: stream })
    }

    /// Says one thing.
    pub(crate) fn say(&mut self, what: &impl Serialize) -> Result<(), ProtocolError> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        self.writer.write_all(&line)?;
        Ok(())
    }

    /// Hears one thing.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> Result<T, ProtocolError> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(ProtocolError::Closed);
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// Asks one thing and hears the answer.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Answer, ProtocolError> {
        self.say(request)?;
        self.hear()
    }
}
