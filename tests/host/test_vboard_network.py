"""The stack on a virtual board, from its own filesystem."""

import json
import subprocess
import sys
import time

from tests.host.command import viperip
from tests.host.vboard import VBoard, vboard
from viperip_host import resources

__all__ = ["vboard"]

# What `viperip deploy` does over the line, without the line.
COPY = """
import os
def copy(a, b):
    os.mkdir(b)
    for name, kind, *_ in os.ilistdir(a):
        if kind == 0x4000:
            copy(a + "/" + name, b + "/" + name)
        elif name.endswith(".py"):
            with open(a + "/" + name, "rb") as f, open(b + "/" + name, "wb") as g:
                g.write(f.read())
copy("/.host%s/viperip", "/viperip")
with open("viperip_board.json", "w") as f:
    f.write(%r)
"""


def deployed(board: VBoard) -> None:
    profile = viperip("boards", "profile", "wt32-eth01").stdout
    assert json.loads(profile)["ethernet"]
    board.mpremote("exec", COPY % (resources.firmware(), profile))


def test_viperip_is_not_on_a_new_board(vboard: VBoard) -> None:
    said = vboard.mpremote("exec", "try:\n import viperip\nexcept ImportError: print('none')")
    assert said.strip() == "none"


def test_the_board_gets_an_address_and_answers_while_the_prompt_is_idle(vboard: VBoard) -> None:
    deployed(vboard)
    vboard.mpremote(
        "exec",
        "import viperip; lan = viperip.LAN(viperip.board()); lan.active(True); "
        "lan.ipconfig(dhcp4=True)",
    )
    # Nothing runs on the board now: DHCP and its probe (RFC 5227) go on at the prompt.
    end = time.monotonic() + 30
    while True:
        said = vboard.mpremote("resume", "exec", "print(lan.ipconfig('addr4')[0])").strip()
        if said != "0.0.0.0":
            break
        assert time.monotonic() < end, "no address"
        time.sleep(1)
    assert said.startswith("10.77.0.")
    out = vboard.mpremote(
        "resume", "exec", "print(viperip.__file__); viperip.ping('10.77.0.1', 2, interval_ms=100)"
    )
    assert out.startswith("viperip/__init__.py") and "2 received" in out


def test_mpremote_offers_the_prompt(vboard: VBoard) -> None:
    # Ctrl-] ends mpremote's terminal.
    command = f"{sys.executable} -m mpremote connect {vboard.port} repl"
    with subprocess.Popen(
        ["script", "-qec", command, "/dev/null"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as terminal:  # fmt: skip
        assert terminal.stdin
        time.sleep(1.5)
        terminal.stdin.write(b"print(6 * 7)\r")
        terminal.stdin.flush()
        time.sleep(1)
        out, _ = terminal.communicate(b"\x1d", timeout=20)
    assert b"42" in out
