"""Collects `test_*` functions of tests/device/ and runs them in MicroPython.

The files are never imported here: their functions are found in the source. A file may say
    HEAP = "1M"          heap of the interpreter it runs in (16M without it)
    TARGETS = ("unix",)  run on these targets only
    NEEDS = ("referee",) what is started beside it, and ends with it: see SERVICES
    # timeout: 300       seconds for the whole file on one target (120 without it)
A test that cannot run on a target raises an exception named SkipTest.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.plugin.referee import Referee
from tests.plugin.session import DeviceFailure, DeviceSkip, Session
from tests.plugin.targets import Target, all_targets, chosen_names, everything_wanted
from viperip_host.errors import HostError

FOLDER = Path("tests", "device")
HEAP = "16M"
SECONDS = 120.0
SERVICES = {"referee": Referee}

_sessions = pytest.StashKey[dict[tuple[Path, str], "Session | str"]]()
_targets = pytest.StashKey[list[Target]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--target",
        action="append",
        default=[],
        metavar="NAME",
        help="interpreter for tests/device: unix, unix32, bytecode; repeat it or use commas",
    )


def pytest_configure(config: pytest.Config) -> None:
    try:
        names = chosen_names(config.getoption("--target"))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    known = all_targets()
    config.stash[_targets] = [known[name] for name in names]
    config.stash[_sessions] = {}


def chosen_targets(config: pytest.Config) -> list[Target]:
    """The targets of this run."""
    return config.stash[_targets]


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> Any:
    """Takes files of tests/device/ away from the collector that imports them."""
    if parent.config.rootpath / FOLDER in module_path.parents:
        return DeviceFile.from_parent(parent, path=module_path)
    return None


@dataclass(frozen=True)
class Source:
    """What the source of a device test file says."""

    functions: list[tuple[str, int]]  # name, line number from 1
    heap: str
    seconds: float
    targets: tuple[str, ...] | None  # None: all
    needs: tuple[str, ...]


def read_source(text: str, name: str) -> Source:
    """Find the tests and hints in the text of a file. ValueError for a test with arguments."""
    tree = ast.parse(text, name)
    functions: list[tuple[str, int]] = []
    hints: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("test_"):
                _check_arguments(node, name)
                functions.append((node.name, node.lineno))
        elif isinstance(node, ast.Assign):
            hint = getattr(node.targets[0], "id", None)
            if hint in ("HEAP", "TARGETS", "NEEDS"):
                hints[hint] = ast.literal_eval(node.value)
    timeout = re.search(r"^#\s*timeout:\s*([0-9]+)\s*$", text, re.MULTILINE)
    targets = hints.get("TARGETS")
    return Source(
        functions,
        str(hints.get("HEAP", HEAP)),
        float(timeout[1]) if timeout else SECONDS,
        tuple(targets) if targets is not None else None,
        tuple(hints.get("NEEDS", ())),
    )


def _check_arguments(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> None:
    arguments = node.args
    needed = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    if needed > 0:
        raise ValueError(f"{name}:{node.lineno}: {node.name}: a device test has no arguments")


class DeviceFile(pytest.File):
    """A file of tests/device/."""

    def collect(self) -> Iterable[pytest.Item]:
        try:
            source = read_source(self.path.read_text(), self.path.name)
        except (SyntaxError, ValueError) as error:
            raise self.CollectError(str(error)) from None
        for target in chosen_targets(self.config):
            if source.targets is not None and target.name not in source.targets:
                continue
            for name, line in source.functions:
                yield DeviceItem.make(self, name, line, target, source)


class DeviceItem(pytest.Item):
    """One function on one target."""

    called: str  # (not `function`: -k looks into what it finds there)
    line: int
    target: Target
    source: Source

    @classmethod
    def make(
        cls, parent: DeviceFile, function: str, line: int, target: Target, source: Source
    ) -> "DeviceItem":
        item: DeviceItem = cls.from_parent(parent, name=f"{function}[{target.name}]")
        item.called, item.line, item.target, item.source = function, line, target, source
        item.user_properties.append(("target", target.name))
        # The session watches the clock, and knows more to say than a signal in mid-air.
        item.add_marker(pytest.mark.timeout(source.seconds + 60))
        return item

    def runtest(self) -> None:
        if self.target.interpreter() is None:
            self._not_here(f"target {self.target.name}: {self.target.missing}")
        session = self._session()
        if isinstance(session, str):
            self._not_here(session)
        try:
            result = session.run(self.called)
        except DeviceSkip as skip:
            if everything_wanted():
                raise DeviceFailure(f"skipped, but everything must run: {skip}") from None
            pytest.skip(str(skip))
        finally:
            self.add_report_section("call", "device output", session.output)
        self.user_properties.append(("heap", result.heap))

    def _not_here(self, reason: str) -> NoReturn:
        if everything_wanted():
            raise DeviceFailure(reason)
        pytest.skip(reason)

    def _session(self) -> Session | str:
        """The session of the file; as text why there is none."""
        sessions = self.config.stash[_sessions]
        key = (self.path, self.target.name)
        if key not in sessions:
            sessions[key] = self._start()
        return sessions[key]

    def _start(self) -> Session | str:
        session = Session(self.target, self.path, self.source.heap, self.source.seconds)
        try:
            for name in self.source.needs:
                session.add(SERVICES[name]())
        except HostError as error:
            session.close()
            return str(error)
        return session

    def same_process(self, other: pytest.Item | None) -> bool:
        """Whether OTHER runs in the same interpreter process as this."""
        return (
            isinstance(other, DeviceItem)
            and other.path == self.path
            and other.target is self.target
        )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, DeviceFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.line - 1, self.name


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """The process of a file ends with its last test."""
    try:
        yield
    finally:
        if isinstance(item, DeviceItem) and not item.same_process(nextitem):
            session = item.config.stash[_sessions].pop((item.path, item.target.name), None)
            if isinstance(session, Session):
                session.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    for one in session.config.stash.get(_sessions, {}).values():
        if isinstance(one, Session):
            one.close()
