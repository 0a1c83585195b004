"""Frames live: of a simulation, with the board's own state, and of a board on a serial port."""

import contextlib
import io
import os
import queue
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, TextIO

import click

from viperip_host import capture, capture_command, capture_file
from viperip_host.errors import UsageError
from viperip_host.explain.reading import Frame
from viperip_host.explain.session import Explainer

_END = None


class _Recorder(capture.Recorder):
    """Gives a board's frames to an explainer, where `viperip capture` has a file."""

    def __init__(self, explainer: Explainer) -> None:
        super().__init__("", lambda: io.BytesIO())
        self._explainer = explainer
        self._interfaces: list[capture_file.Interface] = []
        self._count = 0

    def begin(self, interfaces: list[capture_file.Interface]) -> None:
        self._interfaces = interfaces

    def write(self, frame: capture.Frame) -> None:
        if self.gone:
            return
        if frame.dropped:
            print(f"viperip explain: {frame.dropped} frames found no room on the line",
                  file=sys.stderr, flush=True)  # fmt: skip
        self._count += 1
        known = frame.interface < len(self._interfaces)
        one = Frame(
            self._count,
            frame.data,
            max(frame.length, len(frame.data)),
            frame.stamp / 1e6,
            sent=frame.sent,
            interface=self._interfaces[frame.interface].name if known else "",
        )
        try:
            self._explainer.take(one)
        except BrokenPipeError:
            self.gone = True
        self.gone = self.gone or self._explainer.done

    def end(self, received: int, dropped: int) -> None:
        pass


def board(port: str, script: str | None, explainer: Explainer) -> int:
    """Explain a board's frames, over its serial line, until Ctrl-C or the script's end."""
    request = capture.Request(script=capture.board_script(script) if script else None)
    return capture_command.run(port, request, _Recorder(explainer), sys.stderr.buffer)


class _Events:
    """Puts frames together from what device/watch.py tells: a frame with the state before it, and
    the state after it."""

    def __init__(self) -> None:
        self.frames: queue.Queue[Frame | None] = queue.Queue()
        self._open: Frame | None = None
        self._count = 0
        self._began = time.time()
        self._first: int | None = None

    def take(self, name: str, event: dict[str, Any]) -> None:
        if name != "board" or event.get("event") not in ("frame", "after"):
            return
        state = event.get("state")
        if self._open is not None:
            self._open.after = state
            self.frames.put(self._open)
            self._open = None
        if event["event"] == "frame":
            data = bytes.fromhex(event["data"])
            if self._first is None:
                self._first = event["us"]
            # The board's clock counts 30 bits where ints are small.
            passed = (event["us"] - self._first) & 0x3FFFFFFF
            stamp = self._began + passed / 1e6
            self._count += 1
            self._open = Frame(self._count, data, len(data), stamp, sent=event["sent"],
                               before=state)  # fmt: skip

    def end(self) -> None:
        if self._open is not None:
            self.frames.put(self._open)
        self.frames.put(_END)


def simulate(text: str, explainer: Explainer) -> int:
    """Run `viperip sim TEXT` and explain its frames as they come; the script's status."""
    from viperip_host import run as sim_run
    from viperip_host import sim

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--sim {text!r}: {error}") from None
    if not words:
        raise UsageError("--sim: name a script, as in --sim script.py")
    try:
        given = sim.sim.make_context("explain --sim", words).params
    except click.exceptions.Exit:
        return 0
    setup = sim.setup(given)
    if setup.request.demo:
        raise UsageError(f"--sim {text!r}: name a script; the demo board is firmware/main.py")
    events = _Events()
    setup.on_event = events.take
    setup.request.watch = True
    failed: list[BaseException] = []

    def show() -> None:
        # Its own thread: whoever reads slowly must not hold up the board.
        while (frame := events.frames.get()) is not _END:
            if failed or explainer.done:
                continue
            try:
                explainer.take(frame)
            except BaseException as error:
                failed.append(error)

    thread = threading.Thread(target=show)
    with _script_output_apart() as out:
        explainer.write_to(out)
        thread.start()
        try:
            status = sim_run.run(setup)
        finally:
            events.end()
            thread.join()
    if failed:
        raise failed[0]
    return status


@contextlib.contextmanager
def _script_output_apart() -> Iterator[TextIO]:
    """Meanwhile what the script prints goes to stderr; standard output, for the frames."""
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding)
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield out
    finally:
        os.dup2(saved, 1)
        os.close(saved)
