"""`viperip boards`: the boards that there are, and what to know about each."""

import json
from typing import Any

import click

from viperip_host import boards as _boards

EPILOG = """\b
Examples:
  viperip boards
  viperip boards show wt32-eth01          wiring, clock, quirks, sources
  viperip boards profile wt32-eth01 > viperip_board.json
                                          what the board itself reads

\b
Exit status: 0; 2 for a wrong command line or an unknown board."""

_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 99}


@click.group(epilog=EPILOG, context_settings=_SETTINGS, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="All profiles, as JSON.")
@click.pass_context
def boards(ctx: click.Context, as_json: bool) -> None:
    """List the boards, or explain one of them."""
    if ctx.invoked_subcommand is not None:
        return
    profiles = [_boards.load(name) for name in _boards.names()]
    if as_json:
        print(json.dumps(profiles, indent=2, ensure_ascii=False))
    else:
        print(_boards.listing(profiles))


@boards.command(epilog=EPILOG)
@click.argument("name", metavar="NAME")
@click.option("--json", "as_json", is_flag=True, help="The profile as JSON.")
def show(name: str, as_json: bool) -> None:
    """Explain a board: what to buy, firmware, wiring, clock, quirks, sources."""
    profile = _boards.load(name)
    if as_json:
        print(json.dumps(profile, indent=2, ensure_ascii=False))
    else:
        print(_boards.explain(profile))


@boards.command(epilog=EPILOG)
@click.argument("name", metavar="NAME")
def profile(name: str) -> None:
    """Print what goes to the board as viperip_board.json, and viperip.board() reads."""
    print(json.dumps(_boards.device_profile(_boards.load(name)), indent=2))
