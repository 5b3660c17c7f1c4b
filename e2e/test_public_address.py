"""Public addresses without Elastic IPs, as the world outside of the cloud sees them."""

import pytest
from conftest import until
from endpoint import in_state, session

WORLD = "198.51.100.80"

LAB = """
    name: public
    cloud:
      region: eu-west-1
      template:
        Resources:
          Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.70.0.0/16}}
          Gateway: {Type: AWS::EC2::InternetGateway}
          Attachment:
            Type: AWS::EC2::VPCGatewayAttachment
            Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Gateway}
          Table: {Type: AWS::EC2::RouteTable, Properties: {VpcId: !Ref Vpc}}
          Route:
            Type: AWS::EC2::Route
            DependsOn: Attachment
            Properties: {RouteTableId: !Ref Table, DestinationCidrBlock: 0.0.0.0/0, GatewayId: !Ref Gateway}
          Public:
            Type: AWS::EC2::Subnet
            Properties: {VpcId: !Ref Vpc, CidrBlock: 10.70.1.0/24, MapPublicIpOnLaunch: true}
          Plain:
            Type: AWS::EC2::Subnet
            Properties: {VpcId: !Ref Vpc, CidrBlock: 10.70.2.0/24, MapPublicIpOnLaunch: false}
          OfPublic:
            Type: AWS::EC2::SubnetRouteTableAssociation
            Properties: {RouteTableId: !Ref Table, SubnetId: !Ref Public}
          OfPlain:
            Type: AWS::EC2::SubnetRouteTableAssociation
            Properties: {RouteTableId: !Ref Table, SubnetId: !Ref Plain}
          Group:
            Type: AWS::EC2::SecurityGroup
            Properties:
              GroupDescription: lets all in
              VpcId: !Ref Vpc
              SecurityGroupIngress: [{IpProtocol: "-1", CidrIp: 0.0.0.0/0}]
          Seen:
            Type: AWS::EC2::Instance
            Properties:
              ImageId: ami-00000000000000001
              InstanceType: t3.micro
              SubnetId: !Ref Public
              SecurityGroupIds: [!Ref Group]
              Tags: [{Key: Name, Value: seen}]
          Asked:
            Type: AWS::EC2::Instance
            Properties:
              ImageId: ami-00000000000000001
              InstanceType: t3.micro
              NetworkInterfaces:
              - {DeviceIndex: "0", SubnetId: !Ref Plain, GroupSet: [!Ref Group], AssociatePublicIpAddress: true}
              Tags: [{Key: Name, Value: asked}]
          Hidden:
            Type: AWS::EC2::Instance
            Properties:
              ImageId: ami-00000000000000001
              InstanceType: t3.micro
              SubnetId: !Ref Plain
              SecurityGroupIds: [!Ref Group]
              Tags: [{Key: Name, Value: hidden}]
          Address: {Type: AWS::EC2::EIP}
        Outputs:
          Seen: {Value: !GetAtt Seen.PublicIp}
    internet:
      pool: 203.0.113.0/28
      elastic_ips: {Address: 203.0.113.1}
    sites:
      elsewhere:
        hosts:
          world:
            interfaces: {eth0: {segment: internet, address: 198.51.100.80}}
            routes: {default: eth0}
"""


@pytest.fixture
def lab(labs, lab_file):
    return labs.up(lab_file(LAB), "e2e-public-address")


def reaches(lab, destination):
    return lab.exec("world", "ping", "-c", "1", "-W", "1", destination, check=False).returncode == 0


def test_the_world_sees_an_instance_by_its_public_address(lab):
    seen, asked, hidden = (lab.instance(name) for name in ("seen", "asked", "hidden"))
    # The lowest that the lab file asks for nobody, in the order of the template's needs.
    assert {seen["public_ip"], asked["public_ip"]} == {"203.0.113.2", "203.0.113.3"}
    assert hidden["public_ip"] is None
    for instance in (seen, asked):
        with lab.capture("world", "eth0", "icmp") as world, lab.capture(instance["name"], "eth0", "icmp") as inside:
            assert reaches(lab, instance["public_ip"])
            world.wait_for("ICMP", count=2)
            inside.wait_for("ICMP", count=2)
        assert world.addresses == {(WORLD, instance["public_ip"]), (instance["public_ip"], WORLD)}
        assert inside.addresses == {(WORLD, instance["private_ip"]), (instance["private_ip"], WORLD)}
        # And on its own account.
        lab.exec(instance["name"], "ping", "-c", "1", "-W", "2", WORLD)
    assert lab.exec("hidden", "ping", "-c", "1", "-W", "1", WORLD, check=False).returncode == 1
    explanation, code = lab.explain("world", seen["public_ip"], "--proto", "icmp")
    assert (explanation["there"]["outcome"], code) == ({"Delivered": {"at": "seen"}}, 0)

    # A stop gives it back, and a start gets another one.
    ec2 = session().client("ec2", region_name="eu-west-1", endpoint_url=f"http://{lab.status()['endpoint']}")
    ec2.stop_instances(InstanceIds=[seen["id"]])
    in_state(ec2, "stopped", seen["id"])
    until(lambda: not reaches(lab, seen["public_ip"]), timeout=5)
    taken = ec2.allocate_address(Address=seen["public_ip"])
    ec2.start_instances(InstanceIds=[seen["id"]])
    in_state(ec2, "running", seen["id"])
    again = lab.instance("seen")["public_ip"]
    assert again not in (None, seen["public_ip"], asked["public_ip"])
    until(lambda: reaches(lab, again), timeout=5)
    assert not reaches(lab, taken["PublicIp"])
