"""A board on a TAP that gives Linux its address and its names: udhcpc, dig, getaddrinfo."""

import json
import sys
import time
from pathlib import Path

import pytest

from tests.net.board import ADDRESS, NAMES, Board
from tests.net.captures import tshark
from tests.net.netns import NetNS
from tests.net.peers import needs

pytestmark = pytest.mark.root

SERVE = """
import json, sys, time
import viperip
from viperip.address import ip4
from viperip.application.dhcp_server import Server as DHCP
from viperip.application.dns_server import Server as DNS
(ifc,) = viperip.default().interfaces
dhcp = DHCP(ifc, ip4("10.9.0.100"), 3, ifc.addr, [ifc.addr], 600, "board.lan")
dhcp.start()
DNS(ifc, {"other.lan": "192.0.2.7"}, captive=sys.argv[1] == "captive").start()
print("serving")
said = None
while True:
    now = json.dumps(dhcp.leases())
    if now != said:
        said = now
        print(now)
    time.sleep_ms(20)
"""
# What udhcpc calls with the lease in the environment.
HOOK = """#!/bin/sh
case "$1" in
bound|renew) ip addr replace "$ip/$mask" dev "$interface" ;;
deconfig) ip addr flush dev "$interface" ;;
esac
echo "$1 $ip/$mask router=$router dns=$dns domain=$domain lease=$lease server=$serverid"
"""
GETADDRINFO = """
import json, socket, sys
out = []
for name in sys.argv[1:]:
    try:
        out.append(sorted({a[4][0] for a in socket.getaddrinfo(name, 80)}))
    except OSError as e:
        out.append(e.args[0] == socket.EAI_NONAME)
print(json.dumps(out))
"""


def serving(tap: NetNS, folder: Path, target: str, how: str = "captive") -> Board:
    """A board that serves DHCP and DNS, on a TAP where Linux has no address."""
    tap.run("ip", "addr", "flush", "dev", "tap0")
    board = Board(tap, folder, SERVE, target=target, arguments=[how])
    board.running.wait_for("serving")
    return board


@pytest.mark.parametrize("target", NAMES)
def test_udhcpc_gets_keeps_and_returns_an_address(tap: NetNS, tmp_path: Path, target: str) -> None:
    udhcpc = needs("udhcpc", "udhcpc")
    board = serving(tap, tmp_path, target)
    hook = tmp_path / "hook"
    hook.write_text(HOOK)
    hook.chmod(0o755)
    client = tap.start(
        *(udhcpc, "-f", "-R", "-i", "tap0", "-s", str(hook), "-x", "hostname:linux"),
        *("-O", "domain", "-t", "5", "-T", "1"),
    )
    bound = client.wait_for("bound ")
    address = bound.split()[1].split("/")[0]
    assert address in {"10.9.0.100", "10.9.0.101", "10.9.0.102"}
    assert bound == (
        f"bound {address}/24 router={ADDRESS} dns={ADDRESS} domain=board.lan lease=600 "
        f"server={ADDRESS}"
    )
    (lease,) = json.loads(board.running.wait_for('"leased"'))
    assert lease["ip"] == address
    assert lease["mac"] == tap.mac_of("tap0") and lease["name"] == "linux"
    tap.ping(ADDRESS)
    client.send(10)  # SIGUSR1: renew
    client.wait_for(f"renew {address}/24 ")
    client.send(15)
    client.wait()
    board.running.wait_for('"free"')
    # The same address for the same MAC, and a wish that is none of ours is not granted.
    again = tap.run(
        *(udhcpc, "-f", "-q", "-n", "-i", "tap0", "-s", str(hook), "-r", "172.16.0.9"),
        *("-t", "5", "-T", "1"),
    )
    assert f"bound {address}/24" in again.stdout
    tap.ping(ADDRESS)
    assert tshark(board.capture, "-Y", "dhcp.option.dhcp == 7")  # release
    board.check_capture(8)


