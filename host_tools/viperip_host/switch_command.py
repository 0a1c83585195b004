"""`viperip switch`: the command line of the switch."""

import json
import os
import signal
import sys
from typing import Any

import click

from viperip_host import options, switch_table
from viperip_host.errors import UsageError
from viperip_host.links import port_number
from viperip_host.switch import AGE_SECONDS, TABLE_SIZE, Faults, Switch

EPILOG = """\b
A port is the switch's own UDP port and the board's: the board at --port 7101:7001 is
  viperip sim --link udp:7001:7101 ...

\b
P is a share of the frames that leave the switch: 2% or 0.02.

\b
Examples:
  viperip switch --port 7101:7001 --port 7102:7002
  viperip switch --port 7101:7001 --port 7102:7002 --mirror lan.pcapng --loss 1%
  kill -USR1 PID                    the counters, without stopping

\b
Exit status: 0 after Ctrl-C or SIGTERM; 2 for a wrong command line or a port or file that cannot
be used."""


@click.command(
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
)
@click.option("--port", "ports", metavar="LOCALPORT:REMOTEPORT", multiple=True,
              help="A port of the switch; repeat it, at least twice.")  # fmt: skip
@click.option("--mirror", metavar="FILE.pcapng", help="Write every frame to a file, live.")
@click.option("--age", metavar="SECONDS", type=click.FloatRange(0.001), default=AGE_SECONDS,
              help=f"Forget an address not heard for so long.  [{AGE_SECONDS:.0f}]")  # fmt: skip
@click.option("--table", metavar="N", type=click.IntRange(1), default=TABLE_SIZE,
              help=f"Learn at most so many addresses.  [{TABLE_SIZE}]")  # fmt: skip
@click.option("--loss", metavar="P", default="0", help="Lose a share of the frames.")
@click.option("--dup", metavar="P", default="0", help="Send a share of the frames twice.")
@click.option("--reorder", metavar="P", default="0", help="Deliver a share of the frames late.")
@click.option("--corrupt", metavar="P", default="0", help="Flip a bit in a share of the frames.")
@click.option("--delay", metavar="MS", type=click.FloatRange(0, 60_000), default=0, help="Delay.")
@click.option("--seed", metavar="N", type=int, default=1, help="Repeat the same faults.  [1]")
@click.option("--json", "as_json", is_flag=True, help="Counters as one line of JSON.")
def switch(**given: Any) -> int:
    """Join boards: a learning Ethernet switch over UDP wires on loopback.

    One UDP datagram is one Ethernet frame. It runs until Ctrl-C, then prints its counters.
    """
    ports = [_port(text) for text in given["ports"]]
    if len(ports) < 2:
        raise UsageError("switch: give at least two --port LOCALPORT:REMOTEPORT")
    _check_unique(ports)
    faults = Faults(
        **{
            name: options.probability(given[name], f"--{name}")
            for name in ("loss", "dup", "reorder", "corrupt")
        },
        delay=given["delay"] / 1000,
        seed=given["seed"],
    )
    joined = Switch(ports, faults, given["age"], given["table"])
    joined.open()
    try:
        _add_mirror(joined, given["mirror"])
        _run(joined, given["as_json"])
    finally:
        joined.close()
    return 0


def _port(text: str) -> tuple[int, int]:
    local, colon, remote = text.removeprefix("udp:").partition(":")
    if not colon:
        raise UsageError(f"--port {text}: it is LOCALPORT:REMOTEPORT")
    option = f"--port {text}"
    return port_number(local, option), port_number(remote, option)


def _check_unique(ports: list[tuple[int, int]]) -> None:
    flat = [number for port in ports for number in port]
    for number in flat:
        if flat.count(number) > 1:
            raise UsageError(f"--port: port {number} is given twice; each wire has two of its own")


def _add_mirror(joined: Switch, path: str | None) -> None:
    if path is None:
        return
    from viperip_host.capture_file import CaptureFile, Interface

    target = options.output_file(path, "--mirror")
    ports = [Interface(f"port{number + 1}") for number in range(len(joined.ports))]
    try:
        joined.mirror = CaptureFile.create(target, "viperip switch", ports)
    except OSError as error:
        raise UsageError(f"--mirror {path}: {error.strerror}") from None


def _run(joined: Switch, as_json: bool) -> None:
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    for caught in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(caught, lambda *_: None)

    def on_wake() -> bool:
        numbers = os.read(read, 512)
        if signal.SIGUSR1 in numbers:
            _report(joined, as_json)
        return all(byte == signal.SIGUSR1 for byte in numbers)

    for number, port in enumerate(joined.ports):
        line = f"port {number + 1}: board with --link udp:{port.remote}:{port.local}"
        print(line, file=sys.stderr if as_json else sys.stdout)
    print("switching; Ctrl-C to stop", file=sys.stderr if as_json else sys.stdout, flush=True)
    joined.serve(read, on_wake)
    _report(joined, as_json)


def _report(joined: Switch, as_json: bool) -> None:
    report = joined.report()
    print(json.dumps(report) if as_json else switch_table.render(report), flush=True)
