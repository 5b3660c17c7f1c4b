"""What NAT gateways, network ACLs, peering connections and the default VPC go through while `serve` runs."""

import itertools

import pytest
from conftest import until
from endpoint import IMAGE, ask, in_state, network, refused, terminate

regions = (f"zz-gateways-{number}" for number in itertools.count(1))


@pytest.fixture
def ec2(serve):
    """A region of the test's own, in which nothing is."""
    return serve.ec2(next(regions))


def nat_gateway(ec2, id):
    (gateway,) = ec2.describe_nat_gateways(NatGatewayIds=[id])["NatGateways"]
    return gateway


def created(ec2, net, **options):
    address = ec2.allocate_address()["AllocationId"]
    made = ec2.create_nat_gateway(SubnetId=net.subnet, AllocationId=address, **options)["NatGateway"]
    wait = {"Delay": 1, "MaxAttempts": 20}
    ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[made["NatGatewayId"]], WaiterConfig=wait)
    return made["NatGatewayId"], address


def deleted(ec2, id, address):
    ec2.delete_nat_gateway(NatGatewayId=id)
    until(lambda: nat_gateway(ec2, id)["State"] == "deleted")
    ec2.release_address(AllocationId=address)


def test_a_nat_gateway_comes_and_goes(ec2):
    net = network(ec2)
    id, address = created(ec2, net)
    gateway = nat_gateway(ec2, id)
    (used,) = gateway["NatGatewayAddresses"]
    (eni,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[used["NetworkInterfaceId"]])["NetworkInterfaces"]
    assert (eni["InterfaceType"], eni["RequesterManaged"], eni["Status"]) == ("nat_gateway", True, "in-use")
    assert eni["PrivateIpAddress"] == used["PrivateIp"] and eni["Association"]["PublicIp"] == used["PublicIp"]
    with refused("AuthFailure"):
        ec2.disassociate_address(AssociationId=eni["Association"]["AssociationId"])
    deleted(ec2, id, address)
    assert not ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert nat_gateway(ec2, id)["DeleteTime"] >= gateway["CreateTime"]


def test_a_nat_gateway_outlives_its_daemon(serve, ec2):
    net = network(ec2)
    id, address = created(ec2, net)
    before = nat_gateway(ec2, id)
    serve.restart()
    assert nat_gateway(ec2, id) == before
    ec2.delete_nat_gateway(NatGatewayId=id)
    serve.restart()
    until(lambda: nat_gateway(ec2, id)["State"] == "deleted")
    ec2.release_address(AllocationId=address)


def test_an_address_drains(serve):
    """Asked as the wire has it, for the system's botocore does not know these actions."""
    # The region of requests without a signature.
    ec2 = serve.ec2()
    net = network(ec2)
    id, address = created(ec2, net)
    second = ec2.allocate_address()["AllocationId"]

    def fine(action, **parameters):
        status, text = ask(serve, Action=action, NatGatewayId=id, **parameters)
        assert status == 200, text
        return text

    assert fine("AssociateNatGatewayAddress", **{"AllocationId.1": second}).count("<publicIp>") == 2
    (mapped,) = ec2.describe_addresses(AllocationIds=[second])["Addresses"]
    leaving = {"AssociationId.1": mapped["AssociationId"], "MaxDrainDurationSeconds": 1}
    assert "disassociating" in fine("DisassociateNatGatewayAddress", **leaving)
    until(lambda: len(nat_gateway(ec2, id)["NatGatewayAddresses"]) == 1)
    ec2.release_address(AllocationId=second)
    deleted(ec2, id, address)


def test_network_acls(ec2):
    net = network(ec2, public=False)
    (default,) = ec2.describe_network_acls(Filters=[{"Name": "default", "Values": ["true"]}])["NetworkAcls"]
    assert [entry["RuleNumber"] for entry in default["Entries"]] == [100, 32767, 100, 32767]
    (association,) = default["Associations"]
    acl = ec2.create_network_acl(VpcId=net.vpc)["NetworkAcl"]["NetworkAclId"]
    entry = {"NetworkAclId": acl, "Egress": True, "RuleNumber": 7}
    ec2.create_network_acl_entry(
        **entry, Protocol="17", RuleAction="allow", CidrBlock="0.0.0.0/0", PortRange={"From": 53, "To": 53}
    )
    new = ec2.replace_network_acl_association(
        AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl
    )["NewAssociationId"]
    with refused("DependencyViolation"):
        ec2.delete_network_acl(NetworkAclId=acl)
    (shown,) = ec2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"]
    assert shown["Associations"][0]["SubnetId"] == net.subnet
    assert {"From": 53, "To": 53} in [entry.get("PortRange") for entry in shown["Entries"]]
    ec2.replace_network_acl_association(AssociationId=new, NetworkAclId=default["NetworkAclId"])
    ec2.delete_network_acl_entry(**entry)
    ec2.delete_network_acl(NetworkAclId=acl)


def test_peering(ec2):
    one = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    other = ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    made = ec2.create_vpc_peering_connection(VpcId=one, PeerVpcId=other)["VpcPeeringConnection"]
    assert made["Status"]["Code"] == "pending-acceptance" and made["ExpirationTime"]
    id = made["VpcPeeringConnectionId"]
    accepted = ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=id)["VpcPeeringConnection"]
    assert accepted["AccepterVpcInfo"]["CidrBlock"] == "10.2.0.0/16"
    with refused("DependencyViolation"):
        ec2.delete_vpc(VpcId=other)
    ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=id)
    ec2.delete_vpc(VpcId=other)


def test_the_default_vpc(ec2):
    with refused("VPCIdNotSpecified"):
        ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1)
    vpc = ec2.create_default_vpc()["Vpc"]
    assert (vpc["IsDefault"], vpc["CidrBlock"]) == (True, "172.31.0.0/16")
    (made,) = ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1)["Instances"]
    assert made["VpcId"] == vpc["VpcId"]
    in_state(ec2, "running", made["InstanceId"])
    terminate(ec2, made["InstanceId"])
