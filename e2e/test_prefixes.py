"""Prefixes of network interfaces, by real packets; and reservations of the addresses of subnets."""

import ipaddress
import types

import pytest
from conftest import until
from endpoint import IMAGE, in_state, network, refused, run

MACS = "http://169.254.169.254/latest/meta-data/network/interfaces/macs"


@pytest.fixture(scope="module")
def cloud(serve):
    """Two instances of a subnet with both families."""
    ec2 = serve.ec2("zz-prefix-1")
    net = network(ec2, cidr="10.66.0.0/16")
    net.ec2 = ec2
    ec2.associate_vpc_cidr_block(VpcId=net.vpc, AmazonProvidedIpv6CidrBlock=True)
    block = ec2.describe_vpcs(VpcIds=[net.vpc])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
    ec2.associate_subnet_cidr_block(SubnetId=net.subnet, Ipv6CidrBlock=block.replace("/56", "/64"))
    ec2.modify_subnet_attribute(SubnetId=net.subnet, AssignIpv6AddressOnCreation={"Value": True})
    six = [{"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=net.group, IpPermissions=six)
    ids = run(ec2, net.subnet, net.group, count=2, InstanceType="t3.micro")
    net.a, net.b = (machine(ec2, id) for id in ids)
    return net


def machine(ec2, id):
    (eni,) = ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"][0]["NetworkInterfaces"]
    return types.SimpleNamespace(
        id=id,
        eni=eni["NetworkInterfaceId"],
        mac=eni["MacAddress"],
        ip=eni["PrivateIpAddress"],
        ip6=eni["Ipv6Addresses"][0]["Ipv6Address"],
    )


def pings(serve, who, to, source=None):
    source = ["-I", source] if source else []
    return serve.exec(who.id, "ping", "-c1", "-W1", *source, to, check=False).returncode == 0


def has(serve, who, address):
    """Has the machine take an address, as whoever hands out a prefix inside would."""
    length = ipaddress.ip_address(address).max_prefixlen
    flags = ["nodad"] if ":" in address else []
    serve.exec(who.id, "ip", "address", "add", f"{address}/{length}", "dev", "eth0", *flags)


def assign(cloud, family):
    ec2, eni = cloud.ec2, cloud.b.eni
    if family == 4:
        assigned = ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, Ipv4PrefixCount=1)["AssignedIpv4Prefixes"]
        return assigned[0]["Ipv4Prefix"]
    return ec2.assign_ipv6_addresses(NetworkInterfaceId=eni, Ipv6PrefixCount=1)["AssignedIpv6Prefixes"][0]


def unassign(cloud, family, prefix):
    ec2, eni = cloud.ec2, cloud.b.eni
    if family == 4:
        ec2.unassign_private_ip_addresses(NetworkInterfaceId=eni, Ipv4Prefixes=[prefix])
    else:
        ec2.unassign_ipv6_addresses(NetworkInterfaceId=eni, Ipv6Prefixes=[prefix])


@pytest.mark.parametrize("family", [4, 6])
def test_every_address_of_a_prefix_is_the_instances(serve, cloud, family):
    a, b = cloud.a, cloud.b
    prefix = assign(cloud, family)
    block = ipaddress.ip_network(prefix)
    assert block.prefixlen == {4: 28, 6: 80}[family]
    inside, beside = str(block[5]), str(block.broadcast_address + 1)
    for address in (inside, beside):
        has(serve, b, address)
    until(lambda: pings(serve, a, inside))
    near = a.ip if family == 4 else a.ip6
    assert pings(serve, b, near, source=inside)
    # What is beside the prefix is not the interface's: neither may it be sent from, nor does it get there.
    before = serve.dropped(b.id, "SourceCheck")
    assert not pings(serve, b, near, source=beside)
    assert serve.dropped(b.id, "SourceCheck") > before
    assert not pings(serve, a, beside)

    name = f"ipv{family}-prefix"
    assert serve.exec(b.id, "curl", "-s", f"{MACS}/{b.mac}/{name}").stdout.strip() == prefix
    shown = cloud.ec2.describe_network_interfaces(NetworkInterfaceIds=[b.eni])["NetworkInterfaces"][0]
    assert shown[f"Ipv{family}Prefixes"] == [{f"Ipv{family}Prefix": prefix}]
    serve.restart()
    until(lambda: pings(serve, a, inside))
    unassign(cloud, family, prefix)
    until(lambda: not pings(serve, a, inside))
    with refused("InvalidParameterValue"):
        unassign(cloud, family, prefix)


def test_a_launch_has_the_prefixes_it_asks_for(serve, cloud):
    ec2 = cloud.ec2
    reserve = {"SubnetId": cloud.subnet, "Cidr": "10.66.0.128/27", "ReservationType": "prefix"}
    reserved = ec2.create_subnet_cidr_reservation(**reserve)["SubnetCidrReservation"]
    interface = {"DeviceIndex": 0, "SubnetId": cloud.subnet, "Groups": [cloud.group], "Ipv4PrefixCount": 1}
    ask = {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1, "NetworkInterfaces": [interface]}
    with refused("InvalidParameterCombination"):
        ec2.run_instances(**ask, InstanceType="t2.micro")
    launched = ec2.run_instances(**ask, InstanceType="t3.micro")["Instances"][0]
    prefixes = launched["NetworkInterfaces"][0]["Ipv4Prefixes"]
    assert prefixes == [{"Ipv4Prefix": "10.66.0.128/28"}], "of the reservation for prefixes"
    in_state(ec2, "running", launched["InstanceId"])
    new = machine(ec2, launched["InstanceId"])
    has(serve, new, "10.66.0.130")
    assert pings(serve, cloud.a, "10.66.0.130")
    terminated = ec2.terminate_instances(InstanceIds=[new.id])
    assert terminated["TerminatingInstances"]
    in_state(ec2, "terminated", new.id)
    ec2.delete_subnet_cidr_reservation(SubnetCidrReservationId=reserved["SubnetCidrReservationId"])


def test_reserved_addresses_are_only_for_who_names_them(serve, cloud):
    ec2 = cloud.ec2
    (subnet,) = ec2.describe_subnets(SubnetIds=[cloud.subnet])["Subnets"]
    reserve = {"SubnetId": cloud.subnet, "Cidr": "10.66.0.0/25", "ReservationType": "explicit"}
    reserved = ec2.create_subnet_cidr_reservation(**reserve, Description="by hand")["SubnetCidrReservation"]
    with refused("InvalidParameterValue"):
        ec2.create_subnet_cidr_reservation(**reserve)
    serve.restart()
    found = ec2.get_subnet_cidr_reservations(SubnetId=cloud.subnet)
    assert found["SubnetIpv4CidrReservations"] == [reserved]
    assert found["SubnetIpv6CidrReservations"] == []
    (now,) = ec2.describe_subnets(SubnetIds=[cloud.subnet])["Subnets"]
    assert now["AvailableIpAddressCount"] == subnet["AvailableIpAddressCount"]

    made = []
    for asked, got in (({}, "10.66.0.128"), ({"PrivateIpAddress": "10.66.0.99"}, "10.66.0.99")):
        eni = ec2.create_network_interface(SubnetId=cloud.subnet, **asked)["NetworkInterface"]
        assert eni["PrivateIpAddress"] == got
        made.append(eni["NetworkInterfaceId"])
    id = {"SubnetCidrReservationId": reserved["SubnetCidrReservationId"]}
    assert ec2.delete_subnet_cidr_reservation(**id)["DeletedSubnetCidrReservation"] == reserved
    with refused("InvalidSubnetCidrReservationID.NotFound"):
        ec2.delete_subnet_cidr_reservation(**id)
    for eni in made:
        ec2.delete_network_interface(NetworkInterfaceId=eni)
