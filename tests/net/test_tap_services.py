"""A board on a TAP among Linux's services: dnsmasq, closed ports, a router on the way."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.net.board import ADDRESS, HOST, NAMES, Board
from tests.net.captures import tshark
from tests.net.netns import NetNS

pytestmark = pytest.mark.root

MANY = [f"10.9.1.{i}" for i in range(1, 61)]
DNSMASQ = (
    *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"),
    *("--interface=tap0", "--bind-interfaces", "--user=root", "--pid-file="),
    *("--log-facility=-", "--log-dhcp", "--log-queries", "--dhcp-authoritative"),
    *("--dhcp-range=10.9.0.50,10.9.0.50,1h", "--dhcp-option=option:dns-server,10.9.0.1"),
    *("--local=/lan/", "--host-record=printer.lan,10.9.0.33", "--cname=alias.lan,printer.lan"),
    *(f"--host-record=many.lan,{address}" for address in MANY),
)
NAMES_SCRIPT = """
import json, socket

def ask(name):
    try:
        return [a[-1] for a in socket.getaddrinfo(name, 80)]
    except OSError as e:
        return e.errno

names = ("printer.lan", "alias.lan", "many.lan", "absent.lan")
print(json.dumps([ask(name) for name in names]))
"""

CLOSED = """
import json, socket, sys, time
host = sys.argv[1]

def refused(what):
    try:
        what()
    except OSError as e:
        return e.errno
    return None

u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.settimeout(5)
u.connect((host, 9))
u.send(b"anybody there?")
out = [refused(lambda: u.recv(10))]
u.send(b"still nobody?")
time.sleep_ms(300)
out.append(refused(lambda: u.send(b"nobody?")))
t = socket.socket()
t.settimeout(5)
out.append(refused(lambda: t.connect((host, 9))))
print(json.dumps(out))
time.sleep(60)
"""

REFUSED = """
import errno, json, socket, sys
out = []
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.settimeout(5)
u.connect((sys.argv[1], 9))
u.send(b"anybody there?")
for what in (lambda: u.recv(10), lambda: socket.create_connection((sys.argv[1], 9), 5)):
    try:
        what()
    except OSError as e:
        out.append(errno.errorcode.get(e.errno))
print(json.dumps(out))
"""

WAY = """
import json, sys, viperip
host = sys.argv[1]
print(json.dumps([[h["ip"], len([t for t in h["times_ms"] if t is not None])]
    for h in viperip.traceroute(host, timeout_ms=3000, quiet=True)]))
print(json.dumps(["error" in a for a in viperip.ping(host, 3, interval_ms=10, quiet=True)]))
"""


def json_lines(board: Board) -> list[Any]:
    """The lines of JSON that the script printed; it must have ended well."""
    assert board.running.wait(40) == 0, board.running.output
    return [json.loads(t) for t in board.running.output.splitlines() if t[:1] in ("[", "{")]


@pytest.mark.parametrize("target", NAMES)
def test_dnsmasq_gives_address_and_names(tap: NetNS, tmp_path: Path, target: str) -> None:
    leases = tmp_path / "leases"
    server = tap.start(*DNSMASQ, f"--dhcp-leasefile={leases}")
    server.wait_for("DHCP, IP range")
    board = Board(
        *(tap, tmp_path, NAMES_SCRIPT, "--dhcp", "--hostname", "testboard"),
        target=target,
        address=False,
    )
    [printer, alias, many, absent] = json_lines(board)[0]
    assert printer == alias == [["10.9.0.33", 80]]
    assert many and {address for address, _ in many} <= set(MANY)
    assert absent == -2
    assert leases.read_text().split()[2:4] == ["10.9.0.50", "testboard"]
    # A long answer is cut in UDP, and asked for again over TCP.
    assert tshark(board.capture, "-Y", "dns.flags.truncated == 1 && udp")
    assert tshark(board.capture, "-Y", "dns.count.answers == 60 && tcp")
    board.check_capture(10)


@pytest.mark.parametrize("target", NAMES)
def test_closed_ports_refuse_both_ways(tap: NetNS, tmp_path: Path, target: str) -> None:
    board = Board(tap, tmp_path, CLOSED, target=target, arguments=[HOST])
    assert json.loads(board.running.wait_for("[")) == [111, 111, 111]
    done = tap.run(sys.executable, "-c", REFUSED, ADDRESS)
    assert json.loads(done.stdout) == ["ECONNREFUSED", "ECONNREFUSED"]
    board.check_capture(8)


@pytest.fixture
def routed(tap: NetNS) -> Iterator[NetNS]:
    """Behind the host of `tap`, which forwards, there is another one, 10.8.0.2."""
    with NetNS() as other:
        for one in (tap, other):
            one.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")
        tap.run("ip", "link", "add", "veth0", "type", "veth", "peer", "veth1", "netns", other.name)
        for one, name, address in ((tap, "veth0", "10.8.0.1/24"), (other, "veth1", "10.8.0.2/24")):
            one.run("ip", "addr", "add", address, "dev", name)
            one.run("ip", "link", "set", name, "up")
        tap.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        other.run("ip", "route", "add", "default", "via", "10.8.0.1")
        tap.run("ip", "route", "add", "unreachable", "10.7.0.0/24")
        yield tap


def test_traceroute_shows_the_router(routed: NetNS, tmp_path: Path) -> None:
    board = Board(routed, tmp_path, WAY, "--gateway", HOST, arguments=["10.8.0.2"])
    way, pings = json_lines(board)
    assert way == [[HOST, 3], ["10.8.0.2", 3]]
    assert pings == [False, False, False]
    board.check_capture(18)


def test_a_router_says_that_there_is_no_way(routed: NetNS, tmp_path: Path) -> None:
    board = Board(routed, tmp_path, WAY, "--gateway", HOST, arguments=["10.7.0.1"])
    way, pings = json_lines(board)
    assert way == [[HOST, 3]]
    assert pings == [True, True, True]
    board.check_capture(12)
