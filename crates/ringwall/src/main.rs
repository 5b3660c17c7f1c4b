//! Ringwall: a virtual private cloud on a person's own Linux machines.

mod command;
mod daemon;
mod flags;
mod labs;
mod protocol;
mod show;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use flags::{Cli, Command, LabCommand};

/// What the shell gets when a command could not be carried out.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        // Before anything else: these two must be single-threaded.
        Command::MachineInit { spec } => return host::machine::init_main(&spec),
        Command::Holder { dir, inside } => return host::holder::main(&dir, inside),
        Command::Daemon(flags) => daemon::run(&flags),
        Command::Lab { command: LabCommand::Up(flags) } => command::lab::up(&flags),
        Command::Lab { command: LabCommand::Status { json, name } } => {
            command::lab::status(name.as_deref(), json)
        }
        Command::Lab { command: LabCommand::Down { name } } => command::lab::down(name.as_deref()),
        Command::Serve(flags) => command::serve::serve(&flags),
        Command::Exec(flags) => command::exec::exec(&flags),
        Command::Enter(flags) => command::enter::enter(&flags),
        Command::Explain(flags) => command::explain::explain(&flags),
        Command::Clock(flags) => command::clock::clock(&flags),
        Command::Apply(flags) => command::apply::apply(&flags),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        // Whoever reads our output has heard enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            show::failure(&failure);
            ExitCode::from(FAILED)
        }
    }
}

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The lab file or its template is wrong.
    #[error(transparent)]
    Lab(#[from] lab::error::LabError),
    /// No such lab, or several.
    #[error(transparent)]
    Find(#[from] labs::FindError),
    /// The lab's daemon does not answer, or not as it should.
    #[error(transparent)]
    Daemon(#[from] protocol::ProtocolError),
    /// The daemon refused.
    #[error("{0}")]
    Refused(String),
    /// Something this machine lacks.
    #[error("this machine lacks what the lab needs: {}", .0.join("; "))]
    Missing(Vec<String>),
    /// An ordinary user's namespaces cannot be made, entered or ended.
    #[error(transparent)]
    Holder(#[from] host::holder::HolderError),
    /// An ordinary user's namespaces are gone, or cannot be reached any more.
    #[error("the namespaces of lab `{0}` are gone; bring it up anew, or end it: ringwall lab down {0}")]
    NoNamespaces(String),
    /// The command was called inside another lab's namespaces.
    #[error("lab `{0}` cannot be reached from this shell, which is inside another one: leave it first")]
    Inside(String),
    /// Another cloud of this name is up, with its state elsewhere.
    #[error("a cloud `{name}` is up already, with its state in {}; end it first: ringwall lab down {name}", path.display())]
    Namesake {
        /// The cloud.
        name: String,
        /// Its state directory.
        path: std::path::PathBuf,
    },
    /// The state directory is something else's.
    #[error("{} is not empty, and what is in it is not a cloud's: name a directory of its own", .0.display())]
    NotAState(std::path::PathBuf),
    /// Another lab of this name is up.
    #[error("lab `{name}` is up already, made from {from}; end it first: ringwall lab down {name}")]
    OtherLab {
        /// The lab.
        name: String,
        /// Its file.
        from: String,
    },
    /// The file of access keys is no good.
    #[error(transparent)]
    Credentials(#[from] control::ec2::CredentialsError),
    /// Requests from beyond this machine have to be authenticated.
    #[error(
        "{0} is not a loopback address: there, requests must be signed; name a file of keys with --credentials"
    )]
    NotLoopback(std::net::SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(std::net::SocketAddr, io::Error),
    /// Another daemon has the state.
    #[error("another daemon is using {}", .0.display())]
    Busy(std::path::PathBuf),
    /// A command in a machine could not be run.
    #[error(transparent)]
    Exec(#[from] host::machine::ExecError),
    /// A machine cannot be ended.
    #[error(transparent)]
    Machine(#[from] host::machine::MachineError),
    /// A namespace is not what it should be.
    #[error(transparent)]
    Namespace(#[from] host::namespace::NamespaceError),
    /// What was made could not be removed whole.
    #[error("could not remove everything of lab `{name}`; try again: {}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    TearDown {
        /// The lab.
        name: String,
        /// What stayed.
        errors: Vec<host::teardown::TeardownError>,
    },
    /// A file or directory of ours cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Our output cannot be written.
    #[error("cannot write: {0}")]
    Output(io::Error),
}

/// The exit code of a command, or why there is none.
pub(crate) type Outcome = Result<u8, Failure>;

impl Failure {
    /// That `path` cannot be used.
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Failure {
        let path = path.to_owned();
        move |source| Failure::File { path, source }
    }
}
