"""`viperip monitor`: the command line and its table."""

import json
import sys
import time
from typing import Any

import click

from viperip_host import connection
from viperip_host.capture import board_script
from viperip_host.monitor import Watched
from viperip_host.terminal import Stop

EPILOG = """\b
A board is asked once a second by a session on its serial line, which ends what it runs; --run
starts a script with it, and :main.py is the board's own.

\b
Examples:
  viperip monitor --run :main.py
  viperip monitor -p /dev/ttyUSB0 -p rfc2217://lab:4000
  viperip monitor --json --count 10 > figures.jsonl

\b
Exit status: 0; 1 when a board failed or has gone; 2 for a wrong command line or port."""

HEAD = ("port", "address", "in kbit/s", "out kbit/s", "in/s", "out/s", "drops", "sockets",
        "heap used", "free", "state")  # fmt: skip
# Counters of the stack that stand for packets it could not handle.
_DROPS = ("drop", "no_buffer", "no_memory", "error", "bad", "full", "short")


@click.command(
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
)
@click.option("--port", "-p", "ports", metavar="PORT", multiple=True,
              help="Serial port; repeat it for several boards.  [the only one]")  # fmt: skip
@click.option("--interval", metavar="SECONDS", type=click.FloatRange(0.1, 60), default=1.0,
              help="Time between two looks.  [1]")  # fmt: skip
@click.option("--count", metavar="N", type=click.IntRange(0), default=0,
              help="End after N looks at each board.  [Ctrl-C]")  # fmt: skip
@click.option("--run", "script", metavar="SCRIPT", help="Run a script; :NAME is one on the board.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each look.")
def monitor(ports: tuple[str, ...], **given: Any) -> int:
    """Watch boards: throughput, packets, drops, sockets and heap, live."""
    script = board_script(given["script"]) if given["script"] else None
    names = list(ports) or [connection.find_port(None)]

    def show(printed: bytes) -> None:
        """What boards print goes by."""

    boards = [Watched(name, script, given["interval"], show) for name in names]
    stop = Stop()
    for board in boards:
        board.start()
    try:
        watch = _print_json if given["as_json"] else _draw
        watch(boards, given["count"], stop)
    finally:
        for board in boards:
            board.stop()
    errors = [board.error for board in boards if board.error is not None]
    for error in errors[1:]:
        print(f"viperip monitor: {error}", file=sys.stderr)
    if errors:
        raise errors[0]
    return 0


def _finished(boards: list[Watched], count: int, stop: Stop) -> bool:
    return stop.wanted or all(
        board.done or (count > 0 and board.samples >= count) for board in boards
    )


def _print_json(boards: list[Watched], count: int, stop: Stop) -> None:
    while True:
        finished = _finished(boards, count, stop)
        for board in boards:
            if board.changed.is_set():
                board.changed.clear()
                print(json.dumps(board.as_dict()), flush=True)
        if finished:
            return
        time.sleep(0.05)


def _draw(boards: list[Watched], count: int, stop: Stop) -> None:
    from rich.console import Console
    from rich.live import Live

    # In a pipe there is no width to keep to.
    console = Console() if sys.stdout.isatty() else Console(width=160)
    with Live(table(boards), console=console, refresh_per_second=4) as live:
        while not _finished(boards, count, stop):
            time.sleep(0.1)
            live.update(table(boards))
        live.update(table(boards))


def table(boards: list[Watched]) -> Any:
    """The boards as a table of rich's."""
    from rich.table import Table

    drawn = Table(*HEAD, box=None, pad_edge=False)
    for board in boards:
        drawn.add_row(board.port, *row(board), board.state)
    return drawn


def row(board: Watched) -> list[str]:
    """The figures of a board, in the order of HEAD."""
    if board.stats is None:
        return ["-"] * (len(HEAD) - 2)
    stats, speed = board.stats, board.rates
    drops = sum(one["tx_drops"] for one in stats["interfaces"]) + sum(
        n for name, n in stats["counters"].items() if any(word in name for word in _DROPS)
    )
    sockets = ", ".join(f"{n} {name}" for name, n in sorted(stats["sockets"].items()))
    return [
        ", ".join(one["ip"].partition("/")[0] for one in stats["interfaces"]) or "none",
        f"{speed['rx_bps'] / 1000:.1f}",
        f"{speed['tx_bps'] / 1000:.1f}",
        f"{speed['rx_fps']:.0f}",
        f"{speed['tx_fps']:.0f}",
        str(drops),
        sockets or "none",
        f"{stats['heap']['used'] // 1024} K",
        f"{stats['heap']['free'] // 1024} K",
    ]
