# Fragmentation and reassembly (RFC 791 3.2, RFC 1122 3.3.2, RFC 815 in spirit).
#
# Reassembly is bounded in datagrams, bytes, pieces and time, takes no more memory than what has
# come, and refuses what only attackers send: overlaps (as RFC 5722 and RFC 8900 do) and fragments
# that cut a transport header (RFC 1858).
import array

from .. import native
from ..errors import ENOBUFS
from ..stack import Timer, diff
from ..packet import Packet
from .ipv4 import MF, PROTO_TCP

_m = native.load("memory")
_copy = _m.copy
_equal = _m.equal
_build = native.load("ip").ip_build

_DATAGRAMS = const(4)
_PIECES = const(128)  # 65,535 bytes by way of a wire that takes 576
_PIECE = const(32)  # what a piece takes besides its bytes
_TIMEOUT_MS = const(30000)
_HLEN = const(20)
_FIRST_MIN = const(8)


class _Datagram:
    def __init__(self, p, now):
        self.key = bytearray(12)
        self.since = now
        self.ifc = p.ifc
        self.group = p.group
        self.to = p.to
        self.ttl = p.ttl
        self.length = -1  # of the payload, once the last fragment is here
        self.have = 0
        self.size = 0  # of the memory it takes
        self.pieces = []  # (start, bytes), disjoint
        self.first = None  # header and 8 bytes of the first fragment, for a time exceeded error


class Reassembly(Timer):
    """Datagrams that wait for their missing fragments."""

    def __init__(self, stack):
        self.stack = stack
        self.waiting = []
        self.size = 0  # of them all
        self.head = array.array("i", [0] * 4)
        self.key = bytearray(12)
        for name in (
            "frag_received",
            "frag_reassembled",
            "frag_timeout",
            "frag_overlap",
            "frag_tiny",
            "frag_too_long",
            "frag_evicted",
        ):
            stack.stats[name] = 0
        stack.add_timer(self)

    def input(self, p, word):
        """Take a fragment; the whole datagram as a Packet when it is complete, else None."""
        stats = self.stack.stats
        stats["frag_received"] += 1
        start = (word & 0x1FFF) << 3
        end = start + p.n
        more = word & MF
        if end > 65535 - _HLEN or end > self.stack.fragment_bytes:
            stats["frag_too_long"] += 1
            return None
        # RFC 1858 3: a first fragment without the ports and flags, or one that could rewrite them.
        least = _HLEN if p.proto == PROTO_TCP else _FIRST_MIN
        if (more and (p.n & 7 or not p.n)) or (0 < start < least) or (not start and p.n < least):
            stats["frag_tiny"] += 1
            return None
        d = self._find(p)
        if d is None:
            d = self._begin(p)
        if not self._insert(d, p, start, end, more):
            self._forget(d)
            return None
        if d.length >= 0 and d.have == d.length:
            self._forget(d)
            stats["frag_reassembled"] += 1
            return self._whole(d)
        return None

    def _find(self, p):
        # RFC 791: source, destination, protocol and identification make a datagram.
        k = self.key
        _copy(k, 0, p.buf, p.ip + 12, 8)
        _copy(k, 8, p.buf, p.ip + 4, 2)
        k[10] = p.proto
        for d in self.waiting:
            if _equal(d.key, 0, k, 0, 11):
                return d
        return None

    def _begin(self, p):
        if len(self.waiting) >= _DATAGRAMS:
            self._evict(self.waiting[0])
        d = _Datagram(p, self.stack.now)
        _copy(d.key, 0, self.key, 0, 12)
        self.waiting.append(d)
        if self.due < 0:
            self.stack.arm(self, 1000)
        return d

    def _forget(self, d):
        self.waiting.remove(d)
        self.size -= d.size

    def _evict(self, d):
        self._forget(d)
        self.stack.stats["frag_evicted"] += 1

    def _insert(self, d, p, start, end, more):
        # False if the datagram has to be given up.
        stats = self.stack.stats
        last = 0
        for a, data in d.pieces:
            b = a + len(data)
            if a <= start < end <= b and _equal(data, start - a, p.buf, p.off, p.n):
                return True  # a duplicate is harmless
            last = max(last, b)
            if start < b and end > a:
                stats["frag_overlap"] += 1
                return False
        if len(d.pieces) >= _PIECES:
            stats["frag_too_long"] += 1
            return False
        if not more:
            if d.length >= 0 or last > end:
                stats["frag_overlap"] += 1
                return False
            d.length = end
        elif d.length >= 0 and end > d.length:
            stats["frag_overlap"] += 1
            return False
        n = p.n + _PIECE
        if not self._room(d, n):
            stats["frag_too_long"] += 1
            return False
        if not start:
            d.first = bytes(p.buf[p.ip : p.off + 8])
        d.pieces.append((start, bytes(p.buf[p.off : p.off + p.n])))
        d.have += p.n
        d.size += n
        self.size += n
        return True

    def _room(self, d, n):
        # Whether n bytes more may be taken; the oldest of the others make way.
        limit = self.stack.fragment_bytes
        while self.size + n > limit:
            old = self.waiting[0]
            if old is d:
                if len(self.waiting) == 1:
                    return False
                old = self.waiting[1]
            self._evict(old)
        return True

    def _whole(self, d):
        p = Packet()
        p.buf = bytearray(_HLEN + d.length)
        for start, data in d.pieces:
            _copy(p.buf, _HLEN + start, data, 0, len(data))
        p.ip = 0
        p.off = _HLEN
        p.n = d.length
        p.proto = d.key[10]
        p.ttl = d.ttl
        p.ifc = d.ifc
        p.group = d.group
        p.to = d.to
        p.whole = False
        h = self.head
        h[0] = d.length + _HLEN
        h[1] = d.key[8] << 8 | d.key[9]
        h[2] = 0
        h[3] = d.ttl << 8 | p.proto
        _copy(p.buf, 12, d.key, 0, 8)
        _build(p.buf, 0, h)
        return p

    def expire(self, now):
        for d in list(self.waiting):
            if diff(now, d.since) >= _TIMEOUT_MS:
                self._forget(d)
                self.stack.stats["frag_timeout"] += 1
                # RFC 1122 3.3.2: only if the first fragment is here to be quoted.
                if d.first is not None and not d.group:
                    self.stack.ip.icmp.error_about(d.first, 0, 11, 1, d.ifc)
        if self.waiting:
            self.stack.arm(self, 1000)


