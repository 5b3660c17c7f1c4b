"""The EC2 API, as boto3 sees it: every action, and the codes of what goes wrong."""

import http.client
import itertools
import re

import botocore.exceptions
import pytest
from conftest import ROOT
from endpoint import EVERYWHERE, IMAGE, ask, in_state, instance, network, refused, run, terminate

# What each kind of id is called when there is none, and when it is none: some have no code of their own for that.
KINDS = {
    "vpc": ("InvalidVpcID.NotFound", "InvalidVpcID.Malformed"),
    "subnet": ("InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed"),
    "rtb": ("InvalidRouteTableID.NotFound", "InvalidRouteTableId.Malformed"),
    "rtbassoc": ("InvalidAssociationID.NotFound", "InvalidAssociationID.NotFound"),
    "igw": ("InvalidInternetGatewayID.NotFound", "InvalidInternetGatewayId.Malformed"),
    "sg": ("InvalidGroup.NotFound", "InvalidGroupId.Malformed"),
    "sgr": ("InvalidSecurityGroupRuleId.NotFound", "InvalidSecurityGroupRuleId.Malformed"),
    "eni": ("InvalidNetworkInterfaceID.NotFound", "InvalidNetworkInterfaceId.Malformed"),
    "eni-attach": ("InvalidAttachmentID.NotFound", "InvalidNetworkInterfaceAttachmentId.Malformed"),
    "eipalloc": ("InvalidAllocationID.NotFound", "InvalidAllocationID.NotFound"),
    "eipassoc": ("InvalidAssociationID.NotFound", "InvalidAssociationID.NotFound"),
    "i": ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"),
    "ami": ("InvalidAMIID.NotFound", "InvalidAMIID.Malformed"),
    "dopt": ("InvalidDhcpOptionID.NotFound", "InvalidDhcpOptionsId.Malformed"),
    "nat": ("NatGatewayNotFound", "NatGatewayMalformed"),
    "acl": ("InvalidNetworkAclID.NotFound", "InvalidNetworkAclId.Malformed"),
    "aclassoc": ("InvalidAssociationID.NotFound", "InvalidAssociationID.NotFound"),
    "pcx": ("InvalidVpcPeeringConnectionID.NotFound", "InvalidVpcPeeringConnectionId.Malformed"),
    "pl": ("InvalidPrefixListID.NotFound", "InvalidPrefixListId.Malformed"),
    "eigw": ("InvalidGatewayID.NotFound", "InvalidEgressOnlyInternetGatewayId.Malformed"),
    "fl": ("InvalidFlowLogId.NotFound", "InvalidFlowLogId.Malformed"),
    "subnet-cidr-assoc": (
        "InvalidSubnetCidrBlockAssociationID.NotFound",
        "InvalidSubnetCidrBlockAssociationID.NotFound",
    ),
    "scr": ("InvalidSubnetCidrReservationID.NotFound", "InvalidSubnetCidrReservationID.NotFound"),
    "vgw": ("InvalidVpnGatewayID.NotFound", "InvalidVpnGatewayID.Malformed"),
    "cgw": ("InvalidCustomerGatewayID.NotFound", "InvalidCustomerGatewayId.Malformed"),
    "vpn": ("InvalidVpnConnectionID.NotFound", "InvalidVpnConnectionID.Malformed"),
    "vpce": ("InvalidVpcEndpointId.NotFound", "InvalidVpcEndpointId.Malformed"),
    "vol": ("InvalidVolume.NotFound", "InvalidVolumeID.Malformed"),
    "iip-assoc": ("InvalidAssociationID.NotFound", "InvalidAssociationID.Malformed"),
    "vpc-cidr-assoc": ("InvalidVpcCidrBlockAssociationID.NotFound", "InvalidVpcCidrBlockAssociationID.NotFound"),
}
VPC, SUBNET, TABLE, GATEWAY, GROUP, RULE, ENI, ADDRESS, INSTANCE = (
    f"{kind}-0123456789abcdef0" for kind in ("vpc", "subnet", "rtb", "igw", "sg", "sgr", "eni", "eipalloc", "i")
)
NAT, ACL, PEERING = (f"{kind}-0123456789abcdef0" for kind in ("nat", "acl", "pcx"))
RULE_OF_ACL = {"NetworkAclId": ACL, "Egress": False, "RuleNumber": 7}
ENTRY = {**RULE_OF_ACL, "Protocol": "-1", "RuleAction": "deny", "CidrBlock": "192.0.2.0/24"}
DHCP = "dopt-0123456789abcdef0"
LIST, EGRESS_ONLY = "pl-0123456789abcdef0", "eigw-0123456789abcdef0"
FLOW_LOG = "fl-0123456789abcdef0"
TO_BUCKET = {"TrafficType": "ALL", "LogDestinationType": "s3", "LogDestination": "arn:aws:s3:::flows"}
PERMISSION = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": EVERYWHERE}]
RULE_REQUEST = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": "192.0.2.0/24"}
DESCRIBED = [{"SecurityGroupRuleId": RULE, "Description": "x"}]
KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2jGX5l2zF4PCIbVNlqvR1Jr0G7Yw4oYp5WzHcQv0aB e2e"

