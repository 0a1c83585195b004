"""A board on a TAP against Linux: ping, the demo page. Root and Linux only."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.net.board import ADDRESS, NAMES, Board, check_capture
from tests.net.netns import NetNS

pytestmark = pytest.mark.root
COUNT = 1000

SLEEPING = """
import time
print("sleeping")
time.sleep(10)
print("awake")
time.sleep(60)
"""


def many_pings(netns: NetNS, *flags: str, count: int = COUNT) -> None:
    """COUNT echo requests in fast succession; none may be lost, none answered twice."""
    done = netns.run("ping", "-nq", "-i0.002", f"-c{count}", "-W2", *flags, ADDRESS, check=False)
    assert f"{count} packets transmitted, {count} received, 0% packet loss" in done.stdout, (
        done.stdout
    )


def fragments(path: Path, address: str) -> int:
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-Y", f"ip.src == {address} && ip.frag_offset > 0"],
        capture_output=True,
        text=True,
        check=True,
    )
    return len(done.stdout.splitlines())


@pytest.mark.parametrize("target", NAMES)
def test_pings_while_the_script_sleeps(tap: NetNS, tmp_path: Path, target: str) -> None:
    board = Board(tap, tmp_path, SLEEPING, target=target)
    board.running.wait_for("sleeping")
    many_pings(tap)
    assert "awake" not in board.running.output
    board.running.wait_for("awake")
    board.check_capture(2 * COUNT)


@pytest.mark.parametrize("target", NAMES)
def test_pings_at_an_idle_prompt(tap: NetNS, tmp_path: Path, target: str) -> None:
    board = Board(tap, tmp_path, None, "-i", target=target, stdin=subprocess.PIPE)
    board.running.wait_for("Ctrl-D")
    many_pings(tap)
    board.running.type("print('alive', 6 * 7)\n")
    board.running.wait_for("alive 42")
    board.check_capture(2 * COUNT)


@pytest.mark.parametrize("target", NAMES)
def test_large_pings_go_in_fragments(tap: NetNS, tmp_path: Path, target: str) -> None:
    board = Board(tap, tmp_path, SLEEPING, target=target)
    board.running.wait_for("sleeping")
    many_pings(tap, "-s4000", count=100)
    board.check_capture(600)
    assert fragments(board.capture, ADDRESS) == 200


def test_the_page(tap: NetNS, tmp_path: Path) -> None:
    board = Board(tap, tmp_path, None)
    board.running.wait_for("serves its page")
    for _ in range(5):
        page = tap.run("curl", "-sSf", "-m10", f"http://{ADDRESS}/").stdout
        assert "</html>" in page
    told = tap.run("curl", "-sSf", "-m10", f"http://{ADDRESS}/api/status").stdout
    assert json.loads(told)
    board.check_capture(30)


def test_a_wrong_checksum_does_not_pass(tap: NetNS, tmp_path: Path) -> None:
    board = Board(tap, tmp_path, SLEEPING)
    board.running.wait_for("sleeping")
    many_pings(tap, count=10)
    board.check_capture(20)
    data = bytearray(board.capture.read_bytes())
    data[data.index(bytes(range(0x10, 0x30))) + 5] ^= 4  # in the pattern that ping sends
    spoilt = tmp_path / "spoilt.pcapng"
    spoilt.write_bytes(data)
    with pytest.raises(AssertionError, match="10.9.0"):
        check_capture(spoilt)
