"""`viperip doctor`: the command line."""

import dataclasses
import json

import click

from viperip_host import connection, doctor
from viperip_host.doctor import PROBLEM, Finding
from viperip_host.switch_table import table

EPILOG = """\b
A program that runs on the board is ended.

\b
Examples:
  viperip doctor
  viperip doctor --port /dev/ttyUSB0
  viperip doctor --json

\b
Exit status: 0 when all is well; 1 when there is a problem; 2 for a wrong command line."""


@click.command(
    "doctor",
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
)
@connection.port_option
@click.option("--json", "as_json", is_flag=True, help="What was found, as JSON.")
def doctor_command(port: str | None, as_json: bool) -> int:
    """Look at this computer, its serial ports and a board, and say what to fix."""
    found: list[Finding] = [*doctor.host(), *doctor.ports()]
    named = connection.usb_ports()
    if port is None and len(named) == 1:
        port = named[0]
    if port is not None:
        reached = list(doctor.access(port))
        found += reached
        if not any(one.state == PROBLEM for one in reached):
            found += doctor.board(port)
    if as_json:
        print(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
    else:
        rows = [[one.state, one.what, one.text + (f": {one.fix}" if one.fix else "")]
                for one in found]  # fmt: skip
        print("\n".join(table(["", "", ""], rows)))
    return 1 if any(one.state == PROBLEM for one in found) else 0
