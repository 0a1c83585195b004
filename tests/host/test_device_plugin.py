"""The collector of device tests, run on small files of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from viperip_host.testing.source import read_source

ROOT = Path(__file__).resolve().parents[2]

# What a started QEMU leaves to be seen: its sockets.
LISTENING = """
for word; do
    case $word in unix:*) word=${word#unix:}; : >"${word%%,*}";; esac
done
exec sleep 60
"""

CONFTEST = (
    'pytest_plugins = ["viperip_host.testing.plugin", "tests.plugin.summary"]\n'
    "from tests.plugin.referee import Referee\n"
    "from viperip_host.testing.plugin import SERVICES\n"
    'SERVICES["referee"] = Referee\n'
)


def run_pytest(
    folder: Path, files: dict[str, str], *options: str, everything: bool = False
) -> str:
    """Run pytest on a tree of its own that holds FILES in tests/device/; its output."""
    device = folder / "tests" / "device"
    device.mkdir(parents=True)
    (folder / "pytest.ini").write_text(
        "[pytest]\naddopts = --import-mode=importlib -p no:cacheprovider\n"
    )
    (folder / "conftest.py").write_text(CONFTEST)
    for name, text in files.items():
        (device / name).write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("VIPERIP_TEST_ALL", None)
    if everything:
        environment["VIPERIP_TEST_ALL"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-rA", "tests/device", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def test_functions_are_found_without_importing() -> None:
    source = read_source(
        "import machine_only\nHEAP = '1M'\nTARGETS = ('unix',)\n# timeout: 300\n"
        "def helper(a): pass\ndef test_a(): pass\nasync def test_b(): pass\n",
        "test_x.py",
    )
    assert source.functions == [("test_a", 6), ("test_b", 7)]
    assert (source.heap, source.seconds, source.targets) == ("1M", 300.0, ("unix",))


def test_a_function_with_arguments_is_refused() -> None:
    with pytest.raises(ValueError, match="test_x.py:1: test_a"):
        read_source("def test_a(fixture): pass\n", "test_x.py")


def test_results_and_tracebacks_come_from_the_device(tmp_path: Path) -> None:
    output = run_pytest(
        tmp_path,
        {
            "test_some.py": (
                "import sys\n"
                "def test_passes():\n    assert sys.implementation.name == 'micropython'\n"
                "def test_fails():\n    number = 41\n    assert number == 42, 'not the answer'\n"
                "async def test_waits():\n    import asyncio\n    await asyncio.sleep(0)\n"
                "class SkipTest(Exception): pass\n"
                "def test_cannot():\n    raise SkipTest('no such chip')\n"
            )
        },
    )
    assert "1 failed, 2 passed, 1 skipped" in output.splitlines()[-1]
    assert 'test_some.py", line 6, in test_fails' in output
    assert "AssertionError: not the answer" in output
    assert "no such chip" in output


def test_a_skip_fails_when_everything_must_run(tmp_path: Path) -> None:
    text = "class SkipTest(Exception): pass\ndef test_cannot():\n    raise SkipTest('no chip')\n"
    output = run_pytest(tmp_path, {"test_skip.py": text}, "--target", "unix", everything=True)
    assert "1 failed" in output.splitlines()[-1]
    assert "everything must run: no chip" in output


def test_a_crash_fails_one_test_and_the_next_runs_anew(tmp_path: Path) -> None:
    text = (
        "state = []\n"
        "def test_before(): state.append(1)\n"
        "def test_dies():\n    import sys\n    print('last words')\n    import os\n"
        "    os._exit(3) if hasattr(os, '_exit') else os.system('kill -SEGV $PPID')\n"
        "def test_after(): assert state == []\n"
    )
    output = run_pytest(tmp_path, {"test_crash.py": text})
    assert "1 failed, 2 passed" in output.splitlines()[-1]
    assert "in test_dies" in output
    assert "last words" in output


def test_a_hang_is_ended_and_the_rest_of_the_file_fails(tmp_path: Path) -> None:
    text = "# timeout: 1\ndef test_hangs():\n    while True: pass\ndef test_later(): pass\n"
    output = run_pytest(tmp_path, {"test_hang.py": text, "test_other.py": "def test_ok(): pass\n"})
    assert "2 failed, 1 passed" in output.splitlines()[-1]
    assert "test_hangs did not end" in output
    assert "not run: test_hangs used up the 1 s of test_hang.py" in output


def test_an_import_error_fails_every_test_of_the_file(tmp_path: Path) -> None:
    text = "import no_such_module\ndef test_a(): pass\ndef test_b(): pass\n"
    output = run_pytest(tmp_path, {"test_import.py": text})
    assert "2 failed" in output.splitlines()[-1]
    assert "ImportError: no module named 'no_such_module'" in output


def test_the_bytecode_target_forces_the_twins(tmp_path: Path) -> None:
    text = "import os\ndef test_a(): assert os.getenv('VIPERIP_BYTECODE') == '1'\n"
    output = run_pytest(tmp_path, {"test_env.py": text}, "--target", "unix,bytecode")
    assert "test_a[bytecode] PASSED" in output
    assert "test_a[unix] FAILED" in output


def test_what_a_file_needs_is_started_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        'NEEDS = ("referee",)\nimport os\n'
        "def test_a(): assert os.getenv('VIPERIP_REFEREE')\ndef test_b(): pass\n"
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    program = tmp_path / "qemu-system-arm"
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for version, does, outcome, reason in (
        ("8.2.2", "exit 1", "2 skipped", "QEMU 8.2.2, too old: python -m viperip_host.qemu"),
        ("9.0.0", "echo no such machine", "2 skipped", "QEMU does not start: no such machine"),
        ("9.0.0", LISTENING, "2 passed", ""),
    ):
        ask = f"[ $1 = --version ] && exec echo QEMU emulator version {version}"
        program.write_text(f"#!/bin/sh\n{ask}\n{does}\n")
        program.chmod(0o755)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        output = run_pytest(folder, {"test_needs.py": text})
        assert outcome in output.splitlines()[-1], output
        assert reason in output


def test_the_table_stands_just_above_the_last_line(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, {"test_ok.py": "def test_ok(): pass\n"})
    lines = output.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("target "))
    assert lines[head].split() == ["target", "what", "run", "not", "run", "why"]
    rows = {line.split()[0]: line for line in lines[head + 1 : -1]}
    assert "not asked for" in rows["unix32"]
    assert len(rows) == len(lines) - head - 2 == 3
    assert "short test summary" in output
    assert "1 passed" in lines[-1]


def test_an_unknown_target_is_named(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, {"test_ok.py": "def test_ok(): pass\n"}, "--target", "esp9")
    assert "--target esp9: there are unix, unix32, bytecode" in output
