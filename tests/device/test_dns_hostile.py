# The DNS resolver and servers that lie; what test_dns.py has of malformed replies comes first.
import harness
from test_dns import A, ADDR, ASKED, CNAME, ONE, TWO, World, record, reply
from test_dns_tcp import ask, framed, quiet, world
from viperip.application import dns

WWW = b"\x03www\x04test\0"


def test_where_one_server_misleads_another_need_not_follow():
    # RFC 1034 5.3.3: an answer that leads nowhere is one server's failure, not the name's.
    w = World(servers=(ONE, TWO))
    w.one.answer = lambda q: reply(q, record(ASKED, CNAME, b"\1x" + ASKED))
    w.two.answer = lambda q: reply(q, record(ASKED, CNAME, WWW), record(WWW, A, ADDR))
    assert w.r.lookup("loop.test") == [ADDR]
    assert b"\x04loop\x04test" in w.two.asked[0] and len(w.one.asked) < 12


def test_a_chain_into_the_void_is_asked_from_its_start_elsewhere():
    w = World(servers=(ONE, TWO))

    def answer(q):
        if b"www" in q:
            return reply(q, code=2)
        return reply(q, record(ASKED, CNAME, WWW))

    w.one.answer = answer
    w.two.answer = lambda q: reply(q, record(ASKED, A, ADDR))
    assert w.r.lookup("chain.test") == [ADDR]
    assert len(w.two.asked) == 1 and b"\x05chain" in w.two.asked[0]


def test_circles_are_bounded():
    # Each server leads round and round; the number of questions does not depend on them.
    for circle in (
        lambda q: reply(q, record(ASKED, CNAME, ASKED)),
        lambda q: reply(q, record(ASKED, CNAME, b"\1x" + ASKED)),
        lambda q: reply(q, record(ASKED, CNAME, WWW if b"www" not in q else b"\1a\0")),
        lambda q: reply(q, record(ASKED, CNAME, WWW), record(WWW, CNAME, ASKED)),
    ):
        w = World(5, servers=(ONE, TWO))
        w.one.answer = w.two.answer = circle
        assert w.fails("circle.test") in (dns.FAILED, dns.NOT_FOUND)
        assert len(w.one.asked) + len(w.two.asked) <= 60
        assert not w.r.queries and not w.a.udp.endpoints and not w.r.cache


def test_counts_that_lie():
    for count, records in ((0xFFFF, [record(ASKED, A, ADDR)]), (2, []), (1, [ASKED])):
        w = World(servers=(ONE, TWO))
        w.one.answer = lambda q: reply(q, *records, count=count)
        assert w.r.lookup("count.test") == [ADDR] and w.a.stats["dns_bad"] == 1
    # More records than are read: the first ones count.
    w = World()
    w.one.answer = lambda q: reply(q, *[record(ASKED, A, bytes((9, 9, 9, i))) for i in range(80)])
    got = w.r.lookup("many.test")
    assert got == [bytes((9, 9, 9, i)) for i in range(8)]


def test_lengths_of_records_that_lie():
    for kind, data, length in (
        (A, ADDR, 3),
        (A, ADDR, 5),
        (A, ADDR, 0),
        (A, ADDR, 0xFFFF),
        (CNAME, WWW, 2),
        (CNAME, b"\xc0\xff", None),
        (CNAME, b"", 0),
        (CNAME, b"\x3f", 1),
        (16, b"x", 500),
    ):
        w = World(servers=(ONE, TWO))
        w.one.answer = lambda q: reply(q, record(ASKED, kind, data, length=length))
        assert w.r.lookup("length.test") == [ADDR], (kind, data, length)


def test_names_that_expand():
    # Pointers to pointers to a long name: each record costs 255 bytes and no more.
    long = b"".join([bytes((49,)) + b"x" * 49 for _ in range(5)]) + b"\0"

    def answer(q):
        at = len(q)
        more = [record(bytes((0xC0 | at >> 8, at & 0xFF)), A, ADDR) for _ in range(60)]
        return reply(q, record(long, A, ADDR), *more)

    w = World()
    w.one.answer = answer
    assert w.fails("expand.test") == dns.NOT_FOUND
    assert w.a.stats["internal_error"] == w.a.stats["no_memory"] == 0


def test_a_wrong_reply_over_tcp_is_not_waited_out():
    # The stream has given its one answer: the next server is asked at once.
    for wrong in (
        lambda q: framed(reply(bytes((q[0] ^ 1,)) + q[1:], record(ASKED, A, b"\6\6\6\6"))),
        lambda q: framed(reply(q, record(b"\4evil\0", A, ADDR), question=b"\4evil\0\0\1\0\1")),
        lambda q: framed(q),
        lambda q: framed(b"x"),
    ):
        w = world(wrong, servers=(ONE, TWO))
        w.two.answer = lambda q: reply(q, record(ASKED, A, ADDR))
        assert ask(w, ms=1500) == [([ADDR], 0)]
        assert w.a.stats["dns_bad"] == 1
        quiet(w)


def test_noise_over_tcp():
    for seed in range(20):
        noise = World(seed).random
        w = world(lambda q: framed(q[:2] + b"\x81\x80\0\1\0\x04\0\0\0\0" + q[12:] + noise(80)))
        got = ask(w, ms=60000)
        assert len(got) == 1 and not w.a.stats["internal_error"]
        quiet(w)


def test_a_spoofer_without_the_id_only_makes_noise():
    # RFC 5452 9.1: guesses, the true answer behind them.
    w = World()

    def answer(q):
        evil = record(ASKED, A, b"\6\6\6\6")
        wrong = [bytes((q[0] ^ (1 + i), q[1])) + q[2:] for i in range(12)]
        return [reply(g, evil) for g in wrong] + [reply(q, record(ASKED, A, ADDR))]

    w.one.answer = answer
    assert w.r.lookup("spoof.test") == [ADDR] and w.a.stats["dns_bad"] == 12


def test_server_that_turns_out_unreachable_in_the_midst_of_a_transmission():
    # The neighbour cache is full of stations that do not answer. Room for one more is taken from
    # the server's entry, while the datagram for that one lies in the transmit buffer.
    h = harness.host(static=False)
    servers = [b"\x0a\0\0\x35", b"\x0a\0\0\x36"]
    h.ifc.dns = servers
    there = b"\x0a\0\0\xc8"
    e = h.stack.udp.open(port=7)
    e.send(b"x", there, 9)
    h.ifc.arp.delete(there)
    h.stack.resolver.query("some.test", lambda addrs, error: None)
    for i in range(31):
        h.ifc.arp.resolve(bytes((10, 0, 0, 60 + i)), 0)
    e.send(b"mine", there, 9)
    h.ifc.arp.delete(b"\x0a\0\0\x3c")
    h.stack.poll()
    h.sent()
    h.inject(harness.arp(harness.REPLY, harness.PEER_MAC, there, harness.MAC, harness.ME))
    (d,) = h.datagrams()
    assert d.dst == there and d.payload[8:] == b"mine"
    # And the next server is asked.
    h.run(10, 10)
    assert h.stack.resolver.queries[0].ep.remote == servers[1]
