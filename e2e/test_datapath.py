"""What the packets themselves must survive: sizes, fragments, offloads, errors; and what an instance is given."""

import json
import re

import pytest
from conftest import LABS

TEST = "10.210.7.14"
NAT = "10.210.216.13"
ORIGIN = "192.0.2.80"
GATEWAYS_ROUTER = "10.210.128.1"

# An IP and an ICMP header are 28 bytes of the MTU.
JUMBO = 9001 - 28


@pytest.fixture(scope="module")
def lab(module_labs):
    return module_labs.up(LABS / "before-table.yaml", "e2e-datapath")


@pytest.fixture
def fresh(labs):
    """A lab that has learnt no path's MTU yet."""
    return labs.up(LABS / "before-table.yaml", "e2e-fresh")


def ping(lab, source, destination, *flags, check=True):
    return lab.exec(source, "ping", "-c", "1", "-W", "3", *flags, destination, check=check).stdout


# --- sizes ---


def test_inside_the_vpc_a_packet_has_9001_bytes(lab):
    for source, destination in (("test", NAT), ("nat", TEST)):
        assert f"{JUMBO + 8} bytes from {destination}" in ping(lab, source, destination, "-M", "do", "-s", str(JUMBO))
    done = lab.exec("test", "ping", "-c", "1", "-W", "1", "-M", "do", "-s", str(JUMBO + 1), NAT, check=False)
    assert "mtu=9001" in done.stdout + done.stderr


def test_the_internet_gateway_says_that_a_packet_is_too_big(fresh):
    # The gateway's own limit is 1500, and the answer comes from the sender's router.
    out = ping(fresh, "nat", ORIGIN, "-M", "do", "-s", str(JUMBO), check=False)
    assert f"From {GATEWAYS_ROUTER} icmp_seq=1 Frag needed and DF set (mtu = 1500)" in out
    assert "1480 bytes from" in ping(fresh, "nat", ORIGIN, "-M", "do", "-s", "1472")


def test_the_error_finds_its_way_back_through_the_nat_instance(fresh):
    out = ping(fresh, "test", ORIGIN, "-M", "do", "-s", "4000", check=False)
    assert "Frag needed and DF set (mtu = 1500)" in out
    # The kernel has learnt it.
    assert "mtu 1500" in fresh.exec("test", "ip", "route", "get", ORIGIN).stdout
    assert "1480 bytes from" in ping(fresh, "test", ORIGIN, "-M", "do", "-s", "1472")


@pytest.mark.parametrize(("source", "destination"), [("test", NAT), ("nat", TEST), ("nat", ORIGIN), ("test", ORIGIN)])
def test_fragments_of_a_large_ping_come_together_again(fresh, source, destination):
    assert f"20008 bytes from {destination}" in ping(fresh, source, destination, "-s", "20000")


def test_a_large_ping_through_the_tunnel(lab):
    # The tunnel's own packets say "don't fragment" until the NAT instance's kernel has learnt that the internet
    # carries no more than 1500 bytes: the first large answer is lost on that.
    ping(lab, "notebook", TEST, "-W", "1", "-s", "2000", check=False)
    assert f"20008 bytes from {TEST}" in ping(lab, "notebook", TEST, "-s", "20000")


# --- UDP ---

# Sockets that leave it to routers to cut their packets: not Linux's default (ip(7)).
CUT = """
    import socket
    IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0
    def cut(udp):
        udp.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
"""
ECHO = CUT + """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        cut(server)
        server.bind(("0.0.0.0", 7000))
        print("ready")
        while True:
            data, peer = server.recvfrom(65536)
            print("got", len(data), "from", peer[0])
            server.sendto(data[::-1], peer)
"""
ASK = CUT + """
    import os, sys
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        cut(client)
        client.settimeout(5)
        client.connect((sys.argv[1], 7000))
        for size in (0, 1, 1473, 9000, 20000, 65507):
            data = os.urandom(size)
            client.send(data)
            assert client.recv(65536) == data[::-1], size
    print("equal")
"""


