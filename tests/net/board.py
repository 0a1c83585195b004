"""A board on tap0 of a namespace: `viperip sim --link tap:tap0`, and its capture checked."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.net.netns import NetNS, Running
from tests.net.scripts import SWAP
from viperip_host import interpreter, unix32
from viperip_host.errors import HostError

HOST = "10.9.0.1"
ADDRESS = "10.9.0.2"
PEER = str(Path(__file__).with_name("peer.py"))
PORT = 5001
NAMES = ("unix", "unix32")
_WRONG = " || ".join(
    ["_ws.malformed"] + [f"{name}.checksum.status == 0" for name in ("ip", "icmp", "tcp", "udp")]
)
# Linux writes a TCP checksum of 0 as FFFF, which adds up just as well; tshark calls it wrong
# (RFC 1624). So once in 65,536 segments a frame from Linux, and only from there, is let pass.
_MINUS_ZERO = "(tcp.checksum.ffff && frame.packet_flags_direction == 1)"


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
        **popen: object,
    ) -> None:
        self.capture = folder / "tap.pcapng"
        command = ["--link", "tap:tap0", "--capture", str(self.capture)]
        command += ["--micropython", micropython(target), *flags]
        if address:
            command += ["--ip", f"{ADDRESS}/24"]
        if script is not None:
            path = folder / "script.py"
            path.write_text(script)
            command += [str(path), *arguments]
        self.running: Running = netns.sim(*command, **popen)

    def check_capture(self, at_least: int = 1, spoiled: str = "") -> None:
        """tshark reads it: no malformed packet, no wrong checksum.

        SPOILED is a display filter for frames that are wrong on purpose.
        """
        check_capture(self.capture, at_least, spoiled)


def swapped(peer: dict[str, Any], board: Board, to_board: int, to_peer: int) -> None:
    """What the peer sent the board received, and the other way round, on every connection."""
    lines = [line for line in board.running.output.splitlines() if line.startswith("{")]
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
) -> tuple[Board, float]:
    """COUNT connections from Linux; SIZES are (to the board, to Linux). The board, seconds."""
    told = ["accept", HOST, str(PORT), str(count), str(sizes[1])]
    board = Board(netns, folder, SWAP, *flags, target=target, arguments=told)
    board.running.wait_for("ready")
    result = netns.run(
        sys.executable, PEER, "swap", ADDRESS, str(PORT), str(count), str(sizes[0]), seconds=200
    )
    assert board.running.wait() == 0
    peer = json.loads(result.stdout)
    swapped(peer, board, *sizes)
    return board, peer["seconds"]


def check_capture(path: Path, at_least: int = 1, spoiled: str = "") -> None:
    assert shutil.which("tshark"), "needs tshark"
    wrong = f"({_WRONG}) && !{_MINUS_ZERO}" + (f" && !({spoiled})" if spoiled else "")
    found = tshark(path, "-Y", wrong)
    assert not found, f"{path}:\n" + "\n".join(found[:20])
    counted = int(_summary(path, "Number of packets"))
    assert counted >= at_least, f"{counted} packets"


def tshark(path: Path, *flags: str) -> list[str]:
    """The lines of tshark about a capture, checksums checked."""
    checks = []
    for name in ("ip", "tcp", "udp"):
        checks += ["-o", f"{name}.check_checksum:TRUE"]
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), *checks, *flags],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def _summary(path: Path, what: str) -> str:
    done = subprocess.run(
        ["capinfos", "-M", str(path)], capture_output=True, text=True, check=True
    )
    found = re.search(rf"{what}: *(\S+)", done.stdout)
    assert found, done.stdout
    return found[1]
