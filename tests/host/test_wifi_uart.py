"""Two boards on a serial line: processes of their own, real ptys, SerialLink over a UART."""

import contextlib
import hashlib
import os
import pty
import random
import select
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.netns import Running
from viperip_host import resources
from viperip_host.testing.targets import all_targets

SIZE = 100_000
BAUD = 921_600

# As machine.UART, on a terminal: reading does not wait, writing does until there is room.
COMMON = """
import hashlib, select, sys, time
sys.path.insert(0, {firmware!r})
import viperip
from viperip.link.serial.link import SerialLink
from viperip.link.serial.port import Port
from viperip.link.serial.streams import UART

class Terminal:
    def __init__(self, fd):
        self.file = open(fd, "r+b")
        self.poller = select.poll()
        self.poller.register(self.file, select.POLLIN)

    def any(self):
        return 256 if self.poller.poll(0) else 0

    def readinto(self, buf, n):
        return self.file.readinto(buf, n)

    def write(self, buf, n):
        at = 0
        while at < n:
            at += self.file.write(buf, at, n - at) or 0
        return n

port = Port(UART(Terminal({fd})), baudrate={baud})
dev = SerialLink(port, bytes((2, 0, 0, 0, 0, {number})))
lan = viperip.LAN(dev)
lan.active(True)
lan.ipconfig(addr4="10.0.0.{number}/24")
viperip.install()
import socket, time

def pattern(n, k):
    return bytes([i * k + (i >> 8) & 0xFF for i in range(n)])

def take(s, n):
    # n bytes and their hash.
    h = hashlib.sha256()
    while n:
        data = s.recv(min(n, 4096))
        if not data:
            break
        h.update(data)
        n -= len(data)
    return h.digest().hex()
"""
SERVER = """
listener = socket.socket()
listener.bind(("0.0.0.0", 7))
listener.listen(1)
print("ready")
s, _ = listener.accept()
while True:
    data = s.recv(2000)
    if not data:
        break
    s.sendall(data)
s.close()
s, _ = listener.accept()
print("in", take(s, {size}))
print("bad", port.rx_bad + port.rx_lost)
s.sendall(pattern({size}, 29))
time.sleep(300)  # what is lost of it is sent again
"""
CLIENT = """
s = socket.socket()
s.connect(("10.0.0.1", 7))
right = 0
for i in range(20):
    block = bytes([i]) * (i * 150)
    s.sendall(block)
    back = b""
    while len(back) < len(block):
        back += s.recv(len(block) - len(back))
    right += back == block
s.close()
print("right", right)
s = socket.socket()
s.connect(("10.0.0.1", 7))
s.sendall(pattern({size}, 13))
print("in", take(s, {size}))
print("bad", port.rx_bad + port.rx_lost)
"""


def pattern(factor: int) -> bytes:
    return bytes(i * factor + (i >> 8) & 0xFF for i in range(SIZE))


@contextlib.contextmanager
def line(share: float) -> Iterator[tuple[int, int]]:
    """The boards' ends of two ptys, with a cable in between.

    At that share of the bytes it loses one, flips a bit or adds noise, from a fixed seed.
    """
    rng = random.Random(3)
    masters, slaves = zip(pty.openpty(), pty.openpty(), strict=True)
    for fd in (*masters, *slaves):
        tty.setraw(fd)
        os.set_blocking(fd, False)
    ended = threading.Event()

    def spoilt(data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            kind = rng.randrange(3) if share and rng.random() < share else -1
            if kind == 1:
                continue
            out.append(byte ^ 1 << rng.randrange(8) if kind == 0 else byte)
            if kind == 2:
                out += rng.randbytes(rng.randrange(1, 20))
        return bytes(out)

    def carry() -> None:
        waiting = dict.fromkeys(masters, b"")  # for whom
        while not ended.is_set():
            # What the other end is too slow for is kept: a line would lose it, and so would luck.
            writers = [fd for fd in masters if waiting[fd]]
            can_read, can_write, _ = select.select(masters, writers, [], 0.1)
            for fd in can_read:
                other = masters[1 - masters.index(fd)]
                waiting[other] += spoilt(os.read(fd, 4096))
            for fd in can_write:
                waiting[fd] = waiting[fd][os.write(fd, waiting[fd]) :]

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    try:
        yield slaves
    finally:
        ended.set()
        thread.join(5)
        for fd in (*masters, *slaves):
            os.close(fd)


@pytest.mark.parametrize("share", [0.0, 1 / 20_000], ids=["clean", "noisy"])
@pytest.mark.parametrize("name", ["unix", "unix32", "bytecode"])
def test_two_boards_on_a_serial_line(name: str, share: float, tmp_path: Path) -> None:
    target = all_targets()[name]
    if target.interpreter() is None:
        pytest.skip(target.missing)
    boards = []
    with line(share) as ends, contextlib.ExitStack() as stack:
        for number, text in ((1, SERVER), (2, CLIENT)):
            fd = ends[number - 1]
            script = tmp_path / f"board{number}.py"
            script.write_text(
                (COMMON + text)
                .replace("{firmware!r}", repr(str(resources.firmware())))
                .replace("{fd}", str(fd))
                .replace("{baud}", str(BAUD))
                .replace("{number}", str(number))
                .replace("{size}", str(SIZE))
            )
            board = Running(
                target.command("8M", script),
                pass_fds=[fd],
                env={**os.environ, **target.environment},
            )
            stack.callback(board.stop)
            boards.append(board)
            if number == 1:
                board.wait_for("ready")
        server, client = boards
        assert client.wait(120) == 0, client.output + server.output
    said = dict(one.split(" ", 1) for one in client.output.splitlines())
    heard = dict(one.split(" ", 1) for one in server.output.splitlines()[1:])
    assert said["right"] == "20", client.output
    assert heard["in"] == hashlib.sha256(pattern(13)).hexdigest()
    assert said["in"] == hashlib.sha256(pattern(29)).hexdigest()
    bad = int(said["bad"]) + int(heard["bad"])
    assert bad > 2 if share else bad == 0, (client.output, server.output)
