"""A virtual board for a test: `viperip vboard`, started and stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest

from tests.host.board import free_port
from tests.host.command import VIPERIP, viperip

MPREMOTE = (sys.executable, "-m", "mpremote")


class VBoard:
    """A running virtual board. port: what programs open; state: its folder."""

    def __init__(self, folder: Path, *options: str, rfc2217: bool = False) -> None:
        self.state = folder / "state"
        self.path = folder / "board"
        self.options = options
        self.rfc2217 = rfc2217
        self.start()

    def start(self) -> None:
        """Plug it in, with what its flash holds."""
        where = ["--port", str(free_port())] if self.rfc2217 else ["--pty", str(self.path)]
        self.process = subprocess.Popen(
            [*VIPERIP, "vboard", "--json", "--state", str(self.state), *where, *self.options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"the virtual board ended with status {self.process.wait()}"
        self.ready = json.loads(line)
        self.port = str(self.ready["port"])

    def unplug(self) -> None:
        """The cable is pulled: no goodbye."""
        self.process.kill()
        self.process.wait()
        # The pty that the name led to may soon be somebody else's terminal.
        self.path.unlink(missing_ok=True)

    def press(self, button: signal.Signals) -> None:
        self.process.send_signal(button)

    def stop(self) -> dict[str, int]:
        """Switch it off; its counters."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=20)
        counters: dict[str, int] = json.loads(out.splitlines()[-1])
        return counters

    def mpremote(self, *arguments: str, timeout: float = 60) -> str:
        """Run the real mpremote on it; what it printed. AssertionError unless it ended well."""
        done = subprocess.run(
            [*MPREMOTE, "connect", self.port, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def viperip(
        self, verb: str, *arguments: str, timeout: float = 120
    ) -> "subprocess.CompletedProcess[str]":
        """Run a verb of `viperip` on its port, to its end."""
        return viperip(verb, "--port", self.port, *arguments, timeout=timeout)

    def __enter__(self) -> "VBoard":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.unplug()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


@pytest.fixture
def vboard(tmp_path: Path) -> Iterator[VBoard]:
    """A virtual board on a pty, with MicroPython and an empty filesystem."""
    with VBoard(tmp_path) as board:
        yield board


def wait_until_gone(path: Path, seconds: float = 5.0) -> None:
    """Wait until the name of a pty is no more."""
    end = time.monotonic() + seconds
    while os.path.lexists(path):
        assert time.monotonic() < end, f"{path} is still there"
        time.sleep(0.02)


STATIC = 'hostname = "bench"\n[network]\naddress = "10.77.0.2/24"\ngateway = "10.77.0.1"\n'


@pytest.fixture(scope="session")
def deployed_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The filesystem of a board with viperip, its demo and a static address, made once."""
    folder = tmp_path_factory.mktemp("deployed")
    (folder / "static.toml").write_text(STATIC)
    with VBoard(folder) as board:
        done = board.viperip(
            "deploy", "--board", "wt32-eth01", "--demo", "--config", str(folder / "static.toml")
        )
        assert done.returncode == 0, done.stderr
        # The tests start it when they want it.
        board.mpremote("exec", "import os; os.rename('main.py', 'demo.py')")
        board.stop()
    return folder / "state" / "filesystem.img"


def with_viperip(image: Path, folder: Path, *options: str, rfc2217: bool = False) -> VBoard:
    """A virtual board on which viperip is deployed."""
    state = folder / "state"
    state.mkdir(parents=True)
    shutil.copy(image, state)
    return VBoard(folder, *options, rfc2217=rfc2217)


@pytest.fixture
def deployed(tmp_path: Path, deployed_image: Path) -> Iterator[VBoard]:
    """A virtual board on a pty on which viperip is deployed, with the address 10.77.0.2."""
    with with_viperip(deployed_image, tmp_path) as board:
        yield board
