"""Take a frame apart: link and internet layers. Nothing here raises on any bytes."""

from viperip_host.explain import dissect_transport, reading, sources
from viperip_host.explain.model import Explained, Layer, ip_text, read_layer, sum16
from viperip_host.explain.reading import Frame

_ETHERTYPES = {
    0x86DD: "IPv6", 0x8100: "VLAN tag", 0x88A8: "VLAN tag", 0x88CC: "LLDP", 0x8863: "PPPoE",
    0x8864: "PPPoE", 0x888E: "EAPOL", 0x88B5: "local experiment",
}  # fmt: skip
_ARP = sources.constants("arp")
_IP = sources.constants("ipv4")
_ICMP = sources.constants("icmp")
_ICMP_NAMES = sources.constants("trace")["_ICMP"]
_UNREACHABLE = sources.constants("trace")["_UNREACHABLE"]
_IGMP = sources.constants("igmp")


def dissect(frame: Frame) -> Explained:
    """The layers of a frame, as far as they can be read."""
    seen = Explained(frame)
    if frame.link == reading.ETHERNET:
        _ethernet(seen, frame.data)
    elif frame.link in (reading.LINUX_SLL, reading.LINUX_SLL2):
        _sll(seen, frame.data)
    else:
        _by_version(seen, frame.data)
    if not seen.summary:
        seen.summary = f"{len(frame.data)} bytes"
    return seen


def _cut(seen: Explained, kind: str, title: str, data: bytes) -> None:
    layer = Layer(kind, title, sources.path(kind) if kind in sources.FILES else "")
    why = "cut by the capture" if seen.frame.length > len(seen.frame.data) else "too short"
    layer.problems.append(f"the header is {why}: {len(data)} bytes are there")
    seen.layers.append(layer)
    seen.payload = data
    seen.summary = f"{title}, cut"


def _ethernet(seen: Explained, data: bytes) -> None:
    layer = read_layer("ethernet", "Ethernet II", data)
    if layer is None:
        _cut(seen, "ethernet", "Ethernet II", data)
        return
    seen.layers.append(layer)
    to, sender = layer["destination MAC"], layer["source MAC"]
    if to == b"\xff" * 6:
        layer.mean("destination MAC", "broadcast: every station takes it")
    elif to[0] & 1:
        layer.mean("destination MAC", "a group: stations that joined it take it")
    else:
        layer.mean("destination MAC", "one station")
    if sender[0] & 1:
        layer.mean("source MAC", "a group address cannot send (IEEE 802.3 3.2.3)", wrong=True)
    else:
        local = bool(sender[0] & 2)
        layer.mean("source MAC", "local address" if local else "address from a manufacturer")
    seen.ends = (sender.hex(":"), to.hex(":"))
    kind = int(layer["type"])
    rest = data[14:]
    while kind in (0x8100, 0x88A8) and len(rest) >= 4:
        layer.notes.append(f"VLAN {int.from_bytes(rest[:2], 'big') & 0xFFF} (IEEE 802.1Q)")
        kind = int.from_bytes(rest[2:4], "big")
        rest = rest[4:]
    _ethertype(seen, layer, "type", kind, rest)


def _ethertype(seen: Explained, layer: Layer, name: str, kind: int, rest: bytes) -> None:
    known = {sources.constants("ethernet")["TYPE_IPV4"]: "IPv4",
             sources.constants("ethernet")["TYPE_ARP"]: "ARP"}  # fmt: skip
    text = f"0x{kind:04x}"
    if kind < 0x600:
        layer.mean(name, f"below 0x0600 it is the length of an IEEE 802.3 frame: {kind}", text)
        seen.payload, seen.summary = rest, f"IEEE 802.3 frame, {kind} bytes"
        return
    layer.mean(name, known.get(kind, _ETHERTYPES.get(kind, "a protocol unknown here")), text)
    if known.get(kind) == "IPv4":
        _ipv4(seen, rest)
    elif known.get(kind) == "ARP":
        _arp(seen, rest)
    elif kind == 0x86DD and len(rest) >= 40:
        _by_version(seen, rest)
    else:
        seen.payload = rest
        seen.summary = f"{_ETHERTYPES.get(kind, 'EtherType')} {text}, {len(rest)} bytes"


