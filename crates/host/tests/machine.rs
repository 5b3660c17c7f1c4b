//! Machines on the real kernel. This program is also what it tests: `machine-init` becomes a machine,
//! `start` starts one and dies, `exec` runs a program in one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test panics, in what it calls as well")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its own harness reports")]

mod scratch;

use std::ffi::OsString;
use std::fs;
use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, ExitCode, Output};
use std::time::{Duration, Instant};

use host::machine::{self, Dhcp, MachineError, MachineSpec, MachineStatus};
use host::namespace::Namespace;
use rustix::process::Signal;
use scratch::Scratch;
use tempfile::TempDir;

type Test = (&'static str, fn());

const TESTS: [Test; 12] = [
    ("a_machine_has_its_own_names_and_processes", a_machine_has_its_own_names_and_processes),
    ("the_hosts_files_are_there_but_cannot_be_changed", the_hosts_files_are_there_but_cannot_be_changed),
    ("etc_is_its_own", etc_is_its_own),
    ("image_files_lie_over_the_hosts", image_files_lie_over_the_hosts),
    ("an_image_is_the_root", an_image_is_the_root),
    ("exec_tells_how_the_program_ended", exec_tells_how_the_program_ended),
    ("user_data_runs_once", user_data_runs_once),
    ("the_images_dhcp_client_runs_before_the_rest", the_images_dhcp_client_runs_before_the_rest),
    ("what_goes_wrong_is_in_the_status", what_goes_wrong_is_in_the_status),
    ("a_machine_that_cannot_be_set_up_fails", a_machine_that_cannot_be_set_up_fails),
    ("a_machine_is_started_once_and_stops", a_machine_is_started_once_and_stops),
    ("the_lock_is_let_go", the_lock_is_let_go),
];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let argument = |at: usize| arguments.get(at).and_then(|argument| argument.to_str()).unwrap_or_default();
    match argument(0) {
        "machine-init" => machine::init_main(Path::new(argument(1))),
        "start" => {
            machine::start(&serde_json::from_str(argument(1)).unwrap(), None).unwrap();
            ExitCode::SUCCESS
        }
        "exec" => {
            let namespace = Namespace::open(argument(1)).unwrap();
            let init = machine::pid(Path::new(argument(2)), &namespace).unwrap();
            let code = machine::exec(init, &arguments[3..]).unwrap_or_else(|error| {
                eprintln!("{error}");
                error.exit_code()
            });
            ExitCode::from(u8::try_from(code).unwrap())
        }
        filter if filter.starts_with('-') => run_tests(""),
        filter => run_tests(filter),
    }
}

