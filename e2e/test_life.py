"""A lab's life: up, again, looked at, down; and every way to be killed on the way."""

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import textwrap
import time

import pytest
from conftest import IS_ROOT, LABS, RINGWALL, STATE, assert_nothing_left, of_lab, processes_of, ringwall, until

TABLE = LABS / "before-table.yaml"

SMALL = """
    name: e2e-small
    cloud:
      region: eu-west-1
      template:
        Resources:
          Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.50.0.0/16}}
          Subnet: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.50.0.0/24}}
          Machine:
            Type: AWS::EC2::Instance
            Properties:
              ImageId: ami-00000000000000001
              InstanceType: m4.large
              SubnetId: !Ref Subnet
              Tags: [{Key: Name, Value: machine}]
    internet: {pool: 203.0.113.0/24}
    sites:
      home:
        hosts:
          outside:
            interfaces: {eth0: {segment: internet, address: 192.0.2.80}}
"""


@pytest.fixture
def small(labs, lab_file):
    return labs.up(lab_file(SMALL), "e2e-small")


# --- up ---


def test_up_shows_what_stands(labs, lab_file):
    labs.names.append("e2e-small")
    out = ringwall("lab", "up", lab_file(SMALL)).stdout
    lines = [line.split() for line in out.splitlines()]
    assert ["lab", "e2e-small", "(000000000000/eu-west-1)"] in lines
    instance = next(line for line in lines if "machine" in line)
    assert instance[0].startswith("i-") and instance[2:4] == ["running", "10.50.0.4"]
    assert instance[-1] == f"rw-e2e-small-{instance[0]}"
    assert ["outside", "host", "running", "192.0.2.80", "rw-e2e-small-outside"] in lines
    # Progress comes before the table.
    assert out.index("machines: all running") < out.index("INSTANCE")


def test_a_second_up_changes_nothing(labs):
    lab = labs.up(TABLE, "e2e-twice")
    first = lab.status()
    before = processes_of("e2e-twice")
    again = ringwall("lab", "up", "--name", "e2e-twice", TABLE)
    assert first["instances"][0]["id"] in again.stdout
    second = lab.status()
    for key in ("name", "region", "instances", "hosts"):
        assert second[key] == first[key]
    assert processes_of("e2e-twice") == before


def test_namespaces_are_visible_to_ip_netns(small):
    listed = small.inside("ip", "netns", "list").stdout
    names = {line.split()[0] for line in listed.splitlines()}
    instance = small.instance("machine")
    expected = {
        "rw-e2e-small-outside",
        "rw-e2e-small-fabric",
        "rw-e2e-small-services",
        instance["machine"]["namespace"],
    }
    assert expected <= names
    links = small.inside("ip", "-n", "rw-e2e-small-fabric", "-o", "link").stdout
    # The port of an instance's interface bears the end of the interface's id.
    assert f" {instance['port']}@" in links


def test_another_file_under_the_same_name_is_refused(labs, lab_file):
    file = lab_file(SMALL)
    lab = labs.up(file, "e2e-small")
    ids = [instance["id"] for instance in lab.status()["instances"]]
    other = lab_file(SMALL, "other.yaml")
    for changed in (other, lab_file(SMALL.replace("192.0.2.80", "192.0.2.81"))):
        done = ringwall("lab", "up", "--name", "e2e-small", changed, check=False)
        assert done.returncode == 1
        assert f"lab `e2e-small` is up already, made from {file}" in done.stderr
        assert "ringwall lab down e2e-small" in done.stderr
    assert [instance["id"] for instance in lab.status()["instances"]] == ids
    lab.exec("machine", "true")


def test_two_labs_from_one_file_stand_beside_each_other(labs):
    one, two = labs.up(TABLE, "e2e-one"), labs.up(TABLE, "e2e-two")
    assert one.instance("test")["id"] != two.instance("test")["id"]
    for lab in (one, two):
        lab.exec("notebook", "ping", "-c", "1", "-W", "2", "10.210.7.14")
    done = ringwall("exec", "notebook", "--", "true", check=False)
    assert done.returncode == 1
    assert "several labs are up, name one of them" in done.stderr
    assert "e2e-one" in done.stderr and "e2e-two" in done.stderr
    ringwall("lab", "down", "e2e-one")
    assert_nothing_left("e2e-one")
    two.exec("notebook", "ping", "-c", "1", "-W", "2", "10.210.7.14")


