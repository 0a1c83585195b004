# The multicast DNS responder, message by message, on a fake clock.
from harness import MAC, ME, PEER, UDP, be16, get16, host, raises, udp
from viperip.application import mdns
from viperip.errors import EADDRINUSE

GROUP = b"\xe0\0\0\xfb"
GROUP_MAC = b"\x01\0\x5e\0\0\xfb"
OTHER = b"\x0a\0\0\x63"
BOARD = b"\x05board\x05local\0"
BOARD2 = b"\x07board-2\x05local\0"
REVERSE = b"\x011\x010\x010\x0210\x07in-addr\x04arpa\0"
A, PTR, TXT, AAAA, NSEC, ANY = 1, 12, 16, 28, 47, 255
QU = FLUSH = 0x8001


def question(name=BOARD, kind=A, cls=1):
    return name + be16(kind) + be16(cls)


def record(name=BOARD, kind=A, data=ME, ttl=120, cls=FLUSH, length=None):
    n = len(data) if length is None else length
    return name + be16(kind) + be16(cls) + be16(ttl >> 16) + be16(ttl) + be16(n) + data


def message(flags=0, questions=(), answers=(), authority=(), additional=(), ident=0):
    out = be16(ident) + be16(flags)
    parts = (questions, answers, authority, additional)
    for part in parts:
        out += be16(len(part))
    return out + b"".join([b"".join(part) for part in parts])


def query(*questions, known=(), flags=0, authority=(), ident=0):
    return message(flags, questions or (question(),), known, authority, ident=ident)


def response(*answers):
    return message(0x8400, (), answers)


class World:
    def __init__(self, name="board", ready=True):
        self.h = h = host()
        self.names = []
        self.r = mdns.Responder(h.ifc, name, self.names.append)
        self.r.start()
        if ready:
            self.watch(5000)
            assert self.r.isready()
            self.h.run(2000)
            self.said()

    def said(self):
        # What the stack has sent from port 5353: (destination, port, message).
        out = []
        for d in self.h.datagrams():
            if d.proto != UDP or get16(d.payload, 0) != 5353:
                continue
            assert d.src in (ME, OTHER) and d.ttl == 255
            if d.dst == GROUP:
                assert d.to == GROUP_MAC
            out.append((d.dst, get16(d.payload, 2), d.payload[8:]))
        return out

    def watch(self, ms, step=10):
        # [(when, message)] of what is multicast in the next ms.
        out = []
        at = 0
        while at < ms:
            self.h.run(step, step)
            at += step
            for dst, port, m in self.said():
                assert dst == GROUP and port == 5353
                out.append((at, m))
        return out

    def hear(self, m, src=PEER, sport=5353, dst=GROUP):
        mac = GROUP_MAC if dst == GROUP else MAC
        self.h.ip(UDP, udp(sport, 5353, m, src=src, dst=dst), src=src, dst=dst, mac=mac, ttl=255)

    def ask(self, *args, **kw):
        # The only message that is multicast at once, or None.
        self.h.run(1100)
        self.said()
        self.hear(query(*args, **kw))
        return self.one()

    def one(self, to=GROUP, port=5353):
        out = self.said()
        if not out:
            return None
        ((dst, dport, m),) = out
        assert dst == to and dport == port
        return m

    def works(self):
        return self.ask() == ANSWER


NO_OTHER = record(kind=NSEC, data=BOARD + b"\0\1\x40")
ANSWER = message(0x8400, (), [record()], (), [NO_OTHER])
ANNOUNCED = response(record(), record(REVERSE, PTR, BOARD))
PROBE = message(0, [question(kind=ANY, cls=QU)], (), [record(cls=1)])


def test_a_name_is_probed_for_and_announced():
    # RFC 6762 8.1: up to 250 ms, then three probes 250 ms apart; 8.3: announced twice, 1 s apart.
    w = World(ready=False)
    got = w.watch(10000)
    times = [t for t, _ in got]
    assert [m for _, m in got] == [PROBE] * 3 + [ANNOUNCED] * 2
    assert times[0] <= 260
    for i, gap in ((1, 250), (2, 250), (3, 250), (4, 1000)):
        assert gap <= times[i] - times[i - 1] <= gap + 20, times
    assert w.names == ["board.local"] and w.r.name == "board.local"
    assert w.h.stack.local_name == BOARD
    assert not w.watch(120000, 100)


