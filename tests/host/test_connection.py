"""A port that cannot be used says why, and what to do next; the only board is found by itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.vboard import VBoard, vboard
from viperip_host import connection
from viperip_host.connection import BoardError, connect, find_port
from viperip_host.errors import HostError, UsageError

__all__ = ["vboard"]

NOBODY = 65534


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ("/dev/no-such-port", "no such port"),
        ("rfc2217://127.0.0.1:1", "nothing answers there"),
        ("socket://127.0.0.1:1", "nothing answers there"),
        ("gopher://x", "it is a path, rfc2217://HOST:PORT or socket://HOST:PORT"),
    ],
)
def test_what_is_wrong_with_a_port(port: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        connect(port)
    text = str(caught.value)
    assert text.startswith(f"{port}: ") and said in text and "\n" not in text


def test_a_file_is_no_port(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no port")
    with pytest.raises(UsageError, match="this is no serial port"):
        connect(str(file))


def test_no_port_and_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "usb_ports", list)
    with pytest.raises(UsageError, match="plug the board in.*--port.*viperip doctor"):
        find_port(None)
    monkeypatch.setattr(connection, "usb_ports", lambda: ["/dev/ttyUSB0", "/dev/ttyACM0"])
    with pytest.raises(UsageError, match=r"choose one with --port \(/dev/ttyUSB0, /dev/ttyACM0\)"):
        find_port(None)
    monkeypatch.setattr(connection, "usb_ports", lambda: ["/dev/ttyUSB0"])
    assert find_port(None) == "/dev/ttyUSB0"
    assert find_port("/tmp/x") == "/tmp/x"


@pytest.mark.root
def test_a_port_without_permission(vboard: VBoard) -> None:
    device = os.path.realpath(vboard.path)
    os.chmod(device, 0o600)
    code = (
        "import grp, os, sys\nfrom viperip_host import connection, errors\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "try:\n    connection.connect(sys.argv[1])\n"
        "except errors.UsageError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, device], capture_output=True, text=True, check=False
    )
    assert "no permission" in done.stdout and "usermod" in done.stdout, done.stderr


def test_an_exception_on_the_board_has_its_last_line(vboard: VBoard) -> None:
    with connect(vboard.port) as board:
        with pytest.raises(BoardError) as caught:
            board.run("def f():\n    return 1 / 0\nf()")
        assert str(caught.value).endswith("the board says: ZeroDivisionError: divide by zero")
        assert "line 2, in f" in caught.value.traceback
        assert board.ask("print('noise')\nprint('[1, 2]')") == [1, 2]
        with pytest.raises(HostError, match="cut or garbled"):
            board.ask("print('no JSON')")


def test_the_speed_is_changed_and_changed_back(vboard: VBoard) -> None:
    with connect(vboard.port) as board:
        assert board.use_speed(921600) and board.run("print(1)") == "1\n"
    assert vboard.mpremote("exec", "print(2)") == "2\n"


def test_a_board_left_at_the_fast_speed_is_found(vboard: VBoard, tmp_path: Path) -> None:
    board = connect(vboard.port)
    board.use_speed(921600)
    board.transport.in_raw_repl = False  # as if this program had been killed
    board.close()
    with connect(vboard.port) as again:
        assert again.run("print(3)") == "3\n"
