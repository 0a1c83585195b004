"""A board on a TAP and the servers it reports to or asks: chrony, rsyslog."""

import json
import time
from pathlib import Path

import pytest

from tests.net.board import HOST, NAMES, Board
from tests.net.captures import tshark
from tests.net.netns import NetNS
from tests.net.peers import needs
from tests.net.test_tap_services import json_lines

pytestmark = pytest.mark.root

CHRONY = f"""
local stratum 5
allow all
cmdport 0
bindaddress {HOST}
pidfile %s/chronyd.pid
"""
TIME = """
import json, sys
from viperip.application import sntp
out = []
for port in (123, 124):
    try:
        out.append(sntp.ask(sys.argv[1], port))
    except OSError as e:
        out.append(e.args)
out.append(sntp.time(sys.argv[1]))
try:
    sntp.settime(sys.argv[1])
except OSError as e:
    out.append(e.args[1])
print(json.dumps(out))
"""
RSYSLOG = f"""
module(load="imudp")
template(name="fields" type="list" option.jsonf="on") {{
    property(outname="pri" name="pri" format="jsonf")
    property(outname="version" name="protocol-version" format="jsonf")
    property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="host" name="hostname" format="jsonf")
    property(outname="app" name="app-name" format="jsonf")
    property(outname="id" name="msgid" format="jsonf")
    property(outname="data" name="structured-data" format="jsonf")
    property(outname="text" name="msg" format="jsonf")
}}
ruleset(name="all") {{ action(type="omfile" file="%s" template="fields") }}
input(type="imudp" address="{HOST}" port="514" ruleset="all")
"""
LOG = """
import sys
import viperip
from viperip.application import syslog
viperip.default().hostname = "board7"
log = syslog.Syslog(sys.argv[1], app="oven", facility=syslog.LOCAL0)
log.send(syslog.ERROR, "too hot", "TEMP", {"place@32473": {"room": 'a "b" ]', "n": 3}})
log.send(syslog.INFO, "gr\xfcn\\nand \u20ac")
log.send(syslog.DEBUG, "x" * 5000)
log.send(syslog.NOTICE, "the last")
class Record:
    levelno, name, message = 40, "oven", "from logging"
log.emit(Record)
"""


@pytest.mark.parametrize("target", NAMES)
def test_chrony_tells_the_time(tap: NetNS, tmp_path: Path, target: str) -> None:
    needs("chronyd", "chrony")
    (tmp_path / "chrony.conf").write_text(CHRONY % tmp_path)
    # -x: it does not touch this computer's clock.
    server = tap.start("chronyd", "-d", "-x", "-u", "root", "-f", str(tmp_path / "chrony.conf"))
    server.wait_for("chronyd version")
    before = time.time()
    board = Board(tap, tmp_path, TIME, target=target, arguments=[HOST])
    (answer, closed, seconds, no_rtc) = json_lines(board)[0]
    after = time.time()
    assert answer["stratum"] == 5 and answer["leap"] == 0 and answer["ip"] == HOST
    assert before - 1 <= answer["time_ms"] / 1000 <= after + 1
    assert before - 1 <= seconds <= after + 1
    assert closed == [111, f"{HOST}: no time server there"]
    assert no_rtc == "no machine.RTC here"
    assert len(tshark(board.capture, "-Y", "ntp.flags.mode == 4")) == 2
    board.check_capture(6)


@pytest.mark.parametrize("target", NAMES)
def test_rsyslog_reads_what_is_logged(tap: NetNS, tmp_path: Path, target: str) -> None:
    needs("rsyslogd", "rsyslog")
    written = tmp_path / "log.json"
    (tmp_path / "rsyslog.conf").write_text(RSYSLOG % written)
    tap.start("rsyslogd", "-n", "-f", str(tmp_path / "rsyslog.conf"), "-i", str(tmp_path / "pid"))
    end = time.monotonic() + 20
    while not tap.run("ss", "-Hlun", "sport = :514").stdout:
        assert time.monotonic() < end
    board = Board(tap, tmp_path, LOG, target=target, arguments=[HOST])
    assert board.running.wait() == 0, board.running.output
    while not written.exists() or written.read_text().count("\n") < 5:
        assert time.monotonic() < end, written.exists() and written.read_text()
    lines = [json.loads(line) for line in written.read_text().splitlines()]
    hot, green, long, _, record = lines
    assert [int(one["pri"]) for one in lines] == [131, 134, 135, 133, 131]
    assert {(one["version"], one["host"], one["app"]) for one in lines} == {
        ("1", "board7", "oven")
    }
    assert (hot["id"], hot["text"]) == ("TEMP", "too hot")
    assert r'room="a \"b\" \]"' in hot["data"] and 'n="3"' in hot["data"]
    assert green["text"].removeprefix("\ufeff") == "gr\xfcn and \u20ac" and green["data"] == "-"
    assert 900 < len(long["text"]) < 1024 and set(long["text"]) == {"x"}
    assert (record["id"], record["text"]) == ("oven", "from logging")
    assert (
        abs(time.time() - time.mktime(time.strptime(hot["time"][:19], "%Y-%m-%dT%H:%M:%S")))
        < 90000
    )
    board.check_capture(5)
