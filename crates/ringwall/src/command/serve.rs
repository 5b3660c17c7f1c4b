//! `ringwall serve`: the EC2 endpoint of a cloud without a world around it.

use std::net::TcpListener;

use control::ec2::Credentials;
use lab::file::{Lab, is_lab_name};
use model::Quotas;

use crate::daemon::{self, Start};
use crate::flags::ServeFlags;
use crate::labs::LabDir;
use crate::{Failure, Outcome};

/// The cloud's name when no state directory is given.
const NAME: &str = "serve";

/// Serves until it is told to stop.
pub(crate) fn serve(flags: &ServeFlags) -> Outcome {
    let credentials = flags.credentials.as_deref().map(Credentials::load).transpose()?;
    super::lab::check_listen(flags.listen, credentials.as_ref())?;
    let dir = match &flags.state {
        None => LabDir::named(NAME)?,
        Some(path) => named_by(path)?,
    };
    dir.check_inside()?;
    if !dir.is_free() {
        return Err(Failure::NotAState(dir.path));
    }
    if let Some(other) = dir.namesake()? {
        return Err(Failure::Namesake { name: other.name, path: other.path });
    }
    let mut lab = Lab::without_world(&dir.name, flags.pool, flags.pool6);
    lab.quotas = quotas(&flags.quotas)?;
    let uplink = daemon::uplink::wanted(flags, &lab)?;
    let start = Start { rate: flags.clock_rate, uplink, resolver: flags.resolver, credentials };
    let listener = TcpListener::bind(flags.listen).map_err(|error| Failure::Listen(flags.listen, error))?;
    dir.create()?;
    let gate = super::lab::enter(&dir)?;
    let lock = dir.lock_after_death()?;
    drop(gate);
    let Some(lock) = lock else { return Err(Failure::Busy(dir.path)) };
    dir.register()?;
    daemon::serve(dir, lock, lab, listener, start)
}

fn quotas(asked: &[(String, usize)]) -> Result<Quotas, Failure> {
    let mut quotas = Quotas::default();
    for (name, value) in asked {
        quotas.set(name, *value).map_err(|bad| Failure::Refused(bad.to_string()))?;
    }
    quotas.check().map_err(|bad| Failure::Refused(bad.to_string()))?;
    Ok(quotas)
}

fn named_by(path: &std::path::Path) -> Result<LabDir, Failure> {
    let path = std::path::absolute(path).map_err(Failure::file(path))?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    if !is_lab_name(&name) {
        return Err(Failure::Refused(format!(
            "`{name}`, the state directory's name, is the cloud's too: up to 31 of a-z, 0-9 and -, beginning with a letter"
        )));
    }
    Ok(LabDir { name, path })
}
