"""iperf3 itself against the board: as its client and as its server, TCP and UDP, both ways."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.net.board import ADDRESS, HOST, NAMES, Board
from tests.net.netns import NetNS

pytestmark = pytest.mark.root

SERVER = """
import sys
from viperip.application import iperf3
print("ready")
print("RESULT", iperf3.server(tests=int(sys.argv[1]), timeout_s=2))
"""

CLIENT = """
import json, sys
from viperip.application import iperf3
print("RESULT", json.dumps(iperf3.client(sys.argv[1], **json.loads(sys.argv[2]))))
"""

WAYS: dict[str, list[str]] = {
    "tcp": [],
    "tcp-reverse": ["-R"],
    "tcp-both": ["--bidir"],
    "tcp-parallel": ["-P", "3"],
    "tcp-omit": ["-O", "1"],
    "tcp-paced": ["-b", "4M"],
    "tcp-bytes": ["-n", "300K"],
    "tcp-bytes-reverse": ["-n", "300K", "-R"],
    "udp": ["-u", "-b", "4M"],
    "udp-reverse": ["-u", "-b", "4M", "-R"],
    "udp-both": ["-u", "-b", "2M", "--bidir"],
    "udp-parallel": ["-u", "-b", "1M", "-P", "2"],
}


def result(board: Board) -> dict[str, Any]:
    """The result that the client on the board has printed."""
    assert board.running.wait(60) == 0, board.running.output
    line = [t for t in board.running.output.splitlines() if t.startswith("RESULT")][-1]
    value: dict[str, Any] = json.loads(line.removeprefix("RESULT"))
    return value


@pytest.mark.parametrize("target", NAMES)
def test_iperf3_measures_the_board(tap: NetNS, tmp_path: Path, target: str) -> None:
    board = Board(tap, tmp_path, SERVER, target=target, arguments=[str(len(WAYS))], captured=False)
    board.running.wait_for("listening")
    for name, flags in WAYS.items():
        duration = [] if "-n" in flags else ["-t", "2" if "-O" in flags else "1"]
        done = tap.run("iperf3", "-c", ADDRESS, *duration, "-J", *flags, check=False)
        assert done.stdout.startswith("{"), (name, done.stdout, board.running.output)
        report = json.loads(done.stdout)
        assert done.returncode == 0 and "error" not in report, (name, report.get("error"))
        end = report["end"]
        received = end.get("sum_received") or end["sum"]
        assert received["bytes"] > 50_000, (name, end)
        if "--bidir" in flags:
            assert (end.get("sum_received_bidir_reverse") or end["sum_bidir_reverse"])["bytes"]
        if name == "tcp-bytes":
            assert received["bytes"] >= 300 << 10
        if name == "udp":
            # 4 Mbit/s is far below what the board can take: the rate is what was asked for.
            assert 300_000 < end["sum"]["bytes"] < 600_000
            assert end["sum"]["packets"] > 200 and end["sum"]["lost_percent"] < 50
    assert board.running.wait(20) == 0, board.running.output
    assert "Mbit/s" in board.running.output


@pytest.mark.parametrize("target", NAMES)
def test_the_board_measures_against_iperf3(tap: NetNS, tmp_path: Path, target: str) -> None:
    server = tap.start("iperf3", "-s", "-B", HOST, "--forceflush")
    server.wait_for("listening")
    for options in (
        {},
        {"reverse": True},
        {"bidirectional": True},
        {"parallel": 2, "omit_s": 1},
        {"rate": 3_000_000, "length": 1000},
        {"udp": True, "rate": 3_000_000},
        {"udp": True, "rate": 3_000_000, "reverse": True},
        {"udp": True, "bidirectional": True},
    ):
        told = json.dumps({"time_s": 1, **options})
        board = Board(tap, tmp_path, CLIENT, target=target, arguments=[HOST, told], captured=False)
        got = result(board)
        assert got["bits_per_second"] > 100_000, (options, got)
        assert 0.9 < got["seconds"] < 5
        for row in got["streams"]:
            assert row["bytes"] and row["peer_bytes"], (options, row)
            if options.get("udp"):
                assert row["packets"] > 10 and 0 <= row["lost"] <= row["packets"]
        if options.get("rate"):
            assert got["streams"][0]["bits_per_second"] < 4_000_000


def test_a_server_that_is_not_there_or_busy(tap: NetNS, tmp_path: Path) -> None:
    script = CLIENT.replace(
        'print("RESULT", json.dumps(iperf3.client(sys.argv[1], **json.loads(sys.argv[2]))))',
        "try:\n    iperf3.client(sys.argv[1], **json.loads(sys.argv[2]))\n"
        'except OSError as e:\n    print("ERROR", e)',
    )
    board = Board(tap, tmp_path, script, arguments=[HOST, "{}"], captured=False)
    assert board.running.wait(30) == 0
    assert "ERROR [Errno 111] ECONNREFUSED" in board.running.output
    server = tap.start("iperf3", "-s", "-B", HOST, "--forceflush")
    server.wait_for("listening")
    other = tap.start("iperf3", "-c", HOST, "-t", "30", "-b", "1M", "--forceflush")
    other.wait_for("Mbits/sec")
    board = Board(tap, tmp_path, script, arguments=[HOST, "{}"], captured=False)
    assert board.running.wait(30) == 0
    assert "ERROR the server is busy with another test" in board.running.output


COOKIE = b"a" * 36 + b"\0"
HOSTILE: dict[str, tuple[bytes, bool]] = {
    # What a client sends, and whether it then stays silent (else it closes).
    "gone at once": (b"", False),
    "cookie cut": (b"abc", False),
    "half open": (COOKIE, True),
    "huge json": (COOKIE + b"\xff\xff\xff\xff", False),
    "no json": (COOKIE + b"\0\0\0\x04{{{{", False),
    "json list": (COOKIE + b"\0\0\0\x02[]", False),
    "json deep": (COOKIE + b"\0\0\x08\0" + b"[" * 2048, False),
    "not utf-8": (COOKIE + b"\0\0\0\x04\xff\xfe\xfd\xfc", False),
    "neither tcp nor udp": (COOKIE + b"\0\0\0\x02{}", False),
    "sctp": (COOKIE + b"\0\0\0\x0d" + b'{"sctp":true}', False),
    "many streams": (COOKIE + b"\0\0\0\x1b" + b'{"tcp":true,"parallel":900}', False),
    "types": (
        COOKIE + b"\0\0\0\x2c" + b'{"tcp":1,"parallel":"x","len":[],"time":-1e9}   '[:44],
        True,
    ),
    "no streams": (COOKIE + b"\0\0\0\x0c" + b'{"tcp":true}', True),
    "udp without a datagram": (COOKIE + b"\0\0\0\x0c" + b'{"udp":true}', True),
}

POKE = """
import socket, sys, time
for line in sys.stdin:
    data, silent = bytes.fromhex(line.split()[0][1:]), line.split()[1] == "True"
    s = socket.create_connection((sys.argv[1], 5201), 10)
    s.sendall(data)
    s.settimeout(15)
    if not silent:
        s.shutdown(socket.SHUT_WR)
    try:
        while s.recv(100):
            pass
    except ConnectionError:
        pass
    s.close()
"""


def test_hostile_clients_do_not_stop_the_server(tap: NetNS, tmp_path: Path) -> None:
    board = Board(tap, tmp_path, SERVER, arguments=[str(len(HOSTILE) + 1)], captured=False)
    board.running.wait_for("listening")
    lines = "".join(f"x{data.hex()} {silent}\n" for data, silent in HOSTILE.values())
    tap.run(sys.executable, "-c", POKE, ADDRESS, stdin=lines.encode(), seconds=90)
    done = tap.run("iperf3", "-c", ADDRESS, "-t", "1", "-J")
    assert json.loads(done.stdout)["end"]["sum_received"]["bytes"] > 100_000
    assert board.running.wait(20) == 0, board.running.output
    said = [t for t in board.running.output.splitlines() if t.startswith("iperf3 server: ")]
    assert len(said) == len(HOSTILE) + 1  # and that it listens