# Every action with a well-formed request; those that have an id ask for the first thing that is not there.
CALLS = {
    "AcceptVpcPeeringConnection": {"VpcPeeringConnectionId": PEERING},
    "AllocateAddress": {},
    "AssignIpv6Addresses": {"NetworkInterfaceId": ENI, "Ipv6AddressCount": 1},
    "AssignPrivateIpAddresses": {"NetworkInterfaceId": ENI, "SecondaryPrivateIpAddressCount": 1},
    "AssociateAddress": {"AllocationId": ADDRESS, "NetworkInterfaceId": ENI},
    "AssociateDhcpOptions": {"DhcpOptionsId": DHCP, "VpcId": VPC},
    "AssociateRouteTable": {"RouteTableId": TABLE, "SubnetId": SUBNET},
    "AssociateSubnetCidrBlock": {"SubnetId": SUBNET, "Ipv6CidrBlock": "2001:db8::/64"},
    "AssociateVpcCidrBlock": {"VpcId": VPC, "CidrBlock": "10.61.0.0/16"},
    "AttachInternetGateway": {"InternetGatewayId": GATEWAY, "VpcId": VPC},
    "AttachNetworkInterface": {"NetworkInterfaceId": ENI, "InstanceId": INSTANCE, "DeviceIndex": 1},
    "AuthorizeSecurityGroupEgress": {"GroupId": GROUP, "IpPermissions": PERMISSION},
    "AuthorizeSecurityGroupIngress": {"GroupId": GROUP, "IpPermissions": PERMISSION},
    "CreateDefaultSubnet": {"AvailabilityZone": "zz-dry-1a"},
    "CreateDefaultVpc": {},
    "CreateDhcpOptions": {"DhcpConfigurations": [{"Key": "domain-name", "Values": ["corp.example"]}]},
    "CreateEgressOnlyInternetGateway": {"VpcId": VPC},
    "CreateFlowLogs": {"ResourceType": "VPC", "ResourceIds": [VPC], **TO_BUCKET},
    "CreateInternetGateway": {},
    "CreateManagedPrefixList": {"PrefixListName": "x", "AddressFamily": "IPv4", "MaxEntries": 1},
    "CreateNatGateway": {"SubnetId": SUBNET, "AllocationId": ADDRESS},
    "CreateNetworkAcl": {"VpcId": VPC},
    "CreateNetworkAclEntry": ENTRY,
    "CreateNetworkInterface": {"SubnetId": SUBNET},
    "CreateRoute": {"RouteTableId": TABLE, "DestinationCidrBlock": "0.0.0.0/0", "NetworkInterfaceId": ENI},
    "CreateRouteTable": {"VpcId": VPC},
    "CreateSecurityGroup": {"VpcId": VPC, "GroupName": "x", "Description": "x"},
    "CreateSubnet": {"VpcId": VPC, "CidrBlock": "10.60.1.0/24"},
    "CreateSubnetCidrReservation": {"SubnetId": SUBNET, "Cidr": "10.60.0.0/28", "ReservationType": "explicit"},
    "CreateTags": {"Resources": [VPC], "Tags": [{"Key": "k", "Value": "v"}]},
    "CreateVpc": {"CidrBlock": "10.60.0.0/16"},
    "CreateVpcPeeringConnection": {"VpcId": VPC, "PeerVpcId": VPC},
    "DeleteDhcpOptions": {"DhcpOptionsId": DHCP},
    "DeleteEgressOnlyInternetGateway": {"EgressOnlyInternetGatewayId": EGRESS_ONLY},
    "DeleteFlowLogs": {"FlowLogIds": [FLOW_LOG]},
    "DeleteInternetGateway": {"InternetGatewayId": GATEWAY},
    "DeleteKeyPair": {"KeyName": "nobody"},
    "DeleteManagedPrefixList": {"PrefixListId": LIST},
    "DeleteNatGateway": {"NatGatewayId": NAT},
    "DeleteNetworkAcl": {"NetworkAclId": ACL},
    "DeleteNetworkAclEntry": RULE_OF_ACL,
    "DeleteNetworkInterface": {"NetworkInterfaceId": ENI},
    "DeleteRoute": {"RouteTableId": TABLE, "DestinationCidrBlock": "0.0.0.0/0"},
    "DeleteRouteTable": {"RouteTableId": TABLE},
    "DeleteSecurityGroup": {"GroupId": GROUP},
    "DeleteSubnet": {"SubnetId": SUBNET},
    "DeleteSubnetCidrReservation": {"SubnetCidrReservationId": "scr-0123456789abcdef0"},
    "DeleteTags": {"Resources": [VPC], "Tags": [{"Key": "k"}]},
    "DeleteVpc": {"VpcId": VPC},
    "DeleteVpcPeeringConnection": {"VpcPeeringConnectionId": PEERING},
    "DeregisterImage": {"ImageId": "ami-0123456789abcdef0"},
    "DescribeAccountAttributes": {},
    "DescribeAddresses": {"AllocationIds": [ADDRESS]},
    "DescribeAddressesAttribute": {"AllocationIds": [ADDRESS]},
    "DescribeAvailabilityZones": {},
    "DescribeCustomerGateways": {"CustomerGatewayIds": ["cgw-0123456789abcdef0"]},
    "DescribeDhcpOptions": {"DhcpOptionsIds": [DHCP]},
    "DescribeEgressOnlyInternetGateways": {"EgressOnlyInternetGatewayIds": [EGRESS_ONLY]},
    "DescribeFlowLogs": {"FlowLogIds": [FLOW_LOG]},
    "DescribeIamInstanceProfileAssociations": {"AssociationIds": ["iip-assoc-0123456789abcdef0"]},
    "DescribeImages": {"ImageIds": ["ami-0123456789abcdef0"]},
    "DescribeInstanceAttribute": {"InstanceId": INSTANCE, "Attribute": "userData"},
    "DescribeInstanceStatus": {"InstanceIds": [INSTANCE]},
    "DescribeInstanceTypeOfferings": {},
    "DescribeInstanceTypes": {},
    "DescribeInstances": {"InstanceIds": [INSTANCE]},
    "DescribeInternetGateways": {"InternetGatewayIds": [GATEWAY]},
    "DescribeKeyPairs": {},
    "DescribeManagedPrefixLists": {"PrefixListIds": [LIST]},
    "DescribeNatGateways": {"NatGatewayIds": [NAT]},
    "DescribeNetworkAcls": {"NetworkAclIds": [ACL]},
    "DescribeNetworkInterfaceAttribute": {"NetworkInterfaceId": ENI, "Attribute": "description"},
    "DescribeNetworkInterfaces": {"NetworkInterfaceIds": [ENI]},
    "DescribePrefixLists": {"PrefixListIds": [LIST]},
    "DescribeRegions": {},
    "DescribeRouteTables": {"RouteTableIds": [TABLE]},
    "DescribeSecurityGroupReferences": {"GroupId": [GROUP]},
    "DescribeSecurityGroupRules": {"SecurityGroupRuleIds": [RULE]},
    "DescribeSecurityGroups": {"GroupIds": [GROUP]},
    "DescribeStaleSecurityGroups": {"VpcId": VPC},
    "DescribeSubnets": {"SubnetIds": [SUBNET]},
    "DescribeTags": {},
    "DescribeVolumes": {"VolumeIds": ["vol-0123456789abcdef0"]},
    "DescribeVpcAttribute": {"VpcId": VPC, "Attribute": "enableDnsSupport"},
    "DescribeVpcEndpointServices": {},
    "DescribeVpcEndpoints": {"VpcEndpointIds": ["vpce-0123456789abcdef0"]},
    "DescribeVpcPeeringConnections": {"VpcPeeringConnectionIds": [PEERING]},
    "DescribeVpcs": {"VpcIds": [VPC]},
    "DescribeVpnConnections": {"VpnConnectionIds": ["vpn-0123456789abcdef0"]},
    "DescribeVpnGateways": {"VpnGatewayIds": ["vgw-0123456789abcdef0"]},
    "DetachInternetGateway": {"InternetGatewayId": GATEWAY, "VpcId": VPC},
    "DetachNetworkInterface": {"AttachmentId": "eni-attach-0123456789abcdef0"},
    "DisassociateAddress": {"AssociationId": "eipassoc-0123456789abcdef0"},
    "DisassociateRouteTable": {"AssociationId": "rtbassoc-0123456789abcdef0"},
    "DisassociateSubnetCidrBlock": {"AssociationId": "subnet-cidr-assoc-0123456789abcdef0"},
    "DisassociateVpcCidrBlock": {"AssociationId": "vpc-cidr-assoc-0123456789abcdef0"},
    "GetConsoleOutput": {"InstanceId": INSTANCE},
    "GetManagedPrefixListAssociations": {"PrefixListId": LIST},
    "GetManagedPrefixListEntries": {"PrefixListId": LIST},
    "GetSubnetCidrReservations": {"SubnetId": SUBNET},
    "ImportKeyPair": {"KeyName": "k", "PublicKeyMaterial": KEY},
    "ModifyInstanceAttribute": {"InstanceId": INSTANCE, "SourceDestCheck": {"Value": False}},
    "ModifyInstanceMetadataOptions": {"InstanceId": INSTANCE, "HttpTokens": "required"},
    "ModifyManagedPrefixList": {"PrefixListId": LIST, "PrefixListName": "y"},
    "ModifyNetworkInterfaceAttribute": {"NetworkInterfaceId": ENI, "Description": {"Value": "x"}},
    "ModifySecurityGroupRules": {
        "GroupId": GROUP,
        "SecurityGroupRules": [{"SecurityGroupRuleId": RULE, "SecurityGroupRule": RULE_REQUEST}],
    },
    "ModifySubnetAttribute": {"SubnetId": SUBNET, "MapPublicIpOnLaunch": {"Value": True}},
    "ModifyVpcAttribute": {"VpcId": VPC, "EnableDnsSupport": {"Value": False}},
    "RebootInstances": {"InstanceIds": [INSTANCE]},
    "RegisterImage": {"Name": "image", "ImageLocation": "/nonexistent"},
    "RejectVpcPeeringConnection": {"VpcPeeringConnectionId": PEERING},
    "ReleaseAddress": {"AllocationId": ADDRESS},
    "ReplaceNetworkAclAssociation": {"AssociationId": "aclassoc-0123456789abcdef0", "NetworkAclId": ACL},
    "ReplaceNetworkAclEntry": ENTRY,
    "ReplaceRoute": {"RouteTableId": TABLE, "DestinationCidrBlock": "0.0.0.0/0", "NetworkInterfaceId": ENI},
    "ReplaceRouteTableAssociation": {"AssociationId": "rtbassoc-0123456789abcdef0", "RouteTableId": TABLE},
    "ResetInstanceAttribute": {"InstanceId": INSTANCE, "Attribute": "sourceDestCheck"},
    "ResetNetworkInterfaceAttribute": {"NetworkInterfaceId": ENI, "SourceDestCheck": "true"},
    "RestoreManagedPrefixListVersion": {"PrefixListId": LIST, "PreviousVersion": 1, "CurrentVersion": 2},
    "RevokeSecurityGroupEgress": {"GroupId": GROUP, "IpPermissions": PERMISSION},
    "RevokeSecurityGroupIngress": {"GroupId": GROUP, "IpPermissions": PERMISSION},
    "RunInstances": {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1, "SubnetId": SUBNET},
    "StartInstances": {"InstanceIds": [INSTANCE]},
    "StopInstances": {"InstanceIds": [INSTANCE]},
    "TerminateInstances": {"InstanceIds": [INSTANCE]},
    "UnassignIpv6Addresses": {"NetworkInterfaceId": ENI, "Ipv6Addresses": ["2001:db8::9"]},
    "UnassignPrivateIpAddresses": {"NetworkInterfaceId": ENI, "PrivateIpAddresses": ["10.60.0.9"]},
    "UpdateSecurityGroupRuleDescriptionsEgress": {"GroupId": GROUP, "SecurityGroupRuleDescriptions": DESCRIBED},
    "UpdateSecurityGroupRuleDescriptionsIngress": {"GroupId": GROUP, "SecurityGroupRuleDescriptions": DESCRIBED},
}
# Actions that the system's botocore does not know, by their parameters as they go over the wire.
NEWER = {
    "AssignPrivateNatGatewayAddress": {"NatGatewayId": NAT, "PrivateIpAddressCount": 1},
    "AssociateNatGatewayAddress": {"NatGatewayId": NAT, "AllocationId.1": ADDRESS},
    "DisassociateNatGatewayAddress": {"NatGatewayId": NAT, "AssociationId.1": "eipassoc-0123456789abcdef0"},
    "UnassignPrivateNatGatewayAddress": {"NatGatewayId": NAT, "PrivateIpAddress.1": "10.60.0.9"},
}
# botocore knows no DryRun of these.
NEVER_DRY = {
    "AssignIpv6Addresses",
    "DescribeIamInstanceProfileAssociations",
    "ModifySubnetAttribute",
    "ModifyVpcAttribute",
    "AssignPrivateIpAddresses",
    "AssociateSubnetCidrBlock",
    "DisassociateSubnetCidrBlock",
    "UnassignIpv6Addresses",
    "UnassignPrivateIpAddresses",
    "AssociateVpcCidrBlock",
    "DisassociateVpcCidrBlock",
}
# What stands in the way of these where nothing is.
NOT_EVEN_DRY = {"CreateDefaultSubnet": "DefaultVpcDoesNotExist", "RegisterImage": "InvalidParameterValue"}
# What is not there is named in the answer, and all else is done.
IN_PARTS = {"CreateFlowLogs", "DeleteFlowLogs"}
# Tags are of any kind: their ids are not of a malformed one but of none.
ANY_KIND = {"CreateTags", "DeleteTags"}

