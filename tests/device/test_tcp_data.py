# Data on an established TCP connection (RFC 9293 3.8, RFC 1122 4.2.3).
from harness import host
from tcp_peer import ACK, PSH, SYN, Peer, mss, pattern


def small(size=4000, options=None, **more):
    # With a receive buffer of a known size.
    return Peer().active(rcv_size=size, options=options, **more)


def test_in_order():
    p = Peer().active()
    at = 1
    for n in (1, 2, 3, 100, 1459, 1460, 7):
        p.send(at, 1, ACK, pattern(n, at))
        assert p.read() == pattern(n, at)
        at += n
    p.run(40)
    assert p.got()[-1].ack == at


def test_across_the_ring():
    p = small(1013)
    at = 1
    for i in range(100):
        n = i * 37 % 300 + 1
        p.send(at, 1, ACK, pattern(n, at))
        assert p.read() == pattern(n, at), i
        at += n


def test_delayed_ack():
    # RFC 1122 4.2.3.2: within 500 ms, and at least every second segment.
    p = Peer().active()
    p.send(1, 1, ACK, b"a")
    p.run(30)
    p.silent()
    p.run(10)
    p.expect(seq=1, ack=2)
    p.send(2, 1, ACK, b"b")
    p.silent()
    p.send(3, 1, ACK, b"c")
    p.expect(seq=1, ack=4)
    p.run(1000)
    p.silent()


def test_data_carries_the_ack():
    p = Peer().active()
    p.send(1, 1, ACK, b"a")
    p.write(b"reply")
    p.expect(seq=1, ack=2, data=b"reply")
    p.send(2, 6)
    p.run(100)
    p.silent()


def test_out_of_order():
    # RFC 5681 4.2: an ACK at once for every segment out of order, and when a hole is filled.
    p = Peer().active()
    data = pattern(500)
    for at in (100, 300, 200, 400):
        p.send(1 + at, 1, ACK, data[at : at + 100])
        p.expect(seq=1, ack=1)
        assert p.c.rcv_used == 0
    assert p.c.holes == [[100, 500]]
    p.send(1, 1, ACK, data[:100])
    p.expect(seq=1, ack=501)
    assert p.read() == data and not p.c.holes


def test_two_holes():
    p = Peer().active()
    data = pattern(500)
    for at in (100, 300):
        p.send(1 + at, 1, ACK, data[at : at + 100])
        p.expect(ack=1)
    p.send(1, 1, ACK, data[:100])
    p.expect(ack=201)
    assert p.read() == data[:200]
    p.send(201, 1, ACK, data[200:300])
    p.expect(ack=401)
    assert p.read() == data[200:400]


def test_every_order():
    # All orders of four segments, one of them sent twice.
    data = pattern(400)
    orders = [[]]
    for i in range(4):
        orders = [o[:k] + [i] + o[k:] for o in orders for k in range(len(o) + 1)]
    p = Peer().active()
    at = 1
    for o in orders:
        for i in o + [o[1]]:
            p.send(at + i * 100, 1, ACK, data[i * 100 : i * 100 + 100])
        at += 400
        assert p.read() == data, o
        assert p.got()[-1].ack == at


def test_overlap_on_the_left():
    p = Peer().active()
    data = pattern(300)
    p.send(1, 1, ACK, data[:100])
    p.send(51, 1, ACK, data[50:200])
    assert p.read() == data[:200]
    p.expect(ack=201)
    p.send(1, 1, ACK, data[:200])
    p.expect(ack=201)
    p.send(1, 1, ACK, data)
    assert p.read() == data[200:]


def test_overlap_on_the_right():
    # What lies beyond the window is cut off.
    p = small(1000)
    data = pattern(1400)
    p.send(1, 1, ACK, data)
    p.run(40)
    p.expect(ack=1001, wnd=0)
    assert p.read() == data[:1000]


def test_overlap_of_queued_data():
    p = Peer().active()
    data = pattern(400)
    for a, b in ((100, 200), (150, 300), (50, 120), (90, 250)):
        p.send(1 + a, 1, ACK, data[a:b])
        p.expect(ack=1)
    assert p.c.holes == [[50, 300]]
    p.send(1, 1, ACK, data[:60])
    p.expect(ack=301)
    assert p.read() == data[:300]


