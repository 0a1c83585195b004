"""ELF files laid out as an ESP-IDF firmware's: sections, symbols, application description."""

import struct
from dataclasses import dataclass, field

APPDESC = 0x3F400020
TEXT = 0x400D0020
GLOBAL, WEAK, LOCAL = 1, 2, 0
FUNC, NOTYPE, OBJECT = 2, 0, 1
ABS, UNDEF = 0xFFF1, 0
SYMBOLS = {
    "esp_wifi_internal_reg_rxcb": 0x400E1234,
    "esp_wifi_internal_tx": 0x400E2344,
    "esp_wifi_internal_free_rx_buffer": 0x400E3454,
    "esp_netif_action_disconnected": 0x400E4564,
    "heap_caps_malloc": 0x40082A00,
    "heap_caps_free": 0x40082B00,
    "esp_get_free_heap_size": 0x40082C00,
}
ROM = {"memcpy": 0x4000C2C8}


def description(magic: int = 0xABCD5432) -> bytes:
    """esp_app_desc_t, its SHA-256 not filled in."""
    return struct.pack(
        "<IIII32s32s16s16s32s32s80x",
        *(magic, 0, 0, 0, b"v1.28.0", b"micropython", b"12:00:00", b"Apr  6 2026"),
        *(b"v5.5.1", bytes(32)),
    )


@dataclass
class Elf:
    """What is in the file; make() writes it."""

    machine: int = 94
    bits: int = 1  # ELFCLASS32
    appdesc: bytes | None = field(default_factory=description)
    address: int = APPDESC
    symbols: dict[str, int] = field(default_factory=lambda: dict(SYMBOLS))
    rom: dict[str, int] = field(default_factory=lambda: dict(ROM))
    more: list[tuple[str, int, int, int, int]] = field(default_factory=list)
    stripped: bool = False

    def make(self) -> bytes:
        """The file: header, contents, section headers."""
        strings = bytearray(b"\0")
        table = bytearray(16)

        def add(name: str, value: int, bind: int, kind: int, section: int) -> None:
            table.extend(
                struct.pack("<IIIBBH", len(strings), value, 4, bind << 4 | kind, 0, section)
            )
            strings.extend(name.encode() + b"\0")

        for one in self.more:
            add(*one)
        for name, value in self.symbols.items():
            add(name, value, GLOBAL, FUNC, 2)
        for name, value in self.rom.items():
            add(name, value, GLOBAL, NOTYPE, ABS)
        sections = [(".flash.text", 1, 6, TEXT, bytes(range(64)), 0, 0)]
        if self.appdesc is not None:
            sections.insert(0, (".flash.appdesc", 1, 2, self.address, self.appdesc, 0, 0))
        if not self.stripped:
            link = len(sections) + 2
            sections.append((".symtab", 2, 0, 0, bytes(table), link, 16))
            sections.append((".strtab", 3, 0, 0, bytes(strings), 0, 0))
        names = b"\0" + b"".join(name.encode() + b"\0" for name, *_ in sections) + b".shstrtab\0"
        sections.append((".shstrtab", 3, 0, 0, names, 0, 0))
        # Two segments, which esptool does not need, and readers do not mind the want of.
        body = bytearray()
        headers = bytearray(40)
        at = 52
        for name, kind, flags, address, data, link, size in sections:
            headers += struct.pack(
                "<10I",
                *(names.index(name.encode() + b"\0"), kind, flags, address, at + len(body)),
                *(len(data), link, 1, 4, size),
            )
            body += data + bytes(-len(data) & 3)
        head = struct.pack(
            "<4sBBBB8xHHIIIIIHHHHHH",
            *(b"\x7fELF", self.bits, 1, 1, 0, 2, self.machine, 1, TEXT, 0, at + len(body), 0),
            *(52, 32, 0, 40, len(sections) + 1, len(sections)),
        )
        return head + bytes(body) + bytes(headers)
