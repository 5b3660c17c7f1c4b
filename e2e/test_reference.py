"""The reference network with a route table for the test machines: six hops, and what its captures show."""

import pytest
from conftest import LABS, SIX_HOPS, ringwall

TEST = "10.210.7.14"
NAT = "10.210.216.13"
ORIGIN = "192.0.2.80"
ELASTIC_IP = "203.0.113.13"
OFFICE = "198.51.100.8"


@pytest.fixture(scope="module")
def lab(module_labs):
    return module_labs.up(LABS / "before-table.yaml", "e2e-reference")


def test_three_traceroutes_show_the_six_hops(lab):
    # Right after the lab is up, and one right after the other: redirects and rate limits would spoil the second.
    for _ in range(3):
        hops = lab.traceroute("notebook", TEST)
        assert [address for address, _ in hops] == SIX_HOPS
        assert hops[4][1] - hops[3][1] > 25


def test_a_traceroute_with_its_ordinary_three_probes_shows_them_too(lab):
    lines = lab.exec("notebook", "traceroute", "-n", TEST).stdout.splitlines()
    assert lines[0] == f"traceroute to {TEST} ({TEST}), 30 hops max, 60 byte packets"
    assert [line.split()[1] for line in lines[1:]] == SIX_HOPS
    assert not any("*" in line for line in lines)


def test_traceroutes_by_icmp_and_by_tcp_show_them_too(lab):
    for flags in (["-I"], ["-T", "-p", "22"]):
        assert [address for address, _ in lab.traceroute("notebook", TEST, *flags)] == SIX_HOPS


def test_explain_says_the_same_hops(lab):
    for destination in ("test", TEST, lab.instance("test")["id"]):
        out = ringwall("explain", "--lab", lab.name, "--hops", "notebook", destination).stdout
        assert [line.split() for line in out.splitlines()] == [[str(n), hop] for n, hop in enumerate(SIX_HOPS, 1)]
    explanation, code = lab.explain("notebook", "test")
    assert (explanation["traceroute"], code) == (SIX_HOPS, 0)
    assert explanation["there"]["outcome"] == {"Delivered": {"at": "test"}}
    assert explanation["back"]["outcome"] == {"Delivered": {"at": "notebook"}}


def test_explain_names_what_decided_on_the_way(lab):
    text = ringwall("explain", "--lab", lab.name, "notebook", "test").stdout
    for words in (
        "masquerades: source 192.168.0.82 becomes 10.211.0.2",
        f"masquerades: source 192.168.5.27 becomes {OFFICE}",
        f"destination {ELASTIC_IP} becomes {NAT}",
        f"allows udp 1194 from {OFFICE}/32",
        f"masquerades: source 10.211.0.2 becomes {NAT}",
        f"allows udp 33434-33534 from {NAT}/32",
        "10.210.0.0/16 -> local",
    ):
        assert words in text


def test_outside_the_office_only_the_tunnel_is_seen(lab):
    with lab.capture("dmz", "eth2", "ip") as capture:
        lab.exec("notebook", "ping", "-c", "3", "-i", "0.2", "-W", "2", TEST)
        capture.wait_for("UDP", count=6)
    assert capture.addresses == {(OFFICE, ELASTIC_IP), (ELASTIC_IP, OFFICE)}
    assert all(".1194: UDP" in line or ".1194 > " in line for line in capture.packets)
    assert not any("ICMP" in line for line in capture.packets)


def test_the_nat_instance_sees_its_private_address(lab):
    with lab.capture("nat", "eth0", "ip") as capture:
        lab.exec("notebook", "ping", "-c", "3", "-i", "0.2", "-W", "2", TEST)
        capture.wait_for("UDP", count=6)
        capture.wait_for("ICMP", count=6)
    assert capture.addresses == {(OFFICE, NAT), (NAT, OFFICE), (NAT, TEST), (TEST, NAT)}
    assert not any(ELASTIC_IP in line for line in capture.packets)


def test_what_the_tunnel_carries_is_plain_to_see_inside(lab):
    with lab.capture("nat", "tun0", "icmp") as capture:
        lab.exec("notebook", "ping", "-c", "1", "-W", "2", TEST)
        capture.wait_for("ICMP", count=2)
    assert capture.addresses == {("10.211.0.2", TEST), (TEST, "10.211.0.2")}


