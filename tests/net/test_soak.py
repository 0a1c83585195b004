"""The long tests: `make soak`. SOAK=0.05 in the environment runs a twentieth of each."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.net.board import ADDRESS, NAMES, PEER, PORT, Board, swap
from tests.net.netns import NetNS
from tests.net.scripts import ECHO_FOR_EVER
from viperip_host.testing.session import Session
from viperip_host.testing.source import read_source
from viperip_host.testing.targets import all_targets

pytestmark = pytest.mark.soak
MB = 1000 * 1000
SHARE = float(os.environ.get("SOAK", "1"))
FUZZ = Path(__file__).parents[1] / "device" / "test_fuzz.py"
FAULTS = ("--loss", "2%", "--dup", "2%", "--reorder", "2%", "--corrupt", "1%", "--seed", "5")
# What a heap may grow by: tables and pools that are filled once, and fragments.
GROWTH = 64 * 1024


def share(whole: int, least: int = 1) -> int:
    """The part of WHOLE that this run does."""
    return max(least, int(whole * SHARE))


@pytest.mark.root
@pytest.mark.parametrize("target", NAMES)
def test_a_gigabyte_each_way(tap: NetNS, tmp_path: Path, target: str) -> None:
    size = share(1000 * MB)
    _, seconds = swap(
        tap, tmp_path, (size, size), target=target, captured=False, seconds=60 + size / MB * 2
    )
    print(f"{target}: {size / MB:.0f} MB each way in {seconds:.0f} s")


class Echo:
    """A board that echoes for ever."""

    def __init__(self, tap: NetNS, folder: Path, target: str, *flags: str) -> None:
        self.tap = tap
        self.target = target
        told = [str(PORT), "500"]
        self.board = Board(
            tap, folder, ECHO_FOR_EVER, *flags, target=target, arguments=told, captured=False
        )
        self.board.running.wait_for("ready")

    def peer(self, command: str, count: int, size: int, seconds: float) -> Any:
        """What peer.py tells of COUNT connections."""
        told = [PEER, command, ADDRESS, str(PORT), str(count), str(size)]
        return json.loads(self.tap.run(sys.executable, *told, seconds=seconds).stdout)

    def rest(self, total: int) -> dict[str, int]:
        """What the board says when TOTAL connections have come and gone."""
        line = self.board.running.wait_for(f"after {total} ", 60)
        told: dict[str, int] = json.loads(line[line.index("{") :])
        assert (told["known"], told["errors"]) == (0, 0)
        assert "failed" not in self.board.running.output
        return told


@pytest.mark.root
@pytest.mark.parametrize("target", NAMES)
def test_ten_thousand_connections_leave_nothing(tap: NetNS, tmp_path: Path, target: str) -> None:
    count = share(10_000, 100)
    echo = Echo(tap, tmp_path, target)
    # More than the connections that may be in TIME-WAIT: what is filled once is full.
    assert echo.peer("short", 100, 1000, 60)["right"] == 100
    before = echo.rest(100)["heap"]
    told = echo.peer("short", count, 1000, 60 + count / 10)
    assert told["right"] == count
    after = echo.rest(100 + count)["heap"]
    print(f"{target}: {count} in {told['seconds']:.0f} s, heap {before} before, {after} after")
    assert after - before < GROWTH


@pytest.mark.root
@pytest.mark.parametrize("target", NAMES)
def test_ten_minutes_of_faults(tap: NetNS, tmp_path: Path, target: str) -> None:
    seconds = share(600, 5)
    echo = Echo(tap, tmp_path, target, *FAULTS)
    size = 200_000
    heaps: list[int] = []
    total = 0
    end = time.monotonic() + seconds
    while len(heaps) < 2 or time.monotonic() < end:
        for one in echo.peer("swap", 8, size, 200)["results"]:
            assert one["failures"] == []
            assert (one["count"], one["got"]) == (size, one["sent"])
        total += 8
        heaps.append(echo.rest(total)["heap"])
    print(f"{target}: {total} connections in {seconds} s, heap {heaps[0]} to {heaps[-1]}")
    assert heaps[-1] - heaps[0] < GROWTH


@pytest.mark.parametrize("target", ("unix", "unix32", "bytecode"))
def test_two_million_mutated_frames(target: str) -> None:
    count = share(30_000 if target == "bytecode" else 2_000_000, 1000)
    one = all_targets()[target]
    if one.interpreter() is None:
        pytest.skip(f"{one.about}: {one.missing}")
    session = Session(
        one, FUZZ, read_source(FUZZ.read_text(), FUZZ.name).heap, seconds=60 + count / 100
    )
    session.environment["VIPERIP_FUZZ_FRAMES"] = str(count)
    begun = time.monotonic()
    try:
        print(session.run("test_mutated_frames").output)
    finally:
        session.close()
    print(f"{target}: {count} frames in {time.monotonic() - begun:.0f} s")
