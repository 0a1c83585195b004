# Lost segments: RFC 6298, RFC 5681, RFC 6582.
from tcp_peer import Peer, mss, pattern
from viperip.errors import ETIMEDOUT

MSS = 1000


def opened(**more):
    return Peer().active(options=mss(MSS), **more)


def waits(p, ms, step=10):
    # After how many ms each segment came.
    out = []
    for t in range(step, ms + 1, step):
        p.run(step, step)
        for _ in p.got():
            out.append(t)
    return out


def primed(n, cwnd=0):
    # n segments are on their way.
    p = opened(snd_size=100000)
    if cwnd:
        p.c.cwnd = cwnd
    p.write(pattern(n * MSS))
    got = p.got()
    assert [s.seq for s in got] == [1 + i * MSS for i in range(n)]
    return p


def test_rtt_estimate():
    # RFC 6298 2.2, 2.3.
    p = Peer()
    p.connect()
    p.got()
    p.run(400)
    p.send(0, 1, 18, options=mss(MSS))
    p.got()
    assert p.c.srtt >> 3 == 400 and p.c.rttvar >> 2 == 200 and p.c.rto == 1200
    p.write(b"a")
    p.run(240)
    p.send(1, 2)
    # SRTT 7/8 * 400 + 1/8 * 240; RTTVAR 3/4 * 200 + 1/4 * 160.
    assert p.c.srtt >> 3 == 380 and p.c.rttvar >> 2 == 190 and p.c.rto == 380 + 760


def test_rtt_across_the_wrap_of_the_clock():
    for _ in range(2):
        p = opened()
        p.h.clock.now = (1 << 30) - 100
        p.h.stack.poll()
        p.c.srtt = 0
        p.write(b"a")
        p.run(150)
        p.send(1, 2)
        assert p.c.srtt >> 3 == 150


def test_least_rto():
    p = opened()
    assert p.c.rto == 200
    p.tcp.min_rto = 500
    p.write(b"a")
    p.send(1, 2)
    assert p.c.rto == 500


def test_rto_and_back_off():
    # RFC 6298 5.5: doubled each time, 60 s at most.
    p = opened()
    p.write(b"abc")
    p.expect(seq=1, data=b"abc")
    at = waits(p, 200000, 50)
    steps = [at[0]] + [at[i + 1] - at[i] for i in range(len(at) - 1)]
    assert steps[:9] == [200 << i for i in range(9)] and steps[9:] == [60000]


def test_giving_up():
    p = opened()
    p.write(b"abc")
    p.run(1000000, 1000)
    assert p.c.error == ETIMEDOUT and not p.tcp.connections and p.c.retransmits == 15


def test_user_timeout():
    # RFC 5482.
    p = opened()
    p.c.user_timeout = 3000
    p.write(b"abc")
    p.run(2900)
    assert p.c.error == 0
    p.run(10000)
    assert p.c.error == ETIMEDOUT


def test_karn():
    # RFC 6298 3: what was sent twice is not timed.
    p = opened()
    was = p.c.srtt
    p.write(b"abc")
    p.run(700)
    p.got()
    p.send(1, 4)
    assert p.c.srtt == was and p.c.backoff == 0
    p.write(b"d")
    p.run(100)
    p.send(1, 5)
    assert p.c.srtt != was


def test_timer_starts_again_with_an_ack():
    # RFC 6298 5.3, 5.2.
    p = primed(2)
    p.run(150)
    p.send(1, 1001)
    p.run(150)
    p.silent()
    p.run(60)
    p.expect(seq=1001, data=pattern(1000, 1000))
    p.send(1, 2001)
    p.run(5000)
    p.silent()


def test_timeout_starts_slowly():
    # RFC 5681 3.1: one segment, and half of what was in flight as the threshold.
    p = primed(8)
    p.run(200)
    p.expect(seq=1, data=pattern(1000))
    assert p.c.cwnd == MSS and p.c.ssthresh == 4 * MSS
    p.run(400)
    p.expect(seq=1, data=pattern(1000))
    assert p.c.ssthresh == 4 * MSS
    p.send(1, 1001)
    assert [s.seq for s in p.got()] == [1001, 2001]


