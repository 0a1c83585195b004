"""The interpreters that device tests run on."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from viperip_host import interpreter, unix32
from viperip_host.errors import HostError

TEST_ALL = "VIPERIP_TEST_ALL"


def everything_wanted() -> bool:
    """`make test-all`: what cannot run is a failure."""
    return os.environ.get(TEST_ALL) == "1"


@dataclass
class Target:
    """An interpreter and how the code is loaded on it."""

    name: str
    about: str
    find: Callable[[], interpreter.Interpreter]
    environment: dict[str, str] = field(default_factory=dict)
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


def _fetched_unix32() -> interpreter.Interpreter:
    return unix32.fetch() if everything_wanted() else unix32.find()


def all_targets() -> dict[str, Target]:
    """Every target by its name."""
    targets = (
        Target("unix", "unix port, 64-bit", interpreter.find),
        Target("unix32", "unix port, 32-bit", _fetched_unix32),
        Target(
            "bytecode",
            "unix port, no viper emitter",
            interpreter.find,
            environment={"VIPERIP_BYTECODE": "1"},
        ),
    )
    return {target.name: target for target in targets}


def chosen_names(options: list[str]) -> list[str]:
    """The targets of the --target options (repeated or with commas); the default without one.

    ValueError names the known ones.
    """
    known = list(all_targets())
    names = [name for option in options for name in option.split(",") if name]
    if not names:
        return known if everything_wanted() else ["unix"]
    for name in names:
        if name not in known:
            raise ValueError(f"--target {name}: there are {', '.join(known)}")
    return list(dict.fromkeys(names))
