"""MicroPython's own `requests`, unmodified, on the stack: http and https."""

import contextlib
import hashlib
import http.server
import ssl
import threading
from collections.abc import Iterator

from tests.host.board import GATEWAY, Board, board
from tests.host.certificate import Certificate, certificate

__all__ = ["board", "certificate"]

PAGE = bytes(i * 7 & 0xFF for i in range(200_000))


class Handler(http.server.BaseHTTPRequestHandler):
    """GET gives the page, /moved leads to it, POST and PUT give back what they were sent."""

    def _reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path == "/moved":
            # MicroPython's requests wants it absolute, and names no port in Host.
            scheme = "https" if isinstance(self.connection, ssl.SSLSocket) else "http"
            port = self.connection.getsockname()[1]
            self._reply(302, b"", Location=f"{scheme}://{GATEWAY}:{port}/page")
        elif self.path == "/page":
            self._reply(200, PAGE)
        elif self.path == "/json":
            self._reply(200, b'{"a": [1, 2, "three"]}')
        else:
            self._reply(404, b"no such page")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._reply(200, self.command.encode() + b" " + body)

    do_PUT = do_POST

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server on this computer's loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


SCRIPT = """
    import hashlib, requests, sys

    url = sys.argv[1]
    r = requests.get(url + "/page")
    print(r.status_code, hashlib.sha256(r.content).digest().hex())
    r.close()
    print(requests.get(url + "/json").json())
    r = requests.get(url + "/nothing")
    print(r.status_code, r.text)
    r = requests.post(url + "/", json={"n": 1})
    print(r.text)
    print(len(requests.put(url + "/", data=b"x" * 50000).content))
    for i in range(10):
        requests.get(url + "/json").close()
    print(requests.get(url + "/moved").content == requests.get(url + "/page").content)
"""
SAID = [
    f"200 {hashlib.sha256(PAGE).hexdigest()}",
    "{'a': [1, 2, 'three']}",
    "404 no such page",
    'POST {"n": 1}',
    str(len("PUT ") + 50000),
    "True",
]


def test_http(board: Board) -> None:
    with serving() as port:
        said = board.run(SCRIPT, f"http://{GATEWAY}:{port}")
    assert said.splitlines()[-len(SAID) :] == SAID


def test_no_such_name(board: Board) -> None:
    said = board.run("""
        import requests

        try:
            requests.get("http://no-such-name.invalid/")
        except OSError as e:
            print(e.errno)
    """)
    assert said.splitlines()[-1] == "-2"


def test_https(board: Board, certificate: Certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.pem, certificate.key)
    with serving(context) as port:
        said = board.run(SCRIPT, f"https://{GATEWAY}:{port}")
    assert said.splitlines()[-len(SAID) :] == SAID


def test_nobody_there(board: Board) -> None:
    said = board.run(
        """
        import errno, requests

        try:
            requests.get("http://10.77.0.1:1/")
        except OSError as e:
            print(errno.errorcode[e.errno])
        """
    )
    assert said.splitlines()[-1] == "ECONNREFUSED"
