"""Read the values of `viperip sim`'s options. Every function raises UsageError in one line."""

import ipaddress
import os
import re
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from viperip_host.errors import UsageError
from viperip_host.links import port_is_free, port_number

HEAP_SMALLEST = 512 * 1024


@dataclass(frozen=True)
class Forward:
    """127.0.0.1:host_port leads to the board's port."""

    proto: str  # "tcp" or "udp"
    host_port: int
    port: int


def address(text: str, option: str) -> str:
    """An IPv4 address a host can have."""
    try:
        parsed = ipaddress.IPv4Address(text)
    except ValueError:
        raise UsageError(f"{option} {text}: no IPv4 address (four numbers, as 10.0.0.1)") from None
    if parsed.is_multicast or parsed.is_loopback or parsed.is_unspecified or parsed.is_reserved:
        raise UsageError(f"{option} {text}: not an address of a single host on a network")
    return str(parsed)


def interface(text: str) -> ipaddress.IPv4Interface:
    """A.B.C.D/N: the board's own address and the length of its network's prefix."""
    host, slash, prefix = text.partition("/")
    address(host, "--ip")
    if not slash or not re.fullmatch(r"[0-9]{1,2}", prefix) or not 1 <= int(prefix) <= 32:
        raise UsageError(f"--ip {text}: the prefix length is missing or wrong, as in {host}/24")
    parsed = ipaddress.IPv4Interface(text)
    network = parsed.network
    ends = (network.network_address, network.broadcast_address)
    if network.prefixlen < 31 and parsed.ip in ends:
        raise UsageError(f"--ip {text}: this is {network}'s own or its broadcast address")
    return parsed


def mac(text: str) -> str:
    """A unicast MAC address, six bytes in hexadecimal; returned in lower case with colons."""
    plain = re.sub(r"[:-]", "", text).lower()
    shape = r"(?:[0-9a-fA-F]{12}|[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5})"
    if not re.fullmatch(shape, text):
        raise UsageError(f"--mac {text}: a MAC address is six bytes, as 02:00:00:00:00:01")
    if int(plain[:2], 16) & 1 or plain == "0" * 12:
        raise UsageError(f"--mac {text}: a board's address has an even first byte and is not 0")
    return ":".join(plain[i : i + 2] for i in range(0, 12, 2))


def hostname(text: str) -> str:
    """A single host label: letters, digits, hyphens (RFC 1123 2.1)."""
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", text):
        raise UsageError(f"--hostname {text}: 1 to 63 letters, digits and inner hyphens")
    return text


def probability(text: str, option: str) -> float:
    """`2%` or `0.02`; returned as a fraction from 0 to 1."""
    number = text[:-1] if text.endswith("%") else text
    try:
        value = float(number) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise UsageError(f"{option} {text}: write a share as 2% or 0.02") from None
    if not 0 <= value <= 1:
        raise UsageError(f"{option} {text}: a share is 0% to 100%, or 0 to 1; 2 percent is 2%")
    return value


def heap(text: str) -> str:
    """A heap size as MicroPython's -X heapsize takes it: a number, K or M behind it."""
    if size(text, "--heap") < HEAP_SMALLEST:
        raise UsageError(f"--heap {text}: the stack needs at least 512K")
    return text


def size(text: str, option: str) -> int:
    """A number of bytes, K or M behind it."""
    match = re.fullmatch(r"([0-9]{1,10})([kKmM]?)", text)
    if not match:
        raise UsageError(f"{option} {text}: write it as 16M, 512K or bytes")
    return int(match[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[match[2].lower()]


def forward(text: str) -> Forward:
    """[udp:]HOSTPORT:PORT, the host's port being free."""
    proto, body = "tcp", text
    for known in ("udp", "tcp"):
        if text.startswith(known + ":"):
            proto, body = known, text[4:]
    host_port, colon, port = body.partition(":")
    if not colon:
        raise UsageError(f"--forward {text}: it is HOSTPORT:PORT or udp:HOSTPORT:PORT")
    option = f"--forward {text}"
    asked = Forward(proto, port_number(host_port, option), port_number(port, option))
    if asked.host_port < 1024 and os.geteuid() != 0:
        raise UsageError(f"{option}: ports below 1024 need root; use one from 1024 to 65535")
    if not port_is_free(proto, asked.host_port):
        raise UsageError(f"{option}: port {asked.host_port} is taken; choose another HOSTPORT")
    return asked


def forwards(texts: Iterable[str]) -> list[Forward]:
    """All --forward options; the same host port twice is an error."""
    read: list[Forward] = []
    for text in texts:
        one = forward(text)
        if any((one.proto, one.host_port) == (old.proto, old.host_port) for old in read):
            raise UsageError(f"--forward {text}: port {one.host_port} is forwarded twice")
        read.append(one)
    return read


def free_forward(first: int, port: int) -> Forward:
    """Forward the first free host port from FIRST upwards to the board's PORT."""
    for host_port in range(first, first + 100):
        if port_is_free("tcp", host_port) and _claim(host_port):
            return Forward("tcp", host_port, port)
    raise UsageError(
        f"ports {first} to {first + 99} are all taken; name one with --forward HOSTPORT:{port}"
    )


_claims: list[socket.socket] = []


def _claim(port: int) -> bool:
    """Keep other runs that start at this moment from choosing the same port."""
    # The gateway binds it only after an interpreter has started. An abstract name (Linux) is given
    # back by the kernel, however this process ends; elsewhere the gateway says who came too late.
    if not sys.platform.startswith("linux"):
        return True
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0viperip-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


def output_file(text: str, option: str) -> str:
    """The absolute path of a file that can be written."""
    path = Path(text).absolute()
    # os.path, as pathlib's questions raise in a folder that may not be entered.
    if os.path.isdir(path):
        raise UsageError(f"{option} {text}: this is a folder; name a file")
    if not os.path.isdir(path.parent):
        raise UsageError(f"{option} {text}: there is no folder {path.parent}; make it first")
    exists = os.path.exists(path)
    if not os.access(path if exists else path.parent, os.W_OK if exists else os.W_OK | os.X_OK):
        raise UsageError(f"{option} {text}: no permission to write there; choose another place")
    return str(path)


def script_file(text: str) -> str:
    """The absolute path of a script that can be read."""
    path = Path(text).absolute()
    if not os.path.lexists(path) and os.access(path.parent, os.X_OK):
        raise UsageError(f"no such script: {text}")
    if os.path.isdir(path) or not os.access(path, os.R_OK):
        raise UsageError(f"{text} is not a script that can be read")
    return str(path)