/// The usual test harness in small: this program cannot have that one, since it needs its own `main`.
fn run_tests(filter: &str) -> ExitCode {
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(filter)) {
        let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    println!("test result: {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

/// A machine under test; nothing of it is left when this is dropped.
struct Machine {
    spec: MachineSpec,
    namespace: Scratch,
    directory: TempDir,
}

impl Machine {
    fn new(name: &str) -> Machine {
        let namespace = Scratch::new(name);
        namespace.ip("link set lo up");
        let directory = TempDir::new().unwrap();
        let spec = MachineSpec {
            name: name.to_owned(),
            hostname: format!("{name}-host"),
            namespace: namespace.name().to_owned(),
            state_dir: directory.path().join("state"),
            root: None,
            files: [].into(),
            reboots: 0,
            dhcp: None,
            dhcp6: None,
            commands: Vec::new(),
            processes: Vec::new(),
            user_data: None,
        };
        Machine { spec, namespace, directory }
    }

    fn started(name: &str) -> Machine {
        let machine = Machine::new(name);
        machine.start();
        machine
    }

    /// Starts it by a process that is dead when this returns, and waits till it is set up.
    fn start(&self) -> MachineStatus {
        let json = serde_json::to_string(&self.spec).unwrap();
        let starter = Command::new(own_program()).args(["start", &json]).output().unwrap();
        assert!(starter.status.success(), "{starter:?}");
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            match machine::status(&self.spec.state_dir) {
                Some(MachineStatus::Starting) | None => assert!(Instant::now() < until),
                Some(status) => return status,
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn exec(&self, argv: &[&str]) -> Output {
        Command::new(own_program())
            .arg("exec")
            .args([Path::new(self.namespace.name()), &self.spec.state_dir])
            .args(argv)
            .output()
            .unwrap()
    }

    /// What a shell script prints in the machine; it must succeed.
    fn shell(&self, script: &str) -> String {
        let output = self.exec(&["sh", "-c", script]);
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn refuses(&self, script: &str) {
        assert!(!self.exec(&["sh", "-c", script]).status.success(), "{script} succeeded");
    }

    fn stop(&self) {
        machine::stop(&self.spec.state_dir, &self.namespace, Duration::from_secs(10)).unwrap();
    }

    fn console(&self) -> String {
        fs::read_to_string(self.spec.state_dir.join("console.log")).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = machine::stop(&self.spec.state_dir, &self.namespace, Duration::ZERO);
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.spec.state_dir.join("console.log")).unwrap_or_default());
        }
    }
}

fn own_program() -> &'static str {
    "/proc/self/exe"
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn a_machine_has_its_own_names_and_processes() {
    let mut machine = Machine::new("own");
    machine.spec.processes = vec![strings(&["sleep", "1000"])];
    let running = MachineStatus::Running { dhcp: Dhcp::Off, ipv6: false, failures: vec![] };
    assert_eq!(machine.start(), running);
    assert_eq!(machine.shell("hostname"), "own-host");
    assert_eq!(machine.shell("getent hosts own-host | cut -d' ' -f1"), "127.0.1.1");
    assert_eq!(machine.shell("tr '\\0' ' ' < /proc/1/cmdline | cut -d' ' -f1,2"), "ringwall machine-init");
    assert_eq!(machine.shell("ps -e -o comm= | grep -c -e sleep -e ringwall"), "2");
    assert_eq!(machine.shell("ls /sys/class/net"), "lo");
    assert_eq!(machine.shell("readlink /proc/1/ns/net"), format!("net:[{}]", machine.namespace.inode()));
    // Standard streams, the state directory, and what wakes init: nothing of the starter's.
    assert_eq!(machine.shell("ls /proc/1/fd | wc -l"), "5");
    assert_eq!(machine.shell("readlink /proc/1/fd/0"), "/dev/null");
    let other = Machine::started("other");
    assert_eq!(other.shell("hostname"), "other-host");
    // Neither keeps the other's namespace alive by a copy of its pin.
    assert_eq!(other.shell("grep -c netns /proc/self/mountinfo || true"), "0");
    assert_ne!(rustix::system::uname().nodename().to_str().unwrap(), "other-host");
}

fn the_hosts_files_are_there_but_cannot_be_changed() {
    let machine = Machine::started("files");
    let probe = machine.directory.path().join("probe");
    fs::write(&probe, "host").unwrap();
    for place in
        ["/usr/bin", "/root", "/var", "/", "/var/lib", "/run/ringwall/etc", "/sys", "/proc/sys/kernel"]
    {
        machine.refuses(&format!("echo > {place}/ringwall-test"));
    }
    machine.refuses("echo changed > /proc/sys/kernel/core_pattern");
    for place in ["/run", "/tmp", "/var/tmp", "/var/log", "/etc"] {
        machine.shell(&format!("echo here > {place}/ringwall-test && cat {place}/ringwall-test"));
        assert!(!Path::new(place).join("ringwall-test").exists(), "{place} is the host's");
    }
    // The host's temporary files are not to be seen, even if the state directory is among them.
    machine.refuses(&format!("cat {}", probe.display()));
    machine.shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
    assert_eq!(machine.shell("cat /proc/sys/net/ipv4/ip_forward"), "1");
    machine.shell("test -c /dev/null && echo > /dev/null && : > /dev/shm/x && id -un | grep root");
}

fn etc_is_its_own() {
    let machine = Machine::started("etc");
    assert_eq!(machine.shell("cat /etc/hostname"), "etc-host");
    assert_eq!(machine.shell("cat /etc/passwd"), fs::read_to_string("/etc/passwd").unwrap().trim_end());
    machine.shell("grep ^ID= /etc/os-release");
    machine
        .shell("mkdir -p /etc/dhcp && echo 'supersede routers 192.0.2.1;' >> /etc/dhcp/dhclient.conf.local");
    assert!(!Path::new("/etc/dhcp/dhclient.conf.local").exists());
    if Path::new("/etc/dhcp/dhclient.conf").exists() {
        machine.shell("echo '# more' >> /etc/dhcp/dhclient.conf");
        assert!(!fs::read_to_string("/etc/dhcp/dhclient.conf").unwrap().contains("# more"));
    }
    // As dhclient-script does it.
    machine.shell(
        "echo 'nameserver 192.0.2.53' > /etc/resolv.conf.new && mv -f /etc/resolv.conf.new /etc/resolv.conf",
    );
    assert_eq!(machine.shell("cat /etc/resolv.conf"), "nameserver 192.0.2.53");
    assert!(!fs::read_to_string("/etc/resolv.conf").unwrap_or_default().contains("192.0.2.53"));
    machine.refuses("echo >> /etc/passwd");
}

fn image_files_lie_over_the_hosts() {
    let mut machine = Machine::new("image");
    let mut file = |path: &str, content: &str| machine.spec.files.insert(path.to_owned(), content.to_owned());
    file("/etc/dhcp/dhclient.conf.local", "");
    file("/etc/motd", "welcome\n");
    file("/etc/skel/sub/dir/file", "deep\n");
    file("/etc/ringwall-test/file", "new\n");
    file("/run/tool", "#!/bin/sh\necho tool\n");
    assert!(matches!(machine.start(), MachineStatus::Running { .. }), "{}", machine.console());
    assert_eq!(machine.shell("stat -c %s /etc/dhcp/dhclient.conf.local"), "0");
    assert_eq!(
        machine.shell("cat /etc/motd /etc/skel/sub/dir/file /etc/ringwall-test/file"),
        "welcome\ndeep\nnew"
    );
    // The rest of the directory is still the host's.
    assert_eq!(machine.shell("cat /etc/skel/.profile | wc -l"), {
        fs::read_to_string("/etc/skel/.profile").unwrap().lines().count().to_string()
    });
    assert_eq!(machine.shell("/run/tool"), "tool");
    assert!(!Path::new("/etc/ringwall-test").exists());
}

fn an_image_is_the_root() {
    let mut machine = Machine::new("root");
    let root = tempfile::tempdir().unwrap();
    for place in ["bin", "dev", "etc/dhcp", "proc", "run", "sys", "tmp", "var/log"] {
        fs::create_dir_all(root.path().join(place)).unwrap();
    }
    fs::write(root.path().join("etc/motd"), "welcome\n").unwrap();
    // A shell and what it needs of the host, whichever libraries these are.
    let programs = ["sh", "ls", "cat", "touch"].map(|name| format!("/bin/{name}"));
    let needed = Command::new("ldd").args(&programs).output().unwrap().stdout;
    let needed = String::from_utf8(needed).unwrap();
    let libraries =
        needed.split_whitespace().map(|word| word.trim_end_matches(':')).filter(|word| word.starts_with('/'));
    for file in libraries.chain(programs.iter().map(String::as_str)) {
        let copy = root.path().join(file.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(file, copy).unwrap();
    }
    machine.spec.root = Some(root.path().to_owned());
    machine.spec.user_data = Some(b"#!/bin/sh\ncat /etc/motd > /run/read\n".into());
    assert!(matches!(machine.start(), MachineStatus::Running { .. }), "{}", machine.console());
    assert_eq!(machine.shell("cat /run/read"), "welcome");
    assert_eq!(machine.shell("cat /etc/hostname"), "root-host");
    assert_eq!(machine.shell("cat /proc/1/comm"), "ringwall-init");
    // Nothing of the host is left, but for its devices, and nothing of the image can be changed.
    let mounts = machine.shell("cat /proc/mounts");
    assert!(mounts.lines().all(|line| !line.contains("/netns")), "{mounts}");
    assert_eq!(machine.shell("ls /bin"), "cat\nls\nsh\ntouch");
    assert_eq!(machine.shell("ls /dev/null"), "/dev/null");
    machine.shell("touch /etc/own /tmp/own /run/own /var/log/own");
    machine.refuses("touch /own");
    machine.refuses("touch /bin/own");
    assert!(!root.path().join("etc/own").exists());
    machine.stop();
    machine.spec.root = Some(root.path().join("missing"));
    let MachineStatus::Failed { message } = machine.start() else { panic!("it runs") };
    assert!(message.contains("missing"), "{message}");
}

fn exec_tells_how_the_program_ended() {
    let machine = Machine::started("exec");
    let code = |argv: &[&str]| machine.exec(argv).status.code().unwrap();
    assert_eq!(code(&["true"]), 0);
    assert_eq!(code(&["sh", "-c", "exit 7"]), 7);
    assert_eq!(code(&["sh", "-c", "kill -9 $$"]), 128 + 9);
    assert_eq!(code(&["/etc/passwd"]), 126);
    assert_eq!(code(&[]), 125);
    let missing = machine.exec(&["no-such-program"]);
    assert_eq!(missing.status.code(), Some(127));
    let message = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(message, "no-such-program: command not found in the machine\n");
    // SIGTERM reaches the program, which decides.
    let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done";
    let mut child = Command::new(own_program())
        .arg("exec")
        .args([Path::new(machine.namespace.name()), &machine.spec.state_dir])
        .args(["sh", "-c", script])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

fn user_data_runs_once() {
    let mut machine = Machine::new("userdata");
    let script = "#!/bin/bash\n[[ $$ != 1 ]] && echo \"ran as $0\" > /run/ran\n";
    machine.spec.user_data = Some(script.into());
    machine.start();
    assert_eq!(machine.shell("cat /run/ran"), "ran as /run/ringwall/user-data");
    machine.stop();
    assert_eq!(machine::status(&machine.spec.state_dir), Some(MachineStatus::Stopped));
    machine.start();
    machine.refuses("cat /run/ran");
    let mut machine = Machine::new("cloudcfg");
    machine.spec.user_data = Some(b"echo > /run/ran".into());
    machine.start();
    machine.refuses("cat /run/ran");
}

fn the_images_dhcp_client_runs_before_the_rest() {
    let server = Scratch::new("dhcpd");
    let mut machine = Machine::new("dhcp");
    server.ip(&format!("link add dev served type veth peer name eth0 netns {}", machine.namespace.name()));
    server.ip("address add 192.0.2.1/24 dev served");
    server.ip("link set served up");
    server.ip("route add 255.255.255.255 dev served");
    let socket = server.run(|| UdpSocket::bind("0.0.0.0:67")).unwrap().unwrap();
    socket.set_broadcast(true).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    machine.spec.dhcp = Some("eth0".to_owned());
    machine.spec.commands = vec![strings(&["sh", "-c", "ip route > /run/routes"])];
    std::thread::scope(|scope| {
        let served = scope.spawn(|| while serve_dhcp(&socket) != 5 {});
        let dhcp = Dhcp::Leased([192, 0, 2, 77].into());
        assert_eq!(machine.start(), MachineStatus::Running { dhcp, ipv6: false, failures: vec![] });
        served.join().unwrap();
    });
    assert!(machine.shell("cat /run/routes").starts_with("default via 192.0.2.1 dev eth0"));
    assert_eq!(machine.shell("cat /sys/class/net/eth0/mtu"), "1400");
    assert_eq!(machine.shell("cat /etc/resolv.conf"), "nameserver 192.0.2.53");
    machine.stop();
    assert_eq!(machine.namespace.processes(), []);
}

/// Answers one DHCP message (RFC 2131); returns the answer's type: 2 is an offer, 5 an acknowledgement.
fn serve_dhcp(socket: &UdpSocket) -> u8 {
    let mut message = [0; 1500];
    let length = socket.recv(&mut message).unwrap();
    let asked = message[240..length].windows(3).find(|option| option[..2] == [53, 1]).unwrap()[2];
    let kind = if asked == 1 { 2 } else { 5 };
    let mut answer = message[..240].to_vec();
    answer[0] = 2;
    answer[16..20].copy_from_slice(&[192, 0, 2, 77]);
    answer.extend([53, 1, kind, 54, 4, 192, 0, 2, 1, 51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0]);
    answer.extend([3, 4, 192, 0, 2, 1, 6, 4, 192, 0, 2, 53, 26, 2, 5, 120, 255]);
    answer.resize(300, 0);
    socket.send_to(&answer, "255.255.255.255:68").unwrap();
    kind
}

fn what_goes_wrong_is_in_the_status() {
    let mut machine = Machine::new("wrong");
    machine.spec.processes = vec![strings(&["no-such-program"]), strings(&["sh", "-c", "exit 3"])];
    machine.spec.user_data = Some(b"#!/bin/sh\necho I tried; exit 4".into());
    machine.start();
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let Some(MachineStatus::Running { failures, .. }) = machine::status(&machine.spec.state_dir) else {
            panic!("it does not run");
        };
        if failures.len() == 3 {
            assert!(failures[0].starts_with("`no-such-program` did not start"), "{failures:?}");
            assert!(failures.contains(&"`sh -c exit 3` ended with exit code 3".to_owned()), "{failures:?}");
            assert!(failures.contains(&"the user data ended with exit code 4".to_owned()), "{failures:?}");
            break;
        }
        assert!(Instant::now() < until, "{failures:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(machine.console().contains("I tried"));
}

fn a_machine_that_cannot_be_set_up_fails() {
    let failed = |message: &str| MachineStatus::Failed { message: message.to_owned() };
    let mut machine = Machine::new("badcmd");
    machine.spec.commands = vec![strings(&["true"]), strings(&["sh", "-c", "exit 2"])];
    machine.spec.processes = vec![strings(&["sleep", "1000"])];
    assert_eq!(machine.start(), failed("`sh -c exit 2` ended with exit code 2"));
    for path in ["/usr/lib/ringwall-test", "/etc/../usr/x", "relative"] {
        let mut machine = Machine::new("badfile");
        machine.spec.files.insert(path.to_owned(), String::new());
        let message = format!("the image's file {path} is in no place of the machine's own");
        assert_eq!(machine.start(), failed(&message));
    }
    let mut machine = Machine::new("badns");
    machine.spec.namespace = "rw-hosttest-absent".to_owned();
    assert!(matches!(machine::start(&machine.spec, None), Err(MachineError::Namespace(_))));
}

fn a_machine_is_started_once_and_stops() {
    let mut machine = Machine::new("stop");
    // One that wants to be asked nicely, and one that ignores it.
    let stubborn = strings(&["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]);
    machine.spec.processes = vec![strings(&["sleep", "1000"]), stubborn];
    machine.start();
    let init = machine::pid(&machine.spec.state_dir, &machine.namespace).unwrap();
    let again = machine::start(&machine.spec, None);
    assert!(matches!(again, Err(MachineError::Running { pid, .. }) if pid == init), "{again:?}");
    assert_eq!(machine::pid(&machine.spec.state_dir, &Scratch::new("elsewhere")), None);
    machine.stop();
    assert_eq!(machine::pid(&machine.spec.state_dir, &machine.namespace), None);
    assert_eq!(machine::status(&machine.spec.state_dir), Some(MachineStatus::Stopped));
    assert!(machine.console().ends_with("init: stopped\n"), "{}", machine.console());
    // To stop what does not run is no error.
    machine.stop();
}

fn the_lock_is_let_go() {
    use std::os::fd::AsFd;
    let machine = Machine::new("lock");
    let path = machine.directory.path().join("lock");
    let lock = fs::File::create(&path).unwrap();
    lock.lock().unwrap();
    machine::start(&machine.spec, Some(lock.as_fd())).unwrap();
    drop(lock);
    let again = fs::File::open(&path).unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    while again.try_lock().is_err() {
        assert!(Instant::now() < until, "the machine keeps the lock");
        std::thread::sleep(Duration::from_millis(1));
    }
}
