"""What a firmware file for an ESP32 holds, and whether all of it is there.

MicroPython's .bin goes to one offset: the second stage boot loader, at 0x8000 of flash the
partition table, and at an offset that this names the application. (ESP-IDF: esp_app_format.h,
esp_flash_partitions.h.)
"""

import hashlib
import struct
from pathlib import Path
from typing import Any

from viperip_host.errors import UsageError
from viperip_host.vboard import image

# esp_chip_id_t
CHIPS = {0: "esp32", 2: "esp32s2", 5: "esp32c3", 9: "esp32s3", 12: "esp32c2", 13: "esp32c6",
         16: "esp32h2", 18: "esp32p4"}  # fmt: skip
_MAGIC = 0xE9
_TABLE = 0x8000
_TABLE_SIZE = 0xC00
_ENTRY = struct.Struct("<2sBBII16sI")
_APP = 0
# MICROPY_HW_BOARD_NAME of MicroPython's SPIRAM firmware.
_SPIRAM = b"module with SPIRAM"


def check(path: Path, profile: dict[str, Any]) -> bytes:
    """The bytes of a firmware file for the board of PROFILE. UsageError says what is wrong."""
    name = path.name
    _check_name(name, profile)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    offset = int(profile["firmware"]["flash_offset"], 16)
    _check_image(name, data, "boot loader", profile["mcu"])
    app = _app_offset(name, data, offset) - offset
    _check_image(name, data[app:], "application", profile["mcu"])
    for one in profile["firmware"]["avoid"]:
        if "SPIRAM" in one["file"] and _SPIRAM in data:
            raise UsageError(f"{name}: not for this board: {one['why']}")
    return data


def _check_name(name: str, profile: dict[str, Any]) -> None:
    suffix = name.rpartition(".")[2].lower()
    if suffix in ("uf2", "elf", "app-bin"):
        why = {
            "uf2": "is for boards that appear as a disk",
            "elf": "is for a debugger",
            "app-bin": "is an update over the air, without boot loader and partition table",
        }[suffix]
        raise UsageError(f"{name}: a .{suffix} {why}; take the .bin of the same page")
    for one in profile["firmware"]["avoid"]:
        if name.upper().startswith(one["file"].partition("-DATE")[0].upper() + "-"):
            raise UsageError(f"{name}: not for this board: {one['why']}")


def _cut(name: str, what: str) -> UsageError:
    return UsageError(f"{name}: cut short or damaged ({what}); download it again")


def _check_image(name: str, data: bytes, part: str, mcu: str) -> None:
    if not data:
        raise _cut(name, f"the {part} is missing")
    if data[0] != _MAGIC:
        if part == "boot loader":
            raise UsageError(f"{name}: this is no firmware for an ESP32; take the .bin file")
        raise _cut(name, f"{part}: no image")
    if len(data) >= 14:
        number = struct.unpack_from("<H", data, 12)[0]
        chip = CHIPS.get(number, f"a chip with the number {number}")
        if chip != mcu:
            raise UsageError(f"{name}: the {part} is for {chip}, the board has an {mcu}")
    why = image.why_not(data)
    if why is None and data[23] > 1:
        why = "header: hash_appended"
    if why is not None:
        raise _cut(name, f"{part}: {why}")


def _app_offset(name: str, data: bytes, offset: int) -> int:
    """Where in flash the first application lies."""
    at = _TABLE - offset
    table = data[at : at + _TABLE_SIZE]
    if not table:
        raise UsageError(
            f"{name}: cut short, or an application alone: there is no partition table; take the "
            "whole .bin"
        )
    found = None
    for entry in range(0, _TABLE_SIZE, _ENTRY.size):
        raw = table[entry : entry + _ENTRY.size]
        if len(raw) < _ENTRY.size:
            raise _cut(name, "partition table")
        if raw[:2] == b"\xeb\xeb":
            if hashlib.md5(table[:entry]).digest() != raw[16:]:
                raise _cut(name, "partition table: MD5")
            break
        if raw == b"\xff" * _ENTRY.size:
            break
        magic, kind, _, start, _, _, _ = _ENTRY.unpack(raw)
        if magic != b"\xaa\x50":
            raise _cut(name, "partition table")
        if kind == _APP and found is None:
            found = start
    if found is None or found < _TABLE + _TABLE_SIZE:
        raise _cut(name, "partition table: no application")
    return int(found)
