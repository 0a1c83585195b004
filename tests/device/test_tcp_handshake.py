# Opening a TCP connection (RFC 9293 3.5, 3.10.7.1 to 3.10.7.3).
from harness import ANY, ME, PEER, host, raises
from tcp_peer import ACK, FIN, RST, SYN, Peer, mss
from viperip.errors import EADDRINUSE, ECONNREFUSED, ENETUNREACH, ETIMEDOUT


def test_active_open():
    p = Peer()
    p.connect()
    assert p.state() == "SYN-SENT"
    s = p.expect(seq=0, flags=SYN)
    assert s.option(2) == b"\x05\xb4" and s.ack == 0 and s.wnd == 65535
    p.send(0, 1, SYN | ACK, options=mss(1460))
    p.expect(seq=1, ack=1)
    assert p.state() == "ESTABLISHED" and p.c.mss == 1460


def test_passive_open():
    p = Peer()
    listener = p.tcp.listen(ANY, 80)
    p.send(0, 0, SYN, options=mss(1460))
    s = p.expect(seq=0, ack=1, flags=SYN | ACK)
    assert s.option(2) == b"\x05\xb4" and listener.accept() is None
    p.send(1, 1)
    p.c = listener.accept()
    assert p.state() == "ESTABLISHED" and listener.accept() is None
    assert (p.c.remote, p.c.remote_port, p.c.local, p.c.port) == (PEER, 4000, ME, 80)
    p.silent()


def test_data_with_the_last_ack():
    p = Peer()
    listener = p.tcp.listen(ANY, 80)
    p.send(0, 0, SYN)
    p.expect(flags=SYN | ACK)
    p.send(1, 1, ACK, b"hello")
    p.c = listener.accept()
    assert p.read() == b"hello"


def test_simultaneous_open():
    # RFC 9293 3.5, figure 7.
    p = Peer()
    p.connect()
    p.expect(seq=0, flags=SYN)
    p.send(0, 0, SYN, options=mss(1000))
    p.expect(seq=0, ack=1, flags=SYN | ACK)
    assert p.state() == "SYN-RECEIVED"
    p.send(0, 1, SYN | ACK, options=mss(1000))
    p.send(1, 1)
    assert p.state() == "ESTABLISHED" and p.c.mss == 1000
    for s in p.got():
        p.same(s, seq=1, ack=1)


def test_close_during_simultaneous_open():
    p = Peer()
    p.connect()
    p.expect(flags=SYN)
    p.send(0, 0, SYN)
    p.expect(flags=SYN | ACK)
    p.c.shutdown()
    p.h.stack.poll()
    p.expect(seq=1, ack=1, flags=FIN | ACK)
    p.run(1000)
    # RFC 9293 3.10.7.4: what is sent again in a synchronized state has an ACK.
    p.same(p.got()[0], seq=0, ack=1, flags=SYN | ACK)
    p.send(1, 2)
    assert p.state() == "FIN-WAIT-2"


def test_refused():
    p = Peer()
    p.connect()
    p.expect(flags=SYN)
    p.send(0, 1, RST | ACK)
    assert p.state() == "CLOSED" and p.c.error == ECONNREFUSED and not p.tcp.connections
    p.silent()


def test_reset_of_a_syn_that_was_not_sent():
    # RFC 9293 3.10.7.3: a reset needs an acceptable ACK.
    p = Peer()
    p.connect()
    p.expect(flags=SYN)
    p.send(0, 2, RST | ACK)
    p.send(0, 0, RST | ACK)
    p.send(0, 0, RST)
    assert p.state() == "SYN-SENT"
    p.silent()


def test_bad_ack_in_syn_sent():
    p = Peer()
    p.connect()
    p.expect(flags=SYN)
    for ack in (0, 2, -1, 100000):
        p.send(0, ack, SYN | ACK)
        p.expect(seq=ack, flags=RST)
    p.send(0, 1)
    p.silent()
    assert p.state() == "SYN-SENT"


def test_closed_port():
    # RFC 9293 3.10.7.1.
    p = Peer()
    p.irs = 0
    p.send(0, 0, SYN)
    p.expect(seq=0, ack=1, flags=RST | ACK)
    p.send(7, 0, 0, b"abc")
    p.expect(seq=0, ack=10, flags=RST | ACK)
    p.send(7, 0, FIN, b"abc")
    p.expect(seq=0, ack=11, flags=RST | ACK)
    p.send(7, 99, ACK, b"abc")
    p.expect(seq=99, flags=RST)
    p.send(7, 99, SYN | ACK)
    p.expect(seq=99, flags=RST)
    p.send(7, 99, RST)
    p.send(7, 99, RST | ACK)
    p.silent()
    assert p.stat("tcp_no_port") == 5 and p.stat("tcp_resets_out") == 5


