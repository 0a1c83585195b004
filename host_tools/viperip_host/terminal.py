"""The terminal of a command that shows a board: Ctrl-C, and lines for the board."""

import contextlib
import signal
import sys
import threading

from viperip_host.errors import HostError
from viperip_host.session import Session


class Stop:
    """`wanted` is set by Ctrl-C, SIGTERM and SIGHUP; a second one ends the process."""

    def __init__(self) -> None:
        self.wanted = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._caught)

    def _caught(self, number: int, frame: object) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True


def forward_lines(session: Session) -> None:
    """Have lines that are typed here run on the board, as long as the session lasts."""

    def forward() -> None:
        with contextlib.suppress(HostError, OSError, ValueError):
            for line in sys.stdin.buffer:
                session.type(line)

    if sys.stdin is not None:
        threading.Thread(target=forward, daemon=True).start()