def send(ip, r, src, dst, off, data, tp):
    """Send a datagram in fragments; n, or -errno if the device ran out of buffers."""
    ifc = ip.egress(r)
    hop = r.gateway or dst
    hop_off = 0 if r.gateway else off
    return _pieces(ip, ifc, hop, hop_off, src, dst, off, data, 0, len(data), ip.ident(), 0, tp)


def _pieces(ip, ifc, hop, hop_off, src, dst, off, data, pos, n, ident, word, tp):
    size = (ifc.mtu - _HLEN) & -8
    sent = 0
    while sent < n:
        m = min(size, n - sent)
        if ifc.borrow() is None:
            return -ENOBUFS
        frag = word + (sent >> 3)
        if sent + m < n:
            frag |= MF
        ip.address(ifc, src, dst, off)
        ip.header(ifc, m + _HLEN, ident, frag, tp)
        _copy(ifc.tx, ifc.tx_at + _HLEN, data, pos + sent, m)
        ip.transmit(ifc, hop, hop_off, m + _HLEN)
        sent += m
    return n


def forward(ip, r, p, word):
    """Forward a datagram that is too long for the next wire (its options stay behind)."""
    b = p.buf
    dst = p.destination()
    tp = b[p.ip + 1] << 16 | (p.ttl - 1) << 8 | p.proto
    ident = b[p.ip + 4] << 8 | b[p.ip + 5]
    hop = r.gateway or dst
    last = word & MF
    # MF of the original stays set on what becomes its last piece.
    n = p.n
    if last:
        size = (r.ifc.mtu - _HLEN) & -8
        while n > size:
            _one(ip, r.ifc, hop, p.source(), dst, b, p.off + p.n - n, size, ident, word, tp)
            word += size >> 3
            n -= size
        _one(ip, r.ifc, hop, p.source(), dst, b, p.off + p.n - n, n, ident, word, tp)
    else:
        _pieces(ip, r.ifc, hop, 0, p.source(), dst, 0, b, p.off, n, ident, word, tp)
    ip.stack.stats["ip_forwarded"] += 1


def _one(ip, ifc, hop, src, dst, data, pos, n, ident, word, tp):
    if ifc.borrow() is None:
        return
    ip.address(ifc, src, dst, 0)
    ip.header(ifc, n + _HLEN, ident, word, tp)
    _copy(ifc.tx, ifc.tx_at + _HLEN, data, pos, n)
    ip.transmit(ifc, hop, 0, n + _HLEN)
