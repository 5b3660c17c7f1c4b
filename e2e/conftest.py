"""Labs of real packets: each test brings up what it needs and leaves nothing behind."""

import json
import os
import pathlib
import subprocess
import textwrap

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
RINGWALL = ROOT / "target" / "release" / "ringwall"
LABS = ROOT / "labs" / "ucs-test"
STATE = pathlib.Path("/var/lib/ringwall/labs")

SIX_HOPS = ["192.168.0.240", "192.168.0.250", "192.168.250.250", "192.168.5.27", "10.211.0.1", "10.210.7.14"]


def pytest_configure(config):
    if os.geteuid() != 0:
        pytest.exit("the end-to-end tests make network namespaces: run them as root", returncode=1)
    if not RINGWALL.exists():
        pytest.exit(f"{RINGWALL} is not built: cargo build --release", returncode=1)


def ringwall(*args, check=True, timeout=180, **options):
    """Runs ringwall and returns the finished process with its output as text."""
    command = [str(RINGWALL), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


class Lab:
    """A lab that is up."""

    def __init__(self, name):
        self.name = name

    def exec(self, who, *command, check=True, timeout=60, **options):
        return ringwall("exec", "--lab", self.name, who, "--", *command, check=check, timeout=timeout, **options)

    def sh(self, who, script, **options):
        return self.exec(who, "bash", "-c", script, **options)

    def popen(self, who, *command, **options):
        """Starts a command in a machine; the caller ends it."""
        full = [str(RINGWALL), "exec", "--lab", self.name, who, "--", *command]
        return subprocess.Popen(full, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)

    def explain(self, source, destination, *flags, check=False):
        done = ringwall("explain", "--lab", self.name, "--json", *flags, source, destination, check=check)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def status(self):
        return json.loads(ringwall("lab", "status", "--json", self.name).stdout)

    def drops(self, who):
        """Reason -> count of the packets from `who` that were dropped."""
        return self.status()["drops"].get(who, {})

    def instance(self, name):
        return next(i for i in self.status()["instances"] if name in (i["id"], i["name"], i["logical"]))

    def traceroute(self, who, destination, *flags):
        """The hops that answered, as (address or "*", milliseconds)."""
        out = self.exec(who, "traceroute", "-n", "-q", "1", "-w", "2", *flags, destination).stdout
        hops = [line.split() for line in out.splitlines()[1:]]
        return [(hop[1], float(hop[2]) if len(hop) > 2 else None) for hop in hops]

    def capture(self, who, device, *expression):
        return Capture(self, who, device, expression)


class Capture:
    """tcpdump in a machine while the block runs; its lines afterwards."""

    def __init__(self, lab, who, device, expression):
        self.lab, self.who, self.device, self.expression = lab, who, device, expression
        self.lines = []

    def __enter__(self):
        command = ["tcpdump", "-Z", "root", "-nn", "-l", "-i", self.device, *self.expression]
        self.process = self.lab.popen(self.who, *command)
        # It says on which device it listens before the first packet can be missed.
        while "listening on" not in (line := self.process.stderr.readline()):
            assert line, f"tcpdump on {self.device} of {self.who} ended"
        return self

    def __exit__(self, *_):
        self.process.terminate()
        out, _ = self.process.communicate(timeout=10)
        self.lines = [line for line in out.splitlines() if " IP " in line or "ARP" in line]


def standing():
    """Everything of ours on this machine: namespaces and state directories."""
    namespaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.split("\n")
    ours = [line for line in namespaces if line.startswith("rw-")]
    labs = [entry.name for entry in STATE.iterdir()] if STATE.exists() else []
    return ours, labs


def of_lab(name):
    namespaces, labs = standing()
    return [n for n in namespaces if n.startswith(f"rw-{name}-")], [lab for lab in labs if lab == name]


def processes_in(name):
    """Command lines of processes that have the lab's name or state directory in theirs."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"/labs/{name}/" in line or f"--name {name} " in line:
                found.append(line)
    return found


def mounts_of(name):
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if f"rw-{name}-" in line or f"/labs/{name}" in line]


def assert_nothing_left(name):
    assert of_lab(name) == ([], [])
    assert processes_in(name) == []
    assert mounts_of(name) == []


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
            if any(of_lab(name)):
                ringwall("lab", "down", name)
            assert_nothing_left(name)


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


@pytest.fixture
def lab_file(tmp_path):
    """Writes a lab file and returns its path."""

    def write(text, name="lab.yaml"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return path

    return write