def test_nothing_is_answered_before_the_name_is_won():
    w = World(ready=False)
    w.h.run(300, 10)
    w.said()
    w.hear(query())
    w.hear(query(), sport=40000)
    assert not w.said() and not w.r.isready()


def test_questions():
    w = World()
    assert w.ask() == ANSWER
    assert w.ask(question(b"\x05BoArD\x05LOCAL\0")) == ANSWER
    assert w.ask(question(kind=ANY)) == ANSWER
    assert w.ask(question(cls=255)) == ANSWER
    # RFC 6762 6.1: what is not there is denied.
    for kind in (AAAA, TXT, 33, 65):
        assert w.ask(question(kind=kind)) == response(NO_OTHER)
    assert w.ask(question(REVERSE, PTR)) == response(record(REVERSE, PTR, BOARD))
    both = w.ask(question(), question(kind=AAAA), question(b"\x05other\x05local\0"))
    assert both == response(record(), NO_OTHER)
    for other in (
        question(b"\x06board2\x05local\0"),
        question(b"\x05board\0"),
        question(b"\x05board\x03lan\0"),
        question(cls=3),
        question(REVERSE),
        question(b"\x012" + REVERSE[2:], PTR),
    ):
        assert w.ask(other) is None
    # A question of a unicast DNS client that has hit upon the port: the same, by multicast.
    w.hear(query(), dst=ME)
    w.h.run(1100)
    assert w.one() == ANSWER


def test_what_the_querier_knows_is_not_said():
    # RFC 6762 7.1: with at least half of its time left.
    w = World()
    assert w.ask(known=[record(cls=1)]) is None
    assert w.ask(known=[record(ttl=60)]) is None
    assert w.ask(known=[record(ttl=0x12345678)]) is None
    assert w.ask(known=[record(ttl=59)]) == ANSWER
    assert w.ask(known=[record(data=OTHER)]) == ANSWER
    assert w.ask(known=[record(BOARD2)]) == ANSWER
    assert w.ask(authority=[record(BOARD2)]) == ANSWER
    back = question(REVERSE, PTR)
    assert w.ask(back, known=[record(REVERSE, PTR, BOARD)]) is None
    assert w.ask(back, known=[record(REVERSE, PTR, BOARD2)]) is not None
    # With the name in the data compressed.
    packed = query(back, known=[b"\xc0\x0c" + record(b"", PTR, b"\5board\5local\0")])
    w.hear(packed)
    assert w.one() is None


def test_a_querier_that_knows_more():
    # RFC 6762 7.2: TC set, known answers follow; they are waited for, 400 to 500 ms.
    w = World()
    w.hear(query(flags=0x200))
    assert not w.watch(390)
    ((_, m),) = w.watch(130)
    assert m == ANSWER
    w.h.run(2000)
    w.hear(query(flags=0x200))
    w.hear(message(0, (), [record()]))
    assert not w.watch(2000)
    # What somebody else knows is of no help.
    w.hear(query(flags=0x200))
    w.hear(message(0, (), [record()]), src=b"\x0a\0\0\x07")
    assert len(w.watch(2000)) == 1


def test_a_unicast_answer_will_do():
    # RFC 6762 5.4: if all have heard it within a quarter of its time. 18.1: the query's id.
    w = World()
    m = query(question(cls=QU), ident=0x4711)
    w.hear(m)
    assert w.one(PEER) == b"\x47\x11" + ANSWER[2:]
    w.h.run(31000)
    w.hear(m)
    assert w.one() == ANSWER
    # One of the questions wants multicast; or the querier is not from here.
    w.h.run(2000)
    w.hear(query(question(cls=QU), question(kind=ANY)))
    assert w.one() == ANSWER
    w.h.run(2000)
    w.hear(m, src=b"\xc0\0\2\1")
    assert w.one() == ANSWER


