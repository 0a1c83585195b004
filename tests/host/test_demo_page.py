"""The demo board: what it prints, its page and its JSON. No privilege needed."""

import json
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.host.board import TARGETS, interpreter
from tests.host.command import VIPERIP
from tests.net.netns import Running

MAC = r"([0-9a-f]{2}:){5}[0-9a-f]{2}"

# In this order; other lines may be between them.
STORY = (
    rf"board: eth0, MAC {MAC}, IP 10\.77\.0\.2 netmask 255\.255\.255\.0$",
    r"DHCP: lease of \d+ s from 10\.77\.0\.1, gateway 10\.77\.0\.1, DNS 10\.77\.0\.1$",
    r".* > ARP, who-has 10\.77\.0\.1 tell 10\.77\.0\.2$",
    rf".* < ARP, 10\.77\.0\.1 is-at {MAC}$",
    r"64 bytes from 10\.77\.0\.1: icmp_seq=0 ttl=64 time=[\d.]+ ms$",
    r"64 bytes from 10\.77\.0\.1: icmp_seq=1 ttl=64 time=[\d.]+ ms$",
    r"64 bytes from 10\.77\.0\.1: icmp_seq=2 ttl=64 time=[\d.]+ ms$",
    r"3 packets transmitted, 3 received, 0% packet loss$",
    r"web server: http://10\.77\.0\.2/, microdot",
    r"the board serves its page on http://127\.0\.0\.1:\d+/$",
    r".* < IP 10\.77\.0\.1\.\d+ > 10\.77\.0\.2\.80: Flags \[S\], seq 0,",
    r".* > IP 10\.77\.0\.2\.80 > 10\.77\.0\.1\.\d+: Flags \[S\.\], seq 0, ack 1,",
    r".* > IP 10\.77\.0\.2\.80 > 10\.77\.0\.1\.\d+: Flags \[P?\.\], .* length 1460$",
    r".* IP .*: Flags \[F",
    r".* IP .*: Flags \[F",
    r".* IP .*: Flags \[\.\], .* length 0$",
    r"the page came whole: \d+ bytes$",
)


class Board:
    """A demo board that has served its page once."""

    def __init__(self, running: Running) -> None:
        running.wait_for("Ctrl-C", 40)
        self.lines = running.output.splitlines()
        self.url = running.wait_for("the board serves its page on").rpartition(" ")[2]
        self.running = running

    def get(self, path: str) -> tuple[str, bytes]:
        """(Content-Type, body) of a page."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url + path, timeout=15) as reply:
            return reply.headers["Content-Type"], reply.read()

    def status(self) -> dict[str, Any]:
        kind, body = self.get("api/status")
        assert kind == "application/json; charset=utf-8"
        value: dict[str, Any] = json.loads(body)
        return value


@pytest.fixture(scope="module", params=TARGETS)
def board(request: pytest.FixtureRequest) -> Iterator[Board]:
    # Of each word size.
    # A port of its own: other tests, run beside this one, go for the usual one.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = Running([*VIPERIP, "sim", *interpreter(request.param), "--forward", f"{port}:80"])
    try:
        yield Board(running)
    finally:
        running.stop()


def test_the_printed_lines_come_in_order(board: Board) -> None:
    left = iter(board.lines)
    for wanted in STORY:
        assert any(re.match(wanted, line) for line in left), (wanted, board.lines)


def test_the_packet_log_ends_with_the_first_connection(board: Board) -> None:
    board.get("")
    board.status()
    time.sleep(0.3)
    log = [line for line in board.running.output.splitlines() if ": Flags [" in line]
    assert sum("Flags [S]" in line for line in log) == 1, log
    ports = {port for line in log for port in re.findall(r"10\.77\.0\.1\.(\d+)", line)}
    assert len(ports) == 1, log
    fins = [line.split()[1] for line in log if "Flags [F" in line]
    assert sorted(fins) == ["<", ">"], log


def test_the_page(board: Board) -> None:
    kind, body = board.get("")
    assert kind == "text/html; charset=utf-8"
    page = body.decode()
    assert page.startswith("<!doctype html>")
    assert '<meta charset="utf-8">' in page
    assert page.endswith("</html>\n")
    # Self-contained: nothing is loaded from elsewhere.
    assert "http:" not in page and "https:" not in page
    assert "/api/status" in page


def test_the_status(board: Board) -> None:
    status = board.status()
    assert set(status) == {
        "board", "dhcp", "uptime_s", "heap", "interfaces", "counters", "arp", "sockets", "packets",
    }  # fmt: skip
    assert status["board"]["ip"] == "10.77.0.2"
    assert status["board"]["gateway"] == "10.77.0.1"
    assert status["dhcp"]["state"] == "bound"
    assert status["heap"]["free"] > status["heap"]["used"] > 0
    assert status["counters"]["tcp_in"] > 0
    assert [(one["ip"], one["state"]) for one in status["arp"]] == [("10.77.0.1", "reachable")]
    (wire,) = [one for one in status["interfaces"] if one["if"] == "eth0"]
    assert wire["rx_frames"] > 0 and wire["tx_bytes"] > 0
    assert 0 < len(status["packets"]) <= 20
    assert re.match(r" *\d+\.\d{3} [<>] ", status["packets"][-1])


def test_the_status_shows_its_own_connection(board: Board) -> None:
    rows = board.status()["sockets"]
    states = [row["state"] for row in rows if row["local"].endswith(":80")]
    assert "LISTEN" in states
    assert "ESTABLISHED" in states
    (own,) = [row for row in rows if row["state"] == "ESTABLISHED"]
    assert {"rtt", "rto", "snd_wnd", "rcv_wnd", "cwnd"} <= set(own)
    assert own["mss"] == 1460


def test_the_status_moves(board: Board) -> None:
    first = board.status()
    time.sleep(1.1)
    second = board.status()
    assert second["uptime_s"] > first["uptime_s"]
    assert second["counters"]["tcp_in"] > first["counters"]["tcp_in"]
    assert second["packets"] != first["packets"]


def test_it_serves_fetch_after_fetch(board: Board) -> None:
    pages = {board.get("")[1] for _ in range(30)}
    assert len(pages) == 1


def test_an_unknown_path_is_404(board: Board) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        board.get("nothing")
    assert caught.value.code == 404