def test_listener():
    # RFC 9293 3.10.7.2.
    p = Peer()
    p.irs = 0
    p.tcp.listen(ANY, 80)
    p.send(0, 5, ACK)
    p.expect(seq=5, flags=RST)
    p.send(0, 5, SYN | ACK)
    p.expect(seq=5, flags=RST)
    p.send(0, 0, RST)
    p.silent()
    assert not p.tcp.connections


def test_mss_of_the_peer():
    for options, want in ((mss(300), 300), (b"", 536), (mss(9000), 1460), (mss(0), 536)):
        for name in ("active", "passive"):
            p = Peer()
            getattr(p, name)(options=options)
            p.write(bytes(3000))
            assert len(p.got()[0].data) == want, (options, name)
            assert p.c.mss == want


def test_tiny_mss():
    p = Peer().active(options=mss(1))
    assert p.c.mss == 64


def test_mss_of_the_link():
    p = Peer(host(mtu=340))
    p.connect()
    assert p.expect(flags=SYN).option(2) == b"\x01\x2c"
    p.send(0, 1, SYN | ACK, options=mss(1460))
    p.expect(seq=1, ack=1)
    assert p.c.mss == 300


def test_window_scale():
    # RFC 7323 2.2: only if both say so.
    p = Peer()
    p.connect(rcv_size=200000)
    s = p.expect(flags=SYN)
    assert s.option(3) == b"\2" and s.wnd == 65535
    p.send(0, 1, SYN | ACK, wnd=1000, options=mss(1460) + b"\1\3\3\7")
    p.expect()
    assert p.c.snd_wnd == 1000 and p.c.snd_shift == 7 and p.c.rcv_shift == 2
    p.send(1, 1, wnd=1000)
    assert p.c.snd_wnd == 128000
    p = Peer()
    p.connect(rcv_size=200000)
    p.expect(flags=SYN)
    p.send(0, 1, SYN | ACK, options=mss(1460))
    p.expect()
    assert p.c.rcv_shift == 0
    p.h.stack.poll()
    p.send(1, 1, wnd=1000)
    assert p.c.snd_wnd == 1000


def times(p, ms, flags):
    # When segments with these flags are sent, in ms from now.
    out = []
    for t in range(0, ms, 50):
        p.run(50, 50)
        for s in p.got():
            p.same(s, seq=0, flags=flags)
            out.append(t + 50)
    return out


def test_syn_retransmission():
    # RFC 6298 2.1, 5.5: after 1, 2, 4 seconds.
    p = Peer()
    p.connect()
    p.expect(flags=SYN)
    assert times(p, 70000, SYN) == [1000, 3000, 7000, 15000, 31000, 63000]
    times(p, 62000, SYN)
    assert p.c.error == ETIMEDOUT and not p.tcp.connections


def test_syn_ack_retransmission():
    p = Peer()
    listener = p.tcp.listen(ANY, 80)
    p.send(0, 0, SYN)
    p.expect(flags=SYN | ACK)
    assert times(p, 16000, SYN | ACK) == [1000, 3000, 7000, 15000]
    times(p, 120000, SYN | ACK)
    assert not p.tcp.connections and listener.half_open == 0


def test_syn_again_gets_syn_ack_again():
    p = Peer()
    p.tcp.listen(ANY, 80)
    for _ in range(3):
        p.send(0, 0, SYN)
        p.expect(seq=0, ack=1, flags=SYN | ACK)
    assert len(p.tcp.connections) == 1


def test_after_a_lost_syn():
    # RFC 5681 3.1: a window of one segment; RFC 6298 5.7: RTO 3 s.
    p = Peer()
    p.connect()
    p.expect(flags=SYN)
    p.run(1000)
    p.expect(flags=SYN)
    p.send(0, 1, SYN | ACK, options=mss(1000))
    p.expect(seq=1, ack=1)
    assert p.c.cwnd == 1000 and p.c.rto == 3000


def test_bad_ack_in_syn_received():
    p = Peer()
    p.tcp.listen(ANY, 80)
    p.send(0, 0, SYN)
    p.expect(flags=SYN | ACK)
    for ack in (0, 2, -5):
        p.send(1, ack)
        p.expect(seq=ack, flags=RST)
    p.send(1, 1)
    p.silent()
    assert p.tcp.connections[0].state == 4


