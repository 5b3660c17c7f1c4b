"""`ringwall serve` in tests: the daemon, and the ordinary AWS clients that talk to it."""

import contextlib
import http.client
import os
import pathlib
import socket
import subprocess
import tempfile
import types
import urllib.parse

import boto3
import botocore.config
import botocore.exceptions
from conftest import RINGWALL, STATE, Lab, assert_nothing_left, netns, of_lab, processes_of, ringwall, until

IMAGE = "ami-00000000000000001"
EVERYWHERE = [{"CidrIp": "0.0.0.0/0"}]
# Keys are not checked, and the machine's own settings are none of the tests' business.
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/nonexistent",
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Serve(Lab):
    """A cloud under `ringwall serve`, found by its name like any lab."""

    def __init__(self, name, directory=None, flags=()):
        super().__init__(name)
        self.flags = list(map(str, flags))
        self.directory = pathlib.Path(directory or STATE / name)
        self.port = free_port()
        self.process = None
        # Not in the state directory: what `serve` says must be heard also where that cannot be written.
        self.log = pathlib.Path(tempfile.mkstemp(prefix="e2e-serve-")[1])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self):
        return {**ENVIRONMENT, "AWS_ENDPOINT_URL": self.url}

    @property
    def command(self):
        listen = f"127.0.0.1:{self.port}"
        return [str(RINGWALL), "serve", "--listen", listen, "--state", str(self.directory), *self.flags]

    def spawn(self):
        """Starts the daemon without waiting for anything."""
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        return self

    def start(self):
        """Starts the daemon, and waits until it answers."""
        self.spawn()
        until(lambda: self.answers() or self.process.poll() is not None, timeout=30)
        assert self.process.poll() is None, self.log.read_text()
        return self

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return "EC2 endpoint" in self.log.read_text()

    def kill(self):
        """As the kernel's out-of-memory killer would."""
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.kill()
        return self.start()

    def ec2(self, region="eu-west-1", **config):
        """A client of the cloud, which asks everything once."""
        config = {"retries": {"total_max_attempts": 1}, "read_timeout": 20, "max_pool_connections": 50, **config}
        return session().client(
            "ec2", region_name=region, endpoint_url=self.url, config=botocore.config.Config(**config)
        )

    def sts(self, region="eu-west-1"):
        return session().client("sts", region_name=region, endpoint_url=self.url)

    def aws(self, *arguments, check=True):
        """One call of the AWS command line interface."""
        command = ["aws", "--endpoint-url", self.url, *map(str, arguments)]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=check, timeout=60
        )

    def namespace(self, instance):
        """Where the kernel has an instance's namespace pinned, whether it is there or not."""
        return netns(self.directory) / f"rw-{self.name}-{instance}"

    def init(self, instance):
        """The process id of an instance's init, as the machine numbers it."""
        return min(map(int, self.inside("ip", "netns", "pids", f"rw-{self.name}-{instance}").stdout.split()))

    def pings(self, who, destination, count=1):
        return self.exec(who, "ping", "-c", count, "-i", "0.2", "-W", "1", destination, check=False).returncode == 0

    def down(self):
        """Ends the cloud and all that it made, whatever became of its daemon."""
        if self.process is not None and self.process.poll() is None and not self.directory.exists():
            self.process.kill()
        before = processes_of(self.name)
        if any(of_lab(self.name)):
            ringwall("lab", "down", self.name)
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.process.kill()
            self.process.wait()
        assert_nothing_left(self.name, before)
        self.log.unlink()


def session():
    return boto3.session.Session(aws_access_key_id="any", aws_secret_access_key="any")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask(serve, /, method="POST", path="/", version="2016-11-15", **parameters):
    """A request that no client would send; gives the status and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", serve.port, timeout=10)
    body = urllib.parse.urlencode({**parameters, **({"Version": version} if version else {})})
    connection.request(method, path, body, {"Content-Type": "application/x-www-form-urlencoded"})
    response = connection.getresponse()
    try:
        return response.status, response.read().decode()
    finally:
        connection.close()


@contextlib.contextmanager
def refused(code, status=None):
    """The block is refused with this code of EC2's."""
    try:
        yield
    except botocore.exceptions.ClientError as error:
        got = error.response["Error"]["Code"]
        assert got == code, f"{error} instead of {code}"
        http = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert http == (status or (412 if code == "DryRunOperation" else 400)), error
        assert error.response["Error"]["Message"]
    else:
        raise AssertionError(f"not refused with {code}")


def network(ec2, cidr="10.60.0.0/16", subnet=None, public=True):
    """A VPC with one subnet, and unless told otherwise a way to the internet and an open security group."""
    vpc = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=subnet or cidr.replace("/16", "/24"))["Subnet"]["SubnetId"]
    group = ec2.create_security_group(VpcId=vpc, GroupName="open", Description="lets all in")["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": EVERYWHERE}]
    )
    made = types.SimpleNamespace(vpc=vpc, subnet=subnet, group=group)
    if public:
        made.gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=made.gateway, VpcId=vpc)
        tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
        made.table = tables[0]["RouteTableId"]
        ec2.create_route(RouteTableId=made.table, DestinationCidrBlock="0.0.0.0/0", GatewayId=made.gateway)
    return made


def run(ec2, subnet, *groups, count=1, wait=True, **options):
    """Launches instances and waits until they run; gives the id of one, or the ids of several."""
    options = {"ImageId": IMAGE, "SubnetId": subnet, "SecurityGroupIds": list(groups), **options}
    launched = ec2.run_instances(MinCount=count, MaxCount=count, **options)
    ids = [instance["InstanceId"] for instance in launched["Instances"]]
    if wait:
        in_state(ec2, "running", *ids)
    return ids[0] if count == 1 else ids


def instance(ec2, id):
    return ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"][0]


def in_state(ec2, state, *ids):
    """Waits for it more impatiently than botocore's waiters, which look every fifteen seconds."""

    def there():
        reservations = ec2.describe_instances(InstanceIds=list(ids))["Reservations"]
        return {i["State"]["Name"] for r in reservations for i in r["Instances"]} == {state}

    until(there, timeout=30)


def terminate(ec2, *ids):
    ec2.terminate_instances(InstanceIds=list(ids))
    in_state(ec2, "terminated", *ids)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
