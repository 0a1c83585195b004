"""The stack's sockets beside the firmware's own: the same calls, the same answers.

The firmware's sockets are Linux's on the unix port. Where the stack answers otherwise on purpose,
the table says so; nothing else may differ.
"""

import sys
from pathlib import Path

import pytest

from tests.host.board import Board, board

__all__ = ["board"]

SCRIPT = (Path(__file__).parents[1] / "device" / "socket_calls.py").read_text()

LATE = "a time that is over is ETIMEDOUT in every call, as on the boards; Linux: EAGAIN here"
# call: (firmware, stack, why)
DIFFERENCES = {
    "recv timeout": ("OSError EAGAIN", "OSError ETIMEDOUT", LATE),
    "send full, timeout": ("OSError EAGAIN", "OSError ETIMEDOUT", LATE),
    "sendall full, timeout": ("OSError EAGAIN", "OSError ETIMEDOUT", LATE),
    "datagram recv timeout": ("OSError EAGAIN", "OSError ETIMEDOUT", LATE),
    "send unconnected": (
        "OSError 32",
        "OSError ENOTCONN",
        "POSIX; Linux takes it for a connection that has ended (EPIPE, 32)",
    ),
    "write unconnected": ("OSError 32", "OSError ENOTCONN", "as send"),
    "poll closed": (
        "0",
        "32",
        "POLLNVAL, as on the boards; the unix port polls descriptor -1, which is never ready",
    ),
    "send after a reset": (
        "OSError 32",
        "OSError ECONNRESET",
        "a reset is told as one, also behind the end of the stream",
    ),
    "no such name": (
        "OSError [addrinfo error -2]",
        "OSError -2",
        "a number, as on the boards",
    ),
}


def answers(text: str) -> dict[str, str]:
    """What each call gave."""
    lines = text.splitlines()
    assert lines[-1] == "end", text
    return dict(line.split(": ", 1) for line in lines[:-1])


@pytest.mark.skipif(sys.platform != "linux", reason="the answers compared with are Linux's")
def test_the_same_calls_give_the_same(board: Board) -> None:
    firmware = answers(board.run(SCRIPT, "firmware"))
    stack = answers(board.run(SCRIPT, "stack"))
    assert list(firmware) == list(stack)
    there = [call for call in firmware if firmware[call] != "AttributeError"]
    differ = {
        call: (firmware[call], stack[call]) for call in there if firmware[call] != stack[call]
    }
    # Where a port's own sockets agree with the stack's already, there is nothing to explain.
    rows = {call: row[:2] for call, row in DIFFERENCES.items() if call in there}
    assert differ == {call: row for call, row in rows.items() if firmware[call] != row[1]}
