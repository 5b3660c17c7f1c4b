"""The clock that runs fast: what waits for minutes and hours is over at once."""

import json

import pytest
from conftest import ringwall, until
from endpoint import Serve, instance, network, refused, run, terminate

LAB = """
    name: e2e-clock-lab
    cloud:
      region: eu-west-1
      template:
        Resources:
          Vpc: {Type: "AWS::EC2::VPC", Properties: {CidrBlock: 10.0.0.0/16}}
    internet:
      pool: 203.0.113.0/24
"""


def clock(name, *command, **options):
    """Changes the clock and returns what it shows then."""
    done = ringwall("clock", "--lab", name, "--json", *command, **options)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def ec2(serve):
    return serve.ec2()


@pytest.fixture(scope="module")
def net(ec2):
    return network(ec2, public=False)


@pytest.fixture(scope="module")
def pair(serve, ec2, net):
    """Two instances; the second lets nothing in but answers."""
    closed = ec2.create_security_group(VpcId=net.vpc, GroupName="closed", Description="lets nothing in")["GroupId"]
    peers = run(ec2, net.subnet, net.group), run(ec2, net.subnet, closed)
    yield peers
    terminate(ec2, *peers)


@pytest.fixture
def standing_still(serve):
    """The clock moves only where a test moves it."""
    clock(serve.name, "rate", 0)
    yield
    clock(serve.name, "rate", 1)


class Flow:
    """UDP from the closed instance to a port of the open one, and packets that come back."""

    def __init__(self, serve, ec2, pair, port):
        self.serve, self.port, (self.open, self.closed) = serve, port, pair
        self.addresses = [instance(ec2, id)["PrivateIpAddress"] for id in pair]

    def __enter__(self):
        self.listener = self.serve.python_background(
            self.closed,
            """
            import socket, sys
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("", int(sys.argv[2])))
            s.sendto(b"hello", (sys.argv[1], int(sys.argv[2])))
            print("sent")
            while True:
                print(s.recv(100).decode())
            """,
            self.addresses[0],
            self.port,
        )
        self.listener.__enter__()
        self.listener.wait_for("sent")
        return self

    def __exit__(self, *exception):
        self.listener.__exit__(*exception)

    def send(self, words):
        self.serve.python(
            self.open,
            """
            import socket, sys
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("", int(sys.argv[2])))
            s.sendto(sys.argv[3].encode(), (sys.argv[1], int(sys.argv[2])))
            """,
            self.addresses[1],
            self.port,
            words,
        )

    def lets_in(self, words):
        """Whether a packet that comes back is let in: it arrives, or it is counted as dropped."""
        before = self.refused
        self.send(words)
        until(lambda: words in self.listener.lines or self.refused > before)
        return words in self.listener.lines

    @property
    def refused(self):
        return self.serve.dropped(self.open, "SecurityGroupIngress")


def test_an_answered_flow_is_let_in_for_180_seconds(serve, ec2, pair, standing_still):
    with Flow(serve, ec2, pair, 5001) as flow:
        assert flow.lets_in("first")
        clock(serve.name, "advance", "179999ms")
        assert flow.lets_in("second"), "a packet gives it another 180 seconds"
        clock(serve.name, "advance", "179s")
        assert flow.lets_in("third")
        shown = clock(serve.name)["seconds"]
        assert clock(serve.name, "advance", "181s")["seconds"] == pytest.approx(shown + 181)
        assert not flow.lets_in("fourth")


def test_a_flow_without_an_answer_is_let_in_for_30_seconds(serve, ec2, pair, standing_still):
    with Flow(serve, ec2, pair, 5002) as flow:
        clock(serve.name, "advance", "29999ms")
        assert flow.lets_in("in time")
    with Flow(serve, ec2, pair, 5003) as flow:
        clock(serve.name, "advance", "30s")
        assert not flow.lets_in("too late")


def test_at_a_rate_of_60_minutes_are_seconds(serve, ec2, pair):
    with Flow(serve, ec2, pair, 5004) as flow:
        assert flow.lets_in("first")
        before = clock(serve.name, "rate", 60)
        try:
            until(lambda: serve.status()["connections"] == 0, timeout=30)
            assert not flow.lets_in("second")
            after = clock(serve.name)
        finally:
            clock(serve.name, "rate", 1)
    passed, real = (after[key] - before[key] for key in ("seconds", "real_seconds"))
    assert passed == pytest.approx(60 * real)


def test_a_terminated_instance_is_shown_for_an_hour(serve, ec2, net, standing_still):
    # What the clock was set forward before says nothing about this instance.
    clock(serve.name, "advance", "1d")
    id = run(ec2, net.subnet, net.group)
    terminate(ec2, id)
    launched = instance(ec2, id)["LaunchTime"]
    clock(serve.name, "advance", "59m")
    assert instance(ec2, id)["State"]["Name"] == "terminated"
    assert instance(ec2, id)["LaunchTime"] == launched
    clock(serve.name, "advance", "61s")
    with refused("InvalidInstanceID.NotFound"):
        instance(ec2, id)


def test_nonsense_is_refused_and_changes_nothing(serve, standing_still):
    before = clock(serve.name)["seconds"]
    for by in ("350", "-5s", "1.5h", "1h30m", "soon", ""):
        refusal = ringwall("clock", "--lab", serve.name, "advance", by, check=False)
        assert refusal.returncode != 0 and "a whole number with its unit" in refusal.stderr, refusal
    refusal = ringwall("clock", "--lab", serve.name, "advance", "999999d", check=False)
    assert refusal.returncode == 1 and "290 years" in refusal.stderr
    for rate in ("-1", "3601", "0.5", "fast"):
        refusal = ringwall("clock", "--lab", serve.name, "rate", rate, check=False)
        assert refusal.returncode != 0 and "from 0 (the clock stands still) to 3600" in refusal.stderr, refusal
        refusal = ringwall("serve", "--clock-rate", rate, check=False)
        assert refusal.returncode != 0 and "from 0 (the clock stands still) to 3600" in refusal.stderr, refusal
    refusal = ringwall("clock", "--lab", "no-such-lab", "advance", "1s", check=False)
    assert refusal.returncode == 1 and "no lab `no-such-lab` is up" in refusal.stderr
    assert clock(serve.name)["seconds"] == before


def test_serve_and_labs_begin_at_the_rate_that_they_are_told(labs, lab_file):
    serving = Serve("e2e-clock-rate", flags=["--clock-rate", "0"])
    try:
        serving.start()
        shown = clock(serving.name)
        assert (shown["rate"], shown["seconds"]) == (0, 0)
        assert "now at rate 0" in ringwall("clock", "--lab", serving.name).stdout
        clock(serving.name, "advance", "1h")
        # A new daemon tracks no connection, and its clock begins anew.
        assert clock(serving.restart().name)["seconds"] == 0
    finally:
        serving.down()
    file = lab_file(LAB)
    labs.names.append("e2e-clock-lab")
    ringwall("lab", "up", "--name", "e2e-clock-lab", "--clock-rate", 60, file)
    assert clock("e2e-clock-lab")["rate"] == 60
    ringwall("lab", "up", "--name", "e2e-clock-lab", file)
    assert clock("e2e-clock-lab")["rate"] == 60
    ringwall("lab", "up", "--name", "e2e-clock-lab", "--clock-rate", 2, file)
    assert clock("e2e-clock-lab")["rate"] == 2
