"""What explain says is what packets do: asked for many pairs, and tried."""

import concurrent.futures
import itertools

import pytest
from conftest import LABS, ringwall

SOURCES = ["notebook", "lerberg", "rigtig", "dmz", "ec2-vpn", "nat", "test", "origin"]
DESTINATIONS = {
    "10.210.7.14": "the test machine",
    "10.210.216.13": "the NAT instance",
    "203.0.113.13": "its Elastic IP",
    "10.211.0.1": "its end of the tunnel",
    "10.211.0.2": "the office's end",
    "192.168.0.82": "the notebook",
    "192.168.5.27": "the host at the office's end",
    "198.51.100.8": "the office's public address",
    "192.0.2.80": "a host on the internet",
    "203.0.113.99": "a public address that nobody has",
}


@pytest.fixture(scope="module", params=["before-table", "before-detour"])
def lab(request, module_labs):
    return module_labs.up(LABS / f"{request.param}.yaml", f"e2e-explain-{request.param}")


def tried_and_explained(lab, source, destination):
    """Whether a ping is answered, and whether explain says that it would be; the same of a traceroute's hops."""
    ping = lab.exec(source, "ping", "-c", "1", "-W", "1", destination, check=False)
    answered = ringwall("explain", "--lab", lab.name, "--proto", "icmp", source, destination, check=False)
    seen = said = None
    if ping.returncode == 0:
        seen = [address for address, _ in lab.traceroute(source, destination, "-m", "8", "-w", "1")]
        hops = ringwall("explain", "--lab", lab.name, "--hops", source, destination, check=False).stdout
        said = [line.split()[1] for line in hops.splitlines()]
        # A traceroute tries on where nobody answers any more: a closed security group.
        while seen and seen[-1] == "*":
            seen.pop()
        while said and said[-1] == "*":
            said.pop()
    return (ping.returncode == 0, seen), (answered.returncode == 0, said)


def test_explain_says_what_packets_do(lab):
    pairs = list(itertools.product(SOURCES, DESTINATIONS))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda pair: tried_and_explained(lab, *pair), pairs))
    differing = {pair: result for pair, result in zip(pairs, results, strict=True) if result[0] != result[1]}
    assert differing == {}
    # Both kinds are among them.
    answered = [tried for (tried, _), _ in results]
    assert 20 < sum(answered) < len(answered) - 20
