"""The examples that speak HTTP and WebSocket, against curl and `websockets`, and broken peers."""

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.host.board import free_port
from tests.host.command import VIPERIP
from tests.net.netns import Running

FOLDER = Path(__file__).parents[2] / "firmware" / "examples"


def serving(name: str, ready: str, port: int) -> Iterator[Running]:
    """The example, serving its port 80 on one of this computer's."""
    script = str(FOLDER / f"{name}.py")
    one = Running([*VIPERIP, "sim", "--forward", f"{port}:80", script, "serve"])
    try:
        one.wait_for(ready)
        yield one
    finally:
        one.stop()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def rest(port: int) -> Iterator[Running]:
    yield from serving("rest_users", "users on port 80", port)


@pytest.fixture
def chat(port: int) -> Iterator[Running]:
    yield from serving("websocket_chat", "chat on port 80", port)


def curl(port: int, path: str, *options: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """(status, headers, body) of what curl was answered."""
    command = ["curl", "-sS", "-i", "--max-time", "20", *options, f"http://127.0.0.1:{port}{path}"]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=30, check=False)
    head, _, body = done.stdout.decode().partition("\r\n\r\n")
    assert done.returncode == 0 and head.startswith("HTTP/1"), (done.stdout, done.stderr)
    return int(head.split()[1]), head, body


def test_users_come_change_and_go(rest: Running, port: int) -> None:
    assert curl(port, "/users")[2] == "[]"
    status, head, body = curl(port, "/users", "--json", '{"name": "Ada"}')
    assert (status, json.loads(body)) == (201, {"id": 1, "name": "Ada"})
    assert "location: /users/1" in head.lower()
    status, _, body = curl(port, "/users", "--json", '{"name": " Zo\u00eb "}')
    assert (status, json.loads(body)) == (201, {"id": 2, "name": "Zo\u00eb"})
    status, _, body = curl(port, "/users/1", "-X", "PUT", "--json", '{"name": "Grace"}')
    assert (status, json.loads(body)) == (200, {"id": 1, "name": "Grace"})
    assert json.loads(curl(port, "/users/2")[2])["name"] == "Zo\u00eb"
    status, _, body = curl(port, "/users/1", "-X", "DELETE")
    assert (status, body) == (204, "")
    assert [one["id"] for one in json.loads(curl(port, "/users")[2])] == [2]
    # An id does not come again.
    assert json.loads(curl(port, "/users", "--json", '{"name": "Ben"}')[2])["id"] == 3


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_nobody_of_that_number(rest: Running, port: int, method: str) -> None:
    status, _, body = curl(port, "/users/77", "-X", method, "--json", '{"name": "Ada"}')
    assert (status, body) == (404, "no user 77")
    assert curl(port, "/users/x", "-X", method)[0] == 404


WRONG = [b"", b"{", b"[]", b"7", b"null", b'{"name": 7}', b'{"name": ""}', b'{"nom": "Ada"}',
         b'{"name": "\xe9"}', b'{"name": "' + b"x" * 41 + b'"}', b"\xff\xfe\x00"]  # fmt: skip


def test_no_user_is_400(rest: Running, port: int) -> None:
    for body in WRONG:
        kind = "Content-Type: application/json"
        status, _, text = curl(
            port, "/users", "-X", "POST", "-H", kind, "--data-binary", "@-", stdin=body
        )
        assert status == 400, body
        assert text.startswith("expected JSON"), body
    # JSON that is not said to be JSON.
    assert curl(port, "/users", "-d", '{"name": "Ada"}')[0] == 400
    assert curl(port, "/users")[2] == "[]"


def test_a_method_that_is_not_there(rest: Running, port: int) -> None:
    assert curl(port, "/users", "-X", "DELETE")[0] == 405


def test_too_much_is_413(rest: Running, port: int) -> None:
    # Asked first (Expect: 100-continue), curl would wait; the answer is there before the body is.
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        s.sendall(b"POST /users HTTP/1.1\r\nContent-Type: application/json\r\n"
                  b"Content-Length: 1000000000\r\n\r\n")  # fmt: skip
        with s.makefile("rb") as answer:
            assert b" 413 " in answer.readline()


def test_half_open_clients_and_nonsense_do_no_harm(rest: Running, port: int) -> None:
    left = []
    for text in (b"", b"GET", b"POST /users HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"):
        s = socket.create_connection(("127.0.0.1", port), 20)
        s.sendall(text)
        left.append(s)  # and never says more
    for text in (b"\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\nnonsense\r\n\r\n",
                 b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n"):  # fmt: skip
        with socket.create_connection(("127.0.0.1", port), 20) as s:
            s.sendall(text)
            with s.makefile("rb") as answer:
                assert b" 400 " in answer.readline(), text
    left.pop().close()  # in the middle of a body
    assert curl(port, "/users", "--json", '{"name": "Ada"}')[0] == 201
    for s in left:
        s.close()


def enter(port: int, name: str, room: str = "tea") -> ClientConnection:
    url = f"ws://127.0.0.1:{port}/chat/{room}?name={name}"
    return connect(url, open_timeout=20, max_queue=None)


def knock(port: int, path: str) -> int:
    """The status of a refused upgrade. (`websockets` wants HTTP/1.1; microdot says 1.0.)"""
    headers = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]  # fmt: skip
    return curl(port, path, *[word for one in headers for word in ("-H", one)])[0]


