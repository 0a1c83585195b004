# Peers that take nothing, or never go: what they may hold, and for how long.
from harness import ANY, host
from tcp_peer import ACK, FIN, PSH, RST, SYN, Peer, pattern
from viperip.errors import ETIMEDOUT


def stalled(**more):
    # A peer that shut its window on 1000 bytes.
    p = Peer().active(wnd=0, **more)
    p.write(pattern(1000))
    return p


def answer(p, wnd=0):
    # The peer's word on each probe.
    for s in p.got():
        if not s.flags & RST:
            p.send(1, 1, wnd=wnd)


def test_peer_that_answers_probes_is_kept():
    # RFC 9293 3.8.6.1.
    p = stalled()
    for _ in range(200):
        p.run(10000, 500)
        answer(p)
    assert p.state() == "ESTABLISHED" and p.c.probing
    p.send(1, 1, wnd=5000)
    assert b"".join([s.data for s in p.got()]) == pattern(1000)


def test_peer_that_is_gone_is_given_up():
    # It shut its window and vanished: RFC 9293 3.8.6.1 has no probes for ever without an answer.
    p = stalled()
    p.run(1200000, 1000)
    assert p.c.error == ETIMEDOUT and not p.tcp.connections


def test_user_timeout_while_the_window_is_shut():
    # RFC 6429 4: the program may set a limit, though the peer answers.
    p = stalled()
    p.c.user_timeout = 30000
    for _ in range(60):
        p.run(1000)
        answer(p)
    assert p.c.error == ETIMEDOUT


def test_orphan_behind_a_shut_window():
    p = stalled()
    p.c.close()
    for _ in range(120):
        p.run(10000, 500)
        answer(p)
    assert not p.tcp.connections


def test_window_taken_back():
    # RFC 9293 3.8.6: with text on its way the window shuts. The peer answers, so it is no loss,
    # and the connection lives until the window opens.
    p = Peer().active(wnd=5000)
    p.write(pattern(1000))
    p.got()
    p.send(1, 1, wnd=0)
    for _ in range(200):
        p.run(10000, 500)
        answer(p)
    assert p.state() == "ESTABLISHED"
    p.send(1, 1, wnd=5000)
    assert b"".join([s.data for s in p.got()]) == pattern(1000)
    p.send(1, 1001, wnd=5000)
    assert p.c.snd_len == 0 and p.c.t_rtx < 0


def test_window_taken_back_in_part():
    # One byte of the text was taken all the same.
    p = Peer().active(wnd=5000)
    p.write(pattern(1000))
    p.got()
    p.send(1, 2, wnd=0)
    p.run(1000)
    s = p.got()[-1]
    assert s.seq == 2 and s.data == pattern(1, 1)
    p.send(1, 3, wnd=0)
    p.run(1000)
    assert p.got()[-1].seq == 3
    p.send(1, 3, wnd=5000)
    assert b"".join([s.data for s in p.got()]) == pattern(998, 2)


def test_stuck_orphans_make_way():
    # The table is full of connections that their users closed and their peers do not acknowledge.
    h = host(frames=256)
    h.stack.tcp.max_connections = 3
    h.stack.tcp.listen(ANY, 80)
    for i in range(3):
        p = Peer(h, 2000 + i)
        open_on(p)
        p.write(b"never acknowledged")
        p.c.close()
    h.run(500)
    h.sent()
    p = Peer(h, 3000)
    p.send(0, 0, SYN)
    got = p.got()
    assert [s.flags for s in got if s.dport == 3000] == [SYN | ACK]
    assert [s.dport for s in got if s.flags & RST] == [2000]
    assert len(h.stack.tcp.connections) == 3


def open_on(p):
    p.send(0, 0, SYN)
    p.got()
    p.send(1, 1)
    p.c = p.tcp.listeners[0].accept()


def test_users_are_not_sacrificed():
    h = host(frames=256)
    h.stack.tcp.max_connections = 2
    h.stack.tcp.listen(ANY, 80)
    for i in range(2):
        p = Peer(h, 2000 + i)
        open_on(p)
        p.write(b"never acknowledged")
    h.run(500)
    h.sent()
    Peer(h, 3000).send(0, 0, SYN)
    assert h.stat("tcp_table_full") == 1 and len(h.stack.tcp.connections) == 2


def test_no_ring_for_whom_nobody_reads():
    # Sixty seconds of TIME-WAIT times 64 KB would be a cheap attack.
    p = Peer().active()
    p.send(1, 1, ACK | PSH, b"request")
    assert p.read() == b"request" and p.c.rcv_ring is not None
    p.c.close()
    assert p.c.rcv_ring is None
    p.h.stack.poll()
    p.got()
    p.send(8, 2, ACK | FIN)
    assert p.state() == "TIME-WAIT" and p.c.rcv_ring is None and p.c.snd_ring is None


def test_ring_with_text_stays_in_time_wait():
    p = Peer().active()
    p.c.shutdown()
    p.h.stack.poll()
    p.got()
    p.send(1, 2, ACK | FIN, b"answer")
    assert p.state() == "TIME-WAIT" and p.read() == b"answer" and p.c.eof()
    p.c.close()
    assert p.c.rcv_ring is None


def test_duplicates_do_not_open_the_window_for_ever():
    # RFC 5681 3.2: a peer that sends them by the million gains nothing, and numbers stay small.
    p = Peer().active()
    p.write(pattern(14600))
    p.got()
    for _ in range(3):
        p.send(1, 1)
    assert p.c.recovering
    p.c.cwnd = (1 << 30) - 1000
    p.send(1, 1)
    assert p.c.cwnd < 1 << 30
