"""`viperip flash`: the command line, and what the board says afterwards."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from viperip_host import boards, connection, device_info, flash_image, flasher
from viperip_host.errors import HostError, UsageError

EPILOG = """\b
The file is MicroPython's .bin; without --firmware, the command says which one, and from where.
It is checked before the board is touched, and verified after. Everything on a board is lost with
--erase; without it the filesystem stays.

\b
Examples:
  viperip flash --board wt32-eth01
  viperip flash --board esp32-poe --firmware ESP32_GENERIC-20260101-v1.29.0.bin
  viperip flash --board wt32-eth01 --manual --erase --firmware FILE.bin

\b
Exit status: 0; 1 when it failed, or viperip cannot run on what was flashed; 2 for a wrong command
line, firmware or port."""

# The first start formats the filesystem.
_START_SECONDS = 30.0
_MANUAL_SECONDS = 180.0


@click.command(
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
)
@click.option("--board", metavar="NAME", required=True, help="A board of `viperip boards`.")
@connection.port_option
@click.option("--firmware", "file", metavar="FILE", type=click.Path(path_type=Path),
              help="MicroPython's .bin.")  # fmt: skip
@click.option("--erase", is_flag=True, help="Erase all of the flash first.")
@click.option("--manual", is_flag=True, help="The board has no auto-reset: say what to press.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def flash(
    board: str, port: str | None, file: Path | None, erase: bool, manual: bool, as_json: bool
) -> int:
    """Put MicroPython on a board, with esptool."""
    profile = boards.load(board)
    firmware = profile.get("firmware")
    if firmware is None or not profile["mcu"].startswith("esp32"):
        raise UsageError(f"flash: {board} is no board that is flashed")
    if file is None:
        raise UsageError(
            f"flash: download {firmware['file']} (the newest) from {firmware['page']} and name it "
            "with --firmware"
        )
    flash_image.check(file, profile)
    port = connection.find_port(port)
    lines = flasher.has_reset_lines(port) and not manual
    if manual:
        _say("Hold IO0 at GND, pulse EN low (or give power). Waiting; Ctrl-C ends.")
        clock = profile.get("ethernet", {}).get("clock")
        flasher.wait_for_boot_loader(port, clock, _say)
        _say("The boot loader answers.")
    with _progress(file.name) as progress:
        flasher.write(port, profile["mcu"], firmware["flash_offset"], file,
                      erase=erase, lines=lines, progress=progress)  # fmt: skip
    if manual:
        _say("Written and verified. Let IO0 go and pulse EN low. Waiting for MicroPython.")
    info = wait_for_micropython(port, _MANUAL_SECONDS if manual else _START_SECONDS)
    problems = info.problems()
    _report(port, board, info, problems, as_json)
    return 1 if problems else 0


def wait_for_micropython(port: str, seconds: float) -> device_info.DeviceInfo:
    """What the board says of itself, as soon as its REPL answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            with connection.connect(port) as board:
                return device_info.ask(board)
        except HostError as error:
            if time.monotonic() > end:
                raise HostError(f"written and verified, but: {error}") from None
        time.sleep(0.5)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Callable[[float], None]]:
    """A line that moves on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as shown:
        task = shown.add_task(name, total=100)
        yield lambda percent: shown.update(task, completed=percent)


def _report(
    port: str, board: str, info: device_info.DeviceInfo, problems: list[str], as_json: bool
) -> None:
    if as_json:
        told: dict[str, Any] = {
            "port": port, "board": board, "micropython": info.version_text,
            "machine": info.machine, "native": info.native, "psram": info.psram,
            "heap": info.heap, "free": info.free, "problems": problems,
        }  # fmt: skip
        print(json.dumps(told))
        return
    print(f"MicroPython {info.version_text}, {info.machine}")
    print(f"heap: {info.free} of {info.heap} bytes free")
    print(f"viper code: {'yes' if info.native else 'no, the slower bytecode modules are used'}")
    for problem in problems:
        print(f"problem: {problem}")
    if not problems:
        print(f"ready for viperip: viperip deploy --board {board} --port {port}")
