"""How fast the stack is beside PyTCP, each on a TAP of its own in a private network namespace;
how fast `viperip deploy` sees that there is nothing to do, and what `viperip capture` makes of a
serial line of 921,600 baud.

`make bench`, or `.venv/bin/python -m tests.bench` as root. MTU 1500, no offloads; the Linux end
is a process of its own (peers.py). Every figure is the median of the runs, a run of ping, echo or
page being the median of its own samples; the two stacks take turns within a run. Times are
milliseconds, rates are Mbit/s of payload (10^6 bits per second). Absolute figures depend on the
machine and on what else it does: compare only within one run.

Exit status: 0 measured (also when slower than the bar, which is then said), 1 something failed
to work or a hash was wrong, 2 it cannot run here.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import capture, deploy
from tests.net.netns import NetNS, Running, why_not
from viperip_host import interpreter

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGE = ROOT / "firmware" / "demo" / "page.html"
SMALL = 5760  # bytes of a socket buffer, as ESP-IDF has them

VIPERIP, PYTCP = "viperip", "PyTCP"
ADDRESS = {VIPERIP: "10.9.0.2", PYTCP: "10.9.1.2"}
TAP = {VIPERIP: "tap0", PYTCP: "tap1"}

# key, what the table calls it, unit
ROWS = (
    ("ping", "ping, 56 bytes", "ms"),
    ("echo", "TCP echo, 1 byte, polling loop", "ms"),
    ("echo_blocking", "TCP echo, 1 byte, blocking socket", "ms"),
    ("echo_asyncio", "TCP echo, 1 byte, asyncio", "ms"),
    ("page", "page (microdot; PyTCP: plain loop)", "ms"),
    ("in", "TCP in", "Mbit/s"),
    ("out", "TCP out", "Mbit/s"),
    ("in_small", f"TCP in, {SMALL}-byte buffers", "Mbit/s"),
    ("out_small", f"TCP out, {SMALL}-byte buffers", "Mbit/s"),
    ("deploy", "deploy, nothing changed", "ms"),
    ("capture", "capture: share of the line, 1,514-byte frames", "%"),
    ("capture_small", "capture: share of the line, 64-byte frames", "%"),
    ("capture_lost", "capture: lost of 300 small frames a second", ""),
)
UNIT = {key: unit for key, _, unit in ROWS}
# PyTCP has one way of echoing and one size of buffers: the row it is compared with.
BESIDE = {
    "echo_blocking": "echo",
    "echo_asyncio": "echo",
    "in_small": "in",
    "out_small": "out",
}
AHEAD = ("ping", "echo", "in", "out")
AT_MOST = {"echo_asyncio": 2.0, "page": 3.0, "deploy": 2000.0, "capture_lost": 0.0}
AT_LEAST = {"capture": 85.0}

Runs = dict[str, list[float]]


@dataclass
class Options:
    """What the command line asks for."""

    runs: int
    size: int  # bytes of a transfer
    pytcp: bool
    json: bool


@dataclass
class Bench:
    """The namespace and what has been measured in it."""

    ns: NetNS
    options: Options
    folder: Path
    found: dict[str, Runs] = field(default_factory=dict)

    @property
    def response(self) -> str:
        """The file with microdot's response, which PyTCP serves too."""
        return str(self.folder / "response")

    def add(self, stack: str, key: str, value: float) -> None:
        """Note one run's VALUE."""
        self.found.setdefault(stack, {}).setdefault(key, []).append(value)
        say(f"  {stack:8} {key:14} {value:9.3f} {UNIT[key]}")

    def peer(self, what: str, stack: str, port: int, amount: int, *rest: str) -> Any:
        """What peers.py found. AssertionError when it failed."""
        command = (sys.executable, str(HERE / "peers.py"), what, ADDRESS[stack], str(port))
        done = self.ns.run(*command, str(amount), *rest, seconds=180)
        return json.loads(done.stdout)

    def ping(self, stack: str) -> None:
        self.ns.ping(ADDRESS[stack])
        sent = 200
        done = self.ns.run("ping", "-n", "-i0.01", f"-c{sent}", ADDRESS[stack])
        times = [float(t) for t in re.findall(r"time=([0-9.]+) ms", done.stdout)]
        assert len(times) == sent, f"{stack}: {len(times)} of {sent} pings answered"
        self.add(stack, "ping", statistics.median(times))

    def echo(self, stack: str, key: str, port: int, first: str = "") -> None:
        times = self.peer("echo", stack, port, 500, first)["ms"]
        self.add(stack, key, statistics.median(times))

    def page(self, stack: str, file: str) -> None:
        times = self.peer("page", stack, 80, 30, file)["ms"]
        self.add(stack, "page", statistics.median(times))

    def transfer(self, stack: str, what: str, suffix: str = "") -> None:
        rate = self.peer(what, stack, 9, self.options.size)["mbit_s"]
        self.add(stack, what + suffix, rate)

    @contextlib.contextmanager
    def board(self, script: str, *arguments: str) -> Iterator[Running]:
        """`viperip sim` with a script of board/, until the block ends."""
        running = self.ns.sim(
            *("--link", f"tap:{TAP[VIPERIP]}", "--ip", f"{ADDRESS[VIPERIP]}/24"),
            *(str(HERE / "board" / script), *arguments),
        )
        try:
            running.wait_for("ready")
            yield running
        finally:
            running.stop()

    def viperip(self) -> None:
        """One run of viperip."""
        with self.board("echo_poll.py"):
            self.echo(VIPERIP, "echo", 7)
        with self.board("echo_asyncio.py"):
            self.echo(VIPERIP, "echo_asyncio", 7)
        with self.board("page.py", str(PAGE)):
            self.page(VIPERIP, self.response)
        with self.board("serve.py", str(self.options.size)):
            self.ping(VIPERIP)
            self.echo(VIPERIP, "echo_blocking", 9, "E")
            self.transfer(VIPERIP, "in")
            self.transfer(VIPERIP, "out")
        with self.board("serve.py", str(self.options.size), str(SMALL)):
            self.transfer(VIPERIP, "in", "_small")
            self.transfer(VIPERIP, "out", "_small")

    def start_pytcp(self) -> Running:
        """PyTCP, for all runs; it takes 7 to 10 s before it is there."""
        started = self.ns.start(
            *(sys.executable, str(HERE / "pytcp.py"), TAP[PYTCP], f"{ADDRESS[PYTCP]}/24"),
            *(str(self.options.size), self.response),
        )
        started.wait_for("ready", 60)
        return started

    def pytcp(self) -> None:
        """One run of PyTCP."""
        self.ping(PYTCP)
        self.echo(PYTCP, "echo", 7)
        self.page(PYTCP, str(self.folder / "pytcp"))
        same = Path(self.response).read_bytes() == (self.folder / "pytcp").read_bytes()
        assert same, "PyTCP sent another page"
        self.transfer(PYTCP, "in")
        self.transfer(PYTCP, "out")


