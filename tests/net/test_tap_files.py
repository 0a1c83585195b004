"""A board on a TAP that serves a folder: atftp, tftp-hpa, curl, wget."""

import random
from pathlib import Path

import pytest

from tests.net.board import ADDRESS, NAMES, Board
from tests.net.captures import tshark
from tests.net.netns import NetNS
from tests.net.peers import needs

pytestmark = pytest.mark.root

SERVE = """
import sys, time
import viperip
from viperip.application.tftp import Server
Server(sys.argv[1], write=True).start()
print("serving")
while True:
    time.sleep(10)
"""
SIZES = (0, 1, 511, 512, 513, 70000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with files of awkward sizes; beside it one that is nobody's business."""
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "sub").mkdir()
    (tmp_path / "secret").write_text("secret")
    for size in SIZES:
        (folder / f"f{size}").write_bytes(random.Random(size).randbytes(size))
    (folder / "sub" / "a b.txt").write_text("one\ntwo\n")
    return folder


def serving(tap: NetNS, folder: Path, root: Path, target: str, script: str = SERVE) -> Board:
    board = Board(tap, folder, script, target=target, arguments=[str(root)])
    board.running.wait_for("serving")
    return board


def nothing_arriving(root: Path) -> None:
    assert [path for path in root.rglob("*") if path.name.endswith("~")] == []


@pytest.mark.parametrize("target", NAMES)
def test_tftp_hpa(tap: NetNS, tmp_path: Path, root: Path, target: str) -> None:
    needs("tftp", "tftp-hpa")
    board = serving(tap, tmp_path, root, target)
    for mode in ("binary", "netascii"):
        for size in SIZES:
            got = tmp_path / f"got{size}"
            tap.run("tftp", "-m", mode, ADDRESS, "-c", "get", f"f{size}", str(got))
            if mode == "binary":
                assert got.read_bytes() == (root / f"f{size}").read_bytes()
        tap.run("tftp", "-m", mode, ADDRESS, "-c", "get", "sub/a b.txt", str(tmp_path / "text"))
        assert (tmp_path / "text").read_text() == "one\ntwo\n"
        tap.run("tftp", "-m", mode, ADDRESS, "-c", "put", str(root / "f70000"), f"sub/{mode}")
        tap.run("tftp", "-m", mode, ADDRESS, "-c", "put", str(tmp_path / "text"), f"t{mode}")
        assert (root / f"t{mode}").read_text() == "one\ntwo\n"
    assert (root / "sub" / "binary").read_bytes() == (root / "f70000").read_bytes()
    said = tap.run("tftp", ADDRESS, "-c", "get", "absent", str(tmp_path / "x")).stdout
    assert "code 1" in said
    said = tap.run("tftp", ADDRESS, "-c", "get", "../secret", str(tmp_path / "x")).stdout
    assert "code 2" in said
    nothing_arriving(root)
    board.check_capture(200)


@pytest.mark.parametrize("target", NAMES)
def test_atftp_with_its_options(tap: NetNS, tmp_path: Path, root: Path, target: str) -> None:
    needs("atftp", "atftp")
    board = serving(tap, tmp_path, root, target)
    base = ("--option", "tsize", "--option", "timeout 2")
    for block in (8, 512, 1400, 8192):
        name = "f513" if block == 8 else "f70000"
        flags = (*base, "--option", f"blksize {block}")
        got = tmp_path / "got"
        tap.run("atftp", *flags, "-g", "-r", name, "-l", str(got), ADDRESS)
        assert got.read_bytes() == (root / name).read_bytes()
        new = f"sub/new{block}"
        tap.run("atftp", *flags, "-p", "-l", str(got), "-r", new, ADDRESS)
        assert (root / new).read_bytes() == got.read_bytes()
    assert tshark(board.capture, "-Y", "tftp.opcode == 6")
    nothing_arriving(root)
    board.check_capture(200)


def test_curl_and_many_at_once(tap: NetNS, tmp_path: Path, root: Path) -> None:
    needs("curl", "curl")
    board = serving(tap, tmp_path, root, "unix")
    running = [
        tap.start("curl", "-s", "-S", "-o", str(tmp_path / f"c{i}"), f"tftp://{ADDRESS}/f70000")
        for i in range(4)
    ]
    for i, one in enumerate(running):
        assert one.wait(60) == 0, one.output
        assert (tmp_path / f"c{i}").read_bytes() == (root / "f70000").read_bytes()
    tap.run("curl", "-s", "-S", "-T", str(root / "f513"), f"tftp://{ADDRESS}/sub/up")
    assert (root / "sub" / "up").read_bytes() == (root / "f513").read_bytes()
    done = tap.run("curl", "-s", f"tftp://{ADDRESS}//../secret", "--path-as-is", check=False)
    assert done.returncode == 69 and done.stdout == ""  # CURLE_TFTP_PERM
    done = tap.run("curl", "-s", f"tftp://{ADDRESS}/absent", check=False)
    assert done.returncode == 68
    nothing_arriving(root)
    board.check_capture(200)


def test_a_wire_that_loses_and_doubles(tap: NetNS, tmp_path: Path, root: Path) -> None:
    needs("curl", "curl")
    faults = ("--loss", "3%", "--dup", "10%", "--reorder", "5%", "--seed", "11")
    board = Board(tap, tmp_path, SERVE, *faults, arguments=[str(root)])
    board.running.wait_for("serving")
    got = tmp_path / "got"
    url = f"tftp://{ADDRESS}/"
    flags = ("-s", "-S", "--tftp-blksize", "1400")
    tap.run("curl", *flags, "-o", str(got), url + "f70000", seconds=120)
    assert got.read_bytes() == (root / "f70000").read_bytes()
    for i in range(5):
        tap.run("curl", *flags, "-T", str(root / "f513"), f"{url}back{i}", seconds=120)
        assert (root / f"back{i}").read_bytes() == (root / "f513").read_bytes()
    board.check_capture(100)
