"""Every waiter and every paginator that AWS's own clients have for what there is here."""

import functools
import json
import re

import botocore.exceptions
import pytest
from conftest import until
from endpoint import IMAGE, network
from service_model import API, client, data, page

KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2jGX5l2zF4PCIbVNlqvR1Jr0G7Yw4oYp5WzHcQv0aB e2e"
SOON = {"Delay": 1, "MaxAttempts": 30}
# More than fit on the smallest page that can be asked for.
SEVERAL = 6

# Each waiter's parameter, what of the cloud it waits for, and something of the kind that is not there.
WAITERS = {
    "ImageAvailable": ("ImageIds", "image", "ami-0123456789abcdef0"),
    "ImageExists": ("ImageIds", "image", "ami-0123456789abcdef0"),
    "InstanceExists": ("InstanceIds", "running", "i-0123456789abcdef0"),
    "InstanceRunning": ("InstanceIds", "running", "i-0123456789abcdef0"),
    "InstanceStatusOk": ("InstanceIds", "running", "i-0123456789abcdef0"),
    "InstanceStopped": ("InstanceIds", "stopped", "i-0123456789abcdef0"),
    "InstanceTerminated": ("InstanceIds", "terminated", "i-0123456789abcdef0"),
    "InternetGatewayExists": ("InternetGatewayIds", "gateway", "igw-0123456789abcdef0"),
    "KeyPairExists": ("KeyNames", "key", "nobody"),
    "NatGatewayAvailable": ("NatGatewayIds", "nat", "nat-0123456789abcdef0"),
    "NatGatewayDeleted": ("NatGatewayIds", "deleted_nat", "nat-0123456789abcdef0"),
    "NetworkInterfaceAvailable": ("NetworkInterfaceIds", "interface", "eni-0123456789abcdef0"),
    "SecurityGroupExists": ("GroupIds", "group", "sg-0123456789abcdef0"),
    "SubnetAvailable": ("SubnetIds", "subnet", "subnet-0123456789abcdef0"),
    "SystemStatusOk": ("InstanceIds", "running", "i-0123456789abcdef0"),
    "VpcAvailable": ("VpcIds", "vpc", "vpc-0123456789abcdef0"),
    "VpcExists": ("VpcIds", "vpc", "vpc-0123456789abcdef0"),
    "VpcPeeringConnectionDeleted": ("VpcPeeringConnectionIds", "deleted_peering", "pcx-0123456789abcdef0"),
    "VpcPeeringConnectionExists": ("VpcPeeringConnectionIds", "peering", "pcx-0123456789abcdef0"),
}
# What was never there is deleted.
GLAD_OF_NOTHING = {"NatGatewayDeleted", "VpcPeeringConnectionDeleted"}

# Nobody waits for what there is none of.
NOTHING = {"DescribeCustomerGateways", "DescribeVolumes", "DescribeVpnConnections"}

# Of these there can be more than fit on a page; of the others the quota is five, or there are no more.
SEVERAL_PAGES = {
    "DescribeInstanceStatus",
    "DescribeInstanceTypes",
    "DescribeInstances",
    "DescribeManagedPrefixLists",
    "DescribeNatGateways",
    "DescribeNetworkAcls",
    "DescribeNetworkInterfaces",
    "DescribeRouteTables",
    "DescribeSecurityGroupRules",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DescribeTags",
    "DescribeVpcPeeringConnections",
    "GetManagedPrefixListAssociations",
    "GetManagedPrefixListEntries",
}


@functools.cache
def described(kind, key):
    """The waiters or paginators of actions that are carried out, by name."""
    return json.loads((data() / API / kind).read_text())[key]


def waiters():
    actions = page().keys() - NOTHING
    return [name for name, waiter in described("waiters-2.json", "waiters").items() if waiter["operation"] in actions]


def paginators():
    return [name for name in described("paginators-1.json", "pagination") if name in page()]


def snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@pytest.fixture(scope="module")
def ec2(serve):
    return client(serve.url)


@pytest.fixture(scope="module")
def cloud(ec2):
    """Several of all that there can be several of, and something in each state that is waited for."""
    made = network(ec2)
    made.image, made.key = IMAGE, "mine"
    ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=KEY)
    launch = {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1, "SubnetId": made.subnet}
    # Two of them will not be running.
    ids = [ec2.run_instances(**launch)["Instances"][0]["InstanceId"] for _ in range(SEVERAL + 2)]
    made.running, made.stopped, made.terminated = ids[0], ids[1], ids[2]
    several(ec2, made)
    states(ec2, made)
    return made


