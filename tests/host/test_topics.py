"""README's tables of topics and of protocols: no row leads nowhere."""

import re
import shlex
from pathlib import Path

import pytest

from tests.host.command import viperip
from viperip_host.cli import VERBS

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "firmware" / "examples"
README = (ROOT / "README.md").read_text()
LINK = r"\[([^\]]+)\]\(([^)]+)\)"


def rows(heading: str, columns: int) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    text = README.split(f"\n{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", text, re.M)
    assert table
    lines = table[0].splitlines()
    found = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in lines]
    assert all(len(row) == columns for row in found), found
    return found[2:]


TOPICS = [row for row in rows("## Topic by topic", 4) if any(row[1:])]
CHOICES = rows("### Which protocol for what", 4)


def test_the_tables_are_there() -> None:
    assert len(TOPICS) >= 40 and len(CHOICES) >= 8


@pytest.mark.parametrize("row", TOPICS, ids=lambda row: row[0])
def test_a_topic_has_code_a_command_and_a_test(row: list[str]) -> None:
    _, code, command, test = row
    for cell in (code, test):
        links = re.findall(LINK, cell)
        assert links, f"no link in {cell}"
        for name, target in links:
            if target.startswith("#"):
                assert f"## {target[1:].replace('-', ' ')}\n" in README.lower()
                continue
            assert (ROOT / target).is_file(), target
            if name.endswith(".py"):
                assert Path(target).name == name
    (target,) = [target for _, target in re.findall(LINK, test)]
    assert re.search(r"^(async )?def test_", (ROOT / target).read_text(), re.M), target
    commands = re.findall("`([^`]+)`", command)
    assert commands
    for one in commands:
        check(one)


@pytest.mark.parametrize("row", CHOICES, ids=lambda row: row[0])
def test_a_choice_has_an_example(row: list[str]) -> None:
    (command,) = re.findall("`([^`]+)`", row[3])
    check(command)


def check(command: str) -> None:
    """A command of viperip's with options that it has and files that exist, or an example."""
    first, *rest = shlex.split(command)
    if first != "viperip":
        assert not rest and (EXAMPLES / first).is_file(), command
        return
    assert rest[0] in VERBS, command
    told = viperip(rest[0], "--help")
    assert told.returncode == 0
    for word in rest[1:]:
        if word.startswith("-"):
            assert re.search(rf"(^|[ ,]){re.escape(word)}\b", told.stdout, re.M), command
        elif word.endswith(".py"):
            assert (ROOT / word).is_file(), command


def test_every_example_is_on_the_list_or_in_its_own() -> None:
    # Those that a reader could miss: every example is at least in the examples' README.
    listed = (EXAMPLES / "README.md").read_text()
    for path in EXAMPLES.glob("*.py"):
        assert f"({path.name})" in listed
