"""The README is true: each of its shell blocks is run as it stands there."""

import os
import re
import shutil
import subprocess

import pytest
from conftest import RINGWALL, ROOT, assert_nothing_left

# It is what runs this.
NOT_HERE = "./test\n"


def blocks():
    return re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)


@pytest.mark.skipif(not shutil.which("cargo"), reason="needs a Rust toolchain: ./demo builds")
def test_every_block_works(tmp_path):
    (tmp_path / "ringwall").symlink_to(RINGWALL)
    # The README's commands name no lab, so no other may be up.
    env = dict(os.environ, PATH=f"{tmp_path}:{os.environ['PATH']}")
    scripts = blocks()
    assert "./demo\n" in scripts and NOT_HERE in scripts and len(scripts) >= 4
    try:
        for number, script in enumerate(scripts):
            if script == NOT_HERE:
                continue
            # A file, no pipe: what a block leaves running would keep a pipe open.
            log = tmp_path / f"{number}.log"
            with log.open("wb") as out:
                done = subprocess.run(["bash", "-ec", script], cwd=ROOT, env=env, stdout=out, stderr=out, timeout=300)
            assert done.returncode == 0, f"{script}\n{log.read_text()}"
    finally:
        for lab in ("demo", "before-table", "serve"):
            subprocess.run([RINGWALL, "lab", "down", lab], capture_output=True, check=False)
    for lab in ("demo", "before-table", "serve"):
        assert_nothing_left(lab)
