"""Finding a QEMU, and what is said where none can be had."""

from pathlib import Path

import pytest

from viperip_host import qemu
from viperip_host.errors import HostError


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and an empty folder as PATH."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, says: str) -> Path:
    path = folder / qemu.PROGRAM
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_without_a_fetch_the_reason_says_how(nothing: Path) -> None:
    with pytest.raises(HostError, match="python -m viperip_host.qemu"):
        qemu.find()


def test_one_on_the_path_will_do(nothing: Path) -> None:
    path = program(nothing, "QEMU emulator version 11.0.1 (Debian 1:11)")
    assert qemu.find() == str(path)
    assert qemu.version(str(path)) == "11.0.1"


def test_an_old_one_will_not(nothing: Path) -> None:
    program(nothing, "QEMU emulator version 7.2.19")
    with pytest.raises(HostError, match="QEMU 7.2.19, too old"):
        qemu.find()
    program(nothing, "busybox")
    with pytest.raises(HostError, match="is not QEMU"):
        qemu.find()


def test_another_machine_is_one_line(
    nothing: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert qemu.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "needs Linux on x86-64" in line


def test_what_is_fetched_runs_on_its_own_libraries(nothing: Path) -> None:
    root = nothing.parent / "root"
    root.mkdir()
    target = str(qemu.launcher().parent)
    qemu.write_launcher(root, qemu.launcher().parent, qemu.PROGRAM)
    text = (root / qemu.PROGRAM).read_text()
    assert target.startswith(str(nothing.parent / "cache")) and "--inhibit-cache" in text
    assert all(word.startswith(f"'{target}") for word in text.split() if "/lib/" in word)
