"""The demo board as seen from the host: its URL, the first fetch of its page, what to try next."""

import http.client
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from viperip_host.errors import FAILURE, OK
from viperip_host.process import now, unread

# With RUN_SECONDS, how long the page may take to come up before the run has failed, in seconds.
PATIENCE = 60.0
FETCH_TIMEOUT = 15.0
CLOSING_TIME = 0.4
BOARD_PORT = 80


@dataclass(frozen=True)
class DemoTexts:
    """What there is to tell."""

    interpreter: str
    board: str
    link: str
    capture: str | None
    host_port: int | None  # the port of 127.0.0.1 that leads to the page; None: no forward
    taken_port: int | None  # the usual port, when it was taken


class Demo:
    """Follows the demo board's events and says when the run is over."""

    def __init__(
        self, texts: DemoTexts, run_seconds: float | None, wake: Callable[[], None]
    ) -> None:
        self.texts = texts
        self.run_seconds = run_seconds
        self._wake = wake
        self._started = now()
        self._served: float | None = None
        self._fetch_failed = False
        self._unread = False
        self._seen_listen = False
        self._board_ip: str | None = None
        self._bold = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def introduce(self) -> None:
        """The first lines: who runs, on what wire."""
        threading.Thread(target=self._watch_reader, daemon=True).start()
        self._say(self.texts.interpreter)
        self._say(f"{self.texts.board}; {self.texts.link}")
        if self.texts.taken_port:
            self._say(
                f"port {self.texts.taken_port} is taken; using {self.texts.host_port} instead"
            )

    def on_event(self, who: str, event: dict[str, Any]) -> None:
        """A line of the control pipe of WHO ("board" or "gateway")."""
        if who != "board":
            return
        if event.get("event") == "up":
            self._board_ip = event.get("ip")
        if event.get("event") == "listen" and event.get("port") == BOARD_PORT:
            self._on_listen()

    def _on_listen(self) -> None:
        if self._seen_listen:
            return
        self._seen_listen = True
        url = self._url()
        self._say(f"the board serves its page on {self._strong(url)}")
        if self.texts.host_port is None:
            # Whether this computer can reach the board is not known on such a link.
            self._served = now()
            self._next_steps(url)
        else:
            threading.Thread(target=self._fetch, args=(url,), daemon=True).start()

    def _url(self) -> str:
        if self.texts.host_port is not None:
            return f"http://127.0.0.1:{self.texts.host_port}/"
        return f"http://{self._board_ip or 'BOARD'}/"

    def _fetch(self, url: str) -> None:
        """Fetch the page once, as a first visitor. Runs in a thread of its own."""
        try:
            size = fetch(url)
        except OSError as error:
            self._say(f"the first fetch of the page failed: {error}")
            self._fetch_failed = True
        else:
            self._served = now()
            # The board still prints the connection's last segments.
            time.sleep(CLOSING_TIME)
            self._say(f"the page came whole: {size} bytes")
        self._next_steps(url)
        self._wake()

    def _next_steps(self, url: str) -> None:
        self._say("try next:")
        self._say(f"  curl {url}")
        if self.texts.capture:
            path = short(self.texts.capture)
            self._say(f"  wireshark {path}    (or: tshark -r {path}; it grows while this runs)")
        self._say("  Ctrl-C to stop")

    def unread(self) -> bool:
        """Whether nobody reads the lines any more: `make run | head` has enough."""
        return self._unread or unread(sys.stdout.fileno())

    def _watch_reader(self) -> None:
        if unread(sys.stdout.fileno(), None):
            self._wake()

    def seconds_left(self) -> float | None:
        """Until finished() may change by time alone; None: not at all."""
        if self.run_seconds is None:
            return None
        return max(0.0, self._end() - now())

    def _end(self) -> float:
        if self._served is None:
            return self._started + PATIENCE
        return self._served + (self.run_seconds or 0)

    def finished(self) -> int | None:
        """The exit status when the run is over, else None: by RUN_SECONDS, or nobody reads."""
        if self.unread():
            return OK
        if self.run_seconds is None:
            return None
        if self._fetch_failed:
            return FAILURE
        if now() < self._end():
            return None
        if self._served is None:
            self._say(f"the page was not served within {PATIENCE:.0f} s")
            return FAILURE
        return OK

    def _say(self, line: str) -> None:
        # One write a line: the board writes to the same terminal.
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self._unread = True
            # What is left in the buffer has to go somewhere at the exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._wake()

    def _strong(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self._bold else text


def short(path: str) -> str:
    """The absolute PATH as it is typed from here, if it lies below."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def fetch(url: str) -> int:
    """GET the page; its size in bytes. OSError when it cannot be had within FETCH_TIMEOUT."""
    # A proxy of the environment has no way to this computer's loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = now() + FETCH_TIMEOUT
    while True:
        try:
            with opener.open(url, timeout=FETCH_TIMEOUT) as reply:
                return len(reply.read())
        except urllib.error.URLError as error:
            # The gateway may open its port a moment after the board does.
            refused = isinstance(error.reason, ConnectionRefusedError)
            if not refused or now() > end:
                raise OSError(str(error.reason)) from None
            time.sleep(0.05)
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP answer ({error!r})") from None
