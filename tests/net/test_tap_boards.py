"""The drivers of real boards, on models of their hardware, against Linux on a TAP."""

import json
import sys
from pathlib import Path

import pytest

from tests.net import scripts
from tests.net.board import ADDRESS, NAMES, PEER, PORT, Board, swap
from tests.net.captures import tshark
from tests.net.netns import NetNS
from tests.net.test_tap import COUNT, SLEEPING, fragments, many_pings
from tests.net.test_tap_faults import FAULTS
from tests.net.test_tap_services import DNSMASQ

pytestmark = [
    pytest.mark.root,
    pytest.mark.parametrize("board", ["wt32-eth01", "w5500-esp32s3", "qemu-open-eth"]),
]
MB = 1000 * 1000


def test_pings(tap: NetNS, tmp_path: Path, board: str) -> None:
    one = Board(tap, tmp_path, SLEEPING, "--board", board)
    one.running.wait_for("sleeping")
    many_pings(tap)
    many_pings(tap, "-s4000", count=100)
    assert "awake" not in one.running.output
    one.check_capture(2 * COUNT + 600)
    assert fragments(one.capture, ADDRESS) == 200


def test_the_page(tap: NetNS, tmp_path: Path, board: str) -> None:
    one = Board(tap, tmp_path, None, "--board", board)
    one.running.wait_for("serves its page")
    page = tap.run("curl", "-sSf", "-m10", f"http://{ADDRESS}/").stdout
    assert "</html>" in page
    assert json.loads(tap.run("curl", "-sSf", "-m10", f"http://{ADDRESS}/api/status").stdout)
    one.check_capture(10)


@pytest.mark.parametrize("target", NAMES)
def test_ten_megabytes_each_way(tap: NetNS, tmp_path: Path, target: str, board: str) -> None:
    flags = ("--board", board)
    one, seconds = swap(tap, tmp_path, (10 * MB, 10 * MB), target=target, flags=flags)
    print(f"{board}, {target}: {seconds:.2f} s, {20 / seconds:.2f} MB/s")
    one.check_capture(20 * MB // 1460)


def test_64_connections(tap: NetNS, tmp_path: Path, board: str) -> None:
    told = [str(PORT), "64"]
    one = Board(tap, tmp_path, scripts.ECHO, "--board", board, arguments=told)
    one.running.wait_for("ready")
    # 64 frames at once overrun a ring of 8, and Linux waits longer each time: a few rounds do.
    done = tap.run(sys.executable, PEER, "echo", ADDRESS, str(PORT), "64", "4", seconds=120)
    assert one.running.wait() == 0
    peer = json.loads(done.stdout)
    assert (peer["open"], peer["right"], peer["ended"]) == (64, 256, 64)
    one.check_capture(64 * 10)


def test_faults_on_eight_connections(tap: NetNS, tmp_path: Path, board: str) -> None:
    flags = ("--board", board, *FAULTS, "--seed", "1")
    one, seconds = swap(tap, tmp_path, (MB, MB), 8, flags=flags)
    print(f"{board}: {seconds:.2f} s")
    one.check_capture(16 * MB // 1460)
    assert len(tshark(one.capture, "-Y", "tcp.analysis.retransmission")) > 50


def test_dnsmasq_gives_an_address(tap: NetNS, tmp_path: Path, board: str) -> None:
    leases = tmp_path / "leases"
    server = tap.start(*DNSMASQ, f"--dhcp-leasefile={leases}")
    server.wait_for("DHCP, IP range")
    script = "import viperip\nprint(viperip.LAN(viperip.board()).ipconfig('addr4')[0])\n"
    flags = ("--board", board, "--dhcp", "--hostname", "testboard")
    one = Board(tap, tmp_path, script, *flags, address=False)
    assert one.running.wait(40) == 0
    assert "10.9.0.50" in one.running.output
    assert leases.read_text().split()[2:4] == ["10.9.0.50", "testboard"]
    one.check_capture(8)
