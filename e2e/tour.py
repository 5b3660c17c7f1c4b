"""A cloud in which each action of the API is carried out at least once, with all that its answer can show."""

import base64
import ipaddress
import os
import re
import shutil
import tempfile
import time
import xml.etree.ElementTree as ElementTree

from endpoint import IMAGE
from service_model import client

EVERYWHERE = [{"CidrIp": "0.0.0.0/0", "Description": "all"}]
KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2jGX5l2zF4PCIbVNlqvR1Jr0G7Yw4oYp5WzHcQv0aB e2e"
SOON = {"Delay": 1, "MaxAttempts": 30}


class Tour:
    """A client that keeps every answer, as it came and as botocore reads it."""

    def __init__(self, url):
        self.ec2 = client(url)
        self.answers = []
        self.ec2.meta.events.register("response-received.ec2", self.keep)

    def keep(self, response_dict=None, event_name=None, **_):
        if response_dict is not None and response_dict["status_code"] == 200:
            self.answers.append((event_name.rpartition(".")[2], ElementTree.fromstring(response_dict["body"])))

    def __getattr__(self, name):
        """`tour.CreateVpc(…)` is the client's `create_vpc`."""
        return getattr(self.ec2, re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower())

    def wait(self, waiter, **what):
        self.ec2.get_waiter(waiter).wait(**what, WaiterConfig=SOON)


def tags(kind):
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": f"a {kind}"}]}]


def go(url):
    """Goes the tour, and gives all answers: each action's name with its XML."""
    tour = Tour(url)
    vpc = network(tour)
    instances(tour, vpc)
    addresses(tour, vpc)
    rules(tour, vpc)
    gateways(tour, vpc)
    logs(tour, vpc)
    lists(tour, vpc)
    neighbours(tour, vpc)
    images(tour)
    places(tour)
    nothing(tour)
    describe(tour)
    end(tour, vpc)
    return tour.answers


def prefix_of(part):
    """A /80 of a subnet's IPv6 addresses."""
    first = int(ipaddress.ip_network(part).network_address)
    return str(ipaddress.ip_network((first | 0xFF << 48, 80)))


