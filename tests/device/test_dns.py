# The DNS resolver against a scripted server: two stacks on a wire in memory, a fake clock.
from viperip.application import dns
from viperip.application.dns import Resolver, encode, read_name
from viperip.errors import ENOBUFS, ETIMEDOUT
from viperip.interface import Interface
from viperip.link.pair import Pair
from viperip.stack import Stack

MASK = 0x3FFFFFFF
NEAR_WRAP = MASK - 700
ME = b"\x0a\0\0\x02"
ONE = b"\x0a\0\0\x01"  # the servers
TWO = b"\x0a\0\0\x03"
NET = b"\xff\xff\xff\0"
ADDR = b"\x5d\xb8\xd8\x22"
A, CNAME = 1, 5


def record(owner, kind, data, ttl=300, length=None):
    n = len(data) if length is None else length
    return (
        owner
        + bytes((0, kind, 0, 1, ttl >> 24, ttl >> 16 & 0xFF, ttl >> 8 & 0xFF, ttl & 0xFF))
        + bytes((n >> 8, n & 0xFF))
        + data
    )


ASKED = b"\xc0\x0c"  # a pointer to the question's name


class Server:
    # Answers each query with what answer(query) returns: None, bytes, or a list of bytes.
    def __init__(self, stack, addr):
        self.stack = stack
        self.ep = stack.udp.open(handler=self, port=53, local=addr)
        self.asked = []
        self.ports = []
        self.answer = lambda q: reply(q, record(ASKED, A, ADDR))

    def datagram(self, ep, p, off, n):
        b = p.buf
        q = bytes(b[off : off + n])
        port = b[p.off] << 8 | b[p.off + 1]
        self.asked.append(q)
        self.ports.append(port)
        out = self.answer(q)
        if out is not None:
            for r in out if isinstance(out, list) else [out]:
                self.stack.udp.send(ep, r, p.source(), port)


def reply(q, *records, code=0, flags=0x81, count=None, question=None):
    n = len(records) if count is None else count
    head = q[:2] + bytes((flags, 0x80 | code, 0, 1, n >> 8, n & 0xFF, 0, 0, 0, 0))
    return head + (q[12:] if question is None else question) + b"".join(records)


