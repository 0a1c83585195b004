"""`viperip explain`: the command line."""

import sys
from typing import TYPE_CHECKING, Any

import click

from viperip_host import options
from viperip_host.errors import OK, HostError, UsageError

if TYPE_CHECKING:
    from viperip_host.explain.session import Explainer

_ONLY = ("ethernet", "arp", "ip", "ipv4", "icmp", "igmp", "udp", "tcp", "dhcp", "dns")

EPILOG = """\b
Each frame is drawn layer by layer, with what its fields mean and what the two ends do with it,
by which rule. FILE is pcapng or pcap, from any program; - is standard input. State (TCP, ARP
caches, fragments, DHCP) is rebuilt from all frames of it, whichever are shown. With --sim it is
also taken from the board itself, before and after each frame. With --sim and --port, what a
script prints is on stderr.

\b
Examples:
  viperip explain build/run.pcapng                    all of it; | less -R
  viperip explain build/run.pcapng --only tcp --brief
  viperip explain build/run.pcapng --frame 17
  viperip explain build/run.pcapng --talk             sequence diagrams
  viperip explain build/run.pcapng --html run.html    diagrams and curves, as one page
  viperip explain --sim "--loss 5% client.py 10.77.0.1"
  viperip explain --port /dev/ttyUSB0 --run ping.py   the board captures; Ctrl-C ends it

\b
Exit status: 0; 1 when no frame could be read; 2 for a wrong command line, or a file or port that
cannot be used. What cannot be read is named on stderr and left out. With --sim, the script's."""


@click.command(
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
)
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--sim", metavar="SCRIPT", help='Run it by viperip sim; "OPTIONS SCRIPT ARGS" too.')
@click.option("--port", metavar="PORT", help="Live from a board, over its serial line.")
@click.option("--run", metavar="SCRIPT", help="With --port: run a script there; :NAME is its own.")
@click.option(
    "--only", type=click.Choice(_ONLY), help="Only frames with this protocol, and it alone."
)
@click.option("--frame", "number", metavar="N", type=click.IntRange(1), help="Only frame N.")
@click.option("--brief", is_flag=True, help="Without the drawings.")
@click.option("--talk", is_flag=True, help="Conversations as sequence diagrams, at the end.")
@click.option(
    "--html", metavar="FILE", help="Write a page: sequence diagrams, curves, every frame."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a frame.")
def explain(**given: Any) -> int:
    """Explain the frames of a capture, or of a program while it runs."""
    from viperip_host.explain.session import Explainer

    if sum(given[one] is not None for one in ("file", "sim", "port")) != 1:
        raise UsageError("explain: give one of FILE, --sim SCRIPT and --port PORT")
    if given["run"] is not None and given["port"] is None:
        raise UsageError("explain: --run goes with --port; the other way is --sim SCRIPT")
    if given["as_json"] and given["talk"]:
        raise UsageError("explain: --json and --talk exclude each other; leave one out")
    html = options.output_file(given["html"], "--html") if given["html"] else None
    explainer = Explainer(
        only=given["only"] or "",
        number=given["number"],
        brief=given["brief"],
        talk=given["talk"],
        html=str(html) if html else None,
        as_json=given["as_json"],
        name=given["file"] or given["sim"] or given["port"],
    )
    try:
        return _run(explainer, given)
    except BrokenPipeError:
        sys.stdout = None
        return OK


def _run(explainer: "Explainer", given: dict[str, Any]) -> int:
    from viperip_host.explain import reading

    if given["sim"] is not None:
        from viperip_host.explain import live

        status = live.simulate(given["sim"], explainer)
        explainer.end()
        return status
    if given["port"] is not None:
        from viperip_host.explain import live

        status = live.board(given["port"], given["run"], explainer)
        explainer.end()
        return status
    for frame in reading.read_file(given["file"], say):
        explainer.take(frame)
        if explainer.done:
            break
    explainer.end()
    if not explainer.frames:
        raise HostError(f"{given['file']}: no frame could be read")
    return OK


def say(line: str) -> None:
    """Tell of something that cannot be read."""
    print(f"viperip explain: {line}", file=sys.stderr, flush=True)
