"""Take a datagram apart: UDP and TCP."""

from typing import Any

from viperip_host.explain import dissect_application, sources
from viperip_host.explain.model import Explained, Layer, read_layer, sum16

_TCP = sources.constants("tcp")
_DHCP = sources.constants("dhcp")
_DNS = sources.constants("dns")
FIN, SYN, RST, PSH, ACK = (_TCP[name] for name in ("FIN", "SYN", "RST", "PSH", "ACK"))
URG, ECE, CWR = 32, 64, 128
_FLAGS = ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (PSH, "PSH"), (ACK, "ACK"), (URG, "URG"),
          (ECE, "ECE"), (CWR, "CWR"))  # fmt: skip
_SACK_PERMITTED, _SACK, _TIMESTAMPS = 4, 5, 8  # RFC 2018, RFC 7323: the stack has neither


def checksum(layer: Layer, ip: Layer, total: int, clause: str) -> None:
    """Say whether a checksum is right; TOTAL is the sum over all it covers."""
    text = f"0x{layer['checksum']:04x}"
    if ip.data.get("cut"):
        layer.mean("checksum", "cannot be checked: the capture has cut the frame", text)
    elif total == 0xFFFF:
        layer.mean("checksum", "right", text)
    elif ip.data.get("offloaded"):
        layer.mean("checksum", "left to the network card of the sender, which captured", text)
    else:
        layer.mean("checksum", f"wrong ({clause}: dropped)", text, wrong=True)
        layer.data["dropped"] = True


def _pseudo(ip: Layer, n: int) -> bytes:
    # RFC 9293 3.1, RFC 768
    addresses: bytes = ip["source"].to_bytes(4, "big") + ip["destination"].to_bytes(4, "big")
    return addresses + bytes([0, ip["protocol"]]) + n.to_bytes(2, "big")


def _partial(ip: Layer, n: int) -> int:
    """What a sender leaves in the checksum field when its network card is to finish it."""
    return sum16(_pseudo(ip, n))


def _cut(seen: Explained, kind: str, data: bytes) -> None:
    layer = Layer(kind, kind.upper(), sources.path(kind))
    why = "cut by the capture" if seen.frame.length > len(seen.frame.data) else "too short"
    layer.problems.append(f"the header is {why}: {len(data)} bytes are there")
    seen.layers.append(layer)
    seen.payload = data
    seen.summary = f"{kind.upper()} {seen.ends[0]} > {seen.ends[1]}, cut"


def udp(seen: Explained, ip: Layer, data: bytes) -> None:
    """RFC 768."""
    layer = read_layer("udp", "UDP", data)
    if layer is None:
        _cut(seen, "udp", data)
        return
    seen.layers.append(layer)
    sport, dport, n = layer["source port"], layer["destination port"], layer["length"]
    a, b = f"{ip.data['src']}:{sport}", f"{ip.data['dst']}:{dport}"
    seen.ends = (a, b)
    seen.conversation = "UDP {} - {}".format(*sorted((a, b)))
    layer.mean("source port", _service(sport))
    layer.mean("destination port", _service(dport))
    lies = n < 8 or (n > len(data) and not ip.data.get("cut"))
    if lies:
        layer.mean("length", f"it lies: {len(data)} bytes are there (dropped)", wrong=True)
        layer.data["dropped"] = True
        seen.summary = f"UDP {a} > {b}, length {n} of {len(data)}"
        return
    layer.mean("length", f"header and {n - 8} bytes of payload")
    payload = data[8:n]
    if layer["checksum"] == 0:
        layer.mean("checksum", "0: the sender made none (RFC 768)")
    else:
        ip.data["offloaded"] = layer["checksum"] == _partial(ip, n)
        checksum(layer, ip, sum16(_pseudo(ip, n), data[:n]), "RFC 1122 4.1.3.4")
    layer.data.update(a=a, b=b, n=n - 8)
    seen.payload = payload
    seen.summary = f"UDP {a} > {b}, {n - 8} bytes"
    ports = {sport, dport}
    if ports & {_DHCP["CLIENT_PORT"], _DHCP["SERVER_PORT"]} and len(ports) <= 2:
        dissect_application.dhcp(seen, payload)
    elif ports & {_DNS["PORT"], 5353}:
        dissect_application.dns(seen, payload)


