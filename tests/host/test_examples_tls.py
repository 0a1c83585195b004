"""The examples over TLS, against OpenSSL, curl and CPython, and against whoever breaks off."""

import base64
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.board import GATEWAY, free_port
from tests.host.certificate import NAME, Certificate, certificate
from tests.host.command import VIPERIP
from tests.host.test_examples_clients import Done, example, talking
from tests.host.test_requests import PAGE, serving
from tests.host.test_tls import openssl_server
from tests.net.netns import Running

__all__ = ["certificate"]

FOLDER = Path(__file__).parents[2] / "firmware" / "examples"
BOARD = "board.test"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def trusted(tmp_path: Path) -> Path:
    """The certificate in https_server.py, as PEM."""
    source = (FOLDER / "https_server.py").read_text()
    found = re.search(r'CERTIFICATE = """(.*?)"""', source, re.S)
    assert found
    path = tmp_path / "board.pem"
    path.write_text(ssl.DER_cert_to_PEM_cert(base64.b64decode(found[1])))
    return path


def started(port: int, *arguments: object) -> Running:
    script = str(FOLDER / "https_server.py")
    one = Running([*VIPERIP, "sim", "--forward", f"{port}:443", script, *map(str, arguments)])
    one.wait_for("serving on port 443")
    return one


@pytest.fixture
def server(port: int, certificate: Certificate) -> Iterator[Running]:
    one = started(port, certificate.der, certificate.key_der)
    try:
        yield one
    finally:
        one.stop()


def curl(port: int, ca: Path, name: str, path: str = "/", *options: str) -> Done:
    host = ["--connect-to", f"{name}:443:127.0.0.1:{port}", f"https://{name}{path}"]
    command = ["curl", "-sS", "-i", "--max-time", "20", "--cacert", str(ca), *options, *host]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_curl_trusts_the_board(server: Running, port: int, certificate: Certificate) -> None:
    for _ in range(3):
        done = curl(port, certificate.pem, NAME)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("HTTP/1.0 200 OK") and "Hello over TLS" in done.stdout
    assert curl(port, certificate.pem, NAME, "/no").stdout.startswith("HTTP/1.0 404")
    assert curl(port, certificate.pem, NAME, "/", "-d", "x").stdout.startswith("HTTP/1.0 404")


def test_curl_does_not_trust_another(
    server: Running, port: int, certificate: Certificate, trusted: Path
) -> None:
    assert curl(port, certificate.pem, "other.test").returncode == 60  # curl: not authenticated
    assert curl(port, trusted, NAME).returncode == 60
    assert curl(port, certificate.pem, NAME).returncode == 0


def test_openssl_verifies_the_board(server: Running, port: int, certificate: Certificate) -> None:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", NAME, "-quiet",
         "-verify_return_error", "-verify_hostname", NAME, "-CAfile", str(certificate.pem)],
        input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert b"Hello over TLS" in done.stdout, done.stderr


