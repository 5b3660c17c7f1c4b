"""Whatever is wrong is said with its file, line and column, and nothing is half made."""

import pytest
from conftest import STATE, ringwall, standing

NAME = "e2e-bad"

LAB = """\
name: e2e-bad
cloud:
  region: eu-west-1
  template:
    Resources:
      Vpc:
        Type: AWS::EC2::VPC
        Properties: {CidrBlock: 10.50.0.0/16}
      Subnet:
        Type: AWS::EC2::Subnet
        Properties:
          VpcId: !Ref Vpc
          CidrBlock: 10.50.0.0/24
      Table: {Type: AWS::EC2::RouteTable, Properties: {VpcId: !Ref Vpc}}
      Machine:
        Type: AWS::EC2::Instance
        Properties:
          ImageId: ami-00000000000000001
          InstanceType: m4.large
          SubnetId: !Ref Subnet
          PrivateIpAddress: 10.50.0.10
internet:
  pool: 203.0.113.0/24
sites:
  office:
    segments:
      lan: 192.168.0.0/24
    hosts:
      notebook:
        interfaces:
          eth0: {segment: lan, address: 192.168.0.82}
        routes: {default: 192.168.0.240}
      gateway:
        interfaces:
          eth0: {segment: lan, address: 192.168.0.240}
"""


def after(line, more):
    """Adds lines below one of the lab file."""
    return line, f"{line}\n{more}"


SUBNET = "          CidrBlock: 10.50.0.0/24"

# What is replaced by what, the words at the place that the error must name, and words of the error.
WRONG = {
    "an unknown key of the lab file": (("sites:", "sights:"), "sights:", ["unknown key `sights`", "sites"]),
    "an unknown key of a host": (
        ("routes: {default:", "rotues: {default:"),
        "rotues:",
        ["unknown key `rotues`", "notebook", "routes"],
    ),
    "an unknown key of an interface": (
        ("address: 192.168.0.82", "address: 192.168.0.82, latency: 5ms"),
        "latency:",
        ["unknown key `latency`", "delay"],
    ),
    "the same key twice": (("    segments:\n", "    hosts: {}\n    segments:\n"), "hosts:\n", ["`hosts` stands twice"]),
    "a missing key": (("  region: eu-west-1\n", ""), "template:", ["lacks `region`"]),
    "a list where a mapping must be": (
        ("  pool: 203.0.113.0/24", "  - 203.0.113.0/24"),
        "- 203",
        ["must be a mapping", "a list"],
    ),
    "no YAML": (("routes: {default: 192.168.0.240}", "routes: {default: 192.168.0.240"), None, ["not YAML"]),
    "an unknown resource type": (
        ("AWS::EC2::RouteTable", "AWS::EC2::VPNGateway"),
        "AWS::EC2::VPNGateway",
        ["`AWS::EC2::VPNGateway` of `Table` is not supported", "AWS::EC2::Subnet"],
    ),
    "an unknown property": (
        after(SUBNET, "          Ipv6Native: true"),
        "Ipv6Native",
        ["`Ipv6Native` of AWS::EC2::Subnet is not supported", "CidrBlock"],
    ),
    "an unknown section": (
        ("    Resources:", "    Transform: {}\n    Resources:"),
        "Transform",
        ["`Transform` is not supported"],
    ),
    "an unknown function": (
        ("!Ref Subnet", "!ImportValue Subnet"),
        "!ImportValue",
        ["`!ImportValue` is not supported"],
    ),
    "a reference to nothing": (("!Ref Subnet", "!Ref Sibnet"), "!Ref Sibnet", ["no resource or parameter is called `Sibnet`"]),
    "an overlapping subnet": (
        (
            "      Table:",
            "      Again:\n        Type: AWS::EC2::Subnet\n"
            "        Properties: {VpcId: !Ref Vpc, CidrBlock: 10.50.0.128/25}\n      Table:",
        ),
        "10.50.0.128/25",
        ["Again", "The CIDR '10.50.0.128/25' conflicts with another subnet", "InvalidSubnet.Conflict"],
    ),
    "a subnet outside its VPC": (
        (SUBNET, "          CidrBlock: 10.51.0.0/24"),
        "10.51.0.0/24",
        ["Subnet:", "InvalidSubnet.Range"],
    ),
    "a reserved address": (
        ("10.50.0.10", "10.50.0.2"),
        "10.50.0.2\n",
        ["Machine:", "reserved", "InvalidParameterValue"],
    ),
    "a route to nowhere": (
        ("default: 192.168.0.240", "default: 192.168.0.241"),
        "default:",
        ["a route to nowhere", "192.168.0.241"],
    ),
    "a route beyond every segment": (
        ("default: 192.168.0.240", "default: 172.16.0.1"),
        "172.16.0.1",
        ["a route to nowhere", "172.16.0.1"],
    ),
    "a route of the cloud to a gateway that is not attached": (
        (
            "      Machine:",
            "      Gateway: {Type: AWS::EC2::InternetGateway}\n"
            "      Route:\n        Type: AWS::EC2::Route\n        Properties:\n          RouteTableId: !Ref Table\n"
            "          DestinationCidrBlock: 0.0.0.0/0\n          GatewayId: !Ref Gateway\n      Machine:",
        ),
        None,
        ["Route:", "belong to different networks", "InvalidParameterValue"],
    ),
    "a segment that there is not": (
        ("eth0: {segment: lan, address: 192.168.0.82", "eth0: {segment: wan, address: 192.168.0.82"),
        "wan",
        ["no segment is called `wan`", "lan"],
    ),
    "an address outside its segment": (
        ("192.168.0.82", "192.168.1.82"),
        "192.168.1.82",
        ["192.168.1.82 is no host address of segment `lan`"],
    ),
    "an address twice": (
        (
            "      gateway:\n",
            "      third: {interfaces: {eth0: {segment: lan, address: 192.168.0.82}}}\n      gateway:\n",
        ),
        None,
        ["192.168.0.82 is taken by"],
    ),
    "an image that is not declared": (
        ("ami-00000000000000001", "ami-00000000000000009"),
        "ami-00000000000000009",
        ["`ami-00000000000000009` is neither declared", "`images`"],
    ),
    "a template that is not there": (
        (LAB[LAB.index("  template:") : LAB.index("internet:")], "  template: missing.cfn.yaml\n"),
        "missing.cfn.yaml",
        ["missing.cfn.yaml", "No such file"],
    ),
    "a name that is none": (("name: e2e-bad", "name: Bad_Lab"), "Bad_Lab", ["`Bad_Lab` is not a lab's name"]),
}


