"""Two VPCs with the same CIDR: no packet crosses. And what no instance may send."""

import pytest
from conftest import ringwall

# Every instance takes everything from everybody: only the fabric keeps them apart.
VPC = """
      Vpc{0}: {{Type: AWS::EC2::VPC, Properties: {{CidrBlock: 10.50.0.0/16}}}}
      Subnet{0}:
        Type: AWS::EC2::Subnet
        Properties: {{VpcId: !Ref Vpc{0}, CidrBlock: 10.50.0.0/24}}
      Open{0}:
        Type: AWS::EC2::SecurityGroup
        Properties:
          GroupDescription: everything from everybody
          VpcId: !Ref Vpc{0}
          SecurityGroupIngress: [{{IpProtocol: "-1", CidrIp: 0.0.0.0/0}}]
"""
INSTANCE = """
      {name}:
        Type: AWS::EC2::Instance
        Properties:
          ImageId: ami-00000000000000001
          InstanceType: m4.large
          SubnetId: !Ref Subnet{vpc}
          PrivateIpAddress: {address}
          SecurityGroupIds: [!Ref Open{vpc}]
          Tags: [{{Key: Name, Value: {name}}}]
"""
SHARED, ONLY_A, ONLY_B = "10.50.0.10", "10.50.0.20", "10.50.0.30"
INSTANCES = [("a1", "A", SHARED), ("a2", "A", ONLY_A), ("b1", "B", SHARED), ("b2", "B", ONLY_B)]

# Sends frames, given as hexadecimal arguments, from eth0 as they are.
SEND = """
    import socket, sys
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind(("eth0", 0))
        for frame in sys.argv[1:]:
            sender.send(bytes.fromhex(frame))
"""


@pytest.fixture(scope="module")
def lab(module_labs, tmp_path_factory):
    text = "name: e2e-isolation\ncloud:\n  region: eu-west-1\n  template:\n    Resources:\n"
    text += VPC.format("A") + VPC.format("B")
    text += "".join(INSTANCE.format(name=name, vpc=vpc, address=address) for name, vpc, address in INSTANCES)
    text += "internet: {pool: 203.0.113.0/24}\n"
    file = tmp_path_factory.mktemp("isolation") / "lab.yaml"
    file.write_text(text)
    return module_labs.up(file, "e2e-isolation")


@pytest.fixture(scope="module")
def macs(lab):
    return {i["name"]: bytes.fromhex(i["mac"].replace(":", "")) for i in lab.status()["instances"]}


def address(text):
    return bytes(map(int, text.split(".")))


def checksum(data):
    words = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while words > 0xFFFF:
        words = (words & 0xFFFF) + (words >> 16)
    return (~words & 0xFFFF).to_bytes(2, "big")


def ipv4(source, destination, payload, protocol=17, total=None, spoil_checksum=False):
    length = (20 + len(payload) if total is None else total).to_bytes(2, "big")
    head = b"\x45\0" + length + b"\0\1\0\0\x40" + bytes([protocol])
    ends = address(source) + address(destination)
    check = checksum(head + b"\0\0" + ends)
    if spoil_checksum:
        check = bytes([check[0] ^ 0xFF, check[1]])
    return head + check + ends + payload


def udp(words=b"what must not arrive"):
    """A datagram to port 7777, without a checksum (RFC 768)."""
    return (7777).to_bytes(2, "big") * 2 + (8 + len(words)).to_bytes(2, "big") + b"\0\0" + words


def ethernet(destination, source, payload, ethertype=0x0800):
    return destination + source + ethertype.to_bytes(2, "big") + payload


def send(lab, who, *frames):
    lab.python(who, SEND, *(frame.hex() for frame in frames))


def sentinel(lab, macs, capture, sender, receiver):
    """Sends a frame that must arrive, after those that must not: then nothing more is on its way."""
    addresses = {name: at for name, _, at in INSTANCES}
    packet = ipv4(addresses[sender], addresses[receiver], udp(b"the last"))
    send(lab, sender, ethernet(macs[receiver], macs[sender], packet))
    return capture.wait_for("length 8")