regions = (f"zz-test-{number}" for number in itertools.count(1))


@pytest.fixture
def ec2(serve):
    """A region of the test's own, in which nothing is."""
    return serve.ec2(next(regions))


@pytest.fixture(scope="module")
def empty(serve):
    """A region in which nothing is ever made."""
    return serve.ec2("zz-empty-1")


@pytest.fixture(scope="module")
def busy(serve):
    """A region with a network and an instance, and how to call what is there."""
    ec2 = serve.ec2("zz-busy-1")
    net = network(ec2)
    net.ec2, net.instance = ec2, run(ec2, net.subnet, net.group)
    net.interface = instance(ec2, net.instance)["NetworkInterfaces"][0]
    return net


def call(ec2, action, **parameters):
    return getattr(ec2, re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower())(**parameters)


def kind(id):
    return id.rpartition("-")[0]


def ids(parameters):
    """The names of the parameters that are ids, and the ids."""
    for name, value in parameters.items():
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, str) and value.endswith("-0123456789abcdef0"):
            yield name, value


# --- every action ---


def test_every_action_is_tried_here():
    source = (ROOT / "crates" / "control" / "src" / "ec2" / "action.rs").read_text()
    table = source[source.index("const ACTIONS") : source.index("];")]
    assert set(re.findall(r'"([A-Z]\w+)"', table)) == CALLS.keys() | NEWER.keys()