class World:
    def __init__(self, start=0, servers=(ONE,)):
        self.t = start
        self.seed = 7
        dev_a, dev_b = Pair.wire(b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02")
        self.a = self.stack(dev_a)
        self.b = self.stack(dev_b)
        self.ifc = self.a.interfaces[0]
        self.ifc.configure(ME, NET)
        self.b.interfaces[0].configure(ONE, NET)
        other = Interface(self.b, Pair.wire(b"\x02\0\0\0\0\x05", b"\x02\0\0\0\0\x06")[0], "e1")
        self.b.add_interface(other)
        other.up()
        other.configure(TWO, b"\xff\xff\xff\xff")
        self.ifc.arp.add(TWO, b"\x02\0\0\0\0\x02")
        self.ifc.dns = list(servers)
        self.one = Server(self.b, ONE)
        self.two = Server(self.b, TWO)
        self.r = Resolver(self.a)
        self.a.idle = self.idle

    def stack(self, dev):
        s = Stack(ticks=lambda: self.t, random=self.random, hostname="board7")
        s.strict = True
        ifc = Interface(s, dev, "e0")
        s.add_interface(ifc)
        ifc.up()
        return s

    def random(self, n):
        out = bytearray(n)
        for i in range(n):
            self.seed = (self.seed * 1103 + 12345) & 0xFFFFF
            out[i] = self.seed >> 8 & 0xFF
        return bytes(out)

    def idle(self, ms):
        before = self.ifc.rx_frames
        self.b.poll()
        self.a.poll()
        self.b.poll()
        self.a.poll()
        if self.ifc.rx_frames == before:
            self.t = (self.t + min(ms, self.b.poll() or 1)) & MASK

    def run(self, ms):
        end = (self.t + ms) & MASK
        while self.t != end:
            left = (end - self.t) & MASK
            self.a.wait(left)

    def fails(self, name, **options):
        try:
            self.r.lookup(name, **options)
        except OSError as e:
            assert not self.r.queries
            return e.args[0]
        raise AssertionError("found " + name)


def test_one_address():
    for start in (0, NEAR_WRAP):
        w = World(start)
        assert w.r.lookup("Example.COM.") == [ADDR]
        q = w.one.asked[0]
        assert q[2:] == b"\1\0\0\1\0\0\0\0\0\0\x07example\x03com\0\0\1\0\1"
        assert not w.r.queries and len(w.a.udp.endpoints) == 0
        assert w.r.lookup("example.com") == [ADDR]
        assert len(w.one.asked) == 1  # from the cache


def test_no_server_is_needed():
    w = World()
    w.one.answer = w.two.answer = None
    assert w.r.lookup("localhost") == [b"\x7f\0\0\1"]
    assert w.r.lookup("a.localhost") == [b"\x7f\0\0\1"]
    assert w.r.lookup("BOARD7") == [ME]
    assert w.r.lookup("1.2.3.4") == [b"\1\2\3\4"]
    got = []
    assert w.r.query("9.9.9.9", lambda a, e: got.append((a, e))) is None
    assert got == [([b"\x09\x09\x09\x09"], 0)]
    for bad in ("", ".", "a..b", "x" * 64, ".".join(["x" * 60] * 5), "a b", "h\xf6rt"):
        assert w.fails(bad) == dns.NOT_FOUND, bad
    assert not w.one.asked


def test_oversized_names():
    assert len(encode(".".join(["x" * 49] * 5))) == 251
    assert len(encode(".".join(["x" * 63] * 3 + ["y" * 61]))) == 255
    for bad in (".".join(["x" * 63] * 3 + ["y" * 62]), "x" * 64, "a." * 128):
        try:
            encode(bad)
        except ValueError:
            continue
        raise AssertionError(bad)


def test_name_that_does_not_exist():
    w = World()
    w.one.answer = lambda q: reply(q, code=3)
    assert w.fails("nowhere.test") == -2
    w.one.answer = lambda q: reply(q)
    assert w.fails("no-address.test") == -2
    assert len(w.one.asked) == 2


def test_no_servers():
    w = World(servers=())
    assert w.fails("example.com") == dns.FAILED
    w.ifc.dns = [b"\x08\x08\x08\x08"]  # no route to it
    assert w.fails("example.com") != 0


def test_silence():
    w = World(NEAR_WRAP)
    w.one.answer = lambda q: None
    assert w.fails("example.com") == ETIMEDOUT
    assert len(w.one.asked) == 3
    assert w.fails("example.com", timeout_ms=100) == ETIMEDOUT
    assert not w.a.udp.endpoints


def test_lost_query_is_repeated():
    w = World()
    w.one.answer = lambda q: None if len(w.one.asked) < 3 else reply(q, record(ASKED, A, ADDR))
    assert w.r.lookup("example.com") == [ADDR]


def test_next_server_after_silence_and_failure():
    for bad in (
        lambda q: None,
        lambda q: reply(q, code=2),
        lambda q: reply(q, code=5),
        lambda q: reply(q, record(ASKED, A, ADDR), flags=0x83),  # truncated, and no TCP
        lambda q: reply(q, record(ASKED, A, b"\1\2\3")),
        lambda q: reply(q, count=1),
    ):
        w = World(NEAR_WRAP, servers=(ONE, TWO))
        w.one.answer = bad
        assert w.r.lookup("example.com") == [ADDR]
        assert len(w.one.asked) == 1 and len(w.two.asked) == 1
        # The one that answered is asked first from now on.
        assert w.r.lookup("other.com") == [ADDR]
        assert len(w.one.asked) == 1
    w = World(servers=(ONE, TWO))
    w.one.answer = w.two.answer = lambda q: reply(q, code=2)
    assert w.fails("example.com") == dns.FAILED
    assert len(w.one.asked) == 3 and len(w.two.asked) == 3


def test_closed_port_is_noticed_at_once():
    w = World(servers=(ONE, TWO))
    w.one.ep.close()
    start = w.t
    assert w.r.lookup("example.com") == [ADDR]
    assert (w.t - start) & MASK < 500


def test_servers_of_all_interfaces():
    w = World(servers=(ONE, TWO))
    more = Interface(w.a, Pair.wire(b"\x02\0\0\0\0\x07", b"\x02\0\0\0\0\x08")[0], "e1")
    w.a.add_interface(more)
    more.dns = [TWO, ADDR]
    assert w.r.servers() == [ONE, TWO]
    more.up()
    assert w.r.servers() == [ONE, TWO, ADDR]


def test_ids_and_ports_differ():
    w = World()
    for i in range(6):
        w.r.lookup("n%d.test" % i)
    assert len({q[:2] for q in w.one.asked}) == 6
    assert len(set(w.one.ports)) == 6


def test_wrong_replies_are_not_taken():
    w = World()
    evil = record(ASKED, A, b"\6\6\6\6")

    def answer(q):
        return [
            reply(bytes((q[0] ^ 1,)) + q[1:], evil),
            reply(q, evil, flags=0x01),  # a query
            reply(q, evil, flags=0x91),  # another opcode
            reply(q, evil, question=b"\x04evil\x03com\0\0\1\0\1"),
            reply(q, evil, question=q[12:-4] + b"\0\x1c\0\1"),
            reply(q, evil, question=q[12:-2]),
            reply(q, evil)[:11],
            b"",
            reply(q, record(ASKED, A, ADDR)),
        ]

    w.one.answer = answer
    assert w.r.lookup("example.com") == [ADDR]
    assert w.a.stats["dns_bad"] == 8


def test_only_the_asked_server_is_believed():
    w = World(NEAR_WRAP)
    stray = w.b.udp.open(port=54, local=ONE)
    evil = record(ASKED, A, b"\6\6\6\6")

    def answer(q):
        w.b.udp.send(stray, reply(q, evil), ME, w.one.ports[-1])  # another port
        w.b.udp.send(w.two.ep, reply(q, evil), ME, w.one.ports[-1])  # another address
        return reply(q, record(ASKED, A, ADDR))

    w.one.answer = answer
    assert w.r.lookup("example.com") == [ADDR]
    # What belongs to another name is not taken either.
    w.one.answer = lambda q: reply(q, record(b"\x04evil\0", A, b"\6\6\6\6"))
    assert w.fails("other.com") == -2


def test_chains():
    w = World()
    www = b"\x03www\x04test\0"
    w.one.answer = lambda q: reply(
        q,
        record(ASKED, CNAME, www),
        record(www, A, ADDR, 20),
        record(www, A, TWO, 10),
        record(ASKED, 16, b"text"),
    )
    assert w.r.lookup("alias.test") == [ADDR, TWO]
    w.run(9000)
    w.r.lookup("alias.test")
    assert len(w.one.asked) == 1
    w.run(2000)
    w.r.lookup("alias.test")
    assert len(w.one.asked) == 2

    # The end of the chain is asked for.
    def answer(q):
        return reply(q, record(ASKED, A, ADDR) if b"www" in q else record(ASKED, CNAME, www))

    w.one.answer = answer
    assert w.r.lookup("short.test") == [ADDR]
    # A circle, in one answer and over several.
    w.one.answer = lambda q: reply(q, record(ASKED, CNAME, www), record(www, CNAME, ASKED))
    assert w.fails("circle.test") == dns.FAILED
    n = len(w.one.asked)
    w.one.answer = lambda q: reply(q, record(ASKED, CNAME, b"\1x" + ASKED))
    assert w.fails("growing.test") == dns.FAILED
    assert len(w.one.asked) - n < 30


def test_cache_is_bounded_and_ends():
    w = World(NEAR_WRAP)
    for i in range(20):
        w.r.lookup("n%d.test" % i)
    assert len(w.r.cache) == 16
    w.run(301000)
    assert not w.r.cache
    w.one.answer = lambda q: reply(q, record(ASKED, A, ADDR, 0))
    w.r.lookup("zero.test")
    w.one.answer = lambda q: reply(q, record(ASKED, A, ADDR, 0x80000001))
    w.r.lookup("odd.test")
    assert not w.r.cache
    w.one.answer = lambda q: reply(q, record(ASKED, A, ADDR, 0x7FFFFFFF))
    w.r.lookup("long.test")
    assert len(w.r.cache) == 1
    w.r.flush()
    assert not w.r.cache


def name_fails(raw, off=12):
    try:
        read_name(raw, 0, off, len(raw))
    except ValueError:
        return True
    return False


def test_compression_pointers():
    pad = bytes(12)
    raw = pad + b"\3Www\0\xc0\x0c\1a\xc0\x11"
    assert read_name(raw, 0, 12, len(raw)) == (b"\3www\0", 17)
    assert read_name(raw, 0, 17, len(raw)) == (b"\3www\0", 19)
    assert read_name(raw, 0, 19, len(raw)) == (b"\1a\3www\0", 23)
    assert name_fails(pad + b"\xc0\x0c")  # to itself
    assert name_fails(pad + b"\xc0\x0e\xc0\x0c")  # forward
    assert name_fails(pad + b"\1a\xc0\x0c")  # a loop through a label
    assert name_fails(pad + b"\1a\xc0\x0c\1b\xc0\x0e", 16)
    assert name_fails(pad + b"\xc0\x05")  # into the header
    assert name_fails(pad + b"\xc0")
    assert name_fails(pad + b"\3ab")
    assert name_fails(pad + b"\x40ab\0")
    assert name_fails(pad + b"\x80ab\0")
    assert name_fails(pad + (b"\x3f" + b"x" * 63) * 4 + b"\0")
    # Each pointer one further back: bounded all the same.
    hops = pad + b"\0\0" + b"".join([bytes((0xC0, 12 + 2 * i)) for i in range(20)])
    assert read_name(hops, 0, 14 + 2 * 15, len(hops))[0] == b"\0"
    assert name_fails(hops, 14 + 2 * 16)


def test_cut_and_random_replies():
    w = World()
    state = []

    def answer(q):
        whole = reply(q, record(ASKED, CNAME, b"\3www" + ASKED), record(b"\xc0\x0c", A, ADDR))
        return whole[: state[0]] if state[0] < len(whole) else whole

    w.one.answer = answer
    for n in range(0, 60, 3):
        state[:] = [n]
        assert w.fails("cut%d.test" % n, timeout_ms=50) != 0
    noise = World(5)
    noise.one.answer = lambda q: q[:2] + b"\x81\x80\0\1\0\x04\0\0\0\0" + q[12:] + noise.random(60)
    for i in range(60):
        try:
            noise.r.lookup("noise%d.test" % i, timeout_ms=2000)
        except OSError:
            pass
    assert not noise.a.stats["internal_error"]


def test_cancel_and_limit():
    w = World()
    w.one.answer = lambda q: None
    got = []
    hold = [w.r.query("n%d.test" % i, lambda a, e: got.append(e)) for i in range(8)]
    assert w.r.query("more.test", lambda a, e: got.append(e)) is None
    assert got == [ENOBUFS]
    for q in hold:
        w.r.cancel(q)
        w.r.cancel(q)
    w.r.cancel(None)
    w.run(20000)
    assert got == [ENOBUFS] and not w.a.udp.endpoints
    assert len(w.a.timers) <= 2 + 1


def test_truncated_goes_to_tcp():
    w = World()
    w.one.answer = lambda q: reply(q, flags=0x83)
    asked = []

    class Stream:
        closed = 0

        def close(self):
            self.closed += 1

    stream = Stream()

    def tcp_query(server, message, done):
        asked.append((server, message, done))
        return stream

    w.r.tcp_query = tcp_query
    got = []
    w.r.query("big.test", lambda a, e: got.append((a, e)))
    w.run(100)
    assert len(asked) == 1 and asked[0][0] == ONE and not got
    asked[0][2](reply(asked[0][1], record(ASKED, A, ADDR)))
    assert got == [([ADDR], 0)] and stream.closed == 1
    asked[0][2](None)
    # TCP that fails, then answers cut short, then never answers.
    del got[:]
    w.r.query("big2.test", lambda a, e: got.append((a, e)))
    w.run(100)
    asked[1][2](None)
    w.run(100)
    asked[2][2](reply(asked[2][1], flags=0x83))
    w.run(40000)
    assert got and got[0][0] == [] and got[0][1] != 0
    assert not w.r.queries and stream.closed == 4
