//! The hidden subcommand that becomes a machine: a first stage that makes the namespaces, and their init.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use super::children::{Children, End, Event};
use super::record::{self, StateDir};
use super::{Dhcp, MachineSpec, MachineStatus, dhcp, files, mounts};
use crate::kernel::sysctl;
use crate::namespace::{Namespace, NamespaceError};
use crate::process::ProcessRecord;

/// How long the machine waits for its first lease.
const DHCP_WAIT: Duration = Duration::from_secs(30);
/// How long the machine waits for its user data to end before it says that it runs.
const USER_DATA_WAIT: Duration = Duration::from_secs(60);

/// Why a machine could not be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetUpError {
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error("{doing} {}: {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("the specification: {0}")]
    Spec(#[from] serde_json::Error),
    #[error("{0}: {1}")]
    Call(&'static str, io::Error),
    #[error("the image's file {} is in no place of the machine's own", .0.display())]
    NotOwn(PathBuf),
    #[error("`{command}` did not start: {source}")]
    NotStarted { command: String, source: io::Error },
    #[error("`{command}` {end}")]
    Command { command: String, end: End },
    #[error("stopped")]
    Stopped,
}

/// Becomes a machine: the hidden subcommand `machine-init SPEC` of the binary, which
/// [`start`](super::start) runs. Call it at the start of `main`, while there is one thread only, and exit
/// with what it returns.
///
/// Its standard input is the lock, if there is one: init lets go of it when the machine is on record.
pub fn init_main(spec_path: &Path) -> ExitCode {
    let _ = rustix::process::setsid();
    clean_up_inheritance();
    match first_stage(spec_path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console(format_args!("{error}"));
            if let Some(state) = spec_path.parent().and_then(|dir| StateDir::open(dir).ok()) {
                let _ = state.write_status(&MachineStatus::Failed { message: error.to_string() });
            }
            ExitCode::FAILURE
        }
    }
}

/// Makes the namespaces and forks their init; returns when that is on record.
fn first_stage(spec_path: &Path) -> Result<(), SetUpError> {
    let at_spec = |source| SetUpError::File { doing: "read", path: spec_path.to_owned(), source };
    let spec: MachineSpec = serde_json::from_slice(&fs::read(spec_path).map_err(at_spec)?)?;
    // Before the new mount namespace: through this descriptor, init writes to the host's directory.
    let state = StateDir::open(&spec.state_dir).map_err(|source| SetUpError::File {
        doing: "open",
        path: spec.state_dir.clone(),
        source,
    })?;
    let namespace = Namespace::open(&spec.namespace)?;
    rustix::thread::move_into_link_name_space(namespace.fd(), Some(LinkNameSpaceType::Network))
        .map_err(called("enter the network namespace"))?;
    drop(namespace);
    let new = UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWUTS;
    // SAFETY: the flags leave the file table alone.
    unsafe { rustix::thread::unshare_unsafe(new) }.map_err(called("make namespaces"))?;
    let (recorded, record) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(called("make a pipe"))?;
    // SAFETY: this process has one thread, so the child may go on as if nothing had happened.
    match unsafe { libc::fork() } {
        -1 => Err(SetUpError::Call("fork", io::Error::last_os_error())),
        0 => {
            drop(record);
            let code = init(&spec, &state, recorded);
            // SAFETY: ends the process; the parent's half of `main` is not the child's to run.
            unsafe { libc::_exit(code) }
        }
        child => {
            drop(recorded);
            let child = Pid::from_raw(child).and_then(ProcessRecord::of);
            let child = child.ok_or_else(|| SetUpError::Call("find init", io::ErrorKind::NotFound.into()))?;
            state
                .write(record::PID, &serde_json::to_vec(&child)?)
                .map_err(|e| SetUpError::Call("record init", e))?;
            // Only now may init go on. If this process dies before, so does init: no machine without a record.
            rustix::io::write(&record, b"!").map_err(called("tell init"))?;
            Ok(())
        }
    }
}

/// PID 1 of the machine; returns its exit code.
fn init(spec: &MachineSpec, state: &StateDir, recorded: OwnedFd) -> i32 {
    // It was executed by the name of /proc/self/exe.
    let _ = rustix::thread::set_name(c"ringwall-init");
    let mut children = match Children::new() {
        Ok(children) => children,
        Err(error) => {
            console(format_args!("{error}"));
            return 1;
        }
    };
    if !matches!(rustix::io::retry_on_intr(|| rustix::io::read(&recorded, &mut [0_u8; 1])), Ok(1)) {
        return 1;
    }
    drop(recorded);
    // This closes the lock.
    if let Ok(null) = File::open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(null.as_fd());
    }
    let mut machine = Machine {
        state,
        children: &mut children,
        dhcp: Dhcp::Off,
        ipv6: false,
        failures: Vec::new(),
        revise: false,
    };
    let result = machine.set_up(spec).and_then(|()| machine.supervise());
    children.end_all();
    let (status, code) = match result {
        Ok(()) | Err(SetUpError::Stopped) => (MachineStatus::Stopped, 0),
        Err(error) => (MachineStatus::Failed { message: error.to_string() }, 1),
    };
    match &status {
        MachineStatus::Failed { message } => console(format_args!("failed: {message}")),
        _ => console(format_args!("stopped")),
    }
    if let Err(error) = state.write_status(&status) {
        console(format_args!("cannot write the status: {error}"));
    }
    code
}