@pytest.mark.parametrize("action", [action for action in CALLS if list(ids(CALLS[action]))])
def test_what_is_not_there(empty, action):
    codes = {KINDS[kind(id)][0] for _, id in ids(CALLS[action])}
    if action in IN_PARTS:
        (missing,) = call(empty, action, **CALLS[action])["Unsuccessful"]
        assert missing["Error"]["Code"] in codes
        return
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(empty, action, **CALLS[action])
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert response["Error"]["Code"] in codes


@pytest.mark.parametrize("action", [action for action in CALLS if list(ids(CALLS[action]))])
def test_ids_that_are_none(empty, action):
    for name, id in ids(CALLS[action]):
        for nonsense in (f"{kind(id)}-xyz", "nonsense"):
            asked = [nonsense] if isinstance(CALLS[action][name], list) else nonsense
            with refused("InvalidID" if action in ANY_KIND else KINDS[kind(id)][1]):
                call(empty, action, **{**CALLS[action], name: asked})


@pytest.mark.parametrize("action", NEWER)
def test_what_is_not_there_of_newer_actions(serve, action):
    for id, code in [(NAT, "NatGatewayNotFound"), ("nonsense", "NatGatewayMalformed")]:
        status, text = ask(serve, Action=action, **{**NEWER[action], "NatGatewayId": id})
        assert (status, f"<Code>{code}</Code>" in text) == (400, True), text


@pytest.mark.parametrize("action", sorted(CALLS.keys() - NEVER_DRY))
def test_a_dry_run_says_what_would_come_of_it_and_does_nothing(serve, action):
    ec2 = serve.ec2("zz-dry-1")
    codes = {KINDS[kind(id)][0] for _, id in ids(CALLS[action]) if action not in IN_PARTS}
    codes = codes or {NOT_EVEN_DRY.get(action, "DryRunOperation")}
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(ec2, action, **CALLS[action], DryRun=True)
    assert caught.value.response["Error"]["Code"] in codes
    assert ec2.describe_vpcs()["Vpcs"] == ec2.describe_addresses()["Addresses"] == []
    assert ec2.describe_internet_gateways()["InternetGateways"] == ec2.describe_key_pairs()["KeyPairs"] == []


def test_a_dry_run_of_what_would_be_done(busy):
    ec2, image = busy.ec2, {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1}
    before = [instance["InstanceId"] for r in ec2.describe_instances()["Reservations"] for instance in r["Instances"]]
    for asked in (
        lambda: ec2.run_instances(**image, SubnetId=busy.subnet, ClientToken="dry", DryRun=True),
        lambda: ec2.create_subnet(VpcId=busy.vpc, CidrBlock="10.60.7.0/24", DryRun=True),
        lambda: ec2.terminate_instances(InstanceIds=[busy.instance], DryRun=True),
        lambda: ec2.describe_instances(InstanceIds=[busy.instance], DryRun=True),
    ):
        with refused("DryRunOperation"):
            asked()
    with refused("InvalidSubnet.Conflict"):
        ec2.create_subnet(VpcId=busy.vpc, CidrBlock="10.60.0.0/24", DryRun=True)
    after = [instance["InstanceId"] for r in ec2.describe_instances()["Reservations"] for instance in r["Instances"]]
    assert after == before
    assert instance(ec2, busy.instance)["State"]["Name"] == "running"


@pytest.mark.parametrize("action", sorted(CALLS.keys() | NEWER.keys()))
def test_without_parameters_with_unknown_and_wrong_ones_it_is_no_server_error(serve, action):
    for extra in ({}, {"NoSuchParameter": "1"}, {"DryRun": "perhaps"}, {"Filter.1.Name": "vpc-id"}, {"Filter.x": ""}):
        status, text = ask(serve, Action=action, **extra)
        assert status < 500, text
        if "NoSuchParameter" in extra and not re.search("<Code>MissingParameter<", text):
            assert (status, "<Code>UnknownParameter<" in text) == (400, True), text
    status, text = ask(serve, Action=action, NoSuchParameter="\x01", **{"VpcId.1": "x", "InstanceId": "\xff"})
    assert status == 400, text