def test_all_lost():
    p = primed(8)
    seen = {}
    at = 1
    for _ in range(100):
        p.run(50)
        for s in p.got():
            seen[s.seq] = s.data
            while at in seen:
                at += len(seen[at])
            p.send(1, at)
    assert at == 8001 and p.c.snd_len == 0


def test_retransmission_stays_in_the_window():
    # What was never sent does not go along.
    p = opened(wnd=300)
    p.c.nodelay = True
    p.write(pattern(300))
    p.expect(seq=1, data=pattern(300))
    p.write(pattern(700, 300))
    p.silent()
    p.run(200)
    p.expect(seq=1, data=pattern(300))


def test_fast_retransmit():
    # RFC 5681 3.2, RFC 6582 3.2.
    p = primed(8)
    p.send(1, 1001)
    for _ in range(2):
        p.send(1, 1001)
        p.silent()
    p.send(1, 1001)
    p.expect(seq=1001, data=pattern(1000, 1000))
    assert p.stat("tcp_fast_retransmits") == 1 and p.c.recovering
    assert p.c.ssthresh == 3500 and p.c.cwnd == 3500 + 3 * MSS
    p.send(1, 1001)
    assert p.c.cwnd == 3500 + 4 * MSS
    p.silent()
    p.send(1, 8001)
    assert not p.c.recovering and p.c.cwnd <= 3500
    p.run(5000)
    p.silent()


def test_what_is_no_duplicate_ack():
    # RFC 5681 2: data, another window, a FIN, or nothing on its way.
    p = primed(4)
    for i in range(5):
        p.send(1 + i, 1, data=b"x")
    for i in range(5):
        p.send(6, 1, wnd=60000 - i)
    p.got()
    assert p.c.dupacks == 0
    p.send(6, 4001)
    for _ in range(5):
        p.send(6, 4001)
    assert p.c.dupacks == 0 and p.stat("tcp_fast_retransmits") == 0
    p.silent()


def test_partial_ack():
    # RFC 6582 3.2 step 3: the next hole at once, without three more duplicates.
    p = primed(8)
    for _ in range(3):
        p.send(1, 1)
    p.expect(seq=1, data=pattern(1000))
    p.send(1, 3001)
    p.expect(seq=3001, data=pattern(1000, 3000))
    assert p.c.recovering
    p.send(1, 5001)
    p.expect(seq=5001, data=pattern(1000, 5000))
    p.send(1, 8001)
    p.silent()
    assert not p.c.recovering and p.stat("tcp_fast_retransmits") == 1
    assert p.stat("tcp_timeouts") == 0


def test_inflation_sends_new_data():
    p = primed(8, 8 * MSS)
    p.write(pattern(8 * MSS))
    p.silent()
    for _ in range(3):
        p.send(1, 1)
    p.expect(seq=1, data=pattern(1000))
    seqs = []
    for _ in range(4):
        p.send(1, 1)
        seqs += [s.seq for s in p.got()]
    assert seqs == [8001, 9001, 10001]


def test_no_second_recovery_after_a_timeout():
    # RFC 6582 3.2 step 4: duplicates caused by what was sent before.
    p = primed(6)
    p.run(200)
    p.got()
    for _ in range(5):
        p.send(1, 1)
    assert p.stat("tcp_fast_retransmits") == 0


def test_initial_window():
    # RFC 6928.
    for size, want in ((1460, 14600), (1000, 10000), (300, 3000)):
        p = Peer().active(options=mss(size))
        assert p.c.cwnd == want


def test_slow_start():
    # RFC 5681 3.1: by the segment that is acknowledged.
    p = primed(8)
    p.c.cwnd = 8000
    p.send(1, 1001)
    assert p.c.cwnd == 9000
    p.send(1, 3001)
    assert p.c.cwnd == 10000


def test_congestion_avoidance():
    # RFC 5681 3.1: one segment a window.
    p = primed(8)
    p.c.cwnd = 4000
    p.c.ssthresh = 4000
    for i in range(4):
        assert p.c.cwnd == 4000
        p.send(1, 1001 + i * 1000)
    assert p.c.cwnd == 5000


def test_state_stays_in_small_ints():
    # For as much as is ever sent.
    p = opened()
    p.c.recover = 0
    at = 1
    for _ in range(50):
        p.write(bytes(1000))
        at += 1000
        p.send(1, at)
        assert p.c.recover >= 0 and p.c.cwnd <= 0xFFFFFF
