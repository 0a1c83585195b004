"""What `viperip flash` refuses before it touches a board."""

from pathlib import Path

import pytest

from tests.host.esp_image import APP, OFFSETS, TABLE, firmware, image
from viperip_host import boards, flash_image
from viperip_host.errors import UsageError

BOARDS = {"esp32": "wt32-eth01", "esp32c3": "w5500-esp32c3", "esp32s3": "w5500-esp32s3"}


def why(folder: Path, data: bytes, mcu: str = "esp32", name: str = "firmware.bin") -> str:
    """Why DATA is refused; "" when it is not."""
    path = folder / name
    path.write_bytes(data)
    try:
        assert flash_image.check(path, boards.load(BOARDS[mcu])) == data
    except UsageError as error:
        assert name in str(error) and "\n" not in str(error)
        return str(error)
    return ""


@pytest.mark.parametrize("mcu", sorted(BOARDS))
def test_a_whole_image_is_taken(tmp_path: Path, mcu: str) -> None:
    assert why(tmp_path, firmware(mcu), mcu) == ""


@pytest.mark.parametrize("mcu", sorted(BOARDS))
def test_an_image_cut_anywhere_is_refused(tmp_path: Path, mcu: str) -> None:
    whole = firmware(mcu)
    table, app = TABLE - OFFSETS[mcu], APP - OFFSETS[mcu]
    ends = [0, 1, 13, 23, 24, 30, 500, 1100, table - 1, table, table + 31, table + 70,
            app - 1, app, app + 1, app + 23, app + 31, app + 2000,
            len(whole) - 33, len(whole) - 32, len(whole) - 1]  # fmt: skip
    for end in ends:
        assert why(tmp_path, whole[:end], mcu), end


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    whole = firmware()
    table, app = TABLE - 0x1000, APP - 0x1000
    for at in (0, 1, 12, 23, 40, 400, table, table + 40, table + 85, app, app + 12, app + 100,
               len(whole) - 40, len(whole) - 1):  # fmt: skip
        data = bytearray(whole)
        data[at] ^= 0x10
        assert why(tmp_path, bytes(data)), at


@pytest.mark.parametrize(("made", "wanted"), [("esp32s3", "esp32"), ("esp32", "esp32c3")])
def test_a_firmware_for_another_chip_is_refused(tmp_path: Path, made: str, wanted: str) -> None:
    assert f"is for {made}, the board has an {wanted}" in why(tmp_path, firmware(made), wanted)


@pytest.mark.parametrize("name", ["firmware.uf2", "firmware.elf", "ESP32_GENERIC.app-bin"])
def test_other_kinds_of_file_are_refused(tmp_path: Path, name: str) -> None:
    assert "take the .bin" in why(tmp_path, firmware(), name=name)


def test_an_application_alone_is_refused(tmp_path: Path) -> None:
    assert "application alone" in why(tmp_path, image("esp32", b"app " * 100))


def test_what_the_profile_says_to_avoid_is_refused(tmp_path: Path) -> None:
    assert "PSRAM" in why(tmp_path, firmware(), name="ESP32_GENERIC-SPIRAM-20260101-v1.29.0.bin")
    assert "package" in why(tmp_path, firmware(), name="ESP32_GENERIC-D2WD-20260101-v1.29.0.bin")
    renamed = firmware(payload=b"Generic ESP32 module with SPIRAM with ESP32\0".ljust(2048))
    assert "PSRAM" in why(tmp_path, renamed)


def test_random_bytes_are_no_firmware(tmp_path: Path) -> None:
    assert "no firmware" in why(tmp_path, bytes(range(256)) * 300)