def test_too_many_holes():
    p = Peer().active()
    data = pattern(2000)
    for i in range(20):
        p.send(1 + 50 + i * 100, 1, ACK, data[50 + i * 100 : 100 + i * 100])
        p.expect(ack=1)
    assert len(p.c.holes) == 16 and p.stat("tcp_holes_full") == 4
    for i in range(20):
        p.send(1 + i * 100, 1, ACK, data[i * 100 : 100 + i * 100])
    assert p.read() == data


def test_in_order_data_always_finds_room():
    p = Peer().active()
    for i in range(16):
        p.send(1 + 50 + i * 100, 1, ACK, b"x")
    p.got()
    p.send(1, 1, ACK, b"first")
    p.expect(ack=6)
    assert p.read() == b"first" and len(p.c.holes) == 16


def test_old_data_gets_an_ack():
    # RFC 9293 3.10.7.4, first.
    p = Peer().active()
    p.send(1, 1, ACK, b"abcd")
    p.read()
    p.run(40)
    p.expect(ack=5)
    p.send(1, 1, ACK, b"abcd")
    p.expect(seq=1, ack=5)
    assert p.c.rcv_used == 0


def test_beyond_the_window():
    p = small(1000)
    p.send(1001, 1, ACK, b"x")
    p.expect(seq=1, ack=1)
    p.send(5000, 1, ACK, b"x")
    p.expect(seq=1, ack=1)
    assert not p.c.holes


def test_no_ack_flag():
    # RFC 9293 3.10.7.4, fifth.
    p = Peer().active()
    p.send(1, 0, PSH, b"x")
    p.silent()
    assert p.c.rcv_used == 0


def test_window_never_shrinks():
    # RFC 9293 3.8.6.2.2: its right edge is never moved to the left.
    p = small(3000)
    edge = 3001
    at = 1
    for i in range(300):
        n = min(i * 53 % 700 + 1, edge - at)
        if n:
            p.send(at, 1, ACK, pattern(n, at))
            at += n
        if i % 3:
            p.read(i * 31 % 900)
        p.run(40)
        for s in p.got():
            assert s.ack + s.wnd >= edge, i
            edge = s.ack + s.wnd
            assert edge - at <= 3000 - p.c.rcv_used, i


def test_silly_window_of_the_receiver():
    # RFC 9293 3.8.6.2.2: no update for less than a segment or half the buffer.
    p = small(2000)
    p.send(1, 1, ACK, pattern(1000))
    p.send(1001, 1, ACK, pattern(1000))
    p.run(40)
    p.expect(ack=2001, wnd=0)
    for _ in range(9):
        p.read(100)
        p.h.stack.poll()
        p.silent()
    p.read(100)
    p.h.stack.poll()
    p.expect(ack=2001, wnd=1000)


def test_ack_waits_for_the_reader():
    # RFC 9293 3.8.6.3: one ACK for a buffer full of data, with the window that reading has opened.
    p = small(5760)
    at = 1
    for _ in range(10):
        for n in (1460, 1460, 1460, 1380):
            p.send(at, 1, ACK, pattern(n, at))
            at += n
        p.silent()
        p.read()
        p.h.stack.poll()
        p.expect(ack=at, wnd=5760)
    # Read bit by bit, the peer hears of each two segments; unread, it hears soon.
    for n in (1460, 1460, 1460, 1380):
        p.send(at, 1, ACK, pattern(n, at))
        at += n
    p.run(40)
    p.expect(ack=at, wnd=0)
    seen = []
    for _ in range(16):
        p.read(360)
        p.h.stack.poll()
        seen += [s.wnd for s in p.got()]
    assert seen == [1800, 3600], seen


def test_ack_does_not_wait_while_there_is_window():
    p = small(20000)
    at = 1
    for i in range(8):
        p.send(at, 1, ACK, pattern(1460, at))
        at += 1460
        if i & 1:
            p.expect(ack=at)
        else:
            p.silent()


