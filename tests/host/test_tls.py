"""TLS on the stack's sockets: a client of OpenSSL's server, a server for real clients."""

import contextlib
import hashlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.board import GATEWAY, Board, board, free_port, wait_for_port
from tests.host.certificate import NAME, Certificate, certificate

__all__ = ["board", "certificate"]

BODY = bytes(i * 7 & 0xFF for i in range(300_000))


@contextlib.contextmanager
def openssl_server(certificate: Certificate, *more: str, folder: Path) -> Iterator[int]:
    """The port of `openssl s_server` on this computer's loopback."""
    port = free_port()
    files = ["-cert", str(certificate.pem), "-key", str(certificate.key)]
    with subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", *files, "-quiet", *more],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        cwd=folder,
    ) as server:  # fmt: skip
        try:
            wait_for_port(port)
            yield port
        finally:
            server.kill()


CLIENT = """
    import asyncio, socket, sys, tls

    host, port, name, certificate = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    with open(certificate, "rb") as f:
        context.load_verify_locations(f.read())
"""
BLOCKING = """
    for timeout in None, 10:
        s = socket.socket()
        s.connect((host, port))
        s.settimeout(timeout)
        t = context.wrap_socket(s, server_hostname=name)
        for text in b"hello", b"x" * 5000:
            t.write(text + b"\\n")
            assert t.readline() == bytes(reversed(text)) + b"\\n"
        t.close()
    print("done")
"""
ASYNCIO = """
    async def client():
        r, w = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
        for text in b"hello", b"x" * 5000:
            w.write(text + b"\\n")
            await w.drain()
            assert await r.readline() == bytes(reversed(text)) + b"\\n"
        w.close()
        await w.wait_closed()
        print("done")

    asyncio.run(client())
"""


@pytest.mark.parametrize("how", [BLOCKING, ASYNCIO], ids=["blocking", "asyncio"])
def test_client_of_openssl(
    board: Board, certificate: Certificate, tmp_path: Path, how: str
) -> None:
    with openssl_server(certificate, "-rev", folder=tmp_path) as port:
        said = board.run(CLIENT + how, GATEWAY, port, NAME, certificate.der)
    assert said.splitlines()[-1] == "done"


def test_a_wrong_name_is_refused(board: Board, certificate: Certificate, tmp_path: Path) -> None:
    text = """
    s = socket.socket()
    s.connect((host, port))
    try:
        context.wrap_socket(s, server_hostname=name)
    except (OSError, ValueError) as e:
        print("refused")
    """
    with openssl_server(certificate, "-rev", folder=tmp_path) as port:
        said = board.run(CLIENT + text, GATEWAY, port, "other.test", certificate.der)
    assert said.splitlines()[-1] == "refused"


DOWNLOAD = """
    async def client():
        from hashlib import sha256
        r, w = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
        w.write(b"GET /body HTTP/1.0\\r\\n\\r\\n")
        await w.drain()
        while (await r.readline()).strip():
            pass
        # asyncio over MicroPython's tls may miss the end of the stream, over any socket.
        h = sha256()
        left = int(sys.argv[5])
        while left:
            d = await r.read(4096)
            h.update(d)
            left -= len(d)
        print(h.digest().hex())

    asyncio.run(client())
"""


def test_a_long_body(board: Board, certificate: Certificate, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(BODY)
    with openssl_server(certificate, "-WWW", folder=tmp_path) as port:
        said = board.run(CLIENT + DOWNLOAD, GATEWAY, port, NAME, certificate.der, len(BODY))
    assert said.splitlines()[-1] == hashlib.sha256(BODY).hexdigest()


SERVER = """
    import asyncio, socket, sys, tls

    context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
    with open(sys.argv[1], "rb") as f:
        key = f.read()
    with open(sys.argv[2], "rb") as f:
        context.load_cert_chain(f.read(), key)
    head = b"HTTP/1.0 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n"
"""
BLOCKING_SERVER = """
    s = socket.socket()
    s.bind(("0.0.0.0", 443))
    s.listen(8)
    print("serving")
    while True:
        c, _ = s.accept()
        try:
            t = context.wrap_socket(c, server_side=True)
            n = 0
            while True:
                line = t.readline()
                if line.lower().startswith(b"content-length:"):
                    n = int(line[15:])
                if not line.strip():
                    break
            body = t.read(n)
            t.write(head % n)
            t.write(body)
            t.close()
        except OSError as e:
            print("lost", e)
            c.close()
"""
ASYNCIO_SERVER = """
    async def serve(r, w):
        n = 0
        while True:
            line = await r.readline()
            if line.lower().startswith(b"content-length:"):
                n = int(line[15:])
            if not line.strip():
                break
        body = await r.readexactly(n)
        w.write(head % n)
        w.write(body)
        await w.drain()
        w.close()
        await w.wait_closed()

    async def main():
        s = await asyncio.start_server(serve, "0.0.0.0", 443, ssl=context)
        print("serving")
        await s.wait_closed()

    asyncio.run(main())
"""


def post(port: int, certificate: Certificate, body: bytes) -> bytes:
    """POST over CPython's TLS; the body of the reply."""
    context = ssl.create_default_context(cafile=str(certificate.pem))
    raw = socket.create_connection(("127.0.0.1", port), 30)
    with context.wrap_socket(raw, server_hostname=NAME) as s:
        s.sendall(b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        parts = []
        with contextlib.suppress(ssl.SSLEOFError, ConnectionResetError):
            while part := s.recv(65536):
                parts.append(part)
    return b"".join(parts).partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("how", [BLOCKING_SERVER, ASYNCIO_SERVER], ids=["blocking", "asyncio"])
def test_server_for_real_clients(
    board: Board, certificate: Certificate, tmp_path: Path, how: str
) -> None:
    port = free_port()
    files = (certificate.key_der, certificate.der)
    with board.running(SERVER + how, *files, forward=f"{port}:443") as sim:
        sim.wait_for("serving")
        for n in 1, 100, 50_000:
            assert post(port, certificate, BODY[:n]) == BODY[:n], sim.output
        (tmp_path / "body").write_bytes(BODY[:20_000])
        done = subprocess.run(
            ["curl", "-sS", "--max-time", "30", "--cacert", certificate.pem,
             "--resolve", f"{NAME}:{port}:127.0.0.1", "--data-binary", f"@{tmp_path}/body",
             f"https://{NAME}:{port}/"],
            capture_output=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout == BODY[:20_000]


def test_asyncio_server_for_many_clients(board: Board, certificate: Certificate) -> None:
    port = free_port()
    got: list[bytes] = []

    def one(i: int) -> None:
        got.append(post(port, certificate, bytes([i]) * 5000))

    files = (certificate.key_der, certificate.der)
    with board.running(SERVER + ASYNCIO_SERVER, *files, forward=f"{port}:443") as sim:
        sim.wait_for("serving")
        threads = [threading.Thread(target=one, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
    assert sorted(got) == [bytes([i]) * 5000 for i in range(8)]
