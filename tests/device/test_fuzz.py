# Mutated frames, from a fixed seed, against a stack that is at work: connections open, a name
# being looked up, a DHCP client asking. Afterwards it works as before and holds no more memory.
import gc
import os
import random
import sys

from harness import (
    ALL,
    ALL_MAC,
    ANY,
    DF,
    MAC,
    MASK,
    ME,
    MF,
    PEER,
    PEER_MAC,
    FakeClock,
    be16,
    checksum,
    eth,
    get16,
    icmp,
    ipv4,
    udp,
)
from harness import arp as arp_frame
from viperip import native
from viperip.application import dhcp
from viperip.interface import Interface
from viperip.internet import igmp
from viperip.link.device import LinkDevice
from viperip.stack import Stack

# timeout: 400
HEAP = "8M"

_m = native.load("memory")
_sum = _m.sum16
_pseudo_sum = _m.pseudo_sum
_bits = random.getrandbits

FIN = 1
SYN = 2
RST = 4
PSH = 8
ACK = 16
GROUP = b"\xe0\0\0\x64"
SERVER = b"\x0a\0\0\x35"
LEASED = b"\xc0\xa8\x07\x0b"
LENDER = b"\xc0\xa8\x07\x01"
SECOND_MAC = b"\x02\0\0\0\0\x0c"
BUFFER = 4096
LIMIT = 1514
ODD = (0, 1, 2, 3, 4, 7, 8, 0x0F, 0x45, 0x46, 0x4F, 0x7F, 0x80, 0xC0, 0xC0, 0xFE, 0xFF)
NAME = b"\4host\4test\0"


def frames():
    # How many: everything where everything is tested, and little where each byte costs a call.
    told = os.getenv("VIPERIP_FUZZ_FRAMES") if hasattr(os, "getenv") else None
    if told:
        return int(told)
    if not native.VIPER:
        return 3000
    everything = hasattr(os, "getenv") and os.getenv("VIPERIP_TEST_ALL") == "1"
    return 200000 if everything else 20000


def below(n):
    return _bits(16) % n


def noise(n):
    return bytes([_bits(8) for _ in range(n)])


def be32(v):
    return be16(v >> 16 & 0xFFFF) + be16(v & 0xFFFF)


class Wire(LinkDevice):
    # Receives one frame at a time, in a buffer that ends where the frame ends.
    rx_off = 2
    rx_frames = 1

    def __init__(self, mac):
        self.mac = mac
        self._tx = bytearray(1516)
        self._n = 0
        self.sent = 0
        self.keep = None

    def give(self, frame):
        self.rx = b"\0\0" + frame
        self._n = len(frame)

    def recv(self):
        return self._n

    def release(self):
        self._n = 0
        self.rx = b""

    def borrow(self):
        return self._tx

    def send(self, n):
        assert 14 <= n <= LIMIT, n
        self.sent += 1
        if self.keep is not None:
            self.keep.append(bytes(self._tx[2 : 2 + n]))


class Peer:
    # The far end of one connection: what it takes to send segments that are in the window.
    def __init__(self, world, port, mine):
        self.world = world
        self.port = port  # of the stack
        self.mine = mine
        self.c = None

    def open(self):
        w = self.world
        self.inject(SYN, 0x1000 + self.mine, 0, b"\2\4\5\xb4\1\3\3\2")
        row = bytes(PEER) + ME + be16(self.mine) + be16(self.port)
        c = [c for c in w.stack.tcp.connections if c.row == row][0]
        self.inject(ACK, c.words[1], c.words[0] + 1)
        self.c = w.accept(c)
        assert self.c is not None, c.as_dict()
        assert self.c.state == 4, self.c.state

    def inject(self, flags, seq, ack, options=b"", data=b""):
        self.world.inject(self.frame(flags, seq, ack, options, data))

    def frame(self, flags, seq, ack, options=b"", data=b"", wnd=8000):
        h = 20 + len(options)
        s = be16(self.mine) + be16(self.port) + be32(seq & 0xFFFFFFFF) + be32(ack & 0xFFFFFFFF)
        s += bytes((h << 2, flags)) + be16(wnd) + bytes(4) + options + data
        f = bytearray(eth(MAC, PEER_MAC, 0x800, ipv4(PEER, ME, 6, s, frag=DF)))
        repair(f)
        return bytes(f)

    def receive(self, data):
        # The stack gets data from us.
        got = b""
        while data:
            self.inject(ACK | PSH, self.c.words[1], self.c.words[0], b"", data[:512])
            data = data[512:]
            buf = bytearray(2048)
            n = self.c.recv(buf, 0, 2048)
            got += bytes(buf[:n])
        return got

    def send(self, data):
        # The stack sends data to us, and each segment is acknowledged.
        w = self.world
        kept = w.dev.keep = []
        una = self.c.words[0]
        got = bytearray(len(data))
        at = done = 0
        for _ in range(1000):
            if at < len(data):
                at += self.c.send(data, at, len(data) - at)
            w.step(1)
            for f in kept:
                if f[23] == 6 and f[34:38] == be16(self.port) + be16(self.mine):
                    seq = (get16(f, 38) << 16 | get16(f, 40)) - una & 0xFFFFFFFF
                    body = f[34 + (f[46] >> 4) * 4 : 14 + get16(f, 16)]
                    got[seq : seq + len(body)] = body
                    done = max(done, seq + len(body))
            kept.clear()
            self.inject(ACK, self.c.words[1], una + done)
            if done == len(data):
                break
        w.dev.keep = None
        return bytes(got)


