//! `ringwall lab up`, `status`, `down`.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ::lab::deploy::deploy;
use ::lab::file::{Lab, is_lab_name};
use control::ec2::Credentials;
use host::clock::Rate;
use model::Region;
use rustix::io::{FdFlags, fcntl_setfd};

use super::requirements;
use crate::flags::UpFlags;
use crate::labs::{Gate, LabDir, Locked, read_if_there};
use crate::protocol::{Answer, ClockChange, Conversation, ProtocolError, Request, Status};
use crate::{Failure, Outcome, show};

/// How long a new daemon may take to open its socket.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// Brings a lab up and shows what stands.
pub(crate) fn up(flags: &UpFlags) -> Outcome {
    if let Some(name) = &flags.name
        && !is_lab_name(name)
    {
        return Err(Failure::Refused(format!(
            "`{name}` is no lab name: up to 31 of a-z, 0-9 and -, beginning with a letter"
        )));
    }
    let lab = Lab::load_as(&flags.file, flags.name.as_deref())?;
    // A dry run: whatever the cloud or the world refuses is refused before anything is made.
    deploy(&lab, &mut Region::with_quotas(lab.region.clone(), 0, lab.quotas.clone()))?;
    // Opened before the user becomes root of namespaces with other directories in them, and handed on open.
    let credentials = flags.credentials.as_deref().map(open_credentials).transpose()?;
    check_listen(flags.listen, credentials.as_ref().map(|(credentials, _)| credentials))?;
    requirements::check(&lab)?;

    let dir = LabDir::named(&lab.name)?;
    dir.check_inside()?;
    if let Some(other) = dir.namesake()? {
        return Err(Failure::Namesake { name: other.name, path: other.path });
    }
    let file = std::fs::canonicalize(&flags.file).map_err(Failure::file(&flags.file))?;
    let source = source(&lab, &file);
    dir.create()?;
    let gate = enter(&dir)?;
    let lock = dir.lock()?;
    drop(gate);
    let lock = match lock {
        Some(lock) => lock,
        None => {
            let standing = read_if_there(&dir.source())?.unwrap_or_default();
            if standing != source {
                return Err(other_lab(&dir, &standing));
            }
            match follow(&dir) {
                Err(Failure::Daemon(error)) => dir.lock_after_death()?.ok_or(error)?,
                Ok(status) if status.signed != credentials.is_some() => {
                    return Err(Failure::Refused(format!(
                        "lab `{}` is up already, with{} credentials; end it first: ringwall lab down {}",
                        dir.name,
                        if status.signed { "" } else { "out" },
                        dir.name,
                    )));
                }
                status => {
                    show::status(&status?)?;
                    if let Some(rate) = flags.clock_rate {
                        show::clock(&super::clock::ask(&dir, ClockChange::Rate(rate))?)?;
                    }
                    return Ok(0);
                }
            }
        }
    };
    let standing = read_if_there(&dir.source())?;
    let fresh = !dir.deployment().exists();
    match standing {
        Some(_) if fresh => {
            show::progress(&format!("removing the unfinished beginnings of lab {}", lab.name))?;
            undo(&dir)?;
            dir.clear()?;
        }
        Some(standing) if standing != source => return Err(other_lab(&dir, &standing)),
        // Its daemon died: a new one takes up what stands.
        _ => {}
    }
    if fresh {
        std::fs::write(dir.source(), &source).map_err(Failure::file(&dir.source()))?;
    }
    let keys = credentials.map(|(_, file)| file);
    let daemon = start_daemon(&dir, &file, flags, lock, keys)?;
    match first_word(&dir, daemon).and_then(|()| follow(&dir)) {
        Err(failure) if fresh => {
            take_down(&dir)?;
            Err(failure)
        }
        status => show::status(&status?).map(|()| 0),
    }
}

/// Shows what stands in a lab.
pub(crate) fn status(name: Option<&str>, json: bool) -> Outcome {
    let dir = LabDir::find(name)?;
    match Conversation::open(&dir.socket())?.ask(&Request::Status)? {
        Answer::Status(status) if json => show::json(&status).map(|()| 0),
        Answer::Status(status) => show::status(&status).map(|()| 0),
        other => Err(refused(other)),
    }
}

/// Takes a lab down, whatever became of its daemon.
pub(crate) fn down(name: Option<&str>) -> Outcome {
    let dir = LabDir::find(name)?;
    drop(dir.enter(true)?);
    take_down(&dir)?;
    show::progress(&format!("lab {} is down", dir.name))?;
    Ok(0)
}

/// Refuses an address that others can reach, where nobody would have to sign.
pub(super) fn check_listen(listen: SocketAddr, credentials: Option<&Credentials>) -> Result<(), Failure> {
    match listen.ip().is_loopback() || credentials.is_some() {
        true => Ok(()),
        false => Err(Failure::NotLoopback(listen)),
    }
}

