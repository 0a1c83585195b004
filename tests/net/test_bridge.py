"""`viperip bridge --tap`: Linux on the other end of a board's serial line. Root and Linux only."""

import json
import os
from pathlib import Path

import pytest

from tests.host.command import VIPERIP
from tests.host.vboard import deployed_image, with_viperip
from tests.net.captures import check_capture
from tests.net.netns import NetNS

__all__ = ["deployed_image"]

pytestmark = pytest.mark.root


def test_linux_pings_and_fetches_through_a_serial_line(
    tap: NetNS, tmp_path: Path, deployed_image: Path
) -> None:
    capture = tmp_path / "bridge.pcapng"
    with with_viperip(deployed_image, tmp_path) as board:
        bridge = tap.start(
            *VIPERIP, "bridge", "--port", board.port, "--tap", "tap0", "--ip", "10.9.0.2/24",
            "--run", ":demo.py", "--capture", str(capture),
        )  # fmt: skip
        bridge.wait_for("on tap0, at 921600 baud")
        tap.ping("10.9.0.2")
        done = tap.run("ping", "-nq", "-i0.02", "-c100", "-W2", "10.9.0.2", check=False)
        assert "100 packets transmitted, 100 received, 0% packet loss" in done.stdout
        # In fragments: two frames that fill the line.
        done = tap.run("ping", "-nq", "-i0.3", "-c5", "-s2000", "-W3", "10.9.0.2", check=False)
        assert "5 received" in done.stdout
        bridge.wait_for("microdot on the board's own TCP")
        status = json.loads(tap.run("curl", "-sS", "http://10.9.0.2/api/status").stdout)
        assert status["interfaces"][0]["ip"] == "10.9.0.2/24"
        bridge.stop()
        assert board.stop()["lost"] == 0
    check_capture(capture)
    assert os.path.getsize(capture) > 10_000
