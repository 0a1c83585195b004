# ARP (RFC 826, RFC 1122 2.3.2) and address conflict detection (RFC 5227).
from harness import (
    ALL_MAC,
    ANY,
    MAC,
    MASK,
    ME,
    PEER,
    PEER_MAC,
    REPLY,
    REQUEST,
    Arp,
    Datagram,
    arp,
    eth,
    host,
)

NO_MAC = bytes(6)
OTHER_MAC = b"\x02\0\0\0\0\x0c"


def fresh(**more):
    return host(static=False, **more)


def state(h, ip="10.0.0.2"):
    for e in h.ifc.arp.entries():
        if e["ip"] == ip:
            return e["state"]
    return None


def talk(h, dst=PEER, data=b"data"):
    # Send a datagram to the peer at the clock's present time.
    h.stack.time()
    if not hasattr(h, "endpoint"):
        h.endpoint = h.stack.udp.open()
    return h.endpoint.send(data, dst, 9)


def answer(h, mac=PEER_MAC, ip=PEER):
    h.inject(arp(REPLY, mac, ip, MAC, ME))


def test_request_gets_a_reply():
    # RFC 826, packet reception: "?Is the opcode ares_op$REQUEST?"
    h = fresh()
    h.inject(arp(REQUEST, PEER_MAC, PEER, NO_MAC, ME, to=ALL_MAC))
    (frame,) = h.sent()
    assert len(frame) == 60 and frame[:6] == PEER_MAC and frame[6:12] == MAC
    a = Arp(frame)
    assert (a.op, a.sha, a.spa, a.tha, a.tpa) == (REPLY, MAC, ME, PEER_MAC, PEER)


def test_who_asks_for_us_is_learnt():
    # RFC 826: the target of a request adds the sender.
    h = fresh()
    h.inject(arp(REQUEST, PEER_MAC, PEER, NO_MAC, ME))
    h.sent()
    assert state(h) == "reachable"
    talk(h)
    (frame,) = h.sent()
    assert frame[:6] == PEER_MAC and frame[12:14] == b"\x08\0"


def test_request_for_another_is_not_learnt():
    h = fresh()
    h.inject(arp(REQUEST, PEER_MAC, PEER, NO_MAC, b"\x0a\0\0\x63", to=ALL_MAC))
    assert not h.sent() and not h.ifc.arp.entries()


def test_unsolicited_reply_creates_nothing():
    h = fresh()
    answer(h)
    h.inject(arp(REPLY, PEER_MAC, PEER, PEER_MAC, PEER, to=ALL_MAC))
    assert not h.ifc.arp.entries() and not h.sent()


def test_known_entry_follows_the_sender():
    # RFC 826: Merge_flag; a pair that is known is updated by whatever its sender says.
    h = fresh()
    h.inject(arp(REQUEST, PEER_MAC, PEER, NO_MAC, ME))
    h.inject(arp(REQUEST, OTHER_MAC, PEER, NO_MAC, b"\x0a\0\0\x63", to=ALL_MAC))
    h.sent()
    talk(h)
    assert h.sent()[0][:6] == OTHER_MAC


def test_static_is_never_overwritten():
    h = host()
    h.inject(arp(REQUEST, OTHER_MAC, PEER, NO_MAC, ME), arp(REPLY, OTHER_MAC, PEER, MAC, ME))
    h.run(700000, 5000)
    h.sent()
    assert state(h) == "static"
    talk(h)
    assert h.sent()[0][:6] == PEER_MAC


def test_first_datagram_waits_for_the_answer():
    # RFC 1122 2.3.2.2: at least one packet is saved while the address is resolved.
    h = fresh()
    talk(h)
    (frame,) = h.sent()
    assert frame[:6] == ALL_MAC
    a = Arp(frame)
    assert (a.op, a.sha, a.spa, a.tha, a.tpa) == (REQUEST, MAC, ME, NO_MAC, PEER)
    assert state(h) == "incomplete"
    answer(h)
    (frame,) = h.sent()
    d = Datagram(frame)
    assert d.to == PEER_MAC and d.dst == PEER and d.payload[8:] == b"data"
    assert state(h) == "reachable"


def test_one_request_for_many_datagrams():
    # RFC 1122 2.3.2.1: no flood of requests; the order of the datagrams stays.
    h = fresh()
    for i in range(5):
        talk(h, data=bytes([i]))
    assert len(h.arps()) == 1
    answer(h)
    assert [d.payload[8] for d in h.datagrams()] == [0, 1, 2, 3, 4]


