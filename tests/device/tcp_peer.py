# A scripted TCP peer on the raw end of the wire. Sequence numbers are relative: seq to the peer's
# own ISS, ack to the ISS of the stack; both SYNs have number 0.
from harness import ME, PEER, be16, checksum, get16, host, ipv4
from viperip.transport.tcp.states import NAMES

FIN = 1
SYN = 2
RST = 4
PSH = 8
ACK = 16
TCP = 6
ISS = 0xFFFFFE00  # wraps soon


def be32(v):
    return be16(v >> 16 & 0xFFFF) + be16(v & 0xFFFF)


def mss(n):
    return b"\2\4" + be16(n)


def tcp(sport, dport, seq, ack, flags, data=b"", wnd=65535, options=b"", src=PEER, dst=ME, off=0):
    # off: the data offset to claim instead of the right one, in words.
    options += bytes(-len(options) % 4)
    off = off or 5 + len(options) // 4
    b = be16(sport) + be16(dport) + be32(seq) + be32(ack)
    b += bytes((off << 4, flags)) + be16(wnd)
    tail = b"\0\0" + options + data
    n = be16(len(b) + 2 + len(tail))
    c = checksum(src + dst + b"\0\6" + n + b + b"\0\0" + tail)
    return b + be16(c) + tail


class Segment:
    # A segment that the stack sent; its checksum must be right.
    def __init__(self, d):
        b = d.payload
        assert d.proto == TCP
        assert checksum(d.src + d.dst + b"\0\6" + be16(len(b)) + b) == 0
        self.d = d
        self.sport = get16(b, 0)
        self.dport = get16(b, 2)
        self.seq = get16(b, 4) << 16 | get16(b, 6)
        self.ack = get16(b, 8) << 16 | get16(b, 10)
        h = (b[12] >> 4) * 4
        self.flags = b[13]
        self.wnd = get16(b, 14)
        self.options = b[20:h]
        self.data = b[h:]

    def option(self, kind):
        b = self.options
        i = 0
        while i < len(b) and b[i]:
            if b[i] == 1:
                i += 1
                continue
            if b[i] == kind:
                return b[i + 2 : i + b[i + 1]]
            i += b[i + 1]
        return None


class Peer:
    def __init__(self, h=None, port=4000, sport=80, iss=ISS):
        self.h = h or host(frames=256)
        self.tcp = self.h.stack.tcp
        self.port = port  # ours
        self.sport = sport  # the stack's
        self.iss = iss
        self.irs = None  # ISS of the stack
        self.c = None
        self.wnd = 65535

    def raw(self, seq, ack, flags, data=b"", wnd=None, options=b"", off=0):
        wnd = self.wnd if wnd is None else wnd
        seq = (self.iss + seq) & 0xFFFFFFFF
        ack = ((self.irs or 0) + ack) & 0xFFFFFFFF if flags & ACK else 0
        return tcp(self.port, self.sport, seq, ack, flags, data, wnd, options, off=off)

    def send(self, seq, ack, flags=ACK, data=b"", wnd=None, options=b"", off=0):
        self.h.ip(TCP, self.raw(seq, ack, flags, data, wnd, options, off))

    def got(self):
        # All segments the stack has sent, numbers made relative.
        out = [Segment(d) for d in self.h.datagrams() if d.proto == TCP]
        for s in out:
            if s.flags & SYN and self.irs is None:
                self.irs = s.seq
            if self.irs is not None:
                s.seq = _signed(s.seq - self.irs)
            if s.flags & ACK:
                s.ack = _signed(s.ack - self.iss)
        return out

    def expect(self, seq=None, ack=None, flags=ACK, data=b"", wnd=None):
        # Exactly one segment; PSH is not looked at unless asked for.
        got = self.got()
        assert len(got) == 1, [(s.seq, s.ack, s.flags, len(s.data)) for s in got]
        return self.same(got[0], seq, ack, flags, data, wnd)

    def same(self, s, seq=None, ack=None, flags=ACK, data=b"", wnd=None):
        have = s.flags if flags & PSH else s.flags & ~PSH
        assert have == flags, ("flags", s.flags, flags)
        assert seq is None or s.seq == seq, ("seq", s.seq, seq)
        assert ack is None or s.ack == ack, ("ack", s.ack, ack)
        assert data is None or s.data == data, ("data", len(s.data), data and len(data))
        assert wnd is None or s.wnd == wnd, ("wnd", s.wnd, wnd)
        return s

    def silent(self):
        got = self.got()
        assert not got, [(s.seq, s.ack, s.flags, len(s.data)) for s in got]

    def state(self):
        return NAMES[self.c.state]

    def connect(self, **more):
        # The stack opens: its SYN is on the wire.
        self.c = self.tcp.connect(PEER, self.port, **more)
        self.sport = self.c.port
        self.h.stack.poll()
        return self.c

    def active(self, options=None, wnd=None, **more):
        # A connection that the stack opened.
        self.connect(**more)
        self.expect(seq=0, flags=SYN)
        self.send(0, 1, SYN | ACK, wnd=wnd, options=mss(1460) if options is None else options)
        self.expect(seq=1, ack=1)
        assert self.state() == "ESTABLISHED"
        return self

    def passive(self, options=None, wnd=None, **more):
        # A connection that the stack accepted.
        self.listener = self.tcp.listen(bytes(4), self.sport, **more)
        self.send(0, 0, SYN, wnd=wnd, options=mss(1460) if options is None else options)
        self.expect(seq=0, ack=1, flags=SYN | ACK)
        self.send(1, 1, wnd=wnd)
        self.c = self.listener.accept()
        self.silent()
        assert self.state() == "ESTABLISHED"
        return self

    def run(self, ms, step=10):
        self.h.run(ms, step)

    def read(self, n=70000):
        buf = bytearray(n)
        n = self.c.recv(buf, 0, n)
        return bytes(buf[:n])

    def write(self, data):
        # The stack's user sends.
        n = self.c.send(data, 0, len(data))
        self.h.stack.poll()
        return n

    def stat(self, name):
        return self.h.stat(name)


def _signed(v):
    v &= 0xFFFFFFFF
    return v - (1 << 32) if v >> 31 else v


def pattern(n, start=0):
    return bytes([(start + i) * 7 & 0xFF for i in range(n)])


def quote(p, seq=0, n=8):
    # What an ICMP error quotes of a segment that the stack sent at `seq`.
    b = tcp(p.sport, p.port, (p.irs + seq) & 0xFFFFFFFF, 0, ACK, src=ME, dst=PEER)
    whole = ipv4(ME, PEER, TCP, b)
    return whole[: 20 + n]
