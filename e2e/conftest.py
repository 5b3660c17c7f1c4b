"""Labs of real packets: each test brings up what it needs and leaves nothing behind.

The tests run as whoever runs them: root, or an ordinary user. Those that need root are marked with the reason, and
listed where they are skipped.
"""

import json
import os
import pathlib
import re
import subprocess
import textwrap
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
RINGWALL = ROOT / "target" / "release" / "ringwall"
LABS = ROOT / "labs" / "ucs-test"
IS_ROOT = os.geteuid() == 0
HOME_STATE = pathlib.Path(os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local/state")
STATE = pathlib.Path("/var/lib/ringwall/labs") if IS_ROOT else HOME_STATE / "ringwall/labs"

SIX_HOPS = ["192.168.0.240", "192.168.0.250", "192.168.250.250", "192.168.5.27", "10.211.0.1", "10.210.7.14"]


def pytest_configure(config):
    config.addinivalue_line("markers", "root(reason): cannot be run by an ordinary user, and why")
    if not RINGWALL.exists():
        pytest.exit(f"{RINGWALL} is not built: cargo build --release", returncode=1)


def pytest_collection_modifyitems(items):
    for item in items:
        if not IS_ROOT and (mark := item.get_closest_marker("root")):
            item.add_marker(pytest.mark.skip(reason=f"needs root: {mark.args[0]}"))


def pytest_terminal_summary(terminalreporter):
    """Says which tests were skipped, and why."""
    reasons = {}
    for report in terminalreporter.stats.get("skipped", []):
        test = report.nodeid.split("[")[0]
        reasons.setdefault((test, report.longrepr[2].removeprefix("Skipped: ")), []).append(report)
    for (test, reason), reports in reasons.items():
        times = f" ({len(reports)} times)" if len(reports) > 1 else ""
        terminalreporter.write_line(f"skipped {test}{times}: {reason}")


def ringwall(*args, check=True, timeout=180, **options):
    """Runs ringwall and returns the finished process with its output as text."""
    command = [str(RINGWALL), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def until(condition, timeout=10):
    """Waits until the condition holds, and returns what it returned."""
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{condition} does not come true within {timeout} s"
        time.sleep(0.02)
    return result


class Lab:
    """A lab that is up."""

    def __init__(self, name):
        self.name = name

    def exec(self, who, *command, check=True, timeout=60, **options):
        return ringwall("exec", "--lab", self.name, who, "--", *command, check=check, timeout=timeout, **options)

    def inside(self, *command, check=True):
        """Runs a command where the lab's namespaces are to be seen."""
        return ringwall("enter", "--lab", self.name, "--", *command, check=check)

    def sh(self, who, script, **options):
        return self.exec(who, "bash", "-c", script, **options)

    def python(self, who, script, *arguments, **options):
        """Runs a Python script in a machine, and returns what it printed."""
        return self.exec(who, "python3", "-c", textwrap.dedent(script), *arguments, **options).stdout

    def background(self, who, *command):
        """Runs a command in a machine as long as the block runs."""
        return Background(self, who, command)

    def python_background(self, who, script, *arguments):
        return self.background(who, "python3", "-u", "-c", textwrap.dedent(script), *arguments)

    def explain(self, source, destination, *flags):
        """The explanation, and the exit code."""
        done = ringwall("explain", "--lab", self.name, "--json", *flags, source, destination, check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout), done.returncode

    def status(self):
        return json.loads(ringwall("lab", "status", "--json", self.name).stdout)

    def drops(self, who):
        """Reason -> count of the packets from `who` that were dropped."""
        return self.status()["drops"].get(who, {})

    def dropped(self, who, reason):
        return self.drops(who).get(reason, 0)

    def instance(self, name):
        return next(i for i in self.status()["instances"] if name in (i["id"], i["name"], i["logical"]))

    def host_directory(self, name):
        """Where a host of the lab keeps its console and its record."""
        host = next(host for host in self.status()["hosts"] if host["name"] == name)
        return pathlib.Path(host["machine"]["state_dir"])

    def traceroute(self, who, destination, *flags):
        """The hops that answered, as (address or "*", milliseconds)."""
        out = self.exec(who, "traceroute", "-n", "-q", "1", "-w", "2", *flags, destination).stdout
        hops = [line.split() for line in out.splitlines()[1:]]
        return [(hop[1], float(hop[2]) if len(hop) > 2 else None) for hop in hops]

    def wait_for_port(self, who, port):
        """Waits until a program in the machine listens on a TCP port: `lab up` waits only until it runs."""
        until(lambda: self.exec(who, "ss", "-Hltn", f"sport = :{port}").stdout, timeout=60)

    def capture(self, who, device, *expression):
        return Capture(self, who, device, expression)


class Background:
    """A command that runs in a machine; its lines of both streams as they come."""

    def __init__(self, lab, who, command):
        self.who, self.lines = who, []
        self.command = [str(RINGWALL), "exec", "--lab", lab.name, who, "--", *map(str, command)]

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        return self

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, words, count=1, timeout=10):
        """Waits until so many lines have had these words; returns them."""
        deadline = time.monotonic() + timeout
        while len(found := [line for line in self.lines if words in line]) < count:
            ended = self.process.poll() is not None and not self.reader.is_alive()
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"{self.command} of {self.who} did not say {words!r}, but {self.lines}")
            time.sleep(0.01)
        return found

    def finish(self, timeout=30):
        """Waits until it ends by itself; returns all it said."""
        self.process.wait(timeout)
        self.reader.join(timeout)
        return "\n".join(self.lines)

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()
            self.reader.join()


