"""Child processes that never outlive this one, and the signals that end them all."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_PR_SET_PDEATHSIG = 1

# How long a child may take to end by itself before the next, harder signal, in seconds.
GRACE = 2.0


def die_with_parent() -> Callable[[], None] | None:
    """What a child runs first so that it is killed when this process dies; None off Linux."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def first() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have died before the call took effect.
        if os.getppid() != parent:
            os._exit(1)

    return first


@dataclass
class Child:
    """A started process."""

    name: str  # for people
    popen: "subprocess.Popen[bytes]"

    @property
    def ended(self) -> bool:
        return self.popen.poll() is not None

    def send(self, number: int) -> None:
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                self.popen.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within SECONDS."""
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def reason(self) -> str:
        """How it ended, for people."""
        status = self.popen.returncode
        if status is not None and status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        return f"ended with status {status}"


def start(
    name: str,
    command: Sequence[str],
    environment: dict[str, str],
    fds: Sequence[int],
    foreground: bool,
    stdio: tuple[int, int] | None = None,
) -> Child:
    """Start COMMAND with the descriptors FDS inherited under their numbers.

    In the foreground it shares this process's terminal and gets its Ctrl-C; otherwise it has
    neither. stdio: descriptors for its standard input, and for output and errors. The environment
    is this process's with ENVIRONMENT on top.
    """
    stdin = stdio[0] if stdio else None if foreground else subprocess.DEVNULL
    popen = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        pass_fds=tuple(fds),
        stdin=stdin,
        stdout=stdio[1] if stdio else None,
        stderr=stdio[1] if stdio else None,
        process_group=None if foreground else 0,
        preexec_fn=die_with_parent(),
    )
    return Child(name, popen)


def stop(child: Child, signals: Sequence[int]) -> None:
    """End CHILD: each signal in turn, GRACE seconds after the one before; last SIGKILL."""
    for number in signals:
        child.send(number)
        if child.wait(GRACE):
            return
    child.send(signal.SIGKILL)
    child.wait(GRACE)


class Watchdog:
    """Kills the children when this process dies, where the kernel has no such service."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._popen: subprocess.Popen[bytes] | None = None
        if sys.platform.startswith("linux"):
            return
        pids = " ".join(str(child.popen.pid) for child in children)
        # `read` returns when the pipe's other end, which only this process holds, is closed.
        self._popen = subprocess.Popen(
            ["/bin/sh", "-c", f'read line; [ -n "$line" ] || kill -9 {pids} 2>/dev/null'],
            stdin=subprocess.PIPE,
            process_group=0,
        )

    def dismiss(self) -> None:
        """The children have ended; leave without killing anybody."""
        if self._popen and self._popen.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._popen.stdin.write(b"done\n")
                self._popen.stdin.close()
            self._popen.wait()


class Signals:
    """Signals as bytes on a descriptor that a selector can watch."""

    CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)

    def __init__(self) -> None:
        self.fd, self._write = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write, False)
        self._before = {number: signal.signal(number, self._caught) for number in self.CAUGHT}
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    @staticmethod
    def _caught(number: int, frame: object) -> None:
        """Nothing to do here: the interpreter has written the number to the pipe."""

    def wake(self) -> None:
        """Wake the selector from another thread."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b"\0")

    def pending(self) -> Iterator[int]:
        """The signals that came since the last call; 0 stands for wake()."""
        with contextlib.suppress(BlockingIOError):
            yield from os.read(self.fd, 512)

    def close(self) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self.fd)
        os.close(self._write)


@contextlib.contextmanager
def terminal_restored() -> Iterator[None]:
    """Give the terminal back as it was, whatever a child did to it."""
    if not sys.stdin or sys.stdin.closed or not sys.stdin.isatty():
        yield
        return
    import termios

    fd = sys.stdin.fileno()
    saved = termios.tcgetattr(fd)
    try:
        yield
    finally:
        # Without this, a process in the background is stopped by the call.
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(fd, termios.TCSADRAIN, saved)
        signal.signal(signal.SIGTTOU, before)


def unread(fd: int, seconds: float | None = 0) -> bool:
    """Whether whoever read from FD has gone, as in `| head`; wait for it, None: for ever."""
    poll = select.poll()
    poll.register(fd, 0)  # POLLERR and POLLHUP are told of unasked
    events = poll.poll(None if seconds is None else seconds * 1000)
    return any(flags & (select.POLLERR | select.POLLHUP) for _, flags in events)


def now() -> float:
    """Seconds on a clock that never jumps."""
    return time.monotonic()
