# One-shot multicast DNS queries (RFC 6762 5.1): the addresses of a .local name, for the resolver.
#
# Asked from a port of its own: whoever has the name answers by unicast (6.7).
from ..address import network
from ..errors import ENOBUFS
from ..stack import Timer
from . import dns
from . import mdns_message as wire

_TRIES = const(3)
_FIRST_MS = const(1000)  # RFC 6762 5.2: at least a second, then twice as long each time
_ADDRESSES = const(8)


class Query(Timer):
    """Asks for the addresses of `name` (wire format) on all interfaces of a resolver's stack; then
    done(list of 4-byte addresses, 0 or errno)."""

    def __init__(self, resolver, name, done):
        self.resolver = resolver
        self.stack = stack = resolver.stack
        self.name = name
        self.done = done
        self.tries = 0
        self.ident = stack.random(16)
        self.message = wire.message(self.ident, 0, [wire.question(name, wire.A)])
        stack.stats.setdefault("mdns_bad", 0)
        self.ep = e = stack.udp.open(handler=self)
        e.multicast_ttl = 255
        stack.add_timer(self)

    def send(self):
        """Ask once more, or give up."""
        e = self.ep
        sent = False
        if self.tries < _TRIES:
            for ifc in self.stack.interfaces:
                if ifc.active and any(ifc.net[:4]) and ifc.net[0] != 127:
                    e.multicast_ifc = ifc
                    r = self.stack.udp.send(e, self.message, wire.GROUP, wire.PORT, src=ifc.addr)
                    sent = sent or r >= 0 or r == -ENOBUFS
            if not sent:
                self.finish([], dns.FAILED)
                return
            self.stack.arm(self, _FIRST_MS << self.tries)
            self.tries += 1
        else:
            self.finish([], dns.NOT_FOUND)

    def expire(self, now):
        self.send()

    def datagram(self, ep, p, off, n):
        # RFC 6762 11: from this link only. 18: a response without an error; and, as it is the
        # answer to a legacy query (6.7), to this one.
        ifc = p.ifc
        if p.sport != wire.PORT or ep is not self.ep:
            return
        if network(p.source(), ifc.mask) != network(ifc.addr, ifc.mask):
            return
        try:
            m = wire.Message(p.buf, off, n)
        except ValueError:
            self.stack.stats["mdns_bad"] += 1
            return
        if m.flags & 0xF80F != 0x8000 or m.ident != self.ident:
            return
        found = []
        ttl = 0xFFFF
        for _, name, kind, cls, seconds, data in m.records:
            if name == self.name and kind == wire.A and cls & 0x7FFF == wire.IN and seconds:
                if data not in found and len(found) < _ADDRESSES:
                    found.append(data)
                ttl = min(ttl, seconds)
        if found:
            self.resolver.remember(self.name, found, ttl)
            self.finish(found, 0)

    def close(self):
        """Give up. It may be called more than once."""
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
