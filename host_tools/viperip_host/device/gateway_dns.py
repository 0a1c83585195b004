# DNS on the private wire: names of the host's hosts file at once, all others asked of the host's
# name servers. Without any, SERVFAIL: the board learns quickly that there is nobody to ask.
import gateway_host
from viperip.address import ip4
from viperip.stack import Timer

_PORT = 53
_QUERIES = 64  # at a time
_PATIENCE_MS = 2000  # per name server
_TTL = 60
_SERVFAIL = 2


def question(q):
    """(name in lower case, type, end of the question), or None if it cannot be read."""
    n = len(q)
    if n < 17 or q[4] or q[5] != 1 or q[2] & 0x80:
        return None
    labels = []
    at = 12
    while at < n and q[at]:
        size = q[at]
        if size > 63 or at + 1 + size >= n:
            return None
        labels.append(bytes(q[at + 1 : at + 1 + size]))
        at += 1 + size
    if at + 5 > n:
        return None
    try:
        name = b".".join(labels).decode().lower()
    except UnicodeError:
        return None
    return name, q[at + 1] << 8 | q[at + 2], at + 5


def reply(q, end, code=0, ip=None):
    """The answer to query q: a code, and the address (4 bytes) if there is one."""
    out = bytearray(q[:end])
    out[2] = 0x80 | q[2] & 0x79  # a response; opcode and RD as they were
    out[3] = 0x80 | code
    out[6:12] = bytes(6)
    if ip is not None:
        out[7] = 1
        out.extend(b"\xc0\x0c\0\1\0\1\0\0\0" + bytes([_TTL]) + b"\0\4" + ip)
    return out


class Relay(Timer):
    """The gateway's port 53."""

    def __init__(self, stack, relays, told):
        self.stack = stack
        self.relays = relays
        self.servers = [ip4(a) for a in told["nameservers"]]
        self.hosts = told["hosts"]
        self.queries = []
        self.endpoint = stack.udp.open(handler=self, port=_PORT)
        stack.add_timer(self)

    def datagram(self, endpoint, p, off, n):
        q = bytes(p.buf[off : off + n])
        asked = question(q)
        if asked is None:
            return
        name, kind, end = asked
        to = (p.source(), p.buf[p.off] << 8 | p.buf[p.off + 1])
        if name in self.hosts:
            # Type 1 is A; the name exists with no other.
            self.send(reply(q, end, 0, ip4(self.hosts[name]) if kind == 1 else None), to)
        elif not self.servers or len(self.queries) >= _QUERIES:
            self.send(reply(q, end, _SERVFAIL), to)
        else:
            self.queries.append(_Query(self, q, end, to))

    def send(self, data, to):
        self.endpoint.send(data, to[0], to[1])

    def expire(self, now):
        for query in list(self.queries):
            query.check(now)
        if self.queries:
            self.stack.arm(self, 200)


class _Query:
    # One question on its way, from a socket of its own.

    def __init__(self, relay, q, end, to):
        self.relay = relay
        self.q = q
        self.end = end
        self.to = to
        self.server = -1
        self.sock = None
        self.fd = -1
        self.next()

    def next(self):
        # Ask the next server; after the last one the board is told.
        relay = self.relay
        self.close()
        while self.server + 1 < len(relay.servers):
            self.server += 1
            try:
                self.sock = gateway_host.udp(relay.servers[self.server], _PORT)
                self.sock.send(self.q)
            except OSError:
                self.close()
                continue
            self.fd = relay.relays.add(self.sock, self)
            self.since = relay.stack.now
            relay.stack.arm(relay, 200)
            return
        self.finish(reply(self.q, self.end, _SERVFAIL))

    def ready(self, events):
        try:
            data = gateway_host.receive(self.sock)
        except OSError:
            self.next()
            return
        if data is not None and len(data) >= 12 and data[:2] == self.q[:2]:
            self.finish(data)

    def check(self, now):
        if (now - self.since) & 0x3FFFFFFF >= _PATIENCE_MS:
            self.next()

    def finish(self, data):
        self.close()
        if self in self.relay.queries:
            self.relay.queries.remove(self)
        self.relay.send(data, self.to)

    def close(self):
        if self.sock is not None:
            if self.fd >= 0:
                self.relay.relays.remove(self.fd)
            self.sock.close()
            self.sock = None
            self.fd = -1


def start(stack, relays, told, addr):
    """Serve DNS on the gateway's address."""
    return Relay(stack, relays, told)
