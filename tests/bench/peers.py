"""The Linux side of a measurement, a process of its own: peers.py WHAT HOST ... prints JSON.

    echo HOST PORT COUNT [FIRST]   {"ms": [...]} round trips of one byte, in milliseconds
    page HOST PORT COUNT FILE      {"ms": [...]} from connect to the end of the response, in
                                   milliseconds; the first response is written to FILE
    in HOST PORT SIZE              {"mbit_s": x} SIZE bytes to HOST, until HOST has read them all
    out HOST PORT SIZE             {"mbit_s": x} SIZE bytes from HOST

Mbit/s are 10^6 bits of payload per second. Hashing is not in the time. Exit status 1 when a hash
or a byte is wrong.
"""

import hashlib
import json
import socket
import sys
import time

SECONDS = 120.0  # the longest that anything may take
BLOCK = 16381  # bytes


def stream(size: int) -> bytes:
    """What a transfer of SIZE bytes consists of: one block, repeated."""
    block = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(512))[:BLOCK]
    return (block * (size // BLOCK + 1))[:size]


def connected(host: str, port: int) -> socket.socket:
    """A connection without Nagle's delay; tries for 10 s."""
    end = time.monotonic() + 10
    while True:
        try:
            made = socket.create_connection((host, port), 5)
            break
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
    made.settimeout(SECONDS)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def exactly(s: socket.socket, n: int) -> bytes:
    """N bytes. SystemExit when the stream ends before."""
    data = bytearray()
    while len(data) < n:
        part = s.recv(n - len(data))
        if not part:
            sys.exit(f"the stream ended after {len(data)} of {n} bytes")
        data += part
    return bytes(data)


def echo(host: str, port: int, count: int, first: bytes) -> dict[str, list[float]]:
    """Round trips in milliseconds, after 20 that do not count."""
    times = []
    with connected(host, port) as s:
        s.sendall(first)
        for number in range(-20, count):
            byte = bytes([number & 0xFF])
            begun = time.perf_counter()
            s.sendall(byte)
            back = s.recv(16)
            took = time.perf_counter() - begun
            if back != byte:
                sys.exit(f"echo: sent {byte!r}, got {back!r}")
            if number >= 0:
                times.append(took * 1000)
    return {"ms": times}


def fetch(host: str, port: int) -> bytes:
    """The whole response to GET /."""
    with connected(host, port) as s:
        s.sendall(b"GET / HTTP/1.0\r\nHost: %s\r\n\r\n" % host.encode())
        parts = []
        while part := s.recv(65536):
            parts.append(part)
    return b"".join(parts)


def page(host: str, port: int, count: int, path: str) -> dict[str, list[float]]:
    """Milliseconds per page, each on a connection of its own, after 2 that do not count."""
    first = fetch(host, port)
    if not first.startswith(b"HTTP/1.") or b" 200 " not in first[:16]:
        sys.exit(f"no page: {first[:60]!r}")
    with open(path, "wb") as file:
        file.write(first)
    times = []
    for number in range(-1, count):
        begun = time.perf_counter()
        body = fetch(host, port)
        took = time.perf_counter() - begun
        if body != first:
            sys.exit(f"the page changed: {len(first)} bytes, then {len(body)}")
        if number >= 0:
            times.append(took * 1000)
    return {"ms": times}


def transfer_in(host: str, port: int, size: int) -> dict[str, float]:
    """Mbit/s of SIZE bytes, from the first sent until the other has read the last."""
    data = stream(size)
    with connected(host, port) as s:
        s.sendall(b"I")
        begun = time.perf_counter()
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        exactly(s, 1)
        took = time.perf_counter() - begun
        if exactly(s, 32) != hashlib.sha256(data).digest():
            sys.exit("in: the hashes differ")
    return {"mbit_s": size * 8 / took / 1e6}


def transfer_out(host: str, port: int, size: int) -> dict[str, float]:
    """Mbit/s of SIZE bytes, from the byte that asks for them until the last has come."""
    data = bytearray(size)
    view = memoryview(data)
    with connected(host, port) as s:
        s.sendall(b"O")
        time.sleep(0.5)  # the other hashes what it will send
        begun = time.perf_counter()
        s.sendall(b"g")
        n = 0
        while n < size:
            got = s.recv_into(view[n:])
            if not got:
                sys.exit(f"out: the stream ended after {n} of {size} bytes")
            n += got
        took = time.perf_counter() - begun
        if exactly(s, 32) != hashlib.sha256(data).digest() or data != stream(size):
            sys.exit("out: the hashes differ")
    return {"mbit_s": size * 8 / took / 1e6}


def main(what: str, host: str, port: str, amount: str, *rest: str) -> None:
    """Measure, print."""
    where = (host, int(port), int(amount))
    if what == "echo":
        found: object = echo(*where, "".join(rest).encode())
    elif what == "page":
        found = page(*where, rest[0])
    elif what == "in":
        found = transfer_in(*where)
    else:
        found = transfer_out(*where)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
