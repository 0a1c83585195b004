"""A board on tap0 of a namespace: `viperip sim --link tap:tap0`, and its capture checked."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.net.captures import check_capture
from tests.net.netns import NetNS, Running
from tests.net.scripts import SWAP
from viperip_host import interpreter, unix32
from viperip_host.errors import HostError

HOST = "10.9.0.1"
ADDRESS = "10.9.0.2"
PEER = str(Path(__file__).with_name("peer.py"))
PORT = 5001
NAMES = ("unix", "unix32")
# VIPERIP_BOARD=wt32-eth01 runs these tests on that board's driver and a model of its hardware.
BOARD = os.environ.get("VIPERIP_BOARD", "")


def micropython(name: str) -> str:
    """The path of the interpreter called NAME, unix or unix32; skips where it is not there."""
    try:
        return (unix32.find() if name == "unix32" else interpreter.find()).path
    except HostError as error:
        pytest.skip(f"{name}: {error}")


class Board:
    """A board that runs SCRIPT (text) with ARGUMENTS, and a capture of its frames."""

    def __init__(
        self,
        netns: NetNS,
        folder: Path,
        script: str | None,
        *flags: str,
        target: str = "unix",
        address: bool = True,
        arguments: Sequence[str] = (),
        captured: bool = True,
        **popen: object,
    ) -> None:
        self.capture = folder / "tap.pcapng"
        command = ["--link", "tap:tap0"]
        if captured:
            command += ["--capture", str(self.capture)]
        command += ["--micropython", micropython(target), *flags]
        if BOARD and "--board" not in flags:
            command += ["--board", BOARD]
        if address:
            command += ["--ip", f"{ADDRESS}/24"]
        if script is not None:
            path = folder / "script.py"
            path.write_text(script)
            command += [str(path), *arguments]
        self.running: Running = netns.sim(*command, **popen)

    def check_capture(self, at_least: int = 1, spoiled: str = "") -> None:
        """As captures.check_capture() does."""
        check_capture(self.capture, at_least, spoiled)


def swapped(peer: dict[str, Any], running: Running, to_board: int, to_peer: int) -> None:
    """What the peer sent the board received, and the other way round, on every connection."""
    lines = [line for line in running.output.splitlines() if line.startswith("{")]
    mine = {tuple(one["ports"]): one for one in map(json.loads, lines)}
    assert len(mine) == len(peer["results"])
    for one in peer["results"]:
        assert one["failures"] == []
        other = mine[tuple(reversed(one["ports"]))]
        assert (one["count"], other["count"]) == (to_peer, to_board)
        assert one["sent"] == other["got"]
        assert one["got"] == other["sent"]


def swap(
    netns: NetNS,
    folder: Path,
    sizes: tuple[int, int],
    count: int = 1,
    target: str = "unix",
    flags: tuple[str, ...] = (),
    captured: bool = True,
    seconds: float = 200.0,
) -> tuple[Board, float]:
    """COUNT connections from Linux; SIZES are (to the board, to Linux). The board, seconds."""
    told = ["accept", HOST, str(PORT), str(count), str(sizes[1])]
    board = Board(netns, folder, SWAP, *flags, target=target, arguments=told, captured=captured)
    board.running.wait_for("ready")
    told = ["swap", ADDRESS, str(PORT), str(count), str(sizes[0])]
    result = netns.run(sys.executable, PEER, *told, seconds=seconds)
    assert board.running.wait() == 0
    peer = json.loads(result.stdout)
    swapped(peer, board.running, *sizes)
    return board, peer["seconds"]
