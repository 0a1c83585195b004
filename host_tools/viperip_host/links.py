"""LINK, the board's wire: read the option and open what needs opening.

    tap:NAME                    a TAP interface, created if absent; its host side is left alone
    packet:IFNAME               an existing Ethernet interface, through AF_PACKET
    udp:LOCALPORT:REMOTEPORT    loopback; one UDP datagram is one Ethernet frame
    (absent)                    a private wire to the built-in gateway

Every open_* function raises UsageError with what to do next.
"""

import errno
import os
import re
import socket
import struct
import sys
from dataclasses import dataclass, field
from typing import Any

from viperip_host.errors import UsageError

TUN_DEVICE = "/dev/net/tun"
_TUNSETIFF = 0x400454CA
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_IFNAMSIZ = 16

FORMS = "tap:NAME, packet:IFNAME or udp:LOCALPORT:REMOTEPORT"


@dataclass
class Link:
    """An opened link: what the board is told, and the descriptors it inherits."""

    described: dict[str, Any]
    fds: list[int] = field(default_factory=list)
    note: str | None = None  # a line for people, when there is something to do by hand

    @property
    def kind(self) -> str:
        return str(self.described["type"])

    def close(self) -> None:
        """Close this process's copies of the descriptors."""
        for fd in self.fds:
            os.close(fd)
        self.fds = []


def port_number(text: str, what: str) -> int:
    """A UDP or TCP port, 1 to 65535. UsageError names WHAT it was meant for."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise UsageError(f"{what}: {text or 'nothing'} is no port number (1 to 65535)")
    return int(text)


def open_link(text: str) -> Link:
    """Open the link TEXT names (not the private wire: see open_wire)."""
    kind, colon, rest = text.partition(":")
    if colon and kind == "tap":
        return _open_tap(rest)
    if colon and kind == "packet":
        return _open_packet(rest)
    if colon and kind == "udp":
        return _open_udp(rest)
    raise UsageError(f"--link {text}: unknown link; it is {FORMS}")


def open_wire() -> tuple[Link, int]:
    """The private wire: (the board's end, the gateway's descriptor).

    Both ends are non-blocking and carry a 4-byte big-endian length before each frame.
    """
    board, gateway = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    board.setblocking(False)
    gateway.setblocking(False)
    fd = board.detach()
    return Link({"type": "wire", "fd": fd}, [fd]), gateway.detach()


def _interface_name(kind: str, name: str) -> bytes:
    raw = name.encode()
    if not raw or len(raw) >= _IFNAMSIZ or re.search(r"[\s/%:]", name) or name in (".", ".."):
        raise UsageError(f"--link {kind}:{name}: a name has 1 to 15 characters, no / or :")
    return raw


def _needs_linux(text: str) -> None:
    if not sys.platform.startswith("linux"):
        raise UsageError(f"--link {text}: needs Linux; leave --link out or use udp:LOCAL:REMOTE")


def _interface_exists(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def _open_tap(name: str) -> Link:
    raw = _interface_name("tap", name)
    _needs_linux(f"tap:{name}")
    existed = _interface_exists(name)
    try:
        fd = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise UsageError(
            f"--link tap:{name}: {TUN_DEVICE}: {reason}; leave --link out for the private wire, "
            "which needs no privilege"
        ) from None
    try:
        _attach_tap(fd, raw)
    except OSError as error:
        os.close(fd)
        raise UsageError(f"--link tap:{name}: {_tap_reason(name, error)}") from None
    note = None
    if not existed:
        note = (
            f"{name} is new and its host side is down: "
            f"ip addr add A.B.C.D/N dev {name} && ip link set {name} up"
        )
    return Link({"type": "tap", "fd": fd, "name": name}, [fd], note)


def _attach_tap(fd: int, raw_name: bytes) -> None:
    import fcntl

    request = struct.pack("16sH22x", raw_name, _IFF_TAP | _IFF_NO_PI)
    fcntl.ioctl(fd, _TUNSETIFF, request)


def _tap_reason(name: str, error: OSError) -> str:
    if error.errno in (errno.EPERM, errno.EACCES):
        return (
            "no permission; run as root, or let root give you the interface once: "
            f"ip tuntap add {name} mode tap user {_user()}"
        )
    if error.errno == errno.EBUSY:
        return "another process has this TAP open; end it or choose another name"
    if error.errno == errno.EINVAL:
        return "this interface exists and is no TAP; choose another name, or packet:" + name
    return os.strerror(error.errno or 0)


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _open_packet(name: str) -> Link:
    _interface_name("packet", name)
    _needs_linux(f"packet:{name}")
    if not _interface_exists(name):
        known = ", ".join(sorted(other for _, other in socket.if_nameindex()))
        raise UsageError(f"--link packet:{name}: no such interface; there are {known}")
    # The board opens its own socket; this one only finds out whether it may.
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except PermissionError:
        raise UsageError(
            f"--link packet:{name}: no permission; run as root (it needs CAP_NET_RAW), or leave "
            "--link out for the private wire"
        ) from None
    except OSError as error:
        raise UsageError(f"--link packet:{name}: {error.strerror}") from None
    return Link({"type": "packet", "ifname": name})


def _open_udp(rest: str) -> Link:
    local_text, colon, remote_text = rest.partition(":")
    if not colon:
        raise UsageError(f"--link udp:{rest}: it is udp:LOCALPORT:REMOTEPORT")
    local = port_number(local_text, f"--link udp:{rest}")
    remote = port_number(remote_text, f"--link udp:{rest}")
    if local == remote:
        raise UsageError(f"--link udp:{rest}: the two ports must differ")
    if local < 1024 and os.geteuid() != 0:
        raise UsageError(f"--link udp:{rest}: ports below 1024 need root; choose another")
    # The board opens its own socket; this one only finds out whether the port is free.
    if not port_is_free("udp", local):
        raise UsageError(f"--link udp:{rest}: port {local} is taken; choose another LOCALPORT")
    return Link({"type": "udp", "local": local, "remote": remote})


def port_is_free(proto: str, port: int) -> bool:
    """Whether 127.0.0.1:PORT can be bound. PROTO is "tcp" or "udp"."""
    kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if proto == "tcp":
            # Connections of an earlier run in TIME-WAIT do not make the port taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
