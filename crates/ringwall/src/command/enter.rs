//! `ringwall enter`: a shell where an ordinary user's lab stands.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::flags::EnterFlags;
use crate::labs::LabDir;
use crate::{Failure, Outcome};

/// Becomes the command, or the user's shell.
pub(crate) fn enter(flags: &EnterFlags) -> Outcome {
    let dir = LabDir::find(flags.lab.as_deref())?;
    // Entering leads to the root directory.
    let here = env::current_dir().ok();
    drop(dir.enter(false)?);
    let shell = || env::var_os("SHELL").unwrap_or_else(|| OsString::from("/bin/sh"));
    let (program, arguments) = match flags.command.split_first() {
        Some((program, arguments)) => (program.clone(), arguments),
        None => (shell(), [].as_slice()),
    };
    let mut command = Command::new(&program);
    if let Some(here) = here.filter(|here| here.is_dir()) {
        command.current_dir(here);
    }
    Err(Failure::file(Path::new(&program))(command.args(arguments).exec()))
}
