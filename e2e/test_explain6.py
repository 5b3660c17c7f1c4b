"""What explain says of IPv6 is what packets do: asked for many pairs, and tried."""

import concurrent.futures
import itertools
import json

import pytest
from conftest import LABS, ringwall, until

SOURCES = ["web", "closed", "box", "guarded", "inner", "old", "far", "origin", "narrow", "dmz", "notebook"]
WEB, CLOSED, GUARDED, INNER = "2001:db8:6:1::10", "2001:db8:6:1::11", "2001:db8:6:2::10", "2001:db8:6:3::31"
FAR, ORIGIN = "2001:db8:6:101::10", "3fff::80"
NAT64_ORIGIN, OFFICE = "64:ff9b::c000:250", "64:ff9b::c0a8:52"
DESTINATIONS = {
    WEB: "behind an internet gateway",
    CLOSED: "which lets IPv4 in",
    "2001:db8:6:1::13": "which takes all that comes",
    GUARDED: "behind a network ACL",
    INNER: "behind an egress-only internet gateway",
    "2001:db8:6:3::30": "its second address",
    FAR: "in a VPC that is peered",
    "2001:db8:6:1::1": "a router",
    "2001:db8:6:1::99": "nobody in a subnet",
    "2001:db8:6:200::1": "nobody's block of the pool",
    ORIGIN: "a host on the internet",
    "3fff::81": "another, which knows one subnet",
    "3fff::8": "a firewall",
    "3fff::99": "nobody on the internet",
    NAT64_ORIGIN: "a host on the internet by its IPv4 address",
    "64:ff9b::198.51.100.8": "the firewall by its",
    "64:ff9b::203.0.113.20": "the Elastic IP of the first",
    "64:ff9b::10.0.1.10": "its private IPv4 address",
    OFFICE: "a host in an office, through a tunnel",
    "64:ff9b::192.0.2.99": "nobody's IPv4 address",
}
# A NAT gateway has no IPv6 address: who speaks IPv6 hears their router.
ROUTER = "fe80:ec2::1"


@pytest.fixture(scope="module")
def lab(module_labs):
    lab = module_labs.up(LABS.parent / "ipv6.yaml", "e2e-explain-six")
    until(lambda: lab.exec("inner", "ping", "-6", "-c", "1", "-W", "1", OFFICE, check=False).returncode == 0)
    return lab


def trimmed(hops):
    """Without what traceroute tries on in vain."""
    return list(reversed(list(itertools.dropwhile(lambda hop: hop == "*", reversed(hops)))))


def tried(lab, source, destination):
    """The address that the source sends from, whether a ping is answered, and the hops of a traceroute; none if the
    source knows no way."""
    route = lab.exec(source, "ip", "-6", "-j", "route", "get", destination, check=False)
    if route.returncode != 0:
        assert "unreachable" in route.stderr.lower(), route.stderr
        return None
    ping = lab.exec(source, "ping", "-6", "-c", "1", "-W", "1", destination, check=False)
    flags = ["-6", "-n", "-q", "1", "-w", "1", "-m", "5", "-N", "5"]
    lines = lab.exec(source, "traceroute", *flags, destination).stdout.splitlines()[1:]
    # Where nobody answers neighbor discovery the source itself says so: that is no hop.
    hops = ["*" if "!H" in line else line.split()[1].split("%")[0] for line in lines]
    return json.loads(route.stdout)[0]["prefsrc"], ping.returncode == 0, trimmed(hops)


def explained(lab, source, destination):
    """The same by explain."""
    answered = ringwall("explain", "--lab", lab.name, "--proto", "icmp", source, destination, check=False)
    if answered.returncode == 1:
        assert "has no route to" in answered.stderr, answered.stderr
        return None
    sender = answered.stdout.splitlines()[0].removeprefix("echo request ").split()[0]
    hops = ringwall("explain", "--lab", lab.name, "--hops", source, destination, check=False).stdout
    return sender, answered.returncode == 0, trimmed([line.split()[1] for line in hops.splitlines()])