def test_legacy_queries():
    # RFC 6762 6.7: id and question go back, TTLs of 10 s at most, no cache-flush bit.
    w = World()

    def legacy(*questions, **kw):
        w.hear(query(*questions, ident=0xABCD, flags=0x100), sport=40000, **kw)
        return w.one(PEER, 40000)

    short = record(ttl=10, cls=1)
    assert legacy(question()) == message(0x8500, [question()], [short], ident=0xABCD)
    assert legacy(question(), dst=ME) == message(0x8500, [question()], [short], ident=0xABCD)
    nothing = question(kind=AAAA)
    assert legacy(nothing) == message(0x8500, [nothing], ident=0xABCD)
    back = question(REVERSE, PTR)
    m = message(0x8500, [back], [record(REVERSE, PTR, BOARD, 10, 1)], ident=0xABCD)
    assert legacy(back) == m
    assert legacy(question(BOARD2)) is None
    assert legacy(question(cls=3)) is None
    # 11: from elsewhere.
    w.hear(query(), sport=40000, src=b"\xc0\0\2\1")
    w.hear(query(), src=b"\xc0\0\2\1", dst=ME)
    assert not w.said()


def test_a_record_is_multicast_once_a_second():
    # RFC 6762 6; and after 250 ms to defend it.
    w = World()
    w.hear(query())
    w.hear(query())
    w.hear(query(), src=b"\x0a\0\0\x07")
    assert w.one() == ANSWER
    ((at, m),) = w.watch(3000)
    assert 1000 <= at <= 1010 and m == ANSWER
    w.hear(query())
    w.said()
    w.hear(query(question(kind=ANY), authority=[record(data=OTHER, cls=1)]))
    ((at, m),) = w.watch(900)
    assert 250 <= at <= 260 and m == ANSWER
    # Another record need not wait.
    w.h.run(2000)
    w.hear(query())
    w.said()
    w.hear(query(question(REVERSE, PTR)))
    assert w.one() == response(record(REVERSE, PTR, BOARD))


def test_somebody_has_the_name():
    # RFC 6762 8.1, 9: while probing, the next name is tried.
    w = World(ready=False)
    w.h.run(300, 10)
    w.hear(response(record(data=OTHER)))
    w.said()
    got = [m for _, m in w.watch(5000)]
    assert got[0] == message(0, [question(BOARD2, ANY, QU)], (), [record(BOARD2, cls=1)])
    assert got[3:] == [response(record(BOARD2), record(REVERSE, PTR, BOARD2))] * 2
    assert w.names == ["board-2.local"] and w.h.stack.local_name == BOARD2
    assert w.h.stat("mdns_conflicts") == 1
    # Any type will do, as there is no other holder than one; and a name with 63 bytes stays so.
    for name, second in (("a", b"\x03a-2\x05local\0"), ("x" * 63, b"\x3f" + b"x" * 61 + b"-2")):
        w = World(name, ready=False)
        w.h.run(300, 10)
        own = bytes((len(name),)) + name.encode() + b"\x05local\0"
        w.hear(response(record(own, TXT, b"\1x")))
        w.watch(3000)
        assert w.h.stack.local_name.startswith(second)


def test_what_is_no_conflict():
    w = World(ready=False)
    w.h.run(300, 10)
    w.hear(response(record(data=OTHER)), sport=5354)  # RFC 6762 6: not from port 5353
    w.hear(response(record(data=OTHER, cls=3)))
    w.hear(response(record(BOARD2, data=OTHER)))
    w.hear(response(record()))  # ours: somebody repeats it
    w.hear(response(record(data=OTHER, ttl=0)))  # a goodbye
    w.hear(message(0x8403, (), [record(data=OTHER)]))  # 18.11
    w.hear(message(0xA400, (), [record(data=OTHER)]))  # 18.3
    w.hear(response(record(data=OTHER)), src=b"\xc0\0\2\1", dst=ME)  # 11
    w.watch(3000)
    assert w.names == ["board.local"]


