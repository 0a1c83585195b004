"""The chip of a virtual board: MicroPython, or the boot loader in its ROM, as a process."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viperip_host import links, plan, process, programs, resources
from viperip_host.interpreter import Interpreter
from viperip_host.vboard import image
from viperip_host.vboard.uart import RING

SOFT_RESET = 3  # exit status of device/vboard/vboard_main.py; one more: in raw mode
_INTERRUPT_SECONDS = 0.1  # MicroPython dies of a second SIGINT before it has seen the first
_PIPE = 4096

# esp_reset_reason as machine.reset_cause() has it.
POWER_ON, HARD_RESET, SOFT = 1, 2, 5


@dataclass
class Parts:
    """What a virtual board is made of. link: None for the private wire."""

    board: plan.Board
    interpreter: Interpreter
    heap: str
    state: Path
    flash_size: int
    blank: bool
    link: str | None
    request: plan.Request
    mac: bytes

    @property
    def files(self) -> Path:
        """The image of the filesystem."""
        return self.state / "filesystem.img"

    @property
    def flash(self) -> Path:
        """What esptool has written."""
        return self.state / "flash.bin"


def _waiting(fd: int) -> int:
    """How many bytes are in a pipe."""
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0])


class Processor:
    """A process with the serial line's bytes on two pipes, and events on a third."""

    boots = False  # whether it is MicroPython

    def __init__(self) -> None:
        self.child: process.Child | None = None
        self.control: programs.Control | None = None
        self.out = -1

    def fds(self) -> list[int]:
        return [fd for fd in (self.out, self.control.fd if self.control else -1) if fd >= 0]

    def read(self, n: int) -> bytes:
        """What the chip has sent."""
        if self.out < 0:
            return b""
        try:
            data = os.read(self.out, n)
        except BlockingIOError:
            return b""
        if not data:
            os.close(self.out)
            self.out = -1
        return data

    def unread(self) -> int:
        """How many bytes the chip has sent that were not read yet."""
        return _waiting(self.out) if self.out >= 0 else 0

    def deliver(self, data: bytes) -> int:
        """Bytes from the line; how many were lost."""
        raise NotImplementedError

    def events(self) -> list[dict[str, Any]]:
        return (self.control.events() or []) if self.control else []

    @property
    def ended(self) -> bool:
        return self.child is None or self.child.ended

    def stop(self) -> None:
        if self.child is not None:
            process.stop(self.child, [signal.SIGKILL])
        if self.out >= 0:
            os.close(self.out)
            self.out = -1
        if self.control is not None:
            os.close(self.control.fd)
            self.control = None


class MicroPython(Processor):
    """The unix port, with an ESP32's surroundings."""

    boots = True

    def __init__(
        self, parts: Parts, link: links.Link | None, raw: bool, cause: int, baudrate: int
    ) -> None:
        super().__init__()
        self._interrupt = -1
        self._interrupted = 0.0
        self.gateway: process.Child | None = None
        self._gateway_control: programs.Control | None = None
        fds: list[int] = []
        wire = None
        if link is None:
            # A wire and a gateway of its own: a chip that is reset leaves half a frame behind.
            wire, gateway_fd = links.open_wire()
            self._gateway_control = programs.Control()
            self.gateway = programs.start_gateway(
                parts.interpreter, parts.request, gateway_fd, self._gateway_control
            )
        described = (wire or link).described  # type: ignore[union-attr]
        fds += (wire or link).fds  # type: ignore[union-attr]
        self.control = programs.Control()
        stdin, self._in = os.pipe()
        self.out, stdout = os.pipe()
        for fd in (self._in, self.out):
            os.set_blocking(fd, False)
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(stdout, fcntl.F_SETPIPE_SZ, _PIPE)
        told = {
            "flash": str(parts.files),
            "flash_size": parts.flash_size,
            "models": str(resources.models()),
            "device": str(resources.device()),
            "link": described,
            "mac": list(parts.mac),
            "control_fd": self.control.child_fd,
            "raw": raw,
            "cause": cause,
            "baudrate": baudrate,
        }
        script = resources.device() / "vboard" / "vboard_main.py"
        try:
            self.child = process.start(
                "board",
                [parts.interpreter.path, "-X", f"heapsize={parts.heap}", str(script)],
                {"VIPERIP_VBOARD": json.dumps(told)},
                [*fds, self.control.child_fd],
                foreground=False,
                stdio=(stdin, stdout),
            )
        finally:
            os.close(stdin)
            os.close(stdout)
            self.control.close_child_end()
            if wire is not None:
                wire.close()

    def interrupt_char(self, char: int) -> None:
        """The byte that interrupts a program; -1: none does."""
        self._interrupt = char

    def deliver(self, data: bytes) -> int:
        if self._interrupt >= 0 and self._interrupt in data:
            kept = data.replace(bytes([self._interrupt]), b"")
            if time.monotonic() - self._interrupted > _INTERRUPT_SECONDS:
                self._interrupted = time.monotonic()
                if self.child is not None:
                    self.child.send(signal.SIGINT)
            data = kept
        room = max(0, RING - _waiting(self._in))
        with contextlib.suppress(OSError):
            if data[:room]:
                os.write(self._in, data[:room])
        return max(0, len(data) - room)

    @property
    def soft_reset(self) -> bool:
        """Whether it has ended by one."""
        return (
            self.ended
            and self.child is not None
            and self.child.popen.returncode in (SOFT_RESET, SOFT_RESET + 1)
        )

    @property
    def was_raw(self) -> bool:
        return self.child is not None and self.child.popen.returncode == SOFT_RESET + 1

    def stop(self) -> None:
        super().stop()
        with contextlib.suppress(OSError):
            os.close(self._in)
        if self.gateway is not None:
            process.stop(self.gateway, [signal.SIGTERM])
        if self._gateway_control is not None:
            os.close(self._gateway_control.fd)
            self._gateway_control = None


class Rom(Processor):
    """The boot loader in ROM: PyPI's esp32-mock-bootloader, with this board's flash."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.control = programs.Control()
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        self.out = os.dup(self._socket.fileno())
        try:
            self.child = process.start(
                "boot loader",
                [
                    sys.executable,
                    str(Path(__file__).with_name("rom.py")),
                    str(theirs.fileno()),
                    str(self.control.child_fd),
                    str(parts.flash),
                    parts.board.mcu,
                ],
                {},
                [theirs.fileno(), self.control.child_fd],
                foreground=False,
            )
        finally:
            theirs.close()
            self.control.close_child_end()

    def deliver(self, data: bytes) -> int:
        with contextlib.suppress(OSError):
            self._socket.send(data)
        return 0

    def stop(self) -> None:
        # self.out is the same end: without this the line would not end with the socket.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if self.child is not None:
            # It writes the flash when its line ends.
            self.child.wait(5.0)
        super().stop()


def bootable(parts: Parts) -> str | None:
    """None when the flash holds an image that the ROM would start; else what the ROM prints."""
    if not parts.blank:
        return None
    try:
        with open(parts.flash, "rb") as file:
            file.seek(image.boot_offset(parts.board.mcu))
            return image.why_not(file.read(1 << 20))
    except OSError:
        return "invalid header: 0xffffffff"
