# UDP (RFC 768, RFC 1122 4.1).
#
#    0             2                  4        6          8
#   | source port | destination port | length | checksum | payload
import array

from .. import native
from ..errors import (
    EADDRINUSE,
    ECONNREFUSED,
    EDESTADDRREQ,
    EHOSTUNREACH,
    EINVAL,
    EMSGSIZE,
    ENETUNREACH,
    ENOBUFS,
)

_m = native.load("memory")
_sum = _m.sum16
_ring_copy = _m.ring_copy
_copy = _m.copy
_equal = _m.equal
_find16 = _m.find16
_u = native.load("udp")
_parse = _u.udp_parse
_build = _u.udp_build

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
        self.reuse = False
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

    def matches(self, p):
        """Whether a datagram belongs to this endpoint."""
        if self.ifc is not None and self.ifc is not p.ifc:
            return False
        if self.local is not _ANY and not _equal(p.buf, p.ip + 16, self.local, 0, 4):
            return False
        if not self.remote_port:
            return True
        return p.sport == self.remote_port and _equal(p.buf, p.ip + 12, self.remote, 0, 4)

    def rank(self):
        """How specific the endpoint is."""
        return (2 if self.remote_port else 0) + (1 if self.local is not _ANY else 0)

    def put(self, p):
        """Copy a datagram into the ring while summing it: 1 taken, 0 full, -1 bad checksum."""
        if self.used + _RECORD + p.size > self.size or self.count >= 255:
            return 0
        if self.ring is None:
            self.ring = bytearray(self.size)
        s = self._store(p, self._at(self.used + _RECORD))
        if p.sum >= 0:
            s += p.sum
            if (s & 0xFFFF) + (s >> 16) != 0xFFFF:
                return -1
        self._note(p)
        self.used += _RECORD + p.size
        self.count += 1
        return 1

    def _at(self, n):
        # Where the n-th byte of what the ring holds lies.
        n += self.head
        return n - self.size if n >= self.size else n

    def _store(self, p, at):
        return _ring_copy(self.ring, at, p.buf, p.data, self.size, p.size)

    def _note(self, p):
        r = self.record
        r[0] = p.size & 0xFF
        r[1] = p.size >> 8
        r[2] = p.sport & 0xFF
        r[3] = p.sport >> 8
        r[4] = p.ttl
        _copy(r, 8, p.buf, p.ip + 12, 8)
        _ring_copy(self.ring, self._at(self.used), r, 0, self.size, _RECORD)

    def next_length(self):
        """Length of the oldest queued datagram, -1 if there is none. Its sender is in peer."""
        if not self.count:
            return -1
        r = self.record
        _ring_copy(r, 0, self.ring, self.head, -self.size, _RECORD)
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
        if n > len(buf) - off:
            n = len(buf) - off
        self._get(buf, off, n)
        if not peek:
            self._drop(length + _RECORD)
        return n

    def _get(self, buf, off, n):
        _ring_copy(buf, off, self.ring, self._at(_RECORD), -self.size, n)

    def _drop(self, n):
        self.head = self._at(n)
        self.used -= n
        self.count -= 1

    def send(self, data, dst, port):
        """Send bytes-like data to dst (4 bytes), port. len(data) or -errno."""
        return self.udp.send(self, data, dst, port)

    def push(self, data, off):
        """Send data[off:] to the connected peer. len(data) or -errno."""
        if self.error:
            return -self.clear_error()
        if not self.remote_port:
            return -EDESTADDRREQ
        if not self.port:
            self.udp.bind(self, _ANY, 0)
        return self.udp.send(self, data, self.remote, self.remote_port)

    def take(self, buf, n, peek=False):
        """read() for a socket: 0 if there is nothing, -errno for an error that waited."""
        if not self.count:
            return -self.clear_error()
        return self.read(buf, 0, n, peek)

    def clear_error(self):
        e = self.error
        self.error = 0
        return e

    def close(self):
        self.udp.close(self)