def test_actions_that_are_none(serve, ec2):
    for parameters, code in [
        ({"Action": "CreateUnicorn"}, "InvalidAction"),
        ({"Action": ""}, "InvalidAction"),
        ({}, "MissingAction"),
        ({"Action": "DescribeVpcs", "version": "1999-01-01"}, "NoSuchVersion"),
    ]:
        status, text = ask(serve, **parameters)
        assert (status, f"<Code>{code}</Code>" in text) == (400, True), text
    for action, parameters in [
        ("CreateVpnGateway", {"Type": "ipsec.1"}),
        ("CreateVolume", {"AvailabilityZone": "eu-west-1a", "Size": 1}),
        ("DescribeTransitGateways", {}),
        ("ModifyVpcPeeringConnectionOptions", {"VpcPeeringConnectionId": PEERING}),
        ("CreateTransitGateway", {}),
    ]:
        with refused("UnsupportedOperation"):
            call(ec2, action, **parameters)


def test_requests_that_are_none(serve):
    assert ask(serve, path="/elsewhere", Action="DescribeVpcs")[0] == 404
    assert ask(serve, method="DELETE", Action="DescribeVpcs")[0] == 405
    connection = http.client.HTTPConnection("127.0.0.1", serve.port, timeout=10)
    for body, headers in [
        (b"\xff\xfe%%%=&&&=1", {}),
        (b"Action=DescribeVpcs", {"Authorization": "AWS4-HMAC-SHA256 Credential=nonsense"}),
        (b"Action=DescribeVpcs", {"Authorization": "Bearer nonsense"}),
        (b"x" * 1000, {"Content-Type": "application/json"}),
    ]:
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        response.read()
        assert response.status < 500
    connection.request("POST", "/", b"Action=DescribeVpcs&" + b"x" * 2_000_000)
    assert connection.getresponse().status == 413
    connection.close()


# --- what there is, and how to find it ---


def test_filters(ec2):
    net = network(ec2)
    other = ec2.create_vpc(
        CidrBlock="10.99.0.0/16",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "the other"}]}],
    )["Vpc"]["VpcId"]

    def found(*filters):
        filters = [{"Name": name, "Values": values} for name, values in filters]
        return {vpc["VpcId"] for vpc in ec2.describe_vpcs(Filters=filters)["Vpcs"]}

    assert found() == {net.vpc, other}
    assert found(("cidr", ["10.99.0.0/16"])) == {other}
    assert found(("cidr", ["10.9*", "10.60.?.0/16"])) == {net.vpc, other}
    assert found(("tag:Name", ["the*"])) == {other} == found(("tag-key", ["Name"]))
    assert found(("tag:Name", ["the*"]), ("vpc-id", [net.vpc])) == set()
    assert found(("vpc-id", [VPC])) == set()
    with refused("InvalidParameterValue"):
        found(("no-such-filter", ["x"]))
    with refused("FilterLimitExceeded"):
        found(("cidr", ["x"] * 201))
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [net.vpc]}])["SecurityGroups"]
    assert {group["GroupName"] for group in groups} == {"default", "open"}


def test_every_filter_that_an_answer_shows_finds_it(busy):
    """What a resource is shown to have finds it."""
    eni, address = busy.interface, busy.interface["PrivateIpAddress"]
    for operation, key, filters in [
        ("describe_instances", "Reservations", {"instance-id": busy.instance, "instance-state-name": "running"}),
        ("describe_instances", "Reservations", {"private-ip-address": address, "vpc-id": busy.vpc}),
        ("describe_instances", "Reservations", {"image-id": IMAGE, "instance.group-id": busy.group}),
        ("describe_network_interfaces", "NetworkInterfaces", {"attachment.instance-id": busy.instance}),
        ("describe_network_interfaces", "NetworkInterfaces", {"mac-address": eni["MacAddress"]}),
        ("describe_subnets", "Subnets", {"vpc-id": busy.vpc, "state": "available"}),
        ("describe_route_tables", "RouteTables", {"association.main": "true", "route.gateway-id": busy.gateway}),
        ("describe_internet_gateways", "InternetGateways", {"attachment.vpc-id": busy.vpc}),
        ("describe_security_groups", "SecurityGroups", {"group-name": "open", "ip-permission.cidr": "0.0.0.0/0"}),
        ("describe_security_group_rules", "SecurityGroupRules", {"group-id": busy.group}),
    ]:
        ask = getattr(busy.ec2, operation)
        pairs = [{"Name": name, "Values": [value]} for name, value in filters.items()]
        assert ask(Filters=pairs)[key], filters
        for pair in pairs:
            assert not ask(Filters=[*pairs, {**pair, "Values": ["nothing-like-it"]}])[key], pair


def test_pages(serve, ec2):
    net = network(ec2, public=False)
    made = {
        ec2.create_security_group(VpcId=net.vpc, GroupName=f"group-{number}", Description="x")["GroupId"]
        for number in range(12)
    }
    pages = list(ec2.get_paginator("describe_security_groups").paginate(PaginationConfig={"PageSize": 5}))
    assert [len(page["SecurityGroups"]) for page in pages] == [5, 5, 4]
    found = [group["GroupId"] for page in pages for group in page["SecurityGroups"]]
    assert len(found) == len(set(found)) and made <= set(found)
    for most in ("4", "1001", "-1", "many", ""):
        status, text = ask(serve, Action="DescribeSecurityGroups", MaxResults=most)
        assert (status, "<Code>InvalidParameterValue<" in text) == (400, True), text
    with refused("InvalidParameterCombination"):
        ec2.describe_security_groups(MaxResults=5, GroupIds=[net.group])
    with refused("InvalidNextToken"):
        ec2.describe_security_groups(MaxResults=5, NextToken="%%%")


