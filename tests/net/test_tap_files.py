"""A board on a TAP that serves a folder: atftp, tftp-hpa, curl, wget."""

import random
import sys
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
SERVE_HTTP = """
import sys, time
import viperip
from viperip.application.http_files import Server
Server(sys.argv[1], write=sys.argv[2] == "write").start()
print("serving")
while True:
    time.sleep(10)
"""
URL = f"http://{ADDRESS}"
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
    board = Board(tap, folder, script, target=target, arguments=[str(root), "write"])
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
    flags = ("-s", "-S", "--max-time", "100", "--tftp-blksize", "1400")
    tap.run("curl", *flags, "-o", str(got), url + "f70000", seconds=120)
    assert got.read_bytes() == (root / "f70000").read_bytes()
    for i in range(5):
        tap.run("curl", *flags, "-T", str(root / "f513"), f"{url}back{i}", seconds=120)
        assert (root / f"back{i}").read_bytes() == (root / "f513").read_bytes()
    board.check_capture(100)


def curl(tap: NetNS, *what: str, check: bool = True) -> str:
    """What curl prints."""
    needs("curl", "curl")
    return tap.run(
        "curl", "-s", "-S", "--path-as-is", "--max-time", "60", *what, check=check
    ).stdout


@pytest.mark.parametrize("target", NAMES)
def test_curl_reads_and_writes(tap: NetNS, tmp_path: Path, root: Path, target: str) -> None:
    board = serving(tap, tmp_path, root, target, SERVE_HTTP)
    got = tmp_path / "got"
    for size in SIZES:
        curl(tap, "-o", str(got), f"{URL}/f{size}")
        assert got.read_bytes() == (root / f"f{size}").read_bytes()
    whole = (root / "f70000").read_bytes()
    got.write_bytes(whole[:30000])
    curl(tap, "-C", "-", "-o", str(got), f"{URL}/f70000")
    assert got.read_bytes() == whole
    curl(tap, "-r", "100-199", "-o", str(got), f"{URL}/f70000")
    assert got.read_bytes() == whole[100:200]
    status = ("-o", str(tmp_path / "said"), "-w", "%{http_code}")
    assert curl(tap, *status, "-I", f"{URL}/f513") == "200"
    assert curl(tap, *status, "-z", str(root / "f513"), f"{URL}/f513") == "304"
    assert curl(tap, "-L", f"{URL}/sub").count("a b.txt</a> 8") == 1
    assert curl(tap, f"{URL}/sub/a%20b.txt") == "one\ntwo\n"
    for path in ("/../secret", "/%2e%2e/secret", "/..%2fsecret", "/sub/../../secret"):
        assert curl(tap, *status, URL + path) == "403", path
    # Above a megabyte curl waits for 100 Continue; below it does if told.
    assert curl(tap, *status, "-T", str(root / "f70000"), f"{URL}/sub/up") == "201"
    assert (root / "sub" / "up").read_bytes() == whole
    (tmp_path / "large").write_bytes(whole * 20)
    assert curl(tap, *status, "-T", str(tmp_path / "large"), f"{URL}/sub/up") == "204"
    assert (root / "sub" / "up").read_bytes() == whole * 20
    curl(tap, "-o", str(got), f"{URL}/sub/up")
    assert got.read_bytes() == whole * 20
    assert curl(tap, *status, "-X", "DELETE", f"{URL}/sub/up") == "204"
    assert not (root / "sub" / "up").exists()
    assert curl(tap, *status, "-H", "Cookie: " + "x" * 5000, f"{URL}/f1") == "431"
    assert curl(tap, *status, "-0", f"{URL}/f1") == "200"
    # Several on one connection.
    said = curl(tap, "-v", f"{URL}/f0", f"{URL}/f0", f"{URL}/absent")
    assert said == "404 Not Found\n"
    nothing_arriving(root)
    board.check_capture(200)


def test_wget_mirrors(tap: NetNS, tmp_path: Path, root: Path) -> None:
    needs("wget", "wget")
    board = serving(tap, tmp_path, root, "unix", SERVE_HTTP)
    copy = tmp_path / "copy"
    flags = ("-q", "-r", "-np", "-nH", "-N", "-e", "robots=off", "-P", str(copy))
    tap.run("wget", *flags, f"{URL}/")
    names = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    assert len(names) == len(SIZES) + 1
    for name in names:
        assert (copy / name).read_bytes() == (root / name).read_bytes()
    # Once more: nothing is new.
    tap.run("wget", *flags, f"{URL}/")
    assert tshark(board.capture, "-Y", "http.response.code == 304")
    board.check_capture(100)


SLOW = """
import socket, sys, time
what = sys.argv[2]
held = []
for i in range(12):
    s = socket.create_connection((sys.argv[1], 80), 10)
    if what == "head":
        s.sendall(b"GET / HTTP/1.1\\r\\nA: ")
    elif what == "body":
        s.sendall(b"PUT /x%d HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 9999\\r\\n\\r\\nx" % i)
    held.append(s)
print("held", flush=True)
end = time.monotonic() + 60
left = list(held)
while left and time.monotonic() < end:
    time.sleep(0.2)
    for s in list(left):
        try:
            s.send(b"x")
        except OSError:
            left.remove(s)
print("over", len(left), flush=True)
"""


@pytest.mark.parametrize("what", ["nothing", "head", "body"])
def test_slow_clients_are_got_rid_of(tap: NetNS, tmp_path: Path, root: Path, what: str) -> None:
    board = serving(tap, tmp_path, root, "unix", SERVE_HTTP)
    (tmp_path / "slow.py").write_text(SLOW)
    slow = tap.start(sys.executable, str(tmp_path / "slow.py"), ADDRESS, what)
    slow.wait_for("held")
    flags = ("--retry", "20", "--retry-delay", "1", "-f")
    assert curl(tap, *flags, f"{URL}/sub/a%20b.txt") == "one\ntwo\n"
    assert slow.wait_for("over", 90) == "over 0"
    nothing_arriving(root)
    board.check_capture(50)


def test_read_only(tap: NetNS, tmp_path: Path, root: Path) -> None:
    board = Board(tap, tmp_path, SERVE_HTTP, arguments=[str(root), "read"])
    board.running.wait_for("serving")
    status = ("-o", str(tmp_path / "said"), "-w", "%{http_code}")
    assert curl(tap, *status, "-T", str(root / "f513"), f"{URL}/f1") == "405"
    assert curl(tap, *status, "-X", "DELETE", f"{URL}/f1") == "405"
    assert (root / "f1").stat().st_size == 1
    board.check_capture(10)