def several(ec2, made):
    other = ec2.create_vpc(CidrBlock="10.70.0.0/16")["Vpc"]["VpcId"]
    tags = [{"Key": f"key {number}", "Value": ""} for number in range(SEVERAL)]
    ec2.create_tags(Resources=[other], Tags=tags)
    entries = [{"Cidr": f"192.0.2.{number}/32"} for number in range(SEVERAL)]
    family = {"AddressFamily": "IPv4", "MaxEntries": SEVERAL}
    for number in range(SEVERAL):
        name = f"of number {number}"
        made.list = ec2.create_managed_prefix_list(PrefixListName=name, **family, Entries=entries)["PrefixList"][
            "PrefixListId"
        ]
        ec2.create_subnet(VpcId=other, CidrBlock=f"10.70.{number}.0/24")
        ec2.create_route_table(VpcId=other)
        ec2.create_network_acl(VpcId=other)
        made.interface = ec2.create_network_interface(SubnetId=made.subnet)["NetworkInterface"]["NetworkInterfaceId"]
        peers = {"VpcId": made.vpc, "PeerVpcId": other}
        made.peering = ec2.create_vpc_peering_connection(**peers)["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        if number < SEVERAL - 1:
            ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=made.peering)
            made.deleted_peering = made.peering
    for number in range(SEVERAL):
        group = ec2.create_security_group(VpcId=made.vpc, GroupName=f"number {number}", Description="x")["GroupId"]
        permission = {"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": made.list}]}
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])


def states(ec2, made):
    """Brings on what is waited for, and does not wait for it, but where it could not be brought on yet."""
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]][:2]
    for number, zone in enumerate(zones):
        subnet = ec2.create_subnet(VpcId=made.vpc, CidrBlock=f"10.60.{number + 8}.0/24", AvailabilityZone=zone)
        for _ in range(SEVERAL // 2):
            new = ec2.create_nat_gateway(SubnetId=subnet["Subnet"]["SubnetId"], ConnectivityType="private")
            made.nat = new["NatGateway"]["NatGatewayId"]
            made.deleted_nat = getattr(made, "deleted_nat", made.nat)
    everything = {"InstanceIds": [made.stopped, made.terminated, made.running]}
    ec2.get_waiter("instance_running").wait(**everything, WaiterConfig=SOON)
    ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[made.deleted_nat], WaiterConfig=SOON)
    ec2.delete_nat_gateway(NatGatewayId=made.deleted_nat)
    ec2.stop_instances(InstanceIds=[made.stopped])
    ec2.terminate_instances(InstanceIds=[made.terminated])


def test_every_waiter_is_tried_here():
    assert set(waiters()) == WAITERS.keys()


@pytest.mark.parametrize("waiter", WAITERS)
def test_a_waiter_sees_what_it_waits_for(ec2, cloud, waiter):
    parameter, what, _ = WAITERS[waiter]
    ec2.get_waiter(snake(waiter)).wait(**{parameter: [getattr(cloud, what)]}, WaiterConfig=SOON)


@pytest.mark.parametrize("waiter", WAITERS)
def test_a_waiter_does_not_see_what_is_not_there(ec2, cloud, waiter):
    parameter, _, missing = WAITERS[waiter]
    once = {"Delay": 1, "MaxAttempts": 1}
    wait = functools.partial(ec2.get_waiter(snake(waiter)).wait, **{parameter: [missing]}, WaiterConfig=once)
    if waiter in GLAD_OF_NOTHING:
        wait()
    else:
        with pytest.raises(botocore.exceptions.WaiterError):
            wait()


@pytest.mark.parametrize("action", paginators())
def test_pages_make_the_whole(ec2, cloud, action):
    of_list = {"PrefixListId": cloud.list} if action.startswith("GetManagedPrefixList") else {}
    if action == "DescribeStaleSecurityGroups":
        of_list = {"VpcId": ec2.describe_vpcs()["Vpcs"][0]["VpcId"]}
    keys = described("paginators-1.json", "pagination")[action]["result_key"]
    until(lambda: settled(ec2))
    whole = getattr(ec2, snake(action))(**of_list)
    pages = list(ec2.get_paginator(snake(action)).paginate(**of_list, PaginationConfig={"PageSize": 5}))
    for key in keys if isinstance(keys, list) else [keys]:
        assert [item for page in pages for item in page[key]] == whole[key]
        assert [len(page[key]) for page in pages[:-1]] == [5] * (len(pages) - 1)
    assert len(pages) > 1 or action not in SEVERAL_PAGES


def settled(ec2):
    """Whether nothing is on its way from one state to another."""
    instances = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    return {i["State"]["Name"] for i in instances} <= {"running", "stopped", "terminated"} and not [
        gateway for gateway in ec2.describe_nat_gateways()["NatGateways"] if gateway["State"] in ("pending", "deleting")
    ]
