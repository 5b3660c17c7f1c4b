"""A machine that cannot be set up holds up nothing but itself, and says why."""

import json
import os
import signal

import pytest
from conftest import STATE, namespaces_of, ringwall, until
from endpoint import Serve, in_state, instance, network, run

IMAGE, BROKEN = "ami-00000000000000001", "ami-00000000000000002"
WHY = "/usr/share/e2e is in no place of the machine's own"

LAB = f"""
    name: e2e-failure
    cloud:
      region: eu-west-1
      template:
        Resources:
          Vpc: {{Type: AWS::EC2::VPC, Properties: {{CidrBlock: 10.50.0.0/16}}}}
          Subnet: {{Type: AWS::EC2::Subnet, Properties: {{VpcId: !Ref Vpc, CidrBlock: 10.50.0.0/24}}}}
          Machine:
            Type: AWS::EC2::Instance
            Properties:
              ImageId: {IMAGE}
              InstanceType: m4.large
              SubnetId: !Ref Subnet
              Tags: [{{Key: Name, Value: machine}}]
    images:
      {BROKEN}:
        files: {{/usr/share/e2e: not the machine's own}}
    internet: {{pool: 203.0.113.0/24}}
"""


class Endpoint(Serve):
    """The endpoint of a lab that is up."""

    def __init__(self, lab):
        super().__init__(lab.name)
        self.log.unlink()
        self.endpoint = lab.status()["endpoint"]

    @property
    def url(self):
        return f"http://{self.endpoint}"


def test_a_launch_that_fails_is_terminated_with_its_reason(labs, lab_file):
    file = lab_file(LAB)
    lab = labs.up(file, "e2e-failure")
    ec2 = Endpoint(lab).ec2()
    good = lab.instance("machine")["id"]
    subnet = instance(ec2, good)["SubnetId"]
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "broken"}]}]
    bad = ec2.run_instances(ImageId=BROKEN, MinCount=1, MaxCount=1, SubnetId=subnet, TagSpecifications=tags)
    bad = bad["Instances"][0]["InstanceId"]
    in_state(ec2, "terminated", bad)
    shown = instance(ec2, bad)
    assert shown["StateReason"] == {
        "Code": "Server.InternalError",
        "Message": "Server.InternalError: Internal error on launch",
    }
    assert shown["NetworkInterfaces"] == []
    # Why, for people.
    text = ringwall("lab", "status", lab.name).stdout
    assert "terminated (failed)" in text and f"{bad}: " in text and WHY in text
    until(lambda: not any(path.name.endswith(bad) for path in namespaces_of(lab.name)))
    # It is nobody to speak of, and a new one may have its name.
    assert lab.exec("broken", "true", check=False).returncode == 1
    ec2.create_tags(Resources=[good], Tags=[{"Key": "Name", "Value": "broken"}])
    assert lab.exec("broken", "hostname").stdout == lab.exec(good, "hostname").stdout
    # The lab is as its file says: the failed launch was not part of that.
    ringwall("lab", "up", "--name", lab.name, file)

    log = (STATE / lab.name / "daemon.log").read_text()
    assert log.count(WHY) <= 1
    os.kill(int((STATE / lab.name / "lock").read_text()), signal.SIGKILL)
    ringwall("lab", "up", "--name", lab.name, file)
    lab.exec(good, "true")
    assert instance(Endpoint(lab).ec2(), bad)["State"]["Name"] == "terminated"


def test_a_lab_whose_template_fails_names_the_machine_and_leaves_nothing(labs, lab_file):
    labs.names.append("e2e-failure")
    done = ringwall("lab", "up", lab_file(LAB.replace(f"ImageId: {IMAGE}", f"ImageId: {BROKEN}")), check=False)
    assert done.returncode == 1
    assert "(machine) could not be set up" in done.stderr and WHY in done.stderr
    assert not (STATE / "e2e-failure").exists()


@pytest.fixture
def cloud():
    serving = Serve("e2e-impaired")
    try:
        yield serving.start()
    finally:
        serving.down()


def checks(ec2, id):
    """The status of both checks, and what each says of reachability."""
    shown = ec2.describe_instance_status(InstanceIds=[id])["InstanceStatuses"][0]
    both = [shown["SystemStatus"], shown["InstanceStatus"]]
    assert [check["Details"][0]["Name"] for check in both] == ["reachability"] * 2
    return {(check["Status"], check["Details"][0]["Status"]) for check in both}


def fail(cloud, id):
    """Lets the machine fail: its init writes so when it cannot go on, and ends."""
    status = cloud.directory / "machines" / id / "status.json"
    draft = status.with_suffix(".e2e")
    draft.write_text(json.dumps({"state": "failed", "message": "it was told to"}))
    init = cloud.init(id)
    draft.rename(status)
    os.kill(init, signal.SIGKILL)


def test_an_instance_whose_machine_fails_is_impaired_until_it_is_asked_for_again(cloud):
    ec2 = cloud.ec2()
    net = network(ec2)
    one, other = run(ec2, net.subnet, net.group, count=2)
    ip = instance(ec2, one)["PrivateIpAddress"]
    assert checks(ec2, one) == {("ok", "passed")}

    def impaired():
        fail(cloud, one)
        until(lambda: checks(ec2, one) == {("impaired", "failed")})
        detail = ec2.describe_instance_status(InstanceIds=[one])["InstanceStatuses"][0]["SystemStatus"]["Details"][0]
        assert detail["ImpairedSince"].year > 2000
        assert instance(ec2, one)["State"]["Name"] == "running"
        filters = [{"Name": "instance-status.status", "Values": ["impaired"]}]
        found = ec2.describe_instance_status(Filters=filters)["InstanceStatuses"]
        assert [each["InstanceId"] for each in found] == [one]
        text = ringwall("lab", "status", cloud.name).stdout
        assert "running (failed)" in text and f"{one}: it was told to" in text
        # Others are well.
        assert checks(ec2, other) == {("ok", "passed")}
        assert cloud.exec(other, "true").returncode == 0
        assert cloud.exec(one, "true", check=False).returncode == 1

    def well():
        until(lambda: checks(ec2, one) == {("ok", "passed")})
        assert cloud.exec(one, "true").returncode == 0
        until(lambda: cloud.pings(other, ip))

    impaired()
    assert cloud.log.read_text().count("it was told to") == 1
    ec2.reboot_instances(InstanceIds=[one])
    well()
    impaired()
    ec2.stop_instances(InstanceIds=[one])
    in_state(ec2, "stopped", one)
    ec2.start_instances(InstanceIds=[one])
    in_state(ec2, "running", one)
    well()
    # What it stood on is made anew: perhaps it failed because that was taken away.
    impaired()
    cloud.inside("ip", "netns", "delete", cloud.namespace(one).name)
    well()
    # A new daemon tries it once more.
    impaired()
    cloud.restart()
    well()
