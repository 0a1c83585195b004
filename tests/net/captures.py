"""tshark's word on a capture: nothing malformed, no wrong checksum."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

_CHECKED_BY_OPTION = ("ip", "tcp", "udp")
_CHECKSUMS = (*_CHECKED_BY_OPTION, "icmp", "igmp")
_WRONG = " || ".join(
    ["_ws.malformed", "_ws.expert.severity == error"]
    + [f"{name}.checksum.status == 0" for name in _CHECKSUMS]
)
# Linux writes a TCP checksum of 0 as FFFF, which adds up just as well; tshark calls it wrong
# (RFC 1624). So once in 65,536 segments a frame from Linux, and only from there, is let pass.
_MINUS_ZERO = "(tcp.checksum.ffff && frame.packet_flags_direction == 1)"

_checked: set[Path] = set()


def check_capture(path: Path, at_least: int = 1, spoiled: str = "") -> None:
    """No malformed packet, no wrong checksum, and AT_LEAST so many packets.

    SPOILED is a display filter for frames that are wrong on purpose. Without tshark it skips (a
    failure under test-all), so it comes last in a test that needs no root.
    """
    _checked.add(path)
    wrong = f"({_WRONG}) && !{_MINUS_ZERO}" + (f" && !({spoiled})" if spoiled else "")
    # Random bytes in a stream look like many a protocol, and then like a broken one.
    found = tshark(path, "-d", "tcp.port==1024-65535,data", "-Y", wrong)
    assert not found, f"{path}:\n" + "\n".join(found[:20])
    counted = packets(path)
    assert counted >= at_least, f"{counted} packets"


def unchecked(folder: Path) -> list[Path]:
    """The captures in a folder that check_capture() has not seen."""
    return [path for path in sorted(folder.rglob("*.pcapng")) if path not in _checked]


def tshark(path: Path, *flags: str) -> list[str]:
    """The lines of tshark about a capture, checksums checked."""
    if shutil.which("tshark") is None:
        pytest.skip("needs tshark")
    checks = []
    for name in _CHECKED_BY_OPTION:
        checks += ["-o", f"{name}.check_checksum:TRUE"]
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), *checks, *flags],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def packets(path: Path) -> int:
    """How many packets a capture has."""
    done = subprocess.run(
        ["capinfos", "-M", "-c", str(path)], capture_output=True, text=True, check=True
    )
    found = re.search(r"Number of packets: *(\d+)", done.stdout)
    assert found, done.stdout
    return int(found[1])
