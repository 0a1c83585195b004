# DNS stub resolver (RFC 1034 5.3.1, RFC 1035): addresses of names, over UDP.
#
#    0    2       4           6         8           10           12
#   | id | flags | questions | answers | authority | additional | question and records
from ..address import ip4
from ..errors import ENOBUFS, ETIMEDOUT
from ..stack import Timer, diff

PORT = 53
NOT_FOUND = -2  # EAI_NONAME, what MicroPython's getaddrinfo raises
FAILED = -3  # EAI_AGAIN: no server, or none that could answer

_HEADER = const(12)
_NAME = const(255)  # RFC 1035 2.3.4
_LABEL = const(63)
_HOPS = const(16)  # compression pointers in one name
_CHAIN = const(8)  # CNAMEs followed
_RECORDS = const(64)
_ADDRESSES = const(8)
_CACHE = const(16)
_QUERIES = const(8)
_ROUNDS = const(3)
_FIRST_MS = const(1500)
_TTL_S = const(86400)
_MASK = const(0x3FFFFFFF)
_TAIL = b"\0\1\0\1"  # type A, class IN
_ASK = const(1)  # no answer without a server
_LOCAL = b"\x7f\0\0\x01"


def encode(name):
    """A host name in wire format, lower case. ValueError if it is none (RFC 1035 2.3.4)."""
    if name.endswith("."):
        name = name[:-1]
    out = bytearray()
    for label in name.split("."):
        raw = label.lower().encode()
        if not 0 < len(raw) <= _LABEL:
            raise ValueError("not a host name")
        for c in raw:
            if not 32 < c < 127:
                raise ValueError("not a host name")
        out.append(len(raw))
        out.extend(raw)
    out.append(0)
    if len(out) > _NAME:
        raise ValueError("not a host name")
    return bytes(out)


def read_name(buf, base, off, end):
    """(wire name in lower case, offset behind it) of the name at buf[off]; the message is
    buf[base:end]. ValueError if it is malformed."""
    out = bytearray()
    after = -1
    # RFC 1035 4.1.4: a pointer is to a prior occurrence, so each must go further back.
    lowest = off
    hops = 0
    while True:
        if off >= end:
            raise ValueError("cut name")
        n = buf[off]
        if n >= 0xC0:
            if off + 2 > end:
                raise ValueError("cut name")
            to = base + ((n & 0x3F) << 8 | buf[off + 1])
            hops += 1
            if to >= lowest or to < base + _HEADER or hops > _HOPS:
                raise ValueError("bad pointer")
            if after < 0:
                after = off + 2
            off = lowest = to
            continue
        if n > _LABEL or off + 1 + n > end:
            raise ValueError("bad label")
        out.extend(buf[off : off + 1 + n])
        if len(out) > _NAME:
            raise ValueError("long name")
        off += 1 + n
        if not n:
            return bytes(out).lower(), (off if after < 0 else after)


def read_answers(buf, off, end, count, base):
    """Records at buf[off:]: ({owner: (CNAME target, ttl)}, {owner: [addresses]}, {owner: ttl})."""
    names = {}
    found = {}
    ttls = {}
    for _ in range(min(count, _RECORDS)):
        owner, off = read_name(buf, base, off, end)
        if off + 10 > end:
            raise ValueError("cut record")
        kind = buf[off] << 8 | buf[off + 1]
        internet = buf[off + 2] << 8 | buf[off + 3] == 1
        t = off + 4
        # RFC 2181 8: a TTL with the top bit set counts as zero.
        ttl = _TTL_S
        if buf[t] & 0x80:
            ttl = 0
        elif not buf[t]:
            ttl = min(_TTL_S, buf[t + 1] << 16 | buf[t + 2] << 8 | buf[t + 3])
        n = buf[off + 8] << 8 | buf[off + 9]
        off += 10
        if off + n > end:
            raise ValueError("cut record")
        if internet and kind == 1:
            if n != 4:
                raise ValueError("bad address")
            a = found.setdefault(owner, [])
            if len(a) < _ADDRESSES:
                a.append(bytes(buf[off : off + 4]))
            ttls[owner] = min(ttl, ttls.get(owner, _TTL_S))
        elif internet and kind == 5:
            target, last = read_name(buf, base, off, end)
            if last > off + n:
                raise ValueError("bad CNAME")
            names.setdefault(owner, (target, ttl))
        off += n
    return names, found, ttls