class Capture(Background):
    """tcpdump in a machine while the block runs; its lines are packets."""

    def __init__(self, lab, who, device, expression):
        command = ["tcpdump", "-Z", "root", "-nn", "-e", "-l", "--immediate-mode", "-i", device, *expression]
        super().__init__(lab, who, command)

    def __enter__(self):
        super().__enter__()
        # It says on which device it listens before the first packet can be missed.
        self.wait_for("listening on")
        return self

    @property
    def packets(self):
        """What was seen: lines that begin with the time of day."""
        return [line for line in self.lines if re.match(r"\d\d:\d\d:\d\d\.", line)]

    @property
    def addresses(self):
        """The pairs (source, destination) of the IPv4 packets."""
        pairs = set()
        for line in self.packets:
            if found := re.search(r": ((?:\d+\.){3}\d+)(?:\.\d+)? > ((?:\d+\.){3}\d+)(?:\.\d+)?: ", line):
                pairs.add(found.groups())
        return pairs


def netns(directory):
    """Where the namespaces of the lab with this state directory are pinned: an ordinary user's by their holder."""
    if IS_ROOT:
        return pathlib.Path("/run/netns")
    try:
        holder = json.loads((directory / "holder.json").read_text())["process"]["pid"]
    except OSError:
        return pathlib.Path("/nonexistent")
    return pathlib.Path(f"/proc/{holder}/root/run/netns")


def standing():
    """Everything of ours on this machine: paths of namespaces, and names of state directories."""
    labs = [entry.name for entry in STATE.iterdir()] if STATE.exists() else []
    pins = {netns(STATE / lab) for lab in ["", *labs]}
    found = [entry for directory in pins if directory.exists() for entry in directory.iterdir()]
    return [path for path in found if path.name.startswith("rw-")], labs


def namespaces_of(name):
    return [path for path in standing()[0] if path.name.startswith(f"rw-{name}-")]


def of_lab(name):
    # The links that lead to state directories elsewhere are called NAME.1 and so on.
    labs = [lab for lab in standing()[1] if lab.split(".")[0] == name]
    return [path.name for path in namespaces_of(name)], labs


def processes():
    """Every process of the machine that is ours: (pid, start time) -> (network namespace, command line)."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                start = (entry / "stat").read_text().rsplit(")", 1)[1].split()[19]
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if entry.stat().st_uid == os.geteuid():
                    found[int(entry.name), start] = ((entry / "ns" / "net").stat().st_ino, line)
            except OSError:  # it has just ended
                continue
    return found


def processes_of(name):
    """The processes in the lab's namespaces, and those that have it in their command line."""
    inodes = set()
    for namespace in namespaces_of(name):
        try:
            inodes.add(namespace.stat().st_ino)
        except OSError:
            continue
    found = {}
    for key, (inode, line) in processes().items():
        if inode in inodes or f"/labs/{name}/" in line or f"--name {name} " in line:
            found[key] = line
    return found


def mounts_of(name):
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if f"rw-{name}-" in line or f"/labs/{name}" in line]


def assert_nothing_left(name, before=()):
    """Nothing of the lab is there, and none of the processes that were `before`."""
    assert of_lab(name) == ([], [])
    assert processes_of(name) == {}
    assert mounts_of(name) == []
    # The kernel ends what was killed in a PID namespace before whoever waits for its init hears of it.
    assert set(processes()) & set(before) == set()


class Labs:
    """Brings labs up, and takes them down whatever happens."""

    def __init__(self):
        self.names = []

    def up(self, file, name):
        self.names.append(name)
        ringwall("lab", "up", "--name", name, file)
        return Lab(name)

    def down(self):
        for name in self.names:
            before = processes_of(name)
            if any(of_lab(name)):
                ringwall("lab", "down", name)
            assert_nothing_left(name, before)


def machine_wide():
    """What no lab may touch: the machine's own links, routes, rules and parameters."""
    commands = [["ip", "-o", "link"], ["ip", "-o", "addr"], ["ip", "route"], ["ip", "rule"]]
    # An ordinary user can neither read nor change the machine's firewall.
    commands += [["iptables-save"]] if IS_ROOT else []
    commands.append(["sysctl", "-a", "--pattern", r"ip_forward|rp_filter|_redirects|icmp_rate"])
    run = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for command in commands]
    # The comments and counters of iptables-save tell the time, and lifetimes of addresses run.
    volatile = re.compile(r"^#.*$|\[\d+:\d+\]|\d+sec", re.MULTILINE)
    return [volatile.sub("", out) for out in run]


@pytest.fixture(scope="session", autouse=True)
def the_machine_stays_as_it_is():
    before = machine_wide()
    yield
    assert machine_wide() == before


@pytest.fixture(scope="module")
def module_labs():
    labs = Labs()
    yield labs
    labs.down()


@pytest.fixture
def labs():
    labs = Labs()
    yield labs
    labs.down()


@pytest.fixture(scope="module")
def serve(request):
    """A `ringwall serve` that a module's tests share; its name comes from the module's."""
    # Not above: what is there needs this module, and clients that labs do without.
    from endpoint import Serve

    serving = Serve(request.module.__name__.replace("test_", "e2e-").replace("_", "-"))
    try:
        yield serving.start()
    finally:
        serving.down()


@pytest.fixture
def lab_file(tmp_path):
    """Writes a lab file and returns its path."""

    def write(text, name="lab.yaml"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return path

    return write
