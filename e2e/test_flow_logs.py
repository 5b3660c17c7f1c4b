"""Flow logs of real packets, read as their readers read them: gzipped text in a bucket."""

import gzip
import os
import re
import subprocess

import pytest
from conftest import LABS, RINGWALL, ROOT, STATE, ringwall, until
from endpoint import ENVIRONMENT, instance, network, refused, run, session, terminate

NAME = re.compile(r"(\d{12})_vpcflowlogs_([a-z0-9-]+)_(fl-[0-9a-f]{17})_(\d{8}T\d{4}Z)_([0-9a-f]{8})\.log\.gz")
WIDE = (
    "${interface-id} ${instance-id} ${vpc-id} ${subnet-id} ${az-id} ${region} ${type} ${flow-direction} "
    "${traffic-path} ${action} ${protocol} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${pkt-srcaddr} "
    "${pkt-dstaddr} ${packets} ${bytes} ${tcp-flags} ${start} ${end} ${log-status} ${version}"
)
CONNECT = """
    import socket, sys
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1) as client:
            print(client.recv(100).decode())
    except OSError as error:
        print(type(error).__name__)
"""
LISTEN = """
    import socket
    with socket.create_server(("", 8080)) as server:
        print("ready")
        while True:
            server.accept()[0].sendall(b"hello")
"""
UDP = """
    import socket, sys
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x" * int(sys.argv[3]), (sys.argv[1], int(sys.argv[2])))
"""


class Logs:
    """The flow logs of a cloud whose clock stands still but for us."""

    def __init__(self, name, ec2, directory):
        self.name, self.ec2, self.buckets, self.read = name, ec2, directory / "buckets", set()
        ringwall("clock", "--lab", name, "rate", "0")

    def create(self, kind, resource, traffic="ALL", bucket="flows", **options):
        made = self.ec2.create_flow_logs(
            ResourceType=kind,
            ResourceIds=[resource],
            TrafficType=traffic,
            LogDestinationType="s3",
            LogDestination=f"arn:aws:s3:::{bucket}",
            MaxAggregationInterval=60,
            **options,
        )
        assert made["Unsuccessful"] == []
        (log,) = made["FlowLogIds"]
        self.advance(0)
        return log

    def advance(self, seconds=60):
        """What this ends has been written when it returns."""
        ringwall("clock", "--lab", self.name, "advance", f"{seconds}s")

    def files(self, log):
        return [path for path in self.buckets.rglob("*.log.gz") if f"_{log}_" in path.name]

    def lines(self, log):
        """The records of files that were not read before, each as a dictionary."""
        records = []
        for path in sorted(set(self.files(log)) - self.read):
            self.read.add(path)
            header, *lines = gzip.decompress(path.read_bytes()).decode().splitlines()
            records += [dict(zip(header.split(" "), line.split(" "), strict=True)) for line in lines]
        return records

    def window(self, log):
        self.advance()
        return self.lines(log)


def only(records, **wanted):
    """The records that have these values; names have lines for hyphens."""
    wanted = {name.replace("_", "-"): str(value) for name, value in wanted.items()}
    return [record for record in records if wanted.items() <= record.items()]


@pytest.fixture(scope="module")
def ec2(serve):
    return serve.ec2()


@pytest.fixture(scope="module")
def logs(serve, ec2):
    return Logs(serve.name, ec2, serve.directory)


@pytest.fixture(scope="module")
def net(serve, ec2):
    """One instance that lets all in, and one that lets in nothing."""
    made = network(ec2, public=False)
    closed = ec2.create_security_group(VpcId=made.vpc, GroupName="closed", Description="lets nothing in")["GroupId"]
    made.open, made.closed = run(ec2, made.subnet, made.group), run(ec2, made.subnet, closed)
    for name in ("open", "closed"):
        shown = instance(ec2, getattr(made, name))
        setattr(made, f"{name}_ip", shown["PrivateIpAddress"])
        setattr(made, f"{name}_eni", shown["NetworkInterfaces"][0]["NetworkInterfaceId"])
    yield made
    terminate(ec2, made.open, made.closed)


@pytest.fixture
def of_vpc(logs, net):
    log = logs.create("VPC", net.vpc, LogFormat=WIDE)
    yield log
    logs.ec2.delete_flow_logs(FlowLogIds=[log])


