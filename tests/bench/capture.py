"""How much of a serial line's bytes `viperip capture` uses for frames, on a virtual board."""

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.host.vboard import STATIC, VBoard

# Datagrams of SIZE bytes, one every EVERY_US microseconds for SECONDS.
SCRIPT = """
import viperip, time, socket
viperip.up()
viperip.ping("10.77.0.1", count=1, quiet=True)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sent = 0
end = time.ticks_add(time.ticks_ms(), {seconds} * 1000)
due = time.ticks_us()
while time.ticks_diff(end, time.ticks_ms()) > 0:
    left = time.ticks_diff(due, time.ticks_us())
    if left > 0:
        time.sleep_us(left)
    due = time.ticks_add(due, {every_us})
    try:
        s.sendto(bytes({size}), ("10.77.0.1", 9))
        sent += 1
    except OSError:
        pass
print("sent", sent)
time.sleep(1)
"""
SECONDS = 4


def configure(board: VBoard) -> None:
    """Give the board a static address: its probes are no part of this."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "static.toml"
        config.write_text(STATIC)
        done = board.viperip("deploy", "--demo", "--config", str(config))
        assert done.returncode == 0, done.stderr


def flood(board: VBoard, size: int, every_us: int) -> dict[str, Any]:
    """Capture while the board sends; the report, with `sent` datagrams."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "flood.py"
        script.write_text(SCRIPT.format(size=size, every_us=every_us, seconds=SECONDS))
        done = board.viperip(
            "capture", "-w", str(Path(folder) / "flood.pcapng"), "--run", str(script), "--json",
            "--filter", "udp and out",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    report["sent"] = int(done.stderr.partition("sent ")[2].split()[0])
    return report


def share(board: VBoard, size: int, every_us: int) -> float:
    """Percent of the line's bytes that were the captured frames' own."""
    report = flood(board, size, every_us)
    return 100.0 * int(report["bytes"]) / int(report["line_bytes"])


def lost(board: VBoard) -> float:
    """How many of 300 small frames a second the capture did not have."""
    report = flood(board, 18, 1_000_000 // 300)
    return float(report["sent"] - report["frames"])
