"""What boards do, second by second: the figures of `viperip monitor`."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from viperip_host.capture import check_board
from viperip_host.connection import BAUDRATE, connect
from viperip_host.errors import HostError
from viperip_host.session import Session

_TICKS = 1 << 30


def rates(before: dict[str, Any] | None, now: dict[str, Any]) -> dict[str, float]:
    """Bits and frames a second between two answers of a board, over all its interfaces."""
    zero = dict.fromkeys(("rx_bps", "tx_bps", "rx_fps", "tx_fps"), 0.0)
    if before is None:
        return zero
    seconds = (now["ms"] - before["ms"]) % _TICKS / 1000
    if not 0 < seconds < 3600:
        return zero
    old = {row["if"]: row for row in before["interfaces"]}
    grown = dict.fromkeys(("rx_bytes", "tx_bytes", "rx_frames", "tx_frames"), 0)
    for row in now["interfaces"]:
        for name in grown:
            # The board's counters wrap at 2**30.
            grown[name] += (row[name] - old.get(row["if"], row)[name]) % _TICKS
    return {
        "rx_bps": grown["rx_bytes"] * 8 / seconds,
        "tx_bps": grown["tx_bytes"] * 8 / seconds,
        "rx_fps": grown["rx_frames"] / seconds,
        "tx_fps": grown["tx_frames"] / seconds,
    }


@dataclass
class Watched:
    """A board under watch, in a thread of its own."""

    port: str
    script: str | None
    interval: float
    on_text: Callable[[bytes], None]
    stats: dict[str, Any] | None = None
    rates: dict[str, float] = field(default_factory=dict)
    samples: int = 0
    error: HostError | None = None
    done: bool = False
    changed: threading.Event = field(default_factory=threading.Event)
    _wanted: bool = True

    def start(self) -> None:
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self._wanted = False
        self.thread.join(12)

    def _watch(self) -> None:
        try:
            with connect(self.port) as board:
                check_board(board)
                session = Session(board, self.on_text)
                try:
                    session.start(
                        "from viperip.application.session import monitor\n"
                        f"monitor({BAUDRATE}, {self.script!r})"
                    )
                    session.tell(do="go")
                    self._follow(session)
                finally:
                    session.close()
        except HostError as error:
            self.error = error
        self.done = True
        self.changed.set()

    def _follow(self, session: Session) -> None:
        asked = 0.0
        while self._wanted and session.bye is None:
            if time.monotonic() - asked >= self.interval:
                asked = time.monotonic()
                session.tell(do="stats")
            session.read()
            if session.stats is not None:
                self.rates = rates(self.stats, session.stats)
                self.stats, session.stats = session.stats, None
                self.samples += 1
                self.changed.set()

    @property
    def state(self) -> str:
        """In a word or two, for the table."""
        if self.error is not None:
            return str(self.error).removeprefix(f"{self.port}: ")
        if self.done:
            return "ended"
        return "connecting" if self.stats is None else "up"

    def as_dict(self) -> dict[str, Any]:
        """The figures, for --json."""
        return {
            "port": self.port,
            "state": self.state,
            **{name: round(value, 1) for name, value in self.rates.items()},
            **(self.stats or {}),
        }