def test_pending_is_bounded():
    h = fresh()
    for i in range(20):
        talk(h, data=bytes([i]))
    assert h.stat("arp_pending_dropped") == 4
    h.sent()
    answer(h)
    assert [d.payload[8] for d in h.datagrams()] == list(range(4, 20))


def test_three_requests_then_failure():
    # RFC 1122 2.3.2.1: at most one request per second and destination.
    h = fresh()
    talk(h)
    times = []
    start = h.clock.now
    for _ in range(60):
        for a in h.arps():
            assert a.op == REQUEST and a.tpa == PEER
            times.append((h.clock.now - start) & 0x3FFFFFFF)
        h.run(100)
    assert len(times) == 3 and times[0] == 0
    assert 1000 <= times[1] <= 1200 and 2000 <= times[2] <= 2400
    assert h.stat("arp_failed") == 1
    assert not h.ifc.arp.entries() and not h.ifc.arp.pending


def test_failure_is_told_to_the_sender():
    # RFC 1122 3.2.2.1: a host unreachable reaches the transport.
    from viperip.errors import EHOSTUNREACH

    h = fresh()
    e = h.stack.udp.open()
    e.remote, e.remote_port = PEER, 9
    h.stack.time()
    e.send(b"x", PEER, 9)
    h.run(5000)
    assert e.error == EHOSTUNREACH


def test_asked_again_after_failure():
    h = fresh()
    talk(h)
    h.run(5000)
    h.sent()
    talk(h, data=b"again")
    assert len(h.arps()) == 1
    answer(h)
    (d,) = h.datagrams()
    assert d.payload[8:] == b"again"


def test_old_entry_is_verified_by_unicast():
    # RFC 1122 2.3.2.1 (2): a unicast poll; the entry serves meanwhile.
    h = fresh()
    talk(h)
    answer(h)
    h.sent()
    h.clock.advance(61000)
    talk(h, data=b"later" * 20)
    h.run(100)
    frames = h.sent()
    (a,) = [Arp(f) for f in frames if f[12:14] == b"\x08\x06"]
    assert a.op == REQUEST and a.to == PEER_MAC and a.tpa == PEER
    # The request must not get into the datagram's buffer.
    (d,) = [Datagram(f) for f in frames if f[12:14] == b"\x08\0"]
    assert d.payload[8:] == b"later" * 20 and d.to == PEER_MAC
    answer(h)
    assert state(h) == "reachable"


def test_entry_that_aged_unused_is_verified_too():
    h = fresh()
    talk(h)
    answer(h)
    h.run(200000, 1000)
    assert state(h) == "stale"
    assert len(h.arps()) == 1  # the first one: nobody used it, so nobody asked
    talk(h)
    h.run(100)
    frames = h.sent()
    assert [f[12:14] for f in frames].count(b"\x08\x06") == 1
    assert len(frames) == 2


def test_stale_entry_that_does_not_answer_goes():
    h = fresh()
    talk(h)
    answer(h)
    h.sent()
    h.clock.advance(61000)
    talk(h)
    h.run(5000)
    assert len(h.arps()) == 3
    assert state(h) is None


def test_unused_entry_is_forgotten():
    h = fresh()
    h.inject(arp(REQUEST, PEER_MAC, PEER, NO_MAC, ME))
    h.run(800000, 1000)
    assert not h.ifc.arp.entries()


def test_full_table_gives_up_the_oldest():
    h = fresh()
    for i in range(40):
        ip = bytes((10, 0, 0, 100 + i))
        h.clock.advance(10)
        h.inject(arp(REQUEST, PEER_MAC, ip, NO_MAC, ME))
    entries = [e["ip"] for e in h.ifc.arp.entries()]
    assert len(entries) == 32
    assert "10.0.0.107" not in entries and "10.0.0.108" in entries


def test_silent_addresses_do_not_push_out_those_that_answer():
    h = fresh()
    talk(h)
    answer(h)
    h.run(2000)
    for i in range(100):
        talk(h, bytes((10, 0, 0, 100 + i)))
    assert state(h) == "reachable"
    states = [e["state"] for e in h.ifc.arp.entries()]
    assert len(states) == 32 and states.count("incomplete") == 31
    # They make way for one that answers.
    talk(h, b"\x0a\0\0\x03")
    answer(h, b"\x02\0\0\0\0\x0c", b"\x0a\0\0\x03")
    assert state(h) == state(h, "10.0.0.3") == "reachable"


