"""`serve`: what the ordinary AWS clients ask for is what packets do."""

import json
import subprocess

import pytest
from conftest import ROOT, processes, until
from endpoint import EVERYWHERE, ENVIRONMENT, in_state, instance, network, refused, run, terminate

SCRIPTS = ROOT / "labs" / "ucs-test" / "aws"
METADATA = "http://169.254.169.254/latest"


@pytest.fixture(scope="module")
def ec2(serve):
    return serve.ec2()


@pytest.fixture(scope="module")
def net(ec2):
    """A VPC that the tests of this module share."""
    return network(ec2)


@pytest.fixture
def launch(ec2, net):
    """Launches instances, and terminates them when the test is over."""
    launched = []

    def launch(*groups, subnet=net.subnet, **options):
        ids = run(ec2, subnet, *(groups or [net.group]), **options)
        launched.extend([ids] if isinstance(ids, str) else ids)
        return ids

    yield launch
    if launched:
        terminate(ec2, *launched)


def metadata(serve, who, item):
    """What the metadata service says, or None where it has no such item."""
    script = f"""
        token=$(curl -sS -m 3 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' {METADATA}/api/token)
        curl -sS -m 3 -f -H "X-aws-ec2-metadata-token: $token" {METADATA}/{item}
    """
    done = serve.sh(who, script, check=False)
    assert done.returncode in (0, 22), done.stderr
    return done.stdout if done.returncode == 0 else None


def address(ec2, id):
    return instance(ec2, id)["PrivateIpAddress"]


# --- the reference network, by the AWS command line interface ---


