"""IPv6 as boto3 asks for it and sees it; as the instance is told of it; and as it is found again after a restart."""

from conftest import until
from endpoint import IMAGE, in_state, refused


def test_from_a_block_to_an_instance_s_addresses(serve):
    ec2 = serve.ec2("zz-six-1")
    vpc = ec2.create_vpc(CidrBlock="10.60.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
    block = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"][0]
    assert block["Ipv6CidrBlock"] == "2001:db8::/56"
    assert block["Ipv6CidrBlockState"]["State"] == "associated"
    part = block["Ipv6CidrBlock"].replace("/56", "/64")
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.60.1.0/24", Ipv6CidrBlock=part)["Subnet"]
    assert subnet["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"] == part
    subnet = subnet["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=subnet, AssignIpv6AddressOnCreation={"Value": True})
    assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["AssignIpv6AddressOnCreation"]

    with refused("InvalidParameterCombination"):
        ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1, SubnetId=subnet, InstanceType="t1.micro")
    launched = ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1, SubnetId=subnet, InstanceType="t3.micro")
    instance = launched["Instances"][0]["InstanceId"]
    interface = launched["Instances"][0]["NetworkInterfaces"][0]
    first = part.replace("/64", "4")
    assert [address["Ipv6Address"] for address in interface["Ipv6Addresses"]] == [first]
    eni = interface["NetworkInterfaceId"]
    more = ec2.assign_ipv6_addresses(NetworkInterfaceId=eni, Ipv6AddressCount=1)["AssignedIpv6Addresses"]
    assert more == [part.replace("/64", "5")]

    in_state(ec2, "running", instance)
    macs = "http://169.254.169.254/latest/meta-data/network/interfaces/macs"
    script = "for f in ipv6s subnet-ipv6-cidr-blocks vpc-ipv6-cidr-blocks; do curl -s $0/$f; echo; done"
    told = serve.exec(instance, "sh", "-c", script, f"{macs}/{interface['MacAddress']}").stdout.split()
    assert told == [first, *more, part, block["Ipv6CidrBlock"]]

    gateway = ec2.create_egress_only_internet_gateway(VpcId=vpc)["EgressOnlyInternetGateway"]
    gateway = gateway["EgressOnlyInternetGatewayId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationIpv6CidrBlock="::/0", EgressOnlyInternetGatewayId=gateway)
    offices = ec2.create_managed_prefix_list(
        PrefixListName="offices", AddressFamily="IPv6", MaxEntries=2, Entries=[{"Cidr": "2001:db8:ff00::/48"}]
    )["PrefixList"]
    ec2.create_route(RouteTableId=table, DestinationPrefixListId=offices["PrefixListId"], NetworkInterfaceId=eni)

    def all_that_is_shown():
        return [
            ec2.describe_vpcs()["Vpcs"],
            ec2.describe_subnets()["Subnets"],
            ec2.describe_network_interfaces()["NetworkInterfaces"],
            ec2.describe_route_tables()["RouteTables"],
            ec2.describe_egress_only_internet_gateways()["EgressOnlyInternetGateways"],
            ec2.describe_managed_prefix_lists()["PrefixLists"],
            ec2.get_managed_prefix_list_entries(PrefixListId=offices["PrefixListId"])["Entries"],
            ec2.describe_security_groups()["SecurityGroups"],
        ]

    before = all_that_is_shown()
    routes = [route for table in before[3] for route in table["Routes"]]
    assert {route["State"] for route in routes} == {"active"}
    assert before[7][0]["IpPermissionsEgress"][0]["Ipv6Ranges"] == [{"CidrIpv6": "::/0"}]
    serve.restart()
    assert all_that_is_shown() == before

    ec2.terminate_instances(InstanceIds=[instance])
    in_state(ec2, "terminated", instance)
    ec2.delete_route_table(RouteTableId=table)
    ec2.delete_managed_prefix_list(PrefixListId=offices["PrefixListId"])
    with refused("DependencyViolation"):
        ec2.delete_vpc(VpcId=vpc)
    ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=gateway)
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)


def test_an_instance_that_runs_gets_its_first_address(serve):
    ec2 = serve.ec2("zz-six-2")
    vpc = ec2.create_vpc(CidrBlock="10.60.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
    block = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
    part = block.replace("/56", "/64")
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.60.1.0/24", Ipv6CidrBlock=part)["Subnet"]["SubnetId"]
    launch = {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1, "SubnetId": subnet, "InstanceType": "t3.micro"}
    six, plain = (
        ec2.run_instances(**launch, Ipv6AddressCount=count)["Instances"][0]["InstanceId"] for count in (1, 0)
    )
    in_state(ec2, "running", six, plain)
    assert "inet6" not in serve.exec(plain, "ip", "-6", "address", "show", "eth0").stdout
    eni = ec2.describe_instances(InstanceIds=[plain])["Reservations"][0]["Instances"][0]["NetworkInterfaces"][0]
    assigned = ec2.assign_ipv6_addresses(NetworkInterfaceId=eni["NetworkInterfaceId"], Ipv6AddressCount=1)
    (address,) = assigned["AssignedIpv6Addresses"]
    # The default group lets its members in.
    until(lambda: serve.exec(six, "ping", "-6", "-c", "1", "-W", "1", address, check=False).returncode == 0, timeout=20)
    assert "default via fe80:ec2::1" in serve.exec(plain, "ip", "-6", "route").stdout
