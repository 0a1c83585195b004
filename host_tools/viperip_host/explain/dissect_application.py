"""Take messages apart: DHCP, DNS, and the first line of a text protocol."""

from viperip_host.explain import sources
from viperip_host.explain.model import Explained, Layer, ip_text, read_layer

_DHCP = sources.constants("dhcp")
_TYPES = ("DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM")
_ADDRESSES = ("SUBNET", "ROUTER", "DNS", "NTP", "REQUESTED", "SERVER_ID")
_SECONDS = ("LEASE", "T1", "T2")
_OPTIONS = (*_ADDRESSES, *_SECONDS, "HOST_NAME", "DOMAIN", "MTU", "OVERLOAD", "TYPE", "PARAMETERS",
            "MAX_SIZE", "CLIENT_ID")  # fmt: skip
_WORDS = {
    "SUBNET": "subnet mask", "ROUTER": "router", "DNS": "DNS server", "NTP": "NTP server",
    "REQUESTED": "requested address", "SERVER_ID": "server identifier", "LEASE": "lease time",
    "T1": "renewal time T1", "T2": "rebinding time T2", "HOST_NAME": "host name",
    "DOMAIN": "domain name", "MTU": "interface MTU", "OVERLOAD": "option overload",
    "TYPE": "message type", "PARAMETERS": "parameter request list",
    "MAX_SIZE": "maximum message size", "CLIENT_ID": "client identifier",
}  # fmt: skip
_TEXT_PORTS = {80, 8080, 8000, 25, 587, 21}


def dhcp(seen: Explained, data: bytes) -> None:
    """RFC 2131 2, options RFC 2132."""
    layer = read_layer("dhcp", "DHCP", data)
    if layer is None or data[236:240] != _DHCP["COOKIE"]:
        layer = Layer("dhcp", "DHCP", sources.path("dhcp"))
        layer.problems.append("no DHCP message: it is short, or the magic cookie is not there")
        seen.layers.append(layer)
        return
    seen.layers.append(layer)
    seen.payload = b""
    layer.mean("op", {1: "BOOTREQUEST, to a server", 2: "BOOTREPLY, to a client"}.get(
        layer["op"], "neither request nor reply"), wrong=layer["op"] not in (1, 2))  # fmt: skip
    layer.mean("xid", "tells whose exchange this is", f"0x{layer['xid']:08x}")
    layer.mean("secs", "seconds since the client began")
    layer.mean("flags", "answer by broadcast" if layer["flags"] & 0x8000 else
               "answer by unicast, if that can be", f"0x{layer['flags']:04x}")  # fmt: skip
    for name, what in (("ciaddr", "the client's address, if it has one"),
                       ("yiaddr", "your address: the one given"),
                       ("siaddr", "the next server"), ("giaddr", "the relay")):  # fmt: skip
        layer.mean(name, what if layer[name] else "none", ip_text(layer[name]))
    client = layer["chaddr"][: min(layer["hlen"], 16)].hex(":")
    layer.mean("chaddr", "the client's MAC", client)
    for name in ("sname", "file"):
        text = layer[name].rstrip(b"\0")
        layer.mean(name, "" if text else "empty", _printable(text[:40]) or "0")
    layer.mean("cookie", "options follow (RFC 2131 3)", "99.130.83.99")
    found, broken = _options(data[240:])
    if broken:
        layer.problems.append("options: a length that lies, or no End option (RFC 2131 4.1)")
    kind = found.get(_DHCP["TYPE"], b"\0")[:1]
    number = kind[0] if kind else 0
    name = next((one for one in _TYPES if _DHCP[one] == number), "without a type")
    for code, value in found.items():
        layer.notes.append(f"option {code}, {_option(code, value)}")
    layer.data.update(
        name=name,
        client=client,
        xid=layer["xid"],
        yiaddr=ip_text(layer["yiaddr"]),
        options={key: found.get(_DHCP[key], b"") for key in _OPTIONS},
    )
    seen.summary = f"DHCP {name}, client {client}"
    if layer["yiaddr"]:
        seen.summary += f", address {ip_text(layer['yiaddr'])}"
    seen.conversation = f"DHCP {client}"


def _options(data: bytes) -> tuple[dict[int, bytes], bool]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        code = data[at]
        if code == 0:
            at += 1
            continue
        if code == 255:
            return found, False
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            return found, True
        found[code] = found.get(code, b"") + data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found, True


def _option(code: int, value: bytes) -> str:
    name = sources.named("dhcp", code, _OPTIONS)
    word = _WORDS.get(name, "")
    if name == "TYPE":
        number = value[0] if value else 0
        return f"{word}: {next((one for one in _TYPES if _DHCP[one] == number), number)}"
    if name in _ADDRESSES and len(value) % 4 == 0:
        return f"{word}: " + ", ".join(ip_text(value[i : i + 4]) for i in range(0, len(value), 4))
    if name in _SECONDS and len(value) == 4:
        return f"{word}: {int.from_bytes(value, 'big')} s"
    if name in ("MTU", "MAX_SIZE") and len(value) == 2:
        return f"{word}: {int.from_bytes(value, 'big')}"
    if name in ("HOST_NAME", "DOMAIN"):
        return f"{word}: {_printable(value)}"
    if name == "PARAMETERS":
        return f"{word}: " + ", ".join(
            _WORDS.get(sources.named("dhcp", one, _OPTIONS), str(one)) for one in value
        )
    return f"{word}: {value.hex(' ')}" if word else value.hex(" ")


