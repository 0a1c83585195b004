"""A board beside Linux on an Ethernet interface that exists: `viperip sim --link packet:veth0`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.board import ADDRESS, HOST, PEER, PORT, swapped
from tests.net.captures import check_capture
from tests.net.netns import NetNS, Running
from tests.net.scripts import SWAP

pytestmark = pytest.mark.root
MB = 1000 * 1000


@pytest.fixture
def far(netns: NetNS) -> Iterator[NetNS]:
    """The Linux host at the other end of veth0 of `netns`."""
    with NetNS() as other:
        netns.run(
            "ip", "link", "add", "veth0", "type", "veth", "peer", "veth1", "netns", other.name
        )
        netns.run("ip", "link", "set", "veth0", "up")
        for one, name in ((netns, "veth0"), (other, "veth1")):
            # A veth hands segments on before they are cut up and summed, as no wire would.
            one.run("ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
            one.run("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1", check=False)
        other.run("ip", "addr", "add", f"{HOST}/24", "dev", "veth1")
        other.run("ip", "link", "set", "veth1", "up")
        yield other


def sim(netns: NetNS, folder: Path, *arguments: str) -> tuple[Running, Path]:
    path, capture = folder / "script.py", folder / "packet.pcapng"
    path.write_text(SWAP)
    link = ("--link", "packet:veth0", "--ip", f"{ADDRESS}/24", "--capture", str(capture))
    return netns.sim(*link, str(path), *arguments), capture


def test_pings_and_a_megabyte_each_way(netns: NetNS, far: NetNS, tmp_path: Path) -> None:
    board, capture = sim(netns, tmp_path, "accept", HOST, str(PORT), "1", str(MB))
    board.wait_for("ready")
    done = far.run("ping", "-nq", "-i0.002", "-c500", "-W2", ADDRESS, check=False)
    assert "500 packets transmitted, 500 received" in done.stdout, done.stdout
    done = far.run(sys.executable, PEER, "swap", ADDRESS, str(PORT), "1", str(MB))
    assert board.wait() == 0
    swapped(json.loads(done.stdout), board, MB, MB)
    check_capture(capture, 1000 + 2 * MB // 1460)
