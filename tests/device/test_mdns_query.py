# .local names through the resolver (RFC 6762 5.1, 6.7).
from harness import ME, PEER, UDP, be16, get16, host, udp
from test_mdns import GROUP, GROUP_MAC, NSEC, message, question, record
from viperip.application import dns

THEM = b"\x04them\x05local\0"
ADDR = b"\x0a\0\0\x42"


class World:
    def __init__(self):
        self.h = host()
        self.h.stack.idle = self.idle
        self.h.ifc.dns = [PEER]
        self.asked = []  # when, question
        self.elapsed = 0
        self.answer = lambda q: message(
            0x8400, [question(THEM)], [record(THEM, data=ADDR, ttl=10, cls=1)], ident=get16(q, 0)
        )

    def idle(self, ms):
        for d in self.h.datagrams():
            if d.proto != UDP:
                continue
            assert d.dst == GROUP and d.to == GROUP_MAC and get16(d.payload, 2) == 5353
            assert d.ttl == 255
            q = d.payload[8:]
            self.port = get16(d.payload, 0)
            self.asked.append((self.elapsed, q))
            out = self.answer(q)
            for m in [] if out is None else out if isinstance(out, list) else [out]:
                src, sport, m = m if isinstance(m, tuple) else (PEER, 5353, m)
                self.h.ip(UDP, udp(sport, self.port, m, src=src), src=src)
            return
        ms = min(ms, 50)
        self.h.clock.advance(ms)
        self.elapsed += ms

    def lookup(self, name="them.local"):
        return self.h.stack.resolver.lookup(name)

    def fails(self, name="them.local"):
        try:
            self.lookup(name)
        except OSError as e:
            assert not self.h.stack.udp.endpoints and not self.h.stack.resolver.queries
            return e.args[0]
        raise AssertionError("found")


def test_a_name_on_the_link():
    w = World()
    assert w.lookup("Them.Local") == [ADDR]
    ((_, q),) = w.asked
    assert q[2:] == message(0, [question(THEM)])[2:] and w.port != 5353
    assert not w.h.stack.udp.endpoints and not w.h.stack.resolver.queries
    # Kept for the seconds it was given for.
    assert w.lookup() == [ADDR] and len(w.asked) == 1
    w.h.run(11000)
    assert w.lookup("them.local.") == [ADDR] and len(w.asked) == 2


def test_nobody_of_that_name():
    # RFC 6762 5.2: asked again after one second, and two; never of a DNS server (3).
    w = World()
    w.answer = lambda q: None
    assert w.fails() == dns.NOT_FOUND
    times = [t for t, _ in w.asked]
    assert len(times) == 3 and len({q for _, q in w.asked}) == 1
    assert 1000 <= times[1] - times[0] <= 1100 and 2000 <= times[2] - times[1] <= 2100
    assert 7000 <= w.elapsed <= 7200


def test_what_is_no_answer():
    w = World()

    def answer(q):
        good = record(THEM, data=ADDR)
        ident = get16(q, 0)
        bad = record(THEM, data=b"\1\2\3\4")
        return [
            (PEER, 5354, message(0x8400, (), [bad], ident=ident)),  # RFC 6762 6
            (b"\xc0\0\2\1", 5353, message(0x8400, (), [bad], ident=ident)),  # 11
            message(0x8400, (), [bad], ident=ident ^ 1),
            message(0x0400, (), [bad], ident=ident),  # a query
            message(0xA400, (), [bad], ident=ident),
            message(0x8403, (), [bad], ident=ident),
            message(0x8400, (), [record(data=ADDR)], ident=ident),
            message(0x8400, (), [record(THEM, data=ADDR, cls=3)], ident=ident),
            message(0x8400, (), [record(THEM, data=ADDR, ttl=0)], ident=ident),
            message(0x8400, (), [record(THEM, NSEC, THEM + b"\0\1\x08")], ident=ident),
            message(0x8400, (), [good], ident=ident)[:-1],
            b"",
            be16(ident),
            message(0x8400, (), [record(THEM, data=b"xyz")], ident=ident),
            message(0x8400, (), (), (), [good, good, record(THEM, data=ME)], ident=ident),
        ]

    w.answer = answer
    assert w.lookup() == [ADDR, ME]
    assert w.h.stat("mdns_bad") == 4 and len(w.asked) == 1


def test_any_byte_may_be_wrong():
    w = World()
    first = w.answer

    def answer(q):
        m = first(q)
        return [m[:i] + bytes((m[i] ^ v,)) + m[i + 1 :] for i in range(2, 12) for v in (1, 255)]

    w.answer = answer
    # One of them is a bit that nobody reads (RFC 6762 18.6).
    assert w.lookup() == [ADDR]
    w.h.stack.resolver.flush()
    w.answer = lambda q: [m for m in answer(q) if m[2] != 0x85]
    assert w.fails() == dns.NOT_FOUND


def test_more_addresses_than_anybody_has():
    w = World()
    many = [record(THEM, data=bytes((10, 0, 0, i))) for i in range(40)]
    w.answer = lambda q: message(0x8400, (), many, ident=get16(q, 0))
    assert len(w.lookup()) == 8


def test_our_own_name_needs_no_asking():
    w = World()
    w.h.stack.local_name = THEM
    assert w.lookup() == [ME] and not w.asked


def test_without_a_link():
    w = World()
    w.h.ifc.down()
    assert w.fails() == dns.FAILED
    w.h.ifc.up()
    w.h.ifc.configure(bytes(4), bytes(4))
    assert w.fails() == dns.FAILED


def test_given_up():
    w = World()
    r = w.h.stack.resolver
    got = []
    q = r.query("them.local", lambda *said: got.append(said))
    assert len(r.queries) == 1
    r.cancel(q)
    w.h.run(20000)
    assert not got and not w.h.stack.udp.endpoints and not r.queries


def test_other_names_are_asked_for_elsewhere():
    w = World()
    got = []
    w.h.stack.resolver.query("them.locals", lambda *said: got.append(said))
    w.h.stack.resolver.query("local.them", lambda *said: got.append(said))
    assert [d.dst for d in w.h.datagrams()] == [PEER, PEER]
