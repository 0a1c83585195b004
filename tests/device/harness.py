# One stack on one end of an in-memory wire, the test on the other end with raw frames.
# The frames are built and taken apart here without any code of the stack.
from viperip.interface import Interface
from viperip.link.pair import Pair
from viperip.stack import Stack, later

MAC = b"\x02\0\0\0\0\x0a"
ME = b"\x0a\0\0\x01"
PEER_MAC = b"\x02\0\0\0\0\x0b"
PEER = b"\x0a\0\0\x02"
MASK = b"\xff\xff\xff\0"
NET_BROADCAST = b"\x0a\0\0\xff"
ANY = bytes(4)
ALL = b"\xff\xff\xff\xff"
ALL_MAC = b"\xff\xff\xff\xff\xff\xff"
REQUEST = 1
REPLY = 2
ICMP = 1
UDP = 17
DF = 0x4000
MF = 0x2000

_uses = 0


class SkipTest(Exception):
    pass


class FakeClock:
    # Milliseconds that pass when told to. Every other clock starts just below the wrap of the
    # stack's 30-bit time.
    def __init__(self):
        global _uses
        _uses += 1
        self.now = (1 << 30) - 4000 if _uses & 1 else 123456

    def __call__(self):
        return self.now

    def advance(self, ms):
        self.now = later(self.now, ms)


class Host:
    def __init__(self, mtu, frames):
        self.clock = FakeClock()
        self.stack = Stack(ticks=self.clock)
        self.stack.strict = True
        self.dev, self.wire = Pair.wire(MAC, PEER_MAC, frames, mtu)
        self.ifc = Interface(self.stack, self.dev, "e0")
        self.stack.add_interface(self.ifc)

    def inject(self, *frames):
        # Put frames on the wire, and let the stack take them.
        for frame in frames:
            assert len(frame) <= self.wire.mtu + 14
            self.wire.borrow()[2 : 2 + len(frame)] = frame
            self.wire.send(len(frame))
        while self.stack.poll() == 0:
            pass

    def sent(self):
        # All frames the stack has sent since the last call.
        out = []
        while True:
            n = self.wire.recv()
            if not n:
                return out
            off = self.wire.rx_off
            out.append(bytes(self.wire.rx[off : off + n]))
            self.wire.release()

    def datagrams(self):
        return [Datagram(f) for f in self.sent() if f[12:14] == b"\x08\0"]

    def arps(self):
        return [Arp(f) for f in self.sent() if f[12:14] == b"\x08\x06"]

    def run(self, ms, step=100):
        # Let time pass, polling on the way.
        while ms > 0:
            self.clock.advance(min(step, ms))
            self.stack.poll()
            ms -= step

    def stat(self, name):
        return self.stack.stats[name]

    def ip(self, proto, payload, src=PEER, dst=ME, mac=MAC, **more):
        # Inject a datagram from the peer.
        self.inject(eth(mac, PEER_MAC, 0x800, ipv4(src, dst, proto, payload, **more)))


def host(addr=ME, mask=MASK, gateway=None, static=True, mtu=1500, frames=64):
    # A host that has announced itself; `static`: it knows the peer's MAC for good.
    h = Host(mtu, frames)
    h.ifc.up()
    if addr:
        h.ifc.configure(addr, mask, gateway)
        h.run(2500)
    if static:
        h.ifc.arp.add(PEER, PEER_MAC)
    h.sent()
    return h


def raises(number, function, *args):
    try:
        function(*args)
    except OSError as e:
        assert e.args[0] == number, e.args
        return
    raise AssertionError("no OSError")


def checksum(data):
    # RFC 1071, the plain way.
    total = 0
    for i in range(0, len(data), 2):
        total += data[i] << 8 | (data[i + 1] if i + 1 < len(data) else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def be16(v):
    return bytes((v >> 8 & 0xFF, v & 0xFF))


def get16(b, at):
    return b[at] << 8 | b[at + 1]


def eth(dst, src, kind, payload):
    return dst + src + be16(kind) + payload + bytes(max(0, 46 - len(payload)))


def arp(op, sha, spa, tha, tpa, to=MAC):
    body = b"\0\1\x08\0\6\4" + be16(op) + sha + spa + tha + tpa
    return eth(to, sha, 0x806, body)


def ipv4(src, dst, proto, payload, ttl=64, ident=1, frag=0, options=b"", tos=0):
    h = bytearray(20)
    h[0] = 0x45 + len(options) // 4
    h[1] = tos
    h[2:4] = be16(20 + len(options) + len(payload))
    h[4:6] = be16(ident)
    h[6:8] = be16(frag)
    h[8] = ttl
    h[9] = proto
    h[12:16] = src
    h[16:20] = dst
    h += options
    h[10:12] = be16(checksum(h))
    return bytes(h) + payload


def icmp(kind, code, rest=bytes(4), data=b""):
    m = bytes((kind, code, 0, 0)) + rest + data
    return m[:2] + be16(checksum(m)) + m[4:]


def udp(sport, dport, data, src=PEER, dst=ME, check=None):
    # check: the checksum field to send instead of the right one.
    n = be16(8 + len(data))
    head = be16(sport) + be16(dport) + n
    if check is None:
        check = checksum(src + dst + b"\0\x11" + n + head + b"\0\0" + data) or 0xFFFF
    return head + be16(check) + data


class Arp:
    def __init__(self, frame):
        b = frame[14:]
        assert b[:6] == b"\0\1\x08\0\6\4"
        self.to = frame[:6]
        self.op = get16(b, 6)
        self.sha = b[8:14]
        self.spa = b[14:18]
        self.tha = b[18:24]
        self.tpa = b[24:28]


class Datagram:
    # An IPv4 datagram that the stack sent; its header checksum must be right.
    def __init__(self, frame):
        assert frame[12:14] == b"\x08\0"
        b = frame[14:]
        self.to = frame[:6]
        hlen = (b[0] & 15) * 4
        # Nothing but IGMP has options.
        assert b[0] >> 4 == 4 and hlen == (24 if b[9] == 2 else 20)
        assert checksum(b[:hlen]) == 0
        total = get16(b, 2)
        assert total <= len(b)
        self.tos = b[1]
        self.ident = get16(b, 4)
        self.frag = get16(b, 6)
        self.ttl = b[8]
        self.proto = b[9]
        self.src = b[12:16]
        self.dst = b[16:20]
        self.options = b[20:hlen]
        self.payload = b[hlen:total]
        self.whole = b[:total]


class Message:
    # An ICMP message that the stack sent, from a datagram or from reassembled bytes.
    def __init__(self, d):
        b = d if isinstance(d, (bytes, bytearray)) else d.payload
        assert checksum(b) == 0
        self.kind = b[0]
        self.code = b[1]
        self.rest = bytes(b[4:8])
        self.data = bytes(b[8:])


def joined(datagrams):
    # The payload of a datagram from its fragments, in any order.
    out = {}
    for d in datagrams:
        out[(d.frag & 0x1FFF) * 8] = d
    at = 0
    data = b""
    while at in out:
        d = out[at]
        assert d.ident == datagrams[0].ident
        data += d.payload
        at += len(d.payload)
        if not d.frag & MF:
            return data
        assert len(d.payload) % 8 == 0
    raise AssertionError("a fragment is missing")
