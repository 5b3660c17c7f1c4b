"""Credentials: who signs with a key of the file is answered, in the key's account, and nobody else is."""

import contextlib
import os
import socket
import subprocess
import sys
import textwrap
import urllib.error
import urllib.parse
import urllib.request

import boto3
import botocore.config
import pytest
from conftest import ringwall
from endpoint import ENVIRONMENT, Serve, in_state, refused, run
from test_life import SMALL

OURS = ("AKIAOURS", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
THEIRS = ("AKIATHEIRS", "a+secret/of=theirs")
FILE = """\
# Two accounts.
[default]
aws_access_key_id = {}
aws_secret_access_key = {}

[theirs]
aws_access_key_id = {}
aws_secret_access_key = {}
aws_account_id = 111122223333
""".format(*OURS, *THEIRS)


def write(path, text=FILE, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    credentials = write(tmp_path_factory.mktemp("credentials") / "credentials")
    serving = Serve("e2e-credentials", flags=["--credentials", credentials])
    try:
        yield serving.start()
    finally:
        serving.down()


def client(serve, key, service="ec2", region="eu-west-1", url=None):
    session = boto3.session.Session(aws_access_key_id=key[0], aws_secret_access_key=key[1])
    config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=20)
    return session.client(service, region_name=region, endpoint_url=url or serve.url, config=config)


def aws(serve, key, *arguments):
    environment = {**ENVIRONMENT, "AWS_ACCESS_KEY_ID": key[0], "AWS_SECRET_ACCESS_KEY": key[1]}
    command = ["aws", "--endpoint-url", serve.url, "--output", "text", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def fetch(url, method="GET", **headers):
    """Status and text of an answer, whatever it is."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_two_accounts_build_the_same_and_see_their_own(serve):
    made = {}
    for key in (OURS, THEIRS):
        ec2 = client(serve, key)
        vpc = ec2.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]
        subnet = ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.60.0.0/24")["Subnet"]["SubnetId"]
        assert vpc["OwnerId"] == client(serve, key, "sts").get_caller_identity()["Account"]
        made[key] = vpc["OwnerId"], vpc["VpcId"], run(ec2, subnet, PrivateIpAddress="10.60.0.10")
    (ours, our_vpc, our_instance), (theirs, their_vpc, their_instance) = made[OURS], made[THEIRS]
    assert (ours, theirs) == ("000000000000", "111122223333")
    for key, (_, vpc, instance) in made.items():
        ec2 = client(serve, key)
        assert [v["VpcId"] for v in ec2.describe_vpcs()["Vpcs"]] == [vpc]
        assert [i["InstanceId"] for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]] == [instance]
        # Each stands on the machine, under the same address.
        assert "10.60.0.10" in serve.exec(instance, "ip", "-4", "addr", "show", "dev", "eth0").stdout
    with refused("InvalidVpcID.NotFound"):
        client(serve, OURS).describe_vpcs(VpcIds=[their_vpc])
    with refused("InvalidInstanceID.NotFound"):
        client(serve, THEIRS).terminate_instances(InstanceIds=[our_instance])
    for key, (_, _, instance) in made.items():
        client(serve, key).terminate_instances(InstanceIds=[instance])
        in_state(client(serve, key), "terminated", instance)


def test_regions_are_those_of_the_signature(serve):
    zones = client(serve, OURS, region="us-east-1").describe_availability_zones()["AvailabilityZones"]
    assert zones[0]["ZoneName"] == "us-east-1a"


def test_wrong_keys_have_the_codes_of_aws(serve):
    with refused("SignatureDoesNotMatch", 403):
        client(serve, (OURS[0], "guessed")).describe_vpcs()
    with refused("SignatureDoesNotMatch", 403):
        client(serve, (OURS[0], THEIRS[1])).describe_vpcs()
    with refused("AuthFailure", 401):
        client(serve, ("AKIANOBODYS", OURS[1])).describe_vpcs()
    with refused("InvalidClientTokenId", 403):
        client(serve, ("AKIANOBODYS", OURS[1]), "sts").get_caller_identity()
    with refused("SignatureDoesNotMatch", 403):
        client(serve, (OURS[0], "guessed"), "sts").get_caller_identity()
    status, text = fetch(f"{serve.url}/?Action=DescribeVpcs&Version=2016-11-15")
    assert (status, "<Code>MissingAuthenticationToken</Code>" in text) == (403, True), text


def test_the_aws_command_line(serve):
    who = aws(serve, THEIRS, "sts", "get-caller-identity")
    assert who.stdout.split() == ["111122223333", "arn:aws:iam::111122223333:root", "111122223333"], who.stderr
    made = aws(serve, OURS, "ec2", "create-vpc", "--cidr-block", "10.61.0.0/16", "--query", "Vpc.VpcId")
    assert made.stdout.startswith("vpc-"), made.stderr
    gone = aws(serve, OURS, "ec2", "delete-vpc", "--vpc-id", made.stdout.strip())
    assert gone.returncode == 0, gone.stderr
    for key, code in [((OURS[0], "guessed"), "SignatureDoesNotMatch"), (("AKIANOBODYS", "x"), "AuthFailure")]:
        failed = aws(serve, key, "ec2", "describe-vpcs")
        assert failed.returncode != 0 and f"({code})" in failed.stderr, failed.stderr


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_presigned_urls(serve, method):
    filters = [{"Name": "tag:Name", "Values": ["a b/ü*", "~+"]}]
    url = client(serve, OURS).generate_presigned_url(
        "describe_vpcs", {"Filters": filters}, ExpiresIn=60, HttpMethod=method
    )
    status, text = fetch(url, method)
    assert (status, "<vpcSet" in text) == (200, True), text
    who = client(serve, THEIRS, "sts").generate_presigned_url("get_caller_identity", HttpMethod=method)
    status, text = fetch(who, method)
    assert (status, "<Account>111122223333</Account>" in text) == (200, True), text

    parsed = urllib.parse.urlsplit(url)
    changed = {
        "the action": (url.replace("DescribeVpcs", "DescribeTags"), {}),
        "a value": (url.replace("tag%3AName", "tag%3ANaem"), {}),
        "one more parameter": (f"{url}&DryRun=true", {}),
        "how long it counts": (url.replace("Expires=60", "Expires=6000"), {}),
        "the host": (url, {"Host": f"other.example:{parsed.port}"}),
    }
    for what, (other, headers) in changed.items():
        assert (other, headers) != (url, {}), what
        status, text = fetch(other, method, **headers)
        assert (status, "<Code>SignatureDoesNotMatch</Code>" in text) == (403, True), f"{what}: {text}"
    other = "POST" if method == "GET" else "GET"
    assert fetch(url, other)[0] == 403


# --- files, and where it listens ---


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (None, None, ["/credentials: No such file"]),
        (FILE, 0o644, ["/credentials: mode 0644", "chmod 600"]),
        ("", 0o600, ["/credentials: there is no access key in it"]),
        (FILE.replace("= AKIAOURS", "AKIAOURS"), 0o600, ["/credentials:3: expected"]),
        (FILE.replace("111122223333", "1111-2222-3333"), 0o600, ["/credentials:9: ", "twelve digits"]),
        (f"{FILE}aws_session_token = x\n", 0o600, ["/credentials:10: `aws_session_token` means nothing here"]),
    ],
    ids=["no file", "others may read it", "empty", "syntax", "account", "session"],
)
def test_a_file_that_will_not_do_is_refused_before_anything_is_made(tmp_path, lab_file, text, mode, words):
    path = tmp_path / "credentials"
    if text is not None:
        write(path, text, mode)
    state = tmp_path / "e2e-refused"
    serving = ringwall("serve", "--state", state, "--credentials", path, check=False)
    up = ringwall("lab", "up", "--name", "e2e-refused", "--credentials", path, lab_file(SMALL), check=False)
    for done in (serving, up):
        assert done.returncode == 1
        assert all(word in done.stderr for word in words), done.stderr
        assert OURS[1] not in done.stderr
    assert not state.exists()


def test_without_credentials_it_listens_on_loopback_only(tmp_path, lab_file):
    for address in ("192.0.2.1:4566", "0.0.0.0:4566", "[::]:4566"):
        for command in (["serve", "--state", tmp_path / "e2e-open"], ["lab", "up", lab_file(SMALL)]):
            done = ringwall(*command, "--listen", address, check=False)
            assert done.returncode == 1
            assert f"{address} is not a loopback address" in done.stderr and "--credentials" in done.stderr


@contextlib.contextmanager
def two_machines():
    """The namespaces of two machines on one cable, with the addresses 192.0.2.1 and 192.0.2.2."""
    names = ["e2e-signed-a", "e2e-signed-b"]
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
        cable = f"link add cable type veth peer name cable netns {names[1]}"
        subprocess.run(["ip", "-n", names[0], *cable.split()], check=True)
        for number, name in enumerate(names, 1):
            for words in ("link set lo up", f"addr add 192.0.2.{number}/24 dev cable", "link set cable up"):
                subprocess.run(["ip", "-n", name, *words.split()], check=True)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


class Reachable(Serve):
    """One that listens where another machine reaches it."""

    def __init__(self, name, namespace, flags):
        super().__init__(name, flags=flags)
        self.namespace_of_its_own = namespace

    @property
    def url(self):
        return f"http://192.0.2.1:{self.port}"

    @property
    def command(self):
        # No `ip netns exec`: in a mount namespace of its own nobody else would see what it pins.
        command = [word.replace("127.0.0.1:", "192.0.2.1:") for word in super().command]
        return ["nsenter", f"--net=/run/netns/{self.namespace_of_its_own}", *command]

    def answers(self):
        return "EC2 endpoint" in self.log.read_text()


@pytest.mark.root("it makes namespaces that stand for other machines")
def test_another_machine_is_answered_if_it_signs(tmp_path):
    credentials = write(tmp_path / "credentials")
    script = textwrap.dedent("""
        import sys, boto3
        key, secret, url = sys.argv[1:]
        session = boto3.session.Session(aws_access_key_id=key, aws_secret_access_key=secret)
        ec2 = session.client("ec2", region_name="eu-west-1", endpoint_url=url)
        print(ec2.create_vpc(CidrBlock="10.62.0.0/16")["Vpc"]["OwnerId"])
    """)
    with two_machines() as (here, there):
        serving = Reachable("e2e-reachable", here, ["--credentials", credentials])
        try:
            serving.start()

            def ask(key, secret):
                inside = ["nsenter", f"--net=/run/netns/{there}"]
                command = [*inside, sys.executable, "-c", script, key, secret, serving.url]
                return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60)

            fine = ask(*THEIRS)
            assert fine.stdout == "111122223333\n", fine.stderr
            assert "(SignatureDoesNotMatch)" in ask(THEIRS[0], "guessed").stderr
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", serving.port), timeout=1)
        finally:
            serving.down()


def test_a_lab_has_them_too(labs, lab_file, tmp_path):
    credentials, file, name = write(tmp_path / "credentials"), lab_file(SMALL), "e2e-signed"
    labs.names.append(name)
    up = ["lab", "up", "--name", name, file]
    out = ringwall(*up, "--credentials", credentials).stdout
    url = next(word for word in out.split() if word.startswith("http://")).rstrip(",")
    assert f"EC2 endpoint: {url}, for signed requests" in out
    instances = client(None, OURS, url=url).describe_instances()["Reservations"][0]["Instances"]
    assert instances[0]["PrivateIpAddress"] == "10.50.0.4"
    assert client(None, THEIRS, url=url).describe_instances()["Reservations"] == []
    with refused("SignatureDoesNotMatch", 403):
        client(None, (OURS[0], "guessed"), url=url).describe_vpcs()

    # The same again is fine; what a daemon that is up already would not heed is refused.
    assert "for signed requests" in ringwall(*up, "--credentials", credentials).stdout
    done = ringwall(*up, check=False)
    assert done.returncode == 1 and "with credentials" in done.stderr, done.stderr

    # Nobody keeps the file open, least of all the machines; and it is read at the start only.
    file = (credentials.stat().st_dev, credentials.stat().st_ino)
    assert file not in {entry for pid in os.listdir("/proc") if pid.isdigit() for entry in open_files(pid)}
    credentials.unlink()
    assert client(None, OURS, url=url).describe_vpcs()["Vpcs"]


def open_files(pid):
    """The devices and inodes of a process's open files."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                yield entry.stat().st_dev, entry.stat().st_ino