class World:
    def __init__(self, seed):
        random.seed(seed)
        self.clock = FakeClock()
        self.stack = s = Stack(ticks=self.clock, random=noise)
        s.tcp_buffer = BUFFER
        self.dev = Wire(MAC)
        self.ifc = self.interface(self.dev, "e0")
        self.ifc.up()
        self.ifc.configure(ME, MASK)
        self.ifc.arp.add(PEER, PEER_MAC)
        self.ifc.arp.add(SERVER, PEER_MAC)
        self.ifc.dns = [SERVER]
        igmp.of(s).join(self.ifc, GROUP)
        self.dev2 = Wire(SECOND_MAC)
        self.ifc2 = self.interface(self.dev2, "e1")
        self.ifc2.up()
        self.client = dhcp.Client(self.ifc2)
        self.endpoint = s.udp.open(size=2048, port=7000)
        self.listener = s.tcp.listen(ANY, 80, backlog=8)
        self.other = s.tcp.listen(ANY, 8080, backlog=8)
        self.queue = []
        self.names = 0
        self.bystander = Peer(self, 8080, 61000)
        self.bystander.open()
        self.victim = None
        self.step(3000, 100)

    def interface(self, dev, name):
        ifc = Interface(self.stack, dev, name)
        self.stack.add_interface(ifc)
        return ifc

    def inject(self, frame, dev=None):
        (dev or self.dev).give(frame)
        self.stack.poll()

    def step(self, ms, step=1):
        while ms > 0:
            self.clock.advance(step)
            self.stack.poll()
            ms -= step

    def accept(self, wanted):
        for listener in (self.listener, self.other):
            c = listener.accept()
            while c is not None:
                if c is wanted:
                    return c
                self.queue.append(c)
                c = listener.accept()
        return None

    def work(self):
        # What the users of the stack do now and then.
        s = self.stack
        if self.victim is None or self.victim.c.state != 4:
            if self.victim is not None:
                self.victim.c.close()
            mine = 40000 + below(1000)
            while [c for c in s.tcp.connections if c.remote_port == mine]:
                mine += 1  # a frame opened that one
            self.victim = Peer(self, 8080, mine)
            if len(s.tcp.connections) < 200:
                self.victim.open()
            else:
                self.victim = None
        else:
            c = self.victim.c
            if c.space() > 1000:
                data = noise(below(60)) * 20
                c.send(data, 0, len(data))
            c.recv(bytearray(600), 0, below(600))
        self.accept(None)
        if len(self.queue) > 12:
            self.queue.pop(0).close()
        if self.endpoint.count > 3:
            self.endpoint.read(bytearray(100), 0, 100)
        if not s.resolver.queries:
            self.names = (self.names + 1) % 40
            s.resolver.query("h%d.test" % self.names, lambda addrs, error: None)
        if self.client.state == "stopped":
            self.client.start()
        elif self.client.state == "bound" and not below(8):
            self.client.stop()

    def rest(self):
        # Everything that was begun ends, and what is cached grows old.
        s = self.stack
        if self.victim is not None:
            self.victim.c.close()
            self.victim = None
        self.accept(None)
        for c in self.queue:
            c.close()
        self.queue.clear()
        self.client.stop()
        self.step(1500000, 500)
        for q in list(s.resolver.queries):
            s.resolver.cancel(q)
        s.resolver.flush()
        self.accept(None)
        for c in self.queue:
            c.close()
        self.queue.clear()
        while self.endpoint.count:
            self.endpoint.read(bytearray(1), 0, 1)
        self.step(200000, 500)
        s.tcp._rings.clear()
        s.last_error = None
        for i in s.interfaces:
            i._packet.buf = b""
        r = s.ip._reassembly
        if r is not None:
            assert not r.waiting and not r.size
        kept = s.tcp.connections
        assert kept == [self.bystander.c], [c.as_dict() for c in kept]
        assert not self.listener.half_open and not self.other.half_open
        gc.collect()
        gc.collect()
        return gc.mem_alloc()


