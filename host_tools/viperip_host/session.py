"""A board that shares its serial line between records and text: the host's end of a session.

The board's end is firmware/viperip/application/session.py, started in the raw REPL.
"""

import contextlib
import errno
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import serial

from viperip_host.connection import BAUDRATE, READ_SECONDS, BoardGone, Connection
from viperip_host.errors import HostError
from viperip_host.framing import CONTROL, CREDIT, Decoder, segments

# Bytes on their way to the board: the stdin ring of the ESP32 port holds 260.
WINDOW = 240
PING_SECONDS = 1.0
# A board that answers no ping for so long was reset or has crashed; or, without a timer, it is
# busy and does not poll its stack.
SILENCE_SECONDS = 10.0
_WAIT_SECONDS = 0.02  # for bytes to read
_STUCK_SECONDS = 1.0  # a window that has not moved for so long lost something
_TEXT_SECONDS = 0.05  # text whose delimiter does not come is shown after this

Handler = Callable[[bytes], None]


class SessionEnded(HostError):
    """The board's end stopped by itself: its code raised, or the board was reset."""


@dataclass
class Session:
    """One running session. Not thread safe but for send() and its callers.

    handlers: kind of record -> function of its data. on_text: what the board printed.
    """

    connection: Connection
    on_text: Callable[[bytes], None]
    handlers: dict[int, Handler] = field(default_factory=dict)
    baudrate: int = BAUDRATE
    hello: dict[str, Any] | None = None
    bye: dict[str, Any] | None = None
    counters: dict[str, Any] = field(default_factory=dict)
    stats: dict[str, Any] | None = None
    pongs: int = 0
    wire_bytes: int = 0  # read from the line since the session began

    def __post_init__(self) -> None:
        self.decoder = Decoder(self._on_record, self._on_text)
        self._number = 0
        self._sent = 0  # bytes, modulo 2**16
        self._taken = 0  # of them by the board
        self._moved = time.monotonic()  # when the window last did
        self._room = threading.Condition()
        self._lock = threading.RLock()
        self._sending = False  # a record: nothing may come between its segments
        self._pinged = 0.0
        self._heard = time.monotonic()
        self._answered = self._heard  # when the last record came
        self._speed: int | None = None
        self._tail = b""  # the last of the text: where the raw REPL says that the code has ended
        self._reader = threading.get_ident()  # the thread that calls read()
        self.closed = True  # until it is started

    # Start and end.

    def start(self, code: str, seconds: float = 15.0) -> None:
        """Run CODE, which starts the board's end, and wait until that says hello."""
        self.connection.start(code)
        self._heard = self._answered = time.monotonic()
        self.closed = False
        # Once: with RFC 2217 each change is an exchange with the far end.
        self.connection.serial.timeout = _WAIT_SECONDS
        end = time.monotonic() + seconds
        while self.hello is None:
            self.read()
            if time.monotonic() > end:
                raise HostError(
                    f"{self.connection.port}: the session did not start within {seconds:.0f} s; "
                    "reset the board and try again"
                )

    def raise_speed(self, baudrate: int) -> bool:
        """Have both ends use BAUDRATE; False: the board cannot, or nothing came through."""
        if baudrate == self.baudrate:
            return True
        self._speed = None
        self.tell(do="speed", baud=baudrate)
        if not self._until(lambda: self._speed is not None, 2.0) or not self._speed:
            return False
        usual = self.baudrate
        time.sleep(0.05)  # the board changes 20 ms after its answer
        self._set_speed(baudrate)
        heard = self.pongs
        self.ping()
        if self._until(lambda: self.pongs > heard, 1.0):
            return True
        # The board goes back by itself after a second without a word it understands.
        self._set_speed(usual)
        time.sleep(1.0)
        heard = self.pongs
        self.ping()
        if not self._until(lambda: self.pongs > heard, 3.0):
            raise HostError(
                f"{self.connection.port}: the line was lost at {baudrate} baud; reset the board "
                f"and choose --speed {usual}"
            )
        return False

    def use_speed(self, baudrate: int, command: str) -> None:
        """raise_speed(), and a line on stderr when it stays as it is."""
        if not self.raise_speed(baudrate):
            print(
                f"viperip {command}: the line stays at {self.baudrate} baud: this board cannot do "
                f"{baudrate}",
                file=sys.stderr,
            )

    def _set_speed(self, baudrate: int) -> None:
        try:
            self.connection.serial.baudrate = baudrate
        except (OSError, ValueError):
            raise HostError(
                f"{self.connection.port}: the adapter cannot do {baudrate} baud; choose another "
                "--speed"
            ) from None
        self.baudrate = baudrate

    def _until(self, done: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not done():
            self.read()
            if time.monotonic() > end:
                return False
        return True

    def stop(self, seconds: float = 8.0) -> None:
        """Interrupt what runs on the board and end the session; the board is as it was before."""
        with contextlib.suppress(HostError):
            self._write(b"\x03")
            # Twice: the first may have been lost on what was interrupted.
            for _ in range(2):
                self.tell(do="stop")
                with contextlib.suppress(SessionEnded):
                    if self._until(lambda: self.bye is not None, seconds / 2):
                        break
        self.finish()

    def close(self) -> None:
        """End the session if it has not ended; whatever is wrong with the line."""
        with contextlib.suppress(HostError):
            if not self.closed:
                if self.bye is None:
                    self.stop()
                else:
                    self.finish()

    def finish(self) -> None:
        """After the board's goodbye: back to the usual speed."""
        self.closed = True
        if self.baudrate != BAUDRATE:
            time.sleep(0.1)
            with contextlib.suppress(HostError):
                self._set_speed(BAUDRATE)
        with contextlib.suppress(OSError, serial.SerialException):
            self.connection.serial.timeout = READ_SECONDS

    # Read.

    def read(self) -> None:
        """Wait a moment for bytes and handle them. Pings the board when that is due.

        BoardGone, or SessionEnded when the board's end is no more.
        """
        now = time.monotonic()
        if now - self._pinged > PING_SECONDS and not self._sending:
            self.ping()
        port = self.connection.serial
        try:
            data = port.read(max(1, port.in_waiting))
        except (OSError, serial.SerialException, TypeError):
            raise BoardGone(self.connection.port) from None
        if data:
            self._heard = time.monotonic()
            self.wire_bytes += len(data)
            self.decoder.feed(data)
        elif self.decoder.waiting and now - self._heard > _TEXT_SECONDS:
            self.decoder.flush()
        if time.monotonic() - self._answered > SILENCE_SECONDS:
            raise SessionEnded(
                f"{self.connection.port}: the board has not answered for "
                f"{SILENCE_SECONDS:.0f} s: it was reset, or has crashed; try again"
            )

    def _on_record(self, kind: int, body: bytes) -> None:
        self._answered = time.monotonic()
        if kind == CONTROL:
            # What a damaged line makes of a message is none.
            with contextlib.suppress(ValueError, TypeError, KeyError):
                message = json.loads(body)
                if isinstance(message, dict):
                    self._on_control(message)
        elif kind == CREDIT and len(body) == 2:
            self._credit(int.from_bytes(body, "big"))
        else:
            handler = self.handlers.get(kind)
            if handler:
                handler(body)

    def _on_control(self, message: dict[str, Any]) -> None:
        if "hello" in message:
            self.hello = message
        elif "pong" in message:
            self.pongs += 1
            self.counters = message
        elif "stats" in message:
            self.stats = message["stats"]
        elif "speed" in message:
            self._speed = int(message["speed"])
        elif "bye" in message:
            self.counters = message
            self.bye = message

    def _on_text(self, text: bytes) -> None:
        self._tail = (self._tail + text)[-4096:]
        if self.bye is not None:
            return  # the end of the raw REPL's answer
        if b"\x04" in self._tail:
            self._code_ended()
        self.on_text(text)

    def _code_ended(self) -> None:
        # The raw REPL: output, Ctrl-D, traceback, Ctrl-D, prompt.
        parts = self._tail.split(b"\x04")
        if len(parts) < 3 or parts[-1] != b">":
            return  # the traceback is still to come
        error = parts[-2].decode(errors="replace").strip()
        last = error.splitlines()[-1] if error else "its program ended"
        raise SessionEnded(f"{self.connection.port}: the board ended the session: {last}")

    # Write.

    def ping(self) -> None:
        """Ask for a pong; the board learns how many bytes it should have taken by now."""
        if not self._lock.acquire(blocking=False):
            return  # another thread sends, which says as much; this one must read
        try:
            self._pinged = time.monotonic()
            # Six digits: the length of the record must not depend on what it says.
            size = len(b"".join(self._ping_segments(0)))
            data = b"".join(self._ping_segments((self._sent + size) & 0xFFFF))
            assert len(data) == size
            self._put(data, force=True)
        finally:
            self._lock.release()

    def _ping_segments(self, sent: int) -> list[bytes]:
        body = b'{"do":"ping","sent":%s}' % str(sent).rjust(6).encode()
        return list(segments(CONTROL, body, self._number))

    def tell(self, **message: Any) -> None:
        """Send a message."""
        self.send(CONTROL, json.dumps(message, separators=(",", ":")).encode())

    def send(self, kind: int, body: bytes) -> None:
        """Send a record; waits for room in the board's input."""
        with self._lock:
            self._sending = True
            try:
                for segment in segments(kind, body, self._number):
                    self._put(segment)
            finally:
                self._sending = False

    def type(self, text: bytes) -> None:
        """Send text, as if it was typed at the prompt."""
        with self._lock:
            for start in range(0, len(text), 64):
                self._put(text[start : start + 64])

    def _put(self, data: bytes, force: bool = False) -> None:
        if data[:1] == b"\0":
            self._number = (self._number + data.count(b"\0") // 2) & 0x3F
        if not force:
            self._wait_for_room(len(data))
        self._sent = (self._sent + len(data)) & 0xFFFF
        self._write(data)

    def _wait_for_room(self, n: int) -> None:
        with self._room:
            while ((self._sent - self._taken) & 0xFFFF) + n > WINDOW:
                if threading.get_ident() == self._reader:
                    # Nobody else reads what the board says.
                    self._room.release()
                    try:
                        self.read()
                    finally:
                        self._room.acquire()
                else:
                    self._room.wait(0.1)
                if self.closed:
                    raise SessionEnded(f"{self.connection.port}: the session is over")
                if time.monotonic() - self._moved > _STUCK_SECONDS:
                    # Bytes or a credit were lost. The board has long read what was on its way.
                    self._taken = self._sent
                    self._moved = time.monotonic()

    def _credit(self, taken: int) -> None:
        with self._room:
            if (self._sent - taken) & 0xFFFF <= 0x7FFF:
                self._taken = taken
                self._moved = time.monotonic()
                self._room.notify_all()

    def _write(self, data: bytes) -> None:
        try:
            self.connection.serial.write(data)
        except serial.SerialTimeoutException:
            raise HostError(f"{self.connection.port}: the port takes no more bytes") from None
        except (OSError, serial.SerialException) as error:
            if getattr(error, "errno", None) == errno.EINTR:
                return
            raise BoardGone(self.connection.port) from None
