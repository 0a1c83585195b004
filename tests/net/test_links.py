"""The links to Linux, TAP and AF_PACKET, in MicroPython against the kernel of a namespace."""

import struct
import sys
from pathlib import Path

import pytest

from tests.net.captures import check_capture, tshark
from tests.net.netns import NetNS
from viperip_host import interpreter

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
MAC = "02:00:00:00:00:77"

# Opens a TAP and becomes MicroPython, which inherits it.
LAUNCH = """
import os, sys
from viperip_host import links
link = links.open_link(sys.argv[1])
os.set_inheritable(link.fds[0], True)
os.execv(sys.argv[2], [*sys.argv[2:], str(link.fds[0])])
"""

# Answers ARP and echo requests for 10.9.0.7 by hand, and captures.
ANSWER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from viperip.link.linux import Tap, Packet
from viperip.link.capture import Capture
MAC = bytes([2, 0, 0, 0, 0, 0x77])
US = bytes([10, 9, 0, 7])
if sys.argv[2] == "packet":
    class Link(Packet):
        use_shim = sys.argv[4] == "shim"
    dev = Link("veth0", MAC)
else:
    dev = Tap(int(sys.argv[4]), "tap0", MAC)
dev = Capture(dev, sys.argv[3])
dev.up()
print("ready")

def answer(f):
    if f[12:14] == b"\\x08\\x06" and f[20:22] == b"\\0\\1" and f[38:42] == US:
        return f[6:12] + MAC + f[12:20] + b"\\0\\2" + MAC + US + f[22:32]
    if f[12:14] == b"\\x08\\0" and f[23] == 1 and f[34] == 8 and f[30:34] == US:
        n = 14 + (f[16] << 8 | f[17])
        s = (f[36] << 8 | f[37]) + 0x800
        s = (s & 0xFFFF) + (s >> 16)
        sum = bytes([s >> 8, s & 255])
        return f[6:12] + MAC + f[12:26] + f[30:34] + f[26:30] + b"\\0\\0" + sum + f[38:n]

while True:
    n = dev.recv()
    if not n:
        time.sleep_ms(1)
        continue
    f = bytes(dev.rx[dev.rx_off : dev.rx_off + n])
    dev.release()
    assert f[6:12] != MAC
    out = answer(f)
    if out:
        buf = dev.borrow()
        buf[dev.tx_off : dev.tx_off + len(out)] = out
        dev.send(len(out))
"""


def ping(netns: NetNS) -> None:
    netns.run("ping", "-c5", "-i0.05", "-W2", "-s1400", "10.9.0.7")
    netns.run("ping", "-c5", "-i0.05", "-W2", "10.9.0.7")


def directions(path: Path) -> list[int]:
    """The flags of the packets of a capture: 1 inbound, 2 outbound."""
    data = path.read_bytes()
    found = []
    while data:
        kind, n = struct.unpack("<II", data[:8])
        assert len(data) >= n
        if kind == 6:
            found.append(struct.unpack("<I", data[n - 12 : n - 8])[0])
        data = data[n:]
    return found


def read_capture(path: Path) -> None:
    flags = directions(path)
    assert flags.count(2) == 11 and flags.count(1) >= 11  # ARP and ten echoes, answered
    # It is complete while MicroPython still writes.
    assert len(tshark(path, "-Y", "icmp.type == 0")) == 10
    check_capture(path, 22)


def test_tap(tap: NetNS, tmp_path: Path) -> None:
    script = tmp_path / "answer.py"
    script.write_text(ANSWER)
    capture = tmp_path / "tap.pcapng"
    tap.start(
        *(sys.executable, "-c", LAUNCH, "tap:tap0", interpreter.find().path),
        *(str(script), str(FIRMWARE), "tap", str(capture)),
    ).wait_for("ready")
    ping(tap)
    read_capture(capture)


@pytest.mark.parametrize("how", ["shim", "recv"])
def test_packet(netns: NetNS, tmp_path: Path, how: str) -> None:
    with NetNS() as other:
        netns.run(
            "ip", "link", "add", "veth0", "type", "veth", "peer", "veth1", "netns", other.name
        )
        netns.run("ip", "link", "set", "veth0", "up")
        other.run("ip", "addr", "add", "10.9.0.1/24", "dev", "veth1")
        other.run("ip", "link", "set", "veth1", "up")
        script = tmp_path / "answer.py"
        script.write_text(ANSWER)
        capture = tmp_path / "packet.pcapng"
        netns.start(
            *(interpreter.find().path, str(script), str(FIRMWARE)),
            *("packet", str(capture), how),
        ).wait_for("ready")
        ping(other)
        read_capture(capture)