# Valid frames. Each maker returns a frame and whether it belongs on the second interface.


def make_arp(w):
    sender = ME[:3] + bytes((_bits(8),)) if below(3) else noise(4)
    target = ME if below(3) else sender
    mac = b"\2" + noise(5)
    to = ALL_MAC if below(2) else MAC
    return arp_frame(1 + below(2), mac, sender, MAC, target, to), False


def make_echo(w):
    data = icmp(8 if below(3) else 0, 0, noise(4), noise(below(64)))
    dst = ME if below(6) else (ALL, GROUP, b"\x7f\0\0\1")[below(3)]
    return eth(MAC, PEER_MAC, 0x800, ipv4(source(), dst, 1, data)), False


def source():
    return PEER if below(4) else ME[:3] + bytes((_bits(8),))


def make_error(w):
    c = w.victim.c if w.victim else w.bystander.c
    queries = w.stack.resolver.queries
    if below(2) or not queries:
        tail = be16(c.port) + be16(c.remote_port) + be32(c.words[0]) + noise(below(20))
        quote = ipv4(ME, PEER, 6, tail)
    else:
        quote = ipv4(ME, SERVER, 17, be16(queries[0].ep.port) + b"\0\x35\0\x20\0\0")
    kind = (3, 11, 12)[below(3)]
    data = icmp(kind, below(6), b"\0\0" + be16(below(1600)), quote)
    return eth(MAC, PEER_MAC, 0x800, ipv4(PEER, ME, 1, data)), False


def make_udp(w):
    port = 7000 if below(3) else below(65536)
    data = udp(below(65536), port, noise(below(40)), check=None if below(4) else 0)
    dst = ME if below(6) else (ALL, GROUP)[below(2)]
    return eth(MAC, PEER_MAC, 0x800, ipv4(source(), dst, 17, data)), False


def make_dns(w):
    queries = w.stack.resolver.queries
    if not queries:
        return make_udp(w)
    q = queries[0]
    m = q.message
    flags = (b"\x81\x80", b"\x81\x83", b"\x83\x80", b"\x81\x80")[below(4)]
    record = b"\0\1\0\1\0\0\1\0\0\4" + noise(4)
    alias = b"\0\5\0\1\0\0\1\0" + be16(len(NAME)) + NAME
    pointed = b"\0\5\0\1\0\0\1\0\0\2\xc0" + bytes((below(80),))
    rest = (
        b"\xc0\x0c" + record,
        b"\xc0\x0c" + alias + NAME + record,
        b"\xc0\x0c" + alias,
        b"\xc0\x0c" + pointed,
        b"\xc0\x0c" + pointed + b"\xc0\x2e" + pointed + b"\xc0\x0c" + record,
    )[below(5)]
    data = m[:2] + flags + b"\0\1" + be16(1 + below(3)) + b"\0\0\0\0" + m[12:] + rest
    u = udp(53, q.ep.port, data, SERVER, ME)
    return eth(MAC, PEER_MAC, 0x800, ipv4(SERVER, ME, 17, u)), False


def make_dhcp(w):
    k = w.client
    kind = (2, 5, 6, 5)[below(4)]
    if k.state == "selecting":
        kind = 2
    m = dhcp.message(2, k._xid, SECOND_MAC, kind, yiaddr=LEASED)
    for code, value in (
        (54, LENDER),
        (51, be32(60 + below(5000))),
        (1, b"\xff\xff\xff\0"),
        (3, LENDER),
        (6, SERVER + noise(4)),
        (15, b"lan"),
        (26, be16(below(2000))),
    ):
        if below(12):
            dhcp.option(m, code, value)
    u = udp(67, 68, bytes(dhcp.finish(m)), LENDER, ALL)
    return eth(ALL_MAC, PEER_MAC, 0x800, ipv4(LENDER, ALL, 17, u)), True