def test_full_of_statics():
    from harness import raises
    from viperip.errors import ENOMEM

    h = fresh()
    for i in range(32):
        h.ifc.arp.add(bytes((10, 0, 0, 100 + i)), PEER_MAC)
    raises(ENOMEM, h.ifc.arp.add, PEER, PEER_MAC)
    talk(h)
    h.run(1000)
    assert len(h.ifc.arp.entries()) == 32


def test_deleted_entry_takes_its_frames_along():
    h = fresh()
    talk(h, data=b"secret")
    assert h.ifc.arp.delete(PEER) and not h.ifc.arp.delete(PEER)
    h.sent()
    other = b"\x0a\0\0\x03"
    talk(h, dst=other, data=b"public")
    answer(h, OTHER_MAC, other)
    assert [d.payload[8:] for d in h.datagrams()] == [b"public"]


def test_static_entry_flushes_what_waits():
    h = fresh()
    talk(h)
    h.sent()
    h.ifc.arp.add(PEER, OTHER_MAC)
    (d,) = h.datagrams()
    assert d.to == OTHER_MAC


def test_down_forgets_all_but_static():
    h = host()
    h.inject(arp(REQUEST, OTHER_MAC, b"\x0a\0\0\x03", NO_MAC, ME))
    assert len(h.ifc.arp.entries()) == 2
    h.ifc.down()
    assert [e["state"] for e in h.ifc.arp.entries()] == ["static"]


def test_malformed():
    h = fresh()
    good = arp(REQUEST, PEER_MAC, PEER, NO_MAC, ME)
    h.inject(good[:41])
    assert h.stat("arp_short") == 1
    bad = 0
    # Hardware type, protocol type, both lengths, opcode (RFC 826: each is checked).
    for at in (14, 15, 16, 17, 18, 19, 20):
        frame = bytearray(good)
        frame[at] ^= 0x10
        h.inject(frame)
        bad += 1
        assert h.stat("arp_bad") == bad, at
    frame = bytearray(good)
    frame[21] = 3
    h.inject(frame)
    assert h.stat("arp_bad") == bad + 1
    assert not h.sent() and not h.ifc.arp.entries()


def test_impossible_senders():
    h = fresh()
    h.inject(arp(REQUEST, ALL_MAC, PEER, NO_MAC, ME))
    for spa in (b"\x0a\0\0\xff", b"\xff" * 4, b"\xe0\0\0\1", b"\x7f\0\0\1"):
        h.inject(eth(MAC, PEER_MAC, 0x806, arp(REQUEST, PEER_MAC, spa, NO_MAC, ME)[14:]))
    assert not h.ifc.arp.entries() and not h.sent()


def test_not_configured_does_not_answer():
    h = fresh(addr=None)
    h.inject(arp(REQUEST, PEER_MAC, PEER, NO_MAC, ANY))
    assert not h.sent()


def test_probe_for_our_address_is_answered():
    # RFC 5227 2.4: a probe has no sender address; it gets a reply and teaches nothing.
    h = fresh()
    h.inject(arp(REQUEST, PEER_MAC, ANY, NO_MAC, ME, to=ALL_MAC))
    (a,) = h.arps()
    assert a.op == REPLY and a.spa == ME and a.tha == PEER_MAC and a.to == PEER_MAC
    assert not h.ifc.arp.entries() and h.stat("arp_conflict") == 0


def test_two_announcements():
    # RFC 5227 2.3: ANNOUNCE_NUM 2, ANNOUNCE_INTERVAL 2 s; sender and target are the address.
    h = host(addr=None, static=False)
    h.stack.time()
    h.ifc.configure(ME, MASK)
    first = h.arps()
    h.run(1900)
    assert not h.sent()
    h.run(300)
    second = h.arps()
    h.run(10000)
    assert not h.sent()
    for group in (first, second):
        (a,) = group
        assert (a.to, a.op, a.spa, a.tpa) == (ALL_MAC, REQUEST, ME, ME)


def test_conflict_is_defended_once_in_ten_seconds():
    # RFC 5227 2.4 (b): one announcement, then none within DEFEND_INTERVAL.
    h = fresh()
    told = []
    h.ifc.arp.on_conflict = told.append
    rival = arp(REPLY, OTHER_MAC, ME, NO_MAC, ME, to=ALL_MAC)
    h.inject(rival)
    (a,) = h.arps()
    assert (a.op, a.sha, a.spa, a.tpa) == (REQUEST, MAC, ME, ME)
    for _ in range(9):
        h.run(1000)
        h.inject(rival)
    assert not h.sent()
    assert h.stat("arp_conflict") == 10 and told == [OTHER_MAC] * 10
    h.run(1500)
    h.inject(rival)
    assert len(h.arps()) == 1
    # RFC 5227 2.4 (c): a static address is kept.
    assert h.ifc.addr == ME