def _sll(seen: Explained, data: bytes) -> None:
    # https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html, LINKTYPE_LINUX_SLL2.html
    second = seen.frame.link == reading.LINUX_SLL2
    size = 20 if second else 16
    layer = Layer("sll", "Linux cooked capture", size=size)
    seen.layers.append(layer)
    if len(data) < size:
        layer.problems.append(f"the header is cut: {len(data)} of {size} bytes are there")
        seen.payload = data
        return
    way = data[10] if second else int.from_bytes(data[:2], "big")
    names = ("to this host", "broadcast", "multicast", "between others", "sent by this host")
    layer.notes.append(names[way] if way < len(names) else f"packet type {way}")
    seen.frame.sent = way == 4 if way < 5 else None
    kind = int.from_bytes(data[:2] if second else data[14:16], "big")
    layer.notes.append(f"protocol 0x{kind:04x}")
    _ethertype(seen, layer, "", kind, data[size:])


def _by_version(seen: Explained, data: bytes) -> None:
    version = data[0] >> 4 if data else 0
    if version == 4 or not data:
        _ipv4(seen, data)
        return
    seen.payload = data
    if version == 6:
        layer = Layer("ipv6", "IPv6", size=40)
        layer.notes.append("not taken apart: this stack has IPv4 only")
        seen.layers.append(layer)
        seen.summary = f"IPv6, {len(data)} bytes"
    else:
        layer = Layer("raw", "raw IP")
        layer.problems.append(f"IP version {version} does not exist")
        seen.layers.append(layer)
        seen.summary = f"no IP datagram, {len(data)} bytes"


def _arp(seen: Explained, data: bytes) -> None:
    layer = read_layer("arp", "ARP", data)
    if layer is None:
        _cut(seen, "arp", "ARP", data)
        return
    seen.layers.append(layer)
    layer.mean("htype", "Ethernet" if layer["htype"] == 1 else "not Ethernet: ignored",
               wrong=layer["htype"] != 1)  # fmt: skip
    is_ip = layer["ptype"] == 0x800
    layer.mean("ptype", "IPv4" if is_ip else "not IPv4: ignored", f"0x{layer['ptype']:04x}",
               wrong=not is_ip)  # fmt: skip
    layer.mean("hlen", "bytes of a MAC address", wrong=layer["hlen"] != 6)
    layer.mean("plen", "bytes of an IPv4 address", wrong=layer["plen"] != 4)
    sender, target = ip_text(layer["sender IP"]), ip_text(layer["target IP"])
    for name in ("sender IP", "target IP"):
        layer.mean(name, "", ip_text(layer[name]))
    mac = layer["sender MAC"].hex(":")
    op = layer["op"]
    request, reply = op == _ARP["REQUEST"], op == _ARP["REPLY"]
    if request and sender == "0.0.0.0":
        kind, seen.summary = "probe", f"ARP probe: is {target} free?"
        layer.mean("op", "request; from nobody, so a probe (RFC 5227 2.1.1)")
    elif sender == target and (request or reply):
        kind, seen.summary = "announcement", f"ARP announcement: {sender} is at {mac}"
        layer.mean("op", f"{'request' if request else 'reply'}; for its own address, so an "
                   "announcement (RFC 5227 2.3)")  # fmt: skip
    elif request:
        kind, seen.summary = "request", f"ARP who has {target}? tell {sender}"
        layer.mean("op", "request: who has the target IP?")
        layer.mean("target MAC", "asked for; of no meaning yet")
    elif reply:
        kind, seen.summary = "reply", f"ARP {sender} is at {mac}"
        layer.mean("op", "reply: the sender's MAC is the answer")
    else:
        kind, seen.summary = "other", f"ARP operation {op}"
        layer.mean("op", "neither request (1) nor reply (2): ignored", wrong=True)
    layer.data = {"kind": kind, "sender": sender, "target": target, "mac": mac}
    seen.ends = (sender if sender != "0.0.0.0" else mac, target)
    seen.conversation = "ARP"


