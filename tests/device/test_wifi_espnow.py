# Frames over ESP-NOW: link/espnow.py on a modelled `espnow` module, and its routines.
import array
import random
import sys

from espnow_board import ALL, FakeClock, Pair, link, mac_of, pattern, read, send, trouble
from espnow_model import Air, Board
from viperip import native
from viperip.bytecode import espnow as slow
from viperip.link.espnow import ESPNowLink

KEY = b"0123456789abcdef"
OTHER = b"fedcba9876543210"


def message(number, length, offset, data):
    # By hand: the layout at the top of link/espnow.py.
    out = bytes((0x76, number >> 8, number & 255, length >> 4))
    return out + bytes(((length & 15) << 4 | offset >> 8, offset & 255)) + data


def body(n, to=mac_of(2)):
    # n bytes of a frame's data.
    return (to + b"\x88\xb5" + pattern(n))[:n]


def whole(data, source):
    return data[:6] + source + data[6:]


def refuses(function, *args, **more):
    try:
        function(*args, **more)
    except ValueError:
        return
    raise AssertionError("no ValueError")


# What goes over the air.


def test_frames_of_every_length_both_ways():
    for version, longest in ((1, 724), (2, 1456)):
        p = Pair(version)
        assert p.a.mtu == p.b.mtu == longest
        for n in list(range(0, 40)) + list(range(230, 260)) + [480, 481, 482, 723, 724, longest]:
            for dev, other in ((p.a, p.b), (p.b, p.a)):
                assert read(other) == []
                frame = send(dev, other.mac, pattern(n, n))
                # What fills a message up goes to nobody.
                assert read(other) == [frame], n
        assert trouble(p.a) == trouble(p.b) == {}


def test_the_layout():
    p = Pair(1)
    seen = []
    p.air.seen = lambda source, to, data: seen.append((source, to, data))
    payload = pattern(724)
    send(p.a, mac_of(2), payload)
    data = mac_of(2) + b"\x88\xb5" + payload
    number = seen[0][2][1] << 8 | seen[0][2][2]
    want = [message(number, 732, at, data[at : at + 244]) for at in (0, 244, 488)]
    assert seen == [(mac_of(1), mac_of(2), m) for m in want]
    del seen[:]
    send(p.a, ALL, b"abc")
    assert seen == [(mac_of(1), ALL, message(number + 1 & 0xFFFF, 11, 0, ALL + b"\x88\xb5abc")
                    + bytes(15))]  # fmt: skip
    assert trouble(p.b) == {}


def test_nothing_of_an_earlier_frame_fills_a_message_up():
    p = Pair(1)
    seen = []
    send(p.a, mac_of(2), b"\xff" * 724)
    p.air.seen = lambda source, to, data: seen.append(data)
    for n in range(1, 500):
        send(p.a, mac_of(2), bytes(n))
    assert not any([0xFF in data[6:] for data in seen])
    assert all([len(data) % 16 == 0 or len(data) == 250 for data in seen])


def test_groups_are_for_all():
    clock = FakeClock()
    air = Air(ticks=clock)
    devs = [link(Board(air, mac_of(i)), clock) for i in range(1, 5)]
    for to in (ALL, b"\1\0\x5e\0\0\xfb"):
        frame = send(devs[0], to, b"to all")
        assert [read(dev) for dev in devs] == [[], [frame], [frame], [frame]]
    frame = send(devs[0], mac_of(3), b"to one")
    assert [read(dev) for dev in devs] == [[], [], [frame], []]


def test_the_source_is_who_sent_it():
    # Not what a program has written there.
    p = Pair()
    send(p.a, mac_of(2), b"x", source=mac_of(77))
    assert read(p.b)[0][6:12] == mac_of(1)


