# Segments that lie, and attacks from beside the path (RFC 5961, RFC 5927).
from harness import ANY, DF, ICMP, be16, host, icmp
from tcp_peer import ACK, FIN, RST, SYN, TCP, Peer, mss, pattern, quote
from viperip.errors import ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH


def opened(**more):
    return Peer().active(**more)


def test_reset_needs_the_exact_number():
    # RFC 5961 3.2.
    p = opened()
    for seq in (2, 100, 65000):
        p.send(seq, 0, RST)
        p.expect(seq=1, ack=1)
    for seq in (0, -5, 70000, -(1 << 30)):
        p.send(seq, 0, RST)
        p.silent()
    assert p.state() == "ESTABLISHED"
    p.send(1, 0, RST)
    p.silent()
    assert p.c.error == ECONNRESET and p.state() == "CLOSED"


def test_reset_with_a_shut_window():
    p = opened(rcv_size=500)
    p.send(1, 1, ACK, bytes(500))
    p.run(40)
    p.expect(wnd=0)
    p.send(502, 0, RST)
    assert p.state() == "ESTABLISHED"
    p.send(501, 0, RST)
    assert p.state() == "CLOSED"


def test_syn_gets_a_challenge():
    # RFC 5961 4.2: whatever its number.
    p = opened()
    for seq in (0, 1, 50, 70000, -70000):
        for flags in (SYN, SYN | ACK):
            p.send(seq, 1, flags)
            p.expect(seq=1, ack=1)
    assert p.state() == "ESTABLISHED"


def test_ack_of_what_was_not_sent():
    # RFC 9293 3.10.7.4, fifth: an ACK, and the segment is dropped.
    p = opened()
    p.write(b"abc")
    p.got()
    for ack in (5, 1000, 1 << 28):
        p.send(1, ack, ACK, b"evil")
        p.expect(seq=4, ack=1)
    assert p.c.rcv_used == 0 and p.c.snd_len == 3


def test_very_old_ack():
    # RFC 5961 5.2: at most as old as the largest window.
    p = opened(wnd=1000)
    p.send(1, -2000, ACK, b"evil")
    p.expect(seq=1, ack=1)
    assert p.c.rcv_used == 0
    p.send(1, -500, ACK, b"late")
    assert p.read() == b"late"


def test_challenges_are_limited():
    # RFC 5961 7.
    p = opened()
    for _ in range(50):
        p.send(50, 0, RST)
    assert len(p.got()) == 10 and p.stat("tcp_challenges_limited") == 40
    p.run(1100)
    p.send(50, 0, RST)
    p.expect(seq=1, ack=1)


def test_challenges_tell_nothing_of_other_connections():
    # CVE-2016-5696: who has used up his own challenges must not see that others were used up.
    victim = opened()
    own = Peer(victim.h, port=5000).active()
    for _ in range(200):
        victim.send(50, 0, RST)
    victim.h.sent()
    own.send(50, 0, RST)
    own.expect(seq=1, ack=1)


def test_text_sent_again_is_always_acknowledged():
    # RFC 9293 3.10.7.4: the ACK was lost, however often.
    p = opened()
    p.send(1, 1, ACK, b"data")
    p.run(100)
    p.got()
    for _ in range(30):
        p.send(1, 1, ACK, b"data")
        p.expect(seq=1, ack=5)


def test_two_that_refuse_each_other():
    # An ACK out of the window, answered by another: it ends.
    p = opened()
    for _ in range(100):
        p.send(-70000, 1)
    assert len(p.got()) == 10


def test_keepalive_believes_only_what_is_acceptable():
    # RFC 9293 3.8.4: a stranger must not keep a connection to a dead peer alive.
    p = opened()
    p.c.keepalive, p.c.keep_idle, p.c.keep_interval, p.c.keep_count = True, 1000, 500, 2
    heard = p.c.heard
    p.h.clock.advance(500)
    p.send(100000, 1, ACK, b"x")
    p.send(1, 100000)
    assert p.c.heard == heard
    p.send(1, 1)
    assert p.c.heard == p.h.stack.now


def broken(p, seq, data, at=-1):
    b = bytearray(p.raw(seq, 1, ACK, data))
    b[at] ^= 0x40
    p.h.ip(TCP, bytes(b))


