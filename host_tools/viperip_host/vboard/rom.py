"""The boot loader in ROM as a program: rom.py SOCKET_FD CONTROL_FD FLASH_FILE CHIP.

A process of its own, so that esptool, which the mock is made of, is only ever run as a program.
"""

import json
import os
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

from esp32_mock_bootloader import server

# How long the mock waits for the host. Its own 50 ms are less than what a packet of read-flash
# takes on the line (4 KB at 9,600 baud: 4.3 s), and it gives up reading then.
_PATIENCE_SECONDS = 6.0


class Line:
    """The mock's connection: passes bytes on, and tells of a change of speed."""

    def __init__(self, sock: socket.socket, control_fd: int) -> None:
        self._inner = server.BootloaderConnection(sock=sock)
        self._control_fd = control_fd
        self._speed: int | None = None
        self._seen = bytearray()

    def set_timeout(self, timeout: float) -> None:
        self._inner.set_timeout(max(timeout, _PATIENCE_SECONDS))

    def recv(self, size: int) -> bytes:
        data: bytes = self._inner.recv(size)
        self._seen += data
        for frame in server.slip_decode_frames(bytes(self._seen)):
            if len(frame) >= 12 and frame[1] == server.protocol.CMD_CHANGE_BAUDRATE:
                self._speed = struct.unpack_from("<I", frame, 8)[0]
        last = self._seen.rfind(0xC0)
        if last > 0:
            del self._seen[:last]
        return data

    def sendall(self, data: bytes) -> None:
        self._inner.sendall(data)
        if self._speed is not None:
            os.write(self._control_fd, json.dumps({"baud": self._speed}).encode() + b"\n")
            self._speed = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def main(socket_fd: str, control_fd: str, flash_file: str, chip: str) -> None:
    path = Path(flash_file)
    flash = server.FlashImage()
    if path.exists():
        data = path.read_bytes()
        flash.data[: len(data)] = data
    line = Line(socket.socket(fileno=int(socket_fd)), int(control_fd))
    try:
        server.handle_client(line, threading.Event(), chip, flash=flash)
    finally:
        part = path.with_suffix(".part")
        part.write_bytes(bytes(flash.data))
        part.replace(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