def test_explain_says_what_packets_do(lab):
    pairs = list(itertools.product(SOURCES, DESTINATIONS))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        reality = dict(zip(pairs, pool.map(lambda pair: tried(lab, *pair), pairs), strict=True))
        words = dict(zip(pairs, pool.map(lambda pair: explained(lab, *pair), pairs), strict=True))
    assert {pair: (reality[pair], words[pair]) for pair in pairs if reality[pair] != words[pair]} == {}
    # All kinds are among them.
    sent = [result for result in reality.values() if result]
    assert 30 < sum(answered for _, answered, _ in sent) < len(sent) - 30 and len(sent) < len(pairs) - 30
    assert {hop for _, _, hops in sent for hop in hops} >= {ROUTER, ORIGIN, WEB}
    assert reality["inner", NAT64_ORIGIN] == (INNER, True, [ROUTER, NAT64_ORIGIN])
    # Beyond the NAT gateway IPv4's routers are hops too: an instance, and the other end of its tunnel.
    assert reality["inner", OFFICE] == (INNER, True, [ROUTER, "64:ff9b::a00:10d", "64:ff9b::a09:2", OFFICE])


@pytest.mark.parametrize(
    ("source", "destination", "reason"),
    [
        ("origin", CLOSED, "SecurityGroupIngress"),
        ("origin", GUARDED, "NetworkAclIngress"),
        ("origin", INNER, "EgressOnly"),
        ("far", ORIGIN, "NoRoute"),
        ("inner", FAR, "NoInternetHost"),
        ("web", "2001:db8:6:3::99", "NoSuchAddress"),
        ("web", "2001:db8:6:1::1", "ForTheRouter"),
    ],
)
def test_explain_gives_the_reason_that_is_counted(lab, source, destination, reason):
    explanation, code = lab.explain(source, destination, "--proto", "icmp")
    said = explanation["there"]["outcome"]["Dropped"]["why"]
    assert said.startswith(f"{reason}: ") and code == 2
    port = "uplink0" if source == "origin" else source
    before = lab.dropped(port, reason)
    assert lab.exec(source, "ping", "-6", "-c", "1", "-W", "1", destination, check=False).returncode == 1
    assert lab.dropped(port, reason) == before + 1


def test_answers_that_a_network_acl_keeps_out(lab):
    explanation, code = lab.explain("guarded", ORIGIN, "--proto", "icmp")
    assert explanation["there"]["outcome"] == {"Delivered": {"at": "origin"}} and code == 2
    assert explanation["back"]["outcome"]["Dropped"]["why"].startswith("NetworkAclIngress: ")
    before = lab.dropped("uplink0", "NetworkAclIngress")
    with lab.capture("origin", "eth0", "icmp6") as capture:
        assert lab.exec("guarded", "ping", "-6", "-c", "1", "-W", "1", ORIGIN, check=False).returncode == 1
        capture.wait_for("echo reply")
    assert lab.dropped("uplink0", "NetworkAclIngress") == before + 1


def test_what_a_guest_forwards_is_not_guessed(lab):
    beyond = "3fff:b0::1"
    explanation, code = lab.explain("inner", beyond, "--proto", "icmp")
    assert explanation["there"]["outcome"]["Unknown"]["at"] == "box" and code == 2
    with lab.capture("box", "eth0", "icmp6", "and", "dst", beyond) as capture:
        lab.exec("inner", "ping", "-6", "-c", "1", "-W", "1", beyond, check=False)
        capture.wait_for("echo request")


def test_a_connection_to_ipv4_as_both_ends_see_it(lab):
    explanation, code = lab.explain("inner", f"[{NAT64_ORIGIN}]:7", "--proto", "tcp")
    assert code == 0
    (seen,) = [stop["packet"] for stop in explanation["there"]["stops"] if stop["at"] == "origin"]
    assert seen.startswith("tcp 203.0.113.30:") and seen.endswith(" > 192.0.2.80:7")
    with lab.capture("origin", "eth0", "tcp") as capture:
        lab.sh("inner", f"exec 3<>/dev/tcp/{NAT64_ORIGIN}/7", check=False)
        capture.wait_for("Flags [R.]")
    assert capture.addresses == {("203.0.113.30", "192.0.2.80"), ("192.0.2.80", "203.0.113.30")}


def test_names_are_of_either_family(lab):
    assert lab.explain("web", "inner")[0]["packet"].endswith("> 10.0.3.10:33434")
    assert lab.explain("web", "inner", "-6")[0]["traceroute"] == ["2001:db8:6:3::31"]
    assert lab.explain("inner", "origin", "-6", "--proto", "icmp")[0]["traceroute"] == [ORIGIN]
    for destination, words in [("old", "has no IPv6 address"), ("192.0.2.80", "is an IPv4 address")]:
        done = ringwall("explain", "--lab", lab.name, "-6", "web", destination, check=False)
        assert done.returncode == 1 and words in done.stderr
