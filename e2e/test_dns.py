"""The VPC's resolver, asked by real programs: `dig` and the C library."""

import json
import pathlib
import subprocess
import sys

import pytest
from conftest import until
from endpoint import Serve, network, refused, run, session, terminate

NAMESERVER = pathlib.Path(__file__).with_name("nameserver.py")
DOMAIN = "eu-west-1.compute.internal"
RESOLVERS = ["10.80.0.2", "169.254.169.253"]

VPC = """
          Vpc{n}:
            Type: AWS::EC2::VPC
            Properties: {{CidrBlock: 10.80.0.0/16, EnableDnsSupport: {support}, EnableDnsHostnames: {names}}}
          Gateway{n}: {{Type: AWS::EC2::InternetGateway}}
          Attachment{n}:
            Type: AWS::EC2::VPCGatewayAttachment
            Properties: {{VpcId: !Ref Vpc{n}, InternetGatewayId: !Ref Gateway{n}}}
          Subnet{n}:
            Type: AWS::EC2::Subnet
            Properties: {{VpcId: !Ref Vpc{n}, CidrBlock: 10.80.1.0/24, MapPublicIpOnLaunch: true}}
"""
INSTANCE = """
          {id}:
            Type: AWS::EC2::Instance
            DependsOn: [{after}]
            Properties:
              ImageId: ami-00000000000000001
              InstanceType: t3.micro
              SubnetId: !Ref {subnet}
              PrivateIpAddress: {address}
              Tags: [{{Key: Name, Value: {name}}}]
"""
LAB = f"""
    name: dns
    cloud:
      region: eu-west-1
      template:
        Resources:
{VPC.format(n=1, support="true", names="true")}
{VPC.format(n=2, support="true", names="true")}
{VPC.format(n=3, support="false", names="false")}
          Block:
            Type: AWS::EC2::VPCCidrBlock
            Properties: {{VpcId: !Ref Vpc1, AmazonProvidedIpv6CidrBlock: true}}
          Subnet64:
            Type: AWS::EC2::Subnet
            DependsOn: Block
            Properties:
              VpcId: !Ref Vpc1
              CidrBlock: 10.80.2.0/24
              Ipv6CidrBlock: !Select [0, !Cidr [!Select [0, !GetAtt Vpc1.Ipv6CidrBlocks], 1, 64]]
              AssignIpv6AddressOnCreation: true
              EnableDns64: true
{INSTANCE.format(id="One", after="Attachment1", subnet="Subnet1", address="10.80.1.10", name="one")}
{INSTANCE.format(id="Two", after="Attachment2", subnet="Subnet2", address="10.80.1.20", name="two")}
{INSTANCE.format(id="Off", after="Attachment3", subnet="Subnet3", address="10.80.1.30", name="off")}
{INSTANCE.format(id="Six", after="Subnet64", subnet="Subnet64", address="10.80.2.10", name="six")}
    internet:
      pool: 203.0.113.0/28
      resolver: 198.51.100.53
    sites:
      elsewhere:
        hosts:
          nameserver:
            interfaces: {{eth0: {{segment: internet, address: 198.51.100.53}}}}
            run: [[python3, -c, {json.dumps(NAMESERVER.read_text())}, 198.51.100.53]]
"""


@pytest.fixture(scope="module")
def lab(module_labs, tmp_path_factory):
    path = tmp_path_factory.mktemp("dns") / "lab.yaml"
    path.write_text(LAB)
    lab = module_labs.up(path, "e2e-dns")
    lab.wait_for_port("nameserver", 53)
    return lab


def dig(lab, who, *arguments, check=True):
    return lab.exec(who, "dig", "+time=5", "+tries=4", *arguments, check=check).stdout


def short(lab, who, *arguments):
    return dig(lab, who, "+short", *arguments).split()


def ec2_of(lab):
    return session().client("ec2", region_name="eu-west-1", endpoint_url=f"http://{lab.status()['endpoint']}")


def vpc_of(ec2, instance):
    return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["VpcId"]