@pytest.mark.parametrize(
    ("source", "server", "address"), [("test", "nat", NAT), ("nat", "origin", ORIGIN), ("test", "origin", ORIGIN)]
)
def test_datagrams_of_every_size_go_both_ways(fresh, source, server, address):
    with fresh.python_background(server, ECHO) as echo:
        echo.wait_for("ready")
        assert fresh.python(source, ASK, address) == "equal\n"
        echo.wait_for("got 65507 from")


def test_a_datagram_that_may_not_be_cut_teaches_its_sender(fresh):
    client = f"""
        import errno, socket
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect(("{ORIGIN}", 7000))
            client.send(bytes(4000))
            try:
                client.recv(65536)
            except OSError as error:
                print(errno.errorcode[error.errno])
            client.send(bytes(4000))
            print(len(client.recv(65536)))
    """
    with fresh.python_background("origin", ECHO) as echo:
        echo.wait_for("ready")
        for machine in ("nat", "test"):
            assert fresh.python(machine, client) == "EMSGSIZE\n4000\n"


def test_datagrams_that_the_kernel_sends_as_one_arrive_as_many(lab):
    # UDP_SEGMENT (udp(7)): the fabric sees frames of many datagrams, and the checksums are still to be made.
    receiver = """
        import hashlib, socket
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("0.0.0.0", 7001))
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            server.settimeout(10)
            print("ready")
            digest, sizes = hashlib.sha256(), set()
            for _ in range(400):
                data = server.recv(65536)
                digest.update(data)
                sizes.add(len(data))
        print("digest", digest.hexdigest(), sorted(sizes))
    """
    sender = """
        import hashlib, os, socket, sys, time
        UDP_SEGMENT = 103
        digest = hashlib.sha256()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setsockopt(socket.SOL_UDP, UDP_SEGMENT, 1200)
            client.connect((sys.argv[1], 7001))
            for _ in range(10):
                data = os.urandom(40 * 1200)
                digest.update(data)
                client.send(data)
        print(digest.hexdigest())
    """
    for source, server, address in (("test", "nat", NAT), ("test", "origin", ORIGIN)):
        with lab.python_background(server, receiver) as listener:
            listener.wait_for("ready")
            digest = lab.python(source, sender, address).strip()
            assert listener.wait_for("digest") == [f"digest {digest} [1200]"]


def test_an_error_from_the_internet_reaches_the_socket_that_it_is_about(lab):
    # Port 9 of the internet host is closed; its answer quotes the packet as it left the gateway.
    client = f"""
        import socket
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect(("{ORIGIN}", 9))
            client.send(b"anybody?")
            try:
                client.recv(1)
            except OSError as error:
                print(type(error).__name__)
    """
    for machine in ("nat", "test"):
        assert lab.python(machine, client) == "ConnectionRefusedError\n"


# --- TCP ---

SEND = """
    import hashlib, os, socket, sys
    digest, total = hashlib.sha256(), int(sys.argv[2])
    with socket.create_connection((sys.argv[1], 7002), timeout=60) as connection:
        block = os.urandom(1 << 20)
        for number in range(total):
            data = number.to_bytes(8, "big") + block
            digest.update(data)
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        # And all of it back.
        back = hashlib.sha256()
        while data := connection.recv(1 << 20):
            back.update(data)
    print(digest.hexdigest(), back.hexdigest())
"""
RECEIVE = """
    import hashlib, socket
    digest, kept = hashlib.sha256(), []
    with socket.create_server(("0.0.0.0", 7002)) as server:
        print("ready")
        with (connection := server.accept()[0]):
            connection.settimeout(60)
            while data := connection.recv(1 << 20):
                digest.update(data)
                kept.append(data)
            for data in kept:
                connection.sendall(data)
    print("digest", digest.hexdigest())
"""


@pytest.mark.parametrize(
    ("source", "server", "address"), [("test", "nat", NAT), ("nat", "origin", ORIGIN), ("test", "origin", ORIGIN)]
)
def test_a_stream_arrives_as_it_was_sent(lab, source, server, address):
    with lab.python_background(server, RECEIVE) as receiver:
        receiver.wait_for("ready")
        sent, back = lab.python(source, SEND, address, "128", timeout=120).split()
        assert receiver.wait_for("digest") == [f"digest {sent}"]
        assert back == sent


