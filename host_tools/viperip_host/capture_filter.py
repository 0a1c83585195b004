"""`--filter EXPR`: the host compiles it, the board applies it (firmware: viperip/viper/filter.py).

EXPR    = TERM { or TERM }
TERM    = FACTOR { [and] FACTOR }
FACTOR  = not FACTOR | ( EXPR ) | PRIMITIVE
PRIMITIVE = in | out | arp | ip | icmp | igmp | tcp | udp | proto N | ether proto N
          | [src | dst] host A.B.C.D | [src | dst] net A.B.C.D/N | [src | dst] port N
          | ether [src | dst] host MAC
"""

import ipaddress
import re

from viperip_host.errors import UsageError

_DIRECTION, _ETHERTYPE, _PROTOCOL, _NET, _PORT, _MAC, _AND, _OR, _NOT = range(1, 10)
_SOURCE, _DESTINATION = 1, 2

# The stack of the board's machine is a small int of 31 bits.
_DEEPEST = 24
_LONGEST = 512

_PLAIN = {
    "in": bytes([_DIRECTION, 0]),
    "out": bytes([_DIRECTION, 1]),
    "arp": bytes([_ETHERTYPE, 8, 6]),
    "ip": bytes([_ETHERTYPE, 8, 0]),
    "icmp": bytes([_PROTOCOL, 1]),
    "igmp": bytes([_PROTOCOL, 2]),
    "tcp": bytes([_PROTOCOL, 6]),
    "udp": bytes([_PROTOCOL, 17]),
}


def compile_filter(text: str) -> bytes:
    """The program for EXPR; UsageError says what is wrong with it. b"" for an empty one."""
    words = re.findall(r"[()!]|[^\s()!]+", text)
    words = [{"&&": "and", "||": "or", "!": "not"}.get(word, word) for word in words]
    if not words:
        return b""
    reader = _Reader(text, words)
    program = reader.expression(1)
    if reader.at < len(words):
        raise reader.wrong(f"{words[reader.at]!r} is not expected there")
    if len(program) > _LONGEST:
        raise UsageError(f"--filter: it is too long for the board ({len(program)} bytes)")
    return program + b"\0"


class _Reader:
    def __init__(self, text: str, words: list[str]) -> None:
        self.text = text
        self.words = words
        self.at = 0

    def wrong(self, what: str) -> UsageError:
        return UsageError(
            f"--filter {self.text!r}: {what}; an example: "
            "tcp and host 10.0.0.1 and not port 22 (viperip capture --help)"
        )

    def peek(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def take(self, what: str = "something") -> str:
        if self.at == len(self.words):
            raise self.wrong(f"{what} is missing at its end")
        self.at += 1
        return self.words[self.at - 1]

    def expression(self, depth: int) -> bytes:
        program = self.term(depth)
        while self.peek() == "or":
            self.at += 1
            program += self.term(depth + 1) + bytes([_OR])
        return program

    def term(self, depth: int) -> bytes:
        program = self.factor(depth)
        while self.peek() not in ("", "or", ")"):
            if self.peek() == "and":
                self.at += 1
            program += self.factor(depth + 1) + bytes([_AND])
        return program

    def factor(self, depth: int) -> bytes:
        if depth > _DEEPEST:
            raise self.wrong("it is nested too deeply")
        word = self.take("a condition")
        if word == "not":
            return self.factor(depth) + bytes([_NOT])
        if word == "(":
            program = self.expression(depth)
            if self.take("')'") != ")":
                raise self.wrong("')' is missing")
            return program
        return self.primitive(word)

    def primitive(self, word: str) -> bytes:
        if word in _PLAIN:
            return _PLAIN[word]
        if word == "proto":
            return bytes([_PROTOCOL, self.number(255)])
        if word == "ether":
            return self.ether()
        which = _SOURCE | _DESTINATION
        if word in ("src", "dst"):
            which = _SOURCE if word == "src" else _DESTINATION
            word = self.take("host, net or port")
        if word in ("host", "net"):
            return self.net(which, word)
        if word == "port":
            return bytes([_PORT, which]) + self.number(65535).to_bytes(2, "big")
        raise self.wrong(f"{word!r} is no condition")

    def ether(self) -> bytes:
        word = self.take("proto or host")
        if word == "proto":
            return bytes([_ETHERTYPE]) + self.number(65535).to_bytes(2, "big")
        which = _SOURCE | _DESTINATION
        if word in ("src", "dst"):
            which = _SOURCE if word == "src" else _DESTINATION
            word = self.take("host")
        if word != "host":
            raise self.wrong(f"{word!r} after ether; it is host or proto")
        mac = self.take("a MAC address")
        if not re.fullmatch(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}", mac):
            raise self.wrong(f"{mac!r} is no MAC address")
        return bytes([_MAC, which]) + bytes.fromhex(re.sub("[:-]", "", mac))

    def net(self, which: int, word: str) -> bytes:
        text = self.take("an address")
        try:
            network = ipaddress.IPv4Network(text, strict=False)
        except ValueError:
            raise self.wrong(f"{text!r} is no IPv4 address") from None
        if word == "host" and network.prefixlen != 32:
            raise self.wrong(f"host takes one address; for {text} it is net")
        return bytes([_NET, which]) + network.netmask.packed + network.network_address.packed

    def number(self, most: int) -> int:
        text = self.take("a number")
        try:
            value = int(text, 0)
        except ValueError:
            value = -1
        if not 0 <= value <= most:
            raise self.wrong(f"{text!r} is no number from 0 to {most}")
        return value
