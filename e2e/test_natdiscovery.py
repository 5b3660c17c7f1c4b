"""An independent program tells how translation behaves (RFC 5780): coturn's turnutils_natdiscovery in instances, and its
server with two addresses on the internet."""

import concurrent.futures
import re

import pytest
from conftest import LABS, until

STUN = "192.0.2.10"
ALTERNATIVE = "192.0.2.11"
PORT = 3478
ADDRESSES = {"aws": "203.0.113.11", "rfc": "203.0.113.12"}
INSTANCES = {"aws": ["by-aws", "by-aws-2"], "rfc": ["by-rfc", "by-rfc-2"]}
FILTERING = {
    "aws": "NAT with Address and Port Dependent Filtering!",
    "rfc": "NAT with Address Dependent Filtering!",
}
# Both instances behind a gateway use them. A mapping that was used towards both of the server's addresses would let both
# in, so filtering is looked for on another one.
COLLIDING, FRESH = 40000, 40001

SERVER = [
    *("turnserver", "-n", "--stun-only", "--no-auth", "--no-cli", "--no-tls", "--no-dtls"),
    *("--log-file", "stdout", "--pidfile", "/tmp/turnserver.pid", "--userdb", "/tmp/turndb"),
    *("--listening-ip", STUN, "--listening-ip", ALTERNATIVE),
    *("--listening-port", PORT, "--alt-listening-port", PORT + 1),
]


@pytest.fixture(scope="module")
def lab(module_labs):
    lab = module_labs.up(LABS.parent / "nats.yaml", "e2e-natdiscovery")
    with lab.background("stun", *SERVER):
        listening = ["ss", "-Hlun", f"sport = :{PORT} or sport = :{PORT + 1}"]
        until(lambda: len({line.split()[3] for line in lab.exec("stun", *listening).stdout.splitlines()}) == 4)
        yield lab


def discover(lab, who, *flags, port=None):
    """What the program says, and the endpoints as which the server saw it."""
    (address,) = lab.exec(who, "hostname", "-I").stdout.split()
    local = ["-L", address, *(["-l", port] if port else [])]
    said = lab.exec(who, "turnutils_natdiscovery", *flags, *local, "-p", PORT, STUN).stdout
    seen = re.findall(r"UDP reflexive addr: ([\d.]+):(\d+)", said)
    return said, seen


@pytest.mark.parametrize("profile", ADDRESSES)
def test_mapping_is_endpoint_independent(lab, profile):
    said, seen = discover(lab, INSTANCES[profile][0], "-m")
    assert "NAT with Endpoint Independent Mapping!" in said
    assert {address for address, _ in seen} == {ADDRESSES[profile]}
    # From both addresses of the server.
    assert len(seen) == 2 and len(set(seen)) == 1
    assert f"Response origin: : {ALTERNATIVE}:{PORT}" in said


@pytest.mark.parametrize("profile", ADDRESSES)
def test_filtering_is_the_profile_s(lab, profile):
    said, _ = discover(lab, INSTANCES[profile][0], "-f")
    assert FILTERING[profile] in said


@pytest.mark.parametrize("profile", ADDRESSES)
def test_both_hold_under_port_collisions(lab, profile):
    """Two instances with one source port at the same time, again and again: each is a mapping of its own."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            both = list(pool.map(lambda who: discover(lab, who, "-m", port=COLLIDING), INSTANCES[profile]))
            for said, seen in both:
                assert "NAT with Endpoint Independent Mapping!" in said
                assert f"Local addr: : 10.0.{1 if profile == 'aws' else 2}." in said and f":{COLLIDING}\n" in said
                assert len(set(seen)) == 1
            assert len({seen[0] for _, seen in both}) == 2
        filtering = list(pool.map(lambda who: discover(lab, who, "-f", port=FRESH), INSTANCES[profile]))
    for said, _ in filtering:
        assert FILTERING[profile] in said


@pytest.mark.parametrize("profile", ADDRESSES)
def test_mapping_is_found_with_datagrams_in_fragments_too(lab, profile):
    who = INSTANCES[profile][0]
    # The program sends each datagram once: before, the instance's kernel must know that the way is narrower than its link.
    for address in (STUN, ALTERNATIVE):
        lab.exec(who, "ping", "-M", "do", "-s", "2000", "-c", "1", "-W", "1", address, check=False)
    with lab.capture("stun", "any", "ip[6:2] & 0x1fff != 0") as later_fragments:
        said, seen = discover(lab, who, "-m", "-P")
        later_fragments.wait_for(f"{ADDRESSES[profile]} > {STUN}: ip-proto-17")
    assert "NAT with Endpoint Independent Mapping!" in said
    assert len(seen) == 2 and len(set(seen)) == 1


def test_a_nat_instance_filters_as_linux_does(lab):
    """Where the gateway of the rfc profile differs from it."""
    said, seen = discover(lab, "by-linux", "-m", "-f", port=COLLIDING)
    assert "NAT with Endpoint Independent Mapping!" in said
    assert "NAT with Address and Port Dependent Filtering!" in said
    assert seen[0] == ("203.0.113.13", str(COLLIDING))