def test_a_stream_through_the_tunnel(lab):
    # Only SSH's port is open to the office.
    with lab.python_background("test", RECEIVE.replace("7002", "22")) as receiver:
        receiver.wait_for("ready")
        sent, back = lab.python("notebook", SEND.replace("7002", "22"), TEST, "4", timeout=120).split()
        assert receiver.wait_for("digest") == [f"digest {sent}"]
        assert back == sent


def test_nothing_was_dropped_for_want_of_a_right_frame(lab):
    # Run last in this file: after all of the above on this lab.
    with lab.python_background("nat", RECEIVE) as receiver:
        receiver.wait_for("ready")
        lab.python("test", SEND, NAT, "16", timeout=60)
    for who in ("test", "nat", "uplink0"):
        unwanted = {"BadOffload", "Oversized", "SendFailed", "BadIpv4Checksum", "BadQuote", "FragmentWithoutFirst"}
        assert not unwanted & lab.drops(who).keys(), lab.drops(who)


# --- what an instance is given ---


def test_the_lease(lab):
    for name, address, router in (("test", TEST, "10.210.0.1"), ("nat", NAT, GATEWAYS_ROUTER)):
        lease = lab.sh(name, "cat /var/lib/dhcp/dhclient.eth0.leases").stdout
        host = f"ip-{address.replace('.', '-')}"
        for option in (
            f"fixed-address {address};",
            "option subnet-mask 255.255.128.0;",
            f"option routers {router};",
            f"option dhcp-server-identifier {router};",
            "option domain-name-servers 10.210.0.2;",
            'option domain-name "eu-west-1.compute.internal";',
            f'option host-name "{host}";',
            "option interface-mtu 9001;",
            "option dhcp-lease-time 3600;",
        ):
            assert option in lease, lease
        assert lab.exec(name, "hostname").stdout == f"{host}\n"
        assert lab.sh(name, "cat /etc/hostname").stdout == f"{host}\n"
        assert re.search(rf"\b{host}\b", lab.sh(name, "cat /etc/hosts").stdout)
        resolver = lab.sh(name, "cat /etc/resolv.conf").stdout.splitlines()
        assert "nameserver 10.210.0.2" in resolver
        assert "search eu-west-1.compute.internal" in resolver
        assert [line for line in resolver if line.startswith("nameserver")] == ["nameserver 10.210.0.2"]


def test_the_interface(lab):
    (link,) = json.loads(lab.exec("test", "ip", "-j", "addr", "show", "eth0").stdout)
    assert link["mtu"] == 9001
    assert link["address"] == lab.instance("test")["mac"]
    assert [(a["local"], a["prefixlen"]) for a in link["addr_info"]] == [(TEST, 17)]
    assert lab.exec("test", "ip", "-j", "link", "show", "lo").stdout.count('"UP"') == 1


def test_the_hosts_own_files_are_untouched(lab):
    for path in ("/etc/resolv.conf", "/etc/hostname", "/etc/hosts"):
        inside = lab.sh("test", f"cat {path}").stdout
        with open(path) as file:
            assert file.read() != inside


METADATA = "http://169.254.169.254/latest/meta-data"


def test_each_instance_gets_its_own_metadata(lab):
    for name, public in (("test", None), ("nat", "203.0.113.13")):
        instance = lab.instance(name)

        def get(path):
            return lab.exec(name, "curl", "-sS", "-f", "-m", "5", f"{METADATA}/{path}", check=False)

        assert get("instance-id").stdout == instance["id"]
        assert get("local-ipv4").stdout == instance["private_ip"]
        assert get("mac").stdout == instance["mac"]
        assert get("hostname").stdout == f"ip-{instance['private_ip'].replace('.', '-')}.eu-west-1.compute.internal"
        if public:
            assert get("public-ipv4").stdout == public
        else:
            assert get("public-ipv4").returncode == 22  # 404
    assert lab.exec("origin", "curl", "-sS", "-m", "1", METADATA, check=False).returncode != 0


# --- the machines' kernel parameters ---

