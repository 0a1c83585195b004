"""The address table of a firmware build, read from its ELF file, for link/wlan on the board.

Addresses differ from build to build: a wrong one crashes the board. So the table carries the
SHA-256 of the ELF file, which esptool has written into the image's application description
(ESP-IDF, esp_app_desc.h), and the board compares them before it calls anything.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from viperip_host.errors import HostError, UsageError

FORMAT = 1
MACHINES = {"EM_XTENSA": "xtensa", "EM_RISCV": "riscv"}
REQUIRED = (
    "esp_wifi_internal_reg_rxcb",
    "esp_wifi_internal_tx",
    "esp_wifi_internal_free_rx_buffer",
    "esp_netif_action_disconnected",
    "heap_caps_malloc",
    "heap_caps_free",
    "memcpy",
)
OPTIONAL = ("esp_get_free_heap_size",)  # harmless: the first one to call on a new board
APPDESC = ".flash.appdesc"
MAGIC = 0xABCD5432
DESCRIPTION_SIZE = 0xB0  # up to the end of the SHA-256


@dataclass(frozen=True)
class Table:
    """What the board needs of a firmware, and what names it."""

    machine: str
    sha256: str
    appdesc: int
    project: str
    version: str
    idf: str
    symbols: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """As it is written to viperip_symbols.json."""
        return {
            "viperip_symbols": FORMAT,
            "machine": self.machine,
            "elf_sha256": self.sha256,
            "appdesc": self.appdesc,
            "project": self.project,
            "version": self.version,
            "idf": self.idf,
            "symbols": self.symbols,
        }


def read(path: Path) -> Table:
    """The table of the firmware whose ELF file this is. UsageError, HostError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    try:
        return _table(path, data)
    except HostError:
        raise
    # pyelftools meets a damaged file with whatever its parsers raise.
    except (ELFError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise HostError(f"{path}: no ELF file that can be read: {error}") from None
    except (AssertionError, UnicodeError, OverflowError, MemoryError) as error:
        raise HostError(f"{path}: a damaged ELF file: {error or 'it ends early'}") from None


def _table(path: Path, data: bytes) -> Table:
    if data[:4] != b"\x7fELF":
        hint = ": this is the image; its ELF file is beside it" if data[:1] == b"\xe9" else ""
        raise HostError(f"{path}: not an ELF file{hint}")
    elf = ELFFile(io.BytesIO(data))
    machine = MACHINES.get(str(elf["e_machine"]))
    if machine is None or elf.elfclass != 32 or not elf.little_endian:
        raise HostError(f"{path}: not for an ESP32 of any kind (Xtensa or RISC-V, 32 bits)")
    section = elf.get_section_by_name(APPDESC)
    if section is None:
        raise HostError(f"{path}: no section {APPDESC}: not the ELF file of an ESP-IDF firmware")
    described = section.data()
    if len(described) < DESCRIPTION_SIZE or described[:4] != MAGIC.to_bytes(4, "little"):
        raise HostError(f"{path}: {APPDESC} holds no application description")
    symtab = elf.get_section_by_name(".symtab")
    if not isinstance(symtab, SymbolTableSection):
        raise HostError(f"{path}: no symbols: a stripped file; take the one that the build left")
    found = _symbols(symtab)
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        raise HostError(f"{path}: symbols are missing: {', '.join(missing)}")
    return Table(
        machine,
        hashlib.sha256(data).hexdigest(),
        section["sh_addr"],
        _text(described[48:80]),
        _text(described[16:48]),
        _text(described[112:144]),
        {name: found[name] for name in (*REQUIRED, *OPTIONAL) if name in found},
    )


def _symbols(symtab: SymbolTableSection) -> dict[str, int]:
    # Global definitions only: a static function may have the same name. Those in ROM have no
    # type, and belong to no section (SHN_ABS).
    wanted = {*REQUIRED, *OPTIONAL}
    found = {}
    for symbol in symtab.iter_symbols():
        if (
            symbol.name in wanted
            and symbol["st_info"]["bind"] in ("STB_GLOBAL", "STB_WEAK")
            and symbol["st_info"]["type"] in ("STT_FUNC", "STT_NOTYPE")
            and symbol["st_shndx"] != "SHN_UNDEF"
            and symbol["st_value"]
        ):
            found[symbol.name] = symbol["st_value"]
    return found


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("ascii", "replace")