def test_addresses_lead_only_to_their_own_vpc(lab):
    for sender, reached, unreached in (("a1", ONLY_A, ONLY_B), ("b1", ONLY_B, ONLY_A)):
        lab.exec(sender, "ping", "-c", "1", "-W", "2", reached)
        assert lab.exec(sender, "ping", "-c", "1", "-W", "1", unreached, check=False).returncode != 0


def test_the_shared_address_is_each_vpcs_own(lab):
    for pinging, own, other in (("a2", "a1", "b1"), ("b2", "b1", "a1")):
        with lab.capture(own, "eth0", "icmp") as here, lab.capture(other, "eth0", "icmp") as there:
            lab.exec(pinging, "ping", "-c", "1", "-W", "2", SHARED)
            here.wait_for("echo reply")
            # Something that the other must see, so that its silence means something.
            lab.exec(other, "ping", "-c", "1", "-W", "2", {"b1": ONLY_B, "a1": ONLY_A}[other])
            there.wait_for("echo reply")
        sender = {"a2": ONLY_A, "b2": ONLY_B}[pinging]
        assert here.addresses == {(sender, SHARED), (SHARED, sender)}
        assert not any(sender in pair for pair in there.addresses), there.packets


def test_explain_knows_the_two_apart(lab):
    assert lab.explain("a1", "a2", "--proto", "icmp")[1] == 0
    explanation, code = lab.explain("a1", ONLY_B, "--proto", "icmp")
    assert code == 2
    assert explanation["there"]["outcome"]["Dropped"]["why"] == f"nobody in its subnet has the address {ONLY_B}"


def test_no_frame_crosses_whatever_it_says(lab, macs):
    router = bytes.fromhex("0a5257000001")
    ask = b"\0\1\x08\0\6\4\0\1" + macs["a1"] + address(SHARED) + bytes(6) + address(ONLY_B)
    before = lab.drops("a1")
    with lab.capture("b1", "eth0") as first, lab.capture("b2", "eth0") as second, lab.capture(
        "a1", "eth0", "arp"
    ) as own:
        send(
            lab,
            "a1",
            # By its MAC address, by its IP address, by both, to everybody; and the shared address.
            ethernet(macs["b2"], macs["a1"], ipv4(SHARED, ONLY_B, udp())),
            ethernet(macs["b1"], macs["a1"], ipv4(SHARED, SHARED, udp())),
            ethernet(router, macs["a1"], ipv4(SHARED, ONLY_B, udp())),
            ethernet(b"\xff" * 6, macs["a1"], ipv4(SHARED, ONLY_B, udp())),
            ethernet(b"\xff" * 6, macs["a1"], ipv4(SHARED, "255.255.255.255", udp())),
            ethernet(b"\xff" * 6, macs["a1"], ask, 0x0806),
            ethernet(macs["b2"], macs["a1"], ask, 0x0806),
        )
        assert sentinel(lab, macs, second, "b1", "b2")
        assert sentinel(lab, macs, first, "b2", "b1")
    for capture in (first, second):
        assert not any("20" in line.split("length")[-1] and "7777" in line for line in capture.packets), capture.packets
        assert macs_in(capture) <= {macs["b1"], macs["b2"], router, b"\xff" * 6}
    # Nobody answers for an address of another VPC.
    assert not any("Reply" in line for line in own.packets)
    after = lab.drops("a1")
    # By a MAC address of the other VPC, by an IP address of it, and to everybody.
    assert after.get("UnknownMac", 0) - before.get("UnknownMac", 0) >= 2
    assert after.get("NoSuchAddress", 0) - before.get("NoSuchAddress", 0) >= 1
    assert after.get("Broadcast", 0) - before.get("Broadcast", 0) >= 2


def macs_in(capture):
    found = set()
    for line in capture.packets:
        source, _, destination = line.split()[1:4]
        found |= {bytes.fromhex(source.replace(":", "")), bytes.fromhex(destination.rstrip(",").replace(":", ""))}
    return found


def vlan(macs, ethertype):
    """A frame with a tag, as a switch's trunk would carry it."""
    return macs["a2"] + macs["a1"] + ethertype.to_bytes(2, "big") + b"\0\5\x08\0" + ipv4(SHARED, ONLY_A, udp())


