"""`apply`: a template, again and again, is what packets meet."""

import json
import os
import signal
import subprocess
import threading

import boto3
import pytest
from conftest import RINGWALL, ROOT, ringwall, until
from endpoint import Serve, instance

NETWORK = ROOT / "labs" / "templates" / "network.cfn.yaml"
SERVER = "10.80.0.10"


@pytest.fixture
def cloud():
    """A cloud of this test's own."""
    serve = Serve("e2e-apply")
    try:
        yield serve.start()
    finally:
        serve.down()


def apply(cloud, template=NETWORK, *flags, check=True, **parameters):
    """What was done, and the outputs; or what was said against it."""
    given = [f"--parameter={name}={value}" for name, value in parameters.items()]
    named = [template] if template else []
    done = ringwall("apply", "--lab", cloud.name, "--json", *named, *flags, *given, check=check)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


def deeds(report):
    return {done["logical"]: done["deed"] for done in report["done"]}


def fetch(cloud, who, port):
    url = f"http://{SERVER}:{port}/"
    return cloud.exec(who, "curl", "-sS", "-m", "2", url, check=False).stdout.strip()


def answers(cloud, who, port):
    """The web server's answer, once it runs: user data start it after the instance."""
    return until(lambda: fetch(cloud, who, port))


def everything(ec2):
    """What the API shows that a stack can leave behind."""
    vpcs = [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]]
    reservations = ec2.describe_instances()["Reservations"]
    instances = [i["InstanceId"] for r in reservations for i in r["Instances"] if i["State"]["Name"] != "terminated"]
    gateways = [g for g in ec2.describe_nat_gateways()["NatGateways"] if g["State"] != "deleted"]
    others = [
        ec2.describe_subnets()["Subnets"],
        ec2.describe_network_interfaces()["NetworkInterfaces"],
        ec2.describe_security_groups()["SecurityGroups"],
        ec2.describe_addresses()["Addresses"],
        ec2.describe_key_pairs()["KeyPairs"],
        ec2.describe_route_tables()["RouteTables"],
        ec2.describe_internet_gateways()["InternetGateways"],
        [l for l in ec2.describe_managed_prefix_lists()["PrefixLists"] if l["OwnerId"] != "AWS"],
    ]
    return [vpcs, instances, gateways, *others]


def test_a_stack_of_more_than_forty_resources_is_made_changed_and_deleted(cloud, tmp_path):
    ec2 = cloud.ec2()
    made = apply(cloud)
    assert len(made["done"]) == 43 and set(deeds(made).values()) == {"created"}
    assert made["trouble"] == [] and made["outputs"]["Account"] == "000000000000/eu-west-1"
    server = made["outputs"]["Server"]
    assert answers(cloud, "client-a", 80) == "hello from network"
    assert answers(cloud, "client-b", 8080) == "hello from network"
    # Only the clients' group may use the second port.
    assert fetch(cloud, "client-a", 8081) == ""
    shown = instance(ec2, server)
    assert (shown["State"]["Name"], shown["KeyName"], shown["InstanceType"]) == ("running", "network-key", "t3.micro")
    assert [i["Attachment"]["DeviceIndex"] for i in shown["NetworkInterfaces"]] == [0, 1]

    again = apply(cloud)
    assert again["done"] == [] and again["outputs"] == made["outputs"]
    assert "no changes" in ringwall("apply", "--lab", cloud.name, NETWORK).stdout

    # The server is replaced, since its user data change; the rest stays where it is.
    changed = apply(cloud, Way="instance", Ports="80,8081", Greeting="servus")
    assert deeds(changed) == {
        "NatInstance": "created",
        "PrivateRoute": "updated",
        "WebFromClients": "replaced",
        "Server": "replaced",
        "WebInterfaceAttachment": "replaced",
        "Nat": "deleted",
        "NatAddress": "deleted",
    }
    assert answers(cloud, "client-a", 8081) == "servus from network"
    assert not cloud.namespace(server).exists()
    until(lambda: instance(ec2, server)["State"]["Name"] == "terminated")
    assert changed["outputs"]["ServerAddress"] == SERVER

    # A rule that goes stops packets at once, and the instance stays.
    closed = NETWORK.read_text().replace("ToPort: !Select [0, !Ref Ports], CidrIp", "ToPort: 443, CidrIp")
    closed = closed.replace("FromPort: !Select [0, !Ref Ports]", "FromPort: 443")
    path = tmp_path / "closed.cfn.yaml"
    path.write_text(closed)
    assert deeds(apply(cloud, path, "--stack", "network")) == {"Web": "updated"}
    assert fetch(cloud, "client-a", 80) == "" and fetch(cloud, "client-a", 8081) == "servus from network"

    before = everything(ec2)
    assert len(before[1]) == 4
    gone = apply(cloud, None, "--stack", "network", "--delete")
    assert set(deeds(gone).values()) == {"deleted"} and len(gone["done"]) == 42
    assert everything(ec2) == [[]] * 11
    assert [i["id"] for i in cloud.status()["instances"]] == []
    assert "there is no stack" in apply(cloud, None, "--stack", "network", "--delete", check=False)


