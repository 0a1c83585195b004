"""What the ROM of an ESP32 checks of the image it starts (ESP-IDF, esp_app_format.h)."""

import hashlib
import struct

_MAGIC = 0xE9
_HEADER = 24
_CHECKSUM_SEED = 0xEF


def boot_offset(mcu: str) -> int:
    """Where in flash the ROM of a chip finds the second stage boot loader."""
    return 0x1000 if mcu in ("esp32", "esp32s2") else 0


def why_not(data: bytes) -> str | None:
    """None for an image that starts; otherwise what the ROM says."""
    if len(data) < _HEADER or data[0] != _MAGIC:
        word = int.from_bytes(data[:4].ljust(4, b"\xff"), "little")
        return f"invalid header: 0x{word:08x}"
    at = _HEADER
    checksum = _CHECKSUM_SEED
    for _ in range(data[1]):
        if at + 8 > len(data):
            return "invalid segment length 0xffffffff"
        length = struct.unpack_from("<I", data, at + 4)[0]
        at += 8
        if at + length > len(data):
            return f"invalid segment length 0x{length:08x}"
        for byte in data[at : at + length]:
            checksum ^= byte
        at += length
    at += 15 - at % 16
    if at >= len(data) or data[at] != checksum:
        return f"csum err:0x{data[at] if at < len(data) else 0xFF:02x}!=0x{checksum:02x}"
    at += 1
    if data[23] == 1 and hashlib.sha256(data[:at]).digest() != data[at : at + 32]:
        return "SHA-256 comparison failed"
    return None
