# Names to addresses for the socket module: hosts, services, dotted quads.
import viperip

from .address import ip4, ip4_text
from .errors import EINVAL

_AF_INET = const(2)
_SOCK_STREAM = const(1)
_SOCK_DGRAM = const(2)
_TCP = const(6)
_UDP = const(17)
_ANY = bytes(4)

_SERVICES = {
    "echo": 7,
    "discard": 9,
    "ftp": 21,
    "ssh": 22,
    "telnet": 23,
    "smtp": 25,
    "domain": 53,
    "tftp": 69,
    "http": 80,
    "ntp": 123,
    "https": 443,
    "syslog": 514,
    "mqtt": 1883,
    "mdns": 5353,
}


def _port(port):
    if isinstance(port, int):
        return port
    if isinstance(port, str):
        if port.isdigit():
            return int(port)
        if port in _SERVICES:
            return _SERVICES[port]
    if port is None:
        return 0
    raise OSError(-8)  # EAI_SERVICE


def getaddrinfo(host, port, af=0, type=0, proto=0, flags=0):
    """[(AF_INET, type, proto, "", (address, port)), ...]; OSError(-2): no such name."""
    port = _port(port)
    try:
        addrs = [ip4(host)] if host else [_ANY]
    except ValueError:
        addrs = viperip.default().resolver.lookup(host)
    kind = type or _SOCK_STREAM
    proto = proto or (_UDP if kind == _SOCK_DGRAM else _TCP)
    return [(_AF_INET, kind, proto, "", (ip4_text(a), port)) for a in addrs]


def inet_pton(af, text):
    """4 bytes of a dotted quad."""
    try:
        return ip4(text)
    except ValueError:
        raise OSError(EINVAL)


def inet_ntop(af, addr):
    """Dotted quad of 4 bytes."""
    return ip4_text(addr)


def resolve(address):
    """(4 bytes, port) of an (address, port) tuple; the address may be a name."""
    host, port = address[0], _port(address[1])
    if host == "" or host is None:
        return _ANY, port
    try:
        return ip4(host), port
    except ValueError:
        return viperip.default().resolver.lookup(host)[0], port
