"""Run MicroPython scripts on the board that `viperip sim` starts, and talk to it meanwhile."""

import contextlib
import socket
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.command import VIPERIP, viperip
from tests.net.netns import Running
from viperip_host.testing.targets import all_targets

GATEWAY = "10.77.0.1"  # to the board, this computer's loopback
TARGETS = ("unix", "unix32")


def interpreter(target: str) -> list[str]:
    """The option that gives `sim` the interpreter of a target; skips the test without it."""
    one = all_targets()[target]
    found = one.interpreter()
    if found is None:
        pytest.skip(f"{one.about}: {one.missing}")
    return ["--micropython", str(found.path)]


class Board:
    """`viperip sim` with the interpreter of one target; its scripts lie in a folder."""

    def __init__(self, folder: Path, target: str) -> None:
        self.folder = folder
        self.target = target
        self.options = interpreter(target)

    def _script(self, text: str) -> str:
        path = self.folder / "script.py"
        path.write_text(textwrap.dedent(text))
        return str(path)

    def run(self, text: str, *arguments: object, options: tuple[str, ...] = ()) -> str:
        """Run a script to its end; what it printed. AssertionError unless it ended well."""
        command = [*self.options, *options, self._script(text), *map(str, arguments)]
        done = viperip("sim", *command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextlib.contextmanager
    def running(self, text: str, *arguments: object, forward: str = "") -> Iterator[Running]:
        """A script that runs meanwhile. forward: "HOSTPORT:PORT", how this computer reaches it."""
        options = ["--forward", forward] if forward else []
        command = [*self.options, *options, self._script(text), *map(str, arguments)]
        one = Running([*VIPERIP, "sim", *command])
        try:
            yield one
        finally:
            one.stop()


@pytest.fixture(params=TARGETS)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Board:
    """A board of each word size."""
    return Board(tmp_path, request.param)


def free_port() -> int:
    """A TCP port of this computer's loopback that nobody has at the moment."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_for_port(port: int, seconds: float = 20.0) -> None:
    """Wait until something listens on the port of this computer's loopback."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def fetch(url: str, seconds: float = 40.0) -> bytes:
    """What a page holds, as soon as somebody serves it."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as page:
                body: bytes = page.read()
                return body
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
