"""The daemon dies, at any moment: the cloud does not, and nothing that was answered is lost."""

import collections
import http.client
import json
import os
import random
import re
import signal
import threading
import time
import urllib.parse

import botocore.exceptions
import pytest
from conftest import LABS, STATE, processes, ringwall, until
from endpoint import IMAGE, Serve, in_state, instance, network, run, terminate

KILLS = int(os.environ.get("RINGWALL_E2E_KILLS", "20"))
WRITERS = 8
# Of each writer: what it has at most of each kind, and how long it rests between two things, in seconds.
ENOUGH, PACE = 100, 0.01
TCP_5201 = [{"IpProtocol": "tcp", "FromPort": 5201, "ToPort": 5201, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
ALL = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]


@pytest.fixture
def mortal():
    """A daemon of the test's own, to be killed."""
    serving = Serve("e2e-mortal")
    try:
        yield serving
    finally:
        serving.down()


def standing(serve, *instances):
    """What the kernel has of instances: the namespaces' inodes, and each process with its start time."""
    inodes = {id: serve.namespace(id).stat().st_ino for id in instances}
    inside = {key for key, (inode, _) in processes().items() if inode in inodes.values()}
    return inodes, inside


# --- packets ---


def test_a_transfer_outlives_the_daemon(mortal):
    ec2 = mortal.start().ec2()
    net = network(ec2)
    servers = ec2.create_security_group(VpcId=net.vpc, GroupName="in", Description="in only")["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=servers, IpPermissions=TCP_5201)
    ec2.revoke_security_group_egress(GroupId=servers, IpPermissions=ALL)
    clients = ec2.create_security_group(VpcId=net.vpc, GroupName="out", Description="out only")["GroupId"]
    server, client = run(ec2, net.subnet, servers), run(ec2, net.subnet, clients)
    ip = instance(ec2, server)["PrivateIpAddress"]
    described = ec2.describe_instances()["Reservations"]
    with mortal.background(server, "iperf3", "-s", "-1"):
        mortal.wait_for_port(server, 5201)
        with mortal.background(client, "iperf3", "-c", ip, "-t", "8", "-i", "1", "-J") as transfer:
            time.sleep(2)
            before = standing(mortal, server, client)
            mortal.kill()
            mortal.start()
            out = transfer.finish(timeout=30)
            assert transfer.process.returncode == 0, out
    report = json.loads(out)
    rates = [interval["sum"]["bits_per_second"] for interval in report["intervals"]]
    assert len(rates) >= 8 and min(rates[-3:]) > 0.3 * rates[0], rates
    inodes, inside = standing(mortal, server, client)
    assert inodes == before[0]
    # But for those of the transfer, which is over.
    assert inside <= before[1] and {mortal.init(server), mortal.init(client)} <= {pid for pid, _ in inside}
    assert ec2.describe_instances()["Reservations"] == described
    # What the groups refuse, they refuse as before.
    assert not mortal.pings(server, instance(ec2, client)["PrivateIpAddress"])


def test_instances_live_on_and_new_ones_come_while_it_restarts(mortal):
    ec2 = mortal.start().ec2()
    net = network(ec2)
    old = run(ec2, net.subnet, net.group, count=3)
    before = standing(mortal, *old)
    # A launch, a stop and an end that were answered, and not yet carried out.
    new = run(ec2, net.subnet, net.group, wait=False)
    ec2.stop_instances(InstanceIds=[old[1]])
    ec2.terminate_instances(InstanceIds=[old[2]])
    mortal.restart()
    in_state(ec2, "running", new, old[0])
    in_state(ec2, "stopped", old[1])
    in_state(ec2, "terminated", old[2])
    inodes, inside = standing(mortal, old[0])
    assert inodes[old[0]] == before[0][old[0]] and inside < before[1]
    until(lambda: not mortal.namespace(old[1]).exists() and not mortal.namespace(old[2]).exists())
    assert mortal.pings(old[0], instance(ec2, new)["PrivateIpAddress"])


def test_a_daemon_that_is_told_to_end_leaves_its_cloud(mortal):
    ec2 = mortal.start().ec2()
    net = network(ec2)
    one = run(ec2, net.subnet, net.group)
    before = standing(mortal, one)
    for by in (signal.SIGTERM, signal.SIGINT):
        mortal.process.send_signal(by)
        mortal.process.wait(10)
        mortal.start()
        assert standing(mortal, one) == before
    assert instance(ec2, one)["State"]["Name"] == "running"


@pytest.mark.parametrize("tenth", range(5))
def test_a_daemon_that_is_killed_on_its_first_way_up_starts_again(mortal, tenth):
    mortal.spawn()
    time.sleep(0.15 * (tenth + random.random()) / 5)
    mortal.kill()
    ec2 = mortal.start().ec2()
    net = network(ec2, public=False)
    one = run(ec2, net.subnet, net.group)
    assert mortal.exec(one, "hostname").stdout == "ip-10-60-0-4\n"


# --- what was answered ---


class Writer(threading.Thread):
    """Asks for changes one after another, and remembers what was answered."""

    def __init__(self, serve, net, number):
        super().__init__(name=f"writer-{number}")
        self.port, self.net, self.number = serve.port, net, number
        self.random = random.Random(number)
        self.connection = None
        self.over = threading.Event()
        # Changes that were answered.
        self.writes = 0
        self.faults = []
        # Client token -> every id that was answered.
        self.tokens = collections.defaultdict(set)
        # Name -> id of groups that were answered; the names of those whose rules were; of all that were tried.
        self.groups, self.ruled, self.tried = {}, set(), set()
        # Interfaces whose end was answered.
        self.deleted = set()

    def ask(self, action, **parameters):
        """The body of the answer, or None if there was no answer."""
        body = urllib.parse.urlencode({"Action": action, "Version": "2016-11-15", **parameters})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            self.connection.request("POST", "/", body, headers)
            response = self.connection.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException):
            self.connection = None
            time.sleep(0.005)
            return None
        self.writes += 1
        if response.status != 200:
            self.faults.append((action, parameters, response.status, text))
        return text

    def run(self):
        count = 0
        while not self.over.is_set():
            count += 1
            name = f"w{self.number}-{count}"
            what = self.random.choice([self.interface, self.group, self.deletion])
            # There are quotas: who has enough asks for what it has once more, or lets it come and go.
            if what == self.interface and len(self.tokens) >= ENOUGH:
                self.interface(self.random.choice(list(self.tokens)))
            elif what == self.group and len(self.tried) >= ENOUGH:
                self.deletion(name)
            else:
                what(name)
            time.sleep(PACE)

    def interface(self, token):
        """One interface by a token, which is asked for until it is answered, and sometimes after."""
        asked = {"SubnetId": self.net.subnet, "Description": token, "ClientToken": token}
        asked["TagSpecification.1.ResourceType"] = "network-interface"
        for number in (1, 2):
            asked[f"TagSpecification.1.Tag.{number}.Key"] = f"k{number}"
            asked[f"TagSpecification.1.Tag.{number}.Value"] = token
        times = self.random.choice([1, 1, 2, 3])
        while times and not self.over.is_set():
            if text := self.ask("CreateNetworkInterface", **asked):
                # What was answered before changes nothing.
                self.writes -= token in self.tokens
                self.tokens[token].update(re.findall("<networkInterfaceId>(.*?)<", text))
                times -= 1

    def group(self, name):
        """A security group, and two rules by one request."""
        self.tried.add(name)
        text = self.ask("CreateSecurityGroup", GroupName=name, GroupDescription="one", VpcId=self.net.vpc)
        if not text:
            return
        (self.groups[name],) = re.findall("<groupId>(.*?)<", text)
        asked = {"GroupId": self.groups[name]}
        for number in (1, 2):
            asked[f"IpPermissions.{number}.IpProtocol"] = "udp"
            asked[f"IpPermissions.{number}.FromPort"] = asked[f"IpPermissions.{number}.ToPort"] = number
            asked[f"IpPermissions.{number}.IpRanges.1.CidrIp"] = "10.0.0.0/8"
        if self.ask("AuthorizeSecurityGroupIngress", **asked):
            self.ruled.add(name)

    def deletion(self, name):
        """An interface that comes and goes again."""
        text = self.ask("CreateNetworkInterface", SubnetId=self.net.subnet, Description=f"gone-{name}")
        if text:
            (id,) = set(re.findall("<networkInterfaceId>(.*?)<", text))
            if self.ask("DeleteNetworkInterface", NetworkInterfaceId=id):
                self.deleted.add(id)


class Launcher(threading.Thread):
    """Launches instances by tokens, one after another, and terminates every other one."""

    def __init__(self, serve, net):
        super().__init__(name="launcher")
        self.ec2, self.net, self.over = serve.ec2(), net, threading.Event()
        self.launched, self.ended, self.faults = {}, set(), []

    def run(self):
        count = 0
        while not self.over.is_set():
            count += 1
            token = f"launch-{count}"
            launched = self.insist(
                self.ec2.run_instances,
                ImageId=IMAGE,
                MinCount=1,
                MaxCount=1,
                SubnetId=self.net.subnet,
                SecurityGroupIds=[self.net.group],
                ClientToken=token,
            )
            if launched:
                self.launched[token] = launched["Instances"][0]["InstanceId"]
                # Of those that nobody waits for, some are still on their way when they are to end.
                if count > 3 and self.insist(self.ec2.terminate_instances, InstanceIds=[self.launched[token]]):
                    self.ended.add(self.launched[token])
            self.over.wait(0.5)

    def insist(self, call, **parameters):
        """Asks until there is an answer."""
        while not self.over.is_set():
            try:
                return call(**parameters)
            except botocore.exceptions.ClientError as error:
                self.faults.append(error)
                return None
            except botocore.exceptions.BotoCoreError:  # the daemon is not there, or no longer
                time.sleep(0.02)
        return None


def test_kills_at_random_moments_lose_nothing_that_was_answered(mortal):
    ec2 = mortal.start().ec2()
    net = network(ec2, cidr="10.60.0.0/16", subnet="10.60.0.0/16")
    writers = [Writer(mortal, net, number) for number in range(WRITERS)]
    threads = [*writers, Launcher(mortal, net)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        for _ in range(KILLS):
            # Also on its way up.
            if random.random() < 0.2:
                time.sleep(random.uniform(0, 0.1))
                mortal.kill()
                mortal.spawn()
            else:
                time.sleep(random.uniform(0.02, 0.6))
                mortal.restart()
        until(lambda: mortal.answers() or mortal.process.poll() is not None, timeout=30)
        time.sleep(0.3)
    finally:
        for thread in threads:
            thread.over.set()
        for thread in threads:
            thread.join(60)
    took = time.monotonic() - began
    assert mortal.process.poll() is None, mortal.log.read_text()
    launcher = threads[-1]
    writes = sum(writer.writes for writer in writers)
    print(f"{KILLS} kills in {took:.1f} s, {writes / took:.0f} writes/s, {len(launcher.launched)} instances")
    assert [fault for writer in writers for fault in writer.faults] == []
    assert launcher.faults == []
    assert writes > 20 * took

    check(ec2, net, writers)
    check_instances(mortal, ec2, launcher)
    # And the same after one more.
    mortal.restart()
    check(ec2, net, writers)


def check(ec2, net, writers):
    found = pages(ec2, "describe_network_interfaces", "NetworkInterfaces", net)
    interfaces = {each["NetworkInterfaceId"]: each for each in found}
    tokens = collections.defaultdict(list)
    for each in interfaces.values():
        tokens[each["Description"]].append(each["NetworkInterfaceId"])
    groups = {each["GroupName"]: each for each in pages(ec2, "describe_security_groups", "SecurityGroups", net)}
    addresses = [each["PrivateIpAddress"] for each in interfaces.values()]
    assert len(addresses) == len(set(addresses))
    for writer in writers:
        assert writer.tokens and writer.groups and writer.deleted
        for token, ids in writer.tokens.items():
            # One answer, however often it was asked for; and it is there, once, and whole.
            assert len(ids) == 1 and tokens[token] == list(ids), (token, ids, tokens[token])
            tags = {tag["Key"]: tag["Value"] for tag in interfaces[tokens[token][0]]["TagSet"]}
            assert tags == {"k1": token, "k2": token}
        assert not writer.deleted & interfaces.keys()
        for name, id in writer.groups.items():
            assert groups[name]["GroupId"] == id
    for writer in writers:
        for name in writer.tried & groups.keys():
            rules = sorted(permission["FromPort"] for permission in groups[name]["IpPermissions"])
            assert rules == [1, 2] or (rules == [] and name not in writer.ruled), (name, rules)
            # What a group is born with.
            assert len(groups[name]["IpPermissionsEgress"]) == 1


def pages(ec2, operation, key, net):
    filters = [{"Name": "vpc-id", "Values": [net.vpc]}]
    pages = ec2.get_paginator(operation).paginate(Filters=filters, PaginationConfig={"PageSize": 500})
    return [each for page in pages for each in page[key]]


def check_instances(mortal, ec2, launcher):
    ended, living = launcher.ended, set(launcher.launched.values()) - launcher.ended
    assert len(set(launcher.launched.values())) == len(launcher.launched) >= 3
    if ended:
        in_state(ec2, "terminated", *ended)
    in_state(ec2, "running", *living)
    reservations = ec2.describe_instances()["Reservations"]
    found = {each["InstanceId"] for r in reservations for each in r["Instances"]}
    # One for each token, and perhaps one more, whose answer nobody heard.
    assert found >= set(launcher.launched.values())
    assert len(found) - len(launcher.launched) in (0, 1)
    until(lambda: not any(mortal.namespace(id).exists() for id in ended))
    living = sorted(living)
    assert mortal.pings(living[0], instance(ec2, living[-1])["PrivateIpAddress"])
    # One init in each.
    for id in living:
        inode = mortal.namespace(id).stat().st_ino
        inits = [line for found, line in processes().values() if found == inode and "machine-init" in line]
        assert len(inits) == 1


def test_a_lab_comes_back_as_a_lab(labs):
    """`lab up` after its daemon's death takes up what stands."""
    lab = labs.up(LABS / "before-table.yaml", "e2e-mortal-lab")
    before = lab.status()
    os.kill(int((STATE / lab.name / "lock").read_text()), signal.SIGKILL)
    until(lambda: ringwall("lab", "status", lab.name, check=False).returncode == 1)
    ringwall("lab", "up", "--name", lab.name, LABS / "before-table.yaml")
    after = lab.status()
    for key in ("instances", "hosts"):
        assert after[key] == before[key]
    until(lambda: lab.exec("notebook", "ping", "-c", "1", "-W", "2", "10.210.7.14", check=False).returncode == 0)
