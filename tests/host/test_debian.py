"""Fetching Debian packages into a folder: from where, and what happens where there are none."""

from pathlib import Path

import pytest

from viperip_host import debian, unix32
from viperip_host.errors import HostError

PACKAGES = unix32.PACKAGES


def test_the_mirror_is_the_machine_s_main_one(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = (
        "nodistro main https://other.example/x\n"
        "bookworm-security main http://m.example/debian-security/\n"
        "bookworm main http://m.example/debian/\n"
        "bookworm contrib http://c.example/debian/\n"
    )
    monkeypatch.setattr(debian, "run", lambda command: listing)
    assert debian.mirror() == "http://m.example/debian/"


def test_no_mirror_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "run", lambda command: "")
    with pytest.raises(HostError, match="names no mirror"):
        debian.mirror()


def test_a_failed_download_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(packages: debian.Packages, work: Path) -> Path:
        raise HostError("no such suite")

    monkeypatch.setattr(debian, "check_machine", lambda packages: None)
    monkeypatch.setattr(debian, "download", fail)
    with pytest.raises(HostError, match="no such suite"):
        debian.fetch(PACKAGES, tmp_path / "deep" / "target", lambda root: None)
    assert list((tmp_path / "deep").iterdir()) == []


def test_every_suite_is_a_line_of_one_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = debian.Packages("amd64", ("one", "two"), {"a/two": ("pool/a.deb", "0")}, (), "")
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> str:
        asked.append(command)
        return ""

    monkeypatch.setattr(debian, "run", run)
    monkeypatch.setattr(debian, "mirror", lambda: "http://m.example/debian/")
    debian.download(packages, tmp_path)
    sources = (tmp_path / "sources.list").read_text().splitlines()
    assert [line.split("] ")[1] for line in sources] == [
        "http://m.example/debian/ one main",
        "http://m.example/debian/ two main",
    ]
    assert asked[1] == ["apt-get", "download", "a/two"]


def test_an_index_out_of_step_is_gone_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> str:
        asked.append(command)
        if command[0] == "apt-get":
            raise HostError("apt-get update: mirror sync in progress")
        return ""

    monkeypatch.setattr(debian, "run", run)
    monkeypatch.setattr(debian, "mirror", lambda: "http://m.example/debian/")
    debian.download(PACKAGES, tmp_path)
    files = [command for command in asked if command[0] == debian.APT_HELPER]
    assert len(files) == len(PACKAGES.names)
    path, sha256 = PACKAGES.names["micropython"]
    assert files[0][2] == f"http://m.example/debian/{path}"
    assert files[0][4] == f"SHA256:{sha256}"


def test_both_ways_failing_names_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> str:
        raise HostError(f"{Path(command[0]).name} failed")

    monkeypatch.setattr(debian, "run", run)
    monkeypatch.setattr(debian, "mirror", lambda: "http://m.example/debian")
    with pytest.raises(HostError, match="apt-get failed; and without the index: apt-helper"):
        debian.download(PACKAGES, tmp_path)
