"""`viperip test`: the command line; the work is pytest's, with the plugin of testing/."""

import sys
from pathlib import Path

import click

from viperip_host.connection import find_port
from viperip_host.errors import HostError, UsageError

EPILOG = """\b
Device tests are plain functions, test_*(), in files tests/device/test_*.py below this folder:
MicroPython runs them, this computer collects and reports them. Two-board tests are files
tests/multi/multi_*.py with functions instance0() and instance1().

\b
TARGET is one of
  unix, unix32     MicroPython's unix port on this computer
  bytecode         the same, with viperip's bytecode twins
  sim              the board that viperip sim starts, with its network up
  serial:PORT      a board; what it needs of the tests' folder it reads over the line
Without one: the only board there is, with --port its own, else unix.

\b
Examples:
  viperip test                                  all tests on the board, or without one on unix
  viperip test --target unix,serial:/dev/ttyUSB0 -- -k arp
  viperip test --fleet boards.txt -- -n 4       a target a line in boards.txt; each takes a share
  viperip test --target serial:A --target serial:B tests/multi
  viperip test -- --junitxml report.xml

\b
Exit status: pytest's: 0 all passed, 1 some failed, 5 no test was found; 2 for a wrong command
line."""


@click.command(
    epilog=EPILOG,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 99,
        "ignore_unknown_options": True,
    },
)
@click.option("--target", "targets", metavar="TARGET", multiple=True,
              help="Where to run them; repeat it, or use commas.")  # fmt: skip
@click.option("--port", "-p", metavar="PORT", help="The same as --target serial:PORT.")
@click.option("--fleet", metavar="FILE", help="Targets, one a line, that share the tests.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PYTEST ARGUMENTS...]")
def test(
    targets: tuple[str, ...], port: str | None, fleet: str | None, arguments: tuple[str, ...]
) -> int:
    """Run device tests on this computer or on boards."""
    try:
        import pytest
    except ImportError:
        raise HostError("pytest is missing: pip install 'viperip[test]'") from None
    if fleet and (targets or port):
        raise UsageError("test: --fleet names the targets; leave --target and --port out")
    if fleet and not Path(fleet).is_file():
        raise UsageError(f"--fleet {fleet}: no such file; it has a target a line")
    chosen = list(targets) + ([f"serial:{port}"] if port else [])
    command = list(arguments)
    if fleet:
        command += ["--fleet", fleet]
        if any(one.startswith("-n") for one in command):
            command += ["--dist", "loadfile"]
    else:
        for one in chosen or [_default()]:
            command += ["--target", one]
    if not any(Path(one.partition("::")[0]).exists() for one in arguments if one[:1] != "-"):
        command += [str(folder) for folder in _folders()]
    sys.stdout.flush()
    # A project that loads the plugin itself, as this one's does, gets it once.
    return int(pytest.main(["-p", "viperip_host.testing.plugin", *command]))


def _folders() -> list[Path]:
    found = [Path("tests", "device")]
    if not found[0].is_dir():
        raise UsageError("test: there is no folder tests/device here")
    return found


def _default() -> str:
    try:
        return f"serial:{find_port(None)}"
    except UsageError:
        return "unix"
