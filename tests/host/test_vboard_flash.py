"""The boot loader of a virtual board, by the real esptool."""

import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import serial

from tests.host.vboard import VBoard

_SEGMENT = bytes(range(256)) * 16


def image() -> bytes:
    """An image that an ESP32's ROM starts: header, one segment, checksum (esp_app_format.h)."""
    header = struct.pack("<BBBBI", 0xE9, 1, 2, 0x20, 0x400D0000) + bytes(16)
    data = header + struct.pack("<II", 0x3F400020, len(_SEGMENT)) + _SEGMENT
    checksum = 0xEF
    for byte in _SEGMENT:
        checksum ^= byte
    return data + bytes(15 - len(data) % 16) + bytes([checksum])


def esptool(board: VBoard, *arguments: str, fails: bool = False) -> str:
    # A pty has no reset lines.
    reset = () if board.rfc2217 else ("--before", "no-reset", "--after", "no-reset")
    done = subprocess.run(
        [sys.executable, "-m", "esptool", "--port", board.port, *reset, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def said_at_boot(board: VBoard) -> bytes:
    """What the board says when EN is pressed."""
    with serial.serial_for_url(board.port, 115200, timeout=20.0) as port:
        board.press(signal.SIGUSR1)
        return bytes(port.read_until(b"waiting for download\r\n"))


@pytest.mark.parametrize("rfc2217", [False, True], ids=["pty", "rfc2217"])
def test_a_blank_board_is_flashed_and_then_has_micropython(tmp_path: Path, rfc2217: bool) -> None:
    file = tmp_path / "image.bin"
    file.write_bytes(image())
    with VBoard(tmp_path, "--blank", rfc2217=rfc2217) as board:
        # One session after the other, at once: the chip is there again as soon as one ends. (One
        # is enough over RFC 2217, where pyserial negotiates at each change of a timeout.)
        for _ in range(0 if rfc2217 else 2):
            assert "Detected flash size" in esptool(board, "flash-id")
        said = esptool(board, "write-flash", "0x1000", str(file))
        assert "Hash of data verified" in said
        assert board.mpremote("exec", "import os; print(os.listdir('/'))").strip() == "[]"


def test_an_image_that_does_not_start_leaves_the_boot_loader(tmp_path: Path) -> None:
    good = image()
    file = tmp_path / "image.bin"
    with VBoard(tmp_path, "--blank") as board:
        assert b"invalid header: 0xffffffff" in said_at_boot(board)
        file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        esptool(board, "write-flash", "0x1000", str(file))
        assert b"csum err" in said_at_boot(board)
        file.write_bytes(good)
        esptool(board, "write-flash", "0x1000", str(file))
        assert board.mpremote("exec", "print(6 * 7)").strip() == "42"


def test_flash_is_read_verified_and_erased_and_is_kept(tmp_path: Path) -> None:
    file, back = tmp_path / "image.bin", tmp_path / "back.bin"
    file.write_bytes(image())
    with VBoard(tmp_path, "--blank") as board:
        esptool(board, "--baud", "460800", "write-flash", "0x1000", str(file))
        board.unplug()
        board.start()
        assert board.mpremote("exec", "print(6 * 7)").strip() == "42"
        for arguments in (
            ("verify-flash", "0x1000", str(file)),
            ("read-flash", "0x1000", str(len(image())), str(back)),
            ("erase-flash",),
        ):
            board.press(signal.SIGUSR2)
            time.sleep(0.3)
            esptool(board, *arguments)
        assert back.read_bytes() == image()
        esptool(board, "verify-flash", "0x1000", str(file), fails=True)
