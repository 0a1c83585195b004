"""`viperip deploy` and `viperip undeploy`: the command lines."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from viperip_host import boards, device_info
from viperip_host import deploy as _deploy
from viperip_host.connection import FAST, Connection, connect, port_option
from viperip_host.deploy import MANIFEST, NETWORK, PROFILE, Plan, There, Writer
from viperip_host.device_info import DeviceInfo
from viperip_host.errors import HostError, UsageError

EPILOG = """\b
Only what differs is copied: the board is asked for the hashes of what it has. Each file is written
under another name, read back and renamed, so that a pulled cable leaves the old one or the new
one; the next run goes on from there. Without --board the profile stays that is on the board;
without one, chip and PHY are asked, and a generic profile taken when they do not tell.

\b
CONFIG is TOML; what is left out is asked from DHCP:
  hostname = "kitchen"
  [network]
  address = "10.0.0.2/24"
  gateway = "10.0.0.1"
  dns = ["10.0.0.1"]

\b
Examples:
  viperip deploy --board wt32-eth01
  viperip deploy --demo --config kitchen.toml
  viperip deploy --port rfc2217://lab:4000 --source
  viperip undeploy

\b
Exit status: 0; 1 when it failed (the next run mends it); 2 for a wrong command line, or a port or
file that cannot be used."""

# What a program usually has loaded: its heap is what deploy tells.
_HEAP = """
import gc, json
gc.collect()
a = gc.mem_alloc()
import viperip
viperip.default()
import viperip.socket, viperip.lan, viperip.pump
viperip.default().tcp, viperip.default().udp
gc.collect()
print(json.dumps(gc.mem_alloc() - a))
"""
_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 99}


@click.command(epilog=EPILOG, context_settings=_SETTINGS)
@port_option
@click.option("--board", metavar="NAME", help="The board's profile (viperip boards).")
@click.option("--mpy", "form", flag_value="mpy", default=True, help="Compiled files.  [default]")
@click.option("--source", "form", flag_value="source", help="Sources, for any MicroPython.")
@click.option("--romfs", "form", flag_value="romfs", help="Into a ROM filesystem, run in place.")
@click.option("--demo", is_flag=True, help="With the demo: microdot, main.py and its page.")
@click.option("--config", metavar="FILE", help="Network configuration, TOML; see below.")
@click.option("--force", is_flag=True, help="Overwrite a boot.py or main.py of yours.")
@click.option("--json", "as_json", is_flag=True, help="The result as one line of JSON.")
def deploy(port: str | None, **given: Any) -> int:
    """Put viperip on a board, and its profile and network configuration."""
    config = _config(given["config"]) if given["config"] else None
    if given["board"] is not None:
        boards.load(given["board"])
    with connect(port) as board:
        return _run(board, given, config)


def _config(path: str) -> dict[str, Any]:
    from viperip_host import board_config

    return board_config.load(path)


def _run(board: Connection, given: dict[str, Any], config: dict[str, Any] | None) -> int:
    info = device_info.ask(board)
    for problem in info.problems():
        raise HostError(f"{board.port}: {problem}")
    there = _deploy.look(board)
    profile, words = _deploy.choose_profile(info, there, given["board"])
    files = dict(_deploy.compiled(info, given["form"] == "source", given["demo"]))
    if profile is not None and words:
        files[PROFILE] = _json_bytes(boards.device_profile(profile))
    if config is not None:
        files[NETWORK] = _json_bytes(config)
    rom = {}
    if given["form"] == "romfs":
        rom = {path: data for path, data in files.items() if path.startswith(_deploy.LIB)}
        files = {path: data for path, data in files.items() if path not in rom}
    plan = _deploy.compare(files, there, given["force"], rom)
    _deploy.check_space(plan, there, board.port)
    if rom:
        from viperip_host import romfs

        romfs.deploy(board, rom, given["force"])
    if plan.write or plan.remove or there.manifest != _deploy.manifest_of(plan):
        _carry_out(board, plan, there)
    if profile is not None and not words:
        board.soft_reset()
        profile, words = _deploy.probe(board, info)
        files[PROFILE] = _json_bytes(boards.device_profile(profile))
        Writer(board, lambda n: None).write(PROFILE, files[PROFILE])
        plan.write.append(PROFILE)
    return _report(board, plan, there, words, given["as_json"])


def _json_bytes(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _carry_out(board: Connection, plan: Plan, there: There) -> None:
    fast = board.use_speed(FAST)
    manifest = _deploy.manifest_of(plan)
    with _progress(plan.bytes_to_write) as advance:
        writer = Writer(board, advance)
        if there.manifest != manifest:
            # First, with all that is there and will be: a pulled cable leaves nothing unknown.
            both = _deploy.interim(there.manifest, manifest)
            writer.write(MANIFEST, _deploy.manifest_file(both))
        for path in plan.remove:
            writer.remove(path)
        for path in plan.write:
            writer.write(path, plan.files[path])
        if there.manifest != manifest:
            writer.write(MANIFEST, _deploy.manifest_file(manifest))
    if fast:
        board.use_speed(115200)


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    if not sys.stderr.isatty() or not total:
        yield lambda n: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("deploying"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda n: bar.advance(task, n)


def _report(board: Connection, plan: Plan, there: There, profile: str, as_json: bool) -> int:
    free = board.ask("import os, json; s = os.statvfs('/'); print(json.dumps(s[0] * s[3]))")
    board.soft_reset()
    heap = board.ask(_HEAP, seconds=30)
    result = {
        "written": len(plan.write),
        "removed": len(plan.remove),
        "unchanged": plan.same,
        "kept": plan.kept,
        "bytes": plan.bytes_to_write,
        "flash_used": there.free - free,
        "flash_free": free,
        "heap": heap,
        "profile": profile,
    }
    if as_json:
        print(json.dumps(result))
        return 0
    print(f"profile: {profile}")
    for path in plan.kept:
        print(f"{path} is yours and stays; --force replaces it")
    if plan.write or plan.remove:
        print(
            f"{len(plan.write)} files written ({plan.bytes_to_write / 1024:.0f} KB), "
            f"{len(plan.remove)} removed, {plan.same} unchanged"
        )
    else:
        print(f"nothing to do: {plan.same} files unchanged")
    print(
        f"flash: {(there.free - free) / 1024:+.0f} KB, {free / 1024:.0f} KB free; "
        f"heap: {heap / 1024:.0f} KB with TCP and UDP loaded"
    )
    return 0


@click.command(epilog=EPILOG, context_settings=_SETTINGS)
@port_option
@click.option("--json", "as_json", is_flag=True, help="The result as one line of JSON.")
def undeploy(port: str | None, as_json: bool) -> int:
    """Remove what deploy has put on a board; what is yours stays."""
    with connect(port) as board:
        there = _deploy.look(board)
        mine = [
            path
            for path in there.files
            if path in (*there.manifest, PROFILE, NETWORK) or there.leftover(path)
        ]
        changed = [path for path in mine if there.yours(path)]
        gone = [path for path in mine if path not in changed]
        writer = Writer(board, lambda n: None)
        for path in gone:
            writer.remove(path)
        if MANIFEST in there.files:
            writer.remove(MANIFEST)
    if as_json:
        print(json.dumps({"removed": len(gone), "kept": changed}))
        return 0
    if not gone:
        print("viperip is not on this board")
    else:
        print(f"{len(gone)} files removed")
    for path in changed:
        print(f"{path} was changed since and stays")
    return 0


__all__ = ["DeviceInfo", "UsageError", "deploy", "undeploy"]