def make_tcp(w):
    p = w.victim
    if p is None:
        return make_syn(w)
    c = p.c
    flags = ACK
    k = below(24)
    if k == 0:
        flags |= FIN
    elif k == 1:
        flags |= RST if below(4) else SYN
    elif k == 2:
        flags = _bits(6)
    seq = c.words[1]
    if below(2):
        seq += below(4000) - 600
    ack = c.words[0] + (below(c.snd_max + 1) if below(2) else c.snd_max)
    if not below(8):
        ack += below(3000) - 1500
    options = b"" if below(4) else (b"\1\1\5\x0a" + noise(8))
    data = noise(1 + below(30)) * below(16) if below(3) else b""
    return p.frame(flags, seq, ack, options, data, below(3) * below(9000)), False


def make_syn(w):
    p = Peer(w, 80, 1024 + below(60000))
    options = (
        b"",
        b"\2\4\5\xb4",
        b"\2\4" + noise(2) + b"\1\3\3" + noise(1),
        b"\2\0\0\0",
        b"\3\3\x20\1",
        b"\5\xff\1\1" + noise(4),
    )[below(6)]
    flags = (SYN, SYN, SYN, SYN | ACK, SYN | FIN, RST, ACK)[below(7)]
    data = b"" if below(4) else noise(below(20))
    seq = _bits(16) << 16 | _bits(16)
    return p.frame(flags, seq, seq ^ 0x1234, options, data), False


def make_handshake(w):
    # The ACK that ends the opening of a connection that is half open.
    for c in w.stack.tcp.connections:
        if c.state == 3:
            p = Peer(w, c.port, c.remote_port)
            return p.frame(ACK, c.words[1], c.words[0] + 1, b"", noise(below(20))), False
    return make_syn(w)


