"""Quotas that an owner sets."""

import subprocess

from conftest import RINGWALL, ringwall
from endpoint import Serve, refused


def test_quotas_are_the_owners(tmp_path):
    for flags, words in (
        (["--quota", "vpc=9"], "there is no quota `vpc` (known: active_peerings_per_vpc,"),
        (["--quota", "vpcs=nine"], "`nine` is not a number"),
        (["--quota", "rules_per_network_acl=41"], "`rules_per_network_acl` can be 40 at most"),
        (["--quota", "rules_per_group=201"], "`rules_per_group` times `groups_per_interface` can be 1000 at most"),
    ):
        command = [RINGWALL, "serve", "--listen", "127.0.0.1:0", "--state", tmp_path / "e2e-quota", *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert done.returncode != 0 and words in done.stderr, done.stderr

    serve = Serve("e2e-quotas", flags=["--quota", "vpcs=6", "--quota", "groups_per_interface=2"])
    try:
        ec2 = serve.start().ec2()
        names = ["vpc-max-security-groups-per-interface"]
        (shown,) = ec2.describe_account_attributes(AttributeNames=names)["AccountAttributes"]
        assert shown["AttributeValues"] == [{"AttributeValue": "2"}]
        for number in range(6):
            ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")
        with refused("VpcLimitExceeded"):
            ec2.create_vpc(CidrBlock="10.6.0.0/16")
        # Another number holds for what stands, too.
        serve.flags = ["--quota", "vpcs=7"]
        serve.restart()
        ec2.create_vpc(CidrBlock="10.6.0.0/16")
        (shown,) = ec2.describe_account_attributes(AttributeNames=names)["AccountAttributes"]
        assert shown["AttributeValues"] == [{"AttributeValue": "5"}]
        serve.flags = []
        serve.restart()
        assert len(ec2.describe_vpcs()["Vpcs"]) == 7
        with refused("VpcLimitExceeded"):
            ec2.create_vpc(CidrBlock="10.7.0.0/16")
    finally:
        serve.down()


def test_a_lab_file_names_quotas(tmp_path):
    lab = tmp_path / "quotas.yaml"
    template = "{Resources: {Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}}}"
    text = f"name: e2e-quotas-lab\ncloud:\n  region: eu-west-1\n  quotas:\n    vpcs: 0\n  template: {template}\n"
    lab.write_text(text + "internet: {pool: 203.0.113.0/29}\n")
    done = ringwall("lab", "up", lab, check=False)
    assert done.returncode != 0 and "VpcLimitExceeded" in done.stderr, done.stderr
    lab.write_text(lab.read_text().replace("vpcs: 0", "vpcs: many"))
    assert "quotas.yaml:5:" in ringwall("lab", "up", lab, check=False).stderr