def test_a_client_that_asks_for_a_strange_address_is_refused(tap: NetNS, tmp_path: Path) -> None:
    # A client that comes from another network and asks for its old address at once (RFC 2131
    # 4.3.2, INIT-REBOOT) is told NAK.
    board = serving(tap, tmp_path, "unix")
    mac = bytes.fromhex(tap.mac_of("tap0").replace(":", ""))
    body = bytes([1, 1, 6, 0]) + b"VIPE" + bytes(20) + mac + bytes(10 + 192)
    body += b"\x63\x82\x53\x63" + b"\x35\x01\x03" + b"\x32\x04" + bytes([172, 16, 0, 9]) + b"\xff"
    send = (
        "import socket, sys\n"
        "s = socket.socket(type=socket.SOCK_DGRAM)\n"
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n"
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'tap0')\n"
        "s.bind(('', 68))\n"
        "s.settimeout(10)\n"
        "s.sendto(bytes.fromhex(sys.argv[1]), ('255.255.255.255', 67))\n"
        "print(s.recv(2000).hex())\n"
    )
    tap.run("ip", "addr", "add", "0.0.0.0", "dev", "tap0", check=False)
    tap.run("ip", "route", "add", "default", "dev", "tap0")
    reply = bytes.fromhex(tap.run(sys.executable, "-c", send, body.hex()).stdout)
    assert reply[4:8] == b"VIPE" and b"\x35\x01\x06" in reply
    board.check_capture(2)


def dig(tap: NetNS, *what: str) -> str:
    return tap.run("dig", "+tries=2", "+timeout=3", f"@{ADDRESS}", *what).stdout


@pytest.mark.parametrize("target", NAMES)
def test_dig_and_getaddrinfo_ask_the_board(tap: NetNS, tmp_path: Path, target: str) -> None:
    needs("dig", "bind9-dnsutils")
    board = serving(tap, tmp_path, target)
    tap.run("ip", "addr", "add", "10.9.0.1/24", "dev", "tap0")
    # EDNS, a cookie and padding of the question are dig's default.
    said = dig(tap, "www.Example.org")
    assert "status: NOERROR" in said and "flags: qr aa rd;" in said and "EDNS: version: 0" in said
    assert "Warning" not in said and "WARNING: recursion requested but not available" in said
    assert "Example.org." in said and said.count(ADDRESS) >= 2
    assert dig(tap, "+short", "any.thing.at.all").split() == [ADDRESS]
    assert dig(tap, "+short", "other.lan").split() == ["192.0.2.7"]
    for what, status in (
        (("www.example.org", "AAAA"), "NOERROR"),
        (("www.example.org", "MX", "+noedns"), "NOERROR"),
        (("-x", "10.9.0.2"), "NXDOMAIN"),
        (("version.bind", "CH", "TXT"), "REFUSED"),
        (("+opcode=status", "x"), "NOTIMP"),
        (("+opcode=notify", "x"), "NOTIMP"),
        (("+edns=1", "+noednsneg", "x"), "BADVERS"),
        (("+header-only", "x"), "FORMERR"),
    ):
        said = dig(tap, *what)
        assert f"status: {status}" in said and "ANSWER: 0" in said, (what, said)
        assert "malformed" not in said and "Malformed" not in said
    (tmp_path / "resolv.conf").write_text(f"nameserver {ADDRESS}\noptions timeout:3\n")
    (tmp_path / "ask.py").write_text(GETADDRINFO)
    command = (
        f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && "
        f"exec {sys.executable} {tmp_path}/ask.py www.debian.org other.lan"
    )
    assert json.loads(tap.run("sh", "-c", command).stdout) == [[ADDRESS], ["192.0.2.7"]]
    board.check_capture(20, "dns.flags.rcode == 1 || dns.flags.opcode != 0")


def test_names_that_are_not_there(tap: NetNS, tmp_path: Path) -> None:
    needs("dig", "bind9-dnsutils")
    board = serving(tap, tmp_path, "unix", "only its own")
    tap.run("ip", "addr", "add", "10.9.0.1/24", "dev", "tap0")
    assert "status: NXDOMAIN" in dig(tap, "www.example.org")
    assert dig(tap, "+short", "OTHER.lan").split() == ["192.0.2.7"]
    end = time.monotonic() + 10
    (tmp_path / "resolv.conf").write_text(f"nameserver {ADDRESS}\n")
    (tmp_path / "ask.py").write_text(GETADDRINFO)
    command = (
        f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && "
        f"exec {sys.executable} {tmp_path}/ask.py absent.lan"
    )
    assert json.loads(tap.run("sh", "-c", command).stdout) == [True]
    assert time.monotonic() < end
    board.check_capture(6)