def test_tags(ec2):
    net = network(ec2)
    resources = [net.vpc, net.subnet, net.group, net.gateway, net.table]
    ec2.create_tags(Resources=resources, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    assert len(ec2.describe_tags()["Tags"]) == 10
    only = ec2.describe_tags(Filters=[{"Name": "resource-type", "Values": ["subnet"]}])["Tags"]
    assert {(tag["Key"], tag["Value"], tag["ResourceId"]) for tag in only} == {
        ("a", "1", net.subnet),
        ("b", "2", net.subnet),
    }
    # Of all or of none.
    with refused("InvalidVpcID.NotFound"):
        ec2.create_tags(Resources=[net.subnet, VPC], Tags=[{"Key": "c", "Value": "3"}])
    ec2.delete_tags(Resources=resources, Tags=[{"Key": "a"}, {"Key": "b", "Value": "another"}])
    assert {tag["Key"] for tag in ec2.describe_tags()["Tags"]} == {"b"}
    with refused("InvalidParameterValue"):
        ec2.create_tags(Resources=[net.vpc], Tags=[{"Key": "aws:x", "Value": "1"}])
    with refused("TagLimitExceeded"):
        ec2.create_tags(Resources=[net.vpc], Tags=[{"Key": f"k{n}", "Value": ""} for n in range(51)])


# --- what goes only once, or not in this order ---


def test_client_tokens(ec2):
    net = network(ec2, public=False)
    launch = {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1, "SubnetId": net.subnet}
    other = [{"ResourceType": "instance", "Tags": [{"Key": "another", "Value": "request"}]}]
    first, second = (ec2.run_instances(**launch, ClientToken="token") for _ in range(2))
    assert first["ReservationId"] == second["ReservationId"]
    assert first["Instances"][0]["InstanceId"] == second["Instances"][0]["InstanceId"]
    assert instance(ec2, first["Instances"][0]["InstanceId"])["ClientToken"] == "token"
    with refused("IdempotentParameterMismatch"):
        ec2.run_instances(**launch, TagSpecifications=other, ClientToken="token")
    reservations = ec2.describe_instances()["Reservations"]
    assert [len(reservation["Instances"]) for reservation in reservations] == [1]
    terminate(ec2, first["Instances"][0]["InstanceId"])

    new = {"SubnetId": net.subnet, "Description": "one"}
    first, second = (ec2.create_network_interface(**new, ClientToken="token") for _ in range(2))
    assert first["NetworkInterface"] == second["NetworkInterface"]
    with refused("IdempotentParameterMismatch"):
        ec2.create_network_interface(**{**new, "Description": "two"}, ClientToken="token")
    with refused("InvalidParameterValue"):
        ec2.create_network_interface(**new, ClientToken="x" * 65)


def test_a_client_token_that_old_clients_do_not_know(serve):
    # The region of requests without a signature.
    ec2 = serve.ec2()
    vpc = ec2.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]["VpcId"]
    answers = [ask(serve, Action="CreateRouteTable", VpcId=vpc, ClientToken="t") for _ in range(3)]
    assert len({tuple(re.findall("rtb-[0-9a-f]+", text)) for _, text in answers}) == 1
    assert len(ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]) == 2


def test_what_is_needed_cannot_go(busy):
    ec2, eni = busy.ec2, busy.interface
    for action, parameters, code in [
        ("DeleteVpc", {"VpcId": busy.vpc}, "DependencyViolation"),
        ("DeleteSubnet", {"SubnetId": busy.subnet}, "DependencyViolation"),
        ("DeleteInternetGateway", {"InternetGatewayId": busy.gateway}, "DependencyViolation"),
        ("DeleteRouteTable", {"RouteTableId": busy.table}, "DependencyViolation"),
        ("DeleteSecurityGroup", {"GroupId": busy.group}, "DependencyViolation"),
        ("DeleteNetworkInterface", {"NetworkInterfaceId": eni["NetworkInterfaceId"]}, "InvalidParameterValue"),
        ("DetachNetworkInterface", {"AttachmentId": eni["Attachment"]["AttachmentId"]}, "OperationNotPermitted"),
    ]:
        with refused(code):
            call(ec2, action, **parameters)
    (default,) = ec2.describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [busy.vpc]}, {"Name": "group-name", "Values": ["default"]}]
    )["SecurityGroups"]
    with refused("CannotDelete"):
        ec2.delete_security_group(GroupId=default["GroupId"])


