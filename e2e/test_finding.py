"""A cloud is found by its name, wherever it keeps its state."""

import os
import pathlib
import shutil
import signal
import tempfile

import pytest
from conftest import IS_ROOT, RINGWALL, STATE, ringwall, until
from endpoint import Serve, network, run


@pytest.fixture
def places():
    """Directories for states: the paths of control sockets may not be long."""
    with tempfile.TemporaryDirectory(prefix="e2e-", dir="/tmp") as directory:
        yield pathlib.Path(directory)


@pytest.fixture
def clouds(places):
    """Makes clouds with their state somewhere else than usual, and ends them."""
    made = []

    def cloud(name, place="here"):
        (places / place).mkdir(exist_ok=True)
        made.append(Serve(name, places / place / name))
        return made[-1]

    yield cloud
    for serving in made:
        if serving.process is not None:
            serving.process.kill()
            serving.process.wait()
        if serving.directory.exists():
            ringwall("lab", "down", serving.directory)
        if serving.log.exists():
            serving.log.unlink()
    for serving in made:
        assert not serving.directory.exists() and links(serving.name) == []


def links(name):
    """What in the labs' directory leads to a cloud elsewhere."""
    return sorted(entry.name for entry in STATE.glob(f"{name}.*"))


def test_a_cloud_elsewhere_is_found_by_its_name(clouds):
    cloud = clouds("e2e-elsewhere").start()
    ec2 = cloud.ec2()
    net = network(ec2)
    one = run(ec2, net.subnet, net.group)
    assert cloud.status()["name"] == "e2e-elsewhere"
    assert cloud.exec(one, "hostname").stdout == "ip-10-60-0-4\n"
    assert cloud.explain(one, "10.60.0.1")[0]["packet"]
    # By its directory too.
    assert ringwall("lab", "status", "--json", cloud.directory).stdout
    done = ringwall("lab", "status", cloud.directory.parent / "nothing", check=False)
    assert done.returncode == 1 and f"no lab keeps its state in {cloud.directory.parent}/nothing" in done.stderr

    cloud.kill()
    done = ringwall("lab", "status", cloud.name, check=False)
    assert done.returncode == 1 and "does not answer" in done.stderr
    cloud.start()
    assert links(cloud.name) == ["e2e-elsewhere.1"]
    assert cloud.exec(one, "true").returncode == 0
    ringwall("lab", "down", cloud.name)
    # The directory above is not ours to remove, although it is empty now.
    assert not cloud.directory.exists() and cloud.directory.parent.exists()
    assert links(cloud.name) == []


def test_a_cloud_whose_directory_was_removed_is_forgotten(clouds):
    cloud = clouds("e2e-lost").start()
    assert links(cloud.name) == ["e2e-lost.1"]
    kept = cloud.directory.with_suffix(".kept")
    cloud.directory.rename(kept)
    done = ringwall("lab", "status", cloud.name, check=False)
    assert done.returncode == 1 and "no lab `e2e-lost` is up" in done.stderr
    assert links(cloud.name) == []
    # And known again when it comes back.
    kept.rename(cloud.directory)
    cloud.restart()
    assert cloud.status()["name"] == "e2e-lost"


def test_two_clouds_of_one_name(clouds):
    one, two = clouds("e2e-twin", "one").start(), clouds("e2e-twin", "two")
    if IS_ROOT:
        # They would have the same namespaces.
        two.spawn()
        assert two.process.wait(20) == 1
        said = two.log.read_text()
        assert "a cloud `e2e-twin` is up already" in said and str(one.directory) in said
        assert not two.directory.exists()
        return
    two.start()
    done = ringwall("lab", "status", "e2e-twin", check=False)
    assert done.returncode == 1 and "name one of them by its directory" in done.stderr
    nameless = ringwall("lab", "status", check=False)
    for cloud in (one, two):
        assert str(cloud.directory) in done.stderr and str(cloud.directory) in nameless.stderr
        listed = ringwall("enter", "--lab", cloud.directory, "--", "ip", "netns").stdout
        assert "rw-e2e-twin-fabric" in listed
    ringwall("lab", "down", one.directory)
    assert two.status()["name"] == "e2e-twin"


def test_a_directory_that_is_something_elses_is_left_alone(clouds):
    cloud = clouds("e2e-foreign")
    cloud.directory.mkdir()
    letter = cloud.directory / "letter"
    letter.write_text("dear")
    cloud.spawn()
    assert cloud.process.wait(20) == 1
    assert f"{cloud.directory} is not empty" in cloud.log.read_text()
    assert [path.name for path in cloud.directory.iterdir()] == ["letter"] and links(cloud.name) == []
    shutil.rmtree(cloud.directory)


@pytest.mark.skipif(IS_ROOT, reason="root is outside and inside at once")
def test_the_shell_inside_finds_what_is_found_outside(clouds):
    one, two = clouds("e2e-inside").start(), clouds("e2e-other").start()
    ec2 = one.ec2()
    net = network(ec2)
    id = run(ec2, net.subnet, net.group)

    def inside(*command, check=True):
        return ringwall("enter", "--lab", one.name, "--", RINGWALL, *command, check=check)

    assert inside("lab", "status", one.name).stdout == ringwall("lab", "status", one.name).stdout
    assert inside("exec", "--lab", one.name, id, "--", "hostname").stdout == "ip-10-60-0-4\n"
    assert inside("explain", "--lab", one.name, "--proto", "icmp", id, "10.60.0.1", check=False).stdout
    several = inside("lab", "status", check=False)
    assert several.returncode == 1 and "e2e-inside, e2e-other" in several.stderr
    # The other one's namespaces are not in here; what it tells is.
    assert inside("lab", "status", two.name).returncode == 0
    for command in (["enter", "--lab", two.name, "--", "true"], ["lab", "down", two.name], ["serve"]):
        refused = inside(*command, check=False)
        assert refused.returncode == 1 and "cannot be reached from this shell" in refused.stderr, refused.stderr
    assert two.status()["name"] == two.name
    # Its own daemon may be started again from inside.
    one.kill()
    done = inside("lab", "down", one.name)
    assert "lab e2e-inside is down" in done.stdout


def test_a_killed_daemon_is_still_the_only_one(clouds):
    """Only where nothing else is up: the commands name no lab."""
    if [entry for entry in STATE.glob("*")]:
        pytest.skip("other labs are up on this machine")
    cloud = clouds("e2e-only").start()
    assert ringwall("lab", "status", "--json").stdout
    os.kill(cloud.process.pid, signal.SIGKILL)
    cloud.process.wait()
    until(lambda: "does not answer" in ringwall("lab", "status", check=False).stderr)
    cloud.start()
    assert "lab e2e-only" in ringwall("lab", "status").stdout
