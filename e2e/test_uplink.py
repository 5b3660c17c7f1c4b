"""Uplinks of `serve`. "The machine" is a network namespace of the test's own, and so is the internet behind it."""

import concurrent.futures
import ctypes
import os
import pathlib
import signal
import subprocess

import pytest
from conftest import RINGWALL, until
from endpoint import Serve, network, run

pytestmark = pytest.mark.root("it makes namespaces that stand for the machine, and changes their sysctls")

NETNS = pathlib.Path("/run/netns")
MACHINE, INTERNET = "rwtest-uplink-machine", "rwtest-uplink-internet"
SERVER = "198.51.100.80"
POOL = "203.0.113.0/24"
# A part of the segment that the machine and the gateway are on.
NEAR_POOL = "192.0.2.128/25"
CLONE_NEWNET = 0x40000000


def inside(namespace, *command, check=True, **options):
    """Runs a command in one of the two namespaces."""
    return subprocess.run(
        ["nsenter", f"--net={NETNS / namespace}", *map(str, command)],
        capture_output=True, text=True, check=check, timeout=60, **options,
    )  # fmt: skip


def state():
    """Everything of the machine that an uplink could leave behind."""
    commands = [
        ["ip", "-o", "link"],
        ["ip", "-o", "address"],
        ["ip", "route", "show", "table", "all"],
        ["ip", "rule"],
        ["nft", "list", "ruleset"],
        ["sysctl", "-a", "--pattern", r"ip_forward|ipv4\.conf\..*(forwarding|rp_filter|redirects)|disable_ipv6"],
    ]
    return [inside(MACHINE, *command).stdout for command in commands]


def pings(namespace, destination):
    return inside(namespace, "ping", "-c", 1, "-W", 1, destination, check=False).returncode == 0


@pytest.fixture
def machine():
    """The machine, at 192.0.2.2, and the internet, which has no route to the pool."""
    for name in (MACHINE, INTERNET):
        subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        veth = ["ip", "link", "add", "eth0", "netns", MACHINE, "type", "veth", "peer", "eth0", "netns", INTERNET]
        subprocess.run(veth, check=True)
        for name, address in ((MACHINE, "192.0.2.2/24"), (INTERNET, "192.0.2.1/24")):
            inside(name, "sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.disable_ipv6=1")
            inside(name, "ip", "link", "set", "lo", "up")
            inside(name, "ip", "address", "add", address, "dev", "eth0")
            inside(name, "ip", "link", "set", "eth0", "up")
        inside(INTERNET, "ip", "address", "add", f"{SERVER}/32", "dev", "lo")
        inside(MACHINE, "ip", "route", "add", "default", "via", "192.0.2.1")
        until(lambda: "state UP" in inside(MACHINE, "ip", "-o", "link", "show", "eth0").stdout)
        yield
    finally:
        for name in (MACHINE, INTERNET):
            subprocess.run(["ip", "netns", "delete", name], check=True)


class ServeOnMachine(Serve):
    """A `serve` that runs on the machine; its API is asked from there too."""

    def __init__(self, *flags):
        super().__init__("e2e-uplink", flags=flags)
        self.there = concurrent.futures.ThreadPoolExecutor(1, initializer=self.enter)

    @staticmethod
    def enter():
        with open(NETNS / MACHINE) as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    @property
    def command(self):
        return ["nsenter", f"--net={NETNS / MACHINE}", *super().command]

    def answers(self):
        return "EC2 endpoint" in self.log.read_text()

    def ec2(self):
        client = super().ec2()
        there = self.there

        class There:
            def __getattr__(self, name):
                return lambda **arguments: there.submit(getattr(client, name), **arguments).result()

        return There()

    def stop(self):
        """In order, as a service manager does."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.log.read_text()

    def refuses(self, *words):
        """The daemon ends by itself, and says these words."""
        self.spawn()
        assert self.process.wait(30) != 0
        said = self.log.read_text()
        assert all(word in said for word in words), said

    def down(self):
        super().down()
        self.there.shutdown()


@pytest.fixture
def serving(machine):
    """Starts daemons on the machine, one after the other; in the end the machine is as it was before."""
    before = state()
    started = []

    def start(*flags):
        started.append(ServeOnMachine(*flags))
        return started[-1]

    try:
        yield start
    finally:
        for serve in started:
            if serve.process is not None and serve.process.poll() is None:
                serve.kill()
        # They are one cloud: the first takes it down, the others have nothing left to do.
        for serve in started:
            serve.down()
    assert state() == before


def launch(serve):
    """An instance with an Elastic IP."""
    ec2 = serve.ec2()
    net = network(ec2)
    id = run(ec2, net.subnet, net.group)
    address = ec2.allocate_address(Domain="vpc")
    ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=id)
    return id, address["PublicIp"]


def seen_from(serve, id):
    """The address that a server on the internet sees the instance under."""
    script = """
