# UDP (RFC 768, RFC 1122 4.1).
#
#    0             2                  4        6
#   | source port | destination port | length | checksum | payload
import array

from .. import native
from ..errors import ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENOBUFS, EADDRINUSE

_m = native.load("memory")
_l4_sum = _m.l4_sum
_sum = _m.sum16
_ring_copy = _m.ring_copy
_copy = _m.copy
_equal = _m.equal
_find16 = _m.find16

HEADER = const(8)
_PROTO = const(17)
_RECORD = const(16)  # ring record: length, source port, TTL, interface index, source, destination
_EPHEMERAL = const(49152)  # RFC 6335 6
_ANY = bytes(4)

_COUNTS = (
    "udp_short",
    "udp_length",
    "udp_checksum",
    "udp_no_port",
    "udp_queue_full",
    "udp_in",
    "udp_out",
)


class Endpoint:
    """A UDP port of this host: what lies behind a socket.

    Datagrams wait in a ring of `size` bytes. With a handler they are not queued: each goes to
    handler.datagram(endpoint, packet, off, n), payload at packet.buf[off:off+n].
    """

    def __init__(self, udp, size=0, handler=None):
        self.udp = udp
        self.handler = handler
        self.local = _ANY
        self.port = 0
        self.remote = _ANY
        self.remote_port = 0
        self.ifc = None  # SO_BINDTODEVICE
        self.ttl = 64
        self.tos = 0
        self.multicast_ttl = 1
        self.multicast_ifc = None
        self.broadcast = False
        self.error = 0  # errno of an ICMP error, given to the next call of a connected socket
        self.size = size
        self.ring = None
        self.head = 0
        self.used = 0
        self.count = 0
        self.dropped = 0
        self.record = bytearray(_RECORD)
        self.peer = bytearray(4)  # of the datagram read last
        self.peer_port = 0
        self.wake = None

    def matches(self, p, sport):
        # Whether a datagram (its packet, source port) belongs to this endpoint.
        if self.ifc is not None and self.ifc is not p.ifc:
            return False
        b = p.buf
        if self.local is not _ANY and not _equal(b, p.ip + 16, self.local, 0, 4):
            return False
        if self.remote_port and (
            sport != self.remote_port or not _equal(b, p.ip + 12, self.remote, 0, 4)
        ):
            return False
        return True

    def put(self, p, sum_so_far, sport, n):
        # Copy a datagram into the ring while summing it: 1 taken, 0 full, -1 bad checksum.
        need = _RECORD + n
        if self.used + need > self.size or self.count >= 255:
            return 0
        if self.ring is None:
            self.ring = bytearray(self.size)
        size = self.size
        tail = self.head + self.used
        if tail >= size:
            tail -= size
        at = tail + _RECORD
        if at >= size:
            at -= size
        s = _ring_copy(self.ring, at, size, p.buf, p.off + HEADER, 0, n)
        if sum_so_far >= 0:
            s += sum_so_far
            if (s & 0xFFFF) + (s >> 16) != 0xFFFF:
                return -1
        r = self.record
        r[0] = n & 0xFF
        r[1] = n >> 8
        r[2] = sport & 0xFF
        r[3] = sport >> 8
        r[4] = p.ttl
        _copy(r, 8, p.buf, p.ip + 12, 8)
        _ring_copy(self.ring, tail, size, r, 0, 0, _RECORD)
        self.used += need
        self.count += 1
        return 1

    def next_length(self):
        """Length of the oldest queued datagram, -1 if there is none. Its sender is in peer."""
        if not self.count:
            return -1
        r = self.record
        _ring_copy(r, 0, 0, self.ring, self.head, self.size, _RECORD)
        _copy(self.peer, 0, r, 8, 4)
        self.peer_port = r[2] | r[3] << 8
        return r[0] | r[1] << 8

    def read(self, buf, off, n, peek=False):
        """Copy up to n bytes of the oldest datagram to buf[off:] and drop the rest of it."""
        length = self.next_length()
        if length < 0:
            return -1
        if n > length:
            n = length
        at = self.head + _RECORD
        if at >= self.size:
            at -= self.size
        _ring_copy(buf, off, 0, self.ring, at, self.size, n)
        if not peek:
            whole = length + _RECORD
            self.used -= whole
            self.count -= 1
            self.head += whole
            if self.head >= self.size:
                self.head -= self.size
        return n

    def send(self, data, dst, port):
        """Send bytes-like data to dst (4 bytes), port. len(data) or -errno."""
        return self.udp.send(self, data, dst, port)

    def close(self):
        self.udp.close(self)


