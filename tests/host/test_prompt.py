"""`viperip sim -i` at a terminal: Ctrl-C belongs to the prompt, Ctrl-D ends it."""

import contextlib
import os
import pty
import select
import signal
import time
from collections.abc import Iterator

import pytest

from tests.host.command import VIPERIP, alive

PROMPT = b">>> "
CTRL_C, CTRL_D = b"\x03", b"\x04"


class Terminal:
    """A terminal with the command on it, as a shell would start it."""

    def __init__(self, *command: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(command[0], command)
        self.seen = b""

    def type(self, text: bytes) -> None:
        self.seen = b""
        os.write(self.fd, text)

    def expect(self, text: bytes, seconds: float = 20.0) -> None:
        """Read until TEXT has come. AssertionError with what came instead."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, end - time.monotonic()))
            data = b""
            if ready:
                with contextlib.suppress(OSError):  # EIO: everybody has closed the other end
                    data = os.read(self.fd, 4096)
            assert data, f"no {text!r}; the terminal shows {self.seen!r}"
            self.seen += data

    def status(self, seconds: float = 20.0) -> int:
        """The exit status of the command."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            # A terminal nobody reads holds its writers up.
            if select.select([self.fd], [], [], 0.02)[0]:
                with contextlib.suppress(OSError):
                    os.read(self.fd, 4096)
        raise AssertionError(f"it did not end within {seconds:g} s")

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def prompt() -> Iterator[Terminal]:
    terminal = Terminal(*VIPERIP, "sim", "-i")
    try:
        terminal.expect(PROMPT)
        yield terminal
    finally:
        terminal.close()


def test_a_line_is_run(prompt: Terminal) -> None:
    prompt.type(b"print('answer', 6 * 7)\r")
    prompt.expect(b"answer 42")
    prompt.expect(PROMPT)


def test_ctrl_c_ends_the_command_and_not_the_prompt(prompt: Terminal) -> None:
    prompt.type(b"import time\r")
    prompt.expect(PROMPT)
    prompt.type(b"print('wait' + 'ing'); time.sleep(60)\r")
    prompt.expect(b"waiting")
    prompt.type(CTRL_C)
    prompt.expect(b"KeyboardInterrupt")
    prompt.expect(PROMPT)
    prompt.type(b"print('still', 'here')\r")
    prompt.expect(b"still here")


def test_ctrl_d_ends_it_with_0(prompt: Terminal) -> None:
    prompt.type(CTRL_D)
    assert prompt.status() == 0


def test_sigterm_ends_it(prompt: Terminal) -> None:
    pid = prompt.pid
    os.kill(pid, signal.SIGTERM)
    assert prompt.status() == 128 + signal.SIGTERM
    assert not alive(pid)
