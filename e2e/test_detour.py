"""The per-machine detour: each test machine is told by hand that the NAT instance is its gateway."""

import re

import pytest
from conftest import LABS

NAT = "10.210.216.13"
ORIGIN = "192.0.2.80"
ELASTIC_IP = "203.0.113.13"
METADATA = "http://169.254.169.254/latest"

# Word for word what the company's machines ran.
DETOUR = """\
GW='10.210.216.13' MDS='169.254.169.254'
echo "supersede routers ${GW};" >> /etc/dhcp/dhclient.conf.local
echo "supersede rfc3442-classless-static-routes 32,${MDS//./,},0,0,0,0,0,${GW//./,};" >> /etc/dhcp/dhclient.conf.local
ip route replace default via "$GW"
ip route replace "$MDS" dev eth0
"""

# Only what sends packets to the NAT instance, without the route to the metadata service.
ONLY_THE_DEFAULT_ROUTE = f"ip route replace default via {NAT}"

PID_FILE = "/run/dhclient.eth0.pid"
START_DHCLIENT = f"dhclient -4 -pf {PID_FILE} -lf /var/lib/dhcp/dhclient.eth0.leases eth0"


@pytest.fixture
def lab(labs):
    lab = labs.up(LABS / "before-detour.yaml", "e2e-detour")
    lab.wait_for_port("origin", 80)
    return lab


def detour(lab):
    lab.exec("test", "bash", input=DETOUR)


def reaches_origin(lab):
    with lab.capture("origin", "eth0", "tcp port 80") as capture:
        done = lab.exec("test", "curl", "-sS", "-m", "2", "-o", "/dev/null", f"http://{ORIGIN}/", check=False)
        if done.returncode == 0:
            capture.wait_for("HTTP: GET /")
    if done.returncode != 0:
        assert capture.packets == []
    else:
        assert capture.addresses == {(ELASTIC_IP, ORIGIN), (ORIGIN, ELASTIC_IP)}
    return done.returncode == 0


def routes(lab):
    """The routes beside that to the machine's own subnet, as destination -> the rest."""
    lines = lab.exec("test", "ip", "route").stdout.splitlines()
    return {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in lines if "proto kernel" not in line}


def assert_detoured(lab):
    found = routes(lab)
    assert found["default"].startswith(f"via {NAT} dev eth0")
    assert found["169.254.169.254"].startswith("dev eth0")
    assert reaches_origin(lab)
    assert instance_id(lab) == lab.instance("test")["id"]


def instance_id(lab, *flags):
    return lab.exec("test", "curl", "-sS", "-m", "5", *flags, f"{METADATA}/meta-data/instance-id").stdout


def token(lab, *flags):
    header = "X-aws-ec2-metadata-token-ttl-seconds: 60"
    return lab.exec(
        "test", "curl", "-sS", "-m", "2", *flags, "-X", "PUT", "-H", header, f"{METADATA}/api/token", check=False
    )


def test_before_it_the_default_route_is_of_no_use(lab):
    assert routes(lab) == {"default": "via 10.210.0.1 dev eth0"}
    assert not reaches_origin(lab)
    assert lab.dropped("test", "NoPublicAddress") > 0
    explanation, code = lab.explain("test", "origin:80", "--proto", "tcp")
    assert code == 2
    why = explanation["there"]["outcome"]["Dropped"]["why"]
    assert "NoPublicAddress" in why and "no public address" in why


def test_after_it_the_machine_goes_through_the_nat_instance(lab):
    detour(lab)
    with lab.capture("nat", "eth0", "tcp port 80") as capture:
        assert_detoured(lab)
        capture.wait_for(f"{NAT}.")
    assert ("10.210.7.14", ORIGIN) in capture.addresses
    assert (NAT, ORIGIN) in capture.addresses
    # The VPC's router does not show in it, and the NAT instance does.
    hops = [address for address, _ in lab.traceroute("test", ORIGIN)]
    assert hops == [NAT, ORIGIN]


def test_the_office_still_reaches_the_machine(lab):
    detour(lab)
    hops = [address for address, _ in lab.traceroute("notebook", "10.210.7.14")]
    assert hops[-2:] == ["10.211.0.1", "10.210.7.14"]


def test_it_holds_after_a_restart_of_dhclient(lab):
    detour(lab)
    lab.sh("test", f"kill $(cat {PID_FILE}); while kill -0 $(cat {PID_FILE}) 2>/dev/null; do sleep 0.05; done")
    lab.sh("test", START_DHCLIENT)
    assert_detoured(lab)


def test_it_holds_when_dhclient_starts_from_nothing(lab):
    detour(lab)
    lab.sh("test", f"dhclient -r -pf {PID_FILE} -lf /var/lib/dhcp/dhclient.eth0.leases eth0; ip addr flush dev eth0")
    assert routes(lab) == {}
    lab.sh("test", START_DHCLIENT)
    assert_detoured(lab)


def test_without_the_metadata_route_the_service_takes_the_machine_for_the_nat_instance(lab):
    own, nat = lab.instance("test")["id"], lab.instance("nat")["id"]
    assert own != nat
    assert instance_id(lab) == own
    lab.sh("test", ONLY_THE_DEFAULT_ROUTE)
    assert instance_id(lab) == nat
    lab.sh("test", "ip route replace 169.254.169.254 dev eth0")
    assert instance_id(lab) == own


def test_without_the_metadata_route_a_token_does_not_survive_the_hop(lab):
    timed_out = 28
    lab.sh("test", ONLY_THE_DEFAULT_ROUTE)
    with lab.capture("nat", "eth0", "-v", "tcp src port 80 or icmp[icmptype] == icmp-timxceed") as capture:
        assert token(lab).returncode == timed_out
        # The connection itself is made: only the answer has so short a life, and ends at the NAT instance.
        capture.wait_for("Flags [S.]")
        capture.wait_for("ICMP time exceeded in-transit")
    lab.sh("test", "ip route replace 169.254.169.254 dev eth0")
    answer = token(lab)
    assert answer.returncode == 0
    assert instance_id(lab, "-H", f"X-aws-ec2-metadata-token: {answer.stdout}") == lab.instance("test")["id"]


def test_only_the_tokens_answer_carries_the_hop_limit(lab):
    with lab.capture("test", "eth0", "-v", "src host 169.254.169.254 and tcp port 80") as capture:
        value = token(lab).stdout
        capture.wait_for("HTTP/1.1 200 OK")
        assert instance_id(lab, "-H", f"X-aws-ec2-metadata-token: {value}")
        capture.wait_for("HTTP/1.1 200 OK", count=2)
    answers = re.findall(r"ttl (\d+)(?:(?!ttl \d).)*?HTTP/1.1 200 OK", "\n".join(capture.lines), re.DOTALL)
    assert answers[0] == "1"
    assert int(answers[1]) > 1
