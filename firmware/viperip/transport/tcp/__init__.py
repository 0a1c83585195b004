# TCP (RFC 9293): the connections and listeners of one stack.
import array

from ... import native
from ...errors import (
    EADDRINUSE,
    EADDRNOTAVAIL,
    ECONNREFUSED,
    EHOSTUNREACH,
    ENETUNREACH,
    ENOBUFS,
)
from . import output
from .connection import Connection
from .input import arrive, take_syn
from .segment import ACK, FIN, HEADER, RST, SYN
from .states import CLOSED, FIN_WAIT_2, LISTEN, SYN_RCVD, SYN_SENT, TIME_WAIT

_m = native.load("memory")
_sum = _m.sum16
_pseudo_sum = _m.pseudo_sum
_copy = _m.copy
_equal = _m.equal
_demux = native.load("tcp").demux
_PROTO = const(6)
_ANY = bytes(4)
_ROW = const(12)
_EPHEMERAL = const(49152)
_LEAST_MTU = const(576)  # RFC 791: what every host takes

_COUNTS = (
    "tcp_in",
    "tcp_out",
    "tcp_short",
    "tcp_offset",
    "tcp_checksum",
    "tcp_no_port",
    "tcp_not_unicast",
    "tcp_resets_out",
    "tcp_retransmits",
    "tcp_timeouts",
    "tcp_fast_retransmits",
    "tcp_dupacks",
    "tcp_backlog_full",
    "tcp_table_full",
    "tcp_holes_full",
    "tcp_challenges_limited",
)


class Listener:
    """A listening port. Connections wait in `queue`, half-open ones count against the backlog."""

    state = LISTEN

    def __init__(self, tcp, local, port, backlog, snd_size, rcv_size):
        self.tcp = tcp
        self.local = local
        self.port = port
        self.backlog = max(1, backlog)
        self.snd_size = snd_size
        self.rcv_size = rcv_size
        self.queue = []
        self.half_open = 0
        self.ifc = None
        self.wake = None

    def full(self):
        return self.half_open + len(self.queue) >= self.backlog

    def ready(self, c):
        # A connection of ours is established.
        self.half_open -= 1
        self.queue.append(c)
        if self.wake is not None:
            self.wake()

    def gone(self, c):
        if c not in self.queue:
            self.half_open -= 1
        c.listener = None

    def accept(self):
        """The oldest established connection, or None."""
        if not self.queue:
            return None
        c = self.queue.pop(0)
        c.listener = None
        return c

    def close(self):
        """Stop listening; connections nobody accepted are reset."""
        if self in self.tcp.listeners:
            self.tcp.listeners.remove(self)
        for c in list(self.tcp.connections):
            if c.listener is self:
                c.listener = None
                c.orphan = True
                c.abort()
        self.queue.clear()

    def as_dict(self):
        from ...address import ip4_text

        return {
            "proto": "tcp",
            "local": "%s:%d" % (ip4_text(self.local), self.port),
            "remote": "*",
            "state": "LISTEN",
            "recv_q": len(self.queue),
            "send_q": self.backlog,
        }


