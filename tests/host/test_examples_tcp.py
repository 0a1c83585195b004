"""The TCP servers among the examples, against CPython's sockets: good clients and broken ones."""

import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.board import free_port
from tests.host.command import VIPERIP
from tests.net.netns import Running

FOLDER = Path(__file__).parents[2] / "firmware" / "examples"
DATA = bytes(i * 7 & 0xFF for i in range(100_000))
LARGEST = 256 * 1024


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def served(name: str, ready: str, forward: str, argument: str) -> Iterator[Running]:
    """The example, serving."""
    script = str(FOLDER / f"{name}.py")
    one = Running([*VIPERIP, "sim", "--forward", forward, script, argument])
    try:
        one.wait_for(ready)
        yield one
    finally:
        one.stop()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def echo(port: int) -> Iterator[Running]:
    yield from served("tcp_echo_select", "echoing", f"{port}:7", "serve")


@pytest.fixture
def uploads(port: int, tmp_path: Path) -> Iterator[Running]:
    yield from served("file_upload", "uploads to port", f"{port}:9000", str(tmp_path))


def client(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 30)


def reset(s: socket.socket) -> None:
    """End a connection with RST."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def everything(s: socket.socket) -> bytes:
    with s, s.makefile("rb") as stream:
        return stream.read()


def test_every_client_gets_its_own_back(echo: Running, port: int) -> None:
    got: dict[int, bytes] = {}

    def one(number: int) -> None:
        data = bytes([number]) * 50_000
        with client(port) as s:
            sender = threading.Thread(target=s.sendall, args=(data,))
            sender.start()
            with s.makefile("rb") as stream:
                got[number] = stream.read(len(data))
            sender.join()

    # More than it takes at a time: the last have to wait.
    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == {number: bytes([number]) * 50_000 for number in range(12)}


def test_what_is_not_read_does_not_stop_the_others(echo: Running, port: int) -> None:
    deaf = client(port)
    deaf.settimeout(1)
    with pytest.raises(TimeoutError):
        while True:  # until its own bytes have nowhere to go
            deaf.sendall(DATA)
    silent = client(port)
    for _ in range(3):
        with client(port) as s, s.makefile("rb") as stream:
            s.sendall(b"hello")
            assert stream.read(5) == b"hello"
    reset(deaf)
    reset(silent)
    echo.wait_for("is gone")
    with client(port) as s, s.makefile("rb") as stream:
        s.sendall(b"hello")
        assert stream.read(5) == b"hello"


def test_a_half_closed_client_gets_the_rest(echo: Running, port: int) -> None:
    s = client(port)

    def send() -> None:
        s.sendall(DATA)
        s.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    assert everything(s) == DATA
    sender.join()
    echo.wait_for("is done")


def upload(port: int, line: bytes, data: bytes = b"") -> bytes:
    """The last line of what an upload is answered."""
    with client(port) as s, s.makefile("rb") as answer:
        s.sendall(line)
        said = answer.readline()
        if said == b"GO\n":
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            said = answer.readline()
        assert said.endswith(b"\n") and answer.read() == b""
    return said[:-1]


def put(port: int, name: str, data: bytes, length: int | None = None) -> bytes:
    size = len(data) if length is None else length
    return upload(port, f"{name} {size} {digest(data)}\n".encode(), data)


@pytest.mark.parametrize("size", [0, 1, 1024, 100_000, LARGEST])
def test_a_file_arrives(uploads: Running, port: int, tmp_path: Path, size: int) -> None:
    data = (DATA * 3)[:size]
    assert put(port, "a-file_1.bin", data).decode() == f"OK {size} {digest(data)}"
    assert (tmp_path / "a-file_1.bin").read_bytes() == data
    assert put(port, "a-file_1.bin", b"another").startswith(b"OK")
    assert (tmp_path / "a-file_1.bin").read_bytes() == b"another"
    assert len(list(tmp_path.iterdir())) == 1


REFUSED = {
    "too large": b"x %d " % (LARGEST + 1) + b"0" * 64 + b"\n",
    "much too large": b"x %d " % 10**30 + b"0" * 64 + b"\n",
    "less than nothing": b"x -1 " + b"0" * 64 + b"\n",
    "no number": b"x many " + b"0" * 64 + b"\n",
    "a short digest": b"x 1 abcd\n",
    "no hex": b"x 1 " + b"z" * 64 + b"\n",
    "another folder": b"../x 1 " + b"0" * 64 + b"\n",
    "a path": b"/etc/x 1 " + b"0" * 64 + b"\n",
    "a hidden file": b".x 1 " + b"0" * 64 + b"\n",
    "a long name": b"x" * 41 + b" 1 " + b"0" * 64 + b"\n",
    "Latin-1": b"caf\xe9 1 " + b"0" * 64 + b"\n",
    "UTF-16": "x 1 ".encode("utf-16") + b"0" * 64 + b"\n",
    "nothing": b"\n",
    "a long line": b"x" * 200,
    "TLS": b"\x16\x03\x01\x00\xf8\x01\n",
}


def test_what_is_refused(uploads: Running, port: int, tmp_path: Path) -> None:
    for what, line in REFUSED.items():
        assert upload(port, line).startswith(b"ERROR "), what
    assert not list(tmp_path.iterdir())
    assert put(port, "x", DATA).startswith(b"OK")


def test_another_file_or_half_of_it_is_refused(
    uploads: Running, port: int, tmp_path: Path
) -> None:
    line = f"x {len(DATA)} {digest(DATA)}\n".encode()
    assert upload(port, line, DATA[:-1] + b"x") == b"ERROR the SHA-256 is another"
    assert upload(port, line, DATA[:-1]) == b"ERROR 1 bytes are missing"
    assert not list(tmp_path.iterdir())


def test_half_open_clients_are_refused(uploads: Running, port: int, tmp_path: Path) -> None:
    mute, half = client(port), client(port)
    half.sendall(f"x {len(DATA)} {digest(DATA)}\n".encode())
    half.sendall(DATA[:5000])
    gone = client(port)
    gone.sendall(f"y {len(DATA)} {digest(DATA)}\n".encode() + DATA[:5000])
    with gone.makefile("rb") as stream:
        assert stream.readline() == b"GO\n"
    reset(gone)
    assert put(port, "z", DATA).startswith(b"OK")  # meanwhile
    assert everything(mute) == b"ERROR nothing came for 5 s\n"
    assert everything(half) == b"GO\nERROR nothing came for 5 s\n"
    uploads.wait_for("y: ERROR")
    assert [path.name for path in tmp_path.iterdir()] == ["z"]


def test_a_name_that_cannot_be_written(uploads: Running, port: int, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert put(port, "folder", DATA).startswith(b"ERROR ")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