def test_ping_and_tcp_22_reach_the_test_machine(lab):
    lab.exec("notebook", "ping", "-c", "1", "-W", "2", TEST)
    server = """
        import socket
        with socket.create_server(("0.0.0.0", 22)) as server:
            print("ready")
            with (connection := server.accept()[0]):
                print("from", connection.getpeername()[0])
                connection.sendall(connection.recv(100)[::-1])
    """
    client = f"""
        import socket
        with socket.create_connection(("{TEST}", 22), timeout=5) as connection:
            connection.sendall(b"hello")
            print(connection.recv(100).decode())
    """
    with lab.python_background("test", server) as listener:
        listener.wait_for("ready")
        assert lab.python("notebook", client) == "olleh\n"
        listener.wait_for(f"from {NAT}")


def test_the_test_machine_reaches_the_internet_as_the_elastic_ip(lab):
    lab.wait_for_port("origin", 80)
    with lab.capture("origin", "eth0", "tcp port 80") as capture:
        # The server has no such file, and logs that it was asked for.
        out = lab.exec(
            "test", "curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", f"http://{ORIGIN}/from-test"
        )
        assert out.stdout == "404"
        capture.wait_for("HTTP: GET /from-test")
        capture.wait_for("HTTP/1.0 404")
    assert capture.addresses == {(ELASTIC_IP, ORIGIN), (ORIGIN, ELASTIC_IP)}
    console = (lab.host_directory("origin") / "console.log").read_text()
    assert f"{ELASTIC_IP} - - " in next(line for line in console.splitlines() if "GET /from-test" in line)


def test_nobody_on_the_internet_reaches_the_test_machine(lab):
    done = lab.exec("origin", "ping", "-c", "1", "-W", "1", TEST, check=False)
    assert done.returncode == 1
    assert "0 received" in done.stdout


def test_a_port_that_the_group_does_not_allow_is_silent_and_counted(lab):
    before = lab.dropped("nat", "SecurityGroupIngress")
    client = f"""
        import socket
        try:
            socket.create_connection(("{TEST}", 23), timeout=1.5)
        except OSError as error:
            print(type(error).__name__)
    """
    with lab.capture("test", "eth0", "tcp port 23 or tcp port 22 or icmp") as capture:
        assert lab.python("notebook", client) == "TimeoutError\n"
        # A packet that is allowed comes later, and is seen.
        lab.exec("notebook", "ping", "-c", "1", "-W", "2", TEST)
        capture.wait_for("ICMP echo request")
    assert not any("tcp" in line.lower() or ".23: Flags" in line for line in capture.packets)
    # The packet came from the NAT instance's port, so that is where it is counted: a SYN, and one again.
    assert lab.dropped("nat", "SecurityGroupIngress") >= before + 2


def test_explain_says_that_the_group_does_not_allow_it(lab):
    explanation, code = lab.explain("notebook", "test:23", "--proto", "tcp")
    assert code == 2
    why = explanation["there"]["outcome"]["Dropped"]["why"]
    assert "SecurityGroupIngress" in why and "No inbound rule" in why
    assert explanation["back"] is None
    # Where it ends is seen: the fifth hop still answers.
    assert explanation["traceroute"] == SIX_HOPS[:5]
    assert lab.explain("notebook", "test:22", "--proto", "tcp")[1] == 0
    assert lab.explain("notebook", "test", "--proto", "icmp")[1] == 0


def test_an_address_of_the_vpc_that_nobody_has(lab):
    before = lab.dropped("nat", "NoSuchAddress")
    assert lab.exec("notebook", "ping", "-c", "1", "-W", "1", "10.210.7.15", check=False).returncode == 1
    assert lab.dropped("nat", "NoSuchAddress") == before + 1
    explanation, code = lab.explain("notebook", "10.210.7.15")
    assert code == 2
    assert "NoSuchAddress" in explanation["there"]["outcome"]["Dropped"]["why"]


def test_explain_of_a_name_that_nobody_has_names_those_there_are(lab):
    done = ringwall("explain", "--lab", lab.name, "notebook", "nobody", check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    for word in ("`nobody`", "notebook", "lerberg", "nat", "test"):
        assert word in done.stderr
