"""Find a MicroPython interpreter (the unix port) and ask it who it is."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from viperip_host.errors import HostError, UsageError

_ASK = (
    "import sys; print(sys.implementation.name,"
    " '.'.join([str(n) for n in sys.implementation.version if n != '']),"
    " 32 if sys.maxsize < 1 << 32 else 64, sys.platform)"
)
_NOWHERE = (
    "no MicroPython interpreter for this platform: give one with --micropython PATH, install "
    "your distribution's `micropython` package, or use WSL on Windows"
)


@dataclass(frozen=True)
class Interpreter:
    """An interpreter that was started once and answered."""

    path: str
    version: str  # for people: "1.29.0.preview"
    bits: int  # word size: 32 or 64
    platform: str

    @property
    def line(self) -> str:
        """One line for people."""
        return f"MicroPython {self.version} on {self.platform}, {self.bits}-bit ({self.path})"


def candidates() -> list[str]:
    """Interpreters worth trying, best first: beside this Python, then on PATH."""
    found = []
    for folder in (Path(sys.executable).parent, Path(sys.prefix) / "bin"):
        script = folder / "micropython"
        if script.is_file() and str(script) not in found:
            found.append(str(script))
    on_path = shutil.which("micropython")
    if on_path and on_path not in found:
        found.append(on_path)
    return found


def ask(path: str) -> Interpreter:
    """Start the interpreter at PATH once. HostError when it cannot run or is something else."""
    try:
        reply = subprocess.run(
            [path, "-c", _ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except OSError as error:
        raise HostError(f"{path} cannot run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise HostError(f"{path} did not answer within 20 s") from None
    words = reply.stdout.split()
    if reply.returncode or len(words) != 4 or words[0] != "micropython":
        said = (reply.stderr or reply.stdout).strip().splitlines()
        detail = f": {said[-1][:80]}" if said else ""
        raise HostError(f"{path} is not a MicroPython that works here{detail}")
    return Interpreter(path, words[1], int(words[2]), words[3])


def find(path: str | None = None) -> Interpreter:
    """The interpreter to use: the one at PATH, or the first candidate that works.

    UsageError when PATH cannot be used, HostError when there is none at all.
    """
    if path is not None:
        named = shutil.which(path)
        if named is None:
            raise UsageError(f"--micropython: no program at {path}")
        try:
            return ask(named)
        except HostError as error:
            raise UsageError(f"--micropython: {error}") from None
    failed = None
    for candidate in candidates():
        try:
            return ask(candidate)
        except HostError as error:
            failed = failed or error
    if failed:
        raise HostError(f"{failed}; give another interpreter with --micropython PATH")
    raise HostError(_NOWHERE)
