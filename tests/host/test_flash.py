"""`viperip flash` with the real esptool, on virtual boards."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.command import VIPERIP, refused, viperip
from tests.host.esp_image import firmware
from tests.host.vboard import VBoard
from viperip_host import flasher

BOARD = ("--board", "wt32-eth01")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "firmware.bin"
    path.write_bytes(firmware())
    return path


@pytest.fixture
def blank(tmp_path: Path) -> Iterator[VBoard]:
    with VBoard(tmp_path, "--blank") as board:
        yield board


def test_a_blank_board_is_flashed_and_answers(blank: VBoard, file: Path) -> None:
    done = blank.viperip("flash", *BOARD, "--firmware", str(file), "--erase", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["native"] is True
    assert told["problems"] == []
    written = (blank.state / "flash.bin").read_bytes()
    # esptool sets the flash size in the header of the boot loader.
    assert written[0x8000:][: 0x8000 + 2000] == file.read_bytes()[0x7000:][: 0x8000 + 2000]


def test_the_reset_lines_of_rfc2217_are_used(tmp_path: Path, file: Path) -> None:
    with VBoard(tmp_path, "--blank", rfc2217=True) as board:
        done = board.viperip("flash", *BOARD, "--firmware", str(file))
        assert done.returncode == 0, done.stderr
        assert "ready for viperip" in done.stdout


def test_manual_waits_for_the_boot_loader(blank: VBoard, file: Path) -> None:
    done = blank.viperip("flash", *BOARD, "--firmware", str(file), "--manual")
    assert done.returncode == 0, done.stderr
    assert "Hold IO0 at GND" in done.stderr
    assert "The boot loader answers." in done.stderr


def test_another_chip_than_the_profile_s_is_refused(tmp_path: Path, blank: VBoard) -> None:
    other = tmp_path / "s3.bin"
    other.write_bytes(firmware("esp32s3"))
    done = blank.viperip("flash", "--board", "w5500-esp32s3", "--firmware", str(other))
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "the chip is an ESP32" in done.stderr


def test_a_cable_pulled_in_the_middle_is_mended_by_the_next_run(
    tmp_path: Path, blank: VBoard
) -> None:
    file = tmp_path / "large.bin"
    file.write_bytes(firmware(payload=os.urandom(400_000)))
    with subprocess.Popen(
        [*VIPERIP, "flash", "--port", blank.port, *BOARD, "--firmware", str(file)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        time.sleep(4)
        assert running.poll() is None
        blank.unplug()
        assert running.stderr
        said = running.stderr.read()
        assert running.wait() in (1, 2)
    assert len(said.splitlines()) == 1, said
    assert blank.port in said
    blank.start()
    small = tmp_path / "small.bin"
    small.write_bytes(firmware())
    done = blank.viperip("flash", *BOARD, "--firmware", str(small))
    assert done.returncode == 0, done.stderr


def test_a_port_that_another_program_has_is_busy(blank: VBoard, file: Path) -> None:
    import serial

    with serial.serial_for_url(blank.port, exclusive=True):
        said = refused("flash", *BOARD, "--port", blank.port, "--firmware", str(file))
    assert "another program has this port open" in said


def test_no_such_port_and_no_answer(tmp_path: Path, file: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    said = refused("flash", *BOARD, "--port", nowhere, "--firmware", str(file))
    assert "no such port" in said
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = f"socket://127.0.0.1:{silent.getsockname()[1]}"
        done = viperip("flash", *BOARD, "--port", port, "--firmware", str(file), timeout=90)
    assert done.returncode == 1, done.stderr
    assert "no boot loader answers" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_a_file_it_says_which_one() -> None:
    said = refused("flash", *BOARD)
    assert "ESP32_GENERIC-DATE-VERSION.bin" in said
    assert "https://micropython.org/download/ESP32_GENERIC/" in said
    assert "is flashed" in refused("flash", "--board", "unix")


def test_a_running_oscillator_is_named() -> None:
    assert "oscillator" in flasher._booted("GPIO0_IN")
    assert "oscillator" not in flasher._booted("GPIO17_OUT")


def test_esptool_that_is_killed_is_one_line() -> None:
    said = str(flasher.explain("P", "Writing at 0x1000 3 %\n", True, -signal.SIGKILL))
    assert said.startswith("P: ") and "signal 9" in said and "\n" not in said