def make_fragment(w):
    # A few identifications, so that they meet; offsets that fit, overlap and reach the end.
    proto = (1, 17, 6)[below(3)]
    ident = below(4)
    at = (0, 1, 3, 5, 8, 64, 180, 8190, 8191)[below(9)]
    more = MF if below(3) else 0
    n = 8 * (1 + below(12)) if more or below(2) else 1 + below(40)
    body = noise(8) * (1 + n // 8)
    if not at:
        body = (icmp(8, 0, data=body), udp(5, 7000, body), body)[below(3)]
    return eth(MAC, PEER_MAC, 0x800, ipv4(PEER, ME, proto, body[:n], 64, ident, more | at)), False


def make_whole(w):
    # The two halves of a datagram: the second now, the first before it.
    body = icmp(8, 0, noise(4), noise(60))
    ident = be16(4 + below(2))
    n = 24 + 8 * below(3)
    halves = [ipv4(PEER, ME, 1, body[:n], ident=get16(ident, 0), frag=MF)]
    halves.append(ipv4(PEER, ME, 1, body[n:], ident=get16(ident, 0), frag=n // 8))
    w.inject(eth(MAC, PEER_MAC, 0x800, halves.pop(below(2))))
    return eth(MAC, PEER_MAC, 0x800, halves[0]), False


def make_igmp(w):
    b = bytes((0x11 if below(3) else 0x16, _bits(4), 0, 0)) + (GROUP if below(2) else ANY)
    b = b[:2] + be16(checksum(b)) + b[4:]
    return eth(MAC, PEER_MAC, 0x800, ipv4(PEER, b"\xe0\0\0\1", 2, b, 1)), False


MAKERS = (
    make_arp,
    make_echo,
    make_error,
    make_udp,
    make_dns,
    make_dns,
    make_dhcp,
    make_dhcp,
    make_tcp,
    make_tcp,
    make_tcp,
    make_tcp,
    make_syn,
    make_handshake,
    make_fragment,
    make_fragment,
    make_whole,
    make_igmp,
)


# Mutations.


def flip(f):
    for _ in range(1 + below(4)):
        f[below(len(f))] ^= 1 << below(8)


def odd_byte(f):
    for _ in range(1 + below(3)):
        f[12 + below(len(f) - 12)] = ODD[below(len(ODD))]


def cut(f):
    del_to = below(len(f))
    f[:] = f[:del_to]


def grow(f):
    f.extend(noise(1 + below(30)))


def lie(f):
    # Another length in one of the fields that hold one.
    if len(f) < 48:
        return
    k = below(5)
    if k == 0:
        f[14] = 0x40 | below(16)
    elif k == 1:
        n = get16(f, 16) + below(64) - 32
        f[16:18] = be16(n if below(3) else _bits(16))
    elif k == 2:
        f[46] = _bits(8)
    elif k == 3:
        n = get16(f, 38) + below(32) - 16
        f[38:40] = be16(n if below(3) else _bits(16))
    else:
        f[20:22] = be16(_bits(16))


def more_options(f):
    # IP options, some of which have a length of 0 or reach behind the header.
    if len(f) < 18:
        return
    n = 4 * (1 + below(10))
    options = noise(n) if below(2) else (b"\x07\0\x83\xff\x44\1\x94\4" * 5)[:n]
    f[34:34] = options
    f[14] = 0x45 + n // 4
    if below(4):
        f[16:18] = be16(get16(f, 16) + n)


def overwrite(f):
    n = 1 + below(16)
    at = below(len(f))
    n = min(n, len(f) - at)
    f[at : at + n] = noise(n)


def tail(f):
    # Lose the end, and say so in the IP header.
    n = 34 + below(max(1, len(f) - 34))
    f[:] = f[:n]
    if len(f) >= 34:
        f[16:18] = be16(len(f) - 14)


def swap(f):
    # Copy a piece to where another one was.
    a = below(len(f))
    b = below(len(f))
    n = min(below(24), len(f) - max(a, b))
    f[a : a + n] = bytes(f[b : b + n])


MUTATIONS = (flip, odd_byte, cut, grow, lie, lie, more_options, overwrite, tail, swap)


def repair(f):
    # Right checksums for whatever the headers now claim, as far as the frame reaches.
    if len(f) < 34 or f[12] != 8 or f[13] != 0:
        return
    h = (f[14] & 15) * 4
    end = min(get16(f, 16), len(f) - 14)
    if h < 20 or end < h:
        return
    f[24] = f[25] = 0
    if get16(f, 20) & 0x3FFF == 0:
        n = end - h
        o = 14 + h
        proto = f[23]
        at = 0
        if proto == 6 and n >= 20:
            at = 16
        elif proto == 17 and n >= 8:
            at = 6
            n = min(n, max(8, get16(f, o + 4)))
        elif proto in (1, 2) and n >= 4:
            at = 2
        if at:
            f[o + at] = f[o + at + 1] = 0
            c = _sum(f, o, n)
            if at != 2:
                c += _pseudo_sum(f, 14, proto, n)
            c = ((c & 0xFFFF) + (c >> 16)) ^ 0xFFFF
            if not c and proto == 17:
                c = 0xFFFF
            f[o + at] = c & 0xFF
            f[o + at + 1] = c >> 8
    c = _sum(f, 14, h) ^ 0xFFFF
    f[24] = c & 0xFF
    f[25] = c >> 8


def fuzz(w, count):
    kinds = len(MAKERS)
    ways = len(MUTATIONS)
    clock = w.clock
    for i in range(count):
        if not i & 31:
            w.work()
        frame, second = MAKERS[below(kinds)](w)
        k = below(8)
        if k:
            frame = bytearray(frame)
            for _ in range(1 if k < 5 else 2):
                if len(frame) > 12:
                    MUTATIONS[below(ways)](frame)
            if below(5):
                repair(frame)
            frame = bytes(frame[:LIMIT])
        clock.advance(below(4) if i & 1023 else 2000)
        w.inject(frame, w.dev2 if second else w.dev)


def echoed(w):
    kept = w.dev.keep = []
    request = icmp(8, 0, b"\0\1\0\2", b"still there")
    w.inject(eth(MAC, PEER_MAC, 0x800, ipv4(PEER, ME, 1, request)))
    w.dev.keep = None
    return [f[42:53] for f in kept if f[23] == 1 and f[34] == 0]


def no_errors(w):
    s = w.stack
    if s.last_error is not None:
        sys.print_exception(s.last_error)
    assert s.stats["internal_error"] == 0, s.stats["internal_error"]
    assert s.stats["no_memory"] == 0, s.stats["no_memory"]


def test_mutated_frames():
    import viperip.link.probe  # or it is loaded when the first lease is probed

    assert viperip.link.probe.Probe
    w = World(20240901)
    # Modules, buffers and tables that are made, or grow to their size, on first use.
    fuzz(w, 5000 if native.VIPER else 1000)
    no_errors(w)
    before = w.rest()
    fuzz(w, frames())
    no_errors(w)
    after = w.rest()
    no_errors(w)
    print("bytes in use before and after:", before, after)
    print({k: v for k, v in w.stack.stats.items() if v})
    assert echoed(w) == [b"still there"]
    data = noise(64) * 100
    assert w.bystander.receive(data) == data
    assert w.bystander.send(data) == data
    new = Peer(w, 80, 50000)
    new.open()
    assert new.receive(data) == data
    assert new.send(data) == data
    assert after - before < 2048, (before, after)