def refused(*arguments):
    """Brings up a lab that must be refused, and returns why; nothing is made."""
    done = ringwall("lab", "up", *arguments, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("ringwall: ")
    made, made_labs = standing()
    assert [path for path in made if NAME in path.name] == []
    assert NAME not in made_labs
    assert not (STATE / NAME).exists()
    return done.stderr


def place(path, text, words):
    """How an error names the place of these words."""
    assert text.count(words) == 1 or words.endswith("\n"), words
    start = text.rindex(words)
    line = text.count("\n", 0, start) + 1
    return f"{path}:{line}:{start - text.rfind(chr(10), 0, start)}: "


def test_the_lab_file_that_the_others_are_made_from_is_right(labs, lab_file):
    lab = labs.up(lab_file(LAB), NAME)
    assert [instance["state"] for instance in lab.status()["instances"]] == ["running"]
    assert [host["name"] for host in lab.status()["hosts"]] == ["gateway", "notebook"]


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_with_its_place(lab_file, what):
    (old, new), at, words = WRONG[what]
    assert LAB.count(old) >= 1
    text = LAB.replace(old, new, 1)
    path = lab_file(text)
    error = refused(path)
    if at is not None:
        assert place(path, text, at) in error
    else:
        # The place is somewhere in the file.
        assert error.startswith(f"ringwall: {path}:")
        line, column = error.removeprefix(f"ringwall: {path}:").split(":")[:2]
        assert 1 <= int(line) <= text.count("\n") + 1 and int(column) >= 1
    for word in words:
        assert word in error


def test_what_is_wrong_in_a_template_of_its_own_file_is_said_with_that_file(lab_file):
    template = lab_file(
        "Resources:\n  Vpc:\n    Type: AWS::EC2::VPC\n    Properties: {CidrBlock: 10.0.0.0/8}\n", "cloud.yaml"
    )
    start = LAB.index("  template:")
    path = lab_file(LAB[:start] + "  template: cloud.yaml\n" + LAB[LAB.index("internet:") :])
    error = refused(path)
    assert f"ringwall: {template}:4:29: Vpc: " in error
    assert "InvalidVpc.Range" in error


def test_a_lab_file_that_is_not_there(tmp_path):
    assert f"{tmp_path}/none.yaml: cannot be read: No such file" in refused(tmp_path / "none.yaml")


def test_a_lab_file_that_is_no_text(tmp_path):
    path = tmp_path / "lab.yaml"
    path.write_bytes(b"name: \xff\xfe\n")
    assert str(path) in refused(path)


def test_a_program_that_this_machine_lacks(lab_file):
    path = lab_file(LAB + "        run: [[no-such-program, --port, '80']]\n")
    error = refused(path)
    assert "this machine lacks what the lab needs: the program `no-such-program`" in error


@pytest.mark.parametrize("name", ["Bad", "bad_", "-bad", "bad-", "", "../bad", "a" * 32, "bad.lab"])
def test_a_name_that_is_none(lab_file, name):
    error = refused("--name=" + name, lab_file(LAB))
    assert f"`{name}` is no lab name" in error
    assert not (STATE / name).exists() or name == ""


def test_commands_about_a_lab_that_is_not_up():
    for command in (
        ["lab", "status", NAME],
        ["lab", "down", NAME],
        ["explain", "--lab", NAME, "a", "b"],
        ["exec", "--lab", NAME, "a", "true"],
    ):
        done = ringwall(*command, check=False)
        assert done.returncode == 1
        assert f"no lab `{NAME}` is up" in done.stderr
