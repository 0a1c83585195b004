"""Fetching the 32-bit unix port: what it does where it cannot be had."""

from pathlib import Path

import pytest

from viperip_host import unix32
from viperip_host.errors import HostError


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_without_a_fetch_the_reason_says_how(empty_cache: Path) -> None:
    with pytest.raises(HostError, match="python -m viperip_host.unix32"):
        unix32.find()
    assert list(empty_cache.iterdir()) == []


def test_another_machine_is_one_line(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert unix32.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "needs Linux on x86" in line


def test_the_mirror_is_the_machine_s_main_one(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = (
        "nodistro main https://other.example/x\n"
        "bookworm-security main http://m.example/debian-security/\n"
        "bookworm main http://m.example/debian/\n"
        "bookworm contrib http://c.example/debian/\n"
    )
    monkeypatch.setattr(unix32, "_run", lambda command: listing)
    assert unix32.mirror() == "http://m.example/debian/"


def test_no_mirror_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unix32, "_run", lambda command: "")
    with pytest.raises(HostError, match="names no mirror"):
        unix32.mirror()


def test_a_failed_download_leaves_nothing_behind(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(work: Path) -> Path:
        raise HostError("no such suite")

    monkeypatch.setattr(unix32, "_check_machine", lambda: None)
    monkeypatch.setattr(unix32, "_download", fail)
    with pytest.raises(HostError, match="no such suite"):
        unix32.fetch()
    assert list((empty_cache / "viperip").iterdir()) == []


def test_an_index_out_of_step_is_gone_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> str:
        asked.append(command)
        if command[0] == "apt-get":
            raise HostError("apt-get update: mirror sync in progress")
        return ""

    monkeypatch.setattr(unix32, "_run", run)
    monkeypatch.setattr(unix32, "mirror", lambda: "http://m.example/debian/")
    unix32._download(tmp_path)
    files = [command for command in asked if command[0] == unix32.APT_HELPER]
    assert len(files) == len(unix32.PACKAGES)
    path, sha256 = unix32.PACKAGES["micropython"]
    assert files[0][2] == f"http://m.example/debian/{path}"
    assert files[0][4] == f"SHA256:{sha256}"


def test_both_ways_failing_names_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> str:
        raise HostError(f"{Path(command[0]).name} failed")

    monkeypatch.setattr(unix32, "_run", run)
    monkeypatch.setattr(unix32, "mirror", lambda: "http://m.example/debian")
    with pytest.raises(HostError, match="apt-get failed; and without the index: apt-helper"):
        unix32._download(tmp_path)