def _ipv4(seen: Explained, data: bytes) -> None:
    size = (data[0] & 15) * 4 if data else 0
    layer = read_layer("ipv4", "IPv4", data, size=min(size, len(data)))
    if layer is None:
        _cut(seen, "ipv4", "IPv4", data)
        return
    seen.layers.append(layer)
    src, dst = ip_text(layer["source"]), ip_text(layer["destination"])
    layer.mean("source", "", src)
    layer.mean("destination", _about_address(dst), dst)
    seen.ends = (src, dst)
    seen.summary = f"IPv4 {src} > {dst}"
    good = _ipv4_fields(seen, layer, data, size)
    if not good:
        seen.payload = data[layer.size :]
        return
    total = layer["length"]
    rest = data[size:total]
    if len(data) > total:
        layer.notes.append(f"{len(data) - total} bytes of padding follow (IEEE 802.3 3.2.8)")
    layer.data.update(src=src, dst=dst, cut=len(data) < total, payload=rest)
    offset = layer["fragment offset"] * 8
    more = bool(layer["flags"] & 1)
    if offset or more:
        layer.data["fragment"] = (offset, offset + total - size, more)
        last = offset + total - size - 1
        seen.summary = (
            f"IPv4 fragment {src} > {dst}, id {layer['identification']}, bytes {offset} "
        )
        seen.summary += f"to {last}, {'more follow' if more else 'the last'}"
        seen.payload = rest
        return
    transport(seen, layer, rest)


def _about_address(address: str) -> str:
    first = int(address.partition(".")[0])
    if address == "255.255.255.255":
        return "all hosts on this wire"
    if 224 <= first < 240:
        return "a group"
    return "this host" if first == 127 else ""


def _ipv4_fields(seen: Explained, layer: Layer, data: bytes, size: int) -> bool:
    """Say what the header fields mean; whether what follows can be trusted."""
    good = True
    if layer["version"] != 4:
        layer.mean("version", "not 4 (RFC 1122 3.2.1.1: dropped)", wrong=True)
        good = False
    layer.mean("IHL", f"header of {size} bytes")
    if size < 20 or size > len(data):
        layer.mean("IHL", f"a header of {size} bytes cannot be", wrong=True)
        good = False
    total = layer["length"]
    whole = seen.frame.length > len(seen.frame.data)
    layer.mean("length", f"header and {max(total - size, 0)} bytes of payload")
    if total < size or (total > len(data) and not whole):
        layer.mean("length", f"it lies: {len(data)} bytes are there", wrong=True)
        good = False
    if good:
        total_sum = sum16(data[:size])
        right = total_sum == 0xFFFF
        layer.mean("checksum", "right" if right else "wrong (RFC 1122 3.2.1.2: dropped)",
                   f"0x{layer['checksum']:04x}", wrong=not right)  # fmt: skip
        if not right and layer["checksum"] == 0:
            layer.mean("checksum", "0: left to the network card of the sender, which captured")
            layer.problems.pop()
        layer.data["dropped"] = not right and layer["checksum"] != 0
    dscp, ecn = layer["TOS"] >> 2, layer["TOS"] & 3
    layer.mean("TOS", f"DSCP {dscp}, ECN {ecn} (RFC 2474, RFC 3168)")
    flags = layer["flags"]
    df, mf = flags << 13 & _IP["DF"], flags << 13 & _IP["MF"]
    layer.mean("flags", ", ".join(
        [name for bit, name in ((df, "DF: do not fragment"), (mf, "MF: more fragments"),
                                (flags & 4, "reserved bit set")) if bit]) or "may be fragmented",
        f"0b{flags:03b}")  # fmt: skip
    layer.mean("fragment offset", f"byte {layer['fragment offset'] * 8} of the datagram")
    layer.mean("identification", "tells which fragments belong together" if mf or
               layer["fragment offset"] else "of no meaning: not fragmented (RFC 6864 4.1)" if df
               else "unique while it may be fragmented")  # fmt: skip
    layer.mean("TTL", f"{layer['TTL']} more hops" if layer["TTL"] > 1 else "ends at the next hop")
    names = {_IP["PROTO_ICMP"]: "ICMP", _IP["PROTO_IGMP"]: "IGMP", _IP["PROTO_TCP"]: "TCP",
             _IP["PROTO_UDP"]: "UDP"}  # fmt: skip
    layer.mean("protocol", names.get(layer["protocol"], "unknown here"))
    if size > 20:
        layer.mean("options", "router alert (RFC 2113)" if data[20:22] == b"\x94\x04" else
                   f"{size - 20} bytes")  # fmt: skip
    return good


