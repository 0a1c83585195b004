"""`viperip capture`: the command line."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import click

from viperip_host import connection, options
from viperip_host.capture import Capture, Recorder, Request, board_script
from viperip_host.capture_filter import compile_filter
from viperip_host.connection import port_option
from viperip_host.errors import HostError, UsageError
from viperip_host.terminal import Stop, forward_lines

EPILOG = """\b
EXPR selects frames on the board, before they use the line:
  tcp and host 10.0.0.1 and not port 22
  arp or (icmp and out)
Conditions: in, out, arp, ip, icmp, igmp, tcp, udp, proto N, ether proto N,
[src|dst] host A.B.C.D, [src|dst] net A.B.C.D/N, [src|dst] port N, ether [src|dst] host MAC;
and, or, not, parentheses.

\b
While it runs, what the board prints is shown, and lines that are typed are run on the board.
Frames that the line has no room for are dropped on the board and counted, in the file too.

\b
Examples:
  viperip capture -w board.pcapng                       until Ctrl-C
  viperip capture --wireshark --filter "not port 22"
  viperip capture -w ping.pcapng --run ping.py          while a script of yours runs
  viperip capture --count 20 - | tshark -r -

\b
Exit status: 0; 1 when the board failed or has gone (the file is valid up to then); 2 for a wrong
command line, or a port or file that cannot be used."""


@click.command(
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
)
@port_option
@click.option("-w", "path", metavar="FILE.pcapng", help="Write a file, valid at any moment.")
@click.option("--wireshark", is_flag=True, help="Show the frames in Wireshark, live.")
@click.option("--filter", "expression", metavar="EXPR", default="", help="Which frames; below.")
@click.option("--snaplen", metavar="N", type=click.IntRange(14, 65535), default=65535,
              help="Keep N bytes of a frame.  [all]")  # fmt: skip
@click.option("--count", metavar="N", type=click.IntRange(0), default=0,
              help="End after N frames.  [Ctrl-C]")  # fmt: skip
@click.option("--speed", metavar="BAUD", type=click.IntRange(9600, 3_000_000), default=921600,
              help="Speed of the line meanwhile, if the board can.  [921600]")  # fmt: skip
@click.option("--run", "script", metavar="SCRIPT", help="Run a script; :NAME is one on the board.")
@click.option("--json", "as_json", is_flag=True, help="Counters as one line of JSON at the end.")
@click.argument("output", required=False, metavar="[-]")
def capture(port: str | None, **given: Any) -> int:
    """Copy a board's frames down its serial line: to a file, to Wireshark, or to standard output.

    The board captures on all its interfaces, in both directions, with its own time; with none up,
    it brings its own up first. What it runs is interrupted: --run :main.py starts it again.
    """
    request = Request(
        program=compile_filter(given["expression"]),
        snaplen=given["snaplen"],
        count=given["count"],
        speed=given["speed"],
        script=board_script(given["script"]) if given["script"] else None,
        quiet=bool(given["output"]),
    )
    with _target(given) as (name, opened, to_stdout):
        text = sys.stderr.buffer if to_stdout or given["as_json"] else sys.stdout.buffer
        return run(port, request, Recorder(name, opened), text, given["as_json"])


@contextlib.contextmanager
def _target(given: dict[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """(name for people, function that opens it, whether it is standard output)."""
    path, output = given["path"], given["output"]
    if output not in (None, "-"):
        raise UsageError(f"capture: {output} is not expected; a file is -w {output}")
    if (path is not None) + bool(output) + given["wireshark"] != 1:
        raise UsageError("capture: give one of -w FILE.pcapng, --wireshark, or -")
    if path is not None:
        target = options.output_file(path, "-w")
        yield path, lambda: open(target, "wb", buffering=0), False  # noqa: SIM115
    elif output:
        if sys.stdout.isatty():
            raise UsageError("capture: standard output is a terminal; pipe it, or use -w FILE")
        yield "standard output", lambda: os.fdopen(os.dup(1), "wb", buffering=0), True
    else:
        program = shutil.which("wireshark")
        if program is None:
            raise UsageError("--wireshark: no Wireshark on PATH; install it, or use -w FILE")
        shown = subprocess.Popen([program, "-k", "-i", "-"], stdin=subprocess.PIPE, bufsize=0)
        try:
            yield "Wireshark", lambda: cast(BinaryIO, shown.stdin), False
        finally:
            shown.wait()


def run(
    port: str | None,
    request: Request,
    recorder: Recorder,
    text: BinaryIO,
    as_json: bool = False,
    lines: bool = True,
) -> int:
    """Capture until Ctrl-C, the count, the script's end or a reader that has gone.

    text: where to show what the board prints; lines: whether standard input is for the board.
    """

    def show(printed: bytes) -> None:
        with contextlib.suppress(OSError):
            text.write(printed)
            text.flush()

    stop = Stop()
    with connection.connect(port) as board:
        running = Capture(board, request, recorder.write, show)
        failed: HostError | None = None
        began = time.monotonic()
        try:
            interfaces = running.start()
            recorder.begin(interfaces)
            began = time.monotonic()
            if not request.quiet:
                names = ", ".join(one.name for one in interfaces)
                print(
                    f"capturing on {names or 'no interface'} at {running.session.baudrate} baud; "
                    "Ctrl-C ends it",
                    file=sys.stderr,
                    flush=True,
                )
            running.session.tell(do="go")
            if lines:
                forward_lines(running.session)
            running.follow(lambda: not (stop.wanted or recorder.gone))
        except HostError as error:
            failed = error
        finally:
            seconds = time.monotonic() - began
            running.session.close()
            recorder.end(running.frames + running.dropped, running.dropped)
    if not request.quiet or as_json:
        _report(running, seconds, as_json)
    if failed is not None:
        raise failed
    bye = running.session.bye
    return 0 if stop.wanted or bye is None else int(bye.get("bye", 0))


def _report(running: Capture, seconds: float, as_json: bool) -> None:
    session = running.session
    report = {
        "frames": running.frames,
        "bytes": running.frame_bytes,
        "dropped": running.dropped,
        "damaged": session.decoder.bad + session.decoder.lost,
        "seconds": round(seconds, 3),
        "baud": running.baudrate,
        "line_bytes": session.wire_bytes,
    }
    if as_json:
        print(json.dumps(report), flush=True)
        return
    line = f"{report['frames']} frames, {report['dropped']} dropped"
    if report["damaged"]:
        line += f", {report['damaged']} damaged on the line"
    print(line, file=sys.stderr, flush=True)