/// Reads the keys, and keeps the file open for the daemon.
fn open_credentials(path: &Path) -> Result<(Credentials, File), Failure> {
    let mut file = File::open(path).map_err(Failure::file(path))?;
    Ok((Credentials::read(&mut file, path)?, file))
}

fn take_down(dir: &LabDir) -> Result<(), Failure> {
    // Nobody waits for an answer, which a hung daemon would never give: the lock tells when it has ended.
    let stop = || Conversation::open(&dir.socket()).and_then(|mut daemon| daemon.say(&Request::Stop));
    let lock = dir.lock_when_free(|| stop().is_ok())?;
    undo(dir)?;
    dir.remove()?;
    drop(lock);
    Ok(())
}

/// Ends the lab's machines, and removes everything on its list.
fn undo(dir: &LabDir) -> Result<(), Failure> {
    for machine in dir.machines() {
        host::machine::kill(&machine)?;
    }
    let failed = |errors| Failure::TearDown { name: dir.name.clone(), errors };
    host::teardown::teardown(&dir.path).map_err(failed)?;
    Ok(())
}

/// What the lab is made from: the file's path, and all that it and its template say.
fn source(lab: &Lab, file: &Path) -> String {
    format!("{}\n{lab:?}\n", file.display())
}

fn other_lab(dir: &LabDir, standing: &str) -> Failure {
    let from = standing.lines().next().unwrap_or("another file").to_owned();
    Failure::OtherLab { name: dir.name.clone(), from }
}

/// Starts the daemon, which inherits the lock, in a session of its own.
fn start_daemon(
    dir: &LabDir,
    file: &Path,
    up: &UpFlags,
    lock: Locked,
    credentials: Option<File>,
) -> Result<Child, Failure> {
    let log =
        OpenOptions::new().create(true).append(true).open(dir.log()).map_err(Failure::file(&dir.log()))?;
    let errors = log.try_clone().map_err(Failure::file(&dir.log()))?;
    let own = Path::new("/proc/self/exe");
    for file in [lock.file()].into_iter().chain(&credentials) {
        fcntl_setfd(file.as_fd(), FdFlags::empty()).map_err(|error| Failure::file(own)(error.into()))?;
    }
    let mut flags: Vec<OsString> = vec![
        "daemon".into(),
        "--name".into(),
        dir.name.clone().into(),
        "--file".into(),
        file.into(),
        "--dir".into(),
        dir.path.clone().into(),
        "--listen".into(),
        up.listen.to_string().into(),
        "--clock-rate".into(),
        up.clock_rate.unwrap_or(Rate::REAL).to_string().into(),
        "--lock-fd".into(),
        lock.file().as_raw_fd().to_string().into(),
    ];
    if let Some(file) = &credentials {
        flags.extend(["--credentials-fd".into(), file.as_raw_fd().to_string().into()]);
    }
    let mut command = Command::new(own);
    command.args(flags).current_dir("/").stdin(Stdio::null()).stdout(log).stderr(errors);
    // SAFETY: setsid is async-signal-safe and touches no memory of ours.
    unsafe { command.pre_exec(|| rustix::process::setsid().map(drop).map_err(Into::into)) };
    command.spawn().map_err(Failure::file(own))
}

/// Waits until the new daemon listens, or has ended.
fn first_word(dir: &LabDir, mut daemon: Child) -> Result<(), Failure> {
    let deadline = std::time::Instant::now() + FIRST_WORD;
    loop {
        match Conversation::open(&dir.socket()) {
            Ok(_) => return Ok(()),
            Err(error) if std::time::Instant::now() > deadline => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
        if let Ok(Some(status)) = daemon.try_wait() {
            let log = std::fs::read_to_string(dir.log()).unwrap_or_default();
            return Err(Failure::Refused(format!(
                "the lab's daemon ended at once ({status}): {}",
                log.trim_end()
            )));
        }
    }
}

/// Shows the daemon's progress until all stands.
fn follow(dir: &LabDir) -> Result<Status, Failure> {
    let mut daemon = Conversation::open(&dir.socket())?;
    daemon.say(&Request::Follow)?;
    loop {
        match daemon.hear::<Answer>()? {
            Answer::Progress(words) => show::progress(&words)?,
            Answer::Status(status) => return Ok(status),
            other => return Err(refused(other)),
        }
    }
}

pub(super) fn refused(answer: Answer) -> Failure {
    match answer {
        Answer::Refused(why) => Failure::Refused(why),
        _ => Failure::Daemon(ProtocolError::Closed),
    }
}

/// Enters the lab's namespaces, made if need be; says what an ordinary user has to do without.
pub(super) fn enter(dir: &LabDir) -> Result<Option<Gate>, Failure> {
    let gate = dir.enter(true)?;
    if gate.is_some() {
        show::progress(
            "without root: no cgroups, so machines share the processors as they come, and no BPF",
        )?;
    }
    Ok(gate)
}
