"""`viperip sim --board`: the driver of every board in boards/, on a model of its hardware."""

import json
from pathlib import Path

import pytest

from tests.host.board import Board
from tests.host.command import refused
from tests.host.test_sim import running, script
from tests.net.captures import check_capture
from viperip_host import resources

TALK = """
    import json, viperip
    lan = viperip.LAN(viperip.board())
    dev = lan.interface.dev
    got = viperip.ping("10.77.0.1", 20, interval_ms=5, quiet=True)
    print(json.dumps({
        "driver": getattr(dev, "dev", dev).__class__.__name__,
        "lost": len([a for a in got if "error" in a]),
        "mac": viperip.ifstat()[0]["mac"],
        "mtu": lan.interface.mtu,
    }))
"""

DRIVERS = {"emac": "EMAC", "w5500": "W5500", "open_eth": "OpenEth"}


def modelled() -> dict[str, str]:
    """The boards that have an Ethernet driver of their own, and its name."""
    found = {}
    for path in sorted(resources.boards().glob("*/board.json")):
        profile = json.loads(path.read_text())
        if "ethernet" in profile:
            found[profile["name"]] = profile["ethernet"]["driver"]
    return found


@pytest.mark.parametrize("name", modelled())
def test_every_board_reaches_the_gateway(name: str, tmp_path: Path) -> None:
    board = Board(tmp_path, "unix")
    capture = tmp_path / "frames.pcapng"
    options = ("--board", name, "--mac", "02:00:00:00:12:01", "--capture", str(capture))
    told = json.loads(board.run(TALK, options=options).splitlines()[-1])
    assert told == {
        "driver": DRIVERS[modelled()[name]],
        "lost": 0,
        "mac": "02:00:00:00:12:01",
        "mtu": 1500,
    }
    check_capture(capture, 40)


def test_one_board_of_each_driver_on_32_bits(tmp_path: Path) -> None:
    board = Board(tmp_path, "unix32")
    for driver in DRIVERS:
        name = next(name for name, kind in modelled().items() if kind == driver)
        assert json.loads(board.run(TALK, options=("--board", name)).splitlines()[-1])["lost"] == 0


def test_the_line_that_says_what_runs(tmp_path: Path) -> None:
    with running("--board", "wt32-eth01") as one:
        assert "its driver, emac, on a model of the hardware" in one.wait_for("board wt32-eth01: ")


def test_an_unknown_board_is_one_line(tmp_path: Path) -> None:
    line = refused("sim", "--board", "esp33", script(tmp_path, ""))
    assert "--board esp33: no such board" in line and "wt32-eth01" in line
