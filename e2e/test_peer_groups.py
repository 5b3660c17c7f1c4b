"""Rules about groups of a peer VPC, with real packets."""

import types

import pytest
from conftest import until
from endpoint import instance, network, refused, run


@pytest.fixture(scope="module")
def net(serve):
    """Two VPCs that are joined: in the far one a friend and a stranger, of a group each."""
    ec2 = serve.ec2()
    made = types.SimpleNamespace(ec2=ec2)
    made.near, made.far = side(ec2, "10.61.0.0/16"), side(ec2, "10.62.0.0/16")
    join(ec2, made)
    made.friends = group(ec2, made.far.vpc, "friends")
    made.strangers = group(ec2, made.far.vpc, "strangers")
    made.webs = group(ec2, made.near.vpc, "webs")
    made.web = run(ec2, made.near.subnet, made.webs, InstanceType="t3.micro")
    made.friend = run(ec2, made.far.subnet, made.friends, InstanceType="t3.micro")
    made.stranger = run(ec2, made.far.subnet, made.strangers, InstanceType="t3.micro")
    return made


def side(ec2, cidr):
    made = network(ec2, cidr, public=False)
    block = ec2.associate_vpc_cidr_block(VpcId=made.vpc, AmazonProvidedIpv6CidrBlock=True)
    made.block = block["Ipv6CidrBlockAssociation"]["Ipv6CidrBlock"]
    part = made.block.replace("/56", "/64")
    ec2.associate_subnet_cidr_block(SubnetId=made.subnet, Ipv6CidrBlock=part)
    ec2.modify_subnet_attribute(SubnetId=made.subnet, AssignIpv6AddressOnCreation={"Value": True})
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [made.vpc]}])["RouteTables"]
    made.table, made.cidr = tables[0]["RouteTableId"], cidr
    return made


def join(ec2, net):
    """Joins the two VPCs, and leads what is for the other one there."""
    asked = ec2.create_vpc_peering_connection(VpcId=net.near.vpc, PeerVpcId=net.far.vpc)
    net.peering = asked["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=net.peering)
    for here, there in ((net.near, net.far), (net.far, net.near)):
        table = ec2.describe_route_tables(RouteTableIds=[here.table])["RouteTables"][0]
        old = [route for route in table["Routes"] if "VpcPeeringConnectionId" in route]
        lead = ec2.replace_route if old else ec2.create_route
        via = {"RouteTableId": here.table, "VpcPeeringConnectionId": net.peering}
        lead(**via, DestinationCidrBlock=there.cidr)
        lead(**via, DestinationIpv6CidrBlock=there.block)


def group(ec2, vpc, name):
    return ec2.create_security_group(VpcId=vpc, GroupName=name, Description=name)["GroupId"]


def pair(peer):
    return [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": peer}]}]


def addresses(ec2, id):
    (interface,) = instance(ec2, id)["NetworkInterfaces"]
    return interface["PrivateIpAddress"], interface["Ipv6Addresses"][0]["Ipv6Address"]


def reached(serve, who, addresses):
    """Those of the addresses, one of each family, that answer."""
    return [address for address in addresses if serve.pings(who, address)]


LISTEN = """
    import socket
    server = socket.create_server(("", 7000))
    while True:
        server.accept()[0].close()
"""
CONNECT = """
    import socket, sys
    try:
        socket.create_connection((sys.argv[1], 7000), timeout=2).close()
        print("reached")
    except TimeoutError:
        print("not reached")
"""


def test_members_are_let_in_until_the_connection_is_gone(serve, net):
    ec2, web = net.ec2, addresses(net.ec2, net.web)
    assert not reached(serve, net.friend, web)
    ec2.authorize_security_group_ingress(GroupId=net.webs, IpPermissions=pair(net.friends))
    until(lambda: len(reached(serve, net.friend, web)) == 2)
    assert not reached(serve, net.stranger, web)
    assert not reached(serve, net.web, addresses(ec2, net.friend)), "not the other way round"
    assert ec2.describe_security_group_references(GroupId=[net.friends])["SecurityGroupReferenceSet"] == [
        {"GroupId": net.friends, "ReferencingVpcId": net.near.vpc, "VpcPeeringConnectionId": net.peering}
    ]
    with serve.python_background(net.web, LISTEN):
        serve.wait_for_port(net.web, 7000)
        assert serve.python(net.friend, CONNECT, web[0]) == "reached\n"
        assert serve.python(net.stranger, CONNECT, web[0]) == "not reached\n"
    words, code = serve.explain(net.friend, net.web)
    assert code == 0 and f"members of {net.friends} across {net.peering}" in str(words), words

    # The other way round: who may leave, and where to.
    (shown,) = ec2.describe_security_groups(GroupIds=[net.webs])["SecurityGroups"]
    ec2.revoke_security_group_egress(GroupId=net.webs, IpPermissions=shown["IpPermissionsEgress"])
    ec2.authorize_security_group_egress(GroupId=net.webs, IpPermissions=pair(net.strangers))
    for far in (net.strangers, net.friends):
        ec2.authorize_security_group_ingress(GroupId=far, IpPermissions=pair(net.webs))
    until(lambda: len(reached(serve, net.web, addresses(ec2, net.stranger))) == 2)
    assert not reached(serve, net.web, addresses(ec2, net.friend))

    ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=net.peering)
    stale = ec2.describe_stale_security_groups(VpcId=net.near.vpc)["StaleSecurityGroupSet"]
    (found,) = [each for each in stale if each["GroupId"] == net.webs]
    (rule,) = found["StaleIpPermissions"]
    (peer,) = rule["UserIdGroupPairs"]
    assert peer == {
        "GroupId": net.friends,
        "UserId": "000000000000",
        "VpcId": net.far.vpc,
        "VpcPeeringConnectionId": net.peering,
        "PeeringStatus": "deleted",
    }
    # Joined anew the road is open, and the rule as it was; what is shown of it can be given back.
    join(ec2, net)
    until(lambda: "SecurityGroup" in str(serve.explain(net.friend, net.web)[0]["there"]["outcome"]))
    assert not reached(serve, net.friend, web)
    (shown,) = ec2.describe_security_groups(GroupIds=[net.webs])["SecurityGroups"]
    ec2.revoke_security_group_ingress(GroupId=net.webs, IpPermissions=shown["IpPermissions"])
    ec2.authorize_security_group_ingress(GroupId=net.webs, IpPermissions=pair(net.friends))
    until(lambda: len(reached(serve, net.friend, web)) == 2)

    # What only a peer refers to can go.
    alone = group(ec2, net.far.vpc, "alone")
    ec2.modify_instance_attribute(InstanceId=net.friend, Groups=[alone])
    until(lambda: not reached(serve, net.friend, web))
    ec2.revoke_security_group_ingress(GroupId=net.friends, IpPermissions=pair(net.webs))
    ec2.delete_security_group(GroupId=net.friends)
    stale = ec2.describe_stale_security_groups(VpcId=net.near.vpc)["StaleSecurityGroupSet"]
    assert net.webs in [each["GroupId"] for each in stale]


def test_only_vpcs_that_are_joined(net):
    third = network(net.ec2, "10.63.0.0/16", public=False)
    with refused("InvalidGroup.NotFound"):
        net.ec2.authorize_security_group_ingress(GroupId=net.webs, IpPermissions=pair(third.group))
