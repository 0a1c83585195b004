"""Firmware files for ESP32 chips as MicroPython's are laid out (esp_app_format.h)."""

import hashlib
import struct

CHIP_IDS = {"esp32": 0, "esp32c3": 5, "esp32s3": 9}
OFFSETS = {"esp32": 0x1000, "esp32c3": 0, "esp32s3": 0}
TABLE = 0x8000
APP = 0x10000


def image(mcu: str, payload: bytes, segments: int = 2) -> bytes:
    """One image: header, segments, checksum, SHA-256."""
    header = struct.pack("<BBBBI", 0xE9, segments, 2, 0x20, 0x40080000)
    header += struct.pack("<B3sHBHH4sB", 0xEE, b"", CHIP_IDS[mcu], 0, 0, 0xFFFF, b"", 1)
    data = header
    checksum = 0xEF
    for number in range(segments):
        part = payload + bytes(-len(payload) % 4)
        data += struct.pack("<II", 0x3F400020 + number * 0x10000, len(part)) + part
        for byte in part:
            checksum ^= byte
    data += bytes(15 - len(data) % 16) + bytes([checksum])
    return data + hashlib.sha256(data).digest()


def table() -> bytes:
    """A partition table: nvs, the application, its MD5."""
    entries = struct.pack("<2sBBII16sI", b"\xaa\x50", 1, 2, 0x9000, 0x6000, b"nvs", 0)
    entries += struct.pack("<2sBBII16sI", b"\xaa\x50", 0, 0, APP, 0x1F0000, b"factory", 0)
    entries += b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(entries).digest()
    return entries.ljust(0xC00, b"\xff")


def firmware(mcu: str = "esp32", payload: bytes = bytes(range(256)) * 8) -> bytes:
    """A whole file: boot loader, partition table, application."""
    offset = OFFSETS[mcu]
    data = image(mcu, b"boot loader " * 40).ljust(TABLE - offset, b"\xff")
    data = (data + table()).ljust(APP - offset, b"\xff")
    return data + image(mcu, payload)
