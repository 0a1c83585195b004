"""The namespaces themselves, and the links that `viperip sim` opens in one."""

import json
import sys
from typing import Any

import pytest

from tests.host.command import alive
from tests.net.netns import NetNS

# Opens the link named first in a process of the namespace, and tells what came of it.
OPEN = """
import json, sys
from viperip_host import errors, links
try:
    opened = [links.open_link(text) for text in sys.argv[1:]]
    print(json.dumps([[one.described, one.note] for one in opened]))
except errors.UsageError as error:
    print(json.dumps(str(error)))
"""


def open_links(netns: NetNS, *texts: str) -> Any:
    return json.loads(netns.run(sys.executable, "-c", OPEN, *texts).stdout)


def test_a_namespace_has_no_way_out(netns: NetNS) -> None:
    listed = json.loads(netns.run("ip", "-j", "link").stdout)
    assert [one["ifname"] for one in listed] == ["lo"]
    assert netns.run("ping", "-c1", "-W1", "127.0.0.1").returncode == 0


def test_what_was_started_ends_with_the_namespace(netns: NetNS) -> None:
    with NetNS() as other:
        one = other.start("sh", "-c", "sleep 300 & echo started; wait")
        one.wait_for("started")
        pids = other.pids()
        assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)
    assert other.name not in netns.run("ip", "netns", "list").stdout


def test_wait_for_shows_what_was_written_instead(netns: NetNS) -> None:
    one = netns.start("sh", "-c", "echo something else")
    with pytest.raises(AssertionError, match="something else"):
        one.wait_for("the right words")


def test_a_tap_of_a_namespace_is_up(tap: NetNS) -> None:
    assert tap.mac_of("tap0").count(":") == 5
    assert "10.9.0.1/24" in tap.run("ip", "-o", "addr", "show", "tap0").stdout


def test_a_tap_is_created_when_absent_and_its_host_side_left_alone(netns: NetNS) -> None:
    [[described, note]] = open_links(netns, "tap:tap7")
    assert (described["type"], described["name"]) == ("tap", "tap7")
    assert "ip link set tap7 up" in note


def test_a_tap_that_exists_needs_no_note(tap: NetNS) -> None:
    [[described, note]] = open_links(tap, "tap:tap0")
    assert (described["name"], note) == ("tap0", None)


def test_a_tap_in_use_is_refused(tap: NetNS) -> None:
    assert "another process has this TAP open" in str(open_links(tap, "tap:tap0", "tap:tap0"))


def test_an_interface_that_is_no_tap_is_refused(netns: NetNS) -> None:
    netns.run("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
    assert "no TAP" in str(open_links(netns, "tap:veth0"))
    assert open_links(netns, "packet:veth0") == [[{"type": "packet", "ifname": "veth0"}, None]]
    assert "there are lo, veth0, veth1" in str(open_links(netns, "packet:veth9"))
