"""Fragments and path MTU by way of NAT gateways of both profiles, with ordinary programs and real packets."""

import re

import pytest
from conftest import LABS

SERVER = "192.0.2.80"
GATEWAYS = {"by-aws": ("10.0.0.11", "203.0.113.11"), "by-rfc": ("10.0.0.12", "203.0.113.12")}
LATER_FRAGMENTS = "ip[6:2] & 0x1fff != 0"

# Sends datagrams that routers may cut (IP_PMTUDISC_DONT, ip(7)), and compares what comes back.
ASK = """
    import os, socket, sys
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.IPPROTO_IP, 10, 0)
        client.settimeout(5)
        client.connect((sys.argv[1], 7000))
        for size in (1, 1472, 1473, 8000, 20000, 65507):
            data = os.urandom(size)
            client.send(data)
            assert client.recv(65536) == data[::-1], size
    print("equal")
"""
ECHO = """
    import socket
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.IPPROTO_IP, 10, 0)
        server.bind(("0.0.0.0", 7000))
        print("ready")
        while True:
            data, peer = server.recvfrom(65536)
            print("got", len(data), "from", peer[0])
            server.sendto(data[::-1], peer)
"""
DOWNLOAD = 64 << 20


@pytest.fixture(scope="module")
def lab(module_labs):
    return module_labs.up(LABS.parent / "nats.yaml", "e2e-nat-path")


@pytest.fixture
def fresh(lab):
    """The same lab; its instances know of no path MTU yet."""
    for who in GATEWAYS:
        lab.exec(who, "ip", "route", "flush", "cache")
    return lab


@pytest.mark.parametrize("who", GATEWAYS)
def test_datagrams_of_udp_pass_in_fragments_both_ways(lab, who):
    elastic_ip = GATEWAYS[who][1]
    with (
        lab.python_background("server", ECHO) as echo,
        lab.capture("server", "eth0", f"udp and {LATER_FRAGMENTS}") as fragments,
    ):
        echo.wait_for("ready")
        assert lab.python(who, ASK, SERVER) == "equal\n"
        echo.wait_for(f"got 65507 from {elastic_ip}")
        fragments.wait_for(f"{elastic_ip} > {SERVER}")
        fragments.wait_for(f"{SERVER} > {elastic_ip}")


def test_fragments_of_a_ping_pass_where_the_rfcs_ask_for_it(lab):
    done = lab.exec("by-rfc", "ping", "-s", "10000", "-c", "2", "-i", "0.2", "-W", "2", SERVER)
    assert f"10008 bytes from {SERVER}" in done.stdout


def test_fragments_of_a_ping_do_not_pass_as_in_ec2(lab):
    before = lab.dropped("by-aws", "NatFragment")
    done = lab.exec("by-aws", "ping", "-s", "10000", "-c", "1", "-W", "1", SERVER, check=False)
    assert done.returncode == 1 and "0 received" in done.stdout
    # Two packets leave the instance, whose link carries 9001 bytes. The first decides for both.
    assert lab.dropped("by-aws", "NatFragment") > before
    # One that is not cut passes.
    lab.exec("by-aws", "ping", "-s", "1000", "-c", "1", "-W", "2", SERVER)


@pytest.mark.parametrize("who", GATEWAYS)
def test_the_gateway_tells_the_path_mtu(fresh, who):
    private, elastic_ip = GATEWAYS[who]
    with fresh.capture("server", "eth0", "icmp") as outside:
        done = fresh.exec(who, "ping", "-M", "do", "-s", "8000", "-c", "1", "-W", "1", SERVER, check=False)
        assert f"From {private} icmp_seq=1 Frag needed and DF set (mtu = 1500)" in done.stdout
        # The kernel has learnt it.
        assert "mtu 1500" in fresh.exec(who, "ip", "route", "get", SERVER).stdout
        full = fresh.exec(who, "ping", "-M", "do", "-s", "1472", "-c", "1", "-W", "2", SERVER)
        assert "1480 bytes from" in full.stdout
        outside.wait_for("echo request")
    # The one that was too big has not been out there.
    assert all("length 1514" in line for line in outside.packets), outside.packets
    assert (elastic_ip, SERVER) in outside.addresses


@pytest.mark.parametrize("who", GATEWAYS)
def test_a_large_download_and_an_upload_work(fresh, who):
    """The instance's own segments are for 9001 bytes until it knows better, and offloaded."""
    fresh.wait_for_port("server", 80)
    script = f"head -c {DOWNLOAD} /dev/urandom > /var/tmp/e2e-nat-path; sha256sum < /var/tmp/e2e-nat-path"
    digest = fresh.sh("server", script).stdout.split()[0]
    try:
        fetch = f"curl -sS -m 50 http://{SERVER}/e2e-nat-path | sha256sum"
        assert fresh.sh(who, fetch).stdout.split()[0] == digest
    finally:
        fresh.sh("server", "rm -f /var/tmp/e2e-nat-path")
    server = """
        import hashlib, socket
        digest, most = hashlib.sha256(), 0
        with socket.create_server(("0.0.0.0", 7001)) as server:
            print("ready")
            with (connection := server.accept()[0]):
                while data := connection.recv(1 << 20):
                    digest.update(data)
        print("digest", digest.hexdigest())
    """
    client = f"""
        import hashlib, os, socket
        data = os.urandom(1 << 24)
        with socket.create_connection(("{SERVER}", 7001), timeout=30) as connection:
            connection.sendall(data)
        print(hashlib.sha256(data).hexdigest())
    """
    with fresh.python_background("server", server) as listener:
        listener.wait_for("ready")
        sent = fresh.python(who, client).strip()
        assert re.fullmatch("[0-9a-f]{64}", sent)
        assert listener.wait_for("digest") == [f"digest {sent}"]