def transport(seen: Explained, ip: Layer, data: bytes) -> None:
    """The layers above IPv4, of a datagram that is whole."""
    protocol = ip["protocol"]
    src, dst = ip.data["src"], ip.data["dst"]
    if protocol == _IP["PROTO_ICMP"]:
        _icmp(seen, ip, data)
    elif protocol == _IP["PROTO_IGMP"]:
        _igmp(seen, data)
    elif protocol == _IP["PROTO_TCP"]:
        dissect_transport.tcp(seen, ip, data)
    elif protocol == _IP["PROTO_UDP"]:
        dissect_transport.udp(seen, ip, data)
    else:
        seen.payload = data
        seen.summary = f"IPv4 {src} > {dst}, protocol {protocol}, {len(data)} bytes"


def icmp_name(kind: int, code: int) -> str:
    """A message's name, as the stack's own trace has it."""
    name = str(_ICMP_NAMES.get(kind, f"type {kind}"))
    if kind == _ICMP["UNREACHABLE"] and code < len(_UNREACHABLE):
        return f"{name}: {_UNREACHABLE[code]}"
    return name


def _icmp(seen: Explained, ip: Layer, data: bytes) -> None:
    kind = data[0] if data else -1
    echo = kind in (_ICMP["ECHO"], _ICMP["ECHO_REPLY"])
    number = 1 if echo else 2 if kind == _ICMP["UNREACHABLE"] else 0
    layer = read_layer("icmp", "ICMP", data, number)
    if layer is None:
        _cut(seen, "icmp", "ICMP", data)
        return
    seen.layers.append(layer)
    name = icmp_name(kind, layer["code"])
    layer.mean("type", name)
    layer.mean("code", "" if not layer["code"] else f"{layer['code']}: see type")
    dissect_transport.checksum(layer, ip, sum16(data), "RFC 1122 3.2.2")
    seen.summary = f"ICMP {name} {ip.data['src']} > {ip.data['dst']}"
    layer.data["name"] = name
    if echo:
        layer.mean("identifier", "tells one ping from another")
        layer.mean("sequence number", "tells one echo from the next")
        seen.summary += f", id {layer['identifier']}, seq {layer['sequence number']}"
        ends = sorted((ip.data["src"], ip.data["dst"]))
        seen.conversation = f"ICMP {ends[0]} - {ends[1]}"
        seen.payload = data[8:]
        return
    if number == 2:
        code = layer["code"]
        layer.mean("next-hop MTU", "what the next hop takes (RFC 1191)"
                   if code == _ICMP["FRAGMENTATION"] else "only with code 4")  # fmt: skip
    elif kind not in (5, _ICMP["TIME_EXCEEDED"], _ICMP["PARAMETER_PROBLEM"], 4):
        seen.payload = data[8:]
        return
    layer.data["quote"] = data[8:]
    seen.payload = data[8:]


def _igmp(seen: Explained, data: bytes) -> None:
    layer = read_layer("igmp", "IGMP", data)
    if layer is None:
        _cut(seen, "igmp", "IGMP", data)
        return
    seen.layers.append(layer)
    names = {_IGMP["QUERY"]: "membership query", _IGMP["REPORT"]: "membership report",
             _IGMP["REPORT_V1"]: "version 1 membership report",
             _IGMP["LEAVE"]: "leave group", 0x22: "version 3 membership report"}  # fmt: skip
    name = names.get(layer["type"], "unknown")
    layer.mean("type", name, f"0x{layer['type']:02x}")
    layer.mean("max response time", f"{layer['max response time'] / 10} s")
    layer.mean("group", "", ip_text(layer["group"]))
    right = sum16(data) == 0xFFFF
    layer.mean("checksum", "right" if right else "wrong", f"0x{layer['checksum']:04x}",
               wrong=not right)  # fmt: skip
    seen.summary = f"IGMP {name} {ip_text(layer['group'])}"
    layer.data["name"] = name
    seen.conversation = "IGMP"