# What a1 sends to a2, and the reason that is counted for it.
REFUSED = {
    "another machine's MAC address": (
        "SpoofedMac",
        lambda macs: ethernet(macs["a2"], macs["b2"], ipv4(SHARED, ONLY_A, udp())),
    ),
    "the receiver's own MAC address": (
        "SpoofedMac",
        lambda macs: ethernet(macs["a2"], macs["a2"], ipv4(SHARED, ONLY_A, udp())),
    ),
    "another machine's IP address": (
        "SourceCheck",
        lambda macs: ethernet(macs["a2"], macs["a1"], ipv4(ONLY_B, ONLY_A, udp())),
    ),
    "the receiver's own IP address": (
        "SourceCheck",
        lambda macs: ethernet(macs["a2"], macs["a1"], ipv4(ONLY_A, ONLY_A, udp())),
    ),
    "a loopback address": (
        "MartianSource",
        lambda macs: ethernet(macs["a2"], macs["a1"], ipv4("127.0.0.1", ONLY_A, udp())),
    ),
    "an ARP answer for another's address": (
        "SpoofedArp",
        lambda macs: ethernet(
            macs["a2"],
            macs["a1"],
            b"\0\1\x08\0\6\4\0\2" + macs["a1"] + address("10.50.0.1") + macs["a2"] + address(ONLY_A),
            0x0806,
        ),
    ),
    "an 802.1Q tag": ("VlanTagged", lambda macs: vlan(macs, 0x8100)),
    "an 802.1ad tag": ("VlanTagged", lambda macs: vlan(macs, 0x88A8)),
    "half an IP header": (
        "TruncatedIpv4",
        lambda macs: ethernet(macs["a2"], macs["a1"], ipv4(SHARED, ONLY_A, udp())[:11]),
    ),
    "less than its total length says": (
        "BadIpv4TotalLength",
        lambda macs: ethernet(macs["a2"], macs["a1"], ipv4(SHARED, ONLY_A, udp(), total=400)),
    ),
    "a total length within the header": (
        "BadIpv4TotalLength",
        lambda macs: ethernet(macs["a2"], macs["a1"], ipv4(SHARED, ONLY_A, udp(), total=12)),
    ),
    "another IP version": (
        "BadIpv4Version",
        lambda macs: ethernet(macs["a2"], macs["a1"], b"\x65" + ipv4(SHARED, ONLY_A, udp())[1:]),
    ),
    "a wrong header checksum": (
        "BadIpv4Checksum",
        lambda macs: ethernet(macs["a2"], macs["a1"], ipv4(SHARED, ONLY_A, udp(), spoil_checksum=True)),
    ),
    "half a UDP header": (
        "TruncatedTransport",
        lambda macs: ethernet(macs["a2"], macs["a1"], ipv4(SHARED, ONLY_A, udp()[:5])),
    ),
    "a UDP length beyond the packet": (
        "BadUdpLength",
        lambda macs: ethernet(
            macs["a2"], macs["a1"], ipv4(SHARED, ONLY_A, b"\x1e\x61" * 2 + b"\x7f\xff\0\0" + b"x" * 20)
        ),
    ),
    "half an ARP packet": (
        "TruncatedArp",
        lambda macs: ethernet(macs["a2"], macs["a1"], b"\0\1\x08\0\6\4\0\1", 0x0806),
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_instance_may_send_is_dropped_and_counted(lab, macs, what):
    reason, frame = REFUSED[what]
    before = lab.dropped("a1", reason)
    with lab.capture("a2", "eth0", "-Q", "in") as capture:
        send(lab, "a1", frame(macs), frame(macs))
        sentinel(lab, macs, capture, "a1", "a2")
    assert lab.dropped("a1", reason) == before + 2
    # The last one is answered by an error, for which the receiver asks by ARP.
    others = [line for line in capture.packets if "length 8" not in line and f"Reply {SHARED} is-at" not in line]
    assert others == []


def test_the_status_says_in_words_what_was_dropped(lab, macs):
    send(lab, "a1", REFUSED["another machine's MAC address"][1](macs), REFUSED["half an IP header"][1](macs))
    text = ringwall("lab", "status", lab.name).stdout
    assert "dropped from a1:" in text
    assert "SpoofedMac (The frame's source MAC address is not the interface's own.)" in text
    assert "TruncatedIpv4" in text
