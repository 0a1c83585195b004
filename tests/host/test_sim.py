"""`viperip sim` as a process: statuses, signals, the terminal, the demo. No privilege needed."""

import contextlib
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.command import VIPERIP, alive, viperip
from tests.net.captures import check_capture
from tests.net.netns import Running

URL = re.compile(r"http://127\.0\.0\.1:(\d+)/$")


def script(folder: Path, text: str) -> str:
    path = folder / "script.py"
    path.write_text(text)
    return str(path)


@contextlib.contextmanager
def running(*arguments: str, **popen: object) -> Iterator[Running]:
    one = Running([*VIPERIP, "sim", *arguments], **popen)
    try:
        yield one
    finally:
        one.stop()


def children(pid: int) -> list[int]:
    """The processes that PID started."""
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]


def gone(pids: list[int], seconds: float = 5.0) -> bool:
    """Whether all of them have ended within SECONDS."""
    end = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_the_script_s_status_and_arguments(tmp_path: Path) -> None:
    path = script(tmp_path, "import sys\nprint(sys.argv)\nsys.exit(7)\n")
    done = viperip("sim", path, "--ip", "-x", "a b", "--", "--help")
    assert done.returncode == 7
    assert done.stdout.splitlines()[-1] == repr([path, "--ip", "-x", "a b", "--", "--help"])


def test_a_script_that_ends_well_is_0(tmp_path: Path) -> None:
    done = viperip("sim", script(tmp_path, "print('done')\n"))
    assert (done.returncode, done.stdout.splitlines()[-1], done.stderr) == (0, "done", "")


def test_an_exception_is_1_with_a_traceback(tmp_path: Path) -> None:
    done = viperip("sim", script(tmp_path, "\n1 / 0\n"))
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "ZeroDivisionError" in said
    assert 'script.py", line 2' in said


def test_the_script_reads_stdin(tmp_path: Path) -> None:
    path = script(tmp_path, "print('got', input())\n")
    done = subprocess.run(
        [*VIPERIP, "sim", path], input="hello\n", capture_output=True, text=True, timeout=60
    )
    assert "got hello" in done.stdout


def test_a_script_beside_a_checkout_gets_the_package(tmp_path: Path) -> None:
    (tmp_path / "viperip" / "firmware").mkdir(parents=True)  # `git clone` has made it
    (tmp_path / "mine.py").write_text("here = 'found'\n")
    path = script(tmp_path, "import mine, socket, viperip.link.pair\nprint(mine.here)\n")
    done = viperip("sim", path)
    assert (done.stdout.splitlines(), done.returncode) == (["found"], 0), done.stderr
    done = viperip("sim", "-i", cwd=tmp_path, input="import mine; print(mine.here)\n", stdin=None)
    assert "found" in done.stdout, done.stderr


def test_heap_is_as_asked(tmp_path: Path) -> None:
    path = script(tmp_path, "import gc\nprint(gc.mem_alloc() + gc.mem_free())\n")
    default = int(viperip("sim", path).stdout.split()[-1])
    smaller = int(viperip("sim", "--heap", "4M", path).stdout.split()[-1])
    assert 15_000_000 < default < 17_000_000
    assert 3_500_000 < smaller < 4_300_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(tmp_path: Path, number: int) -> None:
    path = script(tmp_path, "import time\nprint('ready')\nwhile True: time.sleep(1)\n")
    with running(path) as sim:
        sim.wait_for("ready")
        started = children(sim.popen.pid)
        assert len(started) == 2
        before = time.monotonic()
        sim.send(number)
        assert sim.wait(10) == 128 + number
        assert time.monotonic() - before < 5
        assert gone(started)


def test_a_busy_script_is_ended_too(tmp_path: Path) -> None:
    text = (
        "print('ready')\n"
        "while True:\n    try:\n        while True: pass\n"
        "    except KeyboardInterrupt: print('no')\n"
    )
    with running(script(tmp_path, text)) as sim:
        sim.wait_for("ready")
        started = children(sim.popen.pid)
        sim.send(signal.SIGINT)
        assert sim.wait(15) == 130
        assert gone(started)


@pytest.mark.skipif(sys.platform != "linux", reason="kills with SIGKILL, watched by Linux")
def test_a_killed_sim_leaves_nobody_behind(tmp_path: Path) -> None:
    path = script(tmp_path, "import time\nprint('ready')\nwhile True: time.sleep(1)\n")
    with running(path) as sim:
        sim.wait_for("ready")
        started = children(sim.popen.pid)
        sim.send(signal.SIGKILL)
        sim.popen.wait(5)
        assert gone(started)


