"""host_tools/bootstrap.py: what a machine lacks is one line; what is there costs nothing."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Stands for the Python of a .venv: notes what it was asked to install.
FAKE_PYTHON = '#!/bin/sh\necho "$@" >> "$(dirname "$0")/calls"\nexit ${FAKE_STATUS:-0}\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing but what the script reads, and a .venv that only takes notes."""
    tools = tmp_path / "host_tools"
    tools.mkdir()
    for name in ("bootstrap.py", "hatch_build.py"):
        shutil.copy(ROOT / "host_tools" / name, tools)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "pip"):
        (programs / name).write_text(FAKE_PYTHON)
        (programs / name).chmod(0o755)
    return tmp_path


def bootstrap(
    checkout: Path, *names: str, before: str = "", **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run the script; BEFORE is Python run first, to make the machine lack something."""
    code = f"import runpy, sys\n{before}\nsys.argv = sys.argv[1:]\n"
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", code, str(checkout / "host_tools" / "bootstrap.py"), *names],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def calls(checkout: Path) -> list[str]:
    """What was installed, one line a call of pip."""
    path = checkout / ".venv" / "bin" / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_an_old_python_is_one_line(checkout: Path) -> None:
    done = bootstrap(checkout, "run", before="sys.version_info = (3, 9, 2)")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "viperip: Python 3.9 is too old: install Python 3.11 or newer, then name it: "
        "make PYTHON=python3.11"
    ]


def test_a_missing_venv_module_is_one_line(checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    done = bootstrap(checkout, "run", before="sys.modules['ensurepip'] = None")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "install python3-venv" in done.stderr


def test_a_second_run_installs_nothing_and_is_instant(checkout: Path) -> None:
    assert bootstrap(checkout, "run").returncode == 0
    (first,) = calls(checkout)
    assert first.endswith(f"-e {checkout}")
    started = time.monotonic()
    done = bootstrap(checkout, "run")
    assert (done.returncode, done.stdout) == (0, "")
    assert time.monotonic() - started < 1
    assert calls(checkout) == [first]


def test_run_after_setup_leaves_everything_as_it_is(checkout: Path) -> None:
    assert bootstrap(checkout, "run", "dev").returncode == 0
    after_setup = calls(checkout)
    assert any(line.endswith("[dev]") for line in after_setup)
    assert bootstrap(checkout, "run").returncode == 0
    assert calls(checkout) == after_setup


def test_a_changed_pyproject_installs_again(checkout: Path) -> None:
    bootstrap(checkout, "run")
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("\n# changed\n")
    bootstrap(checkout, "run")
    assert len(calls(checkout)) == 2


def test_a_failed_install_is_tried_again(checkout: Path) -> None:
    done = bootstrap(checkout, "run", FAKE_STATUS="1")
    assert done.returncode == 1
    assert "run it again" in done.stderr.splitlines()[-1]
    assert bootstrap(checkout, "run").returncode == 0
    assert len(calls(checkout)) == 2


def test_make_help_lists_the_targets_and_installs_nothing(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    done = subprocess.run(
        ["make", "-C", str(tmp_path)], capture_output=True, text=True, check=True
    )
    for target in ("setup", "run", "test", "test-all", "soak", "bench", "lint", "help"):
        assert f"make {target} " in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Makefile"]