def test_shut_window_still_takes_acks():
    # RFC 9293 3.10.7.4: with a window of zero, ACKs and resets are still taken.
    p = small(500)
    p.write(b"abc")
    p.expect(data=b"abc")
    p.send(1, 1, ACK, pattern(500))
    p.run(40)
    p.expect(wnd=0)
    p.send(501, 4, ACK, b"probe")
    p.expect(ack=501, wnd=0)
    assert p.c.snd_len == 0 and p.c.rcv_used == 500


def test_segments_of_full_size():
    p = Peer().active(options=mss(1000))
    p.write(pattern(3500))
    got = p.got()
    assert [(s.seq, len(s.data)) for s in got[:3]] == [(1, 1000), (1001, 1000), (2001, 1000)]
    p.send(1, 3001)
    s = p.expect(seq=3001, data=pattern(500, 3000))
    assert s.flags & PSH
    # RFC 9293 3.9.1.2: the last segment of what the user gave.
    assert not [s for s in got[:3] if s.flags & PSH]


def test_push():
    p = Peer().active(options=mss(1000))
    p.write(pattern(2000))
    assert [s.flags & PSH for s in p.got()] == [0, PSH]


def lengths(p):
    return [len(s.data) for s in p.got()]


def full():
    # A send buffer that is no multiple of the segment, filled by a user who has more to send.
    p = Peer().active(snd_size=5760)
    assert p.write(pattern(10000)) == 5760
    assert lengths(p) == [1460] * 3
    p.send(1, 4381)
    return p


def test_what_is_not_pushed_waits_for_the_rest():
    # RFC 9293 3.8.6.2.1: a short segment leaves when it is pushed and all there is.
    p = full()
    p.silent()
    at = 4381
    for _ in range(10):
        p.write(bytes(9000))
        assert lengths(p) == [1460] * 3
        at += 4380
        p.send(1, at)
        p.silent()
    assert p.write(bytes(1000)) == 1000
    assert lengths(p) == [1460]
    p.send(1, at + 1460)
    assert lengths(p) == [920]
    p.send(1, at + 2380)
    assert p.c.snd_len == 0 and not p.c.probing and p.c.t_rtx < 0


def test_what_is_not_pushed_leaves_in_the_end():
    # RFC 9293 3.8.6.2.1 (4), the override timeout.
    p = full()
    p.run(190)
    p.silent()
    for ms in (20, 200):  # it may be lost as well
        p.run(ms)
        p.expect(seq=4381, data=pattern(1380, 4380))
    p.send(1, 5761)
    assert not p.c.probing and p.c.t_rtx < 0
    p.write(b"more")
    p.expect(seq=5761, data=b"more")


def test_what_is_not_pushed_leaves_before_a_fin_or_without_delay():
    p = full()
    p.c.shutdown()
    p.h.stack.tcp.flush()
    p.expect(seq=4381, flags=0x11, data=pattern(1380, 4380))
    p = Peer().active(snd_size=5760)
    p.c.nodelay = True
    p.write(pattern(10000))
    assert lengths(p) == [1460, 1460, 1460, 1380]
    p = Peer().active(snd_size=1000)
    p.write(pattern(10000))
    assert lengths(p) == [1000]  # there will never be more in this buffer


def test_after_waiting_a_loss_is_repaired():
    p = full()
    p.write(bytes(1540))
    assert lengths(p) == [1460, 1460]
    p.run(250)
    p.expect(seq=4381, data=None)
    p.send(1, 4381 + 2920)
    assert p.c.snd_len == 0


def test_nagle():
    # RFC 9293 3.7.4: small segments wait while something is on its way.
    p = Peer().active(options=mss(1000))
    p.write(b"a")
    p.expect(seq=1, data=b"a")
    p.write(b"b")
    p.write(b"c")
    p.silent()
    p.send(1, 2)
    p.expect(seq=2, data=b"bc")
    p.write(bytes(999))
    p.silent()
    p.write(b"x")
    p.expect(seq=4, data=bytes(999) + b"x")


def test_no_delay():
    p = Peer().active(options=mss(1000))
    p.c.nodelay = True
    for i in range(5):
        p.write(b"x")
        p.expect(seq=1 + i, data=b"x")


