#!/usr/bin/env python3
"""Make or complete `.venv` in the checkout: bootstrap.py run|dev|bench [...].

Needs nothing but a Python. It adds to an existing .venv and never removes anything from it. A set
that is already there for this pyproject.toml costs nothing: a stamp file in .venv says so.
Exit status: 0 ready, 1 the machine lacks something (one line says what to install).
"""

# Kept to syntax that old versions of Python can read, so that they can say they are too old.
import hashlib
import os
import subprocess
import sys
from typing import List, NoReturn

OLDEST = (3, 11)
SETS = ("run", "dev", "bench")
# What a set brings along: the run-only set is the project without extras.
EXTRAS = {"run": "", "dev": "[dev]", "bench": "[bench]"}

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
PIP = os.path.join(VENV, "bin", "pip")


def stop(line: str) -> NoReturn:
    sys.stderr.write("viperip: %s\n" % line)
    sys.exit(1)


def have_venv() -> bool:
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return False
    return True


def check_python() -> None:
    if sys.version_info < OLDEST:
        stop(
            "Python %d.%d is too old: install Python 3.11 or newer, then name it: "
            "make PYTHON=python3.11" % sys.version_info[:2]
        )


def make_venv() -> None:
    if not have_venv():
        stop(
            "this Python cannot make virtual environments: install python3-venv "
            "(Debian, Ubuntu: apt-get install python3-venv)"
        )
    status = subprocess.call([sys.executable, "-m", "venv", VENV])
    if status:
        stop("could not make %s (status %d)" % (VENV, status))


def digest() -> str:
    """A key that changes when the set of packages may have changed."""
    key = hashlib.sha256()
    for name in ("pyproject.toml", os.path.join("host_tools", "hatch_build.py")):
        with open(os.path.join(ROOT, name), "rb") as file:
            key.update(file.read())
    return key.hexdigest()


def pip(*arguments: str) -> None:
    command = [PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    if subprocess.call(command + list(arguments)):
        stop("pip could not install the packages (its messages are above); run it again")


def install_stubs() -> None:
    """Type stubs for mypy, one folder a port."""
    import tomllib

    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        stubs = tomllib.load(file)["tool"]["viperip"]["stubs"]
    for port, requirement in sorted(stubs.items()):
        pip("--upgrade", "--target", os.path.join(VENV, "stubs", port), requirement)


def install(names: List[str]) -> None:
    stamps = {name: os.path.join(VENV, ".viperip-" + name) for name in names}
    wanted = digest()
    missing = []
    for name in names:
        try:
            with open(stamps[name]) as file:
                if file.read() == wanted:
                    continue
        except OSError:
            pass
        missing.append(name)
    if not missing:
        return
    extras = [EXTRAS[name].strip("[]") for name in missing if EXTRAS[name]]
    project = ROOT + ("[%s]" % ",".join(extras) if extras else "")
    sys.stdout.write("installing %s into .venv ...\n" % " + ".join(missing))
    sys.stdout.flush()
    pip("-e", project)
    if "dev" in missing:
        install_stubs()
    for name in missing:
        with open(stamps[name], "w") as file:
            file.write(wanted)


def main(names: List[str]) -> None:
    for name in names:
        if name not in SETS:
            stop("unknown set %r: one of %s" % (name, ", ".join(SETS)))
    check_python()
    # pip comes last into a new environment: without it, an earlier attempt was cut short.
    if not (os.path.exists(PYTHON) and os.path.exists(PIP)):
        make_venv()
    install(names or ["run"])


if __name__ == "__main__":
    main(sys.argv[1:])
