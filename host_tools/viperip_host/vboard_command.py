"""`viperip vboard`: the command line."""

import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from viperip_host import interpreter, links, options, plan
from viperip_host.errors import UsageError
from viperip_host.terminal import Stop

EPILOG = """\b
The board has MicroPython on it, its own filesystem and its Ethernet driver's hardware as a model,
with LINK plugged in (viperip sim --help; the private wire without it). Its serial line has a
speed, loses what the 260 bytes of the ESP32's input buffer do not hold, and garbles bytes when
the two ends have different speeds. viperip itself is not on it: viperip deploy.

\b
A pty has no reset line. There, signals stand for the buttons:
  kill -USR1 PID         EN: a hard reset
  kill -USR2 PID         EN with BOOT held: the boot loader, until the port is closed

\b
Examples:
  viperip vboard --pty /tmp/board
  mpremote connect /tmp/board
  viperip vboard --port 4000 --blank --state board1    then: viperip flash --port rfc2217://...
  viperip vboard --pty /tmp/board --link tap:tap0

\b
Exit status: 0 after Ctrl-C or SIGTERM; 2 for a wrong command line, or a port, folder or link that
cannot be used."""

_SMALLEST = 128 * 1024


@click.command(
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
)
@click.option("--board", metavar="NAME", default="wt32-eth01",
              help="Which board (viperip boards).  [wt32-eth01]")  # fmt: skip
@click.option("--link", metavar="LINK", help="What its Ethernet leads to.  [private wire]")
@click.option("--forward", metavar="[udp:]HOSTPORT:PORT", multiple=True,
              help="127.0.0.1:HOSTPORT leads to the board's PORT (private wire).")  # fmt: skip
@click.option("--state", metavar="DIR", help="Where its flash lives.  [temporary]")
@click.option("--blank", is_flag=True, help="No firmware: the boot loader, until it is flashed.")
@click.option("--flash-size", metavar="SIZE", default="2M", help="Its filesystem.  [2M]")
@click.option("--heap", metavar="SIZE", default="4M", help="MicroPython's heap.  [4M]")
@click.option("--mac", metavar="MAC", help="Its MAC address.  [random, kept in DIR]")
@click.option("--pty", metavar="PATH", help="The port: a pty, with this name.")
@click.option("--port", metavar="TCP", type=click.IntRange(1, 65535),
              help="The port: rfc2217://127.0.0.1:TCP, with reset lines.")  # fmt: skip
@click.option("--micropython", metavar="PATH", help="The MicroPython interpreter to use.")
@click.option("--json", "as_json", is_flag=True, help="What it says as JSON, a line each.")
def vboard(**given: Any) -> int:
    """Run a board of software: a serial port with an ESP32 behind it, for want of the real one."""
    if (given["pty"] is None) == (given["port"] is None):
        raise UsageError("vboard: give one of --pty PATH and --port TCP")
    board = plan.load_board(given["board"])
    if not board.mcu:
        raise UsageError(f"--board {board.name}: this is no board with a serial port")
    request = plan.Request(forwards=options.forwards(given["forward"]))
    plan.check(request, given["link"] is None)
    with _state(given["state"]) as state:
        return _run(given, board, request, state)


def _run(given: dict[str, Any], board: plan.Board, request: plan.Request, state: Path) -> int:
    from viperip_host.vboard import chip, ports
    from viperip_host.vboard.board import VirtualBoard

    parts = chip.Parts(
        board=board,
        interpreter=interpreter.find(given["micropython"]),
        heap=options.heap(given["heap"]),
        state=state,
        flash_size=_flash_size(given["flash_size"]),
        blank=given["blank"],
        link=given["link"],
        request=request,
        mac=_mac(given["mac"], state),
    )
    link = links.open_link(given["link"]) if given["link"] is not None else None
    if link is not None and link.note:
        print(f"viperip vboard: {link.note}", file=sys.stderr, flush=True)
    machine = VirtualBoard(parts, link)
    if given["pty"] is not None:
        machine.port = ports.Pty(os.path.abspath(given["pty"]))
    else:
        machine.port = ports.Rfc2217(given["port"], machine.lines)
    stop = Stop()
    signal.signal(signal.SIGUSR1, lambda *_: machine.press("en"))
    signal.signal(signal.SIGUSR2, lambda *_: machine.press("boot"))
    _say(given["as_json"], board.name, machine.port.name)
    machine.run(lambda: not stop.wanted)
    counters = {"resets": machine.resets, "lost": machine.uart.lost}
    counters["garbled"] = machine.uart.garbled
    if given["as_json"]:
        print(json.dumps({"event": "end", **counters}), flush=True)
    elif counters["lost"] or counters["garbled"]:
        print(
            f"vboard: {counters['lost']} bytes found no room in the board's input buffer, "
            f"{counters['garbled']} were sent at the wrong speed",
            file=sys.stderr,
        )
    return 0


def _say(as_json: bool, board: str, port: str) -> None:
    if as_json:
        ready = {"event": "ready", "board": board, "port": port, "pid": os.getpid()}
        print(json.dumps(ready), flush=True)
    else:
        print(
            f"vboard: {board} on {port}, process {os.getpid()}; Ctrl-C ends it\n"
            f"try: mpremote connect {port}",
            flush=True,
        )


@contextlib.contextmanager
def _state(text: str | None) -> Iterator[Path]:
    if text is None:
        with tempfile.TemporaryDirectory(prefix="viperip-vboard-") as folder:
            yield Path(folder)
        return
    path = Path(text).absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--state {text}: {error.strerror}; choose another folder") from None
    import fcntl

    try:
        lock = open(path / "lock", "w")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"--state {text}: {error.strerror}; choose another folder") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"--state {text}: another vboard uses it; choose another") from None
        yield path


def _flash_size(text: str) -> int:
    size = options.size(text, "--flash-size")
    if size < _SMALLEST:
        raise UsageError(f"--flash-size {text}: a filesystem needs at least 128K")
    return size - size % 4096


def _mac(text: str | None, state: Path) -> bytes:
    """The MAC address given, or the one that the state has, or a new one."""
    kept = state / "mac"
    if text is not None:
        return bytes.fromhex(options.mac(text).replace(":", ""))
    with contextlib.suppress(OSError, ValueError):
        mac = bytes.fromhex(kept.read_text().strip())
        if len(mac) == 6:
            return mac
    mac = bytes([0x02, *os.urandom(5)])
    kept.write_text(mac.hex() + "\n")
    return mac
