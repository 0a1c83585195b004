"""What conforming ends do with each frame: state rebuilt from the frames alone."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from viperip_host.explain import dissect, sources
from viperip_host.explain.model import Explained, Layer, Statement, ip_text, read_layer
from viperip_host.explain.reading import Frame
from viperip_host.explain.rules import RULES
from viperip_host.explain.tcp import Connection, changes

_ICMP = sources.constants("icmp")
_IP = sources.constants("ipv4")
_MOST = 4096  # of anything remembered: captures may be long


class Memory(OrderedDict[Any, Any]):
    """A dict that forgets its oldest entries."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        while len(self) > _MOST:
            self.popitem(last=False)


@dataclass
class Gathering:
    """Fragments of one datagram."""

    first: int  # frame number of the first that came
    pieces: dict[int, bytes] = field(default_factory=dict)
    length: int = -1


@dataclass
class Tracker:
    """take() each frame in its order."""

    caches: dict[str, dict[str, str]] = field(default_factory=dict)  # host -> address -> MAC
    connections: Memory = field(default_factory=Memory)  # conversation -> Connection
    _asked: Memory = field(default_factory=Memory)  # (asker, target) -> frame number
    _probed: Memory = field(default_factory=Memory)  # address -> MAC
    _fragments: Memory = field(default_factory=Memory)
    _sent: Memory = field(default_factory=Memory)  # (addresses, protocol, 8 bytes) -> frame number
    _echoes: Memory = field(default_factory=Memory)
    _queries: Memory = field(default_factory=Memory)
    _clients: Memory = field(default_factory=Memory)  # DHCP: client -> state

    def take(self, frame: Frame) -> Explained:
        """The frame taken apart, with what the ends do with it."""
        seen = dissect.dissect(frame)
        ip = seen.layer("ipv4")
        arp = seen.layer("arp")
        if arp is not None and arp.data:
            self._arp(seen, arp)
        elif ip is not None and "src" in ip.data:
            self._ipv4(seen, ip)
        elif ip is not None:
            self._say(seen, "the receiver", "drops it", "ip.malformed")
        return seen

    def _say(self, seen: Explained, who: str, text: str, rule: str) -> None:
        seen.statements.append(Statement(who, text, RULES[rule]))

    # ARP.

    def _learn(self, seen: Explained, host: str, address: str, mac: str) -> None:
        cache = self.caches.setdefault(host, {})
        seen.changes += changes(f"{host} ARP cache", {address: cache.get(address)}, {address: mac})
        cache[address] = mac

    def _arp(self, seen: Explained, arp: Layer) -> None:
        kind, sender = arp.data["kind"], arp.data["sender"]
        target, mac = arp.data["target"], arp.data["mac"]
        if arp.problems:
            self._say(seen, "everyone", "ignores it", "arp.ignored")
            return
        if kind == "probe":
            self._probed[target] = mac
            self._say(seen, mac, f"asks whether anybody has {target}, before it takes it",
                      "arp.probe")  # fmt: skip
            return
        known = {cache[sender] for cache in self.caches.values() if sender in cache}
        if known and mac not in known:
            self._say(seen, sender, f"was at {', '.join(sorted(known))} before: two stations have "
                      "it, or it has moved", "arp.conflict")  # fmt: skip
        if kind == "announcement":
            self._say(seen, "everyone", f"who has {sender} in its cache notes {mac}",
                      "arp.announce")  # fmt: skip
            for host, cache in self.caches.items():
                if sender in cache:
                    self._learn(seen, host, sender, mac)
        elif kind == "request":
            again = self._asked.get((sender, target))
            if again:
                self._say(seen, sender, f"asks again, first in frame {again}", "arp.again")
            self._asked[sender, target] = again or seen.frame.number
            self._say(seen, target, f"if it is there: notes {sender} at {mac}, and answers",
                      "arp.request")  # fmt: skip
            self._learn(seen, target, sender, mac)
        else:
            self._arp_reply(seen, sender, target, mac)

    def _arp_reply(self, seen: Explained, sender: str, target: str, mac: str) -> None:
        asked = self._asked.pop((target, sender), None)
        if target == "0.0.0.0" and sender in self._probed:
            self._say(seen, self._probed[sender], f"must not take {sender}", "arp.objection")
            return
        text = f"notes {sender} at {mac}"
        text += f", asked for in frame {asked}" if asked else ", without having asked"
        self._say(seen, target, text, "arp.reply")
        self._learn(seen, target, sender, mac)

    # IPv4.

    def _ipv4(self, seen: Explained, ip: Layer) -> None:
        if ip.data.get("dropped"):
            self._say(seen, ip.data["dst"], "drops it", "ip.checksum")
            return
        key = (ip.data["src"], ip.data["dst"], ip["protocol"], ip["identification"])
        payload: bytes = ip.data["payload"]
        if "fragment" in ip.data:
            if not ip.data["fragment"][0]:
                self._remember(seen, ip, payload)
            self._fragment(seen, ip, key, payload)
            if "whole" not in ip.data:
                return
        else:
            self._remember(seen, ip, payload)
        self._transport(seen, ip)

    def _remember(self, seen: Explained, ip: Layer, payload: bytes) -> None:
        self._sent[ip.data["src"], ip.data["dst"], ip["protocol"], payload[:8]] = seen.frame.number

    def _fragment(self, seen: Explained, ip: Layer, key: Any, payload: bytes) -> None:
        start, end, more = ip.data["fragment"]
        one = self._fragments.get(key)
        if one is None:
            one = self._fragments[key] = Gathering(seen.frame.number)
        host = ip.data["dst"]
        if ip.data["cut"]:
            payload += bytes(end - start - len(payload))
        for at, piece in one.pieces.items():
            if at < end and start < at + len(piece):
                if at == start and piece == payload:
                    self._say(seen, host, "has this piece already", "ip.again")
                else:
                    self._say(seen, host, "drops the datagram: pieces overlap", "ip.overlap")
                    del self._fragments[key]
                return
        one.pieces[start] = payload
        if not more:
            one.length = end
        have = sum(map(len, one.pieces.values()))
        if have != one.length:
            of = f" of {one.length}" if one.length >= 0 else ""
            self._say(seen, host, f"keeps it: {have}{of} bytes in {len(one.pieces)} of its pieces",
                      "ip.fragment")  # fmt: skip
            return
        del self._fragments[key]
        whole = b"".join(one.pieces[at] for at in sorted(one.pieces))
        self._say(seen, host, f"has all {one.length} bytes, from frame {one.first} on", "ip.whole")
        ip.data["whole"] = True
        before = seen.summary
        dissect.transport(seen, ip, whole)
        seen.summary = f"{seen.summary}, from fragments ({before})"

    def _transport(self, seen: Explained, ip: Layer) -> None:
        for kind, handle in (("tcp", self._tcp), ("udp", self._udp), ("icmp", self._icmp),
                             ("igmp", self._igmp)):  # fmt: skip
            layer = seen.layer(kind)
            if layer is not None:
                if not layer.fields or (kind != "tcp" and layer.data.get("dropped")):
                    wrong = any(one.name == "checksum" and one.wrong for one in layer.fields)
                    rule = "checksum" if wrong else "malformed"
                    self._say(seen, seen.ends[1], "drops it", rule)
                else:
                    handle(seen, ip, layer)
                return
        self._say(seen, ip.data["dst"], "if it knows no such protocol, says so", "ip.protocol")

    def _tcp(self, seen: Explained, ip: Layer, layer: Layer) -> None:
        if "a" not in layer.data:
            self._say(seen, seen.ends[1], "drops it: the header lies", "malformed")
            return
        one = self.connections.get(seen.conversation)
        if one is None:
            one = self.connections[seen.conversation] = Connection(
                layer.data["a"], layer.data["b"]
            )
        one.take(seen, layer)

    def _udp(self, seen: Explained, ip: Layer, layer: Layer) -> None:
        dhcp, dns = seen.layer("dhcp"), seen.layer("dns")
        if dhcp is not None and dhcp.data:
            self._dhcp(seen, ip, dhcp)
        elif dns is not None and dns.data:
            self._dns(seen, dns)
        else:
            self._say(seen, layer.data["b"], "the socket bound to this port gets "
                      f"{layer.data['n']} bytes in one piece", "udp.deliver")  # fmt: skip

    def _igmp(self, seen: Explained, ip: Layer, layer: Layer) -> None:
        name = layer.data["name"]
        rule = (
            "igmp.query" if "query" in name else "igmp.leave" if "leave" in name else "igmp.report"
        )
        self._say(seen, "routers and members", f"{name} for {ip_text(layer['group'])}", rule)

    # ICMP.

    def _icmp(self, seen: Explained, ip: Layer, layer: Layer) -> None:
        src, dst = ip.data["src"], ip.data["dst"]
        kind = layer["type"]
        if kind == _ICMP["ECHO"]:
            key = (src, dst, layer["identifier"], layer["sequence number"])
            self._echoes[key] = (seen.frame.number, seen.frame.stamp)
            self._say(seen, dst, f"answers with the same {len(seen.payload)} bytes", "icmp.echo")
        elif kind == _ICMP["ECHO_REPLY"]:
            key = (dst, src, layer["identifier"], layer["sequence number"])
            asked = self._echoes.get(key)
            if asked is None:
                self._say(seen, dst, "answers no echo in this capture", "icmp.reply")
                return
            text = f"answers frame {asked[0]}"
            if asked[1] is not None and seen.frame.stamp is not None:
                text += f" after {(seen.frame.stamp - asked[1]) * 1000:.3f} ms"
            self._say(seen, dst, text, "icmp.reply")
        elif "quote" in layer.data:
            self._icmp_error(seen, dst, layer)

    def _icmp_error(self, seen: Explained, dst: str, layer: Layer) -> None:
        quote: bytes = layer.data["quote"]
        inner = read_layer("ipv4", "quoted IPv4", quote)
        size = inner["IHL"] * 4 if inner else 0
        if inner is None or inner["version"] != 4 or size < 20 or len(quote) < size + 8:
            self._say(seen, dst, "ignores it: too little of a datagram is quoted", "icmp.quote")
            return
        src, to = ip_text(inner["source"]), ip_text(inner["destination"])
        protocol = inner["protocol"]
        layer.notes.append(f"quotes protocol {protocol} from {src} to {to}, id "
                           f"{inner['identification']}")  # fmt: skip
        cause = self._sent.get((src, to, protocol, quote[size : size + 8]))
        if cause is None:
            self._say(seen, dst, "sent no such datagram in this capture", "icmp.unmatched")
            return
        layer.data["cause"] = cause
        kind, code = layer["type"], layer["code"]
        rule = "icmp.error"
        if kind == _ICMP["TIME_EXCEEDED"]:
            rule = "icmp.ttl"
        elif kind == _ICMP["UNREACHABLE"] and code == _ICMP["FRAGMENTATION"]:
            rule = "icmp.mtu"
        elif kind == _ICMP["UNREACHABLE"] and code == _ICMP["PORT"]:
            rule = "icmp.port"
        elif protocol == _IP["PROTO_TCP"]:
            rule = "icmp.soft"
        self._say(seen, dst, f"{layer.data['name']}: caused by frame {cause}", rule)

    # DHCP and DNS.

    def _dhcp(self, seen: Explained, ip: Layer, dhcp: Layer) -> None:
        client, name, address = dhcp.data["client"], dhcp.data["name"], dhcp.data["yiaddr"]
        state = self._clients.get(client, "INIT")
        after = state
        if name == "DISCOVER":
            after = "SELECTING"
            self._say(seen, client, "asks all DHCP servers for an address", "dhcp.discover")
        elif name == "OFFER":
            self._say(seen, client, f"is offered {address}", "dhcp.offer")
        elif name == "REQUEST":
            wanted = dhcp.data["options"]["REQUESTED"]
            if dhcp.data["options"]["SERVER_ID"] and len(wanted) == 4:
                after = "REQUESTING"
                self._say(seen, client, f"takes the offer of {ip_text(wanted)}", "dhcp.request")
            else:
                after = "RENEWING" if dhcp["ciaddr"] else "REBOOTING"
                self._say(seen, client, "asks to go on with its address", "dhcp.renew")
        elif name == "ACK":
            after = "BOUND"
            lease = int.from_bytes(dhcp.data["options"]["LEASE"], "big")
            self._say(seen, client, f"has {address} for {lease} s", "dhcp.ack")
        elif name == "NAK":
            after = "INIT"
            self._say(seen, client, "is refused the address", "dhcp.nak")
        elif name in ("DECLINE", "RELEASE"):
            after = "INIT"
            self._say(seen, client, "gives the address up", f"dhcp.{name.lower()}")
        self._clients[client] = after
        seen.changes += changes(f"{client} DHCP", {"state": state}, {"state": after})

    def _dns(self, seen: Explained, dns: Layer) -> None:
        a, b = seen.ends
        if not dns.data["answer"]:
            self._queries[a, b, dns.data["id"]] = seen.frame.number
            self._say(seen, b, f"looks up {dns.data['name']}", "dns.query")
            return
        asked = self._queries.get((b, a, dns.data["id"]))
        if asked is None:
            self._say(seen, b, "asked nothing of the kind in this capture", "dns.stray")
        else:
            self._say(seen, b, f"has the answer to frame {asked}", "dns.answer")
