"""One run of `viperip sim`: start the gateway and the board, follow them to their end."""

import os
import selectors
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from viperip_host import links, plan, process, programs
from viperip_host.demo import Demo, DemoTexts
from viperip_host.errors import FAILURE, OK, USAGE, HostError
from viperip_host.interpreter import Interpreter

# How long it may take, in seconds, once the board has ended: it gives itself 5 s to deliver.
GATEWAY_SECONDS = 7.0


@dataclass
class Setup:
    """All a run needs to know."""

    request: plan.Request
    board: plan.Board
    interpreter: Interpreter
    heap: str
    link: str | None  # None: the private wire
    run_seconds: float | None  # the demo ends so long after its page was first served
    taken_port: int | None  # the demo's usual port, when something else has it
    on_event: Callable[[str, dict[str, Any]], None] | None = None  # of "board" or "gateway"


def run(setup: Setup) -> int:
    """Run it; the exit status. UsageError for a link that cannot be used."""
    signals = process.Signals()
    try:
        with process.terminal_restored():
            return _Run(setup, signals).follow()
    finally:
        signals.close()


class _Run:
    def __init__(self, setup: Setup, signals: process.Signals) -> None:
        self.setup = setup
        self.signals = signals
        self.foreground = not setup.request.demo
        self.selector = selectors.DefaultSelector()
        self.demo: Demo | None = None
        self.gateway: process.Child | None = None
        link, gateway_fd = self._open_link()
        if link.note:
            print(f"viperip sim: {link.note}", file=sys.stderr, flush=True)
        if setup.request.demo:
            self.demo = Demo(self._demo_texts(link), setup.run_seconds, signals.wake)
            self.demo.introduce()
        try:
            if gateway_fd is not None:
                self.gateway = self._start_gateway(gateway_fd)
            self.board = self._start_board(link)
        except OSError as error:
            self._stop_gateway()
            raise HostError(f"{setup.interpreter.path}: {error.strerror}") from None
        children = [child for child in (self.board, self.gateway) if child]
        self.watchdog = process.Watchdog(children)

    def _open_link(self) -> tuple[links.Link, int | None]:
        if self.setup.link is None:
            return links.open_wire()
        return links.open_link(self.setup.link), None

    def _demo_texts(self, link: links.Link) -> DemoTexts:
        request = self.setup.request
        port = None
        for forward in request.forwards:
            if forward.proto == "tcp" and forward.port == plan.DEMO_PORT:
                port = forward.host_port
                break
        return DemoTexts(
            interpreter=self.setup.interpreter.line,
            board=self.setup.board.line,
            link=self.setup.link or f"private wire, gateway {plan.wire_network(request)[0]}",
            capture=request.capture,
            host_port=port,
            taken_port=self.setup.taken_port,
        )

    def _start_gateway(self, fd: int) -> process.Child:
        control = self._control("gateway")
        return programs.start_gateway(self.setup.interpreter, self.setup.request, fd, control)

    def _start_board(self, link: links.Link) -> process.Child:
        control = self._control("board")
        config = plan.board_config(self.setup.request, self.setup.board, link, control.child_fd)
        try:
            return programs.start(
                "board", "sim_main.py", "VIPERIP_SIM", config, self.setup.interpreter,
                self.setup.heap, [*link.fds, control.child_fd], foreground=self.foreground,
            )  # fmt: skip
        finally:
            link.close()
            control.close_child_end()

    def _control(self, name: str) -> programs.Control:
        control = programs.Control()
        self.selector.register(control.fd, selectors.EVENT_READ, (name, control))
        return control

    def follow(self) -> int:
        """Wait for the end of the run; its exit status."""
        self.selector.register(self.signals.fd, selectors.EVENT_READ, ("signals", None))
        try:
            return self._loop()
        finally:
            process.stop(self.board, [signal.SIGTERM])
            self._stop_gateway()
            self.watchdog.dismiss()
            self.selector.close()

    def _loop(self) -> int:
        while not self.board.ended:
            if self.gateway and self.gateway.ended:
                return self._gateway_gone(self.gateway)
            for key, _ in self.selector.select(self.demo.seconds_left() if self.demo else None):
                name, control = key.data
                if name == "signals":
                    status = self._on_signals()
                    if status is not None:
                        return status
                else:
                    self._on_control(name, control)
            if self.demo:
                finished = self.demo.finished()
                if finished is not None:
                    return finished
        self._last_events()
        ended = self._gateway_delivers()
        return self._board_gone() if ended is None else ended

    def _last_events(self) -> None:
        """What the board has told just before its end."""
        while any(key.data[0] == "board" for key, _ in self.selector.select(0)):
            for key, _ in self.selector.select(0):
                name, control = key.data
                if name == "board":
                    self._on_control(name, control)

    def _gateway_delivers(self) -> int | None:
        """Let slow readers have what the board sent; the status when a signal ends this."""
        end = process.now() + GATEWAY_SECONDS
        while self.gateway and not self.gateway.ended:
            left = end - process.now()
            if left <= 0:
                return None
            for key, _ in self.selector.select(left):
                name, control = key.data
                if name == "signals":
                    status = self._on_signals()
                    if status is not None:
                        return status
                else:
                    self._on_control(name, control)
        return None

    def _on_signals(self) -> int | None:
        """The exit status when a signal ends the run."""
        for number in self.signals.pending():
            if number in (0, signal.SIGCHLD):
                continue
            if number == signal.SIGINT and self._prompt_has_terminal():
                continue  # the prompt has got it from the terminal as well, and goes on
            if number == signal.SIGINT and self.foreground:
                self._interrupt_script()
            return 128 + number
        return None

    def _interrupt_script(self) -> None:
        """Let the script end by its KeyboardInterrupt."""
        # From the terminal the script has it already, and may be cleaning up.
        if sys.stdin.isatty() and self.board.wait(process.GRACE):
            return
        process.stop(self.board, [signal.SIGINT, signal.SIGTERM])

    def _prompt_has_terminal(self) -> bool:
        return self.setup.request.interactive and sys.stdin.isatty()

    def _on_control(self, name: str, control: programs.Control) -> None:
        events = control.events()
        if events is None:
            self.selector.unregister(control.fd)
            os.close(control.fd)
            return
        for event in events:
            if self.demo:
                self.demo.on_event(name, event)
            if self.setup.on_event:
                self.setup.on_event(name, event)

    def _gateway_gone(self, gateway: process.Child) -> int:
        if gateway.popen.returncode == USAGE:
            return USAGE  # a port that cannot be used: the gateway has said so
        # A board that ends closes the wire, and the gateway may be the first to be noticed.
        if self.board.wait(1.0):
            return self._board_gone()
        _complain(f"the gateway {gateway.reason()}; the board has lost its network")
        return FAILURE

    def _board_gone(self) -> int:
        status: int = self.board.popen.returncode
        if status < 0:
            _complain(f"the board {self.board.reason()}")
            return 128 - status
        if self.demo:
            if self.demo.unread():
                return OK
            _complain(f"the demo board {self.board.reason()}")
            return status or FAILURE
        return status

    def _stop_gateway(self) -> None:
        if self.gateway:
            process.stop(self.gateway, [signal.SIGTERM])


def _complain(line: str) -> None:
    print(f"viperip sim: {line}", file=sys.stderr, flush=True)