def test_many_conflicts_slow_it_down():
    # RFC 6762 8.1: after fifteen in ten seconds, at least five seconds between attempts.
    w = World(ready=False)
    for i in range(2, 20):
        name = w.r.wire
        at = 0
        while not w.watch(10):
            at += 10
        assert (at >= 4900) == (i > 16), (i, at)
        w.hear(response(record(name, data=OTHER)))
    assert w.r.name == "board-19.local" and not w.names


def test_a_name_that_is_taken_away():
    # RFC 6762 9: it is probed for again, and kept if nobody answers.
    w = World()
    w.hear(response(record(data=OTHER)))
    assert not w.r.isready() and w.h.stack.local_name == b""
    got = [m for _, m in w.watch(5000)]
    assert got == [PROBE] * 3 + [ANNOUNCED] * 2
    assert w.names == ["board.local"] * 2
    w.hear(response(record(data=OTHER)))
    w.h.run(300, 10)
    w.said()
    w.hear(response(record(data=OTHER)))
    w.watch(5000)
    assert w.names[2:] == ["board-2.local"]


def test_two_who_probe_at_once():
    # RFC 6762 8.2: the lexicographically later data wins; the loser waits a second.
    for theirs, lost in (
        ([record(data=b"\x0a\0\0\2", cls=1)], True),
        ([record(data=b"\x09\xff\xff\xff", cls=1)], False),
        ([record(cls=1)], False),  # the same: no conflict
        ([record(cls=1), record(kind=AAAA, data=bytes(16), cls=1)], True),
        ([record(kind=TXT, data=b"", cls=1), record(data=b"\x09\0\0\0", cls=1)], False),
    ):
        w = World(ready=False)
        w.h.run(300, 10)
        w.said()
        w.hear(query(question(kind=ANY, cls=QU), authority=theirs))
        got = w.watch(900)
        assert bool(got) != lost, theirs
        got = w.watch(3000)
        assert w.names == ["board.local"]
        if lost:
            assert [m for _, m in got][:3] == [PROBE] * 3 and 100 <= got[0][0] <= 120


def test_a_prober_is_told():
    # RFC 6762 8.1: at once, and by unicast if that will do.
    w = World()
    w.hear(query(question(kind=ANY, cls=QU), authority=[record(data=OTHER, cls=1)]))
    assert w.one(PEER) == ANSWER
    w.h.run(40000)
    w.hear(query(question(kind=ANY, cls=QU), authority=[record(data=OTHER, cls=1)]))
    assert w.one() == ANSWER


def test_who_speaks_for_us_is_put_right():
    # RFC 6762 6.6
    w = World()
    w.hear(response(record(ttl=120)))
    assert not w.watch(2000)
    for ttl in (0, 59):
        w.hear(response(record(ttl=ttl)))
        got = w.watch(2000)
        assert [m for _, m in got] == [ANSWER]


def test_goodbye():
    # RFC 6762 10.1
    w = World()
    w.r.stop()
    w.r.stop()
    frames = w.h.sent()
    assert frames[0][42:] == response(record(ttl=0), record(REVERSE, PTR, BOARD, 0))
    assert frames[1][23] == 2 and frames[1][38] == 0x17
    assert GROUP not in w.h.ifc.groups and not w.h.stack.udp.endpoints
    assert w.h.stack.local_name == b"" and not w.r.isready()
    w.hear(query())
    w.h.run(5000)
    assert not w.said()
    # Before the name was won there is nothing to take back.
    w = World(ready=False)
    w.r.stop()
    assert not w.said()
    w.r.start()
    assert len(w.watch(5000)) == 5


