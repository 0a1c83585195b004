"""The shims of firmware/viperip/link/wlan as a Linux process of another architecture.

What tests/device/shim_harness.py assembles becomes a static program, which QEMU's user mode
runs: every row is a call of a function by its address, through the call shim.
"""

import json
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from viperip_host import interpreter, resources

BASE = 0x00400000
START, CALL, RECEIVE, GIVE_BACK, POKE, DEEP = 0x1000, 0x2000, 0x2100, 0x2200, 0x2300, 0x2400
MAILBOX, RING, LOG, ROWS, END = 0x3000, 0x3100, 0x3800, 0x8000, 0x18000
SLOTS = 8
MACHINES = {"xtensa": 94, "riscv32": 243}  # e_machine


@dataclass
class Done:
    """What a process has left behind."""

    results: list[int]  # of the rows
    returned: list[int]  # by the call shim
    ring: list[int]  # words
    freed: list[int]  # every eb that was given back, in order


def codes(architecture: str, slots: int = SLOTS) -> dict[int, bytes]:
    """The machine code by its offset, from the firmware's own encoder in MicroPython."""
    script = Path(__file__).parents[1] / "device" / "shim_harness.py"
    done = subprocess.run(
        [interpreter.find().path, str(script), architecture, str(BASE), str(slots)],
        capture_output=True,
        text=True,
        check=True,
        env={"MICROPYPATH": str(resources.firmware())},
    )
    return {int(place): bytes.fromhex(code) for place, code in json.loads(done.stdout).items()}


def program(architecture: str, code: dict[int, bytes], rows: Sequence[tuple[int, ...]]) -> bytes:
    """An executable: one segment, at BASE, which may be read, written and executed."""
    memory = bytearray(END)
    for place, one in code.items():
        memory[place : place + len(one)] = one
    struct.pack_into("<I", memory, RING + 12, BASE + GIVE_BACK)
    assert ROWS + 32 * len(rows) < END
    for i, row in enumerate(rows):
        words = [word & 0xFFFFFFFF for word in (*row, 0, 0, 0, 0)[:5]]
        struct.pack_into("<5I", memory, ROWS + 32 * i, *words)
    struct.pack_into(
        "<4sBBBB8xHHIIIIIHHHHHH",
        memory,
        0,
        *(b"\x7fELF", 1, 1, 1, 0),  # 32 bits, little-endian
        *(2, MACHINES[architecture], 1, BASE + START, 52, 0, 0, 52, 32, 1, 0, 0, 0),
    )
    struct.pack_into("<8I", memory, 52, 1, 0, BASE, BASE, END, END, 7, 0x1000)
    return bytes(memory)


def run(
    architecture: str,
    rows: Sequence[tuple[int, ...]],
    folder: Path,
    *options: str,
    slots: int = SLOTS,
) -> Done:
    """Make the calls that ROWS are, (function, arguments ...), on QEMU with these OPTIONS."""
    path = folder / "program"
    path.write_bytes(program(architecture, codes(architecture, slots), rows))
    path.chmod(0o755)
    done = subprocess.run(
        [f"qemu-{architecture}", *options, str(path)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert len(done.stdout) == END - MAILBOX

    def words(place: int, n: int) -> list[int]:
        return list(struct.unpack_from(f"<{n}I", done.stdout, place - MAILBOX))

    table = [words(ROWS + 32 * i, 8) for i in range(len(rows))]
    return Done(
        [row[5] for row in table],
        [row[6] for row in table],
        words(RING, 8 + 4 * slots),
        words(LOG + 4, words(LOG, 1)[0]),
    )