def test_bad_checksum():
    p = opened()
    n = len(p.raw(1, 1, ACK, b"data"))
    bad = 0
    for at in range(n):
        if at in (0, 1, 2, 3, 12):
            continue
        broken(p, 1, b"data", at)
        bad += 1
        assert p.stat("tcp_checksum") == bad, at
    p.run(100)
    p.silent()
    assert p.c.rcv_used == 0 and p.state() == "ESTABLISHED"
    p.send(1, 1, ACK, b"good")
    assert p.read() == b"good"


def test_bad_checksum_of_a_syn_and_a_stranger():
    p = Peer()
    p.tcp.listen(ANY, 80)
    for port in (80, 81):
        p.sport = port
        b = bytearray(p.raw(0, 0, SYN))
        b[15] ^= 1
        p.h.ip(TCP, bytes(b))
    p.silent()
    assert not p.tcp.connections and p.stat("tcp_checksum") == 2


def test_bad_data_never_covers_queued_data():
    p = opened()
    data = pattern(300)
    p.send(101, 1, ACK, data[100:200])
    p.expect(ack=1)
    broken(p, 1, bytes(300))
    broken(p, 1, bytes(150))
    broken(p, 101, bytes(100))
    broken(p, 51, bytes(100))
    p.silent()
    p.send(1, 1, ACK, data[:100])
    assert p.read() == data[:200]
    p.send(201, 1, ACK, data[200:])
    assert p.read() == data[200:]


def test_bad_data_never_covers_unread_data():
    p = opened(rcv_size=300)
    data = pattern(290)
    p.send(1, 1, ACK, data)
    for seq in (1, 100, 291):
        broken(p, seq, bytes(300))
        broken(p, seq, bytes(10))
    assert p.read() == data


def test_data_offset_that_lies():
    p = opened()
    for off in (1, 2, 3, 4):
        p.send(1, 1, ACK, b"data" * 5, off=off)
    p.send(1, 1, ACK, b"", off=6)
    p.send(1, 1, ACK, b"data" * 9, off=15)
    assert p.stat("tcp_offset") == 6
    # With 40 bytes of options, four of data are left.
    p.send(1, 1, ACK, b"data" * 11, off=15)
    assert p.read() == b"data"


def test_data_offset_that_lies_to_strangers():
    p = Peer()
    p.irs = 0
    for off in (1, 4, 6, 15):
        p.send(1, 1, SYN, b"", off=off)
    p.silent()
    assert p.stat("tcp_offset") == 4


def test_short_segments():
    p = opened()
    b = p.raw(1, 0, RST)
    for n in range(20):
        p.h.ip(TCP, b[:n])
    assert p.stat("tcp_short") == 20 and p.state() == "ESTABLISHED"
    p.silent()


def test_options_on_data():
    # RFC 9293 3.2 MUST-6, MUST-7: unknown ones, and lengths that loop or lie, are passed over.
    at = 1
    p = opened()
    for options in (
        b"\1\1\1\1",
        b"\xfd\4ab",
        b"\2\0\0\0",
        b"\x08\xff\0\0",
        b"\1\1\1\xfd",
        b"\2\4\0\1",
    ):
        p.send(at, 1, ACK, b"data", options=options)
        assert p.read() == b"data"
        at += 4
    assert p.c.mss == 1460


def test_window_scale_that_is_too_large():
    # RFC 7323 2.3.
    p = opened(options=mss(1460) + b"\1\3\3\xff")
    assert p.c.snd_shift == 14


def test_all_flags():
    for flags in range(64):
        p = opened()
        p.send(1, 1, flags, b"x")
        p.send(300, 1, flags, b"x")
        p = Peer()
        p.irs = 0
        p.tcp.listen(ANY, 80)
        p.send(1, 1, flags, b"x")
        p = Peer()
        p.connect()
        p.got()
        p.send(1, 1, flags, b"x")


def test_noise():
    # Random segments near the window never hurt.
    state = [7]

    def rnd(n):
        state[0] = (state[0] * 1103 + 12345) & 0x1FFFFFF
        return (state[0] >> 5) % n

    p = opened(rcv_size=2000)
    p.write(pattern(3000))
    for _ in range(3000):
        flags = (ACK, ACK, ACK, ACK | FIN, SYN, ACK | 8, ACK | 32)[rnd(7)]
        p.send(rnd(4000) - 1000, rnd(4000) - 1000, flags, bytes(rnd(300)), wnd=rnd(5000))
        c = p.c
        assert 0 <= c.rcv_used <= c.rcv_size and 0 <= c.rcv_adv <= c.rcv_size - c.rcv_used
        assert 0 <= c.snd_nxt <= c.snd_max and 0 <= c.snd_len <= c.snd_size
        p.got()
        if rnd(5) == 0:
            p.read(rnd(1000))
            p.run(rnd(300))


