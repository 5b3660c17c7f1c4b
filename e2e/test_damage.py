"""What happens to the daemon's surroundings is repaired or said, and leaves nothing half done."""

import contextlib
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess

import botocore.exceptions
import pytest
from conftest import namespaces_of, processes, until
from endpoint import Serve, in_state, instance, network, run


@pytest.fixture
def spare():
    """A daemon of the test's own that is not started yet."""
    serving = Serve("e2e-spare")
    try:
        yield serving
    finally:
        serving.down()


def refuses(serve, *words, timeout=15):
    """The daemon does not start, and says why in one line."""
    serve.spawn()
    code = serve.process.wait(timeout)
    said = serve.log.read_text()
    assert code == 1, said
    for word in words:
        assert word in said
    assert "panicked" not in said
    return said


# --- how it is started ---


@pytest.mark.parametrize("address", ["0.0.0.0:4566", "192.0.2.1:4566", "[::]:4566"])
def test_it_does_not_listen_to_others(spare, address):
    command = [*spare.command[:2], "--listen", address, *spare.command[4:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1 and "is not a loopback address" in done.stderr
    assert not spare.directory.exists()


def test_a_port_that_is_taken(spare):
    with socket.create_server(("127.0.0.1", spare.port)):
        refuses(spare, f"cannot listen on 127.0.0.1:{spare.port}", "in use")
    assert not spare.directory.exists()


def test_two_daemons_on_one_directory(spare):
    ec2 = spare.start().ec2()
    net = network(ec2, public=False)
    second = Serve(spare.name)
    try:
        refuses(second, "another daemon is using", str(spare.directory))
    finally:
        second.log.unlink()
    assert ec2.describe_vpcs(VpcIds=[net.vpc])["Vpcs"]


def test_a_name_that_no_cloud_can_have(tmp_path):
    serving = Serve("e2e-spare", tmp_path / "Not A Name")
    try:
        refuses(serving, "`Not A Name`")
    finally:
        serving.log.unlink()


# --- the state directory ---


def fill(path):
    """Writes a file until there is no space left."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(file, bytes(size))
    finally:
        os.close(file)


@contextlib.contextmanager
def mounted(serve, options):
    """A file system of its own in place of a state directory; what is in it at the end stays there without it."""
    directory = serve.directory
    directory.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "e2e", directory], check=True)
    try:
        yield
    finally:
        serve.kill()
        kept = pathlib.Path(f"{directory}.kept")
        subprocess.run(["cp", "-a", directory, kept], check=True)
        subprocess.run(["umount", "-l", directory], check=True)
        directory.rmdir()
        kept.rename(directory)


@pytest.mark.root("it mounts a file system")
def test_a_full_disk(spare):
    with mounted(spare, "size=2m"):
        ec2 = spare.start().ec2()
        net = network(ec2)
        one = run(ec2, net.subnet, net.group)
        ballast = spare.directory / "ballast"
        fill(ballast)
        # What was allocated to the write-ahead log may take a few more.
        acknowledged, error = [], None
        for number in range(2000):
            try:
                made = ec2.create_security_group(VpcId=net.vpc, GroupName=f"full-{number}", Description="x" * 200)
                acknowledged.append(made["GroupId"])
            except botocore.exceptions.ClientError as refusal:
                error = refusal.response
                break
        assert error["Error"]["Code"] == "Unavailable" and error["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert "no space is left" in error["Error"]["Message"]
        # It still answers, and packets go their ways.
        assert groups(ec2, net) >= set(acknowledged)
        assert len(groups(ec2, net)) == len(acknowledged) + 2
        assert spare.pings(one, "10.60.0.1") in (True, False)
        assert instance(ec2, one)["State"]["Name"] == "running"
        # A refused change is not there, also after a death on the full disk.
        before = groups(ec2, net)
        spare.kill()
        ballast.unlink()
        ec2 = spare.start().ec2()
        assert groups(ec2, net) == before
        # And with space writing goes on, without a restart.
        fill(ballast)
        with contextlib.suppress(botocore.exceptions.ClientError):
            for number in range(2000):
                ec2.create_security_group(VpcId=net.vpc, GroupName=f"again-{number}", Description="x" * 200)
        ballast.unlink()
        ec2.create_security_group(VpcId=net.vpc, GroupName="after", Description="there is space")
        ec2.stop_instances(InstanceIds=[one])
        in_state(ec2, "stopped", one)
    ec2 = spare.start().ec2()
    assert instance(ec2, one)["State"]["Name"] == "stopped"


def groups(ec2, net):
    pages = ec2.get_paginator("describe_security_groups").paginate(
        Filters=[{"Name": "vpc-id", "Values": [net.vpc]}], PaginationConfig={"PageSize": 1000}
    )
    return {group["GroupId"] for page in pages for group in page["SecurityGroups"]}


@pytest.mark.root("it mounts a file system")
def test_a_start_on_a_full_disk(spare):
    with mounted(spare, "size=64k"):
        refuses(spare, "space", timeout=60)
        assert namespaces_of(spare.name) == []


@pytest.mark.root("it mounts a file system")
def test_a_read_only_state_directory(spare):
    ec2 = spare.start().ec2()
    net = network(ec2)
    one = run(ec2, net.subnet, net.group)
    spare.kill()
    with mounted_copy(spare.directory):
        refuses(spare, "Read-only file system")
    # What stood is not taken away because a restart failed.
    assert spare.namespace(one).exists()
    spare.start()
    assert instance(spare.ec2(), one)["State"]["Name"] == "running"


@contextlib.contextmanager
def mounted_copy(directory):
    """The directory as it is, but read-only."""
    subprocess.run(["mount", "--bind", directory, directory], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", directory], check=True)
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


def test_a_state_file_of_a_newer_version(spare):
    ec2 = spare.start().ec2()
    net = network(ec2)
    one = run(ec2, net.subnet, net.group)
    spare.kill()
    version = set_version(spare.directory, 4711)
    refuses(spare, "4711", "newer", timeout=60)
    assert spare.namespace(one).exists()
    set_version(spare.directory, version)
    spare.start()
    assert spare.exec(one, "true").returncode == 0


def set_version(directory, version):
    """Writes another version into the state file; gives the one that was there."""
    with contextlib.closing(sqlite3.connect(directory / "state.db")) as file:
        (before,) = file.execute("PRAGMA user_version").fetchone()
        file.execute(f"PRAGMA user_version = {version}")
        file.commit()
    return before


def test_a_damaged_state_file(spare):
    spare.start()
    network(spare.ec2())
    spare.kill()
    database = spare.directory / "state.db"
    kept = {path: path.read_bytes() for path in spare.directory.glob("state.db*")}
    database.write_bytes(b"something else entirely" * 500)
    refuses(spare, "state.db", "is not a state file", timeout=60)
    for path, content in kept.items():
        path.write_bytes(content)
    spare.start()


# --- what stands in the kernel ---


@pytest.fixture(scope="module")
def ec2(serve):
    return serve.ec2()


@pytest.fixture(scope="module")
def pair(ec2):
    net = network(ec2)
    one, two = run(ec2, net.subnet, net.group, count=2)
    return one, two, instance(ec2, two)["PrivateIpAddress"]


@pytest.fixture
def healthy(serve, pair):
    one, two, ip = pair
    until(lambda: serve.pings(one, ip), timeout=10)
    yield pair
    # Whatever was done, packets flow again within seconds, from the restored machine too.
    until(lambda: serve.pings(one, ip), timeout=10)


def ip_link_delete(serve, namespace, link):
    serve.inside("ip", "-n", namespace, "link", "delete", link)


def test_a_deleted_port_comes_back(serve, healthy):
    _, two, _ = healthy
    ip_link_delete(serve, f"rw-{serve.name}-fabric", serve.instance(two)["port"])


def test_a_deleted_interface_of_an_instance_comes_back(serve, healthy):
    _, two, _ = healthy
    ip_link_delete(serve, serve.namespace(two).name, "eth0")


def test_a_link_that_was_set_down_comes_up(serve, healthy):
    _, two, _ = healthy
    fabric = f"rw-{serve.name}-fabric"
    serve.inside("ip", "-n", fabric, "link", "set", serve.instance(two)["port"], "down")


def test_a_deleted_link_to_the_services_comes_back(serve, healthy):
    one, _, _ = healthy
    ip_link_delete(serve, f"rw-{serve.name}-fabric", "services0")
    fetch = ["curl", "-sS", "-m", "1", "-f", "http://169.254.169.254/latest/meta-data/instance-id"]
    until(lambda: serve.exec(one, *fetch, check=False).stdout == one, timeout=10)


def test_an_unmounted_namespace_of_an_instance_is_made_anew(serve, ec2, healthy):
    _, two, _ = healthy
    serve.inside("ip", "netns", "delete", serve.namespace(two).name)
    until(lambda: serve.namespace(two).exists(), timeout=10)
    until(lambda: serve.exec(two, "hostname", check=False).returncode == 0, timeout=10)
    # The machine that lost its name is not left over beside the new one.
    until(lambda: len(inits(serve, two)) == 1, timeout=15)


def test_the_namespaces_of_fabric_and_services_are_made_anew(serve, healthy):
    one, _, ip = healthy
    for name in ("services", "fabric"):
        serve.inside("ip", "netns", "delete", f"rw-{serve.name}-{name}")
        until(lambda: (serve.namespace(one).parent / f"rw-{serve.name}-{name}").exists(), timeout=10)
        until(lambda: serve.pings(one, ip), timeout=10)
    fetch = ["curl", "-sS", "-m", "1", "-f", "http://169.254.169.254/latest/meta-data/instance-id"]
    until(lambda: serve.exec(one, *fetch, check=False).stdout == one, timeout=10)


def inits(serve, id):
    """The processes that are an instance's init."""
    mark = f"{serve.directory}/machines/{id}/"
    return [pid for (pid, _), (_, line) in processes().items() if "machine-init" in line and mark in line]


def test_an_init_that_is_killed_is_started_again(serve, ec2, healthy):
    _, two, _ = healthy
    init = serve.init(two)
    os.kill(init, signal.SIGKILL)
    until(lambda: inits(serve, two) not in ([], [init]), timeout=10)
    assert instance(ec2, two)["State"]["Name"] == "running"
