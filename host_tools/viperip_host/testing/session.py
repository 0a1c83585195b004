"""One MicroPython process that runs the functions of one file of device tests."""

import json
import os
import selectors
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from viperip_host import process, resources
from viperip_host.testing.targets import Target

RUNNER = resources.device() / "test_runner.py"
MARK = b"\x01viperip "
# What a test printed and is kept for its report, in bytes.
KEEP_OUTPUT = 64 * 1024


class DeviceFailure(Exception):
    """A device test failed; the text is what to show."""


class DeviceSkip(Exception):
    """A device test said that it cannot run here."""


class Service(Protocol):
    """Something that runs beside tests. environment: what MicroPython finds it by."""

    @property
    def environment(self) -> dict[str, str]: ...

    def close(self) -> object: ...


@dataclass
class Result:
    """A test that passed: what it printed, and the heap in use before and after it, in bytes."""

    output: str
    heap: tuple[int, int]


@dataclass
class Session:
    """Runs functions one by one; starts the process anew after a crash.

    The file has `seconds` for everything. Once they are used up the rest fails without running.
    """

    target: Target
    path: Path
    heap: str
    seconds: float
    _child: "subprocess.Popen[bytes] | None" = None
    _buffer: bytes = b""
    _output: bytes = b""
    _used: float = 0.0
    _hung: str = ""
    _import_error: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    _services: list[Service] = field(default_factory=list)

    def add(self, service: Service) -> None:
        """Something that the tests need beside them, to be ended with the session."""
        self._services.append(service)
        self.environment.update(service.environment)

    def run(self, name: str) -> Result:
        """Run the function NAME. DeviceFailure with the device's traceback, or DeviceSkip."""
        if self._hung:
            raise DeviceFailure(
                f"not run: {self._hung} used up the {self.seconds:.0f} s of {self.path.name}"
            )
        if self._import_error:
            raise DeviceFailure(self._import_error)
        self._output = b""
        started = time.monotonic()
        try:
            if self._child is None:
                self._start(name)
            message = self._ask(name)
        finally:
            self._used += time.monotonic() - started
        if message["error"]:
            raise DeviceFailure(message["error"].rstrip())
        if message["skipped"]:
            raise DeviceSkip(message["skipped"])
        before, after = message["heap"]
        return Result(self.output, (before, after))

    @property
    def output(self) -> str:
        """What the last test printed."""
        return self._output.decode(errors="replace")

    def close(self) -> None:
        self._end_child()
        while self._services:
            self._services.pop().close()

    def _end_child(self) -> None:
        if self._child is None:
            return
        child, self._child = self._child, None
        assert child.stdin and child.stdout
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
        self._buffer = b""

    def _start(self, name: str) -> None:
        told = {
            "file": str(self.path),
            "path": [
                str(resources.firmware()),
                str(resources.device()),
                str(resources.models()),
                str(resources.library()),
            ],
        }
        command = self.target.command(self.heap, RUNNER)
        self._child = subprocess.Popen(
            command,
            env={
                **os.environ,
                **self.target.environment,
                **self.environment,
                "VIPERIP_TEST": json.dumps(told),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=process.die_with_parent(),
        )
        assert self._child.stdout
        os.set_blocking(self._child.stdout.fileno(), False)
        error = self._message(f"importing {self.path.name} for {name}")["error"]
        if error:
            self._import_error = f"{self.path.name} could not be imported:\n{error.rstrip()}"
            self._end_child()
            raise DeviceFailure(self._import_error)

    def _ask(self, name: str) -> dict[str, Any]:
        assert self._child and self._child.stdin
        try:
            self._child.stdin.write(name.encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            pass  # it has died meanwhile; reading says so
        return self._message(name)

    def _message(self, name: str) -> dict[str, Any]:
        """The next message of the runner; everything else it prints is output."""
        assert self._child and self._child.stdout
        end = time.monotonic() + max(0.0, self.seconds - self._used)
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.stdout, selectors.EVENT_READ)
            while True:
                line = self._line()
                if line is not None:
                    head, mark, text = line.partition(MARK)
                    self._keep(head)
                    if mark:
                        message = json.loads(text)
                        assert isinstance(message, dict)
                        return message
                    continue
                if not selector.select(max(0.0, end - time.monotonic())):
                    self._fail_hung(name)
                data = os.read(self._child.stdout.fileno(), 65536)
                if not data:
                    self._fail_crashed(name)
                self._buffer += data

    def _line(self) -> bytes | None:
        """A whole line of the buffer, newline included."""
        line, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return None
        self._buffer = rest
        return line + newline

    def _keep(self, text: bytes) -> None:
        self._output = (self._output + text)[-KEEP_OUTPUT:]

    def _fail_hung(self, name: str) -> None:
        self._keep(self._buffer)
        self._hung = name
        self._end_child()
        raise DeviceFailure(
            f"{name} did not end; {self.path.name} has {self.seconds:.0f} s in all "
            "(a comment `# timeout: N` in it raises that)"
        )

    def _fail_crashed(self, name: str) -> None:
        assert self._child
        self._keep(self._buffer)
        ended = process.Child("interpreter", self._child)
        ended.wait(process.GRACE)
        reason = ended.reason()
        self._end_child()
        raise DeviceFailure(f"the interpreter {reason} in {name}")
