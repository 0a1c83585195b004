"""`viperip deploy` on what is no board, or not the one it takes: one line, and what to do next."""

import contextlib
import os
import random
import threading
import tty
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mpremote.transport_serial import SerialTransport

from tests.host.command import viperip
from tests.host.vboard import VBoard, vboard
from viperip_host import deploy_command, device_info
from viperip_host.connection import Connection, connect, open_serial
from viperip_host.errors import HostError, UsageError

__all__ = ["vboard"]

GIVEN = {"form": "mpy", "board": None, "demo": False, "force": False, "json": True}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompt is waited for a second, not five."""
    monkeypatch.setattr(Connection.interrupt, "__defaults__", (1.0,))


@contextlib.contextmanager
def sending(what: Callable[[], bytes]) -> Iterator[str]:
    """A port, on which something sends what WHAT returns, again and again."""
    near, far = os.openpty()
    tty.setraw(far)
    ended = threading.Event()

    def send() -> None:
        os.set_blocking(near, False)
        while not ended.wait(0.01):
            with contextlib.suppress(BlockingIOError):
                os.write(near, what())

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield os.ttyname(far)
    finally:
        ended.set()
        thread.join()
        os.close(near)
        os.close(far)


NOISE = random.Random(5)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("what", "said"),
    [
        (lambda: b"", "no answer; is there MicroPython on the board"),
        (lambda: NOISE.randbytes(40), "no MicroPython prompt, the board sends"),
        (
            lambda: b"rst:0x10 (RTCWDT_RTC_RESET),boot:0x13\r\ninvalid header: 0xffffffff\r\n",
            "a board that resets in a loop",
        ),
    ],
    ids=["silent", "noise", "reset-loop"],
)
def test_nothing_like_a_prompt(what: Callable[[], bytes], said: str) -> None:
    with sending(what) as port, pytest.raises(HostError) as caught:
        connect(port)
    assert said in str(caught.value) and len(str(caught.value).splitlines()) == 1
    assert "viperip flash" in str(caught.value)


@pytest.mark.usefixtures("impatient")
def test_a_program_that_swallows_every_ctrl_c(vboard: VBoard) -> None:
    busy = "import time\nwhile 1:\n try:\n  print('busy'); time.sleep(.1)\n except: pass"
    vboard.mpremote("exec", "--no-follow", busy)
    with pytest.raises(HostError, match="no MicroPython prompt, the board sends .*busy"):
        connect(vboard.port)


def test_a_boot_py_that_talks_for_ever(vboard: VBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SerialTransport.enter_raw_repl, "__defaults__", (True, 1.0))
    boot = "import time\nwhile 1:\n print('boot')\n time.sleep(.05)\n"
    vboard.mpremote("exec", f"f = open('boot.py', 'w'); f.write({boot!r}); f.close()")
    with connect(vboard.port) as board:
        with pytest.raises(HostError, match="does not answer as it should.*reset it"):
            board.soft_reset()
        board.interrupt()
        assert board.run("print(6 * 7)").strip() == "42"


def test_two_programs_on_one_port(vboard: VBoard) -> None:
    first = open_serial(vboard.port)
    done = vboard.viperip("deploy")
    first.close()
    assert done.returncode == 2
    assert "another program has this port open" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    with pytest.raises(UsageError, match="no such port"):
        connect("/dev/no-such-port")
    assert viperip("deploy", "--port", "/dev/null").returncode == 2


class Told:
    """A connection to a board that says this of itself, and is asked nothing else."""

    port = "PORT"

    def __init__(self, **told: Any) -> None:
        self.told: dict[str, Any] | None = {
            "name": "micropython", "version": [1, 29, 0], "platform": "esp32", "mpy": 10758,
            "machine": "Generic ESP32 module with ESP32", "native": True, "heap": 110000,
            "free": 100000, "psram": False, "flash": [2097152, 2000000], **told,
        }  # fmt: skip

    def ask(self, code: str, seconds: float = 10.0) -> dict[str, Any]:
        """What it says, once."""
        told, self.told = self.told, None
        assert told is not None, "it was asked more"
        return told


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"version": [1, 19, 1]}, "PORT: MicroPython 1.19.1 is too old; flash 1.22 or newer"),
        ({"name": "circuitpython"}, "PORT: this is circuitpython, not MicroPython"),
        ({"psram": True, "heap": 4000000}, "PORT: its heap lies in PSRAM"),
    ],
)
def test_a_firmware_that_cannot_run_it_is_left_alone(told: dict[str, Any], said: str) -> None:
    board: Any = Told(**told)
    with pytest.raises(HostError) as caught:
        deploy_command._run(board, GIVEN, None)
    assert str(caught.value).startswith(said) and "flash" in str(caught.value)


def test_what_is_known_of_an_esp32() -> None:
    board: Any = Told()
    info = device_info.ask(board)
    assert (info.mcu, info.architecture, info.mpy & 0xFF) == ("esp32", "xtensawin", 6)
    assert info.problems() == []
