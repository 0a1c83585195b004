"""Collects `test_*` functions of tests/device/ and runs them in MicroPython.

The files are never imported here: their functions are found in the source. A file may say
    HEAP = "1M"          heap of the interpreter it runs in (16M without it)
    TARGETS = ("unix",)  run on these targets only
    NEEDS = ("referee",) what is started beside it, and ends with it: see SERVICES
    # timeout: 300       seconds for the whole file on one target (120 without it)
A test that cannot run on a target raises an exception named SkipTest.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from viperip_host.errors import HostError
from viperip_host.testing.board_session import BoardSession
from viperip_host.testing.multi import MultiFile
from viperip_host.testing.session import DeviceFailure, DeviceSkip, Service, Session
from viperip_host.testing.source import Source, read_source
from viperip_host.testing.targets import (
    Target,
    chosen_names,
    everything_wanted,
    fleet_member,
    read_fleet,
    target,
)

FOLDER = Path("tests", "device")
MULTI = Path("tests", "multi")
# What NEEDS may name; a conftest adds its own.
SERVICES: dict[str, Callable[[], Service]] = {}

_sessions = pytest.StashKey[dict[tuple[Path, str], "Session | BoardSession | str"]]()
_targets = pytest.StashKey[list[Target]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--target",
        action="append",
        default=[],
        metavar="NAME",
        help="what tests/device runs on: unix, unix32, bytecode, sim, serial:PORT; repeat it or "
        "use commas",
    )
    parser.addoption(
        "--fleet",
        metavar="FILE",
        help="targets, one a line: each worker of pytest-xdist has one, and takes its share of "
        "the tests",
    )


def pytest_configure(config: pytest.Config) -> None:
    fleet = config.getoption("--fleet")
    try:
        names = chosen_names(config.getoption("--target"))
        if fleet:
            worker = os.environ.get("PYTEST_XDIST_WORKER")
            config.stash[_targets] = [fleet_member(read_fleet(fleet), worker)]
        else:
            config.stash[_targets] = [target(name) for name in names]
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    except OSError as error:
        raise pytest.UsageError(f"--fleet {fleet}: {error.strerror}") from None
    config.stash[_sessions] = {}


def chosen_targets(config: pytest.Config) -> list[Target]:
    """The targets of this run."""
    return config.stash[_targets]


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> Any:
    """Takes files of tests/device/ away from the collector that imports them."""
    if parent.config.rootpath / FOLDER in module_path.parents:
        return DeviceFile.from_parent(parent, path=module_path)
    return None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Any:
    """Takes files for several boards, where there are boards."""
    config = parent.config
    if config.rootpath / MULTI not in file_path.parents or not file_path.match("multi_*.py"):
        return None
    boards = [one.port for one in config.stash[_targets] if one.port is not None]
    if not boards:
        return None
    found: MultiFile = MultiFile.from_parent(parent, path=file_path)
    found.boards = boards
    return found


class DeviceFile(pytest.File):
    """A file of tests/device/."""

    def collect(self) -> Iterable[pytest.Item]:
        try:
            source = read_source(self.path.read_text(), self.path.name)
        except (SyntaxError, ValueError) as error:
            raise self.CollectError(str(error)) from None
        for one in chosen_targets(self.config):
            if source.targets is not None and one.name not in source.targets:
                continue
            for name, line in source.functions:
                yield DeviceItem.make(self, name, line, one, source)


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
        if self.target.port is None and self.target.interpreter() is None:
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

    def _session(self) -> Session | BoardSession | str:
        """The session of the file; as text why there is none."""
        sessions = self.config.stash[_sessions]
        key = (self.path, self.target.name)
        if key not in sessions:
            sessions[key] = self._start()
        return sessions[key]

    def _start(self) -> Session | BoardSession | str:
        if self.target.port is not None:
            if self.source.needs:
                return f"a board has no {', '.join(self.source.needs)}"
            return BoardSession(self.target.port, self.path, self.source.seconds)
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
            if session is not None and not isinstance(session, str):
                session.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    for one in session.config.stash.get(_sessions, {}).values():
        if not isinstance(one, str):
            one.close()
