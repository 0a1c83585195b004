"""A board on a TAP beside avahi, which has a name there, too."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.net.board import ADDRESS, HOST, NAMES, Board
from tests.net.captures import tshark
from tests.net.netns import NetNS, Running
from tests.net.peers import needs

pytestmark = pytest.mark.root

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/><allow receive_sender="*"/>
  </policy>
</busconfig>
"""
AVAHI = """
[server]
host-name=%s
use-ipv4=yes
use-ipv6=no
allow-interfaces=tap0
[publish]
publish-hinfo=no
publish-workstation=no
[rlimits]
"""
# What avahi keeps in /run must not meet another avahi's.
PRIVATE_RUN = 'mount -t tmpfs tmpfs /run && mkdir /run/avahi-daemon && exec "$@"'

SCRIPT = """
import json, select, socket, sys, time
import viperip
from viperip.application.mdns import Responder
(ifc,) = viperip.default().interfaces
r = Responder(ifc, "board", lambda name: print("won", name))
r.start()
while not r.isready():
    time.sleep_ms(10)
def ask(name):
    try:
        return [a[-1][0] for a in socket.getaddrinfo(name, 80)]
    except OSError as e:
        return e.errno
print(json.dumps([ask(name) for name in sys.argv[1:]]))
told = select.poll()
told.register(sys.stdin, select.POLLIN)
told.poll()
if sys.stdin.readline():
    r.stop()
    print("goodbye")
    time.sleep(60)
"""


class Avahi:
    """avahi-daemon on tap0, with a message bus of its own. Its host is NAME.local."""

    def __init__(self, tap: NetNS, folder: Path, name: str) -> None:
        needs("avahi-daemon", "avahi-daemon")
        needs("avahi-resolve", "avahi-utils")
        self.tap = tap
        socket = folder / "bus"
        (folder / "bus.conf").write_text(BUS % socket)
        (folder / "avahi.conf").write_text(AVAHI % name)
        self.bus = tap.start(
            *(needs("dbus-daemon", "dbus"), "--nofork", "--print-address"),
            f"--config-file={folder / 'bus.conf'}",
        )
        self.bus.wait_for("unix:")
        self.env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={socket}"}
        command = ["avahi-daemon", "-f", str(folder / "avahi.conf"), "--no-drop-root"]
        self.daemon: Running = tap.start(
            *("sh", "-c", PRIVATE_RUN, "sh", *command, "--no-chroot", "--no-rlimits"), env=self.env
        )
        self.daemon.wait_for("Server startup complete")

    def resolve(self, *what: str, check: bool = True) -> str:
        """What avahi-resolve says."""
        bus = "DBUS_SYSTEM_BUS_ADDRESS=" + self.env["DBUS_SYSTEM_BUS_ADDRESS"]
        done = self.tap.run("env", bus, "avahi-resolve", *what, check=check)
        return done.stdout + done.stderr


def start(tap: NetNS, folder: Path, target: str, *names: str) -> Board:
    """A board named "board", which looks NAMES up; a line to its stdin says goodbye."""
    return Board(tap, folder, SCRIPT, target=target, arguments=names, stdin=subprocess.PIPE)


@pytest.mark.parametrize("target", NAMES)
def test_avahi_and_the_board_find_each_other(tap: NetNS, tmp_path: Path, target: str) -> None:
    needs("dig", "bind9-dnsutils")
    avahi = Avahi(tap, tmp_path, "linux")
    board = start(tap, tmp_path, target, "linux.local", "Board.local", "absent.local")
    board.running.wait_for("won board.local")
    assert json.loads(board.running.wait_for("[")) == [[HOST], [ADDRESS], -2]
    assert avahi.resolve("-4", "-n", "board.local").split() == ["board.local", ADDRESS]
    assert avahi.resolve("-a", ADDRESS).split() == [ADDRESS, "board.local"]
    # An ordinary DNS client that asks the port.
    ask = ("dig", "-p", "5353", f"@{ADDRESS}", "+noall", "+comments", "+answer")
    said = tap.run(*ask, "board.local").stdout
    assert "status: NOERROR" in said and f"10\tIN\tA\t{ADDRESS}" in said
    assert "ANSWER: 0" in tap.run(*ask, "board.local", "AAAA").stdout
    board.running.type("\n")
    board.running.wait_for("goodbye")
    gone = "dns.resp.ttl == 0 && dns.flags.response == 1 && ip.src == " + ADDRESS
    assert tshark(board.capture, "-Y", gone)
    # Linux's cache forgets it after a second, not after the 120 of its TTL (RFC 6762 10.1).
    end = time.monotonic() + 60
    while "Timeout" not in avahi.resolve("-4", "-n", "board.local", check=False):
        assert time.monotonic() < end
    board.check_capture(15)


def test_a_name_that_avahi_has_is_left_to_it(tap: NetNS, tmp_path: Path) -> None:
    avahi = Avahi(tap, tmp_path, "board")
    board = start(tap, tmp_path, "unix", "board.local", "board-2.local")
    board.running.wait_for("won board-2.local")
    assert json.loads(board.running.wait_for("[")) == [[HOST], [ADDRESS]]
    assert avahi.resolve("-4", "-n", "board-2.local").split() == ["board-2.local", ADDRESS]
    assert avahi.resolve("-4", "-n", "board.local").split() == ["board.local", HOST]
    assert avahi.resolve("-a", ADDRESS).split() == [ADDRESS, "board-2.local"]
    board.check_capture(10)


def test_avahi_leaves_the_board_its_name(tap: NetNS, tmp_path: Path) -> None:
    board = start(tap, tmp_path, "unix")
    board.running.wait_for("won board.local")
    avahi = Avahi(tap, tmp_path, "board")
    assert "board-2.local" in avahi.daemon.output
    assert avahi.resolve("-4", "-n", "board.local").split() == ["board.local", ADDRESS]
    assert "won board-" not in board.running.output
    board.check_capture(10)
