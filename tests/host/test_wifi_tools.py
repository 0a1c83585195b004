"""tshark decrypts what a station and the modelled access point say; hostap.py says why not."""

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.net.captures import tshark
from viperip_host import hostap, interpreter, resources
from viperip_host.errors import HostError

PASSPHRASE = "a passphrase"

# Joins, exchanges frames, has the group key changed, exchanges more; prints every MPDU.
SCRIPT = """
import sys
sys.path[:0] = sys.argv[1].split(":")
import json
from wifi_board import ALL, INSIDE, MAC, World, frame

w = World(start=False)
seen = []
take, put = w.ap.take, w.ap.put
w.ap.take = lambda m: (seen.append(m), take(m))
w.ap.put = lambda m: (seen.append(m), put(m))
w.dev.up()
w.run(600)
assert w.dev.link()


def arp(to, source, op, n):
    head = to + source + b"\\x08\\x06\\0\\x01\\x08\\0\\x06\\x04\\0" + bytes((op,))
    return head + source + bytes((10, 0, 0, n)) + bytes(6) + bytes((10, 0, 0, 3 - n))


def exchange():
    w.ap.send(arp(MAC, INSIDE, 2, 1))
    w.ap.send(arp(ALL, INSIDE, 1, 1))
    assert len(w.read()) == 2
    assert w.send(arp(INSIDE, MAC, 2, 2))


exchange()
w.ap.gtk.append(None)
w.ap.rekey(b"group key two !!", 2)
w.read()
w.ap.poll()
exchange()
print(json.dumps([m.hex() for m in seen]))
"""


def write_pcap(path: Path, mpdus: list[bytes]) -> None:
    """A capture of link type 105, IEEE 802.11 without FCS."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 105)
    for i, mpdu in enumerate(mpdus):
        out += struct.pack("<IIII", i // 1000, i % 1000 * 1000, len(mpdu), len(mpdu)) + mpdu
    path.write_bytes(out)


def test_tshark_decrypts_it_with_the_passphrase(tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("needs tshark")
    (tmp_path / "script.py").write_text(SCRIPT)
    device = Path(__file__).parents[1] / "device"
    path = f"{resources.firmware()}:{resources.models()}:{device}"
    done = subprocess.run(
        [interpreter.find().path, str(tmp_path / "script.py"), path],
        capture_output=True,
        text=True,
        check=True,
    )
    mpdus = [bytes.fromhex(one) for one in json.loads(done.stdout)]
    capture = tmp_path / "air.pcap"
    write_pcap(capture, mpdus)

    def lines(display: str, passphrase: str = PASSPHRASE) -> list[str]:
        key = f'uat:80211_keys:"wpa-pwd","{passphrase}:viperip"'
        return tshark(capture, "-o", "wlan.enable_decryption:TRUE", "-o", key, "-Y", display)

    assert len(lines("eapol")) == 6
    assert len(lines("arp")) == 6
    assert len(lines("arp.opcode == 1")) == 2  # under two group keys
    assert lines("arp", "another passphrase") == []
    assert lines("_ws.malformed") == []


def test_without_a_build_the_reason_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="python -m viperip_host.hostap"):
        hostap.find()
    with pytest.raises(HostError, match="is missing"):
        hostap.fetch()
    assert hostap.main() == 1