class _Query(Timer):
    # One name being asked for. The endpoint is connected to the server asked at the moment.

    def __init__(self, resolver, name, servers, done):
        self.resolver = resolver
        self.stack = resolver.stack
        self.asked = name
        self.name = name  # what is asked now: further down a chain of CNAMEs
        self.done = done
        self.servers = servers
        self.server = resolver.best % len(servers)
        self.attempt = 0
        self.chain = 0
        self.ttl = _TTL_S
        self.error = ETIMEDOUT
        self.stream = None  # the query over TCP
        self.ep = None
        self.message = b""
        self._new()
        self.stack.add_timer(self)

    def _new(self):
        # RFC 5452 9.2: an unpredictable id and source port for each query.
        if self.ep is not None:
            self.ep.close()
        self.ep = e = self.stack.udp.open(handler=self)
        e.wake = self._icmp
        e.remote_port = PORT
        ident = self.stack.random(16)
        head = bytes((ident >> 8, ident & 0xFF, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0))
        self.message = head + self.name + _TAIL

    def send(self):
        # To the next server that can be reached; each gets _ROUNDS tries.
        while self.attempt < _ROUNDS * len(self.servers):
            wait = _FIRST_MS << self.attempt // len(self.servers)
            self.ep.remote = server = self.servers[self.server]
            self.ep.error = 0
            r = self.stack.udp.send(self.ep, self.message, server, PORT)
            if r >= 0 or r == -ENOBUFS:
                self.stack.arm(self, wait)
                return
            self.error = -r
            self._next()
        self.finish([], self.error)

    def _next(self):
        self.attempt += 1
        self.server = (self.server + 1) % len(self.servers)
        if self.chain:
            # Where one server has led us, another need not follow.
            self.name = self.asked
            self.chain = 0
            self.ttl = _TTL_S
            self._new()

    def expire(self, now):
        self._close_stream()
        self._next()
        self.send()

    def _failed(self):
        # This server cannot help: ask the next at once.
        self.error = FAILED
        self.due = -1
        self._next()
        self.send()

    def _icmp(self):
        # In the middle of somebody's transmission, it may be: the timer asks the next server.
        if self.ep is not None and self.ep.error and self.stream is None:
            self.error = FAILED
            self.stack.arm(self, 0)

    def _close_stream(self):
        if self.stream is not None:
            self.stream.close()
            self.stream = None

    def close(self):
        self._close_stream()
        self.due = -1
        self.stack.remove_timer(self)
        if self.ep is not None:
            self.ep.close()
            self.ep = None
        if self in self.resolver.queries:
            self.resolver.queries.remove(self)

    def finish(self, addrs, error):
        self.close()
        self.done(addrs, error)

    # The answer.

    def datagram(self, ep, p, off, n):
        if ep is self.ep and self.stream is None:
            self.reply(p.buf, off, n, False)

    def reply(self, b, off, n, stream):
        m = self.message
        end = off + n
        # RFC 5452 9.1: the id and the question must be those sent; the endpoint has already
        # compared the address and port of the server.
        good = n >= _HEADER and b[off] == m[0] and b[off + 1] == m[1] and b[off + 2] & 0xF8 == 0x80
        if good:
            good = b[off + 4] << 8 | b[off + 5] == 1
            try:
                name, at = read_name(b, off, off + _HEADER, end)
                good = good and name == self.name and bytes(b[at : min(at + 4, end)]) == _TAIL
            except ValueError:
                good = False
        if not good:
            self.stack.stats["dns_bad"] += 1
            if stream:
                self._failed()  # nothing else will come from there
            return
        code = b[off + 3] & 15
        if code == 3:
            self.finish([], NOT_FOUND)
        elif code:
            self._failed()
        elif b[off + 2] & 2:
            self._truncated(stream)
        else:
            try:
                records = read_answers(b, at + 4, end, b[off + 6] << 8 | b[off + 7], off)
            except ValueError:
                self.stack.stats["dns_bad"] += 1
                self._failed()
                return
            self._answer(*records)

    def _truncated(self, stream):
        # RFC 7766 5: ask again over TCP.
        if stream:
            self._failed()
            return
        ask = self.resolver.tcp_query
        try:
            self.stream = ask(self.servers[self.server], self.message, self._from_stream)
        except OSError:
            self._failed()
            return
        self.stack.arm(self, _FIRST_MS << _ROUNDS)

    def _from_stream(self, message):
        # message: the reply (bytes-like) or None.
        if self.ep is None:
            return
        self._close_stream()
        if message is None:
            self._failed()
        else:
            self.reply(message, 0, len(message), True)

    def _answer(self, names, found, ttls):
        name = self.name
        while name not in found and name in names:
            self.chain += 1
            if self.chain > _CHAIN:
                self._failed()
                return
            name, ttl = names[name]
            self.ttl = min(self.ttl, ttl)
        if name in found:
            self.resolver.best = self.server
            self.resolver.remember(self.asked, found[name], min(self.ttl, ttls[name]))
            self.finish(found[name], 0)
        elif name != self.name:
            # The server left the end of the chain to us.
            self.name = name
            self._new()
            self.send()
        else:
            self.finish([], NOT_FOUND)