def test_versions_meet():
    # One of the boards has version 1: messages of 250 bytes, and the same MTU.
    clock = FakeClock()
    air = Air(ticks=clock)
    a = link(Board(air, mac_of(1), version=1), clock)
    b = link(Board(air, mac_of(2), version=2), clock, size=250)
    assert a.mtu == b.mtu == 724
    for n in (1, 236, 237, 724):
        assert [send(a, mac_of(2), pattern(n))] == read(b), n
        assert [send(b, mac_of(1), pattern(n))] == read(a), n
    assert trouble(a) == trouble(b) == {}
    # Without that, long messages do not arrive, or are cut: that is no frame.
    for truncates in (False, True):
        a._espnow.truncates = truncates
        b = link(Board(air, mac_of(3), version=2), clock)
        send(b, mac_of(1), pattern(1456))
        assert read(a) == []
        assert air.too_long == 1 + truncates and trouble(a) == ({"rx_bad": 1} if truncates else {})


def test_sizes():
    for size, mtu, n in ((250, 1500, 7), (250, 576, 3), (1470, 1500, 2), (64, 68, 2)):
        p = Pair(2, {"size": size, "mtu": mtu}, {"size": size, "mtu": mtu})
        sent = p.air.sent
        assert [send(p.a, mac_of(2), pattern(mtu))] == read(p.b)
        assert p.air.sent - sent == n
        assert p.boards[0].radio.config("rxbuf") == 4 * n * (size + 16)
    board = Board(Air(), mac_of(1), version=1)
    for more in (
        {"size": 251}, {"size": 63}, {"mtu": 67}, {"mtu": 1501}, {"slots": 9}, {"slots": -1},
        {"pmk": b"short"}, {"peers": {mac_of(2): b"short"}}, {"peers": {b"12345": KEY}},
        {"peers": {mac_of(i): None for i in range(20)}},
    ):  # fmt: skip
        refuses(ESPNowLink, espnow=board, wlan=board.wlan, **more)


def test_too_long_a_frame_is_refused():
    p = Pair(1)
    for n in (725, 800):
        p.a.borrow()
        p.a.send(14 + n)
    p.a.send(13)
    assert trouble(p.a) == {"tx_too_long": 3} and read(p.b) == []


# Bad messages.


def test_foreign_messages():
    p = Pair()
    good = message(1, 50, 0, body(50))
    for m in (b"x", b"hello, world" * 20, b"\x77" + good[1:], good[:6], good[:1]):
        assert p.say(m) == []
    assert trouble(p.b) == {"rx_foreign": 5}
    # Nothing of it is in the way.
    assert p.say(good) == [whole(body(50), mac_of(9))]


def test_lying_headers():
    p = Pair(1)
    data = body(244)
    bad = [
        message(1, 0, 0, data[:8]),  # no data
        message(1, 7, 0, data[:8]),  # no room for an EtherType
        message(1, 733, 0, data),  # longer than any frame
        message(1, 4095, 0, data),
        message(1, 100, 100, data[:10]),  # from behind its end
        message(1, 100, 4095, data[:10]),
        message(1, 100, 0, data[:116]),  # filled up with more than there is to be filled up
        message(1, 100, 90, data[:26]),
        message(1, 100, 0, data[:7]),  # a first piece without an EtherType
    ]
    for m in bad:
        assert p.say(m) == [], m[:6]
    assert trouble(p.b) == {"rx_bad": len(bad)}
    assert p.say(message(1, 100, 0, data[:115])) == [whole(data[:100], mac_of(9))]


def test_cut_messages():
    # None that has lost bytes makes a frame, but for those that fill it up.
    p = Pair()
    full = message(1, 100, 0, body(100) + bytes(12))
    for n in range(7, len(full)):
        p.clock.advance(2000)
        whole_ones = p.say(full[:n])
        assert bool(whole_ones) == (n >= 106), n


