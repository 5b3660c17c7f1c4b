"""The README is true: each of its commands is run as it stands there."""

import os
import re
import subprocess

from conftest import RINGWALL, ROOT, assert_nothing_left


def commands():
    """The lines of the README's shell blocks, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def test_every_command_works(tmp_path):
    (tmp_path / "ringwall").symlink_to(RINGWALL)
    # The README's commands name no lab, so no other may be up.
    env = dict(os.environ, PATH=f"{tmp_path}:{os.environ['PATH']}")
    lines = commands()
    assert "./demo" in lines and "ringwall lab down" in lines
    try:
        for line in lines:
            if line == "./test":
                continue  # It is running.
            done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
            if line == "./demo":
                assert_nothing_left("demo")
    finally:
        subprocess.run([RINGWALL, "lab", "down", "before-table"], capture_output=True, check=False)
    assert_nothing_left("before-table")
