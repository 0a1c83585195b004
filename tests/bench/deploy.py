"""How long `viperip deploy` takes when there is nothing to do, on a virtual board."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from tests.host.vboard import VBoard
from viperip_host.connection import connect


@contextlib.contextmanager
def board(folder: Path) -> Iterator[VBoard]:
    """A virtual board, its line paced at 115200 baud, with viperip and the demo on it."""
    with VBoard(folder) as made:
        run_deploy(made, "--board", "wt32-eth01")
        yield made


def run_deploy(made: VBoard, *options: str) -> None:
    """Deploy. AssertionError when it failed."""
    done = made.viperip("deploy", "--demo", *options)
    assert done.returncode == 0, done.stderr


def unchanged(made: VBoard) -> float:
    """Milliseconds of deploying what the board has already, beyond those of connecting."""
    begin = time.monotonic()
    connect(made.port).close()
    connected = time.monotonic()
    run_deploy(made)
    return 1000 * ((time.monotonic() - connected) - (connected - begin))