def test_private_names(lab):
    assert "nameserver 10.80.0.2" in lab.exec("one", "cat", "/etc/resolv.conf").stdout
    for server in RESOLVERS:
        assert short(lab, "one", f"@{server}", f"ip-10-80-1-10.{DOMAIN}") == ["10.80.1.10"]
        assert short(lab, "one", f"@{server}", "+tcp", f"IP-10-80-2-10.{DOMAIN}") == ["10.80.2.10"]
    assert short(lab, "one", "-x", "10.80.2.10") == [f"ip-10-80-2-10.{DOMAIN}."]
    # The C library, with the search domain that DHCP gave.
    name = f"ip-10-80-2-10.{DOMAIN}"
    assert lab.exec("one", "getent", "ahostsv4", "ip-10-80-2-10").stdout.startswith("10.80.2.10 ")
    assert lab.exec("one", "getent", "hosts", "10.80.2.10").stdout.split() == ["10.80.2.10", name]
    assert short(lab, "one", "instance-data.ec2.internal") == ["169.254.169.254"]


def test_answers_are_put_properly(lab):
    there = dig(lab, "one", f"ip-10-80-1-10.{DOMAIN}")
    assert "status: NOERROR" in there and "flags: qr aa rd ra;" in there
    assert "EDNS: version: 0" in there and f"ip-10-80-1-10.{DOMAIN}. 60 IN A" in " ".join(there.split())
    assert "EDNS" not in dig(lab, "one", "+noedns", f"ip-10-80-1-10.{DOMAIN}")
    absent = dig(lab, "one", f"ip-10-80-1-99.{DOMAIN}")
    assert "status: NXDOMAIN" in absent and "ANSWER: 0, AUTHORITY: 1" in absent
    no_data = dig(lab, "one", f"ip-10-80-1-10.{DOMAIN}", "MX")
    assert "status: NOERROR" in no_data and "ANSWER: 0, AUTHORITY: 1" in no_data
    assert "status: BADVERS" in dig(lab, "one", "+edns=1", "+noednsnegotiation", f"ip-10-80-1-10.{DOMAIN}")
    assert "status: REFUSED" in dig(lab, "one", "CH", "TXT", "version.bind")
    assert "status: NOTIMP" in dig(lab, "one", "+opcode=notify", f"ip-10-80-1-10.{DOMAIN}")


def test_two_vpcs_with_one_cidr_see_their_own_names(lab):
    for own, other, address in [("one", "20", "10"), ("two", "10", "20")]:
        assert short(lab, own, f"ip-10-80-1-{address}.{DOMAIN}") == [f"10.80.1.{address}"]
        assert "status: NXDOMAIN" in dig(lab, own, f"ip-10-80-1-{other}.{DOMAIN}")
        assert "status: NXDOMAIN" in dig(lab, own, "-x", f"10.80.1.{other}")


def test_public_names(lab):
    ec2 = ec2_of(lab)
    one = lab.instance("one")
    name = f"ec2-{one['public_ip'].replace('.', '-')}.eu-west-1.compute.amazonaws.com"
    (shown,) = ec2.describe_instances(InstanceIds=[one["id"]])["Reservations"][0]["Instances"]
    assert shown["PublicDnsName"] == name
    assert shown["NetworkInterfaces"][0]["Association"]["PublicDnsName"] == name
    url = "http://169.254.169.254/latest/meta-data/public-hostname"
    assert lab.exec("one", "curl", "-s", url).stdout == name
    assert short(lab, "one", name) == ["10.80.1.10"]
    assert short(lab, "two", name) == [one["public_ip"]]
    assert short(lab, "two", "-x", one["public_ip"]) == [f"{name}."]

    # Without names there are none, as soon as the API has said so.
    vpc = vpc_of(ec2, one["id"])
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": False})
    until(lambda: "NXDOMAIN" in dig(lab, "one", f"ip-10-80-1-10.{DOMAIN}"))
    assert "status: NXDOMAIN" in dig(lab, "two", name), "who is asked instead knows nothing of it"
    assert lab.exec("one", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url).stdout == "404"
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    until(lambda: short(lab, "one", f"ip-10-80-1-10.{DOMAIN}") == ["10.80.1.10"])


def test_other_names_are_asked_of_the_world(lab):
    answer = dig(lab, "one", "www.example")
    assert "flags: qr rd ra;" in answer and "198.51.100.80" in answer
    assert short(lab, "one", "+tcp", "alias.example") == ["www.example.", "198.51.100.80"]
    assert "status: NXDOMAIN" in dig(lab, "one", "no.example")
    # Cut short over UDP, and then whole over TCP: dig asks again by itself.
    assert len(short(lab, "one", "+noedns", "many.example")) == 100
    assert "flags: qr tc rd ra;" in dig(lab, "one", "+noedns", "+ignore", "many.example")
    assert lab.exec("one", "getent", "ahostsv4", "www.example").stdout.startswith("198.51.100.80 ")