def test_rooms_are_apart(chat: Running, port: int) -> None:
    with enter(port, "Ada") as ada, enter(port, "Ben") as ben, enter(port, "Cleo", "gin") as cleo:
        assert ada.recv(20) == "* Ben is here"
        ben.send("Is the kettle on? \u2615")
        assert ada.recv(20) == "Ben: Is the kettle on? \u2615"
        cleo.send("nobody hears this")
        ada.send("yes")
        assert ben.recv(20) == "Ada: yes"
        ben.close()
        assert ada.recv(20) == "* Ben has left"
        assert cleo.ping().wait(20)
        with pytest.raises(TimeoutError):
            cleo.recv(0)
        # The name is free again.
        with enter(port, "Ben"):
            assert ada.recv(20) == "* Ben is here"


def test_many_words_arrive_once_and_in_order(chat: Running, port: int) -> None:
    with enter(port, "Ada") as ada, enter(port, "Ben") as ben, enter(port, "Cleo") as cleo:
        assert [ada.recv(20), ada.recv(20)] == ["* Ben is here", "* Cleo is here"]
        for n in range(200):
            ben.send(f"{n} " + "x" * 900)
            cleo.send(f"{n} " + "y" * 900)
            pong = ada.ping()  # its answer shares the way with what the others say
        heard = [str(ada.recv(20)) for _ in range(400)]
        assert pong.wait(20)
    for name in ("Ben", "Cleo"):
        said = [line for line in heard if line.startswith(name)]
        assert [int(line.split()[1]) for line in said] == list(range(200))


@pytest.mark.parametrize(
    "path, status",
    [("/chat/tea", 400), ("/chat/tea?name=" + "x" * 21, 400), ("/chat/" + "x" * 21, 400),
     ("/chat/tea?name=Ada", 409), ("/elsewhere", 404)],
)  # fmt: skip
def test_who_may_not_enter_is_told_why(chat: Running, port: int, path: str, status: int) -> None:
    with enter(port, "Ada"):
        assert knock(port, path) == status


def test_no_upgrade_leaves_the_name_free(chat: Running, port: int) -> None:
    assert curl(port, "/chat/tea?name=Ada")[0] == 400
    with enter(port, "Ada") as ada, enter(port, "Ben"):
        assert ada.recv(20) == "* Ben is here"


def test_a_full_room(chat: Running, port: int) -> None:
    with contextlib.ExitStack() as members:
        for n in range(8):
            members.enter_context(enter(port, f"m{n}"))
        assert knock(port, "/chat/tea?name=m8") == 409


def frame(opcode: int, text: bytes, length: int | None = None) -> bytes:
    """A client's frame; it may lie about its length."""
    n = len(text) if length is None else length
    mask = os.urandom(4)
    size = bytes([0x80 | n]) if n < 126 else b"\xfe" + n.to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + mask + bytes(
        c ^ mask[i & 3] for i, c in enumerate(text)
    )  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [frame(1, b"\xff\xfe"), frame(1, b"x" * 1025), frame(1, b"x", 60000), b"\x01\x81abcdx",
     frame(1, b"half of it", 20)[:-1], b"\x81"],
    ids=["not UTF-8", "too long", "a long lie", "a fragment", "half a frame", "half a header"],
)  # fmt: skip
def test_who_speaks_nonsense_is_put_out(chat: Running, port: int, words: bytes) -> None:
    with enter(port, "Ada") as ada, enter(port, "Ben") as ben:
        assert ada.recv(20) == "* Ben is here"
        with contextlib.suppress(OSError):  # he may have been put out already
            ben.socket.sendall(words)
            ben.socket.shutdown(socket.SHUT_WR)
        assert ada.recv(20) == "* Ben has left"
        with pytest.raises(ConnectionClosed):
            ben.recv(20)
        ada.send("alone")
        with enter(port, "Cleo"):
            assert ada.recv(20) == "* Cleo is here"


def test_who_does_not_listen_is_put_out(chat: Running, port: int) -> None:
    with enter(port, "Ada") as ada:
        deaf = socket.create_connection(("127.0.0.1", port), 20)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(b"GET /chat/tea?name=Ben HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                     b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")  # fmt: skip
        assert ada.recv(20) == "* Ben is here"
        end = time.monotonic() + 60
        words = "x" * 1000
        while time.monotonic() < end and "Ben leaves" not in chat.output:
            ada.send(words)
        chat.wait_for("Ben leaves tea")
        assert ada.recv(20) == "* Ben has left"
        deaf.close()
