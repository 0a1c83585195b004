"""The examples on UDP, against CPython's sockets."""

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.board import free_port
from tests.host.command import VIPERIP
from tests.net.netns import Running

FOLDER = Path(__file__).parents[2] / "firmware" / "examples"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def positions(port: int) -> Iterator[Running]:
    script = str(FOLDER / "position_updates.py")
    one = Running([*VIPERIP, "sim", "--forward", f"udp:{port}:9001", script, "serve"])
    try:
        one.wait_for("positions on UDP port")
        yield one
    finally:
        one.stop()


def update(number: int, x: int = 0, y: int = 0) -> bytes:
    return struct.pack("!Hii", number, x, y)


def taken(board: Running) -> list[int]:
    """The sequence numbers that counted."""
    lines = [line for line in board.output.splitlines() if "#" in line]
    return [int(line.split("#")[1].split()[0]) for line in lines]


def test_only_news_counts(positions: Running, port: int) -> None:
    # Lost: 3, 65534; twice: 2; late: 1 and, across the wrap, 65535.
    sent = [0, 2, 2, 1, 4, 32770, 4, 65533, 65533, 1, 65535, 2]
    news = [0, 2, 4, 32770, 65533, 1, 2]
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        for number in sent:
            s.sendto(update(number, number, -number), ("127.0.0.1", port))
        positions.wait_for("#2 at 2, -2 mm")
        s.sendto(update(9, -(2**31), 2**31 - 1), ("127.0.0.1", port))
        positions.wait_for("#9 at -2147483648, 2147483647 mm")
    assert taken(positions) == [*news, 9]
    assert positions.output.count("dropped: ") == len(sent) - len(news)


def test_malformed_ones_are_counted(positions: Running, port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        for data in (b"", b"x", update(1)[:-1], update(1) + b"x", b"x" * 1400):
            s.sendto(data, ("127.0.0.1", port))
        positions.wait_for("'malformed': 5")
        s.sendto(update(1, 5, 6), ("127.0.0.1", port))
        positions.wait_for("#1 at 5, 6 mm")


def test_senders_are_apart_and_may_be_many(positions: Running, port: int) -> None:
    senders = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(20)]
    for number, s in enumerate(senders):
        s.sendto(update(1000 - number, number, number), ("127.0.0.1", port))
        positions.wait_for(f"#{1000 - number} at {number}, {number} mm")
    # The first was forgotten by now: an older number of it is news.
    for _ in range(50):  # a datagram may be lost on a busy machine
        senders[0].sendto(update(1, 77, 77), ("127.0.0.1", port))
        if 1 in taken(positions):
            break
        time.sleep(0.1)
    positions.wait_for("#1 at 77, 77 mm")
    for s in senders:
        s.close()


def test_a_sender_that_starts_anew(positions: Running, port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.sendto(update(500), ("127.0.0.1", port))
        positions.wait_for("#500 at")
        s.settimeout(0.2)
        for _ in range(100):  # refused as old until 500 is forgotten
            s.sendto(update(1, 7, 7), ("127.0.0.1", port))
            if 1 in taken(positions):
                break
            with pytest.raises(TimeoutError):
                s.recv(1)
        positions.wait_for("#1 at 7, 7 mm")
    assert "dropped: " in positions.output