def error(p, kind, code, seq=0, rest=bytes(4), n=8):
    p.h.ip(ICMP, icmp(kind, code, rest, quote(p, seq, n)))


def test_soft_errors():
    # RFC 1122 4.2.3.9, RFC 5927 5.2: an established connection lives on.
    p = opened()
    p.write(b"abc")
    p.got()
    for code in (0, 1, 2, 3, 5, 13):
        error(p, 3, code, 1)
        assert p.state() == "ESTABLISHED" and p.c.error == 0
        assert p.c.soft_error == (ENETUNREACH if code == 0 else EHOSTUNREACH)
    p.send(1, 4)
    assert p.c.snd_len == 0


def test_hard_errors_while_opening():
    for code, want in ((2, ECONNREFUSED), (3, ECONNREFUSED), (1, EHOSTUNREACH)):
        p = Peer()
        p.connect()
        p.got()
        error(p, 3, code, 0)
        assert p.c.error == want and not p.tcp.connections


def test_soft_error_while_opening():
    p = Peer()
    p.connect()
    p.got()
    for code in (0, 5):
        error(p, 3, code, 0)
    assert p.state() == "SYN-SENT"


def test_errors_about_what_was_not_sent():
    # RFC 5927 4.1.
    p = Peer()
    p.connect()
    p.got()
    for seq in (-1, 2, 1 << 20, -(1 << 29)):
        error(p, 3, 3, seq)
    p.port += 1
    error(p, 3, 3, 0)
    p.port -= 1
    assert p.state() == "SYN-SENT" and p.c.soft_error == 0


def test_path_mtu():
    # RFC 1191 6.3, 6.4: smaller segments, sent at once.
    p = Peer().active(options=mss(1460))
    p.write(pattern(2920))
    p.got()
    error(p, 3, 4, 1, b"\0\0" + be16(1000))
    assert p.c.mss == 960
    assert [(s.seq, len(s.data)) for s in p.got()][:2] == [(1, 960), (961, 960)]
    error(p, 3, 4, 1, b"\0\0" + be16(1400))
    assert p.c.mss == 960


def test_path_mtu_that_lies():
    # RFC 5927 7: never below 576 bytes, and then without DF, for a path that is really so narrow.
    for mtu in (0, 68, 300):
        p = Peer().active(options=mss(1460))
        p.write(pattern(1460))
        p.got()
        error(p, 3, 4, 1, b"\0\0" + be16(mtu))
        assert p.c.mss == 536
        out = p.h.datagrams()
        assert [len(d.payload) for d in out] == [556, 556, 408]
        assert not any([d.frag & DF for d in out])
        for again in (68, 0, 577, 575):
            error(p, 3, 4, 1, b"\0\0" + be16(again))
        p.silent()


def test_path_mtu_out_of_the_blue():
    # RFC 5927 4.1: about nothing that is in flight.
    p = Peer().active(options=mss(1460))
    for seq in (0, 1, 5000):
        error(p, 3, 4, seq, b"\0\0" + be16(600))
    p.write(pattern(100))
    p.got()
    error(p, 3, 4, 101, b"\0\0" + be16(600))
    p.silent()
    assert p.c.mss == 1460 and p.c.soft_error == 0


def test_source_quench_is_ignored():
    # RFC 6633.
    p = opened()
    p.write(b"abc")
    p.got()
    was = p.c.cwnd
    error(p, 4, 0, 1)
    assert p.c.cwnd == was and p.c.soft_error == 0


def test_flood_of_syns():
    h = host(frames=256)
    s = h.stack.tcp.listen(ANY, 80, 4)
    for i in range(100):
        Peer(h, 2000 + i).send(0, 0, SYN)
    assert len(h.stack.tcp.connections) == 4 and s.half_open == 4
    h.run(130000, 1000)
    assert not h.stack.tcp.connections and s.half_open == 0