# --- exec ---


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["bash", "-c", "exit 3"], 3),
        (["bash", "-c", "exit 255"], 255),
        (["no-such-program"], 127),
        (["/etc/hosts"], 126),
        (["bash", "-c", "kill -KILL $$"], 128 + signal.SIGKILL),
        (["bash", "-c", "kill -TERM $$"], 128 + signal.SIGTERM),
    ],
)
@pytest.mark.parametrize("who", ["machine", "outside"])
def test_exec_ends_as_the_command_does(exec_lab, who, command, code):
    done = exec_lab.exec(who, *command, check=False)
    assert done.returncode == code
    if code in (126, 127):
        assert command[0] in done.stderr


@pytest.fixture(scope="module")
def exec_lab(module_labs, tmp_path_factory):
    file = tmp_path_factory.mktemp("exec") / "lab.yaml"
    file.write_text(textwrap.dedent(SMALL))
    return module_labs.up(file, "e2e-exec")


def test_exec_hands_all_three_streams_through(exec_lab):
    done = exec_lab.sh("machine", "cat; echo to stderr >&2", input="to stdout\n")
    assert (done.stdout, done.stderr) == ("to stdout\n", "to stderr\n")


def test_exec_needs_no_dashes_and_keeps_the_commands_own_flags(exec_lab):
    done = ringwall("exec", "--lab", exec_lab.name, "machine", "echo", "-n", "--lab", "x")
    assert done.stdout == "--lab x"


def test_exec_finds_a_machine_by_id_and_by_name(exec_lab):
    instance = exec_lab.instance("machine")
    name = exec_lab.exec(instance["id"], "hostname").stdout.strip()
    assert name == exec_lab.exec("machine", "hostname").stdout.strip() == "ip-10-50-0-4"
    assert exec_lab.exec("outside", "hostname").stdout.strip() == "outside"


def test_exec_in_nobody_names_those_there_are(exec_lab):
    done = exec_lab.exec("nobody", "true", check=False)
    assert done.returncode == 1
    assert "`nobody`" in done.stderr and "outside, machine" in done.stderr


def test_a_terminated_exec_ends_its_command(exec_lab):
    with exec_lab.background("machine", "bash", "-c", "echo ready; exec sleep 987") as running:
        running.wait_for("ready")
        assert "sleep 987" in exec_lab.exec("machine", "ps", "ax").stdout
    until(lambda: "sleep 987" not in exec_lab.exec("machine", "ps", "ax").stdout)


def test_a_machine_sees_its_own_processes_and_may_not_write_to_the_host(exec_lab):
    assert exec_lab.sh("machine", "cat /proc/1/comm").stdout == "ringwall-init\n"
    assert int(exec_lab.sh("machine", "ls -d /proc/[0-9]* | wc -l").stdout) < 10
    for path in ("/", "/usr", "/root", "/var/lib", "/home", "/opt"):
        done = exec_lab.sh("machine", f"touch {path}/e2e-mark", check=False)
        # An ordinary user may not even look into some.
        assert done.returncode == 1 and ("Read-only file system" in done.stderr or not IS_ROOT)
    for path in ("/run", "/tmp", "/etc", "/var/lib/dhcp", "/var/log"):
        exec_lab.sh("machine", f"touch {path}/e2e-mark")
        assert exec_lab.sh("outside", f"test -e {path}/e2e-mark", check=False).returncode == 1


# --- down ---


def test_down_leaves_nothing_and_says_so(labs, lab_file):
    lab = labs.up(lab_file(SMALL), "e2e-small")
    # A program that is told to end and will not.
    with lab.background(
        "machine", "bash", "-c", "trap '' TERM INT HUP; echo ready; while :; do sleep 1; done"
    ) as stubborn:
        stubborn.wait_for("ready")
        before = processes_of("e2e-small")
        done = ringwall("lab", "down", "e2e-small")
        assert "lab e2e-small is down" in done.stdout
        assert_nothing_left("e2e-small", before.keys() - own(stubborn))
    assert ringwall("lab", "down", "e2e-small", check=False).returncode == 1


def own(running):
    """The process that shows what runs, which is ours and not the lab's."""
    return {key for key in processes_of("e2e-small") if key[0] == running.process.pid}


# --- killed ---


def kill(pid):
    # It may have ended by itself.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def daemon_of(name):
    """The daemon's process id, if there is one yet."""
    try:
        return int((STATE / name / "lock").read_text().split("\n")[0])
    except (OSError, ValueError):
        return None