class Resolver(Timer):
    """Looks host names up (A records) at the DNS servers of the active interfaces.

    tcp_query: a function (server, message, done) that asks over TCP, calls done(reply or None)
    after it has returned an object with close(). OSError if it cannot begin.
    """

    def __init__(self, stack):
        self.stack = stack
        self.tcp_query = self._tcp_query
        self.queries = []
        self.cache = []  # (wire name, addresses, time it ends), oldest first
        self.best = 0  # index of the server that answered last
        stack.stats.setdefault("dns_bad", 0)
        stack.add_timer(self)

    def _tcp_query(self, server, message, done):
        from .dns_tcp import Stream

        return Stream(self.stack, server, message, done)

    def _local(self, wire, done):
        from .mdns_query import Query

        return Query(self, wire, done)

    def servers(self):
        """Addresses (4 bytes) of the servers that are asked, in order."""
        out = []
        for ifc in self.stack.interfaces:
            if ifc.active:
                for a in ifc.dns:
                    if a not in out:
                        out.append(a)
        return out

    def query(self, name, done):
        """Look `name` up; then done(list of 4-byte addresses, 0 or errno).

        Returns what cancel() takes, or None if done() has already been called.
        """
        s = self.stack
        s.enter()
        try:
            addrs, error = self._known(name)
            if error == _ASK:
                wire = encode(name)
                servers = self.servers()
                # RFC 6762 3: what ends with .local is asked for on the link, and nowhere else.
                local = wire.endswith(b"\x05local\0")
                if not servers and not local:
                    error = FAILED
                elif len(self.queries) >= _QUERIES:
                    error = ENOBUFS
                else:
                    q = self._local(wire, done) if local else _Query(self, wire, servers, done)
                    self.queries.append(q)
                    q.send()
                    return q if q.ep is not None else None
            done(addrs, error)
            return None
        finally:
            s.leave()

    def cancel(self, query):
        """Forget a query; its done() will not be called."""
        if query is not None:
            self.stack.enter()
            try:
                query.close()
            finally:
                self.stack.leave()

    def lookup(self, name, timeout_ms=12000):
        """Addresses (4 bytes each) of a name. OSError: -2 there is none, -3, ETIMEDOUT."""
        s = self.stack
        result = []
        q = self.query(name, lambda addrs, error: result.append((addrs, error)))
        start = s.time()
        while not result:
            left = timeout_ms - diff(s.time(), start)
            if left <= 0:
                self.cancel(q)
                raise OSError(ETIMEDOUT)
            s.wait(left)
        addrs, error = result[0]
        if error:
            raise OSError(error)
        return addrs

    def _known(self, name):
        # (addresses, 0) of what needs no server, ([], _ASK) of what does.
        try:
            return [ip4(name)], 0
        except ValueError:
            pass
        try:
            wire = encode(name)
        except ValueError:
            return [], NOT_FOUND
        # RFC 6761 6.3: localhost and what is below it never leaves the host.
        if wire.endswith(b"\x09localhost\0"):
            return [_LOCAL], 0
        own = self.stack.hostname
        if own and name.lower() == own.lower() or wire == self.stack.local_name:
            ifcs = self.stack.interfaces
            a = [i.addr for i in ifcs if i.active and i.net[0] and i.net[0] != 127]
            return a or [_LOCAL], 0
        now = self.stack.now
        for known, addrs, until in self.cache:
            if known == wire and diff(until, now) > 0:
                return list(addrs), 0
        return [], _ASK

    # The cache.

    def remember(self, wire, addrs, ttl):
        """Keep an answer for ttl seconds."""
        if ttl <= 0:
            return
        self.cache = [c for c in self.cache if c[0] != wire][-_CACHE + 1 :]
        ms = 1000 * ttl
        self.cache.append((wire, list(addrs), (self.stack.now + ms) & _MASK))
        if self.due < 0 or diff(self.due, self.stack.now) > ms:
            self.stack.arm(self, ms)

    def flush(self):
        """Forget all answers."""
        self.cache = []

    def expire(self, now):
        # Entries go when they end: left lying they would look new once the clock has wrapped.
        self.cache = [c for c in self.cache if diff(c[2], now) > 0]
        left = [diff(c[2], now) for c in self.cache]
        if left:
            self.stack.arm(self, min(left))
