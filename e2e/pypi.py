"""What tests take from PyPI: AWS's and Ansible's own, newer than Debian's. It is fetched once and kept below target/."""

import subprocess
import sys

import pytest


def pip(*arguments):
    """Runs pip; where PyPI cannot be reached, the test is skipped."""
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if ended.returncode != 0:
        pytest.skip(f"not to be had from PyPI: {arguments[-1]}: {ended.stderr.strip()[-200:]}")


def download(requirement, directory):
    """Downloads one wheel, without what it needs."""
    pip("download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", directory, requirement)
    (wheel,) = directory.glob("*.whl")
    return wheel
