"""The clients among the examples, against real servers on this computer and broken ones."""

import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.host.board import GATEWAY, free_port
from tests.host.command import viperip

FOLDER = Path(__file__).parents[2] / "firmware" / "examples"
HERE = "127.0.0.1"

Done = subprocess.CompletedProcess[str]


def example(name: str, *arguments: str) -> Done:
    """A run of the example to its end."""
    return viperip("sim", str(FOLDER / f"{name}.py"), *arguments)


class Mailbox:
    """What aiosmtpd's server does with a mail: it keeps it. Nobody else's is taken."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address != "you@example.com":
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.mails.append(envelope)
        return "250 kept"


@contextlib.contextmanager
def mail_server() -> Iterator[tuple[Mailbox, int]]:
    mailbox = Mailbox()
    port = free_port()
    controller = Controller(mailbox, hostname=HERE, port=port)
    controller.start()
    try:
        yield mailbox, port
    finally:
        controller.stop()


def mail(port: int, to: str = "you@example.com") -> Done:
    return example("smtp_send", f"{GATEWAY}:{port}", "board@example.com", to)


def test_a_mail_arrives_at_aiosmtpd() -> None:
    with mail_server() as (mailbox, port):
        done = mail(port)
    assert done.returncode == 0, done.stdout + done.stderr
    (one,) = mailbox.mails
    assert one.mail_from == "board@example.com"
    assert one.mail_options == ["BODY=8BITMIME"]
    assert one.rcpt_tos == ["you@example.com"]
    assert isinstance(one.content, bytes)
    head, _, text = one.content.decode().partition("\r\n\r\n")
    assert "Subject: From a board\r\n" in head
    # The dot that was doubled on the way is single again.
    assert text == (
        "The kettle is on: 100 \u00b0C.\r\n"
        ".This line begins with a dot, which is doubled on its way.\r\n"
    )


def test_a_mail_that_nobody_wants() -> None:
    with mail_server() as (mailbox, port):
        done = mail(port, "nobody@example.com")
    assert done.returncode == 1
    assert done.stderr == "not sent: 550 no such mailbox\n"
    assert not mailbox.mails


@contextlib.contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that does `talk` on each connection, and then closes it."""

    def one(s: socket.socket) -> None:
        with s, contextlib.suppress(OSError):
            talk(s)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                s, _ = server.accept()
                threading.Thread(target=one, args=(s,), daemon=True).start()

    with socket.create_server((HERE, 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


BROKEN_MAIL = {
    "closes at once": (b"", "the server has gone"),
    "is busy": (b"421 come back later\r\n", "421 come back later"),
    "is no mail server": (b"HTTP/1.1 400 Bad Request\r\n", "this is no reply of SMTP: HTTP"),
    "speaks Latin-1": (b"220 caf\xe9\r\n", "this is no reply of SMTP: b'220 caf"),
    "stops in a reply": (b"220 hello\r\n250-one\r\n250-tw", "the server has gone"),
    "has no end": (b"220-more\r\n" * 1000, "220-more"),
    "has a line without end": (b"220-" + b"x" * 100_000, "this is no reply of SMTP: xxxx"),
    "takes ASCII only": (b"220 hello\r\n250 OK\r\n", "the server takes ASCII only"),
    "vanishes": (b"220 hello\r\n250-x\r\n250 8bitmime\r\n250 OK\r\n250 OK\r\n354 go on\r\n",
                 "the server has gone"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN_MAIL)
def test_a_mail_server_that(what: str) -> None:
    words, why = BROKEN_MAIL[what]

    def talk(s: socket.socket) -> None:
        s.sendall(words)
        s.shutdown(socket.SHUT_WR)
        while s.recv(4096):
            pass

    with talking(talk) as port:
        done = mail(port)
    assert done.returncode == 1, done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("not sent: ") and why in line


def test_no_mail_server() -> None:
    done = mail(free_port())
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("not sent: ") and "ECONNREFUSED" in line
