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
        // Before anything else: a machine's init must be single-threaded.
        Command::MachineInit { spec } => return host::machine::init_main(&spec),
        Command::Daemon(flags) => daemon::run(&flags),
        Command::Lab { command: LabCommand::Up(flags) } => command::lab::up(&flags),
        Command::Lab { command: LabCommand::Status { json, name } } => {
            command::lab::status(name.as_deref(), json)
        }
        Command::Lab { command: LabCommand::Down { name } } => command::lab::down(name.as_deref()),
        Command::Exec(flags) => command::exec::exec(&flags),
        Command::Explain(flags) => command::explain::explain(&flags),
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
    /// Rights we do not have.
    #[error("{0} needs root")]
    NeedsRoot(&'static str),
    /// Another lab of this name is up.
    #[error("lab `{name}` is up already, made from {from}; end it first: ringwall lab down {name}")]
    OtherLab {
        /// The lab.
        name: String,
        /// Its file.
        from: String,
    },
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
