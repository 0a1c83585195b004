# Floods, and memory that runs out on the way: what is half done must not stay.
from harness import ANY, host
from tcp_peer import ACK, FIN, RST, SYN, Peer, pattern


def no_memory(*args):
    raise MemoryError


def rows(tcp):
    return bytes(tcp._table) == b"".join([c.row for c in tcp.connections])


def test_half_open_connections_make_way():
    # RFC 4987 3.4: a few SYNs that nobody stands behind must not shut a port for minutes.
    h = host(frames=256)
    s = h.stack.tcp.listen(ANY, 80, 3)
    for i in range(3):
        Peer(h, 2000 + i).send(0, 0, SYN)
    late = Peer(h, 3000)
    late.send(0, 0, SYN)
    assert h.stat("tcp_backlog_full") == 1 and s.half_open == 3
    h.run(1100)  # each SYN,ACK has been repeated
    h.sent()
    late.send(0, 0, SYN)
    late.expect(seq=0, ack=1, flags=SYN | ACK)
    late.send(1, 1)
    assert s.half_open == 2 and s.accept().remote_port == 3000
    assert rows(h.stack.tcp)
    # The one that made way is no more: its ACK is a stranger's.
    first = Peer(h, 2000)
    first.send(1, 1)
    first.expect(flags=RST)


def test_established_connections_do_not_make_way():
    h = host(frames=256)
    s = h.stack.tcp.listen(ANY, 80, 2)
    peers = [Peer(h, 2000 + i) for i in range(2)]
    for p in peers:
        p.send(0, 0, SYN)
        p.got()
        p.send(1, 1)
    h.run(5000)
    Peer(h, 3000).send(0, 0, SYN)
    assert h.stat("tcp_backlog_full") == 1 and len(s.queue) == 2


def test_no_memory_for_a_syn():
    # The backlog is as it was, whichever part there is no memory for.
    for broken in ("choose_iss", "add"):
        h = host(frames=256)
        tcp = h.stack.tcp
        s = tcp.listen(ANY, 80, 1)
        setattr(tcp, broken, no_memory)
        for i in range(3):
            Peer(h, 2000 + i).send(0, 0, SYN)
        assert h.stat("no_memory") == 3 and s.half_open == 0 and not tcp.connections, broken
        delattr(tcp, broken)
        p = Peer(h, 4000)
        p.send(0, 0, SYN)
        h.run(100)
        p.irs = None
        h.sent()
        p.send(0, 0, SYN)
        assert p.got()[-1].flags == SYN | ACK and s.half_open == 1


def test_table_in_step_without_memory():
    # demux() trusts the table: it must not have fewer rows than is said.
    p = Peer().active()
    tcp, stack = p.tcp, p.h.stack
    stack.add_timer = no_memory
    s = tcp.listen(ANY, 81)
    Peer(p.h, 5000, 81).send(0, 0, SYN)
    del stack.add_timer
    assert len(tcp.connections) == 1 and rows(tcp) and s.half_open == 0
    p.h.run(2000)
    p.h.sent()
    p.send(1, 1, ACK, b"data")
    assert p.read() == b"data"


def test_no_memory_for_data_out_of_order():
    # What has no room must not be taken for received.
    p = Peer().active()
    data = pattern(200)
    p.tcp.take_ring = no_memory
    p.send(101, 1, ACK, data[100:])
    assert p.h.stat("no_memory") == 1
    del p.tcp.take_ring
    p.send(1, 1, ACK, data[:100])
    assert p.read() == data[:100]
    p.send(101, 1, ACK, data[100:])
    assert p.read() == data[100:]


def test_old_text_with_the_last_fin():
    # RFC 9293 3.6.1 resets for new data. Text sent again, its ACK lost, is not new.
    p = Peer().active()
    p.send(1, 1, ACK, b"data")
    assert p.read() == b"data"
    p.c.close()
    p.h.stack.poll()
    p.got()
    p.send(1, 2, ACK | FIN, b"data")
    assert p.state() == "TIME-WAIT" and not p.stat("tcp_resets_out")
    p.expect(seq=2, ack=6)


def test_timers_survive_lack_of_memory():
    # Nothing else would ever run one again that was cut short.
    h = host()

    class Once:
        due = -1
        runs = 0

        def expire(self, now):
            self.runs += 1
            if self.runs == 1:
                raise MemoryError

    t = Once()
    h.stack.add_timer(t)
    h.stack.arm(t, 10)
    h.run(20, 10)
    assert t.runs == 1 and h.stat("no_memory") == 1
    h.run(2000)
    assert t.runs == 2 and t.due < 0
