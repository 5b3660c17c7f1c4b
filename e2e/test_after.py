"""The reference network after its change: a NAT gateway, IPv6 with an egress-only gateway, and the tunnel as before."""

import pytest
from conftest import LABS, SIX_HOPS, ringwall

TEST = "10.210.7.14"
NAT = "10.210.216.13"
ORIGIN = "192.0.2.80"
NAT_GATEWAY = "10.211.0.5"
NAT_GATEWAYS_ELASTIC_IP = "203.0.113.14"
# The first of the VPC's first /64 that AWS gives to an interface; the VPC's /56 is the first of the lab's pool.
TEST6 = "2001:db8:ec2::4"
ORIGIN6 = "2001:db8:80::80"

# The tunnel's ends, in the NAT gateway's subnet as in the reference network.
FAR_END, NEAR_END = "10.211.0.1", "10.211.0.2"

# Connects to a port and says how that ended.
CONNECT = """
    import socket, sys
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1.5).close()
        print("connected")
    except OSError as error:
        print(type(error).__name__)
"""


@pytest.fixture(scope="module")
def lab(module_labs):
    lab = module_labs.up(LABS / "after.yaml", "e2e-after-main")
    lab.wait_for_port("origin", 80)
    return lab


def get(lab, url):
    done = lab.exec("test", "curl", "-g", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", url)
    return done.stdout


# --- out by the NAT gateway ---


def test_the_internet_sees_the_nat_gateways_elastic_ip(lab):
    with lab.capture("origin", "eth0", "ip and tcp port 80") as capture:
        assert get(lab, f"http://{ORIGIN}/from-test") == "404"
        capture.wait_for("HTTP: GET /from-test")
        capture.wait_for("HTTP/1.0 404")
    assert capture.addresses == {(NAT_GATEWAYS_ELASTIC_IP, ORIGIN), (ORIGIN, NAT_GATEWAYS_ELASTIC_IP)}


def test_the_nat_gateway_is_a_hop_by_its_private_address(lab):
    for flags in ([], ["-I"], ["-T", "-p", "80"]):
        hops = [address for address, _ in lab.traceroute("test", ORIGIN, *flags)]
        assert hops == [NAT_GATEWAY, ORIGIN], flags


def test_explain_says_the_same_hops(lab):
    out = ringwall("explain", "--lab", lab.name, "--hops", "test", "origin").stdout
    assert [line.split() for line in out.splitlines()] == [["1", NAT_GATEWAY], ["2", ORIGIN]]


def test_the_nat_instance_has_nothing_to_do_with_it(lab):
    with lab.capture("nat", "eth0", "host", ORIGIN) as capture:
        assert get(lab, f"http://{ORIGIN}/") == "200"
        # What is the NAT instance's own is seen, and leaves by its own Elastic IP.
        with lab.capture("origin", "eth0", "icmp") as outside:
            lab.exec("nat", "ping", "-c", "1", "-W", "2", ORIGIN)
            outside.wait_for("echo reply")
        capture.wait_for("ICMP echo reply")
    assert capture.addresses == {(NAT, ORIGIN), (ORIGIN, NAT)}
    assert not any("Flags" in line for line in capture.packets)
    assert outside.addresses == {("203.0.113.13", ORIGIN), (ORIGIN, "203.0.113.13")}


def test_nobody_comes_in_by_the_nat_gateway(lab):
    before = lab.dropped("uplink0", "NatUnsolicited")
    assert lab.python("origin", CONNECT, NAT_GATEWAYS_ELASTIC_IP, "22") == "TimeoutError\n"
    # A SYN, and one again.
    assert lab.dropped("uplink0", "NatUnsolicited") >= before + 2


# --- in by the tunnel, as before ---


def test_the_six_hops_are_the_same(lab):
    for _ in range(2):
        assert [address for address, _ in lab.traceroute("notebook", TEST)] == SIX_HOPS
    out = ringwall("explain", "--lab", lab.name, "--hops", "notebook", "test").stdout
    assert [line.split()[1] for line in out.splitlines()] == SIX_HOPS


def test_the_notebook_reaches_ssh_s_port(lab):
    server = """
        import socket
        with socket.create_server(("0.0.0.0", 22)) as server:
            print("ready")
            with (connection := server.accept()[0]):
                print("from", connection.getpeername()[0])
    """
    with lab.python_background("test", server) as listener:
        listener.wait_for("ready")
        assert lab.python("notebook", CONNECT, TEST, "22") == "connected\n"
        listener.wait_for(f"from {NAT}")


# --- the NAT gateway's subnet overlaps the tunnel's ends ---


def test_the_tunnels_ends_reach_each_other(lab):
    for source, destination in (("ec2-vpn", FAR_END), ("nat", NEAR_END)):
        lab.exec(source, "ping", "-c", "1", "-W", "2", destination)


def test_no_packet_of_the_tunnels_ends_is_in_the_vpc(lab):
    with lab.capture("nat", "eth0", "net", "10.211.0.0/28") as capture:
        lab.exec("nat", "ping", "-c", "1", "-W", "2", NEAR_END)
        lab.exec("notebook", "ping", "-c", "1", "-W", "2", TEST)
        # The NAT instance reaches for the NAT gateway itself, which answers no ping: the last packet, and all there is.
        lab.exec("nat", "ping", "-c", "1", "-W", "1", NAT_GATEWAY, check=False)
        capture.wait_for(f"> {NAT_GATEWAY}: ICMP echo request")
    assert capture.addresses == {(NAT, NAT_GATEWAY)}


def test_from_the_test_machine_the_far_end_is_an_address_of_the_vpc(lab):
    """Before the change its default route led to the NAT instance, and so to the tunnel's far end."""
    before = lab.dropped("test", "NoSuchAddress")
    for end in (FAR_END, NEAR_END):
        assert lab.exec("test", "ping", "-c", "1", "-W", "1", end, check=False).returncode == 1
        explanation, code = lab.explain("test", end, "--proto", "icmp")
        assert code == 2
        assert "NoSuchAddress" in explanation["there"]["outcome"]["Dropped"]["why"]
    assert lab.dropped("test", "NoSuchAddress") == before + 2


def test_before_the_change_the_test_machine_reached_the_far_end(module_labs):
    lab = module_labs.up(LABS / "before-table.yaml", "e2e-after-before")
    lab.exec("test", "ping", "-c", "1", "-W", "2", FAR_END)


# --- IPv6 ---


def test_the_instance_has_its_address_by_dhcp_and_its_route_by_the_router(lab):
    assert lab.instance("test")["machine"]["failures"] == []
    addresses = lab.exec("test", "ip", "-6", "addr", "show", "dev", "eth0", "scope", "global").stdout
    assert f"inet6 {TEST6}/128 scope global dynamic" in addresses
    assert f"iaaddr {TEST6}" in lab.sh("test", "cat /var/lib/dhcp/dhclient6.eth0.leases").stdout
    (route,) = lab.exec("test", "ip", "-6", "route", "show", "default").stdout.splitlines()
    assert route.startswith("default via fe80:ec2::1 dev eth0 proto ra ")


def test_the_nat_instances_subnet_has_none(lab):
    assert lab.exec("nat", "ip", "-6", "addr", "show", "dev", "eth0").stdout == ""


def test_out_works_by_ipv6(lab):
    with lab.capture("origin", "eth0", "ip6 and tcp port 80") as capture:
        assert get(lab, f"http://[{ORIGIN6}]/by-ipv6") == "404"
        capture.wait_for("HTTP: GET /by-ipv6")
    # Nobody has changed the source.
    assert f"{TEST6}." in capture.wait_for("HTTP: GET /by-ipv6")[0]
    lab.exec("test", "ping", "-6", "-c", "1", "-W", "2", ORIGIN6)
    # An egress-only gateway is no hop.
    assert [address for address, _ in lab.traceroute("test", ORIGIN6, "-6")] == [ORIGIN6]


def test_in_does_not_and_is_counted(lab):
    before = lab.dropped("uplink0", "EgressOnly")
    assert lab.exec("origin", "ping", "-6", "-c", "1", "-W", "1", TEST6, check=False).returncode == 1
    assert lab.dropped("uplink0", "EgressOnly") == before + 1
    with lab.background("test", "python3", "-m", "http.server", "--bind", "::", "22"):
        lab.wait_for_port("test", 22)
        assert lab.python("origin", CONNECT, TEST6, "22") == "TimeoutError\n"
    # A SYN, and one again.
    assert lab.dropped("uplink0", "EgressOnly") >= before + 3
    # It was not the security group.
    assert lab.drops("uplink0").keys().isdisjoint({"SecurityGroupIngress", "NetworkAclIngress"})


def test_the_security_group_would_have_let_it_in(labs, tmp_path):
    """The same lab with an internet gateway in the egress-only gateway's place."""
    template = (LABS / "after.cfn.yaml").read_text()
    egress_only = "EgressOnlyInternetGatewayId: !Ref EgressOnlyGateway"
    assert template.count(egress_only) == 1
    (tmp_path / "after.cfn.yaml").write_text(template.replace(egress_only, "GatewayId: !Ref Gateway"))
    (tmp_path / "after.yaml").write_text((LABS / "after.yaml").read_text())
    lab = labs.up(tmp_path / "after.yaml", "e2e-after-open")
    lab.exec("origin", "ping", "-6", "-c", "1", "-W", "2", TEST6)
    with lab.background("test", "python3", "-m", "http.server", "--bind", "::", "22"):
        lab.wait_for_port("test", 22)
        assert lab.python("origin", CONNECT, TEST6, "22") == "connected\n"


def test_an_old_instance_type_refuses_ipv6(tmp_path):
    template = (LABS / "after.cfn.yaml").read_text()
    head, test = template.split("  TestMachine:\n")
    assert test.count("InstanceType: m4.large") == 1
    (tmp_path / "after.cfn.yaml").write_text(f"{head}  TestMachine:\n{test.replace('m4.large', 't1.micro')}")
    (tmp_path / "after.yaml").write_text((LABS / "after.yaml").read_text())
    done = ringwall("lab", "up", "--name", "e2e-after-t1", tmp_path / "after.yaml", check=False)
    assert done.returncode == 1
    assert "TestMachine" in done.stderr and "t1.micro" in done.stderr and "IPv6" in done.stderr, done.stderr