import socket, sys
s = socket.create_server(("", 8080))
print("listening", flush=True)
print(s.accept()[1][0], flush=True)
"""
    server = subprocess.Popen(
        ["nsenter", f"--net={NETNS / INTERNET}", "python3", "-c", script], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout.readline() == "listening\n"
        serve.sh(id, f"timeout 10 bash -c 'exec 3<>/dev/tcp/{SERVER}/8080'")
        return server.stdout.readline().strip()
    finally:
        server.kill()
        server.communicate()


HOST = ["--uplink", "host", "--uplink-forwarding", "--pool", POOL]


def test_through_the_machine_and_back_to_what_it_was(serving):
    before = state()
    serve = serving(*HOST).start()
    id, public = launch(serve)
    until(lambda: serve.pings(id, SERVER))
    assert seen_from(serve, id) == "192.0.2.2"
    assert pings(MACHINE, public) and not pings(INTERNET, public)
    # What nobody has is not passed back and forth.
    assert not pings(MACHINE, "203.0.113.250")
    explanation, _ = serve.explain(id, SERVER)
    assert "Unknown" in explanation["there"]["outcome"], explanation
    assert state() != before

    serve.stop()
    assert state() == before
    # The cloud goes on without its way out.
    assert not serve.pings(id, SERVER)

    serve.start()
    until(lambda: serve.pings(id, SERVER))
    assert pings(MACHINE, public)


def test_what_somebody_deletes_comes_back(serving):
    serve = serving(*HOST).start()
    id, _ = launch(serve)
    until(lambda: serve.pings(id, SERVER))
    link = "rw-e2e-uplink"
    for damage in (["link", "delete", link], ["route", "delete", POOL], ["link", "set", link, "down"]):
        inside(MACHINE, "ip", *damage)
        until(lambda: serve.pings(id, SERVER), timeout=20)
    inside(f"rw-{serve.name}-fabric", "ip", "link", "delete", "uplink0")
    until(lambda: serve.pings(id, SERVER), timeout=20)


@pytest.mark.parametrize("then", ["none", "host", "down"])
def test_after_a_kill_whoever_comes_next_undoes_it(serving, then):
    before = state()
    first = serving(*HOST).start()
    first.kill()
    assert "rw-e2e-uplink" in "".join(state())
    if then == "none":
        serving("--uplink", "none", "--pool", POOL).start()
        assert state() == before
    elif then == "host":
        # As wanted now: not without the leave to change what forwards.
        again = serving(*HOST[:2], "--pool", POOL)
        again.refuses("--uplink-forwarding")
        assert state() == before
    # Or `lab down`, from another namespace: see the fixture.


def test_a_machine_that_forwards_needs_no_leave(serving):
    inside(MACHINE, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    before = state()
    try:
        serve = serving("--uplink", "host", "--pool", POOL).start()
        id, _ = launch(serve)
        until(lambda: serve.pings(id, SERVER))
        serve.stop()
        assert state() == before
    finally:
        inside(MACHINE, "sysctl", "-qw", "net.ipv4.ip_forward=0")


def test_beside_the_machine_on_its_interface(serving):
    before = state()
    flags = ["--uplink", "eth0", "--uplink-gateway", "192.0.2.1", "--pool", NEAR_POOL]
    serve = serving(*flags).start()
    assert state() == before, "the machine keeps its interface as it is"
    id, public = launch(serve)
    until(lambda: serve.pings(id, SERVER))
    assert seen_from(serve, id) == public
    assert pings(INTERNET, public) and pings(MACHINE, SERVER)
    explanation, _ = serve.explain(id, SERVER)
    assert "Unknown" in explanation["there"]["outcome"], explanation

    # The gateway moves to another card, and says so as soon as it asks for anybody.
    inside(INTERNET, "ip", "link", "set", "eth0", "address", "02:00:00:00:00:77")
    inside(INTERNET, "ip", "neighbour", "flush", "all")
    assert pings(INTERNET, public) and serve.pings(id, SERVER)
    serve.stop()
    assert state() == before
    until(lambda: not pings(INTERNET, public))


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--uplink", "host", "--pool", POOL], ["eth0", "net.ipv4.ip_forward", "--uplink-forwarding"]),
        ([*HOST[:3], "--pool", "192.0.2.0/28"], ["192.0.2.0/28", "192.0.2.2/24", "--pool"]),
        ([*HOST[:3], "--pool", "192.0.2.64/28"], ["192.0.2.64/28", "the route 192.0.2.0/24", "--pool"]),
        ([*HOST[:3], "--uplink-gateway", "192.0.2.1"], ["--uplink-gateway is for --uplink INTERFACE"]),
        (["--uplink-forwarding"], ["--uplink-forwarding is for --uplink host"]),
        (["--uplink", "eth0"], ["--uplink-gateway ADDRESS"]),
        (["--uplink", "eth7", "--uplink-gateway", "192.0.2.1"], ["no interface eth7"]),
        (["--uplink", "eth0", "--uplink-gateway", "203.0.113.1", "--pool", POOL], ["203.0.113.1 is in the pool"]),
        (["--uplink", "eth0", "--uplink-gateway", "192.0.2.1", "--pool", "192.0.2.0/25"], ["192.0.2.2/24 of eth0"]),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(serving, flags, words):
    serving(*flags).refuses(*words)


def test_what_others_made_is_not_taken(serving):
    inside(MACHINE, "ip", "link", "add", "rw-e2e-uplink", "type", "bridge")
    try:
        serving(*HOST).refuses("link rw-e2e-uplink already")
        assert "rw-e2e-uplink" in inside(MACHINE, "ip", "link").stdout
    finally:
        inside(MACHINE, "ip", "link", "delete", "rw-e2e-uplink")
    inside(MACHINE, "nft", "add", "table", "ip", "ringwall-e2e-uplink")
    try:
        serving(*HOST).refuses("nftables table ringwall-e2e-uplink already")
        assert "ringwall-e2e-uplink" in inside(MACHINE, "nft", "list", "tables").stdout
    finally:
        inside(MACHINE, "nft", "delete", "table", "ip", "ringwall-e2e-uplink")


def test_an_ordinary_user_has_none(machine, tmp_path):
    tmp_path.chmod(0o755)
    nobody = os.stat("/dev/null").st_uid + 65534
    done = inside(
        MACHINE, "setpriv", f"--reuid={nobody}", "--clear-groups", RINGWALL, "serve", "--state", tmp_path / "cloud",
        "--listen", "127.0.0.1:4999", *HOST, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "only root" in done.stderr, done
    assert not (tmp_path / "cloud").exists()
