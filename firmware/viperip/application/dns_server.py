# A small DNS server (RFC 1035): names that it is told, or every name, for a captive portal.
#
# The message's diagram is in dns.py. An answer never exceeds 512 bytes, so there is no TCP.
from ..address import ip4
from . import dns

_HEADER = const(12)
_A = const(1)
_OPT = const(41)
_TRANSFERS = (251, 252)  # IXFR, AXFR
_ANY = const(255)
_IN = const(1)
_EXTRA = const(4)  # records that a query may have behind its question
_SIZE = b"\x02\0"  # 512: what we can take, in an OPT record
_ARPA = b"\x04arpa\0"

# RCODEs: RFC 1035 4.1.1; BADVERS: RFC 6891 9.
_FORMERR = const(1)
_SERVFAIL = const(2)
_NXDOMAIN = const(3)
_NOTIMP = const(4)
_REFUSED = const(5)
_BADVERS = const(16)


class Server:
    """Answers DNS queries that come in on an interface.

    names: {name: address as text, or None for the interface's own}. captive: every other name has
    the interface's own address; without it there are no other names. ttl_s: how long an answer may
    be kept. ValueError: a name or an address is none.
    """

    def __init__(self, ifc, names=None, captive=True, ttl_s=10):
        self.ifc = ifc
        self.stack = ifc.stack
        self.captive = captive
        self.names = {}
        for name in names or ():
            addr = names[name]
            self.names[dns.encode(name)] = None if addr is None else ip4(addr)
        ttl = min(max(0, ttl_s), 86400)
        self.ttl = bytes((0, ttl >> 16, ttl >> 8 & 0xFF, ttl & 0xFF))
        self.stats = self.stack.stats
        for name in ("dnsd_bad", "dnsd_queries"):
            self.stats.setdefault(name, 0)
        self._ep = None

    def start(self):
        """Answer from now on. OSError(EADDRINUSE): port 53 is taken."""
        s = self.stack
        s.enter()
        try:
            if self._ep is None:
                self._ep = s.udp.open(handler=self, port=dns.PORT)
                self._ep.ifc = self.ifc
        finally:
            s.leave()

    def stop(self):
        """Stop answering."""
        if self._ep is not None:
            self.stack.enter()
            try:
                self._ep.close()
                self._ep = None
            finally:
                self.stack.leave()

    def datagram(self, ep, p, off, n):
        b = p.buf
        # An answer is never answered, or two servers might keep each other busy.
        if n < _HEADER or b[off + 2] & 0x80 or not p.sport:
            self.stats["dnsd_bad"] += 1
            return
        self.stats["dnsd_queries"] += 1
        reply = self._reply(b, off, off + n)
        # From the address that was asked; RFC 2181 4.1.
        src = self.ifc.addr if p.to == 2 or p.to == 3 else p.destination()
        self.stack.udp.send(ep, reply, p.source(), p.sport, src=src)

    def _reply(self, b, off, end):
        if b[off + 2] & 0x78:
            return _message(b, off, _NOTIMP)  # RFC 1035 4.1.1: another opcode than QUERY
        try:
            # RFC 9619 4: exactly one question.
            if b[off + 4] or b[off + 5] != 1:
                raise ValueError("questions")
            name, at = dns.read_name(b, off, off + _HEADER, end)
            if at + 4 > end:
                raise ValueError("cut question")
            version = _edns(b, off, at + 4, end)
        except ValueError:
            self.stats["dnsd_bad"] += 1
            return _message(b, off, _FORMERR)
        # RFC 1034 3.1 and its users: the question goes back with its case as it came.
        question = bytes(b[off + _HEADER : at + 4])
        if version > 0:
            return _message(b, off, _BADVERS, question, b"", version)
        code, addr = self._find(name, b[at] << 8 | b[at + 1], b[at + 2] << 8 | b[at + 3])
        answer = b"\xc0\x0c\0\1\0\1" + self.ttl + b"\0\4" + addr if addr else b""
        return _message(b, off, code, question, answer, version)

    def _find(self, name, kind, cls):
        # (RCODE, address or None)
        if cls != _IN and cls != _ANY or kind in _TRANSFERS:
            return _REFUSED, None
        if name in self.names:
            addr = self.names[name]
        elif not self.captive or name.endswith(_ARPA):
            # Addresses have no names here.
            return _NXDOMAIN, None
        else:
            addr = None
        if kind != _A and kind != _ANY:
            return 0, None  # RFC 2308 2.2: the name is there, such a record is not
        addr = addr or self.ifc.addr
        return (0, addr) if any(addr) else (_SERVFAIL, None)


def _edns(b, base, off, end):
    # The EDNS version of a query (RFC 6891), -1 without. Its other records are passed over.
    version = -1
    count = 0
    for i in (6, 8, 10):
        count += b[base + i] << 8 | b[base + i + 1]
    if count > _EXTRA:
        raise ValueError("records")
    for _ in range(count):
        owner, off = dns.read_name(b, base, off, end)
        if off + 10 > end:
            raise ValueError("cut record")
        if b[off] << 8 | b[off + 1] == _OPT:
            # RFC 6891 6.1.1: one, owned by the root.
            if version >= 0 or owner != b"\0":
                raise ValueError("bad OPT")
            version = b[off + 5]
        off += 10 + (b[off + 8] << 8 | b[off + 9])
        if off > end:
            raise ValueError("cut record")
    return version


def _message(b, off, code, question=b"", answer=b"", version=-1):
    # The reply to the query at b[off:]. RFC 1035 4.1.1: its id, opcode and RD; AA, as we decide.
    out = bytearray(b[off : off + _HEADER])
    out[2] = 0x84 | b[off + 2] & 0x79
    out[3] = code & 15
    out[4:12] = bytes(8)
    out[5] = 1 if question else 0
    out[7] = 1 if answer else 0
    out += question
    out += answer
    if version >= 0:
        # RFC 6891 6.1.1: a query with OPT gets one back; 7: the upper bits of the RCODE are in it.
        out[11] = 1
        out += b"\0\0\x29" + _SIZE + bytes((code >> 4, 0, 0, 0, 0, 0))
    return out