def test_pieces_in_order_only():
    data = body(700)

    def piece(number, i):
        return message(number, 700, 244 * i, data[244 * i : 244 * i + 244])

    p = Pair(1)
    assert p.say(piece(1, 0)) == p.say(piece(1, 1)) == []
    assert p.say(piece(1, 2)) == [whole(data, mac_of(9))]
    assert trouble(p.b) == {}
    for order, counts in (
        ((0, 2, 1), {"rx_gap": 2, "rx_incomplete": 1}),
        ((0, 2), {"rx_gap": 1, "rx_incomplete": 1}),
        ((1, 2), {"rx_gap": 2}),
        ((2, 1, 0), {"rx_gap": 2}),
        ((0, 0, 1), {"rx_duplicate": 1}),
        ((0, 1, 0, 1), {"rx_duplicate": 2}),
    ):
        p = Pair(1)
        for i in order:
            assert p.say(piece(7, i)) == []
        assert trouble(p.b) == counts, (order, trouble(p.b))
        # The next frame arrives.
        got = [p.say(piece(8, i)) for i in range(3)]
        assert got == [[], [], [whole(data, mac_of(9))]], order


def test_every_copy_of_a_message_is_dropped():
    p = Pair(1)
    data = body(400)
    parts = [message(5, 400, 0, data[:244]), message(5, 400, 244, data[244:])]
    got = []
    for m in (parts[0], parts[0], parts[1], parts[1], parts[0], parts[1]):
        got += p.say(m)
    assert got == [whole(data, mac_of(9))]
    assert trouble(p.b) == {"rx_duplicate": 4}
    for number in (6, 7):
        assert p.say(message(number, 20, 0, body(20))) == [whole(body(20), mac_of(9))]
    # An old one, late or played again.
    assert p.say(parts[0]) == p.say(parts[1]) == p.say(message(6, 20, 0, body(20))) == []
    assert trouble(p.b) == {"rx_duplicate": 7}


def test_numbers_wrap_and_begin_anywhere():
    p = Pair()
    m = [message(n, 20, 0, body(20)) for n in (65534, 65535, 0, 1, 40000, 39968)]
    for one in m:
        assert len(p.say(one)) == 1
    assert p.say(m[0]) != []  # far from 39,968: a board that has started anew
    p.say(m[1])
    assert p.say(m[0]) == []
    # A board that has started anew within reach of its old numbers is heard after a second.
    p.clock.advance(1001)
    assert p.say(m[0]) != []


def test_another_length_under_the_same_number():
    p = Pair(1)
    p.say(message(1, 700, 0, body(244)))
    assert p.say(message(1, 300, 244, body(56))) == []
    assert trouble(p.b) == {"rx_gap": 1, "rx_incomplete": 1}


def test_a_frame_without_its_end():
    data = body(400)
    head, tail = message(1, 400, 0, data[:244]), message(1, 400, 244, data[244:])
    for wait, arrives in ((999, True), (1000, True), (1001, False)):
        p = Pair(1)
        p.say(head)
        p.clock.advance(wait)
        assert bool(p.say(tail)) == arrives
        assert trouble(p.b) == ({} if arrives else {"rx_late": 1, "rx_gap": 1})
    # The sender goes on with the next one.
    p = Pair(1)
    p.say(head)
    assert p.say(message(2, 20, 0, data[:20])) == [whole(data[:20], mac_of(9))]
    assert p.say(tail) == []
    assert trouble(p.b) == {"rx_incomplete": 1, "rx_duplicate": 1}


def test_senders_come_in_between_each_other():
    p = Pair(1)
    data = [body(700 - i) for i in range(4)]
    got = []
    for at in (0, 244, 488):
        for i in range(4):
            part = data[i][at : at + 244]
            got += p.say(message(100 + i, 700 - i, at, part), 20 + i)
            got += p.say(message(200 + i + at, 10, 0, body(10)), 30 + i)
    want = [whole(data[i], mac_of(20 + i)) for i in range(4)]
    assert [f for f in got if len(f) > 100] == want and len(got) == 16
    assert trouble(p.b) == {}


