"""The wheel carries all it needs, and works outside the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the checkout with the build tools of .venv."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked as an installer does; its folder goes before the checkout's package."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(installed: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `viperip` of the installed wheel, outside the checkout."""
    return subprocess.run(
        [sys.executable, "-m", "viperip_host", *arguments],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def tracked(folder: str) -> set[str]:
    """The files of a folder of the checkout, as a wheel should have them."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".mpy"
    }


def test_firmware_boards_and_device_programs_are_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    prefix = "viperip_host/_data/"
    carried = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    assert carried == tracked("firmware") | tracked("boards")
    device = {name.removeprefix("host_tools/") for name in tracked("host_tools/viperip_host")}
    assert device <= names
    assert "viperip_host/device/sim_main.py" in names
    assert "viperip_host/device/gateway.py" in names


def test_nothing_else_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"viperip_host"}


def test_the_installed_package_is_the_one_that_runs(installed: Path) -> None:
    code = "from viperip_host import resources as r; print(r.firmware(), r.boards(), r.device())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    for folder in done.stdout.split():
        assert Path(folder).is_relative_to(installed)
        assert Path(folder).is_dir()


def test_a_script_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    script = tmp_path / "hello.py"
    script.write_text("import viperip, socket\nprint('version', viperip.__version__)\n")
    done = run(installed, "sim", str(script))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("version ")