def test_dns64(lab):
    (own,) = ec2_of(lab).describe_instances(InstanceIds=[lab.instance("six")["id"]])["Reservations"][0]["Instances"]
    own = own["NetworkInterfaces"][0]["Ipv6Addresses"][0]["Ipv6Address"]
    script = """
        echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6
        ip -6 addr show dev eth0 | grep -q $0 || ip -6 addr add $0/128 dev eth0 nodad
    """
    lab.exec("six", "bash", "-c", script, own)
    until(lambda: lab.exec("six", "ip", "-6", "route", "show", "default").stdout)
    for server in [*RESOLVERS, "fd00:ec2::253"]:
        for how in ["+notcp", "+tcp"]:
            at = [f"@{server}", how]
            assert short(lab, "six", *at, "www.example", "AAAA") == ["64:ff9b::c633:6450"], (server, how)
            assert short(lab, "six", *at, f"ip-10-80-1-10.{DOMAIN}", "AAAA") == ["64:ff9b::a50:10a"]
    assert short(lab, "six", "alias.example", "AAAA") == ["www.example.", "64:ff9b::c633:6450"]
    assert short(lab, "six", "six.example", "AAAA") == ["2001:db8:ffff::80"]
    assert short(lab, "six", "both.example", "AAAA") == ["2001:db8:ffff::80"]
    assert short(lab, "six", "-x", "64:ff9b::a50:10a") == [f"10.1.80.10.in-addr.arpa.", f"ip-10-80-1-10.{DOMAIN}."]
    assert short(lab, "one", "www.example", "AAAA") == []

    ec2 = ec2_of(lab)
    subnet = next(s for s in ec2.describe_subnets()["Subnets"] if s["EnableDns64"])["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=subnet, EnableDns64={"Value": False})
    until(lambda: short(lab, "six", "www.example", "AAAA") == [])
    ec2.modify_subnet_attribute(SubnetId=subnet, EnableDns64={"Value": True})
    until(lambda: short(lab, "six", "www.example", "AAAA") == ["64:ff9b::c633:6450"])


def test_without_dns_support_nobody_answers(lab):
    assert "10.80.0.2" not in lab.exec("off", "cat", "/etc/resolv.conf").stdout
    before = lab.dropped("off", "NoSuchService")
    for server in RESOLVERS:
        done = lab.exec("off", "dig", "+time=1", "+tries=1", f"@{server}", "www.example", check=False)
        assert done.returncode == 9, done.stdout
    assert lab.dropped("off", "NoSuchService") == before + 2
    vpc = vpc_of(ec2_of(lab), lab.instance("off")["id"])
    with refused("InvalidParameterValue"):
        ec2_of(lab).modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})


def test_who_asks_too_much_is_dropped_and_counted(lab):
    script = """
        import socket
        asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asker.connect(("169.254.169.253", 53))
        question = bytes.fromhex("000101000001000000000000") + b"\\2ip\\0\\0\\1\\0\\1"
        while True:
            asker.send(question)
    """
    with lab.python_background("two", script):
        until(lambda: lab.dropped("two", "LinkLocalAllowance") > 0, timeout=60)
    assert "LinkLocalAllowance" not in lab.drops("one")
    assert short(lab, "one", f"ip-10-80-1-10.{DOMAIN}") == ["10.80.1.10"]


@pytest.mark.root("a DNS server listens on port 53 of this machine's loopback")
def test_serve_asks_through_this_machine():
    address = "127.77.0.53"
    serving = Serve("e2e-dns-serve", flags=["--resolver", address])
    nameserver = subprocess.Popen([sys.executable, NAMESERVER, address], stdout=subprocess.PIPE, text=True)
    try:
        assert nameserver.stdout.readline() == "listening\n"
        serving.start()
        ec2 = serving.ec2()
        net = network(ec2)
        asker = run(ec2, net.subnet, net.group)
        assert short(serving, asker, "www.example") == ["198.51.100.80"]
        terminate(ec2, asker)
    finally:
        nameserver.terminate()
        nameserver.wait()
        serving.down()