def test_slots_run_out():
    p = Pair(1)
    data = body(400)
    for i in range(6):
        p.say(message(i, 400, 0, data[:244]), 20 + i)
    assert trouble(p.b) == {"rx_no_slot": 2}
    got = [len(p.say(message(i, 400, 244, data[244:]), 20 + i)) for i in range(6)]
    assert got == [1, 1, 1, 1, 0, 0] and trouble(p.b) == {"rx_no_slot": 2, "rx_gap": 2}
    # What nobody ends is given up when a slot is needed.
    for i in range(4):
        p.say(message(i + 10, 400, 0, data[:244]), 20 + i)
    p.clock.advance(1001)
    assert p.say(message(4, 400, 0, data[:244]), 24) == []
    assert p.say(message(4, 400, 244, data[244:]), 24) == [whole(data, mac_of(24))]
    assert p.b.counters["rx_late"] == 1 and p.b.counters["rx_no_slot"] == 2


def test_without_slots_only_whole_messages_arrive():
    p = Pair(1, {}, {"slots": 0})
    assert p.say(message(1, 400, 0, body(244))) == []
    assert len(p.say(message(2, 244, 0, body(244)))) == 1
    assert trouble(p.b) == {"rx_no_slot": 1}


def test_more_senders_than_rows():
    p = Pair(1)
    p.say(message(9, 400, 0, body(244)), 20)
    for i in range(19):
        p.clock.advance(10)
        assert len(p.say(message(9, 20, 0, body(20)), 21 + i)) == 1
    assert trouble(p.b) == {}
    # The one that has been silent longest is forgotten, with what it had begun.
    p.clock.advance(10)
    assert len(p.say(message(9, 20, 0, body(20)), 60)) == 1
    assert trouble(p.b) == {"rx_forgotten": 1, "rx_incomplete": 1}
    assert p.say(message(9, 20, 0, body(20)), 21 + 18) == []
    for i in range(100):
        p.clock.advance(10)
        assert len(p.say(message(9, 20, 0, body(20)), 100 + i)) == 1
    assert p.b.counters["rx_forgotten"] == 101
    for i in range(4):
        # All slots are free.
        p.say(message(10, 400, 0, body(244)), 100 + i)
    assert p.b.counters["rx_no_slot"] == 0


def test_a_flood_does_not_hold_a_poll():
    p = Pair(2, {}, {"frames": 64})
    for _ in range(64):
        p.rogue().send(mac_of(2), b"noise", False)
    send(p.a, mac_of(2), b"x")
    calls = 0
    while p.b.recv() == 0:
        calls += 1
    assert calls == 4 and p.b.counters["rx_foreign"] == 64


def test_noise():
    # From a fixed seed; afterwards frames arrive as before.
    random.seed(7)
    p = Pair(1)
    for _ in range(3000):
        n = random.randrange(1, 251)
        m = bytearray([random.getrandbits(8) for _ in range(n)])
        if random.getrandbits(2):
            head = message(random.randrange(4), random.randrange(800), random.randrange(800), b"")
            m[:6] = head[: len(m)]
        p.clock.advance(random.randrange(300))
        for frame in p.say(bytes(m), 20 + random.randrange(25)):
            assert 14 <= len(frame) <= p.b.mtu + 14
    p.clock.advance(1001)
    assert read(p.b) == [] and [send(p.a, mac_of(2), pattern(724))] == read(p.b)


# Peers and keys.


def test_more_neighbours_than_peers():
    p = Pair(2, {"peers": {mac_of(2): None}})
    for i in range(40):
        send(p.a, mac_of(50 + i), b"x")
    peers = p.boards[0].radio.get_peers()
    assert len(peers) == 20 and trouble(p.a) == {}
    assert {ALL, mac_of(2), mac_of(89), mac_of(88)} <= {peer[0] for peer in peers}
    assert [send(p.a, mac_of(2), b"still there")] == read(p.b)


def test_all_peers_given():
    # There is no room for another one: it hears what all hear.
    p = Pair(2, {"peers": {mac_of(50 + i): None for i in range(19)}})
    assert [send(p.a, mac_of(2), b"x")] == read(p.b) and trouble(p.a) == {}
    assert len(p.boards[0].radio.get_peers()) == 20


