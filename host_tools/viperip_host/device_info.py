"""What is known of a board before anything is put on it."""

import re
from dataclasses import dataclass
from typing import Any

from viperip_host.connection import Connection
from viperip_host.errors import HostError

# sys.implementation._mpy >> 10, as tools/mpy-tool.py of MicroPython has them.
ARCHITECTURES = (
    None, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp",
    "xtensa", "xtensawin", "rv32imc",
)  # fmt: skip
# The oldest MicroPython whose raw REPL, viper emitter and sockets' protocol viperip was made for.
OLDEST = (1, 22, 0)

_ASK = """
import sys, gc, json
i = sys.implementation
d = {"name": i[0], "version": list(i[1][:3]), "machine": getattr(i, "_machine", ""),
 "mpy": getattr(i, "_mpy", 0), "platform": sys.platform}
try:
    exec("@micropython.viper\\ndef f(a:int)->int:\\n return a+1\\n")
    d["native"] = True
except BaseException:
    d["native"] = False
gc.collect()
d["heap"] = gc.mem_free() + gc.mem_alloc()
d["free"] = gc.mem_free()
try:
    from esp32 import idf_heap_info, HEAP_DATA
    d["psram"] = max([h[0] for h in idf_heap_info(HEAP_DATA)]) > 1500000
except (ImportError, AttributeError):
    d["psram"] = d["heap"] > 1500000
try:
    import os
    s = os.statvfs("/")
    d["flash"] = [s[0] * s[2], s[0] * s[3]]
except (OSError, AttributeError):
    d["flash"] = None
print(json.dumps(d))
"""


@dataclass(frozen=True)
class DeviceInfo:
    """A board with MicroPython. heap, free and flash (size, free) in bytes."""

    version: tuple[int, ...]
    machine: str
    mpy: int
    native: bool
    heap: int
    free: int
    psram: bool
    flash: tuple[int, int] | None

    @property
    def mcu(self) -> str | None:
        """The chip, in esptool's name; None for one that is no ESP32."""
        found = re.search(r"with (ESP32[A-Z0-9]*)", self.machine)
        return found[1].lower() if found else None

    @property
    def architecture(self) -> str | None:
        """mpy-cross's -march; None when this firmware runs no machine code."""
        number = self.mpy >> 10
        return ARCHITECTURES[number] if number < len(ARCHITECTURES) else None

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))

    def problems(self) -> list[str]:
        """Why viperip would not run there, a sentence each."""
        found = []
        if self.version < OLDEST:
            oldest = ".".join(map(str, OLDEST[:2]))
            found.append(
                f"MicroPython {self.version_text} is too old; flash {oldest} or newer (viperip "
                "flash)"
            )
        if self.psram and self.mcu == "esp32":
            found.append(
                "its heap lies in PSRAM, which the Ethernet DMA of the ESP32 cannot reach; flash "
                "the firmware without SPIRAM"
            )
        return found


def ask(connection: Connection) -> DeviceInfo:
    """Ask the board; its raw REPL must answer. HostError for something that is no MicroPython."""
    told: dict[str, Any] = connection.ask(_ASK)
    if told["name"] != "micropython":
        raise HostError(
            f"{connection.port}: this is {told['name']}, not MicroPython; flash MicroPython "
            "(viperip flash)"
        )
    return DeviceInfo(
        version=tuple(told["version"]),
        machine=told["machine"],
        mpy=told["mpy"],
        native=told["native"],
        heap=told["heap"],
        free=told["free"],
        psram=told["psram"] and told["platform"] not in ("linux", "darwin"),
        flash=tuple(told["flash"]) if told["flash"] else None,
    )