def _service(port: int) -> str:
    names = {7: "echo", 9: "discard", 53: "DNS", 67: "DHCP server", 68: "DHCP client", 69: "TFTP",
             80: "HTTP", 123: "NTP", 443: "HTTPS", 514: "syslog", 1883: "MQTT", 5201: "iperf3",
             5353: "mDNS", 25: "SMTP", 22: "SSH"}  # fmt: skip
    return names.get(port, "dynamic port (RFC 6335 6)" if port >= 49152 else "")


def flag_text(flags: int) -> str:
    """The names of TCP flags, in the order SYN, FIN, RST, PSH, ACK."""
    return " ".join(name for bit, name in _FLAGS if flags & bit) or "no flags"


def tcp(seen: Explained, ip: Layer, data: bytes) -> None:
    """RFC 9293 3.1."""
    size = (data[12] >> 4) * 4 if len(data) > 12 else 0
    layer = read_layer("tcp", "TCP", data, size=min(size, len(data)))
    if layer is None:
        _cut(seen, "tcp", data)
        return
    seen.layers.append(layer)
    a = f"{ip.data['src']}:{layer['source port']}"
    b = f"{ip.data['dst']}:{layer['destination port']}"
    seen.ends = (a, b)
    seen.conversation = "TCP {} - {}".format(*sorted((a, b)))
    layer.mean("source port", _service(layer["source port"]))
    layer.mean("destination port", _service(layer["destination port"]))
    flags = layer["flags"]
    seen.summary = f"TCP {a} > {b} [{flag_text(flags)}]"
    if size < 20 or size > len(data):
        layer.mean("data offset", f"a header of {size} bytes cannot be (dropped)", wrong=True)
        layer.data["dropped"] = True
        return
    # The payload's length is IP's word, even when the capture has cut it.
    n = (
        max(ip["length"] - ip["IHL"] * 4 - size, 0)
        if not ip.data.get("whole")
        else len(data) - size
    )
    layer.mean("data offset", f"header of {size} bytes")
    layer.mean("flags", flag_text(flags), f"0x{flags:02x}")
    ip.data["offloaded"] = layer["checksum"] == _partial(ip, len(data))
    checksum(layer, ip, sum16(_pseudo(ip, len(data)), data), "RFC 9293 3.1")
    layer.mean("urgent pointer", "" if flags & URG else "of no meaning without URG")
    if not flags & ACK:
        layer.mean("acknowledgment number", "of no meaning without ACK")
    found, broken = options(data[20:size])
    if size > 20:
        layer.mean("options", option_text(found) + (", then a length that lies" if broken else ""))
    layer.data.update(a=a, b=b, n=n, options=found)
    seen.payload = data[size:]
    dissect_application.stream(seen, layer["source port"], layer["destination port"])


def options(data: bytes) -> tuple[dict[str, Any], bool]:
    """TCP options by name; and whether a length among them lies (RFC 9293 3.2: they end there)."""
    found: dict[str, Any] = {}
    at = 0
    while at < len(data):
        kind = data[at]
        if kind == _TCP["_END"]:
            break
        if kind == _TCP["_NOP"]:
            at += 1
            continue
        n = data[at + 1] if at + 1 < len(data) else 0
        if n < 2 or at + n > len(data):
            return found, True
        value = data[at + 2 : at + n]
        if kind == _TCP["_MSS"] and n == 4:
            found["MSS"] = int.from_bytes(value, "big")
        elif kind == _TCP["_SCALE"] and n == 3:
            found["window scale"] = min(value[0], 14)
        elif kind == _SACK_PERMITTED:
            found["SACK permitted"] = True
        elif kind == _SACK and len(value) % 8 == 0:
            numbers = [int.from_bytes(value[i : i + 4], "big") for i in range(0, len(value), 4)]
            found["SACK"] = list(zip(numbers[::2], numbers[1::2], strict=True))
        elif kind == _TIMESTAMPS and n == 10:
            found["timestamps"] = (
                int.from_bytes(value[:4], "big"),
                int.from_bytes(value[4:], "big"),
            )
        else:
            found[f"option {kind}"] = value.hex(" ")
        at += n
    return found, False


def option_text(found: dict[str, Any]) -> str:
    """Options for people. SACK ranges are given relative by the tracker, so not here."""
    words = []
    for name, value in found.items():
        if name == "SACK permitted":
            words.append(name)
        elif name == "SACK":
            words.append(f"SACK of {len(value)} ranges" if len(value) != 1 else "SACK of a range")
        elif name == "timestamps":
            words.append(f"timestamps {value[0]}, echo {value[1]}")
        else:
            words.append(f"{name} {value}")
    return ", ".join(words) or "padding only"