# Those that are inherited from the machine, or differ from distribution to distribution.
OF_LINKS = {
    "rp_filter": "0",
    "accept_redirects": "0",
    "secure_redirects": "0",
    "send_redirects": "0",
    "accept_source_route": "0",
}


def parameters(lab, namespace):
    script = "cd /proc/sys/net && grep -rs . ipv4/ip_forward ipv4/icmp_* ipv4/conf ipv6/conf"
    out = lab.inside("ip", "netns", "exec", namespace, "bash", "-c", script, check=False).stdout
    return dict(line.split(":", 1) for line in out.splitlines())


def test_every_namespace_has_its_parameters_set(lab):
    forwarding = {"lerberg", "rigtig", "dmz", "ec2-vpn", "nat"}
    status = lab.status()
    machines = {host["name"]: host["machine"]["namespace"] for host in status["hosts"]}
    machines |= {instance["name"]: instance["machine"]["namespace"] for instance in status["instances"]}
    others = {name: f"rw-{lab.name}-{name}" for name in ("fabric", "segments", "services")}
    for name, namespace in (machines | others).items():
        found = parameters(lab, namespace)
        assert found["ipv4/ip_forward"] == ("1" if name in forwarding else "0"), name
        assert found["ipv4/icmp_ratelimit"] == "0", name
        links = {path.split("/")[2] for path in found if path.startswith("ipv4/conf/")}
        assert {"all", "default", "lo"} < links
        # Tunnels too, which were made later.
        assert ("tun0" in links) == (name in ("ec2-vpn", "nat"))
        for link in links:
            for parameter, value in OF_LINKS.items():
                assert found[f"ipv4/conf/{link}/{parameter}"] == value, (name, link, parameter)
            if f"ipv6/conf/{link}/disable_ipv6" in found:
                assert found[f"ipv6/conf/{link}/disable_ipv6"] == "1", (name, link)


def test_the_fabric_has_no_addresses(lab):
    for name in ("fabric", "segments"):
        links = json.loads(lab.inside("ip", "-n", f"rw-{lab.name}-{name}", "-j", "addr").stdout)
        assert [link["ifname"] for link in links if link["addr_info"]] in ([], ["lo"])


# --- user data ---

USER_DATA = """
    name: e2e-data
    cloud:
      region: eu-west-1
      template:
        Resources:
          Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.50.0.0/16}}
          Subnet: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.50.0.0/24}}
          Script:
            Type: AWS::EC2::Instance
            Properties:
              ImageId: ami-00000000000000001
              InstanceType: m4.large
              SubnetId: !Ref Subnet
              Tags: [{Key: Name, Value: script}]
              UserData:
                Fn::Base64: !Sub |
                  #!/bin/bash
                  address=$(curl -sS -m 5 http://169.254.169.254/latest/meta-data/local-ipv4)
                  echo "ran in ${Vpc} as $(id -un), $address" >> /run/user-data-ran
          Words:
            Type: AWS::EC2::Instance
            Properties:
              ImageId: ami-00000000000000001
              InstanceType: m4.large
              SubnetId: !Ref Subnet
              Tags: [{Key: Name, Value: words}]
              UserData: !Base64 "touch /run/user-data-ran"
          Failing:
            Type: AWS::EC2::Instance
            Properties:
              ImageId: ami-00000000000000001
              InstanceType: m4.large
              SubnetId: !Ref Subnet
              Tags: [{Key: Name, Value: failing}]
              UserData: !Base64 "#!/bin/bash\\nexit 7\\n"
    internet: {pool: 203.0.113.0/24}
"""


def test_user_data_that_is_a_script_runs_once(labs, lab_file):
    lab = labs.up(lab_file(USER_DATA), "e2e-data")
    ran = lab.sh("script", "cat /run/user-data-ran").stdout
    address = lab.instance("script")["private_ip"]
    assert re.fullmatch(rf"ran in vpc-[0-9a-f]{{17}} as root, {re.escape(address)}\n", ran)
    assert lab.sh("words", "test -e /run/user-data-ran", check=False).returncode == 1
    assert lab.instance("script")["machine"]["failures"] == []
    assert any(
        "the user data" in failure and "7" in failure for failure in lab.instance("failing")["machine"]["failures"]
    )
