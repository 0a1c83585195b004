"""What a run of `viperip sim` starts: the two configurations, as the device side reads them."""

import ipaddress
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from viperip_host import options, resources
from viperip_host.errors import UsageError
from viperip_host.links import Link

# The private wire's network, unless --ip names another one.
GATEWAY_IP = "10.77.0.1/24"
LEASE_IP = "10.77.0.2"
DEMO_PORT = 80
DEMO_HOST_PORT = 8080

Json = dict[str, Any]


@dataclass
class Request:
    """The command line of `viperip sim`, each value already read."""

    ip: ipaddress.IPv4Interface | None = None  # None: DHCP
    gateway: str | None = None
    dns: list[str] = field(default_factory=list)
    mac: str | None = None
    hostname: str | None = None
    capture: str | None = None
    faults: Json | None = None
    forwards: list[options.Forward] = field(default_factory=list)
    board: str = "unix"
    script: str | None = None
    args: list[str] = field(default_factory=list)
    interactive: bool = False
    watch: bool = False  # tell of every frame, with the stack's state before and after

    @property
    def demo(self) -> bool:
        """Whether the demo board runs: there is neither a script nor a prompt."""
        return self.script is None and not self.interactive


@dataclass(frozen=True)
class Board:
    """A board's profile, boards/NAME/board.json."""

    path: str
    name: str
    description: str
    driver: str | None  # of its Ethernet, for hardware that is modelled
    mcu: str  # the chip, in esptool's name; "" for a computer

    @property
    def line(self) -> str:
        """One line for people."""
        model = f"; its driver, {self.driver}, on a model of the hardware" if self.driver else ""
        return f"board {self.name}: {self.description}{model}"


def load_board(name: str) -> Board:
    """The profile of the board NAME. UsageError when there is none."""
    folder = resources.boards()
    known = sorted(path.parent.name for path in folder.glob("*/board.json"))
    if name not in known:
        raise UsageError(f"--board {name}: no such board; there are {', '.join(known)}")
    path = folder / name / "board.json"
    profile = json.loads(path.read_text())
    driver = profile.get("ethernet", {}).get("driver")
    mcu = profile.get("mcu", "") if driver else ""
    return Board(str(path), profile["name"], profile["description"], driver, mcu)


def check(request: Request, private_wire: bool) -> None:
    """UsageError when the values contradict each other."""
    if request.gateway and request.ip is None:
        raise UsageError("--gateway: give it together with --ip; DHCP brings its own gateway")
    if request.gateway and request.ip:
        network = request.ip.network
        if ipaddress.IPv4Address(request.gateway) not in network:
            raise UsageError(f"--gateway {request.gateway}: it is not in {network} of --ip")
        if ipaddress.IPv4Address(request.gateway) == request.ip.ip:
            raise UsageError(f"--gateway {request.gateway}: this is the board's own address")
    if private_wire and request.ip and request.ip.network.prefixlen > 30:
        raise UsageError(
            f"--ip {request.ip}: the gateway needs an address of this network; use /30"
        )
    if request.forwards and not private_wire:
        raise UsageError("--forward: only the private wire has a gateway; leave --link out")


def wire_network(request: Request) -> tuple[str, str]:
    """(the gateway's address/prefix, the board's address) on the private wire."""
    if request.ip is None:
        return GATEWAY_IP, LEASE_IP
    network, board = request.ip.network, request.ip.ip
    default = ipaddress.IPv4Interface(GATEWAY_IP)
    if request.gateway:
        chosen = ipaddress.IPv4Address(request.gateway)
    elif default.ip in network and default.ip != board:
        chosen = default.ip
    else:
        chosen = network.network_address + 1
        if chosen == board:
            chosen += 1
    return f"{chosen}/{network.prefixlen}", str(board)


def board_config(request: Request, board: Board, link: Link, control_fd: int) -> Json:
    """VIPERIP_SIM: what device/sim_main.py is told."""
    gateway, dns = request.gateway, request.dns
    if link.kind == "wire" and request.ip:
        # The gateway is the way out and answers DNS: a static address needs no further options.
        gateway = wire_network(request)[0].partition("/")[0]
        dns = dns or [gateway]
    return {
        "firmware": str(resources.firmware()),
        "lib": str(resources.library()),
        "models": str(resources.models()),
        "board": board.path,
        "link": link.described,
        "mac": request.mac,
        "ip": str(request.ip) if request.ip else None,
        "dhcp": request.ip is None,
        "gateway": gateway,
        "dns": dns,
        "hostname": request.hostname,
        "capture": request.capture,
        "faults": request.faults,
        "script": request.script,
        "args": request.args,
        "interactive": request.interactive,
        "demo": request.demo,
        "watch": request.watch,
        "control_fd": control_fd,
    }


def gateway_config(request: Request, fd: int, control_fd: int) -> Json:
    """VIPERIP_GATEWAY: what device/gateway.py is told."""
    ip, lease = wire_network(request)
    return {
        "firmware": str(resources.firmware()),
        "fd": fd,
        "ip": ip,
        "lease": lease,
        "hostname": request.hostname,
        "forwards": [
            {"proto": one.proto, "host_port": one.host_port, "port": one.port}
            for one in request.forwards
        ],
        "nameservers": nameservers(Path("/etc/resolv.conf")),
        "hosts": hosts(Path("/etc/hosts"), ip.partition("/")[0]),
        "control_fd": control_fd,
    }


def _lines(path: Path) -> list[list[str]]:
    """The words of each line, comments left out; nothing when the file cannot be read."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return []
    return [line.partition("#")[0].split() for line in text.splitlines()]


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def nameservers(path: Path) -> list[str]:
    """The IPv4 name servers of a resolv.conf, in its order."""
    return [
        words[1]
        for words in _lines(path)
        if len(words) >= 2 and words[0] == "nameserver" and _is_ipv4(words[1])
    ]


def hosts(path: Path, gateway: str) -> dict[str, str]:
    """The IPv4 names of a hosts file. Loopback addresses become the gateway's own.

    On the board the gateway's address stands for this computer's loopback, and `localhost` is the
    board itself, so that name is left out.
    """
    table: dict[str, str] = {}
    for words in _lines(path):
        if len(words) < 2 or not _is_ipv4(words[0]):
            continue
        ip = gateway if words[0].startswith("127.") else words[0]
        for name in words[1:]:
            if name.lower() not in ("localhost", "localhost.localdomain"):
                table.setdefault(name.lower(), ip)
    return table