def script(serve, name, **options):
    done = subprocess.run(
        [SCRIPTS / name], env=serve.environment, capture_output=True, text=True, timeout=180, check=False, **options
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_scripts_build_the_reference_network_and_tear_it_down_to_nothing(serve, ec2):
    before = everything(ec2)
    out = script(serve, "build")
    ids = dict(line.split("=", 1) for line in out.splitlines())
    test, nat = ids["TEST"], ids["NAT"]
    states = {instance(ec2, id)["State"]["Name"] for id in (test, nat)}
    assert states == {"running"}

    # Packets: both ways between the two, by id and by name; and only what the groups allow.
    assert serve.pings(test, "10.210.216.13") and serve.pings("nat", "10.210.7.14")
    assert serve.exec("test", "hostname").stdout == "ip-10-210-7-14\n"
    with serve.python_background(
        test, "import socket; s = socket.create_server(('', 8080)); s2 = socket.create_server(('', 22)); s.accept()"
    ):
        serve.wait_for_port(test, 22)
        connect = "timeout 2 bash -c 'exec 3<>/dev/tcp/10.210.7.14/{}'"
        assert serve.sh(nat, connect.format(22), check=False).returncode == 0
        assert serve.sh(nat, connect.format(8080), check=False).returncode == 124
    for source, destination, protocol, answered in [
        (test, "10.210.216.13", "icmp", True),
        ("nat", "10.210.7.14", "icmp", True),
        ("nat", "10.210.7.14:22", "tcp", True),
        ("nat", "10.210.7.14:8080", "tcp", False),
    ]:
        explanation, code = serve.explain(source, destination, "--proto", protocol)
        assert (code == 0) == answered, explanation
    # What the test machine sends to the world arrives at the NAT instance, whose source check is off.
    with serve.capture("nat", "eth0", "icmp and dst host 192.0.2.80") as capture:
        serve.exec(test, "ping", "-c", "1", "-W", "1", "192.0.2.80", check=False)
        until(lambda: ("10.210.7.14", "192.0.2.80") in capture.addresses)

    public = ec2.describe_addresses(AllocationIds=[ids["ADDRESS"]])["Addresses"][0]
    assert metadata(serve, nat, "meta-data/public-ipv4") == public["PublicIp"]
    assert metadata(serve, test, "meta-data/public-ipv4") is None
    for id, ip in ((test, "10.210.7.14"), (nat, "10.210.216.13")):
        assert metadata(serve, id, "meta-data/instance-id") == id
        assert metadata(serve, id, "meta-data/local-ipv4") == ip
    assert metadata(serve, test, "meta-data/instance-type") == "m4.large"

    script(serve, "tear-down", input=out)
    assert everything(ec2) == before
    for id in (test, nat):
        assert instance(ec2, id)["State"]["Name"] == "terminated"
        assert not serve.namespace(id).exists()
        assert not (serve.directory / "machines" / id).exists()
    assert not [line for _, line in processes().values() if test in line or nat in line]
    assert serve.exec(test, "true", check=False).returncode == 1


def test_tear_down_without_the_list_says_so(serve):
    done = subprocess.run(
        [SCRIPTS / "tear-down"], env=serve.environment, input="", capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "standard input" in done.stderr


def everything(ec2):
    """The ids of all that there is, but for instances that are no more."""
    found = {
        "VpcId": ec2.describe_vpcs()["Vpcs"],
        "SubnetId": ec2.describe_subnets()["Subnets"],
        "InternetGatewayId": ec2.describe_internet_gateways()["InternetGateways"],
        "RouteTableId": ec2.describe_route_tables()["RouteTables"],
        "GroupId": ec2.describe_security_groups()["SecurityGroups"],
        "SecurityGroupRuleId": ec2.describe_security_group_rules()["SecurityGroupRules"],
        "NetworkInterfaceId": ec2.describe_network_interfaces()["NetworkInterfaces"],
        "AllocationId": ec2.describe_addresses()["Addresses"],
    }
    instances = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    found["InstanceId"] = [i for i in instances if i["State"]["Name"] != "terminated"]
    return {key: {each[key] for each in all} for key, all in found.items()}


# --- the life of an instance ---


def test_user_data_runs_as_given(serve, launch):
    one = launch(UserData="#!/bin/bash\necho \"$0 says hello\" >/run/hello\n")
    until(lambda: serve.sh(one, "cat /run/hello", check=False).stdout.endswith("says hello\n"))
    assert metadata(serve, one, "user-data") == "#!/bin/bash\necho \"$0 says hello\" >/run/hello\n"
    other = launch()
    assert metadata(serve, other, "user-data") is None


def test_stop_and_start(serve, ec2, net, launch):
    peer = launch()
    one = launch(UserData="#!/bin/bash\nsleep 4321 &\n")
    ip, mac = address(ec2, one), instance(ec2, one)["NetworkInterfaces"][0]["MacAddress"]
    until(lambda: "sleep 4321" in serve.exec(one, "ps", "ax").stdout)
    init = serve.init(one)
    assert serve.pings(peer, ip)

    turn = ec2.stop_instances(InstanceIds=[one])["StoppingInstances"][0]
    assert (turn["PreviousState"]["Name"], turn["CurrentState"]["Name"]) == ("running", "stopping")
    in_state(ec2, "stopped", one)
    # The state is told when the machine is gone.
    assert not any(pid == init for pid, _ in processes())
    assert not [line for _, line in processes().values() if "sleep 4321" in line]
    until(lambda: not serve.namespace(one).exists())
    assert not serve.pings(peer, ip)
    with refused("IncorrectInstanceState"):
        ec2.reboot_instances(InstanceIds=[one])

    turn = ec2.start_instances(InstanceIds=[one])["StartingInstances"][0]
    assert (turn["PreviousState"]["Name"], turn["CurrentState"]["Name"]) == ("stopped", "pending")
    in_state(ec2, "running", one)
    assert address(ec2, one) == ip
    assert instance(ec2, one)["NetworkInterfaces"][0]["MacAddress"] == mac
    until(lambda: serve.pings(peer, ip))
    assert serve.init(one) != init


def test_reboot(serve, ec2, launch):
    peer, one = launch(count=2)
    ip = address(ec2, one)
    serve.sh(one, "touch /run/before; sleep 4322 >/dev/null 2>&1 &")
    init, namespace = serve.init(one), serve.namespace(one).stat().st_ino
    ec2.reboot_instances(InstanceIds=[one])
    until(lambda: not any(pid == init for pid, _ in processes()))
    until(lambda: serve.sh(one, "test ! -e /run/before", check=False).returncode == 0)
    assert "sleep 4322" not in serve.exec(one, "ps", "ax").stdout
    assert instance(ec2, one)["State"]["Name"] == "running"
    assert serve.namespace(one).stat().st_ino == namespace
    until(lambda: serve.pings(peer, ip))


def test_terminate(serve, ec2, net, launch):
    peer = launch()
    kept = ec2.create_network_interface(SubnetId=net.subnet, Groups=[net.group])["NetworkInterface"]
    one = ec2.run_instances(
        ImageId="ami-00000000000000001",
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": kept["NetworkInterfaceId"]}],
    )["Instances"][0]["InstanceId"]
    other = launch()
    gone = instance(ec2, other)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    in_state(ec2, "running", one)
    assert serve.pings(peer, kept["PrivateIpAddress"])
    inits = {serve.init(one), serve.init(other)}
    turns = ec2.terminate_instances(InstanceIds=[one, other])["TerminatingInstances"]
    assert {turn["CurrentState"]["Name"] for turn in turns} == {"shutting-down"}
    in_state(ec2, "terminated", one, other)
    assert not {pid for pid, _ in processes()} & inits
    until(lambda: not serve.namespace(one).exists() and not serve.namespace(other).exists())
    assert not serve.pings(peer, kept["PrivateIpAddress"])
    # An interface that was there before stays; the instance's own goes.
    with refused("InvalidNetworkInterfaceID.NotFound"):
        ec2.describe_network_interfaces(NetworkInterfaceIds=[gone])
    id = kept["NetworkInterfaceId"]
    assert ec2.describe_network_interfaces(NetworkInterfaceIds=[id])["NetworkInterfaces"][0]["Status"] == "available"
    ec2.delete_network_interface(NetworkInterfaceId=id)
    with refused("IncorrectInstanceState"):
        ec2.start_instances(InstanceIds=[one])


def test_many_instances_answer_each_other(serve, ec2, launch):
    ids = launch(count=8)
    ips = [address(ec2, id) for id in ids]
    assert len(set(ips)) == 8
    loop = "for ip in {}; do ping -c 1 -W 2 $ip >/dev/null && echo $ip; done"
    for id in (ids[0], ids[-1]):
        assert serve.sh(id, loop.format(" ".join(ips))).stdout.split() == ips


# --- what changes under packets ---


def test_a_rule_counts_at_once(serve, ec2, net, launch):
    group = ec2.create_security_group(VpcId=net.vpc, GroupName="changing", Description="changes")["GroupId"]
    closed, peer = launch(group), launch()
    ip = address(ec2, closed)
    rule = [{"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": EVERYWHERE}]
    for _ in range(3):
        assert not serve.pings(peer, ip)
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rule)
        until(lambda: serve.pings(peer, ip), timeout=3)
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=rule)
        until(lambda: not serve.pings(peer, ip), timeout=3)
    # And when an interface gets other groups.
    eni = instance(ec2, closed)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=[net.group])
    until(lambda: serve.pings(peer, ip), timeout=3)