struct Machine<'a> {
    state: &'a StateDir,
    children: &'a mut Children,
    dhcp: Dhcp,
    ipv6: bool,
    failures: Vec<String>,
    /// Whether the specification is to be read again.
    revise: bool,
}

impl Machine<'_> {
    fn set_up(&mut self, spec: &MachineSpec) -> Result<(), SetUpError> {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        rustix::system::sethostname(spec.hostname.as_bytes()).map_err(called("set the host name"))?;
        if let Some(interface) = &spec.dhcp6 {
            // Early: DHCP for IPv6 needs the link-local address that the kernel makes up now.
            speak_ipv6(interface)?;
            self.ipv6 = true;
        }
        mounts::set_up(&spec.hostname, spec.root.as_deref())?;
        files::write_all(&spec.files)?;
        if let Some(interface) = &spec.dhcp {
            self.dhcp = self.run_dhcp(interface)?;
        }
        if let Some(interface) = &spec.dhcp6 {
            self.run_dhcp6(interface)?;
        }
        for command in &spec.commands {
            match self.run(command, None)? {
                Some(End::Code(0)) | None => {}
                Some(end) => return Err(SetUpError::Command { command: command.join(" "), end }),
            }
        }
        for process in &spec.processes {
            if let Err(source) = self.children.start(process) {
                self.fail(SetUpError::NotStarted { command: process.join(" "), source }.to_string());
            }
        }
        if let Some(user_data) = spec.user_data.as_deref().filter(|data| data.starts_with(b"#!")) {
            self.run_user_data(user_data)?;
        }
        console(format_args!("running"));
        self.write_running();
        Ok(())
    }

    /// Looks after the machine until it shall stop.
    fn supervise(&mut self) -> Result<(), SetUpError> {
        loop {
            if std::mem::take(&mut self.revise) {
                self.begin_ipv6()?;
            }
            match self.children.next(None).map_err(|e| SetUpError::Call("wait", e))? {
                Event::Ended { program, end, .. } => {
                    self.note_end(&program, end);
                    self.write_running();
                }
                Event::Terminate => return Ok(()),
                Event::Revise => self.revise = true,
                Event::Timeout => {}
            }
        }
    }

    /// Speaks IPv6 from now on, if the machine shall and does not.
    fn begin_ipv6(&mut self) -> Result<(), SetUpError> {
        let interface = match self.state.read_spec() {
            Ok(MachineSpec { dhcp6: Some(interface), .. }) if !self.ipv6 => interface,
            Ok(_) => return Ok(()),
            Err(error) => {
                self.fail(format!("cannot read the specification: {error}"));
                return Ok(());
            }
        };
        // Said at once, so that nobody tells it again.
        self.ipv6 = true;
        self.write_running();
        match speak_ipv6(&interface) {
            Ok(()) => self.run_dhcp6(&interface)?,
            Err(error) => self.fail(error.to_string()),
        }
        self.write_running();
        Ok(())
    }

    fn run_dhcp(&mut self, interface: &str) -> Result<Dhcp, SetUpError> {
        let Some(client) = dhcp::client(interface) else {
            self.fail("the image has no DHCP client (dhclient, dhcpcd or udhcpc)".to_owned());
            return Ok(Dhcp::NoClient);
        };
        self.lease(&client, interface)?;
        match dhcp::address(interface) {
            Ok(address) => Ok(Dhcp::Leased(address)),
            Err(_) => Ok(Dhcp::NoLease),
        }
    }

    fn run_dhcp6(&mut self, interface: &str) -> Result<(), SetUpError> {
        match dhcp::client6(interface) {
            Some(client) => self.lease(&client, interface),
            None => {
                self.fail("the image has no DHCPv6 client (dhclient)".to_owned());
                Ok(())
            }
        }
    }

    /// Runs a DHCP client until it has a lease.
    fn lease(&mut self, client: &[String], interface: &str) -> Result<(), SetUpError> {
        match self.run(client, Some(Instant::now() + DHCP_WAIT)) {
            Ok(Some(End::Code(0))) => {}
            Ok(Some(end)) => self.fail(format!("`{}` {end}", client.join(" "))),
            Ok(None) => {
                let wait = DHCP_WAIT.as_secs();
                self.fail(format!("no lease on {interface} within {wait} s by `{}`", client.join(" ")));
            }
            Err(SetUpError::Stopped) => return Err(SetUpError::Stopped),
            Err(error) => self.fail(error.to_string()),
        }
        Ok(())
    }

    fn run_user_data(&mut self, user_data: &[u8]) -> Result<(), SetUpError> {
        if self.state.has(record::USER_DATA_DONE) {
            return Ok(());
        }
        let script = files::write_user_data(user_data)?;
        // First: a script that was begun is not begun again.
        self.state
            .write(record::USER_DATA_DONE, b"")
            .map_err(|e| SetUpError::Call("mark the user data", e))?;
        let command = [script.to_string_lossy().into_owned()];
        match self.run(&command, Some(Instant::now() + USER_DATA_WAIT)) {
            Ok(Some(End::Code(0))) => {}
            Ok(Some(end)) => self.fail(format!("the user data {end}")),
            Ok(None) => self.fail(format!("the user data still runs after {} s", USER_DATA_WAIT.as_secs())),
            Err(SetUpError::Stopped) => return Err(SetUpError::Stopped),
            Err(error) => self.fail(error.to_string()),
        }
        Ok(())
    }

    /// Runs a command to its end, or to `until`: then it goes on behind us, and the answer is `None`.
    fn run(&mut self, command: &[String], until: Option<Instant>) -> Result<Option<End>, SetUpError> {
        let started = self.children.start(command);
        let wanted =
            started.map_err(|source| SetUpError::NotStarted { command: command.join(" "), source })?;
        loop {
            match self.children.next(until).map_err(|e| SetUpError::Call("wait", e))? {
                Event::Ended { pid, end, .. } if pid == wanted => return Ok(Some(end)),
                Event::Ended { program, end, .. } => self.note_end(&program, end),
                Event::Timeout => return Ok(None),
                Event::Terminate => return Err(SetUpError::Stopped),
                Event::Revise => self.revise = true,
            }
        }
    }

    fn note_end(&mut self, program: &str, end: End) {
        self.fail(format!("`{program}` {end}"));
    }

    fn fail(&mut self, failure: String) {
        console(format_args!("{failure}"));
        self.failures.push(failure);
    }

    fn write_running(&self) {
        let (dhcp, failures) = (self.dhcp.clone(), self.failures.clone());
        let status = MachineStatus::Running { dhcp, ipv6: self.ipv6, failures };
        if let Err(error) = self.state.write_status(&status) {
            console(format_args!("cannot write the status: {error}"));
        }
    }
}

