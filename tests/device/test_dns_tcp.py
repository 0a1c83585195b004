# DNS over TCP, when UDP has cut an answer short: two stacks on a wire in memory, a fake clock.
from test_dns import A, ADDR, ASKED, ONE, TWO, World, record, reply

LOCAL_ANY = bytes(4)


class TCPServer:
    # Answers the first question on each connection with what answer(query) returns, in pieces.
    def __init__(self, stack, answer, piece=700):
        self.stack = stack
        self.answer = answer
        self.piece = piece
        self.asked = []
        self.conns = []
        self.listener = stack.tcp.listen(LOCAL_ANY, 53)

    def serve(self):
        while self.listener.queue:
            self.conns.append([self.listener.accept(), bytearray(), b""])
        for one in self.conns:
            c, got, _ = one
            if c.rcv_used:
                part = bytearray(c.rcv_used)
                c.recv(part, 0, len(part))
                got.extend(part)
                if len(got) > 1 and len(got) == 2 + (got[0] << 8 | got[1]):
                    self.asked.append(bytes(got[2:]))
                    one[2] = self.answer(bytes(got[2:]))
                    if one[2] is None:
                        c.close()
            if one[2]:
                n = c.send(one[2], 0, min(self.piece, len(one[2])))
                one[2] = one[2][max(0, n) :]
        self.stack.tcp.flush()


def framed(message):
    return bytes((len(message) >> 8, len(message) & 0xFF)) + message


def long_reply(q):
    more = [record(ASKED, A, bytes((10, 9, i, 1))) for i in range(60)]
    return framed(reply(q, record(ASKED, A, ADDR), *more))


def world(answer, **more):
    w = World(**more)
    w.one.answer = w.two.answer = lambda q: reply(q, flags=0x83)
    w.server = TCPServer(w.b, answer)
    w.got = []
    return w


def ask(w, name="big.test", ms=15000):
    del w.got[:]
    w.r.query(name, lambda a, e: w.got.append((a, e)))
    while ms > 0 and not w.got:
        w.run(50)
        w.server.serve()
        ms -= 50
    return w.got


def quiet(w):
    # Nothing is left over: no query, no timer but those that are always there.
    w.run(1000)
    w.server.serve()
    w.run(70000)
    assert not w.r.queries and not w.a.udp.endpoints
    assert not w.a.tcp.connections
    return len(w.a.timers)


def test_the_whole_answer_comes_over_tcp():
    w = world(long_reply)
    got = ask(w)
    assert got[0][1] == 0 and len(got) == 1
    assert got[0][0][0] == ADDR and len(got[0][0]) > 1
    assert len(w.server.asked) == 1
    idle = quiet(w)
    # From the cache, and another name on another connection.
    assert ask(w) == got and len(w.server.asked) == 1
    assert ask(w, "more.test")[0][1] == 0 and len(w.server.asked) == 2
    assert quiet(w) == idle


def test_a_byte_at_a_time():
    w = world(lambda q: framed(reply(q, record(ASKED, A, ADDR))))
    w.server.piece = 1
    assert ask(w) == [([ADDR], 0)]
    quiet(w)


def test_a_server_that_refuses_tcp():
    w = world(long_reply)
    w.server.listener.close()
    got = ask(w)
    assert len(got) == 1 and got[0][0] == [] and got[0][1] != 0
    quiet(w)


def test_a_server_that_closes_without_an_answer():
    w = world(lambda q: None)
    got = ask(w)
    assert len(got) == 1 and got[0][0] == [] and got[0][1] != 0
    quiet(w)


def test_a_server_that_never_answers():
    w = world(lambda q: b"", servers=(ONE, TWO))
    got = ask(w, ms=200000)
    assert len(got) == 1 and got[0][0] == [] and got[0][1] != 0
    quiet(w)


def test_lengths_that_lie():
    for start in (b"\xff\xff", b"\0\0", b"\0\5"):
        w = world(lambda q: start + long_reply(q)[2:])
        got = ask(w, ms=200000)
        assert len(got) == 1 and got[0][0] == [] and got[0][1] != 0
        quiet(w)


def test_cancelled_on_the_way():
    w = world(lambda q: b"")
    q = w.r.query("big.test", lambda a, e: w.got.append((a, e)))
    w.run(100)
    w.server.serve()
    assert w.a.tcp.connections
    w.r.cancel(q)
    for _ in range(20):
        w.run(100)
        w.server.serve()
    assert not w.got
    quiet(w)