class TCP:
    """min_rto, initial_rto, msl_ms, fin_wait_2_ms in ms; snd_size, rcv_size: default buffers."""

    def __init__(self, stack):
        self.stack = stack
        self.connections = []
        self.listeners = []
        self.dirty = None
        self.on_unmatched = None  # a gateway decides about a SYN that no listener is there for
        self.min_rto = 200
        self.initial_rto = 1000
        self.msl_ms = 30000
        self.fin_wait_2_ms = 60000
        self.max_connections = stack.tcp_connections
        self.max_time_wait = stack.tcp_connections // 4
        self.snd_size = self.rcv_size = stack.tcp_buffer
        self._table = b""
        self._seg = array.array("i", [0] * 8)
        self.out = array.array("i", [0] * 5)  # the segment being sent, see segment_build
        self._secret = stack.urandom(16)
        self._rings = []
        for name in _COUNTS:
            stack.stats[name] = 0
        stack.ip.handlers[_PROTO] = self

    # Input.

    def input(self, p):
        stats = self.stack.stats
        if p.n < HEADER:
            stats["tcp_short"] += 1
            return
        if p.to != 1 or p.group:
            # RFC 1122 4.2.3.10.
            stats["tcp_not_unicast"] += 1
            return
        i = _demux(self._table, len(self.connections), p.buf, p.ip, p.off)
        if i >= 0:
            c = self.connections[i]
            if c.state != TIME_WAIT or not self._reopen(c, p):
                arrive(c, p, self._seg)
                return
        self._new(p)

    def _reopen(self, c, p):
        # RFC 9293 3.10.7.4: a SYN beyond RCV.NXT may reopen a connection in TIME-WAIT.
        if p.buf[p.off + 13] & (SYN | ACK | RST) != SYN:
            return False
        port = p.buf[p.off + 2] << 8 | p.buf[p.off + 3]
        if self._listener(p, port) is None and self.on_unmatched is None:
            return False
        if not self._checksum(p):
            return False
        from .input import _parse

        if _parse(p.buf, p.ip, p.off, p.n, c.words, self._seg) < 0 or self._seg[0] <= 0:
            return False
        c.drop()
        return True

    def _checksum(self, p):
        s = _pseudo_sum(p.buf, p.ip, _PROTO, p.n) + _sum(p.buf, p.off, p.n)
        if (s & 0xFFFF) + (s >> 16) == 0xFFFF:
            return True
        self.stack.stats["tcp_checksum"] += 1
        return False

    def _new(self, p):
        # A segment for no connection (RFC 9293 3.10.7.1, 3.10.7.2).
        b = p.buf
        h = b[p.off + 12] >> 4 << 2
        if h < HEADER or h > p.n:
            self.stack.stats["tcp_offset"] += 1
            return
        if not self._checksum(p):
            return
        flags = b[p.off + 13]
        if flags & RST:
            return
        port = b[p.off + 2] << 8 | b[p.off + 3]
        if flags & (SYN | ACK | FIN) == SYN:
            listener = self._listener(p, port)
            if listener is not None:
                self._passive_open(listener, p)
                return
            if self.on_unmatched is not None and self.on_unmatched(p, port):
                return
        self.stack.stats["tcp_no_port"] += 1
        n = p.n - h + (1 if flags & SYN else 0) + (1 if flags & FIN else 0)
        output.reset(self, p, flags & ACK, n)

    def _listener(self, p, port):
        best = None
        for s in self.listeners:
            if s.port == port and (s.ifc is None or s.ifc is p.ifc):
                if s.local == _ANY:
                    best = best or s
                elif _equal(p.buf, p.ip + 16, s.local, 0, 4):
                    return s
        return best

    def _passive_open(self, listener, p):
        stats = self.stack.stats
        if listener.full() and not self._recycle(listener):
            # Silence: the peer will try again (RFC 9293 leaves it open, Linux does so).
            stats["tcp_backlog_full"] += 1
            return
        if not self.make_room():
            stats["tcp_table_full"] += 1
            return
        b = p.buf
        o = p.off
        c = Connection(
            self,
            p.destination(),
            listener.port,
            p.source(),
            b[o] << 8 | b[o + 1],
            listener.snd_size,
            listener.rcv_size,
        )
        c.ifc = listener.ifc
        c.want_scale = _scale(c.rcv_size)
        c.open(SYN_RCVD)
        take_syn(c, p, self._seg)
        self.add(c)
        # Last: memory that runs out on the way must not leave half a connection in the backlog.
        c.listener = listener
        listener.half_open += 1

    def _recycle(self, listener):
        # RFC 4987 3.4: the oldest half-open connection makes way, once its SYN,ACK has had to be
        # repeated. A younger one may be a client's that is about to answer.
        for c in self.connections:
            if c.listener is listener and c.state == SYN_RCVD and c.backoff:
                c.orphan = True
                c.drop()
                return True
        return False

    # ICMP errors about our segments (RFC 1122 4.2.3.9, RFC 5927).

    def error(self, kind, code, buf, ip, off, n, info):
        for c in self.connections:
            r = c.row
            if (
                _equal(buf, ip + 16, r, 0, 4)
                and _equal(buf, ip + 12, r, 4, 4)
                and _equal(buf, off, r, 10, 2)
                and _equal(buf, off + 2, r, 8, 2)
            ):
                self._soft_error(c, kind, code, info, buf, off)
                return

    def _soft_error(self, c, kind, code, info, buf, off):
        # RFC 5927 4.1: the quoted sequence number has to be one that is in flight.
        from .input import _parse

        quoted = bytearray(HEADER)
        _copy(quoted, 0, buf, off, 8)
        quoted[12] = HEADER << 2
        words = array.array("I", c.words)
        words[1] = words[0]
        _parse(quoted, 0, 0, HEADER, words, self._seg)
        if not 0 <= self._seg[0] < c.snd_max:
            return
        if kind == 3 and code == 4:
            _path_mtu(c, info)
            return
        c.soft_error = ENETUNREACH if kind == 3 and code in (0, 6) else EHOSTUNREACH
        if c.state == SYN_SENT and kind == 3 and code in (1, 2, 3):
            c.fail(EHOSTUNREACH if code == 1 else ECONNREFUSED)

    # The table.

    def add(self, c):
        # Rows and connections stay in step wherever memory runs out: demux() checks nothing.
        table = self._table + c.row
        self.stack.add_timer(c)
        self.connections.append(c)
        self._table = table

    def remove(self, c):
        if c in self.connections:
            table = b"".join([o.row for o in self.connections if o is not c])
            self.connections.remove(c)
            self._table = table
        self.stack.remove_timer(c)

    def make_room(self):
        """True if one more connection fits; one that has no user makes way if need be."""
        if len(self.connections) < self.max_connections:
            return True
        for c in self.connections:
            if c.state == TIME_WAIT or (c.state == FIN_WAIT_2 and c.orphan):
                c.drop()
                return True
        for c in self.connections:
            # RFC 6429 4: a peer that takes nothing holds no place that is needed.
            if c.orphan and c.backoff:
                c.abort()
                return True
        return False

    def limit_time_wait(self):
        n = 0
        oldest = None
        for c in self.connections:
            if c.state == TIME_WAIT:
                n += 1
                oldest = oldest or c
        if n > self.max_time_wait:
            oldest.drop()

    def take_ring(self, size):
        for i in range(len(self._rings)):
            if len(self._rings[i]) == size:
                return self._rings.pop(i)
        return bytearray(size)

    def give_ring(self, ring):
        if ring is not None and len(self._rings) < 4:
            self._rings.append(ring)

    # Opening.

    def listen(self, local, port, backlog=8, snd_size=0, rcv_size=0):
        """Listen on an address (4 zero bytes: any) and port. OSError(EADDRINUSE)."""
        for s in self.listeners:
            if s.port == port and (s.local == local or s.local == _ANY or local == _ANY):
                raise OSError(EADDRINUSE)
        snd = snd_size or self.snd_size
        s = Listener(self, bytes(local), port, backlog, snd, rcv_size or self.rcv_size)
        self.listeners.append(s)
        return s

    def connect(self, remote, port, local=None, local_port=0, ifc=None, snd_size=0, rcv_size=0):
        """Begin to open a connection. OSError: ENETUNREACH, EADDRINUSE, ENOBUFS."""
        ip = self.stack.ip
        r = ip.route(remote, 0, ifc)
        if r is None:
            raise OSError(ENETUNREACH)
        if remote[0] >= 224 or not any(remote):
            raise OSError(ENETUNREACH)
        if not self.make_room():
            raise OSError(ENOBUFS)
        if local is None or local == _ANY:
            local = ip.source_for(r, remote)
        if not any(local):
            raise OSError(EADDRNOTAVAIL)
        local_port = local_port or self.free_port(remote, port)
        for c in self.connections:
            if (c.port, c.remote_port, c.remote) == (
                local_port,
                port,
                remote,
            ) and c.local == local:
                if c.state != TIME_WAIT:
                    raise OSError(EADDRINUSE)
                c.drop()
                break
        snd = snd_size or self.snd_size
        c = Connection(self, local, local_port, remote, port, snd, rcv_size or self.rcv_size)
        c.ifc = ifc
        c.want_scale = _scale(c.rcv_size)
        c.open(SYN_SENT)
        self.add(c)
        return c

    def free_port(self, remote, port):
        """A random port (RFC 6056 3.3.1) that no connection to this peer uses."""
        for _ in range(64):
            p = _EPHEMERAL + self.stack.random(14)
            if self.port_free(p):
                return p
        raise OSError(EADDRINUSE)

    def port_free(self, port):
        for c in self.connections:
            if c.port == port:
                return False
        for s in self.listeners:
            if s.port == port:
                return False
        return True

    def choose_iss(self, c):
        """RFC 6528: ISS = M + F(addresses, ports, secret), M the 4 microsecond clock."""
        from hashlib import sha256

        d = sha256(c.row + self._secret).digest()
        f = d[0] << 24 | d[1] << 16 | d[2] << 8 | d[3]
        c.words[0] = (f + self.stack.now * 250) & 0xFFFFFFFF
        c.words[4] = c.words[0]

    # Output.

    def flush(self):
        """Send what the segments and calls since the last time gave reason to."""
        while self.dirty is not None:
            # Out of the list first: what is raised here must not take the others along.
            c = self.dirty
            self.dirty = c.next_dirty
            c.next_dirty = None
            c.dirty = False
            if c.state != CLOSED:
                output.flush(c)

    def draining(self):
        """True while a connection whose user has gone still has something to deliver."""
        for c in self.connections:
            if c.orphan and c.state != TIME_WAIT and c.state != FIN_WAIT_2:
                return True
        return False


def _path_mtu(c, mtu):
    # RFC 1191 3, RFC 5927 7. No text is cut smaller than for a path of 576 bytes, or a forged
    # message would make a segment of every few: routers may fragment instead.
    if mtu < _LEAST_MTU:
        if mtu - 40 >= c.mss or not c.df:
            return
        mtu = _LEAST_MTU
        c.df = 0
    elif mtu - 40 >= c.mss:
        return
    c.mss = min(c.mss, mtu - 40)
    c.snd_nxt = 0
    c.touch()


def _scale(size):
    # RFC 7323 2.3: the smallest shift with which the buffer fits in 16 bits.
    shift = 0
    while size >> shift > 0xFFFF and shift < 14:
        shift += 1
    return shift
