"""The MicroPython programs that the host starts: boards, and the gateway of a private wire."""

import contextlib
import json
import os
from collections.abc import Sequence
from typing import Any

from viperip_host import plan, process, resources
from viperip_host.errors import HostError
from viperip_host.interpreter import Interpreter

# The gateway is small, but it relays: give it a board's default heap.
_GATEWAY_HEAP = "16M"


class Control:
    """The reading end of a child's control pipe: one JSON object a line."""

    def __init__(self) -> None:
        self.fd, self.child_fd = os.pipe()
        os.set_blocking(self.fd, False)
        self._rest = b""

    def close_child_end(self) -> None:
        os.close(self.child_fd)

    def events(self) -> list[dict[str, Any]] | None:
        """The events that have come; None at the end of the pipe."""
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return []
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        events = []
        for line in lines:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    events.append(event)
        return events


def start(
    name: str,
    program: str,
    variable: str,
    config: plan.Json,
    interpreter: Interpreter,
    heap: str,
    fds: Sequence[int],
    foreground: bool = False,
) -> process.Child:
    """Start PROGRAM of device/, which finds CONFIG in the environment; see process.start()."""
    script = resources.device() / program
    if not script.is_file():
        raise HostError(f"{script} is missing from this installation: install viperip again")
    return process.start(
        name,
        [interpreter.path, "-X", f"heapsize={heap}", str(script)],
        {variable: json.dumps(config)},
        fds,
        foreground=foreground,
    )


def start_gateway(
    interpreter: Interpreter, request: plan.Request, fd: int, control: Control
) -> process.Child:
    """Start the gateway on its end FD of a private wire; FD and the pipe's end are its own."""
    config = plan.gateway_config(request, fd, control.child_fd)
    try:
        return start(
            "gateway", "gateway.py", "VIPERIP_GATEWAY", config, interpreter, _GATEWAY_HEAP,
            [fd, control.child_fd],
        )  # fmt: skip
    finally:
        # The board must see the wire end when the gateway dies, and the other way round.
        os.close(fd)
        control.close_child_end()
