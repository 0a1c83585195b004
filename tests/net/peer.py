"""The Linux side of the transfers; run in a namespace: peer.py COMMAND HOST PORT COUNT ...

swap HOST PORT COUNT SIZE    COUNT connections at once, each sends SIZE bytes and reads to the end
serve HOST PORT COUNT SIZE   the same, on connections that are made to HOST:PORT
short HOST PORT COUNT SIZE   COUNT connections one after the other, each echoes SIZE bytes
echo HOST PORT COUNT ROUNDS  COUNT connections at once; in every round all send, then all read

The result is one line of JSON.
"""

import hashlib
import json
import os
import socket
import sys
import threading
import time
from typing import Any

BLOCK = 16384
SECONDS = 150.0


def blocks(size: int) -> Any:
    """SIZE bytes that do not repeat, in blocks."""
    block = bytearray(os.urandom(BLOCK))
    for i in range(0, size, BLOCK):
        block[:4] = i.to_bytes(4, "big")
        yield bytes(block[: size - i])


class Swap:
    """One connection: sends and receives at the same time."""

    def __init__(self, one: socket.socket, size: int) -> None:
        one.settimeout(SECONDS)
        self.socket = one
        self.size = size
        self.port = one.getsockname()[1]
        self.peer_port = one.getpeername()[1]
        self.sent = hashlib.sha256()
        self.got = hashlib.sha256()
        self.count = 0
        self.failures: list[str] = []
        self.threads = [self._thread(self._send), self._thread(self._receive)]

    def _thread(self, function: Any) -> threading.Thread:
        def guarded() -> None:
            try:
                function()
            except OSError as error:
                self.failures.append(f"{function.__name__}: {error!r}")

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    def _send(self) -> None:
        for block in blocks(self.size):
            self.socket.sendall(block)
            self.sent.update(block)
        self.socket.shutdown(socket.SHUT_WR)

    def _receive(self) -> None:
        while data := self.socket.recv(65536):
            self.got.update(data)
            self.count += len(data)

    def result(self) -> dict[str, Any]:
        for thread in self.threads:
            thread.join()
        self.socket.close()
        return {
            "ports": [self.port, self.peer_port],
            "sent": self.sent.hexdigest(),
            "got": self.got.hexdigest(),
            "count": self.count,
            "failures": self.failures,
        }


def swap(where: tuple[str, int], count: int, size: int) -> dict[str, Any]:
    begun = time.monotonic()
    swaps = [Swap(socket.create_connection(where, SECONDS), size) for _ in range(count)]
    return {"results": [one.result() for one in swaps], "seconds": time.monotonic() - begun}


def serve(where: tuple[str, int], count: int, size: int) -> dict[str, Any]:
    with socket.create_server(where, backlog=count) as listener:
        listener.settimeout(SECONDS)
        print("listening", flush=True)
        swaps = [Swap(listener.accept()[0], size) for _ in range(count)]
    begun = time.monotonic()
    return {"results": [one.result() for one in swaps], "seconds": time.monotonic() - begun}


def echo(where: tuple[str, int], count: int, rounds: int) -> dict[str, Any]:
    begun = time.monotonic()
    threads = []
    sockets: list[socket.socket] = []

    def connect() -> None:
        sockets.append(socket.create_connection(where, 30))

    for _ in range(count):
        threads.append(threading.Thread(target=connect))
        threads[-1].start()
    for thread in threads:
        thread.join()
    opened = time.monotonic() - begun
    right = 0
    for number in range(rounds):
        messages = [f"{number} {i} ".encode() * 100 for i in range(len(sockets))]
        for one, message in zip(sockets, messages, strict=True):
            one.sendall(message)
        for one, message in zip(sockets, messages, strict=True):
            back = b""
            while len(back) < len(message):
                part = one.recv(len(message) - len(back))
                if not part:
                    break
                back += part
            right += back == message
    for one in sockets:
        one.shutdown(socket.SHUT_WR)
    ended = sum(one.recv(1) == b"" for one in sockets)
    return {
        "open": len(sockets),
        "opened": opened,
        "right": right,
        "ended": ended,
        "seconds": time.monotonic() - begun,
    }


def short(where: tuple[str, int], count: int, size: int) -> dict[str, Any]:
    begun = time.monotonic()
    right = 0
    for number in range(count):
        message = number.to_bytes(4, "big") * (size // 4)
        with socket.create_connection(where, 30) as one:
            one.sendall(message)
            # Either side is the first to close, so that TIME-WAIT is on either.
            if number & 1:
                one.shutdown(socket.SHUT_WR)
            back = b""
            while len(back) < len(message) and (part := one.recv(65536)):
                back += part
            right += back == message and (number & 1 == 0 or one.recv(1) == b"")
    return {"right": right, "seconds": time.monotonic() - begun}


def main() -> None:
    command, host, port, count, number = sys.argv[1:]
    commands = {"swap": swap, "serve": serve, "echo": echo, "short": short}
    result = commands[command]((host, int(port)), int(count), int(number))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
