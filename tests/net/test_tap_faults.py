"""TCP between a board and Linux on a link that loses, repeats, reorders or spoils frames."""

from pathlib import Path

import pytest

from tests.net.board import NAMES, swap
from tests.net.captures import tshark
from tests.net.netns import NetNS

pytestmark = pytest.mark.root
MB = 1000 * 1000
FAULTS = ("--loss", "2%", "--dup", "2%", "--reorder", "2%")


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_megabyte_each_way_on_eight_connections(
    tap: NetNS, tmp_path: Path, target: str, seed: str
) -> None:
    flags = (*FAULTS, "--seed", seed)
    board, seconds = swap(tap, tmp_path, (MB, MB), 8, target=target, flags=flags)
    print(f"{target}, seed {seed}: {seconds:.2f} s")
    board.check_capture(16 * MB // 1460)
    assert len(tshark(board.capture, "-Y", "tcp.analysis.retransmission")) > 50


def test_flipped_bits_do_not_get_through(tap: NetNS, tmp_path: Path) -> None:
    flags = ("--corrupt", "2%", "--seed", "3")
    board, seconds = swap(tap, tmp_path, (MB // 2, MB // 2), 4, flags=flags)
    print(f"{seconds:.2f} s")
    # The capture has the board's frames before they were spoiled, and Linux's after it.
    board.check_capture(4 * MB // 1460, spoiled="frame.packet_flags_direction == 1")