def test_conflict_is_shown():
    # RFC 5227 2.4: it is reported; arp() and ifstat() show who it is until the next
    # announcement.
    from viperip.application.netstat import arp as table
    from viperip.application.netstat import ifstat

    h = fresh()
    assert table(h.stack) == [] and ifstat(h.stack)[0]["conflict"] == ""
    h.inject(arp(REPLY, OTHER_MAC, ME, NO_MAC, ME, to=ALL_MAC))
    h.run(5000)
    (row,) = table(h.stack)
    assert row["ip"] == "10.0.0.1" and row["mac"] == "02:00:00:00:00:0c"
    assert row["state"] == "conflict" and row["age_s"] == 5
    assert ifstat(h.stack)[0]["conflict"] == "02:00:00:00:00:0c"
    h.ifc.configure(b"\x0a\0\0\x09", MASK)
    assert table(h.stack) == [] and ifstat(h.stack)[0]["conflict"] == ""


def test_second_conflict_takes_an_address_that_may_go():
    # RFC 5227 2.4 (b): defended once; a second conflict within DEFEND_INTERVAL ends it.
    h = fresh()
    lost = []
    h.ifc.arp.on_lost = lost.append
    rival = arp(REPLY, OTHER_MAC, ME, NO_MAC, ME, to=ALL_MAC)
    h.inject(rival)
    assert len(h.arps()) == 1 and not lost
    h.run(10500)
    h.inject(rival)
    assert len(h.arps()) == 1 and not lost
    h.run(9000)
    h.inject(rival)
    assert not h.arps() and lost == [OTHER_MAC]


def test_another_address_is_defended_anew():
    h = fresh()
    lost = []
    h.ifc.arp.on_lost = lost.append
    h.inject(arp(REPLY, OTHER_MAC, ME, NO_MAC, ME, to=ALL_MAC))
    h.ifc.configure(b"\x0a\0\0\x09", MASK)
    h.sent()
    h.inject(arp(REPLY, OTHER_MAC, b"\x0a\0\0\x09", NO_MAC, ME, to=ALL_MAC))
    (a,) = h.arps()
    assert a.spa == a.tpa == b"\x0a\0\0\x09" and not lost


def test_conflict_during_the_announcements():
    # The timer that both share must not lose the end of DEFEND_INTERVAL.
    h = host(addr=None, static=False)
    h.stack.time()
    h.ifc.configure(ME, MASK)
    rival = arp(REQUEST, OTHER_MAC, ME, NO_MAC, ME, to=ALL_MAC)
    h.inject(rival)
    assert len(h.arps()) == 2
    h.run(11000)
    assert len(h.arps()) == 1
    h.inject(rival)
    assert len(h.arps()) == 1


def test_our_own_frames_are_no_conflict():
    h = fresh()
    h.inject(arp(REQUEST, MAC, ME, NO_MAC, ME, to=ALL_MAC))
    assert h.stat("arp_conflict") == 0 and not h.sent()


def prober(random=b"\0"):
    # A host without an address whose random bytes are all the same.
    h = host(addr=None, static=False)
    h.stack.urandom = lambda n: random * n
    h.stack.time()
    return h


def times(h, ms, step=10):
    # When the host sends each ARP packet within the next ms, in ms from now.
    out = []
    for at in range(0, ms, step):
        for a in h.arps():
            assert (a.to, a.op, a.spa, a.tha, a.tpa) == (ALL_MAC, REQUEST, ANY, NO_MAC, ME)
            out.append(at)
        h.run(step, step)
    return out


def test_probe_finds_nobody():
    # RFC 5227 2.1.1: wait 0 to 1 s, PROBE_NUM 3 probes 1 to 2 s apart, ANNOUNCE_WAIT 2 s; the
    # sender address is zero. Here with the least and the most that chance may add.
    for random, first, between in ((b"\0", 0, 1000), (b"\xff", 1000, 2000)):
        h = prober(random)
        done = []
        timers = len(h.stack.timers)
        h.ifc.arp.probe(ME, done.append)
        sent = times(h, first + 2 * between + 1950)
        assert len(sent) == 3 and not done, sent
        for at, wanted in zip(sent, (first, first + between, first + 2 * between)):
            assert 0 <= at - wanted <= 20, sent
        h.run(100)
        assert done == [None] and not h.sent()
        h.run(20000)
        assert done == [None] and not h.sent() and len(h.stack.timers) == timers