def test_a_tcp_connection_is_told_at_both_ends(serve, logs, net, of_vpc):
    with serve.python_background(net.open, LISTEN) as server:
        server.wait_for("ready")
        assert serve.python(net.closed, CONNECT, net.open_ip, 8080) == "hello\n"
    records = only(logs.window(of_vpc), protocol=6)
    assert {record["action"] for record in records} == {"ACCEPT"}
    assert {(record["interface-id"], record["flow-direction"]) for record in records} == {
        (eni, way) for eni in (net.open_eni, net.closed_eni) for way in ("ingress", "egress")
    }
    assert len(records) == 4
    (asked,) = only(records, interface_id=net.open_eni, flow_direction="ingress")
    assert (asked["srcaddr"], asked["dstaddr"], asked["dstport"]) == (net.closed_ip, net.open_ip, "8080")
    # SYN and FIN; the answer has SYN-ACK.
    assert (asked["tcp-flags"], asked["traffic-path"]) == ("3", "-")
    (answered,) = only(records, interface_id=net.open_eni, flow_direction="egress")
    assert answered["tcp-flags"] in ("19", "18") and answered["traffic-path"] == "1"
    assert answered["instance-id"] == net.open and answered["vpc-id"] == net.vpc
    assert (answered["subnet-id"], answered["az-id"]) == (net.subnet, "euw1-az1")
    assert (answered["region"], answered["type"], answered["version"]) == ("eu-west-1", "IPv4", "5")
    assert int(answered["start"]) <= int(answered["end"])
    # What one sends the other gets, to the byte.
    twin = only(records, interface_id=net.closed_eni, flow_direction="ingress")[0]
    assert (twin["packets"], twin["bytes"]) == (answered["packets"], answered["bytes"])


def test_what_is_refused_is_told_by_who_refuses(serve, logs, net, of_vpc):
    assert serve.python(net.open, CONNECT, net.closed_ip, 8080) == "TimeoutError\n"
    records = only(logs.window(of_vpc), protocol=6)
    (sent,) = only(records, action="ACCEPT")
    (dropped,) = only(records, action="REJECT")
    assert (sent["interface-id"], sent["flow-direction"]) == (net.open_eni, "egress")
    assert (dropped["interface-id"], dropped["flow-direction"]) == (net.closed_eni, "ingress")
    assert dropped["tcp-flags"] == "2" and dropped["packets"] == sent["packets"]


def test_pings_are_counted_to_the_byte(serve, logs, net, of_vpc):
    assert serve.pings(net.closed, net.open_ip, count=3)
    records = only(logs.window(of_vpc), protocol=1)
    assert {(r["packets"], r["bytes"], r["srcport"], r["dstport"]) for r in records} == {("3", "252", "0", "0")}
    assert len(records) == 4


def test_an_interval_without_traffic_is_told(logs, net, of_vpc):
    logs.window(of_vpc)
    records = logs.window(of_vpc)
    assert {record["interface-id"] for record in records} == {net.open_eni, net.closed_eni}
    assert {(record["log-status"], record["srcaddr"], record["packets"]) for record in records} == {
        ("NODATA", "-", "-")
    }


def test_subnets_and_interfaces_and_the_traffic_that_was_asked_for(serve, logs, net):
    accepted = logs.create("Subnet", net.subnet, "ACCEPT")
    dropped = logs.create("NetworkInterface", net.closed_eni, "REJECT")
    serve.python(net.open, UDP, net.closed_ip, 9, 100)
    serve.python(net.closed, UDP, net.open_ip, 9, 100)
    logs.advance()
    (accept, *more), (reject,) = logs.lines(accepted), logs.lines(dropped)
    # The default format.
    assert list(accept) == (
        "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action "
        "log-status"
    ).split(" ")
    assert {record["action"] for record in (accept, *more) if record["protocol"] == "17"} == {"ACCEPT"}
    assert (reject["version"], reject["account-id"], reject["interface-id"]) == ("2", "000000000000", net.closed_eni)
    assert (reject["srcaddr"], reject["dstport"], reject["protocol"]) == (net.open_ip, "9", "17")
    assert (reject["packets"], reject["bytes"], reject["action"], reject["log-status"]) == ("1", "128", "REJECT", "OK")
    # A log that is deleted writes what it has, and then no more.
    deleted = logs.ec2.delete_flow_logs(FlowLogIds=[accepted, dropped, "fl-00000000000000000"])
    (unknown,) = deleted["Unsuccessful"]
    assert unknown["Error"]["Code"] == "InvalidFlowLogId.NotFound"
    logs.advance()
    before = logs.files(accepted)
    serve.python(net.closed, UDP, net.open_ip, 9, 100)
    logs.advance()
    assert logs.files(accepted) == before
    with refused("InvalidFlowLogId.NotFound"):
        logs.ec2.describe_flow_logs(FlowLogIds=[accepted])


def test_files_stand_where_s3_has_them(logs, net):
    plain = logs.create("VPC", net.vpc, bucket="flows/lab")
    partitions = {"FileFormat": "plain-text", "HiveCompatiblePartitions": True, "PerHourPartition": True}
    hive = logs.create("Subnet", net.subnet, bucket="flows", DestinationOptions=partitions)
    logs.advance()
    for log, folder in (
        (plain, r"flows/lab/AWSLogs/000000000000/vpcflowlogs/eu-west-1/(\d{4})/(\d\d)/(\d\d)"),
        (
            hive,
            r"flows/AWSLogs/aws-account-id=000000000000/aws-service=vpcflowlogs/aws-region=eu-west-1/"
            r"year=(\d{4})/month=(\d\d)/day=(\d\d)/hour=(\d\d)",
        ),
    ):
        for path in logs.files(log):
            name = NAME.fullmatch(path.name)
            assert (name[1], name[2], name[3]) == ("000000000000", "eu-west-1", log)
            found = re.fullmatch(folder, str(path.parent.relative_to(logs.buckets)))
            assert name[4].replace("T", "").startswith("".join(found.groups())), path
            # By five minutes.
            assert int(name[4][11:13]) % 5 == 0
        assert logs.files(log)
    shown = logs.ec2.describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [net.subnet]}])["FlowLogs"]
    assert shown[0]["DestinationOptions"] == partitions and shown[0]["DeliverLogsStatus"] == "SUCCESS"
    logs.ec2.delete_flow_logs(FlowLogIds=[plain, hive])