def test_send_window():
    p = Peer().active(options=mss(1000), wnd=2500)
    p.write(pattern(6000))
    assert sum([len(s.data) for s in p.got()]) in (2000, 2500)
    p.send(1, 2001, wnd=2000)
    last = p.got()[-1]
    assert last.seq + len(last.data) == 4001


def test_window_update_rule():
    # RFC 9293 3.10.7.4: an old segment does not bring back an old window.
    p = Peer().active(options=mss(1000))
    p.send(1, 1, ACK, b"ab", wnd=3000)
    assert p.c.snd_wnd == 3000
    p.send(1, 1, ACK, wnd=9000)
    assert p.c.snd_wnd == 3000
    p.send(3, 1, wnd=0)
    assert p.c.snd_wnd == 0


def test_silly_window_of_the_sender():
    # RFC 9293 3.8.6.2.1: a small window is not filled, until the timer says so.
    p = Peer().active(options=mss(1000), wnd=4000)
    p.write(pattern(4000))
    assert len(p.got()) == 4
    p.write(pattern(2000))
    p.send(1, 4001, wnd=300)
    p.silent()
    p.run(250)
    assert p.expect(seq=4001, data=None).data == pattern(300)


def test_zero_window_probes():
    # RFC 9293 3.8.6.1: after the RTO, then at growing intervals, for as long as it takes.
    p = Peer().active(options=mss(1000), wnd=0)
    p.write(pattern(3000))
    p.silent()
    times = []
    for t in range(600):
        p.run(100, 100)
        for s in p.got():
            p.same(s, seq=1, ack=1, data=pattern(1))
            times.append(t)
            p.send(1, 1, wnd=0)
    steps = [times[i + 1] - times[i] for i in range(len(times) - 1)]
    assert len(times) >= 5 and steps == sorted(steps) and steps[1] >= 2 * steps[0] - 1
    p.run(400000, 1000)
    assert p.state() == "ESTABLISHED" and p.stat("tcp_fast_retransmits") == 0
    p.got()
    p.send(1, 1, wnd=5000)
    got = p.got()
    assert got[0].seq == 1 and b"".join([s.data for s in got]) == pattern(3000)


def test_probe_that_is_taken():
    p = Peer().active(options=mss(1000), wnd=0)
    p.c.nodelay = True
    p.write(pattern(3000))
    p.run(250)
    p.expect(seq=1, data=pattern(1))
    p.send(1, 2, wnd=0)
    p.run(250)
    p.expect(seq=2, data=pattern(1, 1))
    p.send(1, 3, wnd=5000)
    got = p.got()
    assert got[0].seq == 3 and b"".join([s.data for s in got]) == pattern(2998, 2)


def test_window_that_shuts_under_way():
    p = Peer().active(options=mss(1000), wnd=4000)
    p.write(pattern(6000))
    assert len(p.got()) == 4
    p.send(1, 2001, wnd=0)
    p.run(10000)
    for s in p.got():
        assert s.seq >= 2001
    p.send(1, 2001, wnd=8000)
    at = 2001
    for _ in range(40):
        p.run(500)
        for s in p.got():
            assert s.data == pattern(len(s.data), s.seq - 1)
            if s.seq <= at:
                at = max(at, s.seq + len(s.data))
        p.send(1, at, wnd=8000)
    assert at == 6001 and p.c.snd_len == 0


def test_urgent_is_plain_data():
    p = Peer().active()
    p.send(1, 1, ACK | 32, b"abc")
    assert p.read() == b"abc"


def test_keepalive_of_the_peer():
    # RFC 9293 3.8.4.
    p = Peer().active()
    p.send(0, 1)
    p.expect(seq=1, ack=1)
    p.send(0, 1, ACK, b"\0")
    p.expect(seq=1, ack=1)
    assert p.c.rcv_used == 0


def test_window_within_what_the_device_holds():
    # A device with 8 receive buffers loses what comes beyond them while nobody polls; two are
    # for other frames.
    p = Peer(host(frames=8)).passive()
    for i in range(6):
        p.send(1 + i * 1460, 1, ACK, pattern(1460, i * 1460))
        for s in p.got():
            assert s.wnd <= 6 * 1460, s.wnd
        p.read()
    syn = Peer(host(frames=8))
    syn.connect()
    syn.expect(flags=SYN, wnd=6 * 1460)
