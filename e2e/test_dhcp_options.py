"""DHCP option sets, and consoles: what real machines are told, and what they say."""

import time

import pytest
from conftest import until
from endpoint import network, run

DOMAIN, SERVERS = "corp.example", ["192.0.2.53", "AmazonProvidedDNS"]


@pytest.fixture(scope="module")
def cloud(serve):
    net = network(serve.ec2("zz-dhcp-1"), cidr="10.64.0.0/16")
    net.ec2 = serve.ec2("zz-dhcp-1")
    options = net.ec2.create_dhcp_options(
        DhcpConfigurations=[
            {"Key": "domain-name", "Values": [DOMAIN]},
            {"Key": "domain-name-servers", "Values": SERVERS},
            {"Key": "ntp-servers", "Values": ["192.0.2.123"]},
        ]
    )
    net.options = options["DhcpOptions"]["DhcpOptionsId"]
    net.ec2.associate_dhcp_options(DhcpOptionsId=net.options, VpcId=net.vpc)
    return net


def test_a_machine_hears_of_its_vpcs_option_set(serve, cloud):
    instance = run(cloud.ec2, cloud.subnet, cloud.group)
    resolver = serve.exec(instance, "cat", "/etc/resolv.conf").stdout
    assert f"nameserver {SERVERS[0]}\nnameserver 10.64.0.2\n" in resolver, resolver
    assert DOMAIN in resolver
    cloud.ec2.terminate_instances(InstanceIds=[instance])


def test_the_console_shows_what_the_machine_wrote(serve, cloud):
    said = f"said at {time.time()}"
    instance = run(cloud.ec2, cloud.subnet, cloud.group, UserData=f"#!/bin/sh\necho '{said}'\n")
    until(lambda: said in cloud.ec2.get_console_output(InstanceId=instance).get("Output", ""))
    answer = cloud.ec2.get_console_output(InstanceId=instance, Latest=True)
    assert answer["InstanceId"] == instance
    assert abs(answer["Timestamp"].timestamp() - time.time()) < 3600
    cloud.ec2.terminate_instances(InstanceIds=[instance])