/// Has the kernel speak IPv6, and listen to the routers on the interface (RFC 4861). Nobody in a VPC has an address
/// twice, so it does not spend seconds on finding that out.
fn speak_ipv6(interface: &str) -> Result<(), SetUpError> {
    let [accept_ra, accept_dad] =
        ["accept_ra", "accept_dad"].map(|name| format!("ipv6/conf/{interface}/{name}"));
    let values = [
        (accept_ra.as_str(), "1"),
        (accept_dad.as_str(), "0"),
        ("ipv6/conf/all/accept_dad", "0"),
        ("ipv6/conf/default/disable_ipv6", "0"),
        ("ipv6/conf/all/disable_ipv6", "0"),
    ];
    sysctl::set(values).map_err(|(path, source)| SetUpError::File {
        doing: "set kernel parameter",
        path: path.into(),
        source,
    })
}

/// Keeps nothing of the starter's but the three standard descriptors.
fn clean_up_inheritance() {
    // SAFETY: nothing in this process has opened a descriptor yet; the mask lives through its call.
    unsafe {
        libc::close_range(3, libc::c_uint::MAX, 0);
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// A line of init's own on the console, which is its standard error.
fn console(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "init: {line}");
}

fn called(call: &'static str) -> impl Fn(rustix::io::Errno) -> SetUpError {
    move |error| SetUpError::Call(call, error.into())
}
