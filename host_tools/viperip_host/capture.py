"""Frames of a board into a pcapng file, over its serial line."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from viperip_host.capture_file import CaptureFile, Interface
from viperip_host.connection import BAUDRATE, Connection
from viperip_host.errors import HostError
from viperip_host.framing import PACKET
from viperip_host.session import Session

HEAD = 9  # of a PACKET record, behind its kind: viperip/link/serial/capture.py
_TICKS = 1 << 30
# Records that may wait on the board, in bytes, by the heap that is free there.
_ROOMS = ((400_000, 65_000), (120_000, 24_000), (0, 8_000))

ASK = """
import gc, json, sys
gc.collect()
try:
    import viperip
    v = viperip.__version__
except ImportError:
    v = None
print(json.dumps({"viperip": v, "free": gc.mem_free()}))
"""


@dataclass
class Request:
    """What to capture.

    program: of the filter; count: frames, 0: no end; script: its source; quiet: say nothing.
    """

    program: bytes = b""
    snaplen: int = 65535
    count: int = 0
    speed: int = 921600
    script: str | None = None
    quiet: bool = False


@dataclass
class Frame:
    """A frame as the board had it. stamp: us since 1970; dropped: frames lost just before."""

    interface: int
    sent: bool
    stamp: int
    length: int
    data: bytes
    dropped: int


class Clock:
    """The board's microseconds, of which 30 bits come, as this computer's time."""

    def __init__(self, now: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._now = now
        self._last: int | None = None
        self._stamp = 0

    def stamp(self, ticks: int) -> int:
        if self._last is None:
            self._stamp = self._now()
        else:
            passed = (ticks - self._last) % _TICKS
            if passed >= _TICKS // 2:
                passed -= _TICKS  # (an interrupt came between clock and queue)
            self._stamp += passed
            # After more than a wrap in silence the board's count says little.
            missed = round((self._now() - self._stamp) / _TICKS)
            if missed > 0:
                self._stamp += missed * _TICKS
        self._last = ticks
        return self._stamp


def board_script(text: str) -> str:
    """The source that `--run TEXT` names: a file here, or with a colon before it on the board."""
    if text.startswith(":"):
        return f"exec(open({text[1:]!r}).read())"
    try:
        return Path(text).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise HostError(f"--run {text}: {getattr(error, 'strerror', None) or error}") from None


def check_board(connection: Connection) -> dict[str, Any]:
    """What a session needs to know of the board. HostError when viperip is not on it."""
    board: dict[str, Any] = connection.ask(ASK)
    if board["viperip"] is None:
        raise HostError(
            f"{connection.port}: viperip is not on this board; viperip deploy puts it there"
        )
    return board


class Capture:
    """A running capture. sink(frame) is called for every frame, on_text for what is printed."""

    def __init__(
        self,
        connection: Connection,
        request: Request,
        sink: Callable[[Frame], None],
        on_text: Callable[[bytes], None],
    ) -> None:
        self.request = request
        self.frames = 0
        self.frame_bytes = 0
        self.baudrate = BAUDRATE
        self._sink = sink
        self._clock = Clock()
        self._interfaces = 1 << 7
        self._dropped = 0
        self.session = Session(connection, on_text, {PACKET: self._on_packet})

    def start(self) -> list[Interface]:
        """Start it; the interfaces of the board."""
        connection = self.session.connection
        board = check_board(connection)
        room = next(room for free, room in _ROOMS if board["free"] >= free)
        r = self.request
        self.session.start(
            "from viperip.application.session import capture\n"
            f"capture({r.program!r}, {r.snaplen}, {room}, {BAUDRATE}, {r.script!r})"
        )
        if r.quiet:
            self.session.raise_speed(r.speed)
        else:
            self.session.use_speed(r.speed, "capture")
        self.baudrate = self.session.baudrate
        assert self.session.hello
        snaplen = r.snaplen if r.snaplen < 65535 else 0
        self._interfaces = len(self.session.hello["interfaces"])
        return [
            Interface(one["name"], bytes.fromhex(one["mac"]).hex(":"), snaplen)
            for one in self.session.hello["interfaces"]
        ]

    @property
    def done(self) -> bool:
        """Whether as many frames came as were asked for, or the board's script has ended."""
        return self.session.bye is not None or bool(
            self.request.count and self.frames >= self.request.count
        )

    @property
    def dropped(self) -> int:
        """Frames that the board could not send."""
        return max(self._dropped, int(self.session.counters.get("dropped", 0)))

    def follow(self, wanted: Callable[[], bool]) -> None:
        """Handle what comes until it is done, or no longer wanted()."""
        while wanted() and not self.done:
            self.session.read()

    def _on_packet(self, body: bytes) -> None:
        if len(body) < HEAD or self.done or body[0] >> 1 >= self._interfaces:
            return
        ticks = int.from_bytes(body[1:5], "big")
        dropped = int.from_bytes(body[7:9], "big")
        lost = (dropped - self._dropped) & 0xFFFF
        self._dropped += lost
        data = body[HEAD:]
        self.frames += 1
        self.frame_bytes += len(data)
        self._sink(
            Frame(
                interface=body[0] >> 1,
                sent=bool(body[0] & 1),
                stamp=self._clock.stamp(ticks),
                length=int.from_bytes(body[5:7], "big"),
                data=data,
                dropped=lost,
            )
        )


class Recorder:
    """Writes the frames of a capture to a pcapng FILE; gone: its reader has closed it."""

    def __init__(self, name: str, opened: Callable[[], BinaryIO]) -> None:
        self._name = name
        self._open = opened
        self._file: CaptureFile | None = None
        self._early: list[Frame] = []  # from before the interfaces were known
        self.gone = False

    def begin(self, interfaces: list[Interface]) -> None:
        self._guard(lambda: self._begin(interfaces))

    def _begin(self, interfaces: list[Interface]) -> None:
        self._file = CaptureFile(self._open(), "viperip capture", interfaces)
        for frame in self._early:
            self.write(frame)
        self._early.clear()

    def write(self, frame: Frame) -> None:
        if self._file is None:
            self._early.append(frame)
            return
        file = self._file
        self._guard(
            lambda: file.write(
                frame.interface,
                frame.data,
                length=frame.length,
                stamp=frame.stamp,
                sent=frame.sent,
                dropped=frame.dropped,
            )
        )

    def _guard(self, write: Callable[[], None]) -> None:
        if self.gone:
            return
        try:
            write()
        except BrokenPipeError:
            self.gone = True
        except OSError as error:
            self.gone = True
            raise HostError(
                f"{self._name}: {error.strerror}; the file holds what came before"
            ) from None

    def end(self, received: int, dropped: int) -> None:
        """Close the file, with its statistics."""
        file = self._file
        if file is not None:
            self._guard(lambda: file.statistics(0, received, dropped))
            file.close()
