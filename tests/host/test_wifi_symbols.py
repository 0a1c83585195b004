"""`viperip symbols`: the table of a firmware's ELF file, and what it says to other files."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.esp_elf import ABS, APPDESC, FUNC, GLOBAL, LOCAL, OBJECT, ROM, SYMBOLS, UNDEF, Elf
from tests.host.esp_elf import description as described
from viperip_host import cli, symbols
from viperip_host.errors import HostError


def read(elf: Elf, tmp_path: Path) -> symbols.Table:
    path = tmp_path / "firmware.elf"
    path.write_bytes(elf.make())
    return symbols.read(path)


def test_the_table_of_a_firmware(tmp_path: Path) -> None:
    elf = Elf()
    table = read(elf, tmp_path)
    assert table.symbols == {**SYMBOLS, **ROM}
    assert table.appdesc == APPDESC and table.machine == "xtensa"
    assert (table.project, table.version, table.idf) == ("micropython", "v1.28.0", "v5.5.1")
    assert table.sha256 == hashlib.sha256(elf.make()).hexdigest()
    assert read(Elf(machine=243), tmp_path).machine == "riscv"


def test_the_sum_is_the_one_that_esptool_puts_into_the_image(tmp_path: Path) -> None:
    # ESP-IDF's build calls it so. In an image, the description follows a header of 32 bytes.
    table = read(Elf(), tmp_path)
    image = tmp_path / "firmware.bin"
    command = ["--chip", "esp32", "elf2image", "--elf-sha256-offset", "0xb0"]
    subprocess.run(
        [sys.executable, "-m", "esptool", *command, "-o", image, tmp_path / "firmware.elf"],
        check=True,
        capture_output=True,
    )
    data = image.read_bytes()
    assert data[0x20:0x24] == symbols.MAGIC.to_bytes(4, "little")
    assert data[0xB0:0xD0].hex() == table.sha256


def test_only_global_definitions_count(tmp_path: Path) -> None:
    name = "esp_wifi_internal_tx"
    elf = Elf(
        more=[
            (name, 0x40001000, LOCAL, FUNC, 2),
            (name, 0x3FFB0000, GLOBAL, OBJECT, 2),
            (name, 0, GLOBAL, FUNC, UNDEF),
        ]
    )
    assert read(elf, tmp_path).symbols[name] == SYMBOLS[name]
    del elf.symbols[name]
    with pytest.raises(HostError, match="symbols are missing: esp_wifi_internal_tx$"):
        read(elf, tmp_path)
    # In ROM, as on the ESP32-C5.
    elf.rom[name] = 0x40000B1C
    assert read(elf, tmp_path).symbols[name] == 0x40000B1C
    assert ABS == 0xFFF1


BAD = {
    "not an ELF file": b"",
    "this is the image": b"\xe9\x03\x02\x20" + bytes(100),
    "not for an ESP32": Elf(machine=62).make(),
    "no section .flash.appdesc": Elf(appdesc=None).make(),
    "holds no application description": Elf(appdesc=described(0xABCD5431)).make(),
    "holds no application descript": Elf(appdesc=described()[:100]).make(),
    "a stripped file": Elf(stripped=True).make(),
    "symbols are missing: memcpy": Elf(rom={}).make(),
    "symbols are missing: memcpy$": Elf(rom={"memcpy": 0}).make(),
}


@pytest.mark.parametrize("message", BAD)
def test_other_files_are_refused(message: str, tmp_path: Path) -> None:
    path = tmp_path / "firmware.elf"
    path.write_bytes(BAD[message])
    with pytest.raises(HostError, match=message):
        symbols.read(path)


def test_a_damaged_file_is_refused_whatever_is_damaged(tmp_path: Path) -> None:
    whole = Elf().make()
    path = tmp_path / "firmware.elf"
    refused = 0
    for i in range(0, len(whole), 3):
        for data in (whole[:i], whole[:i] + b"\xff\xff\xff" + whole[i + 3 :]):
            path.write_bytes(data)
            try:
                table = symbols.read(path)
            except HostError as error:
                refused += 1
                assert "\n" not in str(error)
            else:
                assert table.sha256 != hashlib.sha256(whole).hexdigest()
    assert refused > len(whole) // 3


def test_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("firmware.elf").write_bytes(Elf().make())
    assert cli.main(["symbols", "firmware.elf", "-o", "table.json"]) == 0
    out = capsys.readouterr().out
    assert "0x400e2344  esp_wifi_internal_tx\n" in out and "mpremote cp table.json" in out
    written = json.loads(Path("table.json").read_text())
    assert cli.main(["symbols", "firmware.elf", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == written
    assert written["viperip_symbols"] == 1 and written["symbols"] == {**SYMBOLS, **ROM}
    assert cli.main(["symbols", "nothing.elf"]) == 2
    assert "nothing.elf: No such file" in capsys.readouterr().err
    assert cli.main(["symbols", "firmware.elf", "-o", "no/folder"]) == 2
    assert cli.main(["symbols", "table.json"]) == 1
    assert "not an ELF file" in capsys.readouterr().err
