"""The Wi-Fi driver on a 32-bit board: its shims, and the C module, in MicroPython on QEMU.

The board is QEMU's `virt` with RV32, whose instruction set is that of the ESP32-C3 and C6. A
firmware in C calls back, and accounts for every frame. It is no ESP32, and no silicon.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.rv32_board import QEMU, RV32Board, addresses
from viperip_host import rv32, symbols
from viperip_host.errors import HostError
from viperip_host.testing.targets import everything_wanted

OWN = [pytest.param(True, id="shims"), pytest.param(False, id="usermod")]


@pytest.fixture(scope="module")
def elf() -> Path:
    if shutil.which(QEMU) is None:
        pytest.skip(f"needs {QEMU} (Debian: qemu-system-misc)")
    try:
        return rv32.fetch() if everything_wanted() else rv32.find()
    except HostError as error:
        pytest.skip(str(error))


@pytest.fixture
def board(elf: Path, tmp_path: Path) -> Iterator[RV32Board]:
    """A board fresh from reset, the firmware being the one of the table."""
    one = RV32Board(rv32.image(elf), tmp_path)
    try:
        setup(one, elf)
        yield one
    finally:
        one.close()


def setup(board: RV32Board, elf: Path) -> None:
    table = symbols.read(elf).as_dict()
    wanted = ("strlen", "fake_state", "fake_sent", "fake_receive", "fake_connected")
    found = addresses(elf)
    told = {**table["symbols"], **{name: found[name] for name in wanted}}
    board.run(f"import rv32_wifi as t\nt.setup({told!r}, {table!r})")


def test_c_is_called_by_its_address(board: RV32Board) -> None:
    board.run("t.calls()")


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("name", ["frames", "full_ring", "detach", "reconnect", "no_heap"])
def test_frames(board: RV32Board, name: str, own: bool) -> None:
    board.run(f"t.{name}({own})")


@pytest.mark.parametrize("own", OWN)
def test_every_frame_is_given_back_once_whatever_happens(board: RV32Board, own: bool) -> None:
    assert int(board.run(f"print(t.faults({own}, 20000))")) > 80000


@pytest.mark.parametrize("own", OWN)
def test_a_soft_reset_with_frames_on_their_way(board: RV32Board, own: bool, elf: Path) -> None:
    board.run(f"t.left_behind({own})")
    for _ in range(2):
        board.soft_reset()
        setup(board, elf)
        board.run(f"t.found_again({own})")
        board.run(f"t.left_behind({own})")


def test_the_firmware_of_another_table_is_not_touched(elf: Path, tmp_path: Path) -> None:
    # The very ELF file, without the sum that esptool would have put in.
    board = RV32Board(elf.read_bytes(), tmp_path)
    try:
        table = symbols.read(elf).as_dict()
        told = {"fake_state": addresses(elf)["fake_state"]}
        board.run(f"import rv32_wifi as t\nt.at = {told!r}; t.table = {table!r}\nt.not_taken()")
    finally:
        board.close()


def test_the_table_is_read_from_a_file(elf: Path) -> None:
    table = json.loads(json.dumps(symbols.read(elf).as_dict()))
    assert table["machine"] == "riscv" and table["appdesc"] & 3 == 0
    found = addresses(elf)
    for name, address in table["symbols"].items():
        assert found[name] == address


def test_without_a_build_the_reason_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="python -m viperip_host.rv32"):
        rv32.find()
    with pytest.raises(HostError, match="is missing"):
        rv32.fetch()
    assert rv32.main() == 1
    rv32.check_version("micropython_1.27.0+ds.orig.tar.xz")
    for old in ("micropython_1.25.0+ds.orig.tar.xz", "something"):
        with pytest.raises(HostError, match=r"needs MicroPython 1\.26\.1 or newer"):
            rv32.check_version(old)