def test_reset_in_syn_received():
    p = Peer()
    listener = p.tcp.listen(ANY, 80)
    p.send(0, 0, SYN)
    p.expect(flags=SYN | ACK)
    p.send(1, 0, RST)
    p.silent()
    assert not p.tcp.connections and listener.half_open == 0


def test_backlog():
    h = host()
    listener = h.stack.tcp.listen(ANY, 80, 2)
    peers = [Peer(h, 4000 + i) for i in range(3)]
    for p in peers:
        p.send(0, 0, SYN)
        if p is peers[2]:
            p.silent()
        else:
            p.expect(flags=SYN | ACK)
    assert h.stat("tcp_backlog_full") == 1
    peers[0].send(1, 1)
    peers[2].send(0, 0, SYN)
    peers[2].silent()
    assert listener.accept().remote_port == 4000
    peers[2].send(0, 0, SYN)
    peers[2].expect(flags=SYN | ACK)


def test_accept_in_order():
    h = host()
    listener = h.stack.tcp.listen(ANY, 80)
    peers = [Peer(h, 4000 + i) for i in range(3)]
    for p in peers:
        p.send(0, 0, SYN)
        p.expect(flags=SYN | ACK)
    for i in (2, 0, 1):
        peers[i].send(1, 1)
    assert [listener.accept().remote_port for _ in range(3)] == [4002, 4000, 4001]


def test_listener_that_closes():
    h = host()
    listener = h.stack.tcp.listen(ANY, 80)
    a, b = Peer(h, 4000), Peer(h, 4001)
    for p in (a, b):
        p.send(0, 0, SYN)
        p.expect(flags=SYN | ACK)
    a.send(1, 1)
    listener.close()
    assert sorted([s.dport for s in a.got() if s.flags & RST]) == [4000, 4001]
    assert not h.stack.tcp.connections
    a.send(0, 0, SYN)
    a.expect(flags=RST | ACK)


def test_initial_sequence_numbers():
    # RFC 6528 3.
    h = host()
    seen = []
    for i in range(20):
        p = Peer(h, 4000 + i)
        p.connect()
        p.expect(flags=SYN)
        seen.append(p.irs)
    steps = set([seen[i + 1] - seen[i] for i in range(19)])
    assert len(set(seen)) == 20 and len(steps) > 15


def test_initial_sequence_number_of_the_same_pair_grows():
    h = host()
    p = Peer(h)
    was = 0
    for i in range(3):
        p.irs = None
        p.connect(local_port=5000)
        p.expect(flags=SYN)
        if i:
            assert (p.irs - was) & 0xFFFFFFFF == 250 * 40
        was = p.irs
        p.c.abort()
        h.run(40, 10)


def test_initial_sequence_numbers_of_two_stacks_differ():
    seen = []
    for _ in range(2):
        p = Peer()
        p.h.clock.now = 1000
        p.connect(local_port=5000)
        p.expect(flags=SYN)
        seen.append(p.irs)
    assert seen[0] != seen[1]


def test_opening_fails():
    p = Peer()
    raises(ENETUNREACH, p.tcp.connect, b"\xc0\0\2\1", 80)
    raises(ENETUNREACH, p.tcp.connect, b"\xe0\0\0\1", 80)
    raises(ENETUNREACH, p.tcp.connect, ANY, 80)
    p.connect(local_port=5000)
    raises(EADDRINUSE, p.tcp.connect, PEER, 4000, None, 5000)
    p.tcp.listen(ANY, 80)
    raises(EADDRINUSE, p.tcp.listen, ANY, 80)
    raises(EADDRINUSE, p.tcp.listen, ME, 80)


def test_syn_options_that_loop_or_lie():
    for options in (
        b"\2\0\5\0",
        b"\2\1\5\0",
        b"\2\xff\5\0",
        b"\1\1\1\2",
        b"\0\2\4\5",
        b"\2\3\5\0",
    ):
        p = Peer().active(options=options)
        assert p.c.mss == 536


def test_not_for_us_alone():
    # RFC 1122 4.2.3.10: a SYN to a broadcast or multicast address.
    p = Peer()
    p.tcp.listen(ANY, 80)
    p.h.ip(6, p.raw(0, 0, SYN), dst=b"\xff\xff\xff\xff", mac=b"\xff\xff\xff\xff\xff\xff")
    p.silent()
    assert not p.tcp.connections
