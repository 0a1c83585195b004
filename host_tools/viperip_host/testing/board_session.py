"""Device tests on a board: its raw REPL runs them, its files come from this computer.

mpremote mounts the folder of the tests over the serial line, so that nothing is left on the board.
A board that hangs is reset, and the run goes on.
"""

import contextlib
import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from mpremote.transport import TransportError

from viperip_host import resources
from viperip_host.connection import FAST, BoardGone, Connection, connect
from viperip_host.errors import HostError
from viperip_host.testing.session import KEEP_OUTPUT, MARK, DeviceFailure, DeviceSkip, Result

_RESET_SECONDS = 15.0


def runner() -> str:
    """The functions of device/test_runner.py, without what starts them in a process."""
    text = (resources.device() / "test_runner.py").read_text()
    return text.partition("\ndef main():")[0]


@dataclass
class BoardSession:
    """Runs the functions of one file on the board at PORT. Same methods as Session."""

    port: str
    path: Path
    seconds: float

    prelude = ""  # what else the board runs before it imports the file

    def __post_init__(self) -> None:
        self._board: Connection | None = None
        self._output = b""
        self._error = ""  # why no test of this file can run
        self._used = 0.0

    @property
    def board(self) -> Connection:
        """The board, while there is one."""
        if self._board is None:
            raise BoardGone(self.port)
        return self._board

    @property
    def output(self) -> str:
        """What the last test printed."""
        return self._output.decode(errors="replace")

    def run(self, name: str) -> Result:
        """Run the function NAME. DeviceFailure with the board's traceback, or DeviceSkip."""
        if self._error:
            raise DeviceFailure(self._error)
        self._output = b""
        started = time.monotonic()
        try:
            if self._board is None:
                self.open()
            message = self._ask(
                f"before = heap()\nerror, skipped = outcome(module.{name})\n"
                "tell(error=error, skipped=skipped, heap=[before, heap()])",
                name,
            )
        except BoardGone as error:
            self._error = str(error)
            raise DeviceFailure(self._error) from None
        except HostError as error:
            raise DeviceFailure(str(error)) from None
        finally:
            self._used += time.monotonic() - started
        if message["error"]:
            raise DeviceFailure(self.mapped(message["error"]).rstrip())
        if message["skipped"]:
            raise DeviceSkip(message["skipped"])
        before, after = message["heap"]
        return Result(self.output, (before, after))

    def mapped(self, traceback: str) -> str:
        """The board's traceback with this computer's file names; its own lines left out."""
        lines = []
        for line in traceback.splitlines():
            if line.startswith('  File "<stdin>"'):
                continue
            line = line.replace('File "/remote/', f'File "{self.path.parent}/')
            name = self.path.name
            lines.append(line.replace(f'File "{name}"', f'File "{self.path}"'))
        return "\n".join(lines)

    def open(self) -> None:
        """Have the board import the file, from the folder it lies in."""
        board = connect(self.port)
        self._board = board
        board.soft_reset()
        board.use_speed(FAST)
        with _quiet():
            board.transport.mount_local(str(self.path.parent))
        # The mount has become the current folder, which is the board's own for its programs.
        code = "import os, sys\nos.chdir('/')\nsys.path.insert(0, '/remote')\n"
        code += runner() + self.prelude
        board.run(code, seconds=30)
        code = f"module, error = imported({self.path.stem!r})\ntell(error=error)"
        message = self._ask(code, f"importing {self.path.name}")
        if message["error"]:
            text = self.mapped(message["error"]).rstrip()
            self._error = f"{self.path.name} could not be imported:\n{text}"
            self.close()
            raise DeviceFailure(self._error)

    def stream(self, code: str, what: str, end: float) -> Iterator[bytes]:
        """Run CODE; the lines it prints, as they come. DeviceFailure when it is END before."""
        transport = self.board.transport
        rest = b""
        try:
            transport.exec_raw_no_follow(code)
            while True:
                byte = self._byte(end)
                if byte is None:
                    self.keep(rest)
                    self._rescue(what)
                if byte == b"\x04":
                    break
                rest += byte
                if byte == b"\n":
                    line, rest = rest, b""
                    yield line
            error = transport.read_until(1, b"\x04", timeout=5)
        except TransportError as problem:
            self._rescue(what, f"the line was disturbed ({problem})")
        except (OSError, IndexError):
            self._forget()
            raise BoardGone(self.port) from None
        yield rest
        said = error[:-1].decode(errors="replace").strip().splitlines()
        if said:
            self._forget()
            raise DeviceFailure(f"{self.port}: the board ended {what}: {said[-1]}")

    def _byte(self, end: float) -> bytes | None:
        """The next byte of the board; None when the time is up."""
        port = self.board.transport.serial
        while not port.inWaiting():
            if time.monotonic() > end:
                return None
            time.sleep(0.002)
        data: bytes = port.read(1)
        return data

    def _ask(self, code: str, what: str) -> dict[str, Any]:
        """Run CODE, which tells one message; everything else it prints is output."""
        end = time.monotonic() + max(1.0, self.seconds - self._used)
        message: dict[str, Any] | None = None
        for line in self.stream(code, what, end):
            head, mark, text = line.partition(MARK)
            self.keep(head)
            if mark:
                message = json.loads(text)
        if message is None:
            self._forget()
            raise DeviceFailure(f"{self.port}: the board ended {what} without a result")
        return message

    def keep(self, text: bytes) -> None:
        self._output = (self._output + text)[-KEEP_OUTPUT:]

    def _rescue(self, what: str, why: str = "") -> NoReturn:
        """Have the board again after WHAT did not end: Ctrl-C, else a reset. DeviceFailure."""
        self._forget()
        how = "interrupted"
        try:
            try:
                connect(self.port).close()
            except BoardGone:
                raise
            except HostError:
                how = "reset"
                with Connection(self.port) as board:
                    board.hard_reset()
                    board.interrupt(_RESET_SECONDS)
        except HostError as error:
            self._error = str(error)
            how = f"lost ({error})"
        if not why:
            why = (
                f"it did not end; {self.path.name} has {self.seconds:.0f} s in all (a comment "
                "`# timeout: N` in it raises that)"
            )
        raise DeviceFailure(f"{what}: {why}; {self.port} was {how}")

    def _forget(self) -> None:
        board, self._board = self._board, None
        if board is not None:
            board.transport.in_raw_repl = False
            board.close()

    def close(self) -> None:
        board, self._board = self._board, None
        if board is None:
            return
        with contextlib.suppress(Exception), _quiet():
            board.transport.umount_local()
        # What the tests have loaded and left running goes with a soft reset.
        with contextlib.suppress(HostError):
            board.soft_reset()
        board.close()


@contextlib.contextmanager
def _quiet() -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        yield