class UDP:
    """The endpoints of one stack."""

    def __init__(self, stack):
        self.stack = stack
        self.endpoints = []
        self.ports = array.array("H")
        self.on_unmatched = None  # a gateway takes what no port is open for
        self._head = array.array("i", [0] * 4)
        self._outgoing = _Outgoing()
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
        if not 0 <= port <= 0xFFFF:
            raise OSError(EINVAL)
        if port:
            for o in self.endpoints:
                if o is not e and o.port == port and not (reuse and o.reuse):
                    if o.local == local or o.local is _ANY or local is _ANY:
                        raise OSError(EADDRINUSE)
        else:
            port = self._free_port()
        if e in self.endpoints:
            self.close(e)
        e.local = local
        e.port = port
        e.reuse = reuse
        ports = array.array("H", self.ports)
        ports.append(port)
        self.endpoints.append(e)
        self.ports = ports

    def _free_port(self):
        # RFC 6056 3.3.1: random, so that an off-path attacker has to guess it.
        for _ in range(64):
            port = _EPHEMERAL + self.stack.random(14)
            if _find16(self.ports, len(self.ports), port, 0) < 0:
                return port
        raise OSError(EADDRINUSE)

    def close(self, e):
        if e in self.endpoints:
            # Ports and endpoints stay in step when memory runs out.
            ports = array.array("H", [o.port for o in self.endpoints if o is not e])
            self.endpoints.remove(e)
            self.ports = ports

    # Input.

    def input(self, p):
        h = self._head
        r = _parse(p.buf, p.ip, p.off, p.n, h)
        if r < 0:
            self.stack.stats["udp_short" if r == -1 else "udp_length"] += 1
            return
        p.sport = h[0]
        p.dport = h[1]
        p.size = h[2]
        p.sum = h[3]
        p.data = p.off + HEADER
        e = self._select(p)
        if e is None:
            if self._verified(p):
                self._unmatched(p)
        elif p.to == 2 or p.to == 3:
            if self._verified(p):
                self._deliver_group(p)
        elif e.handler is None or self._verified(p):
            self.stack.stats["udp_in"] += 1
            self._give(e, p)

    def _verified(self, p):
        # Who reads a datagram in place, or several of them, need its checksum settled first.
        if p.sum >= 0:
            s = p.sum + _sum(p.buf, p.data, p.size)
            if (s & 0xFFFF) + (s >> 16) != 0xFFFF:
                self.stack.stats["udp_checksum"] += 1
                return False
            p.sum = -1
        return True

    def _unmatched(self, p):
        if self.on_unmatched is not None and self.on_unmatched(p, p.sport, p.dport, p.size):
            return
        self.stack.stats["udp_no_port"] += 1
        self.stack.ip.icmp.send_error(p, 3, 3)

    def _deliver_group(self, p):
        # RFC 1122 4.1.3.6: everybody who listens gets a copy.
        self.stack.stats["udp_in"] += 1
        for o in list(self.endpoints):
            if o.port == p.dport and o.matches(p):
                self._give(o, p)

    def _select(self, p):
        # The most specific endpoint: connected before bound before any.
        best = None
        i = _find16(self.ports, len(self.ports), p.dport, 0)
        while i >= 0:
            e = self.endpoints[i]
            if e.matches(p) and (best is None or e.rank() > best.rank()):
                best = e
            i = _find16(self.ports, len(self.ports), p.dport, i + 1)
        return best

    def _give(self, e, p):
        if e.handler is not None:
            e.handler.datagram(e, p, p.data, p.size)
            return
        r = e.put(p)
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
        o = self._outgoing
        o.e = e
        o.data = data
        o.dst = dst
        o.port = port
        o.src = src
        return self._send(o)

    def _send(self, o):
        n = self._emit(o, len(o.data))
        o.e = o.data = None
        return n

    def _emit(self, o, n):
        if n > 65507:
            return -EMSGSIZE
        o.r = r = self._route(o.e, o.dst)
        if r is None:
            self.stack.stats["ip_no_route"] += 1
            return -ENETUNREACH
        if o.src is None:
            o.src = _source(o.e, r, o.dst)
        o.ifc = self.stack.ip.egress(r)
        if n + 28 > o.ifc.mtu:
            return self._send_large(o, n)
        if o.ifc.borrow() is None:
            return -ENOBUFS
        self._write(o, o.ifc, n)
        self.stack.ip.send(r, n + HEADER, o.tp())
        self.stack.stats["udp_out"] += 1
        return n

    def _route(self, e, dst):
        ifc = e.ifc
        if 224 <= dst[0] < 240:
            ifc = e.multicast_ifc or ifc
        return self.stack.ip.route(dst, 0, ifc)

    def _write(self, o, ifc, n):
        self.stack.ip.address(ifc, o.src, o.dst, 0)
        _fill(o, ifc.tx, ifc.tx_at, n)

    def _send_large(self, o, n):
        big = bytearray(28 + n)
        _copy(big, 12, o.src, 0, 4)
        _copy(big, 16, o.dst, 0, 4)
        _fill(o, big, 0, n)
        data = memoryview(big)[20:]
        sent = self.stack.ip.send_data(o.r, o.src, o.dst, 0, data, o.tp())
        if sent < 0:
            return sent
        self.stack.stats["udp_out"] += 1
        return n


class _Outgoing:
    # What is being sent, to whom and by which way.
    e = data = dst = src = r = ifc = None
    port = 0

    def __init__(self):
        self.head = array.array("i", [0] * 4)  # see udp_build()

    def tp(self):
        e = self.e
        ttl = e.multicast_ttl if 224 <= self.dst[0] < 240 else e.ttl
        return e.tos << 16 | ttl << 8 | _PROTO


def _source(e, r, dst):
    # At least the 4 bytes of a source address.
    if e.local is not _ANY:
        return e.local
    return dst if r.kind == "local" and r.ifc.net[0] == 127 else r.ifc.net


def _fill(o, buf, ip, n):
    # The datagram behind an IPv4 header at buf[ip:] that has its addresses; n: of the payload,
    # which is copied while it is summed.
    o.head[0] = o.e.port
    o.head[1] = o.port
    o.head[2] = n + HEADER
    o.head[3] = _ring_copy(buf, ip + 28, o.data, 0, 0, n)
    _build(buf, ip, o.head)
