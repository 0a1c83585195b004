"""`viperip mtu HOST`: the path MTU, probed by a board's stack: simulated here, or a real one."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from viperip_host.errors import OK, HostError, UsageError

EPILOG = """\b
Without --port the board is simulated here, on the network that --link and its kin name; they mean
what they mean to `viperip sim`, and without any of them there is just the private wire.

\b
Examples:
  viperip mtu 10.77.0.1
  viperip mtu --link tap:tap0 --ip 10.9.0.2/24 --gateway 10.9.0.1 192.0.2.7
  viperip mtu --port /dev/ttyUSB0 gateway.lan
  viperip mtu --json 10.77.0.1

\b
Exit status: 0; 1 if the host cannot be reached; 2 for a wrong command line."""

_SECONDS = 120.0

# What the board runs. Each line that it prints is JSON.
_SCRIPT = """
import json
from viperip.application.mtu import path_mtu
try:
    print(json.dumps({"result": path_mtu(%s, %d, %d, True,
        lambda probe: print(json.dumps({"probe": probe})))}))
except OSError as e:
    print(json.dumps({"error": str(e)}))
"""
_UP = "import viperip\nviperip.up()\n"


@click.command(
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
)
@click.argument("host", metavar="HOST")
@click.option("--port", metavar="PORT", help="A board on this serial port.")
@click.option("--link", metavar="LINK", help="The simulated board's wire.")
@click.option("--ip", metavar="A.B.C.D/N", help="Its address.  [DHCP]")
@click.option("--gateway", metavar="IP", help="Its default gateway, with --ip.")
@click.option("--dns", metavar="IP", help="Its DNS server, with --ip.")
@click.option("--capture", metavar="FILE.pcapng", help="Write its frames to a file.")
@click.option("--timeout", type=click.FloatRange(0.01, 60), default=1.0, help="Seconds.  [1]")
@click.option("--tries", type=click.IntRange(1, 20), default=2, help="Probes of a size.  [2]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end.")
def mtu(host: str, port: str | None, timeout: float, tries: int, as_json: bool, **sim: Any) -> int:
    """Find the largest datagram that reaches HOST without fragments."""
    script = _SCRIPT % (json.dumps(host), int(timeout * 1000), tries)
    given = [f"--{name}" for name, value in sim.items() if value]
    if port is not None and given:
        raise UsageError(f"mtu: {given[0]} is for a simulated board; leave it out with --port")
    lines = _on_board(port, script) if port is not None else _simulated(script, sim)
    result: dict[str, Any] | None = None
    probes: list[dict[str, Any]] = []
    for line in lines:
        said = _parsed(line)
        if "error" in said:
            raise HostError(f"mtu: {host}: {said['error']}")
        if "probe" in said:
            probes.append(said["probe"])
            if not as_json:
                print(_line(said["probe"]), flush=True)
        result = said.get("result", result)
    if result is None:
        raise HostError(f"mtu: the board did not finish; {len(probes)} sizes were tried")
    if as_json:
        print(json.dumps({**result, "sizes": probes}, indent=2))
        return OK
    print(f"path MTU to {result['ip']}: {result['mtu']} bytes (TCP segments of {result['mss']})")
    if result["black_hole"]:
        print("a black hole: what is larger vanishes, and no router says so")
    return OK


def _parsed(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _line(probe: dict[str, Any]) -> str:
    if probe["fits"]:
        return f"{probe['size']:5} bytes: fits"
    who = f" ({probe['from']})" if probe["from"] else ""
    return f"{probe['size']:5} bytes: {probe['said']}{who}"


def _on_board(port: str, script: str) -> Iterator[str]:
    from viperip_host import connection

    with connection.connect(port) as board:
        yield from board.run(_UP + script, _SECONDS).splitlines()


def _simulated(script: str, sim: dict[str, Any]) -> Iterator[str]:
    flags = [word for name, value in sim.items() if value for word in (f"--{name}", str(value))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mtu.py"
        path.write_text(script)
        command = [sys.executable, "-m", "viperip_host", "sim", *flags, str(path)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as one:
            assert one.stdout is not None and one.stderr is not None
            yield from one.stdout
            said = one.stderr.read().strip()
        if one.returncode:
            raise HostError(f"mtu: the simulated board: {said.splitlines()[-1] if said else '?'}")
