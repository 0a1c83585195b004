"""`viperip mtu` through a router of Linux's: one that speaks, and a black hole."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.host.command import VIPERIP, viperip
from tests.net.board import ADDRESS, HOST
from tests.net.netns import NetNS
from tests.net.test_tap_services import routed

pytestmark = pytest.mark.root
__all__ = ["routed"]
FLAGS = ["--link", "tap:tap0", "--ip", f"{ADDRESS}/24", "--gateway", HOST, "--timeout", "0.5"]


def probe(netns: NetNS, host: str, *flags: str) -> dict[str, Any]:
    done = netns.run(*VIPERIP, "mtu", *FLAGS, "--json", *flags, host)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_router_names_the_mtu(routed: NetNS) -> None:
    assert probe(routed, HOST)["mtu"] == 1500
    routed.run("ip", "link", "set", "veth0", "mtu", "1400")
    found = probe(routed, "10.8.0.2")
    # RFC 1191 4: the next hop's MTU is in the message; one more probe shows that it is right.
    assert (found["mtu"], found["mss"], found["black_hole"]) == (1400, 1360, False)
    assert [(p["size"], p["fits"]) for p in found["sizes"]] == [
        *((68, True), (1500, False), (1400, True))
    ]
    assert found["sizes"][1]["from"] == HOST


def test_a_black_hole_is_searched(routed: NetNS) -> None:
    # veth drops what the other end's MTU does not allow, and says nothing. The other end is in the
    # only namespace that has a veth1.
    for name in sorted(path.name for path in Path("/run/netns").iterdir()):
        command = ["ip", "-n", name, "link", "set", "veth1", "mtu", "1283"]
        subprocess.run(command, capture_output=True, check=False)
    found = probe(routed, "10.8.0.2")
    # It leaves room for a VLAN tag.
    assert (found["mtu"], found["black_hole"]) == (1283 + 4, True)


def test_who_does_not_answer(routed: NetNS) -> None:
    done = routed.run(*VIPERIP, "mtu", *FLAGS, "10.8.0.99", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("viperip: mtu: 10.8.0.99: ")
    done = routed.run(*VIPERIP, "mtu", *FLAGS, "10.7.0.1", check=False)
    assert done.returncode == 1 and "unreachable" in done.stderr


def test_the_private_wire_and_the_command_line() -> None:
    done = viperip("mtu", "10.77.0.1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        "path MTU to 10.77.0.1: 1500 bytes (TCP segments of 1460)"
    )
    assert viperip("mtu", "--port", "/dev/null", "--ip", "1.2.3.4/8", "x").returncode == 2
    assert viperip("mtu", "no-such-name.invalid").returncode == 1