def test_encryption():
    def pair(mine, yours, pmk=(KEY, KEY)):
        return Pair(
            2,
            {"pmk": pmk[0], "peers": {mac_of(2): mine}},
            {"pmk": pmk[1], "peers": {mac_of(1): yours}},
        )

    p = pair(KEY, KEY)
    assert [send(p.a, mac_of(2), b"secret")] == read(p.b)
    assert [send(p.b, mac_of(1), b"secret")] == read(p.a)
    assert p.boards[0].radio.peer_count() == (2, 1)
    # What goes to all is not encrypted.
    assert [send(p.a, ALL, b"for all")] == read(p.b)
    for p in (
        pair(KEY, OTHER), pair(KEY, None), pair(None, KEY), pair(KEY, KEY, (KEY, OTHER)),
        pair(KEY, KEY, (KEY, None)),
    ):  # fmt: skip
        send(p.a, mac_of(2), b"secret")
        assert read(p.b) == [] and p.air.undecrypted == 1
        assert len(read(p.b)) == 0 and [send(p.a, ALL, b"for all")] == read(p.b)


def test_too_many_encrypted_peers():
    board = Board(Air(), mac_of(1))
    dev = ESPNowLink(
        espnow=board, wlan=board.wlan, peers={mac_of(2 + i): KEY for i in range(7)}
    )  # fmt: skip
    try:
        dev.up()
    except OSError as e:
        assert e.args[1] == "ESP_ERR_ESPNOW_FULL"
    else:
        raise AssertionError("no OSError")


def test_addresses_as_text():
    p = Pair(2, {"peers": {"02:00:00:00:00:02": KEY}}, {"peers": {mac_of(1): KEY}})
    assert [send(p.a, mac_of(2), b"secret")] == read(p.b)
    assert p.b.rssi("02:00:00:00:00:01") == -41 and p.b.rssi(mac_of(7)) is None


# What the firmware refuses.


def test_errors_of_sending_are_counted():
    p = Pair(1)
    radio = p.boards[0].radio
    send(p.a, mac_of(2), pattern(724))
    read(p.b)
    sent = p.air.sent
    radio.no_memory = 1
    send(p.a, mac_of(2), pattern(724))
    # What is left of the frame is of no use.
    assert p.air.sent == sent and trouble(p.a) == {"tx_no_memory": 1}
    # Somebody has taken the peer away: the next frame registers it again.
    radio.del_peer(mac_of(2))
    send(p.a, mac_of(2), b"lost")
    assert [send(p.a, mac_of(2), b"arrives")] == read(p.b)
    assert trouble(p.a) == {"tx_no_memory": 1, "tx_no_peer": 1}
    # Or has added one.
    radio.add_peer(mac_of(3))
    send(p.a, mac_of(3), b"x")
    p.boards[0].wlan.active(False)
    assert not p.a.link()
    send(p.a, mac_of(2), b"x")
    p.boards[0].wlan.active(True)
    radio.active(False)
    send(p.a, mac_of(2), b"x")
    send(p.a, mac_of(4), b"x")
    assert trouble(p.a) == {"tx_no_memory": 1, "tx_no_peer": 1, "tx_down": 3}
    assert read(p.a) == [] and p.a.counters["rx_error"] == 1
    p.a.up()
    assert [send(p.a, mac_of(2), b"arrives")] == read(p.b)


def test_peers_of_somebody_else_leave_no_room():
    p = Pair()
    radio = p.boards[0].radio
    for i in range(19):
        radio.add_peer(mac_of(50 + i))
    send(p.a, mac_of(2), b"x")
    assert trouble(p.a) == {"tx_no_peer": 1}
    radio.del_peer(mac_of(50))
    assert [send(p.a, mac_of(2), b"x")] == read(p.b)


def test_an_unknown_error():
    p = Pair()

    def refuse(*args):
        raise OSError(5)

    p.a._send = refuse
    send(p.a, mac_of(2), b"x")
    assert trouble(p.a) == {"tx_failed": 1}


def test_a_broken_ring_is_started_anew():
    p = Pair()
    p.boards[1].radio.broken = True
    send(p.a, mac_of(2), b"lost")
    assert read(p.b) == [] and trouble(p.b) == {"rx_error": 1}
    assert [send(p.a, mac_of(2), b"arrives")] == read(p.b)
    assert [send(p.b, mac_of(1), b"arrives")] == read(p.a)


