"""The machine code of link/wlan, executed: on three Xtensa cores and RV32, by QEMU's user mode.

It is also compared with what others make of the same instructions: mpy-cross's assembler, and the
disassemblers of QEMU and of binutils. None of this is silicon.
"""

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.host.shim_process import (
    BASE,
    CALL,
    DEEP,
    GIVE_BACK,
    POKE,
    RECEIVE,
    RING,
    SLOTS,
    codes,
    program,
    run,
)
from viperip_host import package, resources

CORES = [
    pytest.param("xtensa", ("-cpu", core), id=core) for core in ("dc232b", "dc233c", "de212")
] + [pytest.param("riscv32", (), id="rv32")]
HEAD, TAIL, DROPPED, CLOSED, LATE, SLOT = 0, 1, 2, 4, 5, 8
TAIL_AT = BASE + RING + 4 * TAIL
CLOSED_AT = BASE + RING + 4 * CLOSED


@pytest.fixture(autouse=True)
def _programs(request: pytest.FixtureRequest) -> None:
    needed = {
        "qemu-xtensa": "qemu-user",
        "riscv64-unknown-elf-objdump": "binutils-riscv64-unknown-elf",
    }
    for name, package_name in needed.items():
        if shutil.which(name) is None:
            pytest.skip(f"needs {name} (Debian: {package_name})")


class Expected:
    """What the ring must be after a sequence of calls: written from the contract in layout.py."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.head = self.tail = self.dropped = self.late = self.closed = 0
        self.entries = [[0, 0, 0, 0] for _ in range(slots)]
        self.freed: list[int] = []

    def receive(self, buffer: int, length: int, eb: int) -> None:
        if self.closed:
            self.late += 1
            self.freed.append(eb)
        elif self.head - self.tail == self.slots:
            self.dropped += 1
            self.freed.append(eb)
        else:
            self.entries[self.head % self.slots] = [buffer, length & 0xFFFF, eb, 0]
            self.head += 1


@pytest.mark.parametrize(("architecture", "options"), CORES)
def test_nine_frames_for_eight_slots(
    architecture: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    rows = [
        (BASE + RECEIVE, 0x80001000 + i, 0x10000 + 60 + i, 0x90000000 + i) for i in range(9)
    ]
    done = run(architecture, rows, tmp_path, *options)
    assert done.results == [0] * 9 and done.returned == [1] * 9
    assert done.freed == [0x90000008]
    assert (done.ring[HEAD], done.ring[TAIL], done.ring[DROPPED], done.ring[LATE]) == (8, 0, 1, 0)
    for i in range(8):
        at = SLOT + 4 * i
        assert done.ring[at : at + 3] == [0x80001000 + i, 60 + i, 0x90000000 + i]


@pytest.mark.parametrize("slots", [2, 8, 16])
@pytest.mark.parametrize(("architecture", "options"), CORES)
def test_every_frame_is_kept_or_given_back_once(
    architecture: str, options: tuple[str, ...], slots: int, tmp_path: Path
) -> None:
    rng = random.Random(slots)
    expected = Expected(slots)
    # Counters that wrap on the way.
    expected.head = expected.tail = (1 << 32) - 100
    rows: list[tuple[int, ...]] = [
        (BASE + POKE, BASE + RING + 4 * HEAD, expected.head),
        (BASE + POKE, TAIL_AT, expected.tail),
    ]
    for i in range(1000):
        dice = rng.random()
        if dice < 0.6:
            frame = (rng.getrandbits(32), rng.getrandbits(32), 0xA0000000 + i)
            rows.append((BASE + RECEIVE, *frame))
            expected.receive(*frame)
        elif dice < 0.97:
            if expected.tail != expected.head:
                expected.tail += 1
                rows.append((BASE + POKE, TAIL_AT, expected.tail))
        else:
            expected.closed ^= 1
            rows.append((BASE + POKE, CLOSED_AT, expected.closed))
    done = run(architecture, rows, tmp_path, *options, slots=slots)
    assert expected.dropped and expected.late
    assert done.freed == expected.freed and set(done.returned) == {1}
    mask = 0xFFFFFFFF
    assert done.ring[: LATE + 1] == [
        *(expected.head & mask, expected.tail & mask, expected.dropped),
        *(BASE + GIVE_BACK, expected.closed, expected.late),
    ]
    assert done.ring[SLOT:] == [word for entry in expected.entries for word in entry]


@pytest.mark.parametrize(("architecture", "options"), CORES)
def test_called_from_deep_below(
    architecture: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    # Forty frames of windowed registers are five times what these cores hold: all but the last
    # are spilled to the stack, by the callback too, and reloaded.
    rows = [(BASE + DEEP, depth, 0x1234, 60, depth) for depth in (0, 1, 7, 8, 40) * 3]
    done = run(architecture, rows, tmp_path, *options)
    assert done.results == [depth * (depth + 1) // 2 for depth in (0, 1, 7, 8, 40) * 3]
    assert done.ring[HEAD] == SLOTS and done.ring[DROPPED] == 7
    assert done.freed == [8, 40, 0, 1, 7, 8, 40]


@pytest.mark.parametrize(("architecture", "options"), CORES)
def test_a_call_carries_all_bits_and_its_result(
    architecture: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    # POKE returns its first argument: the register that a result is in is that of an argument.
    rows = [(BASE + POKE, BASE + RING + 4 * (SLOT + i), 0x80000001 << i) for i in range(3)]
    done = run(architecture, rows, tmp_path, *options)
    assert done.ring[SLOT : SLOT + 3] == [0x80000001, 2, 4]
    assert done.results == [row[1] for row in rows]


# Beside other people's assemblers.

MNEMONIC = re.compile(r"^    a\.(?!label|literal|emit)\w+\(.*#\s+(\S.*)$")


def listing(name: str) -> list[str]:
    """The assembly that stands beside the encoder, an instruction a line, without remarks."""
    source = (resources.firmware() / "viperip/link/wlan" / name).read_text()
    found = [MNEMONIC.match(line) for line in source.splitlines()]
    return [re.split(r"\s{2,}(?=\S+ )", line[1])[0] for line in found if line]
