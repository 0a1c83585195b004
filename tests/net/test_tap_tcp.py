"""TCP between a board on a TAP and Linux: bulk data both ways, many connections at once."""

import json
import sys
from pathlib import Path

import pytest

from tests.net import scripts
from tests.net.board import ADDRESS, HOST, NAMES, PEER, PORT, Board, swap, swapped
from tests.net.netns import NetNS

pytestmark = pytest.mark.root
MB = 1000 * 1000


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("sizes", [(10 * MB, 0), (0, 10 * MB), (10 * MB, 10 * MB)])
def test_ten_megabytes(tap: NetNS, tmp_path: Path, sizes: tuple[int, int], target: str) -> None:
    board, seconds = swap(tap, tmp_path, sizes, target=target)
    print(f"{target} {sizes}: {seconds:.2f} s, {sum(sizes) / seconds / MB:.2f} MB/s")
    board.check_capture(sum(sizes) // 1460)


def test_ten_megabytes_on_a_connection_the_board_opens(tap: NetNS, tmp_path: Path) -> None:
    size = 10 * MB
    peer = tap.start(sys.executable, PEER, "serve", HOST, str(PORT), "1", str(size))
    peer.wait_for("listening")
    told = ["connect", HOST, str(PORT), "1", str(size)]
    board = Board(tap, tmp_path, scripts.SWAP, arguments=told)
    line = peer.wait_for("results", 200)
    assert board.running.wait() == 0
    swapped(json.loads(line), board.running, size, size)
    board.check_capture(2 * size // 1460)


@pytest.mark.parametrize("target", NAMES)
def test_64_connections_echo_at_once(tap: NetNS, tmp_path: Path, target: str) -> None:
    board = Board(tap, tmp_path, scripts.ECHO, target=target, arguments=[str(PORT), "64"])
    board.running.wait_for("ready")
    done = tap.run(sys.executable, PEER, "echo", ADDRESS, str(PORT), "64", "10", seconds=120)
    assert board.running.wait() == 0
    peer = json.loads(done.stdout)
    print(target, peer)
    assert (peer["open"], peer["right"], peer["ended"]) == (64, 640, 64)
    assert "done 64" in board.running.output
    board.check_capture(64 * 20)