_RECORDS = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA",
            33: "SRV", 41: "OPT", 47: "NSEC", 255: "ANY"}  # fmt: skip
_DNS_FLAGS = (
    (0x400, "authoritative"), (0x200, "truncated: ask over TCP"), (0x100, "recursion desired"),
    (0x80, "recursion available"),
)  # fmt: skip
_CODES = {0: "no error", 1: "format error", 2: "server failure", 3: "no such name",
          4: "not implemented", 5: "refused"}  # fmt: skip


def dns(seen: Explained, data: bytes) -> None:
    """RFC 1035 4.1."""
    layer = read_layer("dns", "DNS", data)
    if layer is None:
        layer = Layer("dns", "DNS", sources.path("dns"))
        layer.problems.append(f"the header is cut: {len(data)} of 12 bytes are there")
        seen.layers.append(layer)
        return
    seen.layers.append(layer)
    seen.payload = b""
    flags = layer["flags"]
    answer = bool(flags & 0x8000)
    words = ["response" if answer else "query"]
    words += [word for bit, word in _DNS_FLAGS if flags & bit]
    if answer:
        words.append(_CODES.get(flags & 15, f"error {flags & 15}"))
    layer.mean("flags", ", ".join(words), f"0x{flags:04x}")
    layer.mean("id", "the same in query and response", f"0x{layer['id']:04x}")
    names = []
    try:
        at = 12
        for _ in range(layer["questions"]):
            name, at = _name(data, at)
            kind = int.from_bytes(_take(data, at, 4)[:2], "big")
            at += 4
            names.append(name)
            layer.notes.append(f"question: {name} {_RECORDS.get(kind, kind)}")
        for section in ("answers", "authority", "additional"):
            for _ in range(layer[section]):
                at = _record(layer, section, data, at)
    except ValueError as error:
        layer.problems.append(f"the records: {error}")
    asked = names[0] if names else "nothing"
    layer.data.update(answer=answer, id=layer["id"], name=asked, code=flags & 15)
    what = f"response: {_CODES.get(flags & 15, flags & 15)}," if answer else "query:"
    seen.summary = f"DNS {what} {asked}"


def _take(data: bytes, at: int, n: int) -> bytes:
    if at + n > len(data):
        raise ValueError("cut")
    return data[at : at + n]


def _name(data: bytes, at: int) -> tuple[str, int]:
    labels: list[str] = []
    after = 0
    lowest = at
    while True:
        n = _take(data, at, 1)[0]
        if n >= 0xC0:
            to = int.from_bytes(_take(data, at, 2), "big") & 0x3FFF
            after = after or at + 2
            if to >= lowest:
                raise ValueError("a compression pointer that does not go back (RFC 1035 4.1.4)")
            at = lowest = to
        elif n > _DNS_LABEL:
            raise ValueError("a label of more than 63 bytes (RFC 1035 2.3.4)")
        elif n == 0:
            return ".".join(labels) or ".", after or at + 1
        else:
            labels.append(_printable(_take(data, at + 1, n)))
            at += 1 + n
        if sum(map(len, labels)) > _DNS_NAME:
            raise ValueError("a name of more than 255 bytes (RFC 1035 2.3.4)")


_DNS_LABEL = sources.constants("dns")["_LABEL"]
_DNS_NAME = sources.constants("dns")["_NAME"]


def _record(layer: Layer, section: str, data: bytes, at: int) -> int:
    name, at = _name(data, at)
    head = _take(data, at, 10)
    kind = int.from_bytes(head[:2], "big")
    ttl = int.from_bytes(head[4:8], "big")
    n = int.from_bytes(head[8:], "big")
    value = _take(data, at + 10, n)
    text = value.hex(" ")[:60]
    if kind == 1 and n == 4:
        text = ip_text(value)
    elif kind in (2, 5, 12):
        text = _name(data, at + 10)[0]
    elif kind == 16:
        text = _printable(value[1:])
    if len(layer.notes) < 40:
        layer.notes.append(f"{section}: {name} {_RECORDS.get(kind, kind)} {text}, for {ttl} s")
    return at + 10 + n


def _printable(raw: bytes) -> str:
    return "".join(chr(c) if 32 <= c < 127 else "." for c in raw)


def stream(seen: Explained, sport: int, dport: int) -> None:
    """The first line of a text protocol's message, when a segment begins with one."""
    line = seen.payload.split(b"\r\n", 1)[0][:120]
    if not line or not ({sport, dport} & _TEXT_PORTS or line.startswith(_HTTP)):
        return
    if all(32 <= c < 127 for c in line):
        name = "HTTP" if line.startswith(_HTTP) else "text"
        layer = Layer("text", name)
        layer.notes.append(_printable(line))
        seen.layers.append(layer)


_HTTP = (b"GET ", b"POST ", b"PUT ", b"DELETE ", b"HEAD ", b"HTTP/1.")
