"""What device tests run on: interpreters of this computer, `viperip sim`, and boards."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from viperip_host import interpreter, unix32
from viperip_host.errors import HostError

TEST_ALL = "VIPERIP_TEST_ALL"
SERIAL = "serial:"
FLEET = "fleet"


def everything_wanted() -> bool:
    """`make test-all`: what cannot run is a failure."""
    return os.environ.get(TEST_ALL) == "1"


@dataclass
class Target:
    """An interpreter and how the code is loaded on it; or, with a port, a board."""

    name: str
    about: str
    find: Callable[[], interpreter.Interpreter] = interpreter.find
    environment: dict[str, str] = field(default_factory=dict)
    port: str | None = None
    sim: bool = False  # on the board that `viperip sim` starts, with its network up
    _found: interpreter.Interpreter | None = None
    _missing: str | None = None

    def interpreter(self) -> interpreter.Interpreter | None:
        """The interpreter, asked for once; None when it is not here (see missing)."""
        if self._found is None and self._missing is None:
            try:
                self._found = self.find()
            except HostError as error:
                self._missing = str(error)
        return self._found

    @property
    def missing(self) -> str:
        """Why there is no interpreter."""
        return self._missing or ""

    def command(self, heap: str, program: Path) -> list[str]:
        """The command that runs PROGRAM with a heap of that size."""
        found = self.interpreter()
        assert found is not None
        if self.sim:
            viperip = [sys.executable, "-m", "viperip_host", "sim", "--heap", heap]
            return [*viperip, "--micropython", found.path, str(program)]
        return [found.path, "-X", f"heapsize={heap}", str(program)]


def _fetched_unix32() -> interpreter.Interpreter:
    return unix32.fetch() if everything_wanted() else unix32.find()


def all_targets() -> dict[str, Target]:
    """The targets of this computer that a full run covers, by name."""
    targets = (
        Target("unix", "unix port, 64-bit"),
        Target("unix32", "unix port, 32-bit", _fetched_unix32),
        Target(
            "bytecode",
            "unix port, no viper emitter",
            environment={"VIPERIP_BYTECODE": "1"},
        ),
    )
    return {target.name: target for target in targets}


def target(name: str) -> Target:
    """The target called NAME. ValueError names what there is."""
    known = all_targets()
    if name in known:
        return known[name]
    if name == "sim":
        return Target("sim", "viperip sim, with a network", sim=True)
    if name.startswith(SERIAL) and name != SERIAL:
        return Target(name, "a board", port=name.removeprefix(SERIAL))
    raise ValueError(f"--target {name}: there are {', '.join([*known, 'sim', 'serial:PORT'])}")


def chosen_names(options: list[str]) -> list[str]:
    """The targets of the --target options (repeated or with commas); the default without one.

    ValueError names the known ones.
    """
    names = [name for option in options for name in option.split(",") if name]
    if not names:
        return list(all_targets()) if everything_wanted() else ["unix"]
    for name in names:
        target(name)
    return list(dict.fromkeys(names))


def read_fleet(path: str) -> list[str]:
    """The targets of a fleet file, one a line; # begins a comment. ValueError, OSError."""
    lines = [line.partition("#")[0].strip() for line in Path(path).read_text().splitlines()]
    names = [line for line in lines if line]
    if not names:
        raise ValueError(f"--fleet {path}: it names no target; one a line, as serial:/dev/ttyUSB0")
    for name in names:
        target(name)
    return names


def fleet_member(names: Sequence[str], worker: str | None) -> Target:
    """The board of a fleet that pytest-xdist's WORKER (gw0, gw1 ...; None: there are none) has."""
    number = int(worker.removeprefix("gw")) if worker else 0
    member = target(names[number % len(names)])
    return Target(
        FLEET,
        f"one of {len(names)} targets",
        member.find,
        member.environment,
        member.port,
        member.sim,
    )
