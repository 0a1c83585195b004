"""`viperip sim`: the options, and the run they describe."""

import os
from typing import TYPE_CHECKING, Any

import click

from viperip_host import interpreter, links, options, plan
from viperip_host.errors import UsageError

if TYPE_CHECKING:
    from viperip_host import run

EPILOG = """\b
LINK is one of
  tap:NAME                   a TAP interface, created if absent (Linux, root or its owner);
                             addresses and state of its host side are yours to set
  packet:IFNAME              an Ethernet interface that exists (Linux, root)
  udp:LOCALPORT:REMOTEPORT   loopback; one datagram is one frame; see viperip switch
Without --link, a private wire leads to a built-in gateway that needs no privilege: DHCP, DNS,
ports of 127.0.0.1 forwarded to the board, and the board's connections relayed to the outside.
The gateway's own address (10.77.0.1) stands for this computer's loopback.

\b
P is a share of the frames, each way: 2% or 0.02.

\b
Examples:
  viperip sim                                     the demo board
  viperip sim --forward 8000:80 server.py         your server's port 80 on 127.0.0.1:8000
  viperip sim --link tap:tap0 --ip 10.0.0.2/24 server.py
  viperip sim --loss 2% --seed 7 --capture lossy.pcapng client.py 10.77.0.1
  viperip sim -i                                  a prompt with a network

\b
Exit status: the script's own; 1 when the board or the gateway died; 2 for a wrong command line
or a link, file or port that cannot be used; 130 after Ctrl-C, 143 after SIGTERM."""


@click.command(
    epilog=EPILOG,
    context_settings={
        "allow_interspersed_args": False,
        "help_option_names": ["-h", "--help"],
        "max_content_width": 99,
    },
)
@click.option("--link", metavar="LINK", help="The board's wire; see below.  [private wire]")
@click.option("--ip", metavar="A.B.C.D/N", help="A static address.  [DHCP]")
@click.option("--dhcp", is_flag=True, help="Ask a DHCP server (what happens without --ip, too).")
@click.option("--gateway", metavar="IP", help="The default gateway, with --ip.")
@click.option("--dns", metavar="IP", multiple=True, help="A DNS server; may be repeated.")
@click.option("--mac", metavar="MAC", help="The board's MAC address.  [random, local]")
@click.option("--hostname", metavar="NAME", help="The name the board gives to DHCP.")
@click.option("--capture", metavar="FILE.pcapng", help="Write every frame to a file, live.")
@click.option("--loss", metavar="P", help="Lose a share of the frames.")
@click.option("--dup", metavar="P", help="Send a share of the frames twice.")
@click.option("--reorder", metavar="P", help="Deliver a share of the frames late.")
@click.option("--corrupt", metavar="P", help="Flip a bit in a share of the frames.")
@click.option("--delay", metavar="MS", type=click.FloatRange(0, 60_000), help="Delay, each way.")
@click.option("--rate", metavar="KBIT", type=click.IntRange(1), help="Limit in kbit/s, each way.")
@click.option("--seed", metavar="N", type=int, default=None, help="Repeat the same faults.  [1]")
@click.option("--forward", metavar="[udp:]HOSTPORT:PORT", multiple=True,
              help="127.0.0.1:HOSTPORT leads to the board's PORT; may be repeated.")  # fmt: skip
@click.option("--heap", metavar="SIZE", default="16M", help="The board's heap.  [16M]")
@click.option(
    "--board",
    metavar="NAME",
    default="unix",
    help="Run this board's driver on a model of its hardware (viperip boards).  [unix]",
)
@click.option("--micropython", metavar="PATH", help="The MicroPython interpreter to use.")
@click.option("-i", "interactive", is_flag=True, help="A prompt, after SCRIPT if there is one.")
@click.argument("script", required=False, metavar="[SCRIPT.py")
@click.argument("args", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS...]]")
def sim(**given: Any) -> int:
    """Run SCRIPT.py in MicroPython, on this computer, with a TCP/IP stack and a wire of its own.

    `import socket` in SCRIPT gives the stack's sockets. Without SCRIPT the demo board runs: a web
    server that shows the stack at work.
    """
    from viperip_host import run

    return run.run(setup(given))


def setup(given: dict[str, Any]) -> "run.Setup":
    """The run that a command line asks for."""
    from viperip_host import run

    request = _request(given)
    board = plan.load_board(given["board"])
    seconds = _run_seconds()
    micropython = interpreter.find(given["micropython"])
    private_wire = given["link"] is None
    plan.check(request, private_wire)
    taken = None
    if private_wire and request.demo and not request.forwards:
        chosen = options.free_forward(plan.DEMO_HOST_PORT, plan.DEMO_PORT)
        if chosen.host_port != plan.DEMO_HOST_PORT:
            taken = plan.DEMO_HOST_PORT
        request.forwards = [chosen]
    return run.Setup(
        request=request,
        board=board,
        interpreter=micropython,
        heap=options.heap(given["heap"]),
        link=given["link"],
        run_seconds=seconds,
        taken_port=taken,
    )


def _request(given: dict[str, Any]) -> plan.Request:
    if given["ip"] and given["dhcp"]:
        raise UsageError("--ip and --dhcp exclude each other; leave one out")
    if given["link"] is not None and not given["link"]:
        raise UsageError(f"--link: it is {links.FORMS}; leave it out for the private wire")
    return plan.Request(
        ip=options.interface(given["ip"]) if given["ip"] is not None else None,
        gateway=_optional(options.address, given["gateway"], "--gateway"),
        dns=[options.address(text, "--dns") for text in given["dns"]],
        mac=options.mac(given["mac"]) if given["mac"] is not None else None,
        hostname=options.hostname(given["hostname"]) if given["hostname"] is not None else None,
        capture=_optional(options.output_file, given["capture"], "--capture"),
        faults=_faults(given),
        forwards=options.forwards(given["forward"]),
        board=given["board"],
        script=options.script_file(given["script"]) if given["script"] is not None else None,
        args=list(given["args"]),
        interactive=given["interactive"],
    )


def _optional(read: Any, text: str | None, option: str) -> str | None:
    return None if text is None else str(read(text, option))


def _faults(given: dict[str, Any]) -> dict[str, float] | None:
    """The faults asked for, or None. --seed alone asks for none."""
    faults: dict[str, float] = {}
    for name in ("loss", "dup", "reorder", "corrupt"):
        if given[name] is not None:
            faults[name] = options.probability(given[name], f"--{name}")
    for name in ("delay", "rate"):
        if given[name] is not None:
            faults[name] = given[name]
    if not any(faults.values()):
        return None
    faults["seed"] = 1 if given["seed"] is None else given["seed"]
    return faults


def _run_seconds() -> float | None:
    """RUN_SECONDS of the environment: how long the demo serves, in seconds."""
    text = os.environ.get("RUN_SECONDS", "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < 1e9:
        raise UsageError(f"RUN_SECONDS={text}: give a number of seconds")
    return seconds
