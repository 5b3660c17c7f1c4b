//! `ringwall exec`: a command in an instance or on a lab host.

use host::machine;
use host::namespace::Namespace;

use super::lab::refused;
use crate::flags::ExecFlags;
use crate::labs::LabDir;
use crate::protocol::{Answer, Conversation, MachineReport, Request, Status};
use crate::{Failure, Outcome, show};

/// Runs the command and returns its exit code.
pub(crate) fn exec(flags: &ExecFlags) -> Outcome {
    let dir = LabDir::find(flags.lab.as_deref())?;
    let status = match Conversation::open(&dir.socket())?.ask(&Request::Status)? {
        Answer::Status(status) => status,
        other => return Err(refused(other)),
    };
    let machine = find(&status, &flags.who)?;
    drop(dir.enter(false)?);
    let namespace = Namespace::open(&machine.namespace)?;
    let pid = machine::pid(&machine.state_dir, &namespace)
        .ok_or_else(|| Failure::Refused(format!("`{}` does not run", flags.who)))?;
    let code = machine::exec(pid, &flags.command).unwrap_or_else(|error| {
        let code = error.exit_code();
        show::failure(&error.into());
        code
    });
    // Shells report codes modulo 256.
    Ok(u8::try_from(code & 0xff).unwrap_or(u8::MAX))
}

fn find<'a>(status: &'a Status, who: &str) -> Result<&'a MachineReport, Failure> {
    let hosts =
        status.hosts.iter().filter(|host| host.name == who).map(|host| (host.name.clone(), &host.machine));
    let instances = status
        .instances
        .iter()
        .filter(|instance| {
            // A new one may have its name.
            instance.state != "terminated"
                && (instance.id == who || instance.logical == who || instance.name.as_deref() == Some(who))
        })
        .map(|instance| (instance.id.clone(), &instance.machine));
    let found: Vec<_> = hosts.chain(instances).collect();
    match found[..] {
        [(_, machine)] => Ok(machine),
        [] => Err(Failure::Refused(format!(
            "nobody in lab `{}` is called `{who}`; there are {}",
            status.name,
            known(status)
        ))),
        _ => {
            let ids: Vec<_> = found.iter().map(|(id, _)| id.as_str()).collect();
            Err(Failure::Refused(format!("`{who}` is ambiguous: {}", ids.join(", "))))
        }
    }
}

fn known(status: &Status) -> String {
    let hosts = status.hosts.iter().map(|host| host.name.as_str());
    let instances = status.instances.iter().map(|i| i.name.as_deref().unwrap_or(&i.id));
    hosts.chain(instances).collect::<Vec<_>>().join(", ")
}
