"""Run the `viperip` command and look at what it says."""

import os
import subprocess
import sys
from typing import Any

VIPERIP = (sys.executable, "-m", "viperip_host")


def viperip(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run `viperip ARGUMENTS` to its end; status, stdout and stderr."""
    options.setdefault("timeout", 60)
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(
        [*VIPERIP, *arguments], capture_output=True, text=True, check=False, **options
    )


def refused(*arguments: str, **options: Any) -> str:
    """The one line of complaint of a command line that must end with status 2."""
    done = viperip(*arguments, **options)
    lines = done.stderr.splitlines()
    assert done.returncode == 2, (arguments, done.returncode, done.stderr)
    assert done.stdout == ""
    assert len(lines) == 1, lines
    assert lines[0].startswith("viperip")
    return lines[0]


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
