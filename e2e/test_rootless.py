"""Without root: an ordinary user has the same labs, in namespaces that one small process of theirs holds.

The user here has no account. Each of their commands runs in a mount namespace of its own where `/dev/net/tun` is a
node that they may, or may not, open: the machine's own stays as it is.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import textwrap
import time
import urllib.parse
import urllib.request

import pytest
from conftest import LABS, RINGWALL, ROOT, SIX_HOPS, of_lab, until

pytestmark = pytest.mark.root("it becomes an ordinary user itself")

USER = 61234
TUN = os.makedev(10, 200)


class Ordinary:
    """An ordinary user with a home directory, who has Ringwall and the labs' files."""

    def __init__(self, directory):
        self.directory, self.home = directory, directory / "home"
        self.labs = self.home / ".local/state/ringwall/labs"
        self.home.mkdir()
        os.chown(self.home, USER, USER)
        shutil.copy(RINGWALL, directory / "ringwall")
        shutil.copytree(LABS, directory / "labs")
        for mode in (0o600, 0o666):
            node = self.tun(mode)
            os.mknod(node, 0o20000 | mode, TUN)
            node.chmod(mode)
        subprocess.run(["chmod", "-R", "a+rX", directory / "ringwall", directory / "labs"], check=True)

    def tun(self, mode):
        return self.directory / f"tun-{mode:o}"

    def command(self, *args, tun=0o666):
        script = f'mount --bind {self.tun(tun)} /dev/net/tun && cd {self.directory} && exec "$@"'
        identity = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--inh-caps=-all"]
        environment = ["env", "-i", f"HOME={self.home}", f"PATH={os.environ['PATH']}", "SHELL=/bin/sh"]
        return [*map(str, ["unshare", "--mount", "sh", "-c", script, "sh", *identity, *environment, *args])]

    def run(self, *args, check=True, timeout=120, **options):
        command = self.command(*args, **options)
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{args} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def ringwall(self, *args, **options):
        return self.run(self.directory / "ringwall", *args, **options)

    def up(self, name, file="labs/before-table.yaml", **options):
        return self.ringwall("lab", "up", "--name", name, file, **options)

    def holder(self, name):
        return json.loads((self.labs / name / "holder.json").read_text())["process"]["pid"]

    def daemon(self, name):
        return int((self.labs / name / "lock").read_text())

    def traceroute(self):
        out = self.ringwall("exec", "notebook", "--", "traceroute", "-n", "-q", "1", "-w", "2", SIX_HOPS[-1]).stdout
        return [line.split()[1] for line in out.splitlines()[1:]]

    def processes(self):
        """pid -> command line of all processes of the user; those that have ended count no more."""
        found = {}
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if entry.stat().st_uid == USER and line:
                    found[int(entry.name)] = line
        return found

    def files(self):
        return [path for path in self.home.rglob("*") if path.relative_to(self.home).parts not in STATE_HOME]

    def assert_nothing_left(self):
        until(lambda: not self.processes())
        assert self.files() == []
        assert [of_lab(name) for name in ("mine", "one", "two")] == [([], [])] * 3
        assert str(self.directory) not in pathlib.Path("/proc/self/mountinfo").read_text()


# Other programs keep their state here too.
STATE_HOME = [(".local",), (".local", "state")]


@pytest.fixture
def user():
    # A control socket's path may not be long, nor any directory on the way root's alone.
    with tempfile.TemporaryDirectory(prefix="rw-", dir="/tmp") as directory:
        directory = pathlib.Path(directory)
        directory.chmod(0o755)
        user = Ordinary(directory)
        allowed = user.run("unshare", "--user", "--map-root-user", "true", check=False)
        if allowed.returncode != 0:
            pytest.fail(f"this machine forbids ordinary users' namespaces: {allowed.stderr}", pytrace=False)
        try:
            yield user
        finally:
            # What a test that failed left behind: all processes of this uid are ours.
            while left := user.processes():
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def lab(user):
    user.up("mine")
    yield user
    if (user.labs / "mine").exists():
        user.ringwall("lab", "down", "mine")
    user.assert_nothing_left()


def test_the_reference_network_stands_without_root(lab):
    assert lab.traceroute() == SIX_HOPS
    explained = lab.ringwall("explain", "--hops", "notebook", "test").stdout
    assert [line.split()[1] for line in explained.splitlines()] == SIX_HOPS
    status = json.loads(lab.ringwall("lab", "status", "--json").stdout)
    assert {instance["name"] for instance in status["instances"]} == {"nat", "test"}
    owners = {path.lstat().st_uid for path in lab.labs.rglob("*")}
    assert owners == {USER}
    assert lab.labs.joinpath("mine").stat().st_mode & 0o777 == 0o700


def test_up_says_what_is_not_there_without_root(user):
    out = user.up("mine").stdout
    assert "without root: no cgroups" in out and "no BPF" in out
    user.ringwall("lab", "down")
    user.assert_nothing_left()


