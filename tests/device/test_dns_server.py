# The DNS server, query by query.
from harness import ME, MAC, NET_BROADCAST, ALL_MAC, UDP, be16, get16, host, raises, udp
from viperip.application.dns_server import Server
from viperip.errors import EADDRINUSE

A, PTR, AAAA, ANY = 1, 12, 28, 255
WWW = b"\x03www\x07Example\x03ORG\0"
OPT = b"\0\0\x29\x10\0\0\0\0\0\0\0"
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)


def question(name=WWW, kind=A, cls=1):
    return name + be16(kind) + be16(cls)


def query(body, flags=0x0100, counts=(1, 0, 0, 0), ident=0x1234):
    head = be16(ident) + be16(flags)
    for c in counts:
        head += be16(c)
    return head + body


class World:
    def __init__(self, **options):
        self.h = host()
        self.server = Server(self.h.ifc, **options)
        self.server.start()

    def ask(self, message, dst=ME, mac=MAC):
        self.h.ip(UDP, udp(5353, 53, message, dst=dst), dst=dst, mac=mac)
        out = self.h.datagrams()
        if not out:
            return None
        (d,) = out
        assert d.src == ME and get16(d.payload, 0) == 53 and get16(d.payload, 2) == 5353
        assert d.payload[6:8] != b"\0\0"
        m = d.payload[8:]
        assert m[:2] == message[:2] and m[2] & 0x80
        return m

    def code(self, message):
        m = self.ask(message)
        assert m[6:8] == b"\0\0", "records"
        return m[3] & 15


def test_every_name_is_here():
    # RFC 1035 4.1.1: QR, AA and the RD of the query; no recursion.
    w = World(ttl_s=300)
    for name in (WWW, b"\0", b"\x01x\0", (b"\x3f" + b"y" * 63) * 3 + b"\x3d" + b"z" * 61 + b"\0"):
        m = w.ask(query(question(name)))
        assert m[2:4] == b"\x85\0" and m[4:12] == b"\0\1\0\1\0\0\0\0"
        # The question as it came, case and all; a pointer to its name; A, IN, TTL, address.
        assert m[12:] == question(name) + b"\xc0\x0c\0\1\0\1" + b"\0\0\1\x2c" + b"\0\4" + ME
        assert len(m) <= 512
    assert w.ask(query(question(), flags=0))[2] == 0x84
    assert w.ask(query(question(kind=ANY)))[-4:] == ME
    assert w.ask(query(question(cls=255)))[-4:] == ME
    assert w.h.stat("dnsd_queries") == 7 and w.h.stat("dnsd_bad") == 0


def test_there_is_nothing_but_addresses():
    # RFC 2308 2.2: NODATA is NOERROR without a record; RFC 4074: AAAA above all.
    w = World()
    for kind in (AAAA, 2, 5, 6, 15, 16, 33, 64, 65, 257, 0):
        assert w.code(query(question(kind=kind))) == NOERROR, kind
    for kind in (251, 252):
        assert w.code(query(question(kind=kind))) == REFUSED
    for cls in (0, 3, 4, 254):
        assert w.code(query(question(cls=cls))) == REFUSED
    reverse = b"\x011\x010\x010\x0210\x07in-addr\x04ARPA\0"
    assert w.code(query(question(reverse, PTR))) == NXDOMAIN


def test_names_of_its_own():
    w = World(names={"www.example.org": "192.0.2.7", "here.lan.": None}, captive=False)
    assert w.ask(query(question()))[-4:] == b"\xc0\0\2\7"
    assert w.ask(query(question(b"\x04HERE\x03lan\0")))[-4:] == ME
    assert w.code(query(question(kind=AAAA))) == NOERROR
    assert w.code(query(question(b"\x05there\x03lan\0"))) == NXDOMAIN
    assert w.code(query(question(b"\x05there\x03lan\0", AAAA))) == NXDOMAIN
    w.server.captive = True
    assert w.ask(query(question(b"\x05there\x03lan\0")))[-4:] == ME
    assert w.ask(query(question()))[-4:] == b"\xc0\0\2\7"
    for names in ({"a..b": None}, {"x" * 64: None}, {"a": "1.2.3"}):
        try:
            Server(w.h.ifc, names)
        except ValueError:
            continue
        raise AssertionError(names)