def test_the_firmware_drops_what_finds_no_room():
    p = Pair(2, {}, {"frames": 3})
    for _ in range(10):
        send(p.a, mac_of(2), pattern(1456))
    assert len(read(p.b)) == 3 and p.boards[1].radio.stats()[3:] == (3, 7)


def test_up_and_down():
    p = Pair()
    assert p.boards[0].wlan.on and p.boards[0].wlan.pm == 0 and p.a.mac == mac_of(1)
    assert p.a.link() and p.a.fileno() == -1 and p.a.borrow() is not None
    p.b.down()
    send(p.a, mac_of(2), b"x")
    assert read(p.b) == [] and p.b.borrow() is None and not p.b.link()
    p.b.up()
    assert read(p.b) == [] and [send(p.a, mac_of(2), b"x")] == read(p.b)
    assert p.b.rssi(mac_of(1)) == -41


def test_channels():
    p = Pair(2, {"channel": 6})
    send(p.a, mac_of(2), b"x")
    assert read(p.b) == [] and p.air.unheard == 1
    p.boards[1].channel = 6
    assert [send(p.a, mac_of(2), b"x")] == read(p.b)


def test_the_modules_of_a_board():
    # As on a board: `espnow` and `network` are imported.
    air = Air()
    board = Board(air, mac_of(1))
    other = link(Board(air, mac_of(2)), None)
    saved = {name: sys.modules.get(name) for name in ("espnow", "network")}
    sys.modules["espnow"] = sys.modules["network"] = board
    try:
        dev = ESPNowLink()
        dev.up()
    finally:
        for name in saved:
            del sys.modules[name]
            if saved[name]:
                sys.modules[name] = saved[name]
    assert [send(dev, mac_of(2), b"x")] == read(other)


# The routines.


def test_the_twins_agree():
    if not native.VIPER:
        return
    from viperip.viper import espnow as fast

    random.seed(3)
    sides = []
    for module in (slow, fast):
        s = array.array("i", bytes(4 * 164))
        s[1], s[2], s[3], s[7] = 732, 740, 2, 250
        sides.append((module, bytearray(5 * 740), s))
    now = 0x3FFFFFFF - 100000
    results = {}
    for _ in range(8000):
        now = (now + random.choice((0, 1, 20, 200))) & 0x3FFFFFFF
        length = random.choice((20, 300, 700, 700, 732, random.randrange(1000)))
        off = random.choice((0, 0, 244, 488, random.randrange(1000)))
        n = random.choice((250, 250, max(length - off + 6, 1), random.randrange(1, 251)))
        m = message(random.randrange(6), length, off, bytes(244))[:n]
        m = m[:6] + bytes([random.getrandbits(8) for _ in range(len(m) - 6)])
        mac = mac_of(random.randrange(5) if random.getrandbits(4) else random.randrange(30))
        got = []
        for module, buf, s in sides:
            s[0] = now
            buf[2 : 2 + len(m)] = m
            got.append(module.take(buf, s, mac, len(m)))
        assert got[0] == got[1], got
        results[min(got[0], 1)] = results.get(min(got[0], 1), 0) + 1
        assert sides[0][1] == sides[1][1] and sides[0][2] == sides[1][2]
    assert sorted(results) == [-5, -4, -3, -2, -1, 0, 1] and min(results.values()) > 20, results
    s = sides[0][2]
    assert min(s[8], s[9], s[10]) > 20
    for size in (64, 250, 1470):
        for n in range(14, 1514, 3):
            out = []
            for module, _, s in sides:
                buf = bytearray([i * 3 & 0xFF for i in range(1532)])
                s[5], s[6], s[7] = 40000, n - 6, size
                off = 0
                made = []
                while off < n - 6:
                    k = module.piece(buf, s, off)
                    made.append(bytes(buf[2 + off : 2 + off + k]))
                    off += k - 6
                out.append((made, bytes(buf)))
            assert out[0] == out[1], (size, n)
