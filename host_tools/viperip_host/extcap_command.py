"""`viperip extcap`: boards as capture interfaces of Wireshark and tshark.

The options that begin with --extcap are Wireshark's: see its manual page extcap(4).
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from viperip_host import capture_command, connection
from viperip_host.capture import Recorder, Request
from viperip_host.capture_file import LINKTYPE_ETHERNET
from viperip_host.capture_filter import compile_filter
from viperip_host.errors import HostError, UsageError

NAME = "viperip"
PORTS = "VIPERIP_PORTS"  # in the environment: more ports, with commas between them
ANY = "viperip"  # the interface whose port is an option

EPILOG = """\b
Boards are listed by their USB serial ports. Ports of another kind (rfc2217://HOST:PORT, a virtual
board) are listed when VIPERIP_PORTS names them, with commas between, in the environment of
Wireshark; the interface "viperip" takes any port as an option.

\b
Examples:
  viperip extcap --install
  tshark -D                                     lists the boards
  tshark -i viperip-ttyUSB0 -f "tcp port 80"
  VIPERIP_PORTS=/tmp/board wireshark

\b
Exit status: 0; 1 when it failed; 2 for a wrong command line, or a port that cannot be used."""


@click.command(
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
)
@click.option("--install", is_flag=True, help="Put the plugin into Wireshark's folder.")
@click.option("--uninstall", is_flag=True, help="Take it out again.")
@click.option("--extcap-interfaces", "interfaces", is_flag=True, hidden=True)
@click.option("--extcap-version", hidden=True)
@click.option("--extcap-interface", "interface", hidden=True)
@click.option("--extcap-dlts", "dlts", is_flag=True, hidden=True)
@click.option("--extcap-config", "config", is_flag=True, hidden=True)
@click.option("--extcap-capture-filter", "expression", default="", hidden=True)
@click.option("--extcap-cleanup-postkill", "cleanup", is_flag=True, hidden=True)
@click.option("--capture", is_flag=True, hidden=True)
@click.option("--fifo", hidden=True)
@click.option("--port", hidden=True)
@click.option("--filter", "board_filter", default="", hidden=True)
@click.option("--snaplen", type=click.IntRange(14, 65535), default=65535, hidden=True)
@click.option("--speed", type=click.IntRange(9600, 3_000_000), default=921600, hidden=True)
def extcap(**given: Any) -> int:
    """Make boards appear as interfaces in Wireshark and tshark, with options.

    Frames come from the board as with `viperip capture`. A capture filter (-f) is applied on the
    board; it has the syntax of `viperip capture --filter`.
    """
    if given["install"] or given["uninstall"]:
        return _install(given["install"])
    if given["interfaces"]:
        return _list()
    if given["interface"] is None:
        raise UsageError("extcap: give --install; the rest is for Wireshark to call")
    if given["dlts"]:
        print(f"dlt {{number={LINKTYPE_ETHERNET}}}{{name=EN10MB}}{{display=Ethernet}}")
    elif given["config"]:
        _config(given["interface"])
    elif given["capture"]:
        return _capture(given)
    elif given["expression"]:
        # Wireshark asks whether a filter is one: a line means that it is not.
        try:
            compile_filter(given["expression"])
        except UsageError as error:
            print(error)
    return 0


def boards() -> dict[str, str]:
    """The interfaces that there are: name -> port."""
    named = [port for port in os.environ.get(PORTS, "").split(",") if port]
    found = {}
    for port in [*connection.usb_ports(), *named]:
        short = port.removeprefix("/dev/").rpartition("/")[2] if "://" not in port else port
        found[f"{NAME}-" + re.sub(r"[^A-Za-z0-9.]+", "-", short)] = port
    return found


def _list() -> int:
    from importlib.metadata import version

    print(f"extcap {{version={version('viperip')}}}{{display=viperip}}")
    for name, port in boards().items():
        print(f"interface {{value={name}}}{{display=viperip board on {port}}}")
    print(f"interface {{value={ANY}}}{{display=viperip board on another port}}")
    return 0


def _config(interface: str) -> None:
    rows = [
        ("--filter", "Filter on the board", "string", "as viperip capture --filter", ""),
        ("--snaplen", "Bytes kept of a frame", "integer", "fewer leave room for more frames",
         "{range=14,65535}{default=65535}"),
        ("--speed", "Speed of the line, baud", "integer", "if the board can", "{default=921600}"),
    ]  # fmt: skip
    if interface == ANY:
        rows.insert(0, ("--port", "Serial port", "string", "a device, or rfc2217://HOST:PORT",
                        "{required=true}"))  # fmt: skip
    for number, (call, display, kind, tip, more) in enumerate(rows):
        print(
            f"arg {{number={number}}}{{call={call}}}{{display={display}}}{{type={kind}}}"
            f"{{tooltip={tip}}}{more}"
        )


def _capture(given: dict[str, Any]) -> int:
    interface, fifo = given["interface"], given["fifo"]
    if not fifo:
        raise UsageError("extcap: --capture needs --fifo")
    port = given["port"] if interface == ANY else boards().get(interface)
    if not port:
        raise UsageError(
            f"extcap: {interface}: no such board; is it plugged in? Ports of another kind are "
            f"named in {PORTS}, or with the interface {ANY}"
        )
    both = " and ".join(f"({one})" for one in (given["expression"], given["board_filter"]) if one)
    request = Request(
        program=compile_filter(both),
        snaplen=given["snaplen"],
        speed=given["speed"],
        # What Wireshark finds on standard error is shown as an error at the end.
        quiet=True,
    )
    recorder = Recorder(fifo, lambda: open(fifo, "wb", buffering=0))  # noqa: SIM115
    with open(os.devnull, "wb") as nowhere:
        return capture_command.run(port, request, recorder, nowhere, lines=False)


def folder() -> Path:
    """Wireshark's extcap folder: the personal one (4.2 and later), or the only one there is."""
    found = {}
    program = shutil.which("tshark")
    if program:
        command = [program, "-G", "folders"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            what, _, path = line.partition(":")
            found[what.strip().lower()] = path.strip()
    for what in ("personal extcap path", "extcap path"):
        if found.get(what):
            return Path(found[what])
    return Path.home() / ".local" / "lib" / "wireshark" / "extcap"


def _install(wanted: bool) -> int:
    target = folder() / NAME
    try:
        if not wanted:
            target.unlink(missing_ok=True)
            print(f"{target} is gone")
            return 0
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m viperip_host extcap "$@"\n')
        target.chmod(0o755)
    except PermissionError:
        raise HostError(
            f"{target}: no permission, and this Wireshark has no personal folder (4.2 and later "
            "have): run it as root, or let WIRESHARK_EXTCAP_DIR name a folder of yours"
        ) from None
    except OSError as error:
        raise HostError(f"{target}: {error.strerror}") from None
    print(f"{target}\nboards are listed by `tshark -D`, and in Wireshark after F5")
    return 0
