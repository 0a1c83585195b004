"""Tests of several boards at once: tests/multi/multi_*.py, a function instanceN() for each board.

Each instance runs on a board of its own. What they tell each other goes over this computer:

    from multitest import fetch, share
    share(name, value)          tell all others (value: what JSON has)
    fetch(name, timeout_ms)     wait until somebody has shared it; its value
"""

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from viperip_host.errors import HostError
from viperip_host.testing.board_session import BoardSession
from viperip_host.testing.session import MARK, DeviceFailure
from viperip_host.testing.source import Source, functions_of, read_source

# What the boards find beside the functions of device/test_runner.py.
TALK = """
import json, select, sys, time
def share(name, value=True):
    tell(share=name, value=value)
def fetch(name, timeout_ms=20000):
    tell(fetch=name)
    ready = select.poll()
    ready.register(sys.stdin, select.POLLIN)
    end = time.ticks_add(time.ticks_ms(), timeout_ms)
    while not ready.poll(0):
        if time.ticks_diff(end, time.ticks_ms()) < 0:
            raise OSError("nobody has shared " + name)
        v = sys.modules.get("viperip")
        if v and v._stack:
            v._stack.wait(10)
        else:
            time.sleep_ms(10)
    return json.loads(sys.stdin.readline())
class M:
    pass
sys.modules["multitest"] = M
M.share = staticmethod(share)
M.fetch = staticmethod(fetch)
"""


@dataclass
class Exchange:
    """What the instances have shared, and who waits for what."""

    values: dict[str, Any] = field(default_factory=dict)
    waiting: dict[str, list["Player"]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def share(self, name: str, value: Any) -> None:
        with self.lock:
            self.values[name] = value
            waiting = self.waiting.pop(name, [])
        for player in waiting:
            player.answer(value)

    def fetch(self, name: str, player: "Player") -> None:
        with self.lock:
            if name not in self.values:
                self.waiting.setdefault(name, []).append(player)
                return
            value = self.values[name]
        player.answer(value)


class Player(BoardSession):
    """One instance on one board."""

    exchange: Exchange
    failure: str = ""

    def play(self, number: int) -> None:
        """Run instance NUMBER to its end; `failure` says what went wrong."""
        try:
            self.prelude = TALK
            self.open()
            self._follow(f"instance{number}")
        except DeviceFailure as error:
            self.failure = str(error)
        except HostError as error:
            self.failure = str(error)

    def answer(self, value: Any) -> None:
        self.board.transport.serial.write(json.dumps(value).encode() + b"\n")

    def _follow(self, name: str) -> None:
        end = time.monotonic() + self.seconds
        code = f"error, skipped = outcome(module.{name})\ntell(error=error, skipped=skipped)"
        for line in self.stream(code, name, end):
            head, mark, text = line.partition(MARK)
            self.keep(head)
            if not mark:
                continue
            message = json.loads(text)
            if "share" in message:
                self.exchange.share(message["share"], message["value"])
            elif "fetch" in message:
                self.exchange.fetch(message["fetch"], self)
            elif message["error"] or message["skipped"]:
                raise DeviceFailure(self.mapped(message["error"] or message["skipped"]).rstrip())


class MultiFile(pytest.File):
    """A file of tests/multi/."""

    boards: list[str]

    def collect(self) -> Iterable[pytest.Item]:
        text = self.path.read_text()
        try:
            source = read_source(text, self.path.name)
            names = functions_of(text, self.path.name, "instance")
        except (SyntaxError, ValueError) as error:
            raise self.CollectError(str(error)) from None
        if names:
            item: MultiItem = MultiItem.from_parent(self, name=self.path.stem)
            item.source, item.count, item.boards = source, len(names), self.boards
            item.add_marker(pytest.mark.timeout(source.seconds + 90))
            yield item


class MultiItem(pytest.Item):
    """All instances of a file, as one test."""

    source: Source
    count: int
    boards: list[str]

    def runtest(self) -> None:
        if len(self.boards) < self.count:
            raise DeviceFailure(
                f"{self.path.name} needs {self.count} boards: give --target serial:PORT that often"
            )
        exchange = Exchange()
        players = []
        for port in self.boards[: self.count]:
            player = Player(port, self.path, self.source.seconds)
            player.exchange = exchange
            players.append(player)
        threads = [
            threading.Thread(target=player.play, args=(number,), daemon=True)
            for number, player in enumerate(players)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self.source.seconds + 60)
        failures = []
        for number, player in enumerate(players):
            self.add_report_section("call", f"instance{number} on {player.port}", player.output)
            if player.failure:
                failures.append(f"instance{number} on {player.port}:\n{player.failure}")
            player.close()
        if failures:
            raise DeviceFailure("\n".join(failures))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, DeviceFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name
