"""Ports of this computer that two runs of `viperip sim` want at the same moment."""

import contextlib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.host.board import free_port
from tests.host.command import VIPERIP
from tests.net.netns import Running


@contextlib.contextmanager
def two(*arguments: str) -> Iterator[tuple[Running, Running]]:
    """The same command, started twice at once."""
    runs = [Running([*VIPERIP, "sim", *arguments]) for _ in range(2)]
    try:
        yield runs[0], runs[1]
    finally:
        for one in runs:
            one.stop()


def test_demos_started_together_take_different_ports() -> None:
    with two() as runs:
        urls = {sim.wait_for("http://127.0.0.1:").split()[-1] for sim in runs}
        assert len(urls) == 2
        for url in urls:
            with urllib.request.urlopen(url, timeout=20) as reply:
                assert reply.status == 200


def test_a_port_lost_to_another_program_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text("import time\ntime.sleep(3)\n")
    port = free_port()
    with two("--forward", f"{port}:80", str(path)) as (one, other):
        statuses = sorted([one.wait(), other.wait()])
        said = (one.output + other.output).splitlines()
    assert statuses == [0, 2]
    assert len(said) == 1
    assert f"port {port}" in said[0]
    assert "choose another HOSTPORT" in said[0]