def test_the_certificate_that_comes_along_is_good(trusted: Path) -> None:
    words = ["openssl", "x509", "-in", str(trusted), "-noout", "-checkend", str(10**9)]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    verify = ["openssl", "verify", "-verify_hostname", BOARD, "-CAfile", str(trusted)]
    done = subprocess.run([*verify, str(trusted)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_broken_clients_do_no_harm(server: Running, port: int, certificate: Certificate) -> None:
    context = ssl.create_default_context(cafile=str(certificate.pem))
    mute = socket.create_connection(("127.0.0.1", port), 30)  # not even a handshake
    waiting = context.wrap_socket(
        socket.create_connection(("127.0.0.1", port), 30), server_hostname=NAME
    )
    waiting.sendall(b"GET / HT")  # and no more
    for nonsense in (b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x00\x05abcde", b"\x00" * 5000):
        with socket.create_connection(("127.0.0.1", port), 60) as s:
            s.sendall(nonsense)
            s.shutdown(socket.SHUT_WR)
            try:
                while s.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    for text, status in ((b"nonsense\r\n\r\n", b"400"), (b"x" * 5000, b"400"),
                         (b"GET /caf\xe9 HTTP/1.0\r\n\r\n", b"404")):  # fmt: skip
        raw = socket.create_connection(("127.0.0.1", port), 30)
        with context.wrap_socket(raw, server_hostname=NAME) as s:
            s.sendall(text)
            assert s.recv(4096).split(b" ")[1] == status, text
    assert curl(port, certificate.pem, NAME).returncode == 0  # while two still say nothing
    server.wait_for("nothing came for 5 s")
    for s in (mute, waiting):
        s.close()
    assert curl(port, certificate.pem, NAME).returncode == 0


def get(port: int, *arguments: object, path: str = "/") -> Done:
    return example("https_get", f"https://{GATEWAY}:{port}{path}", *map(str, arguments))


def test_a_page_of_openssl(certificate: Certificate, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("<p>a page</p>")
    with openssl_server(certificate, "-WWW", folder=tmp_path) as port:
        done = get(port, certificate.der, NAME, path="/page")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "b'<p>a page</p>'" in done.stdout and "not verified" not in done.stdout
        assert "not verified" in get(port, path="/page").stdout


def tls_context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.pem, certificate.key)
    return context


def test_a_page_of_cpython(certificate: Certificate) -> None:
    with serving(tls_context(certificate)) as port:
        done = get(port, certificate.der, NAME, path="/json")
        assert "HTTP/1.0 200 OK" in done.stdout and "22 bytes: " in done.stdout
        assert "HTTP/1.0 404" in get(port, certificate.der, NAME).stdout
        # More than it takes is said, not cut in silence.
        done = get(port, certificate.der, NAME, path="/page")
        assert done.stderr == f"only 100000 bytes came of {len(PAGE)}\n"


def one_line(done: Done) -> str:
    assert done.returncode == 1, done.stdout
    (line,) = done.stderr.splitlines()
    return line


def test_who_is_not_the_one_meant_is_refused(certificate: Certificate, trusted: Path) -> None:
    with serving(tls_context(certificate)) as port:
        assert "does not match" in one_line(get(port, certificate.der, "other.test"))
        other = trusted.with_suffix(".der")
        other.write_bytes(ssl.PEM_cert_to_DER_cert(trusted.read_text()))
        assert "not correctly signed" in one_line(get(port, other, NAME))


def test_what_is_no_certificate(certificate: Certificate, tmp_path: Path) -> None:
    for file in (certificate.pem, tmp_path / "none"):
        assert one_line(get(free_port(), file, NAME)).startswith(f"{file}: ")


def test_who_does_not_speak_tls_is_refused(certificate: Certificate) -> None:
    with serving() as port:
        assert one_line(get(port, certificate.der, NAME))
    assert "ECONNREFUSED" in one_line(get(free_port(), certificate.der, NAME))
    with talking(lambda s: None) as port:
        assert one_line(get(port, certificate.der, NAME))


BROKEN = {
    "vanishes": b"",
    "is no web server": b"220 mail.example.com\r\n",
    "vanishes in its headers": b"HTTP/1.0 200 OK\r\nContent-Le",
    "has no end of headers": b"HTTP/1.0 200 OK\r\n" + b"X: y\r\n" * 2000,
    "lies about the length": b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    "has no number": b"HTTP/1.0 200 OK\r\nContent-Length: many\r\n\r\n",
    "speaks Latin-1": b"HTTP/1.0 200 caf\xe9\r\n\r\n",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_server_that(certificate: Certificate, what: str) -> None:
    context = tls_context(certificate)

    def talk(raw: socket.socket) -> None:
        with context.wrap_socket(raw, server_side=True) as s:
            s.recv(4096)
            s.sendall(BROKEN[what])

    with talking(talk) as port:
        assert one_line(get(port, certificate.der, NAME))
