"""Ansible's `amazon.aws` modules build the reference network's cloud and tear it down; asked again they find nothing to
do. They come from PyPI, for Debian's are of another age than its boto3."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

import pypi
import pytest
from conftest import ROOT
from endpoint import in_state

CORE, COLLECTIONS = "2.15.13", "8.7.0"
KEPT = ROOT / "target" / f"ansible-{CORE}-{COLLECTIONS}"
OURS = "ansible_collections/amazon/aws/"
# Its modules are processes of their own, which must find Debian's boto3 and nothing of Ansible's: hence no PYTHONPATH.
PLAYBOOK = "import sys; sys.path.insert(0, sys.argv.pop(1)); from ansible.cli.playbook import main; main()"


@pytest.fixture(scope="module")
def ansible():
    """The directory with Ansible and the collection; of the many collections of one release, ours only."""
    if not KEPT.exists():
        KEPT.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT.parent) as directory:
            part = pathlib.Path(directory) / "part"
            pypi.pip("install", "--quiet", "--target", part, f"ansible-core=={CORE}")
            with zipfile.ZipFile(pypi.download(f"ansible=={COLLECTIONS}", pathlib.Path(directory))) as archive:
                archive.extractall(part, [name for name in archive.namelist() if name.startswith(OURS)])
            part.chmod(0o755)
            part.rename(KEPT)
    return KEPT


@pytest.fixture
def play(ansible, serve, tmp_path):
    """Plays a playbook, and tells how many of its tasks changed something."""
    environment = {
        **os.environ,
        **serve.environment,
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(ansible),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
    }
    variables = f"endpoint={serve.url} ansible_python_interpreter={sys.executable}"

    def play(name):
        book = ROOT / "e2e" / "ansible" / f"{name}.yml"
        playbook = [sys.executable, "-c", PLAYBOOK, ansible]
        command = [*playbook, "-i", "localhost,", "-c", "local", "-e", variables, book]
        played = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
        assert played.returncode == 0, played.stdout + played.stderr
        return int(re.search(r"changed=(\d+) ", played.stdout)[1])

    return play


def test_the_reference_network_comes_and_goes_and_twice_is_as_good_as_once(serve, play):
    ec2 = serve.ec2()
    assert play("build") > 0
    assert play("build") == 0
    (vpc,) = ec2.describe_vpcs()["Vpcs"]
    assert vpc["CidrBlock"] == "10.210.0.0/16"
    instances = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    assert {i["PrivateIpAddress"]: i["SourceDestCheck"] for i in instances} == {
        "10.210.216.13": False,
        "10.210.7.14": True,
    }
    in_state(ec2, "running", *(i["InstanceId"] for i in instances))
    (address,) = ec2.describe_addresses()["Addresses"]
    assert address["PrivateIpAddress"] == "10.210.216.13"
    routes = [route for table in ec2.describe_route_tables()["RouteTables"] for route in table["Routes"]]
    assert sum(route["DestinationCidrBlock"] == "0.0.0.0/0" for route in routes) == 2

    assert play("tear-down") > 0
    assert play("tear-down") == 0
    assert ec2.describe_vpcs()["Vpcs"] == ec2.describe_addresses()["Addresses"] == []
    assert ec2.describe_internet_gateways()["InternetGateways"] == []