def test_what_is_there_cannot_come_again(busy):
    ec2 = busy.ec2
    other = ec2.create_vpc(CidrBlock="10.98.0.0/16")["Vpc"]["VpcId"]
    route = {"RouteTableId": busy.table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": busy.gateway}
    same = {"GroupId": busy.group, "IpPermissions": [{"IpProtocol": "-1", "IpRanges": EVERYWHERE}]}
    launch = {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1, "SubnetId": busy.subnet}
    nowhere = {"RouteTableId": busy.table, "DestinationCidrBlock": "10.1.0.0/16"}
    twin = {"VpcId": busy.vpc, "GroupName": "open", "Description": "x"}
    taken = busy.interface["PrivateIpAddress"]
    for action, parameters, code in [
        ("CreateVpc", {"CidrBlock": "10.0.0.0/8"}, "InvalidVpc.Range"),
        ("CreateVpc", {"CidrBlock": "10.0.0.0"}, "InvalidParameterValue"),
        ("CreateSubnet", {"VpcId": busy.vpc, "CidrBlock": "10.60.0.128/25"}, "InvalidSubnet.Conflict"),
        ("CreateSubnet", {"VpcId": busy.vpc, "CidrBlock": "10.61.0.0/24"}, "InvalidSubnet.Range"),
        ("AttachInternetGateway", {"InternetGatewayId": busy.gateway, "VpcId": other}, "Resource.AlreadyAssociated"),
        ("DetachInternetGateway", {"InternetGatewayId": busy.gateway, "VpcId": other}, "Gateway.NotAttached"),
        ("CreateRoute", route, "RouteAlreadyExists"),
        ("CreateRoute", {**nowhere, "GatewayId": GATEWAY}, "InvalidGatewayID.NotFound"),
        ("DeleteRoute", nowhere, "InvalidRoute.NotFound"),
        ("CreateSecurityGroup", twin, "InvalidGroup.Duplicate"),
        ("AuthorizeSecurityGroupIngress", same, "InvalidPermission.Duplicate"),
        ("RunInstances", {**launch, "PrivateIpAddress": taken}, "InvalidIPAddress.InUse"),
        ("RunInstances", {**launch, "PrivateIpAddress": "10.60.0.1"}, "InvalidParameterValue"),
        ("RunInstances", {**launch, "ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ("RunInstances", {**launch, "InstanceType": "t99.colossal"}, "InvalidParameterValue"),
        ("RunInstances", {**launch, "KeyName": "nobody"}, "InvalidKeyPair.NotFound"),
        ("RunInstances", {**launch, "MinCount": 2}, "InvalidParameterValue"),
        ("RunInstances", {**launch, "SecurityGroupIds": [GROUP]}, "InvalidGroup.NotFound"),
        ("RunInstances", {**launch, "IamInstanceProfile": {"Name": "x"}}, "UnsupportedOperation"),
        ("StartInstances", {"InstanceIds": [busy.instance, INSTANCE]}, "InvalidInstanceID.NotFound"),
    ]:
        with refused(code):
            call(ec2, action, **parameters)
    with refused("InvalidPermission.NotFound"):
        ec2.revoke_security_group_ingress(GroupId=busy.group, IpPermissions=PERMISSION)
    ec2.delete_vpc(VpcId=other)


def test_quotas(ec2):
    for number in range(5):
        ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")
    with refused("VpcLimitExceeded"):
        ec2.create_vpc(CidrBlock="10.5.0.0/16")
    for _ in range(5):
        ec2.allocate_address()
    with refused("AddressLimitExceeded"):
        ec2.allocate_address()
    for address in ec2.describe_addresses()["Addresses"]:
        ec2.release_address(AllocationId=address["AllocationId"])


# --- each resource from its beginning to its end ---


def test_a_network_comes_and_goes(ec2):
    vpc = ec2.create_vpc(CidrBlock="10.70.0.0/16")["Vpc"]
    assert (vpc["State"], vpc["CidrBlock"]) in (("pending", "10.70.0.0/16"), ("available", "10.70.0.0/16"))
    id = vpc["VpcId"]
    ec2.get_waiter("vpc_exists").wait(VpcIds=[id])
    ec2.get_waiter("vpc_available").wait(VpcIds=[id])
    second = ec2.associate_vpc_cidr_block(VpcId=id, CidrBlock="10.71.0.0/16")["CidrBlockAssociation"]
    subnet = ec2.create_subnet(VpcId=id, CidrBlock="10.71.1.0/24")["Subnet"]
    assert subnet["AvailableIpAddressCount"] == 251
    ec2.get_waiter("subnet_available").wait(SubnetIds=[subnet["SubnetId"]])
    with refused("InvalidCidrBlock.InUse"):
        ec2.disassociate_vpc_cidr_block(AssociationId=second["AssociationId"])
    (main,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [id]}])["RouteTables"]
    routes = {(route["DestinationCidrBlock"], route["GatewayId"]) for route in main["Routes"]}
    assert routes == {("10.70.0.0/16", "local"), ("10.71.0.0/16", "local")}
    table = ec2.create_route_table(VpcId=id)["RouteTable"]["RouteTableId"]
    association = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet["SubnetId"])["AssociationId"]
    with refused("Resource.AlreadyAssociated"):
        ec2.associate_route_table(RouteTableId=main["RouteTableId"], SubnetId=subnet["SubnetId"])
    with refused("DependencyViolation"):
        ec2.delete_route_table(RouteTableId=table)
    association = ec2.replace_route_table_association(AssociationId=association, RouteTableId=main["RouteTableId"])
    eni = ec2.create_network_interface(SubnetId=subnet["SubnetId"], PrivateIpAddress="10.71.1.77")["NetworkInterface"]
    ec2.get_waiter("network_interface_available").wait(NetworkInterfaceIds=[eni["NetworkInterfaceId"]])
    ec2.assign_private_ip_addresses(NetworkInterfaceId=eni["NetworkInterfaceId"], PrivateIpAddresses=["10.71.1.78"])
    ec2.create_route(
        RouteTableId=table, DestinationCidrBlock="192.0.2.0/24", NetworkInterfaceId=eni["NetworkInterfaceId"]
    )
    (found,) = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    assert {route["State"] for route in found["Routes"]} == {"active", "blackhole"}
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="192.0.2.0/24")
    (shown,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[eni["NetworkInterfaceId"]])["NetworkInterfaces"]
    assert [a["PrivateIpAddress"] for a in shown["PrivateIpAddresses"]] == ["10.71.1.77", "10.71.1.78"]
    assert ec2.describe_vpc_attribute(VpcId=id, Attribute="enableDnsSupport")["EnableDnsSupport"]["Value"] is True

    ec2.unassign_private_ip_addresses(NetworkInterfaceId=eni["NetworkInterfaceId"], PrivateIpAddresses=["10.71.1.78"])
    ec2.delete_network_interface(NetworkInterfaceId=eni["NetworkInterfaceId"])
    ec2.disassociate_route_table(AssociationId=association["NewAssociationId"])
    ec2.delete_route_table(RouteTableId=table)
    ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.disassociate_vpc_cidr_block(AssociationId=second["AssociationId"])
    ec2.delete_vpc(VpcId=id)
    with refused("InvalidVpcID.NotFound"):
        ec2.describe_vpcs(VpcIds=[id])
    assert ec2.describe_route_tables()["RouteTables"] == ec2.describe_security_groups()["SecurityGroups"] == []


