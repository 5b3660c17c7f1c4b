"""Idle connections, as docs/idle-connections.md has it: each of its shell blocks is run, and says what stands there."""

import os
import re
import subprocess

import pytest
from conftest import LABS, RINGWALL, ROOT, Labs, assert_nothing_left, ringwall

PAGE = ROOT / "docs" / "idle-connections.md"
NATS = LABS.parent / "nats.yaml"
BLOCK = re.compile(r"^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.M | re.S)
SERVER = "192.0.2.80"
GATEWAY = "203.0.113.11"

CLIENT = f"""
    import socket, sys
    with socket.create_connection(("{SERVER}", 7)) as connection:
        connection.settimeout(float(sys.argv[1]))
        for number in range(3):
            print("ready")
            input()
            try:
                connection.sendall(b"hello\\n")
                print(connection.recv(100))
            except OSError as error:
                print(type(error).__name__)
                break
"""


def test_the_page_is_true(tmp_path):
    (tmp_path / "ringwall").symlink_to(RINGWALL)
    env = dict(os.environ, PATH=f"{tmp_path}:{os.environ['PATH']}", TMPDIR=str(tmp_path))
    blocks = BLOCK.findall(PAGE.read_text())
    assert sum(bool(said) for _, said in blocks) == 4
    marker = "--- the next block ---"
    script = "".join(f"{commands}echo '{marker}'\n" for commands, _ in blocks)
    try:
        done = subprocess.run(
            ["bash", "-ec", script], cwd=ROOT, env=env, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done
        parts = done.stdout.split(f"{marker}\n")
        for (commands, said), out in zip(blocks, parts, strict=False):
            assert not said or out == said, commands
        assert len(parts) == len(blocks) + 1
    finally:
        ringwall("lab", "down", "nats", check=False)
    assert_nothing_left("nats")


@pytest.fixture(scope="module")
def lab():
    labs = Labs()
    try:
        lab = labs.up(NATS, "e2e-idle")
        lab.wait_for_port("server", 7)
        ringwall("clock", "--lab", lab.name, "rate", 0)
        yield lab
    finally:
        labs.down()


class Client:
    """A connection to the server, told when to speak."""

    def __init__(self, lab, who, timeout=10):
        self.command = [str(RINGWALL), "exec", "--lab", lab.name, who, "--", "python3", "-uc"]
        self.command += ["\n".join(line[4:] for line in CLIENT.splitlines()), str(timeout)]

    def __enter__(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, text=True, bufsize=1)
        return self

    def ask(self):
        assert self.process.stdout.readline() == "ready\n"
        self.process.stdin.write("\n")
        return self.process.stdout.readline().strip()

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


HELLO = "b'hello\\n'"


def advance(lab, by):
    ringwall("clock", "--lab", lab.name, "advance", by)


def test_the_reset_goes_to_the_inside_only(lab):
    with Client(lab, "by-aws") as client:
        assert client.ask() == HELLO
        advance(lab, "349s")
        with lab.capture("server", "eth0", f"tcp and host {GATEWAY}") as outside:
            assert client.ask() == HELLO
            outside.wait_for("Flags [P.]", count=2)
        with (
            lab.capture("server", "eth0", f"host {GATEWAY}") as outside,
            lab.capture("by-aws", "eth0", "tcp") as inside,
        ):
            advance(lab, "351s")
            assert client.ask() == "ConnectionResetError"
            inside.wait_for("Flags [R")
            # A connection of later is seen out there, so whatever came before it would have been.
            with Client(lab, "by-aws") as later:
                assert later.ask() == HELLO
            outside.wait_for("Flags [S]")
    first = outside.packets[0]
    assert "Flags [S]" in first and f"> {SERVER}.7:" in first, outside.packets
    # It speaks in the name of the other end, and is the one answer.
    (reset,) = [line for line in inside.packets if "Flags [R" in line and f"{SERVER}.7 >" in line]
    assert f"{SERVER}.7 > 10.0.1.10." in reset


def test_a_gateway_of_the_rfc_profile_keeps_it_for_two_hours_and_then_is_silent(lab):
    with Client(lab, "by-rfc", timeout=1.5) as client:
        assert client.ask() == HELLO
        advance(lab, "7439s")
        assert client.ask() == HELLO
        advance(lab, "7441s")
        assert client.ask() == "TimeoutError"