def start(name):
    command = [str(RINGWALL), "lab", "up", "--name", name, str(TABLE)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def duration():
    """How long bringing the lab up takes here."""
    began = time.monotonic()
    ringwall("lab", "up", "--name", "e2e-killed", TABLE)
    took = time.monotonic() - began
    ringwall("lab", "down", "e2e-killed")
    assert_nothing_left("e2e-killed")
    return took


@pytest.mark.parametrize("victims", ["client", "daemon", "both"])
@pytest.mark.parametrize("tenth", range(10))
def test_whoever_is_killed_on_the_way_up_down_leaves_nothing(duration, victims, tenth):
    name = "e2e-killed"
    # A random point in each tenth of the way: together they cover all of it.
    moment = duration * (tenth + random.random()) / 10
    client = start(name)
    try:
        time.sleep(moment)
        if victims != "daemon":
            client.kill()
        if victims != "client" and (daemon := daemon_of(name)):
            kill(daemon)
        # A client whose daemon is gone ends by itself, and cleans up.
        client.communicate(timeout=60)
        before = processes_of(name)
        if STATE.joinpath(name).exists():
            # Without waiting for a daemon that is only just beginning, and does not listen yet.
            ringwall("lab", "down", name, timeout=15)
    finally:
        client.kill()
        client.wait()
        if any(of_lab(name)):
            ringwall("lab", "down", name, check=False)
    assert_nothing_left(name, before)


def test_up_after_a_killed_daemon_takes_up_the_same_cloud(labs):
    lab = labs.up(TABLE, "e2e-again")
    first = lab.status()
    before = processes_of("e2e-again")
    daemon = daemon_of("e2e-again")
    kill(daemon)
    # Its machines do not die with it, and nobody answers for it.
    until(lambda: not any(pid == daemon for pid, _ in processes_of("e2e-again")))
    assert len(processes_of("e2e-again")) == len(before) - 1
    # Its socket may close a moment later than the process goes.
    until(lambda: "does not answer" in ringwall("lab", "status", "e2e-again", check=False).stderr)
    assert "`ringwall lab down` removes what it left" in ringwall("lab", "status", "e2e-again", check=False).stderr
    ringwall("lab", "up", "--name", "e2e-again", TABLE)
    after = lab.status()
    assert [i["id"] for i in after["instances"]] == [i["id"] for i in first["instances"]]
    assert {p for p in before if p[0] != daemon} <= set(processes_of("e2e-again"))
    lab.exec("notebook", "ping", "-c", "1", "-W", "2", "10.210.7.14")


def test_a_machine_that_does_not_start_takes_the_lab_down(lab_file):
    image = """
    images:
      ami-00000000000000002:
        files: {/usr/share/e2e: not the machine's own}
    """
    file = lab_file(SMALL.replace("ami-00000000000000001", "ami-00000000000000002") + image)
    done = ringwall("lab", "up", file, check=False)
    assert done.returncode == 1
    assert "/usr/share/e2e is in no place of the machine's own" in done.stderr
    assert_nothing_left("e2e-small")


@pytest.mark.parametrize("files", [12, 16, 20, 24, 28])
def test_a_bring_up_that_runs_out_of_files_leaves_nothing(files):
    name = "e2e-files"
    script = f"ulimit -n {files}; exec {RINGWALL} lab up --name {name} {TABLE}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=120)
    try:
        assert done.returncode == 1
        assert done.stderr.startswith("ringwall: ")
    finally:
        if any(of_lab(name)):
            ringwall("lab", "down", name)
    assert_nothing_left(name)


def test_down_ends_machines_whose_namespaces_names_are_gone(labs, lab_file):
    lab = labs.up(lab_file(SMALL), "e2e-small")
    for machine in (lab.instance("machine"), lab.status()["hosts"][0]):
        lab.inside("ip", "netns", "delete", machine["machine"]["namespace"])
    labs.down()


@pytest.mark.root("nobody else can have a namespace among an ordinary user's")
def test_up_leaves_a_namespace_of_somebody_else_alone(labs, lab_file):
    foreign = "rw-e2e-small-outside"
    subprocess.run(["ip", "netns", "add", foreign], check=True)
    try:
        done = ringwall("lab", "up", "--name", "e2e-small", lab_file(SMALL), check=False)
        assert done.returncode == 1
        assert f"namespace {foreign} already" in done.stderr
        assert of_lab("e2e-small") == ([foreign], [])
    finally:
        subprocess.run(["ip", "netns", "delete", foreign], check=True)
