"""The demo page in a real browser: its script runs and fills the tables. No privilege needed."""

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.host.board import free_port
from tests.host.command import VIPERIP
from tests.net.netns import Running


def chromium() -> str:
    """The browser; skips without one (a failure under test-all)."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("needs chromium")


def test_the_page_in_a_browser(tmp_path: Path) -> None:
    browser = chromium()
    port = free_port()
    picture = tmp_path / "page.png"
    board = Running([*VIPERIP, "sim", "--forward", f"{port}:80"])
    try:
        board.wait_for("Ctrl-C to stop", 40)
        # A container allows neither the sandbox nor much shared memory.
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ]
        command += [f"--user-data-dir={tmp_path}", "--virtual-time-budget=5000", "--no-first-run"]
        command += ["--window-size=1280,1400", f"--screenshot={picture}", "--dump-dom"]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{port}/"],
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
    finally:
        board.stop()
    assert done.returncode == 0, done.stderr[-2000:]
    page = re.sub(r"<[^>]+>", " ", done.stdout)
    # None of this is in the page that the board sends: its script fetched the status.
    for text in ("10.77.0.2", "10.77.0.1", "ESTABLISHED", "LISTEN", "reachable"):
        assert text in page, page
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:24]) == (1280, 1400)
