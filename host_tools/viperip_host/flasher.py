"""esptool, run as a program; what it prints as progress, and its errors in one line."""

import contextlib
import errno
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import serial

from viperip_host import connection
from viperip_host.errors import HostError, UsageError

# SLIP frame of the ROM's SYNC command (Espressif, "Serial Protocol"), and how its answer begins.
_SYNC = b"\xc0\x00\x08\x24\x00\x00\x00\x00\x00\x07\x07\x12\x20" + b"\x55" * 32 + b"\xc0"
_SYNCED = b"\xc0\x01\x08"
_POLL_SECONDS = 0.5
_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")
_WRONG_CHIP = re.compile(r"This chip is ([A-Z0-9-]+),? not ([A-Z0-9-]+)")


def has_reset_lines(port: str) -> bool:
    """Whether PORT has DTR and RTS. HostError when it cannot be opened."""
    with contextlib.closing(connection.open_serial(port)) as opened:
        if port.startswith("socket://"):
            return False
        if "://" in port:
            return True
        try:
            _ = opened.cts
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                return False
            raise connection.why_not(port, error) from None
    return True


def wait_for_boot_loader(port: str, clock: str | None, say: Callable[[str], None]) -> None:
    """Wait, without end, until the ROM's boot loader answers; CLOCK: the profile's."""
    said = heard = b""
    with contextlib.closing(connection.open_serial(port)) as opened:
        opened.timeout = _POLL_SECONDS
        try:
            while _SYNCED not in heard:
                opened.write(_SYNC)
                end = time.monotonic() + _POLL_SECONDS
                while time.monotonic() < end and _SYNCED not in heard:
                    heard = (heard + opened.read(max(1, opened.in_waiting)))[-2000:]
                if b"SPI_FAST_FLASH_BOOT" in heard and b"SPI_FAST_FLASH_BOOT" not in said:
                    say(_booted(clock))
                    said, heard = heard, b""
        except (OSError, serial.SerialException):
            raise connection.BoardGone(port) from None


def _booted(clock: str | None) -> str:
    text = "The chip has started its program: GPIO0 was high when EN rose. Hold IO0 at GND"
    if clock == "GPIO0_IN":
        return (
            f"{text}. If it was: the 50 MHz oscillator on GPIO0 was running and blocks the boot "
            "loader; take the power away, hold IO0 at GND, and give power again."
        )
    return f"{text}, and pulse EN again."


def write(
    port: str, mcu: str, offset: str, file: Path, *, erase: bool, lines: bool,
    progress: Callable[[float], None],
) -> None:  # fmt: skip
    """Write and verify FILE at OFFSET. LINES: reset through DTR and RTS. HostError when not."""
    reset = ("default-reset", "hard-reset") if lines else ("no-reset", "no-reset")
    command = [
        sys.executable, "-m", "esptool", "--port", port, "--chip", mcu, "--baud", "460800",
        "--before", reset[0], "--after", reset[1],
        "write-flash", *(["--erase-all"] if erase else []), offset, str(file),
    ]  # fmt: skip
    started = False
    printed = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", bufsize=1,
    ) as child:  # fmt: skip
        assert child.stdout
        try:
            # Universal newlines: a progress line that ends with CR is a line.
            for line in child.stdout:
                printed.append(line)
                found = _PERCENT.search(line) if line.startswith("Writing at") else None
                if found:
                    started = True
                    progress(float(found[1]))
        except BaseException:
            child.kill()
            raise
    text = "".join(printed)
    if child.returncode or "Hash of data verified" not in text:
        raise explain(port, text, started, child.returncode)


def explain(port: str, text: str, started: bool, status: int) -> HostError:
    """One line for what esptool has printed when it failed."""
    wrong = _WRONG_CHIP.search(text)
    if wrong:
        return UsageError(
            f"{port}: the chip is an {wrong[1]}, the board's profile says {wrong[2]}; choose "
            "another --board"
        )
    if started:
        return HostError(
            f"{port}: esptool ended in the middle of writing ({_last(text, status)}); the board "
            "will not start: look at cable and power, then give the same command again"
        )
    if "Wrong boot mode" in text or "download mode" in text:
        return HostError(
            f"{port}: the chip answers, but does not enter its boot loader; hold IO0 at GND while "
            "EN is pulsed low (--manual)"
        )
    if "Failed to connect" in text or "No serial data" in text:
        return HostError(
            f"{port}: no boot loader answers; look at the cable and the power, and end what uses "
            "the port; a board without auto-reset wants --manual"
        )
    if "Could not open" in text:
        return UsageError(f"{port}: the port is busy or has gone; end what uses it")
    return HostError(f"{port}: esptool failed ({_last(text, status)}); give the command again")


def _last(text: str, status: int) -> str:
    if status < 0:
        return f"signal {-status}"
    errors = [line for line in text.splitlines() if "rror" in line]
    return (errors or text.split("\n") or [""])[-1].strip()[:150] or f"status {status}"