def say(line: str) -> None:
    """Progress, which is not part of the result."""
    print(line, file=sys.stderr, flush=True)


def command_line() -> Options:
    """Read the options. SystemExit 2 when they are wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs (default: 3)")
    parser.add_argument(
        "--mb", type=int, default=10, metavar="N", help="10^6 bytes of a transfer (default: 10)"
    )
    parser.add_argument("--no-pytcp", action="store_true", help="measure viperip alone")
    parser.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    told = parser.parse_args()
    if told.runs < 1 or told.mb < 1:
        parser.error("--runs, --mb: at least 1")
    return Options(told.runs, told.mb * 1_000_000, not told.no_pytcp, told.json)


def output(command: list[str]) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def load() -> list[float]:
    """Processes that were running or ready, averaged over 1, 5 and 15 minutes."""
    return [round(one, 2) for one in os.getloadavg()]


def no_offloads(ns: NetNS, tap: str) -> None:
    """The kernel sums and cuts segments in software in any case; this says so to its TCP too."""
    if shutil.which("ethtool"):
        off = ("tx", "off", "sg", "off", "tso", "off", "gso", "off", "gro", "off")
        ns.run("ethtool", "-K", tap, *off, check=False)


def measure(options: Options) -> dict[str, Runs]:
    """All runs: stack, row, one value a run."""
    with (
        tempfile.TemporaryDirectory() as folder,
        NetNS() as ns,
        deploy.board(Path(folder)) as board,
    ):
        bench = Bench(ns, options, Path(folder))
        capture.configure(board)
        for stack in (VIPERIP, PYTCP):
            no_offloads(ns, ns.add_tap(TAP[stack], ADDRESS[stack][:-1] + "1/24"))
        if options.pytcp:
            say("waiting for PyTCP, which probes its address for 7 to 10 s")
            bench.start_pytcp()
        for number in range(options.runs):
            say(f"run {number + 1} of {options.runs}")
            bench.viperip()
            bench.add(VIPERIP, "deploy", deploy.unchanged(board))
            # Full-size frames at what the line carries; with their FCS 1,518 and 64 bytes.
            bench.add(VIPERIP, "capture", capture.share(board, 1472, 15_000))
            bench.add(VIPERIP, "capture_small", capture.share(board, 18, 1_500))
            bench.add(VIPERIP, "capture_lost", capture.lost(board))
            if options.pytcp:
                bench.pytcp()
        return bench.found


def ratio(key: str, ours: float, theirs: float) -> float:
    """How many times as fast as PyTCP: above 1 is ahead."""
    return theirs / ours if UNIT[key] == "ms" else ours / theirs


def summary(found: dict[str, Runs], before: list[float]) -> dict[str, Any]:
    """Medians, ratios and the bar."""
    medians = {
        stack: {key: statistics.median(runs) for key, runs in rows.items()}
        for stack, rows in found.items()
    }
    ours, theirs = medians[VIPERIP], medians.get(PYTCP, {})
    ratios = {
        key: ratio(key, ours[key], theirs[BESIDE.get(key, key)])
        for key, _, _ in ROWS
        if BESIDE.get(key, key) in theirs
    }
    bar = [
        {"row": key, "want": "ahead of PyTCP", "met": ratios[key] > 1}
        for key in AHEAD
        if key in ratios
    ]
    bar += [
        {"row": key, "want": f"at most {most:g} {UNIT[key]}", "met": ours[key] <= most}
        for key, most in AT_MOST.items()
    ]
    bar += [
        {"row": key, "want": f"at least {least:g} {UNIT[key]}", "met": ours[key] >= least}
        for key, least in AT_LEAST.items()
    ]
    board = [interpreter.find().path, "-c", "import sys; print(sys.version)"]
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "viperip": output([sys.executable, "-m", "viperip_host", "--version"]),
        "micropython": output(board),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "load_before": before,
        "load_after": load(),
        "unit": UNIT,
        "runs": found,
        "median": medians,
        "times_pytcp": ratios,
        "bar": bar,
    }


def table(result: dict[str, Any]) -> Iterator[str]:
    """The result for people, line by line."""
    theirs = result["median"].get(PYTCP, {})
    yield f"{result['viperip']}; {result['micropython']}"
    yield (
        f"{result['cpus']} CPUs ({result['machine']}), load {result['load_before'][0]:g} before, "
        f"{result['load_after'][0]:g} after (1 min); CPython {result['python']}"
    )
    if result["load_before"][0] > result["cpus"] / 2:
        yield "The machine was busy with other things: expect noise."
    yield ""
    head = f"{'median (lowest to highest run)':36}{VIPERIP:>32}{PYTCP:>34}  x PyTCP"
    yield head
    yield "-" * len(head)
    for key, name, unit in ROWS:
        cells = []
        for stack, width in ((VIPERIP, 32), (PYTCP, 34)):
            runs = result["runs"].get(stack, {}).get(key)
            text = ""
            if runs:
                middle = result["median"][stack][key]
                text = f"{middle:.4g} ({min(runs):.4g} to {max(runs):.4g}) {unit}"
            elif stack == PYTCP and BESIDE.get(key, key) in theirs:
                text = "as above"
            cells.append(f"{text:>{width}}")
        times = result["times_pytcp"].get(key)
        yield f"{name:36}{''.join(cells)}  {f'{times:6.2f}' if times else ''}".rstrip()
    yield ""
    names = {key: name for key, name, _ in ROWS}
    for one in result["bar"]:
        met = "met" if one["met"] else "NOT MET"
        yield f"{met:8} {names[one['row']]}: {one['want']}"
    if not theirs:
        yield "not measured: PyTCP"
    missed = sum(not one["met"] for one in result["bar"])
    yield f"SLOWER THAN THE BAR in {missed} of {len(result['bar'])}" if missed else "bar met"


def main() -> int:
    """Measure and print; the exit status."""
    options = command_line()
    reason = why_not()
    if not reason and shutil.which("ping") is None:
        reason = "needs the ping command (iputils-ping)"
    if not reason and options.pytcp and importlib.util.find_spec("pmd_pytcp") is None:
        reason = "PyTCP is not installed: make bootstrap-bench, or --no-pytcp"
    if reason:
        say(f"bench: {reason}")
        return 2
    before = load()
    try:
        found = measure(options)
    except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
        say(f"bench: {error}")
        return 1
    result = summary(found, before)
    if options.json:
        print(json.dumps(result, indent=2))
        for line in table(result):
            say(line)
    else:
        print("\n".join(table(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