def network(tour):
    class Made:
        pass

    made = Made()
    made.id = tour.CreateVpc(
        CidrBlock="10.60.0.0/16", AmazonProvidedIpv6CidrBlock=True, TagSpecifications=tags("vpc")
    )["Vpc"]["VpcId"]
    tour.wait("vpc_available", VpcIds=[made.id])
    (found,) = tour.DescribeVpcs(VpcIds=[made.id])["Vpcs"]
    made.block = found["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
    part = made.block.replace("/56", "/64")
    made.subnet = tour.CreateSubnet(
        VpcId=made.id, CidrBlock="10.60.1.0/24", Ipv6CidrBlock=part, TagSpecifications=tags("subnet")
    )["Subnet"]["SubnetId"]
    for family, cidr in (("v4", "10.60.1.192/28"), ("v6", prefix_of(part))):
        reserved = tour.CreateSubnetCidrReservation(
            SubnetId=made.subnet,
            Cidr=cidr,
            ReservationType="explicit",
            Description=family,
            TagSpecifications=tags("subnet-cidr-reservation"),
        )["SubnetCidrReservation"]
    tour.GetSubnetCidrReservations(SubnetId=made.subnet)
    tour.DeleteSubnetCidrReservation(SubnetCidrReservationId=reserved["SubnetCidrReservationId"])
    for change in ("MapPublicIpOnLaunch", "AssignIpv6AddressOnCreation"):
        tour.ModifySubnetAttribute(SubnetId=made.subnet, **{change: {"Value": True}})
    tour.ModifyVpcAttribute(VpcId=made.id, EnableDnsSupport={"Value": False})
    for attribute in ("enableDnsSupport", "enableDnsHostnames", "enableNetworkAddressUsageMetrics"):
        tour.DescribeVpcAttribute(VpcId=made.id, Attribute=attribute)

    second = tour.AssociateVpcCidrBlock(VpcId=made.id, CidrBlock="10.61.0.0/16")["CidrBlockAssociation"]
    tour.DisassociateVpcCidrBlock(AssociationId=second["AssociationId"])
    second = tour.AssociateVpcCidrBlock(VpcId=made.id, AmazonProvidedIpv6CidrBlock=True)["Ipv6CidrBlockAssociation"]
    tour.DisassociateVpcCidrBlock(AssociationId=second["AssociationId"])
    made.other = tour.CreateSubnet(VpcId=made.id, CidrBlock="10.60.2.0/24")["Subnet"]["SubnetId"]
    six = tour.AssociateSubnetCidrBlock(SubnetId=made.other, Ipv6CidrBlock=part.replace("::/64", ":0:1::/64"))
    tour.DisassociateSubnetCidrBlock(AssociationId=six["Ipv6CidrBlockAssociation"]["AssociationId"])

    made.gateway = tour.CreateInternetGateway(TagSpecifications=tags("internet-gateway"))["InternetGateway"][
        "InternetGatewayId"
    ]
    tour.AttachInternetGateway(InternetGatewayId=made.gateway, VpcId=made.id)
    table = tour.CreateRouteTable(VpcId=made.id, ClientToken="tour", TagSpecifications=tags("route-table"))
    made.table = table["RouteTable"]["RouteTableId"]
    everywhere = {"RouteTableId": made.table, "DestinationCidrBlock": "0.0.0.0/0"}
    tour.CreateRoute(**everywhere, GatewayId=made.gateway)
    association = tour.AssociateRouteTable(RouteTableId=made.table, SubnetId=made.subnet)["AssociationId"]
    (main,) = tour.DescribeRouteTables(Filters=[{"Name": "association.main", "Values": ["true"]}])["RouteTables"]
    replaced = tour.ReplaceRouteTableAssociation(AssociationId=association, RouteTableId=main["RouteTableId"])
    tour.DisassociateRouteTable(AssociationId=replaced["NewAssociationId"])
    tour.AssociateRouteTable(RouteTableId=made.table, SubnetId=made.subnet)
    edge = tour.CreateRouteTable(VpcId=made.id)["RouteTable"]["RouteTableId"]
    tour.AssociateRouteTable(RouteTableId=edge, GatewayId=made.gateway)
    return made


def instances(tour, vpc):
    tour.ImportKeyPair(KeyName="mine", PublicKeyMaterial=KEY, TagSpecifications=tags("key-pair"))
    vpc.group = tour.CreateSecurityGroup(
        VpcId=vpc.id, GroupName="web", Description="of the web", TagSpecifications=tags("security-group")
    )["GroupId"]
    vpc.interface = tour.CreateNetworkInterface(
        SubnetId=vpc.subnet,
        Description="the second",
        Groups=[vpc.group],
        ConnectionTrackingSpecification={"TcpEstablishedTimeout": 600},
        ClientToken="tour",
        TagSpecifications=tags("network-interface"),
    )["NetworkInterface"]["NetworkInterfaceId"]
    tour.wait("network_interface_available", NetworkInterfaceIds=[vpc.interface])
    eni = {"NetworkInterfaceId": vpc.interface}
    one = tour.AssignPrivateIpAddresses(**eni, SecondaryPrivateIpAddressCount=1)["AssignedPrivateIpAddresses"]
    tour.AssignPrivateIpAddresses(**eni, PrivateIpAddresses=["10.60.1.99"])
    tour.UnassignPrivateIpAddresses(**eni, PrivateIpAddresses=[one[0]["PrivateIpAddress"]])
    more = tour.AssignIpv6Addresses(**eni, Ipv6AddressCount=1)["AssignedIpv6Addresses"]
    tour.UnassignIpv6Addresses(**eni, Ipv6Addresses=more)
    four = tour.AssignPrivateIpAddresses(**eni, Ipv4PrefixCount=2)["AssignedIpv4Prefixes"]
    tour.UnassignPrivateIpAddresses(**eni, Ipv4Prefixes=[four[0]["Ipv4Prefix"]])
    six = tour.AssignIpv6Addresses(**eni, Ipv6PrefixCount=2)["AssignedIpv6Prefixes"]
    tour.UnassignIpv6Addresses(**eni, Ipv6Prefixes=six[:1])
    tour.DescribeNetworkInterfaces()

    launched = tour.RunInstances(
        ImageId=IMAGE,
        MinCount=1,
        MaxCount=1,
        InstanceType="m5.xlarge",
        KeyName="mine",
        UserData="#!/bin/true\n",
        ClientToken="tour",
        NetworkInterfaces=[
            {
                "DeviceIndex": 0,
                "SubnetId": vpc.subnet,
                "Groups": [vpc.group],
                "AssociatePublicIpAddress": True,
                "SecondaryPrivateIpAddressCount": 1,
                "ConnectionTrackingSpecification": {"UdpTimeout": 45},
            }
        ],
        TagSpecifications=[*tags("instance"), *tags("volume")],
    )["Instances"]
    vpc.instance = launched[0]["InstanceId"]
    one = {"InstanceIds": [vpc.instance]}
    for waiter in ("instance_exists", "instance_running", "instance_status_ok"):
        tour.wait(waiter, **one)
    attachment = tour.AttachNetworkInterface(**eni, InstanceId=vpc.instance, DeviceIndex=1)["AttachmentId"]
    for attribute in ("attachment", "description", "groupSet", "sourceDestCheck"):
        tour.DescribeNetworkInterfaceAttribute(**eni, Attribute=attribute)
    tour.ModifyNetworkInterfaceAttribute(**eni, SourceDestCheck={"Value": False})
    tour.ResetNetworkInterfaceAttribute(**eni, SourceDestCheck="true")
    tour.DescribeNetworkInterfaces()
    tour.DescribeInstances()
    tour.DetachNetworkInterface(AttachmentId=attachment)
    tour.wait("network_interface_available", NetworkInterfaceIds=[vpc.interface])
    for attribute in (
        "instanceType",
        "userData",
        "disableApiTermination",
        "instanceInitiatedShutdownBehavior",
        "sourceDestCheck",
        "groupSet",
    ):
        tour.DescribeInstanceAttribute(InstanceId=vpc.instance, Attribute=attribute)
    tour.ModifyInstanceMetadataOptions(InstanceId=vpc.instance, HttpTokens="required")
    tour.ModifyInstanceAttribute(InstanceId=vpc.instance, Groups=[vpc.group])
    tour.ResetInstanceAttribute(InstanceId=vpc.instance, Attribute="sourceDestCheck")
    tour.GetConsoleOutput(InstanceId=vpc.instance)
    tour.RebootInstances(**one)
    tour.StopInstances(**one)
    tour.wait("instance_stopped", **one)
    tour.DescribeInstances()
    tour.DescribeInstanceStatus(IncludeAllInstances=True)
    tour.ModifyInstanceAttribute(InstanceId=vpc.instance, UserData={"Value": base64.b64encode(b"x")})
    tour.StartInstances(**one)
    tour.wait("instance_running", **one)


def addresses(tour, vpc):
    made = tour.AllocateAddress(TagSpecifications=tags("elastic-ip"))["AllocationId"]
    association = tour.AssociateAddress(AllocationId=made, NetworkInterfaceId=vpc.interface)["AssociationId"]
    tour.DescribeNetworkInterfaces()
    tour.DisassociateAddress(AssociationId=association)
    tour.AssociateAddress(AllocationId=made, InstanceId=vpc.instance)
    tour.DescribeAddresses()
    tour.DescribeAddressesAttribute(Attribute="domain-name")
    tour.DescribeInstances()
    (found,) = tour.DescribeAddresses(AllocationIds=[made])["Addresses"]
    tour.DisassociateAddress(AssociationId=found["AssociationId"])
    tour.ReleaseAddress(AllocationId=made)


def rules(tour, vpc):
    group = {"GroupId": vpc.group}
    vpc.prefixes = tour.CreateManagedPrefixList(
        PrefixListName="offices",
        AddressFamily="IPv4",
        MaxEntries=3,
        Entries=[{"Cidr": "192.0.2.0/24", "Description": "head office"}],
        TagSpecifications=tags("prefix-list"),
    )["PrefixList"]["PrefixListId"]
    permissions = [
        {
            "IpProtocol": "tcp",
            "FromPort": 80,
            "ToPort": 81,
            "IpRanges": EVERYWHERE,
            "Ipv6Ranges": [{"CidrIpv6": "::/0", "Description": "all"}],
            "UserIdGroupPairs": [{"GroupId": vpc.group, "Description": "ourselves"}],
            "PrefixListIds": [{"PrefixListId": vpc.prefixes, "Description": "offices"}],
        }
    ]
    kinds = {"TagSpecifications": tags("security-group-rule")}
    for way, authorize, describe, revoke in (
        (
            "in",
            tour.AuthorizeSecurityGroupIngress,
            tour.UpdateSecurityGroupRuleDescriptionsIngress,
            tour.RevokeSecurityGroupIngress,
        ),
        (
            "out",
            tour.AuthorizeSecurityGroupEgress,
            tour.UpdateSecurityGroupRuleDescriptionsEgress,
            tour.RevokeSecurityGroupEgress,
        ),
    ):
        made = authorize(**group, IpPermissions=permissions, **kinds)["SecurityGroupRules"]
        first = made[0]["SecurityGroupRuleId"]
        describe(**group, SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": first, "Description": way}])
        tour.DescribeSecurityGroups()
        tour.DescribeSecurityGroupRules(Filters=[{"Name": "group-id", "Values": [vpc.group]}])
        tour.GetManagedPrefixListAssociations(PrefixListId=vpc.prefixes)
        rule = {"IpProtocol": "tcp", "FromPort": 81, "ToPort": 81, "CidrIpv4": "192.0.2.0/24"}
        changed = {"SecurityGroupRuleId": first, "SecurityGroupRule": rule}
        tour.ModifySecurityGroupRules(**group, SecurityGroupRules=[changed])
        revoke(**group, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"] for rule in made])

    acl = tour.CreateNetworkAcl(VpcId=vpc.id, TagSpecifications=tags("network-acl"))["NetworkAcl"]["NetworkAclId"]
    entry = {"NetworkAclId": acl, "Egress": False, "RuleNumber": 7}
    what = {"RuleAction": "allow", "CidrBlock": "0.0.0.0/0"}
    tour.CreateNetworkAclEntry(**entry, **what, Protocol="6", PortRange={"From": 22, "To": 22})
    tour.ReplaceNetworkAclEntry(**entry, **what, Protocol="1", IcmpTypeCode={"Type": 8, "Code": -1})
    other = {**entry, "RuleNumber": 8}
    tour.CreateNetworkAclEntry(
        **other, RuleAction="deny", Ipv6CidrBlock="::/0", Protocol="6", PortRange={"From": 22, "To": 22}
    )
    tour.DescribeNetworkAcls()
    tour.DeleteNetworkAclEntry(**entry)
    (default,) = tour.DescribeNetworkAcls(Filters=[{"Name": "default", "Values": ["true"]}])["NetworkAcls"]
    association = next(each for each in default["Associations"] if each["SubnetId"] == vpc.other)
    new = tour.ReplaceNetworkAclAssociation(
        AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl
    )["NewAssociationId"]
    tour.ReplaceNetworkAclAssociation(AssociationId=new, NetworkAclId=default["NetworkAclId"])
    tour.DeleteNetworkAcl(NetworkAclId=acl)


def gateways(tour, vpc):
    one, two = (tour.AllocateAddress()["AllocationId"] for _ in range(2))
    asked = {"SubnetId": vpc.subnet, "ClientToken": "tour", "TagSpecifications": tags("natgateway")}
    nat = {"NatGatewayId": tour.CreateNatGateway(**asked, AllocationId=one)["NatGateway"]["NatGatewayId"]}
    tour.wait("nat_gateway_available", NatGatewayIds=[nat["NatGatewayId"]])
    route = {"RouteTableId": vpc.table, "DestinationCidrBlock": "198.51.100.0/24"}
    tour.CreateRoute(**route, **nat)
    tour.DescribeRouteTables()
    tour.DeleteRoute(**route)
    made = tour.AssociateNatGatewayAddress(**nat, AllocationIds=[two])["NatGatewayAddresses"]
    second = next(address for address in made if address["AllocationId"] == two)
    tour.DescribeNatGateways()
    association = second.get("AssociationId") or next(
        address["AssociationId"]
        for gateway in tour.DescribeNatGateways()["NatGateways"]
        for address in gateway["NatGatewayAddresses"]
        if address["AllocationId"] == two
    )
    tour.DisassociateNatGatewayAddress(**nat, AssociationIds=[association], MaxDrainDurationSeconds=1)
    private = {
        "NatGatewayId": tour.CreateNatGateway(SubnetId=vpc.other, ConnectivityType="private")["NatGateway"][
            "NatGatewayId"
        ]
    }
    tour.wait("nat_gateway_available", NatGatewayIds=[private["NatGatewayId"]])
    added = tour.AssignPrivateNatGatewayAddress(**private, PrivateIpAddressCount=1)["NatGatewayAddresses"]
    tour.UnassignPrivateNatGatewayAddress(
        **private, PrivateIpAddresses=[added[-1]["PrivateIp"]], MaxDrainDurationSeconds=1
    )
    # One that fails: its address is another's.
    tour.CreateNatGateway(SubnetId=vpc.subnet, AllocationId=one)
    time.sleep(1.5)
    tour.DescribeNatGateways()
    for id in (nat, private):
        tour.DeleteNatGateway(**id)
        tour.wait("nat_gateway_deleted", NatGatewayIds=[id["NatGatewayId"]])
    tour.DescribeNatGateways()

    asked = {"ClientToken": "tour", "TagSpecifications": tags("egress-only-internet-gateway")}
    egress = tour.CreateEgressOnlyInternetGateway(VpcId=vpc.id, **asked)
    egress = egress["EgressOnlyInternetGateway"]["EgressOnlyInternetGatewayId"]
    six = {"RouteTableId": vpc.table, "DestinationIpv6CidrBlock": "::/0"}
    tour.CreateRoute(**six, EgressOnlyInternetGatewayId=egress)
    tour.DescribeEgressOnlyInternetGateways()
    tour.DescribeRouteTables()
    tour.ReplaceRoute(**six, GatewayId=vpc.gateway)
    tour.DeleteRoute(**six)
    tour.DeleteEgressOnlyInternetGateway(EgressOnlyInternetGatewayId=egress)


def logs(tour, vpc):
    made = tour.CreateFlowLogs(
        ClientToken="tour",
        ResourceType="VPC",
        ResourceIds=[vpc.id, "vpc-00000000"],
        TrafficType="ALL",
        LogDestinationType="s3",
        LogDestination="arn:aws:s3:::flows/tour/",
        LogFormat="${version} ${pkt-srcaddr}",
        MaxAggregationInterval=60,
        DestinationOptions={"FileFormat": "plain-text", "HiveCompatiblePartitions": True, "PerHourPartition": True},
        TagSpecifications=tags("vpc-flow-log"),
    )
    tour.DescribeFlowLogs(FlowLogIds=made["FlowLogIds"])
    tour.DeleteFlowLogs(FlowLogIds=[*made["FlowLogIds"], "fl-00000000"])


def lists(tour, vpc):
    offices = {"PrefixListId": vpc.prefixes}
    route = {"RouteTableId": vpc.table, "DestinationPrefixListId": vpc.prefixes}
    tour.CreateRoute(**route, NetworkInterfaceId=vpc.interface)
    tour.CreateRoute(RouteTableId=vpc.table, DestinationCidrBlock="198.51.100.0/24", InstanceId=vpc.instance)
    tour.DescribeRouteTables()
    tour.DeleteRoute(RouteTableId=vpc.table, DestinationCidrBlock="198.51.100.0/24")
    tour.DeleteRoute(**route)
    tour.ModifyManagedPrefixList(**offices, CurrentVersion=1, AddEntries=[{"Cidr": "203.0.113.0/24"}])
    tour.RestoreManagedPrefixListVersion(**offices, PreviousVersion=1, CurrentVersion=2)
    tour.GetManagedPrefixListEntries(**offices)
    tour.DescribeManagedPrefixLists()
    tour.DescribePrefixLists()
    tour.DeleteManagedPrefixList(**offices)

    servers = [{"Key": "domain-name-servers", "Values": ["192.0.2.53"]}, {"Key": "domain-name", "Values": ["lab.example"]}]
    made = tour.CreateDhcpOptions(DhcpConfigurations=servers, TagSpecifications=tags("dhcp-options"))["DhcpOptions"]
    tour.AssociateDhcpOptions(DhcpOptionsId=made["DhcpOptionsId"], VpcId=vpc.id)
    tour.DescribeDhcpOptions()
    tour.AssociateDhcpOptions(DhcpOptionsId="default", VpcId=vpc.id)
    tour.DeleteDhcpOptions(DhcpOptionsId=made["DhcpOptionsId"])


def neighbours(tour, vpc):
    other = tour.CreateVpc(CidrBlock="10.70.0.0/16")["Vpc"]["VpcId"]
    for decide in (tour.AcceptVpcPeeringConnection, tour.RejectVpcPeeringConnection):
        made = tour.CreateVpcPeeringConnection(
            VpcId=vpc.id, PeerVpcId=other, TagSpecifications=tags("vpc-peering-connection")
        )["VpcPeeringConnection"]
        peering = {"VpcPeeringConnectionId": made["VpcPeeringConnectionId"]}
        tour.wait("vpc_peering_connection_exists", VpcPeeringConnectionIds=list(peering.values()))
        decide(**peering)
        tour.DescribeVpcPeeringConnections()
        if decide == tour.AcceptVpcPeeringConnection:
            route = {"RouteTableId": vpc.table, "DestinationCidrBlock": "10.70.0.0/16"}
            tour.CreateRoute(**route, **peering)
            tour.DescribeRouteTables()
            tour.DeleteRoute(**route)
            of_other = [{"Name": "vpc-id", "Values": [other]}]
            (theirs,) = tour.DescribeSecurityGroups(Filters=of_other)["SecurityGroups"]
            pair = {"GroupId": theirs["GroupId"], "VpcId": other, **peering, "PeeringStatus": "active"}
            across = [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [pair]}]
            tour.AuthorizeSecurityGroupIngress(GroupId=vpc.group, IpPermissions=across)
            tour.AuthorizeSecurityGroupEgress(GroupId=vpc.group, IpPermissions=across)
            tour.DescribeSecurityGroups()
            tour.DescribeSecurityGroupRules()
            tour.DescribeSecurityGroupReferences(GroupId=[theirs["GroupId"]])
            tour.DeleteVpcPeeringConnection(**peering)
            tour.DescribeStaleSecurityGroups(VpcId=vpc.id)
            pair["PeeringStatus"] = "deleted"
            tour.RevokeSecurityGroupIngress(GroupId=vpc.group, IpPermissions=across)
            tour.RevokeSecurityGroupEgress(GroupId=vpc.group, IpPermissions=across)
    tour.DeleteVpc(VpcId=other)
    default = tour.CreateDefaultVpc()["Vpc"]["VpcId"]
    subnets = tour.DescribeSubnets(Filters=[{"Name": "vpc-id", "Values": [default]}])["Subnets"]
    tour.DeleteSubnet(SubnetId=subnets[0]["SubnetId"])
    tour.CreateDefaultSubnet(AvailabilityZone=subnets[0]["AvailabilityZone"])


def places(tour):
    tour.DescribeAccountAttributes()
    tour.DescribeAvailabilityZones()
    tour.DescribeImages()
    tour.DescribeInstanceTypes()
    tour.DescribeInstanceTypeOfferings()
    tour.DescribeRegions()


def images(tour):
    with tempfile.TemporaryDirectory() as root:
        # All that is looked at: a shell.
        os.mkdir(f"{root}/bin")
        shutil.copy("/bin/busybox", f"{root}/bin/sh")
        image = tour.RegisterImage(
            Name="small", Description="a shell", ImageLocation=root, TagSpecifications=tags("image")
        )["ImageId"]
    tour.wait("image_available", ImageIds=[image])
    tour.DescribeImages(Owners=["self"])
    tour.DeregisterImage(ImageId=image)


def nothing(tour):
    """What there is none of."""
    tour.DescribeCustomerGateways()
    tour.DescribeIamInstanceProfileAssociations()
    tour.DescribeVolumes()
    tour.DescribeVpcEndpoints()
    tour.DescribeVpcEndpointServices()
    tour.DescribeVpnConnections()
    tour.DescribeVpnGateways()


def describe(tour):
    tour.CreateTags(Resources=[tour.DescribeVpcs()["Vpcs"][0]["VpcId"]], Tags=[{"Key": "k", "Value": "v"}])
    tour.DescribeTags()
    tour.DescribeAddresses()
    tour.DescribeInternetGateways()
    tour.DescribeKeyPairs(IncludePublicKey=True)
    # A part of what there is, with the token of the next.
    tour.DescribeSubnets(MaxResults=5)
    tour.DescribeTags(MaxResults=5)


def end(tour, vpc):
    tour.DeleteTags(Resources=[vpc.id], Tags=[{"Key": "k"}])
    tour.TerminateInstances(InstanceIds=[vpc.instance])
    tour.wait("instance_terminated", InstanceIds=[vpc.instance])
    tour.DescribeInstances()
    tour.DeleteNetworkInterface(NetworkInterfaceId=vpc.interface)
    tour.DeleteSecurityGroup(**{"GroupId": vpc.group})
    tour.DeleteKeyPair(KeyName="mine")
    tables = tour.DescribeRouteTables(Filters=[{"Name": "vpc-id", "Values": [vpc.id]}])["RouteTables"]
    for table in tables:
        for association in table["Associations"]:
            if not association["Main"]:
                tour.DisassociateRouteTable(AssociationId=association["RouteTableAssociationId"])
        if not any(association["Main"] for association in table["Associations"]):
            tour.DeleteRouteTable(RouteTableId=table["RouteTableId"])
    tour.DetachInternetGateway(InternetGatewayId=vpc.gateway, VpcId=vpc.id)
    tour.DeleteInternetGateway(InternetGatewayId=vpc.gateway)
    for subnet in (vpc.subnet, vpc.other):
        tour.DeleteSubnet(SubnetId=subnet)
    tour.DeleteVpc(VpcId=vpc.id)
