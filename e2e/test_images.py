"""Images that are registered: root file systems of their own for instances, from a directory or an archive."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
from conftest import until
from endpoint import IMAGE, Serve, in_state, instance, network, refused, run, terminate
from test_rootless import ask, serving, user

# Of busybox; the places are those that Debian's is built for.
LEASED = """#!/bin/sh
case "$1" in bound | renew)
    ifconfig "$interface" "$ip" netmask "$subnet"
    route add default gw "$router" dev "$interface"
esac
"""
ENDINGS = {"gzip": ".tar.gz", "xz": ".tar.xz", "zstd": ".tar.zst"}


@pytest.fixture(scope="module")
def root():
    """A small root file system."""
    with tempfile.TemporaryDirectory(prefix="rw-image-") as directory:
        root = pathlib.Path(directory) / "root"
        for place in ("bin", "etc/udhcpc", "var/log"):
            (root / place).mkdir(parents=True)
        shutil.copy("/bin/busybox", root / "bin/busybox")
        applets = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout
        for applet in set(applets.split()) - {"busybox"}:
            (root / "bin" / applet).symlink_to("/bin/busybox")
        script = root / "etc/udhcpc/default.script"
        script.write_text(LEASED)
        script.chmod(0o755)
        (root / "etc/os-release").write_text("NAME=Small\n")
        yield root


def archive(root, path, *flags):
    subprocess.run(["tar", *flags, "-cf", path, "-C", root, "."], check=True)
    return str(path)


def kept(serve):
    directory = serve.directory / "images"
    return {entry.name for entry in directory.iterdir()} if directory.exists() else set()


def test_an_instance_of_an_image(serve, root, tmp_path):
    ec2 = serve.ec2(read_timeout=60)
    image = ec2.register_image(
        Name="small",
        Description="busybox and nothing else",
        ImageLocation=archive(root, tmp_path / "small.tar.gz", "--gzip"),
    )["ImageId"]
    ec2.create_tags(Resources=[image], Tags=[{"Key": "Name", "Value": "small"}])
    for waiter in ("image_exists", "image_available"):
        ec2.get_waiter(waiter).wait(ImageIds=[image], WaiterConfig={"Delay": 1, "MaxAttempts": 1})
    (found,) = ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": ["sm*"]}])["Images"]
    assert (found["ImageId"], found["State"]) == (image, "available")
    assert found["ImageLocation"] == str(tmp_path / "small.tar.gz")
    assert found["Tags"] == [{"Key": "Name", "Value": "small"}]
    assert {i["ImageId"] for i in ec2.describe_images()["Images"]} == {IMAGE, image}
    # What it was made of is not needed any more.
    (tmp_path / "small.tar.gz").unlink()

    made = network(ec2)
    small = run(ec2, made.subnet, made.group, ImageId=image, UserData="#!/bin/sh\necho said > /tmp/said\n")
    large = run(ec2, made.subnet, made.group)
    assert instance(ec2, small)["ImageId"] == image
    address = instance(ec2, small)["PrivateIpAddress"]
    assert serve.pings(large, address) and serve.pings(small, instance(ec2, large)["PrivateIpAddress"])
    assert serve.exec(small, "cat", "/etc/os-release").stdout == "NAME=Small\n"
    assert serve.exec(small, "cat", "/tmp/said").stdout == "said\n"
    assert "usr" not in serve.exec(small, "ls", "/").stdout.split()
    assert serve.exec(small, "touch", "/bin/new", check=False).returncode != 0
    assert serve.exec(large, "test", "-d", "/usr").returncode == 0
    ask = "wget -q -O - http://169.254.169.254/latest/meta-data/ami-id"
    if instance(ec2, small)["MetadataOptions"]["HttpTokens"] == "optional":
        assert serve.exec(small, "sh", "-c", ask).stdout == image

    # The files stay for as long as there is an instance to run them.
    ec2.deregister_image(ImageId=image)
    with refused("InvalidAMIID.NotFound"):
        ec2.describe_images(ImageIds=[image])
    with refused("InvalidAMIID.NotFound"):
        run(ec2, made.subnet, made.group, ImageId=image, wait=False)
    serve.restart()
    ec2.stop_instances(InstanceIds=[small])
    in_state(ec2, "stopped", small)
    assert kept(serve) == {image}
    ec2.start_instances(InstanceIds=[small])
    in_state(ec2, "running", small)
    assert serve.pings(large, address)
    terminate(ec2, small, large)
    until(lambda: kept(serve) == set())


@pytest.mark.parametrize("how", ["directory", "plain", *ENDINGS])
def test_what_an_image_is_made_of(serve, root, tmp_path, how):
    ec2 = serve.ec2(read_timeout=60)
    if how == "directory":
        location = str(root)
    elif how == "plain":
        location = archive(root, tmp_path / "image")
    else:
        location = archive(root, tmp_path / f"image{ENDINGS[how]}", f"--{how}")
    with refused("DryRunOperation"):
        ec2.register_image(Name=f"of {how}", ImageLocation=location, DryRun=True)
    assert kept(serve) == set()
    image = ec2.register_image(Name=f"of {how}", ImageLocation=location)["ImageId"]
    with refused("InvalidAMIName.Duplicate"):
        ec2.register_image(Name=f"of {how}", ImageLocation=location)
    assert kept(serve) == {image}
    kept_root = serve.directory / "images" / image
    assert (kept_root / "bin/busybox").read_bytes() == (root / "bin/busybox").read_bytes()
    serve.restart()
    assert [i["Name"] for i in ec2.describe_images(ImageIds=[image])["Images"]] == [f"of {how}"]
    ec2.create_tags(Resources=[image], Tags=[{"Key": "of", "Value": how}])
    assert ec2.describe_images(Filters=[{"Name": "tag:of", "Values": [how]}])["Images"][0]["ImageId"] == image
    ec2.deregister_image(ImageId=image)
    until(lambda: kept(serve) == set())


def test_what_no_image_is_made_of(serve, root, tmp_path):
    ec2 = serve.ec2()
    (tmp_path / "words").write_text("these are no archive " * 100)
    (tmp_path / "empty").mkdir()
    given = [str(tmp_path / name) for name in ("words", "empty")]
    for location in ("relative.tar", "/nonexistent", "/dev/null", "/", *given):
        with refused("InvalidParameterValue"):
            ec2.register_image(Name="none", ImageLocation=location)
    for name in ("ab", "a:b:c"):
        with refused("InvalidAMIName.Malformed"):
            ec2.register_image(Name=name, ImageLocation=str(root))
    with refused("InvalidParameterValue"):
        ec2.register_image(Name="none", ImageLocation=str(root), Architecture="riscv64")
    with refused("MissingParameter"):
        ec2.register_image(Name="none")
    with refused("UnsupportedOperation"):
        ec2.deregister_image(ImageId=IMAGE)
    with refused("InvalidAMIID.NotFound"):
        ec2.deregister_image(ImageId="ami-0123456789abcdef0")
    assert kept(serve) == set() and len(ec2.describe_images()["Images"]) == 1


def test_a_daemon_that_is_killed_leaves_no_half_image(root, tmp_path):
    shutil.copytree(root, tmp_path / "root", symlinks=True)
    for name in ("one", "two", "three"):
        (tmp_path / "root" / name).write_bytes(os.urandom(1 << 20) * 60)
    location = archive(tmp_path / "root", tmp_path / "large.tar")
    serve = Serve("e2e-images-kill")
    try:
        serve.start()
        ec2 = serve.ec2()
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                ec2.register_image(Name="large", ImageLocation=location)
            os._exit(0)
        until(lambda: (serve.directory / "images/new/one").exists())
        serve.kill()
        os.waitpid(pid, 0)
        assert kept(serve) == {"new"}
        serve.start()
        until(lambda: kept(serve) == set())
        assert len(serve.ec2().describe_images()["Images"]) == 1
        image = serve.ec2(read_timeout=60).register_image(Name="large", ImageLocation=location)["ImageId"]
        assert kept(serve) == {image}
    finally:
        serve.down()


@pytest.mark.root("it becomes an ordinary user itself")
def test_an_ordinary_user_has_images_too(user, root):  # noqa: F811 (a fixture of the other file)
    location = archive(root, user.directory / "small.tar")
    with serving(user):
        image = re.search("<imageId>(.*)</imageId>", ask("RegisterImage", Name="small", ImageLocation=location))[1]
        ask("CreateDefaultVpc")
        ask("RunInstances", ImageId=image, MinCount=2, MaxCount=2)
        until(lambda: ask("DescribeInstances").count("<name>running</name>") == 2, timeout=60)
        described = ask("DescribeInstances")
        one, other = re.findall("<instanceId>(i-.{17})</instanceId>", described)[:2]
        address = re.search(rf"{other}.*?<privateIpAddress>(.*?)</privateIpAddress>", described)[1]
        user.ringwall("exec", one, "--", "ping", "-c", "1", "-W", "2", address)
        assert "NAME=Small" in user.ringwall("exec", one, "--", "cat", "/etc/os-release").stdout
        ask("DeregisterImage", ImageId=image)
    user.ringwall("lab", "down", "serve")
    user.assert_nothing_left()