def test_what_is_refused_half_way_leaves_nothing(cloud, tmp_path):
    ec2 = cloud.ec2()
    bad = tmp_path / "network.cfn.yaml"
    text = NETWORK.read_text()
    bad.write_text(text.replace("CidrBlock: 10.82.0.0/28", "CidrBlock: 10.83.0.0/28"))
    line = 1 + text[: text.index("CidrBlock: 10.82.0.0/28")].count("\n")
    refused = apply(cloud, bad, check=False)
    assert f"{bad}:{line}:" in refused and "InvalidSubnet.Range" in refused
    assert everything(ec2) == [[]] * 11

    # The same of a change: the first resources of it were in order.
    apply(cloud)
    before = everything(ec2)
    refused = apply(cloud, bad, check=False, Way="instance", Size="large")
    assert "InvalidSubnet.Range" in refused
    assert everything(ec2) == before
    assert apply(cloud)["done"] == []
    unknown = tmp_path / "unknown.yaml"
    unknown.write_text("Resources:\n  Zone:\n    Type: AWS::Route53::HostedZone\n")
    assert f"{unknown}:3:11: resource type `AWS::Route53::HostedZone`" in apply(cloud, unknown, check=False)


def test_a_daemon_that_is_killed_knows_its_stack_or_has_none(cloud):
    """Wherever the daemon dies, the record and what stands fit together: what is applied again settles it."""
    ec2 = cloud.ec2()
    for turn in range(6):
        way = ["gateway", "instance"][turn % 2]
        command = [RINGWALL, "apply", "--lab", cloud.name, NETWORK, f"--parameter=Way={way}"]
        client = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        timer = threading.Timer(0.004 * turn, os.kill, (cloud.process.pid, signal.SIGKILL))
        timer.start()
        client.wait(60)
        timer.join()
        cloud.process.wait()
        cloud.start()
        vpcs = len(everything(ec2)[0])
        assert vpcs in (0, 2)
        apply(cloud, Way=way)
        assert len(everything(ec2)[0]) == 2, "nothing was made twice"
        assert apply(cloud, Way=way)["done"] == []
        assert answers(cloud, "client-a", 80) == "hello from network"
    apply(cloud, None, "--stack", "network", "--delete")
    assert everything(ec2) == [[]] * 11


def test_a_lab_has_stacks_too_and_its_account_is_the_one_in_use(labs, lab_file):
    template = lab_file(
        """
        {"Parameters": {"Network": {"Type": "String"}},
         "Resources": {
           "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": {"Ref": "Network"}}},
           "Key": {"Type": "AWS::EC2::EIP"}},
         "Outputs": {
           "Who": {"Value": {"Fn::Sub": "${AWS::StackName} ${AWS::AccountId} ${AWS::Region}"}},
           "Id": {"Value": {"Ref": "AWS::StackId"}}}}
        """,
        "more.json",
    )
    file = lab_file(
        """
        name: x
        cloud:
          region: us-east-2
          account: "123456789012"
          parameters: {Network: 10.1.0.0/16}
          template: more.json
        internet: {pool: 203.0.113.0/29}
        """
    )
    lab = labs.up(file, "e2e-apply-lab")
    own = apply(lab, template, "--stack", "second", Network="10.2.0.0/16")
    assert own["outputs"]["Who"] == "second 123456789012 us-east-2"
    assert own["outputs"]["Id"].startswith("arn:aws:cloudformation:us-east-2:123456789012:stack/second/")
    elsewhere = apply(lab, template, "--stack", "second", "--region", "eu-west-3", Network="10.2.0.0/16")
    assert elsewhere["outputs"]["Who"] == "second 123456789012 eu-west-3"

    # Unsigned requests are the lab's owner's, and all regions share the pool.
    url = f"http://{lab.status()['endpoint']}"
    session = boto3.session.Session(aws_access_key_id="any", aws_secret_access_key="any")
    sts = session.client("sts", region_name="us-east-2", endpoint_url=url)
    assert sts.get_caller_identity()["Account"] == "123456789012"
    addresses = []
    for region, networks in [("us-east-2", ["10.1.0.0/16", "10.2.0.0/16"]), ("eu-west-3", ["10.2.0.0/16"])]:
        ec2 = session.client("ec2", region_name=region, endpoint_url=url)
        assert sorted(vpc["CidrBlock"] for vpc in ec2.describe_vpcs()["Vpcs"]) == networks
        addresses += [address["PublicIp"] for address in ec2.describe_addresses()["Addresses"]]
    assert sorted(addresses) == ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
