"""A terminal of its own for a command."""

import contextlib
import os
import pty
import select
import signal
import time


class Terminal:
    """A terminal with a command on it, as a shell would start it. Close it at the end."""

    def __init__(self, *command: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)
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