def test_a_group_admits_the_members_of_a_group(serve, ec2, net, launch):
    clients = ec2.create_security_group(VpcId=net.vpc, GroupName="clients", Description="clients")["GroupId"]
    servers = ec2.create_security_group(VpcId=net.vpc, GroupName="servers", Description="servers")["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=servers, IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": clients}]}]
    )
    client, stranger, server = launch(clients), launch(), launch(servers)
    ip = address(ec2, server)
    assert serve.pings(client, ip)
    assert not serve.pings(stranger, ip)
    with refused("DependencyViolation"):
        ec2.delete_security_group(GroupId=clients)
    # A member that comes is admitted, one that goes is not.
    ec2.modify_instance_attribute(InstanceId=stranger, Groups=[clients])
    ec2.modify_instance_attribute(InstanceId=client, Groups=[net.group])
    until(lambda: serve.pings(stranger, ip), timeout=3)
    until(lambda: not serve.pings(client, ip), timeout=3)


def test_the_source_check_changes_packets(serve, ec2, net, launch):
    subnet = ec2.create_subnet(VpcId=net.vpc, CidrBlock="10.60.9.0/24")["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=net.vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    router, sender = launch(), launch(subnet=subnet)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="192.0.2.0/24", InstanceId=router)
    with serve.capture(router, "eth0", "icmp and dst host 192.0.2.7") as capture:

        def arrives():
            seen = len(capture.packets)
            serve.pings(sender, "192.0.2.7")
            return len(capture.packets) > seen

        for _ in range(2):
            until(lambda: not arrives(), timeout=4)
            ec2.modify_instance_attribute(InstanceId=router, SourceDestCheck={"Value": False})
            until(arrives, timeout=4)
            ec2.modify_instance_attribute(InstanceId=router, SourceDestCheck={"Value": True})
    assert serve.explain(sender, "192.0.2.7", "--proto", "icmp")[1] != 0


def test_an_elastic_ip_comes_to_a_running_instance_and_goes(serve, ec2, launch):
    one = launch()
    assert metadata(serve, one, "meta-data/public-ipv4") is None
    allocated = ec2.allocate_address(Domain="vpc")
    associated = ec2.associate_address(AllocationId=allocated["AllocationId"], InstanceId=one)
    until(lambda: metadata(serve, one, "meta-data/public-ipv4") == allocated["PublicIp"], timeout=3)
    shown = instance(ec2, one)
    assert shown["PublicIpAddress"] == allocated["PublicIp"]
    assert shown["NetworkInterfaces"][0]["Association"]["PublicIp"] == allocated["PublicIp"]
    # It is an address on the internet, also for its own instance.
    other = launch()
    second = ec2.allocate_address(Domain="vpc")
    ec2.associate_address(AllocationId=second["AllocationId"], InstanceId=other)
    until(lambda: serve.pings(other, allocated["PublicIp"]), timeout=5)
    ec2.disassociate_address(AssociationId=associated["AssociationId"])
    until(lambda: metadata(serve, one, "meta-data/public-ipv4") is None, timeout=3)
    assert not serve.pings(other, allocated["PublicIp"])
    ec2.release_address(AllocationId=allocated["AllocationId"])


def test_a_public_address_comes_with_the_launch_and_goes_with_the_stop(serve, ec2, net, launch):
    subnet = ec2.create_subnet(VpcId=net.vpc, CidrBlock="10.60.8.0/24")["Subnet"]["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["MapPublicIpOnLaunch"]
    one, other = launch(subnet=subnet, count=2)
    shown = instance(ec2, one)
    public = shown["PublicIpAddress"]
    association = shown["NetworkInterfaces"][0]["Association"]
    assert (association["PublicIp"], association["IpOwnerId"]) == (public, "amazon")
    assert "AllocationId" not in association
    assert metadata(serve, one, "meta-data/public-ipv4") == public
    assert metadata(serve, one, "meta-data/public-hostname") is None
    assert public not in {address["PublicIp"] for address in ec2.describe_addresses()["Addresses"]}
    until(lambda: serve.pings(other, public), timeout=5)
    with serve.capture(one, "eth0", "icmp") as capture:
        assert serve.pings(other, public)
        capture.wait_for("echo request")
    assert (instance(ec2, other)["PublicIpAddress"], shown["PrivateIpAddress"]) in capture.addresses

    # An Elastic IP takes its place, and leaves another one when it goes.
    allocated = ec2.allocate_address(Domain="vpc")
    associated = ec2.associate_address(AllocationId=allocated["AllocationId"], InstanceId=one)
    assert instance(ec2, one)["PublicIpAddress"] == allocated["PublicIp"]
    until(lambda: serve.pings(other, allocated["PublicIp"]), timeout=5)
    assert not serve.pings(other, public)
    ec2.disassociate_address(AssociationId=associated["AssociationId"])
    public = instance(ec2, one)["PublicIpAddress"]
    assert public != allocated["PublicIp"]
    until(lambda: serve.pings(other, public), timeout=5)

    ec2.stop_instances(InstanceIds=[one])
    in_state(ec2, "stopped", one)
    assert "PublicIpAddress" not in instance(ec2, one)
    # Somebody else has it now, so the instance gets another one.
    assert ec2.allocate_address(Address=public)["PublicIp"] == public
    ec2.start_instances(InstanceIds=[one])
    in_state(ec2, "running", one)
    again = instance(ec2, one)["PublicIpAddress"]
    assert again != public
    until(lambda: serve.pings(other, again), timeout=5)
    assert metadata(serve, one, "meta-data/public-ipv4") == again
    for address in (allocated["PublicIp"], public):
        found = ec2.describe_addresses(PublicIps=[address])["Addresses"][0]
        ec2.release_address(AllocationId=found["AllocationId"])


def test_an_instance_says_who_it_is(serve, ec2, launch):
    key = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2jGX5l2zF4PCIbVNlqvR1Jr0G7Yw4oYp5WzHcQv0aB e2e"
    ec2.import_key_pair(KeyName="who", PublicKeyMaterial=key)
    one = launch(KeyName="who")
    document = json.loads(metadata(serve, one, "dynamic/instance-identity/document"))
    shown = instance(ec2, one)
    assert (document["instanceId"], document["privateIp"]) == (one, shown["PrivateIpAddress"])
    assert document["pendingTime"] == shown["LaunchTime"].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert metadata(serve, one, "dynamic/instance-identity/signature") is None
    assert metadata(serve, one, "meta-data/public-keys/") == "0=who"
    assert metadata(serve, one, "meta-data/public-keys/0/openssh-key") == key.decode()
    ec2.delete_key_pair(KeyName="who")


def test_a_second_interface_comes_to_a_running_instance_and_goes(serve, ec2, net, launch):
    one = launch()
    eni = ec2.create_network_interface(SubnetId=net.subnet, Groups=[net.group])["NetworkInterface"]
    attachment = ec2.attach_network_interface(
        NetworkInterfaceId=eni["NetworkInterfaceId"], InstanceId=one, DeviceIndex=1
    )["AttachmentId"]

    def link():
        shown = serve.exec(one, "ip", "-j", "link", "show", "eth1", check=False)
        return json.loads(shown.stdout)[0] if shown.returncode == 0 else None

    found = until(link, timeout=5)
    assert (found["address"], found["mtu"]) == (eni["MacAddress"], 9001)
    assert metadata(serve, one, "meta-data/network/interfaces/macs/").split() == sorted(
        [f"{eni['MacAddress']}/", f"{instance(ec2, one)['NetworkInterfaces'][0]['MacAddress']}/"]
    )
    # It carries packets once it is configured.
    peer = launch()
    serve.sh(one, f"ip link set eth1 up; ip addr add {eni['PrivateIpAddress']}/24 dev eth1")
    ping = ["ping", "-c", "1", "-W", "2", "-I", "eth1", address(ec2, peer)]
    until(lambda: serve.exec(one, *ping, check=False).returncode == 0, timeout=5)

    ec2.detach_network_interface(AttachmentId=attachment)
    until(lambda: link() is None, timeout=5)
    assert serve.pings(one, address(ec2, peer))
    ec2.delete_network_interface(NetworkInterfaceId=eni["NetworkInterfaceId"])


def test_metadata_options_change_what_is_answered(serve, ec2, launch):
    one = launch(MetadataOptions={"HttpTokens": "optional"})
    plain = ["curl", "-sS", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", f"{METADATA}/meta-data/instance-id"]
    assert serve.exec(one, *plain).stdout == "200"
    ec2.modify_instance_metadata_options(InstanceId=one, HttpTokens="required")
    until(lambda: serve.exec(one, *plain).stdout == "401", timeout=3)
    assert metadata(serve, one, "meta-data/instance-id") == one


def test_regions_are_apart(serve, ec2, launch):
    one = launch()
    ip = address(ec2, one)
    elsewhere = serve.ec2("us-east-1")
    with refused("InvalidInstanceID.NotFound"):
        elsewhere.describe_instances(InstanceIds=[one])
    # The same addresses there are other ones.
    net = network(elsewhere)
    other = run(elsewhere, net.subnet, net.group, PrivateIpAddress="10.60.0.99")
    assert not serve.pings(other, ip)
    assert not serve.pings(one, "10.60.0.99")
    assert metadata(serve, other, "meta-data/placement/region") == "us-east-1"
    assert metadata(serve, one, "meta-data/placement/region") == "eu-west-1"
    terminate(elsewhere, other)


def test_the_aws_command_line_asks_who_it_is(serve):
    identity = json.loads(serve.aws("sts", "get-caller-identity", "--output", "json").stdout)
    assert identity["Account"] == "000000000000"
    done = serve.aws("ec2", "describe-instances", "--instance-ids", "i-00000000000000000", check=False)
    assert done.returncode == 254 and "InvalidInstanceID.NotFound" in done.stderr
    assert ENVIRONMENT["AWS_DEFAULT_REGION"] == "eu-west-1"
