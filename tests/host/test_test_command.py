"""`viperip test`: device tests on virtual boards, on several at once, and on a fleet."""

import contextlib
import os
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.host.board import free_port
from tests.host.command import VIPERIP, refused
from tests.host.vboard import VBoard, deployed, deployed_image, vboard, with_viperip

__all__ = ["deployed", "deployed_image", "vboard"]

MULTI = Path(__file__).resolve().parents[1] / "multi"

SOME = """
import gc
import helper


def test_passes():
    print("from the board")
    assert helper.double(21) == 42


def test_fails():
    helper.broken(1)


class SkipTest(Exception):
    pass


def test_cannot():
    raise SkipTest("no such chip")


async def test_waits():
    import asyncio

    await asyncio.sleep_ms(10)


def test_state_stays_within_a_file():
    assert helper.calls == 2
"""
HELPER = """
calls = 0


def double(n):
    global calls
    calls += 1
    return 2 * n


def broken(n):
    global calls
    calls += 1
    return n / 0
"""
HANGS = """# timeout: 3
def test_before(): pass
def test_hangs():
    while True: pass
def test_after(): pass
"""


def run(folder: Path, *arguments: str, timeout: float = 120) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*VIPERIP, "test", *arguments],
        cwd=folder,
        # What fails under test-all because it skips is no matter of these.
        env={k: v for k, v in os.environ.items() if k != "VIPERIP_TEST_ALL"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Somebody's project, with device tests."""
    folder = tmp_path / "project"
    device = folder / "tests" / "device"
    device.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider -rA\n")
    (device / "helper.py").write_text(HELPER)
    (device / "test_some.py").write_text(SOME)
    return folder


def test_tests_run_on_a_board_as_on_this_computer(project: Path, vboard: VBoard) -> None:
    report = project / "report.xml"
    for target in ("unix", f"serial:{vboard.port}"):
        done = run(project, "--target", target, "--", f"--junitxml={report}")
        out = done.stdout + done.stderr
        assert done.returncode == 1, out
        assert "1 failed, 3 passed, 1 skipped" in out.splitlines()[-1], out
        assert "from the board" in out and "no such chip" in out
        where = project / "tests" / "device"
        assert f'File "{where}/test_some.py", line 12, in test_fails' in out
        assert f'File "{where}/helper.py", line 14, in broken' in out
        assert "ZeroDivisionError" in out
        cases = ElementTree.parse(report).getroot().iter("testcase")
        heaps = [p.get("value") for one in cases for p in one.iter("property")
                 if p.get("name") == "heap"]  # fmt: skip
        assert len(heaps) == 3
    assert vboard.mpremote("exec", "import os; print(os.listdir('/'))") == "[]\n"


def test_a_hung_board_goes_on(project: Path, vboard: VBoard) -> None:
    device = project / "tests" / "device"
    (device / "test_some.py").write_text(HANGS)
    done = run(project, "--port", vboard.port)
    out = done.stdout
    assert "1 failed, 2 passed" in out.splitlines()[-1], out
    assert "test_hangs: it did not end" in out and "was interrupted" in out


def test_a_board_that_hears_nothing_is_reset(project: Path, tmp_path: Path) -> None:
    device = project / "tests" / "device"
    text = HANGS.replace(
        "    while", "    import micropython\n    micropython.kbd_intr(-1)\n    while"
    )
    (device / "test_some.py").write_text(text)
    with VBoard(tmp_path, rfc2217=True) as board:
        done = run(project, "--port", board.port)
        out = done.stdout
        assert "1 failed, 2 passed" in out.splitlines()[-1], out
        assert "was reset" in out


def test_a_pulled_cable_fails_what_is_left(project: Path, vboard: VBoard) -> None:
    vboard.unplug()
    done = run(project, "--port", vboard.port)
    assert done.returncode == 1
    assert "5 failed" in done.stdout.splitlines()[-1]


def test_the_board_of_sim_has_a_network(project: Path) -> None:
    (project / "tests" / "device" / "test_some.py").write_text(
        "import viperip\ndef test_ping():\n"
        "    assert 'time_ms' in viperip.ping('10.77.0.1', count=1, quiet=True)[0]\n"
    )
    done = run(project, "--target", "sim")
    assert done.returncode == 0, done.stdout


def test_the_stack_s_own_tests_run_on_a_board(deployed: VBoard) -> None:
    # A few of this project's, where they lie.
    root = Path(__file__).resolve().parents[2]
    names = ["test_ethernet.py", "test_serial_port.py"]
    done = run(
        root, "--port", deployed.port, "--", "-p", "no:cacheprovider", "-k", "not heap",
        *[f"tests/device/{name}" for name in names],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]


def test_two_boards_talk_one_of_them_over_rfc2217(tmp_path: Path, deployed_image: Path) -> None:
    one, other = free_port(), free_port()
    project = tmp_path / "project"
    (project / "tests" / "device").mkdir(parents=True)
    (project / "tests" / "multi").symlink_to(MULTI)
    (project / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    with (
        with_viperip(deployed_image, tmp_path / "a", "--link", f"udp:{one}:{other}") as a,
        with_viperip(
            deployed_image, tmp_path / "b", "--link", f"udp:{other}:{one}", rfc2217=True
        ) as b,
    ):
        both = ["--target", f"serial:{a.port}", "--target", f"serial:{b.port}"]
        done = run(project, *both, "tests/multi")
        assert done.returncode == 0, done.stdout
        assert "1 passed" in done.stdout.splitlines()[-1]
        done = run(project, "--target", f"serial:{a.port}", "tests/multi")
        assert "multi_tcp.py needs 2 boards" in done.stdout


def test_four_boards_share_the_tests(tmp_path: Path) -> None:
    project = tmp_path / "project"
    device = project / "tests" / "device"
    device.mkdir(parents=True)
    (project / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider -v\n")
    for number in range(8):
        (device / f"test_{number}.py").write_text(
            "from machine import unique_id\nfrom binascii import hexlify\n"
            "def test_who():\n    print('ran on', hexlify(unique_id()).decode())\n"
            f"def test_{number}(): pass\n"
        )
    with contextlib.ExitStack() as stack:
        boards = [
            stack.enter_context(VBoard(tmp_path / str(i), "--mac", f"02:00:00:00:00:0{i}",
                                       rfc2217=i == 0))
            for i in range(4)
        ]  # fmt: skip
        fleet = tmp_path / "fleet.txt"
        fleet.write_text("# the shelf\n" + "".join(f"serial:{b.port}\n" for b in boards))
        done = run(project, "--fleet", str(fleet), "--", "-n", "4", "-rA")
    assert done.returncode == 0, done.stdout
    assert "16 passed" in done.stdout.splitlines()[-1]
    ran = {line.split()[-1] for line in done.stdout.splitlines() if line.startswith("ran on")}
    assert len(ran) == 4


def test_what_cannot_be(tmp_path: Path) -> None:
    assert "no such file" in refused("test", "--fleet", "/no/such/file", cwd=tmp_path)
    fleet = tmp_path / "fleet"
    fleet.write_text("# nothing\n")
    both = refused("test", "--fleet", str(fleet), "--target", "unix", cwd=tmp_path)
    assert "leave --target" in both
    assert "no folder tests/device" in refused("test", "--target", "unix", cwd=tmp_path)
    (tmp_path / "tests" / "device").mkdir(parents=True)
    done = run(tmp_path, "--fleet", str(fleet))
    assert done.returncode == 4 and "it names no target" in done.stderr
    done = run(tmp_path, "--target", "esp9")
    assert done.returncode == 4 and "serial:PORT" in done.stderr
