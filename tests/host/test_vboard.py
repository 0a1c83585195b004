"""The virtual board, by the programs that people use: mpremote, pyserial, a shell."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import serial

from tests.host.board import free_port
from tests.host.command import alive, refused
from tests.host.vboard import VBoard, vboard, wait_until_gone

__all__ = ["vboard"]

PROMPT = b">>> "


@pytest.fixture(params=["pty", "rfc2217"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> VBoard:
    board = VBoard(tmp_path, rfc2217=request.param == "rfc2217")
    request.addfinalizer(lambda: board.__exit__(None, None, None))
    return board


def read_until(port: serial.Serial, text: bytes, seconds: float = 10.0) -> bytes:
    end = time.monotonic() + seconds
    seen = b""
    while text not in seen:
        assert time.monotonic() < end, f"no {text!r} in {seen!r}"
        seen += port.read(1)
    return seen


def opened(board: VBoard, baudrate: int = 115200) -> serial.Serial:
    return serial.serial_for_url(board.port, baudrate, timeout=0.2)


def at_prompt(board: VBoard) -> serial.Serial:
    port = opened(board)
    port.write(b"\r\x03")
    read_until(port, PROMPT)
    time.sleep(0.05)
    port.reset_input_buffer()
    return port


def test_mpremote_sees_an_esp32(either: VBoard) -> None:
    out = either.mpremote("exec", "import sys, os; print(sys.implementation[2], os.uname()[0])")
    assert out.split() == ["Virtual", "board", "with", "ESP32", "esp32"]


def test_mpremote_keeps_files(either: VBoard, tmp_path: Path) -> None:
    here = tmp_path / "idea.py"
    here.write_text("def f():\n    return 'kept'\n" + "# filler\n" * 200)
    either.mpremote("fs", "mkdir", ":lib", "+", "fs", "cp", str(here), ":lib/idea.py")
    assert "idea.py" in either.mpremote("fs", "ls", ":lib")
    assert either.mpremote("fs", "cat", ":lib/idea.py") == here.read_text()
    assert either.mpremote("exec", "import idea; print(idea.f())").strip() == "kept"
    either.mpremote("soft-reset")
    assert either.mpremote("resume", "exec", "import idea; print(idea.f())").strip() == "kept"
    either.mpremote("fs", "rm", ":lib/idea.py")
    assert "idea.py" not in either.mpremote("fs", "ls", ":lib")


def test_files_survive_a_new_cable_and_boot_and_main_run(tmp_path: Path) -> None:
    (tmp_path / "boot.py").write_text("print('boot')\n")
    (tmp_path / "main.py").write_text("print('main')\nx = 42\n")
    with VBoard(tmp_path) as board:
        board.mpremote("fs", "cp", str(tmp_path / "boot.py"), str(tmp_path / "main.py"), ":")
        board.unplug()
        board.start()
        port = at_prompt(board)
        port.write(b"x\r")
        assert b"42" in read_until(port, PROMPT)
        # A soft reset at the prompt runs both; one in raw mode runs boot.py alone.
        port.write(b"\x04")
        seen = read_until(port, PROMPT)
        assert b"soft reboot" in seen and b"boot\n" in seen and b"main\n" in seen
        port.write(b"\x01")
        read_until(port, b"exit\r\n>")
        port.write(b"\x04")
        seen = read_until(port, b"exit\r\n>")
        assert b"boot\n" in seen and b"main" not in seen
        port.close()


def test_the_prompt_edits_lines_and_shows_tracebacks(vboard: VBoard) -> None:
    port = at_prompt(vboard)
    port.write(b"print(12x\x7f3)\r")
    assert b"123\n" in read_until(port, PROMPT)
    port.write(b"for i in range(2):\r    print(i + 70)\r\r")
    seen = read_until(port, PROMPT)
    assert b"70\n71\n" in seen
    port.write(b"1/0\r")
    seen = read_until(port, PROMPT)
    assert b'File "<stdin>", line 1' in seen and b"ZeroDivisionError" in seen
    port.write(b"\x05print('pasted')\r\x04")
    assert b"pasted\n" in read_until(port, PROMPT)[20:]
    port.close()


def test_raw_paste_is_as_documented(vboard: VBoard) -> None:
    # MicroPython, docs/reference/repl.rst: "R\x01", the window, and a byte for each window taken.
    port = at_prompt(vboard)
    port.write(b"\x01")
    read_until(port, b"exit\r\n>")
    port.write(b"\x05A\x01")
    assert read_until(port, b"R\x01")[-2:] == b"R\x01"
    window = int.from_bytes(port.read(2), "little")
    assert port.read(1) == b"\x01"
    code = b"print('x' * 3)\n" + b"#" * (2 * window) + b"\n"
    left, sent = 2 * window, 0
    while sent < len(code):
        while not left:
            assert port.read(1) == b"\x01"
            left += window
        piece = code[sent : sent + left]
        port.write(piece)
        sent += len(piece)
        left -= len(piece)
    port.write(b"\x04")
    answer = read_until(port, b"\x04>")
    assert answer.lstrip(b"\x01") == b"\x04xxx\n\x04\x04>"
    port.close()


def test_ctrl_c_ends_a_loop(vboard: VBoard) -> None:
    port = at_prompt(vboard)
    port.write(b"while True: pass\r\r")
    time.sleep(0.3)
    port.write(b"\x03")
    assert b"KeyboardInterrupt" in read_until(port, PROMPT)
    port.close()


def test_ctrl_c_is_a_byte_where_the_program_says_so(vboard: VBoard) -> None:
    port = at_prompt(vboard)
    port.write(
        b"import sys, micropython; micropython.kbd_intr(-1); print(sys.stdin.buffer.read(3))\r"
    )
    time.sleep(0.3)
    port.write(b"a\x03b")
    assert b"b'a\\x03b'" in read_until(port, PROMPT)
    port.close()


def test_what_the_input_buffer_does_not_hold_is_lost(vboard: VBoard) -> None:
    port = at_prompt(vboard)
    port.write(b"import sys, time; time.sleep(1); print(len(sys.stdin.buffer.read(260)))\r")
    time.sleep(0.3)
    port.write(b"x" * 400)
    assert b"260\n" in read_until(port, PROMPT)
    port.close()
    assert vboard.stop()["lost"] == 140


def test_two_speeds_do_not_understand_each_other(either: VBoard) -> None:
    port = opened(either, 921600)
    port.write(b"\r\x03" * 10)
    time.sleep(0.3)
    assert PROMPT not in port.read(400)
    port.close()
    assert either.mpremote("exec", "print(6 * 7)").strip() == "42"


def test_the_board_changes_its_speed_by_its_divider(vboard: VBoard) -> None:
    port = at_prompt(vboard)
    # TRM, UART_CLKDIV_REG: 80 MHz / 921,600 is 86 and 13 sixteenths.
    port.write(b"import machine; machine.mem32[0x3FF40014] = 86 | 13 << 20\r")
    time.sleep(0.3)
    port.baudrate = 921600
    port.reset_input_buffer()
    port.write(b"print(6 * 7)\r")
    assert b"42\n" in read_until(port, PROMPT)
    port.close()


def test_the_line_is_no_faster_than_its_speed(vboard: VBoard) -> None:
    port = at_prompt(vboard)
    port.write(b"print('y' * 5000)\r")
    started = time.monotonic()
    read_until(port, b"y\n")
    # 5,000 bytes at 115,200 baud take 434 ms.
    assert time.monotonic() - started > 0.4
    port.close()


def test_a_soft_reset_by_program_and_a_hard_one(vboard: VBoard) -> None:
    port = at_prompt(vboard)
    port.write(b"import machine; machine.soft_reset()\r")
    assert b"MPY: soft reboot" in read_until(port, b"information.\r\n")
    read_until(port, PROMPT)
    port.write(b"machine\r")
    assert b"NameError" in read_until(port, PROMPT)
    port.write(b"import machine; machine.reset()\r")
    assert b"POWERON_RESET" in read_until(port, b"information.\r\n")
    read_until(port, PROMPT)
    port.close()


def test_the_reset_line_and_the_button(either: VBoard) -> None:
    either.mpremote("exec", "import builtins; builtins.kept = 1")
    port = opened(either)
    if either.rfc2217:
        port.dtr = False
        port.rts = True
        port.rts = False
    else:
        either.press(signal.SIGUSR1)
    read_until(port, b"POWERON_RESET")
    read_until(port, PROMPT)
    port.close()


def test_a_pulled_cable_hangs_up(vboard: VBoard) -> None:
    port = at_prompt(vboard)
    vboard.unplug()
    with pytest.raises((OSError, serial.SerialException)):
        for _ in range(100):
            port.write(b"\r")
            port.read(100)
            time.sleep(0.02)


def test_sigterm_leaves_nothing_behind(tmp_path: Path) -> None:
    with VBoard(tmp_path) as board:
        board.mpremote("exec", "pass")
        found = subprocess.run(
            ["pgrep", "-P", str(board.process.pid)], capture_output=True, text=True, check=True
        )
        children = [int(text) for text in found.stdout.split()]
        assert children
        assert board.stop()["resets"] == 1
        wait_until_gone(board.path)
        assert not [pid for pid in children if alive(pid)]


def test_one_vboard_per_state(vboard: VBoard) -> None:
    other = vboard.path.with_name("other")
    line = refused("vboard", "--pty", str(other), "--state", str(vboard.state))
    assert "another vboard" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "one of --pty PATH and --port TCP"),
        (["--pty", "/no/such/folder/x"], "choose another name"),
        (["--pty", "/tmp"], "choose another name"),
        (["--pty", "x", "--board", "toaster"], "no such board"),
        (["--pty", "x", "--board", "unix"], "no board with a serial port"),
        (["--pty", "x", "--flash-size", "1K"], "at least 128K"),
        (["--pty", "x", "--state", "/dev/null/x"], "choose another folder"),
    ],
)
def test_what_cannot_be(arguments: list[str], said: str) -> None:
    assert said in refused("vboard", *arguments)


def test_a_taken_tcp_port() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert "choose another TCP port" in refused("vboard", "--port", str(port))
    assert free_port()


ESPTOOL = (sys.executable, "-m", "esptool")


def esptool(port: str, *arguments: str) -> str:
    done = subprocess.run(
        [*ESPTOOL, "--port", port, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_esptool_finds_the_chip_through_the_reset_lines_and_leaves_micropython(
    tmp_path: Path,
) -> None:
    with VBoard(tmp_path, rfc2217=True) as board:
        assert "ESP32" in esptool(board.port, "chip-id")
        assert board.mpremote("exec", "print(6 * 7)").strip() == "42"


def test_the_boot_button_enters_the_boot_loader(vboard: VBoard) -> None:
    vboard.press(signal.SIGUSR2)
    time.sleep(0.3)
    assert "ESP32" in esptool(
        vboard.port, "--before", "no-reset", "--after", "no-reset", "chip-id"
    )
    assert vboard.mpremote("exec", "print(6 * 7)").strip() == "42"