def test_a_second_up_and_a_dead_daemon(lab):
    before = lab.processes()
    lab.up("mine")
    assert lab.processes() == before
    os.kill(lab.daemon("mine"), signal.SIGKILL)
    lab.up("mine")
    assert lab.traceroute() == SIX_HOPS
    # The machines are those that stood before.
    machines = {pid for pid, line in before.items() if "machine-init" in line}
    assert machines <= set(lab.processes())


def test_inside_ip_netns_shows_everything(lab):
    listed = lab.ringwall("enter", "--", "ip", "netns").stdout.split()
    assert {"rw-mine-notebook", "rw-mine-dmz", "rw-mine-fabric", "rw-mine-segments"} <= set(listed)
    links = lab.ringwall("enter", "--", "ip", "netns", "exec", "rw-mine-notebook", "ip", "-br", "address").stdout
    assert "192.168.0.82/24" in links
    # A shell without a command, in the directory where it was called.
    shell = subprocess.run(
        lab.command(lab.directory / "ringwall", "enter"),
        input="id -u; pwd; ls /run/netns | wc -l\n",
        capture_output=True, text=True, check=True, timeout=30,
    )
    assert shell.stdout.split() == ["0", str(lab.directory), str(len(listed))]
    # Nobody else sees them.
    assert of_lab("mine") == ([], [])
    missing = lab.ringwall("enter", "--", "no-such-program", check=False)
    assert missing.returncode == 1 and "no-such-program" in missing.stderr


def test_exec_is_roots_in_the_machine(lab):
    # Also programs that give up being root, if they are told not to.
    script = """
        ping -c 1 -W 2 192.168.0.240 >/dev/null
        (sleep 0.5; ping -c 1 -W 2 192.168.0.240 >/dev/null) &
        timeout 10 tcpdump -Z root -nn -i eth0 -c 1 icmp 2>/dev/null
        iptables -A INPUT -p tcp --dport 9 -j DROP && iptables -S INPUT
        ip link add veth1 type veth peer name veth2 && ip -o link show veth1
        exit 3
    """
    done = lab.ringwall("exec", "notebook", "--", "bash", "-c", textwrap.dedent(script), check=False)
    assert done.returncode == 3, done.stderr
    assert "ICMP echo request" in done.stdout and "--dport 9 -j DROP" in done.stdout and "veth2" in done.stdout


def test_the_holder_killed_while_the_daemon_lives(lab):
    killed = lab.holder("mine")
    os.kill(killed, signal.SIGKILL)
    assert lab.traceroute() == SIX_HOPS
    # A new one has taken its place, in the same namespaces.
    assert lab.holder("mine") != killed
    assert lab.holder("mine") in lab.processes()
    os.kill(lab.daemon("mine"), signal.SIGKILL)
    lab.up("mine")
    assert lab.traceroute() == SIX_HOPS


@pytest.mark.parametrize("killed", [["holder"], ["holder", "daemon"]])
def test_down_after_the_holder_was_killed(user, killed):
    user.up("mine")
    for pid in [getattr(user, process)("mine") for process in killed]:
        os.kill(pid, signal.SIGKILL)
    user.ringwall("lab", "down", "mine")
    user.assert_nothing_left()


def test_the_holder_and_the_daemon_killed(lab):
    machines = {pid for pid, line in lab.processes().items() if "machine-init" in line}
    ids = {instance["id"] for instance in json.loads(lab.ringwall("lab", "status", "--json").stdout)["instances"]}
    for pid in (lab.holder("mine"), lab.daemon("mine")):
        os.kill(pid, signal.SIGKILL)
    # Nothing is left to be entered, and that is said.
    refused = lab.ringwall("enter", "--", "true", check=False)
    assert refused.returncode == 1
    assert "the namespaces of lab `mine` are gone" in refused.stderr and "ringwall lab down mine" in refused.stderr
    assert lab.ringwall("exec", "notebook", "--", "true", check=False).returncode == 1
    # The same cloud comes back on new namespaces, as after a restart of the machine.
    lab.up("mine")
    assert {i["id"] for i in json.loads(lab.ringwall("lab", "status", "--json").stdout)["instances"]} == ids
    assert lab.traceroute() == SIX_HOPS
    assert not machines & set(lab.processes())


@pytest.mark.parametrize("milliseconds", [2, 5, 10, 20, 40, 80, 160, 320])
@pytest.mark.parametrize("whom", ["holder", "everybody"])
def test_whoever_is_killed_on_the_way_up_down_leaves_nothing(user, whom, milliseconds):
    # Clients and daemons alone are killed where all tests are run by such a user.
    words = {"holder": " holder ", "everybody": ""}[whom]
    command = user.command(user.directory / "ringwall", "lab", "up", "--name", "mine", "labs/before-table.yaml")
    client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: user.processes() or client.poll() is not None)
    time.sleep(milliseconds / 1000)
    for pid, line in user.processes().items():
        if words in line:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    client.wait(timeout=60)
    if (user.labs / "mine").exists():
        user.ringwall("lab", "down", "mine")
    user.assert_nothing_left()


