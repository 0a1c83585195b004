"""The gateway after the board's end: slow readers on this computer get what the board sent."""

import contextlib
import hashlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.board import GATEWAY
from tests.host.command import VIPERIP, alive
from tests.net.netns import Running

# Sends until the host takes nothing any more and the gateway holds a good deal, all of it
# acknowledged: the board itself has nothing left to deliver. Then it ends, one way or the other.
# ARGS: HOST PORT how
FULL = """
import hashlib, os, socket, sys, time
s = socket.socket()
s.connect((sys.argv[1], int(sys.argv[2])))
sent = hashlib.sha256()
total = 0

def info(name):
    return s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO)[name]

while True:
    block = bytes([total >> 13 & 255]) * 8192
    s.sendall(block)
    sent.update(block)
    total += len(block)
    while info("send_q") > 8192:
        time.sleep_ms(1)
    if info("snd_wnd") < 28000:
        while info("send_q"):
            time.sleep_ms(1)
        # It may only be late with the window's update.
        time.sleep_ms(200)
        if info("snd_wnd") < 28000:
            break
print("full", total, sent.digest().hex())
if sys.argv[3] == "killed":
    os.system("kill -KILL $PPID")
s.close()
"""


def children(pid: int) -> int:
    """How many processes PID has started that have not ended."""
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return sum(alive(int(word)) for word in listed.stdout.split())


def wait_for_the_board_s_end(sim: Running) -> None:
    """Until the gateway is the only process of SIM's, or there is none."""
    end = time.monotonic() + 10
    while children(sim.popen.pid) > 1:
        assert time.monotonic() < end, sim.output
        time.sleep(0.01)


@contextlib.contextmanager
def stalled(folder: Path, how: str) -> Iterator[tuple[Running, socket.socket]]:
    """(sim, the reader's socket): a board that sends to a reader that has not read yet."""
    path = folder / "full.py"
    path.write_text(FULL)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Small, so that what the kernel holds leaves plenty for the gateway to hold.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.settimeout(20)
        port = str(listener.getsockname()[1])
        sim = Running([*VIPERIP, "sim", str(path), GATEWAY, port, how])
        try:
            reader = listener.accept()[0]
            with reader:
                reader.settimeout(20)
                yield sim, reader
        finally:
            sim.stop()


def test_a_slow_reader_gets_every_byte(tmp_path: Path) -> None:
    with stalled(tmp_path, "closed") as (sim, reader):
        total, digest = sim.wait_for("full", 30).split()[1:]
        wait_for_the_board_s_end(sim)
        # Time enough for a gateway that does not wait.
        with contextlib.suppress(subprocess.TimeoutExpired):
            sim.popen.wait(0.5)
        got = hashlib.sha256()
        count = 0
        while data := reader.recv(16384):
            got.update(data)
            count += len(data)
        assert (count, got.hexdigest()) == (int(total), digest)
        assert sim.wait(5) == 0


def test_a_reader_that_never_reads_holds_it_up_for_5_s_at_most(tmp_path: Path) -> None:
    with stalled(tmp_path, "killed") as (sim, _):
        sim.wait_for("full", 30)
        before = time.monotonic()
        assert sim.wait(15) == 128 + signal.SIGKILL
        assert 4 < time.monotonic() - before < 8


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_does_not_wait_for_the_reader(tmp_path: Path, number: int) -> None:
    with stalled(tmp_path, "killed") as (sim, _):
        sim.wait_for("full", 30)
        wait_for_the_board_s_end(sim)
        before = time.monotonic()
        sim.send(number)
        assert sim.wait(15) == 128 + number
        assert time.monotonic() - before < 3
