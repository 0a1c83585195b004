"""A board on a TAP against Linux: ping, the demo page. Root and Linux only."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.host.command import VIPERIP
from tests.host.terminal import Terminal
from tests.net.board import ADDRESS, NAMES, Board
from tests.net.captures import check_capture, tshark
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

WAITING = """
import asyncio

async def main():
    print("waiting")
    await asyncio.sleep(60)

asyncio.run(main())
"""


def many_pings(netns: NetNS, *flags: str, count: int = COUNT) -> None:
    """COUNT echo requests in fast succession; none may be lost, none answered twice."""
    done = netns.run("ping", "-nq", "-i0.002", f"-c{count}", "-W2", *flags, ADDRESS, check=False)
    assert f"{count} packets transmitted, {count} received, 0% packet loss" in done.stdout, (
        done.stdout
    )


def fragments(path: Path, address: str) -> int:
    return len(tshark(path, "-Y", f"ip.src == {address} && ip.frag_offset > 0"))


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


def test_pings_at_a_terminal_nobody_types_at(tap: NetNS, tmp_path: Path) -> None:
    capture = tmp_path / "tap.pcapng"
    command = (*VIPERIP, "sim", "--link", "tap:tap0", "--ip", f"{ADDRESS}/24")
    terminal = Terminal(*tap.command(*command, "--capture", str(capture), "-i"))
    try:
        terminal.expect(b">>> ")
        many_pings(tap)
        # In the middle of a line as well: the editor waits for its next key.
        terminal.type(b"print('alive', 6 *")
        terminal.expect(b"6 *")
        many_pings(tap)
        terminal.type(b" 7)\r")
        terminal.expect(b"alive 42")
        check_capture(capture, 4 * COUNT)
    finally:
        terminal.close()


def test_pings_while_asyncio_waits_without_a_socket(tap: NetNS, tmp_path: Path) -> None:
    board = Board(tap, tmp_path, WAITING)
    board.running.wait_for("waiting")
    many_pings(tap)
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