def test_two_labs_are_strangers(user):
    user.up("one")
    user.up("two")
    ambiguous = user.ringwall("exec", "notebook", "--", "true", check=False)
    assert ambiguous.returncode == 1 and "one, two" in ambiguous.stderr
    listed = user.ringwall("enter", "--lab", "two", "--", "ip", "netns").stdout
    assert "rw-two-notebook" in listed and "rw-one-" not in listed
    user.ringwall("lab", "down", "one")
    assert user.traceroute() == SIX_HOPS
    user.ringwall("lab", "down")
    user.assert_nothing_left()


def test_many_ups_at_once_make_one_lab(user):
    commands = [user.command(user.directory / "ringwall", "lab", "up", "--name", "mine", "labs/before-table.yaml")] * 5
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for command in commands]
    outputs = [process.communicate(timeout=120)[0].decode() for process in started]
    assert 0 in [process.returncode for process in started], outputs
    lines = list(user.processes().values())
    assert len([line for line in lines if " holder " in line]) == 1, lines
    assert len([line for line in lines if " daemon " in line]) == 1, lines
    assert user.traceroute() == SIX_HOPS
    user.ringwall("lab", "down")
    user.assert_nothing_left()


def test_tunnels_need_a_device_that_may_be_opened(user):
    refused = user.up("mine", tun=0o600, check=False)
    assert refused.returncode == 1
    assert "access to /dev/net/tun" in refused.stderr and "chmod 0666 /dev/net/tun" in refused.stderr
    user.assert_nothing_left()


def test_a_machine_that_forbids_user_namespaces_is_named(user):
    # Such a machine is had in a user namespace that may have no further ones.
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    limited = ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", script, "sh"]
    refused = user.run(
        *limited, user.directory / "ringwall", "lab", "up", "--name", "mine", "labs/before-table.yaml", check=False
    )
    assert refused.returncode == 1
    assert "does not let you make a user namespace" in refused.stderr, refused.stderr
    user.ringwall("lab", "down", check=False)
    user.assert_nothing_left()


def test_who_looks_for_roots_labs_is_told_whose_they_are(user, labs):
    labs.up(LABS / "before-table.yaml", "e2e-roots")
    for command in (["lab", "status"], ["lab", "status", "e2e-roots"], ["exec", "notebook", "true"]):
        done = user.ringwall(*command, check=False)
        assert done.returncode == 1
        assert "root has labs on this machine" in done.stderr and "sudo ringwall lab status" in done.stderr
    user.up("mine")
    user.ringwall("lab", "status")
    user.ringwall("lab", "down")
    user.assert_nothing_left()


def test_a_home_is_needed(user):
    done = user.run("env", "-u", "HOME", user.directory / "ringwall", "lab", "status", check=False)
    assert done.returncode == 1 and "XDG_STATE_HOME" in done.stderr


@contextlib.contextmanager
def serving(user, *flags):
    command = user.command(user.directory / "ringwall", "serve", "--listen", "127.0.0.1:45669", *flags)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for line in process.stdout:
            if "EC2 endpoint" in line:
                break
        else:
            raise AssertionError(f"it ended with {process.wait()}")
        yield process
    finally:
        process.kill()
        process.communicate()


def ask(action, **parameters):
    query = urllib.parse.urlencode({"Action": action, "Version": "2016-11-15", **parameters}).encode()
    with urllib.request.urlopen("http://127.0.0.1:45669/", data=query, timeout=10) as answer:
        return answer.read().decode()


def test_serve_is_an_ordinary_users_too(user):
    with serving(user) as process:
        assert "<vpcId>vpc-" in ask("CreateVpc", CidrBlock="10.60.0.0/16")
        process.kill()
        process.wait()
    with serving(user):
        # The cloud is the same, and so are its namespaces.
        assert "10.60.0.0/16" in ask("DescribeVpcs")
        listed = user.ringwall("enter", "--lab", "serve", "--", "ip", "netns").stdout
        assert "rw-serve-fabric" in listed
    user.ringwall("lab", "down", "serve")
    user.assert_nothing_left()


def test_the_demo_is_an_ordinary_users_too(user):
    # Built by somebody who has a toolchain, so that it stands there already.
    work = user.directory / "work"
    shutil.copytree(LABS, work / "labs" / LABS.name)
    shutil.copy(ROOT / "demo", work)
    subprocess.run(["chmod", "-R", "a+rX", work], check=True)
    release = user.directory / "built/release"
    release.mkdir(parents=True)
    (release / "ringwall").symlink_to(user.directory / "ringwall")
    tools = user.directory / "tools"
    tools.mkdir()
    (tools / "cargo").symlink_to("/bin/true")
    path = f"PATH={tools}:{os.environ['PATH']}"
    done = user.run("env", path, f"CARGO_TARGET_DIR={user.directory}/built", work / "demo")
    assert "Six hops, three times, as explained." in done.stdout
    user.assert_nothing_left()
