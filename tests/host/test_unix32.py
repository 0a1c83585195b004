"""Fetching the 32-bit unix port: what it says where it cannot be had."""

from pathlib import Path

import pytest

from viperip_host import unix32
from viperip_host.errors import HostError


def test_without_a_fetch_the_reason_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(HostError, match="python -m viperip_host.unix32"):
        unix32.find()
    assert list(tmp_path.iterdir()) == []


def test_another_machine_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert unix32.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "needs Linux on x86" in line