def test_a_board_that_crashes_is_one_line(tmp_path: Path) -> None:
    path = script(
        tmp_path, "import os\nos.system('kill -SEGV $PPID')\nimport time\ntime.sleep(5)\n"
    )
    done = viperip("sim", path)
    assert done.returncode == 128 + signal.SIGSEGV
    assert done.stderr.splitlines() == ["viperip sim: the board was killed by SIGSEGV"]


def test_a_gateway_that_dies_is_one_line(tmp_path: Path) -> None:
    path = script(tmp_path, "import time\nprint('ready')\nwhile True: time.sleep(0.1)\n")
    with running(path) as sim:
        sim.wait_for("ready")
        gateway = min(children(sim.popen.pid))  # it is started first
        os.kill(gateway, signal.SIGKILL)
        assert sim.wait(15) == 1
        sim.wait_for("the gateway was killed by SIGKILL")


def test_the_terminal_is_given_back(tmp_path: Path) -> None:
    text = "import os\nos.system('stty raw -echo')\nos.system('kill -KILL $PPID')\n"
    master, slave = pty.openpty()
    try:
        before = termios.tcgetattr(slave)
        done = subprocess.run(
            [*VIPERIP, "sim", script(tmp_path, text)],
            stdin=slave, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip
        assert done.returncode == 128 + signal.SIGKILL
        assert termios.tcgetattr(slave) == before
    finally:
        os.close(master)
        os.close(slave)


def test_run_seconds_ends_the_demo_after_the_first_fetch(tmp_path: Path) -> None:
    environment = {**os.environ, "RUN_SECONDS": "2"}
    capture = tmp_path / "run.pcapng"
    with running("--capture", str(capture), env=environment) as sim:
        url = URL.search(sim.wait_for("http://127.0.0.1:"))
        assert url, sim.output
        sim.wait_for("the page came whole")
        served = time.monotonic()
        # It still serves, and the line came while it runs: nothing is held back in a buffer.
        assert sim.popen.poll() is None
        with urllib.request.urlopen(url[0], timeout=10) as reply:
            assert reply.status == 200
            assert b"<" in reply.read()
        assert sim.wait(20) == 0
        assert 1 < time.monotonic() - served < 8
    lines = sim.output.splitlines()
    assert lines[0].startswith("MicroPython ")
    assert lines[1].startswith("board unix: ")
    assert "\x1b" not in sim.output
    steps = lines[lines.index("try next:") :]
    assert any(f"curl {url[0]}" in line for line in steps)
    assert any(f"wireshark {capture} " in line for line in steps)
    assert any("Ctrl-C" in line for line in steps)
    check_capture(capture, 40)


def test_the_demo_says_which_port_it_took_instead() -> None:
    environment = {**os.environ, "RUN_SECONDS": "0"}
    with contextlib.ExitStack() as stack:
        taken = stack.enter_context(socket.socket())
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # When another program has it, that serves as well.
        with contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", 8080))
            taken.listen()
        sim = stack.enter_context(running(env=environment))
        line = sim.wait_for("port 8080 is taken; using ")
        assert sim.wait(30) == 0
    port = line.split()[-2]
    assert f"http://127.0.0.1:{port}/" in sim.output


@pytest.mark.parametrize("lines", [1, 3, 8, 21])
def test_the_demo_ends_quietly_when_nobody_reads_it(lines: int) -> None:
    with subprocess.Popen(
        [*VIPERIP, "sim"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as sim:
        assert sim.stdout
        for _ in range(lines):
            assert sim.stdout.readline()
        sim.stdout.close()
        assert sim.wait(10) == 0
        assert sim.stderr
        assert sim.stderr.read() == b""


def test_a_script_ends_quietly_when_nobody_reads_it(tmp_path: Path) -> None:
    path = script(tmp_path, "for i in range(100000):\n    print(i)\n")
    with subprocess.Popen(
        [*VIPERIP, "sim", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as sim:
        assert sim.stdout
        assert sim.stdout.readline() == b"0\n"
        sim.stdout.close()
        assert sim.wait(10) == 128 + signal.SIGPIPE
        assert sim.stderr
        assert sim.stderr.read() == b""


def test_a_connection_s_broken_pipe_is_an_error_as_ever(tmp_path: Path) -> None:
    path = script(tmp_path, "from viperip.errors import EPIPE\nraise OSError(EPIPE)")
    done = viperip("sim", path)
    assert done.returncode == 1
    assert "OSError" in done.stderr


def test_ctrl_c_ends_the_demo_with_130() -> None:
    with running() as sim:
        sim.wait_for("try next:")
        started = children(sim.popen.pid)
        sim.send(signal.SIGINT)
        assert sim.wait(10) == 130
        assert gone(started)
        assert "Traceback" not in sim.output