def test_what_cannot_be_written_is_told_and_made_up_for(serve, logs, net):
    (logs.buckets / "blocked").parent.mkdir(exist_ok=True)
    (logs.buckets / "blocked").write_text("no directory")
    log = logs.create("NetworkInterface", net.open_eni, bucket="blocked")
    logs.advance()
    logs.advance()
    (shown,) = logs.ec2.describe_flow_logs(FlowLogIds=[log])["FlowLogs"]
    assert shown["DeliverLogsStatus"] == "FAILED" and "directory" in shown["DeliverLogsErrorMessage"]
    # Told once, however often it is tried.
    assert serve.log.read_text().count("the flow log cannot be written") == 1
    (logs.buckets / "blocked").unlink()
    assert [record["log-status"] for record in logs.window(log)] == ["SKIPDATA"]
    (shown,) = logs.ec2.describe_flow_logs(FlowLogIds=[log])["FlowLogs"]
    assert shown["DeliverLogsStatus"] == "SUCCESS" and "DeliverLogsErrorMessage" not in shown
    logs.ec2.delete_flow_logs(FlowLogIds=[log])


def test_they_go_on_after_the_daemon_was_killed(serve, logs, net, of_vpc):
    logs.window(of_vpc)
    serve.restart()
    ringwall("clock", "--lab", serve.name, "rate", "0")
    until(lambda: serve.pings(net.closed, net.open_ip), timeout=20)
    records = only(logs.window(of_vpc), protocol=1)
    assert len(records) == 4 and {record["action"] for record in records} == {"ACCEPT"}


def test_through_a_nat_gateway_both_addresses_are_told(labs):
    lab = labs.up(LABS.parent / "nats.yaml", "e2e-flow-nat")
    url = f"http://{lab.status()['endpoint']}"
    ec2 = session().client("ec2", region_name="eu-west-1", endpoint_url=url)
    gateways = {
        address["PrivateIp"]: (each["VpcId"], address["NetworkInterfaceId"])
        for each in ec2.describe_nat_gateways()["NatGateways"]
        for address in each["NatGatewayAddresses"]
    }
    vpc, eni = gateways["10.0.0.11"]
    logs = Logs(lab.name, ec2, STATE / lab.name)
    log = logs.create("VPC", vpc, LogFormat=WIDE)
    lab.exec("by-aws", "ping", "-c", "2", "-i", "0.2", "-W", "2", "192.0.2.80")
    records = only(logs.window(log), protocol=1)
    server, client, private = "192.0.2.80", "10.0.1.10", "10.0.0.11"
    names = ("flow-direction", "srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr", "traffic-path", "packets", "bytes")

    def told(records):
        return {tuple(record[name] for name in names) for record in records}

    assert told(only(records, interface_id=eni)) == {
        ("ingress", client, private, client, server, "-", "2", "168"),
        ("egress", private, server, private, server, "8", "2", "168"),
        ("ingress", server, private, server, private, "-", "2", "168"),
        ("egress", private, client, server, client, "1", "2", "168"),
    }
    assert {record["instance-id"] for record in only(records, interface_id=eni)} == {"-"}
    own = [record for record in records if record["interface-id"] != eni]
    assert told(own) == {
        ("egress", client, server, client, server, "1", "2", "168"),
        ("ingress", server, client, server, client, "-", "2", "168"),
    }


def test_the_page_is_true(serve, logs, net):
    """The commands of docs/flow-logs.md, as they stand there."""
    (script,) = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / "flow-logs.md").read_text(), re.M | re.S)
    path = f"{RINGWALL.parent}:{os.environ['PATH']}"
    names = {"VPC": net.vpc, "LAB": serve.name, "STATE": str(serve.directory)}
    home = {name: os.environ[name] for name in ("HOME", "XDG_STATE_HOME") if name in os.environ}
    environment = {**ENVIRONMENT, **home, **names, "ENDPOINT": serve.url, "PATH": path}
    done = subprocess.run(
        ["bash", "-euc", script], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "version account-id interface-id srcaddr" in done.stdout
    assert f"000000000000 {net.open_eni} - - - - - - -" in done.stdout
    (log,) = [each["FlowLogId"] for each in logs.ec2.describe_flow_logs()["FlowLogs"]]
    logs.ec2.delete_flow_logs(FlowLogIds=[log])