class UDP:
    """The endpoints of one stack."""

    def __init__(self, stack):
        self.stack = stack
        self.endpoints = []
        self.ports = array.array("H")
        self.on_unmatched = None  # a gateway takes what no port is open for
        for name in _COUNTS:
            stack.stats[name] = 0
        stack.ip.handlers[_PROTO] = self

    def open(self, size=0, handler=None, port=0, local=_ANY, reuse=False):
        """A new endpoint on a port (0: a random free one). OSError(EADDRINUSE)."""
        e = Endpoint(self, size, handler)
        self.bind(e, local, port, reuse)
        return e

    def bind(self, e, local, port, reuse=False):
        """Bind an endpoint to an address (4 zero bytes: any) and port (0: a random free one)."""
        local = _ANY if local == _ANY else bytes(local)
        if port:
            for o in self.endpoints:
                if o is not e and o.port == port and not reuse:
                    if o.local == local or o.local is _ANY or local is _ANY:
                        raise OSError(EADDRINUSE)
        else:
            port = self._free_port()
        if e in self.endpoints:
            self.close(e)
        e.local = local
        e.port = port
        self.endpoints.append(e)
        self.ports.append(port)

    def _free_port(self):
        # RFC 6056 3.3.1: random, so that an off-path attacker has to guess it.
        for _ in range(64):
            port = _EPHEMERAL + self.stack.random(14)
            if _find16(self.ports, len(self.ports), port, 0) < 0:
                return port
        raise OSError(EADDRINUSE)

    def close(self, e):
        if e in self.endpoints:
            self.endpoints.remove(e)
            self.ports = array.array("H", [o.port for o in self.endpoints])

    # Input.

    def input(self, p):
        stats = self.stack.stats
        b = p.buf
        off = p.off
        if p.n < HEADER:
            stats["udp_short"] += 1
            return
        length = b[off + 4] << 8 | b[off + 5]
        if length < HEADER or length > p.n:
            stats["udp_length"] += 1
            return
        sport = b[off] << 8 | b[off + 1]
        port = b[off + 2] << 8 | b[off + 3]
        # A zero checksum field means that the sender computed none.
        acc = -1
        if b[off + 6] | b[off + 7]:
            acc = _l4_sum(b, p.ip, off, HEADER, _PROTO, length)
        self._deliver(p, acc, sport, port, length - HEADER)

    def _deliver(self, p, acc, sport, port, n):
        stats = self.stack.stats
        group = p.to == 2 or p.to == 3
        e = self._select(p, sport, port, 0)
        if e is None or e.handler is not None or group:
            # Whoever reads it in place, or several of them, need it verified first.
            if acc >= 0:
                s = acc + _sum(p.buf, p.off + HEADER, n)
                if (s & 0xFFFF) + (s >> 16) != 0xFFFF:
                    stats["udp_checksum"] += 1
                    return
            if e is None:
                if self.on_unmatched is not None and self.on_unmatched(p, sport, port, n):
                    return
                stats["udp_no_port"] += 1
                self.stack.ip.icmp.send_error(p, 3, 3)
                return
            acc = -1
        stats["udp_in"] += 1
        if group:
            # RFC 1122 4.1.3.6: everybody who listens gets a copy.
            for o in list(self.endpoints):
                if o.port == port and o.matches(p, sport):
                    self._give(o, p, -1, sport, n)
        else:
            self._give(e, p, acc, sport, n)

    def _select(self, p, sport, port, start):
        # The most specific endpoint: connected before bound before any.
        best = None
        rank = -1
        n = len(self.ports)
        i = _find16(self.ports, n, port, 0)
        while i >= 0:
            e = self.endpoints[i]
            if e.matches(p, sport):
                r = (2 if e.remote_port else 0) + (1 if e.local is not _ANY else 0)
                if r > rank:
                    best = e
                    rank = r
            i = _find16(self.ports, n, port, i + 1)
        return best

    def _give(self, e, p, acc, sport, n):
        if e.handler is not None:
            e.handler.datagram(e, p, p.off + HEADER, n)
            return
        r = e.put(p, acc, sport, n)
        if r > 0:
            if e.wake is not None:
                e.wake()
        elif r < 0:
            self.stack.stats["udp_checksum"] += 1
        else:
            e.dropped += 1
            self.stack.stats["udp_queue_full"] += 1

    def error(self, kind, code, buf, ip, off, n, info):
        # An ICMP error about a datagram that we sent (RFC 1122 4.1.3.3).
        port = buf[off] << 8 | buf[off + 1]
        rport = buf[off + 2] << 8 | buf[off + 3]
        # A copy: a wake may close its endpoint.
        for e in list(self.endpoints):
            if e.port == port and e.remote_port == rport and _equal(buf, ip + 16, e.remote, 0, 4):
                if kind == 3:
                    if code == 3 or code == 2:
                        e.error = ECONNREFUSED
                    elif code == 4:
                        e.error = EMSGSIZE
                    else:
                        e.error = ENETUNREACH if code == 0 else EHOSTUNREACH
                if e.wake is not None:
                    e.wake()

    # Output.

    def send(self, e, data, dst, port, src=None):
        """Send data (bytes-like) from an endpoint. len(data) or -errno."""
        ip = self.stack.ip
        n = len(data)
        if n > 65507:
            return -EMSGSIZE
        ifc = e.ifc
        ttl = e.ttl
        if 224 <= dst[0] < 240:
            ttl = e.multicast_ttl
            ifc = e.multicast_ifc or ifc
        r = ip.route(dst, 0, ifc)
        if r is None:
            self.stack.stats["ip_no_route"] += 1
            return -ENETUNREACH
        if src is None:
            src = e.local
            if src is _ANY:
                src = r.ifc.net if r.kind != "local" or r.ifc.net[0] != 127 else dst
        tp = e.tos << 16 | ttl << 8 | _PROTO
        out = ip.egress(r)
        if n + 28 > out.mtu:
            return self._send_large(r, e, src, dst, port, data, tp)
        buf = out.borrow()
        if buf is None:
            return -ENOBUFS
        o = out.dev.tx_off + ip.PAYLOAD
        self._header(buf, o, e.port, port, n + HEADER)
        _copy(buf, o + HEADER, data, 0, n)
        self._checksum(buf, o, src, dst, n + HEADER)
        ip.send(r, src, dst, 0, n + HEADER, tp)
        self.stack.stats["udp_out"] += 1
        return n

    def _header(self, buf, o, sport, port, length):
        buf[o] = sport >> 8
        buf[o + 1] = sport & 0xFF
        buf[o + 2] = port >> 8
        buf[o + 3] = port & 0xFF
        buf[o + 4] = length >> 8
        buf[o + 5] = length & 0xFF
        buf[o + 6] = buf[o + 7] = 0

    def _checksum(self, buf, o, src, dst, length):
        # The pseudo-header's addresses are put where the IP header will have them.
        _copy(buf, o - 8, src, 0, 4)
        _copy(buf, o - 4, dst, 0, 4)
        c = _l4_sum(buf, o - 20, o, length, _PROTO, length) ^ 0xFFFF
        if not c:
            c = 0xFFFF
        buf[o + 6] = c & 0xFF
        buf[o + 7] = c >> 8

    def _send_large(self, r, e, src, dst, port, data, tp):
        n = len(data) + HEADER
        big = bytearray(20 + n)
        self._header(big, 20, e.port, port, n)
        _copy(big, 28, data, 0, n - HEADER)
        self._checksum(big, 20, src, dst, n)
        sent = self.stack.ip.send_data(r, src, dst, 0, memoryview(big)[20:], tp)
        if sent < 0:
            return sent
        self.stack.stats["udp_out"] += 1
        return n - HEADER
