"""The whole story of a board, with real programs: flashed, deployed, tested, watched, bridged."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.host import esp_image
from tests.host.board import free_port
from tests.host.command import VIPERIP
from tests.host.vboard import STATIC, VBoard
from tests.net import captures
from tests.net.netns import Running


def curl(url: str, seconds: float = 40.0) -> str:
    """What curl gets, as soon as somebody serves it."""
    end = time.monotonic() + seconds
    while True:
        command = ["curl", "-sS", "--max-time", "30", url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout
        assert time.monotonic() < end, done.stderr
        time.sleep(0.2)


def test_from_a_blank_board_to_an_empty_one(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    firmware = tmp_path / "ESP32_GENERIC-20261001-v1.29.0.bin"
    firmware.write_bytes(esp_image.firmware("esp32"))
    config = tmp_path / "bench.toml"
    config.write_text(STATIC)
    with VBoard(tmp_path, "--blank") as board:

        def run(verb: str, *arguments: str) -> str:
            done = board.viperip(verb, *arguments)
            assert done.returncode == 0, f"{verb}: {done.stdout}{done.stderr}"
            return done.stdout

        flashed = json.loads(
            run("flash", "--board", "wt32-eth01", "--firmware", str(firmware), "--json")
        )
        assert flashed["micropython"].startswith("1.29")

        run("deploy", "--board", "wt32-eth01", "--demo", "--config", str(config))
        # The demo starts with the board; here it comes later.
        board.mpremote("exec", "import os; os.rename('main.py', 'demo.py')")

        tested = subprocess.run(
            [*VIPERIP, "test", "--port", board.port, "--", "-q", "-p", "no:cacheprovider",
             "tests/device/test_ethernet.py"],
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert tested.returncode == 0, tested.stdout

        ping = tmp_path / "ping.py"
        ping.write_text("import viperip\nviperip.up()\nviperip.ping('10.77.0.1', count=3)\n")
        capture = tmp_path / "ping.pcapng"
        run("capture", "-w", str(capture), "--run", str(ping))

        port = free_port()
        bridge = Running(
            [*VIPERIP, "bridge", "--port", board.port, "--forward", f"{port}:80",
             "--run", ":demo.py"]
        )  # fmt: skip
        try:
            status = json.loads(curl(f"http://127.0.0.1:{port}/api/status"))
            assert status["interfaces"][0]["if"] == "serial"
            assert "<html" in curl(f"http://127.0.0.1:{port}/")
        finally:
            bridge.stop()

        run("undeploy")
        assert board.mpremote("exec", "import os; print(os.listdir('/'))") == "['demo.py']\n"
    captures.check_capture(capture)
    kinds = captures.tshark(capture, "-Y", "icmp", "-T", "fields", "-e", "icmp.type")
    assert kinds == ["8", "0"] * 3
