"""The Ethernet driver on QEMU's model of a GMAC, whose wire is a TAP: Linux at the other end."""

import json
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.board import ADDRESS, HOST, NAMES, PEER, PORT, micropython, swapped
from tests.net.captures import check_capture, tshark
from tests.net.netns import NetNS, Running
from tests.net.scripts import SWAP
from tests.plugin.referee import VARIABLE, Referee
from viperip_host import resources
from viperip_host.errors import HostError

pytestmark = pytest.mark.root
COUNT = 300
MAC = "02:00:00:00:00:0a"
# What QEMU may say of the driver: as in tests/device/referee_board.py; and that a frame found no
# free descriptor, since a TCP that also sends gets more frames than fill its receive window.
NONE_FREE = "is owned by software"
MAY = ("reg: offset: 0x1014, value: 0xffffffff", NONE_FREE)

# ARGS: library folders with ":" between, what the referee tells, capture, address, what is to run;
# then the arguments of that.
BOARD = """
import json, sys
sys.path[:0] = sys.argv[1].split(":")
import viperip
from qtest_bus import QtestBus
from viperip.link.capture import Capture
from viperip.link.esp32 import registers as r
from viperip.link.esp32.descriptors import Normal
from viperip.link.esp32.gmac import GMAC

told = json.loads(sys.argv[2])
bus = QtestBus(told["qtest"], r.EMAC_MAC, r.EMAC_DMA)
dev = GMAC(bus, r.EMAC_MAC, r.EMAC_DMA, Normal, bytes.fromhex("02000000000a"))
lan = viperip.LAN(Capture(dev, sys.argv[3]))
lan.active(True)
lan.ipconfig(addr4=sys.argv[4])
viperip.install()
import time  # whose sleep() keeps the stack running now
with open(sys.argv[5]) as f:
    text = f.read()
sys.argv[1:] = sys.argv[6:]
try:
    exec(text)
    time.sleep(1)  # what was closed is still being delivered
finally:
    print("trouble", json.dumps({k: v for k, v in dev.counters.items() if v}))
"""

PINGED = """
print("ready")
time.sleep(60)
"""

PINGS = """
while not lan.isconnected():
    time.sleep_ms(10)
print("got", len(viperip.ping(sys.argv[1], count=20, interval_ms=20, quiet=True)))
"""


@pytest.fixture
def referee(tap: NetNS) -> Iterator[Referee]:
    try:
        made = Referee(
            "tap,ifname=tap0,script=no,downscript=no", command=tuple(tap.command("env"))
        )
    except HostError as error:
        pytest.skip(str(error))
    yield made
    said = complaints(made)
    made.close()
    assert [line for line in said.splitlines() if not any(may in line for may in MAY)] == []


def complaints(referee: Referee) -> str:
    """What QEMU had to say about the driver."""
    return Path(json.loads(referee.environment[VARIABLE])["log"]).read_text()


def board(
    tap: NetNS, referee: Referee, folder: Path, target: str, text: str, *arguments: str
) -> Running:
    """The board running TEXT; its capture is FOLDER/referee.pcapng."""
    (folder / "board.py").write_text(BOARD)
    (folder / "script.py").write_text(text)
    path = f"{resources.firmware()}:{resources.models()}"
    return tap.start(
        *(micropython(target), "-X", "heapsize=8M", str(folder / "board.py")),
        *(path, referee.environment[VARIABLE], str(folder / "referee.pcapng"), f"{ADDRESS}/24"),
        *(str(folder / "script.py"), *arguments),
    )


def calm(running: Running, *but: str) -> None:
    """The driver had nothing to count but its link, and what is named."""
    counted = json.loads(running.wait_for("trouble {").removeprefix("trouble "))
    assert {name: n for name, n in counted.items() if name not in but} == {"link_up": 1}, counted


@pytest.mark.parametrize("target", NAMES)
def test_linux_pings_through_it(tap: NetNS, referee: Referee, tmp_path: Path, target: str) -> None:
    running = board(tap, referee, tmp_path, target, PINGED)
    running.wait_for("ready")
    tap.ping(ADDRESS)
    answered = 0
    for size in ("56", "1472"):
        told = ("ping", "-nq", "-i0.01", f"-c{COUNT}", "-W2", f"-s{size}", ADDRESS)
        done = tap.run(*told, check=False).stdout
        found = re.search(f"{COUNT} packets transmitted, ([0-9]+) received", done)
        assert found, done
        answered += int(found[1])
    # A machine with much else to do may leave the board alone for longer than 8 descriptors last.
    unheard = complaints(referee).count(NONE_FREE)
    assert 2 * COUNT - answered <= unheard <= COUNT // 10
    listed = json.loads(tap.run("ip", "-j", "neigh", "show", ADDRESS).stdout)
    assert listed[0]["lladdr"] == MAC
    running.send(signal.SIGINT)
    calm(running, *(["rx_suspended"] if unheard else []))
    check_capture(tmp_path / "referee.pcapng", 2 * answered)
    # (With those of the first ping.)
    assert len(tshark(tmp_path / "referee.pcapng", "-Y", "icmp.type == 0")) > answered


def test_it_pings_linux(tap: NetNS, referee: Referee, tmp_path: Path) -> None:
    running = board(tap, referee, tmp_path, "unix", PINGS, HOST)
    assert running.wait_for("got") == "got 20"
    calm(running)
    check_capture(tmp_path / "referee.pcapng", 40)


@pytest.mark.parametrize("target", NAMES)
def test_tcp_through_it_both_ways_at_once(
    tap: NetNS, referee: Referee, tmp_path: Path, target: str
) -> None:
    size = 300_000
    told = ("accept", HOST, str(PORT), "2", str(size))
    running = board(tap, referee, tmp_path, target, SWAP, *told)
    running.wait_for("ready")
    tap.ping(ADDRESS)
    told = ("swap", ADDRESS, str(PORT), "2", str(size))
    peer = json.loads(tap.run(sys.executable, PEER, *told).stdout)
    calm(running, "rx_suspended")
    swapped(peer, running, size, size)
    check_capture(tmp_path / "referee.pcapng", 400)
