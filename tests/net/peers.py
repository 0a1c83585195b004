"""Other people's programs on Linux's side of the wire."""

import shutil

import pytest


def needs(program: str, package: str) -> str:
    """The path of PROGRAM; skips (a failure under test-all) where PACKAGE is not installed."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"needs {program} (Debian's {package})")
    return path
