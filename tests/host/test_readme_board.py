"""The README's section "With a board", word by word, on a virtual board."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.board import fetch
from tests.net import captures
from tests.net.netns import Running

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def commands() -> list[str]:
    """The commands of the section, in their order."""
    text = (ROOT / "README.md").read_text()
    section = text.partition("\n## With a board\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    found = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    assert len(found) == 9, found
    return found


def words(command: str, folder: Path) -> list[str]:
    """The words of a command, with this installation's programs and a port of the test's own."""
    command = command.replace("/tmp/board", str(folder / "board"))
    command = command.replace("board.pcapng", str(folder / "board.pcapng"))
    return [
        str(BIN / word.removeprefix(".venv/bin/")) if word.startswith(".venv/bin/") else word
        for word in shlex.split(command)
    ]


def test_with_a_board(tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("needs tshark")
    lines = commands()
    board = Running(words(lines[0], tmp_path))
    try:
        board.wait_for("mpremote connect")
        seen = {}
        for line in lines[1:]:
            verb = line.split()[1] if line.startswith(".venv/bin/viperip") else line.split()[0]
            if verb == "bridge":
                bridge = Running(words(line, tmp_path), cwd=ROOT)
                try:
                    assert b"viperip" in fetch("http://127.0.0.1:8080/")
                    bridge.send(signal.SIGINT)
                    assert bridge.wait() == 0
                finally:
                    bridge.stop()
                continue
            done = subprocess.run(
                words(line, tmp_path), cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True,
                text=True, timeout=120, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            seen[verb] = done.stdout
    finally:
        board.stop()
    assert "files written" in seen["deploy"]
    assert "0% packet loss" in seen[".venv/bin/mpremote"]
    assert "passed" in seen["test"]
    assert "hop 1" in seen["capture"]
    assert "ICMP" in seen["tshark"]
    assert "up" in seen["monitor"]
    assert "files removed" in seen["undeploy"]
    captures.check_capture(tmp_path / "board.pcapng")
