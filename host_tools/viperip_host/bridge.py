"""The host's end of `viperip bridge`: frames between a board's serial line and a network."""

import contextlib
import os
import select
import threading
from collections.abc import Callable
from typing import Protocol

from viperip_host import links, plan, process, programs
from viperip_host.errors import HostError
from viperip_host.framing import FRAME
from viperip_host.interpreter import Interpreter
from viperip_host.session import Session

_LONGEST = 1518
# Frames that wait for the serial line; a TCP window's worth is plenty. More are dropped.
_QUEUE = 64


class Network(Protocol):
    """Where the board's frames go to, and those for it come from."""

    def send(self, frame: bytes) -> None:
        """Take a frame of the board's."""

    def receive(self, seconds: float) -> list[bytes] | None:
        """Frames for the board, within SECONDS; None: the network has ended."""

    def close(self) -> None: ...


class Tap:
    """A TAP interface of this computer."""

    def __init__(self, name: str) -> None:
        """UsageError when it cannot be used."""
        self.link = links.open_link(f"tap:{name}")
        self._fd = self.link.fds[0]
        self.dropped = 0

    def send(self, frame: bytes) -> None:
        try:
            os.write(self._fd, frame)
        except OSError:
            self.dropped += 1  # the interface is down, or its queue full

    def receive(self, seconds: float) -> list[bytes] | None:
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return []
        try:
            return [os.read(self._fd, 65536)]
        except BlockingIOError:
            return []
        except OSError:
            return None

    def close(self) -> None:
        self.link.close()


class Gateway:
    """The built-in gateway of `viperip sim`, on a private wire."""

    def __init__(self, interpreter: Interpreter, request: plan.Request) -> None:
        link, fd = links.open_wire()
        self._fd = link.fds[0]
        self._control = programs.Control()
        try:
            self.child = programs.start_gateway(interpreter, request, fd, self._control)
        except OSError as error:
            raise HostError(f"{interpreter.path}: {error.strerror}") from None
        self._rest = b""
        self.dropped = 0

    def send(self, frame: bytes) -> None:
        data = len(frame).to_bytes(4, "big") + frame
        with contextlib.suppress(OSError):
            while data:
                select.select([], [self._fd], [], 1.0)
                data = data[os.write(self._fd, data) :]

    def receive(self, seconds: float) -> list[bytes] | None:
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return []
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        self._rest += data
        frames = []
        while len(self._rest) >= 4:
            n = int.from_bytes(self._rest[:4], "big")
            if len(self._rest) < 4 + n:
                break
            frames.append(self._rest[4 : 4 + n])
            self._rest = self._rest[4 + n :]
        return frames

    def close(self) -> None:
        os.close(self._fd)
        process.stop(self.child, [15])
        os.close(self._control.fd)


class Bridge:
    """Carries frames until stopped. watch(frame, sent) is called for each, sent: by the board."""

    def __init__(
        self, session: Session, network: Network, watch: Callable[[bytes, bool], None]
    ) -> None:
        self.session = session
        self.network = network
        self.to_board = 0
        self.from_board = 0
        self.dropped = 0  # frames for the board that found no room on the line
        self.failed: HostError | None = None
        self._watch = watch
        self._queue: list[bytes] = []
        self._more = threading.Condition()
        self._ended = False
        session.handlers[FRAME] = self._from_board

    def start(self) -> None:
        for work in (self._fetch, self._send):
            threading.Thread(target=work, daemon=True).start()

    def _from_board(self, frame: bytes) -> None:
        self.from_board += 1
        self._watch(frame, True)
        self.network.send(frame)

    def _fetch(self) -> None:
        """Frames of the network into the queue: reading must not wait for the line."""
        while not self._ended:
            frames = self.network.receive(0.2)
            if frames is None:
                if not self._ended:
                    self.failed = HostError("the network's side has ended; start the bridge again")
                return
            with self._more:
                for frame in frames:
                    if len(self._queue) < _QUEUE and len(frame) <= _LONGEST:
                        self._queue.append(frame)
                    else:
                        self.dropped += 1
                if frames:
                    self._more.notify()

    def _send(self) -> None:
        while not self._ended:
            with self._more:
                if not self._queue:
                    self._more.wait(0.2)
                    continue
                frame = self._queue.pop(0)
            try:
                self._watch(frame, False)
                self.session.send(FRAME, frame)
                self.to_board += 1
            except HostError as error:
                if not self._ended:
                    self.failed = error
                return

    def stop(self) -> None:
        self._ended = True