def test_probe_spacing_is_random():
    # RFC 5227 2.1.1: each interval is chosen anew.
    h = prober()
    values = [b"\x01\x80", b"\0\x40", b"\x02\x20"]
    h.stack.urandom = lambda n: bytes(n - 2) + values.pop(0)
    h.ifc.arp.probe(ME, lambda mac: None)
    sent = times(h, 6000)
    for at, wanted in zip(sent, (375, 375 + 1062, 375 + 1062 + 1531)):
        assert 0 <= at - wanted <= 30, sent


def test_last_moment_of_a_probe():
    # RFC 5227 2.1.1: until ANNOUNCE_WAIT after the last probe.
    h = prober()
    done = []
    h.ifc.arp.probe(ME, done.append)
    h.run(3900)
    h.inject(arp(REPLY, OTHER_MAC, ME, MAC, ANY))
    assert done == [OTHER_MAC]


def test_down_ends_a_probe():
    # Whoever waits for the answer must hear that there will be none.
    for ms in (0, 1500, 3900):
        h = prober()
        done = []
        h.ifc.arp.probe(ME, done.append)
        h.run(ms)
        h.ifc.down()
        assert done == [b""]
        h.sent()
        h.run(10000)
        assert done == [b""] and not h.sent()


def test_second_probe_ends_the_first():
    h = prober()
    first = []
    second = []
    h.ifc.arp.probe(ME, first.append)
    h.run(1500)
    h.sent()
    h.ifc.arp.probe(PEER, second.append)
    assert first == [b""]
    h.run(5000)
    assert [a.tpa for a in h.arps()] == [PEER] * 3
    assert first == [b""] and second == [None]


def test_probe_begun_by_the_end_of_another():
    h = prober()
    done = []

    def again(mac):
        done.append(mac)
        h.ifc.arp.probe(PEER, done.append)

    h.ifc.arp.probe(ME, again)
    h.inject(arp(REPLY, OTHER_MAC, ME, MAC, ANY))
    h.run(5000)
    assert done == [OTHER_MAC, None]


def test_many_conflicts_limit_the_rate():
    # RFC 5227 2.1.1: after MAX_CONFLICTS 10, one address per RATE_LIMIT_INTERVAL 60 s.
    h = prober()
    done = []
    for i in range(10):
        h.ifc.arp.probe(ME, done.append)
        assert len(times(h, 100)) == 1, i
        h.inject(arp(REPLY, OTHER_MAC, ME, MAC, ANY))
    assert done == [OTHER_MAC] * 10
    for _ in range(2):
        h.ifc.arp.probe(ME, done.append)
        sent = times(h, 60500, 100)
        assert len(sent) == 1 and 59500 <= sent[0] <= 60100, sent
        h.inject(arp(REPLY, OTHER_MAC, ME, MAC, ANY))
    assert done == [OTHER_MAC] * 12
    # A link that was down is another network.
    h.ifc.down()
    h.ifc.up()
    h.sent()
    h.ifc.arp.probe(ME, done.append)
    assert len(times(h, 100)) == 1


def probed(frame):
    h = prober()
    done = []
    h.ifc.arp.probe(ME, done.append)
    h.run(500)
    h.inject(frame)
    early = list(done)
    h.run(8000)
    return early, done


def test_probe_finds_the_user():
    early, done = probed(arp(REPLY, OTHER_MAC, ME, MAC, ANY))
    assert early == done == [OTHER_MAC]


def test_probe_finds_another_probe():
    # RFC 5227 2.1.1: somebody else probes for the same address.
    early, done = probed(arp(REQUEST, OTHER_MAC, ANY, NO_MAC, ME, to=ALL_MAC))
    assert early == done == [OTHER_MAC]


def test_probe_ignores_the_rest():
    early, done = probed(arp(REQUEST, PEER_MAC, PEER, NO_MAC, ME, to=ALL_MAC))
    assert early == [] and done == [None]
    early, done = probed(arp(REQUEST, MAC, ANY, NO_MAC, ME, to=ALL_MAC))
    assert early == [] and done == [None]