def test_a_security_group_comes_and_goes(ec2):
    vpc = ec2.create_vpc(CidrBlock="10.70.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(VpcId=vpc, GroupName="web", Description="for the web")["GroupId"]
    ec2.get_waiter("security_group_exists").wait(GroupIds=[group])
    ranges = [{"CidrIp": "10.0.0.0/8", "Description": "old"}]
    permissions = [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "IpRanges": ranges}]
    rule = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)["SecurityGroupRules"][0]
    assert (rule["FromPort"], rule["ToPort"], rule["CidrIpv4"], rule["IsEgress"]) == (80, 81, "10.0.0.0/8", False)
    id = rule["SecurityGroupRuleId"]
    ec2.update_security_group_rule_descriptions_ingress(
        GroupId=group, SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": id, "Description": "new"}]
    )
    (rule,) = ec2.describe_security_group_rules(SecurityGroupRuleIds=[id])["SecurityGroupRules"]
    assert rule["Description"] == "new"
    (shown,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert shown["IpPermissions"][0]["IpRanges"] == [{"CidrIp": "10.0.0.0/8", "Description": "new"}]
    assert shown["IpPermissionsEgress"][0]["IpProtocol"] == "-1"
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[id])
    assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"] == []
    discard = {"IpProtocol": "tcp", "FromPort": 9, "ToPort": 9}
    for bad, code in [
        ({"IpProtocol": "tcp", "IpRanges": EVERYWHERE}, "InvalidParameterValue"),
        ({**discard, "ToPort": 8, "IpRanges": EVERYWHERE}, "InvalidParameterValue"),
        ({**discard, "UserIdGroupPairs": [{"GroupId": GROUP}]}, "InvalidGroup.NotFound"),
        ({**discard, "IpRanges": [{"CidrIp": "10.0.0.1/8x"}]}, "InvalidParameterValue"),
    ]:
        with refused(code):
            ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[bad])
    ec2.delete_security_group(GroupId=group)
    with refused("InvalidGroup.NotFound"):
        ec2.delete_security_group(GroupId=group)


def test_waiters_and_states_of_an_instance(ec2):
    net = network(ec2)
    one = run(ec2, net.subnet, net.group, wait=False)
    soon = {"Delay": 1, "MaxAttempts": 20}
    for waiter in ("instance_exists", "instance_running", "instance_status_ok", "system_status_ok"):
        ec2.get_waiter(waiter).wait(InstanceIds=[one], WaiterConfig=soon)
    ec2.stop_instances(InstanceIds=[one])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[one], WaiterConfig=soon)
    ec2.modify_instance_attribute(InstanceId=one, UserData={"Value": b"#!/bin/true\n"})
    ec2.modify_instance_attribute(InstanceId=one, InstanceType={"Value": "m4.large"})
    assert instance(ec2, one)["InstanceType"] == "m4.large"
    ec2.start_instances(InstanceIds=[one])
    ec2.get_waiter("instance_running").wait(InstanceIds=[one], WaiterConfig=soon)
    with refused("IncorrectInstanceState"):
        ec2.modify_instance_attribute(InstanceId=one, InstanceType={"Value": "m1.small"})
    ec2.modify_instance_attribute(InstanceId=one, DisableApiTermination={"Value": True})
    with refused("OperationNotPermitted"):
        ec2.terminate_instances(InstanceIds=[one])
    ec2.modify_instance_attribute(InstanceId=one, DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[one])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[one], WaiterConfig=soon)
    assert instance(ec2, one)["StateReason"]["Code"] == "Client.UserInitiatedShutdown"


def test_elastic_ips(busy):
    ec2 = busy.ec2
    one, two = ec2.allocate_address(), ec2.allocate_address()
    eni = busy.interface["NetworkInterfaceId"]
    association = ec2.associate_address(AllocationId=one["AllocationId"], InstanceId=busy.instance)["AssociationId"]
    with refused("Resource.AlreadyAssociated"):
        ec2.associate_address(AllocationId=two["AllocationId"], NetworkInterfaceId=eni, AllowReassociation=False)
    with refused("InvalidIPAddress.InUse"):
        ec2.release_address(AllocationId=one["AllocationId"])
    with refused("DependencyViolation"):
        ec2.detach_internet_gateway(InternetGatewayId=busy.gateway, VpcId=busy.vpc)
    assert ec2.describe_addresses(PublicIps=[one["PublicIp"]])["Addresses"][0]["InstanceId"] == busy.instance
    ec2.disassociate_address(AssociationId=association)
    for address in (one, two):
        ec2.release_address(AllocationId=address["AllocationId"])
    with refused("InvalidAddress.NotFound"):
        ec2.describe_addresses(PublicIps=[one["PublicIp"]])


def test_key_pairs(ec2):
    imported = ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=KEY)
    with refused("InvalidKeyPair.Duplicate"):
        ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=KEY)
    with refused("InvalidKey.Format"):
        ec2.import_key_pair(KeyName="other", PublicKeyMaterial=b"not a key")
    (shown,) = ec2.describe_key_pairs(KeyNames=["mine"])["KeyPairs"]
    assert shown["KeyPairId"] == imported["KeyPairId"]
    ec2.delete_key_pair(KeyName="mine")
    with refused("InvalidKeyPair.NotFound"):
        ec2.describe_key_pairs(KeyNames=["mine"])


def test_places_images_and_types(serve, ec2):
    (image,) = ec2.describe_images(Owners=["self"])["Images"]
    assert (image["ImageId"], image["State"]) == (IMAGE, "available")
    types = ec2.describe_instance_types(InstanceTypes=["m4.large"])["InstanceTypes"]
    assert [each["InstanceType"] for each in types] == ["m4.large"]
    assert ec2.describe_regions(RegionNames=["eu-west-1"])["Regions"][0]["RegionName"] == "eu-west-1"
    zones = serve.ec2().describe_availability_zones()["AvailabilityZones"]
    assert {zone["RegionName"] for zone in zones} == {"eu-west-1"}
    identity = serve.sts().get_caller_identity()
    assert identity["Account"] == "000000000000"


def test_nothing_half_is_done(ec2):
    """A request of several parts, the last of which is refused."""
    net = network(ec2)
    one = run(ec2, net.subnet, net.group)
    with refused("InvalidInstanceID.NotFound"):
        ec2.terminate_instances(InstanceIds=[one, INSTANCE])
    in_state(ec2, "running", one)
    both = [PERMISSION[0], {"IpProtocol": "-1", "IpRanges": EVERYWHERE}]
    with refused("InvalidPermission.Duplicate"):
        ec2.authorize_security_group_ingress(GroupId=net.group, IpPermissions=both)
    (group,) = ec2.describe_security_groups(GroupIds=[net.group])["SecurityGroups"]
    assert [permission["IpProtocol"] for permission in group["IpPermissions"]] == ["-1"]
    terminate(ec2, one)
