"""The pages of docs/: commands work and print what stands there, links lead somewhere."""

import os
import re
import shlex
from pathlib import Path

import pytest

from tests.host.command import viperip
from tests.host.test_two_boards import free_udp_ports
from tests.net.captures import check_capture

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
COMMAND = ".venv/bin/viperip "


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, text) of the fenced blocks of a page."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.M | re.S)


def commands() -> list[tuple[str, str, str]]:
    """(page, command, the output that follows it in the page or "")."""
    found = []
    for page in PAGES:
        fenced = [text for language, text in blocks(page) if not language]
        for text, after in zip(fenced, [*fenced[1:], ""], strict=True):
            if text.startswith(COMMAND):
                output = "" if after.startswith(COMMAND) else after
                found.append((page.name, text.strip(), output))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like a checkout after `make run`."""
    path = tmp_path_factory.mktemp("checkout")
    (path / "build").mkdir()
    for name in ("docs", "firmware"):
        (path / name).symlink_to(ROOT / name)
    capture = path / "build" / "run.pcapng"
    done = viperip("sim", "--board", "wt32-eth01", "--capture", str(capture),
                   env={**os.environ, "RUN_SECONDS": "0.5"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    check_capture(capture, 20)
    return path


def plain(line: str) -> str:
    """A line without what differs from run to run."""
    line = re.sub(r"[0-9a-f]{2}(:[0-9a-f]{2}){3,5}", "MAC", line)
    line = re.sub(r"0x[0-9a-f]+", "0", line)
    line = re.sub(r"\d+", "0", line)
    return " ".join(re.sub("[─ ]+", " ", line).split())


@pytest.mark.parametrize("page, command, output", commands(), ids=lambda text: text[:60])
def test_a_command_and_its_output(folder: Path, page: str, command: str, output: str) -> None:
    for port, free in zip(("7001", "7002"), free_udp_ports(2), strict=True):
        command = command.replace(port, str(free))
    words = shlex.split(command.removeprefix(COMMAND))
    done = viperip(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    for capture in (folder / "build").glob("lldp.pcapng"):
        check_capture(capture)
    rest = iter([plain(line) for line in done.stdout.splitlines()])
    for line in output.splitlines():
        if line.strip() and line.strip() != "...":
            assert any(plain(line) == other for other in rest), f"{page}: {line}\n{done.stdout}"


def test_there_is_a_page_a_layer_and_its_readme_leads_there() -> None:
    for number, layer in enumerate(("link", "internet", "transport", "application"), 1):
        page = DOCS / f"{number}-{layer}.md"
        readme = ROOT / "firmware" / "viperip" / layer / "README.md"
        assert page in PAGES and f"docs/{page.name}" in readme.read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_pieces_of_the_example_stand_in_it() -> None:
    source = (ROOT / "firmware" / "examples" / "lldp.py").read_text()
    pieces = [text for language, text in blocks(DOCS / "own-protocol.md") if language == "python"]
    assert len(pieces) >= 4
    for piece in pieces:
        assert piece in source, piece