def test_edns():
    # RFC 6891 6.1.1: OPT for OPT; 7: BADVERS.
    w = World()
    cookie = b"\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08abcdefgh"
    for opt in (OPT, cookie):
        m = w.ask(query(question() + opt, counts=(1, 0, 0, 1)))
        assert m[4:12] == b"\0\1\0\1\0\0\0\1" and m[-11:] == b"\0\0\x29\x02\0\0\0\0\0\0\0"
        assert m[-15:-11] == ME
    m = w.ask(query(question() + OPT[:6] + b"\1" + OPT[7:], counts=(1, 0, 0, 1)))
    assert m[3] & 15 == 0 and m[6:8] == b"\0\0" and m[-6] == 1
    for body, n in (
        (OPT + OPT, 2),
        (b"\1x" + OPT, 1),  # owned by somebody
        (OPT[:-1], 1),
        (OPT[:5], 1),
        (OPT[:-1] + b"\5abcd", 1),
        (b"", 1),
        (OPT, 2),
        (OPT, 0xFFFF),
        (b"\xc0\xff" + OPT[1:], 1),
    ):
        assert w.code(query(question() + body, counts=(1, 0, 0, n))) == FORMERR, body
    # Another record, whose owner is a pointer to the question.
    other = b"\xc0\x0c\0\x10\0\1\0\0\0\0\0\1x"
    m = w.ask(query(question() + other + OPT, counts=(1, 0, 1, 1)))
    assert m[-15:-11] == ME


def test_what_is_no_question():
    w = World()
    for body, counts in (
        (b"", (1, 0, 0, 0)),
        (question()[:-1], (1, 0, 0, 0)),
        (question()[:-5], (1, 0, 0, 0)),
        (b"\x40" + b"x" * 64 + b"\0\0\1\0\1", (1, 0, 0, 0)),
        (b"\xc0\x0c\0\1\0\1", (1, 0, 0, 0)),
        (b"\xc0\0\0\1\0\1", (1, 0, 0, 0)),
        ((b"\x3f" + b"x" * 63) * 4 + b"\0\0\1\0\1", (1, 0, 0, 0)),
        (b"\x3fx", (1, 0, 0, 0)),
        (question(), (0, 0, 0, 0)),
        (question() * 2, (2, 0, 0, 0)),
        (question(), (0x101, 0, 0, 0)),
    ):
        assert w.code(query(body, counts=counts)) == FORMERR, body
    assert w.h.stat("dnsd_bad") == 11
    # RFC 1035 4.1.1: other opcodes; the opcode goes back.
    for opcode in (1, 2, 4, 5, 15):
        m = w.ask(query(question(), flags=opcode << 11))
        assert m[3] & 15 == NOTIMP and m[2] >> 3 & 15 == opcode


def test_what_is_not_answered():
    w = World()
    for message in (b"", b"\0" * 11, query(question(), flags=0x8180)):
        assert w.ask(message) is None
    assert w.h.stat("dnsd_bad") == 3
    w.h.ip(UDP, udp(0, 53, query(question())))
    assert not w.h.datagrams()
    # A reply that comes back is the end of it.
    assert w.ask(w.ask(query(question()))) is None


def test_any_byte_may_be_wrong():
    w = World()
    good = query(question() + OPT, counts=(1, 0, 0, 1))
    for i in range(len(good)):
        for v in (0, 0x3F, 0x40, 0x80, 0xC0, 0xFF, good[i] ^ 1):
            w.ask(good[:i] + bytes((v,)) + good[i + 1 :])
        w.ask(good[:i])
    assert w.ask(good)[-15:-11] == ME


def test_asked_by_broadcast():
    w = World()
    assert w.ask(query(question()), NET_BROADCAST, ALL_MAC)[-4:] == ME


def test_starting_and_stopping():
    w = World()
    w.server.start()
    raises(EADDRINUSE, Server(w.h.ifc).start)
    w.server.stop()
    w.server.stop()
    assert not w.h.stack.udp.endpoints
    w.server.start()
    assert w.ask(query(question()))[-4:] == ME
    # An interface that has lost its address.
    w.h.ifc.net[:4] = bytes(4)
    assert w.server._find(b"\0", A, 1) == (SERVFAIL, None)