def test_another_address():
    # RFC 6762 8.4: the old one is taken back, the new one probed for.
    w = World()
    w.h.ifc.configure(OTHER, b"\xff\xff\xff\0")
    got = [m for _, m in w.watch(6000)]
    assert got[0] == response(record(ttl=0), record(REVERSE, PTR, BOARD, 0))
    assert got[1] == message(0, [question(kind=ANY, cls=QU)], (), [record(data=OTHER, cls=1)])
    assert got[4][12:].startswith(record(data=OTHER)) and len(got) == 6
    # None: silence.
    w.h.ifc.configure(bytes(4), bytes(4))
    w.watch(3000)
    w.hear(query(), src=b"\x0a\0\0\x07")
    assert not w.said() and not w.r.isready()
    w.h.ifc.configure(ME, b"\xff\xff\xff\0")
    assert [m for _, m in w.watch(6000)] == [PROBE] * 3 + [ANNOUNCED] * 2


def test_a_wire_that_was_away():
    # RFC 6762 13
    w = World()
    link = w.h.dev.link
    w.h.dev.link = lambda: False
    assert not w.watch(3000) and not w.r.isready()
    w.h.dev.link = link
    assert [m for _, m in w.watch(6000)] == [PROBE] * 3 + [ANNOUNCED] * 2


def test_malformed_messages():
    w = World()
    good = query(known=[record(b"\xc0\x0c", data=OTHER), record(REVERSE, PTR, BOARD2)])
    count = 0
    for i in range(len(good)):
        w.hear(good[:i])
        count += 1
    assert w.h.stat("mdns_bad") == count
    for bad in (
        message(0, [question(b"\xc0\x0c")]),
        message(0, [question(b"\xc0\xff")]),
        message(0, [question(b"\x40" + b"x" * 64 + b"\0")]),
        message(0, [question((b"\x3f" + b"x" * 63) * 4 + b"\0")]),
        query()[:4] + b"\xff\xff" + query()[6:],
        query()[:4] + b"\0\x11" + query()[6:] + question() * 16,
        query()[:6] + b"\xff\xff" + query()[8:],
        response(record(data=b"abc")),
        response(record(data=b"abcde")),
        response(record(length=5)),
        response(record(length=0xFFFF)),
        response(record(REVERSE, PTR, BOARD + b"\0")),
        response(record(REVERSE, PTR, b"\xc0\xff")),
        response(record(REVERSE, PTR, b"")),
    ):
        before = w.h.stat("mdns_bad")
        w.hear(bad)
        assert w.h.stat("mdns_bad") == before + 1, bad
    w.h.run(2000)
    w.said()
    assert w.works() and w.names == ["board.local"]


def test_any_byte_may_be_wrong():
    w = World()
    for good in (query(known=[record(ttl=5)]), ANNOUNCED, PROBE, ANSWER):
        for i in range(len(good)):
            for v in (0, 0x3F, 0x80, 0xC0, 0xFF, good[i] ^ 1):
                w.hear(good[:i] + bytes((v,)) + good[i + 1 :])
        w.hear(good + b"more")
    w.h.sent()
    w.h.run(20000)
    w.h.sent()
    # Some of these were conflicts: a name is held again, and answered for.
    assert w.r.isready()
    assert w.ask(question(w.r.wire))[6:8] == b"\0\1"


def test_more_records_than_anybody_has():
    w = World()
    w.hear(response(*[record(b"\0", data=OTHER)] * 70))
    w.hear(query(known=[record(b"\0", data=OTHER)] * 90))
    assert w.one() == ANSWER and w.h.stat("mdns_bad") == 0


def test_names():
    h = host()
    h.stack.hostname = "thing"
    assert mdns.Responder(h.ifc).name == "thing.local"
    assert mdns.Responder(h.ifc, "Thing-1.local").name == "thing-1.local"
    for bad in ("", "a.b", "x" * 64, "h\xf6rt", "a b"):
        h.stack.hostname = bad
        try:
            mdns.Responder(h.ifc)
        except ValueError:
            continue
        raise AssertionError(bad)
    w = World()
    w.r.start()
    taken = host()
    taken.stack.udp.open(port=5353)
    raises(EADDRINUSE, mdns.Responder(taken.ifc, "x").start)
    assert not taken.stack.ip.handlers.get(2) or GROUP not in taken.ifc.groups
