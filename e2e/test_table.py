"""A route table of the test machines' own: the NAT instance must stand in another subnet."""

import pytest
from conftest import LABS, ringwall

NAT = "10.210.216.13"
ORIGIN = "192.0.2.80"
ELASTIC_IP = "203.0.113.13"

# The NAT instance's address when it stands in the test machines' subnet, 10.210.0.0/17.
NAT_INSIDE = "10.210.16.13"


@pytest.fixture(scope="module")
def table(module_labs):
    return module_labs.up(LABS / "before-table.yaml", "e2e-table")


@pytest.fixture(scope="module")
def inside(module_labs, tmp_path_factory):
    """The same lab without its tunnel, and but for the NAT instance's subnet and address."""
    directory = tmp_path_factory.mktemp("inside")
    template = (LABS / "table.cfn.yaml").read_text()
    head, nat = template.split("  NatInstance:\n    Type: AWS::EC2::Instance\n")
    assert nat.count("!Ref GatewaySubnet") == 1
    nat = nat.replace("!Ref GatewaySubnet", "!Ref TestSubnet")
    text = f"{head}  NatInstance:\n    Type: AWS::EC2::Instance\n{nat}".replace(NAT, NAT_INSIDE)
    (directory / "table.cfn.yaml").write_text(text)
    # Without the tunnel: its far end's keep-alives come back too, and would be counted among the test's packets.
    world, _ = (LABS / "before-table.yaml").read_text().split("\ntunnels:\n")
    masquerade = "        masquerade:\n          - {out: tun0}\n"
    assert world.count(masquerade) == 1
    (directory / "before-table.yaml").write_text(world.replace(masquerade, ""))
    return module_labs.up(directory / "before-table.yaml", "e2e-inside")


def test_the_table_leads_to_the_nat_instance_in_another_subnet(table):
    with table.capture("origin", "eth0", "icmp") as capture:
        table.exec("test", "ping", "-c", "1", "-W", "2", ORIGIN)
        capture.wait_for("echo reply")
    assert capture.addresses == {(ELASTIC_IP, ORIGIN), (ORIGIN, ELASTIC_IP)}
    assert [address for address, _ in table.traceroute("test", ORIGIN)] == [NAT, ORIGIN]
    explanation, code = table.explain("test", "origin", "--proto", "icmp")
    assert (explanation["traceroute"], code) == ([NAT, ORIGIN], 0)


def test_the_machines_themselves_know_only_the_vpcs_router(table):
    assert (
        table.exec("test", "ip", "route", "show", "default").stdout.split() == "default via 10.210.0.1 dev eth0".split()
    )
    assert (
        table.exec("nat", "ip", "route", "show", "default").stdout.split()
        == "default via 10.210.128.1 dev eth0".split()
    )


def test_in_the_same_subnet_its_packets_come_back_to_it(inside):
    before = inside.dropped("nat", "RouteLeadsBack")
    with inside.capture("nat", "eth0", f"icmp and host {ORIGIN}") as capture:
        assert inside.exec("test", "ping", "-c", "2", "-i", "0.2", "-W", "1", ORIGIN, check=False).returncode == 1
        capture.wait_for(f"{NAT_INSIDE} > {ORIGIN}", count=2)
    # They arrive at the NAT instance and leave it masqueraded, and then the table sends them back to it.
    assert capture.addresses == {("10.210.7.14", ORIGIN), (NAT_INSIDE, ORIGIN)}
    assert inside.dropped("nat", "RouteLeadsBack") == before + 2
    assert inside.dropped("test", "RouteLeadsBack") == 0


def test_explain_says_in_words_why_it_leads_back(inside):
    for source in ("test", "nat"):
        explanation, code = inside.explain(source, "origin")
        assert code == 2
        why = explanation["there"]["outcome"]["Dropped"]["why"]
        assert "RouteLeadsBack" in why
        assert "The route leads back to the port that the packet came from" in why
        assert "a route table looks at the destination alone" in why
        assert "Put the target into another subnet" in why
        text = ringwall("explain", "--lab", inside.name, source, "origin", check=False).stdout
        assert "0.0.0.0/0 -> NatInstance" in text
